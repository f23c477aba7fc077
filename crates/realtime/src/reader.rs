//! The reading side of one socket: bytes become whole messages, and what is none ends the socket with the code that RFC 6455 has for it. It holds
//! no memory while the client is silent.

#[cfg(test)]
mod tests;

use std::io;

use actix_http::ws::{CloseCode, OpCode, Parser, ProtocolError};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use tokio::net::TcpStream;

use crate::end::End;

/// Room for one reading.
const READ_BYTES: usize = 4 * 1024;
/// Most bytes in a control frame.
const CONTROL_BYTES: u8 = 125;

/// What a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Text(ByteString),
    Binary(Bytes),
    Ping(Bytes),
    Pong,
    Close,
}

pub(crate) struct Reader {
    buffer: BytesMut,
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
        Self { buffer, most, parts: None }
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
    ///
    /// # Errors
    /// What the client must be told of bytes that are no message. Nothing can be read after it.
    pub(crate) fn next(&mut self) -> Result<Option<Heard>, End> {
        loop {
            check_head(&self.buffer, self.most)?;
            let parsed = Parser::parse(&mut self.buffer, true, self.most).map_err(|error| self.end_of(&error))?;
            let Some((is_last, code, bytes)) = parsed else { break };
            let bytes = bytes.map(BytesMut::freeze).unwrap_or_default();
            let heard = match code {
                OpCode::Ping => Some(Heard::Ping(bytes)),
                OpCode::Pong => Some(Heard::Pong),
                OpCode::Close => Some(goodbye(&bytes)?),
                OpCode::Text | OpCode::Binary => self.begin(code == OpCode::Text, bytes, is_last)?,
                OpCode::Continue | OpCode::Bad => self.go_on(&bytes, is_last)?,
            };
            if heard.is_some() {
                return Ok(heard);
            }
        }
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        Ok(None)
    }

    fn begin(&mut self, is_text: bool, bytes: Bytes, is_last: bool) -> Result<Option<Heard>, End> {
        if self.parts.is_some() {
            return Err(End::misspoken("a message began before the last one had ended"));
        }
        if is_last {
            return whole(is_text, bytes).map(Some);
        }
        self.parts = Some(Box::new(Parts { is_text, bytes: BytesMut::from(bytes) }));
        Ok(None)
    }

    fn go_on(&mut self, bytes: &[u8], is_last: bool) -> Result<Option<Heard>, End> {
        let Some(parts) = &mut self.parts else { return Err(End::misspoken("a continuation came of no message")) };
        if parts.bytes.len() + bytes.len() > self.most {
            return Err(End::too_large(self.most));
        }
        parts.bytes.extend_from_slice(bytes);
        if !is_last {
            return Ok(None);
        }
        let Some(parts) = self.parts.take() else { return Ok(None) };
        whole(parts.is_text, parts.bytes.freeze()).map(Some)
    }

    /// The head was checked before, so hardly any of these can come.
    fn end_of(&self, error: &ProtocolError) -> End {
        match error {
            ProtocolError::Overflow => End::too_large(self.most),
            error => End::misspoken(&error.to_string()),
        }
    }
}

/// Looks at the head of the first frame, as far as it is there: a client that is wrong is told so before the rest comes.
fn check_head(buffer: &[u8], most: usize) -> Result<(), End> {
    let Some(&first) = buffer.first() else { return Ok(()) };
    if first & 0b0111_0000 != 0 {
        return Err(End::misspoken("a reserved bit is set, and no extension was agreed"));
    }
    let (is_last, code) = (first & 0b1000_0000 != 0, first & 0b0000_1111);
    if matches!(code, 3..=7 | 11..) {
        return Err(End::misspoken(&format!("there is no opcode {code}")));
    }
    let is_control = code >= 8;
    if is_control && !is_last {
        return Err(End::misspoken("a control frame came in parts"));
    }
    let Some(&second) = buffer.get(1) else { return Ok(()) };
    if second & 0b1000_0000 == 0 {
        return Err(End::misspoken("a frame was not masked"));
    }
    let short = second & 0b0111_1111;
    if is_control && short > CONTROL_BYTES {
        return Err(End::misspoken(&format!("a control frame has more than {CONTROL_BYTES} bytes")));
    }
    let bytes = match short {
        126 => 2,
        127 => 8,
        _ => return if usize::from(short) > most { Err(End::too_large(most)) } else { Ok(()) },
    };
    let Some(length) = buffer.get(2..2 + bytes) else { return Ok(()) };
    let length = length.iter().fold(0_u64, |length, &byte| length << 8 | u64::from(byte));
    if length > u64::MAX >> 1 {
        return Err(End::misspoken("the first bit of a length is set"));
    }
    if usize::try_from(length).is_ok_and(|length| length <= most) { Ok(()) } else { Err(End::too_large(most)) }
}

fn whole(is_text: bool, bytes: Bytes) -> Result<Heard, End> {
    if !is_text {
        return Ok(Heard::Binary(bytes));
    }
    ByteString::try_from(bytes).map(Heard::Text).map_err(|_| End::new(CloseCode::Invalid, "a text is not UTF-8"))
}

/// What a client says at its end: nothing, or a code and words.
fn goodbye(bytes: &[u8]) -> Result<Heard, End> {
    let Some((code, words)) = bytes.split_first_chunk::<2>() else {
        return if bytes.is_empty() { Ok(Heard::Close) } else { Err(End::misspoken("a close frame has half a code")) };
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(End::misspoken(&format!("{code} is no code to close with")));
    }
    if std::str::from_utf8(words).is_err() {
        return Err(End::new(CloseCode::Invalid, "the reason of a close frame is not UTF-8"));
    }
    Ok(Heard::Close)
}
