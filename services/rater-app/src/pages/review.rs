//! The experts' desk: the queue, the task, the own view, then the raters' judgments and the decision.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use web::caller::{PageCaller, PageRefusal};
use web::layout::{Layout, render};
use web::problem::Problem;

use super::rate::Words;
use crate::reviews::error_class::CLASSES;
use crate::state::State;

#[derive(Template)]
#[template(path = "review.html")]
struct ReviewPage {
    layout: Layout,
    words: Words,
    classes: String,
    may_review: bool,
    role: String,
}

/// The review page; who may not review is told so.
///
/// # Errors
/// Sends whoever is not signed in to `/login`.
pub async fn review(state: Data<State>, PageCaller(caller): PageCaller) -> Result<HttpResponse, PageRefusal> {
    let layout = Layout::new("Review", "rater-app/review", Some(&caller), &state.settings);
    let role = caller.role.to_string().replace('_', " ");
    // In the order in which an expert should look for the first that fits; whether a golden item can be made of it stands beside.
    let classes: Vec<BTreeMap<&str, serde_json::Value>> = CLASSES
        .iter()
        .map(|(class, word, words)| {
            BTreeMap::from([("code", (*word).into()), ("words", (*words).into()), ("unfit", class.unfit_for_golden().into())])
        })
        .collect();
    let classes = serde_json::to_string(&classes).map_err(Problem::internal)?;
    Ok(render(&ReviewPage { layout, words: Words::new()?, classes, may_review: caller.role.may_review(), role })?)
}
