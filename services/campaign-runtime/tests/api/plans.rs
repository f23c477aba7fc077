//! Plans are made with the other services down; with a model the clear winner is chosen; people settle a close call.

use actix_web::http::StatusCode;
use campaign_runtime::jobs;
use serde_json::{Value, json};
use storage::consensus::{self, NewConsensus};
use storage::outbox::{self, Destination};

use crate::{Bench, GROCER, bench, call, peers};

/// Two placements with ten weeks of spend and revenue.
pub async fn with_history(bench: &Bench) -> &'static str {
    let app = bench.app().await;
    let mut rows = Vec::new();
    for week in 0..10_u32 {
        let day = chrono::NaiveDate::from_ymd_opt(2017, 1, 2).unwrap() + chrono::Days::new(u64::from(week) * 7);
        for (placement, factor) in [("search", 40.0), ("display", 25.0), ("mailer", 15.0)] {
            let spend = f64::from(20 + week * 15);
            let revenue = factor * spend.sqrt();
            rows.push(json!({"date": day, "placement_type": placement, "audience_segment": "all", "impressions": 1000 * (week + 1),
                "conversions": week + 3, "spend": format!("{spend:.2}"), "revenue": format!("{revenue:.2}")}));
        }
    }
    let body = json!({"campaign_id": "c1", "retailer_id": "rtl-grocer-cj", "name": "Spring", "currency": "USD"});
    assert_eq!(call(&app, GROCER, "POST", "/v1/campaigns", Some(body)).await.0, StatusCode::CREATED);
    let (status, answer) = call(&app, GROCER, "POST", "/v1/campaigns/c1/performance", Some(json!({"rows": rows}))).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    "/v1/campaigns/c1/plans"
}

#[actix_web::test]
async fn plans_are_made_while_the_other_services_are_down() {
    let bench = bench(None).await;
    let path = with_history(&bench).await;
    let app = bench.app().await;
    let (status, missing) = call(&app, GROCER, "POST", path, Some(json!({}))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(missing["detail"].as_str().unwrap().contains("state a budget"), "{missing}");
    let body = json!({"total_budget": {"amount": "1000", "currency": "USD"}, "ask_people": "always"});
    let (status, answer) = call(&app, GROCER, "POST", path, Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let decision = &answer["decision"];
    assert_eq!((decision["kind"].as_str(), decision["basis"].as_str()), (Some("queued_for_people"), Some("expected_outcome")));
    assert!(decision["fallback_reason"].as_str().unwrap().contains("rlhf-backend"));
    let plans = answer["plans"].as_array().unwrap();
    assert!(plans.len() >= 2);
    for plan in plans {
        let spent: i64 = plan["allocation"].as_array().unwrap().iter().map(|line| micros(&line["spend"])).sum();
        assert_eq!(spent + micros(&plan["unallocated"]), 1_000_000_000, "the plan adds up to the budget");
        assert!(plan["checks"].as_array().unwrap().iter().all(|check| check["passed"] == true));
        assert!(!plan["judged_form"].to_string().contains(plan["strategy"].as_str().unwrap()), "raters are not told the strategy");
    }
    let waiting = bench.state.storage.read(|conn| outbox::waiting(conn, Destination::RaterApp)).await.unwrap();
    assert_eq!(waiting, 1, "the task waits for the rater app");
    let (_, logs) =
        call(&app, GROCER, "GET", &format!("/v1/reflection-logs?session_id={}", answer["plan_set_id"].as_str().unwrap()), None).await;
    assert_eq!(logs["data"].as_array().unwrap().len(), 2);
    let chosen = plans[0]["plan_id"].as_str().unwrap();
    let (status, _) = call(&app, GROCER, "POST", &format!("{path}/{chosen}/choose"), Some(json!({"reason": "we know this one"}))).await;
    assert_eq!(status, StatusCode::OK);
    let (_, sets) = call(&app, GROCER, "GET", path, None).await;
    assert_eq!(sets["data"][0]["plans"][0]["status"], "chosen");
}

fn micros(money: &Value) -> i64 {
    domain::money::parse_micros("money", money["amount"].as_str().unwrap()).unwrap()
}

#[actix_web::test]
async fn what_cannot_be_planned_is_explained() {
    let bench = bench(None).await;
    let path = with_history(&bench).await;
    let app = bench.app().await;
    let all = json!({"total_budget": "1000", "constraints": {"excluded_placements": ["search", "display", "mailer"]}});
    let (status, answer) = call(&app, GROCER, "POST", path, Some(all)).await;
    assert_eq!((status, answer["code"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("infeasible")), "{answer}");
    let (status, answer) = call(&app, GROCER, "POST", path, Some(json!({"total_budget": "10", "constraints": {"colour": 1}}))).await;
    assert_eq!((status, answer["errors"][0]["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("constraints.colour")));
    let (status, answer) = call(
        &app,
        crate::OTHER,
        "POST",
        "/v1/campaigns",
        Some(json!({"campaign_id": "c2", "retailer_id": "rtl-grocer-cj", "name": "New"})),
    )
    .await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let body = json!({"total_budget": {"amount": "10", "currency": "USD"}});
    let (status, answer) = call(&app, crate::OTHER, "POST", "/v1/campaigns/c2/plans", Some(body)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer["detail"].as_str().unwrap().contains("spend and revenue"), "{answer}");
}

#[actix_web::test]
async fn a_clear_winner_of_the_model_is_chosen_at_once() {
    let mut bench = bench(None).await;
    let address = peers::start(bench.state.storage.clone(), 0.95);
    bench.connect(&address);
    let path = with_history(&bench).await;
    let app = bench.app().await;
    let body = json!({"total_budget": "1000", "candidates": 2});
    let (status, answer) = call(&app, GROCER, "POST", path, Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let decision = &answer["decision"];
    assert_eq!(
        (decision["kind"].as_str(), decision["basis"].as_str(), decision["close_call"].as_bool()),
        (Some("chosen"), Some("reward_model"), Some(false))
    );
    let last = answer["plans"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (last["status"].as_str(), &last["plan_id"], last["win_probability"].as_f64()),
        (Some("chosen"), &decision["plan_id"], Some(0.95))
    );
    let (_, campaign) = call(&app, GROCER, "GET", "/v1/campaigns/c1", None).await;
    assert_eq!(campaign["allocated_budget"]["plan_id"], decision["plan_id"]);
}

#[actix_web::test]
async fn people_settle_a_close_call_once() {
    let mut bench = bench(None).await;
    let address = peers::start(bench.state.storage.clone(), 0.52);
    bench.connect(&address);
    let path = with_history(&bench).await;
    let app = bench.app().await;
    let (_, answer) = call(&app, GROCER, "POST", path, Some(json!({"total_budget": "1000", "candidates": 2}))).await;
    assert_eq!(
        (answer["decision"]["kind"].as_str(), answer["decision"]["close_call"].as_bool()),
        (Some("asked_people"), Some(true)),
        "{answer}"
    );
    assert_eq!(jobs::settle(&bench.state).await.unwrap(), 0, "nobody has judged yet");
    let task_id = answer["decision"]["task_id"].as_str().unwrap().to_owned();
    let now = bench.hand.now();
    let found = NewConsensus {
        task_id,
        choice: Some("candidate_a".into()),
        posterior: Some(0.97),
        posteriors: json!({}),
        method: "majority".into(),
        judgments_count: 3,
        agreement: Some(1.0),
        is_final: true,
        decided_by: None,
        rationale: None,
    };
    bench.state.storage.transaction(move |conn| consensus::save(conn, &found, now).map(drop)).await.unwrap();
    assert_eq!(jobs::settle(&bench.state).await.unwrap(), 1);
    assert_eq!(jobs::settle(&bench.state).await.unwrap(), 0, "once");
    let (_, sets) = call(&app, GROCER, "GET", path, None).await;
    let plans = sets["data"][0]["plans"].as_array().unwrap();
    let winner = plans.iter().find(|plan| plan["judged_as"] == "candidate_a").unwrap();
    assert_eq!((winner["status"].as_str(), winner["decided_by"].as_str()), (Some("chosen"), Some("people")), "{winner}");
    assert!(plans.iter().filter(|plan| plan["judged_as"] == "candidate_b").all(|plan| plan["status"] == "rejected"));
}

/// Software decides, a person overrules it with a reason, and what was before is kept.
#[actix_web::test]
async fn a_person_overrules_a_decision_with_a_reason() {
    let bench = bench(None).await;
    let path = with_history(&bench).await;
    let app = bench.app().await;
    let body = json!({"total_budget": "1000", "ask_people": "never", "seed": 7, "constraints": {
        "step": "10", "experiment_reserve_share": 0.1, "min_share_per_placement": {"mailer": 0.2}}});
    let (status, answer) = call(&app, GROCER, "POST", path, Some(body.clone())).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    assert_eq!(answer["request"]["experiment_reserve"]["amount"], "100.000000");
    assert_eq!((answer["request"]["seed"].as_i64(), &answer["request"]["constraint_sources"]["step"]), (Some(7), &json!("request")));
    let plans = answer["plans"].as_array().unwrap();
    for plan in plans {
        assert!(plan["allocation"].as_array().unwrap().iter().all(|line| micros(&line["spend"]) % 10_000_000 == 0), "{plan}");
        let mailer: i64 = plan["allocation"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|line| line["placement_type"] == "mailer")
            .map(|line| micros(&line["spend"]))
            .sum();
        assert!(mailer >= 180_000_000, "a fifth of what is distributed");
        assert!(plan["present"]["source"].as_str().unwrap().contains("last 4 measured weeks"), "{plan}");
        assert!(!plan["risk_factors"].as_array().unwrap().is_empty() && plan["expected"]["revenue_interval"]["low"].is_object());
    }
    let (_, again) = call(&app, GROCER, "POST", path, Some(body)).await;
    let spends =
        |answer: &Value| answer["plans"].as_array().unwrap().iter().map(|plan| plan["allocation"][0]["spend"].clone()).collect::<Vec<_>>();
    assert_eq!(spends(&answer).len(), spends(&again).len());
    let chosen = again["decision"]["plan_id"].as_str().unwrap();
    let other = again["plans"].as_array().unwrap().iter().map(|plan| plan["plan_id"].as_str().unwrap()).find(|id| *id != chosen).unwrap();
    let (status, _) = call(&app, GROCER, "POST", &format!("{path}/{other}/choose"), Some(json!({"reason": "the store opens late"}))).await;
    assert_eq!(status, StatusCode::OK);
    let (_, campaign) = call(&app, GROCER, "GET", "/v1/campaigns/c1", None).await;
    assert_eq!(campaign["allocated_budget"]["plan_id"], other);
    let set = again["plan_set_id"].as_str().unwrap();
    let (_, logs) = call(&app, GROCER, "GET", &format!("/v1/reflection-logs?session_id={set}"), None).await;
    let overruled = logs["data"].as_array().unwrap().iter().find(|log| log["decision"]["kind"] == "overruled").unwrap();
    assert_eq!(
        (&overruled["decision"]["before"]["plan_id"], &overruled["decision_rationale"]),
        (&json!(chosen), &json!("the store opens late"))
    );
    let older = plans[0]["plan_id"].as_str().unwrap();
    let older = if plans[0]["status"] == "chosen" { plans[1]["plan_id"].as_str().unwrap() } else { older };
    let (status, _) = call(&app, GROCER, "POST", &format!("{path}/{older}/choose"), Some(json!({"reason": "the old set"}))).await;
    assert_eq!(status, StatusCode::CONFLICT, "a newer set was decided");
}

/// Revenue of products that cannot be sold is out of reach, and a line without any other product gets nothing.
#[actix_web::test]
async fn products_out_of_stock_do_not_count() {
    let bench = bench(None).await;
    let path = with_history(&bench).await;
    let app = bench.app().await;
    let sku = json!({"sku_id": "gone", "retailer_id": "rtl-grocer-cj", "name": "Gone", "is_in_stock": false});
    let (status, answer) = call(&app, GROCER, "POST", "/v1/skus", Some(sku)).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let rows: Vec<Value> = (0..10).map(|week| json!({"date": chrono::NaiveDate::from_ymd_opt(2017, 1, 2).unwrap() + chrono::Days::new(week * 7),
        "placement_type": "banner", "audience_segment": "all", "sku_id": "gone", "spend": format!("{}.00", 20 + week * 15), "revenue": "9000.00"})).collect();
    let (status, answer) = call(&app, GROCER, "POST", "/v1/campaigns/c1/performance", Some(json!({"rows": rows}))).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let (status, answer) = call(&app, GROCER, "POST", path, Some(json!({"total_budget": "1000", "seed": 1}))).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    for plan in answer["plans"].as_array().unwrap() {
        assert!(plan["allocation"].as_array().unwrap().iter().all(|line| line["placement_type"] != "banner"), "{plan}");
        assert_eq!(plan["closed"][0]["arm_id"], "banner/all");
        assert!(plan["closed"][0]["reason"].as_str().unwrap().contains("gone (out of stock)"), "{}", plan["closed"]);
    }
}

/// Puts the campaign of [`with_history`] into its last state but one: an import says what is the case at the retailer.
async fn complete(bench: &Bench) {
    let app = bench.app().await;
    let csv =
        "campaign_id,retailer_id,name,status,start_date,end_date,currency\nc1,rtl-grocer-cj,Spring,completed,2017-01-02,2017-03-12,USD\n";
    let request = actix_web::test::TestRequest::post().uri("/v1/imports/campaigns").insert_header(("apikey", GROCER));
    let (status, text) = crate::send(&app, request.insert_header(("content-type", "text/csv")).set_payload(csv)).await;
    assert!(status.is_success() && text.contains("\"updated\":1"), "{status} {text}");
}

/// Plans for a campaign that is over are for study: nothing of it changes, by software, by people or by one person.
#[actix_web::test]
async fn nothing_is_chosen_for_a_campaign_that_is_over() {
    for database in testkit::database::all() {
        let bench = crate::bench_on(database, None).await;
        let path = with_history(&bench).await;
        complete(&bench).await;
        let app = bench.app().await;
        let (_, before) = call(&app, GROCER, "GET", "/v1/campaigns/c1", None).await;
        assert_eq!(before["status"], "completed");
        let body = json!({"total_budget": "1000", "ask_people": "never"});
        let (status, made) = call(&app, GROCER, "POST", path, Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let decision = &made["decision"];
        assert_eq!((decision["kind"].as_str(), decision["is_applied"].as_bool()), (Some("recommended"), Some(false)), "{decision}");
        let reason = decision["reason"].as_str().unwrap();
        assert!(reason.contains("completed") && reason.contains("/clone") && !reason.contains("is chosen:"), "{reason}");
        assert!(made["plans"].as_array().unwrap().iter().any(|plan| plan["plan_id"] == decision["plan_id"]), "it says which is best");
        assert!(made["plans"].as_array().unwrap().iter().all(|plan| plan["status"] == "candidate"), "{}", made["plans"]);
        let (_, after) = call(&app, GROCER, "GET", "/v1/campaigns/c1", None).await;
        assert_eq!((&after["version"], &after["allocated_budget"]), (&before["version"], &json!(null)), "the campaign stays as it is");

        let chosen = made["decision"]["plan_id"].as_str().unwrap();
        let (status, refused) = call(&app, GROCER, "POST", &format!("{path}/{chosen}/choose"), Some(json!({"reason": "mine"}))).await;
        assert_eq!((status, refused["code"].as_str()), (StatusCode::CONFLICT, Some("conflict")), "{refused}");
        assert!(refused["detail"].as_str().unwrap().contains("/clone"), "{refused}");
        let page = actix_web::test::TestRequest::get().uri("/campaigns/c1/plans").insert_header(("apikey", GROCER));
        let (_, text) = crate::send(&app, page).await;
        assert!(text.contains("plans are for study") && !text.contains("data-choose=\"pln"), "{text}");

        // The way that the answer names leads on.
        let (status, copy) = call(&app, GROCER, "POST", "/v1/campaigns/c1/clone", Some(json!({"campaign_id": "c1-next"}))).await;
        assert_eq!(status, StatusCode::CREATED, "{copy}");
        let body = json!({"total_budget": "1000", "ask_people": "never"});
        let (_, next) = call(&app, GROCER, "POST", "/v1/campaigns/c1-next/plans", Some(body)).await;
        assert_eq!((next["decision"]["kind"].as_str(), next["decision"]["is_applied"].as_bool()), (Some("chosen"), Some(true)), "{next}");
        let (_, copy) = call(&app, GROCER, "GET", "/v1/campaigns/c1-next", None).await;
        assert_eq!(copy["allocated_budget"]["plan_id"], next["decision"]["plan_id"]);
    }
}

#[actix_web::test]
async fn what_people_prefer_for_a_campaign_that_is_over_is_kept_and_not_applied() {
    let mut bench = bench(None).await;
    let address = peers::start(bench.state.storage.clone(), 0.52);
    bench.connect(&address);
    let path = with_history(&bench).await;
    let app = bench.app().await;
    // Asked while it was a draft, answered when it is over.
    let (_, made) = call(&app, GROCER, "POST", path, Some(json!({"total_budget": "1000", "candidates": 2}))).await;
    assert_eq!(made["decision"]["kind"], "asked_people", "{made}");
    complete(&bench).await;
    let found = NewConsensus {
        task_id: made["decision"]["task_id"].as_str().unwrap().to_owned(),
        choice: Some("candidate_a".into()),
        posterior: Some(0.97),
        posteriors: json!({}),
        method: "majority".into(),
        judgments_count: 3,
        agreement: Some(1.0),
        is_final: true,
        decided_by: None,
        rationale: None,
    };
    let now = bench.hand.now();
    bench.state.storage.transaction(move |conn| consensus::save(conn, &found, now).map(drop)).await.unwrap();
    assert_eq!((jobs::settle(&bench.state).await.unwrap(), jobs::settle(&bench.state).await.unwrap()), (1, 0), "once");
    let (_, sets) = call(&app, GROCER, "GET", path, None).await;
    for plan in sets["data"][0]["plans"].as_array().unwrap() {
        let reason = plan["choice_reason"].as_str().unwrap();
        assert_eq!((plan["status"].as_str(), plan["decided_by"].as_str()), (Some("candidate"), Some("people")), "{plan}");
        assert!(reason.contains("People prefer") && reason.contains("completed"), "{reason}");
    }
    let (_, campaign) = call(&app, GROCER, "GET", "/v1/campaigns/c1", None).await;
    assert_eq!(campaign["allocated_budget"], json!(null), "{campaign}");
}

#[actix_web::test]
async fn a_plan_without_spend_is_refused_and_a_name_that_is_no_limit_is_said() {
    let bench = bench(None).await;
    let path = with_history(&bench).await;
    let app = bench.app().await;
    let constraints = json!({"constraints": {"min_roass": 5, "max_share_per_arm": 0.9}});
    assert_eq!(call(&app, GROCER, "PATCH", "/v1/campaigns/c1", Some(constraints)).await.0, StatusCode::OK);
    let (status, answer) = call(&app, GROCER, "POST", path, Some(json!({"total_budget": "1000", "ask_people": "never"}))).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let sources = &answer["request"]["constraint_sources"];
    assert_eq!((&sources["max_share_per_arm"], &sources["min_roass"]), (&json!("campaign"), &json!("campaign, not a limit of plans")));
    let out_of_reach = json!({"total_budget": "1000", "ask_people": "never", "constraints": {"min_roas": 5000}});
    let (status, answer) = call(&app, GROCER, "POST", path, Some(out_of_reach)).await;
    assert_eq!((status, answer["code"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("infeasible")), "{answer}");
    assert!(answer["conflict"].as_array().unwrap().iter().any(|limit| limit.as_str().unwrap().starts_with("min_roas")), "{answer}");
}
