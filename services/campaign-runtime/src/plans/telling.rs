//! What a decision leaves behind: the allocation kept with the campaign, the log, and the event for those who listen.

use chrono::{DateTime, Utc};
use domain::campaign::PlanStatus;
use domain::scope::Scope;
use serde_json::{Value, json};
use storage::audit::{self, NewEntry};
use storage::campaigns::history::{Action, Change};
use storage::campaigns::{self, Campaign};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::outbox::{self, Destination, NewEvent};
use storage::plans::{Choice, Plan};
use storage::reflections::{self, NewReflectionLog};

use super::study;

/// Keeps the allocation of the chosen plan with the campaign, writes the log and tells who listens.
///
/// # Errors
/// [`StorageError::Conflict`] when the campaign is over; else as any query.
pub fn announce(
    conn: &mut Connection,
    scope: &Scope,
    campaign: &Campaign,
    plans: &[Plan],
    choice: &Choice<'_>,
    log: &NewReflectionLog,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    if let Some(plan) = plans.iter().find(|plan| plan.status == PlanStatus::Chosen.as_ref()) {
        let lines = plan.plan.pointer("/judged_form/lines").cloned().unwrap_or(Value::Null);
        let allocation = json!({"plan_id": plan.plan_id, "currency": plan.currency, "lines": lines});
        // Held, and looked at again: the clock may have ended it.
        study::refuse_over(&campaigns::locked(conn, scope, campaign.id)?)?;
        let change = Change::of(Action::Allocate).because(Some(choice.reason));
        campaigns::allocate(conn, scope, campaign.id, allocation.into(), &change, now)?;
    }
    tell(conn, scope, campaign, choice.plan_id, log, now)
}

/// Writes the log of a decision and tells who listens.
///
/// # Errors
/// As any query.
pub fn tell(
    conn: &mut Connection,
    scope: &Scope,
    campaign: &Campaign,
    plan_id: Option<&str>,
    log: &NewReflectionLog,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let log_scope = Scope::system("plans").narrowed_to(&campaign.tenant_id);
    reflections::insert(conn, &log_scope, log, now)?;
    let event = NewEvent {
        destination: Destination::Realtime,
        topic: "campaigns".to_owned(),
        event: "plan_decided".to_owned(),
        payload: json!({"campaign_id": campaign.campaign_id, "plan_set_id": log.session_id, "plan_id": plan_id}),
        tenant_id: Some(campaign.tenant_id.clone()),
    };
    outbox::push(conn, &event, now)?;
    let entry = NewEntry {
        tenant_id: Some(campaign.tenant_id.clone()),
        action: "plan.decided",
        subject: format!("plan_set:{}", log.session_id),
        detail: json!({"campaign_id": campaign.campaign_id, "plan_id": plan_id, "log_id": log.log_id, "why": log.decision_rationale}),
    };
    audit::append(conn, scope, &entry, now).map(drop)
}
