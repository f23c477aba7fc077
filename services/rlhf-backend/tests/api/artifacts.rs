//! Artifacts through the real router, in a folder on the disk.

use std::path::{Path, PathBuf};

use actix_web::http::header::HeaderMap;
use actix_web::test::{self, TestRequest};
use actix_web::{App, web as actix};
use domain::role::Role;
use futures_util::StreamExt as _;
use rlhf_backend::artifacts::sweep;
use rlhf_backend::artifacts::upload::{self, Wanted};
use rlhf_backend::routes;
use rlhf_backend::state::State;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::Service;

pub(crate) struct Got {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: actix::Bytes,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("no JSON: {:?}", self.bytes))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Sends a request with these headers, as nobody when the token is empty.
pub(crate) async fn send(service: &Service, token: &str, request: TestRequest, headers: &[(&str, &str)]) -> Got {
    let state = service.state.clone();
    let app = test::init_service(App::new().configure(|routes| routes::configure_public(routes, &state))).await;
    let mut request = request;
    if !token.is_empty() {
        request = request.insert_header(("authorization", format!("Bearer {token}")));
    }
    for (name, value) in headers {
        request = request.insert_header((*name, *value));
    }
    let response = test::call_service(&app, request.to_request()).await;
    Got { status: response.status().as_u16(), headers: response.headers().clone(), bytes: test::read_body(response).await }
}

pub(crate) async fn put(service: &Service, token: &str, path: &str, body: &[u8], headers: &[(&str, &str)]) -> Got {
    send(service, token, TestRequest::put().uri(&format!("/v1/artifacts/{path}")).set_payload(body.to_vec()), headers).await
}

pub(crate) async fn get(service: &Service, token: &str, path: &str, headers: &[(&str, &str)]) -> Got {
    send(service, token, TestRequest::get().uri(&format!("/v1/artifacts/{path}")), headers).await
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Files in the artifact folder, by their paths in it.
fn files(service: &Service) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() { walk(&entry.path(), found) } else { found.push(entry.path()) }
        }
    }
    let (root, mut found) = (service.folder.path().join("artifacts"), Vec::new());
    walk(&root, &mut found);
    found.into_iter().map(|file| file.strip_prefix(&root).unwrap().to_owned()).collect()
}

fn member(service: &Service) -> String {
    service.token(Role::Analyst, Some("tnt-a"))
}

#[actix_web::test]
async fn a_file_is_stored_fetched_listed_and_removed() {
    let service = Service::new();
    let token = member(&service);
    let body: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let stored = put(&service, &token, "model-artifacts/m/v1/weights.bin", &body, &[("x-content-sha256", &hash(&body))]).await;
    assert_eq!(stored.status, 201, "{:?}", stored.bytes);
    let view = stored.json();
    assert_eq!((&view["size_bytes"], &view["sha256"]), (&json!(1_200_000), &json!(hash(&body))));
    assert_eq!((&view["tenant_id"], &view["content_type"]), (&json!("tnt-a"), &json!("application/octet-stream")));
    assert_eq!(stored.header("location"), "/v1/artifacts/model-artifacts/m/v1/weights.bin");

    let got = get(&service, &token, "model-artifacts/m/v1/weights.bin", &[]).await;
    assert_eq!((got.status, got.bytes.len()), (200, body.len()));
    assert!(got.bytes == body);
    assert_eq!(got.header("content-disposition"), "attachment; filename=\"weights.bin\"");
    assert_eq!((got.header("x-content-type-options"), got.header("accept-ranges")), ("nosniff", "bytes"));
    let tag = got.header("etag").to_owned();
    assert_eq!(get(&service, &token, "model-artifacts/m/v1/weights.bin", &[("if-none-match", &tag)]).await.status, 304);

    let part = get(&service, &token, "model-artifacts/m/v1/weights.bin", &[("range", "bytes=1000000-1000003")]).await;
    assert_eq!((part.status, part.header("content-range")), (206, "bytes 1000000-1000003/1200000"));
    assert_eq!(part.bytes.to_vec(), body[1_000_000..1_000_004]);
    let beyond = get(&service, &token, "model-artifacts/m/v1/weights.bin", &[("range", "bytes=1200000-")]).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */1200000"));
    let head = send(
        &service,
        &token,
        TestRequest::default().method(actix_web::http::Method::HEAD).uri("/v1/artifacts/model-artifacts/m/v1/weights.bin"),
        &[],
    )
    .await;
    assert_eq!((head.status, head.header("etag")), (200, tag.as_str()));

    put(&service, &token, "model-artifacts/M/other", b"", &[]).await;
    let list = |query: &'static str| get(&service, &token, query, &[]);
    let all = list("model-artifacts?limit=1").await.json();
    assert_eq!(all["data"][0]["path"], "M/other", "newest first, empty files too");
    let next = get(&service, &token, &format!("model-artifacts?limit=1&cursor={}", all["next_cursor"].as_str().unwrap()), &[]).await.json();
    assert_eq!((&next["data"][0]["path"], &next["next_cursor"]), (&json!("m/v1/weights.bin"), &Value::Null));
    let small = list("model-artifacts?prefix=m/").await.json();
    assert_eq!((small["data"].as_array().unwrap().len(), &small["data"][0]["path"]), (1, &json!("m/v1/weights.bin")), "M is not m");
    assert_eq!(list("exports").await.json()["data"], json!([]));

    let remove = TestRequest::delete().uri("/v1/artifacts/model-artifacts/m/v1/weights.bin");
    assert_eq!(send(&service, &token, remove, &[]).await.status, 204);
    assert_eq!(get(&service, &token, "model-artifacts/m/v1/weights.bin", &[]).await.status, 404);
    assert_eq!(sweep::round(&service.state).await.unwrap(), 1);
    assert_eq!(files(&service).len(), 1, "only the empty file is left: {:?}", files(&service));
    assert_eq!(sweep::round(&service.state).await.unwrap(), 0);
}

#[actix_web::test]
async fn the_same_bytes_change_nothing_and_others_replace_them_only_on_request() {
    let service = Service::new();
    let token = member(&service);
    let first = put(&service, &token, "exports/a.csv", b"a\n1\n", &[("content-type", "text/csv; charset=utf-8")]).await;
    assert_eq!((first.status, &first.json()["content_type"]), (201, &json!("text/csv")));
    let again = put(&service, &token, "exports/a.csv", b"a\n1\n", &[]).await;
    assert_eq!((again.status, &again.json()["artifact_id"]), (200, &first.json()["artifact_id"]));
    let other = put(&service, &token, "exports/a.csv", b"a\n2\n", &[]).await;
    assert_eq!((other.status, &other.json()["code"]), (409, &json!("already_exists")));
    assert!(other.json()["detail"].as_str().unwrap().contains("overwrite=true"));
    let early = put(&service, &token, "exports/a.csv", b"a\n2\n", &[("x-content-sha256", &hash(b"a\n2\n"))]).await;
    assert_eq!(early.status, 409, "said before the body is read");
    assert_eq!(get(&service, &token, "exports/a.csv", &[]).await.bytes, "a\n1\n");
    let replaced = put(&service, &token, "exports/a.csv?overwrite=true", b"a\n2\n", &[("content-type", "text/csv")]).await;
    assert_eq!((replaced.status, &replaced.json()["sha256"]), (200, &json!(hash(b"a\n2\n"))));
    assert_eq!(get(&service, &token, "exports/a.csv", &[]).await.bytes, "a\n2\n");
    // The second upload, two refused ones (one had begun) and what was replaced.
    assert_eq!(sweep::round(&service.state).await.unwrap(), 3);
    assert_eq!(files(&service).len(), 1, "{:?}", files(&service));
    // A file and a folder of the same name live side by side.
    assert_eq!(put(&service, &token, "exports/a.csv/b.csv", b"x", &[]).await.status, 201);
    assert_eq!(get(&service, &token, "exports/a.csv", &[]).await.bytes, "a\n2\n");
}

#[actix_web::test]
async fn what_is_refused_leaves_nothing_behind() {
    let service = Service::with(&[("ENDCAP_EXPORTS_MAX_BYTES", "2048")]);
    let token = member(&service);
    let large = vec![7; 2049];
    let wrong_digest = format!("sha-256=:{}:", "A".repeat(43) + "=");
    for (status, code, path, body, headers) in [
        (413, "body_too_large", "exports/x", large.as_slice(), &[][..]),
        (400, "checksum_mismatch", "exports/x", b"abc", &[("x-content-sha256", hash(b"abd"))]),
        (400, "checksum_mismatch", "exports/x", b"abc", &[("content-digest", wrong_digest)]),
        (400, "malformed_request", "exports/x", b"abc", &[("x-content-sha256", "12".to_owned())]),
        (415, "unsupported_media_type", "exports/x", b"<script>", &[("content-type", "text/html".to_owned())]),
        (415, "unsupported_media_type", "model-artifacts/x", b"<svg/>", &[("content-type", "image/svg+xml".to_owned())]),
        (415, "unsupported_media_type", "exports/x", b"abc", &[("content-encoding", "gzip".to_owned())]),
        (404, "not_found", "secrets/x", b"abc", &[]),
        (422, "invalid_input", "exports/x?overwrit=true", b"abc", &[]),
    ] {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let got = put(&service, &token, path, body, &headers).await;
        assert_eq!((got.status, got.json()["code"].as_str()), (status, Some(code)), "{path} {headers:?} {:?}", got.bytes);
    }
    let good = put(
        &service,
        &token,
        "exports/x",
        b"abc",
        &[("content-digest", "md5=:AAAA:, sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:")],
    )
    .await;
    assert_eq!(good.status, 201, "{:?}", good.bytes);
    sweep::round(&service.state).await.unwrap();
    assert_eq!((files(&service).len(), rows(&service)), (1, 1));
}

/// Artifacts that people of the tenant can see, in all buckets.
fn rows(service: &Service) -> usize {
    use domain::artifact::Bucket;
    let conn = &mut service.database.connect();
    let (scope, page) = (domain::scope::Scope::system("test"), storage::page::Page::first(500));
    let mut of = |bucket| storage::artifacts::list(conn, &scope, "tnt-a", bucket, "", &page).unwrap().rows.len();
    of(Bucket::Exports) + of(Bucket::ModelArtifacts) + of(Bucket::TrainingData)
}

#[actix_web::test]
async fn no_path_leads_out_of_the_own_space() {
    let service = Service::new();
    let token = member(&service);
    for path in [
        "..",
        "../x",
        "a/../../x",
        "a/%2e%2e/b",
        "%2e%2e%2f%2e%2e%2fetc/passwd",
        "a%2f..%2fb",
        "a%5cb",
        "a%255c..",
        "%252e%252e/x",
        "/abs",
        "a//b",
        "a/",
        "a/./b",
        "a%20b",
        "a%0ab",
        "%F0%9F%92%A9",
        "@art_1",
        "a/%40art_1",
        "~x",
        "a:b",
        "a%3Fb",
        "CON%00.txt",
        "a%FFb",
    ] {
        let got = put(&service, &token, &format!("exports/{path}"), b"x", &[]).await;
        assert!([400, 404, 422].contains(&got.status), "{path}: {} {:?}", got.status, got.bytes);
        let got = get(&service, &token, &format!("exports/{path}"), &[]).await;
        assert!([400, 404, 422].contains(&got.status), "{path}: {} {:?}", got.status, got.bytes);
    }
    assert_eq!(put(&service, &token, &format!("exports/{}", "a".repeat(101)), b"x", &[]).await.status, 422);
    assert_eq!(put(&service, &token, &format!("exports/{}", ["abcdefgh"; 50].join("/")), b"x", &[]).await.status, 422);
    assert_eq!(files(&service), Vec::<PathBuf>::new());
}

#[actix_web::test]
async fn tenants_and_the_platform_have_spaces_of_their_own() {
    let service = Service::new();
    let (a, b) = (member(&service), service.token(Role::Analyst, Some("tnt-b")));
    let (admin, expert) = (service.token(Role::PlatformAdmin, None), service.token(Role::Expert, Some("tnt-a")));
    for (token, text) in [(&a, "of a"), (&b, "of b"), (&admin, "of the platform")] {
        assert_eq!(put(&service, token, "exports/same", text.as_bytes(), &[]).await.status, 201);
    }
    for (token, query, text) in [
        (&a, "", "of a"),
        (&b, "", "of b"),
        (&admin, "", "of the platform"),
        (&admin, "?tenant_id=tnt-b", "of b"),
        (&a, "?tenant_id=tnt-a", "of a"),
        (&expert, "", "of a"),
    ] {
        assert_eq!(get(&service, token, &format!("exports/same{query}"), &[]).await.bytes, text, "{query}");
    }
    for query in ["?tenant_id=tnt-b", "?tenant_id=%40platform"] {
        assert_eq!(get(&service, &a, &format!("exports/same{query}"), &[]).await.status, 404);
        assert_eq!(put(&service, &a, &format!("exports/new{query}"), b"x", &[]).await.status, 404);
        assert_eq!(get(&service, &a, &format!("exports{query}"), &[]).await.status, 404);
    }
    assert_eq!(get(&service, "", "exports/same", &[]).await.status, 401);
    let rater = service.token(Role::Rater, None);
    assert_eq!(
        (get(&service, &rater, "exports/same", &[]).await.status, put(&service, &expert, "exports/y", b"y", &[]).await.status),
        (403, 403)
    );
    let homeless = service.token(Role::Analyst, None);
    assert_eq!(
        (get(&service, &homeless, "exports/same", &[]).await.status, put(&service, &homeless, "exports/z", b"z", &[]).await.status),
        (404, 404)
    );
    // Experts belong to no tenant and are added to none: what they are told can be done.
    let told = get(&service, &homeless, "exports/same", &[]).await.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        told.contains("belongs to no tenant") && told.contains("ask somebody of the tenant") && !told.contains("administrator"),
        "{told}"
    );
}

#[actix_web::test]
async fn a_link_opens_one_file_without_a_sign_in_until_it_ends() {
    let service = Service::new();
    let token = member(&service);
    put(&service, &token, "exports/report.csv", b"a,b\n", &[("content-type", "text/csv")]).await;
    put(&service, &token, "exports/secret.csv", b"secret", &[]).await;
    let sign = |seconds: Value| service.post(&token, "/v1/artifacts/exports/report.csv/sign", json!({ "expires_in_s": seconds }));
    for wrong in [json!(0), json!(604_801), json!(-1), json!("x")] {
        assert_eq!(sign(wrong).await.status, 422);
    }
    assert_eq!(service.post(&token, "/v1/artifacts/exports/nothing.csv/sign", json!({})).await.status, 404);
    let link = sign(json!(60)).await.json();
    assert_eq!(link["expires_at"], "2026-01-15T12:01:00Z");
    let path = link["url"].as_str().unwrap().split_once("/v1/artifacts/").unwrap().1.to_owned();
    let got = get(&service, "", &path, &[]).await;
    assert_eq!((got.status, &got.bytes[..], got.header("content-type")), (200, &b"a,b\n"[..], "text/csv"));
    assert_eq!(get(&service, "", &path, &[("range", "bytes=0-0")]).await.status, 206);
    for (from, to) in [
        ("report", "secret"),
        ("expires=17", "expires=18"),
        ("tnt-a", "tnt-b"),
        ("signature=", "signature=0"),
        ("exports/", "training-data/"),
    ] {
        let got = get(&service, "", &path.replacen(from, to, 1), &[]).await;
        assert_eq!((got.status, got.json()["code"].as_str()), (403, Some("link_invalid")), "{to}");
    }
    let remove = TestRequest::delete().uri(&format!("/v1/artifacts/{path}"));
    assert!([401, 422].contains(&send(&service, "", remove, &[]).await.status), "a link only reads");

    let later = Service { state: at(&service, "2026-01-15T12:01:00Z"), ..service };
    let got = get(&later, "", &path, &[]).await;
    assert_eq!((got.status, got.json()["code"].as_str()), (403, Some("link_expired")));
}

/// The same service at another time.
fn at(service: &Service, time: &str) -> State {
    let (clock, _hand) = testkit::clock::fixed(time);
    State::new(service.database.storage.clone(), (*service.state.settings).clone(), clock).unwrap()
}

/// What a sender that breaks off, or a process that dies, leaves: seen by nobody, and removed.
#[actix_web::test]
async fn an_upload_that_breaks_off_is_never_seen() {
    let service = Service::new();
    let scope = domain::scope::Scope::for_caller("acc", Role::Analyst, Some("tnt-a"));
    let place = storage::artifacts::Place { tenant: "tnt-a".into(), bucket: domain::artifact::Bucket::Exports, path: "half".into() };
    let wanted = Wanted { place, content_type: "text/plain".into(), overwrite: true, sha256: None, size: None, max_bytes: 1 << 30 };
    let pieces = |end: Result<actix::Bytes, String>| futures_util::stream::iter([Ok(actix::Bytes::from(vec![1; 100_000])), end]);
    let refused = upload::receive(&service.state, &scope, &wanted, pieces(Err("connection reset".into()))).await.unwrap_err();
    assert_eq!((refused.code(), refused.detail().contains("connection reset")), ("malformed_request", true));
    let short = Wanted { size: Some(5), ..wanted.clone() };
    assert!(upload::receive(&service.state, &scope, &short, pieces(Ok(actix::Bytes::from_static(b"more")))).await.is_err());
    assert_eq!(get(&service, &member(&service), "exports/half", &[]).await.status, 404);
    assert_eq!(sweep::round(&service.state).await.unwrap(), 2);
    assert_eq!(files(&service), Vec::<PathBuf>::new());

    // Dropped in the middle, as when its process is killed: nothing is told to the database, and the sweep waits until it is silent.
    let endless =
        futures_util::stream::iter([Ok::<_, String>(actix::Bytes::from(vec![1; 100_000]))]).chain(futures_util::stream::pending());
    let cut = tokio::time::timeout(std::time::Duration::from_millis(300), upload::receive(&service.state, &scope, &wanted, endless)).await;
    assert!(cut.is_err());
    assert_eq!(sweep::round(&service.state).await.unwrap(), 0, "it may still go on");
    assert_eq!(get(&service, &member(&service), "exports/half", &[]).await.status, 404);
    let later = Service { state: at(&service, "2026-01-15T12:15:01Z"), ..service };
    assert_eq!(sweep::round(&later.state).await.unwrap(), 1);
    assert_eq!(files(&later), Vec::<PathBuf>::new());
}

#[actix_web::test]
async fn two_who_store_at_one_place_at_once_leave_one_file() {
    let service = Service::new();
    let token = member(&service);
    let bodies: Vec<Vec<u8>> = (0..6_u8).map(|n| vec![n; 50_000]).collect();
    let all = futures_util::future::join_all(bodies.iter().map(|body| put(&service, &token, "exports/race", body, &[]))).await;
    let won: Vec<usize> = all.iter().enumerate().filter(|(_, got)| got.status == 201).map(|(n, _)| n).collect();
    assert_eq!(won.len(), 1, "{:?}", all.iter().map(|got| got.status).collect::<Vec<_>>());
    assert!(all.iter().all(|got| [201, 409].contains(&got.status)));
    assert!(get(&service, &token, "exports/race", &[]).await.bytes == bodies[won[0]]);
    sweep::round(&service.state).await.unwrap();
    assert_eq!(files(&service).len(), 1);
}
