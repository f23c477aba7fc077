//! The HTTP edge: the WebSocket upgrade, and broadcasts by plain POST.

use std::rc::Rc;
use std::sync::Arc;

use actix_http::ws::{HandshakeError, handshake};
use actix_web::error::ErrorBadRequest;
use actix_web::http::header::{CONTENT_TYPE, TRANSFER_ENCODING, UPGRADE};
use actix_web::http::{StatusCode, Version as HttpVersion};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tracing::{Instrument as _, Span};

use crate::authority::{Identity, Refusal};
use crate::broadcast::{Body, Broadcast};
use crate::credentials;
use crate::frame::{Version, readable};
use crate::hub::{Hub, now};
use crate::outgoing::Topic;
use crate::worker::WorkerSockets;
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
    let (most, worker) = (hub.limits().payload_bytes, Rc::new(WorkerSockets::default()));
    config
        .service(
            web::scope("/realtime/v1")
                .app_data(web::Data::new(hub.clone()))
                .app_data(Rc::clone(&worker))
                .app_data(web::PayloadConfig::new(most))
                .route("/websocket", web::get().to(websocket))
                .route("/api/broadcast", web::post().to(broadcast))
                .route("/api/broadcast/{topic}/events/{event}", web::post().to(broadcast_event)),
        )
        .service(web::resource("/socket/websocket").app_data(web::Data::new(hub)).app_data(worker).route(web::get().to(websocket)));
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
    let Some(worker) = request.app_data::<Rc<WorkerSockets>>().cloned() else { return no_connection() };
    if let Some(problem) = unfit(&request) {
        return HttpResponse::from_error(ErrorBadRequest(problem));
    }
    let admitted = Version::parse(query.vsn.as_deref()).ok_or(Refusal::UnknownVersion).and_then(|version| {
        let token = credentials::of_upgrade(&request, query.apikey.as_deref(), |page| hub.authority().trusts_page(page))?;
        let identity = Arc::new(authenticate(&hub, &token)?);
        Ok((hub.connect(identity, version, &worker.ready)?, token))
    });
    let (connection, token) = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => return refused(&refusal),
    };
    let mut answer = match handshake(request.head()) {
        Ok(answer) => answer,
        Err(error) => return no_handshake(&error),
    };
    let Some((body, handed)) = upgrade::take(&request, payload.into_inner()) else { return no_connection() };
    let hub = Hub::clone(&hub);
    let sockets = hub.sockets().clone();
    // In the span of the request: what is logged of the socket names the request, the caller and the tenant too.
    actix_web::rt::spawn(sockets.track_future(socket::serve(hub, worker, connection, token, handed)).instrument(Span::current()));
    match answer.message_body(body) {
        Ok(answer) => answer.map_into_boxed_body().into(),
        Err(error) => HttpResponse::InternalServerError().json(json!({"error": error.to_string()})),
    }
}

/// Why a request cannot become a socket, whoever sends it: the server would not hand on what comes after its head as it came.
fn unfit(request: &HttpRequest) -> Option<&'static str> {
    if request.version() < HttpVersion::HTTP_11 {
        return Some(
            "A WebSocket needs HTTP/1.1 (RFC 6455, 4.1), and this request came as HTTP/1.0; a proxy in between may have to be told so.",
        );
    }
    if request.headers().contains_key(TRANSFER_ENCODING) {
        return Some("A WebSocket begins with a request that has no body; leave out Transfer-Encoding.");
    }
    // The server knows an upgrade by this value; with another the rest would be read as a body or as requests.
    let mut names = request.headers().get_all(UPGRADE).filter_map(|value| value.to_str().ok());
    let is_known = names.any(|name| name.trim().eq_ignore_ascii_case("websocket"));
    (request.head().upgrade() && !is_known).then_some("The header Upgrade must be `websocket` and nothing else.")
}

/// With the headers that say what would do, such as `Sec-WebSocket-Version`.
fn no_handshake(error: &HandshakeError) -> HttpResponse {
    let plain = actix_http::Response::from(error);
    let mut answer = HttpResponse::build(plain.status());
    plain.headers().iter().for_each(|header| _ = answer.insert_header(header));
    answer.json(json!({"error": error.to_string()}))
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
        Err(_) => {
            let (field, problem) = misread(&body);
            return unprocessable(&field, &problem);
        }
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
        tokio::time::sleep(crate::worker::LONGEST_REST).await;
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
    // The log names them as it does for all other requests; neither is personal data.
    let span = Span::current();
    span.record("caller", &identity.subject);
    if let Some(tenant) = &identity.tenant {
        span.record("tenant", tenant);
    }
    Ok(identity)
}

/// What is wrong with a body that is no batch, and where: for people who do not know our types.
fn misread(body: &[u8]) -> (String, String) {
    let whole = |text: &str| ("messages".to_owned(), text.to_owned());
    let body: Value = match serde_json::from_slice(body) {
        Ok(body) => body,
        Err(error) => return whole(&format!("the body is not JSON: {error}")),
    };
    let Some(fields) = body.as_object() else { return whole("the body must be an object {\"messages\": [...]}") };
    let Some(messages) = fields.get("messages") else { return whole("is missing: the body must be an object {\"messages\": [...]}") };
    let Some(messages) = messages.as_array() else { return whole("must be a list of messages {topic, event, payload, private}") };
    let wrong = messages.iter().enumerate().find_map(|(index, message)| {
        let at = |field: &str, problem: &str| Some((format!("messages.{index}{field}"), problem.to_owned()));
        let Some(message) = message.as_object() else { return at("", "must be an object {topic, event, payload, private}") };
        for field in ["topic", "event"] {
            match message.get(field) {
                None => return at(&format!(".{field}"), "is missing"),
                Some(value) if !value.is_string() => return at(&format!(".{field}"), "must be text"),
                Some(_) => {}
            }
        }
        match (message.get("payload"), message.get("private")) {
            (None, _) => at(".payload", "is missing: any JSON, such as {}"),
            (_, Some(private)) if !private.is_boolean() => at(".private", "must be true or false"),
            _ => None,
        }
    });
    wrong.unwrap_or_else(|| whole("could not be read: a field is there twice, or a number is out of range"))
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
