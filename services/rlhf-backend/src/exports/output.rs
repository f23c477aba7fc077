//! Where rows of an export go: into the file, into the file that says where each row comes from, or into both, and always into the counts.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};
use storage::training_data::judged::JudgmentRow;
use storage::training_data::pages::{FeedbackRow, Origin, TaskRow};
use web::problem::Problem;

use super::Format;
use super::parquet_file::ParquetFile;
use super::pooled::Dropped;
use super::profile::{Profile, Split};
use super::record::{Record, write_line};

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// The rows.
    Rows,
    /// Where each row comes from.
    Provenance,
    /// Both, with all counts: for manifests.
    All,
}

/// What was kept and what was not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// Rows written.
    pub rows: u64,
    /// Rows that rest on at least one simulated rater.
    pub simulated_rows: u64,
    /// Rows that more than one decision is behind.
    pub pooled_rows: u64,
    /// Rows by the value of `label`, in profiles that have one.
    pub labels: BTreeMap<bool, u64>,
    /// Rows by part, when all is counted.
    pub splits: BTreeMap<&'static str, u64>,
    /// Rows that are not there, by reason.
    pub dropped: BTreeMap<Dropped, u64>,
    /// How consensus was found.
    pub methods: BTreeSet<String>,
    /// Oldest and newest of what rows come from.
    pub span: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

/// Where a row comes from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    kind: &'static str,
    origin: Option<&'a Origin>,
    decision: &'a str,
    method: Option<&'a str>,
    decided_by: &'static str,
    judgments: i32,
    simulated: i64,
    posterior: Option<f64>,
    decisions: i64,
    created_at: DateTime<Utc>,
    prompt: &'a str,
}

impl<'a> Source<'a> {
    /// A judged task.
    #[must_use]
    pub fn of_task(row: &'a TaskRow, prompt: &'a str) -> Self {
        Self {
            kind: "task",
            origin: Some(&row.origin),
            decision: row.choice.as_deref().unwrap_or_default(),
            method: Some(&row.method),
            decided_by: if row.decided_by.as_deref() == Some("raters") { "raters" } else { "expert" },
            judgments: row.judgments,
            simulated: row.simulated,
            posterior: row.posterior,
            decisions: 1,
            created_at: *row.created_at,
            prompt,
        }
    }

    /// A piece of feedback.
    #[must_use]
    pub fn of_feedback(row: &'a FeedbackRow, prompt: &'a str) -> Self {
        Self {
            kind: "feedback",
            origin: Some(&row.origin),
            decision: &row.feedback_type,
            method: None,
            decided_by: "user",
            judgments: 1,
            simulated: 0,
            posterior: None,
            decisions: 1,
            created_at: *row.created_at,
            prompt,
        }
    }

    /// One judgment, which names its task and its rater itself.
    #[must_use]
    pub fn of_judgment(row: &'a JudgmentRow, prompt: &'a str) -> Self {
        Self {
            kind: "judgment",
            origin: None,
            decision: &row.choice,
            method: None,
            decided_by: "rater",
            judgments: 1,
            simulated: i64::from(row.is_simulated),
            posterior: None,
            decisions: 1,
            created_at: *row.created_at,
            prompt,
        }
    }

    /// The same with what all decisions about its texts say together.
    #[must_use]
    pub fn pooled(self, posterior: Option<f64>, decisions: i64) -> Self {
        Self { posterior, decisions, ..self }
    }
}

/// A line of the file beside: one type for each column over the whole file, null where a column does not apply.
#[derive(Serialize)]
struct ProvenanceLine<'a> {
    row: u64,
    source: &'static str,
    task_id: Option<&'a str>,
    feedback_id: Option<&'a str>,
    tenant_id: Option<&'a str>,
    task_type: &'a str,
    retailer_id: Option<&'a str>,
    brand_id: Option<&'a str>,
    decision: &'a str,
    decided_by: &'static str,
    method: Option<&'a str>,
    posterior: Option<f64>,
    n_judgments: i32,
    n_simulated: i64,
    n_decisions: i64,
    split: &'static str,
    prompt_sha256: String,
    created_at: String,
}

/// The files being written, and the counts.
pub struct Output {
    profile: Profile,
    parts: Parts,
    parquet: Option<Box<ParquetFile>>,
    rows: Vec<u8>,
    provenance: Vec<u8>,
    /// What was kept and what was not.
    pub tally: Tally,
}

impl Output {
    /// Empty files.
    ///
    /// # Errors
    /// 500 when a Parquet file cannot be begun.
    pub fn new(profile: Profile, format: Format, parts: Parts) -> Result<Self, Problem> {
        let parquet = match format {
            Format::Parquet if parts != Parts::Provenance => Some(Box::new(ParquetFile::new(profile).map_err(Problem::internal)?)),
            _ => None,
        };
        let mut output = Self { profile, parts, parquet, rows: Vec::new(), provenance: Vec::new(), tally: Tally::default() };
        if let Some(file) = &mut output.parquet {
            file.take_into(&mut output.rows);
        }
        Ok(output)
    }

    /// Counts something that is left out.
    ///
    /// # Errors
    /// None; so that it ends a decision like [`Output::keep`].
    pub fn drop(&mut self, reason: Dropped) -> Result<(), Problem> {
        *self.tally.dropped.entry(reason).or_default() += 1;
        Ok(())
    }

    /// Writes a row.
    ///
    /// # Errors
    /// 500 when it cannot be written.
    pub fn keep(&mut self, record: &Record<'_>, source: &Source<'_>) -> Result<(), Problem> {
        if self.parts != Parts::Rows {
            self.describe(source)?;
        }
        if self.parts != Parts::Provenance {
            match &mut self.parquet {
                Some(file) => {
                    file.add(record).map_err(Problem::internal)?;
                    file.take_into(&mut self.rows);
                }
                None => write_line(record, self.profile, &mut self.rows).map_err(Problem::internal)?,
            }
        }
        let tally = &mut self.tally;
        tally.rows += 1;
        tally.simulated_rows += u64::from(source.simulated > 0);
        tally.pooled_rows += u64::from(source.decisions > 1);
        if let Some(label) = record.label() {
            *tally.labels.entry(label).or_default() += 1;
        }
        if let Some(method) = source.method.filter(|method| !tally.methods.contains(*method)) {
            tally.methods.insert(method.to_owned());
        }
        let at = source.created_at;
        tally.span = Some(tally.span.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        Ok(())
    }

    fn describe(&mut self, source: &Source<'_>) -> Result<(), Problem> {
        let digest = Sha256::digest(source.prompt.as_bytes());
        let split = Split::of_digest(&digest);
        *self.tally.splits.entry(split.name()).or_default() += 1;
        let (is_task, is_feedback) = (source.kind == "task", source.kind == "feedback");
        let Some(origin) = source.origin else { return Ok(()) };
        let line = ProvenanceLine {
            row: self.tally.rows,
            source: source.kind,
            task_id: is_task.then_some(origin.id.as_str()),
            feedback_id: is_feedback.then_some(origin.id.as_str()),
            tenant_id: origin.tenant_id.as_deref(),
            task_type: &origin.task_type,
            retailer_id: origin.of.as_deref().filter(|_| is_task),
            brand_id: origin.of.as_deref().filter(|_| is_feedback),
            decision: source.decision,
            decided_by: source.decided_by,
            method: source.method,
            posterior: source.posterior.map(|p| (p * 1e6).round() / 1e6),
            n_judgments: source.judgments,
            n_simulated: source.simulated,
            n_decisions: source.decisions,
            split: split.name(),
            prompt_sha256: hex(&digest),
            created_at: source.created_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        };
        serde_json::to_writer(&mut self.provenance, &line).map_err(Problem::internal)?;
        self.provenance.push(b'\n');
        Ok(())
    }

    /// Bytes that wait to be taken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.rows.len() + self.provenance.len()
    }

    /// The bytes written since they were last taken: rows and provenance.
    pub fn take(&mut self) -> (Vec<u8>, Vec<u8>) {
        (std::mem::take(&mut self.rows), std::mem::take(&mut self.provenance))
    }

    /// Writes what comes after the last row.
    ///
    /// # Errors
    /// 500 when it cannot be written.
    pub fn finish(&mut self) -> Result<(), Problem> {
        if let Some(file) = self.parquet.take() {
            self.rows.extend(file.finish().map_err(Problem::internal)?);
        }
        Ok(())
    }
}

/// Bytes in hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
