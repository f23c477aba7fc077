//! The life of a campaign: which moves there are, and what a campaign must have before it runs.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use domain::campaign::CampaignStatus;
use domain::invalid::Invalid;
use domain::role::Role;
use serde::Deserialize;
use serde_json::Value;
use storage::campaigns::{self as stored, Campaign, NewCampaign};
use web::caller::Caller;
use web::json::JsonBody;
use web::problem::Problem;

use crate::campaigns::{check_version, show};
use crate::state::State;

/// A wished move.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransitionBody {
    /// The state to move to.
    pub to: CampaignStatus,
}

/// Moves a campaign to another state. 409 lists the allowed moves; 422 names what a campaign still needs to run.
#[utoipa::path(post, path = "/v1/campaigns/{campaign_id}/transitions", tag = "campaigns", params(("campaign_id" = String, Path)), request_body = TransitionBody, responses((status = 200, body = Object, description = "The campaign"), (status = 409, description = "`allowed` lists the moves")))]
pub async fn transition_campaign(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    request: HttpRequest,
    body: JsonBody<TransitionBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let (scope, now) = (caller.scope(), state.clock.now());
    let reader = scope.clone();
    let row = state.storage.read(move |conn| stored::find(conn, &reader, &id)).await?;
    check_version(&request, &row)?;
    let new = moved(&row, body.0.to)?;
    let updated = state.storage.transaction(move |conn| stored::update(conn, &scope, &row, &new, now)).await?;
    Ok(HttpResponse::Ok().json(Json(show(&updated)).into_inner()))
}

/// The campaign after a move.
///
/// # Errors
/// 409 `transition_not_allowed` with the allowed moves; 422 with what is missing.
pub fn moved(row: &Campaign, to: CampaignStatus) -> Result<NewCampaign, Problem> {
    let from = status_of(row)?;
    if !from.may_become(to) {
        let allowed: Vec<&str> = from.next().iter().map(AsRef::as_ref).collect();
        let moves = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
        return Err(Problem::conflict("transition_not_allowed", format!("From {from} a campaign cannot become {to}; allowed: {moves}."))
            .with_extra("allowed", allowed));
    }
    let new = NewCampaign { status: to.to_string(), ..row.clone().into() };
    if matches!(to, CampaignStatus::Scheduled | CampaignStatus::Active) {
        check_ready(&new)?;
    }
    Ok(new)
}

/// What a campaign must have before it is scheduled or runs.
///
/// # Errors
/// [`Invalid`] naming everything that is missing.
pub fn check_ready(campaign: &NewCampaign) -> Result<(), Invalid> {
    let mut invalid = Invalid::default();
    for (field, is_there) in [("start_date", campaign.start_date.is_some()), ("end_date", campaign.end_date.is_some())] {
        if !is_there {
            invalid.add(field, "is required before the campaign is scheduled or active");
        }
    }
    if campaign.total_budget_micros.is_none_or(|budget| budget <= 0) {
        invalid.add("total_budget", "must be stated and above 0 before the campaign is scheduled or active");
    }
    let has_any = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
    if !has_any(&campaign.target_skus) && !has_any(&campaign.placement_types) {
        invalid.add("target_skus", "at least one SKU or one placement type is required before the campaign is scheduled or active");
    }
    invalid.into_result()
}

/// The stored state.
///
/// # Errors
/// 500 when the stored word is not known.
pub fn status_of(row: &Campaign) -> Result<CampaignStatus, Problem> {
    row.status.parse().map_err(|_| Problem::internal(format!("campaign {:?} has the unknown status {:?}", row.campaign_id, row.status)))
}
