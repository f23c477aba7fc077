//! Somebody whose account was brought to a hosted project, and who has no password there, gets one by mail in a browser.

use std::path::Path;

use serde_json::json;
use storage::accounts::{self, NewAccount};
use storage::connection::Connection;
use storage::raters::{self, NewRater};
use testkit::database;
use testkit::service::Service;
use testkit::supabase::{JWT_SECRET, Project};

use crate::browse;
use crate::running::{free_ports, program};

#[test]
fn who_was_brought_to_a_project_sets_a_password_by_mail() {
    let (project, db, ports) = (Project::start(), database::of_choice(), free_ports());
    let mut conn = db.connect();
    add_rater(&mut conn, "ada@example.com", "Ada");
    drop(conn);
    let mut sync = program(&ports);
    sync.args(["supabase", "sync", "--only", "people"]).envs(project.variables()).env("DATABASE_URL", &db.url);
    let output = sync.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(project.held().users.values().all(|user| user.email == "ada@example.com" && user.password.is_none()));

    let port = ports.iter().find(|(key, _)| key == "ENDCAP_RATER_APP_PORT").unwrap().1;
    let base = format!("http://localhost:{port}");
    let mut variables = project.variables();
    variables.extend([
        ("DATABASE_URL", db.url.clone()),
        ("ENDCAP_RATER_APP_PORT", port.to_string()),
        ("ENDCAP_SIGN_IN", "supabase".to_owned()),
        ("SUPABASE_JWT_SECRET", JWT_SECRET.to_owned()),
    ]);
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let rater_app = Service::start(&Path::new(env!("CARGO_BIN_EXE_endcap")).with_file_name("rater-app"), &variables).unwrap();
    browse("rater-app", "recover.mjs", &[base, project.url.clone()]);

    let log = rater_app.log();
    for secret in ["ada@example.com", "access_token", "a phrase of four words", "eyJ"] {
        assert!(!log.contains(secret), "it wrote down {secret}: {log}");
    }
}

fn add_rater(conn: &mut Connection, email: &str, name: &str) {
    let now = chrono::Utc::now();
    let rater = NewRater { name: name.to_owned(), email: Some(email.to_owned()), is_simulated: false, is_calibrated: false };
    let account = NewAccount {
        email: email.to_owned(),
        password_hash: Some("$argon2id$of-before".to_owned()),
        role: "rater".to_owned(),
        tenant_id: None,
        rater_id: Some(raters::insert(conn, &rater, now).unwrap().rater_id),
        display_name: name.to_owned(),
        user_metadata: json!({"name": name}),
    };
    accounts::insert(conn, &account, now).unwrap();
}
