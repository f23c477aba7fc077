//! Sums and derived metrics of performance: ratios are ratios of sums over rows that have both measures, never averages of ratios.

pub mod anomalies;
pub mod figures;
pub mod funnel;
pub mod query;
pub mod table;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use planning::figure::Reason;
use planning::metrics::DEFINITIONS;
use serde_json::{Map, Value, json};
use storage::performance::summary::{Dimension, MAX_GROUPS};
use web::caller::Caller;
use web::json::QueryOf;
use web::problem::Problem;
use web::tabular::{Column, Encoder, Format, Kind};

use crate::state::State;
use figures::{Shown, change};
use query::{AnalyticsQuery, Question};
use table::{Group, SHARED, compare, gather, rank, shares, totals};

/// Sums and derived metrics by group: at most 10,000 groups, as JSON, CSV, NDJSON or Parquet by `Accept`. What has no value has its reason in
/// `reasons`. Ranked by `order_by`, cut by `top`, beside another period with `compare_from` and `compare_to`.
#[utoipa::path(get, path = "/v1/analytics/performance", tag = "performance", params(AnalyticsQuery), responses((status = 200, content((Object = "application/json"), (String = "text/csv"), (String = "application/vnd.apache.parquet")), description = "`{group_by, source, metrics, data}`"), (status = 404, description = "No such campaign"), (status = 406, description = "No such format"), (status = 422, description = "Over 10,000 groups, or a parameter that is wrong")))]
pub async fn analyse_performance(
    state: Data<State>,
    caller: Caller,
    request: HttpRequest,
    query: QueryOf<AnalyticsQuery>,
) -> Result<HttpResponse, Problem> {
    let format = Format::accepted(&request)?;
    let question = query.0.check()?;
    let (scope, asked) = (caller.scope(), question.clone());
    let groups = state
        .storage
        .scoped(&scope.clone())
        .read(move |conn| {
            let mut asked = asked;
            asked.resolve(conn, &scope)?;
            let Some(mut groups) = gather(conn, &scope, &asked.query)? else { return Ok(None) };
            if let Some(then) = &asked.then {
                let Some(then) = gather(conn, &scope, then)? else { return Ok(None) };
                compare(&mut groups, then);
            }
            let totals = totals(&groups);
            let groups = match asked.order {
                Some(order) => rank(groups, order, asked.top)?,
                None => groups,
            };
            Ok(Some((groups, totals)))
        })
        .await?;
    let Some((groups, totals)) = groups else {
        let message = format!("makes over {MAX_GROUPS} groups; narrow from and to, or group by less");
        return Err(Problem::invalid_field("group_by", message));
    };
    let question = &question;
    if let Some(format) = format {
        let rows: Vec<Vec<Value>> = groups.iter().map(|group| cells(group, question)).collect();
        let bytes = Encoder::new(format, columns(question), false)?.whole(&rows)?;
        return Ok(HttpResponse::Ok().content_type(format.media_type()).body(bytes));
    }
    let data: Vec<Value> = groups.iter().map(|group| show(group, question, &shares(group, &totals))).collect();
    let names: Vec<&str> = question.query.group_by.iter().map(|by| by.name()).collect();
    Ok(HttpResponse::Ok().json(json!({
        "group_by": names,
        "from": question.query.from,
        "to": question.query.to,
        "as_of": question.query.as_of,
        "source": question.query.source(),
        "metrics": DEFINITIONS,
        "data": data,
    })))
}

fn put(shown: &mut Map<String, Value>, reasons: &mut Map<String, Value>, figures: &[Shown], currency: Option<&str>) {
    for figure in figures {
        shown.insert(figure.name.to_owned(), figure.value.map_or(Value::Null, |value| value.show(currency)));
        if let Some(reason) = figure.reason {
            reasons.insert(figure.name.to_owned(), json!(reason));
        }
    }
}

fn show(group: &Group, question: &Question, shares: &[Option<f64>; 5]) -> Value {
    let row = &group.row;
    let currency = row.currency.as_deref();
    let group_by = &question.query.group_by;
    let mut shown: Map<String, Value> = place(group, group_by);
    let mut reasons = Map::new();
    shown.insert("currency".to_owned(), json!(currency));
    shown.insert("rows".to_owned(), if group.is_hidden { Value::Null } else { json!(row.rows) });
    shown.insert("attribution".to_owned(), json!(group.attribution));
    if group.attribution.is_none() {
        reasons.insert("attribution".to_owned(), json!(Reason::NotDeclared));
    }
    let now = group.figures();
    put(&mut shown, &mut reasons, &now, currency);
    if !group_by.is_empty() {
        let shares: Map<String, Value> = SHARED.iter().zip(shares).map(|(name, share)| ((*name).to_owned(), json!(share))).collect();
        shown.insert("share".to_owned(), Value::Object(shares));
    }
    if question.top.is_some() {
        shown.insert("is_rest".to_owned(), json!(group.is_rest));
    }
    if question.then.is_some() {
        let before = then(group);
        let (mut compared, mut compared_reasons) = (Map::new(), Map::new());
        put(&mut compared, &mut compared_reasons, &before, currency);
        compared.insert("reasons".to_owned(), Value::Object(compared_reasons));
        shown.insert("compare".to_owned(), Value::Object(compared));
        let changes = before.iter().zip(&now).map(|(before, now)| {
            let change = change(before, now);
            let absolute = change.absolute.map(|value| value.show(currency));
            (now.name.to_owned(), json!({"absolute": absolute, "relative": change.relative, "reason": change.reason}))
        });
        shown.insert("change".to_owned(), Value::Object(changes.collect()));
    }
    shown.insert("reasons".to_owned(), Value::Object(reasons));
    Value::Object(shown)
}

fn place(group: &Group, group_by: &[Dimension]) -> Map<String, Value> {
    let value = |value: &String| if group.is_rest { Value::Null } else { json!(value) };
    group_by.iter().zip(&group.row.group).map(|(by, text)| (by.name().to_owned(), value(text))).collect()
}

/// The figures of the period compared with.
fn then(group: &Group) -> Vec<Shown> {
    group.then.as_ref().map_or_else(|| figures::withheld(Reason::NoSuchGroup), |then| then.figures())
}

/// Columns of files: groups, currency, attribution, rows, figures, and the comparison.
fn columns(question: &Question) -> Vec<Column> {
    let mut columns: Vec<Column> = question.query.group_by.iter().map(|by| Column::new(by.name(), Kind::Text)).collect();
    columns.push(Column::new("currency", Kind::Text));
    columns.push(Column::new("rows", Kind::Whole));
    let figures = figures::withheld(Reason::NotMeasured);
    columns.extend(figures.iter().map(|figure| Column::new(figure.name, figure.kind)));
    columns.push(Column::new("attribution", Kind::Text));
    columns.push(Column::new("is_rest", Kind::Flag));
    columns.push(Column::new("is_hidden", Kind::Flag));
    if question.then.is_some() {
        for figure in &figures {
            columns.push(Column::new(format!("compare_{}", figure.name), figure.kind));
            columns.push(Column::new(format!("change_{}", figure.name), figure.kind));
            columns.push(Column::new(format!("relative_change_{}", figure.name), Kind::Real));
        }
    }
    columns
}

fn cells(group: &Group, question: &Question) -> Vec<Value> {
    let cell = |value: Option<figures::Number>| value.map_or(Value::Null, figures::Number::cell);
    let mut cells: Vec<Value> = group.row.group.iter().map(|text| if group.is_rest { Value::Null } else { json!(text) }).collect();
    cells.push(json!(group.row.currency));
    cells.push(if group.is_hidden { Value::Null } else { json!(group.row.rows) });
    let now = group.figures();
    cells.extend(now.iter().map(|figure| cell(figure.value)));
    cells.push(group.attribution.map_or(Value::Null, |declared| json!(json!(declared).to_string())));
    cells.extend([json!(group.is_rest), json!(group.is_hidden)]);
    if question.then.is_some() {
        for (before, now) in then(group).iter().zip(&now) {
            let change = change(before, now);
            cells.extend([cell(before.value), cell(change.absolute), json!(change.relative)]);
        }
    }
    cells
}
