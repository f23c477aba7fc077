//! Copies of campaigns: a draft with another id that says where it comes from.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use chrono::NaiveDate;
use domain::campaign::RESERVED_IDS;
use domain::invalid::Invalid;
use domain::role::Role;
use serde::Deserialize;
use storage::campaigns::creatives;
use storage::campaigns::history::{Action, Change};
use storage::campaigns::{self as stored, Campaign, NewCampaign};
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::JsonBytes;
use web::problem::Problem;

use crate::campaigns::made;
use crate::input::{check_texts, id_beside};
use crate::life;
use crate::state::State;

/// Longest name, in characters.
const MAX_NAME: usize = 200;

/// What is to differ in the copy.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloneBody {
    /// Public id of the copy; made up when absent.
    pub campaign_id: Option<String>,
    /// Name of the copy; `NAME (copy)` when absent.
    pub name: Option<String>,
    /// First day; as the original's when absent.
    pub start_date: Option<NaiveDate>,
    /// Last day, included; as the original's when absent.
    pub end_date: Option<NaiveDate>,
}

/// Copies a campaign into a new draft. The copy has the original's fields save its state and allocation, and names it in `attributes.copied_from`.
#[utoipa::path(post, path = "/v1/campaigns/{campaign_id}/clone", tag = "campaigns", params(("Idempotency-Key" = Option<String>, Header), ("campaign_id" = String, Path)), request_body = CloneBody, responses((status = 201, body = crate::rows::CampaignRow, description = "The copy, with its `ETag`")))]
pub async fn clone_campaign(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    key: RepeatKey,
    body: JsonBytes<CloneBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let request = key.of(&caller, &body.bytes);
    let mut invalid = Invalid::default();
    let campaign_id = id_beside(&mut invalid, "campaign_id", body.value.campaign_id.clone(), "cmp", &RESERVED_IDS);
    check_texts(&mut invalid, &[("name", body.value.name.as_ref(), MAX_NAME)]);
    domain::day::check_some(&mut invalid, "start_date", body.value.start_date);
    domain::day::check_some(&mut invalid, "end_date", body.value.end_date);
    invalid.into_result()?;
    let (scope, now) = (caller.scope(), state.clock.now());
    let storage = state.storage.scoped(&scope);
    let answer = repeat::made(&storage, request, now, move |conn| {
        let original = stored::find(conn, &scope, &id)?;
        let copy = copied(&original, &campaign_id, &body.value)?;
        let reason = format!("Copied from {} at version {}.", original.campaign_id, original.version);
        let row = stored::insert(conn, &scope, &copy, &Change::of(Action::Clone).because(Some(&reason)), now)?;
        creatives::copy(conn, &original, &row, now)?;
        Ok(Answer::created(life::shown_one(conn, &row, now)?))
    });
    Ok(made(&answer.await?))
}

fn copied(original: &Campaign, campaign_id: &str, body: &CloneBody) -> Result<NewCampaign, Invalid> {
    let mut copy = life::copy_of(original, campaign_id.to_owned());
    copy.name = body.name.clone().unwrap_or_else(|| {
        let kept: String = original.name.chars().take(MAX_NAME - " (copy)".len()).collect();
        format!("{kept} (copy)")
    });
    copy.start_date = body.start_date.or(copy.start_date);
    copy.end_date = body.end_date.or(copy.end_date);
    if let (Some(start), Some(end)) = (copy.start_date, copy.end_date)
        && end < start
    {
        return Err(Invalid::one("end_date", format!("{end} is before start_date, {start}; give both when the flight moves")));
    }
    Ok(copy)
}
