//! What every resource rests on, on all configured databases: the schema, transactions, the outbox, processes, kept answers, mistakes in URLs.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod batch;
mod hosted;
mod limits;
mod mistakes;
mod outbox;
mod prepared;
mod realtime;
mod rules;
mod schema;
mod sessions;
mod tenants;
mod transactions;
mod waiting;
