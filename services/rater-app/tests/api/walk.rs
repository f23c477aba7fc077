//! Another tenant, on every route and with every filter: it sees nothing, changes nothing, and does not learn what is there.

use std::collections::BTreeMap;

use actix_web::http::header::AUTHORIZATION;
use actix_web::test::{TestRequest, call_service, read_body};
use domain::role::Role;
use serde_json::{Value, json};
use testkit::walk::{Fixtures, Request, operations, walk};

use crate::house::House;

const MARKER: &str = "onlyforthefirst";
const SIGN_IN: &str = "signs people in, and knows no tenant";

#[actix_web::test]
async fn another_tenant_sees_nothing_on_any_route() {
    let house = House::new(&[]);
    let app = app!(house);
    let app = &app;
    let send = |Request { credential, method, url, body }: Request| async move {
        let mut request = TestRequest::with_uri(&url).method(method.parse().unwrap());
        if let Some(token) = credential {
            request = request.insert_header((AUTHORIZATION, format!("Bearer {token}")));
        }
        if let Some(body) = body {
            request = request.set_json(body);
        }
        let response = call_service(app, request.to_request()).await;
        let status = response.status().as_u16();
        (status, String::from_utf8(read_body(response).await.to_vec()).unwrap())
    };
    let owner = house.sign("acc_a", Role::TenantAdmin, None, Some("tnt-a")).token;
    let task = json!({"task_id": "tsk-first", "task_type": "plan_quality", "title": MARKER, "prompt": MARKER,
        "candidate_a": {"text": format!("{MARKER} one")}, "candidate_b": {"text": format!("{MARKER} two")}});
    let (status, text) =
        send(Request { credential: Some(owner.clone()), method: "POST".to_owned(), url: "/v1/tasks".to_owned(), body: Some(task) }).await;
    assert_eq!(status, 201, "{text}");
    let none = || "none".to_owned();
    let filters = [
        ("task_type", "plan_quality"),
        ("status", "pending"),
        ("retailer_id", "rtl-x"),
        ("rater_id", "rtr-x"),
        ("source", "api"),
        ("is_golden", "false"),
        ("outcome", "waiting"),
        ("metric", ""),
        ("sort", ""),
        ("state", ""),
        ("limit", "50"),
        ("cursor", ""),
    ];
    let fixtures = Fixtures {
        ids: BTreeMap::from([("task_id", "tsk-first".to_owned())]),
        shared: BTreeMap::from([
            ("assignment_id", none()),
            ("judgment_id", none()),
            ("rater_id", none()),
            ("action_id", none()),
            ("task_type", "plan_quality".to_owned()),
        ]),
        filters: filters.map(|(name, value)| (name, value.to_owned())).into(),
        bodies: BTreeMap::from([
            ("POST /v1/reviews/{task_id}", json!({"choice": "candidate_a", "rationale": "because"})),
            ("POST /v1/reviews/{task_id}/blind", json!({"choice": "candidate_a", "confidence": 0.75})),
            ("POST /v1/golden/{task_id}/promote", json!({})),
            ("POST /v1/golden/{task_id}/keep", json!({})),
            ("POST /v1/golden/{task_id}/retire", json!({"reason": "because"})),
        ]),
        left_out: [
            "POST /auth/v1/signup",
            "POST /auth/v1/token",
            "POST /auth/v1/recover",
            "POST /auth/v1/logout",
            "GET /auth/v1/user",
            "PUT /auth/v1/user",
            "GET /auth/v1/health",
            "POST /session",
            "POST /session/refresh",
            "DELETE /session",
        ]
        .map(|name| (name, SIGN_IN))
        .into(),
        without_rows: BTreeMap::from([
            ("GET /v1/raters/me", "an administrator is no rater"),
            ("GET /v1/judgments", "an administrator is no rater"),
            ("GET /v1/raters/{rater_id}/stats", "raters work for every tenant"),
            ("GET /v1/leaderboard", "raters work for every tenant"),
            ("GET /v1/raters/me/answers", "an administrator is no rater"),
            ("GET /v1/reviews/next", "for reviewers only"),
            ("GET /v1/reviews", "for reviewers only"),
            ("GET /v1/reviews/{task_id}", "for reviewers only"),
            ("GET /v1/quality/errors", "for reviewers only"),
            ("GET /v1/quality/checks", "for reviewers only"),
            ("GET /v1/golden", "for reviewers only"),
            ("GET /v1/quality/raters", "raters work for every tenant; for reviewers only"),
            ("GET /v1/quality/actions", "raters work for every tenant; for reviewers only"),
            ("GET /v1/quality/agreement", "figures of all tenants together"),
        ]),
        marker: MARKER,
        owner,
        strangers: vec![
            ("tenant_admin (token)", house.sign("acc_b", Role::TenantAdmin, None, Some("tnt-b")).token),
            ("analyst (token)", house.sign("acc_b2", Role::Analyst, None, Some("tnt-b")).token),
            ("analyst without a tenant", house.sign("acc_b3", Role::Analyst, None, None).token),
        ],
        ..Fixtures::default()
    };
    let document: Value = serde_json::to_value(rater_app::routes::openapi()).unwrap();
    for operation in operations(&document) {
        let method = operation.method.parse().unwrap();
        let is_left_out = fixtures.left_out.contains_key(operation.name().as_str());
        assert!(
            is_left_out || web::scopes::needed(&method, &operation.path).is_some(),
            "{}: add its area to web::scopes",
            operation.name()
        );
    }
    walk(&document, &fixtures, send).await;
}
