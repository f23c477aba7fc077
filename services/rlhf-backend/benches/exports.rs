//! Exports of 1,000,000 pairs on PostgreSQL, through the real router: megabytes for each second of CPU of the service and the database
//! together, beside the database's own `COPY TO STDOUT` of the same rows as JSON lines (read by `psql`), the time to the first byte, and the
//! most memory that the process held: `scripts/bench exports`.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::test::{self, TestRequest};
use actix_web::{App, rt};
use diesel::prelude::*;
use diesel::sql_types::Integer;
use domain::role::Role;
use rlhf_backend::routes;
use rlhf_backend::state::State;
use storage::connection::{Connection, execute};
use testkit::bench::{Report, cpu};
use testkit::database::TestDatabase;
use web::settings::Settings;
use web::token::Subject;

/// Judged tasks, and as many preferences.
const EACH: usize = 500_000;
/// Preferences that were given before, in the second part.
const REPEATED: usize = 20_000;
/// Earlier figure of ours for the Python program that this one replaces: megabytes for each second of CPU.
const ORIGINAL: f64 = 9.0;

fn main() {
    let Some(database) = testkit::database::of_kind("postgres") else {
        println!("exports: skipped, because TEST_POSTGRES_URL names no server (scripts/bench starts one)");
        return;
    };
    rt::System::new().block_on(run(&database));
}

struct Measured {
    bytes: usize,
    cpu: Duration,
    first_byte: Duration,
    whole: Duration,
    peak_mb: f64,
}

impl Measured {
    fn rate(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.cpu.as_secs_f64()
    }
}

async fn run(database: &TestDatabase) {
    let begun = Instant::now();
    let server = fill(database);
    println!("{} pairs after {:.0} s", 2 * EACH, begun.elapsed().as_secs_f64());
    let settings = Settings::from_variables(Vec::<(&str, &str)>::new()).unwrap();
    let (clock, _hand) = testkit::clock::fixed("2026-06-15T12:00:00Z");
    let state = State::new(database.storage.clone(), settings, clock).unwrap();
    let mut report = Report::new("exports");
    let at_rest = memory_mb("VmRSS:");
    let copy = copy(database, server);
    println!("COPY: {} bytes, {:.1} MB a CPU second", copy.bytes, copy.rate());
    for path in ["trl-preference", "trl-preference-chat", "reward", "kto", "hh-rlhf", "trl-preference/provenance"] {
        let seen = export(&state, server, path).await;
        let row = report.figure(&format!("{path}, JSON lines"), seen.rate(), "MB per CPU second");
        row.against("COPY TO STDOUT as JSON lines", copy.rate());
        // What is beside the datasets has no goal of its own: its lines are short, and each holds a checksum.
        if !path.ends_with("provenance") {
            row.wanted("at least 50", seen.rate() >= 50.0);
        }
        if path == "trl-preference" {
            assert_eq!(seen.bytes, copy.bytes, "the same rows");
            report.figure("  beside the program it replaces", seen.rate(), "MB per CPU second").against("an earlier run of it", ORIGINAL);
            more(&mut report, &seen, at_rest);
        }
    }
    let seen = export(&state, server, "trl-preference-chat?format=parquet").await;
    let row = report.figure("trl-preference-chat, Parquet: pairs", 2.0 * EACH as f64 / seen.cpu.as_secs_f64(), "per CPU second");
    row.against("COPY TO STDOUT as JSON lines", 2.0 * EACH as f64 / copy.cpu.as_secs_f64());
    more(&mut report, &seen, at_rest);
    execute(&mut database.connect(), &repeats()).unwrap();
    let seen = export(&state, server, "trl-preference").await;
    let row = report.figure(&format!("trl-preference, {REPEATED} pairs said twice, one simulated rater"), seen.rate(), "MB per CPU second");
    row.against("COPY TO STDOUT as JSON lines", copy.rate());
    more(&mut report, &seen, at_rest);
    report.finish().unwrap();
}

fn more(report: &mut Report, seen: &Measured, at_rest: f64) {
    report.figure("  first byte", seen.first_byte.as_secs_f64(), "s").against("the whole file", seen.whole.as_secs_f64());
    report.figure("  most memory", seen.peak_mb, "MB").against("before the first export", at_rest);
}

/// Asks the router and reads the answer to its end without keeping it.
async fn export(state: &State, server: u32, path: &str) -> Measured {
    let app = test::init_service(App::new().configure(|routes| routes::configure_public(routes, state))).await;
    let subject = Subject {
        account_id: "acc_bench".into(),
        email: "a@example.org".into(),
        role: Role::Analyst,
        tenant_id: Some("tnt-a".into()),
        rater_id: None,
        session_id: "s".into(),
        user_metadata: serde_json::Map::new(),
    };
    let token = state.access.tokens().issue_access(&subject, Duration::from_secs(3_600)).unwrap().0;
    let request = TestRequest::get().uri(&format!("/v1/exports/{path}")).insert_header(("authorization", format!("Bearer {token}")));
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, begun) = (spent(server), Instant::now());
    let response = test::call_service(&app, request.to_request()).await;
    assert_eq!(response.status().as_u16(), 200);
    let mut body = std::pin::pin!(response.into_body());
    let (mut bytes, mut first_byte) = (0, None);
    while let Some(chunk) = std::future::poll_fn(|context| body.as_mut().poll_next(context)).await {
        first_byte.get_or_insert_with(|| begun.elapsed());
        bytes += chunk.map_err(|error| error.to_string()).unwrap().len();
    }
    let (cpu, whole) = (spent(server) - before, begun.elapsed());
    Measured { bytes, cpu, first_byte: first_byte.unwrap(), whole, peak_mb: memory_mb("VmHWM:") }
}

/// The database writes the same rows as JSON lines by itself.
fn copy(database: &TestDatabase, server: u32) -> Measured {
    let query = "COPY (SELECT row_to_json(r)::text FROM ( \
        (SELECT t.prompt, ' ' || (CASE k.choice WHEN 'candidate_a' THEN t.candidate_a ELSE t.candidate_b END #>> '{}') AS chosen, \
            ' ' || (CASE k.choice WHEN 'candidate_a' THEN t.candidate_b ELSE t.candidate_a END #>> '{}') AS rejected \
         FROM rating_tasks t JOIN task_consensus k ON k.task_id = t.task_id WHERE t.tenant_id = 'tnt-a' ORDER BY t.id) \
        UNION ALL (SELECT prompt, ' ' || preferred_output, ' ' || rejected_output FROM feedback WHERE tenant_id = 'tnt-a' ORDER BY id)) r) TO STDOUT";
    let (before, begun) = (spent(server), Instant::now());
    let mut psql = Command::new("psql").args([&database.url, "-qc", query]).stdout(Stdio::piped()).spawn().expect("psql, to read COPY");
    let bytes = std::io::copy(psql.stdout.as_mut().unwrap(), &mut std::io::sink()).unwrap();
    assert!(psql.wait().unwrap().success());
    let (cpu, whole) = (spent(server) - before, begun.elapsed());
    Measured { bytes: usize::try_from(bytes).unwrap(), cpu, first_byte: Duration::ZERO, whole, peak_mb: 0.0 }
}

/// CPU of this process, what it started, and the database server.
fn spent(server: u32) -> Duration {
    cpu::of_tree(std::process::id()) + cpu::of_tree(server)
}

fn memory_mb(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1_024.0
}

#[derive(QueryableByName)]
struct Backend {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

/// Fills the database with texts of a few hundred characters; the process id of its server.
fn fill(database: &TestDatabase) -> u32 {
    let mut conn = database.connect();
    let answer = |which: &str| format!("'{which} plan ' || i || ': ' || repeat('search and display in turn, ', 9)");
    let prompt = "'Plan week ' || i || ' for oat bars. ' || repeat('Keep the budget. ', 9)";
    let (a, b) = (answer("First"), answer("Other"));
    for statement in [
        "INSERT INTO brands (brand_id, tenant_id, name, tone_guidelines, product_categories, budget_constraints, attributes, is_active, created_at, updated_at) \
         VALUES ('brand-a', 'tnt-a', 'Oats', '{}', '[]', '{}', '{}', TRUE, now(), now())".to_owned(),
        format!(
            "INSERT INTO rating_tasks (task_id, tenant_id, task_type, status, title, prompt, context_snippets, candidate_a, candidate_b, auto_checks, rubric_checklist, reason_codes, is_golden, priority, required_judgments, judgments_count, content_hash, created_at, updated_at) \
             SELECT 't' || i, 'tnt-a', 'plan_quality', 'completed', 't', {prompt}, '[]', to_jsonb({a}), to_jsonb({b}), '[]', '[]', '[]', FALSE, 50, 3, 3, md5(i::text), now(), now() FROM generate_series(1, {EACH}) i"
        ),
        format!(
            "INSERT INTO task_consensus (task_id, choice, posterior, posteriors, method, judgments_count, is_final, decided_by, created_at, updated_at) \
             SELECT 't' || i, CASE i % 2 WHEN 0 THEN 'candidate_a' ELSE 'candidate_b' END, 0.9, '{{}}', 'one_coin', 3, TRUE, 'raters', now(), now() FROM generate_series(1, {EACH}) i"
        ),
        format!(
            "INSERT INTO feedback (feedback_id, tenant_id, brand_id, user_id, task_type, prompt, model_output, feedback_type, preferred_output, rejected_output, metadata, created_at, updated_at) \
             SELECT 'f' || i, 'tnt-a', 'brand-a', 'acc_1', 'plan_quality', 'Ask: ' || {prompt}, {a}, 'preference', {a}, {b}, '{{}}', now(), now() FROM generate_series(1, {EACH}) i"
        ),
        "VACUUM ANALYZE".to_owned(),
    ] {
        execute(&mut conn, "SET statement_timeout = 0").unwrap();
        execute(&mut conn, &statement).unwrap();
    }
    let Connection::Postgres(c) = &mut conn else { panic!("PostgreSQL was asked for") };
    let found: Backend = diesel::sql_query("SELECT pg_backend_pid() AS pid").get_result(c).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", found.pid)).unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Preferences again, by somebody else, half of them the other way round; and a simulated rater, whose judgments have to be looked for.
fn repeats() -> String {
    format!(
        "INSERT INTO feedback (feedback_id, tenant_id, brand_id, user_id, task_type, prompt, model_output, feedback_type, preferred_output, rejected_output, metadata, created_at, updated_at) \
         SELECT 'again-' || feedback_id, tenant_id, brand_id, 'acc_2', task_type, prompt, model_output, feedback_type, \
            CASE id % 2 WHEN 0 THEN preferred_output ELSE rejected_output END, CASE id % 2 WHEN 0 THEN rejected_output ELSE preferred_output END, metadata, now(), now() \
         FROM feedback ORDER BY id LIMIT {REPEATED}; \
         INSERT INTO rater_profiles (rater_id, name, preferred_task_types, reliability_by_task_type, is_active, is_calibrated, is_simulated, created_at, updated_at) \
         VALUES ('rtr_program', 'P', '[]', '{{}}', TRUE, TRUE, TRUE, now(), now())"
    )
}
