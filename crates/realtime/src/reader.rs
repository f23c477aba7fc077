//! The reading side of one socket: bytes become whole messages. It holds no memory while the client is silent.

use std::io;

use actix_http::ws::{Codec, Frame, Item, ProtocolError};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use tokio::net::TcpStream;
use tokio_util::codec::Decoder;

/// Room for one reading.
const READ_BYTES: usize = 4 * 1024;
/// The longest head of a frame.
const HEAD_BYTES: usize = 14;

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Text(ByteString),
    Binary(Bytes),
    Ping(Bytes),
    Pong,
    Close,
}

pub(crate) struct Reader {
    buffer: BytesMut,
    codec: Codec,
    most: usize,
    parts: Option<Box<Parts>>,
}

/// The beginning of a message that comes in several frames.
struct Parts {
    is_text: bool,
    bytes: BytesMut,
}

impl Reader {
    /// Begins with what has been read already; no message may be longer than `most` bytes.
    pub(crate) fn new(buffer: BytesMut, most: usize) -> Self {
        Self { buffer, codec: Codec::new().max_size(most), most, parts: None }
    }

    /// Waits for bytes; there are none when the client has ended. Safe to cancel.
    pub(crate) async fn fill(&mut self, stream: &TcpStream) -> io::Result<usize> {
        loop {
            stream.readable().await?;
            self.buffer.reserve(READ_BYTES);
            match stream.try_read_buf(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// The next message of those that are there.
    pub(crate) fn next(&mut self) -> Result<Option<Heard>, ProtocolError> {
        while let Some(frame) = self.codec.decode(&mut self.buffer)? {
            match frame {
                Frame::Text(bytes) => return text(bytes).map(Some),
                Frame::Binary(bytes) => return Ok(Some(Heard::Binary(bytes))),
                Frame::Ping(bytes) => return Ok(Some(Heard::Ping(bytes))),
                Frame::Pong(_) => return Ok(Some(Heard::Pong)),
                Frame::Close(_) => return Ok(Some(Heard::Close)),
                Frame::Continuation(item) => {
                    if let Some(heard) = self.join(item)? {
                        return Ok(Some(heard));
                    }
                }
            }
        }
        if self.buffer.len() > self.most + HEAD_BYTES {
            return Err(ProtocolError::Overflow);
        }
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        Ok(None)
    }

    fn join(&mut self, item: Item) -> Result<Option<Heard>, ProtocolError> {
        let (bytes, is_last) = match item {
            Item::FirstText(bytes) | Item::FirstBinary(bytes) if self.parts.is_some() => (bytes, false),
            Item::FirstText(bytes) => {
                self.parts = Some(Box::new(Parts { is_text: true, bytes: BytesMut::new() }));
                (bytes, false)
            }
            Item::FirstBinary(bytes) => {
                self.parts = Some(Box::new(Parts { is_text: false, bytes: BytesMut::new() }));
                (bytes, false)
            }
            Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
        };
        let Some(parts) = &mut self.parts else { return Err(ProtocolError::ContinuationNotStarted) };
        if parts.bytes.len() + bytes.len() > self.most {
            return Err(ProtocolError::Overflow);
        }
        parts.bytes.extend_from_slice(&bytes);
        if !is_last {
            return Ok(None);
        }
        let Some(parts) = self.parts.take() else { return Ok(None) };
        let bytes = parts.bytes.freeze();
        if parts.is_text { text(bytes).map(Some) } else { Ok(Some(Heard::Binary(bytes))) }
    }
}

fn text(bytes: Bytes) -> Result<Heard, ProtocolError> {
    ByteString::try_from(bytes)
        .map(Heard::Text)
        .map_err(|_| ProtocolError::Io(io::Error::new(io::ErrorKind::InvalidData, "a text is not UTF-8")))
}
