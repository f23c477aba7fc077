//! docs/campaigns.md on the real bundle: every request in it is sent in order, and every figure beside it must be in the answer.

use std::path::PathBuf;

use actix_web::http::StatusCode;
use serde_json::Value;
use storage::imports::{Compression, Table};

use crate::{GROCER, bench_with, call};

/// A request of the document with what it says of the answer.
struct Step {
    line: usize,
    method: String,
    path: String,
    body: Option<Value>,
    answer: Value,
}

fn document() -> String {
    std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/campaigns.md")).unwrap()
}

/// Pairs of fenced blocks: `http` (method and path on the first line, then the body) and the `json` that follows it.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut request: Option<(usize, String, String, Option<Value>)> = None;
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let Some(kind) = line.strip_prefix("```").filter(|kind| !kind.is_empty()) else { continue };
        let block: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
        match kind {
            "http" => {
                assert!(request.is_none(), "line {at}: a request without an answer before it");
                let (method, path) = block[0].split_once(' ').expect("METHOD PATH");
                let path: String = std::iter::once(path)
                    .chain(block[1..].iter().take_while(|line| line.starts_with("  ")).map(|line| line.trim()))
                    .collect();
                let body: String = block[1..].iter().skip_while(|line| line.starts_with("  ")).copied().collect();
                let body =
                    (!body.trim().is_empty()).then(|| serde_json::from_str(&body).unwrap_or_else(|error| panic!("line {at}: {error}")));
                request = Some((at + 1, method.to_owned(), path, body));
            }
            "json" => {
                let (line, method, path, body) = request.take().unwrap_or_else(|| panic!("line {at}: an answer without a request"));
                let answer = serde_json::from_str(&block.concat()).unwrap_or_else(|error| panic!("line {at}: {error}"));
                steps.push(Step { line, method, path, body, answer });
            }
            _ => {}
        }
    }
    assert!(request.is_none(), "the last request has no answer");
    steps
}

/// Where `wanted` is not part of `found`: objects may have more members, lists are compared as long as wanted.
fn difference(wanted: &Value, found: &Value, path: &str) -> Option<String> {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => wanted.iter().find_map(|(name, value)| match found.get(name) {
            Some(found) => difference(value, found, &format!("{path}.{name}")),
            None => Some(format!("{path}.{name} is not in the answer")),
        }),
        (Value::Array(wanted), Value::Array(found)) => {
            if wanted.len() > found.len() {
                return Some(format!("{path}: {} entries, wanted {}", found.len(), wanted.len()));
            }
            wanted.iter().zip(found).enumerate().find_map(|(at, (wanted, found))| difference(wanted, found, &format!("{path}[{at}]")))
        }
        (Value::Number(wanted), Value::Number(found)) => {
            // Figures in the document are rounded; they must round from the answer's.
            let text = wanted.to_string();
            let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            let (wanted, found) = (wanted.as_f64()?, found.as_f64()?);
            let unit = 10f64.powi(-i32::try_from(decimals).ok()?);
            ((wanted - found).abs() > unit / 2.0 * (1.0 + 1e-9)).then(|| format!("{path}: {found}, the document says {text}"))
        }
        (wanted, found) => (wanted != found).then(|| format!("{path}: {found}, the document says {wanted}")),
    }
}

#[actix_web::test]
async fn every_figure_of_the_worked_example_is_reproduced() {
    let bundle = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/sample-data/bundle");
    let files = [
        (Table::Retailers, "retailers"),
        (Table::Brands, "brands"),
        (Table::Skus, "sku_catalog"),
        (Table::AudienceSegments, "audience_segments"),
        (Table::Campaigns, "campaigns"),
        (Table::CampaignSkus, "campaign_skus"),
        (Table::Performance, "performance_metrics"),
    ];
    let files = files.map(|(table, name)| (table, bundle.join(format!("{name}.csv.gz")), Compression::Gzip));
    let bench = bench_with(testkit::database::of_choice(), None, &files);
    let app = bench.app().await;
    let steps = steps(&document());
    assert!(steps.len() >= 8, "only {} requests are in the document", steps.len());
    let mut wrong = Vec::new();
    for step in steps {
        let (status, answer) = call(&app, GROCER, &step.method, &step.path, step.body).await;
        if std::env::var("SHOW_ANSWERS").is_ok() {
            println!("{} {}\n{status} {}", step.method, step.path, serde_json::to_string_pretty(&answer).unwrap());
        }
        if status >= StatusCode::BAD_REQUEST {
            wrong.push(format!("line {}: {} {}: {status} {answer}", step.line, step.method, step.path));
            continue;
        }
        wrong.extend(difference(&step.answer, &answer, "answer").map(|what| format!("line {}: {what}", step.line)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
