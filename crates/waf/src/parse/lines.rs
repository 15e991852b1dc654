//! Bytes of a file → lines as SecLang counts them: continued ones joined, comments and blank ones left out.
//!
//! A backslash at the end of a line, before blanks or a carriage return too, joins the next line to it; what stood at
//! the beginning of the next line stays, since it may belong to a pattern. A comment that ends so is a trap: Apache
//! and ModSecurity 3 (before `SecRule`) read the next line as comment, others as a directive. It is harmless where the
//! next line is comment or blank anyway, and a fault elsewhere.

use bartizan_model::Position;

/// LIMIT: bytes of a line with its continuations; the longest of the Core Rule Set has 13 KB.
const LINE_BYTES_MAX: usize = 1 << 20;

/// The lines of one file.
pub(super) struct Lines {
    bytes: Vec<u8>,
    offset: usize,
    next_line: u32,
}

/// What the next line is.
pub(super) enum Item {
    /// A directive
    Directive(Line),
    /// A comment that ends with a backslash before other text
    ContinuedComment(u32),
    /// Too long; left out
    TooLong(u32),
}

/// A line with its continuations.
pub(super) struct Line {
    /// Joined, without backslashes and line ends
    pub(super) text: Vec<u8>,
    /// Where each line of the file begins in `text`, and its number. Never empty
    starts: Vec<(usize, u32)>,
}

impl Lines {
    /// The lines of these bytes; a byte order mark is no part of them.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let offset = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Self { bytes, offset, next_line: 1 }
    }

    /// The next line that is neither blank nor a plain comment.
    pub(super) fn next(&mut self) -> Option<Item> {
        loop {
            let number = self.next_line;
            let first = self.physical()?;
            if is_comment(first.bytes) {
                if first.is_continued && self.peek_is_text() {
                    self.skip_continued();
                    return Some(Item::ContinuedComment(number));
                }
                continue;
            }
            if first.bytes.trim_ascii().is_empty() && !first.is_continued {
                continue;
            }
            let mut line = Line { text: first.bytes.to_vec(), starts: vec![(0, number)] };
            let mut is_continued = first.is_continued;
            while is_continued && line.text.len() <= LINE_BYTES_MAX {
                let number = self.next_line;
                let Some(next) = self.physical() else { break };
                line.starts.push((line.text.len(), number));
                line.text.extend_from_slice(next.bytes);
                is_continued = next.is_continued;
            }
            if line.text.len() > LINE_BYTES_MAX {
                if is_continued {
                    self.skip_continued();
                }
                return Some(Item::TooLong(number));
            }
            if !line.text.trim_ascii().is_empty() {
                return Some(Item::Directive(line));
            }
        }
    }

    fn physical(&mut self) -> Option<Physical<'_>> {
        let rest = self.bytes.get(self.offset..).filter(|rest| !rest.is_empty())?;
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let bytes = rest.get(..end).unwrap_or_default();
        self.offset += end + 1;
        self.next_line = self.next_line.saturating_add(1);
        Some(Physical::new(bytes))
    }

    /// Whether the next line is neither blank nor a comment.
    fn peek_is_text(&self) -> bool {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let next = Physical::new(rest.get(..end).unwrap_or_default());
        !is_comment(next.bytes) && !next.bytes.trim_ascii().is_empty()
    }

    fn skip_continued(&mut self) {
        while self.physical().is_some_and(|line| line.is_continued) {}
    }
}

/// One line of the file, without its end.
struct Physical<'l> {
    /// Without the backslash that continues it
    bytes: &'l [u8],
    is_continued: bool,
}

impl<'l> Physical<'l> {
    fn new(bytes: &'l [u8]) -> Self {
        match bytes.trim_ascii_end().strip_suffix(b"\\") {
            Some(bytes) => Self { bytes, is_continued: true },
            None => Self { bytes: bytes.strip_suffix(b"\r").unwrap_or(bytes), is_continued: false },
        }
    }
}

fn is_comment(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"#")
}

impl Line {
    /// Number of its first line in the file.
    pub(super) fn number(&self) -> u32 {
        self.starts.first().map_or(1, |(_, number)| *number)
    }

    /// Place in the file of an offset of `text`.
    pub(super) fn position(&self, offset: usize) -> Position {
        let index = self.starts.partition_point(|(start, _)| *start <= offset).saturating_sub(1);
        let (start, line) = self.starts.get(index).copied().unwrap_or((0, 1));
        let before = self.text.get(start..offset.min(self.text.len())).unwrap_or_default();
        // a column counts characters: every byte that does not continue one
        let characters = before.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        Position { line, column: u32::try_from(characters).unwrap_or(u32::MAX).saturating_add(1) }
    }
}
