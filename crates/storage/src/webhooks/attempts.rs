//! The attempts of a delivery, kept in its row: what came of each, the last [`MOST`] of them, so that a row stays small however often it is
//! replayed. An attempt whose process died leaves no line; the numbers show the gap.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::deliveries::Delivery;
use super::queue::Ended;
use crate::types::{Json, Timestamp};

/// Most attempts kept: three times what one delivery or replay makes.
pub const MOST: usize = 36;

/// Longest reason kept of one attempt, in characters.
const MAX_ERROR: usize = 200;

/// Longer than any attempt is held, for rows whose attempts were not kept.
const LONGEST_HOLD: TimeDelta = TimeDelta::seconds(61);

/// One attempt that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptMade {
    /// Replays before it: 0 is the delivery itself.
    pub replay: i32,
    /// Its number since then, from 1.
    pub number: i32,
    /// When it began.
    pub at: DateTime<Utc>,
    /// What the receiver answered.
    pub http_status: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// How long it took.
    pub duration_ms: i32,
}

/// The attempts of a delivery, oldest first.
#[must_use]
pub fn of(delivery: &Delivery) -> Vec<AttemptMade> {
    let kept = delivery.history.as_ref().map(|history| serde_json::from_value(history.0.clone()));
    kept.and_then(Result::ok).unwrap_or_default()
}

/// The attempts with the one that has just ended.
pub(super) fn with(delivery: &Delivery, ended: &Ended, now: DateTime<Utc>) -> Json {
    let mut kept = of(delivery);
    kept.push(AttemptMade {
        replay: delivery.replays,
        number: delivery.attempts,
        at: delivery.last_attempt_at.map_or(now, |Timestamp(at)| at),
        http_status: ended.http_status,
        error: ended.error.as_ref().map(|text| text.chars().take(MAX_ERROR).collect()),
        duration_ms: ended.duration_ms,
    });
    let beyond = kept.len().saturating_sub(MOST);
    kept.drain(..beyond);
    Json(json!(kept))
}

/// Whether some process holds a waiting delivery to send it: its last attempt has begun, has no end, and its lease is not over.
pub(super) fn is_under_way(delivery: &Delivery, now: DateTime<Utc>) -> bool {
    let is_leased = delivery.attempts > 0 && delivery.next_attempt_at.is_some_and(|at| at.0 > now);
    match of(delivery).last() {
        Some(last) => is_leased && (last.replay, last.number) != (delivery.replays, delivery.attempts),
        None => is_leased && delivery.last_attempt_at.is_some_and(|at| now - at.0 < LONGEST_HOLD),
    }
}
