//! The campaign runtime: retailers, brands, products, audiences, campaigns, performance, and the plans that spend a budget.
//!
//! ```text
//! imports -> catalog, campaigns, performance -> analytics, pacing
//!                                  \-> plans -> score (rlhf-backend) -> chosen, or a rating task (rater-app) -> settled by jobs
//! ```
//!
//! One file per resource; [`routes`] shows every path, [`jobs`] delivers rating tasks and settles what people decided.

pub mod analytics;
pub mod api_keys;
pub mod brands;
pub mod bulk;
pub mod campaigns;
pub mod clones;
pub mod creatives;
pub mod experiments;
pub mod exports;
pub mod imports;
pub mod input;
pub mod jobs;
pub mod life;
pub mod optimize;
pub mod pacing;
pub mod pages;
pub mod performance;
pub mod plans;
pub mod reflections;
pub mod retailer_keys;
pub mod retailers;
pub mod retention;
pub mod routes;
pub mod rows;
pub mod segments;
pub mod skus;
pub mod state;
pub mod transitions;

use std::error::Error;

use chrono::{DateTime, Utc};
use storage::connection::Connection;
use storage::error::StorageError;
use tokio_util::sync::CancellationToken;
use web::database::gauges::{Gauge, measure_always, of_backlogs};
use web::server::{ServiceInfo, serve};
use web::settings::{ServiceName, Settings};
use web::start::GIT_COMMIT;

use crate::state::State;

pub use routes::{configure_internal, configure_public};

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Serves until `shutdown`.
///
/// # Errors
/// For a mistyped database URL or peer setting, or when an address cannot be listened on.
pub async fn run(settings: Settings, shutdown: CancellationToken) -> Result<(), Box<dyn Error + Send + Sync>> {
    let storage = web::database::open(&settings)?;
    let state = State::new(storage.clone(), settings.clone(), domain::time::Clock::system())?;
    let info = ServiceInfo {
        name: ServiceName::CampaignRuntime,
        version: VERSION,
        git_commit: GIT_COMMIT,
        database_kind: storage.url().kind().to_owned(),
        realtime_mode: if settings.supabase.url.is_some() { "supabase" } else { "local" }.to_owned(),
        openapi: routes::openapi(),
        untimed_paths: &["/v1/imports/", "/v1/exports/"],
        sockets: None,
    };
    let ready = web::database::readiness_of(&state.storage);
    let work = tokio::spawn(jobs::work(state.clone(), shutdown.clone()));
    tokio::spawn(state.storage.clone().announce_until(shutdown.clone().cancelled_owned()));
    let housekeeping = tokio::spawn(imports::work::housekeeping(state.clone(), shutdown.clone()));
    let gauges = tokio::spawn(measure_always(state.storage.clone(), state.clock.clone(), count, shutdown.clone()));
    let (public, internal) = (state.clone(), state);
    let served = serve(
        info,
        &settings,
        settings.public_socket(ServiceName::CampaignRuntime),
        settings.private_socket(ServiceName::CampaignRuntime),
        move |routes| configure_public(routes, &public),
        move |routes| configure_internal(routes, &internal),
        ready,
        shutdown.clone(),
    )
    .await;
    shutdown.cancel();
    // What it was doing is in the outbox or in review, and is taken up by the next process.
    work.abort();
    housekeeping.abort();
    gauges.abort();
    Ok(served?)
}

/// Events that other services have not taken, for whoever is on call.
fn count(conn: &mut Connection, now: DateTime<Utc>) -> Result<Vec<Gauge>, StorageError> {
    let events = storage::gauges::undelivered(conn)?;
    Ok(of_backlogs("endcap_outbox_waiting", "endcap_outbox_oldest_seconds", "destination", &events, now))
}
