//! The rule by which feedback on a brand's outputs becomes rating tasks, and what became of it.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use domain::invalid::Invalid;
use domain::role::Role;
use domain::scope::Scope;
use serde::{Deserialize, Serialize};
use serde_json::json;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::feedback::brands;
use storage::feedback::rules::{self as stored, FeedbackRule, NewFeedbackRule};
use storage::feedback::tasks::{self, FeedbackTaskFilter};
use storage::page::Page;
use web::caller::Caller;
use web::json::JsonBody;
use web::paging::{ListQuery, Slice};
use web::problem::Problem;
use web::tabular::{Format, Kind};

use super::may_read;
use crate::state::State;
use crate::tables;

/// Most tasks a day that a rule may ask for.
const MAX_DAILY: i32 = 1_000;

/// Which feedback raters are asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleBody {
    /// Whether raters are asked at all.
    pub is_on: bool,
    /// Ratings up to this one (1 to 4) are asked about; no ratings when absent.
    pub max_rating: Option<i32>,
    /// Whether a thumb down is asked about.
    pub thumbs_down: bool,
    /// Whether corrections are put to raters.
    pub corrections: bool,
    /// Whether preferences are put to raters.
    pub preferences: bool,
    /// Tasks a day at most, 1 to 1000.
    pub daily_limit: i32,
}

/// What applies to a brand without a rule: nothing is asked, and this is proposed.
pub const PROPOSED: RuleBody =
    RuleBody { is_on: false, max_rating: Some(2), thumbs_down: true, corrections: true, preferences: false, daily_limit: 20 };

/// A brand's rule and what came of it.
#[derive(Debug, Serialize)]
pub struct RuleState {
    /// The brand.
    pub brand_id: String,
    /// The rule that holds; off, with what is proposed, when none was set.
    #[serde(flatten)]
    pub rule: RuleBody,
    /// Who set it; absent when nobody did.
    pub updated_by: Option<String>,
    /// How many pieces of feedback are in which state: `waiting`, `asked`, `created`, `left_out`.
    pub states: BTreeMap<String, i64>,
    /// Why those left out were.
    pub left_out: BTreeMap<String, i64>,
}

/// Filters of the list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FeedbackTaskQuery {
    /// Of this brand.
    pub brand_id: Option<String>,
    /// In this state.
    pub state: Option<AskedState>,
    /// As a file with all rows: `csv`, `ndjson` or `parquet`; JSON in pages when absent.
    #[param(value_type = Option<String>)]
    pub format: Option<Format>,
}

/// What became of a piece of feedback that met its brand's rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, strum::AsRefStr, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum AskedState {
    /// Not paired yet.
    Waiting,
    /// On its way to the rater app.
    Asked,
    /// A rating task.
    Created,
    /// No task, for a reason.
    LeftOut,
}

/// The rule of a brand and what came of it.
#[utoipa::path(get, path = "/v1/feedback/rules/{brand_id}", tag = "feedback", params(("brand_id" = String, Path)), responses((status = 200, description = "The rule, `states` and `left_out`", body = Object), (status = 404, description = "No brand that you may see")))]
pub async fn get_feedback_rule(state: Data<State>, caller: Caller, brand_id: Path<String>) -> Result<Json<RuleState>, Problem> {
    caller.require(may_read)?;
    let scope = caller.scope();
    let rule = state
        .storage
        .scoped(&scope)
        .read(move |conn| {
            brands::find(conn, &scope, &brand_id)?;
            rule_of(conn, &scope, &brand_id)
        })
        .await?;
    Ok(Json(rule))
}

/// Sets the rule of a brand; it holds for feedback that comes from now on.
#[utoipa::path(put, path = "/v1/feedback/rules/{brand_id}", tag = "feedback", params(("brand_id" = String, Path)), request_body = RuleBody, responses((status = 200, description = "The rule", body = Object), (status = 404, description = "No brand that you may see"), (status = 422, description = "Fields that are wrong")))]
pub async fn set_feedback_rule(
    state: Data<State>,
    caller: Caller,
    brand_id: Path<String>,
    body: JsonBody<RuleBody>,
) -> Result<Json<RuleState>, Problem> {
    caller.require(Role::may_plan)?;
    let new = check(&body.0)?;
    let (scope, now) = (caller.scope(), state.clock.now());
    let rule = state
        .storage
        .scoped(&scope)
        .transaction(move |conn| {
            let brand = brands::find(conn, &scope, &brand_id)?;
            stored::set(conn, &scope, &brand, &new, now)?;
            rule_of(conn, &scope, &brand.brand_id)
        })
        .await?;
    Ok(Json(rule))
}

/// What became of feedback that met its brand's rule, newest first.
#[utoipa::path(get, path = "/v1/feedback/tasks", tag = "feedback", params(FeedbackTaskQuery, web::paging::Page), responses((status = 200, description = "`{data: [{feedback_id, state, reason, task_id, ..}], next_cursor}`, or a file", content((Object = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"), (String = "application/vnd.apache.parquet"))), (status = 422, description = "A state that is none")))]
pub async fn list_feedback_tasks(state: Data<State>, caller: Caller, query: ListQuery<FeedbackTaskQuery>) -> Result<HttpResponse, Problem> {
    caller.require(may_read)?;
    let scope = caller.scope();
    let FeedbackTaskQuery { brand_id, state: wanted, format } = query.filter;
    let filter = FeedbackTaskFilter { brand_id, state: wanted.map(|state| state.as_ref().to_owned()) };
    let read = move |conn: &mut Connection, page: &Page| {
        if let Some(brand) = filter.brand_id.as_deref() {
            brands::find(conn, &scope, brand)?;
        }
        tasks::list(conn, &scope, &filter, page)
    };
    let storage = state.storage.scoped(&caller.scope());
    let Some(format) = format else {
        let page = Page::try_from(&query.page)?;
        return Ok(HttpResponse::Ok().json(Slice::from(storage.read(move |conn| read(conn, &page)).await?)));
    };
    let columns = tables::columns(
        &["feedback_id", "tenant_id", "brand_id", "state", "reason", "task_id", "asked_on", "created_at", "updated_at"]
            .map(|name| (name, Kind::Text)),
    );
    let shown = columns.clone();
    tables::answer("feedback-tasks", format, columns, move |after| {
        let (storage, read, shown) = (storage.clone(), read.clone(), shown.clone());
        async move {
            let page = Page { after, limit: tables::ROWS_AT_ONCE };
            let slice = storage.read(move |conn| read(conn, &page)).await?;
            Ok((slice.rows.iter().map(|row| tables::cells(&shown, &json!(row))).collect(), slice.next))
        }
    })
    .await
}

fn check(body: &RuleBody) -> Result<NewFeedbackRule, Invalid> {
    let mut invalid = Invalid::default();
    if let Some(rating) = body.max_rating.filter(|rating| !(1..=4).contains(rating)) {
        invalid.add("max_rating", format!("must be 1 to 4, not {rating}: the best rating is never asked about"));
    }
    if !(1..=MAX_DAILY).contains(&body.daily_limit) {
        invalid.add("daily_limit", format!("must be 1 to {MAX_DAILY}, not {}", body.daily_limit));
    }
    if body.is_on && body.max_rating.is_none() && !body.thumbs_down && !body.corrections && !body.preferences {
        invalid.add("is_on", "needs at least one kind of feedback to ask about");
    }
    invalid.into_result()?;
    Ok(NewFeedbackRule {
        is_on: body.is_on,
        max_rating: body.max_rating,
        thumbs_down: body.thumbs_down,
        corrections: body.corrections,
        preferences: body.preferences,
        daily_limit: body.daily_limit,
    })
}

/// For the API and the page.
///
/// # Errors
/// As any query.
pub fn rule_of(conn: &mut Connection, scope: &Scope, brand_id: &str) -> Result<RuleState, StorageError> {
    let found = stored::find(conn, scope, brand_id)?;
    let mut state = RuleState {
        brand_id: brand_id.to_owned(),
        updated_by: found.as_ref().map(|rule| rule.updated_by.clone()),
        rule: found.map_or(PROPOSED, body_of),
        states: BTreeMap::new(),
        left_out: BTreeMap::new(),
    };
    for (word, reason, n) in tasks::counts(conn, scope, brand_id)? {
        if let Some(reason) = reason {
            *state.left_out.entry(reason).or_default() += n;
        }
        *state.states.entry(word).or_default() += n;
    }
    Ok(state)
}

fn body_of(rule: FeedbackRule) -> RuleBody {
    RuleBody {
        is_on: rule.is_on,
        max_rating: rule.max_rating,
        thumbs_down: rule.thumbs_down,
        corrections: rule.corrections,
        preferences: rule.preferences,
        daily_limit: rule.daily_limit,
    }
}
