//! Signatures as Standard Webhooks has them (<https://www.standardwebhooks.com>): HMAC-SHA256 over id, time and body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use rand::Rng as _;
use secrecy::SecretString;
use sha2::Sha256;

/// What secrets begin with.
const PREFIX: &str = "whsec_";

/// Bytes of a secret.
const BYTES: usize = 32;

/// A new secret.
#[must_use]
pub fn generate() -> SecretString {
    let mut bytes = [0_u8; BYTES];
    rand::rng().fill(&mut bytes);
    format!("{PREFIX}{}", STANDARD.encode(bytes)).into()
}

/// The signature of a message under one secret: `v1,BASE64`; `None` for a secret that is none.
#[must_use]
pub fn sign(secret: &str, id: &str, timestamp: i64, body: &str) -> Option<String> {
    let key = STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body.as_bytes());
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use secrecy::ExposeSecret as _;

    use super::*;

    /// The message with which the reference libraries of Standard Webhooks test themselves.
    #[test]
    fn the_published_message_has_the_published_signature() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let signed = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signed.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn secrets_are_long_and_differ() {
        let (one, two) = (generate(), generate());
        assert_ne!(one.expose_secret(), two.expose_secret());
        assert_eq!(STANDARD.decode(one.expose_secret().strip_prefix("whsec_").unwrap()).unwrap().len(), 32);
        assert!(sign(one.expose_secret(), "evt", 1, "{}").is_some() && sign("secret", "evt", 1, "{}").is_none());
    }
}
