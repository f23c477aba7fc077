//! Whether the session of a caller goes on. An access token that is out when its session ends goes on opening what HTTP offers until it expires; but
//! it changes no password and ends no other session, or whoever has a copy of it could take the account over.

use actix_web::HttpRequest;
use realtime::authority::Grant;
use web::caller::{Caller, Credential, SESSION_COOKIE};
use web::token::Claims;

use crate::auth_refusal::AuthRefusal;
use crate::hosted_sign_in::session_there;
use crate::state::State;

/// The access token that a caller was recognised by; nothing for API keys.
#[must_use]
pub fn token_of(caller: &Caller, request: &HttpRequest) -> Option<String> {
    match caller.credential {
        Credential::Key => None,
        Credential::Cookie => request.cookie(SESSION_COOKIE).map(|cookie| cookie.value().to_owned()),
        Credential::Token => {
            let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
            header.and_then(|text| text.split_once(' ')).map(|(_, token)| token.trim().to_owned())
        }
    }
}

/// What a token was given for, as ends of access are compared with.
#[must_use]
pub fn grant_of(claims: &Claims) -> Grant {
    Grant { account: claims.account_id().to_owned(), session: claims.session_id.clone(), issued_at: Some(claims.iat) }
}

/// Refuses whoever's session has ended, and keys, which have none.
///
/// # Errors
/// 403 `session_not_found`, as Supabase Auth answers.
pub async fn require_session(state: &State, caller: &Caller, request: &HttpRequest) -> Result<(), AuthRefusal> {
    let claims = token_of(caller, request).and_then(|token| state.access.tokens().verify_access(&token).ok());
    let (Some(claims), Some(session)) = (claims, caller.session_id.clone()) else { return Err(AuthRefusal::session_not_found()) };
    if state.ended.is_over(&grant_of(&claims)) {
        return Err(AuthRefusal::session_not_found());
    }
    let (is_there, account_id, now) = (session_there(state, caller, request).is_some(), caller.account_id.clone(), state.clock.now());
    let goes_on = state.storage.read(move |conn| {
        // Of a session of the project its own Auth knows whether it goes on, unless it has ended here.
        if is_there {
            return storage::accounts::has_kept_end(conn, &session).map(|has_ended| !has_ended);
        }
        storage::accounts::has_open_session(conn, &account_id, &session, now)
    });
    if goes_on.await? { Ok(()) } else { Err(AuthRefusal::session_not_found()) }
}
