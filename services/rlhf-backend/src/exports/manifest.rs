//! What an export holds, without the export: counts, what each rule left out, sizes and checksums of its files.

use std::collections::BTreeMap;

use domain::scope::Scope;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use storage::store::Storage;
use storage::training_data::judged;
use web::problem::Problem;

use super::output::{Parts, hex};
use super::profile::{Profile, Split};
use super::reader::{Export, Options};

/// Size and checksum of a file, as far as it was seen.
#[derive(Default)]
struct Seen {
    bytes: u64,
    hash: Sha256,
}

impl Seen {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
    }
}

/// Reads the whole export and describes it; `progress` is told the share that was read and the rows so far, and stops the reading with an
/// error.
///
/// # Errors
/// As any query; or what `progress` returns.
pub async fn manifest(
    storage: &Storage,
    scope: &Scope,
    options: &Options,
    progress: impl FnMut(f64, u64) -> Result<(), Problem>,
) -> Result<Value, Problem> {
    let export = Export::open(storage, scope, options, Parts::All).await?;
    describe(export, storage, scope, options, progress).await
}

/// [`manifest`] of an export that was opened for all parts.
///
/// # Errors
/// As [`manifest`].
pub async fn describe(
    mut export: Export,
    storage: &Storage,
    scope: &Scope,
    options: &Options,
    mut progress: impl FnMut(f64, u64) -> Result<(), Problem>,
) -> Result<Value, Problem> {
    let (golden_scope, filter) = (scope.clone(), options.filter.clone());
    let golden = storage.read(move |conn| judged::count_golden(conn, &golden_scope, &filter)).await?;
    let (mut rows, mut provenance) = (Seen::default(), Seen::default());
    while let Some(chunk) = export.chunk().await? {
        rows.add(&chunk.rows);
        provenance.add(&chunk.provenance);
        progress(export.share(), export.tally().rows)?;
    }
    let tally = export.tally();
    let mut dropped = tally.dropped.clone();
    if golden > 0 {
        dropped.insert("golden_item", u64::try_from(golden).unwrap_or(0));
    }
    let labels: BTreeMap<String, u64> = tally.labels.iter().map(|(label, count)| (label.to_string(), *count)).collect();
    let sha256 = hex(&rows.hash.finalize());
    let mut files = vec![json!({ "name": options.file_name(), "rows": tally.rows, "bytes": rows.bytes, "sha256": sha256 })];
    if options.profile != Profile::Judgments {
        let sha256 = hex(&provenance.hash.finalize());
        files.push(json!({ "name": options.provenance_name(), "rows": tally.rows, "bytes": provenance.bytes, "sha256": sha256 }));
    }
    Ok(json!({
        "dataset_version": "2",
        "profile": options.profile.name(),
        "format": options.format.extension(),
        "filters": {
            "task_type": options.filter.task_type, "retailer_id": options.filter.retailer_id, "from": options.filter.from, "to": options.filter.to,
            "split": options.split.map(Split::name), "min_posterior": (options.profile != Profile::Judgments).then_some(options.min_posterior), "include_simulated": options.include_simulated,
        },
        "tenant": scope.tenant(),
        "split": { "method": "sha256(prompt) mod 100", "train_below": 80, "validation_below": 90, "rows": tally.splits },
        "aggregation": { "methods": tally.methods, "version": 1, "rows_of_several_decisions": tally.pooled_rows },
        "time_range": tally.span.map(|(first, last)| json!({ "first": first, "last": last })),
        "rows": tally.rows,
        "rows_resting_on_simulated_raters": tally.simulated_rows,
        "labels": labels,
        "dropped": dropped,
        "sha256": sha256,
        "files": files,
    }))
}
