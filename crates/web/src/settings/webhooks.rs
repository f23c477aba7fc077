//! Which addresses of users may be called, and how long what was sent is kept: its keys, and what they make.

use std::time::Duration;

use domain::address::Network;

use super::key::DefaultValue::{Absent, Value};
use super::key::Kind::{OneOf, Text, Whole};
use super::key::{Key, key};

pub(super) const HTTP: Key = key(
    "ENDCAP_WEBHOOK_HTTP",
    OneOf(&["refused", "allowed"]),
    Value("refused"),
    "allowed",
    "Whether webhooks may have http: addresses, whose events anybody on the way can read. For development.",
);

pub(super) const PORTS: Key =
    key("ENDCAP_WEBHOOK_PORTS", Text, Value("443"), "443,8443", "Ports that webhooks may name, separated by commas; `*` for all.");

pub(super) const NETWORKS: Key = key(
    "ENDCAP_WEBHOOK_NETWORKS",
    Text,
    Absent,
    "10.20.0.0/16,fd00:20::/32",
    "Networks that webhooks may reach although they are no part of the public internet, separated by commas. Whoever makes a webhook can send requests into them.",
);

pub(super) const TIMEOUT: Key = key(
    "ENDCAP_WEBHOOK_TIMEOUT_MS",
    Whole { min: 100, max: 30_000 },
    Value("10000"),
    "10000",
    "Longest wait for a receiver of events, in milliseconds; then the delivery is tried again later.",
);

pub(super) const RETENTION: Key = key(
    "ENDCAP_WEBHOOK_RETENTION_DAYS",
    Whole { min: 1, max: 366 },
    Value("30"),
    "30",
    "How long deliveries that are done stay in the log, in days.",
);

/// Which addresses of users may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhooks {
    /// Whether http: is allowed.
    pub allows_http: bool,
    /// Ports that may be named; empty for all.
    pub ports: Vec<u16>,
    /// Networks beside the public internet.
    pub networks: Vec<Network>,
    /// Longest wait for a receiver.
    pub timeout: Duration,
    /// How long deliveries that are done stay, in days.
    pub retention_days: u32,
}

impl super::Values {
    pub(super) fn webhooks(&mut self) -> Webhooks {
        let mut ports = Vec::new();
        for text in self.list("ENDCAP_WEBHOOK_PORTS").into_iter().filter(|text| text != "*") {
            match text.parse() {
                Ok(port) if port > 0 => ports.push(port),
                _ => self.mistake("ENDCAP_WEBHOOK_PORTS", format!("{text:?} is no port from 1 to 65535")),
            }
        }
        let mut networks = Vec::new();
        for text in self.list("ENDCAP_WEBHOOK_NETWORKS") {
            match text.parse() {
                Ok(network) => networks.push(network),
                Err(problem) => self.mistake("ENDCAP_WEBHOOK_NETWORKS", problem),
            }
        }
        Webhooks {
            allows_http: self.text("ENDCAP_WEBHOOK_HTTP") == "allowed",
            ports,
            networks,
            timeout: Duration::from_millis(self.whole("ENDCAP_WEBHOOK_TIMEOUT_MS")),
            retention_days: self.whole("ENDCAP_WEBHOOK_RETENTION_DAYS"),
        }
    }
}
