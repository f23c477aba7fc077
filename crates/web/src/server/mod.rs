//! Two listeners for each service: the public one for people and programs, the private one for the other services and for metrics.
//!
//! [`serve`] does all that does not differ between services. A service brings its routes:
//!
//! ```no_run
//! use actix_web::{HttpResponse, web::{Data, ServiceConfig, get}};
//! use web::server::{Part, ServiceInfo, readiness, serve};
//! use web::settings::{ServiceName, Settings};
//!
//! struct State { greeting: String }
//!
//! async fn greet(state: Data<State>) -> HttpResponse {
//!     HttpResponse::Ok().body(state.greeting.clone())
//! }
//!
//! # async fn example(settings: Settings) -> Result<(), web::server::ServeError> {
//! let state = Data::new(State { greeting: "hello".to_owned() }); // made once, shared by all workers
//! let info = ServiceInfo {
//!     name: ServiceName::RaterApp,
//!     version: env!("CARGO_PKG_VERSION"),
//!     git_commit: "unknown",
//!     database_kind: "sqlite".to_owned(),
//!     realtime_mode: "local".to_owned(),
//!     openapi: utoipa::openapi::OpenApiBuilder::new().build(),
//!     untimed_paths: &["/v1/imports/"],
//!     sockets: None,
//! };
//! let public = settings.public_socket(ServiceName::RaterApp);
//! let private = settings.private_socket(ServiceName::RaterApp);
//! let configure_public = move |routes: &mut ServiceConfig| {
//!     routes.app_data(state.clone()).route("/greeting", get().to(greet));
//! };
//! let ready = readiness(|| async { vec![Part::ok("database")] });
//! serve(info, &settings, public, private, configure_public, |_| {}, ready, Default::default()).await
//! # }
//! ```

mod around;
mod arrival;
mod document;
mod operations;

use std::any::Any;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::{Extensions, Server, ServerHandle};
use actix_web::middleware::{Compress, from_fn};
use actix_web::web::{Data, PayloadConfig, ServiceConfig};
use actix_web::{App, HttpServer};
use domain::time::Clock;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::json::BodyLimit;
use crate::settings::{ServiceName, Settings};
use crate::token::ServiceTokens;

pub use around::ServiceCaller;

/// What a service says about itself.
#[derive(Clone)]
pub struct ServiceInfo {
    /// Which service.
    pub name: ServiceName,
    /// Its version.
    pub version: &'static str,
    /// The commit it was built from.
    pub git_commit: &'static str,
    /// `sqlite`, `postgres` or `mysql`.
    pub database_kind: String,
    /// `local` or `supabase`.
    pub realtime_mode: String,
    /// The public API, served as `/openapi.json` and `/docs`.
    pub openapi: utoipa::openapi::OpenApi,
    /// Beginnings of paths that stream and are exempt from the request timeout.
    pub untimed_paths: &'static [&'static str],
    /// Sockets, of a service that has some.
    pub sockets: Option<Sockets>,
}

/// Sockets leave the HTTP server when they are upgraded. It keeps what they need of every new connection, and before its workers end it waits for
/// those that are open.
#[derive(Clone)]
pub struct Sockets {
    /// Called with each new public connection.
    pub on_connect: fn(&dyn Any, &mut Extensions),
    /// Waits until all are closed, for so long at most; returns whether they are.
    pub closed: Arc<dyn Fn(Duration) -> BoxFuture<'static, bool> + Send + Sync>,
}

/// State of one part that a service needs to be ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Name of the part, such as `database`.
    pub name: &'static str,
    /// What is wrong; shown to probes, so without secrets.
    pub problem: Option<String>,
}

impl Part {
    /// A part that works.
    #[must_use]
    pub fn ok(name: &'static str) -> Self {
        Self { name, problem: None }
    }

    /// A part that does not.
    pub fn failed(name: &'static str, problem: impl Into<String>) -> Self {
        Self { name, problem: Some(problem.into()) }
    }
}

/// The check behind `/health/ready`: all parts, each working or not. It is given two seconds.
pub type Readiness = Arc<dyn Fn() -> BoxFuture<'static, Vec<Part>> + Send + Sync>;

/// Makes a [`Readiness`] of an async closure.
pub fn readiness<F, Fut>(check: F) -> Readiness
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Vec<Part>> + Send + 'static,
{
    Arc::new(move || Box::pin(check()))
}

/// Why a service cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("{purpose} cannot listen on {address}: {reason}. Stop the program that uses port {}, or set {key} to another port", address.port())]
    Listen {
        /// The address wanted.
        address: SocketAddr,
        /// What it is for.
        purpose: String,
        /// The key that changes the port.
        key: &'static str,
        /// What the system said, in our words.
        reason: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A listener failed while running.
    #[error("the HTTP server of {0} failed")]
    Run(&'static str, #[source] io::Error),
}

impl Settings {
    /// Where a service listens for the public.
    #[must_use]
    pub fn public_socket(&self, name: ServiceName) -> SocketAddr {
        SocketAddr::new(self.bind_address, self.service(name).port)
    }

    /// Where a service listens for the other services.
    #[must_use]
    pub fn private_socket(&self, name: ServiceName) -> SocketAddr {
        SocketAddr::new(self.private_bind_address, self.service(name).private_port)
    }
}

/// State shared by both listeners.
pub(crate) struct Shared {
    pub(crate) info: ServiceInfo,
    pub(crate) readiness: Readiness,
    pub(crate) is_draining: AtomicBool,
    pub(crate) service_tokens: ServiceTokens,
    pub(crate) request_timeout: Duration,
    pub(crate) content_security_policy: String,
    /// Whether people reach this service over TLS.
    pub(crate) is_https: bool,
    pub(crate) pages: crate::layout::Addresses,
}

/// Two bound listeners, ready to run; tests read the ports that the system chose.
pub struct BoundServer {
    public: TcpListener,
    private: TcpListener,
    shared: Arc<Shared>,
    settings: Settings,
}

impl BoundServer {
    /// Takes both addresses.
    ///
    /// # Errors
    /// [`ServeError::Listen`] naming the port, what it is for and the key that changes it.
    pub fn bind(
        mut info: ServiceInfo,
        settings: &Settings,
        public: SocketAddr,
        private: SocketAddr,
        ready: Readiness,
    ) -> Result<Self, ServeError> {
        let name = info.name;
        info.openapi = document::complete(info.openapi);
        let public = listen(public, format!("The public listener of {}", name.as_str()), name.port_key())?;
        let private = listen(private, format!("The private listener of {}", name.as_str()), name.private_port_key())?;
        let shared = Arc::new(Shared {
            info,
            readiness: ready,
            is_draining: AtomicBool::new(false),
            service_tokens: ServiceTokens::new(&settings.service_secret, Clock::system()),
            request_timeout: settings.limits.request_timeout,
            content_security_policy: around::content_security_policy(settings),
            is_https: settings.service(name).public_url.starts_with("https://"),
            pages: crate::layout::Addresses::new(settings),
        });
        Ok(Self { public, private, shared, settings: settings.clone() })
    }

    /// The public address in use.
    ///
    /// # Errors
    /// What the system says.
    pub fn public_address(&self) -> io::Result<SocketAddr> {
        self.public.local_addr()
    }

    /// The private address in use.
    ///
    /// # Errors
    /// What the system says.
    pub fn private_address(&self) -> io::Result<SocketAddr> {
        self.private.local_addr()
    }

    /// Serves until `shutdown`: then `/health/ready` says so for a while, open requests are finished, and both listeners close.
    ///
    /// Routes of `configure_internal` have full paths under `/internal/v1/`; without a good service token no path there is reached.
    ///
    /// # Errors
    /// [`ServeError::Run`] when a listener fails.
    pub async fn run<P, I>(self, configure_public: P, configure_internal: I, shutdown: CancellationToken) -> Result<(), ServeError>
    where
        P: Fn(&mut ServiceConfig) + Clone + Send + Sync + 'static,
        I: Fn(&mut ServiceConfig) + Clone + Send + Sync + 'static,
    {
        let name = self.shared.info.name.as_str();
        let fail = |error| ServeError::Run(name, error);
        let addresses = (self.public.local_addr().map_err(fail)?, self.private.local_addr().map_err(fail)?);
        let limits = self.settings.limits.clone();
        let (drain, stop_within) = (limits.drain.min(limits.shutdown_timeout / 2), limits.shutdown_timeout);
        let metrics = operations::metrics_handle();
        let public =
            start_public(self.public, Arc::clone(&self.shared), limits.workers, limits.max_body_bytes, stop_within, configure_public)
                .map_err(fail)?;
        let private =
            start_private(self.private, Arc::clone(&self.shared), metrics.clone(), limits.max_body_bytes, stop_within, configure_internal)
                .map_err(fail)?;
        let handles = [public.handle(), private.handle()];
        tracing::info!(service = name, public = %addresses.0, private = %addresses.1, "listening");
        let shared = Arc::clone(&self.shared);
        let stop = async move {
            shutdown.cancelled().await;
            shared.is_draining.store(true, Ordering::SeqCst);
            tracing::info!(service = name, "draining");
            let stop_by = tokio::time::Instant::now() + stop_within;
            tokio::time::sleep(drain).await;
            let left = || stop_by.saturating_duration_since(tokio::time::Instant::now());
            if let Some(sockets) = &shared.info.sockets
                && !(sockets.closed)(left()).await
            {
                tracing::warn!("sockets were still open when the time to stop was over");
            }
            stop_all(handles, left()).await;
        };
        let upkeep = operations::keep_metrics(metrics);
        tokio::select! {
            result = async { tokio::try_join!(public, private) } => result.map(drop).map_err(fail),
            () = stop => Ok(()),
            () = upkeep => Ok(()),
        }
    }
}

/// Binds and runs: what a service's `main` calls.
///
/// # Errors
/// [`ServeError`] when an address is taken or a listener fails.
#[expect(clippy::too_many_arguments, reason = "one call site for each service, each argument a different type")]
pub async fn serve<P, I>(
    info: ServiceInfo,
    settings: &Settings,
    public_address: SocketAddr,
    private_address: SocketAddr,
    configure_public: P,
    configure_internal: I,
    ready: Readiness,
    shutdown: CancellationToken,
) -> Result<(), ServeError>
where
    P: Fn(&mut ServiceConfig) + Clone + Send + Sync + 'static,
    I: Fn(&mut ServiceConfig) + Clone + Send + Sync + 'static,
{
    BoundServer::bind(info, settings, public_address, private_address, ready)?.run(configure_public, configure_internal, shutdown).await
}

fn listen(address: SocketAddr, purpose: String, key: &'static str) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).and_then(|listener| listener.set_nonblocking(true).map(|()| listener)).map_err(|source| {
        let reason = match source.kind() {
            io::ErrorKind::AddrInUse => "the port is taken".to_owned(),
            io::ErrorKind::PermissionDenied => "this user may not use the port".to_owned(),
            io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
            _ => source.to_string(),
        };
        ServeError::Listen { address, purpose, key, reason, source }
    })
}

fn start_public<P>(
    listener: TcpListener,
    shared: Arc<Shared>,
    workers: usize,
    max_body_bytes: usize,
    stop_within: Duration,
    configure: P,
) -> io::Result<Server>
where
    P: Fn(&mut ServiceConfig) + Clone + Send + Sync + 'static,
{
    let sockets = shared.info.sockets.clone();
    let mut server = HttpServer::new(move || {
        App::new()
            .app_data(Data::from(Arc::clone(&shared)))
            .app_data(BodyLimit(max_body_bytes))
            .app_data(PayloadConfig::new(max_body_bytes))
            .wrap(from_fn(around::around))
            .wrap(Compress::default())
            .configure(operations::configure_health)
            .configure(|routes| operations::configure_docs(routes, &shared.info))
            .configure(crate::layout::configure)
            .configure(configure.clone())
            .default_service(actix_web::web::to(operations::no_such_path))
    });
    if let Some(sockets) = sockets {
        server = server.on_connect(sockets.on_connect);
    }
    Ok(server.listen(listener)?.workers(workers).disable_signals().shutdown_timeout(whole_seconds(stop_within)).run())
}

fn start_private<I>(
    listener: TcpListener,
    shared: Arc<Shared>,
    metrics: operations::Metrics,
    max_body_bytes: usize,
    stop_within: Duration,
    configure: I,
) -> io::Result<Server>
where
    I: Fn(&mut ServiceConfig) + Clone + Send + Sync + 'static,
{
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::from(Arc::clone(&shared)))
            .app_data(Data::new(metrics.clone()))
            .app_data(BodyLimit(max_body_bytes))
            .app_data(PayloadConfig::new(max_body_bytes))
            .wrap(from_fn(around::only_services))
            .wrap(from_fn(around::around))
            .wrap(Compress::default())
            .configure(operations::configure_health)
            .configure(operations::configure_metrics)
            .configure(configure.clone())
            .default_service(actix_web::web::to(operations::no_such_path))
    });
    Ok(server.listen(listener)?.workers(1).disable_signals().shutdown_timeout(whole_seconds(stop_within)).run())
}

fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().max(1)
}

/// Finishes open requests, and closes what is still open when the time is over.
async fn stop_all(handles: [ServerHandle; 2], within: Duration) {
    let [public, private] = &handles;
    let graceful = async { tokio::join!(public.stop(true), private.stop(true)) };
    if tokio::time::timeout(within, graceful).await.is_err() {
        tracing::warn!(within_ms = within.as_millis(), "requests were still open when the time to stop was over");
        tokio::join!(public.stop(false), private.stop(false));
    }
}
