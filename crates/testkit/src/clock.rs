//! A clock that a test sets by hand.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use domain::time::Clock;

/// Moves a fixed clock.
#[derive(Clone)]
pub struct Hand(Arc<Mutex<DateTime<Utc>>>);

impl Hand {
    /// Moves the clock on.
    pub fn advance(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }

    /// What the clock shows.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

/// A clock that stands at this RFC 3339 instant until its hand moves.
#[must_use]
pub fn fixed(instant: &str) -> (Clock, Hand) {
    let start = DateTime::parse_from_rfc3339(instant).expect("an RFC 3339 instant").to_utc();
    let hand = Hand(Arc::new(Mutex::new(start)));
    let read = hand.clone();
    (Clock::from_fn(move || read.now()), hand)
}
