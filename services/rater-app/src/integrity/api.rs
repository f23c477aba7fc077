//! What experts and administrators see of the honesty of raters, and what they may do about it.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::role::Role;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::audit;
use storage::connection::Connection;
use storage::idempotency::IdempotentRequest;
use storage::integrity::{self as stored, Action, Listed, NewAction, Standing};
use storage::raters;
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::{JsonBody, JsonBytes, QueryOf};
use web::paging::{ListQuery, Slice};
use web::problem::Problem;

use super::{act, reverse, voiding};
use crate::raters::share;
use crate::state::State;

const MAX_RATERS: i64 = 200;
const MAX_REASON_CHARS: usize = 1_000;

/// How many raters to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RatersQuery {
    /// 1 to 200; 50 by default.
    pub limit: Option<i64>,
}

/// Which actions to list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ActionQuery {
    /// Of one rater.
    pub rater_id: Option<String>,
}

/// What is to be done about a rater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Tell what was seen.
    Warn,
    /// Golden items more often.
    MoreGold,
    /// No work until somebody has looked.
    Pause,
    /// Recent judgments do not count, and their tasks are judged again.
    Void,
    /// All that holds ends; voided judgments stay so.
    Lift,
}

/// An action.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionRequest {
    /// About whom.
    pub rater_id: String,
    /// What.
    pub kind: Kind,
    /// Why, in words that the rater reads.
    pub reason: String,
}

/// Taking an action back.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReverseRequest {
    /// Why, in words that the rater reads.
    pub reason: String,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::MoreGold => "more_gold",
            Self::Pause => "pause",
            Self::Void => "void",
            Self::Lift => "lift",
        }
    }
}

/// Raters with the signals of the last look at their judgments, those who need attention first.
#[utoipa::path(get, path = "/v1/quality/raters", tag = "quality", params(RatersQuery), responses((status = 200, description = "{data, ordered_by}"), (status = 403, description = "Experts and administrators only")))]
pub async fn list_raters(state: Data<State>, caller: Caller, query: QueryOf<RatersQuery>) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_review)?;
    let limit = query.0.limit.unwrap_or(50);
    if !(1..=MAX_RATERS).contains(&limit) {
        return Err(Problem::invalid_field("limit", format!("must be 1 to {MAX_RATERS}")));
    }
    let found = state.storage.read(move |conn| stored::by_attention(conn, limit)).await?;
    let data: Vec<Value> = found.iter().map(view).collect();
    Ok(HttpResponse::Ok().json(json!({
        "data": data,
        "ordered_by": "paused raters who wait for a person first, then flagged signals (a severe one counts twice), then the least p-value",
    })))
}

/// Actions on raters, newest first.
#[utoipa::path(get, path = "/v1/quality/actions", tag = "quality", params(ActionQuery, web::paging::Page), responses((status = 200, description = "{data, next_cursor}"), (status = 403, description = "Experts and administrators only")))]
pub async fn list_actions(state: Data<State>, caller: Caller, query: ListQuery<ActionQuery>) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_review)?;
    let (page, rater_id) = (storage::page::Page::try_from(&query.page)?, query.filter.rater_id);
    let slice = state.storage.read(move |conn| stored::list(conn, rater_id.as_deref(), &page)).await?;
    Ok(HttpResponse::Ok().json(Slice::from(slice).map(|action| json!(action))))
}

/// Acts on a rater, who is told. Any step may be taken at any time; voiding takes out what was judged in the last days
/// (`ENDCAP_INTEGRITY_VOID_DAYS`), and is finished when `finished_at` is set.
#[utoipa::path(post, path = "/v1/quality/actions", tag = "quality", params(("Idempotency-Key" = Option<String>, Header)), request_body = ActionRequest, responses((status = 201, description = "The action"), (status = 403, description = "Experts and administrators only"), (status = 404, description = "No such rater")))]
pub async fn create_action(
    state: Data<State>,
    caller: Caller,
    key: RepeatKey,
    body: JsonBytes<ActionRequest>,
) -> Result<HttpResponse, Problem> {
    let request = key.of(&caller, &body.bytes);
    Ok(take(&state, &caller, request, body.value).await?.response())
}

/// Acts on a rater, for the API and the page.
///
/// # Errors
/// 403 for others than experts and administrators; 404 for no such rater; 422 for an action on oneself, or without a reason.
pub async fn take(state: &State, caller: &Caller, request: Option<IdempotentRequest>, asked: ActionRequest) -> Result<Answer, Problem> {
    caller.require(Role::may_review)?;
    let (actor, scope, now) = (caller.account_id.clone(), caller.scope(), state.clock.now());
    let reason = reason(&asked.reason)?;
    if caller.rater_id.as_deref() == Some(asked.rater_id.as_str()) {
        return Err(Problem::invalid_field("rater_id", "nobody acts on oneself; ask somebody else"));
    }
    let answer = repeat::made(&state.storage, request, now, move |tx| {
        raters::lock_one(tx, &asked.rater_id)?;
        let new = NewAction {
            rater_id: asked.rater_id.clone(),
            kind: asked.kind.word().to_owned(),
            signals: json!([]),
            reason: reason.clone(),
            actor: actor.clone(),
            is_finished: asked.kind != Kind::Void,
        };
        let action = act(tx, &new, now)?;
        let detail = json!({"kind": new.kind, "reason": new.reason, "action_id": action.action_id});
        audit::append(tx, &scope, &audit::entry(None, "rater.acted_on", format!("rater:{}", new.rater_id), detail), now)?;
        Ok(Answer::created(json!(action)))
    })
    .await?;
    if let Some(action_id) = answer.body.get("action_id").and_then(Value::as_str).map(str::to_owned) {
        let action = state.storage.read(move |conn| stored::find(conn, &action_id)).await?;
        voiding::go_on(state, &action).await?;
    }
    state.after_commit();
    Ok(answer)
}

/// Takes an action back: the rater stands where the action before had led. Voided judgments count again where their place is still free.
#[utoipa::path(post, path = "/v1/quality/actions/{action_id}/reverse", tag = "quality", params(("action_id" = String, Path)), request_body = ReverseRequest, responses((status = 200, description = "{action, stays_voided}"), (status = 403, description = "Experts and administrators only"), (status = 409, description = "It was reversed already")))]
pub async fn reverse_action(
    state: Data<State>,
    caller: Caller,
    path: Path<String>,
    body: JsonBody<ReverseRequest>,
) -> Result<HttpResponse, Problem> {
    let action = take_back(&state, &caller, path.into_inner(), &body.0.reason).await?;
    let note = match (action.finished_at, action.voided_judgments) {
        (None, _) => "judgments are still being given back".to_owned(),
        (_, 0) => "nothing stays voided".to_owned(),
        (_, n) => format!("{n} judgments stay voided: somebody else has judged in their place"),
    };
    Ok(HttpResponse::Ok().json(json!({"action": action, "stays_voided": action.voided_judgments, "note": note})))
}

/// Takes an action back, for the API and the page.
///
/// # Errors
/// 403 for others than experts and administrators; 404 for no such action; 409 when it was reversed already; 422 for an action on oneself,
/// or without a reason.
pub async fn take_back(state: &State, caller: &Caller, action_id: String, words: &str) -> Result<Action, Problem> {
    caller.require(Role::may_review)?;
    let (reason, by, now) = (reason(words)?, caller.account_id.clone(), state.clock.now());
    let seen = action_id.clone();
    let about = state.storage.read(move |conn| stored::find(conn, &seen)).await?.rater_id;
    if caller.rater_id.as_deref() == Some(about.as_str()) {
        return Err(Problem::invalid_field("action_id", "nobody acts on oneself; ask somebody else"));
    }
    let id = action_id.clone();
    let scope = caller.scope();
    let work = move |tx: &mut Connection| {
        let reversed = reverse(tx, &id, &by, &reason, now)?;
        let detail = json!({"kind": reversed.kind, "reason": reason, "action_id": id});
        let subject = format!("rater:{}", reversed.rater_id);
        audit::append(tx, &scope, &audit::entry(None, "rater.action_reversed", subject, detail), now)?;
        Ok(reversed)
    };
    let reversed = state.storage.transaction(work).await?;
    voiding::go_on(state, &reversed).await?;
    state.after_commit();
    Ok(state.storage.read(move |conn| stored::find(conn, &action_id)).await?)
}

fn reason(words: &str) -> Result<String, Problem> {
    let words = words.trim();
    if words.is_empty() || words.chars().count() > MAX_REASON_CHARS {
        return Err(Problem::invalid_field("reason", format!("must be 1 to {MAX_REASON_CHARS} characters: the rater reads it")));
    }
    Ok(words.to_owned())
}

fn view(listed: &Listed) -> Value {
    let standing = listed.standing.clone().unwrap_or_default();
    let Standing { rung, since, looks, signals, attention, looked_at, .. } = standing;
    json!({
        "rater_id": listed.rater_id,
        "name": listed.name,
        "is_active": listed.is_active,
        "is_simulated": listed.is_simulated,
        "total_judgments": listed.total_judgments,
        "golden_accuracy": share(listed.golden_correct.into(), listed.golden_total.into()),
        "golden_rate_factor": listed.golden_rate_factor,
        "paused_reason": listed.paused_reason,
        "rung": rung,
        "since": since,
        "looks": looks,
        "looked_at": looked_at,
        "attention": attention,
        "signals": signals,
    })
}
