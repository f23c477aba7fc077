//! Rows of performance, in pages in the order of their natural key: those of one campaign, now or at an earlier time, what was corrected,
//! and all of a scope for exports.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Date, Integer, Nullable, Text};
use domain::scope::Scope;
use serde::{Deserialize, Serialize};

use super::raw::{Bind, Statement};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::types::{Instant, Timestamp};

/// A stored row, or a state that it once had.
#[derive(Debug, Clone, PartialEq, Serialize, QueryableByName)]
pub struct Metric {
    /// Primary key of the campaign.
    #[serde(skip)]
    #[diesel(sql_type = BigInt)]
    pub campaign: i64,
    /// The day.
    #[diesel(sql_type = Date)]
    pub date: NaiveDate,
    /// Placement type.
    #[diesel(sql_type = Text)]
    pub placement_type: String,
    /// Audience segment.
    #[diesel(sql_type = Text)]
    pub audience_segment: String,
    /// Category of the product.
    #[diesel(sql_type = Text)]
    pub category: String,
    /// Product.
    #[diesel(sql_type = Text)]
    pub sku_id: String,
    /// How impressions were counted.
    #[diesel(sql_type = Text)]
    pub impression_kind: String,
    /// Ad impressions.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub impressions: Option<i64>,
    /// Clicks.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub clicks: Option<i64>,
    /// Attributed orders.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub conversions: Option<i64>,
    /// Spend in micros.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub spend_micros: Option<i64>,
    /// Attributed revenue in micros.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub revenue_micros: Option<i64>,
    /// Units sold.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub units_sold: Option<i64>,
    /// First purchases of the brand by a household.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub new_to_brand_conversions: Option<i64>,
    /// The row's own currency; absent means the campaign's.
    #[diesel(sql_type = Nullable<Text>)]
    pub currency: Option<String>,
    /// Where it came from.
    #[diesel(sql_type = Text)]
    pub source: String,
    /// 1, and one more with each correction.
    #[diesel(sql_type = Integer)]
    pub version: i32,
    /// Since when it says so.
    #[diesel(sql_type = Instant)]
    pub valid_from: Timestamp,
    /// Until when it said so; absent for what stands.
    #[diesel(sql_type = Nullable<Instant>)]
    pub replaced_at: Option<Timestamp>,
}

/// The natural key within a campaign: where a page continues. Versions only tell revisions apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowKey {
    #[serde(deserialize_with = "domain::day::read_known")]
    date: NaiveDate,
    parts: [String; 5],
    version: i32,
}

impl Metric {
    /// Its place in the order of pages.
    #[must_use]
    pub fn key(&self) -> RowKey {
        let parts = [&self.placement_type, &self.audience_segment, &self.category, &self.sku_id, &self.impression_kind];
        RowKey { date: self.date, parts: parts.map(Clone::clone), version: self.version }
    }
}

/// Which rows of a campaign.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowFilter {
    /// First day.
    pub from: Option<NaiveDate>,
    /// Last day, included.
    pub to: Option<NaiveDate>,
    /// Only values of these parts of the key, by column.
    pub parts: Vec<(Part, String)>,
    /// As the rows were at this time.
    pub as_of: Option<DateTime<Utc>>,
}

/// A part of the natural key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the columns")]
pub enum Part {
    PlacementType,
    AudienceSegment,
    Category,
    SkuId,
    ImpressionKind,
}

impl Part {
    fn column(self) -> &'static str {
        match self {
            Self::PlacementType => "placement_type",
            Self::AudienceSegment => "audience_segment",
            Self::Category => "category",
            Self::SkuId => "sku_id",
            Self::ImpressionKind => "impression_kind",
        }
    }
}

const KEY: &str = "p.date, p.placement_type, p.audience_segment, p.category, p.sku_id, p.impression_kind";
const MEASURES: &str =
    "p.impressions, p.clicks, p.conversions, p.spend_micros, p.revenue_micros, p.units_sold, p.new_to_brand_conversions, p.currency";

fn now_columns(sql: &Statement) -> String {
    let nothing = match sql.words {
        super::raw::Words::Postgres => "CAST(NULL AS TIMESTAMPTZ)",
        super::raw::Words::Mysql => "CAST(NULL AS DATETIME(6))",
        super::raw::Words::Sqlite => "NULL",
    };
    format!("p.campaign, {KEY}, {MEASURES}, p.source, p.version, p.updated_at AS valid_from, {nothing} AS replaced_at")
}

fn revision_columns() -> String {
    format!("p.campaign, {KEY}, {MEASURES}, p.source, p.version, p.valid_from, p.replaced_at")
}

/// Conditions that all readings of one campaign share.
fn restrict(sql: &mut Statement, scope: &Scope, campaign: i64, filter: &RowFilter, after: Option<&RowKey>, is_by_version: bool) {
    sql.push(" WHERE p.campaign = ").bind(Bind::Key(campaign));
    if let Some(tenant) = scope.tenant() {
        sql.push(" AND p.tenant_id = ").bind(Bind::Text(tenant.to_owned()));
    }
    if let Some(from) = filter.from {
        sql.push(" AND p.date >= ").bind(Bind::Date(from));
    }
    if let Some(to) = filter.to {
        sql.push(" AND p.date <= ").bind(Bind::Date(to));
    }
    for (part, value) in &filter.parts {
        sql.push(&format!(" AND p.{} = ", part.column())).bind(Bind::Text(value.clone()));
    }
    if let Some(after) = after {
        // The first condition is for databases that do not use an index for a comparison of rows.
        sql.push(" AND p.date >= ").bind(Bind::Date(after.date));
        let version = if is_by_version { ", p.version" } else { "" };
        sql.push(&format!(" AND ({KEY}{version}) > ("));
        sql.bind(Bind::Date(after.date));
        for part in &after.parts {
            sql.push(", ").bind(Bind::Text(part.clone()));
        }
        if is_by_version {
            sql.push(", ").bind(Bind::Key(i64::from(after.version)));
        }
        sql.push(")");
    }
}

/// Rows of a campaign that was found in this scope, in the order of their natural key.
///
/// # Errors
/// As any query.
pub fn list(
    conn: &mut Connection,
    scope: &Scope,
    campaign: i64,
    filter: &RowFilter,
    after: Option<&RowKey>,
    limit: i64,
) -> Result<Vec<Metric>, StorageError> {
    list_statement(conn, scope, campaign, filter, after, limit).load(conn)
}

/// How the database reads a page of [`list`].
///
/// # Errors
/// As any query.
pub fn explain_list(
    conn: &mut Connection,
    scope: &Scope,
    campaign: i64,
    filter: &RowFilter,
    after: Option<&RowKey>,
) -> Result<Vec<String>, StorageError> {
    list_statement(conn, scope, campaign, filter, after, 50).explain(conn)
}

fn list_statement(conn: &Connection, scope: &Scope, campaign: i64, filter: &RowFilter, after: Option<&RowKey>, limit: i64) -> Statement {
    let mut sql = Statement::new(conn);
    let columns = now_columns(&sql);
    sql.push(&format!("SELECT {columns} FROM performance_metrics p"));
    restrict(&mut sql, scope, campaign, filter, after, false);
    if let Some(as_of) = filter.as_of.map(Timestamp) {
        sql.push(" AND p.updated_at <= ").bind(Bind::Instant(as_of));
        sql.push(&format!(" UNION ALL SELECT {} FROM performance_revisions p", revision_columns()));
        restrict(&mut sql, scope, campaign, filter, after, false);
        sql.push(" AND p.valid_from <= ").bind(Bind::Instant(as_of));
        sql.push(" AND p.replaced_at > ").bind(Bind::Instant(as_of));
        sql.push(&format!(" ORDER BY {}", KEY.replace("p.", "")));
    } else {
        sql.push(&format!(" ORDER BY {KEY}"));
    }
    sql.push(&format!(" LIMIT {}", limit.clamp(1, MAX_PAGE)));
    sql
}

/// Former states of the rows of a campaign that was found in this scope, in the order of their natural key and version.
///
/// # Errors
/// As any query.
pub fn revisions(
    conn: &mut Connection,
    scope: &Scope,
    campaign: i64,
    filter: &RowFilter,
    after: Option<&RowKey>,
    limit: i64,
) -> Result<Vec<Metric>, StorageError> {
    let mut sql = Statement::new(conn);
    sql.push(&format!("SELECT {} FROM performance_revisions p", revision_columns()));
    restrict(&mut sql, scope, campaign, filter, after, true);
    sql.push(&format!(" ORDER BY {KEY}, p.version LIMIT {}", limit.clamp(1, MAX_PAGE)));
    sql.load(conn)
}

/// Most rows of one reading.
const MAX_PAGE: i64 = 5_000;

/// Where an export of all rows stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportPlace {
    campaign: i64,
    after: Option<RowKey>,
}

impl ExportPlace {
    /// The beginning.
    pub const START: Self = Self { campaign: 0, after: None };
}

/// A row with the ids of its campaign.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportRow {
    /// Public id of the campaign.
    pub campaign_id: String,
    /// Its tenant.
    pub tenant_id: String,
    /// Its retailer.
    pub retailer_id: String,
    /// The row.
    pub metric: Metric,
}

#[derive(QueryableByName)]
struct Owner {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    campaign_id: String,
    #[diesel(sql_type = Text)]
    tenant_id: String,
    #[diesel(sql_type = Text)]
    retailer_id: String,
}

/// Campaigns that one reading passes at most, so that many empty ones do not hold a connection for long.
const CAMPAIGNS_AT_ONCE: i64 = 50;

/// About `limit` rows of this scope after a place, by campaign and natural key, and where to continue; `None` at the end.
///
/// # Errors
/// As any query.
pub fn export(
    conn: &mut Connection,
    scope: &Scope,
    campaign_id: Option<&str>,
    filter: &RowFilter,
    place: &ExportPlace,
    limit: i64,
) -> Result<(Vec<ExportRow>, Option<ExportPlace>), StorageError> {
    let owners = owners(conn, scope, campaign_id, place)?;
    let is_last_page = (owners.len() as i64) < CAMPAIGNS_AT_ONCE;
    let (mut rows, mut after) = (Vec::new(), place.after.clone().filter(|_| owners.first().is_some_and(|one| one.id == place.campaign)));
    for owner in &owners {
        let wanted = limit - rows.len() as i64;
        let found = list(conn, scope, owner.id, filter, after.take().as_ref(), wanted)?;
        let is_full = found.len() as i64 == wanted;
        let last = found.last().map(Metric::key);
        rows.extend(found.into_iter().map(|metric| ExportRow {
            campaign_id: owner.campaign_id.clone(),
            tenant_id: owner.tenant_id.clone(),
            retailer_id: owner.retailer_id.clone(),
            metric,
        }));
        if is_full {
            return Ok((rows, Some(ExportPlace { campaign: owner.id, after: last })));
        }
    }
    let next = owners.last().filter(|_| !is_last_page).map(|last| ExportPlace { campaign: last.id + 1, after: None });
    Ok((rows, next))
}

/// How the database finds the campaigns whose rows [`export`] reads one after the other, each as [`list`] does.
///
/// # Errors
/// As any query.
pub fn explain_export(
    conn: &mut Connection,
    scope: &Scope,
    campaign_id: Option<&str>,
    place: &ExportPlace,
) -> Result<Vec<String>, StorageError> {
    owners_statement(conn, scope, campaign_id, place).explain(conn)
}

fn owners(conn: &mut Connection, scope: &Scope, campaign_id: Option<&str>, place: &ExportPlace) -> Result<Vec<Owner>, StorageError> {
    owners_statement(conn, scope, campaign_id, place).load(conn)
}

fn owners_statement(conn: &Connection, scope: &Scope, campaign_id: Option<&str>, place: &ExportPlace) -> Statement {
    let mut sql = Statement::new(conn);
    sql.push("SELECT c.id, c.campaign_id, c.tenant_id, c.retailer_id FROM campaigns c WHERE c.id >= ").bind(Bind::Key(place.campaign));
    if let Some(tenant) = scope.tenant() {
        sql.push(" AND c.tenant_id = ").bind(Bind::Text(tenant.to_owned()));
    }
    if let Some(campaign_id) = campaign_id {
        sql.push(" AND c.campaign_id = ").bind(Bind::Text(campaign_id.to_owned()));
    }
    sql.push(&format!(" ORDER BY c.id LIMIT {CAMPAIGNS_AT_ONCE}"));
    sql
}
