//! Work done in the background: a row per job, taken by one worker at a time under a lease, so that the job of a process that was
//! killed is taken up again. A worker's hold is proved by the number of attempts: whoever took the job later has a higher one.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use domain::scope::Scope;
use serde::Serialize;
use serde_json::Value;

use crate::connection::Connection;
use crate::error::StorageError;
use crate::page::{Page, Slice};
use crate::schema::jobs as t;
use crate::types::{Json, Timestamp};
use crate::{insert_new, lease, on};

/// A job that was taken up this often and never finished is given up.
pub const MAX_ATTEMPTS: i32 = 3;

/// A stored job.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct Job {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Public id.
    pub job_id: String,
    /// What is to be done, such as `train_reward_model`.
    pub kind: String,
    /// `queued`, `running`, `succeeded` or `failed`.
    pub state: String,
    /// Whose it is; `None` for work of the platform.
    pub tenant_id: Option<String>,
    /// 0 to 1.
    pub progress: f64,
    /// What is going on, in a sentence.
    pub message: String,
    /// What was asked for.
    pub input: Json,
    /// What came out.
    pub result: Option<Json>,
    /// Why it failed.
    pub error: Option<String>,
    /// How often it was taken up.
    pub attempts: i32,
    /// Who asked.
    pub created_by: String,
    /// Until when the worker holds it.
    pub lease_until: Option<Timestamp>,
    /// When it was first taken up.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// A job to be done.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// What is to be done.
    pub kind: &'static str,
    /// Whose it is.
    pub tenant_id: Option<String>,
    /// What the worker needs to know.
    pub input: Value,
}

/// Which jobs are wanted.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Of this kind.
    pub kind: Option<String>,
    /// In this state.
    pub state: Option<String>,
}

/// Queues a job.
///
/// # Errors
/// As any query.
pub fn enqueue(conn: &mut Connection, scope: &Scope, new: &NewJob, now: DateTime<Utc>) -> Result<Job, StorageError> {
    let job_id = domain::id::new("job");
    let row = (
        t::job_id.eq(&job_id),
        t::kind.eq(new.kind),
        t::state.eq("queued"),
        t::tenant_id.eq(new.tenant_id.as_deref()),
        t::progress.eq(0.0),
        t::message.eq("Waiting for a worker"),
        t::input.eq(Json(new.input.clone())),
        t::created_by.eq(scope.actor()),
        t::created_at.eq(Timestamp(now)),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))?;
    find(conn, &Scope::system("jobs"), &job_id)
}

/// Queues a job that the clock asks for, unless somebody has queued it for this slot: its kind and its time. The job when it was queued now.
///
/// # Errors
/// As any query.
pub fn enqueue_once(
    conn: &mut Connection,
    scope: &Scope,
    new: &NewJob,
    slot: &str,
    now: DateTime<Utc>,
) -> Result<Option<Job>, StorageError> {
    let job_id = domain::id::new("job");
    let row = (
        t::job_id.eq(&job_id),
        t::kind.eq(new.kind),
        t::state.eq("queued"),
        t::tenant_id.eq(new.tenant_id.as_deref()),
        t::progress.eq(0.0),
        t::message.eq("Waiting for a worker"),
        t::input.eq(Json(new.input.clone())),
        t::created_by.eq(scope.actor()),
        t::created_at.eq(Timestamp(now)),
        t::updated_at.eq(Timestamp(now)),
        t::slot.eq(Some(slot)),
    );
    match insert_new!(conn, t::table, row)? {
        0 => Ok(None),
        _ => find(conn, &Scope::system("jobs"), &job_id).map(Some),
    }
}

/// One job of this scope.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find(conn: &mut Connection, scope: &Scope, job_id: &str) -> Result<Job, StorageError> {
    let found: Option<Job> = on!(conn, c => t::table.filter(t::job_id.eq(job_id)).select(Job::as_select()).first(c).optional())?;
    found.filter(|job| scope.may_see(job.tenant_id.as_deref())).ok_or_else(|| StorageError::not_found("job", job_id))
}

/// Jobs of this scope, newest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, scope: &Scope, filter: &JobFilter, page: &Page) -> Result<Slice<Job>, StorageError> {
    let rows: Vec<Job> = on!(conn, c => {
        let mut query = t::table.select(Job::as_select()).order(t::id.desc()).limit(page.fetch()).into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        if let Some(kind) = &filter.kind {
            query = query.filter(t::kind.eq(kind));
        }
        if let Some(state) = &filter.state {
            query = query.filter(t::state.eq(state));
        }
        if let Some(after) = page.after {
            query = query.filter(t::id.lt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// Takes the oldest job that waits, or whose worker let its lease run out, of the first of these kinds that has one. A job taken up
/// [`MAX_ATTEMPTS`] times is marked failed instead of being given out again. Call it in a transaction.
///
/// # Errors
/// As any query.
pub fn take_next(conn: &mut Connection, kinds: &[&str], now: DateTime<Utc>, hold: TimeDelta) -> Result<Option<Job>, StorageError> {
    // One look at all kinds, because mostly there is nothing to do.
    let is_due = || t::state.eq("queued").or(t::state.eq("running").and(t::lease_until.lt(Timestamp(now))));
    let due: Vec<String> = on!(conn, c => t::table.filter(t::kind.eq_any(kinds)).filter(is_due()).select(t::kind).distinct().load(c))?;
    for kind in kinds.iter().filter(|kind| due.iter().any(|due| due == *kind)) {
        loop {
            let taken: Vec<Job> =
                lease!(conn, t::table.filter(t::kind.eq(kind)).filter(is_due()).order(t::id).limit(1).select(Job::as_select()) => Job)?;
            let Some(job) = taken.into_iter().next() else { break };
            if job.attempts >= MAX_ATTEMPTS {
                let error = format!("the work was begun {} times and never finished; see the service's log", job.attempts);
                finish(conn, &job, now, Finish::Failed(&error))?;
                continue;
            }
            return take(conn, &job, now, hold).map(Some);
        }
    }
    Ok(None)
}

fn take(conn: &mut Connection, job: &Job, now: DateTime<Utc>, hold: TimeDelta) -> Result<Job, StorageError> {
    let changes = (
        t::state.eq("running"),
        t::attempts.eq(job.attempts + 1),
        t::lease_until.eq(Some(Timestamp(now + hold))),
        t::started_at.eq(Some(job.started_at.unwrap_or(Timestamp(now)))),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::update(t::table.find(job.id)).set(changes).execute(c))?;
    find(conn, &Scope::system("jobs"), &job.job_id)
}

/// Notes progress and holds the job on.
///
/// # Errors
/// [`StorageError::Conflict`] (`lease_lost`) when another worker took the job over: stop working on it.
pub fn note_progress(
    conn: &mut Connection,
    job: &Job,
    progress: f64,
    message: &str,
    now: DateTime<Utc>,
    hold: TimeDelta,
) -> Result<(), StorageError> {
    let changes = (
        t::progress.eq(progress.clamp(0.0, 1.0)),
        t::message.eq(message),
        t::lease_until.eq(Some(Timestamp(now + hold))),
        t::updated_at.eq(Timestamp(now)),
    );
    let changed = on!(conn, c => diesel::update(t::table.filter(t::id.eq(job.id)).filter(t::state.eq("running")).filter(t::attempts.eq(job.attempts)))
        .set(changes)
        .execute(c))?;
    held(changed, job)
}

/// Holds the job on without a word.
///
/// # Errors
/// As [`note_progress`].
pub fn hold_on(conn: &mut Connection, job: &Job, now: DateTime<Utc>, hold: TimeDelta) -> Result<(), StorageError> {
    let changes = (t::lease_until.eq(Some(Timestamp(now + hold))), t::updated_at.eq(Timestamp(now)));
    let changed = on!(conn, c => diesel::update(t::table.filter(t::id.eq(job.id)).filter(t::state.eq("running")).filter(t::attempts.eq(job.attempts)))
        .set(changes)
        .execute(c))?;
    held(changed, job)
}

/// Forgets finished jobs of a kind that were asked for before an instant; how many.
///
/// # Errors
/// As any query.
pub fn sweep(conn: &mut Connection, kind: &str, before: DateTime<Utc>) -> Result<usize, StorageError> {
    let old = t::kind.eq(kind).and(t::state.eq_any(["succeeded", "failed"])).and(t::created_at.lt(Timestamp(before)));
    Ok(on!(conn, c => diesel::delete(t::table.filter(old)).execute(c))?)
}

/// How a job ends.
#[derive(Debug, Clone, Copy)]
pub enum Finish<'a> {
    /// It did what was asked; with its result.
    Succeeded(&'a Value),
    /// It could not; with the reason for the reader.
    Failed(&'a str),
}

/// Ends a job. In the transaction that stores its outcome, so that a worker that lost its lease stores nothing.
///
/// # Errors
/// As [`note_progress`].
pub fn finish(conn: &mut Connection, job: &Job, now: DateTime<Utc>, how: Finish<'_>) -> Result<(), StorageError> {
    let (state, progress, message, result, error) = match how {
        Finish::Succeeded(result) => ("succeeded", 1.0, "Done", Some(Json(result.clone())), None),
        Finish::Failed(reason) => ("failed", job.progress, "Failed", None, Some(reason.to_owned())),
    };
    let changes = (
        t::state.eq(state),
        t::progress.eq(progress),
        t::message.eq(message),
        t::result.eq(result),
        t::error.eq(error),
        t::lease_until.eq(None::<Timestamp>),
        t::finished_at.eq(Some(Timestamp(now))),
        t::updated_at.eq(Timestamp(now)),
    );
    let changed = on!(conn, c => diesel::update(t::table.filter(t::id.eq(job.id)).filter(t::state.eq("running")).filter(t::attempts.eq(job.attempts)))
        .set(changes)
        .execute(c))?;
    held(changed, job)
}

fn held(changed: usize, job: &Job) -> Result<(), StorageError> {
    if changed == 1 {
        return Ok(());
    }
    Err(StorageError::conflict("lease_lost", format!("job {} was taken over by another worker", job.job_id)))
}
