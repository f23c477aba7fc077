//! `/imports`: files are brought in with live progress, and what was wrong with their rows is shown by line and field.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use domain::role::Role;
use storage::imports::Table;
use web::caller::{PageCaller, PageRefusal};
use web::layout::{Layout, render};

use super::words::words;
use super::{Pick, file, picks};
use crate::state::State;

#[derive(Template)]
#[template(path = "imports.html")]
struct ImportsPage {
    layout: Layout,
    styles: String,
    script: String,
    may_import: bool,
    tables: Vec<Pick>,
    max_gib: u64,
}

/// Shows the form.
pub async fn show_imports(state: Data<State>, caller: PageCaller) -> Result<HttpResponse, PageRefusal> {
    let caller = caller.0;
    // Retailers belong to the platform; the API refuses them to everybody else.
    let tables = Table::ALL.iter().rev().filter(|(table, _)| *table != Table::Retailers || caller.role == Role::PlatformAdmin);
    let page = ImportsPage {
        layout: Layout::new("Imports", "campaign-runtime/imports", Some(&caller), &state.settings),
        styles: file("campaigns.css"),
        script: file("imports.js"),
        may_import: caller.role.may_plan(),
        tables: picks(tables.map(|(_, name)| ((*name).to_owned(), words(&name.replace('-', " ")))), Some("performance")),
        max_gib: state.settings.imports.max_bytes >> 30,
    };
    Ok(render(&page)?)
}
