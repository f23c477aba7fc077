//! What experts find: error classes by task type and guideline version, how often they change the raters' majority, and whether they
//! answer in time. A share is never given without its n and interval; without data it says why.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::{Map, Value, json};
use storage::reviews::{Review, decided};
use web::caller::Caller;
use web::problem::Problem;

use super::error_class::CLASSES;
use super::view::changed_majority;
use crate::raters::share;
use crate::state::State;

/// Decisions looked at: the newest.
pub const NEWEST_DECISIONS: i64 = 5_000;

/// Error classes by task type and guideline version, escalation precision (decisions that changed the raters' majority, of those with one) with n and Wilson interval, how many experts looked blind and how many changed their mind after, and answers in time, over the newest 5,000 decisions.
#[utoipa::path(get, path = "/v1/quality/errors", tag = "quality", responses((status = 200, description = "{overall, by_reason, by_task_type, error_classes, definitions, window}"), (status = 403, description = "Experts and administrators only")))]
pub async fn get_errors(state: Data<State>, caller: Caller) -> Result<HttpResponse, Problem> {
    caller.require(|role| role.may_review() || role.sees_all_tenants())?;
    let scope = caller.scope();
    // Described on the thread that waits for the database anyway.
    let body = state.storage.read(move |conn| Ok(describe(&decided(conn, &scope, None, None, NEWEST_DECISIONS)?))).await?;
    Ok(HttpResponse::Ok().json(body))
}

fn describe(rows: &[(Review, String)]) -> Value {
    let all: Vec<&Review> = rows.iter().map(|(review, _)| review).collect();
    let of_kind = |kind: &str| -> Vec<&Review> { all.iter().copied().filter(|review| review.kind == kind).collect() };
    let mut groups: BTreeMap<(&str, Option<i32>), Vec<&Review>> = BTreeMap::new();
    for review in &all {
        groups.entry((&review.task_type, review.rubric_version)).or_default().push(review);
    }
    let by_type: Vec<Value> = groups
        .iter()
        .map(|((task_type, version), reviews)| {
            let mut view = figures(reviews);
            if let Some(view) = view.as_object_mut() {
                view.insert("task_type".to_owned(), json!(task_type));
                view.insert("guideline_version".to_owned(), json!(version));
            }
            view
        })
        .collect();
    let classes: Map<String, Value> = CLASSES.iter().map(|(_, word, words)| ((*word).to_owned(), json!(words))).collect();
    json!({
        "overall": figures(&all),
        "by_reason": {"escalated": figures(&of_kind("escalated")), "disputed": figures(&of_kind("disputed"))},
        "by_task_type": by_type,
        "error_classes": classes,
        "definitions": {
            "error_classes": "decisions of this class / decisions with a class",
            "escalation_precision": "decisions that differ from the raters' majority / decisions of tasks whose raters had one",
            "without_majority": "decisions of tasks whose raters had no clear majority: the expert was needed, and changed nothing",
            "blind": "decisions whose expert recorded a view before seeing the judgments / all decisions",
            "changed_after_reveal": "decisions that differ from the expert's own blind view / blind decisions",
            "in_time": "decisions made before they were due / decisions with a due time",
            "seconds": "from opening a task to its decision",
            "interval": "Wilson score interval, 95 %",
        },
        "window": {"decisions": all.len(), "at_most": NEWEST_DECISIONS, "note": "the newest decisions of experts"},
    })
}

fn figures(reviews: &[&Review]) -> Value {
    let classed: Vec<&str> = reviews.iter().filter_map(|review| review.error_class.as_deref()).collect();
    let by_class: Map<String, Value> = CLASSES
        .iter()
        .map(|(_, word, _)| {
            let count = classed.iter().filter(|class| *class == word).count();
            ((*word).to_owned(), ratio(count, classed.len(), "no decision names an error class"))
        })
        .collect();
    let of = |verdict: fn(&Review) -> Option<bool>| -> (usize, usize) {
        let known: Vec<bool> = reviews.iter().filter_map(|review| verdict(review)).collect();
        (known.iter().filter(|yes| **yes).count(), known.len())
    };
    let (changed, with_majority) = of(changed_majority);
    let (second_thoughts, blind) = of(|review| review.changed_after_reveal);
    let (in_time, with_due) = of(|review| Some(review.decided_at? <= review.due_at?));
    let mut seconds: Vec<f64> = reviews.iter().filter_map(|review| review.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    json!({
        "decisions": reviews.len(),
        "error_classes": by_class,
        "unclassified": reviews.len() - classed.len(),
        "escalation_precision": ratio(changed, with_majority, "no decided task had a majority of its raters"),
        "without_majority": reviews.len() - with_majority,
        "blind": ratio(blind, reviews.len(), "no expert has decided anything"),
        "changed_after_reveal": ratio(second_thoughts, blind, "no expert recorded a view before seeing the judgments"),
        "in_time": ratio(in_time, with_due, "no decision had a due time"),
        "seconds": {"n": seconds.len(), "median": quantile(&seconds, 50), "p90": quantile(&seconds, 90)},
    })
}

fn ratio(count: usize, n: usize, why_not: &str) -> Value {
    let whole = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let mut view = json!(share(whole(count), whole(n)));
    if let Some(view) = view.as_object_mut() {
        view.insert("undefined_because".to_owned(), if n == 0 { json!(why_not) } else { Value::Null });
    }
    view
}

/// The smallest value that `percent` of all values do not exceed.
fn quantile(sorted: &[f64], percent: usize) -> Option<f64> {
    let place = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(place).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        assert_eq!((quantile(&values, 50), quantile(&values, 90), quantile(&[], 50)), (Some(5.0), Some(9.0), None));
        assert_eq!((quantile(&[7.0], 50), quantile(&[7.0], 90)), (Some(7.0), Some(7.0)));
    }

    #[test]
    fn a_share_of_nothing_says_why() {
        assert_eq!(ratio(0, 0, "because")["undefined_because"], "because");
        let half = ratio(4, 8, "because");
        // Wilson, 1927, at 4 of 8 and z = 1.959964: 0.2152 to 0.7848.
        assert!((half["low"].as_f64().unwrap_or(0.0) - 0.2152).abs() < 1e-4 && half["undefined_because"].is_null(), "{half}");
    }
}
