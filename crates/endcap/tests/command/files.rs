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
fn consensus_reads_quoted_files_alike_and_tells_agreement_with_intervals_and_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (mut plain, mut quoted) = (String::from("task_id,rater_id,label\n"), String::from("\"label\",\"task_id\",\"rater_id\"\r\n"));
    for task in 0..120 {
        for rater in 0..3 {
            let label = (task + i32::from((task + rater) % 7 == 0)) % 3;
            plain += &format!("t{task},r{rater},{label}\n");
            quoted += &format!("\"{label}\",\"t{task}\",\"r{rater}\"\r\n");
        }
    }
    std::fs::write(path("plain.csv"), plain).unwrap();
    std::fs::write(path("quoted.csv"), quoted).unwrap();
    let of = |file: &str| succeeds(&["consensus", &path(file), "--stats", &path("stats.json")]);
    let out = of("plain.csv");
    assert_eq!(out, of("quoted.csv"));
    assert_eq!(out.lines().count(), 121);
    let stats: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path("stats.json")).unwrap()).unwrap();
    for name in ["percent_agreement", "cohen_kappa", "fleiss_kappa", "krippendorff_alpha", "krippendorff_alpha_ordinal", "gwet_ac1"] {
        let (value, interval) = (stats[name].as_f64().unwrap(), &stats["intervals"][name]);
        assert!(interval["low"].as_f64().unwrap() < value && value < interval["high"].as_f64().unwrap(), "{name}");
        assert_eq!(stats["based_on"][name]["n_tasks"], 120, "{name}");
    }
    // Names have no order, and one judgment a task cannot be compared.
    std::fs::write(path("plain.csv"), "task_id,rater_id,label\na,r,yes\nb,r,no\n").unwrap();
    of("plain.csv");
    let stats: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path("stats.json")).unwrap()).unwrap();
    assert!(stats["fleiss_kappa"].is_null() && stats["intervals"]["fleiss_kappa"].is_null());
    assert!(stats["undefined_because"]["gwet_ac1"].as_str().unwrap().contains("nothing to compare"));
    assert!(stats["undefined_because"]["krippendorff_alpha_ordinal"].as_str().unwrap().contains("no order"));
}

#[test]
fn consensus_runs_an_exact_number_of_rounds_of_the_published_methods() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let answers = project("crates/learning/tests/data/anaesthesia_answers.csv");
    succeeds(&[
        "consensus",
        &answers,
        "--method",
        "dawid-skene",
        "--iterations",
        "20",
        "--out",
        &path("out.csv"),
        "--stats",
        &path("stats.json"),
    ]);
    let stats: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path("stats.json")).unwrap()).unwrap();
    assert_eq!((stats["iterations"].as_u64(), stats["method"].as_str()), (Some(20), Some("dawid-skene")));
    // crowd-kit's class prior after 20 rounds on the data of Dawid and Skene's paper.
    for (class, want) in [("1", 0.399_554_752_9), ("2", 0.421_983_392_1), ("3", 0.111_795_188_4), ("4", 0.066_666_666_7)] {
        assert!((stats["class_prior"][class].as_f64().unwrap() - want).abs() < 1e-9, "{class}");
    }
    assert!(fails(&["consensus", &answers, "--iterations", "20"]).contains("--iterations goes with --method"));
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
