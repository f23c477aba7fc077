//! Ids in bodies: a stranger that names something of A's in what it writes is answered as if there were no such thing.
//!
//! Which fields of the document's bodies are ids, the walk finds by their names; each must be in the list of references, or be said to be
//! no reference, so that a new body cannot be forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use serde_json::Value;

use super::{Fixtures, Request, conclude, look, operations, owners_view, short};

/// A field that refers to something.
#[derive(Debug, Clone)]
pub struct Reference {
    /// The operation, as [`super::Operation::name`].
    pub operation: &'static str,
    /// Its path with ids of the stranger.
    pub path: String,
    /// Where the id stands: `/brand_id`, `/target_skus/0`.
    pub field: &'static str,
    /// A body of the stranger's that is good but for the id.
    pub body: Value,
    /// The id of A's thing.
    pub id: String,
}

/// References, and fields that look like some.
#[derive(Debug, Clone, Default)]
pub struct References {
    /// To be walked.
    pub all: Vec<Reference>,
    /// `POST /v1/brands brand_id` and why it refers to nothing that is A's.
    pub others: BTreeMap<&'static str, &'static str>,
}

/// Walks the references, and says everything that is wrong.
///
/// # Panics
/// When A's ids are answered unlike ids of nothing, when something of A is shown or changed, or when a field of the document is not known.
pub async fn walk_references<F, Fut>(document: &Value, fixtures: &Fixtures, references: &References, send: F)
where
    F: Fn(Request) -> Fut,
    Fut: Future<Output = (u16, String)>,
{
    let mut wrong = unknown_fields(document, references);
    let operations = operations(document);
    let before = owners_view(&operations, fixtures, &send, &mut wrong).await;
    for reference in &references.all {
        let Some(operation) = operations.iter().find(|operation| operation.name() == reference.operation) else {
            wrong.push(format!("{} is not in the document", reference.operation));
            continue;
        };
        for (who, credential) in &fixtures.strangers {
            let ask = |id: &str| {
                let mut body = reference.body.clone();
                let slot =
                    body.pointer_mut(reference.field).unwrap_or_else(|| panic!("{} has no {}", reference.operation, reference.field));
                *slot = Value::from(id);
                let url = reference.path.clone();
                send(Request { credential: Some(credential.clone()), method: operation.method.clone(), url, body: Some(body) })
            };
            let (of_a, of_nothing) = (ask(&reference.id).await, ask(UNKNOWN).await);
            let what = format!("{} {}", reference.operation, reference.field);
            look(&mut wrong, fixtures, operation, who, &what, of_a.0, &of_a.1);
            let (said, nothing) = (of_a.1.replace(&reference.id, "ID"), of_nothing.1.replace(UNKNOWN, "ID"));
            // What is made anew has ids and times of its own.
            let is_same = of_a.0 == of_nothing.0 && (of_a.0 < 300 || without_request_id(&said) == without_request_id(&nothing));
            if !is_same {
                let (a, b) = (short(&said), short(&nothing));
                wrong.push(format!("{what} as {who}: an id of A's is answered {} {a}, one of nothing {} {b}", of_a.0, of_nothing.0));
            }
        }
    }
    let after = owners_view(&operations, fixtures, &send, &mut wrong).await;
    for (url, shown) in &before {
        if after.get(url) != Some(shown) {
            wrong.push(format!("{url} was changed by another tenant: {}", short(shown)));
        }
    }
    conclude(wrong);
}

/// An id that nobody has.
const UNKNOWN: &str = "unknown-0001";

fn without_request_id(text: &str) -> Value {
    let mut value: Value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    if let Value::Object(fields) = &mut value {
        fields.remove("request_id");
    }
    value
}

/// Fields of bodies that are ids by their name, and of which nothing is said.
fn unknown_fields(document: &Value, references: &References) -> Vec<String> {
    let mut known: BTreeSet<String> = references.others.keys().map(|name| (*name).to_owned()).collect();
    known.extend(references.all.iter().filter_map(|one| {
        let name = one.field.split('/').rfind(|part| part.parse::<usize>().is_err())?;
        Some(format!("{} {name}", one.operation))
    }));
    let mut wrong = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let mut names = BTreeSet::new();
            for (_, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
                collect(document, &content["schema"], &mut names, 0);
            }
            for name in names {
                let field = format!("{} {path} {name}", method.to_uppercase());
                if !known.contains(&field) {
                    wrong.push(format!("{field} may name something of another tenant's: add a `Reference`, or say in `others` why not"));
                }
            }
        }
    }
    wrong
}

/// Names of properties that hold ids, also in parts of parts.
fn collect(document: &Value, schema: &Value, names: &mut BTreeSet<String>, depth: usize) {
    if depth > 8 {
        return;
    }
    if let Some(target) = schema["$ref"].as_str().and_then(|place| document.pointer(place.trim_start_matches('#'))) {
        collect(document, target, names, depth + 1);
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let is_id = ["_id", "_ids", "_skus", "_audiences"].iter().any(|end| name.ends_with(end));
        if is_id {
            names.insert(name.clone());
        }
        collect(document, inner, names, depth + 1);
    }
    collect_all(document, schema, names, depth);
}

fn collect_all(document: &Value, schema: &Value, names: &mut BTreeSet<String>, depth: usize) {
    for part in ["oneOf", "anyOf", "allOf"] {
        for inner in schema[part].as_array().into_iter().flatten() {
            collect(document, inner, names, depth + 1);
        }
    }
    if schema["items"].is_object() {
        collect(document, &schema["items"], names, depth + 1);
    }
}
