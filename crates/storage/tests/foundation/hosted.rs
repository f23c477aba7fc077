//! The policies for a database that a Supabase project serves, on stock PostgreSQL: every role on every table with every verb.

use std::collections::BTreeMap;

use diesel::connection::{Connection as _, SimpleConnection};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use storage::connection::Connection;
use storage::hosted_policies::{self, State};
use storage::store::transaction_of;

use crate::tenants::{count, fill, names, postgres};

const STAND_IN: &str = include_str!("hosted.sql");
const POLICIES: &str = include_str!("../../../../deploy/supabase/policies.sql");
const REALTIME: &str = include_str!("../../../../deploy/supabase/realtime.sql");

const OF_TENANTS: [&str; 15] = [
    "brands",
    "sku_catalog",
    "campaigns",
    "campaign_creatives",
    "campaign_history",
    "campaign_plans",
    "performance_metrics",
    "experiments",
    "experiment_observations",
    "response_calibrations",
    "feedback",
    "feedback_rules",
    "imports",
    "import_errors",
    "reflection_logs",
];
const OF_RATERS: [&str; 4] = ["judgments", "task_assignments", "rater_profiles", "rater_qualifications"];
const TABLES: &str =
    "SELECT c.relname::text AS name FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1";

/// Who asks: a role of the database and what the token claims.
struct Caller {
    name: &'static str,
    role: &'static str,
    claims: &'static str,
}

const CALLERS: [Caller; 6] = [
    Caller { name: "nobody", role: "anon", claims: "{}" },
    Caller { name: "rater", role: "authenticated", claims: r#"{"app_metadata": {"role": "rater", "rater_id": "tnt-arater_id"}}"# },
    Caller { name: "analyst", role: "authenticated", claims: r#"{"app_metadata": {"role": "analyst", "tenant_id": "tnt-a"}}"# },
    Caller { name: "no planner", role: "authenticated", claims: r#"{"app_metadata": {"role": "rater", "tenant_id": "tnt-a"}}"# },
    // What users may write about themselves counts for nothing.
    Caller {
        name: "pretender",
        role: "authenticated",
        claims: r#"{"user_metadata": {"role": "analyst", "tenant_id": "tnt-a", "rater_id": "tnt-arater_id"}}"#,
    },
    Caller { name: "service", role: "service_role", claims: "{}" },
];

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    name: String,
}

/// What a statement comes to as somebody: a count, `done`, `denied`, or another error's words; nothing is kept.
fn attempt(c: &mut PgConnection, caller: &Caller, statement: &str) -> String {
    let mut seen = String::new();
    let result: Result<(), diesel::result::Error> = c.transaction(|c| {
        c.batch_execute(&format!("SET LOCAL ROLE {}; SELECT set_config('request.jwt.claims', '{}', true)", caller.role, caller.claims))?;
        seen = match statement.starts_with("SELECT") {
            true => diesel::sql_query(statement).get_result::<Count>(c)?.n.to_string(),
            false => {
                diesel::sql_query(statement).execute(c)?;
                "done".to_owned()
            }
        };
        Err(diesel::result::Error::RollbackTransaction)
    });
    match result {
        Err(diesel::result::Error::RollbackTransaction) | Ok(()) => seen,
        Err(error) if error.to_string().contains("permission denied") => "denied".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_role_may_do_what_it_may_on_every_table_and_nothing_else() {
    let Some(database) = postgres() else { return };
    let mut conn = database.connect();
    let tables = names(&mut conn, TABLES);
    let filled: Vec<String> = OF_TENANTS.iter().chain(&OF_RATERS).map(|name| (*name).to_owned()).collect();
    fill(&mut conn, &filled);
    let Connection::Postgres(c) = &mut conn else { panic!("PostgreSQL only") };
    c.batch_execute(STAND_IN).unwrap();
    c.batch_execute(POLICIES).unwrap();
    c.batch_execute(POLICIES).expect("it may be run again");
    let open: Vec<Column> = diesel::sql_query(
        "SELECT p.oid::regprocedure::text AS name FROM pg_proc p, unnest(ARRAY['anon', 'authenticated']) AS visitor \
         WHERE p.pronamespace = 'public'::regnamespace AND has_function_privilege(visitor, p.oid, 'EXECUTE')",
    )
    .load(c)
    .unwrap();
    assert!(open.is_empty(), "visitors may run {:?}", open.iter().map(|one| &one.name).collect::<Vec<_>>());
    c.batch_execute("CREATE TABLE of_a_later_migration (id BIGINT)").unwrap();
    let tables: Vec<String> = tables.into_iter().chain(["of_a_later_migration".to_owned()]).collect();
    for table in &tables {
        let columns: Vec<Column> = diesel::sql_query(format!(
            "SELECT column_name::text AS name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = '{table}' AND is_generated = 'NEVER' LIMIT 1"
        ))
        .load(c)
        .unwrap();
        let column = &columns[0].name;
        let verbs = BTreeMap::from([
            ("DELETE", format!("DELETE FROM {table} WHERE false")),
            ("INSERT", format!("INSERT INTO {table} DEFAULT VALUES")),
            ("UPDATE", format!("UPDATE {table} SET {column} = {column} WHERE false")),
        ]);
        for caller in &CALLERS {
            let seen = attempt(c, caller, &format!("SELECT count(*) AS n FROM {table}"));
            let is_service = caller.name == "service";
            let expected = match (OF_TENANTS.contains(&table.as_str()), OF_RATERS.contains(&table.as_str()), caller.name) {
                _ if table == "of_a_later_migration" && is_service => continue,
                (_, _, "nobody") | (false, false, "rater" | "analyst" | "no planner" | "pretender") => "denied",
                (true, _, "analyst") | (_, true, "rater") => "1",
                (true, _, _) | (_, true, _) if is_service => "2",
                (true, _, _) | (_, true, _) => "0",
                _ => seen.as_str(),
            };
            assert_eq!(seen, expected, "{} reads {table}", caller.name);
            assert!(!is_service || seen.parse::<i64>().is_ok(), "{table}: {seen}");
            for (verb, statement) in &verbs {
                let done = attempt(c, caller, statement);
                assert_eq!(done == "denied", !is_service, "{} {verb} {table}: {done}", caller.name);
            }
        }
    }
    for hidden in ["SELECT count(matches_golden) AS n FROM judgments", "SELECT count(purpose) AS n FROM task_assignments"] {
        assert_eq!(attempt(c, &CALLERS[1], hidden), "denied", "a rater must not learn which items are golden: {hidden}");
    }
}

#[test]
fn the_services_see_afterwards_what_they_saw_before() {
    let Some(database) = postgres() else { return };
    let mut conn = database.connect();
    let of_nobody = "SELECT c.relname::text AS name FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' \
        AND NOT c.relispartition AND NOT c.relrowsecurity AND c.relname <> '__diesel_schema_migrations' ORDER BY 1";
    let of_nobody = names(&mut conn, of_nobody);
    assert!(of_nobody.iter().any(|table| table == "retailers"), "{of_nobody:?}");
    let tables: Vec<String> = of_nobody.into_iter().chain(["brands".to_owned(), "campaigns".to_owned()]).collect();
    // The end of the audit log's chain is one row, which is there.
    fill(&mut conn, &tables.iter().filter(|table| *table != "audit_chain").cloned().collect::<Vec<_>>());
    // As the owner, and as the role in which the services work for a tenant.
    let seen = |conn: &mut Connection| -> Vec<(String, Option<i64>, Option<i64>)> {
        let mut counts = |tenant: Option<&str>, table: &String| {
            transaction_of(conn, tenant, |tx| count(tx, &format!("SELECT count(*) AS n FROM {table}"))).ok()
        };
        tables.iter().map(|table| (table.clone(), counts(None, table), counts(Some("tnt-a"), table))).collect()
    };
    let before = seen(&mut conn);
    assert!(before.contains(&("retailers".to_owned(), Some(2), Some(2))) && before.contains(&("brands".to_owned(), Some(2), Some(1))));
    let Connection::Postgres(c) = &mut conn else { panic!("PostgreSQL only") };
    c.batch_execute(STAND_IN).unwrap();
    c.batch_execute(POLICIES).unwrap();
    assert_eq!(seen(&mut conn), before);
}

#[test]
fn a_partition_of_a_new_month_is_closed_like_the_rest() {
    let Some(database) = postgres() else { return };
    let mut conn = database.connect();
    let unguarded = "SELECT c.relname::text AS name FROM pg_class c WHERE c.relispartition AND c.relkind = 'r' AND NOT c.relrowsecurity";
    assert_eq!(names(&mut conn, unguarded), Vec::<String>::new(), "those that migrations made");
    let Connection::Postgres(c) = &mut conn else { panic!("PostgreSQL only") };
    c.batch_execute(STAND_IN).unwrap();
    c.batch_execute(POLICIES).unwrap();
    c.batch_execute("SELECT endcap_performance_partition('2091-05-17')").unwrap();
    for caller in &CALLERS[..5] {
        let seen = attempt(c, caller, "SELECT count(*) AS n FROM performance_metrics_2091_05");
        assert_eq!(seen, "denied", "{} reads a new partition", caller.name);
    }
    let state = hosted_policies::state(&mut conn).unwrap();
    assert!(matches!(state, State::Guarded { .. }), "{state:?}");
}

#[test]
fn channels_are_heard_by_the_same_people_as_our_own_rooms() {
    let Some(database) = postgres() else { return };
    let mut conn = database.connect();
    let Connection::Postgres(c) = &mut conn else { panic!("PostgreSQL only") };
    c.batch_execute(STAND_IN).unwrap();
    c.batch_execute(REALTIME).unwrap();
    c.batch_execute(REALTIME).expect("it may be run again");
    c.batch_execute("INSERT INTO realtime.messages VALUES ('x', 'broadcast'), ('x', 'presence')").unwrap();
    let admin = Caller { name: "admin", role: "authenticated", claims: r#"{"app_metadata": {"role": "platform_admin"}}"# };
    let [nobody, rater, analyst, ..] = &CALLERS;
    for (topic, who) in [
        ("leaderboard", vec!["rater", "analyst", "admin"]),
        ("tasks", vec!["rater", "admin"]),
        ("rater:tnt-arater_id", vec!["rater"]),
        ("rater:another", vec![]),
        ("jobs", vec!["admin"]),
        ("jobs:tnt-a", vec!["analyst", "admin"]),
        ("jobs:tnt-b", vec!["admin"]),
        ("anything", vec![]),
    ] {
        for caller in [nobody, rater, analyst, &admin] {
            c.batch_execute(&format!("SET realtime.topic = '{topic}'")).unwrap();
            let heard = attempt(c, caller, "SELECT count(*) AS n FROM realtime.messages");
            assert_eq!(heard, if who.contains(&caller.name) { "1" } else { "0" }, "{} in {topic}", caller.name);
        }
    }
}

#[test]
fn a_database_that_is_served_without_policies_is_found() {
    let Some(database) = postgres() else { return };
    let mut conn = database.connect();
    let run = |conn: &mut Connection, statements: &str| {
        let Connection::Postgres(c) = conn else { panic!("PostgreSQL only") };
        c.batch_execute(statements).unwrap();
    };
    run(&mut conn, STAND_IN);
    assert!(matches!(hosted_policies::state(&mut conn), Ok(State::Open { unguarded, .. }) if !unguarded.is_empty()));
    run(&mut conn, POLICIES);
    assert!(matches!(hosted_policies::state(&mut conn), Ok(State::Guarded { tables }) if tables > 30));
    run(&mut conn, "CREATE TABLE of_a_later_migration (id BIGINT); GRANT SELECT ON judgments TO anon");
    let expected = State::Open { unguarded: vec!["of_a_later_migration".to_owned()], granted: vec!["judgments".to_owned()] };
    assert_eq!(hosted_policies::state(&mut conn).unwrap(), expected);
}
