//! API keys: shown once, kept as a hash.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path};
use chrono::{DateTime, Utc};
use domain::invalid::Invalid;
use domain::role::Role;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::api_keys::{self as stored, ApiKey, NewApiKey};
use storage::error::StorageError;
use storage::page::Page;
use web::access::hash_key;
use web::caller::{Caller, Credential};
use web::json::JsonBody;
use web::paging::{ListQuery, NoFilter, Slice};
use web::problem::Problem;
use web::scopes;

use crate::input::check_text;
use crate::state::State;

/// First characters of a key that are kept to recognise it by.
const PREFIX_LENGTH: usize = 10;
/// Most scopes of a key.
const MAX_SCOPES: usize = 50;

/// A key as it is asked for.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyBody {
    /// What it is for.
    pub name: String,
    /// Role of whoever presents it. A tenant administrator may give `tenant_admin` and `analyst`.
    pub role: Role,
    /// Tenant of whoever presents it, which must be there (a brand, say); the caller's when absent.
    pub tenant_id: Option<String>,
    /// Scopes, such as `campaigns:read` (docs/access.md lists them); none means all that the role may.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// When it stops working: not after the key that asks, whose end it takes when absent.
    #[serde(default, deserialize_with = "domain::day::read_instant")]
    pub expires_at: Option<DateTime<Utc>>,
}

fn may_manage(role: Role) -> bool {
    matches!(role, Role::PlatformAdmin | Role::TenantAdmin)
}

fn check(body: ApiKeyBody, caller: &Caller, key: &str, now: DateTime<Utc>) -> Result<NewApiKey, Invalid> {
    let mut invalid = Invalid::default();
    check_text(&mut invalid, "name", &body.name, 200);
    let scopes = if body.scopes.len() > MAX_SCOPES {
        invalid.add("scopes", format!("must be at most {MAX_SCOPES}"));
        None
    } else {
        invalid.merge(scopes::check(&body.scopes, &caller.scopes))
    };
    let tenant_id = body.tenant_id.or_else(|| caller.tenant.clone());
    if let Some(tenant) = &tenant_id {
        invalid.merge(domain::id::check("tenant_id", tenant));
    } else if !body.role.sees_all_tenants() {
        invalid.add("tenant_id", format!("is required for the role {}", body.role));
    }
    if caller.role != Role::PlatformAdmin {
        if !matches!(body.role, Role::TenantAdmin | Role::Analyst) {
            invalid.add("role", "must be tenant_admin or analyst; other keys are made by the platform");
        }
        // May be nobody's for the platform only: a key without a tenant would see every tenant or none.
        if !caller.scope().may_see(tenant_id.as_deref()) {
            invalid.add("tenant_id", "is not your tenant; leave it out");
        }
    }
    if body.expires_at.is_some_and(|at| at <= now) {
        invalid.add("expires_at", "lies in the past");
    }
    invalid.into_result()?;
    Ok(NewApiKey {
        name: body.name,
        key_hash: hash_key(key),
        key_prefix: key.chars().take(PREFIX_LENGTH).collect(),
        role: body.role.to_string(),
        tenant_id,
        scopes: scopes.unwrap_or_default(),
        expires_at: body.expires_at,
    })
}

/// The end of a key that a key with this end makes: no later than its own, or whoever has a key for a day had it for ever.
fn end_within(asked: Option<DateTime<Utc>>, makers: Option<DateTime<Utc>>) -> Result<Option<DateTime<Utc>>, Invalid> {
    match (asked, makers) {
        (Some(asked), Some(end)) if asked > end => {
            let end = end.format("%Y-%m-%dT%H:%M:%SZ");
            let why = format!(
                "is after {end}, when the key that asks ends: no key outlives the one that made it; give that time or an earlier one, or leave it out"
            );
            Err(Invalid::one("expires_at", why))
        }
        (asked, makers) => Ok(asked.or(makers)),
    }
}

/// Makes a key. The answer holds it in `key`, once; afterwards only its hash is known.
#[utoipa::path(post, path = "/v1/api-keys", tag = "access", request_body = ApiKeyBody, responses((status = 201, body = crate::rows::ApiKeyRow, description = "The row and, once, `key`")))]
pub async fn create_api_key(state: Data<State>, caller: Caller, body: JsonBody<ApiKeyBody>) -> Result<HttpResponse, Problem> {
    caller.require(may_manage)?;
    let now = state.clock.now();
    // 244 random bits.
    let key = format!("ek_{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let new = check(body.0, &caller, &key, now)?;
    let scope = caller.scope();
    let row = state
        .storage
        .scoped(&scope)
        .transaction(move |conn| {
            // Whoever sees one tenant only makes keys for that one, which is there.
            if let Some(tenant) = new.tenant_id.as_ref().filter(|_| scope.tenant().is_none())
                && !stored::has_tenant(conn, tenant)?
            {
                let why = format!("there is no tenant {tenant:?}: nothing belongs to it; make a brand of it first, or correct the name");
                return Err(Invalid::one("tenant_id", why).into());
            }
            if caller.credential == Credential::Key {
                let maker = stored::find(conn, &scope, &caller.account_id)?;
                let expires_at = end_within(new.expires_at, maker.expires_at.map(|at| at.0))?;
                return stored::insert(conn, &scope, &NewApiKey { expires_at, ..new.clone() }, now);
            }
            // A token says what was true when it was made; a key outlives it, so what is true now counts.
            let is_still_so = match storage::accounts::find(conn, &caller.account_id) {
                Ok(account) => account.is_active && account.role == caller.role.to_string() && account.tenant_id == caller.tenant,
                Err(StorageError::NotFound { .. }) => true,
                Err(error) => return Err(error),
            };
            if !is_still_so {
                return Err(StorageError::conflict("conflict", "your account may not do this any more; sign in again".to_owned()));
            }
            stored::insert(conn, &scope, &new, now)
        })
        .await?;
    let mut shown = json!(row);
    if let Value::Object(fields) = &mut shown {
        fields.insert("key".to_owned(), json!(key));
    }
    Ok(HttpResponse::build(StatusCode::CREATED).json(shown))
}

/// Keys, newest first, without the keys themselves.
#[utoipa::path(get, path = "/v1/api-keys", tag = "access", params(web::paging::Page), responses((status = 200, body = web::paging::Slice<crate::rows::ApiKeyRow>, description = "`{data, next_cursor}`")))]
pub async fn list_api_keys(state: Data<State>, caller: Caller, query: ListQuery<NoFilter>) -> Result<Json<Slice<Value>>, Problem> {
    caller.require(may_manage)?;
    let (scope, page) = (caller.scope(), Page::try_from(&query.page)?);
    let slice = state.storage.scoped(&scope).read(move |conn| stored::list(conn, &scope, &page)).await?;
    Ok(Json(Slice::from(slice).map(|row| json!(row))))
}

/// One key, without the key itself.
#[utoipa::path(get, path = "/v1/api-keys/{key_id}", tag = "access", params(("key_id" = String, Path)), responses((status = 200, body = crate::rows::ApiKeyRow, description = "The row")))]
pub async fn get_api_key(state: Data<State>, caller: Caller, id: Path<String>) -> Result<Json<ApiKey>, Problem> {
    caller.require(may_manage)?;
    let scope = caller.scope();
    Ok(Json(state.storage.scoped(&scope).read(move |conn| stored::find(conn, &scope, &id)).await?))
}

/// Revokes a key: it stops working with the next request, on every process, because keys are looked up each time. Sockets that were
/// opened with it are closed within seconds.
#[utoipa::path(delete, path = "/v1/api-keys/{key_id}", tag = "access", params(("key_id" = String, Path)), responses((status = 204, description = "Revoked")))]
pub async fn revoke_api_key(state: Data<State>, caller: Caller, id: Path<String>) -> Result<HttpResponse, Problem> {
    caller.require(may_manage)?;
    let (scope, now) = (caller.scope(), state.clock.now());
    state.storage.scoped(&scope).transaction(move |conn| stored::revoke(conn, &scope, &id, now)).await?;
    Ok(HttpResponse::NoContent().finish())
}
