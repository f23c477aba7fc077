//! Inputs broken by a seeded chance: the same for the same seed, so that whatever is found can be found again. `ENDCAP_FUZZ_INPUTS` sets how many
//! there are, `ENDCAP_FUZZ_SEED` which; a run prints both and ends after [`WITHIN`] on a machine that is too slow for all of them.

use std::time::{Duration, Instant};

/// Longest time of one run.
pub const WITHIN: Duration = Duration::from_secs(40);

/// Pieces that parsers of text trip over.
const PIECES: [&str; 28] = [
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    ";",
    "\n",
    "\r\n",
    "\0",
    "null",
    "true",
    "NaN",
    "1e999",
    "-0",
    "-1",
    "9223372036854775808",
    "0.1234567890123456789",
    "\u{feff}",
    "\u{202e}",
    "2026-02-30",
    "%Y-%m-%d",
    "'--",
    "=cmd()",
];

/// Xorshift.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// A number below `most`.
    pub fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most.max(1) as u64).unwrap()
    }

    /// One of them.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// One input, changed in up to four places; some stay whole, so that the broken ones meet what is there.
    pub fn broken(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.one_of(corpus).clone();
        for _ in 0..self.below(5) {
            let place = self.below(input.len() + 1);
            let end = (place + self.below(40)).min(input.len());
            match self.below(9) {
                0 => input.truncate(place),
                1 => input.insert(place, self.below(256).to_le_bytes()[0]),
                2 => drop(input.splice(place..place, self.one_of(&PIECES).bytes()).collect::<Vec<_>>()),
                3 => drop(input.splice(place..end, self.one_of(&PIECES).bytes()).collect::<Vec<_>>()),
                4 if place < input.len() => input[place] ^= 1 << self.below(8),
                5 => drop(input.drain(place..end)),
                6 => {
                    let other = self.one_of(corpus);
                    let from = self.below(other.len());
                    input.truncate(place);
                    input.extend_from_slice(&other[from..]);
                }
                7 => {
                    let again = input[place.saturating_sub(60)..place].to_vec();
                    drop(input.splice(place..place, again).collect::<Vec<_>>());
                }
                8 => input.splice(place..place, "[".repeat(self.below(300)).bytes()).for_each(drop),
                _ => {}
            }
        }
        input
    }
}

/// Gives `look` one broken input after the other; how many it was given.
pub fn run(name: &str, inputs: u64, corpus: &[Vec<u8>], mut look: impl FnMut(&mut Chance, &[u8])) -> u64 {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (inputs, seed) = (number("ENDCAP_FUZZ_INPUTS", inputs), number("ENDCAP_FUZZ_SEED", 0x5eed));
    let (mut chance, begun) = (Chance(seed | 1), Instant::now());
    println!("{name}: ENDCAP_FUZZ_SEED={seed} ENDCAP_FUZZ_INPUTS={inputs}");
    for given in 0..inputs {
        if begun.elapsed() > WITHIN {
            println!("{name}: ended after {given} inputs, because {} s were over", WITHIN.as_secs());
            return given;
        }
        let input = chance.broken(corpus);
        look(&mut chance, &input);
    }
    inputs
}

/// Bytes of this process in memory.
#[must_use]
pub fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}
