//! Expert review: blind first, then the judgments, then a decision that goes back to the raters; several experts at once.

use actix_web::dev::ServiceResponse;
use actix_web::test::call_service;
use chrono::TimeDelta;
use domain::role::Role;
use futures_util::future::join;
use serde_json::{Value, json};

use crate::house::{House, Person, get, other, plan_task, post, read, shown_first};

/// Judges the next task; `stored` is the wanted choice in the stored order of [`plan_task`], in which the first is A.
macro_rules! judge {
    ($app:expr, $rater:expr, $stored:expr, $more:expr) => {{
        let held = ask!($app, post("/v1/assignments/next", $rater, json!({}))).body;
        let first = shown_first(&held);
        let choice = match $stored {
            "candidate_a" => first,
            "candidate_b" => other(first),
            word => word,
        };
        let mut body = json!({"choice": choice, "confidence": 0.75});
        body.as_object_mut().unwrap().extend($more.as_object().unwrap().clone());
        let path = format!("/v1/assignments/{}/judgment", held["assignment_id"].as_str().unwrap());
        let answer = ask!($app, post(&path, $rater, body));
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body
    }};
}

/// A task that two raters judged and the second escalated.
macro_rules! escalated {
    ($app:expr, $admin:expr, $raters:expr, $task_id:expr) => {{
        assert_eq!(ask!($app, post("/v1/tasks", $admin, plan_task($task_id, 3))).status, 201);
        judge!($app, &$raters[0], "candidate_a", json!({"free_text_feedback": "A pays back sooner"}));
        judge!($app, &$raters[1], "candidate_b", json!({"escalate": true, "escalation_reason": "two currencies"}))
    }};
}

async fn two_raters(house: &House) -> [Person; 2] {
    [house.person("rita", Role::Rater, true).await, house.person("rob", Role::Rater, true).await]
}

/// What the realtime pump would carry to a topic.
async fn told(house: &House, topic: &str, event: &str) -> Vec<Value> {
    let events = house.state.storage.read(|c| storage::outbox::after(c, 0, &[], 1000)).await.unwrap();
    events.into_iter().filter(|one| one.topic == topic && one.event == event).map(|one| one.payload.0).collect()
}

#[actix_web::test]
async fn an_expert_thinks_first_then_sees_then_decides_and_the_raters_hear_of_it() {
    for house in House::everywhere(&[]) {
        let app = app!(house);
        let (admin, expert, raters) = (house.admin(), house.person("eve", Role::Expert, true).await, two_raters(&house).await);
        assert_eq!(ask!(app, get("/v1/reviews/next", &expert)).reason(), "no_reviews");
        let mut task = plan_task("t1", 3);
        (task["adapter_id"], task["source"]) = (json!("adapter-9"), json!("plan-set-77"));
        ask!(app, post("/v1/tasks", &admin, task));
        judge!(app, &raters[0], "candidate_a", json!({"free_text_feedback": "A pays back sooner", "reasons": ["higher_return"]}));
        let escalation = json!({"escalate": true, "escalation_reason": "two currencies"});
        judge!(app, &raters[1], "candidate_b", escalation);

        // Before the own view: the task, its checks and why it is here, and nothing that raters thought.
        let open = ask!(app, get("/v1/reviews/next", &expert)).body;
        assert_eq!(
            (open["task"]["task_id"].as_str(), open["reason"]["kind"].as_str()),
            (Some("t1"), Some("escalated")),
            "{}",
            house.kind()
        );
        assert_eq!((open["judgments_count"].as_i64(), open["due_at"].as_str()), (Some(2), Some("2096-01-16T12:00:00Z")));
        assert!(open["task"]["auto_checks"].is_array() && open["task"]["candidate_b"]["summary"] == "stored second");
        let text = open.to_string();
        for hidden in ["pays back", "two currencies", "\"judgments\"", "consensus", "adapter-9", "plan-set-77", &raters[0].rater_id] {
            assert!(!text.contains(hidden), "{}: {hidden} in {text}", house.kind());
        }
        let elsewhere = ask!(app, get("/v1/quality/consensus/t1", &expert)).body;
        assert!(elsewhere["votes"].is_null() && elsewhere["hidden_because"].is_string(), "no other way to them: {elsewhere}");

        house.hand.advance(TimeDelta::minutes(2));
        let blind = json!({"choice": "candidate_b", "confidence": 0.95, "reasons": ["keeps_constraints"]});
        let wrong = json!({"choice": "candidate_c", "confidence": 2, "reasons": ["equivalent"]});
        let refused = ask!(app, post("/v1/reviews/t1/blind", &expert, wrong));
        assert_eq!((refused.status.as_u16(), refused.body["errors"].as_array().unwrap().len()), (422, 3), "{}", refused.body);
        let blind = ask!(app, post("/v1/reviews/t1/blind", &expert, blind));
        assert_eq!(blind.status, 200, "{}", blind.body);
        let given = blind.body["judgments"].as_array().unwrap();
        assert_eq!((given[0]["rater"].as_str(), given[0]["choice"].as_str()), (Some("Rater 1"), Some("candidate_a")));
        assert_eq!((given[1]["escalation_reason"].as_str(), given[1]["gold_band"].as_str()), (Some("two currencies"), Some("unknown")));
        assert!(blind.body["consensus"].is_object() && !blind.body.to_string().contains(&raters[0].rater_id));
        let again = ask!(app, get("/v1/reviews/t1", &expert)).body;
        assert_eq!(again["judgments"], blind.body["judgments"], "a reload goes on where it was");
        let changed = ask!(app, post("/v1/reviews/t1/blind", &expert, json!({"choice": "tie", "confidence": 0.5})));
        assert_eq!((changed.status.as_u16(), changed.code()), (409, "conflict"), "{}", changed.body);

        let decision = json!({"choice": "candidate_b", "rationale": "B keeps one currency.", "error_class": "rater_error",
            "note_to_raters": "Compare in one currency.", "difficulty": "hard"});
        let decided = ask!(app, post("/v1/reviews/t1", &expert, decision.clone()));
        assert_eq!((decided.status.as_u16(), decided.body["status"].as_str()), (200, Some("validated")), "{}", decided.body);
        assert_eq!(decided.body["consensus"]["decided_by"], "acc_eve");
        let review = &decided.body["review"];
        assert_eq!((review["was_blind"].as_bool(), review["changed_after_reveal"].as_bool()), (Some(true), Some(false)), "{review}");
        assert_eq!((review["seconds"].as_f64(), review["was_late"].as_bool()), (Some(120.0), Some(false)));
        assert!(decided.body["golden"].is_null() && decided.body["golden_candidate"]["state"] == "candidate", "{}", decided.body);
        let repeated = ask!(app, post("/v1/reviews/t1", &expert, decision));
        assert_eq!((repeated.status.as_u16(), &repeated.body["review"]), (200, review), "a lost answer is given again");
        assert_eq!(house.audited().await, ["acc_eve task.decided_by_expert task:t1"], "{}: once", house.kind());

        // Both raters hear of it, in the order in which each saw the candidates.
        for (rater, agreed) in raters.iter().zip([false, true]) {
            let answers = ask!(app, get("/v1/raters/me/answers", rater)).body;
            let answer = &answers["data"][0];
            assert_eq!(
                (answer["agreed"].as_bool(), answer["note"].as_str()),
                (Some(agreed), Some("Compare in one currency.")),
                "{answers}"
            );
            assert_eq!(answer["error_class"]["code"], "rater_error");
            assert_eq!(answer["your_choice"] == answer["decision"], agreed, "{answer}");
            let heard = told(&house, &format!("rater:{}", rater.rater_id), "escalation_answered").await;
            assert_eq!((heard.len(), heard[0]["agreed"].as_bool()), (1, Some(agreed)));
            assert_eq!((&heard[0]["decision"], &heard[0]["judgment_id"]), (&answer["decision"], &answer["judgment_id"]));
        }
        let for_backend = storage::outbox::Destination::RlhfBackend;
        let due = house.state.storage.read(move |c| storage::outbox::due(c, for_backend, "2097-01-01T00:00:00Z".parse().unwrap(), 10));
        let due = due.await.unwrap();
        assert_eq!((due.len(), due[0].payload.0["choice"].as_str()), (1, Some("candidate_b")));

        let figures = ask!(app, get("/v1/quality/errors", &expert)).body;
        let by_type = &figures["by_task_type"][0];
        assert_eq!(
            (by_type["task_type"].as_str(), by_type["guideline_version"].as_i64()),
            (Some("plan_quality"), Some(i64::from(domain::rubric::VERSION))),
            "{figures}"
        );
        assert_eq!(by_type["error_classes"]["rater_error"]["count"], 1);
        assert_eq!(figures["by_reason"]["escalated"]["in_time"]["estimate"], 1.0);
        assert!(figures["by_reason"]["disputed"]["escalation_precision"]["undefined_because"].is_string());
    }
}

#[actix_web::test]
async fn a_decision_without_a_blind_view_counts_and_says_so_and_may_become_golden() {
    for house in House::everywhere(&[]) {
        let app = app!(house);
        let (admin, expert, raters) = (house.admin(), house.person("eve", Role::Expert, true).await, two_raters(&house).await);
        ask!(app, post("/v1/tasks", &admin, plan_task("early", 3)));
        let early = ask!(app, post("/v1/reviews/early", &expert, json!({"choice": "tie", "rationale": "x"})));
        assert_eq!((early.code(), ask!(app, get("/v1/reviews/early", &expert)).status.as_u16()), ("transition_not_allowed", 404));
        judge!(app, &raters[0], "candidate_a", json!({"escalate": true, "escalation_reason": "look"}));
        for (wrong, field) in [
            (json!({"choice": "unsure", "rationale": "?"}), "choice"),
            (json!({"choice": "tie", "rationale": " "}), "rationale"),
            (json!({"choice": "tie", "rationale": "x", "reasons": ["higher_return"]}), "reasons[0]"),
            (json!({"choice": "tie", "rationale": "x", "note_to_raters": ""}), "note_to_raters"),
            (json!({"choice": "tie", "rationale": "x", "error_class": "bad_luck"}), "error_class"),
            (json!({"choice": "tie", "rationale": "x", "error_class": "task_defective", "make_golden": true}), "make_golden"),
        ] {
            let refused = ask!(app, post("/v1/reviews/early", &expert, wrong));
            assert_eq!((refused.status.as_u16(), refused.body["errors"][0]["field"].as_str()), (422, Some(field)), "{}", refused.body);
        }
        let decision = json!({"choice": "candidate_b", "rationale": "B keeps one currency.", "make_golden": true, "difficulty": "hard",
            "reasons": ["higher_return"]});
        let decided = ask!(app, post("/v1/reviews/early", &expert, decision)).body;
        assert_eq!((decided["golden"]["difficulty_level"].as_str(), decided["golden"]["state"].as_str()), (Some("hard"), Some("active")));
        assert_eq!(decided["golden"]["expert_reasons"], json!(["higher_return"]));
        assert_eq!((decided["review"]["was_blind"].as_bool(), decided["review"]["changed_majority"].as_bool()), (Some(false), Some(true)));
        assert!(decided["review"]["changed_after_reveal"].is_null() && decided["review"]["seconds"].is_null());
        let fresh = house.person("fresh", Role::Rater, true).await;
        let nothing = ask!(app, post("/v1/assignments/next", &fresh, json!({"purpose": "work"})));
        assert_eq!(nothing.reason(), "no_tasks", "{}: a golden item is no work", house.kind());

        let figures = ask!(app, get("/v1/quality/errors", &admin)).body;
        assert_eq!((figures["overall"]["blind"]["estimate"].as_f64(), figures["overall"]["unclassified"].as_i64()), (Some(0.0), Some(1)));
        assert_eq!(figures["overall"]["escalation_precision"]["n"], 1);
        let decided = ask!(app, get("/v1/reviews?state=decided", &expert)).body;
        assert_eq!(
            (decided["data"][0]["title"].as_str(), decided["data"][0]["choice"].as_str()),
            (Some("Which plan?"), Some("candidate_b"))
        );
    }
}

#[actix_web::test]
async fn of_two_experts_the_first_decides_and_the_second_is_told() {
    for house in House::everywhere(&[]) {
        let app = app!(house);
        let (admin, raters) = (house.admin(), two_raters(&house).await);
        let experts = [house.person("eve", Role::Expert, true).await, house.person("max", Role::Expert, true).await];
        for n in 0..4 {
            let task_id = format!("t{n}");
            escalated!(app, &admin, raters, &task_id);
            let path = format!("/v1/reviews/{task_id}");
            for expert in &experts {
                assert_eq!(ask!(app, get(&path, expert)).status, 200, "looking locks nobody out");
            }
            let decide = |expert: &Person, choice: &str| {
                post(&path, expert, json!({"choice": choice, "rationale": format!("it is {choice}"), "error_class": "no_error"}))
                    .to_request()
            };
            let (one, two): (ServiceResponse<_>, ServiceResponse<_>) =
                join(call_service(&app, decide(&experts[0], "candidate_a")), call_service(&app, decide(&experts[1], "candidate_b"))).await;
            let (one, two) = (read(one).await, read(two).await);
            let (first, second) = if one.status == 200 { (one, two) } else { (two, one) };
            assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 409), "{}: {}", house.kind(), second.body);
            assert_eq!(second.code(), "transition_not_allowed");
            let winner = &second.body["decision"];
            assert_eq!(winner["choice"], first.body["review"]["choice"], "{}", second.body);
            assert_eq!(winner["expert"]["account_id"], first.body["review"]["expert"]["account_id"]);
            assert!(winner["decided_at"].is_string() && second.body["detail"].as_str().unwrap().contains("was decided by"));
            let late = if winner["expert"]["account_id"] == "acc_eve" { &experts[1] } else { &experts[0] };
            let blind = ask!(app, post(&format!("{path}/blind"), late, json!({"choice": "tie", "confidence": 0.5})));
            assert_eq!((blind.status.as_u16(), &blind.body["decision"]["choice"]), (409, &winner["choice"]));
            let consensus = ask!(app, get(&format!("/v1/quality/consensus/{task_id}"), &admin)).body;
            assert_eq!(consensus["consensus"]["choice"], winner["choice"]);
            for rater in &raters {
                let heard = told(&house, &format!("rater:{}", rater.rater_id), "escalation_answered").await;
                assert_eq!(heard.len(), n + 1, "{}: told once for each task", house.kind());
            }
        }
        let page = ask!(app, get("/v1/raters/me/answers?limit=3", &raters[0])).body;
        assert_eq!(page["data"].as_array().unwrap().len(), 3);
        let rest =
            ask!(app, get(&format!("/v1/raters/me/answers?limit=3&cursor={}", page["next_cursor"].as_str().unwrap()), &raters[0])).body;
        assert_eq!((rest["data"].as_array().unwrap().len(), rest["next_cursor"].is_null()), (1, true), "{rest}");
    }
}

#[actix_web::test]
async fn the_queue_goes_by_due_time_and_says_who_looks() {
    for house in House::everywhere(&[("ENDCAP_REVIEW_SLA_HOURS", "2")]) {
        let app = app!(house);
        let (admin, raters) = (house.admin(), two_raters(&house).await);
        let eve = house.person("eve", Role::Expert, true).await;
        let max = house.person("max", Role::Expert, true).await;
        for n in 0..3 {
            escalated!(app, &admin, raters, &format!("t{n}"));
            house.hand.advance(TimeDelta::minutes(15));
        }
        let ids = |body: &Value| -> Vec<String> {
            body["data"].as_array().unwrap().iter().map(|row| row["task_id"].as_str().unwrap().to_owned()).collect()
        };
        let first = ask!(app, get("/v1/reviews?limit=2", &eve)).body;
        assert_eq!(ids(&first), ["t0", "t1"], "{}", house.kind());
        assert_eq!((first["data"][0]["age_seconds"].as_i64(), first["data"][0]["judgments_count"].as_i64()), (Some(2700), Some(2)));
        assert_eq!(first["data"][0]["due_at"], "2096-01-15T14:00:00Z");
        let rest = ask!(app, get(&format!("/v1/reviews?limit=2&cursor={}", first["next_cursor"].as_str().unwrap()), &eve)).body;
        assert_eq!((ids(&rest), rest["next_cursor"].is_null()), (vec!["t2".to_owned()], true));
        assert_eq!(ids(&ask!(app, get("/v1/reviews?task_type=tool_call_qa", &eve)).body), Vec::<String>::new());

        // Eve looks at the first one; Max is given another, and sees that somebody is at the first.
        let next = |body: &Value| body["task"]["task_id"].as_str().unwrap().to_owned();
        assert_eq!(next(&ask!(app, get("/v1/reviews/next", &eve)).body), "t0");
        assert_eq!(next(&ask!(app, get("/v1/reviews/next", &max)).body), "t1");
        assert_eq!(next(&ask!(app, get("/v1/reviews/next", &max)).body), "t1", "the task at hand");
        let seen = ask!(app, get("/v1/reviews", &max)).body;
        assert_eq!(seen["data"][0]["looked_at_by_others"]["count"], 1, "{seen}");
        assert!(seen["data"][0]["looked_at_by_others"]["words"].as_str().unwrap().starts_with("being looked at by 1 other since 2096"));
        assert!(seen["data"][1]["looked_at_by_others"].is_null() && seen["data"][1]["is_open_by_you"] == true);
        assert_eq!(ask!(app, get("/v1/reviews/t0", &max)).body["looked_at_by_others"]["count"], 1, "and may open it all the same");
        assert_eq!(next(&ask!(app, get("/v1/reviews/next", &eve)).body), "t0");
        // A look ends by itself, and when its expert turns to another task.
        house.hand.advance(TimeDelta::minutes(11));
        let later = ask!(app, get("/v1/reviews", &max)).body;
        assert!(later["data"].as_array().unwrap().iter().all(|row| row["looked_at_by_others"].is_null()), "{later}");

        assert_eq!(ids(&ask!(app, get("/v1/reviews?state=overdue", &eve)).body), Vec::<String>::new());
        house.hand.advance(TimeDelta::minutes(80));
        let eve = house.sign("acc_eve", Role::Expert, None, None);
        let late = ask!(app, get("/v1/reviews?state=overdue", &eve)).body;
        assert_eq!((ids(&late), late["data"][0]["is_overdue"].as_bool()), (vec!["t0".to_owned(), "t1".to_owned()], Some(true)));
        let decided = ask!(app, post("/v1/reviews/t0", &eve, json!({"choice": "tie", "rationale": "late"}))).body;
        assert_eq!(decided["review"]["was_late"], true, "{decided}");
        assert_eq!(ask!(app, get("/v1/quality/errors", &eve)).body["overall"]["in_time"]["count"], 0);
        let wrong = ask!(app, get("/v1/reviews?state=lost", &eve));
        assert_eq!((wrong.status.as_u16(), ask!(app, get("/v1/reviews?cursor=nonsense", &eve)).code()), (422, "invalid_cursor"));
    }
}

#[actix_web::test]
async fn the_clock_stops_when_the_rater_takes_the_judgment_back() {
    let house = House::new(&[]);
    let app = app!(house);
    let (admin, expert, raters) = (house.admin(), house.person("eve", Role::Expert, true).await, two_raters(&house).await);
    let judged = escalated!(app, &admin, raters, "t1");
    let undo = format!("/v1/judgments/{}/undo", judged["judgment_id"].as_str().unwrap());
    assert_eq!(ask!(app, post(&undo, &raters[1], json!({}))).status, 200);
    assert_eq!(ask!(app, get("/v1/reviews/next", &expert)).reason(), "no_reviews");
    house.hand.advance(TimeDelta::minutes(3));
    judge!(app, &raters[1], "candidate_b", json!({"escalate": true, "escalation_reason": "still"}));
    let open = ask!(app, get("/v1/reviews/next", &expert)).body;
    assert_eq!(open["due_at"], "2096-01-16T12:03:00Z", "{open}");
    // A task that came by another way is in the queue all the same, and due as the others.
    let status = |c: &mut storage::connection::Connection| {
        storage::connection::execute(c, "UPDATE rating_tasks SET review_due_at = NULL, escalated_at = NULL WHERE task_id = 't1'")
    };
    house.state.storage.transaction(status).await.unwrap();
    let listed = ask!(app, get("/v1/reviews", &expert)).body;
    assert_eq!(listed["data"][0]["due_at"], "2096-01-16T12:03:00Z", "{listed}");
    // Somebody who judged it is given it last, when there is anything else.
    let judge_and_expert = house.sign("acc_rob", Role::Expert, Some(raters[1].rater_id.clone()), None);
    ask!(app, post("/v1/tasks", &admin, plan_task("t2", 3)));
    judge!(app, &raters[0], "tie", json!({"escalate": true, "escalation_reason": "look"}));
    assert_eq!(ask!(app, get("/v1/reviews/next", &judge_and_expert)).body["task"]["task_id"], "t2");
}

#[actix_web::test]
async fn a_candidate_is_promoted_dropped_and_retired_by_experts_only() {
    for house in House::everywhere(&[]) {
        let app = app!(house);
        let (admin, expert, raters) = (house.admin(), house.person("eve", Role::Expert, true).await, two_raters(&house).await);
        let stranger = house.sign("acc_x", Role::Analyst, None, Some("tnt-x"));
        for task_id in ["good", "doubtful", "changed"] {
            escalated!(app, &admin, raters, task_id);
            ask!(app, post(&format!("/v1/reviews/{task_id}/blind"), &expert, json!({"choice": "candidate_a", "confidence": 0.95})));
        }
        for (task_id, choice, class) in
            [("good", "candidate_a", "rater_error"), ("doubtful", "candidate_a", "genuinely_ambiguous"), ("changed", "tie", "no_error")]
        {
            let body = json!({"choice": choice, "rationale": "because", "error_class": class});
            let decided = ask!(app, post(&format!("/v1/reviews/{task_id}"), &expert, body)).body;
            assert_eq!(decided["golden_candidate"].is_object(), task_id == "good", "{}: {decided}", house.kind());
        }
        let listed = ask!(app, get("/v1/golden?state=candidate", &expert)).body;
        assert_eq!((listed["data"].as_array().unwrap().len(), listed["data"][0]["task_id"].as_str()), (1, Some("good")));
        assert_eq!(ask!(app, get("/v1/golden", &expert)).body["data"], json!([]), "a candidate is no golden item yet");
        let learner = house.person("lea", Role::Rater, false).await;
        assert_eq!(ask!(app, post("/v1/assignments/next", &learner, json!({}))).reason(), "no_tasks", "and given to nobody");

        for person in [&raters[0], &stranger] {
            for (path, body) in [("promote", json!({})), ("retire", json!({"reason": "x"}))] {
                assert_eq!(ask!(app, post(&format!("/v1/golden/good/{path}"), person, body)).status, 403);
            }
            assert_eq!(ask!(app, get("/v1/reviews", person)).status, 403);
            assert_eq!(ask!(app, get("/v1/reviews/good", person)).status, 403);
            assert_eq!(ask!(app, get("/v1/quality/errors", person)).status, 403);
        }
        assert_eq!(ask!(app, get("/v1/raters/me/answers", &stranger)).status, 403);
        let foreign = house.sign("acc_y", Role::Expert, None, Some("tnt-y"));
        assert_eq!(ask!(app, get("/v1/reviews/good", &foreign)).status, 404, "another tenant's expert");
        assert_eq!(ask!(app, post("/v1/golden/good/promote", &foreign, json!({}))).status, 404);

        assert_eq!(ask!(app, post("/v1/golden/nothing/promote", &expert, json!({}))).status, 404);
        assert_eq!(ask!(app, post("/v1/golden/good/promote", &expert, json!({"max_exposures": 0}))).status, 422);
        let promoted = ask!(app, post("/v1/golden/good/promote", &expert, json!({"difficulty": "easy", "max_exposures": 50}))).body;
        assert_eq!((promoted["state"].as_str(), promoted["max_exposures"].as_i64()), (Some("active"), Some(50)), "{promoted}");
        assert_eq!(ask!(app, post("/v1/golden/good/promote", &expert, json!({}))).code(), "already_exists");
        let held = ask!(app, post("/v1/assignments/next", &learner, json!({}))).body;
        assert_eq!(held["purpose"], "calibration", "{}", house.kind());
        assert_eq!(ask!(app, post("/v1/golden/good/retire", &expert, json!({"reason": " "}))).status, 422);
        let retired = ask!(app, post("/v1/golden/good/retire", &expert, json!({"reason": "talked about in the forum"}))).body;
        assert_eq!((retired["is_active"].as_bool(), retired["retire_reason"].as_str()), (Some(false), Some("talked about in the forum")));
        assert!(retired["retired_at"].is_string());
        assert_eq!(ask!(app, post("/v1/golden/good/retire", &expert, json!({"reason": "again"}))).code(), "transition_not_allowed");
        let fresh = house.person("fresh", Role::Rater, true).await;
        assert_eq!(ask!(app, post("/v1/assignments/next", &fresh, json!({}))).reason(), "no_tasks", "it does not become work again");
        let back = ask!(app, post("/v1/golden/good/promote", &expert, json!({}))).body;
        assert!(back["retired_at"].is_null() && back["retire_reason"].is_null() && back["difficulty_level"] == "easy", "{back}");
        let last = ["promoted", "retired", "promoted"].map(|what| format!("acc_eve golden_item.{what} task:good"));
        assert!(house.audited().await.ends_with(&last), "{}", house.kind());
    }
}

#[actix_web::test]
async fn agreement_is_given_with_n_or_with_the_reason_why_not() {
    let house = House::new(&[]);
    let app = app!(house);
    let admin = house.admin();
    let empty = ask!(app, get("/v1/quality/agreement", &admin)).body;
    assert!(empty["overall"]["krippendorff_alpha"]["value"].is_null());
    assert!(empty["overall"]["krippendorff_alpha"]["undefined_because"].is_string());
    let raters = [house.person("a", Role::Rater, true).await, house.person("b", Role::Rater, true).await];
    for (n, choice) in ["tie", "both_bad", "tie", "both_bad"].into_iter().enumerate() {
        ask!(app, post("/v1/tasks", &admin, plan_task(&format!("t{n}"), 2)));
        for rater in &raters {
            let held = ask!(app, post("/v1/assignments/next", rater, json!({}))).body;
            let path = format!("/v1/assignments/{}/judgment", held["assignment_id"].as_str().unwrap());
            assert_eq!(ask!(app, post(&path, rater, json!({"choice": choice, "confidence": 0.75}))).status, 201);
        }
    }
    let full = ask!(app, get("/v1/quality/agreement", &admin)).body;
    let alpha = &full["by_task_type"]["plan_quality"]["krippendorff_alpha"];
    assert_eq!(
        (alpha["value"].as_f64(), alpha["n_judgments"].as_u64(), full["window"]["judgments"].as_u64()),
        (Some(1.0), Some(8), Some(8))
    );
    assert_eq!(full["overall"]["percent"]["value"], 1.0);
    let rater = &raters[0];
    assert_eq!(ask!(app, get("/v1/quality/agreement", rater)).status, 403);
    assert_eq!(ask!(app, get(&format!("/v1/raters/{}/stats", raters[1].rater_id), rater)).status, 404, "another rater's figures");
}
