//! Reward models: trained by a job, looked at, tried in the shadow, activated when they pass the gate, watched, rolled back when they disappoint.

mod table;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path};
use chrono::{DateTime, Utc};
use domain::role::Role;
use domain::scope::Scope;
use domain::task::TaskType;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::jobs::{self, NewJob};
use storage::outbox::{self, Destination, NewEvent};
use storage::reward_models::{self as stored, RewardModel, RewardModelFilter, history};
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::{JsonBytes, JsonOrNone};
use web::paging::{ListQuery, Slice};
use web::problem::Problem;
use web::tabular::Format;

use crate::feedback::may_read;
use crate::reflection::{self, Switch};
use crate::scoring::active::{look_at, require_usable};
use crate::selection;
use crate::state::State;
use crate::tables;
use crate::training::gate::{failed_gates, failed_in_shadow};
use crate::training::{CardFigures, TrainingInput};
use crate::watch::report::{self, Watch, WatchError};
use crate::watch::shadows::{self, InShadow};
use crate::worker::TRAIN;

/// Longest note or reason, in characters.
const MAX_NOTE: usize = 500;

/// What to train.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainBody {
    /// Kind of task.
    pub task_type: TaskType,
    /// Train for this retailer only; without it the general model.
    pub retailer_id: Option<String>,
    /// The same data and seed give the same model.
    #[serde(default)]
    pub seed: u32,
    /// For the reader of the card.
    pub note: Option<String>,
}

/// How to activate.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivateBody {
    /// Activates a model that does not pass the gate; the reason is kept on its card.
    pub override_reason: Option<String>,
}

/// Filters of the list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RewardModelQuery {
    /// For this kind of task.
    pub task_type: Option<TaskType>,
    /// For this retailer.
    pub retailer_id: Option<String>,
    /// Only active ones (`true`) or only others (`false`).
    pub is_active: Option<bool>,
    /// As a file with all rows: `csv`, `ndjson` or `parquet`; JSON in pages when absent.
    #[param(value_type = Option<String>)]
    pub format: Option<Format>,
}

/// A model's card with the gate's verdict.
#[derive(Debug, Clone, Serialize)]
pub struct Card {
    /// The stored card.
    #[serde(flatten)]
    pub model: RewardModel,
    /// Why it may not be activated; empty when it may. A list tells nothing of what a shadow has shown since; one model's card does.
    pub failed_gates: Vec<String>,
    /// Why this program cannot use it, whatever the gate says; absent when it can. A list tells it of models that were looked at before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unusable: Option<String>,
    /// What it has shown in the shadow so far; only of models that are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<InShadow>,
}

impl Card {
    /// With what the models have shown in the shadow.
    ///
    /// # Errors
    /// As any query.
    pub fn read_all(conn: &mut Connection, models: Vec<RewardModel>) -> Result<Vec<Self>, StorageError> {
        let shadows = shadows::all_in_shadow(conn, &models)?;
        Ok(models.into_iter().zip(shadows).map(|(model, shadow)| Self { shadow, ..Self::from(model) }).collect())
    }

    /// With what this process knows of whether it can be used.
    #[must_use]
    pub fn known_to(self, state: &State) -> Self {
        Self { unusable: state.models.unusable(&self.model.model_id), ..self }
    }
}

impl From<RewardModel> for Card {
    fn from(model: RewardModel) -> Self {
        let failed_gates = match serde_json::from_value::<CardFigures>(model.metrics.0.clone()) {
            Ok(figures) => failed_gates(&figures),
            Err(_) => vec!["its figures were stored by another version and cannot be read; train it again".to_owned()],
        };
        Self { model, failed_gates, unusable: None, shadow: None }
    }
}

/// Queues the training of a reward model.
#[utoipa::path(post, path = "/v1/reward-models/train", tag = "reward models", request_body = TrainBody, params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 202, description = "`{job_id}`; follow it at `/v1/jobs/{job_id}`", body = crate::rows::QueuedRow), (status = 403, description = "Only the platform trains"), (status = 422, description = "Fields that are wrong")))]
pub async fn train_reward_model(
    state: Data<State>,
    caller: Caller,
    key: RepeatKey,
    body: JsonBytes<TrainBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::sees_all_tenants)?;
    let asked = &body.value;
    if asked.note.as_ref().is_some_and(|note| note.chars().count() > MAX_NOTE) {
        return Err(Problem::invalid_field("note", format!("must be at most {MAX_NOTE} characters")));
    }
    if let Some(retailer) = &asked.retailer_id {
        domain::id::check("retailer_id", retailer)?;
    }
    let input = TrainingInput {
        task_type: asked.task_type.to_string(),
        retailer_id: asked.retailer_id.clone(),
        seed: u64::from(asked.seed),
        note: asked.note.clone(),
    };
    let request = key.of(&caller, &body.bytes);
    let (scope, now) = (caller.scope(), state.clock.now());
    let answer = repeat::create(&state.storage.scoped(&scope), request, now, move |conn| {
        if let Some(retailer) = &input.retailer_id {
            stored::require_retailer(conn, retailer)?;
        }
        let job = jobs::enqueue(conn, &scope, &NewJob { kind: TRAIN, tenant_id: None, input: json!(input) }, now)?;
        Ok(Answer { status: StatusCode::ACCEPTED, body: json!({ "job_id": job.job_id }) })
    })
    .await?;
    state.job_queued.notify_one();
    Ok(answer)
}

/// Models, newest first.
#[utoipa::path(get, path = "/v1/reward-models", tag = "reward models", params(RewardModelQuery, web::paging::Page), responses((status = 200, description = "`{data, next_cursor}`", content((Object = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"), (String = "application/vnd.apache.parquet")))))]
pub async fn list_reward_models(state: Data<State>, caller: Caller, query: ListQuery<RewardModelQuery>) -> Result<HttpResponse, Problem> {
    caller.require(may_read)?;
    let filter = RewardModelFilter {
        task_type: query.filter.task_type.map(|word| word.to_string()),
        retailer_id: query.filter.retailer_id.clone(),
        is_active: query.filter.is_active,
        is_at_work: None,
    };
    let storage = state.storage.scoped(&caller.scope());
    let Some(format) = query.filter.format else {
        let page = storage::page::Page::try_from(&query.page)?;
        let read = move |conn: &mut Connection| {
            let slice = stored::list(conn, &filter, &page)?;
            Ok(storage::page::Slice { rows: Card::read_all(conn, slice.rows)?, next: slice.next })
        };
        return Ok(HttpResponse::Ok().json(Slice::from(storage.read(read).await?.map(|card| card.known_to(&state)))));
    };
    let columns = table::columns();
    let shown = columns.clone();
    tables::answer("reward-models", format, columns, move |after| {
        let (storage, filter, shown) = (storage.clone(), filter.clone(), shown.clone());
        async move {
            let page = storage::page::Page { after, limit: tables::ROWS_AT_ONCE };
            let read = move |conn: &mut Connection| {
                let slice = stored::list(conn, &filter, &page)?;
                let rows: Vec<Vec<Value>> = Card::read_all(conn, slice.rows)?.into_iter().map(|card| table::cells(&shown, card)).collect();
                Ok((rows, slice.next))
            };
            Ok(storage.read(read).await?)
        }
    })
    .await
}

/// One model's card.
#[utoipa::path(get, path = "/v1/reward-models/{model_id}", tag = "reward models", params(("model_id" = String, Path)), responses((status = 200, description = "The card", body = Object), (status = 404, description = "No such model")))]
pub async fn get_reward_model(state: Data<State>, caller: Caller, model_id: Path<String>) -> Result<Json<Card>, Problem> {
    caller.require(may_read)?;
    let read = move |conn: &mut Connection| {
        let model = stored::find(conn, &model_id)?;
        Ok((shadows::in_shadow(conn, &model)?, model))
    };
    let (shadow, model) = state.storage.scoped(&caller.scope()).read(read).await?;
    Ok(Json(Card { shadow, ..judged(&state, model).await?.0 }))
}

/// A model's card with all that the gate looks at, whether it can be used, and what is known of it since it works.
///
/// # Errors
/// 503 when the database does not answer.
pub async fn judged(state: &State, model: RewardModel) -> Result<(Card, Watch), Problem> {
    let watch = report::read(&state.storage, &model).await?;
    look_at(state, std::iter::once(model.model_id.clone())).await?;
    let mut card = Card::from(model).known_to(state);
    let shadow = watch.against_active.as_ref();
    card.failed_gates.extend(shadow.and_then(|shadow| failed_in_shadow(&shadow.difference, &shadow.model_id)));
    Ok((card, watch))
}

impl From<WatchError> for Problem {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::Storage(error) => error.into(),
            WatchError::Stopped(error) => Self::internal(error),
        }
    }
}

/// How a model does on what people decided since it works or is in the shadow.
#[utoipa::path(get, path = "/v1/reward-models/{model_id}/watch", tag = "reward models", params(("model_id" = String, Path)),
    responses((status = 200, description = "`{doing, since, card, drift: {verdict, says, ..}, against_active, course}`", body = Object), (status = 404, description = "No such model")))]
pub async fn watch_reward_model(state: Data<State>, caller: Caller, model_id: Path<String>) -> Result<Json<Watch>, Problem> {
    caller.require(may_read)?;
    let model = state.storage.scoped(&caller.scope()).read(move |conn| stored::find(conn, &model_id)).await?;
    Ok(Json(report::read(&state.storage, &model).await?))
}

/// Lets a model predict what people decide from now on, beside the active one; nothing is scored with it. It takes the place of another shadow.
#[utoipa::path(post, path = "/v1/reward-models/{model_id}/shadow", tag = "reward models", params(("model_id" = String, Path)),
    responses((status = 200, description = "The card", body = Object), (status = 404, description = "No such model"), (status = 409, description = "The model is active")))]
pub async fn begin_shadow(state: Data<State>, caller: Caller, model_id: Path<String>) -> Result<Json<Card>, Problem> {
    caller.require(Role::sees_all_tenants)?;
    let now = state.clock.now();
    Ok(Json(state.storage.transaction(move |conn| stored::begin_shadow(conn, &model_id, now)).await?.into()))
}

/// Takes a model out of the shadow.
#[utoipa::path(delete, path = "/v1/reward-models/{model_id}/shadow", tag = "reward models", params(("model_id" = String, Path)),
    responses((status = 200, description = "The card", body = Object), (status = 404, description = "No such model")))]
pub async fn end_shadow(state: Data<State>, caller: Caller, model_id: Path<String>) -> Result<Json<Card>, Problem> {
    caller.require(Role::sees_all_tenants)?;
    let now = state.clock.now();
    Ok(Json(state.storage.transaction(move |conn| stored::end_shadow(conn, &model_id, now)).await?.into()))
}

/// Puts a model to work, if it passes the gate or a reason to override it is given.
#[utoipa::path(post, path = "/v1/reward-models/{model_id}/activate", tag = "reward models", params(("model_id" = String, Path)), request_body = Option<ActivateBody>,
    responses((status = 200, description = "The card of the active model", body = Object), (status = 409, description = "`gate_failed`, with each reason in `reasons`; `model_unusable`")))]
pub async fn activate_reward_model(
    state: Data<State>,
    caller: Caller,
    model_id: Path<String>,
    body: JsonOrNone<ActivateBody>,
) -> Result<Json<Card>, Problem> {
    caller.require(Role::sees_all_tenants)?;
    let reason = body.0.override_reason.as_deref().map(str::trim);
    if reason.is_some_and(|text| text.is_empty() || text.chars().count() > MAX_NOTE) {
        return Err(Problem::invalid_field("override_reason", format!("must be 1 to {MAX_NOTE} characters")));
    }
    let id = model_id.clone();
    let model = state.storage.read(move |conn| stored::find(conn, &id)).await?;
    let (card, _) = judged(&state, model).await?;
    if let Some(why) = &card.unusable {
        return Err(Problem::conflict("model_unusable", format!("Model {} cannot be used: {why}.", card.model.model_id)));
    }
    if !card.failed_gates.is_empty() && reason.is_none() {
        let detail = format!("Model {} does not pass the gate: {}.", card.model.model_id, card.failed_gates.join("; "));
        return Err(Problem::conflict("gate_failed", detail).with_extra("reasons", &card.failed_gates));
    }
    let now = state.clock.now();
    let config = reason.filter(|_| !card.failed_gates.is_empty()).map(|reason| {
        let entry = json!({ "by": caller.account_id, "at": now, "reason": reason, "failed_gates": card.failed_gates });
        with_entry(card.model.config.0.clone(), "overrides", entry)
    });
    let (scope, model_id) = (caller.scope(), card.model.model_id);
    let reason = reason.filter(|_| config.is_some()).map(str::to_owned);
    let model = state
        .storage
        .transaction(move |conn| {
            let how = reason.as_deref().map_or(Switch::Gate, Switch::Override);
            let former = stored::activate(conn, &model_id, stored::Switch::Activation(config.as_ref()), now)?;
            tell_of_switch(conn, &scope, &model_id, former.as_ref(), how, now)
        })
        .await?;
    Ok(Json(model.into()))
}

/// Takes an active model out and puts the one that was active before it back to work; once more goes one further back.
#[utoipa::path(post, path = "/v1/reward-models/{model_id}/rollback", tag = "reward models", params(("model_id" = String, Path)),
    responses((status = 200, description = "The card of the model that is active again", body = Object), (status = 409, description = "The model is not active, or none is older; `model_unusable` when the older one cannot be used")))]
pub async fn rollback_reward_model(state: Data<State>, caller: Caller, model_id: Path<String>) -> Result<Json<Card>, Problem> {
    caller.require(Role::sees_all_tenants)?;
    let id = model_id.into_inner();
    let (scope, now) = (caller.scope(), state.clock.now());
    let model = state
        .storage
        .transaction(move |conn| {
            let (taken_out, model_id) = history::roll_back(conn, &id, now)?;
            require_usable(conn, &model_id)?;
            tell_of_switch(conn, &scope, &model_id, Some(&taken_out), Switch::Rollback, now)
        })
        .await?;
    Ok(Json(model.into()))
}

fn tell_of_switch(
    conn: &mut Connection,
    scope: &Scope,
    model_id: &str,
    former: Option<&RewardModel>,
    how: Switch<'_>,
    now: DateTime<Utc>,
) -> Result<RewardModel, StorageError> {
    let model = stored::find(conn, model_id)?;
    let event = NewEvent {
        destination: Destination::Realtime,
        topic: "jobs".to_owned(),
        event: "model_activated".to_owned(),
        payload: json!({
            "model_id": model.model_id, "task_type": model.task_type, "retailer_id": model.retailer_id, "version": model.version,
            "former_model_id": former.map(|model| &model.model_id), "is_rollback": matches!(how, Switch::Rollback),
        }),
        tenant_id: None,
    };
    outbox::push(conn, &event, now)?;
    // Another model has other doubts.
    selection::enqueue(conn, &Scope::system("model activated"), model.task_type.parse().ok(), now)?;
    reflection::model_switched(conn, scope, &model, former, how, now)?;
    Ok(model)
}

fn with_entry(mut config: Value, list: &str, entry: Value) -> Value {
    if !config[list].is_array() {
        config[list] = json!([]);
    }
    if let Some(entries) = config[list].as_array_mut() {
        entries.push(entry);
    }
    config
}
