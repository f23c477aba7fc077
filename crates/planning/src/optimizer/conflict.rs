//! Why a program has no solution: an irreducible set of constraints. What the proof does not rest
//! on is left out first, then one constraint after the other as long as the rest still contradicts
//! itself; whatever is left over cannot spare a single member. The bounds of the arms go before the
//! rows, because a conflict among stated limits tells people more.

use std::cell::Cell;

use super::program::{Program, ProgramArm};
use super::work::Work;
use super::{branch, dual};

/// One constraint, or the bounds of the arms of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Ceilings,
    Floors,
    Closures,
    Steps,
    Row(usize),
}

/// Constraints that cannot hold together, none of which can be spared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conflict {
    /// Whether it was shown that none can be spared; otherwise the work did not reach.
    pub is_irreducible: bool,
    /// In words, with their limits.
    pub words: Vec<String>,
    /// Names of the rows among them, without their limits, and [`FLOORS`] or [`CEILINGS`] where the
    /// bounds of the arms belong to it.
    pub rows: Vec<String>,
}

/// Name of the least spends of the arms.
pub const FLOORS: &str = "minimum spends of the arms";
/// Name of the largest spends of the arms.
pub const CEILINGS: &str = "maximum spends of the arms";
/// Most arms whose bounds are named one by one.
const NAMED_ARMS: usize = 6;
/// Most arms among which those whose bounds matter are looked for.
const SEARCHED_ARMS: usize = 400;

/// Explains a program that has no solution: the conflict that the concave relaxation proves, made
/// irreducible by the search over the branches of S-shaped curves and steps. `None` when neither
/// proves one.
#[must_use]
pub fn explain(program: &Program, work: &Work) -> Option<Conflict> {
    // Whether a part was kept although nobody knows whether it is needed.
    let unsure = Cell::new(false);
    let quick = |program: &Program| {
        program.arms.iter().any(|arm| arm.low > arm.high) || {
            let is_proven = dual::prove_infeasible(program, work).is_some();
            unsure.set(unsure.get() || (!is_proven && work.is_used_up()));
            is_proven
        }
    };
    let thorough = |program: &Program| {
        let answer = branch::is_possible(program, work);
        unsure.set(unsure.get() || answer.is_none());
        answer == Some(false)
    };
    let (parts, is_impossible): (_, &dyn Fn(&Program) -> bool) = if quick(program) {
        let parts = irreducible(program, proven(program, &quick, work), &quick, work);
        // What is left over for the relaxation may still be too much for the search.
        (if has_branches(program) { irreducible(program, parts, &thorough, work) } else { parts }, &quick)
    } else if has_branches(program) && thorough(program) {
        (irreducible(program, all(program), &thorough, work), &thorough)
    } else {
        return None;
    };
    let found = describe(program, &parts, is_impossible, work);
    Some(Conflict { is_irreducible: !unsure.get() && !work.is_used_up(), ..found })
}

fn has_branches(program: &Program) -> bool {
    program.has_steps() || program.has_convex_part()
}

fn all(program: &Program) -> Vec<Part> {
    let bounds = [Part::Ceilings, Part::Floors, Part::Closures, Part::Steps];
    bounds.into_iter().chain((0..program.rows.len()).map(Part::Row)).collect()
}

/// All constraints that the proof of the relaxation rests on: rows without a price in it are left
/// out at one go.
fn proven(program: &Program, is_impossible: &dyn Fn(&Program) -> bool, work: &Work) -> Vec<Part> {
    let Some(prices) = dual::prove_infeasible(program, work) else { return all(program) };
    let priced = |part: &Part| !matches!(part, Part::Row(row) if prices[*row] <= 0.0);
    let parts: Vec<Part> = all(program).into_iter().filter(priced).collect();
    if is_impossible(&keep_only(program, &parts)) { parts } else { all(program) }
}

fn irreducible(program: &Program, mut parts: Vec<Part>, is_impossible: &dyn Fn(&Program) -> bool, work: &Work) -> Vec<Part> {
    let mut at = 0;
    while at < parts.len() && !work.is_used_up() {
        let mut fewer = parts.clone();
        fewer.remove(at);
        if is_impossible(&keep_only(program, &fewer)) {
            parts = fewer;
        } else {
            at += 1;
        }
    }
    parts
}

/// The program with these constraints only.
fn keep_only(program: &Program, parts: &[Part]) -> Program {
    let mut kept = program.clone();
    if !parts.contains(&Part::Steps) {
        kept.arms.iter_mut().for_each(|arm| {
            arm.step = 0.0;
            (arm.low, arm.high) = arm.stated;
        });
    }
    if !parts.contains(&Part::Closures) {
        kept.closed.iter().for_each(|&(arm, high)| kept.arms[arm].high = high);
    }
    if !parts.contains(&Part::Ceilings) {
        let most = unbounded(program);
        let is_closed = |index: usize| program.closed.iter().any(|(arm, _)| *arm == index);
        for (index, arm) in kept.arms.iter_mut().enumerate() {
            if !is_closed(index) || !parts.contains(&Part::Closures) {
                lift(arm, most);
            }
        }
    }
    if !parts.contains(&Part::Floors) {
        kept.arms.iter_mut().for_each(|arm| arm.low = 0.0);
    }
    let mut index = 0;
    kept.rows.retain(|_| {
        index += 1;
        parts.contains(&Part::Row(index - 1))
    });
    kept
}

/// A spend that no stated limit asks an arm to exceed, and with which every S-shaped curve reaches
/// its highest average return: that lies below twice its half-saturation.
fn unbounded(program: &Program) -> f64 {
    let ceilings: f64 = program.arms.iter().map(|arm| arm.high.max(arm.low)).sum();
    let peaks = program.arms.iter().filter(|arm| arm.curve.alpha > 1.0).map(|arm| 2.0 * arm.curve.k);
    program.rows.iter().map(|row| row.shown_limit).chain(peaks).fold(ceilings, f64::max)
}

fn lift(arm: &mut ProgramArm, most: f64) {
    arm.high = arm.high.max(most);
    arm.align();
}

fn describe(program: &Program, parts: &[Part], is_impossible: &dyn Fn(&Program) -> bool, work: &Work) -> Conflict {
    let mut found = Conflict::default();
    let core = keep_only(program, parts);
    let (mut last, mut core) = (Vec::new(), core);
    // Without work left nobody knows which single arms matter.
    let needed = |program: &Program| (!work.is_used_up()).then(|| !is_impossible(program));
    for part in parts {
        match part {
            Part::Row(row) => {
                let row = &program.rows[*row];
                found.words.push(format!("{} ({})", row.name, row.shown_limit));
                found.rows.push(row.name.clone());
            }
            Part::Ceilings => {
                found.rows.push(CEILINGS.to_owned());
                let most = unbounded(program);
                last.push(bounds_in_words(program, &mut core, CEILINGS, &needed, |arm| arm.stated.1, |arm| lift(arm, most)));
            }
            Part::Floors => {
                found.rows.push(FLOORS.to_owned());
                last.push(bounds_in_words(program, &mut core, FLOORS, &needed, |arm| arm.stated.0, |arm| arm.low = 0.0));
            }
            Part::Closures => last.push(format!("excluded or out of stock ({} arms)", program.closed.len())),
            Part::Steps => last.push(format!("step ({})", program.arms.iter().map(|arm| arm.step).fold(0.0, f64::max))),
        }
    }
    found.words.extend(last);
    found
}

/// The bounds of one kind in words: of single arms when few of them matter.
fn bounds_in_words(
    program: &Program,
    core: &mut Program,
    kind: &str,
    is_needed: &dyn Fn(&Program) -> Option<bool>,
    of: impl Fn(&ProgramArm) -> f64,
    free: impl Fn(&mut ProgramArm),
) -> String {
    let together: f64 = program.arms.iter().map(&of).sum();
    let lump = format!("{kind} (together {together})");
    let Some(names) = program.names.as_ref().filter(|names| names.len() <= SEARCHED_ARMS) else { return lump };
    let before = core.clone();
    let mut needed = Vec::new();
    for arm in 0..core.arms.len() {
        let held = core.arms[arm];
        free(&mut core.arms[arm]);
        if (core.arms[arm].low, core.arms[arm].high) == (held.low, held.high) {
            continue;
        }
        let answer = is_needed(core);
        if answer == Some(true) {
            core.arms[arm] = held;
            needed.push(arm);
        }
        if answer.is_none() || needed.len() > NAMED_ARMS {
            *core = before;
            return lump;
        }
    }
    let sum: f64 = needed.iter().map(|&arm| of(&program.arms[arm])).sum();
    let named: Vec<&str> = needed.iter().map(|&arm| names[arm].as_str()).collect();
    format!("{kind} {} (together {sum})", named.join(", "))
}
