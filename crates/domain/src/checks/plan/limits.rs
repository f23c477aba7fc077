//! Constraints of a plan: those that it states itself do not contradict, and those that were asked for are computed from its lines.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::{Problem, Report, quoted, texts};
use super::{MAX_LINES, Parts, micros, number, units};
use crate::money::format_micros;

/// One micro-unit: shares of a budget are rounded to it.
const ONE_MICRO: f64 = 1.000_001e-6;

/// Relative difference at which two ways to write a figure are one figure.
const WRITTEN_TOLERANCE: f64 = 0.006;

/// Every constraint says that it is satisfied, and neither its own figures nor those of the plan contradict.
pub(super) fn stated(candidate: &Value, total: Option<i64>, report: &mut Report) {
    let Some(constraints) = candidate.get("constraints").filter(|constraints| !constraints.is_null()) else { return };
    let Some(constraints) = constraints.as_array() else {
        report.fail("constraints_satisfied", "the constraints must be a list of {constraint, limit, value, satisfied}", "/constraints");
        return;
    };
    let mut problems = Vec::new();
    for (i, constraint) in constraints.iter().take(MAX_LINES).enumerate() {
        let place = format!("/constraints/{i}");
        let name = constraint.get("constraint").and_then(Value::as_str).unwrap_or("without a name");
        let (limit, value) = (constraint.get("limit").and_then(number), constraint.get("value").and_then(number));
        let tolerance = |limit: f64| 1e-9 * limit.abs().max(1.0);
        let contradicts = limit.zip(value).is_some_and(|(limit, value)| match direction(name) {
            Some(Direction::Most) => value > limit + tolerance(limit),
            Some(Direction::Least) => value < limit - tolerance(limit),
            None => false,
        });
        let truth = truth(name, candidate, total);
        let why = match constraint.get("satisfied").and_then(Value::as_bool) {
            Some(false) => "is not satisfied".to_owned(),
            Some(true) if contradicts => "is said to be satisfied, but its own figures say otherwise".to_owned(),
            Some(true) => match (value, truth) {
                (Some(value), Some(truth)) if (value - truth).abs() > WRITTEN_TOLERANCE * truth.abs().max(1.0) => {
                    format!("gives another value than the plan itself, {truth:.2}")
                }
                _ => continue,
            },
            None => "does not say whether it is satisfied".to_owned(),
        };
        let figures = limit.zip(value).map_or_else(String::new, |(limit, value)| format!(" (limit {limit}, value {value})"));
        problems.push(Problem::at(place, format!("the constraint {} {why}{figures}", quoted(name))));
    }
    report.sum_up("constraints_satisfied", "every stated constraint is satisfied", problems);
}

enum Direction {
    Most,
    Least,
}

/// On which side of its limit a constraint of this name lies.
fn direction(name: &str) -> Option<Direction> {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if name == "budget" || name == "step" || begins(&["max", "excluded"]) {
        Some(Direction::Most)
    } else if begins(&["min", "spend_all"]) {
        Some(Direction::Least)
    } else {
        None
    }
}

/// What the plan's own figures say of a constraint.
fn truth(name: &str, candidate: &Value, total: Option<i64>) -> Option<f64> {
    let figure = |name: &str| candidate.get("expected").and_then(|e| e.get(name)).and_then(number);
    match name {
        "budget" | "spend_all" => total.map(units),
        "min_roas" => Some(figure("revenue")? / figure("spend").filter(|spend| *spend > 0.0)?),
        "max_cpa" => Some(figure("spend")? / figure("conversions").filter(|conversions| *conversions > 0.0)?),
        _ => None,
    }
}

/// A plan's lines with their spend in micro-units.
pub(super) struct Lines<'a> {
    pub parts: &'a Parts<'a>,
    pub spends: &'a [i64],
    pub total: i64,
    pub budget: Option<i64>,
}

impl<'a> Lines<'a> {
    fn each(&self) -> impl Iterator<Item = (&'a str, &'a Value, i64)> {
        self.parts.iter().map(|(place, part)| (place.as_str(), *part)).zip(self.spends).map(|((place, part), spend)| (place, part, *spend))
    }

    /// Whether some lines are summed up under `other_lines`.
    fn are_summed(&self) -> bool {
        self.parts.last().is_some_and(|(place, _)| place == "/other_lines")
    }

    /// Spend of the lines that name this placement or audience.
    fn spend_of(&self, member: &str, name: &str) -> i64 {
        self.each()
            .filter(|(_, part, _)| part.get(member).and_then(Value::as_str) == Some(name))
            .map(|(_, _, spend)| spend)
            .fold(0, i64::saturating_add)
    }
}

/// The constraints of the request that the lines show.
pub(super) fn asked(request: &Value, lines: &Lines<'_>, report: &mut Report) {
    let Some(constraints) = request.get("constraints").and_then(Value::as_object) else { return };
    let mut found = Found { any: false, problems: Vec::new() };
    excluded(constraints, lines, &mut found);
    if let Some(budget) = lines.budget {
        arm_shares(constraints, lines, budget, &mut found);
        named_shares(constraints, lines, budget, &mut found);
        whole_budget(constraints, lines, budget, &mut found);
    }
    if found.any {
        report.sum_up("asked_limits_kept", "the lines keep the limits that were asked for", found.problems);
    }
}

struct Found {
    any: bool,
    problems: Vec<Problem>,
}

fn excluded(constraints: &Map<String, Value>, lines: &Lines<'_>, found: &mut Found) {
    for (limit, member) in [("excluded_placements", "placement_type"), ("excluded_audiences", "audience_segment")] {
        let names = texts(constraints.get(limit));
        found.any |= !names.is_empty();
        for (place, part, spend) in lines.each() {
            let name = part.get(member).and_then(Value::as_str);
            if let Some(name) = name.filter(|name| spend > 0 && names.contains(name)) {
                let message = format!("{} is excluded, but {place} spends {} on it", quoted(name), format_micros(spend));
                found.problems.push(Problem::at(format!("{place}/{member}"), message));
            }
        }
    }
}

fn arm_shares(constraints: &Map<String, Value>, lines: &Lines<'_>, budget: i64, found: &mut Found) {
    let share = |name: &str| constraints.get(name).and_then(number);
    let own = || lines.each().filter(|(place, _, _)| *place != "/other_lines");
    if let Some(most) = share("max_share_per_arm") {
        found.any = true;
        for (place, _, spend) in own().filter(|(_, _, spend)| units(*spend) > most * units(budget) + ONE_MICRO) {
            let message =
                format!("{place} spends {}, more than the share of {most} of the budget that a line may have", format_micros(spend));
            found.problems.push(Problem::at(format!("{place}/spend"), message));
        }
    }
    if let Some(least) = share("min_share_per_arm") {
        found.any = true;
        for (place, _, spend) in own().filter(|(_, _, spend)| units(*spend) < least * units(budget) - ONE_MICRO) {
            let message =
                format!("{place} spends {}, less than the share of {least} of the budget that a line must have", format_micros(spend));
            found.problems.push(Problem::at(format!("{place}/spend"), message));
        }
    }
}

fn named_shares(constraints: &Map<String, Value>, lines: &Lines<'_>, budget: i64, found: &mut Found) {
    let kinds = [
        ("max_share_per_placement", "placement_type", true),
        ("min_share_per_placement", "placement_type", false),
        ("max_share_per_audience", "audience_segment", true),
        ("min_share_per_audience", "audience_segment", false),
    ];
    for (limit, member, is_most) in kinds {
        let shares: BTreeMap<&String, f64> = constraints
            .get(limit)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .take(MAX_LINES)
            .filter_map(|(name, share)| Some((name, number(share)?)))
            .collect();
        for (name, share) in shares {
            // Lines that are summed up may hold more of it.
            if !is_most && lines.are_summed() {
                continue;
            }
            found.any = true;
            let spend = lines.spend_of(member, name);
            let (edge, spent) = (share * units(budget), units(spend));
            let is_broken = if is_most { spent > edge + ONE_MICRO } else { spent < edge - ONE_MICRO };
            if is_broken {
                let first = lines.each().find(|(_, part, _)| part.get(member).and_then(Value::as_str) == Some(name.as_str()));
                let place = first.map_or_else(|| "/lines".to_owned(), |(place, _, _)| format!("{place}/spend"));
                let word = if is_most { "at most" } else { "at least" };
                let message =
                    format!("{} gets {}, but {word} a share of {share} of the budget was asked for", quoted(name), format_micros(spend));
                found.problems.push(Problem::at(place, message));
            }
        }
    }
}

fn whole_budget(constraints: &Map<String, Value>, lines: &Lines<'_>, budget: i64, found: &mut Found) {
    let step = constraints.get("step").and_then(micros).filter(|step| *step > 0);
    if let Some(step) = step {
        found.any = true;
        for (place, _, spend) in lines.each().filter(|(_, _, spend)| spend % step != 0) {
            let message = format!("{place} spends {}, which is no multiple of the step of {}", format_micros(spend), format_micros(step));
            found.problems.push(Problem::at(format!("{place}/spend"), message));
        }
    }
    if constraints.get("spend_all").and_then(Value::as_bool) == Some(true) {
        found.any = true;
        let whole = budget - budget % step.unwrap_or(1);
        if lines.total < whole {
            let message = format!("the whole budget was to be spent, but {} of it is left", format_micros(whole - lines.total));
            found.problems.push(Problem::at("/lines", message));
        }
    }
}
