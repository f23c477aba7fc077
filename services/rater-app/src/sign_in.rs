//! The rules of accounts and sessions, without HTTP: sign-up, sign-in, refresh. Pages and `/auth/v1` both call these.

use std::str::FromStr;

use chrono::TimeDelta;
use domain::role::Role;
use rand::RngCore as _;
use serde::Serialize;
use serde_json::{Map, Value};
use storage::accounts::{self, Account, Exchange, NewAccount, NewRefreshToken, Rotation};
use storage::error::StorageError;
use storage::raters::{self, NewRater};
use web::access::hash_key;
use web::password;
use web::problem::Problem;
use web::settings::Signup;
use web::token::Subject;

use crate::attempts;
use crate::auth_refusal::AuthRefusal;
use crate::auth_user::{User, user_of, user_who_waits};
use crate::hosted_sign_in;
use crate::state::State;

/// Longest display name, in characters.
const MAX_NAME_CHARS: usize = 60;
/// Largest metadata, as JSON text.
const MAX_METADATA_BYTES: usize = 4_096;

/// A session, as Supabase Auth answers sign-in.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Session {
    /// JWT for `Authorization: Bearer`.
    pub access_token: String,
    /// `bearer`.
    pub token_type: &'static str,
    /// Life of the access token, in seconds.
    pub expires_in: u64,
    /// End of its life, seconds since 1970.
    pub expires_at: i64,
    /// Works once, for the next session answer.
    pub refresh_token: String,
    /// Whose it is.
    pub user: User,
}

/// What became of a sign-up.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Made {
    /// Signed in at once.
    Session(Box<Session>),
    /// A hosted project waits until the e-mail address is confirmed, or this installation until an administrator has confirmed the account.
    MustConfirm(Box<User>),
}

/// Makes a rater's account, and signs it in unless an administrator has to confirm it first. `address` is where the request came from.
///
/// # Errors
/// When sign-up is closed, too many came, the e-mail address is taken or a field breaks a rule.
pub async fn sign_up(state: &State, email: &str, password: &str, data: Map<String, Value>, address: &str) -> Result<Made, AuthRefusal> {
    if state.settings.sign_in.signup == Signup::Closed {
        return Err(AuthRefusal::signup_disabled());
    }
    let email = check_email(email)?;
    check_password(password)?;
    let metadata = check_metadata(data)?;
    attempts::begin_sign_up(state, address).await?;
    if let Some(project) = &state.hosted {
        let wanted = email.clone();
        if state.storage.read(move |conn| accounts::find_by_email(conn, &wanted)).await?.is_some() {
            return Err(AuthRefusal::user_already_exists());
        }
        return hosted_sign_in::sign_up(state, project, &email, password, &metadata).await;
    }
    let password_hash = state.hashing.hash(password.to_owned()).await?;
    if state.settings.sign_in.signup == Signup::Approval {
        return wait_for_approval(state, email, password_hash, metadata).await;
    }
    let now = state.clock.now();
    let refresh = new_refresh_token();
    let token = first_token(state, &refresh);
    let is_simulated = metadata.get("simulated") == Some(&Value::Bool(true));
    let made = state
        .storage
        .transaction(move |tx| {
            let name = name_of(&metadata);
            let rater = NewRater { name: name.clone(), email: Some(email.clone()), is_simulated, is_calibrated: false };
            let rater = raters::insert(tx, &rater, now)?;
            let account = NewAccount {
                email: email.clone(),
                password_hash: Some(password_hash.clone()),
                role: Role::Rater.as_ref().to_owned(),
                tenant_id: None,
                rater_id: Some(rater.rater_id),
                display_name: name,
                user_metadata: Value::Object(metadata.clone()),
            };
            let account = accounts::insert(tx, &account, now)?;
            accounts::start_session(tx, &NewRefreshToken { account_id: account.account_id.clone(), ..token.clone() }, now)?;
            Ok((accounts::find(tx, &account.account_id)?, token.session_id.clone()))
        })
        .await?;
    build_session(state, &made.0, &made.1, refresh).map(|session| Made::Session(Box::new(session)))
}

/// Keeps an account that waits. Whoever asks learns nothing of whether the address had one: same work, same answer.
async fn wait_for_approval(state: &State, email: String, password_hash: String, metadata: Map<String, Value>) -> Result<Made, AuthRefusal> {
    let now = state.clock.now();
    let new = NewAccount {
        email: email.clone(),
        password_hash: Some(password_hash),
        role: Role::Rater.as_ref().to_owned(),
        tenant_id: None,
        rater_id: None,
        display_name: name_of(&metadata),
        user_metadata: Value::Object(metadata.clone()),
    };
    let stored = state.storage.transaction(move |tx| accounts::insert_waiting(tx, &new, now)).await;
    let account_id = match stored {
        Ok(account) => account.account_id,
        Err(StorageError::Conflict { code: "account_exists", .. }) => domain::id::new("acc"),
        Err(error) => return Err(error.into()),
    };
    Ok(Made::MustConfirm(Box::new(user_who_waits(account_id, email, metadata, now))))
}

/// Signs in with a password. `address` is where the request came from.
///
/// # Errors
/// The same refusal, after the same work, for an unknown e-mail address and a wrong password; 429 after too many failures.
pub async fn sign_in(state: &State, email: &str, password: &str, address: &str) -> Result<Session, AuthRefusal> {
    let email = email.trim().to_lowercase();
    attempts::begin(state, &email, address).await?;
    let wanted = email.clone();
    let account = state.storage.read(move |conn| accounts::find_by_email(conn, &wanted)).await?;
    // Accounts with a password of this installation sign in here, whatever becomes of the project.
    if let Some(project) = &state.hosted
        && !has_own_password(account.as_ref())
    {
        let session = hosted_sign_in::sign_in(state, project, &email, password).await;
        match &session {
            Ok(_) => {
                let (of, from, now) = (email.clone(), address.to_owned(), state.clock.now());
                state.storage.transaction(move |tx| attempts::succeeded(tx, &of, &from, now)).await?;
                attempts::may_try_again(state, &email, address);
            }
            Err(refusal) if refusal.error_code() == "invalid_credentials" => {}
            // Whatever it was, it was no guess.
            Err(_) => attempts::not_looked_at(state, &email, address).await?,
        }
        return session;
    }
    let hash = account.as_ref().filter(|account| account.is_active).and_then(|account| account.password_hash.clone());
    let is_right = match state.hashing.verify(password.to_owned(), hash).await {
        Ok(is_right) => is_right,
        Err(refusal) => {
            attempts::not_looked_at(state, &email, address).await?;
            return Err(refusal);
        }
    };
    let Some(seen) = account.filter(|_| is_right) else { return Err(wrong_password(state)) };
    let refresh = new_refresh_token();
    let token = NewRefreshToken { account_id: seen.account_id.clone(), ..first_token(state, &refresh) };
    let session_id = token.session_id.clone();
    let (of, from, clock, life) = (email.clone(), address.to_owned(), state.clock.clone(), refresh_life(state));
    let began = state
        .storage
        .transaction(move |tx| {
            // Reading and hashing took their time: meanwhile the password may have become another one, or the account been closed.
            if accounts::lock_unchanged(tx, &seen)?.is_none() {
                return Ok(None);
            }
            let now = clock.now();
            attempts::succeeded(tx, &of, &from, now)?;
            accounts::start_session(tx, &NewRefreshToken { expires_at: now + life, ..token.clone() }, now)?;
            accounts::find(tx, &seen.account_id).map(Some)
        })
        .await?;
    let Some(account) = began else { return Err(wrong_password(state)) };
    attempts::may_try_again(state, &email, address);
    build_session(state, &account, &session_id, refresh)
}

/// Whether somebody signs in here whatever becomes of a hosted project: an account with a password of this installation that is not linked.
#[must_use]
pub fn has_own_password(account: Option<&Account>) -> bool {
    account.is_some_and(|account| account.auth_user_id.is_none() && account.password_hash.is_some())
}

fn wrong_password(state: &State) -> AuthRefusal {
    match state.settings.sign_in.signup {
        Signup::Approval => AuthRefusal::invalid_credentials_or_waiting(),
        Signup::Open | Signup::Closed => AuthRefusal::invalid_credentials(),
    }
}

/// Exchanges a refresh token for a new session answer. A token whose successor was used ends its session. `address` is where the request came from;
/// tokens that do not work are counted for it, and good ones of this installation never refused for their neighbours.
///
/// # Errors
/// When the token is unknown, expired, revoked or replaced for longer than is let off; 429 after too many of those.
pub async fn refresh(state: &State, refresh_token: &str, address: &str) -> Result<Session, AuthRefusal> {
    let now = state.clock.now();
    let next = new_refresh_token();
    let (old_hash, next_hash) = (hash_key(refresh_token), hash_key(&next));
    let hash = old_hash.clone();
    if state.storage.read(move |conn| accounts::session_of_token(conn, &hash)).await?.is_none() {
        attempts::begin_refresh(state, address).await?;
        let Some(project) = &state.hosted else { return Err(AuthRefusal::refresh_token_not_found()) };
        let session = hosted_sign_in::refresh(state, project, refresh_token).await;
        if session.as_ref().err().is_none_or(|refusal| refusal.status().is_server_error()) {
            attempts::refreshed(state, address).await?;
        }
        return session;
    }
    let exchange = Exchange {
        presented_hash: old_hash,
        next_hash,
        expires_at: now + refresh_life(state),
        let_off: TimeDelta::from_std(state.settings.sign_in.refresh_reuse).unwrap_or_default(),
    };
    let rotation = state.storage.transaction(move |tx| accounts::rotate(tx, &exchange, now)).await?;
    match rotation {
        Rotation::Rotated { account, session_id } => build_session(state, &account, &session_id, next),
        Rotation::Reused => {
            state.after_commit();
            attempts::begin_refresh(state, address).await?;
            Err(AuthRefusal::refresh_token_already_used())
        }
        Rotation::Refused => {
            attempts::begin_refresh(state, address).await?;
            Err(AuthRefusal::refresh_token_not_found())
        }
    }
}

/// Checks a new password.
///
/// # Errors
/// `weak_password` with the rule.
pub fn check_password(password: &str) -> Result<(), AuthRefusal> {
    password::weakness(password).map_or(Ok(()), |weakness| Err(AuthRefusal::weak_password(weakness)))
}

/// Checks what a person says about themselves.
///
/// # Errors
/// `validation_failed` when it is too large or the name is not one.
pub fn check_metadata(data: Map<String, Value>) -> Result<Map<String, Value>, AuthRefusal> {
    if Value::Object(data.clone()).to_string().len() > MAX_METADATA_BYTES {
        return Err(AuthRefusal::validation_failed(format!("data: at most {MAX_METADATA_BYTES} bytes of JSON")));
    }
    let is_name = |value: &Value| {
        value
            .as_str()
            .is_some_and(|name| !name.trim().is_empty() && name.chars().count() <= MAX_NAME_CHARS && !name.contains(char::is_control))
    };
    if data.get("name").is_some_and(|name| !is_name(name)) {
        return Err(AuthRefusal::validation_failed(format!("data.name: 1 to {MAX_NAME_CHARS} printable characters")));
    }
    Ok(data)
}

/// The display name in the metadata.
#[must_use]
pub fn given_name(data: &Map<String, Value>) -> Option<String> {
    data.get("name").and_then(Value::as_str).map(|name| name.trim().to_owned())
}

/// The name that others see: the given one, or one that says nothing.
fn name_of(data: &Map<String, Value>) -> String {
    let number: String = domain::id::new("").chars().rev().take(4).collect();
    given_name(data).unwrap_or_else(|| format!("Rater {number}"))
}

/// Checks an address; gives it as it is stored.
///
/// # Errors
/// `validation_failed` for what is no address.
pub fn check_email(email: &str) -> Result<String, AuthRefusal> {
    let refusal = |_| AuthRefusal::validation_failed("email: Unable to validate email address: invalid format");
    domain::email::check(email).map_err(refusal)
}

fn build_session(state: &State, account: &Account, session_id: &str, refresh_token: String) -> Result<Session, AuthRefusal> {
    let corrupt =
        |_| Problem::from(StorageError::Corrupt(format!("account {} has the unknown role {:?}", account.account_id, account.role)));
    let role = Role::from_str(&account.role).map_err(corrupt)?;
    let subject = Subject {
        account_id: account.account_id.clone(),
        email: account.email.clone(),
        role,
        tenant_id: account.tenant_id.clone(),
        rater_id: account.rater_id.clone(),
        session_id: session_id.to_owned(),
        user_metadata: account.user_metadata.as_object().cloned().unwrap_or_default(),
    };
    let ttl = state.settings.sign_in.access_token_ttl;
    let (access_token, claims) = state.access.tokens().issue_access(&subject, ttl).map_err(Problem::internal)?;
    Ok(Session {
        access_token,
        token_type: "bearer",
        expires_in: ttl.as_secs(),
        expires_at: claims.exp,
        refresh_token,
        user: user_of(account),
    })
}

/// A token for a new session; the account is filled in by the caller.
fn first_token(state: &State, refresh_token: &str) -> NewRefreshToken {
    NewRefreshToken {
        token_hash: hash_key(refresh_token),
        session_id: uuid::Uuid::new_v4().to_string(),
        account_id: String::new(),
        expires_at: state.clock.now() + refresh_life(state),
    }
}

fn refresh_life(state: &State) -> TimeDelta {
    TimeDelta::from_std(state.settings.sign_in.refresh_token_ttl).unwrap_or(TimeDelta::days(30))
}

/// 256 random bits in hexadecimal.
fn new_refresh_token() -> String {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
