//! Reads the outbox in order without losing what is committed late: a transaction that began earlier may commit a lower sequence after a
//! higher one was read, so the gaps in what was read are asked for again.

use std::collections::BTreeSet;

use storage::error::StorageError;
use storage::outbox::{self, OutboxEvent};
use storage::store::Storage;

/// Sequences behind the newest in which a gap is looked for again: transactions that began earlier and commit later.
const OVERLAP: i64 = 200;

/// Where a reader is.
#[derive(Debug, Clone)]
pub struct Reader {
    highest: i64,
    gaps: BTreeSet<i64>,
}

impl Reader {
    /// Begins after a sequence. What is there up to it was there before; what is missing may still come.
    ///
    /// # Errors
    /// As any query.
    pub async fn begin(storage: &Storage, after: i64) -> Result<Self, StorageError> {
        let from = after - OVERLAP;
        let there: BTreeSet<i64> = storage.read(move |conn| outbox::sequences(conn, from)).await?.into_iter().collect();
        Ok(Self { highest: after, gaps: (from.max(1)..after).filter(|id| !there.contains(id)).collect() })
    }

    /// Events that are new to this reader, oldest first. They come again until they are [`Self::carried`].
    ///
    /// # Errors
    /// As any query.
    pub async fn look(&self, storage: &Storage, limit: i64) -> Result<Vec<OutboxEvent>, StorageError> {
        let (highest, gaps) = (self.highest, self.gaps.iter().copied().collect::<Vec<_>>());
        storage.read(move |conn| outbox::after(conn, highest, &gaps, limit)).await
    }

    /// Notes what was carried. A sequence that was passed over stays a gap until it is seen, or lies too far back for any transaction
    /// to be still open.
    pub fn carried(&mut self, id: i64) {
        if id > self.highest {
            self.gaps.extend((self.highest + 1).max(id - OVERLAP)..id);
            self.highest = id;
        }
        self.gaps.remove(&id);
        self.gaps = self.gaps.split_off(&(self.highest - OVERLAP));
    }

    /// The sequence after which another reader may begin without missing anything: it stands before the oldest gap, so what was carried behind
    /// that gap comes again there.
    #[must_use]
    pub fn place(&self) -> i64 {
        self.gaps.first().map_or(self.highest, |gap| gap - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_remembered_until_they_are_filled_or_too_old() {
        let mut reader = Reader { highest: 10, gaps: BTreeSet::new() };
        reader.carried(13);
        assert_eq!((reader.highest, reader.gaps.iter().copied().collect::<Vec<_>>()), (13, vec![11, 12]));
        assert_eq!(reader.place(), 10, "the next one looks for both again");
        reader.carried(12);
        assert_eq!(reader.gaps.iter().copied().collect::<Vec<_>>(), [11], "a late one fills its gap");
        reader.carried(13 + 2 * OVERLAP);
        assert!(!reader.gaps.contains(&11) && reader.gaps.len() <= usize::try_from(OVERLAP).unwrap_or(0), "the past is given up");
    }
}
