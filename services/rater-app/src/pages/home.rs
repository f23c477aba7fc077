//! The first page: what this is for strangers, and what to do next for everybody else.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use domain::role::Role;
use domain::task::TaskType;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::history::{HistoryFilter, Outcome, of_rater};
use storage::qualifications::Qualification;
use storage::raters::{self, Rater};
use storage::tasks;
use web::caller::MaybePageCaller;
use web::layout::{Layout, render};
use web::problem::Problem;
use web::settings::Signup;

use super::figures::{Band, ShareView, band, midnight};
use super::history::{self, HistoryRow};
use crate::dispatch::is_exempt;
use crate::dispatch::nothing::{may_be_tested, not_passed};
use crate::state::State;

/// Latest answers of experts shown.
const ANSWERS: i64 = 3;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    layout: Layout,
    greeting: String,
    band: Option<Band>,
    answers: Vec<HistoryRow>,
    next: NextStep,
    rater: Option<Rater>,
    today: i64,
    agreement: Option<ShareView>,
    golden: Option<ShareView>,
    open: i64,
    in_progress: i64,
    for_review: i64,
    may_review: bool,
    may_read: bool,
    confirms: bool,
}

/// The one thing to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NextStep {
    head: &'static str,
    text: String,
    address: String,
    label: &'static str,
}

/// How many tasks are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Queue {
    pending: i64,
    in_progress: i64,
    for_review: i64,
    /// Open ones of kinds that the rater has passed; all for those who need no calibration.
    own: i64,
}

/// Where a rater stands with calibration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Standing {
    /// Failed in every kind.
    has_failed: bool,
    /// Has to take the test of a kind again.
    is_asked_again: bool,
    /// May be tested in a kind now.
    may_be_tested: bool,
}

/// The home page.
///
/// # Errors
/// 503 when the database does not answer.
pub async fn home(state: Data<State>, MaybePageCaller(caller): MaybePageCaller) -> Result<HttpResponse, Problem> {
    let layout = Layout::new("Home", "rater-app/", caller.as_ref(), &state.settings);
    let role = caller.as_ref().map(|caller| caller.role);
    let rater_id = caller.and_then(|caller| caller.rater_id);
    let midnight = midnight(state.clock.now());
    let now = state.clock.now();
    let (queue, rater, today, answers, standing) = match role {
        None => (Queue::default(), None, 0, Vec::new(), Standing::default()),
        Some(role) => {
            let read = state.storage.read(move |conn| {
                let rater = rater_id.as_deref().map(|id| raters::find(conn, id)).transpose()?;
                let today = match &rater {
                    Some(rater) => storage::judgments::count_since(conn, &rater.rater_id, midnight)?,
                    None => 0,
                };
                let answered = HistoryFilter { outcome: Some(Outcome::Expert), ..HistoryFilter::default() };
                let answers = match &rater {
                    Some(rater) => of_rater(conn, &rater.rater_id, &answered, None, ANSWERS, now)?,
                    None => Vec::new(),
                };
                let tests = match &rater {
                    Some(rater) => storage::qualifications::of_rater(conn, &rater.rater_id)?,
                    None => Vec::new(),
                };
                let standing = Standing {
                    has_failed: tests.len() == TaskType::ALL.len() && tests.iter().all(|test| test.state == "failed"),
                    is_asked_again: tests.iter().any(|test| test.state == "open" && test.reason.is_some()),
                    may_be_tested: not_passed(&tests, &[]).iter().any(|kind| may_be_tested(&tests, kind, now)),
                };
                let mut queue = read_queue(conn)?;
                if rater.as_ref().is_some_and(|rater| !is_exempt(rater, role)) {
                    let passed: Vec<String> = tests.into_iter().filter(Qualification::is_passed).map(|test| test.task_type).collect();
                    queue.own = tasks::count_open(conn, &passed)?;
                }
                Ok((queue, rater, today, answers, standing))
            });
            read.await?
        }
    };
    let page = HomePage {
        greeting: rater.as_ref().map_or_else(|| "Welcome".to_owned(), |rater| format!("Welcome, {}", rater.name)),
        next: next_step(role, rater.as_ref(), standing, queue, &layout),
        band: rater.as_ref().map(|rater| {
            // Golden items among the work are left out: figures that moved with them would tell which they are.
            let (agreed, compared) = (rater.calibration_correct + rater.consensus_agreed, rater.calibration_total + rater.consensus_total);
            band(agreed.into(), compared.into())
        }),
        answers: answers.iter().map(history::row).collect(),
        agreement: rater.as_ref().and_then(|rater| ShareView::new(rater.consensus_agreed.into(), rater.consensus_total.into())),
        golden: rater.as_ref().and_then(|rater| ShareView::new(rater.calibration_correct.into(), rater.calibration_total.into())),
        today,
        rater,
        open: queue.pending + queue.in_progress,
        in_progress: queue.in_progress,
        for_review: queue.for_review,
        may_review: role.is_some_and(Role::may_review),
        may_read: role.is_some_and(|role| role.may_plan() || role.may_review()),
        confirms: role == Some(Role::PlatformAdmin) && state.settings.sign_in.signup == Signup::Approval,
        layout,
    };
    render(&page)
}

fn read_queue(conn: &mut Connection) -> Result<Queue, StorageError> {
    let mut queue = Queue::default();
    for (status, n) in tasks::count_by_status(conn)? {
        match status.as_str() {
            "pending" => queue.pending += n,
            "in_progress" => queue.in_progress += n,
            "escalated" | "expert_review" => queue.for_review += n,
            _ => {}
        }
    }
    queue.own = queue.pending + queue.in_progress;
    Ok(queue)
}

fn next_step(role: Option<Role>, rater: Option<&Rater>, standing: Standing, queue: Queue, layout: &Layout) -> NextStep {
    let step = |head, text: String, address: &str, label| NextStep { head, text, address: address.to_owned(), label };
    let is_reviewer = role.is_some_and(Role::may_review);
    if is_reviewer && queue.for_review > 0 {
        let text = format!(
            "{} task{} wait{} for an expert's decision.",
            queue.for_review,
            plural(queue.for_review),
            if queue.for_review == 1 { "s" } else { "" }
        );
        return step("Review", text, "/review", "Review the next task");
    }
    let Some(rater) = rater else {
        let address = format!("{}/dashboard", layout.addresses.rlhf_backend);
        return step(
            "Read the figures",
            "This account does not judge; the dashboard shows how the programme is doing.".to_owned(),
            &address,
            "Open the dashboard",
        );
    };
    if !rater.is_active {
        return step(
            "Paused",
            "Your profile is paused; your programme manager can switch it on again.".to_owned(),
            "/stats",
            "See your figures",
        );
    }
    if !rater.is_calibrated && !is_reviewer {
        return match rater.calibration_total {
            _ if standing.has_failed => {
                step("Calibration was not passed", "See when you may try again.".to_owned(), "/calibration", "See how it went")
            }
            0 => step(
                "Calibrate",
                "Answer a few items whose answer an expert wrote down; then you may judge.".to_owned(),
                "/calibration",
                "Begin calibration",
            ),
            answered => step(
                "Calibrate",
                format!("You have answered {answered} item{} so far.", plural(answered.into())),
                "/calibration",
                "Go on with calibration",
            ),
        };
    }
    let open = queue.pending + queue.in_progress;
    let asks_again = if standing.is_asked_again { " Of one kind you are asked to take calibration again." } else { "" };
    if queue.own == 0 && open > 0 {
        let n = format!("{open} task{} wait{} for judgments", plural(open), if open == 1 { "s" } else { "" });
        return if standing.may_be_tested {
            let text = format!("{n}, of kinds for which calibration comes first.{asks_again}");
            step("Calibrate", text, "/calibration?more=true", "Go to calibration")
        } else {
            let text = format!("{n}, of kinds for which you have not passed calibration.");
            step("No task of your kinds", text, "/calibration", "See where you stand")
        };
    }
    if open == 0 {
        return step(
            "All done",
            "There is no open task right now. The page for judging fills by itself as soon as one comes in.".to_owned(),
            "/rate",
            "Wait for the next task",
        );
    }
    let text = format!("{} task{} wait{} for judgments.{asks_again}", queue.own, plural(queue.own), if queue.own == 1 { "s" } else { "" });
    step("Judge", text, "/rate", "Judge the next task")
}

fn plural(n: i64) -> &'static str {
    if n == 1 { "" } else { "s" }
}
