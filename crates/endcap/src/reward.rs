//! `endcap reward`: reward models from files of preference pairs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use learning::features::candidate_features;
use learning::reward::model::RewardModel;
use learning::reward::training::train;
use learning::reward::{Example, Outcome, metrics};
use serde::Deserialize;
use serde_json::{Value, json};

/// Name of the file a trained model is written to.
const MODEL_FILE: &str = "reward-model.json";

/// Arguments of `reward`.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Train on lines of {prompt, chosen, rejected[, strength, source]}
    Train {
        /// The pairs, JSON lines
        pairs: PathBuf,
        /// Folder for the model and its report
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Train one model for each value of this field
        #[arg(long, value_name = "FIELD")]
        by: Option<String>,
        /// Seed of folds and sampling
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Evaluate a trained model on pairs
    Eval {
        /// Folder of the model
        model: PathBuf,
        /// The pairs, JSON lines
        pairs: PathBuf,
    },
}

#[derive(Deserialize)]
struct Pair {
    prompt: Value,
    chosen: Value,
    rejected: Value,
    #[serde(default)]
    strength: Option<f64>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

struct Row {
    example: Example,
    group: String,
}

/// Trains or evaluates.
pub fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.action {
        Action::Train { pairs, out, by, seed } => train_models(pairs, out, by.as_deref(), *seed),
        Action::Eval { model, pairs } => evaluate(model, pairs),
    }
}

fn train_models(pairs: &Path, out: &Path, by: Option<&str>, seed: u64) -> Result<()> {
    let rows = read_pairs(pairs, by)?;
    let mut groups: BTreeMap<&str, Vec<Example>> = BTreeMap::new();
    for row in &rows {
        groups.entry(&row.group).or_default().push(row.example.clone());
    }
    let (mut models, mut reports) = (BTreeMap::new(), BTreeMap::new());
    for (group, examples) in groups {
        let trained = train(&examples, seed).with_context(|| format!("{}{}", pairs.display(), named(by, group)))?;
        eprintln!("{} pairs{}: held-out {}", examples.len(), named(by, group), summary(trained.report.held_out.as_ref()));
        models.insert(group.to_owned(), trained.model);
        reports.insert(group.to_owned(), trained.report);
    }
    std::fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let model = json!({ "by": by, "models": models });
    let path = out.join(MODEL_FILE);
    std::fs::write(&path, serde_json::to_string(&model)?).with_context(|| format!("cannot write {}", path.display()))?;
    let path = out.join("report.json");
    std::fs::write(&path, serde_json::to_string_pretty(&reports)? + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}", out.join(MODEL_FILE).display());
    Ok(())
}

fn evaluate(folder: &Path, pairs: &Path) -> Result<()> {
    let path = folder.join(MODEL_FILE);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let stored: Value = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
    let by = stored.get("by").and_then(Value::as_str);
    let mut models = BTreeMap::new();
    for (group, model) in stored.get("models").and_then(Value::as_object).context("the file holds no models")? {
        models.insert(
            group.clone(),
            RewardModel::from_json(&model.to_string()).with_context(|| format!("{}{}", path.display(), named(by, group)))?,
        );
    }
    let rows = read_pairs(pairs, by)?;
    let mut predictions: BTreeMap<&str, Vec<metrics::Prediction>> = BTreeMap::new();
    let mut unknown: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &rows {
        let Some(model) = models.get(&row.group) else {
            *unknown.entry(&row.group).or_default() += 1;
            continue;
        };
        predictions.entry(&row.group).or_default().push(model.predict(&row.example));
    }
    let all: Vec<metrics::Prediction> = predictions.values().flatten().cloned().collect();
    if all.is_empty() {
        bail!("no pair of {} belongs to a trained model", pairs.display());
    }
    let measured: BTreeMap<&str, Value> = predictions.iter().map(|(group, rows)| (*group, json!(metrics::measure(rows)))).collect();
    let examples: Vec<&Example> = rows.iter().filter(|row| models.contains_key(&row.group)).map(|row| &row.example).collect();
    let mut report = serde_json::to_value(metrics::measure(&all))?;
    report["n"] = json!(all.len());
    report["baselines"] = json!(metrics::baselines(&examples));
    report["without_model"] = json!(unknown);
    if let Some(field) = by {
        report[format!("by_{field}")] = json!(measured);
    }
    crate::say(&serde_json::to_string_pretty(&report)?)?;
    Ok(())
}

fn read_pairs(path: &Path, by: Option<&str>) -> Result<Vec<Row>> {
    let text = crate::read_text(path)?;
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = || format!("{} line {}", path.display(), number + 1);
        let pair: Pair = serde_json::from_str(line).with_context(place)?;
        if pair.chosen == pair.rejected {
            bail!("{}: chosen and rejected are the same", place());
        }
        let weight = pair.strength.unwrap_or(1.0);
        if !weight.is_finite() || weight < 0.0 {
            bail!("{}: strength must be 0 or more", place());
        }
        let group = match by {
            None => String::new(),
            Some("prompt") => bail!("--by prompt makes no sense: choose a field such as source"),
            Some(field) => match pair.rest.get(field) {
                Some(Value::String(word)) => word.clone(),
                Some(other) => other.to_string(),
                None => bail!("{}: the field {field} of --by is missing", place()),
            },
        };
        let features = |candidate: &Value| candidate_features(candidate, &[], &pair.prompt);
        let example = Example {
            prompt_key: pair.prompt.to_string(),
            a: features(&pair.chosen),
            b: features(&pair.rejected),
            outcome: Outcome::A_WINS,
            weight,
            retailer: None,
        };
        rows.push(Row { example, group });
    }
    if rows.is_empty() {
        bail!("{} holds no pairs", path.display());
    }
    Ok(rows)
}

fn named(by: Option<&str>, group: &str) -> String {
    by.map_or(String::new(), |field| format!(" ({field} {group})"))
}

fn summary(figures: Option<&metrics::Metrics>) -> String {
    let figure = |value: Option<f64>| value.map_or("undefined".to_owned(), |v| format!("{v:.3}"));
    match figures {
        None => "figures need more than one prompt".to_owned(),
        Some(m) => format!("accuracy {}, log loss {}, n {}", figure(m.accuracy), figure(m.log_loss), m.n_decided),
    }
}
