//! Sums of performance in one grouped query: measures, and for each ratio its numerator and denominator over the rows that have both.

use chrono::NaiveDate;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Date, Nullable, Text};
use domain::scope::Scope;

use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;

/// Most groups of one answer.
pub const MAX_GROUPS: usize = 10_000;

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
}

impl Dimension {
    /// All, each with its name in requests and answers.
    pub const ALL: [(Self, &'static str); 10] = [
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
    ];

    /// The name in requests and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(dimension, _)| *dimension == self).map_or("", |(_, name)| name)
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
}

/// The two measures of each ratio, numerator first.
pub const RATIOS: [(&str, &str); 8] = [
    ("clicks", "impressions"),
    ("conversions", "clicks"),
    ("conversions", "impressions"),
    ("spend_micros", "clicks"),
    ("spend_micros", "impressions"),
    ("spend_micros", "conversions"),
    ("revenue_micros", "spend_micros"),
    ("revenue_micros", "conversions"),
];

/// The sums of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryRow {
    /// Values of the dimensions asked for, in their order.
    pub group: Vec<String>,
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
    /// For each of [`RATIOS`] the sums of numerator and denominator over the rows that have both.
    pub pairs: [(Option<i64>, Option<i64>); 8],
}

macro_rules! raw_row {
    ($($dimension:ident)+; $($sum:ident)+) => {
        #[derive(QueryableByName)]
        struct Raw {
            $(#[diesel(sql_type = Nullable<Text>)] $dimension: Option<String>,)+
            #[diesel(sql_type = Nullable<Text>)]
            currency: Option<String>,
            #[diesel(sql_type = BigInt)]
            n: i64,
            $(#[diesel(sql_type = Nullable<BigInt>)] $sum: Option<i64>,)+
        }
    };
}

raw_row!(d0 d1 d2 d3 d4 d5 d6 d7 d8 d9;
    impressions clicks conversions spend_micros revenue_micros units_sold new_to_brand_conversions
    a0 b0 a1 b1 a2 b2 a3 b3 a4 b4 a5 b5 a6 b6 a7 b7);

enum Bind {
    Text(String),
    Date(NaiveDate),
    Key(i64),
}

/// Sums of this scope's rows.
///
/// # Errors
/// As any query.
pub fn summarise(conn: &mut Connection, scope: &Scope, query: &SummaryQuery) -> Result<Vec<SummaryRow>, StorageError> {
    let (conditions, binds) = conditions(scope, query);
    let sql = statement(Words::of(conn), query, &conditions);
    let raw: Vec<Raw> = on!(conn, c => {
        let mut boxed = diesel::sql_query(sql).into_boxed();
        for bind in binds {
            boxed = match bind {
                Bind::Text(text) => boxed.bind::<Text, _>(text),
                Bind::Date(date) => boxed.bind::<Date, _>(date),
                Bind::Key(key) => boxed.bind::<BigInt, _>(key),
            };
        }
        boxed.load(c)
    })?;
    Ok(raw.into_iter().map(|row| row.into_summary(query.group_by.len())).collect())
}

impl Raw {
    fn into_summary(self, dimensions: usize) -> SummaryRow {
        let all = [self.d0, self.d1, self.d2, self.d3, self.d4, self.d5, self.d6, self.d7, self.d8, self.d9];
        SummaryRow {
            group: all.into_iter().take(dimensions).map(Option::unwrap_or_default).collect(),
            currency: self.currency,
            rows: self.n,
            impressions: self.impressions,
            clicks: self.clicks,
            conversions: self.conversions,
            spend_micros: self.spend_micros,
            revenue_micros: self.revenue_micros,
            units_sold: self.units_sold,
            new_to_brand_conversions: self.new_to_brand_conversions,
            pairs: [
                (self.a0, self.b0),
                (self.a1, self.b1),
                (self.a2, self.b2),
                (self.a3, self.b3),
                (self.a4, self.b4),
                (self.a5, self.b5),
                (self.a6, self.b6),
                (self.a7, self.b7),
            ],
        }
    }
}

/// How a database spells what the statement needs.
#[derive(Clone, Copy)]
enum Words {
    Postgres,
    Mysql,
    Sqlite,
}

impl Words {
    fn of(conn: &Connection) -> Self {
        match conn {
            Connection::Postgres(_) => Self::Postgres,
            Connection::Mysql(_) => Self::Mysql,
            Connection::Sqlite(_) => Self::Sqlite,
        }
    }

    fn placeholder(self, position: usize) -> String {
        match self {
            Self::Postgres => format!("${position}"),
            _ => "?".to_owned(),
        }
    }

    /// The type of whole sums: `SUM` of whole numbers is a decimal on the servers.
    fn whole(self) -> &'static str {
        match self {
            Self::Mysql => "SIGNED",
            _ => "BIGINT",
        }
    }

    fn nothing(self) -> &'static str {
        match self {
            Self::Mysql => "CAST(NULL AS CHAR)",
            _ => "CAST(NULL AS TEXT)",
        }
    }

    fn dimension(self, dimension: Dimension) -> &'static str {
        match (dimension, self) {
            (Dimension::Day, Self::Postgres) => "to_char(p.date, 'YYYY-MM-DD')",
            (Dimension::Day, Self::Mysql) => "DATE_FORMAT(p.date, '%Y-%m-%d')",
            (Dimension::Day, Self::Sqlite) => "p.date",
            (Dimension::Week, Self::Postgres) => "to_char(date_trunc('week', p.date), 'YYYY-MM-DD')",
            (Dimension::Week, Self::Mysql) => "DATE_FORMAT(DATE_SUB(p.date, INTERVAL WEEKDAY(p.date) DAY), '%Y-%m-%d')",
            (Dimension::Week, Self::Sqlite) => "date(p.date, '-' || ((CAST(strftime('%w', p.date) AS INTEGER) + 6) % 7) || ' days')",
            (Dimension::Month, Self::Postgres) => "to_char(p.date, 'YYYY-MM-01')",
            (Dimension::Month, Self::Mysql) => "DATE_FORMAT(p.date, '%Y-%m-01')",
            (Dimension::Month, Self::Sqlite) => "strftime('%Y-%m-01', p.date)",
            (Dimension::Campaign, _) => "c.campaign_id",
            (Dimension::PlacementType, _) => "p.placement_type",
            (Dimension::AudienceSegment, _) => "p.audience_segment",
            (Dimension::Category, _) => "p.category",
            (Dimension::SkuId, _) => "p.sku_id",
            (Dimension::Retailer, _) => "c.retailer_id",
            (Dimension::ImpressionKind, _) => "p.impression_kind",
        }
    }
}

fn conditions(scope: &Scope, query: &SummaryQuery) -> (Vec<&'static str>, Vec<Bind>) {
    let text = |value: &Option<String>| value.clone().map(Bind::Text);
    let all = [
        ("p.tenant_id =", scope.tenant().map(|tenant| Bind::Text(tenant.to_owned()))),
        ("p.date >=", query.from.map(Bind::Date)),
        ("p.date <=", query.to.map(Bind::Date)),
        ("p.campaign =", query.campaign.map(Bind::Key)),
        ("c.campaign_id =", text(&query.campaign_id)),
        ("c.retailer_id =", text(&query.retailer_id)),
        ("p.placement_type =", text(&query.placement_type)),
        ("p.audience_segment =", text(&query.audience_segment)),
        ("p.category =", text(&query.category)),
        ("p.sku_id =", text(&query.sku_id)),
        ("p.impression_kind =", text(&query.impression_kind)),
    ];
    all.into_iter().filter_map(|(condition, bind)| Some((condition, bind?))).unzip()
}

fn statement(words: Words, query: &SummaryQuery, conditions: &[&str]) -> String {
    const MEASURES: [&str; 7] =
        ["impressions", "clicks", "conversions", "spend_micros", "revenue_micros", "units_sold", "new_to_brand_conversions"];
    let mut columns: Vec<String> = Vec::new();
    for place in 0..Dimension::ALL.len() {
        let expression = query.group_by.get(place).map_or(words.nothing(), |dimension| words.dimension(*dimension));
        columns.push(format!("{expression} AS d{place}"));
    }
    columns.push("COALESCE(p.currency, c.currency) AS currency".to_owned());
    columns.push("COUNT(*) AS n".to_owned());
    let whole = words.whole();
    columns.extend(MEASURES.iter().map(|measure| format!("CAST(SUM(p.{measure}) AS {whole}) AS {measure}")));
    for (place, (numerator, denominator)) in RATIOS.iter().enumerate() {
        let with_both = |one: &str, other: &str| format!("CAST(SUM(CASE WHEN p.{other} IS NOT NULL THEN p.{one} END) AS {whole})");
        columns.push(format!("{} AS a{place}", with_both(numerator, denominator)));
        columns.push(format!("{} AS b{place}", with_both(denominator, numerator)));
    }
    let mut groups: Vec<String> = query.group_by.iter().map(|dimension| words.dimension(*dimension).to_owned()).collect();
    groups.push("COALESCE(p.currency, c.currency)".to_owned());
    if query.group_by.contains(&Dimension::Campaign) {
        // Campaigns of different tenants may share a public id.
        groups.push("c.id".to_owned());
    }
    let groups = groups.join(", ");
    let conditions: Vec<String> =
        conditions.iter().enumerate().map(|(at, condition)| format!("{condition} {}", words.placeholder(at + 1))).collect();
    let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    let limit = query.limit.clamp(1, MAX_GROUPS) + 1;
    format!(
        "SELECT {} FROM performance_metrics p JOIN campaigns c ON c.id = p.campaign{filter} GROUP BY {groups} ORDER BY {groups} LIMIT {limit}",
        columns.join(", ")
    )
}
