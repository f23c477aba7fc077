//! Names of tasks, raters and labels as numbers in the order of their first appearance. A file may hold
//! millions of names, most of them repeated, so they lie in one text and are found by a table of numbers.

use anyhow::{Context, Result};

const FREE: u32 = u32::MAX;

/// Numbered names.
#[derive(Default)]
pub struct Names {
    text: String,
    /// Where each name ends in `text`.
    ends: Vec<usize>,
    /// Numbers by hash, open addressing; the length is a power of two, at most half of it is used.
    table: Vec<u32>,
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
        let place = self.place(name)?;
        self.table.get(place).copied().filter(|number| *number != FREE)
    }

    /// The number of the name, given to it now if it is new.
    pub fn number(&mut self, name: &str) -> Result<u32> {
        if self.table.len() < 2 * (self.ends.len() + 1) {
            self.grow();
        }
        let place = self.place(name).context("the table of names is full")?;
        let Some(entry) = self.table.get_mut(place) else { unreachable!("the place lies in the table") };
        if *entry == FREE {
            let number = u32::try_from(self.ends.len()).ok().filter(|number| *number != FREE);
            *entry = number.context("more than four billion different names")?;
            self.text.push_str(name);
            self.ends.push(self.text.len());
        }
        Ok(*entry)
    }

    /// Where the name is or would be in the table; `None` without a table.
    fn place(&self, name: &str) -> Option<usize> {
        let mask = self.table.len().checked_sub(1)?;
        let mut place = hash(name.as_bytes()) as usize & mask;
        loop {
            match self.table.get(place)? {
                &FREE => return Some(place),
                &number if self.name(number as usize) == name => return Some(place),
                _ => place = (place + 1) & mask,
            }
        }
    }

    fn grow(&mut self) {
        let len = (4 * (self.ends.len() + 1)).next_power_of_two().max(16);
        self.table = vec![FREE; len];
        for number in 0..self.ends.len() {
            let place = self.place(self.name(number));
            if let Some((entry, number)) = place.and_then(|place| self.table.get_mut(place)).zip(u32::try_from(number).ok()) {
                *entry = number;
            }
        }
    }
}

/// Multiply and fold, eight bytes at a time: names are short and the file is the caller's own.
fn hash(name: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let (words, rest) = name.as_chunks::<8>();
    let fold = |hash: u64, word: u64| {
        let product = u128::from(hash ^ word) * u128::from(FACTOR);
        (product >> 64) as u64 ^ product as u64
    };
    let hash = words.iter().fold(FACTOR ^ name.len() as u64, |hash, word| fold(hash, u64::from_le_bytes(*word)));
    fold(hash, rest.iter().fold(1, |word, byte| word << 8 | u64::from(*byte)))
}
