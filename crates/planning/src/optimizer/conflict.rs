//! Why a program has no solution: an irreducible set of constraints, found by leaving out one
//! constraint after the other as long as the rest still contradicts itself. The bounds of the arms
//! are left out first, because a conflict among stated limits tells people more.

use super::branch::{self, Effort, Outcome};
use super::dual;
use super::program::Program;

/// Names of constraints that cannot hold together and none of which can be left out; empty when
/// no contradiction is proven.
#[must_use]
pub fn explain(program: &Program) -> Vec<String> {
    if dual::prove_infeasible(program).is_none() {
        return Vec::new();
    }
    let mut core = program.clone();
    let mut bounds = Vec::new();
    let ceilings: f64 = core.arms.iter().map(|arm| arm.high).sum();
    let largest = core.rows.iter().map(|row| row.shown_limit).fold(ceilings, f64::max);
    let mut without = core.clone();
    without.arms.iter_mut().for_each(|arm| arm.high = arm.high.max(largest));
    if dual::prove_infeasible(&without).is_some() {
        core = without;
    } else {
        bounds.push(format!("maximum spends of the arms (together {ceilings})"));
    }
    let floors: f64 = core.arms.iter().map(|arm| arm.low).sum();
    let mut without = core.clone();
    without.arms.iter_mut().for_each(|arm| arm.low = 0.0);
    if dual::prove_infeasible(&without).is_some() {
        core = without;
    } else {
        bounds.push(format!("minimum spends of the arms (together {floors})"));
    }
    let prices = dual::prove_infeasible(&core).unwrap_or_else(|| vec![1.0; core.rows.len()]);
    let mut keep = prices.iter().map(|&price| price > 1e-12);
    core.rows.retain(|_| keep.next().unwrap_or(true));
    let mut row = 0;
    while row < core.rows.len() {
        let mut without = core.clone();
        without.rows.remove(row);
        if dual::prove_infeasible(&without).is_some() {
            core = without;
        } else {
            row += 1;
        }
    }
    let rows = core.rows.iter().map(|row| format!("{} ({})", row.name, row.shown_limit));
    rows.chain(bounds).collect()
}

/// Like [`explain`] for a program whose contradiction only the search over the branches of its
/// S-shaped curves can see: rows without which the search still proves that nothing fits are left
/// out. The bounds of the arms always take part.
#[must_use]
pub fn explain_by_search(program: &Program) -> Vec<String> {
    let mut core = program.clone();
    let mut row = 0;
    while row < core.rows.len() {
        let mut without = core.clone();
        without.rows.remove(row);
        let nothing = Outcome::NotFound { proven: true };
        if branch::maximise(&without, Effort::default()) == nothing {
            core = without;
        } else {
            row += 1;
        }
    }
    let rows = core.rows.iter().map(|row| format!("{} ({})", row.name, row.shown_limit));
    let low: f64 = program.arms.iter().map(|arm| arm.low).sum();
    let high: f64 = program.arms.iter().map(|arm| arm.high).sum();
    rows.chain([format!("bounds of the arms (together {low} to {high})")]).collect()
}
