//! Key figures of the programme, one row per day and retailer, with n and definition of each figure beside it.

pub mod day;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use serde::Serialize;
use serde_json::Value;

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
}

/// Figures to store.
#[derive(Debug, Clone, Default)]
pub struct NewDayFigures {
    /// The retailer; `None` is all together.
    pub retailer_id: Option<String>,
    /// Tool calls that pass all automatic checks, share.
    pub tool_call_compile_pass_rate: Option<f64>,
    /// Texts that keep the policy at first submission, share.
    pub policy_pass_rate_first_submit: Option<f64>,
    /// Krippendorff's alpha.
    pub inter_rater_reliability: Option<f64>,
    /// Golden items answered correctly, share.
    pub golden_set_accuracy: Option<f64>,
    /// Judged tasks that needed an expert, percent.
    pub percent_tasks_escalated: Option<f64>,
    /// Hours from one active model to the next.
    pub latency_per_rl_iteration_hours: Option<f64>,
    /// Judgments of the day.
    pub total_judgments: i32,
    /// Raters who judged that day.
    pub active_raters: i32,
    /// Tasks completed that day.
    pub tasks_completed: i32,
    /// For each figure: n, definition, and why it is absent.
    pub definitions: Value,
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
    let figures = (
        t::tool_call_compile_pass_rate.eq(new.tool_call_compile_pass_rate),
        t::policy_pass_rate_first_submit.eq(new.policy_pass_rate_first_submit),
        t::inter_rater_reliability.eq(new.inter_rater_reliability),
        t::golden_set_accuracy.eq(new.golden_set_accuracy),
        t::percent_tasks_escalated.eq(new.percent_tasks_escalated),
        t::latency_per_rl_iteration_hours.eq(new.latency_per_rl_iteration_hours),
        t::total_judgments.eq(new.total_judgments),
        t::active_raters.eq(new.active_raters),
        t::tasks_completed.eq(new.tasks_completed),
        t::definitions.eq(Json(new.definitions.clone())),
        t::updated_at.eq(Timestamp(now)),
    );
    match existing {
        Some(id) => {
            on!(conn, c => diesel::update(t::table.find(id)).set(figures).execute(c))?;
        }
        None => {
            let key = (
                t::date.eq(date),
                t::retailer_scope.eq(&scope),
                t::retailer_id.eq(new.retailer_id.as_deref()),
                t::created_at.eq(Timestamp(now)),
            );
            on!(conn, c => diesel::insert_into(t::table).values((key, figures)).execute(c))
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
