//! What a person sees in place of a page that cannot be shown: what was wrong with the address and what to do, in the layout of the site.
//!
//! Programs get problems as JSON from `/v1`, and here when they accept nothing but JSON; an address that a person typed or kept as a
//! bookmark is answered by a page.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse, ResponseError as _};
use askama::Template;
use web::caller::{Caller, PageRefusal, identify};
use web::layout::Layout;
use web::problem::{CODES, CONTENT_TYPE_PROBLEM, Problem};

use super::file;
use super::words::sentence;
use crate::state::State;

#[derive(Template)]
#[template(path = "refusal.html")]
struct RefusalPage {
    layout: Layout,
    styles: String,
    title: String,
    detail: String,
    errors: Vec<(String, String)>,
    what_to_do: String,
    /// The same page without parameters, when they are what is wrong.
    bare: Option<String>,
    request_id: Option<String>,
}

/// Around the pages: gives refusals the form of a page, with the status of the problem.
///
/// # Errors
/// None of its own.
pub async fn as_page(request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse, Error> {
    let state = request.app_data::<Data<State>>().cloned();
    let response = next.call(request).await?.map_into_boxed_body();
    let error = response.response().error();
    let problem = error.and_then(|error| {
        let refused = error.as_error::<PageRefusal>().and_then(|refusal| match refusal {
            PageRefusal::Problem(problem) => Some(problem),
            PageRefusal::SignIn(_) => None,
        });
        refused.or_else(|| error.as_error::<Problem>())
    });
    let (Some(problem), Some(state)) = (problem, state) else { return Ok(response) };
    let accepts = response.request().headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("json") && !accepts.contains("html") && !accepts.contains("*/*") {
        return Ok(response);
    }
    let caller = identify(response.request()).await.ok().flatten();
    let is_bare = response.request().query_string().is_empty();
    let path = response.request().path().to_owned();
    let Ok(html) = page(problem, caller.as_ref(), &state, (!is_bare).then_some(path)).render() else { return Ok(response) };
    if let Some(cause) = problem.chain() {
        tracing::error!(code = problem.code(), %cause, "a page could not be shown");
    }
    let mut shown = HttpResponse::build(problem.status_code());
    shown.insert_header((CONTENT_TYPE, "text/html; charset=utf-8"));
    if let Some(wait) = response.headers().get(RETRY_AFTER) {
        shown.insert_header((RETRY_AFTER, wait.clone()));
    }
    debug_assert!(response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == CONTENT_TYPE_PROBLEM));
    Ok(response.into_response(shown.body(html)))
}

fn page(problem: &Problem, caller: Option<&Caller>, state: &State, path: Option<String>) -> RefusalPage {
    let status = problem.status_code().as_u16();
    let errors: Vec<(String, String)> = problem.errors().iter().map(|error| (error.field.clone(), readable(&error.message))).collect();
    let title = match status {
        404 => "This page is not there",
        403 => "Not for your role",
        422 | 400 => "The address asks for something that does not exist",
        429 => "Too many requests",
        503 => "Not available at the moment",
        _ => "The page cannot be shown",
    };
    let what_to_do = match status {
        404 => "It may have been removed, or belong to another tenant. Look for it in the list of campaigns.".to_owned(),
        403 => "Ask an administrator of your tenant, or sign in with another account.".to_owned(),
        422 | 400 => "Mend the value in the address, or open the page without it.".to_owned(),
        _ => CODES.iter().find(|code| code.code == problem.code()).map_or_else(String::new, |code| code.what_to_do.to_owned()),
    };
    RefusalPage {
        layout: Layout::new(title, "campaign-runtime/", caller, &state.settings),
        styles: file("campaigns.css"),
        title: title.to_owned(),
        detail: if errors.is_empty() { sentence(problem.detail()) } else { String::new() },
        bare: path.filter(|_| matches!(status, 400 | 422)),
        request_id: web::request::current_id().filter(|_| status >= 500),
        errors,
        what_to_do,
    }
}

/// A message without the marks by which answers to programs set off names.
fn readable(message: &str) -> String {
    message.replace('`', "")
}
