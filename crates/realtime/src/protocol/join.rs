//! Joining a channel: who asks, what for, and what is told on the way in. The order on the wire is
//! reply, presence, replayed broadcasts, `system`, replayed changes.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tracing::debug;

use crate::authority::{Identity, Refusal};
use crate::binding;
use crate::broadcast::Occasion;
use crate::change::ChangeEncoder;
use crate::frame::{ClientMessage, Frame};
use crate::history::Start;
use crate::hub::membership::{Joined, Joining};
use crate::outgoing::Topic;
use crate::protocol::{Answer, Channel, Protocol, seconds};

/// Broadcasts in one replay by time; the limit of Supabase.
const REPLAY_MESSAGES: usize = 25;
/// Bytes of a topic without `realtime:`; binary frames give its length in one byte.
const TOPIC_BYTES: usize = 255 - "realtime:".len();

/// `config` of a join, read leniently: what is missing or malformed takes its default.
#[derive(Debug)]
struct Config {
    receives_own: bool,
    acknowledged: bool,
    presence: bool,
    presence_key: String,
    private: bool,
    replay: Option<(Start, usize)>,
    replay_changes: Option<i64>,
}

impl Protocol {
    pub(super) fn join(&mut self, message: &ClientMessage, now: Duration) -> Answer {
        if !self.joins.take(now) {
            let refusal = Refusal::TooManyJoins;
            return Answer { frames: self.refuse(message, &refusal), close: Some(refusal) };
        }
        if !self.hub.tenants().may_join(self.subscriber.identity.tenant.as_deref(), now) {
            return self.refuse(message, &Refusal::TooManyJoinsOfTenant).into();
        }
        let mut frames = Vec::new();
        if let Some(old) = self.channels.remove(&message.topic) {
            self.hub.leave(&old.topic, old.membership);
            frames.push(self.closed(&message.topic, old.join_ref.as_deref()));
        }
        let entered = self.enter(message, seconds(now));
        frames.extend(entered.unwrap_or_else(|refusal| self.refuse(message, &refusal)));
        frames.into()
    }

    fn enter(&mut self, message: &ClientMessage, now: i64) -> Result<Vec<Frame>, Refusal> {
        if self.hub.shutdown().is_cancelled() {
            return Err(Refusal::Restarting);
        }
        let name = message.topic.strip_prefix("realtime:").unwrap_or_default();
        if name.is_empty() {
            return Err(Refusal::TopicRequired);
        }
        if name.len() > TOPIC_BYTES {
            return Err(Refusal::TopicTooLong { most: TOPIC_BYTES });
        }
        let limits = self.hub.limits();
        if self.channels.len() >= limits.channels {
            return Err(Refusal::TooManyChannels);
        }
        let requested = message.payload.get("config").unwrap_or(&Value::Null);
        let config = Config::read(requested, limits.history_messages)?;
        let topic = Topic { name: name.to_owned(), private: config.private };
        let (identity, token) = self.identity(&message.payload, now)?;
        let authority = self.hub.authority();
        authority.may_join(&identity, &topic.name, topic.private)?;
        if token.is_some() {
            // The lines of the socket name whoever opened it.
            debug!(joined_as = identity.subject, tenant = identity.tenant, topic = topic.name, "joined with a token of its own");
        }

        let changes = requested.get("postgres_changes");
        let mut bindings = binding::parse(changes, authority);
        if bindings.active.len() > limits.bindings {
            bindings.active.clear();
            bindings.problem = Some(format!("Unable to subscribe to changes with given parameters: more than {} entries", limits.bindings));
        }
        let active: Arc<[_]> = bindings.active.into();
        let joined = self.hub.join(
            &topic,
            Joining {
                subscriber: Arc::clone(&self.subscriber),
                identity: Arc::clone(&identity),
                bindings: Arc::clone(&active),
                presence: config.presence,
                replay: config.replay,
                replay_changes: config.replay_changes,
            },
        );
        let channel = Channel {
            join_ref: message.join_ref.clone().or_else(|| message.reference.clone()),
            membership: joined.membership,
            topic,
            identity,
            token,
            receives_own: config.receives_own,
            acknowledged: config.acknowledged,
            presence_key: config.presence_key,
            presence: config.presence,
            last_sequence: None,
        };
        let mut frames = self.reply(message, "ok", &json!({ "postgres_changes": bindings.echo }));
        if channel.presence {
            frames.push(self.push(&channel, "presence_state", &joined.presence_state));
        }
        self.replay_broadcasts(&channel, &joined, &mut frames);
        if let Some(problem) = bindings.problem {
            let system = channel.system("postgres_changes", "error", &problem);
            frames.push(self.push(&channel, "system", &system));
        } else if !active.is_empty() {
            let text = "Subscribed to PostgreSQL";
            let system = channel.system("postgres_changes", "ok", text);
            frames.push(self.push(&channel, "system", &system));
            self.replay_changes(&channel, &active, &joined, &mut frames);
        }
        self.channels.insert(message.topic.clone(), Box::new(channel));
        Ok(frames)
    }

    /// The identity a join acts as: its own token's, or the socket's when it has none or repeats
    /// the API key.
    fn identity(&self, payload: &Value, now: i64) -> Result<(Arc<Identity>, Option<String>), Refusal> {
        let token = payload.get("access_token").or_else(|| payload.get("user_token"));
        let token = token.and_then(Value::as_str).filter(|token| !token.is_empty() && !token.starts_with("sb_") && *token != self.token);
        let identity = match token {
            Some(token) => Arc::new(self.hub.authority().authenticate(token)?),
            None => Arc::clone(&self.subscriber.identity),
        };
        identity.check_life(now)?;
        Ok((identity, token.map(str::to_owned)))
    }

    fn refuse(&self, message: &ClientMessage, refusal: &Refusal) -> Vec<Frame> {
        metrics::counter!("realtime_joins_refused_total").increment(1);
        debug!(reason = %refusal, "a join was refused");
        self.reply(message, "error", &json!({ "reason": refusal.reason() }))
    }

    fn replay_broadcasts(&self, channel: &Channel, joined: &Joined, frames: &mut Vec<Frame>) {
        let Some(replay) = &joined.broadcasts else {
            return;
        };
        let version = self.subscriber.version;
        let messages = replay.messages.iter();
        frames.extend(messages.filter_map(|m| m.frame(version, Occasion::Replayed)));
        if !replay.complete {
            frames.push(self.incomplete(channel, "broadcasts"));
        }
    }

    fn replay_changes(&self, channel: &Channel, bindings: &[binding::Binding], joined: &Joined, frames: &mut Vec<Frame>) {
        let Some(replay) = &joined.changes else {
            return;
        };
        let topic = channel.topic.wire();
        for change in &replay.messages {
            if change.wanted_by(bindings) && self.hub.may_see(&channel.identity, change) {
                let mut encoder = ChangeEncoder::new(change);
                frames.extend(encoder.frames(self.subscriber.version, &topic, bindings));
            }
        }
        if !replay.complete {
            frames.push(self.incomplete(channel, "changes"));
        }
    }

    /// Status `ok`, because supabase-py rejoins on `error` and would ask for the same again.
    fn incomplete(&self, channel: &Channel, what: &str) -> Frame {
        let text = format!("The replay of {what} does not reach back to the sequence you asked for; read the data again");
        let mut system = channel.system("system", "ok", &text);
        if let Some(map) = system.as_object_mut() {
            map.insert("replay_incomplete".to_owned(), Value::Bool(true));
        }
        self.push(channel, "system", &system)
    }
}

impl Config {
    fn read(config: &Value, history: usize) -> Result<Self, Refusal> {
        let private = flag(config.get("private"));
        let broadcast = config.get("broadcast").unwrap_or(&Value::Null);
        let presence = config.get("presence").unwrap_or(&Value::Null);
        let replay = match broadcast.get("replay") {
            None | Some(Value::Null) => None,
            // By sequence is our own extension, and for public rooms too: our events are told in them.
            Some(replay) if !private && replay.get("after").is_none() => return Err(Refusal::ReplayPublic),
            Some(replay) => Some(replay_start(replay, history)?),
        };
        let key = presence.get("key").and_then(Value::as_str);
        let key = key.filter(|key| !key.is_empty() && key.len() <= 255);
        let options = config.get("postgres_changes_options");
        Ok(Self {
            receives_own: flag(broadcast.get("self")),
            acknowledged: flag(broadcast.get("ack")),
            presence: flag(presence.get("enabled")),
            presence_key: key.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned),
            private,
            replay,
            replay_changes: options.and_then(|options| options.get("after")).and_then(Value::as_i64),
        })
    }
}

fn replay_start(replay: &Value, history: usize) -> Result<(Start, usize), Refusal> {
    let number = |key: &str| replay.get(key).and_then(Value::as_u64);
    let limit = number("limit").and_then(|limit| usize::try_from(limit).ok());
    if let Some(after) = replay.get("after").and_then(Value::as_i64) {
        return Ok((Start::After(after), limit.unwrap_or(history).min(history)));
    }
    let since = number("since").ok_or(Refusal::ReplayInvalid)?;
    let limit = limit.unwrap_or(REPLAY_MESSAGES).min(REPLAY_MESSAGES);
    Ok((Start::Since(Duration::from_millis(since)), limit))
}

/// Some clients send booleans as words, in any case.
fn flag(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(value)) => *value,
        Some(Value::String(word)) => word.eq_ignore_ascii_case("true"),
        _ => false,
    }
}
