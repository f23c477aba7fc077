//! Real outputs to judge: the newest plans that the software proposed for a tenant.

use diesel::prelude::*;

use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::schema::{campaign_plans as p, campaigns as c};
use crate::types::Json;

/// A proposed plan with the campaign it is for.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct ProposedPlan {
    /// Public id.
    pub plan_id: String,
    /// The campaign's name.
    pub campaign_name: String,
    /// What the campaign is for.
    pub objective: Option<String>,
    /// Money to be spent, micros.
    pub budget_micros: i64,
    /// Its currency.
    pub currency: String,
    /// Days it is planned for.
    pub horizon_days: i32,
    /// The plan.
    pub plan: Json,
}

/// The newest plans of a tenant, for a brand's campaigns and those without a brand.
///
/// # Errors
/// As any query.
pub fn newest_plans(conn: &mut Connection, tenant_id: &str, brand_id: &str, limit: i64) -> Result<Vec<ProposedPlan>, StorageError> {
    Ok(on!(conn, native => p::table
        .inner_join(c::table)
        .filter(p::tenant_id.eq(tenant_id).and(c::tenant_id.eq(tenant_id)))
        .filter(c::brand_id.eq(brand_id).or(c::brand_id.is_null()))
        .order(p::id.desc())
        .limit(limit.clamp(1, 50))
        .select((p::plan_id, c::name, c::objective, p::budget_micros, p::currency, p::horizon_days, p::plan))
        .load(native))?)
}
