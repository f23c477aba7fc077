//! The newest of all that could be trained on: sources come oldest first, and what is over the limit goes from the old end, whole tasks and
//! pieces of feedback at a time.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};

use super::material::Pair;

/// One task, or one piece of feedback.
pub struct Source {
    /// Its pairs.
    pub pairs: Vec<Pair>,
    /// When it was created.
    pub at: DateTime<Utc>,
    /// Judgments behind it.
    pub judgments: usize,
    /// Whose feedback it is.
    pub person: Option<String>,
}

/// Sources of one kind, in the order of reading, and together no more than the limit.
pub struct Newest {
    most: usize,
    sources: BTreeMap<u64, Source>,
    next: u64,
    n_pairs: usize,
    /// Pairs that were older than those kept.
    pub older: usize,
    /// The sources that these belong to.
    pub gone: HashSet<String>,
}

impl Newest {
    /// With at most so many pairs.
    #[must_use]
    pub fn of(most: usize) -> Self {
        Self { most, sources: BTreeMap::new(), next: 0, n_pairs: 0, older: 0, gone: HashSet::new() }
    }

    /// Adds a source that is newer than those before; the number by which it is taken back.
    pub fn add(&mut self, source: Source) -> u64 {
        let number = self.next;
        self.next += 1;
        self.n_pairs += source.pairs.len();
        self.sources.insert(number, source);
        self.keep_to(self.most);
        number
    }

    /// Takes back a source of one pair, because the same was said again later. One that had gone as too old is not counted as such any more.
    pub fn take_back(&mut self, number: u64) {
        match self.sources.remove(&number) {
            Some(source) => self.n_pairs -= source.pairs.len(),
            None => self.older = self.older.saturating_sub(1),
        }
    }

    fn keep_to(&mut self, most: usize) {
        while self.n_pairs > most && self.forget_oldest() {}
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((_, oldest)) = self.sources.pop_first() else { return false };
        self.n_pairs -= oldest.pairs.len();
        self.older += oldest.pairs.len();
        self.gone.extend(oldest.pairs.first().map(|pair| pair.source.clone()));
        true
    }

    /// Leaves both together no more than the limit: what is oldest goes, whichever kind it is.
    pub fn share(&mut self, other: &mut Self) {
        while self.n_pairs + other.n_pairs > self.most {
            let at = |newest: &Self| newest.sources.values().next().map(|source| source.at);
            let own_is_older = match (at(self), at(other)) {
                (Some(own), Some(theirs)) => own <= theirs,
                (own, _) => own.is_some(),
            };
            if !(if own_is_older { self.forget_oldest() } else { other.forget_oldest() }) {
                return;
            }
        }
    }

    /// Ids of the tasks or feedback kept.
    pub fn ids(&self) -> HashSet<String> {
        self.sources.values().filter_map(|source| source.pairs.first()).map(|pair| pair.source.clone()).collect()
    }

    /// What is kept, oldest first.
    pub fn into_sources(self) -> impl Iterator<Item = Source> {
        self.sources.into_values()
    }
}
