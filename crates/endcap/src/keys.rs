//! `endcap keys`: API keys made by hand, for the first administrator and for machines.

use anyhow::{Result, bail};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use clap::{Args, Subcommand};
use domain::role::Role;
use domain::scope::Scope;
use rand::Rng as _;
use storage::api_keys::{self, NewApiKey};
use storage::connection::{Access, Connection};

/// Arguments of `keys`.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a master key for ENDCAP_SEAL_KEYS
    GenerateSealKey,
    /// Seal all stored secrets anew with the first key of ENDCAP_SEAL_KEYS; safe to interrupt and to repeat
    Rotate {
        /// Where (default: DATABASE_URL)
        #[arg(long, value_name = "URL")]
        database_url: Option<String>,
    },
    /// Make an API key; it is shown once
    Create {
        /// platform_admin, tenant_admin, analyst, expert, rater or service
        #[arg(long)]
        role: Role,
        /// The tenant; needed for tenant_admin and analyst
        #[arg(long)]
        tenant: Option<String>,
        /// What it is for
        #[arg(long, default_value = "made on the command line")]
        name: String,
        /// Days until it stops working (default: never)
        #[arg(long, value_name = "DAYS", conflicts_with = "expires")]
        expires_in_days: Option<u32>,
        /// When it stops working, such as 2027-01-31 or 2027-01-31T12:00:00Z (default: never)
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        /// Narrow it to a scope, such as campaigns:read; may be given several times (default: all that the role may)
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// Where (default: DATABASE_URL)
        #[arg(long, value_name = "URL")]
        database_url: Option<String>,
    },
}

/// A day (its beginning in UTC) or an instant.
fn read_time(text: &str) -> Result<DateTime<Utc>> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(day.and_time(NaiveTime::MIN).and_utc());
    }
    match DateTime::parse_from_rfc3339(text) {
        Ok(at) => Ok(at.with_timezone(&Utc)),
        Err(_) => bail!("--expires {text:?} is neither a day (2027-01-31) nor a time (2027-01-31T12:00:00Z)"),
    }
}

/// Does what was asked.
pub fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.action {
        Action::GenerateSealKey => crate::sealing::generate(),
        Action::Rotate { database_url } => crate::sealing::rotate(database_url.as_deref()),
        Action::Create { role, tenant, name, expires_in_days, expires, scopes, database_url } => {
            let expiry = Expiry { text: expires.as_deref(), days: *expires_in_days };
            create(*role, tenant.as_ref(), name, &expiry, scopes, database_url.as_deref())
        }
    }
}

/// When a key ends: as written, or in days.
struct Expiry<'a> {
    text: Option<&'a str>,
    days: Option<u32>,
}

/// Makes the key and prints it.
fn create(
    role: Role,
    tenant: Option<&String>,
    name: &str,
    expiry: &Expiry<'_>,
    scopes: &[String],
    database_url: Option<&str>,
) -> Result<()> {
    match (role, tenant) {
        (Role::TenantAdmin | Role::Analyst, None) => bail!("a key of role {role} belongs to a tenant: add --tenant"),
        (Role::PlatformAdmin | Role::Rater | Role::Expert, Some(_)) => {
            bail!("a key of role {role} belongs to no tenant: leave --tenant out")
        }
        _ => {}
    }
    if let Some(tenant) = tenant {
        domain::id::check("--tenant", tenant)?;
    }
    let scopes = web::scopes::check(scopes, &[])?;
    let now = domain::time::cut(Utc::now());
    let expires_at = match (expiry.text, expiry.days) {
        (Some(text), _) => Some(read_time(text)?),
        (None, days) => days.map(|days| now + TimeDelta::days(i64::from(days))),
    };
    if expires_at.is_some_and(|at| at <= now) {
        bail!("--expires lies in the past");
    }
    let url = crate::database::resolve_url(database_url)?;
    let mut conn = Connection::open(&url, Access::Write)?;
    storage::migrate::require_current(&mut conn)?;
    let mut bytes = [0_u8; 24];
    rand::rng().fill(&mut bytes);
    let secret: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let key = format!("ek_{secret}");
    let new = NewApiKey {
        name: name.to_owned(),
        key_hash: web::access::hash_key(&key),
        key_prefix: key.chars().take(9).collect(),
        role: role.to_string(),
        tenant_id: tenant.cloned(),
        scopes,
        expires_at,
    };
    let stored = storage::store::transaction(&mut conn, |conn| api_keys::insert(conn, &Scope::system("command-line"), &new, now))?;
    println!("{key}");
    eprintln!("{} made; this is the only time the key is shown. Send it as `apikey: KEY`.", stored.key_id);
    Ok(())
}
