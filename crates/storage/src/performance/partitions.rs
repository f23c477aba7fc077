//! Partitions of `performance_metrics` on PostgreSQL, one for each month; the other databases have none.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};
use diesel::prelude::*;
use diesel::result::DatabaseErrorKind::UniqueViolation;
use diesel::result::Error as DieselError;
use diesel::result::Error::DatabaseError;
use diesel::sql_types::{Array, Date};

use crate::connection::{Access, Connection};
use crate::error::StorageError;
use crate::url::DatabaseUrl;

const MADE_MEANWHILE: &str = "somebody else wrote the first rows of this month at the same time; send them again";

/// The first of a day's month.
#[must_use]
pub fn month_of(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

/// Makes the partitions of these months on a connection of its own. Work that writes for long calls it before it writes rows of a month
/// that it has not met: what a transaction makes itself stays locked until its end, and with it the campaigns that partitions refer to.
///
/// # Errors
/// [`StorageError::Unavailable`] when no connection can be opened; else as any query.
pub fn ensure(url: &DatabaseUrl, months: &BTreeSet<NaiveDate>) -> Result<(), StorageError> {
    if !matches!(url, DatabaseUrl::Postgres(_)) || months.is_empty() {
        return Ok(());
    }
    let mut conn = Connection::open(url, Access::Write).map_err(|error| StorageError::Unavailable(error.to_string()))?;
    match require(&mut conn, months) {
        // Whoever was quicker has made it by now.
        Err(error) if error.is_transient() => require(&mut conn, months),
        done => done,
    }
}

/// Who waits for another one to make a partition may not see it even then, and try to make it too.
fn raced(error: DieselError) -> StorageError {
    match error {
        DatabaseError(UniqueViolation, _) => StorageError::Raced(MADE_MEANWHILE),
        DatabaseError(_, ref info) if info.message().contains("already exists") => StorageError::Raced(MADE_MEANWHILE),
        other => other.into(),
    }
}

/// Makes those partitions of these months that are missing.
pub(crate) fn require(conn: &mut Connection, months: &BTreeSet<NaiveDate>) -> Result<(), StorageError> {
    if let Connection::Postgres(c) = conn
        && !months.is_empty()
    {
        let months: Vec<NaiveDate> = months.iter().copied().collect();
        let made =
            diesel::sql_query("SELECT endcap_performance_partition(day) FROM unnest($1) AS day").bind::<Array<Date>, _>(months).execute(c);
        made.map_err(raced)?;
    }
    Ok(())
}
