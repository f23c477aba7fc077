//! What keeps a reading honest: a fixed design is read once, days outside of the experiment do not count, wrong counts carry no verdict.

use actix_web::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::experiments::{ab, create, observe, results, sums, to};
use crate::{GROCER, PLATFORM, bench_on, call};

const UNPROCESSABLE: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

fn planned(id: &str, analysis: &str, end: &str) -> Value {
    let mut body = ab(id, analysis);
    body["definition"]["design"]["planned_end"] = json!(end);
    body
}

#[actix_web::test]
async fn an_experiment_whose_planned_end_is_over_cannot_be_started() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        for analysis in ["fixed", "sequential"] {
            create(&app, planned(analysis, analysis, "2026-01-14")).await;
            let (status, refused) = to(&app, analysis, json!({"to": "running"})).await;
            let (field, said) = (&refused["errors"][0]["field"], refused["errors"][0]["message"].as_str().unwrap_or_default());
            assert_eq!((status, field), (UNPROCESSABLE, &json!("definition.design.planned_end")), "{refused}");
            assert!(said.contains("2026-01-14") && said.contains("PATCH"), "it says which day and what to do: {said}");
            let path = format!("/v1/experiments/{analysis}");
            assert_eq!(call(&app, GROCER, "GET", &path, None).await.1["status"], "draft", "nothing of it is kept");
            // What it says helps: another last day, and it starts. Today is still to come.
            let later = json!({"definition": planned("x", analysis, "2026-01-15")["definition"]});
            assert_eq!(call(&app, GROCER, "PATCH", &path, Some(later)).await.0, StatusCode::OK);
            assert_eq!(to(&app, analysis, json!({"to": "running"})).await.0, StatusCode::OK);
        }
    }
}

#[actix_web::test]
async fn a_fixed_design_is_read_once_and_what_was_read_stays() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        create(&app, ab("exp-1", "fixed")).await;
        to(&app, "exp-1", json!({"to": "running"})).await;
        observe(&app, "exp-1", json!([sums("control", 1000.0, 10.0, "0"), sums("mailed", 1000.0, 12.0, "500.00")])).await;
        bench.hand.advance(TimeDelta::hours(132));
        let page = "/campaigns/cmp-mailer";
        let request = || actix_web::test::TestRequest::get().uri(page).insert_header(("apikey", GROCER));
        let (_, unread) = crate::send(&app, request()).await;
        assert!(unread.contains("is read once") && !unread.contains("+20.0 %"), "looking at a page is no reading: {unread}");
        // Late rows are taken until somebody has read.
        let late =
            json!([{"arm": "mailed", "date": "2026-01-20", "n": 10, "value_sum": 120.0, "value_sum_squares": 1500.0, "spend": "5.00"}]);
        assert_eq!(observe(&app, "exp-1", late.clone()).await.0, StatusCode::OK);

        let (status, first) = results(&app, "exp-1").await;
        assert_eq!(
            (status, first["observations"].as_i64(), first["is_stored"].as_bool()),
            (StatusCode::OK, Some(3), Some(true)),
            "{first}"
        );
        assert_eq!(first["read_at"], "2026-01-21T00:00:00Z", "{first}");
        bench.hand.advance(TimeDelta::hours(1));
        let mut more = late;
        more[0]["date"] = json!("2026-01-19");
        let (status, refused) = observe(&app, "exp-1", more).await;
        assert_eq!((status, refused["code"].as_str()), (StatusCode::CONFLICT, Some("already_read")), "{refused}");
        let said = refused["detail"].as_str().unwrap();
        assert!(said.contains("2026-01-21T00:00:00Z") && said.contains("3 rows"), "{said}");
        assert_eq!(results(&app, "exp-1").await, (StatusCode::OK, first.clone()), "the same answer every time");
        let (_, shown) = call(&app, GROCER, "GET", "/v1/experiments/exp-1", None).await;
        assert_eq!((&shown["status"], &shown["inputs_hash"]), (&json!("running"), &first["inputs_hash"]), "{shown}");
        let (_, read) = crate::send(&app, request()).await;
        assert!(read.contains("+20.0 %") && read.contains("Read once"), "{read}");

        let (status, concluded) = to(&app, "exp-1", json!({"to": "concluded"})).await;
        assert_eq!((status, &concluded["inputs_hash"]), (StatusCode::OK, &first["inputs_hash"]), "{concluded}");
        assert_eq!(results(&app, "exp-1").await, (StatusCode::OK, first), "concluding does not read again");
    }
}

#[actix_web::test]
async fn what_was_read_is_not_lost_when_the_experiment_is_abandoned() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        create(&app, ab("exp-1", "fixed")).await;
        to(&app, "exp-1", json!({"to": "running"})).await;
        observe(&app, "exp-1", json!([sums("control", 1000.0, 10.0, "0"), sums("mailed", 1000.0, 12.0, "500.00")])).await;
        bench.hand.advance(TimeDelta::hours(132));
        let (_, first) = results(&app, "exp-1").await;
        assert_eq!(to(&app, "exp-1", json!({"to": "concluded", "abandon": true, "reason": "wrong list"})).await.0, StatusCode::OK);
        assert_eq!(results(&app, "exp-1").await.1["inputs_hash"], first["inputs_hash"], "an unwelcome reading cannot be unmade");
        let mut conn = bench.database.connect();
        let scope = domain::scope::Scope::system("test");
        let campaign = storage::campaigns::find(&mut conn, &scope, "cmp-mailer").unwrap();
        assert!(storage::calibrations::for_campaign(&mut conn, &scope, campaign.id).unwrap().is_empty(), "and calibrates nothing");
    }
}

#[actix_web::test]
async fn days_outside_of_the_experiment_are_refused_by_row() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        let on = |day: &str| {
            let mut row = sums("control", 1000.0, 10.0, "0");
            row["date"] = json!(day);
            row
        };
        for analysis in ["fixed", "sequential"] {
            create(&app, ab(analysis, analysis)).await;
            to(&app, analysis, json!({"to": "running"})).await;
            let (status, refused) = observe(&app, analysis, json!([on("2026-01-15"), on("2026-01-14"), on("2026-01-21")])).await;
            assert_eq!(status, UNPROCESSABLE, "{refused}");
            let errors: Vec<(&str, &str)> = refused["errors"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| (one["field"].as_str().unwrap(), one["message"].as_str().unwrap()))
                .collect();
            assert_eq!(errors.iter().map(|one| one.0).collect::<Vec<_>>(), ["rows[1].date", "rows[2].date"], "{refused}");
            assert!(errors[0].1.contains("2026-01-15") && errors[1].1.contains("2026-01-20"), "they say when it began and ends: {refused}");
            let (status, taken) = observe(&app, analysis, json!([on("2026-01-15"), on("2026-01-20")])).await;
            assert_eq!(
                (status, taken["inserted"].as_i64()),
                (StatusCode::OK, Some(2)),
                "first and last day count, nothing was kept before"
            );
        }
        // A geo test has a period before; what lies in neither is refused.
        let geo = json!({
            "experiment_id": "geo-1", "name": "Geo",
            "definition": {
                "metric": {"name": "orders", "kind": "mean"}, "control_definition": "other towns",
                "design": {"kind": "geo", "treatment": ["a"], "control": ["b", "c"], "pre_start": "2025-12-01", "pre_end": "2026-01-10",
                    "post_start": "2026-01-16", "post_end": "2026-01-25"}
            }
        });
        create(&app, geo).await;
        to(&app, "geo-1", json!({"to": "running"})).await;
        let town = |day: &str| json!({"unit": "a", "date": day, "value_sum": 1.0});
        let (status, refused) = observe(&app, "geo-1", json!([town("2025-11-30"), town("2026-01-12"), town("2026-01-26")])).await;
        let fields: Vec<&str> = refused["errors"].as_array().unwrap().iter().map(|one| one["field"].as_str().unwrap()).collect();
        assert_eq!((status, fields), (UNPROCESSABLE, vec!["rows[0].date", "rows[1].date", "rows[2].date"]), "{refused}");
        assert_eq!(observe(&app, "geo-1", json!([town("2025-12-01"), town("2026-01-25")])).await.0, StatusCode::OK);
    }
}

#[actix_web::test]
async fn wrong_counts_withhold_every_verdict_and_say_why() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        create(&app, ab("exp-1", "sequential")).await;
        to(&app, "exp-1", json!({"to": "running"})).await;
        observe(&app, "exp-1", json!([sums("control", 1300.0, 10.0, "0"), sums("mailed", 1000.0, 12.0, "500.00")])).await;
        let (_, read) = results(&app, "exp-1").await;
        let one = &read["readout"]["comparisons"][0];
        assert_eq!((&read["is_significant"], &one["is_significant"]), (&json!(false), &json!(false)), "{read}");
        assert_eq!(
            (&read["is_significant_reason"], &one["is_significant_reason"]),
            (&json!("sample_ratio_mismatch"), &json!("sample_ratio_mismatch")),
            "{read}"
        );
        observe(&app, "exp-1", json!([sums("control", 1000.0, 10.0, "0")])).await;
        let (_, right) = results(&app, "exp-1").await;
        let one = &right["readout"]["comparisons"][0];
        assert_eq!((&one["is_significant"], &one["is_significant_reason"]), (&json!(true), &json!(null)), "{right}");
        assert_eq!(call(&app, PLATFORM, "GET", "/v1/experiments/exp-1/results", None).await.1["is_stored"], json!(false), "any time");
    }
}

#[actix_web::test]
async fn a_key_that_only_looks_does_not_close_an_experiment() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        create(&app, ab("exp-1", "fixed")).await;
        to(&app, "exp-1", json!({"to": "running"})).await;
        observe(&app, "exp-1", json!([sums("control", 1000.0, 10.0, "0"), sums("mailed", 1000.0, 12.0, "500.00")])).await;
        bench.hand.advance(TimeDelta::hours(132));
        let narrow = json!({"name": "dashboard", "role": "analyst", "tenant_id": "rtl-grocer-cj", "scopes": ["experiments:read"]});
        let (status, made) = call(&app, PLATFORM, "POST", "/v1/api-keys", Some(narrow)).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let key = made["key"].as_str().unwrap();
        let look = async || call(&app, key, "GET", "/v1/experiments/exp-1/results", None).await;
        let (status, refused) = look().await;
        assert_eq!(
            (status, &refused["code"], &refused["scope"]),
            (StatusCode::FORBIDDEN, &json!("scope_missing"), &json!("experiments:write"))
        );
        let (_, shown) = call(&app, GROCER, "GET", "/v1/experiments/exp-1", None).await;
        assert_eq!(shown["read_at"], json!(null), "nothing was read: {shown}");
        let (_, first) = results(&app, "exp-1").await;
        assert_eq!(look().await, (StatusCode::OK, first), "what somebody has read may be looked at");
    }
}
