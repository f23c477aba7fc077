//! Coming into a room, showing presence in it, and leaving it.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::authority::Identity;
use crate::binding::Binding;
use crate::broadcast::Broadcast;
use crate::change::Change;
use crate::history::{Replay, Start};
use crate::hub::Hub;
use crate::outgoing::Topic;
use crate::relay::{self, Head};
use crate::room::Member;
use crate::subscriber::{Membership, Subscriber};

/// A join that was permitted.
pub(crate) struct Joining {
    pub(crate) subscriber: Arc<Subscriber>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) bindings: Arc<[Binding]>,
    pub(crate) presence: bool,
    /// Where the room's broadcasts are to be replayed from, and how many at most.
    pub(crate) replay: Option<(Start, usize)>,
    /// After which sequence changes are to be replayed.
    pub(crate) replay_changes: Option<i64>,
}

/// What a new member finds.
pub(crate) struct Joined {
    pub(crate) membership: Membership,
    pub(crate) presence_state: Value,
    pub(crate) broadcasts: Option<Replay<Broadcast>>,
    pub(crate) changes: Option<Replay<Change>>,
}

impl Hub {
    /// Adds a member. Memory is read in the same breath, so that a message is either in the replay
    /// or in the queue, never in both and never in neither.
    pub(crate) fn join(&self, topic: &Topic, joining: Joining) -> Joined {
        let membership = self.next_number();
        let limits = self.limits();
        let mut state = self.state();
        let broadcasts = joining.replay.map(|(start, limit)| {
            let ring = state.broadcasts.get(topic);
            ring.map_or_else(|| Replay { messages: Vec::new(), complete: state.is_complete(start) }, |ring| ring.replay(start, limit))
        });
        let changes = joining.replay_changes.map(|after| state.changes.replay(Start::After(after), limits.history_messages));
        let room = state.rooms.entry(topic.clone()).or_default();
        room.add(
            membership,
            Member { subscriber: joining.subscriber, identity: joining.identity, bindings: joining.bindings, presence: joining.presence },
        );
        Joined { membership, presence_state: state.presence_state(topic), broadcasts, changes }
    }

    /// Removes a member and what it shows; the last one out closes the room.
    pub(crate) fn leave(&self, topic: &Topic, membership: Membership) {
        let mut state = self.state();
        if let Some(room) = state.rooms.get_mut(topic) {
            room.remove(membership);
            let was_shown = room.untrack(&topic.wire(), membership);
            if room.is_empty() {
                state.rooms.remove(topic);
            }
            self.hidden(topic, membership, was_shown);
        }
    }

    /// Replaces what a member may see after it renewed its token.
    pub(crate) fn identify(&self, topic: &Topic, membership: Membership, identity: Arc<Identity>) {
        let mut state = self.state();
        let room = state.rooms.get_mut(topic);
        if let Some(member) = room.and_then(|room| room.member(membership)) {
            member.identity = identity;
        }
    }

    /// Shows a member's state under `key`. A member that did not listen for presence does so from
    /// now on, and first gets the present state, which is returned.
    pub(crate) fn track(&self, topic: &Topic, membership: Membership, key: &str, shown: Map<String, Value>) -> Option<Value> {
        let mut state = self.state();
        let room = state.rooms.get_mut(topic)?;
        let member = room.member(membership)?;
        let begins = !std::mem::replace(&mut member.presence, true);
        let before = begins.then(|| state.presence_state(topic));
        let room = state.rooms.get_mut(topic)?;
        if let Some(meta) = room.track(&topic.wire(), membership, key, shown)
            && self.outbox().is_open()
        {
            self.outbox().show(relay::shown(topic, membership, key, &meta));
        }
        before
    }

    /// Takes back what a member shows.
    pub(crate) fn untrack(&self, topic: &Topic, membership: Membership) {
        let mut state = self.state();
        if let Some(room) = state.rooms.get_mut(topic) {
            let was_shown = room.untrack(&topic.wire(), membership);
            self.hidden(topic, membership, was_shown);
        }
    }

    /// Tells other processes, still under the lock, that a member shows nothing any more.
    fn hidden(&self, topic: &Topic, membership: Membership, was_shown: bool) {
        if was_shown && self.outbox().is_open() {
            self.outbox().show(Head::Hidden { room: topic.into(), member: membership }.letter(Bytes::new()));
        }
    }

    /// The payload of `presence_state` for a room.
    pub(crate) fn presence_state(&self, topic: &Topic) -> Value {
        self.state().presence_state(topic)
    }
}
