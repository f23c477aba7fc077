//! Where things live: the only crate that speaks SQL.
//!
//! A resource file holds its row, `New…`, `…Filter`, then free functions `find(conn, &scope, id)`; handlers reach them through
//! [`store::Storage::read`] and [`store::Storage::transaction`].

pub mod accounts;
pub mod api_keys;
pub mod assignments;
pub mod audit;
pub mod batch;
pub mod brands;
pub mod calibrations;
pub mod campaigns;
pub mod check_evidence;
pub mod connection;
pub mod consensus;
pub mod dialect;
pub mod error;
pub mod experiments;
pub mod feedback;
pub mod golden;
pub mod history;
pub mod idempotency;
pub mod imports;
pub mod integrity;
pub mod jobs;
pub mod judgments;
pub mod leaderboard;
pub mod migrate;
pub mod outbox;
pub mod page;
pub mod performance;
pub mod plans;
pub mod prepared;
pub mod qualifications;
pub mod quality_facts;
pub mod queue;
pub mod rate_limits;
pub mod raters;
pub mod reflections;
pub mod retailers;
pub mod reviews;
pub mod reward_models;
pub mod rlhf_metrics;
pub mod row_security;
pub mod schema;
pub mod segments;
pub mod selections;
pub mod share;
pub mod skus;
pub mod store;
pub mod tasks;
pub mod training_data;
pub mod types;
pub mod url;
pub mod workspace;
