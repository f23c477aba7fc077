//! A small server that stands for a Supabase project: Auth, Storage, Functions, PostgREST and Realtime in the shapes that are documented, with a
//! fault for each that a test switches on and off. The hosted service itself is never contacted by a test.

mod admin;
mod auth;
pub mod http;
mod realtime;
mod recovery;
mod rest;
mod signing;
mod storage;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, oneshot, watch};

use http::{Reply, Request};

pub use auth::User;
pub use recovery::Mail;
pub use signing::{Signer, key_set};
pub use storage::{Bucket, give};

/// The publishable key of every stand-in.
pub const ANON_KEY: &str = "sb_publishable_x";
/// The secret key of every stand-in.
pub const SERVICE_KEY: &str = "sb_secret_x";
/// The secret with which it signs while it signs with one.
pub const JWT_SECRET: &str = "the-jwt-secret-of-the-stand-in-project";

/// A service of the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// `/auth/v1`.
    Auth,
    /// `/storage/v1`.
    Storage,
    /// `/functions/v1`.
    Functions,
    /// `/rest/v1`.
    Rest,
    /// `/realtime/v1`, sockets and broadcasts by HTTP.
    Realtime,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Auth, Self::Storage, Self::Functions, Self::Rest, Self::Realtime];

    fn of(path: &str) -> Option<Self> {
        match path.split('/').nth(1)? {
            "auth" => Some(Self::Auth),
            "storage" => Some(Self::Storage),
            "functions" => Some(Self::Functions),
            "rest" => Some(Self::Rest),
            "realtime" => Some(Self::Realtime),
            _ => None,
        }
    }
}

/// What is wrong with a service until it is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Connections are cut without an answer.
    Drop,
    /// This status, without a body that says anything.
    Status(u16),
    /// Answers come so much later.
    Slow(Duration),
    /// Status 200 with a page where JSON should be.
    Malformed,
    /// Every key is refused as expired.
    ExpiredKey,
}

/// What an Edge Function does with a body: status and answer.
pub type Function = Arc<dyn Fn(&Value) -> (u16, Value) + Send + Sync>;

/// What the project keeps.
pub struct Held {
    /// Users by their ids.
    pub users: BTreeMap<String, User>,
    /// Whether an address must be confirmed before somebody may sign in.
    pub confirms_email: bool,
    /// With what tokens are signed.
    pub signer: Signer,
    /// Which public keys are served.
    pub served_keys: Vec<&'static str>,
    /// How often the public keys were asked for.
    pub key_requests: usize,
    /// End of the life of new access tokens, seconds since 1970.
    pub tokens_until: i64,
    sessions: auth::Sessions,
    /// Mails with a link to a new password, in order.
    pub mails: Vec<Mail>,
    /// Whether mails are refused as sent too often, which happens to addresses of users only.
    pub mails_are_too_many: bool,
    links: BTreeMap<String, String>,
    /// Buckets of Storage.
    pub buckets: BTreeMap<String, Bucket>,
    /// Objects by bucket and path.
    pub objects: BTreeMap<String, Vec<u8>>,
    /// Tables by name.
    pub tables: BTreeMap<String, Vec<Value>>,
    functions: HashMap<String, Function>,
    /// Messages that came to channels by HTTP.
    pub messages: Vec<Value>,
    /// Payloads of joins.
    pub joins: Vec<Value>,
    /// Requests in order of arrival.
    pub requests: Vec<Request>,
    faults: HashMap<Part, Fault>,
}

/// A running stand-in; it ends when dropped.
pub struct Project {
    /// Its address, `http://127.0.0.1:PORT`.
    pub url: String,
    shared: Shared,
    _stop: oneshot::Sender<()>,
}

#[derive(Clone)]
struct Shared {
    held: Arc<Mutex<Held>>,
    say: broadcast::Sender<String>,
    cut: Arc<watch::Sender<u64>>,
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Project {
    /// Starts one on a thread of its own, so that tests of programs that wait can use it too.
    #[must_use]
    pub fn start() -> Self {
        let held = Held {
            users: BTreeMap::new(),
            confirms_email: false,
            signer: Signer::Hs256,
            served_keys: Vec::new(),
            key_requests: 0,
            tokens_until: chrono::Utc::now().timestamp() + 3_600,
            sessions: auth::Sessions::default(),
            mails: Vec::new(),
            mails_are_too_many: false,
            links: BTreeMap::new(),
            buckets: BTreeMap::new(),
            objects: BTreeMap::new(),
            tables: BTreeMap::new(),
            functions: HashMap::new(),
            messages: Vec::new(),
            joins: Vec::new(),
            requests: Vec::new(),
            faults: HashMap::new(),
        };
        let shared = Shared { held: Arc::new(Mutex::new(held)), say: broadcast::channel(256).0, cut: Arc::new(watch::channel(0).0) };
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let own = shared.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, own) => {}
                }
            });
        });
        let address = told.recv().unwrap();
        Self { url: format!("http://{address}"), shared, _stop: stop }
    }

    /// What it keeps, to look at and to change.
    pub fn held(&self) -> MutexGuard<'_, Held> {
        self.shared.held()
    }

    /// Breaks a service until [`Project::mend`]; sockets that are open are cut.
    pub fn break_down(&self, part: Part, fault: Fault) {
        self.held().faults.insert(part, fault);
        if part == Part::Realtime {
            self.cut_sockets();
        }
    }

    /// Makes a service work again.
    pub fn mend(&self, part: Part) {
        self.held().faults.remove(&part);
    }

    /// Cuts every open socket.
    pub fn cut_sockets(&self) {
        self.shared.cut.send_modify(|n| *n += 1);
    }

    /// Says something in a channel, to whoever has joined it.
    pub fn say(&self, topic: &str, event: &str, payload: &Value) {
        realtime::say(&self.shared, topic, event, payload);
    }

    /// Puts an Edge Function there.
    pub fn deploy(&self, name: &str, function: impl Fn(&Value) -> (u16, Value) + Send + Sync + 'static) {
        self.held().functions.insert(name.to_owned(), Arc::new(function));
    }

    /// Variables for a program that uses this project.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![("SUPABASE_URL", self.url.clone()), ("SUPABASE_KEY", ANON_KEY.to_owned()), ("SUPABASE_SERVICE_KEY", SERVICE_KEY.to_owned())]
    }
}

async fn accept(listener: TcpListener, shared: Shared) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(serve(stream, shared.clone()));
    }
}

async fn serve(mut stream: TcpStream, shared: Shared) {
    let mut front = [0; 64];
    // Sockets are told apart before anything is read, because the handshake reads for itself.
    let Ok(n) = stream.peek(&mut front).await else { return };
    let beginning = String::from_utf8_lossy(front.get(..n).unwrap_or_default()).into_owned();
    if beginning.starts_with("GET /realtime/v1/websocket") {
        let fault = shared.held().faults.get(&Part::Realtime).copied();
        return realtime::serve(stream, shared, fault).await;
    }
    let Some(request) = http::read(&mut stream).await else { return };
    let fault = {
        let mut held = shared.held();
        held.requests.push(request.clone());
        Part::of(&request.path).and_then(|part| held.faults.get(&part).copied())
    };
    let reply = match fault {
        Some(Fault::Drop) => return,
        Some(Fault::Status(status)) => Reply::empty(status),
        Some(Fault::Malformed) => Reply { status: 200, headers: Vec::new(), body: b"<html>Bad gateway</html>".to_vec() },
        Some(Fault::ExpiredKey) => Reply::json(401, &json!({ "code": "bad_jwt", "message": "invalid JWT: token is expired by 1h0m0s" })),
        Some(Fault::Slow(pause)) => {
            tokio::time::sleep(pause).await;
            answer(&shared, &request)
        }
        None => answer(&shared, &request),
    };
    http::write(&mut stream, &reply, reply.body.len()).await;
}

fn answer(shared: &Shared, request: &Request) -> Reply {
    if request.path == recovery::MAILBOX {
        return recovery::mailbox(&shared.held());
    }
    let key = request.header("apikey");
    // Who opens the link of a mail has no key.
    let needs_none = ["/auth/v1/.well-known/jwks.json", "/auth/v1/verify"].contains(&request.path.as_str());
    if !needs_none && key != ANON_KEY && key != SERVICE_KEY {
        return Reply::json(
            401,
            &json!({ "message": "Invalid API key", "hint": "Double check your Supabase `anon` or `service_role` API key." }),
        );
    }
    match Part::of(&request.path) {
        Some(Part::Auth) => auth::answer(&mut shared.held(), request),
        Some(Part::Storage) => storage::answer(&mut shared.held(), request),
        Some(Part::Functions) => call(shared, request),
        Some(Part::Rest) => rest::answer(&mut shared.held(), request),
        Some(Part::Realtime) => realtime::broadcast(shared, request),
        None => Reply::json(404, &json!({ "message": "no Route matched with those values" })),
    }
}

fn call(shared: &Shared, request: &Request) -> Reply {
    let name = request.path.rsplit('/').next().unwrap_or_default();
    let function = shared.held().functions.get(name).cloned();
    match function {
        Some(function) => {
            let (status, body) = function(&request.json());
            Reply::json(status, &body)
        }
        None => Reply::json(404, &json!({ "code": "NOT_FOUND", "message": "Requested function was not found" })),
    }
}
