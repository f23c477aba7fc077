//! Key figures as callers see them: money with its currency, and the same as a row of a table.

use domain::role::Role;
use serde_json::{Value, json};
use storage::rlhf_metrics::DayFigures;
use web::tabular::{Column, Kind};

use super::figures::{FIGURES, Figure, Unit};

/// Figures that rest on experiments of all tenants.
const OF_EXPERIMENTS: [&str; 2] = ["incremental_roas", "incremental_revenue"];

/// A day's figures as a role may see them: who does not see all tenants sees neither what their experiments earned nor what work costs.
#[must_use]
pub fn for_role(mut row: DayFigures, role: Role) -> DayFigures {
    if role.sees_all_tenants() {
        return row;
    }
    (row.incremental_roas, row.incremental_revenue_micros, row.revenue_currency) = (None, None, None);
    if let Some(notes) = row.definitions.0.as_object_mut() {
        for (name, note) in notes.iter_mut() {
            let Some(note) = note.as_object_mut() else { continue };
            note.remove("experiments");
            note.remove("made_of");
            if OF_EXPERIMENTS.contains(&name.as_str()) {
                note.remove("interval");
                note.insert("n".to_owned(), json!(0));
                note.insert("absent_because".to_owned(), json!("it rests on experiments of all tenants, which only the platform sees"));
            }
        }
    }
    row
}

/// A day's figures as JSON.
#[must_use]
pub fn shown(row: &DayFigures) -> Value {
    let mut shown = json!({
        "date": row.date, "retailer_id": row.retailer_id, "definitions": row.definitions, "updated_at": row.updated_at,
    });
    for figure in &FIGURES {
        shown[figure.name] = match (figure.unit, money_of(row, figure)) {
            (Unit::Money, Some((micros, currency))) => json!(domain::money::Money::from_micros(micros, currency)),
            (Unit::Money, None) => Value::Null,
            (Unit::Count, _) => json!(count_of(row, figure)),
            _ => json!(value_of(row, figure)),
        };
    }
    shown
}

/// A figure as a number: money in units of its currency.
#[must_use]
pub fn value_of(row: &DayFigures, figure: &Figure) -> Option<f64> {
    match figure.name {
        "tool_call_exact_match_rate" => row.tool_call_exact_match_rate,
        "tool_call_compile_pass_rate" => row.tool_call_compile_pass_rate,
        "schema_mapping_f1" => row.schema_mapping_f1,
        "policy_pass_rate_first_submit" => row.policy_pass_rate_first_submit,
        "time_to_onboard_days" => row.time_to_onboard_days,
        "inter_rater_reliability" => row.inter_rater_reliability,
        "golden_set_accuracy" => row.golden_set_accuracy,
        "percent_tasks_escalated" => row.percent_tasks_escalated,
        "latency_per_rl_iteration_hours" => row.latency_per_rl_iteration_hours,
        "incremental_roas" => row.incremental_roas,
        "expert_hours_saved" => row.expert_hours_saved,
        _ => count_of(row, figure).map(f64::from).or_else(|| money_of(row, figure).map(|(micros, _)| micros as f64 / 1e6)),
    }
}

/// Micros and currency of a figure that is money.
#[must_use]
pub fn money_of<'a>(row: &'a DayFigures, figure: &Figure) -> Option<(i64, &'a str)> {
    let (micros, currency) = match figure.name {
        "cost_per_accepted_judgment" => (row.cost_per_accepted_judgment_micros, &row.cost_currency),
        "incremental_revenue" => (row.incremental_revenue_micros, &row.revenue_currency),
        _ => return None,
    };
    Some((micros?, currency.as_deref().unwrap_or_default()))
}

fn count_of(row: &DayFigures, figure: &Figure) -> Option<i32> {
    match figure.name {
        "total_judgments" => Some(row.total_judgments),
        "active_raters" => Some(row.active_raters),
        "tasks_completed" => Some(row.tasks_completed),
        _ => None,
    }
}

/// Columns of the table: each figure, the number it rests on and the ends of its interval; money with its currency.
#[must_use]
pub fn columns() -> Vec<Column> {
    let mut columns = vec![Column::new("date", Kind::Text), Column::new("retailer_id", Kind::Text)];
    for figure in &FIGURES {
        let kind = match figure.unit {
            Unit::Money => Kind::Money,
            Unit::Count => Kind::Whole,
            _ => Kind::Real,
        };
        columns.push(Column::new(figure.name, kind));
        if figure.unit == Unit::Money {
            columns.push(Column::new(format!("{}_currency", figure.name), Kind::Text));
        }
        if figure.unit != Unit::Count {
            columns.push(Column::new(format!("{}_n", figure.name), Kind::Whole));
            columns.push(Column::new(format!("{}_low", figure.name), Kind::Real));
            columns.push(Column::new(format!("{}_high", figure.name), Kind::Real));
        }
    }
    columns.push(Column::new("updated_at", Kind::Text));
    columns
}

/// A day's figures in the order of [`columns`].
#[must_use]
pub fn cells(row: &DayFigures) -> Vec<Value> {
    let mut cells = vec![json!(row.date), json!(row.retailer_id)];
    for figure in &FIGURES {
        let money = money_of(row, figure);
        match figure.unit {
            Unit::Money => {
                cells.push(money.map_or(Value::Null, |(micros, _)| json!(domain::money::format_micros(micros))));
                cells.push(money.map_or(Value::Null, |(_, currency)| json!(currency)));
            }
            Unit::Count => cells.push(json!(count_of(row, figure))),
            _ => cells.push(json!(value_of(row, figure))),
        }
        if figure.unit != Unit::Count {
            let note = row.definitions.0.get(figure.name);
            let of = |path: &str| note.and_then(|note| note.pointer(path)).cloned().unwrap_or(Value::Null);
            cells.extend([of("/n"), of("/interval/low"), of("/interval/high")]);
        }
    }
    cells.push(json!(row.updated_at));
    cells
}
