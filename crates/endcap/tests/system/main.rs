//! The whole system as a newcomer meets it: started with one command on an empty folder, judged in a browser by keyboard, driven
//! through the circle twice, stopped by a signal with nothing left running.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod recovery;
mod running;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use running::{Running, free_ports, program};

#[test]
fn from_an_empty_folder_to_a_better_plan() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports();
    let mut system = Running::start(folder.path(), &ports);

    judges_by_keyboard(&ports);
    walks_the_campaign_workspace(&ports);
    gives_feedback_by_keyboard(&ports);
    keeps_webhooks(&ports);

    let mut former = 0;
    for round in 1..=2 {
        let output = program(&ports).arg("loop").output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "round {round}:\n{text}");
        assert!(text.contains("the circle is closed") && text.contains("[9/9]"), "round {round}:\n{text}");
        let version = last_version(&text);
        assert!(version > former, "each round trains a new version; the last was {former}:\n{text}");
        former = version;
    }

    // Once more, now that there are a model and its card to be seen.
    gives_feedback_by_keyboard(&ports);

    system.terminate();
    assert!(system.wait(Duration::from_secs(20)).success(), "{}", system.output());
    no_secret_was_logged(&folder.path().join("logs"));
    for (key, port) in &ports {
        assert!(std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok(), "{key} {port} is still taken");
    }

    let started = Instant::now();
    let mut again = Running::start(folder.path(), &ports);
    assert!(again.output().contains("sample data: already there"), "{}", again.output());
    assert!(started.elapsed() < Duration::from_secs(30), "the second start took {:?}", started.elapsed());
    again.terminate();
    assert!(again.wait(Duration::from_secs(20)).success());
}

#[test]
fn a_service_that_is_killed_is_started_again_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports();
    let mut system = Running::start_with(folder.path(), &ports, &["--no-sample-data"]);
    let process =
        |system: &Running, name: &str| system.service(name).unwrap_or_else(|| panic!("{name} does not run:\n{}", system.output()));
    let (killed, other) = (process(&system, "rater-app"), process(&system, "rlhf-backend"));
    assert!(Command::new("kill").args(["-9", &killed.to_string()]).status().unwrap().success());
    let by = Instant::now() + Duration::from_secs(60);
    let port = ports.iter().find(|(key, _)| key == "ENDCAP_RATER_APP_PORT").unwrap().1;
    while system.service("rater-app").is_none_or(|now| now == killed) || std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < by, "it does not come back:\n{}", system.output());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(process(&system, "rlhf-backend"), other, "the others go on");
    let said = system.output();
    assert!(said.contains("rater-app ended by itself (signal: 9") && said.contains("started again in 1 s (1 of 5)"), "{said}");
    system.terminate();
    assert!(system.wait(Duration::from_secs(20)).success(), "{}", system.output());
}

#[test]
fn a_taken_port_is_named_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports();
    let (key, port) = ports.iter().find(|(key, _)| key == "ENDCAP_RLHF_BACKEND_PORT").unwrap();
    let _held = std::net::TcpListener::bind(("127.0.0.1", *port)).unwrap();
    let output = program(&ports).args(["up", "--no-sample-data", "--data-dir"]).arg(folder.path()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains(&port.to_string()) && text.contains(key.as_str()), "{text}");
    assert!(!folder.path().join("endcap.db").exists());
}

#[test]
fn a_data_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = program(&free_ports()).args(["up", "--no-sample-data", "--data-dir"]).arg(file.join("data")).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains("cannot create the data folder"), "{text}");
}

#[test]
fn production_without_a_secret_does_not_start() {
    for service in ["campaign-runtime", "rlhf-backend", "rater-app"] {
        let binary = Path::new(env!("CARGO_BIN_EXE_endcap")).with_file_name(service);
        let output = Command::new(binary).env_clear().env("ENDCAP_ENVIRONMENT", "production").output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains("ENDCAP_JWT_SECRET"), "{service}: {text}");
    }
}

/// After people signed in, signed up, judged and trained: no password, no token and nobody's address in what the services wrote down.
fn no_secret_was_logged(logs: &Path) {
    for service in ["campaign-runtime", "rlhf-backend", "rater-app"] {
        let text = std::fs::read_to_string(logs.join(format!("{service}.log"))).unwrap();
        assert!(text.lines().count() > 20, "{service} wrote hardly anything: {text}");
        for secret in ["-of-the-demo", "simulated-rater-of-the-loop", "eyJ", "@endcap.example", "@raters.endcap.example", "argon2id"] {
            let line = text.lines().find(|line| line.contains(secret));
            assert!(line.is_none(), "{service} wrote down {secret}: {line:?}");
        }
    }
}

/// The version of the last model that a loop trained: more than one when the gate asked for more judged pairs.
fn last_version(text: &str) -> u32 {
    let mut told = text.lines().filter_map(|line| line.split_once(" version ")?.1.split_once(':')?.0.parse().ok());
    told.next_back().unwrap_or_else(|| panic!("no model is named:\n{text}"))
}

/// Runs the browser tests, which sign in, judge and review with the keyboard alone.
fn judges_by_keyboard(ports: &[(String, u16)]) {
    browse("rater-app", "judge.mjs", &[address(ports, "RATER_APP")]);
    browse("rater-app", "ide.mjs", &[address(ports, "RATER_APP")]);
    browse("rater-app", "review.mjs", &[address(ports, "RATER_APP")]);
}

/// Runs the browser test of the campaign pages: a campaign, an import and plans by keyboard, every page scanned and printed.
fn walks_the_campaign_workspace(ports: &[(String, u16)]) {
    browse("campaign-runtime", "workspace.mjs", &[address(ports, "RATER_APP"), address(ports, "CAMPAIGN_RUNTIME")]);
}

/// Runs the browser test of the learning pages: feedback by keyboard, a rule, key figures, every page scanned. Run again when there is a model.
fn gives_feedback_by_keyboard(ports: &[(String, u16)]) {
    browse("rlhf-backend", "learning.mjs", &[address(ports, "RATER_APP"), address(ports, "RLHF_BACKEND")]);
}

/// Runs the browser test of the webhook pages: one is made, tried against a receiver on this machine, changed and removed.
fn keeps_webhooks(ports: &[(String, u16)]) {
    browse("rlhf-backend", "webhooks.mjs", &[address(ports, "RATER_APP"), address(ports, "RLHF_BACKEND")]);
}

fn address(ports: &[(String, u16)], service: &str) -> String {
    let port = ports.iter().find(|(key, _)| *key == format!("ENDCAP_{service}_PORT")).unwrap().1;
    format!("http://localhost:{port}")
}

fn browse(service: &str, script: &str, addresses: &[String]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services").join(service).join("tests/browser");
    let output = Command::new("node").arg(script).args(addresses).current_dir(folder).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
}
