//! Products that cannot be sold: their history does not count as revenue within reach, and a line of which nothing else is known gets
//! no money.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::invalid::Invalid;
use domain::scope::Scope;
use planning::metrics::Measures;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::performance::summary::{Dimension, MAX_GROUPS, SummaryQuery, SummaryRow, summarise};
use storage::skus;

/// Most products with history that are taken out one by one.
const MAX_TAKEN_OUT: usize = 200;

/// What a week of a line lost: placement, audience and the Monday.
pub type Week = (String, String, String);

/// What cannot be sold.
#[derive(Debug, Default)]
pub struct Missing {
    /// Sums to take out of weeks, with the number of rows.
    pub weeks: HashMap<Week, (Measures, i64)>,
    /// Lines of which every product is missing, by arm id, with the reason.
    pub lines: BTreeMap<String, String>,
}

/// Looks up which products of these rows are excluded or out of stock.
///
/// # Errors
/// [`StorageError::Invalid`] when too many would have to be taken out; else as any query.
pub fn gather(
    conn: &mut Connection,
    scope: &Scope,
    query: &SummaryQuery,
    retailer_id: &str,
    excluded: &BTreeSet<String>,
    currency: &str,
) -> Result<Missing, StorageError> {
    let group_by = vec![Dimension::PlacementType, Dimension::AudienceSegment, Dimension::SkuId];
    let rows = summarise(conn, scope, &SummaryQuery { group_by, limit: MAX_GROUPS, ..query.clone() })?;
    if rows.len() > MAX_GROUPS {
        return Err(Invalid::one("campaign_id", format!("has over {MAX_GROUPS} products in its placements and audiences")).into());
    }
    let seen: BTreeSet<&str> = rows.iter().filter_map(|row| row.group.get(2)).map(String::as_str).filter(|sku| !sku.is_empty()).collect();
    let seen: Vec<&str> = seen.into_iter().collect();
    let mut gone: BTreeMap<String, &str> = BTreeMap::new();
    for part in seen.chunks(400) {
        gone.extend(skus::out_of_stock(conn, scope, retailer_id, part)?.into_iter().map(|sku| (sku, "out of stock")));
    }
    for sku in seen.iter().filter(|sku| excluded.contains(**sku)) {
        gone.insert((*sku).to_owned(), "excluded");
    }
    if gone.len() > MAX_TAKEN_OUT {
        let why = format!("excludes or lacks {} products with history; at most {MAX_TAKEN_OUT} can be taken out", gone.len());
        return Err(Invalid::one("constraints.excluded_skus", why).into());
    }
    let mut missing = Missing { lines: closed_lines(&rows, &gone), weeks: HashMap::new() };
    for sku in gone.keys() {
        let group_by = vec![Dimension::PlacementType, Dimension::AudienceSegment, Dimension::Week];
        let of_sku = SummaryQuery { group_by, sku_id: Some(sku.clone()), limit: MAX_GROUPS, ..query.clone() };
        for row in summarise(conn, scope, &of_sku)? {
            if row.currency.as_deref().is_none_or(|own| own == currency)
                && let [placement, audience, week] = row.group.as_slice()
            {
                let held = missing.weeks.entry((placement.clone(), audience.clone(), week.clone())).or_default();
                held.0 = add(&held.0, &row);
                held.1 += row.rows;
            }
        }
    }
    Ok(missing)
}

/// Lines all of whose rows name a product that is gone.
fn closed_lines(rows: &[SummaryRow], gone: &BTreeMap<String, &str>) -> BTreeMap<String, String> {
    let mut lines: BTreeMap<String, Option<BTreeSet<String>>> = BTreeMap::new();
    for row in rows {
        let [placement, audience, sku] = row.group.as_slice() else { continue };
        let line = lines.entry(super::history::arm_id(placement, audience)).or_insert_with(|| Some(BTreeSet::new()));
        match (gone.get(sku), line.as_mut()) {
            (Some(why), Some(reasons)) => {
                reasons.insert(format!("{sku} ({why})"));
            }
            _ => *line = None,
        }
    }
    let explained = lines.into_iter().filter_map(|(line, reasons)| {
        let reasons: Vec<String> = reasons?.into_iter().collect();
        let shown = reasons.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        let more = if reasons.len() > 5 { format!(" and {} more", reasons.len() - 5) } else { String::new() };
        Some((line, format!("no product of this line can be sold: {shown}{more}")))
    });
    explained.collect()
}

fn add(held: &Measures, row: &SummaryRow) -> Measures {
    let sum = |a: Option<i64>, b: Option<i64>| match (a, b) {
        (None, None) => None,
        (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
    };
    Measures {
        impressions: sum(held.impressions, row.impressions),
        clicks: sum(held.clicks, row.clicks),
        conversions: sum(held.conversions, row.conversions),
        spend_micros: sum(held.spend_micros, row.spend_micros),
        revenue_micros: sum(held.revenue_micros, row.revenue_micros),
    }
}

/// A week's sums without what was lost.
#[must_use]
pub fn without(week: &Measures, lost: &Measures) -> Measures {
    let less = |a: Option<i64>, b: Option<i64>| a.map(|a| a.saturating_sub(b.unwrap_or(0)).max(0));
    Measures {
        impressions: less(week.impressions, lost.impressions),
        clicks: less(week.clicks, lost.clicks),
        conversions: less(week.conversions, lost.conversions),
        spend_micros: less(week.spend_micros, lost.spend_micros),
        revenue_micros: less(week.revenue_micros, lost.revenue_micros),
    }
}
