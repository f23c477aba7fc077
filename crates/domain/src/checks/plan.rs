//! Checks of `plan_quality`: money adds up to the last micro-unit, constraints hold, and what is expected is stated and consistent.

use serde_json::Value;

use super::{Context, Problem, Report, quoted};
use crate::money::{format_micros, parse_micros};

/// Most lines of a judged plan.
const MAX_LINES: usize = 100;

/// Shares are written with few digits: as much may their sum be off.
const SHARE_TOLERANCE: f64 = 0.005;

/// Ratios are written with two digits or more.
const RATIO_TOLERANCE: f64 = 0.006;

pub(super) fn check(context: &Context<'_>, candidate: &Value, report: &mut Report) {
    let lines = candidate.get("lines").and_then(Value::as_array).filter(|lines| !lines.is_empty() && lines.len() <= MAX_LINES);
    let Some(lines) = lines else {
        report.fail(
            "candidate_form",
            format!("the candidate is no plan; give 1 to {MAX_LINES} lines under \"lines\""),
            Some("/lines".to_owned()),
        );
        return;
    };
    report.pass("candidate_form", "the candidate is a plan");
    let mut parts: Vec<(String, &Value)> = lines.iter().enumerate().map(|(i, line)| (format!("/lines/{i}"), line)).collect();
    if let Some(others) = candidate.get("other_lines").filter(|others| others.is_object()) {
        parts.push(("/other_lines".to_owned(), others));
    }
    let expected = candidate.get("expected");
    let request = context.kind("plan_request").or_else(|| context.snippets.iter().find(|s| s.get("budget").is_some()).copied());
    let total = spend(&parts, expected, report);
    within_budget(candidate, request, total, report);
    shares(&parts, report);
    constraints(candidate, report);
    metrics_named(expected, report);
    return_on_spend(expected, report);
    bounds(request, expected, report);
}

/// Spend of all lines in micro-units, when every line states it.
fn spend(parts: &[(String, &Value)], expected: Option<&Value>, report: &mut Report) -> Option<i64> {
    let mut total: i64 = 0;
    for (place, part) in parts {
        match part.get("spend").and_then(micros).filter(|spend| *spend >= 0).and_then(|spend| total.checked_add(spend)) {
            Some(sum) => total = sum,
            None => {
                let message = format!("{place} states no spend; give a decimal text such as \"12.340000\", not below 0");
                report.fail("spend_adds_up", message, Some(format!("{place}/spend")));
                return None;
            }
        }
    }
    let Some(stated) = expected.and_then(|e| e.get("spend")).and_then(micros) else {
        report.fail("spend_adds_up", "the plan does not state its whole spend", Some("/expected/spend".to_owned()));
        return Some(total);
    };
    if stated == total {
        report.pass("spend_adds_up", format!("the lines add up to the stated spend, {}", format_micros(total)));
    } else {
        let message = format!("the lines add up to {}, but the plan states {}", format_micros(total), format_micros(stated));
        report.fail("spend_adds_up", message, Some("/expected/spend".to_owned()));
    }
    Some(total)
}

fn within_budget(candidate: &Value, request: Option<&Value>, total: Option<i64>, report: &mut Report) {
    let own = candidate.get("budget").and_then(micros);
    let asked = request.and_then(|r| r.get("budget")).and_then(micros);
    let (Some(budget), Some(total)) = (asked.or(own), total) else { return };
    if own.is_some_and(|own| own != budget) {
        let message = format!("the plan is made for another budget than the {} that was asked for", format_micros(budget));
        report.fail("within_budget", message, Some("/budget".to_owned()));
    } else if total > budget {
        let message = format!(
            "the lines spend {}, which is {} over the budget of {}",
            format_micros(total),
            format_micros(total - budget),
            format_micros(budget)
        );
        report.fail("within_budget", message, Some("/lines".to_owned()));
    } else {
        report.pass("within_budget", format!("{} of {} are spent", format_micros(total), format_micros(budget)));
    }
}

fn shares(parts: &[(String, &Value)], report: &mut Report) {
    let stated: Vec<Option<f64>> = parts.iter().map(|(_, part)| part.get("share").and_then(number)).collect();
    if stated.iter().all(Option::is_none) {
        return;
    }
    if let Some((place, _)) =
        parts.iter().zip(&stated).find(|(_, share)| share.is_none_or(|share| !(0.0..=1.0).contains(&share))).map(|(part, _)| part)
    {
        report.fail("shares_add_up", format!("{place} states no share between 0 and 1"), Some(format!("{place}/share")));
        return;
    }
    let sum: f64 = stated.iter().flatten().sum();
    if (sum - 1.0).abs() <= SHARE_TOLERANCE {
        report.pass("shares_add_up", "the shares add up to 1");
    } else {
        report.fail("shares_add_up", format!("the shares add up to {sum:.4}, not to 1"), Some("/lines".to_owned()));
    }
}

/// Every constraint says that it is satisfied, and its own figures do not contradict.
fn constraints(candidate: &Value, report: &mut Report) {
    let Some(constraints) = candidate.get("constraints").and_then(Value::as_array) else { return };
    let mut problems = Vec::new();
    for (i, constraint) in constraints.iter().take(MAX_LINES).enumerate() {
        let place = format!("/constraints/{i}");
        let name = constraint.get("constraint").and_then(Value::as_str).unwrap_or("without a name");
        let figures = constraint.get("limit").and_then(number).zip(constraint.get("value").and_then(number));
        let contradicts = figures.is_some_and(|(limit, value)| {
            let tolerance = 1e-9 * limit.abs().max(1.0);
            (name.starts_with("max") && value > limit + tolerance) || (name.starts_with("min") && value < limit - tolerance)
        });
        let why = match constraint.get("satisfied").and_then(Value::as_bool) {
            Some(false) => "is not satisfied",
            Some(true) if contradicts => "is said to be satisfied, but its own figures say otherwise",
            Some(true) => continue,
            None => "does not say whether it is satisfied",
        };
        let figures = figures.map_or_else(String::new, |(limit, value)| format!(" (limit {limit}, value {value})"));
        problems.push(Problem::at(place, format!("the constraint {} {why}{figures}", quoted(name))));
    }
    report.sum_up("constraints_satisfied", "every constraint is satisfied", problems);
}

fn metrics_named(expected: Option<&Value>, report: &mut Report) {
    let unnamed = ["spend", "revenue", "roas"].into_iter().filter(|name| expected.and_then(|e| e.get(name)).and_then(number).is_none());
    let problems = unnamed.map(|name| Problem::at(format!("/expected/{name}"), format!("the expected {name} is not stated")));
    report.sum_up("metrics_named", "spend, revenue and ROAS are stated", problems.collect());
}

/// ROAS = revenue / spend.
fn return_on_spend(expected: Option<&Value>, report: &mut Report) {
    let figure = |name: &str| expected.and_then(|e| e.get(name)).and_then(number);
    let (Some(spend), Some(revenue), Some(roas)) = (figure("spend"), figure("revenue"), figure("roas")) else { return };
    let place = || Some("/expected/roas".to_owned());
    if spend <= 0.0 {
        report.fail("roas_stated_right", "there is no ROAS without spend; leave it empty", place());
        return;
    }
    let right = revenue / spend;
    if (roas - right).abs() <= RATIO_TOLERANCE * right.abs().max(1.0) {
        report.pass("roas_stated_right", format!("ROAS {roas:.2} is revenue divided by spend"));
    } else {
        report.fail(
            "roas_stated_right",
            format!("the plan states a ROAS of {roas:.2}, but revenue divided by spend is {right:.2}"),
            place(),
        );
    }
}

/// The stated range holds the stated ROAS; the request's bounds on ROAS and on cost per conversion (CPA) are kept.
fn bounds(request: Option<&Value>, expected: Option<&Value>, report: &mut Report) {
    let figure = |name: &str| expected.and_then(|e| e.get(name)).and_then(number);
    let Some(roas) = figure("roas") else { return };
    if let (Some(low), Some(high)) = (figure("roas_low"), figure("roas_high")) {
        if low <= roas + RATIO_TOLERANCE && roas <= high + RATIO_TOLERANCE {
            report.pass("roas_in_range", format!("ROAS {roas:.2} lies in its range of {low:.2} to {high:.2}"));
        } else {
            report.fail(
                "roas_in_range",
                format!("ROAS {roas:.2} lies outside its own range of {low:.2} to {high:.2}"),
                Some("/expected".to_owned()),
            );
        }
    }
    let limit = |name: &str| request.and_then(|r| r.get("constraints")).and_then(|c| c.get(name)).and_then(number);
    if let Some(least) = limit("min_roas") {
        if roas >= least {
            report.pass("min_roas", format!("ROAS {roas:.2} is at least {least}"));
        } else {
            report.fail("min_roas", format!("ROAS {roas:.2} is below the {least} that was asked for"), Some("/expected/roas".to_owned()));
        }
    }
    let most = limit("max_cpa").or_else(|| limit("max_cpa_micros").map(|micros| micros / 1e6));
    if let (Some(most), Some(spend), Some(conversions)) = (most, figure("spend"), figure("conversions").filter(|c| *c > 0.0)) {
        let cost = spend / conversions;
        if cost <= most {
            report.pass("max_cpa", format!("a conversion costs {cost:.2}, at most {most}"));
        } else {
            report.fail(
                "max_cpa",
                format!("a conversion costs {cost:.2}, above the {most} that was asked for"),
                Some("/expected/conversions".to_owned()),
            );
        }
    }
}

/// An amount in micro-units: a decimal text, a number, or `{"amount"}`.
fn micros(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => parse_micros("amount", text).ok(),
        Value::Number(number) => parse_micros("amount", &number.to_string()).ok(),
        Value::Object(money) => money.get("amount").and_then(Value::as_str).and_then(|text| parse_micros("amount", text).ok()),
        _ => None,
    }
}

/// A finite figure: a number, a decimal text, or `{"amount"}`.
fn number(value: &Value) -> Option<f64> {
    let figure = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        Value::Object(money) => money.get("amount").and_then(Value::as_str).and_then(|text| text.parse().ok()),
        _ => None,
    };
    figure.filter(|figure| figure.is_finite())
}
