//! Krippendorff's alpha (Krippendorff 2011, "Computing Krippendorff's alpha-reliability"): agreement of
//! any number of raters with gaps, and its bootstrap interval. On small data the interval is wide: the
//! classic 12-task example has alpha .74 and an interval from .42 to 1.00, so the two are shown together.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{Coefficient, LabelCounts, NO_OVERLAP};
use crate::intervals::{Interval, percentile_interval};

/// What a disagreement between two labels costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Labels are names: every disagreement costs the same.
    Nominal,
    /// Labels are ranks, in index order: the cost grows with the judgments that lie between.
    Ordinal,
    /// Labels are equally spaced numbers, in index order: squared difference.
    Interval,
}

/// Alpha with its bootstrap interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlphaEstimate {
    /// The coefficient on the data as they are.
    pub alpha: Coefficient,
    /// 95 % percentile interval over resampled tasks; `None` when alpha is undefined.
    pub interval: Option<Interval>,
    /// Resamples that had a defined alpha and entered the interval.
    pub replicates: usize,
}

/// A task's coincidences: `(label, label, weight)`, and its number of judgments.
struct Unit {
    coincidences: Vec<(usize, usize, f64)>,
    judgments: u64,
}

/// Alpha on all tasks with at least two judgments.
pub fn alpha(counts: &LabelCounts, scale: Scale) -> Coefficient {
    let units = units(counts);
    alpha_of(units.iter(), counts.n_labels(), scale)
}

/// Alpha with a 95 % percentile bootstrap interval: `replicates` times as many tasks as there are are
/// drawn with replacement. Resamples in which alpha is undefined are left out. The same seed gives the
/// same interval.
pub fn alpha_with_interval(counts: &LabelCounts, scale: Scale, replicates: usize, seed: u64) -> AlphaEstimate {
    let units = units(counts);
    let alpha = alpha_of(units.iter(), counts.n_labels(), scale);
    if alpha.value.is_none() {
        return AlphaEstimate { alpha, interval: None, replicates: 0 };
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut values = Vec::with_capacity(replicates);
    for _ in 0..replicates {
        let drawn: Vec<&Unit> = units.iter().map(|_| &units[random.random_range(0..units.len())]).collect();
        values.extend(alpha_of(drawn.into_iter(), counts.n_labels(), scale).value);
    }
    let replicates = values.len();
    AlphaEstimate { alpha, interval: percentile_interval(values, 0.95), replicates }
}

fn units(counts: &LabelCounts) -> Vec<Unit> {
    let unit = |(row, judgments): (&[u32], u64)| {
        let given: Vec<(usize, f64)> =
            row.iter().enumerate().filter(|(_, count)| **count > 0).map(|(label, count)| (label, f64::from(*count))).collect();
        let mut coincidences = Vec::with_capacity(given.len() * given.len());
        for &(c, n_c) in &given {
            for &(k, n_k) in &given {
                let pairs = if c == k { n_c * (n_c - 1.0) } else { n_c * n_k };
                coincidences.push((c, k, pairs / (judgments as f64 - 1.0)));
            }
        }
        Unit { coincidences, judgments }
    };
    counts.rows(2).map(unit).collect()
}

fn alpha_of<'a>(units: impl Iterator<Item = &'a Unit>, n_labels: usize, scale: Scale) -> Coefficient {
    let mut observed = vec![0.0; n_labels * n_labels];
    let (mut n_tasks, mut n_judgments) = (0, 0);
    for unit in units {
        n_tasks += 1;
        n_judgments += unit.judgments;
        unit.coincidences.iter().for_each(|&(c, k, weight)| observed[c * n_labels + k] += weight);
    }
    if n_tasks == 0 {
        return Coefficient::undefined(NO_OVERLAP, 0, 0);
    }
    match value(&observed, n_labels, n_judgments as f64, scale) {
        Some(value) => Coefficient::defined(value, n_tasks, n_judgments),
        None => Coefficient::undefined(super::ONE_LABEL, n_tasks, n_judgments),
    }
}

/// Alpha from a table of coincidences, which sum to the number of judgments; `None` when only one label
/// was given.
pub(super) fn value(observed: &[f64], n_labels: usize, n_judgments: f64, scale: Scale) -> Option<f64> {
    let marginals: Vec<f64> = observed.chunks_exact(n_labels).map(|row| row.iter().sum()).collect();
    let mut up_to = marginals.clone();
    for label in 1..n_labels {
        up_to[label] += up_to[label - 1];
    }
    let (mut disagreement, mut by_chance) = (0.0, 0.0);
    for c in 0..n_labels {
        for k in c + 1..n_labels {
            let cost = match scale {
                Scale::Nominal => 1.0,
                Scale::Ordinal => {
                    let between = up_to[k] - up_to[c] + marginals[c];
                    (between - (marginals[c] + marginals[k]) / 2.0).powi(2)
                }
                Scale::Interval => ((k - c) as f64).powi(2),
            };
            disagreement += observed[c * n_labels + k] * cost;
            by_chance += marginals[c] * marginals[k] * cost;
        }
    }
    (by_chance > 0.0).then(|| 1.0 - (n_judgments - 1.0) * disagreement / by_chance)
}
