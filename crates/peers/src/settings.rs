//! What a client of a peer needs to know, checked before the service starts.

use std::time::Duration;

use domain::invalid::Invalid;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

/// Settings of one peer's client.
#[derive(Debug, Clone)]
pub struct PeerSettings {
    /// Where the peer's private listener is, such as `http://127.0.0.1:8101`.
    pub private_url: String,
    /// Name of the calling service: [`crate::CAMPAIGN_RUNTIME`], [`crate::RLHF_BACKEND`] or [`crate::RATER_APP`].
    pub caller: String,
    /// Secret shared by our services, signs service tokens.
    pub service_secret: SecretString,
    /// Longest time a call may take, retries included.
    pub timeout: Duration,
}

impl PeerSettings {
    /// Checks all settings and answers the parsed URL without a slash at its end.
    ///
    /// # Errors
    /// [`Invalid`] naming each setting that is wrong, with an example.
    pub(crate) fn base_url(&self) -> Result<Url, Invalid> {
        const EXAMPLE: &str = "for example http://127.0.0.1:8101";
        let mut invalid = Invalid::default();
        if self.caller.is_empty() {
            invalid.add("caller", format!("must name the calling service, for example {}", crate::CAMPAIGN_RUNTIME));
        }
        if self.service_secret.expose_secret().is_empty() {
            invalid.add("service_secret", "must not be empty; all services share one, for example the output of `openssl rand -hex 32`");
        }
        if self.timeout.is_zero() {
            invalid.add("timeout", "must be longer than zero, for example 2 seconds");
        }
        let url = match Url::parse(&self.private_url) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                Err(Invalid::one("private_url", format!("must begin with http:// or https://, not {}:, {EXAMPLE}", url.scheme())))
            }
            Ok(url) if url.query().is_some() || url.fragment().is_some() => {
                Err(Invalid::one("private_url", format!("must not hold '?' or '#', {EXAMPLE}")))
            }
            Ok(url) => Ok(url),
            Err(reason) => Err(Invalid::one("private_url", format!("{:?} is not a URL ({reason}), {EXAMPLE}", self.private_url))),
        };
        match (invalid.merge(url), invalid.fields.is_empty()) {
            (Some(url), true) => Ok(url),
            _ => Err(invalid),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn settings(private_url: &str) -> PeerSettings {
        PeerSettings {
            private_url: private_url.to_owned(),
            caller: crate::RATER_APP.to_owned(),
            service_secret: SecretString::from("a secret of our services"),
            timeout: Duration::from_secs(2),
        }
    }

    #[test]
    fn wrong_urls_are_explained_with_an_example() {
        settings("http://rlhf-backend:8101/").base_url().unwrap();
        for (url, word) in
            [("127.0.0.1:8101", "not a URL"), ("postgres://db/x", "not postgres:"), ("http://", "not a URL"), ("http://a/?b", "'?'")]
        {
            let error = settings(url).base_url().unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("http://127.0.0.1:8101"), "{url}: {error}");
        }
    }

    #[test]
    fn every_wrong_setting_is_named() {
        let wrong =
            PeerSettings { caller: String::new(), service_secret: SecretString::from(""), timeout: Duration::ZERO, ..settings("x") };
        let fields: Vec<String> = wrong.base_url().unwrap_err().fields.into_iter().map(|f| f.field).collect();
        assert_eq!(fields, ["caller", "service_secret", "timeout", "private_url"]);
    }
}
