//! Accounts from the command line: the first administrator of a new system, and what becomes of people later.

use std::io::Write as _;
use std::process::{Command, Stdio};

use domain::role::Role;
use domain::scope::Scope;
use storage::accounts;
use storage::api_keys::{self, NewApiKey};
use testkit::database;

use crate::{fails, succeeds};

#[test]
fn people_are_made_changed_and_shut_out_on_every_database() {
    for db in database::all() {
        let at = ["--database-url", db.url.as_str()];
        let run = |arguments: &[&str]| succeeds(&[arguments, &at].concat());
        let password = run(&["accounts", "create", "--email", "Ada@Endcap.example", "--role", "platform_admin"]);
        let password = password.trim();
        assert!(password.len() == 20 && password.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{password}");
        run(&["accounts", "create", "--email", "bo@endcap.example", "--role", "analyst", "--tenant", "tnt-a", "--name", "Bo"]);

        let mut conn = db.connect();
        let ada = accounts::find_by_email(&mut conn, "ada@endcap.example").unwrap().unwrap();
        assert!(web::password::verify(password, ada.password_hash.as_deref()), "the password shown is the one stored");
        assert!(ada.rater_id.is_some(), "administrators may judge");
        let list = run(&["accounts", "list"]);
        assert!(list.contains("ada@endcap.example") && list.contains("tnt-a") && list.contains("never"), "{list}");

        // What somebody made to be used without them ends with what they may do.
        let bo = accounts::find_by_email(&mut conn, "bo@endcap.example").unwrap().unwrap();
        let made = |conn: &mut storage::connection::Connection, by: &str, name: &str| {
            let new = NewApiKey {
                name: name.to_owned(),
                key_hash: format!("hash of {name}"),
                key_prefix: "ek_".to_owned(),
                role: "analyst".to_owned(),
                tenant_id: Some("tnt-a".to_owned()),
                scopes: Vec::new(),
                expires_at: None,
            };
            let scope = Scope::for_caller(by, Role::Analyst, Some("tnt-a"));
            storage::store::transaction(conn, |tx| api_keys::insert(tx, &scope, &new, domain::time::now())).unwrap().key_id
        };
        let first = made(&mut conn, &bo.account_id, "first");
        let second = made(&mut conn, &first, "second");
        let others = made(&mut conn, &ada.account_id, "another's");
        run(&["accounts", "set-role", "--email", "bo@endcap.example", "--role", "expert"]);
        for (key_id, is_revoked) in [(first, true), (second, true), (others, false)] {
            let key = api_keys::find(&mut conn, &Scope::system("test"), &key_id).unwrap();
            assert_eq!(key.revoked_at.is_some(), is_revoked, "{}: {}", db.kind(), key.name);
        }
        run(&["accounts", "disable", "--email", "bo@endcap.example"]);
        let bo = accounts::find_by_email(&mut conn, "bo@endcap.example").unwrap().unwrap();
        assert_eq!((bo.role.as_str(), bo.tenant_id.as_deref(), bo.is_active), ("expert", None, false), "{}", db.kind());
        assert!(bo.rater_id.is_some(), "an expert needs a rater's profile");
        run(&["accounts", "enable", "--email", "bo@endcap.example"]);
        assert!(accounts::find_by_email(&mut conn, "bo@endcap.example").unwrap().unwrap().is_active);
        let stranger = accounts::NewAccount {
            email: "cy@endcap.example".to_owned(),
            password_hash: None,
            role: "rater".to_owned(),
            tenant_id: None,
            rater_id: None,
            display_name: "Cy".to_owned(),
            user_metadata: serde_json::json!({"simulated": true}),
        };
        accounts::insert_waiting(&mut conn, &stranger, domain::time::now()).unwrap();
        assert!(run(&["accounts", "list"]).lines().any(|line| line.contains("cy@endcap.example") && line.contains("waiting")));
        run(&["accounts", "enable", "--email", "cy@endcap.example"]);
        let cy = accounts::find_by_email(&mut conn, "cy@endcap.example").unwrap().unwrap();
        assert!(cy.is_active && cy.rater_id.is_some() && !cy.waits(), "{}: confirmed", db.kind());
        let profile = storage::raters::find(&mut conn, cy.rater_id.as_deref().unwrap()).unwrap();
        assert!(profile.is_simulated, "{}: a program stays one, whoever confirms it", db.kind());
        let second = run(&["accounts", "set-password", "--email", "ada@endcap.example"]);
        let ada = accounts::find_by_email(&mut conn, "ada@endcap.example").unwrap().unwrap();
        assert!(web::password::verify(second.trim(), ada.password_hash.as_deref()) && second.trim() != password);
        let storage::audit::Chain::Whole { entries } = storage::audit::verify(&mut conn).unwrap() else { panic!("a broken chain") };
        assert_eq!(entries, 12, "{}: everything that was done is in the audit log", db.kind());
    }
}

#[test]
fn mistakes_are_named_and_make_nothing() {
    let db = database::sqlite();
    for (arguments, word) in [
        (vec!["create", "--email", "ada", "--role", "rater"], "not an e-mail address"),
        (vec!["create", "--email", "a@b.example", "--role", "analyst"], "add --tenant"),
        (vec!["create", "--email", "a@b.example", "--role", "rater", "--tenant", "t"], "leave --tenant out"),
        (vec!["create", "--email", "a@b.example", "--role", "service"], "endcap keys create"),
        (vec!["create", "--email", "a@b.example", "--role", "king"], "king"),
        (vec!["create", "--email", "a@b.example", "--role", "rater", "--name", " "], "1 to 100"),
        (vec!["disable", "--email", "a@b.example"], "there is no account"),
    ] {
        let text = fails(&[&["accounts"], arguments.as_slice(), &["--database-url", &db.url]].concat());
        assert!(text.contains(word), "{arguments:?}: {text}");
    }
    let mut short = Command::new(env!("CARGO_BIN_EXE_endcap"))
        .args(["accounts", "create", "--email", "a@b.example", "--role", "rater", "--password-stdin", "--database-url", &db.url])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    short.stdin.take().unwrap().write_all(b"short\n").unwrap();
    let output = short.wait_with_output().unwrap();
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("10 characters"));
    assert!(accounts::find_by_email(&mut db.connect(), "a@b.example").unwrap().is_none());
}
