//! Which automatic check predicts the verdict: how often raters prefer the candidate that passes a check which the other one fails.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::intervals::{Interval, Z_95, wilson};

/// What a check found about one candidate of a decided task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckFinding {
    /// Name of the check.
    pub check: String,
    /// The candidate's place in the stored order.
    pub candidate: usize,
    /// Whether the candidate passed.
    pub passed: bool,
}

/// A decided task of two candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedTask {
    /// Kind of task; checks of the same name in different kinds are different checks.
    pub task_type: String,
    /// The preferred candidate's place, `None` when the decision prefers none (tie, both bad, unsure).
    pub preferred: Option<usize>,
    /// Findings about both candidates.
    pub findings: Vec<CheckFinding>,
}

/// How a check and the raters agree.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckAgreement {
    /// Kind of task.
    pub task_type: String,
    /// Name of the check.
    pub check: String,
    /// Tasks in which exactly one candidate fails the check and the decision prefers one.
    pub n: u64,
    /// Those of them in which the decision prefers the candidate that passes.
    pub agreeing: u64,
    /// `agreeing / n`.
    pub share: Option<f64>,
    /// Wilson's 95 % interval of the share.
    pub interval_95: Option<Interval>,
    /// Two-sided p of the sign test against one half (see [`sign_test`]).
    pub p: Option<f64>,
    /// Tasks in which exactly one candidate fails the check, but the decision prefers none.
    pub undecided: u64,
    /// Why there is no share.
    pub undefined_because: Option<&'static str>,
}

/// Agreement of every check, by task type and name. `known` are pairs of task type and check that are reported even without a finding.
///
/// Checks that both candidates pass or both fail tell nothing about a preference and are not counted; neither is a check that does not apply to one of
/// them, nor a third candidate.
#[must_use]
pub fn checks_agreement<'a>(tasks: &[CheckedTask], known: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<CheckAgreement> {
    let mut counts: BTreeMap<(&str, &str), Count> = known.into_iter().map(|pair| (pair, Count::default())).collect();
    for task in tasks {
        let mut outcomes: BTreeMap<&str, [Option<bool>; 2]> = BTreeMap::new();
        for finding in &task.findings {
            if let Some(outcome) = outcomes.entry(&finding.check).or_default().get_mut(finding.candidate) {
                *outcome = Some(finding.passed);
            }
        }
        for (check, outcome) in outcomes {
            let count = counts.entry((&task.task_type, check)).or_default();
            let passing = match outcome {
                [Some(true), Some(false)] => 0,
                [Some(false), Some(true)] => 1,
                _ => continue,
            };
            match task.preferred {
                None => count.undecided += 1,
                Some(preferred) => {
                    count.n += 1;
                    count.agreeing += u64::from(preferred == passing);
                }
            }
        }
    }
    counts.into_iter().map(|((task_type, check), count)| count.figures(task_type, check)).collect()
}

#[derive(Default)]
struct Count {
    n: u64,
    agreeing: u64,
    undecided: u64,
}

impl Count {
    fn figures(&self, task_type: &str, check: &str) -> CheckAgreement {
        let undefined_because = match (self.n, self.undecided) {
            (0, 0) => Some("no decided task in which exactly one of the two candidates fails the check"),
            (0, _) => Some("the decisions prefer no candidate where exactly one fails the check"),
            _ => None,
        };
        CheckAgreement {
            task_type: task_type.to_owned(),
            check: check.to_owned(),
            n: self.n,
            agreeing: self.agreeing,
            share: (self.n > 0).then(|| self.agreeing as f64 / self.n as f64),
            interval_95: wilson(self.agreeing, self.n, Z_95),
            p: sign_test(self.agreeing, self.n),
            undecided: self.undecided,
            undefined_because,
        }
    }
}

/// Two-sided p of the sign test (Dixon and Mood 1946): the probability, if both outcomes were equally likely, of a result at least as far from one half
/// as `successes` out of `total`. Exact binomial; `None` when `total` is 0. Successes above `total` count as `total`.
#[must_use]
pub fn sign_test(successes: u64, total: u64) -> Option<f64> {
    if total == 0 {
        return None;
    }
    let successes = successes.min(total);
    let fewer = successes.min(total - successes);
    // In logarithms, because 2^-total is 0 for long series.
    let mut term = -(total as f64) * std::f64::consts::LN_2;
    let mut tail = term.exp();
    for i in 0..fewer {
        term += ((total - i) as f64 / (i + 1) as f64).ln();
        tail += term.exp();
    }
    Some((2.0 * tail).min(1.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn task(preferred: Option<usize>, passed: &[(&str, usize, bool)]) -> CheckedTask {
        let findings = passed.iter().map(|(check, candidate, passed)| CheckFinding {
            check: (*check).to_owned(),
            candidate: *candidate,
            passed: *passed,
        });
        CheckedTask { task_type: "plan_quality".to_owned(), preferred, findings: findings.collect() }
    }

    /// Values by whole-number arithmetic: twice the sum of binomial coefficients up to the rarer outcome, divided by 2^n.
    #[test]
    fn sign_test_is_the_exact_binomial() {
        for (k, n, p) in [
            (8, 10, 0.109_375),
            (64, 100, 0.006_637_120_5),
            (5, 5, 0.0625),
            (0, 6, 0.031_25),
            (5, 10, 1.0),
            (3, 4, 0.625),
            (540, 1000, 0.012_444_146_3),
        ] {
            let found = sign_test(k, n).unwrap();
            assert!((found - p).abs() < 1e-9, "{k} of {n}: {found}, not {p}");
        }
        assert_eq!(sign_test(0, 0), None);
        assert!(sign_test(100_000, 100_000).unwrap() < 1e-300);
    }

    #[test]
    fn only_tasks_in_which_one_fails_are_counted() {
        let tasks = [
            task(Some(0), &[("sum", 0, true), ("sum", 1, false), ("form", 0, true), ("form", 1, true)]),
            task(Some(1), &[("sum", 0, false), ("sum", 1, true)]),
            task(Some(1), &[("sum", 0, true), ("sum", 1, false), ("roas", 0, false), ("roas", 1, true)]),
            task(Some(0), &[("sum", 0, false), ("sum", 1, false)]),
            task(Some(0), &[("sum", 0, true)]),
            task(None, &[("sum", 0, true), ("sum", 1, false), ("tie", 0, true), ("tie", 1, false)]),
            task(Some(0), &[("sum", 2, false), ("sum", 0, true)]),
        ];
        let found = checks_agreement(&tasks, [("tool_call_qa", "sql_parses")]);
        let of = |check: &str| found.iter().find(|one| one.check == check).unwrap();
        let sum = of("sum");
        assert_eq!((sum.n, sum.agreeing, sum.undecided, sum.undefined_because), (3, 2, 1, None));
        assert!((sum.share.unwrap() - 2.0 / 3.0).abs() < 1e-12 && sum.p == Some(1.0));
        let interval = sum.interval_95.unwrap();
        assert!(interval.low < 0.5 && interval.high > 0.9);
        assert_eq!((of("roas").n, of("roas").agreeing), (1, 1));
        for (check, why) in [("form", "exactly one"), ("tie", "prefer no candidate"), ("sql_parses", "exactly one")] {
            let one = of(check);
            assert!(one.share.is_none() && one.interval_95.is_none() && one.p.is_none(), "{one:?}");
            assert!(one.undefined_because.unwrap().contains(why), "{one:?}");
        }
        assert!(checks_agreement(&[], []).is_empty());
    }

    proptest! {
        #[test]
        fn p_is_a_probability_and_the_same_on_both_sides(n in 1_u64..3_000, k in 0_u64..3_000) {
            let k = k.min(n);
            let p = sign_test(k, n).unwrap();
            prop_assert!((0.0..=1.0).contains(&p));
            prop_assert!((p - sign_test(n - k, n).unwrap()).abs() < 1e-12);
        }

        #[test]
        fn which_candidate_stands_first_makes_no_difference(rows in prop::collection::vec((any::<bool>(), any::<bool>(), 0_usize..3), 0..60)) {
            let tasks = |turned: bool| -> Vec<CheckedTask> {
                rows.iter().map(|(a, b, preferred)| {
                    let place = |place: usize| if turned { 1 - place } else { place };
                    task((*preferred < 2).then(|| place(*preferred)), &[("x", place(0), *a), ("x", place(1), *b)])
                }).collect()
            };
            prop_assert_eq!(checks_agreement(&tasks(false), [("plan_quality", "x")]), checks_agreement(&tasks(true), [("plan_quality", "x")]));
        }
    }
}
