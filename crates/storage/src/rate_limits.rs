//! Token buckets in the database, so that a limit holds over all replicas together.
//!
//! A process draws tokens in small batches and spends them without asking again (the limiter in `web` does). A draw is one short
//! transaction that locks the bucket's row, fills it for the time that has passed, and takes no more than is there: whatever the number of
//! processes, what was granted until now is at most the capacity and the refill since the bucket was made.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;

use crate::connection::Connection;
use crate::error::StorageError;
use crate::prepared::change;
use crate::schema::rate_limit_buckets as t;
use crate::types::Timestamp;
use crate::{insert_new, lock, on};

/// How much a bucket holds, and how fast it fills.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Tokens at most.
    pub capacity: f64,
    /// Tokens that come back in a second.
    pub per_second: f64,
}

/// What a draw gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawn {
    /// Whole tokens granted; 0 when the bucket is empty.
    pub granted: u32,
    /// Tokens left for everybody.
    pub left: f64,
}

/// Takes up to `wanted` tokens; call it in a transaction of its own. `returned` are tokens of an earlier draw that were not spent.
///
/// The clocks of processes differ. The time of the last refill only moves forward, so a clock that is behind brings nothing, and what one
/// that is ahead brings too early is not brought again.
///
/// # Errors
/// As any query.
pub fn draw(
    conn: &mut Connection,
    bucket: &str,
    rule: Rule,
    wanted: u32,
    returned: u32,
    now: DateTime<Utc>,
) -> Result<Drawn, StorageError> {
    let mut row = locked(conn, bucket)?;
    if row.is_none() {
        // Made as it is after this draw, so that whoever comes for the first time costs two statements and not four.
        let granted = rule.capacity.floor().clamp(0.0, f64::from(wanted));
        let left = rule.capacity - granted;
        let fresh = (
            t::bucket.eq(bucket),
            t::tokens.eq(left),
            t::refilled_at.eq(Timestamp(now)),
            t::created_at.eq(Timestamp(now)),
            t::updated_at.eq(Timestamp(now)),
        );
        if insert_new!(conn, t::table, &fresh)? > 0 {
            // In range: it is between 0 and `wanted`.
            return Ok(Drawn { granted: granted as u32, left });
        }
        row = locked(conn, bucket)?;
    }
    let (id, tokens, refilled_at) =
        row.ok_or_else(|| StorageError::Corrupt(format!("the bucket {bucket} is not there after it was made")))?;
    let passed = (now - refilled_at.0).max(TimeDelta::zero());
    let seconds = passed.num_microseconds().unwrap_or(i64::MAX) as f64 / 1e6;
    let full = (tokens + f64::from(returned) + seconds * rule.per_second).min(rule.capacity);
    let granted = full.floor().clamp(0.0, f64::from(wanted));
    let left = full - granted;
    let changes = (t::tokens.eq(left), t::refilled_at.eq(Timestamp(now.max(refilled_at.0))), t::updated_at.eq(Timestamp(now)));
    on!(conn, c => change(t::table, t::id.eq(id), changes).execute(c))?;
    // In range: it is between 0 and `wanted`.
    Ok(Drawn { granted: granted as u32, left })
}

fn locked(conn: &mut Connection, bucket: &str) -> Result<Option<(i64, f64, Timestamp)>, StorageError> {
    let query = t::table.filter(t::bucket.eq(bucket)).select((t::id, t::tokens, t::refilled_at));
    let rows: Vec<(i64, f64, Timestamp)> = lock!(conn, query => (i64, f64, Timestamp))?;
    Ok(rows.into_iter().next())
}

/// A bucket that had no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Empty {
    /// Which; of several the one that takes longest.
    pub bucket: String,
    /// Seconds until it has one.
    pub seconds: u64,
}

/// Takes one token of each of these buckets, or none of any. Call it in a transaction of its own.
///
/// # Errors
/// As any query.
pub fn take_one_of_each(conn: &mut Connection, buckets: &[(String, Rule)], now: DateTime<Utc>) -> Result<Result<(), Empty>, StorageError> {
    // In one order, whoever takes: nobody waits in a circle for another's rows.
    let mut buckets: Vec<&(String, Rule)> = buckets.iter().collect();
    buckets.sort_by(|one, other| one.0.cmp(&other.0));
    let (mut taken, mut empty) = (Vec::new(), None::<Empty>);
    for (bucket, rule) in buckets {
        let drawn = draw(conn, bucket, *rule, 1, 0, now)?;
        if drawn.granted > 0 {
            taken.push((bucket, *rule));
        } else {
            let found = Empty { bucket: bucket.clone(), seconds: seconds_until_one(drawn.left, *rule) };
            empty = empty.into_iter().chain([found]).max_by_key(|one| one.seconds);
        }
    }
    let Some(empty) = empty else { return Ok(Ok(())) };
    for (bucket, rule) in taken {
        give_back(conn, bucket, rule, 1, now)?;
    }
    Ok(Err(empty))
}

/// Puts tokens back, as far as they fit.
///
/// # Errors
/// As any query.
pub fn give_back(conn: &mut Connection, bucket: &str, rule: Rule, tokens: u32, now: DateTime<Utc>) -> Result<(), StorageError> {
    draw(conn, bucket, rule, 0, tokens, now).map(drop)
}

/// Whole seconds until a bucket that holds so much has one token; at least one.
fn seconds_until_one(left: f64, rule: Rule) -> u64 {
    let seconds = ((1.0 - left) / rule.per_second).ceil();
    // In range: a rule that brings a token brings it within a day.
    seconds.clamp(1.0, 86_400.0) as u64
}

/// Deletes buckets that nobody drew from since `before`: they would be full again. How many.
///
/// # Errors
/// As any query.
pub fn sweep(conn: &mut Connection, before: DateTime<Utc>) -> Result<usize, StorageError> {
    Ok(on!(conn, c => diesel::delete(t::table.filter(t::refilled_at.lt(Timestamp(before)))).execute(c))?)
}
