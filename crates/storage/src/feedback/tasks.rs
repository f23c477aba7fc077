//! From feedback that people should look at to rating tasks: entered with the feedback, paired in the background, asked about once.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use diesel::dsl::count_star;
use diesel::prelude::*;
use domain::scope::Scope;
use serde::Serialize;

use super::{Feedback, rules};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::page::{Page, Slice};
use crate::schema::{feedback as f, feedback_tasks as t};
use crate::types::Timestamp;
use crate::{insert_new, on};

/// The newest feedback of a brand among which a second text is looked for.
const LOOKED_AT: i64 = 2_000;

/// Most texts for one prompt that are weighed.
const WEIGHED: i64 = 200;

/// From this mean rating on a text is good enough to be compared with.
const GOOD: f64 = 4.0;

/// What became of a piece of feedback.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct FeedbackTask {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// The feedback.
    pub feedback_id: String,
    /// Whose it is.
    pub tenant_id: String,
    /// The brand.
    pub brand_id: String,
    /// `waiting` to be paired, `asked` (on its way to the rater app), `created`, or `left_out`.
    pub state: String,
    /// Why it was left out.
    pub reason: Option<String>,
    /// The rating task.
    pub task_id: Option<String>,
    /// The day on which it was asked.
    pub asked_on: Option<NaiveDate>,
    /// When the feedback came.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

/// Which are wanted.
#[derive(Debug, Clone, Default)]
pub struct FeedbackTaskFilter {
    /// Of this brand.
    pub brand_id: Option<String>,
    /// In this state.
    pub state: Option<String>,
}

/// Enters those of these pieces of feedback that meet the rule of their brand; how many. In the transaction that stores them.
///
/// # Errors
/// As any query.
pub fn enter(conn: &mut Connection, rows: &[Feedback], now: DateTime<Utc>) -> Result<usize, StorageError> {
    // What no rule can ask about costs nothing more.
    let might = |row: &&Feedback| row.brand_id.is_some() && row.feedback_type != "thumbs_up" && row.rating.is_none_or(|rating| rating <= 4);
    let rows: Vec<&Feedback> = rows.iter().filter(might).collect();
    if rows.is_empty() {
        return Ok(0);
    }
    let mut brands: Vec<&str> = rows.iter().filter_map(|row| row.brand_id.as_deref()).collect();
    brands.sort_unstable();
    brands.dedup();
    let rules = rules::of_brands(conn, &brands)?;
    let met = |row: &&&Feedback| {
        rules.iter().any(|rule| Some(&rule.brand_id) == row.brand_id.as_ref() && rule.meets(&row.feedback_type, row.rating))
    };
    let new: Vec<_> = rows
        .iter()
        .filter(met)
        .map(|row| {
            (
                t::feedback_id.eq(&row.feedback_id),
                t::tenant_id.eq(&row.tenant_id),
                t::brand_id.eq(row.brand_id.as_deref().unwrap_or_default()),
                t::state.eq("waiting"),
                t::created_at.eq(Timestamp(now)),
                t::updated_at.eq(Timestamp(now)),
            )
        })
        .collect();
    if new.is_empty() {
        return Ok(0);
    }
    Ok(insert_new!(conn, t::table, &new)?)
}

/// Feedback that waits to be paired, oldest first.
///
/// # Errors
/// As any query.
pub fn waiting(conn: &mut Connection, limit: i64) -> Result<Vec<Feedback>, StorageError> {
    Ok(on!(conn, c => t::table
        .inner_join(f::table.on(f::feedback_id.eq(t::feedback_id)))
        .filter(t::state.eq("waiting"))
        .order(t::id)
        .limit(limit)
        .select(Feedback::as_select())
        .load(c))?)
}

/// The best liked other text for the same prompt among the newest feedback of the brand, liked at least well; with its mean rating.
///
/// # Errors
/// As any query.
pub fn best_other(conn: &mut Connection, of: &Feedback) -> Result<Option<(String, f64)>, StorageError> {
    let brand = of.brand_id.as_deref().unwrap_or_default();
    let oldest: Option<i64> = on!(conn, c => f::table
        .filter(f::brand_id.eq(brand)).order(f::id.desc()).offset(LOOKED_AT).limit(1).select(f::id).first(c).optional())?;
    let said: Vec<Feedback> = on!(conn, c => f::table
        .filter(f::brand_id.eq(brand).and(f::task_type.eq(&of.task_type)).and(f::prompt.eq(&of.prompt)))
        .filter(f::id.gt(oldest.unwrap_or(0)).and(f::id.ne(of.id)))
        .order(f::id.desc())
        .limit(WEIGHED)
        .select(Feedback::as_select())
        .load(c))?;
    let mut texts: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for row in &said {
        let mut says: Vec<(&str, f64)> = Vec::new();
        match (row.feedback_type.as_str(), row.rating) {
            ("thumbs_up", _) => says.push((&row.model_output, 5.0)),
            ("thumbs_down", _) => says.push((&row.model_output, 1.0)),
            ("rating", Some(rating)) => says.push((&row.model_output, f64::from(rating))),
            ("preference" | "correction", _) => {
                says.extend(row.preferred_output.as_deref().map(|text| (text, 5.0)));
                says.push((row.rejected_output.as_deref().unwrap_or(&row.model_output), 1.0));
            }
            _ => {}
        }
        for (text, stars) in says {
            let (sum, n) = texts.entry(text).or_default();
            (*sum, *n) = (*sum + stars, *n + 1.0);
        }
    }
    let own = of.model_output.trim();
    let best = texts
        .into_iter()
        .filter(|(text, (sum, n))| text.trim() != own && sum / n >= GOOD)
        .max_by(|(_, (sum_a, n_a)), (_, (sum_b, n_b))| (sum_a / n_a).total_cmp(&(sum_b / n_b)).then(n_a.total_cmp(n_b)));
    Ok(best.map(|(text, (sum, n))| (text.to_owned(), sum / n)))
}

/// Whether a pair may be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// Yes: it is noted, and the task is the caller's to make in the same transaction.
    Asked,
    /// No, and why is noted.
    LeftOut(&'static str),
    /// Somebody else has dealt with it.
    Gone,
}

/// How many more of a brand's may be asked about on a day, as it looks now; none without a rule that is on.
///
/// # Errors
/// As any query.
pub fn room(conn: &mut Connection, brand_id: &str, today: NaiveDate) -> Result<i64, StorageError> {
    let rule = rules::of_brands(conn, &[brand_id])?.pop();
    let Some(rule) = rule else { return Ok(0) };
    Ok(i64::from(rule.daily_limit) - asked_on(conn, brand_id, today)?)
}

fn asked_on(conn: &mut Connection, brand_id: &str, day: NaiveDate) -> Result<i64, StorageError> {
    Ok(on!(conn, c => t::table.filter(t::brand_id.eq(brand_id).and(t::asked_on.eq(day))).count().get_result(c))?)
}

/// What is to be noted of a piece of feedback of one brand.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The piece.
    pub of: &'a Feedback,
    /// Hash of its pair and id of its task, or why there is none.
    pub pair: Result<(&'a str, &'a str), &'static str>,
}

/// Notes which pieces of one brand are asked about: those for which the brand's rule still asks, the day's limit leaves room and the same pair
/// was not asked about before. The rule is held meanwhile, so that the limit is exact over all processes. What became of each, in order.
///
/// # Errors
/// As any query.
pub fn ask(conn: &mut Connection, brand_id: &str, plans: &[Plan<'_>], now: DateTime<Utc>) -> Result<Vec<Asking>, StorageError> {
    let rule = rules::hold(conn, brand_id)?;
    let ids: Vec<&str> = plans.iter().map(|plan| plan.of.feedback_id.as_str()).collect();
    let hashes: Vec<&str> = plans.iter().filter_map(|plan| Some(plan.pair.ok()?.0)).collect();
    let waiting: Vec<(String, i64)> = on!(conn, c => t::table
        .filter(t::feedback_id.eq_any(&ids).and(t::state.eq("waiting"))).select((t::feedback_id, t::id)).load(c))?;
    let known: Vec<Option<String>> = on!(conn, c => t::table
        .filter(t::brand_id.eq(brand_id).and(t::pair_hash.eq_any(&hashes))).select(t::pair_hash).load(c))?;
    let waiting: BTreeMap<String, i64> = waiting.into_iter().collect();
    let mut known: BTreeSet<String> = known.into_iter().flatten().collect();
    let today = now.date_naive();
    let mut asked = asked_on(conn, brand_id, today)?;
    let mut left_out: BTreeMap<&'static str, Vec<i64>> = BTreeMap::new();
    let mut outcomes = Vec::with_capacity(plans.len());
    for Plan { of, pair } in plans {
        let Some(id) = waiting.get(&of.feedback_id) else {
            outcomes.push(Asking::Gone);
            continue;
        };
        let rule = rule.as_ref().filter(|rule| rule.meets(&of.feedback_type, of.rating));
        let against = match (rule, pair) {
            (None, _) => Err("rule_changed"),
            (_, Err(reason)) => Err(*reason),
            (_, Ok((hash, _))) if known.contains(*hash) => Err("already_asked"),
            (Some(rule), _) if asked >= i64::from(rule.daily_limit) => Err("daily_limit"),
            (Some(_), Ok(pair)) => Ok(*pair),
        };
        let (hash, task_id) = match against {
            Ok(pair) => pair,
            Err(reason) => {
                left_out.entry(reason).or_default().push(*id);
                outcomes.push(Asking::LeftOut(reason));
                continue;
            }
        };
        let changes = (
            t::state.eq("asked"),
            t::task_id.eq(Some(task_id)),
            t::pair_hash.eq(Some(hash)),
            t::asked_on.eq(Some(today)),
            t::updated_at.eq(Timestamp(now)),
        );
        on!(conn, c => diesel::update(t::table.find(id)).set(changes).execute(c))?;
        known.insert(hash.to_owned());
        asked += 1;
        outcomes.push(Asking::Asked);
    }
    for (reason, ids) in left_out {
        let changes = (t::state.eq("left_out"), t::reason.eq(Some(reason)), t::updated_at.eq(Timestamp(now)));
        on!(conn, c => diesel::update(t::table.filter(t::id.eq_any(&ids))).set(changes).execute(c))?;
    }
    Ok(outcomes)
}

/// Notes why a piece of feedback becomes no task.
///
/// # Errors
/// As any query.
pub fn leave_out(conn: &mut Connection, feedback_id: &str, reason: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let changes = (t::state.eq("left_out"), t::reason.eq(Some(reason)), t::updated_at.eq(Timestamp(now)));
    let open = t::feedback_id.eq(feedback_id).and(t::state.eq_any(["waiting", "asked"]));
    on!(conn, c => diesel::update(t::table.filter(open)).set(changes).execute(c))?;
    Ok(())
}

/// Notes that the rater app has the task.
///
/// # Errors
/// As any query.
pub fn created(conn: &mut Connection, feedback_id: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let asked = t::feedback_id.eq(feedback_id).and(t::state.eq("asked"));
    on!(conn, c => diesel::update(t::table.filter(asked)).set((t::state.eq("created"), t::updated_at.eq(Timestamp(now)))).execute(c))?;
    Ok(())
}

/// What became of feedback of this scope, newest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, scope: &Scope, filter: &FeedbackTaskFilter, page: &Page) -> Result<Slice<FeedbackTask>, StorageError> {
    let rows: Vec<FeedbackTask> = on!(conn, c => {
        let mut query = t::table.select(FeedbackTask::as_select()).order(t::id.desc()).limit(page.fetch()).into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        if let Some(brand) = &filter.brand_id {
            query = query.filter(t::brand_id.eq(brand));
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

/// How many of a brand's are in which state, and why those left out were.
///
/// # Errors
/// As any query.
pub fn counts(conn: &mut Connection, scope: &Scope, brand_id: &str) -> Result<Vec<(String, Option<String>, i64)>, StorageError> {
    let rows: Vec<(String, Option<String>, i64)> = on!(conn, c => {
        let mut query = t::table
            .filter(t::brand_id.eq(brand_id))
            .group_by((t::state, t::reason))
            .select((t::state, t::reason, count_star()))
            .into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        query.load(c)
    })?;
    Ok(rows)
}
