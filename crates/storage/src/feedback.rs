//! What users of model outputs said about them: thumbs, ratings, preferences, corrections. Every row belongs to a tenant.

pub mod brands;
mod counters;
pub mod outputs;
pub mod rules;
pub mod statistics;
pub mod tasks;

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound as _, Utc};
use diesel::prelude::*;
use diesel::upsert::excluded;
use domain::invalid::Invalid;
use domain::scope::Scope;
use serde::Serialize;

use crate::batch::Along;
use crate::connection::Connection;
use crate::dialect::ROWS_PER_STATEMENT;
use crate::error::{Meaning, StorageError};
use crate::matching::{coalesce, contains, lower};
use crate::on;
use crate::page::{Page, Slice};
use crate::schema::{brands as b, feedback as t};
use crate::types::{Json, Timestamp};

/// One stored piece of feedback.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct Feedback {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Public id.
    pub feedback_id: String,
    /// Whose it is.
    pub tenant_id: String,
    /// The brand it is about.
    pub brand_id: Option<String>,
    /// Who gave it.
    pub user_id: String,
    /// Kind of output judged.
    pub task_type: String,
    /// What the model was asked.
    pub prompt: String,
    /// What the model answered.
    pub model_output: String,
    /// `thumbs_up`, `thumbs_down`, `rating`, `preference` or `correction`.
    pub feedback_type: String,
    /// 1 to 5, for ratings.
    pub rating: Option<i32>,
    /// The better text of a preference, or the corrected text.
    pub preferred_output: Option<String>,
    /// The worse text of a preference.
    pub rejected_output: Option<String>,
    /// Whatever the caller added.
    pub metadata: Json,
    /// The caller's session.
    pub session_id: Option<String>,
    /// When it was given.
    pub created_at: Timestamp,
}

/// Feedback to store.
#[derive(Debug, Clone)]
pub struct NewFeedback {
    /// Whose it is; see [`tenants_of`].
    pub tenant_id: String,
    /// The brand it is about.
    pub brand_id: Option<String>,
    /// Who gave it.
    pub user_id: String,
    /// Kind of output judged.
    pub task_type: String,
    /// What the model was asked.
    pub prompt: String,
    /// What the model answered.
    pub model_output: String,
    /// One of the five kinds.
    pub feedback_type: String,
    /// 1 to 5, for ratings.
    pub rating: Option<i32>,
    /// The better or corrected text.
    pub preferred_output: Option<String>,
    /// The worse text.
    pub rejected_output: Option<String>,
    /// Whatever the caller added.
    pub metadata: Json,
    /// The caller's session.
    pub session_id: Option<String>,
}

/// Which feedback is wanted; absent parts do not filter.
#[derive(Debug, Clone, Default)]
pub struct FeedbackFilter {
    /// Of this brand.
    pub brand_id: Option<String>,
    /// Of a brand of this retailer.
    pub retailer_id: Option<String>,
    /// On this kind of output.
    pub task_type: Option<String>,
    /// Of this kind.
    pub feedback_type: Option<String>,
    /// By this user.
    pub user_id: Option<String>,
    /// From this session.
    pub session_id: Option<String>,
    /// Given at this instant or later.
    pub from: Option<DateTime<Utc>>,
    /// Given before this instant.
    pub to: Option<DateTime<Utc>>,
}

/// Pieces of feedback that one search reads at most, newest first; the next page goes on behind them.
pub const SEARCHED: i64 = 10_000;

#[derive(Insertable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
struct Row<'a> {
    feedback_id: String,
    tenant_id: &'a str,
    brand_id: Option<&'a str>,
    user_id: &'a str,
    task_type: &'a str,
    prompt: &'a str,
    model_output: &'a str,
    feedback_type: &'a str,
    rating: Option<i32>,
    preferred_output: Option<&'a str>,
    rejected_output: Option<&'a str>,
    metadata: &'a Json,
    session_id: Option<&'a str>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// Narrows a boxed query on `feedback` to a scope and a filter.
macro_rules! narrowed {
    ($query:expr, $scope:expr, $filter:expr) => {{
        let (mut query, filter): (_, &$crate::feedback::FeedbackFilter) = ($query, $filter);
        if let Some(tenant) = $scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant.to_owned()));
        }
        if let Some(brand) = &filter.brand_id {
            query = query.filter(t::brand_id.eq(brand));
        }
        if let Some(retailer) = &filter.retailer_id {
            use $crate::schema::brands;
            query = query
                .filter(t::brand_id.eq_any(brands::table.filter(brands::retailer_id.eq(retailer)).select(brands::brand_id.nullable())));
        }
        if let Some(word) = &filter.task_type {
            query = query.filter(t::task_type.eq(word));
        }
        if let Some(word) = &filter.feedback_type {
            query = query.filter(t::feedback_type.eq(word));
        }
        if let Some(user) = &filter.user_id {
            query = query.filter(t::user_id.eq(user));
        }
        if let Some(session) = &filter.session_id {
            query = query.filter(t::session_id.eq(session));
        }
        if let Some(from) = filter.from {
            query = query.filter(t::created_at.ge(Timestamp(from)));
        }
        if let Some(to) = filter.to {
            query = query.filter(t::created_at.lt(Timestamp(to)));
        }
        query
    }};
}
pub(crate) use narrowed;

/// Stores feedback and counts it, all or nothing inside the caller's transaction; the rows in the order given.
///
/// # Errors
/// [`StorageError::NotFound`] for a row of a tenant outside the scope; [`StorageError::Invalid`] for an unknown brand.
pub fn insert(conn: &mut Connection, scope: &Scope, new: &[NewFeedback], now: DateTime<Utc>) -> Result<Vec<Feedback>, StorageError> {
    if let Some(foreign) = new.iter().find(|row| !scope.may_see(Some(&row.tenant_id))) {
        return Err(StorageError::not_found("brand", foreign.brand_id.clone().unwrap_or_default()));
    }
    if let [one] = new {
        return Ok(vec![insert_one(conn, one, now)?]);
    }
    let mut stored = Vec::with_capacity(new.len());
    for chunk in new.chunks(ROWS_PER_STATEMENT) {
        let rows: Vec<Row<'_>> = chunk.iter().map(|row| to_row(row, now)).collect();
        let ids: Vec<String> = rows.iter().map(|row| row.feedback_id.clone()).collect();
        on!(conn, c => diesel::insert_into(t::table).values(&rows).execute(c))
            .on_missing_reference("brand_id", || "is not a brand that exists".to_owned())?;
        let mut found: BTreeMap<String, i64> =
            on!(conn, c => t::table.filter(t::feedback_id.eq_any(&ids)).select((t::feedback_id, t::id)).load::<(String, i64)>(c))?
                .into_iter()
                .collect();
        stored.extend(ids.into_iter().zip(chunk).filter_map(|(id, new)| Some(as_stored(found.remove(&id)?, id, new, now))));
    }
    counters::count(conn, new, now)?;
    Ok(stored)
}

/// One piece and its counters, with statements that a connection prepares once; PostgreSQL does all of it with one.
fn insert_one(conn: &mut Connection, new: &NewFeedback, now: DateTime<Utc>) -> Result<Feedback, StorageError> {
    use crate::schema::feedback_counters as n;
    let row = to_row(new, now);
    let id = row.feedback_id.clone();
    let pieces = std::slice::from_ref(new);
    let missing = || "is not a brand that exists".to_owned();
    let counted = counters::rows_of(pieces, now);
    if let (Connection::Postgres(c), [ever, today]) = (&mut *conn, counted.as_slice()) {
        let change = diesel::insert_into(n::table)
            .values([ever, today])
            .on_conflict((n::brand_id, n::day, n::tenant_id, n::task_type, n::feedback_type))
            .do_update()
            .set((n::n.eq(n::n + excluded(n::n)), n::stars.eq(n::stars + excluded(n::stars))));
        let query = diesel::insert_into(t::table).values(row).returning(t::id);
        let key: i64 = Along { change, query }.get_result(c).on_missing_reference("brand_id", missing)?;
        return Ok(as_stored(key, id, new, now));
    }
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c)).on_missing_reference("brand_id", missing)?;
    counters::count(conn, pieces, now)?;
    let key: i64 = on!(conn, c => t::table.filter(t::feedback_id.eq(&id)).select(t::id).first(c))?;
    Ok(as_stored(key, id, new, now))
}

/// The row that was stored, without reading its texts again; times are kept to the microsecond.
fn as_stored(id: i64, feedback_id: String, new: &NewFeedback, now: DateTime<Utc>) -> Feedback {
    let new = new.clone();
    Feedback {
        id,
        feedback_id,
        tenant_id: new.tenant_id,
        brand_id: new.brand_id,
        user_id: new.user_id,
        task_type: new.task_type,
        prompt: new.prompt,
        model_output: new.model_output,
        feedback_type: new.feedback_type,
        rating: new.rating,
        preferred_output: new.preferred_output,
        rejected_output: new.rejected_output,
        metadata: new.metadata,
        session_id: new.session_id,
        created_at: Timestamp(now.trunc_subsecs(6)),
    }
}

fn to_row(row: &NewFeedback, now: DateTime<Utc>) -> Row<'_> {
    Row {
        feedback_id: domain::id::new("fbk"),
        tenant_id: &row.tenant_id,
        brand_id: row.brand_id.as_deref(),
        user_id: &row.user_id,
        task_type: &row.task_type,
        prompt: &row.prompt,
        model_output: &row.model_output,
        feedback_type: &row.feedback_type,
        rating: row.rating,
        preferred_output: row.preferred_output.as_deref(),
        rejected_output: row.rejected_output.as_deref(),
        metadata: &row.metadata,
        session_id: row.session_id.as_deref(),
        created_at: Timestamp(now),
        updated_at: Timestamp(now),
    }
}

/// The tenant of each of these brands that the scope may see; brands that are missing here may not be named by the caller.
///
/// # Errors
/// As any query.
pub fn tenants_of(conn: &mut Connection, scope: &Scope, brand_ids: &[String]) -> Result<BTreeMap<String, String>, StorageError> {
    let mut tenants = BTreeMap::new();
    for chunk in brand_ids.chunks(ROWS_PER_STATEMENT) {
        let rows: Vec<(String, String)> =
            on!(conn, c => b::table.filter(b::brand_id.eq_any(chunk)).select((b::brand_id, b::tenant_id)).load(c))?;
        tenants.extend(rows.into_iter().filter(|(_, tenant)| scope.may_see(Some(tenant))));
    }
    Ok(tenants)
}

/// One piece of feedback of this scope.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find(conn: &mut Connection, scope: &Scope, feedback_id: &str) -> Result<Feedback, StorageError> {
    let found: Option<Feedback> =
        on!(conn, c => t::table.filter(t::feedback_id.eq(feedback_id)).select(Feedback::as_select()).first(c).optional())?;
    found.filter(|row| scope.may_see(Some(&row.tenant_id))).ok_or_else(|| StorageError::not_found("feedback", feedback_id))
}

/// Feedback of this scope, newest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, scope: &Scope, filter: &FeedbackFilter, page: &Page) -> Result<Slice<Feedback>, StorageError> {
    let rows: Vec<Feedback> = on!(conn, c => {
        let all = t::table.select(Feedback::as_select()).order(t::id.desc()).limit(page.fetch()).into_boxed();
        let mut query = narrowed!(all, scope, filter);
        if let Some(after) = page.after {
            query = query.filter(t::id.lt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// The same, of those alone whose request or one of whose texts holds `text`. Texts have no index, so that storing feedback stays cheap; a
/// search reads [`SEARCHED`] pieces of the filter at most. A page may therefore hold fewer rows than asked for, or none, and say where the
/// search goes on.
///
/// # Errors
/// As any query.
pub fn search(
    conn: &mut Connection,
    scope: &Scope,
    filter: &FeedbackFilter,
    text: &str,
    page: &Page,
) -> Result<Slice<Feedback>, StorageError> {
    let pattern = contains(text);
    let after = page.after.unwrap_or(i64::MAX);
    let behind: Option<i64> = on!(conn, c => {
        let all = t::table.select(t::id).filter(t::id.lt(after)).order(t::id.desc()).offset(SEARCHED).limit(1).into_boxed();
        narrowed!(all, scope, filter).first(c).optional()
    })?;
    let rows: Vec<Feedback> = on!(conn, c => {
        let holds = |pattern: &str| {
            lower(t::prompt).like(pattern.to_owned()).escape('!')
                .or(lower(t::model_output).like(pattern.to_owned()).escape('!'))
                .or(lower(coalesce(t::preferred_output, "")).like(pattern.to_owned()).escape('!'))
                .or(lower(coalesce(t::rejected_output, "")).like(pattern.to_owned()).escape('!'))
        };
        let all = t::table
            .select(Feedback::as_select())
            .filter(t::id.lt(after).and(t::id.gt(behind.unwrap_or(i64::MIN))))
            .filter(holds(&pattern))
            .order(t::id.desc())
            .limit(page.fetch())
            .into_boxed();
        narrowed!(all, scope, filter).load(c)
    })?;
    let mut slice = Slice::cut(rows, page, |row| row.id);
    slice.next = slice.next.or(behind.map(|behind| behind.saturating_add(1)));
    Ok(slice)
}

/// Refuses a range that ends before it begins.
///
/// # Errors
/// [`Invalid`] on `to`.
pub fn check_range(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Result<(), Invalid> {
    match (from, to) {
        (Some(from), Some(to)) if to <= from => Err(Invalid::one("to", "must lie after `from`")),
        _ => Ok(()),
    }
}
