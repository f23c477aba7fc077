//! What a service may tell the hub: a broadcast to a room, or a change of a row.

use serde_json::Value;

/// The name of a room. A private and a public room of one name are two rooms.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Topic {
    /// The name without the `realtime:` prefix.
    pub name: String,
    /// Whether joining needs permission for this very room.
    pub private: bool,
}

impl Topic {
    /// A room that everybody with a key may ask to join.
    pub fn public(name: impl Into<String>) -> Self {
        Self { name: name.into(), private: false }
    }

    /// A room that needs permission.
    pub fn private(name: impl Into<String>) -> Self {
        Self { name: name.into(), private: true }
    }

    /// The name on the wire, `realtime:<name>`.
    pub(crate) fn wire(&self) -> String {
        format!("realtime:{}", self.name)
    }
}

/// A message from the service to whoever listens.
#[derive(Debug, Clone)]
pub enum Outgoing {
    /// A message to every member of one room.
    Broadcast {
        /// The room.
        topic: Topic,
        /// The name that clients listen for.
        event: String,
        /// Any JSON; an object is what every client understands.
        payload: Value,
        /// Position in the outbox; sequenced messages can be replayed.
        sequence: Option<i64>,
    },
    /// A committed change of one row, sent to every `postgres_changes` binding that matches it and
    /// whose owner may see the row.
    Change {
        /// The database schema; `public` for all of our tables.
        schema: String,
        /// The table.
        table: String,
        /// What happened to the row.
        change_type: ChangeType,
        /// The row after the change; `None` for a deletion.
        record: Option<Value>,
        /// The row before the change, at least its key; `None` for an insertion.
        old_record: Option<Value>,
        /// RFC 3339 in UTC with milliseconds, for example `2026-11-22T15:23:46.426Z`.
        commit_timestamp: String,
        /// The tenant that owns the row.
        tenant: Option<String>,
        /// Position in the outbox; sequenced changes can be replayed.
        sequence: Option<i64>,
    },
}

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeType {
    /// A new row.
    Insert,
    /// A changed row.
    Update,
    /// A row that is gone.
    Delete,
}

impl ChangeType {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}
