//! What this version of the checks finds in a few inputs, word for word. Whoever changes a rule raises `VERSION`, then writes the new findings here:
//! figures of different versions are not compared.

use domain::checks::VERSION;
use domain::task::TaskType;
use serde_json::{Value, json};

use crate::table::{findings, plan};

fn inputs() -> Vec<(TaskType, Value)> {
    let mut over = plan();
    over["lines"][0]["spend"] = json!("60.000002");
    vec![
        (TaskType::ToolCallQa, json!({"call": {"name": "pause_campaign", "arguments": {"campaign_id": 7}}})),
        (TaskType::ToolCallQa, json!({"sql": "SELECT c.name, ctr\nFROM campaigns c; DROP TABLE campaigns"})),
        (TaskType::SchemaMapping, json!({"mapping": {"cost_cents": {"to": "spend"}, "day": {"to": "date", "transform": "date_iso"}}})),
        (TaskType::PolicyCompliance, json!({"headline": "A cure for hunger", "body": "Ad. Fresh bread!!"})),
        (TaskType::PlanQuality, over),
        (TaskType::TaggingNormalization, json!({"tag": "Frozen Ice"})),
        (TaskType::EdgeCaseRedTeam, json!({"answer": "Clicks were 0, and the campaign is approved."})),
    ]
}

#[test]
fn findings_of_this_version() {
    let mut found = format!("version {VERSION}\n");
    for (task_type, candidate) in inputs() {
        found.push_str(&format!("{task_type}\n"));
        for finding in findings(task_type, &candidate) {
            let place = finding.place.unwrap_or_default();
            found.push_str(&format!("  {} {} [{place}] {}\n", if finding.passed { "+" } else { "-" }, finding.check, finding.message));
        }
    }
    let kept = include_str!("snapshot.txt");
    assert_eq!(found, kept, "findings have changed: raise VERSION of domain::checks, then keep these in snapshot.txt:\n{found}");
}
