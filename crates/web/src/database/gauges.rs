//! Figures of a process and of what waits in the database, for whoever is on call: how the pool stands, and what a service says of its own
//! queues. They are read in the background, so that a scrape never waits for the database.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::time::Clock;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::gauges::Backlog;
use storage::store::Storage;
use tokio_util::sync::CancellationToken;

/// The pool is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What waits in the database is counted at every so many looks.
const COUNT_EVERY: u32 = 3;

/// A figure of the moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Gauge {
    /// Name of the metric.
    pub name: &'static str,
    /// Labels with their values; of a small number of values.
    pub labels: Vec<(&'static str, String)>,
    /// The value, in the unit that the name ends with.
    pub value: f64,
}

impl Gauge {
    /// A figure without labels.
    #[must_use]
    pub fn new(name: &'static str, value: f64) -> Self {
        Self { name, labels: Vec::new(), value }
    }

    /// With one more label.
    #[must_use]
    pub fn with(mut self, label: &'static str, value: impl Into<String>) -> Self {
        self.labels.push((label, value.into()));
        self
    }

    fn set(&self) {
        metrics::gauge!(self.name, &self.labels).set(self.value);
    }
}

/// Two figures of what waits: how many (`count`), and for how many seconds the oldest has (`age`), both by `label`.
#[must_use]
pub fn of_backlogs(count: &'static str, age: &'static str, label: &'static str, all: &[Backlog], now: DateTime<Utc>) -> Vec<Gauge> {
    let both =
        |one: &Backlog| [Gauge::new(count, one.count as f64).with(label, &one.kind), Gauge::new(age, one.age(now)).with(label, &one.kind)];
    all.iter().flat_map(both).collect()
}

/// Sets the figures of the pool, and those that `count` reads from the database, until `shutdown`. A figure that is not read any more
/// (nothing of its kind waits) goes to 0.
pub async fn measure_always<F>(storage: Storage, clock: Clock, count: F, shutdown: CancellationToken)
where
    F: Fn(&mut Connection, DateTime<Utc>) -> Result<Vec<Gauge>, StorageError> + Clone + Send + 'static,
{
    describe();
    let mut known: HashSet<(&'static str, Vec<(&'static str, String)>)> = HashSet::new();
    let mut look = 0_u32;
    while !shutdown.is_cancelled() {
        show_pools(&storage);
        if look.is_multiple_of(COUNT_EVERY) {
            let (count, now) = (count.clone(), clock.now());
            match storage.read(move |conn| count(conn, now)).await {
                Ok(gauges) => {
                    let read = gauges.iter().map(|gauge| (gauge.name, gauge.labels.clone())).collect();
                    for (name, labels) in known.difference(&read) {
                        metrics::gauge!(*name, labels).set(0.0);
                    }
                    gauges.iter().for_each(Gauge::set);
                    known.extend(read);
                }
                Err(error) => tracing::debug!(%error, "what waits could not be counted; it is tried again"),
            }
        }
        look = look.wrapping_add(1);
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

fn show_pools(storage: &Storage) {
    for pool in storage.pools() {
        metrics::gauge!("endcap_pool_connections_max", "pool" => pool.name).set(pool.max);
        metrics::gauge!("endcap_pool_connections", "pool" => pool.name, "state" => "busy").set(pool.busy);
        metrics::gauge!("endcap_pool_connections", "pool" => pool.name, "state" => "idle").set(pool.open.saturating_sub(pool.busy));
        metrics::gauge!("endcap_pool_waiting", "pool" => pool.name).set(pool.waiting as f64);
        metrics::counter!("endcap_pool_timeouts_total", "pool" => pool.name).absolute(pool.timeouts);
    }
}

fn describe() {
    metrics::describe_gauge!("endcap_pool_connections_max", "Connections to the database at most, by pool.");
    metrics::describe_gauge!("endcap_pool_connections", "Open connections to the database, by pool and state (busy, idle).");
    metrics::describe_gauge!("endcap_pool_waiting", "Requests that wait for a connection to the database, by pool.");
    metrics::describe_counter!("endcap_pool_timeouts_total", "Requests that waited for a connection to the database in vain, by pool.");
    metrics::describe_gauge!("endcap_tasks_waiting", "Tasks that still want judgments, by task type.");
    metrics::describe_gauge!(
        "endcap_tasks_oldest_seconds",
        metrics::Unit::Seconds,
        "Age of the oldest task that still wants judgments, by task type."
    );
    metrics::describe_gauge!("endcap_leases", "Tasks that raters hold.");
    metrics::describe_gauge!(
        "endcap_leases_oldest_seconds",
        metrics::Unit::Seconds,
        "For how long the oldest lease of a task has been held."
    );
    metrics::describe_gauge!("endcap_outbox_waiting", "Events that other services have not taken yet, by destination.");
    metrics::describe_gauge!(
        "endcap_outbox_oldest_seconds",
        metrics::Unit::Seconds,
        "Age of the oldest event that another service has not taken, by destination."
    );
    metrics::describe_gauge!("endcap_jobs_unfinished", "Jobs that wait or run, by kind.");
    metrics::describe_gauge!("endcap_jobs_oldest_seconds", metrics::Unit::Seconds, "Age of the oldest job that waits or runs, by kind.");
    metrics::describe_gauge!("endcap_webhook_deliveries_pending", "Deliveries to webhooks that are not done, whenever they are due.");
    metrics::describe_gauge!(
        "endcap_webhook_overdue_seconds",
        metrics::Unit::Seconds,
        "For how long the delivery to a webhook that is due for longest has been due."
    );
    metrics::describe_counter!("endcap_webhook_attempts_total", "Attempts to deliver to webhooks, by outcome.");
    metrics::describe_gauge!(
        "endcap_reward_model_version",
        "Version of the active reward model that this process scores with, by task type and retailer."
    );
    metrics::describe_gauge!("endcap_key_figure", "The newest key figures of all retailers together, by figure; see docs/key-figures.md.");
    metrics::describe_gauge!("endcap_key_figures_age_seconds", metrics::Unit::Seconds, "Time since the key figures were last computed.");
}
