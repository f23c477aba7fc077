//! Taking the judgments of a rater out of the count, so that their tasks are judged again, and giving them back. One transaction for each
//! judgment, in the order of locks that recording keeps (task, raters); what was begun and not finished is gone on with by the job.

use chrono::{DateTime, TimeDelta, Utc};
use domain::task::Choice;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::integrity::voiding::{self as stored, Place};
use storage::integrity::{self, Action};
use storage::judgments::{self, Judgment};
use storage::outbox;
use storage::raters::{self, Answer, Step};
use storage::tasks::{self, TaskState};

use crate::assignments::rules_now;
use crate::dispatch::Rules;
use crate::progress::{self, Change};
use crate::state::State;

/// Judgments listed at once.
const BATCH: i64 = 50;
/// Batches in one go; the job goes on with the rest.
const MOST_BATCHES: usize = 20;

/// What became of one judgment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Became {
    /// Taken out of the count, or given back.
    Changed,
    /// As before: gone, changed already, or its place was taken in between.
    Kept,
    /// The action was reversed in between: the rest is as well.
    Stopped,
}

/// Voids what an action voids, or once it is reversed gives back what it had voided: at most 1,000 judgments in one go. How many changed.
///
/// # Errors
/// As any query.
pub async fn go_on(state: &State, action: &Action) -> Result<usize, StorageError> {
    if action.kind != "void" || action.finished_at.is_some() {
        return Ok(0);
    }
    let (is_reversed, mut changed, mut after) = (action.reversed_at.is_some(), 0, 0);
    for _ in 0..MOST_BATCHES {
        let places = next_places(state, action, &mut after).await?;
        let is_last = places.len() < usize::try_from(BATCH).unwrap_or(usize::MAX);
        for place in places {
            let (action_id, now) = (action.action_id.clone(), state.clock.now());
            let rules = rules_now(state);
            let became = state.storage.transaction(move |tx| {
                if is_reversed { restore_one(tx, &action_id, &place, &rules, now) } else { void_one(tx, &action_id, &place, &rules, now) }
            });
            match became.await? {
                Became::Changed => changed += 1,
                Became::Kept => {}
                Became::Stopped => return Ok(changed),
            }
        }
        if is_last {
            let (action_id, now) = (action.action_id.clone(), state.clock.now());
            state.storage.transaction(move |tx| stored::finish(tx, &action_id, is_reversed, now)).await?;
            break;
        }
    }
    if changed > 0 {
        state.after_commit();
    }
    Ok(changed)
}

async fn next_places(state: &State, action: &Action, after: &mut i64) -> Result<Vec<Place>, StorageError> {
    let (action, from_key) = (action.clone(), *after);
    if action.reversed_at.is_some() {
        let found = state.storage.read(move |conn| stored::voided_by(conn, &action.action_id, from_key, BATCH)).await?;
        *after = found.last().map_or(from_key, |(key, _)| *key);
        return Ok(found.into_iter().map(|(_, place)| place).collect());
    }
    let window = TimeDelta::from_std(state.settings.rating.integrity.void_window).unwrap_or(TimeDelta::days(7));
    let to = action.created_at.0;
    state.storage.read(move |conn| stored::counted(conn, &action.rater_id, to - window, to, BATCH)).await
}

/// The task, the raters of its judgments and this one, its judgments that count, the action, and the rater it is about.
type Locked = (TaskState, Vec<raters::Rater>, Vec<Judgment>, Action, raters::Rater);

/// Locks the task, then all raters of its judgments and this one, then the action.
fn lock_for(tx: &mut Connection, action_id: &str, place: &Place) -> Result<Locked, StorageError> {
    let (_, task_id) = place;
    let rater_id = integrity::find(tx, action_id)?.rater_id;
    let task = tasks::lock_state(tx, task_id)?;
    let given = judgments::of_task(tx, task_id)?;
    let mut ids: Vec<String> = given.iter().map(|judgment| judgment.rater_id.clone()).chain([rater_id.clone()]).collect();
    ids.sort_unstable();
    ids.dedup();
    let locked = raters::lock_all(tx, &ids)?;
    let rater = locked.iter().find(|rater| rater.rater_id == rater_id).cloned();
    let rater = rater.ok_or_else(|| StorageError::not_found("rater", &rater_id))?;
    let action = integrity::lock(tx, action_id)?;
    Ok((task, locked, given, action, rater))
}

fn void_one(tx: &mut Connection, action_id: &str, place: &Place, rules: &Rules, now: DateTime<Utc>) -> Result<Became, StorageError> {
    let (mut task, locked, given, action, rater) = lock_for(tx, action_id, place)?;
    if action.reversed_at.is_some() {
        return Ok(Became::Stopped);
    }
    let Some(judgment) = given.iter().find(|judgment| judgment.judgment_id == place.0) else { return Ok(Became::Kept) };
    match task.status.as_str() {
        // Decided by raters: decided again when somebody else has judged in this one's place. When the decision was passed on already, the
        // next one follows it.
        "completed" => {
            judgments::withdraw_decision(tx, &task.task_id)?;
            let opinions = judgments::opinions(tx, &task.task_id)?;
            progress::note_decision(tx, &task.task_id, &opinions, Step::Back, now)?;
            task.status = "in_progress".to_owned();
        }
        "validated" => note_own_decision(tx, &task, judgment, Step::Back, now)?,
        _ => {}
    }
    stored::set(tx, &judgment.judgment_id, Some(action_id), now)?;
    let rater = raters::find(tx, &rater.rater_id)?;
    raters::note_answer(tx, &rater, &answer_of(judgment, &task), Step::Back, now)?;
    stored::add(tx, action_id, 1)?;
    recount(tx, &task, &locked, Step::Back, rules, now)?;
    Ok(Became::Changed)
}

fn restore_one(tx: &mut Connection, action_id: &str, place: &Place, rules: &Rules, now: DateTime<Utc>) -> Result<Became, StorageError> {
    let (task, locked, _, action, rater) = lock_for(tx, action_id, place)?;
    if action.reversed_at.is_none() {
        return Ok(Became::Stopped);
    }
    let (judgment_id, task_id) = place;
    let taken = i64::from(task.judgments_count) + stored::leases_of_others(tx, task_id, &rater.rater_id)?;
    let has_room =
        (storage::queue::is_open_status(&task.status) || task.status == "validated") && taken < i64::from(task.required_judgments);
    if !has_room || stored::counts(tx, judgment_id)? != Some(false) {
        return Ok(Became::Kept);
    }
    stored::set(tx, judgment_id, None, now)?;
    let judgment = judgments::find_of_rater(tx, &rater.rater_id, judgment_id)?;
    raters::note_answer(tx, &rater, &answer_of(&judgment, &task), Step::Forward, now)?;
    if task.status == "validated" {
        note_own_decision(tx, &task, &judgment, Step::Forward, now)?;
    }
    stored::add(tx, action_id, -1)?;
    recount(tx, &task, &locked, Step::Forward, rules, now)?;
    Ok(Became::Changed)
}

/// Counts the judgments of a locked task again, moves it on or opens it again, and tells of it. The raters of its judgments are locked too.
///
/// # Errors
/// As any query.
pub fn recount(
    tx: &mut Connection,
    task: &TaskState,
    raters: &[raters::Rater],
    step: Step,
    rules: &Rules,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let given = judgments::opinions(tx, &task.task_id)?;
    let decided = progress::move_on(tx, task, &Change { given: &given, raters, leases: 0, at_most: None, step }, rules, now)?;
    if let Some(event) = decided {
        outbox::push(tx, &event, now)?;
    }
    crate::tasks::announce(tx, &task.task_type, now)
}

/// An expert's decision stands; only this rater's record of agreeing with it changes.
fn note_own_decision(
    tx: &mut Connection,
    task: &TaskState,
    judgment: &Judgment,
    step: Step,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let decided =
        storage::consensus::find(tx, &task.task_id)?.filter(|consensus| consensus.is_final).and_then(|consensus| consensus.choice);
    let Some(choice) = decided.filter(|_| judgment.choice != Choice::Unsure.as_ref()) else { return Ok(()) };
    raters::note_decision(tx, &[judgment.rater_id.as_str()], judgment.choice == choice, step, now)
}

fn answer_of(judgment: &Judgment, task: &TaskState) -> Answer {
    Answer {
        task_type: task.task_type.clone(),
        confidence: judgment.confidence,
        time_spent_seconds: judgment.time_spent_seconds,
        matches_golden: None,
        in_calibration: false,
    }
}
