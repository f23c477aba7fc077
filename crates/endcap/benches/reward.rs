//! Reward models on public preferences beside simple baselines, each pair predicted by a model that never saw its prompt; and the time to
//! train a hundred thousand pairs: `scripts/bench reward`.
//!
//! The pairs lie outside this repository: `ENDCAP_SHARED` names the folder that holds `data/preferences/pairs.jsonl`, else `../shared`
//! beside the checkout is tried; without it the benchmark says so and measures nothing. The baselines of words
//! (scripts/peers/reward_peer.py) are fitted in the same folds when `ENDCAP_PEER_PYTHON` or `python3` has scikit-learn.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use learning::features::{Context, candidate_features};
use learning::reward::pairs::Pairs;
use learning::reward::training::{train, train_pairs};
use learning::reward::{Example, Outcome};
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use testkit::bench::Report;

const FOLDS: usize = 5;
const REPEATS: usize = 3;
const MANY: usize = 100_000;
/// What reading and training them may take.
const SECONDS: f64 = 30.0;

struct Pair {
    source: String,
    text: [String; 3],
    example: Example,
    folds: Vec<usize>,
}

fn main() {
    let named = std::env::var_os("ENDCAP_SHARED").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")));
    let file = folder.join("data/preferences/pairs.jsonl");
    let Ok(text) = std::fs::read_to_string(&file) else {
        eprintln!("SKIPPED: no pairs at {}; set ENDCAP_SHARED", file.display());
        return;
    };
    let mut report = Report::new("reward");
    let pairs = read(&text);
    let peer = peer(&pairs);
    if let Err(why) = &peer {
        eprintln!("the baselines of words were not run: {why}");
    }
    let mut sources: BTreeMap<&str, Vec<&Pair>> = BTreeMap::new();
    pairs.iter().for_each(|pair| sources.entry(&pair.source).or_default().push(pair));
    for (source, pairs) in sources {
        let ours = cross_validate(&pairs);
        let length = |text: &str| text.chars().count();
        let longer = |pair: &&Pair| match length(&pair.text[1]).cmp(&length(&pair.text[2])) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        };
        let mut baselines = vec![("longer wins".to_owned(), pairs.iter().map(longer).collect::<Vec<f64>>())];
        for (name, right) in peer.iter().filter_map(|peer| peer["right"][source].as_object()).flatten() {
            baselines.push((format!("TF-IDF {name}"), right.as_array().unwrap().iter().map(|share| share.as_f64().unwrap()).collect()));
        }
        for (name, right) in baselines {
            let (mean, error) = mean(&pairs, &ours);
            let difference: Vec<f64> = ours.iter().zip(&right).map(|(own, other)| own - other).collect();
            let (gain, gain_error) = self::mean(&pairs, &difference);
            let (other, other_error) = self::mean(&pairs, &right);
            let row = report.figure(&format!("{source}, {} pairs: right (s.e. {error:.3})", pairs.len()), mean, "share of pairs");
            row.against(&format!("{name} (s.e. {other_error:.3}); we are {gain:+.3} better (s.e. {gain_error:.3})"), other);
            row.wanted("above the baseline", mean > other);
        }
    }
    many(&pairs, &mut report);
    report.finish().unwrap();
}

/// The pairs, the chosen one first in every other pair; of the small sets that LLMBar re-packed, one.
fn read(text: &str) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = text.lines().enumerate().map(|(number, line)| pair(number, &serde_json::from_str(line).unwrap())).collect();
    for repeat in 0..REPEATS {
        let mut prompts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        pairs.iter().for_each(|pair| prompts.entry(pair.source.clone()).or_default().push(pair.text[0].clone()));
        let mut fold_of: BTreeMap<(String, String), usize> = BTreeMap::new();
        for (source, mut own) in prompts {
            own.sort();
            own.dedup();
            own.shuffle(&mut ChaCha8Rng::seed_from_u64(100 + repeat as u64));
            fold_of.extend(own.into_iter().enumerate().map(|(place, prompt)| ((source.clone(), prompt), place % FOLDS)));
        }
        pairs.iter_mut().for_each(|pair| pair.folds.push(fold_of[&(pair.source.clone(), pair.text[0].clone())]));
    }
    pairs
}

fn pair(number: usize, line: &Value) -> Pair {
    let text = ["prompt", "chosen", "rejected"].map(|field| line[field].as_str().unwrap().to_owned());
    let source = match line["source"].as_str().unwrap() {
        "llmbar_natural" | "llmbar_faireval" | "llmbar_llmeval2" | "llmbar_mtbench" => "llmbar_other",
        other => other,
    };
    let features = |text: &String| candidate_features(&json!(text), &[], &line["prompt"]);
    let (chosen, rejected) = (features(&text[1]), features(&text[2]));
    let is_swapped = number % 2 == 1;
    let (a, b) = if is_swapped { (rejected, chosen) } else { (chosen, rejected) };
    let outcome = if is_swapped { Outcome::B_WINS } else { Outcome::A_WINS };
    let weight = line["strength"].as_f64().unwrap_or(1.0);
    let example = Example { prompt_key: text[0].clone(), a, b, outcome, weight, retailer: None };
    Pair { source: source.to_owned(), text, example, folds: Vec::new() }
}

/// How often each pair is predicted right by models that were trained, with all their choices, on the other folds; equal scores count half.
fn cross_validate(pairs: &[&Pair]) -> Vec<f64> {
    let mut right = vec![0.0; pairs.len()];
    for repeat in 0..REPEATS {
        for fold in 0..FOLDS {
            let outside: Vec<Example> = pairs.iter().filter(|pair| pair.folds[repeat] != fold).map(|pair| pair.example.clone()).collect();
            let model = train(&outside, 1).unwrap().model;
            for (right, pair) in right.iter_mut().zip(pairs).filter(|(_, pair)| pair.folds[repeat] == fold) {
                *right += model.evaluate(std::slice::from_ref(&pair.example)).accuracy_ties_half.unwrap() / REPEATS as f64;
            }
        }
    }
    right
}

/// The mean over pairs and its standard error, for which the pairs of one prompt count together.
fn mean(pairs: &[&Pair], values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let mut prompts: BTreeMap<&str, f64> = BTreeMap::new();
    pairs.iter().zip(values).for_each(|(pair, value)| *prompts.entry(&pair.text[0]).or_default() += value - mean);
    (mean, prompts.values().map(|sum| sum * sum).sum::<f64>().sqrt() / n)
}

/// The baselines of words in the same folds.
fn peer(pairs: &[Pair]) -> Result<Value, String> {
    let file = std::env::temp_dir().join(format!("endcap-reward-{}.jsonl", std::process::id()));
    let line = |pair: &Pair| {
        let [prompt, chosen, rejected] = &pair.text;
        json!({ "source": pair.source, "prompt": prompt, "chosen": chosen, "rejected": rejected, "folds": pair.folds }).to_string()
    };
    std::fs::write(&file, pairs.iter().map(line).collect::<Vec<_>>().join("\n")).map_err(|error| error.to_string())?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/peers/reward_peer.py");
    let python = std::env::var("ENDCAP_PEER_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(python).arg(script).arg(&file).output().map_err(|error| error.to_string());
    std::fs::remove_file(&file).map_err(|error| error.to_string())?;
    let output = output?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("it failed").to_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// A hundred thousand pairs: those of the file drawn again and again under new prompts, one word in seven replaced at random.
fn many(pairs: &[Pair], report: &mut Report) {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut varied = |text: &str| {
        let words = text
            .split(' ')
            .map(|word| if random.random_range(0..7) == 0 { format!("w{}", random.random_range(0..20_000)) } else { word.to_owned() });
        json!(words.collect::<Vec<_>>().join(" "))
    };
    let made: Vec<[Value; 3]> = (0..MANY)
        .map(|number| {
            let [prompt, chosen, rejected] = &pairs[(number * 7_919) % pairs.len()].text;
            [json!(format!("{prompt} {number}")), varied(chosen), varied(rejected)]
        })
        .collect();
    let start = Instant::now();
    let mut collected = Pairs::default();
    let describe = |[prompt, chosen, rejected]: &[Value; 3]| {
        let context = Context::of(prompt);
        let [a, b] = [chosen, rejected].map(|candidate| context.features(candidate, &[]));
        Example { prompt_key: prompt.to_string(), a, b, outcome: Outcome::A_WINS, weight: 1.0, retailer: None }
    };
    collected.push_all(&made, describe).unwrap();
    let described = start.elapsed().as_secs_f64();
    let mut shown = 0;
    let trained = train_pairs(&collected, 1, &mut |progress| {
        let percent = (progress.share * 10.0) as u32 * 10;
        if percent > shown {
            shown = percent;
            eprintln!("{percent} %: {}", progress.step);
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    report.figure("100,000 pairs: features", described, "s");
    let row = report.figure("100,000 pairs: features, training, ensemble", seconds, "s");
    row.wanted("under 30 s", seconds < SECONDS);
    let model = trained.unwrap().model;
    let (a, b) = (&pairs[0].example.a, &pairs[0].example.b);
    let start = Instant::now();
    let sum: f64 = (0..10_000).map(|_| model.score(a) - model.score(b)).sum();
    let micros = start.elapsed().as_secs_f64() * 100.0;
    report.figure("that model: scoring a described pair", micros, "µs").wanted("under 100 µs", micros < 100.0 && sum.is_finite());
}
