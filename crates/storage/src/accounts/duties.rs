//! What accounts may do, as whoever runs the system sees and changes it.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::Account;
use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::page::{Page, Slice};
use crate::schema::accounts as t;
use crate::types::Timestamp;

/// What an account may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duties {
    /// Role word.
    pub role: String,
    /// Tenant.
    pub tenant_id: Option<String>,
    /// Whether it may sign in.
    pub is_active: bool,
}

/// Accounts, oldest first: for whoever runs the system.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, page: &Page) -> Result<Slice<Account>, StorageError> {
    let after = page.after.unwrap_or(0);
    let rows: Vec<Account> = on!(conn, c => t::table
        .filter(t::id.gt(after))
        .order(t::id)
        .limit(page.fetch())
        .select(Account::as_select())
        .load(c))?;
    Ok(Slice::cut(rows, page, |account| account.id))
}

/// Changes what an account may do. Its access tokens say the old role until they run out.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn set_duties(conn: &mut Connection, account_id: &str, duties: &Duties, now: DateTime<Utc>) -> Result<(), StorageError> {
    let changes = (
        t::role.eq(&duties.role),
        t::tenant_id.eq(duties.tenant_id.as_deref()),
        t::is_active.eq(duties.is_active),
        t::updated_at.eq(Timestamp(now)),
    );
    match on!(conn, c => diesel::update(t::table.filter(t::account_id.eq(account_id))).set(changes).execute(c))? {
        0 => Err(StorageError::not_found("account", account_id)),
        _ => Ok(()),
    }
}

/// Gives an account its rater profile.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn give_rater(conn: &mut Connection, account_id: &str, rater_id: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let changes = (t::rater_id.eq(Some(rater_id)), t::updated_at.eq(Timestamp(now)));
    match on!(conn, c => diesel::update(t::table.filter(t::account_id.eq(account_id))).set(changes).execute(c))? {
        0 => Err(StorageError::not_found("account", account_id)),
        _ => Ok(()),
    }
}
