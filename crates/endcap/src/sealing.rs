//! `endcap seal`, `endcap keys generate-seal-key`, `endcap keys rotate`: secrets at rest.

use anyhow::{Context, Result, bail};
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use storage::connection::{Access, Connection};
use storage::retailers::{self, SealedKey};
use storage::store::transaction;
use storage::webhooks::{self, Webhook};
use web::sealing::{SEALED_PREFIX, SealError, SealKeys, key_id_of, place_of_retailer, place_of_setting, place_of_webhook};
use web::settings::{KEYS, Settings};

/// Rows in one transaction.
const BATCH: i64 = 100;
/// Longest secret read from standard input, in bytes.
const MAX_SECRET_BYTES: u64 = 65_536;

/// Arguments of `seal`.
#[derive(Args)]
pub struct Arguments {
    /// The setting that it is for: a sealed text opens in its own place only
    #[arg(long, default_value = "DATABASE_URL", value_name = "KEY")]
    name: String,
}

/// Reads a secret from standard input and prints it sealed.
pub fn seal(arguments: &Arguments) -> Result<()> {
    use std::io::Read as _;
    let name = arguments.name.to_uppercase();
    if !KEYS.iter().any(|key| key.name == name && key.secret && key.name != "ENDCAP_SEAL_KEYS") {
        let known: Vec<&str> = KEYS.iter().filter(|key| key.secret && key.name != "ENDCAP_SEAL_KEYS").map(|key| key.name).collect();
        bail!("--name {name} is no secret setting; one of: {}", known.join(", "));
    }
    let keys = Settings::load()?.seal_keys;
    let mut text = String::new();
    std::io::stdin().take(MAX_SECRET_BYTES + 1).read_to_string(&mut text).context("cannot read standard input")?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() || secret.len() as u64 > MAX_SECRET_BYTES {
        bail!("give the secret on standard input: 1 to {MAX_SECRET_BYTES} bytes");
    }
    let sealed = keys.seal(&SecretString::from(secret), &place_of_setting(&name))?;
    crate::say(&format!("{SEALED_PREFIX}{sealed}"))
}

/// Prints a new master key.
pub fn generate() -> Result<()> {
    crate::say(&SealKeys::generate())?;
    eprintln!("Put it first in ENDCAP_SEAL_KEYS (old keys after a comma), then run: endcap keys rotate");
    Ok(())
}

/// What a rotation did.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rotated {
    resealed: usize,
    current: usize,
    changed_meanwhile: usize,
    failed: Vec<String>,
}

/// Seals everything anew with the current key, in batches that each are all or nothing; safe to interrupt and to repeat.
pub fn rotate(database_url: Option<&str>) -> Result<()> {
    let keys = Settings::load()?.seal_keys;
    let current = keys.current().context("ENDCAP_SEAL_KEYS holds no key")?.to_owned();
    let url = crate::database::resolve_url(database_url)?;
    let mut conn = Connection::open(&url, Access::Write)?;
    storage::migrate::require_current(&mut conn)?;
    let all = [
        ("retailer API keys", rotate_retailers(&mut conn, &keys, &current)?),
        ("webhook secrets", rotate_webhooks(&mut conn, &keys, &current)?),
    ];
    let mut n_failed = 0;
    for (what, Rotated { resealed, current: kept, changed_meanwhile, failed }) in all {
        println!(
            "{what}: {resealed} sealed anew with {current}, {kept} were so already, {changed_meanwhile} changed meanwhile, {} failed",
            failed.len()
        );
        for line in &failed {
            eprintln!("  {line}");
        }
        n_failed += failed.len();
    }
    if n_failed == 0 { Ok(()) } else { bail!("{n_failed} keys stay under their old seal; keep the old seal keys until they open") }
}

fn rotate_retailers(conn: &mut Connection, keys: &SealKeys, current: &str) -> Result<Rotated> {
    let mut done = Rotated::default();
    let mut after = 0;
    loop {
        let batch = retailers::sealed_keys_after(conn, after, BATCH)?;
        let Some(last) = batch.last() else { return Ok(done) };
        after = last.id;
        let mut ready = Vec::new();
        for row in batch {
            let sealed = row.api_key_encrypted.as_deref().unwrap_or_default();
            if key_id_of(sealed) == Some(current) {
                done.current += 1;
                continue;
            }
            match anew(keys, sealed, &place_of_retailer(&row.retailer_id)) {
                Ok(anew) => ready.push((row, anew)),
                Err(error) => done.failed.push(format!("retailer {}: {error}", row.retailer_id)),
            }
        }
        let n = ready.len();
        let put: usize = transaction(conn, |conn| {
            ready.iter().try_fold(0, |put, (row, anew): &(SealedKey, String)| Ok(put + usize::from(retailers::reseal(conn, row, anew)?)))
        })?;
        done.resealed += put;
        done.changed_meanwhile += n - put;
    }
}

/// A webhook's present secret and the one before it, together.
fn rotate_webhooks(conn: &mut Connection, keys: &SealKeys, current: &str) -> Result<Rotated> {
    let mut done = Rotated::default();
    let mut after = 0;
    loop {
        let batch = webhooks::sealed_after(conn, after, BATCH)?;
        let Some(last) = batch.last() else { return Ok(done) };
        after = last.id;
        let mut ready = Vec::new();
        for row in batch {
            let sealed: Vec<&str> = std::iter::once(row.secret_sealed.as_str()).chain(row.previous_secret_sealed.as_deref()).collect();
            if sealed.iter().all(|sealed| key_id_of(sealed) == Some(current)) {
                done.current += 1;
                continue;
            }
            let place = place_of_webhook(&row.webhook_id);
            match sealed.iter().map(|sealed| anew(keys, sealed, &place)).collect::<Result<Vec<String>, SealError>>() {
                Ok(anew) => ready.push((row, anew)),
                Err(error) => done.failed.push(format!("webhook {}: {error}", row.webhook_id)),
            }
        }
        let n = ready.len();
        let put: usize = transaction(conn, |conn| {
            ready.iter().try_fold(0, |put, (row, anew): &(Webhook, Vec<String>)| {
                Ok(put + usize::from(webhooks::reseal(conn, row, &anew[0], anew.get(1).map(String::as_str))?))
            })
        })?;
        done.resealed += put;
        done.changed_meanwhile += n - put;
    }
}

fn anew(keys: &SealKeys, sealed: &str, place: &str) -> Result<String, SealError> {
    keys.open(sealed, place).and_then(|secret| keys.seal(&secret, place))
}

/// A database URL that may be sealed.
pub fn open_url(text: &str) -> Result<String> {
    if !text.starts_with(SEALED_PREFIX) {
        return Ok(text.to_owned());
    }
    let opened = Settings::load()?.seal_keys.open_setting("DATABASE_URL", text).context("--database-url is sealed and cannot be used")?;
    Ok(opened.expose_secret().to_owned())
}
