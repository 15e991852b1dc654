//! Lines of a stream, each bounded: one buffer, reused, never longer than the limit.
//!
//! A longer line is skipped up to its end without being held. `\r\n` ends a line as `\n` does; a byte order mark at the
//! beginning of the input is not part of the first line.

use std::io::{self, BufRead};

/// One step through the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A whole line without its end
    Whole(&'a [u8]),
    /// A line over the limit: its beginning
    TooLong(&'a [u8]),
}

/// The lines of `input`.
pub(crate) struct Lines {
    input: Box<dyn BufRead + Send>,
    limit: usize,
    buffer: Vec<u8>,
    number: u64,
}

impl Lines {
    pub(crate) fn new(input: Box<dyn BufRead + Send>, limit: usize) -> Self {
        Self { input, limit, buffer: Vec::new(), number: 0 }
    }

    /// The number of the line that [`Lines::next_line`] gave last, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The next line; `None` at the end of the input.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        self.buffer.clear();
        let mut seen = 0_usize;
        loop {
            let block = match self.input.fill_buf() {
                Ok(block) => block,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.number += 1;
                    return Err(error);
                }
            };
            let end = memchr::memchr(b'\n', block);
            let (part, used) = match end {
                Some(at) => (block.get(..at).unwrap_or_default(), at + 1),
                None => (block, block.len()),
            };
            let is_last = used == 0 || end.is_some();
            seen = seen.saturating_add(part.len());
            let room = self.limit.saturating_sub(self.buffer.len());
            self.buffer.extend_from_slice(part.get(..room).unwrap_or(part));
            self.input.consume(used);
            if !is_last {
                continue;
            }
            if used == 0 && seen == 0 {
                return Ok(None);
            }
            self.number += 1;
            return Ok(Some(self.whole(seen)));
        }
    }

    fn whole(&self, seen: usize) -> Line<'_> {
        let mut line = self.buffer.as_slice();
        if seen > self.limit {
            return Line::TooLong(line);
        }
        if self.number == 1 {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        Line::Whole(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &'static [u8], block: usize, limit: usize, expected: &[Line<'_>]) {
        let mut lines = Lines::new(Box::new(io::BufReader::with_capacity(block, input)), limit);
        for line in expected {
            assert_eq!(lines.next_line().unwrap().as_ref(), Some(line));
        }
        assert_eq!(lines.next_line().unwrap(), None);
        assert_eq!(lines.number(), expected.len() as u64);
    }

    #[test]
    fn lines_are_the_same_however_the_input_is_cut() {
        use Line::{TooLong, Whole};
        for block in 1..12 {
            check(b"one\ntwo\r\n\nlast", block, 5, &[Whole(b"one"), Whole(b"two"), Whole(b""), Whole(b"last")]);
            check(b"123456\n12345\n", block, 5, &[TooLong(b"12345"), Whole(b"12345")]);
            check(b"\xEF\xBB\xBFa\n\xEF\xBB\xBFb", block, 9, &[Whole(b"a"), Whole(b"\xEF\xBB\xBFb")]);
        }
        check(b"", 4, 5, &[]);
    }
}
