//! What rows said before they were corrected.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::StoredMetric;
use crate::connection::Connection;
use crate::dialect::ROWS_PER_STATEMENT;
use crate::error::StorageError;
use crate::on;
use crate::schema::performance_revisions as t;
use crate::types::Timestamp;

/// Keeps the present state of rows that are about to be corrected.
pub(super) fn keep(conn: &mut Connection, rows: &[&StoredMetric], now: DateTime<Utc>) -> Result<(), StorageError> {
    for chunk in rows.chunks(ROWS_PER_STATEMENT) {
        let values: Vec<_> = chunk
            .iter()
            .map(|row| {
                (
                    (t::campaign.eq(row.campaign), t::tenant_id.eq(&row.tenant_id), t::date.eq(row.date)),
                    (
                        t::placement_type.eq(&row.placement_type),
                        t::audience_segment.eq(&row.audience_segment),
                        t::category.eq(&row.category),
                    ),
                    (t::sku_id.eq(&row.sku_id), t::impression_kind.eq(&row.impression_kind), t::currency.eq(&row.currency)),
                    (t::impressions.eq(row.impressions), t::clicks.eq(row.clicks), t::conversions.eq(row.conversions)),
                    (t::spend_micros.eq(row.spend_micros), t::revenue_micros.eq(row.revenue_micros), t::units_sold.eq(row.units_sold)),
                    (t::new_to_brand_conversions.eq(row.new_to_brand_conversions), t::source.eq(&row.source), t::version.eq(row.version)),
                    (t::valid_from.eq(row.updated_at), t::replaced_at.eq(Timestamp(now)), t::created_at.eq(Timestamp(now))),
                )
            })
            .collect();
        on!(conn, c => diesel::insert_into(t::table).values(values).execute(c))?;
    }
    Ok(())
}
