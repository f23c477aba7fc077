//! Calibration: golden items with the expert's reason after each, until the sequential test of the task type has decided.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use domain::task::TaskType;
use learning::calibration::Decision;
use serde::Deserialize;
use storage::qualifications::{self, Qualification};
use storage::{history, raters};
use web::caller::{PageCaller, PageRefusal};
use web::json::QueryOf;
use web::layout::{Layout, render};
use web::problem::Problem;

use super::figures::{ShareView, title_of};
use super::rate::Words;
use super::sequence::{SequenceView, sequence};
use crate::assignments::rules;
use crate::dispatch::{Rules, is_exempt};
use crate::qualification;
use crate::state::State;

/// Answers looked at for the chart.
const MOST_ANSWERS: i64 = 2_000;

#[derive(Template)]
#[template(path = "calibration.html")]
struct CalibrationPage {
    layout: Layout,
    words: Words,
    /// Whether items are to be answered here and now.
    is_open: bool,
    has_begun: bool,
    cap: u32,
    head: &'static str,
    lead: &'static str,
    progress: String,
    share: Option<ShareView>,
    /// The test that is going on, or was the last.
    test: Option<SequenceView>,
    by_type: Vec<TypeRow>,
    /// Whether there are task types whose test may be taken and was not.
    has_more: bool,
    address: &'static str,
    label: &'static str,
}

/// The test of one task type.
struct TypeRow {
    title: String,
    state: &'static str,
    words: String,
}

/// What to show.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationQuery {
    /// `true` goes on with further task types after one was passed.
    #[serde(default)]
    more: bool,
}

/// Calibration, in whichever state the rater is.
///
/// # Errors
/// Sends whoever is not signed in to `/login`; 503 when the database does not answer.
pub async fn calibration(
    state: Data<State>,
    PageCaller(caller): PageCaller,
    query: QueryOf<CalibrationQuery>,
) -> Result<HttpResponse, PageRefusal> {
    let layout = Layout::new("Calibration", "rater-app/calibration", Some(&caller), &state.settings);
    let rules = rules(&state.settings);
    let now = state.clock.now();
    let mut page = CalibrationPage {
        layout,
        words: Words::new()?,
        is_open: false,
        has_begun: false,
        cap: rules.calibration.cap(),
        head: "This account does not judge",
        lead: "Before your judgments on a kind of task count, we see whether you and our experts look at the same things.",
        progress: "It has no rater profile, so there is nothing to calibrate.".to_owned(),
        share: None,
        test: None,
        by_type: Vec::new(),
        has_more: false,
        address: "/",
        label: "Home",
    };
    let Some(rater_id) = caller.rater_id.clone() else { return Ok(render(&page)?) };
    let read = state.storage.read(move |conn| {
        let answers = history::calibration_answers(conn, &rater_id, MOST_ANSWERS)?;
        Ok((raters::find(conn, &rater_id)?, qualifications::of_rater(conn, &rater_id)?, answers))
    });
    let (rater, tests, answers) = read.await.map_err(Problem::from)?;
    (page.address, page.label) = ("/rate", "Judge tasks");
    page.share = ShareView::new(rater.calibration_correct.into(), rater.calibration_total.into());
    page.by_type = TaskType::ALL.iter().filter_map(|task_type| row(task_type.as_ref(), &tests, &rules)).collect();
    let last = tests.iter().max_by_key(|test| (test.state == "open", test.decided_at));
    page.test = last.map(|test| sequence(title_of(&test.task_type), &of_attempt(test, &answers), &rules.calibration));
    let has_passed = tests.iter().any(Qualification::is_passed);
    let retest = tests.iter().find(|test| is_reopened(test));
    page.has_begun = tests.iter().any(|test| test.state == "open" && test.total > 0) || (query.0.more && has_passed);
    if is_exempt(&rater, caller.role) {
        page.head = "✓ No calibration needed";
        page.progress = "You begin calibrated. Golden items come now and then, unseen among the tasks.".to_owned();
        return Ok(render(&page)?);
    }
    let may_try = |task_type: &TaskType| {
        let test = tests.iter().find(|test| test.task_type == task_type.as_ref());
        test.is_none_or(|test| test.may_be_tried(now))
    };
    page.has_more = TaskType::ALL.iter().any(may_try);
    if page.has_more && (!has_passed || query.0.more || page.has_begun || retest.is_some()) {
        page.is_open = true;
        if retest.is_some() {
            page.lead = "Calibration is to be taken again: your answers on known items have become less sure, and it shows whether that was chance.";
        }
        page.progress = open_progress(last.filter(|test| test.state == "open"), &rules);
    } else if has_passed {
        page.head = "✓ Calibrated";
        page.progress = "Golden items go on coming now and then, unseen among the tasks.".to_owned();
    } else {
        page.head = "✗ Not passed";
        page.progress = match tests.iter().filter_map(|test| test.retry_at).min() {
            Some(when) => format!("You may try again from {} UTC on.", when.0.format("%-d %B %Y, %H:%M")),
            None => "You cannot judge for now; ask your programme manager for another try.".to_owned(),
        };
        (page.address, page.label) = ("/stats", "See your figures");
    }
    Ok(render(&page)?)
}

/// Whether a test that was passed is to be taken again, and was not begun.
fn is_reopened(test: &Qualification) -> bool {
    test.state == "open" && test.total == 0 && test.reason.is_some()
}

/// The answers of the present attempt: the last ones of the type.
fn of_attempt(test: &Qualification, answers: &[(String, bool)]) -> Vec<bool> {
    let all: Vec<bool> = answers.iter().filter(|(task_type, _)| *task_type == test.task_type).map(|(_, is_right)| *is_right).collect();
    let n = usize::try_from(test.total).unwrap_or(0).min(all.len());
    all.get(all.len() - n..).unwrap_or_default().to_vec()
}

fn row(task_type: &str, tests: &[Qualification], rules: &Rules) -> Option<TypeRow> {
    let test = tests.iter().find(|test| test.task_type == task_type)?;
    let counts = format!("{} of {} as the expert", test.correct, test.total);
    let (state, words) = match qualification::standing(test, rules) {
        Decision::Pass if test.total == 0 => ("✓ passed", String::new()),
        Decision::Pass => ("✓ passed", counts),
        Decision::Fail => match test.retry_at {
            Some(when) => ("✗ not passed", format!("{counts}; you may try again from {} UTC on", when.0.format("%-d %B, %H:%M"))),
            None => ("✗ not passed", counts),
        },
        Decision::Continue { .. } if test.total == 0 => ("to be taken again", test.reason.clone().unwrap_or_default()),
        Decision::Continue { at_most } => ("open", format!("{counts}, at most {at_most} more")),
    };
    Some(TypeRow { title: title_of(task_type), state, words })
}

fn open_progress(test: Option<&Qualification>, rules: &Rules) -> String {
    let Some(test) = test else {
        return format!("Nothing answered yet. At most {} items; it ends as soon as the evidence is clear.", rules.calibration.cap());
    };
    let at_most = match qualification::standing(test, rules) {
        Decision::Continue { at_most } => format!("At most {at_most} more; it ends as soon as the evidence is clear."),
        _ => String::new(),
    };
    format!("{}: {} answered, {} as the expert. {at_most}", title_of(&test.task_type), test.total, test.correct)
}
