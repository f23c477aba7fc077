//! The catalogue names every check there is, and docs/checks.md shows the catalogue.

use std::collections::BTreeSet;

use domain::checks::catalogue::{CHECKS, find, not_applicable};
use domain::checks::{VERSION, run};
use domain::task::TaskType;
use serde_json::json;
use strum::VariantArray;

use crate::table::{findings, plan};

#[test]
fn every_check_is_named_once_and_has_a_rule() {
    let names: BTreeSet<_> = CHECKS.iter().map(|one| (one.task_type, one.check)).collect();
    assert_eq!(names.len(), CHECKS.len());
    for task_type in TaskType::VARIANTS {
        assert!(find(*task_type, "candidate_form").is_some() && find(*task_type, "size").is_some());
    }
    assert!(CHECKS.iter().all(|one| one.rule.ends_with('.') && !one.place.is_empty() && !one.parser.is_empty()));
    assert!(find(TaskType::PlanQuality, "sql_parses").is_none());
}

#[test]
fn what_does_not_apply_is_known_with_what_it_needs() {
    let candidate = json!({"answer": "Clicks are missing."});
    let found = run(TaskType::EdgeCaseRedTeam, &[], "", &[&candidate]);
    let absent = not_applicable(TaskType::EdgeCaseRedTeam, 0, &found);
    let names: Vec<&str> = absent.iter().map(|one| one.check).collect();
    assert_eq!(names, ["names_the_problem", "handles_error", "no_number_for_missing", "resists_instructions"]);
    assert!(absent.iter().all(|one| !one.needs.is_empty()));
    assert!(not_applicable(TaskType::PlanQuality, 0, &findings(TaskType::PlanQuality, &plan())).is_empty());
}

#[test]
fn the_page_shows_the_catalogue() {
    let page = std::fs::read_to_string(format!("{}/../../docs/checks.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
    assert!(page.contains(&format!("version {VERSION}")), "the page is of another version");
    for one in CHECKS {
        let needs = if one.needs.is_empty() { "-" } else { one.needs };
        let row = format!("| `{}` | `{}` | {} | {needs} | {} | {} |", one.check, one.task_type, one.rule, one.place, one.parser);
        assert!(page.contains(&row), "docs/checks.md lacks this row; put it in:\n{row}");
    }
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| `") && TaskType::VARIANTS.iter().any(|t| line.contains(&format!("| `{t}` |"))))
        .count();
    assert_eq!(rows, CHECKS.len(), "docs/checks.md has rows of checks that are not there");
}
