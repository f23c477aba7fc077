//! Links that open one file for anybody until they expire: an HMAC over bucket, path, tenant and end, under a key that only we have.

use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use web::problem::Problem;

/// What the key is for, so that it opens nothing else that the same secret signs.
const PURPOSE: &[u8] = b"endcap artifact links, version 1";

/// A link.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The path in it.
    pub path: &'a str,
    /// Whose file it is.
    pub tenant: &'a str,
    /// When it ends, in seconds since 1970.
    pub expires: i64,
}

/// Makes and checks links.
#[derive(Clone)]
pub struct Links {
    key: Hmac<Sha256>,
}

impl Links {
    /// Under a key made from this secret.
    #[must_use]
    pub fn new(secret: &SecretString) -> Self {
        let derived = keyed(secret.expose_secret().as_bytes()).chain_update(PURPOSE).finalize().into_bytes();
        Self { key: keyed(&derived) }
    }

    fn mac(&self, link: &Link<'_>) -> Hmac<Sha256> {
        // No part holds a line feed: each was checked when the file was stored, and here none can move into another.
        let parts = [link.bucket, link.path, link.tenant].map(|part| part.replace('\n', "\\n"));
        self.key.clone().chain_update(format!("{}\n{}\n{}\n{}", parts[0], parts[1], parts[2], link.expires))
    }

    /// The local address of a link.
    #[must_use]
    pub fn address(&self, link: &Link<'_>) -> String {
        let signature = hexadecimal(&self.mac(link).finalize().into_bytes());
        let tenant = link.tenant.replace('@', "%40");
        format!("/v1/artifacts/{}/{}?tenant_id={tenant}&expires={}&signature={signature}", link.bucket, link.path, link.expires)
    }

    /// Lets a link pass that we made and whose end has not come. The comparison takes the same time wherever the difference is.
    ///
    /// # Errors
    /// 403 `link_invalid`, 403 `link_expired`.
    pub fn verify(&self, link: &Link<'_>, signature: &str, now: DateTime<Utc>) -> Result<(), Problem> {
        let is_ours = from_hexadecimal(signature).is_some_and(|bytes| self.mac(link).verify_slice(&bytes).is_ok());
        if !is_ours {
            return Err(Problem::new("link_invalid", "The link was not made here or was changed; ask whoever sent it for another."));
        }
        if now.timestamp() >= link.expires {
            let end = DateTime::from_timestamp(link.expires, 0).map(|end| end.to_rfc3339()).unwrap_or_default();
            return Err(Problem::new("link_expired", format!("The link ended at {end}; ask whoever sent it for another.")));
        }
        Ok(())
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// Bytes in hexadecimal digits.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Bytes from hexadecimal digits; `None` when they are none.
#[must_use]
pub fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LINK: Link<'static> = Link { bucket: "exports", path: "a/b.csv", tenant: "tnt-a", expires: 1_000 };

    fn code(link: Link<'_>, signature: &str, now: i64) -> Option<&'static str> {
        let links = Links::new(&"a secret of at least thirty-two bytes".into());
        links.verify(&link, signature, DateTime::from_timestamp(now, 0).unwrap()).err().map(|problem| problem.code())
    }

    #[test]
    fn a_link_opens_what_it_names_until_it_ends() {
        let address = Links::new(&"a secret of at least thirty-two bytes".into()).address(&LINK);
        let signature = address.split_once("signature=").unwrap().1;
        assert_eq!(code(LINK, signature, 999), None);
        assert_eq!(code(LINK, signature, 1_000), Some("link_expired"));
        for other in [
            Link { bucket: "training-data", ..LINK },
            Link { path: "a/c.csv", ..LINK },
            Link { tenant: "tnt-b", ..LINK },
            Link { expires: 9_000, ..LINK },
            Link { path: "a/b.csv\ntnt-a", ..LINK },
        ] {
            assert_eq!(code(other, signature, 999), Some("link_invalid"), "{other:?}");
        }
        for wrong in ["", "zz", &signature[2..], &format!("{signature}00"), &signature.replacen(|_: char| true, "g", 1)] {
            assert_eq!(code(LINK, wrong, 999), Some("link_invalid"), "{wrong}");
        }
        let others = Links::new(&"another secret of thirty-two bytes!!".into()).address(&LINK);
        assert_eq!(code(LINK, others.split_once("signature=").unwrap().1, 999), Some("link_invalid"));
    }
}
