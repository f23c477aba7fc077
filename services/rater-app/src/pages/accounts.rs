//! Accounts that strangers have made and that wait for an administrator, who confirms or refuses them by plain forms.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path, Query};
use askama::Template;
use domain::role::Role;
use serde::Deserialize;
use serde_json::json;
use storage::accounts::{self, Account};
use storage::audit;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::page::Page;
use web::caller::{Caller, PageCaller, PageRefusal};
use web::layout::{Layout, render};
use web::problem::Problem;
use web::settings::Signup;

use crate::state::State;

/// Accounts on one page; the others come when these are dealt with.
const MOST: i64 = 100;

/// What was done before this page is shown.
#[derive(Debug, Default, Deserialize)]
pub struct Done {
    done: Option<String>,
}

#[derive(Template)]
#[template(path = "accounts.html")]
struct AccountsPage {
    layout: Layout,
    rows: Vec<Row>,
    has_more: bool,
    asks: bool,
    done: &'static str,
}

/// One account that waits.
struct Row {
    account_id: String,
    email: String,
    name: String,
    at: String,
    when: String,
}

/// The accounts that wait.
///
/// # Errors
/// Sends whoever is not signed in to `/login`; 403 for anybody but administrators of the platform.
pub async fn accounts(state: Data<State>, PageCaller(caller): PageCaller, query: Query<Done>) -> Result<HttpResponse, PageRefusal> {
    caller.require(|role| role == Role::PlatformAdmin)?;
    let layout = Layout::new("Accounts that wait", "rater-app/accounts", Some(&caller), &state.settings);
    let waiting = state.storage.read(|conn| accounts::list_waiting(conn, &Page::first(MOST))).await.map_err(Problem::from)?;
    let page = AccountsPage {
        layout,
        has_more: waiting.next.is_some(),
        rows: waiting.rows.into_iter().map(row).collect(),
        asks: state.settings.sign_in.signup == Signup::Approval,
        done: match query.done.as_deref() {
            Some("confirmed") => "The account is confirmed; its owner can sign in now.",
            Some("refused") => "The account is refused and deleted.",
            Some("gone") => "Somebody else has dealt with this account already.",
            _ => "",
        },
    };
    Ok(render(&page)?)
}

fn row(account: Account) -> Row {
    let at = account.created_at.0;
    Row {
        account_id: account.account_id,
        email: account.email,
        name: account.display_name,
        at: at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        when: at.format("%Y-%m-%d %H:%M").to_string(),
    }
}

/// Lets an account sign in.
///
/// # Errors
/// 403 for anybody but administrators of the platform, and for a form of another site.
pub async fn confirm_account(state: Data<State>, caller: Caller, account_id: Path<String>) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    let confirm = move |tx: &mut Connection, account_id: &str| accounts::confirm(tx, account_id, now).map(|account| account.email);
    decide(&state, caller, account_id.into_inner(), "account.confirmed", "confirmed", confirm).await
}

/// Deletes an account that waits.
///
/// # Errors
/// 403 for anybody but administrators of the platform, and for a form of another site.
pub async fn refuse_account(state: Data<State>, caller: Caller, account_id: Path<String>) -> Result<HttpResponse, Problem> {
    let refuse = |tx: &mut Connection, account_id: &str| {
        let account = accounts::find_waiting(tx, account_id)?;
        accounts::refuse(tx, account_id)?;
        Ok(account.email)
    };
    decide(&state, caller, account_id.into_inner(), "account.refused", "refused", refuse).await
}

async fn decide(
    state: &State,
    caller: Caller,
    account_id: String,
    action: &'static str,
    word: &'static str,
    work: impl Fn(&mut Connection, &str) -> Result<String, StorageError> + Send + Sync + 'static,
) -> Result<HttpResponse, Problem> {
    caller.require(|role| role == Role::PlatformAdmin)?;
    let (scope, now) = (caller.scope(), state.clock.now());
    let decided = state
        .storage
        .transaction(move |tx| {
            let email = work(tx, &account_id)?;
            let entry = audit::entry(None, action, format!("account:{account_id}"), json!({ "email": email }));
            audit::append(tx, &scope, &entry, now).map(drop)
        })
        .await;
    let done = match decided {
        Ok(()) => word,
        Err(StorageError::NotFound { .. }) => "gone",
        Err(error) => return Err(error.into()),
    };
    Ok(HttpResponse::SeeOther().insert_header((LOCATION, format!("/accounts?done={done}"))).finish())
}
