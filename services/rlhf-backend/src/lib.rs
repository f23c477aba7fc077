//! The RLHF backend: feedback comes in, datasets and reward models go out.
//!
//! ```text
//! people -> feedback ----+                      +-> exports (JSONL for trainers)
//! raters -> judgments ---+-> training pairs ----+-> worker trains -> gate -> active model -> score
//!                                                           |          +-> what to judge next
//! what people decide next ------------------------------> watch: drift, and models in the shadow
//! events of all services ---------------------------------> webhooks
//! ```
//!
//! One file per resource; [`routes`] shows every path, [`worker`] takes the jobs.

pub mod adapters;
pub mod artifacts;
pub mod audit;
pub mod exports;
pub mod feedback;
pub mod internal;
pub mod jobs;
pub mod key_figures;
pub mod pages;
pub mod period;
pub mod reflection;
pub mod reward_models;
pub mod routes;
pub mod rows;
pub mod scoring;
pub mod selection;
pub mod state;
pub mod tables;
pub mod training;
pub mod watch;
pub mod webhooks;
pub mod worker;

use std::error::Error;

use tokio_util::sync::CancellationToken;
use web::database::gauges::measure_always;
use web::server::{ServiceInfo, serve};
use web::settings::{ServiceName, Settings};
use web::start::GIT_COMMIT;

use crate::state::State;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Serves until `shutdown`.
///
/// # Errors
/// For a mistyped database URL, or when an address cannot be listened on.
pub async fn run(settings: Settings, shutdown: CancellationToken) -> Result<(), Box<dyn Error + Send + Sync>> {
    let storage = web::database::open(&settings)?;
    let state = State::new(storage.clone(), settings.clone(), domain::time::Clock::system())?;
    let info = ServiceInfo {
        name: ServiceName::RlhfBackend,
        version: VERSION,
        git_commit: GIT_COMMIT,
        database_kind: storage.url().kind().to_owned(),
        realtime_mode: if settings.supabase.url.is_some() { "supabase" } else { "local" }.to_owned(),
        openapi: routes::openapi(),
        untimed_paths: &["/v1/exports/", "/v1/artifacts/"],
        sockets: None,
    };
    let ready = web::database::readiness_of(&state.storage);
    let worker = tokio::spawn(worker::work(state.clone(), shutdown.clone()));
    tokio::spawn(state.storage.clone().announce_until(shutdown.clone().cancelled_owned()));
    state.artifacts.current().map_err(str::to_owned)?;
    let sweeper = tokio::spawn(artifacts::sweep::keep_sweeping(state.clone(), shutdown.clone()));
    let scheduler = tokio::spawn(selection::schedule(state.clone(), shutdown.clone()));
    let follower = tokio::spawn(scoring::active::follow(state.clone(), shutdown.clone()));
    let watcher = tokio::spawn(watch::schedule(state.clone(), shutdown.clone()));
    let figures = tokio::spawn(key_figures::schedule::schedule(state.clone(), shutdown.clone()));
    let asking = tokio::spawn(feedback::asking::work(state.clone(), shutdown.clone()));
    let webhooks = [
        tokio::spawn(webhooks::work::carry_always(state.clone(), shutdown.clone())),
        tokio::spawn(webhooks::work::sweep_always(state.clone(), shutdown.clone())),
    ];
    let sender = tokio::spawn(webhooks::work::send_always(state.clone(), shutdown.clone()));
    let gauges = measure_always(state.storage.clone(), state.clock.clone(), key_figures::gauges::count, shutdown.clone());
    let gauges = tokio::spawn(gauges);
    let (public, internal) = (state.clone(), state);
    let served = serve(
        info,
        &settings,
        settings.public_socket(ServiceName::RlhfBackend),
        settings.private_socket(ServiceName::RlhfBackend),
        move |routes| routes::configure_public(routes, &public),
        move |routes| routes::configure_internal(routes, &internal),
        ready,
        shutdown.clone(),
    )
    .await;
    shutdown.cancel();
    // A training that is still running is left to the lease: another process takes the job up again.
    worker.abort();
    scheduler.abort();
    follower.abort();
    watcher.abort();
    sweeper.abort();
    figures.abort();
    gauges.abort();
    // What it was doing is in the outbox or waits, and is taken up by the next process.
    asking.abort();
    webhooks.iter().for_each(tokio::task::JoinHandle::abort);
    // It ends by itself within seconds; what it does not get done is sent again by another process.
    sender.await?;
    Ok(served?)
}
