//! The PostgreSQL way for rows that are all new: straight into the table.

use std::io::Write;

use chrono::{DateTime, Utc};
use diesel::pg::CopyFormat;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};

use super::binary;
use crate::error::{Meaning, StorageError};
use crate::performance::{CAMPAIGN_IS_GONE, NewMetric};
use crate::schema::performance_metrics as t;

/// Stores rows for the first time, all of them or none: `false` when a key is stored already, or the table may not be copied into.
pub(super) fn write(c: &mut PgConnection, rows: &[&NewMetric], now: DateTime<Utc>) -> Result<bool, StorageError> {
    let columns = (
        t::campaign,
        t::tenant_id,
        t::date,
        t::placement_type,
        t::audience_segment,
        t::category,
        t::sku_id,
        t::impression_kind,
        t::impressions,
        t::clicks,
        t::conversions,
        t::spend_micros,
        t::revenue_micros,
        t::units_sold,
        t::new_to_brand_conversions,
        t::currency,
        t::source,
        t::version,
        t::created_at,
        t::updated_at,
    );
    // A savepoint: what `COPY` refuses must not end the transaction.
    let copied = c.transaction(|c| {
        diesel::copy_from(t::table)
            .from_raw_data(columns, |out: &mut dyn Write| {
                binary::write(out, rows, Some(now)).map_err(|e| Error::SerializationError(e.into()))
            })
            .with_format(CopyFormat::Binary)
            .execute(c)
    });
    match copied {
        Ok(_) => Ok(true),
        // Row-level security forbids `COPY` to other users than the table's owner; the driver knows no name for that refusal.
        Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation | DatabaseErrorKind::Unknown, _)) => Ok(false),
        Err(error) => Err(error).on_missing_reference("campaign_id", || CAMPAIGN_IS_GONE.to_owned()),
    }
}
