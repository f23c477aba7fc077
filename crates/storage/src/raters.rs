//! Rater profiles: who judges, and the record that weighs their judgments.

mod judges;
mod marks;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Double, Nullable};
use serde_json::{Map, Value, json};

use crate::batch::{Batch, Must, enter};
use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::prepared::change;
use crate::schema::rater_profiles as t;
use crate::types::{Json, Timestamp};
use crate::version::{AsSeen, Version};
use crate::{lock, on};

pub use judges::lock_judges;
pub(crate) use judges::{Said, in_order};
pub use marks::take_mark;

/// A stored profile.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = t)]
pub struct Rater {
    /// Primary key.
    pub id: i64,
    /// Public id.
    pub rater_id: String,
    /// Pseudonym that others see.
    pub name: String,
    /// E-mail address, when known.
    pub email: Option<String>,
    /// Judgments given and not taken back.
    pub total_judgments: i32,
    /// Golden items answered as the expert did, calibration included.
    pub golden_correct: i32,
    /// Golden items answered, calibration included.
    pub golden_total: i32,
    /// `golden_correct / golden_total`; null without golden items.
    pub golden_set_accuracy: Option<f64>,
    /// Judgments of decided tasks that equal the decision.
    pub consensus_agreed: i32,
    /// Judgments of decided tasks.
    pub consensus_total: i32,
    /// `consensus_agreed / consensus_total`; null without decided tasks.
    pub inter_rater_agreement: Option<f64>,
    /// Mean of the stated confidences.
    pub avg_confidence: Option<f64>,
    /// Mean time spent on a task, in seconds.
    pub avg_time_per_task_seconds: Option<f64>,
    /// Task types this rater likes, a list of words.
    pub preferred_task_types: Json,
    /// By task type: `{judgments, golden_correct, golden_total}`.
    pub reliability_by_task_type: Json,
    /// Calibration items answered correctly.
    pub calibration_correct: i32,
    /// Calibration items answered.
    pub calibration_total: i32,
    /// Whether the rater may work.
    pub is_active: bool,
    /// Whether calibration was passed for some task type, or is not needed.
    pub is_calibrated: bool,
    /// Whether this is a program that says so.
    pub is_simulated: bool,
    /// Whether the rater may work without calibration.
    pub is_exempt: bool,
    /// Whether others see the name; else they see an alias.
    pub shows_name: bool,
    /// How much more often golden items come than usual.
    pub golden_rate_factor: f64,
    /// When calibration was passed.
    pub calibration_date: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// A profile to store.
#[derive(Debug, Clone)]
pub struct NewRater {
    /// Pseudonym.
    pub name: String,
    /// E-mail address.
    pub email: Option<String>,
    /// A program's.
    pub is_simulated: bool,
    /// Passed from the beginning: experts and administrators.
    pub is_calibrated: bool,
}

/// One judgment as it enters, or with [`Step::Back`] leaves, a rater's record.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Task type word.
    pub task_type: String,
    /// Stated confidence, 0 to 1.
    pub confidence: f64,
    /// Time spent, in seconds.
    pub time_spent_seconds: f64,
    /// On a golden item: whether it equals the expert's choice.
    pub matches_golden: Option<bool>,
    /// Whether it was given in calibration.
    pub in_calibration: bool,
}

/// Whether something enters a record or is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Enters.
    Forward,
    /// Is taken back.
    Back,
}

impl Step {
    fn sign(self) -> i32 {
        match self {
            Self::Forward => 1,
            Self::Back => -1,
        }
    }
}

/// Stores a profile.
///
/// # Errors
/// As any query.
pub fn insert(conn: &mut Connection, new: &NewRater, now: DateTime<Utc>) -> Result<Rater, StorageError> {
    let rater_id = domain::id::new("rtr");
    let row = (
        t::rater_id.eq(&rater_id),
        t::name.eq(&new.name),
        t::email.eq(new.email.as_deref()),
        (
            t::total_judgments.eq(0),
            t::golden_correct.eq(0),
            t::golden_total.eq(0),
            t::consensus_agreed.eq(0),
            t::consensus_total.eq(0),
            t::calibration_correct.eq(0),
            t::calibration_total.eq(0),
        ),
        t::preferred_task_types.eq(Json(json!([]))),
        t::reliability_by_task_type.eq(Json(json!({}))),
        t::is_active.eq(true),
        t::is_calibrated.eq(new.is_calibrated),
        t::is_simulated.eq(new.is_simulated),
        t::is_exempt.eq(new.is_calibrated),
        t::shows_name.eq(false),
        t::calibration_date.eq(new.is_calibrated.then_some(Timestamp(now))),
        t::created_at.eq(Timestamp(now)),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))
        .on_unique("already_exists", || format!("a rater profile {rater_id:?} exists"))?;
    find(conn, &rater_id)
}

/// One profile.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find(conn: &mut Connection, rater_id: &str) -> Result<Rater, StorageError> {
    let found: Option<Rater> = on!(conn, c => t::table.filter(t::rater_id.eq(rater_id)).select(Rater::as_select()).first(c).optional())?;
    found.ok_or_else(|| StorageError::not_found("rater", rater_id))
}

/// Several profiles, locked until the transaction ends, always in the same order so that two transactions never wait for each other.
///
/// # Errors
/// As any query.
pub fn lock_all(conn: &mut Connection, rater_ids: &[String]) -> Result<Vec<Rater>, StorageError> {
    if let [one] = rater_ids {
        // The common case, and a statement that is prepared once.
        return lock_one(conn, one).map(|rater| vec![rater]);
    }
    Ok(lock!(conn, t::table.filter(t::rater_id.eq_any(rater_ids)).order(t::rater_id).select(Rater::as_select()) => Rater)?)
}

/// One profile, locked until the transaction ends.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn lock_one(conn: &mut Connection, rater_id: &str) -> Result<Rater, StorageError> {
    let found: Vec<Rater> = lock!(conn, t::table.filter(t::rater_id.eq(rater_id)).select(Rater::as_select()) => Rater)?;
    found.into_iter().next().ok_or_else(|| StorageError::not_found("rater", rater_id))
}

/// Several profiles, without a lock.
///
/// # Errors
/// As any query.
pub fn find_all(conn: &mut Connection, rater_ids: &[String]) -> Result<Vec<Rater>, StorageError> {
    Ok(on!(conn, c => t::table.filter(t::rater_id.eq_any(rater_ids)).order(t::rater_id).select(Rater::as_select()).load(c))?)
}

/// Ends the exemption from calibration of a rater: from now on the tests of the task types say what the rater may judge.
///
/// # Errors
/// As any query.
pub fn end_exemption(conn: &mut Connection, rater_id: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let changes = (t::is_exempt.eq(false), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::update(t::table.filter(t::rater_id.eq(rater_id))).set(changes).execute(c))?;
    Ok(())
}

/// Whether others see a rater's name.
///
/// # Errors
/// As any query.
pub fn show_name(conn: &mut Connection, rater_id: &str, shows_name: bool, now: DateTime<Utc>) -> Result<(), StorageError> {
    let changes = (t::shows_name.eq(shows_name), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::update(t::table.filter(t::rater_id.eq(rater_id))).set(changes).execute(c))?;
    Ok(())
}

/// Renames a profile.
///
/// # Errors
/// As any query.
pub fn rename(conn: &mut Connection, rater_id: &str, name: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let changes = (t::name.eq(name), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::update(t::table.filter(t::rater_id.eq(rater_id))).set(changes).execute(c))?;
    Ok(())
}

/// Enters one judgment into the record of a rater, or takes it back. `rater` must be locked by this transaction.
///
/// # Errors
/// As any query.
pub fn note_answer(conn: &mut Connection, rater: &Rater, answer: &Answer, step: Step, now: DateTime<Utc>) -> Result<Rater, StorageError> {
    let after = after_answer(rater, answer, step, now);
    let changes = (
        t::total_judgments.eq(after.total_judgments),
        t::golden_correct.eq(after.golden_correct),
        t::golden_total.eq(after.golden_total),
        t::golden_set_accuracy.eq(after.golden_set_accuracy),
        t::calibration_correct.eq(after.calibration_correct),
        t::calibration_total.eq(after.calibration_total),
        t::avg_confidence.eq(after.avg_confidence),
        t::avg_time_per_task_seconds.eq(after.avg_time_per_task_seconds),
        t::reliability_by_task_type.eq(after.reliability_by_task_type.clone()),
        t::updated_at.eq(after.updated_at),
    );
    on!(conn, c => change(t::table, t::id.eq(rater.id), changes).execute(c))?;
    Ok(after)
}

/// A rater's record after one judgment has entered it, or left it.
#[must_use]
pub fn after_answer(rater: &Rater, answer: &Answer, step: Step, now: DateTime<Utc>) -> Rater {
    let sign = step.sign();
    let before = rater.total_judgments;
    let is_golden = i32::from(answer.matches_golden.is_some());
    let is_right = i32::from(answer.matches_golden == Some(true));
    let in_calibration = i32::from(answer.in_calibration);
    let golden_correct = (rater.golden_correct + sign * is_right).max(0);
    let golden_total = (rater.golden_total + sign * is_golden).max(0);
    Rater {
        total_judgments: (before + sign).max(0),
        golden_correct,
        golden_total,
        golden_set_accuracy: share(golden_correct, golden_total),
        calibration_correct: (rater.calibration_correct + sign * is_right * in_calibration).max(0),
        calibration_total: (rater.calibration_total + sign * in_calibration).max(0),
        avg_confidence: mean_after(rater.avg_confidence, before, answer.confidence, step),
        avg_time_per_task_seconds: mean_after(rater.avg_time_per_task_seconds, before, answer.time_spent_seconds, step),
        reliability_by_task_type: Json(by_task_type_after(&rater.reliability_by_task_type, answer, sign)),
        updated_at: Timestamp(now),
        ..rater.clone()
    }
}

/// A rater's record after the decision of a task that the rater judged.
#[must_use]
pub fn after_decision(rater: &Rater, agrees: bool, now: DateTime<Utc>) -> Rater {
    let (consensus_agreed, consensus_total) = (rater.consensus_agreed + i32::from(agrees), rater.consensus_total + 1);
    Rater {
        consensus_agreed,
        consensus_total,
        inter_rater_agreement: share(consensus_agreed, consensus_total),
        updated_at: Timestamp(now),
        ..rater.clone()
    }
}

/// Writes a record that was made from the row as this transaction has locked it, or of which the version is known: then nothing is changed
/// when the row was written since.
///
/// # Errors
/// As any query.
pub fn enter_record<'a>(
    conn: &mut Connection,
    batch: &mut Batch<'a>,
    after: &'a Rater,
    as_seen: Option<&'a Version>,
) -> Result<(), StorageError> {
    let changes = (
        t::total_judgments.eq(after.total_judgments),
        t::golden_correct.eq(after.golden_correct),
        t::golden_total.eq(after.golden_total),
        t::golden_set_accuracy.eq(after.golden_set_accuracy),
        t::consensus_agreed.eq(after.consensus_agreed),
        t::consensus_total.eq(after.consensus_total),
        t::inter_rater_agreement.eq(after.inter_rater_agreement),
        t::calibration_correct.eq(after.calibration_correct),
        t::calibration_total.eq(after.calibration_total),
        t::avg_confidence.eq(after.avg_confidence),
        t::avg_time_per_task_seconds.eq(after.avg_time_per_task_seconds),
        t::reliability_by_task_type.eq(&after.reliability_by_task_type),
        t::updated_at.eq(after.updated_at),
    );
    if let Some(version) = as_seen {
        let seen = AsSeen { filter: t::id.eq(after.id), table: "rater_profiles", version };
        batch.wait(Box::new(change(t::table, seen, changes)), Must::ChangeOne);
        return Ok(());
    }
    enter!(conn, batch, Must::ChangeOne, change(t::table, t::id.eq(after.id), changes)).map(drop)
}

/// Enters the decision of one task into the records of raters who all agree with it, or all do not; or takes it back. The raters must be
/// locked.
///
/// # Errors
/// As any query.
pub fn note_decision(conn: &mut Connection, rater_ids: &[&str], agrees: bool, step: Step, now: DateTime<Utc>) -> Result<(), StorageError> {
    if rater_ids.is_empty() {
        return Ok(());
    }
    let (agreed, total) = (step.sign() * i32::from(agrees), step.sign());
    // First, because MySQL computes later columns from the new values of earlier ones; all three databases take the old ones here.
    let share =
        format!("CASE WHEN consensus_total + {total} > 0 THEN (consensus_agreed + {agreed}) * 1e0 / (consensus_total + {total}) END");
    let changes = (
        t::inter_rater_agreement.eq(diesel::dsl::sql::<Nullable<Double>>(&share)),
        t::consensus_agreed.eq(t::consensus_agreed + agreed),
        t::consensus_total.eq(t::consensus_total + total),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::update(t::table.filter(t::rater_id.eq_any(rater_ids))).set(changes).execute(c))?;
    Ok(())
}

/// Notes that calibration was passed.
///
/// # Errors
/// As any query.
pub fn pass_calibration(conn: &mut Connection, rater_id: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let changes = (t::is_calibrated.eq(true), t::calibration_date.eq(Some(Timestamp(now))), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => diesel::update(t::table.filter(t::rater_id.eq(rater_id))).set(changes).execute(c))?;
    Ok(())
}

fn share(part: i32, whole: i32) -> Option<f64> {
    (whole > 0).then(|| f64::from(part) / f64::from(whole))
}

/// The mean of `before` values after one more, or one less.
#[must_use]
pub fn mean_after(mean: Option<f64>, before: i32, value: f64, step: Step) -> Option<f64> {
    let sum = mean.unwrap_or(0.0) * f64::from(before);
    match step {
        Step::Forward => Some((sum + value) / f64::from(before + 1)),
        Step::Back if before <= 1 => None,
        Step::Back => Some((sum - value) / f64::from(before - 1)),
    }
}

fn by_task_type_after(before: &Value, answer: &Answer, sign: i32) -> Value {
    let mut all: Map<String, Value> = before.as_object().cloned().unwrap_or_default();
    let entry = all.get(&answer.task_type).cloned().unwrap_or_default();
    let figure = |name: &str| entry.get(name).and_then(Value::as_i64).unwrap_or(0);
    let after = |name: &str, by: bool| (figure(name) + i64::from(sign) * i64::from(by)).max(0);
    let figures = json!({
        "judgments": after("judgments", true),
        "golden_correct": after("golden_correct", answer.matches_golden == Some(true)),
        "golden_total": after("golden_total", answer.matches_golden.is_some()),
    });
    all.insert(answer.task_type.clone(), figures);
    Value::Object(all)
}
