//! A request head while its bytes arrive: where it ends, whether its request line has bytes that Pingora would silently
//! make others of, and whether each line ends in CR LF.
//!
//! Pingora percent-encodes what may not stand in a request line and parses again, so `GET  /a` would become a request
//! for `%20/a`. RFC 9112 §3 says 400 instead. What looks like no request line at all (a method first, a version last)
//! is left for Pingora to refuse. The head ends with the first empty line after the request line. `\n` alone ends a
//! line too, as it does for httparse, and is refused: a recipient may take it for a line's end (RFC 9112 §2.2) or for
//! white space within it, and the upstream may do the other.

/// LIMIT: bytes of the last word that are kept; `HTTP/` is looked for in them.
const WORD_BYTES: usize = 5;

/// The lines of a head, and what is known of the first.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Lines that are complete
    count: usize,
    /// What the line under way consists of
    line: Line,
    is_refused: bool,
    has_bare_line_feed: bool,
    is_behind_cr: bool,
    has_begun: bool,
    is_over: bool,
    is_method: bool,
    spaces: usize,
    has_control: bool,
    ends_in_cr: bool,
    word: [u8; WORD_BYTES],
    word_bytes: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Empty,
    /// `\r` alone
    Cr,
    Text,
}

impl Lines {
    /// Takes the next bytes. Returns how many of them belong to the head.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> usize {
        let mut begin = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            self.read_part(&bytes[begin..end]);
            self.has_bare_line_feed |= !self.is_behind_cr;
            self.is_behind_cr = false;
            begin = end + 1;
            if self.end_line() {
                return begin;
            }
        }
        self.read_part(&bytes[begin..]);
        bytes.len()
    }

    /// The request line is complete, and is none that may be passed on.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// A line ended in `\n` alone.
    pub(crate) fn has_bare_line_feed(&self) -> bool {
        self.has_bare_line_feed
    }

    /// Lines that were complete so far, empty ones among them.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// A part of a line, without its end.
    fn read_part(&mut self, part: &[u8]) {
        if let Some(last) = part.last() {
            self.is_behind_cr = *last == b'\r';
        }
        self.line = match (self.line, part) {
            (line, []) => line,
            (Line::Empty, [b'\r']) => Line::Cr,
            (Line::Empty | Line::Cr | Line::Text, _) => Line::Text,
        };
        if !self.is_over {
            for &byte in part {
                if self.has_begun || byte != b'\r' {
                    self.read_first(byte);
                }
            }
        }
    }

    /// The line is complete. Returns whether the head is.
    fn end_line(&mut self) -> bool {
        self.count += 1;
        let line = std::mem::take(&mut self.line);
        if self.is_over {
            return line != Line::Text;
        }
        // Empty lines before the first are skipped (RFC 9112 §2.2).
        if self.has_begun {
            self.is_over = true;
            self.is_refused = !self.is_good();
        }
        false
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
        let behind = b"GET  /next HTTP/1.1\r\n\r\n";
        let both = [head, behind].concat();
        for cut in 0..=both.len() {
            let mut lines = Lines::default();
            let (first, second) = both.split_at(cut);
            let mut read = lines.read(first);
            if read == first.len() && read < head.len() {
                read += lines.read(second);
            }
            assert_eq!((read, !lines.is_refused()), (head.len(), is_good), "{} at {cut}", head.escape_ascii());
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
    fn a_line_that_ends_in_a_bare_line_feed_is_found_wherever_it_is_cut() {
        for (head, expected) in [
            ("GET / HTTP/1.1\r\nA: b\r\n\r\n", false),
            ("\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n", false),
            ("GET / HTTP/1.1\nA: b\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nA: b\n\r\n", true),
            ("GET / HTTP/1.1\r\nA: b\r\n\n", true),
            ("\nGET / HTTP/1.1\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nA: b\r\r\n\r\n", false), // for the parser of fields
        ] {
            for cut in 0..=head.len() {
                let mut lines = Lines::default();
                let (first, second) = head.as_bytes().split_at(cut);
                lines.read(first);
                lines.read(second);
                assert_eq!(lines.has_bare_line_feed(), expected, "{head:?} at {cut}");
            }
        }
    }

    #[test]
    fn request_lines_pass_and_the_head_ends_with_its_empty_line() {
        for head in [
            "GET /a HTTP/1.1\r\nA:  b  c\td\r\n\r\n",
            "\r\nGET /a HTTP/1.1\n\n",
            "\n\r\nGET /a HTTP/1.1\nA: b\n\r\n",
            "GET /a HTTP/1.1\r\n\n",
            "GET\r\n\r\n",
        ] {
            check(head.as_bytes(), true);
        }
    }
}
