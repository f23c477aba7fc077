//! The list of adapters as a file: the columns of the page.

use serde_json::{Value, json};
use storage::adapters::Adapter;
use web::tabular::{Column, Kind};

use crate::tables;

/// The columns.
pub(super) fn columns() -> Vec<Column> {
    let text = |name| (name, Kind::Text);
    let whole = |name| (name, Kind::Whole);
    tables::columns(&[
        text("adapter_id"),
        text("tenant_id"),
        whole("version"),
        whole("versions_count"),
        text("base_model"),
        whole("lora_rank"),
        ("lora_alpha", Kind::Real),
        whole("parameters_count"),
        whole("tasks"),
        whole("tasks_decided"),
        whole("judgments"),
        text("path"),
        text("note"),
        text("created_by"),
        text("created_at"),
    ])
}

/// An adapter as a row of these columns.
pub(super) fn cells(columns: &[Column], adapter: &Adapter) -> Vec<Value> {
    let mut row = json!(adapter);
    row["tasks"] = json!(adapter.tasks.total);
    row["tasks_decided"] = json!(adapter.tasks.decided);
    row["judgments"] = json!(adapter.tasks.judgments);
    tables::cells(columns, &row)
}
