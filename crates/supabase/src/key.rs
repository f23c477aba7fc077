//! What kind of key somebody pasted: the two that a project needs are easily mixed up, and one of them must stay secret.

use jsonwebtoken::dangerous::insecure_decode;
use serde::Deserialize;

/// Kinds of API keys of a Supabase project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// `sb_publishable_…`: may be shown to browsers, acts as `anon`.
    Publishable,
    /// `sb_secret_…`: for servers only, acts as `service_role`.
    Secret,
    /// Legacy JWT with role `anon`.
    LegacyAnon,
    /// Legacy JWT with role `service_role`.
    LegacyService,
    /// A JWT with another role, such as the access token of a signed-in user.
    OtherToken,
    /// None of these.
    Unknown,
}

impl KeyKind {
    /// Recognises a key by its prefix, or by the role claim of a legacy JWT. The signature is not checked: only Supabase can.
    #[must_use]
    pub fn of(key: &str) -> Self {
        if key.starts_with("sb_publishable_") {
            return Self::Publishable;
        }
        if key.starts_with("sb_secret_") {
            return Self::Secret;
        }
        let role = insecure_decode::<KeyClaims>(key).map(|token| token.claims.role);
        match role.as_ref().map(Option::as_deref) {
            Ok(Some("anon")) => Self::LegacyAnon,
            Ok(Some("service_role")) => Self::LegacyService,
            Ok(_) => Self::OtherToken,
            Err(_) => Self::Unknown,
        }
    }

    /// Whether the key opens everything and so must never reach a browser.
    #[must_use]
    pub fn is_for_servers_only(self) -> bool {
        matches!(self, Self::Secret | Self::LegacyService)
    }

    /// Whether the key is a JWT and so may also be sent as a bearer token.
    #[must_use]
    pub fn is_token(self) -> bool {
        matches!(self, Self::LegacyAnon | Self::LegacyService | Self::OtherToken)
    }

    /// End of the life of a legacy key, in seconds since 1970; newer keys live until they are revoked.
    #[must_use]
    pub fn expiry_of(key: &str) -> Option<i64> {
        insecure_decode::<KeyClaims>(key).ok()?.claims.exp
    }

    /// The kind in words that Supabase's dashboard uses.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Publishable => "a publishable key",
            Self::Secret => "a secret key",
            Self::LegacyAnon => "a legacy anon key",
            Self::LegacyService => "a legacy service_role key",
            Self::OtherToken => "a token that is no API key",
            Self::Unknown => "no API key",
        }
    }
}

#[derive(Deserialize)]
struct KeyClaims {
    role: Option<String>,
    exp: Option<i64>,
}
