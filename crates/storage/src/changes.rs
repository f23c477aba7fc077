//! Changes of rows that sockets may hear of (`postgres_changes`), written to the outbox in the transaction that makes them. The same on all
//! three databases, so nothing is read from a database's own log.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::campaigns::Campaign;
use crate::connection::Connection;
use crate::error::StorageError;
use crate::outbox::{self, Destination, NewEvent};

/// Topic of these events in the outbox; no room has this name.
pub const TOPIC: &str = "changes";

/// The tables of which changes are told, with the columns that are told and may be filtered by. Wide columns are left out: whoever needs
/// them reads the row.
pub const TABLES: [(&str, &[&str]); 4] = [
    ("campaigns", &CAMPAIGN),
    ("imports", &["import_id", "table", "state", "dry_run", "received", "inserted", "updated", "unchanged", "rejected", "message"]),
    ("jobs", &["job_id", "kind", "state", "progress", "message"]),
    ("judgments", &["judgment_id", "rater_id", "total_judgments"]),
];

const CAMPAIGN: [&str; 14] = [
    "campaign_id",
    "tenant_id",
    "retailer_id",
    "brand_id",
    "name",
    "objective",
    "start_date",
    "end_date",
    "total_budget_micros",
    "currency",
    "status",
    "version",
    "created_at",
    "updated_at",
];

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Insert,
    Update,
}

/// The columns of a table that are told; `None` when none of its changes are.
#[must_use]
pub fn columns(table: &str) -> Option<&'static [&'static str]> {
    TABLES.iter().find(|(name, _)| *name == table).map(|(_, columns)| *columns)
}

/// Tells of a campaign.
pub(crate) fn of_campaign(conn: &mut Connection, kind: Kind, row: &Campaign, now: DateTime<Utc>) -> Result<(), StorageError> {
    let mut record = Map::new();
    if let Value::Object(fields) = json!(row) {
        record.extend(fields.into_iter().filter(|(name, _)| CAMPAIGN.contains(&name.as_str())));
    }
    let word = match kind {
        Kind::Insert => "INSERT",
        Kind::Update => "UPDATE",
    };
    let old = (kind == Kind::Update).then(|| json!({"campaign_id": row.campaign_id, "tenant_id": row.tenant_id}));
    let event = NewEvent {
        destination: Destination::Realtime,
        topic: TOPIC.to_owned(),
        event: "row_changed".to_owned(),
        payload: json!({"table": "campaigns", "type": word, "record": record, "old_record": old}),
        tenant_id: Some(row.tenant_id.clone()),
    };
    outbox::push(conn, &event, now).map(drop)
}
