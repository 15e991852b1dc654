//! A request line while its bytes arrive: whether it has bytes that Pingora would silently make others of.
//!
//! Pingora percent-encodes what may not stand in a request line and parses again, so `GET  /a` would become a request
//! for `%20/a`. RFC 9112 §3 says 400 instead. The door shows every byte; what it reads may begin in the middle of a
//! pipelined head, hence a line only counts when it looks like a request line: a method first, a version last.

/// LIMIT: bytes of the last word that are kept; `HTTP/` is looked for in them.
const WORD_BYTES: usize = 5;

/// The lines of a head, and what is known of the first.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Lines that are complete
    count: usize,
    has_begun: bool,
    is_over: bool,
    is_method: bool,
    spaces: usize,
    has_control: bool,
    ends_in_cr: bool,
    word: [u8; WORD_BYTES],
    word_bytes: usize,
}

impl Lines {
    /// Takes the next bytes. Returns `false` when the request line is complete, and is none that may be passed on.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> bool {
        self.count += memchr::memchr_iter(b'\n', bytes).count();
        let mut is_good = true;
        for &byte in bytes {
            if self.is_over {
                break;
            }
            if self.has_begun && byte == b'\n' {
                self.is_over = true;
                is_good = self.is_good();
            } else if self.has_begun || !matches!(byte, b'\r' | b'\n') {
                self.read_first(byte);
            }
        }
        is_good
    }

    /// Lines that were complete so far, empty ones and those of a body in the same packet among them.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    fn read_first(&mut self, byte: u8) {
        if !self.has_begun {
            (self.has_begun, self.is_method) = (true, byte != b' ');
        }
        self.has_control |= self.ends_in_cr;
        self.ends_in_cr = byte == b'\r';
        if byte == b' ' {
            self.spaces += 1;
            self.word_bytes = 0;
            return;
        }
        if self.ends_in_cr {
            return;
        }
        self.has_control |= byte.is_ascii_control();
        self.is_method &= self.spaces > 0 || byte.is_ascii_alphanumeric() || byte == b'_';
        if let Some(kept) = self.word.get_mut(self.word_bytes) {
            *kept = byte;
            self.word_bytes += 1;
        }
    }

    fn is_good(&self) -> bool {
        let looks_like_one = self.is_method && self.word_bytes == WORD_BYTES && &self.word == b"HTTP/";
        !looks_like_one || (self.spaces == 2 && !self.has_control)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same however the bytes are cut.
    fn check(head: &[u8], is_good: bool) {
        for cut in 0..=head.len() {
            let mut lines = Lines::default();
            let (first, second) = head.split_at(cut);
            assert_eq!(lines.read(first) && lines.read(second), is_good, "{} at {cut}", head.escape_ascii());
        }
    }

    #[test]
    fn a_request_line_that_would_be_rewritten_is_found_wherever_it_is_cut() {
        for line in
            ["GET  /a", "GET /a b", "GET /a\tb", "GET /a\x01", "GET /a\x7f", "GET /a\r", "\r\nGET  /a", "GET /a "]
        {
            check(format!("{line} HTTP/1.1\r\nA: b\r\n\r\n").as_bytes(), false);
        }
    }

    #[test]
    fn request_lines_and_the_rest_of_a_pipelined_head_pass() {
        for head in [
            "GET /a HTTP/1.1\r\nA:  b  c\td\r\n\r\n",
            "\r\nGET /a HTTP/1.1\n\n",
            "Firefox and  others\r\n\r\n",
            "User-Agent: one two  three HTTP/1.1\r\n\r\n",
            "GET\r\n\r\n",
        ] {
            check(head.as_bytes(), true);
        }
    }
}
