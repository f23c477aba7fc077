//! How each catalog table is named, owned, completed, read and written by an import.

use std::str::FromStr as _;

use domain::campaign::life::{Facts, Flight, check_change};
use domain::campaign::{CampaignStatus, RESERVED_IDS};
use serde_json::{Map, Value};

use super::catalog::{CatalogRow, References};
use super::cells::first_message;
use super::mapping::Mapping;
use super::{Job, Problem, Table};
use crate::brands::{self, NewBrand};
use crate::campaigns::due;
use crate::campaigns::history::{Action, Change};
use crate::campaigns::{self, NewCampaign};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::retailers::{self, NewRetailer};
use crate::segments::{self, NewSegment};
use crate::skus::{self, NewSku};

fn given<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    fields.get(name).and_then(Value::as_str)
}

fn require(field: &str, value: &str) -> Result<(), Problem> {
    if value.is_empty() { Err(Problem::new(field, "is required")) } else { Ok(()) }
}

impl CatalogRow for NewRetailer {
    const TABLE: Table = Table::Retailers;
    const ID: &'static str = "retailer_id";

    fn within(_: &Map<String, Value>, _: &References) -> String {
        String::new()
    }

    fn owner(&self) -> &str {
        &self.retailer_id
    }

    fn complete(&mut self, _: &Map<String, Value>, _: bool, _: &References) -> Result<(), Problem> {
        require("name", &self.name)?;
        let wrong = Mapping::parse(&self.mapping_config).err().and_then(|invalid| invalid.fields.into_iter().next());
        match wrong {
            Some(place) => Err(Problem::new("mapping_config", format!("{}: {}", place.field, place.message))),
            None => Ok(()),
        }
    }

    fn find_stored(conn: &mut Connection, _: &str, ids: &[&str]) -> Result<Vec<(i64, String, Self)>, StorageError> {
        Ok(retailers::find_many(conn, ids)?.into_iter().map(|row| (row.id, row.retailer_id.clone(), row.into())).collect())
    }

    fn insert_many(conn: &mut Connection, rows: &[Self], job: &Job<'_>) -> Result<usize, StorageError> {
        retailers::insert_many(conn, rows, job.now)
    }

    fn replace(conn: &mut Connection, id: i64, row: &Self, job: &Job<'_>) -> Result<(), StorageError> {
        retailers::replace(conn, id, row, job.now)
    }
}

impl CatalogRow for NewBrand {
    const TABLE: Table = Table::Brands;
    const ID: &'static str = "brand_id";

    fn within(_: &Map<String, Value>, _: &References) -> String {
        String::new()
    }

    fn owner(&self) -> &str {
        &self.tenant_id
    }

    fn complete(&mut self, fields: &Map<String, Value>, _: bool, known: &References) -> Result<(), Problem> {
        require("name", &self.name)?;
        if let Some(retailer_id) = given(fields, "retailer_id") {
            known.currency_of(retailer_id)?;
        }
        if self.tenant_id.is_empty() {
            // The caller's; what the platform brings is a tenant of its own.
            self.tenant_id = known.own_tenant().unwrap_or(&self.brand_id).to_owned();
        }
        Ok(())
    }

    fn find_stored(conn: &mut Connection, _: &str, ids: &[&str]) -> Result<Vec<(i64, String, Self)>, StorageError> {
        Ok(brands::find_many(conn, ids)?.into_iter().map(|row| (row.id, row.brand_id.clone(), row.into())).collect())
    }

    fn insert_many(conn: &mut Connection, rows: &[Self], job: &Job<'_>) -> Result<usize, StorageError> {
        brands::insert_many(conn, rows, job.now)
    }

    fn replace(conn: &mut Connection, id: i64, row: &Self, job: &Job<'_>) -> Result<(), StorageError> {
        brands::replace(conn, id, row, job.now)
    }
}

impl CatalogRow for NewSku {
    const TABLE: Table = Table::Skus;
    const ID: &'static str = "sku_id";

    fn within(fields: &Map<String, Value>, _: &References) -> String {
        given(fields, "retailer_id").unwrap_or_default().to_owned()
    }

    fn owner(&self) -> &str {
        self.tenant_id.as_deref().unwrap_or(&self.retailer_id)
    }

    fn complete(&mut self, fields: &Map<String, Value>, is_new: bool, known: &References) -> Result<(), Problem> {
        require("retailer_id", &self.retailer_id)?;
        require("name", &self.name)?;
        let retailer_currency = known.currency_of(&self.retailer_id)?;
        if is_new || fields.contains_key("brand_id") {
            self.tenant_id = Some(match &self.brand_id {
                Some(brand_id) => known.tenant_of(brand_id)?,
                None => self.retailer_id.clone(),
            });
        }
        if self.currency.is_none() && (self.price_micros.is_some() || self.cost_micros.is_some()) {
            self.currency = retailer_currency;
        }
        Ok(())
    }

    fn find_stored(conn: &mut Connection, within: &str, ids: &[&str]) -> Result<Vec<(i64, String, Self)>, StorageError> {
        Ok(skus::find_many(conn, within, ids)?.into_iter().map(|row| (row.id, row.sku_id.clone(), row.into())).collect())
    }

    fn insert_many(conn: &mut Connection, rows: &[Self], job: &Job<'_>) -> Result<usize, StorageError> {
        skus::insert_many(conn, rows, job.now)
    }

    fn replace(conn: &mut Connection, id: i64, row: &Self, job: &Job<'_>) -> Result<(), StorageError> {
        skus::replace(conn, id, row, job.now)
    }
}

impl CatalogRow for NewSegment {
    const TABLE: Table = Table::AudienceSegments;
    const ID: &'static str = "segment_id";

    fn within(fields: &Map<String, Value>, _: &References) -> String {
        given(fields, "retailer_id").unwrap_or_default().to_owned()
    }

    fn owner(&self) -> &str {
        &self.retailer_id
    }

    fn complete(&mut self, _: &Map<String, Value>, _: bool, known: &References) -> Result<(), Problem> {
        require("retailer_id", &self.retailer_id)?;
        require("name", &self.name)?;
        require("segment_type", &self.segment_type)?;
        known.currency_of(&self.retailer_id).map(drop)
    }

    fn find_stored(conn: &mut Connection, within: &str, ids: &[&str]) -> Result<Vec<(i64, String, Self)>, StorageError> {
        Ok(segments::find_many(conn, within, ids)?.into_iter().map(|row| (row.id, row.segment_id.clone(), row.into())).collect())
    }

    fn insert_many(conn: &mut Connection, rows: &[Self], job: &Job<'_>) -> Result<usize, StorageError> {
        segments::insert_many(conn, rows, job.now)
    }

    fn replace(conn: &mut Connection, id: i64, row: &Self, job: &Job<'_>) -> Result<(), StorageError> {
        segments::replace(conn, id, row, job.now)
    }
}

impl CatalogRow for NewCampaign {
    const TABLE: Table = Table::Campaigns;
    const ID: &'static str = "campaign_id";

    fn within(fields: &Map<String, Value>, known: &References) -> String {
        let of_brand = given(fields, "brand_id").and_then(|brand_id| known.tenant_of(brand_id).ok());
        let retailer_id = given(fields, "retailer_id").unwrap_or_default();
        campaigns::owner(given(fields, "tenant_id"), known.own_tenant(), of_brand.as_deref(), retailer_id)
    }

    fn owner(&self) -> &str {
        &self.tenant_id
    }

    fn complete(&mut self, fields: &Map<String, Value>, is_new: bool, known: &References) -> Result<(), Problem> {
        require("retailer_id", &self.retailer_id)?;
        require("name", &self.name)?;
        if is_new || fields.contains_key("retailer_id") {
            known.currency_of(&self.retailer_id)?;
        }
        if let Some(brand_id) = given(fields, "brand_id") {
            known.tenant_of(brand_id)?;
        }
        if is_new {
            self.tenant_id = Self::within(fields, known);
        }
        for (field, day) in [("start_date", self.start_date), ("end_date", self.end_date)] {
            day.map_or(Ok(()), |day| domain::day::check(field, day)).map_err(|invalid| Problem::new(field, first_message(invalid)))?;
        }
        if let (Some(start), Some(end)) = (self.start_date, self.end_date)
            && end < start
        {
            return Err(Problem::new("end_date", "is before start_date"));
        }
        if self.total_budget_micros.is_some_and(|budget| budget < 0) {
            return Err(Problem::new("total_budget", "must not be negative"));
        }
        if is_new && RESERVED_IDS.contains(&self.campaign_id.as_str()) {
            return Err(Problem::new("campaign_id", "is a word of our own addresses; choose another id"));
        }
        let names_money = is_new || fields.contains_key("total_budget_micros") || fields.contains_key("currency");
        if names_money && self.total_budget_micros.is_some() && self.currency.is_none() {
            return Err(Problem::new("currency", "is required beside total_budget: name the currency of the amount"));
        }
        Ok(())
    }

    fn find_stored(conn: &mut Connection, within: &str, ids: &[&str]) -> Result<Vec<(i64, String, Self)>, StorageError> {
        let scope = domain::scope::Scope::system("import").narrowed_to(within);
        Ok(campaigns::find_many(conn, &scope, ids)?.into_iter().map(|row| (row.id, row.campaign_id.clone(), row.into())).collect())
    }

    fn insert_many(conn: &mut Connection, rows: &[Self], job: &Job<'_>) -> Result<usize, StorageError> {
        campaigns::insert_many(conn, job.scope, rows, &Change::of(Action::Import), job.now)
    }

    fn check_change(&self, conn: &mut Connection, id: i64, stored: &Self) -> Result<Option<Problem>, StorageError> {
        if self.currency == stored.currency {
            return Ok(None);
        }
        let row = campaigns::locked(conn, &domain::scope::Scope::system("import"), id)?;
        let status = CampaignStatus::from_str(&row.status).map_err(|_| StorageError::Corrupt(format!("a campaign is {:?}", row.status)))?;
        let measured = due::measured(conn, &[&row])?.remove(&id);
        let facts = Facts {
            today: row.created_at.0.date_naive(),
            spent_micros: None,
            has_performance: measured.is_some(),
            row_currencies: measured.map(|measured| measured.currencies).unwrap_or_default(),
            retailer_is_active: true,
            has_eligible_sku: true,
            failing_creatives: Vec::new(),
        };
        // An import may pass the other guards of a campaign's life.
        let flight = |currency: &Option<String>| Flight { currency: currency.clone(), ..Flight::default() };
        let checked = check_change(status, &flight(&row.currency), &flight(&self.currency), &facts);
        Ok(checked.err().map(|invalid| Problem::new("currency", first_message(invalid))))
    }

    fn replace(conn: &mut Connection, id: i64, row: &Self, job: &Job<'_>) -> Result<(), StorageError> {
        campaigns::replace(conn, job.scope, id, row, &Change::of(Action::Import), job.now)
    }
}
