//! Products: each belongs to the tenant of its brand, or to the retailer when no brand is known.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use domain::invalid::Invalid;
use domain::role::Role;
use domain::scope::Scope;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use storage::brands;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::page::Page;
use storage::skus::{self as stored, NewSku, Sku, SkuFilter};
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::{JsonBody, JsonBytes, QueryOf};
use web::paging::{ListQuery, Slice};
use web::problem::Problem;

use crate::input::{MoneyInput, check_text, check_texts, id_or_new, lay_over, read_money, show_money};
use crate::state::State;

/// A product as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SkuBody {
    /// Public id, unique within its retailer; made up when absent.
    pub sku_id: Option<String>,
    /// Whose shelf it is on.
    pub retailer_id: String,
    /// Its brand.
    pub brand_id: Option<String>,
    /// Universal Product Code.
    pub upc: Option<String>,
    /// European Article Number.
    pub ean: Option<String>,
    /// Global Trade Item Number.
    pub gtin: Option<String>,
    /// Name.
    pub name: String,
    /// Category.
    pub category: Option<String>,
    /// Category within the category.
    pub subcategory: Option<String>,
    /// Name of the brand as the retailer writes it.
    pub brand_name: Option<String>,
    /// Price.
    pub price: Option<MoneyInput>,
    /// Margin as a share of the price.
    pub margin: Option<f64>,
    /// Cost.
    pub cost: Option<MoneyInput>,
    /// ISO 4217 code of price and cost.
    pub currency: Option<String>,
    /// Anything else worth keeping.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub attributes: Map<String, Value>,
    /// Whether it can be bought; absent when not known.
    pub is_in_stock: Option<bool>,
    /// Units in stock; absent when not known.
    pub stock_level: Option<i64>,
}

/// Filters of the list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SkuQuery {
    /// Only those of a retailer.
    pub retailer_id: Option<String>,
    /// Only those of a brand.
    pub brand_id: Option<String>,
    /// Only those of a category.
    pub category: Option<String>,
    /// Only those of a subcategory.
    pub subcategory: Option<String>,
    /// Only those that are (not) in stock.
    pub is_in_stock: Option<bool>,
}

/// Tells apart equal ids of several retailers.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AtRetailer {
    /// The retailer; needed only when several use the same id.
    pub retailer_id: Option<String>,
}

impl SkuBody {
    fn check(self) -> Result<NewSku, Invalid> {
        let mut invalid = Invalid::default();
        let sku_id = id_or_new(&mut invalid, "sku_id", self.sku_id, "sku");
        check_text(&mut invalid, "name", &self.name, 500);
        let codes = [("upc", self.upc.as_ref(), 14), ("ean", self.ean.as_ref(), 14), ("gtin", self.gtin.as_ref(), 14)];
        check_texts(&mut invalid, &codes);
        let names = [("category", &self.category), ("subcategory", &self.subcategory), ("brand_name", &self.brand_name)];
        check_texts(&mut invalid, &names.map(|(field, text)| (field, text.as_ref(), 200)));
        if self.stock_level.is_some_and(|level| level < 0) {
            invalid.add("stock_level", "must not be negative");
        }
        let amounts = [("price", self.price.as_ref()), ("cost", self.cost.as_ref())];
        let money = invalid.merge(read_money(self.currency.as_deref(), amounts));
        invalid.into_result()?;
        let ([price_micros, cost_micros], currency) = money.unwrap_or_default();
        Ok(NewSku {
            sku_id,
            retailer_id: self.retailer_id,
            brand_id: self.brand_id,
            tenant_id: None,
            upc: self.upc,
            ean: self.ean,
            gtin: self.gtin,
            name: self.name,
            category: self.category,
            subcategory: self.subcategory,
            brand_name: self.brand_name,
            price_micros,
            margin: self.margin,
            cost_micros,
            currency,
            attributes: Value::Object(self.attributes).into(),
            is_in_stock: self.is_in_stock,
            stock_level: self.stock_level,
        })
    }

    fn of(row: &Sku) -> Self {
        let amount = |micros: Option<i64>| micros.map(|micros| MoneyInput::Amount(domain::money::format_micros(micros)));
        Self {
            sku_id: Some(row.sku_id.clone()),
            retailer_id: row.retailer_id.clone(),
            brand_id: row.brand_id.clone(),
            upc: row.upc.clone(),
            ean: row.ean.clone(),
            gtin: row.gtin.clone(),
            name: row.name.clone(),
            category: row.category.clone(),
            subcategory: row.subcategory.clone(),
            brand_name: row.brand_name.clone(),
            price: amount(row.price_micros),
            margin: row.margin,
            cost: amount(row.cost_micros),
            currency: row.currency.clone(),
            attributes: row.attributes.as_object().cloned().unwrap_or_default(),
            is_in_stock: row.is_in_stock,
            stock_level: row.stock_level,
        }
    }
}

/// Fills the tenant: that of the brand, which the caller must see, else the retailer.
fn with_tenant(conn: &mut Connection, scope: &Scope, new: &NewSku) -> Result<NewSku, StorageError> {
    let tenant_id = match &new.brand_id {
        Some(brand_id) => match brands::find(conn, scope, brand_id) {
            Ok(brand) => brand.tenant_id,
            Err(StorageError::NotFound { .. }) => {
                return Err(Invalid::one("brand_id", format!("there is no brand {brand_id:?} that you may see")).into());
            }
            Err(error) => return Err(error),
        },
        None => new.retailer_id.clone(),
    };
    if !scope.may_see(Some(&tenant_id)) {
        return Err(Invalid::one("brand_id", "is required: a product without a brand belongs to its retailer").into());
    }
    Ok(NewSku { tenant_id: Some(tenant_id), ..new.clone() })
}

fn show(row: &Sku) -> Value {
    let mut shown = json!(row);
    show_money(&mut shown, "price_micros", "price", row.currency.as_deref());
    show_money(&mut shown, "cost_micros", "cost", row.currency.as_deref());
    shown
}

/// Stores a product.
#[utoipa::path(post, path = "/v1/skus", tag = "catalog", params(("Idempotency-Key" = Option<String>, Header)), request_body = SkuBody, responses((status = 201, body = crate::rows::SkuRow, description = "The stored row")))]
pub async fn create_sku(state: Data<State>, caller: Caller, key: RepeatKey, body: JsonBytes<SkuBody>) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let request = key.of(&caller, &body.bytes);
    let (scope, now, new) = (caller.scope(), state.clock.now(), body.value.check()?);
    repeat::create(&state.storage.scoped(&scope), request, now, move |conn| {
        let new = with_tenant(conn, &scope, &new)?;
        Ok(Answer::created(show(&stored::insert(conn, &scope, &new, now)?)))
    })
    .await
}

/// Products, oldest first.
#[utoipa::path(get, path = "/v1/skus", tag = "catalog", params(SkuQuery, web::paging::Page), responses((status = 200, body = web::paging::Slice<crate::rows::SkuRow>, description = "`{data, next_cursor}`")))]
pub async fn list_skus(state: Data<State>, caller: Caller, query: ListQuery<SkuQuery>) -> Result<Json<Slice<Value>>, Problem> {
    let SkuQuery { retailer_id, brand_id, category, subcategory, is_in_stock } = query.filter.clone();
    let filter = SkuFilter { retailer_id, brand_id, category, subcategory, is_in_stock };
    let (scope, page) = (caller.scope(), Page::try_from(&query.page)?);
    let slice = state.storage.scoped(&scope).read(move |conn| stored::list(conn, &scope, &filter, &page)).await?;
    Ok(Json(Slice::from(slice).map(|row| show(&row))))
}

/// One product.
#[utoipa::path(get, path = "/v1/skus/{sku_id}", tag = "catalog", params(("sku_id" = String, Path), AtRetailer), responses((status = 200, body = crate::rows::SkuRow, description = "The row")))]
pub async fn get_sku(state: Data<State>, caller: Caller, id: Path<String>, at: QueryOf<AtRetailer>) -> Result<Json<Value>, Problem> {
    let scope = caller.scope();
    let row = state.storage.scoped(&scope).read(move |conn| stored::find(conn, &scope, at.0.retailer_id.as_deref(), &id)).await?;
    Ok(Json(show(&row)))
}

/// Changes the fields named.
#[utoipa::path(patch, path = "/v1/skus/{sku_id}", tag = "catalog", params(("sku_id" = String, Path), AtRetailer), request_body = Object, responses((status = 200, body = crate::rows::SkuRow, description = "The row")))]
pub async fn update_sku(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    at: QueryOf<AtRetailer>,
    change: JsonBody<Map<String, Value>>,
) -> Result<Json<Value>, Problem> {
    caller.require(Role::may_plan)?;
    let (scope, now) = (caller.scope(), state.clock.now());
    let reader = scope.clone();
    let row = state.storage.scoped(&reader).read(move |conn| stored::find(conn, &reader, at.0.retailer_id.as_deref(), &id)).await?;
    let new = lay_over(&SkuBody::of(&row), change.0, &["sku_id", "retailer_id"])?.check()?;
    let updated = state
        .storage
        .scoped(&scope)
        .transaction(move |conn| {
            let new = with_tenant(conn, &scope, &new)?;
            stored::update(conn, &scope, &row, &new, now)
        })
        .await?;
    Ok(Json(show(&updated)))
}

/// Deletes a product; performance rows that name it stay.
#[utoipa::path(delete, path = "/v1/skus/{sku_id}", tag = "catalog", params(("sku_id" = String, Path), AtRetailer), responses((status = 204, description = "Deleted")))]
pub async fn delete_sku(state: Data<State>, caller: Caller, id: Path<String>, at: QueryOf<AtRetailer>) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let scope = caller.scope();
    state
        .storage
        .scoped(&scope)
        .transaction(move |conn| {
            let row = stored::find(conn, &scope, at.0.retailer_id.as_deref(), &id)?;
            stored::delete(conn, &row)
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
