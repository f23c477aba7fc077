//! A small HTTP/1.1 client over one kept connection, for tests and benchmarks of services on this machine: it costs so little that a load
//! generator does not eat the processor it shares with what it measures.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Largest answer, in bytes.
const MAX_ANSWER: usize = 64 << 20;

/// A client of one server; connects when it has to.
pub struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of this name, given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

impl Client {
    /// For a server; nothing is connected yet.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, buffer: Vec::new() }
    }

    /// Sends one request and reads its answer. A connection that the server closed while it was idle is opened again once; after an error
    /// it is unknown whether the request was carried out.
    ///
    /// # Errors
    /// When the server cannot be reached, breaks off, takes over a minute, or answers what is no HTTP/1.1.
    pub async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Result<Answer> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if body.is_some() || method != "GET" {
            head.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.map_or(0, <[u8]>::len)));
        }
        head.push_str("\r\n");
        let mut request = head.into_bytes();
        request.extend_from_slice(body.unwrap_or_default());
        let done = tokio::time::timeout(TIMEOUT, self.exchange(&request)).await;
        let answer = done.map_err(anyhow::Error::from).and_then(|answer| answer);
        if answer.is_err() {
            self.stream = None;
        }
        answer.with_context(|| format!("{method} {path}"))
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<Answer> {
        self.drop_if_closed();
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            (self.stream, self.buffer) = (Some(stream), Vec::new());
        }
        self.stream.as_mut().context("a connection")?.write_all(request).await?;
        let mut answer = self.head().await?;
        let closes = answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if answer.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            answer.body = self.chunks().await?;
        } else if let Some(length) = answer.header("content-length").map(str::parse).transpose()? {
            answer.body = self.take(length).await?;
        } else if closes && !matches!(answer.status, 204 | 304) {
            while self.fill().await? > 0 {}
            answer.body = std::mem::take(&mut self.buffer);
        }
        if closes {
            self.stream = None;
        }
        Ok(answer)
    }

    /// Looks whether the server closed the idle connection.
    fn drop_if_closed(&mut self) {
        let mut byte = [0];
        if let Some(stream) = &self.stream
            && !matches!(stream.try_read(&mut byte), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
        {
            self.stream = None;
        }
    }

    async fn head(&mut self) -> Result<Answer> {
        let text = self.until(b"\r\n\r\n").await?;
        let text = String::from_utf8(text)?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()).context("no HTTP/1.1")?;
        let headers = lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
        Ok(Answer { status, headers: headers.collect(), body: Vec::new() })
    }

    async fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = String::from_utf8(self.until(b"\r\n").await?)?;
            let size = usize::from_str_radix(line.trim().split(';').next().unwrap_or_default(), 16)?;
            let mut chunk = self.take(size + 2).await?;
            if size == 0 {
                return Ok(body);
            }
            chunk.truncate(size);
            body.append(&mut chunk);
        }
    }

    /// Reads up to a mark; the mark is taken too.
    async fn until(&mut self, mark: &[u8]) -> Result<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                let rest = self.buffer.split_off(at + mark.len());
                return Ok(std::mem::replace(&mut self.buffer, rest));
            }
            if self.fill().await? == 0 {
                bail!("the connection ended before the answer did");
            }
        }
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < length {
            if self.fill().await? == 0 {
                bail!("the connection ended before the answer did");
            }
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    async fn fill(&mut self) -> Result<usize> {
        if self.buffer.len() > MAX_ANSWER {
            bail!("the answer is larger than {MAX_ANSWER} bytes");
        }
        Ok(self.stream.as_mut().context("a connection")?.read_buf(&mut self.buffer).await?)
    }
}
