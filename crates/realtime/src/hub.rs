//! The switchboard of one process: rooms, their members and a short memory. Services publish into
//! it without waiting; each socket drains its own bounded queue.

mod elsewhere;
pub(crate) mod membership;
#[cfg(test)]
mod relay_tests;
mod tenants;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{counter, gauge};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::authority::{Authority, Identity, Refusal};
use crate::broadcast::{Body, Broadcast, Occasion};
use crate::change::{Change, ChangeEncoder};
use crate::frame::Version;
use crate::history::{Ring, Start};
use crate::limits::Limits;
use crate::outgoing::{Outgoing, Topic};
use crate::relay::Outbox;
use crate::room::{Member, Room};
use crate::subscriber::{self, Delivery, Inbox, Membership, Subscriber};
use crate::worker::{FanOut, ReadyList};
use elsewhere::Elsewhere;
use tenants::Tenants;

/// The change memory may hold this many times the bytes of one room's.
const CHANGE_HISTORY_FACTOR: usize = 64;

/// A cheap handle on the switchboard; clones share it.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    authority: Arc<dyn Authority>,
    limits: Limits,
    shutdown: CancellationToken,
    sockets: TaskTracker,
    next_number: AtomicU64,
    state: Mutex<State>,
    tenants: Tenants,
    outbox: Outbox,
}

struct State {
    sockets: HashMap<u64, Arc<Subscriber>>,
    rooms: HashMap<Topic, Room>,
    broadcasts: HashMap<Topic, Ring<Broadcast>>,
    changes: Ring<Change>,
    elsewhere: Elsewhere,
    /// Everything with a later sequence was published here; `None` when nobody said so.
    remembered_from: Option<i64>,
    /// The newest sequence of the rooms that were forgotten.
    forgotten: i64,
}

/// A socket's place in the hub; dropping it frees the place.
pub(crate) struct Connection {
    pub(crate) number: u64,
    pub(crate) subscriber: Arc<Subscriber>,
    pub(crate) inbox: Inbox,
    pub(crate) place: Place,
}

/// Frees a socket's place when dropped.
pub(crate) struct Place {
    number: u64,
    identity: Arc<Identity>,
    hub: Hub,
}

impl Hub {
    /// Makes an empty hub. When `shutdown` is cancelled, clients are told, their sockets are closed
    /// with 1012, one after the other within [`Limits::drain`], and new ones are refused.
    #[must_use]
    pub fn new(authority: Arc<dyn Authority>, limits: Limits, shutdown: CancellationToken) -> Self {
        let changes = Ring::new(limits.history_messages, limits.history_bytes.saturating_mul(CHANGE_HISTORY_FACTOR), None);
        let state = State {
            sockets: HashMap::new(),
            rooms: HashMap::new(),
            broadcasts: HashMap::new(),
            changes,
            elsewhere: Elsewhere::default(),
            remembered_from: None,
            forgotten: 0,
        };
        let tenants = Tenants::new(&limits);
        Self {
            inner: Arc::new(Inner {
                authority,
                limits,
                shutdown,
                sockets: TaskTracker::new(),
                next_number: AtomicU64::new(1),
                state: Mutex::new(state),
                tenants,
                outbox: Outbox::default(),
            }),
        }
    }

    /// Says that everything after this sequence is published here or [remembered](Self::remember), so that who asks for what it missed can be
    /// told whether that is all. Call it before the first message.
    pub fn remember_from(&self, sequence: i64) {
        let mut state = self.state();
        state.remembered_from = Some(sequence);
        state.changes.begin_at(sequence);
    }

    /// Remembers a message with a sequence for those who will ask for it, and sends it to nobody.
    pub fn remember(&self, message: Outgoing) {
        match Message::of(message) {
            Message::Broadcast(broadcast) => self.state().remember(&Arc::new(broadcast), &self.inner.limits),
            Message::Change(change) => self.state().remember_change(&Arc::new(change)),
        }
    }

    /// Sends a message to everybody who may hear it, and remembers it if it has a sequence.
    ///
    /// Never waits. A subscriber whose queue (256 messages by default) is full loses its queue and
    /// is told so by a `system` message with status `error`, the number `missed` and the last
    /// `sequence` it received; if that happens again within a minute its socket is closed with
    /// 1013. Publish from one task where the order of messages matters.
    pub fn publish(&self, message: Outgoing) {
        match Message::of(message) {
            Message::Broadcast(broadcast) => self.broadcast(broadcast, None),
            Message::Change(change) => self.change(change),
        }
    }

    /// Closes every socket that was opened, or has joined a room, as somebody for whom `gone` holds:
    /// after a sign-out, a withdrawn key or a changed role. The close code is 1012, so clients come
    /// back and have to prove themselves again. Returns how many sockets that was.
    pub fn disconnect(&self, gone: impl Fn(&Identity) -> bool) -> usize {
        let (sockets, members): (Vec<_>, Vec<_>) = {
            let state = self.state();
            let rooms = state.rooms.values();
            let members = rooms.flat_map(Room::members).map(|(_, member)| member.clone());
            (state.sockets.values().cloned().collect(), members.collect())
        };
        for member in members.iter().filter(|member| gone(&member.identity)) {
            member.subscriber.evicted.cancel();
        }
        for socket in sockets.iter().filter(|socket| gone(&socket.identity)) {
            socket.evicted.cancel();
        }
        let evicted = sockets.iter().filter(|socket| socket.evicted.is_cancelled());
        evicted.count()
    }

    /// How many sockets are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state().sockets.len()
    }

    /// How many rooms have members.
    #[cfg(test)]
    pub(crate) fn rooms(&self) -> usize {
        self.state().rooms.len()
    }

    /// Waits until every socket is closed, at most `within`; call it after the shutdown token was
    /// cancelled. Returns whether all are closed.
    pub async fn drained(&self, within: Duration) -> bool {
        self.inner.sockets.close();
        let waited = tokio::time::timeout(within, self.inner.sockets.wait()).await;
        waited.is_ok()
    }

    /// Takes a place for a socket, whose worker is told by `ready` what there is to write.
    pub(crate) fn connect(&self, identity: Arc<Identity>, version: Version, ready: &Arc<ReadyList>) -> Result<Connection, Refusal> {
        if self.inner.shutdown.is_cancelled() {
            return Err(Refusal::Restarting);
        }
        let number = self.next_number();
        let (subscriber, inbox) = subscriber::queue(self.inner.limits.queue, version, Arc::clone(&identity), number, Arc::clone(ready));
        {
            let mut state = self.state();
            if state.sockets.len() >= self.inner.limits.connections {
                return Err(Refusal::TooManyConnections);
            }
            self.inner.tenants.enter(&identity, now())?;
            state.sockets.insert(number, Arc::clone(&subscriber));
        }
        gauge!("realtime_connections").increment(1);
        Ok(Connection { number, subscriber, inbox, place: Place { number, identity, hub: self.clone() } })
    }

    /// Sends a broadcast to its room; `except` is a sender that does not want its own message.
    pub(crate) fn broadcast(&self, message: Broadcast, except: Option<Membership>) {
        counter!("realtime_broadcasts_total").increment(1);
        let message = Arc::new(message);
        let members = {
            let mut state = self.state();
            state.remember(&message, &self.inner.limits);
            let Some(room) = state.rooms.get_mut(&message.topic) else { return };
            room.listing()
        };
        // Two versions: a map would cost more than finding the socket.
        let (mut of_v1, mut of_v2, mut fan_out, mut sent) = (None, None, FanOut::default(), 0);
        for (membership, member) in members.iter().filter(|(membership, _)| except != Some(*membership)) {
            let version = member.subscriber.version;
            let encoded = if version == Version::V1 { &mut of_v1 } else { &mut of_v2 };
            let frame = encoded.get_or_insert_with(|| message.frame(version, Occasion::Live));
            if let Some(frame) = frame.clone() {
                let delivery = Delivery { membership: *membership, sequence: message.sequence, frame };
                sent += u64::from(fan_out.offer(&member.subscriber, delivery));
            }
        }
        counter!("realtime_messages_sent_total").increment(sent);
    }

    fn change(&self, change: Change) {
        counter!("realtime_changes_total").increment(1);
        let change = Arc::new(change);
        let listeners: Vec<(String, Membership, Member)> = {
            let mut state = self.state();
            state.remember_change(&change);
            let mut listeners = Vec::new();
            for (topic, room) in &state.rooms {
                let wanting = room.members().filter(|(_, member)| change.wanted_by(&member.bindings));
                listeners.extend(wanting.map(|(id, member)| (topic.wire(), id, member.clone())));
            }
            listeners
        };
        let (mut encoder, mut fan_out, mut sent) = (ChangeEncoder::new(&change), FanOut::default(), 0);
        for (topic, membership, member) in &listeners {
            if !self.may_see(&member.identity, &change) {
                continue;
            }
            for frame in encoder.frames(member.subscriber.version, topic, &member.bindings) {
                let delivery = Delivery { membership: *membership, sequence: change.sequence, frame };
                sent += u64::from(fan_out.offer(&member.subscriber, delivery));
            }
        }
        counter!("realtime_messages_sent_total").increment(sent);
    }

    pub(crate) fn may_see(&self, identity: &Identity, change: &Change) -> bool {
        let tenant = change.tenant.as_deref();
        let authority = self.authority();
        authority.may_see(identity, &change.table, tenant, change.row())
    }

    pub(crate) fn authority(&self) -> &dyn Authority {
        self.inner.authority.as_ref()
    }

    pub(crate) fn tenants(&self) -> &Tenants {
        &self.inner.tenants
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    pub(crate) fn shutdown(&self) -> &CancellationToken {
        &self.inner.shutdown
    }

    pub(crate) fn sockets(&self) -> &TaskTracker {
        &self.inner.sockets
    }

    fn next_number(&self) -> u64 {
        self.inner.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// The state, even after a panic elsewhere: every change to it is complete in itself.
    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.inner.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Hub").field("connections", &self.connections()).finish_non_exhaustive()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.hub.state().sockets.remove(&self.number);
        self.hub.inner.tenants.leave(&self.identity);
        gauge!("realtime_connections").decrement(1);
    }
}

/// A message as the hub passes it on.
enum Message {
    Broadcast(Broadcast),
    Change(Change),
}

impl Message {
    fn of(outgoing: Outgoing) -> Self {
        match outgoing {
            Outgoing::Broadcast { topic, event, payload, sequence } => {
                Self::Broadcast(Broadcast { topic, event, body: Body::Json(payload.to_string()), sequence })
            }
            Outgoing::Change { schema, table, change_type, record, old_record, commit_timestamp, tenant, sequence } => {
                Self::Change(Change { schema, table, change_type, record, old_record, commit_timestamp, tenant, sequence })
            }
        }
    }
}

impl State {
    /// Remembers a broadcast that has a sequence; when too many rooms are remembered, the quietest one is forgotten.
    fn remember(&mut self, message: &Arc<Broadcast>, limits: &Limits) {
        let Some(sequence) = message.sequence else { return };
        let known = self.broadcasts.contains_key(&message.topic);
        if !known && self.broadcasts.len() >= limits.history_rooms {
            let rings = self.broadcasts.iter();
            let quietest = rings.min_by_key(|(_, ring)| ring.newest());
            if let Some((topic, last)) = quietest.map(|(topic, ring)| (topic.clone(), ring.last())) {
                self.broadcasts.remove(&topic);
                self.forgotten = self.forgotten.max(last.unwrap_or(0));
            }
        }
        let floor = self.remembered_from.map(|from| from.max(self.forgotten));
        let ring = self.broadcasts.entry(message.topic.clone());
        let ring = ring.or_insert_with(|| Ring::new(limits.history_messages, limits.history_bytes, floor));
        ring.push(sequence, now(), message.size(), Arc::clone(message));
    }

    fn remember_change(&mut self, change: &Arc<Change>) {
        if let Some(sequence) = change.sequence {
            let size = change.row().to_string().len();
            self.changes.push(sequence, now(), size, Arc::clone(change));
        }
    }

    /// Whether nothing was ever said since `start` in a room of which nothing is remembered.
    fn is_complete(&self, start: Start) -> bool {
        match start {
            Start::Since(_) => true,
            Start::After(sequence) => self.remembered_from.is_some_and(|from| sequence >= from.max(self.forgotten)),
        }
    }
}

/// Time since the Unix epoch by the wall clock, by which tokens expire.
pub(crate) fn now() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
}
