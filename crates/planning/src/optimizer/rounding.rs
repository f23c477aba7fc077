//! From a relaxed answer to feasible allocations: each S-shaped arm gets one side of its curve.

use super::dual::{self, Relaxation};
use super::lattice;
use super::program::{Program, ProgramArm};
use super::repair;
use super::work::Work;

/// Part of the work that turning one answer into whole steps may take: one of so many.
const SNAPS: u64 = 20;
/// The same of looking for one that keeps all rows, while none is known.
const REPAIRS: u64 = 8;
/// Most relaxations of one dive; each settles half of the arms in doubt.
const DEPTH: usize = 12;
/// Part of the upper bound that an arm may promise too much without being in doubt.
const DOUBTFUL: f64 = 1e-9;

/// The best feasible allocation so far.
pub(super) struct Incumbent {
    pub spend: Option<Vec<f64>>,
    pub objective: f64,
    /// Prices of the rows at it, when they are known.
    pub prices: Option<Vec<f64>>,
}

impl Default for Incumbent {
    fn default() -> Self {
        Self { spend: None, objective: f64::NEG_INFINITY, prices: None }
    }
}

impl Incumbent {
    /// Takes the spends, or those in whole steps nearest to them, when they are better.
    pub fn offer(&mut self, program: &Program, spend: Vec<f64>, prices: Option<&[f64]>, work: &Work) {
        if !program.has_steps() {
            return self.take(program, spend, prices);
        }
        let snapped = work.within(work.most() / SNAPS, |work| lattice::snap(program, &spend, work));
        self.take(program, snapped, prices);
        if self.spend.is_none() {
            let repaired = work.within(work.most() / REPAIRS, |work| repair::repair(program, &spend, work));
            if let Some(repaired) = repaired {
                // What keeps the rows is a start from which steps can be added and traded.
                let better = work.within(work.most() / SNAPS, |work| lattice::snap(program, &repaired, work));
                self.take(program, repaired, None);
                self.take(program, better, None);
            }
        }
    }

    fn take(&mut self, program: &Program, spend: Vec<f64>, prices: Option<&[f64]>) {
        let objective = program.objective(&program.responses(&spend));
        if objective > self.objective && program.is_feasible(&spend) {
            self.objective = objective;
            self.spend = Some(spend);
            self.prices = prices.map(<[f64]>::to_vec);
        }
    }
}

/// Chooses for each S-shaped arm either its lower bound or its concave part, solves the concave
/// program that is left, and offers the result. With several doubtful arms both ways are tried.
pub(super) fn round(program: &Program, bounds: &[(f64, f64)], relaxation: &Relaxation, incumbent: &mut Incumbent, work: &Work) {
    if !program.with_bounds(bounds).has_convex_part() {
        return;
    }
    let mut last: Option<Vec<(f64, f64)>> = None;
    // How far up the chord an arm must be to be taken into its concave part.
    for threshold in [0.5, 0.05, 0.95] {
        let sides: Vec<(f64, f64)> = program
            .arms
            .iter()
            .zip(bounds)
            .zip(&relaxation.spend)
            .map(|((arm, &(low, high)), &spend)| {
                let turn = turn(arm);
                if low >= turn || high <= low { (low, high) } else { side(arm, (low, high), spend > low + threshold * (turn - low)) }
            })
            .collect();
        if last.as_ref() == Some(&sides) {
            continue;
        }
        let concave = program.with_bounds(&sides);
        let found = dual::relax(&concave, Some(&relaxation.prices), incumbent.objective, work);
        if found.violation <= 1e-9 {
            incumbent.offer(program, found.spend, Some(&found.prices), work);
        }
        last = Some(sides);
    }
}

/// Settles the arms in doubt little by little, those that are nearest to a side first, and asks the
/// relaxation again in between, so that what one arm frees goes where it is worth most.
pub(super) fn dive(program: &Program, bounds: &[(f64, f64)], relaxation: &Relaxation, incumbent: &mut Incumbent, work: &Work) {
    let mut bounds = bounds.to_vec();
    let mut relaxation = relaxation.clone();
    for _ in 0..DEPTH {
        let most = DOUBTFUL * relaxation.upper_bound.abs();
        let mut doubtful: Vec<(f64, usize, bool)> = program
            .arms
            .iter()
            .enumerate()
            .filter(|&(index, arm)| relaxation.excess[index] * arm.value > most && bounds[index].0 < turn(arm))
            .map(|(index, arm)| {
                let (low, high) = bounds[index];
                let top = arm.curve.touching_point(low, high);
                let part = (relaxation.spend[index] - low) / (top - low);
                ((part - 0.5).abs(), index, part > 0.5)
            })
            .collect();
        if doubtful.is_empty() || work.is_used_up() {
            return;
        }
        doubtful.sort_by(|a, b| b.0.total_cmp(&a.0));
        doubtful.truncate(doubtful.len().div_ceil(2));
        for &(_, index, is_up) in &doubtful {
            bounds[index] = side(&program.arms[index], bounds[index], is_up);
        }
        let next = program.with_bounds(&bounds);
        relaxation = dual::relax(&next, Some(&relaxation.prices), incumbent.objective, work);
        if relaxation.violation > 1e-9 || relaxation.upper_bound <= incumbent.objective {
            return;
        }
        incumbent.offer(program, relaxation.spend.clone(), Some(&relaxation.prices), work);
    }
}

/// Where the concave part begins, in whole steps.
fn turn(arm: &ProgramArm) -> f64 {
    let turn = arm.curve.inflection();
    if arm.step > 0.0 { (turn / arm.step).ceil() * arm.step } else { turn }
}

/// The concave part, or nothing but the lower bound.
fn side(arm: &ProgramArm, (low, high): (f64, f64), is_up: bool) -> (f64, f64) {
    let turn = turn(arm).max(low);
    if is_up && turn < high { (turn, high) } else { (low, low) }
}
