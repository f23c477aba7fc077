//! Branch and bound over the arms on which the relaxation cheats.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::dual::{self, Relaxation};
use super::program::{Program, ProgramArm};
use super::rounding::{self, Incumbent};
use super::work::Work;

/// How much work the search may do.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Looks at single arms before the search stops with the best known answer; large problems get
    /// more, in proportion to their size.
    pub looks: u64,
    /// Nodes of the search tree.
    pub nodes: usize,
    /// Relative gap at which the search is content.
    pub gap: f64,
}

impl Effort {
    /// For a plan of a set.
    #[must_use]
    pub fn of_a_plan() -> Self {
        Self { looks: 2_000_000, ..Self::default() }
    }

    /// For one of the many searches behind a single plan, of which the best is taken: in whole steps the
    /// last ten-thousandth would take most of the time.
    #[must_use]
    pub fn of_a_draw(program: &Program) -> Self {
        Self { looks: 300_000, gap: if program.has_steps() { 1e-4 } else { 1e-7 }, ..Self::default() }
    }
}

impl Default for Effort {
    fn default() -> Self {
        Self { looks: 8_000_000, nodes: 400, gap: 1e-7 }
    }
}

/// One of so many nodes is dived from.
const DIVES: usize = 8;
/// Relative distance from the best within which an allocation counts as the best.
const AT_OPTIMUM: f64 = 1e-6;

/// A feasible allocation and its proof.
#[derive(Debug, Clone, PartialEq)]
pub struct Best {
    /// Spend by arm.
    pub spend: Vec<f64>,
    /// Its objective.
    pub objective: f64,
    /// No feasible allocation is better than this.
    pub upper_bound: f64,
    /// What each scaled row costs at this allocation: the multipliers of the concave program
    /// around it, or of the whole relaxation when spends come in steps.
    pub prices: Vec<f64>,
}

/// What the search ended with.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A feasible allocation.
    Found(Best),
    /// No feasible allocation was found.
    NotFound {
        /// Every part of the search space was ruled out, so there is none.
        proven: bool,
    },
}

struct Node {
    bounds: Vec<(f64, f64)>,
    relaxation: Relaxation,
}

/// Orders nodes by bound, so that the most promising is opened first.
struct Open(Node);

impl PartialEq for Open {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Open {}
impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Open {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.relaxation.upper_bound.total_cmp(&other.0.relaxation.upper_bound)
    }
}

/// Looks that are spent on the question whether one program has a solution.
const POSSIBLE: u64 = 600_000;

/// Whether any allocation is feasible; `None` when the search ended without an answer.
#[must_use]
pub fn is_possible(program: &Program, work: &Work) -> Option<bool> {
    if program.arms.iter().any(|arm| arm.low > arm.high) {
        return Some(false);
    }
    if work.is_used_up() {
        return None;
    }
    let part = Work::for_search(program, POSSIBLE).most();
    work.within(part, |work| {
        if dual::prove_infeasible(program, work).is_some() {
            return Some(false);
        }
        match search(program, Effort { gap: f64::MAX, looks: POSSIBLE, nodes: 80 }, &[], work) {
            Outcome::Found(_) => Some(true),
            Outcome::NotFound { proven } => proven.then_some(false),
        }
    })
}

/// Maximises the program. The answer is never worse than any of `known` that is feasible.
#[must_use]
pub fn maximise(program: &Program, effort: Effort, known: &[Vec<f64>]) -> Outcome {
    search(program, effort, known, &Work::for_search(program, effort.looks))
}

fn search(program: &Program, effort: Effort, known: &[Vec<f64>], work: &Work) -> Outcome {
    if program.arms.iter().any(|arm| arm.low > arm.high + 1e-9 * (1.0 + arm.high)) {
        return Outcome::NotFound { proven: true };
    }
    let mut incumbent = Incumbent::default();
    for candidate in known.iter().cloned().chain(simple_candidates(program)) {
        incumbent.offer(program, candidate, None, work);
    }
    let bounds: Vec<(f64, f64)> = program.arms.iter().map(|arm| (arm.low, arm.high)).collect();
    // Half is kept for turning the relaxed answer into allocations.
    let relaxation = work.within(work.most() / 2, |work| dual::relax(program, None, f64::NEG_INFINITY, work));
    let root_prices = relaxation.prices.clone();
    if incumbent.spend.is_none() && relaxation.violation > 1e-9 {
        // The objective pulls against rows that leave hardly any room: without it they may be met.
        if let Some(spend) = work.within(work.left() / 2, |work| dual::feasible_point(program, work)) {
            incumbent.offer(program, spend, None, work);
        }
    }
    let mut heap = BinaryHeap::from([Open(Node { bounds, relaxation })]);
    let mut nodes = 0;
    // Bound of what was dropped although it may hide something better than the incumbent.
    let mut dropped = f64::NEG_INFINITY;
    while let Some(Open(node)) = heap.pop() {
        let bound = node.relaxation.upper_bound;
        if bound <= incumbent.objective + effort.gap * incumbent.objective.abs() {
            dropped = dropped.max(bound);
            break;
        }
        incumbent.offer(program, node.relaxation.spend.clone(), Some(&node.relaxation.prices), work);
        rounding::round(program, &node.bounds, &node.relaxation, &mut incumbent, work);
        if nodes % DIVES == 0 {
            rounding::dive(program, &node.bounds, &node.relaxation, &mut incumbent, work);
        }
        nodes += 1;
        if nodes >= effort.nodes || work.is_used_up() {
            dropped = dropped.max(bound);
            break;
        }
        let Some((arm, at)) = branching_point(program, &node) else {
            dropped = dropped.max(bound);
            continue;
        };
        let (low, high) = node.bounds[arm];
        for part in [(low, at), (at + program.arms[arm].step, high)] {
            let mut bounds = node.bounds.clone();
            bounds[arm] = part;
            let child = program.with_bounds(&bounds);
            let mut relaxation = dual::relax(&child, Some(&node.relaxation.prices), incumbent.objective, work);
            relaxation.upper_bound = relaxation.upper_bound.min(bound);
            if relaxation.upper_bound <= incumbent.objective {
                dropped = dropped.max(relaxation.upper_bound);
                continue;
            }
            if relaxation.violation > 1e-9 && dual::prove_infeasible(&child, work).is_some() {
                continue;
            }
            heap.push(Open(Node { bounds, relaxation }));
        }
    }
    let open = heap.peek().map_or(f64::NEG_INFINITY, |open| open.0.relaxation.upper_bound);
    match incumbent.spend {
        Some(spend) => {
            let upper_bound = incumbent.objective.max(open).max(dropped);
            let held = Best { upper_bound, objective: incumbent.objective, spend, prices: root_prices };
            Outcome::Found(match incumbent.prices {
                Some(prices) => Best { prices, ..held },
                None => priced(program, held, work),
            })
        }
        None => Outcome::NotFound { proven: open.max(dropped) == f64::NEG_INFINITY },
    }
}

/// Prices for an allocation that came without: those of the concave program around it, which may
/// also improve it.
fn priced(program: &Program, held: Best, work: &Work) -> Best {
    if program.has_steps() {
        return held;
    }
    let relaxation = dual::relax(&concave_around(program, &held.spend), Some(&held.prices), f64::NEG_INFINITY, work);
    let mut improved = Incumbent { spend: Some(held.spend), objective: held.objective, prices: None };
    improved.offer(program, relaxation.spend, None, work);
    Best {
        objective: improved.objective,
        upper_bound: held.upper_bound.max(improved.objective),
        spend: improved.spend.unwrap_or_default(),
        prices: relaxation.prices,
    }
}

/// What each scaled row costs at an allocation that nothing near it surpasses; `None` for any other
/// allocation, at which a limit has no price: more could be had without relaxing it.
#[must_use]
pub fn prices_at(program: &Program, spend: &[f64]) -> Option<Vec<f64>> {
    let around = concave_around(program, spend);
    let relaxation = dual::relax(&around, None, f64::NEG_INFINITY, &Work::for_search(program, Effort::default().looks));
    let reached = program.objective(&program.responses(spend));
    (program.is_feasible(spend) && relaxation.upper_bound - reached <= AT_OPTIMUM * reached.abs()).then_some(relaxation.prices)
}

/// The program within the concave parts of the curves that the spends lie on; spends on a convex
/// part stay where they are.
fn concave_around(program: &Program, spend: &[f64]) -> Program {
    let part = |(arm, &x): (&ProgramArm, &f64)| match arm.curve.inflection() {
        turn if x >= turn => (arm.low.max(turn), arm.high),
        _ => (x.clamp(arm.low, arm.high), x.clamp(arm.low, arm.high)),
    };
    program.with_bounds(&program.arms.iter().zip(spend).map(part).collect::<Vec<_>>())
}

/// Plans that any planner would try by hand; the answer is never worse than those that are
/// feasible: nothing but the minimums, and the first row's limit shared out between the minimums
/// and the maximums in one proportion.
fn simple_candidates(program: &Program) -> Vec<Vec<f64>> {
    let floors: Vec<f64> = program.arms.iter().map(|arm| arm.low).collect();
    let least: f64 = floors.iter().sum();
    let most: f64 = program.arms.iter().map(|arm| arm.high).sum();
    let budget = program.rows.first().map_or(most, |row| row.shown_limit);
    let share = if most > least { ((budget - least) / (most - least)).clamp(0.0, 1.0) } else { 0.0 };
    let proportional = program.arms.iter().map(|arm| arm.low + share * (arm.high - arm.low)).collect();
    vec![floors, proportional]
}

/// The arm on which the relaxation promises most beyond the truth, and where to split it.
fn branching_point(program: &Program, node: &Node) -> Option<(usize, f64)> {
    let gains = row_gains(program, &node.relaxation.prices);
    let doubts = program.arms.iter().enumerate().map(|(index, arm)| {
        let (low, high) = node.bounds[index];
        let (mean, excess) = (node.relaxation.spend[index], node.relaxation.excess[index]);
        let doubt = if arm.step > 0.0 && high - low >= 0.5 * arm.step {
            // Between two multiples the mixture says nothing about either.
            let below = arm.floor(mean);
            let part = ((mean - below) / arm.step).clamp(0.0, 1.0);
            excess.max((arm.curve.response(below + arm.step) - arm.curve.response(below)) * part.min(1.0 - part))
        } else {
            excess
        };
        (index, doubt * (arm.value + gains[index]))
    });
    let (arm, worth) = doubts.max_by(|a, b| a.1.total_cmp(&b.1))?;
    let (low, high) = node.bounds[arm];
    if worth <= 1e-12 * node.relaxation.upper_bound.abs() || high - low <= 1e-9 * (1.0 + high) {
        return None;
    }
    if program.arms[arm].step > 0.0 {
        let step = program.arms[arm].step;
        // A ceiling need not be a multiple of the step: the last multiple below it counts.
        let last = program.arms[arm].floor(high);
        return (last - low >= 0.5 * step).then(|| (arm, program.arms[arm].floor(node.relaxation.spend[arm]).min(last - step).max(low)));
    }
    let margin = 0.02 * (high - low);
    Some((arm, node.relaxation.spend[arm].clamp(low + margin, high - margin)))
}

fn row_gains(program: &Program, prices: &[f64]) -> Vec<f64> {
    let mut gains = vec![0.0; program.arms.len()];
    for (row, price) in program.rows.iter().zip(prices) {
        row.terms.iter().for_each(|&(arm, _, gain)| gains[arm] += price * gain);
    }
    gains
}
