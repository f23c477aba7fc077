//! `/adapters`: LoRA adapters with their versions, what was found in their files, and how what they wrote was judged.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;
use storage::adapters::{self, Adapter};
use storage::connection::Connection;
use storage::page::Page;
use web::caller::{PageCaller, PageRefusal};
use web::json::QueryOf;
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
    /// Whose adapters these are.
    whose: String,
    /// The tenant that the platform has chosen.
    tenant: Option<String>,
    /// The tenants that the platform may choose from.
    tenants: Vec<String>,
    sees_tenants: bool,
    /// Whether the caller has a space, its tenant's or the platform's.
    has_space: bool,
    may_write: bool,
    adapters: Vec<Row>,
}

/// Whose adapters are wanted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptersQuery {
    /// For the platform: of this tenant; its own when absent or empty.
    tenant_id: Option<String>,
}

/// Shows the newest 100 adapters of the caller's space, or of the tenant that the platform names.
pub async fn show_adapters(state: Data<State>, caller: PageCaller, query: QueryOf<AdaptersQuery>) -> Result<HttpResponse, PageRefusal> {
    let caller = caller.0;
    require_reader(&caller)?;
    let scope = caller.scope();
    let chosen = query.0.tenant_id.filter(|tenant| !tenant.is_empty());
    let has_space = scope.tenant() != Some("");
    // Whoever has no tenant has no adapters.
    let (rows, mut tenants) = if has_space || chosen.is_some() {
        let (reader, space) = (scope.clone(), space_of(&scope, chosen.as_deref())?);
        let storage = state.storage.scoped(&scope);
        let read = move |conn: &mut Connection| {
            Ok((adapters::list(conn, &reader, &space, &Page::first(100))?.rows, adapters::spaces(conn, &reader)?))
        };
        storage.read(read).await.map_err(Problem::from)?
    } else {
        (Vec::new(), Vec::new())
    };
    let sees_tenants = scope.tenant().is_none();
    let tenant = chosen.filter(|_| sees_tenants);
    tenants.extend(tenant.iter().filter(|tenant| !tenants.contains(tenant)).cloned().collect::<Vec<_>>());
    let page = AdaptersPage {
        layout: Layout::new("Adapters", "rlhf-backend/models", Some(&caller), &state.settings),
        styles: file("rlhf.css"),
        whose: match (&tenant, &caller.tenant) {
            (Some(tenant), _) | (None, Some(tenant)) => format!("of {tenant}"),
            (None, None) if sees_tenants => "of the platform".to_owned(),
            (None, None) => String::new(),
        },
        may_write: may_write(caller.role) && has_space && tenant.is_none(),
        adapters: rows.into_iter().map(|adapter| to_row(adapter, tenant.as_deref())).collect(),
        tenant,
        tenants,
        sees_tenants,
        has_space,
    };
    Ok(render(&page)?)
}

fn to_row(Adapter { newest, versions_count, tasks }: Adapter, tenant: Option<&str>) -> Row {
    let of = tenant.map_or_else(String::new, |tenant| format!("?tenant_id={tenant}"));
    let href = |name: &str| format!("/v1/artifacts/model-artifacts/{}/{name}{of}", newest.path);
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
