//! Cohen's kappa (Cohen 1960, weighted 1968): agreement of exactly two raters on the items both judged.

use std::collections::BTreeMap;

use super::Coefficient;
use crate::judgment::Judgment;

/// How much a disagreement between labels `i` and `j` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weighting {
    /// Every disagreement counts the same.
    Unweighted,
    /// By `|i - j|`, for ordered labels.
    Linear,
    /// By `(i - j)^2`, for ordered labels.
    Quadratic,
}

impl Weighting {
    fn cost(self, i: u32, j: u32) -> f64 {
        let distance = (f64::from(i) - f64::from(j)).abs();
        match self {
            Self::Unweighted => f64::from(i != j),
            Self::Linear => distance,
            Self::Quadratic => distance * distance,
        }
    }
}

/// Label pairs of the tasks that both raters judged, in order of task index. When a rater judged a task
/// more than once the last label counts.
pub fn shared_pairs(judgments: &[Judgment], rater_a: u32, rater_b: u32) -> Vec<(u32, u32)> {
    let of = |rater| -> BTreeMap<u32, u32> {
        let own = judgments.iter().filter(|judgment| judgment.rater == rater);
        own.map(|judgment| (judgment.task, judgment.label)).collect()
    };
    let second = of(rater_b);
    of(rater_a).into_iter().filter_map(|(task, a)| second.get(&task).map(|b| (a, *b))).collect()
}

/// Cohen's kappa, `(po - pe) / (1 - pe)`, in its weighted form `1 - observed cost / expected cost`.
/// Undefined without common items and when both raters gave one and the same label throughout.
pub fn kappa(pairs: &[(u32, u32)], weighting: Weighting) -> Coefficient {
    let (n_tasks, n_judgments) = (pairs.len(), 2 * pairs.len() as u64);
    if pairs.is_empty() {
        return Coefficient::undefined("the two raters have no task in common", 0, 0);
    }
    let (mut first, mut second) = (BTreeMap::new(), BTreeMap::new());
    let mut observed = 0.0;
    for &(a, b) in pairs {
        *first.entry(a).or_insert(0.0) += 1.0;
        *second.entry(b).or_insert(0.0) += 1.0;
        observed += weighting.cost(a, b);
    }
    let expected: f64 =
        first.iter().flat_map(|(&a, n)| second.iter().map(move |(&b, m)| n * m * weighting.cost(a, b))).sum::<f64>() / n_tasks as f64;
    if expected <= 0.0 {
        let reason = "both raters gave one and the same label to every task, so chance agreement is complete";
        return Coefficient::undefined(reason, n_tasks, n_judgments);
    }
    Coefficient::defined(1.0 - observed / expected, n_tasks, n_judgments)
}
