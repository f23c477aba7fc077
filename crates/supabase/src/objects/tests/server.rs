//! An HTTP server that stands for an S3-compatible store and for the Storage of a project, and breaks when it is told to.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use testkit::supabase::give;
use testkit::supabase::http::{self, Reply, Request};
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
    let Some(request) = http::read(&mut stream).await else { return };
    let (fault, reply) = {
        let mut held = held.lock().unwrap();
        held.requests.push(request.clone());
        let at = held.faults.iter().position(|(method, _)| *method == request.method);
        let fault = at.and_then(|at| held.faults.remove(at)).map(|(_, fault)| fault);
        let reply = match &fault {
            Some(Fault::Status(status, body)) => reply(*status, Vec::new(), body.as_bytes().to_vec()),
            Some(Fault::Cut) => return,
            _ => match kind {
                Kind::S3 => s3(&mut held, &request),
                Kind::Storage => storage(&mut held, &request),
            },
        };
        (fault, reply)
    };
    let cut = match fault {
        Some(Fault::CutAfter(n)) => n.min(reply.body.len()),
        _ => reply.body.len(),
    };
    http::write(&mut stream, &reply, cut).await;
}

fn reply(status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8>) -> Reply {
    Reply { status, headers, body }
}

fn s3(held: &mut Held, request: &Request) -> Reply {
    let none = Vec::new();
    let etag = |n: u32| vec![("etag", format!("\"{n}\""))];
    let has = |name: &str| request.query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let value = |name: &str| request.query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).unwrap_or_default();
    if !request.header("authorization").starts_with("AWS4-HMAC-SHA256 Credential=key-id/") {
        return reply(403, none, b"<Error><Code>AccessDenied</Code></Error>".to_vec());
    }
    match request.method.as_str() {
        "POST" if has("uploads") => {
            held.parts.clear();
            reply(200, none, b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>".to_vec())
        }
        "PUT" if has("uploadId") => {
            let number = value("partNumber").parse().unwrap();
            held.parts.insert(number, request.body.clone());
            reply(200, etag(number), Vec::new())
        }
        "POST" if has("uploadId") => {
            let whole = std::mem::take(&mut held.parts).into_values().flatten().collect();
            held.objects.insert(request.path.clone(), whole);
            reply(200, none, b"<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>".to_vec())
        }
        "DELETE" if has("uploadId") => {
            held.parts.clear();
            reply(204, none, Vec::new())
        }
        "PUT" => {
            held.objects.insert(request.path.clone(), request.body.clone());
            reply(200, etag(0), Vec::new())
        }
        "DELETE" => {
            held.objects.remove(&request.path);
            reply(204, none, Vec::new())
        }
        _ => match held.objects.get(&request.path) {
            Some(object) => give(object, request),
            None => reply(404, none, b"<Error><Code>NoSuchKey</Code></Error>".to_vec()),
        },
    }
}

fn storage(held: &mut Held, request: &Request) -> Reply {
    let refuse =
        |code: u16, message: &str| Reply::json(400, &serde_json::json!({"statusCode": code.to_string(), "error": "x", "message": message}));
    if request.header("apikey") != "sb_secret_x" {
        return refuse(403, "new row violates row-level security policy");
    }
    let json = || serde_json::from_slice::<serde_json::Value>(&request.body).unwrap();
    match (request.method.as_str(), request.path.strip_prefix("/storage/v1").unwrap_or_default()) {
        ("GET", "/bucket") => {
            let all: Vec<_> = held.buckets.iter().map(|id| serde_json::json!({"id": id, "name": id, "public": false})).collect();
            reply(200, Vec::new(), serde_json::json!(all).to_string().into_bytes())
        }
        ("POST", "/bucket") => {
            held.buckets.push(json()["id"].as_str().unwrap().to_owned());
            reply(200, Vec::new(), b"{}".to_vec())
        }
        ("DELETE", path) => {
            for key in json()["prefixes"].as_array().unwrap() {
                held.objects.remove(&format!("{path}/{}", key.as_str().unwrap()));
            }
            reply(200, Vec::new(), b"[]".to_vec())
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
                    reply(200, Vec::new(), b"{\"Key\":\"x\"}".to_vec())
                }
                (_, Some(object)) => give(object, request),
                (_, None) => refuse(404, "Object not found"),
            }
        }
    }
}
