//! The Lagrangian relaxation: prices on the coupling rows, each arm answering the prices on its
//! own, and a mixture of answers that meets the rows. Every price vector gives a proven upper bound.

use super::interior;
use super::master::{Master, Mixture};
use super::program::{FEASIBLE, Program};
use super::work::Work;

/// The relaxation's answer.
#[derive(Debug, Clone)]
pub struct Relaxation {
    /// Proven upper bound on the program's objective.
    pub upper_bound: f64,
    /// Prices that prove the bound, one for each row.
    pub prices: Vec<f64>,
    /// Mean of the mixed points: meets all linear rows unless `violation` is positive.
    pub spend: Vec<f64>,
    /// Mixed responses minus responses of the mean: positive where a curve is on a chord of its
    /// envelope, so the relaxation promises more than the arm can give.
    pub excess: Vec<f64>,
    /// Scaled violation of the rows that no price removed.
    pub violation: f64,
}

/// Relative gap at which the prices count as optimal.
const PRICE_GAP: f64 = 1e-9;
const MAX_ROUNDS: usize = 400;

/// Solves the relaxation of `program`, beginning at `start` prices when given. When the work is used
/// up earlier, the bound is proven but not the best. A bound at or below `held` ends it, because what
/// is within cannot be better than what is held already.
#[must_use]
pub fn relax(program: &Program, start: Option<&[f64]>, held: f64, work: &Work) -> Relaxation {
    let top: f64 = program.arms.iter().map(|arm| arm.value * arm.curve.response(arm.high)).sum();
    let mut penalty = 20.0 * top.max(1e-9);
    let mut relaxation = descend(program, start, penalty, Some(held), work);
    for _ in 0..3 {
        if relaxation.violation <= 1e-9 || relaxation.upper_bound <= held || work.is_used_up() {
            break;
        }
        penalty *= 1_000.0;
        let before = relaxation.upper_bound;
        relaxation = descend(program, Some(&relaxation.prices), penalty, Some(held), work);
        relaxation.upper_bound = relaxation.upper_bound.min(before);
    }
    relaxation
}

/// Looks for a proof that the rows cannot be met together. Returns the prices of the proof: with
/// them every point of the box violates the priced sum of rows, whatever the objective. None when
/// there is no proof or the work was used up before it was found.
#[must_use]
pub fn prove_infeasible(program: &Program, work: &Work) -> Option<Vec<f64>> {
    if work.is_used_up() {
        return None;
    }
    if program.arms.iter().any(|arm| arm.low > arm.high) {
        // No row takes part in it.
        return Some(vec![0.0; program.rows.len()]);
    }
    work.looks(program.terms() / 4);
    if let Some(row) = (0..program.rows.len()).find(|&row| is_hopeless(program, row)) {
        let mut prices = vec![0.0; program.rows.len()];
        prices[row] = 1.0;
        return Some(prices);
    }
    let mut bare = program.clone();
    bare.arms.iter_mut().for_each(|arm| arm.value = 0.0);
    let relaxation = descend(&bare, None, 1.0, Some(-INFEASIBLE), work);
    (relaxation.upper_bound < -INFEASIBLE).then_some(relaxation.prices)
}

/// Spends that meet the rows as far as the envelopes go, when the work reaches to find some. They are
/// feasible where no curve is S-shaped or only spends are limited, and no steps are asked for.
#[must_use]
pub fn feasible_point(program: &Program, work: &Work) -> Option<Vec<f64>> {
    let mut bare = program.clone();
    bare.arms.iter_mut().for_each(|arm| arm.value = 0.0);
    let relaxation = descend(&bare, None, 1.0, Some(-INFEASIBLE), work);
    (relaxation.violation <= FEASIBLE).then_some(relaxation.spend)
}

/// Whether a single row is broken whatever the arms do within their bounds.
fn is_hopeless(program: &Program, row: usize) -> bool {
    let row = &program.rows[row];
    let least = |&(arm, cost, gain): &(usize, f64, f64)| {
        let arm = &program.arms[arm];
        let x = if gain > 0.0 {
            arm.best_response(gain, cost)
        } else if cost > 0.0 {
            arm.low
        } else {
            arm.high
        };
        cost * x - if gain > 0.0 { gain * arm.curve.response(x) } else { 0.0 }
    };
    row.terms.iter().map(least).sum::<f64>() > row.limit + INFEASIBLE
}

/// Scaled violation from which rows count as contradictory.
const INFEASIBLE: f64 = 1e-8;

struct Search<'a> {
    program: &'a Program,
    limits: Vec<f64>,
    points: Vec<(Vec<f64>, Vec<f64>)>,
    best: f64,
    best_prices: Vec<f64>,
    /// Price of violations.
    penalty: f64,
    /// A bound below this answers the question.
    enough: Option<f64>,
    work: &'a Work,
}

/// Spends that the relaxation allows, and what it promises for them.
struct Inside {
    spend: Vec<f64>,
    promised: Vec<f64>,
    violation: f64,
    /// Promised objective less the price of violations.
    reached: f64,
}

impl Search<'_> {
    /// Lets each arm answer the prices; records the point and returns its value, row usage and
    /// whether the bound improved.
    fn answer(&mut self, prices: &[f64]) -> (f64, Vec<f64>, bool) {
        let arms = &self.program.arms;
        let mut weight: Vec<f64> = arms.iter().map(|arm| arm.value).collect();
        let mut price = vec![0.0; arms.len()];
        for (row, &level) in self.program.rows.iter().zip(prices) {
            if level != 0.0 {
                for &(arm, cost, gain) in &row.terms {
                    weight[arm] += level * gain;
                    price[arm] += level * cost;
                }
            }
        }
        let spend: Vec<f64> = arms.iter().enumerate().map(|(index, arm)| arm.best_response(weight[index], price[index])).collect();
        self.work.round(self.program);
        let (value, usage) = self.record(spend);
        let priced: f64 = prices.iter().zip(self.limits.iter().zip(&usage)).map(|(price, (limit, used))| price * (limit - used)).sum();
        let improved = value + priced < self.best;
        if improved {
            self.best = value + priced;
            self.best_prices = prices.to_vec();
        }
        (value, usage, improved)
    }

    fn record(&mut self, spend: Vec<f64>) -> (f64, Vec<f64>) {
        let response = self.program.responses(&spend);
        let value = self.program.objective(&response);
        let usage = self.program.rows.iter().map(|row| row.usage(&spend, &response)).collect();
        self.points.push((spend, response));
        (value, usage)
    }

    /// Whether nothing is left to look for when the relaxation reaches so much.
    fn is_closed(&self, reached: f64) -> bool {
        self.best - reached <= PRICE_GAP * self.best.abs().max(1e-6) || self.enough.is_some_and(|target| self.best <= target)
    }

    fn interior(&mut self, work: &Work) -> Option<Inside> {
        let point = interior::solve(self.program, self.penalty, work)?;
        self.answer(&point.prices);
        Some(self.inside(point.spend, point.promised))
    }

    fn inside(&self, spend: Vec<f64>, promised: Vec<f64>) -> Inside {
        let violation = self.program.rows.iter().map(|row| (row.usage(&spend, &promised) - row.limit).max(0.0)).sum();
        let reached = self.program.objective(&promised) - self.penalty * violation;
        Inside { spend, promised, violation, reached }
    }

    /// Column generation with in-out stabilisation: the next prices lie between the best prices so
    /// far and those of the linear program, which halves the number of rounds of the plain method. Ends
    /// after so many looks, wherever it is.
    fn columns(&mut self, start: Option<&[f64]>, most: u64) -> Inside {
        let begun = self.work.done();
        let rows = self.limits.len();
        let (value, usage, _) = self.answer(&vec![0.0; rows]);
        let limits = self.limits.clone();
        let mut master = Master::new(&limits, self.penalty, value, usage);
        let first = self.points.len() - 1;
        let floor: Vec<f64> = self.program.arms.iter().map(|arm| arm.low).collect();
        let (value, usage) = self.record(floor);
        master.add(value, usage);
        if let Some(prices) = start {
            let (value, usage, _) = self.answer(prices);
            master.add(value, usage);
        } else if rows > 0 {
            self.seed_first_row(&mut master);
        }
        let mut mixture = master.solve(self.work);
        let mut inward = 0.5;
        for _ in 0..MAX_ROUNDS {
            if self.is_closed(mixture.value) || self.work.is_used_up() || self.work.done() - begun > most {
                break;
            }
            let prices: Vec<f64> =
                self.best_prices.iter().zip(&mixture.prices).map(|(best, linear)| inward * best + (1.0 - inward) * linear).collect();
            let (value, usage, improved) = self.answer(&prices);
            master.add(value, usage);
            let before = mixture.value;
            mixture = master.solve(self.work);
            let cut = mixture.value > before + 1e-12 * before.abs();
            inward = if improved || cut { 0.5 } else { inward * 0.3 };
            if !improved && !cut && inward < 1e-4 {
                break;
            }
        }
        let (spend, promised) = self.mean(&mixture, first);
        // Of the mean itself: a basis of nearly equal points tells less than it seems to.
        self.inside(spend, promised)
    }

    fn relaxation(&self, inside: &Inside) -> Relaxation {
        let actual = self.program.responses(&inside.spend);
        Relaxation {
            upper_bound: self.best,
            prices: self.best_prices.clone(),
            excess: inside.promised.iter().zip(actual).map(|(promised, actual)| promised - actual).collect(),
            spend: inside.spend.clone(),
            violation: inside.violation,
        }
    }

    /// A geometric ladder of prices on the first row (the budget), which alone decides most programs.
    fn seed_first_row(&mut self, master: &mut Master) {
        let top: f64 = self.program.arms.iter().map(|arm| arm.value * arm.curve.response(arm.high)).sum();
        let mut level = 16.0 * top;
        for _ in 0..10 {
            if level <= 0.0 || self.work.is_used_up() {
                break;
            }
            let mut prices = vec![0.0; self.limits.len()];
            prices[0] = level;
            let (value, usage, _) = self.answer(&prices);
            master.add(value, usage);
            level *= 0.4;
        }
    }

    /// Mean of the points of a mixture; those of the linear program begin at `first`.
    fn mean(&self, mixture: &Mixture, first: usize) -> (Vec<f64>, Vec<f64>) {
        let arms = self.program.arms.len();
        let (mut spend, mut response) = (vec![0.0; arms], vec![0.0; arms]);
        for &(point, weight) in &mixture.weights {
            let (x, r) = &self.points[first + point];
            for arm in 0..arms {
                spend[arm] += weight * x[arm];
                response[arm] += weight * r[arm];
            }
        }
        for (x, arm) in spend.iter_mut().zip(&self.program.arms) {
            *x = x.clamp(arm.low, arm.high.max(arm.low));
        }
        (spend, response)
    }
}

/// Rows up to which column generation alone is quickest.
const FEW_ROWS: usize = 10;
/// Relative gap of column generation above which its mixture says less about an allocation in
/// steps than the interior point that knows nothing of steps.
const VAGUE: f64 = 1e-3;

/// Solves the relaxation for one price of violations: few rows by column generation, many by the
/// interior point, and each helps out where the other ends early.
fn descend(program: &Program, start: Option<&[f64]>, penalty: f64, enough: Option<f64>, work: &Work) -> Relaxation {
    let mut search = Search {
        program,
        limits: program.rows.iter().map(|row| row.limit).collect(),
        points: Vec::new(),
        best: f64::INFINITY,
        best_prices: vec![0.0; program.rows.len()],
        penalty,
        enough,
        work,
    };
    if program.rows.len() > FEW_ROWS {
        // Should this end early, column generation may mend it, or a higher price of violations.
        let begun = work.done();
        let inside = work.within(work.left() / 4 * 3, |work| search.interior(work));
        if let Some(inside) = &inside
            && search.is_closed(inside.reached)
            && !program.has_steps()
        {
            return search.relaxation(inside);
        }
        let prices = search.best_prices.clone();
        let most = if program.has_steps() { u64::MAX } else { 2 * (work.done() - begun) };
        let columns = search.columns(Some(&prices), most);
        return search.relaxation(&better(&search, columns, inside));
    }
    let columns = search.columns(start, u64::MAX);
    let inside = if search.is_closed(columns.reached) { None } else { search.interior(work) };
    search.relaxation(&better(&search, columns, inside))
}

/// The allocation from which more is to be learnt.
fn better(search: &Search<'_>, columns: Inside, inside: Option<Inside>) -> Inside {
    let is_vague = search.best - columns.reached > VAGUE * search.best.abs();
    match inside {
        Some(inside) if inside.reached > columns.reached && (is_vague || !search.program.has_steps()) => inside,
        _ => columns,
    }
}
