//! What the other services ask on the private listener: scores, and that a task was decided.

use actix_web::web::{Data, Json};
use domain::scope::Scope;
use peers::judgments::{JudgmentsAccepted, JudgmentsReady};
use peers::score::{ScoreRequest, ScoreResponse};
use serde_json::json;
use storage::idempotency::{self, IdempotentRequest};
use storage::outbox::{self, Destination, NewEvent};
use storage::training_data::judged;
use web::access::hash_key;
use web::json::JsonBody;
use web::problem::Problem;

use crate::scoring;
use crate::state::State;
use crate::watch;

/// Scores for another service.
pub async fn score(state: Data<State>, body: JsonBody<ScoreRequest>) -> Result<Json<ScoreResponse>, Problem> {
    Ok(Json(scoring::score(&state, &body.0).await?))
}

/// Takes the news that a task was decided, once per event.
pub async fn take_judgments(state: Data<State>, body: JsonBody<JudgmentsReady>) -> Result<Json<JudgmentsAccepted>, Problem> {
    let ready = body.0;
    domain::id::check("event_id", &ready.event_id)?;
    let now = state.clock.now();
    let said = watch::predict(&state, &ready.task_id).await?;
    let recorded = said.clone();
    let accepted = state
        .storage
        .transaction(move |conn| {
            // The id alone makes an event: a repeat with other words is still a repeat.
            let request = IdempotentRequest {
                caller: "internal judgments-ready".to_owned(),
                key: ready.event_id.clone(),
                body_hash: hash_key(&ready.event_id),
                tenant: None,
            };
            let mut accepted = JudgmentsAccepted { event_id: ready.event_id.clone(), duplicate: false };
            if idempotency::find(conn, &request)?.is_some() {
                accepted.duplicate = true;
                return Ok(accepted);
            }
            watch::record(conn, &ready.task_id, &recorded, now)?;
            let pairs = judged::count_decided(conn, &Scope::system("judgments-ready"), ready.task_type.as_ref())?;
            let event = NewEvent {
                destination: Destination::Realtime,
                topic: "jobs".to_owned(),
                event: "training_data_ready".to_owned(),
                payload: json!({ "task_type": ready.task_type, "task_id": ready.task_id, "judgments": ready.judgments, "decided_tasks": pairs }),
                tenant_id: ready.tenant_id.clone(),
            };
            outbox::push(conn, &event, now)?;
            idempotency::record(conn, &request, 200, &json!(accepted), now)?;
            Ok(accepted)
        })
        .await?;
    watch::touch(&state, &said);
    Ok(Json(accepted))
}
