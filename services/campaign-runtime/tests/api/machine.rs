//! The state machine under random sequences of moves, edits, plans and days, on all configured databases: no state that is not allowed is reached,
//! each change raises the version by one, and the history alone reproduces the row.

use campaign_runtime::life::{edit, status_of, transition};
use chrono::{DateTime, TimeDelta, Utc};
use domain::campaign::CampaignStatus;
use domain::role::Role;
use domain::scope::Scope;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use storage::campaigns::history::{self, Action, Change};
use storage::campaigns::{self, Campaign, NewCampaign};
use storage::connection::Connection;
use storage::page::Page;
use storage::retailers::{self, NewRetailer};
use storage::skus::{self, NewSku};
use storage::store;
use strum::VariantArray as _;

#[derive(Debug, Clone)]
enum Step {
    Move(CampaignStatus),
    Dates(i64, i64),
    Budget(Option<i64>),
    Products(bool),
    Allocate(i64),
    Days(i64),
    Stale,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::sample::select(CampaignStatus::VARIANTS.to_vec()).prop_map(Step::Move),
        1 => (-5_i64..20, 0_i64..20).prop_map(|(start, length)| Step::Dates(start, length)),
        1 => prop::option::of(0_i64..3).prop_map(Step::Budget),
        1 => any::<bool>().prop_map(Step::Products),
        1 => (0_i64..3).prop_map(Step::Allocate),
        1 => (0_i64..9).prop_map(Step::Days),
        1 => Just(Step::Stale),
    ]
}

fn start() -> DateTime<Utc> {
    "2026-01-15T12:00:00Z".parse().unwrap()
}

fn replayed(conn: &mut Connection, scope: &Scope, row: &Campaign) -> Map<String, Value> {
    let mut entries = history::list(conn, scope, row, &Page::first(500)).unwrap().rows;
    entries.reverse();
    assert_eq!(entries.iter().map(|entry| entry.version).collect::<Vec<_>>(), (1..=row.version).collect::<Vec<_>>());
    let mut fields = Map::new();
    for (name, change) in entries.iter().flat_map(|entry| entry.changes.as_object().unwrap()) {
        assert_eq!(fields.get(name).unwrap_or(&Value::Null), &change["before"]);
        fields.insert(name.clone(), change["after"].clone());
    }
    fields.retain(|_, value| !value.is_null());
    fields
}

/// Does one step; whether it was taken, and the row after it.
fn take(conn: &mut Connection, scope: &Scope, row: &Campaign, stale: &Campaign, step: &Step, now: DateTime<Utc>) -> (bool, Campaign) {
    let change = Change::of(Action::Update);
    let fields: NewCampaign = row.clone().into();
    let day = |days: i64| Some((start() + TimeDelta::days(days)).date_naive());
    let new = match step {
        Step::Dates(from, length) => NewCampaign { start_date: day(*from), end_date: day(from + length), ..fields },
        Step::Budget(micros) => NewCampaign { total_budget_micros: *micros, currency: Some("USD".into()), ..fields },
        Step::Products(any) => NewCampaign { target_skus: if *any { json!(["s1"]) } else { json!([]) }.into(), ..fields },
        _ => fields,
    };
    let done = store::transaction(conn, |conn| {
        let done = match step {
            Step::Move(to) => transition(conn, scope, row, *to, &Change::of(Action::Transition), now).is_ok(),
            Step::Stale => edit(conn, scope, stale, NewCampaign { name: "stale".into(), ..stale.clone().into() }, &change, now).is_ok(),
            Step::Allocate(n) => {
                campaigns::allocate(conn, scope, row.id, json!({"n": n}).into(), &Change::of(Action::Allocate), now).is_ok()
            }
            Step::Days(_) => false,
            _ => edit(conn, scope, row, new.clone(), &change, now).is_ok(),
        };
        Ok(done)
    });
    (done.unwrap(), campaigns::find_by_id(conn, scope, row.id).unwrap())
}

fn walk(conn: &mut Connection, id: &str, steps: &[Step]) {
    let scope = Scope::for_caller("acc_1", Role::Analyst, Some("tnt-1"));
    let new = NewCampaign {
        campaign_id: id.into(),
        tenant_id: "tnt-1".into(),
        retailer_id: "r1".into(),
        name: "Walk".into(),
        ..NewCampaign::default()
    };
    let first = store::transaction(conn, |conn| campaigns::insert(conn, &scope, &new, &Change::of(Action::Create), start())).unwrap();
    let (mut row, mut now) = (first.clone(), start());
    for step in steps {
        if let Step::Days(days) = step {
            now += TimeDelta::days(*days);
        }
        let (from, before) = (status_of(&row).unwrap(), row.clone());
        let (is_taken, after) = take(conn, &scope, &row, &first, step, now);
        let to = status_of(&after).unwrap();
        let today = now.date_naive();
        assert!(from == to || from.may_become(to), "{from} became {to} by {step:?}");
        match step {
            Step::Move(wished) => assert_eq!(is_taken, to == *wished && after.version == before.version + 1, "{step:?}"),
            Step::Stale => assert!(!is_taken || before.version == 1, "a stale write was taken at version {}", before.version),
            _ => assert_eq!(from, to, "{step:?} moved it"),
        }
        let differs = NewCampaign::from(after.clone()) != NewCampaign::from(before.clone());
        assert_eq!(after.version, before.version + i32::from(differs), "{step:?}");
        assert!(from != CampaignStatus::Archived || after == before, "an archived campaign changed by {step:?}");
        if is_taken && matches!(to, CampaignStatus::Scheduled | CampaignStatus::Active) && matches!(step, Step::Move(_)) {
            assert!(after.total_budget_micros.is_some_and(|micros| micros > 0) && after.end_date >= after.start_date);
            assert!(after.end_date.unwrap() >= today && after.target_skus.0 == json!(["s1"]));
            assert!(to == CampaignStatus::Scheduled || after.start_date.unwrap() <= today, "active before its first day");
        }
        if matches!(from, CampaignStatus::Active | CampaignStatus::Paused | CampaignStatus::Completed) {
            assert_eq!(after.start_date, before.start_date, "the first day of a campaign that began");
        }
        row = after;
    }
    let Value::Object(mut fields) = json!(NewCampaign::from(row.clone())) else { panic!("an object") };
    fields.retain(|_, value| !value.is_null());
    assert_eq!(replayed(conn, &scope, &row), fields);
}

#[test]
fn random_lives_keep_the_rules() {
    for database in testkit::database::all() {
        let mut conn = database.connect();
        let retailer = NewRetailer { retailer_id: "r1".into(), name: "R".into(), ..NewRetailer::default() };
        retailers::insert(&mut conn, &retailer, start()).unwrap();
        let sku = NewSku { sku_id: "s1".into(), retailer_id: "r1".into(), name: "S".into(), ..NewSku::default() };
        skus::insert(&mut conn, &Scope::system("test"), &sku, start()).unwrap();
        // A life that is known to go all the way, so that the rules of late states are surely met.
        let whole = [
            Step::Dates(0, 10),
            Step::Budget(Some(2)),
            Step::Products(true),
            Step::Move(CampaignStatus::Scheduled),
            Step::Move(CampaignStatus::Active),
            Step::Move(CampaignStatus::Paused),
            Step::Move(CampaignStatus::Active),
            Step::Move(CampaignStatus::Completed),
            Step::Move(CampaignStatus::Archived),
            Step::Products(false),
        ];
        walk(&mut conn, "whole", &whole);
        assert_eq!(campaigns::find(&mut conn, &Scope::system("test"), "whole").unwrap().status, "archived", "{}", database.kind());
        let mut runner = TestRunner::new_with_rng(
            Config { cases: 24, failure_persistence: None, ..Config::default() },
            proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
        );
        let ready = prop::bool::weighted(0.8);
        let connection = std::cell::RefCell::new(&mut conn);
        runner
            .run(&(ready, prop::collection::vec(step(), 1..30)), |(is_ready, random)| {
                let mut steps = if is_ready { whole[..3].to_vec() } else { Vec::new() };
                steps.extend(random);
                walk(&mut connection.borrow_mut(), &domain::id::new("cmp"), &steps);
                Ok(())
            })
            .unwrap();
    }
}
