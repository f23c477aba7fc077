//! Analytics as its callers see it: apart by currency and attribution, small groups hidden, ranked, compared, as it was, in every format.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use crate::{GROCER, OTHER, PLATFORM, bench, call, send};

const PATH: &str = "/v1/analytics/performance";

/// Retailers and campaigns `cmp-t1` (at `rtl-t1`), `cmp-t2` (at `rtl-t2`) of one tenant; attribution and policies as given.
async fn with_two(app: &crate::Client, first: Value, second: Value) {
    for (id, extra) in [("t1", first), ("t2", second)] {
        let mut retailer = json!({"retailer_id": format!("rtl-{id}"), "name": id, "currency": "USD"});
        retailer.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let (status, answer) = call(app, PLATFORM, "POST", "/v1/retailers", Some(retailer)).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        let campaign = json!({
            "campaign_id": format!("cmp-{id}"), "tenant_id": "tnt-m2-national", "retailer_id": format!("rtl-{id}"), "name": id,
            "total_budget": {"amount": "100.00", "currency": "USD"}, "start_date": "2025-01-01", "end_date": "2025-01-31",
        });
        let (status, answer) = call(app, PLATFORM, "POST", "/v1/campaigns", Some(campaign)).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
    }
}

async fn write(app: &crate::Client, campaign: &str, rows: Value) {
    let path = format!("/v1/campaigns/{campaign}/performance");
    let (status, answer) = call(app, OTHER, "POST", &path, Some(json!({"rows": rows}))).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

async fn get(app: &crate::Client, path: &str) -> Value {
    let (status, answer) = call(app, OTHER, "GET", path, None).await;
    assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    answer
}

#[actix_web::test]
async fn retailers_that_attribute_differently_are_never_added_up() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let declare = |days: u16| json!({"attribution": {"window_days": days, "basis": "click", "scope": "brand", "sales": "gross"}});
    with_two(&app, declare(14), declare(30)).await;
    for campaign in ["cmp-t1", "cmp-t2"] {
        write(&app, campaign, json!([{"date": "2025-01-02", "conversions": 10, "spend": "10", "revenue": "40", "units_sold": 15}])).await;
    }
    let answer = get(&app, &format!("{PATH}?from=2025-01-01&to=2025-01-31")).await;
    assert_eq!((answer["data"].as_array().unwrap().len(), answer["source"].as_str()), (2, Some("rollup")), "{answer}");
    let group = &answer["data"][0];
    assert_eq!((group["roas"].as_f64(), group["acos"].as_f64(), group["units_per_order"].as_f64()), (Some(4.0), Some(25.0), Some(1.5)));
    assert_eq!((&group["ctr"], group["reasons"]["ctr"].as_str()), (&Value::Null, Some("not_measured")));
    let days: Vec<_> = answer["data"].as_array().unwrap().iter().map(|group| group["attribution"]["window_days"].as_u64()).collect();
    assert!(days.contains(&Some(14)) && days.contains(&Some(30)));
    // The same declaration is the same group; none is told so.
    let (status, _) = call(&app, PLATFORM, "PATCH", "/v1/retailers/rtl-t2", Some(declare(14))).await;
    assert_eq!(status, StatusCode::OK);
    let answer = get(&app, PATH).await;
    let rows: Vec<_> = answer["data"].as_array().unwrap().iter().map(|group| group["rows"].as_i64()).collect();
    assert!(rows.contains(&Some(2)), "{answer}");
    call(&app, PLATFORM, "PATCH", "/v1/retailers/rtl-t1", Some(json!({"attribution": null}))).await;
    let answer = get(&app, &format!("{PATH}?campaign_id=cmp-t1")).await;
    assert_eq!(answer["data"][0]["reasons"]["attribution"], "not_declared");
    let wrong = json!({"attribution": {"window_days": 0, "basis": "click", "scope": "brand", "sales": "gross"}});
    let (status, answer) = call(&app, PLATFORM, "PATCH", "/v1/retailers/rtl-t1", Some(wrong)).await;
    assert_eq!((status, answer["errors"][0]["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("attribution.window_days")));
}

#[actix_web::test]
async fn a_small_group_is_hidden_and_cannot_be_computed() {
    let bench = bench(None).await;
    let app = bench.app().await;
    with_two(&app, json!({"policies": {"min_cell_size": 50}}), json!({})).await;
    let rows = json!([
        {"date": "2025-01-02", "audience_segment": "a", "impressions": 900},
        {"date": "2025-01-02", "audience_segment": "b", "impressions": 20},
        {"date": "2025-01-02", "audience_segment": "c", "impressions": 300},
    ]);
    write(&app, "cmp-t1", rows).await;
    let answer = get(&app, &format!("{PATH}?campaign_id=cmp-t1&group_by=audience_segment")).await;
    let shown: Vec<_> = answer["data"].as_array().unwrap().iter().map(|group| group["impressions"].as_i64()).collect();
    assert_eq!(shown, [Some(900), None, None], "the second smallest hides the smallest: {answer}");
    assert_eq!(answer["data"][1]["reasons"]["impressions"], "below_minimum_cell_size");
    assert_eq!((&answer["data"][1]["rows"], &answer["data"][1]["share"]["impressions"]), (&Value::Null, &Value::Null));
    let total = get(&app, &format!("{PATH}?campaign_id=cmp-t1")).await;
    assert_eq!(total["data"][0]["impressions"], 1220);
    let funnel = get(&app, "/v1/analytics/funnel?campaign_id=cmp-t1&group_by=audience_segment").await;
    assert_eq!(funnel["data"][1]["steps"][0]["reason"], "below_minimum_cell_size");
    let request = TestRequest::get().uri(&format!("{PATH}?campaign_id=cmp-t1&group_by=audience_segment&top=1&order_by=-impressions"));
    let (_, text) = send(&app, request.insert_header(("apikey", OTHER)).insert_header(("Accept", "application/x-ndjson"))).await;
    assert!(!text.contains("\"impressions\":20,") && text.lines().count() == 2, "{text}");
    let (status, answer) =
        call(&app, PLATFORM, "PATCH", "/v1/retailers/rtl-t2", Some(json!({"policies": {"min_cell_size": "many"}}))).await;
    assert_eq!((status, answer["errors"][0]["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("policies.min_cell_size")));
}

#[actix_web::test]
async fn the_first_and_the_rest_and_the_period_before() {
    let bench = bench(None).await;
    let app = bench.app().await;
    with_two(&app, json!({}), json!({})).await;
    let mut rows = Vec::new();
    for (sku, spend, before) in [("s1", 5, 0), ("s2", 9, 3), ("s3", 1, 2), ("s4", 2, 1)] {
        rows.push(json!({"date": "2025-01-10", "sku_id": sku, "impressions": 100, "clicks": spend, "spend": spend.to_string()}));
        rows.push(json!({"date": "2025-01-03", "sku_id": sku, "impressions": 100, "clicks": 1, "spend": before.to_string()}));
    }
    write(&app, "cmp-t1", json!(rows)).await;
    let period = "campaign_id=cmp-t1&group_by=sku_id&from=2025-01-08&to=2025-01-14";
    let answer = get(&app, &format!("{PATH}?{period}&top=2&order_by=-spend&compare_from=2025-01-01&compare_to=2025-01-07")).await;
    let data = answer["data"].as_array().unwrap();
    let names: Vec<_> = data.iter().map(|group| group["sku_id"].as_str()).collect();
    assert_eq!(names, [Some("s2"), Some("s1"), None], "{answer}");
    assert_eq!((data[2]["is_rest"].as_bool(), data[2]["spend"]["amount"].as_str()), (Some(true), Some("3.000000")));
    assert_eq!(data[2]["ctr"].as_f64(), Some(3.0 / 200.0), "the rate of the rest is that of its sums");
    assert_eq!(
        (data[0]["change"]["spend"]["absolute"]["amount"].as_str(), data[0]["change"]["spend"]["relative"].as_f64()),
        (Some("6.000000"), Some(2.0))
    );
    assert_eq!(
        (&data[1]["change"]["spend"]["relative"], data[1]["change"]["spend"]["reason"].as_str()),
        (&Value::Null, Some("zero_denominator"))
    );
    assert_eq!(data[0]["share"]["spend"].as_f64(), Some(9.0 / 17.0));
    for (wrong, field) in [
        ("top=0", "top"),
        ("order_by=colour", "order_by"),
        ("compare_from=2025-01-01", "compare_from"),
        ("as_of=2025-01-01T00:00:00Z", "as_of"),
    ] {
        let (status, answer) = call(&app, OTHER, "GET", &format!("{PATH}?{wrong}"), None).await;
        assert_eq!((status, answer["errors"][0]["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some(field)), "{answer}");
    }
}

#[actix_web::test]
async fn corrections_are_kept_and_the_past_can_be_asked_for() {
    let bench = bench(None).await;
    let app = bench.app().await;
    with_two(&app, json!({}), json!({})).await;
    let before = bench.state.clock.now();
    write(&app, "cmp-t1", json!([{"date": "2025-01-02", "clicks": 3, "spend": "1"}])).await;
    bench.hand.advance(chrono::TimeDelta::hours(1));
    write(&app, "cmp-t1", json!([{"date": "2025-01-02", "clicks": 5, "spend": "2"}])).await;
    let then = (before + chrono::Duration::minutes(30)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let rows = get(&app, "/v1/campaigns/cmp-t1/performance").await;
    assert_eq!((rows["data"][0]["clicks"].as_i64(), rows["data"][0]["version"].as_i64()), (Some(5), Some(2)), "{rows}");
    assert_eq!(rows["data"][0]["spend"], json!({"amount": "2.000000", "currency": "USD"}));
    let rows = get(&app, &format!("/v1/campaigns/cmp-t1/performance?as_of={then}")).await;
    assert_eq!(rows["data"][0]["clicks"].as_i64(), Some(3), "{rows}");
    let former = get(&app, "/v1/campaigns/cmp-t1/performance/revisions?limit=1").await;
    assert_eq!((former["data"][0]["clicks"].as_i64(), &former["next_cursor"]), (Some(3), &Value::Null));
    let sums = get(&app, &format!("{PATH}?campaign_id=cmp-t1&as_of={then}")).await;
    assert_eq!((sums["data"][0]["clicks"].as_i64(), sums["source"].as_str()), (Some(3), Some("as_of")));
    let (status, _) = call(&app, GROCER, "GET", "/v1/campaigns/cmp-t1/performance", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = call(&app, GROCER, "GET", "/v1/exports/performance?campaign_id=cmp-t1", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn unusual_days_and_faulty_rows_are_named_with_their_rule() {
    let bench = bench(None).await;
    let app = bench.app().await;
    with_two(&app, json!({"attribution": {"window_days": 14, "basis": "click", "scope": "brand", "sales": "net"}}), json!({})).await;
    let mut rows: Vec<Value> = (1..=20)
        .map(|day| json!({"date": format!("2025-01-{day:02}"), "impressions": 1000, "clicks": if day == 20 { 400 } else { 100 }, "conversions": 5, "spend": "10"}))
        .collect();
    rows.remove(9);
    rows[2]["conversions"] = json!(101);
    rows[3]["clicks"] = json!(1001);
    write(&app, "cmp-t1", json!(rows)).await;
    let answer = get(&app, "/v1/analytics/anomalies?campaign_id=cmp-t1&from=2025-01-03").await;
    let clicks = answer["series"].as_array().unwrap().iter().find(|series| series["measure"] == "clicks").unwrap();
    let flag = &clicks["flags"][0];
    assert_eq!((flag["date"].as_str(), flag["actual"].as_f64(), flag["expected"].as_f64()), (Some("2025-01-20"), Some(400.0), Some(100.0)));
    let rules: Vec<_> = answer["faults"].as_array().unwrap().iter().map(|fault| fault["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["conversions_above_clicks", "clicks_above_impressions"]);
    assert_eq!(answer["missing_days"], json!(["2025-01-10"]));
    let funnel = get(&app, "/v1/analytics/funnel?campaign_id=cmp-t1").await;
    let steps = &funnel["data"][0]["steps"];
    assert_eq!((steps[1]["step"].as_str(), steps[3]["reason"].as_str()), (Some("clicks"), Some("not_measured")));
    assert!((steps[1]["rate"].as_f64().unwrap() - steps[1]["count"].as_f64().unwrap() / 19_000.0).abs() < 1e-12);
}

#[actix_web::test]
async fn pacing_of_a_page_is_that_of_each_campaign() {
    let bench = bench(None).await;
    let app = bench.app().await;
    with_two(&app, json!({}), json!({})).await;
    let rows: Vec<Value> = (1..=15).map(|day| json!({"date": format!("2025-01-{day:02}"), "impressions": 100, "spend": "2"})).collect();
    write(&app, "cmp-t1", json!(rows)).await;
    let list = get(&app, "/v1/analytics/pacing?as_of=2025-01-15&retailer_id=rtl-t1&limit=1").await;
    let own = get(&app, "/v1/campaigns/cmp-t1/pacing?as_of=2025-01-15").await;
    assert_eq!(list["data"][0], own);
    assert_eq!((own["spend"]["amount"].as_str(), own["expectation"].as_str()), (Some("30.000000"), Some("linear")));
    assert_eq!(own["projected_end_spend"]["value"]["amount"].as_str(), Some("62.000000"), "30 and sixteen days of 2: {own}");
    let shaped = get(&app, "/v1/campaigns/cmp-t1/pacing?as_of=2025-01-15&expectation=traffic").await;
    assert_eq!((shaped["expectation"].as_str(), own["expected_share"]["value"].as_f64()), (Some("traffic"), Some(15.0 / 31.0)));
}

#[actix_web::test]
async fn an_exported_file_of_performance_imports_unchanged() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let export = |path: &str, key: &str| TestRequest::get().uri(path).insert_header(("apikey", key));
    let (status, text) = send(&app, export("/v1/exports/performance", PLATFORM)).await;
    assert_eq!((status, text.lines().count()), (StatusCode::OK, 162));
    let import =
        TestRequest::post().uri("/v1/imports/performance").insert_header(("apikey", PLATFORM)).insert_header(("Content-Type", "text/csv"));
    let (status, answer) = send(&app, import.set_payload(text)).await;
    let counted: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((status, counted["unchanged"].as_i64(), counted["rejected"].as_i64()), (StatusCode::OK, Some(161), Some(0)), "{answer}");
    for table in ["retailers", "brands", "skus", "audience-segments", "campaigns"] {
        let (status, text) = send(&app, export(&format!("/v1/exports/{table}"), PLATFORM)).await;
        assert_eq!(status, StatusCode::OK, "{table}");
        let import = TestRequest::post().uri(&format!("/v1/imports/{table}")).insert_header(("apikey", PLATFORM));
        let (status, answer) = send(&app, import.insert_header(("Content-Type", "text/csv")).set_payload(text)).await;
        assert!(status == StatusCode::OK && answer.contains("\"updated\":0") && answer.contains("\"rejected\":0"), "{table}: {answer}");
    }
    let (_, own) = send(&app, export("/v1/exports/campaigns?format=ndjson", OTHER)).await;
    let is_own = |line: &str| serde_json::from_str::<Value>(line).unwrap()["tenant_id"] == "tnt-m2-national";
    assert!(own.lines().all(is_own), "{own}");
    assert_eq!(send(&app, export("/v1/exports/planets", PLATFORM)).await.0, StatusCode::NOT_FOUND);
    assert_eq!(send(&app, export("/v1/exports/brands?from=2025-01-01", PLATFORM)).await.0, StatusCode::UNPROCESSABLE_ENTITY);
}
