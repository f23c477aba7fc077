//! `/`: the campaigns of a workspace, with status and pacing of each; whoever is not signed in sees what the service is, and no data.

use std::collections::{BTreeMap, HashMap};

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use chrono::{DateTime, NaiveDate, Utc};
use domain::campaign::{CampaignStatus, Objective};
use planning::pacing::{Flight, pace};
use serde::{Deserialize, Serialize};
use storage::campaigns::{self, CampaignFilter};
use storage::workspace::{self, After, CampaignLine, Choices, Order, Wish};
use strum::VariantArray as _;
use web::caller::MaybePageCaller;
use web::chart;
use web::layout::{Layout, render};
use web::paging::{ListQuery, Page, Slice};
use web::problem::Problem;

use super::words::{count, day, encoded, moment, money, percent, reason, tone, words};
use super::{Pick, file, picks};
use crate::pacing::{yesterday, yesterdays};
use crate::state::State;

/// Campaigns on a page, when nothing else is asked for.
const ROWS: u32 = 25;

/// What is looked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListSearch {
    search: Option<String>,
    status: Option<CampaignStatus>,
    retailer_id: Option<String>,
    brand_id: Option<String>,
    objective: Option<Objective>,
    sort: Option<Sort>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sort {
    #[default]
    Changed,
    Newest,
    Name,
    Ending,
}

impl Sort {
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Changed, "changed", "Last changed"),
        (Self::Newest, "newest", "Newest"),
        (Self::Name, "name", "Name"),
        (Self::Ending, "ending", "Ending first"),
    ];

    fn order(self) -> Order {
        match self {
            Self::Changed => Order::Changed,
            Self::Newest => Order::Newest,
            Self::Name => Order::Name,
            Self::Ending => Order::Ending,
        }
    }

    fn fits(self, after: &After) -> bool {
        matches!(
            (self, after),
            (Self::Changed, After::Changed(..))
                | (Self::Newest, After::Newest(_))
                | (Self::Name, After::Name(..))
                | (Self::Ending, After::Ending(..))
        )
    }
}

#[derive(Template)]
#[template(path = "landing.html")]
struct LandingPage {
    layout: Layout,
}

#[derive(Template)]
#[template(path = "campaigns.html")]
struct ListPage {
    layout: Layout,
    styles: String,
    script: String,
    may_plan: bool,
    total: i64,
    search: String,
    statuses: Vec<Pick>,
    retailers: Vec<Pick>,
    brands: Vec<Pick>,
    objectives: Vec<Pick>,
    sorts: Vec<Pick>,
    moves: Vec<Pick>,
    rows: Vec<Row>,
    is_filtered: bool,
    is_first: bool,
    /// The parameters of this list without its cursor.
    query: String,
    next: Option<String>,
}

struct Row {
    campaign_id: String,
    name: String,
    retailer: String,
    brand: Option<String>,
    status_word: String,
    tone: &'static str,
    from: String,
    to: Option<String>,
    budget: Option<String>,
    spend: Option<String>,
    meter: String,
    pacing: String,
    pacing_tone: &'static str,
    changed: String,
    version: i32,
}

struct Found {
    total: i64,
    slice: Slice<CampaignLine>,
    spend: HashMap<i64, i64>,
    /// The last day that is over, by retailer.
    days: HashMap<String, NaiveDate>,
    choices: Choices,
    retailers: BTreeMap<String, String>,
    brands: BTreeMap<String, String>,
}

/// Shows the list.
pub async fn show_list(state: Data<State>, caller: MaybePageCaller, query: ListQuery<ListSearch>) -> Result<HttpResponse, Problem> {
    let layout = Layout::new("Campaigns", "campaign-runtime/", caller.0.as_ref(), &state.settings);
    let Some(caller) = caller.0 else { return render(&LandingPage { layout }) };
    let (search, page) =
        (query.filter, Page { limit: if query.page.limit == web::paging::DEFAULT_LIMIT { ROWS } else { query.page.limit }, ..query.page });
    let sort = search.sort.unwrap_or_default();
    let after: Option<After> = page.after()?;
    if after.as_ref().is_some_and(|after| !sort.fits(after)) {
        return Err(Problem::new("invalid_cursor", "The cursor belongs to another order; begin again without it."));
    }
    let wish = Wish {
        filter: CampaignFilter {
            tenant_id: None,
            retailer_id: search.retailer_id.clone(),
            brand_id: search.brand_id.clone(),
            status: search.status.map(|word| word.to_string()),
            objective: search.objective.map(|word| word.to_string()),
        },
        search: search.search.clone(),
        order: sort.order(),
        after,
        limit: i64::from(page.limit),
    };
    let now = state.clock.now();
    let (scope, wanted) = (caller.scope(), page.clone());
    let found = state
        .storage
        .scoped(&scope)
        .read(move |conn| {
            let slice = Slice::of_rows(workspace::list(conn, &scope, &wish)?, &wanted, |row| row.place(wish.order));
            let days = yesterdays(conn, slice.data.iter().map(|row| row.retailer_id.as_str()), now)?;
            let mut keys: BTreeMap<NaiveDate, Vec<i64>> = BTreeMap::new();
            for row in &slice.data {
                keys.entry(day_of(&days, row, now)).or_default().push(row.id);
            }
            let mut spend = HashMap::new();
            for (as_of, keys) in &keys {
                spend.extend(workspace::spend(conn, &scope, keys, *as_of)?);
            }
            let brands: Vec<String> = slice.data.iter().filter_map(|row| row.brand_id.clone()).collect();
            let retailers: Vec<String> = slice.data.iter().map(|row| row.retailer_id.clone()).collect();
            Ok(Found {
                total: campaigns::count(conn, &scope)?,
                spend,
                days,
                choices: workspace::choices(conn, &scope)?,
                retailers: workspace::retailer_names(conn, &retailers)?,
                brands: workspace::brand_names(conn, &brands)?,
                slice,
            })
        })
        .await?;
    let rows = found.slice.data.iter().map(|line| row(line, &found, day_of(&found.days, line, now))).collect();
    let text = search.search.unwrap_or_default();
    let parameters = [
        ("search", text.clone()),
        ("status", search.status.map(|word| word.to_string()).unwrap_or_default()),
        ("retailer_id", search.retailer_id.clone().unwrap_or_default()),
        ("brand_id", search.brand_id.clone().unwrap_or_default()),
        ("objective", search.objective.map(|word| word.to_string()).unwrap_or_default()),
    ];
    let is_filtered = parameters.iter().any(|(_, value)| !value.is_empty());
    let sort_word = Sort::ALL.iter().find(|(one, ..)| *one == sort).map_or("", |(_, word, _)| word);
    let all = parameters.into_iter().chain([("sort", sort_word.to_owned())]);
    let query: Vec<String> =
        all.filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={}", encoded(&value))).collect();
    let states = || CampaignStatus::VARIANTS.iter().map(|one| (one.to_string(), words(one.as_ref())));
    let page = ListPage {
        layout,
        styles: file("campaigns.css"),
        script: file("campaigns.js"),
        may_plan: caller.role.may_plan(),
        total: found.total,
        search: text,
        statuses: picks(states(), search.status.map(|word| word.to_string()).as_deref()),
        retailers: picks(found.choices.retailers, search.retailer_id.as_deref()),
        brands: picks(found.choices.brands, search.brand_id.as_deref()),
        objectives: picks(
            Objective::VARIANTS.iter().map(|one| (one.to_string(), words(one.as_ref()))),
            search.objective.map(|word| word.to_string()).as_deref(),
        ),
        sorts: picks(Sort::ALL.map(|(_, word, title)| (word.to_owned(), title.to_owned())), Some(sort_word)),
        moves: picks(states(), None),
        rows,
        is_filtered,
        is_first: page.cursor.is_none(),
        query: query.join("&"),
        next: found.slice.next_cursor,
    };
    render(&page)
}

fn day_of(days: &HashMap<String, NaiveDate>, line: &CampaignLine, now: DateTime<Utc>) -> NaiveDate {
    days.get(&line.retailer_id).copied().unwrap_or_else(|| yesterday(now, "UTC"))
}

fn row(line: &CampaignLine, found: &Found, as_of: NaiveDate) -> Row {
    let currency = line.currency.as_deref();
    let spend = found.spend.get(&line.id).copied();
    let pacing = pace(&Flight {
        budget_micros: line.total_budget_micros,
        start: line.start_date,
        end: line.end_date,
        as_of,
        spend_micros: spend,
        trailing_week_micros: None,
    });
    let (words_of_pacing, pacing_tone) = match (pacing.pacing_index.value, pacing.actual_share.value, pacing.expected_share.value) {
        (Some(index), Some(actual), Some(expected)) => {
            let tone = if index > 1.1 {
                "is-ahead"
            } else if index < 0.9 {
                "is-behind"
            } else {
                "is-on-plan"
            };
            (format!("{} spent, {} expected", percent(actual), percent(expected)), tone)
        }
        _ => (format!("No pacing: {}", reason(pacing.pacing_index.reason)), ""),
    };
    Row {
        campaign_id: line.campaign_id.clone(),
        name: line.name.clone(),
        retailer: found.retailers.get(&line.retailer_id).unwrap_or(&line.retailer_id).clone(),
        brand: line.brand_id.as_ref().map(|id| found.brands.get(id).unwrap_or(id).clone()),
        status_word: words(&line.status),
        tone: tone(&line.status),
        from: line.start_date.map_or_else(|| "No first day yet".to_owned(), day),
        to: line.end_date.map(|end| format!("to {}", day(end))),
        budget: line.total_budget_micros.map(|micros| money(micros, currency)),
        spend: spend.map(|micros| money(micros, currency)),
        meter: chart::meter(pacing.actual_share.value, pacing.actual_share.value.and(pacing.expected_share.value)),
        pacing: words_of_pacing,
        pacing_tone,
        changed: moment(&line.updated_at),
        version: line.version,
    }
}
