//! LoRA adapters through the real router: from the files that PEFT saves to versions that cannot change.

use actix_web::test::TestRequest;
use domain::role::Role;
use rlhf_backend::worker;
use serde_json::{Value, json};

use crate::Service;
use crate::artifacts::{get, put, send};

pub(crate) const CONFIG: &[u8] = include_bytes!("../../../../crates/domain/tests/data/peft/pattern/adapter_config.json");
pub(crate) const WEIGHTS: &[u8] = include_bytes!("../../../../crates/domain/tests/data/peft/pattern/adapter_model.safetensors");

async fn upload(service: &Service, token: &str, folder: &str, config: &[u8], weights: &[u8]) {
    for (name, bytes) in [("adapter_config.json", config), ("adapter_model.safetensors", weights)] {
        let stored = put(service, token, &format!("model-artifacts/{folder}/{name}"), bytes, &[]).await;
        assert_eq!(stored.status, 201, "{:?}", stored.bytes);
    }
}

#[actix_web::test]
async fn an_adapter_is_registered_versioned_counted_and_kept_from_change() {
    let service = Service::new();
    let token = service.token(Role::Analyst, Some("tnt-a"));
    upload(&service, &token, "summariser/v1", CONFIG, WEIGHTS).await;
    upload(&service, &token, "summariser/v2", &[CONFIG, b"\n"].concat(), WEIGHTS).await;
    let register =
        |path: &'static str| service.post(&token, "/v1/adapters", json!({ "adapter_id": "summariser", "path": path, "note": "n" }));
    let first = register("summariser/v1").await;
    assert_eq!(first.status, 201, "{}", first.text());
    let first = first.json();
    assert_eq!((&first["version"], &first["lora_rank"], &first["parameters_count"]), (&json!(1), &json!(4), &json!(192)));
    assert_eq!((&first["details"]["modules_count"], &first["details"]["size_bytes"]), (&json!(4), &json!(WEIGHTS.len())));
    let again = register("summariser/v1").await;
    assert_eq!((again.status.as_u16(), &again.json()["version"]), (200, &json!(1)), "the same files are the same version");
    assert_eq!(register("summariser/v2").await.json()["version"], 2);

    service.task("t1", "p", "\"a\"", "\"b\"", "candidate_a", 0.9);
    service.task("t2", "p", "\"a\"", "\"b\"", "candidate_a", 0.9);
    service.sql("UPDATE rating_tasks SET adapter_id = 'summariser'");
    service.sql("UPDATE rating_tasks SET status = 'pending', judgments_count = 1 WHERE task_id = 't2'");
    let one = service.get(&token, "/v1/adapters/summariser").await.json();
    assert_eq!(one["tasks"], json!({ "total": 2, "decided": 1, "judgments": 4 }));
    assert_eq!(one["versions"].as_array().unwrap().iter().map(|v| v["version"].as_i64().unwrap()).collect::<Vec<_>>(), [2, 1]);
    let list = service.get(&token, "/v1/adapters").await.json();
    assert_eq!(
        (list["data"].as_array().unwrap().len(), &list["data"][0]["version"], &list["data"][0]["versions_count"]),
        (1, &json!(2), &json!(2))
    );
    let file = service.get(&token, "/v1/adapters?format=csv").await.text();
    let mut lines = file.lines();
    assert!(lines.next().unwrap().starts_with("adapter_id,tenant_id,version,versions_count,"), "{file}");
    assert!(lines.next().unwrap().starts_with("summariser,tnt-a,2,2,") && lines.next().is_none(), "{file}");
    let nobody = service.get(&service.token(Role::Analyst, None), "/v1/adapters").await;
    assert!(
        nobody.status == 404 && nobody.text().contains("belongs to no tenant") && !nobody.text().contains("of yours"),
        "{}",
        nobody.text()
    );
    let page = service.get(&token, "/adapters").await;
    for words in ["summariser", "of 2 versions", "4 modules in F32", "Not compared", "Adapters of tnt-a"] {
        assert!(page.text().contains(words), "{words}: {}", page.text());
    }
    // The platform has none of its own, and sees whose there are.
    let admin = service.token(Role::PlatformAdmin, None);
    let page = service.get(&admin, "/adapters").await.text();
    assert!(page.contains("No adapter of the platform yet") && page.contains("<option value=\"tnt-a\">tnt-a</option>"), "{page}");
    let page = service.get(&admin, "/adapters?tenant_id=tnt-a").await.text();
    for words in ["summariser", "Adapters of tnt-a", "adapter_config.json?tenant_id=tnt-a\"", "/v1/adapters?tenant_id=tnt-a&amp;format=csv"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    let other = service.token(Role::Analyst, Some("tnt-b"));
    assert_eq!(service.get(&other, "/adapters?tenant_id=tnt-a").await.status, 404);
    assert!(!service.get(&other, "/adapters").await.text().contains("tnt-a"));
    let expert = service.get(&service.token(Role::Expert, None), "/adapters").await.text();
    assert!(expert.contains("No adapters of your own") && expert.contains("ask somebody of the tenant"), "{expert}");

    let file = "model-artifacts/summariser/v1/adapter_model.safetensors";
    let changed = put(&service, &token, &format!("{file}?overwrite=true"), b"other", &[]).await;
    assert_eq!((changed.status, changed.json()["code"].as_str()), (409, Some("artifact_in_use")));
    let remove = |path: String| send(&service, &token, TestRequest::delete().uri(&path), &[]);
    assert_eq!(remove(format!("/v1/artifacts/{file}")).await.status, 409);
    assert!(get(&service, &token, file, &[]).await.bytes == WEIGHTS);
    let other = service.token(Role::Analyst, Some("tnt-b"));
    assert_eq!(service.get(&other, "/v1/adapters/summariser").await.status, 404);
    assert_eq!(send(&service, &other, TestRequest::delete().uri("/v1/adapters/summariser/versions/1"), &[]).await.status, 404);
    assert_eq!(remove("/v1/adapters/summariser/versions/x".to_owned()).await.status, 404);
    assert_eq!(remove("/v1/adapters/summariser/versions/1".to_owned()).await.status, 204);
    assert_eq!(remove(format!("/v1/artifacts/{file}")).await.status, 204);
}

#[actix_web::test]
async fn files_that_are_no_adapter_are_refused_with_the_reason() {
    let service = Service::new();
    let token = service.token(Role::Analyst, Some("tnt-a"));
    let cut = &WEIGHTS[..WEIGHTS.len() - 1];
    let higher = String::from_utf8(CONFIG.to_vec()).unwrap().replace("\"r\": 4", "\"r\": 8");
    upload(&service, &token, "cut", CONFIG, cut).await;
    upload(&service, &token, "higher", higher.as_bytes(), WEIGHTS).await;
    upload(&service, &token, "zip", CONFIG, b"PK\x03\x04 a file of torch.save").await;
    upload(&service, &token, "empty", b"", b"").await;
    put(&service, &token, "model-artifacts/pickle/adapter_config.json", CONFIG, &[]).await;
    put(&service, &token, "model-artifacts/pickle/adapter_model.bin", b"x", &[]).await;
    put(&service, &token, "model-artifacts/half/adapter_config.json", CONFIG, &[]).await;
    for (path, status, words) in [
        ("cut", 422, "cut off"),
        ("higher", 422, "with rank 8 they must be [8, in]"),
        ("zip", 422, "pickle"),
        ("empty", 422, "too few"),
        ("pickle", 422, "adapter_model.bin, a pickle"),
        ("half", 404, "adapter_model.safetensors"),
        ("nothing", 404, "adapter_config.json"),
        ("../x", 422, "\\\"..\\\""),
    ] {
        let refused = service.post(&token, "/v1/adapters", json!({ "adapter_id": "a", "path": path })).await;
        assert_eq!(refused.status.as_u16(), status, "{path}: {}", refused.text());
        assert!(refused.text().contains(words), "{path}: {}", refused.text());
    }
    assert_eq!(service.get(&token, "/v1/adapters").await.json()["data"], json!([]));
    let expert = service.token(Role::Expert, Some("tnt-a"));
    assert_eq!(service.post(&expert, "/v1/adapters", json!({ "adapter_id": "a", "path": "cut" })).await.status, 403);
}

#[actix_web::test]
async fn a_trained_model_is_there_as_files_for_the_platform() {
    let service = Service::new();
    service.judge_plans();
    let admin = service.token(Role::PlatformAdmin, None);
    let queued = service.post(&admin, "/v1/reward-models/train", json!({ "task_type": "plan_quality" })).await;
    assert_eq!(queued.status, 202);
    assert!(worker::work_once(&service.state).await.unwrap());
    let models = service.get(&admin, "/v1/reward-models").await.json();
    let id = models["data"][0]["model_id"].as_str().unwrap();
    let card = get(&service, &admin, &format!("model-artifacts/reward-models/{id}/card.json"), &[]).await.json();
    assert_eq!(card["model_id"], json!(id));
    let file: Value = get(&service, &admin, &format!("model-artifacts/reward-models/{id}/reward-model.json"), &[]).await.json();
    learning::reward::model::RewardModel::from_json(&file["models"][""].to_string()).unwrap();
    let page = service.get(&admin, &format!("/models/{id}")).await.text();
    assert!(page.contains(&format!("/v1/artifacts/model-artifacts/reward-models/{id}/reward-model.json")), "{page}");
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    assert!(!service.get(&analyst, &format!("/models/{id}")).await.text().contains("reward-model.json"), "others learnt from it too");
    assert_eq!(get(&service, &analyst, &format!("model-artifacts/reward-models/{id}/card.json"), &[]).await.status, 404);
}
