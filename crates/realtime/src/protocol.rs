//! The conversation with one client as a plain state machine: a frame comes in, frames go out.
//! No I/O and no clock; the socket brings both. What it says to other members goes through the hub,
//! which never waits.

mod channel;
mod join;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tracing::debug;

use crate::authority::{Identity, Refusal};
use crate::frame::{self, ClientMessage, Envelope, Frame};
use crate::hub::Hub;
use crate::limits::Bucket;
use crate::outgoing::Topic;
use crate::subscriber::{Delivery, Membership, Subscriber};

/// How often a channel's permission is asked again, in seconds; as often as Supabase does.
const RECHECK_SECONDS: i64 = 300;

/// The state of one socket's conversation. Dropping it leaves every channel.
pub(crate) struct Protocol {
    hub: Hub,
    subscriber: Arc<Subscriber>,
    /// The key or token that opened the socket.
    token: String,
    channels: HashMap<String, Box<Channel>>,
    joins: Bucket,
    messages: Bucket,
    recheck_at: i64,
}

/// One joined channel of the socket.
struct Channel {
    join_ref: Option<String>,
    membership: Membership,
    topic: Topic,
    identity: Arc<Identity>,
    token: Option<String>,
    receives_own: bool,
    acknowledged: bool,
    presence_key: String,
    presence: bool,
    last_sequence: Option<i64>,
}

/// What to write, and whether to close afterwards.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) frames: Vec<Frame>,
    /// Close with 1001 and this reason once the frames are written.
    pub(crate) close: Option<Refusal>,
}

impl Protocol {
    /// Begins a conversation on a socket that was opened with `token`.
    pub(crate) fn new(hub: Hub, subscriber: Arc<Subscriber>, token: String, now: Duration) -> Self {
        let limits = hub.limits();
        let joins = Bucket::new(limits.joins_per_second, limits.joins_per_second, now);
        let burst = limits.messages_per_second.saturating_mul(10);
        let messages = Bucket::new(limits.messages_per_second, burst, now);
        Self { hub, subscriber, token, channels: HashMap::new(), joins, messages, recheck_at: seconds(now).saturating_add(RECHECK_SECONDS) }
    }

    /// Answers a text frame. What cannot be read is ignored, as Phoenix does.
    pub(crate) fn receive_text(&mut self, text: &str, now: Duration) -> Answer {
        match frame::decode_text(self.subscriber.version, text) {
            Some(message) => self.receive(message, text.len(), now),
            None => ignored("text"),
        }
    }

    /// Answers a binary frame.
    pub(crate) fn receive_binary(&mut self, bytes: &Bytes, now: Duration) -> Answer {
        match frame::decode_binary(self.subscriber.version, bytes) {
            Some(message) => self.receive(message, bytes.len(), now),
            None => ignored("binary"),
        }
    }

    /// The frame of a delivery, unless its channel was left in the meantime.
    pub(crate) fn deliver(&mut self, delivery: Delivery) -> Option<Frame> {
        let channel = self.channels.values_mut().find(|channel| channel.membership == delivery.membership)?;
        channel.last_sequence = delivery.sequence.or(channel.last_sequence);
        Some(delivery.frame)
    }

    /// Tells each channel that lost messages how many, and after which sequence to read again; a
    /// channel that shows presence gets the present state.
    pub(crate) fn missed(&mut self, missed: &HashMap<Membership, u64>) -> Vec<Frame> {
        let mut frames = Vec::new();
        for channel in self.channels.values() {
            let Some(count) = missed.get(&channel.membership) else {
                continue;
            };
            let after = channel.last_sequence.map_or_else(String::new, |sequence| format!(" after sequence {sequence}"));
            let text = format!(
                "This connection is too slow: {count} messages were missed{after}. Read the data again, or rejoin and ask for a replay"
            );
            let mut payload = channel.system("system", "error", &text);
            if let Some(map) = payload.as_object_mut() {
                map.insert("missed".to_owned(), json!(count));
                map.insert("sequence".to_owned(), json!(channel.last_sequence));
            }
            frames.push(self.push(channel, "system", &payload));
            if channel.presence {
                let state = self.hub.presence_state(&channel.topic);
                frames.push(self.push(channel, "presence_state", &state));
            }
        }
        frames
    }

    /// Tells each channel that the socket will be closed and when to come back, in milliseconds. Status `ok`, because supabase-py rejoins at
    /// once on `error`.
    pub(crate) fn announce_end(&self, reconnect_after_ms: u64) -> Vec<Frame> {
        let channels = self.channels.values();
        let told = channels.map(|channel| {
            let mut payload = channel.system("system", "ok", "Server requested disconnect");
            if let Some(map) = payload.as_object_mut() {
                map.insert("reconnect_after_ms".to_owned(), json!(reconnect_after_ms));
            }
            self.push(channel, "system", &payload)
        });
        told.collect()
    }

    /// Ends the channels whose token has expired or whose permission was withdrawn.
    pub(crate) fn expire(&mut self, now: Duration) -> Vec<Frame> {
        let now = seconds(now);
        let recheck = now >= self.recheck_at;
        if recheck {
            self.recheck_at = now.saturating_add(RECHECK_SECONDS);
        }
        let ending: Vec<(String, String)> = self
            .channels
            .iter()
            .filter_map(|(topic, channel)| {
                let life = channel.identity.check_life(now).map_err(|end| end.to_string());
                let permission = if recheck { self.still_permitted(&channel.topic, &channel.identity) } else { Ok(()) };
                let reason = life.and(permission).err()?;
                Some((topic.clone(), reason))
            })
            .collect();
        let ended = ending.iter();
        ended.flat_map(|(topic, reason)| self.end(topic, reason)).collect()
    }

    /// Leaves every channel without a word.
    pub(crate) fn leave_all(&mut self) {
        for channel in std::mem::take(&mut self.channels).into_values() {
            self.hub.leave(&channel.topic, channel.membership);
        }
    }

    /// When [`Protocol::expire`] next has something to do, in seconds since the Unix epoch.
    pub(crate) fn next_expiry(&self) -> i64 {
        let ends = self.channels.values().filter_map(|c| c.identity.expires_at);
        ends.min().map_or(self.recheck_at, |end| end.min(self.recheck_at))
    }

    fn receive(&mut self, message: ClientMessage, size: usize, now: Duration) -> Answer {
        if message.topic == "phoenix" {
            return if message.event == "heartbeat" { self.reply(&message, "ok", &json!({})).into() } else { Answer::default() };
        }
        if message.event == "phx_join" {
            return self.join(&message, now);
        }
        if !self.channels.contains_key(&message.topic) {
            let (status, response) =
                if message.event == "phx_leave" { ("ok", json!({})) } else { ("error", json!({"reason": "unmatched topic"})) };
            return self.reply(&message, status, &response).into();
        }
        if !self.messages.take(now) {
            return self.end(&message.topic, "Too many messages per second").into();
        }
        if message.event == "broadcast" && !self.hub.tenants().may_send(self.subscriber.identity.tenant.as_deref(), now) {
            let reason = Refusal::TooManyMessagesOfTenant.reason();
            return self.reply(&message, "error", &json!({ "reason": reason })).into();
        }
        match message.event.as_str() {
            "phx_leave" => self.leave(&message).into(),
            "access_token" => self.renew(&message, seconds(now)).into(),
            "presence" => self.presence(&message).into(),
            "broadcast" => self.broadcast(message, size).into(),
            _ => self.reply(&message, "error", &json!({"reason": "unknown event"})).into(),
        }
    }

    fn still_permitted(&self, topic: &Topic, identity: &Identity) -> Result<(), String> {
        let authority = self.hub.authority();
        let permitted = authority.may_join(identity, &topic.name, topic.private);
        permitted.map_err(|_| {
            let name = &topic.name;
            format!("You no longer have permission to read from this Channel topic: {name}")
        })
    }

    /// Ends a live channel: says why, then closes it.
    fn end(&mut self, topic: &str, reason: &str) -> Vec<Frame> {
        let Some(channel) = self.channels.remove(topic) else {
            return Vec::new();
        };
        self.hub.leave(&channel.topic, channel.membership);
        let system = channel.system("system", "error", reason);
        vec![self.push(&channel, "system", &system), self.closed(topic, channel.join_ref.as_deref())]
    }

    fn reply(&self, message: &ClientMessage, status: &str, response: &Value) -> Vec<Frame> {
        let envelope = Envelope {
            join_ref: message.join_ref.as_deref(),
            reference: message.reference.as_deref(),
            topic: &message.topic,
            event: "phx_reply",
        };
        let payload = json!({"status": status, "response": response}).to_string();
        vec![envelope.frame(self.subscriber.version, &payload)]
    }

    fn push(&self, channel: &Channel, event: &str, payload: &Value) -> Frame {
        let topic = channel.topic.wire();
        let envelope = Envelope { join_ref: channel.join_ref.as_deref(), reference: None, topic: &topic, event };
        envelope.frame(self.subscriber.version, &payload.to_string())
    }

    fn closed(&self, topic: &str, join_ref: Option<&str>) -> Frame {
        let envelope = Envelope { join_ref, reference: join_ref, topic, event: "phx_close" };
        envelope.frame(self.subscriber.version, "{}")
    }
}

impl Channel {
    fn system(&self, extension: &str, status: &str, message: &str) -> Value {
        json!({
            "extension": extension,
            "status": status,
            "message": message,
            "channel": self.topic.name,
        })
    }
}

impl From<Vec<Frame>> for Answer {
    fn from(frames: Vec<Frame>) -> Self {
        Self { frames, close: None }
    }
}

impl Drop for Protocol {
    fn drop(&mut self) {
        self.leave_all();
    }
}

fn ignored(kind: &str) -> Answer {
    debug!(kind, "ignored a frame that is not a message of this protocol version");
    Answer::default()
}

fn seconds(now: Duration) -> i64 {
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
