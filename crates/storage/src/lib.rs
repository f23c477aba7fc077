//! Where things live: the only crate that speaks SQL.
//!
//! A resource file holds its row, `New…`, `…Filter`, then free functions `find(conn, &scope, id)`; handlers reach them through
//! [`store::Storage::read`] and [`store::Storage::transaction`].

pub mod api_keys;
pub mod connection;
pub mod dialect;
pub mod error;
pub mod idempotency;
pub mod migrate;
pub mod outbox;
pub mod page;
pub mod schema;
pub mod store;
pub mod types;
pub mod url;
