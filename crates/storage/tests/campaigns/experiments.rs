//! Experiments, their observations and calibrations stay with their tenant, and writing the same again changes nothing.

use serde_json::json;
use storage::calibrations::{self, NewCalibration};
use storage::campaigns;
use storage::connection::Connection;
use storage::error::StorageError;
use storage::experiments::observations::{self, Observation, WHOLE_DAY};
use storage::experiments::{self as stored, Experiment, ExperimentFilter, NewExperiment};
use storage::page::Page;
use storage::performance::Written;

use crate::{now, system, tenant, with_sample};

const OWN: &str = "tnt-m69-private";
const OTHER: &str = "tnt-m373-national";

fn new(id: &str, tenant_id: &str) -> NewExperiment {
    NewExperiment {
        experiment_id: id.to_owned(),
        tenant_id: tenant_id.to_owned(),
        campaign: None,
        name: "Holdout".to_owned(),
        hypothesis: None,
        design: "ab".to_owned(),
        status: "draft".to_owned(),
        salt: "s".to_owned(),
        definition: json!({}).into(),
        definition_hash: None,
        started_at: None,
        concluded_at: None,
        result: None,
        inputs_hash: None,
        status_reason: None,
        created_by: "acc_1".to_owned(),
    }
}

fn insert(conn: &mut Connection, id: &str, tenant_id: &str) -> Experiment {
    stored::insert(conn, &tenant(tenant_id), &new(id, tenant_id), now()).unwrap()
}

fn row(unit: &str, day: u32, value_sum: f64) -> Observation {
    Observation {
        unit: unit.to_owned(),
        arm: String::new(),
        date: chrono::NaiveDate::from_ymd_opt(2026, 1, day).unwrap(),
        hour: WHOLE_DAY,
        n: 1,
        value_sum,
        value_sum_squares: None,
        covariate_sum: None,
        covariate_sum_squares: None,
        cross_sum: None,
        spend_micros: Some(5),
    }
}

#[test]
fn an_experiment_is_seen_by_its_tenant_only_and_changed_at_its_version() {
    for database in testkit::database::all() {
        let mut conn = database.connect();
        let own = insert(&mut conn, "exp-1", OWN);
        insert(&mut conn, "exp-1", OTHER);
        assert!(matches!(stored::find(&mut conn, &tenant("tnt-x"), "exp-1"), Err(StorageError::NotFound { .. })));
        assert!(matches!(stored::find(&mut conn, &system(), "exp-1"), Err(StorageError::Conflict { .. })), "two tenants, one id");
        let foreign = stored::insert(&mut conn, &tenant(OWN), &new("exp-2", OTHER), now());
        assert!(matches!(foreign, Err(StorageError::Invalid(_))));
        let again = stored::insert(&mut conn, &tenant(OWN), &new("exp-1", OWN), now());
        assert!(matches!(again, Err(StorageError::Conflict { code: "already_exists", .. })), "{}", database.kind());
        let asked = ExperimentFilter { tenant_id: Some(OTHER.to_owned()), ..ExperimentFilter::default() };
        assert!(stored::list(&mut conn, &tenant(OWN), &asked, &Page::first(10)).unwrap().rows.is_empty(), "a filter does not widen");
        let draft = ExperimentFilter { status: Some("draft".to_owned()), design: Some("ab".to_owned()), ..ExperimentFilter::default() };
        assert_eq!(stored::list(&mut conn, &system(), &draft, &Page::first(10)).unwrap().rows.len(), 2);

        let changed = NewExperiment { name: "Other".to_owned(), salt: "moved".to_owned(), ..own.clone().into() };
        let updated = stored::update(&mut conn, &tenant(OWN), &own, &changed, now()).unwrap();
        assert_eq!((updated.name.as_str(), updated.version, updated.salt.as_str()), ("Other", 2, "s"), "the salt stays");
        let stale = stored::update(&mut conn, &tenant(OWN), &own, &changed, now());
        assert!(matches!(stale, Err(StorageError::Conflict { code: "stale", .. })));
    }
}

#[test]
fn the_same_observations_change_nothing_and_others_take_their_place() {
    for database in testkit::database::all() {
        let mut conn = database.connect();
        let (own, scope) = (insert(&mut conn, "exp-1", OWN), tenant(OWN));
        let rows: Vec<Observation> = (0..1_200).map(|at| row(&format!("u{at}"), 1 + at % 20, f64::from(at) + 0.1)).collect();
        let first = observations::record(&mut conn, &scope, &own, &rows, now()).unwrap();
        assert_eq!(first, Written { inserted: 1_200, updated: 0, unchanged: 0 }, "{}", database.kind());
        let second = observations::record(&mut conn, &scope, &own, &rows, now()).unwrap();
        assert_eq!(second, Written { inserted: 0, updated: 0, unchanged: 1_200 }, "{}", database.kind());
        let corrected = observations::record(&mut conn, &scope, &own, &[row("u0", 1, 7.0), row("new", 1, 1.0)], now()).unwrap();
        assert_eq!(corrected, Written { inserted: 1, updated: 1, unchanged: 0 });
        let all = observations::all(&mut conn, &scope, &own).unwrap();
        assert_eq!((all.len(), all[0].unit.as_str()), (1_201, "new"));
        assert_eq!(all.iter().find(|row| row.unit == "u0").unwrap().value_sum, 7.0);
        assert!(observations::all(&mut conn, &tenant(OTHER), &own).unwrap().is_empty());
        let foreign = observations::record(&mut conn, &tenant(OTHER), &own, &rows, now());
        assert!(matches!(foreign, Err(StorageError::NotFound { .. })));
    }
}

#[test]
fn an_experiment_calibrates_its_campaign_once_and_for_its_tenant_only() {
    for database in with_sample() {
        let mut conn = database.connect();
        let campaign = campaigns::find(&mut conn, &system(), "cmp-dm-09").unwrap();
        let experiment = insert(&mut conn, "exp-1", OWN);
        let found = NewCalibration {
            calibration_id: "cal_1".to_owned(),
            tenant_id: OWN.to_owned(),
            campaign: campaign.id,
            placement_type: "mailer".to_owned(),
            audience_segment: String::new(),
            iroas: 1.5,
            standard_error: 0.25,
            spend_micros: 1_000_000,
            currency: "USD".to_owned(),
            days: 28,
            n: 400,
            control_definition: "households not mailed".to_owned(),
            experiment: experiment.id,
        };
        assert!(calibrations::insert(&mut conn, &tenant(OTHER), &found, now()).is_err());
        calibrations::insert(&mut conn, &tenant(OWN), &found, now()).unwrap();
        let again = NewCalibration { calibration_id: "cal_2".to_owned(), ..found };
        let again = calibrations::insert(&mut conn, &tenant(OWN), &again, now());
        assert!(matches!(again, Err(StorageError::Conflict { .. })), "{}", database.kind());
        let read = calibrations::for_campaign(&mut conn, &tenant(OWN), campaign.id).unwrap();
        assert_eq!((read.len(), read[0].iroas, read[0].n), (1, 1.5, 400));
        assert!(calibrations::for_campaign(&mut conn, &tenant(OTHER), campaign.id).unwrap().is_empty());
    }
}
