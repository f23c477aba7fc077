//! An HTTP server that stands for an S3-compatible store and for the Storage of a project, and breaks when it is told to.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What happens to the next request that matches.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This status, with this body.
    Status(u16, &'static str),
    /// The connection is cut before an answer.
    Cut,
    /// The connection is cut after so many bytes of the body of the answer.
    CutAfter(usize),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

#[derive(Default)]
pub struct Held {
    /// Objects by their paths.
    pub objects: BTreeMap<String, Vec<u8>>,
    /// Parts of uploads that go on.
    pub parts: BTreeMap<u32, Vec<u8>>,
    /// Buckets of the project.
    pub buckets: Vec<String>,
    pub requests: Vec<Request>,
    /// Faults to come, each for requests of a method.
    pub faults: VecDeque<(&'static str, Fault)>,
}

/// What the server speaks.
#[derive(Clone, Copy)]
pub enum Kind {
    S3,
    Storage,
}

pub struct Server {
    pub url: String,
    pub held: Arc<Mutex<Held>>,
}

type Reply = (u16, Vec<(&'static str, String)>, Vec<u8>);

impl Server {
    pub async fn start(kind: Kind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let held: Arc<Mutex<Held>> = Arc::default();
        let shared = held.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, shared.clone(), kind));
            }
        });
        Self { url, held }
    }

    pub fn fail(&self, method: &'static str, fault: Fault) {
        self.held.lock().unwrap().faults.push_back((method, fault));
    }

    pub fn objects(&self) -> Vec<String> {
        self.held.lock().unwrap().objects.keys().cloned().collect()
    }
}

async fn serve(mut stream: TcpStream, held: Arc<Mutex<Held>>, kind: Kind) {
    let Some(request) = read(&mut stream).await else { return };
    let (fault, (status, headers, body)) = {
        let mut held = held.lock().unwrap();
        held.requests.push(request.clone());
        let at = held.faults.iter().position(|(method, _)| *method == request.method);
        let fault = at.and_then(|at| held.faults.remove(at)).map(|(_, fault)| fault);
        let reply = match &fault {
            Some(Fault::Status(status, body)) => (*status, Vec::new(), body.as_bytes().to_vec()),
            Some(Fault::Cut) => (0, Vec::new(), Vec::new()),
            _ => match kind {
                Kind::S3 => s3(&mut held, &request),
                Kind::Storage => storage(&mut held, &request),
            },
        };
        (fault, reply)
    };
    let cut = match fault {
        Some(Fault::Cut) => return,
        Some(Fault::CutAfter(n)) => n.min(body.len()),
        _ => body.len(),
    };
    let mut head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let sent = [head.as_bytes(), b"\r\n", body.get(..cut).unwrap_or_default()].concat();
    // A client that hung up has its reasons.
    stream.write_all(&sent).await.ok();
    stream.shutdown().await.ok();
}

/// Reads a whole request; nothing when the client hangs up before its end.
async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        fill(stream, &mut bytes).await?;
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap().split(' ');
    let (method, address) = (first.next().unwrap().to_owned(), first.next().unwrap());
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let headers: BTreeMap<String, String> =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let mut rest = bytes.split_off(head_end);
    let body = if headers.get("transfer-encoding").is_some_and(|value| value == "chunked") {
        chunks(stream, &mut rest).await?
    } else {
        let length = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
        while rest.len() < length {
            fill(stream, &mut rest).await?;
        }
        rest
    };
    Some(Request { method, path: path.to_owned(), query: query.to_owned(), headers, body })
}

async fn fill(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let n = stream.read_buf(bytes).await.ok()?;
    (n > 0).then_some(())
}

async fn chunks(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let Some(at) = bytes.windows(2).position(|two| two == b"\r\n") else {
            fill(stream, bytes).await?;
            continue;
        };
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..at]).unwrap(), 16).unwrap();
        while bytes.len() < at + 2 + size + 2 {
            fill(stream, bytes).await?;
        }
        body.extend_from_slice(&bytes[at + 2..at + 2 + size]);
        bytes.drain(..at + 2 + size + 2);
        if size == 0 {
            return Some(body);
        }
    }
}

/// The object, or the range of it that is asked for.
fn give(object: &[u8], request: &Request) -> Reply {
    let common = [("etag", "\"e\"".to_owned()), ("last-modified", "Thu, 15 Jan 2026 12:00:00 GMT".to_owned())];
    match request.header("range").strip_prefix("bytes=").and_then(|range| range.split_once('-')) {
        Some((from, to)) => {
            let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
            let mut headers = vec![("content-range", format!("bytes {from}-{to}/{}", object.len()))];
            headers.extend(common);
            (206, headers, object[from..=to].to_vec())
        }
        None => (200, common.to_vec(), object.to_vec()),
    }
}

fn s3(held: &mut Held, request: &Request) -> Reply {
    let none = Vec::new();
    let etag = |n: u32| vec![("etag", format!("\"{n}\""))];
    let has = |name: &str| request.query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let value = |name: &str| request.query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).unwrap_or_default();
    if !request.header("authorization").starts_with("AWS4-HMAC-SHA256 Credential=key-id/") {
        return (403, none, b"<Error><Code>AccessDenied</Code></Error>".to_vec());
    }
    match request.method.as_str() {
        "POST" if has("uploads") => {
            held.parts.clear();
            (200, none, b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>".to_vec())
        }
        "PUT" if has("uploadId") => {
            let number = value("partNumber").parse().unwrap();
            held.parts.insert(number, request.body.clone());
            (200, etag(number), Vec::new())
        }
        "POST" if has("uploadId") => {
            let whole = std::mem::take(&mut held.parts).into_values().flatten().collect();
            held.objects.insert(request.path.clone(), whole);
            (200, none, b"<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>".to_vec())
        }
        "DELETE" if has("uploadId") => {
            held.parts.clear();
            (204, none, Vec::new())
        }
        "PUT" => {
            held.objects.insert(request.path.clone(), request.body.clone());
            (200, etag(0), Vec::new())
        }
        "DELETE" => {
            held.objects.remove(&request.path);
            (204, none, Vec::new())
        }
        _ => match held.objects.get(&request.path) {
            Some(object) => give(object, request),
            None => (404, none, b"<Error><Code>NoSuchKey</Code></Error>".to_vec()),
        },
    }
}

fn storage(held: &mut Held, request: &Request) -> Reply {
    let refuse = |code: u16, message: &str| {
        (400, Vec::new(), serde_json::json!({"statusCode": code.to_string(), "error": "x", "message": message}).to_string().into_bytes())
    };
    if request.header("apikey") != "sb_secret_x" {
        return refuse(403, "new row violates row-level security policy");
    }
    let json = || serde_json::from_slice::<serde_json::Value>(&request.body).unwrap();
    match (request.method.as_str(), request.path.strip_prefix("/storage/v1").unwrap_or_default()) {
        ("GET", "/bucket") => {
            let all: Vec<_> = held.buckets.iter().map(|id| serde_json::json!({"id": id, "name": id, "public": false})).collect();
            (200, Vec::new(), serde_json::json!(all).to_string().into_bytes())
        }
        ("POST", "/bucket") => {
            held.buckets.push(json()["id"].as_str().unwrap().to_owned());
            (200, Vec::new(), b"{}".to_vec())
        }
        ("DELETE", path) => {
            for key in json()["prefixes"].as_array().unwrap() {
                held.objects.remove(&format!("{path}/{}", key.as_str().unwrap()));
            }
            (200, Vec::new(), b"[]".to_vec())
        }
        (method, path) => {
            let path = path.replace("%40", "@").replace("%3D", "=");
            let bucket = path.split('/').nth(2).unwrap_or_default().to_owned();
            if !held.buckets.contains(&bucket) {
                return refuse(404, "Bucket not found");
            }
            match (method, held.objects.get(&path)) {
                ("POST", Some(_)) => refuse(409, "The resource already exists"),
                ("POST", None) => {
                    held.objects.insert(path, request.body.clone());
                    (200, Vec::new(), b"{\"Key\":\"x\"}".to_vec())
                }
                (_, Some(object)) => give(object, request),
                (_, None) => refuse(404, "Object not found"),
            }
        }
    }
}
