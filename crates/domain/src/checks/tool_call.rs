//! Checks of `tool_call_qa`, first half: JSON calls against the JSON Schema of the tool they name.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use super::{Context, MAX_CANDIDATE_BYTES, MAX_CANDIDATE_VALUES, Problem, Report, fits, quoted, sql};

/// Schemas above this size are not used.
const MAX_SCHEMA_VALUES: usize = 1_000;
const MAX_SCHEMA_BYTES: usize = 32_768;

/// Most compiled size of one `pattern`, in bytes.
const MAX_PATTERN_BYTES: usize = 262_144;

/// Most tools of a task.
const MAX_TOOLS: usize = 50;

pub(super) fn check(context: &Context<'_>, candidate: &Value, report: &mut Report) {
    if let Some(text) = candidate.get("sql").and_then(Value::as_str) {
        report.pass("candidate_form", "the candidate is an SQL query");
        sql::check(context, text, report);
        return;
    }
    let call = if let Some(call) = candidate.get("call").filter(|call| call.is_object()) {
        report.pass("candidate_form", "the candidate is a call");
        call.clone()
    } else if let Some(text) = candidate.get("call_text").and_then(Value::as_str) {
        report.pass("candidate_form", "the candidate is a call");
        match serde_json::from_str::<Value>(text) {
            Ok(call) => {
                report.pass("json_parses", "the JSON parses");
                call
            }
            Err(error) => {
                let place = format!("{}:{}", error.line(), error.column());
                report.fail("json_parses", format!("the JSON does not parse: {error}"), Some(place));
                return;
            }
        }
    } else {
        report.fail(
            "candidate_form",
            "the candidate is no call; give {\"call\": {\"name\", \"arguments\"}}, {\"call_text\"} or {\"sql\"}",
            None,
        );
        return;
    };
    if fits(&call, MAX_CANDIDATE_VALUES, MAX_CANDIDATE_BYTES) {
        check_call(context, &call, report);
    } else {
        report.fail("size", "the call is too large or too deeply nested to check", None);
    }
}

fn check_call(context: &Context<'_>, call: &Value, report: &mut Report) {
    let Some(tools) = context.kind("tools").and_then(|s| s.get("tools")).and_then(Value::as_array) else { return };
    let name_of = |tool: &Value| tool.get("name").and_then(Value::as_str).map(str::to_owned);
    let names: Vec<String> = tools.iter().take(MAX_TOOLS).filter_map(name_of).collect();
    if names.is_empty() {
        return;
    }
    let Some(name) = call.get("name").and_then(Value::as_str) else {
        report.fail(
            "known_function",
            format!("the call names no function; give \"name\", one of {}", names.join(", ")),
            Some("/name".to_owned()),
        );
        return;
    };
    let Some(tool) = tools.iter().take(MAX_TOOLS).find(|tool| tool.get("name").and_then(Value::as_str) == Some(name)) else {
        report.fail(
            "known_function",
            format!("there is no function {}; there are {}", quoted(name), names.join(", ")),
            Some("/name".to_owned()),
        );
        return;
    };
    report.pass("known_function", format!("the function {name} exists"));
    let Some(schema) = tool.get("parameters").filter(|schema| schema.is_object()) else { return };
    let nothing = Value::Object(Map::new());
    let arguments = call.get("arguments").unwrap_or(&nothing);
    required_arguments(schema, arguments, report);
    let Some(validator) = compile(schema) else { return };
    // Arguments missing on the first level are the finding above already.
    let counted = |error: &ValidationError<'_>| {
        matches!(error.kind(), ValidationErrorKind::Required { .. }) && error.instance_path().as_str().is_empty()
    };
    let problems = validator.iter_errors(arguments).filter(|error| !counted(error)).take(20).map(|error| {
        let place = format!("/arguments{}", error.instance_path().as_str());
        let message: String = error.to_string().chars().take(300).collect();
        Problem::at(place.clone(), format!("{place}: {message}"))
    });
    report.sum_up("arguments_match_schema", "the arguments match the schema", problems.collect());
}

fn required_arguments(schema: &Value, arguments: &Value, report: &mut Report) {
    let problems = super::texts(schema.get("required")).into_iter().filter(|name| arguments.get(name).is_none()).map(|name| {
        Problem::at(format!("/arguments/{}", super::pointer(name)), format!("the required argument {} is missing; add it", quoted(name)))
    });
    report.sum_up("required_arguments", "all required arguments are there", problems.collect());
}

/// The validator of a schema; `None` for a schema that is too large, wrong in itself, or refers to others: a reference may lead to the network or in a circle.
fn compile(schema: &Value) -> Option<Validator> {
    if !fits(schema, MAX_SCHEMA_VALUES, MAX_SCHEMA_BYTES) || has_reference(schema) {
        return None;
    }
    let patterns = PatternOptions::regex().size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_PATTERN_BYTES);
    jsonschema::options().offline().with_pattern_options(patterns).should_validate_formats(true).build(schema).ok()
}

fn has_reference(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => members.iter().any(|(key, member)| {
            matches!(key.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef" | "$schema" | "$id" | "id") && member.is_string()
                || has_reference(member)
        }),
        Value::Array(items) => items.iter().any(has_reference),
        _ => false,
    }
}
