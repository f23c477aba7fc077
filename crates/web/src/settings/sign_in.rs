//! Who may sign in and up, with which keys pages come, and which proxies are believed.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::address::Network;

/// Beginning of keys that everybody may know.
const PUBLISHABLE: &str = "sb_publishable_";

/// Whether strangers may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signup {
    /// Anybody may sign up as a rater.
    Open,
    /// Anybody may sign up, and works once an administrator has confirmed it.
    Approval,
    /// Accounts are made by administrators.
    Closed,
}

/// Sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Life of an access token.
    pub access_token_ttl: Duration,
    /// Life of a refresh token.
    pub refresh_token_ttl: Duration,
    /// How long a refresh token is let off after its successor was used.
    pub refresh_reuse: Duration,
    /// Whether strangers may sign up.
    pub signup: Signup,
    /// Sign-ups from one address within an hour.
    pub signups_per_address: u32,
    /// Sign-ups from all addresses within an hour.
    pub signups_per_hour: u32,
    /// Keys of visitors, which everybody may know.
    pub publishable_keys: Vec<String>,
    /// `Domain` of the session cookie when the services have different host names.
    pub cookie_domain: Option<String>,
}

impl super::Values {
    pub(super) fn sign_in(&mut self) -> SignIn {
        if self.text("ENDCAP_SIGNUP") == "approval" && self.text("ENDCAP_SIGN_IN") == "supabase" {
            let problem =
                "is for accounts of this installation; with ENDCAP_SIGN_IN=supabase the project confirms people, so use open or closed";
            self.mistake("ENDCAP_SIGNUP", problem.to_owned());
        }
        SignIn {
            access_token_ttl: Duration::from_secs(self.whole("ENDCAP_ACCESS_TOKEN_TTL_SECONDS")),
            refresh_token_ttl: Duration::from_secs(self.whole::<u64>("ENDCAP_REFRESH_TOKEN_TTL_DAYS") * 86_400),
            refresh_reuse: Duration::from_secs(self.whole("ENDCAP_REFRESH_REUSE_SECONDS")),
            signup: match self.text("ENDCAP_SIGNUP").as_str() {
                "closed" => Signup::Closed,
                "approval" => Signup::Approval,
                _ => Signup::Open,
            },
            signups_per_address: self.whole("ENDCAP_SIGNUPS_PER_ADDRESS"),
            signups_per_hour: self.whole("ENDCAP_SIGNUPS_PER_HOUR"),
            publishable_keys: self.publishable_keys(),
            cookie_domain: self.texts.get("ENDCAP_COOKIE_DOMAIN").cloned(),
        }
    }

    fn publishable_keys(&mut self) -> Vec<String> {
        let keys = self.list("ENDCAP_PUBLISHABLE_KEY");
        if let Some(problem) = keys.iter().find_map(|key| problem_of_key(key)) {
            self.mistake("ENDCAP_PUBLISHABLE_KEY", problem);
        }
        keys
    }

    pub(super) fn trusted_proxies(&mut self) -> Vec<Network> {
        let mut networks = Vec::new();
        for text in self.list("ENDCAP_TRUSTED_PROXIES") {
            match text.parse() {
                Ok(network) => networks.push(network),
                Err(problem) => self.mistake("ENDCAP_TRUSTED_PROXIES", problem),
            }
        }
        networks
    }
}

/// What is wrong with a key that goes into pages; it is never shown, because it may be a secret one.
fn problem_of_key(key: &str) -> Option<String> {
    if let Some(rest) = key.strip_prefix(PUBLISHABLE) {
        let is_fit = rest.len() >= 16 && rest.chars().all(|sign| sign.is_ascii_alphanumeric() || "_-".contains(sign));
        return (!is_fit)
            .then(|| format!("needs at least 16 letters and digits behind {PUBLISHABLE}, so that nobody meets it by accident"));
    }
    if key.starts_with("sb_secret_") {
        return Some("is a secret key, which must never stand in a page".to_owned());
    }
    let parts: Vec<&str> = key.split('.').collect();
    let claims = match parts.as_slice() {
        [_, claims, _] => BASE64_URL_SAFE_NO_PAD.decode(claims).ok(),
        _ => None,
    };
    let claims: Option<serde_json::Value> = claims.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    match claims.as_ref().and_then(|claims| claims["role"].as_str()) {
        Some("anon") => None,
        Some(role) => Some(format!("is a token of the role {role:?}; only one of `anon` may stand in a page")),
        None => Some(format!("is neither {PUBLISHABLE}... nor a token with the role `anon`")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_keys_that_everybody_may_know_go_into_pages() {
        let token = |role: &str| format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"role":"{role}","exp":1}}"#)));
        for good in ["sb_publishable_a1b2c3d4e5f6a7b8".to_owned(), token("anon")] {
            assert_eq!(problem_of_key(&good), None, "{good}");
        }
        for bad in
            ["sb_publishable_short".to_owned(), "sb_secret_a1b2c3d4e5f6a7b8c9".to_owned(), token("service_role"), "ek_0123".to_owned()]
        {
            let problem = problem_of_key(&bad).unwrap();
            assert!(!problem.contains(&bad), "a secret is never shown: {problem}");
        }
    }
}
