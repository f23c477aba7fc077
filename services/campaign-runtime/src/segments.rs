//! Audience segments: read by everybody who signs in, written by the platform and by the retailer that offers them.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use domain::catalog::SegmentType;
use domain::invalid::Invalid;
use domain::money::format_micros;
use domain::role::Role;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use storage::page::Page;
use storage::segments::{self as stored, NewSegment, Segment, SegmentFilter};
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::{JsonBody, JsonBytes, QueryOf};
use web::paging::{ListQuery, Slice};
use web::problem::Problem;

use crate::input::{MoneyInput, check_text, check_texts, id_or_new, lay_over, read_money, show_money};
use crate::skus::AtRetailer;
use crate::state::State;

/// An audience segment as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentBody {
    /// Public id, unique within its retailer; made up when absent.
    pub segment_id: Option<String>,
    /// Who offers it.
    pub retailer_id: String,
    /// Name.
    pub name: String,
    /// In words.
    pub description: Option<String>,
    /// How it is defined.
    pub segment_type: SegmentType,
    /// Who belongs to it.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub criteria: Map<String, Value>,
    /// People or households in it.
    pub size_estimate: Option<i64>,
    /// Share of all, 0 to 1.
    pub reach_estimate: Option<f64>,
    /// Cost per thousand impressions.
    pub cpm_estimate: Option<MoneyInput>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// Whether it can be booked.
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
pub struct SegmentQuery {
    /// Only those of a retailer.
    pub retailer_id: Option<String>,
    /// Only those of a type.
    pub segment_type: Option<SegmentType>,
    /// Only (in)active ones.
    pub is_active: Option<bool>,
}

impl SegmentBody {
    fn check(self) -> Result<NewSegment, Invalid> {
        let mut invalid = Invalid::default();
        let segment_id = id_or_new(&mut invalid, "segment_id", self.segment_id, "aud");
        check_text(&mut invalid, "name", &self.name, 200);
        check_texts(&mut invalid, &[("description", self.description.as_ref(), 10_000)]);
        if self.size_estimate.is_some_and(|size| size < 0) {
            invalid.add("size_estimate", "must not be negative");
        }
        if self.reach_estimate.is_some_and(|reach| !(0.0..=1.0).contains(&reach)) {
            invalid.add("reach_estimate", "must be a share from 0 to 1");
        }
        let money = invalid.merge(read_money(self.currency.as_deref(), [("cpm_estimate", self.cpm_estimate.as_ref())]));
        invalid.into_result()?;
        let ([cpm_estimate_micros], currency) = money.unwrap_or_default();
        Ok(NewSegment {
            segment_id,
            retailer_id: self.retailer_id,
            name: self.name,
            description: self.description,
            segment_type: self.segment_type.to_string(),
            criteria: Value::Object(self.criteria).into(),
            size_estimate: self.size_estimate,
            reach_estimate: self.reach_estimate,
            cpm_estimate_micros,
            currency,
            is_active: self.is_active,
        })
    }

    fn of(row: &Segment) -> Result<Self, Problem> {
        Ok(Self {
            segment_id: Some(row.segment_id.clone()),
            retailer_id: row.retailer_id.clone(),
            name: row.name.clone(),
            description: row.description.clone(),
            segment_type: row.segment_type.parse().map_err(|_| Problem::internal("a stored segment type is not known"))?,
            criteria: row.criteria.as_object().cloned().unwrap_or_default(),
            size_estimate: row.size_estimate,
            reach_estimate: row.reach_estimate,
            cpm_estimate: row.cpm_estimate_micros.map(|micros| MoneyInput::Amount(format_micros(micros))),
            currency: row.currency.clone(),
            is_active: row.is_active,
        })
    }
}

/// The platform, and whoever belongs to the retailer as a tenant.
fn require_writer(caller: &Caller, retailer_id: &str) -> Result<(), Problem> {
    let is_own = caller.role.may_plan() && caller.scope().tenant() == Some(retailer_id);
    caller.require(|role| role == Role::PlatformAdmin || is_own)
}

fn show(row: &Segment) -> Value {
    let mut shown = json!(row);
    show_money(&mut shown, "cpm_estimate_micros", "cpm_estimate", row.currency.as_deref());
    shown
}

/// Stores an audience segment.
#[utoipa::path(post, path = "/v1/audience-segments", tag = "catalog", params(("Idempotency-Key" = Option<String>, Header)), request_body = SegmentBody, responses((status = 201, body = crate::rows::SegmentRow, description = "The stored row")))]
pub async fn create_audience_segment(
    state: Data<State>,
    caller: Caller,
    key: RepeatKey,
    body: JsonBytes<SegmentBody>,
) -> Result<HttpResponse, Problem> {
    require_writer(&caller, &body.value.retailer_id)?;
    let request = key.of(&caller, &body.bytes);
    let (now, new) = (state.clock.now(), body.value.check()?);
    repeat::create(&state.storage.scoped(&caller.scope()), request, now, move |conn| {
        Ok(Answer::created(show(&stored::insert(conn, &new, now)?)))
    })
    .await
}

/// Audience segments, oldest first.
#[utoipa::path(get, path = "/v1/audience-segments", tag = "catalog", params(SegmentQuery, web::paging::Page), responses((status = 200, body = web::paging::Slice<crate::rows::SegmentRow>, description = "`{data, next_cursor}`")))]
pub async fn list_audience_segments(
    state: Data<State>,
    caller: Caller,
    query: ListQuery<SegmentQuery>,
) -> Result<Json<Slice<Value>>, Problem> {
    let SegmentQuery { retailer_id, segment_type, is_active } = query.filter.clone();
    let filter = SegmentFilter { retailer_id, segment_type: segment_type.map(|kind| kind.to_string()), is_active };
    let page = Page::try_from(&query.page)?;
    let slice = state.storage.scoped(&caller.scope()).read(move |conn| stored::list(conn, &filter, &page)).await?;
    Ok(Json(Slice::from(slice).map(|row| show(&row))))
}

/// One audience segment.
#[utoipa::path(get, path = "/v1/audience-segments/{segment_id}", tag = "catalog", params(("segment_id" = String, Path), AtRetailer), responses((status = 200, body = crate::rows::SegmentRow, description = "The row")))]
pub async fn get_audience_segment(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    at: QueryOf<AtRetailer>,
) -> Result<Json<Value>, Problem> {
    let row = state.storage.scoped(&caller.scope()).read(move |conn| stored::find(conn, at.0.retailer_id.as_deref(), &id)).await?;
    Ok(Json(show(&row)))
}

/// Changes the fields named.
#[utoipa::path(patch, path = "/v1/audience-segments/{segment_id}", tag = "catalog", params(("segment_id" = String, Path), AtRetailer), request_body = Object, responses((status = 200, body = crate::rows::SegmentRow, description = "The row")))]
pub async fn update_audience_segment(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    at: QueryOf<AtRetailer>,
    change: JsonBody<Map<String, Value>>,
) -> Result<Json<Value>, Problem> {
    let row = state.storage.scoped(&caller.scope()).read(move |conn| stored::find(conn, at.0.retailer_id.as_deref(), &id)).await?;
    require_writer(&caller, &row.retailer_id)?;
    let new = lay_over(&SegmentBody::of(&row)?, change.0, &["segment_id", "retailer_id"])?.check()?;
    let now = state.clock.now();
    let updated = state.storage.scoped(&caller.scope()).transaction(move |conn| stored::update(conn, &row, &new, now)).await?;
    Ok(Json(show(&updated)))
}

/// Takes a segment out of use; what refers to it stays.
#[utoipa::path(delete, path = "/v1/audience-segments/{segment_id}", tag = "catalog", params(("segment_id" = String, Path), AtRetailer), responses((status = 204, description = "Deactivated")))]
pub async fn delete_audience_segment(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    at: QueryOf<AtRetailer>,
) -> Result<HttpResponse, Problem> {
    let row = state.storage.scoped(&caller.scope()).read(move |conn| stored::find(conn, at.0.retailer_id.as_deref(), &id)).await?;
    require_writer(&caller, &row.retailer_id)?;
    let now = state.clock.now();
    let new = NewSegment { is_active: false, ..row.clone().into() };
    state.storage.scoped(&caller.scope()).transaction(move |conn| stored::update(conn, &row, &new, now)).await?;
    Ok(HttpResponse::NoContent().finish())
}
