//! Simulated raters: they stand in for people so that the circle can be shown, and say so everywhere.
//!
//! Each has a taste (what matters in a plan) and a skill (how often it judges by its taste or by the expert's answer rather than
//! by chance), both drawn from the seed. They see only what the public API shows them, in their own blind order.

use std::collections::HashMap;

use anyhow::{Context, Result};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// What a rater looks at in a plan: weights of the differences between two plans.
#[derive(Debug, Clone, Copy)]
struct Taste {
    /// Per unit of expected return on spend, relative to the larger one.
    expected_return: f64,
    /// Against concentration on few lines (Herfindahl index).
    spread: f64,
    /// Against spend that rests on pooled evidence.
    evidence: f64,
}

/// A simulated rater.
pub struct SimulatedRater {
    /// Display name.
    pub name: String,
    /// Sign-in.
    pub email: String,
    taste: Taste,
    skill: f64,
    random: ChaCha8Rng,
}

/// Answers that experts wrote down, by [`task_key`]: the stored candidates and the choice.
pub type GoldenAnswers = HashMap<String, (Vec<Value>, String)>;

/// What tells a task apart for somebody who is not shown its id: title and prompt.
pub fn task_key(task: &Value) -> String {
    format!("{}\n{}", task["title"].as_str().unwrap_or_default(), task["prompt"].as_str().unwrap_or_default())
}

impl SimulatedRater {
    /// Rater number `number` of a seed: the same every time.
    pub fn new(seed: u64, number: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number));
        let taste = Taste {
            expected_return: random.random_range(2.5..3.5),
            spread: random.random_range(6.0..9.0),
            evidence: random.random_range(2.0..3.0),
        };
        let skill = random.random_range(0.90..0.98);
        Self {
            name: format!("Simulated rater {seed}-{number}"),
            email: format!("simulated-{seed}-{number}@raters.endcap.example"),
            taste,
            skill,
            random,
        }
    }

    /// The judgment of an assignment, as the API takes it.
    ///
    /// # Errors
    /// When the assignment does not have the documented shape.
    pub fn judge(&mut self, assignment: &Value, golden: &GoldenAnswers) -> Result<Value> {
        let task = assignment.get("task").context("the assignment has no task")?;
        let shown: Vec<&Value> =
            ["candidate_a", "candidate_b", "candidate_c"].iter().filter_map(|key| task.get(*key)).filter(|c| !c.is_null()).collect();
        let task_type = task.get("task_type").and_then(Value::as_str).unwrap_or_default();
        // Whoever knows that it is a test takes care; and one slip where there are as few items as in the sample data is one too many.
        let attentive = self.random.random_bool(self.skill) || assignment.get("purpose").is_some_and(|purpose| purpose == "calibration");
        let choice = match golden.get(&task_key(task)) {
            Some((stored, expert)) if attentive => as_shown(expert, stored, &shown),
            _ if task_type == "plan_quality" => self.compare_plans(&shown, attentive),
            _ => Self::compare_checks(task, shown.len()),
        };
        let reasons = reasons_for(task, &choice);
        let confidence = if attentive { 0.75 } else { 0.5 };
        Ok(json!({
            "choice": choice, "reasons": reasons, "confidence": confidence, "rubric_scores": {},
            "active_ms": self.random.random_range(6_000..45_000),
        }))
    }

    fn compare_plans(&mut self, shown: &[&Value], attentive: bool) -> String {
        let values: Vec<f64> = shown.iter().map(|plan| self.value_of(plan)).collect();
        let (Some(first), Some(second)) = (values.first(), values.get(1)) else { return "unsure".to_owned() };
        // The taste's own indecision: a difference of about 0.05 is a coin flip for a distracted rater.
        let noise = if attentive { 0.01 } else { 0.5 };
        let difference = first - second + self.random.random_range(-noise..noise);
        match difference {
            d if d.abs() < 0.005 => "tie".to_owned(),
            d if d > 0.0 => "candidate_a".to_owned(),
            _ => "candidate_b".to_owned(),
        }
    }

    fn value_of(&self, plan: &Value) -> f64 {
        let number = |pointer: &str| match plan.pointer(pointer) {
            Some(Value::String(text)) => text.parse().unwrap_or(0.0),
            Some(value) => value.as_f64().unwrap_or(0.0),
            None => 0.0,
        };
        self.taste.expected_return * number("/expected/roas").max(0.0).ln_1p()
            - self.taste.spread * number("/concentration")
            - self.taste.evidence * number("/uncertainty_share")
    }

    /// On other tasks: the candidate that passed more automatic checks, else unsure.
    fn compare_checks(task: &Value, candidates: usize) -> String {
        let mut passed = vec![0_usize; candidates];
        for check in task.get("checks").and_then(Value::as_array).into_iter().flatten() {
            let shown = check.get("candidate").and_then(Value::as_str);
            let place = ["candidate_a", "candidate_b", "candidate_c"].iter().position(|name| Some(*name) == shown);
            if check.get("passed") == Some(&Value::Bool(true))
                && let Some(count) = place.and_then(|p| passed.get_mut(p))
            {
                *count += 1;
            }
        }
        match (passed.first(), passed.get(1)) {
            (Some(a), Some(b)) if a > b => "candidate_a".to_owned(),
            (Some(a), Some(b)) if b > a => "candidate_b".to_owned(),
            _ => "unsure".to_owned(),
        }
    }
}

/// The expert's choice in the order shown, found by comparing the candidates themselves.
fn as_shown(expert: &str, stored: &[Value], shown: &[&Value]) -> String {
    let place = match expert {
        "candidate_a" => 0,
        "candidate_b" => 1,
        "candidate_c" => 2,
        other => return other.to_owned(),
    };
    let wanted = stored.get(place);
    let seen = shown.iter().position(|candidate| Some(*candidate) == wanted);
    seen.and_then(|seen| ["candidate_a", "candidate_b", "candidate_c"].get(seen)).map_or("unsure", |word| word).to_owned()
}

/// The first reason that the task offers for this choice.
fn reasons_for(task: &Value, choice: &str) -> Vec<String> {
    let offered = task.get("reasons").and_then(|by_choice| by_choice.get(choice)).and_then(Value::as_array).into_iter().flatten();
    offered.filter_map(|reason| reason.get("code").and_then(Value::as_str)).take(1).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_rater_is_the_same_for_the_same_seed() {
        let (mut one, mut two) = (SimulatedRater::new(7, 3), SimulatedRater::new(7, 3));
        let task = json!({"task": {"title": "t", "task_type": "plan_quality",
            "candidate_a": {"expected": {"roas": 3.0}, "concentration": 0.2, "uncertainty_share": 0.1},
            "candidate_b": {"expected": {"roas": 1.0}, "concentration": 0.6, "uncertainty_share": 0.4}}});
        for _ in 0..20 {
            assert_eq!(one.judge(&task, &GoldenAnswers::new()).unwrap(), two.judge(&task, &GoldenAnswers::new()).unwrap());
        }
    }

    #[test]
    fn an_expert_answer_follows_the_candidate_and_not_the_place() {
        let stored = vec![json!({"tag": "frozen_ice"}), json!({"tag": "ice_cream"})];
        assert_eq!(as_shown("candidate_a", &stored, &[&stored[1], &stored[0]]), "candidate_b");
        assert_eq!(as_shown("tie", &stored, &[&stored[1], &stored[0]]), "tie");
    }
}
