//! Plans: several ways to spend a budget are proposed, checked and scored; a clear winner is chosen, a close call goes to people.

pub mod decision;
pub mod document;
pub mod history;
pub mod judged_form;
pub mod record;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use domain::invalid::Invalid;
use domain::role::Role;
use domain::task::TaskType;
use peers::context::RequestContext;
use peers::score::{ScoreRequest, ScoreResponse};
use peers::tasks::CheckResult;
use planning::proposal::constraints::Constraints;
use planning::proposal::plan::CandidatePlan;
use planning::proposal::verification::{self, Check};
use planning::proposal::{PlanningInput, ProposalError, propose};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use storage::campaigns::{self, Campaign};
use storage::page::Page;
use storage::plans as stored;
use storage::plans::Choice;
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::{JsonBody, JsonBytes};
use web::paging::{ListQuery, NoFilter, Slice};
use web::problem::Problem;

use crate::input::{MoneyInput, check_text, read_money};
use crate::jobs;
use crate::state::State;

use decision::{AskPeople, Decision};
use record::Proposal;

/// Version of the checks that are sent with candidates.
const CHECK_VERSION: i32 = 1;

/// What plans are asked for.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlansBody {
    /// How many different plans, 2 to 6; fewer come back when the constraints leave no room.
    pub candidates: Option<usize>,
    /// Money to plan; required unless the campaign has a budget.
    pub total_budget: Option<MoneyInput>,
    /// Days the plan covers, 1 to 366; 28 when absent.
    pub horizon_days: Option<u32>,
    /// Limits that every plan must keep; the campaign's own when absent.
    pub constraints: Option<ConstraintsBody>,
    /// When people are asked; on close calls when absent.
    #[serde(default)]
    pub ask_people: AskPeople,
    /// Kept with the decision. Planning draws no random numbers, so equal requests give equal plans with any seed.
    pub seed: Option<i64>,
}

/// Limits that every plan must keep.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct ConstraintsBody {
    /// Lowest expected revenue / spend.
    pub min_roas: Option<f64>,
    /// Highest expected spend / conversions.
    pub max_cpa: Option<MoneyInput>,
    /// Highest share of the budget on one placement and audience.
    pub max_share_per_arm: Option<f64>,
    /// Placement types that get nothing.
    pub excluded_placements: Vec<String>,
    /// Anything else is refused in requests, and left alone in the constraints of a campaign.
    #[serde(flatten)]
    #[schema(ignore)]
    pub others: serde_json::Map<String, Value>,
}

/// A person's choice.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChoiceBody {
    /// Why.
    pub reason: String,
}

/// A checked request.
#[derive(Debug, Clone)]
struct Wish {
    candidates: usize,
    budget_micros: i64,
    currency: String,
    horizon_days: u32,
    constraints: Constraints,
    constraints_shown: Value,
}

fn check(body: &PlansBody, campaign: &Campaign) -> Result<Wish, Invalid> {
    let mut invalid = Invalid::default();
    let candidates = body.candidates.unwrap_or(3);
    if !(2..=6).contains(&candidates) {
        invalid.add("candidates", format!("must be 2 to 6, not {candidates}"));
    }
    let horizon_days = body.horizon_days.unwrap_or(28);
    if !(1..=366).contains(&horizon_days) {
        invalid.add("horizon_days", format!("must be 1 to 366, not {horizon_days}"));
    }
    let from_campaign = || serde_json::from_value::<ConstraintsBody>(campaign.constraints.0.clone()).unwrap_or_default();
    if let Some(unknown) = body.constraints.as_ref().and_then(|constraints| constraints.others.keys().next()) {
        let known = "min_roas, max_cpa, max_share_per_arm, excluded_placements";
        invalid.add(format!("constraints.{unknown}"), format!("is not a known field; known are {known}"));
    }
    let limits = body.constraints.clone().unwrap_or_else(from_campaign);
    let amounts = [("total_budget", body.total_budget.as_ref()), ("constraints.max_cpa", limits.max_cpa.as_ref())];
    let money = invalid.merge(read_money(campaign.currency.as_deref(), amounts));
    let ([stated, max_cpa_micros], currency) = money.unwrap_or_default();
    let budget = stated.or(campaign.total_budget_micros).filter(|budget| *budget > 0);
    if budget.is_none() && !invalid.fields.iter().any(|field| field.field.starts_with("total_budget")) {
        invalid.add("total_budget", "state a budget above 0: the campaign has none");
    }
    if currency.is_none() && invalid.fields.is_empty() {
        invalid.add("total_budget", "state the budget with its currency: the campaign has none");
    }
    invalid.into_result()?;
    let constraints = Constraints {
        min_roas: limits.min_roas,
        max_cpa_micros,
        max_share_per_arm: limits.max_share_per_arm,
        excluded_placements: limits.excluded_placements.iter().cloned().collect(),
        ..Constraints::default()
    };
    let constraints_shown = json!({
        "min_roas": limits.min_roas,
        "max_cpa": max_cpa_micros.map(domain::money::format_micros),
        "max_share_per_arm": limits.max_share_per_arm,
        "excluded_placements": limits.excluded_placements,
    });
    let (budget_micros, currency) = (budget.unwrap_or_default(), currency.unwrap_or_default());
    Ok(Wish { candidates, budget_micros, currency, horizon_days, constraints, constraints_shown })
}

fn refuse(error: ProposalError) -> Problem {
    match error {
        ProposalError::Invalid { field, message } => Problem::invalid_field(field.replace("max_cpa_micros", "max_cpa"), message),
        ProposalError::NoEvidence => Problem::invalid_field(
            "campaign_id",
            "has no week with both spend and revenue in its placements; import or post performance rows with spend and revenue first",
        ),
        ProposalError::Infeasible { conflict } => {
            Problem::new("infeasible", format!("No plan can keep all constraints: {}.", conflict.join("; ")))
                .with_extra("conflict", conflict)
        }
    }
}

/// The context in which plans are scored and judged: nothing of where a plan came from.
fn context(campaign: &Campaign, wish: &Wish) -> Value {
    json!({
        "objective": campaign.objective,
        "budget": domain::money::format_micros(wish.budget_micros),
        "currency": wish.currency,
        "horizon_days": wish.horizon_days,
        "constraints": wish.constraints_shown,
        "retailer_id": campaign.retailer_id,
        "campaign_name": campaign.name,
    })
}

/// Asks the active reward model; when the backend does not answer, nobody is preferred and the answer says why.
async fn score(state: &State, campaign: &Campaign, context: &Value, forms: &[Value], checks: &[Vec<Check>]) -> ScoreResponse {
    if forms.len() < peers::score::MIN_CANDIDATES {
        return ScoreResponse::without_model(forms.len(), "there is only one plan");
    }
    let result = |candidate: usize, check: &Check| CheckResult {
        check: check.check.clone(),
        candidate,
        passed: check.passed,
        message: check.message.clone(),
        place: Some(check.place.clone()),
        version: CHECK_VERSION,
    };
    let request = ScoreRequest {
        task_type: TaskType::PlanQuality,
        retailer_id: Some(campaign.retailer_id.clone()),
        tenant_id: Some(campaign.tenant_id.clone()),
        context: context.clone(),
        candidates: forms.to_vec(),
        checks: checks.iter().enumerate().map(|(at, list)| list.iter().map(|check| result(at, check)).collect()).collect(),
    };
    match state.rlhf_backend.score(&request_context(), &request).await {
        Ok(response) if response.scores.len() == forms.len() && response.win_probabilities.len() == forms.len() => response,
        Ok(_) => ScoreResponse::without_model(forms.len(), "the RLHF backend answered for another number of plans"),
        Err(error) => {
            tracing::warn!(%error, "plans are compared without a reward model");
            ScoreResponse::without_model(forms.len(), error.to_string())
        }
    }
}

/// Id and trace of the present request, for peers.
#[must_use]
pub fn request_context() -> RequestContext {
    match web::request::current() {
        Some(current) => RequestContext { request_id: current.id, traceparent: Some(current.traceparent) },
        None => RequestContext::for_background_work(),
    }
}

/// Proposes plans for a campaign, checks and scores them, and decides: the clear winner is chosen; a close call becomes a rating task
/// of the two best (at once, or as soon as the rater app answers).
#[utoipa::path(post, path = "/v1/campaigns/{campaign_id}/plans", tag = "plans", params(("campaign_id" = String, Path)), request_body = PlansBody,
    responses((status = 201, body = Object, description = "`{plan_set_id, campaign_id, decision, plans, reflection_log_ids}`"), (status = 422, description = "Missing data, or constraints that cannot hold together")))]
pub async fn create_plans(
    state: Data<State>,
    caller: Caller,
    key: RepeatKey,
    id: Path<String>,
    body: JsonBytes<PlansBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let request = key.of(&caller, &body.bytes);
    if let Some(answer) = repeat::kept(&state.storage.scoped(&caller.scope()), request.as_ref()).await? {
        return Ok(answer.response());
    }
    let (scope, campaign_id) = (caller.scope(), id.into_inner());
    let reader = scope.clone();
    let campaign = state.storage.scoped(&reader).read(move |conn| campaigns::find(conn, &reader, &campaign_id)).await?;
    let wish = check(&body.value, &campaign)?;
    let (reader, about, currency) = (scope.clone(), campaign.clone(), wish.currency.clone());
    let history = state.storage.scoped(&reader).read(move |conn| history::gather(conn, &reader, &about, &currency)).await?;
    if history.arms.is_empty() {
        return Err(refuse(ProposalError::NoEvidence));
    }
    let input = PlanningInput {
        arms: history.arms,
        budget_micros: wish.budget_micros,
        currency: wish.currency.clone(),
        horizon_days: wish.horizon_days,
        period_days: history::PERIOD_DAYS,
        constraints: wish.constraints.clone(),
        learning_share: 0.15,
    };
    let n = wish.candidates;
    let plans: Vec<CandidatePlan> = state.solve(&scope, move || propose(&input, n)).await?.map_err(refuse)?;
    let checks: Vec<Vec<Check>> = plans.iter().map(|plan| verification::verify(plan, wish.budget_micros, &wish.constraints)).collect();
    let forms: Vec<Value> = plans.iter().map(judged_form::of).collect();
    let context = context(&campaign, &wish);
    let scores = score(&state, &campaign, &context, &forms, &checks).await;
    let decision = Decision::make(&plans, &scores, body.value.ask_people, state.settings.rating.close_call_margin);
    let proposal = Proposal { campaign, plans, checks, forms, context, scores, decision, history: history.source, seed: body.value.seed };
    let set = proposal.prepare();
    let now = state.clock.now();
    let kept = set.clone();
    let answer = state
        .storage
        .scoped(&scope)
        .transaction(move |conn| {
            repeat::once(conn, request.as_ref(), now, |conn| Ok(Answer::created(record::store(conn, &scope, &kept, now)?)))
        })
        .await?;
    // The task is in the outbox; delivering it now only spares the wait for the next round of the job.
    let is_delivered = set.task.is_some() && jobs::deliver(&state).await.is_ok_and(|delivered| delivered.contains(&set.plan_set_id));
    Ok(if is_delivered { Answer { body: record::asked(answer.body), ..answer } } else { answer }.response())
}

/// Plan sets of a campaign, newest first, each with its plans.
#[utoipa::path(get, path = "/v1/campaigns/{campaign_id}/plans", tag = "plans", params(("campaign_id" = String, Path), web::paging::Page), responses((status = 200, body = Object, description = "`{data:[{plan_set_id, plans}], next_cursor}`")))]
pub async fn list_plans(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
    query: ListQuery<NoFilter>,
) -> Result<Json<Slice<Value>>, Problem> {
    let (scope, page) = (caller.scope(), Page::try_from(&query.page)?);
    let slice = state
        .storage
        .scoped(&scope)
        .read(move |conn| {
            let campaign = campaigns::find(conn, &scope, &id)?;
            stored::list_sets(conn, &scope, campaign.id, &page)
        })
        .await?;
    Ok(Json(Slice::from(slice).map(|plans| {
        let set = plans.first().map(|plan| plan.plan_set_id.clone());
        let created_at = plans.first().map(|plan| plan.created_at);
        json!({"plan_set_id": set, "created_at": created_at, "plans": plans.iter().map(document::show).collect::<Vec<_>>()})
    })))
}

/// A person decides for a plan. 409 when the set is decided for another one.
#[utoipa::path(post, path = "/v1/campaigns/{campaign_id}/plans/{plan_id}/choose", tag = "plans", params(("campaign_id" = String, Path), ("plan_id" = String, Path)), request_body = ChoiceBody, responses((status = 200, body = Object, description = "The plans of the set"), (status = 409, description = "Decided already")))]
pub async fn choose_plan(
    state: Data<State>,
    caller: Caller,
    path: Path<(String, String)>,
    body: JsonBody<ChoiceBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let mut invalid = Invalid::default();
    check_text(&mut invalid, "reason", &body.0.reason, 2_000);
    invalid.into_result()?;
    let ((campaign_id, plan_id), scope, now) = (path.into_inner(), caller.scope(), state.clock.now());
    let reason = body.0.reason;
    let plans = state
        .storage
        .scoped(&scope)
        .transaction(move |conn| {
            let campaign = campaigns::find(conn, &scope, &campaign_id)?;
            let plan = stored::find(conn, &scope, campaign.id, &plan_id)?;
            let choice = Choice { plan_id: Some(&plan_id), reason: &reason, decided_by: scope.actor() };
            record::choose(conn, &scope, &campaign, &plan.plan_set_id, &choice, None, now)
        })
        .await?;
    let set = plans.first().map(|plan| plan.plan_set_id.clone());
    Ok(HttpResponse::Ok().json(json!({"plan_set_id": set, "plans": plans.iter().map(document::show).collect::<Vec<_>>()})))
}
