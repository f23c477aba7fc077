//! The `filter` of a `postgres_changes` binding: `column=op.value`, several joined by commas, all of
//! which must hold. Operators: eq, neq, lt, lte, gt, gte and in.

use std::cmp::Ordering;

use serde_json::Value;

/// Values allowed in one `in.(…)`; the limit of Supabase.
const LIST_VALUES: usize = 100;

/// One parsed condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    pub(crate) column: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

/// Reads a filter; an empty one has no conditions.
///
/// # Errors
/// A sentence for the subscriber that names the part which could not be read.
pub(crate) fn parse(filter: &str) -> Result<Vec<Condition>, String> {
    split(filter).into_iter().map(condition).collect()
}

impl Condition {
    /// Whether the row fulfils the condition. A missing or null column never does.
    pub(crate) fn holds(&self, row: &Value) -> bool {
        let Some(value) = row.get(&self.column).filter(|value| !value.is_null()) else {
            return false;
        };
        let mut orders = self.values.iter().map(|wanted| compare(value, wanted));
        match self.operator {
            Operator::In => orders.any(|order| order == Some(Ordering::Equal)),
            operator => orders.next().flatten().is_some_and(|order| match operator {
                Operator::NotEqual => order.is_ne(),
                Operator::Less => order.is_lt(),
                Operator::LessOrEqual => order.is_le(),
                Operator::Greater => order.is_gt(),
                Operator::GreaterOrEqual => order.is_ge(),
                Operator::Equal | Operator::In => order.is_eq(),
            }),
        }
    }
}

/// Numbers compare as numbers, everything else as text. A number against a word has no order, and
/// so fulfils nothing.
fn compare(value: &Value, wanted: &str) -> Option<Ordering> {
    match value {
        Value::Number(number) => match (number.as_i64(), wanted.parse::<i64>()) {
            (Some(left), Ok(right)) => Some(left.cmp(&right)),
            _ => number.as_f64()?.partial_cmp(&wanted.parse().ok()?),
        },
        Value::String(text) => Some(text.as_str().cmp(wanted)),
        other => Some(other.to_string().as_str().cmp(wanted)),
    }
}

fn condition(part: &str) -> Result<Condition, String> {
    let fail = |why: &str| format!("Error parsing `filter` params: {why} in {part:?}");
    let (column, rest) =
        part.split_once('=').filter(|(column, _)| is_column(column)).ok_or_else(|| fail("expected column=operator.value"))?;
    let (name, value) = rest.split_once('.').ok_or_else(|| fail("expected operator.value after the column"))?;
    let operator = operator(name).ok_or_else(|| fail("the operator is not one of eq, neq, lt, lte, gt, gte, in"))?;
    let values = if operator == Operator::In {
        let list = value.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).ok_or_else(|| fail("expected a list (a,b)"))?;
        split_outside_quotes(list).into_iter().map(unquote).collect()
    } else {
        vec![unquote(value)]
    };
    if values.len() > LIST_VALUES {
        return Err(fail("more than 100 values"));
    }
    Ok(Condition { column: column.to_owned(), operator, values })
}

fn operator(name: &str) -> Option<Operator> {
    Some(match name {
        "eq" => Operator::Equal,
        "neq" => Operator::NotEqual,
        "lt" => Operator::Less,
        "lte" => Operator::LessOrEqual,
        "gt" => Operator::Greater,
        "gte" => Operator::GreaterOrEqual,
        "in" => Operator::In,
        _ => return None,
    })
}

fn is_column(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Splits at commas that begin another `column=`, so that a plain value may contain a comma.
fn split(filter: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = Vec::new();
    let (mut start, mut quoted, mut depth) = (0, false, 0_u32);
    for (index, character) in filter.char_indices() {
        match character {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                let rest = filter.get(index + 1..).unwrap_or_default();
                let begins_condition = rest.split_once('=').is_some_and(|(column, tail)| {
                    is_column(column)
                        && tail.split_once('.').is_some_and(|(name, _)| name.len() <= 12 && name.chars().all(|c| c.is_ascii_lowercase()))
                });
                if begins_condition {
                    parts.extend(filter.get(start..index));
                    start = index + 1;
                }
            }
            _ => {}
        }
    }
    parts.extend(filter.get(start..).filter(|rest| !rest.is_empty()));
    parts
}

fn split_outside_quotes(list: &str) -> Vec<&str> {
    let mut quoted = false;
    list.split(|character| {
        if character == '"' {
            quoted = !quoted;
        }
        character == ',' && !quoted
    })
    .collect()
}

/// Takes the double quotes off a quoted value; inside them a backslash escapes one character.
fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        text.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn passes(filter: &str, row: &Value) -> bool {
        parse(filter).unwrap().iter().all(|c| c.holds(row))
    }

    #[test]
    fn operators_compare_numbers_as_numbers_and_text_as_text() {
        let row = json!({"id": 10, "score": 0.5, "name": "b", "live": true, "gone": null});
        for (filter, expected) in [
            ("", true),
            ("id=eq.10", true),
            ("id=eq.10.0", true),
            ("id=gt.9", true),
            ("id=lt.9", false),
            ("id=gte.10", true),
            ("id=lte.9", false),
            ("id=neq.10", false),
            ("score=lt.0.75", true),
            ("name=eq.b", true),
            ("name=neq.a", true),
            ("name=gt.a", true),
            ("live=eq.true", true),
            ("id=in.(9,10,11)", true),
            ("name=in.(a,c)", false),
            ("name=in.(\"a,b\",\"b\")", true),
            ("id=eq.10,name=eq.b", true),
            ("id=eq.10,name=eq.a", false),
            ("gone=neq.1", false),
            ("absent=neq.1", false),
            ("id=neq.word", false),
        ] {
            assert_eq!(passes(filter, &row), expected, "{filter}");
        }
    }

    #[test]
    fn a_value_may_contain_commas_dots_and_quotes() {
        let row = json!({"name": "Smith, John v1.2", "quoted": "a\"b"});
        assert!(passes("name=eq.Smith, John v1.2", &row));
        assert!(passes(r#"quoted=eq."a\"b""#, &row));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (filter, part) in [
            ("id", "column=operator.value"),
            ("id=5", "operator.value after"),
            ("id=like.5", "not one of eq"),
            ("id=in.5", "list (a,b)"),
            ("=eq.5", "column=operator.value"),
        ] {
            let message = parse(filter).unwrap_err();
            assert!(message.starts_with("Error parsing `filter` params: "), "{message}");
            assert!(message.contains(part), "{message}");
        }
        let long = format!("id=in.({})", vec!["1"; 101].join(","));
        assert!(parse(&long).is_err());
    }
}
