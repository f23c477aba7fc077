//! How much one process, one socket and one message may take. Everything that could grow is bounded
//! here, so that one loud client cannot slow the others down.

use std::time::Duration;

/// Bounds of the hub; the defaults suit one process of 2 cores.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open sockets in this process.
    pub connections: usize,
    /// Open sockets of one tenant in this process.
    pub tenant_connections: usize,
    /// Open sockets in this process of one person who belongs to no tenant. An API key without a tenant may have as many as a tenant, because
    /// many people may stand behind it.
    pub account_connections: usize,
    /// Open sockets in this process of visitors, and of people who came with the key of visitors and signed in on their channels.
    pub visitor_connections: usize,
    /// Joins per second on all sockets of one tenant; twice as many may come in one burst.
    pub tenant_joins_per_second: u32,
    /// Messages per second from all sockets of one tenant; ten times as many may come in one burst.
    pub tenant_messages_per_second: u32,
    /// Joined channels on one socket.
    pub channels: usize,
    /// Joins per second on one socket; as many may come in one burst.
    pub joins_per_second: u32,
    /// Messages per second from one socket; ten times as many may come in one burst.
    pub messages_per_second: u32,
    /// Bytes in one frame or HTTP body from a client.
    pub payload_bytes: usize,
    /// Bytes in the state that one member shows as presence.
    pub presence_bytes: usize,
    /// `postgres_changes` entries of one channel.
    pub bindings: usize,
    /// Messages that wait for one socket; see [`crate::hub::Hub::publish`] for what happens then.
    pub queue: usize,
    /// Sequenced messages remembered per room, and of all changes together.
    pub history_messages: usize,
    /// Bytes remembered per room; for all changes together sixty-four times this.
    pub history_bytes: usize,
    /// Rooms that are remembered at all.
    pub history_rooms: usize,
    /// When the process stops, its sockets are closed one after the other within this time, so that not all clients come back at once.
    pub drain: Duration,
    /// A client that does not take what was written to it within this time is given up.
    pub write_deadline: Duration,
    /// A client that sends nothing, not even a pong, within this time is gone.
    pub silence: Duration,
    /// How often a ping asks whether the client is still there.
    pub ping: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            tenant_connections: 2_000,
            account_connections: 200,
            visitor_connections: 5_000,
            tenant_joins_per_second: 500,
            tenant_messages_per_second: 500,
            channels: 100,
            joins_per_second: 100,
            messages_per_second: 100,
            payload_bytes: 256 * 1024,
            presence_bytes: 16 * 1024,
            bindings: 100,
            queue: 256,
            history_messages: 1_024,
            history_bytes: 256 * 1024,
            history_rooms: 512,
            drain: Duration::from_millis(1_500),
            write_deadline: Duration::from_secs(5),
            silence: Duration::from_secs(60),
            ping: Duration::from_secs(25),
        }
    }
}

/// A token bucket: `rate` per second, `burst` at once.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: f64,
    burst: f64,
    left: f64,
    filled_at: Duration,
}

impl Bucket {
    /// A full bucket at `now` (time since the Unix epoch).
    pub(crate) fn new(rate: u32, burst: u32, now: Duration) -> Self {
        Self { rate: f64::from(rate), burst: f64::from(burst), left: f64::from(burst), filled_at: now }
    }

    /// Takes one token; `false` when there is none.
    pub(crate) fn take(&mut self, now: Duration) -> bool {
        self.take_all(1, now)
    }

    /// Takes so many tokens, or none of them; `false` when there are fewer.
    pub(crate) fn take_all(&mut self, count: usize, now: Duration) -> bool {
        self.fill(now);
        let count = u32::try_from(count).map_or(f64::INFINITY, f64::from);
        let has_enough = self.left >= count;
        self.left -= if has_enough { count } else { 0.0 };
        has_enough
    }

    /// Whether nothing is missing: then it need not be remembered.
    pub(crate) fn is_full(&mut self, now: Duration) -> bool {
        self.fill(now);
        self.left >= self.burst
    }

    fn fill(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.filled_at).as_secs_f64();
        self.left = (self.left + elapsed * self.rate).min(self.burst);
        self.filled_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_allows_its_burst_and_then_its_rate() {
        let start = Duration::from_secs(1_000);
        let mut bucket = Bucket::new(10, 3, start);
        assert_eq!((0..5).filter(|_| bucket.take(start)).count(), 3);
        assert!(bucket.take(start + Duration::from_millis(150)));
        assert!(!bucket.take(start + Duration::from_millis(150)));
    }
}
