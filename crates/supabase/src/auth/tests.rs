//! Auth of a project, whole and broken.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use testkit::supabase::{ANON_KEY, Fault, Part, Project as StandIn, SERVICE_KEY, Signer};

use super::admin::Arrival;
use super::*;

fn project(url: &str) -> Project {
    Project::from_settings(url, ANON_KEY.into(), Some(SERVICE_KEY.into()), None).unwrap()
}

fn password() -> SecretString {
    "correct horse battery".into()
}

#[tokio::test]
async fn somebody_signs_up_in_on_and_out() {
    let stand_in = StandIn::start();
    let project = project(&stand_in.url);
    let data = Map::from_iter([("name".to_owned(), json!("Ada"))]);
    let SignedUp::Session(session) = project.sign_up("ada@example.com", &password(), &data).await.unwrap() else { panic!("no session") };
    assert_eq!(project.user(&session.access_token).await.unwrap().user_metadata, data);
    let known = Map::from_iter([("role".to_owned(), json!("rater"))]);
    project.set_app_metadata(&session.user.id, &known).await.unwrap();
    let next = project.refresh_session(&session.refresh_token).await.unwrap();
    assert_eq!(next.user.app_metadata["role"], "rater");
    let again = project.refresh_session(&session.refresh_token).await.unwrap_err();
    assert!(matches!(&again, AuthError::Refused { status: 400, code, .. } if code == "refresh_token_already_used"), "{again}");
    let session = project.sign_in("ADA@example.com", &password()).await.unwrap();
    project.update_user(&session.access_token, Some(&"another long password".into()), &Map::new()).await.unwrap();
    project.sign_out(&session.access_token, "global").await.unwrap();
    let wrong = project.sign_in("ada@example.com", &password()).await.unwrap_err();
    assert!(matches!(&wrong, AuthError::Refused { code, .. } if code == "invalid_credentials"), "{wrong}");
    stand_in.held().confirms_email = true;
    let made = project.sign_up("bob@example.com", &password(), &Map::new()).await.unwrap();
    assert!(matches!(made, SignedUp::MustConfirm(user) if user.email_confirmed_at.is_none()));
}

#[tokio::test]
async fn a_mail_leads_once_to_a_new_password() {
    let stand_in = StandIn::start();
    let project = project(&stand_in.url);
    project.bring_user("ada@example.com", Arrival::Created, &Map::new(), &Map::new()).await.unwrap();
    let leads_to = "https://rate.example/new-password?a=b&c=d e";
    for email in ["Ada@example.com", "nobody@example.com"] {
        project.recover(email, leads_to).await.unwrap();
    }
    let mails = stand_in.held().mails.clone();
    assert_eq!(mails.iter().map(|mail| mail.to.as_str()).collect::<Vec<_>>(), ["ada@example.com"]);
    let follow = async || {
        let answer = project.client.get(&mails[0].link).send().await.unwrap();
        let location = answer.headers()["location"].to_str().unwrap().to_owned();
        location.strip_prefix(&format!("{leads_to}#")).unwrap_or_else(|| panic!("{location}")).to_owned()
    };
    let said: Map<String, Value> = form_urlencoded::parse(follow().await.as_bytes()).map(|(k, v)| (k.into(), v.into())).collect();
    assert_eq!(said["type"], "recovery");
    project.update_user(said["access_token"].as_str().unwrap(), Some(&password()), &Map::new()).await.unwrap();
    project.sign_in("ada@example.com", &password()).await.unwrap();
    assert!(follow().await.starts_with("error=access_denied&error_code=otp_expired"));
    stand_in.held().mails_are_too_many = true;
    let refused = project.recover("ada@example.com", leads_to).await.unwrap_err();
    assert!(matches!(&refused, AuthError::Refused { status: 429, code, .. } if code == "over_email_send_rate_limit"), "{refused}");
    project.recover("nobody@example.com", leads_to).await.unwrap();
    project.reach_auth().await.unwrap();
    stand_in.break_down(Part::Auth, Fault::Malformed);
    assert!(project.reach_auth().await.is_err() && project.recover("nobody@example.com", leads_to).await.is_err());
}

#[tokio::test]
async fn users_are_brought_and_found_again() {
    let stand_in = StandIn::start();
    let project = project(&stand_in.url);
    let mark = Map::from_iter([("account_id".to_owned(), json!("acc_1"))]);
    for (email, arrival) in [("a@example.com", Arrival::Created), ("b@example.com", Arrival::Invited)] {
        let user = project.bring_user(email, arrival, &mark, &Map::new()).await.unwrap();
        assert_eq!((user.app_metadata["account_id"].as_str(), user.email.as_deref()), (Some("acc_1"), Some(email)));
        let twice = project.bring_user(email, arrival, &mark, &Map::new()).await.unwrap_err();
        assert!(matches!(&twice, AuthError::Refused { code, .. } if code == "email_exists"), "{twice}");
    }
    assert_eq!(project.all_users().await.unwrap().len(), 2);
    let without = Project::from_settings(&stand_in.url, ANON_KEY.into(), None, None).unwrap();
    assert!(without.all_users().await.unwrap_err().to_string().contains("SUPABASE_SERVICE_KEY is not set"));
}

#[tokio::test]
async fn trouble_is_told_from_refusal() {
    let stand_in = StandIn::start();
    let project = project(&stand_in.url);
    for fault in [Fault::Drop, Fault::Status(500), Fault::Status(503), Fault::Malformed] {
        stand_in.break_down(Part::Auth, fault);
        let error = project.sign_in("a@example.com", &password()).await.unwrap_err();
        assert!(matches!(error, AuthError::Unavailable(_)), "{fault:?}: {error}");
        assert!(project.key_set().await.is_err(), "{fault:?}");
    }
    stand_in.break_down(Part::Auth, Fault::ExpiredKey);
    let error = project.sign_in("a@example.com", &password()).await.unwrap_err();
    assert!(matches!(&error, AuthError::Refused { status: 401, code, .. } if code == "bad_jwt"), "{error}");
    stand_in.break_down(Part::Auth, Fault::Slow(Duration::from_millis(1)));
    stand_in.held().served_keys = vec!["es-1"];
    stand_in.held().signer = Signer::Es256("es-1");
    assert_eq!(project.key_set().await.unwrap()["keys"][0]["kid"], "es-1");
}
