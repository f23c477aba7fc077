//! `/exports`: pick a profile and filters, see what each filter leaves out, then download.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use domain::task::TaskType;
use serde::Deserialize;
use serde_json::{Value, json};
use strum::VariantArray as _;
use web::caller::{PageCaller, PageRefusal};
use web::chart;
use web::json::QueryOf;
use web::layout::{Layout, render};
use web::problem::Problem;
use web::tabular::Kind;

use super::{Choice, count, csv_address, file, require_data, retailer_choices, words};
use crate::exports::counting::Progress;
use crate::exports::profile::{Profile, Split};
use crate::exports::{DEFAULT_MIN_POSTERIOR, ExportQuery};
use crate::state::State;

/// Longest wait for the list of retailers.
const LISTED_WITHIN: Duration = Duration::from_millis(500);

/// The form's fields.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportForm {
    profile: Option<String>,
    task_type: Option<TaskType>,
    retailer_id: Option<String>,
    from: Option<String>,
    to: Option<String>,
    split: Option<Split>,
    min_posterior: Option<f64>,
    include_simulated: Option<bool>,
}

/// A line of the table: what was looked at, what a rule left out, or what is left.
struct Line {
    text: String,
    why: &'static str,
    count: String,
    share: String,
    bar: String,
}

/// The counts of a profile, once they are there.
struct Counts {
    rows: u64,
    rows_text: String,
    simulated_rows: u64,
    pooled_rows: u64,
    lines: Vec<Line>,
    /// The lines as a file.
    csv: String,
    parts: String,
    labels: String,
    sha256: String,
    size: String,
}

#[derive(Template)]
#[template(path = "exports.html")]
struct ExportsPage {
    layout: Layout,
    styles: String,
    script: String,
    profile: &'static str,
    about: &'static str,
    profiles: Vec<Choice>,
    task_types: Vec<Choice>,
    splits: Vec<Choice>,
    retailers: Vec<Choice>,
    from: String,
    to: String,
    min_posterior: f64,
    include_simulated: bool,
    counts: Option<Counts>,
    failure: Option<String>,
    percent: u32,
    rows_so_far: String,
    has_provenance: bool,
    query: String,
}

/// Shows the picker with the counts of the present choice.
pub async fn show_exports(state: Data<State>, caller: PageCaller, form: QueryOf<ExportForm>) -> Result<HttpResponse, PageRefusal> {
    let caller = caller.0;
    require_data(&caller)?;
    let form = form.0;
    let name = form.profile.clone().unwrap_or_else(|| Profile::TrlPreference.name().to_owned());
    let query = ExportQuery {
        task_type: form.task_type,
        retailer_id: form.retailer_id.clone(),
        from: form.from.clone(),
        to: form.to.clone(),
        split: form.split,
        min_posterior: form.min_posterior,
        include_simulated: form.include_simulated,
        format: None,
    };
    let options = query.options(&name)?;
    let progress = state.countings.ask(&state, &caller.scope(), &options).await?;
    let chosen = form.retailer_id.clone();
    let named = form.retailer_id.iter().map(|id| choice(id, id, true)).collect();
    // While the database is busy the page shows how far counting is, and does without the list.
    let listed = state.storage.read(move |conn| retailer_choices(conn, chosen.as_deref()));
    let retailers = match tokio::time::timeout(LISTED_WITHIN, listed).await {
        Ok(read) => read.map_err(Problem::from)?,
        Err(_) => named,
    };
    let page = ExportsPage {
        layout: Layout::new("Exports", "rlhf-backend/exports", Some(&caller), &state.settings),
        styles: file("rlhf.css"),
        script: file("rlhf.js"),
        profile: options.profile.name(),
        about: Profile::ALL.iter().find(|(profile, _, _)| *profile == options.profile).map_or("", |(_, _, about)| about),
        profiles: Profile::ALL.map(|(profile, name, _)| choice(name, name, profile == options.profile)).into(),
        task_types: TaskType::VARIANTS.iter().map(|word| choice(word.as_ref(), word.title(), form.task_type == Some(*word))).collect(),
        splits: [Split::Train, Split::Validation, Split::Test]
            .map(|split| choice(split.name(), split.name(), form.split == Some(split)))
            .into(),
        query: query_string(&form),
        retailers,
        from: form.from.unwrap_or_default(),
        to: form.to.unwrap_or_default(),
        min_posterior: form.min_posterior.unwrap_or(DEFAULT_MIN_POSTERIOR),
        include_simulated: options.include_simulated,
        percent: (progress.share * 100.0).clamp(0.0, 99.0) as u32,
        rows_so_far: number(progress.rows),
        has_provenance: options.profile != Profile::Judgments,
        counts: counts(&progress),
        failure: progress.done.and_then(Result::err),
    };
    Ok(render(&page)?)
}

fn number(n: u64) -> String {
    count(i64::try_from(n).unwrap_or(i64::MAX))
}

/// The counts of a manifest, as the page shows them.
fn counts(progress: &Progress) -> Option<Counts> {
    let Some(Ok(manifest)) = &progress.done else { return None };
    let whole = |value: &Value| value.as_u64().unwrap_or(0);
    let dropped: BTreeMap<String, u64> = serde_json::from_value(manifest["dropped"].clone()).unwrap_or_default();
    let rows = whole(&manifest["rows"]);
    let all = rows + dropped.values().sum::<u64>();
    let line = |text: String, why: &'static str, count: u64| {
        let share = if all == 0 { 0.0 } else { count as f64 / all as f64 };
        let shown = if count > 0 && share < 0.001 { "< 0.1 %".to_owned() } else { format!("{:.1} %", share * 100.0) };
        Line { text, why, count: number(count), share: shown, bar: chart::meter(Some(share), None) }
    };
    let exact = |name: &str, count: u64| vec![json!(name), json!(count)];
    let dropped_rows = dropped.iter().map(|(reason, count)| exact(reason, *count));
    let all_rows: Vec<Vec<Value>> = std::iter::once(exact("looked_at", all)).chain(dropped_rows).chain([exact("rows", rows)]).collect();
    let mut reasons: Vec<(String, u64)> = dropped.into_iter().collect();
    reasons.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut lines = vec![line("Looked at".to_owned(), "rows that judged tasks and feedback under these filters could give", all)];
    lines.extend(reasons.iter().map(|(reason, count)| line(words(reason), explain(reason), *count)));
    lines.push(line("Rows of the export".to_owned(), "what you download", rows));
    let listed = |value: &Value| {
        let each = value.as_object().into_iter().flatten().map(|(name, count)| format!("{} {name}", number(whole(count))));
        each.collect::<Vec<_>>().join(", ")
    };
    Some(Counts {
        rows,
        rows_text: number(rows),
        simulated_rows: whole(&manifest["rows_resting_on_simulated_raters"]),
        pooled_rows: whole(&manifest["aggregation"]["rows_of_several_decisions"]),
        lines: if all == 0 { Vec::new() } else { lines },
        csv: csv_address(&[("because", Kind::Text), ("count", Kind::Whole)], &all_rows),
        parts: listed(&manifest["split"]["rows"]),
        labels: listed(&manifest["labels"]),
        sha256: manifest["sha256"].as_str().unwrap_or_default().to_owned(),
        size: bytes(whole(&manifest["files"][0]["bytes"])),
    })
}

/// A size in the unit that reads best.
fn bytes(size: u64) -> String {
    match size {
        0..1_000 => format!("{size} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", size as f64 / 1e3),
        _ => format!("{:.1} MB", size as f64 / 1e6),
    }
}

/// What a reason means, and what to do about it.
fn explain(reason: &str) -> &'static str {
    match reason {
        "not_resolved_yet" => "raters have not decided yet",
        "no_consensus" => "raters are level",
        "posterior_below_minimum" => "not certain enough; lower the least certainty to take them in",
        "simulated_raters" => "a simulation judged, and you leave those out",
        "tie" => "both are as good: nothing to prefer",
        "both_bad" => "neither is good: only the profile kto can use them",
        "unsure" => "raters could not say",
        "golden_item" => "tests of raters teach nobody",
        "other_split" => "in another part of the data",
        "empty_text" => "a prompt or an answer is blank",
        "identical_texts" => "the answers differ in white space at most",
        "repeated_pair" | "repeated_answer" => "the same texts came up before: all that was said about them is in one row",
        "contradicted_pair" | "contradicted_answer" => "people contradict each other about the same texts",
        "turn_mark_in_text" => "the text holds a turn mark of this format",
        "not_decided_by_an_expert" => "only what an expert chose is an example to learn from",
        "feedback_without_a_pair" => "a thumb or rating has nothing to compare with; the profile kto uses them",
        "feedback_without_an_example" => "only corrections are examples to learn from",
        "rating_of_three" => "three of five is neither good nor bad",
        _ => "",
    }
}

fn choice(value: &str, title: &str, is_chosen: bool) -> Choice {
    Choice { value: value.to_owned(), title: title.to_owned(), is_chosen }
}

/// The same filters for the download.
fn query_string(form: &ExportForm) -> String {
    let text =
        |value: Option<&Value>| value.map_or_else(String::new, |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let json = serde_json::json!({
        "task_type": form.task_type, "retailer_id": form.retailer_id, "from": form.from, "to": form.to, "split": form.split,
        "min_posterior": form.min_posterior, "include_simulated": form.include_simulated,
    });
    let given = json.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let encode = |value: &str| value.bytes().map(encode_byte).collect::<String>();
    given.map(|(name, value)| format!("{name}={}", encode(&text(Some(value))))).collect::<Vec<_>>().join("&")
}

fn encode_byte(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    }
}
