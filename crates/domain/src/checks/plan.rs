//! Checks of `plan_quality`: money adds up to the last micro-unit in one currency, what was asked for is kept, and what is expected is stated and
//! consistent.

mod expected;
mod limits;

use chrono::NaiveDate;
use serde_json::Value;

use super::{Context, Problem, Report, quoted};
use crate::money::{MICROS, check_currency, format_micros, parse_micros};

/// Most lines of a judged plan.
const MAX_LINES: usize = 100;

/// Shares are written with few digits: as much may they be off.
const SHARE_TOLERANCE: f64 = 0.005;

/// Lines with their places; the last may stand for several (`other_lines`).
type Parts<'a> = Vec<(String, &'a Value)>;

pub(super) fn check(context: &Context<'_>, candidate: &Value, report: &mut Report) {
    let Some(parts) = parts(candidate, report) else { return };
    let expected = candidate.get("expected");
    let request = context.kind("plan_request").or_else(|| context.snippets.iter().find(|s| s.get("budget").is_some()).copied());
    one_currency(candidate, request, &parts, report);
    let spends = spends(&parts, report);
    let total = spends.as_ref().and_then(|spends| spends.iter().try_fold(0_i64, |sum, spend| sum.checked_add(*spend)));
    spend_adds_up(spends.is_some(), total, expected, report);
    let own = candidate.get("budget").and_then(micros);
    let asked = request.and_then(|r| r.get("budget")).and_then(micros);
    within_budget(own, asked, total, report);
    shares(&parts, spends.as_deref(), total, asked.or(own), report);
    horizon(candidate, request, &parts, report);
    limits::stated(candidate, total, report);
    if let (Some(request), Some(spends), Some(total)) = (request, &spends, total) {
        limits::asked(request, &limits::Lines { parts: &parts, spends, total, budget: asked.or(own) }, report);
    }
    expected::check(request, expected, &parts, total, report);
}

/// The lines, or `None` after a failed `candidate_form`.
fn parts<'a>(candidate: &'a Value, report: &mut Report) -> Option<Parts<'a>> {
    let lines = candidate.get("lines").and_then(Value::as_array).filter(|lines| !lines.is_empty() && lines.len() <= MAX_LINES);
    let Some(lines) = lines else {
        report.fail("candidate_form", format!("the candidate is no plan; give 1 to {MAX_LINES} lines under \"lines\""), "/lines");
        return None;
    };
    let named = |line: &&Value| line.get("placement_type").and_then(Value::as_str).is_some_and(|name| !name.trim().is_empty());
    if let Some(at) = lines.iter().position(|line| !named(&line)) {
        let message = format!("line {} names no placement; give {{\"placement_type\", \"spend\"}}", at + 1);
        report.fail("candidate_form", message, format!("/lines/{at}/placement_type"));
        return None;
    }
    report.pass("candidate_form", "the candidate is a plan");
    let mut parts: Parts<'_> = lines.iter().enumerate().map(|(i, line)| (format!("/lines/{i}"), line)).collect();
    if let Some(others) = candidate.get("other_lines").filter(|others| !others.is_null()) {
        parts.push(("/other_lines".to_owned(), others));
    }
    Some(parts)
}

/// Every amount is in the currency that was asked for, or in the plan's own.
fn one_currency(candidate: &Value, request: Option<&Value>, parts: &Parts<'_>, report: &mut Report) {
    let of = |value: Option<&Value>| value.and_then(|value| value.get("currency")).and_then(Value::as_str).map(str::to_owned);
    let mut stated: Vec<(String, String)> = Vec::new();
    let mut look = |place: String, value: Option<&Value>| stated.extend(of(value).map(|currency| (format!("{place}/currency"), currency)));
    look(String::new(), Some(candidate));
    look("/budget".to_owned(), candidate.get("budget"));
    for name in ["spend", "revenue"] {
        look(format!("/expected/{name}"), candidate.get("expected").and_then(|e| e.get(name)));
    }
    for (place, part) in parts {
        look(place.clone(), Some(part));
        for name in ["spend", "expected_revenue"] {
            look(format!("{place}/{name}"), part.get(name));
        }
    }
    let asked = of(request).or_else(|| of(request.and_then(|r| r.get("budget"))));
    let Some(wanted) = asked.clone().or_else(|| stated.first().map(|(_, currency)| currency.clone())) else { return };
    let why = if asked.is_some() { "was asked for" } else { "the rest of the plan is in" };
    let wrong = stated.iter().filter(|(_, currency)| *currency != wanted || check_currency("currency", currency).is_err());
    let problems = wrong.map(|(place, currency)| {
        let message = if *currency == wanted {
            format!("{} is no currency; give a code of three capital letters such as USD", quoted(currency))
        } else {
            format!("an amount is in {}, but {} {why}; amounts of different currencies cannot be added", quoted(currency), quoted(&wanted))
        };
        Problem::at(place.clone(), message)
    });
    report.sum_up("one_currency", "all amounts are in one currency", problems.collect());
}

/// Spend of each line in micro-units, or `None` after a failed `spend_adds_up`.
fn spends(parts: &Parts<'_>, report: &mut Report) -> Option<Vec<i64>> {
    let mut spends = Vec::with_capacity(parts.len());
    for (place, part) in parts {
        let Some(spend) = part.get("spend").and_then(micros).filter(|spend| *spend >= 0) else {
            let message = format!("{place} states no spend; give a decimal text such as \"12.340000\", not below 0");
            report.fail("spend_adds_up", message, format!("{place}/spend"));
            return None;
        };
        spends.push(spend);
    }
    Some(spends)
}

fn spend_adds_up(is_stated: bool, total: Option<i64>, expected: Option<&Value>, report: &mut Report) {
    let place = "/expected/spend";
    match (total, expected.and_then(|e| e.get("spend")).and_then(micros)) {
        _ if !is_stated => {}
        (None, _) => report.fail("spend_adds_up", "the lines add up to more money than can be counted", "/lines"),
        (Some(_), None) => report.fail("spend_adds_up", "the plan does not state its whole spend; add it", place),
        (Some(total), Some(stated)) if stated == total => {
            report.pass("spend_adds_up", format!("the lines add up to the stated spend, {}", format_micros(total)));
        }
        (Some(total), Some(stated)) => {
            let message = format!("the lines add up to {}, but the plan states {}", format_micros(total), format_micros(stated));
            report.fail("spend_adds_up", message, place);
        }
    }
}

fn within_budget(own: Option<i64>, asked: Option<i64>, total: Option<i64>, report: &mut Report) {
    let (Some(budget), Some(total)) = (asked.or(own), total) else { return };
    if let Some(own) = own.filter(|own| *own != budget) {
        let message = format!("the plan is made for a budget of {}, but {} was asked for", format_micros(own), format_micros(budget));
        report.fail("within_budget", message, "/budget");
    } else if total > budget {
        let message = format!(
            "the lines spend {}, which is {} over the budget of {}",
            format_micros(total),
            format_micros(total.saturating_sub(budget)),
            format_micros(budget)
        );
        report.fail("within_budget", message, "/lines");
    } else {
        report.pass("within_budget", format!("{} of {} are spent", format_micros(total), format_micros(budget)));
    }
}

/// Shares are those of the budget (what is not spent has none) or of the plan's spend, the same for all lines.
fn shares(parts: &Parts<'_>, spends: Option<&[i64]>, total: Option<i64>, budget: Option<i64>, report: &mut Report) {
    let stated: Vec<Option<f64>> = parts.iter().map(|(_, part)| part.get("share").and_then(number)).collect();
    if stated.iter().all(Option::is_none) {
        return;
    }
    let unstated = parts.iter().zip(&stated).find(|(_, share)| share.is_none_or(|share| !(0.0..=1.0).contains(&share)));
    if let Some(((place, _), _)) = unstated {
        report.fail("shares_add_up", format!("{place} states no share between 0 and 1"), format!("{place}/share"));
        return;
    }
    let sum: f64 = stated.iter().flatten().sum();
    let wholes: Vec<f64> = [total, budget].into_iter().flatten().filter(|whole| *whole > 0).map(units).collect();
    let Some(total) = total.map(units).filter(|_| !wholes.is_empty()) else {
        if (sum - 1.0).abs() <= SHARE_TOLERANCE {
            report.pass("shares_add_up", "the shares add up to 1");
        } else {
            report.fail("shares_add_up", format!("the shares add up to {sum:.4}, not to 1"), "/lines");
        }
        return;
    };
    if !wholes.iter().any(|whole| (sum - total / whole).abs() <= SHARE_TOLERANCE) {
        report.fail(
            "shares_add_up",
            format!("the shares add up to {sum:.4}, which is neither the whole spend nor its share of the budget"),
            "/lines",
        );
        return;
    }
    report.pass("shares_add_up", format!("the shares add up to {sum:.4}"));
    let off = |whole: &f64| -> Vec<(usize, f64, f64)> {
        let right = spends.unwrap_or_default().iter().map(|spend| units(*spend) / whole);
        let pairs = stated.iter().flatten().zip(right).enumerate();
        pairs
            .filter(|(_, (share, right))| (**share - right).abs() > SHARE_TOLERANCE)
            .map(|(i, (share, right))| (i, *share, right))
            .collect()
    };
    let fewest = wholes.iter().map(off).min_by_key(Vec::len).unwrap_or_default();
    let problems = fewest.into_iter().filter_map(|(i, share, right)| {
        let (place, _) = parts.get(i)?;
        Some(Problem::at(format!("{place}/share"), format!("{place} states a share of {share:.4}, but its spend is a share of {right:.4}")))
    });
    report.sum_up("shares_match_spend", "each share is that of the line's spend", problems.collect());
}

/// Days: as many as were asked for, dates that exist, in order and within those that were asked for.
fn horizon(candidate: &Value, request: Option<&Value>, parts: &Parts<'_>, report: &mut Report) {
    let mut problems = Vec::new();
    let days = |value: Option<&Value>| value.and_then(|v| v.get("horizon_days")).and_then(number);
    let (asked, own) = (days(request), days(Some(candidate)));
    if let (Some(asked), Some(own)) = (asked, own)
        && (asked - own).abs() > 1e-9
    {
        problems.push(Problem::at("/horizon_days", format!("the plan is for {own} days, but {asked} were asked for")));
    }
    let date = |value: Option<&Value>, name: &str| value.and_then(|v| v.get(name)).and_then(Value::as_str).and_then(day);
    let (earliest, latest) = (date(request, "start_date"), date(request, "end_date"));
    let mut any = asked.is_some() && own.is_some();
    let whole = [(String::new(), candidate)];
    for (place, part) in whole.iter().map(|(place, part)| (place, *part)).chain(parts.iter().map(|(place, part)| (place, *part))) {
        for name in ["start_date", "end_date"] {
            let Some(written) = part.get(name).filter(|written| !written.is_null()) else { continue };
            any = true;
            let place = format!("{place}/{name}");
            let Some(date) = written.as_str().and_then(day) else {
                problems
                    .push(Problem::at(place, format!("{} is no date that exists; write it like 2017-03-31", quoted(&written.to_string()))));
                continue;
            };
            if earliest.is_some_and(|earliest| date < earliest) || latest.is_some_and(|latest| date > latest) {
                problems.push(Problem::at(place, format!("{date} lies outside the days that were asked for")));
            }
        }
        if let (Some(start), Some(end)) = (date(Some(part), "start_date"), date(Some(part), "end_date"))
            && end < start
        {
            problems.push(Problem::at(format!("{place}/end_date"), format!("the end {end} is before the start {start}")));
        }
    }
    if any {
        report.sum_up("horizon_kept", "the days are those that were asked for", problems);
    }
}

fn day(text: &str) -> Option<NaiveDate> {
    let has_form = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    has_form.then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()).flatten()
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

/// Micro-units as units, for ratios: amounts of plans are far below what a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "ratios are compared with a tolerance")]
fn units(micros: i64) -> f64 {
    micros as f64 / MICROS as f64
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
