//! Key figures by the clock: one job a slot of time, whoever of the replicas comes first, which computes today and yesterday for all
//! retailers together and for each, and makes up days that were missed.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::scope::Scope;
use serde::{Deserialize, Serialize};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::jobs::{self, Job, NewJob};
use storage::rlhf_metrics::{self as stored, DayFigures, NewDayFigures, day};
use storage::store::snapshot;
use tokio_util::sync::CancellationToken;

use super::computing::compute;
use super::day_of;
use crate::state::State;
use crate::worker;

/// Kind of the jobs that compute.
pub const COMPUTE: &str = "compute_key_figures";

/// Finished jobs are kept so long.
const KEPT: TimeDelta = TimeDelta::days(7);

/// Longest pause between two looks at the clock.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How often storing is tried when somebody else stores the same figures at the same moment.
const TRIES: usize = 3;

/// What a job is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ComputeInput {
    /// Today when the job was asked for.
    pub date: NaiveDate,
}

/// What a job did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComputeReport {
    /// Days whose figures were computed.
    pub days: Vec<NaiveDate>,
    /// Rows stored: one a day for all retailers together, and one for each retailer.
    pub rows: usize,
}

/// Queues jobs by the clock until `shutdown`; at once when this slot has none.
pub async fn schedule(state: State, shutdown: CancellationToken) {
    let Some(every) = state.settings.key_figures.every else { return };
    while !shutdown.is_cancelled() {
        let now = state.clock.now();
        match state.storage.transaction(move |conn| enqueue_if_due(conn, now, every)).await {
            Ok(true) => state.job_queued.notify_one(),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the key figures could not be asked for by the clock; tried again later"),
        }
        let passed = u64::try_from(state.clock.now().timestamp()).unwrap_or(0) % every.as_secs();
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(Duration::from_secs(every.as_secs() - passed).min(LOOK_EVERY)) => {}
        }
    }
}

/// Queues the job of the present slot of time; `false` when somebody did.
///
/// # Errors
/// As any query.
pub fn enqueue_if_due(conn: &mut Connection, now: DateTime<Utc>, every: Duration) -> Result<bool, StorageError> {
    let seconds = i64::try_from(every.as_secs().max(1)).unwrap_or(i64::MAX);
    let slot = format!("{COMPUTE}:{seconds}:{}", now.timestamp().div_euclid(seconds));
    let input = serde_json::json!(ComputeInput { date: now.date_naive() });
    let new = NewJob { kind: COMPUTE, tenant_id: None, input };
    let queued = jobs::enqueue_once(conn, &Scope::system("key figures"), &new, &slot, now)?;
    if queued.is_some() {
        jobs::sweep(conn, COMPUTE, now - KEPT)?;
    }
    Ok(queued.is_some())
}

/// Does a job.
///
/// # Errors
/// As any query.
pub async fn run(state: &State, job: &Job, input: &ComputeInput) -> Result<ComputeReport, StorageError> {
    let (today, back) = (input.date, state.settings.key_figures.catch_up_days);
    let days = state.storage.read(move |conn| due(conn, today, back)).await?;
    let mut report = ComputeReport::default();
    for (place, (date, is_missed)) in days.iter().enumerate() {
        worker::note(state, job, place as f64 / days.len() as f64, &format!("Figures of {date}")).await?;
        let rows = of_day(state, *date, *is_missed).await?;
        if rows > 0 {
            report.days.push(*date);
            report.rows += rows;
        }
    }
    Ok(report)
}

/// Days to compute, oldest first, and whether each was missed: today, yesterday, and days back to the bound whose figures are not there or
/// were computed before the day was over.
fn due(conn: &mut Connection, today: NaiveDate, back: u32) -> Result<Vec<(NaiveDate, bool)>, StorageError> {
    let first = today - TimeDelta::days(i64::from(back));
    let computed: BTreeMap<NaiveDate, DateTime<Utc>> = stored::computed(conn, first)?.into_iter().map(|(date, at)| (date, at.0)).collect();
    let is_due = |date: &NaiveDate| computed.get(date).is_none_or(|at| *at < day_of(*date, None).to);
    Ok(first
        .iter_days()
        .take_while(|date| *date <= today)
        .filter(|date| *date >= today - TimeDelta::days(1) || is_due(date))
        .map(|date| (date, date < today - TimeDelta::days(1) && !computed.contains_key(&date)))
        .collect())
}

/// Computes and stores the rows of a day; how many. A missed day on which nothing happened gets none.
async fn of_day(state: &State, date: NaiveDate, is_missed: bool) -> Result<usize, StorageError> {
    let costs = state.settings.key_figures.costs.clone();
    let (all, retailers) = state
        .storage
        .read(move |conn| {
            let all = day_of(date, None);
            let mut retailers = day::retailers_seen(conn, &all)?;
            retailers.extend(stored::retailers(conn, date)?);
            Ok((snapshot(conn, |conn| compute(conn, &all, costs.as_ref()))?, retailers))
        })
        .await?;
    if is_missed && retailers.is_empty() && is_empty(&all) {
        return Ok(0);
    }
    store(state, date, all).await?;
    let rows = 1 + retailers.len();
    for retailer in retailers {
        compute_and_store(state, date, Some(retailer)).await?;
    }
    Ok(rows)
}

fn is_empty(figures: &NewDayFigures) -> bool {
    figures.total_judgments == 0
        && figures.tasks_completed == 0
        && figures.tool_call_compile_pass_rate.is_none()
        && figures.policy_pass_rate_first_submit.is_none()
        && figures.latency_per_rl_iteration_hours.is_none()
        && figures.incremental_roas.is_none()
}

/// Computes the figures of one day and retailer (all together without one) from one state of the tables, and stores them.
///
/// # Errors
/// [`StorageError::Invalid`] for an unknown retailer; else as any query.
pub async fn compute_and_store(state: &State, date: NaiveDate, retailer_id: Option<String>) -> Result<DayFigures, StorageError> {
    let (day, costs) = (day_of(date, retailer_id), state.settings.key_figures.costs.clone());
    let figures = state.storage.read(move |conn| snapshot(conn, |conn| compute(conn, &day, costs.as_ref()))).await?;
    store(state, date, figures).await
}

async fn store(state: &State, date: NaiveDate, figures: NewDayFigures) -> Result<DayFigures, StorageError> {
    let mut tried = 0;
    loop {
        let (figures, now) = (figures.clone(), state.clock.now());
        tried += 1;
        match state.storage.transaction(move |conn| stored::store(conn, date, &figures, now)).await {
            // Somebody stored this day for the first time at the same moment: now there is a row to change.
            Err(StorageError::Conflict { .. }) if tried < TRIES => {}
            outcome => return outcome,
        }
    }
}
