//! The named ways of planning. Each tailors the same base program (fitted curves and the request's
//! constraints) by its own tilt and says so in plain sentences.

use super::PlanningInput;
use super::evidence::{ArmEvidence, Evidence, MICROS};
use super::measure::Measure;
use super::sampling::{self, Sampled};
use crate::optimizer::program::Program;
use crate::response::Origin;

/// A strategy of the catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct Strategy {
    /// Unique name.
    pub name: String,
    tilt: Tilt,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Tilt {
    Revenue,
    Balance,
    Explore,
    Reach { cap: f64 },
    Learning { share: f64 },
    Caution { errors: f64 },
    PresentMix,
}

/// A strategy applied to a request.
#[derive(Debug)]
pub struct Tailored {
    /// The program to maximise.
    pub program: Program,
    /// Its objective, in words.
    pub objective: &'static str,
    /// In what the plan is compared with the present one.
    pub measure: Measure,
    /// The answer of a strategy that does its own solving.
    pub answer: Option<Answer>,
    /// Sentences that explain the tilt.
    pub rationale: Vec<String>,
}

/// Spends with what they cost.
#[derive(Debug, Clone)]
pub struct Answer {
    /// In currency units.
    pub spend: Vec<f64>,
    /// What each scaled row of the program costs; absent when the spends are not its optimum.
    pub prices: Option<Vec<f64>>,
}

/// Weight of the reach preference: the arm with most impressions per money counts half as much
/// again as the arm with fewest.
const REACH_WEIGHT: f64 = 0.5;
/// Most arms that share a learning reserve; more would learn nothing from each.
const LEARNING_ARMS: usize = 10;

impl Strategy {
    /// All strategies in the order in which they are tried: the three main ones (highest
    /// expectation, safe against worse curves, exploring), then spread, learning and caution, the
    /// present mix, and some of them with other caps and reserves.
    #[must_use]
    pub fn catalogue(input: &PlanningInput) -> Vec<Self> {
        let named = |name: &str, tilt| Self { name: name.to_owned(), tilt };
        let mut all = vec![
            named("exploit", Tilt::Revenue),
            named("balanced", Tilt::Balance),
            named("explore", Tilt::Explore),
            named("balanced_reach", Tilt::Reach { cap: 0.3 }),
            named("learn_while_earning", Tilt::Learning { share: input.learning_share }),
            named("cautious_revenue", Tilt::Caution { errors: 1.0 }),
            named("present_mix", Tilt::PresentMix),
        ];
        for percent in [50_u32, 20, 40, 15, 60] {
            let cap = f64::from(percent) / 100.0;
            all.push(named(&format!("balanced_reach_cap_{percent}"), Tilt::Reach { cap }));
        }
        for percent in [30_u32, 5, 25, 40, 10, 50] {
            let share = f64::from(percent) / 100.0;
            all.push(named(&format!("learn_while_earning_{percent}"), Tilt::Learning { share }));
        }
        all
    }

    /// Whether it maximises nothing but expected revenue within the request's limits.
    #[must_use]
    pub fn is_exploit(&self) -> bool {
        self.tilt == Tilt::Revenue
    }

    /// Applies the strategy; `None` when it has nothing to work with in this request.
    /// `revenue_plan` holds the spends that maximise revenue, if they are known already; `known`
    /// are spends (the present plan) that it must not fall behind.
    #[must_use]
    pub fn tailor(
        &self,
        input: &PlanningInput,
        evidence: &Evidence,
        base: &Program,
        revenue_plan: Option<&[f64]>,
        known: &[Vec<f64>],
    ) -> Option<Tailored> {
        let mut tailored = Tailored {
            program: base.clone(),
            objective: "expected revenue",
            measure: Measure::Expected,
            answer: None,
            rationale: Vec::new(),
        };
        match self.tilt {
            Tilt::Revenue => tailored.rationale.push(
                "Puts each unit of money where the response curves expect the most further revenue, within the constraints.".to_owned(),
            ),
            Tilt::Balance => sampled(&mut tailored, sampling::balanced(input, evidence, base, revenue_plan?, known)?),
            Tilt::Explore => sampled(&mut tailored, sampling::explore(input, evidence, base, revenue_plan?, known)?),
            Tilt::Reach { cap } => spread(&mut tailored, input, evidence, cap),
            Tilt::Learning { share } => reserve(&mut tailored, input, evidence, share, revenue_plan)?,
            Tilt::Caution { errors } => caution(&mut tailored, input, evidence, errors)?,
            Tilt::PresentMix => present(&mut tailored, input, evidence)?,
        }
        Some(tailored)
    }
}

fn sampled(tailored: &mut Tailored, found: Sampled) {
    *tailored = Tailored {
        program: found.program,
        objective: found.objective,
        measure: found.measure,
        answer: Some(Answer { spend: found.spend, prices: found.prices }),
        rationale: found.rationale,
    };
}

fn weighted(tailored: &mut Tailored, objective: &'static str) {
    tailored.measure = Measure::Weighted(tailored.program.arms.iter().map(|arm| arm.value).collect());
    tailored.objective = objective;
}

fn spread(tailored: &mut Tailored, input: &PlanningInput, evidence: &Evidence, cap: f64) {
    let count = evidence.arms.len() as f64;
    // With few arms the cap must leave room for the whole budget.
    let cap = cap.max((1.2 / count).min(1.0));
    let budget = input.budget_micros as f64 / MICROS;
    for arm in &mut tailored.program.arms {
        arm.high = arm.floor(cap * budget);
    }
    tailored
        .rationale
        .push(format!("Caps every arm at {:.1} % of the budget so that the plan does not hang on one response curve.", cap * 100.0));
    let mut order: Vec<(usize, f64)> =
        evidence.arms.iter().enumerate().filter_map(|(index, arm)| Some((index, arm.impressions_per_unit?))).collect();
    if order.len() < 2 {
        tailored.rationale.push("Impressions per money are not measured for two or more arms, so reach has no weight here.".to_owned());
        return;
    }
    order.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    let last = (order.len() - 1) as f64;
    for (rank, (index, _)) in order.iter().enumerate() {
        tailored.program.arms[*index].value = 1.0 + REACH_WEIGHT * rank as f64 / last;
    }
    weighted(tailored, "expected revenue, lines with more impressions per money weighing up to half more");
    tailored.rationale.push(format!(
        "Weights revenue by the rank of impressions per money of {} measured arms, from 1.0 up to {:.1}.",
        order.len(),
        1.0 + REACH_WEIGHT
    ));
}

fn reserve(tailored: &mut Tailored, input: &PlanningInput, evidence: &Evidence, share: f64, revenue_plan: Option<&[f64]>) -> Option<()> {
    if share <= 0.0 {
        return None;
    }
    let budget = input.budget_micros as f64 / MICROS;
    let even = budget / evidence.arms.len() as f64;
    let doubt = |arm: &ArmEvidence| {
        let relative = evidence.standard_error(arm, even).map(|error| error / evidence.revenue(arm, even).max(1e-9));
        // An arm of unknown error is the one we know least about.
        relative.unwrap_or(f64::INFINITY)
    };
    let mut order: Vec<(usize, f64)> = evidence.arms.iter().map(doubt).enumerate().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let pooled = evidence.arms.iter().filter(|arm| arm.curve.origin == Origin::Pooled).count();
    let count = if pooled > 0 { pooled } else { evidence.arms.len().div_ceil(3) }.min(LEARNING_ARMS);
    let chosen: Vec<usize> = if pooled > 0 {
        let is_pooled = |index: &usize| evidence.arms[*index].curve.origin == Origin::Pooled;
        order.iter().map(|(index, _)| *index).filter(is_pooled).take(count).collect()
    } else {
        order.iter().map(|(index, _)| *index).take(count).collect()
    };
    let part = share * budget / count as f64;
    // Where the revenue plan already gives the reserve, learning means going beyond it.
    let already: f64 = revenue_plan.map_or(0.0, |spend| chosen.iter().map(|&index| spend[index]).sum());
    let beyond = already >= share * budget;
    for &index in &chosen {
        let ground = if beyond { revenue_plan.map_or(0.0, |spend| spend[index]) } else { 0.0 };
        let arm = &mut tailored.program.arms[index];
        arm.low = arm.ceil(ground + part);
    }
    let kind =
        if pooled > 0 { "whose own history cannot tell their curve" } else { "with the widest relative error (all curves are fitted)" };
    tailored.rationale.push(format!(
        "Reserves {:.1} % of the budget to learn the response of arms {kind} ({count} of {}), in equal parts as far as their limits allow; the rest maximises revenue.",
        share * 100.0,
        evidence.arms.len()
    ));
    if beyond {
        tailored.rationale.push(format!(
            "The revenue plan gives these arms {:.1} % already, so the reserve comes on top of that.",
            already / budget * 100.0
        ));
    }
    Some(())
}

fn caution(tailored: &mut Tailored, input: &PlanningInput, evidence: &Evidence, errors: f64) -> Option<()> {
    let even = input.budget_micros as f64 / MICROS / evidence.arms.len() as f64;
    for (arm, target) in evidence.arms.iter().zip(&mut tailored.program.arms) {
        let error = evidence.standard_error(arm, even)?;
        let revenue = evidence.revenue(arm, even);
        target.value = if revenue > 0.0 { (1.0 - errors * error / revenue).max(0.05) } else { 0.05 };
    }
    weighted(tailored, "expected revenue, each line counted one standard error lower");
    tailored.rationale.push(format!(
        "Counts each arm's revenue {errors:.0} standard error below its expectation, so certain arms win over doubtful ones."
    ));
    Some(())
}

fn present(tailored: &mut Tailored, input: &PlanningInput, evidence: &Evidence) -> Option<()> {
    let past: f64 = evidence.arms.iter().map(|arm| arm.past_spend).sum();
    if past <= 0.0 {
        return None;
    }
    let budget = input.budget_micros as f64 / MICROS;
    let spend: Vec<f64> = evidence.arms.iter().map(|arm| arm.past_spend / past * budget).collect();
    if !tailored.program.is_feasible(&spend) {
        return None;
    }
    tailored
        .rationale
        .push(format!("Keeps the mix of the history, whose measured spend is {past:.2} {}, scaled to the budget.", input.currency));
    tailored.answer = Some(Answer { spend, prices: None });
    tailored.measure = Measure::Nothing;
    tailored.objective = "nothing: it keeps the mix of the history";
    Some(())
}
