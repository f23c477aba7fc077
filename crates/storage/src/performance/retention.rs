//! How long rows are kept: whole months are dropped, kept sums stay, and what is older cannot be written any more.
//!
//! On PostgreSQL a month is a partition, dropped at once; on the others rows are deleted in bounded batches by tenant. Since when rows are
//! kept stands in the database, so that all replicas and imports refuse the same rows.

use chrono::{DateTime, Months, NaiveDate, Utc};
use diesel::QueryableByName;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Date, Text};
use domain::invalid::Invalid;

use super::NewMetric;
use super::partitions::month_of;
use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::schema::performance_retention as t;
use crate::types::Timestamp;

/// Rows deleted at once where months are not partitions.
pub const BATCH: usize = 5_000;

/// What one step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Months dropped at once.
    pub months: i64,
    /// Rows deleted, of performance and of its revisions.
    pub rows: usize,
    /// Whether another step has more to do.
    pub has_more: bool,
}

/// The first day that is kept when so many whole months before the present one are.
#[must_use]
pub fn kept_from(today: NaiveDate, months: u32) -> Option<NaiveDate> {
    month_of(today).checked_sub_months(Months::new(months))
}

/// Since when rows are kept; absent when all are.
///
/// # Errors
/// As any query.
pub fn find(conn: &mut Connection) -> Result<Option<NaiveDate>, StorageError> {
    Ok(on!(conn, c => t::table.find(1_i16).select(t::kept_from).first(c).optional())?)
}

/// Sets since when rows are kept; it never moves back, because what is gone cannot be corrected.
///
/// # Errors
/// As any query.
pub fn advance(conn: &mut Connection, kept_from: NaiveDate, now: DateTime<Utc>) -> Result<NaiveDate, StorageError> {
    let now = Timestamp(now);
    match find(conn)? {
        Some(before) if before >= kept_from => return Ok(before),
        Some(_) => {
            on!(conn, c => diesel::update(t::table.find(1_i16)).set((t::kept_from.eq(kept_from), t::updated_at.eq(now))).execute(c))?
        }
        None => {
            let row = (t::id.eq(1_i16), t::kept_from.eq(kept_from), t::created_at.eq(now), t::updated_at.eq(now));
            on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))?
        }
    };
    Ok(kept_from)
}

/// Refuses rows of days that are no longer kept.
pub(crate) fn check<'a>(conn: &mut Connection, rows: impl IntoIterator<Item = &'a NewMetric>) -> Result<(), StorageError> {
    let Some(kept_from) = find(conn)? else { return Ok(()) };
    for (at, row) in rows.into_iter().enumerate() {
        if row.date < kept_from {
            let why = format!("{} lies before {kept_from}: older performance is no longer kept and cannot be corrected", row.date);
            return Err(Invalid::one(format!("rows[{at}].date"), why).into());
        }
    }
    Ok(())
}

#[derive(QueryableByName)]
struct Dropped {
    #[diesel(sql_type = BigInt)]
    dropped: i64,
}

/// Removes what is older than the day set by [`advance`], one bounded step; call it again while it has more.
///
/// # Errors
/// As any query.
pub fn sweep(conn: &mut Connection) -> Result<Swept, StorageError> {
    let Some(kept_from) = find(conn)? else { return Ok(Swept::default()) };
    let mut swept = Swept::default();
    if let Connection::Postgres(c) = conn {
        let sql = "SELECT endcap_drop_performance_before($1) AS dropped";
        let dropped: Dropped = diesel::sql_query(sql).bind::<Date, _>(kept_from).get_result(c)?;
        swept.months = dropped.dropped;
    }
    for tenant in tenants(conn)? {
        for table in ["performance_metrics", "performance_revisions"] {
            swept.rows += delete(conn, table, &tenant, kept_from)?;
            if swept.rows >= BATCH {
                return Ok(Swept { has_more: true, ..swept });
            }
        }
    }
    Ok(swept)
}

fn tenants(conn: &mut Connection) -> Result<Vec<String>, StorageError> {
    use crate::schema::campaigns;
    Ok(on!(conn, c => campaigns::table.select(campaigns::tenant_id).distinct().order(campaigns::tenant_id).load(c))?)
}

/// Deletes one batch of a tenant's rows. Only tables of this file come here, and no text of a caller's.
fn delete(conn: &mut Connection, table: &'static str, tenant: &str, before: NaiveDate) -> Result<usize, StorageError> {
    Ok(match conn {
        // Partitions are dropped whole, so only revisions are left.
        Connection::Postgres(_) if table == "performance_metrics" => 0,
        Connection::Postgres(c) => {
            let which = format!("SELECT id FROM {table} WHERE tenant_id = $1 AND date < $2 LIMIT {BATCH}");
            let sql = diesel::sql_query(format!("DELETE FROM {table} WHERE id IN ({which})"));
            sql.bind::<Text, _>(tenant).bind::<Date, _>(before).execute(c)?
        }
        Connection::Mysql(c) => {
            let sql = diesel::sql_query(format!("DELETE FROM {table} WHERE tenant_id = ? AND date < ? LIMIT {BATCH}"));
            sql.bind::<Text, _>(tenant).bind::<Date, _>(before).execute(c)?
        }
        Connection::Sqlite(c) => {
            let which = format!("SELECT id FROM {table} WHERE tenant_id = ? AND date < ? LIMIT {BATCH}");
            let sql = diesel::sql_query(format!("DELETE FROM {table} WHERE id IN ({which})"));
            sql.bind::<Text, _>(tenant).bind::<Date, _>(before).execute(c)?
        }
    })
}
