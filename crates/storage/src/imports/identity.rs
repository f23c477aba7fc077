//! What makes two imports the same.

use std::fmt::Write as _;
use std::io;

use domain::scope::Scope;
use sha2::{Digest, Sha256};

use super::{OnError, Request, rows};
use crate::error::StorageError;

/// What makes two imports the same: the bytes, in whose name they are loaded, and all that changes what becomes of them.
///
/// # Errors
/// [`StorageError::Invalid`] on `file` when it cannot be read.
pub fn content_hash(request: &Request, scope: &Scope) -> Result<String, StorageError> {
    let content = match &request.content_sha256 {
        Some(known) => known.clone(),
        None => {
            let mut hasher = Sha256::new();
            let mut file = rows::open(&request.path)?;
            io::copy(&mut file, &mut hasher).map_err(|error| rows::unreadable(&error.to_string(), 0, 0))?;
            hexadecimal(&hasher.finalize())
        }
    };
    let on_error = if request.on_error == OnError::Skip { "skip" } else { "abort" };
    let kept = if request.is_dry_run { "dry" } else { "kept" };
    let mapping = serde_json::to_string(&request.mapping).map_err(|error| StorageError::Corrupt(error.to_string()))?;
    let retailer = request.retailer_id.as_deref().unwrap_or_default();
    let parts = [
        scope.tenant().unwrap_or("*"),
        request.table.name(),
        request.format.name(),
        request.compression.name(),
        on_error,
        kept,
        retailer,
        &mapping,
        &content,
    ];
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part.as_bytes());
    }
    Ok(hexadecimal(&hasher.finalize()))
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
