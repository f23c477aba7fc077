//! What earlier decisions say about raters, looked over now and then and kept in memory: how much was judged, and how each rater's answers
//! relate to what was decided. Decisions made with it name their method, so that figures of different methods are not mixed up.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use learning::consensus::online::DataSize;
use storage::consensus::DecidedVote;

use crate::decision::labels;

/// Judgments looked at: the newest.
pub const NEWEST: i64 = 50_000;

/// Everything that is known, by task type and number of candidates.
#[derive(Debug, Clone, Default)]
pub struct Evidence(HashMap<(String, usize), OfType>);

/// What is known of one kind of task.
#[derive(Debug, Clone, Default)]
pub struct OfType {
    /// How much was judged.
    pub size: DataSize,
    /// Tasks by decided label, in the order of [`labels`].
    pub decided: Vec<u64>,
    /// By rater: judgments by decided label and given label, `decided * n_labels + given`.
    pub tables: HashMap<String, Vec<u32>>,
}

impl Evidence {
    /// From judgments of decided tasks.
    #[must_use]
    pub fn from_votes(votes: &[DecidedVote]) -> Self {
        let mut kinds: HashMap<(String, usize), Vec<&DecidedVote>> = HashMap::new();
        for vote in votes {
            kinds.entry((vote.task_type.clone(), 2 + usize::from(vote.has_third))).or_default().push(vote);
        }
        Self(kinds.into_iter().map(|(kind, votes)| (kind.clone(), of_type(kind.1, &votes))).collect())
    }

    /// What is known of one kind of task.
    #[must_use]
    pub fn of(&self, task_type: &str, n_candidates: usize) -> Option<&OfType> {
        self.0.get(&(task_type.to_owned(), n_candidates))
    }
}

fn of_type(n_candidates: usize, votes: &[&DecidedVote]) -> OfType {
    let labels = labels(n_candidates);
    let place = |word: &str| labels.iter().position(|label| label.as_ref() == word);
    let mut tasks: BTreeMap<&str, (Option<usize>, u64)> = BTreeMap::new();
    let mut tables: HashMap<String, Vec<u32>> = HashMap::new();
    for vote in votes {
        let decided = vote.decided.as_deref().and_then(place);
        tasks.entry(&vote.task_id).or_insert((decided, 0)).1 += 1;
        let table = tables.entry(vote.rater_id.clone()).or_insert_with(|| vec![0; labels.len() * labels.len()]);
        if let (Some(decided), Some(given)) = (decided, place(&vote.given))
            && let Some(cell) = table.get_mut(decided * labels.len() + given)
        {
            *cell += 1;
        }
    }
    let mut decided = vec![0; labels.len()];
    for label in tasks.values().filter_map(|(label, _)| *label) {
        if let Some(count) = decided.get_mut(label) {
            *count += 1;
        }
    }
    let mut per_rater: Vec<u64> = tables.values().map(|table| table.iter().map(|n| u64::from(*n)).sum()).collect();
    per_rater.sort_unstable();
    let size = DataSize {
        tasks: tasks.len() as u64,
        overlapping: tasks.values().filter(|(_, judgments)| *judgments >= 2).count() as u64,
        median_judgments: per_rater.get(per_rater.len() / 2).copied().unwrap_or(0),
    };
    OfType { size, decided, tables }
}

/// The evidence of this process, replaced as a whole.
#[derive(Debug, Clone, Default)]
pub struct Known(Arc<RwLock<Arc<Evidence>>>);

impl Known {
    /// As it is now.
    #[must_use]
    pub fn now(&self) -> Arc<Evidence> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the place of what was known.
    pub fn replace(&self, evidence: Evidence) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(evidence);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn answers_are_counted_against_decisions() {
        let vote = |task: &str, rater: &str, given: &str, decided: &str| DecidedVote {
            task_id: task.to_owned(),
            task_type: "plan_quality".to_owned(),
            has_third: false,
            rater_id: rater.to_owned(),
            given: given.to_owned(),
            decided: Some(decided.to_owned()),
        };
        let votes = [
            vote("t1", "r1", "candidate_a", "candidate_a"),
            vote("t1", "r2", "candidate_b", "candidate_a"),
            vote("t2", "r1", "tie", "tie"),
            vote("t2", "r2", "unsure", "tie"),
        ];
        let evidence = Evidence::from_votes(&votes);
        let known = evidence.of("plan_quality", 2).unwrap();
        assert_eq!((known.size.tasks, known.size.overlapping, known.decided.clone()), (2, 2, vec![1, 0, 1, 0]));
        assert_eq!(known.tables["r1"][0], 1);
        assert_eq!(known.tables["r2"].iter().sum::<u32>(), 1, "unsure is no vote");
        assert!(evidence.of("plan_quality", 3).is_none());
    }
}
