//! Sign-in of our own pages: the tokens live in HttpOnly cookies, which no script can read.

use std::collections::BTreeSet;

use actix_web::cookie::{Cookie, SameSite, time};
use actix_web::http::header::{CONTENT_TYPE, LOCATION, ORIGIN};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;
use storage::accounts as stored;
use storage::connection::Connection;
use web::access::hash_key;
use web::caller::{Caller, ended_session_cookie, identify, session_cookie};
use web::json::parse_json;
use web::problem::Problem;
use web::settings::Settings;

use crate::accounts::address_of;
use crate::auth_refusal::{AuthRefusal, AuthRefusals};
use crate::hosted_sign_in::{self, Ended, session_there};
use crate::sign_in::{self, Session};
use crate::state::State;

/// Name of the cookie with the refresh token; sent to `/session` only.
pub const REFRESH_COOKIE: &str = "endcap_refresh";

/// What the sign-in form sends, as a form or as JSON.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignInForm {
    /// E-mail address.
    pub email: String,
    /// Password.
    pub password: String,
    /// Where to go afterwards: a local path, or an address of one of our services.
    #[serde(default)]
    pub return_to: Option<String>,
}

/// Signs in and sets both cookies. JSON is answered with the user; a form is sent on to `return_to`, or back to `/login?error=CODE`.
#[utoipa::path(post, path = "/session", tag = "pages", request_body = SignInForm, responses((status = 200, description = "{user, return_to}"), (status = 303, description = "After a form"), AuthRefusals))]
pub async fn start_session(request: HttpRequest, state: Data<State>, body: Bytes) -> HttpResponse {
    let is_form = is_form(&request);
    let wanted = if is_form { parse_form(&body).ok().and_then(|form| form.return_to) } else { None };
    let work = async {
        refuse_foreign_pages(&request, &state)?;
        let form: SignInForm = if is_form { parse_form(&body)? } else { parse_json(&body)? };
        let session = sign_in::sign_in(&state, &form.email, &form.password, &address_of(&request, &state)).await?;
        let target = state.access.return_address(form.return_to.as_deref().unwrap_or("/"));
        Ok((session, target))
    };
    match work.await {
        Ok((session, target)) if is_form => {
            with_cookies(HttpResponse::SeeOther(), &session, &state.settings).insert_header((LOCATION, target)).finish()
        }
        Ok((session, target)) => {
            with_cookies(HttpResponse::Ok(), &session, &state.settings).json(json!({"user": session.user, "return_to": target}))
        }
        Err(refusal) if is_form => HttpResponse::SeeOther().insert_header((LOCATION, login_again(&refusal, wanted))).finish(),
        Err(refusal) => refusal.response(),
    }
}

/// Exchanges the refresh cookie for new cookies; 204.
#[utoipa::path(post, path = "/session/refresh", tag = "pages", responses((status = 204), AuthRefusals))]
pub async fn refresh_session(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let work = async {
        refuse_foreign_pages(&request, &state)?;
        let cookie = request.cookie(REFRESH_COOKIE).ok_or_else(AuthRefusal::refresh_token_not_found)?;
        sign_in::refresh(&state, cookie.value(), &address_of(&request, &state)).await
    };
    match work.await {
        Ok(session) => with_cookies(HttpResponse::NoContent(), &session, &state.settings).finish(),
        Err(refusal) => refusal.response(),
    }
}

/// Ends the session in the database and in the browser, and closes its sockets; 204, or after a form on to `/login`. Ending twice is fine.
#[utoipa::path(delete, path = "/session", tag = "pages", responses((status = 204), (status = 303, description = "After a form"), AuthRefusals))]
pub async fn end_session(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let work = async {
        refuse_foreign_pages(&request, &state)?;
        let caller = identify(&request).await.ok().flatten();
        let is_kept = match &caller {
            Some(caller) => !end_session_there(&request, &state, caller).await,
            None => false,
        };
        let hash = request.cookie(REFRESH_COOKIE).map(|cookie| hash_key(cookie.value()));
        let account_id = caller.as_ref().map(|caller| caller.account_id.clone());
        let (session, now) = (caller.and_then(|caller| caller.session_id), state.clock.now());
        let end = move |tx: &mut Connection| {
            if let (true, Some(account_id), Some(session)) = (is_kept, &account_id, &session) {
                hosted_sign_in::keep_end(tx, account_id, session, now)?;
            }
            let of_token = hash.as_deref().map_or(Ok(None), |hash| stored::session_of_token(tx, hash))?;
            let ended: BTreeSet<String> = of_token.into_iter().chain(session.clone()).collect();
            ended.iter().try_for_each(|session| stored::revoke_session(tx, session, now).map(drop))
        };
        state.storage.transaction(end).await?;
        state.after_commit();
        Ok::<(), AuthRefusal>(())
    };
    if let Err(refusal) = work.await {
        return refusal.response();
    }
    let mut response = if is_form(&request) { HttpResponse::SeeOther() } else { HttpResponse::NoContent() };
    if is_form(&request) {
        response.insert_header((LOCATION, "/login"));
    }
    response.cookie(ended_session_cookie(&state.settings)).cookie(refresh_cookie(String::new(), 0, &state.settings)).finish()
}

/// Ends the session in the hosted project, if it is one of those; whether nothing is left to be ended there. A project that does not answer, or
/// refuses, is no reason to keep somebody signed in here.
async fn end_session_there(request: &HttpRequest, state: &State, caller: &Caller) -> bool {
    let Some((project, token)) = session_there(state, caller, request) else { return true };
    match hosted_sign_in::sign_out(project, &token, "local").await {
        Ok(ended) => ended == Ended::Everywhere,
        Err(refusal) => {
            tracing::warn!(code = refusal.error_code(), "a session could not be ended in the project; its refresh token is refused here");
            false
        }
    }
}

/// Puts both cookies of a session into a response.
pub fn with_cookies(
    mut response: actix_web::HttpResponseBuilder,
    session: &Session,
    settings: &Settings,
) -> actix_web::HttpResponseBuilder {
    let life = i64::try_from(settings.sign_in.refresh_token_ttl.as_secs()).unwrap_or(i64::MAX);
    response.cookie(session_cookie(session.access_token.clone(), settings)).cookie(refresh_cookie(
        session.refresh_token.clone(),
        life,
        settings,
    ));
    response
}

fn refresh_cookie(value: String, max_age_s: i64, settings: &Settings) -> Cookie<'static> {
    Cookie::build(REFRESH_COOKIE, value)
        .path("/session")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(settings.has_secure_cookies())
        .max_age(time::Duration::seconds(max_age_s))
        .finish()
}

fn is_form(request: &HttpRequest) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}

fn parse_form(body: &[u8]) -> Result<SignInForm, Problem> {
    let mut form = SignInForm { email: String::new(), password: String::new(), return_to: None };
    for (name, value) in form_urlencoded::parse(body) {
        match name.as_ref() {
            "email" => form.email = value.into_owned(),
            "password" => form.password = value.into_owned(),
            "return_to" => form.return_to = Some(value.into_owned()),
            other => return Err(Problem::invalid_field(other, "is not a known field; the form has email, password and return_to")),
        }
    }
    Ok(form)
}

/// A page of another site must not sign somebody in or out here. Programs send no `Origin`.
///
/// # Errors
/// 403 `cross_site_request`.
pub fn refuse_foreign_pages(request: &HttpRequest, state: &State) -> Result<(), Problem> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = header(ORIGIN.as_str()) else { return Ok(()) };
    let is_own_host = header("host").is_some_and(|host| origin.split_once("://").is_some_and(|(_, own)| own.eq_ignore_ascii_case(host)));
    let is_ours = state.access.return_address(origin) == origin;
    if is_own_host || is_ours {
        return Ok(());
    }
    Err(Problem::new("cross_site_request", "Sign-in is accepted only from our own pages."))
}

fn login_again(refusal: &AuthRefusal, wanted: Option<String>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("error", refusal.error_code());
    if let Some(wanted) = wanted {
        query.append_pair("return_to", &wanted);
    }
    format!("/login?{}", query.finish())
}
