//! Where a request body ends on the wire (RFC 9112 §6, §7.1), so that the door gives Pingora one message at a time, and
//! whether its framing is written as the RFC has it.
//!
//! Only the framing is followed, nothing is decoded: Pingora reads the same bytes. It is more generous than the grammar
//! (a line may end in `\n` alone, anything may stand behind a size, an empty line before it is skipped), and so are
//! some upstreams, each in its own way; that is what requests are smuggled with. What breaks the grammar is refused here.
//! Chunk extensions must be tokens or quoted strings, as RFC 9112 §7.1.1 has them, without the white space around `;` and
//! `=` that it calls bad. Were this file and Pingora ever to disagree, Pingora would find bytes behind its message and
//! close the connection, since pipelining is not switched on there.

use http::{HeaderMap, header};

/// How a body is framed, as one number: its length, or [`CHUNKED`].
pub(crate) const CHUNKED: u64 = u64::MAX;

/// The framing that a head announces. Heads that announce several are refused, so the first counts.
pub(crate) fn framing(headers: &HeaderMap) -> u64 {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return CHUNKED;
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.trim().parse().ok());
    length.unwrap_or(0)
}

/// The rest of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyRest {
    /// So many bytes
    Bytes(u64),
    /// As its chunks say
    Chunks(Chunks),
}

/// Where a chunked body stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// In the digits of a chunk's size; how many there were, and what they say
    Size { digits: u8, size: u64 },
    /// In what stands behind the digits; so many bytes of it were read
    Extension { size: u64, bytes: u16, part: Extension },
    /// Behind the `\r` of the size's line
    SizeEnd { size: u64 },
    /// In a chunk's data
    Data { left: u64 },
    /// Behind a chunk's data
    DataEnd,
    /// Behind the `\r` behind a chunk's data
    DataEndCr,
    /// In the trailers, at a line's beginning
    TrailerBegin,
    /// In a trailer
    Trailer,
    /// Behind the `\r` of a trailer
    TrailerCr,
    /// Behind the `\r` of the last, empty line
    LastCr,
    /// Behind the last byte
    End,
    /// The grammar is broken
    Broken,
}

/// Where a chunk extension stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extension {
    /// Behind `;`, in the name; whether it has begun
    Name(bool),
    /// Behind `=`, in a value that is a token; whether it has begun
    Value(bool),
    /// In a quoted string
    Quoted,
    /// Behind `\` in a quoted string
    Escaped,
    /// Behind a quoted string
    Closed,
}

/// LIMIT: digits of a chunk's size, as for httparse.
const SIZE_DIGITS_MAX: u8 = 16;

/// LIMIT: bytes of a chunk's extensions. They carry signatures at most; longer ones make a small body cost much
/// (CVE-2023-39326).
const EXTENSION_BYTES_MAX: u16 = 256;

impl BodyRest {
    /// The whole body.
    pub(crate) const fn new(framing: u64) -> Self {
        match framing {
            CHUNKED => Self::Chunks(Chunks::Size { digits: 0, size: 0 }),
            length => Self::Bytes(length),
        }
    }

    /// Takes the next bytes. Returns how many of them belong to the body.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> usize {
        match self {
            Self::Bytes(left) => {
                let read = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= read as u64;
                read
            }
            Self::Chunks(chunks) => chunks.read(bytes),
        }
    }

    /// Whether the framing breaks the grammar.
    pub(crate) const fn is_broken(&self) -> bool {
        matches!(self, Self::Chunks(Chunks::Broken))
    }
}

impl Chunks {
    fn read(&mut self, bytes: &[u8]) -> usize {
        let mut read = 0;
        while let Some(&byte) = bytes.get(read) {
            match *self {
                Self::End => return read,
                Self::Broken => return bytes.len(),
                Self::Data { left } => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - read);
                    read += taken;
                    *self = match left - taken as u64 {
                        0 => Self::DataEnd,
                        left => Self::Data { left },
                    };
                    continue;
                }
                _ => *self = self.after(byte),
            }
            read += 1;
        }
        read
    }

    /// The state behind one more byte of a line.
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Size { digits, size }, _) => Self::after_size(digits, size, byte),
            (Self::Extension { size, bytes, part }, _) => Self::after_extension(size, bytes, part, byte),
            (Self::SizeEnd { size: 0 }, b'\n') => Self::TrailerBegin,
            (Self::SizeEnd { size }, b'\n') => Self::Data { left: size },
            (Self::DataEnd, b'\r') => Self::DataEndCr,
            (Self::DataEndCr, b'\n') => Self::Size { digits: 0, size: 0 },
            (Self::TrailerBegin, b'\r') => Self::LastCr,
            (Self::LastCr, b'\n') => Self::End,
            // A trailer that goes on in the next line is a fold (RFC 9112 §5.2).
            (Self::TrailerBegin, b' ' | b'\t' | b'\n') => Self::Broken,
            (Self::Trailer, b'\r') => Self::TrailerCr,
            (Self::TrailerBegin | Self::Trailer, byte) if byte != b'\n' => Self::Trailer,
            (Self::TrailerCr, b'\n') => Self::TrailerBegin,
            (
                Self::SizeEnd { .. }
                | Self::DataEnd
                | Self::DataEndCr
                | Self::LastCr
                | Self::TrailerBegin
                | Self::Trailer
                | Self::TrailerCr,
                _,
            ) => Self::Broken,
            (Self::Data { .. } | Self::End | Self::Broken, _) => self,
        }
    }

    fn after_size(digits: u8, size: u64, byte: u8) -> Self {
        match (char::from(byte).to_digit(16), byte) {
            (Some(_), _) if digits == SIZE_DIGITS_MAX => Self::Broken,
            (Some(digit), _) => Self::Size { digits: digits + 1, size: size << 4 | u64::from(digit) },
            (None, _) if digits == 0 => Self::Broken,
            (None, b'\r') => Self::SizeEnd { size },
            (None, b';') => Self::Extension { size, bytes: 0, part: Extension::Name(false) },
            (None, _) => Self::Broken,
        }
    }

    fn after_extension(size: u64, bytes: u16, part: Extension, byte: u8) -> Self {
        if bytes == EXTENSION_BYTES_MAX {
            return Self::Broken;
        }
        let part = match (part, byte) {
            (Extension::Name(true) | Extension::Value(true) | Extension::Closed, b'\r') => {
                return Self::SizeEnd { size };
            }
            (Extension::Name(true) | Extension::Value(true) | Extension::Closed, b';') => Extension::Name(false),
            (Extension::Name(true), b'=') => Extension::Value(false),
            (Extension::Value(false), b'"') => Extension::Quoted,
            (Extension::Name(_), byte) if is_token(byte) => Extension::Name(true),
            (Extension::Value(_), byte) if is_token(byte) => Extension::Value(true),
            (Extension::Quoted, b'"') => Extension::Closed,
            (Extension::Quoted, b'\\') => Extension::Escaped,
            (Extension::Quoted | Extension::Escaped, b'\t' | b' '..=b'~' | 0x80..) => Extension::Quoted,
            (
                Extension::Name(_) | Extension::Value(_) | Extension::Quoted | Extension::Escaped | Extension::Closed,
                _,
            ) => return Self::Broken,
        };
        Self::Extension { size, bytes: bytes + 1, part }
    }
}

/// A byte of a token (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends there however the bytes are cut, whatever follows.
    fn check(framing: u64, body: &[u8]) {
        let both = [body, b"GET / HTTP/1.1\r\n\r\n"].concat();
        for cut in 0..=both.len() {
            let mut rest = BodyRest::new(framing);
            let (first, second) = both.split_at(cut);
            let mut read = rest.read(first);
            if read == first.len() {
                read += rest.read(second);
            }
            assert_eq!(read, body.len(), "{} at {cut}", body.escape_ascii());
        }
    }

    #[test]
    fn a_body_ends_where_its_framing_says_wherever_it_is_cut() {
        check(0, b"");
        check(5, b"hello");
        for body in [
            &b"0\r\n\r\n"[..],
            b"5\r\nhello\r\n0\r\n\r\n",
            b"B;a=b\r\n0\r\n\r\n0\r\n\r\nx\r\n0\r\n\r\n",
            b"2;a;b=\"c\\\"; d\";e=f\r\nab\r\n000\r\nX-T: 1\r\nY: 2\r\n\r\n",
        ] {
            check(CHUNKED, body);
        }
    }

    #[test]
    fn what_breaks_the_grammar_is_found_wherever_it_is_cut() {
        let long = format!("2;{}\r\nab\r\n0\r\n\r\n", "a".repeat(300));
        for body in [
            "x",
            "5\r\nhello\r\n\r\n",
            "11112222333344445\r\n",
            "\r\n2\r\nab",
            "2\nab\r\n0\r\n\r\n",
            "2\r\nab\n0\r\n\r\n",
            "2\r\nabc\r\n0\r\n\r\n",
            "2 \r\nab\r\n0\r\n\r\n",
            "2;\r\nab",
            "2;a \r\nab",
            "2 ;a\r\nab",
            "2;a=\r\nab",
            "2;a=\"b\r\nab",
            "2;a=\"b\"c\r\nab",
            "2;a\nab\r\n",
            "2;\0\r\nab",
            "2\rab",
            "0\n\r\n",
            "0\r\n\n",
            "0\r\nA: b\n\r\n",
            "0\r\n folded\r\n\r\n",
            "0\r\nA: b\rc\r\n\r\n",
            &long,
        ] {
            for cut in 0..=body.len() {
                let mut rest = BodyRest::new(CHUNKED);
                let (first, second) = body.as_bytes().split_at(cut);
                assert_eq!((rest.read(first), rest.read(second)), (first.len(), second.len()), "{body:?}");
                assert!(rest.is_broken(), "{body:?} at {cut}");
            }
        }
    }
}
