//! A plan set side by side: outcomes with intervals on one scale, lines of all plans aligned, limits and what they cost, and the decision.
//!
//! Plans are read from what is stored of them (`plans::document` writes it), so that a set shows what was known when it was made.

mod limits;
mod lines;

use std::collections::BTreeMap;

use serde_json::Value;
use storage::plans::Plan;
use storage::reflections::ReflectionLog;
use web::chart;

use super::words::{count, moment, money, percent, sentence, stored_reason, words};

/// Names of audiences and of people who decided, by their ids.
pub type Names = BTreeMap<String, String>;

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
    /// Whether it is the chosen one.
    pub is_chosen: bool,
    /// Whether a person may still choose it.
    pub may_choose: bool,
    /// What people have said about it.
    pub said: Vec<String>,
}

/// A cell: text, notes below it, and bars.
#[derive(Default)]
pub struct Cell {
    /// The figure.
    pub text: String,
    /// What is to be known of it, one line each.
    pub notes: Vec<String>,
    /// Drawing, or empty.
    pub mark: String,
}

/// A row of the comparison with a cell for each plan.
pub struct Line {
    /// What is compared.
    pub title: String,
    /// What holds for all plans: the evidence for a line of the allocation.
    pub notes: Vec<String>,
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
    /// Lines that get nothing in any plan, each with the reason.
    pub closed: Vec<(String, String)>,
    /// What the plans are compared with: what is done now, in sentences.
    pub present: Vec<String>,
    /// Limits.
    pub limits: Vec<Line>,
    /// What was decided and why, in sentences.
    pub decision: Vec<String>,
    /// Risks of the decision itself.
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

/// Brings a set into the form of the page; none without plans. Of a campaign that is over nothing can be chosen.
#[must_use]
pub fn compare(plans: &[Plan], logs: &[ReflectionLog], names: &Names, is_over: bool) -> Option<Comparison> {
    let first = plans.first()?;
    let is_in_review = plans.iter().any(|plan| plan.status == "in_review");
    let mut decision: Vec<String> = Vec::new();
    for plan in plans.iter().filter(|plan| plan.status == "chosen") {
        let by = plan
            .decided_by
            .as_deref()
            .map_or("nobody named".to_owned(), |by| names.get(by).cloned().unwrap_or_else(|| by.replace('_', " ")));
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
    // Those of single plans stand in the comparison.
    let of_plans: Vec<String> = plans.iter().flat_map(|plan| texts(plan.plan.get("risk_factors"))).collect();
    let mut risks: Vec<String> = logs.iter().flat_map(listed).filter(|risk| !of_plans.contains(risk)).map(|risk| sentence(&risk)).collect();
    risks.dedup();
    Some(Comparison {
        plan_set_id: first.plan_set_id.clone(),
        made: moment(&first.created_at),
        frame: format!("{} over {} days", money(first.budget_micros, Some(&first.currency)), first.horizon_days),
        heads: plans.iter().map(|plan| head(plan, is_over)).collect(),
        outcomes: outcomes(plans),
        lines: lines::lines(plans, names),
        closed: lines::closed(plans, names),
        present: present(first),
        limits: limits::limits(plans),
        decision,
        risks,
        task_id: plans.iter().find_map(|plan| plan.task_id.clone()),
        is_in_review,
    })
}

fn head(plan: &Plan, is_over: bool) -> Head {
    Head {
        plan_id: plan.plan_id.clone(),
        title: words(&plan.strategy),
        status: words(&plan.status),
        tone: match plan.status.as_str() {
            "chosen" => "badge-good",
            "in_review" => "badge-note",
            _ => "",
        },
        rationale: texts(plan.plan.get("rationale")),
        is_chosen: plan.status == "chosen",
        may_choose: plan.status != "chosen" && !is_over,
        said: Vec::new(),
    }
}

fn row(title: &str, plans: &[Plan], cell: impl Fn(&Plan) -> Cell) -> Line {
    Line { title: title.to_owned(), notes: Vec::new(), cells: plans.iter().map(cell).collect() }
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

/// Texts of a list.
fn texts(value: Option<&Value>) -> Vec<String> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

fn revenue(plan: &Plan) -> Spread {
    let end = |name: &str| units(plan.plan.pointer(&format!("/expected/revenue_interval/{name}")));
    (units(plan.plan.pointer("/expected/revenue")), end("low").zip(end("high")))
}

fn roas(plan: &Plan) -> Spread {
    let end = |name: &str| number(plan.plan.pointer(&format!("/expected/roas_interval/value/{name}")));
    (number(plan.plan.pointer("/expected/roas/value")), end("low").zip(end("high")))
}

fn outcomes(plans: &[Plan]) -> Vec<Line> {
    let spread_row = |title: &str, spread: fn(&Plan) -> Spread, at: &str, reason: &str, write: &dyn Fn(f64, &Plan) -> String| {
        let scale = scale(&plans.iter().map(spread).collect::<Vec<_>>());
        row(title, plans, |plan| {
            let (value, ends) = spread(plan);
            Cell {
                text: value.map_or_else(|| "not known".to_owned(), |value| write(value, plan)),
                notes: vec![match ends {
                    Some((low, high)) => format!("{}{} to {}", level(plan, at), write(low, plan), write(high, plan)),
                    None => format!("no interval: {}", stored_reason(plan.plan.pointer(reason))),
                }],
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
        spread_row(
            "Expected revenue",
            revenue,
            "/expected/revenue_interval/level",
            "/expected/revenue_standard_error/reason",
            &|value, plan| shown_units(value, &plan.currency),
        ),
        spread_row("Expected ROAS", roas, "/expected/roas_interval/value/level", "/expected/roas_interval/reason", &|value, _| {
            format!("{value:.2}")
        }),
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
    if plans.iter().any(|plan| plan.plan.get("present").is_some_and(Value::is_object)) {
        rows.push(row("Against what is done now", plans, against));
    }
    if plans.iter().any(|plan| !texts(plan.plan.get("risk_factors")).is_empty()) {
        rows.push(row("What may go wrong", plans, |plan| {
            let notes: Vec<String> = texts(plan.plan.get("risk_factors")).iter().map(|risk| sentence(risk)).collect();
            Cell { text: if notes.is_empty() { "Nothing noted".to_owned() } else { String::new() }, notes, ..Cell::default() }
        }));
    }
    rows
}

/// `95 %: `, when the plan says how sure its interval is.
fn level(plan: &Plan, at: &str) -> String {
    number(plan.plan.pointer(at)).map_or_else(String::new, |level| format!("{:.0} %: ", level * 100.0))
}

/// What is done now, in sentences; it is the same for all plans of a set.
fn present(plan: &Plan) -> Vec<String> {
    let Some(present) = plan.plan.get("present").filter(|present| present.is_object()) else { return Vec::new() };
    let amount =
        |name: &str| units(present.get(name)).map_or_else(|| "an unknown amount".to_owned(), |units| shown_units(units, &plan.currency));
    let source = present.get("source").and_then(Value::as_str).unwrap_or("not stated");
    let mut all = vec![format!(
        "Compared with what is done now ({source}): it spends {}, and the same curves expect {} of it.",
        amount("spend"),
        amount("expected_revenue")
    )];
    let broken: Vec<String> = texts(present.get("broken")).iter().map(|name| limits::named(name).to_lowercase()).collect();
    if present.get("is_feasible").and_then(Value::as_bool) == Some(false) {
        all.push(format!("It would not keep the limits asked for: {}.", broken.join("; ")));
    }
    all
}

/// The difference of a plan to what is done now.
fn against(plan: &Plan) -> Cell {
    let Some(present) = plan.plan.get("present").filter(|present| present.is_object()) else { return text("nothing to compare with") };
    let difference = |name: &str, of: &str| match units(present.get(name)) {
        None => format!("{of} not known"),
        Some(units) if units.abs() < 0.005 => format!("the same {of}"),
        Some(units) => format!("{} {} {of}", shown_units(units.abs(), &plan.currency), if units > 0.0 { "more" } else { "less" }),
    };
    let mut notes = vec![difference("spend_difference", "spend")];
    if let Some(measure) = present.get("never_worse_in").and_then(Value::as_str).filter(|measure| !measure.is_empty())
        && present.get("is_feasible").and_then(Value::as_bool) == Some(true)
    {
        notes.push(match measure.strip_prefix("nothing: ") {
            Some(why) => format!("not made to beat it: {why}"),
            None => match (units(present.pointer("/measured/plan")), units(present.pointer("/measured/present"))) {
                (Some(own), Some(other)) => {
                    format!("not worse in {measure}: {} against {}", shown_units(own, &plan.currency), shown_units(other, &plan.currency))
                }
                _ => format!("never worse in {measure}"),
            },
        });
    }
    Cell { text: sentence(&difference("revenue_difference", "revenue")), notes, ..Cell::default() }
}

#[expect(clippy::cast_possible_truncation, reason = "a float beyond 64 bits saturates, and so many orders do not exist")]
fn whole(value: f64) -> String {
    count(value.round() as i64)
}

/// Ids of the audiences in a set, for their names.
#[must_use]
pub fn audiences(plans: &[Plan]) -> Vec<&str> {
    let mut ids: Vec<&str> = Vec::new();
    for plan in plans {
        let list = |name: &str| plan.plan.get(name).and_then(Value::as_array).into_iter().flatten();
        ids.extend(list("allocation").filter_map(|line| line.get("audience_segment")?.as_str()));
        ids.extend(list("closed").filter_map(|line| Some(line.get("arm_id")?.as_str()?.split_once('/')?.1)));
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// How many plans a set has, in words.
#[must_use]
pub fn plans_in_words(n: usize) -> String {
    if n == 1 { "1 plan".to_owned() } else { format!("{} plans", count(i64::try_from(n).unwrap_or(i64::MAX))) }
}
