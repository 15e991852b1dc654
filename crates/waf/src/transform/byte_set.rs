//! A set of byte values.

/// A set of byte values, 256 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ByteSet([u64; 4]);

impl ByteSet {
    /// No byte.
    pub(crate) const EMPTY: Self = Self([0; 4]);

    /// These bytes.
    #[expect(clippy::indexing_slicing, reason = "const code has no iterators; the index is checked by the loop")]
    pub(crate) const fn of(bytes: &[u8]) -> Self {
        let mut set = Self::EMPTY;
        let mut index = 0;
        while index < bytes.len() {
            set = set.with_range(bytes[index], bytes[index]);
            index += 1;
        }
        set
    }

    /// This set and every byte from `first` to `last`.
    #[expect(clippy::indexing_slicing, reason = "a byte shifted right by 6 is below 4")]
    pub(crate) const fn with_range(mut self, first: u8, last: u8) -> Self {
        let mut byte = first as usize;
        while byte <= last as usize {
            self.0[byte >> 6] |= 1 << (byte & 63);
            byte += 1;
        }
        self
    }

    /// This set and the bytes of `other`.
    pub(crate) const fn with(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a | e, b | f, c | g, d | h])
    }

    /// Every byte but those of this set.
    pub(crate) const fn complement(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([!a, !b, !c, !d])
    }

    /// Whether `byte` is in it.
    #[expect(clippy::indexing_slicing, reason = "a byte shifted right by 6 is below 4")]
    pub(crate) const fn contains(&self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] >> (byte & 63) & 1 == 1
    }

    /// Where the first byte of it is in `input`.
    pub(crate) fn find_in(&self, input: &[u8]) -> Option<usize> {
        input.iter().position(|&byte| self.contains(byte))
    }

    /// Its bytes, ascending.
    #[cfg(test)]
    pub(crate) fn iter(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |&byte| self.contains(byte))
    }
}

impl FromIterator<u8> for ByteSet {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Self {
        bytes.into_iter().fold(Self::EMPTY, |set, byte| set.with_range(byte, byte))
    }
}
