//! The bridge to a hosted Supabase project, seen as a client of its Realtime: one socket, the channels that are mapped, and what is heard there
//! told to the local [`Hub`]. It never ends by itself: a socket that fails is opened again with a growing pause, and meanwhile everything local
//! goes on. What goes the other way (local events to the project's channels) is sent over HTTP by the service, which has the outbox.
//!
//! ```text
//! project -> link (socket, heartbeat, joins) -> mark (own echo? heard before?) -> Hub::publish
//! ```

mod backoff;
mod link;
pub mod mark;
mod wire;

use std::time::Duration;

use metrics::gauge;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;
use backoff::Backoff;
use link::Link;
use mark::Heard;

/// A link that held so long counts as good: the next pause begins small again.
const GOOD_AFTER: Duration = Duration::from_secs(30);

/// A channel of the project and the local room that hears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Name there, without the `realtime:` prefix.
    pub remote: String,
    /// Name here.
    pub local: String,
}

/// Where the project is and what is heard from it.
#[derive(Debug, Clone)]
pub struct BridgeSettings {
    /// `wss://PROJECT.supabase.co/realtime/v1/websocket`.
    pub socket_url: String,
    /// A key that may join the channels: the service key, which stays on the server.
    pub key: SecretString,
    /// The channels; joined as private ones, so that the project's policies protect them.
    pub listen: Vec<Listen>,
    /// Messages that carry this mark are our own and are not told again; see [`mark`].
    pub origin: String,
    /// How often a heartbeat is sent. One that is not answered before the next is due ends the link.
    pub heartbeat: Duration,
    /// Longest wait for the connection and for the answer to a join.
    pub answer_within: Duration,
}

impl BridgeSettings {
    /// The usual clocks: a heartbeat every 25 s, answers within 10 s.
    #[must_use]
    pub fn new(socket_url: String, key: SecretString, listen: Vec<Listen>, origin: String) -> Self {
        Self { socket_url, key, listen, origin, heartbeat: Duration::from_secs(25), answer_within: Duration::from_secs(10) }
    }
}

/// Where the bridge stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Not connected yet.
    Connecting,
    /// Every channel is joined.
    Connected,
    /// Not connected, and why; local rooms go on, and it is tried again.
    Degraded(String),
}

/// Listens until `shutdown` and tells `standing` of every change. A message that is heard twice by its id, before and after a gap, is told once.
pub async fn listen(settings: BridgeSettings, hub: Hub, standing: watch::Sender<Standing>, shutdown: CancellationToken) {
    let (mut backoff, mut heard) = (Backoff::default(), Heard::new(settings.origin.clone()));
    gauge!("realtime_bridge_connected").set(0.0);
    loop {
        let begun = tokio::time::Instant::now();
        let link = async {
            let mut link = Link::open(&settings, heard.last_at()).await?;
            heard.begin();
            standing.send_replace(Standing::Connected);
            gauge!("realtime_bridge_connected").set(1.0);
            tracing::info!(channels = settings.listen.len(), "the bridge to Supabase is connected");
            link.pass_on(&settings, &hub, &mut heard).await
        };
        let end = tokio::select! {
            () = shutdown.cancelled() => return,
            Err(end) = link => end,
        };
        gauge!("realtime_bridge_connected").set(0.0);
        if begun.elapsed() >= GOOD_AFTER {
            backoff = Backoff::default();
        }
        let pause = backoff.next_pause();
        tracing::warn!(reason = end.to_string(), pause_ms = pause.as_millis() as u64, "the bridge to Supabase is down; local rooms go on");
        standing.send_replace(Standing::Degraded(end.to_string()));
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Whether the channels can be joined: connects, joins, and goes again.
///
/// # Errors
/// Why not, in words.
pub async fn probe(settings: &BridgeSettings) -> Result<(), String> {
    Link::open(settings, None).await.map(drop).map_err(|end| end.to_string())
}

#[cfg(test)]
mod tests;
