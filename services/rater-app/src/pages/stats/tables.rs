//! The tables of the statistics page: agreement in words, and each table as it is downloaded. No I/O.

use serde_json::{Value, json};

use super::Programme;
use crate::pages::figures::{ShareView, THIN, title_of};

/// Agreement of one task type, or of all.
pub struct AgreementRow {
    /// Task type.
    pub title: String,
    /// Percent, alpha and AC1.
    pub figures: Vec<String>,
    /// What the three say together.
    pub says: &'static str,
    /// What they rest on.
    pub n: String,
    /// Too few to lean on.
    pub is_thin: bool,
    /// Why none of the three is defined.
    pub undefined: Option<String>,
}

/// The agreement suite as rows.
#[must_use]
pub fn agreement_rows(suite: &Value) -> Vec<AgreementRow> {
    let row = |title: String, figures: &Value| {
        let at = |path: &str| figures.pointer(path).and_then(Value::as_f64);
        let tasks = figures.pointer("/percent/n_tasks").and_then(Value::as_u64);
        AgreementRow {
            title,
            figures: ["percent", "krippendorff_alpha", "gwet_ac1"].iter().map(|name| coefficient(name, figures.get(*name))).collect(),
            says: says(at("/percent/value"), at("/krippendorff_alpha/value"), at("/gwet_ac1/value"), tasks.unwrap_or(0)),
            n: tasks.map_or_else(String::new, |tasks| {
                format!("{tasks} tasks, {} judgments", figures.pointer("/percent/n_judgments").unwrap_or(&Value::Null))
            }),
            is_thin: tasks.unwrap_or(0) < THIN,
            undefined: at("/percent/value").is_none().then(|| coefficient("percent", figures.get("percent"))),
        }
    };
    let overall = suite.get("overall").map(|figures| row("All task types".to_owned(), figures));
    let by_type =
        suite.get("by_task_type").and_then(Value::as_object).into_iter().flatten().map(|(word, figures)| row(title_of(word), figures));
    overall.into_iter().chain(by_type).collect()
}

/// What percent agreement, alpha and AC1 say together. The bounds of alpha are Krippendorff's (2004): 0.80 reliable, 0.667 tentative.
fn says(percent: Option<f64>, alpha: Option<f64>, ac1: Option<f64>, tasks: u64) -> &'static str {
    match (percent, alpha, ac1) {
        (None, ..) => "Nothing to compare yet.",
        _ if tasks < THIN => "Too few tasks to lean on.",
        (Some(percent), Some(alpha), Some(ac1)) if percent >= 0.85 && alpha < 0.667 && ac1 >= 0.7 => {
            "People agree, but nearly all answers are alike, which pulls alpha down; AC1 reads better here."
        }
        (_, Some(alpha), _) if alpha >= 0.8 => "Reliable: draw conclusions.",
        (_, Some(alpha), _) if alpha >= 0.667 => "Tentative: enough for cautious conclusions.",
        (_, Some(_), _) => "Not reliable: look at the guideline and the disagreements.",
        (_, None, _) => "Alpha is not defined here; read the other two.",
    }
}

/// A coefficient with its interval, or why it is not defined.
fn coefficient(name: &str, figure: Option<&Value>) -> String {
    let at = |path: &str| figure.and_then(|figure| figure.pointer(path)).and_then(Value::as_f64);
    let show = |value: f64| if name == "percent" { format!("{:.0} %", value * 100.0) } else { format!("{value:.2}") };
    match (at("/value"), at("/interval_95/low"), at("/interval_95/high")) {
        (Some(value), Some(low), Some(high)) => format!("{} ({} to {})", show(value), show(low), show(high)),
        (Some(value), _, _) => show(value),
        (None, _, _) => {
            let why = figure.and_then(|figure| figure.get("undefined_because")).and_then(Value::as_str).unwrap_or("nothing was measured");
            format!("not defined: {why}")
        }
    }
}

/// Column names and rows of a table as people download it; the judgments are written by `behind`.
pub(super) fn table(name: &str, made: &Programme) -> Option<(Vec<&'static str>, Vec<Vec<Value>>)> {
    let share = |view: &Option<ShareView>| match view {
        Some(view) => [json!(view.percent), json!(view.range), json!(view.n)],
        None => [Value::Null, Value::Null, json!(0)],
    };
    Some(match name {
        "agreement" => (
            vec!["task_type", "percent", "krippendorff_alpha", "gwet_ac1", "says", "n"],
            made.agreement
                .iter()
                .map(|row| {
                    let figures = row.figures.iter().map(|figure| json!(figure));
                    std::iter::once(json!(row.title)).chain(figures).chain([json!(row.says), json!(row.n)]).collect()
                })
                .collect(),
        ),
        "raters" => (
            vec![
                "rater_id",
                "name",
                "is_simulated",
                "judgments",
                "step",
                "attention",
                "experts",
                "experts_interval",
                "experts_n",
                "decisions",
                "decisions_interval",
                "decisions_n",
                "left",
                "left_interval",
                "left_n",
                "median_active_seconds",
            ],
            made.raters
                .iter()
                .map(|row| {
                    let mut cells = vec![
                        json!(row.rater_id),
                        json!(row.name),
                        json!(row.is_simulated),
                        json!(row.judgments),
                        json!(row.place.as_ref().map(|place| place.title)),
                        json!(row.attention.join("; ")),
                    ];
                    cells.extend([&row.golden, &row.decided, &row.left].into_iter().flat_map(share));
                    cells.push(json!(row.seconds));
                    cells
                })
                .collect(),
        ),
        "disagreement" => (
            vec!["by", "part", "differs", "interval", "n"],
            made.places
                .iter()
                .map(|row| {
                    vec![json!(row.by.title()), json!(row.part), json!(row.differs.percent), json!(row.differs.range), json!(row.differs.n)]
                })
                .collect(),
        ),
        _ => return None,
    })
}
