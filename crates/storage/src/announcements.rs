//! Telling other processes that events were committed, so that they need not ask all the time: `NOTIFY` on PostgreSQL. The payload is a
//! sequence and nothing else; what happened is read from the outbox. Announcements may be lost, so whoever listens still asks now and then.
//! The same connection hears which process has something from its clients for those of the others ([`crate::realtime`]).
//!
//! They are made after the commit, in a transaction of their own, one for all events of a few milliseconds: a `NOTIFY` inside the business
//! transaction would make all commits of the database wait for each other.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use diesel::PgConnection;
use diesel::connection::SimpleConnection;

use crate::connection::{Access, Connection};
use crate::error::StorageError;
use crate::store::Storage;
use crate::url::DatabaseUrl;

/// How long commits are gathered before they are announced.
const GATHER: Duration = Duration::from_millis(10);
/// How often the connection is looked at; looking costs one system call.
const LOOK: Duration = Duration::from_millis(10);
/// Longest wait for a connection that listens.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// A connection on which nothing comes back is given up by the network after some 15 seconds.
const NETWORK: &str = "keepalives_idle=10&keepalives_interval=2&keepalives_count=3&tcp_user_timeout=15000&application_name=endcap-listen";

thread_local! {
    /// Whether the work on this thread has written events for sockets.
    static WRITTEN: Cell<bool> = const { Cell::new(false) };
}

/// Notes that the work on this thread has written events for sockets.
pub(crate) fn note_written() {
    WRITTEN.set(true);
}

/// Whether the work on this thread has written events since the last call.
pub(crate) fn take_written() -> bool {
    WRITTEN.replace(false)
}

/// What was announced since the last time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// Events were committed.
    pub has_events: bool,
    /// Processes that came, went, or wrote messages.
    pub processes: BTreeSet<String>,
}

/// A connection of its own that hears of committed events and of other processes.
pub struct Listener {
    connection: PgConnection,
}

impl Listener {
    /// Waits for the next announcement. Safe to cancel.
    ///
    /// # Errors
    /// When the connection is gone; open another one.
    pub async fn heard(&mut self) -> Result<Heard, StorageError> {
        loop {
            let mut heard = Heard::default();
            for announced in self.connection.notifications_iter() {
                let announced = announced?;
                match announced.channel.as_str() {
                    "endcap_realtime" => drop(heard.processes.insert(announced.payload)),
                    _ => heard.has_events = true,
                }
            }
            if heard != Heard::default() {
                return Ok(heard);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Storage {
    /// Begins to listen for announcements; `None` on a database that has none.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when no connection can be opened.
    pub async fn listen(&self) -> Result<Option<Listener>, StorageError> {
        let DatabaseUrl::Postgres(url) = self.url() else { return Ok(None) };
        let separator = if url.contains('?') { '&' } else { '?' };
        let url = DatabaseUrl::Postgres(format!("{url}{separator}{NETWORK}"));
        let opening = tokio::task::spawn_blocking(move || {
            let unavailable = |error: &dyn std::fmt::Display| StorageError::Unavailable(error.to_string());
            match Connection::open(&url, Access::Read).map_err(|error| unavailable(&error))? {
                Connection::Postgres(mut connection) => {
                    connection.batch_execute("LISTEN endcap_outbox; LISTEN endcap_realtime")?;
                    Ok(Some(Listener { connection }))
                }
                _ => Ok(None),
            }
        });
        let opened = tokio::time::timeout(OPEN_WITHIN, opening).await;
        let opened = opened.map_err(|_| StorageError::Unavailable("no connection that listens within 10 seconds".to_owned()))?;
        opened.map_err(|error| StorageError::Corrupt(format!("opening a connection stopped: {error}")))?
    }

    /// Announces the events that this process commits, until `stopped`; does nothing on a database that has no announcements.
    pub async fn announce_until(self, stopped: impl Future<Output = ()>) {
        if !matches!(self.url(), DatabaseUrl::Postgres(_)) {
            return;
        }
        let mut stopped = pin!(stopped);
        loop {
            tokio::select! {
                () = &mut stopped => return,
                () = async { self.written().notified().await; tokio::time::sleep(GATHER).await } => {}
            }
            if let Err(error) = self.read(announce).await {
                tracing::debug!(%error, "committed events could not be announced; other processes find them when they ask");
            }
        }
    }
}

/// In one round trip, and without waiting for the disk.
fn announce(conn: &mut Connection) -> Result<(), StorageError> {
    if let Connection::Postgres(c) = conn {
        c.batch_execute(
            "BEGIN; SET LOCAL synchronous_commit = off; \
             SELECT pg_notify('endcap_outbox', COALESCE(MAX(id), 0)::text) FROM outbox_events; COMMIT",
        )?;
    }
    Ok(())
}
