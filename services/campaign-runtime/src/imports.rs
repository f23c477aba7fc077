//! Imports: the body is streamed to a temporary file, then loaded while the caller waits, or later.

pub mod places;
pub mod spool;
pub mod work;

use actix_web::http::header::{ACCEPT, LOCATION};
use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::invalid::FieldError;
use domain::role::Role;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::imports::ledger::{self, ImportFilter};
use storage::imports::mapping::Mapping;
use storage::imports::{Limits, MAX_REPORTED, OnError, Outcome, Request, Table};
use storage::page::Page;
use storage::retailers;
use web::caller::Caller;
use web::json::QueryOf;
use web::paging::{ListQuery, Slice};
use web::problem::Problem;

use crate::state::State;

/// How to load.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// Do all the work and keep nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// `abort` (default) keeps nothing when a row is wrong; `skip` leaves such rows out.
    #[param(inline)]
    pub on_error: Option<OnErrorWord>,
    /// Whose file it is: columns are read through this retailer's mapping.
    pub retailer_id: Option<String>,
    /// `off` leaves the retailer's mapping aside.
    #[param(inline)]
    pub mapping: Option<MappingWord>,
}

/// Whether the retailer's mapping is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MappingWord {
    /// It is.
    On,
    /// Columns must have our names.
    Off,
}

/// What happens when a row is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnErrorWord {
    /// Nothing is kept.
    Abort,
    /// The row is left out.
    Skip,
}

fn require_writer(caller: &Caller, table: Table) -> Result<(), Problem> {
    match table {
        Table::Retailers => caller.require(|role| role == Role::PlatformAdmin),
        _ => caller.require(Role::may_plan),
    }
}

/// The refusal of a file with wrong rows: nothing of it is kept, and every row of the first hundred is named.
fn refusal(outcome: &Outcome) -> Problem {
    let errors = outcome.errors.iter().map(|error| {
        let field = if error.field.is_empty() { format!("line {}", error.line) } else { format!("line {}: {}", error.line, error.field) };
        FieldError { field, message: error.message.clone() }
    });
    let detail =
        format!("{} of {} rows are wrong, so nothing was kept; mend them, or use on_error=skip.", outcome.rejected, outcome.received);
    Problem::new("invalid_input", detail).with_errors(errors.collect()).with_extra("outcome", outcome)
}

/// Loads a file: rows are written by key, so that loading it again changes nothing. CSV, newline-delimited JSON or Parquet, plain, gzip or
/// zstd; columns have our names, the sample bundle's, or a retailer's own (`retailer_id`). With `Prefer: respond-async` the answer is 202
/// and the import runs when a worker is free. docs/imports.md tells the rest.
#[utoipa::path(post, path = "/v1/imports/{table}", tag = "imports",
    params(("table" = String, Path, description = "retailers, brands, skus, audience-segments, campaigns, campaign-skus or performance"), ImportQuery),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200, body = Object, description = "`{import_id, received, inserted, updated, unchanged, superseded, rejected, errors:[{line, field, column, message}]}`"),
        (status = 202, body = Object, description = "`{import_id, state}`; `Location` is where to ask"),
        (status = 409, description = "`import_running`: the same file is being loaded"),
        (status = 422, description = "Wrong rows; nothing was kept, `outcome` has the counts"),
        (status = 429, description = "`tenant_busy`: as many imports of this tenant as may are received, wait or run")))]
pub async fn import_table(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
    table: Path<String>,
    query: QueryOf<ImportQuery>,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let table = Table::named(&table).ok_or_else(|| Problem::not_found("table", &table))?;
    require_writer(&caller, table)?;
    let (format, compression) = spool::declared(&request)?;
    let (scope, query) = (caller.scope(), query.0);
    let mapping = match (&query.retailer_id, query.mapping) {
        (Some(id), word) => {
            let id = id.clone();
            let retailer = state.storage.scoped(&scope).read(move |conn| retailers::find(conn, &id)).await?;
            match word {
                Some(MappingWord::Off) => None,
                _ => Mapping::parse(&retailer.mapping_config).map_err(Problem::invalid)?.table(table).cloned(),
            }
        }
        (None, _) => None,
    };
    let settings = &state.settings.imports;
    // Before the body is read, so that whoever finds no place has not sent gigabytes for nothing and filled the disk.
    let place = state.imports.places.take(scope.tenant())?;
    let spooled = spool::receive(body, state.imports.folder(), settings.max_bytes).await?;
    let wanted = Request {
        on_error: if query.on_error == Some(OnErrorWord::Skip) { OnError::Skip } else { OnError::Abort },
        is_dry_run: query.dry_run,
        retailer_id: query.retailer_id,
        mapping,
        limits: Limits { max_unpacked_bytes: settings.max_unpacked_bytes, ..Limits::default() },
        content_sha256: Some(spooled.sha256.clone()),
        ..Request::new(table, spooled.file.path(), format, compression)
    };
    let aborts = wanted.on_error == OnError::Abort && !wanted.is_dry_run;
    if prefers_later(&request) {
        let ready = work::prepare(&state, scope, wanted, spooled, place, "queued").await?;
        let import_id = ready.import_id().to_owned();
        work::run_later(state.as_ref().clone(), ready);
        let location = format!("/v1/imports/{import_id}");
        return Ok(HttpResponse::Accepted()
            .insert_header((LOCATION, location))
            .insert_header(("preference-applied", "respond-async"))
            .json(json!({"import_id": import_id, "state": "queued"})));
    }
    let ready = work::prepare(&state, scope, wanted, spooled, place, "running").await?;
    let outcome = work::run_now(&state, ready).await?;
    if outcome.rejected > 0 && aborts {
        return Err(refusal(&outcome));
    }
    Ok(HttpResponse::Ok().json(outcome))
}

fn prefers_later(request: &HttpRequest) -> bool {
    let wishes = request.headers().get_all("prefer").filter_map(|value| value.to_str().ok());
    wishes
        .flat_map(|value| value.split(','))
        .any(|wish| wish.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("respond-async"))
}

/// Filters of the list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ImportsQuery {
    /// Only those into this table.
    pub table: Option<String>,
    /// Only `queued`, `running`, `finished` or `failed` ones.
    pub state: Option<String>,
}

/// Imports, newest first.
#[utoipa::path(get, path = "/v1/imports", tag = "imports", params(ImportsQuery, web::paging::Page), responses((status = 200, body = web::paging::Slice<crate::rows::ImportRow>, description = "`{data, next_cursor}`")))]
pub async fn list_imports(state: Data<State>, caller: Caller, query: ListQuery<ImportsQuery>) -> Result<Json<Slice<Value>>, Problem> {
    caller.require(Role::may_plan)?;
    let (scope, page) = (caller.scope(), Page::try_from(&query.page)?);
    let filter = ImportFilter { table: query.filter.table.clone(), state: query.filter.state.clone() };
    let slice = state.storage.scoped(&scope).read(move |conn| ledger::list(conn, &scope, &filter, &page)).await?;
    Ok(Json(Slice::from(slice).map(|mut row| {
        state.imports.freshen(&mut row);
        json!(row)
    })))
}

/// One import, with counts as they are now while this process runs it.
#[utoipa::path(get, path = "/v1/imports/{table}", tag = "imports", params(("table" = String, Path, description = "Id of the import")), responses((status = 200, body = crate::rows::ImportRow, description = "The import")))]
pub async fn get_import(state: Data<State>, caller: Caller, id: Path<String>) -> Result<Json<Value>, Problem> {
    caller.require(Role::may_plan)?;
    let scope = caller.scope();
    let mut row = state.storage.scoped(&scope).read(move |conn| ledger::find(conn, &scope, &id)).await?;
    state.imports.freshen(&mut row);
    Ok(Json(json!(row)))
}

/// How to show the rows that were not taken.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ErrorsQuery {
    /// `csv` for one file with all that are kept; else pages of JSON.
    pub format: Option<String>,
}

/// The rows of an import that were not taken, in the order of the file: the first ten thousand, for thirty days.
#[utoipa::path(get, path = "/v1/imports/{import_id}/errors", tag = "imports", params(("import_id" = String, Path), ErrorsQuery, web::paging::Page), responses((status = 200, content((Object = "application/json"), (String = "text/csv")), description = "`{data:[{line, field, column, message}], next_cursor}`, or CSV with `format=csv`")))]
pub async fn list_import_errors(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
    id: Path<String>,
    query: ListQuery<ErrorsQuery>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let (scope, page) = (caller.scope(), Page::try_from(&query.page)?);
    let accepts = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_csv = match query.filter.format.as_deref() {
        Some("csv") => true,
        Some("json") => false,
        Some(_) => return Err(Problem::invalid(domain::invalid::Invalid::one("format", "must be csv or json"))),
        None => accepts.starts_with("text/csv"),
    };
    let storage = state.storage.scoped(&scope);
    if !is_csv {
        let slice = storage.read(move |conn| ledger::errors(conn, &scope, &id, &page)).await?;
        return Ok(HttpResponse::Ok().json(Slice::from(slice).map(|row| json!(row))));
    }
    let mut all = Vec::new();
    let mut page = Page::first(500);
    while all.len() < usize::try_from(MAX_REPORTED).unwrap_or(usize::MAX) {
        let (scope, id) = (scope.clone(), id.clone());
        let slice = storage.read(move |conn| ledger::errors(conn, &scope, &id, &page)).await?;
        all.extend(slice.rows);
        match slice.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    let mut file = csv::Writer::from_writer(Vec::new());
    for row in all {
        file.serialize((row.line, row.field, row.source_column, row.message)).map_err(Problem::internal)?;
    }
    let rows = file.into_inner().map_err(|error| Problem::internal(error.to_string()))?;
    Ok(HttpResponse::Ok().content_type("text/csv; charset=utf-8").body([b"line,field,column,message\n".to_vec(), rows].concat()))
}
