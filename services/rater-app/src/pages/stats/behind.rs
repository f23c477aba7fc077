//! The judgments behind a number of the statistics page: which they are, as rows of the page, and all of them as a file.

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::{Bytes, Data};
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use storage::quality_facts::{self, Fact, FactFilter, FactPlace};
use storage::raters;
use web::problem::Problem;
use web::tabular::{Column, Encoder, Format, Kind};

use crate::pages::board;
use crate::pages::figures::{choice_words, duration, title_of};
use crate::state::State;

/// Judgments listed behind a number; the file has all of them.
const MOST_BEHIND: usize = 100;

/// Rows of the file read at once.
const ROWS_AT_ONCE: i64 = 500;

/// Columns of the file.
const COLUMNS: [&str; 8] = ["judgment_id", "at", "rater", "task_type", "title", "choice", "came_to", "active_time"];

/// Names of raters by id, and whether they are programs.
pub type Names = HashMap<String, (String, bool)>;

/// Which judgments to list behind a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// All.
    All,
    /// Answers to golden items among the work.
    Golden,
    /// Those that differ from the expert's.
    GoldenWrong,
    /// Of decided tasks.
    Decided,
    /// Those that differ from the decision.
    Differs,
    /// Those that ask for an expert.
    Escalated,
}

/// By what the work is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Task type.
    TaskType,
    /// Retailer; without a part the tasks that name none.
    Retailer,
    /// Version of the rubric.
    RubricVersion,
}

impl By {
    /// The word in the address.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::TaskType => "task_type",
            Self::Retailer => "retailer",
            Self::RubricVersion => "rubric_version",
        }
    }

    /// The name in front of people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::TaskType => "Task type",
            Self::Retailer => "Retailer",
            Self::RubricVersion => "Rubric version",
        }
    }
}

/// What is listed: which judgments, of which part of the work.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// Which judgments.
    pub show: Show,
    /// A part of the work; all of it without one.
    pub part: Option<(By, Option<String>)>,
}

impl Show {
    fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Golden => "golden",
            Self::GoldenWrong => "golden_wrong",
            Self::Decided => "decided",
            Self::Differs => "differs",
            Self::Escalated => "escalated",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::All => "All judgments",
            Self::Golden => "Answers to golden items",
            Self::GoldenWrong => "Answers to golden items that differ from the expert's",
            Self::Decided => "Judgments of decided tasks",
            Self::Differs => "Judgments that differ from the decision",
            Self::Escalated => "Judgments that ask for an expert",
        }
    }

    fn has(self, fact: &Fact) -> bool {
        match self {
            Self::All => true,
            Self::Golden => board::golden_at_work(fact).is_some(),
            Self::GoldenWrong => board::golden_at_work(fact) == Some(false),
            Self::Decided => !fact.is_golden && fact.decision.is_some(),
            Self::Differs => board::differs(fact) == Some(true),
            Self::Escalated => fact.is_escalated,
        }
    }
}

impl Wish {
    /// Whether a judgment is listed.
    #[must_use]
    pub fn has(&self, fact: &Fact) -> bool {
        let in_part = self.part.as_ref().is_none_or(|(by, part)| match by {
            By::TaskType => part.as_deref() == Some(fact.task_type.as_str()),
            By::Retailer => *part == fact.retailer_id,
            By::RubricVersion => part.as_deref() == Some(fact.rubric_version.to_string().as_str()),
        });
        in_part && self.show.has(fact)
    }

    /// What is listed, in words.
    #[must_use]
    pub fn words(&self) -> String {
        let show = self.show.words();
        match &self.part {
            None => show.to_owned(),
            Some((By::TaskType, Some(part))) => format!("{show}: {}", title_of(part)),
            Some((by, Some(part))) => format!("{show}: {} {part}", by.title().to_lowercase()),
            Some((by, None)) => format!("{show}: no {} named", by.title().to_lowercase()),
        }
    }

    /// The wish as a query string, to be written after the filters.
    #[must_use]
    pub fn query(&self) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        pairs.append_pair("show", self.show.word());
        if let Some((by, part)) = &self.part {
            pairs.append_pair("by", by.word());
            if let Some(part) = part {
                pairs.append_pair("part", part);
            }
        }
        pairs.finish()
    }
}

/// The list behind a number.
pub struct Behind {
    /// What is listed.
    pub words: String,
    /// The wish in the address.
    pub query: String,
    /// How many there are.
    pub n: usize,
    /// The newest.
    pub rows: Vec<BehindRow>,
}

/// One judgment.
pub struct BehindRow {
    judgment_id: String,
    /// When it was given, UTC.
    pub when: String,
    /// Pseudonym.
    pub rater: String,
    /// Task type.
    pub task_type: String,
    /// Title of the task.
    pub title: String,
    /// What was chosen.
    pub choice: String,
    /// What became of it.
    pub came_to: String,
    /// Active time.
    pub time: String,
}

/// The newest of the judgments that are wished for.
#[must_use]
pub fn behind(facts: &[Fact], wish: &Wish, names: &Names) -> Behind {
    let found: Vec<&Fact> = facts.iter().filter(|fact| wish.has(fact)).collect();
    let rows = found.iter().take(MOST_BEHIND).map(|fact| row(fact, names)).collect();
    Behind { words: wish.words(), query: wish.query(), n: found.len(), rows }
}

fn row(fact: &Fact, names: &Names) -> BehindRow {
    BehindRow {
        judgment_id: fact.judgment_id.clone(),
        when: fact.created_at.0.format("%Y-%m-%d %H:%M").to_string(),
        rater: names.get(&fact.rater_id).map_or_else(|| fact.rater_id.clone(), |(name, _)| name.clone()),
        task_type: title_of(&fact.task_type),
        title: fact.title.clone(),
        choice: stored_words(&fact.choice),
        came_to: came_to(fact),
        time: fact.active_ms.map_or_else(|| "not measured".to_owned(), |ms| duration(ms as f64 / 1000.0)),
    }
}

fn came_to(fact: &Fact) -> String {
    let words = match (fact.matches_golden, &fact.decision) {
        (Some(true), _) => "✓ as the expert".to_owned(),
        (Some(false), _) => "✗ not as the expert".to_owned(),
        (None, Some(decision)) if *decision == fact.choice => "✓ decided so".to_owned(),
        (None, Some(decision)) => format!("≠ decided: {}", stored_words(decision)),
        (None, None) => "… not decided yet".to_owned(),
    };
    if fact.in_calibration { format!("{words}, in calibration") } else { words }
}

fn stored_words(word: &str) -> String {
    word.parse().map_or_else(|_| title_of(word), |choice| choice_words(choice).to_owned())
}

/// A file that is being written.
struct File {
    state: Data<State>,
    filter: FactFilter,
    wish: Wish,
    encoder: Option<Encoder>,
    /// The place to go on after; the outer `None` after the last page.
    next: Option<Option<FactPlace>>,
}

impl File {
    async fn page(&mut self) -> Result<Option<Bytes>, Problem> {
        let Some(after) = self.next.take() else {
            let Some(encoder) = self.encoder.take() else { return Ok(None) };
            return Ok(Some(Bytes::from(encoder.finish()?)).filter(|bytes| !bytes.is_empty()));
        };
        let (filter, wish) = (self.filter.clone(), self.wish.clone());
        let read = self.state.storage.read(move |conn| {
            let facts = quality_facts::newest(conn, &filter, after, ROWS_AT_ONCE)?;
            let is_last = i64::try_from(facts.len()).is_ok_and(|n| n < ROWS_AT_ONCE);
            let next = facts.last().filter(|_| !is_last).map(Fact::place);
            let wanted: Vec<Fact> = facts.into_iter().filter(|fact| wish.has(fact)).collect();
            let names = names_of(conn, &wanted)?;
            Ok((wanted, names, next))
        });
        let (facts, names, next) = read.await?;
        self.next = next.map(Some);
        let rows: Vec<Vec<Value>> = facts.iter().map(|fact| cells(&row(fact, &names))).collect();
        let Some(encoder) = self.encoder.as_mut() else { return Ok(None) };
        Ok(Some(Bytes::from(encoder.rows(&rows)?)))
    }
}

/// Names of those who gave some judgments.
///
/// # Errors
/// As any query.
pub fn names_of(conn: &mut storage::connection::Connection, facts: &[Fact]) -> Result<Names, storage::error::StorageError> {
    let mut ids: Vec<String> = facts.iter().map(|fact| fact.rater_id.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    let known = raters::find_all(conn, &ids)?;
    Ok(known.into_iter().map(|rater| (rater.rater_id, (rater.name, rater.is_simulated))).collect())
}

fn cells(row: &BehindRow) -> Vec<Value> {
    [&row.judgment_id, &row.when, &row.rater, &row.task_type, &row.title, &row.choice, &row.came_to, &row.time]
        .map(|cell| json!(cell))
        .to_vec()
}

/// All judgments that are wished for as CSV, newest first, page by page, so that a file of any length passes through little memory. The
/// first page is read before the answer begins, so that a database that is down is a 503 and not half a file.
///
/// # Errors
/// As the first page.
pub async fn as_csv(state: Data<State>, filter: FactFilter, wish: Wish) -> Result<HttpResponse, Problem> {
    let columns = COLUMNS.iter().map(|column| Column::new(*column, Kind::Text)).collect();
    let mut encoder = Encoder::new(Format::Csv, columns, true)?;
    let mut bytes = encoder.begin()?;
    let mut file = File { state, filter, wish, encoder: Some(encoder), next: Some(None) };
    if let Some(page) = file.page().await? {
        bytes.extend_from_slice(&page);
    }
    let rest = stream::try_unfold(file, |mut file| async move { Ok::<_, Problem>(file.page().await?.map(|bytes| (bytes, file))) });
    let first = stream::once(async move { Ok::<_, Problem>(Bytes::from(bytes)) });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, Format::Csv.media_type()))
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"judgments.csv\""))
        .streaming(Box::pin(first.chain(rest))))
}
