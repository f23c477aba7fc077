//! `/exports`: pick a profile and filters, see what each filter leaves out, then download.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use domain::task::TaskType;
use serde::Deserialize;
use serde_json::Value;
use strum::VariantArray as _;
use web::caller::{PageCaller, PageRefusal};
use web::json::QueryOf;
use web::layout::{Layout, render};
use web::problem::Problem;

use super::{file, require_reader, words};
use crate::exports::profile::{Profile, Split};
use crate::exports::{DEFAULT_MIN_POSTERIOR, ExportQuery, reader};
use crate::state::State;

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

struct Choice {
    value: String,
    title: String,
    is_chosen: bool,
}

struct Reason {
    text: String,
    count: u64,
}

#[derive(Template)]
#[template(path = "exports.html")]
struct ExportsPage {
    layout: Layout,
    styles: String,
    profile: &'static str,
    about: &'static str,
    profiles: Vec<Choice>,
    task_types: Vec<Choice>,
    splits: Vec<Choice>,
    retailer_id: String,
    from: String,
    to: String,
    min_posterior: f64,
    include_simulated: bool,
    rows: u64,
    simulated_rows: u64,
    reasons: Vec<Reason>,
    sha256: String,
    query: String,
}

/// Shows the picker with the counts of the present choice.
pub async fn show_exports(state: Data<State>, caller: PageCaller, form: QueryOf<ExportForm>) -> Result<HttpResponse, PageRefusal> {
    let caller = caller.0;
    require_reader(&caller)?;
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
    let manifest = reader::manifest(&state.storage.scoped(&caller.scope()), &caller.scope(), &options).await.map_err(Problem::from)?;
    let dropped: BTreeMap<String, u64> = serde_json::from_value(manifest["dropped"].clone()).unwrap_or_default();
    let number = |key: &str| manifest[key].as_u64().unwrap_or(0);
    let page = ExportsPage {
        layout: Layout::new("Exports", "rlhf-backend/exports", Some(&caller), &state.settings),
        styles: file("rlhf.css"),
        profile: options.profile.name(),
        about: Profile::ALL.iter().find(|(profile, _, _)| *profile == options.profile).map_or("", |(_, _, about)| about),
        profiles: Profile::ALL.map(|(profile, name, _)| choice(name, name, profile == options.profile)).into(),
        task_types: TaskType::VARIANTS.iter().map(|word| choice(word.as_ref(), word.title(), form.task_type == Some(*word))).collect(),
        splits: [Split::Train, Split::Validation, Split::Test]
            .map(|split| choice(split.name(), split.name(), form.split == Some(split)))
            .into(),
        query: query_string(&form),
        retailer_id: form.retailer_id.unwrap_or_default(),
        from: form.from.unwrap_or_default(),
        to: form.to.unwrap_or_default(),
        min_posterior: form.min_posterior.unwrap_or(DEFAULT_MIN_POSTERIOR),
        include_simulated: options.include_simulated,
        rows: number("rows"),
        simulated_rows: number("rows_resting_on_simulated_raters"),
        reasons: dropped.into_iter().map(|(reason, count)| Reason { text: words(&reason), count }).collect(),
        sha256: manifest["sha256"].as_str().unwrap_or_default().to_owned(),
    };
    Ok(render(&page)?)
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
