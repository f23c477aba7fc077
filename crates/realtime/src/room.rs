//! One room: its members, and the presence they show. Plain data; the hub keeps it under a lock.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::authority::Identity;
use crate::binding::Binding;
use crate::frame::{Envelope, Version};
use crate::subscriber::{Delivery, Membership, Subscriber};
use crate::worker::FanOut;

/// One socket in one room.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) subscriber: Arc<Subscriber>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) bindings: Arc<[Binding]>,
    /// Whether the member hears of presence.
    pub(crate) presence: bool,
}

/// What is shown in a room, by presence key.
pub(crate) type Metas = BTreeMap<String, Vec<Map<String, Value>>>;
/// What one member shows.
type Shown = (Membership, Map<String, Value>);

/// The members of a room and what they show of themselves, by presence key.
#[derive(Debug, Default)]
pub(crate) struct Room {
    members: HashMap<Membership, Member>,
    /// The same members for a message to all of them, made when one comes.
    listing: Option<Arc<[(Membership, Member)]>>,
    tracked: BTreeMap<String, Vec<Shown>>,
}

impl Room {
    pub(crate) fn add(&mut self, membership: Membership, member: Member) {
        self.members.insert(membership, member);
        self.listing = None;
    }

    pub(crate) fn remove(&mut self, membership: Membership) {
        self.members.remove(&membership);
        self.listing = None;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (Membership, &Member)> {
        self.members.iter().map(|(&membership, member)| (membership, member))
    }

    /// A member, to be changed.
    pub(crate) fn member(&mut self, membership: Membership) -> Option<&mut Member> {
        self.listing = None;
        self.members.get_mut(&membership)
    }

    /// All members as they are now; shared with the next message when nobody comes or goes in between.
    pub(crate) fn listing(&mut self) -> Arc<[(Membership, Member)]> {
        let members = &self.members;
        let made = self.listing.get_or_insert_with(|| members.iter().map(|(&membership, member)| (membership, member.clone())).collect());
        Arc::clone(made)
    }

    /// What members show, by presence key.
    pub(crate) fn metas(&self) -> Metas {
        let metas = |shown: &Vec<Shown>| shown.iter().map(|(_, meta)| meta.clone()).collect();
        self.tracked.iter().map(|(key, shown)| (key.clone(), metas(shown))).collect()
    }

    /// Who shows what: key, member and state.
    pub(crate) fn shown(&self) -> impl Iterator<Item = (&str, Membership, &Map<String, Value>)> {
        self.tracked.iter().flat_map(|(key, shown)| shown.iter().map(|(owner, meta)| (key.as_str(), *owner, meta)))
    }

    /// Shows `state` under `key` for a member, in place of what it showed before, and tells the
    /// room; what it shows now. Showing the same again tells nobody.
    pub(crate) fn track(
        &mut self,
        wire_topic: &str,
        membership: Membership,
        key: &str,
        state: Map<String, Value>,
    ) -> Option<Map<String, Value>> {
        let shown = self.tracked.entry(key.to_owned()).or_default();
        let previous = shown.iter_mut().find(|(owner, _)| *owner == membership);
        let mut meta = state;
        meta.insert("phx_ref".to_owned(), json!(uuid::Uuid::now_v7().simple().to_string()));
        let mut leaves = Metas::new();
        match previous {
            Some((_, old)) if same_state(old, &meta) => return None,
            Some((_, old)) => {
                meta.extend(old.get("phx_ref").map(|reference| ("phx_ref_prev".to_owned(), reference.clone())));
                let old = std::mem::replace(old, meta.clone());
                leaves.insert(key.to_owned(), vec![old]);
            }
            None => shown.push((membership, meta.clone())),
        }
        self.tell_presence(wire_topic, Metas::from([(key.to_owned(), vec![meta.clone()])]), leaves);
        Some(meta)
    }

    /// Takes back what a member shows, and tells the room; whether there was anything.
    pub(crate) fn untrack(&mut self, wire_topic: &str, membership: Membership) -> bool {
        let mut leaves = Metas::new();
        for (key, shown) in &mut self.tracked {
            let gone: Vec<_> = shown.extract_if(.., |(owner, _)| *owner == membership).map(|(_, meta)| meta).collect();
            if !gone.is_empty() {
                leaves.insert(key.clone(), gone);
            }
        }
        self.tracked.retain(|_, shown| !shown.is_empty());
        let was_shown = !leaves.is_empty();
        if was_shown {
            self.tell_presence(wire_topic, Metas::new(), leaves);
        }
        was_shown
    }

    /// Sends a `presence_diff` to the members that listen for presence. Called under the hub's lock,
    /// so that nobody sees a leave before its join.
    pub(crate) fn tell_presence(&self, wire_topic: &str, joins: Metas, leaves: Metas) {
        let payload = json!({"joins": presence(joins), "leaves": presence(leaves)}).to_string();
        let envelope = Envelope { join_ref: None, reference: None, topic: wire_topic, event: "presence_diff" };
        let (mut encoded, mut fan_out) = (HashMap::<Version, _>::new(), FanOut::default());
        for (&membership, member) in self.members.iter().filter(|(_, m)| m.presence) {
            let version = member.subscriber.version;
            let frame = encoded.entry(version).or_insert_with(|| envelope.frame(version, &payload));
            fan_out.offer(&member.subscriber, Delivery { membership, sequence: None, frame: frame.clone() });
        }
    }
}

/// Metas as the protocol shows them.
pub(crate) fn presence(metas: Metas) -> Value {
    Value::Object(metas.into_iter().map(|(key, metas)| (key, json!({ "metas": metas }))).collect())
}

/// Whether two metas differ only in their references.
fn same_state(old: &Map<String, Value>, new: &Map<String, Value>) -> bool {
    let own = |meta: &Map<String, Value>| {
        let mut meta = meta.clone();
        meta.remove("phx_ref");
        meta.remove("phx_ref_prev");
        meta
    };
    own(old) == own(new)
}
