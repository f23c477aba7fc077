//! The PostgreSQL way: rows are copied in binary form into a temporary table, and merged from there by natural key.

use std::io::Write;

use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection;
use diesel::pg::CopyFormat;
use diesel::prelude::*;

use super::binary;
use crate::error::{Meaning, StorageError};
use crate::performance::{CAMPAIGN_IS_GONE, NewMetric, Written};
use crate::types::{Instant, Timestamp};

diesel::table! {
    performance_stage (campaign) {
        campaign -> BigInt,
        tenant_id -> Text,
        date -> Date,
        placement_type -> Text,
        audience_segment -> Text,
        category -> Text,
        sku_id -> Text,
        impression_kind -> Text,
        impressions -> Nullable<BigInt>,
        clicks -> Nullable<BigInt>,
        conversions -> Nullable<BigInt>,
        spend_micros -> Nullable<BigInt>,
        revenue_micros -> Nullable<BigInt>,
        units_sold -> Nullable<BigInt>,
        new_to_brand_conversions -> Nullable<BigInt>,
        currency -> Nullable<Text>,
        source -> Text,
    }
}

const COLUMNS: &str = "campaign, tenant_id, date, placement_type, audience_segment, category, sku_id, impression_kind, impressions, clicks, \
    conversions, spend_micros, revenue_micros, units_sold, new_to_brand_conversions, currency, source";

const CREATE: &str = "CREATE TEMPORARY TABLE IF NOT EXISTS performance_stage (campaign BIGINT NOT NULL, tenant_id VARCHAR(100) NOT NULL, \
    date DATE NOT NULL, placement_type VARCHAR(100) NOT NULL, audience_segment VARCHAR(100) NOT NULL, category VARCHAR(100) NOT NULL, \
    sku_id VARCHAR(100) NOT NULL, impression_kind VARCHAR(40) NOT NULL, impressions BIGINT, clicks BIGINT, conversions BIGINT, \
    spend_micros BIGINT, revenue_micros BIGINT, units_sold BIGINT, new_to_brand_conversions BIGINT, currency VARCHAR(3), \
    source VARCHAR(100) NOT NULL) ON COMMIT DROP";

/// The staged row's stored one.
const SAME_KEY: &str = "p.campaign = s.campaign AND p.date = s.date AND p.placement_type = s.placement_type \
    AND p.audience_segment = s.audience_segment AND p.category = s.category AND p.sku_id = s.sku_id AND p.impression_kind = s.impression_kind";

/// Whether the staged row says something else than the stored one; a row without a currency leaves it as it is.
const DIFFERS: &str = "(p.impressions, p.clicks, p.conversions, p.spend_micros, p.revenue_micros, p.units_sold, p.new_to_brand_conversions, p.currency) \
    IS DISTINCT FROM (s.impressions, s.clicks, s.conversions, s.spend_micros, s.revenue_micros, s.units_sold, s.new_to_brand_conversions, \
    COALESCE(s.currency, p.currency))";

/// The stored rows are found one by one in their index: without statistics of the staging table the planner would read all of them.
const BY_INDEX: &str = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";
const AS_USUAL: &str = "SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on";

/// Makes the staging table, which lives until the transaction ends.
pub(super) fn create(c: &mut PgConnection) -> Result<(), StorageError> {
    Ok(c.batch_execute(CREATE)?)
}

/// Writes rows none of which has the key of another.
pub(super) fn write(c: &mut PgConnection, rows: &[&NewMetric], now: DateTime<Utc>) -> Result<Written, StorageError> {
    c.batch_execute("TRUNCATE performance_stage")?;
    diesel::copy_from(performance_stage::table)
        .from_raw_data(performance_stage::table, |out: &mut dyn Write| {
            binary::write(out, rows, None).map_err(|e| diesel::result::Error::SerializationError(e.into()))
        })
        .with_format(CopyFormat::Binary)
        .execute(c)?;
    let at = |statement: String| diesel::sql_query(statement).bind::<Instant, _>(Timestamp(now));
    let insert = format!(
        "INSERT INTO performance_metrics ({COLUMNS}, version, created_at, updated_at) SELECT {COLUMNS}, 1, $1, $1 FROM performance_stage ON CONFLICT DO NOTHING"
    );
    let inserted = at(insert).execute(c).on_missing_reference("campaign_id", || CAMPAIGN_IS_GONE.to_owned())?;
    if inserted == rows.len() {
        return Ok(Written { inserted: inserted as u64, ..Written::default() });
    }
    c.batch_execute(BY_INDEX)?;
    let old = COLUMNS.split(',').map(|column| format!("p.{}", column.trim())).collect::<Vec<_>>().join(", ");
    let revisions = format!(
        "INSERT INTO performance_revisions ({COLUMNS}, version, valid_from, replaced_at, created_at) \
         SELECT {old}, p.version, p.updated_at, $1, $1 FROM performance_stage s JOIN performance_metrics p ON {SAME_KEY} WHERE {DIFFERS}"
    );
    let differing = at(revisions).execute(c)?;
    if differing > 0 {
        let update = format!(
            "UPDATE performance_metrics p SET impressions = s.impressions, clicks = s.clicks, conversions = s.conversions, \
             spend_micros = s.spend_micros, revenue_micros = s.revenue_micros, units_sold = s.units_sold, \
             new_to_brand_conversions = s.new_to_brand_conversions, currency = COALESCE(s.currency, p.currency), source = s.source, \
             version = p.version + 1, updated_at = $1 FROM performance_stage s WHERE {SAME_KEY} AND {DIFFERS}"
        );
        at(update).execute(c)?;
    }
    c.batch_execute(AS_USUAL)?;
    let known = rows.len() - inserted;
    Ok(Written { inserted: inserted as u64, updated: differing as u64, unchanged: known.saturating_sub(differing) as u64 })
}
