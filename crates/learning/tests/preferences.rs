//! Public human preferences: on each source a model beats "the longer text wins" and a coin on prompts it has not seen. The pairs are not part
//! of this repository: `ENDCAP_SHARED` names the folder that holds `data/preferences/pairs.jsonl`, else `../shared` beside the checkout is
//! tried; without it the test says so and ends. `scripts/bench reward` compares with baselines of words.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use learning::features::candidate_features;
use learning::reward::card::{CardRow, card};
use learning::reward::training::train;
use learning::reward::{Example, Outcome};
use serde_json::Value;

fn pairs() -> Option<String> {
    let named = std::env::var_os("ENDCAP_SHARED").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")));
    let file = folder.join("data/preferences/pairs.jsonl");
    let text = std::fs::read_to_string(&file).ok();
    if text.is_none() {
        eprintln!("SKIPPED: no pairs at {}; set ENDCAP_SHARED", file.display());
    }
    text
}

#[test]
fn unseen_prompts_are_predicted_better_than_by_length_and_by_a_coin() {
    let Some(text) = pairs() else { return };
    let mut sources: BTreeMap<String, Vec<Example>> = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line: Value = serde_json::from_str(line).unwrap();
        let source = match line["source"].as_str().unwrap() {
            "llmbar_natural" | "llmbar_faireval" | "llmbar_llmeval2" | "llmbar_mtbench" => "llmbar_other",
            other => other,
        };
        let features = |field: &str| candidate_features(&line[field], &[], &line["prompt"]);
        let (chosen, rejected) = (features("chosen"), features("rejected"));
        let is_swapped = number % 2 == 1;
        let (a, b) = if is_swapped { (rejected, chosen) } else { (chosen, rejected) };
        sources.entry(source.to_owned()).or_default().push(Example {
            prompt_key: line["prompt"].to_string(),
            a,
            b,
            outcome: if is_swapped { Outcome::B_WINS } else { Outcome::A_WINS },
            weight: line["strength"].as_f64().unwrap_or(1.0),
            retailer: None,
        });
    }
    for (source, examples) in sources {
        let held_out = train(&examples, 1).unwrap().held_out;
        assert_eq!(held_out.len(), examples.len(), "every pair is predicted once");
        let row = |pair: &learning::reward::training::HeldOutPair| CardRow {
            prediction: pair.prediction,
            longer: pair.longer,
            prompt_key: examples[pair.position].prompt_key.clone(),
            task_type: Some(source.clone()),
            retailer: None,
        };
        let card = card(&held_out.iter().map(row).collect::<Vec<_>>(), 1);
        let metrics = &card.all.metrics;
        println!("{source}: {:?} {:?}, length {:?}, {:?}", metrics.accuracy, card.all.accuracy, card.length_bias, card.against_longer);
        assert!(card.against_longer.accuracy.unwrap().value > 0.0, "{source}");
        assert!(card.all.log_loss.unwrap().high < std::f64::consts::LN_2, "{source}");
        // Where people do not follow length, neither does the model.
        let bias = card.length_bias;
        assert!((bias.model_prefers_longer.unwrap() - bias.people_prefer_longer.unwrap()).abs() < 0.3, "{source} {bias:?}");
    }
}
