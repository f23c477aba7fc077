//! Every list of the workspace, in every order and by every filter, finds its rows by an index; what is shown beside a row costs no query
//! of its own.

use std::sync::{Arc, Mutex};

use diesel::connection::{Connection as _, Instrumentation, InstrumentationEvent};
use diesel::prelude::*;
use domain::scope::Scope;
use serde_json::json;
use storage::campaigns::creatives::{self, NewCreative};
use storage::campaigns::history::{self, Action, Change};
use storage::campaigns::{self, Campaign, CampaignFilter, NewCampaign};
use storage::connection::{Connection, execute};
use storage::experiments::{self, ExperimentFilter, NewExperiment};
use storage::imports::ledger::{self, ImportFilter};
use storage::on;
use storage::page::Page;
use storage::performance::rows::{self, ExportPlace, RowFilter};
use storage::retailers::{self, NewRetailer};
use storage::workspace::{self, After, Order, Wish};

use crate::analytics::{By, assert_by_range};
use crate::{now, system, tenant};

/// Tenants among which the rows are spread, so that those of one are a small part of each table.
const TENANTS: usize = 60;
const CAMPAIGNS: usize = 1_200;
/// Campaigns beside them, so that no planner reads the whole table because it is small.
const MORE_CAMPAIGNS: usize = 6_000;

/// The queries that `work` sends, as Diesel prints them.
fn sent(conn: &mut Connection, work: impl FnOnce(&mut Connection)) -> Vec<String> {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&seen);
    let listen = move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            kept.lock().unwrap().push(query.to_string());
        }
    };
    on!(conn, c => c.set_instrumentation(listen));
    work(conn);
    on!(conn, c => c.set_instrumentation(None::<Box<dyn Instrumentation>>));
    seen.lock().unwrap().clone()
}

/// A printed query with its values in place of `?` and `$1`.
fn with_values(printed: &str) -> String {
    let (text, values) = printed.split_once("-- binds: ").unwrap_or((printed, "[]"));
    let values = values.trim().trim_start_matches('[').trim_end_matches(']');
    let mut values: Vec<String> = values.split(", ").filter(|value| !value.is_empty()).map(literal).collect();
    let mut whole = String::new();
    if text.contains("$1") {
        whole.push_str(text);
        for (at, value) in values.iter().enumerate().rev() {
            whole = whole.replace(&format!("${}", at + 1), value);
        }
    } else {
        values.reverse();
        for letter in text.chars() {
            if letter == '?' { whole.push_str(&values.pop().unwrap()) } else { whole.push(letter) }
        }
    }
    whole.trim().to_owned()
}

/// SQL of one value: a number as it is, all else quoted.
fn literal(printed: &str) -> String {
    let inner = printed.trim_start_matches("Timestamp(").trim_end_matches(')').trim_matches('"');
    match (printed.parse::<i64>(), printed.starts_with("Timestamp(")) {
        (Ok(number), _) => number.to_string(),
        (_, true) => format!("'{}'", inner.trim_end_matches('Z').replace('T', " ")),
        _ => format!("'{inner}'"),
    }
}

#[derive(QueryableByName)]
struct PostgresStep {
    #[diesel(sql_type = diesel::sql_types::Text, column_name = "QUERY PLAN")]
    step: String,
}

#[derive(QueryableByName)]
struct SqliteStep {
    #[diesel(sql_type = diesel::sql_types::Text)]
    detail: String,
}

#[derive(QueryableByName)]
struct MysqlStep {
    #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Text>)]
    table: Option<String>,
    #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Text>, column_name = "type")]
    kind: Option<String>,
    #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Text>)]
    key: Option<String>,
    #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Text>, column_name = "Extra")]
    extra: Option<String>,
}

/// How much of a table a query may read.
#[derive(Clone, Copy, PartialEq)]
enum Reach {
    /// The rows that an index names.
    Named,
    /// An index from its beginning, in the order of the list: it ends with the page.
    Walk,
}

/// Fails when a query reads more of a table than it may. PostgreSQL and MariaDB tell a walk by an index without a condition, SQLite calls
/// it a scan; a sort after a walk says that it did not end with the page but read the whole table.
fn assert_indexed(conn: &mut Connection, what: &str, printed: &str, reach: Reach) {
    let query = with_values(printed);
    let (has_index, is_walk, plan) = match conn {
        Connection::Postgres(c) => {
            let steps: Vec<PostgresStep> = diesel::sql_query(format!("EXPLAIN {query}")).load(c).unwrap();
            let plan = steps.into_iter().map(|step| step.step).collect::<Vec<_>>().join("\n");
            let is_walk = !plan.contains("Index Cond:");
            let reads_all = plan.contains("Seq Scan") || (is_walk && plan.contains("Sort Key:"));
            (!reads_all, is_walk, plan)
        }
        Connection::Sqlite(c) => {
            let steps: Vec<SqliteStep> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {query}")).load(c).unwrap();
            let plan: Vec<String> = steps.into_iter().map(|step| step.detail).collect();
            let is_walk = plan.iter().any(|line| line.starts_with("SCAN"));
            let is_sorted = plan.iter().any(|line| line.contains("TEMP B-TREE FOR"));
            (!(is_walk && is_sorted), is_walk, plan.join("\n"))
        }
        Connection::Mysql(c) => {
            let steps: Vec<MysqlStep> = diesel::sql_query(format!("EXPLAIN {query}")).load(c).unwrap();
            let kind = |word: &str| steps.iter().any(|step| step.kind.as_deref() == Some(word));
            let is_sorted = steps.iter().any(|step| step.extra.as_deref().is_some_and(|extra| extra.contains("filesort")));
            let plan: Vec<String> =
                steps.iter().map(|step| format!("{:?} {:?} {:?} {:?}", step.table, step.kind, step.key, step.extra)).collect();
            let reads_all = kind("ALL") || (kind("index") && is_sorted);
            (!reads_all, kind("index"), plan.join("\n"))
        }
    };
    let is_fine = !plan.is_empty() && has_index && (reach == Reach::Walk || !is_walk);
    assert!(is_fine, "{} {what} reads too much of a table:\n{query}\n{plan}", conn.kind());
}

fn fill(conn: &mut Connection) -> Vec<Campaign> {
    for id in ["rtl-a", "rtl-b"] {
        let new = NewRetailer { retailer_id: id.into(), name: id.into(), ..NewRetailer::default() };
        retailers::insert(conn, &new, now()).unwrap();
    }
    let mut stored = Vec::new();
    for at in 0..CAMPAIGNS {
        let tenant_id = format!("tnt-{}", at % TENANTS);
        let new = NewCampaign {
            campaign_id: format!("cmp-{at}"),
            tenant_id: tenant_id.clone(),
            retailer_id: if at % 3 == 0 { "rtl-a" } else { "rtl-b" }.into(),
            name: format!("Campaign {at}"),
            start_date: Some("2025-01-01".parse().unwrap()),
            end_date: (at % 7 != 0).then(|| "2025-12-31".parse().unwrap()),
            ..NewCampaign::default()
        };
        let campaign = campaigns::insert(conn, &system(), &new, &Change::of(Action::Create), now()).unwrap();
        let experiment = NewExperiment {
            experiment_id: format!("exp-{at}"),
            tenant_id,
            campaign: Some(campaign.id),
            name: "Holdout".into(),
            hypothesis: None,
            design: "ab".into(),
            status: "draft".into(),
            salt: "s".into(),
            definition: json!({}).into(),
            definition_hash: None,
            started_at: None,
            concluded_at: None,
            result: None,
            inputs_hash: None,
            status_reason: None,
            created_by: "acc_1".into(),
        };
        experiments::insert(conn, &system(), &experiment, now()).unwrap();
        let creative = NewCreative { creative_id: "crt".into(), name: "One".into(), content: json!({}).into(), findings: json!([]).into() };
        creatives::insert(conn, &system(), &campaign, &creative, &Change::of(Action::Update), now()).unwrap();
        stored.push(campaign);
    }
    let time = if conn.kind() == "sqlite" { "2026-01-15T12:00:00.000000Z" } else { "2026-01-15 12:00:00" };
    let columns = "campaign_id, tenant_id, retailer_id, name, objective, end_date, placement_types, target_audiences, target_skus, constraints, \
                   attributes, status, created_at, updated_at";
    for some in (CAMPAIGNS..CAMPAIGNS + MORE_CAMPAIGNS).collect::<Vec<_>>().chunks(1_000) {
        let rows: Vec<String> = some
            .iter()
            .map(|at| {
                let (tenant, end) = (at % TENANTS, if at % 7 == 0 { "NULL" } else { "'2025-12-31'" });
                let retailer = if at % 3 == 0 { "rtl-a" } else { "rtl-b" };
                format!(
                    "('cmp-{at}', 'tnt-{tenant}', '{retailer}', 'Campaign {at}', 'awareness', {end}, '[]', '[]', '[]', '{{}}', '{{}}', 'active', '{time}', \
                     '{time}')"
                )
            })
            .collect();
        execute(conn, &format!("INSERT INTO campaigns ({columns}) VALUES {}", rows.join(", "))).unwrap();
    }
    let imports: Vec<String> = (0..CAMPAIGNS)
        .map(|at| {
            let state = if at % 5 == 0 { "failed" } else { "finished" };
            format!("('imp-{at}', 'tnt-{}', 'skus', '{at}', '{state}', 1, 1, 0, 0, 0, '[]', '{time}', '{time}')", at % TENANTS)
        })
        .collect();
    let columns = "import_id, tenant_id, table_name, content_hash, state, received, inserted, updated, unchanged, rejected, errors";
    execute(conn, &format!("INSERT INTO imports ({columns}, created_at, updated_at) VALUES {}", imports.join(", "))).unwrap();
    let statistics = match conn {
        Connection::Mysql(_) => "ANALYZE TABLE campaigns, experiments, imports, campaign_creatives, campaign_history",
        _ => "ANALYZE",
    };
    execute(conn, statistics).unwrap();
    stored
}

/// Runs a list and looks at the plan of each of its queries. Who sees all tenants walks along an order, others see what is theirs.
fn check(conn: &mut Connection, what: &str, scope: &Scope, work: impl FnOnce(&mut Connection)) {
    let queries = sent(conn, work);
    assert!(!queries.is_empty(), "{what}");
    for query in queries {
        assert_indexed(conn, what, &query, if scope.tenant().is_some() { Reach::Named } else { Reach::Walk });
    }
}

fn campaign_filters() -> Vec<CampaignFilter> {
    let none = CampaignFilter::default;
    vec![
        none(),
        CampaignFilter { status: Some("draft".into()), ..none() },
        CampaignFilter { retailer_id: Some("rtl-a".into()), ..none() },
        CampaignFilter { brand_id: Some("brd-a".into()), ..none() },
        CampaignFilter { objective: Some("awareness".into()), ..none() },
    ]
}

fn check_campaigns(conn: &mut Connection, scope: &Scope, own: &Campaign, orders: &[(Order, After)]) {
    for filter in campaign_filters() {
        for page in [Page::first(25), Page { after: Some(own.id), limit: 25 }] {
            check(conn, &format!("campaigns {filter:?}"), scope, |conn| {
                campaigns::list(conn, scope, &filter, &page).unwrap();
            });
        }
        for (order, place) in orders {
            for (search, after) in [(None, None), (None, Some(place.clone())), (Some("Camp".to_owned()), None)] {
                let wish = Wish { filter: filter.clone(), search, order: *order, after, limit: 25 };
                check(conn, &format!("workspace {wish:?}"), scope, |conn| {
                    workspace::list(conn, scope, &wish).unwrap();
                });
            }
        }
    }
}

#[test]
fn every_list_of_the_workspace_uses_an_index() {
    for database in testkit::database::all() {
        let mut conn = database.connect();
        let conn = &mut conn;
        let stored = fill(conn);
        let (own, scope) = (&stored[301], tenant("tnt-1"));
        let orders = [
            (Order::Newest, After::Newest(own.id)),
            (Order::Changed, After::Changed(own.updated_at, own.id)),
            (Order::Name, After::Name(own.name.clone(), own.id)),
            (Order::Ending, After::Ending(own.end_date, own.id)),
            (Order::Ending, After::Ending(None, own.id)),
        ];
        check_campaigns(conn, &scope, own, &orders);
        check_campaigns(conn, &system(), own, &orders);
        let export =
            |conn: &mut Connection, place: &ExportPlace| rows::export(conn, &scope, None, &RowFilter::default(), place, 7).unwrap().1;
        for (what, campaign_id, place) in [
            ("the campaigns of an export", None, ExportPlace::START),
            ("the campaigns of its next page", None, export(conn, &ExportPlace::START).unwrap()),
            ("the campaign of an export", Some(own.campaign_id.as_str()), ExportPlace::START),
        ] {
            let plan = rows::explain_export(conn, &scope, campaign_id, &place).unwrap();
            assert_by_range(conn, what, &plan, ("c", "campaigns"), By::Tenant);
        }
        if let Connection::Postgres(_) = conn {
            // The other tables fit in a few blocks and are read whole by any planner; the question is whether it could do otherwise.
            execute(conn, "SET enable_seqscan = off").unwrap();
        }
        for filter in [
            ExperimentFilter::default(),
            ExperimentFilter { campaign: Some(own.id), ..ExperimentFilter::default() },
            ExperimentFilter { status: Some("draft".into()), ..ExperimentFilter::default() },
            ExperimentFilter { design: Some("ab".into()), ..ExperimentFilter::default() },
        ] {
            for scope in [&scope, &system()] {
                check(conn, &format!("experiments {filter:?}"), scope, |conn| {
                    experiments::list(conn, scope, &filter, &Page::first(25)).unwrap();
                });
            }
        }
        for (table, state) in [(None, None), (Some("skus"), None), (None, Some("failed")), (Some("skus"), Some("failed"))] {
            let filter = ImportFilter { table: table.map(str::to_owned), state: state.map(str::to_owned) };
            check(conn, &format!("imports {table:?} {state:?}"), &scope, |conn| {
                ledger::list(conn, &scope, &filter, &Page::first(25)).unwrap();
            });
        }
        for page in [Page::first(25), Page { after: Some(1), limit: 25 }] {
            check(conn, "creatives", &scope, |conn| {
                creatives::list(conn, &scope, own, &page).unwrap();
            });
            check(conn, "history", &scope, |conn| {
                history::list(conn, &scope, own, &page).unwrap();
            });
        }
    }
}

#[test]
fn campaigns_of_a_page_of_experiments_are_looked_up_at_once() {
    for database in testkit::database::all() {
        let mut conn = database.connect();
        let stored = fill(&mut conn);
        for limit in [1, 5, 20] {
            let page = experiments::list(&mut conn, &tenant("tnt-1"), &ExperimentFilter::default(), &Page::first(limit)).unwrap();
            assert_eq!(page.rows.len() as i64, limit);
            let queries = sent(&mut conn, |conn| {
                let found = experiments::campaign_ids(conn, &tenant("tnt-1"), &page.rows).unwrap();
                for row in &page.rows {
                    let campaign = stored.iter().find(|campaign| Some(campaign.id) == row.campaign).unwrap();
                    assert_eq!(found.get(&campaign.id), Some(&campaign.campaign_id));
                }
                // Another tenant's campaigns are not named.
                assert!(experiments::campaign_ids(conn, &tenant("tnt-2"), &page.rows).unwrap().is_empty());
            });
            assert_eq!(queries.len(), 2, "{} one query for each call: {queries:?}", database.kind());
        }
    }
}
