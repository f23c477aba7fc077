//! Seal keys are made, secrets sealed and opened in their place only, stored keys sealed anew; no error shows a secret.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use chrono::Utc;
use domain::scope::Scope;
use secrecy::ExposeSecret as _;
use storage::connection::{Access, Connection};
use storage::retailers::{self, NewRetailer};
use storage::url::DatabaseUrl;
use storage::webhooks::{self, NewWebhook};
use web::sealing::{SealKeys, key_id_of, place_of_retailer, place_of_webhook};

use crate::succeeds;

fn run(arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_endcap"));
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("ENDCAP_") || key == "DATABASE_URL") {
        command.env_remove(key);
    }
    command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that does not read its input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn texts(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).trim().to_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_sealed_database_url_opens_with_its_key_only() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/secret-place.db", folder.path().display());
    let (key, other) = (SealKeys::generate(), succeeds(&["keys", "generate-seal-key"]).trim().to_owned());
    assert!(SealKeys::parse(&other).is_ok(), "{other}");
    let sealed = texts(&run(&["seal"], &[("ENDCAP_SEAL_KEYS", &key)], &format!("{url}\n"))).0;
    assert!(sealed.starts_with("sealed:v1:") && !sealed.contains("secret-place"), "{sealed}");
    let good = run(&["init-database"], &[("ENDCAP_SEAL_KEYS", &key), ("DATABASE_URL", &sealed)], "");
    assert!(good.status.success(), "{:?}", texts(&good));
    let good = run(&["migrate", "status", "--database-url", &sealed], &[("ENDCAP_SEAL_KEYS", &key)], "");
    assert!(good.status.success(), "{:?}", texts(&good));
    let id = key.split(':').next().unwrap();
    for variables in
        [vec![("DATABASE_URL", sealed.as_str())], vec![("DATABASE_URL", sealed.as_str()), ("ENDCAP_SEAL_KEYS", other.as_str())]]
    {
        let bad = run(&["migrate"], &variables, "");
        let (_, said) = texts(&bad);
        assert!(!bad.status.success() && said.contains("DATABASE_URL") && said.contains(id), "{said}");
        assert!(!said.contains("secret-place") && !said.contains(other.split(':').nth(1).unwrap()), "{said}");
    }
    // Sealed for another setting.
    let elsewhere = texts(&run(&["seal", "--name", "ENDCAP_JWT_SECRET"], &[("ENDCAP_SEAL_KEYS", &key)], &url)).0;
    let bad = run(&["migrate"], &[("ENDCAP_SEAL_KEYS", &key), ("DATABASE_URL", &elsewhere)], "");
    assert!(texts(&bad).1.contains("does not open"), "{:?}", texts(&bad));
    assert!(texts(&run(&["seal"], &[], "x")).1.contains("there is no seal key"));
    assert!(texts(&run(&["seal", "--name", "ENDCAP_SIGNUP"], &[("ENDCAP_SEAL_KEYS", &key)], "x")).1.contains("is no secret setting"));
}

#[test]
fn a_rotation_seals_anew_says_how_many_and_may_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/endcap.db", folder.path().display());
    succeeds(&["init-database", "--database-url", &url]);
    let (old, new, lost) = (SealKeys::generate(), SealKeys::generate(), SealKeys::generate());
    let keys = |text: &str| SealKeys::parse(text).unwrap();
    let mut conn = Connection::open(&DatabaseUrl::parse(&url).unwrap(), Access::Write).unwrap();
    let now = domain::time::cut(Utc::now());
    for at in 0..250 {
        let id = format!("r{at}");
        retailers::insert(&mut conn, &NewRetailer { retailer_id: id.clone(), name: id.clone(), ..NewRetailer::default() }, now).unwrap();
        if at < 240 {
            let sealed = keys(&old).seal(&format!("key of {id}").into(), &place_of_retailer(&id)).unwrap();
            retailers::set_sealed_key(&mut conn, &id, Some(&sealed), now).unwrap();
        }
    }
    // A webhook with two secrets, sealed together.
    let (place, scope) = (place_of_webhook("whk-1"), Scope::system("test"));
    let sealed = |secret: &str| keys(&old).seal(&secret.into(), &place).unwrap();
    let webhook = NewWebhook {
        webhook_id: "whk-1".to_owned(),
        tenant_id: None,
        url: "https://example.com/".to_owned(),
        description: String::new(),
        event_types: Vec::new(),
        secret_sealed: sealed("whsec_first"),
        is_enabled: true,
    };
    webhooks::insert(&mut conn, &scope, &webhook, now).unwrap();
    webhooks::rotate(&mut conn, &scope, "whk-1", &sealed("whsec_second"), Some(now), now).unwrap();
    let both = format!("{new},{old}");
    let rotate = |keys: &str| run(&["keys", "rotate", "--database-url", &url], &[("ENDCAP_SEAL_KEYS", keys)], "");
    let (said, _) = texts(&rotate(&both));
    assert!(said.contains("240 sealed anew") && said.contains("0 failed"), "{said}");
    let (said, _) = texts(&rotate(&both));
    assert!(said.contains("0 sealed anew") && said.contains("240 were so already"), "{said}");
    let row = retailers::sealed_keys(&mut conn, &["r7"]).unwrap().remove(0).api_key_encrypted.unwrap();
    assert_eq!(key_id_of(&row), keys(&new).current());
    let hook = webhooks::find(&mut conn, &scope, "whk-1").unwrap();
    let opened = |sealed: &str| keys(&new).open(sealed, &place).unwrap().expose_secret().to_owned();
    assert_eq!(
        (opened(&hook.secret_sealed).as_str(), opened(&hook.previous_secret_sealed.unwrap()).as_str()),
        ("whsec_second", "whsec_first")
    );
    assert_eq!(keys(&new).open(&row, &place_of_retailer("r7")).unwrap().expose_secret(), "key of r7");
    // One that does not open is named; the others are sealed anew all the same.
    let strange = keys(&lost).seal(&"x".into(), &place_of_retailer("r9")).unwrap();
    retailers::set_sealed_key(&mut conn, "r9", Some(&strange), now).unwrap();
    let newest = SealKeys::generate();
    let output = rotate(&format!("{newest},{new}"));
    let (said, errors) = texts(&output);
    assert!(!output.status.success() && said.contains("239 sealed anew") && said.contains("1 failed"), "{said}");
    assert!(errors.contains("retailer r9") && errors.contains(key_id_of(&strange).unwrap()) && !errors.contains("key of"), "{errors}");
}
