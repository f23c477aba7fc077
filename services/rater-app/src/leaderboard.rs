//! The leaderboard: ranked by quality that is proven, not by speed or volume.

use std::cmp::Ordering;

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use serde_json::json;
use storage::raters::Rater;
use web::caller::Caller;
use web::json::QueryOf;
use web::problem::Problem;

use crate::raters::{Share, alias, share};
use crate::state::State;

/// Decided tasks before a rater is ranked.
pub const MIN_COMPARISONS: u64 = 10;

/// Most entries shown.
pub const MAX_ENTRIES: usize = 100;

/// One rater.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Entry {
    /// Place; null while there are too few comparisons.
    pub rank: Option<usize>,
    /// Rater.
    pub rater_id: String,
    /// The rater's name when the rater shows it, else an alias.
    pub name: String,
    /// Whether this is a program that says so.
    pub is_simulated: bool,
    /// Judgments given.
    pub total_judgments: i32,
    /// Share of decided tasks in which the rater's judgment equals the decision.
    pub quality: Share,
}

/// How much to show.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct LeaderboardQuery {
    /// Entries, 1 to 100; 20 by default.
    pub limit: Option<usize>,
}

/// Raters by the lower bound of their quality's Wilson interval; those with too few comparisons follow without a rank.
#[utoipa::path(get, path = "/v1/leaderboard", tag = "raters", params(LeaderboardQuery), responses((status = 200, description = "{data, min_comparisons, ranked_by}")))]
pub async fn get_leaderboard(state: Data<State>, _caller: Caller, query: QueryOf<LeaderboardQuery>) -> Result<HttpResponse, Problem> {
    let limit = query.0.limit.unwrap_or(20);
    if !(1..=MAX_ENTRIES).contains(&limit) {
        return Err(Problem::invalid_field("limit", format!("must be 1 to {MAX_ENTRIES}")));
    }
    let data = standings(&state, limit).await?;
    Ok(HttpResponse::Ok().json(json!({
        "data": data,
        "min_comparisons": MIN_COMPARISONS,
        "ranked_by": "lower bound of the Wilson 95 % interval of quality; among the 500 most active raters",
    })))
}

/// The standings, for pages too.
///
/// # Errors
/// 503 when the database does not answer.
pub async fn standings(state: &State, limit: usize) -> Result<Vec<Entry>, Problem> {
    let raters = state.storage.read(storage::leaderboard::most_active).await?;
    Ok(rank(&raters, limit))
}

/// Ranks raters; equal bounds share a rank, and the more active one comes first.
#[must_use]
pub fn rank(raters: &[Rater], limit: usize) -> Vec<Entry> {
    let mut entries: Vec<Entry> = raters.iter().map(entry).collect();
    let bound = |entry: &Entry| entry.quality.low.filter(|_| entry.quality.n >= MIN_COMPARISONS);
    entries.sort_by(|a, b| {
        let by_bound = bound(b).partial_cmp(&bound(a)).unwrap_or(Ordering::Equal);
        by_bound.then(b.total_judgments.cmp(&a.total_judgments)).then_with(|| a.rater_id.cmp(&b.rater_id))
    });
    let bounds: Vec<Option<f64>> = entries.iter().map(bound).collect();
    for (place, entry) in entries.iter_mut().enumerate() {
        let own = bounds.get(place).copied().flatten();
        entry.rank = own.and_then(|_| bounds.iter().position(|other| *other == own)).map(|first| first + 1);
    }
    entries.truncate(limit);
    entries
}

fn entry(rater: &Rater) -> Entry {
    // Decided tasks only: a figure that moved with golden items would tell which they are, and calibration is no work.
    let (agreed, compared) = (i64::from(rater.consensus_agreed), i64::from(rater.consensus_total));
    Entry {
        rank: None,
        rater_id: rater.rater_id.clone(),
        name: if rater.shows_name { rater.name.clone() } else { alias(&rater.rater_id) },
        is_simulated: rater.is_simulated,
        total_judgments: rater.total_judgments,
        quality: share(agreed, compared),
    }
}
