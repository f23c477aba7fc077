//! Performance rows of a campaign, written by natural key: repeating a request changes nothing.

pub mod rows;

use std::collections::{BTreeSet, HashMap};

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use chrono::{Datelike, NaiveDate};
use domain::invalid::Invalid;
use domain::role::Role;
use serde::{Deserialize, Serialize};
use serde_json::json;
use storage::campaigns;
use storage::performance::{self as stored, NewMetric, WriteMode};
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::json::JsonBytes;
use web::problem::Problem;

use crate::input::{MoneyInput, read_money};
use crate::state::State;

/// Most rows of one request; more go through an import.
pub const MAX_ROWS: usize = 5_000;
/// Most months of a request's rows: on PostgreSQL each is a partition, which the request may have to make.
const MAX_MONTHS: usize = 120;

/// One row; absent parts of the key count as empty, absent measures stay absent.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricBody {
    /// The day.
    pub date: NaiveDate,
    /// Placement type.
    #[serde(default)]
    pub placement_type: String,
    /// Audience segment.
    #[serde(default)]
    pub audience_segment: String,
    /// Category of the product.
    #[serde(default)]
    pub category: String,
    /// Product.
    #[serde(default)]
    pub sku_id: String,
    /// How impressions were counted.
    #[serde(default)]
    pub impression_kind: String,
    /// Ad impressions.
    pub impressions: Option<i64>,
    /// Clicks.
    pub clicks: Option<i64>,
    /// Attributed orders.
    pub conversions: Option<i64>,
    /// Spend; without a currency it is the campaign's.
    pub spend: Option<MoneyInput>,
    /// Attributed revenue.
    pub revenue: Option<MoneyInput>,
    /// Units sold.
    pub units_sold: Option<i64>,
    /// First purchases of the brand by a household.
    pub new_to_brand_conversions: Option<i64>,
}

/// What happens to a row whose key is stored already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Its measures take the place of the stored ones.
    #[default]
    Replace,
    /// Its measures are added; needs an `Idempotency-Key`, since repeating would add twice.
    Add,
}

/// Rows to write.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PerformanceBody {
    /// 1 to 5,000 rows.
    pub rows: Vec<MetricBody>,
    /// What happens to rows that are there.
    #[serde(default)]
    pub mode: Mode,
}

fn check(body: &PerformanceBody) -> Result<Vec<NewMetric>, Invalid> {
    let mut invalid = Invalid::default();
    if body.rows.is_empty() || body.rows.len() > MAX_ROWS {
        return Err(Invalid::one("rows", format!("must hold 1 to {MAX_ROWS} rows, not {}; import larger files", body.rows.len())));
    }
    let mut rows = Vec::with_capacity(body.rows.len());
    for (at, row) in body.rows.iter().enumerate() {
        let place = |field: &str| format!("rows[{at}].{field}");
        let counts = [
            ("impressions", row.impressions),
            ("clicks", row.clicks),
            ("conversions", row.conversions),
            ("units_sold", row.units_sold),
            ("new_to_brand_conversions", row.new_to_brand_conversions),
        ];
        for (field, count) in counts {
            if count.is_some_and(|count| count < 0) {
                invalid.add(place(field), "must not be negative");
            }
        }
        let parts = [
            ("placement_type", &row.placement_type, 100),
            ("audience_segment", &row.audience_segment, 100),
            ("category", &row.category, 100),
            ("sku_id", &row.sku_id, 100),
            ("impression_kind", &row.impression_kind, 40),
        ];
        invalid.merge(domain::day::check(&place("date"), row.date));
        for (field, text, most) in parts {
            if text.contains('\0') {
                invalid.add(place(field), "must not hold the character NUL");
            }
            if text.chars().count() > most {
                invalid.add(place(field), format!("must be at most {most} characters"));
            }
        }
        let (spend_name, revenue_name) = (place("spend"), place("revenue"));
        let amounts = [(spend_name.as_str(), row.spend.as_ref()), (revenue_name.as_str(), row.revenue.as_ref())];
        let money = match read_money(None, amounts) {
            // Bare amounts are in the campaign's currency.
            Err(error) if error.fields.iter().all(|field| field.field == "currency") => bare_amounts(row).map(|micros| (micros, None)),
            other => other,
        };
        let ([spend_micros, revenue_micros], currency) = invalid.merge(money).unwrap_or_default();
        rows.push(NewMetric {
            campaign: 0,
            tenant_id: String::new(),
            date: row.date,
            placement_type: row.placement_type.clone(),
            audience_segment: row.audience_segment.clone(),
            category: row.category.clone(),
            sku_id: row.sku_id.clone(),
            impression_kind: row.impression_kind.clone(),
            impressions: row.impressions,
            clicks: row.clicks,
            conversions: row.conversions,
            spend_micros,
            revenue_micros,
            units_sold: row.units_sold,
            new_to_brand_conversions: row.new_to_brand_conversions,
            currency,
            source: "api".to_owned(),
        });
    }
    if body.mode == Mode::Replace {
        refuse_twice(&mut invalid, &body.rows);
    }
    let months: BTreeSet<(i32, u32)> = body.rows.iter().map(|row| (row.date.year(), row.date.month())).collect();
    if months.len() > MAX_MONTHS {
        invalid.add("rows", format!("lie in {} months; send at most {MAX_MONTHS} months at once, or import a file", months.len()));
    }
    invalid.into_result()?;
    Ok(rows)
}

/// Refuses rows with the same natural key: the measures of one of them would be lost.
fn refuse_twice(invalid: &mut Invalid, rows: &[MetricBody]) {
    let mut seen = HashMap::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let parts = [&row.placement_type, &row.audience_segment, &row.category, &row.sku_id, &row.impression_kind];
        if let Some(first) = seen.insert((row.date, parts), at) {
            let why = format!(
                "is the same row as rows[{first}] (same date, placement_type, audience_segment, category, sku_id and impression_kind): send it \
                 once, or with \"mode\": \"add\" if both are to be added"
            );
            invalid.add(format!("rows[{at}]"), why);
        }
    }
}

fn bare_amounts(row: &MetricBody) -> Result<[Option<i64>; 2], Invalid> {
    let read = |field: &str, amount: &Option<MoneyInput>| amount.as_ref().map(|amount| amount.read(field).map(|read| read.0)).transpose();
    Ok([read("spend", &row.spend)?, read("revenue", &row.revenue)?])
}

/// Writes rows; the answer counts what is new, changed and unchanged. With `replace` no two rows of a request may have the same natural key
/// (422 names both); with `add` both are added.
#[utoipa::path(post, path = "/v1/campaigns/{campaign_id}/performance", tag = "performance", params(("Idempotency-Key" = Option<String>, Header), ("campaign_id" = String, Path)), request_body = PerformanceBody, responses((status = 200, body = Object, description = "`{received, inserted, updated, unchanged}`"), (status = 422, description = "Rows that cannot be stored, by row and field")))]
pub async fn record_performance(
    state: Data<State>,
    caller: Caller,
    key: RepeatKey,
    id: Path<String>,
    body: JsonBytes<PerformanceBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let request = key.of(&caller, &body.bytes);
    let mode = match body.value.mode {
        Mode::Replace => WriteMode::Replace,
        Mode::Add if request.is_some() => WriteMode::Add,
        Mode::Add => {
            return Err(Problem::invalid_field("mode", "add needs an Idempotency-Key header, so that a repeated request cannot add twice"));
        }
    };
    let (scope, now, rows) = (caller.scope(), state.clock.now(), check(&body.value)?);
    repeat::create(&state.storage.scoped(&scope), request, now, move |conn| {
        let campaign = campaigns::find(conn, &scope, &id)?;
        let mut rows = rows.clone();
        for row in &mut rows {
            row.campaign = campaign.id;
            row.tenant_id.clone_from(&campaign.tenant_id);
        }
        let written = stored::record(conn, &rows, mode, now)?;
        let body = json!({
            "received": rows.len(),
            "inserted": written.inserted,
            "updated": written.updated,
            "unchanged": written.unchanged,
        });
        Ok(Answer { status: StatusCode::OK, body })
    })
    .await
}
