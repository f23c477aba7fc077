//! Pairs as sparse rows of feature differences, in segments that have a penalty each. Standardisation belongs here: a number is divided by
//! the typical difference between two candidates that are compared, because the likelihood sees differences only. Scales are computed
//! without looking at the outcomes.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Outcome;
use super::model::{NumberWeight, RetailerWeights, WordWeight};
use super::pairs::{Compared, Pairs};
use crate::features::hashed::{BUCKETS, Group};

/// Differences below this share of the largest size of a number are rounding (of money to micro-units, of shares to six digits),
/// not signal: scaled up, they would drown the numbers that people look at.
const RELATIVE_ROUNDING: f64 = 1e-6;

/// Segments of a row: numbers, each group of buckets, then numbers and words of the pair's retailer.
pub(super) const SEGMENTS: usize = 1 + Group::ALL.len() + 2;
/// The segment of the numbers.
pub(super) const NUMBERS: usize = 0;
/// The segment of the first group; the others follow.
pub(super) const FIRST_GROUP: usize = 1;
/// The segment of a retailer's numbers.
pub(super) const RETAILER_NUMBERS: usize = SEGMENTS - 2;
/// The segment of a retailer's single words.
pub(super) const RETAILER_WORDS: usize = SEGMENTS - 1;

/// Fewest pairs of a retailer that gets a part of its own: with fewer the shared weights say more.
pub const LEAST_OF_RETAILER: usize = 20;

/// Most retailers with a part of their own, those with most pairs.
const MOST_RETAILERS: usize = 64;

/// Of every so many pairs, candidates must differ in a bucket in one: what is that rare tells hardly anything about other prompts.
const PAIRS_PER_SIGHTING: usize = 4_000;

/// Most buckets of a model, those in which most pairs differ: it is stored in one row of a table, with its members in some 7 MB at most.
const MOST_WORDS: usize = 40_000;

/// Columns and rows.
pub(super) struct Design {
    numbers: Vec<Number>,
    words: Vec<(u32, String)>,
    retailers: Vec<String>,
    /// Retailer (by place) and shared column behind each column of the last two segments.
    local: Vec<(u32, u32)>,
    /// The columns of each segment.
    pub(super) columns: [Range<usize>; SEGMENTS],
    entries: Vec<(u32, f32)>,
    pub(super) rows: Vec<Row>,
}

struct Number {
    name: String,
    centre: f64,
    scale: f64,
}

/// One pair.
#[derive(Clone)]
pub(super) struct Row {
    start: usize,
    /// Where each segment ends, counted from `start`.
    ends: [u32; SEGMENTS],
    pub(super) prompt: u32,
    pub(super) outcome: Outcome,
    /// Relative to a mean of 1.
    pub(super) weight: f64,
}

impl Row {
    /// Where the entries of a segment stand.
    fn range(&self, segment: usize) -> Range<usize> {
        let from = if segment == 0 { 0 } else { self.ends[segment - 1] };
        self.start + from as usize..self.start + self.ends[segment] as usize
    }
}

impl Design {
    /// Builds columns and rows.
    pub(super) fn new(pairs: &Pairs) -> Self {
        let (numbers, number_column) = standardise(pairs);
        let least = u32::try_from(1 + pairs.len() / PAIRS_PER_SIGHTING).unwrap_or(u32::MAX);
        let mut common: Vec<_> = pairs.buckets().filter(|(_, seen)| seen.pairs >= least).collect();
        common.sort_by_key(|(_, seen)| std::cmp::Reverse(seen.pairs));
        common.truncate(MOST_WORDS);
        // Within a group the words that come most often stand together: what a fit needs most then lies near at hand.
        common.sort_by_key(|(bucket, _)| bucket / BUCKETS);
        let words: Vec<(u32, String)> = common.into_iter().map(|(bucket, seen)| (bucket, seen.text.clone())).collect();
        let mut columns: [Range<usize>; SEGMENTS] = std::array::from_fn(|_| 0..0);
        columns[NUMBERS] = 0..numbers.len();
        for group in Group::ALL {
            let first = numbers.len() + words.partition_point(|(other, _)| *other / BUCKETS < group as u32);
            let end = numbers.len() + words.partition_point(|(other, _)| *other / BUCKETS <= group as u32);
            columns[FIRST_GROUP + group as usize] = first..end;
        }
        let mut word_column = vec![None; words.iter().map(|(bucket, _)| *bucket as usize + 1).max().unwrap_or(0)];
        for ((bucket, _), column) in words.iter().zip(numbers.len() as u32..) {
            if let Some(place) = word_column.get_mut(*bucket as usize) {
                *place = Some(column);
            }
        }
        let (retailers, place_of) = retailers(pairs);
        let mut design = Self { numbers, words, retailers, local: Vec::new(), columns, entries: Vec::new(), rows: Vec::new() };
        design.entries.reserve(pairs.compared.len() + pairs.words.len());
        let mean_weight = pairs.kept.iter().map(|kept| kept.weight).sum::<f64>() / pairs.len().max(1) as f64;
        let mut own_columns = [BTreeMap::new(), BTreeMap::new()];
        let (mut number, mut word) = (0, 0);
        for kept in &pairs.kept {
            let start = design.entries.len();
            let mut ends = [0; SEGMENTS];
            for compared in pairs.compared.get(number..kept.numbers_end).unwrap_or_default() {
                let column = number_column.get(compared.number as usize).copied().flatten();
                design.entries.extend(column.and_then(|column| Some((column, design.numbers.get(column as usize)?.difference(compared)?))));
            }
            ends[NUMBERS] = (design.entries.len() - start) as u32;
            let mut differing = pairs.words.get(word..kept.words_end).unwrap_or_default().iter().peekable();
            for group in Group::ALL {
                while let Some((bucket, difference)) = differing.next_if(|(bucket, _)| *bucket < group.buckets().end) {
                    let column = word_column.get(*bucket as usize).copied().flatten();
                    design.entries.extend(column.map(|column| (column, *difference)));
                }
                ends[FIRST_GROUP + group as usize] = (design.entries.len() - start) as u32;
            }
            (number, word) = (kept.numbers_end, kept.words_end);
            let retailer = kept.retailer.and_then(|retailer| place_of.get(retailer as usize).copied().flatten());
            let row = Row { start, ends, prompt: kept.prompt, outcome: kept.outcome, weight: kept.weight / mean_weight };
            design.push(row, retailer, &mut own_columns);
        }
        design.settle(&own_columns);
        design
    }

    /// Adds a row, with a copy of its numbers and single words in columns of its retailer.
    fn push(&mut self, mut row: Row, retailer: Option<u32>, own_columns: &mut [BTreeMap<(u32, u32), u32>; 2]) {
        for ((own, from), to) in own_columns.iter_mut().zip([NUMBERS, FIRST_GROUP]).zip([RETAILER_NUMBERS, RETAILER_WORDS]) {
            if let Some(retailer) = retailer {
                for place in row.range(from) {
                    let Some((column, value)) = self.entries.get(place).copied() else { continue };
                    let next = own.len() as u32;
                    self.entries.push((*own.entry((retailer, column)).or_insert(next), value));
                }
            }
            row.ends[to] = (self.entries.len() - row.start) as u32;
        }
        self.rows.push(row);
    }

    /// Gives the columns of retailers their place behind all others, when their number is known.
    fn settle(&mut self, own_columns: &[BTreeMap<(u32, u32), u32>; 2]) {
        for (own, segment) in own_columns.iter().zip([RETAILER_NUMBERS, RETAILER_WORDS]) {
            let first = self.columns[segment - 1].end;
            self.columns[segment] = first..first + own.len();
            let mut behind = vec![(0, 0); own.len()];
            for (what, place) in own {
                if let Some(behind) = behind.get_mut(*place as usize) {
                    *behind = *what;
                }
            }
            self.local.extend(behind);
            for row in &self.rows {
                if let Some(entries) = self.entries.get_mut(row.range(segment)) {
                    entries.iter_mut().for_each(|(column, _)| *column += first as u32);
                }
            }
        }
    }

    /// The rows of a sample with the columns that occur in them, for fits whose weights need no names.
    pub(super) fn part(&self, sample: &[(u32, f64)]) -> Self {
        let rows = || sample.iter().filter_map(|(row, _)| self.rows.get(*row as usize));
        let mut seen = vec![false; self.width()];
        let entries = |row: &Row| self.entries.get(row.start..row.range(SEGMENTS - 1).end).unwrap_or_default();
        for (column, _) in rows().flat_map(entries) {
            if let Some(seen) = seen.get_mut(*column as usize) {
                *seen = true;
            }
        }
        let mut places = Vec::with_capacity(seen.len() + 1);
        let mut next = 0_u32;
        for seen in &seen {
            places.push(next);
            next += u32::from(*seen);
        }
        places.push(next);
        let place = |column: usize| places.get(column).copied().unwrap_or(next);
        let columns = std::array::from_fn(|segment| {
            let of = &self.columns[segment];
            place(of.start) as usize..place(of.end) as usize
        });
        let mut part = Self {
            numbers: Vec::new(),
            words: Vec::new(),
            retailers: Vec::new(),
            local: Vec::new(),
            columns,
            entries: Vec::new(),
            rows: Vec::new(),
        };
        for row in rows() {
            let start = part.entries.len();
            part.entries.extend(entries(row).iter().map(|(column, value)| (place(*column as usize), *value)));
            part.rows.push(Row { start, ..row.clone() });
        }
        part
    }

    /// Columns of all segments.
    pub(super) fn width(&self) -> usize {
        self.columns[SEGMENTS - 1].end
    }

    /// The entries of a row in a segment.
    pub(super) fn entries(&self, row: &Row, segment: usize) -> &[(u32, f32)] {
        self.entries.get(row.range(segment)).unwrap_or_default()
    }

    /// The entries of a row in neighbouring segments.
    pub(super) fn run(&self, row: &Row, segments: &Range<usize>) -> &[(u32, f32)] {
        let end = segments.end.checked_sub(1).map_or(row.start, |last| row.range(last).end);
        self.entries.get(row.range(segments.start).start..end).unwrap_or_default()
    }

    /// Whether any pair belongs to a retailer with a part of its own.
    pub(super) fn has_retailers(&self) -> bool {
        !self.columns[RETAILER_NUMBERS].is_empty() || !self.columns[RETAILER_WORDS].is_empty()
    }

    /// The word bucket behind a column; `None` for other columns.
    pub(super) fn bucket(&self, column: usize) -> Option<u32> {
        self.words.get(column.checked_sub(self.numbers.len())?).map(|(bucket, _)| *bucket)
    }

    /// Names the fitted weights; those of exactly 0 are dropped, which belong to columns that no pair differs in or to segments that
    /// are not used.
    pub(super) fn name(&self, weights: &[f64]) -> Named {
        let weight = |column: usize| weights.get(column).copied().unwrap_or(0.0);
        let numbers = self.numbers.iter().enumerate().filter(|(column, _)| weight(*column) != 0.0);
        let numbers: Vec<NumberWeight> = numbers
            .map(|(column, number)| NumberWeight {
                name: number.name.clone(),
                centre: number.centre,
                scale: number.scale,
                weight: weight(column),
            })
            .collect();
        let words = self.words.iter().zip(self.numbers.len()..).filter(|(_, column)| weight(*column) != 0.0);
        let words = words.map(|((bucket, text), column)| (*bucket, WordWeight { text: text.clone(), weight: weight(column) })).collect();
        let mut retailers: BTreeMap<String, RetailerWeights> = BTreeMap::new();
        for ((retailer, shared), column) in self.local.iter().zip(self.columns[RETAILER_NUMBERS].start..) {
            let Some(name) = self.retailers.get(*retailer as usize).filter(|_| weight(column) != 0.0) else { continue };
            let part = retailers.entry(name.clone()).or_default();
            if let Some(number) = self.numbers.get(*shared as usize) {
                part.numbers.insert(number.name.clone(), weight(column));
            } else if let Some(bucket) = self.bucket(*shared as usize) {
                part.words.insert(bucket, weight(column));
            }
        }
        Named { numbers, words, retailers }
    }
}

/// Fitted weights with their names.
pub(super) struct Named {
    pub(super) numbers: Vec<NumberWeight>,
    pub(super) words: BTreeMap<u32, WordWeight>,
    pub(super) retailers: BTreeMap<String, RetailerWeights>,
}

impl Number {
    /// a - b in typical differences; `None` when there is none.
    fn difference(&self, compared: &Compared) -> Option<f32> {
        let value = |value: f64| if value.is_nan() { self.centre } else { value };
        let difference = (value(compared.a) - value(compared.b)) / self.scale;
        (difference != 0.0).then_some(difference as f32)
    }
}

/// The retailers with enough pairs, and the place of each known retailer among them.
fn retailers(pairs: &Pairs) -> (Vec<String>, Vec<Option<u32>>) {
    let mut counts = vec![0_usize; pairs.retailers.len()];
    for retailer in pairs.kept.iter().filter_map(|kept| kept.retailer) {
        if let Some(count) = counts.get_mut(retailer as usize) {
            *count += 1;
        }
    }
    let count = |retailer: u32| counts.get(retailer as usize).copied().unwrap_or(0);
    let mut kept: Vec<(&String, u32)> = pairs.retailers.iter().map(|(name, retailer)| (name, *retailer)).collect();
    kept.retain(|(_, retailer)| count(*retailer) >= LEAST_OF_RETAILER);
    // A stable sort of names in order: of equal counts the first name.
    kept.sort_by_key(|(_, retailer)| std::cmp::Reverse(count(*retailer)));
    kept.truncate(MOST_RETAILERS);
    let mut places = vec![None; counts.len()];
    for ((_, retailer), place) in kept.iter().zip(0..) {
        if let Some(of) = places.get_mut(*retailer as usize) {
            *of = Some(place);
        }
    }
    (kept.into_iter().map(|(name, _)| name.clone()).collect(), places)
}

/// Usable numbers by name, and the column of each known number. Centre: mean over the candidates that have the number; an absent number
/// counts as the centre. Scale: root mean square difference over the pairs that differ; numbers that never differ are dropped.
fn standardise(pairs: &Pairs) -> (Vec<Number>, Vec<Option<u32>>) {
    let centres: Vec<f64> = pairs.numbers.iter().map(|seen| seen.sum / seen.count).collect();
    let mut squares = vec![(0.0, 0.0); centres.len()];
    for compared in &pairs.compared {
        let place = compared.number as usize;
        let (Some(centre), Some(seen), Some((sum, count))) = (centres.get(place), pairs.numbers.get(place), squares.get_mut(place)) else {
            continue;
        };
        let value = |value: f64| if value.is_nan() { *centre } else { value };
        let difference = value(compared.a) - value(compared.b);
        if difference.abs() > seen.size * RELATIVE_ROUNDING {
            *sum += difference * difference;
            *count += 1.0;
        }
    }
    let mut usable: Vec<(usize, Number)> = Vec::new();
    for (place, ((seen, centre), (sum, count))) in pairs.numbers.iter().zip(&centres).zip(squares).enumerate() {
        let scale: f64 = (sum / count).sqrt();
        if centre.is_finite() && scale.is_finite() && scale > 0.0 {
            usable.push((place, Number { name: seen.name.clone(), centre: *centre, scale }));
        }
    }
    usable.sort_by(|x, y| x.1.name.cmp(&y.1.name));
    let mut columns = vec![None; centres.len()];
    for ((place, _), column) in usable.iter().zip(0..) {
        if let Some(of) = columns.get_mut(*place) {
            *of = Some(column);
        }
    }
    (usable.into_iter().map(|(_, number)| number).collect(), columns)
}
