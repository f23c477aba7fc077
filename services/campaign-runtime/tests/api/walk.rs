//! Another tenant, on every route and with every filter: it sees nothing, changes nothing, and does not learn what is there.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::test::TestRequest;
use domain::role::Role;
use domain::scope::Scope;
use serde_json::{Value, json};
use storage::api_keys::{self, NewApiKey};
use testkit::database::TestDatabase;
use testkit::walk::{Fixtures, Request, walk};
use web::access::hash_key;
use web::token::Subject;

use crate::{Bench, Client, OTHER, PLATFORM, bench_on, call, send};

pub const MARKER: &str = "onlyforthefirst";
pub const OWNER: &str = "ek_owner";
const ANALYST: &str = "ek_analyst_of_b";

fn key(bench: &Bench, key: &str, role: Role, tenant: &str, scopes: &[&str]) {
    let new = NewApiKey {
        name: key.to_owned(),
        key_hash: hash_key(key),
        key_prefix: key.to_owned(),
        role: role.to_string(),
        tenant_id: Some(tenant.to_owned()),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        expires_at: None,
    };
    api_keys::insert(&mut bench.database.connect(), &Scope::system("test"), &new, bench.state.clock.now()).unwrap();
}

fn token(bench: &Bench, role: Role, tenant: &str) -> String {
    let subject = Subject {
        account_id: "acc_b".to_owned(),
        email: "b@example.com".to_owned(),
        role,
        tenant_id: Some(tenant.to_owned()),
        rater_id: None,
        session_id: "ses_b".to_owned(),
        user_metadata: serde_json::Map::new(),
    };
    bench.state.access.tokens().issue_access(&subject, std::time::Duration::from_secs(3600)).unwrap().0
}

async fn made(app: &Client, path: &str, body: Value) -> Value {
    let (status, answer) = call(app, OWNER, "POST", path, Some(body)).await;
    assert!(status.is_success(), "{path}: {status} {answer}");
    answer
}

/// One of everything, of tenant A.
pub async fn fixtures(bench: &Bench, app: &Client) -> Fixtures {
    key(bench, OWNER, Role::TenantAdmin, "tnt-first", &[]);
    key(bench, ANALYST, Role::Analyst, "tnt-m2-national", &[]);
    let name = |what: &str| format!("{what} {MARKER}");
    made(app, "/v1/brands", json!({"brand_id": "brd-first", "name": name("Brand")})).await;
    made(
        app,
        "/v1/skus",
        json!({"sku_id": "sku-first", "retailer_id": "rtl-grocer-cj", "name": name("Sku"), "brand_id": "brd-first", "category": MARKER}),
    )
    .await;
    let campaign = json!({
        "campaign_id": "cmp-first", "retailer_id": "rtl-grocer-cj", "brand_id": "brd-first", "name": name("Campaign"), "objective": "conversion",
        "start_date": "2025-12-01", "end_date": "2026-02-28", "total_budget": {"amount": "9000", "currency": "USD"}, "target_skus": ["sku-first"],
    });
    made(app, "/v1/campaigns", campaign).await;
    // A second row of each kind, so that lists have a second page.
    made(app, "/v1/brands", json!({"brand_id": "brd-second", "name": name("Brand 2")})).await;
    let second = json!({"campaign_id": "cmp-second", "retailer_id": "rtl-grocer-cj", "name": name("Campaign 2")});
    made(app, "/v1/campaigns", second).await;
    let days: Vec<Value> = (1..=28)
        .flat_map(|day| ["search", MARKER].map(|placement| (day, placement)))
        .map(|(day, placement)| {
            json!({"date": format!("2025-12-{day:02}"), "placement_type": placement, "impressions": 1000 + day,
                // The last row cannot be right, so that the search for faults shows something.
                "clicks": if day == 28 && placement == MARKER { 5000 } else { 50 },
                "conversions": 5, "spend": {"amount": format!("{}", 100 + day), "currency": "USD"},
                "revenue": {"amount": format!("{}", 300 + day), "currency": "USD"}})
        })
        .collect();
    made(app, "/v1/campaigns/cmp-first/performance", json!({"rows": days})).await;
    let plans = made(app, "/v1/campaigns/cmp-first/plans", json!({"total_budget": {"amount": "100", "currency": "USD"}})).await;
    let experiment = json!({
        "experiment_id": "exp-first", "name": name("Experiment"), "campaign_id": "cmp-first",
        "definition": {
            "metric": {"name": "revenue", "kind": "revenue", "currency": "USD"}, "control_definition": name("Control"), "line": {"placement_type": MARKER},
            "design": {"kind": "ab", "arms": [{"name": "control", "share": 5000}, {"name": "shown", "share": 5000}], "analysis": "fixed",
                "planned_end": "2026-01-20", "planned_units": 4000},
        },
    });
    let mut other = experiment.clone();
    other["experiment_id"] = json!("exp-second");
    made(app, "/v1/experiments", other).await;
    made(app, "/v1/experiments", experiment).await;
    made(app, "/v1/experiments/exp-first/transitions", json!({"to": "running"})).await;
    let creative = json!({"creative_id": "crt-first", "name": name("Creative"), "content": {"texts": {"headline": MARKER}}});
    made(app, "/v1/campaigns/cmp-first/creatives", creative).await;
    let file = format!(
        "sku_id,retailer_id,name,brand_id\nsku-second,rtl-grocer-cj,{},brd-first\n,rtl-grocer-cj,{MARKER},brd-first\n",
        name("Sku")
    );
    let import = TestRequest::post().uri("/v1/imports/brands?dry_run=true").insert_header(("apikey", OWNER));
    let (status, text) = send(app, import.insert_header(("content-type", "text/csv")).set_payload("brand_id,name\nbrd-dry,Dry\n")).await;
    assert!(status.is_success(), "{status} {text}");
    let import = TestRequest::post().uri("/v1/imports/skus?on_error=skip").insert_header(("apikey", OWNER));
    let (status, import) = send(app, import.insert_header(("content-type", "text/csv")).set_payload(file)).await;
    assert!(status.is_success(), "{status} {import}");
    let import: Value = serde_json::from_str(&import).unwrap();
    assert_eq!((&import["inserted"], &import["rejected"]), (&json!(1), &json!(1)), "{import}");
    let log = json!({"session_id": "ses-first", "task_type": "t", "phase": "reflection", "decision_rationale": name("Because")});
    made(app, "/v1/reflection-logs", log.clone()).await;
    let log = made(app, "/v1/reflection-logs", log).await;
    let made_key = made(app, "/v1/api-keys", json!({"name": name("Key"), "role": "analyst"})).await;
    let text = |value: &Value| value.as_str().map(str::to_owned).unwrap_or_else(|| panic!("no id in {value}"));
    let ids = BTreeMap::from([
        ("brand_id", "brd-first".to_owned()),
        ("sku_id", "sku-first".to_owned()),
        ("campaign_id", "cmp-first".to_owned()),
        ("experiment_id", "exp-first".to_owned()),
        ("plan_id", text(&plans["plans"][0]["plan_id"])),
        ("log_id", text(&log["log_id"])),
        ("key_id", text(&made_key["key_id"])),
        ("creative_id", "crt-first".to_owned()),
        ("import_id", text(&import["import_id"])),
    ]);
    let shared =
        BTreeMap::from([("retailer_id", "rtl-grocer-cj".to_owned()), ("segment_id", "seg-none".to_owned()), ("table", "skus".to_owned())]);
    let mut filters: BTreeMap<&'static str, String> = ids.iter().map(|(name, id)| (*name, id.clone())).collect();
    filters.extend(
        [
            ("tenant_id", "tnt-first"),
            ("retailer_id", "rtl-grocer-cj"),
            ("status", "draft"),
            ("objective", "conversion"),
            ("category", MARKER),
            ("placement_type", MARKER),
            ("session_id", "ses-first"),
            ("task_type", "t"),
            ("phase", "reflection"),
            ("from", "2025-12-01"),
            ("to", "2026-01-31"),
            ("start", "2025-12-01"),
            ("end", "2026-01-31"),
            ("as_of", "2025-12-20"),
            ("group_by", "campaign,placement_type"),
            ("sku_id", "sku-first"),
            ("name", MARKER),
            ("q", MARKER),
            ("search", MARKER),
            ("is_active", "true"),
            ("currency", "USD"),
            ("impression_kind", "offsite"),
            ("is_in_stock", "true"),
            ("subcategory", MARKER),
            ("audience_segment", MARKER),
            ("segment_type", "x"),
            ("country", "US"),
            ("design", "ab"),
            ("at", "2026-01-10T00:00:00Z"),
            ("compare_from", "2025-11-01"),
            ("compare_to", "2025-11-30"),
            ("order_by", "-clicks"),
            ("top", "5"),
            ("expectation", "traffic"),
            ("format", "ndjson"),
            ("state", "finished"),
            ("table", "skus"),
            ("guard_formulas", "true"),
            ("limit", "500"),
            // Cursors of A's are made and tried by the walk.
            ("cursor", ""),
        ]
        .map(|(name, value)| (name, value.to_owned())),
    );
    let bodies = BTreeMap::from([
        ("PATCH /v1/brands/{brand_id}", json!({"name": "mine"})),
        ("PATCH /v1/skus/{sku_id}", json!({"name": "mine"})),
        ("PATCH /v1/campaigns/{campaign_id}", json!({"name": "mine"})),
        ("POST /v1/campaigns/{campaign_id}/transitions", json!({"to": "archived"})),
        ("POST /v1/campaigns/{campaign_id}/clone", json!({})),
        ("POST /v1/campaigns/{campaign_id}/performance", json!({"rows": [{"date": "2025-12-01", "clicks": 1}]})),
        ("POST /v1/campaigns/{campaign_id}/plans", json!({"total_budget": {"amount": "100", "currency": "USD"}})),
        ("POST /v1/campaigns/{campaign_id}/plans/{plan_id}/choose", json!({"reason": "mine"})),
        ("POST /v1/campaigns/{campaign_id}/plans/{plan_id}/feedback", json!({"feedback_type": "thumbs_up"})),
        ("POST /v1/campaigns/{campaign_id}/creatives", json!({"name": "mine", "content": {"texts": {"headline": "mine"}}})),
        ("PUT /v1/campaigns/{campaign_id}/creatives/{creative_id}", json!({"name": "mine", "content": {"texts": {"headline": "mine"}}})),
        ("PATCH /v1/experiments/{experiment_id}", json!({"name": "mine"})),
        ("POST /v1/experiments/{experiment_id}/transitions", json!({"to": "running"})),
        ("POST /v1/experiments/{experiment_id}/assignments", json!({"units": ["u1"]})),
        (
            "POST /v1/experiments/{experiment_id}/observations",
            json!({"rows": [{"arm": "control", "date": "2026-01-16", "n": 10, "value_sum": 1.0, "value_sum_squares": 1.0, "spend": "0"}]}),
        ),
        ("POST /v1/campaigns/bulk", json!({"campaign_ids": ["cmp-first"], "transition": "archived"})),
    ]);
    let ids_at = BTreeMap::from([("GET /v1/imports/{table}", text(&import["import_id"]))]);
    Fixtures {
        ids,
        ids_at,
        shared,
        filters,
        bodies,
        needed: BTreeMap::from([
            ("GET /v1/analytics/performance", "group_by=campaign,placement_type&from=2025-12-01&to=2026-01-31"),
            ("GET /v1/analytics/funnel", "group_by=campaign,placement_type"),
            ("GET /v1/analytics/anomalies", "campaign_id=cmp-first"),
            ("GET /v1/experiments/{experiment_id}/assignments", "unit=onlyforthefirst"),
            ("GET /v1/retailers/{retailer_id}/mapping", "table=performance"),
        ]),
        without_rows: BTreeMap::from([
            ("GET /v1/experiments/{experiment_id}/results", "nothing was observed yet: 409"),
            ("GET /v1/retailers", "retailers are everybody's"),
            ("GET /v1/retailers/{retailer_id}", "retailers are everybody's"),
            ("GET /v1/audience-segments", "audiences are the retailer's, and everybody's to read"),
            ("GET /v1/audience-segments/{segment_id}", "audiences are the retailer's, and everybody's to read"),
        ]),
        left_out: BTreeMap::new(),
        marker: MARKER,
        owner: OWNER.to_owned(),
        strangers: vec![
            ("tenant_admin (key)", OTHER.to_owned()),
            ("analyst (key)", ANALYST.to_owned()),
            ("tenant_admin (token)", token(bench, Role::TenantAdmin, "tnt-m2-national")),
            ("analyst (token)", token(bench, Role::Analyst, "tnt-m2-national")),
        ],
    }
}

fn databases() -> Vec<TestDatabase> {
    testkit::database::all()
}

#[actix_web::test]
async fn another_tenant_sees_nothing_on_any_route() {
    for database in databases() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        let fixtures = fixtures(&bench, &app).await;
        let document = serde_json::to_value(campaign_runtime::routes::openapi()).unwrap();
        let app = &app;
        let of_one_row = walk(&document, &fixtures, |request| ask(app, request)).await;
        assert_eq!(of_one_row, Vec::<String>::new(), "store a second row of A's, or its cursor is not tried");
    }
}

/// Sends a request of a walk.
pub async fn ask(app: &Client, Request { credential, method, url, body }: Request) -> (u16, String) {
    let mut request = TestRequest::with_uri(&url).method(method.parse().unwrap());
    match credential {
        Some(token) if token.split('.').count() == 3 => request = request.insert_header((AUTHORIZATION, format!("Bearer {token}"))),
        Some(key) => request = request.insert_header(("apikey", key)),
        None => {}
    }
    if let Some(body) = body {
        request = request.set_json(body);
    }
    let (status, text) = send(app, request).await;
    (status.as_u16(), text)
}

#[actix_web::test]
async fn every_route_of_the_document_has_a_scope() {
    let document = serde_json::to_value(campaign_runtime::routes::openapi()).unwrap();
    for operation in testkit::walk::operations(&document) {
        let method = operation.method.parse().unwrap();
        assert!(web::scopes::needed(&method, &operation.path).is_some(), "{}: add its area to web::scopes", operation.name());
    }
}

#[actix_web::test]
async fn a_narrowed_key_does_what_its_scopes_say_and_makes_none_that_is_wider() {
    let bench = bench_on(testkit::database::of_choice(), None).await;
    key(&bench, "ek_narrow", Role::TenantAdmin, "tnt-m2-national", &["campaigns:read", "keys:write"]);
    let app = bench.app().await;
    let ask = async |method: &str, path: &str, body: Option<Value>| {
        let (status, answer) = call(&app, "ek_narrow", method, path, body).await;
        (status.as_u16(), answer)
    };
    assert_eq!(ask("GET", "/v1/campaigns", None).await.0, 200);
    let (status, refusal) = ask("POST", "/v1/campaigns", Some(json!({"retailer_id": "rtl-grocer-cj", "name": "A"}))).await;
    assert_eq!((status, &refusal["code"], &refusal["scope"]), (403, &json!("scope_missing"), &json!("campaigns:write")), "{refusal}");
    for (path, scope) in [("/v1/brands", "catalog:read"), ("/v1/analytics/performance", "analytics:read")] {
        let (status, refusal) = ask("GET", path, None).await;
        assert_eq!((status, refusal["scope"].as_str()), (403, Some(scope)), "{path}: {refusal}");
    }
    let (status, page) = crate::send(&app, TestRequest::get().uri("/").insert_header(("apikey", "ek_narrow"))).await;
    assert!(status == StatusCode::FORBIDDEN && page.contains("needs the scope admin"), "{page}");
    let body = |more: Value| {
        let mut body = json!({"name": "n", "role": "analyst"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Some(body)
    };
    for (more, field) in [
        (json!({"scopes": ["campaigns:write"]}), "scopes"),
        (json!({"scopes": []}), "scopes"),
        (json!({"scopes": ["campaigns:raed"]}), "scopes"),
        (json!({"scopes": ["admin"]}), "scopes"),
        (json!({"scopes": ["keys:read"], "role": "platform_admin"}), "role"),
        (json!({"scopes": ["keys:read"], "tenant_id": "rtl-grocer-cj"}), "tenant_id"),
        (json!({"scopes": ["keys:read"], "expires_at": "2026-01-15T11:59:59Z"}), "expires_at"),
    ] {
        let (status, refusal) = ask("POST", "/v1/api-keys", body(more.clone())).await;
        assert_eq!((status, refusal["errors"][0]["field"].as_str()), (422, Some(field)), "{more}: {refusal}");
    }
    let (status, made) =
        ask("POST", "/v1/api-keys", body(json!({"scopes": ["campaigns:read"], "expires_at": "2026-01-15T12:01:00Z"}))).await;
    assert_eq!(status, 201, "{made}");
    let (id, new) = (made["key_id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned());
    assert_eq!(call(&app, &new, "GET", "/v1/campaigns", None).await.0, StatusCode::OK);
    let (_, shown) = call(&app, OTHER, "GET", &format!("/v1/api-keys/{id}"), None).await;
    assert!(shown["last_used_at"].is_string() && shown.get("key").is_none(), "{shown}");
    bench.hand.advance(chrono::TimeDelta::seconds(60));
    assert_eq!(call(&app, &new, "GET", "/v1/campaigns", None).await.0, StatusCode::UNAUTHORIZED, "its time is over");
    let (_, made) = ask("POST", "/v1/api-keys", body(json!({"scopes": ["campaigns:read"]}))).await;
    let (id, new) = (made["key_id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned());
    assert_eq!(call(&app, &new, "GET", "/v1/campaigns", None).await.0, StatusCode::OK);
    assert_eq!(ask("DELETE", &format!("/v1/api-keys/{id}"), None).await.0, 204);
    assert_eq!(call(&app, &new, "GET", "/v1/campaigns", None).await.0, StatusCode::UNAUTHORIZED, "revoked means at once");
    assert_eq!(call(&app, PLATFORM, "GET", "/v1/campaigns", None).await.0, StatusCode::OK);
}
