//! Bytes on the wire: Phoenix serialisation 1.0.0 (objects) and 2.0.0 (arrays, and binary
//! broadcasts of type 3 from and type 4 to the client), as spoken by supabase-js and supabase-py.

use actix_http::ws::{Codec, Message};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_util::codec::Encoder;

use crate::broadcast::Body;

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

impl Frame {
    /// Appends the frame as it goes over the wire.
    pub(crate) fn encode(self, wire: &mut BytesMut) {
        let message = match self {
            Self::Text(text) => Message::Text(text),
            Self::Binary(bytes) => Message::Binary(bytes),
        };
        // Only a continuation that nothing began cannot be encoded.
        let _ = Codec::new().encode(message, wire);
    }
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
    /// Null for a broadcast.
    pub(crate) payload: Value,
    /// The event and body of a broadcast, if it has an event.
    pub(crate) broadcast: Option<(String, Body)>,
}

/// The envelope of 1.0.0. References are opaque strings; old clients send numbers.
#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    join_ref: Value,
    #[serde(default, rename = "ref")]
    reference: Value,
    topic: String,
    event: String,
    #[serde(default)]
    payload: Option<Box<RawValue>>,
}

/// The envelope of 2.0.0: join reference, reference, topic, event, payload.
type Array = (Value, Value, String, String, Box<RawValue>);

/// The payload of a broadcast in a text frame.
#[derive(Deserialize)]
struct TextBroadcast {
    event: String,
    #[serde(default)]
    payload: Option<Box<RawValue>>,
}

/// Reads a text frame; `None` when it is not a Phoenix message of this version.
pub(crate) fn decode_text(version: Version, text: &str) -> Option<ClientMessage> {
    let (join_ref, reference, topic, event, payload) = match version {
        Version::V1 => {
            let object: Object = serde_json::from_str(text).ok()?;
            let Object { join_ref, reference, topic, event, payload } = object;
            (join_ref, reference, topic, event, payload)
        }
        Version::V2 => {
            let array: Array = serde_json::from_str(text).ok()?;
            (array.0, array.1, array.2, array.3, Some(array.4))
        }
    };
    let raw = payload.as_ref().map_or("null", |payload| payload.get());
    let (payload, broadcast) = if event == "broadcast" {
        let broadcast = serde_json::from_str::<TextBroadcast>(raw).ok();
        let broadcast = broadcast.map(|broadcast| {
            let body = broadcast.payload.map_or_else(|| Some("{}".to_owned()), |body| readable(&body));
            body.map(|body| (broadcast.event, Body::Json(body)))
        });
        (Value::Null, broadcast.map_or(Some(None), |broadcast| broadcast.map(Some))?)
    } else {
        (serde_json::from_str(raw).ok()?, None)
    };
    Some(ClientMessage { join_ref: reference_text(join_ref), reference: reference_text(reference), topic, event, payload, broadcast })
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
    let body = if encoding == 1 {
        let body: Box<RawValue> = serde_json::from_slice(&body).ok()?;
        Body::Json(readable(&body)?)
    } else {
        Body::Bytes(body)
    };
    Some(ClientMessage {
        join_ref: Some(join_ref).filter(|text| !text.is_empty()),
        reference: Some(reference).filter(|text| !text.is_empty()),
        topic,
        event: "broadcast".to_owned(),
        payload: Value::Null,
        broadcast: Some((event, body)),
    })
}

/// The text of a payload as it was written, if every client can read it: half a surrogate pair passes as JSON here and not everywhere.
pub(crate) fn readable(payload: &RawValue) -> Option<String> {
    let text = payload.get();
    serde_json::from_str::<Value>(text).is_ok().then(|| text.to_owned())
}

fn reference_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
