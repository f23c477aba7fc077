//! Raters at work on the rater app: all at once in steps, at a human pace, and as fast as they can.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use testkit::http::{Answer, Client};
use tokio::task::JoinSet;

use crate::stage::{Log, Seen, Stage, Used};

/// Connections in use at once where raters do not think.
pub const CONNECTIONS: usize = 16;

/// Idle connections: a rater takes one for each request, as behind a proxy.
#[derive(Clone)]
struct Lines {
    address: SocketAddr,
    idle: Arc<Mutex<Vec<Client>>>,
}

impl Lines {
    fn new(address: SocketAddr) -> Self {
        Self { address, idle: Arc::default() }
    }

    async fn post(&self, path: &str, bearer: &str, body: &Value) -> Result<Answer> {
        let known = self.idle.lock().map_or(None, |mut idle| idle.pop());
        let mut client = known.unwrap_or_else(|| Client::new(self.address));
        let answer = client.send("POST", path, &[("Authorization", bearer)], Some(body.to_string().as_bytes())).await?;
        if let Ok(mut idle) = self.idle.lock() {
            idle.push(client);
        }
        Ok(answer)
    }
}

/// Asks for a task; its assignment.
async fn next(lines: &Lines, bearer: &str, log: &Log, due: Instant) -> Option<String> {
    let answer = lines.post("/v1/assignments/next", bearer, &json!({})).await;
    let took = due.elapsed().as_secs_f64() * 1e3;
    let mut log = log.lock().ok()?;
    match answer {
        Ok(answer) if answer.status == 200 => {
            log.next.push(took);
            answer.json()["assignment_id"].as_str().map(str::to_owned)
        }
        Ok(answer) if answer.status == 204 => {
            log.nothing += 1;
            None
        }
        other => {
            log.errors.push(told("next", other));
            None
        }
    }
}

async fn submit(lines: &Lines, bearer: &str, assignment: &str, choice: &str, log: &Log, due: Instant) {
    let body = json!({"choice": choice, "confidence": 0.75, "reasons": reasons(choice), "active_ms": 9_000});
    let answer = lines.post(&format!("/v1/assignments/{assignment}/judgment"), bearer, &body).await;
    let took = due.elapsed().as_secs_f64() * 1e3;
    let Ok(mut log) = log.lock() else { return };
    match answer {
        Ok(answer) if answer.status == 201 => log.submit.push(took),
        other => log.errors.push(told("submit", other)),
    }
}

fn told(what: &str, answer: Result<Answer>) -> String {
    match answer {
        Ok(answer) => format!("{what}: {} {}", answer.status, String::from_utf8_lossy(&answer.body)),
        Err(error) => format!("{what}: {error:#}"),
    }
}

fn reasons(choice: &str) -> &'static [&'static str] {
    if choice.starts_with("candidate") { &["higher_return"] } else { &["equivalent"] }
}

/// Mostly one of the two, as raters do.
fn choice(rng: &mut StdRng) -> &'static str {
    ["candidate_a", "candidate_a", "candidate_a", "candidate_b", "candidate_b", "tie"][rng.random_range(0..6)]
}

fn take(log: Log) -> Result<Seen> {
    let mutex = Arc::try_unwrap(log).ok().context("a rater is still at work")?;
    mutex.into_inner().ok().context("a rater panicked")
}

/// CPU of the two operations, apart.
pub struct Steps {
    pub seen: Seen,
    pub next: Used,
    pub submit: Used,
}

/// All raters ask for a task, then all submit, `rounds` times; the CPU of each step is told apart.
pub async fn in_steps(stage: &Stage, rounds: usize) -> Result<Steps> {
    let (lines, log) = (Lines::new(stage.service.address), Log::default());
    let (mut of_next, mut of_submit) = (Used::default(), Used::default());
    let mut rng = StdRng::seed_from_u64(11);
    for _ in 0..rounds {
        let held = Arc::new(Mutex::new(Vec::new()));
        let used = step(stage, {
            let (lines, log, held) = (lines.clone(), log.clone(), held.clone());
            let work: Vec<String> = stage.raters.clone();
            over(work, move |bearer| {
                let (lines, log, held) = (lines.clone(), log.clone(), held.clone());
                async move {
                    if let Some(assignment) = next(&lines, &bearer, &log, Instant::now()).await
                        && let Ok(mut held) = held.lock()
                    {
                        held.push((bearer, assignment));
                    }
                }
            })
        })
        .await?;
        (of_next.app, of_next.database) = (of_next.app + used.app, of_next.database + used.database);
        let mut work: Vec<(String, String, &str)> = held
            .lock()
            .ok()
            .context("a rater panicked")?
            .drain(..)
            .map(|(bearer, assignment)| (bearer, assignment, choice(&mut rng)))
            .collect();
        // Raters are done in no order; in that of asking, all who judge one task would be done in one instant and wait for its lock.
        work.shuffle(&mut rng);
        let used = step(stage, {
            let (lines, log) = (lines.clone(), log.clone());
            over(work, move |(bearer, assignment, choice)| {
                let (lines, log) = (lines.clone(), log.clone());
                async move { submit(&lines, &bearer, &assignment, choice, &log, Instant::now()).await }
            })
        })
        .await?;
        (of_submit.app, of_submit.database) = (of_submit.app + used.app, of_submit.database + used.database);
    }
    drop(lines);
    Ok(Steps { seen: take(log)?, next: of_next, submit: of_submit })
}

/// CPU of one step, with what it sets off in the background.
async fn step(stage: &Stage, work: impl Future<Output = Result<()>>) -> Result<Used> {
    let (before, begun) = (stage.used(), Instant::now());
    work.await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    Ok(stage.since(before, begun.elapsed()))
}

/// Does the work of a list on a few connections.
async fn over<T, F, Fut>(work: Vec<T>, each: F) -> Result<()>
where
    T: Send + 'static,
    F: Fn(T) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let work = Arc::new(Mutex::new(work));
    let mut hands = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (work, each) = (work.clone(), each.clone());
        hands.spawn(async move {
            loop {
                let item = work.lock().map_or(None, |mut work| work.pop());
                let Some(item) = item else { return };
                each(item).await;
            }
        });
    }
    while let Some(done) = hands.join_next().await {
        done?;
    }
    Ok(())
}

/// As fast as they can on `connections`, for so long: judgments per second come from it.
pub async fn without_thinking(stage: &Stage, connections: usize, time: Duration) -> Result<Seen> {
    let (lines, log) = (Lines::new(stage.service.address), Log::default());
    let end = Instant::now() + time;
    let mut raters = JoinSet::new();
    for (n, bearer) in stage.raters.iter().take(connections).cloned().enumerate() {
        let (lines, log, mut rng) = (lines.clone(), log.clone(), StdRng::seed_from_u64(n as u64));
        raters.spawn(async move {
            while Instant::now() < end {
                let Some(assignment) = next(&lines, &bearer, &log, Instant::now()).await else { return };
                submit(&lines, &bearer, &assignment, choice(&mut rng), &log, Instant::now()).await;
            }
        });
    }
    while let Some(done) = raters.join_next().await {
        done?;
    }
    take(log)
}

/// All raters for so long, each thinking about every task (exponential around `mean`), the next task asked for as soon as one is judged.
pub async fn thinking(stage: &Stage, mean: Duration, time: Duration) -> Result<Seen> {
    let (lines, log) = (Lines::new(stage.service.address), Log::default());
    let end = Instant::now() + time;
    let mut raters = JoinSet::new();
    for (n, bearer) in stage.raters.iter().cloned().enumerate() {
        let (lines, log, mut rng) = (lines.clone(), log.clone(), StdRng::seed_from_u64(1_000 + n as u64));
        raters.spawn(async move {
            // They come one by one over the first moments, not in one instant.
            let mut due = Instant::now() + mean.mul_f64(rng.random_range(0.0..1.0));
            loop {
                tokio::time::sleep_until(due.into()).await;
                let held = next(&lines, &bearer, &log, due).await;
                // Between a blink and five means, so that a phase has an end.
                let thought = mean.mul_f64((-f64::ln(1.0 - rng.random_range(0.0..1.0_f64))).clamp(0.02, 5.0));
                due = Instant::now() + thought;
                if due >= end {
                    return;
                }
                tokio::time::sleep_until(due.into()).await;
                if let Some(assignment) = held {
                    submit(&lines, &bearer, &assignment, choice(&mut rng), &log, due).await;
                }
                due = Instant::now();
            }
        });
    }
    while let Some(done) = raters.join_next().await {
        done?;
    }
    take(log)
}
