//! A rater's own judgments with what became of them, newest first.
//!
//! A golden item among the work looks like any other: it waits until the task that it was given instead of is decided (two days, where
//! there was none), and then the expert's answer is what it came to. What never came to anything would be golden. Calibration items tell it
//! at once, because the expert's answer was shown.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;

use crate::connection::Connection;
use crate::error::StorageError;
use crate::judgments::Judgment;
use crate::on;
use crate::schema::{
    golden_set_items as golden, judgments as t, rating_tasks as tasks, task_assignments as assignments, task_consensus as consensus,
};
use crate::types::Timestamp;

/// What became of a judgment, as its rater may know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Not decided yet.
    Waiting,
    /// The task was decided in the same way.
    Agreed,
    /// The task was decided otherwise.
    Differed,
    /// An expert decided the task.
    Expert,
    /// It was a calibration item.
    Calibration,
}

impl Outcome {
    /// All of them, in the order in which people look for them.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Agreed, Self::Differed, Self::Expert, Self::Calibration];

    /// The word in addresses and answers.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Agreed => "agreed",
            Self::Differed => "differed",
            Self::Expert => "expert",
            Self::Calibration => "calibration",
        }
    }

    /// From its word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.word() == word)
    }
}

/// Which judgments are wanted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistoryFilter {
    /// Of this task type.
    pub task_type: Option<String>,
    /// With this outcome.
    pub outcome: Option<Outcome>,
}

/// How long a golden item waits that was given instead of no task.
const SETTLES_AFTER: TimeDelta = TimeDelta::hours(48);

/// Sort keys of a row: newest first.
pub type HistoryKey = (DateTime<Utc>, i64);

/// A judgment with its task and what became of it. Choices are in the stored order.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct OwnJudgment {
    key: i64,
    /// The judgment.
    pub judgment: Judgment,
    /// Task type word.
    pub task_type: String,
    /// Title of the task.
    pub title: String,
    /// `work`, `golden` or `calibration`.
    pub purpose: String,
    /// What the task came to, when it is decided: see [`OwnJudgment::decision`].
    decided: Option<String>,
    /// The expert's answer and reason on a golden item: see [`OwnJudgment::expert_answer`].
    answer: Option<(String, String)>,
    /// Whether a golden item looks decided by now.
    has_settled: bool,
}

impl OwnJudgment {
    /// What the task came to, as its rater may know it; none for calibration items.
    #[must_use]
    pub fn decision(&self) -> Option<&str> {
        match self.purpose.as_str() {
            "work" => self.decided.as_deref(),
            "golden" => self.answer.as_ref().filter(|_| self.has_settled).map(|(choice, _)| choice.as_str()),
            _ => None,
        }
    }

    /// The expert's answer and reason, after a calibration item.
    #[must_use]
    pub fn expert_answer(&self) -> Option<(&str, &str)> {
        self.answer.as_ref().filter(|_| self.purpose == "calibration").map(|(choice, reason)| (choice.as_str(), reason.as_str()))
    }

    /// What became of it.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match (self.purpose.as_str(), self.judgment.expert_reviewed, self.decision()) {
            ("calibration", _, _) => Outcome::Calibration,
            ("work", true, _) => Outcome::Expert,
            (_, _, Some(decision)) if decision == self.judgment.choice => Outcome::Agreed,
            (_, _, Some(_)) => Outcome::Differed,
            _ => Outcome::Waiting,
        }
    }

    /// Its sort keys.
    #[must_use]
    pub fn key(&self) -> HistoryKey {
        (self.judgment.created_at.0, self.key)
    }
}

/// Up to `limit` judgments of a rater, newest first, older than `after`.
///
/// # Errors
/// As any query.
pub fn of_rater(
    conn: &mut Connection,
    rater_id: &str,
    filter: &HistoryFilter,
    after: Option<HistoryKey>,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Vec<OwnJudgment>, StorageError> {
    let long_ago = Timestamp(now - SETTLES_AFTER);
    Ok(on!(conn, c => {
        let stood_for = diesel::alias!(crate::schema::task_consensus as stood_for);
        let of_stand_in = stood_for.field(consensus::task_id).nullable().eq(assignments::stands_for);
        let has_settled = stood_for
            .field(consensus::id)
            .nullable()
            .is_not_null()
            .or(assignments::stands_for.is_null().and(t::created_at.lt(long_ago)));
        let mut query = t::table
            .inner_join(tasks::table.on(tasks::task_id.eq(t::task_id)))
            .inner_join(assignments::table.on(assignments::assignment_id.eq(t::assignment_id)))
            .left_join(consensus::table.on(consensus::task_id.eq(t::task_id).and(consensus::is_final.eq(true))))
            .left_join(golden::table.on(golden::task_id.eq(t::task_id)))
            .left_join(stood_for.on(of_stand_in.and(stood_for.field(consensus::is_final).eq(true))))
            .filter(t::rater_id.eq(rater_id))
            .order((t::created_at.desc(), t::id.desc()))
            .limit(limit)
            .select((
                t::id,
                Judgment::as_select(),
                tasks::task_type,
                tasks::title,
                assignments::purpose,
                consensus::choice.nullable(),
                (golden::expert_choice, golden::expert_rationale).nullable(),
                has_settled,
            ))
            .into_boxed();
        if let Some((at, id)) = after {
            query = query.filter(t::created_at.lt(Timestamp(at)).or(t::created_at.eq(Timestamp(at)).and(t::id.lt(id))));
        }
        if let Some(word) = &filter.task_type {
            query = query.filter(tasks::task_type.eq(word));
        }
        let is_work = assignments::purpose.eq("work");
        let is_golden = assignments::purpose.eq("golden");
        let by_raters = is_work.and(t::expert_reviewed.eq(false));
        match filter.outcome {
            None => {}
            Some(Outcome::Calibration) => query = query.filter(assignments::purpose.eq("calibration")),
            Some(Outcome::Expert) => query = query.filter(is_work.and(t::expert_reviewed.eq(true))),
            Some(Outcome::Agreed) => {
                let as_golden = is_golden.and(has_settled).and(golden::expert_choice.eq(t::choice));
                query = query.filter(as_golden.or(by_raters.and(consensus::choice.eq(t::choice.nullable()))));
            }
            Some(Outcome::Differed) => {
                let as_golden = is_golden.and(has_settled).and(golden::expert_choice.ne(t::choice));
                query = query.filter(as_golden.or(by_raters.and(consensus::choice.ne(t::choice.nullable()))));
            }
            Some(Outcome::Waiting) => {
                query = query.filter(is_golden.and(diesel::dsl::not(has_settled)).or(by_raters.and(consensus::choice.is_null())));
            }
        }
        query.load(c)
    })?)
}

/// Calibration answers of a rater in the order given: task type, and whether it equals the expert's. At most `limit`.
///
/// # Errors
/// As any query.
pub fn calibration_answers(conn: &mut Connection, rater_id: &str, limit: i64) -> Result<Vec<(String, bool)>, StorageError> {
    let rows: Vec<(String, Option<bool>)> = on!(conn, c => t::table
        .inner_join(tasks::table.on(tasks::task_id.eq(t::task_id)))
        .inner_join(assignments::table.on(assignments::assignment_id.eq(t::assignment_id)))
        .filter(t::rater_id.eq(rater_id).and(assignments::purpose.eq("calibration")))
        .order(t::id)
        .limit(limit)
        .select((tasks::task_type, t::matches_golden))
        .load(c))?;
    Ok(rows.into_iter().map(|(task_type, matches)| (task_type, matches == Some(true))).collect())
}

/// The newest calibration answers of a rater on a task type that count: at most `limit` judgments.
///
/// # Errors
/// As any query.
pub fn newest_in_calibration(conn: &mut Connection, rater_id: &str, task_type: &str, limit: i64) -> Result<Vec<String>, StorageError> {
    Ok(on!(conn, c => t::table
        .inner_join(tasks::table.on(tasks::task_id.eq(t::task_id)))
        .inner_join(assignments::table.on(assignments::assignment_id.eq(t::assignment_id)))
        .filter(t::rater_id.eq(rater_id).and(t::matches_golden.is_not_null()))
        .filter(tasks::task_type.eq(task_type).and(assignments::purpose.eq("calibration")))
        .order(t::id.desc())
        .limit(limit)
        .select(t::judgment_id)
        .load(c))?)
}

/// Whether each golden answer of a rater among work of a task type equals the expert's, in the order given: the newest `limit` since an instant.
///
/// # Errors
/// As any query.
pub fn golden_answers(
    conn: &mut Connection,
    rater_id: &str,
    task_type: &str,
    since: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<bool>, StorageError> {
    let since = Timestamp(since.unwrap_or(DateTime::UNIX_EPOCH));
    let rows: Vec<Option<bool>> = on!(conn, c => t::table
        .inner_join(tasks::table.on(tasks::task_id.eq(t::task_id)))
        .inner_join(assignments::table.on(assignments::assignment_id.eq(t::assignment_id)))
        .filter(t::rater_id.eq(rater_id).and(t::created_at.ge(since)).and(t::matches_golden.is_not_null()))
        .filter(tasks::task_type.eq(task_type).and(assignments::purpose.eq("golden")))
        .order(t::id.desc())
        .limit(limit)
        .select(t::matches_golden)
        .load(c))?;
    Ok(rows.into_iter().rev().map(|matches| matches == Some(true)).collect())
}
