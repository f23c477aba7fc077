//! Automatic checks by an Edge Function of the hosted project (`ENDCAP_CHECKS_FUNCTION`). A task has its checks from the process already when it comes
//! here; what the function finds takes their place if it comes in time and can be believed. So nothing is lost when it does not, and nobody waits
//! longer than [`WITHIN`]. A function that fails thrice in a row is left alone for half a minute.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::checks::{VERSION, catalogue};
use domain::task::TaskType;
use metrics::{counter, gauge};
use peers::tasks::{CheckResult, EDGE_FUNCTION};
use serde::Deserialize;
use serde_json::{Value, json};
use storage::tasks::NewTask;
use supabase::project::Project;
use tokio::sync::Semaphore;

/// Longest wait for the function, for all tasks of a request together.
pub const WITHIN: Duration = Duration::from_millis(300);
/// Calls at once; a request beyond them is checked in process.
const CALLS: usize = 8;
/// Most tasks in one call; those beyond are checked in process.
const MOST: usize = 100;
/// Failures in a row after which the function is left alone.
const FAILURES: u32 = 3;
/// How long it is left alone.
const REST: Duration = Duration::from_secs(30);
/// Most findings about one task.
const MAX_FINDINGS: usize = 300;
/// Longest message, in characters.
const MAX_MESSAGE: usize = 4_000;
/// Task types that the function knows.
const COVERED: [TaskType; 1] = [TaskType::TaggingNormalization];

/// The function, and how it did lately. Cheap to clone.
#[derive(Clone)]
pub struct RemoteChecks {
    project: Project,
    function: Arc<str>,
    turns: Arc<Semaphore>,
    health: Arc<Mutex<Health>>,
}

#[derive(Default)]
struct Health {
    failures: u32,
    rests_until: Option<Instant>,
}

/// What the function answers.
#[derive(Deserialize)]
struct Answer {
    version: i32,
    findings: Vec<Vec<Found>>,
}

#[derive(Deserialize)]
struct Found {
    check: String,
    candidate: usize,
    passed: bool,
    message: String,
    #[serde(default)]
    place: Option<String>,
}

impl RemoteChecks {
    /// By this function of this project; nothing is called yet.
    #[must_use]
    pub fn new(project: Project, function: &str) -> Self {
        Self { project, function: function.into(), turns: Arc::new(Semaphore::new(CALLS)), health: Arc::default() }
    }

    /// Has the function check those of the tasks that it knows. Whatever goes wrong, the tasks keep the checks they have.
    pub async fn check<'a>(&self, tasks: impl Iterator<Item = &'a mut NewTask>) {
        let covered = |task: &NewTask| task.task_type.parse().is_ok_and(|of: TaskType| COVERED.contains(&of));
        let mut tasks: Vec<&mut NewTask> = tasks.filter(|task| covered(task)).take(MOST).collect();
        if tasks.is_empty() {
            return;
        }
        match self.ask(&tasks).await {
            Ok(found) => {
                for (task, checks) in tasks.iter_mut().zip(found) {
                    task.auto_checks = json!(checks);
                }
                counter!("edge_function_checks_total", "outcome" => "used").increment(1);
            }
            Err(reason) => {
                tracing::warn!(reason, function = &*self.function, "the Edge Function did not check; the checks in process count");
                counter!("edge_function_checks_total", "outcome" => "fallback").increment(1);
            }
        }
    }

    async fn ask(&self, tasks: &[&mut NewTask]) -> Result<Vec<Vec<CheckResult>>, String> {
        if self.health().rests_until.is_some_and(|until| Instant::now() < until) {
            return Err("it failed lately and is left alone".to_owned());
        }
        let _turn = self.turns.try_acquire().map_err(|_| format!("{CALLS} calls are open"))?;
        let body: Vec<Value> = tasks
            .iter()
            .map(|task| {
                json!({
                    "task_type": task.task_type, "context_snippets": task.context_snippets, "prompt": task.prompt, "candidates": task.candidates,
                })
            })
            .collect();
        let answer = self.project.call_function(&self.function, &json!({"version": VERSION, "tasks": body}), WITHIN).await;
        let judged = answer.map_err(|error| error.to_string()).and_then(|answer| believed(answer, tasks));
        let mut health = self.health();
        let is_resting = match &judged {
            Ok(_) => {
                *health = Health::default();
                false
            }
            Err(_) => {
                health.failures += 1;
                if health.failures >= FAILURES {
                    *health = Health { failures: 0, rests_until: Some(Instant::now() + REST) };
                }
                health.rests_until.is_some()
            }
        };
        gauge!("endcap_peer_circuit_open", "peer" => EDGE_FUNCTION).set(if is_resting { 1.0 } else { 0.0 });
        judged
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The findings, if they are of our version and could be ours: every task, every candidate, known checks only, each once, failed ones with a place.
fn believed(answer: Value, tasks: &[&mut NewTask]) -> Result<Vec<Vec<CheckResult>>, String> {
    let answer: Answer = serde_json::from_value(answer).map_err(|error| format!("its answer has another shape: {error}"))?;
    if answer.version != VERSION {
        return Err(format!("it checks by version {}, and this program by {VERSION}; deploy the function of this release", answer.version));
    }
    if answer.findings.len() != tasks.len() {
        return Err(format!("it answered for {} of {} tasks", answer.findings.len(), tasks.len()));
    }
    answer.findings.into_iter().zip(tasks).map(|(found, task)| of_task(found, task)).collect()
}

fn of_task(found: Vec<Found>, task: &NewTask) -> Result<Vec<CheckResult>, String> {
    let task_type: TaskType = task.task_type.parse().map_err(|_| format!("{:?} is no task type", task.task_type))?;
    if found.len() > MAX_FINDINGS {
        return Err(format!("it found {} things about one task", found.len()));
    }
    let mut seen = BTreeSet::new();
    for one in &found {
        let is_ours = catalogue::find(task_type, &one.check).is_some()
            && one.candidate < task.candidates.len()
            && (one.passed || one.place.is_some())
            && one.message.chars().count() <= MAX_MESSAGE;
        if !is_ours || !seen.insert((one.candidate, one.check.clone())) {
            return Err(format!("it found {:?} about candidate {}, which no check here would", one.check, one.candidate));
        }
    }
    if (0..task.candidates.len()).any(|candidate| !found.iter().any(|one| one.candidate == candidate)) {
        return Err("it says nothing about one of the candidates".to_owned());
    }
    let result = |one: Found| CheckResult {
        check: one.check,
        candidate: one.candidate,
        passed: one.passed,
        message: one.message,
        place: one.place,
        version: VERSION,
        checked_by: EDGE_FUNCTION.to_owned(),
    };
    Ok(found.into_iter().map(result).collect())
}
