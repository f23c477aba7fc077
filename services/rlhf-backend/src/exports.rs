//! Datasets for trainers: what people decided, as JSON lines in the shapes that TRL and others read, and a manifest beside each.

pub mod lines;
pub mod profile;
pub mod reader;

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data, Json, Path};
use domain::scope::Scope;
use domain::task::TaskType;
use futures_util::stream;
use serde::Deserialize;
use serde_json::Value;
use storage::training_data::TrainingFilter;
use web::caller::Caller;
use web::json::QueryOf;
use web::problem::Problem;

use crate::feedback::may_read;
use crate::period;
use crate::state::State;
use profile::{Profile, Split};
use reader::{Options, Place, Tally};

/// Posterior from which a decision is good enough, unless the caller says otherwise.
pub const DEFAULT_MIN_POSTERIOR: f64 = 0.66;

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
    /// Least posterior of a task's decision, 0 to 1 (default .66).
    pub min_posterior: Option<f64>,
    /// Whether tasks judged by simulated raters count (default true).
    pub include_simulated: Option<bool>,
    /// `jsonl`.
    pub format: Option<String>,
}

impl ExportQuery {
    /// Checks the filters of an export in a profile.
    ///
    /// # Errors
    /// 404 for an unknown profile, 422 for filters that are wrong.
    pub fn options(&self, profile: &str) -> Result<Options, Problem> {
        let profile: Profile = profile.parse().map_err(|_| Problem::not_found("export profile", profile))?;
        match self.format.as_deref() {
            None | Some("jsonl") => {}
            Some("parquet") => return Err(Problem::invalid_field("format", "parquet is not produced yet; ask for jsonl")),
            Some(_) => return Err(Problem::invalid_field("format", "must be jsonl")),
        }
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
        Ok(Options { profile, filter, split: self.split, min_posterior, include_simulated: self.include_simulated.unwrap_or(true) })
    }
}

/// Streams a dataset as JSON lines.
#[utoipa::path(get, path = "/v1/exports/{profile}", tag = "exports", params(("profile" = Profile, Path), ExportQuery),
    responses((status = 200, description = "JSON lines, UTF-8, LF", content_type = "application/x-ndjson", body = String), (status = 404, description = "No such profile"), (status = 422, description = "Filters that are wrong, or `format=parquet`")))]
pub async fn export_dataset(
    state: Data<State>,
    caller: Caller,
    profile: Path<String>,
    query: QueryOf<ExportQuery>,
) -> Result<HttpResponse, Problem> {
    caller.require(may_read)?;
    let options = query.0.options(&profile)?;
    let scope = caller.scope();
    let name = options.file_name();
    // The first page is read before the answer begins, so that a database that is down is a 503 and not half a file.
    let (bytes, next) = read_page(&state, &scope, &options, Place::START).await?;
    let rest = stream::try_unfold((state, scope, options, next), |(state, scope, options, place)| async move {
        let Some(place) = place else { return Ok::<_, Problem>(None) };
        let (bytes, next) = read_page(&state, &scope, &options, place).await?;
        Ok(Some((bytes, (state, scope, options, next))))
    });
    let first = stream::once(async move { Ok::<_, Problem>(bytes) });
    Ok(HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .insert_header(("content-disposition", format!("attachment; filename=\"{name}\"")))
        .streaming(futures_util::StreamExt::chain(first, rest)))
}

/// Counts, reasons and checksum of a dataset, without the dataset.
#[utoipa::path(get, path = "/v1/exports/{profile}/manifest", tag = "exports", params(("profile" = Profile, Path), ExportQuery),
    responses((status = 200, description = "Filters, rows, dropped per reason, sha256", body = Object), (status = 404, description = "No such profile"), (status = 422, description = "Filters that are wrong")))]
pub async fn get_export_manifest(
    state: Data<State>,
    caller: Caller,
    profile: Path<String>,
    query: QueryOf<ExportQuery>,
) -> Result<Json<Value>, Problem> {
    caller.require(may_read)?;
    let options = query.0.options(&profile)?;
    Ok(Json(reader::manifest(&state.storage.scoped(&caller.scope()), &caller.scope(), &options).await?))
}

async fn read_page(state: &State, scope: &Scope, options: &Options, place: Place) -> Result<(Bytes, Option<Place>), Problem> {
    let mut tally = Tally::default();
    let (bytes, next) = reader::page(&state.storage.scoped(scope), scope, options, place, &mut tally).await?;
    Ok((Bytes::from(bytes), next))
}
