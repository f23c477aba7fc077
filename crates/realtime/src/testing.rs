//! An authority with a few fixed people, and a client without a socket, for the tests of this crate.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::authority::{Authority, Grant, Identity, Refusal};
use crate::frame::{Frame, Version};
use crate::hub::{Connection, Hub};
use crate::limits::Limits;
use crate::protocol::{Answer, Protocol};
use crate::subscriber::Taken;

/// The time of every test, in seconds since the Unix epoch.
pub(crate) const NOW: i64 = 1_800_000_000;

/// Knows `sb_…` (anonymous), `<jwt>` (a member of tenant 5) and `member:TENANT:EXPIRY`.
pub(crate) struct People;

impl Authority for People {
    fn authenticate(&self, token: &str) -> Result<Identity, Refusal> {
        let identity = |role: &str, tenant: Option<&str>, expires_at| Identity {
            subject: token.to_owned(),
            role: role.to_owned(),
            tenant: tenant.map(str::to_owned),
            expires_at,
            grant: Grant::default(),
        };
        if token.starts_with("sb_") {
            return Ok(identity("anon", None, None));
        }
        if token == "<jwt>" {
            return Ok(identity("member", Some("5"), None));
        }
        let parts: Vec<_> = token.split(':').collect();
        match parts.as_slice() {
            ["member", tenant, expiry] => Ok(identity("member", Some(tenant), expiry.parse().ok())),
            ["forged"] => Err(Refusal::Signature),
            _ => Err(Refusal::Malformed),
        }
    }

    fn may_join(&self, identity: &Identity, topic: &str, private: bool) -> Result<(), Refusal> {
        if private && identity.role != "member" {
            return Err(Refusal::NotPermitted { topic: topic.to_owned() });
        }
        Ok(())
    }

    fn may_see(&self, identity: &Identity, _: &str, tenant: Option<&str>, _: &Value) -> bool {
        tenant.is_none() || identity.tenant.as_deref() == tenant
    }

    fn may_send(&self, identity: &Identity, topic: &str, private: bool) -> bool {
        topic != "read-only" && (!private || identity.role == "member")
    }

    fn has_column(&self, _: &str, _: &str, column: &str) -> bool {
        column != "no_such_column"
    }
}

pub(crate) fn hub(limits: Limits) -> Hub {
    Hub::new(Arc::new(People), limits, CancellationToken::new())
}

/// One conversation, with the queue that a socket would drain.
pub(crate) struct Client {
    pub(crate) protocol: Protocol,
    pub(crate) connection: Connection,
    version: Version,
}

impl Client {
    pub(crate) fn new(hub: &Hub, version: Version, token: &str) -> Self {
        let identity = Arc::new(People.authenticate(token).unwrap());
        let connection = hub.connect(identity, version, &Arc::default()).unwrap();
        let subscriber = Arc::clone(&connection.subscriber);
        let protocol = Protocol::new(hub.clone(), subscriber, token.to_owned(), at(0));
        Self { protocol, connection, version }
    }

    /// Sends a message in the client's serialisation; join and message have the same reference.
    pub(crate) fn say(&mut self, topic: &str, event: &str, payload: &Value) -> Vec<Value> {
        let answer = self.answer(topic, event, payload);
        answer.frames.iter().map(|frame| self.read(frame)).collect()
    }

    pub(crate) fn answer(&mut self, topic: &str, event: &str, payload: &Value) -> Answer {
        let text = match self.version {
            Version::V2 => json!(["1", "1", topic, event, payload]),
            Version::V1 => json!({"topic": topic, "event": event, "payload": payload,
                                  "ref": "1", "join_ref": "1"}),
        };
        self.protocol.receive_text(&text.to_string(), at(0))
    }

    /// Joins with this `config` and returns the frames of the answer.
    pub(crate) fn join(&mut self, topic: &str, config: &Value) -> Vec<Value> {
        self.say(topic, "phx_join", &json!({ "config": config }))
    }

    /// What the hub has sent since the last call, as the client would receive it.
    pub(crate) fn heard(&mut self) -> Vec<Value> {
        let mut heard = Vec::new();
        loop {
            let mut frames = Vec::new();
            let protocol = &mut self.protocol;
            let taken = self.connection.inbox.take(|delivery| {
                frames.extend(protocol.deliver(delivery));
                true
            });
            match &taken {
                Taken::Missed(missed) => frames.extend(self.protocol.missed(missed)),
                Taken::Hopeless => heard.push(json!("hopeless")),
                Taken::All | Taken::Some => {}
            }
            heard.extend(frames.iter().map(|frame| self.read(frame)));
            if matches!(taken, Taken::All | Taken::Hopeless) {
                break;
            }
        }
        heard
    }

    /// A frame as `{join_ref, ref, topic, event, payload}`, or the hexadecimal text of bytes.
    pub(crate) fn read(&self, frame: &Frame) -> Value {
        match frame {
            Frame::Text(text) => normal(self.version, text),
            Frame::Binary(bytes) => json!(hex(bytes)),
        }
    }
}

/// A text frame of either serialisation as one object; 1.0.0 has no `join_ref`.
pub(crate) fn normal(version: Version, text: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap();
    match version {
        Version::V1 => value,
        Version::V2 => json!({"join_ref": value[0], "ref": value[1], "topic": value[2],
                              "event": value[3], "payload": value[4]}),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The time of the tests and some seconds.
pub(crate) fn at(seconds_later: u64) -> Duration {
    Duration::from_secs(u64::try_from(NOW).unwrap() + seconds_later)
}

pub(crate) fn events(frames: &[Value]) -> Vec<&str> {
    let names = frames.iter().map(|frame| frame["event"].as_str());
    names.map(Option::unwrap_or_default).collect()
}
