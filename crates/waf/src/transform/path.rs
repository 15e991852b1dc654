//! `normalizePath` and `normalizePathWin`: `//`, `/./` and `/../` are taken out of a path.
//!
//! A leading `..` of a relative path stays, one of an absolute path vanishes. A last slash stays only where there was one. Oddities
//! kept from libmodsecurity, since rules are written against them: a segment that ends in two dots (`a..`) takes itself away, and
//! a relative path loses slashes that come first once the segments before them are gone. Not kept: libmodsecurity leaves the last
//! of several backslashes as it is; here each becomes a slash.
//!
//! Sources: RFC 3986 §5.2.4; libmodsecurity 3.0.9, observed.

/// What parts segments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Separators {
    /// `/`
    Slash,
    /// `/` and `\`, which becomes `/`
    SlashAndBackslash,
}

impl Separators {
    fn parts(self, byte: u8) -> bool {
        byte == b'/' || byte == b'\\' && self == Self::SlashAndBackslash
    }
}

/// What is at the end of a segment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The segment is done with: go on behind the last byte
    Consumed,
    /// The last byte is still to be copied
    Copied,
}

pub(super) fn normalize(input: &[u8], separators: Separators, out: &mut Vec<u8>) {
    let (Some(&first), Some(&last)) = (input.first(), input.last()) else { return };
    let mut path = Path { out, start: 0, is_relative: !separators.parts(first), is_at_root: false };
    path.start = path.out.len();
    let mut rest = input;
    while let Some((&byte, after)) = rest.split_first() {
        let byte = if separators.parts(byte) { b'/' } else { byte };
        let is_segment_end = after.first().is_none_or(|&next| separators.parts(next));
        if is_segment_end && byte != b'/' && path.end_segment(byte, after.is_empty()) == Ending::Consumed {
            rest = after;
            // The separator behind the segment is looked at as a byte of its own.
            if let Some((_, behind)) = after.split_first() {
                path.separator();
                rest = skip_separators(behind, separators);
            }
            continue;
        }
        if byte == b'/' {
            path.separator();
            rest = skip_separators(after, separators);
        } else {
            path.out.push(byte);
            rest = after;
        }
    }
    path.finish(separators.parts(last));
}

fn skip_separators(input: &[u8], separators: Separators) -> &[u8] {
    let len = input.iter().take_while(|&&byte| separators.parts(byte)).count();
    input.get(len..).unwrap_or_default()
}

/// The path written so far.
struct Path<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    is_relative: bool,
    /// A relative path went above its start: `..` stays from here on
    is_at_root: bool,
}

impl Path<'_> {
    fn written(&self) -> &[u8] {
        self.out.get(self.start..).unwrap_or_default()
    }

    /// A segment whose last byte is `byte` ends here; its other bytes are written.
    fn end_segment(&mut self, byte: u8, is_last: bool) -> Ending {
        match (byte, self.written()) {
            (b'.', []) => Ending::Consumed,
            (b'.', [.., b'.']) => self.go_back(is_last),
            (b'.', [.., b'/']) => {
                if !is_last {
                    self.out.pop();
                }
                Ending::Consumed
            }
            (b'.', _) | (_, []) => Ending::Copied,
            _ => {
                self.is_at_root = false;
                Ending::Copied
            }
        }
    }

    /// Takes away the segment before a `..`, whose first dot is written.
    fn go_back(&mut self, is_last: bool) -> Ending {
        let written = self.written().len();
        if self.is_relative && (self.is_at_root || written <= 2) {
            self.is_at_root = true;
            return Ending::Copied;
        }
        let before = self.written().get(..written.saturating_sub(2)).unwrap_or_default();
        let kept = before.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        self.out.truncate(self.start + kept);
        if kept == 0 {
            self.is_at_root = true;
            if is_last && !self.is_relative {
                self.out.push(b'/');
            }
        }
        Ending::Consumed
    }

    /// One or more separators.
    fn separator(&mut self) {
        if !(self.is_relative && self.written().is_empty()) {
            self.out.push(b'/');
        }
    }

    fn finish(self, ends_in_separator: bool) {
        if !ends_in_separator && matches!(self.written(), [.., b'/']) {
            self.out.pop();
        }
    }
}
