//! The Rater IDE: one task on one screen, judged by keyboard.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use domain::rubric::{Rubric, rubric};
use domain::task::{CONFIDENCE_WORDS, TaskType};
use storage::judgments;
use web::caller::{PageCaller, PageRefusal};
use web::layout::{Layout, render};
use web::problem::Problem;

use crate::state::State;

/// All task types, for the rubrics that the scripts need and the filters of pages.
pub const TASK_TYPES: [TaskType; 6] = [
    TaskType::ToolCallQa,
    TaskType::SchemaMapping,
    TaskType::PolicyCompliance,
    TaskType::PlanQuality,
    TaskType::TaggingNormalization,
    TaskType::EdgeCaseRedTeam,
];

/// What the scripts of `/rate`, `/calibration` and `/review` know beforehand, as JSON texts for data attributes.
#[derive(Debug, Clone)]
pub struct Words {
    /// Rubric by task type.
    pub rubrics: String,
    /// Title by task type.
    pub titles: String,
    /// Confidence words with their numbers.
    pub confidence: String,
    /// Version of all rubrics together.
    pub rubric_version: i32,
    /// Why a queue is empty: head, text, address and label of what to do next, by the word of `Endcap-Reason`.
    pub reasons: String,
}

impl Words {
    /// From the rules of the domain.
    ///
    /// # Errors
    /// 500 when they cannot be written as JSON.
    pub fn new() -> Result<Self, Problem> {
        let by_type: BTreeMap<&str, Rubric> = TASK_TYPES.iter().map(|kind| (kind.as_ref(), rubric(*kind))).collect();
        let titles: BTreeMap<&str, &str> = TASK_TYPES.iter().map(|kind| (kind.as_ref(), kind.title())).collect();
        Ok(Self {
            rubrics: serde_json::to_string(&by_type).map_err(Problem::internal)?,
            titles: serde_json::to_string(&titles).map_err(Problem::internal)?,
            confidence: serde_json::to_string(&CONFIDENCE_WORDS).map_err(Problem::internal)?,
            rubric_version: domain::rubric::VERSION,
            reasons: serde_json::to_string(&BTreeMap::from(EMPTY_REASONS)).map_err(Problem::internal)?,
        })
    }
}

/// Head, text, address and label by reason; an empty address shows no link.
const EMPTY_REASONS: [(&str, [&str; 4]); 11] = [
    (
        "no_tasks",
        [
            "No tasks right now",
            "Every task has its judgments. This page looks again by itself as soon as a task comes in.",
            "/leaderboard",
            "See the leaderboard",
        ],
    ),
    (
        "all_done_by_you",
        [
            "You have judged everything",
            "The open tasks wait for other raters. New ones appear here by themselves.",
            "/history",
            "See your judgments",
        ],
    ),
    (
        "all_held",
        [
            "Others are on it",
            "All open tasks are in somebody's hands. If one comes back, it appears here by itself.",
            "/history",
            "See your judgments",
        ],
    ),
    (
        "needs_calibration",
        [
            "Calibrate first",
            "Before your judgments on a kind of task count you answer a few items whose answer an expert wrote down. Tasks of such a kind are open.",
            "/calibration?more=true",
            "Go to calibration",
        ],
    ),
    (
        "no_golden_items",
        [
            "Calibration cannot go on yet",
            "You have answered every item whose answer is known; an expert has to add more. Your answers so far are kept.",
            "/calibration",
            "See where you stand",
        ],
    ),
    (
        "calibration_failed",
        [
            "Calibration was not passed",
            "You cannot judge for now. Read what the experts said about your answers, and ask your programme manager for another try.",
            "/calibration",
            "See how it went",
        ],
    ),
    (
        "quota_reached",
        [
            "Enough for now",
            "You have judged as many tasks as one person may in this time, so that no single view weighs too much. Your judgments count in full.",
            "/history",
            "See your judgments",
        ],
    ),
    (
        "not_qualified",
        [
            "No task of your kinds",
            "There are open tasks, but of kinds for which you have not passed calibration and cannot be tested now. The next task of your kinds appears here by itself.",
            "/calibration",
            "See where you stand",
        ],
    ),
    (
        "too_many_open",
        [
            "You hold too many tasks",
            "Finish or give back what is open in your other windows; then the next one comes.",
            "/history",
            "See your judgments",
        ],
    ),
    (
        "paused",
        [
            "Your profile is paused",
            "Nothing you have done is lost. Your programme manager can say why, and switch the profile on again.",
            "/stats",
            "See your figures",
        ],
    ),
    ("default", ["Nothing to judge right now", "This page looks again by itself as soon as something changes.", "/", "Home"]),
];

#[derive(Template)]
#[template(path = "rate.html")]
struct RatePage {
    layout: Layout,
    words: Words,
    has_profile: bool,
    rater_id: String,
    /// Judgments given since midnight, UTC.
    today: i64,
}

/// The Rater IDE.
///
/// # Errors
/// Sends whoever is not signed in to `/login`; 503 when the database does not answer.
pub async fn rate(state: Data<State>, PageCaller(caller): PageCaller) -> Result<HttpResponse, PageRefusal> {
    let layout = Layout::new("Judge tasks", "rater-app/rate", Some(&caller), &state.settings);
    let today = match caller.rater_id.clone() {
        Some(id) => {
            let midnight = super::figures::midnight(state.clock.now());
            state.storage.read(move |conn| judgments::count_since(conn, &id, midnight)).await.map_err(Problem::from)?
        }
        None => 0,
    };
    let has_profile = caller.rater_id.is_some();
    Ok(render(&RatePage { layout, words: Words::new()?, has_profile, rater_id: caller.rater_id.unwrap_or_default(), today })?)
}
