//! Pauses between attempts: 1, 2, 5, then 10 seconds, as Supabase's own clients make them, each shortened at random by up to a half, so that
//! many processes that lost one server do not come back in one instant.

use std::time::Duration;

const STEPS_MS: [u64; 4] = [1_000, 2_000, 5_000, 10_000];

#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempt: usize,
}

impl Backoff {
    pub(super) fn next_pause(&mut self) -> Duration {
        let most = STEPS_MS.get(self.attempt).or(STEPS_MS.last()).copied().unwrap_or(10_000);
        self.attempt = (self.attempt + 1).min(STEPS_MS.len());
        // The random bits of a new id are random enough for a pause.
        let drawn = uuid::Uuid::new_v4().as_u128() % u128::from(most / 2 + 1);
        Duration::from_millis(most - u64::try_from(drawn).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_ten_seconds_and_differ() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..40).map(|_| backoff.next_pause().as_millis()).collect();
        assert!((500..=1_000).contains(&pauses[0]) && (1_000..=2_000).contains(&pauses[1]), "{pauses:?}");
        assert!(pauses[3..].iter().all(|pause| (5_000..=10_000).contains(pause)), "{pauses:?}");
        assert!(pauses[3..].windows(2).any(|two| two[0] != two[1]), "{pauses:?}");
    }
}
