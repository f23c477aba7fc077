//! What the rating benchmark plays on: a PostgreSQL database with raters and tasks, and the rater app over it.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Text};
use domain::role::Role;
use domain::time::Clock;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use secrecy::SecretString;
use serde_json::{Value, json};
use storage::connection::Connection;
use storage::raters::NewRater;
use testkit::bench::cpu;
use testkit::database::{self, TestDatabase};
use testkit::http::Client;
use testkit::service::Service;
use web::token::{Subject, Tokens};

const SECRET: &str = "the benchmark's own secret, of more than 32 bytes";

/// Tasks sent in one request.
const TASKS_PER_REQUEST: usize = 200;

/// Everything that runs.
pub struct Stage {
    pub database: TestDatabase,
    pub service: Service,
    /// Process id of the database server.
    postmaster: u32,
    /// A bearer header for each rater.
    pub raters: Vec<String>,
    /// CPU that the system uses while nobody asks for anything, in seconds per second: application and database.
    idle: (f64, f64),
}

/// CPU of application and database, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Used {
    pub app: f64,
    pub database: f64,
}

impl Stage {
    /// Starts everything; `None` without a PostgreSQL server.
    pub async fn set(raters: usize, tasks: usize) -> Result<Option<Self>> {
        let Some(database) = database::of_kind("postgres") else { return Ok(None) };
        let service = Service::start(Path::new(env!("CARGO_BIN_EXE_rater-app")), &variables(&database.url))?;
        let postmaster = postmaster(&mut database.connect())?;
        let mut stage = Self { database, service, postmaster, raters: Vec::new(), idle: (0.0, 0.0) };
        stage.add_raters(raters).await?;
        stage.add_tasks(tasks).await?;
        stage.analyze()?;
        stage.measure_idle().await;
        Ok(Some(stage))
    }

    /// Lets the database look over its tables, as it does by itself within a minute of much change.
    pub fn analyze(&self) -> Result<()> {
        Ok(storage::connection::execute(&mut self.database.connect(), "VACUUM ANALYZE")?)
    }

    async fn add_raters(&mut self, count: usize) -> Result<()> {
        let now = domain::time::now();
        let insert = move |tx: &mut Connection| {
            let new = |n: usize| NewRater { name: format!("rater {n}"), email: None, is_simulated: true, is_calibrated: true };
            (0..count).map(|n| Ok(storage::raters::insert(tx, &new(n), now)?.rater_id)).collect::<Result<Vec<_>, _>>()
        };
        let ids = self.database.storage.transaction(insert).await?;
        self.raters = ids.iter().map(|id| bearer(id, Role::Rater, Some(id))).collect::<Result<_>>()?;
        Ok(())
    }

    /// Plan tasks for three judgments each, through the API with its checks.
    async fn add_tasks(&self, count: usize) -> Result<()> {
        let (mut client, admin) = (Client::new(self.service.address), bearer("acc_admin", Role::PlatformAdmin, None)?);
        let mut rng = StdRng::seed_from_u64(7);
        for from in (0..count).step_by(TASKS_PER_REQUEST) {
            let tasks: Vec<Value> = (from..count.min(from + TASKS_PER_REQUEST)).map(|n| task(n, &mut rng)).collect();
            let body = serde_json::to_vec(&tasks)?;
            let answer = client.send("POST", "/v1/tasks", &[("Authorization", &admin)], Some(&body)).await?;
            ensure!(answer.status == 201, "tasks were answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        Ok(())
    }

    async fn measure_idle(&mut self) {
        // Whatever the loading left to be done is done first.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = self.used();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let after = self.used();
        self.idle = ((after.app - before.app) / 5.0, (after.database - before.database) / 5.0);
    }

    /// CPU so far.
    pub fn used(&self) -> Used {
        Used { app: cpu::of_tree(self.service.pid()).as_secs_f64(), database: cpu::of_tree(self.postmaster).as_secs_f64() }
    }

    /// CPU since `before`, without what the system uses by itself in `wall`.
    pub fn since(&self, before: Used, wall: Duration) -> Used {
        let (now, seconds) = (self.used(), wall.as_secs_f64());
        let rest = |now: f64, before: f64, idle: f64| (now - before - idle * seconds).max(0.0);
        Used { app: rest(now.app, before.app, self.idle.0), database: rest(now.database, before.database, self.idle.1) }
    }

    /// CPU seconds per second without any work.
    pub fn idle(&self) -> f64 {
        self.idle.0 + self.idle.1
    }

    /// One number.
    pub fn number(&self, query: &str) -> Result<i64> {
        #[derive(diesel::QueryableByName)]
        struct One {
            #[diesel(sql_type = BigInt)]
            value: i64,
        }
        let mut conn = self.database.connect();
        let one: One = storage::on!(&mut conn, c => diesel::sql_query(query).get_result(c))?;
        Ok(one.value)
    }
}

fn variables(url: &str) -> [(&str, &str); 6] {
    [
        ("DATABASE_URL", url),
        ("ENDCAP_JWT_SECRET", SECRET),
        ("ENDCAP_GOLDEN_RATE", "0"),
        // Raters who answer at random at once are not to be paused here.
        ("ENDCAP_INTEGRITY_ACTIONS", "by_hand"),
        // Nobody listens there.
        ("ENDCAP_RLHF_BACKEND_PRIVATE_URL", "http://127.0.0.1:9"),
        ("RUST_LOG", "error,web::server=info"),
    ]
}

fn bearer(account_id: &str, role: Role, rater_id: Option<&String>) -> Result<String> {
    let subject = Subject {
        account_id: account_id.to_owned(),
        email: format!("{account_id}@example.com"),
        role,
        tenant_id: None,
        rater_id: rater_id.cloned(),
        session_id: "ses_bench".to_owned(),
        user_metadata: serde_json::Map::new(),
    };
    let tokens = Tokens::new(&SecretString::from(SECRET), Clock::system());
    Ok(format!("Bearer {}", tokens.issue_access(&subject, Duration::from_secs(3600))?.0))
}

fn postmaster(conn: &mut Connection) -> Result<u32> {
    #[derive(diesel::QueryableByName)]
    struct One {
        #[diesel(sql_type = Text)]
        value: String,
    }
    let query = diesel::sql_query("SELECT current_setting('data_directory') AS value");
    let folder: One = storage::on!(conn, c => query.get_result(c))?;
    let text = std::fs::read_to_string(format!("{}/postmaster.pid", folder.value)).context("the server's process id")?;
    Ok(text.lines().next().unwrap_or_default().trim().parse()?)
}

/// A task of about a kilobyte, like those that plans become.
fn task(n: usize, rng: &mut StdRng) -> Value {
    let mut plan = |name: &str| {
        let lines: Vec<Value> = ["sponsored_product", "sponsored_brand", "onsite_display", "offsite_video"]
            .map(|placement| json!({"placement_type": placement, "spend": rng.random_range(100..5_000), "roas": rng.random_range(1.0..6.0_f64)}))
            .into();
        json!({"summary": format!("{name} of {n}"), "lines": lines, "rationale": "It keeps the floor of every placement and moves the rest to where it returns most."})
    };
    json!({
        "task_id": format!("bench-{n}"), "task_type": "plan_quality", "title": format!("Plan {n}"), "prompt": "Which plan would you run next week?",
        "candidate_a": plan("first"), "candidate_b": plan("second"), "required_judgments": 3,
    })
}

/// Latencies in milliseconds, and what went wrong.
#[derive(Debug, Default)]
pub struct Seen {
    pub next: Vec<f64>,
    pub submit: Vec<f64>,
    pub nothing: usize,
    pub errors: Vec<String>,
}

/// Shared by all raters of a phase.
pub type Log = Arc<Mutex<Seen>>;
