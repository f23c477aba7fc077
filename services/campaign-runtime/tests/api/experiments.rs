//! Experiments from draft to calibration: frozen once they run, read when their plan allows, seen by their tenant only.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use domain::scope::Scope;
use serde_json::{Value, json};
use storage::{calibrations, campaigns, outbox};

use crate::{Bench, Client, GROCER, OTHER, PLATFORM, bench, bench_on, call, send};

const PATH: &str = "/v1/experiments";

pub fn ab(id: &str, analysis: &str) -> Value {
    json!({
        "experiment_id": id,
        "name": "Mailer holdout",
        "campaign_id": "cmp-mailer",
        "definition": {
            "metric": {"name": "revenue per household", "kind": "revenue", "currency": "USD"},
            "control_definition": "households that got no mailer",
            "line": {"placement_type": "mailer"},
            "design": {
                "kind": "ab",
                "arms": [{"name": "control", "share": 5000}, {"name": "mailed", "share": 5000}],
                "analysis": analysis,
                "planned_end": "2026-01-20",
                "planned_units": 4000
            }
        }
    })
}

/// Sums of an arm of 1,000 units with standard deviation 3.
pub fn sums(arm: &str, n: f64, mean: f64, spend: &str) -> Value {
    let squares = 9.0 * (n - 1.0) + n * mean * mean;
    json!({"arm": arm, "date": "2026-01-16", "n": n as i64, "value_sum": n * mean, "value_sum_squares": squares, "spend": spend})
}

pub async fn create(app: &Client, body: Value) {
    let (status, answer) = call(app, GROCER, "POST", PATH, Some(body)).await;
    assert_eq!((status, answer["status"].as_str()), (StatusCode::CREATED, Some("draft")), "{answer}");
}

pub async fn to(app: &Client, id: &str, body: Value) -> (StatusCode, Value) {
    call(app, GROCER, "POST", &format!("{PATH}/{id}/transitions"), Some(body)).await
}

pub async fn observe(app: &Client, id: &str, rows: Value) -> (StatusCode, Value) {
    call(app, GROCER, "POST", &format!("{PATH}/{id}/observations"), Some(json!({"rows": rows}))).await
}

pub async fn results(app: &Client, id: &str) -> (StatusCode, Value) {
    call(app, GROCER, "GET", &format!("{PATH}/{id}/results"), None).await
}

#[actix_web::test]
async fn an_experiment_is_read_at_its_end_and_calibrates_its_campaign() {
    for database in testkit::database::all() {
        read_at_its_end(bench_on(database, None).await).await;
    }
}

async fn read_at_its_end(bench: Bench) {
    let app = bench.app().await;
    create(&app, ab("exp-1", "fixed")).await;
    assert_eq!(observe(&app, "exp-1", json!([sums("control", 1000.0, 10.0, "0")])).await.0, StatusCode::CONFLICT, "a draft");
    assert_eq!(results(&app, "exp-1").await.0, StatusCode::CONFLICT);
    let (status, running) = to(&app, "exp-1", json!({"to": "running"})).await;
    assert_eq!((status, running["definition_hash"].as_str().map(str::len)), (StatusCode::OK, Some(64)), "{running}");

    // Frozen: the definition stays, the name may change.
    let moved = json!({"definition": {"metric": {"name": "m", "kind": "mean"}, "control_definition": "c", "design": ab("x", "fixed")["definition"]["design"]}});
    let (status, refused) = call(&app, GROCER, "PATCH", "/v1/experiments/exp-1", Some(moved)).await;
    assert_eq!((status, refused["code"].as_str()), (StatusCode::CONFLICT, Some("conflict")), "{refused}");
    let (status, named) = call(&app, GROCER, "PATCH", "/v1/experiments/exp-1", Some(json!({"name": "Other"}))).await;
    assert_eq!((status, named["name"].as_str()), (StatusCode::OK, Some("Other")));
    assert_eq!(call(&app, GROCER, "DELETE", "/v1/experiments/exp-1", None).await.0, StatusCode::CONFLICT);

    let rows = json!([sums("control", 1000.0, 10.0, "0"), sums("mailed", 1000.0, 12.0, "500.00")]);
    let (status, first) = observe(&app, "exp-1", rows.clone()).await;
    assert_eq!((status, first["inserted"].as_i64()), (StatusCode::OK, Some(2)), "{first}");
    assert_eq!(observe(&app, "exp-1", rows).await.1["unchanged"].as_i64(), Some(2));

    // Too early for a test that is read once.
    let (status, early) = results(&app, "exp-1").await;
    assert_eq!((status, early["code"].as_str()), (StatusCode::CONFLICT, Some("readout_too_early")), "{early}");
    assert_eq!(early["not_before"], "2026-01-21T00:00:00Z");
    assert_eq!(to(&app, "exp-1", json!({"to": "concluded"})).await.1["code"], "readout_too_early");
    bench.hand.advance(chrono::TimeDelta::hours(132));

    let (status, read) = results(&app, "exp-1").await;
    assert_eq!((status, read["is_stored"].as_bool()), (StatusCode::OK, Some(true)), "read once: {read}");
    let one = &read["readout"]["comparisons"][0];
    assert!((one["difference"]["value"].as_f64().unwrap() - 2.0).abs() < 1e-9, "{read}");
    assert_eq!(
        (one["difference"]["sample"]["n"].as_i64(), one["difference"]["control"].as_str()),
        (Some(2000), Some("households that got no mailer"))
    );
    assert_eq!(read["readout"]["winner"], "mailed");
    // 2 more per household for 0.50 per household.
    assert!((read["iroas"]["figure"]["value"].as_f64().unwrap() - 4.0).abs() < 1e-9);
    let (status, concluded) = to(&app, "exp-1", json!({"to": "concluded", "reason": "as planned"})).await;
    assert_eq!((status, concluded["status"].as_str()), (StatusCode::OK, Some("concluded")), "{concluded}");
    let (_, stored) = results(&app, "exp-1").await;
    assert_eq!((stored["is_stored"].as_bool(), &stored["inputs_hash"]), (Some(true), &read["inputs_hash"]));
    assert_eq!(concluded["inputs_hash"], read["inputs_hash"]);

    let mut conn = bench.database.connect();
    let scope = Scope::system("test");
    let campaign = campaigns::find(&mut conn, &scope, "cmp-mailer").unwrap();
    let found = calibrations::for_campaign(&mut conn, &scope, campaign.id).unwrap();
    assert_eq!((found.len(), found[0].placement_type.as_str(), found[0].spend_micros, found[0].n), (1, "mailer", 500_000_000, 2000));
    // sqrt(9 / 1000 + 9 / 1000) / 0.5.
    assert!((found[0].iroas - 4.0).abs() < 1e-9 && (found[0].standard_error - 0.018_f64.sqrt() / 0.5).abs() < 1e-9);
    let events = outbox::after(&mut conn, 0, &[], 100).unwrap();
    assert!(
        events.iter().any(|event| event.event == "experiment_concluded" && event.tenant_id.as_deref() == Some(campaign.tenant_id.as_str()))
    );
    let (_, logs) = call(&app, GROCER, "GET", "/v1/reflection-logs?session_id=exp-1", None).await;
    assert_eq!(logs["data"].as_array().unwrap().len(), 1);
    assert_eq!(observe(&app, "exp-1", json!([sums("control", 9.0, 1.0, "0")])).await.0, StatusCode::CONFLICT, "it is over");
    assert_eq!(call(&app, GROCER, "DELETE", "/v1/experiments/exp-1", None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(to(&app, "exp-1", json!({"to": "running"})).await.1["allowed"], json!([]));
}

#[actix_web::test]
async fn a_sequential_analysis_may_be_read_at_any_time_and_wrong_counts_have_no_winner() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        create(&app, ab("exp-1", "sequential")).await;
        to(&app, "exp-1", json!({"to": "running"})).await;
        assert_eq!(results(&app, "exp-1").await.1["code"], "not_enough_data");
        observe(&app, "exp-1", json!([sums("control", 1000.0, 10.0, "0"), sums("mailed", 1000.0, 12.0, "500.00")])).await;
        let (status, read) = results(&app, "exp-1").await;
        assert_eq!(
            (status, read["readout"]["winner"].as_str(), read["readout"]["analysis"].as_str()),
            (StatusCode::OK, Some("mailed"), Some("sequential")),
            "{read}"
        );
        observe(&app, "exp-1", json!([sums("control", 1300.0, 10.0, "0")])).await;
        let (_, read) = results(&app, "exp-1").await;
        assert_eq!(
            (&read["readout"]["winner"], &read["iroas"], read["iroas_reason"].as_str()),
            (&json!(null), &json!(null), Some("sample_ratio_mismatch"))
        );
        assert_eq!((read["readout"]["sample_ratio"]["is_mismatch"].as_bool(), read["is_significant"].as_bool()), (Some(true), Some(false)));
        let (status, _) = to(&app, "exp-1", json!({"to": "concluded", "abandon": true})).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "a reason is required");
        assert_eq!(to(&app, "exp-1", json!({"to": "concluded", "abandon": true, "reason": "counts are wrong"})).await.0, StatusCode::OK);
        let (status, none) = results(&app, "exp-1").await;
        assert!(status == StatusCode::CONFLICT && none["detail"].as_str().unwrap().contains("counts are wrong"), "{none}");
    }
}

#[actix_web::test]
async fn units_are_counted_where_they_were_assigned() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        create(&app, ab("exp-1", "sequential")).await;
        to(&app, "exp-1", json!({"to": "running"})).await;
        let units: Vec<String> = (0..800).map(|at| format!("household-{at}")).collect();
        let path = "/v1/experiments/exp-1/assignments";
        let (status, all) = call(&app, GROCER, "POST", path, Some(json!({"units": units}))).await;
        assert_eq!((status, all["algorithm"].as_str()), (StatusCode::OK, Some("endcap-assignment-v1")), "{all}");
        let (_, one) = call(&app, GROCER, "GET", &format!("{path}?unit=household-7"), None).await;
        assert_eq!(one["data"][0], all["data"][7], "alone or among others, a unit is in the same arm");
        // Anybody can compute it again from what the answer says.
        let salt = all["salt"].as_str().unwrap();
        let bucket = planning::experiments::assignment::bucket("exp-1", salt, "household-7");
        assert_eq!(all["data"][7]["bucket"].as_u64(), Some(u64::from(bucket)));
        let arm = all["data"][7]["arm"].as_str().unwrap();
        let other = if arm == "control" { "mailed" } else { "control" };
        let wrong = json!([{"unit": "household-7", "arm": other, "date": "2026-01-16", "value_sum": 1.0}]);
        let (status, refused) = observe(&app, "exp-1", wrong).await;
        assert_eq!((status, refused["errors"][0]["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("rows[0].arm")), "{refused}");

        // As many of each arm, since the salt is drawn: one run in a hundred would else be a mismatch by chance.
        let csv = ["control", "mailed"]
            .iter()
            .flat_map(|arm| all["data"].as_array().unwrap().iter().filter(move |row| row["arm"] == **arm).take(300))
            .enumerate()
            .fold("unit,date,value_sum,spend\n".to_owned(), |text, (at, row)| {
                text + &format!("{},2026-01-16,{},0.10\n", row["unit"].as_str().unwrap(), at % 5)
            });
        let request = TestRequest::post().uri("/v1/experiments/exp-1/observations").insert_header(("apikey", GROCER));
        let (status, text) = send(&app, request.insert_header(("Content-Type", "text/csv")).set_payload(csv)).await;
        assert!(status == StatusCode::OK && text.contains("\"inserted\":600"), "{text}");
        let (status, read) = results(&app, "exp-1").await;
        let counted: u64 = read["readout"]["sample_ratio"]["observed"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(
            (status, counted, read["iroas_reason"].as_str()),
            (StatusCode::OK, 600, Some("no_incremental_spend")),
            "the same spend in both arms: {read}"
        );
    }
}

#[actix_web::test]
async fn wrong_input_is_named_and_nothing_of_it_is_kept() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        let with = |pointer: &str, value: Value| {
            let mut body = ab("exp-1", "fixed");
            *body.pointer_mut(pointer).unwrap() = value;
            body
        };
        let cases = [
            (with("/definition/control_definition", json!(" ")), "definition.control_definition"),
            (with("/definition/design/arms/0/share", json!(4000)), "definition.design.arms"),
            (with("/definition/metric/currency", json!(null)), "definition.metric.currency"),
            (with("/campaign_id", json!("cmp-nowhere")), "campaign_id"),
            (with("/campaign_id", json!("cmp-dm-09")), "campaign_id"),
            (with("/name", json!("")), "name"),
        ];
        for (body, field) in cases {
            let (status, refused) = call(&app, GROCER, "POST", PATH, Some(body)).await;
            assert_eq!((status, refused["errors"][0]["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some(field)), "{refused}");
        }
        assert_eq!(call(&app, GROCER, "GET", PATH, None).await.1["data"], json!([]));
        let mut unknown = ab("exp-1", "fixed");
        unknown["colour"] = json!("red");
        assert_eq!(call(&app, GROCER, "POST", PATH, Some(unknown)).await.1["errors"][0]["field"], "colour");

        create(&app, ab("exp-1", "fixed")).await;
        to(&app, "exp-1", json!({"to": "running"})).await;
        let mut rows = [sums("control", 10.0, 1.0, "0"), sums("mailed", 10.0, 1.0, "0"), sums("mailed", 10.0, 1.0, "0")];
        let (status, twice) = observe(&app, "exp-1", json!(rows)).await;
        assert_eq!((status, twice["errors"][0]["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("rows[2].date")), "{twice}");
        rows[2]["arm"] = json!("nobody");
        assert_eq!(observe(&app, "exp-1", json!(rows)).await.1["errors"][0]["field"], "rows[2].arm");
        rows[0]["n"] = json!(0);
        assert_eq!(observe(&app, "exp-1", json!(rows)).await.1["errors"][0]["field"], "rows[0].n");
        let many: Vec<Value> = (0..20_001).map(|at| json!({"unit": at.to_string(), "date": "2026-01-16", "value_sum": 1})).collect();
        assert_eq!(observe(&app, "exp-1", json!(many)).await.1["errors"][0]["field"], "rows");
        let large = TestRequest::post().uri("/v1/experiments/exp-1/observations").insert_header(("apikey", GROCER));
        let large = large.insert_header(("Content-Type", "text/csv")).set_payload(vec![b'x'; (8 << 20) + 1]);
        assert_eq!(send(&app, large).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    }
}

#[actix_web::test]
async fn another_tenant_finds_nothing() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        create(&app, ab("exp-1", "fixed")).await;
        to(&app, "exp-1", json!({"to": "running"})).await;
        for (method, path, body) in [
            ("GET", "", None),
            ("PATCH", "", Some(json!({"name": "Mine"}))),
            ("DELETE", "", None),
            ("GET", "/results", None),
            ("GET", "/assignments?unit=a", None),
            ("POST", "/assignments", Some(json!({"units": ["a"]}))),
            ("POST", "/transitions", Some(json!({"to": "concluded"}))),
            ("POST", "/observations", Some(json!({"rows": [sums("control", 10.0, 1.0, "0")]}))),
        ] {
            let (status, answer) = call(&app, OTHER, method, &format!("{PATH}/exp-1{path}"), body).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}: {answer}");
        }
        for filter in ["", "?campaign_id=cmp-mailer", "?tenant_id=rtl-grocer-cj", "?status=running", "?design=ab"] {
            assert_eq!(call(&app, OTHER, "GET", &format!("{PATH}{filter}"), None).await.1["data"], json!([]), "{filter}");
            let seen = call(&app, PLATFORM, "GET", &format!("{PATH}{filter}"), None).await.1;
            assert_eq!((seen["data"].as_array().unwrap().len(), &seen["data"][0]["campaign_id"]), (1, &json!("cmp-mailer")), "{filter}");
        }
    }
}

async fn geolift(bench: &Bench) -> (Client, Value) {
    let app = bench.app().await;
    let text = include_str!("../../../../crates/planning/tests/data/geolift_test.csv");
    let mut markets: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    markets.dedup();
    let control: Vec<&str> = markets.into_iter().filter(|market| !["chicago", "portland"].contains(market)).collect();
    let body = json!({
        "experiment_id": "geo-1",
        "name": "GeoLift",
        "campaign_id": "cmp-mailer",
        "definition": {
            "metric": {"name": "revenue", "kind": "revenue", "currency": "USD"},
            "control_definition": "38 cities without the campaign, weighted to follow chicago and portland before it",
            "alpha": 0.1,
            "design": {
                "kind": "geo", "treatment": ["chicago", "portland"], "control": control,
                "pre_start": "2021-01-01", "pre_end": "2021-03-31", "post_start": "2021-04-01", "post_end": "2021-04-15"
            }
        }
    });
    create(&app, body).await;
    to(&app, "geo-1", json!({"to": "running"})).await;
    let rows = text.lines().skip(1).fold("unit,value_sum,date,n,spend\n".to_owned(), |rows, line| {
        let spend = if ["chicago,", "portland,"].iter().any(|city| line.starts_with(city)) {
            if line.contains("2021-04") { "100.00" } else { "0" }
        } else {
            ""
        };
        rows + &format!("{line},1,{spend}\n")
    });
    let request = TestRequest::post().uri("/v1/experiments/geo-1/observations").insert_header(("apikey", GROCER));
    let (status, text) = send(&app, request.insert_header(("Content-Type", "text/csv")).set_payload(rows)).await;
    assert!(status == StatusCode::OK && text.contains("\"inserted\":4200"), "{text}");
    let (status, read) = results(&app, "geo-1").await;
    assert_eq!(status, StatusCode::OK, "{read}");
    (app, read)
}

/// The worked example of docs/measurement.md.
#[actix_web::test]
async fn the_published_geo_test_is_reproduced_over_http() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let (app, read) = geolift(&bench).await;
        let readout = &read["readout"];
        let value = |name: &str| readout[name]["value"].as_f64().unwrap();
        assert!(
            (value("att") - 155.556).abs() < 2e-3 && (value("incremental") - 4667.0).abs() < 0.5 && (value("lift") - 0.054).abs() < 5e-4,
            "{readout}"
        );
        assert_eq!((readout["att"]["sample"]["n"].as_i64(), read["was_defined_before_it_began"].as_bool()), (Some(4200), Some(false)));
        // Two cities, fifteen days, 100 a day.
        let figure = &read["iroas"]["figure"];
        assert!((figure["value"].as_f64().unwrap() - value("incremental") / 3000.0).abs() < 1e-9, "{read}");
        assert!(figure["control"].as_str().unwrap().starts_with("38 cities"));
        assert_eq!(to(&app, "geo-1", json!({"to": "concluded"})).await.0, StatusCode::OK);
        let mut conn = bench.database.connect();
        let scope = Scope::system("test");
        let campaign = campaigns::find(&mut conn, &scope, "cmp-mailer").unwrap();
        let found = calibrations::for_campaign(&mut conn, &scope, campaign.id).unwrap();
        assert_eq!((found.len(), found[0].days, found[0].spend_micros), (1, 15, 3_000_000_000));
        let document = include_str!("../../../../docs/measurement.md");
        for figure in ["155.556", "4,667", "5.4 %", "122.7", "4,200"] {
            assert!(document.contains(figure), "docs/measurement.md does not say {figure}");
        }
    }
}

#[actix_web::test]
async fn switchback_blocks_are_drawn_looked_up_and_read() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        let body = json!({
            "experiment_id": "sb-1",
            "name": "Sponsored slot on and off",
            "definition": {
                "metric": {"name": "orders per hour", "kind": "mean"},
                "control_definition": "the same store without the slot",
                "design": {"kind": "switchback", "units": ["store-1", "store-2"], "start": "2026-01-01", "block_hours": 4, "blocks": 12, "washout_hours": 1}
            }
        });
        create(&app, body).await;
        to(&app, "sb-1", json!({"to": "running"})).await;
        let mut rows = Vec::new();
        for unit in ["store-1", "store-2"] {
            for hour in 0..48_u32 {
                let at = format!("2026-01-{:02}T{:02}:00:00Z", 1 + hour / 24, hour % 24);
                let path = format!("/v1/experiments/sb-1/assignments?unit={unit}&at={at}");
                let (_, found) = call(&app, GROCER, "GET", &path, None).await;
                let one = &found["data"][0];
                assert_eq!((one["block"].as_u64(), one["is_washout"].as_bool()), (Some(u64::from(hour / 4)), Some(hour % 4 == 0)));
                // In the washout something quite different goes on; it must not count.
                let value = if hour % 4 == 0 {
                    1000.0
                } else {
                    20.0 + f64::from(u8::from(one["arm"] == "treatment")) * (3.0 + f64::from(hour % 3))
                };
                rows.push(json!({"unit": unit, "date": &at[..10], "hour": hour % 24, "value_sum": value}));
            }
        }
        let (status, written) = observe(&app, "sb-1", json!(rows)).await;
        assert_eq!((status, written["inserted"].as_i64()), (StatusCode::OK, Some(96)), "{written}");
        let (status, read) = results(&app, "sb-1").await;
        assert_eq!((status, read["readout"]["difference"]["sample"]["n"].as_i64()), (StatusCode::OK, Some(12)), "{read}");
        // 3 and the mean of 0, 1, 2, by which the three hours of each block differ.
        assert!((read["readout"]["difference"]["value"].as_f64().unwrap() - 4.0).abs() < 1e-9, "{read}");
        assert_eq!((read["is_significant"].as_bool(), read["iroas_reason"].as_str()), (Some(true), Some("not_computed_for_switchback")));
        let outside = json!([{"unit": "store-1", "date": "2026-01-09", "hour": 1, "value_sum": 1}]);
        assert_eq!(observe(&app, "sb-1", outside).await.1["errors"][0]["field"], "rows[0].date");
    }
}

#[actix_web::test]
async fn power_is_that_of_the_textbook() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let ask = async |body: Value| call(&app, GROCER, "POST", "/v1/experiments/power", Some(body)).await;
    let (status, size) = ask(json!({"test": "means", "effect": 0.2, "standard_deviation": 1.0, "units_per_day": 100.0})).await;
    assert_eq!(
        (status, size["n_control"].as_f64(), size["n_total"].as_f64(), size["days"].as_f64()),
        (StatusCode::OK, Some(393.0), Some(786.0), Some(8.0)),
        "{size}"
    );
    let (_, exact) = ask(json!({"test": "means", "effect": 0.2, "standard_deviation": 1.0, "law": "student_t"})).await;
    assert_eq!(exact["n_control"].as_f64(), Some(394.0), "{exact}");
    let (_, shares) = ask(json!({"test": "proportions", "baseline": 0.10, "target": 0.12})).await;
    assert_eq!(shares["n_control"].as_f64(), Some(3841.0), "{shares}");
    let (_, smallest) = ask(json!({"test": "means", "n_control": 500.0, "standard_deviation": 2.0, "law": "student_t"})).await;
    assert!((smallest["effect"].as_f64().unwrap() - 2.0 * 0.177_358_322_3).abs() < 1e-8, "{smallest}");
    let (status, wrong) = ask(json!({"test": "means", "effect": 0.0, "standard_deviation": 1.0})).await;
    assert_eq!((status, wrong["errors"][0]["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("effect")));
}
