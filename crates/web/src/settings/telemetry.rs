//! Log lines, and where spans of requests are sent: their keys, those of spans under the names that OpenTelemetry has given them.

use secrecy::SecretString;

use super::key::DefaultValue::{Absent, Value};
use super::key::Kind::{Number, OneOf, Secret, Text, Url};
use super::key::{Key, key};
use super::values::Values;

pub(super) const LOG_FORMAT: Key = key("ENDCAP_LOG_FORMAT", OneOf(&["text", "json"]), Value("text"), "json", "Shape of log lines.");

pub(super) const LOG_LEVELS: Key =
    key("RUST_LOG", Text, Value("info"), "info,storage=debug", "Which log lines are written: a level, or levels by module.");

pub(super) const ENDPOINT: Key = key(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    Url,
    Absent,
    "http://otel-collector:4318",
    "Collector of spans (OpenTelemetry, OTLP over HTTP); `/v1/traces` is added. Without it no spans are made.",
);

pub(super) const HEADERS: Key = key(
    "OTEL_EXPORTER_OTLP_HEADERS",
    // An empty file is no mistake: Compose mounts one where no collector asks for any.
    Secret { min_bytes: 0 },
    Absent,
    "authorization=Bearer%20...",
    "Headers for the collector, as NAME=VALUE separated by commas; values are percent-encoded (a comma is `%2C`, a percent sign `%25`).",
);

pub(super) const SHARE: Key = key(
    "ENDCAP_TRACE_SHARE",
    Number { min: 0.0, max: 1.0 },
    Value("1"),
    "0.1",
    "Share of the traces beginning here whose spans are exported. A caller who sends `traceparent` has decided for its own.",
);

/// The export of spans.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Address of the collector; absent means that nothing is exported.
    pub endpoint: Option<String>,
    /// Headers for the collector.
    pub headers: Option<SecretString>,
    /// Share of the traces that is exported.
    pub share: f64,
}

impl Values {
    pub(super) fn telemetry(&mut self) -> Telemetry {
        let headers = self.secret("OTEL_EXPORTER_OTLP_HEADERS");
        if let Err(invalid) = peers::spans::read_headers(headers.as_ref()) {
            invalid.fields.into_iter().for_each(|error| self.mistake("OTEL_EXPORTER_OTLP_HEADERS", error.message));
        }
        let endpoint = Some(self.text("OTEL_EXPORTER_OTLP_ENDPOINT")).filter(|text| !text.is_empty());
        Telemetry { endpoint, headers, share: self.number("ENDCAP_TRACE_SHARE") }
    }
}
