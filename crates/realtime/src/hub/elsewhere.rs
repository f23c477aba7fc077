//! What members of other processes show, and what this process says to theirs. A member here sees both as one: the same state, the same
//! differences.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use metrics::counter;
use serde_json::{Map, Value};

use crate::broadcast::Broadcast;
use crate::hub::{Hub, State};
use crate::outgoing::Topic;
use crate::relay::{Head, Letter, Outbox, PresenceWord, Relay, Word, shown};
use crate::room::Metas;
use crate::subscriber::Membership;

/// Bytes of others' presence that are remembered; what does not fit is not shown here.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// What remembering a member takes beside its own bytes, roughly.
const OVERHEAD: usize = 200;

/// What is shown elsewhere, by room, process and member.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere {
    rooms: HashMap<Topic, BTreeMap<(Arc<str>, Membership), Shown>>,
    /// How many times each process has begun to tell its state.
    rounds: HashMap<Arc<str>, u64>,
    bytes: usize,
}

#[derive(Debug)]
struct Shown {
    key: String,
    meta: Map<String, Value>,
    /// The round in which it was last told.
    round: u64,
}

/// What changes in a room.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Difference {
    pub(crate) joins: Metas,
    pub(crate) leaves: Metas,
}

type Differences = HashMap<Topic, Difference>;

impl Shown {
    fn size(&self) -> usize {
        OVERHEAD + self.key.len() + self.meta.iter().map(|(name, value)| name.len() + value.to_string().len()).sum::<usize>()
    }
}

impl Elsewhere {
    /// Adds what is shown elsewhere in a room.
    pub(crate) fn add_to(&self, topic: &Topic, metas: &mut Metas) {
        for shown in self.rooms.get(topic).into_iter().flat_map(BTreeMap::values) {
            metas.entry(shown.key.clone()).or_default().push(shown.meta.clone());
        }
    }

    fn apply(&mut self, process: &Arc<str>, word: PresenceWord, differences: &mut Differences) {
        match word {
            PresenceWord::Shown { topic, member, key, meta } => self.show(process, topic, member, key, meta, differences),
            PresenceWord::Hidden { topic, member } => self.hide(&topic, |owner, _| owner.0 == *process && owner.1 == member, differences),
            PresenceWord::StateBegins => *self.rounds.entry(Arc::clone(process)).or_default() += 1,
            PresenceWord::StateEnds => {
                let round = self.round(process);
                self.hide_everywhere(|owner, shown| owner.0 == *process && shown.round < round, differences);
            }
        }
    }

    fn show(
        &mut self,
        process: &Arc<str>,
        topic: Topic,
        member: Membership,
        key: String,
        meta: Map<String, Value>,
        differences: &mut Differences,
    ) {
        let round = self.round(process);
        let owner = (Arc::clone(process), member);
        let known = self.rooms.get_mut(&topic).and_then(|room| room.get_mut(&owner));
        if let Some(known) = known
            && known.meta == meta
        {
            known.round = round;
            return;
        }
        self.hide(&topic, |other, _| *other == owner, differences);
        let new = Shown { key, meta, round };
        if self.bytes + new.size() > MOST_BYTES {
            counter!("realtime_relay_dropped_total").increment(1);
            return;
        }
        self.bytes += new.size();
        let joins = &mut differences.entry(topic.clone()).or_default().joins;
        joins.entry(new.key.clone()).or_default().push(new.meta.clone());
        self.rooms.entry(topic).or_default().insert(owner, new);
    }

    fn hide(&mut self, topic: &Topic, gone: impl Fn(&(Arc<str>, Membership), &Shown) -> bool, differences: &mut Differences) {
        let Some(room) = self.rooms.get_mut(topic) else { return };
        for (_, shown) in room.extract_if(.., |owner, shown| gone(owner, shown)) {
            self.bytes -= shown.size();
            let leaves = &mut differences.entry(topic.clone()).or_default().leaves;
            leaves.entry(shown.key).or_default().push(shown.meta);
        }
        if room.is_empty() {
            self.rooms.remove(topic);
        }
    }

    fn hide_everywhere(&mut self, gone: impl Fn(&(Arc<str>, Membership), &Shown) -> bool, differences: &mut Differences) {
        let topics: Vec<Topic> = self.rooms.keys().cloned().collect();
        topics.iter().for_each(|topic| self.hide(topic, &gone, differences));
    }

    fn round(&self, process: &Arc<str>) -> u64 {
        self.rounds.get(process).copied().unwrap_or(0)
    }
}

impl State {
    /// What members here and elsewhere show in a room: the payload of `presence_state`.
    pub(crate) fn presence_state(&self, topic: &Topic) -> Value {
        let mut metas = self.rooms.get(topic).map(crate::room::Room::metas).unwrap_or_default();
        self.elsewhere.add_to(topic, &mut metas);
        crate::room::presence(metas)
    }

    fn tell(&self, differences: Differences) {
        for (topic, difference) in differences {
            if let Some(room) = self.rooms.get(&topic) {
                room.tell_presence(&topic.wire(), difference.joins, difference.leaves);
            }
        }
    }
}

impl Hub {
    /// The way to other processes.
    #[must_use]
    pub fn relay(&self) -> Relay {
        Relay { hub: self.clone() }
    }

    /// Sends a client's broadcast to its room, here and in other processes; `except` is a sender that does not want its own message.
    pub(crate) fn say(&self, message: Broadcast, except: Option<Membership>) {
        self.outbox().say(&message);
        self.broadcast(message, except);
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.inner.outbox
    }

    /// Tells members what comes from another process: first who is there, then what is said.
    pub(crate) fn hear(&self, process: &str, words: Vec<Word>) {
        let process: Arc<str> = process.into();
        let mut broadcasts = Vec::new();
        let mut presence = Vec::new();
        for word in words {
            match word {
                Word::Broadcast(broadcast) => broadcasts.push(broadcast),
                Word::Presence(word) => presence.push(word),
            }
        }
        if !presence.is_empty() {
            // In one breath, so that nobody who joins meanwhile hears of what it has seen in its state.
            let mut state = self.state();
            let mut differences = Differences::new();
            presence.into_iter().for_each(|word| state.elsewhere.apply(&process, word, &mut differences));
            state.tell(differences);
        }
        broadcasts.into_iter().for_each(|broadcast| self.broadcast(broadcast, None));
    }

    /// The members of another process are gone.
    pub(crate) fn forget(&self, process: &str) {
        let mut state = self.state();
        let mut differences = Differences::new();
        state.elsewhere.hide_everywhere(|owner, _| &*owner.0 == process, &mut differences);
        state.elsewhere.rounds.remove(process);
        state.tell(differences);
    }

    /// All that members here show; see [`Relay::state`].
    pub(crate) fn shown_here(&self) -> Vec<Letter> {
        let state = self.state();
        self.outbox().begin_state();
        let mut letters = vec![Head::StateBegins.letter(Bytes::new())];
        for (topic, room) in &state.rooms {
            letters.extend(room.shown().map(|(key, member, meta)| shown(topic, member, key, meta)));
        }
        letters.push(Head::StateEnds.letter(Bytes::new()));
        letters
    }
}
