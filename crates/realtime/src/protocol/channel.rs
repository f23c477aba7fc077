//! What a client may do on a channel it has joined: send, show presence, renew its token, leave.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::broadcast::Broadcast;
use crate::frame::{ClientMessage, Frame};
use crate::protocol::Protocol;

impl Protocol {
    pub(super) fn leave(&mut self, message: &ClientMessage) -> Vec<Frame> {
        let mut frames = self.reply(message, "ok", &json!({}));
        if let Some(channel) = self.channels.remove(&message.topic) {
            self.hub.leave(&channel.topic, channel.membership);
            frames.push(self.closed(&message.topic, channel.join_ref.as_deref()));
        }
        frames
    }

    /// Passes a broadcast on. Without permission to send it vanishes without a word, even when an
    /// acknowledgement was asked for: the protocol leaves nothing to learn by trying.
    pub(super) fn broadcast(&mut self, mut message: ClientMessage, size: usize) -> Vec<Frame> {
        let Some(channel) = self.channels.get(&message.topic) else {
            return Vec::new();
        };
        let limit = self.hub.limits().payload_bytes;
        let (acknowledged, identity) = (channel.acknowledged, Arc::clone(&channel.identity));
        if size > limit {
            let reason = format!("The broadcast has {size} bytes; at most {limit} are allowed");
            let response = json!({"error": "payload_size_exceeded", "reason": reason});
            return if acknowledged { self.reply(&message, "error", &response) } else { Vec::new() };
        }
        let topic = channel.topic.clone();
        let except = (!channel.receives_own).then_some(channel.membership);
        let authority = self.hub.authority();
        if !authority.may_send(&identity, &topic.name, topic.private) {
            return Vec::new();
        }
        let Some((event, body)) = message.broadcast.take() else {
            let response = json!({"reason": "A broadcast needs an event"});
            return self.reply(&message, "error", &response);
        };
        let outgoing = Broadcast { topic, event, body, sequence: None };
        self.hub.say(outgoing, except);
        if acknowledged { self.reply(&message, "ok", &json!({})) } else { Vec::new() }
    }

    /// Shows or takes back presence; always answered.
    pub(super) fn presence(&mut self, message: &ClientMessage) -> Vec<Frame> {
        let event = message.payload.get("event").and_then(Value::as_str);
        match event.map(str::to_lowercase).as_deref() {
            Some("track") => self.track(message),
            Some("untrack") => {
                if let Some(channel) = self.channels.get(&message.topic) {
                    self.hub.untrack(&channel.topic, channel.membership);
                }
                self.reply(message, "ok", &json!({}))
            }
            _ => {
                let response = json!({"reason": "Presence event must be track or untrack"});
                self.reply(message, "error", &response)
            }
        }
    }

    fn track(&mut self, message: &ClientMessage) -> Vec<Frame> {
        let empty = Value::Object(Map::new());
        let shown = message.payload.get("payload").unwrap_or(&empty);
        let Value::Object(shown) = shown else {
            let response = json!({"reason": "Presence track payload must be a map"});
            return self.reply(message, "error", &response);
        };
        if Value::Object(shown.clone()).to_string().len() > self.hub.limits().presence_bytes {
            return self.end(&message.topic, "Track message size exceeded");
        }
        let Some(channel) = self.channels.get_mut(&message.topic) else {
            return Vec::new();
        };
        let topic = &channel.topic;
        let authority = self.hub.authority();
        if !authority.may_send(&channel.identity, &topic.name, topic.private) {
            let name = &topic.name;
            let reason = format!("Unauthorized: You do not have permissions to show presence in this Channel topic: {name}");
            return self.reply(message, "error", &json!({ "reason": reason }));
        }
        channel.presence = true;
        let (membership, key) = (channel.membership, &channel.presence_key);
        let state = self.hub.track(topic, membership, key, shown.clone());
        let mut frames = self.reply(message, "ok", &json!({}));
        if let (Some(state), Some(channel)) = (state, self.channels.get(&message.topic)) {
            frames.push(self.push(channel, "presence_state", &state));
        }
        frames
    }

    /// Takes a new token for a channel; silent when all is well. Ignored: none, the same one, and
    /// the API key, which supabase-js pushes with every heartbeat when it knows nothing better.
    pub(super) fn renew(&mut self, message: &ClientMessage, now: i64) -> Vec<Frame> {
        let token = message.payload.get("access_token").and_then(Value::as_str);
        let (Some(token), Some(channel)) = (token, self.channels.get(&message.topic)) else {
            return Vec::new();
        };
        let known = channel.token.as_deref() == Some(token);
        if known || token.starts_with("sb_") || token == self.token {
            return Vec::new();
        }
        let (topic, membership) = (channel.topic.clone(), channel.membership);
        let renewed = self.hub.authority().authenticate(token);
        let renewed = renewed.and_then(|identity| identity.check_life(now).map(|()| identity));
        let checked = match renewed {
            Ok(identity) => self.still_permitted(&topic, &identity).map(|()| identity),
            Err(refusal) => Err(refusal.to_string()),
        };
        match checked {
            Err(reason) => self.end(&message.topic, &reason),
            Ok(identity) => {
                let identity = Arc::new(identity);
                self.hub.identify(&topic, membership, Arc::clone(&identity));
                if let Some(channel) = self.channels.get_mut(&message.topic) {
                    channel.identity = identity;
                    channel.token = Some(token.to_owned());
                }
                Vec::new()
            }
        }
    }
}
