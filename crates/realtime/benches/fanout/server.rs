//! Our side: the endpoint on a server of its own, as the rater app serves it, with a simple answer to who may do what.

use std::sync::Arc;

use actix_web::{App, HttpServer};
use anyhow::Result;
use realtime::authority::{Authority, Grant, Identity, Refusal};
use realtime::hub::Hub;
use realtime::limits::Limits;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Everybody may do everything.
struct Everybody;

impl Authority for Everybody {
    fn authenticate(&self, token: &str) -> Result<Identity, Refusal> {
        Ok(Identity {
            subject: token.to_owned(),
            role: "service".to_owned(),
            tenant: None,
            expires_at: Some(i64::MAX),
            grant: Grant::default(),
        })
    }

    fn may_join(&self, _: &Identity, _: &str, _: bool) -> Result<(), Refusal> {
        Ok(())
    }

    fn may_see(&self, _: &Identity, _: &str, _: Option<&str>, _: &Value) -> bool {
        true
    }

    fn may_send(&self, _: &Identity, _: &str, _: bool) -> bool {
        true
    }
}

/// Serves until the process is killed.
pub fn run(port: u16) -> Result<()> {
    // One publisher says more here than a person may, and all sockets are one account's.
    let limits = Limits { messages_per_second: 100_000, account_connections: usize::MAX, ..Limits::default() };
    let hub = Hub::new(Arc::new(Everybody), limits, CancellationToken::new());
    let serving = async move {
        let server = HttpServer::new(move || {
            let hub = hub.clone();
            App::new().configure(move |config| realtime::http::configure(config, hub))
        });
        server.on_connect(realtime::upgrade::keep).workers(2).bind(("127.0.0.1", port))?.run().await
    };
    Ok(actix_web::rt::System::new().block_on(serving)?)
}
