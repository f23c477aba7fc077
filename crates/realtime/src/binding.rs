//! What one channel wants to hear of `postgres_changes`: the entries of its join, each with the
//! number by which the client will recognise a match.

use serde_json::{Map, Value, json};

use crate::authority::Authority;
use crate::filter::{self, Condition};
use crate::outgoing::ChangeType;

/// One entry of `config.postgres_changes`.
#[derive(Debug, Clone)]
pub(crate) struct Binding {
    pub(crate) id: u32,
    event: Option<ChangeType>,
    schema: String,
    table: Option<String>,
    conditions: Vec<Condition>,
    /// The columns to send; `None` sends all.
    pub(crate) select: Option<Vec<String>>,
}

/// The bindings of a join.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    /// The request's entries in their order, each verbatim and with an `id`: supabase-js leaves the
    /// channel when this list differs from what it asked for.
    pub(crate) echo: Vec<Value>,
    /// The entries that are in force; empty when one of them is impossible.
    pub(crate) active: Vec<Binding>,
    /// What is wrong, for the subscriber.
    pub(crate) problem: Option<String>,
}

/// Reads `config.postgres_changes`. Entries that are not objects are dropped, as Supabase does.
pub(crate) fn parse(requested: Option<&Value>, authority: &dyn Authority) -> Bindings {
    let mut bindings = Bindings::default();
    let entries = requested.and_then(Value::as_array).into_iter().flatten();
    let mut used: Vec<(u32, &Map<String, Value>)> = Vec::new();
    for entry in entries.filter_map(Value::as_object) {
        let id = number(entry, &used);
        used.push((id, entry));
        let mut echo = entry.clone();
        echo.insert("id".to_owned(), json!(id));
        bindings.echo.push(Value::Object(echo));
        match Binding::parse(id, entry, authority) {
            Ok(binding) => bindings.active.push(binding),
            Err(problem) => bindings.problem = bindings.problem.or(Some(problem)),
        }
    }
    if bindings.problem.is_some() {
        bindings.active.clear();
    }
    bindings
}

impl Binding {
    fn parse(id: u32, entry: &Map<String, Value>, authority: &dyn Authority) -> Result<Self, String> {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).filter(|t| !t.is_empty());
        let event = match text("event").unwrap_or("*").to_uppercase().as_str() {
            "INSERT" => Some(ChangeType::Insert),
            "UPDATE" => Some(ChangeType::Update),
            "DELETE" => Some(ChangeType::Delete),
            // Supabase takes every other word for `*`, and so do clients that were written for it.
            _ => None,
        };
        let schema = text("schema").unwrap_or("public").to_owned();
        let table = text("table").filter(|table| *table != "*").map(str::to_owned);
        if let Some(unknown) = table.as_deref().filter(|table| !authority.has_table(&schema, table)) {
            return Err(format!("no changes of the table {schema}.{unknown} are told"));
        }
        let conditions = filter::parse(text("filter").unwrap_or_default())?;
        let known = |column: &str| table.as_deref().is_none_or(|table| authority.has_column(&schema, table, column));
        if let Some(unknown) = conditions.iter().find(|c| !known(&c.column)) {
            return Err(format!("invalid column for filter {}", unknown.column));
        }
        let select = entry.get("select").and_then(Value::as_array).map(|columns| {
            let names = columns.iter().filter_map(Value::as_str);
            names.map(str::to_owned).collect::<Vec<_>>()
        });
        if let Some(unknown) = select.iter().flatten().find(|column| !known(column)) {
            return Err(format!("invalid column for select {unknown}"));
        }
        Ok(Self { id, event, schema, table, conditions, select })
    }

    /// Whether a change of this kind to this row is one the binding asked for.
    pub(crate) fn matches(&self, schema: &str, table: &str, change_type: ChangeType, row: &Value) -> bool {
        self.event.is_none_or(|event| event == change_type)
            && (self.schema == "*" || self.schema == schema)
            && self.table.as_deref().is_none_or(|wanted| wanted == table)
            && self.conditions.iter().all(|condition| condition.holds(row))
    }
}

/// A number made from the entry itself (FNV-1a, cut to 27 bits like Supabase's), so that equal
/// entries share encoded frames across clients. Never zero, and unequal entries of one channel
/// never share a number.
fn number(entry: &Map<String, Value>, used: &[(u32, &Map<String, Value>)]) -> u32 {
    let text = Value::Object(entry.clone()).to_string();
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut id = u32::try_from(hash & 0x7ff_ffff).unwrap_or(1).max(1);
    while used.iter().any(|(taken, other)| *taken == id && *other != entry) {
        id += 1;
    }
    id
}
