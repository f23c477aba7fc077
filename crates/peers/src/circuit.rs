//! Spares a peer that is down, and its callers the wait: after several failures calls are refused at once, save for a probe now and then.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failures within [`FAILURE_WINDOW`] that open the circuit.
pub const MAX_FAILURES: usize = 5;

/// How far back failures count.
pub const FAILURE_WINDOW: Duration = Duration::from_secs(10);

/// While the circuit is open, one call is let through in each of these.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// Remembers how calls to one peer went. The caller passes the time in, so that tests steer it.
#[derive(Debug, Default)]
pub struct Circuit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The latest failures, oldest first, at most [`MAX_FAILURES`].
    failures: VecDeque<Instant>,
    /// When open: since when no probe was let through.
    last_probe: Option<Instant>,
}

impl Circuit {
    /// Whether a call may be made at `now`. With an open circuit, `true` makes this call the probe.
    pub fn admits(&self, now: Instant) -> bool {
        let mut state = self.state();
        match state.last_probe {
            None => true,
            Some(last_probe) if now.saturating_duration_since(last_probe) >= PROBE_INTERVAL => {
                state.last_probe = Some(now);
                true
            }
            Some(_) => false,
        }
    }

    /// The peer answered: closes the circuit and forgets failures.
    pub fn record_success(&self) {
        *self.state() = State::default();
    }

    /// The peer failed at `now`: opens the circuit when it did so too often.
    pub fn record_failure(&self, now: Instant) {
        let mut state = self.state();
        state.failures.push_back(now);
        while state.failures.len() > MAX_FAILURES {
            state.failures.pop_front();
        }
        let in_window = state.failures.iter().filter(|failure| now.saturating_duration_since(**failure) <= FAILURE_WINDOW).count();
        if in_window >= MAX_FAILURES && state.last_probe.is_none() {
            state.last_probe = Some(now);
        }
    }

    /// Whether calls are being refused.
    pub fn is_open(&self) -> bool {
        self.state().last_probe.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change leaves the state whole, so a panic elsewhere while holding the lock does no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(circuit: &Circuit, times: usize, at: Instant) {
        for _ in 0..times {
            circuit.record_failure(at);
        }
    }

    #[test]
    fn five_failures_in_ten_seconds_open_it() {
        let (circuit, start) = (Circuit::default(), Instant::now());
        fail(&circuit, 4, start);
        assert!(circuit.admits(start));
        fail(&circuit, 1, start + Duration::from_secs(10));
        assert!(!circuit.admits(start + Duration::from_secs(10)));
    }

    #[test]
    fn old_failures_do_not_count() {
        let (circuit, start) = (Circuit::default(), Instant::now());
        fail(&circuit, 4, start);
        fail(&circuit, 1, start + Duration::from_secs(11));
        assert!(!circuit.is_open());
    }

    #[test]
    fn a_success_between_failures_starts_the_count_again() {
        let (circuit, start) = (Circuit::default(), Instant::now());
        fail(&circuit, 4, start);
        circuit.record_success();
        fail(&circuit, 4, start);
        assert!(!circuit.is_open());
    }

    #[test]
    fn one_probe_per_five_seconds_until_one_succeeds() {
        let (circuit, start) = (Circuit::default(), Instant::now());
        fail(&circuit, 5, start);
        let probe = start + PROBE_INTERVAL;
        assert!(!circuit.admits(probe - Duration::from_millis(1)));
        assert!(circuit.admits(probe));
        assert!(!circuit.admits(probe));
        circuit.record_failure(probe);
        assert!(!circuit.admits(probe + Duration::from_secs(4)));
        assert!(circuit.admits(probe + PROBE_INTERVAL));
        circuit.record_success();
        assert!(circuit.admits(probe + PROBE_INTERVAL));
        assert!(!circuit.is_open());
    }
}
