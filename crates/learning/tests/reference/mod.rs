//! Expected values and public data sets for the tests; `tests/data/README.md` names their sources.
#![allow(dead_code)]

use std::collections::HashMap;

use learning::judgment::Judgment;
use serde_json::Value;

/// The expected values.
pub fn reference() -> Value {
    serde_json::from_str(include_str!("../data/reference.json")).unwrap()
}

/// A number array.
pub fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// A table of counts or labels, row by row.
pub fn table(value: &Value) -> Vec<Vec<u32>> {
    value.as_array().unwrap().iter().map(|row| numbers(row).into_iter().map(|n| n as u32).collect()).collect()
}

/// Fails unless `have` is within `tolerance` of `want`.
#[track_caller]
pub fn assert_close(have: f64, want: f64, tolerance: f64) {
    assert!((have - want).abs() <= tolerance, "have {have}, want {want}");
}

/// A labelled set with dense indices; labels are numbered in the order of `labels`.
pub struct Set {
    pub judgments: Vec<Judgment>,
    pub n_tasks: usize,
    pub n_raters: usize,
    pub tasks: HashMap<String, u32>,
    pub truth: Vec<Option<u32>>,
}

/// Reads `task_id,rater_id,label` and `task_id,label`.
pub fn set(answers: &str, truth: &str, labels: &[&str]) -> Set {
    let (mut tasks, mut raters) = (HashMap::new(), HashMap::new());
    let label_of = |label: &str| labels.iter().position(|known| *known == label).unwrap() as u32;
    let mut judgments = Vec::new();
    for row in csv::Reader::from_reader(answers.as_bytes()).records() {
        let row = row.unwrap();
        let n = tasks.len() as u32;
        let task = *tasks.entry(row[0].to_owned()).or_insert(n);
        let n = raters.len() as u32;
        let rater = *raters.entry(row[1].to_owned()).or_insert(n);
        judgments.push(Judgment { task, rater, label: label_of(&row[2]) });
    }
    let mut known = vec![None; tasks.len()];
    for row in csv::Reader::from_reader(truth.as_bytes()).records() {
        let row = row.unwrap();
        known[tasks[&row[0]] as usize] = Some(label_of(&row[1]));
    }
    Set { judgments, n_tasks: tasks.len(), n_raters: raters.len(), tasks, truth: known }
}

/// 108 photos judged by 39 raters with strong opposite biases.
pub fn bluebird() -> Set {
    set(include_str!("../data/bluebird_answers.csv"), include_str!("../data/bluebird_truth.csv"), &["0", "1"])
}

/// The data of Dawid and Skene's paper; without truth.
pub fn anaesthesia() -> Set {
    set(include_str!("../data/anaesthesia_answers.csv"), "task_id,label\n", &["1", "2", "3", "4"])
}

/// The expected values of the quality rules.
pub fn quality_reference() -> Value {
    serde_json::from_str(include_str!("../data/quality_reference.json")).unwrap()
}
