//! Sums of performance in one statement: measures, and for each ratio its numerator and denominator over the rows that have both.
//!
//! ```text
//! query -> arms (kept sums where they cover it, else rows) -> one statement -> cells -> rows
//! ```

mod arms;
mod cells;
mod statement;

use chrono::{DateTime, NaiveDate, Utc};
use domain::invalid::Invalid;
use domain::scope::Scope;

use crate::connection::Connection;
use crate::error::StorageError;

/// Most groups of one answer.
pub const MAX_GROUPS: usize = 10_000;
/// Most cells that a statement may answer: groups, times the combinations of measures that rows have.
const MAX_CELLS: usize = 4 * MAX_GROUPS;

/// By what rows are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// The day.
    Day,
    /// The Monday of the week.
    Week,
    /// The first of the month.
    Month,
    /// The campaign's public id.
    Campaign,
    /// Placement type.
    PlacementType,
    /// Audience segment.
    AudienceSegment,
    /// Category of the product.
    Category,
    /// Product.
    SkuId,
    /// The campaign's retailer.
    Retailer,
    /// How impressions were counted.
    ImpressionKind,
    /// The campaign's (leading) brand; empty for campaigns without.
    Brand,
}

impl Dimension {
    /// All, each with its name in requests and answers.
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::Day, "day"),
        (Self::Week, "week"),
        (Self::Month, "month"),
        (Self::Campaign, "campaign"),
        (Self::PlacementType, "placement_type"),
        (Self::AudienceSegment, "audience_segment"),
        (Self::Category, "category"),
        (Self::SkuId, "sku_id"),
        (Self::Retailer, "retailer"),
        (Self::ImpressionKind, "impression_kind"),
        (Self::Brand, "brand"),
    ];

    /// The name in requests and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(dimension, _)| *dimension == self).map_or("", |(_, name)| name)
    }
    /// Whether it is a part of the natural key of rows.
    #[must_use]
    pub fn is_key_part(self) -> bool {
        matches!(self, Self::PlacementType | Self::AudienceSegment | Self::Category | Self::SkuId | Self::ImpressionKind)
    }
}

/// Which rows are summed, and by what.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SummaryQuery {
    /// First day.
    pub from: Option<NaiveDate>,
    /// Last day, included.
    pub to: Option<NaiveDate>,
    /// Only one campaign, by primary key.
    pub campaign: Option<i64>,
    /// Only campaigns with this public id.
    pub campaign_id: Option<String>,
    /// Only campaigns at a retailer.
    pub retailer_id: Option<String>,
    /// Only campaigns of a brand.
    pub brand_id: Option<String>,
    /// Only a placement type.
    pub placement_type: Option<String>,
    /// Only an audience segment.
    pub audience_segment: Option<String>,
    /// Only a category.
    pub category: Option<String>,
    /// Only a product.
    pub sku_id: Option<String>,
    /// Only one kind of impression.
    pub impression_kind: Option<String>,
    /// Groups are formed by these, in this order; the currency is always one of them, so that money is never mixed.
    pub group_by: Vec<Dimension>,
    /// Groups at most; one more is answered when there are more.
    pub limit: usize,
    /// Whether groups are also kept apart by the campaign's retailer, whose id is then [`SummaryRow::retailer`].
    pub by_retailer: bool,
    /// The rows as they were at this time, before later corrections.
    pub as_of: Option<DateTime<Utc>>,
    /// Sum the rows themselves even where kept sums would answer: to compare both.
    pub only_rows: bool,
}

impl SummaryQuery {
    /// The filters on parts of the natural key.
    fn part_filters(&self) -> Vec<(Dimension, String)> {
        let all = [
            (Dimension::PlacementType, &self.placement_type),
            (Dimension::AudienceSegment, &self.audience_segment),
            (Dimension::Category, &self.category),
            (Dimension::SkuId, &self.sku_id),
            (Dimension::ImpressionKind, &self.impression_kind),
        ];
        all.into_iter().filter_map(|(part, value)| Some((part, value.clone()?))).collect()
    }

    /// The parts of the natural key that are grouped by or filtered on.
    fn key_parts(&self) -> Vec<Dimension> {
        let mut parts: Vec<Dimension> = self.group_by.iter().copied().filter(|by| by.is_key_part()).collect();
        for (part, _) in self.part_filters() {
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        parts
    }

    /// What the query is answered from: `rollup` (kept sums), `rows`, `mixed` (both), or `as_of` (rows and their revisions).
    #[must_use]
    pub fn source(&self) -> &'static str {
        arms::source_word(&arms::arms(self))
    }
}

/// The measures, in the order of the bits that say which of them a row has.
const MEASURES: [&str; 7] =
    ["impressions", "clicks", "conversions", "spend_micros", "revenue_micros", "units_sold", "new_to_brand_conversions"];

/// The two measures of each ratio by place, numerator first: clicks and conversions per impression and click, spend per each of them,
/// revenue per spend and order, units and new buyers per order, spend per new buyer.
const RATIO_MEASURES: [(usize, usize); RATIOS] = [(1, 0), (2, 1), (2, 0), (3, 1), (3, 0), (3, 2), (4, 3), (4, 2), (5, 2), (6, 2), (3, 6)];

/// How many ratios [`SummaryRow::pairs`] has: CTR, CVR, purchase rate, CPC, CPM, CPA, ROAS, AOV, units per order, new-to-brand rate, cost of
/// a new buyer.
pub const RATIOS: usize = 11;

/// Numerator and denominator of a ratio.
pub type Pair = (Option<i64>, Option<i64>);

/// The sums of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SummaryRow {
    /// Values of the dimensions asked for, in their order.
    pub group: Vec<String>,
    /// The campaigns' retailer, when the query keeps retailers apart.
    pub retailer: Option<String>,
    /// ISO 4217 code of the sums; absent when the rows have none.
    pub currency: Option<String>,
    /// Rows summed.
    pub rows: i64,
    /// Ad impressions.
    pub impressions: Option<i64>,
    /// Clicks.
    pub clicks: Option<i64>,
    /// Attributed orders.
    pub conversions: Option<i64>,
    /// Spend in micros.
    pub spend_micros: Option<i64>,
    /// Attributed revenue in micros.
    pub revenue_micros: Option<i64>,
    /// Units sold.
    pub units_sold: Option<i64>,
    /// First purchases of the brand by a household.
    pub new_to_brand_conversions: Option<i64>,
    /// For each ratio, in the order of [`RATIOS`], the sums of numerator and denominator over the rows that have both.
    pub pairs: [Pair; RATIOS],
}

impl SummaryRow {
    fn measures_mut(&mut self) -> [&mut Option<i64>; 7] {
        [
            &mut self.impressions,
            &mut self.clicks,
            &mut self.conversions,
            &mut self.spend_micros,
            &mut self.revenue_micros,
            &mut self.units_sold,
            &mut self.new_to_brand_conversions,
        ]
    }

    /// Adds another group's sums, which must be in the same currency to mean anything.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] when a sum exceeds 64 bits.
    pub fn absorb(&mut self, other: &Self) -> Result<(), StorageError> {
        let mut other = other.clone();
        self.rows = self.rows.saturating_add(other.rows);
        for (sum, more) in self.measures_mut().into_iter().zip(other.measures_mut()) {
            *sum = add(*sum, *more)?;
        }
        for (pair, more) in self.pairs.iter_mut().zip(other.pairs) {
            *pair = (add(pair.0, more.0)?, add(pair.1, more.1)?);
        }
        Ok(())
    }
}

fn add(sum: Option<i64>, more: Option<i64>) -> Result<Option<i64>, StorageError> {
    match (sum, more) {
        (Some(sum), Some(more)) => {
            let why = "a sum exceeds the largest number; narrow from and to";
            sum.checked_add(more).map(Some).ok_or_else(|| StorageError::Invalid(Invalid::one("from", why)))
        }
        (sum, more) => Ok(sum.or(more)),
    }
}

/// Sums of this scope's rows, in the order of their groups.
///
/// # Errors
/// [`StorageError::Invalid`] when there are far too many groups; else as any query.
pub fn summarise(conn: &mut Connection, scope: &Scope, query: &SummaryQuery) -> Result<Vec<SummaryRow>, StorageError> {
    let arms = arms::arms(query);
    let cells: Vec<cells::Cell> = statement::statement(conn, scope, query, &arms).load(conn)?;
    if cells.len() > MAX_CELLS {
        let why = format!("makes far over {MAX_GROUPS} groups; narrow from and to, or group by less");
        return Err(Invalid::one("group_by", why).into());
    }
    cells::fold(cells, query)
}

/// How the database would answer, a line for each step.
///
/// # Errors
/// As any query.
pub fn explain(conn: &mut Connection, scope: &Scope, query: &SummaryQuery) -> Result<Vec<String>, StorageError> {
    statement::statement(conn, scope, query, &arms::arms(query)).explain(conn)
}
