//! Pairs of campaign and product: they are added to the campaigns' `target_skus`, never taken away.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use super::rows::Row;
use super::{Job, Outcome, Parser, Problem, Writer};
use crate::campaigns::history::{Action, Change};
use crate::campaigns::{self, NewCampaign};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::types::Json;

/// Products by campaign, each with its line.
type ByCampaign = BTreeMap<String, Vec<(u64, String)>>;

/// Reads the products of campaigns.
#[derive(Default)]
pub(super) struct CampaignSkusParser {
    columns: Vec<String>,
    by_campaign: ByCampaign,
}

/// Adds products to campaigns.
#[derive(Default)]
pub(super) struct CampaignSkusWriter;

impl Parser for CampaignSkusParser {
    type Rows = ByCampaign;

    fn take(&mut self, row: &Row<'_>) -> Result<(), Problem> {
        let columns = row.columns;
        if self.columns.len() < columns.len() {
            self.columns = columns.to_vec();
        }
        let read = |field: &str| {
            let cell = columns.iter().position(|column| column == field).and_then(|place| row.cells.get(place));
            let text = cell.map_or(Ok(None), |cell| cell.id(field)).map_err(|message| Problem::new(field, message))?;
            text.map(std::borrow::Cow::into_owned).ok_or_else(|| Problem::new(field, "is required"))
        };
        let (campaign_id, sku_id) = (read("campaign_id")?, read("sku_id")?);
        self.by_campaign.entry(campaign_id).or_default().push((row.line, sku_id));
        Ok(())
    }

    fn rows(&mut self) -> ByCampaign {
        std::mem::take(&mut self.by_campaign)
    }

    fn ignored(&self) -> Vec<String> {
        self.columns.iter().filter(|column| !["campaign_id", "sku_id"].contains(&column.as_str())).cloned().collect()
    }
}

impl Writer for CampaignSkusWriter {
    type Parser = CampaignSkusParser;

    fn write(&mut self, conn: &mut Connection, job: &Job<'_>, rows: ByCampaign, outcome: &mut Outcome) -> Result<(), StorageError> {
        for (campaign_id, pairs) in rows {
            let campaign = match campaigns::find(conn, job.scope, &campaign_id) {
                Ok(campaign) => campaign,
                Err(error @ (StorageError::NotFound { .. } | StorageError::Conflict { .. })) => {
                    for (line, _) in pairs {
                        outcome.reject(line, Problem::new("campaign_id", error.to_string()));
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            let mut skus: Vec<Value> = campaign.target_skus.as_array().cloned().unwrap_or_default();
            let mut seen: HashSet<String> = skus.iter().filter_map(|sku| sku.as_str().map(str::to_owned)).collect();
            let before = skus.len();
            for (_, sku) in pairs {
                if seen.insert(sku.clone()) {
                    skus.push(json!(sku));
                    outcome.inserted += 1;
                } else {
                    outcome.unchanged += 1;
                }
            }
            if skus.len() > before {
                let id = campaign.id;
                let changed = NewCampaign { target_skus: Json(Value::Array(skus)), ..campaign.into() };
                campaigns::replace(conn, job.scope, id, &changed, &Change::of(Action::Import), job.now)?;
            }
        }
        Ok(())
    }
}
