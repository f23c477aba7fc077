//! `/webhooks`: addresses that are told of events; made, changed, tried and switched here. A secret is shown once, by the script.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use storage::page::Page;
use storage::webhooks::{self as stored, MAX_OF_TENANT, Webhook};
use web::caller::{PageCaller, PageRefusal};
use web::json::QueryOf;
use web::layout::{Layout, render};
use web::paging::NoFilter;
use web::problem::Problem;

use super::file;
use crate::state::State;
use crate::webhooks::events::{EventType, TYPES};
use crate::webhooks::may_manage;

struct Row {
    id: String,
    url: String,
    description: String,
    types: Vec<String>,
    owner: Option<String>,
    is_enabled: bool,
    state: &'static str,
    tone: &'static str,
    why: Option<String>,
    both_until: Option<String>,
    made: String,
}

#[derive(Template)]
#[template(path = "webhooks.html")]
struct WebhooksPage {
    layout: Layout,
    styles: String,
    script: String,
    may_manage: bool,
    has_seal_key: bool,
    is_platform: bool,
    types: &'static [EventType],
    webhooks: Vec<Row>,
    most: i64,
}

/// Shows the webhooks of the caller's tenant; to the platform the newest of all.
pub async fn show_webhooks(state: Data<State>, caller: PageCaller, _query: QueryOf<NoFilter>) -> Result<HttpResponse, PageRefusal> {
    let caller = caller.0;
    let may_manage = may_manage(caller.role);
    let rows = if may_manage {
        let scope = caller.scope();
        let storage = state.storage.scoped(&scope);
        storage.read(move |conn| stored::list(conn, &scope, &Page::first(500))).await.map_err(Problem::from)?.rows
    } else {
        Vec::new()
    };
    let (now, is_platform) = (state.clock.now(), caller.scope().tenant().is_none());
    let page = WebhooksPage {
        layout: Layout::new("Webhooks", "rlhf-backend/webhooks", Some(&caller), &state.settings),
        styles: file("rlhf.css"),
        script: file("webhooks.js"),
        may_manage,
        has_seal_key: state.settings.seal_keys.current().is_some(),
        is_platform,
        types: &TYPES,
        webhooks: rows.into_iter().map(|row| to_row(row, is_platform, now)).collect(),
        most: MAX_OF_TENANT,
    };
    Ok(render(&page)?)
}

fn to_row(row: Webhook, is_platform: bool, now: chrono::DateTime<chrono::Utc>) -> Row {
    let (state, tone) = match (row.is_enabled, row.failing_since) {
        (false, _) => ("off", ""),
        (true, Some(_)) => ("failing", "badge-bad"),
        (true, None) => ("on", "badge-good"),
    };
    let failing = row.failing_since.map(|at| format!("Every attempt has failed since {}.", moment(&at)));
    Row {
        types: row.event_types.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
        owner: is_platform.then(|| row.tenant_id.unwrap_or_else(|| "the platform, told of all tenants’ events".to_owned())),
        why: row.disabled_reason.map(|why| format!("Switched off: {why}.")).or(failing.filter(|_| row.is_enabled)),
        both_until: row.previous_secret_until.filter(|until| until.0 > now).map(|until| moment(&until)),
        made: moment(&row.created_at),
        id: row.webhook_id,
        url: row.url,
        description: row.description,
        is_enabled: row.is_enabled,
        state,
        tone,
    }
}

pub(crate) fn moment(at: &chrono::DateTime<chrono::Utc>) -> String {
    at.format("%e %b %Y, %H:%M:%S UTC").to_string().trim_start().to_owned()
}
