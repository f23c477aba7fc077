//! A running rater app without a network: its state, a clock, people, and a way to ask.

use actix_web::body::MessageBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, read_body};
use chrono::{DateTime, Utc};
use domain::role::Role;
use rater_app::state::State;
use serde_json::{Value, json};
use storage::raters::NewRater;
use testkit::clock::Hand;
use testkit::database::{self, TestDatabase};
use tokio_util::sync::CancellationToken;
use web::settings::Settings;
use web::token::Subject;

/// A rater app over its own database.
pub struct House {
    pub db: TestDatabase,
    pub state: State,
    pub hand: Hand,
    pub shutdown: CancellationToken,
}

/// Somebody who is signed in.
pub struct Person {
    pub token: String,
    pub rater_id: String,
}

/// What came back.
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Reply {
    pub fn reason(&self) -> &str {
        self.headers.get("Endcap-Reason").map_or("", |value| value.to_str().unwrap())
    }

    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("")
    }
}

impl House {
    pub fn new(variables: &[(&str, &str)]) -> Self {
        // Far in the future, because the sockets' own clock is the system's.
        Self::at("2096-01-15T12:00:00Z", variables)
    }

    pub fn at(instant: &str, variables: &[(&str, &str)]) -> Self {
        Self::on(database::of_choice(), instant, variables)
    }

    /// One on each configured database.
    pub fn everywhere(variables: &[(&str, &str)]) -> Vec<Self> {
        database::all().into_iter().map(|db| Self::on(db, "2096-01-15T12:00:00Z", variables)).collect()
    }

    /// Which database it is on: say it in failure messages.
    pub fn kind(&self) -> &'static str {
        self.db.kind()
    }

    /// On this database.
    pub fn on(db: TestDatabase, instant: &str, variables: &[(&str, &str)]) -> Self {
        let (clock, hand) = testkit::clock::fixed(instant);
        // Nobody listens there: the RLHF backend is down unless a test says otherwise.
        let mut all = vec![("ENDCAP_RLHF_BACKEND_PRIVATE_URL", "http://127.0.0.1:9"), ("ENDCAP_GOLDEN_RATE", "0")];
        all.retain(|(name, _)| !variables.iter().any(|(other, _)| other == name));
        all.extend_from_slice(variables);
        let settings = Settings::from_variables(all).unwrap();
        let shutdown = CancellationToken::new();
        let state = State::new(db.storage.clone(), settings, clock, shutdown.clone()).unwrap();
        Self { db, state, hand, shutdown }
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.hand.now()
    }

    /// Somebody with a rater profile and a token.
    pub async fn person(&self, name: &str, role: Role, is_calibrated: bool) -> Person {
        let new = NewRater { name: name.to_owned(), email: None, is_simulated: false, is_calibrated };
        let now = self.now();
        let rater = self.state.storage.transaction(move |tx| storage::raters::insert(tx, &new, now)).await.unwrap();
        self.sign(&format!("acc_{}", name.replace(' ', "_")), role, Some(rater.rater_id), None)
    }

    /// A token for an account that needs no row.
    pub fn sign(&self, account_id: &str, role: Role, rater_id: Option<String>, tenant: Option<&str>) -> Person {
        let subject = Subject {
            account_id: account_id.to_owned(),
            email: format!("{account_id}@example.com"),
            role,
            tenant_id: tenant.map(str::to_owned),
            rater_id: rater_id.clone(),
            session_id: "ses_test".to_owned(),
            user_metadata: serde_json::Map::new(),
        };
        let (token, _) = self.state.access.tokens().issue_access(&subject, std::time::Duration::from_secs(30 * 86_400)).unwrap();
        Person { token, rater_id: rater_id.unwrap_or_default() }
    }

    /// The audit log: who did what to what, oldest first.
    pub async fn audited(&self) -> Vec<String> {
        let read = move |c: &mut storage::connection::Connection| {
            let (all, page) = (storage::audit::AuditFilter::default(), storage::page::Page::first(100));
            storage::audit::list(c, &domain::scope::Scope::system("test"), &all, &page)
        };
        let rows = self.state.storage.read(read).await.unwrap().rows;
        rows.iter().rev().map(|row| format!("{} {} {}", row.actor, row.action, row.subject)).collect()
    }

    pub fn admin(&self) -> Person {
        self.sign("acc_admin", Role::PlatformAdmin, None, None)
    }
}

/// The router, as the public listener has it but for what surrounds every request: `let app = app!(house);`.
macro_rules! app {
    ($house:expr) => {{
        let state = $house.state.clone();
        let app = actix_web::App::new().app_data(::web::json::BodyLimit(65_536));
        actix_web::test::init_service(app.configure(move |cfg| rater_app::routes::configure_public(cfg, &state))).await
    }};
}

/// Asks, and reads the answer: `ask!(app, post("/v1/tasks", &admin, body))`.
macro_rules! ask {
    ($app:expr, $request:expr) => {
        crate::house::read(actix_web::test::call_service(&$app, $request.to_request()).await).await
    };
}

/// What came back.
pub async fn read<B: MessageBody>(response: ServiceResponse<B>) -> Reply {
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = read_body(response).await;
    Reply { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
}

pub fn post(path: &str, person: &Person, body: Value) -> TestRequest {
    as_person(TestRequest::post().uri(path).set_json(body), person)
}

pub fn get(path: &str, person: &Person) -> TestRequest {
    as_person(TestRequest::get().uri(path), person)
}

pub fn as_person(request: TestRequest, person: &Person) -> TestRequest {
    request.insert_header(("Authorization", format!("Bearer {}", person.token)))
}

/// A plan task whose candidates say which they are.
pub fn plan_task(task_id: &str, required: i32) -> Value {
    json!({
        "task_id": task_id, "task_type": "plan_quality", "title": "Which plan?", "prompt": "Choose the plan to run.",
        "candidate_a": {"summary": "stored first"}, "candidate_b": {"summary": "stored second"}, "required_judgments": required,
    })
}

/// The key under which this assignment shows the candidate that is stored first.
pub fn shown_first(assignment: &Value) -> &'static str {
    if assignment["task"]["candidate_a"]["summary"] == "stored first" { "candidate_a" } else { "candidate_b" }
}

/// The other key.
pub fn other(key: &str) -> &'static str {
    if key == "candidate_a" { "candidate_b" } else { "candidate_a" }
}
