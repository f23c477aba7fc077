//! Puts to raters what people disliked: feedback that met its brand's rule is paired with a second text, becomes a rating task by way of the
//! outbox, and is asked about once. What cannot be paired is left out, with the reason.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::scope::Scope;
use domain::task::TaskType;
use peers::context::RequestContext;
use peers::tasks::{DEFAULT_PRIORITY, NewTask};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::feedback::tasks::{self as stored, Asking, Plan};
use storage::feedback::{Feedback, brands, outputs};
use storage::outbox::{self, Destination, NewEvent, OutboxEvent};
use tokio_util::sync::CancellationToken;

use crate::state::State;

/// Topic of the outbox events that create rating tasks.
pub const CREATE_TASK: &str = "create_feedback_task";

/// Pause between two rounds.
const PAUSE: Duration = Duration::from_secs(2);

/// Pieces of feedback and tasks looked at in one round.
const AT_ONCE: i64 = 20;

/// Longest prompt that raters get as the question; longer ones are shortened.
const MAX_PROMPT: usize = 20_000;

/// Works in rounds until `shutdown`. A round that fails is logged, and what it did not do is done by a later one.
pub async fn work(state: State, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        if let Err(error) = ask(&state).await {
            tracing::warn!(%error, "feedback could not be put to raters");
        }
        if let Err(error) = deliver(&state).await {
            tracing::warn!(%error, "rating tasks could not be delivered");
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = state.feedback_came.notified() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Feedback that waits, with the task that asks about it or why there is none.
type Paired = (Feedback, Result<NewTask, &'static str>);

/// Pairs feedback that waits and writes a task for each pair into the outbox; how many. Pairs are looked for before anything is written, and
/// only while the day has room; each brand's are then written together.
///
/// # Errors
/// When the database cannot be read or written.
pub async fn ask(state: &State) -> Result<usize, StorageError> {
    let mut asked = 0;
    loop {
        let now = state.clock.now();
        let paired = state.storage.read(move |conn| pair_waiting(conn, now)).await?;
        if paired.is_empty() {
            return Ok(asked);
        }
        for (brand, paired) in paired {
            asked += state.storage.transaction(move |conn| ask_about(conn, &brand, &paired, now)).await?;
        }
    }
}

/// By brand, in the order in which it came.
fn pair_waiting(conn: &mut Connection, now: DateTime<Utc>) -> Result<BTreeMap<String, Vec<Paired>>, StorageError> {
    let mut room: BTreeMap<String, i64> = BTreeMap::new();
    let mut paired: BTreeMap<String, Vec<Paired>> = BTreeMap::new();
    for feedback in stored::waiting(conn, AT_ONCE)? {
        let brand = feedback.brand_id.clone().unwrap_or_default();
        let left = match room.get(&brand) {
            Some(left) => *left,
            None => stored::room(conn, &brand, now.date_naive())?,
        };
        room.insert(brand.clone(), left);
        // What goes over the limit within these is found where it is written, exactly.
        let task = if left > 0 { task_of(conn, &feedback)? } else { Err("daily_limit") };
        paired.entry(brand).or_default().push((feedback, task));
    }
    Ok(paired)
}

fn ask_about(conn: &mut Connection, brand: &str, paired: &[Paired], now: DateTime<Utc>) -> Result<usize, StorageError> {
    let hashes: Vec<String> =
        paired.iter().map(|(feedback, task)| task.as_ref().map_or_else(|_| String::new(), |task| pair_hash(feedback, task))).collect();
    let plans: Vec<Plan<'_>> = paired
        .iter()
        .zip(&hashes)
        .map(|((of, task), hash)| {
            let pair = task.as_ref().map(|task| (hash.as_str(), task.task_id.as_deref().unwrap_or_default())).map_err(|reason| *reason);
            Plan { of, pair }
        })
        .collect();
    let outcomes = stored::ask(conn, brand, &plans, now)?;
    let mut events = Vec::new();
    for ((feedback, task), _) in paired.iter().zip(outcomes).filter(|(_, outcome)| *outcome == Asking::Asked) {
        let Ok(task) = task else { continue };
        let payload = serde_json::to_value(task).map_err(|error| StorageError::Corrupt(error.to_string()))?;
        events.push(NewEvent {
            destination: Destination::RaterApp,
            topic: CREATE_TASK.to_owned(),
            event: CREATE_TASK.to_owned(),
            payload: json!({ "feedback_id": feedback.feedback_id, "task": payload }),
            tenant_id: Some(feedback.tenant_id.clone()),
        });
    }
    outbox::push_all(conn, &events, now)?;
    Ok(events.len())
}

/// The task that asks about a piece of feedback, or why there is none.
fn task_of(conn: &mut Connection, feedback: &Feedback) -> Result<Result<NewTask, &'static str>, StorageError> {
    let Ok(task_type) = feedback.task_type.parse::<TaskType>() else { return Ok(Err("unknown_task_type")) };
    let Some((first, second)) = pair(conn, feedback)? else { return Ok(Err("no_second_text")) };
    let (first, second) = (candidate(&first), candidate(&second));
    if first == second {
        return Ok(Err("same_text"));
    }
    let scope = Scope::system("feedback").narrowed_to(&feedback.tenant_id);
    let brand = brands::find(conn, &scope, feedback.brand_id.as_deref().unwrap_or_default())?;
    // Which of the two stands first says nothing about which was disliked.
    let swapped = Sha256::digest(&feedback.feedback_id).first().is_some_and(|byte| byte % 2 == 1);
    let (candidate_a, candidate_b) = if swapped { (second, first) } else { (first, second) };
    let request: Option<Value> = serde_json::from_str(&feedback.prompt).ok().filter(Value::is_object);
    let name: String = brand.name.chars().take(200).collect();
    Ok(Ok(NewTask {
        task_id: Some(domain::id::new("tsk")),
        task_type,
        retailer_id: brand.retailer_id,
        tenant_id: Some(feedback.tenant_id.clone()),
        adapter_id: None,
        title: format!("Which is better for {name}?"),
        prompt: match &request {
            Some(_) => "Compare the two answers to this request. Which one is better, given what was asked for?".to_owned(),
            None => feedback.prompt.chars().take(MAX_PROMPT).collect(),
        },
        context_snippets: request.into_iter().collect(),
        candidate_a,
        candidate_b,
        candidate_c: None,
        priority: DEFAULT_PRIORITY,
        uncertainty_score: None,
        required_judgments: None,
        max_judgments: None,
        source: Some(format!("feedback:{}", feedback.feedback_id)),
    }))
}

/// The two texts: a correction and a preference hold both; what was only disliked is compared with the best liked text for the same prompt,
/// a plan else with the best other plan of its set.
fn pair(conn: &mut Connection, feedback: &Feedback) -> Result<Option<(String, String)>, StorageError> {
    let own = feedback.model_output.clone();
    match (feedback.feedback_type.as_str(), &feedback.preferred_output, &feedback.rejected_output) {
        ("correction", Some(better), _) => return Ok(Some((own, better.clone()))),
        ("preference", Some(better), Some(worse)) => return Ok(Some((worse.clone(), better.clone()))),
        _ => {}
    }
    if let Some((better, _)) = stored::best_other(conn, feedback)? {
        return Ok(Some((own, better)));
    }
    let of = |name: &str| feedback.metadata.0.get(name).and_then(Value::as_str);
    let (Some(set), Some(plan)) = (of("plan_set_id"), of("plan_id")) else { return Ok(None) };
    Ok(outputs::other_plan(conn, &feedback.tenant_id, set, plan)?.map(|other| (own, peers::feedback::plan_output(&other))))
}

/// What raters are shown of a text: a JSON document as such.
fn candidate(text: &str) -> Value {
    serde_json::from_str(text).ok().filter(Value::is_object).unwrap_or_else(|| json!(text))
}

/// The same for the same two texts and prompt, in whatever order.
fn pair_hash(feedback: &Feedback, task: &NewTask) -> String {
    let mut texts = [task.candidate_a.to_string(), task.candidate_b.to_string()];
    texts.sort();
    let parts = json!([feedback.task_type, feedback.prompt, texts]);
    Sha256::digest(parts.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Delivers the tasks that are due; how many the rater app has. One that it refuses for good is left out, others wait longer each time.
///
/// # Errors
/// When the outbox cannot be read or written.
pub async fn deliver(state: &State) -> Result<usize, StorageError> {
    let now = state.clock.now();
    let due = state.storage.read(move |conn| outbox::due_on(conn, Destination::RaterApp, CREATE_TASK, now, AT_ONCE)).await?;
    let mut delivered = 0;
    for event in due {
        let (id, feedback_id) = (event.id, event.payload.0["feedback_id"].as_str().unwrap_or_default().to_owned());
        match create(state, &event).await {
            Ok(()) => {
                state
                    .storage
                    .transaction(move |conn| {
                        stored::created(conn, &feedback_id, now)?;
                        outbox::delivered(conn, id, now)
                    })
                    .await?;
                delivered += 1;
            }
            Err(Failure { reason, is_final: true }) => {
                tracing::warn!(event_id = %event.event_id, %reason, "a rating task from feedback was refused");
                state
                    .storage
                    .transaction(move |conn| {
                        stored::leave_out(conn, &feedback_id, "refused", now)?;
                        outbox::delivered(conn, id, now)
                    })
                    .await?;
            }
            Err(Failure { reason, is_final: false }) => {
                tracing::warn!(event_id = %event.event_id, %reason, "a rating task from feedback was not taken");
                state.storage.transaction(move |conn| outbox::failed(conn, &event, &reason, now)).await?;
            }
        }
    }
    Ok(delivered)
}

struct Failure {
    reason: String,
    is_final: bool,
}

async fn create(state: &State, event: &OutboxEvent) -> Result<(), Failure> {
    let task: NewTask = serde_json::from_value(event.payload.0["task"].clone())
        .map_err(|error| Failure { reason: format!("the task cannot be read: {error}"), is_final: true })?;
    let made = state.rater_app.create_task(&RequestContext::for_background_work(), &task).await;
    made.map(drop).map_err(|error| Failure { is_final: !error.may_succeed_later(), reason: error.to_string() })
}
