//! Signing in and creating an account, by plain forms that work without JavaScript.

use actix_web::http::header::{LOCATION, REFERER, RETRY_AFTER};
use actix_web::web::{Bytes, Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;
use serde_json::{Map, Value};
use web::caller::MaybePageCaller;
use web::layout::{Layout, render};
use web::password::MIN_CHARACTERS;
use web::problem::Problem;
use web::settings::Signup;

use crate::accounts::address_of;
use crate::session::{refuse_foreign_pages, with_cookies};
use crate::sign_in::{self, Made};
use crate::state::State;

/// Largest form that is read, in bytes.
pub(super) const MAX_FORM_BYTES: usize = 16_384;

/// What `done` says after a new password was set by the link of a mail.
const PASSWORD_SET: &str = "new-password";

/// What the address of the page says.
#[derive(Debug, Default, Deserialize)]
pub struct LoginQuery {
    /// Where to go afterwards.
    return_to: Option<String>,
    /// Code of the refusal that led here.
    error: Option<String>,
    /// What was done before this page is shown: `new-password`.
    done: Option<String>,
    /// Present to create an account.
    create: Option<String>,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    layout: Layout,
    creates: bool,
    is_open: bool,
    is_signed_in: bool,
    /// Whether somebody who has forgotten a password gets a new one by mail.
    recovers: bool,
    /// Whether what is said is good news.
    is_well: bool,
    error: String,
    message: String,
    /// The field to mark as wrong: `email`, `password`, `name` or nothing.
    wrong: &'static str,
    name: String,
    email: String,
    return_to: String,
    /// Address of the other form.
    other: String,
    min_characters: usize,
}

/// The sign-in form, or with `?create` the form for a new account.
///
/// # Errors
/// 500 when the page cannot be drawn.
pub async fn login(
    request: HttpRequest,
    state: Data<State>,
    MaybePageCaller(caller): MaybePageCaller,
    query: Query<LoginQuery>,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let wanted = query.return_to.or_else(|| return_to_of_referer(&request)).unwrap_or_else(|| "/".to_owned());
    let said = query.error.or_else(|| query.done.filter(|done| done == PASSWORD_SET));
    let refusal = said.map(|code| {
        let words = words_for(&state, &code);
        (code, words)
    });
    let mut page = blank(&state, query.create.is_some(), &state.access.return_address(&wanted), refusal);
    page.layout.user = Layout::new("", "login", caller.as_ref(), &state.settings).user;
    page.is_signed_in = caller.is_some();
    render(&page)
}

/// Creates a rater's account from the form, signs it in and goes on; a refusal is shown above the form, which keeps what was typed.
///
/// # Errors
/// 403 for a form of another site.
pub async fn create_account(request: HttpRequest, state: Data<State>, body: Bytes) -> Result<HttpResponse, Problem> {
    refuse_foreign_pages(&request, &state)?;
    let form = NewAccountForm::parse(&body);
    let target = state.access.return_address(&form.return_to);
    let mut said = Map::new();
    if !form.name.trim().is_empty() {
        said.insert("name".to_owned(), Value::String(form.name.trim().to_owned()));
    }
    match sign_in::sign_up(&state, &form.email, &form.password, said, &address_of(&request, &state)).await {
        Ok(Made::Session(session)) => {
            Ok(with_cookies(HttpResponse::SeeOther(), &session, &state.settings).insert_header((LOCATION, target)).finish())
        }
        Ok(Made::MustConfirm(_)) => {
            let waits_for = if state.settings.sign_in.signup == Signup::Approval { "awaits_approval" } else { "email_not_confirmed" };
            Ok(HttpResponse::SeeOther().insert_header((LOCATION, format!("/login?error={waits_for}"))).finish())
        }
        Err(refusal) => {
            let code = refusal.error_code();
            let mut page = blank(&state, true, &target, Some((code.to_owned(), words_for(&state, code))));
            page.wrong = match code {
                "weak_password" => "password",
                "validation_failed" if form.email.contains('@') && form.name.chars().count() > 60 => "name",
                "signup_disabled" | "over_request_rate_limit" => "",
                _ => "email",
            };
            (page.name, page.email) = (form.name, form.email);
            let html = page.render().map_err(Problem::internal)?;
            let mut response = HttpResponse::build(refusal.status());
            refusal.retry_after_s().map(|seconds| response.insert_header((RETRY_AFTER, seconds)));
            Ok(response.content_type("text/html; charset=utf-8").body(html))
        }
    }
}

fn blank(state: &State, creates: bool, return_to: &str, refusal: Option<(String, String)>) -> LoginPage {
    let is_open = state.settings.sign_in.signup != Signup::Closed;
    let creates = creates && is_open;
    let (error, message) = refusal.unwrap_or_default();
    let return_query = form_urlencoded::Serializer::new(String::new()).append_pair("return_to", return_to).finish();
    LoginPage {
        layout: Layout::new(if creates { "Create an account" } else { "Sign in" }, "login", None, &state.settings),
        creates,
        is_open,
        is_signed_in: false,
        is_well: matches!(error.as_str(), "awaits_approval" | PASSWORD_SET),
        recovers: state.hosted.is_some(),
        wrong: if matches!(error.as_str(), "invalid_credentials" | "validation_failed") { "email" } else { "" },
        error,
        message,
        name: String::new(),
        email: String::new(),
        return_to: return_to.to_owned(),
        other: format!("/login?{}{return_query}", if creates { "" } else { "create&" }),
        min_characters: MIN_CHARACTERS,
    }
}

/// A refused form comes back as `/login?error=..`; where to go afterwards is in the address of the page that sent it.
fn return_to_of_referer(request: &HttpRequest) -> Option<String> {
    let referer = request.headers().get(REFERER)?.to_str().ok()?;
    let (_, query) = referer.split_once("/login?")?;
    Query::<LoginQuery>::from_query(query).ok()?.into_inner().return_to
}

/// Where accounts are confirmed, one that waits is refused like a wrong password.
fn words_for(state: &State, code: &str) -> String {
    let also = match (state.settings.sign_in.signup, code) {
        (Signup::Approval, "invalid_credentials") => " Or an administrator has not confirmed the account yet.",
        _ => "",
    };
    format!("{}{also}", explain(code))
}

/// A refusal, for whoever reads it on a page.
pub(super) fn explain(code: &str) -> &'static str {
    match code {
        PASSWORD_SET => "Your new password is set. Sign in with it.",
        "invalid_credentials" => "The e-mail address or the password is wrong.",
        "over_request_rate_limit" => "There were too many attempts. Wait a minute, then try again.",
        "awaits_approval" => {
            "Thank you. An administrator looks at new accounts; once yours is confirmed you can sign in. If you had an account before, nothing has changed."
        }
        "user_already_exists" => "There is an account with this e-mail address. Sign in instead.",
        "weak_password" => "Choose another password: at least 10 characters, and not one that many people use.",
        "signup_disabled" => "New accounts are not open here. Ask an administrator for one.",
        "validation_failed" => "Something in the form is not right: look at the e-mail address and the name.",
        "email_not_confirmed" => "Confirm your e-mail address with the link in the mail we sent, then sign in.",
        "auth_unavailable" => "Supabase, which signs people in here, does not answer. Try again in a minute; who is signed in can go on.",
        "account_not_linked" => {
            "There is an account with this e-mail address that is not linked with Supabase yet. Ask your administrator to link it."
        }
        "role_unknown" | "user_banned" => "This account may not sign in here. Ask your administrator.",
        "refresh_token_not_found" | "refresh_token_already_used" | "bad_jwt" => "Your session is over. Sign in again.",
        "request_timeout" => "The database did not answer in time. Try again in a moment.",
        _ => "That did not work. Try again, and tell your administrator if it happens again.",
    }
}

#[derive(Default)]
struct NewAccountForm {
    name: String,
    email: String,
    password: String,
    return_to: String,
}

impl NewAccountForm {
    /// Unknown fields are ignored; missing ones are empty and then refused by the rules of accounts.
    fn parse(body: &[u8]) -> Self {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(body.get(..MAX_FORM_BYTES).unwrap_or(body)) {
            match name.as_ref() {
                "name" => form.name = value.into_owned(),
                "email" => form.email = value.into_owned(),
                "password" => form.password = value.into_owned(),
                "return_to" => form.return_to = value.into_owned(),
                _ => {}
            }
        }
        form
    }
}
