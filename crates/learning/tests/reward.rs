//! Reward models: they find a known preference, say honestly how good they are, work from few pairs and
//! survive storage.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod reference;

use std::time::{Duration, Instant};

use learning::features::{Features, candidate_features};
use learning::reward::metrics::{Prediction, expected_calibration_error, measure};
use learning::reward::model::{InvalidModel, RewardModel};
use learning::reward::pairs::Pairs;
use learning::reward::training::{MIN_PAIRS, MOST_TUNED, TrainError, train, train_pairs};
use learning::reward::{Example, Outcome};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reference::{assert_close, numbers, reference};
use serde_json::{Value, json};

const TRUE_WEIGHTS: [f64; 3] = [2.0, -1.0, 0.0];

fn features(values: [f64; 3]) -> Features {
    let mut features = Features::default();
    for (name, value) in ["roas", "cost", "noise"].into_iter().zip(values) {
        features.set(name, value);
    }
    features
}

/// Pairs whose winner follows Davidson's model with known weights and tie parameter.
fn synthetic(n: usize, nu: f64, seed: u64) -> Vec<Example> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..n)
        .map(|index| {
            let a: [f64; 3] = std::array::from_fn(|_| random.random_range(-1.0..1.0));
            let b: [f64; 3] = std::array::from_fn(|_| random.random_range(-1.0..1.0));
            let score = |x: [f64; 3]| x.iter().zip(TRUE_WEIGHTS).map(|(x, w)| x * w).sum::<f64>();
            let (win_a, win_b) = (score(a).exp(), score(b).exp());
            let tie = nu * (win_a * win_b).sqrt();
            let draw = random.random_range(0.0..win_a + tie + win_b);
            let outcome = if draw < win_a {
                Outcome::A_WINS
            } else if draw < win_a + tie {
                Outcome::TIE
            } else {
                Outcome::B_WINS
            };
            let prompt_key = format!("prompt {}", index / 2);
            Example { prompt_key, a: features(a), b: features(b), outcome, weight: 1.0, retailer: None }
        })
        .collect()
}

fn raw_weight(model: &RewardModel, name: &str) -> f64 {
    model.numbers.iter().find(|number| number.name == name).map_or(0.0, |number| number.weight / number.scale)
}

#[test]
fn training_recovers_a_known_preference_and_its_ties() {
    let trained = train(&synthetic(4000, 0.5, 1), 7).unwrap();
    assert_close(raw_weight(&trained.model, "roas"), 2.0, 0.2);
    assert_close(raw_weight(&trained.model, "cost"), -1.0, 0.2);
    assert_close(raw_weight(&trained.model, "noise"), 0.0, 0.15);
    assert_close(trained.model.log_tie.exp(), 0.5, 0.1);
    let held_out = trained.report.held_out.unwrap();
    assert!(held_out.accuracy.unwrap() > 0.75, "{held_out:?}");
    assert!(held_out.calibration_error.unwrap() < 0.04, "{held_out:?}");
    let fresh = trained.model.evaluate(&synthetic(4000, 0.5, 2));
    assert_close(fresh.accuracy.unwrap(), held_out.accuracy.unwrap(), 0.04);
    assert_close(fresh.log_loss_with_ties.unwrap(), held_out.log_loss_with_ties.unwrap(), 0.05);
}

#[test]
fn held_out_figures_do_not_flatter_a_model_without_signal() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut examples = synthetic(400, 0.0, 5);
    for example in &mut examples {
        example.outcome = if random.random_bool(0.5) { Outcome::A_WINS } else { Outcome::B_WINS };
    }
    let held_out = train(&examples, 1).unwrap().report.held_out.unwrap();
    assert_close(held_out.accuracy_ties_half.unwrap(), 0.5, 0.08);
    assert!(held_out.log_loss.unwrap() < 0.72, "{held_out:?}");
}

#[test]
fn davidson_ties_match_the_reference_fit() {
    // Items as one feature each: with many copies of the table the penalty hardly counts.
    let reference = reference();
    let known = &reference["vectors"]["bradley_terry"];
    let (wins, ties) = (reference::table(&known["wins_row_beats_col"]), reference::table(&known["ties_symmetric"]));
    let item = |index: usize| {
        let mut features = Features::default();
        (0..4).for_each(|other| features.set(format!("item{other}"), f64::from(u8::from(other == index))));
        features
    };
    let mut examples = Vec::new();
    for i in 0..4 {
        for j in 0..4 {
            let mut push = |outcome, count: u32| {
                let (a, b) = (item(i), item(j));
                let example = |n: u32| Example {
                    prompt_key: format!("{i} {j} {n}"),
                    a: a.clone(),
                    b: b.clone(),
                    outcome,
                    weight: 1.0,
                    retailer: None,
                };
                examples.extend((0..count * 40).map(example));
            };
            push(Outcome::A_WINS, wins[i][j]);
            if i < j {
                push(Outcome::TIE, ties[i][j]);
            }
        }
    }
    let model = train(&examples, 3).unwrap().model;
    let theta = numbers(&known["davidson"]["theta_mean0"]);
    for i in 1..4 {
        let have = model.score(&item(0)) - model.score(&item(i));
        assert_close(have, theta[0] - theta[i], 0.02);
    }
    assert_close(model.log_tie.exp(), known["davidson"]["nu"].as_f64().unwrap(), 0.01);
}

#[test]
fn exchanging_a_and_b_changes_nothing() {
    let examples = synthetic(300, 0.3, 9);
    let mut swapped = examples.clone();
    for example in swapped.iter_mut().step_by(2) {
        std::mem::swap(&mut example.a, &mut example.b);
        example.outcome = example.outcome.swapped();
    }
    let (first, second) = (train(&examples, 4).unwrap(), train(&swapped, 4).unwrap());
    for name in ["roas", "cost", "noise"] {
        assert_close(raw_weight(&first.model, name), raw_weight(&second.model, name), 1e-9);
    }
    assert_eq!(first.report.held_out.unwrap().accuracy, second.report.held_out.unwrap().accuracy);
}

#[test]
fn the_same_seed_gives_the_same_model() {
    let examples = synthetic(100, 0.3, 9);
    assert_eq!(train(&examples, 4).unwrap(), train(&examples, 4).unwrap());
}

#[test]
fn few_pairs_give_a_cautious_model() {
    let trained = train(&synthetic(MIN_PAIRS, 0.0, 3), 1).unwrap();
    assert!(trained.model.setting.numbers >= 10.0);
    assert_eq!(trained.model.temperature, 1.0);
    let best =
        trained.model.win_probability(trained.model.score(&features([1.0, -1.0, 0.0])), trained.model.score(&features([-1.0, 1.0, 0.0])));
    assert!(best.a.max(best.b) < 0.9, "five pairs prove little: {best:?}");
    assert_eq!(trained.report.held_out.unwrap().n_pairs, MIN_PAIRS);
    let error = train(&synthetic(MIN_PAIRS - 1, 0.0, 3), 1).unwrap_err();
    assert_eq!(error, TrainError::NotEnoughData { have: MIN_PAIRS - 1, need: MIN_PAIRS });
}

#[test]
fn one_prompt_alone_gives_a_model_without_held_out_figures() {
    let mut examples = synthetic(20, 0.0, 3);
    examples.iter_mut().for_each(|example| "the only one".clone_into(&mut example.prompt_key));
    let trained = train(&examples, 1).unwrap();
    assert_eq!((trained.report.folds, trained.report.held_out), (0, None));
}

#[test]
fn pairs_without_weight_do_not_count() {
    let mut examples = synthetic(8, 0.0, 3);
    examples.iter_mut().take(4).for_each(|example| example.weight = 0.0);
    assert_eq!(train(&examples, 1), Err(TrainError::NotEnoughData { have: 4, need: 5 }));
}

#[test]
fn impossible_pairs_are_named() {
    let mut examples = synthetic(10, 0.0, 3);
    examples[7].outcome = Outcome { a: 0.9, tie: 0.0, b: 0.9 };
    let error = train(&examples, 1).unwrap_err().to_string();
    assert!(error.starts_with("pair 7 (prompt \"prompt 3\"): the outcome"), "{error}");
    let mut examples = synthetic(10, 0.0, 3);
    examples[0].weight = f64::NAN;
    assert!(matches!(train(&examples, 1), Err(TrainError::InvalidExample { position: 0, .. })));
    let mut examples = synthetic(10, 0.0, 3);
    examples[2].a.numbers.insert("roas".into(), f64::INFINITY);
    assert!(matches!(train(&examples, 1), Err(TrainError::InvalidExample { position: 2, .. })));
}

#[test]
fn a_stored_model_gives_the_same_scores_and_explains_them() {
    let model = train(&synthetic(500, 0.2, 1), 7).unwrap().model;
    let json = serde_json::to_string(&model).unwrap();
    let loaded = RewardModel::from_json(&json).unwrap();
    let candidate = features([0.7, 0.4, -0.2]);
    assert_eq!(loaded.score(&candidate), model.score(&candidate));
    let explained = loaded.explain(&candidate, 10);
    assert_eq!((explained[0].feature.as_str(), explained[0].value), ("roas", 0.7));
    let sum: f64 = explained.iter().map(|contribution| contribution.contribution).sum();
    assert_close(sum, model.score(&candidate), 1e-12);
    assert_eq!(loaded.explain(&candidate, 1).len(), 1);
    assert_eq!(loaded.score(&Features::default()), 0.0);
}

#[test]
fn a_model_that_cannot_be_trusted_is_refused() {
    let model = train(&synthetic(50, 0.2, 1), 7).unwrap().model;
    let stored = |change: &dyn Fn(&mut Value)| {
        let mut value = serde_json::to_value(&model).unwrap();
        change(&mut value);
        RewardModel::from_json(&value.to_string())
    };
    assert!(stored(&|_| ()).is_ok());
    let newer = stored(&|value| value["model_version"] = json!(99)).unwrap_err();
    assert_eq!(newer.to_string(), "the model has model version 99, this program reads 3; train it again");
    let other = stored(&|value| value["feature_version"] = json!(0));
    assert!(matches!(other, Err(InvalidModel::Version { what: "feature", .. })));
    assert!(matches!(stored(&|value| value["numbers"][0]["scale"] = json!(0.0)), Err(InvalidModel::Damaged(_))));
    assert!(matches!(stored(&|value| value["temperature"] = json!(0.0)), Err(InvalidModel::Damaged(_))));
    assert!(matches!(RewardModel::from_json("{}"), Err(InvalidModel::Json(_))));
}

#[test]
fn metrics_match_the_reference() {
    let reference = reference();
    let known = &reference["vectors"]["calibration"];
    let happened = numbers(&known["y"]);
    let pairs: Vec<(f64, bool)> = numbers(&known["p"]).into_iter().zip(happened.iter().map(|y| *y > 0.5)).collect();
    let error = expected_calibration_error(&pairs, 10).unwrap();
    assert_close(error, known["ece_10_equal_width"].as_f64().unwrap(), 1e-9);
    assert_close(expected_calibration_error(&pairs, 5).unwrap(), known["ece_5"].as_f64().unwrap(), 1e-9);
    let predictions: Vec<Prediction> = pairs
        .iter()
        .map(|&(p, a_won)| Prediction {
            difference: (p / (1.0 - p)).ln(),
            probability: Outcome { a: p, tie: 0.0, b: 1.0 - p },
            outcome: if a_won { Outcome::A_WINS } else { Outcome::B_WINS },
        })
        .collect();
    let metrics = measure(&predictions);
    assert_close(metrics.brier.unwrap(), known["brier"].as_f64().unwrap(), 1e-9);
    assert_close(metrics.log_loss.unwrap(), known["nll"].as_f64().unwrap(), 1e-9);
    assert_close(metrics.log_loss_with_ties.unwrap(), known["nll"].as_f64().unwrap(), 1e-9);
    assert_close(metrics.accuracy.unwrap(), known["accuracy"].as_f64().unwrap(), 1e-9);
    let known = &reference["vectors"]["reward_model"];
    let scores = numbers(&known["chosen"]).into_iter().zip(numbers(&known["rejected"]));
    let predictions: Vec<Prediction> = scores
        .map(|(chosen, rejected)| {
            let difference: f64 = chosen - rejected;
            let a = 1.0 / (1.0 + (-difference).exp());
            Prediction { difference, probability: Outcome { a, tie: 0.0, b: 1.0 - a }, outcome: Outcome::A_WINS }
        })
        .collect();
    let metrics = measure(&predictions);
    assert_close(metrics.accuracy.unwrap(), known["pair_accuracy_strict"].as_f64().unwrap(), 1e-9);
    assert_close(metrics.accuracy_ties_half.unwrap(), known["pair_accuracy_ties_half"].as_f64().unwrap(), 1e-9);
    assert_close(metrics.log_loss.unwrap(), known["bt_loss"].as_f64().unwrap(), 1e-9);
    assert_eq!(measure(&[]).accuracy, None);
}

/// Short texts of random words; the one with more of the good words wins, whatever its length.
fn written(n: usize, seed: u64) -> Vec<Example> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut text = || {
        let length = random.random_range(20..60);
        let words: Vec<String> = (0..length).map(|_| format!("w{}", random.random_range(0..3000))).collect();
        let good = words.iter().filter(|word| word.ends_with('7')).count() as f64 / length as f64;
        (good, candidate_features(&json!(words.join(" ")), &[], &Value::Null))
    };
    (0..n)
        .map(|index| {
            let ((good_a, a), (good_b, b)) = (text(), text());
            let outcome = if good_a > good_b { Outcome::A_WINS } else { Outcome::B_WINS };
            Example { prompt_key: index.to_string(), a, b, outcome, weight: 1.0, retailer: None }
        })
        .collect()
}

#[test]
fn thousands_of_texts_train_in_seconds_and_words_are_learnt() {
    let examples = written(3000, 1);
    let start = Instant::now();
    let trained = train(&examples, 1).unwrap();
    // Generous: a slow machine under load must pass too, a quadratic algorithm must not.
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    let accuracy = trained.report.held_out.unwrap().accuracy.unwrap();
    assert!(accuracy > 0.6, "{accuracy}");
    assert!(!trained.model.words.is_empty());
    let longer = trained.report.baselines.iter().find(|baseline| baseline.name == "longer_text_wins").unwrap();
    assert!(longer.accuracy.unwrap() < accuracy);
}

/// Pairs of three retailers: two share the taste of all, the third likes noise and dislikes the rest.
fn of_retailers(n: usize, differs: bool, seed: u64) -> Vec<Example> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut examples = synthetic(n, 0.1, seed);
    for (index, example) in examples.iter_mut().enumerate() {
        example.retailer = Some(["north", "south", "west"][index % 3].to_owned());
        if differs && index % 3 == 2 {
            let noise = |features: &Features| features.numbers["noise"];
            let p = 1.0 / (1.0 + (3.0 * (noise(&example.b) - noise(&example.a))).exp());
            example.outcome = if random.random_bool(p) { Outcome::A_WINS } else { Outcome::B_WINS };
        }
    }
    examples
}

#[test]
fn a_retailer_with_a_taste_of_its_own_gets_a_part_of_the_model() {
    let model = train(&of_retailers(1_500, true, 1), 1).unwrap().model;
    assert!(model.setting.retailer.is_some());
    let fresh = of_retailers(1_500, true, 2);
    let shared: Vec<Example> = fresh.iter().map(|example| Example { retailer: None, ..example.clone() }).collect();
    let (own, without) = (model.evaluate(&fresh).log_loss.unwrap(), model.evaluate(&shared).log_loss.unwrap());
    assert!(own < without - 0.02, "{own} {without}");
    let candidate = features([0.5, 0.2, 0.9]);
    let west = model.for_retailer(Some("west"));
    let explained = west.explain(&candidate, 10);
    assert_eq!(explained[0].feature, "noise");
    assert_close(explained.iter().map(|part| part.contribution).sum(), west.score(&candidate), 1e-12);
    assert!(model.for_retailer(Some("west")).score(&candidate) != model.score(&candidate));
    assert_eq!(model.for_retailer(Some("unknown")).score(&candidate), model.score(&candidate), "an unknown retailer has the shared part");
    let loaded = RewardModel::from_json(&serde_json::to_string(&model).unwrap()).unwrap();
    assert_eq!(loaded.for_retailer(Some("west")).score(&candidate), west.score(&candidate));
}

#[test]
fn retailers_of_one_taste_get_no_part() {
    let model = train(&of_retailers(900, false, 1), 1).unwrap().model;
    let candidate = features([0.5, 0.2, 0.9]);
    let shared = model.score(&candidate);
    for retailer in ["north", "south", "west"] {
        assert_close(model.for_retailer(Some(retailer)).score(&candidate), shared, 0.25);
    }
}

#[test]
fn models_of_earlier_versions_are_refused_by_version() {
    let old =
        json!({ "model_version": 2, "feature_version": 1, "numbers": [], "words": {}, "log_tie": 0.0, "temperature": 1.0, "l2": 3.0 });
    let error = RewardModel::from_json(&old.to_string()).unwrap_err();
    assert_eq!(error.to_string(), "the model has model version 2, this program reads 3; train it again");
}

#[test]
fn progress_rises_to_the_end_and_large_sets_leave_pairs_out() {
    let pairs = Pairs::of(&synthetic(14_000, 0.3, 5)).unwrap();
    let mut shares = Vec::new();
    let trained = train_pairs(&pairs, 1, &mut |progress| shares.push(progress.share)).unwrap();
    assert!(shares.is_sorted() && shares.last() == Some(&1.0), "{shares:?}");
    assert_eq!((trained.report.n_pairs, trained.report.n_tuned), (14_000, MOST_TUNED));
    let held_out = trained.report.held_out.unwrap();
    assert_eq!((held_out.n_pairs, trained.held_out.len()), (2_800, 2_800));
    assert!(trained.held_out.is_sorted_by_key(|pair| pair.position));
    assert_close(raw_weight(&trained.model, "roas"), 2.0, 0.1);
    assert!(held_out.calibration_error.unwrap() < 0.04, "{held_out:?}");
}

#[test]
fn pairs_without_any_difference_give_a_model_that_prefers_nobody() {
    let same: Vec<Example> = (0..50)
        .map(|n| Example {
            prompt_key: n.to_string(),
            a: features([1.0, 2.0, 3.0]),
            b: features([1.0, 2.0, 3.0]),
            outcome: if n % 2 == 0 { Outcome::A_WINS } else { Outcome::TIE },
            weight: 1.0,
            retailer: Some("only".to_owned()),
        })
        .collect();
    let trained = train(&same, 1).unwrap();
    assert_eq!(trained.model.score(&features([5.0, 0.0, 0.0])), 0.0);
    assert_eq!(trained.report.held_out.unwrap().accuracy, Some(0.0), "equal scores are no right answers");
    let nothing = Example { a: Features::default(), b: Features::default(), ..same[0].clone() };
    assert!(train(&vec![nothing; 6], 1).is_ok());
}
