//! JSON Schemas of tools: references within a schema are put in place (those to elsewhere are never followed), and what an argument breaks is said in words.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::{Map, Value, json};

use super::{fits, quoted};

/// Schemas above this size are not used.
const MAX_VALUES: usize = 1_000;
const MAX_BYTES: usize = 32_768;

/// Deepest nesting of a schema, references put in place included: one that refers to itself is not used.
const MAX_DEPTH: usize = 32;

/// Dialects that may be named.
const DIALECTS: &str = "json-schema.org/";

/// The schema with each reference to a part of itself replaced by that part; `None` when it is too large, refers to itself in a circle or to elsewhere.
pub(super) fn without_references(schema: &Value) -> Option<Value> {
    if !fits(schema, MAX_VALUES, MAX_BYTES) {
        return None;
    }
    let mut left = MAX_VALUES * 4;
    let mut whole = put_in_place(schema, schema, MAX_DEPTH, &mut left)?;
    if let Some(members) = whole.as_object_mut() {
        if let Some(dialect) = members.get("$schema") {
            let is_known = dialect.as_str().is_some_and(|dialect| {
                dialect.strip_prefix("http://").or(dialect.strip_prefix("https://")).is_some_and(|rest| rest.starts_with(DIALECTS))
            });
            if !is_known {
                return None;
            }
        }
        for name in ["$id", "id", "$anchor", "$defs", "definitions"] {
            if !members.get(name).is_some_and(|member| name == "id" && !member.is_string()) {
                members.remove(name);
            }
        }
    }
    Some(whole)
}

fn put_in_place(part: &Value, root: &Value, depth: usize, left: &mut usize) -> Option<Value> {
    *left = left.checked_sub(1)?;
    let depth = depth.checked_sub(1)?;
    match part {
        Value::Object(members) => {
            if members.iter().any(|(name, member)| matches!(name.as_str(), "$dynamicRef" | "$recursiveRef") && member.is_string()) {
                return None;
            }
            let mut made = Map::new();
            for (name, member) in members {
                let is_definition = matches!(name.as_str(), "$defs" | "definitions") && std::ptr::eq(part, root);
                let is_data = matches!(name.as_str(), "enum" | "const" | "default" | "examples");
                let is_reference = name == "$ref" && member.is_string();
                if is_definition || is_reference {
                    continue;
                }
                made.insert(name.clone(), if is_data { member.clone() } else { put_in_place(member, root, depth, left)? });
            }
            let Some(reference) = members.get("$ref").and_then(Value::as_str) else { return Some(Value::Object(made)) };
            let target = put_in_place(root.pointer(reference.strip_prefix('#')?)?, root, depth, left)?;
            Some(if made.is_empty() { target } else { json!({ "allOf": [target, made] }) })
        }
        Value::Array(items) => items.iter().map(|item| put_in_place(item, root, depth, left)).collect::<Option<Vec<_>>>().map(Value::Array),
        other => Some(other.clone()),
    }
}

/// The rules that an error names: where below its own place (a JSON pointer), and what must be, as the end of a sentence about the argument.
pub(super) fn broken_rules(error: &ValidationError<'_>, parameters: &Value) -> Vec<(String, String)> {
    use ValidationErrorKind as Kind;
    let value = error.instance();
    let shown = || quoted(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let short = |value: &Value| quoted(&value.to_string());
    let message = match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let known: Vec<&String> = if error.instance_path().as_str().is_empty() {
                parameters.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys).take(20).collect()
            } else {
                Vec::new()
            };
            let instead = if known.is_empty() {
                "leave it out".to_owned()
            } else {
                format!("there are {}", known.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", "))
            };
            return unexpected
                .iter()
                .take(super::tool_call::MAX_PROBLEMS)
                .map(|name| (format!("/{}", super::pointer(name)), format!("is not one that the function takes; {instead}")))
                .collect();
        }
        Kind::Type { kind } => format!("must be {}, but is {}", wanted(kind), described(value)),
        Kind::Enum { options } => {
            let options: Vec<String> = options.as_array().into_iter().flatten().take(12).map(short).collect();
            format!("must be one of {}, but is {}", options.join(", "), shown())
        }
        Kind::Constant { expected_value } => format!("must be {}, but is {}", short(expected_value), shown()),
        Kind::Format { format } if format == "date" => {
            format!("must be a date that exists, written like 2017-03-31, but is {}", shown())
        }
        Kind::Format { format } => format!("must be written as {format}, but is {}", shown()),
        Kind::Pattern { pattern } => format!("must match the pattern {}, but is {}", quoted(pattern), shown()),
        Kind::Minimum { limit } => format!("must be at least {limit}, but is {}", shown()),
        Kind::Maximum { limit } => format!("must be at most {limit}, but is {}", shown()),
        Kind::ExclusiveMinimum { limit } => format!("must be above {limit}, but is {}", shown()),
        Kind::ExclusiveMaximum { limit } => format!("must be below {limit}, but is {}", shown()),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}, but is {}", shown()),
        Kind::MinLength { limit } => format!("must have at least {limit} characters, but is {}", shown()),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters, but is {}", shown()),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::UniqueItems => "must not hold the same item twice".to_owned(),
        Kind::Required { property } => format!("lacks the member {}", short(property)),
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => "fits none of the forms that the schema allows".to_owned(),
        Kind::OneOfMultipleValid { .. } => "fits more than one of the forms of which the schema allows exactly one".to_owned(),
        _ => format!("breaks a rule of the schema: {}", error.to_string().chars().take(200).collect::<String>()),
    };
    vec![(String::new(), message)]
}

fn wanted(kind: &TypeKind) -> String {
    let word = |name: &str| match name {
        "integer" => "a whole number".to_owned(),
        "number" => "a number".to_owned(),
        "string" => "a text".to_owned(),
        "boolean" => "true or false".to_owned(),
        "array" => "a list".to_owned(),
        "object" => "an object".to_owned(),
        other => other.to_owned(),
    };
    match kind {
        TypeKind::Single(one) => word(&one.to_string()),
        TypeKind::Multiple(several) => several.iter().map(|one| word(&one.to_string())).collect::<Vec<_>>().join(" or "),
    }
}

/// A value by its kind, short ones with themselves.
pub(super) fn described(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => format!("{value}"),
        Value::Number(_) => format!("the number {value}"),
        Value::String(text) => format!("the text {}", quoted(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn references_within_a_schema_are_put_in_place() {
        let schema = json!({"$schema": "http://json-schema.org/draft-07/schema#", "$defs": {"day": {"type": "string", "format": "date"}},
            "properties": {"from": {"$ref": "#/$defs/day"}, "to": {"$ref": "#/$defs/day", "title": "End"}, "$ref": {"type": "string"}},
            "default": {"$ref": "x"}});
        let whole = without_references(&schema).unwrap();
        assert_eq!(whole["properties"]["from"], json!({"type": "string", "format": "date"}));
        assert_eq!(whole["properties"]["to"]["allOf"][0]["format"], "date");
        assert_eq!(whole["properties"]["$ref"]["type"], "string");
        assert!(whole.get("$defs").is_none());
    }

    #[test]
    fn references_in_a_circle_or_to_elsewhere_are_refused() {
        let doubling: Map<String, Value> = (0..40)
            .map(|i| {
                (format!("d{i}"), json!({"allOf": [{"$ref": format!("#/$defs/d{}", i + 1)}, {"$ref": format!("#/$defs/d{}", i + 1)}]}))
            })
            .collect();
        for schema in [
            json!({"$ref": "#"}),
            json!({"properties": {"x": {"$ref": "#"}}}),
            json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "items": {"$ref": "#/$defs/a"}}),
            json!({"$ref": "https://example.com/schema.json"}),
            json!({"$ref": "#/nowhere"}),
            json!({"$dynamicRef": "#x"}),
            json!({"$schema": "https://example.com/dialect.json"}),
            json!({"$defs": doubling, "items": {"$ref": "#/$defs/d0"}}),
        ] {
            assert_eq!(without_references(&schema), None, "{schema}");
        }
    }
}
