//! The way to the hubs of other processes. What clients say and show here waits in a bounded queue for whoever carries it, as letters that
//! need not be understood to be carried; what comes from another process is told to the members of this one.
//!
//! While no other process is there the relay is closed and costs a message one look at a number. Whatever is lost of presence on the way is
//! made good by telling the whole state again.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use metrics::counter;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Notify;

use crate::broadcast::{Body, Broadcast};
use crate::hub::Hub;
use crate::outgoing::Topic;
use crate::subscriber::Membership;

/// Letters that may wait.
const MOST_LETTERS: usize = 4_096;
/// Bytes that may wait.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Something that clients of another process are to hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// What it is and whom it concerns: JSON, without any character that a database could refuse.
    pub head: String,
    /// A broadcast's payload or a member's state, as it is.
    pub body: Bytes,
}

/// Whoever carries letters holds this end of the relay.
#[derive(Clone)]
pub struct Relay {
    pub(crate) hub: Hub,
}

impl Relay {
    /// Other processes are there: from now on letters wait for them.
    pub fn open(&self) {
        self.hub.outbox().set(Standing::Open);
    }

    /// Nobody else is there: nothing is kept, and nothing counts as lost.
    pub fn close(&self) {
        self.hub.outbox().set(Standing::Closed);
    }

    /// Others may be there and cannot be reached: what waits and what is said from now on is lost to them, and counted.
    pub fn cut(&self) {
        self.hub.outbox().set(Standing::Cut);
    }

    /// Waits until there is a letter, or the state is to be told anew. Safe to cancel.
    pub async fn waits(&self) {
        let outbox = self.hub.outbox();
        loop {
            let told = outbox.told.notified();
            if outbox.has_something() {
                return;
            }
            told.await;
        }
    }

    /// Whether there is a letter, or the state is to be told anew.
    #[must_use]
    pub fn has_letters(&self) -> bool {
        self.hub.outbox().has_something()
    }

    /// Takes the oldest letters: so many, and so many bytes, at most, but always one if there is one.
    #[must_use]
    pub fn take(&self, most: usize, most_bytes: usize) -> Vec<Letter> {
        self.hub.outbox().take(most, most_bytes)
    }

    /// Whether letters about presence did not fit, so that the whole [state](Self::state) is to be told.
    #[must_use]
    pub fn has_lost_presence(&self) -> bool {
        self.hub.outbox().lock().has_lost_presence
    }

    /// All that members of this process show, as letters that put other processes right whatever they heard before. What waits of presence is
    /// in it and need not be carried any more.
    #[must_use]
    pub fn state(&self) -> Vec<Letter> {
        self.hub.shown_here()
    }

    /// The state of a process that has no members.
    #[must_use]
    pub fn empty_state() -> Vec<Letter> {
        vec![Head::StateBegins.letter(Bytes::new()), Head::StateEnds.letter(Bytes::new())]
    }

    /// Tells members of this process what comes from another one, in the order in which that one said it.
    pub fn hear(&self, process: &str, letters: Vec<Letter>) {
        counter!("realtime_relay_received_total").increment(letters.len() as u64);
        self.hub.hear(process, letters.into_iter().filter_map(read).collect());
    }

    /// Another process is gone, and its members with it.
    pub fn forget(&self, process: &str) {
        self.hub.forget(process);
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Relay").finish_non_exhaustive()
    }
}

/// What a letter is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Head {
    Broadcast {
        #[serde(flatten)]
        room: Room,
        event: String,
        is_json: bool,
    },
    /// A member shows its state, in place of what it showed before.
    Shown {
        #[serde(flatten)]
        room: Room,
        member: Membership,
        key: String,
    },
    Hidden {
        #[serde(flatten)]
        room: Room,
        member: Membership,
    },
    /// What comes until the end is all that this process's members show.
    StateBegins,
    StateEnds,
}

/// A topic as a letter has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Room {
    topic: String,
    private: bool,
}

impl From<&Topic> for Room {
    fn from(topic: &Topic) -> Self {
        Self { topic: topic.name.clone(), private: topic.private }
    }
}

impl From<Room> for Topic {
    fn from(room: Room) -> Self {
        Self { name: room.topic, private: room.private }
    }
}

/// A letter that was read.
#[derive(Debug)]
pub(crate) enum Word {
    Broadcast(Broadcast),
    Presence(PresenceWord),
}

/// What a letter says of presence.
#[derive(Debug)]
pub(crate) enum PresenceWord {
    Shown { topic: Topic, member: Membership, key: String, meta: Map<String, Value> },
    Hidden { topic: Topic, member: Membership },
    StateBegins,
    StateEnds,
}

impl Head {
    pub(crate) fn letter(&self, body: Bytes) -> Letter {
        // A head is strings and numbers, which always become JSON.
        Letter { head: serde_json::to_string(self).unwrap_or_default(), body }
    }
}

/// A letter of this program, or `None` for one of another version that has no meaning here.
fn read(letter: Letter) -> Option<Word> {
    let Ok(head) = serde_json::from_str(&letter.head) else {
        tracing::debug!(head = letter.head, "a letter of another process was not understood");
        return None;
    };
    Some(match head {
        Head::Broadcast { room, event, is_json } => {
            let body = if is_json { Body::Json(String::from_utf8(letter.body.to_vec()).ok()?) } else { Body::Bytes(letter.body) };
            Word::Broadcast(Broadcast { topic: room.into(), event, body, sequence: None })
        }
        Head::Shown { room, member, key } => {
            Word::Presence(PresenceWord::Shown { topic: room.into(), member, key, meta: serde_json::from_slice(&letter.body).ok()? })
        }
        Head::Hidden { room, member } => Word::Presence(PresenceWord::Hidden { topic: room.into(), member }),
        Head::StateBegins => Word::Presence(PresenceWord::StateBegins),
        Head::StateEnds => Word::Presence(PresenceWord::StateEnds),
    })
}

/// The letter of what a member shows.
pub(crate) fn shown(topic: &Topic, member: Membership, key: &str, meta: &Map<String, Value>) -> Letter {
    let body = serde_json::to_vec(meta).unwrap_or_default();
    Head::Shown { room: topic.into(), member, key: key.to_owned() }.letter(body.into())
}

/// Whether letters are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Standing {
    Closed,
    Open,
    Cut,
}

/// The hub's end of the relay.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    standing: AtomicU8,
    waiting: Mutex<Waiting>,
    told: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    letters: VecDeque<Letter>,
    bytes: usize,
    has_lost_presence: bool,
    /// Whether somebody was told in the log already that there is no room.
    is_full: bool,
}

impl Outbox {
    pub(crate) fn is_open(&self) -> bool {
        self.standing.load(Ordering::Relaxed) == Standing::Open as u8
    }

    /// Keeps a client's broadcast for the others. Never waits.
    pub(crate) fn say(&self, message: &Broadcast) {
        match self.standing.load(Ordering::Relaxed) {
            standing if standing == Standing::Closed as u8 => return,
            standing if standing == Standing::Cut as u8 => return drop_counted(1),
            _ => {}
        }
        let (is_json, body) = match &message.body {
            Body::Json(text) => (true, Bytes::copy_from_slice(text.as_bytes())),
            Body::Bytes(bytes) => (false, bytes.clone()),
        };
        let letter = Head::Broadcast { room: (&message.topic).into(), event: message.event.clone(), is_json }.letter(body);
        let mut waiting = self.lock();
        if !waiting.push(letter) {
            drop_counted(1);
            if !std::mem::replace(&mut waiting.is_full, true) {
                tracing::warn!(
                    "broadcasts come faster than they can be carried to other processes; those that do not fit are told here only"
                );
            }
        }
        drop(waiting);
        self.told.notify_one();
    }

    /// Keeps what a member shows or hides; if there is no room, the whole state is told later. Called under the hub's lock, so that the state
    /// and what comes after it fit each other.
    pub(crate) fn show(&self, letter: Letter) {
        let mut waiting = self.lock();
        if !waiting.has_lost_presence && !waiting.push(letter) {
            waiting.forget_presence();
            waiting.has_lost_presence = true;
        }
        drop(waiting);
        self.told.notify_one();
    }

    /// The state is about to be told; called under the hub's lock.
    pub(crate) fn begin_state(&self) {
        let mut waiting = self.lock();
        waiting.forget_presence();
        waiting.has_lost_presence = false;
    }

    fn set(&self, standing: Standing) {
        let before = self.standing.swap(standing as u8, Ordering::Relaxed);
        // Also when it opens: what somebody has put in while it closed is old by then.
        if standing != Standing::Open || before != standing as u8 {
            let waiting = std::mem::take(&mut *self.lock());
            if standing == Standing::Cut {
                drop_counted(waiting.letters.iter().filter(|letter| is_broadcast(letter)).count());
            }
        }
    }

    fn has_something(&self) -> bool {
        let waiting = self.lock();
        waiting.has_lost_presence || !waiting.letters.is_empty()
    }

    fn take(&self, most: usize, most_bytes: usize) -> Vec<Letter> {
        let mut waiting = self.lock();
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(next) = waiting.letters.front().map(size)
            && taken.len() < most
            && (taken.is_empty() || bytes + next <= most_bytes)
        {
            bytes += next;
            taken.extend(waiting.letters.pop_front());
        }
        waiting.bytes -= bytes;
        waiting.is_full &= !waiting.letters.is_empty();
        taken
    }

    /// Even after a panic elsewhere: every change is complete in itself.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Whether there was room.
    fn push(&mut self, letter: Letter) -> bool {
        let size = size(&letter);
        let has_room = self.letters.len() < MOST_LETTERS && self.bytes + size <= MOST_BYTES;
        if has_room {
            self.bytes += size;
            self.letters.push_back(letter);
        }
        has_room
    }

    fn forget_presence(&mut self) {
        self.letters.retain(is_broadcast);
        self.bytes = self.letters.iter().map(size).sum();
    }
}

fn size(letter: &Letter) -> usize {
    letter.head.len() + letter.body.len()
}

fn is_broadcast(letter: &Letter) -> bool {
    letter.head.starts_with(r#"{"kind":"broadcast""#)
}

/// Counts broadcasts that other processes will not hear.
fn drop_counted(count: usize) {
    counter!("realtime_relay_dropped_total").increment(count as u64);
}
