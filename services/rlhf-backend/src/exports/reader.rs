//! Reads an export page by page, so that a set of any size passes through little memory. A task of its own reads at most two pages ahead,
//! so that the database works while rows are written; the same data and filters give the same bytes.

use std::collections::VecDeque;

use domain::scope::Scope;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::reward_models;
use storage::store::Storage;
use storage::training_data::TrainingFilter;
use storage::training_data::judged::{self, JudgmentRow};
use storage::training_data::pages::{self, FeedbackRow, TaskRow, Wanted};
use storage::training_data::repeats::{self, Simulated, Unit};
use tokio::sync::mpsc;
use web::problem::Problem;

use super::Format;
use super::output::{Output, Parts, Tally};
use super::pooled::Pool;
use super::profile::{Profile, Split};
use super::sieve::Sieve;

/// Rows of the first page, so that the answer begins soon.
const FIRST_PAGE: i64 = 200;

/// Texts of a later page, about.
const PAGE_BYTES: usize = 2 << 20;

/// Rows of a later page.
const PAGE_ROWS: std::ops::RangeInclusive<i64> = 16..=4_000;

/// Pages that wait to be written.
const PAGES_AHEAD: usize = 1;

/// Bytes that are handed on at once.
const CHUNK_BYTES: usize = 128 << 10;

/// Rows after which others on this thread get their turn.
const ROWS_AT_ONCE: usize = 256;

/// Pairs or texts that come up more than once, at most: they are kept in memory (about 100 bytes each).
pub const MAX_REPEATS: i64 = 500_000;

/// A checked export.
#[derive(Debug, Clone)]
pub struct Options {
    /// The shape of rows.
    pub profile: Profile,
    /// The form of the file.
    pub format: Format,
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
        format!("{}.{}", self.stem(), self.format.extension())
    }

    /// Name of the file beside it, which says where each row comes from.
    #[must_use]
    pub fn provenance_name(&self) -> String {
        format!("{}-provenance.jsonl", self.stem())
    }

    fn stem(&self) -> String {
        let task_type = self.filter.task_type.as_deref().map(|word| format!("-{word}")).unwrap_or_default();
        let split = self.split.map(|split| format!("-{}", split.name())).unwrap_or_default();
        format!("{}{task_type}{split}", self.profile.name())
    }

    fn repeats(&self, conn: &mut Connection, scope: &Scope, unit: Unit) -> Result<Vec<repeats::Repeat>, StorageError> {
        let simulated = if self.include_simulated { Simulated::Counts } else { Simulated::IsLeftOut };
        repeats::repeats(conn, scope, &self.filter, unit, simulated, MAX_REPEATS + 1)
    }
}

enum Rows {
    Tasks(VecDeque<TaskRow>),
    Feedback(VecDeque<FeedbackRow>),
    Judgments(VecDeque<JudgmentRow>),
}

/// A page, and which share of everything has been read with it.
struct Page {
    rows: Rows,
    share: f64,
}

/// Bytes of an export, as far as they are written.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Of the file.
    pub rows: Vec<u8>,
    /// Of the file beside it.
    pub provenance: Vec<u8>,
}

/// An export under way. Reading stops when it is dropped.
pub struct Export {
    pages: mpsc::Receiver<Result<Page, StorageError>>,
    page: Option<Page>,
    sieve: Sieve,
    output: Output,
    is_finished: bool,
    share: f64,
}

impl Export {
    /// Looks what comes up more than once, and begins to read.
    ///
    /// # Errors
    /// 422 when there is no such retailer or too much comes up more than once; 503 when the database does not answer.
    pub async fn open(storage: &Storage, scope: &Scope, options: &Options, parts: Parts) -> Result<Self, Problem> {
        let (own, asked) = (scope.clone(), options.clone());
        let prepare = move |conn: &mut Connection| {
            if let Some(retailer) = &asked.filter.retailer_id {
                reward_models::require_retailer(conn, retailer)?;
            }
            let has_simulated = pages::has_simulated_raters(conn)?;
            let repeated = asked.profile.unit().map(|unit| asked.repeats(conn, &own, unit)).transpose()?.unwrap_or_default();
            Ok((has_simulated, repeated, pages::last_keys(conn)?))
        };
        let (has_simulated, repeated, last_keys) = storage.read(prepare).await?;
        if repeated.len() as i64 > MAX_REPEATS {
            let detail = format!("over {MAX_REPEATS} pairs or answers were given more than once; choose one task type or a shorter period");
            return Err(Problem::invalid_field("task_type", detail));
        }
        let wanted = Wanted {
            origin: parts != Parts::Rows,
            keys: !repeated.is_empty(),
            simulated: has_simulated,
            single_answers: options.profile == Profile::Kto,
        };
        let reader = Reader { storage: storage.clone(), scope: scope.clone(), options: options.clone(), wanted, last_keys };
        let (send, pages) = mpsc::channel(PAGES_AHEAD);
        tokio::spawn(async move {
            if let Err(error) = reader.read(&send).await {
                // Nobody listens any more when this fails.
                let _ = send.send(Err(error)).await;
            }
        });
        Ok(Self {
            pages,
            page: None,
            sieve: Sieve::new(options.clone(), Pool::new(repeated)),
            output: Output::new(options.profile, options.format, parts)?,
            is_finished: false,
            share: 0.0,
        })
    }

    /// The next bytes; `None` after the last. A chunk may be empty: then there was nothing to write in what was read.
    ///
    /// # Errors
    /// When reading or writing fails.
    pub async fn chunk(&mut self) -> Result<Option<Chunk>, Problem> {
        if self.is_finished {
            return Ok(None);
        }
        if self.page.is_none() {
            match self.pages.recv().await {
                Some(page) => self.page = Some(page?),
                None => {
                    self.output.finish()?;
                    (self.is_finished, self.share) = (true, 1.0);
                }
            }
        }
        if let Some(page) = &mut self.page {
            let mut is_left = true;
            while is_left && self.output.waiting() < CHUNK_BYTES {
                for _ in 0..ROWS_AT_ONCE {
                    is_left = page.rows.write_one(&mut self.sieve, &mut self.output)?;
                    if !is_left || self.output.waiting() >= CHUNK_BYTES {
                        break;
                    }
                }
                tokio::task::yield_now().await;
            }
            self.share = page.share;
            if !is_left {
                self.page = None;
            }
        }
        let (rows, provenance) = self.output.take();
        Ok(Some(Chunk { rows, provenance }))
    }

    /// Which share of everything has been read.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.share
    }

    /// What was kept and what was not, so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.output.tally
    }

    /// How many pairs or texts come up more than once.
    #[must_use]
    pub fn repeated(&self) -> usize {
        self.sieve.repeated()
    }
}

impl Rows {
    /// Writes the next row; `false` when there is none.
    fn write_one(&mut self, sieve: &mut Sieve, output: &mut Output) -> Result<bool, Problem> {
        match self {
            Self::Tasks(rows) => rows.pop_front().map(|row| sieve.task(&row, output)),
            Self::Feedback(rows) => rows.pop_front().map(|row| sieve.feedback(&row, output)),
            Self::Judgments(rows) => rows.pop_front().map(|row| sieve.judgment(&row, output)),
        }
        .transpose()
        .map(|done| done.is_some())
    }
}

struct Reader {
    storage: Storage,
    scope: Scope,
    options: Options,
    wanted: Wanted,
    last_keys: (i64, i64),
}

impl Reader {
    async fn read(&self, send: &mpsc::Sender<Result<Page, StorageError>>) -> Result<(), StorageError> {
        let (tasks, feedback) = self.last_keys;
        let all = (tasks + feedback).max(1) as f64;
        let (scope, filter, wanted) = (self.scope.clone(), self.options.filter.clone(), self.wanted);
        if self.options.profile == Profile::Judgments {
            let read = move |conn: &mut Connection, after, limit: i64| judged::judgments(conn, &scope, &filter, after, limit.min(1_000));
            return self
                .pages(send, read, |row| (row.id, row.prompt.len() + 400), |rows, _| Page { rows: Rows::Judgments(rows), share: 0.5 })
                .await;
        }
        let (own, narrow) = (scope.clone(), filter.clone());
        let read = move |conn: &mut Connection, after, limit| pages::tasks(conn, &own, &narrow, wanted, after, limit);
        let as_page = |rows, last: i64| Page { rows: Rows::Tasks(rows), share: (last as f64 / all).min(1.0) };
        self.pages(send, read, |row| (row.id, size_of_task(row)), as_page).await?;
        let read = move |conn: &mut Connection, after, limit| pages::feedback(conn, &scope, &filter, wanted, after, limit);
        let as_page = |rows, last: i64| Page { rows: Rows::Feedback(rows), share: ((tasks + last) as f64 / all).min(1.0) };
        self.pages(send, read, |row| (row.id, size_of_feedback(row)), as_page).await
    }

    /// Reads one table to its end; pages hold as many rows as the last one lets expect to be of the right size.
    async fn pages<Row: Send + 'static>(
        &self,
        send: &mpsc::Sender<Result<Page, StorageError>>,
        read: impl Fn(&mut Connection, i64, i64) -> Result<Vec<Row>, StorageError> + Clone + Send + 'static,
        key_and_size: impl Fn(&Row) -> (i64, usize),
        as_page: impl Fn(VecDeque<Row>, i64) -> Page,
    ) -> Result<(), StorageError> {
        let (mut after, mut limit) = (0, FIRST_PAGE);
        loop {
            let (read, from, most) = (read.clone(), after, limit);
            let rows = self.storage.read(move |conn| read(conn, from, most)).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = key_and_size(last).0;
            let bytes: usize = rows.iter().map(|row| key_and_size(row).1).sum();
            let fitting = PAGE_BYTES / (bytes / rows.len()).max(1);
            limit = i64::try_from(fitting).unwrap_or(i64::MAX).clamp(*PAGE_ROWS.start(), *PAGE_ROWS.end());
            if send.send(Ok(as_page(rows.into(), after))).await.is_err() {
                return Ok(());
            }
        }
    }
}

fn size_of_task(row: &TaskRow) -> usize {
    200 + row.prompt.len() + row.context_snippets.len() + row.candidates.iter().flatten().map(String::len).sum::<usize>()
}

fn size_of_feedback(row: &FeedbackRow) -> usize {
    200 + [&row.prompt, &row.model_output, &row.preferred, &row.rejected].into_iter().flatten().map(String::len).sum::<usize>()
}
