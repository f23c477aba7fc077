//! A process that is killed in the middle of an import: sending the file again goes on where it stopped, in all databases.

use std::fmt::Write as _;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use storage::connection::{Access, Connection};
use storage::imports::ledger::{self, ImportFilter};
use storage::imports::{Compression, Format, OnError, Request, Table, load};
use storage::page::Page;
use storage::performance;
use storage::url::DatabaseUrl;

use crate::{import, now, system, with_sample};

const ROWS: u64 = 20_000;

fn wanted(path: &str) -> Request {
    let request = Request::new(Table::Performance, path, Format::Csv, Compression::None);
    Request { on_error: OnError::Skip, batch_rows: 500, ..request }
}

/// What this program does when it is the one to be killed.
fn load_as_told() -> bool {
    let (Ok(url), Ok(path)) = (std::env::var("IMPORT_KILL_URL"), std::env::var("IMPORT_KILL_FILE")) else { return false };
    let mut conn = Connection::open(&DatabaseUrl::parse(&url).unwrap(), Access::Write).unwrap();
    load(&mut conn, &system(), &wanted(&path), now(), &|_| {}).unwrap();
    true
}

#[test]
fn a_killed_import_goes_on() {
    if load_as_told() {
        return;
    }
    let mut text = "campaign_id,date,placement_type,spend\n".to_owned();
    for at in 0..ROWS {
        writeln!(text, "cmp-instore-display,2034-{:02}-{:02},p{},1.5", 1 + at / 28 % 12, 1 + at % 28, at / 336).unwrap();
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    for database in with_sample() {
        let mut conn = database.connect();
        let before = performance::count(&mut conn, &system()).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "import_kill::a_killed_import_goes_on"])
            .env("IMPORT_KILL_URL", &database.url)
            .env("IMPORT_KILL_FILE", path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let filter = ImportFilter { table: Some("performance".into()), state: Some("running".into()) };
        let begun = Instant::now();
        let at_kill = loop {
            let running = ledger::list(&mut conn, &system(), &filter, &Page::first(1)).unwrap().rows;
            match running.first() {
                Some(row) if row.received >= 1_000 => break row.clone(),
                _ => assert!(begun.elapsed() < Duration::from_secs(120), "{}: the import never came so far", database.kind()),
            }
            assert!(child.try_wait().unwrap().is_none(), "{}: the import ended before it was killed", database.kind());
            std::thread::sleep(Duration::from_millis(2));
        };
        child.kill().unwrap();
        child.wait().unwrap();
        let begun = Instant::now();
        let outcome = loop {
            // A server notices a moment later that its client is gone.
            match load(&mut conn, &system(), &wanted(path), now(), &|_| {}) {
                Ok(outcome) => break outcome,
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(60) && error.to_string().contains("being loaded"), "{error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(outcome.import_id, at_kill.import_id, "{}", database.kind());
        assert!(outcome.resumed_after >= 1_000 && outcome.resumed_after < ROWS, "{}: {}", database.kind(), outcome.resumed_after);
        assert_eq!((outcome.received, outcome.inserted, outcome.rejected), (ROWS, ROWS, 0), "{}", database.kind());
        let rows = i64::try_from(ROWS).unwrap();
        assert_eq!(performance::count(&mut conn, &system()).unwrap(), before + rows, "no row twice, none missing");
        let again = import(&mut conn, &wanted(path));
        assert_eq!(again.unchanged, ROWS);
    }
}
