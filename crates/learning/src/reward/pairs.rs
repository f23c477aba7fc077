//! Training pairs in compact form. A pair is read once, reduced to what differs between its candidates (8 bytes a bucket, 24 a number), and
//! can be forgotten by the caller: a hundred thousand pairs fit in a few hundred megabytes.

use std::collections::{BTreeMap, HashMap};

use super::parallel;
use super::training::TrainError;
use super::{Example, Outcome};
use crate::features::hashed::Group;
use crate::features::{Features, Word};

/// A named number of one pair that differs, or that one candidate lacks: what the model sees of it (see [`damped`]).
#[derive(Debug, Clone, Copy)]
pub(super) struct Compared {
    pub(super) number: u32,
    /// NaN when absent.
    pub(super) a: f64,
    pub(super) b: f64,
}

/// What is known of a named number over all candidates.
#[derive(Debug, Clone)]
pub(super) struct NumberSeen {
    pub(super) name: String,
    pub(super) sum: f64,
    pub(super) count: f64,
    /// Largest size.
    pub(super) size: f64,
}

/// What is known of a bucket over all pairs.
#[derive(Debug, Clone)]
pub(super) struct BucketSeen {
    pub(super) text: String,
    /// The beginning of the text, which tells most texts apart without a look at them.
    lead: u128,
    /// Pairs whose candidates differ in it.
    pub(super) pairs: u32,
}

impl BucketSeen {
    fn see(&mut self, text: &str) {
        self.pairs += 1;
        let lead = lead(text);
        if lead < self.lead || (lead == self.lead && text.len().max(self.text.len()) > LEAD && text < self.text.as_str()) {
            text.clone_into(&mut self.text);
            self.lead = lead;
        }
    }
}

/// Bytes of a lead.
const LEAD: usize = 16;

/// The first bytes of a text as a number: what is less comes first. Words hold no control characters, so that 0 can stand for what is missing.
fn lead(text: &str) -> u128 {
    let mut bytes = [0; LEAD];
    bytes.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
    u128::from_be_bytes(bytes)
}

/// A pair but for its features.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// Place among all pairs that were offered.
    pub(super) position: usize,
    pub(super) prompt: u32,
    pub(super) retailer: Option<u32>,
    pub(super) outcome: Outcome,
    pub(super) weight: f64,
    /// Characters of a's text less those of b's.
    pub(super) longer: f64,
    /// Ends of its parts of the two lists below.
    pub(super) numbers_end: usize,
    pub(super) words_end: usize,
}

/// Pairs to train on, collected one by one.
#[derive(Debug, Clone, Default)]
pub struct Pairs {
    pub(super) kept: Vec<Kept>,
    pub(super) compared: Vec<Compared>,
    pub(super) words: Vec<(u32, f32)>,
    pub(super) numbers: Vec<NumberSeen>,
    number_places: HashMap<String, u32>,
    /// Where the next number is looked for first.
    next_number: u32,
    /// By number of the bucket, as far as any was seen.
    buckets: Vec<Option<BucketSeen>>,
    prompts: HashMap<String, u32>,
    pub(super) retailers: BTreeMap<String, u32>,
    /// Pairs that were offered, those of weight 0 included.
    offered: usize,
}

/// Rows whose features are held in full at a time.
const DESCRIBED_AT_ONCE: usize = 1_024;

impl Pairs {
    /// Collects all of `examples`.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn of<'a>(examples: impl IntoIterator<Item = &'a Example>) -> Result<Self, TrainError> {
        let mut pairs = Self::default();
        examples.into_iter().try_for_each(|example| pairs.push(example))?;
        Ok(pairs)
    }

    /// Adds the pair of every row in their order, described on the cores that there are; few are held in full at a time.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_all<T: Sync>(&mut self, rows: &[T], describe: impl Fn(&T) -> Example + Sync) -> Result<(), TrainError> {
        let mut described: Vec<Vec<Example>> = Vec::new();
        for some in rows.chunks(DESCRIBED_AT_ONCE) {
            let parts = some.chunks(DESCRIBED_AT_ONCE / 16).collect();
            // The next are described while those before are taken in.
            let (taken, next) = std::thread::scope(|scope| {
                let taking = scope.spawn(|| described.iter().flatten().try_for_each(|example| self.push(example)));
                let next = parallel::map(parts, |part: &[T]| part.iter().map(&describe).collect::<Vec<Example>>());
                (taking.join(), next)
            });
            taken.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            described = next;
        }
        described.iter().flatten().try_for_each(|example| self.push(example))
    }

    /// Adds a pair; one of weight 0 is checked and left out.
    ///
    /// # Errors
    /// [`TrainError::InvalidExample`] when outcome, weight or a feature is impossible; the pairs before it are kept.
    pub fn push(&mut self, example: &Example) -> Result<(), TrainError> {
        let position = self.offered;
        self.offered += 1;
        if let Some(problem) = problem_of(example) {
            return Err(TrainError::InvalidExample { position, prompt_key: example.prompt_key.clone(), problem });
        }
        if example.weight <= 0.0 {
            return Ok(());
        }
        self.add_numbers(example);
        self.add_words(&example.a, &example.b);
        let next = u32::try_from(self.prompts.len()).unwrap_or(u32::MAX);
        let prompt = match self.prompts.get(&example.prompt_key) {
            Some(prompt) => *prompt,
            None => *self.prompts.entry(example.prompt_key.clone()).or_insert(next),
        };
        let next = u32::try_from(self.retailers.len()).unwrap_or(u32::MAX);
        let retailer = example.retailer.as_ref().map(|name| match self.retailers.get(name) {
            Some(retailer) => *retailer,
            None => *self.retailers.entry(name.clone()).or_insert(next),
        });
        self.kept.push(Kept {
            position,
            prompt,
            retailer,
            outcome: example.outcome,
            weight: example.weight,
            longer: example.longer(),
            numbers_end: self.compared.len(),
            words_end: self.words.len(),
        });
        Ok(())
    }

    /// Pairs of positive weight.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there is no pair of positive weight.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Different prompts.
    #[must_use]
    pub fn n_prompts(&self) -> usize {
        self.prompts.len()
    }

    /// The prompts in order of their keys, so that what is dealt out by their order does not depend on the order of pairs.
    pub(super) fn sorted_prompts(&self) -> Vec<u32> {
        let mut prompts: Vec<(&String, u32)> = self.prompts.iter().map(|(key, prompt)| (key, *prompt)).collect();
        prompts.sort_unstable();
        prompts.into_iter().map(|(_, prompt)| prompt).collect()
    }

    fn place(&mut self, name: &str) -> u32 {
        // Pairs mostly have the same numbers, in the same order.
        self.next_number += 1;
        if self.numbers.get(self.next_number as usize - 1).is_some_and(|number| number.name == name) {
            return self.next_number - 1;
        }
        if let Some(place) = self.number_places.get(name) {
            self.next_number = *place + 1;
            return *place;
        }
        let place = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.number_places.insert(name.to_owned(), place);
        self.numbers.push(NumberSeen { name: name.to_owned(), sum: 0.0, count: 0.0, size: 0.0 });
        self.next_number = place.saturating_add(1);
        place
    }

    fn add_numbers(&mut self, example: &Example) {
        self.next_number = 0;
        let mut see = |name: &str, a: Option<f64>, b: Option<f64>| {
            let number = self.place(name);
            let (a, b) = (a.map(damped), b.map(damped));
            if let Some(seen) = self.numbers.get_mut(number as usize) {
                // Both at once, so that exchanging a and b changes nothing.
                seen.sum += a.unwrap_or(0.0) + b.unwrap_or(0.0);
                seen.count += [a, b].iter().flatten().count() as f64;
                seen.size = [a, b].iter().flatten().fold(seen.size, |size, value| size.max(value.abs()));
            }
            if a != b {
                self.compared.push(Compared { number, a: a.unwrap_or(f64::NAN), b: b.unwrap_or(f64::NAN) });
            }
        };
        let mut others = example.b.numbers.iter().peekable();
        for (name, a) in &example.a.numbers {
            while let Some((other, b)) = others.next_if(|(other, _)| *other < name) {
                see(other, None, Some(*b));
            }
            see(name, Some(*a), others.next_if(|(other, _)| *other == name).map(|(_, b)| *b));
        }
        others.for_each(|(other, b)| see(other, None, Some(*b)));
    }

    fn add_words(&mut self, a: &Features, b: &Features) {
        let first = self.words.len();
        self.words.extend(differences(&a.words, &b.words));
        let differing = self.words.get(first..).unwrap_or_default();
        let (mut left, mut right) = (a.words.iter().peekable(), b.words.iter().peekable());
        for (bucket, _) in differing {
            while left.next_if(|word| word.bucket < *bucket).is_some() {}
            while right.next_if(|word| word.bucket < *bucket).is_some() {}
            let texts = [
                left.next_if(|word| word.bucket == *bucket).map(|word| a.text_of(word)),
                right.next_if(|word| word.bucket == *bucket).map(|word| b.text_of(word)),
            ];
            // The least of all texts, so that it does not depend on the order of candidates.
            let Some(text) = texts.into_iter().flatten().min() else { continue };
            if self.buckets.len() <= *bucket as usize {
                self.buckets.resize(*bucket as usize + 1, None);
            }
            match self.buckets.get_mut(*bucket as usize) {
                Some(Some(seen)) => seen.see(text),
                Some(empty) => *empty = Some(BucketSeen { text: text.to_owned(), lead: lead(text), pairs: 1 }),
                None => {}
            }
        }
    }

    /// The buckets that were seen, in order.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (u32, &BucketSeen)> {
        (0..).zip(&self.buckets).filter_map(|(bucket, seen)| Some((bucket, seen.as_ref()?)))
    }
}

/// What the model sees of a number: the inverse hyperbolic sine, which is the number itself near 0 and its logarithm far from it. A
/// difference of two large amounts so becomes their ratio, and one large budget does not outweigh all small ones.
pub(super) fn damped(value: f64) -> f64 {
    value.asinh()
}

/// Word differences a - b, without zeros, in bucket order.
pub(super) fn differences<'a>(a: &'a [Word], b: &'a [Word]) -> impl Iterator<Item = (u32, f32)> + 'a {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    std::iter::from_fn(move || {
        loop {
            let next = match (a.peek(), b.peek()) {
                (None, None) => return None,
                (Some(x), Some(y)) if x.bucket == y.bucket => (x.bucket, x.value - y.value),
                (Some(x), other) if other.is_none_or(|y| x.bucket < y.bucket) => (x.bucket, x.value),
                (_, Some(y)) => (y.bucket, -y.value),
                (Some(x), None) => (x.bucket, x.value),
            };
            a.next_if(|word| word.bucket == next.0);
            b.next_if(|word| word.bucket == next.0);
            if next.1 != 0.0 {
                return Some(next);
            }
        }
    })
}

fn problem_of(example: &Example) -> Option<&'static str> {
    if !example.outcome.is_valid() {
        return Some("the outcome's three probabilities must lie between 0 and 1 and sum to 1");
    }
    if !(example.weight.is_finite() && example.weight >= 0.0) {
        return Some("the weight must be a finite number of 0 or more");
    }
    let both = [&example.a, &example.b];
    let is_finite = |features: &&Features| {
        features.numbers.values().all(|value| value.is_finite()) && features.words.iter().all(|word| word.value.is_finite())
    };
    if !both.iter().all(is_finite) {
        return Some("every feature must be a finite number");
    }
    let is_sorted = |features: &&Features| features.words.is_sorted_by(|x, y| x.bucket < y.bucket);
    let is_known = |features: &&Features| features.words.last().is_none_or(|word| Group::of(word.bucket).is_some());
    (!both.iter().all(|features| is_sorted(features) && is_known(features)))
        .then_some("buckets of words must be sorted, none may come twice, and all must belong to a group")
}
