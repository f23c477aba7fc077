//! Another tenant, on every route and with every filter: it sees nothing, changes nothing, and does not learn what is there.

use std::collections::BTreeMap;

use actix_web::http::header::AUTHORIZATION;
use actix_web::test::TestRequest;
use actix_web::{App, test};
use domain::role::Role;
use domain::scope::Scope;
use rlhf_backend::routes;
use serde_json::{Value, json};
use storage::audit::{self, NewEntry};
use storage::jobs::{self, NewJob};
use testkit::walk::{Fixtures, Request, operations, walk};

use crate::adapters::{CONFIG, WEIGHTS};
use crate::artifacts::put;
use crate::{Service, T};

const MARKER: &str = "onlyforthefirst";

#[actix_web::test]
async fn another_tenant_sees_nothing_on_any_route() {
    let service = Service::with(&[("ENDCAP_SEAL_KEYS", &web::sealing::SealKeys::generate())]);
    let owner = service.token(Role::TenantAdmin, Some("tnt-a"));
    let given = json!({"brand_id": "brand-a", "task_type": "plan_quality", "prompt": MARKER, "model_output": MARKER, "feedback_type": "rating", "rating": 4});
    // A rule that asks about this rating, so that there is something to see of it, and in the audit log.
    let rule = json!({"is_on": true, "max_rating": 4, "thumbs_down": true, "corrections": true, "preferences": false, "daily_limit": 9});
    let set = TestRequest::put().uri("/v1/feedback/rules/brand-a").set_json(rule);
    assert_eq!(service.send(&owner, set).await.status.as_u16(), 200);
    let answer = service.post(&owner, "/v1/feedback", given).await;
    assert_eq!(answer.status.as_u16(), 201, "{}", answer.text());
    let stored: Value = serde_json::from_str(&answer.text()).unwrap();
    let of_a = Scope::for_caller("acc", Role::Analyst, Some("tnt-a"));
    let new = NewJob { kind: "train", tenant_id: Some("tnt-a".to_owned()), input: json!({"note": MARKER}) };
    let job = jobs::enqueue(&mut service.database.connect(), &of_a, &new, service.state.clock.now()).unwrap();
    let config = String::from_utf8(CONFIG.to_vec()).unwrap().replace("\"revision\": null", &format!("\"revision\": \"{MARKER}\""));
    for (name, bytes) in [("adapter_config.json", config.as_bytes()), ("adapter_model.safetensors", WEIGHTS)] {
        let stored = put(&service, &owner, &format!("model-artifacts/folder/{name}"), bytes, &[]).await;
        assert_eq!(stored.status, 201);
    }
    let adapter = json!({"adapter_id": "adapter-1", "path": "folder", "note": MARKER});
    assert_eq!(service.post(&owner, "/v1/adapters", adapter).await.status.as_u16(), 201);
    let file = "folder/adapter_config.json".to_owned();
    let entry = NewEntry {
        tenant_id: Some("tnt-a".to_owned()),
        action: "feedback_rule.set",
        subject: "brand:brand-a".to_owned(),
        detail: json!({"note": MARKER}),
    };
    let owners = Scope::for_caller("acc_tenant_admin", Role::TenantAdmin, Some("tnt-a"));
    let append =
        move |conn: &mut storage::connection::Connection| audit::append(conn, &owners, &entry, "2026-01-15T12:00:00Z".parse().unwrap());
    service.database.storage.transaction(append).await.unwrap();
    let hook = json!({"url": format!("https://1.1.1.1/{MARKER}"), "description": MARKER, "event_types": ["task.decided"]});
    let hook = service.post(&owner, "/v1/webhooks", hook).await.json();
    let webhook_id = hook["webhook_id"].as_str().unwrap().to_owned();
    let sent = service.post(&owner, &format!("/v1/webhooks/{webhook_id}/test"), json!({})).await.json();
    // The body of a test says who sent it; the marker takes the place of the address.
    service.sql(&format!(
        "UPDATE webhook_deliveries SET payload = '{MARKER}', last_error = '{MARKER}', status = 'failed', next_attempt_at = NULL"
    ));
    service.sql(&format!(
        "INSERT INTO retailers (retailer_id, name, schema_version, mapping_config, policies, creative_specs, timezone, is_active, created_at, updated_at) \
         VALUES ('rtl-x', 'R', '1', '{{}}', '{{}}', '{{}}', 'UTC', TRUE, {T}, {T})"
    ));
    let filters = [
        ("webhook_id", webhook_id.as_str()),
        ("status", "failed"),
        ("event_type", "webhook.test"),
        ("prefix", "folder"),
        ("tenant_id", "tnt-a"),
        ("expires", "4000000000"),
        ("signature", "00"),
        ("brand_id", "brand-a"),
        ("retailer_id", "rtl-x"),
        ("task_type", "plan_quality"),
        ("feedback_type", "rating"),
        ("user_id", "acc_tenant_admin"),
        ("from", "2026-01-01"),
        ("to", "2026-02-01"),
        ("session_id", "s"),
        ("search", MARKER),
        ("split", "train"),
        ("min_posterior", "0.5"),
        ("include_simulated", "true"),
        ("format", "jsonl"),
        ("state", "waiting"),
        ("action", "feedback_rule.set"),
        ("subject", "brand:brand-a"),
        ("actor", "acc_tenant_admin"),
        ("date", "2026-01-10"),
        ("figure", "total_judgments"),
        ("is_active", "true"),
        ("active", "true"),
        ("limit", "500"),
        ("cursor", ""),
    ];
    let fixtures = Fixtures {
        ids: BTreeMap::from([
            ("brand_id", "brand-a".to_owned()),
            ("feedback_id", stored["feedback_id"].as_str().unwrap().to_owned()),
            ("job_id", job.job_id),
            ("adapter_id", "adapter-1".to_owned()),
            ("version", "1".to_owned()),
            ("webhook_id", webhook_id.clone()),
            ("delivery_id", sent["delivery_id"].as_str().unwrap().to_owned()),
        ]),
        shared: BTreeMap::from([
            ("model_id", "mdl-none".to_owned()),
            ("profile", "trl-preference".to_owned()),
            ("bucket", "model-artifacts".to_owned()),
            ("path", file),
        ]),
        filters: filters.map(|(name, value)| (name, value.to_owned())).into(),
        without_rows: BTreeMap::from([
            ("GET /v1/feedback/stats", "counts only"),
            ("GET /v1/reward-models", "models are the platform's"),
            ("GET /v1/reward-models/{model_id}", "models are the platform's"),
            ("GET /v1/reward-models/{model_id}/watch", "models are the platform's"),
            ("GET /v1/rlhf-metrics", "key figures are the platform's"),
            ("GET /v1/rlhf-metrics/sources", "the rows behind them too"),
            ("GET /v1/active-learning", "choosing is the platform's"),
            ("GET /v1/webhook-event-types", "the same for everybody"),
        ]),
        marker: MARKER,
        owner,
        strangers: vec![
            ("tenant_admin (token)", service.token(Role::TenantAdmin, Some("tnt-b"))),
            ("analyst (token)", service.token(Role::Analyst, Some("tnt-b"))),
            ("analyst without a tenant", service.token(Role::Analyst, None)),
        ],
        bodies: BTreeMap::from([
            (
                "PUT /v1/feedback/rules/{brand_id}",
                json!({"is_on": true, "max_rating": 2, "thumbs_down": true, "corrections": true, "preferences": false, "daily_limit": 9}),
            ),
            ("PATCH /v1/webhooks/{webhook_id}", json!({"description": "taken", "is_enabled": false})),
            ("POST /v1/webhooks/{webhook_id}/rotate-secret", json!({})),
            ("POST /v1/webhooks/{webhook_id}/test", json!({})),
            ("POST /v1/webhooks/{webhook_id}/replay", json!({"since": "2026-01-01T00:00:00Z"})),
            ("POST /v1/webhook-deliveries/{delivery_id}/replay", json!({})),
            ("POST /v1/webhook-deliveries/{delivery_id}/send-now", json!({})),
        ]),
        needed: BTreeMap::from([("GET /v1/rlhf-metrics/sources", "date=2026-01-10&figure=total_judgments")]),
        ..Fixtures::default()
    };
    let document = serde_json::to_value(routes::openapi()).unwrap();
    for operation in operations(&document) {
        let method = operation.method.parse().unwrap();
        assert!(web::scopes::needed(&method, &operation.path).is_some(), "{}: add its area to web::scopes", operation.name());
    }
    let state = service.state.clone();
    let app = test::init_service(App::new().configure(|routes| routes::configure_public(routes, &state))).await;
    let app = &app;
    walk(&document, &fixtures, |Request { credential, method, url, body }| async move {
        let mut request = TestRequest::with_uri(&url).method(method.parse().unwrap());
        if let Some(token) = credential {
            request = request.insert_header((AUTHORIZATION, format!("Bearer {token}")));
        }
        if let Some(body) = body {
            request = request.set_json(body);
        }
        let response = test::call_service(app, request.to_request()).await;
        let status = response.status().as_u16();
        (status, String::from_utf8(test::read_body(response).await.to_vec()).unwrap())
    })
    .await;
}
