//! How each plan stands to the limits that were asked for: room left, what binds, and what a limit costs.

use planning::figure::Reason;
use serde::Deserialize;
use serde_json::Value;
use storage::plans::Plan;

use super::{Cell, Line, number, shown_units, text, texts};
use crate::pages::words::{reason, words};

/// A limit as people say it: `min_share_per_placement.mailer` as `Least for mailer`.
pub(super) fn named(limit: &str) -> String {
    let (kind, of) = limit.split_once('.').unwrap_or((limit, ""));
    let of = of.replace('_', " ");
    match kind {
        "budget" => "Budget".to_owned(),
        "spend_all" => "Spend the whole budget".to_owned(),
        "min_roas" => "Least ROAS".to_owned(),
        "max_cpa" => "Highest cost per conversion".to_owned(),
        "max_share_per_arm" => "Most for one line".to_owned(),
        "min_share_per_arm" => "Least for every line".to_owned(),
        "excluded_placements" | "excluded_audiences" => format!("Nothing for {of}"),
        "max_share_per_placement" | "max_share_per_audience" => format!("Most for {of}"),
        "min_share_per_placement" | "min_share_per_audience" => format!("Least for {of}"),
        "step" => "Whole steps".to_owned(),
        _ => words(limit),
    }
}

/// A row for each limit.
pub(super) fn limits(plans: &[Plan]) -> Vec<Line> {
    let report = |plan: &Plan| plan.plan.get("constraint_report").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut names: Vec<String> = Vec::new();
    for plan in plans {
        for name in report(plan).iter().filter_map(|one| one.get("constraint").and_then(Value::as_str)) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    }
    let cell = |plan: &Plan, wanted: &str| {
        let report = report(plan);
        let own = report.iter().find(|one| one.get("constraint").and_then(Value::as_str) == Some(wanted));
        own.map_or_else(|| text("not set"), |one| standing(plan, one, wanted))
    };
    names
        .iter()
        .map(|wanted| Line { title: named(wanted), notes: Vec::new(), cells: plans.iter().map(|plan| cell(plan, wanted)).collect() })
        .collect()
}

fn standing(plan: &Plan, one: &Value, name: &str) -> Cell {
    let is_money = one.get("unit").and_then(Value::as_str) == Some("micros");
    let write = |value: f64| if is_money { shown_units(value / 1e6, &plan.currency) } else { format!("{value:.3}") };
    let figure = |field: &str| number(one.get(field));
    let binds = texts(plan.plan.get("binding")).iter().any(|binding| binding == name);
    let keeps = one.get("satisfied").and_then(Value::as_bool) == Some(true);
    let mut notes: Vec<String> = Vec::new();
    match (figure("value"), figure("limit")) {
        (Some(value), Some(limit)) => notes.push(format!("{}, limit {}", write(value), write(limit))),
        (None, Some(limit)) => notes.push(format!("value not known, limit {}", write(limit))),
        _ => {}
    }
    if let Some(slack) = figure("slack").filter(|_| !binds) {
        notes.push(if slack < 0.0 { format!("{} beyond it", write(-slack)) } else { format!("{} of room", write(slack)) });
    }
    match number(one.pointer("/shadow_price/value")) {
        Some(price) => notes.push(match (price.abs() < 5e-4, is_money) {
            (true, _) => "easing it brings nothing".to_owned(),
            (_, true) => format!("easing it by 1 {} brings {price:.3} (shadow price)", plan.currency),
            (_, false) => format!("easing it by 0.1 brings {} (shadow price)", shown_units(price / 10.0, &plan.currency)),
        }),
        // Only where it would matter: a limit with room to spare costs nothing anyway.
        None if binds => {
            let why = one.pointer("/shadow_price/reason").and_then(|why| Reason::deserialize(why).ok());
            notes.push(format!("no shadow price: {}", why.map_or("not known", |why| reason(Some(why)))));
        }
        None => {}
    }
    let text = match (keeps, binds) {
        (false, _) => "Not kept",
        (true, true) => "Kept, and binding",
        (true, false) => "Kept",
    };
    Cell { text: text.to_owned(), notes, ..Cell::default() }
}
