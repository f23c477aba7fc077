//! PostgREST of the stand-in: rows of tables in memory, equality filters, limit and order of insertion, its refusals.

use serde_json::{Value, json};

use super::http::{Reply, Request};
use super::{Held, SERVICE_KEY};

const NO_FILTERS: [&str; 6] = ["select", "order", "limit", "offset", "on_conflict", "columns"];

fn refuse(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "code": code, "details": null, "hint": null, "message": message }))
}

pub(super) fn answer(held: &mut Held, request: &Request) -> Reply {
    let name = request.path.strip_prefix("/rest/v1/").unwrap_or_default();
    let is_service = request.header("apikey") == SERVICE_KEY;
    if name.is_empty() {
        return if is_service {
            Reply::json(200, &json!({ "swagger": "2.0" }))
        } else {
            refuse(401, "PGRST301", "Access to schema is forbidden")
        };
    }
    let filters: Vec<(String, String)> = request.pairs().into_iter().filter(|(name, _)| !NO_FILTERS.contains(&name.as_str())).collect();
    let Some(rows) = held.tables.get_mut(name) else {
        return refuse(404, "PGRST205", &format!("Could not find the table 'public.{name}' in the schema cache"));
    };
    if !is_service {
        return refuse(401, "42501", &format!("permission denied for table {name}"));
    }
    if filters.iter().any(|(_, value)| !value.starts_with("eq.")) {
        return refuse(400, "PGRST100", "failed to parse filter");
    }
    let fits = |row: &Value| filters.iter().all(|(column, value)| text_of(&row[column]) == value.trim_start_matches("eq."));
    let wants_rows = request.header("prefer").contains("return=representation");
    let (status, touched) = match request.method.as_str() {
        "GET" => {
            let range: Option<(usize, usize)> =
                request.header("range").split_once('-').and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
            let (offset, limit) = match range {
                Some((from, to)) => (from, to + 1 - from),
                None => (request.query("offset").parse().unwrap_or(0), request.query("limit").parse().unwrap_or(usize::MAX)),
            };
            return Reply::json(200, &json!(rows.iter().filter(|row| fits(row)).skip(offset).take(limit).collect::<Vec<_>>()));
        }
        "POST" => {
            let body = request.json();
            let new: Vec<Value> = body.as_array().cloned().unwrap_or_else(|| vec![body]);
            let unique = request.query("on_conflict");
            for row in &new {
                match rows.iter_mut().find(|there| !unique.is_empty() && there[&unique] == row[&unique]) {
                    Some(there) => *there = row.clone(),
                    None => rows.push(row.clone()),
                }
            }
            (201, new)
        }
        "PATCH" => {
            let changes = request.json();
            let mut touched = Vec::new();
            for row in rows.iter_mut().filter(|row| fits(row)) {
                for (column, value) in changes.as_object().into_iter().flatten() {
                    row[column] = value.clone();
                }
                touched.push(row.clone());
            }
            (200, touched)
        }
        "DELETE" => {
            let gone: Vec<Value> = rows.iter().filter(|row| fits(row)).cloned().collect();
            rows.retain(|row| !fits(row));
            (200, gone)
        }
        _ => return Reply::empty(405),
    };
    match (wants_rows, status) {
        (true, status) => Reply::json(status, &json!(touched)),
        (false, 201) => Reply::empty(201),
        (false, _) => Reply::empty(204),
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
