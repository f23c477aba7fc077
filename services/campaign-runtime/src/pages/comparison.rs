//! A plan set side by side: outcomes with intervals on one scale, lines of all plans aligned, limits and what they cost, and the decision.
//!
//! Plans are read from what is stored of them, so that sets made by older and newer planners are shown with what each knew.

use std::collections::BTreeMap;

use serde_json::Value;
use storage::plans::Plan;
use storage::reflections::ReflectionLog;
use web::chart;

use super::words::{count, moment, money, percent, stored_reason, words};

/// Standard errors on each side of a 95 % interval of normal errors.
const Z: f64 = 1.96;

/// One plan's head of the comparison.
pub struct Head {
    /// Public id.
    pub plan_id: String,
    /// Its strategy in words.
    pub title: String,
    /// Where it stands.
    pub status: String,
    /// The colour of it.
    pub tone: &'static str,
    /// Why, in plain sentences.
    pub rationale: Vec<String>,
    /// Whether a person may still choose it.
    pub may_choose: bool,
}

/// A cell: text, a note below it, and bars.
#[derive(Default)]
pub struct Cell {
    /// The figure.
    pub text: String,
    /// What is to be known of it.
    pub note: String,
    /// Drawing, or empty.
    pub mark: String,
}

/// A row of the comparison with a cell for each plan.
pub struct Line {
    /// What is compared.
    pub title: String,
    /// Its id, for lines of the allocation.
    pub code: String,
    /// A cell for each plan.
    pub cells: Vec<Cell>,
}

/// A plan set, ready to be shown.
pub struct Comparison {
    /// Public id.
    pub plan_set_id: String,
    /// When it was made.
    pub made: String,
    /// Budget and days.
    pub frame: String,
    /// The plans.
    pub heads: Vec<Head>,
    /// Outcomes.
    pub outcomes: Vec<Line>,
    /// Money by line.
    pub lines: Vec<Line>,
    /// Limits.
    pub limits: Vec<Line>,
    /// What was decided and why, in sentences.
    pub decision: Vec<String>,
    /// Risks that were noted.
    pub risks: Vec<String>,
    /// The rating task in which people compare.
    pub task_id: Option<String>,
    /// Whether people are judging.
    pub is_in_review: bool,
}

fn number(value: Option<&Value>) -> Option<f64> {
    value.and_then(Value::as_f64).filter(|value| value.is_finite())
}

/// Money of a stored document, in units.
fn units(value: Option<&Value>) -> Option<f64> {
    value?.get("amount")?.as_str()?.parse::<f64>().ok().filter(|value| value.is_finite())
}

#[expect(clippy::cast_possible_truncation, reason = "a float beyond 64 bits saturates, and money is bounded far below")]
fn shown_units(units: f64, currency: &str) -> String {
    money((units * 1_000_000.0).round() as i64, Some(currency))
}

/// Brings a set into the form of the page; none without plans.
#[must_use]
pub fn compare(plans: &[Plan], logs: &[ReflectionLog]) -> Option<Comparison> {
    let first = plans.first()?;
    let is_in_review = plans.iter().any(|plan| plan.status == "in_review");
    let mut decision: Vec<String> = Vec::new();
    for plan in plans.iter().filter(|plan| plan.status == "chosen") {
        let by = plan.decided_by.as_deref().map_or("nobody named".to_owned(), |by| by.replace('_', " "));
        decision.push(format!(
            "{} was chosen by {by}: {}",
            words(&plan.strategy),
            plan.choice_reason.as_deref().unwrap_or("no reason was kept.")
        ));
    }
    // The log of the decision says why people were asked; the plans themselves say it only once they are decided.
    if decision.is_empty() {
        decision.extend(logs.iter().filter(|log| log.phase == "decision").take(1).map(|log| log.decision_rationale.clone()));
    }
    let listed = |log: &ReflectionLog| -> Vec<String> {
        log.risk_factors.as_array().into_iter().flatten().filter_map(|risk| risk.as_str().map(str::to_owned)).collect()
    };
    let mut risks: Vec<String> = logs.iter().flat_map(listed).collect();
    risks.dedup();
    Some(Comparison {
        plan_set_id: first.plan_set_id.clone(),
        made: moment(&first.created_at),
        frame: format!("{} over {} days", money(first.budget_micros, Some(&first.currency)), first.horizon_days),
        heads: plans.iter().map(head).collect(),
        outcomes: outcomes(plans),
        lines: lines(plans),
        limits: limits(plans),
        decision,
        risks,
        task_id: plans.iter().find_map(|plan| plan.task_id.clone()),
        is_in_review,
    })
}

fn head(plan: &Plan) -> Head {
    let sentences = |name: &str| -> Vec<String> {
        plan.plan.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
    };
    Head {
        plan_id: plan.plan_id.clone(),
        title: words(&plan.strategy),
        status: words(&plan.status),
        tone: match plan.status.as_str() {
            "chosen" => "badge-good",
            "in_review" => "badge-note",
            _ => "",
        },
        rationale: sentences("rationale"),
        may_choose: plan.status != "chosen",
    }
}

fn row(title: &str, plans: &[Plan], cell: impl Fn(&Plan) -> Cell) -> Line {
    Line { title: title.to_owned(), code: String::new(), cells: plans.iter().map(cell).collect() }
}

fn text(text: impl Into<String>) -> Cell {
    Cell { text: text.into(), ..Cell::default() }
}

/// Value and ends of an interval for each plan, and the scale that holds them all from zero.
type Spread = (Option<f64>, Option<(f64, f64)>);

fn scale(spreads: &[Spread]) -> (f64, f64) {
    let ends = spreads.iter().flat_map(|(value, ends)| [*value, ends.map(|ends| ends.0), ends.map(|ends| ends.1)]).flatten();
    ends.fold((0.0, 0.0), |(low, high), value: f64| (low.min(value), high.max(value)))
}

fn revenue(plan: &Plan) -> Spread {
    let value = units(plan.plan.pointer("/expected/revenue"));
    let error = units(plan.plan.pointer("/expected/revenue_standard_error/value"));
    (value, value.zip(error).map(|(value, error)| ((value - Z * error).max(0.0), value + Z * error)))
}

fn roas(plan: &Plan) -> Spread {
    let end = |name: &str| number(plan.plan.pointer(&format!("/expected/roas_interval/value/{name}")));
    (number(plan.plan.pointer("/expected/roas/value")), end("low").zip(end("high")))
}

fn outcomes(plans: &[Plan]) -> Vec<Line> {
    let spread_row = |title: &str, spread: fn(&Plan) -> Spread, reason: &str, write: &dyn Fn(f64, &Plan) -> String| {
        let scale = scale(&plans.iter().map(spread).collect::<Vec<_>>());
        row(title, plans, |plan| {
            let (value, ends) = spread(plan);
            Cell {
                text: value.map_or_else(|| "not known".to_owned(), |value| write(value, plan)),
                note: match ends {
                    Some((low, high)) => format!("95 %: {} to {}", write(low, plan), write(high, plan)),
                    None => format!("no interval: {}", stored_reason(plan.plan.pointer(reason))),
                },
                mark: chart::interval(value, ends, scale),
            }
        })
    };
    let money_at = |plan: &Plan, at: &str| {
        units(plan.plan.pointer(at)).map_or_else(|| "not known".to_owned(), |value| shown_units(value, &plan.currency))
    };
    let figure_at = |plan: &Plan, at: &str, write: fn(f64) -> String| {
        number(plan.plan.pointer(&format!("{at}/value")))
            .map_or_else(|| format!("not known: {}", stored_reason(plan.plan.pointer(&format!("{at}/reason")))), write)
    };
    let mut rows = vec![
        spread_row("Expected revenue", revenue, "/expected/revenue_standard_error/reason", &|value, plan| {
            shown_units(value, &plan.currency)
        }),
        spread_row("Expected ROAS", roas, "/expected/roas_interval/reason", &|value, _| format!("{value:.2}")),
        row("Spend", plans, |plan| text(money_at(plan, "/expected/spend"))),
        row("Kept back", plans, |plan| text(money_at(plan, "/unallocated"))),
        row("Expected conversions", plans, |plan| text(figure_at(plan, "/expected/conversions", whole))),
        row("Rests on pooled evidence", plans, |plan| {
            text(number(plan.plan.get("uncertainty_share")).map_or("not known".to_owned(), percent))
        }),
        row("Concentration", plans, |plan| {
            text(number(plan.plan.get("concentration")).map_or("not known".to_owned(), |value| format!("{value:.2}")))
        }),
    ];
    if plans.iter().any(|plan| plan.score.is_some()) {
        rows.push(row("Score of the reward model", plans, |plan| {
            text(plan.score.map_or("no model took part".to_owned(), |score| format!("{score:.3}")))
        }));
    }
    if plans.iter().any(|plan| plan.win_probability.is_some()) {
        rows.push(row("Wins against the best other", plans, |plan| Cell {
            text: plan.win_probability.map_or("not known".to_owned(), percent),
            mark: chart::meter(plan.win_probability, Some(0.5)),
            ..Cell::default()
        }));
    }
    for (field, title) in [("risk_factors", "Risks"), ("binding_constraints", "Binding limits")] {
        if plans.iter().any(|plan| plan.plan.get(field).and_then(Value::as_array).is_some_and(|all| !all.is_empty())) {
            rows.push(row(title, plans, |plan| text(sentences(plan.plan.get(field)))));
        }
    }
    for field in ["difference", "difference_to_present", "versus_present"] {
        if plans.iter().any(|plan| plan.plan.get(field).is_some_and(|value| !value.is_null())) {
            rows.push(row("Against the present plan", plans, |plan| {
                text(plan.plan.get(field).map_or_else(String::new, super::words::brief))
            }));
        }
    }
    rows
}

fn sentences(value: Option<&Value>) -> String {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    let texts: Vec<String> = list.map(|one| one.as_str().map_or_else(|| super::words::brief(one), words)).collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join("; ") }
}

fn lines(plans: &[Plan]) -> Vec<Line> {
    let allocation = |plan: &Plan| plan.plan.get("allocation").and_then(Value::as_array).cloned().unwrap_or_default();
    let all: Vec<Vec<Value>> = plans.iter().map(allocation).collect();
    // By line: its name, and for each plan what it gets.
    let mut by_line: BTreeMap<String, (String, Vec<Option<&Value>>)> = BTreeMap::new();
    for (at, lines) in all.iter().enumerate() {
        for line in lines {
            let part = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
            let audience = Some(part("audience_segment")).filter(|one| !one.is_empty()).map_or_else(String::new, |one| format!(", {one}"));
            let entry = by_line
                .entry(part("arm_id").to_owned())
                .or_insert_with(|| (format!("{}{audience}", words(part("placement_type"))), vec![None; plans.len()]));
            if let Some(slot) = entry.1.get_mut(at) {
                *slot = Some(line);
            }
        }
    }
    let spend = |line: Option<&Value>| units(line.and_then(|line| line.get("spend")));
    let highest = |cells: &[Option<&Value>]| cells.iter().filter_map(|line| spend(*line)).fold(0.0, f64::max);
    let scale = by_line.values().map(|(_, cells)| highest(cells)).fold(0.0, f64::max);
    let mut sorted: Vec<_> = by_line.into_iter().collect();
    sorted.sort_by(|a, b| highest(&b.1.1).total_cmp(&highest(&a.1.1)));
    let cell = |(plan, line): (&Plan, &Option<&Value>)| {
        let Some(line) = line else { return Cell { text: "nothing".to_owned(), mark: chart::bars(&[None], scale), ..Cell::default() } };
        let value = spend(Some(line));
        let mut notes: Vec<String> = Vec::new();
        notes.extend(number(line.get("share")).map(percent));
        notes.extend(number(line.get("marginal_roas")).map(|value| format!("next unit returns {value:.2}")));
        notes.extend(number(line.get("shadow_price")).filter(|value| value.abs() > 1e-9).map(|value| format!("shadow price {value:.3}")));
        Cell {
            text: value.map_or_else(|| "not known".to_owned(), |value| shown_units(value, &plan.currency)),
            note: notes.join(", "),
            mark: chart::bars(&[value], scale),
        }
    };
    sorted.into_iter().map(|(code, (title, cells))| Line { title, code, cells: plans.iter().zip(&cells).map(cell).collect() }).collect()
}

fn limits(plans: &[Plan]) -> Vec<Line> {
    let report = |plan: &Plan| plan.plan.get("constraint_report").and_then(Value::as_array).cloned().unwrap_or_default();
    let name = |one: &Value| one.get("constraint").and_then(Value::as_str).map(str::to_owned);
    let mut names: Vec<String> = Vec::new();
    for plan in plans {
        for one in report(plan).iter().filter_map(name) {
            if !names.contains(&one) {
                names.push(one);
            }
        }
    }
    let cell = |plan: &Plan, wanted: &str| {
        let report = report(plan);
        let Some(one) = report.iter().find(|one| name(one).as_deref() == Some(wanted)) else { return text("not set") };
        let is_money = one.get("unit").and_then(Value::as_str) == Some("micros");
        let figure = |field: &str| {
            number(one.get(field)).map(|value| if is_money { shown_units(value / 1e6, &plan.currency) } else { format!("{value:.3}") })
        };
        let keeps = one.get("satisfied").and_then(Value::as_bool);
        let mut notes: Vec<String> = Vec::new();
        notes.extend(figure("value").zip(figure("limit")).map(|(value, limit)| format!("{value} of {limit}")));
        notes.extend(figure("slack").map(|slack| format!("slack {slack}")));
        notes.extend(number(one.get("shadow_price")).map(|price| format!("shadow price {price:.3}")));
        Cell {
            text: if keeps == Some(true) { "Kept".to_owned() } else { "Not kept".to_owned() },
            note: notes.join(", "),
            ..Cell::default()
        }
    };
    names
        .iter()
        .map(|wanted| Line { title: words(wanted), code: String::new(), cells: plans.iter().map(|plan| cell(plan, wanted)).collect() })
        .collect()
}

#[expect(clippy::cast_possible_truncation, reason = "a float beyond 64 bits saturates, and so many orders do not exist")]
fn whole(value: f64) -> String {
    count(value.round() as i64)
}

/// How many plans a set has, in words.
#[must_use]
pub fn plans_in_words(n: usize) -> String {
    if n == 1 { "1 plan".to_owned() } else { format!("{} plans", count(i64::try_from(n).unwrap_or(i64::MAX))) }
}
