//! Imports over HTTP: at once or later, told and listed, by those who may, within the bounds.

use std::net::SocketAddr;

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use actix_web::web::Payload;
use actix_web::{App, FromRequest as _, HttpServer};
use campaign_runtime::imports::{spool, work};
use domain::role::Role;
use domain::scope::Scope;
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use storage::imports::{Compression, Format, OnError, Request, Table};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{Bench, GROCER, OTHER, PLATFORM, bench, bench_on, call, send};

const ROWS: &str = "campaign_id,date,spend\ncmp-instore-display,2031-01-01,1.50\ncmp-instore-display,2031-01-02,much\n";

fn post(key: &'static str, path: &str, kind: &'static str, body: impl Into<Vec<u8>>) -> TestRequest {
    let request = TestRequest::post().uri(path).insert_header(("apikey", key)).insert_header(("Content-Type", kind));
    request.set_payload(body.into())
}

/// The router on a socket.
fn listen(bench: &Bench) -> SocketAddr {
    let state = bench.state.clone();
    let server = HttpServer::new(move || {
        let state = state.clone();
        App::new().configure(move |routes| campaign_runtime::configure_public(routes, &state))
    });
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    address
}

#[actix_web::test]
async fn an_import_for_later_is_answered_at_once_and_seen_to_its_end() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let request =
        post(GROCER, "/v1/imports/performance?on_error=skip", "text/csv", ROWS).insert_header(("Prefer", "respond-async, wait=1"));
    let (status, text) = send(&app, request).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{text}");
    let accepted: Value = serde_json::from_str(&text).unwrap();
    let path = format!("/v1/imports/{}", accepted["import_id"].as_str().unwrap());
    let mut row = Value::Null;
    for _ in 0..400 {
        row = call(&app, GROCER, "GET", &path, None).await.1;
        if !matches!(row["state"].as_str(), Some("queued" | "running")) {
            break;
        }
        actix_web::rt::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert_eq!(
        (&row["state"], &row["inserted"], &row["rejected"], &row["tenant_id"]),
        (&json!("finished"), &json!(1), &json!(1), &json!("rtl-grocer-cj")),
        "{row}"
    );
    assert_eq!(row["errors"][0]["column"], "spend");
    assert_eq!(call(&app, OTHER, "GET", &path, None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(call(&app, OTHER, "GET", &format!("{path}/errors"), None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(call(&app, OTHER, "GET", "/v1/imports", None).await.1["data"], json!([]));
    let list = call(&app, GROCER, "GET", "/v1/imports?table=performance&state=finished", None).await.1;
    assert_eq!(list["data"][0]["import_id"], accepted["import_id"]);
    let report = TestRequest::get().uri(&format!("{path}/errors?format=csv")).insert_header(("apikey", GROCER));
    let (status, text) = send(&app, report).await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.starts_with("line,field,column,message\n3,spend,spend,"), "{text}");
    let page = call(&app, GROCER, "GET", &format!("{path}/errors"), None).await.1;
    assert_eq!(page["data"][0]["line"], 3);
}

/// Whoever sends files without end is told so before the first byte of the next one is read, and others are served.
#[actix_web::test]
async fn a_tenant_that_holds_its_places_is_refused_before_it_sends_and_others_are_not() {
    let bench = bench(None).await;
    let (app, address) = (bench.app().await, listen(&bench));
    let places = &bench.state.imports.places;
    let held: Vec<_> = (0..places.share()).map(|_| places.take(Some("rtl-grocer-cj")).unwrap()).collect();
    let mut socket = TcpStream::connect(address).await.unwrap();
    // A body is announced that never comes: an answer shows that nobody waited for it.
    let head = format!(
        "POST /v1/imports/performance HTTP/1.1\r\nHost: h\r\napikey: {GROCER}\r\nContent-Type: text/csv\r\nContent-Length: 100000\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 512];
    let read = actix_web::rt::time::timeout(std::time::Duration::from_secs(30), socket.read(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer[..read.expect("an answer before the body").unwrap()]).to_lowercase();
    assert!(answer.starts_with("http/1.1 429") && answer.contains("retry-after: 30"), "{answer}");
    let brands = "brand_id,tenant_id,name\nbrd-o,tnt-m2-national,Other\n";
    let (status, text) = send(&app, post(OTHER, "/v1/imports/brands", "text/csv", brands)).await;
    assert_eq!(status, StatusCode::OK, "another tenant is served: {text}");
    drop(held);
    let (status, text) = send(&app, post(GROCER, "/v1/imports/performance?on_error=skip", "text/csv", ROWS)).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert_eq!(places.held(), 0);
}

/// Hanging up does not make room for another import while the first one still runs.
#[actix_web::test]
async fn an_import_whose_caller_hangs_up_keeps_its_place_until_it_has_ended() {
    // SQLite, where one writes at a time: holding its turn makes the import wait in the middle.
    let bench = bench_on(testkit::database::sqlite(), None).await;
    let (state, places) = (&bench.state, &bench.state.imports.places);
    let scope = Scope::for_caller("acc_1", Role::Analyst, Some("rtl-grocer-cj"));
    let (request, mut payload) = TestRequest::default().set_payload(ROWS).to_http_parts();
    let body = Payload::from_request(&request, &mut payload).await.unwrap();
    let spooled = spool::receive(body, state.imports.folder(), 10_000).await.unwrap();
    let wanted =
        Request { on_error: OnError::Skip, ..Request::new(Table::Performance, spooled.file.path(), Format::Csv, Compression::None) };
    let place = places.take(scope.tenant()).unwrap();
    let ready = work::prepare(state, scope, wanted, spooled, place, "running").await.unwrap();
    let path = format!("/v1/imports/{}", ready.import_id());
    let turn = state.storage.turn().await.unwrap();
    let mut asked = Box::pin(work::run_now(state, ready));
    assert!(asked.as_mut().now_or_never().is_none(), "it waits for its turn");
    drop(asked);
    assert_eq!(places.held(), 1, "it runs on");
    drop(turn);
    for _ in 0..400 {
        if places.held() == 0 {
            break;
        }
        actix_web::rt::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert_eq!(places.held(), 0);
    let row = call(&bench.app().await, GROCER, "GET", &path, None).await.1;
    assert_eq!((&row["state"], &row["inserted"]), (&json!("finished"), &json!(1)), "{row}");
}

#[actix_web::test]
async fn declarations_are_checked_and_mappings_are_used() {
    let bench = bench(None).await;
    let app = bench.app().await;
    for (kind, body, status) in [
        ("application/pdf", ROWS.as_bytes().to_vec(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/zstd", ROWS.as_bytes().to_vec(), StatusCode::UNPROCESSABLE_ENTITY),
        ("application/vnd.apache.parquet", ROWS.as_bytes().to_vec(), StatusCode::UNPROCESSABLE_ENTITY),
        ("text/csv", Vec::new(), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let (found, text) = send(&app, post(GROCER, "/v1/imports/performance", kind, body)).await;
        assert_eq!(found, status, "{kind}: {text}");
    }
    let wrong = json!({"mapping_config": {"performance": {"columns": {"date": {"from": "Day", "format": "%H"}}}}});
    let (status, answer) = call(&app, PLATFORM, "PATCH", "/v1/retailers/rtl-grocer-cj", Some(wrong)).await;
    assert_eq!(
        (status, &answer["errors"][0]["field"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("mapping_config.performance.columns.date.format"))
    );
    let right =
        json!({"mapping_config": {"performance": {"columns": {"campaign_id": "Campaign", "date": {"from": "Day", "format": "%d/%m/%Y"}}}}});
    assert_eq!(call(&app, PLATFORM, "PATCH", "/v1/retailers/rtl-grocer-cj", Some(right)).await.0, StatusCode::OK);
    let shown = call(&app, GROCER, "GET", "/v1/retailers/rtl-grocer-cj/mapping?table=performance", None).await.1;
    assert_eq!(shown["columns"]["date"]["format"], "%d/%m/%Y");
    let theirs = "Campaign,Day,spend\ncmp-instore-display,31/12/2031,2\n";
    let path = "/v1/imports/performance?retailer_id=rtl-grocer-cj";
    let (status, text) = send(&app, post(GROCER, path, "text/csv", theirs)).await;
    assert!(status == StatusCode::OK && text.contains("\"inserted\":1"), "{text}");
    let (status, text) = send(&app, post(GROCER, &format!("{path}&mapping=off"), "text/csv", theirs)).await;
    assert!(status == StatusCode::UNPROCESSABLE_ENTITY && text.contains("has no column"), "{text}");
    assert_eq!(send(&app, post(GROCER, "/v1/imports/performance?retailer_id=rtl-none", "text/csv", theirs)).await.0, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn the_answer_tells_rows_that_a_later_one_of_the_same_key_replaces_and_lines_as_an_editor_shows_them() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let rows = "campaign_id,date,spend\r\n\r\ncmp-instore-display,2031-03-01,1\r\ncmp-instore-display,2031-03-01,2\r\n\
                cmp-instore-display,2031-03-02,much\r\n";
    for counts in [(1, 0), (0, 1)] {
        let (status, text) = send(&app, post(GROCER, "/v1/imports/performance?on_error=skip", "text/csv", rows)).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&answer["inserted"], &answer["unchanged"]), (&json!(counts.0), &json!(counts.1)), "{text}");
        assert_eq!((&answer["updated"], &answer["superseded"], &answer["errors"][0]["line"]), (&json!(0), &json!(1), &json!(5)), "{text}");
    }
}
