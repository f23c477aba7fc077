//! One socket from upgrade to close. A single loop owns every await: the client's frames, the
//! queue, the timer and the two ways of being asked to stop; each write has a deadline.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, MessageStream, ProtocolError, Session};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tracing::info;

use crate::frame::Frame;
use crate::hub::{Connection, Hub, now};
use crate::protocol::{Answer, Protocol};
use crate::subscriber::{Arrival, Inbox};

/// A client that cannot take a frame within this time is given up.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);
/// A client that sends nothing, not even a pong, within this time is gone.
const IDLE: Duration = Duration::from_secs(60);
/// How often a ping asks whether the client is still there.
const PING: Duration = Duration::from_secs(25);
/// A socket to which something was written within this time is busy: what comes next waits for what follows it.
const BUSY: Duration = Duration::from_millis(250);
/// How long a busy socket's messages are gathered, so that they are written together. A quiet one never waits.
const GATHER: Duration = Duration::from_millis(5);
/// Clients of a process that stops are asked to come back within this time after the first second, in milliseconds.
const RETURN_MS: u64 = 4_000;
/// Room for the envelope around the largest payload.
const ENVELOPE_BYTES: usize = 16 * 1024;

/// Why a socket ended; its code and the reason sent to the client.
struct End {
    code: CloseCode,
    reason: String,
}

/// What the timer keeps in mind.
struct Clock {
    heard_at: Instant,
    ping_at: Instant,
    /// When the socket is closed because the process stops, and when the client is to come back then, in milliseconds.
    closing: Option<(Instant, u64)>,
}

/// Serves one socket until it ends, then frees its place and its channels and logs one line. Most sockets are idle, so what they hold is made
/// before the future, which would keep a second place for everything that it makes.
pub(crate) fn serve(
    hub: Hub,
    mut connection: Connection,
    token: String,
    mut session: Session,
    stream: MessageStream,
) -> impl Future<Output = ()> {
    let opened_at = Instant::now();
    let most = hub.limits().payload_bytes.saturating_add(ENVELOPE_BYTES);
    let mut stream = stream.max_frame_size(most).aggregate_continuations().max_continuation_size(most);
    let mut protocol = Protocol::new(hub.clone(), Arc::clone(&connection.subscriber), token, now());
    async move {
        let end = converse(&hub, &mut connection, &mut protocol, &mut session, &mut stream).await;
        drop(protocol);
        Box::pin(finish(&connection, session, end, opened_at)).await;
    }
}

async fn finish(connection: &Connection, session: Session, end: End, opened_at: Instant) {
    let (subject, code) = (&connection.subscriber.identity.subject, u16::from(end.code));
    info!(subject, code, reason = end.reason, open_seconds = opened_at.elapsed().as_secs(), "websocket closed: {}", end.reason);
    let reason = CloseReason { code: end.code, description: Some(end.reason) };
    // A peer that has stopped reading cannot be told; dropping the session ends the connection.
    let _ = timeout(WRITE_DEADLINE, session.close(Some(reason))).await;
}

async fn converse(
    hub: &Hub,
    connection: &mut Connection,
    protocol: &mut Protocol,
    session: &mut Session,
    stream: &mut AggregatedMessageStream,
) -> End {
    let subscriber = Arc::clone(&connection.subscriber);
    let mut stopping = pin!(hub.shutdown().cancelled());
    let mut evicted = pin!(subscriber.evicted.cancelled());
    let mut clock = Clock { heard_at: Instant::now(), ping_at: Instant::now() + PING, closing: None };
    let mut timer = pin!(sleep_until(clock.wake_at(protocol)));
    let (mut held, mut gathering) = (None, None);
    let mut passed_at = Instant::now();
    loop {
        let step = tokio::select! {
            () = &mut stopping, if clock.closing.is_none() => {
                let reconnect_after = clock.close_within(hub.limits().drain);
                Box::pin(write_all(protocol.announce_end(reconnect_after), session)).await
            }
            () = &mut evicted => {
                Err(End::new(CloseCode::Restart, "your access has changed; please reconnect"))
            }
            message = stream.recv() => {
                clock.heard_at = Instant::now();
                Box::pin(hear(message, protocol, session)).await
            }
            arrival = connection.inbox.next(), if gathering.is_none() => {
                if passed_at.elapsed() < BUSY {
                    // Others will follow at once: all are written together.
                    held = Some(arrival);
                    gathering = Some(Box::pin(sleep_until(Instant::now() + GATHER)));
                    continue;
                }
                passed_at = Instant::now();
                match Box::pin(pass_on(arrival, protocol, session)).await {
                    // Nothing that the timer waits for has come nearer.
                    Ok(()) => continue,
                    Err(end) => Err(end),
                }
            }
            () = gathered(&mut gathering), if gathering.is_some() => {
                gathering = None;
                passed_at = Instant::now();
                match Box::pin(pass_on_all(held.take(), &mut connection.inbox, protocol, session)).await {
                    Ok(()) => continue,
                    Err(end) => Err(end),
                }
            }
            () = &mut timer => Box::pin(clock.tick(protocol, session)).await,
        };
        if let Err(end) = step {
            return end;
        }
        timer.as_mut().reset(clock.wake_at(protocol));
    }
}

/// Answers one message of the client.
async fn hear(
    message: Option<Result<AggregatedMessage, ProtocolError>>,
    protocol: &mut Protocol,
    session: &mut Session,
) -> Result<(), End> {
    let answer = match message {
        Some(Ok(AggregatedMessage::Text(text))) => protocol.receive_text(&text, now()),
        Some(Ok(AggregatedMessage::Binary(bytes))) => protocol.receive_binary(&bytes, now()),
        Some(Ok(AggregatedMessage::Ping(bytes))) => {
            return in_time(session.pong(&bytes)).await;
        }
        Some(Ok(AggregatedMessage::Pong(_))) => Answer::default(),
        Some(Ok(AggregatedMessage::Close(_))) => {
            return Err(End::new(CloseCode::Normal, "closed by the client"));
        }
        Some(Err(ProtocolError::Overflow)) => {
            return Err(End::new(CloseCode::Size, "the frame is too large"));
        }
        Some(Err(error)) => {
            return Err(End::new(CloseCode::Protocol, &error.to_string()));
        }
        None => return Err(End::new(CloseCode::Away, "the connection was lost")),
    };
    write_all(answer.frames, session).await?;
    match answer.close {
        Some(refusal) => Err(End::new(CloseCode::Away, &refusal.to_string())),
        None => Ok(()),
    }
}

/// Waits until messages were gathered for long enough.
async fn gathered(gathering: &mut Option<Pin<Box<Sleep>>>) {
    match gathering {
        Some(sleep) => sleep.await,
        None => std::future::pending().await,
    }
}

/// Hands the held message and all that came meanwhile to the client, within the time of one write.
async fn pass_on_all(held: Option<Arrival>, inbox: &mut Inbox, protocol: &mut Protocol, session: &mut Session) -> Result<(), End> {
    let mut next = held;
    let writing = async {
        while let Some(Arrival::Delivery(delivery)) = next {
            match protocol.deliver(delivery) {
                Some(Frame::Text(text)) => session.text(text).await?,
                Some(Frame::Binary(bytes)) => session.binary(bytes).await?,
                None => {}
            }
            next = inbox.next_now();
        }
        Ok(next)
    };
    let mut other = None;
    in_time(async {
        other = writing.await?;
        Ok(())
    })
    .await?;
    match other {
        Some(arrival) => pass_on(arrival, protocol, session).await,
        None => Ok(()),
    }
}

/// Hands a message of the hub to the client.
async fn pass_on(arrival: Arrival, protocol: &mut Protocol, session: &mut Session) -> Result<(), End> {
    match arrival {
        Arrival::Delivery(delivery) => match protocol.deliver(delivery) {
            Some(frame) => write(frame, session).await,
            None => Ok(()),
        },
        Arrival::Missed(missed) => Box::pin(write_all(protocol.missed(&missed), session)).await,
        Arrival::Hopeless => Err(End::too_slow()),
    }
}

impl Clock {
    /// The earliest of the next ping, the end of the idle time and the next expiry of a token.
    fn wake_at(&self, protocol: &Protocol) -> Instant {
        let expiry = u64::try_from(protocol.next_expiry()).unwrap_or(0);
        let until_expiry = Duration::from_secs(expiry).saturating_sub(now());
        let expiry_at = Instant::now() + until_expiry;
        let next = self.ping_at.min(self.heard_at + IDLE).min(expiry_at);
        self.closing.map_or(next, |(closing_at, _)| next.min(closing_at))
    }

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

    async fn tick(&mut self, protocol: &mut Protocol, session: &mut Session) -> Result<(), End> {
        if let Some((closing_at, reconnect_after)) = self.closing
            && closing_at <= Instant::now()
        {
            let reason = format!("the server is restarting; please reconnect in {reconnect_after} ms");
            return Err(End::new(CloseCode::Restart, &reason));
        }
        if self.heard_at.elapsed() >= IDLE {
            return Err(End::new(CloseCode::Away, "nothing was heard for 60 seconds"));
        }
        write_all(protocol.expire(now()), session).await?;
        if self.ping_at <= Instant::now() {
            self.ping_at = Instant::now() + PING;
            in_time(session.ping(b"")).await?;
        }
        Ok(())
    }
}

impl End {
    fn new(code: CloseCode, reason: &str) -> Self {
        Self { code, reason: reason.to_owned() }
    }

    fn too_slow() -> Self {
        Self::new(CloseCode::Again, "this connection is too slow; read the data again")
    }
}

async fn write_all(frames: Vec<Frame>, session: &mut Session) -> Result<(), End> {
    for frame in frames {
        write(frame, session).await?;
    }
    Ok(())
}

async fn write(frame: Frame, session: &mut Session) -> Result<(), End> {
    match frame {
        Frame::Text(text) => in_time(session.text(text)).await,
        Frame::Binary(bytes) => in_time(session.binary(bytes)).await,
    }
}

async fn in_time(write: impl Future<Output = Result<(), actix_ws::Closed>>) -> Result<(), End> {
    match timeout(WRITE_DEADLINE, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::new(CloseCode::Away, "the connection was lost")),
        Err(_) => Err(End::too_slow()),
    }
}
