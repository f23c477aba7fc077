//! A tenant finds and lists its own rows only.

use storage::brands::BrandFilter;
use storage::campaigns::CampaignFilter;
use storage::campaigns::history::{Action, Change};
use storage::error::StorageError;
use storage::imports::{OnError, Request, Table};
use storage::page::Page;
use storage::performance::summary::{SummaryQuery, summarise};
use storage::reflections::{NewReflectionLog, ReflectionFilter};
use storage::skus::SkuFilter;
use storage::types::Json;
use storage::{brands, campaigns, performance, reflections, skus};

use crate::{now, request, system, tenant, with_sample};

fn is_missing<T: std::fmt::Debug>(result: Result<T, StorageError>) -> bool {
    matches!(result, Err(StorageError::NotFound { .. }))
}

#[test]
fn what_belongs_to_another_tenant_is_not_there() {
    for database in with_sample() {
        let mut conn = database.connect();
        let (own, page) = (tenant("tnt-m69-private"), Page::first(500));
        campaigns::find(&mut conn, &own, "cmp-dm-09").unwrap();
        assert!(is_missing(campaigns::find(&mut conn, &own, "cmp-dm-16")));
        let other = campaigns::find(&mut conn, &system(), "cmp-dm-16").unwrap();
        assert!(is_missing(campaigns::find_by_id(&mut conn, &own, other.id)));
        let listed = campaigns::list(&mut conn, &own, &CampaignFilter::default(), &page).unwrap().rows;
        assert_eq!(listed.iter().map(|row| row.campaign_id.as_str()).collect::<Vec<_>>(), ["cmp-dm-09"]);
        let asked = CampaignFilter { tenant_id: Some("tnt-m373-national".into()), ..CampaignFilter::default() };
        assert!(campaigns::list(&mut conn, &own, &asked, &page).unwrap().rows.is_empty(), "a filter does not widen the scope");

        brands::find(&mut conn, &own, "brd-m69-private").unwrap();
        assert!(is_missing(brands::find(&mut conn, &own, "brd-m373-national")));
        assert_eq!(brands::list(&mut conn, &own, &BrandFilter::default(), &page).unwrap().rows.len(), 1);

        assert!(is_missing(skus::find(&mut conn, &own, None, "cj-829123")));
        let listed = skus::list(&mut conn, &own, &SkuFilter::default(), &page).unwrap().rows;
        assert!(!listed.is_empty() && listed.iter().all(|row| row.tenant_id.as_deref() == Some("tnt-m69-private")));
        assert_eq!(skus::count(&mut conn, &own).unwrap(), listed.len() as i64);

        assert_eq!(performance::count(&mut conn, &own).unwrap(), 41);
        let sums = summarise(&mut conn, &own, &SummaryQuery { limit: 10, ..SummaryQuery::default() }).unwrap();
        assert_eq!(sums.iter().map(|row| row.rows).sum::<i64>(), 41);
        assert!(
            summarise(&mut conn, &own, &SummaryQuery { campaign: Some(other.id), limit: 10, ..Default::default() }).unwrap().is_empty()
        );

        let nobody = domain::scope::Scope::for_caller("acc_2", domain::role::Role::Rater, None);
        assert!(campaigns::list(&mut conn, &nobody, &CampaignFilter::default(), &page).unwrap().rows.is_empty());
    }
}

/// A file that names another tenant's brand is told the same as one that names a brand that does not exist, and nothing of it is written.
#[test]
fn an_import_finds_no_brand_of_another_tenant() {
    for database in with_sample() {
        let mut conn = database.connect();
        let own = tenant("tnt-m69-private");
        let folder = tempfile::tempdir().unwrap();
        let mut load = |table: Table, name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let wanted = Request { on_error: OnError::Skip, ..request(table, path) };
            storage::imports::load(&mut conn, &own, &wanted, now(), &|_| {}).unwrap()
        };
        for (at, brand) in ["brd-m373-national", "brd-nobody"].into_iter().enumerate() {
            let campaign = format!("campaign_id,tenant_id,retailer_id,brand_id,name\ncmp-x{at},tnt-m69-private,rtl-grocer-cj,{brand},X\n");
            let moved = format!("campaign_id,tenant_id,brand_id\ncmp-dm-09,tnt-m69-private,{brand}\n");
            let sku = format!("sku_id,retailer_id,brand_id,name\nsku-x{at},rtl-grocer-cj,{brand},X\n");
            for (table, text) in [(Table::Campaigns, campaign), (Table::Campaigns, moved), (Table::Skus, sku)] {
                let outcome = load(table, &format!("{at}.csv"), text);
                assert_eq!((outcome.inserted, outcome.updated, outcome.rejected), (0, 0, 1), "{} {table:?} {brand}", database.kind());
                let said = &outcome.errors[0];
                let expected = format!("there is no brand {brand:?}; import it first");
                assert_eq!((said.field.as_str(), said.message.as_str()), ("brand_id", expected.as_str()), "{} {table:?}", database.kind());
            }
        }
        let campaigns = "campaign_id,retailer_id,brand_id,name\ncmp-y,rtl-grocer-cj,brd-m69-private,Y\ncmp-z,rtl-grocer-cj,,Z\n";
        let outcome = load(Table::Campaigns, "own.csv", campaigns.to_owned());
        assert_eq!(outcome.inserted, 2, "{}: {:?}", database.kind(), outcome.errors);
        let outcome = load(Table::Brands, "brand.csv", "brand_id,name\nbrd-y,Y\n".to_owned());
        assert_eq!(outcome.inserted, 1, "{}: {:?}", database.kind(), outcome.errors);
        for campaign in ["cmp-y", "cmp-z"] {
            assert_eq!(campaigns::find(&mut conn, &own, campaign).unwrap().tenant_id, "tnt-m69-private", "as the API would");
        }
        assert_eq!(brands::find(&mut conn, &own, "brd-y").unwrap().tenant_id, "tnt-m69-private");
    }
}

fn log(tenant: &str) -> NewReflectionLog {
    NewReflectionLog {
        log_id: format!("rfl_{tenant}"),
        tenant_id: Some(tenant.to_owned()),
        campaign: None,
        session_id: "s1".into(),
        task_type: "plan_quality".into(),
        phase: "decision".into(),
        memory_references: Json(serde_json::json!([])),
        alternate_frames: Json(serde_json::json!([])),
        risk_factors: Json(serde_json::json!([])),
        mitigation_strategies: Json(serde_json::json!([])),
        confidence_value: Some(0.5),
        confidence_rationale: None,
        decision_threshold: None,
        bias_checkpoint: Json(serde_json::json!({})),
        decision: Json(serde_json::json!({})),
        decision_rationale: "because".into(),
    }
}

#[test]
fn reflection_logs_stay_with_their_tenant() {
    for database in testkit::database::all() {
        let mut conn = database.connect();
        reflections::insert(&mut conn, &system(), &log("tnt-a"), now()).unwrap();
        reflections::insert(&mut conn, &system(), &log("tnt-b"), now()).unwrap();
        assert!(is_missing(reflections::find(&mut conn, &tenant("tnt-a"), "rfl_tnt-b")));
        let own = reflections::list(&mut conn, &tenant("tnt-a"), &ReflectionFilter::default(), &Page::first(10)).unwrap().rows;
        assert_eq!(own.len(), 1);
        let again = reflections::insert(&mut conn, &system(), &log("tnt-a"), now());
        assert!(matches!(again, Err(StorageError::Conflict { code: "already_exists", .. })));
    }
}

#[test]
fn old_reflection_logs_are_dropped_a_few_at_a_time_and_young_ones_stay() {
    for database in testkit::database::all() {
        let mut conn = database.connect();
        for (name, days) in [("oldest", 500), ("old", 401), ("young", 399), ("new", 0)] {
            reflections::insert(&mut conn, &system(), &log(name), now() - chrono::TimeDelta::days(days)).unwrap();
        }
        let before = now() - chrono::TimeDelta::days(400);
        let swept: Vec<usize> = (0..3).map(|_| reflections::sweep(&mut conn, before, 1).unwrap()).collect();
        assert_eq!(swept, [1, 1, 0], "{}", database.kind());
        let rest = reflections::list(&mut conn, &system(), &ReflectionFilter::default(), &Page::first(10)).unwrap().rows;
        let names: Vec<&str> = rest.iter().map(|row| row.log_id.as_str()).collect();
        assert_eq!(names, ["rfl_new", "rfl_young"], "{}", database.kind());
    }
}

#[test]
fn a_change_of_a_stale_campaign_is_refused() {
    for database in with_sample() {
        let mut conn = database.connect();
        let row = campaigns::find(&mut conn, &system(), "cmp-dm-09").unwrap();
        let new = campaigns::NewCampaign { name: "Another name".into(), ..row.clone().into() };
        let change = Change::of(Action::Update);
        campaigns::update(&mut conn, &system(), &row, &new, &change, now()).unwrap();
        let stale = campaigns::update(&mut conn, &system(), &row, &new, &change, now());
        assert!(matches!(stale, Err(StorageError::Conflict { code: "stale", .. })), "{}", database.kind());
    }
}
