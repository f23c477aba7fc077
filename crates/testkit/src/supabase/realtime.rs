//! Realtime of the stand-in: sockets of serialisation 2.0.0 that join channels, and broadcasts by HTTP.

use std::collections::HashSet;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request as Upgrade, Response};

use super::http::{Reply, Request};
use super::{ANON_KEY, Fault, SERVICE_KEY, Shared};

/// Says something to whoever has joined.
pub(super) fn say(shared: &Shared, topic: &str, event: &str, payload: &Value) {
    let body = json!({ "type": "broadcast", "event": event, "payload": payload, "meta": { "id": uuid::Uuid::new_v4() } });
    // Nobody may listen.
    shared.say.send(json!([null, null, format!("realtime:{topic}"), "broadcast", body]).to_string()).ok();
}

pub(super) fn broadcast(shared: &Shared, request: &Request) -> Reply {
    if request.method != "POST" || request.path != "/realtime/v1/api/broadcast" {
        return Reply::empty(404);
    }
    let body = request.json();
    let Some(messages) = body["messages"].as_array() else { return Reply::json(422, &json!({ "errors": { "messages": "is missing" } })) };
    shared.held().messages.extend(messages.iter().cloned());
    for message in messages {
        say(shared, message["topic"].as_str().unwrap_or_default(), message["event"].as_str().unwrap_or_default(), &message["payload"]);
    }
    Reply::empty(202)
}

#[allow(clippy::result_large_err, reason = "the library's shape of a refusal")]
pub(super) async fn serve(stream: TcpStream, shared: Shared, fault: Option<Fault>) {
    match fault {
        Some(Fault::Drop) => return,
        Some(Fault::Slow(pause)) => tokio::time::sleep(pause).await,
        _ => {}
    }
    let refuse = |status: u16, text: &str| {
        let mut response = ErrorResponse::new(Some(json!({ "error": text }).to_string()));
        *response.status_mut() = status.try_into().unwrap();
        response
    };
    let check = |request: &Upgrade, response: Response| {
        let key = request.headers().get("apikey").and_then(|key| key.to_str().ok()).unwrap_or_default();
        match fault {
            Some(Fault::Status(status)) => Err(refuse(status, "Error connecting to Realtime")),
            Some(Fault::ExpiredKey) => Err(refuse(401, "Token has expired")),
            _ if key != ANON_KEY && key != SERVICE_KEY => Err(refuse(401, "The token provided is not a valid JWT")),
            _ => Ok(response),
        }
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, check).await else { return };
    let (mut said, mut cut) = (shared.say.subscribe(), shared.cut.subscribe());
    let mut joined: HashSet<String> = HashSet::new();
    loop {
        let text = tokio::select! {
            _ = cut.changed() => return,
            Ok(text) = said.recv() => {
                let frame: Value = serde_json::from_str(&text).unwrap_or_default();
                if !joined.contains(frame[2].as_str().unwrap_or_default()) {
                    continue;
                }
                text
            }
            message = socket.next() => {
                let Some(Ok(Message::Text(text))) = message else { return };
                let frame: Value = serde_json::from_str(&text).unwrap_or_default();
                let answer = if frame[3] == "phx_join" { join(&shared, &frame, &mut joined) } else { json!({ "status": "ok", "response": {} }) };
                match fault {
                    Some(Fault::Malformed) => "no frame of this protocol".to_owned(),
                    _ => json!([frame[0], frame[1], frame[2], "phx_reply", answer]).to_string(),
                }
            }
        };
        if socket.send(Message::text(text)).await.is_err() {
            return;
        }
    }
}

fn join(shared: &Shared, frame: &Value, joined: &mut HashSet<String>) -> Value {
    let topic = frame[2].as_str().unwrap_or_default().to_owned();
    let is_private = frame[4]["config"]["private"] == true;
    shared.held().joins.push(frame[4].clone());
    if is_private && frame[4]["access_token"] != SERVICE_KEY {
        let name = topic.trim_start_matches("realtime:");
        let reason = format!("Unauthorized: You do not have permissions to read from this Channel topic: {name}");
        return json!({ "status": "error", "response": { "reason": reason } });
    }
    joined.insert(topic);
    json!({ "status": "ok", "response": { "postgres_changes": [] } })
}
