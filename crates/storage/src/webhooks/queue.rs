//! Who sends what: deliveries that are due are taken under a lease, so that several processes never make the same attempt twice, and end
//! with what came of it. Whoever dies while sending leaves the delivery to others when its lease is over.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;

use super::deliveries::Delivery;
use super::{Webhook, attempts};
use crate::connection::Connection;
use crate::dialect::{self, Explained, PlanLine};
use crate::error::StorageError;
use crate::schema::{webhook_deliveries as t, webhooks as w};
use crate::types::Timestamp;
use crate::{lease, on};

/// A webhook whose attempts have all failed for so long is switched off.
pub const FAILING_FOR: TimeDelta = TimeDelta::days(5);

/// An attempt that this process is to make.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// What is sent; its `attempts` counts this one, and its `next_attempt_at` is the end of the lease.
    pub delivery: Delivery,
    /// To whom.
    pub webhook: Webhook,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Delivered,
    /// It was not, and is tried again.
    Again(DateTime<Utc>),
    /// It was not, and is not tried again.
    Failed,
    /// The receiver wants nothing more: the webhook is switched off.
    Gone,
}

/// The end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What came of it.
    pub outcome: Outcome,
    /// What the receiver answered.
    pub http_status: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// How long it took.
    pub duration_ms: i32,
}

/// The query of what is due, to be run or to be explained.
macro_rules! due {
    ($now:expr, $limit:expr) => {
        t::table
            .filter(t::status.eq("pending").and(t::next_attempt_at.le(Timestamp($now))))
            .order(t::next_attempt_at)
            .limit($limit)
            .select(Delivery::as_select())
    };
}

/// Whether something is due: cheap, and without a lock.
///
/// # Errors
/// As any query.
pub fn is_due(conn: &mut Connection, now: DateTime<Utc>) -> Result<bool, StorageError> {
    let first: Vec<Delivery> = on!(conn, c => due!(now, 1).load(c))?;
    Ok(!first.is_empty())
}

/// How the queue is read.
///
/// # Errors
/// As any query.
pub fn explain(conn: &mut Connection, now: DateTime<Utc>) -> Result<String, StorageError> {
    let words = dialect::explain(conn);
    let lines: Vec<PlanLine> = on!(conn, c => Explained { words, query: due!(now, 10) }.load(c))?;
    Ok(lines.into_iter().map(|line| line.0).collect::<Vec<_>>().join("\n"))
}

/// How many attempts may be under way at once, and which are.
#[derive(Debug, Clone)]
pub struct Places {
    /// All together.
    pub at_once: usize,
    /// Of one tenant (the platform is one), so that one with many receivers does not take all.
    pub of_tenant: usize,
    /// To one webhook, so that one slow receiver does not take all of its tenant's.
    pub of_each: usize,
    /// Those under way: webhook and tenant.
    pub busy: Vec<(String, Option<String>)>,
}

impl Places {
    fn counts(&self) -> (HashMap<String, usize>, HashMap<Option<String>, usize>) {
        let (mut of_webhook, mut of_tenant) = (HashMap::new(), HashMap::new());
        for (webhook, tenant) in &self.busy {
            *of_webhook.entry(webhook.clone()).or_default() += 1;
            *of_tenant.entry(tenant.clone()).or_default() += 1;
        }
        (of_webhook, of_tenant)
    }
}

/// Looks at the queue in one [`take`]; each but the last finds at least one webhook that has no place any more.
const MOST_LOOKS: usize = 64;

/// Takes attempts that are due, those that are due for longest first, and holds them for `hold`. Webhooks and tenants that have all their places
/// are passed over, however much of theirs is due for longer than what others wait for. Call it in a transaction.
///
/// # Errors
/// As any query.
pub fn take(conn: &mut Connection, places: &Places, hold: TimeDelta, now: DateTime<Utc>) -> Result<Vec<Attempt>, StorageError> {
    let (mut of_webhook, mut of_tenant) = places.counts();
    let mut passed_over: Vec<String> =
        of_webhook.iter().filter(|(_, busy)| **busy >= places.of_each).map(|(webhook, _)| webhook.clone()).collect();
    let mut webhooks: HashMap<String, Webhook> = HashMap::new();
    let mut taken = Vec::new();
    for _ in 0..MOST_LOOKS {
        let left = places.at_once.saturating_sub(places.busy.len() + taken.len());
        let most = i64::try_from(left).unwrap_or(i64::MAX);
        let found: Vec<Delivery> = match (left, passed_over.is_empty()) {
            (0, _) => break,
            (_, true) => lease!(conn, due!(now, most) => Delivery)?,
            (_, false) => lease!(conn, due!(now, most).filter(t::webhook_id.ne_all(&passed_over)) => Delivery)?,
        };
        if found.is_empty() {
            break;
        }
        let names: Vec<&str> = found.iter().map(|row| row.webhook_id.as_str()).filter(|id| !webhooks.contains_key(*id)).collect();
        let more: Vec<Webhook> = on!(conn, c => w::table.filter(w::webhook_id.eq_any(&names)).select(Webhook::as_select()).load(c))?;
        webhooks.extend(more.into_iter().map(|row| (row.webhook_id.clone(), row)));
        for delivery in found {
            let Some(webhook) = webhooks.get(&delivery.webhook_id) else {
                passed_over.push(delivery.webhook_id);
                continue;
            };
            if !webhook.is_enabled {
                // Made by a process that had read the webhook before it was switched off.
                give_up(conn, &delivery, now)?;
                continue;
            }
            let busy = of_webhook.entry(delivery.webhook_id.clone()).or_default();
            let busy_of_tenant = of_tenant.entry(webhook.tenant_id.clone()).or_default();
            if *busy >= places.of_each || *busy_of_tenant >= places.of_tenant {
                passed_over.push(delivery.webhook_id);
                continue;
            }
            (*busy, *busy_of_tenant) = (*busy + 1, *busy_of_tenant + 1);
            taken.push(hold_one(conn, delivery, webhook, hold, now)?);
        }
    }
    Ok(taken)
}

fn hold_one(
    conn: &mut Connection,
    mut delivery: Delivery,
    webhook: &Webhook,
    hold: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Attempt, StorageError> {
    delivery.attempts += 1;
    delivery.next_attempt_at = Some(Timestamp(now + hold));
    delivery.last_attempt_at = Some(Timestamp(now));
    let changes = (
        t::attempts.eq(delivery.attempts),
        t::next_attempt_at.eq(delivery.next_attempt_at),
        t::last_attempt_at.eq(delivery.last_attempt_at),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::update(t::table.find(delivery.id)).set(changes).execute(c))?;
    Ok(Attempt { delivery, webhook: webhook.clone() })
}

fn give_up(conn: &mut Connection, delivery: &Delivery, now: DateTime<Utc>) -> Result<(), StorageError> {
    let changes = (
        t::status.eq("failed"),
        t::next_attempt_at.eq(None::<Timestamp>),
        t::last_error.eq(Some("the webhook was switched off")),
        t::updated_at.eq(Timestamp(now)),
    );
    on!(conn, c => diesel::update(t::table.find(delivery.id)).set(changes).execute(c))?;
    Ok(())
}

/// Ends an attempt; `false` when its lease was over and another process has it by now, or when the webhook was switched off meanwhile: then
/// nothing is noted. Call it in a transaction.
///
/// # Errors
/// As any query.
pub fn finish(conn: &mut Connection, attempt: &Attempt, ended: &Ended, now: DateTime<Utc>) -> Result<bool, StorageError> {
    let Attempt { delivery, webhook } = attempt;
    let (status, next, delivered) = match ended.outcome {
        Outcome::Delivered => ("delivered", None, Some(Timestamp(now))),
        Outcome::Again(at) => ("pending", Some(Timestamp(at)), None),
        Outcome::Failed | Outcome::Gone => ("failed", None, None),
    };
    let error: Option<String> = ended.error.as_ref().map(|text| text.chars().take(500).collect());
    let changes = (
        t::status.eq(status),
        t::next_attempt_at.eq(next),
        t::delivered_at.eq(delivered),
        t::last_http_status.eq(ended.http_status.map(i32::from)),
        t::last_error.eq(error),
        t::duration_ms.eq(Some(ended.duration_ms)),
        t::history.eq(Some(attempts::with(delivery, ended, now))),
        t::updated_at.eq(Timestamp(now)),
    );
    let own = t::id
        .eq(delivery.id)
        .and(t::status.eq("pending"))
        .and(t::attempts.eq(delivery.attempts))
        .and(t::next_attempt_at.eq(delivery.next_attempt_at));
    if on!(conn, c => diesel::update(t::table.filter(own)).set(changes).execute(c))? == 0 {
        return Ok(false);
    }
    match ended.outcome {
        Outcome::Delivered => note_failing(conn, webhook, None)?,
        Outcome::Gone => super::disable(conn, webhook, "the receiver answered 410 Gone", now)?,
        Outcome::Again(_) | Outcome::Failed => {
            let since = failing_since(conn, webhook)?;
            match since {
                None => note_failing(conn, webhook, Some(now))?,
                Some(since) if now - since >= FAILING_FOR => {
                    let reason = format!("every attempt failed for {} days", FAILING_FOR.num_days());
                    super::disable(conn, webhook, &reason, now)?;
                }
                Some(_) => {}
            }
        }
    }
    Ok(true)
}

fn failing_since(conn: &mut Connection, webhook: &Webhook) -> Result<Option<DateTime<Utc>>, StorageError> {
    let since: Option<Option<Timestamp>> = on!(conn, c => w::table.find(webhook.id).select(w::failing_since).first(c).optional())?;
    Ok(since.flatten().map(|at| at.0))
}

/// Only where it changes something, so that a receiver that is well costs no second write.
fn note_failing(conn: &mut Connection, webhook: &Webhook, since: Option<DateTime<Utc>>) -> Result<(), StorageError> {
    let since = since.map(Timestamp);
    if since.is_none() {
        let failing = w::table.filter(w::id.eq(webhook.id).and(w::failing_since.is_not_null()));
        on!(conn, c => diesel::update(failing).set(w::failing_since.eq(None::<Timestamp>)).execute(c))?;
        return Ok(());
    }
    on!(conn, c => diesel::update(w::table.find(webhook.id)).set(w::failing_since.eq(since)).execute(c))?;
    Ok(())
}
