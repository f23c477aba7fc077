//! What must be true of the database, whatever raters did: asked with plain queries and counted again, not through the code under test.
//! Every function answers the breaches in words, so that a test shows all of them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use storage::connection::Connection;
use storage::on;
use storage::schema::{golden_set_items as golden, judgments as given, rater_profiles as raters, task_assignments as held};
use storage::schema::{rating_tasks as tasks, task_consensus as consensus};
use storage::types::{Instant, Json, Timestamp};

/// A judgment that a rater was told is recorded, and did not take back.
#[derive(Debug, Clone, PartialEq)]
pub struct Acknowledged {
    pub judgment_id: String,
    pub assignment_id: String,
    pub rater_id: String,
    /// As it was shown to the rater.
    pub choice: String,
}

/// One open task with one of its leases.
#[derive(QueryableByName)]
struct Slot {
    #[diesel(sql_type = Text)]
    task_id: String,
    #[diesel(sql_type = Integer)]
    required: i32,
    #[diesel(sql_type = Integer)]
    counted: i32,
    #[diesel(sql_type = BigInt)]
    given: i64,
    #[diesel(sql_type = Nullable<Instant>)]
    expires_at: Option<Timestamp>,
    /// What the queue counts; absent when the task is not open.
    #[diesel(sql_type = Nullable<Integer>)]
    queued_leases: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    queued_judgments: Option<i32>,
}

const SLOTS: &str = "SELECT t.task_id AS task_id, t.required_judgments AS required, t.judgments_count AS counted, \
     (SELECT COUNT(*) FROM judgments j WHERE j.task_id = t.task_id) AS given, a.expires_at AS expires_at, \
     q.open_leases AS queued_leases, q.judgments AS queued_judgments \
     FROM rating_tasks t LEFT JOIN task_queue q ON q.task_id = t.task_id LEFT JOIN task_assignments a ON a.task_id = t.task_id AND a.state = 'leased' AND a.purpose = 'work' \
     WHERE t.is_golden = FALSE";

/// At any moment: judgments and open leases of a task are together no more than it asks for, and its count is right. One statement, so
/// that it sees one moment; `now` is asked after it, so that no lease counts as open that was free to be taken.
pub fn slots(conn: &mut Connection, now: impl FnOnce() -> DateTime<Utc>) -> Vec<String> {
    let rows: Vec<Slot> = on!(conn, c => diesel::sql_query(SLOTS).load(c)).unwrap();
    let now = now();
    let mut by_task: BTreeMap<&str, Vec<&Slot>> = BTreeMap::new();
    for row in &rows {
        by_task.entry(&row.task_id).or_default().push(row);
    }
    let mut breaches = Vec::new();
    for (task, rows) in by_task {
        let Slot { required, counted, given, queued_leases, queued_judgments, .. } = *rows[0];
        let leased = rows.iter().filter(|row| row.expires_at.is_some()).count() as i64;
        let open = rows.iter().filter(|row| row.expires_at.is_some_and(|at| at.0 > now)).count() as i64;
        if given + open > i64::from(required) {
            breaches.push(format!("{task}: {given} judgments and {open} open leases for {required} slots"));
        }
        if i64::from(counted) != given || queued_judgments.is_some_and(|queued| i64::from(queued) != given) {
            breaches.push(format!("{task}: judgments_count {counted}, in the queue {queued_judgments:?}, but there are {given}"));
        }
        if queued_leases.is_some_and(|queued| i64::from(queued) != leased) {
            breaches.push(format!("{task}: the queue counts {queued_leases:?} leases, but there are {leased}"));
        }
    }
    breaches
}

/// How many judgments each task that is no golden item asks for and has, and its status.
pub fn progress(conn: &mut Connection) -> BTreeMap<String, (i32, i32, String)> {
    let rows: Vec<(String, i32, i32, String)> = on!(conn, c => tasks::table
        .filter(tasks::is_golden.eq(false))
        .select((tasks::task_id, tasks::required_judgments, tasks::judgments_count, tasks::status))
        .load(c))
    .unwrap();
    rows.into_iter().map(|(id, required, count, status)| (id, (required, count, status))).collect()
}

/// Tasks with a judgment that asks for an expert: they are given out no more.
pub fn escalated(conn: &mut Connection) -> BTreeSet<String> {
    let ids: Vec<String> = on!(conn, c => given::table.filter(given::is_escalated.eq(true)).select(given::task_id).load(c)).unwrap();
    ids.into_iter().collect()
}

/// Acknowledged judgments are there as they were given; with `is_all`, nothing else is.
pub fn promises(conn: &mut Connection, acknowledged: &[Acknowledged], is_all: bool) -> Vec<String> {
    type Row = (String, String, String, String, Json);
    let rows: Vec<Row> = on!(conn, c => given::table
        .select((given::judgment_id, given::assignment_id, given::rater_id, given::choice, given::display_order))
        .load(c))
    .unwrap();
    let stored: BTreeMap<String, Row> = rows.into_iter().map(|row| (row.0.clone(), row)).collect();
    let mut breaches = Vec::new();
    for promise in acknowledged {
        let found = stored.get(&promise.judgment_id).map(|(judgment_id, assignment_id, rater_id, choice, order)| Acknowledged {
            judgment_id: judgment_id.clone(),
            assignment_id: assignment_id.clone(),
            rater_id: rater_id.clone(),
            choice: shown(choice, order),
        });
        if found.as_ref() != Some(promise) {
            breaches.push(format!("acknowledged {promise:?}, stored {found:?}"));
        }
    }
    if is_all && stored.len() != acknowledged.len() {
        let known: BTreeSet<&String> = acknowledged.iter().map(|promise| &promise.judgment_id).collect();
        breaches.extend(stored.values().filter(|row| !known.contains(&row.0)).map(|row| format!("nobody was told of {row:?}")));
    }
    breaches
}

/// A stored choice as the rater saw it.
fn shown(choice: &str, order: &Json) -> String {
    const KEYS: [&str; 3] = ["candidate_a", "candidate_b", "candidate_c"];
    let Some(stored) = KEYS.iter().position(|key| *key == choice) else { return choice.to_owned() };
    let place = order.as_array().unwrap().iter().position(|place| place.as_u64() == Some(stored as u64));
    KEYS[place.unwrap()].to_owned()
}

struct Row {
    task_id: String,
    rater_id: String,
    assignment_id: String,
    choice: String,
    confidence: f64,
    matches: Option<bool>,
    purpose: String,
}

/// When nobody acts: every count equals what it counts, and nobody has a task twice.
pub fn books(conn: &mut Connection) -> Vec<String> {
    let rows = judgments(conn);
    let mut breaches = Vec::new();
    let mut pairs = BTreeSet::new();
    for row in &rows {
        if !pairs.insert((&row.task_id, &row.rater_id)) {
            breaches.push(format!("{} judged {} twice", row.rater_id, row.task_id));
        }
    }
    breaches.extend(assignments(conn, &rows));
    breaches.extend(records_of_raters(conn, &rows));
    breaches.extend(records_of_golden(conn, &rows));
    breaches.extend(decisions(conn, &rows));
    breaches
}

fn judgments(conn: &mut Connection) -> Vec<Row> {
    type Stored = (String, String, String, String, f64, Option<bool>, String);
    let rows: Vec<Stored> = on!(conn, c => given::table
        .inner_join(held::table.on(held::assignment_id.eq(given::assignment_id)))
        .select((given::task_id, given::rater_id, given::assignment_id, given::choice, given::confidence, given::matches_golden, held::purpose))
        .load(c))
    .unwrap();
    let row = |(task_id, rater_id, assignment_id, choice, confidence, matches, purpose)| Row {
        task_id,
        rater_id,
        assignment_id,
        choice,
        confidence,
        matches,
        purpose,
    };
    rows.into_iter().map(row).collect()
}

/// An assignment is submitted when and only when its judgment is there, and a rater has at most one for a task.
fn assignments(conn: &mut Connection, rows: &[Row]) -> Vec<String> {
    let stored: Vec<(String, String, String, String)> =
        on!(conn, c => held::table.select((held::assignment_id, held::task_id, held::rater_id, held::state)).load(c)).unwrap();
    let judged: BTreeSet<&String> = rows.iter().map(|row| &row.assignment_id).collect();
    let mut pairs = BTreeSet::new();
    let mut breaches = Vec::new();
    for (id, task, rater, state) in &stored {
        if !pairs.insert((task, rater)) {
            breaches.push(format!("{rater} was assigned {task} twice"));
        }
        if judged.contains(id) != (state == "submitted") {
            breaches.push(format!("assignment {id} is {state}, judged: {}", judged.contains(id)));
        }
    }
    breaches
}

fn records_of_raters(conn: &mut Connection, rows: &[Row]) -> Vec<String> {
    type Figures = (String, (i32, i32, i32, i32, i32), (i32, i32), Option<f64>);
    let stored: Vec<Figures> = on!(conn, c => raters::table
        .select((
            raters::rater_id,
            (raters::total_judgments, raters::golden_correct, raters::golden_total, raters::calibration_correct, raters::calibration_total),
            (raters::consensus_agreed, raters::consensus_total),
            raters::avg_confidence,
        ))
        .load(c))
    .unwrap();
    let decided = decided(conn);
    let mut breaches = Vec::new();
    for (rater, counts, agreement, confidence) in stored {
        let own: Vec<&Row> = rows.iter().filter(|row| row.rater_id == rater).collect();
        let count = |test: &dyn Fn(&Row) -> bool| i32::try_from(own.iter().filter(|row| test(row)).count()).unwrap();
        let right = |row: &Row| row.matches == Some(true);
        let in_calibration = |row: &Row| row.purpose == "calibration";
        let wanted = (
            count(&|_| true),
            count(&right),
            count(&|row| row.matches.is_some()),
            count(&|row| right(row) && in_calibration(row)),
            count(&in_calibration),
        );
        if counts != wanted {
            breaches.push(format!("{rater}: (total, golden right, golden, calibration right, calibration) {counts:?}, counted {wanted:?}"));
        }
        let voted = |row: &Row| row.choice != "unsure" && decided.contains_key(&row.task_id);
        let wanted = (count(&|row| voted(row) && decided.get(&row.task_id) == Some(&row.choice)), count(&voted));
        if agreement != wanted {
            breaches.push(format!("{rater}: (agreed, decided) {agreement:?}, counted {wanted:?}"));
        }
        let mean = (!own.is_empty()).then(|| own.iter().map(|row| row.confidence).sum::<f64>() / own.len() as f64);
        if !mean.zip(confidence).map_or(mean.is_none(), |(mean, stored)| (mean - stored).abs() < 1e-6) {
            breaches.push(format!("{rater}: mean confidence {confidence:?}, counted {mean:?}"));
        }
    }
    breaches
}

fn records_of_golden(conn: &mut Connection, rows: &[Row]) -> Vec<String> {
    let stored: Vec<(String, i32, i32)> =
        on!(conn, c => golden::table.select((golden::task_id, golden::times_used, golden::rater_correct)).load(c)).unwrap();
    // Whoever asks about an item, or is unsure, has not answered it.
    let count = |task: &str, right: bool| {
        rows.iter().filter(|r| r.task_id == task && r.matches.is_some() && (!right || r.matches == Some(true))).count()
    };
    let wrong = stored.into_iter().filter_map(|(task, used, right)| {
        let wanted = (count(&task, false), count(&task, true));
        let figures = (usize::try_from(used).unwrap(), usize::try_from(right).unwrap());
        (figures != wanted).then(|| format!("golden item {task}: (used, right) {figures:?}, counted {wanted:?}"))
    });
    wrong.collect()
}

/// Tasks that raters have decided, with the decision.
fn decided(conn: &mut Connection) -> BTreeMap<String, String> {
    let stored: Vec<(String, Option<String>)> = on!(conn, c => consensus::table
        .filter(consensus::is_final.eq(true))
        .select((consensus::task_id, consensus::choice))
        .load(c))
    .unwrap();
    stored.into_iter().filter_map(|(task, choice)| Some((task, choice?))).collect()
}

fn decisions(conn: &mut Connection, rows: &[Row]) -> Vec<String> {
    let stored: Vec<(String, i32)> =
        on!(conn, c => consensus::table.select((consensus::task_id, consensus::judgments_count)).load(c)).unwrap();
    let wrong = stored.into_iter().filter_map(|(task, counted)| {
        let count = rows.iter().filter(|row| row.task_id == task).count();
        (usize::try_from(counted).unwrap() != count).then(|| format!("consensus of {task} rests on {counted}, there are {count}"))
    });
    wrong.collect()
}
