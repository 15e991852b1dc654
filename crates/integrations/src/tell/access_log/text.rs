//! Takes a line of a text log apart, left to right: words, `[…]` and `"…"`.

use std::borrow::Cow;

use crate::tell::bad_line::{Fault, Reason};

/// The rest of a line.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(line: &'a [u8]) -> Self {
        Self { rest: line }
    }

    /// Whether nothing but blanks is left.
    pub(super) fn is_at_end(&self) -> bool {
        self.rest.trim_ascii_start().is_empty()
    }

    /// The next byte that is not a blank.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.trim_ascii_start().first().copied()
    }

    /// The next word, up to a space; empty at the end.
    pub(super) fn word(&mut self) -> &'a [u8] {
        let rest = self.rest.trim_ascii_start();
        let end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
        let (word, rest) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        self.rest = rest;
        word
    }

    /// What stands between `open` and the next `close`; nothing is escaped.
    pub(super) fn between(&mut self, open: u8, close: u8) -> Result<&'a [u8], Fault> {
        let (first, rest) = self.rest.trim_ascii_start().split_first().ok_or_else(cut_short)?;
        if *first != open {
            return Err(unexpected(open));
        }
        let end = memchr::memchr(close, rest).ok_or_else(cut_short)?;
        let (inside, rest) = rest.split_at_checked(end).ok_or_else(cut_short)?;
        self.rest = rest.get(1..).unwrap_or_default();
        Ok(inside)
    }

    /// What stands between double quotes, where `\` escapes the byte behind it (nginx, Apache). Still escaped.
    pub(super) fn quoted(&mut self) -> Result<&'a [u8], Fault> {
        let (first, rest) = self.rest.trim_ascii_start().split_first().ok_or_else(cut_short)?;
        if *first != b'"' {
            return Err(unexpected(b'"'));
        }
        let mut from = 0;
        loop {
            let tail = rest.get(from..).ok_or_else(cut_short)?;
            let at = from + memchr::memchr2(b'"', b'\\', tail).ok_or_else(cut_short)?;
            if rest.get(at) == Some(&b'"') {
                self.rest = rest.get(at + 1..).unwrap_or_default();
                return Ok(rest.get(..at).unwrap_or_default());
            }
            from = at + 2;
        }
    }

    /// What stands between double quotes where nothing is escaped (Envoy): up to a quote before a space or the end.
    pub(super) fn quoted_raw(&mut self) -> Result<&'a [u8], Fault> {
        let (first, rest) = self.rest.trim_ascii_start().split_first().ok_or_else(cut_short)?;
        if *first != b'"' {
            return Err(unexpected(b'"'));
        }
        let end = memchr::memmem::find(rest, b"\" ").or_else(|| rest.strip_suffix(b"\"").map(<[u8]>::len));
        let (inside, rest) = rest.split_at_checked(end.ok_or_else(cut_short)?).ok_or_else(cut_short)?;
        self.rest = rest.get(1..).unwrap_or_default();
        Ok(inside)
    }
}

pub(super) fn cut_short() -> Fault {
    Fault::new(Reason::Truncated, "the line ends in the middle")
}

fn unexpected(expected: u8) -> Fault {
    Fault::new(Reason::Syntax, format!("expected `{}`", char::from(expected)))
}

/// Undoes nginx's and Apache's escapes: `\xHH`, `\"`, `\\`, `\n`, `\r`, `\t`, `\b`, `\v`.
pub(super) fn unescape(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut plain = Vec::with_capacity(raw.len());
    let mut rest = raw;
    loop {
        rest = match rest {
            [] => return Cow::Owned(plain),
            [b'\\', b'x', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                plain.push(hex_pair(*high, *low));
                tail
            }
            [b'\\', escaped, tail @ ..] => {
                plain.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'v' => 11,
                    other => *other,
                });
                tail
            }
            [byte, tail @ ..] => {
                plain.push(*byte);
                tail
            }
        };
    }
}

/// Undoes HAProxy's escapes: `#HH` (its `#` itself is always escaped).
pub(super) fn unescape_hash(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'#', raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut plain = Vec::with_capacity(raw.len());
    let mut rest = raw;
    loop {
        rest = match rest {
            [] => return Cow::Owned(plain),
            [b'#', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                plain.push(hex_pair(*high, *low));
                tail
            }
            [byte, tail @ ..] => {
                plain.push(*byte);
                tail
            }
        };
    }
}

fn hex_pair(high: u8, low: u8) -> u8 {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default();
    u8::try_from(digit(high) * 16 + digit(low)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_behind_a_backslash_does_not_end_the_text() {
        let mut cursor = Cursor::new(br#" "a \"b\" \\" rest"#);
        assert_eq!(unescape(cursor.quoted().unwrap()).as_ref(), br#"a "b" \"#);
        assert_eq!(cursor.word(), b"rest");
        assert!(cursor.is_at_end());
        for cut in [r#""a"#, r#""a\""#, r#""a\"#, "\""] {
            assert_eq!(Cursor::new(cut.as_bytes()).quoted().unwrap_err().reason, Reason::Truncated, "{cut}");
        }
    }

    #[test]
    fn escapes_become_the_bytes_they_stand_for() {
        assert_eq!(unescape(br"a\x22\xFf\t\q\").as_ref(), b"a\"\xFF\tq\\");
        assert_eq!(unescape(br"\xZZ").as_ref(), b"xZZ");
        assert_eq!(unescape_hash(b"a#22#7B#G#").as_ref(), b"a\"{#G#");
    }
}
