//! The rater app: tasks come in, people judge them blind, and a consensus goes out.
//!
//! ```text
//! tasks -> intake (checks) -> dispatch (leases, golden items) -> presentation (blind order) -> rater
//!                                                                                               |
//! RLHF backend <- jobs <- outbox <- decision (consensus) <- recording <- submission <-----------+
//! sockets      <- live <-----+
//! ```
//!
//! One file per resource; [`routes`] shows every path, [`jobs`] what runs beside them, [`live`] what sockets hear.

pub mod accounts;
pub mod another_try;
pub mod assignments;
pub mod attempts;
pub mod auth_absent;
pub mod auth_refusal;
pub mod auth_user;
pub mod check_figures;
pub mod cross_origin;
pub mod decision;
pub mod dispatch;
pub mod evidence;
pub mod golden;
pub mod hashing;
pub mod history;
pub mod hosted_sign_in;
pub mod intake;
pub mod integrity;
pub mod jobs;
pub mod judgments;
pub mod leaderboard;
pub mod leases;
pub mod live;
pub mod pages;
pub mod presentation;
pub mod progress;
pub mod qualification;
pub mod quality;
pub mod queue;
pub mod raters;
pub mod recording;
pub mod recovery;
pub mod remote_checks;
pub mod reviews;
pub mod routes;
pub mod rows;
pub mod session;
pub mod sign_in;
pub mod standing;
pub mod state;
pub mod submission;
pub mod tasks;
pub mod upkeep;
pub mod wrong_key;

use std::error::Error;
use std::sync::Arc;

use domain::time::Clock;
use realtime::hub::Hub;
use tokio_util::sync::CancellationToken;
use web::server::{ServiceInfo, Sockets, serve};
use web::settings::{ServiceName, Settings};
use web::start::GIT_COMMIT;

use crate::state::State;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Serves until `shutdown`.
///
/// # Errors
/// For a mistyped database URL or peer address, or when an address cannot be listened on.
pub async fn run(settings: Settings, shutdown: CancellationToken) -> Result<(), Box<dyn Error + Send + Sync>> {
    let storage = web::database::open(&settings)?;
    let state = State::new(storage, settings.clone(), Clock::system(), shutdown.clone())?;
    let info = info(&state);
    let ready = web::database::readiness_of(&state.storage);
    let jobs = jobs::start(&state, &shutdown);
    let (public, internal) = (state.clone(), state.clone());
    let served = serve(
        info,
        &settings,
        settings.public_socket(ServiceName::RaterApp),
        settings.private_socket(ServiceName::RaterApp),
        move |routes| routes::configure_public(routes, &public),
        move |routes| routes::configure_internal(routes, &internal),
        ready,
        shutdown.clone(),
    )
    .await;
    shutdown.cancel();
    for job in jobs {
        // Each job sees the token between two steps; one that panicked has been logged by the runtime.
        let _ = job.await;
    }
    Ok(served?)
}

/// What this service says about itself.
#[must_use]
pub fn info(state: &State) -> ServiceInfo {
    ServiceInfo {
        name: ServiceName::RaterApp,
        version: VERSION,
        git_commit: GIT_COMMIT,
        database_kind: state.storage.url().kind().to_owned(),
        realtime_mode: if state.settings.supabase.is_bridged() { "local and supabase" } else { "local" }.to_owned(),
        openapi: routes::openapi(),
        untimed_paths: &["/realtime/", "/socket/"],
        sockets: Some(sockets(&state.hub)),
    }
}

fn sockets(hub: &Hub) -> Sockets {
    let hub = hub.clone();
    let closed = Arc::new(move |within| -> futures_util::future::BoxFuture<'static, bool> {
        let hub = hub.clone();
        Box::pin(async move { hub.drained(within).await })
    });
    Sockets { on_connect: realtime::upgrade::keep, closed }
}
