//! Catalog, campaigns, performance and their imports, on all configured databases.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod analytics;
mod experiments;
mod history;
mod import_fuzz;
mod import_kill;
mod import_parquet;
mod import_rules;
mod import_runs;
mod imports;
mod isolation;
mod lists;
mod performance;
mod plans;
mod rollups;
mod workspace;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use domain::role::Role;
use domain::scope::Scope;
use storage::connection::Connection;
use storage::imports::{Compression, Format, Outcome, Request, Table, load};
use testkit::database::TestDatabase;

/// The files of the sample bundle with the tables they fill, in order.
pub const SAMPLE: [(Table, &str); 7] = [
    (Table::Retailers, "retailers"),
    (Table::Brands, "brands"),
    (Table::Skus, "sku_catalog"),
    (Table::AudienceSegments, "audience_segments"),
    (Table::Campaigns, "campaigns"),
    (Table::CampaignSkus, "campaign_skus"),
    (Table::Performance, "performance_metrics"),
];

pub fn now() -> DateTime<Utc> {
    "2026-01-15T12:00:00Z".parse().unwrap()
}

pub fn system() -> Scope {
    Scope::system("test")
}

pub fn tenant(id: &str) -> Scope {
    Scope::for_caller("acc_1", Role::Analyst, Some(id))
}

pub fn sample(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/retail/{name}.csv"))
}

pub fn request(table: Table, path: PathBuf) -> Request {
    Request::new(table, path, Format::Csv, Compression::None)
}

pub fn import(conn: &mut Connection, request: &Request) -> Outcome {
    load(conn, &system(), request, now(), &|_| {}).unwrap()
}

/// A database of each kind with the sample in it.
pub fn with_sample() -> Vec<TestDatabase> {
    let databases = testkit::database::all();
    for database in &databases {
        let mut conn = database.connect();
        for (table, name) in SAMPLE {
            let outcome = import(&mut conn, &request(table, sample(name)));
            assert_eq!((outcome.rejected, outcome.is_kept), (0, true), "{} {name}: {:?}", database.kind(), outcome.errors);
        }
    }
    databases
}
