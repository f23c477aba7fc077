//! `endcap accounts`: people who sign in, made and changed by whoever runs the system. Sign-up makes raters only, and is closed in production.

use std::io::{BufRead as _, IsTerminal as _};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use domain::role::Role;
use domain::scope::Scope;
use rand::Rng as _;
use serde_json::json;
use storage::accounts::{self, Account, Duties, NewAccount};
use storage::api_keys;
use storage::audit;
use storage::connection::Connection;
use storage::page::Page;
use storage::raters::{self, NewRater};
use storage::store::transaction;

/// Letters of passwords that we make: none that is easily taken for another.
const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// Characters of passwords that we make: 116 bits.
const PASSWORD_LENGTH: usize = 20;

/// Accounts read at once.
const PAGE: i64 = 200;

/// Arguments of `accounts`.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// Where (default: DATABASE_URL)
    #[arg(long, value_name = "URL", global = true)]
    database_url: Option<String>,
}

#[derive(Subcommand)]
enum Action {
    /// Make an account; its password is made and shown once, unless you give one
    Create {
        /// E-mail address to sign in with
        #[arg(long)]
        email: String,
        /// platform_admin, tenant_admin, analyst, expert or rater
        #[arg(long)]
        role: Role,
        /// The tenant; needed for tenant_admin and analyst
        #[arg(long)]
        tenant: Option<String>,
        /// Name that others see (default: what stands before the @)
        #[arg(long)]
        name: Option<String>,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// List accounts, oldest first
    List,
    /// Give an account a new password and end its sessions
    SetPassword {
        /// E-mail address
        #[arg(long)]
        email: String,
        /// Read the password from the first line of standard input (default: one is made and shown once)
        #[arg(long)]
        password_stdin: bool,
    },
    /// Give an account another role and end its sessions
    SetRole {
        /// E-mail address
        #[arg(long)]
        email: String,
        /// platform_admin, tenant_admin, analyst, expert or rater
        #[arg(long)]
        role: Role,
        /// The tenant; needed for tenant_admin and analyst
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Let an account sign in no more, and end its sessions
    Disable {
        /// E-mail address
        #[arg(long)]
        email: String,
    },
    /// Let a disabled account sign in again, or confirm one that waits
    Enable {
        /// E-mail address
        #[arg(long)]
        email: String,
    },
}

/// Does what was asked.
pub fn run(arguments: &Arguments) -> Result<()> {
    let url = crate::database::resolve_url(arguments.database_url.as_deref())?;
    let mut conn = crate::database::open_existing(&url)?;
    storage::migrate::require_current(&mut conn)?;
    match &arguments.action {
        Action::Create { email, role, tenant, name, password_stdin } => {
            create(&mut conn, email, *role, tenant.as_deref(), name.as_deref(), *password_stdin)
        }
        Action::List => list(&mut conn),
        Action::SetPassword { email, password_stdin } => set_password(&mut conn, email, *password_stdin),
        Action::SetRole { email, role, tenant } => {
            check_role(*role, tenant.as_deref())?;
            let before = existing(&mut conn, email)?;
            let duties = Duties { role: role.to_string(), tenant_id: tenant.clone(), is_active: before.is_active };
            change(&mut conn, &before, &duties, "account.role_changed")?;
            eprintln!("{email} is {role} now; it signs in again to work as such");
            Ok(())
        }
        Action::Disable { email } => switch(&mut conn, email, false),
        Action::Enable { email } => switch(&mut conn, email, true),
    }
}

fn now() -> DateTime<Utc> {
    domain::time::cut(Utc::now())
}

fn by_operator() -> Scope {
    Scope::system("command-line")
}

fn check_role(role: Role, tenant: Option<&str>) -> Result<()> {
    match (role, tenant) {
        (Role::Service, _) => bail!("services sign in with API keys: endcap keys create --role service"),
        (Role::TenantAdmin | Role::Analyst, None) => bail!("an account of role {role} belongs to a tenant: add --tenant"),
        (Role::PlatformAdmin | Role::Rater | Role::Expert, Some(_)) => {
            bail!("an account of role {role} belongs to no tenant: leave --tenant out")
        }
        (_, Some(tenant)) => Ok(domain::id::check("--tenant", tenant)?),
        _ => Ok(()),
    }
}

/// The password from standard input, or a new one; and whether it was made.
fn password(from_stdin: bool) -> Result<(String, bool)> {
    if !from_stdin {
        let mut random = rand::rng();
        let letter = |_| char::from(LETTERS.get(random.random_range(0..LETTERS.len())).copied().unwrap_or(b'x'));
        return Ok(((0..PASSWORD_LENGTH).map(letter).collect(), true));
    }
    if std::io::stdin().is_terminal() {
        eprintln!("Password (it is shown as you type):");
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("no password came on standard input")?;
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    if let Some(weakness) = web::password::weakness(&password) {
        bail!("{weakness}");
    }
    Ok((password, false))
}

fn show(password: &str, is_made: bool) {
    if is_made {
        println!("{password}");
        eprintln!("This is the only time the password is shown; it can be changed after signing in.");
    }
}

fn existing(conn: &mut Connection, email: &str) -> Result<Account> {
    accounts::find_by_email(conn, email)?.with_context(|| format!("there is no account {email}; endcap accounts list shows those that are"))
}

fn create(conn: &mut Connection, email: &str, role: Role, tenant: Option<&str>, name: Option<&str>, password_stdin: bool) -> Result<()> {
    check_role(role, tenant)?;
    let email = domain::email::check(email)?;
    let email = email.as_str();
    let name = name.or_else(|| email.split('@').next()).unwrap_or(email).trim().to_owned();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        bail!("--name must have 1 to 100 printable characters");
    }
    if accounts::find_by_email(conn, email)?.is_some() {
        bail!("an account {email} exists; change it with set-role or set-password");
    }
    let (password, is_made) = password(password_stdin)?;
    let password_hash = web::password::hash(&password)?;
    let account = transaction(conn, |tx| {
        let rater = NewRater { name: name.clone(), email: Some(email.to_lowercase()), is_simulated: false, is_calibrated: false };
        let rater = if role.may_judge() { Some(raters::insert(tx, &rater, now())?) } else { None };
        let new = NewAccount {
            email: email.to_owned(),
            password_hash: Some(password_hash.clone()),
            role: role.to_string(),
            tenant_id: tenant.map(str::to_owned),
            rater_id: rater.map(|rater| rater.rater_id),
            display_name: name.clone(),
            user_metadata: json!({}),
        };
        let account = accounts::insert(tx, &new, now())?;
        note(tx, &account, "account.created", json!({ "role": account.role, "tenant_id": account.tenant_id }))?;
        Ok(account)
    })?;
    show(&password, is_made);
    eprintln!("{} made: {email} signs in at the rater app as {role}", account.account_id);
    Ok(())
}

fn list(conn: &mut Connection) -> Result<()> {
    let mut after = None;
    crate::say(&format!("{:<40} {:<15} {:<24} {:<9} last sign-in", "e-mail", "role", "tenant", "state"))?;
    loop {
        let page = accounts::list(conn, &Page { after, limit: PAGE })?;
        for one in &page.rows {
            let state = match one.is_active {
                true => "active",
                false if one.waits() => "waiting",
                false => "disabled",
            };
            let seen = one.last_sign_in_at.map_or_else(|| "never".to_owned(), |at| at.0.format("%Y-%m-%d %H:%M UTC").to_string());
            crate::say(&format!("{:<40} {:<15} {:<24} {state:<9} {seen}", one.email, one.role, one.tenant_id.as_deref().unwrap_or("-")))?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

fn set_password(conn: &mut Connection, email: &str, password_stdin: bool) -> Result<()> {
    let account = existing(conn, email)?;
    let (password, is_made) = password(password_stdin)?;
    let patch = accounts::AccountPatch { password_hash: Some(web::password::hash(&password)?), ..Default::default() };
    transaction(conn, |tx| {
        accounts::update(tx, &account.account_id, &patch, now())?;
        accounts::revoke_all_sessions(tx, &account.account_id, None, now())?;
        note(tx, &account, "account.password_set", json!({}))
    })?;
    show(&password, is_made);
    eprintln!("{email} has a new password; its sessions have ended");
    Ok(())
}

fn switch(conn: &mut Connection, email: &str, is_active: bool) -> Result<()> {
    let before = existing(conn, email)?;
    if is_active && before.waits() {
        return confirm(conn, &before);
    }
    let duties = Duties { role: before.role.clone(), tenant_id: before.tenant_id.clone(), is_active };
    change(conn, &before, &duties, if is_active { "account.enabled" } else { "account.disabled" })?;
    eprintln!(
        "{email} {}",
        if is_active {
            "may sign in again"
        } else {
            "may not sign in any more; its sockets close, and its access tokens end within their life"
        }
    );
    Ok(())
}

/// As the page `/accounts` does it.
fn confirm(conn: &mut Connection, waiting: &Account) -> Result<()> {
    transaction(conn, |tx| {
        let account = accounts::confirm(tx, &waiting.account_id, now())?;
        note(tx, &account, "account.confirmed", json!({ "email": account.email }))
    })?;
    eprintln!("{} is confirmed and may sign in", waiting.email);
    Ok(())
}

fn change(conn: &mut Connection, before: &Account, duties: &Duties, action: &'static str) -> Result<()> {
    let role: Role = duties.role.parse().with_context(|| format!("{} is not a role", duties.role))?;
    transaction(conn, |tx| {
        if role.may_judge() && before.rater_id.is_none() {
            let rater = NewRater {
                name: before.display_name.clone(),
                email: Some(before.email.clone()),
                is_simulated: before.is_simulated(),
                is_calibrated: false,
            };
            let rater = raters::insert(tx, &rater, now())?;
            accounts::give_rater(tx, &before.account_id, &rater.rater_id, now())?;
        }
        accounts::set_duties(tx, &before.account_id, duties, now())?;
        accounts::revoke_all_sessions(tx, &before.account_id, None, now())?;
        // Keys outlive sessions: those that this person made, and those that these made, go with what they may do.
        let keys = api_keys::revoke_made_by(tx, &by_operator(), &before.account_id, now())?;
        let detail = json!({
            "keys_revoked": keys,
            "role": { "before": before.role, "after": duties.role }, "tenant_id": { "before": before.tenant_id, "after": duties.tenant_id },
            "is_active": { "before": before.is_active, "after": duties.is_active },
        });
        note(tx, before, action, detail)
    })?;
    Ok(())
}

fn note(
    tx: &mut Connection,
    account: &Account,
    action: &'static str,
    detail: serde_json::Value,
) -> Result<(), storage::error::StorageError> {
    let entry = audit::entry(account.tenant_id.as_deref(), action, format!("account:{}", account.account_id), detail);
    audit::append(tx, &by_operator(), &entry, now()).map(drop)
}
