//! Bodies that are broken in every way a seeded chance finds: each is taken whole or refused with words, and what is taken means what was sent.

use std::collections::BTreeMap;

use actix_web::ResponseError as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use testkit::fuzz;
use web::json::{parse_json, parse_query};

/// Every kind of member that our bodies have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    name: String,
    #[serde(default)]
    note: Option<String>,
    count: i64,
    small: u8,
    share: f64,
    is_on: bool,
    kind: Kind,
    parts: Vec<Part>,
    #[serde(default)]
    free: BTreeMap<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    First,
    Second { of: u32 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    at: chrono::DateTime<chrono::Utc>,
    pair: (i32, String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    limit: Option<u16>,
}

fn bodies() -> Vec<Vec<u8>> {
    let part = json!({"at": "2026-01-15T12:00:00Z", "pair": [1, "ä"]});
    let whole = json!({
        "name": "a \"quoted\" name", "note": null, "count": -9_223_372_036_854_775_808_i64, "small": 255, "share": 0.1, "is_on": true,
        "kind": {"second": {"of": 7}}, "parts": [part, part], "free": {"deep": [[[[{"x": 1e300}]]]], "text": "\u{1f600}"},
    });
    let least = json!({"name": "", "count": 0, "small": 0, "share": 0, "is_on": false, "kind": "first", "parts": []});
    [&whole, &least].map(|body| body.to_string().into_bytes()).into()
}

#[test]
fn broken_bodies_are_refused_with_words_or_mean_what_was_sent() {
    let (mut taken, mut malformed, mut invalid) = (0, 0, 0);
    let given = fuzz::run("bodies", 60_000, &bodies(), |_, input| match parse_json::<Body>(input) {
        Ok(body) => {
            taken += 1;
            let text = std::str::from_utf8(input).expect("what is no text is no body");
            assert!(!serde_json::to_string(&body).unwrap().contains("\\u0000"), "{text}: the database could not hold it");
            // What serde_json alone reads is the same, so that wrapping it changed nothing.
            let plain: Body = serde_json::from_slice(input).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(plain, body, "{text}");
            assert!(text.trim_start().starts_with('{'), "{text}: an object is an object");
        }
        Err(problem) => {
            let status = problem.status_code().as_u16();
            match status {
                400 => malformed += 1,
                422 => invalid += 1,
                _ => panic!("{status}: {:?}", String::from_utf8_lossy(input)),
            }
            assert!(problem.detail().len() < 8 * input.len() + 2_000, "the refusal grows out of proportion: {}", problem.detail());
        }
    });
    println!("bodies: {taken} taken, {malformed} malformed, {invalid} invalid");
    assert!(taken > given / 50 && malformed > given / 50 && invalid > given / 50, "the fuzz reaches nothing");
}

#[test]
fn broken_query_strings_are_refused_with_words() {
    let corpus = ["from=2026-01-15&limit=20", "limit=65536&from=%00", "from=a%20b+c&limit=", "from=%ff%fe&from=2"]
        .map(|text| text.as_bytes().to_vec());
    let mut taken = 0;
    let given = fuzz::run("queries", 40_000, &corpus, |_, input| {
        let text = String::from_utf8_lossy(input);
        match parse_query::<Query>(&text) {
            Ok(query) => {
                taken += u64::from(query.limit.is_some());
                assert!(!query.from.unwrap_or_default().contains('\0'), "{text}");
            }
            Err(problem) => assert_eq!(problem.status_code().as_u16(), 422, "{text}"),
        }
    });
    assert!(taken > given / 50, "the fuzz reaches nothing");
}
