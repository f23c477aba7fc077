//! What the hub remembers of sequenced messages, so that a client which was away can ask for what
//! it missed. Truth is in the database; this memory is short and starts empty with the process.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// A bounded memory of messages in the order they were published.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    entries: VecDeque<Entry<T>>,
    messages: usize,
    bytes: usize,
    held_bytes: usize,
    /// Everything after this sequence is here; `None` before the first message.
    floor: Option<i64>,
}

#[derive(Debug)]
struct Entry<T> {
    sequence: i64,
    at: Duration,
    size: usize,
    message: Arc<T>,
}

/// Where a replay begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// After this sequence; our own extension.
    After(i64),
    /// At this time since the Unix epoch, as Supabase does it.
    Since(Duration),
}

/// What a replay found, oldest first.
#[derive(Debug)]
pub(crate) struct Replay<T> {
    pub(crate) messages: Vec<Arc<T>>,
    /// Whether nothing between the start and now is missing.
    pub(crate) complete: bool,
}

impl<T> Ring<T> {
    /// An empty memory; `floor` is the sequence after which everything will be pushed, if that is known.
    pub(crate) fn new(messages: usize, bytes: usize, floor: Option<i64>) -> Self {
        Self { entries: VecDeque::new(), messages, bytes, held_bytes: 0, floor }
    }

    /// Everything after this sequence will be pushed, or was.
    pub(crate) fn begin_at(&mut self, floor: i64) {
        self.floor = Some(floor);
    }

    /// Remembers a message and forgets the oldest ones beyond the bounds.
    pub(crate) fn push(&mut self, sequence: i64, at: Duration, size: usize, message: Arc<T>) {
        self.floor.get_or_insert(sequence.saturating_sub(1));
        self.held_bytes += size;
        self.entries.push_back(Entry { sequence, at, size, message });
        while self.entries.len() > self.messages || self.held_bytes > self.bytes {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.held_bytes -= oldest.size;
            self.floor = self.floor.max(Some(oldest.sequence));
        }
    }

    /// When the newest message was published.
    pub(crate) fn newest(&self) -> Option<Duration> {
        self.entries.back().map(|entry| entry.at)
    }

    /// The sequence of the newest message.
    pub(crate) fn last(&self) -> Option<i64> {
        self.entries.back().map(|entry| entry.sequence)
    }

    /// At most the newest `limit` messages since `start`. After a sequence that is remembered these are the messages that came later, also
    /// those with a lower sequence: transactions do not commit in the order of their numbers.
    pub(crate) fn replay(&self, start: Start, limit: usize) -> Replay<T> {
        let place = match start {
            Start::After(sequence) => self.entries.iter().position(|entry| entry.sequence == sequence),
            Start::Since(_) => None,
        };
        let wanted = |(index, entry): &(usize, &Entry<T>)| match (place, start) {
            (Some(place), _) => *index > place,
            (None, Start::After(sequence)) => entry.sequence > sequence,
            (None, Start::Since(time)) => entry.at >= time,
        };
        let found: Vec<_> = self.entries.iter().enumerate().filter(wanted).map(|(_, entry)| entry).collect();
        let skipped = found.len().saturating_sub(limit);
        let reaches_back = match start {
            Start::After(sequence) => place.is_some() || self.floor.is_some_and(|floor| sequence >= floor),
            // Supabase promises no completeness here, so nothing is missing from the promise.
            Start::Since(_) => true,
        };
        Replay {
            messages: found.into_iter().skip(skipped).map(|entry| Arc::clone(&entry.message)).collect(),
            complete: reaches_back && (skipped == 0 || matches!(start, Start::Since(_))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(sequences: std::ops::RangeInclusive<i64>) -> Ring<i64> {
        let mut ring = Ring::new(4, 100, None);
        for sequence in sequences {
            let at = Duration::from_secs(u64::try_from(sequence).unwrap_or(0));
            ring.push(sequence, at, 10, Arc::new(sequence));
        }
        ring
    }

    #[test]
    fn the_oldest_messages_are_forgotten_and_the_gap_is_known() {
        let ring = ring(1..=10);
        let all = ring.replay(Start::After(6), 100);
        assert_eq!(all.messages.iter().map(|m| **m).collect::<Vec<_>>(), [7, 8, 9, 10]);
        assert!(all.complete);
        assert!(!ring.replay(Start::After(5), 100).complete);
        assert!(!ring.replay(Start::After(6), 2).complete);
    }

    #[test]
    fn an_empty_memory_promises_nothing() {
        let empty = Ring::<i64>::new(4, 100, None);
        assert!(!empty.replay(Start::After(4), 10).complete);
    }

    #[test]
    fn what_was_committed_late_comes_after_what_was_heard() {
        let mut ring = Ring::new(10, 1_000, None);
        for sequence in [40, 42, 41, 43] {
            ring.push(sequence, Duration::ZERO, 10, Arc::new(sequence));
        }
        let after = |sequence| ring.replay(Start::After(sequence), 10).messages.iter().map(|m| **m).collect::<Vec<_>>();
        assert_eq!(after(42), [41, 43], "41 was not there yet when 42 was heard");
        assert_eq!(after(41), [43]);
    }

    #[test]
    fn a_memory_that_knows_where_it_begins_says_so_before_the_first_message() {
        let mut ring = Ring::<i64>::new(4, 100, Some(7));
        assert!(ring.replay(Start::After(7), 10).complete);
        assert!(!ring.replay(Start::After(6), 10).complete);
        ring.push(12, Duration::ZERO, 10, Arc::new(12));
        assert!(ring.replay(Start::After(9), 10).complete);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut ring = Ring::new(100, 25, None);
        for sequence in 1..=10 {
            ring.push(sequence, Duration::ZERO, 10, Arc::new(sequence));
        }
        assert_eq!(ring.replay(Start::After(0), 100).messages.len(), 2);
    }

    #[test]
    fn a_replay_by_time_gives_the_newest_messages_oldest_first() {
        let found = ring(1..=4).replay(Start::Since(Duration::from_secs(2)), 2);
        assert_eq!(found.messages.iter().map(|m| **m).collect::<Vec<_>>(), [3, 4]);
    }
}
