//! Pairs as sparse rows of feature differences. Standardisation belongs here: a number is divided by the
//! typical difference between two candidates that are compared, because the likelihood sees differences
//! only. Scales are computed without looking at the outcomes.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{NumberWeight, WordWeight};
use super::{Example, Outcome};
use crate::features::Features;

/// Differences below this share of the largest size of a number are rounding (of money to micro-units, of shares to six digits),
/// not signal: scaled up, they would drown the numbers that people look at.
const RELATIVE_ROUNDING: f64 = 1e-6;

/// The columns of a model: first standardised numbers, then word buckets.
pub(super) struct Design {
    numbers: Vec<Number>,
    words: Vec<(u32, String)>,
    pub(super) rows: Vec<Row>,
}

struct Number {
    name: String,
    centre: f64,
    scale: f64,
}

/// One pair: `difference` is sorted by column; the numbers end at `numbers_end`.
pub(super) struct Row {
    difference: Vec<(u32, f64)>,
    numbers_end: usize,
    pub(super) outcome: Outcome,
    pub(super) weight: f64,
}

impl Row {
    /// The entries that a model with or without words uses.
    pub(super) fn entries(&self, with_words: bool) -> &[(u32, f64)] {
        if with_words { &self.difference } else { &self.difference[..self.numbers_end] }
    }
}

impl Design {
    /// Builds columns and rows; weights are scaled to mean 1. `examples` must be valid.
    pub(super) fn new(examples: &[&Example]) -> Self {
        let numbers = standardise(examples);
        let column: BTreeMap<&str, u32> = (0u32..).zip(&numbers).map(|(index, number)| (number.name.as_str(), index)).collect();
        let mut seen: BTreeMap<u32, &str> = BTreeMap::new();
        for (bucket, word) in examples.iter().flat_map(|example| example.a.words.iter().chain(&example.b.words)) {
            seen.entry(*bucket).and_modify(|text| *text = (*text).min(&word.text)).or_insert(&word.text);
        }
        let words: Vec<(u32, String)> = seen.into_iter().map(|(bucket, text)| (bucket, text.to_owned())).collect();
        let word_column: BTreeMap<u32, u32> = (numbers.len() as u32..).zip(&words).map(|(index, (bucket, _))| (*bucket, index)).collect();
        let mean_weight = examples.iter().map(|example| example.weight).sum::<f64>() / examples.len() as f64;
        let row = |example: &&Example| {
            let mut difference: BTreeMap<u32, f64> = BTreeMap::new();
            for (features, sign) in [(&example.a, 1.0), (&example.b, -1.0)] {
                for (name, value) in &features.numbers {
                    if let Some(index) = column.get(name.as_str())
                        && let Some(number) = numbers.get(*index as usize)
                    {
                        *difference.entry(*index).or_insert(0.0) += sign * (damped(*value) - number.centre) / number.scale;
                    }
                }
            }
            let mut difference: Vec<(u32, f64)> = difference.into_iter().filter(|(_, d)| *d != 0.0).collect();
            let numbers_end = difference.len();
            let words = word_differences(&example.a, &example.b);
            difference.extend(words.filter_map(|(bucket, d)| Some((*word_column.get(&bucket)?, d))));
            Row { difference, numbers_end, outcome: example.outcome, weight: example.weight / mean_weight }
        };
        let rows = examples.iter().map(row).collect();
        Self { numbers, words, rows }
    }

    /// Number of columns with or without words.
    pub(super) fn columns(&self, with_words: bool) -> usize {
        self.numbers.len() + if with_words { self.words.len() } else { 0 }
    }

    /// The word bucket behind a column; `None` for numbers.
    pub(super) fn bucket(&self, column: usize) -> Option<u32> {
        self.words.get(column.checked_sub(self.numbers.len())?).map(|(bucket, _)| *bucket)
    }

    /// Names the fitted weights; those of exactly 0 are dropped, which belong to columns that no pair differs in.
    pub(super) fn name(self, weights: &[f64]) -> (Vec<NumberWeight>, BTreeMap<u32, WordWeight>) {
        let mut weights = weights.iter().copied();
        let numbers = self.numbers.into_iter().zip(weights.by_ref()).filter(|(_, weight)| *weight != 0.0);
        let numbers = numbers.map(|(Number { name, centre, scale }, weight)| NumberWeight { name, centre, scale, weight }).collect();
        let words = self.words.into_iter().zip(weights).filter(|(_, weight)| *weight != 0.0);
        (numbers, words.map(|((bucket, text), weight)| (bucket, WordWeight { text, weight })).collect())
    }
}

/// What the model sees of a number: the inverse hyperbolic sine, which is the number itself near 0 and its logarithm far from it. A
/// difference of two large amounts so becomes their ratio, and one large budget does not outweigh all small ones.
pub(super) fn damped(value: f64) -> f64 {
    value.asinh()
}

/// Word differences a - b, without zeros, in bucket order.
fn word_differences(a: &Features, b: &Features) -> impl Iterator<Item = (u32, f64)> {
    let mut difference: BTreeMap<u32, f64> = a.words.iter().map(|(bucket, word)| (*bucket, word.value)).collect();
    for (bucket, word) in &b.words {
        *difference.entry(*bucket).or_insert(0.0) -= word.value;
    }
    difference.into_iter().filter(|(_, d)| *d != 0.0)
}

/// Centre: mean over the candidates that have the number; an absent number counts as the centre. Scale:
/// root mean square difference over the pairs that differ; numbers that never differ are dropped.
fn standardise(examples: &[&Example]) -> Vec<Number> {
    let names: BTreeSet<&String> = examples.iter().flat_map(|example| example.a.numbers.keys().chain(example.b.numbers.keys())).collect();
    let number = |name: &String| {
        let (mut sum, mut count, mut size) = (0.0, 0.0, 0.0_f64);
        for example in examples {
            let values = [&example.a, &example.b].map(|features| features.numbers.get(name).map(|value| damped(*value)));
            // Added pair by pair, so that exchanging a and b changes nothing.
            sum += values.iter().flatten().sum::<f64>();
            count += values.iter().flatten().count() as f64;
            size = values.iter().flatten().fold(size, |size, value| size.max(value.abs()));
        }
        let centre: f64 = sum / count;
        let value = |features: &Features| features.numbers.get(name).map_or(centre, |value| damped(*value));
        let (mut squares, mut differing) = (0.0, 0.0);
        for example in examples {
            let difference: f64 = value(&example.a) - value(&example.b);
            if difference.abs() > size * RELATIVE_ROUNDING {
                squares += difference * difference;
                differing += 1.0;
            }
        }
        let scale: f64 = (squares / differing).sqrt();
        let is_usable = centre.is_finite() && scale.is_finite() && scale > 0.0;
        is_usable.then(|| Number { name: name.clone(), centre, scale })
    };
    names.into_iter().filter_map(number).collect()
}
