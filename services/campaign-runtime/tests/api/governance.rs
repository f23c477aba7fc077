//! Governance over HTTP: typed policies, creatives and their findings as a guard, keys of retailers that nobody reads back.

use actix_web::http::StatusCode;
use campaign_runtime::retention;
use campaign_runtime::state::State;
use serde_json::{Value, json};
use storage::retailers;
use web::sealing::{SealKeys, key_id_of, place_of_retailer};
use web::settings::Settings;

use crate::life::{made, ready};
use crate::{Bench, Client, GROCER, OTHER, PLATFORM, bench, call};

fn creative(headline: &str) -> Value {
    json!({"creative_id": "k1", "name": "Banner", "content": {"format": "text", "texts": {"headline": headline, "body": "Fresh. While stocks last."}}})
}

async fn with_policy(app: &Client, policy: Value) {
    let (status, answer) = call(app, PLATFORM, "PATCH", "/v1/retailers/rtl-grocer-cj", Some(json!({"policies": policy}))).await;
    assert_eq!((status, &answer["policies"]), (StatusCode::OK, &policy), "{answer}");
}

fn policy() -> Value {
    json!({"disallowed_terms": ["miracle"], "required_disclaimers": ["While stocks last."], "max_headline_length": 30, "min_cell_size": 50})
}

#[actix_web::test]
async fn policies_and_zones_of_the_wrong_type_are_refused() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let cases = [
        (json!({"policies": {"min_cell_size": "50"}}), "policies.min_cell_size"),
        (json!({"policies": {"dissallowed_terms": []}}), "policies.dissallowed_terms"),
        (json!({"policies": {"disallowed_terms": [1]}}), "policies.disallowed_terms"),
        (json!({"creative_specs": {"formats": {"b": {"aspect_ratios": ["wide"]}}}}), "creative_specs.formats.b.aspect_ratios[0]"),
        (json!({"timezone": "New York"}), "timezone"),
    ];
    for (change, field) in cases {
        let (status, answer) = call(&app, PLATFORM, "PATCH", "/v1/retailers/rtl-grocer-cj", Some(change.clone())).await;
        assert_eq!((status, &answer["errors"][0]["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)), "{change}: {answer}");
        let mut body = change;
        body["name"] = json!("R");
        assert_eq!(call(&app, PLATFORM, "POST", "/v1/retailers", Some(body)).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    }
}

#[actix_web::test]
async fn a_creative_that_breaks_the_policy_keeps_its_campaign_from_running() {
    let bench = bench(None).await;
    let app = bench.app().await;
    with_policy(&app, policy()).await;
    let check = json!({"retailer_id": "rtl-grocer-cj", "creative": creative("A m-i-r-a-c-l-e")["content"]});
    let (status, answer) = call(&app, GROCER, "POST", "/v1/creatives/check", Some(check)).await;
    assert_eq!((status, &answer["is_compliant"]), (StatusCode::OK, &json!(false)), "{answer}");
    assert_eq!((&answer["findings"][0]["rule"], &answer["findings"][0]["place"]), (&json!("disallowed_term"), &json!("texts.headline")));

    made(&app, ready("c1")).await;
    let (status, row) = call(&app, GROCER, "POST", "/v1/campaigns/c1/creatives", Some(creative("A miracle"))).await;
    assert_eq!(
        (status, &row["is_compliant"], &row["findings"][0]["rule"]),
        (StatusCode::CREATED, &json!(false), &json!("disallowed_term")),
        "{row}"
    );
    let again = call(&app, GROCER, "POST", "/v1/campaigns/c1/creatives", Some(creative("x"))).await;
    assert_eq!((again.0, &again.1["code"]), (StatusCode::CONFLICT, &json!("already_exists")));
    let to = |state: &str| call(&app, GROCER, "POST", "/v1/campaigns/c1/transitions", Some(json!({"to": state})));
    let (status, refused) = to("scheduled").await;
    assert_eq!((status, &refused["errors"][0]["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("creatives")), "{refused}");
    let path = "/v1/campaigns/c1/creatives/k1";
    let (status, row) = call(&app, GROCER, "PUT", path, Some(creative("Fresh milk"))).await;
    assert_eq!((status, &row["is_compliant"]), (StatusCode::OK, &json!(true)), "{row}");
    assert_eq!(to("scheduled").await.0, StatusCode::OK);

    // The policy changes, and with it what may run: nobody wrote the creative again.
    with_policy(&app, json!({"disallowed_terms": ["fresh milk"]})).await;
    bench.hand.advance(chrono::TimeDelta::days(20));
    let (_, campaign) = call(&app, GROCER, "GET", "/v1/campaigns/c1", None).await;
    assert_eq!(campaign["delivery"]["status"], "policy_blocked", "{campaign}");
    assert_eq!(to("active").await.1["errors"][0]["field"], "creatives");

    let (_, copy) = call(&app, GROCER, "POST", "/v1/campaigns/c1/clone", Some(json!({"campaign_id": "c2"}))).await;
    let (_, copied) = call(&app, GROCER, "GET", "/v1/campaigns/c2/creatives", None).await;
    assert_eq!((&copy["status"], &copied["data"][0]["content"]["texts"]["headline"]), (&json!("draft"), &json!("Fresh milk")), "{copied}");

    assert_eq!(call(&app, GROCER, "DELETE", path, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(call(&app, GROCER, "GET", path, None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(to("active").await.0, StatusCode::OK);
    let (_, history) = call(&app, GROCER, "GET", "/v1/campaigns/c1/history", None).await;
    let actions: Vec<&str> = history["data"].as_array().unwrap().iter().filter_map(|entry| entry["action"].as_str()).collect();
    assert_eq!(actions, ["transition", "creatives", "transition", "creatives", "creatives", "create"]);
    let taken_away = &history["data"][1]["changes"]["creatives.k1"];
    assert_eq!((&taken_away["before"]["content"]["texts"]["headline"], &taken_away["after"]), (&json!("Fresh milk"), &Value::Null));
}

#[actix_web::test]
async fn creatives_are_bounded_named_and_their_tenants_own() {
    let bench = bench(None).await;
    let app = bench.app().await;
    made(&app, ready("c1")).await;
    for (body, field) in [
        (json!({"name": "x", "content": {}}), "content.texts"),
        (json!({"name": " ", "content": {"texts": {"a": "b"}}}), "name"),
        (json!({"name": "x", "content": {"texts": {"a": "y".repeat(10_001)}}}), "content.texts.a"),
        (json!({"name": "x", "content": {"colour": 1}}), "content.colour"),
        (json!({"name": "x"}), "content"),
    ] {
        let (status, answer) = call(&app, GROCER, "POST", "/v1/campaigns/c1/creatives", Some(body)).await;
        assert_eq!((status, &answer["errors"][0]["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)), "{answer}");
    }
    for at in 0..50 {
        let body = json!({"creative_id": format!("k{at}"), "name": "x", "content": {"texts": {"a": "b"}}});
        assert_eq!(call(&app, GROCER, "POST", "/v1/campaigns/c1/creatives", Some(body)).await.0, StatusCode::CREATED);
    }
    let body = json!({"name": "one too many", "content": {"texts": {"a": "b"}}});
    assert_eq!(call(&app, GROCER, "POST", "/v1/campaigns/c1/creatives", Some(body)).await.0, StatusCode::CONFLICT);
    assert_eq!(call(&app, GROCER, "GET", "/v1/campaigns/c1", None).await.1["version"], 51, "nothing of the refused one was kept");
    let (_, page) = call(&app, GROCER, "GET", "/v1/campaigns/c1/creatives?limit=49", None).await;
    let path = format!("/v1/campaigns/c1/creatives?limit=49&cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(call(&app, GROCER, "GET", &path, None).await.1["data"].as_array().unwrap().len(), 1);
    for (method, path, body) in [
        ("GET", "/v1/campaigns/c1/creatives", None),
        ("GET", "/v1/campaigns/c1/creatives/k1", None),
        ("POST", "/v1/campaigns/c1/creatives", Some(creative("x"))),
        ("PUT", "/v1/campaigns/c1/creatives/k1", Some(creative("x"))),
        ("DELETE", "/v1/campaigns/c1/creatives/k1", None),
    ] {
        assert_eq!(call(&app, OTHER, method, path, body).await.0, StatusCode::NOT_FOUND, "{method} {path}");
    }
}

fn with_seal_keys(bench: &Bench, keys: &str) -> State {
    let settings = Settings::from_variables([("ENDCAP_SEAL_KEYS", keys)]).unwrap();
    State::new(bench.database.storage.clone(), settings, bench.state.clock.clone()).unwrap()
}

#[actix_web::test]
async fn a_retailers_key_is_sealed_and_never_shown() {
    use secrecy::ExposeSecret as _;
    let mut bench = bench(None).await;
    let path = "/v1/retailers/rtl-grocer-cj/api-key";
    let body = json!({"api_key": "rk-secret-123"});
    let app = bench.app().await;
    assert_eq!(call(&app, PLATFORM, "PUT", path, Some(body.clone())).await.0, StatusCode::CONFLICT, "there is no seal key");
    let text = SealKeys::generate();
    bench.state = with_seal_keys(&bench, &text);
    let app = bench.app().await;
    assert_eq!(call(&app, GROCER, "PUT", path, Some(body.clone())).await.0, StatusCode::FORBIDDEN);
    assert_eq!(call(&app, PLATFORM, "PUT", "/v1/retailers/none/api-key", Some(body.clone())).await.0, StatusCode::NOT_FOUND);
    assert_eq!(call(&app, PLATFORM, "PUT", path, Some(json!({"api_key": ""}))).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, shown) = call(&app, PLATFORM, "PUT", path, Some(body)).await;
    let keys = SealKeys::parse(&text).unwrap();
    assert_eq!((status, &shown["has_api_key"], shown["api_key_sealed_with"].as_str()), (StatusCode::OK, &json!(true), keys.current()));
    assert_eq!(shown["api_key_set_at"], "2026-01-15T12:00:00Z");
    let row = retailers::sealed_keys(&mut bench.database.connect(), &["rtl-grocer-cj"]).unwrap().remove(0);
    let sealed = row.api_key_encrypted.unwrap();
    assert_eq!(keys.open(&sealed, &place_of_retailer("rtl-grocer-cj")).unwrap().expose_secret(), "rk-secret-123");
    assert!(keys.open(&sealed, &place_of_retailer("rtl-fashion-zz")).is_err() && key_id_of(&sealed) == keys.current());
    for answer in [
        call(&app, PLATFORM, "GET", "/v1/retailers/rtl-grocer-cj", None).await.1,
        call(&app, GROCER, "GET", "/v1/retailers", None).await.1,
        shown,
    ] {
        let text = answer.to_string();
        assert!(!text.contains("rk-secret-123") && !text.contains(&sealed) && text.contains("has_api_key"), "{text}");
    }
    // Other changes of the retailer leave the key alone.
    let (_, changed) = call(&app, PLATFORM, "PATCH", "/v1/retailers/rtl-grocer-cj", Some(json!({"name": "Grocer"}))).await;
    assert_eq!(changed["has_api_key"], true);
    assert_eq!(call(&app, PLATFORM, "DELETE", path, None).await.0, StatusCode::NO_CONTENT);
    let (_, shown) = call(&app, PLATFORM, "GET", "/v1/retailers/rtl-grocer-cj", None).await;
    assert_eq!((&shown["has_api_key"], &shown["api_key_set_at"]), (&json!(false), &Value::Null));
}

#[actix_web::test]
async fn reflection_logs_are_dropped_after_the_days_that_are_set_and_kept_without() {
    let mut bench = bench(None).await;
    let app = bench.app().await;
    let write = async |id: &str| {
        let body =
            json!({"log_id": id, "session_id": "s1", "task_type": "plan_quality", "phase": "decision", "decision_rationale": "because"});
        assert_eq!(call(&app, GROCER, "POST", "/v1/reflection-logs", Some(body)).await.0, StatusCode::CREATED);
    };
    write("rfl-old").await;
    bench.hand.advance(chrono::TimeDelta::days(2));
    write("rfl-young").await;
    bench.hand.advance(chrono::TimeDelta::days(399));
    let with = |days: &str| {
        let settings = Settings::from_variables([("ENDCAP_REFLECTION_RETENTION_DAYS", days)]).unwrap();
        State::new(bench.database.storage.clone(), settings, bench.state.clock.clone()).unwrap()
    };
    assert_eq!(retention::sweep_reflection_logs(&with("0")).await.unwrap(), 0, "0 keeps all");
    assert_eq!(retention::sweep_reflection_logs(&bench.state).await.unwrap(), 1, "400 days without a setting");
    assert_eq!(call(&app, GROCER, "GET", "/v1/reflection-logs/rfl-old", None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(call(&app, GROCER, "GET", "/v1/reflection-logs/rfl-young", None).await.0, StatusCode::OK);
    bench.state = with("300");
    assert_eq!(retention::sweep_reflection_logs(&bench.state).await.unwrap(), 1);
}
