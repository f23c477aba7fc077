//! Recovery in Auth of the stand-in: mails with a link, kept instead of sent, and the link itself, which works once and leads on with a session.

use serde_json::{Value, json};

use super::Held;
use super::auth::{new_session, refuse, start_session};
use super::http::{Reply, Request, encoded};

/// Where a test that has only HTTP, such as one in a browser, reads the mails; a project has nothing there.
pub(super) const MAILBOX: &str = "/mailbox";

/// A mail that a project would have sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// To whom.
    pub to: String,
    /// The link in it.
    pub link: String,
}

pub(super) fn mailbox(held: &Held) -> Reply {
    let mails: Vec<Value> = held.mails.iter().map(|mail| json!({ "to": mail.to, "link": mail.link })).collect();
    Reply::json(200, &json!(mails))
}

/// The same answer for everybody, unless the mails to a user are too many.
pub(super) fn send(held: &mut Held, request: &Request) -> Reply {
    let email = request.json()["email"].as_str().unwrap_or_default().to_lowercase();
    if !email.contains('@') {
        return refuse(400, "validation_failed", "Unable to validate email address: invalid format");
    }
    let Some(id) = held.users.values().find(|user| user.email == email).map(|user| user.id.clone()) else {
        return Reply::json(200, &json!({}));
    };
    if held.mails_are_too_many {
        return refuse(429, "over_email_send_rate_limit", "For security purposes, you can only request this after 59 seconds.");
    }
    let token = uuid::Uuid::new_v4().simple().to_string();
    let (host, leads_to) = (request.header("host"), encoded(&request.query("redirect_to")));
    let link = format!("http://{host}/auth/v1/verify?token={token}&type=recovery&redirect_to={leads_to}");
    // A user has one token: a newer mail makes the link of the last one useless.
    held.links.retain(|_, user| *user != id);
    held.links.insert(token, id);
    held.mails.push(Mail { to: email, link });
    Reply::json(200, &json!({}))
}

/// Where the link of a mail leads: on, with a session in the fragment, or with the reason why there is none.
pub(super) fn follow(held: &mut Held, request: &Request) -> Reply {
    let user = held.links.remove(&request.query("token")).and_then(|id| held.users.get(&id).cloned());
    let said = match user {
        Some(user) => {
            let session = start_session(held, &user, &new_session());
            let session: Value = serde_json::from_slice(&session.body).unwrap();
            let part = |name: &str| session[name].as_str().map_or_else(|| session[name].to_string(), encoded);
            format!(
                "access_token={}&expires_at={}&expires_in={}&refresh_token={}&token_type=bearer&type=recovery",
                part("access_token"),
                part("expires_at"),
                part("expires_in"),
                part("refresh_token")
            )
        }
        None => "error=access_denied&error_code=otp_expired&error_description=Email+link+is+invalid+or+has+expired".to_owned(),
    };
    let mut reply = Reply::empty(303);
    reply.headers.push(("location", format!("{}#{said}", request.query("redirect_to"))));
    reply
}
