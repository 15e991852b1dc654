//! Bytes sorted into at most 64 categories, so that what occurs in a value is one word.

use crate::transform::ByteSet;

/// The categories of all bytes.
#[derive(Debug)]
pub(crate) struct Categories {
    /// A single bit each
    of_byte: Box<[u64; 256]>,
}

impl Default for Categories {
    fn default() -> Self {
        Self { of_byte: Box::new([1; 256]) }
    }
}

impl Categories {
    /// The coarsest categories that tell these sets apart; if there were more than 64, some bytes share one.
    pub(crate) fn telling_apart(sets: &[ByteSet]) -> Self {
        let mut known: Vec<Vec<bool>> = Vec::new();
        let mut of_byte = Box::new([0; 256]);
        for (byte, bit) in (0..=u8::MAX).zip(of_byte.iter_mut()) {
            let signature: Vec<bool> = sets.iter().map(|set| set.contains(byte)).collect();
            let number = known.iter().position(|other| *other == signature).unwrap_or_else(|| {
                known.push(signature);
                known.len() - 1
            });
            *bit = 1 << number.min(63);
        }
        Self { of_byte }
    }

    /// The categories of a set's bytes: whoever has a byte of the set has one of them.
    pub(crate) fn of_set(&self, set: &ByteSet) -> u64 {
        let bytes = (0..=u8::MAX).zip(self.of_byte.iter());
        bytes.filter(|(byte, _)| set.contains(*byte)).fold(0, |all, (_, bit)| all | bit)
    }

    /// The categories that occur.
    #[inline]
    pub(crate) fn of(&self, bytes: &[u8]) -> u64 {
        // PERF: two sums hide the latency of the table.
        let (mut even, mut odd) = (0, 0);
        let (pairs, rest) = bytes.as_chunks::<2>();
        for [first, second] in pairs {
            even |= self.bit(*first);
            odd |= self.bit(*second);
        }
        rest.iter().fold(even | odd, |all, byte| all | self.bit(*byte))
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "a byte is below 256")]
    fn bit(&self, byte: u8) -> u64 {
        self.of_byte[usize::from(byte)]
    }
}
