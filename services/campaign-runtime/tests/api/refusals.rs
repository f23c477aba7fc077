//! What must be refused when it is sent, because it could not be mended afterwards: keys that outlive their maker, observations that no
//! reading could use, comparisons that tell what is hidden. And what must not be refused: a plan, because of another campaign's size.

use actix_web::http::StatusCode;
use domain::scope::Scope;
use serde_json::{Value, json};
use storage::imports::{Compression, Format, Request, Table, load};

use crate::experiments::{ab, create, observe, results, sums, to};
use crate::{GROCER, OTHER, PLATFORM, bench, bench_on, call};

fn field(answer: &Value) -> Option<&str> {
    answer["errors"][0]["field"].as_str()
}

#[actix_web::test]
async fn a_key_made_by_a_key_ends_with_it() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        let ask = async |key: &str, expires_at: Value| {
            let body = json!({"name": "k", "role": "tenant_admin", "expires_at": expires_at});
            call(&app, key, "POST", "/v1/api-keys", Some(body)).await
        };
        let (_, short) = ask(OTHER, json!("2026-01-15T12:10:00Z")).await;
        let short = short["key"].as_str().unwrap();
        let (status, made) = ask(short, Value::Null).await;
        assert_eq!((status, made["expires_at"].as_str()), (StatusCode::CREATED, Some("2026-01-15T12:10:00Z")), "{made}");
        let child = made["key"].as_str().unwrap();
        for key in [short, child] {
            let (status, late) = ask(key, json!("2026-01-15T12:10:01Z")).await;
            assert_eq!((status, field(&late)), (StatusCode::UNPROCESSABLE_ENTITY, Some("expires_at")), "{late}");
            assert!(late["errors"][0]["message"].as_str().unwrap().contains("2026-01-15T12:10:00Z"), "{late}");
            assert_eq!(ask(key, json!("2026-01-15T12:10:00Z")).await.0, StatusCode::CREATED, "as long as its maker");
        }
        assert_eq!(ask(OTHER, Value::Null).await.1["expires_at"], Value::Null, "a key without an end gives keys without one");
        bench.hand.advance(chrono::TimeDelta::minutes(10));
        assert_eq!(call(&app, child, "GET", "/v1/campaigns", None).await.0, StatusCode::UNAUTHORIZED);
    }
}

#[actix_web::test]
async fn no_row_makes_a_running_experiment_unreadable() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        let unit = |name: &str| json!({"unit": name, "date": "2026-01-16", "value_sum": 1.0});
        let with = |name: &str, value: Value| {
            let mut row = sums("mailed", 1000.0, 50.0, "0");
            row[name] = value;
            row
        };
        for (id, first, second) in [
            ("exp-units", json!([unit("a"), unit("b")]), sums("control", 1000.0, 10.0, "0")),
            ("exp-sums", json!([sums("control", 1000.0, 10.0, "0"), sums("mailed", 1000.0, 12.0, "500.00")]), unit("a")),
        ] {
            create(&app, ab(id, "sequential")).await;
            to(&app, id, json!({"to": "running"})).await;
            let (status, both) = observe(&app, id, json!([first[0], second])).await;
            assert_eq!((status, field(&both)), (StatusCode::UNPROCESSABLE_ENTITY, Some("rows[1].unit")), "in one request: {both}");
            let (status, taken) = observe(&app, id, first).await;
            assert_eq!(status, StatusCode::OK, "{taken}");
            let (status, mixed) = observe(&app, id, json!([second])).await;
            assert_eq!((status, field(&mixed)), (StatusCode::UNPROCESSABLE_ENTITY, Some("rows[0].unit")), "with what is stored: {mixed}");
        }
        for (row, name) in [
            (with("value_sum_squares", json!(10.0)), "value_sum_squares"),
            (with("value_sum_squares", json!(-1.0)), "value_sum_squares"),
            (with("spend", json!("-0.01")), "spend"),
        ] {
            let (status, refused) = observe(&app, "exp-sums", json!([sums("control", 1000.0, 10.0, "0"), row])).await;
            let place = format!("rows[1].{name}");
            assert_eq!((status, field(&refused)), (StatusCode::UNPROCESSABLE_ENTITY, Some(place.as_str())), "{refused}");
        }
        let mut covered = sums("mailed", 1000.0, 50.0, "0");
        for (name, value) in [("covariate_sum", 1000.0), ("covariate_sum_squares", 999.0), ("cross_sum", 50_000.0)] {
            covered[name] = json!(value);
        }
        assert_eq!(field(&observe(&app, "exp-sums", json!([covered])).await.1), Some("rows[0].covariate_sum_squares"));
        covered["covariate_sum_squares"] = json!(1_100.0);
        assert_eq!(observe(&app, "exp-sums", json!([covered])).await.0, StatusCode::OK);
        covered["cross_sum"] = json!(60_000.0);
        assert_eq!(field(&observe(&app, "exp-sums", json!([covered])).await.1), Some("rows[0].cross_sum"));
        // Units that are all alike are no error.
        let alike = with("value_sum_squares", json!(2_500_000.0));
        assert_eq!(observe(&app, "exp-sums", json!([alike])).await.0, StatusCode::OK);
        let (status, read) = results(&app, "exp-sums").await;
        assert_eq!(status, StatusCode::OK, "{read}");
    }
}

#[actix_web::test]
async fn periods_that_overlap_are_not_compared() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let ask = async |query: &str| call(&app, GROCER, "GET", &format!("/v1/analytics/performance?{query}"), None).await;
    for (now, then) in [
        ("from=2025-01-01&to=2025-01-02", "compare_from=2025-01-02&compare_to=2025-01-02"),
        ("from=2025-01-01&to=2025-01-31", "compare_from=2024-12-01&compare_to=2025-01-01"),
        ("from=2025-01-05&to=2025-01-06", "compare_from=2025-01-01&compare_to=2025-01-31"),
    ] {
        let (status, refused) = ask(&format!("{now}&{then}")).await;
        assert_eq!((status, field(&refused)), (StatusCode::UNPROCESSABLE_ENTITY, Some("compare_from")), "{now} and {then}: {refused}");
        assert!(refused["errors"][0]["message"].as_str().unwrap().contains("no day in common"), "{refused}");
    }
    for then in ["compare_from=2024-12-31&compare_to=2024-12-31", "compare_from=2025-01-03&compare_to=2025-01-04"] {
        let (status, answer) = ask(&format!("from=2025-01-01&to=2025-01-02&{then}")).await;
        assert_eq!(status, StatusCode::OK, "{then}: {answer}");
    }
}

#[actix_web::test]
async fn pacing_looks_at_the_retailers_yesterday() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        for (retailer, zone) in [("rtl-east", "Pacific/Kiritimati"), ("rtl-west", "Pacific/Pago_Pago")] {
            let body = json!({"retailer_id": retailer, "name": retailer, "timezone": zone});
            assert_eq!(call(&app, PLATFORM, "POST", "/v1/retailers", Some(body)).await.0, StatusCode::CREATED);
            let body = json!({"campaign_id": retailer, "retailer_id": retailer, "name": "Spring", "currency": "USD",
                "start_date": "2026-01-10", "end_date": "2026-01-20", "total_budget": "1000"});
            let (status, made) = call(&app, GROCER, "POST", "/v1/campaigns", Some(body)).await;
            assert_eq!(status, StatusCode::CREATED, "{made}");
            let row = |date: &str| json!({"date": date, "placement_type": "search", "audience_segment": "all", "spend": "10.00"});
            let rows = json!({"rows": [row("2026-01-13"), row("2026-01-14"), row("2026-01-15")]});
            let (status, sent) = call(&app, GROCER, "POST", &format!("/v1/campaigns/{retailer}/performance"), Some(rows)).await;
            assert_eq!(status, StatusCode::OK, "{sent}");
        }
        // At 10:59Z of the 15th the 16th has begun in Kiritimati, and in Pago Pago the 14th is not over.
        bench.hand.advance(chrono::TimeDelta::minutes(-61));
        let (_, all) = call(&app, GROCER, "GET", "/v1/analytics/pacing", None).await;
        for (retailer, day, spend) in [("rtl-east", "2026-01-15", "30.000000"), ("rtl-west", "2026-01-13", "10.000000")] {
            let (_, one) = call(&app, GROCER, "GET", &format!("/v1/campaigns/{retailer}/pacing"), None).await;
            assert_eq!((one["as_of"].as_str(), one["spend"]["amount"].as_str()), (Some(day), Some(spend)), "{one}");
            let listed = all["data"].as_array().unwrap().iter().find(|row| row["campaign_id"] == retailer);
            assert_eq!(listed, Some(&one), "the list says the same");
            let (_, asked) = call(&app, GROCER, "GET", &format!("/v1/campaigns/{retailer}/pacing?as_of=2026-01-14"), None).await;
            assert_eq!(asked["as_of"], "2026-01-14");
        }
    }
}

#[actix_web::test]
async fn a_long_history_of_one_campaign_lets_its_siblings_plan() {
    let bench = bench(None).await;
    let app = bench.app().await;
    for id in ["big", "fresh"] {
        let body = json!({"campaign_id": id, "retailer_id": "rtl-grocer-cj", "name": id, "currency": "USD"});
        assert_eq!(call(&app, GROCER, "POST", "/v1/campaigns", Some(body)).await.0, StatusCode::CREATED);
    }
    let first = chrono::NaiveDate::from_ymd_opt(2018, 1, 1).unwrap();
    let mut csv =
        "date,retailer_id,campaign_id,placement_type,audience_segment_id,impressions,conversions,spend,revenue,currency\n".to_owned();
    for week in 0..410_u64 {
        let day = first + chrono::Days::new(week * 7);
        for audience in 0..26_u64 {
            let spend = 20 + (week * 7 + audience * 3) % 50;
            csv += &format!("{day},rtl-grocer-cj,big,search,aud-{audience},1000,5,{spend}.00,{}.00,USD\n", spend * 3);
        }
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), csv).unwrap();
    let request = Request::new(Table::Performance, file.path().to_owned(), Format::Csv, Compression::None);
    let summary = load(&mut bench.database.connect(), &Scope::system("test"), &request, bench.state.clock.now(), &|_| {}).unwrap();
    assert!(summary.is_kept, "{summary:?}");
    let body = json!({"total_budget": {"amount": "1000", "currency": "USD"}, "ask_people": "never"});
    let (status, planned) = call(&app, GROCER, "POST", "/v1/campaigns/fresh/plans", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{planned}");
    let (_, logs) = call(&app, GROCER, "GET", "/v1/reflection-logs", None).await;
    let risks: Vec<&Value> = logs["data"].as_array().unwrap().iter().flat_map(|log| log["risk_factors"].as_array().unwrap()).collect();
    assert!(risks.iter().any(|risk| risk.as_str().unwrap().contains("weeks before 2021-11-15 were left out")), "{risks:?}");
}
