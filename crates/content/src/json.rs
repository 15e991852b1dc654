//! JSON (RFC 8259): one pass, eight bytes at a time inside strings, no recursion.
//!
//! Strict where continuing would be a guess (a bad escape, a leading zero, a missing comma: decoding stops), lenient
//! where it is not (a control character or bad UTF-8 in a string is kept as it is, a form feed between values is white
//! space): either way a fault says so. An unpaired surrogate becomes U+FFFD, with a fault, so that values stay UTF-8
//! wherever the source is. Of two members with one name both stay in the tree: applications differ in which one they
//! take, so both have to be looked at. Of a document that ends inside a string, what is there of it stays too: it may
//! have been cut for its length alone.

use crate::builder::{Builder, Stop, saturated};
use crate::encoding::{braced_char, hex4, push_char};
use crate::fault::FaultKind;
use crate::kind::Kind;
use crate::limits::Limit;
use crate::tree::{NameSpan, Open, Span};

pub(crate) fn decode(out: &mut Builder<'_, '_>) -> Result<(), Stop> {
    let at = match out.source {
        [0xef, 0xbb, 0xbf, ..] => {
            out.fault(FaultKind::ByteOrderMark, 0);
            3
        }
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] => return Err(out.stop(FaultKind::UnsupportedEncoding, 0)),
        _ => 0,
    };
    Parser { source: out.source, at, has_braced_escapes: false, is_cut: false, out }.document()
}

/// The string whose opening quote is at `at`, as GraphQL writes it: also with `\u{…}`; its value, its source, its end.
pub(crate) fn graphql_string(out: &mut Builder<'_, '_>, at: usize) -> Result<(Span, Span, usize), Stop> {
    let mut parser = Parser { source: out.source, at, has_braced_escapes: true, is_cut: false, out };
    let (value, raw) = parser.string(Limit::JsonStringValueLength)?;
    if parser.is_cut {
        return Err(parser.unexpected());
    }
    Ok((value, raw, parser.at))
}

struct Parser<'p, 'a, 'l> {
    source: &'a [u8],
    at: usize,
    /// Whether `\u{…}` is an escape
    has_braced_escapes: bool,
    /// The last string was not ended
    is_cut: bool,
    out: &'p mut Builder<'a, 'l>,
}

impl Parser<'_, '_, '_> {
    fn document(&mut self) -> Result<(), Stop> {
        if self.next_token().is_none() {
            return Err(self.out.stop(FaultKind::EmptyDocument, self.at));
        }
        self.value(NameSpan::None)?;
        while let Some(open) = self.out.innermost() {
            if open.kind == Kind::Object { self.member(open)? } else { self.element(open)? }
        }
        match self.next_token() {
            None if self.is_cut => Err(self.unexpected()),
            None => Ok(()),
            Some(_) => Err(self.out.stop(FaultKind::TrailingData, self.at)),
        }
    }

    /// The next byte that is not white space; `at` is then its place.
    #[inline]
    fn next_token(&mut self) -> Option<u8> {
        loop {
            let byte = *self.source.get(self.at)?;
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => {}
                // No white space of JSON, but of lenient readers, who go on behind it.
                0x0b | 0x0c => self.out.fault(FaultKind::UnexpectedByte, self.at),
                _ => return Some(byte),
            }
            self.at += 1;
        }
    }

    #[cold]
    fn unexpected(&mut self) -> Stop {
        let kind = if self.at < self.source.len() { FaultKind::UnexpectedByte } else { FaultKind::UnexpectedEnd };
        self.out.stop(kind, self.at)
    }

    /// One step inside an object: its end, or the next member's name and the beginning of its value.
    #[inline]
    fn member(&mut self, open: Open) -> Result<(), Stop> {
        let mut token = self.next_token();
        if token == Some(b'}') {
            self.at += 1;
            if open.may_repeat {
                self.out.check_duplicate_keys(open.node, None, self.at);
            }
            self.out.close(self.at);
            return Ok(());
        }
        if open.children > 0 {
            if token != Some(b',') {
                return Err(self.unexpected());
            }
            self.at += 1;
            token = self.next_token();
        }
        if token != Some(b'"') {
            return Err(self.unexpected());
        }
        let count = self.out.count_child();
        self.out.within(Limit::JsonObjectEntryCount, count, self.at)?;
        let (name, _) = self.string(Limit::JsonObjectEntryNameLength)?;
        self.out.note_key(name);
        if self.next_token() != Some(b':') {
            if self.is_cut {
                let end = Span::source(self.at, self.at);
                self.out.leaf(Kind::Null, NameSpan::Bytes(name), end, end)?;
            }
            return Err(self.unexpected());
        }
        self.at += 1;
        self.value(NameSpan::Bytes(name))
    }

    /// One step inside an array: its end, or the beginning of the next element.
    #[inline]
    fn element(&mut self, open: Open) -> Result<(), Stop> {
        let token = self.next_token();
        if token == Some(b']') {
            self.at += 1;
            self.out.close(self.at);
            return Ok(());
        }
        if open.children > 0 {
            if token != Some(b',') {
                return Err(self.unexpected());
            }
            self.at += 1;
        }
        let count = self.out.count_child();
        self.out.within(Limit::JsonArrayElementCount, count, self.at)?;
        self.value(NameSpan::Index(open.children))
    }

    /// A value, or the beginning of one that has parts.
    #[inline]
    fn value(&mut self, name: NameSpan) -> Result<(), Stop> {
        match self.next_token() {
            Some(b'"') => {
                let (value, raw) = self.string(Limit::JsonStringValueLength)?;
                self.out.leaf(Kind::String, name, value, raw)
            }
            Some(b'-' | b'0'..=b'9') => self.number(name),
            Some(b'{') => self.container(Kind::Object, name),
            Some(b'[') => self.container(Kind::Array, name),
            Some(b't') => self.literal(Kind::Bool, b"true", name),
            Some(b'f') => self.literal(Kind::Bool, b"false", name),
            Some(b'n') => self.literal(Kind::Null, b"null", name),
            _ => Err(self.unexpected()),
        }
    }

    #[inline]
    fn container(&mut self, kind: Kind, name: NameSpan) -> Result<(), Stop> {
        self.out.within(Limit::JsonContainerDepth, self.out.open_count().saturating_add(1), self.at)?;
        let raw = Span::source(self.at, self.at);
        self.at += 1;
        self.out.open(kind, name, Span::default(), raw)?;
        Ok(())
    }

    #[inline]
    fn literal(&mut self, kind: Kind, word: &[u8], name: NameSpan) -> Result<(), Stop> {
        let start = self.at;
        let rest = self.source.get(start..).unwrap_or_default();
        if !rest.starts_with(word) {
            self.at += rest.iter().zip(word).take_while(|(found, expected)| found == expected).count();
            return Err(self.unexpected());
        }
        self.at += word.len();
        let span = Span::source(start, self.at);
        self.out.leaf(kind, name, span, span)
    }

    #[inline]
    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.source.get(self.at) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self, name: NameSpan) -> Result<(), Stop> {
        let start = self.at;
        if self.source.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        let has_leading_zero = self.source.get(self.at) == Some(&b'0');
        let whole = self.digits();
        if whole == 0 || (has_leading_zero && whole > 1) {
            return Err(self.out.stop(FaultKind::BadNumber, self.at));
        }
        let mut has_exponent = false;
        if self.source.get(self.at) == Some(&b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.out.stop(FaultKind::BadNumber, self.at));
            }
        }
        if let Some(b'e' | b'E') = self.source.get(self.at) {
            self.at += 1;
            has_exponent = true;
            if let Some(b'+' | b'-') = self.source.get(self.at) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.out.stop(FaultKind::BadNumber, self.at));
            }
        }
        let span = Span::source(start, self.at);
        self.out.within(Limit::JsonNumberLength, span.len, start)?;
        // PERF: only numbers that may be too big are parsed.
        if (has_exponent || whole >= 19) && is_big(self.out.bytes(span)) {
            self.out.fault(FaultKind::BigNumber, start);
        }
        self.out.leaf(Kind::Number, name, span, span)
    }

    /// A string from its opening quote: its value and its source without the quotes.
    ///
    /// PERF: inlined into its two hot callers, 10 % of a document's time.
    #[inline(always)]
    fn string(&mut self, limit: Limit) -> Result<(Span, Span), Stop> {
        self.at += 1;
        let start = self.at;
        let mut has_high = false;
        loop {
            let (plain, high) = plain_run(self.source.get(self.at..).unwrap_or_default());
            self.at += plain;
            has_high |= high;
            match self.source.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => return self.escaped_string(start, limit),
                Some(_) => self.out.fault(FaultKind::ControlCharacter, self.at),
                None => return self.cut_string(start, limit),
            }
            self.at += 1;
        }
        let span = Span::source(start, self.at);
        if has_high {
            self.check_utf8(start);
        }
        self.out.within(limit, span.len, start)?;
        self.at += 1;
        Ok((span, span))
    }

    /// A string without an escape that the document's end cuts; what follows it is missing, and will be found so.
    #[cold]
    fn cut_string(&mut self, start: usize, limit: Limit) -> Result<(Span, Span), Stop> {
        self.is_cut = true;
        let span = Span::source(start, self.at);
        self.out.within(limit, span.len, start)?;
        Ok((span, span))
    }

    /// A string that has an escape: decoded from its start, run by run.
    #[inline(never)]
    fn escaped_string(&mut self, start: usize, limit: Limit) -> Result<(Span, Span), Stop> {
        let source = self.source;
        let mark = self.out.mark();
        self.at = start;
        loop {
            let run_start = self.at;
            let (plain, has_high) = plain_run(source.get(run_start..).unwrap_or_default());
            self.at += plain;
            if has_high {
                self.check_utf8(run_start);
            }
            let run = source.get(run_start..self.at).unwrap_or_default();
            let length = saturated(self.out.mark() - mark).saturating_add(saturated(run.len()));
            self.out.within(limit, length, run_start)?;
            self.out.decoded_buffer(run.len() + 4, run_start)?.extend_from_slice(run);
            match source.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') if !self.is_escape_cut() => self.escape()?,
                None | Some(b'\\') => {
                    self.is_cut = true;
                    self.at = source.len();
                    break;
                }
                Some(&byte) => {
                    self.out.fault(FaultKind::ControlCharacter, self.at);
                    self.out.decoded_buffer(1, self.at)?.push(byte);
                    self.at += 1;
                }
            }
        }
        let raw = Span::source(start, self.at);
        let value = self.out.decoded_since(mark);
        self.out.within(limit, value.len, start)?;
        self.at += usize::from(!self.is_cut);
        Ok((value, raw))
    }

    /// Whether the document ends inside of the escape that begins here.
    fn is_escape_cut(&self) -> bool {
        match self.source.get(self.at..).unwrap_or_default() {
            [b'\\'] => true,
            [b'\\', b'u', digits @ ..] => digits.len() < 4 && digits.iter().all(u8::is_ascii_hexdigit),
            _ => false,
        }
    }

    /// One escape sequence, from its backslash.
    fn escape(&mut self) -> Result<(), Stop> {
        let character = match self.source.get(self.at + 1) {
            Some(&byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => self.unicode_escape()?,
            Some(_) => return Err(self.out.stop(FaultKind::BadEscape, self.at)),
            None => return Err(self.out.stop(FaultKind::UnexpectedEnd, self.at)),
        };
        self.at += 2;
        push_char(character, self.out.decoded_buffer(4, self.at)?);
        Ok(())
    }

    /// `\uXXXX`, or two of them that are a pair; leaves `at` two bytes before the end of what it took.
    fn unicode_escape(&mut self) -> Result<char, Stop> {
        let Some(unit) = self.unit_at(self.at) else {
            return self.braced_escape().ok_or_else(|| self.out.stop(FaultKind::BadEscape, self.at));
        };
        if unit == 0 {
            self.out.fault(FaultKind::EscapedNul, self.at);
        }
        let low = if matches!(unit, 0xd800..=0xdbff) { self.unit_at(self.at + 6) } else { None };
        let pair = [unit, low.unwrap_or_default()];
        let units = if low.is_some() { &pair[..] } else { &pair[..1] };
        let character = match char::decode_utf16(units.iter().copied()).next() {
            Some(Ok(character)) => character,
            Some(Err(_)) | None => {
                self.out.fault(FaultKind::LoneSurrogate, self.at);
                char::REPLACEMENT_CHARACTER
            }
        };
        self.at += if character.len_utf16() == 2 { 10 } else { 4 };
        Ok(character)
    }

    /// `\u{…}`; leaves `at` two bytes before its end.
    fn braced_escape(&mut self) -> Option<char> {
        let text = self.source.get(self.at..)?.strip_prefix(b"\\u{").filter(|_| self.has_braced_escapes)?;
        let (character, length) = braced_char(text)?;
        self.at += length + 2;
        Some(character)
    }

    /// The UTF-16 unit of the `\uXXXX` at this place.
    fn unit_at(&self, at: usize) -> Option<u16> {
        match self.source.get(at..)?.first_chunk::<6>()? {
            [b'\\', b'u', digits @ ..] => hex4(digits),
            _ => None,
        }
    }

    /// Notes bytes from `start` to `at` that are not UTF-8.
    fn check_utf8(&mut self, start: usize) {
        let bytes = self.source.get(start..self.at).unwrap_or_default();
        if let Err(error) = std::str::from_utf8(bytes) {
            self.out.fault(FaultKind::BadUtf8, start + error.valid_up_to());
        }
    }
}

/// Whether neither a 64-bit integer nor a double holds the number: a whole number beyond 64 bits, or infinite.
fn is_big(number: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(number) else { return true };
    if text.contains(['.', 'e', 'E']) {
        !text.parse::<f64>().is_ok_and(f64::is_finite)
    } else {
        text.parse::<i64>().is_err() && text.parse::<u64>().is_err()
    }
}

/// How many bytes come before the first quote, backslash or control character, and whether one is not ASCII.
#[inline]
fn plain_run(bytes: &[u8]) -> (usize, bool) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    let mut rest = bytes;
    let mut seen = 0;
    while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        // A byte is below n if subtracting n borrows into its top bit; borrows only disturb later bytes.
        let below = |word: u64, n: u64| word.wrapping_sub(ONES.wrapping_mul(n)) & !word & HIGHS;
        let special = below(word, 0x20)
            | below(word ^ ONES.wrapping_mul(b'"'.into()), 1)
            | below(word ^ ONES.wrapping_mul(b'\\'.into()), 1);
        if special != 0 {
            let place = special.trailing_zeros() & !7;
            seen |= word & !(u64::MAX << place);
            let before = bytes.len() - rest.len();
            return (before + (place / 8) as usize, seen & HIGHS != 0);
        }
        seen |= word;
        rest = after;
    }
    let mut length = bytes.len() - rest.len();
    for &byte in rest {
        if byte < 0x20 || byte == b'"' || byte == b'\\' {
            break;
        }
        seen |= u64::from(byte);
        length += 1;
    }
    (length, seen & HIGHS != 0)
}
