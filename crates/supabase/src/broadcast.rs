//! Broadcasts into the project's channels by plain HTTP (`POST /realtime/v1/api/broadcast`): no channel has to be joined for it, so that rooms of
//! any number of raters cost no socket. The answer 202 says that the project has taken the messages.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::Value;

use crate::key::KeyKind;
use crate::project::Project;

/// Messages in one request, as the project allows.
pub const MOST: usize = 100;

/// Longest wait for an answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// A message to a channel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// The channel, without the `realtime:` prefix.
    pub topic: String,
    /// What clients listen for.
    pub event: String,
    /// An object.
    pub payload: Value,
    /// Whether the project's policies decide who hears it.
    pub private: bool,
}

/// Why messages were not taken.
#[derive(Debug, thiserror::Error)]
pub enum BroadcastError {
    /// No answer: a connection that cannot be made, that breaks, or that takes too long.
    #[error("the project does not answer: {0}")]
    Unreachable(String),
    /// Another answer than 202.
    #[error("the project answered {status}: {text}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Beginning of the body.
        text: String,
    },
}

#[derive(Serialize)]
struct Batch<'a> {
    messages: &'a [Message],
}

impl Project {
    /// Sends messages, at most [`MOST`]; whether they reached anybody is not known, and a repeated request repeats them.
    ///
    /// # Errors
    /// [`BroadcastError`].
    pub async fn broadcast(&self, messages: &[Message]) -> Result<(), BroadcastError> {
        let key = self.service_key.as_ref().unwrap_or(&self.anon_key).expose_secret();
        let mut request = self.client.post(format!("{}/realtime/v1/api/broadcast", self.base_url)).header("apikey", key).timeout(DEADLINE);
        if KeyKind::of(key).is_token() {
            request = request.bearer_auth(key);
        }
        let sent = request.json(&Batch { messages }).send().await;
        let answer = sent.map_err(|reason| BroadcastError::Unreachable(reason.without_url().to_string()))?;
        let status = answer.status().as_u16();
        if status == 202 {
            return Ok(());
        }
        let text = answer.text().await.unwrap_or_default();
        Err(BroadcastError::Refused { status, text: text.chars().take(200).collect() })
    }

    /// Where its sockets are: `wss://PROJECT.supabase.co/realtime/v1/websocket`.
    #[must_use]
    pub fn socket_url(&self) -> String {
        let address = self.base_url.strip_prefix("http").unwrap_or(&self.base_url);
        format!("ws{address}/realtime/v1/websocket")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;
    use testkit::supabase::{Fault, Part, Project as StandIn};

    use super::*;

    fn project(url: &str) -> Project {
        Project::from_settings(url, "sb_publishable_x".into(), Some("sb_secret_x".into()), None).unwrap()
    }

    fn message() -> Message {
        Message { topic: "tasks".to_owned(), event: "task_changed".to_owned(), payload: json!({}), private: true }
    }

    #[tokio::test]
    async fn messages_go_out_under_the_service_key() {
        let stand_in = StandIn::start();
        project(&stand_in.url).broadcast(&[message()]).await.unwrap();
        let held = stand_in.held();
        assert_eq!(held.messages[0]["event"], "task_changed");
        assert_eq!((held.requests[0].path.as_str(), held.requests[0].header("apikey")), ("/realtime/v1/api/broadcast", "sb_secret_x"));
    }

    #[tokio::test]
    async fn everything_but_202_is_an_error_that_says_so() {
        let stand_in = StandIn::start();
        stand_in.break_down(Part::Realtime, Fault::Status(429));
        let refused = project(&stand_in.url).broadcast(&[message()]).await.unwrap_err();
        assert!(matches!(refused, BroadcastError::Refused { status: 429, .. }), "{refused}");
        let gone = project("http://127.0.0.1:1").broadcast(&[message()]).await.unwrap_err();
        assert!(matches!(gone, BroadcastError::Unreachable(_)) && !gone.to_string().contains("sb_secret"), "{gone}");
    }

    #[test]
    fn sockets_are_at_the_same_host() {
        assert_eq!(project("http://127.0.0.1:5").socket_url(), "ws://127.0.0.1:5/realtime/v1/websocket");
    }
}
