//! Sessions and their refresh tokens. Each token is exchanged for the next one; one that comes again after its time ends its session.
//!
//! The answer to an exchange may be lost on its way, and then the client has nothing but the token it sent. So a token goes on working while
//! none of those that it was exchanged for has been used: whoever has the lost one could have used it. Supabase Auth then answers with the
//! same next token; only hashes are kept here, so another one is made, and the first of them to be used ends the others. A token whose
//! successor was used is let off for a moment as well (two tabs at once, a request on the way), and then is what it looks like: somebody
//! else's copy.
//!
//! In the table: the unrevoked rows of a session are its last used token and what that was exchanged for; all earlier ones are revoked. A session
//! of a hosted project has no rows, but for one that ended here while the project could not be told: a revoked row under its own name.
//!
//! Whatever begins, renews or ends sessions locks their account first. The rows alone would not do: one that waits for them does not see those
//! that the other has written meanwhile.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;

use super::{Account, lock, lock_if_there};
use crate::access_ends::{self, AccessEnd};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::schema::{accounts as t, refresh_tokens as tokens};
use crate::types::Timestamp;
use crate::{insert_new, on};

/// Most tokens for which one was exchanged that may still be used; of more, the oldest is revoked.
const MOST_NEXT: usize = 10;

/// A refresh token to store; only its SHA-256 is kept.
#[derive(Debug, Clone)]
pub struct NewRefreshToken {
    /// SHA-256 of the token, hexadecimal.
    pub token_hash: String,
    /// The sign-in it belongs to.
    pub session_id: String,
    /// Whose it is.
    pub account_id: String,
    /// End of its life.
    pub expires_at: DateTime<Utc>,
}

/// What became of a refresh token that was presented.
#[derive(Debug, Clone, PartialEq)]
pub enum Rotation {
    /// It was good, and the new one is stored.
    Rotated {
        /// Whose session it is.
        account: Box<Account>,
        /// The session.
        session_id: String,
    },
    /// Others were used after it: its whole session has been revoked.
    Reused,
    /// It is unknown, expired or revoked, or its account may not sign in.
    Refused,
}

/// An exchange: which token is presented for which.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// SHA-256 of the token that is presented.
    pub presented_hash: String,
    /// SHA-256 of the one that it is exchanged for.
    pub next_hash: String,
    /// End of life of that.
    pub expires_at: DateTime<Utc>,
    /// How long a token is let off after others were used.
    pub let_off: TimeDelta,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = tokens)]
struct StoredToken {
    id: i64,
    session_id: String,
    account_id: String,
    expires_at: Timestamp,
    used_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

/// Sessions that began or were renewed so shortly before their account's end are told by name: their access tokens, which are made after the
/// refresh tokens were stored, may give the second of the end as the time of their issue, or a later one.
const LATELY: TimeDelta = TimeDelta::seconds(60);

/// Begins a session: notes the sign-in and stores its first refresh token. The account must be new or locked.
///
/// # Errors
/// As any query.
pub fn start_session(conn: &mut Connection, token: &NewRefreshToken, now: DateTime<Utc>) -> Result<(), StorageError> {
    let signed_in = t::last_sign_in_at.eq(Some(Timestamp(now)));
    on!(conn, c => diesel::update(t::table.filter(t::account_id.eq(&token.account_id))).set(signed_in).execute(c))?;
    store_token(conn, token, now)
}

/// Exchanges a refresh token for the next one. Call it in a transaction and commit whatever it answers: a re-used token
/// revokes its session, and that must be kept.
///
/// # Errors
/// As any query.
pub fn rotate(conn: &mut Connection, exchange: &Exchange, now: DateTime<Utc>) -> Result<Rotation, StorageError> {
    let presented = tokens::table.filter(tokens::token_hash.eq(&exchange.presented_hash));
    let owner = presented.select((tokens::session_id, tokens::account_id));
    let owner: Option<(String, String)> = on!(conn, c => owner.first(c).optional())?;
    let Some((session_id, account_id)) = owner else { return Ok(Rotation::Refused) };
    let Some(account) = lock_if_there(conn, &account_id)? else { return Ok(Rotation::Refused) };
    // Read behind the lock: another exchange, or an end, may have come first.
    let unrevoked = tokens::table.filter(tokens::session_id.eq(&session_id).and(tokens::revoked_at.is_null())).order(tokens::id);
    let open: Vec<StoredToken> = on!(conn, c => unrevoked.select(StoredToken::as_select()).load(c))?;
    let found: Option<StoredToken> = on!(conn, c => presented.select(StoredToken::as_select()).first(c).optional())?;
    let Some(presented) = found.filter(|token| token.expires_at.0 > now) else { return Ok(Rotation::Refused) };
    if open.is_empty() {
        return Ok(Rotation::Refused);
    }
    let last_used = open.iter().filter(|token| token.used_at.is_some()).map(|token| token.id).max();
    let followed_at = presented.revoked_at.or(presented.used_at.filter(|_| last_used != Some(presented.id)));
    if followed_at.is_some_and(|at| now - at.0 >= exchange.let_off) {
        revoke_session(conn, &session_id, now)?;
        return Ok(Rotation::Reused);
    }
    if !account.is_active {
        return Ok(Rotation::Refused);
    }
    if presented.used_at.is_none() && followed_at.is_none() {
        let others =
            tokens::table.filter(tokens::session_id.eq(&session_id).and(tokens::revoked_at.is_null())).filter(tokens::id.ne(presented.id));
        on!(conn, c => diesel::update(others).set(tokens::revoked_at.eq(Some(Timestamp(now)))).execute(c))?;
        on!(conn, c => diesel::update(tokens::table.find(presented.id)).set(tokens::used_at.eq(Some(Timestamp(now)))).execute(c))?;
    } else if let Some(oldest) = oldest_of_too_many(&open) {
        on!(conn, c => diesel::update(tokens::table.find(oldest)).set(tokens::revoked_at.eq(Some(Timestamp(now)))).execute(c))?;
    }
    let next = NewRefreshToken {
        token_hash: exchange.next_hash.clone(),
        session_id: presented.session_id.clone(),
        account_id: presented.account_id,
        expires_at: exchange.expires_at,
    };
    store_token(conn, &next, now)?;
    Ok(Rotation::Rotated { account: Box::new(account), session_id: presented.session_id })
}

/// The oldest of the tokens that wait to be used, when one more would be too many.
fn oldest_of_too_many(open: &[StoredToken]) -> Option<i64> {
    let waiting = || open.iter().filter(|token| token.used_at.is_none()).map(|token| token.id);
    if waiting().count() >= MOST_NEXT { waiting().min() } else { None }
}

/// Ends one session: none of its refresh tokens works any more, and its sockets are closed. How many tokens that were.
///
/// # Errors
/// As any query.
pub fn revoke_session(conn: &mut Connection, session_id: &str, now: DateTime<Utc>) -> Result<usize, StorageError> {
    let of_session = tokens::table.filter(tokens::session_id.eq(session_id));
    let account_id: Option<String> = on!(conn, c => of_session.select(tokens::account_id).first(c).optional())?;
    // One that a hosted project began has nothing here that could be renewed meanwhile.
    account_id.map_or(Ok(None), |account_id| lock_if_there(conn, &account_id))?;
    let open = of_session.filter(tokens::revoked_at.is_null());
    let ended = on!(conn, c => diesel::update(open).set(tokens::revoked_at.eq(Some(Timestamp(now)))).execute(c))?;
    access_ends::tell(conn, &AccessEnd::Session { session_id: session_id.to_owned() }, now)?;
    Ok(ended)
}

/// Ends all sessions of an account, but for `except`, and closes their sockets. How many tokens that were.
///
/// # Errors
/// As any query; an account that has no row has nothing but sockets to close.
pub fn revoke_all_sessions(
    conn: &mut Connection,
    account_id: &str,
    except: Option<&str>,
    now: DateTime<Utc>,
) -> Result<usize, StorageError> {
    let spared = except.unwrap_or("");
    lock_if_there(conn, account_id)?;
    let open =
        tokens::table.filter(tokens::account_id.eq(account_id).and(tokens::revoked_at.is_null())).filter(tokens::session_id.ne(spared));
    let lately = tokens::created_at.ge(Timestamp(now - LATELY));
    let latest: Vec<String> = on!(conn, c => open.filter(lately).select(tokens::session_id).load(c))?;
    let ended = on!(conn, c => diesel::update(open).set(tokens::revoked_at.eq(Some(Timestamp(now)))).execute(c))?;
    let latest = BTreeSet::from_iter(latest);
    let end = AccessEnd::Account { account_id: account_id.to_owned(), spared: except.map(str::to_owned), latest };
    access_ends::tell(conn, &end, now)?;
    Ok(ended)
}

/// The session of a refresh token, whatever its state.
///
/// # Errors
/// As any query.
pub fn session_of_token(conn: &mut Connection, token_hash: &str) -> Result<Option<String>, StorageError> {
    Ok(on!(conn, c => tokens::table.filter(tokens::token_hash.eq(token_hash)).select(tokens::session_id).first(c).optional())?)
}

/// Locks an account for something that one of its sessions asks for.
///
/// # Errors
/// [`StorageError::NotFound`] when the session (`session`) has ended, or is another account's, or there is no such account (`account`).
pub fn lock_with_session(conn: &mut Connection, account_id: &str, session_id: &str, now: DateTime<Utc>) -> Result<Account, StorageError> {
    let account = lock(conn, account_id)?;
    if account.is_active && has_open_session(conn, account_id, session_id, now)? {
        Ok(account)
    } else {
        Err(StorageError::not_found("session", session_id))
    }
}

/// Whether this session of an account goes on: one of its refresh tokens may be exchanged still.
///
/// # Errors
/// As any query.
pub fn has_open_session(conn: &mut Connection, account_id: &str, session_id: &str, now: DateTime<Utc>) -> Result<bool, StorageError> {
    let open = tokens::table.filter(tokens::session_id.eq(session_id).and(tokens::account_id.eq(account_id)));
    let open = open.filter(tokens::revoked_at.is_null().and(tokens::expires_at.gt(Timestamp(now))));
    let found: Option<i64> = on!(conn, c => open.select(tokens::id).first(c).optional())?;
    Ok(found.is_some())
}

/// Keeps until `until` that a session of a hosted project has ended here: its refresh token is the project's, which may not know. Nothing is kept for
/// whoever has no account here.
///
/// # Errors
/// As any query.
pub fn keep_end(
    conn: &mut Connection,
    account_id: &str,
    session_id: &str,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    if lock_if_there(conn, account_id)?.is_none() {
        return Ok(());
    }
    let row = (
        // No hash of a token is one: they are as long as 64 signs.
        tokens::token_hash.eq(session_id),
        tokens::session_id.eq(session_id),
        tokens::account_id.eq(account_id),
        tokens::expires_at.eq(Timestamp(until)),
        tokens::revoked_at.eq(Some(Timestamp(now))),
        tokens::created_at.eq(Timestamp(now)),
    );
    insert_new!(conn, tokens::table, &row)?;
    Ok(())
}

/// Whether [`keep_end`] has kept the end of this session.
///
/// # Errors
/// As any query.
pub fn has_kept_end(conn: &mut Connection, session_id: &str) -> Result<bool, StorageError> {
    let kept = tokens::table.filter(tokens::token_hash.eq(session_id).and(tokens::session_id.eq(session_id)));
    let found: Option<i64> = on!(conn, c => kept.select(tokens::id).first(c).optional())?;
    Ok(found.is_some())
}

/// Deletes refresh tokens that ended before `before`; how many.
///
/// # Errors
/// As any query.
pub fn sweep_tokens(conn: &mut Connection, before: DateTime<Utc>) -> Result<usize, StorageError> {
    Ok(on!(conn, c => diesel::delete(tokens::table.filter(tokens::expires_at.lt(Timestamp(before)))).execute(c))?)
}

fn store_token(conn: &mut Connection, token: &NewRefreshToken, now: DateTime<Utc>) -> Result<(), StorageError> {
    let row = (
        tokens::token_hash.eq(&token.token_hash),
        tokens::session_id.eq(&token.session_id),
        tokens::account_id.eq(&token.account_id),
        tokens::expires_at.eq(Timestamp(token.expires_at)),
        tokens::created_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::insert_into(tokens::table).values(row).execute(c))?;
    Ok(())
}
