//! Pages for people: brands, feedback, dashboard, models and their cards, adapters, what to judge next, exports, webhooks. Rendered on the server; the script sends forms and keeps figures live.

pub mod adapters;
pub mod brands;
pub mod dashboard;
pub mod deliveries;
pub mod exports;
pub mod feedback;
pub mod key_figures;
pub mod model_card;
pub mod models;
pub mod selection;
pub mod webhooks;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::page::Page;
use storage::retailers::{self, RetailerFilter};
use web::caller::Caller;
use web::layout::StaticFile;
use web::problem::Problem;
use web::tabular::{Encoder, Format, Kind};

use crate::feedback::may_read;
use crate::tables;

/// Static files of this service.
pub static FILES: [StaticFile; 3] = [
    StaticFile::new("rlhf.js", "text/javascript; charset=utf-8", include_bytes!("../static/rlhf.js")),
    StaticFile::new("rlhf.css", "text/css; charset=utf-8", include_bytes!("../static/rlhf.css")),
    StaticFile::new("webhooks.js", "text/javascript; charset=utf-8", include_bytes!("../static/webhooks.js")),
];

/// Address of one of them, for templates.
pub(crate) fn file(name: &str) -> String {
    FILES.iter().find(|file| file.name == name).map_or_else(|| format!("/static/{name}"), StaticFile::url)
}

/// These pages are for those who may read feedback.
pub(crate) fn require_reader(caller: &Caller) -> Result<(), Problem> {
    caller.require(may_read)
}

/// Refuses who belongs to no tenant and does not see all: zeros would be shown as if they were the truth.
pub(crate) fn require_data(caller: &Caller) -> Result<(), Problem> {
    require_reader(caller)?;
    if caller.tenant.is_none() && !caller.role.sees_all_tenants() {
        let detail =
            format!("An account of role {} belongs to no brand, so it has no data here; reward models are open to it.", caller.role);
        return Err(Problem::forbidden(detail));
    }
    Ok(())
}

/// Realtime topics that a page listens to, for its script: a tenant hears its own rooms, the platform's people all.
pub(crate) fn topics(caller: &Caller, rooms: &[&str]) -> String {
    let topic = |room: &&str| match (&caller.tenant, *room) {
        (None, "tasks") => Some("realtime:tasks".to_owned()),
        // Reviewers see no tenant's rows; their pages look again by the clock too.
        (None, room) => caller.role.sees_all_tenants().then(|| format!("realtime:{room}")),
        // Tasks are heard by those who judge them; a tenant's page looks again by the clock.
        (Some(_), "tasks") => None,
        (Some(tenant), room) => Some(format!("realtime:{room}:{tenant}")),
    };
    rooms.iter().filter_map(topic).collect::<Vec<_>>().join(" ")
}

/// A share as `73.1 %`, or a dash.
pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// A number with so many decimals, or a dash.
pub(crate) fn decimal(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
}

/// An entry of a list to choose from.
pub(crate) struct Choice {
    pub(crate) value: String,
    pub(crate) title: String,
    pub(crate) is_chosen: bool,
}

/// The retailers to choose from, the oldest 500; one that was named and is not among them stays chosen, so that a form says what it does.
pub(crate) fn retailer_choices(conn: &mut Connection, chosen: Option<&str>) -> Result<Vec<Choice>, StorageError> {
    let found = retailers::list(conn, &RetailerFilter::default(), &Page::first(500))?.rows;
    let mut all: Vec<Choice> = found
        .into_iter()
        .map(|one| Choice {
            is_chosen: chosen == Some(one.retailer_id.as_str()),
            title: if one.name == one.retailer_id { one.name } else { format!("{} ({})", one.name, one.retailer_id) },
            value: one.retailer_id,
        })
        .collect();
    if let Some(named) = chosen.filter(|named| !all.iter().any(|one| one.value == **named)) {
        all.push(Choice { value: named.to_owned(), title: named.to_owned(), is_chosen: true });
    }
    Ok(all)
}

/// Text as HTML in which long names of settings and columns may break after each `_`, and nowhere else.
pub(crate) fn breakable(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '_' => html.push_str("_<wbr>"),
            other => html.push(other),
        }
    }
    html
}

/// A table of a page as the address of a CSV file that holds it: for tables that are on that page alone. An empty address when it cannot be
/// written.
pub(crate) fn csv_address(columns: &[(&str, Kind)], rows: &[Vec<Value>]) -> String {
    let encoder = Encoder::new(Format::Csv, tables::columns(columns), true);
    let bytes = encoder.and_then(|encoder| encoder.whole(rows)).unwrap_or_default();
    format!("data:text/csv;charset=utf-8;base64,{}", STANDARD.encode(bytes))
}

/// A count with its thousands apart.
pub(crate) fn count(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let groups: Vec<String> = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned()).collect();
    format!("{}{}", if count < 0 { "-" } else { "" }, groups.join(","))
}

/// `thumbs_up` as `Thumbs up`.
pub(crate) fn words(code: &str) -> String {
    let text = code.replace('_', " ");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}
