//! Many rows in one transaction: on PostgreSQL by `COPY` into a staging table that is merged, elsewhere by statements of many rows.

mod staging;

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};

use super::cells::{CampaignCells, CellRow};
use super::partitions::{self, month_of};
use super::rollups::{self, Owner, Touched};
use super::{Key, NewMetric, Written, check_measures, has_rows, retention};
use crate::connection::Connection;
use crate::error::StorageError;

/// Sums of new campaigns are added up in memory while there are at most so many; beyond it they are read from the rows at the end.
const MAX_CELLS: usize = 400_000;

/// A bulk write, inside one transaction from [`Bulk::begin`] to [`Bulk::finish`].
#[derive(Debug, Default)]
pub struct Bulk {
    touched: Touched,
    months: BTreeSet<NaiveDate>,
    /// Sums of campaigns that had no rows before; `None` for those that had, or that are too many.
    campaigns: HashMap<i64, (String, Option<CampaignCells>)>,
    cells: usize,
}

impl Bulk {
    /// Begins.
    ///
    /// # Errors
    /// As any query.
    pub fn begin(conn: &mut Connection) -> Result<Self, StorageError> {
        if let Connection::Postgres(c) = conn {
            staging::create(c)?;
        }
        Ok(Self::default())
    }

    /// Writes rows by natural key, replacing what is stored; a key that occurs twice is written in order. Best called with 10,000 to 50,000
    /// rows. The partitions of their months are made here when they are missing; long work calls [`partitions::ensure`] before.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] for a measure that is too large; else as any query.
    pub fn write(&mut self, conn: &mut Connection, rows: &[NewMetric], now: DateTime<Utc>) -> Result<Written, StorageError> {
        check_measures(rows)?;
        retention::check(conn, rows)?;
        self.meet(conn, rows)?;
        let mut written = Written::default();
        for pass in passes(rows) {
            let done = if let Connection::Postgres(c) = conn {
                staging::write(c, &pass, now)?
            } else {
                super::record_mostly_new(conn, &pass, now)?
            };
            self.sum(&pass, done)?;
            written += done;
        }
        Ok(written)
    }

    /// Brings the rollups up to date.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] when a sum leaves the range of 64 bits; else as any query.
    pub fn finish(self, conn: &mut Connection, now: DateTime<Utc>) -> Result<(), StorageError> {
        for (campaign, (tenant_id, cells)) in &self.campaigns {
            if let Some(cells) = cells {
                rollups::store_new(conn, Owner { campaign: *campaign, tenant_id }, cells, now)?;
            }
        }
        rollups::refresh(conn, &self.touched, now)
    }

    /// Sees to the months and campaigns that were not met before.
    fn meet(&mut self, conn: &mut Connection, rows: &[NewMetric]) -> Result<(), StorageError> {
        let mut months = BTreeSet::new();
        for row in rows {
            let month = month_of(row.date);
            if !self.months.contains(&month) {
                months.insert(month);
            }
            if let Entry::Vacant(unmet) = self.campaigns.entry(row.campaign) {
                let cells = if has_rows(conn, row.campaign)? { None } else { Some(CampaignCells::default()) };
                unmet.insert((row.tenant_id.clone(), cells));
            }
        }
        partitions::require(conn, &months)?;
        self.months.extend(months);
        Ok(())
    }

    /// Adds the rows of one pass to the sums, or notes which months must be summed again.
    fn sum(&mut self, rows: &[&NewMetric], written: Written) -> Result<(), StorageError> {
        if written.inserted + written.updated == 0 {
            return Ok(());
        }
        let all_are_new = written.inserted == rows.len() as u64;
        for row in rows {
            let Some((tenant_id, cells)) = self.campaigns.get_mut(&row.campaign) else { continue };
            let is_full = self.cells > MAX_CELLS;
            match cells {
                Some(known) if all_are_new && !is_full => self.cells += known.add(&cell_row(row))?,
                Some(known) => {
                    // Read from the rows at the end, all months that were met so far.
                    known.months.keys().for_each(|month| self.touched.add(row.campaign, tenant_id, *month));
                    self.touched.add(row.campaign, tenant_id, month_of(row.date));
                    *cells = None;
                }
                None => self.touched.add(row.campaign, tenant_id, month_of(row.date)),
            }
        }
        Ok(())
    }
}

fn cell_row(row: &NewMetric) -> CellRow<'_> {
    let (_, date, parts) = row.key();
    CellRow { date, parts, currency: row.currency.as_deref(), measures: row.measures() }
}

/// Distributes rows so that no pass holds a key twice, and later rows are in later passes.
fn passes(rows: &[NewMetric]) -> Vec<Vec<&NewMetric>> {
    let mut passes: Vec<Vec<&NewMetric>> = Vec::new();
    let mut waiting: Vec<&NewMetric> = rows.iter().collect();
    while !waiting.is_empty() {
        let mut seen: HashSet<Key<'_>> = HashSet::with_capacity(waiting.len());
        let (first, again): (Vec<&NewMetric>, Vec<&NewMetric>) = waiting.into_iter().partition(|row| seen.insert(row.key()));
        passes.push(first);
        waiting = again;
    }
    passes
}
