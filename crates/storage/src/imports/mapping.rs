//! `retailers.mapping_config`: how a retailer's own columns become ours. Checked when a retailer is written, used when its files are imported.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use domain::invalid::Invalid;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Table;
use super::cells::Cell;
use super::columns::{self, Kind};

/// The mapping of one retailer: for each table that has one.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Mapping(BTreeMap<String, TableMapping>);

/// The mapping of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableMapping {
    /// For each of our fields where its value comes from.
    #[serde(default)]
    pub columns: BTreeMap<String, Rule>,
    /// What happens to columns of the file that no rule reads.
    #[serde(default)]
    pub others: Others,
}

/// What happens to columns that no rule reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Others {
    /// They are read under their own names, as without a mapping.
    #[default]
    Keep,
    /// They are left out.
    Ignore,
}

/// Where the value of one field comes from and how it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The column of the file; absent with a constant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The same value in every row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constant: Option<String>,
    /// Dates: the form, in the letters of strftime, such as `%d/%m/%Y`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Numbers: the decimal mark, `.` or `,`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimal: Option<String>,
    /// Numbers: what stands between groups of three digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thousands: Option<String>,
    /// Numbers: what one stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// Words: theirs to ours.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// Words that `values` does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<OnUnknown>,
    /// A file without the column is read all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// What a number of one stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A hundredth.
    Cents,
    /// A millionth.
    Micros,
    /// A thousand.
    Thousands,
    /// A million.
    Millions,
    /// A hundredth; a percent sign may follow the number.
    Percent,
}

impl Unit {
    /// By how many digits the point moves to the right.
    pub(super) fn shift(self) -> i32 {
        match self {
            Self::Cents | Self::Percent => -2,
            Self::Micros => -6,
            Self::Thousands => 3,
            Self::Millions => 6,
        }
    }
}

/// What happens to a word that `values` does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// The row is wrong.
    Reject,
    /// It is kept as it is.
    Keep,
}

impl Rule {
    /// The decimal mark: a point, unless a point stands between groups of digits.
    pub(super) fn decimal_mark(&self) -> &str {
        let usual = if self.thousands.as_deref() == Some(".") { "," } else { "." };
        self.decimal.as_deref().unwrap_or(usual)
    }

    /// Whether cells pass unchanged.
    pub(super) fn is_plain(&self) -> bool {
        self.format.is_none() && self.decimal.is_none() && self.thousands.is_none() && self.unit.is_none() && self.values.is_empty()
    }
}

impl Mapping {
    /// Reads and checks a mapping; `{}` is the empty one.
    ///
    /// # Errors
    /// [`Invalid`] naming each place that is wrong, such as `mapping_config.performance.columns.date.format`.
    pub fn parse(config: &Value) -> Result<Self, Invalid> {
        let Value::Object(tables) = config else {
            return Err(Invalid::one("mapping_config", "must be an object with a member for each table"));
        };
        let (mut mapping, mut invalid) = (BTreeMap::new(), Invalid::default());
        for (name, value) in tables {
            let path = format!("mapping_config.{name}");
            match Table::named(name) {
                None | Some(Table::Retailers) => {
                    let names: Vec<&str> = Table::ALL.iter().skip(1).map(|(_, name)| *name).collect();
                    invalid.add(path, format!("is no table that a retailer's files fill; choose among {}", names.join(", ")));
                }
                Some(table) => {
                    if let Some(one) = invalid.merge(TableMapping::parse(table, value, &path)) {
                        mapping.insert(name.clone(), one);
                    }
                }
            }
        }
        invalid.into_result()?;
        Ok(Self(mapping))
    }

    /// The mapping of one table.
    #[must_use]
    pub fn table(&self, table: Table) -> Option<&TableMapping> {
        self.0.get(table.name())
    }
}

impl TableMapping {
    fn parse(table: Table, value: &Value, path: &str) -> Result<Self, Invalid> {
        let mut value = value.clone();
        let mut invalid = Invalid::default();
        let mut mapping = Self::default();
        // Rules are read one by one, so that each mistake is named by its path; a text alone is a new name.
        let rules = value.get_mut("columns").map(Value::take);
        if let Some(object) = value.as_object_mut() {
            object.remove("columns");
        }
        match serde_json::from_value::<Self>(value) {
            Ok(rest) => mapping.others = rest.others,
            Err(error) => invalid.add(path, error.to_string()),
        }
        match rules {
            None => {}
            Some(Value::Object(rules)) => {
                for (field, rule) in rules {
                    let path = format!("{path}.columns.{field}");
                    if let Some(rule) = invalid.merge(read_rule(table, &field, rule, &path)) {
                        mapping.columns.insert(field, rule);
                    }
                }
            }
            Some(_) => invalid.add(format!("{path}.columns"), "must be an object: our field, then the rule"),
        }
        invalid.into_result()?;
        Ok(mapping)
    }
}

fn read_rule(table: Table, field: &str, rule: Value, path: &str) -> Result<Rule, Invalid> {
    let Some(column) = columns::field(table, field) else {
        let names: Vec<&str> = columns::all(table).iter().map(|(name, _)| *name).collect();
        return Err(Invalid::one(path, format!("is no field of {}; there are {}", table.name(), names.join(", "))));
    };
    let rule = match rule {
        Value::String(from) => Rule { from: Some(from), ..Rule::default() },
        other => serde_json::from_value(other).map_err(|error| Invalid::one(path, error.to_string()))?,
    };
    let mut invalid = Invalid::default();
    check_source(&rule, path, column.kind, &mut invalid);
    check_numbers(&rule, path, column.kind, &mut invalid);
    if let Some(format) = &rule.format {
        check_date_format(format, &format!("{path}.format"), column.kind, &mut invalid);
    }
    if matches!(column.kind, Kind::Object | Kind::List) && !rule.is_plain() {
        invalid.add(path, "is a JSON document; it can only be renamed or constant");
    }
    for (theirs, ours) in &rule.values {
        if let Err(message) = Cell::of_text(ours).convert(field, column.kind) {
            invalid.add(format!("{path}.values.{theirs}"), message);
        }
    }
    if rule.otherwise.is_some() && rule.values.is_empty() {
        invalid.add(format!("{path}.otherwise"), "has a meaning only beside values");
    }
    invalid.into_result()?;
    Ok(rule)
}

fn check_source(rule: &Rule, path: &str, kind: Kind, invalid: &mut Invalid) {
    match (&rule.from, &rule.constant) {
        (Some(from), None) if from.trim().is_empty() || from.len() > 200 => {
            invalid.add(format!("{path}.from"), "must be the name of a column, at most 200 bytes");
        }
        (Some(_), None) => {}
        (None, Some(_)) if !rule.is_plain() || rule.optional => invalid.add(path, "is constant; then nothing else may be said"),
        (None, Some(constant)) => {
            if let Err(message) = Cell::of_text(constant).convert(path, kind) {
                invalid.add(format!("{path}.constant"), message);
            }
        }
        _ => invalid.add(path, "needs exactly one of from and constant"),
    }
}

fn check_numbers(rule: &Rule, path: &str, kind: Kind, invalid: &mut Invalid) {
    let is_number = matches!(kind, Kind::Money | Kind::Count | Kind::Number);
    let marks =
        [("decimal", &rule.decimal, &[".", ","][..]), ("thousands", &rule.thousands, &[".", ",", " ", "'", "_", "\u{a0}", "\u{202f}"][..])];
    for (name, mark, allowed) in marks {
        match mark {
            Some(_) if !is_number => invalid.add(format!("{path}.{name}"), "has a meaning only for numbers"),
            Some(mark) if !allowed.contains(&mark.as_str()) => {
                invalid.add(
                    format!("{path}.{name}"),
                    format!("must be one of {}", allowed.iter().map(|m| format!("{m:?}")).collect::<Vec<_>>().join(" ")),
                );
            }
            _ => {}
        }
    }
    if rule.thousands.is_some() && rule.thousands.as_deref() == Some(rule.decimal_mark()) {
        invalid.add(format!("{path}.thousands"), "is the decimal mark as well");
    }
    if rule.unit.is_some() && !is_number {
        invalid.add(format!("{path}.unit"), "has a meaning only for numbers");
    }
}

fn check_date_format(format: &str, path: &str, kind: Kind, invalid: &mut Invalid) {
    if kind != Kind::Date {
        invalid.add(path, "has a meaning only for dates");
        return;
    }
    // A form is good when a day written in it is read back as the same day.
    let items: Vec<chrono::format::Item<'_>> = chrono::format::StrftimeItems::new(format).collect();
    let day = NaiveDate::from_ymd_opt(2026, 11, 23).and_then(|day| day.and_hms_opt(0, 0, 0));
    let is_known = !items.contains(&chrono::format::Item::Error) && format.len() <= 100;
    let reads_back = is_known
        && day.is_some_and(|day| {
            let mut text = String::new();
            let written = std::fmt::Write::write_fmt(&mut text, format_args!("{}", day.and_utc().format_with_items(items.iter())));
            written.is_ok() && NaiveDate::parse_from_str(&text, format).is_ok_and(|read| read == day.date())
        });
    if !reads_back {
        invalid.add(path, "does not tell year, month and day; write it like %d/%m/%Y");
    }
}
