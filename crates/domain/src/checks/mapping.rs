//! Checks of `schema_mapping`: required fields, invented fields, types, units, and whether transforms work on the example values.

use std::collections::BTreeMap;

use serde_json::Value;

use super::transform::{self, FieldType};
use super::{Context, Problem, Report, pointer, quoted};

/// Most entries of a mapping and of a field list.
const MAX_FIELDS: usize = 500;

/// Members of an entry of the mapping: a mistyped transform must not silently be none.
const ENTRY_MEMBERS: [&str; 3] = ["to", "transform", "note"];

/// A field of the source or of the canonical schema.
struct Field<'a> {
    field_type: Option<FieldType>,
    type_word: &'a str,
    unit: Option<&'a str>,
    examples: Vec<&'a Value>,
    required: bool,
}

/// Most example values of a field that are tried.
const MAX_EXAMPLES: usize = 20;

/// The unit that a field's name tells when the field list does not: `cost_cents` holds cents.
fn unit_of_name(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    [("_cents", "cents"), ("_micros", "micros"), ("_pct", "percent"), ("_percent", "percent")]
        .into_iter()
        .find_map(|(ending, unit)| lower.ends_with(ending).then_some(unit))
}

/// One entry of the mapping.
struct Entry<'a> {
    source: &'a str,
    to: &'a str,
    transform: &'a str,
}

impl Entry<'_> {
    fn place(&self) -> String {
        format!("/mapping/{}", pointer(self.source))
    }
}

pub(super) fn check(context: &Context<'_>, candidate: &Value, report: &mut Report) {
    let Some(entries) = entries(candidate, report) else { return };
    let unknown = entries.iter().filter(|e| !transform::NAMES.contains(&e.transform)).map(|e| {
        Problem::at(
            format!("{}/transform", e.place()),
            format!("there is no transform {}; there are {}", quoted(e.transform), transform::NAMES.join(", ")),
        )
    });
    report.sum_up("known_transforms", "all transforms are known", unknown.collect());
    report.sum_up("one_source_per_field", "no canonical field is filled twice", filled_twice(&entries));
    let source = context.kind("source_fields").map(fields).filter(|f| !f.is_empty());
    let canonical = context.kind("canonical_schema").map(fields).filter(|f| !f.is_empty());
    if let Some(source) = &source {
        let unknown = entries.iter().filter(|e| !source.contains_key(e.source));
        let problems = unknown.map(|e| Problem::at(e.place(), format!("the retailer's file has no field {}", quoted(e.source))));
        report.sum_up("known_source_fields", "every mapped source field exists", problems.collect());
        let problems = entries.iter().filter_map(|e| refused_example(e, source.get(e.source)?)).collect();
        report.sum_up("examples_convert", "the transforms work on the example values", problems);
    }
    let Some(canonical) = &canonical else { return };
    let unknown = entries.iter().filter(|e| !canonical.contains_key(e.to));
    let problems = unknown.map(|e| Problem::at(format!("{}/to", e.place()), format!("the canonical schema has no field {}", quoted(e.to))));
    report.sum_up("known_canonical_fields", "every canonical field exists", problems.collect());
    let uncovered = canonical.iter().filter(|(name, field)| field.required && !entries.iter().any(|e| e.to == **name));
    let problems = uncovered.map(|(name, _)| Problem::at("/mapping", format!("the required field {} is not covered", quoted(name))));
    report.sum_up("required_fields_covered", "all required fields are covered", problems.collect());
    let Some(source) = &source else { return };
    let pairs: Vec<(&Entry<'_>, &Field<'_>, &Field<'_>)> =
        entries.iter().filter_map(|e| Some((e, source.get(e.source)?, canonical.get(e.to)?))).collect();
    if pairs.iter().any(|(_, from, to)| from.field_type.is_some() && to.field_type.is_some()) {
        report.sum_up("types_compatible", "the types fit", pairs.iter().filter_map(|(e, from, to)| wrong_type(e, from, to)).collect());
    }
    if pairs.iter().any(|(_, from, _)| from.unit.is_some()) {
        report.sum_up("units_convert", "the units fit", pairs.iter().filter_map(|(e, from, to)| wrong_unit(e, from, to)).collect());
    }
}

/// The entries, or `None` after a failed `candidate_form`.
fn entries<'a>(candidate: &'a Value, report: &mut Report) -> Option<Vec<Entry<'a>>> {
    let form = "the candidate is no mapping; give {\"mapping\": {\"source\": {\"to\": \"canonical\", \"transform\": \"identity\"}}}";
    let Some(mapping) = candidate.get("mapping").and_then(Value::as_object) else {
        report.fail("candidate_form", form, "/mapping");
        return None;
    };
    if mapping.is_empty() || mapping.len() > MAX_FIELDS {
        report.fail("candidate_form", format!("the mapping has {} fields; 1 to {MAX_FIELDS} can be checked", mapping.len()), "/mapping");
        return None;
    }
    let mut entries = Vec::with_capacity(mapping.len());
    for (source, value) in mapping {
        let place = format!("/mapping/{}", pointer(source));
        let transform = value.get("transform").map_or(Some("identity"), |t| if t.is_null() { Some("identity") } else { t.as_str() });
        let to = value.get("to").and_then(Value::as_str).filter(|to| !to.trim().is_empty());
        let Some(to) = to else {
            let message = format!("the field {} does not say where it goes; give {{\"to\": \"canonical\"}}", quoted(source));
            report.fail("candidate_form", message, place);
            return None;
        };
        let Some(transform) = transform else {
            let message = format!("the transform of {} must be a text, one of {}", quoted(source), transform::NAMES.join(", "));
            report.fail("candidate_form", message, format!("{place}/transform"));
            return None;
        };
        let unknown = value.as_object().into_iter().flatten().find(|(name, _)| !ENTRY_MEMBERS.contains(&name.as_str()));
        if let Some((name, _)) = unknown {
            let message = format!(
                "the field {} has a member {}, which means nothing; there are {}",
                quoted(source),
                quoted(name),
                ENTRY_MEMBERS.join(", ")
            );
            report.fail("candidate_form", message, format!("{place}/{}", pointer(name)));
            return None;
        }
        entries.push(Entry { source, to, transform });
    }
    report.pass("candidate_form", "the candidate is a mapping");
    Some(entries)
}

fn fields(snippet: &Value) -> BTreeMap<&str, Field<'_>> {
    let mut found = BTreeMap::new();
    for field in snippet.get("fields").and_then(Value::as_array).into_iter().flatten().take(MAX_FIELDS) {
        let Some(name) = field.get("name").and_then(Value::as_str) else { continue };
        let type_word = field.get("type").and_then(Value::as_str).unwrap_or_default();
        found.insert(
            name,
            Field {
                field_type: FieldType::parse(type_word),
                type_word,
                unit: field.get("unit").and_then(Value::as_str).or_else(|| unit_of_name(name)),
                examples: field
                    .get("example")
                    .into_iter()
                    .chain(field.get("examples").and_then(Value::as_array).into_iter().flatten().take(MAX_EXAMPLES))
                    .collect(),
                required: field.get("required").and_then(Value::as_bool).unwrap_or_default(),
            },
        );
    }
    found
}

fn filled_twice(entries: &[Entry<'_>]) -> Vec<Problem> {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    let mut problems = Vec::new();
    for entry in entries {
        if let Some(other) = first.insert(entry.to, entry.source) {
            let message = format!("{} is filled from {} and from {}; keep one", quoted(entry.to), quoted(other), quoted(entry.source));
            problems.push(Problem::at(format!("{}/to", entry.place()), message));
        }
    }
    problems
}

fn refused_example(entry: &Entry<'_>, source: &Field<'_>) -> Option<Problem> {
    let (why, example) = source.examples.iter().find_map(|example| Some((transform::refuses(entry.transform, example)?, example)))?;
    let shown = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
    Some(Problem::at(format!("{}/transform", entry.place()), format!("{why}, but {} holds {}", quoted(entry.source), quoted(&shown))))
}

fn wrong_type(entry: &Entry<'_>, from: &Field<'_>, to: &Field<'_>) -> Option<Problem> {
    let fits = transform::fits(entry.transform, from.field_type?, to.field_type?)?;
    (!fits).then(|| {
        let message = format!(
            "{} does not turn {} ({}) into {} ({}); choose another transform or field",
            entry.transform,
            quoted(entry.source),
            from.type_word,
            quoted(entry.to),
            to.type_word
        );
        Problem::at(entry.place(), message)
    })
}

fn wrong_unit(entry: &Entry<'_>, from: &Field<'_>, to: &Field<'_>) -> Option<Problem> {
    let from_unit = from.unit?;
    let place = || format!("{}/transform", entry.place());
    let arrives = match transform::unit_after(entry.transform) {
        Some((takes, gives)) if takes == from_unit => gives,
        Some((takes, _)) => {
            let message =
                format!("{} takes {takes}, but {} is in {from_unit}; take another transform", entry.transform, quoted(entry.source));
            return Some(Problem::at(place(), message));
        }
        None => from_unit,
    };
    // Money is in units of its currency unless the schema says otherwise.
    let to_unit = to.unit.or((to.field_type == Some(FieldType::Money) && from.field_type != Some(FieldType::Text)).then_some("units"))?;
    let is_currency = |unit: &str| unit.len() == 3 && unit.bytes().all(|byte| byte.is_ascii_uppercase());
    // An amount of a named currency is in units.
    if arrives == to_unit || (arrives == "units" && is_currency(to_unit)) || (is_currency(arrives) && to_unit == "units") {
        return None;
    }
    Some(Problem::at(
        place(),
        format!("{} arrives in {arrives}, but {} is in {to_unit}; convert it", quoted(entry.source), quoted(entry.to)),
    ))
}
