//! Names of tasks, raters and labels as numbers in the order of their first appearance. A file may hold
//! millions of names, most of them repeated, so they lie in one text and are found by a table of numbers.

use anyhow::{Context, Result};

const FREE: u32 = u32::MAX;
/// Names shorter than this are compared as one number.
const WORD: usize = 8;

/// Numbered names.
#[derive(Default)]
pub struct Names {
    text: String,
    /// Where each name ends in `text`.
    ends: Vec<usize>,
    /// Key and number by hash, open addressing; the length is a power of two, at most half of it is used.
    table: Vec<(u64, u32)>,
    /// The short name asked for last: files are often sorted by task.
    last: Option<(u64, u32)>,
}

impl Names {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The name with this number; empty when there is none.
    pub fn name(&self, number: usize) -> &str {
        let start = number.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied());
        let end = self.ends.get(number).copied();
        start.zip(end).and_then(|(start, end)| self.text.get(start..end)).unwrap_or_default()
    }

    /// The number of a name that has one.
    pub fn find(&self, name: &str) -> Option<u32> {
        let (_, number) = *self.table.get(self.place(name, key(name)))?;
        Some(number).filter(|number| *number != FREE)
    }

    /// The number of the name, given to it now if it is new.
    pub fn number(&mut self, name: &str) -> Result<u32> {
        self.number_by(name, key(name))
    }

    /// The same for `text[from..to]`; quicker, because short names are taken out of the text as one word.
    pub fn number_within(&mut self, text: &str, from: usize, to: usize) -> Result<u32> {
        let name = text.get(from..to).unwrap_or_default();
        let word = text.as_bytes().get(from..).and_then(|rest| rest.first_chunk::<WORD>()).filter(|_| name.len() < WORD);
        let short = |word: &[u8; WORD]| u64::from_le_bytes(*word) & ((1 << (8 * name.len())) - 1) | (name.len() as u64) << 56;
        self.number_by(name, word.map_or_else(|| key(name), short))
    }

    fn number_by(&mut self, name: &str, key: u64) -> Result<u32> {
        if let Some((_, number)) = self.last.filter(|(last, _)| *last == key && name.len() < WORD) {
            return Ok(number);
        }
        let number = self.look_up(name, key)?;
        self.last = (name.len() < WORD).then_some((key, number));
        Ok(number)
    }

    fn look_up(&mut self, name: &str, key: u64) -> Result<u32> {
        let place = self.place(name, key);
        if let Some(&(_, number)) = self.table.get(place).filter(|(_, number)| *number != FREE) {
            return Ok(number);
        }
        let number = u32::try_from(self.ends.len()).ok().filter(|number| *number != FREE);
        let number = number.context("more than four billion different names")?;
        self.text.push_str(name);
        self.ends.push(self.text.len());
        if self.table.len() < 2 * self.ends.len() {
            self.grow();
        } else if let Some(entry) = self.table.get_mut(place) {
            *entry = (key, number);
        }
        Ok(number)
    }

    /// Where the name is or would be in the table; beyond its end without a table.
    fn place(&self, name: &str, key: u64) -> usize {
        let mask = self.table.len().wrapping_sub(1);
        let mut place = spread(key) as usize & mask;
        loop {
            match self.table.get(place) {
                Some(&(known, number)) if number != FREE => {
                    if known == key && (name.len() < WORD || self.name(number as usize) == name) {
                        return place;
                    }
                    place = (place + 1) & mask;
                }
                _ => return place,
            }
        }
    }

    fn grow(&mut self) {
        self.table = vec![(0, FREE); (2 * self.ends.len()).next_power_of_two().max(16)];
        for (index, number) in (0..self.ends.len()).zip(0u32..) {
            let key = key(self.name(index));
            let place = self.place(self.name(index), key);
            if let Some(entry) = self.table.get_mut(place) {
                *entry = (key, number);
            }
        }
    }
}

/// Short names themselves with their length in the top byte; a hash of others with all bits set there.
fn key(name: &str) -> u64 {
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    if name.len() < WORD {
        return word(name.as_bytes()) | (name.len() as u64) << 56;
    }
    let (words, rest) = name.as_bytes().as_chunks::<WORD>();
    words.iter().fold(spread(word(rest) ^ name.len() as u64), |hash, word| spread(hash ^ u64::from_le_bytes(*word))) | 0xFF << 56
}

/// Multiply and fold: the file is the caller's own, so nobody picks names that collide.
fn spread(word: u64) -> u64 {
    let product = u128::from(word ^ 0xD1B5_4A32_D192_ED03) * u128::from(0x9E37_79B9_7F4A_7C15_u64);
    (product >> 64) as u64 ^ product as u64
}
