//! Auth of the stand-in: users, sessions whose refresh tokens work once, public keys. What only the service key may do is in `admin`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::http::{Reply, Request};
use super::{Held, admin, recovery, signing};

/// A user.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// A UUID.
    pub id: String,
    /// In lower case.
    pub email: String,
    /// In plain text, since nothing here is anybody's; absent for those who were invited.
    pub password: Option<String>,
    /// Whether the address is confirmed.
    pub is_confirmed: bool,
    /// What administrators wrote.
    pub app_metadata: Map<String, Value>,
    /// What the person said.
    pub user_metadata: Map<String, Value>,
}

impl User {
    pub(super) fn view(&self) -> Value {
        json!({
            "id": self.id, "aud": "authenticated", "role": "authenticated", "email": self.email, "phone": "",
            "app_metadata": self.app_metadata, "user_metadata": self.user_metadata, "identities": [],
            "email_confirmed_at": self.is_confirmed.then_some("2026-01-15T12:00:00Z"),
            "created_at": "2026-01-15T12:00:00Z", "updated_at": "2026-01-15T12:00:00Z", "is_anonymous": false,
        })
    }
}

/// Sessions that go on.
#[derive(Default)]
pub(super) struct Sessions {
    /// Access tokens with user and session.
    access: BTreeMap<String, (String, String)>,
    /// Refresh tokens with user, session, and whether they were used.
    refresh: BTreeMap<String, (String, String, bool)>,
}

impl Sessions {
    fn end(&mut self, ends: impl Fn(&str, &str) -> bool) {
        self.access.retain(|_, (user, session)| !ends(user, session));
        self.refresh.retain(|_, (user, session, _)| !ends(user, session));
    }
}

pub(super) fn refuse(status: u16, code: &str, message: &str) -> Reply {
    let mut reply = Reply::json(status, &json!({ "code": code, "message": message }));
    reply.headers.push(("x-sb-error-code", code.to_owned()));
    reply
}

pub(super) fn new_user(email: &str, body: &Value) -> User {
    let members = |name: &str| body[name].as_object().cloned().unwrap_or_default();
    let mut app_metadata = Map::from_iter([("provider".to_owned(), json!("email")), ("providers".to_owned(), json!(["email"]))]);
    app_metadata.extend(members("app_metadata"));
    let mut user_metadata = members("data");
    user_metadata.extend(members("user_metadata"));
    User {
        id: uuid::Uuid::new_v4().to_string(),
        email: email.to_lowercase(),
        password: body["password"].as_str().map(str::to_owned),
        is_confirmed: true,
        app_metadata,
        user_metadata,
    }
}

pub(super) fn start_session(held: &mut Held, user: &User, session: &str) -> Reply {
    // Issued now, also by a test whose clock is ahead.
    let issued = chrono::Utc::now().timestamp().max(held.tokens_until - 3_600);
    let claims = json!({
        "iss": "http://stand-in/auth/v1", "sub": user.id, "aud": "authenticated", "exp": held.tokens_until, "iat": issued,
        "email": user.email, "phone": "", "app_metadata": user.app_metadata, "user_metadata": user.user_metadata, "role": "authenticated",
        "aal": "aal1", "session_id": session, "is_anonymous": false, "jti": uuid::Uuid::new_v4(),
    });
    let access = held.signer.sign(&claims);
    let refresh = uuid::Uuid::new_v4().simple().to_string();
    held.sessions.access.insert(access.clone(), (user.id.clone(), session.to_owned()));
    held.sessions.refresh.insert(refresh.clone(), (user.id.clone(), session.to_owned(), false));
    let body = json!({
        "access_token": access, "token_type": "bearer", "expires_in": 3_600, "expires_at": held.tokens_until, "refresh_token": refresh,
        "user": user.view(),
    });
    Reply::json(200, &body)
}

pub(super) fn answer(held: &mut Held, request: &Request) -> Reply {
    let path = request.path.strip_prefix("/auth/v1").unwrap_or_default();
    let body = request.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    match (request.method.as_str(), path) {
        ("GET", "/health") => Reply::json(200, &json!({ "name": "GoTrue", "version": "v2", "description": "a stand-in" })),
        ("GET", "/.well-known/jwks.json") => {
            held.key_requests += 1;
            Reply::json(200, &signing::key_set(&held.served_keys))
        }
        ("POST", "/signup") => {
            let email = text("email").to_lowercase();
            if held.users.values().any(|user| user.email == email) {
                return refuse(422, "user_already_exists", "User already registered");
            }
            if text("password").len() < 6 {
                return refuse(422, "weak_password", "Password should be at least 6 characters.");
            }
            let user = User {
                is_confirmed: !held.confirms_email,
                app_metadata: new_user("", &Value::Null).app_metadata,
                ..new_user(&email, &body)
            };
            held.users.insert(user.id.clone(), user.clone());
            if held.confirms_email { Reply::json(200, &user.view()) } else { start_session(held, &user, &new_session()) }
        }
        ("POST", "/token") => match request.query("grant_type").as_str() {
            "password" => {
                let email = text("email").to_lowercase();
                let found = held.users.values().find(|user| user.email == email && user.password == Some(text("password"))).cloned();
                match found {
                    None => refuse(400, "invalid_credentials", "Invalid login credentials"),
                    Some(user) if !user.is_confirmed => refuse(400, "email_not_confirmed", "Email not confirmed"),
                    Some(user) => start_session(held, &user, &new_session()),
                }
            }
            _ => refresh(held, &text("refresh_token")),
        },
        ("POST", "/recover") => recovery::send(held, request),
        ("GET", "/verify") => recovery::follow(held, request),
        (_, path) if path.starts_with("/admin/") || path == "/invite" => admin::answer(held, request),
        _ => of_user(held, request, path),
    }
}

fn refresh(held: &mut Held, token: &str) -> Reply {
    let Some((user, session, is_used)) = held.sessions.refresh.get(token).cloned() else {
        return refuse(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found");
    };
    if is_used {
        held.sessions.end(|_, of| of == session);
        return refuse(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used");
    }
    held.sessions.refresh.insert(token.to_owned(), (user.clone(), session.clone(), true));
    match held.users.get(&user).cloned() {
        Some(user) => start_session(held, &user, &session),
        None => refuse(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found"),
    }
}

fn of_user(held: &mut Held, request: &Request, path: &str) -> Reply {
    let Some((id, session)) = held.sessions.access.get(request.bearer()).cloned() else {
        return refuse(403, "bad_jwt", "invalid JWT: unable to parse or verify signature");
    };
    match (request.method.as_str(), path) {
        ("POST", "/logout") => {
            match request.query("scope").as_str() {
                "local" => held.sessions.end(|_, of| of == session),
                "others" => held.sessions.end(|user, of| user == id && of != session),
                _ => held.sessions.end(|user, _| user == id),
            }
            Reply::empty(204)
        }
        ("GET", "/user") => held.users.get(&id).map_or_else(|| Reply::empty(404), |user| Reply::json(200, &user.view())),
        ("PUT", "/user") => {
            let body = request.json();
            let Some(user) = held.users.get_mut(&id) else { return Reply::empty(404) };
            if let Some(password) = body["password"].as_str() {
                if user.password.as_deref() == Some(password) {
                    return refuse(422, "same_password", "New password should be different from the old password.");
                }
                user.password = Some(password.to_owned());
            }
            for (name, value) in body["data"].as_object().into_iter().flatten() {
                if value.is_null() {
                    user.user_metadata.remove(name)
                } else {
                    user.user_metadata.insert(name.clone(), value.clone())
                };
            }
            Reply::json(200, &user.view())
        }
        _ => Reply::empty(404),
    }
}

pub(super) fn new_session() -> String {
    uuid::Uuid::new_v4().to_string()
}
