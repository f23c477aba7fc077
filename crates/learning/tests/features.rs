//! What a candidate turns into: readable names, nothing invented, bounded whatever comes in.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use learning::features::hashed::{BUCKETS, Group};
use learning::features::{CheckResult, Features, MAX_NUMBERS, TEXT_LENGTH, candidate_features};
use serde_json::{Value, json};

fn check(name: &str, passed: bool) -> CheckResult {
    CheckResult { check: name.to_owned(), passed }
}

#[test]
fn a_plan_becomes_named_numbers() {
    let plan = json!({
        "total_budget": { "amount": "1200.50", "currency": "USD" },
        "lines": [{ "placement": "search", "spend": 700.0 }, { "placement": "display", "spend": 500.5 }],
        "is_balanced": true,
        "margin": null,
    });
    let context = json!({ "spend": 2401.0, "objective": "conversion" });
    let checks = [check("budget_adds_up", true), check("roas_floor", false)];
    let features = candidate_features(&plan, &checks, &context);
    let expected = [
        ("total_budget.amount", 1200.5),
        ("lines.count", 2.0),
        ("lines[].spend.sum", 1200.5),
        ("lines[].spend.max", 700.0),
        ("relative:lines[].spend", 0.5),
        ("is_balanced", 1.0),
        ("checks.passed", 0.5),
        ("check:budget_adds_up", 1.0),
        ("check:roas_floor", 0.0),
        ("text.words", 3.0),
    ];
    for (name, value) in expected {
        assert_eq!(features.numbers.get(name), Some(&value), "{name}");
    }
    assert!(!features.numbers.keys().any(|name| name.contains("margin")), "absent is not zero");
    assert!(texts(&features, Group::Words).contains(&"usd"));
}

#[test]
fn text_is_measured_and_its_words_are_counted() {
    let text = json!("Save 20% today!\n- Free delivery\n- Free returns");
    let features = candidate_features(&text, &[], &json!({ "prompt": "Announce free delivery" }));
    assert_eq!(features.numbers[TEXT_LENGTH], 46.0);
    assert_eq!(features.numbers["text.lines"], 3.0);
    assert_eq!(features.numbers["text.list_items"], 2.0);
    assert!((features.numbers["text.context_covered"] - 2.0 / 3.0).abs() < 1e-12);
    assert!(texts(&features, Group::Words).contains(&"free") && texts(&features, Group::Words).contains(&"%"));
    assert!(texts(&features, Group::Pairs).contains(&"free delivery"));
    assert_eq!(texts(&features, Group::Shared).len(), 2, "free and delivery stand in the context");
    assert!(texts(&features, Group::Stems).contains(&"deliv"));
    assert!(texts(&features, Group::Asked).contains(&"announce"));
    for group in [Group::Words, Group::Stems, Group::Pairs, Group::Shared] {
        let own = features.words.iter().filter(|word| Group::of(word.bucket) == Some(group));
        let length: f64 = own.map(|word| f64::from(word.value).powi(2)).sum();
        assert!((length - 1.0).abs() < 1e-6, "{group:?} {length}");
    }
    assert!(features.words.is_sorted_by(|x, y| x.bucket < y.bucket));
    assert!(features.words.iter().all(|word| word.bucket < BUCKETS * 5));
}

fn texts(features: &Features, group: Group) -> Vec<&str> {
    features.words.iter().filter(|word| Group::of(word.bucket) == Some(group)).map(|word| features.text_of(word)).collect()
}

#[test]
fn buckets_of_words_never_move() {
    // FNV-1a of "a" is 0xaf63dc4c8601ec8c (Fowler, Noll, Vo); the halves are folded, then taken modulo.
    let features = candidate_features(&json!("A"), &[], &Value::Null);
    let hash: u64 = 0xaf63_dc4c_8601_ec8c;
    let bucket = ((hash ^ (hash >> 32)) % u64::from(BUCKETS)) as u32;
    assert_eq!(features.words[0].bucket, bucket);
}

#[test]
fn anything_goes_in_and_little_comes_out() {
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!({ "next": deep });
    }
    let wide: Value = (0..30_000).map(|n| (format!("key{n}"), json!(n))).collect::<serde_json::Map<_, _>>().into();
    let long = json!("ä €".repeat(200_000));
    for value in [Value::Null, json!([]), json!({}), json!(""), json!([[[1], []], 2]), json!(1e308), deep, wide, long] {
        let features = candidate_features(&value, &[], &value);
        assert!(features.numbers.len() <= MAX_NUMBERS);
        assert!(features.numbers.values().all(|number| number.is_finite()));
        assert!(features.words.iter().all(|word| word.value.is_finite()));
    }
    assert!(candidate_features(&Value::Null, &[], &Value::Null).numbers.is_empty());
    assert_eq!(candidate_features(&json!(3.5), &[], &Value::Null).numbers["value"], 3.5);
}
