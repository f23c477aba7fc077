//! What is done about raters whose judgments look dishonest: actions, each of which can be reversed, and where each rater stands. Which
//! action is right is decided elsewhere; here they are kept.

pub mod evidence;
pub mod voiding;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde_json::{Value, json};

use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::page::{Page, Slice};
use crate::schema::{rater_actions as t, rater_profiles as profiles, rater_standings as s};
use crate::types::{Json, Timestamp};
use crate::{lock, on};

/// Who acts when no person does.
pub const SYSTEM: &str = "system";

/// Most actions of one rater that are read; the newest count.
const MOST_ACTIONS: i64 = 200;

/// A stored action.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, serde::Serialize)]
#[diesel(table_name = t)]
pub struct Action {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Public id.
    pub action_id: String,
    /// About whom.
    pub rater_id: String,
    /// `warn`, `more_gold`, `pause`, `void` or `lift`.
    pub kind: String,
    /// The signals that justify it, a list; empty when a person acted.
    pub signals: Json,
    /// Why, in words for the rater.
    pub reason: String,
    /// [`SYSTEM`], or the account.
    pub actor: String,
    /// Judgments that it took out of the count, less those given back.
    pub voided_judgments: i32,
    /// When.
    pub created_at: Timestamp,
    /// When all that follows from it, or from its reversal, was done; null while judgments are still being voided or restored.
    pub finished_at: Option<Timestamp>,
    /// When it was taken back.
    pub reversed_at: Option<Timestamp>,
    /// By whom.
    pub reversed_by: Option<String>,
    /// Why.
    pub reverse_reason: Option<String>,
}

/// An action to store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAction {
    /// About whom.
    pub rater_id: String,
    /// Kind word.
    pub kind: String,
    /// The signals that justify it, a list.
    pub signals: Value,
    /// Why.
    pub reason: String,
    /// [`SYSTEM`], or the account.
    pub actor: String,
    /// Whether nothing more follows from it.
    pub is_finished: bool,
}

/// Where a rater stands.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable)]
#[diesel(table_name = s)]
pub struct Standing {
    /// The step that holds.
    pub rung: String,
    /// Since when; null when there never was an action.
    pub since: Option<Timestamp>,
    /// How often the judgments have been looked at.
    pub looks: i32,
    /// Judgments that the rater had at the last look.
    pub looked_judgments: i32,
    /// The signals of the last look, a list.
    pub signals: Json,
    /// How much somebody should look at this rater; more is more.
    pub attention: f64,
    /// When the judgments were last looked at.
    pub looked_at: Option<Timestamp>,
}

impl Default for Standing {
    /// Of a rater who was never looked at.
    fn default() -> Self {
        Self {
            rung: "none".to_owned(),
            since: None,
            looks: 0,
            looked_judgments: 0,
            signals: Json(json!([])),
            attention: 0.0,
            looked_at: None,
        }
    }
}

/// What a step does to the work of a rater.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// The step that holds from now on.
    pub rung: String,
    /// How much more often golden items come than usual.
    pub golden_rate_factor: f64,
    /// Why the rater gets no work; `None` when there is work.
    pub paused_reason: Option<String>,
}

/// Stores an action.
///
/// # Errors
/// [`StorageError::Invalid`] (`rater_id`) for an unknown rater.
pub fn insert(conn: &mut Connection, new: &NewAction, now: DateTime<Utc>) -> Result<Action, StorageError> {
    let action_id = domain::id::new("act");
    let row = (
        t::action_id.eq(&action_id),
        t::rater_id.eq(&new.rater_id),
        t::kind.eq(&new.kind),
        t::signals.eq(Json(new.signals.clone())),
        t::reason.eq(&new.reason),
        t::actor.eq(&new.actor),
        t::voided_judgments.eq(0),
        t::created_at.eq(Timestamp(now)),
        t::finished_at.eq(new.is_finished.then_some(Timestamp(now))),
    );
    on!(conn, c => diesel::insert_into(t::table).values(row).execute(c))
        .on_missing_reference("rater_id", || format!("there is no rater {:?}", new.rater_id))?;
    find(conn, &action_id)
}

/// One action.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn find(conn: &mut Connection, action_id: &str) -> Result<Action, StorageError> {
    let found: Option<Action> =
        on!(conn, c => t::table.filter(t::action_id.eq(action_id)).select(Action::as_select()).first(c).optional())?;
    found.ok_or_else(|| StorageError::not_found("action", action_id))
}

/// One action, locked until the transaction ends.
///
/// # Errors
/// [`StorageError::NotFound`].
pub fn lock(conn: &mut Connection, action_id: &str) -> Result<Action, StorageError> {
    let found: Vec<Action> = lock!(conn, t::table.filter(t::action_id.eq(action_id)).select(Action::as_select()) => Action)?;
    found.into_iter().next().ok_or_else(|| StorageError::not_found("action", action_id))
}

/// The newest 200 actions about a rater, oldest first.
///
/// # Errors
/// As any query.
pub fn of_rater(conn: &mut Connection, rater_id: &str) -> Result<Vec<Action>, StorageError> {
    let mut found: Vec<Action> = on!(conn, c => t::table
        .filter(t::rater_id.eq(rater_id))
        .order(t::id.desc())
        .limit(MOST_ACTIONS)
        .select(Action::as_select())
        .load(c))?;
    found.reverse();
    Ok(found)
}

/// Actions, newest first.
///
/// # Errors
/// As any query.
pub fn list(conn: &mut Connection, rater_id: Option<&str>, page: &Page) -> Result<Slice<Action>, StorageError> {
    let rows: Vec<Action> = on!(conn, c => {
        let mut query = t::table.select(Action::as_select()).order(t::id.desc()).limit(page.fetch()).into_boxed();
        if let Some(rater_id) = rater_id {
            query = query.filter(t::rater_id.eq(rater_id));
        }
        if let Some(after) = page.after {
            query = query.filter(t::id.lt(after));
        }
        query.load(c)
    })?;
    Ok(Slice::cut(rows, page, |row| row.id))
}

/// Takes an action back. It must be locked by this transaction.
///
/// # Errors
/// As any query.
pub fn reverse(conn: &mut Connection, action: &Action, by: &str, reason: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let finished = (action.kind != "void").then_some(Timestamp(now));
    let changes = (
        t::reversed_at.eq(Some(Timestamp(now))),
        t::reversed_by.eq(Some(by)),
        t::reverse_reason.eq(Some(reason)),
        t::finished_at.eq(finished),
    );
    on!(conn, c => diesel::update(t::table.find(action.id)).set(changes).execute(c))?;
    Ok(())
}

/// Where a rater stands.
///
/// # Errors
/// As any query.
pub fn standing(conn: &mut Connection, rater_id: &str) -> Result<Standing, StorageError> {
    let found: Option<Standing> =
        on!(conn, c => s::table.filter(s::rater_id.eq(rater_id)).select(Standing::as_select()).first(c).optional())?;
    Ok(found.unwrap_or_default())
}

/// Writes what a look found. The rater must be locked by this transaction.
///
/// # Errors
/// As any query.
pub fn note_look(conn: &mut Connection, rater_id: &str, standing: &Standing, now: DateTime<Utc>) -> Result<(), StorageError> {
    let values = (
        s::rung.eq(&standing.rung),
        s::since.eq(standing.since),
        s::looks.eq(standing.looks),
        s::looked_judgments.eq(standing.looked_judgments),
        s::signals.eq(standing.signals.clone()),
        s::attention.eq(standing.attention),
        s::looked_at.eq(standing.looked_at),
        s::updated_at.eq(Timestamp(now)),
    );
    let own = s::table.filter(s::rater_id.eq(rater_id));
    if on!(conn, c => diesel::update(own).set(values.clone()).execute(c))? == 0 {
        let key = (s::rater_id.eq(rater_id), s::created_at.eq(Timestamp(now)));
        on!(conn, c => diesel::insert_into(s::table).values((key, values)).execute(c))?;
    }
    Ok(())
}

/// Makes a step hold for a rater. The rater must be locked by this transaction. Somebody who was set inactive for another reason stays so.
///
/// # Errors
/// As any query.
pub fn apply(conn: &mut Connection, rater_id: &str, effect: &Effect, now: DateTime<Utc>) -> Result<(), StorageError> {
    let rater = crate::raters::find(conn, rater_id)?;
    let before: Option<String> =
        on!(conn, c => profiles::table.filter(profiles::rater_id.eq(rater_id)).select(profiles::paused_reason).first(c))?;
    let is_active = effect.paused_reason.is_none() && (rater.is_active || before.is_some());
    let changes = (
        profiles::is_active.eq(is_active),
        profiles::golden_rate_factor.eq(effect.golden_rate_factor),
        profiles::paused_reason.eq(effect.paused_reason.as_deref()),
        profiles::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::update(profiles::table.filter(profiles::rater_id.eq(rater_id))).set(changes).execute(c))?;
    let judgments = rater.total_judgments;
    let after = Standing {
        rung: effect.rung.clone(),
        since: Some(Timestamp(now)),
        // Voided judgments are gone from the total: the next look counts from here.
        looked_judgments: judgments,
        ..standing(conn, rater_id)?
    };
    note_look(conn, rater_id, &after, now)
}

/// Raters with at least `every` judgments since they were last looked at, those who have waited longest first.
///
/// # Errors
/// As any query.
pub fn due(conn: &mut Connection, every: i32, limit: i64) -> Result<Vec<String>, StorageError> {
    Ok(on!(conn, c => profiles::table
        .left_join(s::table.on(s::rater_id.eq(profiles::rater_id)))
        .filter(profiles::is_active.eq(true).and(profiles::total_judgments.ge(every)))
        .filter(s::looked_judgments.nullable().is_null().or(profiles::total_judgments.ge((s::looked_judgments + every).assume_not_null())))
        .order((s::looked_at.nullable().is_not_null(), s::looked_at.nullable(), profiles::id))
        .limit(limit)
        .select(profiles::rater_id)
        .load(c))?)
}

/// Raters who have been paused since before an instant, longest first.
///
/// # Errors
/// As any query.
pub fn paused_before(conn: &mut Connection, instant: DateTime<Utc>, limit: i64) -> Result<Vec<String>, StorageError> {
    let paused = s::rung.eq("pause").and(s::since.le(Timestamp(instant)));
    Ok(on!(conn, c => s::table.filter(paused).order((s::since, s::id)).limit(limit).select(s::rater_id).load(c))?)
}

/// A rater with what somebody who looks after quality wants to know.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct Listed {
    /// Public id.
    pub rater_id: String,
    /// Pseudonym.
    pub name: String,
    /// Whether there is work.
    pub is_active: bool,
    /// A program that says so.
    pub is_simulated: bool,
    /// Judgments given, voided ones left out.
    pub total_judgments: i32,
    /// Golden items right and answered.
    pub golden_correct: i32,
    /// Golden items answered.
    pub golden_total: i32,
    /// How much more often golden items come.
    pub golden_rate_factor: f64,
    /// Why there is no work.
    pub paused_reason: Option<String>,
    /// Where the rater stands; `None` when never looked at.
    pub standing: Option<Standing>,
}

/// Raters who have judged, those who need attention first.
///
/// # Errors
/// As any query.
pub fn by_attention(conn: &mut Connection, limit: i64) -> Result<Vec<Listed>, StorageError> {
    Ok(on!(conn, c => profiles::table
        .left_join(s::table.on(s::rater_id.eq(profiles::rater_id)))
        .filter(profiles::total_judgments.gt(0).or(s::rater_id.nullable().is_not_null()))
        .order((s::rater_id.nullable().is_null(), s::attention.nullable().desc(), profiles::total_judgments.desc(), profiles::id))
        .limit(limit)
        .select((
            profiles::rater_id,
            profiles::name,
            profiles::is_active,
            profiles::is_simulated,
            profiles::total_judgments,
            profiles::golden_correct,
            profiles::golden_total,
            profiles::golden_rate_factor,
            profiles::paused_reason,
            Option::<Standing>::as_select(),
        ))
        .load(c))?)
}

/// Raters on whom a step holds, with their names: those who were put there last first.
///
/// # Errors
/// As any query.
pub fn on_ladder(conn: &mut Connection, limit: i64) -> Result<Vec<(String, String, bool, Standing)>, StorageError> {
    Ok(on!(conn, c => s::table
        .inner_join(profiles::table.on(profiles::rater_id.eq(s::rater_id)))
        .filter(s::rung.ne_all(["none", "lift"]))
        .order((s::since.desc(), s::id.desc()))
        .limit(limit)
        .select((profiles::rater_id, profiles::name, profiles::is_simulated, Standing::as_select()))
        .load(c))?)
}

/// The newest actions on some raters, oldest first.
///
/// # Errors
/// As any query.
pub fn of_raters(conn: &mut Connection, rater_ids: &[String], limit: i64) -> Result<Vec<Action>, StorageError> {
    let mut found: Vec<Action> = on!(conn, c => t::table
        .filter(t::rater_id.eq_any(rater_ids))
        .order(t::id.desc())
        .limit(limit)
        .select(Action::as_select())
        .load(c))?;
    found.reverse();
    Ok(found)
}
