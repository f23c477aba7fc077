//! The service killed with SIGKILL in the middle of uploads: what was stored before is whole, what was not acknowledged is nowhere, and
//! what lies about is swept.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod webhooks;

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use domain::role::Role;
use domain::time::Clock;
use secrecy::SecretString;
use testkit::database::{self, TestDatabase};
use testkit::http::Client;
use testkit::service::Service;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use web::token::{Subject, Tokens};

const SECRET: &str = "a secret of the crash tests, of more than 32 bytes";
const DEADLINE: Duration = Duration::from_secs(60);

fn start(database: &TestDatabase, folder: &Path) -> Service {
    let variables = [
        ("DATABASE_URL", database.url.as_str()),
        ("ENDCAP_JWT_SECRET", SECRET),
        ("ENDCAP_ARTIFACT_DIRECTORY", folder.to_str().unwrap()),
        ("ENDCAP_DATABASE_POOL_MIN", "2"),
        ("ENDCAP_DATABASE_POOL_MAX", "4"),
        ("RUST_LOG", "info"),
    ];
    Service::start(Path::new(env!("CARGO_BIN_EXE_rlhf-backend")), &variables).unwrap()
}

fn token() -> String {
    let subject = Subject {
        account_id: "acc_1".to_owned(),
        email: "a@example.com".to_owned(),
        role: Role::Analyst,
        tenant_id: Some("tnt-a".to_owned()),
        rater_id: None,
        session_id: "ses_test".to_owned(),
        user_metadata: serde_json::Map::new(),
    };
    let tokens = Tokens::new(&SecretString::from(SECRET), Clock::system());
    format!("Bearer {}", tokens.issue_access(&subject, Duration::from_secs(3600)).unwrap().0)
}

/// Bytes of the files that are on their way in.
fn incoming(folder: &Path) -> Vec<u64> {
    let entries = std::fs::read_dir(folder.join(".incoming")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).collect()
}

/// Waits for something that the service does in its own time.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < DEADLINE, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[actix_web::test]
async fn a_kill_in_the_middle_of_uploads_leaves_nothing_half() {
    for database in database::all() {
        let kind = database.kind();
        let folder = tempfile::tempdir().unwrap();
        let service = start(&database, folder.path());
        let token = token();
        let (auth, path) = ([("authorization", token.as_str())], "/v1/artifacts/exports/kept");
        let old = vec![b'o'; 300_000];
        let as_bytes = [("authorization", token.as_str()), ("x-content-sha256", &web::access::sha256_hex(&old))];
        assert_eq!(Client::new(service.address).send("PUT", path, &as_bytes, Some(&old)).await.unwrap().status, 201, "{kind}");

        // One upload to a new path, one that would replace the file: both have sent four of fifty megabytes.
        let mut senders = Vec::new();
        for address in ["/v1/artifacts/exports/new", "/v1/artifacts/exports/kept?overwrite=true"] {
            let mut stream = TcpStream::connect(service.address).await.unwrap();
            let head = format!("PUT {address} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: 50000000\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&vec![b'n'; 4_000_000]).await.unwrap();
            senders.push(stream);
        }
        until("the arrival of both", || incoming(folder.path()).iter().filter(|size| **size > 1_000_000).count() == 2).await;
        service.kill().unwrap();
        assert_eq!(incoming(folder.path()).len(), 2, "{kind}: the kill left them");

        let again = start(&database, folder.path());
        let mut client = Client::new(again.address);
        let list = client.send("GET", "/v1/artifacts/exports", &auth, None).await.unwrap().json();
        assert_eq!((list["data"].as_array().unwrap().len(), &list["data"][0]["path"]), (1, &"kept".into()), "{kind}: {list}");
        assert_eq!(client.send("GET", "/v1/artifacts/exports/new", &auth, None).await.unwrap().status, 404, "{kind}");
        assert!(client.send("GET", path, &auth, None).await.unwrap().body == old, "{kind}: the old file is whole");
        until("the sweep at the start", || incoming(folder.path()).is_empty()).await;

        // Their rows are given up once they have been silent for long, and the same uploads can be sent again at once.
        assert_eq!(client.send("PUT", "/v1/artifacts/exports/new", &auth, Some(b"{}")).await.unwrap().status, 201, "{kind}");
        let conn = &mut database.connect();
        let now = Clock::system().now();
        let early = storage::artifacts::doomed(conn, now - TimeDelta::minutes(15), now, 100).unwrap();
        let late = storage::artifacts::doomed(conn, now + TimeDelta::minutes(15), now, 100).unwrap();
        assert_eq!((early.len(), late.len()), (0, 2), "{kind}");
    }
}
