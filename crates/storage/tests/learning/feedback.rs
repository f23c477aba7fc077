use std::collections::BTreeMap;

use domain::scope::Scope;
use serde_json::json;
use storage::brands::{self, NewBrand};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::feedback::statistics::statistics;
use storage::feedback::{self, FeedbackFilter, NewFeedback, brands as counted};
use storage::page::Page;
use storage::training_data::TrainingFilter;
use storage::training_data::said as stored_feedback;

use crate::{analyst, at};

fn brand(conn: &mut Connection, brand_id: &str, tenant: &str, name: &str) {
    let new = NewBrand { brand_id: brand_id.into(), tenant_id: tenant.into(), name: name.into(), is_active: true, ..NewBrand::default() };
    brands::insert(conn, &Scope::system("test"), &new, at("2026-01-01T00:00:00Z")).unwrap();
}

fn said(brand_id: &str, tenant: &str, task_type: &str, kind: &str, rating: Option<i32>) -> NewFeedback {
    NewFeedback {
        tenant_id: tenant.into(),
        brand_id: Some(brand_id.into()),
        user_id: "acc_1".into(),
        task_type: task_type.into(),
        prompt: "Plan März 🛒".into(),
        model_output: "the output".into(),
        feedback_type: kind.into(),
        rating,
        preferred_output: None,
        rejected_output: None,
        metadata: json!({ "page": 1 }).into(),
        session_id: None,
    }
}

/// Two tenants; six pieces of feedback of one on two days, one piece of the other.
fn fill(conn: &mut Connection) {
    brand(conn, "brand-a", "tnt-a", "Oat_Works 100%");
    brand(conn, "brand-b", "tnt-b", "Bean Works");
    let system = Scope::system("test");
    let first = [
        said("brand-a", "tnt-a", "plan_quality", "thumbs_up", None),
        said("brand-a", "tnt-a", "plan_quality", "rating", Some(5)),
        said("brand-a", "tnt-a", "plan_quality", "rating", Some(2)),
        said("brand-a", "tnt-a", "policy_compliance", "rating", Some(4)),
    ];
    feedback::insert(conn, &system, &first, at("2026-01-10T23:59:59.999999Z")).unwrap();
    let second = [
        said("brand-a", "tnt-a", "policy_compliance", "thumbs_down", None),
        said("brand-a", "tnt-a", "plan_quality", "thumbs_up", None),
        said("brand-b", "tnt-b", "plan_quality", "rating", Some(1)),
    ];
    feedback::insert(conn, &system, &second, at("2026-01-11T00:00:00Z")).unwrap();
}

#[test]
fn statistics_are_those_counted_by_hand() {
    for database in testkit::database::all() {
        let conn = &mut database.connect();
        fill(conn);
        let found = statistics(conn, &analyst("tnt-a"), &FeedbackFilter::default()).unwrap();
        let kinds = BTreeMap::from([("rating".to_owned(), 3), ("thumbs_down".to_owned(), 1), ("thumbs_up".to_owned(), 2)]);
        assert_eq!((found.total, found.ratings, &found.by_type), (6, 3, &kinds), "{}", database.kind());
        assert!((found.mean_rating.unwrap() - 11.0 / 3.0).abs() < 1e-12);
        let plans = &found.by_task_type["plan_quality"];
        assert_eq!((plans.total, plans.ratings, plans.mean_rating), (4, 2, Some(3.5)));
        let days: Vec<(String, i64)> = found.daily.iter().map(|day| (day.date.to_string(), day.total)).collect();
        assert_eq!(days, [("2026-01-10".to_owned(), 4), ("2026-01-11".to_owned(), 2)], "{}", database.kind());

        let filter =
            FeedbackFilter { from: Some(at("2026-01-11T00:00:00Z")), task_type: Some("plan_quality".into()), ..FeedbackFilter::default() };
        let later = statistics(conn, &analyst("tnt-a"), &filter).unwrap();
        assert_eq!((later.total, later.mean_rating, later.ratings), (1, None, 0));
        assert_eq!(statistics(conn, &Scope::system("test"), &FeedbackFilter::default()).unwrap().total, 7);
    }
}

#[test]
fn a_tenant_sees_and_writes_its_own_rows_only() {
    for database in testkit::database::all() {
        let conn = &mut database.connect();
        fill(conn);
        let (own, other) = (analyst("tnt-a"), analyst("tnt-b"));
        let page = feedback::list(conn, &own, &FeedbackFilter::default(), &Page::first(4)).unwrap();
        assert_eq!((page.rows.len(), page.next.is_some()), (4, true));
        let rest = feedback::list(conn, &own, &FeedbackFilter::default(), &Page { after: page.next, limit: 4 }).unwrap();
        assert_eq!((rest.rows.len(), rest.next), (2, None), "{}", database.kind());
        let row = &page.rows[0];
        assert_eq!(feedback::find(conn, &own, &row.feedback_id).unwrap().prompt, "Plan März 🛒");
        assert!(matches!(feedback::find(conn, &other, &row.feedback_id), Err(StorageError::NotFound { .. })));
        let foreign = said("brand-b", "tnt-b", "plan_quality", "thumbs_up", None);
        assert!(feedback::insert(conn, &own, &[foreign], at("2026-01-12T00:00:00Z")).is_err());
        assert!(feedback::tenants_of(conn, &own, &["brand-b".to_owned()]).unwrap().is_empty());
        let training = stored_feedback::feedback(conn, &own, &TrainingFilter::default(), 0, 100).unwrap();
        assert_eq!(training.len(), 6);
        assert!(training.is_sorted_by_key(|row| row.id));
    }
}

#[test]
fn brands_are_found_by_part_of_their_name_with_wildcards_taken_literally() {
    for database in testkit::database::all() {
        let conn = &mut database.connect();
        fill(conn);
        let system = Scope::system("test");
        let mut names = |search: &str| -> Vec<(String, i64)> {
            let found = counted::list(conn, &system, Some(search), &Page::first(10)).unwrap();
            found.rows.into_iter().map(|brand| (brand.name, brand.feedback)).collect()
        };
        assert_eq!(names("WORKS").len(), 2, "{}", database.kind());
        assert_eq!(names("t_w"), [("Oat_Works 100%".to_owned(), 6)]);
        assert_eq!(names("n_w"), []);
        assert_eq!(names("0%"), [("Oat_Works 100%".to_owned(), 6)]);
        let own = counted::list(conn, &analyst("tnt-b"), None, &Page::first(10)).unwrap();
        assert_eq!(own.rows.iter().map(|brand| brand.brand_id.as_str()).collect::<Vec<_>>(), ["brand-b"]);
        assert_eq!(own.rows[0].last_feedback_at.unwrap().0, at("2026-01-11T00:00:00Z"));
    }
}
