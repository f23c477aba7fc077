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

/// The best other plan of a set: the chosen one, else that with the best score or expected outcome; its plan document.
///
/// # Errors
/// As any query.
pub fn other_plan(conn: &mut Connection, tenant_id: &str, plan_set_id: &str, than: &str) -> Result<Option<Json>, StorageError> {
    let plans: Vec<(String, String, Option<f64>, Json)> = on!(conn, native => p::table
        .filter(p::tenant_id.eq(tenant_id).and(p::plan_set_id.eq(plan_set_id)).and(p::plan_id.ne(than)))
        .order(p::position)
        .select((p::plan_id, p::status, p::score, p::plan))
        .load(native))?;
    let net = |plan: &Json| plan.get("expected_net_micros").and_then(serde_json::Value::as_f64).unwrap_or(f64::MIN);
    let best = plans.into_iter().max_by(|a, b| {
        (a.1 == "chosen")
            .cmp(&(b.1 == "chosen"))
            .then(a.2.unwrap_or(f64::MIN).total_cmp(&b.2.unwrap_or(f64::MIN)))
            .then(net(&a.3).total_cmp(&net(&b.3)))
    });
    Ok(best.map(|plan| plan.3))
}
