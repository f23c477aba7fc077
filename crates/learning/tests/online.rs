//! Live consensus on one task: the ladder, and what must hold for any judgments.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use learning::consensus::Method;
use learning::consensus::online::{DataSize, RaterEvidence, Vote, accuracy, decide, method_for};
use learning::judgment::GoldRecord;
use proptest::prelude::*;

const START: DataSize = DataSize { tasks: 10, overlapping: 10, median_judgments: 5 };
const SOME: DataSize = DataSize { tasks: 200, overlapping: 150, median_judgments: 20 };
const MUCH: DataSize = DataSize { tasks: 5000, overlapping: 4000, median_judgments: 200 };

fn record(correct: u32, total: u32) -> GoldRecord {
    GoldRecord { correct, total }
}

fn known(gold: GoldRecord) -> RaterEvidence<'static> {
    RaterEvidence { gold, ..RaterEvidence::default() }
}

#[test]
fn the_ladder_climbs_with_the_data() {
    assert_eq!(method_for(START, 3), Method::GoldVote);
    assert_eq!(method_for(DataSize { tasks: 49, ..MUCH }, 3), Method::GoldVote);
    assert_eq!(method_for(DataSize { overlapping: 99, ..MUCH }, 3), Method::GoldVote);
    assert_eq!(method_for(SOME, 3), Method::OneCoin);
    assert_eq!(method_for(DataSize { median_judgments: 29, ..MUCH }, 2), Method::OneCoin);
    assert_eq!(method_for(DataSize { median_judgments: 30, ..MUCH }, 2), Method::DawidSkene);
    // 3 x 5 x 5 = 75 judgments for five labels.
    assert_eq!(method_for(DataSize { median_judgments: 74, ..MUCH }, 5), Method::OneCoin);
    assert_eq!(method_for(DataSize { median_judgments: 75, ..MUCH }, 5), Method::DawidSkene);
}

#[test]
fn gold_vote_is_the_worked_case() {
    // (7 + 2) / (9 + 3) = 0.75 against a newcomer's 2/3: odds 3 x 2 to 1 when they agree.
    let votes = [record(7, 9), record(0, 0)].map(|gold| Vote { rater: known(gold), label: 0 });
    let decision = decide(&votes, 2, &[1000, 1], START);
    assert!((decision.posterior[0] - 6.0 / 7.0).abs() < 1e-12, "the class prior is not used so early: {decision:?}");
    assert_eq!((decision.label, decision.method), (Some(0), Method::GoldVote));
}

#[test]
fn agreements_count_half_and_the_class_prior_enters() {
    let rater = RaterEvidence { gold: record(7, 9), agreement: record(12, 14), confusion: None };
    assert!((accuracy(&rater) - (7.0 + 6.0 + 2.0) / (9.0 + 7.0 + 3.0)).abs() < 1e-12);
    // Prior (29 + 1) : (9 + 1) = 3 : 1 meets an accuracy of 15 / 19 for the other label, odds 15 : 4.
    let decision = decide(&[Vote { rater, label: 1 }], 2, &[29, 9], SOME);
    assert!((decision.posterior[1] - 15.0 / (15.0 + 3.0 * 4.0)).abs() < 1e-12, "{decision:?}");
    assert_eq!(decision.method, Method::OneCoin);
}

#[test]
fn a_rater_s_habit_is_discounted_once_a_table_can_be_trusted() {
    // Says 0 nearly always: 0 means little, 1 means much.
    let table = [95, 5, 60, 40];
    let rater = RaterEvidence { gold: record(20, 30), agreement: record(135, 200), confusion: Some(&table) };
    let odds = |label, size| {
        let posterior = decide(&[Vote { rater, label }], 2, &[], size).posterior;
        posterior[label as usize] / posterior[1 - label as usize]
    };
    assert!(odds(1, MUCH) > 6.0 && odds(0, MUCH) < 1.7, "{} and {}", odds(1, MUCH), odds(0, MUCH));
    assert!((odds(0, SOME) - odds(1, SOME)).abs() < 1e-9);
    // A table of a wrong size is not used.
    let odd = RaterEvidence { confusion: Some(&table[..3]), ..rater };
    assert!((decide(&[Vote { rater: odd, label: 1 }], 2, &[], MUCH).posterior[1] - accuracy(&rater)).abs() < 1e-12);
}

#[test]
fn ties_emptiness_and_unknown_labels_give_no_label() {
    let vote = |label| Vote { rater: known(record(3, 4)), label };
    assert_eq!(decide(&[vote(0), vote(1)], 2, &[], START).label, None);
    assert_eq!(decide(&[], 2, &[900, 100], MUCH).label, None);
    assert_eq!(decide(&[vote(5)], 3, &[], START).posterior, vec![1.0 / 3.0; 3]);
    assert_eq!(decide(&[vote(0)], 0, &[], START).posterior, Vec::<f64>::new());
    assert_eq!(decide(&[vote(0)], 1, &[7], MUCH).posterior, [1.0]);
}

type Drawn = (u32, u32, u32, u32, Vec<u32>, u32);

fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    prop::collection::vec((0u32..40, 0u32..40, 0u32..80, 0u32..80, prop::collection::vec(0u32..60, 9), 0u32..3), 0..9)
}

fn votes(drawn: &[Drawn]) -> Vec<Vote<'_>> {
    let mut votes = Vec::new();
    for (a, b, c, d, table, label) in drawn {
        let (gold, agreement) = (record(*a.min(b), *a.max(b)), record(*c.min(d), *c.max(d)));
        votes.push(Vote { rater: RaterEvidence { gold, agreement, confusion: Some(table) }, label: *label });
    }
    votes
}

proptest! {
    #[test]
    fn posteriors_sum_to_one_and_the_order_of_judgments_is_nothing(drawn in drawn(), size in prop::sample::select(vec![START, SOME, MUCH])) {
        let mut votes = votes(&drawn);
        let first = decide(&votes, 3, &[5, 50, 500], size);
        prop_assert!((first.posterior.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        prop_assert!(first.posterior.iter().all(|p| (0.0..=1.0).contains(p)));
        votes.reverse();
        let second = decide(&votes, 3, &[5, 50, 500], size);
        prop_assert_eq!(first.method, second.method);
        for (x, y) in first.posterior.iter().zip(&second.posterior) {
            prop_assert!((x - y).abs() < 1e-12);
        }
    }

    #[test]
    fn the_more_reliable_rater_weighs_more(total in 1u32..60, wrong in 1u32..60, size in prop::sample::select(vec![START, SOME])) {
        let correct = total.saturating_sub(wrong);
        prop_assume!(correct < total);
        let (better, worse) = (known(record(total, total)), known(record(correct, total)));
        let decision = decide(&[Vote { rater: better, label: 1 }, Vote { rater: worse, label: 0 }], 3, &[], size);
        prop_assert_eq!(decision.label, Some(1));
        // One more golden item right never lowers the probability of the label given.
        let other = known(record(2, 3));
        let with = |correct| {
            let votes = [Vote { rater: known(record(correct, total)), label: 2 }, Vote { rater: other, label: 0 }];
            decide(&votes, 3, &[], size).posterior[2]
        };
        prop_assert!(with(correct + 1) > with(correct));
    }

    #[test]
    fn an_agreeing_judgment_of_a_rater_better_than_chance_raises_the_posterior(drawn in drawn(), label in 0u32..3) {
        let mut votes = votes(&drawn);
        let before = decide(&votes, 3, &[], SOME).posterior[label as usize];
        votes.push(Vote { rater: known(record(8, 10)), label });
        prop_assert!(decide(&votes, 3, &[], SOME).posterior[label as usize] >= before - 1e-12);
    }
}
