//! Where the money of each plan goes, line by line, with what the line's response curve rests on.

use std::collections::BTreeMap;

use serde_json::Value;
use storage::plans::Plan;
use web::chart;

use super::{Cell, Line, Names, number, shown_units, texts, units};
use crate::pages::words::{count, percent, words};

fn named(placement: &str, audience: &str, names: &Names) -> String {
    match names.get(audience) {
        _ if audience.is_empty() => words(placement),
        Some(name) => format!("{}, {name}", words(placement)),
        None => format!("{}, {}", words(placement), audience.replace('_', " ")),
    }
}

fn part<'a>(line: &'a Value, name: &str) -> &'a str {
    line.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A row for each line that gets money in some plan, the largest first.
pub(super) fn lines(plans: &[Plan], names: &Names) -> Vec<Line> {
    let allocation = |plan: &Plan| plan.plan.get("allocation").and_then(Value::as_array).cloned().unwrap_or_default();
    let all: Vec<Vec<Value>> = plans.iter().map(allocation).collect();
    // By line, what it gets in each plan.
    let mut by_line: BTreeMap<&str, Vec<Option<&Value>>> = BTreeMap::new();
    for (at, lines) in all.iter().enumerate() {
        for line in lines {
            if let Some(slot) = by_line.entry(part(line, "arm_id")).or_insert_with(|| vec![None; plans.len()]).get_mut(at) {
                *slot = Some(line);
            }
        }
    }
    let spend = |line: Option<&Value>| units(line.and_then(|line| line.get("spend")));
    let highest = |cells: &[Option<&Value>]| cells.iter().filter_map(|line| spend(*line)).fold(0.0, f64::max);
    let scale = by_line.values().map(|cells| highest(cells)).fold(0.0, f64::max);
    let mut sorted: Vec<Vec<Option<&Value>>> = by_line.into_values().collect();
    sorted.sort_by(|a, b| highest(b).total_cmp(&highest(a)));
    let row = |cells: Vec<Option<&Value>>| {
        // Placement, evidence and present spend of a line are the same in every plan of a set.
        let known = cells.iter().flatten().next();
        let currency = plans.first().map_or("", |plan| plan.currency.as_str());
        Line {
            title: known.map_or_else(String::new, |line| named(part(line, "placement_type"), part(line, "audience_segment"), names)),
            notes: known.map_or_else(Vec::new, |line| evidence(line, currency)),
            cells: plans.iter().zip(&cells).map(|(plan, line)| cell(plan, *line, scale)).collect(),
        }
    };
    sorted.into_iter().map(row).collect()
}

fn cell(plan: &Plan, line: Option<&Value>, scale: f64) -> Cell {
    let Some(line) = line else {
        return Cell { text: "nothing".to_owned(), mark: chart::bars(&[None], scale), ..Cell::default() };
    };
    let money = |name: &str| units(line.get(name)).map(|units| shown_units(units, &plan.currency));
    let mut notes: Vec<String> = Vec::new();
    notes.extend(number(line.get("share")).map(|share| format!("{} of the budget", percent(share))));
    notes.extend(
        units(line.get("spend_difference"))
            .filter(|units| units.abs() >= 0.005)
            .map(|units| format!("{} {} than now", shown_units(units.abs(), &plan.currency), if units > 0.0 { "more" } else { "less" })),
    );
    notes.extend(money("expected_revenue").map(|revenue| format!("expects {revenue}")));
    notes.push(money("standard_error").map_or("standard error not known".to_owned(), |error| format!("standard error {error}")));
    notes.extend(number(line.get("marginal_roas")).map(|value| format!("the next unit returns {value:.2}")));
    let value = units(line.get("spend"));
    Cell {
        text: value.map_or_else(|| "not known".to_owned(), |value| shown_units(value, &plan.currency)),
        notes,
        mark: chart::bars(&[value], scale),
    }
}

/// What the curve of a line rests on, and what the line spends now.
fn evidence(line: &Value, currency: &str) -> Vec<String> {
    let detail = |name: &str| line.pointer(&format!("/evidence_detail/{name}"));
    let word = |name: &str| detail(name).and_then(Value::as_str);
    let weeks = detail("history_weeks").and_then(Value::as_i64);
    let history = weeks.map_or_else(String::new, |weeks| {
        format!(", {} with spend and revenue", if weeks == 1 { "1 week".to_owned() } else { format!("{} weeks", count(weeks)) })
    });
    let mut notes = Vec::new();
    match line.get("evidence").and_then(Value::as_str) {
        Some("fitted") => notes.push(format!("Curve of its own{history}")),
        Some("pooled") => {
            let why = match word("not_identifiable") {
                Some("no_spend_measured") => ": no week has both spend and revenue".to_owned(),
                Some("too_few_periods") => format!(": too few weeks{history}"),
                Some("no_spend_variation") => format!(": its spend hardly differs{history}"),
                Some("too_noisy") => format!(": too noisy for one of its own{history}"),
                _ => history,
            };
            notes.push(format!("Borrowed curve{why}"));
        }
        _ => {}
    }
    notes.extend(word("prior").map(|prior| format!("Stands in: {prior}")));
    let experiments = texts(detail("calibrated_by"));
    if !experiments.is_empty() {
        notes.push(format!("Level set by experiment {}", experiments.join(", ")));
    }
    let carried = number(detail("carry_over")).filter(|share| *share > 0.0);
    notes.extend(carried.map(|share| format!("{} of a week’s effect carries over", percent(share))));
    notes.extend(units(line.get("present_spend")).map(|units| format!("Now {}", shown_units(units, currency))));
    notes
}

/// Lines that get nothing whatever they would bring, with the reason.
pub(super) fn closed(plans: &[Plan], names: &Names) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for plan in plans {
        for line in plan.plan.get("closed").and_then(Value::as_array).into_iter().flatten() {
            let (placement, audience) = part(line, "arm_id").split_once('/').unwrap_or((part(line, "arm_id"), ""));
            let found = (named(placement, audience, names), part(line, "reason").to_owned());
            if !all.contains(&found) {
                all.push(found);
            }
        }
    }
    all
}
