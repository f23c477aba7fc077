//! All agreement coefficients of one set of judgments together, each with its bootstrap interval, the
//! numbers it rests on and, where it is undefined, the reason. No single one can be trusted alone: kappa
//! and alpha collapse under skew, percent agreement ignores chance, Fleiss' kappa cannot take gaps.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::krippendorff::{self, Scale};
use super::pairwise::{self, PairwiseKappa};
use super::{Coefficient, LabelCounts, fleiss_kappa, gwet_ac1, pair_agreement, percent, total};
use crate::intervals::{Interval, percentile_interval};
use crate::judgment::{InvalidJudgments, Judgment};

/// Most groups of tasks that are resampled; up to this many tasks each task is its own group.
const MAX_GROUPS: usize = 1000;
/// Most cells of all groups' coincidence tables together.
const MAX_GROUP_CELLS: usize = 4_000_000;
/// Fewer groups than this give no interval.
const MIN_GROUPS: usize = 20;

/// A coefficient with its interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Value, numbers and reason.
    #[serde(flatten)]
    pub coefficient: Coefficient,
    /// 95 % percentile bootstrap interval over resampled tasks; `None` when the value is undefined, and
    /// when the data are too large or too small to resample.
    pub interval: Option<Interval>,
    /// Resamples in which the coefficient was defined and which entered the interval.
    pub replicates: usize,
}

impl Estimate {
    pub(super) fn new(coefficient: Coefficient, values: Vec<f64>) -> Self {
        if coefficient.value.is_none() || values.is_empty() {
            return Self { coefficient, interval: None, replicates: 0 };
        }
        let replicates = values.len();
        Self { coefficient, interval: percentile_interval(values, 0.95), replicates }
    }
}

/// The whole suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    /// Share of agreeing pairs of judgments, mean over tasks.
    pub percent: Estimate,
    /// Cohen's kappa as the mean over pairs of raters.
    pub cohen_kappa: PairwiseKappa,
    /// Fleiss' kappa.
    pub fleiss_kappa: Estimate,
    /// Krippendorff's alpha for labels that are names.
    pub krippendorff_alpha: Estimate,
    /// Krippendorff's alpha for labels that are ranks; undefined when they have no order.
    pub krippendorff_alpha_ordinal: Estimate,
    /// Gwet's AC1.
    pub gwet_ac1: Estimate,
    /// Judged tasks.
    pub n_tasks: usize,
    /// Raters who judged.
    pub n_raters: usize,
    /// All judgments.
    pub n_judgments: u64,
}

/// How the suite is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Resamples for the intervals; 0 for none.
    pub replicates: usize,
    /// The same seed gives the same intervals.
    pub seed: u64,
    /// Whether the label indices are ranks.
    pub is_ordered: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { replicates: 1000, seed: 1, is_ordered: false }
    }
}

/// Computes every coefficient. Tasks are resampled with replacement; above 1,000 tasks they are first put
/// into as many random groups, which are resampled as wholes: the spread is the same and the cost bounded.
///
/// # Errors
/// When an index is out of range, there is no label, or the tables would be too large.
pub fn suite(judgments: &[Judgment], n_tasks: usize, n_labels: usize, settings: &Settings) -> Result<Suite, InvalidJudgments> {
    let counts = LabelCounts::from_judgments(judgments, n_tasks, n_labels)?;
    let ordinal = if settings.is_ordered {
        krippendorff::alpha(&counts, Scale::Ordinal)
    } else {
        let (n_tasks, n_judgments) = counts.size(2);
        Coefficient::undefined("the labels have no order", n_tasks, n_judgments)
    };
    let fleiss = fleiss_kappa(&counts);
    let mut values = Values::default();
    if settings.replicates > 0 {
        resample(&counts, settings, &mut values);
    }
    let mut raters: Vec<u32> = judgments.iter().map(|judgment| judgment.rater).collect();
    raters.sort_unstable();
    raters.dedup();
    let (n_judged, n_judgments) = counts.size(1);
    Ok(Suite {
        percent: Estimate::new(percent(&counts), values.percent),
        cohen_kappa: pairwise::kappa(judgments, n_labels, settings.replicates, settings.seed),
        fleiss_kappa: Estimate::new(fleiss, values.fleiss),
        krippendorff_alpha: Estimate::new(krippendorff::alpha(&counts, Scale::Nominal), values.nominal),
        krippendorff_alpha_ordinal: Estimate::new(ordinal, values.ordinal),
        gwet_ac1: Estimate::new(gwet_ac1(&counts), values.ac1),
        n_tasks: n_judged,
        n_raters: raters.len(),
        n_judgments,
    })
}

/// Values of the resamples.
#[derive(Default)]
struct Values {
    percent: Vec<f64>,
    fleiss: Vec<f64>,
    nominal: Vec<f64>,
    ordinal: Vec<f64>,
    ac1: Vec<f64>,
}

/// What tasks add to the coefficients; all of them are functions of such sums.
#[derive(Clone)]
struct Sums {
    /// Judged tasks.
    judged: f64,
    /// Tasks with two judgments, and the judgments of those.
    compared: f64,
    judgments: f64,
    agreement: f64,
    /// Label shares and label counts over the judged tasks.
    shares: Vec<f64>,
    counts: Vec<f64>,
    coincidences: Vec<f64>,
}

impl Sums {
    fn new(n_labels: usize) -> Self {
        let zeros = || vec![0.0; n_labels];
        let coincidences = vec![0.0; n_labels * n_labels];
        Self { judged: 0.0, compared: 0.0, judgments: 0.0, agreement: 0.0, shares: zeros(), counts: zeros(), coincidences }
    }

    fn add_task(&mut self, row: &[u32]) {
        let m = total(row);
        if m == 0 {
            return;
        }
        self.judged += 1.0;
        for ((share, sum), &count) in self.shares.iter_mut().zip(&mut self.counts).zip(row) {
            *share += f64::from(count) / m as f64;
            *sum += f64::from(count);
        }
        if m < 2 {
            return;
        }
        self.compared += 1.0;
        self.judgments += m as f64;
        self.agreement += pair_agreement(row, m);
        let k = row.len();
        for (c, &n_c) in row.iter().enumerate().filter(|(_, count)| **count > 0) {
            for (other, &n_k) in row.iter().enumerate().filter(|(_, count)| **count > 0) {
                let pairs = if c == other { f64::from(n_c) * (f64::from(n_c) - 1.0) } else { f64::from(n_c) * f64::from(n_k) };
                self.coincidences[c * k + other] += pairs / (m as f64 - 1.0);
            }
        }
    }

    fn add(&mut self, other: &Self, times: f64) {
        self.judged += times * other.judged;
        self.compared += times * other.compared;
        self.judgments += times * other.judgments;
        self.agreement += times * other.agreement;
        for (mine, theirs) in
            [(&mut self.shares, &other.shares), (&mut self.counts, &other.counts), (&mut self.coincidences, &other.coincidences)]
        {
            mine.iter_mut().zip(theirs).for_each(|(sum, value)| *sum += times * value);
        }
    }

    fn clear(&mut self) {
        (self.judged, self.compared, self.judgments, self.agreement) = (0.0, 0.0, 0.0, 0.0);
        [&mut self.shares, &mut self.counts, &mut self.coincidences].into_iter().for_each(|values| values.fill(0.0));
    }

    /// Puts the coefficients that are defined into `values`.
    fn read_into(&self, values: &mut Values, is_ordered: bool) {
        if self.compared <= 0.0 {
            return;
        }
        let observed = self.agreement / self.compared;
        values.percent.push(observed);
        let all: f64 = self.counts.iter().sum();
        let chance: f64 = self.counts.iter().map(|count| (count / all).powi(2)).sum();
        if chance < 1.0 {
            values.fleiss.push((observed - chance) / (1.0 - chance));
        }
        let k = self.counts.len();
        if k > 1 {
            let spread: f64 = self.shares.iter().map(|sum| sum / self.judged).map(|share| share * (1.0 - share)).sum();
            let chance = spread / (k as f64 - 1.0);
            values.ac1.push((observed - chance) / (1.0 - chance));
        }
        values.nominal.extend(krippendorff::value(&self.coincidences, k, self.judgments, Scale::Nominal));
        if is_ordered {
            values.ordinal.extend(krippendorff::value(&self.coincidences, k, self.judgments, Scale::Ordinal));
        }
    }
}

fn resample(counts: &LabelCounts, settings: &Settings, values: &mut Values) {
    let k = counts.n_labels();
    let mut rows: Vec<&[u32]> = counts.rows(1).map(|(row, _)| row).collect();
    let limit = MAX_GROUPS.min(MAX_GROUP_CELLS / (k * k));
    let n_groups = rows.len().min(limit);
    if n_groups < rows.len().min(MIN_GROUPS) || n_groups == 0 {
        return;
    }
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    if rows.len() > n_groups {
        rows.shuffle(&mut random);
    }
    let mut groups = vec![Sums::new(k); n_groups];
    for (place, row) in rows.iter().enumerate() {
        groups[place % n_groups].add_task(row);
    }
    let (mut times, mut sums) = (vec![0_u32; n_groups], Sums::new(k));
    for _ in 0..settings.replicates {
        times.fill(0);
        (0..n_groups).for_each(|_| times[random.random_range(0..n_groups)] += 1);
        sums.clear();
        groups.iter().zip(&times).filter(|(_, times)| **times > 0).for_each(|(group, times)| sums.add(group, f64::from(*times)));
        sums.read_into(values, settings.is_ordered);
    }
}
