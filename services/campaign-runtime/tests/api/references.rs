//! What callers name: another tenant's things in bodies are like things that are not there, and what no database takes is refused.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::{Value, json};
use testkit::walk::operations;
use testkit::walk::references::{Reference, References, walk_references};

use crate::walk::{MARKER, OWNER, ask, fixtures};
use crate::{Client, OTHER, bench_on, call, send};

/// Things of the strangers' own, for the bodies in which they name what is not theirs.
async fn own(app: &Client) {
    let experiment = json!({
        "experiment_id": "exp-other", "name": "Other", "campaign_id": "cmp-other",
        "definition": {
            "metric": {"name": "revenue", "kind": "revenue", "currency": "USD"}, "control_definition": "none", "line": {"placement_type": "search"},
            "design": {"kind": "ab", "arms": [{"name": "control", "share": 5000}, {"name": "shown", "share": 5000}], "analysis": "fixed",
                "planned_end": "2026-01-20", "planned_units": 4000},
        },
    });
    for (path, body) in [
        ("/v1/brands", json!({"brand_id": "brd-other", "name": "Other"})),
        ("/v1/skus", json!({"sku_id": "sku-other", "retailer_id": "rtl-grocer-cj", "name": "Other", "brand_id": "brd-other"})),
        (
            "/v1/campaigns",
            json!({"campaign_id": "cmp-other", "retailer_id": "rtl-grocer-cj", "name": "Other", "target_skus": ["sku-other"],
            "target_audiences": ["seg-other"], "currency": "USD", "start_date": "2026-02-01", "end_date": "2026-02-28"}),
        ),
        ("/v1/experiments", experiment),
    ] {
        let (status, answer) = call(app, OTHER, "POST", path, Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{path}: {answer}");
    }
}

fn references() -> References {
    let of = |operation: &'static str, path: &str, field: &'static str, id: &str, body: Value| Reference {
        operation,
        path: path.to_owned(),
        field,
        body,
        id: id.to_owned(),
    };
    let made = |operation: &'static str, field, id: &str, body| of(operation, operation.split_once(' ').unwrap().1, field, id, body);
    let campaign = |more: Value| {
        let mut body = json!({"retailer_id": "rtl-grocer-cj", "name": "Mine"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let change = "PATCH /v1/campaigns/{campaign_id}";
    let cmp = "/v1/campaigns/cmp-other";
    let experiment = json!({
        "name": "Mine", "campaign_id": "", "definition": {
            "metric": {"name": "sales", "kind": "mean"}, "control_definition": "none",
            "design": {"kind": "ab", "arms": [{"name": "a", "share": 5000}, {"name": "b", "share": 5000}], "analysis": "fixed",
                "planned_end": "2026-01-20"},
        },
    });
    let mut of_tenant = experiment.clone();
    of_tenant["tenant_id"] = json!("");
    of_tenant["campaign_id"] = Value::Null;
    let log =
        json!({"session_id": "ses-mine", "campaign_id": "", "task_type": "t", "phase": "reflection", "decision_rationale": "Because"});
    let log_of_session = json!({"session_id": "", "task_type": "t", "phase": "reflection", "decision_rationale": "Because"});
    let plans = "POST /v1/campaigns/{campaign_id}/plans";
    let limited = |field: &str| json!({"total_budget": {"amount": "100", "currency": "USD"}, "constraints": {field: [""]}});
    let rows = json!({"rows": [{"date": "2026-02-01", "placement_type": "search", "sku_id": "", "clicks": 1}]});
    let all = vec![
        made("POST /v1/brands", "/tenant_id", "tnt-first", json!({"name": "Mine", "tenant_id": ""})),
        made("POST /v1/skus", "/brand_id", "brd-first", json!({"retailer_id": "rtl-grocer-cj", "name": "Mine", "brand_id": ""})),
        of("PATCH /v1/skus/{sku_id}", "/v1/skus/sku-other", "/brand_id", "brd-first", json!({"brand_id": ""})),
        of("PATCH /v1/brands/{brand_id}", "/v1/brands/brd-other", "/tenant_id", "tnt-first", json!({"tenant_id": ""})),
        made("POST /v1/campaigns", "/brand_id", "brd-first", campaign(json!({"brand_id": ""}))),
        made("POST /v1/campaigns", "/tenant_id", "tnt-first", campaign(json!({"tenant_id": ""}))),
        made("POST /v1/campaigns", "/target_skus/0", "sku-first", campaign(json!({"target_skus": [""]}))),
        made("POST /v1/campaigns", "/target_audiences/0", "seg-first", campaign(json!({"target_audiences": [""]}))),
        of(change, cmp, "/brand_id", "brd-first", json!({"brand_id": ""})),
        of(change, cmp, "/tenant_id", "tnt-first", json!({"tenant_id": ""})),
        of(change, cmp, "/target_skus/0", "sku-first", json!({"target_skus": [""]})),
        // With what it names now: the checks of a campaign that is to begin look its products up.
        of(
            "POST /v1/campaigns/{campaign_id}/transitions",
            "/v1/campaigns/cmp-other/transitions",
            "/reason",
            "sku-first",
            json!({"to": "scheduled", "reason": ""}),
        ),
        made(
            "POST /v1/campaigns/bulk",
            "/campaign_ids/0",
            "cmp-first",
            json!({"campaign_ids": [""], "transition": "scheduled", "on_error": "skip"}),
        ),
        made("POST /v1/campaigns/bulk", "/filter/tenant_id", "tnt-first", json!({"filter": {"tenant_id": ""}, "transition": "archived"})),
        made(
            "POST /v1/campaigns/bulk",
            "/change/brand_id",
            "brd-first",
            json!({"campaign_ids": ["cmp-other"], "change": {"brand_id": ""}}),
        ),
        of("POST /v1/campaigns/{campaign_id}/performance", "/v1/campaigns/cmp-other/performance", "/rows/0/sku_id", "sku-first", rows),
        made("POST /v1/experiments", "/campaign_id", "cmp-first", experiment),
        made("POST /v1/experiments", "/tenant_id", "tnt-first", of_tenant),
        of("PATCH /v1/experiments/{experiment_id}", "/v1/experiments/exp-other", "/campaign_id", "cmp-first", json!({"campaign_id": ""})),
        made("POST /v1/reflection-logs", "/campaign_id", "cmp-first", log),
        made("POST /v1/reflection-logs", "/session_id", "ses-first", log_of_session),
        of(plans, "/v1/campaigns/cmp-other/plans", "/constraints/excluded_skus/0", "sku-first", limited("excluded_skus")),
        of(plans, "/v1/campaigns/cmp-other/plans", "/constraints/excluded_audiences/0", "seg-first", limited("excluded_audiences")),
        made("POST /v1/api-keys", "/tenant_id", "tnt-first", json!({"name": "Mine", "role": "analyst", "tenant_id": ""})),
    ];
    References { all, others: OTHERS.into() }
}

const PUBLIC: &str = "retailers and their audiences are everybody's";
const OWN: &str = "the id of what is made, unique within its tenant";
const TAKEN: &str = "the id of what is made; unique among all, so that a taken one must be refused";

const OTHERS: [(&str, &str); 15] = [
    ("POST /v1/audience-segments retailer_id", PUBLIC),
    ("POST /v1/audience-segments segment_id", PUBLIC),
    ("POST /v1/brands brand_id", TAKEN),
    ("POST /v1/brands retailer_id", PUBLIC),
    ("POST /v1/campaigns campaign_id", OWN),
    ("POST /v1/campaigns retailer_id", PUBLIC),
    ("POST /v1/campaigns/{campaign_id}/clone campaign_id", OWN),
    ("POST /v1/campaigns/{campaign_id}/creatives creative_id", OWN),
    ("PUT /v1/campaigns/{campaign_id}/creatives/{creative_id} creative_id", OWN),
    ("POST /v1/creatives/check retailer_id", PUBLIC),
    ("POST /v1/experiments experiment_id", OWN),
    ("POST /v1/reflection-logs log_id", TAKEN),
    ("POST /v1/retailers retailer_id", PUBLIC),
    ("POST /v1/skus retailer_id", PUBLIC),
    ("POST /v1/skus sku_id", TAKEN),
];

#[actix_web::test]
async fn an_id_of_another_tenant_is_answered_like_an_id_of_nothing() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        let fixtures = fixtures(&bench, &app).await;
        own(&app).await;
        let document = serde_json::to_value(campaign_runtime::routes::openapi()).unwrap();
        walk_references(&document, &fixtures, &references(), |request| ask(&app, request)).await;
    }
}

/// PostgreSQL takes the character NUL in no text: whichever parameter holds it, the caller is told, and nothing breaks.
#[actix_web::test]
async fn every_parameter_of_every_route_refuses_the_character_nul_and_days_that_nobody_means() {
    for database in testkit::database::all() {
        let kind = database.kind();
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        let fixtures = fixtures(&bench, &app).await;
        let document = serde_json::to_value(campaign_runtime::routes::openapi()).unwrap();
        let (mut parameters, mut days) = (0, 0);
        for operation in operations(&document).into_iter().filter(|operation| operation.method == "GET") {
            let mut path = operation.path.clone();
            for name in &operation.path_parameters {
                let here = fixtures.ids_at.get(operation.name().as_str());
                let id = here.or_else(|| fixtures.ids.get(name.as_str())).or_else(|| fixtures.shared.get(name.as_str())).unwrap();
                path = path.replace(&format!("{{{name}}}"), id);
            }
            for name in &operation.query_parameters {
                let ask = async |value: &str| {
                    let needed = fixtures.needed.get(operation.name().as_str()).copied().unwrap_or_default();
                    let others = needed.split('&').filter(|pair| pair.split('=').next() != Some(name));
                    let query: Vec<String> =
                        others.filter(|pair| !pair.is_empty()).map(str::to_owned).chain([format!("{name}={value}")]).collect();
                    let url = format!("{path}?{}", query.join("&"));
                    let (status, text) = send(&app, TestRequest::get().uri(&url).insert_header(("apikey", OWNER))).await;
                    let named = serde_json::from_str::<Value>(&text).unwrap_or_default()["errors"][0]["field"].as_str() == Some(name);
                    (status, named || text.contains("invalid_cursor"), format!("{kind} {url}: {status} {text}"))
                };
                for value in ["%00", "a%00b"] {
                    let (status, is_named, what) = ask(value).await;
                    assert!(status == StatusCode::UNPROCESSABLE_ENTITY && is_named, "{what}");
                    parameters += 1;
                }
                if matches!(name.as_str(), "from" | "to" | "as_of" | "at" | "compare_from" | "compare_to") {
                    let time = if ask("2026-01-10").await.0 == StatusCode::UNPROCESSABLE_ENTITY { "T00:00:00Z" } else { "" };
                    for day in ["1899-12-31", "3000-01-01", "-262143-01-01", "%2B262142-12-31"] {
                        let (status, is_named, what) = ask(&format!("{day}{time}")).await;
                        assert!(status == StatusCode::UNPROCESSABLE_ENTITY && is_named, "{what}");
                        days += 1;
                    }
                }
            }
        }
        assert!(parameters > 150 && days > 40, "{parameters} {days}");
        let rows = json!({"rows": [{"unit": "a\u{0}b", "date": "2026-01-10", "value_sum": 1.0}]});
        let (status, answer) = call(&app, OWNER, "POST", "/v1/experiments/exp-first/observations", Some(rows)).await;
        assert_eq!((status, &answer["errors"][0]["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("rows[0].unit")), "{answer}");
        let csv = "unit,date,value_sum\na\0b,2026-01-10,1\nc,3000-01-01,1\n";
        let request = TestRequest::post().uri("/v1/experiments/exp-first/observations").insert_header(("apikey", OWNER));
        let (status, text) = send(&app, request.insert_header(("content-type", "text/csv")).set_payload(csv)).await;
        assert!(status == StatusCode::UNPROCESSABLE_ENTITY && text.contains("rows[0].unit") && text.contains("rows[1].date"), "{text}");
        assert!(!text.contains(MARKER));
    }
}

#[actix_web::test]
async fn days_of_campaigns_and_experiments_lie_in_years_that_people_mean() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        own(&app).await;
        let refused = async |method: &str, path: &str, body: Value, field: &str| {
            let (status, answer) = call(&app, OTHER, method, path, Some(body.clone())).await;
            let named = answer["errors"].as_array().into_iter().flatten().any(|error| error["field"] == field);
            assert!(status == StatusCode::UNPROCESSABLE_ENTITY && named, "{method} {path} {body}: {status} {answer}");
        };
        for day in ["1899-12-31", "3000-01-01", "+262142-12-31"] {
            for field in ["start_date", "end_date"] {
                refused("POST", "/v1/campaigns", json!({"retailer_id": "rtl-grocer-cj", "name": "n", field: day}), field).await;
                refused("PATCH", "/v1/campaigns/cmp-other", json!({field: day}), field).await;
                refused("POST", "/v1/campaigns/cmp-other/clone", json!({field: day}), field).await;
            }
            let bulk = json!({"campaign_ids": ["cmp-other"], "change": {"end_date": day}});
            let (status, answer) = call(&app, OTHER, "POST", "/v1/campaigns/bulk", Some(bulk)).await;
            let said = &answer["outcomes"][0]["errors"][0];
            assert_eq!((&answer["refused"], &said["field"]), (&json!(1), &json!("end_date")), "{status} {answer}");
            let (_, stored) = call(&app, OTHER, "GET", "/v1/experiments/exp-other", None).await;
            let mut definition = stored["definition"].clone();
            definition["design"]["planned_end"] = json!(day);
            refused("PATCH", "/v1/experiments/exp-other", json!({"definition": definition}), "definition.design.planned_end").await;
        }
        let (status, answer) = call(&app, OTHER, "POST", "/v1/experiments/exp-other/transitions", Some(json!({"to": "running"}))).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let rows = json!({"rows": [{"arm": "control", "date": "3000-01-01", "n": 10, "value_sum": 1.0, "value_sum_squares": 1.0}]});
        refused("POST", "/v1/experiments/exp-other/observations", rows, "rows[0].date").await;
    }
}
