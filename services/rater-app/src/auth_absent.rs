//! What Supabase Auth has and we have not: answered in the shape that its clients understand, with what to do instead.

use actix_web::http::header::ALLOW;
use actix_web::{HttpRequest, HttpResponse};

use crate::auth_refusal::AuthRefusal;

/// Paths that are there, with their methods.
const PRESENT: [(&str, &str); 6] =
    [("signup", "POST"), ("token", "POST"), ("recover", "POST"), ("logout", "POST"), ("user", "GET, PUT"), ("health", "GET")];

/// Refuses a request under `/auth/v1` that no route takes.
pub async fn refuse(request: HttpRequest) -> HttpResponse {
    let path = request.path().strip_prefix("/auth/v1/").unwrap_or_default();
    if let Some((_, methods)) = PRESENT.iter().find(|(name, _)| *name == path) {
        // Without a body: what surrounds every request says it as it does everywhere.
        return HttpResponse::MethodNotAllowed().insert_header((ALLOW, *methods)).finish();
    }
    refusal_of(path).response()
}

/// Where people do not sign in at a hosted project there is nobody who sends mails.
#[must_use]
pub fn no_recovery() -> AuthRefusal {
    AuthRefusal::absent(
        422,
        "otp_disabled",
        "Passwords are not recovered by mail here; ask an administrator for a new one (endcap accounts set-password)",
    )
}

fn refusal_of(path: &str) -> AuthRefusal {
    match path.split('/').next().unwrap_or_default() {
        "otp" | "magiclink" | "verify" | "resend" | "reauthenticate" => AuthRefusal::absent(
            422,
            "otp_disabled",
            "Signing in by mail or text message is not offered here; sign in with e-mail address and password",
        ),
        "authorize" | "callback" => AuthRefusal::absent(
            422,
            "provider_disabled",
            "Signing in with another provider is not offered here; sign in with e-mail address and password",
        ),
        "sso" | "saml" => AuthRefusal::absent(
            422,
            "saml_provider_disabled",
            "Single sign-on is not offered here; sign in with e-mail address and password",
        ),
        "factors" => AuthRefusal::absent(422, "mfa_totp_enroll_not_enabled", "A second factor is not offered here"),
        "admin" | "invite" | "generate_link" => AuthRefusal::absent(
            403,
            "not_admin",
            "Accounts are not administered over this path; whoever runs the system does it with: endcap accounts",
        ),
        _ => AuthRefusal::absent(404, "not_found", "There is nothing at this path"),
    }
}
