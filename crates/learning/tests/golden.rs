//! Golden items: their rate, their wear, and the sign that an answer has leaked.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use learning::drift::Drift;
use learning::golden::{Exposure, ExposureCaps, ItemAnswer, RateRules, Upkeep, UpkeepRules, leak};
use learning::judgment::GoldRecord;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn record(correct: u32, total: u32) -> GoldRecord {
    GoldRecord { correct, total }
}

#[test]
fn new_and_drifting_raters_get_more() {
    let rules = RateRules::default();
    let rate = |record, drift| rules.rate(record, drift, 1.0);
    let new = rate(record(0, 0), Drift::Steady);
    let some = rate(record(19, 20), Drift::Steady);
    let proven = rate(record(190, 200), Drift::Steady);
    assert_eq!((new, proven), (0.25, 0.03));
    // Wilson 95 % of 19/20 is 0.764 to 0.991: 0.07 * 0.1136 / 0.10.
    assert!((some - 0.0795).abs() < 0.0005, "{some}");
    assert!((rate(record(19, 20), Drift::Watch) - 2.0 * some).abs() < 1e-12);
    assert!((rules.rate(record(19, 20), Drift::Steady, 3.0) - 3.0 * some).abs() < 1e-12);
    assert_eq!(rules.rate(record(0, 0), Drift::Retest, f64::INFINITY), 0.25, "never more than the most");
}

#[test]
fn no_golden_items_when_none_are_wanted() {
    for base in [0.0, -1.0, f64::NAN] {
        assert_eq!(RateRules::with_base(base).rate(record(0, 0), Drift::Retest, 5.0), 0.0);
    }
    assert_eq!(RateRules::with_base(1.0).rate(record(0, 0), Drift::Steady, 1.0), 1.0);
}

#[test]
fn an_item_is_shown_so_often_and_no_more() {
    let caps = ExposureCaps { per_item: 3, per_rater_and_item: 1, per_rater_and_day: 2 };
    let seen = |of_item, of_item_to_rater, to_rater_today| caps.allow(Exposure { of_item, of_item_to_rater, to_rater_today });
    assert!(seen(2, 0, 1));
    assert!(!seen(3, 0, 0) && !seen(0, 1, 0) && !seen(0, 0, 2));
}

/// Answers of raters who are right with `accuracy` at a pace of about `pace`.
fn answers(random: &mut ChaCha8Rng, n: usize, accuracy: f64, pace: f64) -> Vec<ItemAnswer> {
    (0..n).map(|_| ItemAnswer { is_right: random.random_bool(accuracy), pace: pace * random.random_range(0.5..1.5) }).collect()
}

#[test]
fn a_leak_shows_in_accuracy_and_pace_together() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let before = answers(&mut random, 60, 0.6, 1.0);
    let with = |after: Vec<ItemAnswer>| [before.clone(), after].concat();
    let leaked = with(answers(&mut random, 50, 0.98, 0.4));
    let better = with(answers(&mut random, 50, 0.98, 1.0));
    let faster = with(answers(&mut random, 50, 0.6, 0.4));
    let rules = UpkeepRules::default();
    assert_eq!(rules.decide(&leaked, 110), Upkeep::RetireLeaked);
    assert_eq!(rules.decide(&better, 110), Upkeep::Keep, "raters improve");
    assert_eq!(rules.decide(&faster, 110), Upkeep::Keep, "raters get used to it");
    assert_eq!(leak(&leaked[..20], 0.01), None, "too few to say");
    assert_eq!(rules.decide(&better, 300), Upkeep::RetireWorn);
}

#[test]
fn sound_items_are_rarely_taken_for_leaked() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    // 1,000 items at level 0.01 on each half: 0.1 are expected, 10 are the bound that holds whatever the dependence.
    let suspected = (0..1000).filter(|_| leak(&answers(&mut random, 80, 0.7, 1.0), 0.01).unwrap().is_suspected).count();
    assert!(suspected <= 3, "{suspected}");
}

#[test]
fn an_expert_looks_again_when_most_answer_otherwise() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let doubted = answers(&mut random, 40, 0.1, 1.0);
    assert_eq!(UpkeepRules::default().decide(&doubted, 40), Upkeep::Reverify);
    assert_eq!(UpkeepRules::default().decide(&doubted[..2], 2), Upkeep::Keep, "two answers are no reason");
    assert_eq!(UpkeepRules::default().decide(&[], 0), Upkeep::Keep);
}

proptest! {
    #[test]
    fn a_rate_stays_in_its_bounds(correct in 0_u32..300, wrong in 0_u32..300, factor in 0.0_f64..10.0, base in 0.0_f64..=1.0) {
        let rules = RateRules::with_base(base);
        for drift in [Drift::Steady, Drift::Watch, Drift::Retest] {
            let rate = rules.rate(record(correct, correct + wrong), drift, factor);
            prop_assert!((0.0..=1.0).contains(&rate) && rate >= rules.least.min(rules.most) && rate <= rules.most);
        }
    }

    #[test]
    fn any_answers_can_be_compared(list in proptest::collection::vec((any::<bool>(), any::<f64>()), 0..150)) {
        let list: Vec<ItemAnswer> = list.into_iter().map(|(is_right, pace)| ItemAnswer { is_right, pace }).collect();
        let found = leak(&list, 0.01);
        prop_assert_eq!(found.is_some(), list.len() >= 24);
        UpkeepRules::default().decide(&list, 1);
    }
}
