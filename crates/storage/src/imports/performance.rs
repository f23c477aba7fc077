//! Performance rows: campaigns are resolved once within the caller's scope, cells become typed values without a detour over texts.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::NaiveDate;

use super::cells::{Cell, first_message};
use super::rows::Row;
use super::{Job, Outcome, Parser, Problem, Writer};
use crate::campaigns;
use crate::connection::Connection;
use crate::error::StorageError;
use crate::performance::NewMetric;
use crate::performance::bulk::Bulk;
use crate::performance::partitions;
use crate::url::DatabaseUrl;

/// Names of the columns that are read, each with the place of its cell; the first name is ours, the others are the sample bundle's.
const COLUMNS: [&[&str]; 17] = [
    &["campaign_id"],
    &["tenant_id"],
    &["retailer_id"],
    &["date"],
    &["placement_type"],
    &["audience_segment", "audience_segment_id"],
    &["category"],
    &["sku_id"],
    &["impression_kind"],
    &["impressions"],
    &["clicks"],
    &["conversions"],
    &["spend"],
    &["revenue"],
    &["units_sold"],
    &["new_to_brand_conversions"],
    &["currency"],
];

/// Largest measure: sums of millions of rows stay within 64 bits.
const MAX_MEASURE: i64 = 1_000_000_000_000_000;

/// Campaigns remembered; a file with more of them asks again.
const MAX_CAMPAIGNS: usize = 100_000;

/// Reads performance.
#[derive(Default)]
pub(super) struct PerformanceParser {
    /// For each column of the file its place in [`COLUMNS`].
    places: Vec<Option<usize>>,
    ignored: Vec<String>,
    taken: PerformanceRows,
    /// Places of the campaigns of `taken`.
    known: HashMap<String, usize>,
    key: String,
}

/// Rows whose campaigns are not known yet.
#[derive(Default)]
pub(super) struct PerformanceRows {
    metrics: Vec<NewMetric>,
    /// For each row its line and the place of its campaign in `campaigns`.
    origins: Vec<(u64, usize)>,
    campaigns: Vec<Named>,
    months: BTreeSet<NaiveDate>,
}

/// Writes performance.
#[derive(Default)]
pub(super) struct PerformanceWriter {
    campaigns: HashMap<Named, Result<Target, String>>,
    bulk: Bulk,
    /// Months whose partitions were seen to.
    months: BTreeSet<NaiveDate>,
}

/// How a row names its campaign.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Named {
    campaign_id: String,
    tenant_id: Option<String>,
    retailer_id: Option<String>,
}

/// The campaign that is meant.
#[derive(Debug, Clone)]
struct Target {
    id: i64,
    tenant_id: String,
}

impl PerformanceParser {
    fn place_columns(&mut self, columns: &[String]) {
        for column in columns.iter().skip(self.places.len()) {
            let place = COLUMNS.iter().position(|names| names.contains(&column.as_str()));
            if place.is_none() {
                self.ignored.push(column.clone());
            }
            self.places.push(place);
        }
    }

    /// The place of a campaign among those met so far; no text is copied for one that was met before.
    fn place_of(&mut self, campaign: &str, tenant: Option<&str>, retailer: Option<&str>) -> usize {
        self.key.clear();
        for part in [Some(campaign), tenant, retailer] {
            self.key.push_str(part.unwrap_or_default());
            self.key.push('\u{1f}');
        }
        if let Some(place) = self.known.get(&self.key) {
            return *place;
        }
        let place = self.taken.campaigns.len();
        self.taken.campaigns.push(Named {
            campaign_id: campaign.to_owned(),
            tenant_id: tenant.map(str::to_owned),
            retailer_id: retailer.map(str::to_owned),
        });
        self.known.insert(self.key.clone(), place);
        place
    }
}

impl PerformanceWriter {
    /// Finds the campaigns that were not met before, all of a batch in few queries, each within the caller's scope.
    fn resolve(&mut self, conn: &mut Connection, job: &Job<'_>, campaigns: &[Named]) -> Result<(), StorageError> {
        if self.campaigns.len() > MAX_CAMPAIGNS {
            self.campaigns.clear();
        }
        let unmet: Vec<&Named> = campaigns.iter().filter(|named| !self.campaigns.contains_key(named)).collect();
        let ids: BTreeSet<&str> = unmet.iter().map(|named| named.campaign_id.as_str()).collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        let mut found: HashMap<String, Vec<campaigns::Campaign>> = HashMap::new();
        for some in ids.chunks(500) {
            for campaign in campaigns::find_many(conn, job.scope, some)? {
                found.entry(campaign.campaign_id.clone()).or_default().push(campaign);
            }
        }
        for named in unmet {
            let fits = |row: &&campaigns::Campaign| {
                named.tenant_id.as_ref().is_none_or(|tenant| *tenant == row.tenant_id)
                    && named.retailer_id.as_ref().is_none_or(|retailer| *retailer == row.retailer_id)
            };
            let fitting: Vec<&campaigns::Campaign> = found.get(&named.campaign_id).into_iter().flatten().filter(fits).collect();
            let target = match fitting.as_slice() {
                [one] => Ok(Target { id: one.id, tenant_id: one.tenant_id.clone() }),
                [] => Err(format!("there is no campaign {:?} of this tenant and retailer; import it first", named.campaign_id)),
                _ => Err(format!("several tenants have a campaign {:?}; add a column tenant_id", named.campaign_id)),
            };
            self.campaigns.insert(named.clone(), target);
        }
        Ok(())
    }

    /// The rows whose campaign exists; the others are rejected.
    fn resolved(
        &mut self,
        conn: &mut Connection,
        job: &Job<'_>,
        rows: PerformanceRows,
        outcome: &mut Outcome,
    ) -> Result<Vec<NewMetric>, StorageError> {
        self.resolve(conn, job, &rows.campaigns)?;
        let targets: Vec<_> = rows.campaigns.iter().map(|named| self.campaigns.get(named)).collect();
        let mut resolved = rows.metrics;
        let mut origins = rows.origins.into_iter();
        resolved.retain_mut(|metric| {
            let target = origins.next().and_then(|(line, place)| Some((line, (*targets.get(place)?)?)));
            match target {
                Some((_, Ok(target))) => {
                    metric.campaign = target.id;
                    metric.tenant_id.clone_from(&target.tenant_id);
                    true
                }
                Some((line, Err(message))) => {
                    outcome.reject(line, Problem::new("campaign_id", message.as_str()));
                    false
                }
                None => false,
            }
        });
        outcome.superseded += keep_last(&mut resolved);
        Ok(resolved)
    }
}

/// Keeps of the rows with one key the last; says how many went.
fn keep_last(rows: &mut Vec<NewMetric>) -> u64 {
    let mut seen = HashSet::with_capacity(rows.len());
    let stays: Vec<bool> = rows.iter().rev().map(|row| seen.insert(row.key())).collect();
    let before = rows.len();
    if seen.len() < before {
        let mut stays = stays.into_iter().rev();
        rows.retain(|_| stays.next().unwrap_or(true));
    }
    (before - rows.len()) as u64
}

fn named(field: &'static str) -> impl Fn(String) -> Problem {
    move |message| Problem::new(field, message)
}

fn bounded(field: &'static str, measure: Result<Option<i64>, String>) -> Result<Option<i64>, Problem> {
    match measure.map_err(named(field))? {
        Some(value) if value.unsigned_abs() > MAX_MEASURE.unsigned_abs() => {
            let most = if matches!(field, "spend" | "revenue") { "1,000,000,000 in money" } else { "10^15" };
            Err(Problem::new(field, format!("is larger than {most}")))
        }
        other => Ok(other),
    }
}

fn part(field: &'static str, cell: &Cell<'_>, most: usize) -> Result<String, Problem> {
    Ok(cell.short_text(most).map_err(named(field))?.map_or_else(String::new, std::borrow::Cow::into_owned))
}

impl Parser for PerformanceParser {
    type Rows = PerformanceRows;

    fn take(&mut self, row: &Row<'_>) -> Result<(), Problem> {
        self.place_columns(row.columns);
        let mut cells: [Cell<'_>; COLUMNS.len()] = [Cell::Empty; COLUMNS.len()];
        for (cell, place) in row.cells.iter().zip(&self.places) {
            if let Some(slot) = place.and_then(|place| cells.get_mut(place)) {
                *slot = *cell;
            }
        }
        let [campaign, tenant, retailer, date, placement, segment, category, sku, kind, rest @ ..] = &cells;
        let [impressions, clicks, conversions, spend, revenue, units, new_to_brand, currency] = rest;
        let count = |field: &'static str, cell: &Cell<'_>| bounded(field, cell.count());
        let missing = |field: &'static str| move || Problem::new(field, "is required");
        let date: NaiveDate = date.date().map_err(named("date"))?.ok_or_else(missing("date"))?;
        domain::day::check("date", date).map_err(first_message).map_err(named("date"))?;
        let metric = NewMetric {
            campaign: 0,
            tenant_id: String::new(),
            date,
            placement_type: part("placement_type", placement, 100)?,
            audience_segment: part("audience_segment", segment, 100)?,
            category: part("category", category, 100)?,
            sku_id: part("sku_id", sku, 100)?,
            impression_kind: part("impression_kind", kind, 40)?,
            impressions: count("impressions", impressions)?,
            clicks: count("clicks", clicks)?,
            conversions: count("conversions", conversions)?,
            spend_micros: bounded("spend", spend.money("spend"))?,
            revenue_micros: bounded("revenue", revenue.money("revenue"))?,
            units_sold: count("units_sold", units)?,
            new_to_brand_conversions: count("new_to_brand_conversions", new_to_brand)?,
            currency: currency.currency("currency").map_err(named("currency"))?.map(std::borrow::Cow::into_owned),
            source: "import".to_owned(),
        };
        let campaign = campaign.short_text(100).map_err(named("campaign_id"))?.ok_or_else(missing("campaign_id"))?;
        let tenant = tenant.short_text(100).map_err(named("tenant_id"))?;
        let retailer = retailer.short_text(100).map_err(named("retailer_id"))?;
        let place = self.place_of(&campaign, tenant.as_deref(), retailer.as_deref());
        self.taken.months.insert(partitions::month_of(date));
        self.taken.metrics.push(metric);
        self.taken.origins.push((row.line, place));
        Ok(())
    }

    fn rows(&mut self) -> PerformanceRows {
        self.known.clear();
        std::mem::take(&mut self.taken)
    }

    fn ignored(&self) -> Vec<String> {
        self.ignored.clone()
    }

    fn alias_of(field: &str, columns: &[String]) -> Option<String> {
        let names = COLUMNS.iter().find(|names| names.contains(&field))?;
        columns.iter().find(|column| names.contains(&column.as_str())).cloned()
    }
}

impl Writer for PerformanceWriter {
    type Parser = PerformanceParser;

    fn prepare(&mut self, url: Option<&DatabaseUrl>, rows: &PerformanceRows) -> Result<(), StorageError> {
        let new: BTreeSet<NaiveDate> = rows.months.difference(&self.months).copied().collect();
        if let Some(url) = url {
            partitions::ensure(url, &new)?;
        }
        self.months.extend(new);
        Ok(())
    }

    fn write(&mut self, conn: &mut Connection, job: &Job<'_>, rows: PerformanceRows, outcome: &mut Outcome) -> Result<(), StorageError> {
        let rows = self.resolved(conn, job, rows, outcome)?;
        outcome.count(self.bulk.write(conn, &rows, job.now)?);
        Ok(())
    }

    fn check(&mut self, conn: &mut Connection, job: &Job<'_>, rows: PerformanceRows, outcome: &mut Outcome) -> Result<(), StorageError> {
        self.resolved(conn, job, rows, outcome).map(drop)
    }

    fn finish(&mut self, conn: &mut Connection, job: &Job<'_>) -> Result<(), StorageError> {
        self.bulk.finish(conn, job.now)
    }
}
