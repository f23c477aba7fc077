//! What experiments found about the incremental return of a line of a campaign: evidence for response curves that a comparison proved.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use domain::scope::Scope;
use serde::Serialize;

use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::on;
use crate::schema::response_calibrations as t;
use crate::types::Timestamp;

/// Most calibrations that are read for one campaign; the newest count.
pub const MOST_PER_CAMPAIGN: i64 = 500;

/// A stored calibration.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct Calibration {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Public id.
    pub calibration_id: String,
    /// Whose it is.
    pub tenant_id: String,
    /// Primary key of the campaign.
    #[serde(skip)]
    pub campaign: i64,
    /// The line's placement type; empty for the campaign as a whole.
    pub placement_type: String,
    /// The line's audience segment; empty for all.
    pub audience_segment: String,
    /// Incremental revenue over incremental spend.
    pub iroas: f64,
    /// Standard error of `iroas`, above 0.
    pub standard_error: f64,
    /// Incremental spend of the whole test, in micros: the spend at which `iroas` was found, over `days` days.
    pub spend_micros: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// Days that the spend was spread over.
    pub days: i32,
    /// What the figure rests on: units, or markets times days.
    pub n: i64,
    /// With what it was compared.
    pub control_definition: String,
    /// Primary key of the experiment.
    #[serde(skip)]
    pub experiment: i64,
    /// When the experiment was concluded.
    pub created_at: Timestamp,
}

/// A calibration to store; the fields are those of [`Calibration`].
#[derive(Debug, Clone, PartialEq, Insertable)]
#[diesel(table_name = t)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct NewCalibration {
    pub calibration_id: String,
    pub tenant_id: String,
    pub campaign: i64,
    pub placement_type: String,
    pub audience_segment: String,
    pub iroas: f64,
    pub standard_error: f64,
    pub spend_micros: i64,
    pub currency: String,
    pub days: i32,
    pub n: i64,
    pub control_definition: String,
    pub experiment: i64,
}

/// Stores what an experiment found; once for each experiment.
///
/// # Errors
/// [`StorageError::NotFound`] outside of the scope; [`StorageError::Conflict`] when this experiment has one already.
pub fn insert(conn: &mut Connection, scope: &Scope, new: &NewCalibration, now: DateTime<Utc>) -> Result<(), StorageError> {
    if !scope.may_see(Some(&new.tenant_id)) {
        return Err(StorageError::not_found("campaign", new.campaign.to_string()));
    }
    let row = (new, t::created_at.eq(Timestamp(now)));
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))
        .on_unique("conflict", || "this experiment has calibrated its campaign already".to_owned())?;
    Ok(())
}

/// What experiments found for a campaign (by primary key), newest first, at most [`MOST_PER_CAMPAIGN`].
///
/// # Errors
/// As any query.
pub fn for_campaign(conn: &mut Connection, scope: &Scope, campaign: i64) -> Result<Vec<Calibration>, StorageError> {
    Ok(on!(conn, c => {
        let mut query = t::table
            .filter(t::campaign.eq(campaign))
            .order(t::id.desc())
            .limit(MOST_PER_CAMPAIGN)
            .select(Calibration::as_select())
            .into_boxed();
        if let Some(tenant) = scope.tenant() {
            query = query.filter(t::tenant_id.eq(tenant));
        }
        query.load(c)
    })?)
}
