//! Secrets at rest: sealed under a master key with XChaCha20-Poly1305, opened only with the name of what they belong to.
//!
//! A sealed text is `v1:KEY_ID:NONCE:CIPHERTEXT`, the last two in base64 (URL alphabet, no padding). The name of the place (a retailer's key, a setting)
//! is authenticated with it, so that a sealed text moved to another place does not open. `ENDCAP_SEAL_KEYS` holds `ID:KEY` pairs: the first seals, the
//! others only open what was sealed before a rotation. This is the only place that seals.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::Rng as _;
use secrecy::{ExposeSecret as _, SecretBox, SecretString};

/// What marks a sealed setting.
pub const SEALED_PREFIX: &str = "sealed:";
/// Version of the envelope.
const VERSION: &str = "v1";
/// Bytes of a master key.
const KEY_BYTES: usize = 32;
/// Bytes of a nonce.
const NONCE_BYTES: usize = 24;
/// Longest id of a key.
const MAX_ID: usize = 32;
/// Most keys held at once.
const MAX_KEYS: usize = 16;

/// Why a text was not sealed or opened. Never shows a key or a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// No key to seal with.
    #[error("there is no seal key; make one with `endcap keys generate-seal-key` and set ENDCAP_SEAL_KEYS")]
    NoKey,
    /// The text is no envelope of ours.
    #[error("it is no sealed text of the form v1:KEY:NONCE:TEXT")]
    Malformed,
    /// Sealed under a key that is not held.
    #[error("it is sealed with the key {0:?}, which ENDCAP_SEAL_KEYS does not hold")]
    UnknownKey(String),
    /// The text was changed, belongs to another place, or the key of this id is another one.
    #[error("it does not open with the key {0:?}: it was changed, belongs to another place, or the key is another one of the same name")]
    DoesNotOpen(String),
}

struct SealKey {
    id: String,
    key: SecretBox<[u8; KEY_BYTES]>,
}

/// The master keys, the current one first.
#[derive(Clone, Default)]
pub struct SealKeys(std::sync::Arc<[SealKey]>);

impl std::fmt::Debug for SealKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

impl SealKeys {
    /// From `ID:KEY,ID:KEY`, the keys in base64.
    ///
    /// # Errors
    /// A sentence that names the key's place and id, never its bytes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut keys: Vec<SealKey> = Vec::new();
        for (at, pair) in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).enumerate() {
            let place = at + 1;
            let (id, key) = pair.split_once(':').ok_or_else(|| format!("entry {place} is not ID:KEY"))?;
            if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
                return Err(format!("the id of entry {place} must be 1 to {MAX_ID} letters, digits, - or _"));
            }
            let bytes = STANDARD.decode(key).map_err(|_| format!("the key {id:?} is not base64"))?;
            let n = bytes.len();
            let bytes: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| format!("the key {id:?} has {n} bytes, needs {KEY_BYTES}"))?;
            if keys.iter().any(|known| known.id == id) {
                return Err(format!("the id {id:?} occurs twice"));
            }
            keys.push(SealKey { id: id.to_owned(), key: SecretBox::new(Box::new(bytes)) });
        }
        if keys.len() > MAX_KEYS {
            return Err(format!("holds {} keys, at most {MAX_KEYS} are held", keys.len()));
        }
        Ok(Self(keys.into()))
    }

    /// A new key as `ID:KEY`.
    #[must_use]
    pub fn generate() -> String {
        let (mut id, mut key) = ([0_u8; 4], [0_u8; KEY_BYTES]);
        rand::rng().fill(&mut id);
        rand::rng().fill(&mut key);
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("k{id}:{}", STANDARD.encode(key))
    }

    /// Id of the key that seals.
    #[must_use]
    pub fn current(&self) -> Option<&str> {
        self.0.first().map(|key| key.id.as_str())
    }

    /// Seals a secret for one place.
    ///
    /// # Errors
    /// [`SealError::NoKey`].
    pub fn seal(&self, secret: &SecretString, place: &str) -> Result<String, SealError> {
        let key = self.0.first().ok_or(SealError::NoKey)?;
        let mut nonce = [0_u8; NONCE_BYTES];
        rand::rng().fill(&mut nonce);
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: place.as_bytes() };
        let sealed = cipher(key).encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::Malformed)?;
        Ok(format!("{VERSION}:{}:{}:{}", key.id, URL_SAFE_NO_PAD.encode(nonce), URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// Why not.
    pub fn open(&self, sealed: &str, place: &str) -> Result<SecretString, SealError> {
        let (id, nonce, text) = parts(sealed).ok_or(SealError::Malformed)?;
        let key = self.0.iter().find(|key| key.id == id).ok_or_else(|| SealError::UnknownKey(id.to_owned()))?;
        let nonce: [u8; NONCE_BYTES] =
            URL_SAFE_NO_PAD.decode(nonce).ok().and_then(|nonce| nonce.try_into().ok()).ok_or(SealError::Malformed)?;
        let text = URL_SAFE_NO_PAD.decode(text).map_err(|_| SealError::Malformed)?;
        let payload = Payload { msg: &text, aad: place.as_bytes() };
        let opened = cipher(key).decrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::DoesNotOpen(id.to_owned()))?;
        String::from_utf8(opened).map(SecretString::from).map_err(|_| SealError::Malformed)
    }

    /// The value of a setting, opened when it is sealed.
    ///
    /// # Errors
    /// Why it does not open.
    pub fn open_setting(&self, name: &str, value: &str) -> Result<SecretString, SealError> {
        match value.strip_prefix(SEALED_PREFIX) {
            Some(sealed) => self.open(sealed, &place_of_setting(name)),
            None => Ok(value.into()),
        }
    }
}

/// The place of a setting.
#[must_use]
pub fn place_of_setting(name: &str) -> String {
    format!("setting:{name}")
}

/// The place of a retailer's API key.
#[must_use]
pub fn place_of_retailer(retailer_id: &str) -> String {
    format!("retailer:{retailer_id}")
}

/// The place of a webhook's secrets.
#[must_use]
pub fn place_of_webhook(webhook_id: &str) -> String {
    format!("webhook:{webhook_id}")
}

/// Under which key a text is sealed.
#[must_use]
pub fn key_id_of(sealed: &str) -> Option<&str> {
    parts(sealed).map(|(id, _, _)| id)
}

fn parts(sealed: &str) -> Option<(&str, &str, &str)> {
    let mut parts = sealed.split(':');
    let (version, id, nonce, text) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    (version == VERSION && parts.next().is_none() && !id.is_empty() && id.len() <= MAX_ID).then_some((id, nonce, text))
}

fn cipher(key: &SealKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.key.expose_secret().into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn keys(text: &str) -> SealKeys {
        SealKeys::parse(text).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_only_and_not_when_changed() {
        let keys = keys(&SealKeys::generate());
        let sealed = keys.seal(&"hunter2".into(), "retailer:a").unwrap();
        assert!(sealed.starts_with(&format!("v1:{}:", keys.current().unwrap())) && !sealed.contains("hunter2"));
        assert_eq!(keys.open(&sealed, "retailer:a").unwrap().expose_secret(), "hunter2");
        assert!(matches!(keys.open(&sealed, "retailer:b"), Err(SealError::DoesNotOpen(_))), "swapped between rows");
        assert_ne!(keys.seal(&"hunter2".into(), "retailer:a").unwrap(), sealed, "a nonce is used once");
        let longest = sealed.rsplit(':').next().unwrap();
        for (at, byte) in longest.bytes().enumerate() {
            let other = if byte == b'A' { 'B' } else { 'A' };
            let changed = format!("{}{other}{}", &longest[..at], &longest[at + 1..]);
            assert!(keys.open(&sealed.replace(longest, &changed), "retailer:a").is_err(), "character {at}");
        }
        for broken in ["", "v1", "v2:k:a:b", "v1:k:a:b:c", "v1::a:b", "hunter2", &sealed[..sealed.len() - 1]] {
            assert!(keys.open(broken, "retailer:a").is_err(), "{broken}");
        }
    }

    #[test]
    fn a_rotated_key_opens_and_does_not_seal() {
        let (old, new) = (SealKeys::generate(), SealKeys::generate());
        let sealed = keys(&old).seal(&"s".into(), "p").unwrap();
        let both = keys(&format!("{new}, {old}"));
        assert_eq!(both.open(&sealed, "p").unwrap().expose_secret(), "s");
        assert_eq!(key_id_of(&both.seal(&"s".into(), "p").unwrap()), both.current());
        let gone = keys(&new).open(&sealed, "p").unwrap_err();
        assert!(gone.to_string().contains(key_id_of(&sealed).unwrap()), "{gone}");
        assert_eq!(SealKeys::default().seal(&"s".into(), "p"), Err(SealError::NoKey));
    }

    #[test]
    fn bad_keys_are_named_and_never_shown() {
        let secret = "c2VjcmV0LXNlY3JldA==";
        let cases = [("nokey", "entry 1 is not ID:KEY"), ("a b:x", "the id of entry 1"), ("k1:***", "\"k1\" is not base64")];
        for (text, said) in cases {
            assert!(SealKeys::parse(text).unwrap_err().contains(said), "{text}");
        }
        let short = SealKeys::parse(&format!("k1:{secret}")).unwrap_err();
        assert!(short.contains("has 13 bytes") && !short.contains(secret), "{short}");
        let one = SealKeys::generate();
        assert!(SealKeys::parse(&format!("{one},{one}")).unwrap_err().contains("twice"));
        let shown = format!("{:?}", keys(&one));
        assert!(!shown.contains(one.split_once(':').unwrap().1), "{shown}");
    }
}
