//! Accounts that sign in with a password, what they may do, and their sessions.

mod duties;
mod sessions;
mod waiting;

pub use duties::{Duties, give_rater, list, set_duties};
pub use sessions::{
    Exchange, NewRefreshToken, Rotation, has_kept_end, has_open_session, keep_end, lock_with_session, revoke_all_sessions, revoke_session,
    rotate, session_of_token, start_session, sweep_tokens,
};
pub use waiting::{confirm, find_waiting, insert_waiting, list_waiting, refuse, sweep_waiting};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde_json::Value;

use crate::access_ends::{self, AccessEnd};
use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::schema::accounts as t;
use crate::types::{Json, Timestamp};
use crate::{lock, on};

/// A stored account.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = t)]
pub struct Account {
    /// Primary key.
    pub id: i64,
    /// Public id.
    pub account_id: String,
    /// E-mail address in lower case.
    pub email: String,
    /// argon2id hash; accounts without one cannot sign in with a password.
    pub password_hash: Option<String>,
    /// Role.
    pub role: String,
    /// Tenant, when the account belongs to one.
    pub tenant_id: Option<String>,
    /// Rater profile, when there is one.
    pub rater_id: Option<String>,
    /// Name that others see.
    pub display_name: String,
    /// What the person said.
    pub user_metadata: Json,
    /// Whether it may sign in.
    pub is_active: bool,
    /// Last sign-in with the password.
    pub last_sign_in_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// User of the hosted project with whom it is linked.
    pub auth_user_id: Option<String>,
}

impl Account {
    /// Whether whoever signed up said that a program stands behind it.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.user_metadata.0.get("simulated") == Some(&Value::Bool(true))
    }
}

/// An account to store.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// E-mail address; stored in lower case.
    pub email: String,
    /// argon2id hash.
    pub password_hash: Option<String>,
    /// Role word.
    pub role: String,
    /// Tenant.
    pub tenant_id: Option<String>,
    /// Rater profile, which must exist.
    pub rater_id: Option<String>,
    /// Name that others see.
    pub display_name: String,
    /// What the person said.
    pub user_metadata: Value,
}

/// Changes to an account; `None` leaves a part as it is.
#[derive(Debug, Clone, Default)]
pub struct AccountPatch {
    /// New argon2id hash.
    pub password_hash: Option<String>,
    /// New name.
    pub display_name: Option<String>,
    /// New metadata, whole.
    pub user_metadata: Option<Value>,
}

/// Stores an account.
///
/// # Errors
/// [`StorageError::Conflict`] (`account_exists`) when the e-mail address is taken.
pub fn insert(conn: &mut Connection, new: &NewAccount, now: DateTime<Utc>) -> Result<Account, StorageError> {
    insert_as(conn, new, Standing::Active, now)
}

/// Whether a new account may sign in at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Active,
    Waiting,
}

fn insert_as(conn: &mut Connection, new: &NewAccount, standing: Standing, now: DateTime<Utc>) -> Result<Account, StorageError> {
    let account_id = domain::id::new("acc");
    let row = (
        t::account_id.eq(&account_id),
        t::email.eq(new.email.to_lowercase()),
        t::password_hash.eq(new.password_hash.as_deref()),
        t::role.eq(&new.role),
        t::tenant_id.eq(new.tenant_id.as_deref()),
        t::rater_id.eq(new.rater_id.as_deref()),
        t::display_name.eq(&new.display_name),
        t::user_metadata.eq(Json(new.user_metadata.clone())),
        t::is_active.eq(standing == Standing::Active),
        t::created_at.eq(Timestamp(now)),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))
        .on_unique("account_exists", || "an account with this e-mail address exists; sign in instead".to_owned())?;
    find(conn, &account_id)
}

/// One account.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find(conn: &mut Connection, account_id: &str) -> Result<Account, StorageError> {
    let found: Option<Account> =
        on!(conn, c => t::table.filter(t::account_id.eq(account_id)).select(Account::as_select()).first(c).optional())?;
    found.ok_or_else(|| StorageError::not_found("account", account_id))
}

/// One account, locked until the transaction ends: whatever begins, renews or ends its sessions locks it first, so that what is decided about them
/// holds when it is written.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn lock(conn: &mut Connection, account_id: &str) -> Result<Account, StorageError> {
    let found: Vec<Account> = lock!(conn, t::table.filter(t::account_id.eq(account_id)).select(Account::as_select()) => Account)?;
    found.into_iter().next().ok_or_else(|| StorageError::not_found("account", account_id))
}

/// [`lock`], where there need not be one.
fn lock_if_there(conn: &mut Connection, account_id: &str) -> Result<Option<Account>, StorageError> {
    match lock(conn, account_id) {
        Err(StorageError::NotFound { .. }) => Ok(None),
        found => found.map(Some),
    }
}

/// Locks an account whose password was looked at a while ago; `None` when it may not sign in any more, or has another password, role or tenant since.
///
/// # Errors
/// As any query.
pub fn lock_unchanged(conn: &mut Connection, seen: &Account) -> Result<Option<Account>, StorageError> {
    let is_same = |now: &Account| {
        now.is_active && now.password_hash == seen.password_hash && now.role == seen.role && now.tenant_id == seen.tenant_id
    };
    Ok(lock_if_there(conn, &seen.account_id)?.filter(is_same))
}

/// Names that others see of those of `account_ids` that exist, by account id.
///
/// # Errors
/// As any query.
pub fn display_names(conn: &mut Connection, account_ids: &[&str]) -> Result<std::collections::HashMap<String, String>, StorageError> {
    let rows: Vec<(String, String)> =
        on!(conn, c => t::table.filter(t::account_id.eq_any(account_ids)).select((t::account_id, t::display_name)).load(c))?;
    Ok(rows.into_iter().collect())
}

/// Accounts of those of `rater_ids` that have one, by rater id; the oldest of several.
///
/// # Errors
/// As any query.
pub fn of_raters(conn: &mut Connection, rater_ids: &[String]) -> Result<std::collections::HashMap<String, String>, StorageError> {
    let rows: Vec<(Option<String>, String)> = on!(conn, c => t::table
        .filter(t::rater_id.eq_any(rater_ids))
        .order(t::id.desc())
        .select((t::rater_id, t::account_id))
        .load(c))?;
    Ok(rows.into_iter().filter_map(|(rater, account)| Some((rater?, account))).collect())
}

/// The account that is linked with this user of the hosted project.
///
/// # Errors
/// As any query.
pub fn find_by_auth_user(conn: &mut Connection, user_id: &str) -> Result<Option<Account>, StorageError> {
    Ok(on!(conn, c => t::table.filter(t::auth_user_id.eq(user_id)).select(Account::as_select()).first(c).optional())?)
}

/// Links an account with a user of the hosted project, if it is linked with nobody else.
///
/// # Errors
/// [`StorageError::Conflict`] (`account_exists`) when it, or the user, is linked otherwise.
pub fn link_auth_user(conn: &mut Connection, account_id: &str, user_id: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let free = t::table.filter(t::account_id.eq(account_id)).filter(t::auth_user_id.is_null().or(t::auth_user_id.eq(user_id)));
    let changes = (t::auth_user_id.eq(Some(user_id)), t::updated_at.eq(Timestamp(now)));
    let why = || "the account or the user is linked otherwise".to_owned();
    let linked = on!(conn, c => diesel::update(free).set(changes).execute(c)).on_unique("account_exists", why)?;
    if linked == 1 { Ok(()) } else { Err(StorageError::conflict("account_exists", why())) }
}

/// What a hosted project says of an account that is linked with one of its users, at a sign-in there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedAccount {
    /// E-mail address.
    pub email: String,
    /// Role word.
    pub role: String,
    /// Tenant.
    pub tenant_id: Option<String>,
    /// Rater profile, which must exist.
    pub rater_id: Option<String>,
}

/// Takes over what the project says, and notes the sign-in. Where that gives another role or tenant, what was given before `issued` has ended: the
/// time of the project's own token that says it.
///
/// # Errors
/// [`StorageError::Conflict`] (`account_exists`) when the e-mail address is another account's.
pub fn note_hosted_sign_in(
    conn: &mut Connection,
    account_id: &str,
    said: &HostedAccount,
    issued: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Account, StorageError> {
    let before = find(conn, account_id)?;
    if before.role != said.role || before.tenant_id != said.tenant_id {
        let end = AccessEnd::Account { account_id: account_id.to_owned(), spared: None, latest: Default::default() };
        access_ends::tell(conn, &end, issued)?;
    }
    let changes = (
        t::email.eq(said.email.to_lowercase()),
        t::role.eq(&said.role),
        t::tenant_id.eq(said.tenant_id.as_deref()),
        t::rater_id.eq(said.rater_id.as_deref()),
        t::last_sign_in_at.eq(Some(Timestamp(now))),
    );
    on!(conn, c => diesel::update(t::table.filter(t::account_id.eq(account_id))).set(changes).execute(c))
        .on_unique("account_exists", || "another account has this e-mail address".to_owned())?;
    find(conn, account_id)
}

/// Accounts that are not linked yet, those after `after` (0 for the first) in the order in which they were made.
///
/// # Errors
/// As any query.
pub fn unlinked(conn: &mut Connection, after: i64, limit: i64) -> Result<Vec<Account>, StorageError> {
    let open = t::table.filter(t::auth_user_id.is_null().and(t::is_active.eq(true)).and(t::id.gt(after)));
    Ok(on!(conn, c => open.select(Account::as_select()).order(t::id).limit(limit).load(c))?)
}

/// The account with this e-mail address, in any case.
///
/// # Errors
/// As any query.
pub fn find_by_email(conn: &mut Connection, email: &str) -> Result<Option<Account>, StorageError> {
    let email = email.to_lowercase();
    Ok(on!(conn, c => t::table.filter(t::email.eq(&email)).select(Account::as_select()).first(c).optional())?)
}

/// Changes an account. Call it in a transaction.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn update(conn: &mut Connection, account_id: &str, patch: &AccountPatch, now: DateTime<Utc>) -> Result<Account, StorageError> {
    // Locked: else a new name would write back the password that another transaction has just replaced.
    let before = lock(conn, account_id)?;
    let changes = (
        t::password_hash.eq(patch.password_hash.clone().or(before.password_hash)),
        t::display_name.eq(patch.display_name.clone().unwrap_or(before.display_name)),
        t::user_metadata.eq(patch.user_metadata.clone().map_or(before.user_metadata, Json)),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::update(t::table.find(before.id)).set(changes).execute(c))?;
    find(conn, account_id)
}
