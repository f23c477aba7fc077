//! `/imports`: files are brought in with live counts, and what became of each stays to be read, wrong rows by line and field.

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;
use domain::role::Role;
use serde::Deserialize;
use storage::accounts;
use storage::imports::ledger::{self, Import, ImportFilter, StoredError};
use storage::imports::{MAX_REPORTED, Table};
use storage::page::Page as Rows;
use web::caller::{PageCaller, PageRefusal};
use web::layout::{Layout, render};
use web::paging::{ListQuery, NoFilter, Page, Slice};
use web::problem::Problem;

use super::words::{count, encoded, moment, sentence, words};
use super::{Pick, file, picks};
use crate::state::State;

/// Imports on a page, when nothing else is asked for.
const IMPORTS: u32 = 20;
/// Wrong rows on a page, when nothing else is asked for.
const ERRORS: u32 = 100;
/// States of an import, with their words.
const STATES: [(&str, &str); 4] = [("queued", "Waiting"), ("running", "Running"), ("finished", "Finished"), ("failed", "Failed")];

/// Which imports are listed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportSearch {
    table: Option<String>,
    state: Option<String>,
}

struct Line {
    import_id: String,
    title: String,
    when: String,
    who: String,
    state: String,
    word: &'static str,
    tone: &'static str,
    is_trial: bool,
    is_open: bool,
    counts: [(&'static str, &'static str, String); 5],
    has_errors: bool,
}

impl Line {
    fn of(row: &Import, names: &HashMap<String, String>) -> Self {
        let figure = |name, label, n: i64| (name, label, count(n));
        Self {
            import_id: row.import_id.clone(),
            title: words(&row.table_name.replace('-', " ")),
            when: moment(&row.created_at),
            who: names.get(&row.created_by).unwrap_or(&row.created_by).clone(),
            state: row.state.clone(),
            word: STATES.iter().find(|(state, _)| *state == row.state).map_or("Unknown", |(_, word)| word),
            tone: match row.state.as_str() {
                "finished" if row.rejected == 0 => "badge-good",
                "finished" => "badge-warn",
                "failed" => "badge-bad",
                _ => "badge-note",
            },
            is_trial: row.is_dry_run,
            is_open: matches!(row.state.as_str(), "queued" | "running"),
            counts: [
                figure("received", "Rows read", row.received),
                figure("inserted", "New", row.inserted),
                figure("updated", "Changed", row.updated),
                figure("unchanged", "Equal", row.unchanged),
                figure("rejected", "Wrong", row.rejected),
            ],
            has_errors: row.rejected > 0,
        }
    }
}

#[derive(Template)]
#[template(path = "imports.html")]
struct ImportsPage {
    layout: Layout,
    styles: String,
    script: String,
    may_import: bool,
    tables: Vec<Pick>,
    max_gib: u64,
    lines: Vec<Line>,
    listed: Vec<Pick>,
    states: Vec<Pick>,
    is_filtered: bool,
    is_first: bool,
    /// The parameters of this list without its cursor.
    query: String,
    next: Option<String>,
}

/// Shows the form and the imports so far.
pub async fn show_imports(state: Data<State>, caller: PageCaller, query: ListQuery<ImportSearch>) -> Result<HttpResponse, PageRefusal> {
    let caller = caller.0;
    let may_import = caller.role.may_plan();
    let ListQuery { filter, page } = query;
    let tables = || Table::ALL.iter().rev().map(|(table, name)| (*table, (*name).to_owned(), words(&name.replace('-', " "))));
    if let Some(table) = filter.table.as_deref().filter(|table| Table::named(table).is_none()) {
        let known: Vec<&str> = Table::ALL.iter().map(|(_, name)| *name).collect();
        return Err(Problem::invalid_field("table", format!("cannot be {table:?}; it must be one of {}", known.join(", "))).into());
    }
    if let Some(word) = filter.state.as_deref().filter(|word| STATES.iter().all(|(state, _)| state != word)) {
        let known: Vec<&str> = STATES.iter().map(|(state, _)| *state).collect();
        return Err(Problem::invalid_field("state", format!("cannot be {word:?}; it must be one of {}", known.join(", "))).into());
    }
    let is_first = page.cursor.is_none();
    let (found, names) = if may_import {
        let rows = rows(&page, IMPORTS)?;
        let (scope, wanted) = (caller.scope(), ImportFilter { table: filter.table.clone(), state: filter.state.clone() });
        let storage = state.storage.scoped(&scope);
        let found = storage.read(move |conn| {
            let slice = ledger::list(conn, &scope, &wanted, &rows)?;
            let actors: Vec<&str> = slice.rows.iter().map(|row| row.created_by.as_str()).collect();
            let names = accounts::display_names(conn, &actors)?;
            Ok((slice, names))
        });
        let (slice, names) = found.await.map_err(Problem::from)?;
        (Slice::from(slice), names)
    } else {
        (Slice { data: Vec::new(), next_cursor: None }, HashMap::new())
    };
    let lines = found.data.into_iter().map(|mut row| {
        state.imports.freshen(&mut row);
        Line::of(&row, &names)
    });
    let parameters = [("table", filter.table.clone()), ("state", filter.state.clone())];
    let query: Vec<String> = parameters.iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value.as_deref()?)))).collect();
    let page = ImportsPage {
        layout: Layout::new("Imports", "campaign-runtime/imports", Some(&caller), &state.settings),
        styles: file("campaigns.css"),
        script: file("imports.js"),
        may_import,
        // Retailers belong to the platform; the API refuses them to everybody else.
        tables: picks(
            tables()
                .filter(|(table, ..)| *table != Table::Retailers || caller.role == Role::PlatformAdmin)
                .map(|(_, name, title)| (name, title)),
            Some("performance"),
        ),
        max_gib: state.settings.imports.max_bytes >> 30,
        lines: lines.collect(),
        listed: picks(tables().map(|(_, name, title)| (name, title)), filter.table.as_deref()),
        states: picks(STATES.map(|(state, word)| (state.to_owned(), word.to_owned())), filter.state.as_deref()),
        is_filtered: !query.is_empty(),
        is_first,
        query: query.join("&amp;"),
        next: found.next_cursor,
    };
    Ok(render(&page)?)
}

/// The page asked for, with `usual` rows when no number is named.
fn rows(page: &Page, usual: u32) -> Result<Rows, Problem> {
    let limit = if page.limit == web::paging::DEFAULT_LIMIT { usual } else { page.limit };
    Rows::try_from(&Page { limit, cursor: page.cursor.clone() })
}

#[derive(Template)]
#[template(path = "import.html")]
struct ImportPage {
    layout: Layout,
    styles: String,
    script: String,
    line: Line,
    message: Option<String>,
    how: Vec<String>,
    ignored: Vec<String>,
    errors: Vec<StoredError>,
    has_columns: bool,
    /// Why fewer wrong rows are listed than were counted.
    missing: Option<String>,
    is_first: bool,
    next: Option<String>,
}

/// Shows one import with its wrong rows.
pub async fn show_import(
    state: Data<State>,
    caller: PageCaller,
    id: Path<String>,
    query: ListQuery<NoFilter>,
) -> Result<HttpResponse, PageRefusal> {
    let caller = caller.0;
    caller.require(Role::may_plan)?;
    let (scope, wanted, is_first) = (caller.scope(), rows(&query.page, ERRORS)?, query.page.cursor.is_none());
    let storage = state.storage.scoped(&scope);
    let found = storage.read(move |conn| {
        let row = ledger::find(conn, &scope, &id)?;
        let errors = ledger::errors(conn, &scope, &id, &wanted)?;
        let names = accounts::display_names(conn, &[row.created_by.as_str()])?;
        Ok((row, errors, names))
    });
    let (mut row, errors, names) = found.await.map_err(Problem::from)?;
    state.imports.freshen(&mut row);
    let errors: Slice<StoredError> = Slice::from(errors);
    let line = Line::of(&row, &names);
    let mut how = vec![if row.on_error == "skip" { "Wrong rows are left out" } else { "One wrong row keeps all of it out" }.to_owned()];
    how.extend(row.is_dry_run.then(|| "only a trial: nothing is kept".to_owned()));
    how.extend(row.retailer_id.as_ref().map(|retailer| format!("read through the columns of {retailer}")));
    how.extend((row.attempts > 1).then(|| format!("{} attempts", row.attempts)));
    let most = i64::try_from(MAX_REPORTED).unwrap_or(i64::MAX);
    let missing = if errors.data.is_empty() && is_first && row.rejected > 0 && !line.is_open {
        Some("They were kept for thirty days and are gone. Send the file again to see them.".to_owned())
    } else {
        (row.rejected > most).then(|| format!("The first {} of {} are kept.", count(most), count(row.rejected)))
    };
    let page = ImportPage {
        layout: Layout::new(format!("Import of {}", line.when), "campaign-runtime/imports", Some(&caller), &state.settings),
        styles: file("campaigns.css"),
        script: file("imports.js"),
        message: row.message.as_deref().map(sentence),
        how,
        ignored: row.ignored_columns.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
        has_columns: errors.data.iter().any(|error| !error.source_column.is_empty() && error.source_column != error.field),
        errors: errors.data,
        missing,
        is_first,
        next: errors.next_cursor,
        line,
    };
    Ok(render(&page)?)
}
