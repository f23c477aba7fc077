//! Backups: what was there comes back on every configured database, and nothing is overwritten or half restored.

use testkit::database;

use crate::{fails, project, succeeds};

/// Rows of every table.
fn counts(url: &str) -> Vec<(String, i64)> {
    let url = storage::url::DatabaseUrl::parse(url).unwrap();
    let mut conn = storage::connection::Connection::open(&url, storage::connection::Access::Write).unwrap();
    storage::backup::count_rows(&mut conn).unwrap()
}

#[test]
fn what_was_backed_up_comes_back_whole() {
    for db in database::all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("endcap.backup");
        let file = file.to_str().unwrap();
        succeeds(&["import", "retailers", &project("deploy/sample-data/sample/retailers.csv"), "--database-url", &db.url]);
        succeeds(&["accounts", "create", "--email", "ada@endcap.example", "--role", "expert", "--database-url", &db.url]);
        let said = succeeds(&["backup", file, "--database-url", &db.url]);
        assert!(said.contains("SHA-256") && !said.contains("postgres:postgres"), "{said}");

        let again = fails(&["backup", file, "--database-url", &db.url]);
        assert!(again.contains("exists"), "{}: {again}", db.kind());
        let full = fails(&["restore", file, "--database-url", &db.url]);
        assert!(full.contains("empty database") || full.contains("exists"), "{}: {full}", db.kind());

        let target = database::empty_beside(&db);
        let restored = succeeds(&["restore", file, "--database-url", &target.url]);
        assert!(restored.contains("chain is whole"), "{}: {restored}", db.kind());
        assert_eq!(counts(&db.url), counts(&target.url), "{}", db.kind());
        // It works: the next step goes on from what was restored.
        let taken = fails(&["accounts", "create", "--email", "ADA@endcap.example", "--role", "expert", "--database-url", &target.url]);
        assert!(taken.contains("exists"), "{}: {taken}", db.kind());
        succeeds(&["accounts", "create", "--email", "bo@endcap.example", "--role", "rater", "--database-url", &target.url]);
    }
}

#[test]
fn a_damaged_or_foreign_file_restores_nothing() {
    let db = database::sqlite();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    succeeds(&["backup", &path("good"), "--database-url", &db.url]);
    let target = format!("sqlite://{}", path("new.db"));

    let text = fails(&["restore", &path("missing"), "--database-url", &target]);
    assert!(text.contains("there is no file"), "{text}");
    std::fs::write(path("alone"), "x").unwrap();
    let text = fails(&["restore", &path("alone"), "--database-url", &target]);
    assert!(text.contains("alone.json is missing"), "{text}");

    let mut bytes = std::fs::read(path("good")).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(path("bad"), &bytes).unwrap();
    std::fs::copy(path("good.json"), path("bad.json")).unwrap();
    let text = fails(&["restore", &path("bad"), "--database-url", &target]);
    assert!(text.contains("is damaged") && text.contains("nothing was restored"), "{text}");
    assert!(!folder.path().join("new.db").exists());

    // The log of another database beside the target would be played into what is restored.
    std::fs::write(path("new.db-wal"), "of another database").unwrap();
    let text = fails(&["restore", &path("good"), "--database-url", &target]);
    assert!(text.contains("new.db-wal exists"), "{text}");
    assert_eq!(std::fs::read(path("new.db-wal")).unwrap(), b"of another database", "and is left as it was");
    assert!(!folder.path().join("new.db").exists());
    std::fs::remove_file(path("new.db-wal")).unwrap();
    {
        use std::os::unix::fs::PermissionsExt as _;
        for name in ["good", "good.json"] {
            let mode = std::fs::metadata(path(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{name} may be read by others: {mode:o}");
        }
    }

    let text = fails(&["restore", &path("good"), "--database-url", "postgres://127.0.0.1:1/endcap"]);
    assert!(text.contains("backup of a sqlite database"), "{text}");
    let missing = fails(&["backup", &path("of-nothing"), "--database-url", &format!("sqlite://{}", path("empty.db"))]);
    assert!(missing.contains("empty.db does not exist") && !folder.path().join("empty.db").exists(), "{missing}");
    std::fs::write(path("empty.db"), "").unwrap();
    let empty = fails(&["backup", &path("of-nothing"), "--database-url", &format!("sqlite://{}", path("empty.db"))]);
    assert!(empty.contains("nothing to back up"), "{empty}");
    assert!(!folder.path().join("of-nothing").exists() && !folder.path().join("of-nothing.json").exists());
}

#[test]
fn a_restore_that_fails_half_way_leaves_nothing_and_one_that_was_cut_off_is_seen() {
    for db in database::all().into_iter().filter(|db| db.kind() == "mysql") {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        succeeds(&["import", "retailers", &project("deploy/sample-data/sample/retailers.csv"), "--database-url", &db.url]);
        succeeds(&["backup", &path("good"), "--database-url", &db.url]);

        // A backup that its tool wrote wrongly: whole by its note, and the server refuses the middle of it.
        let text = std::fs::read_to_string(path("good")).unwrap();
        let middle = text[..text.len() / 2].rfind("DROP TABLE").unwrap();
        let broken = format!("{}THIS IS NO SQL;\n{}", &text[..middle], &text[middle..]);
        let note = std::fs::read_to_string(path("good.json")).unwrap();
        let mut note: serde_json::Value = serde_json::from_str(&note).unwrap();
        note["bytes"] = broken.len().into();
        note["sha256"] = sha256(broken.as_bytes()).into();
        std::fs::write(path("broken"), &broken).unwrap();
        std::fs::write(path("broken.json"), note.to_string()).unwrap();
        let target = database::empty_beside(&db);
        let said = fails(&["restore", &path("broken"), "--database-url", &target.url]);
        assert!(said.contains("as empty as before") && said.contains("mariadb failed"), "{said}");
        assert!(counts(&target.url).is_empty(), "tables are left: {:?}", counts(&target.url));
        succeeds(&["restore", &path("good"), "--database-url", &target.url]);
        assert_eq!(counts(&db.url), counts(&target.url));

        // The machine died while a restore went on.
        let cut = database::empty_beside(&db);
        let url = storage::url::DatabaseUrl::parse(&cut.url).unwrap();
        let mut conn = storage::connection::Connection::open(&url, storage::connection::Access::Write).unwrap();
        storage::backup::begin_restore(&mut conn).unwrap();
        let said = fails(&["restore", &path("good"), "--database-url", &cut.url]);
        assert!(said.contains("was cut off"), "{said}");
        let why = storage::migrate::require_current(&mut conn).unwrap_err().to_string();
        assert!(why.contains("half of a backup"), "{why}");
        // Nor is it taken for a database: neither brought up to date nor backed up as if it were whole.
        for words in [vec!["migrate", "up"], vec!["backup", &path("of-half")]] {
            let said = fails(&[words.as_slice(), &["--database-url", &cut.url]].concat());
            assert!(said.contains("half of a backup") && said.contains("restore again"), "{words:?}: {said}");
        }
        assert!(!folder.path().join("of-half").exists() && !folder.path().join("of-half.json").exists());
    }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_file_beside_a_backup_that_is_somebodys_is_left_alone() {
    let db = database::sqlite();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("report.json"), "{\"sales\": 9}").unwrap();
    let said = fails(&["backup", &path("report"), "--database-url", &db.url]);
    assert!(said.contains("report.json exists and is not the note of a backup"), "{said}");
    assert_eq!(std::fs::read_to_string(path("report.json")).unwrap(), "{\"sales\": 9}");
    assert!(!folder.path().join("report").exists() && !folder.path().join("report.part").exists());
    // What a backup that was cut off left behind is no hindrance, whole or empty.
    succeeds(&["backup", &path("first"), "--database-url", &db.url]);
    std::fs::remove_file(path("first")).unwrap();
    succeeds(&["backup", &path("first"), "--database-url", &db.url]);
    std::fs::write(path("second.json"), "").unwrap();
    succeeds(&["backup", &path("second"), "--database-url", &db.url]);
    let target = format!("sqlite://{}", path("restored.db"));
    succeeds(&["restore", &path("second"), "--database-url", &target]);
}
