//! Scoring under load: pairs at 1,000 requests a second on a fixed timetable, each latency counted from when the request was due, so that a
//! server that stalls is not spared the requests it kept waiting. Beside it, what an answer without any work costs (`/health/live`).
//!
//! Pairs of plans are made here. With public preferences at hand (`ENDCAP_SHARED` names the folder that holds `data/preferences/pairs.jsonl`,
//! else `../shared` beside the checkout is tried) the same is done with texts. `ENDCAP_BENCH_SECONDS` sets another length (20).

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use domain::role::Role;
use domain::time::Clock;
use learning::features::candidate_features;
use learning::reward::training::train;
use learning::reward::{Example, Outcome};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use secrecy::SecretString;
use serde_json::{Value, json};
use storage::reward_models::{self, NewRewardModel, Switch};
use testkit::bench::{Report, cpu, quantile};
use testkit::database::{self, TestDatabase};
use testkit::http::Client;
use testkit::service::Service;
use tokio::task::JoinSet;
use web::token::{Subject, Tokens};

const SECRET: &str = "the benchmark's own secret, of more than 32 bytes";
const PER_SECOND: u64 = 1_000;
const WARM_PER_SECOND: u64 = 100;
const CONNECTIONS: u64 = 64;
const CALLERS: usize = 200;
const WANTED_MS: f64 = 5.0;

fn main() -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}

async fn run() -> Result<()> {
    let database = database::of_kind("postgres").unwrap_or_else(database::sqlite);
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let plans: Vec<Value> = (0..2_000).map(|n| plans(n, &mut random)).collect();
    activate(&database, "plan_quality", &plans).await?;
    let texts = texts()?;
    if !texts.is_empty() {
        activate(&database, "policy_compliance", &texts).await?;
    }
    let variables = [("DATABASE_URL", database.url.as_str()), ("ENDCAP_JWT_SECRET", SECRET), ("RUST_LOG", "warn,web::server=info")];
    let service = Service::start(Path::new(env!("CARGO_BIN_EXE_rlhf-backend")), &variables)?;
    let bearers: Arc<Vec<String>> = Arc::new((0..CALLERS).map(|n| bearer(&format!("acc_{n}"))).collect::<Result<_>>()?);
    let seconds: u64 = std::env::var("ENDCAP_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let mut report = Report::new("scoring");
    let nothing = phase(&service, &bearers, "GET", "/health/live", &[Vec::new()], PER_SECOND, seconds.min(5)).await?;
    for (what, task_type, pairs) in [("pairs of plans", "plan_quality", &plans), ("pairs of texts", "policy_compliance", &texts)] {
        if pairs.is_empty() {
            println!("{what}: skipped, because there are no public preferences at hand");
            continue;
        }
        let bodies: Vec<Vec<u8>> = pairs.iter().map(|pair| body(task_type, pair)).collect::<Result<_>>()?;
        // Some seconds that are not counted: connections, the model and each caller's share of the limits are made ready, which no deployment
        // does for all its callers at once.
        phase(&service, &bearers, "POST", "/v1/score", &bodies, WARM_PER_SECOND, 4).await?;
        let seen = phase(&service, &bearers, "POST", "/v1/score", &bodies, PER_SECOND, seconds).await;
        let mut seen = seen.with_context(|| format!("the service's log ends with:\n{}", service.log()))?;
        let mean = bodies.iter().map(Vec::len).sum::<usize>() / bodies.len();
        let what = format!("{what} of {mean} bytes, {PER_SECOND} a second");
        for (q, word) in [(0.5, "p50"), (0.95, "p95")] {
            report.figure(&format!("{what}: {word}"), quantile(&mut seen.latencies, q), "ms");
        }
        let p99 = quantile(&mut seen.latencies, 0.99);
        report.figure(&format!("{what}: p99"), p99, "ms").wanted(&format!("under {WANTED_MS}"), p99 < WANTED_MS);
        report.figure(&format!("{what}: CPU of a request"), seen.cpu_ms, "ms").against("an answer without work, same run", nothing.cpu_ms);
        report.figure(&format!("{what}: answered"), seen.latencies.len() as f64 / seen.seconds, "per second");
    }
    report.finish()
}

struct Seen {
    latencies: Vec<f64>,
    cpu_ms: f64,
    seconds: f64,
}

/// Callers have tenants of their own, whose limits are not reached. Sends on a timetable: connection `n` has every `CONNECTIONS`th request.
async fn phase(
    service: &Service,
    bearers: &Arc<Vec<String>>,
    method: &'static str,
    path: &'static str,
    bodies: &[Vec<u8>],
    per_second: u64,
    seconds: u64,
) -> Result<Seen> {
    let (bodies, latencies) = (Arc::new(bodies.to_vec()), Arc::new(Mutex::new(Vec::new())));
    let (before, begun) = (cpu::of_tree(service.pid()), Instant::now() + Duration::from_millis(100));
    let mut connections = JoinSet::new();
    for n in 0..CONNECTIONS {
        let (bodies, bearers, latencies, address) = (bodies.clone(), bearers.clone(), latencies.clone(), service.address);
        connections.spawn(async move {
            let mut client = Client::new(address);
            for at in (n..per_second * seconds).step_by(CONNECTIONS as usize) {
                let due = begun + Duration::from_micros(at * 1_000_000 / per_second);
                tokio::time::sleep_until(due.into()).await;
                let (body, bearer) = (&bodies[at as usize % bodies.len()], &bearers[at as usize % bearers.len()]);
                let answer = client.send(method, path, &[("Authorization", bearer)], (!body.is_empty()).then_some(body.as_slice())).await?;
                ensure!(answer.status == 200, "{path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
                if method == "POST" {
                    let scored = answer.json();
                    ensure!(scored["fallback"] == false && !scored["explanation"][0].is_null(), "{scored}");
                }
                latencies.lock().unwrap().push(due.elapsed().as_secs_f64() * 1e3);
            }
            Ok(())
        });
    }
    while let Some(done) = connections.join_next().await {
        done??;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let used = cpu::of_tree(service.pid()) - before;
    let latencies = Arc::try_unwrap(latencies).ok().context("a connection is still open")?.into_inner()?;
    Ok(Seen { cpu_ms: used.as_secs_f64() * 1e3 / latencies.len().max(1) as f64, latencies, seconds })
}

fn body(task_type: &str, pair: &Value) -> Result<Vec<u8>> {
    let question = json!({ "task_type": task_type, "context": pair["context"], "candidates": [pair["a"], pair["b"]] });
    Ok(serde_json::to_vec(&question)?)
}

/// A pair of plans; people prefer the one that returns more, mostly.
fn plans(n: usize, random: &mut ChaCha8Rng) -> Value {
    let mut plan = |name: &str| {
        let lines: Vec<Value> = ["sponsored_product", "sponsored_brand", "onsite_display", "offsite_video"]
            .map(|placement| json!({"placement_type": placement, "spend": random.random_range(100..5_000), "roas": random.random_range(1.0..6.0_f64)}))
            .into();
        let total: f64 = lines.iter().filter_map(|line| line["roas"].as_f64()).sum();
        let plan = json!({"summary": format!("{name} of {n}"), "lines": lines, "rationale": "It keeps the floor of every placement and moves the rest to where it returns most."});
        (plan, total)
    };
    let ((a, a_returns), (b, b_returns)) = (plan("first"), plan("second"));
    json!({ "context": {"kind": "campaign", "objective": "roas", "budget": 10_000}, "a": a, "b": b, "a_wins": (a_returns > b_returns) != n.is_multiple_of(10), "prompt": n.to_string() })
}

/// Public preferences, if they are at hand; the better one stands first in every other pair.
fn texts() -> Result<Vec<Value>> {
    let named = std::env::var_os("ENDCAP_SHARED").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")));
    let Ok(lines) = std::fs::read_to_string(folder.join("data/preferences/pairs.jsonl")) else { return Ok(Vec::new()) };
    let pair = |(n, line): (usize, &str)| {
        let row: Value = serde_json::from_str(line)?;
        let (a, b) = if n.is_multiple_of(2) { (&row["chosen"], &row["rejected"]) } else { (&row["rejected"], &row["chosen"]) };
        Ok(json!({ "context": row["prompt"], "a": a, "b": b, "a_wins": n.is_multiple_of(2), "prompt": row["prompt"] }))
    };
    lines.lines().enumerate().map(pair).collect()
}

/// Trains on the pairs and puts the model to work.
async fn activate(database: &TestDatabase, task_type: &'static str, pairs: &[Value]) -> Result<()> {
    let examples: Vec<Example> = pairs
        .iter()
        .map(|pair| {
            let a = if pair["a_wins"] == true { 1.0 } else { 0.0 };
            Example {
                prompt_key: pair["prompt"].to_string(),
                a: candidate_features(&pair["a"], &[], &pair["context"]),
                b: candidate_features(&pair["b"], &[], &pair["context"]),
                outcome: Outcome { a, tie: 0.0, b: 1.0 - a },
                weight: 1.0,
                retailer: None,
            }
        })
        .collect();
    let trained = train(&examples, 1)?;
    println!("{task_type}: trained on {} pairs", examples.len());
    let new = NewRewardModel {
        base_model: "linear".to_owned(),
        retailer_id: None,
        task_type: task_type.to_owned(),
        training_judgments_count: 0,
        training_feedback_count: 0,
        training_pairs_count: i32::try_from(examples.len())?,
        config: json!({}),
        metrics: json!({}),
        parameters: json!(trained.model),
        validation_accuracy: None,
        inter_rater_agreement: None,
        auto_check_correlation: None,
        dataset_hash: String::new(),
        seed: 1,
    };
    let now = domain::time::now();
    database
        .storage
        .transaction(move |conn| {
            let model = reward_models::insert(conn, &new, now)?;
            reward_models::activate(conn, &model.model_id, Switch::Activation(None), now).map(drop)
        })
        .await?;
    Ok(())
}

fn bearer(account_id: &str) -> Result<String> {
    let subject = Subject {
        account_id: account_id.to_owned(),
        email: format!("{account_id}@example.com"),
        role: Role::Analyst,
        tenant_id: Some(format!("tnt-{account_id}")),
        rater_id: None,
        session_id: "ses_bench".to_owned(),
        user_metadata: serde_json::Map::new(),
    };
    let tokens = Tokens::new(&SecretString::from(SECRET), Clock::system());
    Ok(format!("Bearer {}", tokens.issue_access(&subject, Duration::from_secs(3600))?.0))
}
