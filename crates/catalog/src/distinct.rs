//! How many different things there were: exact for few, an estimate for many, in bounded memory.
//!
//! Up to [`FEW_MAX`] hashes are kept as they are; beyond that a HyperLogLog with 1,024 registers takes over (standard
//! error 3.25 %). Source: Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog", AofA 2007; small ranges by linear counting.
//! The hashes are SipHash-1-3 under a key from the host, so nobody outside can aim at a register.

use std::hash::Hasher;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

/// LIMIT: hashes kept exactly; 512 bytes, half of what the registers take.
pub(crate) const FEW_MAX: usize = 64;

/// Registers: 2^10.
const INDEX_BITS: u32 = 10;

/// Hashes a text under the host's key.
pub(crate) fn hash(key: [u64; 2], text: &str) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(key[0], key[1]);
    hasher.write(text.as_bytes());
    hasher.finish()
}

/// A set whose size alone is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Distinct {
    /// Hashes, ascending
    Few(Vec<u64>),
    /// One register a slot: the longest run of leading zeros plus one
    Many(Vec<u8>),
}

impl Default for Distinct {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Distinct {
    /// Adds a hash; whether it may have been new.
    pub(crate) fn insert(&mut self, hash: u64) -> bool {
        match self {
            Self::Few(hashes) => {
                let Err(at) = hashes.binary_search(&hash) else { return false };
                if hashes.len() < FEW_MAX {
                    hashes.insert(at, hash);
                } else {
                    let mut registers = vec![0; 1 << INDEX_BITS];
                    hashes.iter().for_each(|hash| {
                        raise(&mut registers, *hash);
                    });
                    raise(&mut registers, hash);
                    *self = Self::Many(registers);
                }
                true
            }
            Self::Many(registers) => raise(registers, hash),
        }
    }

    /// Adds all of `other`.
    pub(crate) fn absorb(&mut self, other: &Self) {
        match other {
            Self::Few(hashes) => hashes.iter().for_each(|hash| {
                self.insert(*hash);
            }),
            Self::Many(theirs) => {
                let mut registers = theirs.clone();
                match self {
                    Self::Few(hashes) => hashes.iter().for_each(|hash| {
                        raise(&mut registers, *hash);
                    }),
                    Self::Many(ours) => {
                        for (theirs, ours) in registers.iter_mut().zip(ours) {
                            *theirs = (*theirs).max(*ours);
                        }
                    }
                }
                *self = Self::Many(registers);
            }
        }
    }

    /// The number of different hashes.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, rounded, not negative")]
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Few(hashes) => hashes.len() as u64,
            Self::Many(registers) => estimate(registers).round() as u64,
        }
    }

    /// Whether the parts are as [`insert`](Self::insert) leaves them; a saved sketch may not be.
    pub(crate) fn is_sound(&self) -> bool {
        match self {
            Self::Few(hashes) => hashes.len() <= FEW_MAX && hashes.is_sorted_by(|a, b| a < b),
            Self::Many(registers) => registers.len() == 1 << INDEX_BITS && registers.iter().all(|rank| *rank <= 64),
        }
    }
}

fn raise(registers: &mut [u8], hash: u64) -> bool {
    let index = usize::try_from(hash >> (64 - INDEX_BITS)).unwrap_or(0);
    let rank = u8::try_from((hash << INDEX_BITS | 1).leading_zeros() + 1).unwrap_or(u8::MAX);
    match registers.get_mut(index) {
        Some(register) if *register < rank => {
            *register = rank;
            true
        }
        _ => false,
    }
}

#[expect(clippy::cast_precision_loss, reason = "1,024 registers")]
fn estimate(registers: &[u8]) -> f64 {
    let m = registers.len() as f64;
    let sum: f64 = registers.iter().map(|rank| 0.5_f64.powi(i32::from(*rank))).sum();
    let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
    let zeros = registers.iter().filter(|rank| **rank == 0).count() as f64;
    if raw <= 2.5 * m && zeros > 0.0 { m * (m / zeros).ln() } else { raw }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(range: std::ops::Range<u32>) -> Distinct {
        let mut sketch = Distinct::default();
        range.for_each(|number| {
            sketch.insert(hash([1, 2], &number.to_string()));
        });
        sketch
    }

    #[test]
    fn few_are_counted_exactly() {
        assert_eq!(sketch(0..64).count(), 64);
        let mut twice = sketch(0..40);
        twice.absorb(&sketch(20..60));
        assert_eq!(twice.count(), 60);
    }

    #[test]
    fn many_are_counted_within_a_tenth() {
        for size in [65_u32, 1_000, 20_000, 300_000] {
            let count = sketch(0..size).count();
            assert!(count.abs_diff(u64::from(size)) * 10 <= u64::from(size), "{size}: {count}");
        }
    }

    #[test]
    fn a_union_equals_the_sketch_of_both() {
        for (a, b) in [(0..10, 5..2_000), (0..2_000, 5..10), (0..1_000, 500..3_000)] {
            let mut union = sketch(a.clone());
            union.absorb(&sketch(b.clone()));
            assert_eq!(union, sketch(a.start..a.end.max(b.end)));
        }
    }

    #[test]
    fn a_sketch_survives_json() {
        for size in [3, 300] {
            let json = serde_json::to_string(&sketch(0..size)).unwrap();
            assert_eq!(serde_json::from_str::<Distinct>(&json).unwrap(), sketch(0..size));
        }
        assert!(!Distinct::Many(vec![0; 7]).is_sound());
        assert!(!Distinct::Few(vec![2, 1]).is_sound());
    }
}
