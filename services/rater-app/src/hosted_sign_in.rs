//! Sign-in with Supabase Auth (`ENDCAP_SIGN_IN=supabase`): the same paths and pages, with the project's users and sessions behind them.
//!
//! A user is linked with an account here by its id, never by an e-mail address that anybody may sign up with. Role and tenant are those of the
//! user's `app_metadata`, which administrators of the project write and users cannot: it stands signed in every token, so that our three services
//! and the project's own policies read the same. What a user says in `user_metadata` gives a name and nothing else. Rater profile and account are
//! made here at the first sign-in and written into `app_metadata`, which the next token carries.

use std::str::FromStr as _;

use actix_web::HttpRequest;
use chrono::{DateTime, TimeDelta, Utc};
use domain::role::Role;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use storage::accounts::{self, Account, AccountPatch, HostedAccount, NewAccount};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::raters::{self, NewRater};
use supabase::auth::{AuthError, AuthSession, AuthUser, SignedUp};
use supabase::project::Project;
use web::caller::Caller;
use web::token::Claims;

use crate::auth_refusal::AuthRefusal;
use crate::auth_user::User;
use crate::sign_in::{self, Made, Session};
use crate::standing::{grant_of, token_of};
use crate::state::State;

/// How long the end of a session is kept that the project was not told: longer than any refresh token of this installation lives. Those of a project
/// may live longer; whoever comes with one that is younger has the session ended there.
const ENDS_KEPT: TimeDelta = TimeDelta::days(400);

/// Makes a user of the project, and an account here once it is signed in.
///
/// # Errors
/// What the project refuses; 503 while it does not answer.
pub async fn sign_up(
    state: &State,
    project: &Project,
    email: &str,
    password: &str,
    data: &Map<String, Value>,
) -> Result<Made, AuthRefusal> {
    match project.sign_up(email, &SecretString::from(password), data).await.map_err(of_our_key)? {
        SignedUp::Session(session) => adopt(state, project, *session).await.map(|session| Made::Session(Box::new(session))),
        SignedUp::MustConfirm(user) => Ok(Made::MustConfirm(Box::new(user_of(*user)))),
    }
}

/// Signs in with a password of the project.
///
/// # Errors
/// What the project refuses; 503 while it does not answer.
pub async fn sign_in(state: &State, project: &Project, email: &str, password: &str) -> Result<Session, AuthRefusal> {
    let session = project.sign_in(email, &SecretString::from(password)).await.map_err(of_our_key)?;
    adopt(state, project, session).await
}

/// Exchanges a refresh token of the project.
///
/// # Errors
/// What the project refuses; 503 while it does not answer, and then the token stays good.
pub async fn refresh(state: &State, project: &Project, refresh_token: &str) -> Result<Session, AuthRefusal> {
    let session = project.refresh_session(refresh_token).await.map_err(of_our_key)?;
    if has_ended_here(state, &session.access_token).await? {
        // The project was out of reach when the session ended; now it can be told.
        if let Err(error) = project.sign_out(&session.access_token, "local").await {
            tracing::warn!(%error, "a session that has ended here could not be ended in the project");
        }
        return Err(AuthRefusal::refresh_token_not_found());
    }
    adopt(state, project, session).await
}

/// Whether the session of a token of the project was ended here.
async fn has_ended_here(state: &State, token: &str) -> Result<bool, AuthRefusal> {
    let Some(claims) = claims_of(state, token).await else { return Ok(false) };
    if state.ended.is_over(&grant_of(&claims)) {
        return Ok(true);
    }
    let Some(session) = claims.session_id else { return Ok(false) };
    Ok(state.storage.read(move |conn| accounts::has_kept_end(conn, &session)).await?)
}

/// Keeps that a session has ended here of which the project could not be told. Call it in the transaction that ends it.
///
/// # Errors
/// As any query.
pub fn keep_end(tx: &mut Connection, account_id: &str, session_id: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    // Of a token that does not name the account yet it is the user's id.
    let linked = accounts::find_by_auth_user(tx, account_id)?.map(|account| account.account_id);
    accounts::keep_end(tx, linked.as_deref().unwrap_or(account_id), session_id, now + ENDS_KEPT, now)
}

async fn claims_of(state: &State, token: &str) -> Option<Claims> {
    state.access.tokens().prepare(token).await;
    state.access.tokens().verify_access(token).ok()
}

/// How far a sign-out went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// In the project as well, or there was nothing to end there.
    Everywhere,
    /// The project did not answer.
    Here,
    /// The project does not know the session, or not any more: this one alone ends, here.
    Unknown,
}

/// Ends sessions in the project. One that does not answer is no reason to keep somebody signed in here, and one that has ended the session already
/// even less; its clients pass over the same refusals.
///
/// # Errors
/// What else the project refuses.
pub async fn sign_out(project: &Project, token: &str, scope: &str) -> Result<Ended, AuthRefusal> {
    match project.sign_out(token, scope).await {
        Ok(()) => Ok(Ended::Everywhere),
        Err(AuthError::Unavailable(reason)) => {
            tracing::warn!(reason, "a session has ended here, and the project could not be told");
            Ok(Ended::Here)
        }
        Err(AuthError::Refused { status: 401 | 403 | 404, code, .. }) => {
            tracing::info!(code, "a session has ended here that the project does not know");
            Ok(Ended::Unknown)
        }
        Err(refused) => Err(refused.into()),
    }
}

/// The project and the caller's token there, when it is one; nothing for accounts of this installation and API keys, which never leave it.
#[must_use]
pub fn session_there<'a>(state: &'a State, caller: &Caller, request: &HttpRequest) -> Option<(&'a Project, String)> {
    let project = state.hosted.as_ref()?;
    let token = token_of(caller, request)?;
    let claims = state.access.tokens().verify_access(&token).ok()?;
    // Our own tokens name an account, those of the project its user, by a UUID.
    (!claims.sub.starts_with("acc_")).then_some((project, token))
}

fn nothing<T>(error: StorageError) -> Result<Option<T>, StorageError> {
    match error {
        StorageError::NotFound { .. } => Ok(None),
        other => Err(other),
    }
}

/// The signed-in user as the project knows it. One who has never been here gets an account and a rater profile.
///
/// # Errors
/// What the project refuses; 503 while it does not answer.
pub async fn user(state: &State, project: &Project, token: &str) -> Result<User, AuthRefusal> {
    let user = project.user(token).await?;
    let (account, is_told) = link(state, &user, state.clock.now()).await?;
    let user = if is_told { user } else { project.set_app_metadata(&user.id, &told_of(&account)).await.map_err(of_our_key)? };
    Ok(user_of(user))
}

/// Changes password or metadata there, and the name here. A new password ends all sessions but `session_id`.
///
/// # Errors
/// What the project refuses; 503 while it does not answer.
pub async fn update_user(
    state: &State,
    project: &Project,
    token: &str,
    session_id: &str,
    password: Option<String>,
    mut data: Map<String, Value>,
) -> Result<User, AuthRefusal> {
    // Whether an account is a program's was said at sign-up, and stays said.
    data.remove("simulated");
    let (ends_others, session_id) = (password.is_some(), session_id.to_owned());
    let user = project.update_user(token, password.map(SecretString::from).as_ref(), &data).await?;
    let (account, _) = link(state, &user, state.clock.now()).await?;
    let (name, metadata, now) = (sign_in::given_name(&data), user.user_metadata.clone(), state.clock.now());
    state
        .storage
        .transaction(move |tx| {
            accounts::lock(tx, &account.account_id)?;
            if let (Some(rater_id), Some(name)) = (&account.rater_id, &name) {
                raters::rename(tx, rater_id, name, now)?;
            }
            let patch =
                AccountPatch { display_name: name.clone(), user_metadata: Some(Value::Object(metadata.clone())), password_hash: None };
            if ends_others {
                // As the project does.
                accounts::revoke_all_sessions(tx, &account.account_id, Some(&session_id), now)?;
            }
            accounts::update(tx, &account.account_id, &patch, now)
        })
        .await?;
    state.after_commit();
    Ok(user_of(user))
}

/// Links the user of a new session with an account and makes the token say so.
async fn adopt(state: &State, project: &Project, session: AuthSession) -> Result<Session, AuthRefusal> {
    let issued = claims_of(state, &session.access_token).await.and_then(|claims| DateTime::from_timestamp(claims.iat, 0));
    let (account, is_told) = link(state, &session.user, issued.unwrap_or_else(|| state.clock.now())).await?;
    if !account.is_active {
        if let Err(error) = project.sign_out(&session.access_token, "local").await {
            tracing::warn!(%error, "the session of an account that is closed could not be ended in the project");
        }
        return Err(AuthRefusal::user_banned());
    }
    let session = if is_told {
        session
    } else {
        project.set_app_metadata(&session.user.id, &told_of(&account)).await.map_err(of_our_key)?;
        project.refresh_session(&session.refresh_token).await.map_err(of_our_key)?
    };
    let life = i64::try_from(session.expires_in).unwrap_or(3_600);
    Ok(Session {
        access_token: session.access_token,
        token_type: "bearer",
        expires_in: session.expires_in,
        expires_at: session.expires_at.unwrap_or_else(|| state.clock.now().timestamp() + life),
        refresh_token: session.refresh_token,
        user: user_of(session.user),
    })
}

/// The account of a user, made when there is none; and whether the user's `app_metadata` names it already.
/// `issued` is the time of what the user has of the project.
async fn link(state: &State, user: &AuthUser, issued: DateTime<Utc>) -> Result<(Account, bool), AuthRefusal> {
    let said = |name: &str| user.app_metadata.get(name).and_then(Value::as_str).map(str::to_owned);
    let role = match said("role") {
        None => Role::Rater,
        Some(word) => Role::from_str(&word).map_err(|_| AuthRefusal::unknown_role(&word))?,
    };
    let Some(email) = user.email.clone().filter(|email| !email.is_empty()) else {
        return Err(AuthRefusal::validation_failed("email: the user has none; accounts here need one"));
    };
    let hosted = HostedAccount { email, role: role.as_ref().to_owned(), tenant_id: said("tenant_id"), rater_id: said("rater_id") };
    let (known, user_id, data, now) = (said("account_id"), user.id.clone(), user.user_metadata.clone(), state.clock.now());
    let again = hosted.clone();
    let linked = state.storage.transaction(move |tx| link_within(tx, &user_id, known.as_deref(), &hosted, &data, issued, now)).await;
    let account = match linked {
        // Two sign-ins made the account at the same moment: the other's counts.
        Err(StorageError::Conflict { code: "account_exists", .. }) => {
            let user_id = user.id.clone();
            let found = state.storage.read(move |conn| accounts::find_by_auth_user(conn, &user_id)).await?;
            found.ok_or_else(AuthRefusal::account_not_linked)?
        }
        other => other?,
    };
    let told = told_of(&account);
    let is_told = told.iter().all(|(name, value)| user.app_metadata.get(name).unwrap_or(&Value::Null) == value);
    tracing::debug!(account_id = account.account_id, role = again.role, is_told, "a user of the project is linked");
    Ok((account, is_told))
}

fn link_within(
    tx: &mut Connection,
    user_id: &str,
    known: Option<&str>,
    said: &HostedAccount,
    data: &Map<String, Value>,
    issued: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Account, StorageError> {
    let found = match (accounts::find_by_auth_user(tx, user_id)?, known) {
        (Some(account), _) => Some(account),
        // Named by an administrator or by `endcap supabase sync`, which was killed before it could note it here.
        (None, Some(known)) => match accounts::find(tx, known).map(Some).or_else(nothing)? {
            Some(account) => {
                accounts::link_auth_user(tx, &account.account_id, user_id, now)?;
                Some(account)
            }
            None => None,
        },
        (None, None) => None,
    };
    let account = match found {
        Some(account) => account,
        None => make_account(tx, user_id, said, data, now)?,
    };
    let rater_id = account.rater_id.clone().or_else(|| said.rater_id.clone());
    accounts::note_hosted_sign_in(tx, &account.account_id, &HostedAccount { rater_id, ..said.clone() }, issued, now)
}

fn make_account(
    tx: &mut Connection,
    user_id: &str,
    said: &HostedAccount,
    data: &Map<String, Value>,
    now: DateTime<Utc>,
) -> Result<Account, StorageError> {
    let number: String = domain::id::new("").chars().rev().take(4).collect();
    let name =
        sign_in::check_metadata(data.clone()).ok().and_then(|data| sign_in::given_name(&data)).unwrap_or_else(|| format!("Rater {number}"));
    let judges = ["rater", "expert"].contains(&said.role.as_str());
    let rater_id = if judges && said.rater_id.is_none() {
        let is_simulated = data.get("simulated") == Some(&Value::Bool(true));
        let rater = NewRater { name: name.clone(), email: Some(said.email.clone()), is_simulated, is_calibrated: false };
        Some(raters::insert(tx, &rater, now)?.rater_id)
    } else {
        said.rater_id.clone()
    };
    let account = NewAccount {
        email: said.email.clone(),
        password_hash: None,
        role: said.role.clone(),
        tenant_id: said.tenant_id.clone(),
        rater_id,
        display_name: name,
        user_metadata: Value::Object(data.clone()),
    };
    let account = accounts::insert(tx, &account, now)?;
    accounts::link_auth_user(tx, &account.account_id, user_id, now)?;
    Ok(account)
}

/// What `app_metadata` of the account's user says.
fn told_of(account: &Account) -> Map<String, Value> {
    let told =
        json!({"role": account.role, "tenant_id": account.tenant_id, "rater_id": account.rater_id, "account_id": account.account_id});
    told.as_object().cloned().unwrap_or_default()
}

/// A user of the project in the shape that our own have.
fn user_of(user: AuthUser) -> User {
    let created_at = user.created_at.unwrap_or_default();
    User {
        id: user.id,
        aud: "authenticated",
        role: "authenticated",
        email: user.email.unwrap_or_default(),
        phone: "",
        app_metadata: Value::Object(user.app_metadata),
        user_metadata: Value::Object(user.user_metadata),
        identities: user.identities.unwrap_or_default(),
        email_confirmed_at: user.email_confirmed_at,
        last_sign_in_at: user.last_sign_in_at,
        updated_at: user.updated_at.unwrap_or_else(|| created_at.clone()),
        created_at,
        is_anonymous: false,
    }
}

/// A refusal of a call that carries our key only: 401 and 403 mean the key and not the person.
#[must_use]
pub fn of_our_key(error: AuthError) -> AuthRefusal {
    match error {
        AuthError::Refused { status: 401 | 403, code, message, .. } if code != "user_banned" => {
            AuthError::Unavailable(format!("it refuses SUPABASE_KEY or SUPABASE_SERVICE_KEY: {code} {message}")).into()
        }
        other => other.into(),
    }
}

impl From<AuthError> for AuthRefusal {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Unavailable(reason) => {
                tracing::warn!(reason, "sign-in with Supabase Auth is not possible at the moment");
                Self::auth_unavailable()
            }
            AuthError::Refused { status, code, message, retry_after_s } => Self::of_project(status, code, message, retry_after_s),
        }
    }
}
