//! Bad JSON calls.

use domain::task::TaskType;
use serde_json::{Value, json};

use crate::table::fails;

#[test]
fn bad_tool_calls_fail() {
    let call = |name: &str, arguments: Value| json!({"call": {"name": name, "arguments": arguments}});
    let text = |text: &str| json!({ "call_text": text });
    let days = json!({"campaign_id": "cmp-a", "from": "2017-03-01", "to": "2017-03-31"});
    let with = |name: &str, value: Value| {
        let mut arguments = days.clone();
        arguments[name] = value;
        call("get_performance", arguments)
    };
    fails(
        TaskType::ToolCallQa,
        30,
        vec![
            (json!({}), "candidate_form", "no call", ""),
            (json!("get_performance()"), "candidate_form", "no call", ""),
            (json!({"call": "get_performance"}), "candidate_form", "no call", "/call"),
            (json!({"sql": 7}), "candidate_form", "no call", "/sql"),
            (json!({"sql": "SELECT 1", "call": {"name": "pause_campaign"}}), "candidate_form", "keep one", "/call"),
            (text("{\"name\": \"pause_campaign\", }"), "json_parses", "no JSON", "/call_text line 1, column 28"),
            (text(""), "json_parses", "no JSON", "/call_text line 1, column 1"),
            (text("pause_campaign(campaign_id=1)"), "json_parses", "no JSON", "/call_text line 1, column 1"),
            (text("{\"name\": \"é\",\n 'arguments': {}}"), "json_parses", "no JSON", "/call_text line 2, column 2"),
            (
                text("{\"name\": \"pause_campaign\", \"arguments\": {\"campaign_id\": NaN}}"),
                "json_parses",
                "no JSON",
                "/call_text line 1, column 57",
            ),
            (text("{\"name\": \"list_campaigns\", \"arguments\": {}} DROP"), "json_parses", "trailing", "/call_text line 1, column 45"),
            (text("{\"name\": \"pause_campaign\"} // now"), "json_parses", "trailing", "/call_text line 1, column 28"),
            (
                text("{\"name\": \"list_campaigns\", \"arguments\": {\"limit\": 1e999}}"),
                "json_parses",
                "out of range",
                "/call_text line 1, column 55",
            ),
            (
                text("{\"name\": \"list_campaigns\",\n \"name\": \"pause_campaign\"}"),
                "members_once",
                "\"name\" stands twice",
                "/call_text line 2, column 7",
            ),
            (
                text("{\"name\": \"pause_campaign\", \"arguments\": {\"campaign_id\": \"a\", \"campaign_id\": \"b\"}}"),
                "members_once",
                "stands twice",
                "/call_text line 1, column 74",
            ),
            (text(&format!("{}{}", "[".repeat(200), "]".repeat(200))), "json_parses", "recursion limit", "/call_text line 1, column 128"),
            (json!({"call": {"name": "list_campaigns", "args": {"limit": 1}}}), "call_form", "no \"args\"", "/call/args"),
            (
                text("{\"name\": \"list_campaigns\",\n  \"args\": {}}"),
                "call_form",
                "under \"arguments\"",
                "/call_text/args line 2, column 11",
            ),
            (call("pause_campaign", json!(["cmp-a"])), "call_form", "must be an object", "/call/arguments"),
            (call("pause_campaign", json!("{\"campaign_id\": \"cmp-a\"}")), "call_form", "but are the text", "/call/arguments"),
            (text("[1]"), "known_function", "names no function", "/call_text/name line 1, column 1"),
            (json!({"call": {"arguments": {}}}), "known_function", "names no function", "/call/name"),
            (call("get_performances", json!({})), "known_function", "there are get_performance", "/call/name"),
            (call("list_\u{441}ampaigns", json!({})), "known_function", "no function", "/call/name"),
            (call("List_Campaigns", json!({})), "known_function", "no function", "/call/name"),
            (
                json!({"call": {"name": "pause_campaign"}}),
                "required_arguments",
                "\"campaign_id\" is missing",
                "/call/arguments/campaign_id",
            ),
            (
                call("get_performance", json!({"campaign_id": "cmp-a", "from": "2017-03-01"})),
                "required_arguments",
                "\"to\"",
                "/call/arguments/to",
            ),
            (
                call("pause_campaign", json!({"campaign_id": 7})),
                "argument_types",
                "must be a text, but is the number 7",
                "/call/arguments/campaign_id",
            ),
            (
                call("pause_campaign", json!({"campaign_id": null})),
                "argument_types",
                "must be a text, but is null",
                "/call/arguments/campaign_id",
            ),
            (with("limit", json!("5")), "argument_types", "must be a whole number, but is the text \"5\"", "/call/arguments/limit"),
            (with("limit", json!(1.5)), "argument_types", "must be a whole number", "/call/arguments/limit"),
            (with("group_by", json!("day")), "argument_types", "must be a list", "/call/arguments/group_by"),
            (
                text("{\"name\": \"pause_campaign\",\n \"arguments\": {\"campaign_id\": 7}}"),
                "argument_types",
                "must be a text",
                "/call_text/arguments/campaign_id line 2, column 31",
            ),
            (with("campaign_id", json!("CMP A")), "arguments_match_schema", "pattern", "/call/arguments/campaign_id"),
            (with("from", json!("2017-02-30")), "arguments_match_schema", "a date that exists", "/call/arguments/from"),
            (with("from", json!("03/01/2017")), "arguments_match_schema", "a date that exists", "/call/arguments/from"),
            (with("limit", json!(501)), "arguments_match_schema", "at most 500", "/call/arguments/limit"),
            (with("limit", json!(-1)), "arguments_match_schema", "at least 1", "/call/arguments/limit"),
            (with("group_by", json!(["day", "hour"])), "arguments_match_schema", "one of \"\\\"day\\\"\"", "/call/arguments/group_by/1"),
            (with("order", json!("up")), "arguments_match_schema", "not one that the function takes", "/call/arguments/order"),
            (with("Limit", json!(1)), "arguments_match_schema", "there are", "/call/arguments/Limit"),
        ],
    );
}
