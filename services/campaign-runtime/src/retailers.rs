//! Retailers: read by everybody who signs in, written by the platform.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use domain::attribution::Attribution;
use domain::invalid::Invalid;
use domain::money::check_currency;
use domain::policy::{CreativeSpecs, Policy};
use domain::role::Role;
use domain::time::zone;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use storage::imports::Table;
use storage::imports::mapping::Mapping;
use storage::page::Page;
use storage::retailers::{self as stored, NewRetailer, Retailer, RetailerFilter};
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::{JsonBody, JsonBytes, QueryOf};
use web::paging::{ListQuery, Slice};
use web::problem::Problem;

use crate::input::{check_text, check_texts, id_or_new, lay_over};
use crate::retailer_keys::{shown, shown_one};
use crate::state::State;

/// A retailer as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetailerBody {
    /// Public id; made up when absent.
    pub retailer_id: Option<String>,
    /// Name.
    pub name: String,
    /// Version of the retailer's data schema.
    #[serde(default = "first_version")]
    pub schema_version: String,
    /// How the retailer's fields map to the canonical schema.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub mapping_config: Map<String, Value>,
    /// Address of the retailer's API.
    pub api_endpoint: Option<String>,
    /// Address of the retailer's clean room.
    pub clean_room_endpoint: Option<String>,
    /// Disallowed terms, required disclaimers, length limits, smallest cell.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub policies: Map<String, Value>,
    /// What creatives must look like.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub creative_specs: Map<String, Value>,
    /// ISO 3166 code of two letters.
    pub country: Option<String>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// IANA name of the store day's time zone.
    #[serde(default = "utc")]
    pub timezone: String,
    /// How the retailer attributes orders to ads: `{window_days, basis: click|view|click_and_view, scope: same_sku|brand|category, sales:
    /// gross|net}`; figures of retailers that declare differently are never added up.
    #[schema(value_type = Option<Object>)]
    pub attribution: Option<Value>,
    /// Whether it takes part.
    #[serde(default = "yes")]
    pub is_active: bool,
}

fn first_version() -> String {
    "1".to_owned()
}

fn utc() -> String {
    "UTC".to_owned()
}

fn yes() -> bool {
    true
}

/// Filters of the list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RetailerQuery {
    /// Only (in)active ones.
    pub is_active: Option<bool>,
    /// Only those of a country.
    pub country: Option<String>,
}

impl RetailerBody {
    fn check(self) -> Result<NewRetailer, Invalid> {
        let mut invalid = Invalid::default();
        let retailer_id = id_or_new(&mut invalid, "retailer_id", self.retailer_id, "rtl");
        check_text(&mut invalid, "name", &self.name, 200);
        check_text(&mut invalid, "schema_version", &self.schema_version, 50);
        invalid.merge(zone("timezone", &self.timezone));
        check_texts(
            &mut invalid,
            &[
                ("api_endpoint", self.api_endpoint.as_ref(), 500),
                ("clean_room_endpoint", self.clean_room_endpoint.as_ref(), 500),
                ("country", self.country.as_ref(), 2),
            ],
        );
        let (policies, creative_specs) = (Value::Object(self.policies), Value::Object(self.creative_specs));
        invalid.merge(Policy::read(&policies));
        invalid.merge(CreativeSpecs::read(&creative_specs));
        let mapping_config = Value::Object(self.mapping_config);
        invalid.merge(Mapping::parse(&mapping_config));
        if let Some(currency) = &self.currency {
            invalid.merge(check_currency("currency", currency));
        }
        if let Some(attribution) = &self.attribution {
            invalid.merge(Attribution::read(attribution));
        }
        invalid.into_result()?;
        Ok(NewRetailer {
            retailer_id,
            name: self.name,
            schema_version: self.schema_version,
            mapping_config: mapping_config.into(),
            api_endpoint: self.api_endpoint,
            clean_room_endpoint: self.clean_room_endpoint,
            policies: policies.into(),
            creative_specs: creative_specs.into(),
            country: self.country,
            currency: self.currency,
            timezone: self.timezone,
            attribution: self.attribution.map(Into::into),
            is_active: self.is_active,
        })
    }

    fn of(row: &Retailer) -> Self {
        let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
        Self {
            retailer_id: Some(row.retailer_id.clone()),
            name: row.name.clone(),
            schema_version: row.schema_version.clone(),
            mapping_config: object(&row.mapping_config),
            api_endpoint: row.api_endpoint.clone(),
            clean_room_endpoint: row.clean_room_endpoint.clone(),
            policies: object(&row.policies),
            creative_specs: object(&row.creative_specs),
            country: row.country.clone(),
            currency: row.currency.clone(),
            timezone: row.timezone.clone(),
            attribution: row.attribution.as_ref().map(|value| value.0.clone()),
            is_active: row.is_active,
        }
    }
}

fn may_write(role: Role) -> bool {
    role == Role::PlatformAdmin
}

/// Stores a retailer.
#[utoipa::path(post, path = "/v1/retailers", tag = "catalog", params(("Idempotency-Key" = Option<String>, Header)), request_body = RetailerBody, responses((status = 201, body = crate::rows::RetailerRow, description = "The stored row")))]
pub async fn create_retailer(
    state: Data<State>,
    caller: Caller,
    key: RepeatKey,
    body: JsonBytes<RetailerBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(may_write)?;
    let request = key.of(&caller, &body.bytes);
    let (new, now) = (body.value.check()?, state.clock.now());
    repeat::create(&state.storage.scoped(&caller.scope()), request, now, move |conn| {
        let row = stored::insert(conn, &new, now)?;
        Ok(Answer::created(shown_one(conn, row)?))
    })
    .await
}

/// Retailers, oldest first.
#[utoipa::path(get, path = "/v1/retailers", tag = "catalog", params(RetailerQuery, web::paging::Page), responses((status = 200, body = web::paging::Slice<crate::rows::RetailerRow>, description = "`{data, next_cursor}`")))]
pub async fn list_retailers(state: Data<State>, caller: Caller, query: ListQuery<RetailerQuery>) -> Result<Json<Slice<Value>>, Problem> {
    let filter = RetailerFilter { is_active: query.filter.is_active, country: query.filter.country.clone() };
    let page = Page::try_from(&query.page)?;
    let slice = state
        .storage
        .scoped(&caller.scope())
        .read(move |conn| {
            let storage::page::Slice { rows, next } = stored::list(conn, &filter, &page)?;
            Ok(storage::page::Slice { rows: shown(conn, rows)?, next })
        })
        .await?;
    Ok(Json(Slice::from(slice)))
}

/// One retailer.
#[utoipa::path(get, path = "/v1/retailers/{retailer_id}", tag = "catalog", params(("retailer_id" = String, Path)), responses((status = 200, body = crate::rows::RetailerRow, description = "The row")))]
pub async fn get_retailer(state: Data<State>, caller: Caller, id: Path<String>) -> Result<Json<Value>, Problem> {
    let shown = state
        .storage
        .scoped(&caller.scope())
        .read(move |conn| {
            let row = stored::find(conn, &id)?;
            shown_one(conn, row)
        })
        .await?;
    Ok(Json(shown))
}

/// Changes the fields named.
#[utoipa::path(patch, path = "/v1/retailers/{retailer_id}", tag = "catalog", params(("retailer_id" = String, Path)), request_body = Object, responses((status = 200, body = crate::rows::RetailerRow, description = "The row")))]
pub async fn update_retailer(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    change: JsonBody<Map<String, Value>>,
) -> Result<Json<Value>, Problem> {
    caller.require(may_write)?;
    let (id, now) = (id.into_inner(), state.clock.now());
    let find = id.clone();
    let row = state.storage.scoped(&caller.scope()).read(move |conn| stored::find(conn, &find)).await?;
    let new = lay_over(&RetailerBody::of(&row), change.0, &["retailer_id"])?.check()?;
    let shown = state
        .storage
        .scoped(&caller.scope())
        .transaction(move |conn| {
            let row = stored::update(conn, &id, &new, now)?;
            shown_one(conn, row)
        })
        .await?;
    Ok(Json(shown))
}

/// Takes a retailer out of use; its data stay.
#[utoipa::path(delete, path = "/v1/retailers/{retailer_id}", tag = "catalog", params(("retailer_id" = String, Path)), responses((status = 204, description = "Deactivated")))]
pub async fn delete_retailer(state: Data<State>, caller: Caller, id: Path<String>) -> Result<HttpResponse, Problem> {
    caller.require(may_write)?;
    let now = state.clock.now();
    state
        .storage
        .scoped(&caller.scope())
        .transaction(move |conn| {
            let row = stored::find(conn, &id)?;
            stored::update(conn, &id, &NewRetailer { is_active: false, ..row.into() }, now)
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Which table's mapping.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MappingQuery {
    /// brands, skus, audience-segments, campaigns, campaign-skus or performance.
    pub table: String,
}

/// How files of this retailer become rows of a table; see docs/imports.md.
#[utoipa::path(get, path = "/v1/retailers/{retailer_id}/mapping", tag = "imports", params(("retailer_id" = String, Path), MappingQuery), responses((status = 200, body = Object, description = "`{retailer_id, table, columns, others}`")))]
pub async fn get_retailer_mapping(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    query: QueryOf<MappingQuery>,
) -> Result<Json<Value>, Problem> {
    let table = Table::named(&query.0.table).ok_or_else(|| Problem::not_found("table", &query.0.table))?;
    let scope = caller.scope();
    let row = state.storage.scoped(&scope).read(move |conn| stored::find(conn, &id)).await?;
    let mapping = Mapping::parse(&row.mapping_config).map_err(Problem::invalid)?.table(table).cloned().unwrap_or_default();
    Ok(Json(json!({"retailer_id": row.retailer_id, "table": table.name(), "columns": mapping.columns, "others": mapping.others})))
}
