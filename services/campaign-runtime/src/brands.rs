//! Brands: each belongs to a tenant, who reads and writes it.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use domain::invalid::Invalid;
use domain::role::Role;
use domain::scope::Scope;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use storage::brands::{self as stored, Brand, BrandFilter, NewBrand};
use storage::page::Page;
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::{JsonBody, JsonBytes};
use web::paging::{ListQuery, Slice};
use web::problem::Problem;

use crate::input::{check_text, id_or_new, lay_over};
use crate::state::State;

/// A brand as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BrandBody {
    /// Public id; made up when absent.
    pub brand_id: Option<String>,
    /// Whose it is: the caller's tenant when absent, else (for the platform) the brand is its own tenant.
    pub tenant_id: Option<String>,
    /// The retailer in whose data it was found.
    pub retailer_id: Option<String>,
    /// Name.
    pub name: String,
    /// How the brand speaks.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub tone_guidelines: Map<String, Value>,
    /// Categories.
    #[serde(default)]
    pub product_categories: Vec<String>,
    /// Such as `min_roas` and `max_cpa`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub budget_constraints: Map<String, Value>,
    /// Anything else worth keeping.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub attributes: Map<String, Value>,
    /// Whether it takes part.
    #[serde(default = "yes")]
    pub is_active: bool,
}

fn yes() -> bool {
    true
}

/// Filters of the list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BrandQuery {
    /// Only those of a tenant.
    pub tenant_id: Option<String>,
    /// Only those found at a retailer.
    pub retailer_id: Option<String>,
    /// Only (in)active ones.
    pub is_active: Option<bool>,
}

impl BrandBody {
    fn check(self, scope: &Scope) -> Result<NewBrand, Invalid> {
        let mut invalid = Invalid::default();
        let brand_id = id_or_new(&mut invalid, "brand_id", self.brand_id, "brd");
        check_text(&mut invalid, "name", &self.name, 200);
        let tenant_id = self.tenant_id.or_else(|| scope.tenant().map(str::to_owned)).unwrap_or_else(|| brand_id.clone());
        invalid.merge(domain::id::check("tenant_id", &tenant_id));
        if !scope.may_see(Some(&tenant_id)) {
            invalid.add("tenant_id", "is not your tenant; leave it out");
        }
        invalid.into_result()?;
        Ok(NewBrand {
            brand_id,
            tenant_id,
            retailer_id: self.retailer_id,
            name: self.name,
            tone_guidelines: Value::Object(self.tone_guidelines).into(),
            product_categories: json!(self.product_categories).into(),
            budget_constraints: Value::Object(self.budget_constraints).into(),
            attributes: Value::Object(self.attributes).into(),
            is_active: self.is_active,
        })
    }

    fn of(row: &Brand) -> Self {
        let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
        Self {
            brand_id: Some(row.brand_id.clone()),
            tenant_id: Some(row.tenant_id.clone()),
            retailer_id: row.retailer_id.clone(),
            name: row.name.clone(),
            tone_guidelines: object(&row.tone_guidelines),
            product_categories: serde_json::from_value(row.product_categories.0.clone()).unwrap_or_default(),
            budget_constraints: object(&row.budget_constraints),
            attributes: object(&row.attributes),
            is_active: row.is_active,
        }
    }
}

/// Stores a brand.
#[utoipa::path(post, path = "/v1/brands", tag = "catalog", params(("Idempotency-Key" = Option<String>, Header)), request_body = BrandBody, responses((status = 201, body = crate::rows::BrandRow, description = "The stored row")))]
pub async fn create_brand(state: Data<State>, caller: Caller, key: RepeatKey, body: JsonBytes<BrandBody>) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let request = key.of(&caller, &body.bytes);
    let (scope, now) = (caller.scope(), state.clock.now());
    let new = body.value.check(&scope)?;
    repeat::create(&state.storage.scoped(&scope), request, now, move |conn| {
        Ok(Answer::created(json!(stored::insert(conn, &scope, &new, now)?)))
    })
    .await
}

/// Brands, oldest first.
#[utoipa::path(get, path = "/v1/brands", tag = "catalog", params(BrandQuery, web::paging::Page), responses((status = 200, body = web::paging::Slice<crate::rows::BrandRow>, description = "`{data, next_cursor}`")))]
pub async fn list_brands(state: Data<State>, caller: Caller, query: ListQuery<BrandQuery>) -> Result<Json<Slice<Value>>, Problem> {
    let BrandQuery { tenant_id, retailer_id, is_active } = query.filter.clone();
    let (scope, page) = (caller.scope(), Page::try_from(&query.page)?);
    let filter = BrandFilter { tenant_id, retailer_id, is_active };
    let slice = state.storage.scoped(&scope).read(move |conn| stored::list(conn, &scope, &filter, &page)).await?;
    Ok(Json(Slice::from(slice).map(|row| json!(row))))
}

/// One brand.
#[utoipa::path(get, path = "/v1/brands/{brand_id}", tag = "catalog", params(("brand_id" = String, Path)), responses((status = 200, body = crate::rows::BrandRow, description = "The row")))]
pub async fn get_brand(state: Data<State>, caller: Caller, id: Path<String>) -> Result<Json<Brand>, Problem> {
    let scope = caller.scope();
    Ok(Json(state.storage.scoped(&scope).read(move |conn| stored::find(conn, &scope, &id)).await?))
}

/// Changes the fields named.
#[utoipa::path(patch, path = "/v1/brands/{brand_id}", tag = "catalog", params(("brand_id" = String, Path)), request_body = Object, responses((status = 200, body = crate::rows::BrandRow, description = "The row")))]
pub async fn update_brand(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    change: JsonBody<Map<String, Value>>,
) -> Result<Json<Brand>, Problem> {
    caller.require(Role::may_plan)?;
    let (id, scope, now) = (id.into_inner(), caller.scope(), state.clock.now());
    let (find, reader) = (id.clone(), scope.clone());
    let row = state.storage.scoped(&reader).read(move |conn| stored::find(conn, &reader, &find)).await?;
    let new = lay_over(&BrandBody::of(&row), change.0, &["brand_id", "tenant_id"])?.check(&scope)?;
    Ok(Json(state.storage.scoped(&scope).transaction(move |conn| stored::update(conn, &scope, &id, &new, now)).await?))
}

/// Takes a brand out of use; its data stay.
#[utoipa::path(delete, path = "/v1/brands/{brand_id}", tag = "catalog", params(("brand_id" = String, Path)), responses((status = 204, description = "Deactivated")))]
pub async fn delete_brand(state: Data<State>, caller: Caller, id: Path<String>) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let (scope, now) = (caller.scope(), state.clock.now());
    state
        .storage
        .scoped(&scope)
        .transaction(move |conn| {
            let row = stored::find(conn, &scope, &id)?;
            stored::update(conn, &scope, &id, &NewBrand { is_active: false, ..row.into() }, now)
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
