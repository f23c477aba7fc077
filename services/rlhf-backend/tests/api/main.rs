//! The RLHF backend through its real router, on a migrated SQLite database of its own.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod adapter_fuzz;
mod adapters;
mod artifacts;
mod asking;
mod audit;
mod exports;
mod feedback;
mod key_figures;
mod models;
mod pages;
mod scoring;
mod selection;
mod walk;
mod watch;
mod webhook_log;
mod webhooks;

use std::rc::Rc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::test::{self, TestRequest};
use actix_web::{App, web as actix};
use domain::role::Role;
use rlhf_backend::routes;
use rlhf_backend::state::State;
use serde_json::Value;
use testkit::database::TestDatabase;
use web::settings::Settings;
use web::token::Subject;

/// The service on an empty database with two brands, each its own tenant.
struct Service {
    database: Rc<TestDatabase>,
    state: State,
    folder: Rc<tempfile::TempDir>,
}

/// An answer, read.
struct Answer {
    status: StatusCode,
    bytes: actix::Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes.to_vec()).unwrap()
    }
}

const T: &str = "'2026-01-10T08:00:00.000000Z'";

/// Settings with a folder for artifacts of the test's own.
fn settings(folder: &tempfile::TempDir, variables: &[(&str, &str)]) -> Settings {
    let artifacts = folder.path().join("artifacts").display().to_string();
    let mut all = vec![("ENDCAP_ARTIFACT_DIRECTORY", artifacts.as_str())];
    all.extend(variables);
    Settings::from_variables(all).unwrap()
}

impl Service {
    fn new() -> Self {
        Self::with(&[])
    }

    /// With settings of its own.
    fn with(variables: &[(&str, &str)]) -> Self {
        Self::on(testkit::database::sqlite(), variables)
    }

    /// On this database.
    fn on(database: TestDatabase, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(&folder, variables);
        let (clock, _hand) = testkit::clock::fixed("2026-01-15T12:00:00Z");
        let state = State::new(database.storage.clone(), settings, clock).unwrap();
        let service = Self { database: Rc::new(database), state, folder: Rc::new(folder) };
        for (brand, tenant) in [("brand-a", "tnt-a"), ("brand-b", "tnt-b")] {
            service.sql(&format!(
                "INSERT INTO brands (brand_id, tenant_id, name, tone_guidelines, product_categories, budget_constraints, attributes, is_active, created_at, updated_at) \
                 VALUES ('{brand}', '{tenant}', 'Oats of {brand}', '{{}}', '[]', '{{}}', '{{}}', TRUE, {T}, {T})"
            ));
        }
        service
    }

    /// Another process on the same database, which believes nothing yet.
    fn restarted(&self) -> Self {
        self.started((*self.state.settings).clone(), self.state.clock.clone())
    }

    /// Another process on the same database, at another time.
    fn at(&self, now: &str) -> Self {
        self.started((*self.state.settings).clone(), testkit::clock::fixed(now).0)
    }

    /// Another process with other settings, some time later.
    fn reconfigured(&self, variables: &[(&str, &str)], later: chrono::TimeDelta) -> Self {
        let (clock, hand) = testkit::clock::fixed("2026-01-15T12:00:00Z");
        hand.advance(later);
        self.started(settings(&self.folder, variables), clock)
    }

    fn started(&self, settings: Settings, clock: domain::time::Clock) -> Self {
        let state = State::new(self.database.storage.clone(), settings, clock).unwrap();
        Self { database: Rc::clone(&self.database), state, folder: Rc::clone(&self.folder) }
    }

    /// 40 tasks in which people prefer the plan with the higher return, whichever place it stands in; texts are equally long.
    fn judge_plans(&self) {
        for i in 0..40 {
            let (low, high) = (1.0 + f64::from(i % 7) / 10.0, 2.0 + f64::from(i % 5) / 10.0);
            let (better, other) = if i % 2 == 0 { ("candidate_b", (low, high)) } else { ("candidate_a", (high, low)) };
            let plan = |roas: f64| format!("{{\"summary\":\"a plan\",\"roas\":{roas:.2}}}");
            let id = format!("t{i}");
            self.task(&id, &format!("Plan number {i}"), &plan(other.0), &plan(other.1), better, 0.95);
            self.judgment(&id, "rtr_1", better, 0);
            self.judgment(&id, "rtr_2", if i == 3 { "tie" } else { better }, 1);
        }
    }

    /// Runs a statement whose instants are written as SQLite writes them.
    fn sql(&self, statement: &str) {
        let statement = match self.database.kind() {
            "mysql" => statement.replace(".000000Z'", "'"),
            _ => statement.to_owned(),
        };
        storage::connection::execute(&mut self.database.connect(), &statement).unwrap();
    }

    /// A task with its consensus; `choice` like `candidate_a`.
    fn task(&self, id: &str, prompt: &str, a: &str, b: &str, choice: &str, posterior: f64) {
        let other = if choice == "candidate_a" { "candidate_b" } else { "candidate_a" };
        let posteriors = format!("{{\"{choice}\":{posterior},\"{other}\":{}}}", 1.0 - posterior);
        self.sql(&format!(
            "INSERT INTO rating_tasks (task_id, tenant_id, task_type, status, title, prompt, context_snippets, candidate_a, candidate_b, auto_checks, rubric_checklist, reason_codes, is_golden, priority, required_judgments, judgments_count, content_hash, created_at, updated_at) \
             VALUES ('{id}', 'tnt-a', 'plan_quality', 'completed', 't', '{prompt}', '[]', '{a}', '{b}', '[]', '[]', '[]', 0, 50, 3, 3, '{id}', {T}, {T})"
        ));
        self.sql(&format!(
            "INSERT INTO task_consensus (task_id, choice, posterior, posteriors, method, judgments_count, is_final, decided_by, created_at, updated_at) \
             VALUES ('{id}', '{choice}', {posterior}, '{posteriors}', 'gold-vote', 3, 1, 'raters', {T}, {T})"
        ));
    }

    /// One judgment by a rater, who is made when new.
    fn judgment(&self, task: &str, rater: &str, choice: &str, is_simulated: u8) {
        self.sql(&format!(
            "INSERT OR IGNORE INTO rater_profiles (rater_id, name, preferred_task_types, reliability_by_task_type, is_active, is_calibrated, is_simulated, created_at, updated_at) \
             VALUES ('{rater}', 'R', '[]', '{{}}', 1, 1, {is_simulated}, {T}, {T})"
        ));
        self.sql(&format!(
            "INSERT INTO task_assignments (assignment_id, task_id, rater_id, state, purpose, display_order, leased_at, expires_at, heartbeat_at, created_at, updated_at) \
             VALUES ('asg-{task}-{rater}', '{task}', '{rater}', 'submitted', 'work', '[0,1]', {T}, {T}, {T}, {T}, {T})"
        ));
        self.sql(&format!(
            "INSERT INTO judgments (judgment_id, assignment_id, task_id, rater_id, choice, display_order, reasons, confidence, rubric_scores, time_spent_seconds, is_escalated, expert_reviewed, rubric_version, created_at, updated_at) \
             VALUES ('jdg-{task}-{rater}', 'asg-{task}-{rater}', '{task}', '{rater}', '{choice}', '[0,1]', '[]', 0.75, '{{}}', 12.5, 0, 0, 1, {T}, {T})"
        ));
    }

    fn token(&self, role: Role, tenant: Option<&str>) -> String {
        let subject = Subject {
            account_id: format!("acc_{role}"),
            email: "a@example.org".into(),
            role,
            tenant_id: tenant.map(str::to_owned),
            rater_id: None,
            session_id: "s".into(),
            user_metadata: serde_json::Map::new(),
        };
        self.state.access.tokens().issue_access(&subject, Duration::from_secs(600)).unwrap().0
    }

    async fn send(&self, token: &str, request: TestRequest) -> Answer {
        let state = self.state.clone();
        let app = test::init_service(App::new().configure(|routes| routes::configure_public(routes, &state))).await;
        let response = test::call_service(&app, request.insert_header(("authorization", format!("Bearer {token}"))).to_request()).await;
        Answer { status: response.status(), bytes: test::read_body(response).await }
    }

    async fn get(&self, token: &str, path: &str) -> Answer {
        self.send(token, TestRequest::get().uri(path)).await
    }

    async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.send(token, TestRequest::post().uri(path).set_json(body)).await
    }

    async fn delete(&self, token: &str, path: &str) -> Answer {
        self.send(token, TestRequest::delete().uri(path)).await
    }

    async fn internal(&self, path: &str, body: Value) -> Answer {
        let state = self.state.clone();
        let app = test::init_service(App::new().configure(|routes| routes::configure_internal(routes, &state))).await;
        let response = test::call_service(&app, TestRequest::post().uri(path).set_json(body).to_request()).await;
        Answer { status: response.status(), bytes: test::read_body(response).await }
    }
}
