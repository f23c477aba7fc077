//! Writes a plan set: plans, reflection logs and events in one transaction.

use chrono::{DateTime, NaiveDate, Utc};
use domain::campaign::PlanStatus;
use domain::scope::Scope;
use domain::task::TaskType;
use peers::score::ScoreResponse;
use peers::tasks::NewTask;
use planning::proposal::plan::CandidatePlan;
use planning::proposal::verification::Check;
use serde_json::{Value, json};
use storage::campaigns::{self, Campaign};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::outbox::{self, Destination, NewEvent};
use storage::plans::{self as stored, Choice, NewPlan, Plan};
use storage::reflections::{self, NewReflectionLog};

use super::decision::Decision;
use super::document::{show, write};
use super::history::Source;
use super::study;
use super::telling::announce;

/// A plan waits for the answer, so it is judged before tasks that nobody waits for.
const PRIORITY: i32 = 80;

/// Topic of the outbox events that create rating tasks.
pub const CREATE_TASK: &str = "create_task";

/// All that was found out about a request.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// For which campaign.
    pub campaign: Campaign,
    /// The plans.
    pub plans: Vec<CandidatePlan>,
    /// Checks of each plan.
    pub checks: Vec<Vec<Check>>,
    /// Judged form of each plan.
    pub forms: Vec<Value>,
    /// The context in which they are scored and judged.
    pub context: Value,
    /// What the reward model says.
    pub scores: ScoreResponse,
    /// What is decided.
    pub decision: Decision,
    /// Where the history came from.
    pub history: Source,
    /// The Monday before which history was left out.
    pub left_out_before: Option<NaiveDate>,
    /// Where draws of curves began.
    pub seed: i64,
    /// What was planned for, as it is shown.
    pub request: Value,
}

/// A plan set that is ready to be stored: ids are fixed, so that storing can be run again.
#[derive(Debug, Clone)]
pub struct PlanSet {
    /// Public id.
    pub plan_set_id: String,
    /// The rating task, when people decide.
    pub task: Option<NewTask>,
    plan_ids: Vec<String>,
    log_ids: [String; 2],
    proposal: Proposal,
}

impl Proposal {
    /// Gives ids to the set, its plans, its logs and its task.
    #[must_use]
    pub fn prepare(self) -> PlanSet {
        let plan_set_id = domain::id::new("pls");
        let task = match self.decision.second {
            Some(second) if self.decision.asks_people => self.task(&plan_set_id, second),
            _ => None,
        };
        PlanSet {
            task,
            plan_ids: self.plans.iter().map(|_| domain::id::new("pln")).collect(),
            log_ids: [domain::id::new("rfl"), domain::id::new("rfl")],
            plan_set_id,
            proposal: self,
        }
    }

    fn task(&self, plan_set_id: &str, second: usize) -> Option<NewTask> {
        let (a, b) = in_order(self.decision.best, second);
        Some(NewTask {
            task_id: Some(domain::id::new("tsk")),
            task_type: TaskType::PlanQuality,
            retailer_id: Some(self.campaign.retailer_id.clone()),
            tenant_id: Some(self.campaign.tenant_id.clone()),
            adapter_id: None,
            title: format!("Which plan is better for {}?", self.campaign.name),
            prompt: "Compare the two plans for this campaign. Which one should run, given its objective, budget and constraints?"
                .to_owned(),
            context_snippets: vec![self.context.clone()],
            candidate_a: self.forms.get(a)?.clone(),
            candidate_b: self.forms.get(b)?.clone(),
            candidate_c: None,
            priority: PRIORITY,
            uncertainty_score: self.decision.win_probability.map(|p| (1.0 - (2.0 * p - 1.0).abs()).clamp(0.0, 1.0)),
            required_judgments: None,
            max_judgments: None,
            source: Some(plan_set_id.to_owned()),
        })
    }
}

/// The candidates of a task stand in the order of the plans: the first of the two is `candidate_a`. Raters see an order of their own.
fn in_order(best: usize, second: usize) -> (usize, usize) {
    (best.min(second), best.max(second))
}

/// Stores a set with its logs and events, and chooses when people are not asked and the campaign is not over. The answer of the request.
///
/// # Errors
/// [`StorageError::Conflict`] (`stale`) when the campaign ended since it was read; else as any query.
pub fn store(conn: &mut Connection, scope: &Scope, set: &PlanSet, now: DateTime<Utc>) -> Result<Value, StorageError> {
    let proposal = &set.proposal;
    let (campaign, decision) = (&proposal.campaign, &proposal.decision);
    let present = campaigns::find_by_id(conn, scope, campaign.id)?;
    if study::over(&present).is_some() != decision.is_study {
        return Err(StorageError::conflict("stale", format!("the campaign became {} meanwhile; ask again", present.status)));
    }
    let rows: Vec<NewPlan> = (0..proposal.plans.len()).filter_map(|at| set.row(at)).collect();
    stored::insert_many(conn, &rows, now)?;
    let log_scope = Scope::system("plans").narrowed_to(&campaign.tenant_id);
    reflections::insert(conn, &log_scope, &set.reflection(), now)?;
    let best = set.plan_ids.get(decision.best).map(String::as_str);
    let plans = if let Some(task) = &set.task {
        let payload = serde_json::to_value(task).map_err(|error| StorageError::Corrupt(error.to_string()))?;
        let event = NewEvent {
            destination: Destination::RaterApp,
            topic: CREATE_TASK.to_owned(),
            event: CREATE_TASK.to_owned(),
            payload,
            tenant_id: Some(campaign.tenant_id.clone()),
        };
        outbox::push(conn, &event, now)?;
        reflections::insert(conn, &log_scope, &set.decision_log("queued_for_people"), now)?;
        stored::find_set(conn, scope, &set.plan_set_id)?
    } else if decision.is_study {
        reflections::insert(conn, &log_scope, &set.decision_log(study::RECOMMENDED), now)?;
        stored::set_aside(conn, scope, &set.plan_set_id, &decision.reason, decision.basis.word(), now)?
    } else {
        let choice = Choice { plan_id: best, reason: &decision.reason, decided_by: decision.basis.word() };
        let log = set.decision_log("chosen");
        choose(conn, scope, campaign, &set.plan_set_id, &choice, Some(&log), now)?
    };
    let kind = match (&set.task, decision.is_study) {
        (Some(_), _) => "queued_for_people",
        (None, true) => study::RECOMMENDED,
        (None, false) => "chosen",
    };
    Ok(json!({
        "plan_set_id": set.plan_set_id,
        "campaign_id": campaign.campaign_id,
        "request": proposal.request,
        "decision": set.shown_decision(kind),
        "history": proposal.history.word(),
        "plans": plans.iter().map(show).collect::<Vec<_>>(),
        "reflection_log_ids": set.log_ids,
    }))
}

/// The answer after the task was created.
#[must_use]
pub fn asked(mut answer: Value) -> Value {
    if let Some(kind) = answer.pointer_mut("/decision/kind") {
        *kind = json!("asked_people");
    }
    answer
}

/// Decides a set, keeps the allocation with the campaign, writes the log (a short one when none is given) and tells who listens.
///
/// # Errors
/// [`StorageError::Conflict`] when the set is decided for another plan.
pub fn choose(
    conn: &mut Connection,
    scope: &Scope,
    campaign: &Campaign,
    plan_set_id: &str,
    choice: &Choice<'_>,
    log: Option<&NewReflectionLog>,
    now: DateTime<Utc>,
) -> Result<Vec<Plan>, StorageError> {
    let was_open = stored::find_set(conn, scope, plan_set_id)?.iter().any(|plan| plan.decided_at.is_none());
    let plans = stored::decide(conn, scope, plan_set_id, choice, now)?;
    if !was_open {
        return Ok(plans);
    }
    let short;
    let log = match log {
        Some(log) => log,
        None => {
            let decision = json!({"plan_set_id": plan_set_id, "plan_id": choice.plan_id, "decided_by": choice.decided_by});
            short = NewReflectionLog {
                decision: decision.into(),
                decision_rationale: choice.reason.to_owned(),
                ..blank_log(domain::id::new("rfl"), campaign, plan_set_id, "decision")
            };
            &short
        }
    };
    announce(conn, scope, campaign, &plans, choice, log, now)?;
    Ok(plans)
}

/// A log without findings yet.
#[must_use]
pub fn blank_log(log_id: String, campaign: &Campaign, session_id: &str, phase: &str) -> NewReflectionLog {
    NewReflectionLog {
        log_id,
        tenant_id: Some(campaign.tenant_id.clone()),
        campaign: Some(campaign.id),
        session_id: session_id.to_owned(),
        task_type: TaskType::PlanQuality.to_string(),
        phase: phase.to_owned(),
        memory_references: json!([]).into(),
        alternate_frames: json!([]).into(),
        risk_factors: json!([]).into(),
        mitigation_strategies: json!([]).into(),
        confidence_value: None,
        confidence_rationale: None,
        decision_threshold: None,
        bias_checkpoint: json!({}).into(),
        decision: json!({}).into(),
        decision_rationale: String::new(),
    }
}

impl PlanSet {
    fn row(&self, at: usize) -> Option<NewPlan> {
        let proposal = &self.proposal;
        let (plan, decision) = (proposal.plans.get(at)?, &proposal.decision);
        let in_review = self.task.is_some() && (at == decision.best || Some(at) == decision.second);
        let status = if in_review { PlanStatus::InReview } else { PlanStatus::Candidate };
        let with_model = !proposal.scores.fallback;
        let mut document = write(plan);
        document.insert("judged_form".to_owned(), proposal.forms.get(at)?.clone());
        document.insert("checks".to_owned(), json!(proposal.checks.get(at)?));
        if in_review {
            let is_first = decision.second.is_some_and(|second| at == in_order(decision.best, second).0);
            document.insert("judged_as".to_owned(), json!(if is_first { "candidate_a" } else { "candidate_b" }));
        }
        Some(NewPlan {
            plan_id: self.plan_ids.get(at)?.clone(),
            plan_set_id: self.plan_set_id.clone(),
            campaign: proposal.campaign.id,
            tenant_id: proposal.campaign.tenant_id.clone(),
            status: status.to_string(),
            strategy: plan.strategy.clone(),
            position: i32::try_from(at).ok()?,
            budget_micros: plan.budget_micros,
            currency: plan.currency.clone(),
            horizon_days: i32::try_from(plan.horizon_days).ok()?,
            plan: Value::Object(document).into(),
            score: if with_model { proposal.scores.scores.get(at).copied() } else { None },
            win_probability: decision.each.get(at).copied().flatten(),
            model_id: proposal.scores.model_id.clone().filter(|_| with_model),
        })
    }

    fn reflection(&self) -> NewReflectionLog {
        let proposal = &self.proposal;
        let decision = &proposal.decision;
        let frames: Vec<Value> = proposal
            .plans
            .iter()
            .zip(&self.plan_ids)
            .map(|(plan, id)| {
                json!({
                    "plan_id": id,
                    "strategy": plan.strategy,
                    "rationale": plan.rationale,
                    "expected_roas": plan.expected.roas.value,
                    "concentration": plan.concentration,
                    "uncertainty_share": plan.uncertainty_share,
                    "risk_factors": plan.risk_factors,
                    "binding": plan.binding,
                    "present": plan.present,
                })
            })
            .collect();
        let mitigation =
            if self.task.is_some() { "people compare the two best plans blind" } else { "all checks of the chosen plan are kept with it" };
        NewReflectionLog {
            memory_references: json!([
                {"history": proposal.history.word(), "campaign_id": proposal.campaign.campaign_id},
                {"model_id": proposal.scores.model_id, "model_version": proposal.scores.model_version},
                {"seed": proposal.seed},
            ])
            .into(),
            alternate_frames: json!(frames).into(),
            risk_factors: json!(self.risks()).into(),
            mitigation_strategies: json!([mitigation]).into(),
            bias_checkpoint:
                json!({"judged_form": "without the strategy's name or origin", "order": "each rater sees an order of their own"}).into(),
            decision_rationale: format!("{} plans were compared by {}.", proposal.plans.len(), decision.basis.word()),
            ..self.log(0, "reflection")
        }
    }

    fn decision_log(&self, kind: &str) -> NewReflectionLog {
        NewReflectionLog {
            decision: self.shown_decision(kind).into(),
            decision_rationale: self.proposal.decision.reason.clone(),
            ..self.log(1, "decision")
        }
    }

    fn log(&self, at: usize, phase: &str) -> NewReflectionLog {
        let decision = &self.proposal.decision;
        let id = self.log_ids.get(at).cloned().unwrap_or_else(|| domain::id::new("rfl"));
        let rationale = match decision.win_probability {
            Some(_) => format!("probability that the best plan wins against the second, by {}", decision.basis.word()),
            None => "the two best plans could not be compared".to_owned(),
        };
        NewReflectionLog {
            confidence_value: decision.win_probability,
            confidence_rationale: Some(rationale),
            decision_threshold: Some(decision.threshold),
            ..blank_log(id, &self.proposal.campaign, &self.plan_set_id, phase)
        }
    }

    fn risks(&self) -> Vec<String> {
        let proposal = &self.proposal;
        let Some(best) = proposal.plans.get(proposal.decision.best) else { return Vec::new() };
        let mut risks = best.risk_factors.clone();
        if proposal.history == Source::TenantAtRetailer {
            risks.push("the campaign has no spend of its own; other campaigns of the tenant stand in".to_owned());
        }
        risks.extend(proposal.left_out_before.map(|monday| format!("weeks before {monday} were left out: one plan cannot weigh them all")));
        risks.extend(proposal.scores.fallback_reason.iter().map(|reason| format!("no reward model took part: {reason}")));
        risks
    }

    fn shown_decision(&self, kind: &str) -> Value {
        let (decision, scores) = (&self.proposal.decision, &self.proposal.scores);
        let chosen = if self.task.is_none() { self.plan_ids.get(decision.best) } else { None };
        json!({
            "kind": kind,
            "is_applied": kind == "chosen",
            "plan_id": chosen,
            "task_id": self.task.as_ref().and_then(|task| task.task_id.clone()),
            "reason": decision.reason,
            "close_call": decision.is_close_call,
            "win_probability": decision.win_probability,
            "basis": decision.basis,
            "model_id": scores.model_id,
            "model_version": scores.model_version,
            "fallback_reason": scores.fallback_reason,
        })
    }
}
