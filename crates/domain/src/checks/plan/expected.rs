//! What a plan expects: the figures are named, fit each other, and keep the bounds that were asked for.

use serde_json::Value;

use super::super::{Problem, Report};
use super::{Parts, micros, number, units};
use crate::money::format_micros;

/// Ratios are written with two digits or more.
const RATIO_TOLERANCE: f64 = 0.006;

/// Amounts of lines are written with two digits or more, each of them rounded.
const LINE_TOLERANCE_MICROS: i64 = 10_000;

pub(super) fn check(request: Option<&Value>, expected: Option<&Value>, parts: &Parts<'_>, total: Option<i64>, report: &mut Report) {
    let figures = Figures { expected };
    metrics_named(&figures, total, report);
    revenue_adds_up(expected, parts, report);
    return_on_spend(&figures, report);
    range(&figures, report);
    bounds(request, &figures, report);
}

struct Figures<'a> {
    expected: Option<&'a Value>,
}

impl Figures<'_> {
    fn get(&self, name: &str) -> Option<f64> {
        self.expected.and_then(|e| e.get(name)).and_then(number)
    }

    /// Revenue / spend, when there is spend.
    fn roas(&self) -> Option<f64> {
        Some(self.get("revenue")? / self.get("spend").filter(|spend| *spend > 0.0)?)
    }
}

fn metrics_named(figures: &Figures<'_>, total: Option<i64>, report: &mut Report) {
    let needs_roas = total != Some(0);
    let names = ["spend", "revenue", "roas"].into_iter().filter(|name| *name != "roas" || needs_roas);
    let problems = names.filter_map(|name| match figures.get(name) {
        None => Some(Problem::at(format!("/expected/{name}"), format!("the expected {name} is not stated; state it as a number"))),
        Some(figure) if figure < 0.0 => Some(Problem::at(format!("/expected/{name}"), format!("the expected {name} is {figure}, below 0"))),
        Some(_) => None,
    });
    report.sum_up("metrics_named", "spend, revenue and ROAS are stated", problems.collect());
}

/// The lines' revenue is that of the plan, where every line states one.
fn revenue_adds_up(expected: Option<&Value>, parts: &Parts<'_>, report: &mut Report) {
    let Some(stated) = expected.and_then(|e| e.get("revenue")).and_then(micros) else { return };
    let lines: Option<Vec<i64>> = parts.iter().map(|(_, part)| part.get("expected_revenue").and_then(micros)).collect();
    let Some(total) = lines.as_ref().and_then(|lines| lines.iter().try_fold(0_i64, |sum, one| sum.checked_add(*one))) else { return };
    let tolerance = LINE_TOLERANCE_MICROS.saturating_mul(i64::try_from(parts.len()).unwrap_or(i64::MAX));
    if total.abs_diff(stated) <= tolerance.unsigned_abs() {
        report.pass("revenue_adds_up", format!("the lines add up to the expected revenue, {}", format_micros(stated)));
    } else {
        let message = format!("the lines' revenue adds up to {}, but the plan expects {}", format_micros(total), format_micros(stated));
        report.fail("revenue_adds_up", message, "/expected/revenue");
    }
}

/// ROAS = revenue / spend.
fn return_on_spend(figures: &Figures<'_>, report: &mut Report) {
    let (Some(spend), Some(_), Some(roas)) = (figures.get("spend"), figures.get("revenue"), figures.get("roas")) else { return };
    let place = "/expected/roas";
    let Some(right) = figures.roas() else {
        report.fail("roas_stated_right", format!("there is no ROAS for a spend of {spend}; leave it empty"), place);
        return;
    };
    if is_rounded(roas, right) {
        report.pass("roas_stated_right", format!("ROAS {roas:.2} is revenue divided by spend"));
    } else {
        report.fail("roas_stated_right", format!("the plan states a ROAS of {roas:.2}, but revenue divided by spend is {right:.2}"), place);
    }
}

/// Whether one is the other, rounded to two digits or more.
fn is_rounded(stated: f64, right: f64) -> bool {
    (stated - right).abs() <= RATIO_TOLERANCE + 1e-4 * right.abs()
}

/// The stated range is one, and holds the stated ROAS.
fn range(figures: &Figures<'_>, report: &mut Report) {
    let (Some(roas), Some(low), Some(high)) = (figures.get("roas"), figures.get("roas_low"), figures.get("roas_high")) else { return };
    if low > high {
        report.fail("roas_in_range", format!("the range of ROAS ends at {high:.2}, below its begin at {low:.2}"), "/expected/roas_high");
    } else if low <= roas + RATIO_TOLERANCE && roas <= high + RATIO_TOLERANCE {
        report.pass("roas_in_range", format!("ROAS {roas:.2} lies in its range of {low:.2} to {high:.2}"));
    } else {
        let place = if roas < low { "/expected/roas_low" } else { "/expected/roas_high" };
        report.fail("roas_in_range", format!("ROAS {roas:.2} lies outside its own range of {low:.2} to {high:.2}"), place);
    }
}

/// The request's bounds on ROAS and on cost per conversion (CPA), by the plan's own spend, revenue and conversions: rounding breaks no bound.
fn bounds(request: Option<&Value>, figures: &Figures<'_>, report: &mut Report) {
    let limit = |name: &str| request.and_then(|r| r.get("constraints")).and_then(|c| c.get(name)).and_then(number);
    let spend = figures.get("spend");
    if let Some(least) = limit("min_roas").filter(|_| spend != Some(0.0)) {
        match figures.roas().into_iter().chain(figures.get("roas")).reduce(f64::min) {
            None => report.fail("min_roas", format!("a ROAS of at least {least} was asked for, but none is stated"), "/expected/roas"),
            Some(roas) if roas >= least - 1e-6 * least.abs().max(1.0) => {
                report.pass("min_roas", format!("ROAS {roas:.2} is at least {least}"))
            }
            Some(roas) => report.fail("min_roas", format!("ROAS {roas:.4} is below the {least} that was asked for"), "/expected/roas"),
        }
    }
    let most =
        limit("max_cpa").or_else(|| request.and_then(|r| r.pointer("/constraints/max_cpa_micros")).and_then(Value::as_i64).map(units));
    if let (Some(most), Some(spend)) = (most, spend.filter(|spend| *spend > 0.0)) {
        let place = "/expected/conversions";
        match figures.get("conversions") {
            None => report.fail("max_cpa", format!("at most {most} for a conversion was asked for, but no conversions are stated"), place),
            Some(conversions) if conversions <= 0.0 => {
                report.fail(
                    "max_cpa",
                    format!("at most {most} for a conversion was asked for, but the plan spends {spend} on none"),
                    place,
                );
            }
            Some(conversions) => {
                let cost = spend / conversions;
                if cost <= most + 1e-6 * most.abs().max(1.0) {
                    report.pass("max_cpa", format!("a conversion costs {cost:.2}, at most {most}"));
                } else {
                    report.fail("max_cpa", format!("a conversion costs {cost:.4}, above the {most} that was asked for"), place);
                }
            }
        }
    }
}
