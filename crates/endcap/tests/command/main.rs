//! The command line, as somebody types it: good answers, and mistakes that say what to do.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod accounts;
mod backup;
mod databases;
mod files;
mod hosted;
mod sealing;

use std::process::{Command, Output};

/// `endcap` with these arguments, without the configuration of whoever runs the test.
fn endcap(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_endcap"));
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("ENDCAP_") || key == "DATABASE_URL") {
        command.env_remove(key);
    }
    command.args(arguments).output().expect("the program starts")
}

/// Standard output of a run that must succeed.
fn succeeds(arguments: &[&str]) -> String {
    let output = endcap(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Standard error of a run that must fail.
fn fails(arguments: &[&str]) -> String {
    let output = endcap(arguments);
    assert!(!output.status.success(), "{arguments:?} succeeded: {}", String::from_utf8_lossy(&output.stdout));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// A path below the project's root.
fn project(path: &str) -> String {
    format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))
}
