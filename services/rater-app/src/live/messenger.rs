//! Carries what clients say and show between the processes that stand behind one address: through the database, because that is the one place
//! that all of them reach. A process that is alone only beats and looks whether it still is.
//!
//! Whoever was out of reach for long begins anew under another name: the others have dropped its members, it drops theirs, and all tell each
//! other again who is there. So whatever was lost in between, nobody who has gone comes back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use metrics::{counter, gauge};
use realtime::relay::{Letter, Relay};
use storage::error::StorageError;
use storage::realtime::{self as shared, Message, Process};
use tokio::time::Instant;

use crate::state::State;

/// A process whose count of beats stands still for so many looks of another one, and for long enough, is gone.
const LOOKS: u32 = 4;
/// Messages in one statement.
const MOST_LETTERS: usize = 200;
/// Bytes in one statement, if it is more than one message.
const MOST_BYTES: usize = 1024 * 1024;
/// Messages of one process read at once.
const BATCH: usize = 64;
/// Messages stay this long.
pub const KEPT: TimeDelta = TimeDelta::minutes(1);
/// Old ones are cleared away with every so many beats.
const CLEAR_EVERY: u32 = 10;
/// Batches written at most by a process that goes.
const LAST_BATCHES: usize = 50;

/// How long things take.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Beats come this often.
    pub beat: Duration,
    /// Least time without a beat after which a process is gone.
    pub gone_after: Duration,
    /// A process that did not reach the database for so long begins anew.
    pub anew_after: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { beat: Duration::from_secs(3), gone_after: Duration::from_secs(10), anew_after: Duration::from_secs(15) }
    }
}

/// Another process, as this one sees it.
struct Other {
    beats: i64,
    changed_at: Instant,
    looks_since: u32,
    /// The last number that was heard; 0 before the first.
    heard: i64,
}

/// What a process is to the others, from one beginning to the next.
struct Life {
    process: String,
    /// What is in the messages up to this place is not for this process.
    behind: i64,
    others: BTreeMap<String, Other>,
    beats: u32,
    /// The last number that was written.
    written: i64,
    is_state_due: bool,
    /// What is left of a state that is being told.
    state: VecDeque<Letter>,
    /// What is being written; it stays until the database has said that it has it.
    batch: Arc<Vec<Message>>,
}

/// Carries the letters of a process's hub.
pub struct Messenger {
    state: State,
    relay: Relay,
    pace: Pace,
    life: Option<Life>,
    /// The name before, whose row may still be there.
    was: Option<String>,
    reached_at: Instant,
}

impl Messenger {
    /// For a process that has not begun yet.
    #[must_use]
    pub fn new(state: State, pace: Pace) -> Self {
        let relay = state.hub.relay();
        Self { state, relay, pace, life: None, was: None, reached_at: Instant::now() }
    }

    /// Whether other processes are there.
    #[must_use]
    pub fn has_company(&self) -> bool {
        self.life.as_ref().is_some_and(|life| !life.others.is_empty())
    }

    /// Whether something is to be written that does not wait in the hub.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.life.as_ref().is_some_and(|life| life.is_state_due || !life.state.is_empty() || !life.batch.is_empty())
    }

    /// Whether these are others than this process, and whether one of them is new to it.
    #[must_use]
    pub fn knows(&self, processes: &BTreeSet<String>) -> (bool, bool) {
        let Some(life) = &self.life else { return (false, false) };
        let mut others = processes.iter().filter(|process| **process != life.process).peekable();
        (others.peek().is_some(), others.any(|process| !life.others.contains_key(process)))
    }

    /// Says that this process lives, and looks who else does.
    ///
    /// # Errors
    /// As any query; it is tried again with the next beat.
    pub async fn beat(&mut self) -> Result<(), StorageError> {
        let Some(listed) = self.count_beat().await? else {
            self.begin_anew("the others took it for gone");
            return Ok(());
        };
        self.reached_at = Instant::now();
        let Some(life) = &mut self.life else { return Ok(()) };
        let left: Vec<String> =
            life.others.keys().filter(|process| !listed.iter().any(|one| one.process_id == **process)).cloned().collect();
        let still = life.look(listed, self.pace.gone_after);
        if !(left.is_empty() && still.is_empty()) {
            // Their last words.
            self.read().await?;
        }
        for process in left {
            self.drop_other(&process);
        }
        for process in still {
            let seen = process.clone();
            if self.state.storage.transaction(move |tx| shared::take_out(tx, &seen)).await? {
                tracing::info!(process = process.process_id, "a process has not given a sign of life; its members are gone");
                self.drop_other(&process.process_id);
            }
        }
        let Some(life) = &mut self.life else { return Ok(()) };
        gauge!("realtime_processes").set(life.others.len() as f64 + 1.0);
        // Shown before anything is lost: an increase from nothing to something is none to whoever watches.
        counter!("realtime_relay_dropped_total").increment(0);
        if life.others.is_empty() {
            self.relay.close();
            life.drop_unwritten();
            return Ok(());
        }
        self.relay.open();
        life.beats = life.beats.wrapping_add(1);
        if life.beats.is_multiple_of(CLEAR_EVERY) {
            let before = self.state.clock.now() - KEPT;
            self.state.storage.transaction(move |tx| shared::sweep(tx, before)).await?;
        }
        Ok(())
    }

    /// Counts a beat of a process that has entered; who else lives, or `None` when it was taken out.
    async fn count_beat(&mut self) -> Result<Option<Vec<Process>>, StorageError> {
        let now = self.state.clock.now();
        let process = match &self.life {
            Some(life) => life.process.clone(),
            None => {
                let (process, was) = (domain::id::new("prc"), self.was.clone());
                let name = process.clone();
                let behind = self.state.storage.transaction(move |tx| shared::enter(tx, &name, was.as_deref(), now)).await?;
                self.was = None;
                self.life = Some(Life::new(process.clone(), behind));
                process
            }
        };
        self.state.storage.transaction(move |tx| shared::beat(tx, &process, now)).await
    }

    fn drop_other(&mut self, process: &str) {
        self.relay.forget(process);
        if let Some(life) = &mut self.life {
            life.others.remove(process);
        }
    }

    /// Writes what waits for the others; whether more does.
    ///
    /// # Errors
    /// As any query; the same is written again next time, and each message is there once.
    pub async fn send(&mut self) -> Result<bool, StorageError> {
        let Some(life) = self.life.as_mut().filter(|life| !life.others.is_empty()) else { return Ok(false) };
        if life.batch.is_empty() {
            if std::mem::take(&mut life.is_state_due) || self.relay.has_lost_presence() {
                life.state = self.relay.state().into();
            }
            let letters = if life.state.is_empty() { self.relay.take(MOST_LETTERS, MOST_BYTES) } else { life.next_of_state() };
            life.batch = Arc::new(life.numbered(letters));
        }
        let Some(last) = life.batch.last().map(|message| message.number) else { return Ok(false) };
        let (process, batch, now) = (life.process.clone(), Arc::clone(&life.batch), self.state.clock.now());
        self.state.storage.transaction(move |tx| shared::write(tx, &process, &batch, now)).await?;
        counter!("realtime_relay_sent_total").increment(life.batch.len() as u64);
        life.written = last;
        life.batch = Arc::default();
        Ok(!life.state.is_empty() || self.relay.has_letters())
    }

    /// Tells what the others have said since the last time; how many messages.
    ///
    /// # Errors
    /// As any query.
    pub async fn read(&mut self) -> Result<usize, StorageError> {
        let mut count = 0;
        loop {
            let Some(life) = &self.life else { return Ok(count) };
            let from = |other: &Other| (other.heard, if other.heard == 0 { life.behind } else { 0 });
            let asked: Vec<_> = life.others.iter().map(|(process, other)| (process.clone(), from(other))).collect();
            let ask = move |conn: &mut _| {
                let said = asked.into_iter().map(|(process, (heard, behind))| {
                    shared::after(conn, &process, heard, behind, BATCH as i64).map(|messages| (process, messages))
                });
                said.collect::<Result<Vec<_>, StorageError>>()
            };
            let found = if life.others.is_empty() { Vec::new() } else { self.state.storage.read(ask).await? };
            let has_more = found.iter().any(|(_, messages)| messages.len() >= BATCH);
            for (process, messages) in found {
                count += messages.len();
                if !self.tell(&process, messages) {
                    self.begin_anew("messages of another process were cleared away before they were read");
                    return Ok(count);
                }
            }
            if !has_more {
                return Ok(count);
            }
        }
    }

    /// Tells messages of a process here; `false` when some before them are missing.
    fn tell(&mut self, process: &str, messages: Vec<Message>) -> bool {
        let Some(other) = self.life.as_mut().and_then(|life| life.others.get_mut(process)) else { return true };
        for message in &messages {
            if other.heard != 0 && message.number != other.heard + 1 {
                return false;
            }
            other.heard = message.number;
        }
        if !messages.is_empty() {
            let letters = messages.into_iter().map(|message| Letter { head: message.head, body: message.body.into() });
            self.relay.hear(process, letters.collect());
        }
        true
    }

    /// Begins anew when the database was out of reach for so long that the others may have dropped this process, or would if they could.
    pub fn give_up_when_cut_off(&mut self) {
        if self.life.is_some() && self.reached_at.elapsed() >= self.pace.anew_after {
            self.begin_anew("the database was out of reach");
        }
    }

    fn begin_anew(&mut self, reason: &str) {
        let Some(mut life) = self.life.take() else { return };
        tracing::info!(process = life.process, reason, "this process begins anew among the others");
        life.others.keys().for_each(|process| self.relay.forget(process));
        if life.others.is_empty() {
            self.relay.close()
        } else {
            self.relay.cut()
        }
        life.drop_unwritten();
        self.was = Some(life.process);
    }

    /// Says what is left to say, and goes: the others drop this process's members at once.
    ///
    /// # Errors
    /// As any query; then the others find out by themselves.
    pub async fn leave(&mut self) -> Result<(), StorageError> {
        for _ in 0..LAST_BATCHES {
            if !self.send().await? {
                break;
            }
        }
        self.relay.close();
        let Some(life) = self.life.take() else { return Ok(()) };
        let farewell = if life.others.is_empty() { Vec::new() } else { life.numbered(Relay::empty_state()) };
        let now = self.state.clock.now();
        let go = move |tx: &mut _| {
            if !farewell.is_empty() {
                shared::write(tx, &life.process, &farewell, now)?;
            }
            shared::leave(tx, &life.process)
        };
        self.state.storage.transaction(go).await
    }
}

impl Life {
    fn new(process: String, behind: i64) -> Self {
        let (others, state, batch) = (BTreeMap::new(), VecDeque::new(), Arc::default());
        Self { process, behind, others, beats: 0, written: 0, is_state_due: false, state, batch }
    }

    /// Notes who lives; those whose count stands still for too long.
    fn look(&mut self, listed: Vec<Process>, gone_after: Duration) -> Vec<Process> {
        let mut still = Vec::new();
        for process in listed {
            let new = Other { beats: process.beats, changed_at: Instant::now(), looks_since: 0, heard: 0 };
            let Some(other) = self.others.get_mut(&process.process_id) else {
                self.others.insert(process.process_id, new);
                self.is_state_due = true;
                continue;
            };
            if other.beats != process.beats {
                *other = Other { heard: other.heard, ..new };
            } else {
                other.looks_since += 1;
                if other.looks_since >= LOOKS && other.changed_at.elapsed() >= gone_after {
                    still.push(process);
                }
            }
        }
        still
    }

    fn next_of_state(&mut self) -> Vec<Letter> {
        let mut bytes = 0;
        let mut next = Vec::new();
        while next.len() < MOST_LETTERS
            && let Some(letter) = self.state.pop_front_if(|letter| bytes == 0 || bytes + letter.body.len() <= MOST_BYTES)
        {
            bytes += letter.head.len() + letter.body.len();
            next.push(letter);
        }
        next
    }

    fn numbered(&self, letters: Vec<Letter>) -> Vec<Message> {
        let message = |(number, letter): (i64, Letter)| Message { number, head: letter.head, body: letter.body.into() };
        (self.written + 1..).zip(letters).map(message).collect()
    }

    /// Nobody is to hear what was not written yet. Its numbers are not given again: the database may have it.
    fn drop_unwritten(&mut self) {
        self.written = self.batch.last().map_or(self.written, |message| message.number);
        if !self.others.is_empty() {
            counter!("realtime_relay_dropped_total").increment(self.batch.len() as u64);
        }
        (self.batch, self.state, self.is_state_due) = (Arc::default(), VecDeque::new(), false);
    }
}
