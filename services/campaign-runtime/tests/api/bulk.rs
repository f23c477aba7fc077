//! Many campaigns at once: all or the good ones, for show or for real, an outcome for each.

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use crate::life::{made, ready};
use crate::{GROCER, OTHER, bench, call};

fn words(answer: &Value) -> Vec<&str> {
    answer["outcomes"].as_array().into_iter().flatten().filter_map(|one| one["outcome"].as_str()).collect()
}

#[actix_web::test]
async fn all_or_nothing_or_the_good_ones() {
    let bench = bench(None).await;
    let app = bench.app().await;
    for id in ["a", "b", "c"] {
        let mut body = ready(id);
        if id == "b" {
            body["target_skus"] = json!([]);
        }
        made(&app, body).await;
    }
    let bulk = |body: Value| call(&app, GROCER, "POST", "/v1/campaigns/bulk", Some(body));
    let (status, answer) = bulk(json!({"campaign_ids": ["a", "b", "c", "cmp-dm-09"], "transition": "scheduled"})).await;
    assert_eq!((status, words(&answer)), (StatusCode::OK, vec!["changed", "refused", "changed", "refused"]), "{answer}");
    assert_eq!((&answer["is_kept"], &answer["outcomes"][1]["errors"][0]["field"]), (&json!(false), &json!("target_skus")));
    assert_eq!(answer["outcomes"][3]["code"], "not_found", "another tenant's campaign");
    assert_eq!(call(&app, GROCER, "GET", "/v1/campaigns/a", None).await.1["version"], 1, "nothing was kept");

    let (_, answer) = bulk(json!({"campaign_ids": ["a", "b", "c"], "transition": "scheduled", "on_error": "skip", "dry_run": true})).await;
    assert_eq!((&answer["is_kept"], &answer["changed"], &answer["refused"]), (&json!(false), &json!(2), &json!(1)));
    assert_eq!(call(&app, GROCER, "GET", "/v1/campaigns/a", None).await.1["status"], "draft", "a dry run keeps nothing");

    let body =
        json!({"campaign_ids": ["a", "b", "c"], "transition": "scheduled", "on_error": "skip", "versions": {"c": 7}, "reason": "season"});
    let (_, answer) = bulk(body).await;
    assert_eq!((words(&answer), &answer["is_kept"]), (vec!["changed", "refused", "refused"], &json!(true)), "{answer}");
    assert_eq!((&answer["outcomes"][2]["code"], &answer["outcomes"][2]["version"]), (&json!("precondition_failed"), &json!(1)));
    let (_, history) = call(&app, GROCER, "GET", "/v1/campaigns/a/history", None).await;
    assert_eq!((&history["data"][0]["action"], &history["data"][0]["reason"]), (&json!("bulk"), &json!("season")));

    let (_, answer) = bulk(json!({"filter": {"status": "draft"}, "change": {"name": "Same", "objective": "awareness"}})).await;
    assert_eq!((words(&answer), &answer["is_kept"]), (vec!["changed", "changed"], &json!(true)), "{answer}");
    let (_, answer) = bulk(json!({"filter": {"status": "draft"}, "change": {"name": "Same"}})).await;
    assert_eq!((words(&answer), &answer["unchanged"]), (vec!["unchanged", "unchanged"], &json!(2)), "{answer}");
    let (_, answer) = bulk(json!({"campaign_ids": ["a"], "change": {"colour": 1}})).await;
    assert_eq!((&answer["outcomes"][0]["code"], &answer["outcomes"][0]["errors"][0]["field"]), (&json!("invalid_input"), &json!("colour")));
}

#[actix_web::test]
async fn a_bulk_request_is_bounded_and_definite() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let many: Vec<String> = (0..501).map(|at| format!("c{at}")).collect();
    let cases = [
        (json!({"transition": "paused"}), "campaign_ids"),
        (json!({"campaign_ids": ["a"], "filter": {"status": "draft"}, "transition": "paused"}), "campaign_ids"),
        (json!({"campaign_ids": [], "transition": "paused"}), "campaign_ids"),
        (json!({"campaign_ids": many, "transition": "paused"}), "campaign_ids"),
        (json!({"campaign_ids": ["a", "a"], "transition": "paused"}), "campaign_ids[1]"),
        (json!({"filter": {}, "transition": "paused"}), "filter"),
        (json!({"filter": {"colour": "red"}, "transition": "paused"}), "filter.colour"),
        (json!({"campaign_ids": ["a"]}), "change"),
        (json!({"campaign_ids": ["a"], "change": {}}), "change"),
        (json!({"campaign_ids": ["a"], "change": {"name": "x"}, "transition": "paused"}), "change"),
        (json!({"campaign_ids": ["a"], "transition": "asleep"}), "transition"),
    ];
    for (body, field) in cases {
        let (status, answer) = call(&app, OTHER, "POST", "/v1/campaigns/bulk", Some(body.clone())).await;
        assert_eq!((status, &answer["errors"][0]["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)), "{body}: {answer}");
    }
}
