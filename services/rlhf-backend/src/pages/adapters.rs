//! `/adapters`: LoRA adapters with their versions, what was found in their files, and how what they wrote was judged.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use storage::adapters::{self, Adapter};
use storage::page::Page;
use web::caller::{PageCaller, PageRefusal};
use web::layout::{Layout, render};
use web::problem::Problem;

use super::{count, file, require_reader};
use crate::artifacts::{may_write, space_of};
use crate::state::State;

struct Row {
    adapter_id: String,
    version: i32,
    versions: i64,
    note: Option<String>,
    base_model: String,
    rank: i32,
    alpha: f64,
    parameters: String,
    modules: String,
    remarks: Vec<String>,
    files: [(String, &'static str); 2],
    tasks: String,
    decided: String,
    judgments: String,
    registered: String,
}

#[derive(Template)]
#[template(path = "adapters.html")]
struct AdaptersPage {
    layout: Layout,
    styles: String,
    may_write: bool,
    adapters: Vec<Row>,
}

/// Shows the newest 100 adapters of the caller's space.
pub async fn show_adapters(state: Data<State>, caller: PageCaller) -> Result<HttpResponse, PageRefusal> {
    let caller = caller.0;
    require_reader(&caller)?;
    let scope = caller.scope();
    // Whoever has no tenant has no adapters.
    let rows = match space_of(&scope, None) {
        Ok(tenant) => {
            let reader = scope.clone();
            let storage = state.storage.scoped(&scope);
            storage.read(move |conn| adapters::list(conn, &reader, &tenant, &Page::first(100))).await.map_err(Problem::from)?.rows
        }
        Err(_) => Vec::new(),
    };
    let page = AdaptersPage {
        layout: Layout::new("Adapters", "rlhf-backend/models", Some(&caller), &state.settings),
        styles: file("rlhf.css"),
        may_write: may_write(caller.role),
        adapters: rows.into_iter().map(to_row).collect(),
    };
    Ok(render(&page)?)
}

fn to_row(Adapter { newest, versions_count, tasks }: Adapter) -> Row {
    let href = |name: &str| format!("/v1/artifacts/model-artifacts/{}/{name}", newest.path);
    let texts = |field: &str| -> Vec<String> {
        let all = newest.details.get(field).and_then(serde_json::Value::as_array).into_iter().flatten();
        all.filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let modules = newest.details.get("modules_count").and_then(serde_json::Value::as_i64).unwrap_or(0);
    Row {
        files: [(href("adapter_config.json"), "configuration"), (href("adapter_model.safetensors"), "weights")],
        modules: format!(
            "{} in {}",
            if modules == 1 { "1 module".to_owned() } else { format!("{} modules", count(modules)) },
            texts("dtypes").join(", ")
        ),
        remarks: texts("not_checked"),
        version: newest.version,
        versions: versions_count,
        base_model: if newest.base_model.is_empty() { "not named".to_owned() } else { newest.base_model },
        rank: newest.lora_rank,
        alpha: newest.lora_alpha,
        parameters: count(newest.parameters_count),
        tasks: count(tasks.total),
        decided: count(tasks.decided),
        judgments: count(tasks.judgments),
        registered: newest.created_at.format("%e %b %Y, %H:%M UTC").to_string(),
        note: newest.note,
        adapter_id: newest.adapter_id,
    }
}
