//! Keys of signing in, and of whom requests come from.

use super::super::key::DefaultValue::{Absent, Derived, Value};
use super::super::key::Kind::{OneOf, Secret, Text, Whole};
use super::super::key::{Key, key};

pub(super) const JWT_SECRET: Key = key(
    "ENDCAP_JWT_SECRET",
    Secret { min_bytes: 32 },
    Derived("built in for development; required in production"),
    "the output of: openssl rand -hex 32",
    "Signs access tokens (HS256). At least 32 bytes, the same for all three services.",
);

pub(super) const ACCESS_TOKEN_TTL: Key =
    key("ENDCAP_ACCESS_TOKEN_TTL_SECONDS", Whole { min: 60, max: 86_400 }, Value("3600"), "3600", "Life of an access token, in seconds.");

pub(super) const REFRESH_TOKEN_TTL: Key =
    key("ENDCAP_REFRESH_TOKEN_TTL_DAYS", Whole { min: 1, max: 365 }, Value("30"), "30", "Life of a refresh token, in days.");

pub(super) const REFRESH_REUSE: Key = key(
    "ENDCAP_REFRESH_REUSE_SECONDS",
    Whole { min: 0, max: 300 },
    Value("10"),
    "10",
    "How long a refresh token is still taken after one that it was exchanged for has been used, in seconds; later it ends its session.",
);

pub(super) const SIGNUP: Key = key(
    "ENDCAP_SIGNUP",
    OneOf(&["open", "approval", "closed"]),
    Value("open"),
    "approval",
    "Whether strangers may sign up as raters: at once, once an administrator confirms them on the page `/accounts`, or not at all.",
);

pub(super) const SIGNUPS_PER_ADDRESS: Key = key(
    "ENDCAP_SIGNUPS_PER_ADDRESS",
    Whole { min: 1, max: 100_000 },
    Value("60"),
    "10",
    "Sign-ups from one network address at once, over all processes; as many again come back evenly within an hour. A network of IPv6 (/64) counts as one address.",
);

pub(super) const SIGNUPS_PER_HOUR: Key = key(
    "ENDCAP_SIGNUPS_PER_HOUR",
    Whole { min: 1, max: 1_000_000 },
    Value("1000"),
    "200",
    "Sign-ups from all addresses together at once, over all processes; as many again come back evenly within an hour.",
);

pub(super) const PUBLISHABLE_KEY: Key = key(
    "ENDCAP_PUBLISHABLE_KEY",
    Text,
    Absent,
    "sb_publishable_a1b2c3d4e5f6a7b8c9d0",
    "Key with which pages of yours may open sockets and sign people in (`createClient(url, KEY)`). Everybody may know it: it is a visitor's. `sb_publishable_...` or a token with the role `anon`, several separated by commas.",
);

pub(super) const TRUSTED_PROXIES: Key = key(
    "ENDCAP_TRUSTED_PROXIES",
    Text,
    Absent,
    "10.0.0.0/8,fd00::/8",
    "Networks of your proxies, separated by commas: from them X-Forwarded-For (or Forwarded) is believed, and the last address that is none of theirs counts as the sender's. Without it the peer's own address counts.",
);

pub(super) const COOKIE_DOMAIN: Key =
    key("ENDCAP_COOKIE_DOMAIN", Text, Absent, "example.com", "Domain of the session cookie when the services have different host names.");
