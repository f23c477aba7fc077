//! The two ways of the bridge to a hosted Supabase project. Out: committed events of the chosen topics, in the order of the outbox, to the
//! project's channels of the same names, each at least once, whatever drops or dies on the way: how far they were carried is kept in the database.
//! In: what is said in the chosen channels, to local rooms (`realtime::bridge`). Local rooms never wait for either.

use std::time::Duration;

use chrono::TimeDelta;
use metrics::{counter, gauge};
use realtime::bridge::{self, BridgeSettings, Listen, Standing, mark};
use realtime::outgoing::Outgoing;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use storage::bridges;
use storage::error::StorageError;
use storage::outbox::OutboxEvent;
use supabase::broadcast::{BroadcastError, MOST, Message};
use supabase::project::Project;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use web::settings::Settings;

use super::outgoing;
use super::reader::Reader;
use crate::state::State;

/// Name of the bridge in the database.
const BRIDGE: &str = "supabase";
/// How long a process holds the bridge without a word.
const HOLD: TimeDelta = TimeDelta::seconds(15);
/// How often a process that does not hold it asks, and one that has nothing to carry holds it longer.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// Pauses after a failure: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// Events read at once; an event may be two messages, its own topic's and its tenant's.
const BATCH: i64 = (MOST / 2) as i64;

/// Starts both ways, as far as they are configured.
#[must_use]
pub fn start(state: &State, shutdown: &CancellationToken) -> Vec<JoinHandle<()>> {
    let supabase = &state.settings.supabase;
    let (Some(url), Some(key)) = (&supabase.url, &supabase.service_key) else { return Vec::new() };
    if supabase.publish.is_empty() && supabase.listen.is_empty() {
        return Vec::new();
    }
    let anon = supabase.key.clone().unwrap_or_else(|| key.clone());
    let project = match Project::from_settings(url, anon, Some(key.clone()), None) {
        Ok(project) => project,
        Err(invalid) => {
            tracing::error!(%invalid, "the bridge to Supabase is not started; everything else works");
            return Vec::new();
        }
    };
    let mut tasks = Vec::new();
    if !supabase.listen.is_empty() {
        let listen = supabase.listen.iter().map(|(remote, local)| Listen { remote: remote.clone(), local: local.clone() }).collect();
        let settings = BridgeSettings::new(project.socket_url(), key.clone(), listen, origin(&state.settings));
        let (tell, _) = watch::channel(Standing::Connecting);
        tasks.push(tokio::spawn(bridge::listen(settings, state.hub.clone(), tell, shutdown.clone())));
    }
    if !supabase.publish.is_empty() {
        tasks.push(tokio::spawn(carry_always(state.clone(), project, shutdown.clone())));
    }
    tasks
}

/// Names this installation to itself: the same for all its processes, and not to be guessed from outside.
fn origin(settings: &Settings) -> String {
    let digest = Sha256::new().chain_update("bridge").chain_update(settings.service_secret.expose_secret()).finalize();
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Why a round of carrying came to an end.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The project.
    #[error(transparent)]
    Project(#[from] BroadcastError),
}

/// Carries events while this process holds the bridge.
pub struct Carrier {
    state: State,
    project: Project,
    holder: String,
    origin: String,
    reader: Option<Reader>,
}

impl Carrier {
    /// For a project; nothing is held yet.
    #[must_use]
    pub fn new(state: State, project: Project) -> Self {
        let origin = origin(&state.settings);
        Self { state, project, holder: domain::id::new("prc"), origin, reader: None }
    }

    /// Carries what is due; how many events were looked at, and `None` while another process holds the bridge. Events whose messages were not
    /// taken are carried again in the next round.
    ///
    /// # Errors
    /// [`CarryError`].
    pub async fn carry(&mut self) -> Result<Option<usize>, CarryError> {
        let (holder, now) = (self.holder.clone(), self.state.clock.now());
        let taken = self.state.storage.transaction(move |conn| bridges::take(conn, BRIDGE, &holder, HOLD, now)).await?;
        let Some(carried) = taken else {
            self.reader = None;
            return Ok(None);
        };
        let reader = match &mut self.reader {
            Some(reader) => reader,
            unknown => unknown.insert(Reader::begin(&self.state.storage, carried).await?),
        };
        let mut count = 0;
        loop {
            let events = reader.look(&self.state.storage, BATCH).await?;
            let Some(last) = events.last().map(|event| event.id) else { break };
            let ids: Vec<i64> = events.iter().map(|event| event.id).collect();
            let messages = messages(&self.state.settings.supabase.publish, &self.origin, events);
            for some in messages.chunks(MOST) {
                self.project.broadcast(some).await?;
                counter!("realtime_bridge_sent_total").increment(some.len() as u64);
            }
            ids.iter().for_each(|id| reader.carried(*id));
            count += ids.len();
            let (holder, place, now) = (self.holder.clone(), reader.place(), self.state.clock.now());
            let is_held = self.state.storage.transaction(move |conn| bridges::note(conn, BRIDGE, &holder, place, HOLD, now)).await?;
            gauge!("realtime_bridge_carried_sequence").set(last as f64);
            if !is_held {
                self.reader = None;
                return Ok(None);
            }
        }
        Ok(Some(count))
    }

    async fn leave(&self) {
        let (holder, now) = (self.holder.clone(), self.state.clock.now());
        if let Err(error) = self.state.storage.transaction(move |conn| bridges::leave(conn, BRIDGE, &holder, now)).await {
            tracing::debug!(%error, "the bridge is left when its time is over");
        }
    }
}

async fn carry_always(state: State, project: Project, shutdown: CancellationToken) {
    let mut carrier = Carrier::new(state.clone(), project);
    let mut pause = PAUSE.0;
    loop {
        let next = match carrier.carry().await {
            Ok(Some(_)) => {
                pause = PAUSE.0;
                gauge!("realtime_bridge_sending").set(1.0);
                state.settings.realtime_poll
            }
            Ok(None) => {
                // Another process sends; this one has nothing to be alarmed about.
                gauge!("realtime_bridge_sending").set(0.0);
                ASK_EVERY
            }
            Err(error) => {
                gauge!("realtime_bridge_sending").set(0.0);
                tracing::warn!(%error, pause_ms = pause.as_millis() as u64, "events could not be carried to Supabase; they wait in the outbox");
                let next = pause;
                pause = (pause * 2).min(PAUSE.1);
                next
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(next) => {}
        }
    }
    carrier.leave().await;
}

/// The messages of events whose topics are chosen, to private channels, each with the mark of where it comes from.
fn messages(publish: &[String], origin: &str, events: Vec<OutboxEvent>) -> Vec<Message> {
    events
        .into_iter()
        .flat_map(outgoing)
        .filter_map(|message| match message {
            Outgoing::Broadcast { topic, event, payload, sequence: Some(sequence) } if is_chosen(publish, &topic.name) => {
                Some(Message { topic: topic.name, event, payload: mark::marked(payload, sequence, origin), private: true })
            }
            _ => None,
        })
        .collect()
}

/// Whether a topic is on the list: by its name, or by its beginning where the list has a star.
fn is_chosen(publish: &[String], topic: &str) -> bool {
    publish.iter().any(|chosen| match chosen.strip_suffix('*') {
        Some(beginning) => topic.starts_with(beginning),
        None => chosen == topic,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_chosen_by_name_or_beginning() {
        let publish = ["tasks".to_owned(), "rater:*".to_owned()];
        for (topic, chosen) in [("tasks", true), ("rater:rtr_1", true), ("tasks:t", false), ("leaderboard", false)] {
            assert_eq!(is_chosen(&publish, topic), chosen, "{topic}");
        }
    }
}
