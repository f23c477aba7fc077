//! Tables as files, streamed page by page: a table of any size passes through little memory, and the first bytes leave after one page.

mod columns;

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data, Path};
use chrono::{DateTime, NaiveDate, Utc};
use domain::scope::Scope;
use futures_util::stream;
use serde::Deserialize;
use serde_json::Value;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::page::Page;
use storage::performance::rows::{self, ExportPlace, RowFilter};
use storage::{brands, campaigns, retailers, segments, skus};
use web::caller::Caller;
use web::json::QueryOf;
use web::problem::Problem;
use web::tabular::{Encoder, Format};

use crate::state::State;
use columns::{Source, cells, cells_of_metric, columns};

/// Rows of one page of performance.
const ROWS_AT_ONCE: i64 = 2_000;

/// Format and filters of an export.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// `csv` (default), `ndjson` or `parquet`.
    #[param(inline)]
    pub format: Option<Format>,
    /// Whether texts in CSV that a spreadsheet would run as formulas get an apostrophe before them; such a file does not import unchanged.
    pub guard_formulas: Option<bool>,
    /// Performance only: one campaign.
    pub campaign_id: Option<String>,
    /// Performance only: first day.
    #[serde(default, deserialize_with = "domain::day::read")]
    pub from: Option<NaiveDate>,
    /// Performance only: last day, included.
    #[serde(default, deserialize_with = "domain::day::read")]
    pub to: Option<NaiveDate>,
    /// Performance only: the rows as they were at this time.
    #[serde(default, deserialize_with = "domain::day::read_instant")]
    pub as_of: Option<DateTime<Utc>>,
}

/// Where an export stands.
#[derive(Debug, Clone)]
enum Place {
    Table(Option<i64>),
    Performance(ExportPlace),
}

/// An export under way.
struct Export {
    state: Data<State>,
    scope: Scope,
    source: Source,
    query: ExportQuery,
    filter: RowFilter,
    encoder: Option<Encoder>,
    next: Option<Place>,
}

impl Export {
    /// The bytes of the next page; `None` after the last.
    async fn page(&mut self) -> Result<Option<Bytes>, Problem> {
        let Some(place) = self.next.take() else {
            let Some(encoder) = self.encoder.take() else { return Ok(None) };
            return Ok(Some(Bytes::from(encoder.finish()?)).filter(|bytes| !bytes.is_empty()));
        };
        let (scope, source, filter, campaign) = (self.scope.clone(), self.source, self.filter.clone(), self.query.campaign_id.clone());
        let read = move |conn: &mut Connection| match place {
            Place::Table(after) => {
                let page = Page { after, limit: 500 };
                let (rows, next) = table(conn, &scope, source, &page)?;
                Ok((rows, next.map(|key| Place::Table(Some(key)))))
            }
            Place::Performance(place) => {
                let (found, next) = rows::export(conn, &scope, campaign.as_deref(), &filter, &place, ROWS_AT_ONCE)?;
                Ok((found.iter().map(cells_of_metric).collect(), next.map(Place::Performance)))
            }
        };
        let (found, next): (Vec<Vec<Value>>, Option<Place>) = self.state.storage.scoped(&self.scope).read(read).await?;
        self.next = next;
        let Some(encoder) = self.encoder.as_mut() else { return Ok(None) };
        Ok(Some(Bytes::from(encoder.rows(&found)?)))
    }
}

/// A page of a catalog table as cells, and the key to continue after.
fn table(conn: &mut Connection, scope: &Scope, source: Source, page: &Page) -> Result<(Vec<Vec<Value>>, Option<i64>), StorageError> {
    fn of<T: serde::Serialize>(source: Source, slice: storage::page::Slice<T>) -> Result<(Vec<Vec<Value>>, Option<i64>), StorageError> {
        let rows: Result<Vec<_>, StorageError> = slice
            .rows
            .iter()
            .map(|row| serde_json::to_value(row).map(|row| cells(source, &row)).map_err(|error| StorageError::Corrupt(error.to_string())))
            .collect();
        Ok((rows?, slice.next))
    }
    match source {
        Source::Retailers => of(source, retailers::list(conn, &retailers::RetailerFilter::default(), page)?),
        Source::Brands => of(source, brands::list(conn, scope, &brands::BrandFilter::default(), page)?),
        Source::Skus => of(source, skus::list(conn, scope, &skus::SkuFilter::default(), page)?),
        Source::AudienceSegments => of(source, segments::list(conn, &segments::SegmentFilter::default(), page)?),
        Source::Campaigns => of(source, campaigns::list(conn, scope, &campaigns::CampaignFilter::default(), page)?),
        Source::Performance => Ok((Vec::new(), None)),
    }
}

/// Streams a table: `retailers`, `brands`, `skus`, `audience-segments`, `campaigns` or `performance`, as CSV, NDJSON or Parquet. An exported
/// file of performance can be imported again and changes nothing.
#[utoipa::path(get, path = "/v1/exports/{table}", tag = "exports", params(("table" = String, Path), ExportQuery), responses((status = 200, content((String = "text/csv"), (String = "application/x-ndjson"), (String = "application/vnd.apache.parquet")), description = "The rows"), (status = 404, description = "No such table"), (status = 422, description = "A parameter that is wrong")))]
pub async fn export_table(
    state: Data<State>,
    caller: Caller,
    name: Path<String>,
    query: QueryOf<ExportQuery>,
) -> Result<HttpResponse, Problem> {
    let query = query.0;
    let source = Source::named(&name).ok_or_else(|| Problem::not_found("export", name.as_str()))?;
    if source != Source::Performance {
        let given = [
            ("campaign_id", query.campaign_id.is_some()),
            ("from", query.from.is_some()),
            ("to", query.to.is_some()),
            ("as_of", query.as_of.is_some()),
        ];
        if let Some((field, _)) = given.iter().find(|(_, is_given)| *is_given) {
            return Err(Problem::invalid_field(*field, "is for performance only"));
        }
    }
    if query.from.zip(query.to).is_some_and(|(from, to)| to < from) {
        return Err(Problem::invalid_field("to", "is before from"));
    }
    let format = query.format.unwrap_or(Format::Csv);
    let encoder = Encoder::new(format, columns(source), query.guard_formulas.unwrap_or_default())?;
    let first = match source {
        Source::Performance => Place::Performance(ExportPlace::START),
        _ => Place::Table(None),
    };
    let scope = caller.scope();
    if let (Source::Performance, Some(campaign_id)) = (source, query.campaign_id.clone()) {
        let (own, id) = (scope.clone(), campaign_id);
        state
            .storage
            .scoped(&scope)
            .read(move |conn| campaigns::find_many(conn, &own, &[&id]).map(|rows| (rows.is_empty(), id)))
            .await
            .and_then(|(is_missing, id)| if is_missing { Err(StorageError::not_found("campaign", id)) } else { Ok(()) })?;
    }
    let filter = RowFilter { from: query.from, to: query.to, as_of: query.as_of, ..RowFilter::default() };
    let mut export = Export { state, scope, source, query, filter, encoder: Some(encoder), next: Some(first) };
    // The first page is read before the answer begins, so that a database that is down is a 503 and not half a file.
    let mut bytes = match export.encoder.as_mut() {
        Some(encoder) => encoder.begin()?,
        None => Vec::new(),
    };
    if let Some(page) = export.page().await? {
        bytes.extend_from_slice(&page);
    }
    let rest = stream::try_unfold(export, |mut export| async move { Ok::<_, Problem>(export.page().await?.map(|bytes| (bytes, export))) });
    let first = stream::once(async move { Ok::<_, Problem>(Bytes::from(bytes)) });
    Ok(HttpResponse::Ok()
        .content_type(format.media_type())
        .insert_header(("content-disposition", format!("attachment; filename=\"{}.{}\"", source.name(), format.extension())))
        .streaming(futures_util::StreamExt::chain(first, rest)))
}
