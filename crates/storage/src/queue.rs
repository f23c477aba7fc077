//! The queue: tasks that wait for judgments, in the order in which they are given out. One narrow row a task, kept while the task is
//! open for work. Whoever changes a row holds the lock of its task (`tasks::lock`), so a row needs no lock of its own.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Double, Nullable, Text};

use crate::batch::{Batch, Entered, Followed, Must, enter};
use crate::connection::Connection;
use crate::dialect::{self, Explained, PlanLine};
use crate::error::StorageError;
use crate::on;
use crate::prepared::change;
use crate::schema::{task_assignments as assignments, task_queue as t};
use crate::tasks::Task;
use crate::types::Timestamp;

/// States in which a task never comes to the same rater again.
pub(crate) const DONE_STATES: [&str; 2] = ["submitted", "skipped"];

/// How much each part of a task's score counts. The score is their sum; the highest is given out first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Of the priority, taken as 0 to 1.
    pub priority: f64,
    /// Of each day that a task has waited.
    pub age: f64,
    /// Of the uncertainty, 0 to 1: the model's, or once there are judgments what they leave open.
    pub uncertainty: f64,
    /// Of what it is worth to ask the task now, for the reward model, 0 to 1.
    pub selection: f64,
    /// Of the bits that this rater's judgment is expected to add.
    pub skill: f64,
    /// Of the retailer's lack among the tasks given out lately, -1 to 1.
    pub quota: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { priority: 1.0, age: 0.25, uncertainty: 0.5, selection: 0.5, skill: 0.25, quota: 0.25 }
    }
}

/// A task that waits, as the order sees it.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = t)]
pub struct Waiting {
    /// The task.
    pub task_id: String,
    /// Task type word.
    pub task_type: String,
    /// Retailer.
    pub retailer_id: Option<String>,
    /// 0 to 100.
    pub priority: i32,
    /// What the model does not know, 0 to 1.
    pub uncertainty_score: Option<f64>,
    /// Probability of the leading choice, once there are judgments.
    pub leading_posterior: Option<f64>,
    /// Judgments given.
    pub judgments: i32,
    /// Judgments wanted so far.
    pub required: i32,
    /// Judgments wanted at most, before an expert is asked.
    pub max_judgments: i32,
    /// Leases that are not over, counting those whose time has run out unseen.
    pub open_leases: i32,
    /// Smaller comes first: less what of the score is the same for all raters.
    pub position: f64,
    /// When the task was made.
    pub created_at: Timestamp,
    /// What it is worth to ask it now, for the reward model, 0 to 1; 0 when it was not chosen.
    pub selection: f64,
}

impl Waiting {
    /// What is not known about the task, 0 to 1.
    #[must_use]
    pub fn uncertainty(&self) -> f64 {
        uncertainty_of(self.uncertainty_score, self.leading_posterior, self.selection)
    }

    /// Its place now.
    #[must_use]
    pub fn place(&self, weights: &Weights) -> f64 {
        position(weights, self.priority, self.uncertainty(), self.created_at.0) - weights.selection * self.selection
    }
}

/// Uncertainty of a task: what its judgments leave open once there are some, else the model's, else in the middle. Chosen tasks count as in
/// the middle until they are judged: some were drawn with no regard to the model, and they shall not stand behind the others.
#[must_use]
pub fn uncertainty_of(model: Option<f64>, leading_posterior: Option<f64>, selection: f64) -> f64 {
    let before = if selection > 0.0 { None } else { model };
    leading_posterior.map(|p| (1.0 - p).clamp(0.0, 1.0)).or(before).unwrap_or(0.5)
}

/// The place of a task that was not chosen: less what of its score is the same for all raters. Age is the day of creation: waiting never changes the order.
#[must_use]
pub fn position(weights: &Weights, priority: i32, uncertainty: f64, created_at: DateTime<Utc>) -> f64 {
    const DAY_SECONDS: f64 = 86_400.0;
    let day = created_at.timestamp_millis() as f64 / 1_000.0 / DAY_SECONDS;
    weights.age * day - weights.priority * f64::from(priority) / 100.0 - weights.uncertainty * uncertainty
}

/// Puts an open task into the queue, brings its row up to date, or takes one that is not open out. The task must be locked here, or new.
///
/// # Errors
/// As any query.
pub fn sync(conn: &mut Connection, task: &Task, weights: &Weights, now: DateTime<Utc>) -> Result<(), StorageError> {
    if task.is_golden || !is_open_status(&task.status) {
        return remove(conn, &task.task_id);
    }
    let values = (
        t::judgments.eq(task.judgments_count),
        t::required.eq(task.required_judgments),
        t::priority.eq(task.priority),
        t::uncertainty_score.eq(task.uncertainty_score),
        t::updated_at.eq(Timestamp(now)),
    );
    let own = t::table.filter(t::task_id.eq(&task.task_id));
    if on!(conn, c => diesel::update(own).set(values).execute(c))? > 0 {
        return Ok(());
    }
    let held: i64 = on!(conn, c => assignments::table
        .filter(assignments::task_id.eq(&task.task_id).and(assignments::state.eq("leased")).and(assignments::purpose.eq("work")))
        .count()
        .get_result(c))?;
    let row = new_row(task, i32::try_from(held).unwrap_or(i32::MAX), task.required_judgments, weights, now);
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))?;
    Ok(())
}

/// Puts a new task into the queue, asking for at most `max_judgments` before an expert is asked.
///
/// # Errors
/// As any query.
pub fn insert(conn: &mut Connection, task: &Task, max_judgments: i32, weights: &Weights, now: DateTime<Utc>) -> Result<(), StorageError> {
    let row = new_row(task, 0, max_judgments, weights, now);
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))?;
    Ok(())
}

type NewRow<'a> = (
    (
        diesel::dsl::Eq<t::task_id, &'a str>,
        diesel::dsl::Eq<t::task_type, &'a str>,
        diesel::dsl::Eq<t::retailer_id, Option<&'a str>>,
        diesel::dsl::Eq<t::priority, i32>,
        diesel::dsl::Eq<t::uncertainty_score, Option<f64>>,
    ),
    (
        diesel::dsl::Eq<t::judgments, i32>,
        diesel::dsl::Eq<t::required, i32>,
        diesel::dsl::Eq<t::max_judgments, i32>,
        diesel::dsl::Eq<t::open_leases, i32>,
        diesel::dsl::Eq<t::position, f64>,
        diesel::dsl::Eq<t::created_at, Timestamp>,
        diesel::dsl::Eq<t::updated_at, Timestamp>,
    ),
);

fn new_row<'a>(task: &'a Task, open_leases: i32, max_judgments: i32, weights: &Weights, now: DateTime<Utc>) -> NewRow<'a> {
    let place = position(weights, task.priority, uncertainty_of(task.uncertainty_score, None, 0.0), task.created_at.0);
    (
        (
            t::task_id.eq(task.task_id.as_str()),
            t::task_type.eq(task.task_type.as_str()),
            t::retailer_id.eq(task.retailer_id.as_deref()),
            t::priority.eq(task.priority),
            t::uncertainty_score.eq(task.uncertainty_score),
        ),
        (
            t::judgments.eq(task.judgments_count),
            t::required.eq(task.required_judgments),
            t::max_judgments.eq(max_judgments.max(task.required_judgments)),
            t::open_leases.eq(open_leases),
            t::position.eq(place),
            t::created_at.eq(task.created_at),
            t::updated_at.eq(Timestamp(now)),
        ),
    )
}

/// Whether a task of this status waits for judgments.
#[must_use]
pub fn is_open_status(status: &str) -> bool {
    matches!(status, "pending" | "in_progress")
}

/// Takes a task out of the queue.
///
/// # Errors
/// As any query.
pub fn remove(conn: &mut Connection, task_id: &str) -> Result<(), StorageError> {
    on!(conn, c => diesel::delete(t::table.filter(t::task_id.eq(task_id))).execute(c))?;
    Ok(())
}

/// [`remove`] with other changes.
///
/// # Errors
/// As any query.
pub fn enter_removal<'a>(conn: &mut Connection, batch: &mut Batch<'a>, task_id: &'a str) -> Result<(), StorageError> {
    enter!(conn, batch, Must::ChangeAny, diesel::delete(t::table.filter(t::task_id.eq(task_id)))).map(drop)
}

/// The row of a task, while it is open for work.
///
/// # Errors
/// As any query.
pub fn find(conn: &mut Connection, task_id: &str) -> Result<Option<Waiting>, StorageError> {
    Ok(on!(conn, c => t::table.filter(t::task_id.eq(task_id)).select(Waiting::as_select()).first(c).optional())?)
}

/// Counts a lease, when a place is free; whether it was.
///
/// # Errors
/// As any query.
pub(crate) fn take_place(conn: &mut Connection, task_id: &str) -> Result<bool, StorageError> {
    let free = t::task_id.eq(task_id).and(t::is_open.eq(true));
    Ok(on!(conn, c => change(t::table, free, t::open_leases.eq(t::open_leases + 1)).execute(c))? > 0)
}

/// Counts a lease with other changes, which are not made when no place is free.
///
/// # Errors
/// As any query.
pub(crate) fn enter_place<'a>(conn: &mut Connection, batch: &mut Batch<'a>, task_id: &'a str) -> Result<(), StorageError> {
    let free = t::task_id.eq(task_id).and(t::is_open.eq(true));
    enter!(conn, batch, Must::ChangeOne, change(t::table, free, t::open_leases.eq(t::open_leases + 1))).map(drop)
}

/// Frees the places of leases that ended without a judgment.
///
/// # Errors
/// As any query.
pub(crate) fn free_places(conn: &mut Connection, task_id: &str, places: i32) -> Result<(), StorageError> {
    let held = t::task_id.eq(task_id).and(t::open_leases.ge(places));
    on!(conn, c => change(t::table, held, t::open_leases.eq(t::open_leases - places)).execute(c))?;
    Ok(())
}

/// What a judgment, given or taken back, changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Judgments now.
    pub judgments: i32,
    /// Judgments wanted now.
    pub required: i32,
    /// By how much the number of leases changes.
    pub leases: i32,
    /// Probability of the leading choice.
    pub leading_posterior: Option<f64>,
    /// The new place of a task that was not chosen.
    pub position: f64,
}

/// Enters a judgment, given or taken back, that leaves the task open. It changes a row when the task was in the queue.
///
/// # Errors
/// As any query.
pub fn enter_progress<'a>(
    conn: &mut Connection,
    batch: &mut Batch<'a>,
    task_id: &'a str,
    progress: &Progress,
    weights: &Weights,
    now: DateTime<Utc>,
) -> Result<Entered, StorageError> {
    let changes = (
        t::judgments.eq(progress.judgments),
        t::required.eq(progress.required),
        t::open_leases.eq(t::open_leases + progress.leases),
        t::leading_posterior.eq(progress.leading_posterior),
        t::position.eq(progress.position.into_sql::<Double>() - t::selection * weights.selection),
        t::updated_at.eq(Timestamp(now)),
    );
    enter!(conn, batch, Must::ChangeAny, change(t::table, t::task_id.eq(task_id), changes))
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// The first that is not null.
    #[sql_name = "COALESCE"]
    fn first_known(value: Nullable<Text>, other: Text) -> Text;
}

/// The query of [`look`] for all task types or one. The bound is in the text: were it a value, PostgreSQL would plan at each call.
macro_rules! first_waiting {
    ($rater_id:expr $(, $only:expr)?) => {{
        // Expressions: by the column of the rater PostgreSQL would read all that one has ever judged, where a task has few assignments; of the
        // column of the state it knows that nearly all is done, takes the queue for empty and sorts all of it.
        let own = assignments::task_id.eq(t::task_id).and(first_known(assignments::rater_id.nullable(), "").eq($rater_id));
        let state = first_known(assignments::state.nullable(), "");
        let [judged, skipped] = DONE_STATES;
        let held = diesel::alias!(crate::schema::task_assignments as held);
        let of_rater = held.field(assignments::rater_id).eq($rater_id).and(held.field(assignments::state).eq("leased"));
        Followed {
            query: t::table
                .left_join(assignments::table.on(own))
                .filter(t::is_open.eq(true))
                .filter(state.ne(judged).and(state.ne(skipped)))
                .filter(diesel::dsl::not(diesel::dsl::exists(held.filter(of_rater))))
                $(.filter($only))?
                .order((t::position, t::id))
                .select((Waiting::as_select(), assignments::assignment_id.nullable())),
            by: " LIMIT 24",
        }
    }};
}
/// The first 24 tasks with a free place that this rater has not judged or passed over, with the rater's earlier assignment (given back or
/// lost). Nothing for a rater who holds a lease. Per task type when types are named: a long queue of others is not walked over.
///
/// # Errors
/// As any query.
pub(crate) fn look(conn: &mut Connection, rater_id: &str, task_types: &[String]) -> Result<Vec<(Waiting, Option<String>)>, StorageError> {
    if task_types.is_empty() {
        return Ok(on!(conn, c => first_waiting!(rater_id).load(c))?);
    }
    let mut found: Vec<(Waiting, Option<String>)> = Vec::new();
    for task_type in task_types {
        found.extend(on!(conn, c => first_waiting!(rater_id, t::task_type.eq(task_type)).load(c))?);
    }
    Ok(found)
}

/// How the database would look for the next task: the steps of its plan.
///
/// # Errors
/// As any query.
pub fn explain_look(conn: &mut Connection, rater_id: &str, task_type: Option<&str>) -> Result<Vec<String>, StorageError> {
    let words = dialect::explain(conn);
    let lines: Vec<PlanLine> = match task_type {
        None => on!(conn, c => Explained { words, query: first_waiting!(rater_id) }.load(c)),
        Some(word) => on!(conn, c => Explained { words, query: first_waiting!(rater_id, t::task_type.eq(word)) }.load(c)),
    }?;
    Ok(lines.into_iter().map(|line| line.0).collect())
}

/// Writes the places of one batch of waiting tasks anew, for weights that have changed: the last row looked at, and how many changed.
///
/// # Errors
/// As any query.
pub fn reorder(conn: &mut Connection, weights: &Weights, after: i64, limit: i64) -> Result<(Option<i64>, usize), StorageError> {
    let rows: Vec<(i64, Waiting)> = on!(conn, c => t::table
        .filter(t::id.gt(after))
        .order(t::id)
        .limit(limit.clamp(1, 1_000))
        .select((t::id, Waiting::as_select()))
        .load(c))?;
    let last = rows.last().map(|(id, _)| *id);
    let mut changed = 0;
    for (id, row) in rows {
        let place = row.place(weights);
        if (place - row.position).abs() > 1e-9 {
            // Judged or chosen in between: that has written the place already.
            let same = t::table.filter(t::id.eq(id).and(t::judgments.eq(row.judgments)).and(t::selection.eq(row.selection)));
            changed += on!(conn, c => diesel::update(same).set(t::position.eq(place)).execute(c))?;
        }
    }
    Ok((last, changed))
}

/// Whether there is an open task of these types at all, and one that the rater has not judged or passed over.
///
/// # Errors
/// As any query.
pub(crate) fn has_any(conn: &mut Connection, rater_id: &str, task_types: &[String]) -> Result<(bool, bool), StorageError> {
    let done = assignments::table
        .filter(assignments::rater_id.eq(rater_id).and(assignments::state.eq_any(DONE_STATES)))
        .select(assignments::task_id);
    Ok(on!(conn, c => {
        let mut any = t::table.select(t::id).limit(1).into_boxed();
        let mut unseen = t::table.filter(t::task_id.ne_all(done)).select(t::id).limit(1).into_boxed();
        if !task_types.is_empty() {
            any = any.filter(t::task_type.eq_any(task_types));
            unseen = unseen.filter(t::task_type.eq_any(task_types));
        }
        let (any, unseen): (Option<i64>, Option<i64>) = (any.first(c).optional()?, unseen.first(c).optional()?);
        (any.is_some(), unseen.is_some())
    }))
}
