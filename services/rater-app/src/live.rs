//! Realtime: who may hear what, the pump that carries committed events from the outbox to open sockets, and what crosses between processes.

pub mod bridge;
pub mod crossing;
pub mod ears;
pub mod ended;
pub mod listeners;
pub mod messenger;
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
use domain::time::Clock;
use realtime::authority::{Grant, Identity};
use realtime::outgoing::{ChangeType, Outgoing, Topic};
use serde_json::Value;
use storage::access_ends;
use storage::changes;
use storage::error::StorageError;
use storage::outbox::{self, OutboxEvent};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use web::access::hash_key;
use web::caller::identify_credential;

use crate::state::State;
use ears::Ears;
use listeners::identity_of;
use reader::Reader;

/// Events asked for at once.
const BATCH: i64 = 1_000;
/// How long commits are gathered before they are read.
const GATHER: Duration = Duration::from_millis(20);
/// The database is asked so many times less often while announcements come.
const RELAXED: u32 = 5;
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

    /// Forgets keys that were given so.
    pub fn forget(&self, is_over: impl Fn(&Grant) -> bool) {
        self.lock().retain(|_, (identity, _)| !is_over(&identity.grant));
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
    if let (Some(state), Some(credential)) = (&state, &credential) {
        let tokens = state.access.tokens();
        tokens.prepare(credential).await;
        if let Some(token) = bearer_of(&request).filter(|token| token != credential) {
            tokens.prepare(&token).await;
        }
        if state.access.is_publishable(credential) {
            // Who comes with it says who they are when they join, where nobody waits.
            tokens.warm().await;
        }
    }
    if let (Some(state), Some(key)) = (state, credential)
        && key.split('.').count() != 3
        && !state.access.is_publishable(&key)
        && state.known_keys.find(&key).is_none()
    {
        match identify_credential(&state.access, &key).await {
            Ok(caller) => {
                let grant = Grant { account: caller.account_id, session: None, issued_at: None };
                state.known_keys.remember(&key, identity_of(grant, caller.rater_id, caller.role, caller.tenant, None));
            }
            Err(problem) => tracing::debug!(code = problem.code(), "an API key of a realtime request is not good"),
        }
    }
    next.call(request).await
}

/// Starts what sockets need: the pump, the messenger between processes, the bridge to a hosted project.
#[must_use]
pub fn start(state: &State, shutdown: &CancellationToken) -> Vec<JoinHandle<()>> {
    let ears = Ears::open(state.storage.clone(), shutdown.clone());
    let mut tasks = bridge::start(state, shutdown);
    tasks.push(tokio::spawn(pump(state.clone(), Arc::clone(&ears), shutdown.clone())));
    tasks.push(tokio::spawn(crossing::carry_always(state.clone(), ears, shutdown.clone())));
    tasks
}

/// Carries events from the outbox to sockets until `shutdown`: soon after a commit of this process or an announcement of another one, else at
/// the poll interval. Commits that come close together are read together.
async fn pump(state: State, ears: Arc<Ears>, shutdown: CancellationToken) {
    let mut reader = None;
    let mut told_leaderboard = None;
    let mut standing = None;
    let mut is_asked_for = true;
    loop {
        match read(&state, &mut reader).await {
            Ok(events) => {
                if !is_asked_for && !events.is_empty() {
                    ears.doubt();
                }
                let about_judgments = |event: &&OutboxEvent| event.topic.starts_with("rater:") && event.event.starts_with("judgment_");
                standing = events.iter().rev().find(about_judgments).map(|event| event.payload.0.clone()).or(standing);
                events.into_iter().flat_map(outgoing).flat_map(in_both_rooms).for_each(|message| state.hub.publish(message));
            }
            Err(error) => tracing::warn!(%error, "realtime events could not be read; trying again"),
        }
        if told_leaderboard.is_none_or(|at: Instant| at.elapsed() >= LEADERBOARD_EVERY)
            && let Some(judgment) = standing.take()
        {
            in_both_rooms(leaderboard_changed(&judgment)).into_iter().for_each(|message| state.hub.publish(message));
            told_leaderboard = Some(Instant::now());
        }
        let poll = state.settings.realtime_poll;
        let pause = match &standing {
            // What the board waits for is told although nothing else happens.
            Some(_) => poll.min(LEADERBOARD_EVERY),
            None if ears.are_useful() => poll * RELAXED,
            None => poll,
        };
        is_asked_for = tokio::select! {
            () = shutdown.cancelled() => return,
            () = async { state.committed.notified().await; tokio::time::sleep(GATHER).await } => true,
            () = ears.hear() => true,
            () = tokio::time::sleep(pause) => false,
        };
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

/// New events. The first time what is in the outbox already is only remembered, so that whoever was connected to a former process can ask for what
/// it missed.
async fn read(state: &State, reader: &mut Option<Reader>) -> Result<Vec<OutboxEvent>, StorageError> {
    let Some(reader) = reader else {
        let newest = state.storage.read(outbox::newest).await?;
        let from = (newest - BATCH).max(0);
        let former = state.storage.read(move |conn| outbox::after(conn, from, &[], BATCH)).await?;
        let begun = Reader::begin(&state.storage, newest).await?;
        // What ends from now on is behind the place where the reader begins.
        ended::recall(state).await?;
        *reader = Some(begun);
        // What was cleared away is not remembered: whoever asks for it is told to read the data again.
        state.hub.remember_from(from.max(former.first().map_or(0, |first| first.id - 1)));
        let former = former.into_iter().filter(|event| event.id <= newest).flat_map(outgoing).flat_map(in_both_rooms);
        former.for_each(|message| state.hub.remember(message));
        return Ok(Vec::new());
    };
    let events = reader.look(&state.storage, BATCH).await?;
    events.iter().for_each(|event| reader.carried(event.id));
    // Not `any`: each is noted.
    if events.iter().filter(|event| state.ended.note(event)).count() > 0 {
        ended::close_sockets(state);
    }
    Ok(events)
}

/// A broadcast on the event's topic (and on the tenant's own, when it has one), and a change when it is about a row.
pub(crate) fn outgoing(event: OutboxEvent) -> Vec<Outgoing> {
    let mut messages = Vec::new();
    // For the processes, and no client's business.
    if event.topic == access_ends::TOPIC {
        return messages;
    }
    if event.topic != changes::TOPIC {
        let broadcast = |topic: String| Outgoing::Broadcast {
            topic: Topic::public(topic),
            event: event.event.clone(),
            payload: event.payload.0.clone(),
            sequence: Some(event.id),
        };
        messages.push(broadcast(event.topic.clone()));
        if let Some(tenant) = &event.tenant_id {
            messages.push(broadcast(format!("{}:{tenant}", event.topic)));
        }
    }
    messages.extend(change(event));
    messages
}

/// Told in the private room of the same name as well, to the same people: the stock clients ask for what they missed in private rooms only.
fn in_both_rooms(message: Outgoing) -> Vec<Outgoing> {
    let mut messages = vec![message];
    if let [Outgoing::Broadcast { topic, event, payload, sequence }] = messages.as_slice() {
        let (topic, event, payload) = (Topic::private(topic.name.clone()), event.clone(), payload.clone());
        let twin = Outgoing::Broadcast { topic, event, payload, sequence: *sequence };
        messages.push(twin);
    }
    messages
}

/// The row that an event is about: the payload's, or the payload itself where it is what is told of the row.
fn change(event: OutboxEvent) -> Option<Outgoing> {
    let mut payload = event.payload.0;
    let mut part = |name: &str| payload.get_mut(name).map(Value::take).filter(|value| !value.is_null());
    let (table, change_type, record, old_record) = match event.event.as_str() {
        // The row is gone; what was told of it says which.
        "judgment_withdrawn" => ("judgments".to_owned(), ChangeType::Delete, None, Some(payload)),
        "row_changed" => {
            let change_type = if part("type")? == "UPDATE" { ChangeType::Update } else { ChangeType::Insert };
            (part("table")?.as_str()?.to_owned(), change_type, Some(part("record")?), part("old_record"))
        }
        "import_progressed" | "import_finished" => ("imports".to_owned(), ChangeType::Update, Some(payload), None),
        "job_progressed" => ("jobs".to_owned(), ChangeType::Update, Some(payload), None),
        "judgment_recorded" => ("judgments".to_owned(), ChangeType::Insert, Some(payload), None),
        _ => return None,
    };
    Some(Outgoing::Change {
        schema: "public".to_owned(),
        table,
        change_type,
        record,
        old_record,
        commit_timestamp: event.created_at.0.to_rfc3339_opts(SecondsFormat::Millis, true),
        tenant: event.tenant_id,
        sequence: Some(event.id),
    })
}

fn credential_of(request: &ServiceRequest) -> Option<String> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty());
    let query =
        || form_urlencoded::parse(request.query_string().as_bytes()).find(|(name, _)| name == "apikey").map(|(_, key)| key.into_owned());
    header("x-api-key").or_else(|| header("apikey")).map(str::to_owned).or_else(query).or_else(|| bearer_of(request))
}

fn bearer_of(request: &ServiceRequest) -> Option<String> {
    let text = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    text.split_once(' ').map(|(_, token)| token.trim().to_owned())
}
