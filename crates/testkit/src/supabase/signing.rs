//! Keys of the stand-in's tokens. They are known to everybody and sign nothing but tests.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// With what access tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// The legacy secret.
    Hs256,
    /// The P-256 key of this id, `es-1` or `es-2`.
    Es256(&'static str),
    /// The RSA key `rs-1`.
    Rs256,
}

impl Signer {
    /// A signed token.
    #[must_use]
    pub fn sign(self, claims: &Value) -> String {
        let (mut header, key) = match self {
            Self::Hs256 => (Header::new(Algorithm::HS256), EncodingKey::from_secret(super::JWT_SECRET.as_bytes())),
            Self::Es256("es-1") => (Header::new(Algorithm::ES256), EncodingKey::from_ec_der(include_bytes!("keys/es256-1.der"))),
            Self::Es256(_) => (Header::new(Algorithm::ES256), EncodingKey::from_ec_der(include_bytes!("keys/es256-2.der"))),
            Self::Rs256 => (Header::new(Algorithm::RS256), EncodingKey::from_rsa_der(include_bytes!("keys/rs256.der"))),
        };
        header.kid = match self {
            Self::Hs256 => None,
            Self::Es256(id) => Some(id.to_owned()),
            Self::Rs256 => Some("rs-1".to_owned()),
        };
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    }
}

/// The set of the public keys of these ids.
#[must_use]
pub fn key_set(ids: &[&'static str]) -> Value {
    let all: Vec<Value> = serde_json::from_str(include_str!("keys/public.json")).unwrap();
    let served: Vec<&Value> = all.iter().filter(|key| ids.iter().any(|id| key["kid"] == *id)).collect();
    json!({ "keys": served })
}
