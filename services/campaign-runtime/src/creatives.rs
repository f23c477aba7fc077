//! Creatives of campaigns, and what a retailer's policy and specs have against them: checked when written, and again whenever the campaign is to run.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use domain::creative::{self, Creative, CreativeFinding};
use domain::invalid::Invalid;
use domain::policy::{CreativeSpecs, Policy};
use domain::role::Role;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::campaigns::creatives::{self as stored, NewCreative, StoredCreative};
use storage::campaigns::history::{Action, Change};
use storage::campaigns::{self, Campaign};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::page::Page;
use storage::retailers::{self, Retailer};
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::{JsonBody, JsonBytes};
use web::paging::{ListQuery, NoFilter, Slice};
use web::problem::Problem;

use crate::campaigns::Wanted;
use crate::input::{check_text, id_or_new};
use crate::life::{Refusal, transact};
use crate::state::State;

/// A creative to be checked and not kept.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckBody {
    /// Whose rules apply.
    pub retailer_id: String,
    /// What it says and shows.
    pub creative: Creative,
}

/// A creative as it is written.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreativeBody {
    /// Public id, unique within its campaign; made up when absent.
    pub creative_id: Option<String>,
    /// What people call it.
    pub name: String,
    /// What it says and shows.
    pub content: Creative,
}

impl CreativeBody {
    fn check(&self) -> Result<(String, Self), Invalid> {
        let mut invalid = Invalid::default();
        let creative_id = id_or_new(&mut invalid, "creative_id", self.creative_id.clone(), "crt");
        check_text(&mut invalid, "name", &self.name, 200);
        invalid.merge(creative::check_form("content.", &self.content));
        invalid.into_result()?;
        Ok((creative_id, self.clone()))
    }
}

/// A retailer's rules as they are now.
struct Rules {
    policy: Policy,
    specs: CreativeSpecs,
}

impl Rules {
    /// Documents that were stored before they were checked and cannot be read are trouble, not an absent rule.
    fn of(retailer: &Retailer) -> Result<Self, StorageError> {
        let broken =
            |error: Invalid| StorageError::Corrupt(format!("the rules of retailer {:?} cannot be read: {error}", retailer.retailer_id));
        Ok(Self {
            policy: Policy::read(&retailer.policies).map_err(broken)?,
            specs: CreativeSpecs::read(&retailer.creative_specs).map_err(broken)?,
        })
    }

    fn against(&self, creative: &Creative) -> Vec<CreativeFinding> {
        creative::check(&self.policy, &self.specs, creative)
    }
}

/// Ids of the creatives that break the present rules, by the campaign's primary key.
///
/// # Errors
/// As any query; [`StorageError::Corrupt`] when rules or a creative cannot be read.
pub fn failing(conn: &mut Connection, rows: &[&Campaign], retailers: &[Retailer]) -> Result<HashMap<i64, Vec<String>>, StorageError> {
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut of_campaigns = stored::of_campaigns(conn, &ids)?;
    let mut rules: HashMap<&str, Rules> = HashMap::new();
    let mut failing = HashMap::new();
    for row in rows {
        let Some(creatives) = of_campaigns.remove(&row.id) else { continue };
        if !rules.contains_key(row.retailer_id.as_str()) {
            let retailer = retailers.iter().find(|retailer| retailer.retailer_id == row.retailer_id);
            let retailer = retailer.ok_or_else(|| StorageError::not_found("retailer", &row.retailer_id))?;
            rules.insert(&row.retailer_id, Rules::of(retailer)?);
        }
        let Some(rules) = rules.get(row.retailer_id.as_str()) else { continue };
        let mut broken = Vec::new();
        for creative in creatives {
            if !rules.against(&content_of(&creative)?).is_empty() {
                broken.push(creative.creative_id);
            }
        }
        failing.insert(row.id, broken);
    }
    Ok(failing)
}

fn content_of(row: &StoredCreative) -> Result<Creative, StorageError> {
    serde_json::from_value(row.content.0.clone()).map_err(|error| StorageError::Corrupt(format!("creative {:?}: {error}", row.creative_id)))
}

fn show(row: &StoredCreative) -> Value {
    let mut shown = json!(row);
    shown["is_compliant"] = json!(row.findings.as_array().is_some_and(Vec::is_empty));
    shown
}

/// The row to write, with what the retailer has against it.
fn checked(conn: &mut Connection, campaign: &Campaign, creative_id: &str, body: &CreativeBody) -> Result<NewCreative, StorageError> {
    let findings = Rules::of(&retailers::find(conn, &campaign.retailer_id)?)?.against(&body.content);
    Ok(NewCreative {
        creative_id: creative_id.to_owned(),
        name: body.name.clone(),
        content: json!(body.content).into(),
        findings: json!(findings).into(),
    })
}

/// Checks a creative against a retailer's policy and specs; nothing is kept.
#[utoipa::path(post, path = "/v1/creatives/check", tag = "creatives", request_body = CheckBody, responses((status = 200, body = Object, description = "`{is_compliant, findings: [{rule, place, message}]}`")))]
pub async fn check_creative(state: Data<State>, caller: Caller, body: JsonBody<CheckBody>) -> Result<Json<Value>, Problem> {
    let CheckBody { retailer_id, creative } = body.0;
    creative::check_form("creative.", &creative)?;
    let retailer = state.storage.scoped(&caller.scope()).read(move |conn| retailers::find_many(conn, &[&retailer_id])).await?.pop();
    let retailer = retailer.ok_or_else(|| Problem::invalid_field("retailer_id", "there is no such retailer"))?;
    let findings = Rules::of(&retailer)?.against(&creative);
    Ok(Json(json!({"is_compliant": findings.is_empty(), "findings": findings})))
}

/// Adds a creative to a campaign. One that breaks the rules is kept with its findings, and keeps the campaign from being scheduled.
#[utoipa::path(post, path = "/v1/campaigns/{campaign_id}/creatives", tag = "creatives", params(("Idempotency-Key" = Option<String>, Header), ("campaign_id" = String, Path)), request_body = CreativeBody, responses((status = 201, body = crate::rows::CreativeRow, description = "The creative with its findings")))]
pub async fn create_creative(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    key: RepeatKey,
    body: JsonBytes<CreativeBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let request = key.of(&caller, &body.bytes);
    let (creative_id, body) = body.value.check()?;
    let (scope, now) = (caller.scope(), state.clock.now());
    repeat::create(&state.storage.scoped(&caller.scope()), request, now, move |conn| {
        let campaign = campaigns::find(conn, &scope, &id)?;
        let new = checked(conn, &campaign, &creative_id, &body)?;
        let row = stored::insert(conn, &scope, &campaign, &new, &Change::of(Action::Creatives), now)?;
        Ok(Answer::created(show(&row)))
    })
    .await
}

/// The creatives of a campaign, oldest first.
#[utoipa::path(get, path = "/v1/campaigns/{campaign_id}/creatives", tag = "creatives", params(("campaign_id" = String, Path), web::paging::Page), responses((status = 200, body = web::paging::Slice<crate::rows::CreativeRow>, description = "`{data, next_cursor}`")))]
pub async fn list_creatives(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    query: ListQuery<NoFilter>,
) -> Result<Json<Slice<Value>>, Problem> {
    let (scope, page) = (caller.scope(), Page::try_from(&query.page)?);
    let slice = state
        .storage
        .scoped(&caller.scope())
        .read(move |conn| {
            let campaign = campaigns::find(conn, &scope, &id)?;
            stored::list(conn, &scope, &campaign, &page)
        })
        .await?;
    Ok(Json(Slice::from(slice).map(|row| show(&row))))
}

/// One creative.
#[utoipa::path(get, path = "/v1/campaigns/{campaign_id}/creatives/{creative_id}", tag = "creatives", params(("campaign_id" = String, Path), ("creative_id" = String, Path)), responses((status = 200, body = crate::rows::CreativeRow, description = "The creative with its findings")))]
pub async fn get_creative(state: Data<State>, caller: Caller, path: Path<(String, String)>) -> Result<Json<Value>, Problem> {
    let (scope, (campaign_id, creative_id)) = (caller.scope(), path.into_inner());
    let row = state
        .storage
        .scoped(&caller.scope())
        .read(move |conn| {
            let campaign = campaigns::find(conn, &scope, &campaign_id)?;
            stored::find(conn, &scope, &campaign, &creative_id)
        })
        .await?;
    Ok(Json(show(&row)))
}

/// Replaces a creative and checks it anew; `If-Match` may hold the campaign's version.
#[utoipa::path(put, path = "/v1/campaigns/{campaign_id}/creatives/{creative_id}", tag = "creatives", params(("campaign_id" = String, Path), ("creative_id" = String, Path)), request_body = CreativeBody, responses((status = 200, body = crate::rows::CreativeRow, description = "The creative with its findings")))]
pub async fn update_creative(
    state: Data<State>,
    caller: Caller,
    path: Path<(String, String)>,
    request: HttpRequest,
    body: JsonBody<CreativeBody>,
) -> Result<Json<Value>, Problem> {
    caller.require(Role::may_plan)?;
    let (campaign_id, creative_id) = path.into_inner();
    if body.0.creative_id.as_ref().is_some_and(|named| *named != creative_id) {
        return Err(Problem::invalid_field("creative_id", "cannot be changed; leave it out"));
    }
    let (_, body) = body.0.check()?;
    let (scope, now, wanted) = (caller.scope(), state.clock.now(), Wanted::of(&request)?);
    let row = transact(&state.storage.scoped(&caller.scope()), move |conn| {
        let campaign = campaigns::find(conn, &scope, &campaign_id)?;
        wanted.check(&campaign)?;
        let row = stored::find(conn, &scope, &campaign, &creative_id)?;
        let new = checked(conn, &campaign, &creative_id, &body)?;
        Ok(stored::update(conn, &scope, &campaign, &row, &new, &Change::of(Action::Creatives), now)?)
    })
    .await?;
    Ok(Json(show(&row)))
}

/// Takes a creative away; `If-Match` may hold the campaign's version.
#[utoipa::path(delete, path = "/v1/campaigns/{campaign_id}/creatives/{creative_id}", tag = "creatives", params(("campaign_id" = String, Path), ("creative_id" = String, Path)), responses((status = 204, description = "Gone; the history keeps what it was")))]
pub async fn delete_creative(
    state: Data<State>,
    caller: Caller,
    path: Path<(String, String)>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let (campaign_id, creative_id) = path.into_inner();
    let (scope, now, wanted) = (caller.scope(), state.clock.now(), Wanted::of(&request)?);
    transact(&state.storage.scoped(&caller.scope()), move |conn| {
        let campaign = campaigns::find(conn, &scope, &campaign_id)?;
        wanted.check(&campaign)?;
        let row = stored::find(conn, &scope, &campaign, &creative_id)?;
        stored::delete(conn, &scope, &campaign, &row, &Change::of(Action::Creatives), now)?;
        Ok::<(), Refusal>(())
    })
    .await?;
    Ok(HttpResponse::build(StatusCode::NO_CONTENT).finish())
}
