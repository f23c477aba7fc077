//! Bytes on the wire: Phoenix serialisation 1.0.0 (objects) and 2.0.0 (arrays, and binary
//! broadcasts of type 3 from and type 4 to the client), as spoken by supabase-js and supabase-py.

use bytes::Bytes;
use bytestring::ByteString;
use serde_json::{Value, json};

/// The serialisation a client asked for with `vsn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Version {
    V1,
    V2,
}

impl Version {
    /// Reads `vsn`; a missing one means 1.0.0.
    pub(crate) fn parse(vsn: Option<&str>) -> Option<Self> {
        match vsn {
            None | Some("" | "1.0.0") => Some(Self::V1),
            Some("2.0.0") => Some(Self::V2),
            Some(_) => None,
        }
    }
}

/// One encoded frame; clones share the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    Text(ByteString),
    Binary(Bytes),
}

/// The address of a server message: everything of the envelope but the payload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Envelope<'a> {
    pub(crate) join_ref: Option<&'a str>,
    pub(crate) reference: Option<&'a str>,
    pub(crate) topic: &'a str,
    pub(crate) event: &'a str,
}

impl Envelope<'_> {
    /// Encodes the message around `payload`, which is JSON text.
    pub(crate) fn frame(&self, version: Version, payload: &str) -> Frame {
        let topic = Value::from(self.topic);
        let event = Value::from(self.event);
        let reference = Value::from(self.reference);
        let text = match version {
            Version::V1 => format!(r#"{{"event":{event},"payload":{payload},"ref":{reference},"topic":{topic}}}"#),
            Version::V2 => {
                let join_ref = Value::from(self.join_ref);
                format!("[{join_ref},{reference},{topic},{event},{payload}]")
            }
        };
        Frame::Text(text.into())
    }
}

/// A broadcast of raw bytes (type 4). `None` when a name does not fit its one-byte length.
pub(crate) fn binary_broadcast(topic: &str, event: &str, body: &[u8]) -> Option<Frame> {
    let mut frame = Vec::with_capacity(5 + topic.len() + event.len() + body.len());
    frame.extend([4, u8::try_from(topic.len()).ok()?, u8::try_from(event.len()).ok()?, 0, 0]);
    frame.extend_from_slice(topic.as_bytes());
    frame.extend_from_slice(event.as_bytes());
    frame.extend_from_slice(body);
    Some(Frame::Binary(frame.into()))
}

/// A message from a client, whatever its serialisation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ClientMessage {
    pub(crate) join_ref: Option<String>,
    pub(crate) reference: Option<String>,
    pub(crate) topic: String,
    pub(crate) event: String,
    pub(crate) payload: Value,
    /// The body of a raw binary broadcast; its event is in `payload`.
    pub(crate) bytes: Option<Bytes>,
}

/// Reads a text frame; `None` when it is not a Phoenix message of this version.
pub(crate) fn decode_text(version: Version, text: &str) -> Option<ClientMessage> {
    let mut value: Value = serde_json::from_str(text).ok()?;
    let [join_ref, reference, topic, event, payload] = match (version, &mut value) {
        (Version::V1, Value::Object(map)) => {
            ["join_ref", "ref", "topic", "event", "payload"].map(|key| map.remove(key).unwrap_or_default())
        }
        (Version::V2, Value::Array(items)) => std::mem::take(items).try_into().ok()?,
        _ => return None,
    };
    let (Value::String(topic), Value::String(event)) = (topic, event) else {
        return None;
    };
    Some(ClientMessage { join_ref: reference_text(join_ref), reference: reference_text(reference), topic, event, payload, bytes: None })
}

/// Reads a binary frame of type 3; `None` for anything else, a short frame included.
pub(crate) fn decode_binary(version: Version, frame: &Bytes) -> Option<ClientMessage> {
    if version == Version::V1 {
        return None;
    }
    let &[3, join_ref, reference, topic, event, metadata, encoding] = frame.get(..7)? else {
        return None;
    };
    let mut position = 7;
    let mut take = |length: u8| {
        let part = frame.get(position..position + usize::from(length))?;
        position += usize::from(length);
        String::from_utf8(part.to_vec()).ok()
    };
    let join_ref = take(join_ref)?;
    let reference = take(reference)?;
    let topic = take(topic)?;
    let event = take(event)?;
    take(metadata)?;
    let body = frame.slice(position..);
    let (payload, bytes) = if encoding == 1 {
        let body: Value = serde_json::from_slice(&body).ok()?;
        (json!({"type": "broadcast", "event": event, "payload": body}), None)
    } else {
        (json!({"type": "broadcast", "event": event}), Some(body))
    };
    Some(ClientMessage {
        join_ref: Some(join_ref).filter(|text| !text.is_empty()),
        reference: Some(reference).filter(|text| !text.is_empty()),
        topic,
        event: "broadcast".to_owned(),
        payload,
        bytes,
    })
}

/// References are opaque strings; old clients send numbers.
fn reference_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
