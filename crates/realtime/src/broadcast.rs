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
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Json(Value),
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
        let mut message = json!({"type": "broadcast", "event": self.event, "payload": payload});
        if let (Some(sequence), Some(map)) = (self.sequence, message.as_object_mut()) {
            let mut meta = json!({"id": sequence.to_string(), "sequence": sequence});
            if let (Occasion::Replayed, Some(meta)) = (occasion, meta.as_object_mut()) {
                meta.insert("replayed".to_owned(), Value::Bool(true));
            }
            map.insert("meta".to_owned(), meta);
        }
        let envelope = Envelope { join_ref: None, reference: None, topic: &topic, event: "broadcast" };
        Some(envelope.frame(version, &message.to_string()))
    }

    /// Roughly what the message takes in memory, in bytes.
    pub(crate) fn size(&self) -> usize {
        let body = match &self.body {
            Body::Json(payload) => payload.to_string().len(),
            Body::Bytes(bytes) => bytes.len(),
        };
        body + self.event.len() + self.topic.name.len()
    }
}
