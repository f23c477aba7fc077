//! The life of a campaign over HTTP: guards, versions, copies, history, and the clock.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use campaign_runtime::life::advance::{Advanced, advance};
use serde_json::{Value, json};

use crate::{Bench, Client, GROCER, OTHER, PLATFORM, bench, call, send};

/// A campaign of the grocer that could be scheduled; today is 2026-01-15.
pub fn ready(campaign_id: &str) -> Value {
    json!({
        "campaign_id": campaign_id, "retailer_id": "rtl-grocer-cj", "name": "Spring", "start_date": "2026-02-01", "end_date": "2026-02-28",
        "total_budget": {"amount": "100", "currency": "USD"}, "target_skus": ["cj-829123"],
    })
}

pub async fn made(app: &Client, body: Value) -> Value {
    let (status, campaign) = call(app, GROCER, "POST", "/v1/campaigns", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{campaign}");
    campaign
}

async fn moved(app: &Client, id: &str, to: &str) -> (StatusCode, Value) {
    call(app, GROCER, "POST", &format!("/v1/campaigns/{id}/transitions"), Some(json!({"to": to, "reason": "a test"}))).await
}

async fn patched(app: &Client, id: &str, change: Value) -> (StatusCode, Value) {
    call(app, GROCER, "PATCH", &format!("/v1/campaigns/{id}"), Some(change)).await
}

/// Moves the clock on to this instant.
fn until(bench: &Bench, instant: &str) {
    let instant: chrono::DateTime<chrono::Utc> = instant.parse().unwrap();
    bench.hand.advance(instant - bench.hand.now());
}

fn fields(answer: &Value) -> Vec<&str> {
    answer["errors"].as_array().into_iter().flatten().filter_map(|error| error["field"].as_str()).collect()
}

async fn spend(app: &Client, id: &str, amount: &str) {
    let rows = json!({"rows": [{"date": "2026-01-15", "spend": {"amount": amount, "currency": "USD"}}]});
    let (status, answer) = call(app, GROCER, "POST", &format!("/v1/campaigns/{id}/performance"), Some(rows)).await;
    assert!(status.is_success(), "{answer}");
}

/// Active since 2026-01-10.
async fn active(bench: &Bench, app: &Client, id: &str) {
    let mut body = ready(id);
    body["start_date"] = json!("2026-01-10");
    made(app, body).await;
    assert_eq!(moved(app, id, "scheduled").await.0, StatusCode::OK);
    let (status, campaign) = moved(app, id, "active").await;
    assert_eq!((status, &campaign["delivery"]["status"]), (StatusCode::OK, &json!("delivering")), "{campaign} {}", bench.state.clock.now());
}

#[actix_web::test]
async fn scheduling_needs_dates_budget_a_product_and_a_retailer() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let cases = [
        (json!({"end_date": null}), "end_date"),
        (json!({"start_date": "2025-12-01", "end_date": "2026-01-14"}), "end_date"),
        (json!({"total_budget": null}), "total_budget"),
        (json!({"total_budget": {"amount": "0", "currency": "USD"}}), "total_budget"),
        (json!({"target_skus": []}), "target_skus"),
        (json!({"target_skus": ["no-such-sku"]}), "target_skus"),
        (json!({"constraints": {"excluded_skus": ["cj-829123"]}}), "target_skus"),
        // In the catalogue of another retailer only.
        (json!({"retailer_id": "rtl-fashion-zz"}), "target_skus"),
    ];
    for (at, (change, field)) in cases.into_iter().enumerate() {
        let id = format!("c{at}");
        let mut body = ready(&id);
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        made(&app, body).await;
        let (status, refused) = moved(&app, &id, "scheduled").await;
        assert_eq!((status, fields(&refused)), (StatusCode::UNPROCESSABLE_ENTITY, vec![field]), "{change}: {refused}");
    }
    made(&app, ready("stock")).await;
    let (status, sku) = call(&app, PLATFORM, "PATCH", "/v1/skus/cj-829123", Some(json!({"is_in_stock": false}))).await;
    assert_eq!(status, StatusCode::OK, "{sku}");
    assert_eq!(fields(&moved(&app, "stock", "scheduled").await.1), ["target_skus"]);
    call(&app, PLATFORM, "PATCH", "/v1/skus/cj-829123", Some(json!({"is_in_stock": true}))).await;
    call(&app, PLATFORM, "DELETE", "/v1/retailers/rtl-grocer-cj", None).await;
    assert_eq!(fields(&moved(&app, "stock", "scheduled").await.1), ["retailer_id"]);
    call(&app, PLATFORM, "PATCH", "/v1/retailers/rtl-grocer-cj", Some(json!({"is_active": true}))).await;
    let (status, campaign) = moved(&app, "stock", "scheduled").await;
    assert_eq!((status, &campaign["delivery"]["status"]), (StatusCode::OK, &json!("scheduled")), "{campaign}");
    let (status, early) = moved(&app, "stock", "active").await;
    assert_eq!((status, fields(&early)), (StatusCode::UNPROCESSABLE_ENTITY, vec!["start_date"]));
    assert!(early["detail"].as_str().unwrap().contains("can only be scheduled"), "{early}");
}

#[actix_web::test]
async fn what_runs_keeps_its_start_its_spend_and_a_product() {
    let bench = bench(None).await;
    let app = bench.app().await;
    active(&bench, &app, "c1").await;
    spend(&app, "c1", "40").await;
    let refused = [
        (json!({"start_date": "2026-01-11"}), "start_date"),
        (json!({"end_date": "2026-01-14"}), "end_date"),
        (json!({"end_date": null}), "end_date"),
        (json!({"total_budget": {"amount": "39.99", "currency": "USD"}}), "total_budget"),
        (json!({"total_budget": null}), "total_budget"),
        (json!({"total_budget": {"amount": "90", "currency": "EUR"}, "currency": "EUR"}), "currency"),
        (json!({"target_skus": []}), "target_skus"),
    ];
    for (change, field) in refused {
        let (status, answer) = patched(&app, "c1", change.clone()).await;
        assert_eq!((status, fields(&answer)), (StatusCode::UNPROCESSABLE_ENTITY, vec![field]), "{change}: {answer}");
    }
    let (status, campaign) =
        patched(&app, "c1", json!({"total_budget": {"amount": "40", "currency": "USD"}, "end_date": "2026-03-31"})).await;
    assert_eq!((status, &campaign["delivery"]["status"]), (StatusCode::OK, &json!("budget_exhausted")), "{campaign}");
    // Raised again, but sold out, then paused.
    patched(&app, "c1", json!({"total_budget": {"amount": "80", "currency": "USD"}})).await;
    call(&app, PLATFORM, "PATCH", "/v1/skus/cj-829123", Some(json!({"stock_level": 0}))).await;
    let (_, campaign) = call(&app, GROCER, "GET", "/v1/campaigns/c1", None).await;
    assert_eq!(campaign["delivery"]["status"], "no_eligible_sku", "{campaign}");
    assert_eq!(moved(&app, "c1", "paused").await.1["delivery"]["status"], "paused");
    assert_eq!(fields(&moved(&app, "c1", "active").await.1), ["target_skus"], "resuming asks the guards again");
    assert_eq!(moved(&app, "c1", "completed").await.1["delivery"]["status"], "ended");
    assert_eq!(moved(&app, "c1", "archived").await.0, StatusCode::OK);
    let (status, answer) = patched(&app, "c1", json!({"name": "x"})).await;
    assert_eq!((status, &answer["code"]), (StatusCode::CONFLICT, &json!("conflict")), "{answer}");
}

#[actix_web::test]
async fn the_currency_stays_once_anything_is_counted_in_it() {
    for database in testkit::database::all() {
        let bench = crate::bench_on(database, None).await;
        let app = bench.app().await;
        active(&bench, &app, "running").await;
        made(&app, ready("planned")).await;
        assert_eq!(moved(&app, "planned", "scheduled").await.0, StatusCode::OK);
        made(&app, ready("measured")).await;
        // Nothing was spent, and still the rows are money of the campaign's currency.
        let rows = json!({"rows": [{"date": "2026-01-15", "impressions": 5, "revenue": {"amount": "9", "currency": "USD"}}]});
        assert_eq!(call(&app, GROCER, "POST", "/v1/campaigns/measured/performance", Some(rows)).await.0, StatusCode::OK);
        let changes = [
            json!({"currency": "EUR"}),
            json!({"currency": "EUR", "total_budget": {"amount": "90", "currency": "EUR"}}),
            json!({"currency": null, "total_budget": null}),
        ];
        for (id, change) in ["running", "planned", "measured"].iter().flat_map(|id| changes.iter().map(move |change| (*id, change))) {
            let (status, answer) = patched(&app, id, change.clone()).await;
            assert!(status == StatusCode::UNPROCESSABLE_ENTITY && fields(&answer).contains(&"currency"), "{id} {change}: {answer}");
            let said = answer["errors"].to_string();
            assert!(said.contains("USD") && said.contains("/clone"), "it says what to do: {said}");
            let bulk = json!({"campaign_ids": [id], "change": change});
            let (_, answer) = call(&app, GROCER, "POST", "/v1/campaigns/bulk", Some(bulk)).await;
            assert_eq!(
                (&answer["outcomes"][0]["outcome"], &answer["is_kept"]),
                (&json!("refused"), &json!(false)),
                "{id} {change}: {answer}"
            );
        }
        let (_, pacing) = call(&app, GROCER, "GET", "/v1/campaigns/measured", None).await;
        assert_eq!((&pacing["currency"], &pacing["version"]), (&json!("USD"), &json!(1)), "{pacing}");
        // What it says helps.
        let (status, copy) = call(&app, GROCER, "POST", "/v1/campaigns/measured/clone", Some(json!({"campaign_id": "copy"}))).await;
        assert_eq!(status, StatusCode::CREATED, "{copy}");
        let (status, copy) = patched(&app, "copy", json!({"currency": "EUR", "total_budget": {"amount": "90", "currency": "EUR"}})).await;
        assert_eq!((status, &copy["currency"]), (StatusCode::OK, &json!("EUR")), "{copy}");
        // The first currency may be stated late, but not against the rows.
        let bare = json!({"campaign_id": "bare", "retailer_id": "rtl-grocer-cj", "name": "Bare"});
        made(&app, bare).await;
        let rows = json!({"rows": [{"date": "2026-01-15", "spend": {"amount": "9", "currency": "USD"}}]});
        assert_eq!(call(&app, GROCER, "POST", "/v1/campaigns/bare/performance", Some(rows)).await.0, StatusCode::OK);
        assert_eq!(fields(&patched(&app, "bare", json!({"currency": "EUR"})).await.1), ["currency"]);
        assert_eq!(patched(&app, "bare", json!({"currency": "USD"})).await.0, StatusCode::OK);
    }
}

#[actix_web::test]
async fn versions_are_named_by_etags() {
    let bench = bench(None).await;
    let app = bench.app().await;
    made(&app, ready("c1")).await;
    let get = |name: &'static str, tag: String| {
        TestRequest::get().uri("/v1/campaigns/c1").insert_header(("apikey", GROCER)).insert_header((name, tag))
    };
    let (status, headers, _) = app.with_headers(get("accept", "*/*".into())).await;
    let tag = headers.get("etag").unwrap().to_str().unwrap().to_owned();
    assert_eq!(status, StatusCode::OK);
    let (status, headers, body) = app.with_headers(get("if-none-match", format!("\"0\", W/{tag}"))).await;
    assert_eq!((status, headers.get("etag").unwrap().to_str().unwrap(), body.as_str()), (StatusCode::NOT_MODIFIED, tag.as_str(), ""));
    let act = |method: fn() -> TestRequest, path: &str, tag: &str, body: Value| {
        method().uri(path).insert_header(("apikey", GROCER)).insert_header(("if-match", tag.to_owned())).set_json(body)
    };
    let (status, headers, _) = app.with_headers(act(TestRequest::patch, "/v1/campaigns/c1", &tag, json!({"name": "Summer"}))).await;
    let second = headers.get("etag").unwrap().to_str().unwrap().to_owned();
    assert!(status == StatusCode::OK && second != tag && second.starts_with("\"2-"), "{second}");
    let stale = act(TestRequest::post, "/v1/campaigns/c1/transitions", &tag, json!({"to": "scheduled"}));
    assert_eq!(app.with_headers(stale).await.0, StatusCode::PRECONDITION_FAILED);
    let (status, headers, _) =
        app.with_headers(act(TestRequest::post, "/v1/campaigns/c1/transitions", "\"2\"", json!({"to": "scheduled"}))).await;
    let third = headers.get("etag").unwrap().to_str().unwrap().to_owned();
    assert!(status == StatusCode::OK && third.starts_with("\"3-"), "{third}");
    let stale = act(TestRequest::delete, "/v1/campaigns/c1", "\"2\"", json!({}));
    assert_eq!(app.with_headers(stale).await.0, StatusCode::PRECONDITION_FAILED);
    // Delivery changes without a write: the old tag no longer answers 304, and still names the version.
    until(&bench, "2026-02-03T12:00:00Z");
    assert_eq!(app.with_headers(get("if-none-match", third.clone())).await.0, StatusCode::OK);
    let (_, list) = send(&app, TestRequest::get().uri("/v1/campaigns?status=scheduled").insert_header(("apikey", GROCER))).await;
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!((&list["data"][0]["version"], &list["data"][0]["delivery"]["status"]), (&json!(3), &json!("scheduled")), "{list}");
    assert_eq!(app.with_headers(act(TestRequest::delete, "/v1/campaigns/c1", &third, json!({}))).await.0, StatusCode::NO_CONTENT);
}

#[actix_web::test]
async fn a_copy_is_a_draft_that_names_its_original() {
    let bench = bench(None).await;
    let app = bench.app().await;
    active(&bench, &app, "c1").await;
    let clone = |body: Value| call(&app, GROCER, "POST", "/v1/campaigns/c1/clone", Some(body));
    let (status, copy) = clone(json!({"campaign_id": "c2", "start_date": "2026-05-01", "end_date": "2026-05-31"})).await;
    assert_eq!((status, &copy["status"], &copy["version"]), (StatusCode::CREATED, &json!("draft"), &json!(1)), "{copy}");
    assert_eq!(copy["attributes"]["copied_from"], json!({"campaign_id": "c1", "version": 3}));
    assert_eq!(
        (&copy["name"], &copy["target_skus"], &copy["total_budget"]["amount"]),
        (&json!("Spring (copy)"), &json!(["cj-829123"]), &json!("100.000000"))
    );
    assert_eq!(clone(json!({"campaign_id": "c2"})).await.1["code"], "already_exists");
    let (status, refused) = clone(json!({"start_date": "2026-05-01"})).await;
    assert_eq!((status, fields(&refused)), (StatusCode::UNPROCESSABLE_ENTITY, vec!["end_date"]));
    assert_eq!(clone(json!({"colour": 1})).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, _) = call(&app, OTHER, "POST", "/v1/campaigns/c1/clone", Some(json!({}))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let twice = |key: &'static str| {
        let request =
            TestRequest::post().uri("/v1/campaigns/c1/clone").insert_header(("apikey", GROCER)).insert_header(("idempotency-key", key));
        send(&app, request.set_json(json!({"name": "Once"})))
    };
    assert_eq!(twice("k1").await, twice("k1").await);
}

#[actix_web::test]
async fn history_tells_who_when_why_before_and_after() {
    let bench = bench(None).await;
    let app = bench.app().await;
    active(&bench, &app, "c1").await;
    patched(&app, "c1", json!({"name": "Summer"})).await;
    let (_, page) = call(&app, GROCER, "GET", "/v1/campaigns/c1/history?limit=3", None).await;
    let actions: Vec<&str> = page["data"].as_array().unwrap().iter().filter_map(|entry| entry["action"].as_str()).collect();
    assert_eq!(actions, ["update", "transition", "transition"]);
    let first = &page["data"][0];
    assert_eq!(first["changes"], json!({"name": {"before": "Spring", "after": "Summer"}}));
    assert_eq!((&first["version"], &first["role"], &first["created_at"]), (&json!(4), &json!("analyst"), &json!("2026-01-15T12:00:00Z")));
    assert_eq!(
        (&page["data"][1]["reason"], &page["data"][1]["changes"]["status"]),
        (&json!("a test"), &json!({"before": "scheduled", "after": "active"}))
    );
    let path = format!("/v1/campaigns/c1/history?limit=3&cursor={}", page["next_cursor"].as_str().unwrap());
    let (_, rest) = call(&app, GROCER, "GET", &path, None).await;
    assert_eq!((&rest["data"][0]["action"], &rest["next_cursor"]), (&json!("create"), &Value::Null), "{rest}");
    assert_eq!(call(&app, OTHER, "GET", "/v1/campaigns/c1/history", None).await.0, StatusCode::NOT_FOUND);
    let (status, _) =
        call(&app, GROCER, "POST", "/v1/campaigns/c1/transitions", Some(json!({"to": "paused", "reason": "x".repeat(1001)}))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[actix_web::test]
async fn the_clock_begins_and_ends_campaigns_by_the_retailers_day() {
    let bench = bench(None).await;
    let app = bench.app().await;
    made(&app, ready("c1")).await;
    moved(&app, "c1", "scheduled").await;
    let mut blocked = ready("c2");
    blocked["target_skus"] = json!(["cj-831628"]);
    made(&app, blocked).await;
    assert_eq!(moved(&app, "c2", "scheduled").await.0, StatusCode::OK);
    call(&app, PLATFORM, "PATCH", "/v1/skus/cj-831628", Some(json!({"is_in_stock": false}))).await;
    let storage = &bench.state.storage;
    let at = |text: &str| text.parse().unwrap();
    // In New York it is still the 31st of January.
    assert_eq!(advance(storage, at("2026-02-01T04:59:59Z")).await.unwrap(), Advanced::default());
    let both = tokio::join!(advance(storage, at("2026-02-01T05:00:00Z")), advance(storage, at("2026-02-01T05:00:00Z")));
    let (one, other) = (both.0.unwrap(), both.1.unwrap());
    assert_eq!((one.begun + other.begun, one.ended + other.ended), (1, 0), "two processes move it once");
    assert_eq!(one.blocked + other.blocked, 2, "each saw what is sold out");
    until(&bench, "2026-02-01T05:00:00Z");
    let (_, waiting) = call(&app, GROCER, "GET", "/v1/campaigns/c2", None).await;
    assert_eq!((&waiting["status"], &waiting["delivery"]["status"]), (&json!("scheduled"), &json!("no_eligible_sku")));
    assert_eq!(advance(storage, at("2026-03-01T04:59:59Z")).await.unwrap().ended, 0);
    assert_eq!(advance(storage, at("2026-03-01T05:00:00Z")).await.unwrap(), Advanced { begun: 0, ended: 1, blocked: 1 });
    assert_eq!(advance(storage, at("2026-03-01T05:00:30Z")).await.unwrap().ended, 0, "done once");
    let (_, page) = call(&app, GROCER, "GET", "/v1/campaigns/c1/history", None).await;
    let said: Vec<(&str, &str)> = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .take(2)
        .map(|entry| (entry["actor"].as_str().unwrap(), entry["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(said, [("system:campaign clock", "Its last day is over."), ("system:campaign clock", "Its first day has come.")]);
}
