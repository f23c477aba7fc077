//! Bodies, query strings and cursors: each mistake is placed and named.

use serde::Deserialize;
use web::json::{parse_json, parse_query};
use web::paging::{ListQuery, NoFilter, Page, Slice};
use web::problem::Problem;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Campaign {
    name: String,
    budget: Budget,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Budget {
    amount: u32,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Filter {
    is_active: Option<bool>,
}

fn said(problem: &Problem) -> (u64, String, String) {
    let body = problem.body();
    (
        body["status"].as_u64().unwrap(),
        body["errors"][0]["field"].as_str().unwrap_or("").to_owned(),
        body["detail"].as_str().unwrap().to_owned(),
    )
}

#[test]
fn json_mistakes_are_placed() {
    let cases = [
        (r#"{"name": "a", "budget": {"amount": 1}"#, 400, "", "line 1, column"),
        ("{\"name\": \"a\",\n oops}", 400, "", "line 2, column 2"),
        ("", 400, "", "line 1, column 0"),
        (r#"{"name": "a", "budget": {"amount": 1}} x"#, 400, "", "trailing"),
        (r#"{"name": "a", "budget": {"amount": "many"}}"#, 422, "budget.amount", "must be a whole number of 0 or more, not the text"),
        (r#"{"name": "a", "budget": {"amount": -1}}"#, 422, "budget.amount", "must be a whole number of 0 or more, not -1"),
        (r#"{"name": "a", "budget": {}}"#, 422, "budget.amount", "is required"),
        (r#"{"budget": {"amount": 1}}"#, 422, "name", "is required"),
        (r#"{"name": "a", "budget": {"amount": 1, "colour": 2}}"#, 422, "budget.colour", "is not a known field; expected `amount`"),
        (r#"{"name": "a", "name": "b", "budget": {"amount": 1}}"#, 422, "name", "is given twice"),
        ("[1,2]", 422, "", "must be an object, not a list"),
    ];
    for (text, status, field, words) in cases {
        let problem = parse_json::<Campaign>(text.as_bytes()).unwrap_err();
        let (got_status, got_field, detail) = said(&problem);
        assert_eq!((got_status, got_field.as_str()), (status, field), "{text}: {detail}");
        assert!(detail.contains(words), "{text}: {detail}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(said(&parse_json::<serde_json::Value>(deep.as_bytes()).unwrap_err()).0, 400);
}

#[test]
fn query_mistakes_are_named() {
    assert_eq!(parse_query::<Filter>("is_active=true").unwrap(), Filter { is_active: Some(true) });
    assert_eq!(parse_query::<Filter>("is_active=").unwrap(), Filter { is_active: None });
    let (status, field, _) = said(&parse_query::<Filter>("is_active=perhaps").unwrap_err());
    assert_eq!((status, field.as_str()), (422, "is_active"));
    let (status, field, _) = said(&parse_query::<Filter>("colour=red").unwrap_err());
    assert_eq!((status, field.as_str()), (422, "colour"));
}

/// PostgreSQL takes the character NUL in no text, so it is refused before any database is asked.
#[test]
fn the_character_nul_is_refused_in_queries_bodies_and_cursors() {
    #[derive(Debug, Deserialize)]
    struct Named {
        name: Option<String>,
    }
    for query in ["name=%00", "name=a%00b", "%00=a"] {
        let (status, field, detail) = said(&parse_query::<Named>(query).unwrap_err());
        assert_eq!((status, detail.contains("must not hold the character NUL")), (422, true), "{query}: {detail}");
        assert_eq!(field, if query.starts_with("name") { "name" } else { "?" });
    }
    assert_eq!(parse_query::<Named>("name=%2500").unwrap().name.as_deref(), Some("%00"));
    let (status, field, _) = said(&parse_json::<serde_json::Value>(br#"{"rows": [{"name": "a\u0000"}]}"#).unwrap_err());
    assert_eq!((status, field.as_str()), (422, "rows[0].name"));
    let cursor = Some("WyJhXHUwMDAwIl0".to_owned());
    assert_eq!(Page { limit: 50, cursor }.after::<(String,)>().unwrap_err().code(), "invalid_cursor");
}

#[test]
fn a_body_that_is_not_utf_8_is_refused_wherever_the_fault_stands() {
    #[derive(Debug, Deserialize)]
    struct Named {}
    for body in [&b"{\"known\": \"\xff\"}"[..], b"{\"a\": {\"b\": [\"\xc3\x28\"]}}"] {
        assert_eq!(parse_json::<Named>(body).unwrap_err().code(), "malformed_json");
    }
}

#[test]
fn pages_follow_each_other_to_the_end() {
    let all: Vec<u32> = (1..=7).collect();
    let mut cursor = String::new();
    let mut seen = Vec::new();
    loop {
        let query = ListQuery::<Filter>::parse(&format!("limit=3&is_active=true&cursor={cursor}")).unwrap();
        assert_eq!(query.filter.is_active, Some(true));
        let after: (u32,) = query.page.after().unwrap().unwrap_or((0,));
        let rows = all.iter().copied().filter(|n| *n > after.0).take(usize::try_from(query.page.limit_and_one()).unwrap()).collect();
        let slice = Slice::of_rows(rows, &query.page, |n| (*n,));
        seen.extend(slice.data);
        match slice.next_cursor {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert_eq!(seen, all);
}

#[test]
fn page_limits_and_foreign_cursors_are_refused() {
    assert_eq!(ListQuery::<NoFilter>::parse("").unwrap().page, Page { limit: 50, cursor: None });
    for bad in ["limit=0", "limit=501", "limit=-1", "limit=x", "limit=1&limit=2"] {
        let problem = ListQuery::<NoFilter>::parse(bad).unwrap_err();
        assert_eq!(said(&problem).1, "limit", "{bad}");
    }
    assert_eq!(said(&ListQuery::<NoFilter>::parse("colour=1").unwrap_err()).1, "colour");
    for bad in ["%%%", "bm90IGpzb24", "WyJ0ZXh0Il0"] {
        let page = Page { limit: 50, cursor: Some(bad.to_owned()) };
        assert_eq!(page.after::<(u32,)>().unwrap_err().code(), "invalid_cursor", "{bad}");
    }
}

#[test]
fn problem_body_has_the_members_of_the_contract() {
    let problem = Problem::conflict("transition_not_allowed", "A draft cannot be paused.")
        .with_extra("allowed", ["scheduled"])
        .with_extra("status", 200);
    let body = problem.body();
    assert_eq!(body["type"], "/docs/errors#transition_not_allowed");
    assert_eq!(body["title"], "Transition not allowed");
    assert_eq!(body["status"], 409, "standard members cannot be replaced");
    assert_eq!(body["code"], "transition_not_allowed");
    assert_eq!(body["allowed"][0], "scheduled");
    assert!(body["errors"].as_array().unwrap().is_empty() && body.get("request_id").is_some());
    let internal = Problem::internal(std::io::Error::other("password=hunter2"));
    assert!(!internal.body().to_string().contains("hunter2"));
    assert_eq!(internal.chain().unwrap(), "password=hunter2");
}
