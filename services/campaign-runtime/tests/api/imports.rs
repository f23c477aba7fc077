//! Imports over HTTP: at once or later, told and listed, by those who may, within the bounds.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use crate::{GROCER, OTHER, PLATFORM, bench, call, send};

const ROWS: &str = "campaign_id,date,spend\ncmp-instore-display,2031-01-01,1.50\ncmp-instore-display,2031-01-02,much\n";

fn post(key: &'static str, path: &str, kind: &'static str, body: impl Into<Vec<u8>>) -> TestRequest {
    let request = TestRequest::post().uri(path).insert_header(("apikey", key)).insert_header(("Content-Type", kind));
    request.set_payload(body.into())
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
    assert!(status == StatusCode::UNPROCESSABLE_ENTITY && text.contains("is required"), "{text}");
    assert_eq!(send(&app, post(GROCER, "/v1/imports/performance?retailer_id=rtl-none", "text/csv", theirs)).await.0, StatusCode::NOT_FOUND);
}
