//! What is said beside each key figure: n, interval, definition, the rows it is made of, and why it is absent.

use learning::intervals::Interval;
use serde_json::{Map, Value, json};
use storage::rlhf_metrics::day::{Day, MAX_ROWS};

use super::computing::{around_mean, around_share};
use super::figures::named;

/// Notes by the name of the figure.
pub struct Notes<'a> {
    day: &'a Day,
    notes: Map<String, Value>,
}

impl<'a> Notes<'a> {
    /// Of the figures of this day.
    #[must_use]
    pub fn of(day: &'a Day) -> Self {
        Self { day, notes: Map::new() }
    }

    /// All of them.
    #[must_use]
    pub fn into_map(self) -> Map<String, Value> {
        self.notes
    }

    /// A figure that has a value, over `n`.
    pub fn measured(&mut self, name: &'static str, n: u64, interval: Option<Interval>) {
        let Some(figure) = named(name) else { return };
        let mut source = json!({
            "tables": figure.tables, "from": self.day.from, "to": self.day.to, "retailer_id": self.day.retailer_id,
            "rows_at": rows_at(self.day, name),
        });
        if n >= MAX_ROWS.unsigned_abs() {
            source["is_cut_at"] = json!(MAX_ROWS);
        }
        let mut note = json!({ "n": n, "unit": figure.unit.word(), "definition": figure.definition, "source": source });
        if let Some(interval) = interval {
            note["interval"] = json!(interval);
        }
        self.notes.insert(name.to_owned(), note);
    }

    /// A count of things.
    pub fn counted(&mut self, name: &'static str, n: u64) {
        self.measured(name, n, None);
    }

    /// A figure without a value.
    pub fn absent(&mut self, name: &'static str, because: &str) {
        self.measured(name, 0, None);
        self.detail(name, "absent_because", because.into());
    }

    /// Something more to know of a figure.
    pub fn detail(&mut self, name: &str, key: &str, value: Value) {
        if let Some(note) = self.notes.get_mut(name) {
            note[key] = value;
        }
    }

    /// A share with its Wilson interval; absent when there is nothing to divide by.
    pub fn share(&mut self, name: &'static str, (part, all): (u64, u64)) -> Option<f64> {
        let Some(interval) = around_share((part, all)) else {
            self.absent(name, "there was none that day to count");
            return None;
        };
        self.measured(name, all, Some(interval));
        Some(part as f64 / all as f64)
    }

    /// The same in percent.
    pub fn percent(&mut self, name: &'static str, (part, all): (u64, u64)) -> Option<f64> {
        let share = self.share(name, (part, all))?;
        let hundred = around_share((part, all)).map(|one| Interval { low: one.low * 100.0, high: one.high * 100.0 });
        self.measured(name, all, hundred);
        Some(share * 100.0)
    }

    /// A mean; absent without values.
    pub fn mean(&mut self, name: &'static str, values: &[f64], because: &str) -> Option<f64> {
        if values.is_empty() {
            self.absent(name, because);
            return None;
        }
        self.measured(name, values.len() as u64, around_mean(values));
        Some(values.iter().sum::<f64>() / values.len() as f64)
    }
}

/// Where the rows behind a figure are listed.
#[must_use]
pub fn rows_at(day: &Day, name: &str) -> String {
    let retailer = day.retailer_id.as_ref().map_or_else(String::new, |retailer| format!("&retailer_id={retailer}"));
    format!("/v1/rlhf-metrics/sources?date={}&figure={name}{retailer}", day.from.date_naive())
}
