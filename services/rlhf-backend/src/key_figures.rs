//! Key figures of the programme per day and retailer: computed by the clock and when asked for, each with n, interval, definition and the
//! rows behind it; what the tables cannot answer is absent and says why.

pub mod computing;
pub mod figures;
pub mod gauges;
mod money;
mod notes;
pub mod schedule;
pub mod view;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json};
use chrono::{NaiveDate, NaiveTime, TimeDelta};
use domain::role::Role;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::page::Page;
use storage::reward_models;
use storage::rlhf_metrics::day::Day;
use storage::rlhf_metrics::sources::{self, SourceRow};
use storage::rlhf_metrics::{self as stored, DayFiguresFilter};
use web::caller::Caller;
use web::json::JsonBody;
use web::paging::{ListQuery, Slice};
use web::problem::Problem;
use web::tabular::{Format, Kind};

use crate::feedback::may_read;
use crate::state::State;
use crate::tables;
use figures::{FIGURES, Figure};

/// Which figures to compute.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ComputeBody {
    /// The day in UTC; today when absent.
    #[serde(default, deserialize_with = "domain::day::read")]
    pub date: Option<NaiveDate>,
    /// Only this retailer's tasks; all together when absent.
    pub retailer_id: Option<String>,
}

/// Filters of the list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FiguresQuery {
    /// Of this retailer; all together when absent.
    pub retailer_id: Option<String>,
    /// From this day.
    #[serde(default, deserialize_with = "domain::day::read")]
    pub from: Option<NaiveDate>,
    /// To this day, inclusive.
    #[serde(default, deserialize_with = "domain::day::read")]
    pub to: Option<NaiveDate>,
    /// As a file with all rows: `csv`, `ndjson` or `parquet`; JSON in pages when absent.
    #[param(value_type = Option<String>)]
    pub format: Option<Format>,
}

/// Which figure's rows are wanted.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SourcesQuery {
    /// The day in UTC.
    #[serde(deserialize_with = "domain::day::read_known")]
    pub date: NaiveDate,
    /// Name of the figure, such as `inter_rater_reliability`.
    pub figure: String,
    /// Of this retailer; all together when absent.
    pub retailer_id: Option<String>,
    /// As a file with all rows: `csv`, `ndjson` or `parquet`; JSON in pages when absent.
    #[param(value_type = Option<String>)]
    pub format: Option<Format>,
}

/// Stored key figures, the last stored first.
#[utoipa::path(get, path = "/v1/rlhf-metrics", tag = "key figures", params(FiguresQuery, web::paging::Page), responses((status = 200, description = "`{data, next_cursor}`; each row's `definitions` give n, interval, definition, source, and why a figure is absent; or a file", content((Object = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"), (String = "application/vnd.apache.parquet")))))]
pub async fn list_rlhf_metrics(state: Data<State>, caller: Caller, query: ListQuery<FiguresQuery>) -> Result<HttpResponse, Problem> {
    caller.require(may_read)?;
    let FiguresQuery { retailer_id, from, to, format } = query.filter;
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(Problem::invalid_field("to", "must not lie before `from`"));
    }
    let (filter, storage) = (DayFiguresFilter { retailer_id, from, to }, state.storage.scoped(&caller.scope()));
    let role = caller.role;
    let Some(format) = format else {
        let page = Page::try_from(&query.page)?;
        let read = move |conn: &mut Connection| {
            require(conn, filter.retailer_id.as_deref())?;
            stored::list(conn, &filter, &page)
        };
        return Ok(HttpResponse::Ok().json(Slice::from(storage.read(read).await?.map(|row| view::shown(&view::for_role(row, role))))));
    };
    tables::answer("key-figures", format, view::columns(), move |after| {
        let (storage, filter) = (storage.clone(), filter.clone());
        async move {
            let page = Page { after, limit: tables::ROWS_AT_ONCE };
            let read = move |conn: &mut Connection| {
                require(conn, filter.retailer_id.as_deref())?;
                stored::list(conn, &filter, &page)
            };
            let slice = storage.read(read).await?;
            Ok((slice.rows.into_iter().map(|row| view::cells(&view::for_role(row, role))).collect(), slice.next))
        }
    })
    .await
}

/// Computes the figures of one day and stores them in place of earlier ones.
#[utoipa::path(post, path = "/v1/rlhf-metrics/compute", tag = "key figures", request_body = ComputeBody, responses((status = 200, description = "The row", body = Object), (status = 422, description = "Fields that are wrong")))]
pub async fn compute_rlhf_metrics(state: Data<State>, caller: Caller, body: JsonBody<ComputeBody>) -> Result<Json<Value>, Problem> {
    caller.require(Role::sees_all_tenants)?;
    let today = state.clock.now().date_naive();
    let date = body.0.date.unwrap_or(today);
    if date > today {
        return Err(Problem::invalid_field("date", "lies in the future; nothing has happened then"));
    }
    if let Some(retailer) = body.0.retailer_id.clone() {
        domain::id::check("retailer_id", &retailer)?;
        state.storage.read(move |conn| require(conn, Some(&retailer))).await?;
    }
    let row = schedule::compute_and_store(&state, date, body.0.retailer_id).await?;
    Ok(Json(view::shown(&row)))
}

/// The rows that a figure is made of, oldest first: for whoever doubts it.
#[utoipa::path(get, path = "/v1/rlhf-metrics/sources", tag = "key figures", params(SourcesQuery, web::paging::Page), responses((status = 200, description = "`{data: [{table, row_id, about, value, at}], next_cursor}`, or a file", content((Object = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"), (String = "application/vnd.apache.parquet"))), (status = 403, description = "Only the platform sees rows of all tenants"), (status = 422, description = "No such figure, or one without rows")))]
pub async fn list_rlhf_metrics_sources(
    state: Data<State>,
    caller: Caller,
    query: ListQuery<SourcesQuery>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::sees_all_tenants)?;
    let SourcesQuery { date, figure, retailer_id, format } = query.filter;
    let rows = of_figure(&figure)?.rows;
    let rows = rows.ok_or_else(|| Problem::invalid_field("figure", format!("{figure} is absent: no rows can answer it")))?;
    let (day, storage) = (day_of(date, retailer_id), state.storage.clone());
    let Some(format) = format else {
        let page = Page::try_from(&query.page)?;
        let read = move |conn: &mut Connection| {
            require(conn, day.retailer_id.as_deref())?;
            sources::list(conn, &day, rows, &page)
        };
        let slice = storage.read(read).await?;
        return Ok(HttpResponse::Ok().json(Slice::from(slice)));
    };
    let columns = tables::columns(&["table", "row_id", "about", "value", "at"].map(|name| (name, Kind::Text)));
    let shown = columns.clone();
    tables::answer(&format!("{figure}-{date}"), format, columns, move |after| {
        let (storage, day, shown) = (storage.clone(), day.clone(), shown.clone());
        async move {
            let page = Page { after, limit: tables::ROWS_AT_ONCE };
            let read = move |conn: &mut Connection| {
                require(conn, day.retailer_id.as_deref())?;
                sources::list(conn, &day, rows, &page)
            };
            let slice = storage.read(read).await?;
            Ok((slice.rows.iter().map(|row: &SourceRow| tables::cells(&shown, &json!(row))).collect(), slice.next))
        }
    })
    .await
}

/// Refuses a retailer that does not exist: figures of nobody would look like a day on which nothing happened.
fn require(conn: &mut Connection, retailer_id: Option<&str>) -> Result<(), StorageError> {
    retailer_id.map_or(Ok(()), |retailer| reward_models::require_retailer(conn, retailer))
}

/// The figure of a name.
///
/// # Errors
/// 422 naming those that there are.
pub fn of_figure(name: &str) -> Result<&'static Figure, Problem> {
    figures::named(name).ok_or_else(|| {
        let known: Vec<&str> = FIGURES.iter().map(|figure| figure.name).collect();
        Problem::invalid_field("figure", format!("{name:?} is no key figure; there are {}", known.join(", ")))
    })
}

/// A whole day in UTC.
#[must_use]
pub fn day_of(date: NaiveDate, retailer_id: Option<String>) -> Day {
    let from = date.and_time(NaiveTime::MIN).and_utc();
    Day { from, to: from + TimeDelta::days(1), retailer_id }
}
