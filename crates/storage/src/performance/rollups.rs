//! Sums that are kept in the transaction that writes performance, so that analytics need not read every row.
//!
//! They are tables on all three databases, not materialised views: no database can bring a view up to date for the touched months only and
//! inside the transaction that touched them. Whoever writes rows says which months of which campaigns it touched; their cells are summed
//! again from the rows, which cannot drift.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Months, NaiveDate, Utc};
use diesel::connection::DefaultLoadingMode;
use diesel::pg::PgRowByRowLoadingMode;
use diesel::prelude::*;
use diesel::result::DatabaseErrorKind;
use diesel::result::Error::DatabaseError;
use diesel::sql_types::{Array, BigInt, Date, SmallInt, Text};

use super::cells::{CampaignCells, Cell, CellRow, MonthCells, Shape, Sums, lifetime};
use crate::connection::Connection;
use crate::dialect::ROWS_PER_STATEMENT;
use crate::error::StorageError;
use crate::on;
use crate::schema::{performance_metrics as rows, performance_rollups as t};
use crate::types::{Instant, Timestamp};

/// Stands as the period of a campaign's lifetime.
pub const LIFETIME: NaiveDate = match NaiveDate::from_ymd_opt(1970, 1, 1) {
    Some(day) => day,
    None => NaiveDate::MIN,
};

/// Months of campaigns in which rows were written.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    campaigns: BTreeMap<i64, (String, BTreeSet<NaiveDate>)>,
}

impl Touched {
    pub(crate) fn add(&mut self, campaign: i64, tenant_id: &str, month: NaiveDate) {
        let (_, months) = self.campaigns.entry(campaign).or_insert_with(|| (tenant_id.to_owned(), BTreeSet::new()));
        months.insert(month);
    }
}

/// A campaign whose cells are written.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) campaign: i64,
    pub(crate) tenant_id: &'a str,
}

/// Sums the touched months again.
///
/// # Errors
/// [`StorageError::Invalid`] when a sum leaves the range of 64 bits; else as any query.
pub(crate) fn refresh(conn: &mut Connection, touched: &Touched, now: DateTime<Utc>) -> Result<(), StorageError> {
    for (campaign, (tenant_id, months)) in &touched.campaigns {
        let owner = Owner { campaign: *campaign, tenant_id };
        for month in months {
            // Removed first: whoever else sums this month holds its cells, and what they wrote is to be among the rows that are read.
            clear(conn, *campaign, *month, *month)?;
            let cells = read_month(conn, *campaign, *month)?;
            insert(conn, owner, &cells.cells(*month)?, now)?;
        }
        sum_lifetime(conn, owner, now)?;
    }
    Ok(())
}

/// Stores the cells of a campaign that had no rows before.
///
/// # Errors
/// As [`refresh`].
pub(crate) fn store_new(conn: &mut Connection, owner: Owner<'_>, cells: &CampaignCells, now: DateTime<Utc>) -> Result<(), StorageError> {
    let mut all = Vec::new();
    for (month, of_month) in &cells.months {
        all.extend(of_month.cells(*month)?);
    }
    let (Some(first), Some(last)) = (cells.months.keys().next(), cells.months.keys().next_back()) else { return Ok(()) };
    clear(conn, owner.campaign, *first, *last)?;
    insert(conn, owner, &all, now)?;
    sum_lifetime(conn, owner, now)
}

type StoredRow = (NaiveDate, (String, String, String, String, String), Option<String>, Measures);
type Measures = (Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<i64>);

/// Sums a month from its rows, which are read as a stream.
fn read_month(conn: &mut Connection, campaign: i64, month: NaiveDate) -> Result<MonthCells, StorageError> {
    let end = month.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX);
    let mut cells = MonthCells::default();
    let mut add = |row: QueryResult<StoredRow>| -> Result<(), StorageError> {
        let (date, parts, currency, m) = row?;
        cells.add(&CellRow {
            date,
            parts: [&parts.0, &parts.1, &parts.2, &parts.3, &parts.4],
            currency: currency.as_deref(),
            measures: [m.0, m.1, m.2, m.3, m.4, m.5, m.6],
        })
    };
    let query = rows::table.filter(rows::campaign.eq(campaign).and(rows::date.ge(month)).and(rows::date.lt(end))).select((
        rows::date,
        (rows::placement_type, rows::audience_segment, rows::category, rows::sku_id, rows::impression_kind),
        rows::currency,
        (
            rows::impressions,
            rows::clicks,
            rows::conversions,
            rows::spend_micros,
            rows::revenue_micros,
            rows::units_sold,
            rows::new_to_brand_conversions,
        ),
    ));
    match conn {
        Connection::Postgres(c) => query.load_iter::<StoredRow, PgRowByRowLoadingMode>(c)?.try_for_each(&mut add)?,
        Connection::Mysql(c) => query.load_iter::<StoredRow, DefaultLoadingMode>(c)?.try_for_each(&mut add)?,
        Connection::Sqlite(c) => query.load_iter::<StoredRow, DefaultLoadingMode>(c)?.try_for_each(&mut add)?,
    }
    Ok(cells)
}

/// Removes the cells of a campaign from one month to another.
fn clear(conn: &mut Connection, campaign: i64, first: NaiveDate, last: NaiveDate) -> Result<(), StorageError> {
    let end = last.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX);
    for grain in ["day", "month"] {
        let cells =
            t::table.filter(t::campaign.eq(campaign).and(t::grain.eq(grain)).and(t::period_start.ge(first)).and(t::period_start.lt(end)));
        on!(conn, c => diesel::delete(cells).execute(c))?;
    }
    Ok(())
}

fn sum_lifetime(conn: &mut Connection, owner: Owner<'_>, now: DateTime<Utc>) -> Result<(), StorageError> {
    let before = t::table.filter(t::campaign.eq(owner.campaign).and(t::grain.eq("total")));
    on!(conn, c => diesel::delete(before).execute(c))?;
    type MonthRow = (String, i16, i64, (i64, i64, i64, i64, i64, i64, i64));
    let months: Vec<MonthRow> = on!(conn, c => t::table
        .filter(t::campaign.eq(owner.campaign).and(t::grain.eq("month")).and(t::dimension.eq("")))
        .select((t::currency, t::measured, t::n, (t::impressions, t::clicks, t::conversions, t::spend_micros, t::revenue_micros, t::units_sold, t::new_to_brand_conversions)))
        .load(c))?;
    let months = months.into_iter().map(|(currency, measured, n, m)| {
        let shape = Shape { measured, ..Shape::of(Some(&currency), &[None; 7]) };
        (shape, Sums { n, measures: [m.0, m.1, m.2, m.3, m.4, m.5, m.6] })
    });
    let total = lifetime(months)?;
    let cells: Vec<Cell<'_>> = total.into_iter().map(|(shape, sums)| ("total", LIFETIME, "", "", shape, sums)).collect();
    insert(conn, owner, &cells, now)
}

fn insert(conn: &mut Connection, owner: Owner<'_>, cells: &[Cell<'_>], now: DateTime<Utc>) -> Result<(), StorageError> {
    insert_all(conn, owner, cells, now).map_err(|error| match error {
        // Somebody else stored them since they were removed: the rows are to be read again.
        StorageError::Query(DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => {
            StorageError::Raced("somebody else wrote rows of this campaign at the same time; send them again")
        }
        other => other,
    })
}

fn insert_all(conn: &mut Connection, owner: Owner<'_>, cells: &[Cell<'_>], now: DateTime<Utc>) -> Result<(), StorageError> {
    if let Connection::Postgres(c) = conn {
        return cells.chunks(ROWS_PER_STATEMENT * 20).try_for_each(|chunk| insert_arrays(c, owner, chunk, now));
    }
    for chunk in cells.chunks(ROWS_PER_STATEMENT) {
        let rows: Vec<_> = chunk
            .iter()
            .map(|(grain, period_start, dimension, value, shape, sums)| {
                let [impressions, clicks, conversions, spend, revenue, units, new_to_brand] = sums.measures;
                (
                    (
                        t::campaign.eq(owner.campaign),
                        t::tenant_id.eq(owner.tenant_id),
                        t::grain.eq(*grain),
                        t::period_start.eq(*period_start),
                    ),
                    (t::dimension.eq(*dimension), t::value.eq(*value), t::currency.eq(shape.currency().to_owned())),
                    (t::measured.eq(shape.measured), t::n.eq(sums.n), t::created_at.eq(Timestamp(now))),
                    (t::impressions.eq(impressions), t::clicks.eq(clicks), t::conversions.eq(conversions)),
                    (t::spend_micros.eq(spend), t::revenue_micros.eq(revenue), t::units_sold.eq(units)),
                    t::new_to_brand_conversions.eq(new_to_brand),
                )
            })
            .collect();
        match conn {
            Connection::Postgres(_) => {}
            Connection::Mysql(c) => drop(diesel::insert_into(t::table).values(rows).execute(c)?),
            Connection::Sqlite(c) => drop(diesel::insert_into(t::table).values(rows).execute(c)?),
        }
    }
    Ok(())
}

/// One statement with an array for each column: several times cheaper for the server than as many rows of values.
fn insert_arrays(c: &mut PgConnection, owner: Owner<'_>, cells: &[Cell<'_>], now: DateTime<Utc>) -> Result<(), StorageError> {
    const STATEMENT: &str = "INSERT INTO performance_rollups (campaign, tenant_id, grain, period_start, dimension, value, currency, measured, n, \
        impressions, clicks, conversions, spend_micros, revenue_micros, units_sold, new_to_brand_conversions, created_at) \
        SELECT $1, $2, cell.*, $3 FROM unnest($4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) AS cell";
    let measure = |at: usize| -> Vec<i64> { cells.iter().map(|cell| cell.5.measures.get(at).copied().unwrap_or_default()).collect() };
    diesel::sql_query(STATEMENT)
        .bind::<BigInt, _>(owner.campaign)
        .bind::<Text, _>(owner.tenant_id)
        .bind::<Instant, _>(Timestamp(now))
        .bind::<Array<Text>, _>(cells.iter().map(|cell| cell.0).collect::<Vec<_>>())
        .bind::<Array<Date>, _>(cells.iter().map(|cell| cell.1).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(cells.iter().map(|cell| cell.2).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(cells.iter().map(|cell| cell.3).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(cells.iter().map(|cell| cell.4.currency().to_owned()).collect::<Vec<_>>())
        .bind::<Array<SmallInt>, _>(cells.iter().map(|cell| cell.4.measured).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(cells.iter().map(|cell| cell.5.n).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(measure(0))
        .bind::<Array<BigInt>, _>(measure(1))
        .bind::<Array<BigInt>, _>(measure(2))
        .bind::<Array<BigInt>, _>(measure(3))
        .bind::<Array<BigInt>, _>(measure(4))
        .bind::<Array<BigInt>, _>(measure(5))
        .bind::<Array<BigInt>, _>(measure(6))
        .execute(c)?;
    Ok(())
}
