//! What several decisions about the same texts say together: such texts are one row, or none when people contradict each other.

use std::collections::HashMap;

use storage::training_data::repeats::Repeat;

/// Why something is not in an export: a stable word.
pub type Dropped = &'static str;

/// Largest certainty: posteriors are never quite certain.
pub const MAX_POSTERIOR: f64 = 0.999;

/// Log-odds in the database are ten-thousandths.
const UNIT: f64 = 1e4;

/// Everything that comes up more than once, by key.
#[derive(Debug, Default)]
pub struct Pool(HashMap<i64, Entry>);

#[derive(Debug)]
struct Entry {
    repeat: Repeat,
    is_written: bool,
}

/// What becomes of a text or pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// Nobody else said anything about it.
    Alone,
    /// It stands for all that was said: which side is preferred, how certainly, and how many decisions are behind it.
    Together {
        /// Whether the text with the higher number is better, or the answer is good.
        is_positive: bool,
        /// Probability of that; `None` when only users, who have no posterior, said so.
        posterior: Option<f64>,
        /// Decisions behind it.
        decisions: i64,
    },
    /// It was written before.
    Repeated,
    /// People contradict each other.
    Contradicted,
    /// They agree, and are not certain enough.
    Uncertain,
}

impl Pool {
    /// Of what the database has counted.
    #[must_use]
    pub fn new(repeats: Vec<Repeat>) -> Self {
        Self(repeats.into_iter().map(|repeat| (repeat.key, Entry { repeat, is_written: false })).collect())
    }

    /// Whether nothing comes up more than once.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many pairs or texts come up more than once.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What becomes of the text or pair with this key; a row that is to be written is noted as written.
    pub fn ask(&mut self, key: Option<i64>, min_posterior: f64) -> Verdict {
        let Some(entry) = key.and_then(|key| self.0.get_mut(&key)) else { return Verdict::Alone };
        if entry.is_written {
            return Verdict::Repeated;
        }
        let Repeat { decisions, tasks, evidence, weight, even, .. } = entry.repeat;
        let rest = evidence.abs() - even;
        let log_odds = rest.max(0) as f64 / UNIT;
        let posterior = (1.0 / (1.0 + (-log_odds).exp())).min(MAX_POSTERIOR);
        let is_certain = if tasks == 0 { rest > 0 } else { posterior >= min_posterior };
        if !is_certain {
            return if evidence.abs() < weight || even > 0 { Verdict::Contradicted } else { Verdict::Uncertain };
        }
        entry.is_written = true;
        Verdict::Together { is_positive: evidence > 0, posterior: (tasks > 0).then_some(posterior), decisions }
    }
}

/// The log-odds of the posterior, to four digits; feedback, which has no posterior, has margin 0.
#[must_use]
pub fn margin(posterior: Option<f64>) -> f64 {
    let Some(posterior) = posterior else { return 0.0 };
    let p = posterior.clamp(1.0 - MAX_POSTERIOR, MAX_POSTERIOR);
    ((p / (1.0 - p)).ln() * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tasks: i64, evidence: i64, weight: i64, even: i64) -> Verdict {
        Pool::new(vec![Repeat { key: 1, decisions: 2, tasks, evidence, weight, even }]).ask(Some(1), 0.66)
    }

    #[test]
    fn agreement_makes_certain_and_contradiction_is_left_out() {
        assert_eq!(Pool::default().ask(Some(1), 0.66), Verdict::Alone);
        // Twice .6: log-odds of .4055 each.
        let Verdict::Together { is_positive: true, posterior: Some(p), decisions: 2 } = of(2, 8_110, 8_110, 0) else { panic!() };
        assert!((p - 0.692).abs() < 1e-3, "{p}");
        assert_eq!(of(2, 0, 43_944, 0), Verdict::Contradicted, "nine to one either way");
        assert_eq!(of(2, 21_972, 21_972, 21_972), Verdict::Contradicted, "one says neither is better");
        assert_eq!(of(2, 4_000, 4_000, 0), Verdict::Uncertain);
        assert_eq!(of(0, -6_931, 20_793, 0), Verdict::Together { is_positive: false, posterior: None, decisions: 2 }, "two users to one");
        let mut pool = Pool::new(vec![Repeat { key: 1, decisions: 2, tasks: 0, evidence: 1, weight: 1, even: 0 }]);
        assert!(matches!(pool.ask(Some(1), 0.66), Verdict::Together { .. }));
        assert_eq!((pool.ask(Some(1), 0.66), pool.len()), (Verdict::Repeated, 1));
    }

    #[test]
    fn margins_are_log_odds() {
        assert!((margin(Some(0.8)) - 4.0_f64.ln()).abs() < 1e-4 && margin(None) == 0.0);
        assert!((margin(Some(1.0)) - 6.9068).abs() < 1e-4);
    }
}
