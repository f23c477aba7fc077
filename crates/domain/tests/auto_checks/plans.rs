//! Bad campaign plans.

use domain::task::TaskType;
use serde_json::{Value, json};

use crate::table::{fails, plan};

/// The plan with one member (JSON pointer) put in.
fn with(place: &str, value: Value) -> Value {
    let mut plan = plan();
    let (parent, name) = place.rsplit_once('/').unwrap();
    match plan.pointer_mut(parent).unwrap() {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        other => other[name] = value,
    }
    plan
}

#[test]
fn plans_whose_money_is_wrong_fail() {
    fails(
        TaskType::PlanQuality,
        20,
        vec![
            (json!({"summary": "Trust me."}), "candidate_form", "no plan", "/lines"),
            (with("/lines", json!([])), "candidate_form", "no plan", "/lines"),
            (with("/lines", json!(vec![json!({"placement_type": "a", "spend": "0"}); 101])), "candidate_form", "1 to 100 lines", "/lines"),
            (with("/lines/1", json!(null)), "candidate_form", "line 2 names no placement", "/lines/1/placement_type"),
            (with("/lines/1/placement_type", json!("")), "candidate_form", "names no placement", "/lines/1/placement_type"),
            (with("/lines/0/spend", json!("60.000000")), "spend_adds_up", "add up to 99.999999", "/expected/spend"),
            (with("/lines/1/spend", json!("thirty")), "spend_adds_up", "states no spend", "/lines/1/spend"),
            (with("/lines/1/spend", json!("-30")), "spend_adds_up", "not below 0", "/lines/1/spend"),
            (with("/lines/1/spend", json!(null)), "spend_adds_up", "states no spend", "/lines/1/spend"),
            (with("/lines/1/spend", json!("4e1")), "spend_adds_up", "states no spend", "/lines/1/spend"),
            (with("/lines/1/spend", json!("39,999999")), "spend_adds_up", "decimal text", "/lines/1/spend"),
            (with("/lines/1/spend", json!("39.9999990001")), "spend_adds_up", "states no spend", "/lines/1/spend"),
            (with("/lines/1/spend", json!("9223372036854.775807")), "spend_adds_up", "more money than can be counted", "/lines"),
            (with("/expected/spend", json!(null)), "spend_adds_up", "whole spend", "/expected/spend"),
            (with("/other_lines", json!("and more")), "spend_adds_up", "/other_lines states no spend", "/other_lines/spend"),
            (with("/other_lines", json!({"count": 3, "spend": "0.000001"})), "spend_adds_up", "100.000001", "/expected/spend"),
            (with("/lines/0/spend", json!("60.000002")), "within_budget", "0.000001 over the budget", "/lines"),
            (with("/budget", json!("200.000000")), "within_budget", "200.000000, but 100.000000 was asked for", "/budget"),
            (with("/currency", json!("EUR")), "one_currency", "\"USD\" was asked for", "/currency"),
            (
                with("/lines/0/spend", json!({"amount": "60.000001", "currency": "EUR"})),
                "one_currency",
                "cannot be added",
                "/lines/0/spend/currency",
            ),
            (with("/lines/0/currency", json!("usd")), "one_currency", "\"usd\"", "/lines/0/currency"),
            (with("/lines/0/share", json!(0.5)), "shares_add_up", "0.9000", "/lines"),
            (with("/lines/0/share", json!("most")), "shares_add_up", "no share between 0 and 1", "/lines/0/share"),
            (with("/lines/0/share", json!(-0.1)), "shares_add_up", "no share between 0 and 1", "/lines/0/share"),
            (
                {
                    let mut swapped = with("/lines/0/share", json!(0.4));
                    swapped["lines"][1]["share"] = json!(0.6);
                    swapped
                },
                "shares_match_spend",
                "its spend is a share of 0.6000",
                "/lines/0/share",
            ),
        ],
    );
}

#[test]
fn plans_that_break_what_was_asked_or_stated_fail() {
    let excluded = json!({"placement_type": "mailer.back_page", "audience_segment": "aud-a", "spend": "39.999999", "share": 0.4, "expected_revenue": "100.00"});
    fails(
        TaskType::PlanQuality,
        20,
        vec![
            (with("/constraints/0/satisfied", json!(false)), "constraints_satisfied", "is not satisfied", "/constraints/0"),
            (with("/constraints/0/value", json!(71)), "constraints_satisfied", "its own figures say otherwise", "/constraints/0"),
            (with("/constraints/1/value", json!("100.000001")), "constraints_satisfied", "its own figures say otherwise", "/constraints/1"),
            (with("/constraints/0/satisfied", json!(null)), "constraints_satisfied", "does not say whether", "/constraints/0"),
            (with("/constraints/0/satisfied", json!("true")), "constraints_satisfied", "does not say whether", "/constraints/0"),
            (
                with("/constraints/1/value", json!("50.000000")),
                "constraints_satisfied",
                "another value than the plan itself, 100.00",
                "/constraints/1",
            ),
            (
                with("/constraints/0", json!({"constraint": "min_roas", "limit": 1.5, "value": 3.5, "satisfied": true})),
                "constraints_satisfied",
                "another value than the plan itself, 2.50",
                "/constraints/0",
            ),
            (with("/constraints", json!("all kept")), "constraints_satisfied", "must be a list", "/constraints"),
            (
                {
                    let mut heavy = with("/lines/0/spend", json!("80.000000"));
                    heavy["lines"][1]["spend"] = json!("20.000000");
                    heavy
                },
                "asked_limits_kept",
                "more than the share of 0.7",
                "/lines/0/spend",
            ),
            (with("/lines/1", excluded), "asked_limits_kept", "is excluded", "/lines/1/placement_type"),
            (with("/horizon_days", json!(56)), "horizon_kept", "56 days, but 28 were asked for", "/horizon_days"),
            (with("/lines/0/start_date", json!("2017-02-30")), "horizon_kept", "no date that exists", "/lines/0/start_date"),
            (with("/lines/0/start_date", json!("1.3.2017")), "horizon_kept", "no date that exists", "/lines/0/start_date"),
            (with("/end_date", json!("2017-04-01")), "horizon_kept", "outside the days", "/end_date"),
            (
                {
                    let mut turned = with("/start_date", json!("2017-03-20"));
                    turned["end_date"] = json!("2017-03-10");
                    turned
                },
                "horizon_kept",
                "before the start",
                "/end_date",
            ),
            (with("/expected/revenue", json!(null)), "metrics_named", "revenue is not stated", "/expected/revenue"),
            (with("/expected", json!(null)), "metrics_named", "spend is not stated", "/expected/spend"),
            (with("/expected/roas", json!("NaN")), "metrics_named", "roas is not stated", "/expected/roas"),
            (with("/expected/roas", json!("inf")), "metrics_named", "roas is not stated", "/expected/roas"),
            (with("/expected/roas", json!([2.5])), "metrics_named", "roas is not stated", "/expected/roas"),
            (with("/expected/revenue", json!("-250.00")), "metrics_named", "below 0", "/expected/revenue"),
            (with("/lines/1/expected_revenue", json!("300.00")), "revenue_adds_up", "adds up to 450.000000", "/expected/revenue"),
            (with("/expected/roas", json!(2.52)), "roas_stated_right", "revenue divided by spend is 2.50", "/expected/roas"),
            (with("/expected/spend", json!("0")), "roas_stated_right", "no ROAS for a spend of 0", "/expected/roas"),
            (with("/expected/roas_low", json!(2.6)), "roas_in_range", "outside its own range", "/expected/roas_low"),
            (with("/expected/roas_high", json!(1.9)), "roas_in_range", "ends at 1.90", "/expected/roas_high"),
            (with("/expected/revenue", json!("149.00")), "min_roas", "ROAS 1.4900 is below the 1.5", "/expected/roas"),
            (with("/expected/roas", json!(1.4)), "min_roas", "below the 1.5", "/expected/roas"),
            (with("/expected/conversions", json!(19)), "max_cpa", "above the 5", "/expected/conversions"),
            (with("/expected/conversions", json!(0)), "max_cpa", "on none", "/expected/conversions"),
            (with("/expected/conversions", json!(null)), "max_cpa", "no conversions are stated", "/expected/conversions"),
        ],
    );
}
