//! Where a key or token may be found in a request, and the one case in which a cookie counts.

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};

use crate::authority::Refusal;

/// The cookie that our own pages carry.
const SESSION_COOKIE: &str = "endcap_session";

/// Finds the credential of an upgrade: `X-Api-Key`, `apikey` (header, then query), then
/// `Authorization: Bearer`, then the session cookie. `is_trusted` says which other origins' pages are ours.
///
/// # Errors
/// [`Refusal::KeyMissing`], or [`Refusal::CrossOrigin`] for a cookie from another site's page.
pub(crate) fn of_upgrade(request: &HttpRequest, apikey: Option<&str>, is_trusted: impl Fn(&str) -> bool) -> Result<String, Refusal> {
    key(request, apikey).or_else(|| bearer(request)).map_or_else(|| session_cookie(request, is_trusted), Ok)
}

/// Finds the credential of an HTTP broadcast: the user's token first, the key it is sent with last.
///
/// # Errors
/// As [`of_upgrade`].
pub(crate) fn of_broadcast(request: &HttpRequest, apikey: Option<&str>, is_trusted: impl Fn(&str) -> bool) -> Result<String, Refusal> {
    bearer(request).or_else(|| key(request, apikey)).map_or_else(|| session_cookie(request, is_trusted), Ok)
}

fn key(request: &HttpRequest, apikey: Option<&str>) -> Option<String> {
    let header = |name| text(request, &HeaderName::from_static(name));
    header("x-api-key").or_else(|| header("apikey")).or_else(|| apikey.map(str::to_owned)).filter(|key| !key.is_empty())
}

fn bearer(request: &HttpRequest) -> Option<String> {
    let value = text(request, &AUTHORIZATION)?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

/// A browser sends the cookie with every request, also with one that another site's page starts,
/// and it does not check WebSockets for us: so the page must come from the host it talks to, or be one of ours.
fn session_cookie(request: &HttpRequest, is_trusted: impl Fn(&str) -> bool) -> Result<String, Refusal> {
    let cookie = request.cookie(SESSION_COOKIE).ok_or(Refusal::KeyMissing)?;
    let origin = text(request, &ORIGIN).ok_or(Refusal::CrossOrigin)?;
    let host = text(request, &HOST).ok_or(Refusal::CrossOrigin)?;
    match origin.split_once("://") {
        Some((_, page)) if page.eq_ignore_ascii_case(&host) || is_trusted(&origin) => Ok(cookie.value().to_owned()),
        _ => Err(Refusal::CrossOrigin),
    }
}

fn text(request: &HttpRequest, name: &HeaderName) -> Option<String> {
    let value = request.headers().get(name)?;
    value.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::cookie::Cookie;
    use actix_web::test::TestRequest;

    fn with_cookie(origin: Option<&'static str>) -> Result<String, Refusal> {
        let request =
            TestRequest::default().insert_header((HOST, "endcap.example:8002")).cookie(Cookie::new(SESSION_COOKIE, "session-token"));
        let request = match origin {
            Some(origin) => request.insert_header((ORIGIN, origin)),
            None => request,
        };
        of_upgrade(&request.to_http_request(), None, |page| page == "https://endcap.example:8001")
    }

    #[test]
    fn a_cookie_counts_only_for_pages_of_the_same_host_or_of_our_other_services() {
        for ours in ["https://endcap.example:8002", "https://endcap.example:8001"] {
            assert_eq!(with_cookie(Some(ours)), Ok("session-token".to_owned()), "{ours}");
        }
        for foreign in [
            None,
            Some("https://evil.example"),
            Some("https://endcap.example"),
            Some("https://endcap.example:8003"),
            Some("https://endcap.example:8002.evil.example"),
            Some("null"),
        ] {
            assert_eq!(with_cookie(foreign), Err(Refusal::CrossOrigin), "{foreign:?}");
        }
    }

    #[test]
    fn a_key_wins_over_a_cookie_and_the_header_over_the_query() {
        let request = TestRequest::default()
            .insert_header(("X-Api-Key", "header-key"))
            .cookie(Cookie::new(SESSION_COOKIE, "session-token"))
            .to_http_request();
        assert_eq!(of_upgrade(&request, Some("query-key"), |_| false), Ok("header-key".to_owned()));
        let request = TestRequest::default().to_http_request();
        assert_eq!(of_upgrade(&request, Some("query-key"), |_| false), Ok("query-key".to_owned()));
        assert_eq!(of_upgrade(&request, None, |_| false), Err(Refusal::KeyMissing));
    }

    #[test]
    fn an_http_broadcast_speaks_for_the_user_before_the_key() {
        let request =
            TestRequest::default().insert_header(("apikey", "key")).insert_header((AUTHORIZATION, "Bearer user-token")).to_http_request();
        assert_eq!(of_broadcast(&request, None, |_| false), Ok("user-token".to_owned()));
        assert_eq!(of_upgrade(&request, None, |_| false), Ok("key".to_owned()));
    }
}
