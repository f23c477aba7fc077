use actix_web::test::{self, TestRequest};
use actix_web::{App, http::header::LOCATION};
use domain::role::Role;
use rlhf_backend::routes;

use crate::{Service, T};

#[actix_web::test]
async fn every_page_explains_an_empty_system_and_shows_a_filled_one() {
    let service = Service::new();
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    for (path, words) in [
        ("/", "Oats of brand-a"),
        ("/?search=nothing", "No brand is called"),
        ("/feedback/brand-a", "Nothing yet"),
        ("/dashboard", "No feedback in these days"),
        ("/models", "No model yet"),
        ("/exports", "Nothing passes these filters"),
        ("/exports?profile=kto&split=train&from=2026-01-01&to=", "Nothing passes"),
    ] {
        let page = service.get(&analyst, path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text());
        assert!(page.text().contains(words), "{path} lacks {words:?}");
        assert!(!page.text().contains("brand-b"), "{path} shows another tenant's brand");
    }
    // Whether somebody trained is told to those who see it; others are not told that nobody did.
    let admin = service.token(Role::PlatformAdmin, None);
    for path in ["/models", "/dashboard"] {
        let (own, all) = (service.get(&analyst, path).await.text(), service.get(&admin, path).await.text());
        assert!(!own.contains("No training was asked for") && own.contains("its trainings are not shown here"), "{path}: {own}");
        assert!(all.contains("No training was asked for yet") && !all.contains("not shown here"), "{path}: {all}");
    }
    let body = serde_json::json!({ "brand_id": "brand-a", "task_type": "plan_quality", "prompt": "p", "model_output": "<script>o", "feedback_type": "rating", "rating": 4 });
    assert_eq!(service.post(&analyst, "/v1/feedback", body).await.status, 201);
    let page = service.get(&analyst, "/feedback/brand-a").await.text();
    assert!(page.contains("★★★★☆") && !page.contains("<script>o"));
    assert!(service.get(&analyst, "/dashboard").await.text().contains("n = 1"));
    assert_eq!(service.get(&analyst, "/feedback/brand-b").await.status, 404);
}

/// What a role may not open is no link for it.
#[actix_web::test]
async fn the_navigation_leads_where_a_role_may_go() {
    let service = Service::new();
    let links = async |role: Role, tenant: Option<&str>| {
        let page = service.get(&service.token(role, tenant), "/models").await.text();
        ["Feedback", "Dashboard", "Models", "Exports"].map(|name| page.contains(&format!(">{name}</a>")))
    };
    assert_eq!(links(Role::Analyst, Some("tnt-a")).await, [true; 4]);
    assert_eq!(links(Role::PlatformAdmin, None).await, [true; 4]);
    assert_eq!(links(Role::Expert, None).await, [false, false, true, false]);
    assert_eq!(service.get(&service.token(Role::Expert, None), "/dashboard").await.status, 403);
}

/// Figures name their day and when they were computed, and the names of settings break where people read a pause.
#[actix_web::test]
async fn figures_say_when_they_were_computed_and_names_of_settings_are_not_broken_within_a_word() {
    let service = Service::new();
    let admin = service.token(Role::PlatformAdmin, None);
    let page = service.get(&admin, "/key-figures/total_judgments").await;
    assert!(page.status == 200 && page.text().contains("2026-01-15, UTC") && page.text().contains("Not computed for this day yet"));
    assert_eq!(service.post(&admin, "/v1/rlhf-metrics/compute", serde_json::json!({})).await.status, 200);
    let page = service.get(&admin, "/key-figures/total_judgments").await.text();
    assert!(page.contains("Computed 15 Jan 2026, 12:00:00 UTC; the rows below are those of now"), "{page}");
    let page = service.get(&admin, "/dashboard").await.text();
    assert!(page.contains("ENDCAP_<wbr>COST_<wbr>PER_<wbr>RATER_<wbr>HOUR"), "{page}");
    assert!(page.contains("again every hour") && page.contains("Not defined on 15 Jan 2026: there was none that day to count."), "{page}");
    let backwards = service.get(&admin, "/v1/rlhf-metrics?from=2026-01-02&to=2026-01-01").await;
    assert_eq!((backwards.status.as_u16(), &backwards.json()["errors"][0]["field"]), (422, &serde_json::json!("to")));
}

/// Retailer and days apply to what was said and judged; what stands as it is now says so.
#[actix_web::test]
async fn the_filters_of_the_dashboard_apply_to_the_whole_page_or_a_card_says_that_they_do_not() {
    let service = Service::new();
    for retailer in ["rtl-1", "rtl-2"] {
        service.sql(&format!(
            "INSERT INTO retailers (retailer_id, name, schema_version, mapping_config, policies, creative_specs, timezone, is_active, created_at, updated_at) \
             VALUES ('{retailer}', 'R', '1', '{{}}', '{{}}', '{{}}', 'UTC', TRUE, {T}, {T})"
        ));
    }
    service.sql("UPDATE brands SET retailer_id = 'rtl-1' WHERE brand_id = 'brand-a'");
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    let body = serde_json::json!({ "brand_id": "brand-a", "task_type": "plan_quality", "prompt": "p", "model_output": "o", "feedback_type": "rating", "rating": 4 });
    assert_eq!(service.post(&analyst, "/v1/feedback", body).await.status, 201);
    service.task("t1", "Plan", "\"a\"", "\"b\"", "candidate_a", 0.9);
    service.sql("UPDATE rating_tasks SET retailer_id = 'rtl-1'");
    let page = async |query: &str| service.get(&analyst, &format!("/dashboard{query}")).await.text();
    let decided = |page: &str, n: u32| page.contains(&format!("Decided tasks</div><div class=\"figure-value\">{n}</div>"));
    let own = page("?retailer_id=rtl-1&from=2026-01-01&to=2026-01-15").await;
    assert!(own.contains("n = 1 ") && decided(&own, 1), "{own}");
    let other = page("?retailer_id=rtl-2&from=2026-01-01&to=2026-01-15").await;
    assert!(other.contains("nobody rated yet") && decided(&other, 0), "{other}");
    let before = page("?retailer_id=rtl-1&from=2026-01-01&to=2026-01-14").await;
    assert!(before.contains("nobody rated yet") && decided(&before, 1) && before.contains("as of now, whatever the dates"), "{before}");
    let told = service.get(&analyst, "/v1/feedback/stats?retailer_id=rtl-1&from=2026-01-01&to=2026-01-15").await.json();
    assert_eq!(told["total"], 1, "the same from the API: {told}");
    assert_eq!(service.get(&analyst, "/v1/feedback?retailer_id=rtl-2").await.json()["data"], serde_json::json!([]));
    // The days that were chosen are drawn, not the thirty before the newest with feedback.
    let days = page("?from=2026-01-10&to=2026-01-15").await;
    assert!(days.contains("10 Jan 2026 to 15 Jan 2026") && days.matches("class=\"chart-bar\"").count() == 6, "{days}");
    assert!(days.contains("15 Jan: 1<") && days.contains("10 Jan: 0<") && !days.contains("9 Jan: "), "{days}");
    let year = page("?from=2025-06-01&to=2026-01-15").await;
    assert!(year.contains("Feedback per week") && year.contains("11 Jan: 1<"), "{year}");
    // A retailer that nobody knows is a mistake, and no day on which nothing was said.
    for path in ["/v1/feedback?retailer_id=rtl-0", "/v1/feedback?retailer_id=rtl-0&format=csv", "/v1/feedback/stats?retailer_id=rtl-0"] {
        let refused = service.get(&analyst, path).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["errors"][0]["field"]), (422, &serde_json::json!("retailer_id")), "{path}");
    }
    let admin = service.token(Role::PlatformAdmin, None);
    assert_eq!(service.get(&admin, "/key-figures/total_judgments?retailer_id=rtl-0").await.status, 422);
    assert_eq!(service.get(&admin, "/key-figures/total_judgments?retailer_id=rtl-1").await.status, 200);
}

/// The text of a table that a page holds as the address of its file.
pub(crate) fn file_of(page: &str, name: &str) -> String {
    use base64::Engine as _;
    let (before, _) = page.split_once(&format!("\" download=\"{name}\"")).unwrap_or_else(|| panic!("no {name} in {page}"));
    let (_, encoded) = before.rsplit_once("href=\"data:text/csv;charset=utf-8;base64,").unwrap();
    let encoded = encoded.replace("&#43;", "+").replace("&#x2b;", "+");
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(encoded).unwrap()).unwrap().replace('\r', "")
}

/// A model of a retailer, as small as the database takes it.
pub(crate) fn model(service: &Service, retailer_id: Option<&str>) -> String {
    let new = storage::reward_models::NewRewardModel {
        base_model: "linear".into(),
        retailer_id: retailer_id.map(str::to_owned),
        task_type: "plan_quality".into(),
        training_judgments_count: 9,
        training_feedback_count: 1,
        training_pairs_count: 10,
        config: serde_json::json!({}),
        metrics: serde_json::json!({}),
        parameters: serde_json::json!({ "model_version": 0, "feature_version": 0 }),
        validation_accuracy: Some(0.8),
        inter_rater_agreement: None,
        auto_check_correlation: None,
        dataset_hash: "00".into(),
        seed: 1,
    };
    storage::reward_models::insert(&mut service.database.connect(), &new, service.state.clock.now()).unwrap().model_id
}

fn activate(service: &Service, model_id: &str) {
    let how = storage::reward_models::Switch::Activation(None);
    storage::reward_models::activate(&mut service.database.connect(), model_id, how, service.state.clock.now()).unwrap();
}

#[actix_web::test]
async fn tables_of_the_dashboard_are_files_with_the_rows_that_it_shows() {
    let service = Service::new();
    for retailer in ["rtl-1", "rtl-2"] {
        service.sql(&format!(
            "INSERT INTO retailers (retailer_id, name, schema_version, mapping_config, policies, creative_specs, timezone, is_active, created_at, updated_at) \
             VALUES ('{retailer}', 'R', '1', '{{}}', '{{}}', '{{}}', 'UTC', TRUE, {T}, {T})"
        ));
    }
    let [general, one, other] = [None, Some("rtl-1"), Some("rtl-2")].map(|retailer| model(&service, retailer));
    for id in [&general, &one, &other] {
        activate(&service, id);
    }
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    let body = serde_json::json!({ "brand_id": "brand-a", "task_type": "plan_quality", "prompt": "p", "model_output": "o", "feedback_type": "rating", "rating": 4 });
    assert_eq!(service.post(&analyst, "/v1/feedback", body).await.status, 201);
    let page = service.get(&analyst, "/dashboard?retailer_id=rtl-1").await.text();
    let file = file_of(&page, "active-models.csv");
    assert!(file.contains(&general) && file.contains(&one) && !file.contains(&other), "{file}");
    let page = service.get(&analyst, "/dashboard").await.text();
    assert!(file_of(&page, "active-models.csv").contains(&other));
    assert!(file_of(&page, "feedback-by-kind.csv").starts_with("feedback_type,count\nrating,1"), "{page}");
    assert!(file_of(&page, "feedback-by-output.csv").starts_with("task_type,count\nplan_quality,1"), "{page}");
}

/// What works is always in sight, and every other model is on some page.
#[actix_web::test]
async fn the_list_of_models_begins_with_those_at_work_and_goes_on() {
    let service = Service::new();
    let all: Vec<String> = (0..54).map(|_| model(&service, None)).collect();
    activate(&service, &all[1]);
    let now = service.state.clock.now();
    storage::reward_models::begin_shadow(&mut service.database.connect(), &all[0], now).unwrap();
    let admin = service.token(Role::PlatformAdmin, None);
    let shown = |page: &str| -> Vec<String> { all.iter().filter(|id| page.contains(&format!("id=\"{id}\""))).cloned().collect() };
    let first = service.get(&admin, "/models").await.text();
    assert_eq!(shown(&first), [&all[..2], &all[4..]].concat());
    assert!(first.find(&format!("id=\"{}\"", all[1])) < first.find(&format!("id=\"{}\"", all[0])), "the active one first");
    let (_, rest) = first.split_once("href=\"?after=").unwrap();
    let after = rest.split_once('"').unwrap().0;
    let second = service.get(&admin, &format!("/models?after={after}")).await.text();
    assert_eq!(shown(&second), all[..4], "the two at work again, and the two oldest");
    assert!(!second.contains("rel=\"next\"") && second.contains("Newest models"), "{second}");
}

#[actix_web::test]
async fn retailers_are_chosen_from_a_list() {
    let service = Service::new();
    service.sql(&format!(
        "INSERT INTO retailers (retailer_id, name, schema_version, mapping_config, policies, creative_specs, timezone, is_active, created_at, updated_at) \
         VALUES ('rtl-1', 'Corner & Co', '1', '{{}}', '{{}}', '{{}}', 'UTC', TRUE, {T}, {T})"
    ));
    let admin = service.token(Role::PlatformAdmin, None);
    let page = service.get(&admin, "/models").await.text();
    assert!(page.contains("<option value=\"rtl-1\">Only Corner &#38; Co (rtl-1)</option>"), "{page}");
    let page = service.get(&admin, "/exports?retailer_id=rtl-1").await.text();
    assert!(page.contains("<option value=\"rtl-1\" selected>Corner &#38; Co (rtl-1)</option>"), "{page}");
}

#[actix_web::test]
async fn whoever_is_not_signed_in_is_sent_to_the_login() {
    let service = Service::new();
    let state = service.state.clone();
    let app = test::init_service(App::new().configure(|routes| routes::configure_public(routes, &state))).await;
    let response = test::try_call_service(&app, TestRequest::get().uri("/dashboard").to_request()).await;
    let response = response.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(response.status(), 303);
    assert!(response.headers().get(LOCATION).unwrap().to_str().unwrap().starts_with("http://localhost:8002/login"));
}

#[actix_web::test]
async fn the_page_of_exports_shows_what_each_rule_leaves_out_and_links_every_file() {
    let service = Service::new();
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    service.task("t1", "Plan", "\"a\"", "\"b\"", "candidate_a", 0.9);
    service.task("t2", "Plan 2", "\"a\"", "\"b\"", "candidate_a", 0.5);
    let page = service.get(&analyst, "/exports?profile=reward&min_posterior=0.8").await.text();
    for words in [
        "1 row<",
        "Posterior below minimum",
        "lower the least certainty",
        "50.0 %",
        "class=\"meter\"",
        "/v1/exports/reward?min_posterior=0.8\"",
        "/v1/exports/reward?min_posterior=0.8&amp;format=parquet",
        "/v1/exports/reward/provenance?min_posterior=0.8",
        "/v1/exports/reward/manifest?min_posterior=0.8",
        "download=\"reward-left-out.csv\"",
    ] {
        assert!(page.contains(words) || page.replace("&#38;", "&amp;").contains(words), "the page lacks {words:?}");
    }
    assert!(!service.get(&analyst, "/exports?profile=judgments").await.text().contains("/provenance"));
}

/// Counting goes on beside the page, and the page that asks again gets what was counted meanwhile.
#[actix_web::test]
async fn counts_that_take_longer_than_a_page_are_shown_as_they_come() {
    let service = Service::new();
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    service.task("t1", "Plan", "\"a\"", "\"b\"", "candidate_a", 0.9);
    // All connections for reading are busy until they are let go: counting cannot begin.
    let (let_go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
    let busy: Vec<_> = (0..4)
        .map(|_| {
            let (storage, wait) = (service.state.storage.clone(), wait.clone());
            tokio::spawn(async move {
                storage
                    .read(move |_| {
                        let _ = wait.lock().unwrap().recv();
                        Ok(())
                    })
                    .await
            })
        })
        .collect();
    tokio::task::yield_now().await;
    let page = service.get(&analyst, "/exports?profile=reward").await.text();
    assert!(page.contains("rows so far") && page.contains("<progress"), "{page}");
    drop(let_go);
    for one in busy {
        one.await.unwrap().unwrap();
    }
    let page = service.get(&analyst, "/exports?profile=reward").await.text();
    assert!(page.contains("1 row<") && !page.contains("<progress"), "{page}");
}
