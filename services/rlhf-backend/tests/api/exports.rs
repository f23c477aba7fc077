use std::collections::BTreeSet;

use domain::role::Role;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::Service;

/// Three decided tasks (one too unsure, one judged by a simulation), and one of each kind of feedback.
async fn filled() -> Service {
    let service = Service::new();
    service.task("t1", "Plan Q4", "\"Spend all on search\"", "{\"text\":\"Spread it\"}", "candidate_b", 0.8);
    service.task("t2", "Plan Q1", "\"A\"", "\"B\"", "candidate_a", 0.6);
    service.task("t3", "Plan Q2", "\"A\"", "\"C\"", "candidate_a", 0.9);
    service.judgment("t1", "rtr_person", "candidate_b", 0);
    service.judgment("t3", "rtr_program", "candidate_a", 1);
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    for extra in [
        json!({ "feedback_type": "thumbs_up" }),
        json!({ "feedback_type": "rating", "rating": 2 }),
        json!({ "feedback_type": "rating", "rating": 3 }),
        json!({ "feedback_type": "preference", "preferred_output": "good", "rejected_output": "bad" }),
        json!({ "feedback_type": "correction", "preferred_output": "fixed" }),
    ] {
        let mut body = json!({ "brand_id": "brand-a", "task_type": "plan_quality", "prompt": "Ask", "model_output": "out" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        assert_eq!(service.post(&analyst, "/v1/feedback", body).await.status, 201);
    }
    service
}

#[actix_web::test]
async fn each_profile_gives_exactly_these_bytes() {
    let service = filled().await;
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    let expected = [
        (
            "trl-preference",
            "{\"prompt\":\"Plan Q4\",\"chosen\":\" Spread it\",\"rejected\":\" Spend all on search\"}\n\
             {\"prompt\":\"Plan Q2\",\"chosen\":\" A\",\"rejected\":\" C\"}\n\
             {\"prompt\":\"Ask\",\"chosen\":\" good\",\"rejected\":\" bad\"}\n\
             {\"prompt\":\"Ask\",\"chosen\":\" fixed\",\"rejected\":\" out\"}\n",
        ),
        ("sft", "{\"prompt\":[{\"role\":\"user\",\"content\":\"Ask\"}],\"completion\":[{\"role\":\"assistant\",\"content\":\"fixed\"}]}\n"),
    ];
    for (profile, text) in expected {
        let answer = service.get(&analyst, &format!("/v1/exports/{profile}")).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, text));
    }
    let kto = service.get(&analyst, "/v1/exports/kto").await.text();
    let labels: Vec<bool> = kto.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["label"].as_bool().unwrap()).collect();
    // One answer has one label: "out" was liked once, and disliked and corrected.
    assert_eq!(labels, [true, false, true, false, false, true, false, true]);
    let reward = service.get(&analyst, "/v1/exports/reward").await.text();
    let first: Value = serde_json::from_str(reward.lines().next().unwrap()).unwrap();
    assert!((first["margin"].as_f64().unwrap() - 4.0_f64.ln()).abs() < 1e-3, "log-odds of .8");
    assert_eq!(service.get(&service.token(Role::Analyst, Some("tnt-b")), "/v1/exports/trl-preference").await.text(), "");
}

#[actix_web::test]
async fn a_retailer_that_is_not_there_is_refused_and_not_an_empty_file() {
    let service = filled().await;
    let admin = service.token(Role::PlatformAdmin, None);
    for path in [
        "/v1/exports/kto?retailer_id=rtl-none",
        "/v1/exports/kto/manifest?retailer_id=rtl-none",
        "/v1/rlhf-metrics?retailer_id=rtl-none",
        "/v1/rlhf-metrics/sources?date=2026-01-10&figure=total_judgments&retailer_id=rtl-none",
    ] {
        let answer = service.get(&admin, path).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["errors"][0]["field"]), (422, &json!("retailer_id")), "{path}");
    }
    assert_eq!(service.get(&admin, "/v1/feedback?brand_id=brand-none").await.status, 404);
    let found = service.get(&admin, "/v1/feedback?search=FIXED").await.json();
    assert_eq!((found["data"].as_array().map(Vec::len), &found["data"][0]["feedback_type"]), (Some(1), &json!("correction")), "{found}");
    assert_eq!(service.get(&admin, &format!("/v1/feedback?search={}", "x".repeat(101))).await.status, 422);
    let tenant = service.token(Role::Analyst, Some("tnt-a"));
    let page = service.get(&tenant, "/feedback/brand-a?search=fixed").await.text();
    assert!(page.contains("value=\"fixed\"") && page.contains("Correction") && !page.contains("Nothing like this"), "{page}");
    assert!(service.get(&tenant, "/feedback/brand-a?search=nowhere").await.text().contains("Nothing like this"));
    assert!(
        service.get(&tenant, "/dashboard").await.text().contains("those of tnt-a; key figures and reward models are the whole platform")
    );
}

/// The columns are those that TRL (1.10) and HH-RLHF read; any other column would reach the trainer.
#[actix_web::test]
async fn lines_hold_the_columns_of_the_trainers_and_no_other() {
    let service = filled().await;
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    for (profile, columns) in [
        ("trl-preference", vec!["chosen", "prompt", "rejected"]),
        ("trl-preference-chat", vec!["chosen", "prompt", "rejected"]),
        ("kto", vec!["completion", "label", "prompt"]),
        ("reward", vec!["chosen", "margin", "rejected"]),
        ("hh-rlhf", vec!["chosen", "rejected"]),
        ("sft", vec!["completion", "prompt"]),
    ] {
        let answer = service.get(&analyst, &format!("/v1/exports/{profile}")).await.text();
        assert!(!answer.is_empty(), "{profile}");
        for line in answer.lines() {
            let fields: BTreeSet<String> =
                serde_json::from_str::<serde_json::Map<String, Value>>(line).unwrap().into_iter().map(|(k, _)| k).collect();
            assert_eq!(fields.iter().map(String::as_str).collect::<Vec<_>>(), columns, "{profile}");
        }
    }
}

#[actix_web::test]
async fn the_manifest_describes_the_bytes_and_what_was_left_out() {
    let service = filled().await;
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    let bytes = service.get(&analyst, "/v1/exports/trl-preference").await.bytes;
    let manifest = service.get(&analyst, "/v1/exports/trl-preference/manifest").await.json();
    let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        (&manifest["sha256"], &manifest["rows"], &manifest["rows_resting_on_simulated_raters"]),
        (&json!(sha256), &json!(4), &json!(1))
    );
    assert_eq!(manifest["dropped"], json!({ "posterior_below_minimum": 1, "feedback_without_a_pair": 3 }));
    let people = service.get(&analyst, "/v1/exports/trl-preference/manifest?include_simulated=false&min_posterior=0.5").await.json();
    assert_eq!((&people["rows"], &people["dropped"]["simulated_raters"]), (&json!(4), &json!(1)));
    let mut parts = 0;
    for split in ["train", "validation", "test"] {
        parts +=
            service.get(&analyst, &format!("/v1/exports/trl-preference/manifest?split={split}")).await.json()["rows"].as_u64().unwrap();
    }
    assert_eq!(parts, 4, "the parts make up the whole");
    let judgments = service.get(&analyst, "/v1/exports/judgments").await.text();
    let line: Value = serde_json::from_str(judgments.lines().next().unwrap()).unwrap();
    assert_eq!((&line["task"], &line["label"], &line["is_simulated"]), (&json!("t1"), &json!("candidate_b"), &json!(false)));
    assert!(!judgments.contains("rtr_person"), "raters are under a pseudonym");
}

#[actix_web::test]
async fn wrong_filters_are_refused_by_name() {
    let service = Service::new();
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    for (path, status) in [
        ("/v1/exports/none", 404),
        ("/v1/exports/kto?format=csv", 422),
        ("/v1/exports/judgments/provenance", 422),
        ("/v1/exports/kto/provenance?format=parquet", 422),
        ("/v1/exports/kto?split=dev", 422),
        ("/v1/exports/kto?min_posterior=2", 422),
        ("/v1/exports/kto?from=soon", 422),
    ] {
        assert_eq!(service.get(&analyst, path).await.status.as_u16(), status, "{path}");
    }
}
