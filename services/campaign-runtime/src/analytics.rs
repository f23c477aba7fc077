//! Sums and derived metrics of performance: ratios are ratios of sums over rows that have both measures, never averages of ratios.

use actix_web::http::header::ACCEPT;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use chrono::NaiveDate;
use planning::metrics::{Derived, Measures, PairedSums};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use storage::performance::summary::{Dimension, MAX_GROUPS, SummaryQuery, SummaryRow, summarise};
use web::caller::Caller;
use web::json::QueryOf;
use web::problem::Problem;

use crate::input::money_or_null;
use crate::state::State;

/// What is asked.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AnalyticsQuery {
    /// First day.
    pub from: Option<NaiveDate>,
    /// Last day, included.
    pub to: Option<NaiveDate>,
    /// Names out of `day`, `week`, `month`, `campaign`, `placement_type`, `audience_segment`, `category`, `sku_id`, `retailer`,
    /// `impression_kind`, with commas between; nothing sums all rows. The currency always separates groups.
    pub group_by: Option<String>,
    /// Only a campaign.
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
}

impl AnalyticsQuery {
    fn check(self) -> Result<SummaryQuery, Problem> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && to < from
        {
            return Err(Problem::invalid_field("to", "is before from"));
        }
        let mut group_by = Vec::new();
        for name in self.group_by.as_deref().unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let names = Dimension::ALL.map(|(_, name)| name).join(", ");
            let known = Dimension::ALL.iter().find(|(_, known)| *known == name);
            let (dimension, _) = known.ok_or_else(|| Problem::invalid_field("group_by", format!("{name:?} is not one of {names}")))?;
            if group_by.contains(dimension) {
                return Err(Problem::invalid_field("group_by", format!("{name:?} is given twice")));
            }
            group_by.push(*dimension);
        }
        Ok(SummaryQuery {
            from: self.from,
            to: self.to,
            campaign: None,
            campaign_id: self.campaign_id,
            retailer_id: self.retailer_id,
            placement_type: self.placement_type,
            audience_segment: self.audience_segment,
            category: self.category,
            sku_id: self.sku_id,
            impression_kind: self.impression_kind,
            group_by,
            limit: MAX_GROUPS,
        })
    }
}

/// Derives all metrics of a group, each over the rows that have both of its measures.
#[must_use]
pub fn derive(row: &SummaryRow) -> Derived {
    let [ctr, cvr, purchase, cpc, cpm, cpa, roas, aov] = row.pairs;
    let mut sums = PairedSums::default();
    let none = Measures::default();
    sums.add(&Measures { clicks: ctr.0, impressions: ctr.1, ..none });
    sums.add(&Measures { conversions: cvr.0, clicks: cvr.1, ..none });
    sums.add(&Measures { conversions: purchase.0, impressions: purchase.1, ..none });
    sums.add(&Measures { spend_micros: cpc.0, clicks: cpc.1, ..none });
    sums.add(&Measures { spend_micros: cpm.0, impressions: cpm.1, ..none });
    sums.add(&Measures { spend_micros: cpa.0, conversions: cpa.1, ..none });
    sums.add(&Measures { revenue_micros: roas.0, spend_micros: roas.1, ..none });
    sums.add(&Measures { revenue_micros: aov.0, conversions: aov.1, ..none });
    sums.derive()
}

fn figure<T: Serialize>(shown: &mut Map<String, Value>, reasons: &mut Map<String, Value>, name: &str, value: Option<T>, reason: Value) {
    shown.insert(name.to_owned(), json!(value));
    if value.is_none() {
        reasons.insert(name.to_owned(), reason);
    }
}

fn show(row: &SummaryRow, group_by: &[Dimension]) -> Value {
    let currency = row.currency.as_deref();
    let mut shown: Map<String, Value> = group_by.iter().zip(&row.group).map(|(by, value)| (by.name().to_owned(), json!(value))).collect();
    let counts = [
        ("rows", Some(row.rows)),
        ("impressions", row.impressions),
        ("clicks", row.clicks),
        ("conversions", row.conversions),
        ("units_sold", row.units_sold),
        ("new_to_brand_conversions", row.new_to_brand_conversions),
    ];
    shown.extend(counts.map(|(name, count)| (name.to_owned(), json!(count))));
    shown.insert("currency".to_owned(), json!(currency));
    shown.insert("spend".to_owned(), money_or_null(row.spend_micros, currency));
    shown.insert("revenue".to_owned(), money_or_null(row.revenue_micros, currency));
    let derived = derive(row);
    let mut reasons = Map::new();
    for (name, figure_) in [("ctr", derived.ctr), ("cvr", derived.cvr), ("purchase_rate", derived.purchase_rate), ("roas", derived.roas)] {
        figure(&mut shown, &mut reasons, name, figure_.value, json!(figure_.reason));
    }
    let amounts = [("cpc", derived.cpc_micros), ("cpm", derived.cpm_micros), ("cpa", derived.cpa_micros), ("aov", derived.aov_micros)];
    for (name, figure_) in amounts {
        let money = figure_.value.map(|micros| money_or_null(Some(micros), currency));
        figure(&mut shown, &mut reasons, name, money, json!(figure_.reason));
    }
    shown.insert("reasons".to_owned(), Value::Object(reasons));
    Value::Object(shown)
}

/// Columns of the CSV answer after those of the groups.
const CSV_COLUMNS: [&str; 17] = [
    "currency",
    "rows",
    "impressions",
    "clicks",
    "conversions",
    "spend",
    "revenue",
    "units_sold",
    "new_to_brand_conversions",
    "ctr",
    "cvr",
    "purchase_rate",
    "cpc",
    "cpm",
    "cpa",
    "roas",
    "aov",
];

/// The same figures as comma-separated values; what has no value is an empty field.
fn csv(rows: &[SummaryRow], group_by: &[Dimension]) -> Result<Vec<u8>, Problem> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = group_by.iter().map(|by| by.name()).chain(CSV_COLUMNS);
    writer.write_record(names).map_err(Problem::internal)?;
    for row in rows {
        let shown = show(row, group_by);
        let cell = |name: &str| match shown.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Object(money)) => money.get("amount").and_then(Value::as_str).unwrap_or_default().to_owned(),
            Some(other) => other.to_string(),
        };
        let cells = group_by.iter().map(|by| cell(by.name())).chain(CSV_COLUMNS.map(cell));
        writer.write_record(cells).map_err(Problem::internal)?;
    }
    writer.into_inner().map_err(|error| Problem::internal(error.to_string()))
}

/// Sums and derived metrics by group, in the order of the groups: at most 10,000 groups, as JSON or CSV (`Accept: text/csv`).
/// A metric without value has its reason in `reasons`.
#[utoipa::path(get, path = "/v1/analytics/performance", tag = "performance", params(AnalyticsQuery), responses((status = 200, body = Object, description = "`{group_by, data}`"), (status = 422, description = "Over 10,000 groups")))]
pub async fn analyse_performance(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
    query: QueryOf<AnalyticsQuery>,
) -> Result<HttpResponse, Problem> {
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    let accepts = |kind: &str| accept.split(',').any(|one| one.trim().split(';').next() == Some(kind));
    let wants_csv = accepts("text/csv");
    if !wants_csv && !["application/json", "application/*", "*/*"].into_iter().any(accepts) {
        return Err(Problem::not_acceptable("application/json or text/csv"));
    }
    let query = query.0.check()?;
    let (scope, wanted) = (caller.scope(), query.clone());
    let rows = state.storage.scoped(&scope).read(move |conn| summarise(conn, &scope, &wanted)).await?;
    if rows.len() > MAX_GROUPS {
        let message = format!("makes over {MAX_GROUPS} groups; narrow from and to, or group by less");
        return Err(Problem::invalid_field("group_by", message));
    }
    if wants_csv {
        return Ok(HttpResponse::Ok().content_type("text/csv; charset=utf-8").body(csv(&rows, &query.group_by)?));
    }
    let names: Vec<&str> = query.group_by.iter().map(|by| by.name()).collect();
    let data: Vec<Value> = rows.iter().map(|row| show(row, &query.group_by)).collect();
    Ok(HttpResponse::Ok().json(json!({"group_by": names, "data": data})))
}
