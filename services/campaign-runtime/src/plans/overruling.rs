//! A person's choice: the first decision about a set, or one that overrules what software or people decided before.

use chrono::{DateTime, Utc};
use domain::campaign::PlanStatus;
use domain::scope::Scope;
use serde_json::json;
use storage::campaigns::Campaign;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::plans::{self as stored, Choice, Plan};
use storage::reflections::NewReflectionLog;

use super::record::{self, blank_log};
use super::study;
use super::telling::announce;

/// Decides for a plan.
///
/// # Errors
/// [`StorageError::Conflict`] when it makes no sense: the campaign is over, or a newer set of it was decided.
pub fn choose(
    conn: &mut Connection,
    scope: &Scope,
    campaign: &Campaign,
    plan: &Plan,
    choice: &Choice<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Plan>, StorageError> {
    let set = stored::find_set(conn, scope, &plan.plan_set_id)?;
    let is_decided = set.iter().all(|one| one.decided_at.is_some());
    let is_repeated = is_decided && plan.status == PlanStatus::Chosen.as_ref();
    if let Some(why) = study::over(campaign).filter(|_| !is_repeated) {
        return Err(StorageError::conflict("conflict", why));
    }
    if !is_decided || is_repeated {
        return record::choose(conn, scope, campaign, &plan.plan_set_id, choice, None, now);
    }
    let newest = stored::latest(conn, scope, &[campaign.id])?.into_iter().find(|one| one.status == PlanStatus::Chosen.as_ref());
    if let Some(newer) = newest.filter(|newest| newest.plan_set_id != plan.plan_set_id && newest.id > plan.id) {
        let why = format!("plan set {:?} was decided later; choose there, or ask for new plans", newer.plan_set_id);
        return Err(StorageError::conflict("conflict", why));
    }
    let before = set.iter().find(|one| one.status == PlanStatus::Chosen.as_ref());
    let by = set.iter().find_map(|one| one.decided_by.clone());
    let log = NewReflectionLog {
        alternate_frames: json!(
            set.iter().map(|one| json!({"plan_id": one.plan_id, "strategy": one.strategy, "score": one.score})).collect::<Vec<_>>()
        )
        .into(),
        decision: json!({
            "kind": "overruled",
            "plan_set_id": plan.plan_set_id,
            "plan_id": plan.plan_id,
            "decided_by": choice.decided_by,
            "before": {
                "plan_id": before.map(|one| &one.plan_id),
                "decided_by": by,
                "reason": set.iter().find_map(|one| one.choice_reason.clone()),
                "decided_at": set.iter().find_map(|one| one.decided_at),
            },
        })
        .into(),
        decision_rationale: choice.reason.to_owned(),
        ..blank_log(domain::id::new("rfl"), campaign, &plan.plan_set_id, "decision")
    };
    let plans = stored::overrule(conn, scope, &plan.plan_set_id, choice, now)?;
    announce(conn, scope, campaign, &plans, choice, &log, now)?;
    Ok(plans)
}
