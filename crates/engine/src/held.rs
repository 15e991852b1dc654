//! A body, kept for the checks that look at it whole: as many of its first bytes as any of them wants.

/// The first bytes of a body.
#[derive(Debug, Default)]
pub(crate) struct HeldBody {
    bytes: Vec<u8>,
    /// Bytes that are kept; 0 when nobody looks at the body
    max: usize,
    /// There was more than is kept
    is_cut: bool,
}

impl HeldBody {
    /// Keeps at least `max` bytes from now on.
    pub(crate) fn want(&mut self, max: usize) {
        self.max = self.max.max(max);
    }

    /// Takes the next piece of the body.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        if self.max == 0 {
            return;
        }
        let room = self.max - self.bytes.len();
        let (kept, rest) = chunk.split_at_checked(room).unwrap_or((chunk, b""));
        self.bytes.extend_from_slice(kept);
        self.is_cut |= !rest.is_empty();
    }

    /// The first `max` bytes, and whether there are more.
    pub(crate) fn first(&self, max: usize) -> (&[u8], bool) {
        match self.bytes.split_at_checked(max) {
            Some((first, rest)) => (first, self.is_cut || !rest.is_empty()),
            None => (&self.bytes, self.is_cut),
        }
    }

    /// Gives the memory back.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::HeldBody;

    #[test]
    fn the_first_bytes_are_kept_however_they_come() {
        for chunk in 1..8 {
            let mut held = HeldBody::default();
            held.want(5);
            b"abcdefg".chunks(chunk).for_each(|piece| held.push(piece));
            assert_eq!(held.first(5), (&b"abcde"[..], true));
            assert_eq!(held.first(3), (&b"abc"[..], true));
        }
    }

    #[test]
    fn a_body_as_long_as_its_limit_is_whole() {
        let mut held = HeldBody::default();
        held.push(b"nobody looks");
        held.want(3);
        held.push(b"abc");
        held.push(b"");
        assert_eq!(held.first(3), (&b"abc"[..], false));
        assert_eq!(held.first(10), (&b"abc"[..], false));
    }
}
