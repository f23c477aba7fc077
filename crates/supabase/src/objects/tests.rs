//! The three stores behave alike, and keep their promises when something breaks.
#![allow(clippy::unwrap_used)]

mod server;

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::*;
use crate::project::Project;
use server::{Fault, Kind, Server};

const KEY: &str = "tnt-a/m/v=1/model.json/@art_1";

/// A store with what is behind it, which must live as long.
struct Tried {
    objects: Objects,
    server: Option<Server>,
    folder: tempfile::TempDir,
}

async fn local() -> Tried {
    let folder = tempfile::tempdir().unwrap();
    Tried { objects: Objects::Local(Local::new(folder.path().join("a/b"))), server: None, folder }
}

async fn s3_with(key_id: &str) -> Tried {
    let server = Server::start(Kind::S3).await;
    let settings = S3Settings {
        endpoint: server.url.clone(),
        bucket: "endcap".into(),
        region: "eu-central-1".into(),
        access_key_id: key_id.into(),
        secret_access_key: "secret".into(),
    };
    Tried { objects: Objects::S3(S3::new(&settings).unwrap()), server: Some(server), folder: tempfile::tempdir().unwrap() }
}

async fn hosted_with(key: &str) -> Tried {
    let server = Server::start(Kind::Storage).await;
    let project = Project::for_service(&server.url, key.into()).unwrap();
    Tried { objects: Objects::Hosted(Hosted::of(&project).unwrap()), server: Some(server), folder: tempfile::tempdir().unwrap() }
}

async fn all() -> [Tried; 3] {
    [local().await, s3_with("key-id").await, hosted_with("sb_secret_x").await]
}

async fn store(objects: &Objects, key: &str, pieces: &[&[u8]], size: Option<u64>) -> Result<(), ObjectError> {
    let mut upload = objects.begin("exports", key, "text/plain", size).await?;
    for piece in pieces {
        if let Err(error) = upload.write(Bytes::copy_from_slice(piece)).await {
            upload.abandon().await;
            return Err(error);
        }
    }
    upload.finish().await
}

async fn read(objects: &Objects, key: &str, range: Range<u64>, size: u64) -> Result<Vec<u8>, ObjectError> {
    let mut pieces = objects.open("exports", key, range, size).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(bytes)
}

#[tokio::test]
async fn objects_go_in_come_out_and_go() {
    for tried in all().await {
        let objects = &tried.objects;
        objects.prepare().await.unwrap();
        objects.prepare().await.unwrap();
        // Larger than two parts, in pieces that fit no part.
        let large: Vec<u8> = (0..20 << 20).map(|n: u32| n.to_le_bytes()[n as usize % 4]).collect();
        let pieces: Vec<&[u8]> = large.chunks(1_000_003).collect();
        store(objects, KEY, &pieces, None).await.unwrap();
        let size = large.len() as u64;
        assert!(read(objects, KEY, 0..size, size).await.unwrap() == large, "{}", objects.name());
        let (from, to) = (8 << 20, (8 << 20) + 1_000);
        assert_eq!(read(objects, KEY, from..to, size).await.unwrap(), large[from as usize..to as usize], "{}", objects.name());
        store(objects, "tnt-a/empty/@art_2", &[], Some(0)).await.unwrap();
        assert_eq!(read(objects, "tnt-a/empty/@art_2", 0..0, 0).await.unwrap(), b"");
        store(objects, "tnt-a/small/@art_3", &[b"ab", b"", b"c"], Some(3)).await.unwrap();
        assert_eq!(read(objects, "tnt-a/small/@art_3", 0..3, 3).await.unwrap(), b"abc");
        for key in [KEY, KEY, "tnt-a/empty/@art_2", "tnt-a/small/@art_3"] {
            objects.remove("exports", key).await.unwrap();
        }
        assert!(matches!(read(objects, KEY, 0..size, size).await, Err(ObjectError::NotFound)), "{}", objects.name());
        if let Some(server) = &tried.server {
            assert_eq!(server.objects(), Vec::<String>::new());
        } else {
            assert!(!tried.folder.path().join("a/b/exports/tnt-a").exists(), "folders go with their last object");
        }
    }
}

#[tokio::test]
async fn what_is_given_up_or_dropped_is_never_there() {
    for tried in all().await {
        let objects = &tried.objects;
        objects.prepare().await.unwrap();
        for is_dropped in [false, true] {
            let mut upload = objects.begin("exports", KEY, "text/plain", Some(20 << 20)).await.unwrap();
            upload.write(Bytes::from(vec![1; 9 << 20])).await.unwrap();
            if is_dropped {
                drop(upload);
            } else {
                upload.abandon().await;
            }
            assert!(matches!(read(objects, KEY, 0..9, 9).await, Err(ObjectError::NotFound)), "{}", objects.name());
        }
        if let Some(server) = &tried.server {
            assert_eq!(server.objects(), Vec::<String>::new());
        } else {
            assert_eq!(std::fs::read_dir(tried.folder.path().join("a/b/.incoming")).unwrap().count(), 0);
        }
    }
}

#[tokio::test]
async fn requests_say_who_we_are_and_how_long_the_body_is() {
    let s3 = s3_with("key-id").await;
    store(&s3.objects, KEY, &[b"abc"], Some(3)).await.unwrap();
    let put = s3.server.unwrap().held.lock().unwrap().requests[0].clone();
    assert_eq!((put.path.as_str(), put.header("content-type")), ("/endcap/exports/tnt-a/m/v%3D1/model.json/%40art_1", "text/plain"));
    assert!(put.header("authorization").contains("/eu-central-1/s3/aws4_request"), "{}", put.header("authorization"));
    assert_eq!(put.header("x-amz-content-sha256").len(), 64, "the body is signed too");

    let hosted = hosted_with("sb_secret_x").await;
    hosted.objects.prepare().await.unwrap();
    store(&hosted.objects, KEY, &[b"abc"], Some(3)).await.unwrap();
    let held = hosted.server.unwrap().held;
    let held = held.lock().unwrap();
    let post = held.requests.last().unwrap();
    assert_eq!((post.path.as_str(), post.header("content-length")), ("/storage/v1/object/exports/tnt-a/m/v%3D1/model.json/%40art_1", "3"));
    assert_eq!((post.header("x-upsert"), post.header("content-type")), ("false", "text/plain"));
    assert_eq!(held.buckets, BUCKETS);
}

#[tokio::test]
async fn a_store_in_trouble_is_told_from_one_that_refuses() {
    let busy = r#"{"statusCode":"429","error":"too_many_connections","message":"slow down"}"#;
    let hosted = hosted_with("sb_secret_x").await;
    hosted.objects.prepare().await.unwrap();
    let server = hosted.server.as_ref().unwrap();
    for (fault, is_trouble) in [
        (Fault::Status(500, ""), true),
        (Fault::Status(544, "{}"), true),
        (Fault::Status(400, busy), true),
        (Fault::Cut, true),
        (Fault::Status(400, r#"{"statusCode":"413","message":"The object exceeded the maximum allowed size"}"#), false),
        (Fault::Status(400, r#"{"statusCode":"415","message":"mime type text/plain is not supported"}"#), false),
    ] {
        server.fail("POST", fault.clone());
        let error = store(&hosted.objects, KEY, &[b"abc"], Some(3)).await.unwrap_err();
        assert_eq!(matches!(error, ObjectError::Unavailable(_)), is_trouble, "{fault:?}: {error}");
    }
    assert_eq!(server.objects(), Vec::<String>::new());
    let wrong_key = hosted_with("sb_secret_other").await;
    assert!(matches!(wrong_key.objects.prepare().await, Err(ObjectError::Refused(_))));
    let wrong_key = s3_with("other").await;
    let error = store(&wrong_key.objects, KEY, &[b"abc"], None).await.unwrap_err();
    assert!(matches!(error, ObjectError::Refused(_)), "{error:?}");
}

#[tokio::test]
async fn an_s3_store_that_stumbles_is_asked_again() {
    let s3 = s3_with("key-id").await;
    let server = s3.server.as_ref().unwrap();
    let large = vec![5; 9 << 20];
    for fault in [Fault::Status(500, ""), Fault::Status(503, "<Error><Code>SlowDown</Code></Error>"), Fault::Cut] {
        server.fail("PUT", fault.clone());
        store(&s3.objects, KEY, &[&large], None).await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        server.fail("GET", fault.clone());
        let size = large.len() as u64;
        assert!(read(&s3.objects, KEY, 0..size, size).await.unwrap() == large, "{fault:?}");
        s3.objects.remove("exports", KEY).await.unwrap();
    }
    for _ in 0..20 {
        server.fail("PUT", Fault::Status(500, ""));
    }
    let error = store(&s3.objects, KEY, &[b"abc"], None).await.unwrap_err();
    assert!(matches!(error, ObjectError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_download_that_is_cut_is_an_error_and_no_short_object() {
    let hosted = hosted_with("sb_secret_x").await;
    hosted.objects.prepare().await.unwrap();
    let large = vec![5; 1 << 20];
    store(&hosted.objects, KEY, &[&large], None).await.unwrap();
    hosted.server.as_ref().unwrap().fail("GET", Fault::CutAfter(1_000));
    assert!(matches!(read(&hosted.objects, KEY, 0..1 << 20, 1 << 20).await, Err(ObjectError::Unavailable(_))));
    // The library resumes behind what came; whichever way, no reader takes a part for the whole.
    let s3 = s3_with("key-id").await;
    store(&s3.objects, KEY, &[&large], None).await.unwrap();
    s3.server.as_ref().unwrap().fail("GET", Fault::CutAfter(1_000));
    let got = read(&s3.objects, KEY, 0..1 << 20, 1 << 20).await;
    assert!(got.is_err() || got.unwrap() == large);
}

#[tokio::test]
async fn doctors_look_finds_what_is_wrong() {
    for tried in all().await {
        let finding = tried.objects.check().await;
        assert!(finding.ok && finding.advice.is_none(), "{finding:?}");
        if let Some(server) = &tried.server {
            assert_eq!(server.objects(), Vec::<String>::new(), "nothing of it stays");
        }
    }
    let nobody = tokio::net::TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    let project = Project::for_service(&url, "sb_secret_x".into()).unwrap();
    let finding = Objects::Hosted(Hosted::of(&project).unwrap()).check().await;
    assert!(!finding.ok && finding.advice.as_ref().unwrap().contains("SUPABASE_SERVICE_KEY"), "{finding:?}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let finding = Objects::Local(Local::new(folder.path().join("file/inside"))).check().await;
    assert!(!finding.ok && finding.advice.as_ref().unwrap().contains("ENDCAP_ARTIFACT_DIRECTORY"), "{finding:?}");
}

#[tokio::test]
async fn only_files_of_dead_processes_are_swept() {
    let tried = local().await;
    tried.objects.prepare().await.unwrap();
    let incoming = tried.folder.path().join("a/b/.incoming");
    std::fs::write(incoming.join("up_left"), "half").unwrap();
    let mut upload = tried.objects.begin("exports", KEY, "text/plain", None).await.unwrap();
    upload.write(Bytes::from_static(b"still going on")).await.unwrap();
    tried.objects.prepare().await.unwrap();
    assert_eq!(std::fs::read_dir(&incoming).unwrap().count(), 1, "what is being written stays");
    upload.finish().await.unwrap();
    assert_eq!(read(&tried.objects, KEY, 0..14, 14).await.unwrap(), b"still going on");
    assert_eq!(std::fs::read_dir(&incoming).unwrap().count(), 0);
}
