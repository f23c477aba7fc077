//! The integrity signals on made-up raters: what each of them sees, and what it keeps silent about.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod reference;

use learning::integrity::false_alarms::{Looked, control, look_at, over_looks};
use learning::integrity::ladder::{Action, LadderRules, Proposal, Rung, Standing, propose, rung_after};
use learning::integrity::{Evidence, Fingerprint, Name, Observed, Pool, Rules, Shown, Signal, signals};
use learning::judgment::GoldRecord;
use reference::assert_close;

const LEFT: Shown = Shown::Place { place: 0, of: 2 };
const RIGHT: Shown = Shown::Place { place: 1, of: 2 };

fn observed(shown: Shown, seconds: f64) -> Observed {
    Observed { shown, seconds, chars: 400, stratum: 0, text: None }
}

fn evidence(judgments: Vec<Observed>) -> Evidence {
    Evidence { judgments, ..Evidence::default() }
}

/// The signal of this name.
fn signal(evidence: &Evidence, pool: &Pool, name: Name) -> Signal {
    let all = signals(evidence, pool, &Rules::default());
    assert_eq!(all.iter().map(|signal| signal.name).collect::<Vec<_>>(), Name::ALL);
    all.into_iter().find(|signal| signal.name == name).unwrap()
}

#[test]
fn side_bias_is_the_binomial_test_with_its_interval() {
    // 64 of 100 left: p = .0066 (SciPy); ties, both bad and three-way tasks do not count.
    let mut judgments: Vec<Observed> = (0..100).map(|at| observed(if at < 64 { LEFT } else { RIGHT }, 30.0)).collect();
    judgments.extend([Shown::Tie, Shown::BothBad, Shown::Unsure, Shown::Place { place: 0, of: 3 }].map(|shown| observed(shown, 30.0)));
    let found = signal(&evidence(judgments), &Pool::default(), Name::SideBias);
    assert_eq!((found.n, found.value), (100, Some(0.64)));
    assert_close(found.p.unwrap(), 0.006_637_120_515_926_128, 1e-12);
    let interval = found.interval.unwrap();
    // Wilson 95 % of 64/100 (SciPy).
    assert_close(interval.low, 0.542_354_024_516_087, 1e-12);
    assert_close(interval.high, 0.727_287_795_985_957, 1e-12);
    assert!(found.words.contains("64 of 100"), "{}", found.words);
}

#[test]
fn too_few_say_nothing_and_say_so() {
    let few = evidence((0..49).map(|_| observed(LEFT, 0.2)).collect());
    let found = signal(&few, &Pool::default(), Name::SideBias);
    assert_eq!((found.n, found.p), (49, None));
    assert!(found.words.contains("there must be 50"), "{}", found.words);
    for found in signals(&Evidence::default(), &Pool::default(), &Rules::default()) {
        assert_eq!((found.n, found.p, found.value), (0, None, None), "{:?}", found.name);
        assert!(!found.words.is_empty() && !found.is_flagged(&Rules::default()));
    }
}

#[test]
fn the_time_floor_follows_the_length_of_the_text() {
    let rules = Rules::default();
    // 400 characters at 15 ms are 6 s; a click alone takes 1 s; nobody has to read for more than 8 s.
    assert_eq!([0, 400, 4000].map(|chars| rules.floor_seconds(chars)), [1.0, 6.0, 8.0]);
    let fast = |n: usize| evidence((0..40).map(|at| observed(LEFT, if at < n { 5.9 } else { 6.1 })).collect());
    assert_eq!(signal(&fast(20), &Pool::default(), Name::TimeFloor).value, Some(0.5));
    assert!(signal(&fast(4), &Pool::default(), Name::TimeFloor).p.unwrap() > 0.4, "one in ten is tolerated");
    assert!(signal(&fast(20), &Pool::default(), Name::TimeFloor).p.unwrap() < 1e-8);
    // A page on which half of all judgments are fast accuses nobody.
    let pool = Pool { fast: (500, 1000), ..Pool::default() };
    assert!(signal(&fast(20), &pool, Name::TimeFloor).p.unwrap() > 0.4);
    let program = Evidence { is_program: true, ..fast(40) };
    assert_eq!(signal(&program, &Pool::default(), Name::TimeFloor).p, None);
}

#[test]
fn streaks_and_turns_are_seen() {
    let sequence = |side: &dyn Fn(usize) -> bool| evidence((0..60).map(|at| observed(if side(at) { LEFT } else { RIGHT }, 30.0)).collect());
    let turns = signal(&sequence(&|at| at % 2 == 0), &Pool::default(), Name::Streaks);
    assert_eq!(turns.value, Some(60.0));
    assert!(turns.p.unwrap() < 1e-12 && turns.words.contains("take turns"), "{}", turns.words);
    let streaks = signal(&sequence(&|at| at < 30), &Pool::default(), Name::Streaks);
    assert!(streaks.p.unwrap() < 1e-12 && streaks.words.contains("streaks"), "{}", streaks.words);
    let one_side = signal(&sequence(&|_| true), &Pool::default(), Name::Streaks);
    assert!(one_side.p.is_none() && one_side.words.contains("side bias"), "{}", one_side.words);
}

#[test]
fn kinds_of_choice_are_compared_within_their_type() {
    let rules = Rules::default();
    let mix = |n: usize, tie: usize, stratum: u32| {
        (0..n).map(move |at| Observed { stratum, ..observed(if at < tie { Shown::Tie } else { LEFT }, 30.0) }).collect::<Vec<_>>()
    };
    let mut pool = Pool::default();
    pool.add(&[mix(200, 20, 0), mix(200, 160, 1)].concat(), GoldRecord::default(), &rules);
    // Like the others in each type, though with another mixture of types.
    let alike = signal(&evidence([mix(20, 2, 0), mix(80, 64, 1)].concat()), &pool, Name::ChoiceMix);
    assert!(alike.p.unwrap() > 0.9 && !alike.is_large);
    let other = signal(&evidence(mix(60, 50, 0)), &pool, Name::ChoiceMix);
    assert!(other.p.unwrap() < 1e-12 && other.is_large, "{other:?}");
    // A small difference is not flagged, however sure.
    let mut many = Pool::default();
    many.add(&mix(20_000, 2_000, 0), GoldRecord::default(), &rules);
    let taste = signal(&evidence(mix(5_000, 800, 0)), &many, Name::ChoiceMix);
    assert!(taste.p.unwrap() < 1e-6 && !taste.is_large);
    assert_eq!(signal(&evidence(mix(60, 50, 7)), &pool, Name::ChoiceMix).p, None, "nobody else has judged this type");
}

#[test]
fn golden_and_attention_items_are_judged_by_a_lenient_bar() {
    let pool = Pool { golden: (898, 997), ..Pool::default() };
    let with = |correct, total| Evidence { golden: GoldRecord { correct, total }, ..Evidence::default() };
    // The pool reaches .90, so .80 would do.
    assert!(signal(&with(16, 20), &pool, Name::Golden).p.unwrap() > 0.5);
    // P(X <= 4 | 12, .75) is in the reference of the exact tests; here P(X <= 8 | 20, .80) from SciPy.
    assert_close(signal(&with(8, 20), &pool, Name::Golden).p.unwrap(), 1.017_287_651_570_48e-4, 1e-12);
    assert_eq!(signal(&with(0, 7), &pool, Name::Golden).p, None);
    let missed = |correct, total| Evidence { attention: GoldRecord { correct, total }, ..Evidence::default() };
    assert_close(signal(&missed(0, 1), &pool, Name::Attention).p.unwrap(), 0.01, 1e-12);
    assert_eq!(signal(&missed(5, 5), &pool, Name::Attention).p, Some(1.0));
    assert!(signal(&missed(3, 5), &pool, Name::Attention).p.unwrap() < 1e-3);
}

#[test]
fn repeated_texts_are_counted_also_between_raters() {
    let say = |words: &str| Observed { text: Fingerprint::of(words), ..observed(LEFT, 30.0) };
    let own: Vec<Observed> = (0..20).map(|_| say("The left plan is clearly better than the right plan")).collect();
    let found = signal(&evidence(own), &Pool::default(), Name::CopiedText);
    assert_eq!((found.n, found.value), (20, Some(0.95)));
    assert!(found.p.unwrap() < 1e-9);
    let distinct: Vec<Observed> = (0..20).map(|at| say(&format!("budget {at} is over by {} in week {}", at * 7, at + 3))).collect();
    assert_eq!(signal(&evidence(distinct.clone()), &Pool::default(), Name::CopiedText).value, Some(0.0));
    let mut pool = Pool::default();
    pool.add(&distinct, GoldRecord::default(), &Rules::default());
    assert_eq!(signal(&evidence(distinct), &pool, Name::CopiedText).value, Some(1.0), "word for word what somebody else wrote");
    let short: Vec<Observed> = (0..20).map(|_| say("left is better")).collect();
    assert_eq!(signal(&evidence(short), &Pool::default(), Name::CopiedText).n, 0, "few words are nobody's own");
}

#[test]
fn many_looks_and_many_raters_cost_evidence() {
    assert_eq!([0, 49, 50, 149].map(look_at), [0, 0, 1, 2]);
    // The level spent over all looks is the level: the sum of 6 / (pi j)^2 is 1.
    let spent: f64 = (1..100_000_u64).map(|look| 0.01 / over_looks(1e-9, look) * 1e-9).sum();
    assert_close(spent, 0.01, 1e-6);
    let of = |p| Looked {
        signals: vec![Signal {
            name: Name::SideBias,
            n: 100,
            value: Some(0.6),
            p,
            adjusted: None,
            interval: None,
            is_large: true,
            words: String::new(),
        }],
        look: 1,
    };
    let mut raters: Vec<Looked> = [Some(0.004), None, Some(0.5), Some(0.9)].into_iter().map(of).collect();
    control(&mut raters);
    let adjusted: Vec<Option<f64>> = raters.iter().map(|looked| looked.signals[0].adjusted).collect();
    assert_close(adjusted[0].unwrap(), 0.004 * std::f64::consts::PI.powi(2) / 6.0 * 3.0, 1e-12);
    assert_eq!(adjusted[1], None);
}

fn flag(name: Name, adjusted: f64) -> Signal {
    Signal {
        name,
        n: 100,
        value: Some(0.9),
        p: Some(adjusted),
        adjusted: Some(adjusted),
        interval: None,
        is_large: true,
        words: format!("{name:?}"),
    }
}

/// What follows after an hour and 60 judgments.
fn next<const N: usize>(rung: Rung, signals: [Signal; N]) -> Option<Action> {
    let standing = Standing { rung, seconds: Some(3600), judgments: 60 };
    propose(standing, &signals, &Rules::default(), &LadderRules::default()).map(|proposal| proposal.action)
}

#[test]
fn the_ladder_goes_up_one_step_at_a_time() {
    let (weak, severe) = (flag(Name::Golden, 0.005), flag(Name::SideBias, 1e-9));
    assert_eq!(next(Rung::None, [weak.clone()]), Some(Action::Warn));
    assert_eq!(next(Rung::None, [severe.clone()]), Some(Action::Warn), "however severe, a warning comes first");
    assert_eq!(next(Rung::Warn, [weak.clone()]), Some(Action::MoreGold));
    assert_eq!(next(Rung::MoreGold, [weak.clone()]), None, "one doubtful signal pauses nobody");
    assert_eq!(next(Rung::MoreGold, [severe.clone()]), Some(Action::Pause));
    assert_eq!(next(Rung::MoreGold, [weak.clone(), flag(Name::TimeFloor, 0.005)]), Some(Action::Pause));
    assert_eq!(next(Rung::MoreGold, [weak, flag(Name::Attention, 0.005)]), None, "golden and attention items are one kind of evidence");
    assert_eq!(next(Rung::Pause, [severe.clone()]), None, "an expert has a day to look");
    assert_eq!(next(Rung::Void, [severe]), None);
    assert_eq!(next(Rung::None, [flag(Name::Golden, 0.011)]), None);
    assert_eq!(next(Rung::None, [Signal { is_large: false, ..flag(Name::ChoiceMix, 1e-9) }]), None);
}

#[test]
fn a_step_needs_time_and_new_judgments_and_names_its_reasons() {
    let severe = [flag(Name::SideBias, 1e-9), flag(Name::Golden, 0.2)];
    let at = |rung, seconds, judgments| {
        propose(Standing { rung, seconds: Some(seconds), judgments }, &severe, &Rules::default(), &LadderRules::default())
    };
    assert_eq!(at(Rung::Warn, 599, 60), None);
    assert_eq!(at(Rung::Warn, 600, 49), None);
    let Some(Proposal { action, signals, reason }) = at(Rung::Warn, 600, 50) else { panic!("no step") };
    assert_eq!((action, signals.len(), signals[0].name), (Action::MoreGold, 1, Name::SideBias));
    assert!(reason.contains("SideBias") && !reason.contains("Golden"), "{reason}");
    assert_eq!(at(Rung::Pause, 86_399, 60), None);
    assert_eq!(at(Rung::Pause, 86_400, 60).map(|proposal| proposal.action), Some(Action::Void));
}

#[test]
fn good_work_leads_down_and_reversal_leads_back() {
    let clean = |rung, judgments| {
        let standing = Standing { rung, seconds: Some(3600), judgments };
        propose(standing, &[flag(Name::Golden, 0.5)], &Rules::default(), &LadderRules::default()).map(|proposal| proposal.action)
    };
    assert_eq!(clean(Rung::Warn, 99), None);
    assert_eq!(clean(Rung::Warn, 100), Some(Action::Lift));
    assert_eq!(clean(Rung::MoreGold, 100), Some(Action::Lift));
    assert_eq!(clean(Rung::Pause, 1000), None, "a pause is lifted by a person");
    assert_eq!(rung_after(&[]), Rung::None);
    assert_eq!(rung_after(&[(Action::Warn, false), (Action::MoreGold, false), (Action::Pause, true)]), Rung::MoreGold);
    assert_eq!(rung_after(&[(Action::Warn, true)]), Rung::None);
    assert_eq!(rung_after(&[(Action::Pause, false), (Action::Lift, false)]), Rung::None);
    assert_eq!(rung_after(&[(Action::Pause, false), (Action::Lift, true)]), Rung::Pause);
}
