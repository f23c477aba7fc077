//! The HTTP edge: the WebSocket upgrade, and broadcasts by plain POST.

use std::rc::Rc;
use std::sync::Arc;

use actix_http::ws::handshake;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::authority::{Identity, Refusal};
use crate::broadcast::{Body, Broadcast};
use crate::credentials;
use crate::desk::Desk;
use crate::frame::{Version, readable};
use crate::hub::{Hub, now};
use crate::outgoing::Topic;
use crate::{socket, upgrade};

/// Messages in one POST.
const BATCH: usize = 100;

/// A sender of more messages than this at once is answered when others have had their turn.
const WAITING: usize = 32;
/// Bytes of an event's or topic's name, so that every frame can carry it.
const NAME_BYTES: usize = 246;

/// What is said of JSON that not every client can read.
const UNREADABLE: &str = "the payload has half a surrogate pair or a number that is out of range";

/// Registers the endpoint of Supabase Realtime:
///
/// - `GET /realtime/v1/websocket?apikey=&vsn=` and its alias `/socket/websocket`;
/// - `POST /realtime/v1/api/broadcast` with `{"messages":[{topic, event, payload, private}]}`;
/// - `POST /realtime/v1/api/broadcast/{topic}/events/{event}` with the payload as body.
///
/// Cross-origin headers are the service's business, like those of its other routes. The server needs [`crate::upgrade::keep`] as its `on_connect`.
pub fn configure(config: &mut web::ServiceConfig, hub: Hub) {
    let (most, desk) = (hub.limits().payload_bytes, Rc::new(Desk::default()));
    config
        .service(
            web::scope("/realtime/v1")
                .app_data(web::Data::new(hub.clone()))
                .app_data(Rc::clone(&desk))
                .app_data(web::PayloadConfig::new(most))
                .route("/websocket", web::get().to(websocket))
                .route("/api/broadcast", web::post().to(broadcast))
                .route("/api/broadcast/{topic}/events/{event}", web::post().to(broadcast_event)),
        )
        .service(web::resource("/socket/websocket").app_data(web::Data::new(hub)).app_data(desk).route(web::get().to(websocket)));
}

#[derive(Deserialize)]
struct Query {
    apikey: Option<String>,
    vsn: Option<String>,
    #[serde(default)]
    private: Option<String>,
}

#[derive(Deserialize)]
struct Batch {
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    topic: String,
    event: String,
    payload: Box<RawValue>,
    #[serde(default)]
    private: bool,
}

/// Upgrades to a WebSocket, or refuses with `{"error": ..}`. `log_level`, which clients may send,
/// has no effect.
async fn websocket(request: HttpRequest, payload: web::Payload, query: web::Query<Query>, hub: web::Data<Hub>) -> HttpResponse {
    let Some(desk) = request.app_data::<Rc<Desk>>().cloned() else { return no_connection() };
    let admitted = Version::parse(query.vsn.as_deref()).ok_or(Refusal::UnknownVersion).and_then(|version| {
        let token = credentials::of_upgrade(&request, query.apikey.as_deref(), |page| hub.authority().trusts_page(page))?;
        let identity = Arc::new(authenticate(&hub, &token)?);
        Ok((hub.connect(identity, version, &desk.mail)?, token))
    });
    let (connection, token) = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => return refused(&refusal),
    };
    let mut answer = match handshake(request.head()) {
        Ok(answer) => answer,
        Err(error) => return HttpResponse::build(actix_http::Response::from(&error).status()).json(json!({"error": error.to_string()})),
    };
    let Some((body, handed)) = upgrade::take(&request, payload.into_inner()) else { return no_connection() };
    let hub = Hub::clone(&hub);
    let sockets = hub.sockets().clone();
    actix_web::rt::spawn(sockets.track_future(socket::serve(hub, desk, connection, token, handed)));
    match answer.message_body(body) {
        Ok(answer) => answer.map_into_boxed_body().into(),
        Err(error) => HttpResponse::InternalServerError().json(json!({"error": error.to_string()})),
    }
}

fn no_connection() -> HttpResponse {
    HttpResponse::ServiceUnavailable().json(json!({"error": "This connection cannot become a socket; open a new one"}))
}

/// Sends a batch of broadcasts: 202 with no body. A message that the sender has no permission for
/// vanishes, as on the socket.
async fn broadcast(request: HttpRequest, query: web::Query<Query>, body: web::Bytes, hub: web::Data<Hub>) -> HttpResponse {
    let Ok(identity) = sender(&request, &query, &hub) else {
        return unauthorized();
    };
    let batch: Batch = match serde_json::from_slice(&body) {
        Ok(batch) => batch,
        Err(error) => return unprocessable("messages", &error.to_string()),
    };
    if batch.messages.len() > BATCH {
        let text = format!("at most {BATCH} messages may be sent at once");
        return unprocessable("messages", &text);
    }
    for (index, message) in batch.messages.iter().enumerate() {
        let unreadable = readable(&message.payload).is_none().then_some(UNREADABLE);
        if let Some(problem) = name_problem(&message.topic, &message.event).or(unreadable) {
            return unprocessable(&format!("messages.{index}"), problem);
        }
    }
    if !hub.tenants().may_send_by_http(identity.tenant.as_deref(), &identity.subject, batch.messages.len(), now()) {
        return too_many();
    }
    let count = batch.messages.len();
    for message in batch.messages {
        let topic = Topic { name: message.topic, private: message.private };
        send(&hub, &identity, topic, message.event, Body::Json(message.payload.get().to_owned()));
    }
    if count > WAITING {
        // Those who hear it have their turn before the next batch of this sender comes.
        tokio::time::sleep(crate::desk::LONGEST_REST).await;
    }
    HttpResponse::Accepted().finish()
}

/// Sends one broadcast whose payload is the body, JSON or bytes: 202 with no body.
async fn broadcast_event(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    query: web::Query<Query>,
    body: web::Bytes,
    hub: web::Data<Hub>,
) -> HttpResponse {
    let Ok(identity) = sender(&request, &query, &hub) else {
        return unauthorized();
    };
    let (name, event) = path.into_inner();
    if let Some(problem) = name_problem(&name, &event) {
        return unprocessable("event", problem);
    }
    let kind = request.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("application/json");
    let body = if kind.starts_with("application/json") {
        match serde_json::from_slice::<Box<RawValue>>(&body) {
            Ok(payload) => match readable(&payload) {
                Some(text) => Body::Json(text),
                None => return unprocessable("payload", UNREADABLE),
            },
            Err(error) => return unprocessable("payload", &error.to_string()),
        }
    } else if kind.starts_with("application/octet-stream") {
        Body::Bytes(body)
    } else {
        let text = "Unsupported Media Type: send application/json or application/octet-stream";
        return HttpResponse::UnsupportedMediaType().json(json!({ "error": text }));
    };
    if !hub.tenants().may_send_by_http(identity.tenant.as_deref(), &identity.subject, 1, now()) {
        return too_many();
    }
    let private = query.private.as_deref() == Some("true");
    send(&hub, &identity, Topic { name, private }, event, body);
    HttpResponse::Accepted().finish()
}

fn send(hub: &Hub, identity: &Identity, topic: Topic, event: String, body: Body) {
    if hub.authority().may_send(identity, &topic.name, topic.private) {
        let message = Broadcast { topic, event, body, sequence: None };
        hub.say(message, None);
    }
}

fn sender(request: &HttpRequest, query: &Query, hub: &Hub) -> Result<Identity, Refusal> {
    let token = credentials::of_broadcast(request, query.apikey.as_deref(), |page| hub.authority().trusts_page(page))?;
    authenticate(hub, &token)
}

fn authenticate(hub: &Hub, token: &str) -> Result<Identity, Refusal> {
    let identity = hub.authority().authenticate(token)?;
    let now = i64::try_from(now().as_secs()).unwrap_or(i64::MAX);
    identity.check_life(now)?;
    Ok(identity)
}

fn name_problem(topic: &str, event: &str) -> Option<&'static str> {
    let fits = |name: &str| !name.is_empty() && name.len() <= NAME_BYTES;
    (!fits(topic) || !fits(event)).then_some("topic and event need 1 to 246 bytes each")
}

fn refused(refusal: &Refusal) -> HttpResponse {
    let status = StatusCode::from_u16(refusal.status());
    HttpResponse::build(status.unwrap_or(StatusCode::FORBIDDEN)).json(json!({"error": refusal.upgrade_text()}))
}

fn too_many() -> HttpResponse {
    let text = "MessageRateLimitReached: Too many messages per second; none of these was sent";
    HttpResponse::TooManyRequests().insert_header(("retry-after", "1")).json(json!({ "message": text }))
}

fn unauthorized() -> HttpResponse {
    HttpResponse::Unauthorized().json(json!({"message": "Unauthorized"}))
}

fn unprocessable(field: &str, problem: &str) -> HttpResponse {
    HttpResponse::UnprocessableEntity().json(json!({"errors": {field: [problem]}}))
}
