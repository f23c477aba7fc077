//! Why a peer did not do what was asked, in words that an operator can act on.

use std::fmt;

/// A call to a peer that failed, after its retries.
#[derive(Debug, thiserror::Error)]
#[error("{}", sentence(self))]
pub struct PeerError {
    /// The called service.
    pub peer: &'static str,
    /// What was asked of it, such as `score`.
    pub operation: &'static str,
    /// What went wrong.
    pub kind: PeerErrorKind,
    /// How often the call was repeated before giving up.
    pub retried: u32,
    /// What the HTTP client said, if it was involved.
    #[source]
    pub source: Option<reqwest::Error>,
}

/// The ways a call can fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerErrorKind {
    /// No connection could be made: the peer did not see the request.
    Unreachable,
    /// No answer in the time given: the peer may or may not have acted.
    TimedOut,
    /// The peer answered with a status other than success.
    Refused {
        /// HTTP status.
        status: u16,
        /// The stable `code` of the problem document, when there was one.
        code: Option<String>,
        /// What the peer said, its field errors included.
        detail: String,
    },
    /// The connection broke off, or the answer was too large or not of the agreed shape. The peer may have acted.
    Broken {
        /// What was wrong.
        reason: String,
    },
    /// The peer failed too often just now, so it was not called.
    CircuitOpen,
}

impl PeerError {
    /// Whether the same call may succeed later: the peer was down or busy, rather than unwilling.
    #[must_use]
    pub fn may_succeed_later(&self) -> bool {
        match &self.kind {
            PeerErrorKind::Unreachable | PeerErrorKind::TimedOut | PeerErrorKind::CircuitOpen | PeerErrorKind::Broken { .. } => true,
            PeerErrorKind::Refused { status, .. } => *status >= 500 || matches!(status, 408 | 429),
        }
    }

    /// Whether the peer is to blame: such failures open the circuit.
    pub(crate) fn is_failure_of_the_peer(&self) -> bool {
        match &self.kind {
            // A 500 is an answer about one request, and one bad request must not shut out all others.
            PeerErrorKind::Refused { status, .. } => matches!(status, 502..=504),
            PeerErrorKind::CircuitOpen => false,
            PeerErrorKind::Unreachable | PeerErrorKind::TimedOut | PeerErrorKind::Broken { .. } => true,
        }
    }
}

fn sentence(error: &PeerError) -> String {
    let PeerError { peer, operation, .. } = error;
    let tried = match error.retried {
        0 => String::new(),
        retried => format!(" (tried {} times)", retried + 1),
    };
    match &error.kind {
        PeerErrorKind::Unreachable => {
            format!("cannot reach {peer} to {operation}{tried}; see that it runs and that its private URL is right")
        }
        PeerErrorKind::TimedOut => format!("{peer} took too long to {operation}{tried}"),
        PeerErrorKind::Refused { status, code, detail } => {
            let code = code.as_deref().map(|code| format!(" {code}")).unwrap_or_default();
            format!("{peer} refused to {operation} with {status}{code}{tried}: {detail}")
        }
        PeerErrorKind::Broken { reason } => format!("{peer} was asked to {operation} and gave an unusable answer{tried}: {reason}"),
        PeerErrorKind::CircuitOpen => {
            format!("{peer} was not asked to {operation}: it failed too often in the last seconds and is given a rest")
        }
    }
}

impl fmt::Display for PeerErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Refused { .. } => "refused",
            Self::Broken { .. } => "broken",
            Self::CircuitOpen => "circuit_open",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_says_who_what_and_why() {
        let refused = PeerErrorKind::Refused { status: 422, code: Some("invalid".into()), detail: "title: must not be empty".into() };
        let error = PeerError { peer: crate::RATER_APP, operation: "create a task", kind: refused, retried: 0, source: None };
        assert_eq!(error.to_string(), "rater-app refused to create a task with 422 invalid: title: must not be empty");
        let error = PeerError { kind: PeerErrorKind::Unreachable, retried: 2, ..error };
        assert_eq!(
            error.to_string(),
            "cannot reach rater-app to create a task (tried 3 times); see that it runs and that its private URL is right"
        );
    }
}
