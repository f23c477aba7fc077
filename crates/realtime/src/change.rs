//! A changed row on its way to the members: which bindings want it, and its frames, each encoded
//! once however many sockets receive it.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::binding::Binding;
use crate::frame::{Envelope, Frame, Version};
use crate::outgoing::ChangeType;

/// Above this size only short values are sent, with an error in `errors`; the limit of Supabase.
const CHANGE_BYTES: usize = 1024 * 1024;
/// The longest value that still travels in an oversized change.
const SHORT_VALUE_BYTES: usize = 64;

/// A change, as the hub remembers it.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) change_type: ChangeType,
    pub(crate) record: Option<Value>,
    pub(crate) old_record: Option<Value>,
    pub(crate) commit_timestamp: String,
    pub(crate) tenant: Option<String>,
    pub(crate) sequence: Option<i64>,
}

impl Change {
    /// The row that filters and permissions look at: the new one, or the old one of a deletion.
    pub(crate) fn row(&self) -> &Value {
        let row = match self.change_type {
            ChangeType::Delete => self.old_record.as_ref(),
            ChangeType::Insert | ChangeType::Update => self.record.as_ref(),
        };
        row.unwrap_or(&Value::Null)
    }

    /// Whether any of the bindings asks for this change.
    pub(crate) fn wanted_by(&self, bindings: &[Binding]) -> bool {
        bindings.iter().any(|binding| self.matches(binding))
    }

    fn matches(&self, binding: &Binding) -> bool {
        binding.matches(&self.schema, &self.table, self.change_type, self.row())
    }

    /// The `data` object for a subscriber who selected these columns.
    fn data(&self, select: Option<&[String]>) -> String {
        let cut = |row: &Option<Value>| row.as_ref().map(|row| selected(row, select));
        let (record, old_record) = (cut(&self.record), cut(&self.old_record));
        let text = self.data_text(record.as_ref(), old_record.as_ref(), &Value::Null);
        if text.len() <= CHANGE_BYTES {
            return text;
        }
        let errors = json!(["Error 413: Payload Too Large"]);
        self.data_text(record.as_ref().map(short_values).as_ref(), old_record.as_ref().map(short_values).as_ref(), &errors)
    }

    fn data_text(&self, record: Option<&Value>, old: Option<&Value>, errors: &Value) -> String {
        let mut data = json!({
            "schema": self.schema,
            "table": self.table,
            "commit_timestamp": self.commit_timestamp,
            "type": self.change_type.as_str(),
            "columns": columns(record.or(old)),
            "errors": errors,
        });
        if let Some(map) = data.as_object_mut() {
            let record = record.filter(|_| self.change_type != ChangeType::Delete);
            let old = old.filter(|_| self.change_type != ChangeType::Insert);
            map.extend(record.map(|row| ("record".to_owned(), row.clone())));
            map.extend(old.map(|row| ("old_record".to_owned(), row.clone())));
            map.extend(self.sequence.map(|n| ("sequence".to_owned(), json!(n))));
        }
        data.to_string()
    }
}

/// Equal keys mean equal frames.
type FrameKey = (Version, String, Option<Vec<String>>, Vec<u32>);

/// Encodes one change for many members and keeps what it has encoded.
pub(crate) struct ChangeEncoder<'a> {
    change: &'a Change,
    data: HashMap<Option<Vec<String>>, String>,
    frames: HashMap<FrameKey, Frame>,
}

impl<'a> ChangeEncoder<'a> {
    pub(crate) fn new(change: &'a Change) -> Self {
        Self { change, data: HashMap::new(), frames: HashMap::new() }
    }

    /// The frames for a member with these bindings: one per choice of columns, none if nothing
    /// matches.
    pub(crate) fn frames(&mut self, version: Version, topic: &str, bindings: &[Binding]) -> Vec<Frame> {
        let mut groups: Vec<(&Option<Vec<String>>, Vec<u32>)> = Vec::new();
        for binding in bindings.iter().filter(|b| self.change.matches(b)) {
            match groups.iter_mut().find(|(select, _)| **select == binding.select) {
                Some((_, ids)) => ids.push(binding.id),
                None => groups.push((&binding.select, vec![binding.id])),
            }
        }
        let mut frames = Vec::with_capacity(groups.len());
        for (select, ids) in groups {
            let payload_ids = json!(ids);
            let key = (version, topic.to_owned(), select.clone(), ids);
            if let Some(frame) = self.frames.get(&key) {
                frames.push(frame.clone());
                continue;
            }
            let data = self.data.entry(select.clone()).or_insert_with(|| self.change.data(select.as_deref()));
            let payload = format!(r#"{{"ids":{payload_ids},"data":{data}}}"#);
            let frame = Envelope { join_ref: None, reference: None, topic, event: "postgres_changes" }.frame(version, &payload);
            self.frames.insert(key, frame.clone());
            frames.push(frame);
        }
        frames
    }
}

/// The chosen columns of a row, and `id`, which is always kept.
fn selected(row: &Value, select: Option<&[String]>) -> Value {
    match (row, select) {
        (Value::Object(map), Some(columns)) => map
            .iter()
            .filter(|(name, _)| *name == "id" || columns.contains(*name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<Map<_, _>>()
            .into(),
        _ => row.clone(),
    }
}

fn short_values(row: &Value) -> Value {
    let fields = row.as_object().into_iter().flatten();
    fields
        .filter(|(_, value)| value.to_string().len() <= SHORT_VALUE_BYTES)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect::<Map<_, _>>()
        .into()
}

/// Column names with the PostgreSQL type that holds such a value; clients convert by it.
fn columns(row: Option<&Value>) -> Value {
    let fields = row.and_then(Value::as_object).into_iter().flatten();
    fields
        .map(|(name, value)| {
            let kind = match value {
                Value::Bool(_) => "bool",
                Value::Number(number) if number.is_f64() => "float8",
                Value::Number(_) => "int8",
                Value::Array(_) | Value::Object(_) => "jsonb",
                Value::String(_) | Value::Null => "text",
            };
            json!({"name": name, "type": kind})
        })
        .collect()
}
