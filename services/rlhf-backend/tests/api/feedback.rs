use actix_web::test::TestRequest;
use domain::role::Role;
use serde_json::{Value, json};

use crate::Service;

fn body(kind: &str, extra: Value) -> Value {
    let mut body = json!({ "brand_id": "brand-a", "task_type": "plan_quality", "prompt": "p", "model_output": "o", "feedback_type": kind });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

#[actix_web::test]
async fn every_kind_is_stored_when_good_and_names_its_fields_when_not() {
    let service = Service::new();
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    for (kind, extra) in [
        ("thumbs_up", json!({})),
        ("thumbs_down", json!({ "metadata": { "page": 1 } })),
        ("rating", json!({ "rating": 4 })),
        ("preference", json!({ "preferred_output": "x", "rejected_output": "y" })),
        ("correction", json!({ "preferred_output": "better" })),
    ] {
        let answer = service.post(&analyst, "/v1/feedback", body(kind, extra)).await;
        assert_eq!(answer.status, 201, "{kind}: {}", answer.text());
        let row = answer.json();
        assert_eq!((row["tenant_id"].as_str(), row["feedback_type"].as_str()), (Some("tnt-a"), Some(kind)));
        let read = service.get(&analyst, &format!("/v1/feedback/{}", row["feedback_id"].as_str().unwrap())).await;
        assert_eq!(read.json(), row);
    }
    for (kind, extra, field) in [
        ("thumbs_up", json!({ "rating": 3 }), "rating"),
        ("rating", json!({ "rating": 6 }), "rating"),
        ("preference", json!({ "preferred_output": "x" }), "rejected_output"),
        ("correction", json!({ "preferred_output": "o" }), "preferred_output"),
        ("thumbs_up", json!({ "stars": 5 }), "stars"),
        ("thumbs_up", json!({ "brand_id": "brand-b" }), "brand_id"),
        ("thumbs_up", json!({ "user_id": "somebody" }), "user_id"),
        ("thumbs_up", json!({ "prompt": " " }), "prompt"),
    ] {
        let answer = service.post(&analyst, "/v1/feedback", body(kind, extra)).await;
        assert_eq!(answer.status, 422, "{}", answer.text());
        assert_eq!(answer.json()["errors"][0]["field"], field);
    }
    let statistics = service.get(&analyst, "/v1/feedback/stats?brand_id=brand-a&from=2026-01-15&to=2026-01-15").await.json();
    assert_eq!((&statistics["total"], &statistics["mean_rating"], &statistics["ratings"]), (&json!(5), &json!(4.0), &json!(1)));
    // Far dates are neither counted twice nor lost.
    for far in ["from=0001-01-01", "from=1000-01-01", "to=9999-12-31", "from=0001-01-01&to=9999-12-31"] {
        let counted = service.get(&analyst, &format!("/v1/feedback/stats?brand_id=brand-a&{far}")).await.json();
        let all = service.get(&analyst, "/v1/feedback/stats?brand_id=brand-a").await.json();
        assert_eq!(counted["total"], all["total"], "{far}");
    }
    assert_eq!(service.get(&analyst, "/v1/feedback/stats?brand_id=brand-b").await.status, 404);
    let other = service.token(Role::Analyst, Some("tnt-b"));
    assert_eq!(service.get(&other, "/v1/feedback").await.json()["data"], json!([]));
    assert_eq!(service.post(&service.token(Role::Rater, None), "/v1/feedback", body("thumbs_up", json!({}))).await.status, 403);
}

#[actix_web::test]
async fn a_list_continues_after_its_cursor() {
    let service = Service::new();
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    for _ in 0..3 {
        service.post(&analyst, "/v1/feedback", body("thumbs_up", json!({}))).await;
    }
    let first = service.get(&analyst, "/v1/feedback?limit=2").await.json();
    assert_eq!(first["data"].as_array().unwrap().len(), 2);
    let next = service.get(&analyst, &format!("/v1/feedback?limit=2&cursor={}", first["next_cursor"].as_str().unwrap())).await.json();
    assert_eq!((next["data"].as_array().unwrap().len(), &next["next_cursor"]), (1, &Value::Null));
    assert_eq!(service.get(&analyst, "/v1/feedback?cursor=nonsense").await.status, 422);
}

#[actix_web::test]
async fn a_repeated_request_is_answered_alike_and_done_once() {
    let service = Service::new();
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    let send = |body: Value| {
        let request = TestRequest::post().uri("/v1/feedback").insert_header(("Idempotency-Key", "k-1")).set_json(body);
        service.send(&analyst, request)
    };
    let first = send(body("thumbs_up", json!({}))).await;
    let again = send(body("thumbs_up", json!({}))).await;
    assert_eq!((first.status, first.json()), (again.status, again.json()));
    let other = send(body("thumbs_down", json!({}))).await;
    assert_eq!((other.status.as_u16(), &other.json()["code"]), (409, &json!("idempotency_key_reused")));
    assert_eq!(service.get(&analyst, "/v1/feedback").await.json()["data"].as_array().unwrap().len(), 1);
}

#[actix_web::test]
async fn a_batch_is_stored_whole_or_not_at_all() {
    let service = Service::new();
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    let wrong =
        json!({ "items": [body("thumbs_up", json!({})), body("rating", json!({})), body("thumbs_up", json!({ "brand_id": "brand-x" }))] });
    let answer = service.post(&analyst, "/v1/feedback/batch", wrong).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["errors"][0]["field"]), (422, &json!("items[1].rating")));
    let unknown = json!({ "items": [body("thumbs_up", json!({})), body("thumbs_up", json!({ "brand_id": "brand-x" }))] });
    let answer = service.post(&analyst, "/v1/feedback/batch", unknown).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["errors"][0]["field"]), (422, &json!("items[1].brand_id")));
    assert_eq!(service.get(&analyst, "/v1/feedback").await.json()["data"], json!([]), "nothing of a refused batch is kept");
    let good = json!({ "items": vec![body("thumbs_up", json!({})); 3] });
    let answer = service.post(&analyst, "/v1/feedback/batch", good).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["count"]), (201, &json!(3)));
    assert_eq!(service.post(&analyst, "/v1/feedback/batch", json!({ "items": [] })).await.status, 422);
}

#[actix_web::test]
async fn personal_data_are_masked_before_feedback_is_stored() {
    let service = Service::new();
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    let extra = json!({ "prompt": "Ann, ann@example.com, about SKU 829123", "preferred_output": "call +49 170 1234567", "metadata": { "ip": "192.0.2.1", "n": 5 } });
    let answer = service.post(&analyst, "/v1/feedback", body("correction", extra)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let row = answer.json();
    assert_eq!((&row["prompt"], &row["preferred_output"]), (&json!("Ann, [email], about SKU 829123"), &json!("call [phone]")));
    assert_eq!(row["metadata"], json!({ "ip": "[ip address]", "n": 5 }));
}
