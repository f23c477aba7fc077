//! Looking after the honesty of raters: a job reads the newest judgments of each, computes the signals, and takes the steps that follow.
//! Every step is stored with its reasons, told to the rater, and can be reversed.

pub mod api;
mod observe;
pub mod outlook;
pub mod voiding;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use learning::integrity::false_alarms::{JUDGMENTS_PER_LOOK, Looked, control};
use learning::integrity::ladder::{self, LadderRules, Proposal, Rung};
use learning::integrity::{Rules, Signal, signals};
use serde_json::{Value, json};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::integrity::{self as stored, Action, Effect, NewAction, Standing};
use storage::outbox::{self, Destination, NewEvent};
use storage::raters;
use storage::types::{Json, Timestamp};
use web::settings::Settings;

use crate::state::State;

/// Time between two rounds.
pub const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Raters looked at in one round.
const RATERS_A_ROUND: i64 = 20;
/// Newest judgments of each.
const JUDGMENTS_OF_ONE: i64 = 500;
/// Newest judgments of all, with which one rater's are compared.
const JUDGMENTS_OF_ALL: i64 = 2_000;
/// Golden items come so much more often after a warning did not help.
const MORE_GOLD: f64 = 3.0;
/// Notices shown to a rater.
const MOST_NOTICES: usize = 5;

/// One rater's look, before anything is written.
#[derive(Debug, Clone)]
struct Look {
    rater_id: String,
    /// Looks before this one: if there was another in between, this one is void.
    looks_before: i32,
    /// Judgments that the signals rest on.
    judgments: u64,
}

/// Looks at raters with enough new judgments, at pauses that nobody lifted, and goes on with unfinished voiding; how many steps were taken.
///
/// # Errors
/// As any query.
pub async fn round(state: &State) -> Result<usize, StorageError> {
    let mut steps = 0;
    for (look, signals) in looks(state).await? {
        steps += usize::from(settle(state, look, signals).await?.is_some());
    }
    let (now, pause) = (state.clock.now(), state.settings.rating.integrity.pause);
    let before = now - TimeDelta::from_std(pause).unwrap_or(TimeDelta::days(1));
    for rater_id in state.storage.read(move |conn| stored::paused_before(conn, before, RATERS_A_ROUND)).await? {
        steps += usize::from(end_pause(state, rater_id).await?.is_some());
    }
    for action in state.storage.read(|conn| stored::voiding::unfinished(conn, RATERS_A_ROUND)).await? {
        voiding::go_on(state, &action).await?;
    }
    if steps > 0 {
        state.after_commit();
    }
    Ok(steps)
}

/// The signals of all raters who are due.
async fn looks(state: &State) -> Result<Vec<(Look, Vec<Signal>)>, StorageError> {
    let every = i32::try_from(JUDGMENTS_PER_LOOK).unwrap_or(50);
    let due = state.storage.read(move |conn| stored::due(conn, every, RATERS_A_ROUND)).await?;
    if due.is_empty() {
        return Ok(Vec::new());
    }
    // Computed here, on the thread that waits for the database anyway, and not on one that answers requests.
    state
        .storage
        .read(move |conn| {
            let rules = Rules::default();
            let newest = observe::by_rater(&stored::evidence::newest(conn, JUDGMENTS_OF_ALL)?);
            let (mut looks, mut looked) = (Vec::new(), Vec::new());
            for rater_id in &due {
                let (rater, standing) = (raters::find(conn, rater_id)?, stored::standing(conn, rater_id)?);
                let since = standing.since.map(|since| since.0);
                let given = stored::evidence::of_rater(conn, rater_id, since, JUDGMENTS_OF_ONE)?;
                let evidence = observe::evidence(&given, rater.is_simulated);
                let look = u64::from((standing.looks.max(0).unsigned_abs()).saturating_add(1));
                let judgments = evidence.judgments.len() as u64;
                looked.push(Looked { signals: signals(&evidence, &observe::pool(&newest, rater_id, &rules), &rules), look });
                looks.push(Look { rater_id: rater_id.clone(), looks_before: standing.looks, judgments });
            }
            control(&mut looked);
            Ok(looks.into_iter().zip(looked.into_iter().map(|looked| looked.signals)).collect())
        })
        .await
}

/// Writes what a look found, and takes the step that follows.
async fn settle(state: &State, look: Look, signals: Vec<Signal>) -> Result<Option<Action>, StorageError> {
    let (now, ladder_rules) = (state.clock.now(), ladder_rules(&state.settings));
    let is_automatic = state.settings.rating.integrity.is_automatic;
    state
        .storage
        .transaction(move |tx| {
            let rater = raters::lock_one(tx, &look.rater_id)?;
            let before = stored::standing(tx, &look.rater_id)?;
            if before.looks != look.looks_before {
                return Ok(None);
            }
            let rung = rung_of(&before);
            let after = Standing {
                looks: before.looks.saturating_add(1),
                looked_judgments: rater.total_judgments,
                signals: Json(json!(signals)),
                attention: attention(rung, &signals),
                looked_at: Some(Timestamp(now)),
                ..before
            };
            stored::note_look(tx, &look.rater_id, &after, now)?;
            let standing = ladder::Standing { rung, seconds: seconds_since(after.since, now), judgments: look.judgments };
            match ladder::propose(standing, &signals, &Rules::default(), &ladder_rules).filter(|_| is_automatic) {
                Some(proposal) => act(tx, &by_system(&look.rater_id, &proposal), now).map(Some),
                None => Ok(None),
            }
        })
        .await
}

/// Voids the judgments of a rater whose pause nobody lifted, on the evidence that led to the pause.
async fn end_pause(state: &State, rater_id: String) -> Result<Option<Action>, StorageError> {
    let (now, ladder_rules) = (state.clock.now(), ladder_rules(&state.settings));
    if !state.settings.rating.integrity.is_automatic {
        return Ok(None);
    }
    state
        .storage
        .transaction(move |tx| {
            raters::lock_one(tx, &rater_id)?;
            let standing = stored::standing(tx, &rater_id)?;
            let history = stored::of_rater(tx, &rater_id)?;
            let pause = history.iter().rev().find(|action| action.reversed_at.is_none());
            let Some(pause) = pause.filter(|pause| pause.kind == "pause") else { return Ok(None) };
            // A person has taken the voiding back before: it is that person's matter now.
            if history.iter().any(|action| action.id > pause.id && action.kind == "void") {
                return Ok(None);
            }
            let found: Vec<Signal> = serde_json::from_value(pause.signals.0.clone()).unwrap_or_default();
            let seconds = seconds_since(standing.since, now);
            let standing = ladder::Standing { rung: rung_of(&standing), seconds, judgments: 0 };
            match ladder::propose(standing, &found, &Rules::default(), &ladder_rules) {
                Some(proposal) => act(tx, &by_system(&rater_id, &proposal), now).map(Some),
                None => Ok(None),
            }
        })
        .await
}

fn by_system(rater_id: &str, proposal: &Proposal) -> NewAction {
    NewAction {
        rater_id: rater_id.to_owned(),
        kind: word(proposal.action).to_owned(),
        signals: json!(proposal.signals),
        reason: proposal.reason.clone(),
        actor: stored::SYSTEM.to_owned(),
        is_finished: proposal.action != ladder::Action::Void,
    }
}

/// Stores an action, makes it hold and tells the rater. The rater must be locked by this transaction. Judgments that it voids are for
/// [`voiding::go_on`].
///
/// # Errors
/// As any query.
pub fn act(tx: &mut Connection, new: &NewAction, now: DateTime<Utc>) -> Result<Action, StorageError> {
    let action = stored::insert(tx, new, now)?;
    let kind = kind_of(&action.kind)?;
    stored::apply(tx, &action.rater_id, &effect(kind.rung(), &action.reason), now)?;
    tell(tx, &action, "integrity_action", now)?;
    tracing::info!(action_id = action.action_id, rater_id = action.rater_id, kind = action.kind, actor = action.actor, "acted on a rater");
    Ok(action)
}

/// Takes an action back: the rater stands where the action before had led. Judgments are restored by [`voiding::go_on`].
///
/// # Errors
/// [`StorageError::NotFound`]; [`StorageError::Conflict`] (`transition_not_allowed`) when it was reversed already.
pub fn reverse(tx: &mut Connection, action_id: &str, by: &str, reason: &str, now: DateTime<Utc>) -> Result<Action, StorageError> {
    let seen = stored::find(tx, action_id)?;
    raters::lock_one(tx, &seen.rater_id)?;
    let action = stored::lock(tx, action_id)?;
    if let Some(at) = action.reversed_at {
        let why = format!("action {action_id:?} was reversed at {}", at.0.format("%Y-%m-%dT%H:%M:%SZ"));
        return Err(StorageError::conflict("transition_not_allowed", why));
    }
    stored::reverse(tx, &action, by, reason, now)?;
    let history = stored::of_rater(tx, &action.rater_id)?;
    let mut steps = Vec::with_capacity(history.len());
    for step in &history {
        steps.push((kind_of(&step.kind)?, step.reversed_at.is_some()));
    }
    let rung = ladder::rung_after(&steps);
    let holding = history.iter().rev().find(|step| step.reversed_at.is_none());
    stored::apply(tx, &action.rater_id, &effect(rung, holding.map_or("", |step| &step.reason)), now)?;
    let action = stored::find(tx, action_id)?;
    tell(tx, &action, "integrity_reversed", now)?;
    tracing::info!(action_id, rater_id = action.rater_id, by, "took an action on a rater back");
    Ok(action)
}

/// What a rater is told on every page: the actions that hold, newest first; nothing once they were lifted.
///
/// # Errors
/// As any query.
pub fn notices(conn: &mut Connection, rater_id: &str) -> Result<Vec<Value>, StorageError> {
    let history = stored::of_rater(conn, rater_id)?;
    let holding = history.iter().rev().filter(|action| action.reversed_at.is_none()).take_while(|action| action.kind != "lift");
    let notice = |action: &Action| json!({"action_id": action.action_id, "kind": action.kind, "reason": action.reason, "created_at": action.created_at});
    Ok(holding.take(MOST_NOTICES).map(notice).collect())
}

fn tell(tx: &mut Connection, action: &Action, event: &str, now: DateTime<Utc>) -> Result<(), StorageError> {
    let reason = if action.reversed_at.is_some() { action.reverse_reason.as_deref().unwrap_or_default() } else { &action.reason };
    let event = NewEvent {
        destination: Destination::Realtime,
        topic: format!("rater:{}", action.rater_id),
        event: event.to_owned(),
        payload: json!({"action_id": action.action_id, "rater_id": action.rater_id, "kind": action.kind, "reason": reason, "at": now}),
        tenant_id: None,
    };
    outbox::push(tx, &event, now)?;
    Ok(())
}

/// What a rung does to the work of a rater.
fn effect(rung: Rung, reason: &str) -> Effect {
    let is_paused = rung >= Rung::Pause;
    Effect {
        rung: rung_word(rung).to_owned(),
        golden_rate_factor: if rung == Rung::MoreGold { MORE_GOLD } else { 1.0 },
        paused_reason: is_paused.then(|| reason.to_owned()),
    }
}

fn ladder_rules(settings: &Settings) -> LadderRules {
    LadderRules { void_after_seconds: settings.rating.integrity.pause.as_secs(), ..LadderRules::default() }
}

fn seconds_since(since: Option<Timestamp>, now: DateTime<Utc>) -> Option<u64> {
    since.map(|since| (now - since.0).num_seconds().max(0).unsigned_abs())
}

/// How much somebody should look: a pause that waits for a person before all else, then the number of flagged signals, then the least
/// p-value.
fn attention(rung: Rung, signals: &[Signal]) -> f64 {
    let rules = Rules::default();
    let weight: f64 =
        signals.iter().filter(|signal| signal.is_flagged(&rules)).map(|signal| if signal.is_severe(&rules) { 2.0 } else { 1.0 }).sum();
    let least = signals.iter().filter(|signal| signal.is_large).filter_map(|signal| signal.adjusted).fold(1.0, f64::min);
    let waits = if rung == Rung::Pause { 1_000.0 } else { 0.0 };
    waits + 10.0 * weight + (-least.max(1e-9).log10()).max(0.0)
}

fn rung_of(standing: &Standing) -> Rung {
    kind_of(&standing.rung).map_or(Rung::None, ladder::Action::rung)
}

fn kind_of(word: &str) -> Result<ladder::Action, StorageError> {
    let known = [ladder::Action::Warn, ladder::Action::MoreGold, ladder::Action::Pause, ladder::Action::Void, ladder::Action::Lift];
    let found = known.into_iter().find(|kind| self::word(*kind) == word);
    found.ok_or_else(|| StorageError::Corrupt(format!("there is no action {word:?}")))
}

fn word(action: ladder::Action) -> &'static str {
    match action {
        ladder::Action::Warn => "warn",
        ladder::Action::MoreGold => "more_gold",
        ladder::Action::Pause => "pause",
        ladder::Action::Void => "void",
        ladder::Action::Lift => "lift",
    }
}

fn rung_word(rung: Rung) -> &'static str {
    match rung {
        Rung::None => "none",
        Rung::Warn => "warn",
        Rung::MoreGold => "more_gold",
        Rung::Pause => "pause",
        Rung::Void => "void",
    }
}
