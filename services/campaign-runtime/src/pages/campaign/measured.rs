//! What the figures of a campaign rest on: how the retailer attributes, what it counts as an impression, and every metric with its formula.

use std::collections::HashMap;

use domain::attribution::{Attribution, Basis, Reach, Sales};
use planning::metrics::DEFINITIONS;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::performance::summary::SummaryQuery;
use storage::segments;
use storage::workspace;

use super::CampaignView;
use super::sums::Sums;
use crate::analytics::figures::Number;
use crate::analytics::table::Group;
use crate::pages::words::{count, money, reason, small_groups, words};

/// Products whose names are looked up: more than a page shows.
const NAMED: usize = 50;

/// A metric in the table of all.
pub(super) struct Metric {
    pub title: String,
    pub value: Option<String>,
    pub basis: String,
}

/// The basis of all figures.
pub(super) struct Measured {
    /// In sentences.
    pub sentences: Vec<String>,
    /// Every figure.
    pub metrics: Vec<Metric>,
}

/// Names of audiences and of the products that bring most, by their ids.
pub(super) fn names(conn: &mut Connection, retailer_id: &str, sums: &Sums) -> Result<HashMap<String, String>, StorageError> {
    let code = |group: &Group| group.row.group.first().cloned().unwrap_or_default();
    let ids: Vec<String> = sums.audiences.iter().flatten().map(code).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut names: HashMap<String, String> =
        segments::find_many(conn, retailer_id, &ids)?.into_iter().map(|one| (one.segment_id, one.name)).collect();
    // In the order of the page, which must not tell how large the hidden ones are.
    let mut largest: Vec<&Group> = sums.skus.iter().flatten().collect();
    largest.sort_by_key(|group| {
        let row = Some(&group.row).filter(|_| !group.is_hidden);
        let size = row.map(|row| (row.spend_micros.max(row.revenue_micros), row.impressions.max(row.clicks)));
        (std::cmp::Reverse(size), code(group))
    });
    let ids: Vec<&str> = largest.iter().take(NAMED).filter_map(|group| group.row.group.first().map(String::as_str)).collect();
    names.extend(workspace::product_names(conn, retailer_id, &ids)?);
    Ok(names)
}

impl Measured {
    pub(super) fn of(
        total: Option<&Group>,
        kinds: &[Group],
        attribution: Option<Attribution>,
        view: &CampaignView,
        campaign: i64,
        currency: Option<&str>,
    ) -> Self {
        let Some(total) = total else { return Self { sentences: Vec::new(), metrics: Vec::new() } };
        let query = SummaryQuery { campaign: Some(campaign), from: view.from, to: view.to, ..SummaryQuery::default() };
        let source = match query.source() {
            "rollup" => "sums that are kept by day",
            "rows" => "the rows themselves",
            _ => "sums that are kept by day and single rows",
        };
        let kinds = kinds_of(kinds);
        let attributed = attribution.map(attributed);
        let sentences = vec![
            match &attributed {
                Some(text) => format!("Conversions and revenue are those that the retailer attributes: {text}."),
                None => {
                    "The retailer has not declared how it attributes orders, so conversions and revenue cannot be compared with another \
                         retailer’s."
                        .to_owned()
                }
            },
            if total.is_hidden {
                format!("These figures are not shown: {}.", small_groups(total.least))
            } else {
                format!("Figures come from {source}: {}.", counted(total.row.rows))
            },
        ];
        let metrics = total.figures().into_iter().map(|figure| Metric {
            title: title(figure.name),
            value: figure.value.map(|value| shown(figure.name, value, currency)),
            basis: match figure.value {
                None => reason(figure.reason).to_owned(),
                Some(_) => basis(figure.name, &kinds, attribution),
            },
        });
        Self { sentences, metrics: metrics.collect() }
    }
}

fn counted(rows: i64) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{} rows", count(rows)) }
}

/// What is counted as an impression, the most frequent first.
fn kinds_of(kinds: &[Group]) -> String {
    let shown = |group: &Group, impressions: i64| if group.is_hidden { 0 } else { impressions };
    let mut known: Vec<(i64, String)> = kinds
        .iter()
        .filter_map(|group| {
            let kind = group.row.group.first().filter(|kind| !kind.is_empty())?;
            Some((shown(group, group.row.impressions?), kind.replace('_', " ")))
        })
        .collect();
    known.sort_unstable_by(|a, b| b.cmp(a));
    known.dedup_by(|a, b| a.1 == b.1);
    known.into_iter().map(|(_, kind)| kind).collect::<Vec<_>>().join(", ")
}

fn attributed(one: Attribution) -> String {
    let days = |days: u16| if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
    let after = match (one.basis, one.view_window_days) {
        (Basis::Click, _) => format!("orders within {} of a click", days(one.window_days)),
        (Basis::View, _) => format!("orders within {} of a view", days(one.window_days)),
        (Basis::ClickAndView, Some(view)) => format!("orders within {} of a click or {} of a view", days(one.window_days), days(view)),
        (Basis::ClickAndView, None) => format!("orders within {} of a click or a view", days(one.window_days)),
    };
    let of = match one.scope {
        Reach::SameSku => "of the advertised product",
        Reach::Brand => "of the brand",
        Reach::Category => "of the category",
    };
    let sales = match one.sales {
        Sales::Gross => "gross sales",
        Sales::Net => "net sales",
    };
    format!("{after}, {of}, {sales}")
}

fn title(name: &str) -> String {
    match name {
        "ctr" => "Click rate".to_owned(),
        "cvr" => "Conversion rate".to_owned(),
        "cpc" => "Cost per click".to_owned(),
        "cpm" => "Cost per thousand impressions".to_owned(),
        "cpa" => "Cost per conversion".to_owned(),
        "roas" => "ROAS".to_owned(),
        "acos" => "Cost of sales".to_owned(),
        "aov" => "Average order value".to_owned(),
        "new_to_brand_conversions" => "Orders of buyers new to the brand".to_owned(),
        "new_to_brand_rate" => "Share of orders new to the brand".to_owned(),
        "new_to_brand_cost" => "Cost per order new to the brand".to_owned(),
        other => words(other),
    }
}

fn shown(name: &str, value: Number, currency: Option<&str>) -> String {
    let unit = DEFINITIONS.iter().find(|one| one.name == name).map_or("", |one| one.unit);
    match value {
        Number::Whole(value) => count(value),
        Number::Money(micros) => money(micros, currency),
        Number::Real(value) => match (name, unit) {
            ("roas", _) => format!("{value:.2}"),
            (_, "ratio") => format!("{:.2} %", value * 100.0),
            (_, "percent") => format!("{value:.2} %"),
            _ => format!("{value:.2}"),
        },
    }
}

fn basis(name: &str, kinds: &str, attribution: Option<Attribution>) -> String {
    if let Some(one) = DEFINITIONS.iter().find(|one| one.name == name) {
        let formula = one.formula.replace('_', " ").replace(" * ", " × ");
        let end = if one.is_attributed { "; attributed" } else { "" };
        return format!("{formula}, of rows with both{end}");
    }
    match name {
        "impressions" if kinds.is_empty() => "as counted by the source, which names no kind".to_owned(),
        "impressions" => format!("kind: {kinds}"),
        "spend" => "media spend".to_owned(),
        "conversions" => "attributed orders".to_owned(),
        "revenue" => match attribution.map(|one| one.sales) {
            Some(Sales::Gross) => "attributed gross sales".to_owned(),
            Some(Sales::Net) => "attributed net sales".to_owned(),
            None => "attributed sales, gross or net not declared".to_owned(),
        },
        "clicks" => "of rows that count them".to_owned(),
        _ => "attributed, of rows that count them".to_owned(),
    }
}
