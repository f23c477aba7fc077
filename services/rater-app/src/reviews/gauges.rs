//! Figures for whoever is on call: what waits for raters, for experts and for the RLHF backend.

use chrono::{DateTime, Utc};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::{gauges, reviews};
use web::database::gauges::{Gauge, of_backlogs};

/// Tasks to judge, leases, the experts' queue, and events that other services have not taken.
///
/// # Errors
/// As any query.
pub fn count(conn: &mut Connection, now: DateTime<Utc>) -> Result<Vec<Gauge>, StorageError> {
    metrics::describe_gauge!("reviews_waiting", "Tasks that wait for an expert.");
    metrics::describe_gauge!("reviews_overdue", "Tasks that wait for an expert past their due time.");
    let (waiting, overdue) = reviews::count_waiting(conn, now)?;
    let leases = gauges::leases(conn)?;
    let mut all = vec![
        Gauge::new("reviews_waiting", waiting as f64),
        Gauge::new("reviews_overdue", overdue as f64),
        Gauge::new("endcap_leases", leases.count as f64),
        Gauge::new("endcap_leases_oldest_seconds", leases.age(now)),
    ];
    let (tasks, events) = (gauges::tasks_to_judge(conn)?, gauges::undelivered(conn)?);
    all.extend(of_backlogs("endcap_tasks_waiting", "endcap_tasks_oldest_seconds", "task_type", &tasks, now));
    all.extend(of_backlogs("endcap_outbox_waiting", "endcap_outbox_oldest_seconds", "destination", &events, now));
    Ok(all)
}
