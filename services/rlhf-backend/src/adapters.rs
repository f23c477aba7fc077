//! LoRA adapters: two files of a folder in `model-artifacts`, as PEFT saves them, are looked at and become a version that cannot change.

mod table;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path};
use domain::adapter::{self as rules, CONFIG_FILE, MAX_CONFIG_BYTES, WEIGHTS_FILE, safetensors};
use domain::artifact::{Bucket, check_path};
use domain::invalid::Invalid;
use domain::scope::Scope;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use storage::adapters::{self as stored, AdapterVersion, NewVersion, TaskCounts};
use storage::artifacts::{self, Artifact, Place};
use storage::error::StorageError;
use storage::page::Page;
use storage::types::Json as Document;
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::{JsonBytes, QueryOf};
use web::paging::{ListQuery, Slice};
use web::problem::Problem;
use web::tabular::Format;

use crate::artifacts::stores::{not_configured, problem_of};
use crate::artifacts::{SpaceQuery, may_write, space_of};
use crate::feedback::may_read;
use crate::state::State;
use crate::tables;

/// Longest note, in characters.
const MAX_NOTE: usize = 500;

/// What to register.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdapterBody {
    /// The adapter, by the name that rating tasks give it.
    pub adapter_id: String,
    /// The folder in `model-artifacts` that has `adapter_config.json` and `adapter_model.safetensors`.
    pub path: String,
    /// For the reader.
    pub note: Option<String>,
}

/// An adapter with all its versions.
#[derive(Debug, Clone, Serialize)]
pub struct AdapterView {
    /// The adapter.
    pub adapter_id: String,
    /// Whose it is.
    pub tenant_id: String,
    /// Its versions, newest first.
    pub versions: Vec<AdapterVersion>,
    /// What it wrote and how that was judged.
    pub tasks: TaskCounts,
}

/// Registers the next version of an adapter. The weights are not loaded: their header is checked against the format and the configuration.
/// The same files again are answered with the version that they are.
#[utoipa::path(post, path = "/v1/adapters", tag = "adapters", request_body = AdapterBody, params(SpaceQuery, ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = Object, description = "The version"), (status = 200, body = Object, description = "The version that these files are already"),
        (status = 404, description = "A file is not there"), (status = 422, description = "Files that are wrong or do not fit each other, with everything found")))]
pub async fn register_adapter(
    state: Data<State>,
    caller: Caller,
    key: RepeatKey,
    query: QueryOf<SpaceQuery>,
    body: JsonBytes<AdapterBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(may_write)?;
    let request = key.of(&caller, &body.bytes);
    let body = body.value;
    let mut invalid = Invalid::default();
    invalid.merge(domain::id::check("adapter_id", &body.adapter_id));
    invalid.merge(check_path(&body.path));
    if body.note.as_ref().is_some_and(|note| note.chars().count() > MAX_NOTE) {
        invalid.add("note", format!("must be at most {MAX_NOTE} characters"));
    }
    invalid.into_result()?;
    let scope = caller.scope();
    let folder = Place { tenant: space_of(&scope, query.0.tenant_id.as_deref())?, bucket: Bucket::ModelArtifacts, path: body.path.clone() };
    let (config, weights) = find_files(&state, &scope, &folder).await?;
    let found = look(&state, &config, &weights).await?;
    let new = NewVersion {
        tenant_id: folder.tenant,
        adapter_id: body.adapter_id,
        path: body.path,
        base_model: found.base_model.clone(),
        lora_rank: i32::try_from(found.rank).unwrap_or(i32::MAX),
        lora_alpha: found.alpha,
        parameters_count: i64::try_from(found.parameters_count).unwrap_or(i64::MAX),
        details: Document(json!({
            "task_type": found.task_type, "target_modules": found.target_modules, "modules_count": found.modules_count, "dtypes": found.dtypes,
            "not_checked": found.not_checked, "size_bytes": weights.size_bytes, "sha256": weights.sha256,
        })),
        config,
        weights,
        note: body.note,
    };
    let (writer, now) = (scope.clone(), state.clock.now());
    repeat::create(&state.storage.scoped(&scope), request, now, move |conn| {
        let (status, version) = match stored::find_same(conn, &new)? {
            Some(same) => (StatusCode::OK, same),
            None => (StatusCode::CREATED, stored::insert(conn, &writer, &new, now)?),
        };
        Ok(Answer { status, body: json!(version) })
    })
    .await
}

/// The two files of a folder. A folder with a pickle instead of weights is refused with the reason.
async fn find_files(state: &State, scope: &Scope, folder: &Place) -> Result<(Artifact, Artifact), Problem> {
    let (reader, place) = (scope.clone(), folder.clone());
    let (config, weights, pickle) = state
        .storage
        .scoped(scope)
        .read(move |conn| {
            let mut find = |name: &str| match stored::file(conn, &reader, &place, name) {
                Ok(file) => Ok(Some(file)),
                Err(StorageError::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            };
            let (config, weights) = (find(CONFIG_FILE)?, find(WEIGHTS_FILE)?);
            let prefix = format!("{}/", place.path);
            let beside = artifacts::list(conn, &reader, &place.tenant, place.bucket, &prefix, &Page::first(500))?;
            let names = beside.rows.into_iter().filter_map(|file| file.path.strip_prefix(&prefix).map(str::to_owned));
            Ok((config, weights, names.into_iter().find(|name| !name.contains('/') && rules::is_pickle(name))))
        })
        .await?;
    match (config, weights, pickle) {
        (Some(config), Some(weights), _) => Ok((config, weights)),
        (_, None, Some(name)) => Err(Problem::invalid_field(
            "path",
            format!("has {name}, a pickle, which runs code when it is loaded, and no {WEIGHTS_FILE}; save it with safe_serialization=True"),
        )),
        (config, _, _) => {
            let missing = if config.is_none() { CONFIG_FILE } else { WEIGHTS_FILE };
            Err(Problem::not_found("artifact", &format!("{}/{}/{missing}", folder.bucket, folder.path)))
        }
    }
}

/// Reads the configuration and the header of the weights, and nothing else.
async fn look(state: &State, config: &Artifact, weights: &Artifact) -> Result<rules::Adapter, Problem> {
    let (config_bytes, weights_bytes) = (size(config), size(weights));
    if config_bytes > MAX_CONFIG_BYTES {
        return Err(Problem::invalid_field(CONFIG_FILE, format!("has {config_bytes} bytes, and {MAX_CONFIG_BYTES} are read at most")));
    }
    let wrong = |why| Problem::invalid_field(WEIGHTS_FILE, why);
    let first = bytes_of(state, weights, 0..safetensors::PREFIX_BYTES.min(weights_bytes)).await?;
    let length = safetensors::header_bytes(&first, weights_bytes).map_err(wrong)?;
    let header = bytes_of(state, weights, safetensors::PREFIX_BYTES..safetensors::PREFIX_BYTES + length).await?;
    let config = bytes_of(state, config, 0..config_bytes).await?;
    Ok(rules::check(&config, &header, weights_bytes)?)
}

fn size(artifact: &Artifact) -> u64 {
    u64::try_from(artifact.size_bytes).unwrap_or(0)
}

/// A small part of a file, in memory.
async fn bytes_of(state: &State, artifact: &Artifact, range: std::ops::Range<u64>) -> Result<Vec<u8>, Problem> {
    let wanted = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    if wanted == 0 {
        return Ok(Vec::new());
    }
    let objects = state.artifacts.named(&artifact.store).map_err(not_configured)?;
    let mut pieces = objects.open(&artifact.bucket, &artifact.key(), range, size(artifact)).await.map_err(problem_of)?;
    let mut bytes = Vec::with_capacity(wanted);
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece.map_err(problem_of)?);
        if bytes.len() > wanted {
            break;
        }
    }
    if bytes.len() == wanted { Ok(bytes) } else { Err(not_configured("the store gave more or fewer bytes than were asked for")) }
}

/// Which adapters are wanted.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AdapterQuery {
    /// The tenant in whose space they are; for the platform's people.
    pub tenant_id: Option<String>,
    /// As a file with all rows: `csv`, `ndjson` or `parquet`; JSON in pages when absent.
    #[param(value_type = Option<String>)]
    pub format: Option<Format>,
}

/// Adapters with their newest versions, newest first.
#[utoipa::path(get, path = "/v1/adapters", tag = "adapters", params(AdapterQuery, web::paging::Page),
    responses((status = 200, description = "`{data, next_cursor}`, or a file", content((Object = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"), (String = "application/vnd.apache.parquet")))))]
pub async fn list_adapters(state: Data<State>, caller: Caller, query: ListQuery<AdapterQuery>) -> Result<HttpResponse, Problem> {
    caller.require(may_read)?;
    let scope = caller.scope();
    let tenant = space_of(&scope, query.filter.tenant_id.as_deref())?;
    let storage = state.storage.scoped(&scope);
    let Some(format) = query.filter.format else {
        let page = Page::try_from(&query.page)?;
        let slice = storage.read(move |conn| stored::list(conn, &scope, &tenant, &page)).await?;
        return Ok(HttpResponse::Ok().json(Slice::from(slice)));
    };
    let columns = table::columns();
    let shown = columns.clone();
    tables::answer("adapters", format, columns, move |after| {
        let (storage, scope, tenant, shown) = (storage.clone(), scope.clone(), tenant.clone(), shown.clone());
        async move {
            let page = Page { after, limit: tables::ROWS_AT_ONCE };
            let slice = storage.read(move |conn| stored::list(conn, &scope, &tenant, &page)).await?;
            Ok((slice.rows.iter().map(|row| table::cells(&shown, row)).collect(), slice.next))
        }
    })
    .await
}

/// An adapter with its versions, and how what it wrote was judged.
#[utoipa::path(get, path = "/v1/adapters/{adapter_id}", tag = "adapters", params(("adapter_id" = String, Path), SpaceQuery),
    responses((status = 200, body = Object, description = "`{adapter_id, tenant_id, versions, tasks}`"), (status = 404, description = "Not there for this caller")))]
pub async fn get_adapter(
    state: Data<State>,
    caller: Caller,
    adapter_id: Path<String>,
    query: QueryOf<SpaceQuery>,
) -> Result<Json<AdapterView>, Problem> {
    caller.require(may_read)?;
    let scope = caller.scope();
    let tenant_id = space_of(&scope, query.0.tenant_id.as_deref())?;
    let (reader, adapter_id) = (scope.clone(), adapter_id.into_inner());
    let storage = state.storage.scoped(&scope);
    let view = storage.read(move |conn| {
        let versions = stored::versions(conn, &reader, &tenant_id, &adapter_id)?;
        let tasks = stored::count_tasks(conn, &reader, &[&adapter_id])?.get(&adapter_id).copied().unwrap_or_default();
        Ok(AdapterView { adapter_id: adapter_id.clone(), tenant_id: tenant_id.clone(), versions, tasks })
    });
    Ok(Json(view.await?))
}

/// Removes a version. Its files stay, and may be removed or replaced from then on.
#[utoipa::path(delete, path = "/v1/adapters/{adapter_id}/versions/{version}", tag = "adapters", params(("adapter_id" = String, Path), ("version" = i32, Path), SpaceQuery),
    responses((status = 204, description = "It is gone"), (status = 404, description = "Not there for this caller")))]
pub async fn remove_adapter_version(
    state: Data<State>,
    caller: Caller,
    place: Path<(String, String)>,
    query: QueryOf<SpaceQuery>,
) -> Result<HttpResponse, Problem> {
    caller.require(may_write)?;
    let scope = caller.scope();
    let (adapter_id, version) = place.into_inner();
    let tenant = space_of(&scope, query.0.tenant_id.as_deref())?;
    let version: i32 = version.parse().map_err(|_| Problem::not_found("adapter version", &format!("{adapter_id}/{version}")))?;
    let writer = scope.clone();
    state.storage.scoped(&scope).transaction(move |conn| stored::remove(conn, &writer, &tenant, &adapter_id, version).map(drop)).await?;
    Ok(HttpResponse::NoContent().finish())
}
