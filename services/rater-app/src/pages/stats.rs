//! The statistics page: the programme's figures for experts and managers, one's own for raters. Every share with its interval and its n,
//! filters in the address, each table as CSV, each number with the judgments behind it.

pub mod behind;
pub mod ladder;
mod tables;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::{Data, Path};
use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};
use domain::role::Role;
use domain::task::TaskType;
use serde::Deserialize;
use storage::judgments::{self, Vote};
use storage::quality_facts::{self, Fact, FactFilter};
use storage::{raters, tasks};
use web::caller::{Caller, PageCaller, PageRefusal};
use web::json::QueryOf;
use web::layout::{Layout, render};
use web::problem::Problem;
use web::tabular::{Column, Encoder, Format, Kind};

use self::behind::{Behind, By, Show, Wish};
use self::ladder::OneRater;
use self::tables::AgreementRow;
use super::board::{self, Headline, PlaceRow, RaterRow, Waiting};
use super::figures::word_of;
use super::own::{NEWEST, Own, own_figures};
use super::rate::TASK_TYPES;
use crate::quality;
use crate::state::State;

/// Judgments that the programme's figures look at: the newest of the window.
const MOST_FACTS: i64 = 10_000;

/// Windows offered, in days.
const WINDOWS: [i64; 4] = [1, 7, 28, 90];

/// Window without a wish, in days.
const WINDOW: i64 = 28;

/// Filters in the address.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatsQuery {
    days: Option<i64>,
    task_type: Option<TaskType>,
    rater: Option<String>,
    show: Option<Show>,
    by: Option<By>,
    part: Option<String>,
}

impl StatsQuery {
    /// What to list, when something is to be listed.
    fn wish(&self) -> Option<Wish> {
        self.show.map(|show| Wish { show, part: self.by.map(|by| (by, self.part.clone())) })
    }
}

#[derive(Template)]
#[template(path = "stats.html")]
struct StatsPage {
    layout: Layout,
    own: Option<Own>,
    programme: Option<Programme>,
}

/// What the page shows of the programme.
struct Programme {
    headlines: [Headline; 3],
    agreement: Vec<AgreementRow>,
    raters: Vec<RaterRow>,
    places: Vec<PlaceRow>,
    behind: Option<Behind>,
    versions: Option<String>,
    n_facts: usize,
    is_cut: bool,
    most_facts: i64,
    days: i64,
    windows: [i64; 4],
    types: Vec<(&'static str, &'static str, bool)>,
    rater_id: Option<String>,
    one: Option<OneRater>,
    filters: String,
}

/// The figures.
///
/// # Errors
/// Sends whoever is not signed in to `/login`; 422 for a filter that is not known; 503 when the database does not answer.
pub async fn stats(state: Data<State>, PageCaller(caller): PageCaller, query: QueryOf<StatsQuery>) -> Result<HttpResponse, PageRefusal> {
    let layout = Layout::new("Quality", "rater-app/stats", Some(&caller), &state.settings);
    let own = match caller.rater_id.clone() {
        Some(id) => {
            let read = state.storage.read(move |conn| Ok((raters::find(conn, &id)?, judgments::newest_of_rater(conn, &id, NEWEST)?)));
            let (rater, newest) = read.await.map_err(Problem::from)?;
            Some(own_figures(rater, &newest, state.clock.now()))
        }
        None => None,
    };
    let programme = if may_see_all(&caller) { Some(programme(&state, &caller, &query.0).await?) } else { None };
    Ok(render(&StatsPage { layout, own, programme })?)
}

/// A table of the page as CSV, with the same filters: `agreement`, `raters`, `disagreement` or `judgments`.
///
/// # Errors
/// Sends whoever is not signed in to `/login`; 404 for another table or for raters.
pub async fn table_as_csv(
    state: Data<State>,
    PageCaller(caller): PageCaller,
    path: Path<String>,
    query: QueryOf<StatsQuery>,
) -> Result<HttpResponse, PageRefusal> {
    let name = path.into_inner();
    if !may_see_all(&caller) {
        return Err(Problem::not_found("table", &name).into());
    }
    let query = query.0;
    if name == "judgments" {
        let wish = query.wish().unwrap_or(Wish { show: Show::All, part: None });
        let filter = filter_of(&query, days_of(&query)?, state.clock.now());
        return Ok(behind::as_csv(state, filter, wish).await?);
    }
    let made = programme(&state, &caller, &query).await?;
    let Some((columns, rows)) = tables::table(&name, &made) else { return Err(Problem::not_found("table", &name).into()) };
    let columns = columns.iter().map(|column| Column::new(*column, Kind::Text)).collect();
    let bytes = Encoder::new(Format::Csv, columns, true)?.whole(&rows)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, Format::Csv.media_type()))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.csv\"")))
        .body(bytes))
}

fn may_see_all(caller: &Caller) -> bool {
    let may = |role: Role| role.may_review() || role.sees_all_tenants();
    may(caller.role)
}

async fn programme(state: &State, caller: &Caller, query: &StatsQuery) -> Result<Programme, Problem> {
    let days = days_of(query)?;
    let now = state.clock.now();
    let filter = filter_of(query, days, now);
    let (settings, only) = (state.settings.clone(), query.rater.clone());
    let sees_evidence = caller.role.may_review();
    let may_act = sees_evidence && caller.rater_id != only;
    let read = state.storage.read(move |conn| {
        let one = match only.as_ref().filter(|_| sees_evidence) {
            Some(id) => ladder::one(conn, id, may_act, &settings)?,
            None => None,
        };
        let mut facts = quality_facts::newest(conn, &filter, None, MOST_FACTS + 1)?;
        let is_cut = i64::try_from(facts.len()).is_ok_and(|n| n > MOST_FACTS);
        if is_cut {
            facts.pop();
        }
        let names = behind::names_of(conn, &facts)?;
        Ok((facts, names, is_cut, tasks::count_by_status(conn)?, ladder::on_ladder(conn, &settings)?, one))
    });
    let (wanted, names, is_cut, statuses, on_ladder, one) = read.await?;
    let mut waiting = Waiting::default();
    for (status, n) in statuses {
        match status.as_str() {
            "escalated" | "expert_review" => waiting.for_experts += n,
            "pending" | "in_progress" => waiting.for_raters += n,
            _ => {}
        }
    }
    let mut raters = board::raters(&wanted, &names, state.settings.rating.calibration.p1);
    ladder::enter(&mut raters, on_ladder, query.rater.as_deref());
    let votes: Vec<Vote> = wanted.iter().filter(|fact| !fact.is_golden).map(vote).collect();
    let suite = quality::describe(&votes).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(Programme {
        headlines: board::headlines(&wanted, waiting, now, days),
        agreement: tables::agreement_rows(&suite),
        raters,
        places: board::places(&wanted),
        behind: query.wish().map(|wish| behind::behind(&wanted, &wish, &names)),
        versions: board::version_note(&wanted),
        n_facts: wanted.len(),
        is_cut,
        most_facts: MOST_FACTS,
        days,
        windows: WINDOWS,
        types: TASK_TYPES.iter().map(|kind| (word_of(*kind), kind.title(), query.task_type == Some(*kind))).collect(),
        rater_id: query.rater.clone(),
        one,
        filters: filters_of(query, days),
    })
}

fn days_of(query: &StatsQuery) -> Result<i64, Problem> {
    let days = query.days.unwrap_or(WINDOW);
    if WINDOWS.contains(&days) { Ok(days) } else { Err(Problem::invalid_field("days", format!("must be one of {WINDOWS:?}"))) }
}

fn filter_of(query: &StatsQuery, days: i64, now: DateTime<Utc>) -> FactFilter {
    FactFilter {
        task_type: query.task_type.map(|kind| kind.as_ref().to_owned()),
        rater_id: query.rater.clone(),
        ..FactFilter::since(now - TimeDelta::days(days))
    }
}

fn vote(fact: &Fact) -> Vote {
    Vote { task_id: fact.task_id.clone(), task_type: fact.task_type.clone(), rater_id: fact.rater_id.clone(), choice: fact.choice.clone() }
}

/// The filters as a query string, without what is listed behind a number.
fn filters_of(query: &StatsQuery, days: i64) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    pairs.append_pair("days", &days.to_string());
    if let Some(kind) = query.task_type {
        pairs.append_pair("task_type", kind.as_ref());
    }
    if let Some(id) = query.rater.as_deref() {
        pairs.append_pair("rater", id);
    }
    pairs.finish()
}
