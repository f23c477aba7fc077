//! Exact tests for small samples: what the quality rules rest on, so that nobody is accused by an approximation that does not hold
//! for fifty answers. Every function answers `None` where the test is not defined; none panics.

use statrs::distribution::{Binomial, ChiSquared, ContinuousCDF, Discrete, DiscreteCDF, Hypergeometric, Normal};
use statrs::function::factorial::ln_binomial;

/// Probabilities that differ by less than this factor count as equal when "no more likely than what was seen" is summed (the factor
/// that R and SciPy use, too).
const SAME: f64 = 1.0 + 1e-7;

/// Which alternative a one-sided test looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// As many successes, or more.
    AtLeast,
    /// As many successes, or fewer.
    AtMost,
}

/// P-value of `successes` out of `total` when each comes with probability `share`, in one direction. `None` when `total` is 0,
/// `successes` exceeds it, or `share` is no probability.
pub fn binomial(successes: u64, total: u64, share: f64, tail: Tail) -> Option<f64> {
    let law = binomial_law(successes, total, share)?;
    Some(match (tail, successes.checked_sub(1)) {
        (Tail::AtMost, _) => law.cdf(successes),
        (Tail::AtLeast, None) => 1.0,
        (Tail::AtLeast, Some(below)) => law.sf(below),
    })
}

/// Two-sided p-value of the exact binomial test: the probability of all counts that are no more likely than the one seen. `None` as
/// for [`binomial`].
pub fn binomial_two_sided(successes: u64, total: u64, share: f64) -> Option<f64> {
    let law = binomial_law(successes, total, share)?;
    let bound = law.pmf(successes) * SAME;
    let mode = law_mode(total, share);
    if successes == mode {
        return Some(1.0);
    }
    // The law rises up to its mode and falls after it, so the other tail is found by bisection.
    let p = if successes > mode {
        let other = partition(0, mode, |count| law.pmf(count) <= bound);
        let low = other.checked_sub(1).map_or(0.0, |last| law.cdf(last));
        low + successes.checked_sub(1).map_or(1.0, |below| law.sf(below))
    } else {
        let first = partition(mode, total.saturating_add(1), |count| law.pmf(count) > bound);
        law.cdf(successes) + if first > total { 0.0 } else { first.checked_sub(1).map_or(1.0, |below| law.sf(below)) }
    };
    Some(p.min(1.0))
}

fn binomial_law(successes: u64, total: u64, share: f64) -> Option<Binomial> {
    if total == 0 || successes > total {
        return None;
    }
    Binomial::new(share, total).ok()
}

fn law_mode(total: u64, share: f64) -> u64 {
    let mode = ((total as f64 + 1.0) * share).floor();
    if mode <= 0.0 { 0 } else { (mode as u64).min(total) }
}

/// First of `low..high` for which `holds` is false, when it holds for all before and for none after; `high` when it always holds.
fn partition(mut low: u64, mut high: u64, holds: impl Fn(u64) -> bool) -> u64 {
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Fisher's exact test (1922), one-sided: the probability that the first of two groups has as many successes or more when both have the
/// same chance, given all margins. `None` when a group is empty or has more successes than members.
pub fn fisher_greater(first: (u64, u64), second: (u64, u64)) -> Option<f64> {
    let ((hits, size), (other_hits, other_size)) = (first, second);
    if size == 0 || other_size == 0 || hits > size || other_hits > other_size {
        return None;
    }
    let population = size.checked_add(other_size)?;
    let law = Hypergeometric::new(population, hits + other_hits, size).ok()?;
    Some(hits.checked_sub(1).map_or(1.0, |below| law.sf(below)).clamp(0.0, 1.0))
}

/// Mann and Whitney's test (1947), one-sided: is the first sample smaller than the second? Normal approximation with correction for
/// ties and continuity; meant for eight values a side or more. `None` when a sample is empty or all values are the same.
pub fn mann_whitney_less(first: &[f64], second: &[f64]) -> Option<f64> {
    let (n1, n2) = (first.len() as f64, second.len() as f64);
    if first.is_empty() || second.is_empty() {
        return None;
    }
    let mut all: Vec<(f64, bool)> = first.iter().map(|v| (*v, true)).chain(second.iter().map(|v| (*v, false))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank_sum, mut ties, mut before) = (0.0, 0.0, 0.0);
    for group in all.chunk_by(|a, b| a.0 == b.0) {
        let size = group.len() as f64;
        let of_first = group.iter().filter(|(_, is_first)| *is_first).count() as f64;
        rank_sum += of_first * (before + (size + 1.0) / 2.0);
        ties += size.powi(3) - size;
        before += size;
    }
    let n = n1 + n2;
    // The number of pairs in which the value of the first sample is the larger one, ties half.
    let larger = rank_sum - n1 * (n1 + 1.0) / 2.0;
    let variance = n1 * n2 / 12.0 * ((n + 1.0) - ties / (n * (n - 1.0)));
    if variance.is_nan() || variance <= 0.0 {
        return None;
    }
    let z = (larger + 0.5 - n1 * n2 / 2.0) / variance.sqrt();
    Some(Normal::standard().cdf(z))
}

/// A runs test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Runs {
    /// Stretches of equal values.
    pub runs: u64,
    /// How many are expected in a random order.
    pub expected: f64,
    /// Standard score of `runs`.
    pub z: f64,
    /// Exact two-sided p-value given how often each value occurs.
    pub p: f64,
}

/// Wald and Wolfowitz's runs test (1940): are two values mixed as in a random order, or do they come in streaks (few runs) or take
/// turns (many)? With n1 and n2 values, E = 1 + 2 n1 n2 / n and V = 2 n1 n2 (2 n1 n2 - n) / (n^2 (n - 1)); the p-value is exact, from
/// P(R = 2k) = 2 C(n1-1, k-1) C(n2-1, k-1) / C(n, n1) and its like for odd R, over all numbers of runs no more likely than the one
/// seen. `None` when one of the values does not occur.
pub fn runs(sequence: &[bool]) -> Option<Runs> {
    let n1 = sequence.iter().filter(|value| **value).count() as u64;
    let n2 = sequence.len() as u64 - n1;
    if n1 == 0 || n2 == 0 {
        return None;
    }
    let seen = sequence.chunk_by(|a, b| a == b).count() as u64;
    let law: Vec<(u64, f64)> = (2..=2 * n1.min(n2) + 1).map(|runs| (runs, runs_probability(runs, n1, n2))).collect();
    let bound = runs_probability(seen, n1, n2) * SAME;
    let p: f64 = law.iter().filter(|(_, probability)| *probability <= bound).map(|(_, probability)| probability).sum();
    let (a, b) = (n1 as f64, n2 as f64);
    let n = a + b;
    let expected = 1.0 + 2.0 * a * b / n;
    let variance = 2.0 * a * b * (2.0 * a * b - n) / (n * n * (n - 1.0));
    let z = if variance > 0.0 { (seen as f64 - expected) / variance.sqrt() } else { 0.0 };
    Some(Runs { runs: seen, expected, z, p: p.min(1.0) })
}

/// P(R = runs); `runs` is at least 2, `n1` and `n2` at least 1.
fn runs_probability(runs: u64, n1: u64, n2: u64) -> f64 {
    let half = runs / 2;
    // Ways to cut n values into k runs.
    let ways = |n: u64, k: u64| if k == 0 || k > n { f64::NEG_INFINITY } else { ln_binomial(n - 1, k - 1) };
    let all = ln_binomial(n1 + n2, n1);
    if runs.is_multiple_of(2) {
        return 2.0 * (ways(n1, half) + ways(n2, half) - all).exp();
    }
    (ways(n1, half) + ways(n2, half + 1) - all).exp() + (ways(n1, half + 1) + ways(n2, half) - all).exp()
}

/// A test of whether two groups spread over categories alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Homogeneity {
    /// 2 sum O ln(O / E).
    pub g: f64,
    /// Degrees of freedom.
    pub degrees: u32,
}

impl Homogeneity {
    /// Upper tail of the chi-squared law; `None` without degrees of freedom.
    pub fn p(self) -> Option<f64> {
        let law = ChiSquared::new(f64::from(self.degrees)).ok()?;
        Some(law.sf(self.g.max(0.0)))
    }
}

/// The G-test of homogeneity for two rows of counts. Categories that expect fewer than five in a row are merged into one (Cochran's
/// rule). `None` when fewer than two categories remain or the rows differ in length.
pub fn g_test(first: &[u64], second: &[u64]) -> Option<Homogeneity> {
    const LEAST_EXPECTED: f64 = 5.0;
    if first.len() != second.len() {
        return None;
    }
    let total = |row: &[u64]| row.iter().map(|count| *count as f64).sum::<f64>();
    let (n1, n2) = (total(first), total(second));
    if n1 == 0.0 || n2 == 0.0 {
        return None;
    }
    let smaller = n1.min(n2) / (n1 + n2);
    let mut columns: Vec<(f64, f64)> = Vec::new();
    let mut rest = (0.0, 0.0);
    for (a, b) in first.iter().zip(second).map(|(a, b)| (*a as f64, *b as f64)) {
        if (a + b) * smaller >= LEAST_EXPECTED {
            columns.push((a, b));
        } else {
            rest = (rest.0 + a, rest.1 + b);
        }
    }
    if (rest.0 + rest.1) * smaller >= LEAST_EXPECTED {
        columns.push(rest);
    } else if let Some(least) = columns.iter_mut().min_by(|a, b| (a.0 + a.1).total_cmp(&(b.0 + b.1))) {
        // Too few even together: they join the rarest of the others.
        *least = (least.0 + rest.0, least.1 + rest.1);
    }
    let degrees = u32::try_from(columns.len().checked_sub(1)?).ok().filter(|degrees| *degrees > 0)?;
    let n = n1 + n2;
    let part = |seen: f64, expected: f64| if seen > 0.0 { seen * (seen / expected).ln() } else { 0.0 };
    let g = columns.iter().map(|(a, b)| part(*a, (a + b) * n1 / n) + part(*b, (a + b) * n2 / n)).sum::<f64>() * 2.0;
    Some(Homogeneity { g, degrees })
}

/// Benjamini and Hochberg's adjusted p-values (1995), in the order given: calling significant whatever is at most `q` keeps the
/// expected share of false alarms among all alarms at `q` or below. `None` stays `None` and does not count as a test.
pub fn benjamini_hochberg(p_values: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut order: Vec<(usize, f64)> = p_values.iter().enumerate().filter_map(|(at, p)| p.map(|p| (at, p))).collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let m = order.len() as f64;
    let mut adjusted = vec![None; p_values.len()];
    let mut least = 1.0_f64;
    for (rank, (at, p)) in order.iter().enumerate().rev() {
        least = least.min(p * m / (rank as f64 + 1.0));
        if let Some(slot) = adjusted.get_mut(*at) {
            *slot = Some(least);
        }
    }
    adjusted
}
