//! The keys of retailers' APIs: given, never read back, sealed at rest.

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use domain::role::Role;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::audit;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::retailers::{self as stored, Retailer};
use web::caller::Caller;
use web::json::JsonBody;
use web::problem::Problem;
use web::sealing::{key_id_of, place_of_retailer};

use crate::state::State;

/// Longest key, in bytes: sealed it must fit its column.
const MAX_KEY_BYTES: usize = 500;

/// A key as it is given.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetailerKeyBody {
    /// The key; 1 to 500 bytes.
    #[schema(value_type = String)]
    pub api_key: SecretString,
}

fn may_write(role: Role) -> bool {
    role == Role::PlatformAdmin
}

/// Retailers as they are shown: whether they have a key, under which seal and since when; never the key.
///
/// # Errors
/// As any query.
pub fn shown(conn: &mut Connection, rows: Vec<Retailer>) -> Result<Vec<Value>, StorageError> {
    let ids: Vec<&str> = rows.iter().map(|row| row.retailer_id.as_str()).collect();
    let keys: HashMap<i64, stored::SealedKey> = stored::sealed_keys(conn, &ids)?.into_iter().map(|key| (key.id, key)).collect();
    let show = |row: &Retailer| {
        let mut value = json!(row);
        let key = keys.get(&row.id);
        let sealed_with = key.and_then(|key| key.api_key_encrypted.as_deref()).and_then(key_id_of);
        value["has_api_key"] = json!(key.is_some());
        value["api_key_sealed_with"] = json!(sealed_with);
        value["api_key_set_at"] = json!(key.and_then(|key| key.api_key_set_at));
        value
    };
    Ok(rows.iter().map(show).collect())
}

/// One retailer as it is shown.
///
/// # Errors
/// As any query.
pub fn shown_one(conn: &mut Connection, row: Retailer) -> Result<Value, StorageError> {
    Ok(shown(conn, vec![row])?.pop().unwrap_or(Value::Null))
}

/// Gives a retailer the key of its API. It is sealed and cannot be read back.
#[utoipa::path(put, path = "/v1/retailers/{retailer_id}/api-key", tag = "catalog", params(("retailer_id" = String, Path)), request_body = RetailerKeyBody, responses((status = 200, body = crate::rows::RetailerRow, description = "The retailer, without the key"), (status = 409, description = "There is no seal key")))]
pub async fn set_retailer_key(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    body: JsonBody<RetailerKeyBody>,
) -> Result<Json<Value>, Problem> {
    use secrecy::ExposeSecret as _;
    caller.require(may_write)?;
    let length = body.0.api_key.expose_secret().len();
    if length == 0 || length > MAX_KEY_BYTES || body.0.api_key.expose_secret().chars().any(char::is_control) {
        return Err(Problem::invalid_field("api_key", format!("must be 1 to {MAX_KEY_BYTES} bytes without control characters")));
    }
    let (id, now) = (id.into_inner(), state.clock.now());
    let sealed = state.settings.seal_keys.seal(&body.0.api_key, &place_of_retailer(&id));
    let sealed = sealed.map_err(|error| Problem::conflict("conflict", format!("The key cannot be kept: {error}.")))?;
    let scope = caller.scope();
    let shown = state
        .storage
        .scoped(&caller.scope())
        .transaction(move |conn| {
            stored::set_sealed_key(conn, &id, Some(&sealed), now)?;
            let row = stored::find(conn, &id)?;
            let shown = shown_one(conn, row)?;
            audit::append(conn, &scope, &audit::entry(None, "retailer_key.set", format!("retailer:{id}"), json!({})), now)?;
            Ok(shown)
        })
        .await?;
    Ok(Json(shown))
}

/// Takes the key of a retailer's API away.
#[utoipa::path(delete, path = "/v1/retailers/{retailer_id}/api-key", tag = "catalog", params(("retailer_id" = String, Path)), responses((status = 204, description = "Gone")))]
pub async fn delete_retailer_key(state: Data<State>, caller: Caller, id: Path<String>) -> Result<HttpResponse, Problem> {
    caller.require(may_write)?;
    let (scope, now) = (caller.scope(), state.clock.now());
    let work = move |conn: &mut Connection| {
        stored::set_sealed_key(conn, &id, None, now)?;
        audit::append(conn, &scope, &audit::entry(None, "retailer_key.removed", format!("retailer:{id}"), json!({})), now).map(drop)
    };
    state.storage.scoped(&caller.scope()).transaction(work).await?;
    Ok(HttpResponse::NoContent().finish())
}
