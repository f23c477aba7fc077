//! Datasets on every configured database: what is left out and why, the same rows in both formats, and how they are streamed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod files;
mod rules;
mod streaming;

use domain::role::Role;
use domain::scope::Scope;
use rlhf_backend::exports::output::Parts;
use rlhf_backend::exports::reader::{Export, Options};
use rlhf_backend::exports::{ExportQuery, Format, manifest};
use serde_json::{Value, json};
use storage::brands::{self, NewBrand};
use storage::connection::execute;
use storage::consensus::{self, NewConsensus};
use storage::feedback::{self, NewFeedback};
use storage::raters::{self, NewRater};
use storage::tasks::{self, NewTask};
use testkit::database::TestDatabase;

/// A database with two brands, each its own tenant.
struct World(TestDatabase);

/// A decided task, as far as tests care.
struct Decided<'a> {
    id: &'a str,
    prompt: &'a str,
    candidates: Vec<Value>,
    choice: &'a str,
    posterior: f64,
    decided_by: &'a str,
}

fn decided<'a>(id: &'a str, prompt: &'a str, a: &str, b: &str, choice: &'a str, posterior: f64) -> Decided<'a> {
    Decided { id, prompt, candidates: vec![json!(a), json!(b)], choice, posterior, decided_by: "raters" }
}

impl World {
    fn each() -> Vec<Self> {
        testkit::database::all().into_iter().map(Self::new).collect()
    }

    fn new(database: TestDatabase) -> Self {
        let conn = &mut database.connect();
        for tenant in ["tnt-a", "tnt-b"] {
            let brand_id = format!("brand-{tenant}");
            let new = NewBrand { brand_id, tenant_id: tenant.into(), name: tenant.into(), is_active: true, ..NewBrand::default() };
            brands::insert(conn, &Scope::system("test"), &new, noon()).unwrap();
        }
        Self(database)
    }

    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn sql(&self, statement: &str) {
        execute(&mut self.0.connect(), statement).unwrap();
    }

    /// A task of the first tenant, decided.
    fn task(&self, of: &Decided<'_>) {
        let conn = &mut self.0.connect();
        let new = NewTask {
            task_id: Some(of.id.to_owned()),
            tenant_id: Some("tnt-a".to_owned()),
            task_type: "plan_quality".to_owned(),
            status: "pending".to_owned(),
            retailer_id: None,
            adapter_id: None,
            title: "Which?".to_owned(),
            prompt: of.prompt.to_owned(),
            context_snippets: json!([]),
            candidates: of.candidates.clone(),
            auto_checks: json!([]),
            rubric_checklist: json!([]),
            reason_codes: json!([]),
            priority: 50,
            uncertainty_score: None,
            required_judgments: 1,
            max_judgments: 1,
            source: None,
            weights: storage::queue::Weights::default(),
        };
        tasks::create(conn, &new, noon()).unwrap();
        let consensus = NewConsensus {
            task_id: of.id.to_owned(),
            choice: Some(of.choice.to_owned()),
            posterior: Some(of.posterior),
            posteriors: json!({ of.choice: of.posterior }),
            method: "one_coin".to_owned(),
            judgments_count: 3,
            agreement: Some(1.0),
            is_final: true,
            decided_by: Some(of.decided_by.to_owned()),
            rationale: None,
        };
        consensus::save(conn, &consensus, noon()).unwrap();
        self.sql(&format!("UPDATE rating_tasks SET status = 'completed' WHERE task_id = '{}'", of.id));
    }

    /// A judgment that counts, by a new rater.
    fn judgment(&self, task_id: &str, is_simulated: bool) {
        let new = NewRater { name: "R".to_owned(), email: None, is_simulated, is_calibrated: true };
        let rater = raters::insert(&mut self.0.connect(), &new, noon()).unwrap().rater_id;
        let id = format!("{task_id}-{rater}");
        self.sql(&format!(
            "INSERT INTO task_assignments (assignment_id, task_id, rater_id, state, purpose, display_order, leased_at, expires_at, heartbeat_at, created_at, updated_at) \
             SELECT '{id}', '{task_id}', '{rater}', 'submitted', 'work', '[1,0]', created_at, created_at, created_at, created_at, created_at FROM rating_tasks WHERE task_id = '{task_id}'"
        ));
        self.sql(&format!(
            "INSERT INTO judgments (judgment_id, assignment_id, task_id, rater_id, choice, display_order, reasons, confidence, rubric_scores, time_spent_seconds, is_escalated, expert_reviewed, rubric_version, created_at, updated_at) \
             SELECT '{id}', '{id}', '{task_id}', '{rater}', 'candidate_a', '[1,0]', '[\"unclear\",\"both_good\"]', 0.75, '{{}}', 12.5, FALSE, FALSE, 1, created_at, created_at FROM rating_tasks WHERE task_id = '{task_id}'"
        ));
    }

    /// Feedback of a tenant: prompt, kind, and then output, preferred and rejected output, or a rating.
    fn said(&self, tenant: &str, prompt: &str, kind: &str, texts: [&str; 3], rating: Option<i32>) {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let new = NewFeedback {
            tenant_id: tenant.into(),
            brand_id: Some(format!("brand-{tenant}")),
            user_id: "acc_1".into(),
            task_type: "plan_quality".into(),
            prompt: prompt.into(),
            model_output: texts[0].into(),
            feedback_type: kind.into(),
            rating,
            preferred_output: given(texts[1]),
            rejected_output: given(texts[2]),
            metadata: json!({}).into(),
            session_id: None,
        };
        feedback::insert(&mut self.0.connect(), &Scope::system("test"), &[new], noon()).unwrap();
    }

    fn prefers(&self, prompt: &str, better: &str, worse: &str) {
        self.said("tnt-a", prompt, "preference", ["", better, worse], None);
    }

    async fn export(&self, options: &Options, parts: Parts) -> Vec<u8> {
        let mut export = Export::open(&self.0.storage.scoped(&first()), &first(), options, parts).await.unwrap();
        drain(&mut export).await
    }

    async fn lines(&self, profile: &str, query: &ExportQuery) -> Vec<Value> {
        lines(&self.export(&query.options(profile).unwrap(), Parts::Rows).await)
    }

    async fn provenance(&self, profile: &str, query: &ExportQuery) -> Vec<Value> {
        lines(&self.export(&query.options(profile).unwrap(), Parts::Provenance).await)
    }

    async fn manifest(&self, profile: &str, query: &ExportQuery) -> Value {
        let options = query.options(profile).unwrap();
        manifest::manifest(&self.0.storage.scoped(&first()), &first(), &options, |_, _| Ok(())).await.unwrap()
    }
}

/// The rest of an export.
async fn drain(export: &mut Export) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(chunk) = export.chunk().await.unwrap() {
        bytes.extend(chunk.rows);
        bytes.extend(chunk.provenance);
    }
    bytes
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    std::str::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Somebody of the first tenant.
fn first() -> Scope {
    Scope::for_caller("acc_1", Role::Analyst, Some("tnt-a"))
}

fn in_format(format: Format) -> ExportQuery {
    ExportQuery { format: Some(format), ..ExportQuery::default() }
}

fn noon() -> chrono::DateTime<chrono::Utc> {
    "2026-01-15T12:00:00Z".parse().unwrap()
}
