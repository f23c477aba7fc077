//! Accounts become users of the project. A user carries the account's id in `app_metadata` from the beginning, so that one that was made just before
//! a kill is found again and not made twice. Passwords stay here: each person sets a new one at the project.

use std::collections::HashMap;

use anyhow::Result;
use chrono::Utc;
use serde_json::{Map, Value, json};
use storage::accounts::{self, Account};
use storage::connection::Connection;
use supabase::auth::AuthUser;
use supabase::auth::admin::Arrival;
use supabase::project::Project;

use super::{Sync, Tally, bar};

/// Accounts read at once.
const BATCH: i64 = 500;

pub(super) async fn bring(project: &Project, conn: &mut Connection, sync: &Sync) -> Result<Tally> {
    let mut open = Vec::new();
    loop {
        let after = open.last().map_or(0, |account: &Account| account.id);
        let batch = accounts::unlinked(conn, after, BATCH)?;
        let is_last = batch.len() < usize::try_from(BATCH)?;
        open.extend(batch);
        if is_last {
            break;
        }
    }
    open.retain(|account| {
        sync.roles.iter().any(|role| role.as_ref() == account.role) && account.user_metadata.get("simulated") != Some(&json!(true))
    });
    let mut tally = Tally::default();
    if open.is_empty() {
        return Ok(tally);
    }
    let there = project.all_users().await?;
    let by_account: HashMap<&str, &AuthUser> =
        there.iter().filter_map(|user| Some((user.app_metadata.get("account_id")?.as_str()?, user))).collect();
    let by_email: HashMap<String, &AuthUser> = there.iter().filter_map(|user| Some((user.email.as_ref()?.to_lowercase(), user))).collect();
    let bar = bar(open.len(), "accounts");
    for account in &open {
        let found = by_account.get(account.account_id.as_str()).copied().or_else(|| by_email.get(&account.email).copied());
        let is_ours = found.is_some_and(|user| user.app_metadata.get("account_id") == Some(&json!(account.account_id)));
        if found.is_some() && !is_ours && !sync.link_existing {
            tally
                .left
                .push(format!("{}: the project has a user with this address, who may be somebody else (--link-existing)", account.email));
        } else if sync.dry_run {
            tally.done += 1;
        } else {
            let user_id = match found {
                Some(user) => project.set_app_metadata(&user.id, &told_of(account)).await?.id,
                None => make(project, account, sync).await?,
            };
            accounts::link_auth_user(conn, &account.account_id, &user_id, Utc::now())?;
            tally.done += 1;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(tally)
}

async fn make(project: &Project, account: &Account, sync: &Sync) -> Result<String> {
    let arrival = if sync.invite { Arrival::Invited } else { Arrival::Created };
    let said = Map::from_iter([("name".to_owned(), Value::String(account.display_name.clone()))]);
    Ok(project.bring_user(&account.email, arrival, &told_of(account), &said).await?.id)
}

/// What the rater app writes at a sign-in, too.
fn told_of(account: &Account) -> Map<String, Value> {
    let told =
        json!({"role": account.role, "tenant_id": account.tenant_id, "rater_id": account.rater_id, "account_id": account.account_id});
    told.as_object().cloned().unwrap_or_default()
}
