//! Public crowd sets with known truth, beside the figures of crowd-kit 1.4.2 that lie with them. The sets
//! are not part of this repository: `ENDCAP_TRUTH_INFERENCE` names their folder, else
//! `../shared/data/truth-inference` beside the checkout is tried; without them the tests say so and end.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod reference;

use std::collections::{BTreeMap, HashMap};
use std::fs::read_to_string;
use std::path::PathBuf;

use learning::agreement::cohen::Weighting;
use learning::agreement::pairwise::kappa_of_pair;
use learning::agreement::suite::{Settings, suite};
use learning::consensus::{Consensus, EmSettings, Evidence, Method, dawid_skene, estimate, one_coin};
use reference::{Set, assert_close, numbers};
use serde_json::Value;

const SETS: [&str; 5] = ["bluebird", "rte", "product", "dog", "zencrowd_in"];
/// The best peer without gold on each set, by accuracy: Dawid-Skene four times, one-coin on the last.
const BEST_PEER: [f64; 5] = [0.889, 0.928, 0.940, 0.843, 0.789];
/// Mean accuracy of the best single peer, crowd-kit's Dawid-Skene.
const BEST_MEAN: f64 = 0.8712;

struct Labelled {
    set: Set,
    raters: HashMap<String, u32>,
    classes: Vec<String>,
    reference: Value,
    folder: PathBuf,
}

fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("ENDCAP_TRUTH_INFERENCE").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/truth-inference")));
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no crowd sets at {}; set ENDCAP_TRUTH_INFERENCE", folder.display());
    None
}

fn load(name: &str) -> Option<Labelled> {
    let folder = folder()?.join(name);
    let reference: Value = serde_json::from_str(&read_to_string(folder.join("reference.json")).unwrap()).unwrap();
    let classes: Vec<String> = reference["classes"].as_array().unwrap().iter().map(|class| class.as_str().unwrap().to_owned()).collect();
    let names: Vec<&str> = classes.iter().map(String::as_str).collect();
    let answers = read_to_string(folder.join("answers.csv")).unwrap();
    let set = reference::set(&answers, &read_to_string(folder.join("truth.csv")).unwrap(), &names);
    let mut raters = HashMap::new();
    for row in answers.lines().skip(1) {
        let number = raters.len() as u32;
        raters.entry(row.split(',').nth(1).unwrap().to_owned()).or_insert(number);
    }
    Some(Labelled { set, raters, classes, reference, folder })
}

impl Labelled {
    fn evidence<'a>(&'a self, gold: &'a [Option<u32>]) -> Evidence<'a> {
        let Set { n_tasks, n_raters, ref judgments, .. } = self.set;
        Evidence { n_tasks, n_raters, n_labels: self.classes.len(), judgments, gold, records: &[] }
    }

    /// Share of right labels among the tasks with truth that are not gold; a tie counts nothing.
    fn accuracy(&self, consensus: &Consensus, gold: &[Option<u32>]) -> f64 {
        let scored =
            self.set.truth.iter().enumerate().filter(|(task, truth)| truth.is_some() && gold.get(*task).is_none_or(Option::is_none));
        let (mut right, mut all) = (0.0, 0.0);
        for (task, truth) in scored {
            all += 1.0;
            right += f64::from(consensus.tasks[task].label == *truth);
        }
        right / all
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// Figures that are printed with fewer digits than the tolerance asks for are met to their last digit.
#[track_caller]
fn assert_printed(have: f64, want: &Value, digits: i32) {
    assert_close(have, number(want), 1e-6_f64.max(0.51 * 10_f64.powi(-digits)));
}

#[test]
fn dawid_skene_and_one_coin_are_those_of_the_peers_on_every_set() {
    for name in SETS {
        let Some(labelled) = load(name) else { return };
        let (evidence, known) = (labelled.evidence(&[]), &labelled.reference["dawid_skene"]);
        let fitted = dawid_skene::fit(&evidence, &EmSettings::unsmoothed(20)).unwrap();
        let twenty = &known["iterations_20"];
        fitted.class_prior.iter().zip(numbers(&twenty["priors"])).for_each(|(have, want)| assert_close(*have, want, 1e-9));
        assert_printed(fitted.log_likelihood.unwrap(), &twenty["log_likelihood_before_last_update"], 6);
        assert_confusions(&labelled, &fitted, "ds_confusion_20_rows_true_cols_label");
        let fitted = estimate(&evidence, Method::DawidSkene).unwrap();
        let converged = &known["converged"];
        assert!(fitted.converged);
        assert_eq!(u64::from(fitted.iterations), converged["iterations"].as_u64().unwrap(), "{name}");
        assert_printed(fitted.log_likelihood.unwrap(), &converged["log_likelihood"], 4);
        fitted.class_prior.iter().zip(numbers(&converged["priors"])).for_each(|(have, want)| assert_close(*have, want, 1e-6));
        for (task, want) in converged["first_10_tasks"].as_object().unwrap() {
            let have = &fitted.tasks[labelled.set.tasks[task] as usize].posterior;
            have.iter().zip(numbers(want)).for_each(|(have, want)| assert_close(*have, want, 1e-6));
        }
        assert_confusions(&labelled, &fitted, "ds_confusion_converged");
        let known = &labelled.reference["one_coin"];
        let fitted = one_coin::fit(&evidence, &EmSettings::unsmoothed(20)).unwrap();
        assert_printed(fitted.log_likelihood.unwrap(), &known["iterations_20"]["log_likelihood_before_last_update"], 6);
        for rater in labelled.reference["top_raters"].as_array().unwrap() {
            let number_of = labelled.raters[rater["rater"].as_str().unwrap()] as usize;
            assert_printed(1.0 - fitted.raters[number_of].reliability.unwrap(), &rater["one_coin_error_20"], 8);
        }
        let fitted = estimate(&evidence, Method::OneCoin).unwrap();
        let converged = &known["converged"];
        assert_eq!(u64::from(fitted.iterations), converged["iterations"].as_u64().unwrap(), "{name}");
        assert_printed(fitted.log_likelihood.unwrap(), &converged["log_likelihood"], 4);
        fitted.class_prior.iter().zip(numbers(&converged["priors"])).for_each(|(have, want)| assert_close(*have, want, 1e-6));
        assert_close(labelled.accuracy(&fitted, &[]), number(&converged["accuracy_ties_shared"]), 1e-9);
    }
}

#[track_caller]
fn assert_confusions(labelled: &Labelled, fitted: &Consensus, field: &str) {
    for rater in labelled.reference["top_raters"].as_array().unwrap() {
        let matrix = fitted.raters[labelled.raters[rater["rater"].as_str().unwrap()] as usize].confusion.as_ref().unwrap();
        for (row, want) in matrix.iter().zip(rater[field].as_array().unwrap()) {
            row.iter().zip(numbers(want)).for_each(|(have, want)| assert_close(*have, want, 1.1e-6));
        }
    }
}

#[test]
fn agreement_is_that_of_the_peers_on_every_set() {
    for name in SETS {
        let Some(labelled) = load(name) else { return };
        let known = &labelled.reference;
        let settings = Settings { replicates: 100, ..Settings::default() };
        let found = suite(&labelled.set.judgments, labelled.set.n_tasks, labelled.classes.len(), &settings).unwrap();
        let value = |estimate: &learning::agreement::suite::Estimate| estimate.coefficient.value;
        assert_close(value(&found.krippendorff_alpha).unwrap(), number(&known["krippendorff_alpha_nominal"]), 1e-6);
        assert_close(value(&found.percent).unwrap(), number(&known["mean_pairwise_agreement"]), 1e-6);
        match known["fleiss_kappa"].as_f64() {
            Some(want) => assert_close(value(&found.fleiss_kappa).unwrap(), want, 1e-6),
            None => assert!(found.fleiss_kappa.coefficient.undefined_because.is_some()),
        }
        let cohen = &known["cohen_kappa"];
        let rater = |place: usize| labelled.raters[cohen["raters"][place].as_str().unwrap()];
        for (weighting, field) in [(Weighting::Unweighted, "unweighted"), (Weighting::Quadratic, "quadratic")] {
            let pair = kappa_of_pair(&labelled.set.judgments, (rater(0), rater(1)), weighting, 200, 1);
            assert_close(value(&pair).unwrap(), number(&cohen[field]), 1e-6);
            let interval = pair.interval.unwrap();
            assert!(interval.low < number(&cohen[field]) && number(&cohen[field]) < interval.high);
        }
    }
}

#[test]
fn auto_beats_the_best_peer_on_average_and_is_close_to_the_best_on_each_set() {
    let mut sum = 0.0;
    for (name, best) in SETS.into_iter().zip(BEST_PEER) {
        let Some(labelled) = load(name) else { return };
        let auto = estimate(&labelled.evidence(&[]), Method::Auto).unwrap();
        let accuracy = labelled.accuracy(&auto, &[]);
        assert!(accuracy >= best - 0.01, "{name}: {accuracy}, the best peer has {best}; {}", auto.reason);
        sum += accuracy / 5.0;
    }
    assert!(sum > BEST_MEAN + 0.003, "mean {sum}");
}

#[test]
fn gold_helps_and_beats_the_peers_that_use_it() {
    for fraction in ["0.05", "0.1"] {
        let (mut with, mut without, mut peer) = (0.0, 0.0, 0.0);
        for name in SETS {
            let Some(labelled) = load(name) else { return };
            let mut splits: BTreeMap<String, Vec<Option<u32>>> = BTreeMap::new();
            for row in read_to_string(labelled.folder.join("gold_splits.csv")).unwrap().lines().skip(1) {
                let (start, task) = row.rsplit_once(',').unwrap();
                let Some(("", seed)) = start.split_once(fraction) else { continue };
                let task = labelled.set.tasks[task] as usize;
                let gold = splits.entry(seed.to_owned()).or_insert_with(|| vec![None; labelled.set.n_tasks]);
                gold[task] = labelled.set.truth[task];
            }
            let blind = estimate(&labelled.evidence(&[]), Method::Auto).unwrap();
            let peers: Value = serde_json::from_str(&read_to_string(labelled.folder.join("peers.json")).unwrap()).unwrap();
            // Three of the ten seeds: enough, and quick.
            let used: Vec<_> = splits.values().take(3).collect();
            let share = 1.0 / (SETS.len() * used.len()) as f64;
            for gold in used {
                let informed = estimate(&labelled.evidence(gold), Method::Auto).unwrap();
                with += share * labelled.accuracy(&informed, gold);
                without += share * labelled.accuracy(&blind, gold);
            }
            let known = &peers["gold"][fraction];
            peer += 0.2 * number(&known["ck:DS+gold"]["mean"]).max(number(&known["ck:GoldMV"]["mean"]));
        }
        assert!(with >= without - 0.001 && with > peer, "{fraction}: with gold {with}, without {without}, peers with gold {peer}");
    }
}
