//! Giving work to several raters with a few statements, on PostgreSQL: one look at the queue for all of them, one claim. What many ask at the
//! same moment costs little more than what one asks. The other databases give work to one rater at a time ([`super::lease_next`]).

use chrono::{DateTime, TimeDelta, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::RunQueryDsl;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::{Array, Integer, Nullable, Text};
use serde_json::{Value, json};

use super::{Assignment, Purpose, blind_order};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::qualifications::Qualification;
use crate::queue::Waiting;
use crate::raters::Rater;
use crate::schema::{rater_profiles as raters, rater_qualifications as tests};
use crate::tasks::Task;
use crate::types::{Document, Instant, Json, Timestamp};
use crate::version::{self, Version};

/// Tasks of one task type, or of any, that a rater could be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Who asks, as a place in the caller's list.
    pub place: usize,
    /// The rater.
    pub rater_id: String,
    /// Task type word; absent is any.
    pub task_type: Option<String>,
}

/// What a rater is to be given: the first of these tasks that is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The rater.
    pub rater_id: String,
    /// The rater's row when it was decided that work is due: after another judgment something else may be.
    pub version: Version,
    /// The tasks, best first.
    pub task_ids: Vec<String>,
}

/// Profiles of raters with their versions, without a lock; nothing on a database that gives work to one at a time.
///
/// # Errors
/// As any query.
pub fn raters_who_ask(conn: &mut Connection, rater_ids: &[&str]) -> Result<Vec<(Rater, Version)>, StorageError> {
    let Connection::Postgres(c) = conn else { return Ok(Vec::new()) };
    let query = raters::table.select((Rater::as_select(), version::of("rater_profiles")));
    let rows: Vec<(Rater, String)> = Listed { query, column: "rater_profiles.rater_id", ids: rater_ids }.load(c)?;
    Ok(rows.into_iter().map(|(rater, version)| (rater, Version::read(version))).collect())
}

/// The tests of raters, as [`raters_who_ask`].
///
/// # Errors
/// As any query.
pub fn tests_of(conn: &mut Connection, rater_ids: &[&str]) -> Result<Vec<Qualification>, StorageError> {
    let (Connection::Postgres(c), false) = (conn, rater_ids.is_empty()) else { return Ok(Vec::new()) };
    Ok(Listed { query: tests::table.select(Qualification::as_select()), column: "rater_qualifications.rater_id", ids: rater_ids }
        .load(c)?)
}

/// For each wish the first 24 tasks with a free place that the rater has not judged or passed over, in the order of the queue, with whether
/// the rater gave it back or lost it before. Nothing for a rater who holds a lease, and on a database that gives work to one at a time.
///
/// # Errors
/// As any query.
pub fn look_for(conn: &mut Connection, wishes: &[Wish]) -> Result<Vec<(usize, Waiting, bool)>, StorageError> {
    let Connection::Postgres(c) = conn else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for is_typed in [false, true] {
        let some: Vec<&Wish> = wishes.iter().filter(|wish| wish.task_type.is_some() == is_typed).collect();
        if some.is_empty() {
            continue;
        }
        let listed: Vec<Value> =
            some.iter().map(|wish| json!({"place": wish.place, "rater_id": wish.rater_id, "task_type": wish.task_type})).collect();
        let look = LookFor { columns: Waiting::as_select(), wishes: Json(json!(listed)), is_typed };
        let rows: Vec<(i32, Waiting, Option<String>)> = look.load(c)?;
        found.extend(rows.into_iter().map(|(place, waiting, own)| (usize::try_from(place).unwrap_or(usize::MAX), waiting, own.is_some())));
    }
    Ok(found)
}

/// Leases to each rater the first of its tasks that is free, all in one transaction that the statement is by itself. `None` for a rater who
/// is not active, is written or locked by somebody else, holds a lease already, or found all its tasks taken; nothing on a database that
/// gives work to one at a time.
///
/// # Errors
/// [`StorageError::Raced`] when a rater was given one of these tasks in between; or as any query. Nothing is leased then.
pub fn claim(
    conn: &mut Connection,
    claims: &[Claim],
    lease: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Vec<Option<(Assignment, Task)>>, StorageError> {
    let mut given: Vec<Option<(Assignment, Task)>> = claims.iter().map(|_| None).collect();
    let Connection::Postgres(c) = conn else { return Ok(given) };
    // Not of the assignment's own id, which the rater knows and could compute the order from.
    let order = |n: usize| Json(json!(blind_order(&domain::id::new("lot"), n)));
    let statement = Claims::new(claims, order, Timestamp(now), Timestamp(now + lease));
    let call = ClaimCall { columns: Task::as_select(), claims: &statement };
    let rows: Vec<(i32, Task)> = call.load(c).map_err(|error| match error {
        DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => StorageError::Raced("a rater was given a task in between"),
        other => other.into(),
    })?;
    for (place, task) in rows {
        let at = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
        if let Some((at, slot)) = at.and_then(|at| Some((at, given.get_mut(at)?))) {
            *slot = statement.given(at, task);
        }
    }
    Ok(given)
}

/// `query WHERE column` is one of a list that PostgreSQL makes first, so that it plans once and not for each list.
struct Listed<'a, Q> {
    query: Q,
    column: &'static str,
    ids: &'a [&'a str],
}

impl<Q> QueryId for Listed<'_, Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Listed<'_, Q> {
    type SqlType = Q::SqlType;
}

impl<Q, C> RunQueryDsl<C> for Listed<'_, Q> {}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Listed<'_, Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.query.walk_ast(out.reborrow())?;
        out.push_sql(" WHERE ");
        out.push_sql(self.column);
        out.push_sql(" = ANY(ARRAY(SELECT unnest(");
        out.push_bind_param::<Array<Text>, _>(&self.ids)?;
        out.push_sql(")))");
        Ok(())
    }
}

/// The query of [`look_for`]: that of `queue::look` for each wish. The wishes as a document: of lists PostgreSQL knows the lengths, and then
/// plans for each.
struct LookFor<Columns> {
    columns: Columns,
    wishes: Json,
    is_typed: bool,
}

impl<Columns> QueryId for LookFor<Columns> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Columns: Expression> Query for LookFor<Columns> {
    type SqlType = (Integer, Columns::SqlType, Nullable<Text>);
}

impl<Columns, C> RunQueryDsl<C> for LookFor<Columns> {}

impl<Columns: QueryFragment<Pg>> QueryFragment<Pg> for LookFor<Columns> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT wish.place, first.* FROM jsonb_to_recordset(");
        out.push_bind_param::<Document, _>(&self.wishes)?;
        out.push_sql(") AS wish (place INT, rater_id TEXT, task_type TEXT) CROSS JOIN LATERAL (SELECT ");
        self.columns.walk_ast(out.reborrow())?;
        // State and rater in expressions, as in `queue::look`: of the column PostgreSQL knows that nearly all is done, and by the rater it would
        // read all that one has ever judged, where a task has few assignments.
        out.push_sql(
            ", own.assignment_id FROM task_queue \
             LEFT JOIN task_assignments AS own ON own.task_id = task_queue.task_id AND COALESCE(own.rater_id, '') = wish.rater_id \
             WHERE task_queue.is_open AND COALESCE(own.state, '') <> 'submitted' AND COALESCE(own.state, '') <> 'skipped' \
             AND NOT EXISTS (SELECT FROM task_assignments AS held WHERE held.rater_id = wish.rater_id AND held.state = 'leased')",
        );
        out.push_sql(if self.is_typed { " AND task_queue.task_type = wish.task_type" } else { "" });
        out.push_sql(" ORDER BY task_queue.position, task_queue.id LIMIT 24) AS first");
        Ok(())
    }
}

/// What `endcap_claim` is called with.
struct Claims<'a> {
    rater_ids: Vec<&'a str>,
    versions: Vec<&'a str>,
    firsts: Vec<i32>,
    lasts: Vec<i32>,
    task_ids: Vec<&'a str>,
    assignment_ids: Vec<String>,
    orders_of_two: Vec<Json>,
    orders_of_three: Vec<Json>,
    at: Timestamp,
    until: Timestamp,
}

impl<'a> Claims<'a> {
    fn new(claims: &'a [Claim], order: impl Fn(usize) -> Json, at: Timestamp, until: Timestamp) -> Self {
        let mut all = Self {
            rater_ids: claims.iter().map(|claim| claim.rater_id.as_str()).collect(),
            versions: claims.iter().map(|claim| claim.version.as_text()).collect(),
            firsts: Vec::with_capacity(claims.len()),
            lasts: Vec::with_capacity(claims.len()),
            task_ids: Vec::new(),
            assignment_ids: claims.iter().map(|_| domain::id::new("asg")).collect(),
            orders_of_two: claims.iter().map(|_| order(2)).collect(),
            orders_of_three: claims.iter().map(|_| order(3)).collect(),
            at,
            until,
        };
        let place = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        for claim in claims {
            all.firsts.push(place(all.task_ids.len() + 1));
            all.task_ids.extend(claim.task_ids.iter().map(String::as_str));
            all.lasts.push(place(all.task_ids.len()));
        }
        all
    }

    /// The lease at a place of the list, as it was written, and its task.
    fn given(&self, at: usize, task: Task) -> Option<(Assignment, Task)> {
        let orders = if task.candidate_c.is_some() { &self.orders_of_three } else { &self.orders_of_two };
        let assignment = Assignment {
            assignment_id: self.assignment_ids.get(at)?.clone(),
            task_id: task.task_id.clone(),
            rater_id: (*self.rater_ids.get(at)?).to_owned(),
            state: "leased".to_owned(),
            purpose: Purpose::Work.word().to_owned(),
            display_order: orders.get(at)?.clone(),
            leased_at: self.at,
            expires_at: self.until,
            heartbeat_at: self.at,
            draft: None,
            skip_reason: None,
            finished_at: None,
            created_at: self.at,
            updated_at: self.at,
        };
        let task = match task.status.as_str() {
            "pending" => {
                let assigned_at = task.assigned_at.or(Some(self.at));
                Task { status: "in_progress".to_owned(), assigned_at, updated_at: self.at, ..task }
            }
            _ => task,
        };
        Some((assignment, task))
    }
}

/// A call of `endcap_claim`, with the tasks that it gave.
struct ClaimCall<'c, 'a, Columns> {
    columns: Columns,
    claims: &'c Claims<'a>,
}

impl<Columns> QueryId for ClaimCall<'_, '_, Columns> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Columns: Expression> Query for ClaimCall<'_, '_, Columns> {
    type SqlType = (Integer, Columns::SqlType);
}

impl<Columns, C> RunQueryDsl<C> for ClaimCall<'_, '_, Columns> {}

impl<Columns: QueryFragment<Pg>> QueryFragment<Pg> for ClaimCall<'_, '_, Columns> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT given.place, ");
        self.columns.walk_ast(out.reborrow())?;
        out.push_sql(" FROM endcap_claim(");
        out.push_bind_param::<Array<Text>, _>(&self.claims.rater_ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.claims.versions)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Integer>, _>(&self.claims.firsts)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Integer>, _>(&self.claims.lasts)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.claims.task_ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.claims.assignment_ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Document>, _>(&self.claims.orders_of_two)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Document>, _>(&self.claims.orders_of_three)?;
        out.push_sql(", ");
        out.push_bind_param::<Instant, _>(&self.claims.at)?;
        out.push_sql(", ");
        out.push_bind_param::<Instant, _>(&self.claims.until)?;
        out.push_sql(") AS given INNER JOIN rating_tasks ON rating_tasks.task_id = given.claimed");
        Ok(())
    }
}
