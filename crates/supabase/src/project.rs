//! The settings of a Supabase project, refused with an explanation before anything is sent.

use std::time::Duration;

use domain::invalid::Invalid;
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};

use crate::key::KeyKind;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

const URL_EXAMPLE: &str = "for example https://abcdefghijklmnopqrst.supabase.co";

/// Shortest secret for HS256 signatures, in bytes (RFC 7518, section 3.2).
const MIN_JWT_SECRET_BYTES: usize = 32;

/// A Supabase project: where it is and the keys to it.
#[derive(Debug, Clone)]
pub struct Project {
    pub(crate) base_url: String,
    pub(crate) anon_key: SecretString,
    pub(crate) service_key: Option<SecretString>,
    pub(crate) jwt_secret: Option<SecretString>,
    pub(crate) client: Client,
}

impl Project {
    /// From `SUPABASE_URL`, `SUPABASE_KEY`, `SUPABASE_SERVICE_KEY` and `SUPABASE_JWT_SECRET`. Nothing is sent.
    ///
    /// # Errors
    /// [`Invalid`] with the name of each wrong setting, what is wrong and an example. Keys are never repeated in messages.
    pub fn from_settings(
        url: &str,
        anon_key: SecretString,
        service_key: Option<SecretString>,
        jwt_secret: Option<SecretString>,
    ) -> Result<Self, Invalid> {
        let mut invalid = Invalid::default();
        let url = invalid.merge(parse_url(url));
        invalid.merge(check_anon_key(anon_key.expose_secret()));
        if let Some(key) = &service_key {
            invalid.merge(check_service_key(key.expose_secret()));
        }
        if jwt_secret.as_ref().is_some_and(|secret| secret.expose_secret().len() < MIN_JWT_SECRET_BYTES) {
            let message =
                format!("must have at least {MIN_JWT_SECRET_BYTES} characters; copy it from Project Settings, JWT Keys, Legacy JWT Secret");
            invalid.add("SUPABASE_JWT_SECRET", message);
        }
        let client = url.as_ref().and_then(|url| {
            let client = build_client(url).map_err(|reason| Invalid::one("SUPABASE_URL", format!("no HTTP client for {url}: {reason}")));
            invalid.merge(client)
        });
        match (url, client, invalid.fields.is_empty()) {
            (Some(url), Some(client), true) => {
                let base_url = url.as_str().trim_end_matches('/').to_owned();
                Ok(Self { base_url, anon_key, service_key, jwt_secret, client })
            }
            _ => Err(invalid),
        }
    }
}

impl Project {
    /// From `SUPABASE_URL` and `SUPABASE_SERVICE_KEY` alone, for programs that act as the service and never as a visitor. Nothing is sent.
    ///
    /// # Errors
    /// As [`Project::from_settings`].
    pub fn for_service(url: &str, service_key: SecretString) -> Result<Self, Invalid> {
        let mut invalid = Invalid::default();
        let url = invalid.merge(parse_url(url));
        invalid.merge(check_service_key(service_key.expose_secret()));
        let client = url.as_ref().and_then(|url| {
            let client = build_client(url).map_err(|reason| Invalid::one("SUPABASE_URL", format!("no HTTP client for {url}: {reason}")));
            invalid.merge(client)
        });
        match (url, client, invalid.fields.is_empty()) {
            (Some(url), Some(client), true) => {
                let base_url = url.as_str().trim_end_matches('/').to_owned();
                Ok(Self { base_url, anon_key: service_key.clone(), service_key: Some(service_key), jwt_secret: None, client })
            }
            _ => Err(invalid),
        }
    }
}

fn parse_url(text: &str) -> Result<Url, Invalid> {
    let wrong = |message: String| Err(Invalid::one("SUPABASE_URL", message));
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(reason) => return wrong(format!("{text:?} is not a URL ({reason}), {URL_EXAMPLE}")),
    };
    if !matches!(url.scheme(), "http" | "https") {
        return wrong(format!("must begin with https://, not {}:, {URL_EXAMPLE}", url.scheme()));
    }
    if url.host_str() == Some("supabase.com") {
        return wrong(format!("is the address of the dashboard; copy the Project URL instead, {URL_EXAMPLE}"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return wrong(format!("must end after the host, without {:?}, {URL_EXAMPLE}", url.path()));
    }
    Ok(url)
}

fn check_anon_key(key: &str) -> Result<(), Invalid> {
    let kind = KeyKind::of(key);
    let message = match kind {
        KeyKind::Publishable | KeyKind::LegacyAnon => return Ok(()),
        KeyKind::Secret | KeyKind::LegacyService => {
            format!(
                "is {}, which opens everything; put that into SUPABASE_SERVICE_KEY and here the publishable key, sb_publishable_...",
                kind.title()
            )
        }
        KeyKind::OtherToken | KeyKind::Unknown => {
            format!(
                "is {}; copy the publishable key (sb_publishable_...) or the legacy anon key (eyJ...) from Project Settings, API Keys",
                kind.title()
            )
        }
    };
    Err(Invalid::one("SUPABASE_KEY", message))
}

fn check_service_key(key: &str) -> Result<(), Invalid> {
    let kind = KeyKind::of(key);
    if kind.is_for_servers_only() {
        return Ok(());
    }
    let message = format!(
        "is {}; copy the secret key (sb_secret_...) or the legacy service_role key (eyJ...) from Project Settings, API Keys, or leave it out",
        kind.title()
    );
    Err(Invalid::one("SUPABASE_SERVICE_KEY", message))
}

fn build_client(url: &Url) -> reqwest::Result<Client> {
    client_builder(url.scheme() == "http").build()
}

/// A client that waits a bounded time for a connection and follows nobody elsewhere.
pub(crate) fn client_builder(is_plain: bool) -> reqwest::ClientBuilder {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Without one the HTTP client panics, for http:// too. When another thread was faster, its provider serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let builder = Client::builder().connect_timeout(CONNECT_TIMEOUT).redirect(reqwest::redirect::Policy::none());
    // Plain HTTP (a project on this machine) needs no certificates.
    if is_plain { builder.tls_certs_only([]) } else { builder }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const URL: &str = "https://abcdefghijklmnopqrst.supabase.co";

    /// Signed with a secret that nobody uses; only the role claim matters here.
    fn legacy_key(role: &str) -> String {
        let claims = serde_json::json!({"iss": "supabase", "role": role, "exp": 4_000_000_000_u64});
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &jsonwebtoken::EncodingKey::from_secret(b"test")).unwrap()
    }

    fn refusal(url: &str, anon_key: &str, service_key: Option<&str>, jwt_secret: Option<&str>) -> String {
        let secret = |text: &str| SecretString::from(text);
        Project::from_settings(url, secret(anon_key), service_key.map(secret), jwt_secret.map(secret)).unwrap_err().to_string()
    }

    #[test]
    fn both_generations_of_keys_are_accepted() {
        for (anon, service) in [("sb_publishable_x".to_owned(), "sb_secret_x".to_owned()), (legacy_key("anon"), legacy_key("service_role"))]
        {
            // Plain HTTP, so that the test does not depend on the machine's certificates.
            Project::from_settings("http://127.0.0.1:54321", anon.into(), Some(service.into()), None).unwrap();
        }
    }

    #[test]
    fn a_service_key_given_as_the_anon_key_is_refused_and_not_shown() {
        for key in ["sb_secret_hidden".to_owned(), legacy_key("service_role")] {
            let message = refusal("http://127.0.0.1:1", &key, None, None);
            assert!(message.starts_with("SUPABASE_KEY: is a") && message.contains("SUPABASE_SERVICE_KEY"), "{message}");
            assert!(!message.contains(&key));
        }
    }

    #[test]
    fn every_wrong_setting_is_named_with_what_to_do() {
        let message = refusal("abc.supabase.co", &legacy_key("authenticated"), Some("sb_publishable_x"), Some("short"));
        for word in [
            "SUPABASE_URL: ",
            "https://abcdef",
            "SUPABASE_KEY: is a token that is no API key",
            "SUPABASE_SERVICE_KEY: is a publishable key",
            "SUPABASE_JWT_SECRET: must have at least 32",
        ] {
            assert!(message.contains(word), "{word} is not in {message}");
        }
    }

    #[test]
    fn urls_of_other_things_are_explained() {
        for (url, word) in [
            ("https://supabase.com/dashboard/project/x", "dashboard"),
            ("postgres://db/x", "not postgres:"),
            (&format!("{URL}/rest/v1") as &str, "/rest/v1"),
        ] {
            let message = refusal(url, "sb_publishable_x", None, None);
            assert!(message.contains(word), "{message}");
        }
    }
}
