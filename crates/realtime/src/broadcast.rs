//! A message to a room on its way to the members, encoded once per protocol version.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::frame::{Envelope, Frame, Version, binary_broadcast};
use crate::outgoing::Topic;

/// A broadcast, as the hub remembers it.
#[derive(Debug)]
pub(crate) struct Broadcast {
    pub(crate) topic: Topic,
    pub(crate) event: String,
    pub(crate) body: Body,
    pub(crate) sequence: Option<i64>,
}

/// What a broadcast carries.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    /// JSON text, passed on as the sender wrote it.
    Json(String),
    Bytes(Bytes),
}

/// Whether a broadcast is new or comes from the room's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    Live,
    Replayed,
}

impl Broadcast {
    /// The frame for one version; `None` for bytes to a 1.0.0 client, which cannot receive them.
    pub(crate) fn frame(&self, version: Version, occasion: Occasion) -> Option<Frame> {
        let topic = self.topic.wire();
        let payload = match &self.body {
            Body::Json(payload) => payload,
            Body::Bytes(_) if version == Version::V1 => return None,
            Body::Bytes(bytes) => return binary_broadcast(&topic, &self.event, bytes),
        };
        let event = Value::from(self.event.as_str());
        let meta = self.sequence.map_or_else(String::new, |sequence| {
            let id = sequence.to_string();
            let meta = match occasion {
                Occasion::Live => json!({"id": id, "sequence": sequence}),
                Occasion::Replayed => json!({"id": id, "sequence": sequence, "replayed": true}),
            };
            format!(r#","meta":{meta}"#)
        });
        let message = format!(r#"{{"type":"broadcast","event":{event},"payload":{payload}{meta}}}"#);
        let envelope = Envelope { join_ref: None, reference: None, topic: &topic, event: "broadcast" };
        Some(envelope.frame(version, &message))
    }

    /// Roughly what the message takes in memory, in bytes.
    pub(crate) fn size(&self) -> usize {
        let body = match &self.body {
            Body::Json(payload) => payload.len(),
            Body::Bytes(bytes) => bytes.len(),
        };
        body + self.event.len() + self.topic.name.len()
    }
}
