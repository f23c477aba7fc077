//! Model cards: figures by hand, intervals that cover, comparisons that find a difference where there is one and none where there is none.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use learning::reward::Outcome;
use learning::reward::card::{CardRow, card, compare, longer_wins};
use learning::reward::metrics::Prediction;
use rand::{Rng as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn predicted(difference: f64, outcome: Outcome) -> Prediction {
    let a = 1.0 / (1.0 + (-difference).exp());
    Prediction { difference, probability: Outcome { a, tie: 0.0, b: 1.0 - a }, outcome }
}

fn row(prompt: usize, difference: f64, outcome: Outcome, longer: f64) -> CardRow {
    CardRow { prediction: predicted(difference, outcome), longer, prompt_key: prompt.to_string(), task_type: None, retailer: None }
}

/// Prompts of two pairs that are right or wrong together, right with `share`.
fn prompts(n: usize, share: f64, seed: u64) -> Vec<CardRow> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let prompt = |prompt: usize| {
        let difference = if random.random_bool(share) { 1.0 } else { -1.0 };
        [row(prompt, difference, Outcome::A_WINS, 5.0), row(prompt, -difference, Outcome::B_WINS, 5.0)]
    };
    (0..n).flat_map(prompt).collect()
}

#[test]
fn figures_are_those_by_hand() {
    let mut rows = vec![
        row(1, 2.0, Outcome::A_WINS, 10.0),
        row(1, -1.0, Outcome::A_WINS, -4.0),
        row(2, 0.0, Outcome::B_WINS, 3.0),
        row(3, 0.5, Outcome::TIE, 0.0),
    ];
    rows[0].task_type = Some("plan_quality".to_owned());
    rows[1].retailer = Some("north".to_owned());
    let card = card(&rows, 1);
    let metrics = &card.all.metrics;
    assert_eq!((metrics.n_pairs, metrics.n_decided, card.all.n_prompts), (4, 3, 3));
    assert!((metrics.accuracy.unwrap() - 1.0 / 3.0).abs() < 1e-12 && (metrics.accuracy_ties_half.unwrap() - 0.5).abs() < 1e-12);
    // The longer one: by the model in the first two and half of the third; by people in the first only.
    let bias = card.length_bias;
    assert_eq!(bias.n, 3);
    assert!((bias.model_prefers_longer.unwrap() - 2.5 / 3.0).abs() < 1e-12);
    assert!((bias.people_prefer_longer.unwrap() - 1.0 / 3.0).abs() < 1e-12);
    assert!((bias.correlation.unwrap() - 24.0 / (5.25_f64 * 125.0).sqrt()).abs() < 1e-12);
    assert_eq!(card.by_task_type["plan_quality"].metrics.accuracy, Some(1.0));
    assert_eq!(card.by_task_type["plan_quality"].accuracy, None, "one prompt has no interval");
    assert_eq!(card.by_retailer["north"].metrics.accuracy, Some(0.0));
    assert_eq!(card.bins.iter().map(|bin| bin.n).sum::<usize>(), 6, "each decided pair in both orders");
    let bins = card.bins.iter().filter_map(|bin| Some(bin.n as f64 * (bin.observed? - bin.predicted?).abs())).sum::<f64>() / 6.0;
    assert!((bins - metrics.calibration_error.unwrap()).abs() < 1e-12, "the error is that of the bins");
    assert!((card.against_longer.accuracy.unwrap().value - (0.5 - 1.0 / 3.0)).abs() < 1e-12);
}

#[test]
fn intervals_are_as_wide_as_the_prompts_allow() {
    // 200 prompts of two pairs that go together: the standard error is that of 200 draws, not of 400.
    let card = card(&prompts(200, 0.7, 1), 1);
    let interval = card.all.accuracy.unwrap();
    let expected = 2.0 * 1.96 * (0.7_f64 * 0.3 / 200.0).sqrt();
    assert!((interval.high - interval.low - expected).abs() < 0.15 * expected, "{interval:?} {expected}");
    let covered = (0..100).filter(|seed| {
        let interval = learning::reward::card::card(&prompts(100, 0.7, 10 + seed), 1).all.accuracy.unwrap();
        interval.low <= 0.7 && 0.7 <= interval.high
    });
    let covered = covered.count();
    assert!((88..=99).contains(&covered), "{covered} of 100 intervals of 95 % hold the truth");
}

#[test]
fn a_comparison_finds_a_difference_and_only_a_real_one() {
    let rows = prompts(300, 0.75, 3);
    let other: Vec<Prediction> = prompts(300, 0.6, 4).into_iter().map(|row| row.prediction).collect();
    let better = compare(&rows, &other, 1).unwrap();
    assert!(better.accuracy.unwrap().interval.unwrap().low > 0.0 && better.log_loss.unwrap().interval.unwrap().high < 0.0, "{better:?}");
    assert_eq!(compare(&rows, &other, 1).unwrap(), better, "the same seed, the same intervals");
    let same: Vec<Prediction> = rows.iter().map(|row| row.prediction).collect();
    let none = compare(&rows, &same, 1).unwrap();
    assert_eq!((none.accuracy.unwrap().value, none.log_loss.unwrap().value), (0.0, 0.0));
    assert!(compare(&rows, &same[1..], 1).is_err());
    let swapped: Vec<Prediction> = same.iter().map(|one| Prediction { outcome: one.outcome.swapped(), ..*one }).collect();
    assert_eq!(compare(&rows, &swapped, 1).unwrap_err().to_string(), "600 and 600 predictions are not of the same pairs");
}

#[test]
fn nothing_gives_a_card_without_figures() {
    let card = card(&[], 1);
    assert_eq!((card.all.metrics.accuracy, card.all.accuracy, card.length_bias.correlation), (None, None, None));
    assert_eq!(card.against_longer.accuracy, None);
    assert!(longer_wins(&[]).is_empty());
}
