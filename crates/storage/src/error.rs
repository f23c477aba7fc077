//! What can go wrong when data is read or written, in words that the caller can act on.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use domain::invalid::Invalid;

/// Any failure of this crate. `Display` tells one level; the source chain holds the rest.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No such row, or not one that this scope may see.
    #[error("{what} {id:?} does not exist")]
    NotFound {
        /// The kind of thing, in words: `campaign`.
        what: &'static str,
        /// The id asked for.
        id: String,
    },
    /// The write contradicts what is stored.
    #[error("{why}")]
    Conflict {
        /// Stable code for the problem document: `judgment_exists`.
        code: &'static str,
        /// A sentence for the reader.
        why: String,
    },
    /// Another transaction wrote the same at the same time; the same work, done again, finds what that one wrote.
    #[error("{0}")]
    Raced(&'static str),
    /// The input breaks a rule that only the data could show.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// All connections or locks are taken; trying again later helps.
    #[error("the database is busy: {0}")]
    Busy(&'static str),
    /// The tenant has as many requests waiting as it may; the others are not to suffer from it.
    #[error("this tenant has too many requests waiting at once")]
    Crowded,
    /// The database does not answer.
    #[error("the database does not answer: {0}")]
    Unavailable(String),
    /// The database answers, and what is in it cannot be worked with; the words say what to do, and hold no secret.
    #[error("{0}")]
    Unready(String),
    /// A stored value cannot be read back.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
    /// Anything else the database said.
    #[error("the database refused a statement")]
    Query(#[source] DieselError),
}

impl StorageError {
    /// A missing row.
    pub fn not_found(what: &'static str, id: impl Into<String>) -> Self {
        Self::NotFound { what, id: id.into() }
    }

    /// A contradiction with stored data.
    pub fn conflict(code: &'static str, why: impl Into<String>) -> Self {
        Self::Conflict { code, why: why.into() }
    }

    /// Whether the same work may succeed when done again at once.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Raced(_) | Self::Query(DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _)) => true,
            Self::Query(DieselError::DatabaseError(_, info)) => {
                let message = info.message().to_ascii_lowercase();
                ["deadlock", "database is locked", "record has changed since last read"].iter().any(|part| message.contains(part))
            }
            _ => false,
        }
    }
}

impl From<DieselError> for StorageError {
    fn from(error: DieselError) -> Self {
        match error {
            DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand, info) => {
                Self::Unavailable(info.message().to_owned())
            }
            // What a lost connection says of a transaction is said of its rollback as well.
            DieselError::RollbackErrorOnCommit { commit_error, .. } => Self::from(*commit_error),
            DieselError::BrokenTransactionManager => Self::Unavailable("the connection was lost within a transaction".to_owned()),
            DieselError::DeserializationError(cause) => Self::Corrupt(cause.to_string()),
            DieselError::DatabaseError(_, ref info) if lacks_a_table(info.message()) => {
                Self::Unready("the schema is missing or old; run: endcap migrate up".to_owned())
            }
            DieselError::DatabaseError(_, ref info) if is_held(info.message()) => Self::Busy("a lock was held for too long"),
            DieselError::DatabaseError(_, ref info) if lacks_room(info.message()) => {
                Self::Unavailable(format!("there is no room left where its data are: {}", info.message()))
            }
            DieselError::DatabaseError(_, ref info) if is_gone(info.message()) => Self::Unavailable(info.message().to_owned()),
            // PostgreSQL is asked for the number of a type at its first use on a connection; all our types exist, so it did not answer.
            DieselError::SerializationError(ref cause) | DieselError::QueryBuilderError(ref cause)
                if is_of_a_lookup(&cause.to_string()) =>
            {
                Self::Unavailable(cause.to_string())
            }
            other => Self::Query(other),
        }
    }
}

/// How the three databases say that a table is not there.
fn lacks_a_table(message: &str) -> bool {
    message.contains("no such table")
        || (message.contains("relation") && message.contains("does not exist"))
        || message.ends_with("doesn't exist")
}

/// How the three databases say that a disk is full.
fn lacks_room(message: &str) -> bool {
    ["database or disk is full", "No space left on device", "is full"].iter().any(|part| message.contains(part))
}

/// How the servers say that somebody else held a lock for longer than we wait.
fn is_held(message: &str) -> bool {
    message.contains("due to lock timeout") || message.contains("Lock wait timeout exceeded")
}

/// How servers say that a connection has ended, or that they are ending or beginning.
fn is_gone(message: &str) -> bool {
    const WAYS: [&str; 9] = [
        "terminating connection",
        "server closed the connection",
        "connection to server",
        "the database system is",
        "gone away",
        "Lost connection",
        "Connection was killed",
        "Server shutdown in progress",
        "Can't connect to",
    ];
    WAYS.iter().any(|way| message.contains(way))
}

fn is_of_a_lookup(cause: &str) -> bool {
    cause.contains("Failed to find a type oid")
}

/// Says at the call site what a violated unique or foreign key means.
pub trait Meaning<T> {
    /// The meaning of a unique violation.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] for a unique violation, else the error as it was.
    fn on_unique(self, code: &'static str, why: impl FnOnce() -> String) -> Result<T, StorageError>;

    /// The meaning of a foreign key violation: the field that names something unknown.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] on `field` for a foreign key violation, else the error as it was.
    fn on_missing_reference(self, field: &str, message: impl FnOnce() -> String) -> Result<T, StorageError>;
}

impl<T, E: Into<StorageError>> Meaning<T> for Result<T, E> {
    fn on_unique(self, code: &'static str, why: impl FnOnce() -> String) -> Result<T, StorageError> {
        self.map_err(|error| match error.into() {
            StorageError::Query(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => StorageError::conflict(code, why()),
            other => other,
        })
    }

    fn on_missing_reference(self, field: &str, message: impl FnOnce() -> String) -> Result<T, StorageError> {
        self.map_err(|error| match error.into() {
            StorageError::Query(DieselError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _)) => {
                StorageError::Invalid(Invalid::one(field, message()))
            }
            other => other,
        })
    }
}
