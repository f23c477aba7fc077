//! Is a text the same as another one? Compared by shingles, so that a changed word or a full stop does not make it new, and bounded, so
//! that long texts cost no more than short ones.

/// Words in a shingle.
const SHINGLE: usize = 3;
/// Most words of a text that are looked at.
const MOST_WORDS: usize = 64;
/// Texts with fewer words are no evidence: "a is better" is said by everybody.
const LEAST_WORDS: usize = 5;
/// Most texts of one rater that are compared; the newest count.
const MOST_TEXTS: usize = 200;

/// A text as the set of its shingles (three neighbouring words, lower-cased, without punctuation), hashed: Broder's resemblance (1997).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// Sorted, each once.
    shingles: Vec<u64>,
}

impl Fingerprint {
    /// The fingerprint of a text; `None` when it has fewer than five words.
    pub fn of(text: &str) -> Option<Self> {
        let plain = |word: &str| word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
        let words: Vec<String> = text.split_whitespace().map(plain).filter(|word| !word.is_empty()).take(MOST_WORDS).collect();
        if words.len() < LEAST_WORDS {
            return None;
        }
        let mut shingles: Vec<u64> = words.windows(SHINGLE).map(|shingle| fnv(&shingle.join(" "))).collect();
        shingles.sort_unstable();
        shingles.dedup();
        Some(Self { shingles })
    }

    /// Jaccard similarity: shared shingles divided by all, 0 to 1.
    pub fn similarity(&self, other: &Self) -> f64 {
        let (mut i, mut j, mut shared) = (0, 0, 0.0);
        while let (Some(a), Some(b)) = (self.shingles.get(i), other.shingles.get(j)) {
            match a.cmp(b) {
                std::cmp::Ordering::Less => i += 1,
                std::cmp::Ordering::Greater => j += 1,
                std::cmp::Ordering::Equal => (i, j, shared) = (i + 1, j + 1, shared + 1.0),
            }
        }
        shared / (self.shingles.len() as f64 + other.shingles.len() as f64 - shared)
    }

    /// Whether the two are at least this similar.
    fn is_same(&self, other: &Self, least: f64) -> bool {
        let (a, b) = (self.shingles.len() as f64, other.shingles.len() as f64);
        // The similarity is at most the ratio of the sizes.
        a.min(b) >= least * a.max(b) && self.similarity(other) >= least
    }
}

/// `(copies, all)`: how many of a rater's texts (oldest first, the newest 200) are the same as an earlier one or as one of `others`.
pub(super) fn copied(texts: &[&Fingerprint], others: &[Fingerprint], least: f64) -> (u64, u64) {
    let newest = texts.get(texts.len().saturating_sub(MOST_TEXTS)..).unwrap_or_default();
    let is_copy = |at: usize, text: &Fingerprint| {
        let earlier = newest.iter().take(at).copied();
        earlier.chain(others).any(|other| text.is_same(other, least))
    };
    let copies = newest.iter().enumerate().filter(|(at, text)| is_copy(*at, text)).count();
    (copies as u64, newest.len() as u64)
}

/// FNV-1a, 64 bits: the same on every machine and in every version, unlike the hash of the standard library.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        // Test vectors of the FNV authors.
        assert_eq!(fnv(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn punctuation_and_case_make_no_new_text() {
        let text = |words| Fingerprint::of(words).unwrap();
        let first = text("The budget adds up and the pacing is even.");
        assert_eq!(first, text("the budget adds up, and the PACING is even"));
        // Shingles of "a b c d e f" and "a b c d e g": 3 shared of 5.
        assert!((text("a b c d e f").similarity(&text("a b c d e g")) - 0.6).abs() < 1e-12);
        assert_eq!(Fingerprint::of("a is better"), None);
        assert_eq!(Fingerprint::of("... !!! ???"), None);
    }

    #[test]
    fn copies_of_oneself_and_of_others_count() {
        let text = |words| Fingerprint::of(words).unwrap();
        let own = [text("one two three four five"), text("six seven eight nine ten"), text("One two three four five!")];
        let own: Vec<&Fingerprint> = own.iter().collect();
        assert_eq!(copied(&own, &[], 0.8), (1, 3));
        assert_eq!(copied(&own, &[text("six seven eight nine ten")], 0.8), (2, 3));
        assert_eq!(copied(&[], &[], 0.8), (0, 0));
    }
}
