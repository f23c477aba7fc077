//! Key figures: a day worked out by hand, on every database; computed once by the clock; made up when missed; traceable to their rows.

use std::time::Duration;

use chrono::{NaiveDate, TimeDelta};
use domain::role::Role;
use domain::scope::Scope;
use rlhf_backend::key_figures::computing::compute;
use rlhf_backend::key_figures::day_of;
use rlhf_backend::key_figures::figures::{FIGURES, render_table};
use rlhf_backend::key_figures::schedule::{COMPUTE, enqueue_if_due};
use rlhf_backend::worker;
use serde_json::{Value, json};
use storage::jobs::{self, JobFilter};
use storage::page::Page;
use storage::rlhf_metrics::{self, NewDayFigures};

use crate::Service;

const COSTS: [(&str, &str); 4] = [
    ("ENDCAP_COST_PER_JUDGMENT", "0.50"),
    ("ENDCAP_COST_PER_RATER_HOUR", "100"),
    ("ENDCAP_COST_PER_EXPERT_HOUR", "200"),
    ("ENDCAP_COST_CURRENCY", "EUR"),
];
const EVERY: Duration = Duration::from_secs(3600);
const T: &str = "'2026-01-10T08:00:00.000000Z'";

fn day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, 10).unwrap()
}

/// The tenth of January at two retailers: four tasks, three raters of whom one is a program, an expert, and two experiments.
fn a_day(service: &Service) {
    for retailer in ["rtl-a", "rtl-b"] {
        service.sql(&format!(
            "INSERT INTO retailers (retailer_id, name, schema_version, mapping_config, policies, creative_specs, timezone, is_active, created_at, updated_at) \
             VALUES ('{retailer}', '{retailer}', '1', '{{}}', '{{}}', '{{}}', 'UTC', TRUE, '2026-01-05T00:00:00.000000Z', {T})"
        ));
    }
    for (rater, is_simulated) in [("r1", "FALSE"), ("r2", "FALSE"), ("s1", "TRUE")] {
        service.sql(&format!(
            "INSERT INTO rater_profiles (rater_id, name, preferred_task_types, reliability_by_task_type, is_active, is_calibrated, is_simulated, created_at, updated_at) \
             VALUES ('{rater}', 'R', '[]', '{{}}', TRUE, TRUE, {is_simulated}, {T}, {T})"
        ));
    }
    task(service, "t1", "rtl-a", "plan_quality", "completed", "FALSE");
    task(service, "t2", "rtl-a", "plan_quality", "validated", "FALSE");
    task(service, "g1", "rtl-a", "plan_quality", "completed", "TRUE");
    task(service, "m1", "rtl-b", "schema_mapping", "completed", "FALSE");
    service.sql(&format!(
        "INSERT INTO task_consensus (task_id, choice, posterior, posteriors, method, judgments_count, is_final, decided_by, created_at, updated_at) \
         VALUES ('m1', 'candidate_a', 0.9, '{{}}', 'gold-vote', 2, TRUE, 'raters', {T}, {T})"
    ));
    for (task, rater, choice, extra) in [
        ("t1", "r1", "candidate_a", ""),
        ("t1", "r2", "candidate_a", ""),
        ("t1", "s1", "candidate_b", ""),
        ("t2", "r1", "candidate_a", "escalated"),
        ("t2", "r2", "candidate_b", "voided"),
        ("g1", "r1", "candidate_a", "golden"),
    ] {
        judgment(service, task, rater, choice, extra);
    }
    service.sql(&format!(
        "INSERT INTO expert_reviews (review_id, task_id, task_type, expert_id, kind, state, choice, seconds, opened_at, decided_at, created_at, updated_at) \
         VALUES ('rev1', 't2', 'plan_quality', 'acc_expert', 'escalated', 'decided', 'candidate_a', 90, {T}, {T}, {T}, {T})"
    ));
    for (number, retailer, iroas, error, spend) in [(1, "rtl-a", 4.0, 0.25, 500), (2, "rtl-b", 2.0, 0.5, 1500)] {
        service.sql(&format!(
            "INSERT INTO campaigns (id, campaign_id, tenant_id, retailer_id, name, placement_types, target_audiences, target_skus, constraints, attributes, status, created_at, updated_at) \
             VALUES ({number}, 'cmp-{number}', 'tnt-a', '{retailer}', 'C', '[]', '[]', '[]', '{{}}', '{{}}', 'active', {T}, {T})"
        ));
        service.sql(&format!(
            "INSERT INTO experiments (id, experiment_id, tenant_id, campaign, name, design, status, salt, definition, concluded_at, result, inputs_hash, created_by, created_at, updated_at) \
             VALUES ({number}, 'exp-{number}', 'tnt-a', {number}, 'E', 'ab', 'concluded', 's', '{{}}', {T}, '{{}}', 'hash{number}', 'acc', {T}, {T})"
        ));
        service.sql(&format!(
            "INSERT INTO response_calibrations (calibration_id, tenant_id, campaign, iroas, standard_error, spend_micros, currency, days, n, control_definition, experiment, created_at) \
             VALUES ('cal-{number}', 'tnt-a', {number}, {iroas}, {error}, {spend}000000, 'USD', 7, 2000, 'no mailer', {number}, {T})"
        ));
    }
}

fn task(service: &Service, id: &str, retailer: &str, task_type: &str, status: &str, is_golden: &str) {
    service.sql(&format!(
        "INSERT INTO rating_tasks (task_id, tenant_id, task_type, status, retailer_id, title, prompt, context_snippets, candidate_a, candidate_b, auto_checks, rubric_checklist, reason_codes, is_golden, priority, required_judgments, judgments_count, content_hash, completed_at, created_at, updated_at) \
         VALUES ('{id}', 'tnt-a', '{task_type}', '{status}', '{retailer}', 't', 'p', '[]', '{{}}', '{{}}', '[]', '[]', '[]', {is_golden}, 50, 3, 3, '{id}', {T}, {T}, {T})"
    ));
}

/// 36 seconds of work, of which the client of `t1` saw all as active.
fn judgment(service: &Service, task: &str, rater: &str, choice: &str, extra: &str) {
    let is = |word: &str| if extra == word { "TRUE" } else { "FALSE" };
    let golden = if extra == "golden" { "TRUE" } else { "NULL" };
    let voided = if extra == "voided" { T } else { "NULL" };
    let (seconds, active) = if task == "t1" { (500, "36000") } else { (36, "NULL") };
    service.sql(&format!(
        "INSERT INTO task_assignments (assignment_id, task_id, rater_id, state, purpose, display_order, leased_at, expires_at, heartbeat_at, created_at, updated_at) \
         VALUES ('asg-{task}-{rater}', '{task}', '{rater}', 'submitted', 'work', '[0,1]', {T}, {T}, {T}, {T}, {T})"
    ));
    service.sql(&format!(
        "INSERT INTO judgments (judgment_id, assignment_id, task_id, rater_id, choice, display_order, reasons, confidence, rubric_scores, time_spent_seconds, active_ms, is_escalated, matches_golden, expert_reviewed, rubric_version, voided_at, created_at, updated_at) \
         VALUES ('jdg-{task}-{rater}', 'asg-{task}-{rater}', '{task}', '{rater}', '{choice}', '[0,1]', '[]', 0.75, '{{}}', {seconds}, {active}, {}, {golden}, FALSE, 1, {voided}, {T}, {T})",
        is("escalated")
    ));
}

async fn by_the_clock(service: &Service) -> Value {
    let now = service.state.clock.now();
    assert!(service.database.storage.transaction(move |conn| enqueue_if_due(conn, now, EVERY)).await.unwrap());
    assert!(worker::work_once(&service.state).await.unwrap());
    let filter = JobFilter { kind: Some(COMPUTE.to_owned()), state: None };
    let jobs = jobs::list(&mut service.database.connect(), &Scope::system("test"), &filter, &Page::first(1)).unwrap().rows;
    assert_eq!((jobs[0].state.as_str(), &jobs[0].error), ("succeeded", &None));
    jobs[0].result.clone().unwrap().0
}

#[actix_web::test]
async fn a_day_worked_out_by_hand_is_computed_by_the_clock_and_recomputing_gives_the_same() {
    for database in testkit::database::all() {
        let kind = database.kind();
        let service = Service::on(database, &COSTS);
        a_day(&service);
        // The day was missed by five; those on which nothing happened get no row, today and yesterday do.
        let report = by_the_clock(&service).await;
        assert_eq!(report, json!({ "days": ["2026-01-10", "2026-01-14", "2026-01-15"], "rows": 5 }), "{kind}");

        let admin = service.token(Role::PlatformAdmin, None);
        let rows = service.get(&admin, "/v1/rlhf-metrics?from=2026-01-10&to=2026-01-10").await.json();
        let row = &rows["data"][0];
        assert_eq!(
            (&row["total_judgments"], &row["active_raters"], &row["tasks_completed"]),
            (&json!(5), &json!(3), &json!(3)),
            "{kind}: {row}"
        );
        assert_eq!((&row["percent_tasks_escalated"], &row["golden_set_accuracy"]), (&json!(50.0), &json!(1.0)), "{kind}: {row}");
        // Five judgments by people at 0.50 and 36 s of 100 an hour, 90 s of an expert at 200 an hour; three were accepted.
        assert_eq!(row["cost_per_accepted_judgment"], json!({ "amount": "4.166667", "currency": "EUR" }), "{kind}");
        let cost = &row["definitions"]["cost_per_accepted_judgment"];
        assert_eq!(
            (&cost["n"], &cost["made_of"]["judgments_paid"], &cost["made_of"]["expert_hours"]),
            (&json!(3), &json!(5), &json!(0.025))
        );
        assert!(cost["interval"]["low"].as_f64().unwrap() < 4.17 && cost["interval"]["high"].as_f64().unwrap() > 4.16, "{cost}");
        // (4 x 500 + 2 x 1500) / 2000.
        assert_eq!(
            (&row["incremental_roas"], &row["incremental_revenue"]),
            (&json!(2.5), &json!({ "amount": "5000.000000", "currency": "USD" }))
        );
        let proven = &row["definitions"]["incremental_roas"];
        assert_eq!(
            (&proven["n"], &proven["experiments"][0]["experiment_id"], &proven["experiments"][0]["inputs_hash"]),
            (&json!(2), &json!("exp-1"), &json!("hash1"))
        );
        let half = 1.959_963_984_540_054 * (125.0_f64.powi(2) + 750.0_f64.powi(2)).sqrt() / 2000.0;
        assert!((proven["interval"]["low"].as_f64().unwrap() - (2.5 - half)).abs() < 1e-9, "{proven}");
        // Two tasks without an expert, 90 s each; 5 days and 8 hours from entry to the first approved mapping.
        assert!((row["expert_hours_saved"].as_f64().unwrap() - 0.05).abs() < 1e-12, "{kind}: {row}");
        assert!((row["time_to_onboard_days"].as_f64().unwrap() - (5.0 + 1.0 / 3.0)).abs() < 1e-9, "{kind}: {row}");
        for figure in &FIGURES {
            let note = &row["definitions"][figure.name];
            assert!(note["n"].is_u64() && note["source"]["tables"].is_array(), "{}: {note}", figure.name);
            assert_eq!(note["definition"], figure.definition);
            assert!(!row[figure.name].is_null() || note["absent_because"].is_string(), "{}: {note}", figure.name);
        }
        let of_b = service.get(&admin, "/v1/rlhf-metrics?retailer_id=rtl-b").await.json();
        assert_eq!((&of_b["data"][0]["incremental_roas"], &of_b["data"][0]["total_judgments"]), (&json!(2.0), &json!(0)), "{kind}: {of_b}");

        let mut conn = service.database.connect();
        let costs = service.state.settings.key_figures.costs.clone();
        let mut compared = 0;
        for (date, retailer) in [(day(), None), (day(), Some("rtl-a")), (day(), Some("rtl-b")), (day() + TimeDelta::days(5), None)] {
            let stored = rlhf_metrics::span(&mut conn, retailer, date, date).unwrap().pop().unwrap();
            let again = compute(&mut conn, &day_of(date, retailer.map(str::to_owned)), costs.as_ref()).unwrap();
            assert_eq!(NewDayFigures::from(stored), again, "{kind}: {date} {retailer:?}");
            compared += 1;
        }
        assert_eq!(compared, 4);
    }
}

#[actix_web::test]
async fn each_slot_of_time_is_computed_once_however_many_replicas_look_at_the_clock() {
    for database in testkit::database::all() {
        let kind = database.kind();
        let service = Service::on(database, &[]);
        let now = service.state.clock.now();
        let look = |at| service.database.storage.transaction(move |conn| enqueue_if_due(conn, at, EVERY));
        let looks = futures_util::future::join_all((0..6).map(|_| look(now))).await;
        assert_eq!(looks.into_iter().filter(|look| *look.as_ref().unwrap()).count(), 1, "{kind}");
        assert!(!look(now + TimeDelta::minutes(59)).await.unwrap(), "{kind}: the same hour");
        assert!(look(now + TimeDelta::minutes(61)).await.unwrap(), "{kind}: the next hour");
    }
}

#[actix_web::test]
async fn the_rows_behind_a_figure_can_be_listed_and_taken_away_as_a_file() {
    let service = Service::with(&COSTS);
    a_day(&service);
    let admin = service.token(Role::PlatformAdmin, None);
    by_the_clock(&service).await;
    for (figure, rows) in [
        ("total_judgments", 5),
        ("inter_rater_reliability", 4),
        ("golden_set_accuracy", 1),
        ("cost_per_accepted_judgment", 6),
        ("expert_hours_saved", 3),
        ("tasks_completed", 3),
        ("time_to_onboard_days", 1),
        ("incremental_roas", 2),
    ] {
        let path = format!("/v1/rlhf-metrics/sources?date=2026-01-10&figure={figure}");
        let listed = service.get(&admin, &path).await.json();
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(rows), "{figure}: {listed}");
        let file = service.get(&admin, &format!("{path}&format=csv")).await.text();
        assert_eq!(file.lines().count(), rows + 1, "{figure}: {file}");
    }
    let rows_of = async |query: &str| {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = service.get(&admin, &format!("/v1/rlhf-metrics/sources?date=2026-01-10&limit=2&{query}{cursor}")).await.json();
            let listed = page["data"].as_array().unwrap();
            rows.extend(listed.iter().map(|row| format!("{}:{}", row["table"].as_str().unwrap(), row["row_id"].as_str().unwrap())));
            let Some(next) = page["next_cursor"].as_str() else { return rows };
            cursor = format!("&cursor={next}");
        }
    };
    // What was paid for: people's judgments, kept or not, and the expert's decision; no program, page by page through both tables.
    let paid = ["t1-r1", "t1-r2", "t2-r1", "t2-r2", "g1-r1"].map(|id| format!("judgments:jdg-{id}"));
    let expert = "expert_reviews:rev1".to_owned();
    assert_eq!(rows_of("figure=cost_per_accepted_judgment").await, [&paid[..], std::slice::from_ref(&expert)].concat());
    assert_eq!(rows_of("figure=cost_per_accepted_judgment&retailer_id=rtl-b").await, Vec::<String>::new());
    // Tasks that no expert decided, then the decision that tells an expert's pace, whosever task it was.
    let alone = |task: &str| format!("rating_tasks:{task}");
    assert_eq!(rows_of("figure=expert_hours_saved").await, [alone("t1"), alone("m1"), expert.clone()]);
    assert_eq!(rows_of("figure=expert_hours_saved&retailer_id=rtl-b").await, [alone("m1"), expert]);
    let first = service.get(&admin, "/v1/rlhf-metrics/sources?date=2026-01-10&figure=incremental_roas&retailer_id=rtl-b").await.json();
    assert_eq!(
        (&first["data"][0]["table"], &first["data"][0]["row_id"], &first["data"][0]["value"]),
        (&json!("experiments"), &json!("exp-2"), &json!("iROAS 2.000"))
    );
    for wrong in ["date=2026-01-10&figure=luck", "date=2026-01-10&figure=schema_mapping_f1", "date=soon&figure=total_judgments"] {
        let refused = service.get(&admin, &format!("/v1/rlhf-metrics/sources?{wrong}")).await;
        assert!([400, 422].contains(&refused.status.as_u16()), "{wrong}: {}", refused.text());
    }
    let analyst = service.token(Role::Analyst, Some("tnt-a"));
    assert_eq!(service.get(&analyst, "/v1/rlhf-metrics/sources?date=2026-01-10&figure=total_judgments").await.status, 403);

    let file = service.get(&analyst, "/v1/rlhf-metrics?format=csv").await.text();
    let mut lines = file.lines();
    let head: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row: Vec<&str> = lines.find(|line| line.starts_with("2026-01-10,,")).unwrap().split(',').collect();
    let cell = |name: &str| row[head.iter().position(|one| *one == name).unwrap()];
    assert_eq!(
        (cell("total_judgments"), cell("cost_per_accepted_judgment"), cell("cost_per_accepted_judgment_currency")),
        ("5", "4.166667", "EUR")
    );
    // What experiments of all tenants earned and what work costs is the platform's alone.
    assert_eq!((cell("incremental_roas"), cell("incremental_roas_n"), cell("schema_mapping_f1")), ("", "0", ""));
    let listed = service.get(&analyst, "/v1/rlhf-metrics?from=2026-01-10&to=2026-01-10").await;
    let row = listed.json()["data"][0].clone();
    assert!(row["incremental_roas"].is_null() && row["incremental_revenue"].is_null(), "{row}");
    assert!(row["definitions"]["incremental_roas"]["absent_because"].as_str().unwrap().contains("only the platform"), "{row}");
    for hidden in ["exp-1", "hash1", "cost_of_a_rater_hour"] {
        assert!(!listed.text().contains(hidden), "{hidden}");
    }
}

/// Of a retailer's tasks only the one that approved its first mapping is behind the days to onboard it.
#[actix_web::test]
async fn the_rows_behind_the_days_to_onboard_are_those_that_they_were_computed_from() {
    for database in testkit::database::all() {
        let kind = database.kind();
        let service = Service::on(database, &[]);
        a_day(&service);
        // A second approved mapping of the same retailer, one that is even, one that is not final, one of no retailer, and none approved at all.
        for (id, retailer, choice, is_final) in [
            ("m2", "rtl-b", "candidate_b", "TRUE"),
            ("m3", "rtl-a", "tie", "TRUE"),
            ("m4", "rtl-a", "candidate_a", "FALSE"),
            ("m5", "", "candidate_a", "TRUE"),
        ] {
            task(&service, id, "rtl-a", "schema_mapping", "completed", "FALSE");
            let retailer = if retailer.is_empty() { "NULL".to_owned() } else { format!("'{retailer}'") };
            service.sql(&format!("UPDATE rating_tasks SET retailer_id = {retailer} WHERE task_id = '{id}'"));
            service.sql(&format!(
                "INSERT INTO task_consensus (task_id, choice, posterior, posteriors, method, judgments_count, is_final, decided_by, created_at, updated_at) \
                 VALUES ('{id}', '{choice}', 0.9, '{{}}', 'gold-vote', 2, {is_final}, 'raters', {T}, {T})"
            ));
        }
        task(&service, "m6", "rtl-a", "schema_mapping", "completed", "FALSE");
        let admin = service.token(Role::PlatformAdmin, None);
        for (query, rows) in [("", vec!["m1"]), ("&retailer_id=rtl-b", vec!["m1"]), ("&retailer_id=rtl-a", Vec::new())] {
            let path = format!("/v1/rlhf-metrics/sources?date=2026-01-10&figure=time_to_onboard_days{query}");
            let listed = service.get(&admin, &path).await.json();
            let found: Vec<&str> = listed["data"].as_array().unwrap().iter().map(|row| row["row_id"].as_str().unwrap()).collect();
            assert_eq!(found, rows, "{kind}: {query}");
            if let Some(row) = listed["data"].get(0) {
                assert_eq!((&row["about"], &row["value"]), (&json!("rtl-b"), &json!("5.33 days after the retailer was entered")), "{kind}");
            }
        }
        let row = service.post(&admin, "/v1/rlhf-metrics/compute", json!({ "date": "2026-01-10" })).await.json();
        assert_eq!(row["definitions"]["time_to_onboard_days"]["n"], 1, "{kind}: {row}");
    }
}

/// Experts' pace is taken from 90 days: a time alone would look like one of the page's day.
#[actix_web::test]
async fn rows_of_other_days_than_the_page_s_carry_their_date() {
    let service = Service::with(&COSTS);
    a_day(&service);
    let admin = service.token(Role::PlatformAdmin, None);
    let page = async |date: &str| service.get(&admin, &format!("/key-figures/expert_hours_saved?date={date}")).await.text();
    assert!(page("2026-01-10").await.contains("<td class=\"when\">08:00:00 UTC</td>"));
    let later = page("2026-01-12").await;
    assert!(later.contains("<td class=\"when\">10 Jan 2026, 08:00:00 UTC</td>") && !later.contains(">08:00:00 UTC<"), "{later}");
}

#[actix_web::test]
async fn figures_say_why_they_are_absent() {
    let service = Service::new();
    a_day(&service);
    service.sql("UPDATE response_calibrations SET currency = 'EUR' WHERE experiment = 1");
    let admin = service.token(Role::PlatformAdmin, None);
    let row = service.post(&admin, "/v1/rlhf-metrics/compute", json!({ "date": "2026-01-10" })).await.json();
    let because = |figure: &str| row["definitions"][figure]["absent_because"].as_str().unwrap_or_default().to_owned();
    assert!(because("cost_per_accepted_judgment").contains("ENDCAP_COST_PER_JUDGMENT"), "{row}");
    assert!(because("incremental_roas").contains("several currencies"), "{row}");
    assert!(row["incremental_revenue"].is_null() && row["cost_per_accepted_judgment"].is_null());
    let unknown = service.post(&admin, "/v1/rlhf-metrics/compute", json!({ "retailer_id": "rtl-none" })).await;
    assert_eq!(unknown.status, 422, "{}", unknown.text());
}

#[test]
fn the_documentation_holds_the_table_of_definitions() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/key-figures.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- figures -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- /figures -->").unwrap();
    let wanted = format!("{before}<!-- figures -->\n{}<!-- /figures -->{after}", render_table());
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap() == wanted,
        "docs/key-figures.md differs; run: UPDATE_DOCUMENTS=1 cargo test -p rlhf-backend documentation"
    );
}
