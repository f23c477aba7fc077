//! Row-level security on PostgreSQL: a query without any filter sees only rows of the tenant that the storage was asked for.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use domain::role::Role;
use domain::scope::Scope;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::row_security::{self, State};
use storage::store::transaction_of;
use testkit::database::TestDatabase;

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

pub(crate) fn names(conn: &mut Connection, query: &str) -> Vec<String> {
    let Connection::Postgres(c) = conn else { panic!("PostgreSQL only") };
    let rows: Vec<Name> = diesel::sql_query(query).load(c).unwrap();
    rows.into_iter().map(|row| row.name).collect()
}

pub(crate) fn count(conn: &mut Connection, query: &str) -> Result<i64, StorageError> {
    let Connection::Postgres(c) = conn else { panic!("PostgreSQL only") };
    let row: Count = diesel::sql_query(query).get_result(c)?;
    Ok(row.n)
}

pub(crate) fn postgres() -> Option<TestDatabase> {
    testkit::database::all().into_iter().find(|database| database.kind() == "postgres")
}

const TABLES: &str = "SELECT c.relname::text AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' \
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT a.attisdropped ORDER BY 1";

/// One row of each table for each of two tenants, without what they refer to: keys are switched off, values are made by type.
pub(crate) fn fill(conn: &mut Connection, tables: &[String]) {
    let Connection::Postgres(c) = conn else { panic!("PostgreSQL only") };
    c.batch_execute("SELECT endcap_performance_partition('2026-01-15')").unwrap();
    c.batch_execute("SET session_replication_role = replica").unwrap();
    for table in tables {
        // Checks of words are not the matter here.
        c.batch_execute(&format!(
            "DO $$ DECLARE k RECORD; BEGIN FOR k IN SELECT conname FROM pg_constraint WHERE conrelid = '{table}'::regclass AND contype = 'c' AND conislocal \
             LOOP EXECUTE format('ALTER TABLE {table} DROP CONSTRAINT %I', k.conname); END LOOP; END $$"
        ))
        .unwrap();
        for tenant in ["tnt-a", "tnt-b"] {
            let sql = format!(
                "DO $$ DECLARE names TEXT; vals TEXT; BEGIN \
                 SELECT string_agg(quote_ident(column_name), ', '), string_agg(CASE \
                   WHEN column_name = 'tenant_id' THEN quote_literal('{tenant}') \
                   WHEN data_type IN ('character varying', 'text', 'character') THEN 'left(' || quote_literal('{tenant}' || column_name) || ', ' || coalesce(character_maximum_length, 100) || ')' \
                   WHEN data_type = 'date' THEN quote_literal('2026-01-15') || '::date' \
                   WHEN data_type LIKE 'timestamp%' THEN 'now()' WHEN data_type = 'boolean' THEN 'false' \
                   WHEN data_type IN ('json', 'jsonb') THEN quote_literal('{{}}') || '::jsonb' \
                   WHEN data_type = 'bytea' THEN quote_literal('x') || '::bytea' \
                   ELSE CASE '{tenant}' WHEN 'tnt-a' THEN '1' ELSE '2' END END, ', ') \
                 INTO names, vals FROM information_schema.columns \
                 WHERE table_schema = 'public' AND table_name = '{table}' AND is_generated = 'NEVER'; \
                 EXECUTE 'INSERT INTO {table} (' || names || ') VALUES (' || vals || ')'; END $$"
            );
            c.batch_execute(&sql).unwrap_or_else(|error| panic!("a row of {table} for {tenant}: {error}"));
        }
    }
    c.batch_execute("SET session_replication_role = DEFAULT").unwrap();
}

#[test]
fn a_query_without_a_filter_sees_only_its_tenants_rows() {
    let Some(database) = postgres() else { return };
    let mut conn = database.connect();
    assert_eq!(row_security::unguarded(&mut conn).unwrap(), Vec::<String>::new(), "tables with a tenant and without a policy");
    assert_eq!(row_security::state(&mut conn).unwrap(), State::Works);
    let tables = names(&mut conn, TABLES);
    assert!(tables.len() > 10, "{tables:?}");
    fill(&mut conn, &tables);
    for table in &tables {
        assert_eq!(count(&mut conn, &format!("SELECT count(*) AS n FROM {table}")).unwrap(), 2, "{table}: the owner sees both");
        let own = transaction_of(&mut conn, Some("tnt-a"), |tx| {
            let all = count(tx, &format!("SELECT count(*) AS n FROM {table}"))?;
            let foreign = count(tx, &format!("SELECT count(*) AS n FROM {table} WHERE tenant_id IS DISTINCT FROM 'tnt-a'"))?;
            Ok((all, foreign))
        });
        assert_eq!(own.unwrap(), (1, 0), "{table}");
        let nobody = transaction_of(&mut conn, Some(""), |tx| count(tx, &format!("SELECT count(*) AS n FROM {table}")));
        assert_eq!(nobody.unwrap(), 0, "{table}: a caller without a tenant");
        let changed = transaction_of(&mut conn, Some("tnt-a"), |tx| {
            let Connection::Postgres(c) = tx else { panic!("PostgreSQL only") };
            Ok(diesel::sql_query(format!("DELETE FROM {table} WHERE tenant_id = 'tnt-b'")).execute(c)?)
        });
        assert_eq!(changed.unwrap(), 0, "{table}: nothing of another tenant is deleted");
        // Whose a row is cannot be changed, which is what WITH CHECK also asks of an insert.
        let given = transaction_of(&mut conn, Some("tnt-a"), |tx| {
            let Connection::Postgres(c) = tx else { panic!("PostgreSQL only") };
            Ok(diesel::sql_query(format!("UPDATE {table} SET tenant_id = 'tnt-b'")).execute(c)?)
        });
        let refusal = format!("{:?}", given.unwrap_err());
        assert!(refusal.contains("row-level security"), "{table}: {refusal}");
        // After the transaction the connection is the owner's again.
        assert_eq!(count(&mut conn, &format!("SELECT count(*) AS n FROM {table}")).unwrap(), 2, "{table}");
    }
    let Connection::Postgres(c) = &mut conn else { panic!("PostgreSQL only") };
    c.batch_execute("BEGIN; SELECT set_config('endcap.tenant', 'tnt-a', true); SET LOCAL ROLE endcap_tenant").unwrap();
    let foreign = "INSERT INTO outbox_events (event_id, destination, topic, event, payload, tenant_id, created_at) \
        VALUES ('e', 'realtime', 't', 'e', '{}', 'tnt-b', now())";
    assert!(c.batch_execute(foreign).unwrap_err().to_string().contains("row-level security"));
    c.batch_execute("ROLLBACK").unwrap();
    for closed in ["refresh_tokens", "rate_limit_buckets", "__diesel_schema_migrations", "performance_metrics_2026_01"] {
        let refused = transaction_of(&mut conn, Some("tnt-a"), |tx| count(tx, &format!("SELECT count(*) AS n FROM {closed}")));
        assert!(format!("{:?}", refused.unwrap_err()).contains("permission denied"), "{closed}");
    }
}

#[test]
fn a_tenants_name_cannot_end_the_statement() {
    let Some(database) = postgres() else { return };
    let mut conn = database.connect();
    for tenant in ["'; SET LOCAL ROLE postgres; --", "\\', true); --", "tänant 'x' \"y\"", ""] {
        let told = transaction_of(&mut conn, Some(tenant), |tx| {
            Ok(names(tx, "SELECT current_setting('endcap.tenant') || '/' || current_user AS name"))
        });
        assert_eq!(told.unwrap(), [format!("{tenant}/endcap_tenant")]);
    }
}

#[tokio::test]
async fn the_scoped_door_enforces_and_the_plain_one_does_not() {
    let Some(database) = postgres() else { return };
    let who = |conn: &mut Connection| Ok(names(conn, "SELECT current_user::text AS name").remove(0));
    let analyst = database.storage.scoped(&Scope::for_caller("acc", Role::Analyst, Some("tnt-a")));
    assert_eq!(analyst.read(who).await.unwrap(), "endcap_tenant");
    assert_eq!(analyst.transaction(who).await.unwrap(), "endcap_tenant");
    let nobodys = database.storage.scoped(&Scope::for_caller("acc", Role::Analyst, None));
    assert_eq!(nobodys.read(who).await.unwrap(), "endcap_tenant");
    let platform = database.storage.scoped(&Scope::for_caller("acc", Role::PlatformAdmin, None));
    assert_ne!(platform.read(who).await.unwrap(), "endcap_tenant");
    assert_ne!(database.storage.read(who).await.unwrap(), "endcap_tenant");
}
