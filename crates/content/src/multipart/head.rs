//! The header lines of one part: each becomes a node, Content-Disposition gives the name and the file name.
//!
//! Parameters may be quoted with `"` or, as some servers accept, with `'` (a fault). Only the quote and the backslash
//! can be escaped: browsers of old sent `C:\path\file` unescaped. Source: RFC 7578 §4.2, RFC 2183.

use memchr::memchr;

use crate::builder::{Builder, Stop};
use crate::encoding::{is_space, percent_decode, trimmed};
use crate::fault::FaultKind;
use crate::kind::Kind;
use crate::limits::Limit;
use crate::tree::{NameSpan, Span};

/// What the header lines of a part said.
#[derive(Default)]
pub(super) struct Head {
    pub(super) name: Option<Span>,
    pub(super) filename: Option<Span>,
    pub(super) has_disposition: bool,
    /// Where the body begins; `None` if the header lines were cut off
    pub(super) body: Option<usize>,
}

impl Head {
    /// One header line, source bytes `start..end` with its folds; returns its name.
    pub(super) fn read<'a>(
        &mut self,
        out: &mut Builder<'a, '_>,
        (start, end): (usize, usize),
        is_folded: bool,
    ) -> Result<&'a [u8], Stop> {
        let bytes = out.source.get(start..end).unwrap_or_default();
        let line = bytes.strip_suffix(b"\n").map_or(bytes, |line| line.strip_suffix(b"\r").unwrap_or(line));
        let colon = memchr(b':', line).filter(|&colon| colon > 0);
        if colon.is_none() || line.first().is_some_and(|&first| is_space(first)) || memchr(0, line).is_some() {
            out.fault(FaultKind::MultipartBadHeader, start);
        }
        let (name, value) = line.split_at_checked(colon.unwrap_or(line.len())).unwrap_or_default();
        let value = trimmed(value.strip_prefix(b":").unwrap_or(value));
        let joined = is_folded.then(|| unfolded(value));
        let value = joined.as_deref().unwrap_or(value);
        let (name_span, value_span) = (out.span_of(name, start)?, out.span_of(value, start)?);
        let raw = Span::source(start, start + line.len());
        out.leaf(Kind::Header, NameSpan::Bytes(name_span), value_span, raw)?;
        if trimmed(name).eq_ignore_ascii_case(b"content-disposition") {
            self.has_disposition = true;
            if self.disposition(out, value, start)?.is_none() {
                out.fault(FaultKind::MultipartBadDisposition, start);
            }
        }
        Ok(name)
    }

    /// The parameters of a Content-Disposition; `None` if it breaks off or breaks the grammar.
    fn disposition(&mut self, out: &mut Builder<'_, '_>, value: &[u8], at: usize) -> Result<Option<()>, Stop> {
        let mut parts = value.splitn(2, |&byte| byte == b';');
        let is_form_data = trimmed(parts.next().unwrap_or_default()).eq_ignore_ascii_case(b"form-data");
        let mut rest = trimmed(parts.next().unwrap_or_default());
        while !rest.is_empty() {
            let Some((name, after)) = split_at_byte(rest, b'=') else { return Ok(None) };
            let Some(parameter) = parameter_value(trimmed(after)) else { return Ok(None) };
            let quotes = [parameter.quote, parameter.text.contains(&b'\'').then_some(b'\'')];
            if quotes.contains(&Some(b'\'')) {
                out.fault(FaultKind::MultipartInvalidQuoting, at);
            }
            self.parameter(out, trimmed(name), &parameter, at)?;
            rest = match trimmed(parameter.rest) {
                [] => break,
                [b';', after @ ..] => trimmed(after),
                [..] => {
                    if parameter.quote.is_some() {
                        out.fault(FaultKind::MultipartInvalidQuoting, at);
                    }
                    return Ok(None);
                }
            };
        }
        Ok(is_form_data.then_some(()))
    }

    fn parameter(
        &mut self,
        out: &mut Builder<'_, '_>,
        name: &[u8],
        parameter: &Parameter<'_>,
        at: usize,
    ) -> Result<(), Stop> {
        let unescaped = parameter.unescaped();
        let text = unescaped.as_deref().unwrap_or(parameter.text);
        if name.eq_ignore_ascii_case(b"name") {
            let span = out.span_of(text, at)?;
            out.within(Limit::MultipartNameLength, span.len, at)?;
            self.note_again(out, self.name.is_some(), at);
            // RFC 7578 §4.2: a part without a name is invalid, and an empty name is none.
            self.name = self.name.or((span.len > 0).then_some(span));
            return Ok(());
        }
        let span = if name.eq_ignore_ascii_case(b"filename") {
            out.span_of(text, at)?
        } else if name.eq_ignore_ascii_case(b"filename*") {
            out.fault(FaultKind::MultipartExtendedFilename, at);
            // RFC 5987: charset'language'percent-encoded
            let encoded = text.splitn(3, |&byte| byte == b'\'').last().unwrap_or_default();
            let mark = out.mark();
            percent_decode(encoded, out.decoded_buffer(encoded.len(), at)?);
            out.decoded_since(mark)
        } else {
            out.fault(FaultKind::MultipartBadDisposition, at);
            return Ok(());
        };
        out.within(Limit::MultipartFilenameLength, span.len, at)?;
        self.note_again(out, self.filename.is_some(), at);
        self.filename = self.filename.or(Some(span));
        out.leaf(Kind::Filename, NameSpan::None, span, span)
    }

    fn note_again(&self, out: &mut Builder<'_, '_>, is_again: bool, at: usize) {
        if is_again {
            out.fault(FaultKind::MultipartDuplicateName, at);
        }
    }
}

/// The value of a parameter, still escaped, and what follows it.
struct Parameter<'v> {
    text: &'v [u8],
    quote: Option<u8>,
    rest: &'v [u8],
}

fn parameter_value(value: &[u8]) -> Option<Parameter<'_>> {
    let (&first, inside) = value.split_first()?;
    if !matches!(first, b'"' | b'\'') {
        let end = value.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(value.len());
        let (text, rest) = value.split_at_checked(end)?;
        return Some(Parameter { text, quote: None, rest });
    }
    let mut at = 0;
    loop {
        match inside.get(at..)? {
            [] => return None,
            [b'\\', escaped, ..] if *escaped == first || *escaped == b'\\' => at += 2,
            [byte, ..] if *byte == first => break,
            [..] => at += 1,
        }
    }
    let (text, rest) = inside.split_at_checked(at)?;
    Some(Parameter { text, quote: Some(first), rest: rest.get(1..)? })
}

impl Parameter<'_> {
    /// The text without its escapes, if it has any.
    fn unescaped(&self) -> Option<Vec<u8>> {
        let quote = self.quote?;
        memchr(b'\\', self.text)?;
        let mut text = Vec::with_capacity(self.text.len());
        let mut rest = self.text;
        while let [first, after @ ..] = rest {
            rest = match after {
                [escaped, after @ ..] if *first == b'\\' && (*escaped == quote || *escaped == b'\\') => {
                    text.push(*escaped);
                    after
                }
                _ => {
                    text.push(*first);
                    after
                }
            };
        }
        Some(text)
    }
}

/// RFC 2045 §5.1 `token`; other bytes than ASCII are taken too.
const fn is_token_byte(byte: u8) -> bool {
    !matches!(
        byte,
        0..=b' '
            | 127
            | b'('
            | b')'
            | b'<'
            | b'>'
            | b'@'
            | b','
            | b';'
            | b':'
            | b'\\'
            | b'"'
            | b'/'
            | b'['
            | b']'
            | b'?'
            | b'='
    )
}

fn split_at_byte(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let (before, after) = bytes.split_at_checked(memchr(byte, bytes)?)?;
    Some((before, after.get(1..)?))
}

/// A folded value: its lines without white space around them, joined by one space.
fn unfolded(value: &[u8]) -> Vec<u8> {
    let lines: Vec<&[u8]> = value.split(|&byte| byte == b'\n').map(trimmed).collect();
    lines.join(&b' ')
}
