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
    /// Counts a try before its password is looked at, so that many at once are not all let through; a success takes it back.
    ///
    /// # Errors
    /// Seconds to wait, when this e-mail address or network address has had its tries; nothing is counted then.
    pub fn begin(&self, email: &str, address: &str, now: DateTime<Utc>) -> Result<(), u64> {
        let mut entries = self.entries();
        let keys = [(email_key(email), PER_EMAIL), (address_key(address), PER_ADDRESS)];
        let wait = keys
            .iter()
            .filter_map(|(key, limit)| entries.get(key).filter(|failures| failures.count >= *limit))
            .map(|failures| (failures.since + WINDOW - now).num_seconds())
            .filter(|seconds| *seconds > 0)
            .max();
        if let Some(seconds) = wait {
            return Err(seconds.unsigned_abs());
        }
        for (key, _) in keys {
            if entries.len() >= CAPACITY && !entries.contains_key(&key) {
                make_room(&mut entries, now);
            }
            let entry = entries.entry(key).or_insert(Failures { count: 0, since: now });
            if now - entry.since >= WINDOW {
                *entry = Failures { count: 0, since: now };
            }
            entry.count = entry.count.saturating_add(1);
        }
        Ok(())
    }

    /// After a success: forgets the failures of the e-mail address, and takes this try back from the network address.
    pub fn succeeded(&self, email: &str, address: &str) {
        let mut entries = self.entries();
        entries.remove(&email_key(email));
        if let Some(entry) = entries.get_mut(&address_key(address)) {
            entry.count = entry.count.saturating_sub(1);
        }
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
            assert_eq!(attempts.begin("A@example.com", "10.0.0.1", now), Ok(()));
        }
        assert_eq!(attempts.begin("a@example.com", "10.0.0.2", now), Err(60));
        assert_eq!(attempts.begin("b@example.com", "10.0.0.1", now), Ok(()));
        assert_eq!(attempts.begin("a@example.com", "10.0.0.2", now + TimeDelta::seconds(60)), Ok(()));
        attempts.succeeded("a@example.com", "10.0.0.2");
        assert_eq!(attempts.begin("a@example.com", "10.0.0.1", now), Ok(()));
    }

    #[test]
    fn the_table_stays_within_its_capacity() {
        let attempts = Attempts::default();
        let now: DateTime<Utc> = "2026-01-15T12:00:00Z".parse().unwrap();
        for n in 0..CAPACITY + 100 {
            let _ = attempts.begin(
                &format!("{n}@example.com"),
                &format!("10.0.{}.{}", n / 256, n % 256),
                now + TimeDelta::microseconds(i64::try_from(n).unwrap()),
            );
        }
        assert!(attempts.entries().len() <= CAPACITY);
    }
}
