//! How often a caller and a tenant may ask: token buckets that all processes share, drawn from in small batches.
//!
//! A request takes one token of its caller's bucket and one of its tenant's. The buckets lie behind [`Buckets`] (in the database); a
//! process draws a batch and spends it, so that most requests cost no query. What is left of a batch after [`BATCH_LIVES`] is given back
//! with the next draw. All processes together never grant more than the capacity and the refill.
//!
//! When the buckets cannot be reached in [`MAX_WAIT`] (the database is down, or SQLite's one writer is busy with an import), the process
//! goes by itself: for [`ALONE_FOR`] it keeps a bucket of its own with the same rule, then asks again. In that time N processes may grant N
//! times the limit, and never block.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::time::Clock;
use futures_util::future::BoxFuture;

use crate::access::sha256_hex;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::settings::{RateLimits, RateRule};

/// A batch that was not spent after so long is given back: long enough that somebody who asks every ten seconds spends most of it, and that
/// few requests cost a query. Each process withholds at most a twentieth of a bucket from the others meanwhile.
pub const BATCH_LIVES: TimeDelta = TimeDelta::seconds(600);
/// When a process remembers too many buckets, it forgets those that it drew from before so long; their tokens come back with time.
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::seconds(60);
/// Longest wait for the shared buckets.
pub const MAX_WAIT: Duration = Duration::from_millis(100);
/// How long a process goes by itself before it asks for the shared buckets again.
pub const ALONE_FOR: TimeDelta = TimeDelta::seconds(2);
/// After an empty draw the next one waits at least so long, in milliseconds.
const MIN_PAUSE_MS: f64 = 50.0;
/// Longest name of a bucket stored as it is, in bytes; a longer one is stored as its hash.
const MAX_NAME_BYTES: usize = 200;
/// Largest batch.
const MAX_BATCH: u32 = 100;
/// Buckets remembered by a process before those at rest are forgotten.
const REMEMBERED: usize = 10_000;

/// Where the shared buckets are.
pub trait Buckets: Send + Sync {
    /// Takes up to `wanted` tokens, after giving `returned` back: how many were granted, and how many are left for everybody.
    fn draw<'a>(
        &'a self,
        bucket: &'a str,
        rule: RateRule,
        wanted: u32,
        returned: u32,
        now: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<(u32, f64), Problem>>;
}

/// Where a caller stands, for the headers of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Requests at most, at once.
    pub limit: u64,
    /// Requests left.
    pub remaining: u64,
    /// Seconds until the bucket is full again.
    pub reset_s: u64,
    /// Seconds in which an empty bucket fills.
    pub window_s: u64,
}

struct Local {
    tokens: u32,
    left: f64,
    drawn_at: DateTime<Utc>,
    alone: Option<Alone>,
    /// An empty bucket has nothing before this time, so refusals cost no query.
    ask_after: Option<DateTime<Utc>>,
}

/// A bucket of the process's own while the shared ones cannot be reached.
struct Alone {
    tokens: f64,
    filled_at: DateTime<Utc>,
    until: DateTime<Utc>,
}

/// Counts requests; cheap to clone.
#[derive(Clone)]
pub struct Limiter {
    settings: RateLimits,
    clock: Clock,
    buckets: Arc<dyn Buckets>,
    known: Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<Local>>>>>,
}

impl Limiter {
    /// Over these buckets.
    #[must_use]
    pub fn new(settings: RateLimits, clock: Clock, buckets: Arc<dyn Buckets>) -> Self {
        Self { settings, clock, buckets, known: Arc::default() }
    }

    /// Takes one token of the caller and one of its tenant; `None` when limits are off.
    ///
    /// # Errors
    /// 429 `rate_limited` with `Retry-After`, and where the caller stands.
    pub async fn take(&self, caller: &Caller) -> Result<Option<Standing>, (Problem, Standing)> {
        if !self.settings.is_on {
            return Ok(None);
        }
        let own = self.settings.for_role(caller.role);
        let name = format!("caller:{}", caller.account_id);
        let standing = self.take_one(&name, own).await?;
        let Some(tenant) = caller.tenant.as_deref().filter(|tenant| !tenant.is_empty()) else { return Ok(Some(standing)) };
        let of_tenant = self.take_one(&format!("tenant:{tenant}"), self.settings.for_tenant(tenant)).await?;
        Ok(Some(if of_tenant.remaining < standing.remaining { of_tenant } else { standing }))
    }

    async fn take_one(&self, bucket: &str, rule: RateRule) -> Result<Standing, (Problem, Standing)> {
        let now = self.clock.now();
        let hashed = (bucket.len() > MAX_NAME_BYTES).then(|| sha256_hex(bucket.as_bytes()));
        let bucket = hashed.as_deref().unwrap_or(bucket);
        let local = self.find(bucket, now);
        let mut local = local.lock().await;
        if local.tokens > 0 && now - local.drawn_at >= BATCH_LIVES {
            // Given back with the next draw, which the branch below makes.
            self.draw(bucket, rule, &mut local, now).await;
        } else if local.tokens == 0 && local.ask_after.is_none_or(|at| now >= at) {
            self.draw(bucket, rule, &mut local, now).await;
        }
        let mut is_granted = local.tokens > 0;
        if is_granted {
            local.tokens -= 1;
        } else if let Some(alone) = &mut local.alone {
            alone.fill(rule, now);
            is_granted = alone.tokens >= 1.0;
            if is_granted {
                alone.tokens -= 1.0;
            }
        }
        let remaining = match &local.alone {
            Some(alone) => alone.tokens,
            None => f64::from(local.tokens) + local.left,
        };
        let standing = standing(rule, remaining);
        if is_granted {
            return Ok(standing);
        }
        let wait = ((1.0 - remaining.min(1.0)) / rule.per_second).ceil().max(1.0);
        // In range: at most a second for a token at the slowest rule.
        Err((Problem::rate_limited(wait as u64), standing))
    }

    async fn draw(&self, bucket: &str, rule: RateRule, local: &mut Local, now: DateTime<Utc>) {
        if local.alone.as_ref().is_some_and(|alone| now < alone.until) {
            return;
        }
        let wanted = (rule.burst / 20).clamp(1, MAX_BATCH);
        let returned = std::mem::take(&mut local.tokens);
        let answer = tokio::time::timeout(MAX_WAIT, self.buckets.draw(bucket, rule, wanted, returned, now)).await;
        let failure = match answer {
            Ok(Ok((granted, left))) => {
                let wait = ((1.0 - left) / rule.per_second * 1e3).clamp(MIN_PAUSE_MS, 1e3);
                // In range: 50 to 1000.
                let ask_after = (granted == 0).then(|| now + TimeDelta::milliseconds(wait as i64));
                *local = Local { tokens: granted, left, drawn_at: now, alone: None, ask_after };
                return;
            }
            Ok(Err(problem)) => problem.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        // What was to be given back is lost: it may have arrived.
        tracing::warn!(bucket, failure, "the shared limits cannot be reached; this process counts by itself for a while");
        let tokens = local.alone.as_ref().map_or(f64::from(rule.burst), |alone| alone.tokens);
        let filled_at = local.alone.as_ref().map_or(now, |alone| alone.filled_at);
        local.alone = Some(Alone { tokens, filled_at, until: now + ALONE_FOR });
    }

    fn find(&self, bucket: &str, now: DateTime<Utc>) -> Arc<tokio::sync::Mutex<Local>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED && !known.contains_key(bucket) {
            // Who is counted at this moment stays; tokens of the others come back with time.
            known.retain(|_, local| {
                Arc::strong_count(local) > 1 || local.try_lock().is_ok_and(|local| now - local.drawn_at < FORGOTTEN_AFTER)
            });
        }
        let fresh = || Arc::new(tokio::sync::Mutex::new(Local { tokens: 0, left: 0.0, drawn_at: now, alone: None, ask_after: None }));
        Arc::clone(known.entry(bucket.to_owned()).or_insert_with(fresh))
    }
}

impl Alone {
    fn fill(&mut self, rule: RateRule, now: DateTime<Utc>) {
        let seconds = (now - self.filled_at).max(TimeDelta::zero()).num_milliseconds() as f64 / 1e3;
        self.tokens = (self.tokens + seconds * rule.per_second).min(f64::from(rule.burst));
        self.filled_at = now.max(self.filled_at);
    }
}

fn standing(rule: RateRule, remaining: f64) -> Standing {
    let limit = f64::from(rule.burst);
    let remaining = remaining.clamp(0.0, limit).floor();
    // All in range: between 0 and a burst over a rate of at least one in a second.
    Standing {
        limit: u64::from(rule.burst),
        remaining: remaining as u64,
        reset_s: ((limit - remaining) / rule.per_second).ceil() as u64,
        window_s: (limit / rule.per_second).ceil().max(1.0) as u64,
    }
}
