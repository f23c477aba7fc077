//! Moves of one campaign and the record of all its changes.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use domain::campaign::CampaignStatus;
use domain::role::Role;
use serde::Deserialize;
use storage::campaigns as stored;
use storage::campaigns::history::{self, Action, Change, HistoryEntry, MAX_REASON};
use storage::page::Page;
use web::caller::Caller;
use web::json::JsonBody;
use web::paging::{ListQuery, NoFilter, Slice};
use web::problem::Problem;

use crate::campaigns::{Wanted, answer};
use crate::life::{self, transact};
use crate::state::State;

/// A wished move.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransitionBody {
    /// The state to move to.
    pub to: CampaignStatus,
    /// Why, for the history; at most 1000 characters.
    pub reason: Option<String>,
}

/// Refuses a reason that would not fit.
///
/// # Errors
/// 422 on `reason`.
pub fn check_reason(reason: Option<&str>) -> Result<(), Problem> {
    match reason {
        Some(reason) if reason.trim().is_empty() => Err(Problem::invalid_field("reason", "must not be empty; leave it out")),
        Some(reason) if reason.chars().count() > MAX_REASON => {
            Err(Problem::invalid_field("reason", format!("must be at most {MAX_REASON} characters")))
        }
        _ => Ok(()),
    }
}

/// Moves a campaign to another state. 409 lists the allowed moves; 422 names what a campaign still needs to run.
#[utoipa::path(post, path = "/v1/campaigns/{campaign_id}/transitions", tag = "campaigns", params(("campaign_id" = String, Path), ("If-Match" = Option<String>, Header)), request_body = TransitionBody, responses((status = 200, body = crate::rows::CampaignRow, description = "The campaign, with its new `ETag`"), (status = 409, description = "`allowed` lists the moves; or `stale`"), (status = 412, description = "Another version than that of `If-Match`")))]
pub async fn transition_campaign(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    request: HttpRequest,
    body: JsonBody<TransitionBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let TransitionBody { to, reason } = body.0;
    check_reason(reason.as_deref())?;
    let (scope, now, wanted) = (caller.scope(), state.clock.now(), Wanted::of(&request)?);
    let change = Change::of(Action::Transition).because(reason.as_deref());
    let shown = transact(&state.storage.scoped(&scope), move |conn| {
        let row = stored::find(conn, &scope, &id)?;
        wanted.check(&row)?;
        let moved = life::transition(conn, &scope, &row, to, &change, now)?;
        Ok(life::shown_one(conn, &moved, now)?)
    })
    .await?;
    Ok(answer(&shown))
}

/// Every change of a campaign, newest first: who, when, why, and each field before and after.
#[utoipa::path(get, path = "/v1/campaigns/{campaign_id}/history", tag = "campaigns", params(("campaign_id" = String, Path), web::paging::Page), responses((status = 200, body = web::paging::Slice<crate::rows::ChangeRow>, description = "`{data, next_cursor}`")))]
pub async fn list_campaign_history(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    query: ListQuery<NoFilter>,
) -> Result<Json<Slice<HistoryEntry>>, Problem> {
    let (scope, page) = (caller.scope(), Page::try_from(&query.page)?);
    let slice = state
        .storage
        .scoped(&scope)
        .read(move |conn| {
            let row = stored::find(conn, &scope, &id)?;
            history::list(conn, &scope, &row, &page)
        })
        .await?;
    Ok(Json(Slice::from(slice)))
}
