//! Conventions of the schema, checked on live databases.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use diesel::prelude::*;
use diesel::sql_types::Text;
use storage::connection::Connection;
use storage::migrate;

#[derive(QueryableByName, Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    #[diesel(sql_type = Text)]
    a: String,
    #[diesel(sql_type = Text)]
    b: String,
}

fn pairs(conn: &mut Connection, postgres: &str, mysql: &str, sqlite: &str) -> Vec<Pair> {
    match conn {
        Connection::Postgres(c) => diesel::sql_query(postgres).load(c),
        Connection::Mysql(c) => diesel::sql_query(mysql).load(c),
        Connection::Sqlite(c) => diesel::sql_query(sqlite).load(c),
    }
    .unwrap()
}

/// Table and column of the live database, without the migrations' own table.
fn columns(conn: &mut Connection) -> BTreeSet<(String, String)> {
    let rows = pairs(
        conn,
        "SELECT table_name::text AS a, column_name::text AS b FROM information_schema.columns WHERE table_schema = 'public'",
        "SELECT table_name AS a, column_name AS b FROM information_schema.columns WHERE table_schema = database()",
        "SELECT m.name AS a, c.name AS b FROM sqlite_master m, pragma_table_xinfo(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'",
    );
    rows.into_iter().map(|p| (p.a, p.b)).filter(|(table, _)| table != "__diesel_schema_migrations").collect()
}

/// Columns that the database works out itself from others; the code need not know them.
fn generated(conn: &mut Connection) -> BTreeSet<(String, String)> {
    let rows = pairs(
        conn,
        "SELECT table_name::text AS a, column_name::text AS b FROM information_schema.columns WHERE table_schema = 'public' AND is_generated = 'ALWAYS'",
        "SELECT table_name AS a, column_name AS b FROM information_schema.columns WHERE table_schema = database() AND COALESCE(generation_expression, '') <> ''",
        "SELECT m.name AS a, c.name AS b FROM sqlite_master m, pragma_table_xinfo(m.name) c WHERE m.type = 'table' AND c.hidden IN (2, 3)",
    );
    rows.into_iter().map(|p| (p.a, p.b)).collect()
}

/// Table and column of the schema in code, read from its text.
fn written_columns() -> BTreeSet<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/schema");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    let text: String = files.collect();
    let mut found = BTreeSet::new();
    let mut table = String::new();
    for line in text.lines().map(str::trim) {
        if let Some((name, _)) = line.strip_suffix(") {").and_then(|line| line.split_once(" (")) {
            table = name.to_owned();
        } else if let Some((column, _)) = line.split_once(" -> ")
            && !line.starts_with("diesel::")
        {
            found.insert((table.clone(), column.to_owned()));
        }
    }
    found
}

#[test]
fn schema_in_code_equals_the_migrated_databases() {
    for database in testkit::database::all() {
        let (mut conn, written) = (database.connect(), written_columns());
        let (live, generated) = (columns(&mut conn), generated(&mut conn));
        let unknown: Vec<_> = live.difference(&written).filter(|column| !generated.contains(*column)).collect();
        let missing: Vec<_> = written.difference(&live).collect();
        assert!(unknown.is_empty() && missing.is_empty(), "{}: not in code {unknown:?}, not in the database {missing:?}", database.kind());
    }
}

#[test]
fn migrations_have_the_same_names_for_the_three_databases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let names = |database: &str| -> BTreeSet<String> {
        let folder: PathBuf = root.join(database);
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names("postgres"), names("mysql"));
    assert_eq!(names("postgres"), names("sqlite"));
    for name in names("postgres") {
        let (stamp, words) = name.split_once('_').expect("DATE-NUMBER_words");
        assert!(stamp.len() == 17 && words.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
    }
}

#[test]
fn up_down_up_leaves_no_difference() {
    for database in testkit::database::all() {
        let mut conn = database.connect();
        let before = columns(&mut conn);
        let count = migrate::status(&mut conn).unwrap().len();
        assert_eq!(migrate::down(&mut conn, count).unwrap().len(), count);
        assert_eq!(columns(&mut conn), BTreeSet::new(), "{}: down leaves something behind", database.kind());
        assert_eq!(migrate::up(&mut conn).unwrap().len(), count);
        assert_eq!(columns(&mut conn), before, "{}", database.kind());
        assert_eq!(migrate::up(&mut conn).unwrap(), Vec::<String>::new(), "applying twice does nothing");
    }
}

#[test]
fn every_foreign_key_has_an_index() {
    for database in testkit::database::all() {
        let mut conn = database.connect();
        let keys = pairs(
            &mut conn,
            "SELECT c.conrelid::regclass::text AS a, att.attname::text AS b FROM pg_constraint c JOIN pg_attribute att ON att.attrelid = c.conrelid AND att.attnum = c.conkey[1] WHERE c.contype = 'f'",
            "SELECT table_name AS a, column_name AS b FROM information_schema.key_column_usage WHERE table_schema = database() AND referenced_table_name IS NOT NULL",
            "SELECT m.name AS a, f.\"from\" AS b FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'",
        );
        let first_columns: BTreeSet<(String, String)> = pairs(
            &mut conn,
            "SELECT i.indrelid::regclass::text AS a, att.attname::text AS b FROM pg_index i JOIN pg_attribute att ON att.attrelid = i.indrelid AND att.attnum = i.indkey[0]",
            "SELECT table_name AS a, column_name AS b FROM information_schema.statistics WHERE table_schema = database() AND seq_in_index = 1",
            "SELECT m.name AS a, c.name AS b FROM sqlite_master m, pragma_index_list(m.name) l, pragma_index_info(l.name) c WHERE m.type = 'table' AND c.seqno = 0",
        )
        .into_iter()
        .map(|p| (p.a, p.b))
        .collect();
        assert!(keys.len() >= 25, "{}: only {} foreign keys found", database.kind(), keys.len());
        for key in keys {
            assert!(first_columns.contains(&(key.a.clone(), key.b.clone())), "{}: {}.{} has no index", database.kind(), key.a, key.b);
        }
    }
}

#[test]
fn every_table_is_explained_in_the_data_model() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/data-model.md")).unwrap();
    let mut tables: BTreeMap<String, usize> = BTreeMap::new();
    for (table, _) in written_columns() {
        *tables.entry(table).or_default() += 1;
    }
    assert!(tables.len() >= 24, "only {} tables found", tables.len());
    for (table, count) in tables {
        assert!(text.contains(&format!("`{table}`")), "docs/data-model.md does not explain {table}");
        assert!(count < 32, "{table} has {count} columns; Diesel's small table limit is 32");
    }
}

#[test]
fn words_outside_an_enumeration_are_refused_by_the_database() {
    for database in testkit::database::all() {
        let mut conn = database.connect();
        let statement = "INSERT INTO jobs (job_id, kind, state, progress, message, input, created_by, created_at, updated_at) \
                         VALUES ('j', 'k', 'sleeping', 0, '', '{}', 'x', '2026-01-01 00:00:00', '2026-01-01 00:00:00')";
        assert!(storage::connection::execute(&mut conn, statement).is_err(), "{}", database.kind());
        storage::connection::execute(&mut conn, &statement.replace("sleeping", "queued")).unwrap();
    }
}
