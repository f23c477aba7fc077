//! Databases from the command line: made, upgraded, filled, and every kind of mistake.

use std::io::{Read as _, Write as _};

use crate::{endcap, fails, project, succeeds};

#[test]
fn a_database_is_made_once_and_repeating_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/new/endcap.db", folder.path().display());
    assert!(succeeds(&["init-database", "--database-url", &url]).contains("migrations applied"));
    assert!(succeeds(&["init-database", "--database-url", &url]).contains("up to date"));
    assert!(succeeds(&["migrate", "status", "--database-url", &url]).contains("applied 2026-11-22-000001_catalog"));
    let down = succeeds(&["migrate", "down", "--database-url", &url]);
    let newest = down.trim().strip_prefix("taken back ").expect("which one was taken back").to_owned();
    assert!(newest.starts_with("202611"), "{down}");
    assert!(succeeds(&["migrate", "up", "--database-url", &url]).contains(&format!("applied {newest}")));
}

#[test]
fn mistakes_in_the_database_url_say_what_to_do_and_make_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (url, word) in [
        ("", "empty"),
        ("endcap.db", "has no scheme"),
        ("postgress://h/d", "did you mean postgres?"),
        ("sqlite://", "names no file"),
        ("mysql://root@localhost", "names no database"),
        ("postgres://127.0.0.1:1/endcap", "is the server running"),
    ] {
        let text = fails(&["init-database", "--database-url", url]);
        assert!(text.contains(word), "{url}: {text}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_missing_sample_file_is_named_before_anything_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/endcap.db", folder.path().display());
    let samples = folder.path().join("samples");
    std::fs::create_dir_all(samples.join("bundle")).unwrap();
    let text = fails(&["init-database", "--database-url", &url, "--sample-data", "--sample-data-dir", samples.to_str().unwrap()]);
    assert!(text.contains("bundle/retailers.csv.gz is missing"), "{text}");
}

#[test]
fn a_corrupt_row_is_named_by_line_and_field_and_nothing_of_the_file_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/endcap.db", folder.path().display());
    succeeds(&["init-database", "--database-url", &url]);
    let good = project("deploy/sample-data/sample/retailers.csv");
    let text = std::fs::read_to_string(&good).unwrap();
    let bad = folder.path().join("retailers.csv");
    let header = text.lines().next().unwrap();
    let place = header.split(',').position(|name| name == "retailer_id").unwrap();
    let spoiled: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(number, line)| match number {
            2 => line.split(',').enumerate().map(|(i, cell)| if i == place { "no such id!" } else { cell }).collect::<Vec<_>>().join(","),
            _ => line.to_owned(),
        })
        .collect();
    std::fs::write(&bad, spoiled.join("\n")).unwrap();
    let output = endcap(&["import", "retailers", bad.to_str().unwrap(), "--database-url", &url]);
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success());
    assert!(answer.contains("\"line\": 3") && answer.contains("retailer_id"), "{answer}");
    let again = succeeds(&["import", "retailers", &good, "--database-url", &url]);
    assert!(again.contains("\"updated\": 0") && again.contains("\"unchanged\": 0"), "nothing was kept of the bad file: {again}");
}

#[test]
fn keys_are_shown_once_and_roles_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/endcap.db", folder.path().display());
    succeeds(&["init-database", "--database-url", &url]);
    let key = succeeds(&["keys", "create", "--role", "platform_admin", "--database-url", &url]);
    assert!(key.trim().starts_with("ek_") && key.trim().len() == 51, "{key}");
    assert!(fails(&["keys", "create", "--role", "analyst", "--database-url", &url]).contains("add --tenant"));
    assert!(fails(&["keys", "create", "--role", "king", "--database-url", &url]).contains("king"));
}

#[test]
fn the_doctor_names_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/none.db", folder.path().display());
    let output = endcap(&["doctor", "--database-url", &url]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && text.contains("does not exist") && text.contains("init-database"), "{text}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "looking makes nothing");
    std::fs::write(folder.path().join("none.db"), "").unwrap();
    let text = String::from_utf8_lossy(&endcap(&["doctor", "--database-url", &url]).stdout).into_owned();
    assert!(text.contains("the database is empty") && text.contains("endcap migrate up") && !text.contains("does not answer"), "{text}");
}

#[test]
fn the_doctor_asks_a_service_where_the_others_find_it() {
    let database = testkit::database::sqlite();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_endcap"))
        .args(["doctor", "--database-url", &database.url])
        .env("ENDCAP_RATER_APP_PRIVATE_URL", &address)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains(&format!("ready at {address}/health/ready")), "{text}");
}
