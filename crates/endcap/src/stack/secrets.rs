//! Secrets of a system on one machine: made once, kept in files that only their owner reads.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context, Result};
use rand::Rng as _;
use web::sealing::SealKeys;

/// Master keys have a form of their own.
const SEAL_KEYS: &str = "ENDCAP_SEAL_KEYS";

/// The configuration keys that point to the secrets, made in `folder` unless they are there or configured otherwise.
///
/// # Errors
/// When the folder cannot be written.
pub fn prepare(folder: &Path) -> Result<Vec<(String, String)>> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut variables = Vec::new();
    for (key, name) in [("ENDCAP_JWT_SECRET", "jwt-secret"), ("ENDCAP_SERVICE_SECRET", "service-secret"), (SEAL_KEYS, "seal-keys")] {
        if std::env::var_os(key).is_some() || std::env::var_os(format!("{key}_FILE")).is_some() {
            continue;
        }
        let path = folder.join(name);
        if !path.exists() {
            let text = if key == SEAL_KEYS { SealKeys::generate() } else { random() };
            write_new(&path, &text)?;
        }
        let path = path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?;
        variables.push((format!("{key}_FILE"), path.display().to_string()));
    }
    Ok(variables)
}

fn random() -> String {
    let mut bytes = [0_u8; 32];
    rand::rng().fill(&mut bytes);
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    Ok(())
}
