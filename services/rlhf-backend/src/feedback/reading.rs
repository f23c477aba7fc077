//! Feedback is read back: as a list, as a file, by words, one by one, and in numbers.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use chrono::{DateTime, Utc};
use domain::feedback::FeedbackType;
use domain::invalid::Invalid;
use domain::scope::Scope;
use serde::{Deserialize, Serialize};
use serde_json::json;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::feedback::statistics::{self, FeedbackStatistics};
use storage::feedback::{self as stored, Feedback, FeedbackFilter};
use storage::reward_models::require_retailer;
use web::caller::Caller;
use web::json::QueryOf;
use web::paging::{ListQuery, Slice};
use web::problem::Problem;
use web::tabular::{Column, Format, Kind};

use super::may_read;
use crate::period;
use crate::state::State;
use crate::tables;

/// Filters of the list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FeedbackQuery {
    /// Of this brand.
    pub brand_id: Option<String>,
    /// Of a brand of this retailer.
    pub retailer_id: Option<String>,
    /// On this kind of output.
    pub task_type: Option<String>,
    /// Of this kind.
    pub feedback_type: Option<FeedbackType>,
    /// By this user.
    pub user_id: Option<String>,
    /// From this session.
    pub session_id: Option<String>,
    /// From this instant or day.
    pub from: Option<String>,
    /// Before this instant, or to the end of this day.
    pub to: Option<String>,
    /// Only what holds these words in its request or texts, whatever their case. Each page searches the next 10,000 pieces: it may be empty
    /// and still have a `next_cursor`.
    pub search: Option<String>,
    /// As a file with all rows: `csv`, `ndjson` or `parquet`; JSON in pages when absent.
    #[param(value_type = Option<String>)]
    pub format: Option<Format>,
}

impl FeedbackQuery {
    fn filter(&self) -> Result<FeedbackFilter, Invalid> {
        let Self { brand_id, retailer_id, task_type, feedback_type, user_id, session_id, from, to, .. } = self.clone();
        StatisticsQuery { brand_id, retailer_id, task_type, feedback_type, user_id, session_id, from, to }.filter()
    }
}

/// What statistics are of.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatisticsQuery {
    /// Of this brand.
    pub brand_id: Option<String>,
    /// Of a brand of this retailer.
    pub retailer_id: Option<String>,
    /// On this kind of output.
    pub task_type: Option<String>,
    /// Of this kind.
    pub feedback_type: Option<FeedbackType>,
    /// By this user.
    pub user_id: Option<String>,
    /// From this session.
    pub session_id: Option<String>,
    /// From this instant or day.
    pub from: Option<String>,
    /// Before this instant, or to the end of this day.
    pub to: Option<String>,
}

impl StatisticsQuery {
    fn filter(self) -> Result<FeedbackFilter, Invalid> {
        let period = period::read(self.from.as_deref(), self.to.as_deref())?;
        Ok(FeedbackFilter {
            brand_id: self.brand_id,
            retailer_id: self.retailer_id,
            task_type: self.task_type,
            feedback_type: self.feedback_type.map(|kind| kind.to_string()),
            user_id: self.user_id,
            session_id: self.session_id,
            from: period.from,
            to: period.to,
        })
    }
}

/// What somebody searches for, if anything.
///
/// # Errors
/// [`Invalid`] on `search` for more than 100 characters.
pub(crate) fn words(search: Option<&str>) -> Result<Option<String>, Invalid> {
    match search.map(str::trim) {
        Some(text) if text.chars().count() > 100 => Err(Invalid::one("search", "must be at most 100 characters")),
        Some("") | None => Ok(None),
        Some(text) => Ok(Some(text.to_owned())),
    }
}

/// Statistics, with the filter they are of.
#[derive(Debug, Serialize)]
pub struct Statistics {
    #[serde(flatten)]
    statistics: FeedbackStatistics,
    /// When they were counted.
    counted_at: DateTime<Utc>,
}

/// Feedback, newest first.
#[utoipa::path(get, path = "/v1/feedback", tag = "feedback", params(FeedbackQuery, web::paging::Page), responses((status = 200, description = "`{data, next_cursor}`, or a file", content((web::paging::Slice<crate::rows::FeedbackRow> = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"), (String = "application/vnd.apache.parquet")))))]
pub async fn list_feedback(state: Data<State>, caller: Caller, query: ListQuery<FeedbackQuery>) -> Result<HttpResponse, Problem> {
    caller.require(may_read)?;
    let (scope, filter, text) = (caller.scope(), query.filter.filter()?, words(query.filter.search.as_deref())?);
    let storage = state.storage.scoped(&scope);
    let Some(format) = query.filter.format else {
        let page = storage::page::Page::try_from(&query.page)?;
        let slice = storage.read(move |conn| found(conn, &scope, &filter, text.as_deref(), &page)).await?;
        return Ok(HttpResponse::Ok().json(Slice::from(slice)));
    };
    let columns = columns();
    let shown = columns.clone();
    tables::answer("feedback", format, columns, move |after| {
        let (storage, scope, filter, text, shown) = (storage.clone(), scope.clone(), filter.clone(), text.clone(), shown.clone());
        async move {
            let page = storage::page::Page { after, limit: tables::ROWS_AT_ONCE };
            let slice = storage.read(move |conn| found(conn, &scope, &filter, text.as_deref(), &page)).await?;
            Ok((slice.rows.iter().map(|row| tables::cells(&shown, &json!(row))).collect(), slice.next))
        }
    })
    .await
}

/// A page of the list or of a search in it, once the brand and the retailer are known to be there.
pub(crate) fn found(
    conn: &mut Connection,
    scope: &Scope,
    filter: &FeedbackFilter,
    text: Option<&str>,
    page: &storage::page::Page,
) -> Result<storage::page::Slice<Feedback>, StorageError> {
    if let Some(brand) = filter.brand_id.as_deref().filter(|_| page.after.is_none()) {
        stored::brands::find(conn, scope, brand)?;
    }
    if let Some(retailer) = filter.retailer_id.as_deref().filter(|_| page.after.is_none()) {
        require_retailer(conn, retailer)?;
    }
    match text {
        Some(text) => stored::search(conn, scope, filter, text, page),
        None => stored::list(conn, scope, filter, page),
    }
}

/// Columns of feedback as a file.
fn columns() -> Vec<Column> {
    let text = ["feedback_id", "brand_id", "user_id", "task_type", "feedback_type"].map(|name| (name, Kind::Text));
    let more = ["prompt", "model_output", "preferred_output", "rejected_output", "metadata", "session_id", "created_at"];
    tables::columns(&[&text[..], &[("rating", Kind::Whole)], &more.map(|name| (name, Kind::Text))].concat())
}

/// One piece of feedback.
#[utoipa::path(get, path = "/v1/feedback/{feedback_id}", tag = "feedback", params(("feedback_id" = String, Path)), responses((status = 200, body = crate::rows::FeedbackRow, description = "The row"), (status = 404, description = "Not there for this caller")))]
pub async fn get_feedback(state: Data<State>, caller: Caller, feedback_id: Path<String>) -> Result<Json<Feedback>, Problem> {
    caller.require(may_read)?;
    let scope = caller.scope();
    Ok(Json(state.storage.scoped(&scope).read(move |conn| stored::find(conn, &scope, &feedback_id)).await?))
}

/// Totals by kind and task type, mean rating with n, and the daily trend: of the newest 30 days, or from `from` on.
#[utoipa::path(get, path = "/v1/feedback/stats", tag = "feedback", params(StatisticsQuery), responses((status = 200, body = Object, description = "Counts, mean rating with n, trend")))]
pub async fn get_feedback_statistics(
    state: Data<State>,
    caller: Caller,
    query: QueryOf<StatisticsQuery>,
) -> Result<Json<Statistics>, Problem> {
    caller.require(may_read)?;
    let (scope, filter) = (caller.scope(), query.0.filter()?);
    let statistics = state
        .storage
        .scoped(&scope)
        .read(move |conn| {
            if let Some(brand) = &filter.brand_id {
                stored::brands::find(conn, &scope, brand)?;
            }
            if let Some(retailer) = &filter.retailer_id {
                require_retailer(conn, retailer)?;
            }
            statistics::statistics(conn, &scope, &filter)
        })
        .await?;
    Ok(Json(Statistics { statistics, counted_at: state.clock.now() }))
}
