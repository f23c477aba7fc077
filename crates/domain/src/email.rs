//! E-mail addresses of accounts.

use crate::invalid::Invalid;

/// Longest address, in bytes (RFC 5321, section 4.5.3.1.3, less the angle brackets).
pub const MAX_BYTES: usize = 254;

/// The address as it is stored: trimmed, in lower case. Whether somebody reads it only a message to it could tell.
///
/// # Errors
/// [`Invalid`] on `email` for what is no address.
pub fn check(text: &str) -> Result<String, Invalid> {
    let email = text.trim().to_lowercase();
    let has_parts = email.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && !host.contains('@') && host.split('.').count() > 1 && host.split('.').all(|part| !part.is_empty())
    });
    let is_plain = !email.contains(|c: char| c.is_whitespace() || c.is_control() || is_unseen(c));
    if has_parts && is_plain && email.len() <= MAX_BYTES {
        return Ok(email);
    }
    Err(Invalid::one("email", format!("{text:?} is not an e-mail address")))
}

/// Signs that show nothing or turn the direction of writing: with them an address looks like another one (Unicode TR 36).
fn is_unseen(sign: char) -> bool {
    matches!(sign, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        assert_eq!(check(" Ada@Example.COM ").ok().as_deref(), Some("ada@example.com"));
        for text in
            ["", "ada", "ada@", "@example.com", "ada@example", "ada@example.", "ada@.com", "a@b@c.de", "a da@example.com", "a\u{7}@b.de"]
        {
            assert!(check(text).is_err(), "{text:?}");
        }
        for unseen in ["ad\u{200b}a@example.com", "\u{202e}ada@example.com", "ada@exam\u{2066}ple.com", "ada@example.com\u{feff}"] {
            assert!(check(unseen).is_err(), "{unseen:?}");
        }
        assert!(check("jürgen@example.com").is_ok());
        assert!(check(&format!("{}@example.com", "a".repeat(MAX_BYTES))).is_err());
    }
}
