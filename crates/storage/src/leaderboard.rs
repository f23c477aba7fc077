//! Who stands on the leaderboard: the most active raters, with the figures that a ranking by quality needs.

use diesel::prelude::*;

use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::raters::Rater;
use crate::schema::rater_profiles as t;

/// Raters looked at: the ranking is among the most active ones, so that it stays one bounded query.
pub const MOST_ACTIVE: i64 = 500;

/// Active raters with judgments, most judgments first.
///
/// # Errors
/// As any query.
pub fn most_active(conn: &mut Connection) -> Result<Vec<Rater>, StorageError> {
    Ok(on!(conn, c => t::table
        .filter(t::is_active.eq(true).and(t::total_judgments.gt(0)))
        .order((t::total_judgments.desc(), t::id))
        .limit(MOST_ACTIVE)
        .select(Rater::as_select())
        .load(c))?)
}
