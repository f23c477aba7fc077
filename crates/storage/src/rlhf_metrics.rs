//! Key figures of the programme, one row per day and retailer, with n and definition of each figure beside it.

pub mod day;
pub mod sources;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use serde::Serialize;

use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::on;
use crate::page::{Page, Slice};
use crate::schema::rlhf_metrics as t;
use crate::types::{Json, Timestamp};

/// The figures of one day and retailer.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct DayFigures {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// The day in UTC.
    pub date: NaiveDate,
    /// The retailer; `None` is all together.
    pub retailer_id: Option<String>,
    /// Tool calls equal to the expected ones, share.
    pub tool_call_exact_match_rate: Option<f64>,
    /// Tool calls that pass all automatic checks, share.
    pub tool_call_compile_pass_rate: Option<f64>,
    /// F1 of schema mappings.
    pub schema_mapping_f1: Option<f64>,
    /// Texts that keep the policy at first submission, share.
    pub policy_pass_rate_first_submit: Option<f64>,
    /// Days from a retailer's entry to its first result.
    pub time_to_onboard_days: Option<f64>,
    /// Krippendorff's alpha.
    pub inter_rater_reliability: Option<f64>,
    /// Golden items answered correctly, share.
    pub golden_set_accuracy: Option<f64>,
    /// Judged tasks that needed an expert, percent.
    pub percent_tasks_escalated: Option<f64>,
    /// Cost per judgment kept, micros.
    pub cost_per_accepted_judgment_micros: Option<i64>,
    /// Hours from one active model to the next.
    pub latency_per_rl_iteration_hours: Option<f64>,
    /// Return on ad spend above the control's.
    pub incremental_roas: Option<f64>,
    /// Revenue above the control's, micros.
    pub incremental_revenue_micros: Option<i64>,
    /// Hours that experts did not have to spend.
    pub expert_hours_saved: Option<f64>,
    /// Judgments of the day.
    pub total_judgments: i32,
    /// Raters who judged that day.
    pub active_raters: i32,
    /// Tasks completed that day.
    pub tasks_completed: i32,
    /// For each figure: n, definition, and why it is absent.
    pub definitions: Json,
    /// When it was last computed.
    pub updated_at: Timestamp,
    /// Currency of the cost.
    pub cost_currency: Option<String>,
    /// Currency of the incremental revenue.
    pub revenue_currency: Option<String>,
}

/// Figures to store; the fields are those of [`DayFigures`].
#[derive(Debug, Clone, Default, PartialEq, AsChangeset, Insertable)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct NewDayFigures {
    pub retailer_id: Option<String>,
    pub tool_call_exact_match_rate: Option<f64>,
    pub tool_call_compile_pass_rate: Option<f64>,
    pub schema_mapping_f1: Option<f64>,
    pub policy_pass_rate_first_submit: Option<f64>,
    pub time_to_onboard_days: Option<f64>,
    pub inter_rater_reliability: Option<f64>,
    pub golden_set_accuracy: Option<f64>,
    pub percent_tasks_escalated: Option<f64>,
    pub cost_per_accepted_judgment_micros: Option<i64>,
    pub latency_per_rl_iteration_hours: Option<f64>,
    pub incremental_roas: Option<f64>,
    pub incremental_revenue_micros: Option<i64>,
    pub expert_hours_saved: Option<f64>,
    pub total_judgments: i32,
    pub active_raters: i32,
    pub tasks_completed: i32,
    pub definitions: Json,
    pub cost_currency: Option<String>,
    pub revenue_currency: Option<String>,
}

impl From<DayFigures> for NewDayFigures {
    fn from(row: DayFigures) -> Self {
        Self {
            retailer_id: row.retailer_id,
            tool_call_exact_match_rate: row.tool_call_exact_match_rate,
            tool_call_compile_pass_rate: row.tool_call_compile_pass_rate,
            schema_mapping_f1: row.schema_mapping_f1,
            policy_pass_rate_first_submit: row.policy_pass_rate_first_submit,
            time_to_onboard_days: row.time_to_onboard_days,
            inter_rater_reliability: row.inter_rater_reliability,
            golden_set_accuracy: row.golden_set_accuracy,
            percent_tasks_escalated: row.percent_tasks_escalated,
            cost_per_accepted_judgment_micros: row.cost_per_accepted_judgment_micros,
            latency_per_rl_iteration_hours: row.latency_per_rl_iteration_hours,
            incremental_roas: row.incremental_roas,
            incremental_revenue_micros: row.incremental_revenue_micros,
            expert_hours_saved: row.expert_hours_saved,
            total_judgments: row.total_judgments,
            active_raters: row.active_raters,
            tasks_completed: row.tasks_completed,
            definitions: row.definitions,
            cost_currency: row.cost_currency,
            revenue_currency: row.revenue_currency,
        }
    }
}

/// Which figures are wanted.
#[derive(Debug, Clone, Default)]
pub struct DayFiguresFilter {
    /// Of this retailer; `None` is all together.
    pub retailer_id: Option<String>,
    /// From this day.
    pub from: Option<NaiveDate>,
    /// To this day, inclusive.
    pub to: Option<NaiveDate>,
}

/// Stores the figures of a day and retailer, in place of earlier ones.
///
/// # Errors
/// [`StorageError::Invalid`] for an unknown retailer; [`StorageError::Conflict`] when the same row is being written by somebody else.
pub fn store(conn: &mut Connection, date: NaiveDate, new: &NewDayFigures, now: DateTime<Utc>) -> Result<DayFigures, StorageError> {
    let scope = new.retailer_id.clone().unwrap_or_default();
    let existing: Option<i64> =
        on!(conn, c => t::table.filter(t::date.eq(date)).filter(t::retailer_scope.eq(&scope)).select(t::id).first(c).optional())?;
    match existing {
        Some(id) => {
            on!(conn, c => diesel::update(t::table.find(id)).set((new, t::updated_at.eq(Timestamp(now)))).execute(c))?;
        }
        None => {
            let key = (t::date.eq(date), t::retailer_scope.eq(&scope), t::created_at.eq(Timestamp(now)), t::updated_at.eq(Timestamp(now)));
            on!(conn, c => diesel::insert_into(t::table).values((key, new)).execute(c))
                .on_missing_reference("retailer_id", || "is not a retailer that exists".to_owned())
                .on_unique("conflict", || "these figures are being computed by somebody else; ask again".to_owned())?;
        }
    }
    Ok(on!(conn, c => t::table
        .filter(t::date.eq(date))
        .filter(t::retailer_scope.eq(&scope))
        .select(DayFigures::as_select())
        .first(c))?)
}

/// Of the days from one on: when the figures of all retailers together were last computed.
///
/// # Errors
/// As any query.
pub fn computed(conn: &mut Connection, from: NaiveDate) -> Result<Vec<(NaiveDate, Timestamp)>, StorageError> {
    Ok(on!(conn, c => t::table
        .filter(t::retailer_scope.eq("").and(t::date.ge(from)))
        .order(t::date)
        .select((t::date, t::updated_at))
        .load(c))?)
}

/// Retailers that have figures of a day.
///
/// # Errors
/// As any query.
pub fn retailers(conn: &mut Connection, date: NaiveDate) -> Result<Vec<String>, StorageError> {
    let found: Vec<Option<String>> = on!(conn, c => t::table.filter(t::date.eq(date).and(t::retailer_id.is_not_null())).order(t::retailer_id).select(t::retailer_id).load(c))?;
    Ok(found.into_iter().flatten().collect())
}

/// Retailers that have figures at all, for choosing one.
///
/// # Errors
/// As any query.
pub fn all_retailers(conn: &mut Connection) -> Result<Vec<String>, StorageError> {
    let found: Vec<Option<String>> = on!(conn, c => t::table.filter(t::retailer_id.is_not_null()).order(t::retailer_id).select(t::retailer_id).distinct().limit(500).load(c))?;
    Ok(found.into_iter().flatten().collect())
}

/// The figures of one retailer, or of all together, over a span of days, oldest first.
///
/// # Errors
/// As any query.
pub fn span(conn: &mut Connection, retailer_id: Option<&str>, from: NaiveDate, to: NaiveDate) -> Result<Vec<DayFigures>, StorageError> {
    let scope = retailer_id.unwrap_or_default();
    Ok(on!(conn, c => t::table
        .filter(t::retailer_scope.eq(scope).and(t::date.ge(from)).and(t::date.le(to)))
        .order(t::date)
        .limit(1000)
        .select(DayFigures::as_select())
        .load(c))?)
}

/// Figures, the last stored first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, filter: &DayFiguresFilter, page: &Page) -> Result<Slice<DayFigures>, StorageError> {
    let scope = filter.retailer_id.clone().unwrap_or_default();
    let rows: Vec<DayFigures> = on!(conn, c => {
        let mut query = t::table
            .select(DayFigures::as_select())
            .filter(t::retailer_scope.eq(&scope))
            .order(t::id.desc())
            .limit(page.fetch())
            .into_boxed();
        if let Some(from) = filter.from {
            query = query.filter(t::date.ge(from));
        }
        if let Some(to) = filter.to {
            query = query.filter(t::date.le(to));
        }
        if let Some(after) = page.after {
            query = query.filter(t::id.lt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.id))
}
