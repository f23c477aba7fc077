//! Feedback comes in, one by one or in batches.

pub mod asking;
pub mod reading;
pub mod rules;
pub mod taking;

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::Data;
use chrono::{DateTime, Utc};
use domain::feedback::FeedbackType;
use domain::invalid::Invalid;
use domain::role::Role;
use domain::scope::Scope;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::feedback::{self as stored, Feedback, NewFeedback};
use storage::outbox::{self, Destination, NewEvent};
use web::caller::{Caller, Credential};
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::JsonBytes;
use web::privacy::{screen_document, screen_text};
use web::problem::Problem;
use web::settings::PiiRule;

use crate::state::State;

/// Most pieces of feedback in one batch.
pub const MAX_BATCH: usize = 500;

/// Longest text accepted, in bytes.
const MAX_TEXT_BYTES: usize = 200_000;

/// Largest metadata accepted, in bytes of JSON.
const MAX_METADATA_BYTES: usize = 16_384;

/// One piece of feedback on a model output.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackBody {
    /// The brand it is about; may be left out by callers who belong to a tenant.
    pub brand_id: Option<String>,
    /// Who gave it; the caller when absent. Only API keys may name somebody else.
    pub user_id: Option<String>,
    /// Kind of output, such as `plan_quality`; at most 40 characters.
    pub task_type: String,
    /// What the model was asked.
    pub prompt: String,
    /// What the model answered; may be left out for a preference, which holds both texts.
    pub model_output: Option<String>,
    /// The kind of feedback.
    pub feedback_type: FeedbackType,
    /// 1 to 5, for ratings only.
    pub rating: Option<i32>,
    /// The better text of a preference, or the corrected text.
    pub preferred_output: Option<String>,
    /// The worse text of a preference.
    pub rejected_output: Option<String>,
    /// Anything else worth keeping: an object.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Value>,
    /// The caller's session.
    pub session_id: Option<String>,
}

/// Several pieces of feedback, stored all or none.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackBatch {
    /// 1 to 500 pieces.
    pub items: Vec<FeedbackBody>,
}

/// Stores one piece of feedback.
#[utoipa::path(post, path = "/v1/feedback", tag = "feedback", request_body = FeedbackBody, params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, description = "The stored row", body = crate::rows::FeedbackRow), (status = 422, description = "Fields that are wrong")))]
pub async fn create_feedback(
    state: Data<State>,
    caller: Caller,
    key: RepeatKey,
    body: JsonBytes<FeedbackBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let new = screened(check(&body.value, &caller, "")?, state.settings.pii, "")?;
    let request = key.of(&caller, &body.bytes);
    let (scope, now) = (caller.scope(), state.clock.now());
    let answer = repeat::create(&state.storage.scoped(&scope), request, now, move |conn| {
        let rows = store(conn, &scope, vec![new.clone()], |_| "brand_id".to_owned(), now)?;
        rows.first()
            .map(|row| Answer::created(json!(row)))
            .ok_or_else(|| StorageError::Corrupt("the stored feedback was not found again".to_owned()))
    })
    .await?;
    state.feedback_came.notify_one();
    Ok(answer)
}

/// Stores up to 500 pieces of feedback, all or none; every item that is wrong is named.
#[utoipa::path(post, path = "/v1/feedback/batch", tag = "feedback", request_body = FeedbackBatch, params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, description = "The stored rows in the order given: `{data, count}`", body = Object), (status = 422, description = "Fields that are wrong, as `items[3].rating`")))]
pub async fn create_feedback_batch(
    state: Data<State>,
    caller: Caller,
    key: RepeatKey,
    body: JsonBytes<FeedbackBatch>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let items = &body.value.items;
    if items.is_empty() || items.len() > MAX_BATCH {
        return Err(Problem::invalid_field("items", format!("must hold 1 to {MAX_BATCH} pieces of feedback, not {}", items.len())));
    }
    let mut invalid = Invalid::default();
    let checked: Vec<Option<NewFeedback>> = items
        .iter()
        .enumerate()
        .map(|(i, item)| {
            let prefix = format!("items[{i}].");
            invalid.merge(check(item, &caller, &prefix).and_then(|new| screened(new, state.settings.pii, &prefix)))
        })
        .collect();
    invalid.into_result()?;
    let new: Vec<NewFeedback> = checked.into_iter().flatten().collect();
    let request = key.of(&caller, &body.bytes);
    let (scope, now) = (caller.scope(), state.clock.now());
    let answer = repeat::create(&state.storage.scoped(&scope), request, now, move |conn| {
        let rows = store(conn, &scope, new.clone(), |i| format!("items[{i}].brand_id"), now)?;
        Ok(Answer::created(json!({ "count": rows.len(), "data": rows })))
    })
    .await?;
    state.feedback_came.notify_one();
    Ok(answer)
}

/// Who may read feedback, statistics, exports and model cards.
#[must_use]
pub fn may_read(role: Role) -> bool {
    role.may_plan() || role.may_review()
}

fn check(body: &FeedbackBody, caller: &Caller, prefix: &str) -> Result<NewFeedback, Invalid> {
    let mut invalid = Invalid::default();
    let field = |name: &str| format!("{prefix}{name}");
    if let Err(found) =
        domain::feedback::check(body.feedback_type, body.rating, body.preferred_output.as_deref(), body.rejected_output.as_deref())
    {
        found.fields.into_iter().for_each(|error| invalid.add(field(&error.field), error.message));
    }
    invalid.merge(domain::id::check(&field("task_type"), &body.task_type));
    if body.task_type.len() > 40 {
        invalid.add(field("task_type"), "must be at most 40 characters");
    }
    for (name, id) in [("brand_id", &body.brand_id), ("session_id", &body.session_id), ("user_id", &body.user_id)] {
        if let Some(id) = id {
            invalid.merge(domain::id::check(&field(name), id));
        }
    }
    if body.user_id.as_ref().is_some_and(|user| *user != caller.account_id) && caller.credential != Credential::Key {
        invalid.add(field("user_id"), "only an API key may give feedback in the name of somebody else; leave this out");
    }
    if body.brand_id.is_none() && caller.tenant.is_none() {
        invalid.add(field("brand_id"), "is required, because this account belongs to no tenant");
    }
    if body.prompt.trim().is_empty() {
        invalid.add(field("prompt"), "must not be empty");
    }
    let output = match (&body.model_output, body.feedback_type) {
        (Some(text), _) if !text.trim().is_empty() => text.clone(),
        (None, FeedbackType::Preference) => body.preferred_output.clone().unwrap_or_default(),
        _ => {
            invalid.add(field("model_output"), "must hold the text that is judged");
            String::new()
        }
    };
    if body.feedback_type == FeedbackType::Correction && body.preferred_output.as_deref().map(str::trim) == Some(output.trim()) {
        invalid.add(field("preferred_output"), "is the same text as model_output; a correction changes something");
    }
    let texts = [
        ("prompt", Some(&body.prompt)),
        ("model_output", Some(&output)),
        ("preferred_output", body.preferred_output.as_ref()),
        ("rejected_output", body.rejected_output.as_ref()),
    ];
    for (name, text) in texts {
        if text.is_some_and(|text| text.len() > MAX_TEXT_BYTES) {
            invalid.add(field(name), format!("must be at most {MAX_TEXT_BYTES} bytes"));
        }
        if text.is_some_and(|text| text.contains('\0')) {
            invalid.add(field(name), "must not hold the character U+0000");
        }
    }
    match &body.metadata {
        Some(metadata) if !metadata.is_object() => invalid.add(field("metadata"), "must be an object"),
        Some(metadata) if metadata.to_string().len() > MAX_METADATA_BYTES => {
            invalid.add(field("metadata"), format!("must be at most {MAX_METADATA_BYTES} bytes of JSON"));
        }
        Some(metadata) if metadata.to_string().contains("\\u0000") => {
            invalid.add(field("metadata"), "must not hold the character U+0000");
        }
        _ => {}
    }
    invalid.into_result()?;
    Ok(NewFeedback {
        tenant_id: caller.tenant.clone().unwrap_or_default(),
        brand_id: body.brand_id.clone(),
        user_id: body.user_id.clone().unwrap_or_else(|| caller.account_id.clone()),
        task_type: body.task_type.clone(),
        prompt: body.prompt.clone(),
        model_output: output,
        feedback_type: body.feedback_type.to_string(),
        rating: body.rating,
        preferred_output: body.preferred_output.clone(),
        rejected_output: body.rejected_output.clone(),
        metadata: body.metadata.clone().unwrap_or_else(|| json!({})).into(),
        session_id: body.session_id.clone(),
    })
}

/// Feedback without personal data, or a refusal: what is said here is judged, trained on and exported later.
fn screened(mut new: NewFeedback, pii: PiiRule, prefix: &str) -> Result<NewFeedback, Invalid> {
    let mut invalid = Invalid::default();
    let texts = [
        ("prompt", Some(&mut new.prompt)),
        ("model_output", Some(&mut new.model_output)),
        ("preferred_output", new.preferred_output.as_mut()),
        ("rejected_output", new.rejected_output.as_mut()),
    ];
    for (field, text) in texts {
        if let Some(text) = text {
            invalid.merge(screen_text(pii, &format!("{prefix}{field}"), text));
        }
    }
    invalid.merge(screen_document(pii, &format!("{prefix}metadata"), &mut new.metadata.0));
    invalid.into_result()?;
    Ok(new)
}

/// Takes the tenant from each row's brand, stores the rows, and tells who listens.
fn store(
    conn: &mut Connection,
    scope: &Scope,
    mut new: Vec<NewFeedback>,
    field: impl Fn(usize) -> String,
    now: DateTime<Utc>,
) -> Result<Vec<Feedback>, StorageError> {
    let brands: Vec<String> = new.iter().filter_map(|row| row.brand_id.clone()).collect();
    let tenants = stored::tenants_of(conn, scope, &brands)?;
    let mut invalid = Invalid::default();
    for (i, row) in new.iter_mut().enumerate() {
        if let Some(brand) = &row.brand_id {
            match tenants.get(brand) {
                Some(tenant) => row.tenant_id.clone_from(tenant),
                None => invalid.add(field(i), format!("there is no brand {brand:?} that you may see")),
            }
        }
    }
    invalid.into_result()?;
    let rows = stored::insert(conn, scope, &new, now)?;
    stored::tasks::enter(conn, &rows, now)?;
    let mut counts: BTreeMap<(&str, Option<&str>), usize> = BTreeMap::new();
    for row in &rows {
        *counts.entry((&row.tenant_id, row.brand_id.as_deref())).or_default() += 1;
    }
    for ((tenant, brand), count) in counts {
        let event = NewEvent {
            destination: Destination::Realtime,
            topic: "feedback".to_owned(),
            event: "feedback_received".to_owned(),
            payload: json!({ "brand_id": brand, "count": count }),
            tenant_id: Some(tenant.to_owned()),
        };
        outbox::push(conn, &event, now)?;
    }
    Ok(rows)
}
