//! Calls to addresses that users gave (webhooks), made so that they cannot be turned against us: https to allowed ports only; a name is
//! looked up once and the connection goes to the very addresses that were checked; this machine, the cluster and metadata addresses are
//! refused unless the operator lists their network; redirects are not followed, no proxy is asked, and nothing of the answer's body is read.

use std::error::Error;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::address::{Network, refusal};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Url};

/// Longest address, in bytes.
pub const MAX_URL_BYTES: usize = 2_000;

/// Most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 16;

/// Which places may be called.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Whether `http:` may be called too.
    pub allows_http: bool,
    /// Ports that may be called; empty for all.
    pub ports: Vec<u16>,
    /// Networks that may be called although they are no part of the public internet.
    pub networks: Vec<Network>,
    /// Longest wait for the beginning of an answer, the look-up and the connection included.
    pub timeout: Duration,
}

/// Why a call came to nothing. The words are for the owner of the address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The place may not be called.
    #[error("{0}")]
    Refused(String),
    /// The name is none, or nobody answers there.
    #[error("{0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Late(Duration),
}

/// The beginning of an answer; the rest is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After` in seconds, also when it came as a date.
    pub retry_after: Option<u64>,
}

type Found = Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>;

/// How names become addresses: by the system, or by a test.
pub type LookUp = Arc<dyn Fn(String) -> Found + Send + Sync>;

/// The way out. Cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    rules: Arc<Rules>,
    guard: Guard,
    client: Client,
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Outbound {
    /// By these rules.
    ///
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new(rules: Rules) -> Result<Self, OutboundError> {
        Self::with_look_up(rules, Arc::new(|name| Box::pin(look_up(name))))
    }

    /// With another way to look names up.
    ///
    /// # Errors
    /// When there can be no HTTP client.
    pub fn with_look_up(rules: Rules, look_up: LookUp) -> Result<Self, OutboundError> {
        let rules = Arc::new(rules);
        let guard = Guard { rules: rules.clone(), look_up };
        let client = build(&rules, &guard).map_err(|error| OutboundError::Unreachable(format!("no HTTP client: {error}")))?;
        Ok(Self { rules, guard, client })
    }

    /// Reads an address and checks what can be checked without looking its name up.
    ///
    /// # Errors
    /// A sentence that begins behind the name of the field.
    pub fn read(&self, text: &str) -> Result<Url, String> {
        if text.len() > MAX_URL_BYTES {
            return Err(format!("must be at most {MAX_URL_BYTES} bytes"));
        }
        if text.trim() != text || text.chars().any(|sign| sign.is_control() || sign == '\\') {
            return Err("must not hold spaces around it, control characters or backslashes".to_owned());
        }
        let url = Url::parse(text).map_err(|error| format!("is no address: {error}"))?;
        let is_allowed = url.scheme() == "https" || (url.scheme() == "http" && self.rules.allows_http);
        if !is_allowed {
            return Err(if self.rules.allows_http { "must begin with https:// or http://" } else { "must begin with https://" }.to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() || authority_of(text).contains('@') {
            return Err("must not hold a user or password; the signature proves who calls".to_owned());
        }
        if url.fragment().is_some() {
            return Err("must not hold a fragment (#...); it would never be sent".to_owned());
        }
        let port = url.port_or_known_default().unwrap_or(0);
        if !self.rules.ports.is_empty() && !self.rules.ports.contains(&port) {
            let ports: Vec<String> = self.rules.ports.iter().map(u16::to_string).collect();
            return Err(format!("names port {port}; allowed: {}", ports.join(", ")));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err("names no host".to_owned());
        }
        // A number is not looked up, so it is checked here; the parser has brought all its spellings into one.
        match literal(&url).and_then(|address| self.guard.refusal(address)) {
            Some(why) => Err(why),
            None => Ok(url),
        }
    }

    /// Checks an address with those that its name has now. It is checked again at each call, because names change.
    ///
    /// # Errors
    /// A sentence that begins behind the name of the field.
    pub async fn check(&self, text: &str) -> Result<(), String> {
        let url = self.read(text)?;
        let Some(name) = url.host_str().filter(|_| literal(&url).is_none()) else { return Ok(()) };
        let looked_up = tokio::time::timeout(self.rules.timeout, self.guard.addresses(name.to_owned())).await;
        match looked_up {
            Ok(found) => found.map(drop).map_err(|error| error.0),
            Err(_) => Err(format!("names {name:?}, which could not be looked up in time")),
        }
    }

    /// Sends a JSON body.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub async fn post(&self, address: &str, headers: &[(&'static str, String)], body: String) -> Result<Answer, OutboundError> {
        let url = self.read(address).map_err(|why| OutboundError::Refused(format!("the address {why}")))?;
        let mut all = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        for (name, value) in headers {
            let value =
                HeaderValue::from_str(value).map_err(|_| OutboundError::Refused(format!("{name} holds signs that no header may hold")))?;
            all.insert(HeaderName::from_static(name), value);
        }
        let sent = self.client.post(url).headers(all).body(body).send();
        let response = match tokio::time::timeout(self.rules.timeout, sent).await {
            Ok(sent) => sent.map_err(|error| self.reason(error))?,
            Err(_) => return Err(OutboundError::Late(self.rules.timeout)),
        };
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| seconds_of(text, Utc::now()));
        Ok(Answer { status: response.status().as_u16(), retry_after })
    }

    /// The innermost cause in words, without the address, which may hold a token.
    fn reason(&self, error: reqwest::Error) -> OutboundError {
        if error.is_timeout() {
            return OutboundError::Late(self.rules.timeout);
        }
        let error = error.without_url();
        let mut cause: &(dyn Error + 'static) = &error;
        loop {
            if let Some(refused) = cause.downcast_ref::<NotAllowed>() {
                return match refused.1 {
                    Why::Closed => OutboundError::Refused(format!("the address {refused}")),
                    Why::Unknown => OutboundError::Unreachable(format!("the address {refused}")),
                };
            }
            match cause.source() {
                Some(inner) => cause = inner,
                None => return OutboundError::Unreachable(format!("the connection failed: {cause}")),
            }
        }
    }
}

/// The address of a host that is a number.
fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

/// What stands between `//` and the path.
fn authority_of(text: &str) -> &str {
    let behind = text.split_once("//").map_or("", |(_, behind)| behind);
    behind.split(['/', '?', '#']).next().unwrap_or("")
}

fn build(rules: &Rules, guard: &Guard) -> reqwest::Result<Client> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // When another thread was faster, its provider serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let builder = || {
        Client::builder()
            .user_agent(concat!("endcap-webhooks/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .http1_only()
            // Each call looks its name up anew.
            .pool_max_idle_per_host(0)
            .connect_timeout(rules.timeout)
            .dns_resolver(guard.clone())
    };
    builder().build().or_else(|error| {
        tracing::warn!(%error, "this machine has no certificates: https addresses of webhooks cannot be called");
        builder().tls_certs_only([]).build()
    })
}

async fn look_up(name: String) -> std::io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
}

/// Looks names up and lets only addresses through that may be called.
#[derive(Clone)]
struct Guard {
    rules: Arc<Rules>,
    look_up: LookUp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Closed,
    Unknown,
}

/// A name that leads nowhere or to where nobody may go; the text begins behind "the address".
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotAllowed(String, Why);

impl Guard {
    fn refusal(&self, address: IpAddr) -> Option<String> {
        refusal(address, &self.rules.networks).map(|what| format!("leads to {what}; only public addresses are called"))
    }

    /// All of a name's addresses must be allowed: one that is not shows that somebody plays with the name.
    async fn addresses(&self, name: String) -> Result<Vec<IpAddr>, NotAllowed> {
        let unknown =
            |why: &dyn std::fmt::Display| NotAllowed(format!("names {name:?}, which could not be looked up: {why}"), Why::Unknown);
        let mut found = (self.look_up)(name.clone()).await.map_err(|error| unknown(&error))?;
        if found.is_empty() {
            return Err(unknown(&"it has no address"));
        }
        if let Some(why) = found.iter().find_map(|address| self.refusal(*address)) {
            return Err(NotAllowed(why, Why::Closed));
        }
        found.truncate(MAX_ADDRESSES);
        Ok(found)
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, name) = (self.clone(), name.as_str().to_owned());
        Box::pin(async move {
            let found = guard.addresses(name).await?;
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// Seconds from `now` that a `Retry-After` asks for: a number, or a date (RFC 9110, section 10.2.3).
fn seconds_of(text: &str, now: DateTime<Utc>) -> Option<u64> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let until = DateTime::parse_from_rfc2822(text).ok()?;
        Some(u64::try_from((until.to_utc() - now).num_seconds()).unwrap_or(0))
    })
}

#[cfg(test)]
#[path = "outbound_tests.rs"]
mod tests;
