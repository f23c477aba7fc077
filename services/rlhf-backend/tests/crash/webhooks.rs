//! The service killed with SIGKILL while events become deliveries and are sent: each event is one delivery, and each reaches the receiver.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use domain::scope::Scope;
use secrecy::SecretString;
use serde_json::{Value, json};
use storage::outbox::{self, Destination, NewEvent};
use storage::page::Page;
use storage::webhooks::deliveries::{self, DeliveryFilter};
use storage::webhooks::{self, NewWebhook};
use testkit::database;
use testkit::service::Service;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use web::sealing::{SealKeys, place_of_webhook};

use super::until;

const EVENTS: usize = 300;
const KILLS: usize = 4;

/// Takes everything, and keeps the ids of what it took.
async fn receiver() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let taken: Arc<Mutex<Vec<String>>> = Arc::default();
    let ids = Arc::clone(&taken);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let ids = Arc::clone(&ids);
            tokio::spawn(async move {
                let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
                // A sender that is killed breaks off in the middle.
                while let Ok(n @ 1..) = stream.read(&mut part).await {
                    bytes.extend(&part[..n]);
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let Some((_, body)) = text.split_once("\r\n\r\n") else { continue };
                    let Ok(body) = serde_json::from_str::<Value>(body) else { continue };
                    ids.lock().unwrap().push(body["id"].as_str().unwrap().to_owned());
                    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
                    return;
                }
            });
        }
    });
    (url, taken)
}

fn start(url: &str, folder: &Path, keys: &str) -> Service {
    let variables = [
        ("DATABASE_URL", url),
        ("ENDCAP_JWT_SECRET", super::SECRET),
        ("ENDCAP_ARTIFACT_DIRECTORY", folder.to_str().unwrap()),
        ("ENDCAP_DATABASE_POOL_MIN", "2"),
        ("ENDCAP_DATABASE_POOL_MAX", "6"),
        ("ENDCAP_SEAL_KEYS", keys),
        ("ENDCAP_WEBHOOK_HTTP", "allowed"),
        ("ENDCAP_WEBHOOK_PORTS", "*"),
        ("ENDCAP_WEBHOOK_NETWORKS", "127.0.0.0/8"),
        // What the dead held is free again after this and half a minute.
        ("ENDCAP_WEBHOOK_TIMEOUT_MS", "100"),
        ("RUST_LOG", "info"),
    ];
    Service::start(Path::new(env!("CARGO_BIN_EXE_rlhf-backend")), &variables).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_survive_kills_between_outbox_and_receiver() {
    for database in database::all() {
        let kind = database.kind();
        let (folder, keys) = (tempfile::tempdir().unwrap(), SealKeys::generate());
        let (url, taken) = receiver().await;
        let sealed = SealKeys::parse(&keys).unwrap();
        let secret = SecretString::from("whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0");
        let scope = Scope::system("test");
        // Several webhooks, so that the places of one do not slow the whole.
        for n in 0..8 {
            let webhook_id = format!("whk_{n}");
            let new = NewWebhook {
                tenant_id: Some(format!("tnt-{n}")),
                url: url.clone(),
                description: String::new(),
                event_types: vec!["campaign.moved".to_owned()],
                secret_sealed: sealed.seal(&secret, &place_of_webhook(&webhook_id)).unwrap(),
                is_enabled: true,
                webhook_id,
            };
            let scope = scope.clone();
            database.storage.transaction(move |conn| webhooks::insert(conn, &scope, &new, domain::time::now())).await.unwrap();
        }
        // The first reading notes where it begins.
        let mut service = start(&database.url, folder.path(), &keys);
        let began = || {
            let conn = &mut database.connect();
            !storage::webhooks::reading::is_behind(conn).unwrap()
        };
        until("the first reading", began).await;
        let mut pushed = BTreeSet::new();
        for round in 0..=KILLS {
            for n in 0..EVENTS / (KILLS + 1) {
                let event = NewEvent {
                    destination: Destination::Realtime,
                    topic: "campaigns".to_owned(),
                    event: "campaign_moved".to_owned(),
                    payload: json!({"campaign_id": format!("cmp_{n}")}),
                    tenant_id: Some(format!("tnt-{}", n % 8)),
                };
                let id = database.storage.transaction(move |conn| outbox::push(conn, &event, domain::time::now())).await.unwrap();
                pushed.insert(id);
            }
            if round < KILLS {
                let before = taken.lock().unwrap().len();
                until("a delivery", || taken.lock().unwrap().len() > before).await;
                service.kill().unwrap();
                service = start(&database.url, folder.path(), &keys);
            }
        }
        let all_are_delivered = || {
            let conn = &mut database.connect();
            let filter = DeliveryFilter { status: Some("delivered".to_owned()), ..DeliveryFilter::default() };
            let rows = deliveries::list(conn, &Scope::system("test"), &filter, &Page::first(500)).unwrap().rows;
            rows.len() == pushed.len()
        };
        until("every delivery", all_are_delivered).await;
        let rows = {
            let conn = &mut database.connect();
            deliveries::list(conn, &Scope::system("test"), &DeliveryFilter::default(), &Page::first(500)).unwrap().rows
        };
        let made: Vec<String> = rows.iter().map(|row| row.event_id.clone()).collect();
        assert_eq!(made.len(), pushed.len(), "{kind}: one delivery for each event");
        assert_eq!(made.into_iter().collect::<BTreeSet<_>>(), pushed, "{kind}");
        let reached: BTreeSet<String> = taken.lock().unwrap().iter().cloned().collect();
        assert_eq!(reached, pushed, "{kind}: each reached the receiver");
        let repeated = taken.lock().unwrap().len() - pushed.len();
        let attempts: i32 = rows.iter().map(|row| row.attempts).sum();
        println!("{kind}: {} events, {KILLS} kills, {attempts} attempts, {repeated} came twice", pushed.len());
        // At least once: only what was under way when the process died may come again.
        assert!(repeated <= KILLS * 32, "{kind}: {repeated} repeats");
        service.kill().unwrap();
    }
}
