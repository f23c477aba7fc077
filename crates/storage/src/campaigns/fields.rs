//! The written fields of a campaign: what applies when nothing is said, and what a stored campaign says.

use serde_json::json;

use super::{Campaign, NewCampaign};
use crate::types::Json;

impl Default for NewCampaign {
    fn default() -> Self {
        Self {
            campaign_id: String::new(),
            tenant_id: String::new(),
            retailer_id: String::new(),
            brand_id: None,
            name: String::new(),
            objective: None,
            start_date: None,
            end_date: None,
            total_budget_micros: None,
            currency: None,
            allocated_budget: None,
            placement_types: Json(json!([])),
            target_audiences: Json(json!([])),
            target_skus: Json(json!([])),
            constraints: Json(json!({})),
            attributes: Json(json!({})),
            status: "draft".to_owned(),
        }
    }
}

impl From<Campaign> for NewCampaign {
    fn from(row: Campaign) -> Self {
        Self {
            campaign_id: row.campaign_id,
            tenant_id: row.tenant_id,
            retailer_id: row.retailer_id,
            brand_id: row.brand_id,
            name: row.name,
            objective: row.objective,
            start_date: row.start_date,
            end_date: row.end_date,
            total_budget_micros: row.total_budget_micros,
            currency: row.currency,
            allocated_budget: row.allocated_budget,
            placement_types: row.placement_types,
            target_audiences: row.target_audiences,
            target_skus: row.target_skus,
            constraints: row.constraints,
            attributes: row.attributes,
            status: row.status,
        }
    }
}
