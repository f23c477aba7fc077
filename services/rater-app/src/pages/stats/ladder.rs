//! The ladder on the statistics page: where raters stand, why and what happens next; for one rater the evidence, what was done, and plain
//! forms for acting on it.

use std::collections::HashMap;

use actix_web::http::header::LOCATION;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use learning::integrity::{Rules, Signal};
use serde_json::json;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::integrity::{self as stored, Action};
use storage::{qualifications, raters};
use web::caller::Caller;
use web::problem::Problem;
use web::settings::Settings;

use crate::another_try;
use crate::integrity::api::{self, ActionRequest, Kind};
use crate::integrity::outlook;
use crate::pages::board::{self, RaterRow};
use crate::pages::figures::title_of;
use crate::session::refuse_foreign_pages;
use crate::state::State;

/// Raters on whom a step holds that the table shows.
const MOST_ON_LADDER: i64 = 200;
/// Newest actions on them that are read.
const MOST_ACTIONS: i64 = 2_000;
/// Actions on one rater that are shown.
const MOST_SHOWN: usize = 20;
/// Longest form that is read.
const MAX_FORM_BYTES: usize = 16_384;

/// Where a rater stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Word of the step.
    pub word: String,
    /// The step as people read it.
    pub title: &'static str,
    /// Why: what the rater was told.
    pub reason: String,
    /// What happens next by itself, and when.
    pub next: String,
}

/// A rater on whom a step holds.
#[derive(Debug, Clone, PartialEq)]
pub struct OnLadder {
    rater_id: String,
    name: String,
    is_simulated: bool,
    place: Place,
}

/// Everybody on whom a step holds.
///
/// # Errors
/// As any query.
pub fn on_ladder(conn: &mut Connection, settings: &Settings) -> Result<Vec<OnLadder>, StorageError> {
    let found = stored::on_ladder(conn, MOST_ON_LADDER)?;
    let ids: Vec<String> = found.iter().map(|(rater_id, ..)| rater_id.clone()).collect();
    let mut histories: HashMap<String, Vec<Action>> = HashMap::new();
    for action in stored::of_raters(conn, &ids, MOST_ACTIONS)? {
        histories.entry(action.rater_id.clone()).or_default().push(action);
    }
    let place = |(rater_id, name, is_simulated, standing): (String, String, bool, stored::Standing)| {
        let history = histories.remove(&rater_id).unwrap_or_default();
        let place = place_of(&standing, &history, settings);
        OnLadder { rater_id, name, is_simulated, place }
    };
    Ok(found.into_iter().map(place).collect())
}

fn place_of(standing: &stored::Standing, history: &[Action], settings: &Settings) -> Place {
    let holding = history.iter().rev().find(|action| action.reversed_at.is_none());
    Place {
        word: standing.rung.clone(),
        title: outlook::title(&standing.rung),
        reason: holding.map_or_else(String::new, |action| action.reason.clone()),
        next: outlook::next(standing, history, settings),
    }
}

/// Enters where raters stand into the table, with those who did not judge in the window; whoever gets no work comes first.
pub fn enter(rows: &mut Vec<RaterRow>, found: Vec<OnLadder>, only: Option<&str>) {
    for one in found.into_iter().filter(|one| only.is_none_or(|id| id == one.rater_id)) {
        match rows.iter_mut().find(|row| row.rater_id == one.rater_id) {
            Some(row) => row.place = Some(one.place),
            None => rows.push(board::idle(one.rater_id, one.name, one.is_simulated, one.place)),
        }
    }
    rows.sort_by_key(|row| !row.place.as_ref().is_some_and(|place| matches!(place.word.as_str(), "pause" | "void")));
}

/// One rater, for whoever may act.
pub struct OneRater {
    /// Public id.
    pub rater_id: String,
    /// Pseudonym.
    pub name: String,
    /// Where the rater stands; `None` when nothing holds.
    pub place: Option<Place>,
    /// Whether the caller may act: experts and administrators, not on themselves.
    pub may_act: bool,
    /// What the last look found: the words, the p-value, and whether it counts.
    pub signals: Vec<(String, String, bool)>,
    /// What was done, newest first.
    pub done: Vec<Done>,
    /// Calibrations that were not passed: task type word, title, and why.
    pub failed: Vec<(String, String, String)>,
}

/// An action as the page shows it.
pub struct Done {
    /// Public id.
    pub action_id: String,
    /// What was done.
    pub title: &'static str,
    /// When, UTC.
    pub when: String,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Why it was taken back, when it was.
    pub reversed: Option<String>,
}

/// What the page shows of one rater; `None` when there is no such rater.
///
/// # Errors
/// As any query.
pub fn one(conn: &mut Connection, rater_id: &str, may_act: bool, settings: &Settings) -> Result<Option<OneRater>, StorageError> {
    let rater = match raters::find(conn, rater_id) {
        Ok(rater) => rater,
        Err(StorageError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let (standing, history) = (stored::standing(conn, rater_id)?, stored::of_rater(conn, rater_id)?);
    let found: Vec<Signal> = serde_json::from_value(standing.signals.0.clone()).unwrap_or_default();
    let p_words = |p: Option<f64>| p.map_or_else(|| "no p-value".to_owned(), board::p_words);
    let signals = found.iter().map(|signal| (signal.words.clone(), p_words(signal.adjusted), signal.is_flagged(&Rules::default())));
    let tests = qualifications::of_rater(conn, rater_id)?.into_iter().filter(|test| test.state == "failed");
    Ok(Some(OneRater {
        rater_id: rater.rater_id,
        name: rater.name,
        place: Some(place_of(&standing, &history, settings)).filter(|place| !matches!(place.word.as_str(), "none" | "lift")),
        may_act,
        signals: signals.collect(),
        done: history.iter().rev().take(MOST_SHOWN).map(done).collect(),
        failed: tests.map(|test| (test.task_type.clone(), title_of(&test.task_type), test.reason.unwrap_or_default())).collect(),
    }))
}

fn done(action: &Action) -> Done {
    Done {
        action_id: action.action_id.clone(),
        title: outlook::title(&action.kind),
        when: action.created_at.0.format("%Y-%m-%d %H:%M").to_string(),
        by: action.actor.clone(),
        reason: action.reason.clone(),
        reversed: action.reversed_at.map(|_| action.reverse_reason.clone().unwrap_or_default()),
    }
}

/// Warns, pauses, voids or lifts from the form of a rater.
///
/// # Errors
/// As `POST /v1/quality/actions`; 403 for a form of another site.
pub async fn act_on_rater(
    request: HttpRequest,
    state: Data<State>,
    caller: Caller,
    rater_id: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    refuse_foreign_pages(&request, &state)?;
    let rater_id = rater_id.into_inner();
    let kind: Kind = serde_json::from_value(json!(field(&body, "kind")))
        .map_err(|_| Problem::invalid_field("kind", "must be warn, more_gold, pause, void or lift"))?;
    let asked = ActionRequest { rater_id: rater_id.clone(), kind, reason: field(&body, "reason") };
    api::take(&state, &caller, None, asked).await?;
    Ok(back_to(&rater_id))
}

/// Takes an action back from the form beside it.
///
/// # Errors
/// As `POST /v1/quality/actions/{action_id}/reverse`; 403 for a form of another site.
pub async fn reverse_on_rater(
    request: HttpRequest,
    state: Data<State>,
    caller: Caller,
    action_id: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    refuse_foreign_pages(&request, &state)?;
    let action = api::take_back(&state, &caller, action_id.into_inner(), &field(&body, "reason")).await?;
    Ok(back_to(&action.rater_id))
}

/// Gives another try at calibration from the form of a rater.
///
/// # Errors
/// As `POST /v1/raters/{rater_id}/qualifications/{task_type}/reset`; 403 for a form of another site.
pub async fn retry_of_rater(
    request: HttpRequest,
    state: Data<State>,
    caller: Caller,
    rater_id: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    refuse_foreign_pages(&request, &state)?;
    let rater_id = rater_id.into_inner();
    another_try::grant(&state, &caller, rater_id.clone(), field(&body, "task_type")).await?;
    Ok(back_to(&rater_id))
}

fn field(body: &[u8], wanted: &str) -> String {
    let found = form_urlencoded::parse(body.get(..MAX_FORM_BYTES).unwrap_or(body)).find(|(name, _)| name == wanted);
    found.map_or_else(String::new, |(_, value)| value.into_owned())
}

fn back_to(rater_id: &str) -> HttpResponse {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("rater", rater_id).finish();
    HttpResponse::SeeOther().insert_header((LOCATION, format!("/stats?{query}#rater-title"))).finish()
}
