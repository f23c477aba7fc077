//! Passwords: argon2id with a salt of its own for each, slow on purpose, so both calls run on a blocking thread.

use std::collections::BTreeSet;

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

/// Fewest characters of a new password.
pub const MIN_CHARACTERS: usize = 10;

/// Most bytes of a password that are looked at; longer ones are refused so that hashing stays bounded.
pub const MAX_BYTES: usize = 256;

/// The most used passwords of public lists that are long enough, in lower case; others than these are told by their shape.
const COMMON: [&str; 36] = [
    "password12",
    "password123",
    "password1234",
    "passw0rd123",
    "p@ssword123",
    "p@ssw0rd123",
    "mypassword",
    "mypassword1",
    "qwertyuiop",
    "qwerty12345",
    "qwerty123456",
    "1q2w3e4r5t",
    "1qaz2wsx3edc",
    "q1w2e3r4t5",
    "asdfghjkl1",
    "1234qwerasdf",
    "abcd123456",
    "abc1234567",
    "a123456789",
    "iloveyou12",
    "iloveyou123",
    "letmein123",
    "welcome123",
    "welcome1234",
    "changeme123",
    "administrator",
    "admin12345",
    "football123",
    "baseball123",
    "superman123",
    "princess123",
    "sunshine123",
    "trustno1234",
    "michael123",
    "charlie123",
    "zaq12wsxcde",
];

/// What is wrong with a new password, in a sentence; `None` for a good one. Length counts, no sorts of characters are asked for, and what
/// everybody takes is refused (NIST SP 800-63B, section 5.1.1.2).
#[must_use]
pub fn weakness(password: &str) -> Option<String> {
    if password.chars().count() < MIN_CHARACTERS {
        return Some(format!("Password should be at least {MIN_CHARACTERS} characters"));
    }
    if password.len() > MAX_BYTES {
        return Some(format!("Password should be at most {MAX_BYTES} bytes"));
    }
    if password.contains('\0') {
        return Some("Password should not hold the character U+0000".to_owned());
    }
    let distinct: BTreeSet<char> = password.chars().collect();
    if distinct.len() < 5 || password.chars().all(|sign| sign.is_ascii_digit()) {
        return Some("Password is easy to guess: use more different characters, and not digits only".to_owned());
    }
    if COMMON.contains(&password.to_lowercase().trim_end_matches(['!', '.'])) {
        return Some("Password is easy to guess: many people use it; choose one of your own".to_owned());
    }
    None
}

/// Why a password could not be hashed.
#[derive(Debug, thiserror::Error)]
#[error("the password could not be hashed")]
pub struct HashError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Hashes a password with the parameters that OWASP's password storage sheet names first for argon2id
/// (19 MiB, two passes, one lane): `$argon2id$v=19$…`.
///
/// # Errors
/// [`HashError`] when the system gives no random salt.
pub fn hash(password: &str) -> Result<String, HashError> {
    let salt = SaltString::generate(&mut OsRng);
    let hashed = hasher().hash_password(password.as_bytes(), &salt).map_err(|e| HashError(e.to_string().into()))?;
    Ok(hashed.to_string())
}

/// Whether the password is the one that was hashed. Without a hash it works as long and says no, so that the time taken
/// does not tell whether an account exists.
#[must_use]
pub fn verify(password: &str, hashed: Option<&str>) -> bool {
    if password.len() > MAX_BYTES {
        return false;
    }
    let parsed = hashed.and_then(|text| PasswordHash::new(text).ok());
    match parsed {
        Some(parsed) => hasher().verify_password(password.as_bytes(), &parsed).is_ok(),
        None => {
            // The result does not matter; the work does.
            let _ = hash(password);
            false
        }
    }
}

fn hasher() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_everybody_takes_is_refused_and_a_phrase_is_not() {
        for weak in ["short", "1234567890", "aaaaaaaaaabbbb", "Password123", "password123!", "QWERTYUIOP", &"xyzuvw".repeat(50)] {
            assert!(weakness(weak).is_some(), "{weak}");
        }
        for good in ["correct horse battery", "Sommer-in-Lübeck", "admin-of-the-demo"] {
            assert_eq!(weakness(good), None, "{good}");
        }
        assert!(COMMON.iter().all(|one| one.chars().count() >= MIN_CHARACTERS && *one == one.to_lowercase()), "others are never compared");
    }

    #[test]
    fn only_the_right_password_opens() {
        let hashed = hash("correct horse battery").unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hashed}");
        assert!(verify("correct horse battery", Some(&hashed)));
        assert!(!verify("correct horse batterz", Some(&hashed)));
        assert!(!verify("correct horse battery", None));
        assert!(!verify("correct horse battery", Some("not a hash")));
        assert!(!verify(&"x".repeat(MAX_BYTES + 1), Some(&hashed)));
        assert_ne!(hash("same").unwrap(), hash("same").unwrap(), "salted");
    }
}
