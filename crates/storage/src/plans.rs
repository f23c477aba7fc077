//! Candidate plans. Those of one request form a plan set, of which at most one is chosen.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use domain::campaign::PlanStatus;
use domain::scope::Scope;
use serde::Serialize;

use crate::connection::Connection;
use crate::error::StorageError;
use crate::page::{Page, Slice};
use crate::schema::{campaign_plans as t, task_consensus};
use crate::types::{Json, Timestamp};
use crate::{lock, on};

/// A stored plan.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct Plan {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Public id.
    pub plan_id: String,
    /// The request it answers.
    pub plan_set_id: String,
    /// Primary key of its campaign.
    #[serde(skip)]
    pub campaign: i64,
    /// Whose it is.
    #[serde(skip)]
    pub tenant_id: String,
    /// A word of `domain::campaign::PlanStatus`.
    pub status: String,
    /// How it was made.
    pub strategy: String,
    /// Place within its set, from 0.
    pub position: i32,
    /// The budget planned, in micros of `currency`.
    #[serde(skip)]
    pub budget_micros: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// Days covered.
    pub horizon_days: i32,
    /// The plan itself and the form in which it is judged.
    pub plan: Json,
    /// Score of the reward model, when one took part.
    pub score: Option<f64>,
    /// Probability of winning against the best other plan of its set.
    pub win_probability: Option<f64>,
    /// The reward model that scored.
    pub model_id: Option<String>,
    /// The rating task in which people compare it.
    pub task_id: Option<String>,
    /// Why it was (not) chosen.
    pub choice_reason: Option<String>,
    /// Who decided: an actor, `reward_model`, `expected_outcome` or `people`.
    pub decided_by: Option<String>,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// A plan to store; the fields are those of [`Plan`].
#[derive(Debug, Clone, PartialEq, Insertable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct NewPlan {
    pub plan_id: String,
    pub plan_set_id: String,
    pub campaign: i64,
    pub tenant_id: String,
    pub status: String,
    pub strategy: String,
    pub position: i32,
    pub budget_micros: i64,
    pub currency: String,
    pub horizon_days: i32,
    pub plan: Json,
    pub score: Option<f64>,
    pub win_probability: Option<f64>,
    pub model_id: Option<String>,
}

/// The decision about a plan set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<'a> {
    /// The plan to run; `None` rejects all.
    pub plan_id: Option<&'a str>,
    /// Why, in words.
    pub reason: &'a str,
    /// Who decided.
    pub decided_by: &'a str,
}

/// A plan set whose rating task has a final answer.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct JudgedSet {
    /// The rating task.
    pub task_id: String,
    /// The answer: `candidate_a`, `candidate_b`, `tie`, `both_bad`, or absent when there was none.
    pub choice: Option<String>,
    /// Probability of the answer.
    pub posterior: Option<f64>,
    /// How it was found.
    pub method: String,
    /// Judgments that it rests on.
    pub judgments_count: i32,
}

/// Stores the plans of a set.
///
/// # Errors
/// As any query.
pub fn insert_many(conn: &mut Connection, plans: &[NewPlan], now: DateTime<Utc>) -> Result<(), StorageError> {
    let now = Timestamp(now);
    let rows: Vec<_> = plans.iter().map(|one| (one, t::created_at.eq(now), t::updated_at.eq(now))).collect();
    on!(conn, c => diesel::insert_into(t::table).values(rows).execute(c))?;
    Ok(())
}

/// One plan of a campaign.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find(conn: &mut Connection, scope: &Scope, campaign: i64, plan_id: &str) -> Result<Plan, StorageError> {
    let query = t::plan_id.eq(plan_id).and(t::campaign.eq(campaign));
    let found: Option<Plan> = on!(conn, c => t::table.filter(query).select(Plan::as_select()).first(c).optional())?;
    found.filter(|plan| scope.may_see(Some(&plan.tenant_id))).ok_or_else(|| StorageError::not_found("plan", plan_id))
}

/// The plans of a set in their order.
///
/// # Errors
/// As any query.
pub fn find_set(conn: &mut Connection, scope: &Scope, plan_set_id: &str) -> Result<Vec<Plan>, StorageError> {
    let plans: Vec<Plan> =
        on!(conn, c => t::table.filter(t::plan_set_id.eq(plan_set_id)).order(t::position).select(Plan::as_select()).load(c))?;
    Ok(plans.into_iter().filter(|plan| scope.may_see(Some(&plan.tenant_id))).collect())
}

/// Plan sets of a campaign, newest first, each with all its plans.
///
/// # Errors
/// As any query.
pub fn list_sets(conn: &mut Connection, scope: &Scope, campaign: i64, page: &Page) -> Result<Slice<Vec<Plan>>, StorageError> {
    let firsts: Vec<(i64, String)> = on!(conn, c => {
        let mut query = t::table
            .filter(t::campaign.eq(campaign).and(t::position.eq(0)))
            .select((t::id, t::plan_set_id))
            .order(t::id.desc())
            .limit(page.fetch())
            .into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        if let Some(after) = page.after {
            query = query.filter(t::id.lt(after));
        }
        query.load(c)
    })?;
    let firsts = Slice::cut(firsts, page, |first| first.0);
    let ids: Vec<&str> = firsts.rows.iter().map(|first| first.1.as_str()).collect();
    let mut plans: Vec<Plan> =
        on!(conn, c => t::table.filter(t::plan_set_id.eq_any(&ids)).order((t::id.desc(), t::position)).select(Plan::as_select()).load(c))?;
    plans.sort_by_key(|plan| plan.position);
    Ok(firsts.map(|(_, set)| plans.iter().filter(|plan| plan.plan_set_id == set).cloned().collect()))
}

/// For each of these campaigns (primary keys) its plans that were chosen or wait for people, newest first, at most 500.
///
/// # Errors
/// As any query.
pub fn latest(conn: &mut Connection, scope: &Scope, campaigns: &[i64]) -> Result<Vec<Plan>, StorageError> {
    let standing = [PlanStatus::Chosen.as_ref(), PlanStatus::InReview.as_ref()];
    Ok(on!(conn, c => {
        let mut query = t::table
            .filter(t::campaign.eq_any(campaigns).and(t::status.eq_any(standing)))
            .order(t::id.desc())
            .limit(500)
            .select(Plan::as_select())
            .into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        query.load(c)
    })?)
}

/// Notes the rating task of the plans of a set that are in review.
///
/// # Errors
/// As any query; a foreign key violation when there is no such task.
pub fn set_task(conn: &mut Connection, plan_set_id: &str, task_id: &str, now: DateTime<Utc>) -> Result<usize, StorageError> {
    let waiting = t::table.filter(t::plan_set_id.eq(plan_set_id).and(t::status.eq(PlanStatus::InReview.as_ref())));
    let changes = (t::task_id.eq(Some(task_id)), t::updated_at.eq(Timestamp(now)));
    Ok(on!(conn, c => diesel::update(waiting).set(changes).execute(c))?)
}

/// Decides a set: one plan is chosen, all others are rejected. Deciding again for the same plan changes nothing.
///
/// # Errors
/// [`StorageError::NotFound`] without such a set; [`StorageError::Conflict`] (`conflict`) when it was decided otherwise before.
pub fn decide(
    conn: &mut Connection,
    scope: &Scope,
    plan_set_id: &str,
    choice: &Choice<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Plan>, StorageError> {
    let plans: Vec<Plan> =
        lock!(conn, t::table.filter(t::plan_set_id.eq(plan_set_id)).order(t::position).select(Plan::as_select()) => Plan)?;
    if plans.is_empty() || plans.iter().any(|plan| !scope.may_see(Some(&plan.tenant_id))) {
        return Err(StorageError::not_found("plan set", plan_set_id));
    }
    if plans.iter().all(|plan| plan.decided_at.is_some()) {
        let standing = plans.iter().find(|plan| plan.status == PlanStatus::Chosen.as_ref()).map(|plan| plan.plan_id.as_str());
        if standing == choice.plan_id {
            return Ok(plans);
        }
        let why = match standing {
            Some(other) => format!("plan set {plan_set_id:?} is decided already: plan {other:?} was chosen"),
            None => format!("plan set {plan_set_id:?} is decided already: no plan was chosen"),
        };
        return Err(StorageError::conflict("conflict", why));
    }
    write_choice(conn, &plans, choice, now)?;
    find_set(conn, scope, plan_set_id)
}

/// Closes an undecided set without a choice: its plans stay candidates, with what was found and by whom. A decided set stays as it is.
///
/// # Errors
/// As any query.
pub fn set_aside(
    conn: &mut Connection,
    scope: &Scope,
    plan_set_id: &str,
    reason: &str,
    found_by: &str,
    now: DateTime<Utc>,
) -> Result<Vec<Plan>, StorageError> {
    let open = t::table.filter(t::plan_set_id.eq(plan_set_id).and(t::decided_at.is_null()));
    let changes = (
        t::status.eq(PlanStatus::Candidate.as_ref()),
        t::choice_reason.eq(Some(reason)),
        t::decided_by.eq(Some(found_by)),
        t::decided_at.eq(Some(Timestamp(now))),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::update(open).set(changes).execute(c))?;
    find_set(conn, scope, plan_set_id)
}

/// Decides a set anew, whatever was decided before.
///
/// # Errors
/// [`StorageError::NotFound`] without such a set.
pub fn overrule(
    conn: &mut Connection,
    scope: &Scope,
    plan_set_id: &str,
    choice: &Choice<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Plan>, StorageError> {
    let plans: Vec<Plan> =
        lock!(conn, t::table.filter(t::plan_set_id.eq(plan_set_id)).order(t::position).select(Plan::as_select()) => Plan)?;
    if plans.is_empty() || plans.iter().any(|plan| !scope.may_see(Some(&plan.tenant_id))) {
        return Err(StorageError::not_found("plan set", plan_set_id));
    }
    write_choice(conn, &plans, choice, now)?;
    find_set(conn, scope, plan_set_id)
}

fn write_choice(conn: &mut Connection, plans: &[Plan], choice: &Choice<'_>, now: DateTime<Utc>) -> Result<(), StorageError> {
    for plan in plans {
        let status = if choice.plan_id == Some(plan.plan_id.as_str()) { PlanStatus::Chosen } else { PlanStatus::Rejected };
        let changes = (
            t::status.eq(status.as_ref()),
            t::choice_reason.eq(Some(choice.reason)),
            t::decided_by.eq(Some(choice.decided_by)),
            t::decided_at.eq(Some(Timestamp(now))),
            t::updated_at.eq(Timestamp(now)),
        );
        on!(conn, c => diesel::update(t::table.find(plan.id)).set(changes).execute(c))?;
    }
    Ok(())
}

/// Plan sets in review whose rating task has a final answer, oldest first: set id and answer.
///
/// # Errors
/// As any query.
pub fn judged_sets(conn: &mut Connection, limit: i64) -> Result<Vec<(String, JudgedSet)>, StorageError> {
    let rows: Vec<(String, JudgedSet)> = on!(conn, c => t::table
        .inner_join(task_consensus::table.on(t::task_id.eq(task_consensus::task_id.nullable())))
        .filter(t::status.eq(PlanStatus::InReview.as_ref()).and(task_consensus::is_final.eq(true)))
        .order(t::id)
        .limit(limit.clamp(1, 100) * 2)
        .select((
            t::plan_set_id,
            (
                task_consensus::task_id,
                task_consensus::choice,
                task_consensus::posterior,
                task_consensus::method,
                task_consensus::judgments_count,
            ),
        ))
        .load(c))?;
    let mut sets: Vec<(String, JudgedSet)> = Vec::new();
    for row in rows {
        if sets.last().is_none_or(|last| last.0 != row.0) {
            sets.push(row);
        }
    }
    Ok(sets)
}
