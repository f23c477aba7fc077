use std::collections::BTreeMap;

use actix_web::web::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use rlhf_backend::exports::output::Parts;
use rlhf_backend::exports::profile::Profile;
use rlhf_backend::exports::{ExportQuery, Format};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{World, decided, in_format, lines};

/// Tasks, feedback of every kind and judgments, with texts that need care.
fn fill(world: &World) {
    for i in 0..40 {
        let (id, prompt) = (format!("t{i}"), format!("Frage {i}: \"Hafer\"\n🛒"));
        let (a, b) = (format!("tab\tquote\" back\\slash {i}"), format!("äöü \u{1} {i}"));
        let choice = if i % 3 == 0 { "candidate_b" } else { "candidate_a" };
        let by = if i % 10 == 0 { "acc_expert" } else { "raters" };
        world.task(&crate::Decided { decided_by: by, ..decided(&id, &prompt, &a, &b, choice, 0.7 + f64::from(i % 3) / 10.0) });
    }
    world.judgment("t1", false);
    world.judgment("t2", true);
    world.sql("UPDATE judgments SET reasons = '[]' WHERE task_id = 't2'");
    for i in 0..5 {
        let prompt = format!("Gesagt {i}");
        world.prefers(&prompt, "besser", "schlechter");
        world.said("tnt-a", &prompt, "correction", ["falsch", "richtig", ""], None);
        world.said("tnt-a", &prompt, "thumbs_down", ["nein", "", ""], None);
    }
}

fn parquet_rows(bytes: Vec<u8>) -> Vec<Value> {
    let reader = SerializedFileReader::new(Bytes::from(bytes)).unwrap();
    reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_json_value()).collect()
}

#[actix_web::test]
async fn both_formats_hold_the_same_rows_and_the_manifest_describes_them() {
    for world in World::each() {
        fill(&world);
        for (profile, name, _) in Profile::ALL {
            let mut rows = Vec::new();
            for format in [Format::Jsonl, Format::Parquet] {
                let options = in_format(format).options(name).unwrap();
                let bytes = world.export(&options, Parts::Rows).await;
                assert_eq!(world.export(&options, Parts::Rows).await, bytes, "the same data give the same bytes: {name} {}", world.kind());
                let manifest = world.manifest(name, &in_format(format)).await;
                let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                let file = json!({ "name": options.file_name(), "rows": manifest["rows"], "bytes": bytes.len(), "sha256": sha256 });
                assert_eq!((&manifest["files"][0], &manifest["sha256"]), (&file, &json!(sha256)), "{name} {}", world.kind());
                rows.push(if format == Format::Jsonl { lines(&bytes) } else { parquet_rows(bytes) });
                assert_eq!(manifest["rows"], rows.last().unwrap().len(), "{name} {}", world.kind());
                if profile != Profile::Judgments {
                    let beside = world.export(&in_format(Format::Jsonl).options(name).unwrap(), Parts::Provenance).await;
                    let sha256: String = Sha256::digest(&beside).iter().map(|byte| format!("{byte:02x}")).collect();
                    assert_eq!(manifest["files"][1]["sha256"], json!(sha256), "{name} {}", world.kind());
                }
            }
            assert!(rows[0].len() > 1, "{name}");
            assert_eq!(rows[0], rows[1], "{name} {}", world.kind());
        }
    }
}

#[actix_web::test]
async fn no_prompt_is_in_two_parts_and_the_parts_make_up_the_whole() {
    for world in World::each() {
        fill(&world);
        for name in ["trl-preference", "kto", "sft"] {
            let mut parts: BTreeMap<String, &str> = BTreeMap::new();
            let mut count = 0;
            for split in ["train", "validation", "test"] {
                let query = ExportQuery { split: serde_json::from_value(json!(split)).ok(), ..ExportQuery::default() };
                let rows = world.lines(name, &query).await;
                assert!(world.provenance(name, &query).await.iter().all(|line| line["split"] == split), "{name} {}", world.kind());
                count += rows.len();
                for row in rows {
                    let before = parts.insert(row["prompt"].to_string(), split);
                    assert!(before.is_none_or(|before| before == split), "{} is in {before:?} and {split}", row["prompt"]);
                }
            }
            let manifest = world.manifest(name, &ExportQuery::default()).await;
            assert_eq!(manifest["rows"], count, "{name} {}", world.kind());
            let named: u64 = manifest["split"]["rows"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
            assert_eq!(named, count as u64, "{name} {}", world.kind());
        }
    }
}

/// Strict profiles hold what the trainer reads; all else is beside them, a line for each row.
#[actix_web::test]
async fn provenance_is_beside_the_rows_and_never_inside() {
    for world in World::each() {
        fill(&world);
        for (profile, name, _) in Profile::ALL.into_iter().filter(|(profile, ..)| *profile != Profile::Judgments) {
            let rows = world.lines(name, &ExportQuery::default()).await;
            let beside = world.provenance(name, &ExportQuery::default()).await;
            assert_eq!(rows.len(), beside.len(), "{name} {}", world.kind());
            for (at, (row, line)) in rows.iter().zip(&beside).enumerate() {
                assert_eq!(line["row"], at, "{name}");
                let prompt = match profile {
                    Profile::TrlPreference => row["prompt"].as_str(),
                    Profile::TrlPreferenceChat | Profile::Kto | Profile::Sft => row["prompt"][0]["content"].as_str(),
                    Profile::Reward => row["chosen"][0]["content"].as_str(),
                    _ => row["chosen"].as_str().and_then(|text| text.strip_prefix("\n\nHuman: ")?.split("\n\nAssistant: ").next()),
                };
                let sha256: String = Sha256::digest(prompt.unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(line["prompt_sha256"], sha256, "{name} {}", world.kind());
                let columns: Vec<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
                assert!(columns.iter().all(|column| ["prompt", "chosen", "rejected", "completion", "label", "margin"].contains(column)));
                assert_eq!(line["task_id"].is_null(), line["source"] == "feedback", "{line}");
            }
        }
    }
}
