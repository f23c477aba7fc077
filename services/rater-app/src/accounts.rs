//! `/auth/v1`: the shapes of Supabase Auth, so that its clients sign in here unchanged.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use storage::accounts::AccountPatch;
use storage::connection::Connection;
use storage::raters;
use web::caller::{Caller, Credential};
use web::client_address;
use web::json::{JsonBody, QueryOf, parse_json};
use web::problem::Problem;

use crate::auth_absent;
use crate::auth_refusal::{AuthRefusal, AuthRefusals};
use crate::auth_user::{User, user_of};
use crate::hosted_sign_in::{self, session_there};
use crate::recovery;
use crate::sign_in;
use crate::standing::require_session;
use crate::state::State;

/// What is said after a sign-out of which a hosted project could not be told.
const ENDED_HERE: &str = "Signed out here: this session opens nothing any more. Supabase Auth does not answer, so sessions of yours in the project itself and on other devices go on; sign out everywhere once it is back";

/// Body of sign-up. Fields that clients of Supabase send and that mean nothing here are passed over.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct SignUp {
    /// E-mail address.
    #[serde(default)]
    #[schema(required = true)]
    pub email: String,
    /// At least 10 characters.
    #[serde(default)]
    #[schema(required = true)]
    pub password: String,
    /// What the person says: `name` is shown to others; `simulated: true` marks a program.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
}

/// Query of the token path.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Grant {
    /// `password` or `refresh_token`.
    pub grant_type: String,
}

/// Body with a password.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct Credentials {
    /// E-mail address.
    pub email: String,
    /// Password.
    pub password: String,
}

/// Body with a refresh token.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct RefreshToken {
    /// The token of the last session answer.
    pub refresh_token: String,
}

/// Body of recovery. Fields that clients of Supabase send and that mean nothing here are passed over.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct Recovery {
    /// E-mail address.
    pub email: String,
}

/// Query of recovery.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RedirectTo {
    /// Where the link of the mail leads: a page of the rater app. Without it, and instead of any other address, that is `/new-password`.
    pub redirect_to: Option<String>,
}

/// What may be changed about oneself.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct UserChanges {
    /// Not taken here: whoever runs the system changes addresses.
    #[serde(default)]
    #[schema(ignore)]
    pub email: Option<String>,
    /// A new password; ends all other sessions.
    #[serde(default)]
    pub password: Option<String>,
    /// Merged into the metadata; null removes a key.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
}

/// Which sessions end.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LogoutScope {
    /// `global` (default), `local` or `others`.
    pub scope: Option<String>,
}

/// Makes a rater's account and signs it in. Where an administrator has to confirm it first, the answer is the user alone, and the same for an address
/// that has an account already.
#[utoipa::path(post, path = "/auth/v1/signup", tag = "sign-in", request_body = SignUp, responses((status = 200, body = sign_in::Session), AuthRefusals))]
pub async fn sign_up(request: HttpRequest, state: Data<State>, body: Result<JsonBody<SignUp>, Problem>) -> HttpResponse {
    let work = async {
        let SignUp { email, password, data } = body?.0;
        if email.is_empty() && password.is_empty() {
            // What `signInAnonymously` sends.
            return Err(AuthRefusal::absent(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled"));
        }
        sign_in::sign_up(&state, &email, &password, data, &address_of(&request, &state)).await
    };
    answer(work.await)
}

/// Signs in with a password, or exchanges a refresh token; each refresh token works once.
#[utoipa::path(post, path = "/auth/v1/token", tag = "sign-in", params(Grant), request_body = Credentials, responses((status = 200, body = sign_in::Session), AuthRefusals))]
pub async fn issue_token(
    request: HttpRequest,
    state: Data<State>,
    grant: Result<QueryOf<Grant>, Problem>,
    body: Result<JsonBody<Value>, Problem>,
) -> HttpResponse {
    let work = async {
        let (grant, body) = (grant?.0, body?.0.to_string());
        match grant.grant_type.as_str() {
            "password" => {
                let credentials: Credentials = parse_json(body.as_bytes())?;
                sign_in::sign_in(&state, &credentials.email, &credentials.password, &address_of(&request, &state)).await
            }
            "refresh_token" => {
                let token: RefreshToken = parse_json(body.as_bytes())?;
                sign_in::refresh(&state, &token.refresh_token, &address_of(&request, &state)).await
            }
            _ => Err(AuthRefusal::unsupported_grant_type()),
        }
    };
    answer(work.await)
}

/// Has the hosted project that signs people in send a mail with a link to a new password. The answer is the same whether the address has an account
/// or not; `otp_disabled` where no project signs people in.
#[utoipa::path(post, path = "/auth/v1/recover", tag = "sign-in", params(RedirectTo), request_body = Recovery, responses((status = 200, description = "{}"), AuthRefusals))]
pub async fn recover(
    request: HttpRequest,
    state: Data<State>,
    query: Result<QueryOf<RedirectTo>, Problem>,
    body: Result<JsonBody<Recovery>, Problem>,
) -> HttpResponse {
    let work = async {
        if state.hosted.is_none() {
            return Err(auth_absent::no_recovery());
        }
        let (redirect_to, email) = (query?.0.redirect_to, body?.0.email);
        recovery::send_mail(&state, &email, redirect_to.as_deref(), &address_of(&request, &state)).await?;
        Ok(json!({}))
    };
    answer(work.await)
}

/// Ends sessions: their refresh tokens stop working and their sockets are closed, on every process; access tokens run out by themselves. A session
/// that has ended ends no other, and an API key has none.
#[utoipa::path(post, path = "/auth/v1/logout", tag = "sign-in", params(LogoutScope), security(("token" = [])), responses((status = 204), (status = 200, description = "{msg}: the session has ended here, and the hosted project that signs people in did not answer"), AuthRefusals))]
pub async fn logout(
    request: HttpRequest,
    state: Data<State>,
    caller: Result<Caller, Problem>,
    scope: Result<QueryOf<LogoutScope>, Problem>,
) -> HttpResponse {
    let work = async {
        let (caller, scope) = (caller?, scope?.0);
        let scope = scope.scope.unwrap_or_else(|| "global".to_owned());
        if !["global", "local", "others"].contains(&scope.as_str()) {
            return Err(AuthRefusal::validation_failed("scope: use global, local or others"));
        }
        if caller.credential == Credential::Key {
            return Err(AuthRefusal::key_has_no_session());
        }
        require_session(&state, &caller, &request).await?;
        let session = caller.session_id.clone().ok_or_else(AuthRefusal::session_not_found)?;
        let now = state.clock.now();
        let account_id = caller.account_id.clone();
        let there = match session_there(&state, &caller, &request) {
            Some((project, token)) => Some(hosted_sign_in::sign_out(project, &token, &scope).await?),
            None => None,
        };
        let ended = there.unwrap_or(hosted_sign_in::Ended::Everywhere);
        // A session that the project does not know any more ends no other.
        let scope = if ended == hosted_sign_in::Ended::Unknown { "local".to_owned() } else { scope };
        let end = move |tx: &mut Connection| {
            match there {
                // Behind the lock: of two that end each other one comes first.
                None => drop(storage::accounts::lock_with_session(tx, &account_id, &session, now)?),
                Some(hosted_sign_in::Ended::Everywhere) => {}
                Some(_) if scope == "others" => {}
                Some(_) => hosted_sign_in::keep_end(tx, &account_id, &session, now)?,
            }
            match scope.as_str() {
                "local" => storage::accounts::revoke_session(tx, &session, now),
                "others" => storage::accounts::revoke_all_sessions(tx, &account_id, Some(&session), now),
                _ => {
                    // By name, too: its token may say the second of the end as the time of its issue.
                    storage::accounts::revoke_session(tx, &session, now)?;
                    storage::accounts::revoke_all_sessions(tx, &account_id, None, now)
                }
            }
        };
        state.storage.transaction(end).await?;
        state.after_commit();
        Ok::<_, AuthRefusal>(ended)
    };
    match work.await {
        Ok(hosted_sign_in::Ended::Everywhere | hosted_sign_in::Ended::Unknown) => HttpResponse::NoContent().finish(),
        Ok(hosted_sign_in::Ended::Here) => HttpResponse::Ok().json(json!({ "msg": ENDED_HERE })),
        Err(refusal) => refusal.response(),
    }
}

/// The signed-in user.
#[utoipa::path(get, path = "/auth/v1/user", tag = "sign-in", security(("token" = []), ("key" = [])), responses((status = 200, body = User), AuthRefusals))]
pub async fn get_user(request: HttpRequest, state: Data<State>, caller: Result<Caller, Problem>) -> HttpResponse {
    let work = async {
        let caller = caller?;
        if let Some((project, token)) = session_there(&state, &caller, &request) {
            return hosted_sign_in::user(&state, project, &token).await;
        }
        let account_id = caller.account_id;
        let account = state.storage.read(move |conn| storage::accounts::find(conn, &account_id)).await?;
        Ok(user_of(&account))
    };
    answer(work.await)
}

/// Changes the signed-in user's password or metadata, while the session goes on.
#[utoipa::path(put, path = "/auth/v1/user", tag = "sign-in", request_body = UserChanges, security(("token" = []), ("key" = [])), responses((status = 200, body = User), AuthRefusals))]
pub async fn update_user(
    request: HttpRequest,
    state: Data<State>,
    caller: Result<Caller, Problem>,
    body: Result<JsonBody<UserChanges>, Problem>,
) -> HttpResponse {
    let work = async {
        let (caller, changes) = (caller?, body?.0);
        if caller.credential == Credential::Key {
            return Err(storage::error::StorageError::not_found("account", caller.account_id).into());
        }
        require_session(&state, &caller, &request).await?;
        let session = caller.session_id.clone().ok_or_else(AuthRefusal::session_not_found)?;
        if let Some((project, token)) = session_there(&state, &caller, &request) {
            let data = sign_in::check_metadata(changes.data)?;
            changes.password.as_deref().map_or(Ok(()), sign_in::check_password)?;
            return hosted_sign_in::update_user(&state, project, &token, &session, changes.password, data).await;
        }
        if changes.email.is_some() {
            return Err(AuthRefusal::validation_failed("email: An address cannot be changed here; ask whoever runs the system"));
        }
        let password_hash = match changes.password {
            Some(password) => {
                sign_in::check_password(&password)?;
                Some(state.hashing.hash_for(&caller.account_id, password).await?)
            }
            None => None,
        };
        let data = sign_in::check_metadata(changes.data)?;
        let display_name = sign_in::given_name(&data);
        let now = state.clock.now();
        let account = state
            .storage
            .transaction(move |tx| {
                // Hashing took its time: meanwhile the session may have ended.
                let before = storage::accounts::lock_with_session(tx, &caller.account_id, &session, now)?;
                let mut metadata = before.user_metadata.as_object().cloned().unwrap_or_default();
                for (key, value) in data.clone() {
                    // Whether an account is a program's was said at sign-up, and stays said.
                    match value {
                        _ if key == "simulated" => None,
                        Value::Null => metadata.remove(&key),
                        value => metadata.insert(key, value),
                    };
                }
                let patch = AccountPatch {
                    password_hash: password_hash.clone(),
                    display_name: display_name.clone(),
                    user_metadata: Some(Value::Object(metadata)),
                };
                if let (Some(rater_id), Some(name)) = (&before.rater_id, &display_name) {
                    raters::rename(tx, rater_id, name, now)?;
                }
                if password_hash.is_some() {
                    storage::accounts::revoke_all_sessions(tx, &caller.account_id, Some(&session), now)?;
                }
                storage::accounts::update(tx, &caller.account_id, &patch, now)
            })
            .await?;
        state.after_commit();
        Ok(user_of(&account))
    };
    answer(work.await)
}

/// Says that sign-in answers.
#[utoipa::path(get, path = "/auth/v1/health", tag = "sign-in", responses((status = 200, description = "name, version, description")))]
pub async fn auth_health() -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "name": "endcap", "version": crate::VERSION, "description": "Endcap accounts, in the shapes of Supabase Auth",
    }))
}

/// Where a request came from, for counting. Headers count only where a trusted proxy wrote them.
#[must_use]
pub fn address_of(request: &HttpRequest, state: &State) -> String {
    client_address::counted(client_address::of(request, &state.settings.trusted_proxies))
}

fn answer<T: serde::Serialize>(result: Result<T, AuthRefusal>) -> HttpResponse {
    match result {
        Ok(body) => HttpResponse::Ok().json(body),
        Err(refusal) => refusal.response(),
    }
}
