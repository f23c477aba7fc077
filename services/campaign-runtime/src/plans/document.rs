//! A plan as it is stored and shown.

use domain::money::Money;
use planning::proposal::plan::CandidatePlan;
use serde_json::{Map, Value, json};
use storage::plans::Plan;

use crate::input::show_money;

/// A plan as it is shown.
#[must_use]
pub fn show(plan: &Plan) -> Value {
    let mut shown = json!(plan);
    if let Value::Object(fields) = &mut shown {
        fields.insert("budget_micros".to_owned(), json!(plan.budget_micros));
        if let Some(Value::Object(parts)) = fields.remove("plan") {
            fields.extend(parts);
        }
    }
    show_money(&mut shown, "budget_micros", "budget", Some(&plan.currency));
    shown
}

/// The plan as it is stored, with money as people read it.
#[must_use]
pub fn write(plan: &CandidatePlan) -> Map<String, Value> {
    let money = |micros: i64| json!(Money::from_micros(micros, &plan.currency));
    let lines: Vec<Value> = plan
        .allocation
        .iter()
        .map(|line| {
            json!({
                "arm_id": line.arm_id,
                "placement_type": line.placement_type,
                "audience_segment": line.audience_segment,
                "spend": money(line.spend_micros),
                "share": line.share,
                "expected_revenue": money(line.expected_revenue_micros),
                "standard_error": line.standard_error_micros.map(money),
                "marginal_roas": line.marginal_roas,
                "evidence": line.curve,
                "evidence_detail": {
                    "not_identifiable": line.not_identifiable,
                    "prior": line.prior,
                    "calibrated_by": line.calibrated_by,
                    "carry_over": line.carry_over,
                    "history_weeks": line.history_periods,
                },
                "present_spend": line.present_spend_micros.map(money),
                "spend_difference": line.present_spend_micros.map(|present| money(line.spend_micros - present)),
            })
        })
        .collect();
    let expected = &plan.expected;
    let document = json!({
        "objective": plan.objective,
        "rationale": plan.rationale,
        "unallocated": money(plan.unallocated_micros),
        "allocation": lines,
        "expected": {
            "spend": money(expected.spend_micros),
            "revenue": money(expected.revenue_micros),
            "revenue_standard_error": {"value": expected.revenue_standard_error_micros.value.map(money), "reason": expected.revenue_standard_error_micros.reason},
            "revenue_interval": expected.revenue_interval_micros.map(|interval| json!({
                "low": money(interval.low_micros), "high": money(interval.high_micros), "level": f64::from(interval.level_percent) / 100.0,
            })),
            "roas": expected.roas,
            "roas_interval": expected.roas_interval,
            "conversions": expected.conversions,
            "impressions": expected.impressions,
            "reach": expected.reach,
        },
        "expected_net_micros": expected.revenue_micros.saturating_sub(expected.spend_micros),
        "concentration": plan.concentration,
        "uncertainty_share": plan.uncertainty_share,
        "constraint_report": plan.constraint_report,
        "binding": plan.binding,
        "risk_factors": plan.risk_factors,
        "closed": plan.closed,
        "present": plan.present.as_ref().map(|present| json!({
            "source": present.source,
            "is_feasible": present.is_feasible,
            "broken": present.broken,
            "spend": money(present.spend_micros),
            "expected_revenue": money(present.expected_revenue_micros),
            "spend_difference": money(present.spend_difference_micros),
            "revenue_difference": money(present.revenue_difference_micros),
            "never_worse_in": present.never_worse_in,
            "measured": present.measured.map(|measured| json!({"plan": money(measured.plan_micros), "present": money(measured.present_micros)})),
        })),
    });
    document.as_object().cloned().unwrap_or_default()
}
