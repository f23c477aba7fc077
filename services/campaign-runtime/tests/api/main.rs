//! The service as its callers see it: the real router on a migrated SQLite database; other services are down or faked.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod analytics;
mod answers;
mod bulk;
mod catalog;
mod experiments;
mod governance;
mod imports;
mod life;
mod machine;
mod numbers;
mod optimizer;
mod pages;
mod peers;
mod plan_feedback;
mod plans;
mod program;
mod readings;
mod references;
mod refusals;
mod walk;
mod words;
mod worked_example;

use std::path::PathBuf;
use std::rc::Rc;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::test::TestRequest;
use actix_web::{App, test};
use campaign_runtime::state::State;
use domain::role::Role;
use domain::scope::Scope;
use domain::time::Clock;
use futures_util::future::LocalBoxFuture;
use serde_json::Value;
use storage::api_keys::{self, NewApiKey};
use storage::imports::{Compression, Format, Request, Table, load};
use testkit::clock::Hand;
use testkit::database::TestDatabase;
use web::access::hash_key;
use web::settings::Settings;

pub const GROCER: &str = "ek_grocer";
pub const OTHER: &str = "ek_other";
pub const PLATFORM: &str = "ek_platform";

/// A running system with the sample bundle and three API keys.
pub struct Bench {
    pub database: TestDatabase,
    pub state: State,
    pub hand: Hand,
}

/// `peer` is the private address of both other services; nobody answers at port 1.
pub async fn bench(peer: Option<&str>) -> Bench {
    bench_on(testkit::database::of_choice(), peer).await
}

/// The same on this database.
pub async fn bench_on(database: TestDatabase, peer: Option<&str>) -> Bench {
    let sample = [
        (Table::Retailers, "retailers"),
        (Table::Brands, "brands"),
        (Table::Skus, "sku_catalog"),
        (Table::AudienceSegments, "audience_segments"),
        (Table::Campaigns, "campaigns"),
        (Table::Performance, "performance_metrics"),
    ];
    let files = sample.map(|(table, name)| (table, data(name), Compression::None));
    bench_with(database, peer, &files)
}

/// The same with these CSV files, imported in their order.
pub fn bench_with(database: TestDatabase, peer: Option<&str>, files: &[(Table, PathBuf, Compression)]) -> Bench {
    let (clock, hand) = testkit::clock::fixed("2026-01-15T12:00:00Z");
    let state = state(&database, peer.unwrap_or("http://127.0.0.1:1"), clock);
    let mut conn = database.connect();
    let now = state.clock.now();
    let system = Scope::system("test");
    let keys = [
        (GROCER, Role::Analyst, Some("rtl-grocer-cj")),
        (OTHER, Role::TenantAdmin, Some("tnt-m2-national")),
        (PLATFORM, Role::PlatformAdmin, None),
    ];
    for (key, role, tenant) in keys {
        let new = NewApiKey {
            name: key.to_owned(),
            key_hash: hash_key(key),
            key_prefix: key.to_owned(),
            role: role.to_string(),
            tenant_id: tenant.map(str::to_owned),
            scopes: Vec::new(),
            expires_at: None,
        };
        api_keys::insert(&mut conn, &system, &new, now).unwrap();
    }
    for (table, path, compression) in files {
        let request = Request::new(*table, path.clone(), Format::Csv, *compression);
        assert!(load(&mut conn, &system, &request, now, &|_| {}).unwrap().is_kept);
    }
    Bench { database, state, hand }
}

fn state(database: &TestDatabase, address: &str, clock: Clock) -> State {
    let settings = Settings::from_variables([
        ("ENDCAP_RLHF_BACKEND_PRIVATE_URL", address),
        ("ENDCAP_RATER_APP_PRIVATE_URL", address),
        ("ENDCAP_PEER_TIMEOUT_MS", "2000"),
    ])
    .unwrap();
    State::new(database.storage.clone(), settings, clock).unwrap()
}

/// A file of the sample bundle.
pub fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../crates/storage/tests/data/retail/{name}.csv"))
}

impl Bench {
    /// Puts both other services at this address.
    pub fn connect(&mut self, address: &str) {
        self.state = state(&self.database, address, self.state.clock.clone());
    }

    pub async fn app(&self) -> Client {
        let state = self.state.clone();
        let service = test::init_service(App::new().configure(move |routes| campaign_runtime::configure_public(routes, &state))).await;
        let service = Rc::new(service);
        Client(Box::new(move |request| {
            let service = Rc::clone(&service);
            Box::pin(async move {
                let (status, headers, body) = match test::try_call_service(&*service, request.to_request()).await {
                    Ok(response) => (response.status(), response.headers().clone(), test::read_body(response).await),
                    Err(error) => {
                        let response = error.error_response();
                        let (status, headers) = (response.status(), response.headers().clone());
                        (status, headers, actix_web::body::to_bytes(response.into_body()).await.unwrap_or_default())
                    }
                };
                (status, headers, String::from_utf8(body.to_vec()).unwrap())
            })
        }))
    }
}

type Answer = LocalBoxFuture<'static, (StatusCode, HeaderMap, String)>;

/// The router, ready for requests.
pub struct Client(Box<dyn Fn(TestRequest) -> Answer>);

/// Sends JSON and reads JSON (null for an empty answer).
pub async fn call(app: &Client, key: &str, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let mut request = TestRequest::with_uri(path).method(method.parse().unwrap()).insert_header(("apikey", key));
    if let Some(body) = body {
        request = request.set_json(body);
    }
    let (status, text) = send(app, request).await;
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// Sends a request and reads the answer as text.
pub async fn send(app: &Client, request: TestRequest) -> (StatusCode, String) {
    let (status, _, text) = app.with_headers(request).await;
    (status, text)
}

impl Client {
    /// Sends a request and reads status, headers and text.
    pub async fn with_headers(&self, request: TestRequest) -> (StatusCode, HeaderMap, String) {
        (self.0)(request).await
    }
}
