//! One's own judgments: what one chose, what became of it, and what an expert said.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use domain::task::{Choice, TaskType};
use storage::history::{Outcome, OwnJudgment};
use web::caller::{PageCaller, PageRefusal};
use web::layout::{Layout, render};
use web::paging::{ListQuery, Page};

use super::figures::{choice_words, confidence_word, title_of};
use super::rate::TASK_TYPES;
use crate::history::{HistoryQuery, page_of, shown};
use crate::state::State;

/// Judgments on one page.
const PER_PAGE: u32 = 25;

#[derive(Template)]
#[template(path = "history.html")]
struct HistoryPage {
    layout: Layout,
    has_profile: bool,
    rows: Vec<HistoryRow>,
    types: Vec<Offered>,
    outcomes: Vec<Offered>,
    is_filtered: bool,
    is_first: bool,
    filters: String,
    older: Option<String>,
}

/// One choice of a filter.
struct Offered {
    word: &'static str,
    label: &'static str,
    is_chosen: bool,
}

/// One judgment, ready to be read. Shared with the home page.
pub struct HistoryRow {
    /// When, for programs.
    pub at: String,
    /// When, for people; UTC.
    pub when: String,
    /// Type of the task.
    pub task_type: String,
    /// Its title.
    pub title: String,
    /// What was chosen, as it was shown.
    pub choice: String,
    /// How sure.
    pub confidence: &'static str,
    /// `waiting`, `good`, `differs`.
    pub kind: &'static str,
    /// A sign that says what the colour says.
    pub sign: &'static str,
    /// What became of it.
    pub outcome: String,
    /// What an expert said.
    pub note: Option<String>,
}

/// The judgments of whoever is signed in.
///
/// # Errors
/// Sends whoever is not signed in to `/login`; 422 for a filter that is not known; 503 when the database does not answer.
pub async fn history(
    state: Data<State>,
    PageCaller(caller): PageCaller,
    query: ListQuery<HistoryQuery>,
) -> Result<HttpResponse, PageRefusal> {
    let layout = Layout::new("Your judgments", "rater-app/history", Some(&caller), &state.settings);
    let page = Page { limit: PER_PAGE, cursor: query.page.cursor.clone() };
    let (rows, next) = match caller.rater_id.clone() {
        Some(id) => {
            let slice = page_of(&state, id, &query.filter, &page).await?;
            (slice.data.iter().map(row).collect(), slice.next_cursor)
        }
        None => (Vec::new(), None),
    };
    let filters = filters_of(&query.filter);
    let address = |cursor: &str| format!("/history?{filters}{}cursor={cursor}", if filters.is_empty() { "" } else { "&" });
    Ok(render(&HistoryPage {
        has_profile: caller.rater_id.is_some(),
        types: TASK_TYPES.iter().map(|kind| offered_type(*kind, &query.filter)).collect(),
        outcomes: Outcome::ALL.into_iter().map(|outcome| offered_outcome(outcome, &query.filter)).collect(),
        is_filtered: query.filter != HistoryQuery::default(),
        is_first: page.cursor.is_none(),
        older: next.as_deref().map(address),
        filters,
        rows,
        layout,
    })?)
}

fn filters_of(query: &HistoryQuery) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    if let Some(word) = query.task_type {
        pairs.append_pair("task_type", word.as_ref());
    }
    if let Some(outcome) = query.outcome {
        pairs.append_pair("outcome", outcome.word());
    }
    pairs.finish()
}

fn offered_type(kind: TaskType, query: &HistoryQuery) -> Offered {
    let word = super::figures::word_of(kind);
    Offered { word, label: kind.title(), is_chosen: query.task_type == Some(kind) }
}

fn offered_outcome(outcome: Outcome, query: &HistoryQuery) -> Offered {
    let label = match outcome {
        Outcome::Waiting => "Not decided yet",
        Outcome::Agreed => "Decided as you said",
        Outcome::Differed => "Decided otherwise",
        Outcome::Expert => "Decided by an expert",
        Outcome::Calibration => "Calibration",
    };
    Offered { word: outcome.word(), label, is_chosen: query.outcome == Some(outcome) }
}

/// A judgment in words.
#[must_use]
pub fn row(own: &OwnJudgment) -> HistoryRow {
    let judgment = &own.judgment;
    let came_to =
        |choice: Choice| choice_words(choice).to_lowercase().replace("a is", "A is").replace("b is", "B is").replace("c is", "C is");
    let decision = own.decision().map(|stored| shown(own, stored));
    let (kind, sign, outcome) = match own.outcome() {
        Outcome::Waiting => ("waiting", "…", "Not decided yet".to_owned()),
        Outcome::Agreed => ("good", "✓", "Decided as you said".to_owned()),
        Outcome::Differed => {
            ("differs", "≠", decision.map_or_else(|| "Decided otherwise".to_owned(), |choice| format!("Decided: {}", came_to(choice))))
        }
        Outcome::Expert if judgment.expert_agrees == Some(true) => ("good", "✓", "An expert agreed".to_owned()),
        Outcome::Expert => (
            "differs",
            "≠",
            decision.map_or_else(|| "An expert disagreed".to_owned(), |choice| format!("An expert disagreed: {}", came_to(choice))),
        ),
        Outcome::Calibration if judgment.matches_golden == Some(true) => ("good", "✓", "Calibration: as the expert".to_owned()),
        Outcome::Calibration => {
            let expert = own.expert_answer().map(|(stored, _)| came_to(shown(own, stored)));
            ("differs", "≠", format!("Calibration: the expert said {}", expert.unwrap_or_else(|| "otherwise".to_owned())))
        }
    };
    let note = match own.outcome() {
        Outcome::Expert => judgment.expert_feedback.clone(),
        Outcome::Calibration => own.expert_answer().map(|(_, reason)| reason.to_owned()),
        _ => None,
    };
    HistoryRow {
        at: judgment.created_at.0.to_rfc3339(),
        when: judgment.created_at.0.format("%-d %b %Y, %H:%M").to_string(),
        task_type: title_of(&own.task_type),
        title: own.title.clone(),
        choice: choice_words(shown(own, &judgment.choice)).to_owned(),
        confidence: confidence_word(judgment.confidence),
        kind,
        sign,
        outcome,
        note: note.filter(|text| !text.trim().is_empty()),
    }
}
