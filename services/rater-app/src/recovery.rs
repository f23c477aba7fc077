//! A new password by mail, where people sign in at a hosted project: the project sends it, and its link leads to our page.
//!
//! Nobody learns from the answer who has an account. Whether Auth is well is asked first, and told to everybody alike; what it then says of an
//! address is for the log, because some of its refusals come for addresses of users only. An account with a password of this installation is
//! none of the project's, so its address stays here: an administrator gives it a new password.

use std::time::Duration;

use storage::accounts;
use supabase::auth::AuthError;
use supabase::project::Project;

use crate::attempts;
use crate::auth_absent;
use crate::auth_refusal::AuthRefusal;
use crate::hosted_sign_in::of_our_key;
use crate::sign_in;
use crate::state::State;

/// Our page to which the link of a mail leads.
pub const PAGE: &str = "/new-password";

/// Shortest time until an answer: a project takes longer where it sends a mail, which would tell as much as words.
const EVEN: Duration = Duration::from_secs(1);

/// Longest address that a link may be asked to lead to, in bytes.
const MAX_REDIRECT_BYTES: usize = 2_048;

/// Has a mail sent, if the address is that of somebody who signs in at the project. `wanted` is where its link should lead, `address` where the
/// request came from.
///
/// # Errors
/// `otp_disabled` without a project; `validation_failed` for what is no address; 429 after too many mails; 503 while the project does not answer.
pub async fn send_mail(state: &State, email: &str, wanted: Option<&str>, address: &str) -> Result<(), AuthRefusal> {
    let project = state.hosted.as_ref().ok_or_else(auth_absent::no_recovery)?;
    let email = sign_in::check_email(email)?;
    attempts::begin_recovery(state, &email, address).await?;
    let leads_to = redirect(&state.settings.rater_app.public_url, wanted);
    let (sent, ()) = tokio::join!(pass_on(state, project, &email, &leads_to), tokio::time::sleep(EVEN));
    if sent.is_err() {
        let (now, address) = (state.clock.now(), address.to_owned());
        state.storage.transaction(move |tx| attempts::no_mail(tx, &email, &address, now)).await?;
    }
    sent
}

async fn pass_on(state: &State, project: &Project, email: &str, leads_to: &str) -> Result<(), AuthRefusal> {
    project.reach_auth().await.map_err(of_our_key)?;
    let wanted = email.to_owned();
    let account = state.storage.read(move |conn| accounts::find_by_email(conn, &wanted)).await?;
    if sign_in::has_own_password(account.as_ref()) {
        return Ok(());
    }
    match project.recover(email, leads_to).await {
        Ok(()) => {}
        // Its words may hold the address.
        Err(AuthError::Refused { status, code, .. }) => {
            tracing::warn!(status, code, "Supabase Auth refuses to send a mail for a new password")
        }
        Err(AuthError::Unavailable(reason)) => tracing::warn!(reason, "Supabase Auth could not be asked for a mail for a new password"),
    }
    Ok(())
}

/// Where the link leads, which opens the account: a page of this service and nowhere else.
fn redirect(own: &str, wanted: Option<&str>) -> String {
    let is_own = |wanted: &&str| {
        let rest = wanted.strip_prefix(own).filter(|_| wanted.len() <= MAX_REDIRECT_BYTES);
        rest.is_some_and(|rest| {
            (rest.is_empty() || rest.starts_with('/')) && !rest.contains(|sign: char| sign == '\\' || sign.is_control())
        })
    };
    wanted.filter(is_own).map_or_else(|| format!("{own}{PAGE}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_pages_of_this_service_only() {
        let (own, page) = ("https://rate.example", "https://rate.example/new-password");
        assert_eq!(redirect(own, None), page);
        for ours in ["https://rate.example", "https://rate.example/", "https://rate.example/new-password?from=mail"] {
            assert_eq!(redirect(own, Some(ours)), ours);
        }
        for foreign in [
            "",
            "/new-password",
            "//evil.example",
            "https://evil.example/new-password",
            "https://rate.example.evil.example/",
            "https://rate.example@evil.example/",
            "https://rate.example:8443/",
            "http://rate.example/",
            "https://rate.example\\@evil.example/",
            "https://rate.example/\\evil.example",
            "https://rate.example/\r\nSet-Cookie: a=b",
            "javascript:alert(1)",
        ] {
            assert_eq!(redirect(own, Some(foreign)), page, "{foreign}");
        }
        assert_eq!(redirect(own, Some(&format!("{page}?{}", "a".repeat(MAX_REDIRECT_BYTES)))), page);
    }
}
