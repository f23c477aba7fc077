//! The leaderboard as a page: quality that is proven, with its interval, and simulated raters marked as such.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use web::caller::{PageCaller, PageRefusal};
use web::layout::{Layout, render};
use web::problem::Problem;

use super::figures::ShareView;
use crate::leaderboard::{Entry, MAX_ENTRIES, MIN_COMPARISONS, standings};
use crate::raters::alias;
use crate::state::State;

#[derive(Template)]
#[template(path = "leaderboard.html")]
struct LeaderboardPage {
    layout: Layout,
    rows: Vec<Row>,
    note: String,
    /// The caller's own name and what stands in its place; absent for accounts that do not judge.
    own: Option<Own>,
}

struct Own {
    name: String,
    alias: String,
    shows_name: bool,
}

struct Row {
    rank: String,
    rater_id: String,
    name: String,
    is_own: bool,
    is_simulated: bool,
    judgments: i32,
    share: Option<ShareView>,
}

/// The leaderboard.
///
/// # Errors
/// Sends whoever is not signed in to `/login`; 503 when the database does not answer.
pub async fn leaderboard(state: Data<State>, PageCaller(caller): PageCaller) -> Result<HttpResponse, PageRefusal> {
    let layout = Layout::new("Leaderboard", "rater-app/leaderboard", Some(&caller), &state.settings);
    let own = match caller.rater_id.clone() {
        Some(id) => Some(state.storage.read(move |conn| storage::raters::find(conn, &id)).await.map_err(Problem::from)?),
        None => None,
    };
    let own = own.map(|rater| Own { alias: alias(&rater.rater_id), name: rater.name, shows_name: rater.shows_name });
    let rows = standings(&state, MAX_ENTRIES).await?.into_iter().map(|entry| row(entry, caller.rater_id.as_deref())).collect();
    let note = format!(
        "Agreement counts decided tasks. A rank needs at least {MIN_COMPARISONS} of them. n is how many there are; \
         the interval is Wilson's, 95 %. Names are shown only of those who want it."
    );
    Ok(render(&LeaderboardPage { layout, rows, note, own })?)
}

fn row(entry: Entry, own: Option<&str>) -> Row {
    Row {
        rank: entry.rank.map_or_else(|| "–".to_owned(), |rank| rank.to_string()),
        is_own: own == Some(entry.rater_id.as_str()),
        rater_id: entry.rater_id,
        name: entry.name,
        is_simulated: entry.is_simulated,
        judgments: entry.total_judgments,
        share: ShareView::of(&entry.quality),
    }
}
