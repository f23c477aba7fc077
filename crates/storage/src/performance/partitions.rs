//! Partitions of `performance_metrics` on PostgreSQL, one for each month; the other databases have none.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};
use diesel::prelude::*;
use diesel::sql_types::{Array, Date};

use crate::connection::{Access, Connection};
use crate::error::StorageError;
use crate::url::DatabaseUrl;

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
    require(&mut conn, months)
}

/// Makes those partitions of these months that are missing.
pub(crate) fn require(conn: &mut Connection, months: &BTreeSet<NaiveDate>) -> Result<(), StorageError> {
    if let Connection::Postgres(c) = conn
        && !months.is_empty()
    {
        let months: Vec<NaiveDate> = months.iter().copied().collect();
        diesel::sql_query("SELECT endcap_performance_partition(day) FROM unnest($1) AS day").bind::<Array<Date>, _>(months).execute(c)?;
    }
    Ok(())
}
