//! Key figures on pages: the table and charts of the dashboard, and a page for each figure with the rows it is made of.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;
use chrono::NaiveDate;
use domain::role::Role;
use serde::Deserialize;
use serde_json::Value;
use storage::page::Page;
use storage::reward_models::require_retailer;
use storage::rlhf_metrics::sources::{self, SourceRow};
use storage::rlhf_metrics::{self as stored, DayFigures};
use storage::types::Timestamp;
use web::caller::{PageCaller, PageRefusal};
use web::chart::{Series, Shape, lines, sparkline};
use web::json::QueryOf;
use web::layout::{Layout, render};
use web::problem::Problem;

use super::dashboard::FEW;
use super::{breakable, count, file};
use crate::key_figures::figures::{FIGURES, Figure, Unit, named};
use crate::key_figures::view::{money_of, value_of};
use crate::key_figures::{day_of, of_figure};
use crate::state::State;

/// Rows behind a figure on one page.
const ROWS: i64 = 100;

/// A figure on its newest day.
pub struct FigureView {
    /// Its name in the API.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Value with its unit, or a dash.
    pub value: String,
    /// Interval, n and day; or why there is no value.
    pub note: String,
    /// How it is computed.
    pub definition: &'static str,
    /// Over the days of the span.
    pub trend: String,
    /// Whether it rests on too little to be read.
    pub is_faint: bool,
    /// The day it is of.
    pub date: Option<NaiveDate>,
}

impl FigureView {
    pub(super) fn note_html(&self) -> String {
        breakable(&self.note)
    }
}

/// All figures over a span of days, oldest first.
#[must_use]
pub fn views(rows: &[DayFigures]) -> Vec<FigureView> {
    FIGURES.iter().map(|figure| view(figure, rows)).collect()
}

fn view(figure: &'static Figure, rows: &[DayFigures]) -> FigureView {
    let values: Vec<Option<f64>> = rows.iter().map(|row| value_of(row, figure)).collect();
    let newest = rows.iter().rev().find(|row| value_of(row, figure).is_some());
    let note_of = |row: &DayFigures| row.definitions.0.get(figure.name).cloned().unwrap_or_default();
    let (value, note, n) = match (newest, rows.last()) {
        (Some(row), _) => {
            let note = note_of(row);
            let n = note["n"].as_u64().unwrap_or(0);
            (shown(row, figure), words(figure, row, &note), n)
        }
        (None, Some(row)) => ("\u{2013}".to_owned(), because(&note_of(row), &format!(" on {}", row.date.format("%-d %b %Y"))), 0),
        (None, None) => ("\u{2013}".to_owned(), "Not defined: nothing was computed for these days.".to_owned(), 0),
    };
    FigureView {
        name: figure.name,
        title: figure.title,
        value,
        note,
        definition: figure.definition,
        trend: if values.iter().flatten().count() > 1 { sparkline(&format!("{} by day", figure.title), &values) } else { String::new() },
        // Few experiments may rest on many people; their interval says what they are worth.
        is_faint: newest.is_some()
            && n < FEW
            && !matches!(figure.unit, Unit::Count | Unit::Hours)
            && !figure.name.starts_with("incremental"),
        date: newest.map(|row| row.date),
    }
}

/// Why there is no value, and ` on` which day where the page does not say it.
fn because(note: &Value, on: &str) -> String {
    format!("Not defined{on}: {}.", note["absent_because"].as_str().unwrap_or("it was not computed"))
}

/// A value with its unit.
fn shown(row: &DayFigures, figure: &Figure) -> String {
    let Some(value) = value_of(row, figure) else { return "\u{2013}".to_owned() };
    match (figure.unit, money_of(row, figure)) {
        (Unit::Money, Some((_, currency))) => format!("{value:.2} {currency}"),
        _ => with_unit(value, figure.unit),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "counts come from whole numbers of 32 bits")]
fn with_unit(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Count => count(value as i64),
        Unit::Share => format!("{:.1} %", value * 100.0),
        Unit::Percent => format!("{value:.1} %"),
        Unit::Ratio | Unit::Money => format!("{value:.2}"),
        Unit::Hours => format!("{value:.2} h"),
        Unit::Days => format!("{value:.1} days"),
    }
}

fn words(figure: &Figure, row: &DayFigures, note: &Value) -> String {
    let n = note["n"].as_u64().unwrap_or(0);
    let ends = note["interval"]["low"].as_f64().zip(note["interval"]["high"].as_f64());
    let interval = ends.map_or_else(String::new, |(low, high)| {
        format!("95 % interval {} to {}, ", with_unit(low, figure.unit), with_unit(high, figure.unit))
    });
    let n = if figure.unit == Unit::Count { String::new() } else { format!("n = {n}, ") };
    format!("{interval}{n}{}", row.date.format("%-d %b %Y"))
}

/// A chart in both sizes.
pub struct Drawing {
    /// Its heading.
    pub title: &'static str,
    /// For wide pages.
    pub wide: String,
    /// For telephones.
    pub narrow: String,
}

/// Charts of a span of days: quality, cost, and work.
#[must_use]
pub fn drawings(rows: &[DayFigures]) -> Vec<Drawing> {
    let labels: Vec<String> = rows.iter().map(|row| row.date.format("%-d %b").to_string()).collect();
    let of = |name: &'static str, title: &'static str| Series {
        name: title,
        values: named(name).map(|figure| rows.iter().map(|row| value_of(row, figure)).collect()).unwrap_or_default(),
    };
    let all: [(&'static str, Vec<Series>); 3] = [
        (
            "Is quality held? Golden accuracy (solid) and agreement, alpha (dashed), by day",
            vec![of("golden_set_accuracy", "Golden accuracy"), of("inter_rater_reliability", "Alpha")],
        ),
        ("What does an accepted judgment cost, by day?", vec![of("cost_per_accepted_judgment", "Cost")]),
        (
            "How much was judged? Judgments (solid) and completed tasks (dashed), by day",
            vec![of("total_judgments", "Judgments"), of("tasks_completed", "Tasks")],
        ),
    ];
    all.into_iter()
        .filter(|(_, series)| series.iter().any(|one| one.values.iter().flatten().count() > 1))
        .map(|(title, series)| Drawing {
            title,
            wide: lines(title, &labels, &series, Shape::WIDE),
            narrow: lines(title, &labels, &series, Shape::NARROW),
        })
        .collect()
}

/// Which day and retailer the page of a figure is about.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FigurePageQuery {
    /// Today when absent.
    #[serde(default, deserialize_with = "domain::day::read")]
    date: Option<NaiveDate>,
    retailer_id: Option<String>,
    after: Option<i64>,
}

/// A row behind a figure.
struct RowView {
    row: SourceRow,
    /// The time, with its date where that is not the page's.
    at: String,
}

fn to_row(row: SourceRow, date: NaiveDate) -> RowView {
    let written = |at: Timestamp| {
        let is_of_the_day = at.0.date_naive() == date;
        at.0.format(if is_of_the_day { "%H:%M:%S UTC" } else { "%-d %b %Y, %H:%M:%S UTC" }).to_string()
    };
    RowView { at: row.at.map_or_else(|| "\u{2013}".to_owned(), written), row }
}

#[derive(Template)]
#[template(path = "figure.html")]
struct FigurePage {
    layout: Layout,
    styles: String,
    title: &'static str,
    name: &'static str,
    definition: &'static str,
    tables: String,
    date: NaiveDate,
    retailer: Option<String>,
    value: String,
    note_html: String,
    /// When it was computed: rows may have come since.
    computed_at: Option<String>,
    details: Option<String>,
    rows: Vec<RowView>,
    next: Option<i64>,
    has_rows: bool,
}

/// Shows what a figure of one day is made of.
pub async fn show_figure(
    state: Data<State>,
    caller: PageCaller,
    name: Path<String>,
    query: QueryOf<FigurePageQuery>,
) -> Result<HttpResponse, PageRefusal> {
    let caller = caller.0;
    caller.require(Role::sees_all_tenants)?;
    let figure = of_figure(&name).map_err(|_| Problem::not_found("key figure", name.as_str()))?;
    let FigurePageQuery { date, retailer_id, after } = query.0;
    let date = date.unwrap_or_else(|| state.clock.now().date_naive());
    let (day, of) = (day_of(date, retailer_id.clone()), retailer_id.clone());
    let (row, found) = state
        .storage
        .read(move |conn| {
            if let Some(retailer) = &of {
                require_retailer(conn, retailer)?;
            }
            let row = stored::span(conn, of.as_deref(), date, date)?.pop();
            let found = figure.rows.map(|rows| sources::list(conn, &day, rows, &Page { after, limit: ROWS })).transpose()?;
            Ok((row, found))
        })
        .await
        .map_err(Problem::from)?;
    let note = row.as_ref().and_then(|row| row.definitions.0.get(figure.name)).cloned().unwrap_or_default();
    let details = note.get("made_of").or_else(|| note.get("experiments"));
    let has_rows = found.is_some();
    let (rows, next) = found.map_or((Vec::new(), None), |slice| (slice.rows, slice.next));
    let rows = rows.into_iter().map(|row| to_row(row, date)).collect();
    let page = FigurePage {
        layout: Layout::new(figure.title, "rlhf-backend/dashboard", Some(&caller), &state.settings),
        styles: file("rlhf.css"),
        title: figure.title,
        name: figure.name,
        definition: figure.definition,
        tables: figure.tables.join(", "),
        date,
        retailer: retailer_id,
        value: row.as_ref().map_or_else(|| "\u{2013}".to_owned(), |row| shown(row, figure)),
        note_html: breakable(&match &row {
            Some(row) if value_of(row, figure).is_some() => words(figure, row, &note),
            Some(_) => because(&note, ""),
            None => "Not computed for this day yet.".to_owned(),
        }),
        computed_at: row.as_ref().map(|row| row.updated_at.format("%e %b %Y, %H:%M:%S UTC").to_string()),
        details: details.and_then(|details| serde_json::to_string_pretty(details).ok()),
        rows,
        next,
        has_rows,
    };
    Ok(render(&page)?)
}
