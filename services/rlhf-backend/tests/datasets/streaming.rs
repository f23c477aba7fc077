use domain::scope::Scope;
use rlhf_backend::exports::output::Parts;
use rlhf_backend::exports::reader::Export;
use rlhf_backend::exports::{ExportQuery, Format};
use serde_json::json;
use storage::feedback::{self, NewFeedback};

use crate::{World, drain, first, in_format, noon};

const ROWS: usize = 4_000;
/// A first page of 200 rows, one page that waits and one that is being handed over, of 2 MiB each.
const AHEAD: usize = 200 + 2 * (2 << 20) / TEXT;
const TEXT: usize = 4_200;

fn fill(world: &World, rows: usize) {
    let text = "x".repeat(TEXT / 2);
    for chunk in 0..rows / 200 {
        let new: Vec<NewFeedback> = (0..200)
            .map(|i| NewFeedback {
                tenant_id: "tnt-a".into(),
                brand_id: Some("brand-tnt-a".into()),
                user_id: "acc_1".into(),
                task_type: "plan_quality".into(),
                prompt: format!("Ask {}", chunk * 200 + i),
                model_output: String::new(),
                feedback_type: "preference".into(),
                rating: None,
                preferred_output: Some(format!("better {text}")),
                rejected_output: Some(format!("worse {text}")),
                metadata: json!({}).into(),
                session_id: None,
            })
            .collect();
        feedback::insert(&mut world.0.connect(), &Scope::system("test"), &new, noon()).unwrap();
    }
}

/// What is deleted after the first bytes is missing from the stream unless it had been read: so the bytes came before the end was read,
/// and no more was read ahead than the bound allows.
#[actix_web::test]
async fn the_first_bytes_come_before_the_end_is_read_and_little_is_read_ahead() {
    for world in World::each() {
        fill(&world, ROWS);
        let options = ExportQuery::default().options("trl-preference").unwrap();
        let mut export = Export::open(&world.0.storage.scoped(&first()), &first(), &options, Parts::Rows).await.unwrap();
        let begun = export.chunk().await.unwrap().unwrap().rows;
        assert!(begun.len() > 100_000 && begun.len() < 300_000, "{} bytes at once, {}", begun.len(), world.kind());
        world.sql("DELETE FROM feedback");
        let rest = drain(&mut export).await;
        let rows = [begun, rest].concat().iter().filter(|byte| **byte == b'\n').count();
        assert!((200..=AHEAD).contains(&rows), "{rows} rows of {ROWS}, {AHEAD} allowed, {}", world.kind());
    }
}

#[actix_web::test]
async fn parquet_leaves_in_row_groups() {
    for world in World::each() {
        fill(&world, ROWS);
        let options = in_format(Format::Parquet).options("trl-preference-chat").unwrap();
        let mut export = Export::open(&world.0.storage.scoped(&first()), &first(), &options, Parts::Rows).await.unwrap();
        let begun = export.chunk().await.unwrap().unwrap().rows;
        assert_eq!(&begun[..4], b"PAR1", "the answer begins before a group is full");
        let bytes = actix_web::web::Bytes::from([begun, drain(&mut export).await].concat());
        let reader = parquet::file::reader::SerializedFileReader::new(bytes).unwrap();
        let file = parquet::file::reader::FileReader::metadata(&reader);
        assert_eq!(file.file_metadata().num_rows(), ROWS as i64, "{}", world.kind());
        assert!(file.num_row_groups() > 3, "{} groups, {}", file.num_row_groups(), world.kind());
    }
}

/// Whoever goes away ends the reading.
#[actix_web::test]
async fn an_export_that_is_dropped_gives_its_connection_back() {
    for world in World::each() {
        fill(&world, 1_200);
        let options = ExportQuery::default().options("reward").unwrap();
        // More often than there are connections.
        for _ in 0..12 {
            let mut export = Export::open(&world.0.storage.scoped(&first()), &first(), &options, Parts::Rows).await.unwrap();
            assert!(export.chunk().await.unwrap().is_some(), "{}", world.kind());
        }
    }
}
