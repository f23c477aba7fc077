//! A new password for somebody who has forgotten theirs, or never had one at the hosted project that signs people in: the form that has a mail
//! sent, which works without JavaScript, and the page to which the link of that mail leads. Its session stands behind the `#` of the address,
//! which only a script reads, and never comes to a server's log.

use actix_web::http::header::{LOCATION, RETRY_AFTER};
use actix_web::web::{Bytes, Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;
use web::caller::{Caller, MaybePageCaller};
use web::layout::{Layout, render};
use web::password::MIN_CHARACTERS;
use web::problem::Problem;

use super::login::{MAX_FORM_BYTES, explain};
use crate::accounts::address_of;
use crate::auth_refusal::AuthRefusal;
use crate::recovery;
use crate::session::refuse_foreign_pages;
use crate::state::State;

/// Refusals of a new password that the page puts in its own words.
const REFUSALS: [&str; 6] =
    ["account_not_linked", "auth_unavailable", "over_request_rate_limit", "request_timeout", "role_unknown", "user_banned"];

/// What the address of the page says.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    /// Present once a mail was asked for.
    asked: Option<String>,
}

#[derive(Template)]
#[template(path = "forgotten-password.html")]
struct ForgottenPage {
    layout: Layout,
    is_asked: bool,
    message: String,
    /// Whether the address is what is wrong.
    is_wrong: bool,
    email: String,
}

#[derive(Template)]
#[template(path = "new-password.html")]
struct NewPasswordPage {
    layout: Layout,
    refusals: [(&'static str, &'static str); 6],
    min_characters: usize,
}

/// The form for an address, or after it what happens now: the same for everybody.
///
/// # Errors
/// 404 where people do not sign in at a project.
pub async fn forgotten_password(
    request: HttpRequest,
    state: Data<State>,
    MaybePageCaller(caller): MaybePageCaller,
    query: Query<Asked>,
) -> Result<HttpResponse, Problem> {
    only_with_a_project(&request, &state)?;
    let is_asked = query.asked.is_some();
    let layout = layout(&state, if is_asked { "Look into your mailbox" } else { "Forgotten password" }, caller.as_ref());
    render(&ForgottenPage { layout, is_asked, message: String::new(), is_wrong: false, email: String::new() })
}

/// Has the mail sent; a refusal is shown above the form, which keeps what was typed.
///
/// # Errors
/// 403 for a form of another site; 404 where people do not sign in at a project.
pub async fn send_mail(request: HttpRequest, state: Data<State>, body: Bytes) -> Result<HttpResponse, Problem> {
    only_with_a_project(&request, &state)?;
    refuse_foreign_pages(&request, &state)?;
    let mut fields = form_urlencoded::parse(body.get(..MAX_FORM_BYTES).unwrap_or(&body));
    let email = fields.find(|(name, _)| name == "email").map_or_else(String::new, |(_, value)| value.into_owned());
    let Err(refusal) = recovery::send_mail(&state, &email, None, &address_of(&request, &state)).await else {
        return Ok(HttpResponse::SeeOther().insert_header((LOCATION, "/forgotten-password?asked")).finish());
    };
    let page = ForgottenPage {
        layout: layout(&state, "Forgotten password", None),
        is_asked: false,
        message: words_for(&refusal),
        is_wrong: refusal.error_code() == "validation_failed",
        email,
    };
    let html = page.render().map_err(Problem::internal)?;
    let mut response = HttpResponse::build(refusal.status());
    refusal.retry_after_s().map(|seconds| response.insert_header((RETRY_AFTER, seconds)));
    Ok(response.content_type("text/html; charset=utf-8").body(html))
}

/// Where the link of the mail leads.
///
/// # Errors
/// 404 where people do not sign in at a project.
pub async fn new_password(
    request: HttpRequest,
    state: Data<State>,
    MaybePageCaller(caller): MaybePageCaller,
) -> Result<HttpResponse, Problem> {
    only_with_a_project(&request, &state)?;
    render(&NewPasswordPage {
        layout: layout(&state, "New password", caller.as_ref()),
        refusals: REFUSALS.map(|code| (code, explain(code))),
        min_characters: MIN_CHARACTERS,
    })
}

fn layout(state: &State, title: &str, caller: Option<&Caller>) -> Layout {
    Layout::new(title, "login", caller, &state.settings)
}

/// Elsewhere passwords are not sent by mail, and there are no such pages.
fn only_with_a_project(request: &HttpRequest, state: &State) -> Result<(), Problem> {
    if state.hosted.is_some() { Ok(()) } else { Err(Problem::not_found("page or path", request.path())) }
}

fn words_for(refusal: &AuthRefusal) -> String {
    match (refusal.error_code(), refusal.retry_after_s()) {
        ("validation_failed", _) => "That is no e-mail address. Write it like name@example.com.".to_owned(),
        ("over_request_rate_limit", Some(seconds)) => {
            let minutes = seconds.div_ceil(60);
            let unit = if minutes == 1 { "minute" } else { "minutes" };
            format!("Too many mails were asked for, for this address or from your network. Try again in {minutes} {unit}.")
        }
        (code, _) => explain(code).to_owned(),
    }
}
