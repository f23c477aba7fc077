//! What happens to personal data.

use crate::settings::key::DefaultValue::Value;
use crate::settings::key::Kind::OneOf;
use crate::settings::key::{Key, key};

pub(super) const PII: Key = key(
    "ENDCAP_PII",
    OneOf(&["redact", "refuse", "off"]),
    Value("redact"),
    "refuse",
    "What happens to personal data in texts that raters may see: masked before they are stored, refused with 422, or let through.",
);
