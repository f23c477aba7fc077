//! Performance rows: campaigns are resolved once, and rows are written in bulk.

use std::collections::{BTreeSet, HashMap};

use chrono::NaiveDate;

use super::cells::Cell;
use super::rows::Row;
use super::{Job, Loader, Outcome, Problem};
use crate::campaigns;
use crate::connection::Connection;
use crate::error::StorageError;
use crate::performance::NewMetric;
use crate::performance::bulk::Bulk;

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

/// Loads performance.
#[derive(Default)]
pub(super) struct PerformanceLoader {
    /// For each column of the file its place in [`COLUMNS`].
    places: Vec<Option<usize>>,
    ignored: Vec<String>,
    taken: Vec<Taken>,
    campaigns: HashMap<Named, Result<Target, String>>,
    bulk: Option<Bulk>,
}

/// How a row names its campaign.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

struct Taken {
    line: u64,
    named: Named,
    metric: NewMetric,
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

    /// Finds the campaigns that were not met before, all of a batch in one query.
    fn resolve(&mut self, conn: &mut Connection, job: &Job<'_>) -> Result<(), StorageError> {
        let new: BTreeSet<&Named> = self.taken.iter().map(|row| &row.named).filter(|named| !self.campaigns.contains_key(named)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let ids: BTreeSet<&str> = new.iter().map(|named| named.campaign_id.as_str()).collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        let found = campaigns::find_many(conn, job.scope, &ids)?;
        let mut resolved = Vec::new();
        for named in new {
            let fits = |row: &&campaigns::Campaign| {
                row.campaign_id == named.campaign_id
                    && named.tenant_id.as_ref().is_none_or(|tenant| *tenant == row.tenant_id)
                    && named.retailer_id.as_ref().is_none_or(|retailer| *retailer == row.retailer_id)
            };
            let fitting: Vec<&campaigns::Campaign> = found.iter().filter(fits).collect();
            let target = match fitting.as_slice() {
                [one] => Ok(Target { id: one.id, tenant_id: one.tenant_id.clone() }),
                [] => Err(format!("there is no campaign {:?} of this tenant and retailer; import it first", named.campaign_id)),
                _ => Err(format!("several tenants have a campaign {:?}; add a column tenant_id", named.campaign_id)),
            };
            resolved.push((named.clone(), target));
        }
        self.campaigns.extend(resolved);
        Ok(())
    }
}

impl Loader for PerformanceLoader {
    fn take(&mut self, row: &Row, columns: &[String]) -> Result<(), Problem> {
        self.place_columns(columns);
        let mut cells: [&Cell; COLUMNS.len()] = [&Cell::Empty; COLUMNS.len()];
        for (cell, place) in row.cells.iter().zip(&self.places) {
            if let Some(slot) = place.and_then(|place| cells.get_mut(place)) {
                *slot = cell;
            }
        }
        let [campaign, tenant, retailer, date, placement, segment, category, sku, kind, rest @ ..] = cells;
        let [impressions, clicks, conversions, spend, revenue, units, new_to_brand, currency] = rest;
        let named = |field: &'static str| move |message: String| Problem::new(field, message);
        let count = |field: &'static str, cell: &Cell| cell.count().map_err(named(field));
        let part = |field: &'static str, cell: &Cell, most| cell.short_text(most).map(Option::unwrap_or_default).map_err(named(field));
        let missing = |field: &'static str| move || Problem::new(field, "is required");
        let date: NaiveDate = date.date().map_err(named("date"))?.ok_or_else(missing("date"))?;
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
            spend_micros: spend.money("spend").map_err(named("spend"))?,
            revenue_micros: revenue.money("revenue").map_err(named("revenue"))?,
            units_sold: count("units_sold", units)?,
            new_to_brand_conversions: count("new_to_brand_conversions", new_to_brand)?,
            currency: match currency.convert("currency", super::columns::Kind::Currency).map_err(named("currency"))? {
                serde_json::Value::String(code) => Some(code),
                _ => None,
            },
            source: "import".to_owned(),
        };
        let named = Named {
            campaign_id: campaign.text().map_err(named("campaign_id"))?.ok_or_else(missing("campaign_id"))?,
            tenant_id: tenant.text().map_err(named("tenant_id"))?,
            retailer_id: retailer.text().map_err(named("retailer_id"))?,
        };
        self.taken.push(Taken { line: row.line, named, metric });
        Ok(())
    }

    fn write(&mut self, conn: &mut Connection, job: &Job<'_>, outcome: &mut Outcome) -> Result<(), StorageError> {
        self.resolve(conn, job)?;
        let mut rows = Vec::new();
        for mut taken in std::mem::take(&mut self.taken) {
            match self.campaigns.get(&taken.named) {
                Some(Ok(target)) => {
                    taken.metric.campaign = target.id;
                    taken.metric.tenant_id.clone_from(&target.tenant_id);
                    rows.push(taken.metric);
                }
                Some(Err(message)) => outcome.reject(taken.line, Problem::new("campaign_id", message.as_str())),
                None => outcome.reject(taken.line, Problem::new("campaign_id", "could not be resolved")),
            }
        }
        let bulk = match &mut self.bulk {
            Some(bulk) => bulk,
            empty => empty.insert(Bulk::begin(conn)?),
        };
        outcome.count(bulk.write(conn, &rows, job.now)?);
        Ok(())
    }

    fn finish(&mut self, conn: &mut Connection, job: &Job<'_>, _: &mut Outcome) -> Result<(), StorageError> {
        match self.bulk.take() {
            Some(bulk) => bulk.finish(conn, job.now),
            None => Ok(()),
        }
    }

    fn ignored(&self) -> Vec<String> {
        self.ignored.clone()
    }
}
