//! Where a request body ends on the wire (RFC 9112 §6, §7.1), so that the door gives Pingora one message at a time.
//!
//! Only the framing is followed, nothing is decoded: Pingora reads the same bytes and is the judge of their grammar.
//! What breaks it is passed on whole, for Pingora to refuse. Were the two ever to disagree, Pingora would find bytes
//! behind its message and close the connection, since pipelining is not switched on there.

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
    /// Behind the digits, in the size's line
    Extension { size: u64 },
    /// In a chunk's data and the line end behind it
    Data { left: u64 },
    /// In the trailers, at a line's beginning or behind a `\r` there
    TrailerBegin,
    /// In a trailer
    Trailer,
    /// Behind the last byte
    End,
    /// The grammar is broken
    Broken,
}

/// LIMIT: digits of a chunk's size, as for httparse.
const SIZE_DIGITS_MAX: u8 = 16;

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
                        0 => Self::Size { digits: 0, size: 0 },
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
        match self {
            Self::Size { digits, size } => match char::from(byte).to_digit(16) {
                Some(_) if digits == SIZE_DIGITS_MAX => Self::Broken,
                Some(digit) => Self::Size { digits: digits + 1, size: size << 4 | u64::from(digit) },
                None if digits == 0 => Self::Broken,
                None => Self::Extension { size }.after(byte),
            },
            Self::Extension { size } => match (byte, size) {
                (b'\n', 0) => Self::TrailerBegin,
                (b'\n', size) => size.checked_add(2).map_or(Self::Broken, |left| Self::Data { left }),
                (_, size) => Self::Extension { size },
            },
            Self::TrailerBegin => match byte {
                b'\n' => Self::End,
                b'\r' => Self::TrailerBegin,
                _ => Self::Trailer,
            },
            Self::Trailer if byte == b'\n' => Self::TrailerBegin,
            Self::Trailer | Self::Data { .. } | Self::End | Self::Broken => self,
        }
    }
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
            b"2 \r\nab\r\n000\r\nX-T: 1\r\nY: 2\r\n\r\n",
        ] {
            check(CHUNKED, body);
        }
    }

    #[test]
    fn what_breaks_the_grammar_is_passed_on_whole() {
        for body in ["x", "5\r\nhello\r\n\r\n", "11112222333344445\r\n", "ffffffffffffffff\r\nabc"] {
            let mut rest = BodyRest::new(CHUNKED);
            assert_eq!(rest.read(body.as_bytes()), body.len(), "{body}");
            assert_eq!(rest, BodyRest::Chunks(Chunks::Broken), "{body}");
        }
    }
}
