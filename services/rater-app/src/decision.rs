//! When a task is decided: the posterior of the votes, by the method that the amount of data can carry, against a threshold. No I/O.

use domain::task::{Choice, TaskStatus};
use learning::consensus::online::{self, DataSize, RaterEvidence, Vote};
use learning::judgment::GoldRecord;
use serde_json::{Map, Value, json};
use storage::consensus::NewConsensus;
use storage::judgments::Opinion;
use storage::raters::Rater;

use crate::evidence::OfType;

/// What the votes of a task come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Where the task stands.
    pub status: TaskStatus,
    /// Judgments wanted from now on: one more than there are, when those leave the answer open and more may be asked for.
    pub required: i32,
    /// What is stored about it; `None` without judgments.
    pub consensus: Option<NewConsensus>,
}

/// The judgments of one task, and what it takes to decide it.
#[derive(Debug, Clone, Copy)]
pub struct Votes<'a> {
    /// The task.
    pub task_id: &'a str,
    /// How many candidates it has.
    pub n_candidates: usize,
    /// Judgments wanted so far.
    pub required: i32,
    /// Judgments that may be asked for at most.
    pub at_most: i32,
    /// Its judgments.
    pub judgments: &'a [Opinion],
    /// The raters who gave them.
    pub raters: &'a [Rater],
    /// What earlier decisions on such tasks say.
    pub known: Option<&'a OfType>,
}

/// From which posterior probability on a task is decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bars {
    /// With all judgments in.
    pub threshold: f64,
    /// While more judgments may be asked for.
    pub enough: f64,
}

/// Decides. "Unsure" is an abstention: it counts as a judgment and not as a vote. Somebody's escalation comes before all else; then
/// the posterior of the most probable choice must be enough with the judgments wanted so far. If it is not, one more is wanted, and when
/// no more may be asked for, the threshold or an expert decides.
#[must_use]
pub fn decide(votes: &Votes<'_>, bars: Bars) -> Decision {
    let labels = labels(votes.n_candidates);
    let cast: Vec<Vote<'_>> = votes.judgments.iter().filter_map(|judgment| vote(judgment, votes, &labels)).collect();
    let (size, decided) = votes.known.map_or((DataSize::default(), [].as_slice()), |known| (known.size, known.decided.as_slice()));
    let online::Decision { label, posterior, method } = online::decide(&cast, labels.len(), decided, size);
    let winner = label.and_then(|label| usize::try_from(label).ok());
    let choice = winner.and_then(|label| labels.get(label)).copied();
    let probability = winner.and_then(|label| posterior.get(label)).copied();
    let count = i32::try_from(votes.judgments.len()).unwrap_or(i32::MAX);
    let bar = if count < votes.at_most { bars.enough } else { bars.threshold };
    let is_clear = probability.is_some_and(|probability| probability >= bar);
    let mut required = votes.required;
    let status = if votes.judgments.iter().any(|judgment| judgment.is_escalated) {
        TaskStatus::Escalated
    } else if count < votes.required {
        TaskStatus::InProgress
    } else if is_clear {
        TaskStatus::Completed
    } else if count < votes.at_most {
        required = count + 1;
        TaskStatus::InProgress
    } else {
        TaskStatus::ExpertReview
    };
    let agreeing = votes.judgments.iter().filter(|judgment| choice.is_some_and(|choice| judgment.choice == choice.as_ref())).count();
    let by_choice: Map<String, Value> = labels.iter().zip(&posterior).map(|(label, p)| (label.as_ref().to_owned(), json!(p))).collect();
    let is_final = status == TaskStatus::Completed;
    let consensus = (count > 0).then(|| NewConsensus {
        task_id: votes.task_id.to_owned(),
        choice: choice.map(|choice| choice.as_ref().to_owned()),
        posterior: probability,
        posteriors: Value::Object(if cast.is_empty() { Map::new() } else { by_choice }),
        method: method.to_string(),
        judgments_count: count,
        agreement: choice.map(|_| agreeing as f64 / cast.len() as f64),
        is_final,
        decided_by: is_final.then(|| "raters".to_owned()),
        rationale: None,
    });
    Decision { status, required, consensus }
}

/// The choices that can be a decision: the candidates, tie and both bad.
#[must_use]
pub fn labels(n_candidates: usize) -> Vec<Choice> {
    (0..n_candidates).filter_map(Choice::of_candidate).chain([Choice::Tie, Choice::BothBad]).collect()
}

/// A judgment with what is known of its rater: golden items, calibration included, and earlier decisions.
fn vote<'a>(judgment: &Opinion, votes: &Votes<'a>, labels: &[Choice]) -> Option<Vote<'a>> {
    let label = labels.iter().position(|label| label.as_ref() == judgment.choice)?;
    let rater = votes.raters.iter().find(|rater| rater.rater_id == judgment.rater_id);
    let count = |n: i32| n.max(0).unsigned_abs();
    let record = |correct: fn(&Rater) -> i32, total: fn(&Rater) -> i32| {
        rater.map_or(GoldRecord::default(), |rater| GoldRecord { correct: count(correct(rater)), total: count(total(rater)) })
    };
    let evidence = RaterEvidence {
        gold: record(|rater| rater.golden_correct, |rater| rater.golden_total),
        agreement: record(|rater| rater.consensus_agreed, |rater| rater.consensus_total),
        confusion: votes.known.and_then(|known| known.tables.get(&judgment.rater_id)).map(Vec::as_slice),
    };
    Some(Vote { rater: evidence, label: u32::try_from(label).ok()? })
}
