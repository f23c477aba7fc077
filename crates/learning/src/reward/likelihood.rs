//! Davidson's model of a comparison (Davidson 1970, "On extending the Bradley-Terry model to accommodate
//! ties") and its regularised negative log-likelihood.
//!
//! Weights are fitted in units of their prior standard deviation: then the penalty is the same in all directions, and the fit needs fewer
//! steps than with weights of different strengths.

use std::ops::Range;

use super::Outcome;
use super::design::{Design, Row, SEGMENTS};
use super::lbfgs::{Limits, Search};
use super::parallel;
use super::setting::Setting;

/// A pseudo-comparison of equals keeps the tie parameter finite: weight and outcome.
const PRIOR_WEIGHT: f64 = 1.0;
const PRIOR: Outcome = Outcome { a: 0.45, tie: 0.1, b: 0.45 };

/// Probabilities of a win of a, a tie and a win of b for a score `difference` (a - b): proportional to
/// `exp(difference / 2)`, `nu = exp(log_tie)` and `exp(-difference / 2)`.
pub(super) fn davidson(difference: f64, log_tie: f64) -> Outcome {
    let [a, tie, b] = log_davidson(difference, log_tie).map(f64::exp);
    Outcome { a, tie, b }
}

fn log_davidson(difference: f64, log_tie: f64) -> [f64; 3] {
    let half = difference / 2.0;
    let top = half.abs().max(log_tie);
    let win_a = (half - top).exp();
    let win_b = (-half - top).exp();
    // Adding the two wins first keeps the sum the same when a and b are exchanged.
    let log_sum = top + ((win_a + win_b) + (log_tie - top).exp()).ln();
    [half - log_sum, log_tie - log_sum, -half - log_sum]
}

/// Cross entropy in nats between an outcome and the model's probabilities.
pub(super) fn log_loss(outcome: Outcome, difference: f64, log_tie: f64) -> f64 {
    let [a, tie, b] = log_davidson(difference, log_tie);
    -((outcome.a * a + outcome.b * b) + outcome.tie * tie)
}

/// Rows of a design, each with how much it counts.
pub(super) type Sample = Vec<(u32, f64)>;

/// Every row of a design with its own weight.
pub(super) fn every_row(design: &Design) -> Sample {
    design.rows.iter().zip(0..).map(|(row, index)| (index, row.weight)).collect()
}

/// Fitted parameters in natural units: one weight a column of the design (0 where its segment is not used), and the tie parameter.
#[derive(Debug, Clone, Default)]
pub(super) struct Fitted {
    pub(super) weights: Vec<f64>,
    pub(super) log_tie: f64,
}

impl Fitted {
    /// Score difference of a row.
    pub(super) fn difference(&self, design: &Design, row: &Row) -> f64 {
        let of = |segment| {
            design.entries(row, segment).iter().map(|&(column, value)| self.weights[column as usize] * f64::from(value)).sum::<f64>()
        };
        (0..SEGMENTS).map(of).sum()
    }
}

/// One fit.
#[derive(Clone, Copy)]
pub(super) struct Problem<'a> {
    /// The rows that count.
    pub(super) sample: &'a Sample,
    /// Earlier parameters to begin at.
    pub(super) start: &'a Fitted,
    /// Where the penalty pulls to, in prior standard deviations; empty for 0.
    pub(super) centre: &'a [f64],
}

/// Fits weights and tie parameter to a sample.
pub(super) fn fit(design: &Design, setting: &Setting, problem: Problem<'_>, precision: Precision) -> Fitted {
    let [fitted] = fit_together(design, setting, [problem], precision);
    fitted
}

/// Several fits by the same readings of the rows, which takes less time than one after the other; each is what it would be alone, up to
/// rounding.
pub(super) fn fit_together<const N: usize>(
    design: &Design,
    setting: &Setting,
    problems: [Problem<'_>; N],
    precision: Precision,
) -> [Fitted; N] {
    let used = used(design, setting);
    let log_ties = problems.map(|one| if one.start.weights.is_empty() { usual_tie(design, one.sample) } else { one.start.log_tie });
    let objective = Objective { design, rows: together(design, problems), runs: runs(&used), used };
    let curvatures = objective.curvature(problems.map(|one| one.start), log_ties);
    let mut curvatures = curvatures.into_iter();
    let mut pulls: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
    let mut searches: [Search; N] = std::array::from_fn(|lane| {
        let Problem { sample, start, centre } = problems[lane];
        let mut scaled = Vec::new();
        for part in &objective.used {
            scaled.extend(part.columns.clone().map(|column| start.weights.get(column).copied().unwrap_or(0.0) / part.deviation));
            pulls[lane].extend(part.columns.clone().map(|column| centre.get(column).copied().unwrap_or(0.0)));
        }
        scaled.push(log_ties[lane]);
        let total: f64 = sample.iter().map(|(_, weight)| weight).sum();
        Search::new(scaled, curvatures.next().unwrap_or_default(), precision.limits(total.max(1.0)))
    });
    loop {
        let wanted: [Option<&[f64]>; N] = std::array::from_fn(|lane| searches[lane].wanted());
        if wanted.iter().all(Option::is_none) {
            break;
        }
        let found = objective.at(wanted, &pulls);
        for (search, (value, gradient)) in searches.iter_mut().zip(found) {
            if search.wanted().is_some() {
                search.take(value, gradient);
            }
        }
    }
    searches.map(|search| {
        let mut fitted = search.into_point();
        let log_tie = fitted.pop().unwrap_or(0.0);
        let mut weights = vec![0.0; design.width()];
        for part in &objective.used {
            let (to, from) = (weights.get_mut(part.columns.clone()), fitted.get(part.place()));
            let both = to.unwrap_or_default().iter_mut().zip(from.unwrap_or_default());
            both.for_each(|(weight, scaled)| *weight = scaled * part.deviation);
        }
        Fitted { weights, log_tie }
    })
}

/// Every row that counts in any of the samples, with how much it counts in each.
fn together<const N: usize>(design: &Design, problems: [Problem<'_>; N]) -> Vec<(u32, [f64; N])> {
    let mut all = vec![[0.0; N]; design.rows.len()];
    for (lane, problem) in problems.iter().enumerate() {
        for (row, weight) in problem.sample {
            if let Some(weights) = all.get_mut(*row as usize) {
                weights[lane] = *weight;
            }
        }
    }
    (0..).zip(all).filter(|(_, weights)| weights.iter().any(|weight| *weight != 0.0)).collect()
}

/// The tie parameter by which equals tie as often as the sample does, the pseudo-comparison included.
fn usual_tie(design: &Design, sample: &Sample) -> f64 {
    let (mut ties, mut all) = (PRIOR_WEIGHT * PRIOR.tie, PRIOR_WEIGHT);
    for (index, weight) in sample {
        ties += design.rows.get(*index as usize).map_or(0.0, |row| row.outcome.tie * weight);
        all += weight;
    }
    (2.0 * ties / (all - ties).max(f64::MIN_POSITIVE)).ln()
}

/// A segment that takes part in a fit.
#[derive(Debug, Clone)]
struct Used {
    segment: usize,
    /// Prior standard deviation of its weights.
    deviation: f64,
    columns: Range<usize>,
    /// How far its columns stand further on in the design than in the fit, which has no gaps.
    shift: usize,
}

impl Used {
    /// Where its weights stand in a fit.
    fn place(&self) -> Range<usize> {
        self.columns.start - self.shift..self.columns.end - self.shift
    }
}

/// Neighbouring segments together, and how far their columns stand further on in the design than in a fit, which is the same for neighbours.
fn runs(used: &[Used]) -> Vec<(Range<usize>, usize)> {
    let mut runs: Vec<(Range<usize>, usize)> = Vec::new();
    for part in used {
        match runs.last_mut().filter(|(run, _)| run.end == part.segment) {
            Some((run, _)) => run.end += 1,
            None => runs.push((part.segment..part.segment + 1, part.shift)),
        }
    }
    runs
}

fn used(design: &Design, setting: &Setting) -> Vec<Used> {
    let mut width = 0;
    let mut all = Vec::new();
    for (segment, deviation) in setting.deviations().into_iter().enumerate().filter(|(_, deviation)| *deviation > 0.0) {
        let columns = design.columns[segment].clone();
        let shift = columns.start - width;
        width += columns.len();
        all.push(Used { segment, deviation, columns, shift });
    }
    all
}

/// When a fit counts as finished.
#[derive(Debug, Clone, Copy)]
pub(super) struct Precision {
    /// Largest entry of the gradient, in units of the prior, for a weight of 1 in all; it grows with the root of that, as chance does.
    tolerance: f64,
    /// Nats a pair that are too few to go on for.
    decrease: f64,
    /// Most steps.
    steps: usize,
}

impl Precision {
    /// For the model that is kept.
    pub(super) const FINAL: Self = Self { tolerance: 1e-5, decrease: 0.0, steps: 200 };
    /// For many fits that only need to be ranked, or to be near.
    pub(super) const RANKING: Self = Self { tolerance: 2e-3, decrease: 1e-5, steps: 60 };
    /// For members of an ensemble of many pairs, which start close to their end.
    pub(super) const MEMBER: Self = Self { tolerance: 5e-3, decrease: 1e-5, steps: 8 };

    /// For rows of so much weight in all.
    fn limits(self, total: f64) -> Limits {
        Limits { tolerance: self.tolerance * total.sqrt(), decrease: self.decrease * total, steps: self.steps }
    }
}

/// From so many rows on, sums are made in [`PARTS`] parts on several cores.
pub(super) const LARGE: usize = 20_000;
const PARTS: usize = 4;

/// A weight of each fit and its part of the gradient side by side: what was fetched for the one is at hand for the other.
type Cell<const N: usize> = [[f64; N]; 2];

/// Sums over a part of the rows.
struct Part<const N: usize> {
    loss: [f64; N],
    tie_gradient: [f64; N],
    cells: Vec<Cell<N>>,
}

struct Objective<'a, const N: usize> {
    design: &'a Design,
    rows: Vec<(u32, [f64; N])>,
    used: Vec<Used>,
    /// Segments that take part, neighbours together: a row's entries in them stand side by side. With the shift of their columns.
    runs: Vec<(Range<usize>, usize)>,
}

impl<const N: usize> Objective<'_, N> {
    /// Loss and gradient of each fit at weights in units of their prior, then the log of the tie parameter:
    /// weighted cross entropy + half the squared distance from where the penalty pulls + the pseudo-comparison.
    fn at(&self, points: [Option<&[f64]>; N], pulls: &[Vec<f64>; N]) -> [(f64, Vec<f64>); N] {
        // In natural units: then rows need not know the deviations.
        let mut cells = vec![[[0.0; N]; 2]; self.width()];
        let mut log_ties = [0.0; N];
        for (lane, point) in points.iter().enumerate() {
            let Some((log_tie, weights)) = point.and_then(<[f64]>::split_last) else { continue };
            log_ties[lane] = *log_tie;
            for part in &self.used {
                let (to, from) = (cells.get_mut(part.place()), weights.get(part.place()));
                let both = to.unwrap_or_default().iter_mut().zip(from.unwrap_or_default());
                both.for_each(|(cell, weight)| cell[0][lane] = weight * part.deviation);
            }
        }
        let counts = points.map(|point| point.is_some());
        let parts = self.parts(cells, log_ties, counts);
        std::array::from_fn(|lane| {
            let Some((&log_tie, weights)) = points[lane].and_then(<[f64]>::split_last) else { return (0.0, Vec::new()) };
            let mut loss = PRIOR_WEIGHT * log_loss(PRIOR, 0.0, log_tie);
            let mut of_tie = PRIOR_WEIGHT * (davidson(0.0, log_tie).tie - PRIOR.tie);
            let mut gradient: Vec<f64> = weights.iter().zip(&pulls[lane]).map(|(weight, pull)| weight - pull).collect();
            loss += gradient.iter().map(|slope| 0.5 * slope * slope).sum::<f64>();
            for sums in &parts {
                loss += sums.loss[lane];
                of_tie += sums.tie_gradient[lane];
                for part in &self.used {
                    let (to, from) = (gradient.get_mut(part.place()), sums.cells.get(part.place()));
                    let both = to.unwrap_or_default().iter_mut().zip(from.unwrap_or_default());
                    both.for_each(|(slope, cell)| *slope += cell[1][lane] * part.deviation);
                }
            }
            gradient.push(of_tie);
            (loss, gradient)
        })
    }

    /// How each loss curves along each weight by itself at earlier ones, in units of their prior; then along the tie parameter.
    fn curvature(&self, starts: [&Fitted; N], log_ties: [f64; N]) -> [Vec<f64>; N] {
        let mut known = vec![[0.0; N]; self.width()];
        let mut of_tie = [PRIOR_WEIGHT * PRIOR.tie * (1.0 - PRIOR.tie); N];
        for (index, weights) in &self.rows {
            let Some(row) = self.design.rows.get(*index as usize) else { continue };
            let mut spread = [0.0; N];
            for lane in (0..N).filter(|lane| weights[*lane] != 0.0) {
                let difference = if starts[lane].weights.is_empty() { 0.0 } else { starts[lane].difference(self.design, row) };
                let predicted = davidson(difference, log_ties[lane]);
                spread[lane] = weights[lane] * ((predicted.a + predicted.b) - (predicted.a - predicted.b).powi(2)) / 4.0;
                of_tie[lane] += weights[lane] * predicted.tie * (1.0 - predicted.tie);
            }
            for (run, shift) in &self.runs {
                for &(column, value) in self.design.run(row, run) {
                    let square = f64::from(value * value);
                    known[column as usize - shift].iter_mut().zip(spread).for_each(|(known, spread)| *known += spread * square);
                }
            }
        }
        std::array::from_fn(|lane| {
            let of = |part: &Used| {
                let square = part.deviation * part.deviation;
                let known = known.get(part.place()).unwrap_or_default();
                known.iter().map(|known| 1.0 + known[lane] * square).collect::<Vec<f64>>()
            };
            self.used.iter().flat_map(of).chain([of_tie[lane]]).collect()
        })
    }

    /// Columns that take part.
    fn width(&self) -> usize {
        self.used.last().map_or(0, |part| part.place().end)
    }

    /// Sums over the rows: in fixed parts when there are many, so that the result does not depend on the number of cores.
    fn parts(&self, cells: Vec<Cell<N>>, log_ties: [f64; N], counts: [bool; N]) -> Vec<Part<N>> {
        if self.rows.len() < LARGE {
            return vec![self.part(&self.rows, cells, log_ties, counts)];
        }
        let size = self.rows.len().div_ceil(PARTS);
        parallel::map(self.rows.chunks(size).collect(), |rows| self.part(rows, cells.clone(), log_ties, counts))
    }

    fn part(&self, rows: &[(u32, [f64; N])], mut cells: Vec<Cell<N>>, log_ties: [f64; N], counts: [bool; N]) -> Part<N> {
        let (mut loss, mut tie_gradient) = ([0.0; N], [0.0; N]);
        for (index, weights) in rows {
            let Some(row) = self.design.rows.get(*index as usize) else { continue };
            let mut differences = [0.0; N];
            for (run, shift) in &self.runs {
                add_along(&cells, self.design.run(row, run), *shift, &mut differences);
            }
            let mut steps = [0.0; N];
            for lane in (0..N).filter(|lane| counts[*lane] && weights[*lane] != 0.0) {
                let weight = weights[lane];
                let [log_a, log_t, log_b] = log_davidson(differences[lane], log_ties[lane]);
                let (a, tie, b) = (log_a.exp(), log_t.exp(), log_b.exp());
                loss[lane] -= weight * ((row.outcome.a * log_a + row.outcome.b * log_b) + row.outcome.tie * log_t);
                tie_gradient[lane] += weight * (tie - row.outcome.tie);
                let surprise = (a - b) - (row.outcome.a - row.outcome.b);
                steps[lane] = 0.5 * weight * surprise;
            }
            for (run, shift) in &self.runs {
                for &(column, value) in self.design.run(row, run) {
                    let value = f64::from(value);
                    cells[column as usize - shift][1].iter_mut().zip(steps).for_each(|(slope, step)| *slope += step * value);
                }
            }
        }
        Part { loss, tie_gradient, cells }
    }
}

/// Adds the sum of weights times values of each fit, in two parts that do not wait for each other.
fn add_along<const N: usize>(cells: &[Cell<N>], entries: &[(u32, f32)], shift: usize, to: &mut [f64; N]) {
    let mut sums = [[0.0; N]; 2];
    let add = |sum: &mut [f64; N], &(column, value): &(u32, f32)| {
        let value = f64::from(value);
        sum.iter_mut().zip(&cells[column as usize - shift][0]).for_each(|(sum, weight)| *sum += weight * value);
    };
    let (twos, rest) = entries.as_chunks::<2>();
    for [one, other] in twos {
        add(&mut sums[0], one);
        add(&mut sums[1], other);
    }
    rest.iter().for_each(|entry| add(&mut sums[0], entry));
    to.iter_mut().enumerate().for_each(|(lane, to)| *to += sums[0][lane] + sums[1][lane]);
}

/// Fisher information of a sample about each weight by itself, in units of the prior, at a prediction of one half: what the data say beside
/// the prior's 1.
pub(super) fn information(design: &Design, setting: &Setting) -> Vec<f64> {
    let mut information = vec![0.0; design.width()];
    for (segment, deviation) in setting.deviations().into_iter().enumerate().filter(|(_, deviation)| *deviation > 0.0) {
        for row in &design.rows {
            for &(column, value) in design.entries(row, segment) {
                information[column as usize] += row.weight * (deviation * f64::from(value)).powi(2) / 4.0;
            }
        }
    }
    information
}
