//! One attempt: signed, sent, and what came of it. When it is made again is decided here too.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use peers::outbound::OutboundError;
use secrecy::ExposeSecret as _;
use storage::webhooks::Webhook;
use storage::webhooks::queue::{Attempt, Ended, Outcome};
use web::sealing::{SealError, place_of_webhook};

use super::signing::sign;
use crate::state::State;

/// Attempts at most; with the pauses between them they span about 31 hours.
pub const MAX_ATTEMPTS: i32 = 12;

/// Pause before the second attempt; each later one is four times as long, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(5);

/// Longest pause, whatever a receiver asks for.
const LONGEST_PAUSE: TimeDelta = TimeDelta::hours(6);

/// How much a pause differs by chance, to either side.
const JITTER: f64 = 0.2;

/// The pause after this many failed attempts; `None` when that was the last. `chance` is from 0 to 1.
#[must_use]
pub fn pause_after(attempts: i32, asked: Option<u64>, chance: f64) -> Option<TimeDelta> {
    if attempts >= MAX_ATTEMPTS {
        return None;
    }
    let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(10);
    let longest = LONGEST_PAUSE.num_milliseconds();
    let plain = FIRST_PAUSE.num_milliseconds().saturating_mul(4_i64.pow(doublings)).min(longest);
    let scattered = plain as f64 * (1.0 - JITTER + 2.0 * JITTER * chance.clamp(0.0, 1.0));
    let asked = asked.and_then(|seconds| i64::try_from(seconds).ok()).map_or(0, |seconds| seconds.saturating_mul(1_000).min(longest));
    Some(TimeDelta::milliseconds((scattered.round() as i64).max(asked)))
}

/// Makes an attempt.
pub async fn send(state: &State, attempt: &Attempt) -> Ended {
    let begun = Instant::now();
    let (delivery, now) = (&attempt.delivery, state.clock.now());
    let sent = match signatures(state, &attempt.webhook, &delivery.event_id, &delivery.payload, now) {
        Ok(signature) => {
            let headers = [
                ("webhook-id", delivery.event_id.clone()),
                ("webhook-timestamp", now.timestamp().to_string()),
                ("webhook-signature", signature),
            ];
            state.webhooks.outbound.post(&attempt.webhook.url, &headers, delivery.payload.clone()).await
        }
        Err(error) => Err(OutboundError::Refused(format!("the secret cannot be used: {error}"))),
    };
    let (http_status, asked, error) = match &sent {
        Ok(answer) if (200..300).contains(&answer.status) => (Some(answer.status), None, None),
        Ok(answer) => (Some(answer.status), answer.retry_after, Some(refusal(answer.status))),
        Err(error) => (None, None, Some(error.to_string())),
    };
    let outcome = match (http_status, &error) {
        (_, None) => Outcome::Delivered,
        (Some(410), _) => Outcome::Gone,
        _ => match pause_after(delivery.attempts, asked, rand::random()) {
            Some(pause) => Outcome::Again(domain::time::cut(state.clock.now() + pause)),
            None => Outcome::Failed,
        },
    };
    let duration_ms = i32::try_from(begun.elapsed().as_millis()).unwrap_or(i32::MAX);
    count(&outcome, &sent.err());
    Ended { outcome, http_status, error, duration_ms }
}

fn refusal(status: u16) -> String {
    match status {
        300..400 => format!("the receiver answered {status}; redirects are not followed"),
        _ => format!("the receiver answered {status}"),
    }
}

/// The signature under the secret, and under the one before it while that still counts.
fn signatures(state: &State, webhook: &Webhook, id: &str, body: &str, now: DateTime<Utc>) -> Result<String, SealError> {
    let previous = webhook.previous_secret_sealed.as_ref().filter(|_| webhook.previous_secret_until.is_some_and(|until| until.0 > now));
    let place = place_of_webhook(&webhook.webhook_id);
    let mut all = Vec::new();
    for sealed in [Some(&webhook.secret_sealed), previous].into_iter().flatten() {
        let secret = state.settings.seal_keys.open(sealed, &place)?;
        all.push(sign(secret.expose_secret(), id, now.timestamp(), body).ok_or(SealError::Malformed)?);
    }
    Ok(all.join(" "))
}

fn count(outcome: &Outcome, error: &Option<OutboundError>) {
    let outcome = match (outcome, error) {
        (Outcome::Delivered, _) => "delivered",
        (_, Some(OutboundError::Refused(_))) => "refused",
        (Outcome::Again(_), _) => "retried",
        (Outcome::Failed, _) => "failed",
        (Outcome::Gone, _) => "gone",
    };
    metrics::counter!("endcap_webhook_attempts_total", "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn pauses_grow_to_hours_and_end_after_a_day_and_a_half() {
        let middle = |attempts| pause_after(attempts, None, 0.5).map(|pause| pause.num_seconds());
        let all: Vec<Option<i64>> = (1..=12).map(middle).collect();
        let expected = [5, 20, 80, 320, 1_280, 5_120, 20_480, 21_600, 21_600, 21_600, 21_600].map(Some);
        assert_eq!(all[..11], expected);
        assert_eq!(all[11], None, "the twelfth is the last");
        let hours = all.iter().flatten().sum::<i64>() / 3_600;
        assert_eq!(hours, 31);
        assert_eq!(pause_after(1, None, 0.0).unwrap(), TimeDelta::milliseconds(4_000));
        assert_eq!(pause_after(1, None, 1.0).unwrap(), TimeDelta::milliseconds(6_000));
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_pause_and_not_for_ever() {
        assert_eq!(pause_after(1, Some(120), 0.5).unwrap(), TimeDelta::minutes(2));
        assert_eq!(pause_after(1, Some(1), 0.5).unwrap(), TimeDelta::seconds(5));
        assert_eq!(pause_after(1, Some(u64::MAX), 0.5).unwrap(), FIRST_PAUSE);
        assert_eq!(pause_after(1, Some(31_536_000), 0.5).unwrap(), LONGEST_PAUSE);
    }
}
