use std::collections::BTreeMap;

use domain::scope::Scope;
use serde_json::json;
use storage::brands::{self, NewBrand};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::feedback::statistics::{statistics, statistics_of_rows};
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
fn a_trend_without_a_beginning_ends_thirty_days_back() {
    for database in testkit::database::all() {
        let (conn, kind) = (&mut database.connect(), database.kind());
        brand(conn, "brand-a", "tnt-a", "Oat Works");
        let one = [said("brand-a", "tnt-a", "plan_quality", "thumbs_up", None)];
        for day in [0, 10, 11, 100] {
            let when = at("2026-01-01T12:00:00Z") + chrono::TimeDelta::days(day);
            feedback::insert(conn, &Scope::system("test"), &one, when).unwrap();
        }
        let mut days = |filter: &FeedbackFilter| -> (i64, Vec<String>) {
            let kept = statistics(conn, &analyst("tnt-a"), filter).unwrap();
            assert_eq!(kept, statistics_of_rows(conn, &analyst("tnt-a"), filter).unwrap(), "{kind}");
            (kept.total, kept.daily.iter().map(|day| day.date.to_string()).collect())
        };
        let all = FeedbackFilter::default();
        assert_eq!(days(&all), (4, vec!["2026-04-11".to_owned()]), "{kind}: what is older is counted, not drawn");
        let from = FeedbackFilter { from: Some(at("2026-01-01T00:00:00Z")), ..all.clone() };
        assert_eq!(days(&from).1.len(), 4, "{kind}");
        let to = FeedbackFilter { to: Some(at("2026-01-12T13:00:00Z")), ..all };
        assert_eq!(days(&to), (3, vec!["2026-01-01".to_owned(), "2026-01-11".to_owned(), "2026-01-12".to_owned()]), "{kind}");
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
fn a_search_finds_words_of_the_newest_first_and_goes_on_where_it_stopped() {
    for database in testkit::database::all() {
        let (conn, kind) = (&mut database.connect(), database.kind());
        fill(conn);
        let (system, own) = (Scope::system("test"), analyst("tnt-a"));
        let corrected = NewFeedback {
            feedback_type: "correction".into(),
            preferred_output: Some("Only 50% OFF!".into()),
            ..said("brand-a", "tnt-a", "plan_quality", "correction", None)
        };
        feedback::insert(conn, &system, &[corrected], at("2026-01-11T00:00:00Z")).unwrap();
        let found = |conn: &mut Connection, scope: &Scope, filter: &FeedbackFilter, words: &str, page: Page| {
            feedback::search(conn, scope, filter, words, &page).unwrap()
        };
        let all = FeedbackFilter::default();
        assert_eq!(found(conn, &own, &all, "50% off", Page::first(9)).rows.len(), 1, "{kind}");
        assert_eq!(found(conn, &own, &all, "5_% off", Page::first(9)).rows, [], "{kind}: wildcards are letters");
        assert_eq!(found(conn, &own, &all, "MÄRZ", Page::first(9)).rows.len(), 7, "{kind}: other letters have a case too");
        let of_kind = FeedbackFilter { feedback_type: Some("rating".into()), ..all.clone() };
        let first = found(conn, &own, &of_kind, "THE OUT", Page::first(2));
        assert!(first.rows.len() == 2 && first.rows[0].id > first.rows[1].id && first.next.is_some(), "{kind}");
        let rest = found(conn, &own, &of_kind, "THE OUT", Page { after: first.next, limit: 2 });
        assert_eq!((rest.rows.len(), rest.next), (1, None), "{kind}: and none of another tenant");

        // Behind more than one search reads.
        let many: Vec<NewFeedback> = (0..feedback::SEARCHED).map(|_| said("brand-a", "tnt-a", "plan_quality", "thumbs_up", None)).collect();
        feedback::insert(conn, &system, &many, at("2026-01-12T00:00:00Z")).unwrap();
        let nothing = found(conn, &own, &all, "50% off", Page::first(9));
        assert_eq!((nothing.rows.len(), nothing.next.is_some()), (0, true), "{kind}");
        let behind = found(conn, &own, &all, "50% off", Page { after: nothing.next, limit: 9 });
        assert_eq!((behind.rows.len(), behind.next), (1, None), "{kind}");
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

/// Filters of all kinds, by a number.
fn filter_of(number: u32) -> FeedbackFilter {
    let pick = |place: u32, words: [Option<&str>; 3]| words[(number / 3_u32.pow(place) % 3) as usize].map(str::to_owned);
    let instant = |place: u32, texts: [Option<&str>; 3]| pick(place, texts).map(|text| at(&text));
    FeedbackFilter {
        brand_id: pick(0, [None, Some("brand-a"), Some("brand-b")]),
        task_type: pick(1, [None, Some("plan_quality"), Some("policy_compliance")]),
        feedback_type: pick(2, [None, Some("rating"), Some("thumbs_up")]),
        // On a day's edge, within a day, and none.
        from: instant(3, [None, Some("2026-01-11T00:00:00Z"), Some("2026-01-10T12:34:56.000001Z")]),
        to: instant(4, [None, Some("2026-01-14T00:00:00Z"), Some("2026-01-11T09:00:00Z")]),
        ..FeedbackFilter::default()
    }
}

#[test]
fn counters_and_rows_say_the_same_whatever_is_asked() {
    for database in testkit::database::all() {
        let conn = &mut database.connect();
        fill(conn);
        let system = Scope::system("test");
        let kinds = [("rating", Some(3)), ("thumbs_up", None), ("rating", Some(5)), ("thumbs_down", None)];
        for hour in 0..60_u32 {
            let (kind, rating) = kinds[hour as usize % 4];
            let (brand, tenant) = if hour % 3 == 0 { ("brand-b", "tnt-b") } else { ("brand-a", "tnt-a") };
            let mut new = said(brand, tenant, if hour % 5 == 0 { "policy_compliance" } else { "plan_quality" }, kind, rating);
            new.brand_id = new.brand_id.filter(|_| hour % 7 != 0);
            feedback::insert(conn, &system, &[new], at("2026-01-10T12:00:00Z") + chrono::TimeDelta::hours(hour.into())).unwrap();
        }
        let mut totals = std::collections::BTreeSet::new();
        for number in 0..243 {
            for scope in [&system, &analyst("tnt-a")] {
                let filter = filter_of(number);
                let counted = statistics(conn, scope, &filter).unwrap();
                assert_eq!(counted, statistics_of_rows(conn, scope, &filter).unwrap(), "{}: {filter:?}", database.kind());
                totals.insert(counted.total);
            }
        }
        assert!(totals.len() > 20, "the filters select different things: {totals:?}");

        // Counters that are made later, from rows that were there before them, are the same.
        let before = statistics(conn, &system, &FeedbackFilter::default()).unwrap();
        let newest = storage::migrate::status(conn).unwrap();
        let steps = newest.iter().rev().take_while(|one| !one.name.contains("feedback_counters")).count() + 1;
        storage::migrate::down(conn, steps).unwrap();
        storage::migrate::up(conn).unwrap();
        assert_eq!(statistics(conn, &system, &FeedbackFilter::default()).unwrap(), before, "{}", database.kind());
    }
}

#[test]
fn counters_are_exact_when_many_write_at_once() {
    for database in testkit::database::all() {
        fill(&mut database.connect());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
        runtime.block_on(async {
            let writers = (0..8_usize).map(|writer| {
                let storage = database.storage.clone();
                tokio::spawn(async move {
                    for n in 0..12_usize {
                        // Batches in opposite orders, so that writers who lock as they come would wait for each other.
                        let mut some = vec![
                            said("brand-a", "tnt-a", "plan_quality", "rating", Some(4)),
                            said("brand-b", "tnt-b", "plan_quality", "thumbs_up", None),
                            said("brand-a", "tnt-a", "policy_compliance", "thumbs_down", None),
                        ];
                        if writer % 2 == 0 {
                            some.reverse();
                        }
                        let day = at("2026-01-12T00:00:00Z") + chrono::TimeDelta::days(i64::try_from(n % 2).unwrap());
                        let stored = storage
                            .transaction(move |tx| {
                                feedback::insert(tx, &Scope::system("test"), &some, day)?;
                                // Every fourth is taken back, and must not stay counted.
                                if n % 4 == 3 { Err(StorageError::conflict("test", "taken back".to_owned())) } else { Ok(()) }
                            })
                            .await;
                        assert_eq!(stored.is_err(), n % 4 == 3, "{stored:?}");
                    }
                })
            });
            for writer in writers.collect::<Vec<_>>() {
                writer.await.unwrap();
            }
        });
        let conn = &mut database.connect();
        let system = Scope::system("test");
        let counted = statistics(conn, &system, &FeedbackFilter::default()).unwrap();
        assert_eq!(counted.total, 7 + 8 * 9 * 3, "{}", database.kind());
        assert_eq!(counted, statistics_of_rows(conn, &system, &FeedbackFilter::default()).unwrap(), "{}", database.kind());
    }
}
