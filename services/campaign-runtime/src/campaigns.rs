//! Campaigns: written by their tenant, moved through their life by [`crate::transitions`].

use actix_web::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use chrono::NaiveDate;
use domain::campaign::{CampaignStatus, Objective, RESERVED_IDS};
use domain::day;
use domain::invalid::Invalid;
use domain::money::format_micros;
use domain::role::Role;
use domain::scope::Scope;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use storage::brands;
use storage::campaigns::history::{Action, Change};
use storage::campaigns::{self as stored, Campaign, CampaignFilter, NewCampaign};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::page::Page;
use web::access::sha256_hex;
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::{JsonBody, JsonBytes};
use web::paging::{ListQuery, Slice};
use web::problem::Problem;

use crate::input::{MoneyInput, check_text, id_beside, lay_over, read_money, show_money};
use crate::life::{self, Refusal, transact};
use crate::plans::limits::check_of_campaign;
use crate::state::State;

/// Most entries of a list of a campaign.
const MAX_ENTRIES: usize = 100_000;

/// A campaign as it is written; `status` is changed by transitions.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignBody {
    /// Public id, unique within its tenant; made up when absent.
    pub campaign_id: Option<String>,
    /// Whose it is: the caller's tenant, else that of the brand, else the retailer.
    pub tenant_id: Option<String>,
    /// Where it runs.
    pub retailer_id: String,
    /// The (leading) brand.
    pub brand_id: Option<String>,
    /// Name.
    pub name: String,
    /// What it is for.
    pub objective: Option<Objective>,
    /// First day.
    pub start_date: Option<NaiveDate>,
    /// Last day, included.
    pub end_date: Option<NaiveDate>,
    /// Budget.
    pub total_budget: Option<MoneyInput>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// How the budget is distributed.
    #[schema(value_type = Option<Object>)]
    pub allocated_budget: Option<Map<String, Value>>,
    /// Placement types.
    #[serde(default)]
    pub placement_types: Vec<String>,
    /// Ids of audience segments.
    #[serde(default)]
    pub target_audiences: Vec<String>,
    /// Ids of products.
    #[serde(default)]
    pub target_skus: Vec<String>,
    /// Limits that plans must keep: `min_roas`, `max_cpa`, `max_share_per_arm`, `excluded_placements`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub constraints: Map<String, Value>,
    /// Anything else worth keeping.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub attributes: Map<String, Value>,
}

/// Filters of the list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CampaignQuery {
    /// Only those of a tenant.
    pub tenant_id: Option<String>,
    /// Only those at a retailer.
    pub retailer_id: Option<String>,
    /// Only those of a brand.
    pub brand_id: Option<String>,
    /// Only those in a state.
    pub status: Option<CampaignStatus>,
    /// Only those with an objective.
    pub objective: Option<Objective>,
}

impl From<CampaignQuery> for CampaignFilter {
    fn from(query: CampaignQuery) -> Self {
        let CampaignQuery { tenant_id, retailer_id, brand_id, status, objective } = query;
        Self {
            tenant_id,
            retailer_id,
            brand_id,
            status: status.map(|word| word.to_string()),
            objective: objective.map(|word| word.to_string()),
        }
    }
}

impl CampaignBody {
    fn check(self) -> Result<NewCampaign, Invalid> {
        let mut invalid = Invalid::default();
        let campaign_id = id_beside(&mut invalid, "campaign_id", self.campaign_id, "cmp", &RESERVED_IDS);
        check_text(&mut invalid, "name", &self.name, 200);
        day::check_some(&mut invalid, "start_date", self.start_date);
        day::check_some(&mut invalid, "end_date", self.end_date);
        if let (Some(start), Some(end)) = (self.start_date, self.end_date)
            && end < start
        {
            invalid.add("end_date", "is before start_date");
        }
        let lists =
            [("placement_types", &self.placement_types), ("target_audiences", &self.target_audiences), ("target_skus", &self.target_skus)];
        for (field, list) in lists {
            if list.len() > MAX_ENTRIES {
                invalid.add(field, format!("must have at most {MAX_ENTRIES} entries"));
            }
            if let Some(at) = list.iter().position(|entry| entry.trim().is_empty() || entry.len() > domain::id::MAX_LENGTH) {
                invalid.add(format!("{field}[{at}]"), format!("must be 1 to {} bytes", domain::id::MAX_LENGTH));
            }
        }
        check_of_campaign(&mut invalid, &self.constraints);
        let money = invalid.merge(read_money(self.currency.as_deref(), [("total_budget", self.total_budget.as_ref())]));
        let ([total_budget_micros], currency) = money.unwrap_or_default();
        if total_budget_micros.is_some_and(|budget| budget < 0) {
            invalid.add("total_budget", "must not be negative");
        }
        invalid.into_result()?;
        Ok(NewCampaign {
            campaign_id,
            tenant_id: self.tenant_id.unwrap_or_default(),
            retailer_id: self.retailer_id,
            brand_id: self.brand_id,
            name: self.name,
            objective: self.objective.map(|objective| objective.to_string()),
            start_date: self.start_date,
            end_date: self.end_date,
            total_budget_micros,
            currency,
            allocated_budget: self.allocated_budget.map(|map| Value::Object(map).into()),
            placement_types: json!(self.placement_types).into(),
            target_audiences: json!(self.target_audiences).into(),
            target_skus: json!(self.target_skus).into(),
            constraints: Value::Object(self.constraints).into(),
            attributes: Value::Object(self.attributes).into(),
            status: CampaignStatus::Draft.to_string(),
        })
    }

    fn of(row: &Campaign) -> Result<Self, Problem> {
        let list = |value: &Value| serde_json::from_value::<Vec<String>>(value.clone()).map_err(Problem::internal);
        let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let objective = row.objective.as_deref().map(str::parse).transpose();
        Ok(Self {
            campaign_id: Some(row.campaign_id.clone()),
            tenant_id: Some(row.tenant_id.clone()),
            retailer_id: row.retailer_id.clone(),
            brand_id: row.brand_id.clone(),
            name: row.name.clone(),
            objective: objective.map_err(|_| Problem::internal("a stored objective is not known"))?,
            start_date: row.start_date,
            end_date: row.end_date,
            total_budget: row.total_budget_micros.map(|micros| MoneyInput::Amount(format_micros(micros))),
            currency: row.currency.clone(),
            allocated_budget: row.allocated_budget.as_ref().and_then(|value| value.as_object().cloned()),
            placement_types: list(&row.placement_types)?,
            target_audiences: list(&row.target_audiences)?,
            target_skus: list(&row.target_skus)?,
            constraints: object(&row.constraints),
            attributes: object(&row.attributes),
        })
    }
}

/// Fills the tenant and sees that the caller may act for it.
///
/// # Errors
/// [`Invalid`] on `brand_id` or `tenant_id`.
pub fn with_tenant(conn: &mut Connection, scope: &Scope, new: &NewCampaign) -> Result<NewCampaign, StorageError> {
    let brand_tenant = match &new.brand_id {
        None => None,
        Some(brand_id) => match brands::find(conn, scope, brand_id) {
            Ok(brand) => Some(brand.tenant_id),
            Err(StorageError::NotFound { .. }) => {
                return Err(Invalid::one("brand_id", format!("there is no brand {brand_id:?} that you may see")).into());
            }
            Err(error) => return Err(error),
        },
    };
    let stated = Some(new.tenant_id.clone()).filter(|tenant| !tenant.is_empty());
    let tenant_id = stored::owner(stated.as_deref(), scope.tenant(), brand_tenant.as_deref(), &new.retailer_id);
    domain::id::check("tenant_id", &tenant_id)?;
    if !scope.may_see(Some(&tenant_id)) {
        return Err(Invalid::one("tenant_id", "is not your tenant; leave it out").into());
    }
    Ok(NewCampaign { tenant_id, ..new.clone() })
}

/// A campaign as it is shown.
#[must_use]
pub fn show(row: &Campaign) -> Value {
    let mut shown = json!(row);
    show_money(&mut shown, "total_budget_micros", "total_budget", row.currency.as_deref());
    shown
}

/// The version that a caller has read, from `If-Match`: the whole `ETag`, or the bare version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted(Option<Vec<String>>);

impl Wanted {
    /// Of a request.
    ///
    /// # Errors
    /// 400 for a header that is not readable.
    pub fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let mut tags = Vec::new();
        for value in request.headers().get_all(IF_MATCH) {
            let text = value.to_str().map_err(|_| Problem::bad_request("malformed_request", "The If-Match header is not readable."))?;
            tags.extend(text.split(',').map(|tag| tag.trim().to_owned()));
        }
        Ok(Self(if tags.is_empty() || tags.iter().any(|tag| tag == "*") { None } else { Some(tags) }))
    }

    /// Refuses a change of another version.
    ///
    /// # Errors
    /// [`Refusal::Version`] (412).
    pub fn check(&self, row: &Campaign) -> Result<(), Refusal> {
        let version = row.version.to_string();
        // What follows the version in our tags tells delivery states apart, which no write depends on.
        let names_it = |tag: &String| {
            let inner = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or_default();
            inner.split('-').next() == Some(version.as_str())
        };
        match &self.0 {
            Some(tags) if !tags.iter().any(names_it) => Err(Refusal::Version { present: row.version }),
            _ => Ok(()),
        }
    }
}

/// The tag of a campaign as shown: its version, and a digest of its delivery, which changes without a write.
fn etag(shown: &Value) -> String {
    let delivery = shown.get("delivery").map(ToString::to_string).unwrap_or_default();
    let digest = sha256_hex(delivery.as_bytes());
    let version = shown.get("version").and_then(Value::as_i64).unwrap_or_default();
    format!("\"{version}-{}\"", digest.get(..8).unwrap_or_default())
}

/// A campaign with its `ETag`.
#[must_use]
pub fn answer(shown: &Value) -> HttpResponse {
    HttpResponse::Ok().insert_header((ETAG, etag(shown))).json(shown)
}

/// A campaign that was made a moment ago (or before, with the same `Idempotency-Key`), with its `ETag`.
#[must_use]
pub fn made(answer: &Answer) -> HttpResponse {
    HttpResponse::build(answer.status).insert_header((ETAG, etag(&answer.body))).json(&answer.body)
}

/// Whether the caller has this very state already (`If-None-Match`).
fn is_known(request: &HttpRequest, tag: &str) -> bool {
    let tags = request.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    tags.flat_map(|value| value.split(',')).any(|one| one.trim() == "*" || one.trim().trim_start_matches("W/") == tag)
}

/// Stores a campaign as a draft.
#[utoipa::path(post, path = "/v1/campaigns", tag = "campaigns", params(("Idempotency-Key" = Option<String>, Header)), request_body = CampaignBody, responses((status = 201, body = crate::rows::CampaignRow, description = "The stored row, with its `ETag`")))]
pub async fn create_campaign(
    state: Data<State>,
    caller: Caller,
    key: RepeatKey,
    body: JsonBytes<CampaignBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let request = key.of(&caller, &body.bytes);
    let (scope, now, new) = (caller.scope(), state.clock.now(), body.value.check()?);
    let storage = state.storage.scoped(&scope);
    let answer = repeat::made(&storage, request, now, move |conn| {
        let new = with_tenant(conn, &scope, &new)?;
        let row = stored::insert(conn, &scope, &new, &Change::of(Action::Create), now)?;
        Ok(Answer::created(life::shown_one(conn, &row, now)?))
    });
    Ok(made(&answer.await?))
}

/// Campaigns, newest first.
#[utoipa::path(get, path = "/v1/campaigns", tag = "campaigns", params(CampaignQuery, web::paging::Page), responses((status = 200, body = web::paging::Slice<crate::rows::CampaignRow>, description = "`{data, next_cursor}`")))]
pub async fn list_campaigns(state: Data<State>, caller: Caller, query: ListQuery<CampaignQuery>) -> Result<Json<Slice<Value>>, Problem> {
    let filter = CampaignFilter::from(query.filter.clone());
    let (scope, page) = (caller.scope(), Page::try_from(&query.page)?);
    let now = state.clock.now();
    let slice = state
        .storage
        .scoped(&scope)
        .read(move |conn| {
            let storage::page::Slice { rows, next } = stored::list(conn, &scope, &filter, &page)?;
            Ok(storage::page::Slice { rows: life::shown(conn, &rows, now)?, next })
        })
        .await?;
    Ok(Json(Slice::from(slice)))
}

/// One campaign with its `ETag`; 304 when `If-None-Match` names it.
#[utoipa::path(get, path = "/v1/campaigns/{campaign_id}", tag = "campaigns", params(("campaign_id" = String, Path), ("If-None-Match" = Option<String>, Header)), responses((status = 200, body = crate::rows::CampaignRow, description = "The row"), (status = 304, description = "As it was")))]
pub async fn get_campaign(state: Data<State>, caller: Caller, id: Path<String>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (scope, now) = (caller.scope(), state.clock.now());
    let shown = state
        .storage
        .scoped(&scope)
        .read(move |conn| {
            let row = stored::find(conn, &scope, &id)?;
            life::shown_one(conn, &row, now)
        })
        .await?;
    let tag = etag(&shown);
    if is_known(&request, &tag) {
        return Ok(HttpResponse::NotModified().insert_header((ETAG, tag)).finish());
    }
    Ok(answer(&shown))
}

/// Changes the fields named; `If-Match` may hold the version that was read.
#[utoipa::path(patch, path = "/v1/campaigns/{campaign_id}", tag = "campaigns", params(("campaign_id" = String, Path), ("If-Match" = Option<String>, Header)), request_body = Object, responses((status = 200, body = crate::rows::CampaignRow, description = "The row, with its new `ETag`"), (status = 409, description = "`stale`, or archived"), (status = 412, description = "Another version than that of `If-Match`")))]
pub async fn update_campaign(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    request: HttpRequest,
    change: JsonBody<Map<String, Value>>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let (scope, now, wanted) = (caller.scope(), state.clock.now(), Wanted::of(&request)?);
    let reader = scope.clone();
    let row = state.storage.scoped(&reader).read(move |conn| stored::find(conn, &reader, &id)).await?;
    wanted.check(&row)?;
    let new = laid_over(&row, change.0)?;
    let shown = transact(&state.storage.scoped(&scope), move |conn| {
        let new = with_tenant(conn, &scope, &new)?;
        let updated = life::edit(conn, &scope, &row, new, &Change::of(Action::Update), now)?;
        Ok(life::shown_one(conn, &updated, now)?)
    })
    .await?;
    Ok(answer(&shown))
}

/// A campaign with these fields changed.
///
/// # Errors
/// 422 by field.
pub fn laid_over(row: &Campaign, change: Map<String, Value>) -> Result<NewCampaign, Problem> {
    Ok(lay_over(&CampaignBody::of(row)?, change, &["campaign_id", "tenant_id", "retailer_id"])?.check()?)
}

/// Archives a campaign; its data stay. 409 while it runs: complete it first.
#[utoipa::path(delete, path = "/v1/campaigns/{campaign_id}", tag = "campaigns", params(("campaign_id" = String, Path), ("If-Match" = Option<String>, Header)), responses((status = 204, description = "Archived"), (status = 409, description = "Not from its present state"), (status = 412, description = "Another version than that of `If-Match`")))]
pub async fn delete_campaign(state: Data<State>, caller: Caller, id: Path<String>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let (scope, now, wanted) = (caller.scope(), state.clock.now(), Wanted::of(&request)?);
    transact(&state.storage.scoped(&scope), move |conn| {
        let row = stored::find(conn, &scope, &id)?;
        wanted.check(&row)?;
        if life::status_of(&row)? != CampaignStatus::Archived {
            life::transition(conn, &scope, &row, CampaignStatus::Archived, &Change::of(Action::Transition), now)?;
        }
        Ok(())
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}
