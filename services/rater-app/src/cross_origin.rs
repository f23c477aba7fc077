//! Pages of other origins: where there is a key that they may carry, they may sign people in and say something by HTTP. A page gets no more with it
//! than any program has: cookies are never taken from, or sent to, another origin's page here (the answer allows `*`, which excludes them).

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN,
};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse};

use crate::state::State;

/// What supabase-js sends.
const HEADERS: &str = "authorization, apikey, content-type, x-client-info, x-supabase-api-version, x-api-key, prefer";

/// Answers browsers that ask whether a page may call, and says with each answer that it may.
///
/// # Errors
/// What the handler answers.
pub async fn allow(request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let has_keys = request.app_data::<Data<State>>().is_some_and(|state| !state.settings.sign_in.publishable_keys.is_empty());
    let is_allowed = has_keys && request.headers().contains_key(ORIGIN);
    if is_allowed && request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        let answer = HttpResponse::NoContent()
            .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
            .insert_header((ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT"))
            .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, HEADERS))
            .insert_header((ACCESS_CONTROL_MAX_AGE, "600"))
            .finish();
        return Ok(request.into_response(answer).map_into_boxed_body());
    }
    let mut response = next.call(request).await?.map_into_boxed_body();
    if is_allowed {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after, x-sb-error-code"));
    }
    Ok(response)
}
