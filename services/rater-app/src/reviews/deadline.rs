//! Until when an expert should have answered. The rule is here and nowhere else; whoever moves a task calls [`keep`].

use chrono::{DateTime, TimeDelta, Utc};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::reviews::{self, Dates};
use web::settings::Settings;

/// Whether a task with this status waits for an expert.
#[must_use]
pub fn waits(status: &str) -> bool {
    matches!(status, "escalated" | "expert_review")
}

/// How long experts have, from the settings.
#[must_use]
pub fn sla(settings: &Settings) -> TimeDelta {
    TimeDelta::from_std(settings.rating.review_sla).unwrap_or(TimeDelta::hours(24))
}

/// Dates a task that has just moved from the status `before` to `after`: the clock runs from the first moment it waits, a second
/// escalation does not wind it back, and it stops when raters take the task up again. A decision keeps the dates, to tell whether it was
/// late. Costs nothing for a task that neither waited nor waits now. The task must be locked by this transaction.
///
/// # Errors
/// As any query.
pub fn keep(tx: &mut Connection, task_id: &str, before: &str, after: &str, sla: TimeDelta, now: DateTime<Utc>) -> Result<(), StorageError> {
    if !waits(before) && !waits(after) {
        return Ok(());
    }
    let known = reviews::deadline_of(tx, task_id)?;
    let wanted = dates(before, after, known, sla, now);
    if wanted == known { Ok(()) } else { reviews::set_deadline(tx, task_id, wanted) }
}

fn dates(before: &str, after: &str, known: Option<Dates>, sla: TimeDelta, now: DateTime<Utc>) -> Option<Dates> {
    match after {
        _ if waits(after) => known.filter(|_| waits(before)).or(Some((now, now + sla))),
        "validated" => known,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_runs_from_the_first_wait_and_stops_when_raters_go_on() {
        let (now, sla) = (DateTime::<Utc>::UNIX_EPOCH, TimeDelta::hours(24));
        let (later, first) = (now + TimeDelta::hours(3), Some((now, now + sla)));
        assert_eq!(dates("in_progress", "escalated", None, sla, now), first);
        assert_eq!(dates("expert_review", "escalated", first, sla, later), first, "not wound back");
        assert_eq!(dates("escalated", "in_progress", first, sla, later), None, "the judgment was taken back");
        assert_eq!(dates("in_progress", "escalated", first, sla, later), Some((later, later + sla)), "another time");
        assert_eq!(dates("escalated", "validated", first, sla, later), first, "to tell whether it was late");
        assert_eq!(dates("in_progress", "completed", None, sla, now), None);
    }
}
