//! The queue of experts: escalated and disputed tasks, decided one by one.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use web::caller::{PageCaller, PageRefusal};
use web::layout::{Layout, render};

use super::rate::Words;
use crate::state::State;

#[derive(Template)]
#[template(path = "review.html")]
struct ReviewPage {
    layout: Layout,
    words: Words,
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
    Ok(render(&ReviewPage { layout, words: Words::new()?, may_review: caller.role.may_review(), role })?)
}
