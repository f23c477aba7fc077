//! One connection to the project, from the handshake to whatever ends it.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use metrics::counter;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::mark::Heard;
use super::wire::{self, Incoming, REPLAYED};
use super::{BridgeSettings, Listen};
use crate::hub::Hub;
use crate::outgoing::{Outgoing, Topic};

/// Largest frame that is taken; Supabase sends at most 3 MB.
const MAX_FRAME: usize = 5_000_000;

/// A frame that is not taken within this time ends the link.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);

/// Why a link is over, for the log and for people.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkEnd {
    #[error("{0} is no address of a WebSocket")]
    Address(String),
    #[error("the project did not answer within {0} s")]
    Late(u64),
    #[error("the connection was refused or broke: {0}")]
    Broken(String),
    #[error("the channel {channel} was refused: {reason}")]
    Refused { channel: String, reason: String },
    #[error("the project closed the channel {0}")]
    Closed(String),
    #[error("the project did not answer a heartbeat")]
    Silent,
    #[error("the project closed the connection")]
    Ended,
}

pub(super) struct Link {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    next_reference: u64,
    /// Broadcasts that came between two joins.
    early: Vec<Incoming>,
    replays: Replays,
}

/// What was said again after a gap, by channel.
#[derive(Debug, Default)]
pub(super) struct Replays {
    since: Option<u64>,
    /// How many messages, and whether all of them were news.
    channels: HashMap<String, (usize, bool)>,
}

impl Replays {
    /// For a link that asked for what was said `since`.
    pub(super) fn new(since: Option<u64>) -> Self {
        Self { since, channels: HashMap::new() }
    }

    /// Notes a message that was said again. When so many came as the project remembers, and none of others was known, what was said before them
    /// may be lost: since when. Our own tell nothing: they are never news.
    pub(super) fn note(&mut self, channel: &str, is_known: bool) -> Option<u64> {
        let since = self.since?;
        let (count, all_news) = self.channels.entry(channel.to_owned()).or_insert((0, true));
        *count += 1;
        *all_news &= !is_known;
        (*count == REPLAYED && *all_news).then_some(since)
    }
}

impl Link {
    /// Connects and joins every channel.
    pub(super) async fn open(settings: &BridgeSettings, since: Option<u64>) -> Result<Self, LinkEnd> {
        let within = settings.answer_within;
        let late = |_| LinkEnd::Late(within.as_secs());
        let stream = timeout(within, connect(settings)).await.map_err(late)??;
        let mut link = Self { stream, next_reference: 1, early: Vec::new(), replays: Replays::new(since) };
        timeout(within, link.join_all(settings, since)).await.map_err(late)??;
        Ok(link)
    }

    async fn join_all(&mut self, settings: &BridgeSettings, since: Option<u64>) -> Result<(), LinkEnd> {
        let mut open: HashMap<String, &str> = HashMap::new();
        for Listen { remote, .. } in &settings.listen {
            let reference = self.reference();
            open.insert(reference.to_string(), remote);
            self.send(wire::join(reference, remote, settings.key.expose_secret(), since)).await?;
        }
        while !open.is_empty() {
            match self.read().await? {
                Incoming::Reply { reference, is_ok, reason } => match open.remove(&reference) {
                    Some(channel) if !is_ok => return Err(LinkEnd::Refused { channel: channel.to_owned(), reason }),
                    _ => {}
                },
                Incoming::Closed { topic } => return Err(LinkEnd::Closed(topic)),
                other => self.early.push(other),
            }
        }
        Ok(())
    }

    /// Tells the hub what is heard, until the link is over.
    pub(super) async fn pass_on(
        &mut self,
        settings: &BridgeSettings,
        hub: &Hub,
        heard: &mut Heard,
    ) -> Result<std::convert::Infallible, LinkEnd> {
        for message in std::mem::take(&mut self.early) {
            tell(message, settings, hub, heard, &mut self.replays)?;
        }
        let mut beat_at = Instant::now() + settings.heartbeat;
        let mut unanswered: Option<String> = None;
        loop {
            tokio::select! {
                message = self.read() => match message? {
                    Incoming::Reply { reference, .. } => {
                        if unanswered.as_ref() == Some(&reference) {
                            unanswered = None;
                        }
                    }
                    other => tell(other, settings, hub, heard, &mut self.replays)?,
                },
                () = tokio::time::sleep_until(beat_at) => {
                    if unanswered.is_some() {
                        return Err(LinkEnd::Silent);
                    }
                    let reference = self.reference();
                    self.send(wire::heartbeat(reference)).await?;
                    unanswered = Some(reference.to_string());
                    beat_at = Instant::now() + settings.heartbeat;
                }
            }
        }
    }

    fn reference(&mut self) -> u64 {
        self.next_reference += 1;
        self.next_reference
    }

    async fn send(&mut self, text: String) -> Result<(), LinkEnd> {
        let sent = timeout(WRITE_DEADLINE, self.stream.send(Message::text(text))).await;
        sent.map_err(|_| LinkEnd::Broken("it takes no more frames".to_owned()))?.map_err(broken)
    }

    /// The next frame that can be read. Safe to be dropped while it waits.
    async fn read(&mut self) -> Result<Incoming, LinkEnd> {
        loop {
            let read = match self.stream.next().await {
                Some(Ok(Message::Text(text))) => wire::read_text(&text),
                Some(Ok(Message::Binary(bytes))) => wire::read_binary(&bytes),
                Some(Ok(Message::Close(_))) | None => return Err(LinkEnd::Ended),
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(broken(error)),
            };
            match read {
                Some(message) => return Ok(message),
                None => counter!("realtime_bridge_unreadable_total").increment(1),
            }
        }
    }
}

async fn connect(settings: &BridgeSettings) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, LinkEnd> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // When another thread was faster, its provider serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    // The key goes in a header, so that it stands in no log of addresses.
    let mut request =
        format!("{}?vsn=2.0.0", settings.socket_url).into_client_request().map_err(|_| LinkEnd::Address(settings.socket_url.clone()))?;
    let key = HeaderValue::from_str(settings.key.expose_secret())
        .map_err(|_| LinkEnd::Broken("the key holds signs that no header may hold".to_owned()))?;
    request.headers_mut().insert("x-api-key", key.clone());
    request.headers_mut().insert("apikey", key);
    let config = WebSocketConfig::default().max_frame_size(Some(MAX_FRAME)).max_message_size(Some(MAX_FRAME));
    let (stream, _) = tokio_tungstenite::connect_async_with_config(request, Some(config), true).await.map_err(broken)?;
    Ok(stream)
}

fn broken(error: tokio_tungstenite::tungstenite::Error) -> LinkEnd {
    LinkEnd::Broken(error.to_string())
}

fn tell(message: Incoming, settings: &BridgeSettings, hub: &Hub, heard: &mut Heard, replays: &mut Replays) -> Result<(), LinkEnd> {
    match message {
        Incoming::Broadcast { topic, event, payload, meta_id, is_replayed } => {
            let publish = |event: &str, payload: &Value| {
                for room in settings.listen.iter().filter(|listen| listen.remote == topic) {
                    let (topic, event, payload) = (Topic::public(room.local.clone()), event.to_owned(), payload.clone());
                    hub.publish(Outgoing::Broadcast { topic, event, payload, sequence: None });
                }
            };
            let is_news = heard.is_news(&payload, meta_id.as_deref());
            if is_news {
                counter!("realtime_bridge_received_total").increment(1);
                publish(&event, &payload);
            }
            if is_replayed && let Some(since) = replays.note(&topic, !is_news && !heard.is_own(&payload)) {
                counter!("realtime_bridge_gaps_total").increment(1);
                tracing::warn!(channel = topic, since, "more may have been said in a bridged channel than the project remembers");
                publish("replay_incomplete", &json!({ "channel": topic, "since": since }));
            }
        }
        Incoming::Closed { topic } => return Err(LinkEnd::Closed(topic)),
        Incoming::System { is_ok: false, message } => tracing::warn!(message, "Supabase says of a bridged channel that something is wrong"),
        Incoming::System { .. } | Incoming::Reply { .. } | Incoming::Other => {}
    }
    Ok(())
}
