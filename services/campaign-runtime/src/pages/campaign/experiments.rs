//! Experiments about a campaign: design, state, and what was found with its interval and n.

use domain::scope::Scope;
use serde_json::Value;
use storage::experiments::Experiment;

use crate::experiments::results;
use crate::pages::words::{count, moment, sentence, words};
use crate::state::State;

/// An experiment on the page.
pub(super) struct ShownExperiment {
    pub id: String,
    pub name: String,
    pub design: &'static str,
    pub state: String,
    pub tone: &'static str,
    /// When it began and ended.
    pub times: String,
    /// What was found, each with interval and n.
    pub findings: Vec<String>,
    /// What else is to be known: the control, or why there is nothing to read.
    pub notes: Vec<String>,
}

/// Reads each: what was stored when it was read or concluded, or what its plan allows to be seen in passing.
pub(super) async fn read(state: &State, scope: &Scope, rows: &[Experiment]) -> Vec<ShownExperiment> {
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let (document, reason) = match (&row.result, row.status.as_str()) {
            (Some(result), _) => (Some(result.0.clone()), None),
            (None, "running") => match results::glance(state, scope, row).await {
                Ok(document) => (Some(document), None),
                Err(problem) => (None, Some(problem.detail().to_owned())),
            },
            (None, "draft") => (None, Some("It has not started: there is nothing to read.".to_owned())),
            (None, _) => (None, row.status_reason.clone().or_else(|| Some("It ended without a result.".to_owned()))),
        };
        all.push(shown(row, document.as_ref(), reason));
    }
    all
}

fn shown(row: &Experiment, document: Option<&Value>, reason: Option<String>) -> ShownExperiment {
    let mut notes: Vec<String> = reason.iter().map(|text| sentence(text)).collect();
    let (mut findings, mut extra) = document.map(found).unwrap_or_default();
    if document.is_some() && findings.is_empty() {
        findings.extend(document.and_then(|document| document.get("summary")?.as_str().map(str::to_owned)));
    }
    notes.append(&mut extra);
    if document.is_some() && row.result.is_none() {
        notes.push("Read now; it is still running.".to_owned());
    }
    if let Some((at, rows)) = results::reading_of(row).filter(|_| row.status == "running") {
        notes.push(format!("Read once, at {at} on {rows} rows: what was read stays, and no more observations are taken."));
    }
    let times = match (&row.started_at, &row.concluded_at) {
        (None, _) => "not started".to_owned(),
        (Some(from), None) => format!("since {}", moment(from)),
        (Some(from), Some(to)) => format!("{} to {}", moment(from), moment(to)),
    };
    ShownExperiment {
        id: row.experiment_id.clone(),
        name: row.name.clone(),
        design: match row.design.as_str() {
            "ab" => "A/B",
            "geo" => "Geo",
            "switchback" => "Switchback",
            _ => "Unknown design",
        },
        state: words(&row.status),
        tone: match row.status.as_str() {
            "running" => "badge-note",
            "concluded" => "badge-good",
            _ => "",
        },
        times,
        findings,
        notes,
    }
}

/// Findings and notes of a result.
fn found(document: &Value) -> (Vec<String>, Vec<String>) {
    let readout = document.get("readout").unwrap_or(&Value::Null);
    let mut findings = Vec::new();
    let metric =
        document.pointer("/metric/name").and_then(Value::as_str).map_or_else(String::new, |name| format!(" of {}", name.replace('_', " ")));
    let arms = readout.get("comparisons").and_then(Value::as_array).cloned().unwrap_or_default();
    for arm in &arms {
        let name = arm.get("arm").and_then(Value::as_str).map_or_else(String::new, words);
        findings.extend(
            lift(arm.get("relative_lift"))
                .or_else(|| figure(arm.get("difference")))
                .map(|text| format!("{name}: {text}{}", significance(arm))),
        );
    }
    if arms.is_empty() {
        let own = lift(readout.get("lift")).or_else(|| lift(readout.get("relative_lift")));
        let own = own.or_else(|| figure(readout.get("att"))).or_else(|| figure(readout.get("difference")));
        findings.extend(own.map(|text| format!("{text}{}", significance(document))));
    }
    let mut notes = Vec::new();
    match figure(document.pointer("/iroas/figure")) {
        Some(text) => findings.push(format!("Incremental ROAS {text}")),
        None => notes.extend(
            document.get("iroas_reason").and_then(Value::as_str).map(|why| format!("No incremental ROAS: {}", why.replace('_', " "))),
        ),
    }
    if !metric.is_empty() {
        notes.insert(0, format!("Lift{metric}"));
    }
    notes.extend(document.get("control_definition").and_then(Value::as_str).map(|control| format!("Control: {control}")));
    (findings, notes)
}

fn significance(of: &Value) -> &'static str {
    if of.get("is_significant_reason").is_some_and(Value::is_string) {
        return "; no verdict, the counts per arm are not as meant";
    }
    match of.get("is_significant").and_then(Value::as_bool) {
        Some(true) => "; significant",
        Some(false) => "; not significant",
        None => "",
    }
}

fn lift(finding: Option<&Value>) -> Option<String> {
    write(finding?, |value| format!("{:+.1} %", value * 100.0))
}

fn figure(finding: Option<&Value>) -> Option<String> {
    write(finding?, |value| format!("{value:.2}"))
}

/// `+20.0 % (95 %: 12.0 % to 28.0 %, n = 2,000 units)`.
fn write(finding: &Value, number: fn(f64) -> String) -> Option<String> {
    let value = finding.get("value")?.as_f64()?;
    let end = |name: &str| finding.pointer(&format!("/interval/{name}")).and_then(Value::as_f64).map_or("unbounded".to_owned(), number);
    let level =
        finding.pointer("/interval/level").and_then(Value::as_f64).map_or_else(String::new, |level| format!("{:.0} %: ", level * 100.0));
    let n = finding.pointer("/sample/n").and_then(Value::as_i64).map_or_else(String::new, count);
    let of = finding.pointer("/sample/of").and_then(Value::as_str).unwrap_or("units").replace('_', " ");
    Some(format!("{} ({level}{} to {}, n = {n} {of})", number(value), end("low"), end("high")))
}
