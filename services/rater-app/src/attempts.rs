//! Sign-ins, refreshes, sign-ups and mails for new passwords are counted, in the database, so that all processes count together: passwords cannot be
//! guessed by trying, made-up refresh tokens use up no limit of a hosted project, accounts cannot be made without end, and nobody's mailbox is filled.
//! The names of buckets are hashes: no address of anybody stands in the table.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::rate_limits::{self, Rule};
use web::access::hash_key;

use crate::auth_refusal::AuthRefusal;
use crate::state::State;

/// Failures of an e-mail address at once, and in a minute.
const PER_EMAIL: u32 = 5;

/// Failures from a network address at once, and in a minute: more, because offices share one.
const PER_ADDRESS: u32 = 30;

/// Mails for a new password to an e-mail address at once, and in an hour.
const MAILS_PER_EMAIL: u32 = 3;

/// Mails for new passwords asked for from a network address at once, and in an hour.
const MAILS_PER_ADDRESS: u32 = 30;

/// Most empty buckets remembered here.
const CAPACITY: usize = 10_000;

/// How long such a bucket is believed to be empty without asking: a success at another process may have filled it.
const BELIEVED: TimeDelta = TimeDelta::seconds(2);

/// Buckets that were found empty: whoever goes on trying is refused, and the database asked once in a while only.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<Notes>);

#[derive(Debug, Default)]
struct Notes {
    empty: HashMap<String, Note>,
    /// How often something was put back here: a bucket that was read before may hold something since.
    given_back: u64,
}

#[derive(Debug, Clone, Copy)]
struct Note {
    /// When the bucket holds something by itself.
    full_at: DateTime<Utc>,
    believed_until: DateTime<Utc>,
}

impl Attempts {
    fn wait_for(&self, buckets: &[(String, Rule)], now: DateTime<Utc>) -> Option<u64> {
        let notes = self.lock();
        let believed = buckets.iter().filter_map(|(bucket, _)| notes.empty.get(bucket)).filter(|note| note.believed_until > now);
        let left = believed.map(|note| (note.full_at - now).num_milliseconds()).filter(|left| *left > 0).max();
        left.map(|left| left.unsigned_abs().div_ceil(1_000))
    }

    fn given_back(&self) -> u64 {
        self.lock().given_back
    }

    /// Notes what was found when so much had been put back.
    fn note(&self, bucket: String, full_at: DateTime<Utc>, now: DateTime<Utc>, given_back: u64) {
        let mut notes = self.lock();
        if notes.given_back != given_back {
            return;
        }
        if notes.empty.len() >= CAPACITY {
            notes.empty.retain(|_, note| note.believed_until > now);
        }
        // Where there is no room the database goes on saying it.
        if notes.empty.len() < CAPACITY {
            notes.empty.insert(bucket, Note { full_at, believed_until: full_at.min(now + BELIEVED) });
        }
    }

    fn forget(&self, buckets: &[&str]) {
        let mut notes = self.lock();
        notes.given_back = notes.given_back.wrapping_add(1);
        for bucket in buckets {
            notes.empty.remove(*bucket);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a sign-in before its password is looked at, so that many at once are not all let through; [`succeeded`] and [`not_looked_at`] take it back.
///
/// # Errors
/// 429 when this e-mail address or network address has had its tries; nothing is counted then.
pub async fn begin(state: &State, email: &str, address: &str) -> Result<(), AuthRefusal> {
    let buckets = vec![of_email(email), of_address(address)];
    let taken = take(state, buckets).await?;
    taken.map_err(|seconds| {
        tracing::warn!(address, seconds, "sign-ins are refused after too many failures");
        AuthRefusal::rate_limited(seconds)
    })
}

/// After a success: forgets the failures of the e-mail address, and takes this try back from the network address. Call it in a transaction, and
/// [`may_try_again`] after that.
///
/// # Errors
/// As any query.
pub fn succeeded(conn: &mut Connection, email: &str, address: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let ((email, email_rule), (address, address_rule)) = (of_email(email), of_address(address));
    // In the order in which they are taken.
    rate_limits::give_back(conn, &address, address_rule, 1, now)?;
    rate_limits::give_back(conn, &email, email_rule, PER_EMAIL, now)
}

/// After the commit of what gave tries back: this process believes no longer that there are none.
pub fn may_try_again(state: &State, email: &str, address: &str) {
    state.attempts.forget(&[&of_email(email).0, &of_address(address).0]);
}

/// Takes a try back whose password was not looked at.
///
/// # Errors
/// As any query.
pub async fn not_looked_at(state: &State, email: &str, address: &str) -> Result<(), StorageError> {
    let (buckets, now) = ([of_address(address), of_email(email)], state.clock.now());
    let give_back =
        move |tx: &mut Connection| buckets.iter().try_for_each(|(bucket, rule)| rate_limits::give_back(tx, bucket, *rule, 1, now));
    state.storage.transaction(give_back).await?;
    may_try_again(state, email, address);
    Ok(())
}

/// Counts a refresh that has failed, or one that goes on to a hosted project, before it does; [`refreshed`] takes that back.
///
/// # Errors
/// 429 when this network address has had its tries.
pub async fn begin_refresh(state: &State, address: &str) -> Result<(), AuthRefusal> {
    let taken = take(state, vec![of_refresh(address)]).await?;
    taken.map_err(|seconds| {
        tracing::warn!(address, seconds, "refreshes are refused after too many failures");
        AuthRefusal::too_many_refreshes(seconds)
    })
}

/// Takes a refresh back that went well, or that the project did not look at.
///
/// # Errors
/// As any query.
pub async fn refreshed(state: &State, address: &str) -> Result<(), StorageError> {
    let ((bucket, rule), now) = (of_refresh(address), state.clock.now());
    let counted = bucket.clone();
    state.storage.transaction(move |tx| rate_limits::give_back(tx, &counted, rule, 1, now)).await?;
    state.attempts.forget(&[&bucket]);
    Ok(())
}

/// Counts a sign-up; it stays counted whatever becomes of it.
///
/// # Errors
/// 429 when this network address, or all together, have had theirs.
pub async fn begin_sign_up(state: &State, address: &str) -> Result<(), AuthRefusal> {
    if !state.settings.rate_limits.is_on {
        return Ok(());
    }
    let settings = &state.settings.sign_in;
    let buckets = vec![
        (format!("sign-up:address:{}", hash_key(address)), per_hour(settings.signups_per_address)),
        ("sign-up:all".to_owned(), per_hour(settings.signups_per_hour)),
    ];
    let taken = take(state, buckets).await?;
    taken.map_err(|seconds| {
        tracing::warn!(address, seconds, "sign-ups are refused because there were too many");
        AuthRefusal::too_many_sign_ups(seconds)
    })
}

/// Counts a mail for a new password, whether the e-mail address has an account or not; [`no_mail`] takes it back.
///
/// # Errors
/// 429 when this e-mail address or network address has had its mails.
pub async fn begin_recovery(state: &State, email: &str, address: &str) -> Result<(), AuthRefusal> {
    let taken = take(state, of_mail(email, address).into()).await?;
    taken.map_err(|seconds| {
        tracing::warn!(address, seconds, "mails for new passwords are refused because there were too many");
        AuthRefusal::too_many_mails(seconds)
    })
}

/// Where no mail could be asked for, whoever it was for: it is not counted. Call it in a transaction.
///
/// # Errors
/// As any query.
pub fn no_mail(conn: &mut Connection, email: &str, address: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    of_mail(email, address).iter().try_for_each(|(bucket, rule)| rate_limits::give_back(conn, bucket, *rule, 1, now))
}

async fn take(state: &State, buckets: Vec<(String, Rule)>) -> Result<Result<(), u64>, StorageError> {
    let now = state.clock.now();
    if let Some(seconds) = state.attempts.wait_for(&buckets, now) {
        return Ok(Err(seconds));
    }
    let given_back = state.attempts.given_back();
    let taken = state.storage.transaction(move |tx| rate_limits::take_one_of_each(tx, &buckets, now)).await?;
    Ok(taken.map_err(|empty| {
        let until = now + TimeDelta::seconds(i64::try_from(empty.seconds).unwrap_or(i64::MAX));
        state.attempts.note(empty.bucket, until, now, given_back);
        empty.seconds
    }))
}

fn of_email(email: &str) -> (String, Rule) {
    let email: String = email.to_lowercase().chars().take(254).collect();
    (format!("sign-in:email:{}", hash_key(&email)), per_minute(PER_EMAIL))
}

/// In the order in which they are taken.
fn of_mail(email: &str, address: &str) -> [(String, Rule); 2] {
    [
        (format!("mail:address:{}", hash_key(address)), per_hour(MAILS_PER_ADDRESS)),
        (format!("mail:email:{}", hash_key(email)), per_hour(MAILS_PER_EMAIL)),
    ]
}

fn of_address(address: &str) -> (String, Rule) {
    (format!("sign-in:address:{}", hash_key(address)), per_minute(PER_ADDRESS))
}

fn of_refresh(address: &str) -> (String, Rule) {
    (format!("refresh:address:{}", hash_key(address)), per_minute(PER_ADDRESS))
}

fn per_minute(most: u32) -> Rule {
    Rule { capacity: f64::from(most), per_second: f64::from(most) / 60.0 }
}

fn per_hour(most: u32) -> Rule {
    Rule { capacity: f64::from(most), per_second: f64::from(most) / 3_600.0 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_remembered_of_empty_buckets_has_a_bound_and_an_end() {
        let (attempts, now) = (Attempts::default(), "2026-01-15T12:00:00Z".parse::<DateTime<Utc>>().unwrap());
        for n in 0..CAPACITY + 100 {
            attempts.note(format!("b{n}"), now + TimeDelta::seconds(30), now, 0);
        }
        assert_eq!(attempts.lock().empty.len(), CAPACITY);
        let asked = [("b7".to_owned(), per_minute(5))];
        assert_eq!(attempts.wait_for(&asked, now), Some(30));
        assert_eq!(attempts.wait_for(&asked, now + TimeDelta::milliseconds(1_900)), Some(29));
        assert_eq!(attempts.wait_for(&asked, now + BELIEVED), None, "the database is asked again");
        attempts.note("new".to_owned(), now + TimeDelta::seconds(90), now + TimeDelta::seconds(31), 0);
        assert_eq!(attempts.lock().empty.len(), 1, "those whose time is over make room");
    }

    #[test]
    fn what_was_put_back_is_not_believed_to_be_missing() {
        let (attempts, now) = (Attempts::default(), "2026-01-15T12:00:00Z".parse::<DateTime<Utc>>().unwrap());
        let asked = [("b1".to_owned(), per_minute(5))];
        let note = |given_back| attempts.note("b1".to_owned(), now + TimeDelta::seconds(12), now, given_back);
        note(attempts.given_back());
        assert_eq!(attempts.wait_for(&asked, now), Some(12));
        let read_before = attempts.given_back();
        attempts.forget(&["b1"]);
        assert_eq!(attempts.wait_for(&asked, now), None);
        note(read_before);
        assert_eq!(attempts.wait_for(&asked, now), None, "found empty before something was put back");
    }
}
