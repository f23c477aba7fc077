//! Storage of the stand-in: buckets and objects, refusals with the true status in the body.

use serde_json::{Value, json};

use super::http::{Reply, Request, decoded};
use super::{Held, SERVICE_KEY};

/// A bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Whether anybody may read it.
    pub is_public: bool,
}

fn refuse(status: u16, message: &str) -> Reply {
    Reply::json(400, &json!({ "statusCode": status.to_string(), "error": "x", "message": message }))
}

/// The object, or the range of it that is asked for.
#[must_use]
pub fn give(object: &[u8], request: &Request) -> Reply {
    let mut headers = vec![("etag", "\"e\"".to_owned()), ("last-modified", "Thu, 15 Jan 2026 12:00:00 GMT".to_owned())];
    match request.header("range").strip_prefix("bytes=").and_then(|range| range.split_once('-')) {
        Some((from, to)) => {
            let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
            headers.push(("content-range", format!("bytes {from}-{to}/{}", object.len())));
            Reply { status: 206, headers, body: object[from..=to].to_vec() }
        }
        None => Reply { status: 200, headers, body: object.to_vec() },
    }
}

pub(super) fn answer(held: &mut Held, request: &Request) -> Reply {
    if request.header("apikey") != SERVICE_KEY {
        return if request.method == "GET" && request.path == "/storage/v1/bucket" {
            // Without a policy nobody else sees a bucket.
            Reply::json(200, &json!([]))
        } else {
            refuse(403, "new row violates row-level security policy")
        };
    }
    let path = decoded(request.path.strip_prefix("/storage/v1").unwrap_or_default());
    match (request.method.as_str(), path.as_str()) {
        ("GET", "/bucket") => {
            let all: Vec<Value> =
                held.buckets.iter().map(|(id, bucket)| json!({ "id": id, "name": id, "public": bucket.is_public })).collect();
            Reply::json(200, &json!(all))
        }
        ("POST", "/bucket") => {
            let body = request.json();
            let id = body["id"].as_str().unwrap_or_default().to_owned();
            if held.buckets.contains_key(&id) {
                return refuse(409, "The resource already exists");
            }
            held.buckets.insert(id.clone(), Bucket { is_public: body["public"] == true });
            Reply::json(200, &json!({ "name": id }))
        }
        ("DELETE", path) => {
            for key in request.json()["prefixes"].as_array().into_iter().flatten() {
                held.objects.remove(&format!("{path}/{}", key.as_str().unwrap_or_default()));
            }
            Reply::json(200, &json!([]))
        }
        (method, path) => {
            let bucket = path.split('/').nth(2).unwrap_or_default();
            if !held.buckets.contains_key(bucket) {
                return refuse(404, "Bucket not found");
            }
            match (method, held.objects.get(path)) {
                ("POST", Some(_)) if request.header("x-upsert") != "true" => refuse(409, "The resource already exists"),
                ("POST", _) => {
                    held.objects.insert(path.to_owned(), request.body.clone());
                    Reply::json(200, &json!({ "Key": path }))
                }
                (_, Some(object)) => give(object, request),
                (_, None) => refuse(404, "Object not found"),
            }
        }
    }
}
