//! Limits: what a caller is granted by this process, what it is told, and what happens while the shared buckets cannot be reached.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::ResponseError as _;
use chrono::{DateTime, TimeDelta, Utc};
use domain::role::Role;
use domain::time::Clock;
use futures_util::future::BoxFuture;
use web::caller::{Caller, Credential};
use web::limiter::{ALONE_FOR, BATCH_LIVES, Buckets, Limiter};
use web::problem::Problem;
use web::settings::{RateLimits, RateRule};

/// Buckets in memory, which can be made to fail or to hang.
#[derive(Default)]
pub struct Shared {
    tokens: Mutex<BTreeMap<String, (f64, DateTime<Utc>)>>,
    /// 0 works, 1 fails, 2 never answers.
    mood: AtomicU32,
    draws: AtomicU32,
}

impl Buckets for Shared {
    fn draw<'a>(
        &'a self,
        bucket: &'a str,
        rule: RateRule,
        wanted: u32,
        returned: u32,
        now: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<(u32, f64), Problem>> {
        Box::pin(async move {
            self.draws.fetch_add(1, Ordering::SeqCst);
            match self.mood.load(Ordering::SeqCst) {
                1 => return Err(Problem::unavailable("database", 1)),
                2 => std::future::pending().await,
                _ => {}
            }
            let mut tokens = self.tokens.lock().unwrap();
            let (left, at) = tokens.get(bucket).copied().unwrap_or((f64::from(rule.burst), now));
            let seconds = (now - at).num_milliseconds() as f64 / 1e3;
            let full = (left + f64::from(returned) + seconds * rule.per_second).min(f64::from(rule.burst));
            let granted = full.floor().min(f64::from(wanted));
            tokens.insert(bucket.to_owned(), (full - granted, now));
            Ok((granted as u32, full - granted))
        })
    }
}

pub fn limits(caller: (u32, u32), tenant: (u32, u32)) -> RateLimits {
    let rule = |(rate, burst): (u32, u32)| RateRule { burst, per_second: f64::from(rate) };
    RateLimits { is_on: true, caller: rule(caller), tenant: rule(tenant), roles: BTreeMap::new(), tenants: BTreeMap::new() }
}

fn caller(id: &str) -> Caller {
    Caller {
        account_id: id.to_owned(),
        role: Role::Analyst,
        tenant: Some("tnt-a".to_owned()),
        rater_id: None,
        email: None,
        session_id: None,
        credential: Credential::Key,
        scopes: Vec::new(),
    }
}

struct Hand(Mutex<DateTime<Utc>>);

fn clock() -> (Clock, Arc<Hand>) {
    let hand = Arc::new(Hand(Mutex::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap())));
    let read = Arc::clone(&hand);
    (Clock::from_fn(move || *read.0.lock().unwrap()), hand)
}

impl Hand {
    fn advance(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }
}

async fn granted(limiter: &Limiter, who: &str, tries: u32) -> u32 {
    let mut n = 0;
    for _ in 0..tries {
        n += u32::from(limiter.take(&caller(who)).await.is_ok());
    }
    n
}

#[tokio::test]
async fn processes_share_what_there_is_and_ask_seldom() {
    let shared = Arc::new(Shared::default());
    let (clock, hand) = clock();
    let processes: Vec<Limiter> = (0..3).map(|_| Limiter::new(limits((10, 200), (1000, 10_000)), clock.clone(), shared.clone())).collect();
    let mut all = 0;
    for process in &processes {
        all += granted(process, "k", 100).await;
    }
    assert_eq!(all, 200);
    // A batch is ten for the caller and a hundred for the tenant.
    let draws = shared.draws.load(Ordering::SeqCst);
    assert!(draws <= 40, "{draws} draws for 300 requests");
    let (problem, standing) = processes[2].take(&caller("k")).await.unwrap_err();
    assert_eq!((problem.code(), problem.error_response().headers().contains_key("retry-after")), ("rate_limited", true));
    assert_eq!((standing.limit, standing.remaining, standing.reset_s, standing.window_s), (200, 0, 20, 20));
    hand.advance(TimeDelta::seconds(1));
    assert_eq!(granted(&processes[0], "k", 50).await + granted(&processes[1], "k", 50).await, 10, "what a second brings");
    // Another caller has a bucket of its own.
    assert_eq!(granted(&processes[0], "l", 300).await, 200);
}

#[tokio::test]
async fn a_tenants_callers_share_the_tenants_bucket() {
    let (clock, _hand) = clock();
    let limiter = Limiter::new(limits((100, 100), (1, 150)), clock, Arc::new(Shared::default()));
    assert_eq!(granted(&limiter, "k", 100).await + granted(&limiter, "l", 100).await, 150);
}

#[tokio::test]
async fn what_a_process_does_not_spend_comes_back() {
    let (clock, hand) = clock();
    let shared = Arc::new(Shared::default());
    let first = Limiter::new(limits((1, 2000), (1000, 10_000)), clock.clone(), shared.clone());
    let second = Limiter::new(limits((1, 2000), (1000, 10_000)), clock, shared);
    // It draws a hundred and spends one.
    assert_eq!(granted(&first, "k", 1).await, 1);
    assert_eq!(granted(&second, "k", 3000).await, 1900);
    // Each second brings one; the others are given back with the next draw, and one is spent.
    let seconds = u32::try_from(BATCH_LIVES.num_seconds()).unwrap() + 1;
    hand.advance(TimeDelta::seconds(i64::from(seconds)));
    assert_eq!(granted(&first, "k", 1).await, 1);
    assert_eq!(granted(&first, "k", 1000).await, seconds + 98);
}

#[tokio::test]
async fn without_the_shared_buckets_a_process_counts_by_itself() {
    let shared = Arc::new(Shared::default());
    let (clock, hand) = clock();
    let limiter = Limiter::new(limits((10, 20), (1000, 10_000)), clock, shared.clone());
    for mood in [1, 2] {
        shared.mood.store(mood, Ordering::SeqCst);
        let draws = shared.draws.load(Ordering::SeqCst);
        let who = format!("k{mood}");
        // Nobody waits for long, and the limit still holds within the process.
        assert_eq!(granted(&limiter, &who, 50).await, 20);
        let asked = shared.draws.load(Ordering::SeqCst) - draws;
        assert!(asked <= 2, "asked {asked} times while it cannot be reached");
        shared.mood.store(0, Ordering::SeqCst);
        hand.advance(ALONE_FOR);
        assert_eq!(granted(&limiter, &who, 50).await, 20, "the shared bucket is full");
    }
}
