//! From judgments to a decision and back, on every configured database.

use chrono::{DateTime, TimeDelta, Utc};
use domain::role::Role;
use domain::task::Choice;
use learning::calibration::SequentialTest;
use learning::drift::DriftTest;
use learning::golden::ExposureCaps;
use rater_app::dispatch::{self, Next, Request, Rules, Wanted};
use rater_app::intake::{self, Intake};
use rater_app::queue::Shares;
use rater_app::recording::{self, Outcome};
use rater_app::submission::Submission;
use serde_json::json;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::outbox::{self, Destination};
use storage::queue::Weights;
use storage::raters::{self, NewRater};
use storage::store::transaction;
use storage::{consensus, judgments, tasks};
use testkit::database;

use crate::house::plan_task;

const THRESHOLD: f64 = 0.66;

fn noon() -> DateTime<Utc> {
    "2026-01-15T12:00:00Z".parse().unwrap()
}

fn rules() -> Rules {
    Rules {
        lease: TimeDelta::minutes(5),
        golden_rate: 0.0,
        calibration: SequentialTest::default(),
        calibration_retry: TimeDelta::hours(24),
        calibration_attempts: 3,
        drift: DriftTest::default(),
        exposure: ExposureCaps::default(),
        weights: Weights::default(),
        daily_judgments: 0,
        threshold: THRESHOLD,
        enough: 0.9,
        max_skips: 3,
        evidence: std::sync::Arc::default(),
        review_sla: TimeDelta::hours(24),
        lot: rater_app::dispatch::Lot::default(),
    }
}

fn make_task(conn: &mut Connection, task_id: &str, required: i32) {
    let intake = Intake { judgments: 2, max_judgments: 5, weights: Weights::default(), pii: web::settings::PiiRule::Redact };
    let new = intake::prepare(&serde_json::from_value(plan_task(task_id, required)).unwrap(), &intake).unwrap();
    tasks::create(conn, &new, noon()).unwrap();
}

fn make_rater(conn: &mut Connection, name: &str) -> String {
    let new = NewRater { name: name.to_owned(), email: None, is_simulated: true, is_calibrated: true };
    raters::insert(conn, &new, noon()).unwrap().rater_id
}

/// Judges the next task; `stored` is the wanted choice in the stored order.
fn judge(conn: &mut Connection, rater_id: &str, stored: Choice, escalate: bool) -> String {
    let request = Request {
        rater_id: rater_id.to_owned(),
        role: Role::Rater,
        wanted: Wanted::Anything,
        task_types: Vec::new(),
        shares: Shares::default(),
    };
    let given = transaction(conn, |tx| dispatch::next(tx, &request, &rules(), noon())).unwrap();
    let Next::Given(given) = given else { panic!("nothing to judge: {given:?}") };
    let choice = rater_app::presentation::as_shown(stored, &given.assignment.order());
    let body = json!({"choice": choice, "confidence": 0.75, "escalate": escalate, "escalation_reason": escalate.then_some("look at this")});
    let submission: Submission = serde_json::from_value(body).unwrap();
    let id = given.assignment.assignment_id;
    match transaction(conn, |tx| recording::record(tx, rater_id, &id, &submission, &rules(), noon())).unwrap() {
        Outcome::Recorded(recorded) => recorded.judgment.judgment_id,
        other => panic!("{other:?}"),
    }
}

fn undo(conn: &mut Connection, rater_id: &str, judgment_id: &str, at: DateTime<Utc>) -> Result<(), StorageError> {
    let within = TimeDelta::seconds(60);
    transaction(conn, |tx| recording::undo(tx, rater_id, judgment_id, within, &rules(), at)).map(drop)
}

fn status(conn: &mut Connection, task_id: &str) -> (String, i32) {
    let task = tasks::read(conn, task_id).unwrap();
    (task.status, task.judgments_count)
}

#[test]
fn two_of_three_decide_and_the_records_follow() {
    for db in database::all() {
        let mut conn = db.connect();
        make_task(&mut conn, "t1", 3);
        let raters: Vec<String> = ["a", "b", "c"].iter().map(|name| make_rater(&mut conn, name)).collect();
        judge(&mut conn, &raters[0], Choice::CandidateA, false);
        assert_eq!(status(&mut conn, "t1"), ("in_progress".to_owned(), 1), "{}", db.kind());
        judge(&mut conn, &raters[1], Choice::CandidateA, false);
        judge(&mut conn, &raters[2], Choice::CandidateB, false);
        assert_eq!(status(&mut conn, "t1"), ("completed".to_owned(), 3), "{}", db.kind());
        let decided = consensus::find(&mut conn, "t1").unwrap().unwrap();
        assert_eq!(
            (decided.choice.as_deref(), decided.is_final, decided.decided_by.as_deref()),
            (Some("candidate_a"), true, Some("raters"))
        );
        // Three raters without a golden record are right with 2/3, else evenly wrong over the other three of four choices:
        // A (2/3)^2 (1/9), B (1/9)^2 (2/3), tie and both bad (1/9)^3 each.
        let (right, wrong) = (2.0_f64 / 3.0, 1.0 / 9.0);
        let weights = [right * right * wrong, wrong * wrong * right, wrong.powi(3), wrong.powi(3)];
        let expected = weights[0] / weights.iter().sum::<f64>();
        assert!((decided.posterior.unwrap() - expected).abs() < 1e-9, "{:?} against {expected}", decided.posterior);
        let due = outbox::due(&mut conn, Destination::RlhfBackend, noon(), 10).unwrap();
        assert_eq!(
            (due.len(), due[0].payload.0["choice"].as_str(), due[0].payload.0["judgments"].as_i64()),
            (1, Some("candidate_a"), Some(3))
        );
        let agreed: Vec<_> = raters.iter().map(|id| raters::find(&mut conn, id).unwrap().inter_rater_agreement).collect();
        assert_eq!(agreed, [Some(1.0), Some(1.0), Some(0.0)], "{}", db.kind());
    }
}

#[test]
fn disagreement_goes_to_an_expert_and_escalation_at_once() {
    for db in database::all() {
        let mut conn = db.connect();
        let raters: Vec<String> = ["a", "b", "c"].iter().map(|name| make_rater(&mut conn, name)).collect();
        make_task(&mut conn, "t1", 3);
        for (rater, choice) in raters.iter().zip([Choice::CandidateA, Choice::CandidateB, Choice::Unsure]) {
            judge(&mut conn, rater, choice, false);
        }
        assert_eq!(status(&mut conn, "t1"), ("expert_review".to_owned(), 3), "{}", db.kind());
        let open = consensus::find(&mut conn, "t1").unwrap().unwrap();
        assert_eq!((open.choice, open.is_final, open.judgments_count), (None, false, 3));
        make_task(&mut conn, "t2", 3);
        let judgment = judge(&mut conn, &raters[0], Choice::Tie, true);
        assert_eq!(status(&mut conn, "t2"), ("escalated".to_owned(), 1));
        assert!(outbox::due(&mut conn, Destination::RlhfBackend, noon(), 10).unwrap().is_empty(), "nothing is decided");
        undo(&mut conn, &raters[0], &judgment, noon()).unwrap();
        assert_eq!(status(&mut conn, "t2"), ("in_progress".to_owned(), 0));
        assert!(consensus::find(&mut conn, "t2").unwrap().is_none());
    }
}

#[test]
fn a_decision_is_taken_back_until_it_is_passed_on() {
    for db in database::all() {
        let mut conn = db.connect();
        let raters: Vec<String> = ["a", "b"].iter().map(|name| make_rater(&mut conn, name)).collect();
        make_task(&mut conn, "t1", 2);
        judge(&mut conn, &raters[0], Choice::CandidateA, false);
        let last = judge(&mut conn, &raters[1], Choice::CandidateA, false);
        assert_eq!(status(&mut conn, "t1").0, "completed");
        assert!(matches!(undo(&mut conn, &raters[0], &last, noon()), Err(StorageError::NotFound { .. })), "somebody else's");
        let late = noon() + TimeDelta::seconds(61);
        assert!(matches!(undo(&mut conn, &raters[1], &last, late), Err(StorageError::Conflict { code: "undo_expired", .. })));
        undo(&mut conn, &raters[1], &last, noon()).unwrap();
        assert_eq!(status(&mut conn, "t1"), ("in_progress".to_owned(), 1), "{}", db.kind());
        assert!(outbox::due(&mut conn, Destination::RlhfBackend, noon(), 10).unwrap().is_empty(), "{}: the news is withdrawn", db.kind());
        let record = raters::find(&mut conn, &raters[0]).unwrap();
        assert_eq!((record.consensus_total, record.total_judgments), (0, 1));

        let again = judge(&mut conn, &raters[1], Choice::CandidateA, false);
        let told = outbox::due(&mut conn, Destination::RlhfBackend, noon(), 10).unwrap();
        outbox::delivered(&mut conn, told[0].id, noon()).unwrap();
        let refused = undo(&mut conn, &raters[1], &again, noon());
        assert!(matches!(refused, Err(StorageError::Conflict { code: "undo_expired", .. })), "{}: {refused:?}", db.kind());
        assert_eq!(judgments::of_task(&mut conn, "t1").unwrap().len(), 2);
    }
}

#[test]
fn a_task_that_names_no_number_asks_on_until_it_is_clear() {
    for db in database::all() {
        let mut conn = db.connect();
        let raters: Vec<String> = ["a", "b", "c", "d", "e"].iter().map(|name| make_rater(&mut conn, name)).collect();
        let make = |conn: &mut Connection, task_id: &str| {
            let mut body = plan_task(task_id, 1);
            body.as_object_mut().unwrap().remove("required_judgments");
            let intake = Intake { judgments: 2, max_judgments: 4, weights: Weights::default(), pii: web::settings::PiiRule::Redact };
            let new = intake::prepare(&serde_json::from_value(body).unwrap(), &intake).unwrap();
            tasks::create(conn, &new, noon()).unwrap();
        };
        // Two without a golden record who agree: 0.92, which is over 0.90.
        make(&mut conn, "clear");
        judge(&mut conn, &raters[0], Choice::CandidateA, false);
        judge(&mut conn, &raters[1], Choice::CandidateA, false);
        assert_eq!(status(&mut conn, "clear"), ("completed".to_owned(), 2), "{}", db.kind());
        // Two who do not: a third is asked, and a fourth, then an expert.
        make(&mut conn, "open");
        for (rater, choice) in raters.iter().zip([Choice::CandidateA, Choice::CandidateB, Choice::CandidateA]) {
            judge(&mut conn, rater, choice, false);
        }
        assert_eq!(status(&mut conn, "open"), ("in_progress".to_owned(), 3), "{}: 0.82 is under 0.90", db.kind());
        assert_eq!(tasks::read(&mut conn, "open").unwrap().required_judgments, 4);
        judge(&mut conn, &raters[3], Choice::CandidateB, false);
        assert_eq!(status(&mut conn, "open"), ("expert_review".to_owned(), 4), "{}", db.kind());
        // At the most that may be asked for, the usual threshold decides.
        make(&mut conn, "late");
        for (rater, choice) in raters.iter().zip([Choice::Tie, Choice::CandidateB, Choice::Unsure, Choice::CandidateB]) {
            judge(&mut conn, rater, choice, false);
        }
        assert_eq!(status(&mut conn, "late"), ("completed".to_owned(), 4), "{}: 0.82 is over 0.66", db.kind());
    }
}
