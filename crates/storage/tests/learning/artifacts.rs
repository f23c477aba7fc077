use domain::artifact::{Bucket, PLATFORM};
use domain::scope::Scope;
use serde_json::json;
use storage::adapters::{self, NewVersion};
use storage::artifacts::{self, Artifact, Finished, NewArtifact, Place};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::page::Page;
use storage::store::transaction;

use crate::{analyst, at};

const NOON: &str = "2026-01-15T12:00:00Z";

fn place(tenant: &str, path: &str) -> Place {
    Place { tenant: tenant.into(), bucket: Bucket::ModelArtifacts, path: path.into() }
}

fn begin(conn: &mut Connection, scope: &Scope, place: Place) -> Artifact {
    let new = NewArtifact { place, store: "local", content_type: "text/plain".into() };
    artifacts::begin(conn, scope, &new, at(NOON)).unwrap()
}

fn finish(conn: &mut Connection, scope: &Scope, upload: &Artifact, sha: &str, overwrite: bool) -> Result<Finished, StorageError> {
    transaction(conn, |conn| artifacts::finish(conn, scope, upload, (3, sha), overwrite, at(NOON)))
}

fn stored(conn: &mut Connection, scope: &Scope, tenant: &str, path: &str, sha: &str) -> Artifact {
    let upload = begin(conn, scope, place(tenant, path));
    match finish(conn, scope, &upload, sha, false).unwrap() {
        Finished::Created(artifact) => artifact,
        other => panic!("{other:?}"),
    }
}

fn code(result: Result<impl std::fmt::Debug, StorageError>) -> &'static str {
    match result.unwrap_err() {
        StorageError::Conflict { code, .. } => code,
        other => panic!("{other}"),
    }
}

#[test]
fn only_what_is_finished_is_seen_and_what_is_doomed_is_found_until_it_is_gone() {
    for database in testkit::database::all() {
        let (conn, kind) = (&mut database.connect(), database.kind());
        let own = analyst("tnt-a");
        let upload = begin(conn, &own, place("tnt-a", "m/a"));
        assert!(matches!(artifacts::find(conn, &own, &place("tnt-a", "m/a")), Err(StorageError::NotFound { .. })), "{kind}");
        let Finished::Created(first) = finish(conn, &own, &upload, "s1", false).unwrap() else { panic!("{kind}") };
        assert_eq!(artifacts::find(conn, &own, &place("tnt-a", "m/a")).unwrap(), first, "{kind}");
        assert_eq!((first.size_bytes, first.key()), (3, format!("tnt-a/m/a/@{}", upload.artifact_id)));

        let same = begin(conn, &own, place("tnt-a", "m/a"));
        assert_eq!(finish(conn, &own, &same, "s1", false).unwrap(), Finished::Unchanged(first.clone()), "{kind}");
        let other = begin(conn, &own, place("tnt-a", "m/a"));
        assert_eq!(code(finish(conn, &own, &other, "s2", false)), "already_exists", "{kind}");
        let Finished::Replaced(second) = finish(conn, &own, &other, "s2", true).unwrap() else { panic!("{kind}") };
        assert_eq!(artifacts::find(conn, &own, &place("tnt-a", "m/a")).unwrap().artifact_id, second.artifact_id);
        assert_eq!(code(finish(conn, &own, &other, "s9", true)), "conflict", "{kind}: it is not on its way any more");

        let broken = begin(conn, &own, place("tnt-a", "m/b"));
        artifacts::give_up(conn, &own, &broken, at(NOON)).unwrap();
        assert_eq!(code(artifacts::touch(conn, &own, &broken, at(NOON))), "conflict", "{kind}");
        let silent = begin(conn, &own, place("tnt-a", "m/c"));
        artifacts::touch(conn, &own, &silent, at("2026-01-15T12:10:00Z")).unwrap();
        let ids = |rows: &[Artifact]| rows.iter().map(|row| row.id).collect::<Vec<_>>();
        let now = at("2026-01-15T12:20:00Z");
        let doomed = artifacts::doomed(conn, at("2026-01-15T12:05:00Z"), now, 100).unwrap();
        assert_eq!(ids(&doomed), [first.id, same.id, broken.id], "{kind}: the silent one spoke at ten past");
        artifacts::postpone(conn, &[first.id], now).unwrap();
        assert_eq!(ids(&artifacts::doomed(conn, at(NOON), now, 100).unwrap()), [same.id, broken.id, first.id], "{kind}");
        artifacts::forget(conn, &[first.id, same.id, broken.id, second.id, silent.id]).unwrap();
        assert_eq!(ids(&artifacts::doomed(conn, at("2026-01-15T12:15:00Z"), now, 100).unwrap()), [silent.id], "{kind}: given up now");
        assert_eq!(artifacts::find(conn, &own, &place("tnt-a", "m/a")).unwrap().id, second.id, "{kind}: ready ones are never forgotten");
        artifacts::remove(conn, &own, &place("tnt-a", "m/a"), now).unwrap();
        assert!(artifacts::find(conn, &own, &place("tnt-a", "m/a")).is_err());
    }
}

#[test]
fn spaces_are_apart_and_lists_tell_letters_from_capitals() {
    for database in testkit::database::all() {
        let (conn, kind) = (&mut database.connect(), database.kind());
        let (a, b, platform) = (analyst("tnt-a"), analyst("tnt-b"), Scope::system("test"));
        stored(conn, &a, "tnt-a", "m/x", "s1");
        stored(conn, &a, "tnt-a", "M/x", "s1");
        stored(conn, &a, "tnt-a", "m_x", "s1");
        stored(conn, &b, "tnt-b", "m/x", "s2");
        stored(conn, &platform, PLATFORM, "m/x", "s3");
        let list = |conn: &mut Connection, scope: &Scope, tenant: &str, prefix: &str| {
            let slice = artifacts::list(conn, scope, tenant, Bucket::ModelArtifacts, prefix, &Page::first(10));
            slice.map(|slice| slice.rows.into_iter().map(|row| (row.path, row.sha256)).collect::<Vec<_>>())
        };
        let pairs = |all: &[(&str, &str)]| all.iter().map(|(path, sha)| ((*path).to_owned(), (*sha).to_owned())).collect::<Vec<_>>();
        assert_eq!(list(conn, &a, "tnt-a", "").unwrap(), pairs(&[("m_x", "s1"), ("M/x", "s1"), ("m/x", "s1")]), "{kind}");
        assert_eq!(list(conn, &a, "tnt-a", "m/").unwrap(), pairs(&[("m/x", "s1")]), "{kind}");
        assert_eq!(list(conn, &a, "tnt-a", "m_").unwrap(), pairs(&[("m_x", "s1")]), "{kind}");
        assert_eq!(list(conn, &platform, PLATFORM, "").unwrap(), pairs(&[("m/x", "s3")]), "{kind}");
        assert_eq!(list(conn, &platform, "tnt-b", "").unwrap(), pairs(&[("m/x", "s2")]), "{kind}");
        assert!(list(conn, &a, "tnt-b", "").is_err() && list(conn, &a, PLATFORM, "").is_err(), "{kind}");
        assert!(matches!(artifacts::find(conn, &a, &place("tnt-b", "m/x")), Err(StorageError::NotFound { .. })), "{kind}");
        let new = NewArtifact { place: place("tnt-b", "new"), store: "local", content_type: "text/plain".into() };
        assert!(artifacts::begin(conn, &a, &new, at(NOON)).is_err(), "{kind}");
        let homeless = Scope::for_caller("acc", domain::role::Role::Analyst, None);
        assert!(artifacts::owner(&homeless, None).is_err() && artifacts::owner(&homeless, Some("tnt-a")).is_err());
    }
}

#[test]
fn a_version_holds_its_files_until_it_is_removed() {
    for database in testkit::database::all() {
        let (conn, kind) = (&mut database.connect(), database.kind());
        let own = analyst("tnt-a");
        let (config, weights) = (stored(conn, &own, "tnt-a", "v1/c", "s1"), stored(conn, &own, "tnt-a", "v1/w", "s2"));
        let new = |adapter: &str| NewVersion {
            tenant_id: "tnt-a".into(),
            adapter_id: adapter.into(),
            path: "v1".into(),
            base_model: "acme/tiny".into(),
            lora_rank: 4,
            lora_alpha: 8.0,
            parameters_count: 10,
            details: json!({"dtypes": ["F16"]}).into(),
            config: config.clone(),
            weights: weights.clone(),
            note: None,
        };
        let insert = |conn: &mut Connection, adapter: &str| transaction(conn, |conn| adapters::insert(conn, &own, &new(adapter), at(NOON)));
        assert_eq!(adapters::find_same(conn, &new("x")).unwrap(), None);
        let versions: Vec<i32> = ["x", "x", "y"].iter().map(|adapter| insert(conn, adapter).unwrap().version).collect();
        assert_eq!(versions, [1, 2, 1], "{kind}");
        assert_eq!(adapters::find_same(conn, &new("x")).unwrap().map(|version| version.version), Some(1), "{kind}");
        let listed = adapters::list(conn, &own, "tnt-a", &Page::first(10)).unwrap().rows;
        let listed: Vec<_> = listed.iter().map(|one| (one.newest.adapter_id.as_str(), one.newest.version, one.versions_count)).collect();
        assert_eq!(listed, [("y", 1, 1), ("x", 2, 2)], "{kind}");
        assert!(
            adapters::versions(conn, &analyst("tnt-b"), "tnt-a", "x").is_err() && adapters::versions(conn, &own, "tnt-a", "z").is_err()
        );
        assert_eq!(code(artifacts::remove(conn, &own, &place("tnt-a", "v1/w"), at(NOON))), "artifact_in_use", "{kind}");
        for (adapter, version) in [("x", 1), ("x", 2), ("y", 1)] {
            adapters::remove(conn, &own, "tnt-a", adapter, version).unwrap();
        }
        artifacts::remove(conn, &own, &place("tnt-a", "v1/w"), at(NOON)).unwrap();
        assert_eq!(code(insert(conn, "x")), "conflict", "{kind}: a file is gone");
    }
}
