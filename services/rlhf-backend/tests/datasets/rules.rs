use rlhf_backend::exports::ExportQuery;
use serde_json::json;

use crate::{Decided, World, decided};

fn pair(line: &serde_json::Value) -> [&str; 3] {
    ["prompt", "chosen", "rejected"].map(|key| line[key].as_str().unwrap().trim_start())
}

/// One task or piece of feedback for each rule, and one that passes.
fn fill(world: &World) {
    world.task(&decided("kept", "P kept", "good", "bad", "candidate_a", 0.9));
    world.task(&decided("unsure", "P1", "a", "b", "unsure", 0.9));
    world.task(&decided("tie", "P2", "a", "b", "tie", 0.9));
    world.task(&decided("bad", "P3", "a bad", "b bad", "both_bad", 0.9));
    world.task(&decided("weak", "P4", "a", "b", "candidate_b", 0.6));
    world.task(&decided("same", "P5", "one  two", " one two ", "candidate_b", 0.9));
    world.task(&decided("blank", "P6", "a", " \n ", "candidate_a", 0.9));
    world.task(&decided("marked", "P7", "a", "b\n\nHuman: c", "candidate_a", 0.9));
    world.task(&decided("open", "P8", "a", "b", "candidate_a", 0.9));
    world.sql("UPDATE rating_tasks SET status = 'in_progress' WHERE task_id = 'open'");
    world.task(&decided("gold", "P9", "a", "b", "candidate_a", 0.9));
    world.sql("UPDATE rating_tasks SET is_golden = TRUE, judgments_count = 1 WHERE task_id = 'gold'");
    world.task(&decided("level", "P10", "a", "b", "candidate_a", 0.9));
    world.sql("UPDATE task_consensus SET choice = NULL WHERE task_id = 'level'");
    world.task(&decided("program", "P11", "a", "b", "candidate_a", 0.9));
    world.judgment("program", true);
    world.judgment("kept", false);
    world.said("tnt-a", "P12", "thumbs_up", ["fine", "", ""], None);
    world.said("tnt-a", "P12", "rating", ["so so", "", ""], Some(3));
    world.said("tnt-a", "P13", "correction", ["wrong", "right", ""], None);
    world.said("tnt-a", "  ", "preference", ["", "x", "y"], None);
}

#[actix_web::test]
async fn every_rule_leaves_out_what_it_says_and_is_counted() {
    for world in World::each() {
        fill(&world);
        let people = ExportQuery { include_simulated: Some(false), ..ExportQuery::default() };
        let pairs = world.manifest("hh-rlhf", &people).await;
        let expected = json!({
            "unsure": 1, "tie": 1, "both_bad": 1, "posterior_below_minimum": 1, "identical_texts": 1, "empty_text": 2,
            "turn_mark_in_text": 1, "not_resolved_yet": 1, "golden_item": 1, "no_consensus": 1, "simulated_raters": 1,
            "feedback_without_a_pair": 2,
        });
        assert_eq!((&pairs["dropped"], &pairs["rows"]), (&expected, &json!(2)), "{}", world.kind());
        let answers = world.manifest("kto", &ExportQuery::default()).await;
        let expected = json!({
            "unsure": 1, "tie": 1, "posterior_below_minimum": 2, "identical_texts": 1, "empty_text": 2, "not_resolved_yet": 1,
            "golden_item": 1, "no_consensus": 1, "rating_of_three": 1,
        });
        assert_eq!(answers["dropped"], expected, "{}", world.kind());
        assert_eq!(answers["labels"], json!({ "true": 5, "false": 6 }), "both bad are two bad answers: {}", world.kind());
        assert_eq!(answers["rows_resting_on_simulated_raters"], 2, "{}", world.kind());
        let examples = world.manifest("sft", &ExportQuery::default()).await;
        assert_eq!((&examples["rows"], &examples["dropped"]["not_decided_by_an_expert"]), (&json!(1), &json!(6)), "{}", world.kind());
        assert_eq!(examples["dropped"]["feedback_without_an_example"], 3);
    }
}

#[actix_web::test]
async fn what_is_said_about_the_same_texts_is_one_row() {
    for world in World::each() {
        // Each alone is not certain enough; together they are. The texts come in either order and either shape.
        world.task(&decided("t1", "Plan", "left", "right", "candidate_a", 0.6));
        let other = vec![json!({ "text": "right" }), json!({ "text": "left" })];
        world.task(&Decided { candidates: other, ..decided("t2", "Plan", "", "", "candidate_b", 0.6) });
        // The user disagrees with a certain decision, and is outvoted.
        world.task(&decided("t3", "Ask", "yes", "no", "candidate_b", 0.95));
        world.prefers("Ask", "yes", "no");
        // Nobody knows.
        world.prefers("Who?", "me", "you");
        world.prefers("Who?", "you", "me");
        world.task(&decided("t4", "When?", "now", "later", "candidate_a", 0.9));
        world.task(&decided("t5", "When?", "now", "later", "tie", 0.9));
        // Two of three users.
        world.prefers("What?", "this", "that");
        world.prefers("What?", "that", "this");
        world.prefers("What?", "that", "this");
        let lines = world.lines("trl-preference", &ExportQuery::default()).await;
        let found: Vec<_> = lines.iter().map(pair).collect();
        assert_eq!(found, [["Plan", "left", "right"], ["Ask", "no", "yes"], ["What?", "that", "this"]], "{}", world.kind());
        let manifest = world.manifest("trl-preference", &ExportQuery::default()).await;
        let expected = json!({ "repeated_pair": 4, "contradicted_pair": 3, "tie": 1 });
        assert_eq!(manifest["dropped"], expected, "{}", world.kind());
        assert_eq!(manifest["aggregation"]["rows_of_several_decisions"], 3);
        let reward = world.lines("reward", &ExportQuery::default()).await;
        let margins: Vec<f64> = reward.iter().map(|line| line["margin"].as_f64().unwrap()).collect();
        let expected = [2.0 * 1.5_f64.ln(), 19.0_f64.ln() - 2.0_f64.ln(), 0.0];
        assert!(margins.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-3), "{margins:?} {}", world.kind());
        let beside = world.provenance("trl-preference", &ExportQuery::default()).await;
        assert_eq!((&beside[0]["task_id"], &beside[0]["n_decisions"], &beside[2]["posterior"]), (&json!("t1"), &json!(2), &json!(null)));
        let certain = ExportQuery { min_posterior: Some(0.9), ..ExportQuery::default() };
        assert_eq!(world.manifest("trl-preference", &certain).await["dropped"]["posterior_below_minimum"], 2, "{}", world.kind());
    }
}

#[actix_web::test]
async fn one_answer_has_one_label() {
    for world in World::each() {
        for _ in 0..2 {
            world.said("tnt-a", "Ask", "thumbs_up", ["answer", "", ""], None);
        }
        world.said("tnt-a", "Ask", "rating", ["answer", "", ""], Some(1));
        world.said("tnt-a", "Ask", "thumbs_up", ["level", "", ""], None);
        world.said("tnt-a", "Ask", "correction", ["level", "better", ""], None);
        world.said("tnt-a", "Other", "thumbs_down", ["answer", "", ""], None);
        let lines = world.lines("kto", &ExportQuery::default()).await;
        let found: Vec<_> =
            lines.iter().map(|line| (line["completion"][0]["content"].as_str().unwrap(), line["label"].as_bool().unwrap())).collect();
        assert_eq!(found, [("answer", true), ("better", true), ("answer", false)], "{}", world.kind());
        let dropped = &world.manifest("kto", &ExportQuery::default()).await["dropped"];
        assert_eq!(dropped, &json!({ "repeated_answer": 2, "contradicted_answer": 2 }), "{}", world.kind());
    }
}

#[actix_web::test]
async fn the_best_of_three_wins_two_pairs() {
    for world in World::each() {
        let candidates = vec![json!("a"), json!({ "plan": 2, "budget": 1 }), json!("c")];
        world.task(&Decided { candidates, decided_by: "acc_expert", ..decided("three", "Best?", "", "", "candidate_c", 0.9) });
        let lines = world.lines("trl-preference", &ExportQuery::default()).await;
        let found: Vec<_> = lines.iter().map(pair).collect();
        assert_eq!(found, [["Best?", "c", "a"], ["Best?", "c", "{\"budget\":1,\"plan\":2}"]], "{}", world.kind());
        assert_eq!(world.lines("kto", &ExportQuery::default()).await.len(), 3, "{}", world.kind());
        let examples = world.lines("sft", &ExportQuery::default()).await;
        assert_eq!((examples.len(), &examples[0]["completion"][0]["content"]), (1, &json!("c")), "{}", world.kind());
    }
}

#[actix_web::test]
async fn what_others_said_changes_nothing_of_a_tenants_data() {
    for world in World::each() {
        world.prefers("Ask", "yes", "no");
        for _ in 0..3 {
            world.said("tnt-b", "Ask", "preference", ["", "no", "yes"], None);
        }
        for profile in ["trl-preference", "kto"] {
            let all = world.lines(profile, &ExportQuery::default()).await;
            assert_eq!(all.len(), if profile == "kto" { 2 } else { 1 }, "{}", world.kind());
        }
        let lines = world.lines("trl-preference", &ExportQuery::default()).await;
        assert_eq!(pair(&lines[0]), ["Ask", "yes", "no"], "{}", world.kind());
        let beside = world.provenance("trl-preference", &ExportQuery::default()).await;
        assert_eq!((beside.len(), &beside[0]["tenant_id"], &beside[0]["brand_id"]), (1, &json!("tnt-a"), &json!("brand-tnt-a")));
    }
}
