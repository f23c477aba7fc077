//! A realtime server on its own, to try clients against: `cargo run -p realtime --example serve`.
//!
//! It listens on `127.0.0.1` at `PORT` (8002), accepts the key `APIKEY` (`sb_publishable_dev`) and
//! HS256 tokens signed with `JWT_SECRET`, and lets whoever is `authenticated` into private rooms.
//! `POST /change` with `{"schema", "table", "type", "record", "old_record"}` publishes a change of a
//! row, `POST /drop` closes every socket.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use actix_web::{App, HttpResponse, HttpServer, web};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use realtime::authority::{Authority, Grant, Identity, Refusal};
use realtime::hub::Hub;
use realtime::limits::Limits;
use realtime::outgoing::{ChangeType, Outgoing};
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// The columns that the example's tables have; a filter on any other is impossible.
const COLUMNS: [&str; 5] = ["id", "name", "retailer_id", "status", "mark"];

struct Keys {
    key: String,
    secret: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    role: Option<String>,
    exp: Option<i64>,
}

#[derive(Deserialize)]
struct Change {
    schema: String,
    table: String,
    #[serde(rename = "type")]
    kind: String,
    record: Option<Value>,
    old_record: Option<Value>,
}

impl Authority for Keys {
    fn authenticate(&self, token: &str) -> Result<Identity, Refusal> {
        if token == self.key {
            return Ok(Identity {
                subject: "key".to_owned(),
                role: "anon".to_owned(),
                tenant: None,
                expires_at: None,
                grant: Grant::default(),
            });
        }
        let mut validation = Validation::new(Algorithm::HS256);
        // The hub looks at `exp` itself, so that a refusal can say how long ago it was.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let key = DecodingKey::from_secret(self.secret.as_bytes());
        let claims = decode::<Claims>(token, &key, &validation)
            .map_err(|error| if matches!(error.kind(), ErrorKind::InvalidSignature) { Refusal::Signature } else { Refusal::Malformed })?;
        let (Some(role), Some(end)) = (claims.claims.role, claims.claims.exp) else {
            return Err(Refusal::ClaimsMissing);
        };
        Ok(Identity { subject: claims.claims.sub.unwrap_or_default(), role, tenant: None, expires_at: Some(end), grant: Grant::default() })
    }

    fn may_join(&self, identity: &Identity, topic: &str, private: bool) -> Result<(), Refusal> {
        if private && identity.role != "authenticated" {
            return Err(Refusal::NotPermitted { topic: topic.to_owned() });
        }
        Ok(())
    }

    fn may_see(&self, _: &Identity, _: &str, _: Option<&str>, _: &Value) -> bool {
        true
    }

    fn may_send(&self, identity: &Identity, topic: &str, private: bool) -> bool {
        self.may_join(identity, topic, private).is_ok()
    }

    fn has_column(&self, _: &str, _: &str, column: &str) -> bool {
        COLUMNS.contains(&column)
    }
}

async fn change(hub: web::Data<Hub>, sequence: web::Data<AtomicI64>, change: web::Json<Change>) -> HttpResponse {
    let change = change.into_inner();
    let change_type = match change.kind.as_str() {
        "INSERT" => ChangeType::Insert,
        "UPDATE" => ChangeType::Update,
        "DELETE" => ChangeType::Delete,
        _ => return HttpResponse::BadRequest().body("type is INSERT, UPDATE or DELETE"),
    };
    hub.publish(Outgoing::Change {
        schema: change.schema,
        table: change.table,
        change_type,
        record: change.record,
        old_record: change.old_record,
        commit_timestamp: "2026-11-22T15:23:46.426Z".to_owned(),
        tenant: None,
        sequence: Some(sequence.fetch_add(1, Ordering::Relaxed)),
    });
    HttpResponse::Accepted().finish()
}

async fn drop_sockets(hub: web::Data<Hub>) -> HttpResponse {
    let dropped = hub.disconnect(|_| true);
    HttpResponse::Ok().body(format!("{dropped} sockets closed\n"))
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let setting = |name: &str, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    let keys =
        Keys { key: setting("APIKEY", "sb_publishable_dev"), secret: setting("JWT_SECRET", "a-development-secret-of-32-characters") };
    let port = setting("PORT", "8002");
    let shutdown = CancellationToken::new();
    let hub = Hub::new(Arc::new(keys), Limits::default(), shutdown.clone());
    let sequence = web::Data::new(AtomicI64::new(1));
    let data = web::Data::new(hub);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .app_data(sequence.clone())
            .route("/change", web::post().to(change))
            .route("/drop", web::post().to(drop_sockets))
            .configure(|config| realtime::http::configure(config, Hub::clone(&data)))
    })
    .on_connect(realtime::upgrade::keep)
    .workers(2)
    .bind(format!("127.0.0.1:{port}"))?;
    for address in server.addrs() {
        println!("realtime on http://{address}");
    }
    let stopping = async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            shutdown.cancel();
        }
    };
    server.shutdown_signal(stopping).run().await
}
