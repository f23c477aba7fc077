//! Frames as a client of serialisation 2.0.0 writes and reads them.

use serde_json::{Value, json};

/// A frame from the server.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Incoming {
    /// The answer to one of our messages.
    Reply { reference: String, is_ok: bool, reason: String },
    /// A broadcast on a channel, named without the `realtime:` prefix.
    Broadcast { topic: String, event: String, payload: Value, meta_id: Option<String>, is_replayed: bool },
    /// The server closed a channel, or it failed.
    Closed { topic: String },
    /// The server says something about a channel.
    System { is_ok: bool, message: String },
    /// Presence and what we do not know.
    Other,
}

/// Most messages of a channel that the project says again after a gap.
pub(super) const REPLAYED: usize = 25;

/// A join of a private channel. `since` asks for what was said since then, in milliseconds since the Unix epoch.
pub(super) fn join(reference: u64, topic: &str, key: &str, since: Option<u64>) -> String {
    let mut broadcast = json!({ "self": false, "ack": false });
    if let Some(since) = since {
        broadcast["replay"] = json!({ "since": since, "limit": REPLAYED });
    }
    let config = json!({ "broadcast": broadcast, "presence": { "enabled": false }, "postgres_changes": [], "private": true });
    let reference = reference.to_string();
    json!([reference, reference, format!("realtime:{topic}"), "phx_join", { "config": config, "access_token": key }]).to_string()
}

pub(super) fn heartbeat(reference: u64) -> String {
    json!([null, reference.to_string(), "phoenix", "heartbeat", {}]).to_string()
}

/// Reads a text frame; `None` when it is no array of 2.0.0.
pub(super) fn read_text(text: &str) -> Option<Incoming> {
    let (_join_ref, reference, topic, event, payload): (Value, Value, String, String, Value) = serde_json::from_str(text).ok()?;
    let channel = || topic.strip_prefix("realtime:").unwrap_or(&topic).to_owned();
    Some(match event.as_str() {
        "phx_reply" => {
            let is_ok = payload["status"] == "ok";
            let reason = payload["response"]["reason"].as_str().unwrap_or("no reason given").to_owned();
            Incoming::Reply { reference: reference.as_str().unwrap_or_default().to_owned(), is_ok, reason }
        }
        "broadcast" => Incoming::Broadcast {
            topic: channel(),
            event: payload["event"].as_str()?.to_owned(),
            payload: payload["payload"].clone(),
            meta_id: payload["meta"]["id"].as_str().map(str::to_owned),
            is_replayed: payload["meta"]["replayed"] == true,
        },
        "phx_close" | "phx_error" => Incoming::Closed { topic: channel() },
        "system" => {
            Incoming::System { is_ok: payload["status"] == "ok", message: payload["message"].as_str().unwrap_or_default().to_owned() }
        }
        _ => Incoming::Other,
    })
}

/// Reads a binary frame: a broadcast of type 4 with a JSON payload. Raw bytes and everything else mean nothing to local rooms.
pub(super) fn read_binary(frame: &[u8]) -> Option<Incoming> {
    let &[4, topic, event, metadata, 1] = frame.get(..5)? else { return None };
    let mut rest = frame.get(5..)?;
    let mut take = |length: u8| {
        let (part, after) = rest.split_at_checked(usize::from(length))?;
        rest = after;
        String::from_utf8(part.to_vec()).ok()
    };
    let (topic, event, metadata) = (take(topic)?, take(event)?, take(metadata)?);
    let metadata: Value = serde_json::from_str(&metadata).unwrap_or_default();
    Some(Incoming::Broadcast {
        topic: topic.strip_prefix("realtime:").unwrap_or(&topic).to_owned(),
        event,
        payload: serde_json::from_slice(rest).ok()?,
        meta_id: metadata["id"].as_str().map(str::to_owned),
        is_replayed: metadata["replayed"] == true,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn frames_of_a_real_server_are_understood() {
        let reply = read_text(r#"["6","6","realtime:camp:42","phx_reply",{"status":"ok","response":{"postgres_changes":[]}}]"#);
        assert!(matches!(reply, Some(Incoming::Reply { is_ok: true, .. })), "{reply:?}");
        let refused =
            r#"["6","6","realtime:x","phx_reply",{"status":"error","response":{"reason":"Unauthorized: You do not have permissions"}}]"#;
        assert!(matches!(read_text(refused), Some(Incoming::Reply { is_ok: false, reason, .. }) if reason.starts_with("Unauthorized")));
        let said =
            read_text(r#"[null,null,"realtime:news","broadcast",{"type":"broadcast","event":"e","payload":{"v":1},"meta":{"id":"u-1"}}]"#);
        let expected = Incoming::Broadcast {
            topic: "news".into(),
            event: "e".into(),
            payload: json!({ "v": 1 }),
            meta_id: Some("u-1".into()),
            is_replayed: false,
        };
        assert_eq!(said, Some(expected));
        assert_eq!(read_text(r#"["6","6","realtime:news","phx_close",{}]"#), Some(Incoming::Closed { topic: "news".into() }));
    }

    #[test]
    fn binary_broadcasts_are_understood_and_cut_ones_are_not() {
        let mut frame = vec![4, 13, 5, 12, 1];
        frame.extend_from_slice(b"realtime:newsscore{\"id\":\"u-2\"}{\"v\":1}");
        assert!(
            matches!(read_binary(&frame), Some(Incoming::Broadcast { topic, meta_id: Some(id), .. }) if topic == "news" && id == "u-2")
        );
        for end in 0..30 {
            // Whatever is missing, it is no panic.
            let _ = read_binary(&frame[..end]);
        }
        assert_eq!(read_binary(&[4, 1, 1, 0, 0, b'a', b'b', 1]), None, "raw bytes");
    }

    #[test]
    fn nonsense_is_nothing() {
        for text in ["", "{}", "[]", "[1,2,3,4,5]", r#"[null,null,"a","broadcast",{}]"#, "null"] {
            assert_eq!(read_text(text), None, "{text}");
        }
    }
}
