//! Accounts that strangers made and that wait for an administrator. They are raters who may not sign in and have no rater profile yet, which
//! nobody else is: whoever was shut out keeps the profile.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::{Account, NewAccount, Standing, find, insert_as};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::matching::{contains, lower};
use crate::on;
use crate::page::{Page, Slice};
use crate::raters::{self, NewRater};
use crate::schema::accounts as t;
use crate::types::Timestamp;

/// The condition of the file's head.
macro_rules! waits {
    () => {
        t::is_active.eq(false).and(t::role.eq("rater")).and(t::rater_id.is_null()).and(t::last_sign_in_at.is_null())
    };
}

impl Account {
    /// Whether it waits.
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.is_active && self.role == "rater" && self.rater_id.is_none() && self.last_sign_in_at.is_none()
    }
}

/// Stores an account that may sign in once it is confirmed.
///
/// # Errors
/// [`StorageError::Conflict`] (`account_exists`) when the e-mail address is taken.
pub fn insert_waiting(conn: &mut Connection, new: &NewAccount, now: DateTime<Utc>) -> Result<Account, StorageError> {
    insert_as(conn, new, Standing::Waiting, now)
}

/// Those that wait and whose e-mail address holds `text`, oldest first.
///
/// # Errors
/// As any query.
pub fn list_waiting(conn: &mut Connection, text: &str, page: &Page) -> Result<Slice<Account>, StorageError> {
    let after = page.after.unwrap_or(0);
    let rows: Vec<Account> = on!(conn, c => t::table
        .filter(waits!().and(t::id.gt(after)).and(lower(t::email).like(contains(text)).escape('!')))
        .order(t::id)
        .limit(page.fetch())
        .select(Account::as_select())
        .load(c))?;
    Ok(Slice::cut(rows, page, |account| account.id))
}

/// One that waits.
///
/// # Errors
/// [`StorageError::NotFound`], also for an account that does not wait.
pub fn find_waiting(conn: &mut Connection, account_id: &str) -> Result<Account, StorageError> {
    let query = t::table.filter(t::account_id.eq(account_id).and(waits!()));
    let found: Option<Account> = on!(conn, c => query.select(Account::as_select()).first(c).optional())?;
    found.ok_or_else(|| StorageError::not_found("waiting account", account_id))
}

/// Lets one that waits sign in, with a new rater profile. Call it in a transaction.
///
/// # Errors
/// [`StorageError::NotFound`], also for an account that does not wait, or that somebody else has confirmed in this moment.
pub fn confirm(conn: &mut Connection, account_id: &str, now: DateTime<Utc>) -> Result<Account, StorageError> {
    let account = find_waiting(conn, account_id)?;
    let (name, email) = (account.display_name.clone(), Some(account.email.clone()));
    let rater = NewRater { name, email, is_simulated: account.is_simulated(), is_calibrated: false };
    let rater = raters::insert(conn, &rater, now)?;
    let changes = (t::is_active.eq(true), t::rater_id.eq(Some(&rater.rater_id)), t::updated_at.eq(Timestamp(now)));
    match on!(conn, c => diesel::update(t::table.filter(t::id.eq(account.id).and(waits!()))).set(changes).execute(c))? {
        0 => Err(StorageError::not_found("waiting account", account_id)),
        _ => find(conn, account_id),
    }
}

/// Deletes one that waits.
///
/// # Errors
/// [`StorageError::NotFound`], also for an account that does not wait.
pub fn refuse(conn: &mut Connection, account_id: &str) -> Result<(), StorageError> {
    match on!(conn, c => diesel::delete(t::table.filter(t::account_id.eq(account_id).and(waits!()))).execute(c))? {
        0 => Err(StorageError::not_found("waiting account", account_id)),
        _ => Ok(()),
    }
}

/// Deletes those that have waited since before `before`; how many.
///
/// # Errors
/// As any query.
pub fn sweep_waiting(conn: &mut Connection, before: DateTime<Utc>) -> Result<usize, StorageError> {
    Ok(on!(conn, c => diesel::delete(t::table.filter(t::created_at.lt(Timestamp(before)).and(waits!()))).execute(c))?)
}
