//! Passwords: argon2id with a salt of its own for each, slow on purpose, so both calls run on a blocking thread.

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

/// Fewest characters of a new password.
pub const MIN_CHARACTERS: usize = 10;

/// Most bytes of a password that are looked at; longer ones are refused so that hashing stays bounded.
pub const MAX_BYTES: usize = 256;

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
