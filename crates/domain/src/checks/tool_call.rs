//! Checks of `tool_call_qa`, first half: JSON calls against the JSON Schema of the tool they name.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use super::place::Place;
use super::{Context, MAX_CANDIDATE_BYTES, MAX_CANDIDATE_VALUES, Problem, Report, fits, json_text, quoted, schema, sql};

/// Most compiled size of one `pattern`, in bytes.
const MAX_PATTERN_BYTES: usize = 262_144;

/// Most tools of a task.
const MAX_TOOLS: usize = 50;

/// Most problems of the arguments that are looked at.
pub(super) const MAX_PROBLEMS: usize = 20;

/// Members that a call may have: `id` and `type` are those of common wire formats and mean nothing here.
const CALL_MEMBERS: [&str; 4] = ["name", "arguments", "id", "type"];

/// Where the call stands in the candidate.
enum Source<'a> {
    /// Under `call`.
    Member,
    /// As text under `call_text`.
    Text(&'a str),
}

impl Source<'_> {
    /// The place of a part of the call.
    fn place(&self, pointer: &str) -> String {
        match self {
            Self::Member => format!("/call{pointer}"),
            Self::Text(text) => {
                let (line, column) = json_text::locate(text, pointer);
                Place::line(&format!("/call_text{pointer}"), line, column)
            }
        }
    }
}

pub(super) fn check(context: &Context<'_>, candidate: &Value, report: &mut Report) {
    let given: Vec<&str> = ["sql", "call", "call_text"].into_iter().filter(|name| candidate.get(name).is_some()).collect();
    if let [_, second, ..] = given.as_slice() {
        let message = format!("the candidate gives {}, but one of them is the answer; keep one", given.join(" and "));
        report.fail("candidate_form", message, format!("/{second}"));
        return;
    }
    if let Some(text) = candidate.get("sql").and_then(Value::as_str) {
        report.pass("candidate_form", "the candidate is an SQL query");
        sql::check(context, text, report);
    } else if let Some(call) = candidate.get("call").filter(|call| call.is_object()) {
        report.pass("candidate_form", "the candidate is a call");
        check_call(context, call, &Source::Member, report);
    } else if let Some(text) = candidate.get("call_text").and_then(Value::as_str) {
        report.pass("candidate_form", "the candidate is a call");
        check_text(context, text, report);
    } else {
        let message = "the candidate is no call; give {\"call\": {\"name\", \"arguments\"}}, {\"call_text\"} or {\"sql\"}";
        report.fail("candidate_form", message, given.first().map_or_else(String::new, |name| format!("/{name}")));
    }
}

fn check_text(context: &Context<'_>, text: &str, report: &mut Report) {
    let call = match json_text::parse(text) {
        Ok(call) => call,
        Err(fault) => {
            let place = Place::line("/call_text", fault.line, fault.column);
            if fault.is_repeated_member {
                report.pass("json_parses", "the JSON parses");
                report.fail("members_once", fault.message, place);
            } else {
                report.fail("json_parses", format!("the text is no JSON: {}", fault.message), place);
            }
            return;
        }
    };
    report.pass("json_parses", "the JSON parses");
    report.pass("members_once", "no member stands twice");
    if fits(&call, MAX_CANDIDATE_VALUES, MAX_CANDIDATE_BYTES) {
        check_call(context, &call, &Source::Text(text), report);
    } else {
        report.fail("size", "the call is too large or too deeply nested to check; make it smaller", "/call_text".to_owned());
    }
}

fn check_call(context: &Context<'_>, call: &Value, source: &Source<'_>, report: &mut Report) {
    let unknown = call.as_object().into_iter().flatten().filter(|(name, _)| !CALL_MEMBERS.contains(&name.as_str()));
    let mut problems: Vec<Problem> = unknown
        .take(MAX_PROBLEMS)
        .map(|(name, _)| {
            let place = source.place(&format!("/{}", super::pointer(name)));
            Problem::at(place, format!("a call has a name and arguments, but no {}; arguments go under \"arguments\"", quoted(name)))
        })
        .collect();
    if let Some(arguments) = call.get("arguments").filter(|arguments| !arguments.is_object()) {
        let message = format!("the arguments must be an object {{name: value}}, but are {}", schema::described(arguments));
        problems.push(Problem::at(source.place("/arguments"), message));
    }
    report.sum_up("call_form", "the call is a name and an object of arguments", problems);
    let Some(tools) = context.kind("tools").and_then(|s| s.get("tools")).and_then(Value::as_array) else { return };
    let name_of = |tool: &Value| tool.get("name").and_then(Value::as_str).map(str::to_owned);
    let names: Vec<String> = tools.iter().take(MAX_TOOLS).filter_map(name_of).collect();
    if names.is_empty() {
        return;
    }
    let Some(name) = call.get("name").and_then(Value::as_str) else {
        let message = format!("the call names no function; give \"name\", one of {}", names.join(", "));
        report.fail("known_function", message, source.place("/name"));
        return;
    };
    let Some(tool) = tools.iter().take(MAX_TOOLS).find(|tool| tool.get("name").and_then(Value::as_str) == Some(name)) else {
        let message = format!("there is no function {}; there are {}", quoted(name), names.join(", "));
        report.fail("known_function", message, source.place("/name"));
        return;
    };
    report.pass("known_function", format!("the function {name} exists"));
    let Some(parameters) = tool.get("parameters").filter(|parameters| parameters.is_object()) else { return };
    check_arguments(parameters, call.get("arguments"), source, report);
}

fn check_arguments(parameters: &Value, arguments: Option<&Value>, source: &Source<'_>, report: &mut Report) {
    let nothing = Value::Object(Map::new());
    let arguments = arguments.unwrap_or(&nothing);
    let missing =
        super::texts(parameters.get("required")).into_iter().filter(|name| arguments.get(name).is_none()).take(MAX_PROBLEMS).map(|name| {
            let place = source.place(&format!("/arguments/{}", super::pointer(name)));
            Problem::at(place, format!("the required argument {} is missing; add it", quoted(name)))
        });
    report.sum_up("required_arguments", "all required arguments are there", missing.collect());
    let Some(validator) = compile(parameters) else { return };
    // Arguments missing on the first level are the finding above already, and arguments that are no object that of the call's form.
    let counted = |error: &ValidationError<'_>| {
        error.instance_path().as_str().is_empty()
            && (matches!(error.kind(), ValidationErrorKind::Required { .. }) || !arguments.is_object())
    };
    let (mut types, mut others) = (Vec::new(), Vec::new());
    for error in validator.iter_errors(arguments).filter(|error| !counted(error)).take(MAX_PROBLEMS) {
        let is_type = matches!(error.kind(), ValidationErrorKind::Type { .. });
        for (below, message) in schema::broken_rules(&error, parameters) {
            let pointer = format!("{}{below}", error.instance_path().as_str());
            let named = pointer.strip_prefix('/').map_or_else(|| "the arguments".to_owned(), |name| format!("the argument {name}"));
            let problem = Problem::at(source.place(&format!("/arguments{pointer}")), format!("{named} {message}"));
            if is_type { &mut types } else { &mut others }.push(problem);
        }
    }
    report.sum_up("argument_types", "the arguments have the right types", types);
    report.sum_up("arguments_match_schema", "the arguments match the schema", others);
}

/// The validator of a schema; `None` for a schema that is too large, wrong in itself, or refers to what is not in it.
fn compile(parameters: &Value) -> Option<Validator> {
    let whole = schema::without_references(parameters)?;
    let patterns = PatternOptions::regex().size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_PATTERN_BYTES);
    jsonschema::options().offline().with_pattern_options(patterns).should_validate_formats(true).build(&whole).ok()
}
