//! Failed sign-ins, counted per e-mail address and per network address, so that passwords cannot be guessed by trying.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// Failures after which an e-mail address has to wait.
pub const PER_EMAIL: u32 = 5;

/// Failures after which a network address has to wait: more, because offices share one.
pub const PER_ADDRESS: u32 = 30;

/// How long failures count.
const WINDOW: TimeDelta = TimeDelta::minutes(1);

/// Most entries kept; when they are full those whose time is over go, and if none is, the oldest.
const CAPACITY: usize = 10_000;

/// The counters of this process.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<HashMap<String, Failures>>);

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    since: DateTime<Utc>,
}

impl Attempts {
    /// Seconds to wait before this e-mail address may be tried from this network address; `None` when it may be now.
    #[must_use]
    pub fn wait_s(&self, email: &str, address: &str, now: DateTime<Utc>) -> Option<u64> {
        let entries = self.entries();
        [(email_key(email), PER_EMAIL), (address_key(address), PER_ADDRESS)]
            .iter()
            .filter_map(|(key, limit)| entries.get(key).filter(|failures| failures.count >= *limit))
            .map(|failures| (failures.since + WINDOW - now).num_seconds())
            .filter(|seconds| *seconds > 0)
            .max()
            .map(i64::unsigned_abs)
    }

    /// Counts a failure.
    pub fn failed(&self, email: &str, address: &str, now: DateTime<Utc>) {
        let mut entries = self.entries();
        for key in [email_key(email), address_key(address)] {
            if entries.len() >= CAPACITY && !entries.contains_key(&key) {
                make_room(&mut entries, now);
            }
            let entry = entries.entry(key).or_insert(Failures { count: 0, since: now });
            if now - entry.since >= WINDOW {
                *entry = Failures { count: 0, since: now };
            }
            entry.count = entry.count.saturating_add(1);
        }
    }

    /// Forgets the failures of an e-mail address after a success.
    pub fn succeeded(&self, email: &str) {
        self.entries().remove(&email_key(email));
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room(entries: &mut HashMap<String, Failures>, now: DateTime<Utc>) {
    entries.retain(|_, failures| now - failures.since < WINDOW);
    if entries.len() >= CAPACITY {
        let oldest = entries.iter().min_by_key(|(_, failures)| failures.since).map(|(key, _)| key.clone());
        if let Some(key) = oldest {
            entries.remove(&key);
        }
    }
}

fn email_key(email: &str) -> String {
    let email: String = email.to_lowercase().chars().take(254).collect();
    format!("email {email}")
}

fn address_key(address: &str) -> String {
    format!("address {address}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn five_failures_make_an_email_wait_until_the_window_is_over() {
        let attempts = Attempts::default();
        let now: DateTime<Utc> = "2026-01-15T12:00:00Z".parse().unwrap();
        for _ in 0..PER_EMAIL {
            assert_eq!(attempts.wait_s("a@example.com", "10.0.0.1", now), None);
            attempts.failed("A@example.com", "10.0.0.1", now);
        }
        assert_eq!(attempts.wait_s("a@example.com", "10.0.0.2", now), Some(60));
        assert_eq!(attempts.wait_s("b@example.com", "10.0.0.1", now), None);
        assert_eq!(attempts.wait_s("a@example.com", "10.0.0.2", now + TimeDelta::seconds(60)), None);
        attempts.succeeded("a@example.com");
        assert_eq!(attempts.wait_s("a@example.com", "10.0.0.1", now), None);
    }

    #[test]
    fn the_table_stays_within_its_capacity() {
        let attempts = Attempts::default();
        let now: DateTime<Utc> = "2026-01-15T12:00:00Z".parse().unwrap();
        for n in 0..CAPACITY + 100 {
            attempts.failed(&format!("{n}@example.com"), "10.0.0.1", now + TimeDelta::microseconds(i64::try_from(n).unwrap()));
        }
        assert!(attempts.entries().len() <= CAPACITY);
    }
}
