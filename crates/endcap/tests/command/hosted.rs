//! Moving to a Supabase project: what `endcap doctor supabase` says of one that is whole and of one that is not, and accounts and files that are
//! brought there, also by a run that was killed.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use domain::artifact::Bucket;
use domain::scope::Scope;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use storage::accounts::{self, NewAccount};
use storage::artifacts::{self, NewArtifact, Place};
use storage::connection::Connection;
use storage::raters::{self, NewRater};
use supabase::objects::BUCKETS;
use testkit::database::{self, TestDatabase};
use testkit::supabase::{Bucket as HostedBucket, Fault, Part, Project, SERVICE_KEY};

/// `endcap` beside a project, a database and a folder of artifacts.
fn command(project: &Project, database_url: &str, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_endcap"));
    for (key, _) in
        std::env::vars().filter(|(key, _)| ["ENDCAP_", "SUPABASE_", "DATABASE_URL"].iter().any(|prefix| key.starts_with(prefix)))
    {
        command.env_remove(key);
    }
    command.args(arguments).envs(project.variables()).env("DATABASE_URL", database_url);
    command.env("ENDCAP_ARTIFACT_STORE", "local").env("ENDCAP_ARTIFACT_DIRECTORY", folder);
    command
}

/// Users and objects of the project.
fn counts(project: &Project) -> (usize, usize) {
    let held = project.held();
    (held.users.len(), held.objects.len())
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn add_account(conn: &mut Connection, email: &str, role: &str, metadata: Value) -> String {
    let now = chrono::Utc::now();
    let rater = NewRater { name: email.to_owned(), email: Some(email.to_owned()), is_simulated: false, is_calibrated: false };
    let rater_id = raters::insert(conn, &rater, now).unwrap().rater_id;
    let account = NewAccount {
        email: email.to_owned(),
        password_hash: Some("x".to_owned()),
        role: role.to_owned(),
        tenant_id: None,
        rater_id: Some(rater_id),
        display_name: email.to_owned(),
        user_metadata: metadata,
    };
    accounts::insert(conn, &account, now).unwrap().account_id
}

fn add_file(conn: &mut Connection, folder: &Path, path: &str, bytes: &[u8]) -> artifacts::Artifact {
    let (scope, now) = (Scope::system("test"), chrono::Utc::now());
    let place = Place { tenant: "tnt-a".to_owned(), bucket: Bucket::Exports, path: path.to_owned() };
    let new = NewArtifact { place: place.clone(), store: "local", content_type: "text/plain".to_owned() };
    let upload = artifacts::begin(conn, &scope, &new, now).unwrap();
    let file = folder.join("exports").join(upload.key());
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, bytes).unwrap();
    let sha256: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    artifacts::finish(conn, &scope, &upload, (i64::try_from(bytes.len()).unwrap(), &sha256), false, now).unwrap();
    artifacts::find(conn, &scope, &place).unwrap()
}

#[test]
fn accounts_and_files_are_brought_once_and_the_rest_is_named() {
    for db in database::all() {
        let (project, folder, kind) = (Project::start(), tempfile::tempdir().unwrap(), db.kind());
        let mut conn = db.connect();
        let ada = add_account(&mut conn, "ada@example.com", "rater", json!({}));
        let eve = add_account(&mut conn, "eve@example.com", "expert", json!({}));
        add_account(&mut conn, "boss@example.com", "platform_admin", json!({}));
        add_account(&mut conn, "robot@example.com", "rater", json!({"simulated": true}));
        let known = add_account(&mut conn, "known@example.com", "rater", json!({}));
        let whole = add_file(&mut conn, folder.path(), "a/one.txt", b"one");
        let empty = add_file(&mut conn, folder.path(), "a/none.txt", b"");
        let broken = add_file(&mut conn, folder.path(), "a/broken.txt", b"as it was");
        std::fs::write(folder.path().join("exports").join(broken.key()), b"as it is!").unwrap();
        let run = |more: &[&str]| command(&project, &db.url, folder.path(), &[&["supabase", "sync"], more].concat()).output().unwrap();
        let stranger = supabase::project::Project::for_service(&project.url, SERVICE_KEY.into()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(stranger.sign_up("known@example.com", &"correct horse".into(), &serde_json::Map::new())).unwrap();

        let dry = run(&["--dry-run"]);
        assert!(said(&dry).contains("accounts: 2 linked") && said(&dry).contains("nothing was done"), "{kind}: {}", said(&dry));
        assert_eq!(counts(&project), (1, 0), "{kind}");

        let first = run(&[]);
        let text = said(&first);
        assert!(!first.status.success() && text.contains("accounts: 2 linked with users of the project, 1 left"), "{kind}: {text}");
        assert!(text.contains("known@example.com: the project has a user") && text.contains("--link-existing"), "{kind}: {text}");
        assert!(
            text.contains("files: 2 in Storage of the project, 1 left")
                && text.contains("a/broken.txt")
                && text.contains("checksum differs"),
            "{kind}: {text}"
        );
        {
            let held = project.held();
            let user = held.users.values().find(|user| user.email == "eve@example.com").unwrap();
            assert_eq!((&user.app_metadata["role"], &user.app_metadata["account_id"]), (&json!("expert"), &json!(eve)), "{kind}");
            assert!(
                user.password.is_none()
                    && held.users.values().all(|user| !["boss@example.com", "robot@example.com"].contains(&user.email.as_str())),
                "{kind}"
            );
            assert_eq!(held.objects[&format!("/object/exports/{}", whole.key())], b"one", "{kind}");
            assert_eq!(held.objects[&format!("/object/exports/{}", empty.key())], b"", "{kind}");
            assert_eq!(held.objects.len(), 2, "{kind}");
        }
        let again = run(&["--only", "people", "--link-existing"]);
        assert!(again.status.success() && said(&again).contains("accounts: 1 linked"), "{kind}: {}", said(&again));
        assert_eq!(project.held().users.len(), 3, "{kind}: nobody twice");
        for account in [&ada, &eve, &known] {
            let account = accounts::find(&mut conn, account).unwrap();
            assert!(project.held().users.contains_key(&account.auth_user_id.clone().unwrap()), "{kind}");
        }
        let last = run(&["--only", "people"]);
        assert!(last.status.success() && said(&last).contains("accounts: 0 linked"), "{kind}: {}", said(&last));
    }
}

#[test]
fn a_run_that_is_killed_is_gone_on_with() {
    let (project, folder, db): (Project, _, TestDatabase) = (Project::start(), tempfile::tempdir().unwrap(), database::of_choice());
    let mut conn = db.connect();
    let accounts_made: Vec<String> = (0..40).map(|n| add_account(&mut conn, &format!("r{n}@example.com"), "rater", json!({}))).collect();
    for n in 0..20 {
        add_file(&mut conn, folder.path(), &format!("f/{n}.txt"), format!("file {n}").repeat(1_000).as_bytes());
    }
    drop(conn);
    project.break_down(Part::Auth, Fault::Slow(Duration::from_millis(20)));
    project.break_down(Part::Storage, Fault::Slow(Duration::from_millis(20)));
    let sync = |project: &Project| command(project, &db.url, folder.path(), &["supabase", "sync"]);
    // Killed among the accounts, then among the files.
    let is_there: [fn(&Project) -> bool; 2] = [|project| project.held().users.len() >= 7, |project| project.held().objects.len() >= 5];
    for is_there in is_there {
        let mut child = sync(&project).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while !is_there(&project) && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (users, objects) = counts(&project);
    assert!((7..=40).contains(&users) && (5..20).contains(&objects), "{users} users, {objects} objects");
    // One more is half there: its bytes are others.
    if let Some(object) = project.held().objects.values_mut().last() {
        object.truncate(10);
    }
    project.mend(Part::Auth);
    project.mend(Part::Storage);
    let output = sync(&project).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let held = project.held();
    let mut linked: Vec<&str> = held.users.values().map(|user| user.app_metadata["account_id"].as_str().unwrap()).collect();
    linked.sort_unstable();
    let mut expected: Vec<&str> = accounts_made.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(linked, expected, "each account has one user");
    assert_eq!(held.objects.len(), 20);
    let mut conn = db.connect();
    assert!(artifacts::in_store(&mut conn, "local", 0, 100).unwrap().is_empty());
}

#[test]
fn doctor_says_of_each_phase_what_is_wrong_and_what_to_do() {
    let (project, folder, db) = (Project::start(), tempfile::tempdir().unwrap(), database::sqlite());
    project.held().served_keys = vec!["es-1"];
    for name in BUCKETS {
        project.held().buckets.insert(name.to_owned(), HostedBucket { is_public: false });
    }
    project.deploy("auto-checks", |body| {
        let candidate = body["tasks"][0]["candidates"][0].clone();
        let found = domain::checks::run(domain::task::TaskType::TaggingNormalization, &[], "", &[&candidate]);
        let found: Vec<Value> = found
            .iter()
            .map(|one| json!({"check": one.check, "candidate": one.candidate, "passed": one.passed, "message": one.message, "place": one.place}))
            .collect();
        (200, json!({"version": domain::checks::VERSION, "findings": [found]}))
    });
    let doctor = || {
        let mut command = command(&project, &db.url, folder.path(), &["doctor", "supabase"]);
        command.env("ENDCAP_SIGN_IN", "supabase").env("ENDCAP_CHECKS_FUNCTION", "auto-checks");
        let output = command.output().unwrap();
        (output.status.success(), said(&output))
    };
    let (is_well, text) = doctor();
    assert!(is_well, "{text}");
    for line in [
        "a private channel was joined",
        "1 public key(s) served: ES256",
        "are there and private",
        "auto-checks finds what the program finds",
        "who is not signed in is refused",
        "the database is not the project's own",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    for (part, fault, line) in [
        (Part::Realtime, Fault::ExpiredKey, "see that Realtime is on"),
        (Part::Auth, Fault::Status(503), "nobody can sign in meanwhile"),
        (Part::Storage, Fault::Drop, "see SUPABASE_SERVICE_KEY and the project's Storage"),
        (Part::Functions, Fault::Status(500), "deploy deploy/supabase/functions/auto-checks"),
        (Part::Rest, Fault::ExpiredKey, "the key was refused"),
        (Part::Rest, Fault::Status(404), "nothing is known of what visitors may read"),
    ] {
        project.break_down(part, fault);
        let (is_well, text) = doctor();
        assert!(!is_well && text.contains("FAIL") && text.contains(line), "{part:?}: {line} is not in {text}");
        project.mend(part);
    }
    project.held().served_keys.clear();
    project.held().buckets.insert("exports".to_owned(), HostedBucket { is_public: true });
    let (_, text) = doctor();
    assert!(text.contains("serves no ES256 or RS256 key") && text.contains("exports can be read by anybody"), "{text}");
}
