//! One socket from upgrade to close. A single loop owns every await: the client's frames, the timer, what could not be written at once and the
//! two ways of being asked to stop. What others say is not awaited here: the worker's [`WorkerSockets`] writes it.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use actix_http::ws::CloseCode;
use bytes::BytesMut;
use futures_util::FutureExt as _;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::end::{End, said};
use crate::hub::{Connection, Hub, Place, now};
use crate::protocol::{Answer, Protocol};
use crate::reader::{Heard, Reader};
use crate::upgrade::Handed;
use crate::worker::{self, WorkerSockets};
use crate::writer::SocketWriter;

/// Clients of a process that stops are asked to come back within this time after the first second, in milliseconds.
const RETURN_MS: u64 = 4_000;
/// Room for the envelope around the largest payload.
const ENVELOPE_BYTES: usize = 16 * 1024;
/// How long a client is waited for that has to take what is left of its messages and the close frame.
const LAST_WRITE: Duration = Duration::from_secs(1);
/// How long a client that was told of the end may take to end as well; who reads it would lose it if we went at once.
const GOODBYE: Duration = Duration::from_millis(500);

/// What the timer keeps in mind.
struct Clock {
    heard_at: Instant,
    ping_at: Instant,
    /// When the socket is closed because the process stops, and when the client is to come back then, in milliseconds.
    closing: Option<(Instant, u64)>,
}

/// One socket at work.
struct Socket {
    hub: Hub,
    writer: Rc<SocketWriter>,
    reader: Reader,
    clock: Clock,
    evicted: CancellationToken,
}

/// Serves one socket until it ends, then frees its place and its channels and logs one line.
pub(crate) async fn serve(hub: Hub, worker: Rc<WorkerSockets>, connection: Connection, token: String, handed: Handed) {
    let Some((stream, read)) = handed.arrive().await else { return };
    let opened_at = Instant::now();
    let subject = connection.subscriber.identity.clone();
    let number = connection.number;
    let (mut socket, place) = Socket::new(hub, connection, token, stream, read);
    let registration = worker.register(number, Rc::clone(&socket.writer));
    // A mistake in one conversation ends that one. What it was at is not looked at again but to say goodbye, so nothing half done is used.
    let end = AssertUnwindSafe(socket.converse()).catch_unwind().await.unwrap_or_else(|panic| {
        error!(panic = said(panic.as_ref()), "a socket failed and is closed");
        End::failed()
    });
    let (subject, code) = (&subject.subject, u16::from(end.code));
    info!(subject, code, reason = end.reason, open_seconds = opened_at.elapsed().as_secs(), "websocket closed: {}", end.reason);
    drop(registration);
    Box::pin(socket.finish(end, place)).await;
}

/// Frames of a client that are answered before others have had their turn: far fewer than wait for one of them (see [`crate::limits::Limits::queue`]).
const AT_ONCE: usize = 64;

impl Socket {
    fn new(hub: Hub, connection: Connection, token: String, stream: TcpStream, read: BytesMut) -> (Self, Place) {
        let Connection { subscriber, inbox, place, .. } = connection;
        let most = hub.limits().payload_bytes.saturating_add(ENVELOPE_BYTES);
        let clock = Clock { heard_at: Instant::now(), ping_at: Instant::now() + hub.limits().ping, closing: None };
        let evicted = subscriber.evicted.clone();
        let protocol = Protocol::new(hub.clone(), subscriber, token, now());
        let writer = Rc::new(SocketWriter::new(stream, protocol, inbox));
        (Self { hub, writer, reader: Reader::new(read, most), clock, evicted }, place)
    }

    async fn converse(&mut self) -> End {
        // What came with the upgrade.
        if let Err(end) = self.answer().await {
            return end;
        }
        let (hub, evicted) = (self.hub.clone(), self.evicted.clone());
        let mut stopping = pin!(hub.shutdown().cancelled());
        let mut evicted = pin!(evicted.cancelled());
        let mut timer = pin!(sleep_until(self.wake_at()));
        loop {
            let is_stuck = self.writer.stuck_since().is_some();
            let step = tokio::select! {
                () = &mut stopping, if self.clock.closing.is_none() => {
                    let reconnect_after = self.clock.close_within(hub.limits().drain);
                    self.writer.send(self.writer.with(|protocol| protocol.announce_end(reconnect_after)));
                    Ok(())
                }
                () = &mut evicted => {
                    Err(End::new(CloseCode::Restart, "your access has changed; please reconnect"))
                }
                // Whoever does not take the answers is asked nothing more.
                read = self.reader.fill(&self.writer.stream), if !is_stuck => match read {
                    Ok(count) if count > 0 => {
                        self.clock.heard_at = Instant::now();
                        self.answer().await
                    }
                    _ => Err(End::lost()),
                },
                news = self.writer.attend() => match news {
                    Ok(()) => self.answer().await,
                    Err(end) => Err(end),
                },
                () = &mut timer => self.tick(),
            };
            if let Err(end) = step {
                return end;
            }
            timer.as_mut().reset(self.wake_at());
        }
    }

    /// Answers what the client has sent, until it does not take the answers.
    async fn answer(&mut self) -> Result<(), End> {
        let mut answered = 0;
        while self.writer.stuck_since().is_none() {
            answered += 1;
            if answered % AT_ONCE == 0 {
                // Others hear what this one says: their queues are emptied before the next ones come.
                tokio::time::sleep(worker::LONGEST_REST + Duration::from_millis(1)).await;
            }
            let answer = match self.reader.next() {
                Ok(None) => return Ok(()),
                Ok(Some(Heard::Text(text))) => self.writer.with(|protocol| protocol.receive_text(&text, now())),
                Ok(Some(Heard::Binary(bytes))) => self.writer.with(|protocol| protocol.receive_binary(&bytes, now())),
                Ok(Some(Heard::Ping(bytes))) => {
                    self.writer.pong(bytes);
                    Answer::default()
                }
                Ok(Some(Heard::Pong)) => Answer::default(),
                Ok(Some(Heard::Close)) => return Err(End::new(CloseCode::Normal, "closed by the client")),
                Err(end) => return Err(end),
            };
            self.writer.send(answer.frames);
            if let Some(refusal) = answer.close {
                return Err(End::new(CloseCode::Away, &refusal.to_string()));
            }
        }
        Ok(())
    }

    /// The earliest of all that the timer waits for.
    fn wake_at(&self) -> Instant {
        let limits = self.hub.limits();
        let expiry = u64::try_from(self.writer.with(|protocol| protocol.next_expiry())).unwrap_or(0);
        let until_expiry = Duration::from_secs(expiry).saturating_sub(now());
        let fixed = [self.clock.ping_at, self.clock.heard_at + limits.silence, Instant::now() + until_expiry];
        let stuck = self.writer.stuck_since().map(|since| since + limits.write_deadline);
        let closing = self.clock.closing.map(|(at, _)| at);
        fixed.into_iter().chain(stuck).chain(closing).min().unwrap_or_else(Instant::now)
    }

    fn tick(&mut self) -> Result<(), End> {
        let limits = self.hub.limits();
        if let Some((closing_at, reconnect_after)) = self.clock.closing
            && closing_at <= Instant::now()
        {
            let reason = format!("the server is restarting; please reconnect in {reconnect_after} ms");
            return Err(End::new(CloseCode::Restart, &reason));
        }
        if self.writer.stuck_since().is_some_and(|since| since.elapsed() >= limits.write_deadline) {
            return Err(End::too_slow());
        }
        if self.clock.heard_at.elapsed() >= limits.silence {
            let reason = format!("nothing was heard for {} seconds", limits.silence.as_secs_f64());
            return Err(End::new(CloseCode::Away, &reason));
        }
        self.writer.send(self.writer.with(|protocol| protocol.expire(now())));
        if self.clock.ping_at <= Instant::now() {
            self.clock.ping_at = Instant::now() + limits.ping;
            self.writer.ping();
        }
        Ok(())
    }

    /// Says goodbye. The place is free from now on: a peer that has stopped reading cannot be told, and would hold it for as long as it is
    /// waited for. Dropping the socket ends the connection.
    async fn finish(self, end: End, place: Place) {
        drop(place);
        self.writer.close(&end);
        let told = timeout(self.hub.limits().write_deadline.min(LAST_WRITE), self.writer.emptied()).await;
        let Ok(mut writer) = Rc::try_unwrap(self.writer) else { return };
        if told.is_ok() && writer.stream.shutdown().await.is_ok() {
            let rest = async {
                let mut discarded = [0; 1024];
                while writer.stream.readable().await.is_ok() {
                    match writer.stream.try_read(&mut discarded) {
                        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                        Ok(count) if count > 0 => {}
                        _ => break,
                    }
                }
            };
            // Whether the client has ended or the time is over, the connection ends.
            let _ = timeout(GOODBYE, rest).await;
        }
    }
}

impl Clock {
    /// Chooses a moment within this time at which the socket is closed, and one after it for the client's return. Both are drawn, so that
    /// the clients of a process that stops do not come back in one instant.
    fn close_within(&mut self, most: Duration) -> u64 {
        let drawn = uuid::Uuid::new_v4().as_u128();
        let most_ms = u64::try_from(most.as_millis()).unwrap_or(u64::MAX).max(1);
        let part = |bits: u128, of: u64| u64::try_from(bits % u128::from(of)).unwrap_or(0);
        let reconnect_after = 1_000 + part(drawn >> 64, RETURN_MS);
        self.closing = Some((Instant::now() + Duration::from_millis(part(drawn & u128::from(u64::MAX), most_ms)), reconnect_after));
        reconnect_after
    }
}
