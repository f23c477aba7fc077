//! Choosing what to judge: on a pool with many tasks that say little, a model learns more from chosen tasks than from drawn ones, the lift
//! report says so, and it claims nothing where choosing brings nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use learning::features::Features;
use learning::reward::model::RewardModel;
use learning::reward::setting::Setting;
use learning::reward::training::train;
use learning::reward::{Example, Outcome};
use learning::selection::lift::{LEAST_PROMPTS, NoLift, measure};
use learning::selection::{Rules, View, choose};
use rand::{Rng as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

const FEATURES: usize = 12;

/// A number that no pair has shown tells the members nothing, so they must disagree about it.
#[test]
fn members_differ_about_a_number_that_the_model_does_not_know() {
    let model = train(&world(200, 2, 5), 1).unwrap().model;
    let known = world(1, 1, 6).remove(0);
    let spread = |a: &Features, b: &Features| {
        let differences = model.opinions(a, b, None).differences;
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        (differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / differences.len() as f64).sqrt()
    };
    assert_eq!(spread(&known.a, &known.a), 0.0, "two that are alike");
    let (mut high, mut low) = (known.a.clone(), known.a.clone());
    high.set("quite_new", 9.0);
    low.set("quite_new", 2.0);
    assert!(spread(&high, &low) > 0.05, "{}", spread(&high, &low));
    let (there, back) = (model.opinions(&high, &low, None), model.opinions(&low, &high, None));
    let sums = there.differences.iter().zip(&back.differences).map(|(x, y)| (x + y).abs());
    assert!(sums.fold(0.0, f64::max) < 1e-9, "exchanging the candidates only turns the sign");
    assert!(!there.direction.is_empty() && there.direction.is_sorted_by(|x, y| x.0 < y.0), "{:?}", there.direction);
}

/// Judged tasks of a world in which one pair of `every` differs much in many numbers and the others hardly at all, as plans of two near
/// settings do. People prefer by a hidden weight of each number, with the noise of Bradley and Terry.
fn world(n: usize, every: usize, seed: u64) -> Vec<Example> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // The sum of twelve uniform draws is near enough to normal here.
    let normal = |random: &mut ChaCha8Rng| -> f64 { (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0 };
    let hidden: Vec<f64> = (0..FEATURES).map(|place| 3.0 - place as f64 * 0.5).collect();
    (0..n)
        .map(|number| {
            let spread = if number % every == 0 { 1.0 } else { 0.02 };
            let centre: Vec<f64> = (0..FEATURES).map(|_| normal(&mut random) * 0.3).collect();
            let mut candidate = |sign: f64| -> (Features, f64) {
                let mut features = Features::default();
                let mut worth = 0.0;
                for place in 0..FEATURES {
                    let value = centre[place] + sign * spread * normal(&mut random);
                    // Small values, of which the model sees the differences as they are.
                    features.set(format!("f{place}"), value / 10.0);
                    worth += hidden[place] * value;
                }
                (features, worth)
            };
            let ((a, worth_a), (b, worth_b)) = (candidate(1.0), candidate(-1.0));
            let wins = random.random::<f64>() < 1.0 / (1.0 + (worth_b - worth_a).exp());
            let outcome = if wins { Outcome::A_WINS } else { Outcome::B_WINS };
            Example { prompt_key: format!("p{number}"), a, b, outcome, weight: 1.0, retailer: None }
        })
        .collect()
}

fn views(model: &RewardModel, pool: &[Example]) -> Vec<View> {
    pool.iter().map(|one| View::of(model, &one.a, &one.b).expect("a trained model has members")).collect()
}

#[test]
fn the_ensemble_is_surer_with_more_pairs_and_unsure_of_words_it_never_saw() {
    let all = world(900, 3, 1);
    let (few, many) = (train(&all[..60], 1).unwrap().model, train(&all[..600], 1).unwrap().model);
    let mean = |model: &RewardModel| views(model, &all[600..]).iter().map(|view| view.information).sum::<f64>() / 300.0;
    assert!(mean(&few) > 1.5 * mean(&many), "{} {}", mean(&few), mean(&many));
    assert_eq!(train(&all[..60], 1).unwrap().model, few, "the same seed, the same members");
    assert_ne!(train(&all[..60], 2).unwrap().model.members, few.members);

    // A model of words: a good word, a bad word, and a word that no pair has shown.
    let text = |words: &str| learning::features::candidate_features(&serde_json::json!(words), &[], &serde_json::Value::Null);
    let pairs: Vec<Example> = (0..120)
        .map(|number| {
            let (good, bad) = (text(&format!("fresh offer n{number}")), text(&format!("stale notice m{number}")));
            Example { prompt_key: format!("p{number}"), a: good, b: bad, outcome: Outcome::A_WINS, weight: 1.0, retailer: None }
        })
        .collect();
    let model = train(&pairs, 1).unwrap().model;
    assert!(!model.words.is_empty(), "words tell these apart");
    let known = View::of(&model, &text("fresh offer"), &text("stale notice")).unwrap();
    let unknown = View::of(&model, &text("zebra quartz"), &text("violet maple")).unwrap();
    assert!(known.uncertainty < 0.5 && unknown.uncertainty > 0.6, "{} {}", known.uncertainty, unknown.uncertainty);
    assert!(unknown.information > 2.0 * known.information, "{} {}", unknown.information, known.information);

    // The same in standard errors of the win probabilities, for several candidates at once.
    let (places, texts) = (model.word_places(), ["fresh offer", "stale notice", "zebra quartz fresh", "violet maple"].map(text));
    let errors = model.standard_errors(&places, &texts, None);
    for (a, b) in [(0, 1), (0, 2), (1, 3), (2, 3)] {
        let outcomes = model.opinions(&texts[a], &texts[b], None).outcomes;
        let wins: Vec<f64> = outcomes.iter().map(|outcome| outcome.a + outcome.tie / 2.0).collect();
        let mean = wins.iter().sum::<f64>() / wins.len() as f64;
        let deviation = (wins.iter().map(|win| (win - mean).powi(2)).sum::<f64>() / (wins.len() - 1) as f64).sqrt();
        let error = errors[a][b].unwrap();
        // Texts of other lengths than any pair has shown are less sure than their words alone.
        assert!(error > deviation - 1e-9 && errors[b][a] == Some(error), "{a} {b}: {error} {deviation}");
        assert!((a, b) != (0, 1) || error < deviation + 1e-9, "{error} {deviation}");
    }
    assert!(errors[2][3].unwrap() > 2.0 * errors[0][1].unwrap() && errors[1][1] == Some(0.0), "{errors:?}");
    assert_eq!(model.standard_errors(&places, &[texts[0].clone(), texts[0].clone()], None)[0][1], None, "nothing tells them apart");
    let refitted = learning::reward::training::refit(&pairs.iter().collect::<Vec<_>>(), model.setting);
    assert!(refitted.standard_errors(&refitted.word_places(), &texts, None).is_empty(), "no ensemble, nothing to say");
}

#[test]
fn numbers_that_no_pair_has_shown_make_a_probability_less_sure_and_never_surer() {
    let all = world(600, 3, 4);
    let model = train(&all, 1).unwrap().model;
    let places = model.word_places();
    let error = |a: &Features, b: &Features| model.standard_errors(&places, &[a.clone(), b.clone()], None)[0][1];
    let with = |mut features: Features, more: &[(&'static str, f64)]| {
        more.iter().for_each(|(name, value)| features.set(*name, *value));
        features
    };
    let (a, b) = (&all[0].a, &all[0].b);
    let known = error(a, b).unwrap();
    let one = error(&with(a.clone(), &[("new", 1.0)]), &with(b.clone(), &[("new", 2.0)])).unwrap();
    assert_eq!(
        error(&with(a.clone(), &[("new", 1.0)]), &with(b.clone(), &[("new", 1.0)])),
        Some(known),
        "what both have alike says nothing"
    );
    assert!(one > known, "{one} {known}");

    // Nothing but new numbers: one half, and not sure at all; the more of them, the less.
    let nothing = Features::default();
    assert_eq!(error(&nothing, &nothing), None);
    let names: Vec<&'static str> = (0..40).map(|place| &*format!("new{place:02}").leak()).collect();
    let of = |n: usize, value: f64| with(Features::default(), &names[..n].iter().map(|name| (*name, value)).collect::<Vec<_>>());
    let [few, many] = [1, 40].map(|n| error(&of(n, 1.0), &of(n, 2.0)).unwrap());
    assert!(few > 0.02 && many > 2.0 * few && many < 0.5, "{few} {many}");
    let lacking = error(&of(1, 3.0), &nothing).unwrap();
    assert!(lacking > few / 3.0, "what one has and the other lacks counts, too: {lacking} {few}");
}

#[test]
fn chosen_tasks_teach_more_than_drawn_ones() {
    let (start, test) = (world(45, 3, 2), world(3_000, 3, 3));
    let (mut by_choice, mut by_draw) = (Vec::new(), Vec::new());
    for seed in 0..4 {
        let pool = world(900, 3, 10 + seed);
        let learnt = |random_share: f64| {
            let mut known = start.clone();
            let mut left = pool.clone();
            for round in 0..5 {
                let model = train(&known, seed).unwrap().model;
                let picks = choose(&views(&model, &left), &Rules { batch: 24, random_share, seed: seed + round });
                let mut taken: Vec<usize> = picks.iter().map(|pick| pick.index).collect();
                taken.sort_unstable_by(|x, y| y.cmp(x));
                known.extend(taken.into_iter().map(|index| left.swap_remove(index)));
            }
            train(&known, seed).unwrap().model.evaluate(&test).log_loss.unwrap()
        };
        by_choice.push(learnt(0.2));
        by_draw.push(learnt(1.0));
    }
    println!("log loss by choice {by_choice:.4?}, by draw {by_draw:.4?}");
    assert!(by_choice.iter().zip(&by_draw).all(|(choice, draw)| choice < draw), "{by_choice:?} {by_draw:?}");
}

#[test]
fn the_lift_report_tells_gain_from_nothing_and_from_harm() {
    let (start, random) = (world(20, 4, 4), world(800, 4, 5));
    // What a perfect choice would find in a pool that is large enough: tasks whose candidates differ.
    let informative: Vec<Example> =
        world(80, 1, 6).into_iter().map(|one| Example { prompt_key: format!("c{}", one.prompt_key), ..one }).collect();
    let setting = Setting::numbers(1.0);
    let lift = measure(&start, &informative, &random, setting, 1).unwrap();
    assert!(lift.accuracy_lift.value > 0.01 && lift.log_loss_lift.value > 0.01, "{lift:?}");
    assert_eq!((lift.n_informative, lift.n_random, lift.n_earlier), (80, 800, 20));
    assert_eq!(measure(&start, &informative, &random, setting, 1).unwrap(), lift, "the same seed, the same figures");

    let (half, other) = random.split_at(80);
    let none = measure(&start, half, other, setting, 1).unwrap();
    assert!(none.log_loss_lift.low < 0.0 && none.log_loss_lift.high > 0.0, "drawn against drawn is no lift: {none:?}");

    // Where all drawn tasks tell something and the chosen ones do not, the report says that choosing harms.
    let (telling, idle) = (world(300, 1, 7), world(300, usize::MAX, 8));
    let harm = measure(&start, &idle, &telling, setting, 1).unwrap();
    assert!(harm.accuracy_lift.high < 0.0 && harm.log_loss_lift.high < 0.0, "{harm:?}");

    let few = measure(&start, &informative[..LEAST_PROMPTS - 1], &random, setting, 1);
    assert_eq!(few, Err(NoLift::TooFew { informative: 29, random: 800 }));
    assert!(few.unwrap_err().to_string().contains("29 chosen and 800 drawn"));
    let tie = |one: &Example| Example { outcome: Outcome::TIE, ..one.clone() };
    let ties: Vec<Example> = random.iter().map(tie).collect();
    assert_eq!(measure(&start, &informative, &ties, setting, 1), Err(NoLift::Undecided));
}
