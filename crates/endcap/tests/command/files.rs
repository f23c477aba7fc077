//! The commands that work on files alone.

use crate::{fails, project, succeeds};

#[test]
fn consensus_weighs_the_reliable_rater_and_names_the_method() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut answers = String::from("task_id,rater_id,label\n");
    // ann and bob are right on the gold tasks, joe never; on the last task joe stands against ann.
    for task in 0..12 {
        answers += &format!("g{task},ann,yes\ng{task},bob,yes\ng{task},joe,no\n");
    }
    answers += "open,ann,yes\nopen,joe,no\n";
    std::fs::write(path("answers.csv"), answers).unwrap();
    let gold: String = (0..12).map(|task| format!("g{task},yes\n")).collect();
    std::fs::write(path("gold.csv"), format!("task_id,label\n{gold}")).unwrap();
    let out = succeeds(&[
        "consensus",
        &path("answers.csv"),
        "--gold",
        &path("gold.csv"),
        "--method",
        "gold-vote",
        "--raters",
        &path("raters.csv"),
        "--stats",
        &path("stats.json"),
    ]);
    let last = out.lines().last().unwrap();
    assert!(last.starts_with("open,yes,0.9") && last.ends_with(",gold-vote"), "{last}");
    assert_eq!(out.lines().count(), 14);
    let stats: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path("stats.json")).unwrap()).unwrap();
    assert_eq!((stats["n_tasks"].as_u64(), stats["n_raters"].as_u64(), stats["n_judgments"].as_u64()), (Some(13), Some(3), Some(38)));
    let raters = std::fs::read_to_string(path("raters.csv")).unwrap();
    assert!(raters.starts_with("rater_id,reliability") && raters.contains("joe,0.1"), "{raters}");
}

#[test]
fn a_wrong_answers_file_is_named_by_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answers.csv");
    std::fs::write(&path, "task_id,rater,label\nt,r,x\n").unwrap();
    assert!(fails(&["consensus", path.to_str().unwrap()]).contains("the column rater_id is missing"));
    std::fs::write(&path, "task_id,rater_id,label\nt,r,x\nt,,x\n").unwrap();
    assert!(fails(&["consensus", path.to_str().unwrap()]).contains("line 3: rater_id is empty"));
    assert!(fails(&["consensus", "/no/such/file.csv"]).contains("/no/such/file.csv"));
    std::fs::write(&path, "task_id,rater_id,label\nt,r,x\n").unwrap();
    assert!(fails(&["consensus", path.to_str().unwrap(), "--method", "magic"]).contains("magic"));
}

#[test]
fn optimize_reaches_the_published_optimum() {
    let out = succeeds(&["optimize", &project("crates/planning/tests/data/d1-concave-10.json")]);
    let solution: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(solution["status"], "optimal");
    // The optimum that shared reference solvers found: 379,331.519.
    assert!((solution["objective"].as_f64().unwrap() - 379_331.519).abs() < 0.5, "{out}");
    assert!(fails(&["optimize", &project("Cargo.toml")]).contains("no budget problem"));
}

#[test]
fn a_reward_model_learns_a_preference_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let line = |n: usize| {
        format!(
            "{}\n",
            serde_json::json!({"prompt": format!("question {n}"), "source": if n.is_multiple_of(2) { "even" } else { "odd" },
                "chosen": format!("a measured answer with evidence {n}"), "rejected": format!("a boastful guess number {}", n + 1)})
        )
    };
    std::fs::write(path("train.jsonl"), (0..60).map(line).collect::<String>()).unwrap();
    std::fs::write(path("test.jsonl"), (100..140).map(line).collect::<String>()).unwrap();
    succeeds(&["reward", "train", &path("train.jsonl"), "--out", &path("model"), "--by", "source"]);
    let out = succeeds(&["reward", "eval", &path("model"), &path("test.jsonl")]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["n"], 40);
    assert!(report["accuracy"].as_f64().unwrap() > 0.95, "{out}");
    assert_eq!(report["by_source"]["even"]["n_pairs"], 20);
    assert!(fails(&["reward", "train", &path("train.jsonl"), "--out", &path("model"), "--by", "colour"]).contains("colour"));
    std::fs::write(path("bad.jsonl"), "{\"prompt\": 1}\n").unwrap();
    assert!(fails(&["reward", "train", &path("bad.jsonl"), "--out", &path("model")]).contains("line 1"));
}
