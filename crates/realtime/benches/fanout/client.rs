//! A thousand subscribers and one publisher in a closed loop: a new message when at most three are on their way, so that a server is never
//! asked for more than it can.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::bench::quantile;
use crate::process::{Kind, Process};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Messages on their way at most.
const WINDOW: u64 = 4;
/// Connections being opened at once.
const OPENING: usize = 64;
const PAYLOAD: usize = 200;

/// What one turn of one server came to.
pub struct Turn {
    pub deliveries: u64,
    pub lost: u64,
    pub p99_ms: f64,
    cpu: Duration,
    wall: Duration,
}

impl Turn {
    pub fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.deliveries.max(1) as f64
    }

    pub fn per_second(&self) -> f64 {
        self.deliveries as f64 / self.wall.as_secs_f64()
    }
}

#[derive(Default)]
struct Seen {
    deliveries: Cell<u64>,
    /// Messages that all subscribers have.
    complete: Cell<u64>,
    counts: RefCell<HashMap<u64, usize>>,
    times_us: RefCell<Vec<f64>>,
    progress: Notify,
}

async fn open(process: &Process, path: &str) -> Result<Socket> {
    let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
    let url = format!("ws://127.0.0.1:{}{path}", process.port);
    let (socket, _) = connect_async_with_config(url, Some(config), true).await.context("opening a socket")?;
    Ok(socket)
}

/// A subscriber that is in the room.
async fn subscribe(process: &Process) -> Result<Socket> {
    if matches!(process.kind, Kind::Nats(_)) {
        let mut socket = nats(process).await?;
        socket.send(Message::binary("SUB room 1\r\nPING\r\n")).await?;
        heard(&mut socket, "PONG").await?;
        return Ok(socket);
    }
    if !process.kind.is_endcap() {
        return open(process, "/").await;
    }
    let mut socket = open(process, "/realtime/v1/websocket?apikey=key&vsn=2.0.0").await?;
    let join = json!(["1", "1", "realtime:room", "phx_join", {"config": {}}]);
    socket.send(Message::text(join.to_string())).await?;
    let reply = socket.next().await.context("an answer to the join")??;
    ensure!(reply.to_text()?.contains("\"ok\""), "refused: {reply}");
    Ok(socket)
}

/// A client of NATS, which is greeted and greets.
async fn nats(process: &Process) -> Result<Socket> {
    let mut socket = open(process, "/").await?;
    heard(&mut socket, "INFO").await?;
    socket.send(Message::binary("CONNECT {\"verbose\":false,\"pedantic\":false}\r\n")).await?;
    Ok(socket)
}

/// Reads until a frame begins so.
async fn heard(socket: &mut Socket, start: &str) -> Result<()> {
    loop {
        let message = socket.next().await.context("an answer")??;
        if message.into_data().starts_with(start.as_bytes()) {
            return Ok(());
        }
    }
}

async fn subscribers(process: &Process, count: usize) -> Result<Vec<Socket>> {
    let opening = Semaphore::new(OPENING);
    let joining = (0..count).map(|_| async {
        let _permit = opening.acquire().await?;
        subscribe(process).await
    });
    futures_util::future::try_join_all(joining).await
}

/// Opens sockets that join and then only listen.
pub async fn hold(process: &Process, count: usize) -> Result<Vec<Socket>> {
    subscribers(process, count).await
}

/// One turn of one server.
pub async fn turn(process: &Process, count: usize, length: Duration) -> Result<Turn> {
    let (seen, begun) = (Rc::new(Seen::default()), Instant::now());
    let mut reading = Vec::new();
    for socket in subscribers(process, count).await? {
        let seen = Rc::clone(&seen);
        reading.push(tokio::task::spawn_local(read(socket, count, begun, seen)));
    }
    let mut publisher = match process.kind {
        Kind::Endcap | Kind::Earlier(_) => subscribe(process).await?,
        Kind::Nats(_) => nats(process).await?,
        _ => open(process, "/pub").await?,
    };
    // A peer that sends to everybody may not know all of them yet; ours knows whom it has answered.
    warm(&mut publisher, &process.kind, begun, &seen).await?;
    let (cpu, start) = (process.cpu(), Instant::now());
    let mut sent = 0;
    while start.elapsed() < length {
        while sent - seen.complete.get() >= WINDOW {
            if tokio::time::timeout(Duration::from_secs(10), seen.progress.notified()).await.is_err() {
                break;
            }
        }
        sent += 1;
        publisher.send(message(&process.kind, begun, sent)).await?;
    }
    let all = sent * u64::try_from(count)?;
    let patience = Instant::now() + Duration::from_secs(10);
    while seen.deliveries.get() < all && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (cpu, wall) = (process.cpu() - cpu, start.elapsed());
    reading.iter().for_each(tokio::task::JoinHandle::abort);
    let deliveries = seen.deliveries.get();
    let p99_ms = quantile(&mut seen.times_us.borrow_mut(), 0.99) / 1e3;
    Ok(Turn { deliveries, lost: all.saturating_sub(deliveries), p99_ms, cpu, wall })
}

/// What the publisher sends, in the server's own protocol.
fn message(kind: &Kind, begun: Instant, number: u64) -> Message {
    let text = format!("T:{}:{number};{}", begun.elapsed().as_micros(), "x".repeat(PAYLOAD));
    match kind {
        Kind::Nats(_) => Message::binary(format!("PUB room {}\r\n{text}\r\n", text.len())),
        Kind::Endcap | Kind::Earlier(_) => {
            let payload = json!({"type": "broadcast", "event": "e", "payload": {"t": text}});
            Message::text(json!(["1", "2", "realtime:room", "broadcast", payload]).to_string())
        }
        _ => Message::text(text),
    }
}

/// Sends until one message has reached all, then forgets that: order is kept, so what was sent before it has come to whomever it will.
async fn warm(publisher: &mut Socket, kind: &Kind, begun: Instant, seen: &Seen) -> Result<()> {
    for number in 0..100 {
        publisher.send(message(kind, begun, number)).await?;
        if tokio::time::timeout(Duration::from_millis(200), seen.progress.notified()).await.is_ok() {
            seen.deliveries.set(0);
            seen.complete.set(0);
            seen.counts.borrow_mut().clear();
            seen.times_us.borrow_mut().clear();
            return Ok(());
        }
    }
    anyhow::bail!("no message reaches all subscribers")
}

async fn read(mut socket: Socket, count: usize, begun: Instant, seen: Rc<Seen>) {
    while let Some(Ok(message)) = socket.next().await {
        let data = message.into_data();
        let mut rest = data.as_ref();
        // A frame of ours holds one message, one of NATS as many as came together.
        while let Some((sent_us, number, after)) = marker(rest) {
            rest = after;
            let now_us = begun.elapsed().as_micros() as f64;
            seen.times_us.borrow_mut().push(now_us - sent_us as f64);
            seen.deliveries.set(seen.deliveries.get() + 1);
            let mut counts = seen.counts.borrow_mut();
            let have = counts.entry(number).or_insert(0);
            *have += 1;
            if *have == count {
                counts.remove(&number);
                seen.complete.set(seen.complete.get() + 1);
                seen.progress.notify_one();
            }
        }
    }
}

/// `T:TIME:NUMBER;` somewhere in a frame, and what comes after the payload.
fn marker(data: &[u8]) -> Option<(u64, u64, &[u8])> {
    let start = data.windows(2).position(|two| two == b"T:")? + 2;
    let end = start + data.get(start..)?.iter().position(|&byte| byte == b';')?;
    let (time, number) = std::str::from_utf8(data.get(start..end)?).ok()?.split_once(':')?;
    Some((time.parse().ok()?, number.parse().ok()?, data.get(end + PAYLOAD..).unwrap_or_default()))
}
