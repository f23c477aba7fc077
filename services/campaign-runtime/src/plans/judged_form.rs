//! The form in which a plan is scored, judged and trained on: what it would do and bring, without its strategy's name or anything else
//! that tells where it came from.

use domain::money::format_micros;
use planning::proposal::constraints::Unit;
use planning::proposal::plan::CandidatePlan;
use serde_json::{Value, json};

/// Lines that are shown one by one.
const MAX_LINES: usize = 12;

/// The judged form of a plan.
#[must_use]
pub fn of(plan: &CandidatePlan) -> Value {
    let mut lines: Vec<_> = plan.allocation.iter().collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.spend_micros));
    let (shown, others) = lines.split_at(lines.len().min(MAX_LINES));
    let shown: Vec<Value> = shown
        .iter()
        .map(|line| {
            json!({
                "placement_type": line.placement_type,
                "audience_segment": line.audience_segment,
                "spend": format_micros(line.spend_micros),
                "share": line.share,
                "expected_revenue": format_micros(line.expected_revenue_micros),
                "marginal_roas": line.marginal_roas,
                "evidence": line.curve,
            })
        })
        .collect();
    let constraints: Vec<Value> = plan
        .constraint_report
        .iter()
        .map(|standing| {
            json!({
                "constraint": standing.constraint,
                "limit": figure(standing.unit, standing.limit),
                "value": standing.value.map(|value| figure(standing.unit, value)),
                "satisfied": standing.satisfied,
            })
        })
        .collect();
    let expected = &plan.expected;
    let mut form = json!({
        "summary": plan.rationale.join(" "),
        "lines": shown,
        "expected": {
            "spend": format_micros(expected.spend_micros),
            "revenue": format_micros(expected.revenue_micros),
            "roas": expected.roas.value,
            "roas_low": expected.roas_interval.value.map(|interval| interval.low),
            "roas_high": expected.roas_interval.value.map(|interval| interval.high),
            "conversions": expected.conversions.value,
            "reach": expected.reach.value,
        },
        "concentration": plan.concentration,
        "uncertainty_share": plan.uncertainty_share,
        "constraints": constraints,
        "currency": plan.currency,
        "budget": format_micros(plan.budget_micros),
        "horizon_days": plan.horizon_days,
    });
    if let (Value::Object(fields), false) = (&mut form, others.is_empty()) {
        let spend: i64 = others.iter().map(|line| line.spend_micros).sum();
        let share: f64 = others.iter().map(|line| line.share).sum();
        fields.insert("other_lines".to_owned(), json!({"count": others.len(), "spend": format_micros(spend), "share": share}));
    }
    form
}

/// Money as a decimal string, as everywhere in the form; ratios as numbers.
#[expect(clippy::cast_possible_truncation, reason = "budgets are bounded far below what 64 bits hold")]
fn figure(unit: Unit, value: f64) -> Value {
    match unit {
        Unit::Micros => json!(format_micros(value.round() as i64)),
        Unit::Ratio => json!(value),
    }
}
