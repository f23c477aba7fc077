//! Dishonest raters are found within a stated number of judgments; honest ones are left alone, at every look, for a long time.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use learning::integrity::false_alarms::{JUDGMENTS_PER_LOOK, Looked, control};
use learning::integrity::{Evidence, Fingerprint, Name, Observed, Pool, Rules, Shown, Signal, signals};
use learning::judgment::GoldRecord;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How somebody judges.
#[derive(Clone, Copy, PartialEq)]
enum Habit {
    /// Reads, with this skill; how often ties are called is a matter of taste.
    Honest { skill: f64, ties: f64, pace: f64 },
    /// Always the left one, at a leisurely pace.
    AlwaysLeft,
    /// Any of the five outcomes.
    Random,
    /// Mostly right, but far too fast.
    Speeder,
    /// Judges well, explains with one phrase.
    CopyPaster,
}

struct Rater {
    habit: Habit,
    evidence: Evidence,
}

const WORDS: [&str; 24] = [
    "budget",
    "pacing",
    "margin",
    "reach",
    "retailer",
    "segment",
    "creative",
    "policy",
    "query",
    "window",
    "share",
    "cost",
    "week",
    "placement",
    "offer",
    "brand",
    "limit",
    "audience",
    "result",
    "forecast",
    "revenue",
    "lift",
    "basket",
    "click",
];

fn sentence(random: &mut ChaCha8Rng) -> String {
    (0..random.random_range(6..14)).map(|_| WORDS[random.random_range(0..WORDS.len())]).collect::<Vec<_>>().join(" ")
}

impl Rater {
    fn new(habit: Habit) -> Self {
        Self { habit, evidence: Evidence::default() }
    }

    fn honest(random: &mut ChaCha8Rng) -> Self {
        let ties = random.random_range(0.05..0.2);
        Self::new(Habit::Honest { skill: random.random_range(0.78..0.97), ties, pace: random.random_range(0.8..2.5) })
    }

    /// One judgment; every tenth task is golden. Without side, the choice falls left or right by the lot of the order.
    fn judge(&mut self, random: &mut ChaCha8Rng, at: u64) {
        let chars = random.random_range(200..900);
        let drawn = Shown::Place { place: random.random_range(0..2), of: 2 };
        let honest = |random: &mut ChaCha8Rng, ties: f64| match random.random::<f64>() {
            x if x < ties => Shown::Tie,
            x if x < ties + 0.05 => Shown::BothBad,
            x if x < ties + 0.08 => Shown::Unsure,
            _ => drawn,
        };
        let reading = f64::from(chars) * 0.05;
        let text = sentence(random);
        let (shown, skill, seconds, text) = match self.habit {
            Habit::Honest { skill, ties, pace } => (honest(random, ties), skill, reading * pace * random.random_range(0.6..1.8), text),
            Habit::AlwaysLeft => (Shown::Place { place: 0, of: 2 }, 0.45, reading, text),
            Habit::Random => {
                let any = [Shown::Place { place: 0, of: 2 }, Shown::Place { place: 1, of: 2 }, Shown::Tie, Shown::BothBad, Shown::Unsure];
                (any[random.random_range(0..5)], 0.2, reading, text)
            }
            Habit::Speeder => (honest(random, 0.1), 0.8, random.random_range(0.5..4.0), text),
            Habit::CopyPaster => (honest(random, 0.1), 0.9, reading, "this one is much better than the other one".to_owned()),
        };
        let text = (at.is_multiple_of(3)).then(|| Fingerprint::of(&text)).flatten();
        self.evidence.judgments.push(Observed { shown, seconds, chars, stratum: u32::try_from(at % 2).unwrap(), text });
        if at.is_multiple_of(10) {
            self.evidence.golden.total += 1;
            self.evidence.golden.correct += u32::from(random.random_bool(skill));
        }
    }
}

/// Everybody's signals at this look, each against all others.
fn look(raters: &[Rater], look: u64, rules: &Rules) -> Vec<Vec<Signal>> {
    let mut looked: Vec<Looked> = (0..raters.len())
        .map(|at| {
            let mut pool = Pool::default();
            // A sample of the others, newest judgments, as a service would take it.
            for other in (1..=10).map(|step| (at + step * 7) % raters.len()).filter(|other| *other != at) {
                let evidence = &raters[other].evidence;
                let newest = evidence.judgments.len().saturating_sub(100);
                pool.add(&evidence.judgments[newest..], evidence.golden, rules);
            }
            Looked { signals: signals(&raters[at].evidence, &pool, rules), look }
        })
        .collect();
    control(&mut looked);
    looked.into_iter().map(|looked| looked.signals).collect()
}

/// The look at which each rater was first flagged, with the signals of that look.
fn first_flags(raters: &mut [Rater], looks: u64, seed: u64) -> Vec<Option<(u64, Vec<Name>)>> {
    let rules = Rules::default();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut first = vec![None; raters.len()];
    for number in 1..=looks {
        for rater in raters.iter_mut() {
            for at in 0..JUDGMENTS_PER_LOOK {
                rater.judge(&mut random, (number - 1) * JUDGMENTS_PER_LOOK + at);
            }
        }
        for (first, signals) in first.iter_mut().zip(look(raters, number, &rules)) {
            let names: Vec<Name> = signals.iter().filter(|signal| signal.is_flagged(&rules)).map(|signal| signal.name).collect();
            if first.is_none() && !names.is_empty() {
                *first = Some((number, names));
            }
        }
    }
    first
}

#[test]
fn dishonest_raters_are_found_within_two_hundred_judgments() {
    for seed in [1, 2, 3] {
        let mut random = ChaCha8Rng::seed_from_u64(seed * 100);
        let mut raters: Vec<Rater> = (0..40).map(|_| Rater::honest(&mut random)).collect();
        let dishonest = [
            (Habit::AlwaysLeft, Name::SideBias, 2),
            (Habit::Speeder, Name::TimeFloor, 2),
            (Habit::CopyPaster, Name::CopiedText, 2),
            (Habit::Random, Name::ChoiceMix, 4),
        ];
        raters.extend(dishonest.map(|(habit, ..)| Rater::new(habit)));
        let first = first_flags(&mut raters, 4, seed);
        for ((_, name, within), found) in dishonest.iter().zip(&first[40..]) {
            let (look, names) = found.as_ref().unwrap_or_else(|| panic!("seed {seed}: {name:?} not found"));
            assert!(look <= within && names.contains(name), "seed {seed}: {names:?} at look {look}, wanted {name:?} by {within}");
        }
        let accused = first[..40].iter().flatten().count();
        assert!(accused <= 1, "seed {seed}: {accused} honest raters among the spammers");
    }
}

#[test]
fn honest_raters_are_left_alone_for_four_hundred_judgments() {
    // 200 honest raters, 8 looks, 7 signals: with the false discovery rate at 1 % per signal and no dishonest rater, the chance that a
    // signal flags anybody at one look is at most 1 % of what its look may spend; over all, at most 7 * 1 % that anybody is accused.
    let mut random = ChaCha8Rng::seed_from_u64(77);
    let mut raters: Vec<Rater> = (0..200).map(|_| Rater::honest(&mut random)).collect();
    let accused: Vec<_> = first_flags(&mut raters, 8, 78).into_iter().flatten().collect();
    assert!(accused.is_empty(), "{accused:?}");
}

#[test]
fn a_test_without_control_would_accuse_the_honest() {
    // The same raters with the plain p-value at the same level: several are accused, so the control is what protects them.
    let mut random = ChaCha8Rng::seed_from_u64(77);
    let mut raters: Vec<Rater> = (0..200).map(|_| Rater::honest(&mut random)).collect();
    let mut draws = ChaCha8Rng::seed_from_u64(78);
    let mut accused = vec![false; raters.len()];
    for number in 0..12 {
        for (rater, accused) in raters.iter_mut().zip(&mut accused) {
            (0..JUDGMENTS_PER_LOOK).for_each(|at| rater.judge(&mut draws, number * JUDGMENTS_PER_LOOK + at));
            let found = signals(&rater.evidence, &Pool::default(), &Rules::default());
            *accused |= found.iter().any(|signal| signal.name == Name::SideBias && signal.p.is_some_and(|p| p <= 0.01));
        }
    }
    assert!(accused.iter().filter(|is| **is).count() >= 3);
}

#[test]
fn golden_items_find_the_plausible_spammer() {
    // Left or right by a coin of one's own, at an honest pace: nothing to see but the answers to golden items.
    let judgments: Vec<Observed> = Vec::new();
    let pool = Pool { golden: (1760, 2000), ..Pool::default() };
    let guesser = Evidence { judgments, golden: GoldRecord { correct: 12, total: 25 }, ..Evidence::default() };
    let mut looked = vec![Looked { signals: signals(&guesser, &pool, &Rules::default()), look: 5 }];
    control(&mut looked);
    let flagged: Vec<Name> =
        looked[0].signals.iter().filter(|signal| signal.is_flagged(&Rules::default())).map(|signal| signal.name).collect();
    assert_eq!(flagged, [], "12 of 25 after five looks is not yet beyond doubt");
    looked[0] = Looked {
        signals: signals(&Evidence { golden: GoldRecord { correct: 20, total: 45 }, ..guesser }, &pool, &Rules::default()),
        look: 5,
    };
    control(&mut looked);
    assert!(looked[0].signals.iter().any(|signal| signal.name == Name::Golden && signal.is_flagged(&Rules::default())));
}
