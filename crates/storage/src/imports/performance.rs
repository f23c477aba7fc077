//! Performance rows: campaigns are resolved once within the caller's scope, cells become typed values without a detour over texts.

use std::collections::{BTreeSet, HashMap};

use chrono::{Datelike, NaiveDate};

use super::cells::Cell;
use super::rows::Row;
use super::{Job, Loader, Outcome, Problem};
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

/// Loads performance.
#[derive(Default)]
pub(super) struct PerformanceLoader {
    /// For each column of the file its place in [`COLUMNS`].
    places: Vec<Option<usize>>,
    ignored: Vec<String>,
    taken: Vec<NewMetric>,
    /// For each row taken its line and the place of its campaign in `campaigns`.
    origins: Vec<(u64, usize)>,
    campaigns: Vec<(Named, Option<Result<Target, String>>)>,
    known: HashMap<String, usize>,
    key: String,
    bulk: Option<Bulk>,
    /// Months whose partitions were seen to.
    months: BTreeSet<NaiveDate>,
}

/// How a row names its campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
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

impl PerformanceLoader {
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
        let named =
            Named { campaign_id: campaign.to_owned(), tenant_id: tenant.map(str::to_owned), retailer_id: retailer.map(str::to_owned) };
        self.campaigns.push((named, None));
        self.known.insert(self.key.clone(), self.campaigns.len() - 1);
        self.campaigns.len() - 1
    }

    /// Finds the campaigns that were not met before, all of a batch in one query, each within the caller's scope.
    fn resolve(&mut self, conn: &mut Connection, job: &Job<'_>) -> Result<(), StorageError> {
        let ids: BTreeSet<&str> =
            self.campaigns.iter().filter(|(_, target)| target.is_none()).map(|(named, _)| named.campaign_id.as_str()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let ids: Vec<&str> = ids.into_iter().collect();
        let mut found = Vec::new();
        for some in ids.chunks(500) {
            found.extend(campaigns::find_many(conn, job.scope, some)?);
        }
        for (named, target) in self.campaigns.iter_mut().filter(|(_, target)| target.is_none()) {
            let fits = |row: &&campaigns::Campaign| {
                row.campaign_id == named.campaign_id
                    && named.tenant_id.as_ref().is_none_or(|tenant| *tenant == row.tenant_id)
                    && named.retailer_id.as_ref().is_none_or(|retailer| *retailer == row.retailer_id)
            };
            let fitting: Vec<&campaigns::Campaign> = found.iter().filter(fits).collect();
            *target = Some(match fitting.as_slice() {
                [one] => Ok(Target { id: one.id, tenant_id: one.tenant_id.clone() }),
                [] => Err(format!("there is no campaign {:?} of this tenant and retailer; import it first", named.campaign_id)),
                _ => Err(format!("several tenants have a campaign {:?}; add a column tenant_id", named.campaign_id)),
            });
        }
        Ok(())
    }

    /// The rows taken whose campaign exists; the others are rejected.
    fn resolved(&mut self, outcome: &mut Outcome) -> Vec<NewMetric> {
        let (taken, origins) = (std::mem::take(&mut self.taken), std::mem::take(&mut self.origins));
        let mut rows = Vec::with_capacity(taken.len());
        for (mut metric, (line, place)) in taken.into_iter().zip(origins) {
            match self.campaigns.get(place).and_then(|(_, target)| target.as_ref()) {
                Some(Ok(target)) => {
                    metric.campaign = target.id;
                    metric.tenant_id.clone_from(&target.tenant_id);
                    rows.push(metric);
                }
                Some(Err(message)) => outcome.reject(line, Problem::new("campaign_id", message.as_str())),
                None => outcome.reject(line, Problem::new("campaign_id", "could not be resolved")),
            }
        }
        if self.campaigns.len() > MAX_CAMPAIGNS {
            self.campaigns.clear();
            self.known.clear();
        }
        rows
    }
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

impl Loader for PerformanceLoader {
    fn prepare(&mut self, url: Option<&DatabaseUrl>) -> Result<(), StorageError> {
        let new: BTreeSet<NaiveDate> =
            self.taken.iter().map(|row| partitions::month_of(row.date)).filter(|month| !self.months.contains(month)).collect();
        if let Some(url) = url {
            partitions::ensure(url, &new)?;
        }
        self.months.extend(new);
        Ok(())
    }

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
        if !(1900..=2999).contains(&date.year()) {
            return Err(Problem::new("date", format!("{date} is not between 1900 and 2999")));
        }
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
        self.taken.push(metric);
        self.origins.push((row.line, place));
        Ok(())
    }

    fn write(&mut self, conn: &mut Connection, job: &Job<'_>, outcome: &mut Outcome) -> Result<(), StorageError> {
        self.resolve(conn, job)?;
        let rows = self.resolved(outcome);
        let bulk = match &mut self.bulk {
            Some(bulk) => bulk,
            empty => empty.insert(Bulk::begin(conn)?),
        };
        outcome.count(bulk.write(conn, &rows, job.now)?);
        Ok(())
    }

    fn finish(&mut self, conn: &mut Connection, job: &Job<'_>) -> Result<(), StorageError> {
        match self.bulk.take() {
            Some(bulk) => bulk.finish(conn, job.now),
            None => Ok(()),
        }
    }

    fn check(&mut self, conn: &mut Connection, job: &Job<'_>, outcome: &mut Outcome) -> Result<(), StorageError> {
        self.resolve(conn, job)?;
        self.resolved(outcome);
        Ok(())
    }

    fn ignored(&self) -> Vec<String> {
        self.ignored.clone()
    }

    fn alias_of(&self, field: &str, columns: &[String]) -> Option<String> {
        let names = COLUMNS.iter().find(|names| names.contains(&field))?;
        columns.iter().find(|column| names.contains(&column.as_str())).cloned()
    }
}
