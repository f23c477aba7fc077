//! Many rows in one transaction: on PostgreSQL by `COPY`, straight into the table while all rows are new and else into a staging table that is
//! merged; elsewhere by statements of many rows.

mod binary;
mod copy;
mod staging;

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, NaiveDate, Utc};

use super::cells::{CampaignCells, CellRow};
use super::partitions::{self, month_of};
use super::rollups::{self, Owner, Touched};
use super::{Key, NewMetric, Written, check_measures, has_rows, retention};
use crate::connection::Connection;
use crate::error::StorageError;

/// Sums of new campaigns are added up in memory while there are at most so many; beyond it they are read from the rows at the end.
const MAX_CELLS: usize = 200_000;

/// A bulk write, inside one transaction until [`Bulk::finish`]; then the next may begin.
#[derive(Debug, Default)]
pub struct Bulk {
    touched: Touched,
    months: BTreeSet<NaiveDate>,
    /// Sums of campaigns that had no rows before; `None` for those that had, or that are too many.
    campaigns: HashMap<i64, (String, Option<CampaignCells>)>,
    cells: usize,
    /// Whether a row was met that is stored already, or that may not be copied: after one there are more, in later transactions too.
    must_merge: bool,
    /// Whether this transaction has its staging table.
    is_staged: bool,
}

impl Bulk {
    /// Writes rows by natural key, replacing what is stored; a key that occurs twice is written in order. Best called with 10,000 to 50,000
    /// rows. The partitions of their months are made here when they are missing; long work calls [`partitions::ensure`] before.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] for a measure that is too large; else as any query.
    pub fn write(&mut self, conn: &mut Connection, rows: &[NewMetric], now: DateTime<Utc>) -> Result<Written, StorageError> {
        check_measures(rows)?;
        retention::check(conn, rows)?;
        self.meet(conn, rows)?;
        if let Connection::Postgres(c) = conn {
            // Hopes that all rows are new until one is not.
            let all: Vec<&NewMetric> = rows.iter().collect();
            if !self.must_merge && copy::write(c, &all, now)? {
                let written = Written { inserted: rows.len() as u64, ..Written::default() };
                self.sum(&all, written)?;
                return Ok(written);
            }
            self.must_merge = true;
            if !self.is_staged {
                staging::create(c)?;
                self.is_staged = true;
            }
        }
        let mut written = Written::default();
        for pass in passes(rows) {
            let done = match conn {
                Connection::Postgres(c) => staging::write(c, &pass, now)?,
                _ => super::record_mostly_new(conn, &pass, now)?,
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
    pub fn finish(&mut self, conn: &mut Connection, now: DateTime<Utc>) -> Result<(), StorageError> {
        let done = std::mem::replace(self, Self { must_merge: self.must_merge, ..Self::default() });
        for (campaign, (tenant_id, cells)) in &done.campaigns {
            if let Some(cells) = cells {
                rollups::store_new(conn, Owner { campaign: *campaign, tenant_id }, cells, now)?;
            }
        }
        rollups::refresh(conn, &done.touched, now)
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
    let mut met: HashMap<Key<'_>, usize> = HashMap::with_capacity(rows.len());
    for row in rows {
        let times = met.entry(row.key()).or_default();
        match passes.get_mut(*times) {
            Some(pass) => pass.push(row),
            None => passes.push(vec![row]),
        }
        *times += 1;
    }
    passes
}
