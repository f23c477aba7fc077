//! Realtime: who may hear what, and the pump that carries committed events from the outbox to open sockets.

pub mod bridge;
pub mod reader;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::web::Data;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use domain::role::Role;
use domain::time::Clock;
use realtime::authority::{Authority, Identity, Refusal};
use realtime::outgoing::{ChangeType, Outgoing, Topic};
use serde_json::Value;
use storage::error::StorageError;
use storage::outbox::{self, OutboxEvent};
use tokio_util::sync::CancellationToken;
use web::access::{Access, hash_key};
use web::caller::identify_credential;
use web::token::TokenError;

use crate::state::State;
use reader::Reader;

/// Events asked for at once.
const BATCH: i64 = 1_000;
/// How long commits are gathered before they are read.
const GATHER: Duration = Duration::from_millis(20);
/// The leaderboard's news comes at most this often.
const LEADERBOARD_EVERY: Duration = Duration::from_millis(500);
/// How long a key that was looked up counts without asking again.
const KEY_LIFE: TimeDelta = TimeDelta::minutes(5);
/// Most keys remembered; when they are full, all are looked up again.
const MAX_KEYS: usize = 10_000;

/// API keys that were looked up for sockets: the hub asks without waiting, so the answer is fetched before it asks.
#[derive(Clone)]
pub struct KnownKeys {
    keys: Arc<Mutex<Identities>>,
    clock: Clock,
}

/// By hash of the key: whose it is, and until when that counts.
type Identities = HashMap<String, (Identity, DateTime<Utc>)>;

impl KnownKeys {
    /// None known.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { keys: Arc::default(), clock }
    }

    fn find(&self, key: &str) -> Option<Identity> {
        let now = self.clock.now();
        self.lock().get(&hash_key(key)).filter(|(_, until)| *until > now).map(|(identity, _)| identity.clone())
    }

    fn remember(&self, key: &str, identity: Identity) {
        let until = self.clock.now() + KEY_LIFE;
        let mut keys = self.lock();
        if keys.len() >= MAX_KEYS {
            keys.clear();
        }
        keys.insert(hash_key(key), (identity, until));
    }

    fn lock(&self) -> MutexGuard<'_, Identities> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks up the API key of a realtime request before the hub is asked about it. A key that is not good is left to the hub to refuse.
///
/// # Errors
/// What the handler answers.
pub async fn look_up_key(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let state = request.app_data::<Data<State>>().cloned();
    let credential = credential_of(&request);
    if let (Some(state), Some(token)) = (&state, &credential) {
        state.access.tokens().prepare(token).await;
    }
    if let (Some(state), Some(key)) = (state, credential)
        && key.split('.').count() != 3
        && state.known_keys.find(&key).is_none()
    {
        match identify_credential(&state.access, &key).await {
            Ok(caller) => {
                state.known_keys.remember(&key, identity_of(&caller.account_id, caller.rater_id, caller.role, caller.tenant, None))
            }
            Err(problem) => tracing::debug!(code = problem.code(), "an API key of a realtime request is not good"),
        }
    }
    next.call(request).await
}

/// Who may hear what. A rater's identity carries the rater id as its subject.
pub struct Listeners {
    access: Access,
    known_keys: KnownKeys,
}

impl Listeners {
    /// Over the access of this service.
    #[must_use]
    pub fn new(access: Access, known_keys: KnownKeys) -> Self {
        Self { access, known_keys }
    }
}

impl Authority for Listeners {
    fn authenticate(&self, token: &str) -> Result<Identity, Refusal> {
        if token.split('.').count() != 3 {
            return self.known_keys.find(token).ok_or(Refusal::Malformed);
        }
        let claims = self.access.tokens().verify_access(token).map_err(|error| match error {
            TokenError::Missing => Refusal::KeyMissing,
            TokenError::Malformed => Refusal::Malformed,
            TokenError::Expired => Refusal::Expired { seconds_ago: 0 },
            TokenError::WrongSignature | TokenError::KeysUnavailable => Refusal::Signature,
        })?;
        let account_id = claims.account_id().to_owned();
        let known = claims.app_metadata;
        Ok(identity_of(&account_id, known.rater_id, known.role.unwrap_or(Role::Rater), known.tenant_id, Some(claims.exp)))
    }

    /// `leaderboard` is everybody's; `tasks` belong to those without a tenant, who judge them all; `rater:ID` that rater's; `jobs`, `feedback`, `campaigns` and `imports` belong to those who see
    /// all tenants, and `jobs:TENANT` and so on to those who plan for that tenant.
    fn may_join(&self, identity: &Identity, topic: &str, _private: bool) -> Result<(), Refusal> {
        let role = identity.role.parse::<Role>().unwrap_or(Role::Rater);
        let may = match topic.split_once(':') {
            None => match topic {
                "leaderboard" => true,
                // Tasks of all tenants: for those who judge or see them all.
                "tasks" => identity.tenant.is_none(),
                "jobs" | "feedback" | "campaigns" | "imports" => {
                    (role.may_plan() || role.may_review()) && sees_all(role, identity.tenant.as_deref())
                }
                _ => false,
            },
            Some(("rater", rater_id)) => identity.subject == rater_id,
            Some(("jobs" | "feedback" | "campaigns" | "imports", tenant)) => {
                (role.may_plan() || role.may_review())
                    && (sees_all(role, identity.tenant.as_deref()) || identity.tenant.as_deref() == Some(tenant))
            }
            Some(_) => false,
        };
        if may { Ok(()) } else { Err(Refusal::NotPermitted { topic: topic.to_owned() }) }
    }

    fn may_see(&self, identity: &Identity, _table: &str, tenant: Option<&str>, record: &Value) -> bool {
        let role = identity.role.parse::<Role>().unwrap_or(Role::Rater);
        if role == Role::Rater {
            return record.get("rater_id").and_then(Value::as_str) == Some(identity.subject.as_str());
        }
        sees_all(role, identity.tenant.as_deref()) || (tenant.is_some() && identity.tenant.as_deref() == tenant)
    }

    /// Pages of the three services share the session cookie and listen here.
    fn trusts_page(&self, origin: &str) -> bool {
        !origin.starts_with('/') && self.access.return_address(origin) == origin
    }

    /// Only programs of ours speak in these rooms; people's actions reach them through the database.
    fn may_send(&self, identity: &Identity, _topic: &str, _private: bool) -> bool {
        matches!(identity.role.parse(), Ok(Role::Service | Role::PlatformAdmin)) && identity.tenant.is_none()
    }
}

/// Carries events from the outbox to sockets until `shutdown`: soon after a commit of this process, else at the poll interval. Commits
/// that come close together are read together.
pub async fn pump(state: State, shutdown: CancellationToken) {
    let mut reader = None;
    let mut told_leaderboard = None;
    let mut standing = None;
    loop {
        match read(&state, &mut reader).await {
            Ok(events) => {
                let about_judgments = |event: &&OutboxEvent| event.topic.starts_with("rater:") && event.event.starts_with("judgment_");
                standing = events.iter().rev().find(about_judgments).map(|event| event.payload.0.clone()).or(standing);
                events.into_iter().flat_map(outgoing).for_each(|message| state.hub.publish(message));
            }
            Err(error) => tracing::warn!(%error, "realtime events could not be read; trying again"),
        }
        if told_leaderboard.is_none_or(|at: Instant| at.elapsed() >= LEADERBOARD_EVERY)
            && let Some(judgment) = standing.take()
        {
            state.hub.publish(leaderboard_changed(&judgment));
            told_leaderboard = Some(Instant::now());
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = async { state.committed.notified().await; tokio::time::sleep(GATHER).await } => {}
            () = tokio::time::sleep(state.settings.realtime_poll) => {}
        }
    }
}

/// Made here and not with each judgment: listeners need to know that it is worth looking again, and of whom the news was last.
fn leaderboard_changed(judgment: &Value) -> Outgoing {
    Outgoing::Broadcast {
        topic: Topic::public("leaderboard".to_owned()),
        event: "leaderboard_changed".to_owned(),
        payload: serde_json::json!({"rater_id": judgment.get("rater_id"), "total_judgments": judgment.get("total_judgments")}),
        sequence: None,
    }
}

async fn read(state: &State, reader: &mut Option<Reader>) -> Result<Vec<OutboxEvent>, StorageError> {
    let Some(reader) = reader else {
        let newest = state.storage.read(outbox::newest).await?;
        *reader = Some(Reader::begin(&state.storage, newest).await?);
        return Ok(Vec::new());
    };
    let events = reader.look(&state.storage, BATCH).await?;
    events.iter().for_each(|event| reader.carried(event.id));
    Ok(events)
}

/// A broadcast on the event's topic (and on the tenant's own, when it has one), and a change when the payload is a row's.
pub(crate) fn outgoing(event: OutboxEvent) -> Vec<Outgoing> {
    let payload = event.payload.0;
    let broadcast = |topic: String| Outgoing::Broadcast {
        topic: Topic::public(topic),
        event: event.event.clone(),
        payload: payload.clone(),
        sequence: Some(event.id),
    };
    let mut messages = vec![broadcast(event.topic.clone())];
    if let Some(tenant) = &event.tenant_id {
        messages.push(broadcast(format!("{}:{tenant}", event.topic)));
    }
    if let (Some(table), Some(record)) = (payload.get("table").and_then(Value::as_str), payload.get("record")) {
        let change_type = match payload.get("type").and_then(Value::as_str) {
            Some("UPDATE") => ChangeType::Update,
            Some("DELETE") => ChangeType::Delete,
            _ => ChangeType::Insert,
        };
        messages.push(Outgoing::Change {
            schema: "public".to_owned(),
            table: table.to_owned(),
            change_type,
            record: (change_type != ChangeType::Delete).then(|| record.clone()),
            old_record: payload.get("old_record").cloned().or_else(|| (change_type == ChangeType::Delete).then(|| record.clone())),
            commit_timestamp: event.created_at.0.to_rfc3339_opts(SecondsFormat::Millis, true),
            tenant: event.tenant_id.clone(),
            sequence: Some(event.id),
        });
    }
    messages
}

fn identity_of(account_id: &str, rater_id: Option<String>, role: Role, tenant: Option<String>, expires_at: Option<i64>) -> Identity {
    Identity { subject: rater_id.unwrap_or_else(|| account_id.to_owned()), role: role.as_ref().to_owned(), tenant, expires_at }
}

fn sees_all(role: Role, tenant: Option<&str>) -> bool {
    tenant.is_none() && (role.sees_all_tenants() || role.may_review())
}

fn credential_of(request: &ServiceRequest) -> Option<String> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty());
    let query =
        || form_urlencoded::parse(request.query_string().as_bytes()).find(|(name, _)| name == "apikey").map(|(_, key)| key.into_owned());
    let bearer = || header(AUTHORIZATION.as_str()).and_then(|text| text.split_once(' ')).map(|(_, token)| token.trim().to_owned());
    header("x-api-key").or_else(|| header("apikey")).map(str::to_owned).or_else(query).or_else(bearer)
}
