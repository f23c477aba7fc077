//! Plans: several ways to spend a budget are proposed, checked and scored; a clear winner is chosen, a close call goes to people.

pub mod decision;
pub mod document;
pub mod feedback;
pub mod history;
pub mod judged_form;
pub mod limits;
pub mod overruling;
pub mod present;
pub mod record;
pub mod stock;
pub mod study;
pub mod telling;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use domain::invalid::Invalid;
use domain::role::Role;
use domain::scope::Scope;
use domain::task::TaskType;
use peers::context::RequestContext;
use peers::score::{ScoreRequest, ScoreResponse};
use peers::tasks::CheckResult;
use planning::proposal::plan::CandidatePlan;
use planning::proposal::verification::{self, Check};
use planning::proposal::{PlanningInput, ProposalError, propose};
use serde::Deserialize;
use serde_json::{Value, json};
use storage::brands;
use storage::campaigns::{self, Campaign};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::page::Page;
use storage::plans as stored;
use storage::plans::Choice;
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::{JsonBody, JsonBytes};
use web::paging::{ListQuery, NoFilter, Slice};
use web::problem::Problem;

use crate::input::{MoneyInput, check_text};
use crate::jobs;
use crate::state::State;

use decision::{AskPeople, Decision};
use limits::{ConstraintsBody, Limits};
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
    /// Limits that every plan must keep; when absent the campaign's own, and the brand's `min_roas` and `max_cpa` where it has none.
    pub constraints: Option<ConstraintsBody>,
    /// When people are asked; on close calls when absent.
    #[serde(default)]
    pub ask_people: AskPeople,
    /// Where draws of response curves begin (balanced and exploring plans): equal requests with equal seeds give equal plans. When
    /// absent one is drawn; the answer and the reflection log name it.
    pub seed: Option<i64>,
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
    total_micros: i64,
    budget_micros: i64,
    currency: String,
    horizon_days: u32,
    limits: Limits,
    seed: i64,
}

fn check(body: &PlansBody, campaign: &Campaign, brand: &Value) -> Result<Wish, Invalid> {
    let mut invalid = Invalid::default();
    let candidates = body.candidates.unwrap_or(3);
    if !(2..=6).contains(&candidates) {
        invalid.add("candidates", format!("must be 2 to 6, not {candidates}"));
    }
    let horizon_days = body.horizon_days.unwrap_or(28);
    if !(1..=366).contains(&horizon_days) {
        invalid.add("horizon_days", format!("must be 1 to 366, not {horizon_days}"));
    }
    let (chosen, sources) = limits::choose(&mut invalid, body.constraints.as_ref(), campaign, brand);
    let (limits, stated) = limits::read(&mut invalid, chosen, sources, campaign, body.total_budget.as_ref());
    let budget = stated.or(campaign.total_budget_micros).filter(|budget| *budget > 0);
    if budget.is_none() && !invalid.fields.iter().any(|field| field.field.starts_with("total_budget")) {
        invalid.add("total_budget", "state a budget above 0: the campaign has none");
    }
    if limits.currency.is_none() && invalid.fields.is_empty() {
        invalid.add("total_budget", "state the budget with its currency: the campaign has none");
    }
    invalid.into_result()?;
    let total_micros = budget.unwrap_or_default();
    // Rounded up to a micro, so that the reserve is never short.
    let reserve = ((limits.reserve_share * total_micros as f64).ceil() as i64).clamp(0, total_micros - 1);
    let currency = limits.currency.clone().unwrap_or_default();
    let seed = body.seed.unwrap_or_else(random_seed);
    Ok(Wish { candidates, total_micros, budget_micros: total_micros - reserve, currency, horizon_days, limits, seed })
}

impl Wish {
    /// What was planned for, beside the plans.
    fn shown(&self) -> Value {
        let money = |micros: i64| json!(domain::money::Money::from_micros(micros, &self.currency));
        json!({
            "total_budget": money(self.total_micros),
            "experiment_reserve": money(self.total_micros - self.budget_micros),
            "seed": self.seed,
            "constraints": self.limits.shown,
            "constraint_sources": self.limits.sources,
        })
    }
}

/// A seed that nobody chose: eight bytes of a new random id.
fn random_seed() -> i64 {
    use std::hash::{BuildHasher as _, RandomState};
    // Kept exact in JSON numbers of every client.
    (RandomState::new().hash_one(domain::id::new("seed")) >> 12).cast_signed()
}

fn brand_limits(conn: &mut Connection, scope: &Scope, brand_id: &str) -> Result<Value, StorageError> {
    match brands::find(conn, scope, brand_id) {
        Ok(brand) => Ok(brand.budget_constraints.0),
        // A brand of another tenant has nothing to say here.
        Err(StorageError::NotFound { .. }) => Ok(Value::Null),
        Err(error) => Err(error),
    }
}

fn refuse(error: ProposalError) -> Problem {
    match error {
        ProposalError::Invalid { field, message } => {
            Problem::invalid_field(field.replace("max_cpa_micros", "max_cpa").replace("budget_micros", "total_budget"), message)
        }
        ProposalError::NoEvidence => Problem::invalid_field(
            "campaign_id",
            "has no week with both spend and revenue in its placements; import or post performance rows with spend and revenue first",
        ),
        ProposalError::Infeasible { conflict, relaxation, unproven } => {
            let kind = |is_smallest: bool| if is_smallest { "The smallest" } else { "A" };
            let way = relaxation.first().map_or_else(String::new, |way| format!(" {} way out: {}.", kind(way.is_smallest), way.text));
            Problem::new("infeasible", format!("No plan can keep all constraints: {}.{way}", conflict.join("; ")))
                .with_extra("conflict", conflict)
                .with_extra("relaxation", json!(relaxation))
                .with_extra("unproven", unproven)
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
        "constraints": wish.limits.shown,
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
        checked_by: peers::tasks::IN_PROCESS.to_owned(),
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

/// Proposes plans for a campaign, checks and scores them, and decides: the clear winner is chosen and becomes the campaign's allocation; a
/// close call becomes a rating task of the two best (at once, or as soon as the rater app answers). For a campaign that is completed or
/// archived plans are for study: the best is `recommended`, nothing is chosen (`is_applied` is false), also not by people's judgments, and
/// the campaign stays as it is.
#[utoipa::path(post, path = "/v1/campaigns/{campaign_id}/plans", tag = "plans", params(("Idempotency-Key" = Option<String>, Header), ("campaign_id" = String, Path)), request_body = PlansBody,
    responses((status = 201, body = Object, description = "`{plan_set_id, campaign_id, request, decision, plans, reflection_log_ids}`"), (status = 409, description = "`stale`: the campaign ended meanwhile"), (status = 422, description = "Missing data, or constraints that cannot hold together")))]
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
    let (reader, brand_id) = (scope.clone(), campaign.brand_id.clone());
    let brand = match brand_id {
        Some(brand_id) => state.storage.scoped(&scope).read(move |conn| brand_limits(conn, &reader, &brand_id)).await?,
        None => Value::Null,
    };
    let wish = check(&body.value, &campaign, &brand)?;
    let (reader, about, asked) = (scope.clone(), campaign.clone(), wish.clone());
    let (history, decided, calibrations) = state
        .storage
        .scoped(&scope)
        .read(move |conn| {
            let history = history::gather(conn, &reader, &about, &asked.currency, &asked.limits.excluded_skus)?;
            let calibrations = history::calibrations(conn, &reader, &about, &asked.currency, &history.arms)?;
            Ok((history, present::decided(conn, &reader, &about, &asked.currency)?, calibrations))
        })
        .await?;
    if history.arms.is_empty() {
        return Err(refuse(ProposalError::NoEvidence));
    }
    let present = present::scaled(decided, &history.arms, wish.budget_micros, wish.limits.constraints.step_micros);
    let input = PlanningInput {
        arms: history.arms,
        budget_micros: wish.budget_micros,
        currency: wish.currency.clone(),
        horizon_days: wish.horizon_days,
        period_days: history::PERIOD_DAYS,
        constraints: wish.limits.constraints.clone(),
        learning_share: 0.15,
        seed: wish.seed.cast_unsigned(),
        present,
        calibrations,
        unavailable: history.unavailable,
    };
    let n = wish.candidates;
    let plans: Vec<CandidatePlan> = state.solve(&scope, move || propose(&input, n)).await?.map_err(refuse)?;
    let checks: Vec<Vec<Check>> =
        plans.iter().map(|plan| verification::verify(plan, wish.budget_micros, &wish.limits.constraints)).collect();
    let forms: Vec<Value> = plans.iter().map(judged_form::of).collect();
    let context = context(&campaign, &wish);
    let scores = score(&state, &campaign, &context, &forms, &checks).await;
    let over = study::over(&campaign);
    let decision = Decision::make(&plans, &scores, body.value.ask_people, state.settings.rating.close_call_margin, over.as_deref());
    let proposal = Proposal {
        campaign,
        plans,
        checks,
        forms,
        context,
        scores,
        decision,
        history: history.source,
        left_out_before: history.left_out_before,
        seed: wish.seed,
        request: wish.shown(),
    };
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

/// A person decides for a plan, also after software or people decided otherwise: the reason is kept in the reflection log and the
/// history of the campaign. Deciding again for the same plan changes nothing. 409 when it makes no sense: the campaign is completed or
/// archived (its plans are for study), or a newer plan set of the campaign was decided (choose there).
#[utoipa::path(post, path = "/v1/campaigns/{campaign_id}/plans/{plan_id}/choose", tag = "plans", params(("campaign_id" = String, Path), ("plan_id" = String, Path)), request_body = ChoiceBody, responses((status = 200, body = Object, description = "The plans of the set"), (status = 409, description = "The campaign is over, or a newer set was decided")))]
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
            overruling::choose(conn, &scope, &campaign, &plan, &choice, now)
        })
        .await?;
    let set = plans.first().map(|plan| plan.plan_set_id.clone());
    Ok(HttpResponse::Ok().json(json!({"plan_set_id": set, "plans": plans.iter().map(document::show).collect::<Vec<_>>()})))
}
