//! `/webhooks/deliveries`: what was sent to webhooks and what came of it; one delivery with its body, to be sent again.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;
use serde_json::Value;
use storage::page::Page as Rows;
use storage::webhooks as hooks;
use storage::webhooks::attempts::{self, AttemptMade};
use storage::webhooks::deliveries::{self as stored, Delivery};
use web::caller::{PageCaller, PageRefusal};
use web::layout::{Layout, render};
use web::paging::{ListQuery, Slice};
use web::problem::Problem;

use super::file;
use super::webhooks::moment;
use crate::state::State;
use crate::webhooks::events::{TEST, TYPES};
use crate::webhooks::log::{DeliveryQuery, STATUSES};
use crate::webhooks::may_manage;
use crate::webhooks::sending::MAX_ATTEMPTS;

struct Pick {
    value: String,
    title: String,
    is_chosen: bool,
}

struct Row {
    id: String,
    webhook_id: String,
    url: String,
    event_type: String,
    event_id: String,
    status: String,
    tone: &'static str,
    attempts: String,
    /// What follows the attempts when it was sent again.
    replayed: String,
    answer: String,
    error: Option<String>,
    made: String,
    last: String,
    next: Option<String>,
    may_replay: bool,
    may_send_now: bool,
}

struct Attempt {
    number: String,
    at: String,
    answer: String,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "deliveries.html")]
struct DeliveriesPage {
    layout: Layout,
    styles: String,
    script: String,
    may_manage: bool,
    webhooks: Vec<Pick>,
    statuses: Vec<Pick>,
    types: Vec<Pick>,
    from: String,
    to: String,
    rows: Vec<Row>,
    is_filtered: bool,
    is_first: bool,
    query: String,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "delivery.html")]
struct DeliveryPage {
    layout: Layout,
    styles: String,
    script: String,
    row: Row,
    attempts: Vec<Attempt>,
    kept: usize,
    payload: String,
}

/// Shows the log.
pub async fn show_deliveries(state: Data<State>, caller: PageCaller, query: ListQuery<DeliveryQuery>) -> Result<HttpResponse, PageRefusal> {
    let caller = caller.0;
    let may_manage = may_manage(caller.role);
    let ListQuery { filter, page } = query;
    // A form sends what is not chosen as empty.
    let chosen = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let filter = DeliveryQuery {
        webhook_id: chosen(&filter.webhook_id),
        status: chosen(&filter.status),
        event_type: chosen(&filter.event_type),
        from: chosen(&filter.from),
        to: chosen(&filter.to),
    };
    let wanted = filter.clone().filter()?;
    let (is_first, rows) = (page.cursor.is_none(), Rows::try_from(&page)?);
    let (found, webhooks) = if may_manage {
        let scope = caller.scope();
        let storage = state.storage.scoped(&scope);
        let read =
            storage.read(move |conn| Ok((stored::list(conn, &scope, &wanted, &rows)?, hooks::list(conn, &scope, &Rows::first(500))?.rows)));
        read.await.map_err(Problem::from)?
    } else {
        (storage::page::Slice { rows: Vec::new(), next: None }, Vec::new())
    };
    let found = Slice::from(found);
    let url_of = |id: &str| webhooks.iter().find(|row| row.webhook_id == id).map_or_else(String::new, |row| row.url.clone());
    let pairs = [
        ("webhook_id", &filter.webhook_id),
        ("status", &filter.status),
        ("event_type", &filter.event_type),
        ("from", &filter.from),
        ("to", &filter.to),
    ];
    let given: Vec<String> =
        pairs.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={}", encoded(value)))).collect();
    let page = DeliveriesPage {
        layout: Layout::new("Deliveries", "rlhf-backend/webhooks", Some(&caller), &state.settings),
        styles: file("rlhf.css"),
        script: file("webhooks.js"),
        may_manage,
        webhooks: webhooks
            .iter()
            .map(|row| Pick {
                is_chosen: filter.webhook_id.as_ref() == Some(&row.webhook_id),
                title: row.url.clone(),
                value: row.webhook_id.clone(),
            })
            .collect(),
        statuses: STATUSES
            .iter()
            .map(|status| Pick {
                is_chosen: filter.status.as_deref() == Some(status),
                title: super::words(status),
                value: (*status).to_owned(),
            })
            .collect(),
        types: TYPES
            .iter()
            .map(|known| known.name)
            .chain([TEST])
            .map(|name| Pick { is_chosen: filter.event_type.as_deref() == Some(name), title: name.to_owned(), value: name.to_owned() })
            .collect(),
        from: filter.from.clone().unwrap_or_default(),
        to: filter.to.clone().unwrap_or_default(),
        rows: found.data.into_iter().map(|row| to_row(&row, url_of(&row.webhook_id))).collect(),
        is_filtered: !given.is_empty(),
        is_first,
        query: given.join("&"),
        next: found.next_cursor,
    };
    Ok(render(&page)?)
}

/// Shows one delivery with its body.
pub async fn show_delivery(state: Data<State>, caller: PageCaller, delivery_id: Path<String>) -> Result<HttpResponse, PageRefusal> {
    let caller = caller.0;
    caller.require(may_manage)?;
    let scope = caller.scope();
    let storage = state.storage.scoped(&scope);
    let read = storage.read(move |conn| {
        let row = stored::find(conn, &scope, &delivery_id)?;
        let url = hooks::find(conn, &scope, &row.webhook_id)?.url;
        Ok((row, url))
    });
    let (row, url) = read.await.map_err(Problem::from)?;
    let parsed = serde_json::from_str::<Value>(&row.payload).and_then(|value| serde_json::to_string_pretty(&value));
    let page = DeliveryPage {
        layout: Layout::new("Delivery", "rlhf-backend/webhooks", Some(&caller), &state.settings),
        styles: file("rlhf.css"),
        script: file("webhooks.js"),
        payload: parsed.unwrap_or_else(|_| row.payload.clone()),
        attempts: attempts::of(&row).into_iter().rev().map(to_attempt).collect(),
        kept: attempts::MOST,
        row: to_row(&row, url),
    };
    Ok(render(&page)?)
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn to_row(row: &Delivery, url: String) -> Row {
    let replayed = match row.replays {
        0 => String::new(),
        1 => ", replayed once".to_owned(),
        n => format!(", replayed {n} times"),
    };
    Row {
        id: row.delivery_id.clone(),
        webhook_id: row.webhook_id.clone(),
        url,
        event_type: row.event_type.clone(),
        event_id: row.event_id.clone(),
        tone: match row.status.as_str() {
            "delivered" => "badge-good",
            "failed" => "badge-bad",
            _ => "badge-note",
        },
        status: row.status.clone(),
        attempts: format!("{} of {MAX_ATTEMPTS}", row.attempts),
        replayed,
        answer: answer(row.last_http_status, row.duration_ms),
        error: row.last_error.clone(),
        made: moment(&row.created_at),
        last: row.last_attempt_at.map_or_else(|| "–".to_owned(), |at| moment(&at)),
        next: row.next_attempt_at.map(|at| moment(&at)),
        may_replay: row.status != "pending",
        may_send_now: row.status == "pending",
    }
}

fn answer(status: Option<i32>, duration_ms: Option<i32>) -> String {
    match (status, duration_ms) {
        (Some(status), Some(ms)) => format!("{status} in {ms} ms"),
        (None, Some(ms)) => format!("none in {ms} ms"),
        _ => "–".to_owned(),
    }
}

fn to_attempt(made: AttemptMade) -> Attempt {
    let number = match made.replay {
        0 => made.number.to_string(),
        replay => format!("{}, replay {replay}", made.number),
    };
    Attempt { number, at: moment(&made.at), answer: answer(made.http_status.map(i32::from), Some(made.duration_ms)), error: made.error }
}
