//! The auto-checks on hostile and on missing material: no panic, little work, and silence where nothing can be known.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use domain::checks::{Finding, MAX_CANDIDATE_BYTES, run};
use domain::task::TaskType;
use proptest::prelude::*;
use serde_json::{Value, json};
use strum::VariantArray;

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!("deep"), |inner, _| json!([inner]))
}

#[test]
fn too_large_a_candidate_gets_one_finding() {
    let hostile = [
        json!({"sql": "x".repeat(MAX_CANDIDATE_BYTES + 1)}),
        json!({"answer": nested(100)}),
        json!({"lines": vec![0; 10_000]}),
        json!({"mapping": (0..6_000).map(|i| (format!("f{i}"), json!(null))).collect::<serde_json::Map<_, _>>()}),
    ];
    for candidate in &hostile {
        for task_type in TaskType::VARIANTS {
            let found = run(*task_type, &[], "", &[candidate]);
            assert_eq!(found.iter().map(|f| (f.check, f.passed)).collect::<Vec<_>>(), [("size", false)]);
        }
    }
}

#[test]
fn hostile_candidates_cost_little_time() {
    let long_sql = |part: &str, n: usize| json!({"sql": format!("SELECT {}1", part.repeat(n))});
    let tools = json!({"kind": "tools", "tools": [{"name": "f", "parameters": {"properties": {"x": {"pattern": "^(a+)+$"}}}}]});
    let terms: Vec<String> = (0..500).map(|i| format!("a a a {i}")).collect();
    let policy = json!({"kind": "policy", "disallowed_terms": terms, "required_disclaimers": vec!["aaaa b"; 500]});
    let text = "a ".repeat(30_000);
    let many: Vec<String> = (0..100).map(|_| "a".to_owned()).collect();
    let input = json!({"kind": "input", "input": {"a": null}, "expects": {"mentions": many, "missing": many, "must_not": many}});
    let names = json!({"kind": "sql_schema", "tables": {"t": (0..4_000).map(|i| format!("c{i}")).collect::<Vec<_>>()}});
    let calls = json!({"kind": "tools", "tools": [{"name": "f", "parameters": {"additionalProperties": false}}]});
    let cases = [
        (TaskType::ToolCallQa, tools.clone(), long_sql("(", 5_000)),
        (TaskType::ToolCallQa, tools.clone(), long_sql("1+", 450)),
        (TaskType::ToolCallQa, tools.clone(), long_sql("1+", 8_000)),
        (TaskType::ToolCallQa, tools.clone(), long_sql("NOT ", 4_000)),
        (TaskType::ToolCallQa, tools.clone(), long_sql("- ", 900)),
        (TaskType::ToolCallQa, tools.clone(), long_sql("1 UNION SELECT ", 320)),
        (TaskType::ToolCallQa, tools.clone(), long_sql("CASE WHEN 1 THEN ", 200)),
        (TaskType::ToolCallQa, tools.clone(), json!({"sql": format!("SELECT 1{} INTO t", "+1".repeat(490))})),
        (TaskType::ToolCallQa, tools.clone(), json!({"sql": format!("SELECT a{}", "[1]".repeat(330))})),
        (TaskType::ToolCallQa, tools.clone(), json!({"sql": format!("DELETE FROM t WHERE 1{}", " AND 1".repeat(490))})),
        (TaskType::ToolCallQa, tools.clone(), json!({"call_text": format!("{}{}", "[".repeat(30_000), "]".repeat(30_000))})),
        (TaskType::ToolCallQa, tools, json!({"call": {"name": "f", "arguments": {"x": format!("{}b", "a".repeat(60_000))}}})),
        (TaskType::ToolCallQa, names.clone(), json!({"sql": format!("SELECT 1{}", " FROM (SELECT 1".repeat(28))})),
        (
            TaskType::ToolCallQa,
            names.clone(),
            json!({"sql": format!("WITH {} SELECT 1", (0..100).map(|i| format!("t{i} AS (SELECT * FROM t)")).collect::<Vec<_>>().join(", "))}),
        ),
        (
            TaskType::ToolCallQa,
            names,
            json!({"sql": format!("SELECT 1 FROM t WHERE {}1{}", "EXISTS (SELECT a FROM t WHERE ".repeat(14), ")".repeat(14))}),
        ),
        (
            TaskType::ToolCallQa,
            calls.clone(),
            json!({"call_text": format!("{{\"name\": \"f\", \"arguments\": {{{}}}}}", (0..3_000).map(|i| format!("\"k{i}\": [")).collect::<String>())}),
        ),
        (
            TaskType::ToolCallQa,
            calls,
            json!({"call_text": format!("{{\"name\": \"f\", \"arguments\": {{{}}}}}", (0..4_000).map(|i| format!("\"k{i}\": 1")).collect::<Vec<_>>().join(","))}),
        ),
        (TaskType::PolicyCompliance, policy.clone(), json!({"text": text})),
        (TaskType::PolicyCompliance, policy.clone(), json!({"text": "A! ".repeat(20_000)})),
        (TaskType::PolicyCompliance, policy.clone(), json!({"text": "<a".repeat(30_000)})),
        (TaskType::PolicyCompliance, policy, json!({"headline": "a", "body": "b", "more": vec!["a a a"; 4_000]})),
        (TaskType::EdgeCaseRedTeam, input.clone(), json!({"answer": text})),
        (TaskType::EdgeCaseRedTeam, input.clone(), json!({"answer": "not a. ".repeat(9_000)})),
        (TaskType::EdgeCaseRedTeam, input, json!({"answer": format!("not {}", "a 1 ".repeat(16_000))})),
        (
            TaskType::TaggingNormalization,
            json!({"kind": "taxonomy", "tags": many, "variants": {"a": "b"}}),
            json!({"tag": "_".repeat(60_000)}),
        ),
    ];
    for (task_type, snippet, candidate) in cases {
        let begin = Instant::now();
        let found = run(task_type, &[snippet], &text, &[&candidate]);
        assert!(!found.is_empty());
        assert!(found.iter().all(|f| f.message.len() < 3_000));
        assert!(begin.elapsed() < Duration::from_secs(20), "{task_type} took {:?}", begin.elapsed());
    }
}

#[test]
fn a_schema_that_refers_elsewhere_is_not_used() {
    for parameters in [
        json!({"$ref": "https://example.com/schema.json"}),
        json!({"$ref": "#"}),
        json!({"$schema": "https://example.com/dialect.json", "type": "object"}),
        json!({"type": "no such type"}),
        json!({"properties": {"x": {"pattern": "("}}}),
    ] {
        let tools = json!({"kind": "tools", "tools": [{"name": "f", "parameters": parameters}]});
        let found = run(TaskType::ToolCallQa, &[tools], "", &[&json!({"call": {"name": "f", "arguments": {}}})]);
        assert!(found.iter().all(|f| f.passed && f.check != "arguments_match_schema"), "{found:?}");
    }
}

#[test]
fn without_context_only_the_candidate_itself_is_judged() {
    let cases = [
        (TaskType::ToolCallQa, json!({"call": {"name": "anything"}}), vec!["candidate_form", "call_form"]),
        (
            TaskType::ToolCallQa,
            json!({"sql": "SELECT x FROM y"}),
            vec!["candidate_form", "sql_parses", "one_statement", "reads_only", "known_sql_functions"],
        ),
        (
            TaskType::SchemaMapping,
            json!({"mapping": {"a": {"to": "b"}}}),
            vec!["candidate_form", "known_transforms", "one_source_per_field"],
        ),
        (TaskType::PolicyCompliance, json!({"text": "Bread"}), vec!["candidate_form", "format"]),
        (TaskType::TaggingNormalization, json!({"tag": "bread"}), vec!["candidate_form", "snake_case"]),
        (TaskType::EdgeCaseRedTeam, json!({"answer": "Clicks: 3"}), vec!["candidate_form", "not_empty", "no_raw_output"]),
    ];
    for (task_type, candidate, checks) in cases {
        let found = run(task_type, &[json!({"kind": "note", "text": "nothing to check with"})], "", &[&candidate]);
        assert_eq!(found.iter().map(|f| f.check).collect::<Vec<_>>(), checks);
        assert!(found.iter().all(|f| f.passed));
    }
}

#[test]
fn candidates_are_told_apart_by_place_and_a_fourth_is_not_looked_at() {
    let (good, bad) = (json!({"tag": "bread"}), json!({"tag": "Bread"}));
    let found = run(TaskType::TaggingNormalization, &[], "", &[&good, &bad, &good, &bad]);
    let form: Vec<_> = found.iter().filter(|f| f.check == "snake_case").map(|f| (f.candidate, f.passed)).collect();
    assert_eq!(form, [(0, true), (1, false), (2, true)]);
}

/// What every finding keeps, whatever it is about.
fn is_sound(task_type: TaskType, found: &[Finding]) {
    let mut seen = std::collections::BTreeSet::new();
    for finding in found {
        assert!(seen.insert((finding.candidate, finding.check)), "{} reports twice: {found:?}", finding.check);
        assert!(domain::checks::catalogue::find(task_type, finding.check).is_some(), "{} is not in the catalogue", finding.check);
        assert_eq!(finding.passed, finding.place.is_none(), "{finding:?}");
        assert!(!finding.message.is_empty() && finding.message.len() < 5_000, "{finding:?}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,30}".prop_map(Value::from)
    ];
    let key = prop::sample::select(vec![
        "kind",
        "tools",
        "name",
        "parameters",
        "call",
        "call_text",
        "sql",
        "arguments",
        "tables",
        "fields",
        "mapping",
        "to",
        "transform",
        "lines",
        "spend",
        "share",
        "expected",
        "budget",
        "constraints",
        "tag",
        "tags",
        "variants",
        "answer",
        "expects",
        "mentions",
        "must_not",
        "input",
        "headline",
        "body",
        "text",
        "disallowed_terms",
        "roas",
    ]);
    leaf.prop_recursive(4, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|m| Value::Object(m.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

/// A context for each task type in which every check has something to do.
fn contexts() -> Vec<(TaskType, Vec<Value>)> {
    let fields =
        json!([{"name": "a", "type": "string", "example": "1,5", "unit": "cents"}, {"name": "b", "type": "money", "required": true}]);
    vec![
        (
            TaskType::ToolCallQa,
            vec![
                json!({"kind": "tools", "tools": [{"name": "f", "parameters": {"required": ["a"], "additionalProperties": false, "properties": {"a": {"type": "integer"}}}}]}),
                json!({"kind": "sql_schema", "tables": {"a": ["b"]}}),
            ],
        ),
        (
            TaskType::SchemaMapping,
            vec![json!({"kind": "source_fields", "fields": fields}), json!({"kind": "canonical_schema", "fields": fields})],
        ),
        (
            TaskType::PolicyCompliance,
            vec![
                json!({"kind": "policy", "disallowed_terms": ["a", "b c"], "required_disclaimers": ["Ad."], "max_lengths": {"*": 10}, "allowed_formats": ["text"]}),
            ],
        ),
        (
            TaskType::PlanQuality,
            vec![json!({"kind": "plan_request", "budget": "1", "currency": "USD", "horizon_days": 7,
                "constraints": {"min_roas": 1, "max_cpa": "1", "spend_all": true, "step": "0.5", "max_share_per_arm": 0.5, "max_share_per_placement": {"a": 0.1}}})],
        ),
        (TaskType::TaggingNormalization, vec![json!({"kind": "taxonomy", "tags": ["a"], "variants": {"A": "a"}})]),
        (
            TaskType::EdgeCaseRedTeam,
            vec![
                json!({"kind": "input", "input": {"a": null, "error": "x"}, "expects": {"mentions": ["a", ["b"]], "must_not": ["c d"], "missing": ["a b"]}}),
            ],
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_panics(snippet in any_json(), candidate in any_json(), prompt in ".{0,60}", kind in prop::sample::select(vec!["tools", "sql_schema", "source_fields", "canonical_schema", "policy", "plan_request", "taxonomy", "input"])) {
        let mut snippet = snippet;
        if let Some(members) = snippet.as_object_mut() {
            members.insert("kind".to_owned(), json!(kind));
        }
        for task_type in TaskType::VARIANTS {
            is_sound(*task_type, &run(*task_type, std::slice::from_ref(&snippet), &prompt, &[&candidate]));
        }
    }

    /// Any bytes as text in the members that the checks read, with a context that lets every check run.
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let parsed = serde_json::from_str::<Value>(&text).unwrap_or(Value::String(text.clone()));
        for (task_type, context) in contexts() {
            for candidate in [
                json!({"sql": text}),
                json!({"call_text": text}),
                json!({"call": {"name": text, "arguments": {text.as_str(): text}}}),
                json!({"mapping": {text.as_str(): {"to": text, "transform": text}, "a": {"to": "b", "transform": text}}}),
                json!({"headline": text, "body": text}),
                json!({"text": text, text.as_str(): text}),
                json!({"lines": [{"placement_type": text, "spend": text, "share": text}], "expected": {"spend": text, "roas": text}, "budget": text}),
                json!({"tag": text}),
                json!({"answer": text}),
                parsed.clone(),
            ] {
                is_sound(task_type, &run(task_type, &context, &text, &[&candidate]));
            }
        }
    }

    /// JSON-like text, valid and not.
    #[test]
    fn no_json_text_panics(text in "(\\{|\\}|\\[|\\]|:|,|\"name\"|\"arguments\"|\"f\"|\"a\"|1|-0.5e3|null|true|\"é\\\\u00e9\"| |\n){0,40}") {
        let context = [json!({"kind": "tools", "tools": [{"name": "f", "parameters": {"required": ["a"], "properties": {"a": {"type": "integer"}}}}]})];
        is_sound(TaskType::ToolCallQa, &run(TaskType::ToolCallQa, &context, "", &[&json!({"call_text": text})]));
    }

    #[test]
    fn no_sql_panics(text in "(SELECT |WITH |FROM |JOIN |USING |UNION |AS |ORDER BY |GROUP BY |EXISTS |a|b|c|\\(|\\)|,|;|'|\"|\\*|1|--|/\\*!?|\\*/|\\.| |\r?\n|é){0,40}") {
        let found = run(TaskType::ToolCallQa, &[json!({"kind": "sql_schema", "tables": {"a": ["b"]}})], "", &[&json!({"sql": text})]);
        is_sound(TaskType::ToolCallQa, &found);
    }
}
