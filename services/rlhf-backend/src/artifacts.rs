//! Artifacts: files in buckets, streamed in and out, checked by their SHA-256, and shared by links that expire.

pub mod download;
pub mod links;
pub mod models;
pub mod stores;
pub mod sweep;
pub mod upload;

use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, LOCATION};
use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use chrono::TimeDelta;
use domain::artifact::{Bucket, PLATFORM, check_path, check_prefix};
use domain::role::Role;
use domain::scope::Scope;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use storage::artifacts::{self as stored, Artifact, Finished, Place};
use web::caller::{Caller, MaybeCaller};
use web::json::{JsonBody, QueryOf};
use web::paging::{ListQuery, Slice};
use web::problem::Problem;

use crate::feedback::may_read;
use crate::state::State;
use links::Link;
use upload::Wanted;

/// Life of a link that names none, in seconds.
const LINK_SECONDS: u32 = 3_600;

/// Longest life of a link, in seconds: a week.
const MAX_LINK_SECONDS: u32 = 604_800;

/// How to store a file.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PutQuery {
    /// Replace other bytes at the same path.
    #[serde(default)]
    pub overwrite: bool,
    /// For the platform: in whose space; its own without it.
    pub tenant_id: Option<String>,
}

/// In whose space, and by which link.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PlaceQuery {
    /// For the platform: in whose space; its own without it. Part of a link.
    pub tenant_id: Option<String>,
    /// When the link ends, in seconds since 1970.
    pub expires: Option<i64>,
    /// Proof that we made the link.
    pub signature: Option<String>,
}

/// In whose space.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SpaceQuery {
    /// For the platform: in whose space; its own without it.
    pub tenant_id: Option<String>,
}

/// Which files to list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ArtifactQuery {
    /// Only paths that begin so.
    pub prefix: Option<String>,
    /// For the platform: in whose space; its own without it.
    pub tenant_id: Option<String>,
}

/// How long a link lasts.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignBody {
    /// Seconds, 1 to 604800 (default 3600).
    pub expires_in_s: Option<u32>,
}

/// A file as callers see it.
#[derive(Debug, Clone, Serialize)]
pub struct View {
    /// What is known of it.
    #[serde(flatten)]
    pub artifact: Artifact,
    /// Where it is fetched.
    pub href: String,
}

impl From<Artifact> for View {
    fn from(artifact: Artifact) -> Self {
        Self { href: format!("/v1/artifacts/{}/{}", artifact.bucket, artifact.path), artifact }
    }
}

/// Who may store and remove files: whoever may give feedback in the name of a tenant.
#[must_use]
pub fn may_write(role: Role) -> bool {
    role.may_plan()
}

fn bucket_of(name: &str) -> Result<Bucket, Problem> {
    name.parse().map_err(|_| Problem::not_found("bucket", name))
}

fn place_of(scope: &Scope, bucket: &str, path: &str, tenant: Option<&str>) -> Result<Place, Problem> {
    let bucket = bucket_of(bucket)?;
    check_path(path)?;
    Ok(Place { tenant: space_of(scope, tenant)?, bucket, path: path.to_owned() })
}

/// The space that a caller works in.
///
/// # Errors
/// 404 for another tenant's and for callers who have none, 422 for what is no tenant's name.
pub(crate) fn space_of(scope: &Scope, tenant: Option<&str>) -> Result<String, Problem> {
    if scope.tenant() == Some("") && tenant.is_none() {
        let why = "This account belongs to no tenant, so it has no files of its own; ask somebody of the tenant whose files you want for a link to them.";
        return Err(Problem::new("not_found", why));
    }
    if let Some(tenant) = tenant.filter(|tenant| *tenant != PLATFORM) {
        domain::id::check("tenant_id", tenant)?;
    }
    Ok(stored::owner(scope, tenant)?)
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim).filter(|text| !text.is_empty())
}

/// Stores a file: the body is streamed into the store and is there when the answer comes, or not at all. The same bytes again change nothing.
#[utoipa::path(put, path = "/v1/artifacts/{bucket}/{path}", tag = "artifacts",
    params(("bucket" = inline(Bucket), Path), ("path" = String, Path, description = "Parts of letters, digits, `-_.+=`, separated by `/`"), PutQuery,
        ("x-content-sha256" = Option<String>, Header, description = "SHA-256 of the body in hexadecimal digits; `Content-Digest: sha-256=:BASE64:` says the same")),
    request_body(content = Option<String>, content_type = "application/octet-stream", description = "The bytes; no body is an empty file"),
    responses((status = 201, body = Object, description = "Stored; size_bytes, sha256, href"), (status = 200, body = Object, description = "The same bytes were there, or others that were replaced"),
        (status = 400, description = "`checksum_mismatch`"), (status = 409, description = "`already_exists`: other bytes are there, and `overwrite` is not set; `artifact_in_use`"),
        (status = 413, description = "Over the limit of the bucket"), (status = 415, description = "A type that does not belong in the bucket"), (status = 422, description = "A path that is wrong")))]
pub async fn put_artifact(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
    place: Path<(String, String)>,
    query: QueryOf<PutQuery>,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    caller.require(may_write)?;
    let scope = caller.scope();
    let place = place_of(&scope, &place.0, &place.1, query.0.tenant_id.as_deref())?;
    refuse_files_of_models(&place)?;
    let wanted = Wanted {
        content_type: upload::content_type(place.bucket, header(&request, CONTENT_TYPE.as_str()), header(&request, "content-encoding"))?,
        overwrite: query.0.overwrite,
        sha256: upload::announced_sha256(header(&request, "x-content-sha256"), header(&request, "content-digest"))?,
        size: header(&request, CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok()),
        max_bytes: state.artifacts.max_bytes(place.bucket),
        place,
    };
    let finished = upload::receive(&state, &scope, &wanted, body).await?;
    let is_new = matches!(finished, Finished::Created(_));
    let (Finished::Created(artifact) | Finished::Replaced(artifact) | Finished::Unchanged(artifact)) = finished;
    let mut answer = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    let tag = download::tag(&artifact);
    let view = View::from(artifact);
    Ok(answer.insert_header((ETAG, tag)).insert_header((LOCATION, view.href.as_str())).json(view))
}

/// Fetches a file: all of it, or the range asked for. By a link, without a sign-in.
#[utoipa::path(get, path = "/v1/artifacts/{bucket}/{path}", tag = "artifacts", params(("bucket" = inline(Bucket), Path), ("path" = String, Path), PlaceQuery),
    responses((status = 200, content_type = "application/octet-stream", body = String, description = "The bytes, with `ETag` and `x-content-sha256`"), (status = 206, description = "The range asked for"),
        (status = 304, description = "It is as `If-None-Match` says"), (status = 403, description = "`link_expired`, `link_invalid`"), (status = 404, description = "Not there for this caller"), (status = 416, description = "No such range")))]
pub async fn get_artifact(
    state: Data<State>,
    caller: MaybeCaller,
    request: HttpRequest,
    place: Path<(String, String)>,
    query: QueryOf<PlaceQuery>,
) -> Result<HttpResponse, Problem> {
    let (bucket, path) = place.into_inner();
    let query = query.0;
    let (scope, place) = match (query.signature, caller.0) {
        (Some(signature), _) => {
            let (tenant, expires) = (query.tenant_id.unwrap_or_default(), query.expires.unwrap_or_default());
            let link = Link { bucket: &bucket, path: &path, tenant: &tenant, expires };
            state.artifacts.links.verify(&link, &signature, state.clock.now())?;
            let scope = Scope::system("signed link");
            let scope = if tenant == PLATFORM { scope } else { scope.narrowed_to(&tenant) };
            let place = place_of(&scope, &bucket, &path, Some(&tenant))?;
            (scope, place)
        }
        (None, Some(caller)) => {
            caller.require(may_read)?;
            let scope = caller.scope();
            let place = place_of(&scope, &bucket, &path, query.tenant_id.as_deref())?;
            (scope, place)
        }
        (None, None) => return Err(Problem::unauthorized()),
    };
    let reader = scope.clone();
    let artifact = state.storage.scoped(&scope).read(move |conn| stored::find(conn, &reader, &place)).await?;
    download::answer(&state, &request, artifact).await
}

/// Removes a file. Its bytes go within a minute.
#[utoipa::path(delete, path = "/v1/artifacts/{bucket}/{path}", tag = "artifacts", params(("bucket" = inline(Bucket), Path), ("path" = String, Path), SpaceQuery),
    responses((status = 204, description = "It is gone"), (status = 404, description = "Not there for this caller"), (status = 409, description = "`artifact_in_use`: an adapter is made of it")))]
pub async fn delete_artifact(
    state: Data<State>,
    caller: Caller,
    place: Path<(String, String)>,
    query: QueryOf<SpaceQuery>,
) -> Result<HttpResponse, Problem> {
    caller.require(may_write)?;
    let scope = caller.scope();
    let place = place_of(&scope, &place.0, &place.1, query.0.tenant_id.as_deref())?;
    refuse_files_of_models(&place)?;
    let now = state.clock.now();
    let writer = scope.clone();
    state.storage.scoped(&scope).transaction(move |conn| stored::remove(conn, &writer, &place, now)).await?;
    state.artifacts.doomed.notify_one();
    Ok(HttpResponse::NoContent().finish())
}

/// What a trained model was written to stays as it was written: cards and score services offer it.
fn refuse_files_of_models(place: &Place) -> Result<(), Problem> {
    if place.bucket == Bucket::ModelArtifacts && place.tenant == PLATFORM && place.path.starts_with(models::FOLDER) {
        let detail = format!("{} belongs to a trained reward model and stays as it was written; choose another path.", place.path);
        return Err(Problem::conflict("artifact_in_use", detail));
    }
    Ok(())
}

/// Files of a bucket, newest first.
#[utoipa::path(get, path = "/v1/artifacts/{bucket}", tag = "artifacts", params(("bucket" = inline(Bucket), Path), ArtifactQuery, web::paging::Page),
    responses((status = 200, body = Object, description = "`{data, next_cursor}`"), (status = 404, description = "No such bucket")))]
pub async fn list_artifacts(
    state: Data<State>,
    caller: Caller,
    bucket: Path<String>,
    query: ListQuery<ArtifactQuery>,
) -> Result<Json<Slice<View>>, Problem> {
    caller.require(may_read)?;
    let bucket = bucket_of(&bucket)?;
    let prefix = query.filter.prefix.clone().unwrap_or_default();
    check_prefix(&prefix)?;
    let (scope, page) = (caller.scope(), storage::page::Page::try_from(&query.page)?);
    let tenant = space_of(&scope, query.filter.tenant_id.as_deref())?;
    let reader = scope.clone();
    let slice = state.storage.scoped(&scope).read(move |conn| stored::list(conn, &reader, &tenant, bucket, &prefix, &page)).await?;
    Ok(Json(Slice::from(slice.map(View::from))))
}

/// Makes a link by which anybody may fetch a file until it expires.
#[utoipa::path(post, path = "/v1/artifacts/{bucket}/{path}/sign", tag = "artifacts", params(("bucket" = inline(Bucket), Path), ("path" = String, Path), SpaceQuery), request_body = SignBody,
    responses((status = 200, body = Object, description = "`{url, expires_at}`"), (status = 404, description = "Not there for this caller"), (status = 422, description = "`expires_in_s` is wrong")))]
pub async fn sign_artifact(
    state: Data<State>,
    caller: Caller,
    place: Path<(String, String)>,
    query: QueryOf<SpaceQuery>,
    body: JsonBody<SignBody>,
) -> Result<Json<Value>, Problem> {
    caller.require(may_read)?;
    let seconds = body.0.expires_in_s.unwrap_or(LINK_SECONDS);
    if !(1..=MAX_LINK_SECONDS).contains(&seconds) {
        return Err(Problem::invalid_field("expires_in_s", format!("must be from 1 to {MAX_LINK_SECONDS}")));
    }
    let scope = caller.scope();
    let place = place_of(&scope, &place.0, &place.1, query.0.tenant_id.as_deref())?;
    let reader = scope.clone();
    let artifact = state.storage.scoped(&scope).read(move |conn| stored::find(conn, &reader, &place)).await?;
    let expires_at = state.clock.now() + TimeDelta::seconds(i64::from(seconds));
    let link = Link { bucket: &artifact.bucket, path: &artifact.path, tenant: &artifact.tenant_id, expires: expires_at.timestamp() };
    let url = format!("{}{}", state.settings.rlhf_backend.public_url, state.artifacts.links.address(&link));
    let expires_at = chrono::DateTime::from_timestamp(expires_at.timestamp(), 0);
    Ok(Json(json!({ "url": url, "expires_at": expires_at })))
}
