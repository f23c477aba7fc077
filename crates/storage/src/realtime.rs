//! What processes with sockets tell each other: that they live, and what their clients say and show.
//!
//! A process enters, counts its beats, and leaves. Whoever sees another's count stand still takes that one out, by its count, so that one that
//! beats again in the same moment stays; and one that was taken out finds it at its next beat. No clock is compared with another.
//!
//! A process numbers its messages without gaps and writes one batch after the other. So whoever reads goes on after the last number of each,
//! whatever the order in which transactions of several processes commit, and a number that is missing shows that something was lost.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::connection::Connection;
use crate::dialect::{self, Explained, PlanLine};
use crate::error::StorageError;
use crate::prepared::change;
use crate::schema::{realtime_messages as m, realtime_processes as t};
use crate::types::Timestamp;
use crate::{insert_new, on};

/// A process that lives, or did until lately.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = t)]
pub struct Process {
    /// Who.
    pub process_id: String,
    /// How often it has said that it lives.
    pub beats: i64,
}

/// Something that clients of other processes are to hear.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = m)]
pub struct Message {
    /// Its place among the messages of its process.
    pub number: i64,
    /// What it is.
    pub head: String,
    /// What it carries.
    pub body: Vec<u8>,
}

/// Enters a process, in place of what it `was` before; the place in the messages behind which it has to hear of the others. Call it in a
/// transaction.
///
/// # Errors
/// As any query.
pub fn enter(conn: &mut Connection, process_id: &str, was: Option<&str>, now: DateTime<Utc>) -> Result<i64, StorageError> {
    // Read before anybody can see the new process and say something for it.
    let newest: Option<i64> = on!(conn, c => m::table.select(diesel::dsl::max(m::id)).first(c))?;
    if let Some(was) = was {
        leave(conn, was)?;
    }
    let row = (t::process_id.eq(process_id), t::beats.eq(0_i64), t::seen_at.eq(Timestamp(now)), t::created_at.eq(Timestamp(now)));
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))?;
    announce(conn, process_id)?;
    Ok(newest.unwrap_or(0))
}

/// Says that a process lives; who else does, or `None` when it was taken out. Call it in a transaction.
///
/// # Errors
/// As any query.
pub fn beat(conn: &mut Connection, process_id: &str, now: DateTime<Utc>) -> Result<Option<Vec<Process>>, StorageError> {
    let changes = (t::beats.eq(t::beats + 1), t::seen_at.eq(Timestamp(now)));
    if on!(conn, c => change(t::table, t::process_id.eq(process_id), changes).execute(c))? == 0 {
        return Ok(None);
    }
    Ok(Some(on!(conn, c => t::table.filter(t::process_id.ne(process_id)).order(t::id).select(Process::as_select()).load(c))?))
}

/// Takes a process out whose count still is what was seen of it; whether it was.
///
/// # Errors
/// As any query.
pub fn take_out(conn: &mut Connection, seen: &Process) -> Result<bool, StorageError> {
    let same = t::process_id.eq(&seen.process_id).and(t::beats.eq(seen.beats));
    Ok(on!(conn, c => diesel::delete(t::table.filter(same)).execute(c))? > 0)
}

/// A process goes.
///
/// # Errors
/// As any query.
pub fn leave(conn: &mut Connection, process_id: &str) -> Result<(), StorageError> {
    on!(conn, c => diesel::delete(t::table.filter(t::process_id.eq(process_id))).execute(c))?;
    announce(conn, process_id)
}

/// Writes messages of a process with one statement; those that are there already, because nobody knew whether they were, stay. Call it in a
/// transaction.
///
/// # Errors
/// As any query.
pub fn write(conn: &mut Connection, process_id: &str, messages: &[Message], now: DateTime<Utc>) -> Result<(), StorageError> {
    let rows: Vec<_> = messages
        .iter()
        .map(|one| {
            let content = (m::head.eq(&one.head), m::body.eq(&one.body));
            (m::process_id.eq(process_id), m::number.eq(one.number), content, m::created_at.eq(Timestamp(now)))
        })
        .collect();
    insert_new!(conn, m::table, &rows)?;
    announce(conn, process_id)
}

/// On PostgreSQL, those who listen are told whose news there is when the transaction is committed. It does not wait for the disk: the next
/// one to announce waits for it, and after a crash of the database nobody needs what was said before.
fn announce(conn: &mut Connection, process_id: &str) -> Result<(), StorageError> {
    if let Connection::Postgres(c) = conn {
        let announce = "SELECT pg_notify('endcap_realtime', $1), set_config('synchronous_commit', 'off', true)";
        diesel::sql_query(announce).bind::<Text, _>(process_id).execute(c)?;
    }
    Ok(())
}

/// The query of what a process said, to be run or to be explained.
macro_rules! said {
    ($process_id:expr, $number:expr, $behind:expr, $limit:expr) => {
        m::table
            .filter(m::process_id.eq($process_id).and(m::number.gt($number)).and(m::id.gt($behind)))
            .order(m::number)
            .limit($limit)
            .select(Message::as_select())
    };
}

/// What a process said after a number, oldest first; never what was there up to the place `behind`.
///
/// # Errors
/// As any query.
pub fn after(conn: &mut Connection, process_id: &str, number: i64, behind: i64, limit: i64) -> Result<Vec<Message>, StorageError> {
    let limit = limit.clamp(1, 1000);
    Ok(on!(conn, c => said!(process_id, number, behind, limit).load(c))?)
}

/// How [`after`] is read.
///
/// # Errors
/// As any query.
pub fn explain(conn: &mut Connection, process_id: &str, number: i64, behind: i64) -> Result<String, StorageError> {
    let words = dialect::explain(conn);
    let lines: Vec<PlanLine> = on!(conn, c => Explained { words, query: said!(process_id, number, behind, 64) }.load(c))?;
    Ok(lines.into_iter().map(|line| line.0).collect::<Vec<_>>().join("\n"))
}

/// Deletes messages older than `before`; how many.
///
/// # Errors
/// As any query.
pub fn sweep(conn: &mut Connection, before: DateTime<Utc>) -> Result<usize, StorageError> {
    Ok(on!(conn, c => diesel::delete(m::table.filter(m::created_at.lt(Timestamp(before)))).execute(c))?)
}
