//! Access that has ended while tokens of it are out: a socket must not be opened, or stay open, with what a sign-out, a changed role or a revoked
//! key has ended. Every process learns of it from the outbox (`storage::access_ends`) and remembers it for as long as a token can live.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use realtime::authority::Grant;
use storage::access_ends::{self, AccessEnd};
use storage::error::StorageError;
use storage::outbox::OutboxEvent;

use crate::state::State;

/// How long an end is remembered: longer than any access token lives. Events stay in the outbox for a day.
const REMEMBERED: TimeDelta = TimeDelta::hours(25);
/// Most ends remembered; of more, the oldest are forgotten, whose tokens end first.
const MOST: usize = 200_000;
/// Events read at once at the start.
const BATCH: i64 = 1_000;

/// What has ended; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Ended {
    ends: Arc<Mutex<HashMap<String, End>>>,
}

/// The end of a session, account or key.
#[derive(Debug, Clone)]
struct End {
    at: DateTime<Utc>,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Whole,
    /// What was given before it, but for one session.
    Before {
        spared: Option<String>,
        /// When an earlier end did not spare that session: what was given before then has ended whoever is spared now.
        unspared: Option<DateTime<Utc>>,
    },
}

impl End {
    /// This end and another one of the same account, of which either may be the later: two processes tell theirs in any order.
    fn and_before(self, at: DateTime<Utc>, spared: Option<String>) -> Self {
        let Kind::Before { spared: known_spared, unspared } = self.kind else { return self };
        let is_later = self.at <= at;
        let (first_at, last_at) = if is_later { (self.at, at) } else { (at, self.at) };
        let unspared = if known_spared == spared { unspared } else { unspared.max(Some(first_at)) };
        Self { at: last_at, kind: Kind::Before { spared: if is_later { spared } else { known_spared }, unspared } }
    }
}

impl Ended {
    /// Remembers what an event tells; whether it tells an end.
    pub fn note(&self, event: &OutboxEvent) -> bool {
        let Some((end, at)) = access_ends::read(event) else { return false };
        let mut ends = self.lock();
        let whole = End { at, kind: Kind::Whole };
        match end {
            AccessEnd::Session { session_id } => drop(ends.insert(session_id, whole)),
            AccessEnd::Key { key_id } => drop(ends.insert(key_id, whole)),
            AccessEnd::Account { account_id, spared, latest } => {
                ends.extend(latest.into_iter().map(|session| (session, whole.clone())));
                let together = ends.remove(&account_id).map_or_else(
                    || End { at, kind: Kind::Before { spared: spared.clone(), unspared: None } },
                    |known| known.and_before(at, spared.clone()),
                );
                ends.insert(account_id, together);
            }
        }
        if ends.len() > MOST {
            let mut times: Vec<DateTime<Utc>> = ends.values().map(|end| end.at).collect();
            times.sort_unstable();
            let middle = times.get(times.len() / 2).copied().unwrap_or(at);
            ends.retain(|_, end| end.at > middle);
            tracing::warn!(left = ends.len(), "more access has ended in a day than is remembered; the older half is forgotten");
        }
        true
    }

    /// Whether access that was given so has ended.
    #[must_use]
    pub fn is_over(&self, grant: &Grant) -> bool {
        let ends = self.lock();
        if ends.is_empty() {
            return false;
        }
        let is_whole = |id: &String| ends.get(id).is_some_and(|end| end.kind == Kind::Whole);
        grant.session.as_ref().is_some_and(is_whole)
            || ends.get(&grant.account).is_some_and(|end| match &end.kind {
                Kind::Whole => true,
                Kind::Before { spared, unspared } => {
                    let is_spared = spared.is_some() && *spared == grant.session;
                    // Tokens have whole seconds; sessions of the very second are named by the event.
                    let was_given_before = |at: DateTime<Utc>| grant.issued_at.is_none_or(|issued| issued < at.timestamp());
                    if is_spared { unspared.is_some_and(was_given_before) } else { was_given_before(end.at) }
                }
            })
    }

    /// Forgets what no token can outlive.
    pub fn forget_old(&self, now: DateTime<Utc>) {
        self.lock().retain(|_, end| now - end.at < REMEMBERED);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, End>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads what had ended before this process started, and closes the sockets that were opened with it meanwhile.
///
/// # Errors
/// As any query.
pub async fn recall(state: &State) -> Result<(), StorageError> {
    let from = state.clock.now() - REMEMBERED;
    let mut after = 0;
    loop {
        let events = state.storage.read(move |conn| access_ends::since(conn, from, after, BATCH)).await?;
        let Some(last) = events.last() else { break };
        after = last.id;
        for event in &events {
            state.ended.note(event);
        }
    }
    close_sockets(state);
    Ok(())
}

/// Closes the sockets of those whose access has ended, and forgets their keys.
pub fn close_sockets(state: &State) {
    state.known_keys.forget(|grant| state.ended.is_over(grant));
    let closed = state.hub.disconnect(|identity| state.ended.is_over(&identity.grant));
    if closed > 0 {
        tracing::info!(closed, "sockets were closed because the access they were opened with has ended");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn event(payload: serde_json::Value, at: &str) -> OutboxEvent {
        OutboxEvent {
            id: 1,
            event_id: "evt_1".to_owned(),
            topic: access_ends::TOPIC.to_owned(),
            event: "ended".to_owned(),
            payload: payload.into(),
            tenant_id: None,
            attempts: 0,
            created_at: storage::types::Timestamp(at.parse().unwrap()),
        }
    }

    fn token(session: &str, issued: &str) -> Grant {
        let issued: DateTime<Utc> = issued.parse().unwrap();
        Grant { account: "acc_1".to_owned(), session: Some(session.to_owned()), issued_at: Some(issued.timestamp()) }
    }

    #[test]
    fn an_account_that_ends_takes_what_was_given_before_and_spares_the_session_that_goes_on() {
        let ended = Ended::default();
        let (before, at, after) = ("2026-01-15T11:59:59Z", "2026-01-15T12:00:00.5Z", "2026-01-15T12:00:01Z");
        ended.note(&event(json!({"kind": "account", "account_id": "acc_1", "spared": "s1", "latest": ["s3"]}), at));
        assert!(ended.is_over(&token("s2", before)));
        assert!(!ended.is_over(&token("s1", before)), "the session that goes on");
        assert!(!ended.is_over(&token("s2", after)), "signed in again");
        assert!(ended.is_over(&token("s3", at)), "began in the second of the end");
        assert!(!ended.is_over(&token("s4", at)), "and this one after it");
        assert!(!ended.is_over(&Grant { account: "acc_2".to_owned(), ..Grant::default() }));
        ended.note(&event(json!({"kind": "account", "account_id": "acc_1", "spared": null, "latest": []}), before));
        assert!(!ended.is_over(&token("s1", before)), "an earlier end that is read later changes nothing of what came after it");
    }

    #[test]
    fn a_session_that_has_ended_is_spared_by_no_later_end() {
        let all = json!({"kind": "account", "account_id": "acc_1", "spared": null, "latest": []});
        let others = json!({"kind": "account", "account_id": "acc_1", "spared": "s1", "latest": []});
        let (given, first, then, last) = ("2026-01-15T11:00:00Z", "2026-01-15T12:00:00Z", "2026-01-15T12:05:00Z", "2026-01-15T12:10:00Z");
        for turned in [false, true] {
            let ended = Ended::default();
            let mut events = [event(all.clone(), first), event(others.clone(), last)];
            if turned {
                events.reverse();
            }
            for event in &events {
                ended.note(event);
            }
            assert!(ended.is_over(&token("s1", given)), "an old token ends the others, and has ended itself: turned {turned}");
            assert!(!ended.is_over(&token("s1", then)), "the same, of a session that began later");
            assert!(ended.is_over(&token("s2", then)), "turned {turned}");
            ended.note(&event(others.clone(), "2026-01-15T12:20:00Z"));
            assert!(ended.is_over(&token("s1", given)) && !ended.is_over(&token("s1", then)), "spared again: turned {turned}");
        }
    }

    #[test]
    fn a_key_and_a_session_end_for_good_and_are_forgotten_when_no_token_is_left() {
        let ended = Ended::default();
        let at = "2026-01-15T12:00:00Z";
        ended.note(&event(json!({"kind": "key", "key_id": "key_1"}), at));
        ended.note(&event(json!({"kind": "session", "session_id": "s1"}), at));
        assert!(ended.is_over(&Grant { account: "key_1".to_owned(), ..Grant::default() }));
        assert!(ended.is_over(&token("s1", "2026-01-15T12:30:00Z")), "renewed on the way");
        ended.forget_old("2026-01-16T13:00:01Z".parse().unwrap());
        assert!(!ended.is_over(&token("s1", at)));
        assert!(!ended.note(&OutboxEvent { topic: "tasks".to_owned(), ..event(json!({}), at) }));
    }
}
