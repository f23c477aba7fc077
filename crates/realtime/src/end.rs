//! Why a socket ends: the close code and the words that its client gets with it.

use std::any::Any;

use actix_http::ws::CloseCode;

/// Bytes of a reason that fit into a close frame beside its code.
const REASON_BYTES: usize = 123;

/// Why a socket ended; its code and the reason sent to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) code: CloseCode,
    pub(crate) reason: String,
}

impl End {
    pub(crate) fn new(code: CloseCode, reason: &str) -> Self {
        let reason = reason.get(..reason.floor_char_boundary(REASON_BYTES)).unwrap_or_default();
        Self { code, reason: reason.to_owned() }
    }

    /// The client does not keep to the protocol (RFC 6455, 7.4.1).
    pub(crate) fn misspoken(reason: &str) -> Self {
        Self::new(CloseCode::Protocol, reason)
    }

    pub(crate) fn too_large(most: usize) -> Self {
        Self::new(CloseCode::Size, &format!("a message may have at most {most} bytes"))
    }

    pub(crate) fn too_slow() -> Self {
        Self::new(CloseCode::Again, "this connection is too slow; read the data again")
    }

    pub(crate) fn lost() -> Self {
        Self::new(CloseCode::Away, "the connection was lost")
    }

    /// A mistake of ours, which is in the log.
    pub(crate) fn failed() -> Self {
        Self::new(CloseCode::Error, "the server failed; please reconnect")
    }
}

/// What a panic said, for the log.
pub(crate) fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words")
}
