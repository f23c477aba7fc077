//! Calibration: golden items with the expert's reason after each, until a sequential test has decided.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use learning::calibration::{Decision, SequentialTest};
use storage::history;
use storage::raters::{self, Rater};
use web::caller::{PageCaller, PageRefusal};
use web::layout::{Layout, render};
use web::problem::Problem;

use super::figures::{ShareView, title_of};
use super::rate::Words;
use super::sequence::{SequenceView, sequence};
use crate::assignments::rules;
use crate::dispatch::calibration_of;
use crate::state::State;

#[derive(Template)]
#[template(path = "calibration.html")]
struct CalibrationPage {
    layout: Layout,
    words: Words,
    /// Whether items are still to be answered.
    is_open: bool,
    has_begun: bool,
    cap: u32,
    head: &'static str,
    lead: &'static str,
    progress: String,
    share: Option<ShareView>,
    /// The test so far.
    test: Option<SequenceView>,
    by_type: Vec<TypeRow>,
    address: &'static str,
    label: &'static str,
}

/// Answers of one task type.
struct TypeRow {
    title: String,
    right: usize,
    n: usize,
}

/// Calibration, in whichever state the rater is.
///
/// # Errors
/// Sends whoever is not signed in to `/login`; 503 when the database does not answer.
pub async fn calibration(state: Data<State>, PageCaller(caller): PageCaller) -> Result<HttpResponse, PageRefusal> {
    let layout = Layout::new("Calibration", "rater-app/calibration", Some(&caller), &state.settings);
    let test = rules(&state.settings).calibration;
    let most = i64::from(state.settings.rating.calibration.cap);
    let (rater, answers) = match caller.rater_id.clone() {
        Some(id) => {
            let read = state.storage.read(move |conn| Ok((raters::find(conn, &id)?, history::calibration_answers(conn, &id, most)?)));
            let (rater, answers) = read.await.map_err(Problem::from)?;
            (Some(rater), answers)
        }
        None => (None, Vec::new()),
    };
    let is_exempt = caller.role.may_review();
    let decision = rater.as_ref().map(|rater| calibration_of(rater, &test));
    let mut page = CalibrationPage {
        layout,
        words: Words::new()?,
        is_open: false,
        has_begun: rater.as_ref().is_some_and(|rater| rater.calibration_total > 0),
        cap: state.settings.rating.calibration.cap,
        head: "",
        lead: "Before your judgments count, we see whether you and our experts look at the same things.",
        progress: String::new(),
        share: rater.as_ref().and_then(|rater| ShareView::new(rater.calibration_correct.into(), rater.calibration_total.into())),
        test: test_of(&answers, &test, is_exempt),
        by_type: by_type(&answers),
        address: "/rate",
        label: "Judge tasks",
    };
    match (&rater, decision) {
        (None, _) => {
            page.head = "This account does not judge";
            page.progress = "It has no rater profile, so there is nothing to calibrate.".to_owned();
            (page.address, page.label) = ("/", "Home");
        }
        (Some(rater), _) if rater.is_calibrated || is_exempt => {
            page.head = if rater.is_calibrated { "✓ Calibrated" } else { "✓ No calibration needed" };
            page.progress = passed(rater);
        }
        (Some(rater), Some(Decision::Fail)) => {
            page.head = "✗ Not passed";
            page.progress = format!(
                "{} of {} answers were as the expert's. You cannot judge for now; ask your programme manager for another try.",
                rater.calibration_correct, rater.calibration_total
            );
            (page.address, page.label) = ("/stats", "See your figures");
        }
        (Some(rater), decision) => {
            page.is_open = true;
            page.progress = open_progress(rater, decision);
        }
    }
    Ok(render(&page)?)
}

/// The test as it stands; nothing for those who need none and have answered nothing.
fn test_of(answers: &[(String, bool)], test: &SequentialTest, is_exempt: bool) -> Option<SequenceView> {
    let in_order: Vec<bool> = answers.iter().map(|(_, is_right)| *is_right).collect();
    (!is_exempt || !in_order.is_empty()).then(|| sequence("All task types".to_owned(), &in_order, test))
}

fn by_type(answers: &[(String, bool)]) -> Vec<TypeRow> {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (task_type, is_right) in answers {
        let count = counts.entry(task_type).or_default();
        *count = (count.0 + usize::from(*is_right), count.1 + 1);
    }
    counts.into_iter().map(|(word, (right, n))| TypeRow { title: title_of(word), right, n }).collect()
}

fn passed(rater: &Rater) -> String {
    match rater.calibration_date {
        Some(when) if rater.calibration_total > 0 => format!(
            "Passed on {} with {} of {} answers as the expert's. Golden items go on coming now and then, unseen among the tasks.",
            when.0.format("%-d %B %Y"),
            rater.calibration_correct,
            rater.calibration_total
        ),
        _ => "Experts and administrators begin calibrated. Golden items come now and then, unseen among the tasks.".to_owned(),
    }
}

fn open_progress(rater: &Rater, decision: Option<Decision>) -> String {
    let at_most = match decision {
        Some(Decision::Continue { at_most }) => format!("At most {at_most} more; it ends as soon as the evidence is clear."),
        _ => String::new(),
    };
    if rater.calibration_total == 0 {
        return format!("Nothing answered yet. {at_most}");
    }
    format!("{} answered, {} as the expert. {at_most}", rater.calibration_total, rater.calibration_correct)
}
