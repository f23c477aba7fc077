//! Strategies that look at the doubt about the curves: the balanced plan, which is strong even
//! when curves turn out worse, and the exploring plan, which is best for one draw of the curves
//! (Thompson sampling). All draws come from the request's seed.

use super::PlanningInput;
use super::apportionment::to_micros;
use super::base::over_horizon;
use super::evidence::{Evidence, MICROS};
use super::measure::Measure;
use crate::optimizer::branch::{Effort, Outcome, maximise};
use crate::optimizer::curve::Hill;
use crate::optimizer::program::{Kind, Program};
use crate::random::Random;

/// Joint draws of all curves over which plans are compared.
pub const DRAWS: usize = 200;
/// The quantile of revenue over the draws that the balanced plan makes large.
pub const QUANTILE: f64 = 0.1;
/// Draws that are tried for a plan that differs from the best expected one.
const ATTEMPTS: u64 = 8;
/// How often the balanced plan's weights are taken anew.
const WEIGHINGS: usize = 5;
/// The objective of an exploring plan under return limits.
const WEIGHED_AS_DRAWN: &str = "expected revenue, each line weighed by what the draw says of its curve";
/// Expected revenue that exploring keeps of the best expected plan's.
const KEPT: f64 = 0.9;

/// A plan found by sampling, with what it was chosen by.
#[derive(Debug)]
pub struct Sampled {
    /// Spends in currency units.
    pub spend: Vec<f64>,
    /// The program solved.
    pub program: Program,
    /// What each scaled row of the program costs; absent when the spends are not its optimum.
    pub prices: Option<Vec<f64>>,
    /// The program's objective, in words.
    pub objective: &'static str,
    /// In what the plan is compared with the present one.
    pub measure: Measure,
    /// In words.
    pub rationale: Vec<String>,
}

/// Joint draws of the curves over the horizon.
#[must_use]
pub fn draws(input: &PlanningInput, evidence: &Evidence) -> Vec<Vec<Hill>> {
    let mut random = Random::new(input.seed, 1);
    let joint = |_| evidence.arms.iter().map(|arm| over_horizon(&arm.curve.draw(&mut random), evidence)).collect();
    (0..DRAWS).map(joint).collect()
}

/// The low quantile of a plan's revenue over joint draws.
#[must_use]
pub fn low_quantile(draws: &[Vec<Hill>], spend: &[f64]) -> f64 {
    let mut revenues: Vec<f64> = draws.iter().map(|curves| curves.iter().zip(spend).map(|(curve, &x)| curve.response(x)).sum()).collect();
    revenues.sort_by(f64::total_cmp);
    revenues.get((QUANTILE * revenues.len() as f64) as usize).copied().unwrap_or(0.0)
}

/// The plan with the largest low quantile among those that weigh each arm's marginal revenue by
/// its part in the doubt of the whole. `None` when none beats the best expected plan there.
#[must_use]
pub fn balanced(input: &PlanningInput, evidence: &Evidence, base: &Program, exploit: &[f64], known: &[Vec<f64>]) -> Option<Sampled> {
    let draws = draws(input, evidence);
    let of_exploit = low_quantile(&draws, exploit);
    let mut best = (of_exploit, None);
    for aversion in [0.7, 1.3, 2.0] {
        let mut spend = exploit.to_vec();
        for _ in 0..WEIGHINGS {
            let doubts = deviations(&draws, &spend);
            let whole = doubts.iter().map(|doubt| doubt * doubt).sum::<f64>().sqrt().max(1e-9);
            let mut tilted = base.clone();
            for ((arm, doubt), x) in tilted.arms.iter_mut().zip(&doubts).zip(&spend) {
                // Derivative of mean - aversion * deviation, with the deviation in proportion to the arm's revenue.
                let relative = doubt / arm.curve.response(*x).max(1e-9);
                arm.value = (1.0 - aversion * relative * doubt / whole).max(0.02);
            }
            let Outcome::Found(found) = maximise(&tilted, Effort::of_a_draw(&tilted), known) else { break };
            // Weighing at halfway steps keeps the weights from swinging; steps of the request do not allow them.
            let share = if base.has_steps() { 1.0 } else { 0.5 };
            spend = spend.iter().zip(&found.spend).map(|(old, new)| old + share * (new - old)).collect();
            let low = low_quantile(&draws, &found.spend);
            if low > best.0 {
                best = (low, Some((found, tilted)));
            }
        }
    }
    let (found, program) = best.1?;
    let sentence = format!(
        "Trades expected revenue for safety: over {DRAWS} draws of the response curves its revenue reaches {:.2} {currency} in nine of ten, where the plan with the highest expectation reaches {of_exploit:.2} {currency}.",
        best.0,
        currency = input.currency
    );
    Some(Sampled {
        spend: found.spend,
        program,
        prices: Some(found.prices),
        objective: "expected revenue, each line weighed down by its part in the doubt about the whole",
        measure: Measure::LowQuantile(draws),
        rationale: vec![sentence],
    })
}

/// Standard deviation of each arm's revenue over the draws; an empty arm is looked at with a
/// small spend.
fn deviations(draws: &[Vec<Hill>], spend: &[f64]) -> Vec<f64> {
    let count = draws.len() as f64;
    let of = |(arm, x): (usize, &f64)| {
        let drawn: Vec<f64> = draws.iter().map(|curves| curves[arm].response(*x)).collect();
        let mean = drawn.iter().sum::<f64>() / count;
        (drawn.iter().map(|revenue| (revenue - mean).powi(2)).sum::<f64>() / count).sqrt()
    };
    spend.iter().enumerate().map(of).collect()
}

/// One draw of the curves over the horizon.
#[must_use]
pub fn draw(input: &PlanningInput, evidence: &Evidence, attempt: u64) -> Vec<Hill> {
    let mut random = Random::new(input.seed, 100 + attempt);
    evidence.arms.iter().map(|arm| over_horizon(&arm.curve.draw(&mut random), evidence)).collect()
}

/// The plan that is best if the curves are as drawn. Its cost in expected revenue is bounded:
/// it moves back towards the best expected plan until it keeps nine tenths of that.
#[must_use]
pub fn explore(input: &PlanningInput, evidence: &Evidence, base: &Program, exploit: &[f64], known: &[Vec<f64>]) -> Option<Sampled> {
    let expected = |spend: &[f64]| base.objective(&base.responses(spend));
    let wanted = KEPT * expected(exploit);
    let has_returns = base.rows.iter().any(|row| row.kind != Kind::Spend);
    for attempt in 0..ATTEMPTS {
        let drawn = draw(input, evidence, attempt);
        let mut program = base.clone();
        let even = exploit.iter().sum::<f64>() / exploit.len().max(1) as f64;
        for ((arm, curve), x) in program.arms.iter_mut().zip(&drawn).zip(exploit) {
            if has_returns {
                // Return limits hold for the expected curves, so the draw only weighs them.
                let at = if *x > 0.0 { *x } else { even };
                arm.value = curve.response(at) / arm.curve.response(at).max(1e-9);
            } else {
                arm.curve = *curve;
            }
        }
        let Outcome::Found(found) = maximise(&program, Effort::of_a_draw(&program), known) else { continue };
        let measure = Measure::Drawn(drawn);
        let of_draw = |spend: &[f64]| measure.of(base, spend).unwrap_or(f64::NEG_INFINITY);
        let floor = known.iter().filter(|spend| base.is_feasible(spend)).map(|spend| of_draw(spend)).fold(f64::NEG_INFINITY, f64::max);
        let mut part = 1.0;
        while part > 0.05 {
            let between = |(from, to): (&f64, &f64)| if part < 1.0 { from + part * (to - from) } else { *to };
            let spend: Vec<f64> = exploit.iter().zip(&found.spend).map(between).collect();
            let differs = exploit.iter().zip(&spend).map(|(a, b)| (a - b).abs()).sum::<f64>() * MICROS >= 0.04 * input.budget_micros as f64;
            if differs
                && expected(&spend) >= wanted
                && base.is_feasible(&spend)
                && of_draw(&spend) >= floor
                && to_micros(input, evidence, &spend).is_some()
            {
                return Some(Sampled {
                    rationale: vec![sentence(input, attempt, part)],
                    spend,
                    program,
                    // Between two optima lies none.
                    prices: (part >= 1.0).then_some(found.prices),
                    objective: if has_returns { WEIGHED_AS_DRAWN } else { "revenue if the curves are as drawn" },
                    measure,
                });
            }
            part = if base.has_steps() { 0.0 } else { part * 0.6 };
        }
    }
    None
}

fn sentence(input: &PlanningInput, attempt: u64, part: f64) -> String {
    let bounded = if part < 1.0 {
        format!(", moved back to {:.0} % of the way so that nine tenths of the expected revenue stay", part * 100.0)
    } else {
        String::new()
    };
    format!(
        "Explores by Thompson sampling: it is the best plan if the curves are as in draw {attempt} of seed {}{bounded}. Lines whose curve is in doubt get a chance to show what they bring.",
        input.seed
    )
}
