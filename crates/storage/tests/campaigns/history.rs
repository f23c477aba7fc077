//! Every write of a campaign leaves its row of history, and the history alone reproduces the campaign.

use std::path::Path;

use domain::scope::Scope;
use serde_json::{Map, Value, json};
use storage::campaigns::history::{Action, Change, HistoryEntry, list};
use storage::campaigns::{self, Campaign, CampaignFilter, NewCampaign};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::imports::Table;
use storage::page::Page;
use storage::types::Json;

use crate::{import, now, request, sample, system, tenant, with_sample};

/// All changes, oldest first, read page by page.
pub fn all_changes(conn: &mut Connection, scope: &Scope, row: &Campaign) -> Vec<HistoryEntry> {
    let (mut all, mut page) = (Vec::new(), Page::first(2));
    loop {
        let slice = list(conn, scope, row, &page).unwrap();
        all.extend(slice.rows);
        match slice.next {
            Some(after) => page.after = Some(after),
            None => break,
        }
    }
    all.reverse();
    all
}

/// What the history says the campaign is.
pub fn replay(entries: &[HistoryEntry]) -> Map<String, Value> {
    let mut fields = Map::new();
    for (at, entry) in entries.iter().enumerate() {
        assert_eq!(entry.version as usize, at + 1, "one row for each version");
        for (name, change) in entry.changes.as_object().unwrap() {
            assert_eq!(fields.get(name).unwrap_or(&Value::Null), &change["before"], "{name} at version {}", entry.version);
            fields.insert(name.clone(), change["after"].clone());
        }
    }
    fields
}

fn stated(row: &Campaign) -> Map<String, Value> {
    let Value::Object(fields) = json!(NewCampaign::from(row.clone())) else { panic!("an object") };
    fields.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

fn assert_reproduced(conn: &mut Connection, campaign_id: &str, kind: &str) -> Vec<String> {
    let row = campaigns::find(conn, &system(), campaign_id).unwrap();
    let entries = all_changes(conn, &system(), &row);
    assert_eq!(entries.len(), row.version as usize, "{kind} {campaign_id}");
    let replayed: Map<String, Value> = replay(&entries).into_iter().filter(|(_, value)| !value.is_null()).collect();
    assert_eq!(replayed, stated(&row), "{kind} {campaign_id}");
    entries.into_iter().map(|entry| entry.action).collect()
}

#[test]
fn every_writer_leaves_its_row_and_the_rows_reproduce_the_campaign() {
    for database in with_sample() {
        let (mut conn, kind) = (database.connect(), database.kind());
        // Imports: campaigns, then their products.
        assert_eq!(assert_reproduced(&mut conn, "cmp-dm-09", kind), ["import", "import"]);
        for row in campaigns::list(&mut conn, &system(), &CampaignFilter::default(), &Page::first(500)).unwrap().rows {
            assert_reproduced(&mut conn, &row.campaign_id, kind);
        }
        // The same file again changes nothing.
        import(&mut conn, &request(Table::Campaigns, sample("campaigns")));
        assert_eq!(assert_reproduced(&mut conn, "cmp-dm-09", kind).len(), 2, "{kind}");

        let own = tenant("tnt-m69-private");
        let row = campaigns::find(&mut conn, &own, "cmp-dm-09").unwrap();
        let new = NewCampaign { name: "Renamed".into(), total_budget_micros: Some(5_000_000), ..row.clone().into() };
        let change = Change::of(Action::Update).because(Some("it had no budget"));
        let row = campaigns::update(&mut conn, &own, &row, &new, &change, now()).unwrap();
        assert_eq!(row.version, 3, "{kind}");
        campaigns::allocate(&mut conn, &own, row.id, Json(json!({"lines": [1, 2.5]})), &Change::of(Action::Allocate), now()).unwrap();
        assert_eq!(assert_reproduced(&mut conn, "cmp-dm-09", kind), ["import", "import", "update", "allocate"]);
        let last = all_changes(&mut conn, &own, &row).remove(2);
        assert_eq!((last.actor.as_str(), last.role.as_str(), last.reason.as_deref()), ("acc_1", "analyst", Some("it had no budget")));
        assert_eq!(last.changes["total_budget_micros"], json!({"before": null, "after": 5_000_000}));
        assert_eq!(last.changes.as_object().unwrap().len(), 2, "{kind}: only what differs");

        // What differs in nothing is no change.
        let row = campaigns::find(&mut conn, &own, "cmp-dm-09").unwrap();
        let same = campaigns::update(&mut conn, &own, &row, &row.clone().into(), &change, now()).unwrap();
        assert_eq!(same.version, row.version, "{kind}");

        let copy = NewCampaign { campaign_id: "copy".into(), ..row.clone().into() };
        campaigns::insert(&mut conn, &own, &copy, &Change::of(Action::Clone), now()).unwrap();
        assert_eq!(assert_reproduced(&mut conn, "copy", kind), ["clone"]);
        let other = campaigns::find(&mut conn, &system(), "cmp-dm-16").unwrap();
        assert!(matches!(list(&mut conn, &own, &other, &Page::first(5)), Err(StorageError::NotFound { .. })), "{kind}");
    }
}

#[test]
fn an_archived_campaign_is_changed_by_nobody() {
    for database in with_sample() {
        let (mut conn, kind) = (database.connect(), database.kind());
        let row = campaigns::find(&mut conn, &system(), "cmp-dm-09").unwrap();
        let archived = NewCampaign { status: "archived".into(), ..row.clone().into() };
        let change = Change::of(Action::Transition);
        let row = campaigns::update(&mut conn, &system(), &row, &archived, &change, now()).unwrap();
        let renamed = NewCampaign { name: "x".into(), ..row.clone().into() };
        let refused = campaigns::update(&mut conn, &system(), &row, &renamed, &change, now());
        assert!(matches!(refused, Err(StorageError::Conflict { code: "conflict", .. })), "{kind}");
        let refused = campaigns::allocate(&mut conn, &system(), row.id, Json(json!({})), &change, now());
        assert!(matches!(refused, Err(StorageError::Conflict { .. })), "{kind}");
        // An import rejects its row and takes the others.
        let mut again = request(Table::Campaigns, sample("campaigns"));
        again.on_error = storage::imports::OnError::Skip;
        let outcome = import(&mut conn, &again);
        assert_eq!((outcome.rejected, outcome.is_kept), (1, true), "{kind}: {:?}", outcome.errors);
        assert!(outcome.errors[0].message.contains("archived"), "{kind}: {:?}", outcome.errors);
        assert_eq!(campaigns::find(&mut conn, &system(), "cmp-dm-09").unwrap(), row, "{kind}");
    }
}

#[test]
fn no_other_file_writes_campaigns() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            let squeezed: String = text.split_whitespace().collect();
            let aliased = text.contains("schema::campaigns as t;");
            let writes = ["insert_into", "update", "insert_or_ignore_into", "replace_into"].iter().any(|verb| {
                squeezed.contains(&format!("{verb}(campaigns::")) || squeezed.contains(&format!("{verb}(crate::schema::campaigns"))
            }) || ["INSERT INTO campaigns ", "UPDATE campaigns ", "COPY campaigns "].iter().any(|verb| text.contains(verb))
                || (aliased && ["insert_into(t::", "update(t::"].iter().any(|verb| squeezed.contains(verb)));
            if writes {
                seen += 1;
                assert_eq!(name, "campaigns.rs", "writes campaigns without a Change: history would miss it");
            }
        }
    }
    assert_eq!(seen, 1, "the file that may is not found any more");
}
