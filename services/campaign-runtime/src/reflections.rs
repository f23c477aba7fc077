//! Reflection logs: why software decided as it did. Plans write their own; other programs may write theirs.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use chrono::{DateTime, Utc};
use domain::invalid::Invalid;
use domain::role::Role;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use storage::campaigns;
use storage::page::Page;
use storage::reflections::{self as stored, NewReflectionLog, ReflectionFilter, ReflectionLog};
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::JsonBytes;
use web::paging::{ListQuery, Slice};
use web::problem::Problem;

use crate::input::{check_text, id_or_new};
use crate::state::State;

/// When in the work the log was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Looking at the alternatives.
    Reflection,
    /// Deciding.
    Decision,
    /// Doing it.
    Execution,
}

impl Phase {
    fn word(self) -> &'static str {
        match self {
            Self::Reflection => "reflection",
            Self::Decision => "decision",
            Self::Execution => "execution",
        }
    }
}

/// A log as it is written.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReflectionBody {
    /// Public id; made up when absent.
    pub log_id: Option<String>,
    /// What belongs together, such as a plan set.
    pub session_id: String,
    /// The campaign it is about.
    pub campaign_id: Option<String>,
    /// What was decided, such as `plan_quality`.
    pub task_type: String,
    /// When in the work.
    pub phase: Phase,
    /// What was looked at.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub memory_references: Vec<Value>,
    /// The alternatives considered.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub alternate_frames: Vec<Value>,
    /// What may go wrong.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub risk_factors: Vec<Value>,
    /// What is done about it.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub mitigation_strategies: Vec<Value>,
    /// How sure, 0 to 1.
    pub confidence_value: Option<f64>,
    /// Where that figure comes from.
    pub confidence_rationale: Option<String>,
    /// From which confidence the software decides alone.
    pub decision_threshold: Option<f64>,
    /// What was done against bias.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub bias_checkpoint: Map<String, Value>,
    /// What was decided.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub decision: Map<String, Value>,
    /// Why, in words.
    pub decision_rationale: String,
}

/// Filters of the list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReflectionQuery {
    /// Only those of a session.
    pub session_id: Option<String>,
    /// Only those about a campaign.
    pub campaign_id: Option<String>,
    /// Only those about a kind of task.
    pub task_type: Option<String>,
    /// Only those of a phase.
    pub phase: Option<Phase>,
    /// Only those whose reasons or session hold this text; letter case does not matter.
    pub search: Option<String>,
    /// Only those written at this instant or later.
    #[serde(default, deserialize_with = "domain::day::read_instant")]
    pub from: Option<DateTime<Utc>>,
    /// Only those written before this instant.
    #[serde(default, deserialize_with = "domain::day::read_instant")]
    pub to: Option<DateTime<Utc>>,
}

fn check(body: ReflectionBody, caller: &Caller) -> Result<NewReflectionLog, Invalid> {
    let mut invalid = Invalid::default();
    let log_id = id_or_new(&mut invalid, "log_id", body.log_id, "rfl");
    invalid.merge(domain::id::check("session_id", &body.session_id));
    check_text(&mut invalid, "task_type", &body.task_type, 40);
    check_text(&mut invalid, "decision_rationale", &body.decision_rationale, 20_000);
    for (field, share) in [("confidence_value", body.confidence_value), ("decision_threshold", body.decision_threshold)] {
        if share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            invalid.add(field, "must be from 0 to 1");
        }
    }
    invalid.into_result()?;
    Ok(NewReflectionLog {
        log_id,
        tenant_id: caller.tenant.clone(),
        campaign: None,
        session_id: body.session_id,
        task_type: body.task_type,
        phase: body.phase.word().to_owned(),
        memory_references: json!(body.memory_references).into(),
        alternate_frames: json!(body.alternate_frames).into(),
        risk_factors: json!(body.risk_factors).into(),
        mitigation_strategies: json!(body.mitigation_strategies).into(),
        confidence_value: body.confidence_value,
        confidence_rationale: body.confidence_rationale,
        decision_threshold: body.decision_threshold,
        bias_checkpoint: Value::Object(body.bias_checkpoint).into(),
        decision: Value::Object(body.decision).into(),
        decision_rationale: body.decision_rationale,
    })
}

/// Writes a log; it is never changed afterwards.
#[utoipa::path(post, path = "/v1/reflection-logs", tag = "plans", params(("Idempotency-Key" = Option<String>, Header)), request_body = ReflectionBody, responses((status = 201, body = crate::rows::ReflectionRow, description = "The stored row")))]
pub async fn create_reflection_log(
    state: Data<State>,
    caller: Caller,
    key: RepeatKey,
    body: JsonBytes<ReflectionBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let request = key.of(&caller, &body.bytes);
    let campaign_id = body.value.campaign_id.clone();
    let (scope, now, new) = (caller.scope(), state.clock.now(), check(body.value, &caller)?);
    repeat::create(&state.storage.scoped(&scope), request, now, move |conn| {
        let mut new = new.clone();
        if let Some(campaign_id) = &campaign_id {
            let campaign = campaigns::find(conn, &scope, campaign_id)?;
            new.campaign = Some(campaign.id);
            new.tenant_id = Some(campaign.tenant_id);
        }
        Ok(Answer::created(json!(stored::insert(conn, &scope, &new, now)?)))
    })
    .await
}

/// Logs, newest first.
#[utoipa::path(get, path = "/v1/reflection-logs", tag = "plans", params(ReflectionQuery, web::paging::Page), responses((status = 200, body = web::paging::Slice<crate::rows::ReflectionRow>, description = "`{data, next_cursor}`")))]
pub async fn list_reflection_logs(
    state: Data<State>,
    caller: Caller,
    query: ListQuery<ReflectionQuery>,
) -> Result<Json<Slice<Value>>, Problem> {
    let (scope, page, wanted) = (caller.scope(), Page::try_from(&query.page)?, query.filter.clone());
    let slice = state
        .storage
        .scoped(&scope)
        .read(move |conn| {
            let campaign = match &wanted.campaign_id {
                Some(campaign_id) => Some(campaigns::find(conn, &scope, campaign_id)?.id),
                None => None,
            };
            let filter = ReflectionFilter {
                session_id: wanted.session_id.clone(),
                campaign,
                task_type: wanted.task_type.clone(),
                phase: wanted.phase.map(|phase| phase.word().to_owned()),
                search: wanted.search.clone(),
                from: wanted.from,
                to: wanted.to,
            };
            stored::list(conn, &scope, &filter, &page)
        })
        .await?;
    Ok(Json(Slice::from(slice).map(|row| json!(row))))
}

/// One log.
#[utoipa::path(get, path = "/v1/reflection-logs/{log_id}", tag = "plans", params(("log_id" = String, Path)), responses((status = 200, body = crate::rows::ReflectionRow, description = "The row")))]
pub async fn get_reflection_log(state: Data<State>, caller: Caller, id: Path<String>) -> Result<Json<ReflectionLog>, Problem> {
    let scope = caller.scope();
    Ok(Json(state.storage.scoped(&scope).read(move |conn| stored::find(conn, &scope, &id)).await?))
}
