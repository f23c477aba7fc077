//! What an exported span says: the names of the OpenTelemetry conventions for what has one, ours behind `endcap.`, and nothing that is not
//! listed here, so that no secret and nothing about a person leaves by accident.

use opentelemetry::trace::SpanKind;
use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::trace::SpanData;

/// The span around a request that we answer.
pub(crate) const REQUEST: &str = "request";

/// The span around a call to another of our services.
pub(crate) const CALL: &str = "peer_call";

/// Longest value, in bytes.
const MAX_VALUE: usize = 100;

/// Fields of our spans and the names under which they are exported.
const NAMES: [(&str, &str); 9] = [
    ("request_id", "endcap.request_id"),
    ("caller", "endcap.caller"),
    ("tenant", "endcap.tenant_id"),
    ("method", "http.request.method"),
    ("route", "http.route"),
    ("status", "http.response.status_code"),
    ("peer", "server.service"),
    ("operation", "rpc.method"),
    ("outcome", "endcap.outcome"),
];

/// Whether spans of this name are exported.
pub(super) fn is_ours(name: &str) -> bool {
    name == REQUEST || name == CALL
}

/// Brings a span into its exported form; `false` for probes and scrapes, which come every few seconds and would drown the rest.
pub(super) fn translate(span: &mut SpanData) -> bool {
    span.attributes = span.attributes.drain(..).filter_map(translated).collect();
    span.events = Default::default();
    let value = |name: &str| span.attributes.iter().find(|one| one.key.as_str() == name).map(|one| one.value.as_str().into_owned());
    let (kind, name) = if span.name == REQUEST {
        let (method, route) = (value("http.request.method").unwrap_or_default(), value("http.route").unwrap_or_default());
        if route.starts_with("/health/") || route == "/metrics" {
            return false;
        }
        (SpanKind::Server, format!("{method} {route}"))
    } else {
        let (peer, operation) = (value("server.service").unwrap_or_default(), value("rpc.method").unwrap_or_default());
        (SpanKind::Client, format!("{peer} {operation}"))
    };
    span.span_kind = kind;
    span.name = name.into();
    true
}

fn translated(attribute: KeyValue) -> Option<KeyValue> {
    let from = attribute.key.as_str();
    let name = match NAMES.iter().find(|(name, _)| *name == from) {
        Some((_, name)) => Key::from_static_str(name),
        // Ids of what a request is about, as the route calls them: endcap.campaign_id.
        None if from.starts_with("endcap.") && from.ends_with("_id") => attribute.key.clone(),
        None => return None,
    };
    let text = attribute.value.as_str();
    // Whoever asks may write anything into a path: what does not look like one of our ids stays here.
    let is_word = matches!(from, "route" | "operation") || is_id(&text);
    (is_word && text.len() <= MAX_VALUE).then(|| match from {
        "status" => KeyValue::new(name, text.parse::<i64>().unwrap_or_default()),
        _ => KeyValue::new(name, text.into_owned()),
    })
}

/// Signs of which ids, tenants, methods and words are made; an address of mail or a text is not.
fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
}
