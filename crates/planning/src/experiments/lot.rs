//! Drawing by lot so that anybody can draw the same again: SplitMix64 seeded by the first eight bytes of a SHA-256.

use sha2::{Digest, Sha256};

/// The first 64 bits, big-endian, of the SHA-256 of parts joined by line feeds.
#[must_use]
pub fn hash64(parts: &[&str]) -> u64 {
    let digest = Sha256::digest(parts.join("\n").as_bytes());
    digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// A sequence of numbers that its seed fixes.
#[derive(Debug, Clone)]
pub struct Lot(u64);

impl Lot {
    /// Seeded by parts, as [`hash64`].
    #[must_use]
    pub fn seeded(parts: &[&str]) -> Self {
        Self(hash64(parts))
    }

    /// The next 64 bits (SplitMix64: Steele, Lea and Flood 2014).
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A whole number below `bound` (0 when `bound` is 0), without the bias of a remainder beyond 2^-32 for small bounds.
    pub fn below(&mut self, bound: usize) -> usize {
        scaled(self.draw(), bound as u64) as usize
    }

    /// A number from 0 (included) to 1 (excluded).
    pub fn unit(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Puts values into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for at in (1..values.len()).rev() {
            let other = self.below(at + 1);
            values.swap(at, other);
        }
    }
}

/// `floor(number / 2^64 * bound)`.
#[must_use]
pub fn scaled(number: u64, bound: u64) -> u64 {
    ((u128::from(number) * u128::from(bound)) >> 64) as u64
}
