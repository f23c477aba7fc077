//! What needs no database: addresses of databases, and what their errors mean.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use storage::error::StorageError;
use storage::url::DatabaseUrl;

#[test]
fn mistakes_are_named() {
    for (url, word) in [
        ("", "empty"),
        ("endcap.db", "no scheme"),
        ("postgress://localhost/endcap", "did you mean postgres"),
        ("postgresql:host=localhost", "begins with postgresql://"),
        ("postgres://localhost", "names no database"),
        ("postgres://localhost/", "names no database"),
        ("mysql://root@localhost?unix_socket=/x", "names no database"),
        ("mysq://h/d", "did you mean mysql"),
        ("sqlite3://x.db", "did you mean sqlite"),
        ("sqlite://", "names no file"),
        ("sqlite://:memory:", "in-memory"),
        ("sqlite://x.db?mode=rwc", "no parameters"),
        ("postgres://u:p@ss@h/d", "write %40"),
        ("mongodb://x/y", "not a database we know"),
    ] {
        let error = DatabaseUrl::parse(url).unwrap_err();
        assert!(error.problem.contains(word), "{url}: {error}");
    }
}

#[test]
fn passwords_are_not_shown() {
    let url = DatabaseUrl::parse("postgres://me:s3cret@db/endcap").unwrap();
    assert_eq!(url.to_string(), "postgres://me:***@db/endcap");
    assert!(!format!("{url:?}").contains("s3cret"));
}

#[test]
fn the_three_are_told_apart() {
    assert_eq!(DatabaseUrl::parse("postgresql://h/d").unwrap().kind(), "postgres");
    assert_eq!(DatabaseUrl::parse("mariadb://h/d").unwrap().kind(), "mysql");
    assert_eq!(DatabaseUrl::parse("sqlite:///tmp/x.db").unwrap(), DatabaseUrl::Sqlite("/tmp/x.db".into()));
    assert_eq!(DatabaseUrl::parse("sqlite://./x.db").unwrap(), DatabaseUrl::Sqlite("./x.db".into()));
}

#[test]
fn a_database_that_is_gone_or_full_is_unavailable_and_no_defect() {
    for said in [
        "terminating connection because of crash of another server process",
        "the database system is starting up",
        "the database system is in recovery mode",
        "MySQL server has gone away",
        "Lost connection to server during query",
        "database or disk is full",
        "could not extend file \"base/1/2\": No space left on device",
        "The table 'judgments' is full",
    ] {
        let error = DieselError::DatabaseError(DatabaseErrorKind::Unknown, Box::new(said.to_owned()));
        assert!(matches!(StorageError::from(error), StorageError::Unavailable(_)), "{said}");
    }
    let lookup = DieselError::SerializationError("Failed to find a type oid for `pg_catalog`.`jsonb`".into());
    assert!(matches!(StorageError::from(lookup), StorageError::Unavailable(_)));
    let mistake = DieselError::DatabaseError(DatabaseErrorKind::Unknown, Box::new("division by zero".to_owned()));
    assert!(matches!(StorageError::from(mistake), StorageError::Query(_)));
}
