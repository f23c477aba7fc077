//! Applies a retailer's mapping: from the cells of a file to cells under our names, with the values that a file without a mapping would hold.

use std::borrow::Cow;
use std::collections::HashMap;

use chrono::NaiveDate;
use domain::invalid::Invalid;

use super::cells::Cell;
use super::mapping::{OnUnknown, Others, Rule, TableMapping, Unit};
use super::rows::{MAX_COLUMNS, Row};
use super::{Problem, Request, columns};
use crate::error::StorageError;

/// Most columns of a header that an error repeats.
const SHOWN_COLUMNS: usize = 12;

/// One of our columns: where it comes from.
struct Slot {
    place: Option<usize>,
    rule: Rule,
}

/// The columns of one file under our names.
#[derive(Default)]
pub(super) struct Mapper {
    mapping: Option<TableMapping>,
    /// Columns of the file that were looked at.
    seen: usize,
    slots: Vec<Slot>,
    columns: Vec<String>,
    texts: Vec<Option<String>>,
    left_out: Vec<String>,
    /// For each column of ours the column of the file.
    sources: HashMap<String, String>,
}

impl Mapper {
    /// For the table and mapping of a request. `header` is what the file tells before its first row.
    pub(super) fn new(request: &Request, header: Option<&[String]>) -> Result<Self, StorageError> {
        let mut mapper = Self::default();
        let retailer = request.retailer_id.as_ref();
        if request.mapping.is_none() && retailer.is_none() {
            find_key(request, header, &[])?;
            return Ok(mapper);
        }
        let mapping = request.mapping.clone().unwrap_or_default();
        let mut invalid = Invalid::default();
        for (field, rule) in &mapping.columns {
            if let (Some(from), Some(header), false) = (&rule.from, header, rule.optional)
                && !header.contains(from)
            {
                invalid.add("file", format!("has no column {from:?}, from which the retailer's mapping reads {field}"));
            }
            mapper.add(field.clone(), rule.clone(), None);
        }
        invalid.into_result()?;
        let says_retailer =
            mapping.columns.contains_key("retailer_id") || header.is_some_and(|header| header.iter().any(|name| name == "retailer_id"));
        if let (Some(retailer), false, true) = (retailer, says_retailer, columns::field(request.table, "retailer_id").is_some()) {
            mapper.add("retailer_id".to_owned(), Rule { constant: Some(retailer.clone()), ..Rule::default() }, None);
        }
        find_key(request, header, &mapper.columns)?;
        mapper.mapping = Some(mapping);
        Ok(mapper)
    }

    /// For each column of ours the column of the file from which it is read.
    pub(super) fn sources(&self) -> &HashMap<String, String> {
        &self.sources
    }

    /// Columns that the mapping leaves out.
    pub(super) fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// A row under our names.
    pub(super) fn map<'a>(&'a mut self, row: Row<'a>) -> Result<Row<'a>, Problem> {
        if self.mapping.is_none() {
            return Ok(row);
        }
        self.place_columns(row.columns);
        self.texts.clear();
        self.texts.resize(self.slots.len(), None);
        for ((slot, text), column) in self.slots.iter().zip(&mut self.texts).zip(&self.columns) {
            let cell = slot.place.and_then(|place| row.cells.get(place));
            if let Some(cell) = cell.filter(|_| !slot.rule.is_plain()) {
                *text = convert(&slot.rule, cell).map_err(|message| Problem::new(column, message))?;
            }
        }
        let cells = self.slots.iter().zip(&self.texts).map(|(slot, text)| {
            let cell = slot.place.and_then(|place| row.cells.get(place));
            match (cell, text, &slot.rule.constant) {
                (_, _, Some(constant)) => Cell::of_text(constant),
                (_, Some(text), _) => Cell::of_text(text),
                (Some(cell), None, _) => *cell,
                (None, None, None) => Cell::Missing,
            }
        });
        Ok(Row { line: row.line, cells: cells.collect(), columns: &self.columns })
    }

    fn add(&mut self, column: String, rule: Rule, place: Option<usize>) {
        if let Some(from) = &rule.from {
            self.sources.insert(column.clone(), from.clone());
        }
        self.slots.push(Slot { place, rule });
        self.columns.push(column);
    }

    fn place_columns(&mut self, columns: &[String]) {
        let others = self.mapping.as_ref().map_or(Others::Keep, |mapping| mapping.others);
        for (place, name) in columns.iter().enumerate().skip(self.seen) {
            let mut is_read = self.columns.contains(name);
            for slot in self.slots.iter_mut().filter(|slot| slot.rule.from.as_ref() == Some(name) && slot.place.is_none()) {
                slot.place = Some(place);
                is_read = true;
            }
            match (is_read, others) {
                (false, Others::Keep) if self.columns.len() < MAX_COLUMNS => {
                    self.add(name.clone(), Rule { from: Some(name.clone()), ..Rule::default() }, Some(place));
                }
                (false, _) => self.left_out.push(name.clone()),
                (true, _) => {}
            }
        }
        self.seen = self.seen.max(columns.len());
    }
}

/// Checks that the column which every row needs is in the file or in the mapping, before each row is refused for it.
fn find_key(request: &Request, header: Option<&[String]>, mapped: &[String]) -> Result<(), StorageError> {
    let (key, Some(header)) = (columns::key(request.table), header) else { return Ok(()) };
    if header.iter().chain(mapped).any(|name| name == key) {
        return Ok(());
    }
    let names: Vec<String> = header.iter().take(SHOWN_COLUMNS).map(|name| format!("{name:?}")).collect();
    let more = if header.len() > SHOWN_COLUMNS { ", ..." } else { "" };
    let separated =
        header.first().filter(|_| header.len() == 1).and_then(|only| [';', '\t', '|'].into_iter().find(|by| only.contains(*by)));
    let hint = separated.map_or_else(String::new, |by| format!("; it seems to be separated by {by:?}: separate its columns by commas"));
    let what = format!("has no column {key:?}, which every row needs; its header has {}{more}{hint}", names.join(", "));
    Err(Invalid::one("file", what).into())
}

/// The text that a cell of this rule means; `None` when the cell stays as it is.
fn convert(rule: &Rule, cell: &Cell<'_>) -> Result<Option<String>, String> {
    let Some(text) = cell.text()? else { return Ok(rule.values.get("").cloned()) };
    if !rule.values.is_empty() {
        if let Some(ours) = rule.values.get(&*text) {
            return Ok(Some(ours.clone()));
        }
        if rule.otherwise.unwrap_or(OnUnknown::Reject) == OnUnknown::Reject {
            return Err(format!("{text:?} is not among the values of the retailer's mapping"));
        }
    }
    if let Some(format) = &rule.format {
        let date = NaiveDate::parse_from_str(&text, format).map_err(|_| format!("{text:?} is not a date of the form {format}"))?;
        return Ok(Some(date.to_string()));
    }
    if rule.decimal.is_none() && rule.thousands.is_none() && rule.unit.is_none() {
        return Ok(None);
    }
    number(rule, &text).map(Some).ok_or_else(|| format!("{text:?} is not a number of the form that the retailer's mapping names"))
}

/// A number in our notation: digits with a point.
fn number(rule: &Rule, text: &str) -> Option<String> {
    let text = match rule.unit {
        Some(Unit::Percent) => text.strip_suffix('%').unwrap_or(text).trim_end(),
        _ => text,
    };
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once(rule.decimal_mark()).unwrap_or((digits, ""));
    let whole = match rule.thousands.as_deref() {
        Some(mark) if whole.contains(mark) => {
            let mut groups = whole.split(mark);
            // "1.23" must not become 123: groups after the first have three digits.
            let first = groups.next().filter(|first| (1..=3).contains(&first.len()))?;
            let rest: Vec<&str> = groups.collect();
            if rest.iter().any(|group| group.len() != 3) {
                return None;
            }
            Cow::Owned(format!("{first}{}", rest.concat()))
        }
        _ => Cow::Borrowed(whole),
    };
    let only_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !only_digits(&whole) || !only_digits(fraction) {
        return None;
    }
    Some(format!("{sign}{}", shifted(&whole, fraction, rule.unit.map_or(0, Unit::shift))))
}

/// Moves the point, exactly: `("12", "5", -2)` is `0.125`.
fn shifted(whole: &str, fraction: &str, by: i32) -> String {
    let digits = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).unwrap_or(i32::MAX).saturating_add(by);
    let (whole, fraction) = match usize::try_from(point) {
        Ok(point) if point <= digits.len() => (digits[..point].to_owned(), digits[point..].to_owned()),
        Ok(point) => (format!("{digits:0<point$}"), String::new()),
        Err(_) => (String::new(), format!("{}{digits}", "0".repeat(point.unsigned_abs() as usize))),
    };
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rule(json: serde_json::Value) -> Rule {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn numbers_move_exactly_and_wrong_groups_are_refused() {
        let german = rule(serde_json::json!({"from": "x", "decimal": ",", "thousands": "."}));
        let cents = rule(serde_json::json!({"from": "x", "unit": "cents"}));
        let percent = rule(serde_json::json!({"from": "x", "unit": "percent"}));
        let thousands = rule(serde_json::json!({"from": "x", "unit": "thousands"}));
        let micros = rule(serde_json::json!({"from": "x", "unit": "micros"}));
        for (rule, text, wanted) in [
            (&german, "1.234.567,89", Some("1234567.89")),
            (&german, "1.23", None),
            (&german, "-0,5", Some("-0.5")),
            (&german, "1,2,3", None),
            (&german, "", None),
            (&cents, "1999", Some("19.99")),
            (&cents, "5", Some("0.05")),
            (&cents, "0", Some("0")),
            (&percent, "12.5 %", Some("0.125")),
            (&thousands, "1.2", Some("1200")),
            (&thousands, "0.0005", Some("0.5")),
            (&micros, "12340000", Some("12.34")),
            (&cents, "1e3", None),
        ] {
            assert_eq!(number(rule, text).as_deref(), wanted, "{text}");
        }
    }
}
