//! Turns a JSON value into numeric leaves by path and one running text, within fixed bounds.

use std::collections::BTreeMap;

use serde_json::Value;

const MAX_DEPTH: usize = 16;
const MAX_LEAVES: usize = 20_000;
const MAX_TEXT_BYTES: usize = 100_000;
/// Longest string that may be a decimal number.
const MAX_NUMBER_LENGTH: usize = 32;

/// The numeric leaves and the text of a JSON value.
#[derive(Default)]
pub(super) struct Flat {
    leaves: BTreeMap<String, Leaf>,
    /// All strings that are not numbers, one a line.
    pub(super) text: String,
    visited: usize,
}

struct Leaf {
    /// Last object key on the way, for comparing with the context.
    name: String,
    sum: f64,
    max: f64,
    is_repeated: bool,
}

/// Walks the value depth first.
pub(super) fn flatten(value: &Value) -> Flat {
    let mut flat = Flat::default();
    flat.visit(value, "", "value", 0);
    flat
}

impl Flat {
    fn visit(&mut self, value: &Value, path: &str, name: &str, depth: usize) {
        self.visited += 1;
        if depth > MAX_DEPTH || self.visited > MAX_LEAVES {
            return;
        }
        match value {
            Value::Null => {}
            Value::Bool(flag) => self.number(path, name, f64::from(u8::from(*flag))),
            Value::Number(number) => {
                if let Some(number) = number.as_f64() {
                    self.number(path, name, number);
                }
            }
            Value::String(string) => match decimal(string) {
                Some(number) if depth > 0 => self.number(path, name, number),
                _ => self.push_text(string),
            },
            Value::Array(items) => {
                // A length is one number even inside an outer array, where lengths add up.
                self.number(&join(path, "count"), "count", items.len() as f64);
                let inner = format!("{path}[]");
                items.iter().for_each(|item| self.visit(item, &inner, name, depth + 1));
            }
            Value::Object(fields) => {
                for (key, field) in fields {
                    self.visit(field, &join(path, key), key, depth + 1);
                }
            }
        }
    }

    fn number(&mut self, path: &str, name: &str, value: f64) {
        if !value.is_finite() {
            return;
        }
        let path = if path.is_empty() { "value" } else { path };
        let is_repeated = path.contains("[]");
        if let Some(leaf) = self.leaves.get_mut(path) {
            leaf.sum += value;
            leaf.max = leaf.max.max(value);
        } else {
            let leaf = Leaf { name: name.to_owned(), sum: value, max: value, is_repeated };
            self.leaves.insert(path.to_owned(), leaf);
        }
    }

    fn push_text(&mut self, string: &str) {
        let room = MAX_TEXT_BYTES.saturating_sub(self.text.len() + 1);
        let end = (0..=room.min(string.len())).rev().find(|end| string.is_char_boundary(*end));
        if !self.text.is_empty() && room > 0 {
            self.text.push('\n');
        }
        self.text.push_str(string.get(..end.unwrap_or(0)).unwrap_or(""));
    }

    /// Named numbers in order of path: a leaf as it is, a repeated leaf as sum and maximum.
    pub(super) fn numbers(&self) -> impl Iterator<Item = (String, f64)> {
        self.leaves.iter().flat_map(|(path, leaf)| {
            let first = if leaf.is_repeated { format!("{path}.sum") } else { path.clone() };
            let second = leaf.is_repeated.then(|| (format!("{path}.max"), leaf.max));
            std::iter::once((first, leaf.sum)).chain(second)
        })
    }

    /// `relative:PATH`: leaves divided by the one context number of the same name. For repeated leaves the
    /// sum is divided: the spends of all lines against the spend asked for.
    pub(super) fn relative_to(&self, context: &Flat) -> Vec<(String, f64)> {
        let mut known: BTreeMap<&str, Option<f64>> = BTreeMap::new();
        for leaf in context.leaves.values().filter(|leaf| !leaf.is_repeated && leaf.name != "count") {
            let value = Some(leaf.sum).filter(|value| *value != 0.0);
            known.entry(&leaf.name).and_modify(|seen| *seen = None).or_insert(value);
        }
        let relative = |(path, leaf): (&String, &Leaf)| {
            let context = known.get(leaf.name.as_str()).copied().flatten()?;
            Some((format!("relative:{path}"), leaf.sum / context))
        };
        self.leaves.iter().filter_map(relative).collect()
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A number written as a string, as money is in our JSON; not `inf` or `nan`.
fn decimal(string: &str) -> Option<f64> {
    let first = string.bytes().next()?;
    if string.len() > MAX_NUMBER_LENGTH || !(first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.')) {
        return None;
    }
    string.parse().ok().filter(|number: &f64| number.is_finite())
}
