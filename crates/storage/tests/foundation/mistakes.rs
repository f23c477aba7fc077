//! Each wrong database URL gets an answer that says what to do, and creates nothing.

use storage::connection::{Access, Connection};
use storage::url::DatabaseUrl;

fn refusal(url: &str) -> String {
    match DatabaseUrl::parse(url) {
        Err(error) => error.to_string(),
        Ok(parsed) => Connection::open(&parsed, Access::Write).err().map_or_else(|| panic!("{url} opened"), |e| e.to_string()),
    }
}

#[test]
fn an_unreachable_server_is_named_with_its_reason_and_without_the_password() {
    let text = refusal("postgres://me:s3cret@127.0.0.1:1/endcap");
    assert!(text.contains("refused") && text.contains("is the server running") && !text.contains("s3cret"), "{text}");
    let text = refusal("mysql://me:s3cret@127.0.0.1:1/endcap");
    assert!(text.contains("is the server running") && !text.contains("s3cret"), "{text}");
}

#[test]
fn a_missing_database_is_told_apart_from_a_missing_server() {
    for (key, word) in [("TEST_POSTGRES_URL", "create it first"), ("TEST_MYSQL_URL", "create it first")] {
        let Ok(server) = std::env::var(key) else { continue };
        let (before, parameters) = server.split_once('?').map_or((server.as_str(), ""), |(a, b)| (a, b));
        let host = before.rsplit_once('/').map(|(host, _)| host).unwrap();
        let text = refusal(&format!("{host}/no_such_database?{parameters}"));
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn a_file_that_is_no_database_and_a_folder_that_cannot_be_written_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "these are notes, and long enough to be no database header at all, whoever looks at them").unwrap();
    let text = refusal(&format!("sqlite://{}", file.display()));
    assert!(text.contains("name another file"), "{text}");
    let text = refusal(&format!("sqlite://{}/below/endcap.db", file.display()));
    assert!(text.contains("cannot create the folder"), "{text}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was created");
}

#[test]
fn a_mistyped_scheme_creates_no_file() {
    for url in ["postgress://localhost/endcap", "endcap.db", "sqlite://"] {
        assert!(refusal(url).contains("Examples: sqlite://"), "{url}");
    }
}
