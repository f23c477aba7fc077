//! Dishonest raters: found, told, tested, paused, voided, and given back what was taken; honest ones are left alone.

use chrono::TimeDelta;
use domain::role::Role;
use domain::scope::Scope;
use rater_app::intake::{self, Intake};
use rater_app::integrity::{act, round};
use serde_json::{Value, json};
use storage::integrity::NewAction;
use storage::judgments::newest_votes;
use storage::quality_facts::{FactFilter, newest};
use storage::rlhf_metrics::day::{self, Day};
use storage::training_data::{TrainingFilter, judged};
use testkit::database;

use crate::house::{House, Person, get, plan_task, post};

const NOON: &str = "2026-03-02T12:00:00Z";

/// Tasks `from..to`, each wanting so many judgments.
async fn make_tasks(house: &House, numbers: std::ops::Range<usize>, required: i32) {
    let (now, intake) = (house.now(), Intake::new(&house.state.settings));
    let prepare = |n: usize| {
        let mut task = plan_task(&format!("t{n}"), required);
        task["prompt"] = json!(
            "Choose the plan that keeps to the budget of the retailer, paces evenly, and spends most where it earns most. ".repeat(4)
        );
        intake::prepare(&serde_json::from_value(task).unwrap(), &intake).unwrap()
    };
    let all: Vec<_> = numbers.map(prepare).collect();
    let made = house.state.storage.transaction(move |tx| all.iter().try_for_each(|task| storage::tasks::create(tx, task, now).map(drop)));
    made.await.unwrap();
}

/// How somebody chooses: what to answer to an assignment, and after how many seconds.
type Habit = fn(&Value, usize) -> (String, i64);

fn always_left(_: &Value, _: usize) -> (String, i64) {
    ("candidate_a".to_owned(), 1)
}

/// Takes time, and comes to left and right as by lot: by the bits of a fixed number, so that no run of this test is unlucky.
fn honest(_: &Value, n: usize) -> (String, i64) {
    let is_left = (0x9E37_79B9_7F4A_7C15_u64 >> (n % 64)) & 1 == 1;
    (if is_left { "candidate_a" } else { "candidate_b" }.to_owned(), 20)
}

/// Judges `count` tasks.
macro_rules! judge {
    ($app:expr, $house:expr, $person:expr, $habit:expr, $count:expr) => {
        for n in 0..$count {
            let held = ask!($app, post("/v1/assignments/next", $person, json!({})));
            assert_eq!(held.status, 200, "task {n}: {}", held.reason());
            let habit: Habit = $habit;
            let (choice, seconds) = habit(&held.body, n);
            $house.hand.advance(TimeDelta::seconds(seconds));
            let path = format!("/v1/assignments/{}/judgment", held.body["assignment_id"].as_str().unwrap());
            let reply = ask!($app, post(&path, $person, json!({"choice": choice, "confidence": 0.95})));
            assert_eq!(reply.status, 201, "{}", reply.body);
        }
    };
}

/// Kinds of the actions on a rater, oldest first.
macro_rules! actions {
    ($app:expr, $expert:expr, $person:expr) => {{
        let path = format!("/v1/quality/actions?rater_id={}", $person.rater_id);
        let body = ask!($app, get(&path, $expert)).body;
        let mut kinds: Vec<String> = body["data"].as_array().unwrap().iter().map(|a| a["kind"].as_str().unwrap().to_owned()).collect();
        kinds.reverse();
        kinds
    }};
}

/// For each task: judgments that count, judgments that the task says it has, judgments wanted, and its status.
async fn overlap(house: &House, numbers: std::ops::Range<usize>) -> Vec<(usize, i32, i32, String)> {
    let read = house.state.storage.read(move |conn| {
        let one = |n: usize| {
            let task = storage::tasks::read(conn, &format!("t{n}"))?;
            let counted = storage::judgments::of_task(conn, &task.task_id)?.len();
            Ok((counted, task.judgments_count, task.required_judgments, task.status))
        };
        numbers.map(one).collect()
    });
    read.await.unwrap()
}

/// Who is found in the judgments that statistics, exports and training read.
async fn raters_read(house: &House) -> Vec<Vec<String>> {
    let day = Day { from: "2026-01-01T00:00:00Z".parse().unwrap(), to: "2027-01-01T00:00:00Z".parse().unwrap(), retailer_id: None };
    let read = house.state.storage.read(move |conn| {
        let (scope, filter) = (Scope::system("test"), TrainingFilter::default());
        Ok(vec![
            newest_votes(conn, 1_000)?.into_iter().map(|vote| vote.rater_id).collect(),
            judged::judgments(conn, &scope, &filter, 0, 1_000)?.into_iter().map(|row| row.rater_id).collect(),
            judged::newest_choices(conn, &scope, &TrainingFilter::default(), 1_000)?.into_iter().map(|(_, rater_id, _)| rater_id).collect(),
            day::judgments(conn, &day)?.into_iter().map(|row| row.rater_id).collect(),
            newest(conn, &FactFilter::since(day.from), None, 1_000)?.into_iter().map(|fact| fact.rater_id).collect(),
        ])
    });
    read.await.unwrap()
}

#[actix_web::test]
async fn a_spammer_climbs_the_ladder_and_an_honest_rater_does_not() {
    for db in database::all() {
        // Voiding reaches one day back and follows an hour after the pause.
        let house = House::on(db, NOON, &[("ENDCAP_INTEGRITY_PAUSE_HOURS", "1"), ("ENDCAP_INTEGRITY_VOID_DAYS", "1")]);
        let app = app!(house);
        let expert = house.person("eve", Role::Expert, true).await;
        let (sam, hana) = (house.person("sam", Role::Rater, true).await, house.person("hana", Role::Rater, true).await);

        make_tasks(&house, 0..100, 1).await;
        judge!(app, house, &sam, always_left, 49);
        assert_eq!(round(&house.state).await.unwrap(), 0, "fewer than 50 judgments are not looked at");
        judge!(app, house, &sam, always_left, 1);
        assert_eq!(round(&house.state).await.unwrap(), 1);
        assert_eq!(round(&house.state).await.unwrap(), 0, "the same judgments are looked at once");
        assert_eq!(actions!(app, &expert, sam), ["warn"]);
        let me = ask!(app, get("/v1/raters/me", &sam)).body;
        let reason = me["notices"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("left candidate was chosen 50 of 50"), "{reason}");

        house.hand.advance(TimeDelta::minutes(11));
        judge!(app, house, &sam, always_left, 50);
        assert_eq!(round(&house.state).await.unwrap(), 1);
        assert_eq!(actions!(app, &expert, sam), ["warn", "more_gold"]);

        // Two days later: only what comes now lies within the reach of voiding. Hana has judged twenty of these tasks too.
        house.hand.advance(TimeDelta::days(2));
        make_tasks(&house, 100..120, 2).await;
        judge!(app, house, &hana, honest, 20);
        judge!(app, house, &sam, always_left, 20);
        make_tasks(&house, 120..150, 1).await;
        judge!(app, house, &sam, always_left, 30);
        assert_eq!(round(&house.state).await.unwrap(), 1);
        assert_eq!(actions!(app, &expert, sam), ["warn", "more_gold", "pause"]);
        let refused = ask!(app, post("/v1/assignments/next", &sam, json!({})));
        assert_eq!((refused.status.as_u16(), refused.reason()), (204, "paused"));
        let listed = ask!(app, get("/v1/quality/raters", &expert)).body;
        let first = &listed["data"][0];
        assert_eq!((first["rater_id"].as_str(), first["rung"].as_str()), (Some(sam.rater_id.as_str()), Some("pause")), "{first}");
        let bias = first["signals"].as_array().unwrap().iter().find(|signal| signal["name"] == "side_bias").unwrap();
        assert_eq!((bias["n"].as_u64(), bias["value"].as_f64()), (Some(50), Some(1.0)));
        assert!(bias["p"].as_f64().unwrap() < 1e-12 && bias["adjusted"].as_f64().unwrap() < 1e-10);

        // Hana goes on; she is looked at, and nothing follows.
        make_tasks(&house, 150..180, 1).await;
        judge!(app, house, &hana, honest, 30);
        assert_eq!(round(&house.state).await.unwrap(), 0, "the pause has not lasted an hour");
        house.hand.advance(TimeDelta::minutes(61));
        assert_eq!(round(&house.state).await.unwrap(), 1);
        assert_eq!(actions!(app, &expert, sam), ["warn", "more_gold", "pause", "void"]);
        assert_eq!(actions!(app, &expert, hana), [""; 0]);
        let listed = ask!(app, get("/v1/quality/raters", &expert)).body;
        let hers = listed["data"].as_array().unwrap().iter().find(|rater| rater["rater_id"] == hana.rater_id.as_str()).unwrap();
        assert_eq!((hers["looks"].as_u64(), hers["rung"].as_str(), hers["is_active"].as_bool()), (Some(1), Some("none"), Some(true)));

        // The fifty of the last day are open again, the hundred before stay.
        let voided = ask!(app, get(&format!("/v1/quality/actions?rater_id={}", sam.rater_id), &expert)).body["data"][0].clone();
        assert_eq!((voided["voided_judgments"].as_u64(), voided["finished_at"].is_string()), (Some(50), true), "{voided}");
        for (n, (counted, said, required, status)) in overlap(&house, 0..150).await.into_iter().enumerate() {
            let left = if n < 100 { 1 } else { required - 1 };
            assert_eq!((counted, said), (usize::try_from(left).unwrap(), left), "task {n} is {status}");
            assert_eq!(matches!(status.as_str(), "pending" | "in_progress"), n >= 100, "task {n} is {status}");
        }
        for read in raters_read(&house).await {
            assert_eq!(read.iter().filter(|rater_id| **rater_id == sam.rater_id).count(), 100);
        }
        let own = ask!(app, get(&format!("/v1/raters/{}/stats", sam.rater_id), &expert)).body;
        assert_eq!(own["total_judgments"], 100);

        // Somebody else judges in Sam's place: every task ends with as many judgments as it wants.
        let xena = house.person("xena", Role::Rater, true).await;
        judge!(app, house, &xena, honest, 50);
        assert_eq!(ask!(app, post("/v1/assignments/next", &xena, json!({}))).status, 204);
        for (n, (counted, said, required, status)) in overlap(&house, 0..180).await.into_iter().enumerate() {
            assert_eq!((counted, said), (usize::try_from(required).unwrap(), required), "task {n} is {status}");
            assert!(!matches!(status.as_str(), "pending" | "in_progress"), "task {n} is {status}");
        }
        assert_eq!(round(&house.state).await.unwrap(), 0, "there is nothing above voiding");
    }
}

/// A person acts by hand: the answer.
macro_rules! act {
    ($app:expr, $by:expr, $about:expr, $kind:expr) => {
        ask!($app, post("/v1/quality/actions", $by, json!({"rater_id": $about.rater_id, "kind": $kind, "reason": "seen by hand"})))
    };
}

macro_rules! reverse {
    ($app:expr, $by:expr, $action:expr) => {{
        let path = format!("/v1/quality/actions/{}/reverse", $action.body["action_id"].as_str().unwrap());
        ask!($app, post(&path, $by, json!({"reason": "a mistake"})))
    }};
}

#[actix_web::test]
async fn reversing_gives_back_what_is_still_free() {
    for db in database::all() {
        let house = House::on(db, NOON, &[]);
        let app = app!(house);
        let expert = house.person("eve", Role::Expert, true).await;
        let (sam, xena) = (house.person("sam", Role::Rater, true).await, house.person("xena", Role::Rater, true).await);
        make_tasks(&house, 0..6, 1).await;
        judge!(app, house, &sam, honest, 6);
        let paused = act!(app, &expert, sam, "pause");
        assert_eq!(paused.status, 201, "{}", paused.body);
        let voided = act!(app, &expert, sam, "void");
        assert_eq!(voided.status, 201, "{}", voided.body);
        assert!(overlap(&house, 0..6).await.iter().all(|(counted, said, ..)| (*counted, *said) == (0, 0)));

        judge!(app, house, &xena, honest, 2);
        // A third task is held: its place is not free either.
        assert_eq!(ask!(app, post("/v1/assignments/next", &xena, json!({}))).status, 200);
        let back = reverse!(app, &expert, voided);
        assert_eq!((back.status.as_u16(), back.body["stays_voided"].as_u64()), (200, Some(3)), "{}", back.body);
        assert!(back.body["note"].as_str().unwrap().starts_with("3 judgments stay voided"), "{}", back.body);
        let now = overlap(&house, 0..6).await;
        assert_eq!(now.iter().filter(|(counted, said, ..)| (*counted, *said) == (1, 1)).count(), 5, "{now:?}");
        let own = ask!(app, get(&format!("/v1/raters/{}/stats", sam.rater_id), &expert)).body;
        assert_eq!((own["total_judgments"].as_u64(), own["consensus_agreement"]["n"].as_u64()), (Some(3), Some(3)), "{own}");

        // Without the voiding the pause before it holds; without that, nothing.
        assert_eq!(ask!(app, post("/v1/assignments/next", &sam, json!({}))).reason(), "paused");
        assert_eq!(reverse!(app, &expert, voided).code(), "transition_not_allowed");
        assert_eq!(reverse!(app, &expert, paused).status, 200);
        assert_ne!(ask!(app, post("/v1/assignments/next", &sam, json!({}))).reason(), "paused");
        assert_eq!(ask!(app, get("/v1/raters/me", &sam)).body["notices"], json!([]));
    }
}

#[actix_web::test]
async fn two_processes_take_one_step_and_an_interrupted_voiding_is_gone_on_with() {
    for db in database::all() {
        let house = House::on(db, NOON, &[]);
        let app = app!(house);
        let expert = house.person("eve", Role::Expert, true).await;
        let sam = house.person("sam", Role::Rater, true).await;
        make_tasks(&house, 0..50, 1).await;
        judge!(app, house, &sam, always_left, 50);
        let (one, two) = futures_util::future::join(round(&house.state), round(&house.state)).await;
        assert_eq!(one.unwrap() + two.unwrap(), 1);
        assert_eq!(actions!(app, &expert, sam), ["warn"]);

        // A process that stopped right after the action was stored.
        let new = NewAction {
            rater_id: sam.rater_id.clone(),
            kind: "void".to_owned(),
            signals: json!([]),
            reason: "seen by hand".to_owned(),
            actor: "acc_eve".to_owned(),
            is_finished: false,
        };
        let now = house.now();
        house.state.storage.transaction(move |tx| act(tx, &new, now)).await.unwrap();
        assert!(overlap(&house, 0..50).await.iter().all(|(counted, ..)| *counted == 1));
        round(&house.state).await.unwrap();
        assert!(overlap(&house, 0..50).await.iter().all(|(counted, said, ..)| (*counted, *said) == (0, 0)));
        let done = ask!(app, get("/v1/quality/actions", &expert)).body["data"][0].clone();
        assert_eq!((done["voided_judgments"].as_u64(), done["finished_at"].is_string()), (Some(50), true));
    }
}

#[actix_web::test]
async fn a_person_may_lift_what_holds() {
    let house = House::new(&[]);
    let app = app!(house);
    let expert = house.person("eve", Role::Expert, true).await;
    let sam = house.person("sam", Role::Rater, true).await;
    act!(app, &expert, sam, "pause");
    assert_eq!(ask!(app, post("/v1/assignments/next", &sam, json!({}))).reason(), "paused");
    assert_eq!(ask!(app, get("/v1/raters/me", &sam)).body["notices"][0]["reason"], "seen by hand");
    assert_eq!(act!(app, &expert, sam, "lift").status, 201);
    assert_eq!(ask!(app, post("/v1/assignments/next", &sam, json!({}))).reason(), "no_tasks");
    assert_eq!(ask!(app, get("/v1/raters/me", &sam)).body["notices"], json!([]));
    let told = house.state.storage.read(|conn| storage::outbox::after(conn, 0, &[], 50)).await.unwrap();
    let words: Vec<&str> = told.iter().filter(|event| event.event == "integrity_action").map(|event| event.topic.as_str()).collect();
    assert_eq!(words, vec![format!("rater:{}", sam.rater_id); 2]);
}

#[actix_web::test]
async fn nobody_is_acted_on_by_a_program_when_that_is_for_people() {
    let house = House::at(NOON, &[("ENDCAP_INTEGRITY_ACTIONS", "by_hand")]);
    let app = app!(house);
    let expert = house.person("eve", Role::Expert, true).await;
    let sam = house.person("sam", Role::Rater, true).await;
    make_tasks(&house, 0..50, 1).await;
    judge!(app, house, &sam, always_left, 50);
    assert_eq!(round(&house.state).await.unwrap(), 0);
    assert_eq!(actions!(app, &expert, sam), [""; 0]);
    let first = ask!(app, get("/v1/quality/raters?limit=1", &expert)).body["data"][0].clone();
    assert_eq!((first["rater_id"].as_str(), first["looks"].as_u64()), (Some(sam.rater_id.as_str()), Some(1)));
    assert!(first["attention"].as_f64().unwrap() > 10.0, "listed as flagged: {first}");
}

#[actix_web::test]
async fn strangers_and_mistakes_are_refused() {
    let house = House::new(&[]);
    let app = app!(house);
    let expert = house.person("eve", Role::Expert, true).await;
    let (sam, rita) = (house.person("sam", Role::Rater, true).await, house.person("rita", Role::Rater, true).await);
    let warned = act!(app, &expert, sam, "warn");
    let path = format!("/v1/quality/actions/{}/reverse", warned.body["action_id"].as_str().unwrap());
    let nobody = Person { token: "not a token".to_owned(), rater_id: String::new() };
    for (stranger, status) in [(&rita, 403), (&nobody, 401)] {
        assert_eq!(ask!(app, get("/v1/quality/raters", stranger)).status, status);
        assert_eq!(ask!(app, get("/v1/quality/actions", stranger)).status, status);
        assert_eq!(act!(app, stranger, sam, "lift").status, status);
        assert_eq!(ask!(app, post(&path, stranger, json!({"reason": "x"}))).status, status);
    }
    assert_eq!(act!(app, &expert, expert, "lift").status, 422, "nobody acts on oneself");
    assert_eq!(act!(app, &expert, nobody, "warn").status, 404);
    assert_eq!(act!(app, &expert, sam, "flog").status, 422);
    let empty = json!({"rater_id": sam.rater_id, "kind": "warn", "reason": "  "});
    assert_eq!(ask!(app, post("/v1/quality/actions", &expert, empty)).status, 422);
    assert_eq!(ask!(app, post("/v1/quality/actions/act_x/reverse", &expert, json!({"reason": "x"}))).status, 404);
    assert_eq!(ask!(app, get("/v1/quality/raters?limit=0", &expert)).status, 422);
}
