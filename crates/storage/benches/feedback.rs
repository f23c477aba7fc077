//! Statistics over 1,000,000 pieces of feedback, from kept counters and from the rows, and what it costs to store one beside a plain insert of
//! the same row: `scripts/bench feedback`.
//!
//! Figures are CPU of this process and of its PostgreSQL backend together, a mean over many repetitions, because the kernel counts in
//! hundredths of a second.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use domain::role::Role;
use domain::scope::Scope;
use storage::brands::{self, NewBrand};
use storage::connection::Connection;
use storage::feedback::statistics::{statistics, statistics_of_rows};
use storage::feedback::{self, FeedbackFilter, NewFeedback};
use storage::store::transaction;
use testkit::bench::{Report, cpu};
use testkit::database::TestDatabase;

const ROWS: usize = 1_000_000;
const BRANDS: usize = 20;
/// Stored one by one.
const SINGLE: u32 = 2_000;

fn main() {
    let mut report = Report::new("feedback");
    for database in testkit::database::all().into_iter().filter(|database| database.kind() != "mysql") {
        run(&database, &mut report);
    }
    report.finish().unwrap();
}

#[derive(QueryableByName)]
struct Backend {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

/// CPU of this process and of the connection's server process.
fn spent(backend: Option<u32>) -> Duration {
    cpu::of_self() + backend.map_or(Duration::ZERO, cpu::of_tree)
}

fn milliseconds(backend: Option<u32>, times: u32, mut work: impl FnMut(u32)) -> f64 {
    let before = spent(backend);
    (0..times).for_each(&mut work);
    (spent(backend) - before).as_secs_f64() * 1_000.0 / f64::from(times)
}

fn begin() -> DateTime<Utc> {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn piece(number: usize) -> NewFeedback {
    let kinds = [("thumbs_up", None), ("rating", Some(4)), ("thumbs_down", None), ("rating", Some(2))];
    let (kind, rating) = kinds[number % 4];
    NewFeedback {
        tenant_id: format!("tnt-{}", number % BRANDS % 4),
        brand_id: Some(format!("brand-{}", number % BRANDS)),
        user_id: "acc_1".into(),
        task_type: ["plan_quality", "tool_call_qa", "policy_compliance"][number / 4 % 3].into(),
        prompt: format!("Which offer for week {number}? {}", "words ".repeat(30)),
        model_output: format!("Offer {number}: {}", "more words ".repeat(30)),
        feedback_type: kind.into(),
        rating,
        preferred_output: None,
        rejected_output: None,
        metadata: serde_json::json!({}).into(),
        session_id: None,
    }
}

fn run(database: &TestDatabase, report: &mut Report) {
    let mut conn = database.connect();
    let system = Scope::system("bench");
    for number in 0..BRANDS {
        let new = NewBrand {
            brand_id: format!("brand-{number}"),
            tenant_id: format!("tnt-{}", number % 4),
            name: format!("Brand {number}"),
            is_active: true,
            ..NewBrand::default()
        };
        brands::insert(&mut conn, &system, &new, begin()).unwrap();
    }
    for chunk in 0..ROWS / 5_000 {
        let new: Vec<NewFeedback> = (0..5_000).map(|number| piece(chunk * 5_000 + number)).collect();
        transaction(&mut conn, |tx| feedback::insert(tx, &system, &new, begin() + TimeDelta::hours(12 * chunk as i64))).unwrap();
    }
    let backend = match &mut conn {
        Connection::Postgres(c) => {
            let found: Backend = diesel::sql_query("SELECT pg_backend_pid() AS pid").get_result(c).unwrap();
            diesel::sql_query("VACUUM ANALYZE").execute(c).unwrap();
            Some(u32::try_from(found.pid).unwrap())
        }
        Connection::Sqlite(c) => {
            c.batch_execute("ANALYZE").unwrap();
            None
        }
        Connection::Mysql(_) => None,
    };
    let kind = database.kind();
    let tenant = Scope::for_caller("bench", Role::Analyst, Some("tnt-1"));
    let everything = FeedbackFilter::default();
    let brand = FeedbackFilter { brand_id: Some("brand-7".into()), ..everything.clone() };
    let weeks = FeedbackFilter { from: Some(begin() + TimeDelta::days(20)), to: Some(begin() + TimeDelta::days(41)), ..everything.clone() };
    let hours = FeedbackFilter { from: Some(begin() + TimeDelta::hours(485)), ..weeks.clone() };
    for (what, scope, filter, goal) in [
        ("the platform's 1,000,000", &system, &everything, true),
        ("a tenant's 250,000", &tenant, &everything, true),
        ("a brand's 50,000", &system, &brand, true),
        ("three weeks of the platform", &system, &weeks, true),
        ("three weeks and a part of a day", &system, &hours, false),
    ] {
        let kept = statistics(&mut conn, scope, filter).unwrap();
        assert_eq!(kept, statistics_of_rows(&mut conn, scope, filter).unwrap(), "{what}");
        let fast = milliseconds(backend, 200, |_| assert!(statistics(&mut conn, scope, filter).unwrap().total > 0));
        let slow = milliseconds(backend, 3, |_| assert!(statistics_of_rows(&mut conn, scope, filter).unwrap().total > 0));
        let row = report.figure(&format!("{kind}: statistics of {what}"), fast, "ms of CPU");
        row.against("GROUP BY over the rows", slow);
        if goal {
            row.wanted("at most 2 ms", fast <= 2.0);
        }
    }
    let now = begin() + TimeDelta::days(200);
    let store = milliseconds(backend, SINGLE, |number| {
        let new = [piece(number as usize)];
        transaction(&mut conn, |tx| feedback::insert(tx, &system, &new, now).map(drop)).unwrap();
    });
    let plain = milliseconds(backend, SINGLE, |number| plain_insert(&mut conn, number));
    let row = report.figure(&format!("{kind}: store one"), store, "ms of CPU, without HTTP");
    row.against("the plain INSERT of the same row", plain).wanted("at most 0.5 ms", store <= 0.5);
}

/// The row alone, as a driver without anything around it would write it: values in the text, one statement, its own transaction.
fn plain_insert(conn: &mut Connection, number: u32) {
    let new = piece(number as usize);
    let text = format!(
        "INSERT INTO feedback (feedback_id, tenant_id, brand_id, user_id, task_type, prompt, model_output, feedback_type, metadata, created_at, updated_at) \
         VALUES ('plain-{number}', '{}', '{}', 'acc_1', '{}', '{}', '{}', 'thumbs_up', '{{}}', '2026-08-01T00:00:00Z', '2026-08-01T00:00:00Z')",
        new.tenant_id,
        new.brand_id.unwrap_or_default(),
        new.task_type,
        new.prompt,
        new.model_output
    );
    storage::connection::execute(conn, &text).unwrap();
}
