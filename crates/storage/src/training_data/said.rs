//! Feedback in the order of its primary key, for training and exports.

use diesel::prelude::*;
use domain::scope::Scope;

use super::TrainingFilter;
use crate::connection::Connection;
use crate::error::StorageError;
use crate::feedback::Feedback;
use crate::on;
use crate::schema::{brands as b, feedback as t};
use crate::types::Timestamp;

/// Feedback of this scope after a primary key, in its order.
///
/// # Errors
/// As any query.
pub fn feedback(
    conn: &mut Connection,
    scope: &Scope,
    filter: &TrainingFilter,
    after: i64,
    limit: i64,
) -> Result<Vec<Feedback>, StorageError> {
    Ok(on!(conn, c => {
        let mut query = t::table.select(Feedback::as_select()).filter(t::id.gt(after)).order(t::id).limit(limit.clamp(1, 1000)).into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        if let Some(task_type) = &filter.task_type {
            query = query.filter(t::task_type.eq(task_type));
        }
        if let Some(retailer) = &filter.retailer_id {
            let brands = b::table.filter(b::retailer_id.eq(retailer)).select(b::brand_id.nullable());
            query = query.filter(t::brand_id.eq_any(brands));
        }
        if let Some(from) = filter.from {
            query = query.filter(t::created_at.ge(Timestamp(from)));
        }
        if let Some(to) = filter.to {
            query = query.filter(t::created_at.lt(Timestamp(to)));
        }
        query.load(c)
    })?)
}
