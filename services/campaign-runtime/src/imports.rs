//! Imports: the body is streamed to a temporary file, then loaded in one transaction.

use std::io;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use domain::invalid::FieldError;
use domain::role::Role;
use futures_util::StreamExt;
use serde::Deserialize;
use storage::imports::{self, Format, OnError, Outcome, Request, Table};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;
use web::caller::Caller;
use web::json::QueryOf;
use web::problem::Problem;

use crate::state::State;

/// Largest body, in bytes as sent.
pub const MAX_BODY_BYTES: usize = 2 << 30;

/// How to load.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// Do all the work and keep nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// `abort` (default) keeps nothing when a row is wrong; `skip` leaves such rows out.
    pub on_error: Option<OnErrorWord>,
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

fn format_of(request: &HttpRequest) -> Result<(Format, bool), Problem> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = header(CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (format, is_gzip_file) = match kind.as_str() {
        "text/csv" => (Format::Csv, false),
        "application/x-ndjson" | "application/jsonl" => (Format::Ndjson, false),
        "application/gzip" => (Format::Csv, true),
        _ => return Err(Problem::unsupported_media_type("text/csv, application/x-ndjson, or application/gzip (a CSV file)")),
    };
    match header(CONTENT_ENCODING) {
        "" | "identity" => Ok((format, is_gzip_file)),
        "gzip" => Ok((format, true)),
        _ => Err(Problem::unsupported_media_type("plain or with Content-Encoding: gzip")),
    }
}

async fn receive(mut body: Payload) -> Result<NamedTempFile, Problem> {
    let file = NamedTempFile::new().map_err(Problem::internal)?;
    let mut writer = tokio::fs::File::from_std(file.reopen().map_err(Problem::internal)?);
    let mut received = 0_usize;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| Problem::bad_request("malformed_request", format!("The body broke off: {error}.")))?;
        received += chunk.len();
        if received > MAX_BODY_BYTES {
            return Err(Problem::too_large(MAX_BODY_BYTES));
        }
        writer.write_all(&chunk).await.map_err(|error: io::Error| Problem::internal(error))?;
    }
    writer.flush().await.map_err(Problem::internal)?;
    Ok(file)
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

/// Loads a file: rows are written by key, so that loading it again changes nothing. Columns may have our names or the sample bundle's.
/// Up to 2 GiB as sent, CSV or newline-delimited JSON, plain or gzip.
#[utoipa::path(post, path = "/v1/imports/{table}", tag = "imports",
    params(("table" = String, Path, description = "retailers, brands, skus, audience-segments, campaigns, campaign-skus or performance"), ImportQuery),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200, body = Object, description = "`{received, inserted, updated, unchanged, rejected, errors:[{line, field, message}]}`"),
        (status = 422, description = "Wrong rows; nothing was kept, `outcome` has the counts")))]
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
    let (format, is_gzip) = format_of(&request)?;
    let file = receive(body).await?;
    let on_error = if query.0.on_error == Some(OnErrorWord::Skip) { OnError::Skip } else { OnError::Abort };
    let wanted = Request {
        table,
        path: file.path().to_owned(),
        format,
        is_gzip,
        on_error,
        is_dry_run: query.0.dry_run,
        // Rows may have changed since an equal file was loaded: the counts must be true.
        skips_known_files: false,
    };
    let (scope, now) = (caller.scope(), state.clock.now());
    let outcome = state.storage.transaction(move |conn| imports::load(conn, &scope, &wanted, now, &|_| {})).await;
    drop(file);
    let outcome = outcome?;
    if outcome.rejected > 0 && on_error == OnError::Abort && !query.0.dry_run {
        return Err(refusal(&outcome));
    }
    Ok(HttpResponse::Ok().json(outcome))
}
