//! Accounts that strangers have made and that wait for an administrator, who confirms or refuses each on a page of its own: in a list whose rows
//! move up, a second tap would decide on somebody else.

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
use web::caller::{MaybePageCaller, PageCaller, PageRefusal};
use web::layout::{Layout, render};
use web::problem::Problem;
use web::settings::Signup;

use crate::state::State;

/// Accounts on one page.
const MOST: i64 = 50;

/// Which accounts are shown, and what was done before.
#[derive(Debug, Default, Deserialize)]
pub struct Shown {
    #[serde(default)]
    q: String,
    after: Option<i64>,
    done: Option<String>,
    account: Option<String>,
}

#[derive(Template)]
#[template(path = "accounts.html")]
struct AccountsPage {
    layout: Layout,
    rows: Vec<Row>,
    more: Option<String>,
    text: String,
    asks: bool,
    done: String,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    layout: Layout,
    row: Row,
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
pub async fn accounts(state: Data<State>, PageCaller(caller): PageCaller, query: Query<Shown>) -> Result<HttpResponse, PageRefusal> {
    caller.require(|role| role == Role::PlatformAdmin)?;
    let shown = query.into_inner();
    let (text, page) = (shown.q.clone(), Page { after: shown.after, ..Page::first(MOST) });
    let confirmed = shown.account.filter(|_| shown.done.as_deref() == Some("confirmed"));
    let read = move |conn: &mut Connection| {
        let confirmed = confirmed.map(|id| accounts::find(conn, &id)).transpose();
        Ok((accounts::list_waiting(conn, &text, &page)?, confirmed.ok().flatten()))
    };
    let (waiting, confirmed) = state.storage.read(read).await.map_err(Problem::from)?;
    let page = AccountsPage {
        layout: Layout::new("Accounts that wait", "rater-app/accounts", Some(&caller), &state.settings),
        more: waiting.next.map(|after| {
            format!(
                "/accounts?{}",
                form_urlencoded::Serializer::new(String::new())
                    .append_pair("q", &shown.q)
                    .append_pair("after", &after.to_string())
                    .finish()
            )
        }),
        rows: waiting.rows.into_iter().map(row).collect(),
        text: shown.q,
        asks: state.settings.sign_in.signup == Signup::Approval,
        done: match (shown.done.as_deref(), confirmed) {
            (Some("confirmed"), Some(account)) => format!("{} is confirmed and can sign in now.", account.email),
            (Some("confirmed"), None) => "The account is confirmed; its owner can sign in now.".to_owned(),
            (Some("refused"), _) => "The account is refused and deleted.".to_owned(),
            (Some("gone"), _) => "Somebody else has dealt with this account already.".to_owned(),
            _ => String::new(),
        },
    };
    Ok(render(&page)?)
}

/// One account that waits, to be decided.
///
/// # Errors
/// As [`accounts()`]. Whoever comes to an account that waits no more is sent to the list, which says so.
pub async fn account(state: Data<State>, PageCaller(caller): PageCaller, account_id: Path<String>) -> Result<HttpResponse, PageRefusal> {
    caller.require(|role| role == Role::PlatformAdmin)?;
    let account_id = account_id.into_inner();
    match state.storage.read(move |conn| accounts::find_waiting(conn, &account_id)).await {
        Ok(account) => {
            let layout = Layout::new("An account that waits", "rater-app/accounts", Some(&caller), &state.settings);
            Ok(render(&AccountPage { layout, row: row(account) })?)
        }
        Err(StorageError::NotFound { .. }) => Ok(see_other("/accounts?done=gone")),
        Err(error) => Err(Problem::from(error).into()),
    }
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
pub async fn confirm_account(state: Data<State>, caller: MaybePageCaller, account_id: Path<String>) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    let confirm = move |tx: &mut Connection, account_id: &str| accounts::confirm(tx, account_id, now).map(|account| account.email);
    decide(&state, caller, account_id.into_inner(), "account.confirmed", "confirmed", confirm).await
}

/// Deletes an account that waits.
///
/// # Errors
/// 403 for anybody but administrators of the platform, and for a form of another site.
pub async fn refuse_account(state: Data<State>, caller: MaybePageCaller, account_id: Path<String>) -> Result<HttpResponse, Problem> {
    let refuse = |tx: &mut Connection, account_id: &str| {
        let account = accounts::find_waiting(tx, account_id)?;
        accounts::refuse(tx, account_id)?;
        Ok(account.email)
    };
    decide(&state, caller, account_id.into_inner(), "account.refused", "refused", refuse).await
}

async fn decide(
    state: &State,
    MaybePageCaller(caller): MaybePageCaller,
    account_id: String,
    action: &'static str,
    word: &'static str,
    work: impl Fn(&mut Connection, &str) -> Result<String, StorageError> + Send + Sync + 'static,
) -> Result<HttpResponse, Problem> {
    let Some(caller) = caller else {
        // Whose session has ended meanwhile decides after signing in again.
        let back = form_urlencoded::byte_serialize(format!("/accounts/{account_id}").as_bytes()).collect::<String>();
        return Ok(see_other(&format!("/login?return_to={back}")));
    };
    caller.require(|role| role == Role::PlatformAdmin)?;
    let (scope, now, id) = (caller.scope(), state.clock.now(), account_id.clone());
    let decided = state
        .storage
        .transaction(move |tx| {
            let email = work(tx, &id)?;
            let entry = audit::entry(None, action, format!("account:{id}"), json!({ "email": email }));
            audit::append(tx, &scope, &entry, now).map(drop)
        })
        .await;
    match decided {
        Ok(()) if word == "confirmed" => Ok(see_other(&format!("/accounts?done={word}&account={account_id}"))),
        Ok(()) => Ok(see_other(&format!("/accounts?done={word}"))),
        Err(StorageError::NotFound { .. }) => Ok(see_other("/accounts?done=gone")),
        Err(error) => Err(error.into()),
    }
}

fn see_other(address: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, address)).finish()
}
