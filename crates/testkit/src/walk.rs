//! The tenant walk: every operation of an OpenAPI document, asked for by somebody of another tenant with the ids of this one.
//!
//! Operations come from the document, so that a new route is walked as soon as it stands there. What the walk cannot know, it asks for: a path
//! parameter, a filter or a body that [`Fixtures`] does not hold fails the walk with a sentence that says what to add.

pub mod references;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;

use serde_json::{Value, json};

/// One operation of the document.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Upper case.
    pub method: String,
    /// With its parameters in braces.
    pub path: String,
    /// Names of path parameters.
    pub path_parameters: Vec<String>,
    /// Names of query parameters.
    pub query_parameters: Vec<String>,
}

impl Operation {
    /// `GET /v1/campaigns/{campaign_id}`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What belongs to tenant A, and how to ask for it.
#[derive(Default)]
pub struct Fixtures {
    /// Values of path parameters that are ids of A's things.
    pub ids: BTreeMap<&'static str, String>,
    /// Values of path parameters that are everybody's (a retailer, a table): there the walk looks for A's data only.
    pub shared: BTreeMap<&'static str, String>,
    /// Values of path parameters that are ids of A's things in one operation only, by its name.
    pub ids_at: BTreeMap<&'static str, String>,
    /// Values of A for query parameters; an empty text leaves the parameter out (paging, switches).
    pub filters: BTreeMap<&'static str, String>,
    /// A good body for each writing operation that has a path parameter of A, by [`Operation::name`].
    pub bodies: BTreeMap<&'static str, Value>,
    /// Query that an operation needs in any case, by name: `from=2026-01-01`.
    pub needed: BTreeMap<&'static str, &'static str>,
    /// Operations that are not walked, by name, with the reason: what signs people in, and needs no caller.
    pub left_out: BTreeMap<&'static str, &'static str>,
    /// Lists that hold nothing of A's on purpose, by name, with the reason.
    pub without_rows: BTreeMap<&'static str, &'static str>,
    /// A text that stands in the names of all of A's rows and nowhere else.
    pub marker: &'static str,
    /// Credential of A's administrator.
    pub owner: String,
    /// Credentials of tenant B, with what they are.
    pub strangers: Vec<(&'static str, String)>,
}

impl Fixtures {
    /// Whether an answer holds something of A's: the marker, or an id that nobody can guess and that was not asked for.
    fn is_shown_in(&self, text: &str, url: &str) -> bool {
        const GUESSABLE: usize = 20;
        let mut ids = self.ids.values().chain(self.ids_at.values()).filter(|id| id.len() > GUESSABLE);
        text.contains(self.marker) || ids.any(|id| text.contains(id.as_str()) && !url.contains(id.as_str()))
    }
}

/// A request of the walk.
#[derive(Debug, Clone)]
pub struct Request {
    /// Whose; nobody's when absent.
    pub credential: Option<String>,
    /// Method.
    pub method: String,
    /// Path and query.
    pub url: String,
    /// JSON body.
    pub body: Option<Value>,
}

/// The operations of a document, in its order.
#[must_use]
pub fn operations(document: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            if !["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                continue;
            }
            let named = |place: &str| {
                let all = operation["parameters"].as_array().into_iter().flatten();
                all.filter(|one| one["in"] == place).filter_map(|one| one["name"].as_str().map(str::to_owned)).collect::<Vec<_>>()
            };
            let (path_parameters, query_parameters) = (named("path"), named("query"));
            found.push(Operation { method: method.to_uppercase(), path: path.clone(), path_parameters, query_parameters });
        }
    }
    found
}

/// Walks, and says everything that is wrong. Answers the lists in pages of which A has one row only, so that its cursors cannot be tried.
///
/// # Panics
/// When something of A can be seen or changed, when a fixture is missing, or when a fixture shows nothing.
pub async fn walk<F, Fut>(document: &Value, fixtures: &Fixtures, send: F) -> Vec<String>
where
    F: Fn(Request) -> Fut,
    Fut: Future<Output = (u16, String)>,
{
    let mut operations = operations(document);
    operations.retain(|operation| !fixtures.left_out.contains_key(operation.name().as_str()));
    assert!(!operations.is_empty(), "the document has no operations");
    let mut wrong = Vec::new();
    let before = owners_view(&operations, fixtures, &send, &mut wrong).await;
    let mut of_one_row = Vec::new();
    for operation in &operations {
        let Some(url) = address(operation, fixtures, &mut wrong) else { continue };
        let body = body(operation, fixtures);
        let ask = |credential: Option<&String>, url: &str| {
            send(Request { credential: credential.cloned(), method: operation.method.clone(), url: url.to_owned(), body: body.clone() })
        };
        let (status, _) = ask(None, &url).await;
        if status != 401 {
            wrong.push(format!("{}: nobody got {status} and not 401", operation.name()));
        }
        let is_of_a = fixtures.ids_at.contains_key(operation.name().as_str())
            || operation.path_parameters.iter().any(|name| fixtures.ids.contains_key(name.as_str()));
        let page = if operation.query_parameters.iter().any(|name| name == "cursor") {
            let first = with_query(&url, "limit=1");
            let cursor = cursor_of(&ask(Some(&fixtures.owner), &first).await.1);
            if cursor.is_none() && !is_of_a {
                of_one_row.push(operation.name());
            }
            cursor.map(|cursor| with_query(&first, &format!("cursor={cursor}")))
        } else {
            None
        };
        for (who, credential) in &fixtures.strangers {
            let (status, text) = ask(Some(credential), &url).await;
            look(&mut wrong, fixtures, operation, who, &url, status, &text);
            let may = match status {
                // By role, before anything is looked up: the same for everybody of that role, so it says nothing about A.
                403 => text.contains("The role ") || !is_of_a,
                404 => true,
                _ => !is_of_a,
            };
            if !may {
                let hint = if (400..500).contains(&status) { "; is a good body missing in `bodies`?" } else { "" };
                wrong.push(format!("{} as {who} with A's ids: {status} and not 404{hint}: {}", operation.name(), short(&text)));
            }
            if operation.method == "GET" {
                let filtered = filters(operation, fixtures, &mut wrong).into_iter().map(|query| with_query(&url, &query));
                for filtered in filtered.chain(page.clone()) {
                    let (status, text) = ask(Some(credential), &filtered).await;
                    look(&mut wrong, fixtures, operation, who, &filtered, status, &text);
                }
            }
        }
    }
    let after = owners_view(&operations, fixtures, &send, &mut wrong).await;
    for (url, shown) in &before {
        if after.get(url) != Some(shown) {
            let now = after.get(url).map_or("gone", |text| short(text));
            wrong.push(format!("{url} was changed by another tenant: {} became {now}", short(shown)));
        }
    }
    conclude(wrong);
    of_one_row
}

/// Fails with everything that is wrong.
fn conclude(mut wrong: Vec<String>) {
    wrong.sort();
    wrong.dedup();
    let list = wrong.iter().fold(String::new(), |mut list, line| {
        let _ = writeln!(list, "- {line}");
        list
    });
    assert!(wrong.is_empty(), "the tenant walk found {} thing(s):\n{list}", wrong.len());
}

fn with_query(url: &str, query: &str) -> String {
    format!("{url}{}{query}", if url.contains('?') { '&' } else { '?' })
}

fn cursor_of(page: &str) -> Option<String> {
    serde_json::from_str::<Value>(page).ok()?["next_cursor"].as_str().map(str::to_owned)
}

/// What A sees: each GET must show something, or the walk would prove nothing.
async fn owners_view<F, Fut>(operations: &[Operation], fixtures: &Fixtures, send: &F, wrong: &mut Vec<String>) -> BTreeMap<String, String>
where
    F: Fn(Request) -> Fut,
    Fut: Future<Output = (u16, String)>,
{
    let mut seen = BTreeMap::new();
    for operation in operations.iter().filter(|operation| operation.method == "GET") {
        let Some(url) = address(operation, fixtures, wrong) else { continue };
        let request = Request { credential: Some(fixtures.owner.clone()), method: "GET".to_owned(), url: url.clone(), body: None };
        let (status, text) = send(request).await;
        let is_known_empty = fixtures.without_rows.contains_key(operation.name().as_str());
        if !(200..300).contains(&status) && !is_known_empty {
            wrong.push(format!("{url}: A itself gets {status}; mend the fixture: {}", short(&text)));
        }
        let is_list = operation.path_parameters.is_empty();
        if is_list && !fixtures.is_shown_in(&text, &url) && !is_known_empty {
            wrong.push(format!("{url} shows nothing of A's, so the walk proves nothing there: store a row, or say why in `without_rows`"));
        }
        seen.insert(url, text);
    }
    seen
}

fn look(wrong: &mut Vec<String>, fixtures: &Fixtures, operation: &Operation, who: &str, url: &str, status: u16, text: &str) {
    if fixtures.is_shown_in(text, url) {
        wrong.push(format!("{url} shows {who} of B something of A: {}", short(text)));
    }
    if status >= 500 {
        wrong.push(format!("{} as {who}: {status} {}", operation.name(), short(text)));
    }
}

fn address(operation: &Operation, fixtures: &Fixtures, wrong: &mut Vec<String>) -> Option<String> {
    let mut url = operation.path.clone();
    for name in &operation.path_parameters {
        let here = fixtures.ids_at.get(operation.name().as_str());
        let known = here.or_else(|| fixtures.ids.get(name.as_str())).or_else(|| fixtures.shared.get(name.as_str()));
        let Some(value) = known else {
            wrong.push(format!(
                "{}: no fixture for {{{name}}}; store one for tenant A and add its id to `ids` (or `shared`)",
                operation.name()
            ));
            return None;
        };
        url = url.replace(&format!("{{{name}}}"), value);
    }
    if url.contains('{') {
        wrong.push(format!("{}: a path parameter is not in the document", operation.name()));
        return None;
    }
    if let Some(query) = fixtures.needed.get(operation.name().as_str()) {
        url = format!("{url}?{query}");
    }
    Some(url)
}

fn body(operation: &Operation, fixtures: &Fixtures) -> Option<Value> {
    if !["POST", "PUT", "PATCH"].contains(&operation.method.as_str()) {
        return None;
    }
    Some(fixtures.bodies.get(operation.name().as_str()).cloned().unwrap_or_else(|| json!({})))
}

fn filters(operation: &Operation, fixtures: &Fixtures, wrong: &mut Vec<String>) -> Vec<String> {
    let mut all = Vec::new();
    let needed = fixtures.needed.get(operation.name().as_str()).copied().unwrap_or_default();
    let is_needed = |name: &str| needed.split('&').any(|pair| pair.split('=').next() == Some(name));
    for name in operation.query_parameters.iter().filter(|name| !is_needed(name)) {
        match fixtures.filters.get(name.as_str()) {
            Some(value) if value.is_empty() => {}
            Some(value) => all.push(format!("{name}={value}")),
            None => wrong.push(format!("{}: no value of A's for the filter {name}; add it to `filters`", operation.name())),
        }
    }
    all
}

fn short(text: &str) -> &str {
    text.char_indices().nth(200).map_or(text, |(end, _)| &text[..end])
}
