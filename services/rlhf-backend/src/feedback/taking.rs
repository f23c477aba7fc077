//! Takes feedback that people gave on a page of another service, once per event.

use actix_web::web::{Data, Json};
use chrono::{DateTime, Utc};
use domain::invalid::Invalid;
use domain::scope::Scope;
use peers::feedback::{FeedbackTaken, GivenFeedback};
use serde_json::json;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::feedback::{NewFeedback, tenants_of};
use storage::idempotency::{self, IdempotentRequest};
use web::access::hash_key;
use web::json::JsonBody;
use web::problem::Problem;

use super::{screened, store};
use crate::state::State;

/// Stores it for its tenant, and for its brand when that is the tenant's.
pub async fn take_feedback(state: Data<State>, body: JsonBody<GivenFeedback>) -> Result<Json<FeedbackTaken>, Problem> {
    let given = body.0;
    let new = screened(check(&given)?, state.settings.pii, "")?;
    let now = state.clock.now();
    let taken = state.storage.transaction(move |conn| once(conn, &given, &new, now)).await?;
    state.feedback_came.notify_one();
    Ok(Json(taken))
}

fn check(given: &GivenFeedback) -> Result<NewFeedback, Invalid> {
    let mut invalid = Invalid::default();
    if let Err(found) = domain::feedback::check(given.feedback_type, given.rating, None, None) {
        invalid.fields.extend(found.fields);
    }
    let ids =
        [("event_id", &given.event_id), ("tenant_id", &given.tenant_id), ("user_id", &given.user_id), ("task_type", &given.task_type)];
    for (field, id) in ids {
        invalid.merge(domain::id::check(field, id));
    }
    for (field, text) in [("prompt", &given.prompt), ("model_output", &given.model_output)] {
        if text.trim().is_empty() {
            invalid.add(field, "must not be empty");
        }
    }
    invalid.into_result()?;
    Ok(NewFeedback {
        tenant_id: given.tenant_id.clone(),
        brand_id: given.brand_id.clone(),
        user_id: given.user_id.clone(),
        task_type: given.task_type.clone(),
        prompt: given.prompt.clone(),
        model_output: given.model_output.clone(),
        feedback_type: given.feedback_type.to_string(),
        rating: given.rating,
        preferred_output: None,
        rejected_output: None,
        metadata: given.metadata.clone().into(),
        session_id: given.session_id.clone(),
    })
}

fn once(conn: &mut Connection, given: &GivenFeedback, new: &NewFeedback, now: DateTime<Utc>) -> Result<FeedbackTaken, StorageError> {
    // The id alone makes an event: a repeat with other words is still a repeat.
    let request = IdempotentRequest {
        caller: "internal feedback".to_owned(),
        key: given.event_id.clone(),
        body_hash: hash_key(&given.event_id),
        tenant: None,
    };
    if let Some(kept) = idempotency::find(conn, &request)? {
        let taken: FeedbackTaken = serde_json::from_value(kept.response.0).map_err(|error| StorageError::Corrupt(error.to_string()))?;
        return Ok(FeedbackTaken { duplicate: true, ..taken });
    }
    let scope = Scope::system("feedback").narrowed_to(&given.tenant_id);
    let mut new = new.clone();
    // A brand that is not (or no more) the tenant's must not lose what somebody said.
    let brands: Vec<String> = new.brand_id.iter().cloned().collect();
    if tenants_of(conn, &scope, &brands)?.is_empty() {
        new.brand_id = None;
    }
    let rows = store(conn, &scope, vec![new], |_| "brand_id".to_owned(), now)?;
    let row = rows.first().ok_or_else(|| StorageError::Corrupt("the stored feedback was not found again".to_owned()))?;
    let taken = FeedbackTaken { event_id: given.event_id.clone(), feedback_id: row.feedback_id.clone(), duplicate: false };
    idempotency::record(conn, &request, 200, &json!(taken), now)?;
    Ok(taken)
}
