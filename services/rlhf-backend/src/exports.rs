//! Datasets for trainers: what people decided, as JSON lines or Parquet in the shapes that TRL and others read, and beside each a manifest
//! and a file that says where each row comes from.

pub mod counting;
pub mod manifest;
pub mod output;
pub mod parquet_file;
pub mod pooled;
pub mod profile;
pub mod reader;
pub mod record;
pub mod sieve;
pub mod texts;

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data, Path};
use domain::task::TaskType;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use storage::training_data::TrainingFilter;
use web::caller::Caller;
use web::json::QueryOf;
use web::problem::Problem;

use crate::feedback::may_read;
use crate::period;
use crate::state::State;
use output::Parts;
use profile::{Profile, Split};
use reader::{Export, Options};

/// Posterior from which a decision is good enough, unless the caller says otherwise.
pub const DEFAULT_MIN_POSTERIOR: f64 = 0.66;

/// The form of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A JSON object a line, UTF-8, LF.
    #[default]
    Jsonl,
    /// Apache Parquet, compressed with Snappy.
    Parquet,
}

impl Format {
    /// How names of such files end.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Jsonl => "application/x-ndjson",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// Filters of an export.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// Only this kind of task.
    pub task_type: Option<TaskType>,
    /// Only tasks of this retailer, and feedback on its brands.
    pub retailer_id: Option<String>,
    /// Tasks and feedback created from this instant or day.
    pub from: Option<String>,
    /// Before this instant, or to the end of this day.
    pub to: Option<String>,
    /// One part of the data: a prompt is always in the same part.
    pub split: Option<Split>,
    /// Least posterior of a task's decision, 0 to 1 (default .66); `judgments` has all judgments, whatever was decided.
    pub min_posterior: Option<f64>,
    /// Whether tasks judged by simulated raters count (default true).
    pub include_simulated: Option<bool>,
    /// `jsonl` (default) or `parquet`.
    #[param(inline)]
    pub format: Option<Format>,
}

impl ExportQuery {
    /// Checks the filters of an export in a profile.
    ///
    /// # Errors
    /// 404 for an unknown profile, 422 for filters that are wrong.
    pub fn options(&self, profile: &str) -> Result<Options, Problem> {
        let profile: Profile = profile.parse().map_err(|_| Problem::not_found("export profile", profile))?;
        let min_posterior = self.min_posterior.unwrap_or(DEFAULT_MIN_POSTERIOR);
        if !(0.0..=1.0).contains(&min_posterior) {
            return Err(Problem::invalid_field("min_posterior", "must be a number from 0 to 1"));
        }
        if let Some(retailer) = &self.retailer_id {
            domain::id::check("retailer_id", retailer)?;
        }
        let period = period::read(self.from.as_deref(), self.to.as_deref())?;
        let filter = TrainingFilter {
            task_type: self.task_type.map(|word| word.to_string()),
            retailer_id: self.retailer_id.clone(),
            from: period.from,
            to: period.to,
        };
        let format = self.format.unwrap_or_default();
        Ok(Options { profile, format, filter, split: self.split, min_posterior, include_simulated: self.include_simulated.unwrap_or(true) })
    }
}

/// Streams a dataset as JSON lines or Parquet.
#[utoipa::path(get, path = "/v1/exports/{profile}", tag = "exports", params(("profile" = inline(Profile), Path), ExportQuery),
    responses((status = 200, description = "JSON lines (UTF-8, LF), or a Parquet file", content((String = "application/x-ndjson"), (String = "application/vnd.apache.parquet"))), (status = 404, description = "No such profile"), (status = 422, description = "Filters that are wrong")))]
pub async fn export_dataset(
    state: Data<State>,
    caller: Caller,
    profile: Path<String>,
    query: QueryOf<ExportQuery>,
) -> Result<HttpResponse, Problem> {
    caller.require(may_read)?;
    let options = query.0.options(&profile)?;
    let export = Export::open(&state.storage.scoped(&caller.scope()), &caller.scope(), &options, Parts::Rows).await?;
    answer(export, options.format.media_type(), &options.file_name()).await
}

/// Streams where each row of a dataset comes from, as JSON lines: line n is about row n of the same export.
#[utoipa::path(get, path = "/v1/exports/{profile}/provenance", tag = "exports", params(("profile" = inline(Profile), Path), ExportQuery),
    responses((status = 200, description = "JSON lines, UTF-8, LF", content_type = "application/x-ndjson", body = String), (status = 404, description = "No such profile"), (status = 422, description = "Filters that are wrong, `format=parquet`, or the profile `judgments`")))]
pub async fn export_provenance(
    state: Data<State>,
    caller: Caller,
    profile: Path<String>,
    query: QueryOf<ExportQuery>,
) -> Result<HttpResponse, Problem> {
    caller.require(may_read)?;
    let options = query.0.options(&profile)?;
    if options.profile == Profile::Judgments {
        return Err(Problem::invalid_field("profile", "rows of judgments name their task and rater themselves"));
    }
    if options.format == Format::Parquet {
        return Err(Problem::invalid_field("format", "provenance is JSON lines, whatever the format of the dataset"));
    }
    let export = Export::open(&state.storage.scoped(&caller.scope()), &caller.scope(), &options, Parts::Provenance).await?;
    answer(export, Format::Jsonl.media_type(), &options.provenance_name()).await
}

/// Counts, reasons, sizes and checksums of a dataset, without the dataset. The answer begins at once and comes when all is read.
#[utoipa::path(get, path = "/v1/exports/{profile}/manifest", tag = "exports", params(("profile" = inline(Profile), Path), ExportQuery),
    responses((status = 200, description = "Filters, rows, dropped per reason, sha256", body = Object), (status = 404, description = "No such profile"), (status = 422, description = "Filters that are wrong")))]
pub async fn get_export_manifest(
    state: Data<State>,
    caller: Caller,
    profile: Path<String>,
    query: QueryOf<ExportQuery>,
) -> Result<HttpResponse, Problem> {
    caller.require(may_read)?;
    let options = query.0.options(&profile)?;
    let (storage, scope) = (state.storage.scoped(&caller.scope()), caller.scope());
    // What is wrong with the question or the database shows here, while the answer can still say so.
    let export = Export::open(&storage, &scope, &options, Parts::All).await?;
    let body = stream::once(async move {
        let manifest = manifest::describe(export, &storage, &scope, &options, |_, _| Ok(())).await?;
        Ok::<_, Problem>(Bytes::from(manifest.to_string()))
    });
    Ok(HttpResponse::Ok().content_type("application/json").streaming(Box::pin(body)))
}

/// An answer that is written while it is read. The first bytes are read before it begins, so that a database that is down is a 503 and not
/// half a file.
async fn answer(mut export: Export, media_type: &str, name: &str) -> Result<HttpResponse, Problem> {
    let first = next_bytes(&mut export).await?.unwrap_or_default();
    let rest =
        stream::try_unfold(
            export,
            |mut export| async move { Ok::<_, Problem>(next_bytes(&mut export).await?.map(|bytes| (bytes, export))) },
        );
    let first = stream::once(async move { Ok::<_, Problem>(first) });
    Ok(HttpResponse::Ok()
        .content_type(media_type)
        .insert_header(("content-disposition", format!("attachment; filename=\"{name}\"")))
        .streaming(futures_util::StreamExt::chain(first, rest)))
}

/// The next bytes of whichever file is written; `None` after the last.
async fn next_bytes(export: &mut Export) -> Result<Option<Bytes>, Problem> {
    while let Some(chunk) = export.chunk().await? {
        let bytes = if chunk.rows.is_empty() { chunk.provenance } else { chunk.rows };
        if !bytes.is_empty() {
            return Ok(Some(Bytes::from(bytes)));
        }
    }
    Ok(None)
}
