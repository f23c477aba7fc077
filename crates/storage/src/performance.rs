//! Daily performance of campaigns: written by natural key, read as sums.
//!
//! A measure that is absent is not zero: it stays null in rows and in sums of rows none of which has it.

pub mod bulk;
pub mod cells;
pub mod faults;
pub mod partitions;
pub mod retention;
pub mod rollups;
pub mod rows;
pub mod spend;
pub mod summary;

pub(crate) mod raw;
mod revisions;

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use domain::invalid::Invalid;
use domain::scope::Scope;

use crate::connection::Connection;
use crate::dialect::ROWS_PER_STATEMENT;
use crate::error::{Meaning, StorageError};
use crate::schema::performance_metrics as t;
use crate::types::Timestamp;
use crate::{insert_new, on};

use partitions::month_of;
use rollups::Touched;

/// Largest value of a measure: the sum of thousands of such values still fits into 64 bits.
pub const MAX_MEASURE: i64 = 1_000_000_000_000_000;

/// A row to write. An absent part of the natural key is an empty text.
#[derive(Debug, Clone, PartialEq, Eq, Insertable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
pub struct NewMetric {
    /// Primary key of the campaign.
    pub campaign: i64,
    /// The campaign's tenant.
    pub tenant_id: String,
    /// The day.
    pub date: NaiveDate,
    /// Placement type.
    pub placement_type: String,
    /// Audience segment.
    pub audience_segment: String,
    /// Category of the product.
    pub category: String,
    /// Product.
    pub sku_id: String,
    /// How impressions were counted.
    pub impression_kind: String,
    /// Ad impressions.
    pub impressions: Option<i64>,
    /// Clicks.
    pub clicks: Option<i64>,
    /// Attributed orders.
    pub conversions: Option<i64>,
    /// Spend in micros of `currency`.
    pub spend_micros: Option<i64>,
    /// Attributed revenue in micros of `currency`.
    pub revenue_micros: Option<i64>,
    /// Units sold.
    pub units_sold: Option<i64>,
    /// First purchases of the brand by a household.
    pub new_to_brand_conversions: Option<i64>,
    /// ISO 4217 code of the row's money; absent means the campaign's.
    pub currency: Option<String>,
    /// Where the row came from: `api` or `import`.
    pub source: String,
}

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = t)]
struct StoredMetric {
    id: i64,
    campaign: i64,
    tenant_id: String,
    date: NaiveDate,
    placement_type: String,
    audience_segment: String,
    category: String,
    sku_id: String,
    impression_kind: String,
    impressions: Option<i64>,
    clicks: Option<i64>,
    conversions: Option<i64>,
    spend_micros: Option<i64>,
    revenue_micros: Option<i64>,
    units_sold: Option<i64>,
    new_to_brand_conversions: Option<i64>,
    currency: Option<String>,
    source: String,
    version: i32,
    updated_at: Timestamp,
}

/// What happens to a row whose natural key is stored already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// Its measures take the place of the stored ones.
    Replace,
    /// Its measures are added to the stored ones.
    Add,
}

/// What became of written rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Written {
    /// New rows.
    pub inserted: u64,
    /// Rows that were there and changed.
    pub updated: u64,
    /// Rows that were there, equal.
    pub unchanged: u64,
}

impl std::ops::AddAssign for Written {
    fn add_assign(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
    }
}

const CAMPAIGN_IS_GONE: &str = "a campaign of these rows was deleted while they were being written; send the others again";

pub(crate) type Key<'a> = (i64, NaiveDate, [&'a str; 5]);

impl NewMetric {
    pub(crate) fn key(&self) -> Key<'_> {
        let parts = [&self.placement_type, &self.audience_segment, &self.category, &self.sku_id, &self.impression_kind];
        (self.campaign, self.date, parts.map(String::as_str))
    }

    fn measures(&self) -> [Option<i64>; 7] {
        [
            self.impressions,
            self.clicks,
            self.conversions,
            self.spend_micros,
            self.revenue_micros,
            self.units_sold,
            self.new_to_brand_conversions,
        ]
    }
}

impl StoredMetric {
    fn key(&self) -> Key<'_> {
        let parts = [&self.placement_type, &self.audience_segment, &self.category, &self.sku_id, &self.impression_kind];
        (self.campaign, self.date, parts.map(String::as_str))
    }

    fn measures(&self) -> [Option<i64>; 7] {
        [
            self.impressions,
            self.clicks,
            self.conversions,
            self.spend_micros,
            self.revenue_micros,
            self.units_sold,
            self.new_to_brand_conversions,
        ]
    }
}

/// Writes rows by natural key, in statements of at most [`ROWS_PER_STATEMENT`] rows, and brings the rollups of their months up to date. A key
/// that occurs twice is written in order. What a corrected row said before is kept as a revision.
///
/// # Errors
/// [`StorageError::Invalid`] for a measure beyond [`MAX_MEASURE`], or when a sum leaves the range of 64 bits; else as any query.
pub fn record(conn: &mut Connection, rows: &[NewMetric], mode: WriteMode, now: DateTime<Utc>) -> Result<Written, StorageError> {
    check_measures(rows)?;
    retention::check(conn, rows)?;
    await_turn(conn, rows)?;
    partitions::require(conn, &rows.iter().map(|row| month_of(row.date)).collect())?;
    let rows: Vec<&NewMetric> = rows.iter().collect();
    let (mut written, mut touched) = (Written::default(), Touched::default());
    for chunk in distinct_chunks(&rows) {
        let stored = find_stored(conn, chunk)?;
        let done = write_against(conn, chunk, &stored, mode, now)?;
        if done.inserted + done.updated > 0 {
            chunk.iter().for_each(|row| touched.add(row.campaign, &row.tenant_id, month_of(row.date)));
        }
        written += done;
    }
    rollups::refresh(conn, &touched, now)?;
    Ok(written)
}

/// On PostgreSQL, waits until nobody else records rows of these campaigns: of those who write the same rows or sums at the same time one
/// would win and all others begin again. Imports are neither waited for nor held up. On MariaDB the lock would collide with those that
/// foreign keys take for the length of an import, so there whoever loses begins again; SQLite has one writer.
fn await_turn(conn: &mut Connection, rows: &[NewMetric]) -> Result<(), StorageError> {
    use crate::schema::campaigns;
    if let Connection::Postgres(c) = conn {
        let wanted: BTreeSet<i64> = rows.iter().map(|row| row.campaign).collect();
        let query = campaigns::table.filter(campaigns::id.eq_any(wanted)).order(campaigns::id).select(campaigns::id);
        query.for_no_key_update().load::<i64>(c)?;
    }
    Ok(())
}

/// Refuses measures whose sums could not be kept.
pub(crate) fn check_measures(rows: &[NewMetric]) -> Result<(), Invalid> {
    for (at, row) in rows.iter().enumerate() {
        for (name, measure) in cells::MEASURES.iter().zip(row.measures()) {
            if measure.is_some_and(|measure| measure.unsigned_abs() > MAX_MEASURE.unsigned_abs()) {
                let field = format!("rows[{at}].{}", name.trim_end_matches("_micros"));
                return Err(Invalid::one(field, "is beyond what can be summed: at most 10^15 (money: 10^9 units)"));
            }
        }
    }
    Ok(())
}

/// Writes rows that are expected to be new, replacing those that are not: one statement for each chunk in which all are new.
/// Rollups are the caller's.
pub(crate) fn record_mostly_new(conn: &mut Connection, rows: &[&NewMetric], now: DateTime<Utc>) -> Result<Written, StorageError> {
    let mut written = Written::default();
    for chunk in distinct_chunks(rows) {
        let inserted = insert_chunk(conn, chunk, now)? as u64;
        written.inserted += inserted;
        if inserted < chunk.len() as u64 {
            let stored = find_stored(conn, chunk)?;
            let rest = write_against(conn, chunk, &stored, WriteMode::Replace, now)?;
            // The rows inserted a moment ago are found equal.
            written.updated += rest.updated;
            written.unchanged += rest.unchanged.saturating_sub(inserted);
        }
    }
    Ok(written)
}

/// Whether a campaign has any row.
pub(crate) fn has_rows(conn: &mut Connection, campaign: i64) -> Result<bool, StorageError> {
    let first: Option<i64> = on!(conn, c => t::table.filter(t::campaign.eq(campaign)).select(t::id).first(c).optional())?;
    Ok(first.is_some())
}

/// How many rows this scope has.
///
/// # Errors
/// As any query.
pub fn count(conn: &mut Connection, scope: &Scope) -> Result<i64, StorageError> {
    Ok(on!(conn, c => {
        let mut query = t::table.count().into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        query.get_result(c)
    })?)
}

/// Cuts rows so that a chunk is small enough for one statement and holds no key twice.
fn distinct_chunks<'a, 'r>(rows: &'a [&'r NewMetric]) -> Vec<&'a [&'r NewMetric]> {
    let mut chunks = Vec::new();
    let mut seen: HashSet<Key<'_>> = HashSet::new();
    let mut start = 0;
    for (at, row) in rows.iter().enumerate() {
        if at - start == ROWS_PER_STATEMENT || seen.contains(&row.key()) {
            chunks.push(rows.get(start..at).unwrap_or_default());
            seen.clear();
            start = at;
        }
        seen.insert(row.key());
    }
    if start < rows.len() {
        chunks.push(rows.get(start..).unwrap_or_default());
    }
    chunks
}

/// The stored rows with the keys of a chunk, and a few more: those that share each part with some row of the chunk.
fn find_stored(conn: &mut Connection, chunk: &[&NewMetric]) -> Result<Vec<StoredMetric>, StorageError> {
    let campaigns: BTreeSet<i64> = chunk.iter().map(|row| row.campaign).collect();
    let dates: BTreeSet<NaiveDate> = chunk.iter().map(|row| row.date).collect();
    let part = |index: usize| -> Vec<&str> {
        let parts: BTreeSet<&str> = chunk.iter().filter_map(|row| row.key().2.get(index).copied()).collect();
        parts.into_iter().collect()
    };
    let (placements, segments, categories, skus) = (part(0), part(1), part(2), part(3));
    Ok(on!(conn, c => t::table
        .filter(t::campaign.eq_any(&campaigns).and(t::date.eq_any(&dates)))
        .filter(t::placement_type.eq_any(&placements).and(t::audience_segment.eq_any(&segments)))
        .filter(t::category.eq_any(&categories).and(t::sku_id.eq_any(&skus)))
        .select(StoredMetric::as_select())
        .load(c))?)
}

fn write_against(
    conn: &mut Connection,
    chunk: &[&NewMetric],
    stored: &[StoredMetric],
    mode: WriteMode,
    now: DateTime<Utc>,
) -> Result<Written, StorageError> {
    let by_key: HashMap<Key<'_>, &StoredMetric> = stored.iter().map(|row| (row.key(), row)).collect();
    let mut written = Written::default();
    let mut new: Vec<&NewMetric> = Vec::new();
    let mut changes = Vec::new();
    for row in chunk {
        let Some(known) = by_key.get(&row.key()) else {
            new.push(row);
            continue;
        };
        let measures = match mode {
            WriteMode::Replace => row.measures(),
            WriteMode::Add => add(known.measures(), row.measures())?,
        };
        let currency = row.currency.as_ref().or(known.currency.as_ref());
        if measures == known.measures() && currency == known.currency.as_ref() {
            written.unchanged += 1;
            continue;
        }
        changes.push((*known, *row, measures));
    }
    let before: Vec<&StoredMetric> = changes.iter().map(|(known, _, _)| *known).collect();
    revisions::keep(conn, &before, now)?;
    for (known, row, measures) in changes {
        let [impressions, clicks, conversions, spend, revenue, units, new_to_brand] = measures;
        let changes = (
            (t::impressions.eq(impressions), t::clicks.eq(clicks), t::conversions.eq(conversions)),
            (t::spend_micros.eq(spend), t::revenue_micros.eq(revenue), t::units_sold.eq(units)),
            (t::new_to_brand_conversions.eq(new_to_brand), t::source.eq(&row.source)),
            (t::currency.eq(row.currency.as_ref().or(known.currency.as_ref())), t::version.eq(known.version.saturating_add(1))),
            t::updated_at.eq(Timestamp(now)),
        );
        let one = t::table.filter(t::id.eq(known.id).and(t::date.eq(known.date)));
        on!(conn, c => diesel::update(one).set(changes).execute(c))?;
        written.updated += 1;
    }
    if !new.is_empty() {
        let inserted = insert_chunk(conn, &new, now)?;
        if inserted < new.len() {
            return Err(left_out(conn, &new)?);
        }
        written.inserted += inserted as u64;
    }
    Ok(written)
}

/// Why rows that were not stored a moment ago could not be: MariaDB leaves out a row without a campaign as silently as one whose key exists.
fn left_out(conn: &mut Connection, rows: &[&NewMetric]) -> Result<StorageError, StorageError> {
    use crate::schema::campaigns;
    let wanted: BTreeSet<i64> = rows.iter().map(|row| row.campaign).collect();
    let found: i64 = on!(conn, c => campaigns::table.filter(campaigns::id.eq_any(&wanted)).count().get_result(c))?;
    if usize::try_from(found).is_ok_and(|found| found < wanted.len()) {
        return Ok(Invalid::one("campaign_id", CAMPAIGN_IS_GONE).into());
    }
    Ok(StorageError::Raced("somebody else wrote some of these rows at the same time; send them again"))
}

fn insert_chunk(conn: &mut Connection, chunk: &[&NewMetric], now: DateTime<Utc>) -> Result<usize, StorageError> {
    let now = Timestamp(now);
    let rows: Vec<_> = chunk.iter().map(|one| (*one, t::version.eq(1), t::created_at.eq(now), t::updated_at.eq(now))).collect();
    insert_new!(conn, t::table, rows).on_missing_reference("campaign_id", || CAMPAIGN_IS_GONE.to_owned())
}

/// Sums measure by measure; what only one side has is that side's.
fn add(stored: [Option<i64>; 7], new: [Option<i64>; 7]) -> Result<[Option<i64>; 7], StorageError> {
    let mut sums = stored;
    for (sum, more) in sums.iter_mut().zip(new) {
        *sum = match (*sum, more) {
            (Some(a), Some(b)) => {
                Some(a.checked_add(b).ok_or_else(|| Invalid::one("rows", "adding these measures exceeds the largest number"))?)
            }
            (a, b) => a.or(b),
        };
    }
    Ok(sums)
}
