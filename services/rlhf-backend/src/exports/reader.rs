//! Reads an export page by page, so that a set of any size passes through little memory; the same data and filters give the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use domain::scope::Scope;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use storage::error::StorageError;
use storage::store::Storage;
use storage::training_data::judged::{self, RaterMix};
use storage::training_data::{TrainingFilter, said};

use super::lines::{self, Dropped, Line};
use super::profile::{Profile, Split};

/// Tasks, judgments or pieces of feedback read at once.
const PAGE: i64 = 500;

/// A checked export.
#[derive(Debug, Clone)]
pub struct Options {
    /// The shape of rows.
    pub profile: Profile,
    /// Which tasks and feedback.
    pub filter: TrainingFilter,
    /// Only this part.
    pub split: Option<Split>,
    /// Least posterior of a task's decision.
    pub min_posterior: f64,
    /// Whether tasks judged by simulated raters count.
    pub include_simulated: bool,
}

impl Options {
    /// Name of the file that the export is saved as.
    #[must_use]
    pub fn file_name(&self) -> String {
        let task_type = self.filter.task_type.as_deref().map(|word| format!("-{word}")).unwrap_or_default();
        let split = self.split.map(|split| format!("-{}", split.name())).unwrap_or_default();
        format!("{}{task_type}{split}.jsonl", self.profile.name())
    }
}

/// Where a reading stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    source: Source,
    after: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Tasks,
    Feedback,
}

impl Place {
    /// The beginning.
    pub const START: Self = Self { source: Source::Tasks, after: 0 };
}

/// What was kept and what was not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// Lines written.
    pub rows: u64,
    /// Lines that rest on at least one simulated rater.
    pub simulated_rows: u64,
    /// Lines by the value of `label`, in profiles that have one.
    pub labels: BTreeMap<bool, u64>,
    /// Tasks, judgments or feedback left out, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// How consensus was found.
    pub methods: BTreeSet<String>,
}

/// The bytes of one page and the place of the next.
///
/// # Errors
/// As any query.
pub async fn page(
    storage: &Storage,
    scope: &Scope,
    options: &Options,
    place: Place,
    tally: &mut Tally,
) -> Result<(Vec<u8>, Option<Place>), StorageError> {
    match (place.source, options.profile) {
        (Source::Tasks, Profile::Judgments) => judgments_page(storage, scope, options, place.after, tally).await,
        (Source::Tasks, _) => tasks_page(storage, scope, options, place.after, tally).await,
        (Source::Feedback, _) => feedback_page(storage, scope, options, place.after, tally).await,
    }
}

/// Reads the whole export and describes it.
///
/// # Errors
/// As any query.
pub async fn manifest(storage: &Storage, scope: &Scope, options: &Options) -> Result<Value, StorageError> {
    let mut tally = Tally::default();
    let (golden_scope, filter) = (scope.clone(), options.filter.clone());
    let golden = storage.read(move |conn| judged::count_golden(conn, &golden_scope, &filter)).await?;
    if golden > 0 {
        tally.dropped.insert("golden_item", u64::try_from(golden).unwrap_or(0));
    }
    let mut hash = Sha256::new();
    let mut size: u64 = 0;
    let mut next = Some(Place::START);
    while let Some(place) = next {
        let (bytes, after) = page(storage, scope, options, place, &mut tally).await?;
        hash.update(&bytes);
        size += bytes.len() as u64;
        next = after;
    }
    let sha256: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let labels: BTreeMap<String, u64> = tally.labels.iter().map(|(label, count)| (label.to_string(), *count)).collect();
    Ok(json!({
        "dataset_version": "1",
        "profile": options.profile.name(),
        "format": "jsonl",
        "filters": {
            "task_type": options.filter.task_type, "retailer_id": options.filter.retailer_id, "from": options.filter.from, "to": options.filter.to,
            "split": options.split.map(Split::name), "min_posterior": options.min_posterior, "include_simulated": options.include_simulated,
        },
        "tenant": scope.tenant(),
        "split": { "method": "sha256(prompt) mod 100", "train_below": 80, "validation_below": 90 },
        "aggregation": { "methods": tally.methods, "version": 1 },
        "rows": tally.rows,
        "rows_resting_on_simulated_raters": tally.simulated_rows,
        "labels": labels,
        "dropped": tally.dropped,
        "sha256": sha256,
        "files": [{ "name": options.file_name(), "rows": tally.rows, "bytes": size, "sha256": sha256 }],
    }))
}

async fn tasks_page(
    storage: &Storage,
    scope: &Scope,
    options: &Options,
    after: i64,
    tally: &mut Tally,
) -> Result<(Vec<u8>, Option<Place>), StorageError> {
    let (scope, filter) = (scope.clone(), options.filter.clone());
    let (tasks, mixes) = storage
        .read(move |conn| {
            let tasks = judged::tasks(conn, &scope, &filter, after, PAGE)?;
            let ids: Vec<String> = tasks.iter().map(|task| task.task_id.clone()).collect();
            let mixes = judged::rater_mix(conn, &ids)?;
            Ok((tasks, mixes))
        })
        .await?;
    let Some(last) = tasks.last() else { return Ok((Vec::new(), Some(Place { source: Source::Feedback, after: 0 }))) };
    let next = Place { source: Source::Tasks, after: last.id };
    let mut bytes = Vec::new();
    for task in &tasks {
        let mix: RaterMix = mixes.get(&task.task_id).copied().unwrap_or_default();
        let lines = lines::of_task(task, mix, options);
        if lines.is_ok() {
            tally.methods.insert(task.method.clone());
        }
        write(lines, mix.simulated > 0, &mut bytes, tally);
    }
    Ok((bytes, Some(next)))
}

async fn feedback_page(
    storage: &Storage,
    scope: &Scope,
    options: &Options,
    after: i64,
    tally: &mut Tally,
) -> Result<(Vec<u8>, Option<Place>), StorageError> {
    let (scope, filter) = (scope.clone(), options.filter.clone());
    let rows = storage.read(move |conn| said::feedback(conn, &scope, &filter, after, PAGE)).await?;
    let Some(last) = rows.last() else { return Ok((Vec::new(), None)) };
    let next = Place { source: Source::Feedback, after: last.id };
    let mut bytes = Vec::new();
    for row in &rows {
        write(lines::of_feedback(row, options), false, &mut bytes, tally);
    }
    Ok((bytes, Some(next)))
}

async fn judgments_page(
    storage: &Storage,
    scope: &Scope,
    options: &Options,
    after: i64,
    tally: &mut Tally,
) -> Result<(Vec<u8>, Option<Place>), StorageError> {
    let (scope, filter) = (scope.clone(), options.filter.clone());
    let rows = storage.read(move |conn| judged::judgments(conn, &scope, &filter, after, PAGE)).await?;
    let Some(last) = rows.last() else { return Ok((Vec::new(), None)) };
    let next = Place { source: Source::Tasks, after: last.id };
    let mut bytes = Vec::new();
    for row in &rows {
        write(lines::of_judgment(row, options), row.is_simulated, &mut bytes, tally);
    }
    Ok((bytes, Some(next)))
}

fn write(lines: Result<Vec<Line>, Dropped>, is_simulated: bool, bytes: &mut Vec<u8>, tally: &mut Tally) {
    match lines {
        Ok(lines) => {
            for line in lines {
                tally.rows += 1;
                tally.simulated_rows += u64::from(is_simulated);
                if let Some(label) = line.label {
                    *tally.labels.entry(label).or_default() += 1;
                }
                bytes.extend_from_slice(line.json.as_bytes());
                bytes.push(b'\n');
            }
        }
        Err(reason) => *tally.dropped.entry(reason).or_default() += 1,
    }
}
