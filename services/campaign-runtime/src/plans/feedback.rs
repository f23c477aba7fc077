//! What people say about a plan on its page: kept here in the outbox, stored by the RLHF backend, once, also when that is down for a while.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use chrono::{DateTime, Utc};
use domain::feedback::FeedbackType;
use domain::invalid::Invalid;
use domain::role::Role;
use domain::task::TaskType;
use peers::context::RequestContext;
use peers::feedback::{GivenFeedback, plan_output, plan_prompt};
use serde::Deserialize;
use serde_json::json;
use storage::campaigns::{self, Campaign};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::outbox::{self, Destination, NewEvent, OutboxEvent};
use storage::plans::{self as stored, Plan};
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::JsonBytes;
use web::privacy::screen_text;
use web::problem::Problem;

use crate::input::check_text;
use crate::state::State;

/// Topic of the outbox events that hold feedback.
pub const GIVE_FEEDBACK: &str = "give_feedback";

/// Longest comment, in characters.
const MAX_COMMENT: usize = 2_000;

/// Pieces of feedback passed on in one round.
const AT_ONCE: i64 = 20;

/// What somebody says about a plan.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanFeedbackBody {
    /// `thumbs_up`, `thumbs_down` or `rating`; preferences and corrections are given at the RLHF backend.
    pub feedback_type: FeedbackType,
    /// 1 to 5, for ratings only.
    pub rating: Option<i32>,
    /// Why; at most 2,000 characters.
    pub comment: Option<String>,
}

/// Takes feedback on a plan. It is kept at once and reaches the RLHF backend as soon as that answers: `is_delivered` tells whether it has.
#[utoipa::path(post, path = "/v1/campaigns/{campaign_id}/plans/{plan_id}/feedback", tag = "plans", params(("Idempotency-Key" = Option<String>, Header), ("campaign_id" = String, Path), ("plan_id" = String, Path)), request_body = PlanFeedbackBody,
    responses((status = 201, body = Object, description = "`{event_id, plan_id, feedback_type, rating, is_delivered}`"), (status = 404, description = "No such plan"), (status = 422, description = "Fields that are wrong")))]
pub async fn give_plan_feedback(
    state: Data<State>,
    caller: Caller,
    key: RepeatKey,
    ids: Path<(String, String)>,
    body: JsonBytes<PlanFeedbackBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let request = key.of(&caller, &body.bytes);
    let mut said = body.value;
    check(&said)?;
    if let Some(comment) = &mut said.comment {
        screen_text(state.settings.pii, "comment", comment)?;
    }
    let (scope, now, (campaign_id, plan_id)) = (caller.scope(), state.clock.now(), ids.into_inner());
    let user = caller.account_id.clone();
    let storage = state.storage.scoped(&scope);
    let make = move |conn: &mut Connection| {
        let campaign = campaigns::find(conn, &scope, &campaign_id)?;
        let plan = stored::find(conn, &scope, campaign.id, &plan_id)?;
        let given = given(&campaign, &plan, &said, &user, now);
        let payload = serde_json::to_value(&given).map_err(|error| StorageError::Corrupt(error.to_string()))?;
        let event = NewEvent {
            destination: Destination::RlhfBackend,
            topic: GIVE_FEEDBACK.to_owned(),
            event: GIVE_FEEDBACK.to_owned(),
            payload,
            tenant_id: Some(campaign.tenant_id.clone()),
        };
        outbox::push(conn, &event, now)?;
        Ok(Answer::created(json!({
            "event_id": given.event_id, "plan_id": plan.plan_id, "feedback_type": said.feedback_type, "rating": said.rating, "is_delivered": false,
        })))
    };
    let mut answer = storage.transaction(move |conn| repeat::once(conn, request.as_ref(), now, &make)).await?;
    // It is in the outbox; passing it on now only spares the wait for the next round of the job.
    let passed_on = deliver(&state).await.unwrap_or_default();
    if passed_on.iter().any(|event_id| answer.body["event_id"] == json!(event_id)) {
        answer.body["is_delivered"] = json!(true);
    }
    Ok(answer.response())
}

fn check(said: &PlanFeedbackBody) -> Result<(), Invalid> {
    let mut invalid = Invalid::default();
    if matches!(said.feedback_type, FeedbackType::Preference | FeedbackType::Correction) {
        invalid
            .add("feedback_type", "must be thumbs_up, thumbs_down or rating here; a preference or correction is given at the RLHF backend");
    } else if let Err(found) = domain::feedback::check(said.feedback_type, said.rating, None, None) {
        invalid.fields.extend(found.fields);
    }
    if let Some(comment) = &said.comment {
        check_text(&mut invalid, "comment", comment, MAX_COMMENT);
    }
    invalid.into_result()
}

fn given(campaign: &Campaign, plan: &Plan, said: &PlanFeedbackBody, user: &str, now: DateTime<Utc>) -> GivenFeedback {
    let objective = campaign.objective.as_deref();
    GivenFeedback {
        event_id: domain::id::new("evt"),
        tenant_id: campaign.tenant_id.clone(),
        brand_id: campaign.brand_id.clone(),
        user_id: user.to_owned(),
        task_type: TaskType::PlanQuality.to_string(),
        prompt: plan_prompt(&campaign.name, objective, plan.budget_micros, &plan.currency, plan.horizon_days),
        model_output: plan_output(&plan.plan),
        feedback_type: said.feedback_type,
        rating: said.rating,
        metadata: json!({
            "from": "plan page", "campaign_id": campaign.campaign_id, "plan_id": plan.plan_id, "plan_set_id": plan.plan_set_id,
            "comment": said.comment,
        }),
        session_id: Some(plan.plan_set_id.clone()),
        given_at: now,
    }
}

/// Passes on feedback that is due; ids of what the RLHF backend has now. When it does not answer, the round ends and the rest waits; what it
/// refuses for good is logged and not sent again.
///
/// # Errors
/// When the outbox cannot be read or written.
pub async fn deliver(state: &State) -> Result<Vec<String>, StorageError> {
    let now = state.clock.now();
    let due = state.storage.read(move |conn| outbox::due_on(conn, Destination::RlhfBackend, GIVE_FEEDBACK, now, AT_ONCE)).await?;
    let mut passed_on = Vec::new();
    for event in due {
        let id = event.id;
        match tell(state, &event).await {
            Told::Taken => {
                state.storage.transaction(move |conn| outbox::delivered(conn, id, now)).await?;
                passed_on.extend(event.payload.0["event_id"].as_str().map(str::to_owned));
            }
            Told::Refused(reason) => {
                tracing::error!(event_id = %event.event_id, %reason, "feedback was refused and is not sent again");
                state.storage.transaction(move |conn| outbox::delivered(conn, id, now)).await?;
            }
            Told::Later(reason) => {
                tracing::warn!(event_id = %event.event_id, %reason, "feedback stays in the outbox");
                state.storage.transaction(move |conn| outbox::failed(conn, &event, &reason, now)).await?;
                break;
            }
        }
    }
    Ok(passed_on)
}

enum Told {
    Taken,
    Refused(String),
    Later(String),
}

async fn tell(state: &State, event: &OutboxEvent) -> Told {
    let given: GivenFeedback = match serde_json::from_value(event.payload.0.clone()) {
        Ok(given) => given,
        Err(error) => return Told::Refused(format!("it cannot be read: {error}")),
    };
    match state.rlhf_backend.give_feedback(&RequestContext::for_background_work(), &given).await {
        Ok(_) => Told::Taken,
        Err(error) if error.may_succeed_later() => Told::Later(error.to_string()),
        Err(error) => Told::Refused(error.to_string()),
    }
}
