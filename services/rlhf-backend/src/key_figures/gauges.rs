//! Figures for whoever is on call and for dashboards: the newest key figures of all retailers together, and jobs that are not done.

use chrono::{DateTime, TimeDelta, Utc};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::{gauges, rlhf_metrics};
use web::database::gauges::{Gauge, of_backlogs};

use super::figures::FIGURES;
use super::view::value_of;

/// The newest figures are at most so old, else there are none.
const NEWEST: TimeDelta = TimeDelta::days(7);

/// Key figures (not a number where a figure is absent), jobs, and what waits for webhooks.
///
/// # Errors
/// As any query.
pub fn count(conn: &mut Connection, now: DateTime<Utc>) -> Result<Vec<Gauge>, StorageError> {
    let jobs = gauges::unfinished_jobs(conn)?;
    let webhooks = crate::webhooks::work::gauges(conn, now)?;
    let mut all = of_backlogs("endcap_jobs_unfinished", "endcap_jobs_oldest_seconds", "kind", &jobs, now);
    all.extend(webhooks);
    let days = rlhf_metrics::span(conn, None, (now - NEWEST).date_naive(), now.date_naive())?;
    if let Some(day) = days.last() {
        let value = |figure| value_of(day, figure).unwrap_or(f64::NAN);
        all.extend(FIGURES.iter().map(|figure| Gauge::new("endcap_key_figure", value(figure)).with("figure", figure.name)));
        all.push(Gauge::new("endcap_key_figures_age_seconds", (now - day.updated_at.0).as_seconds_f64()));
    }
    Ok(all)
}
