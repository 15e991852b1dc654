//! `multipart/form-data` (RFC 7578, RFC 2046 §5.1) and its siblings: parts, their header lines, names and file names.
//!
//! Each part is a [`Kind::Field`] or, with a file name, a [`Kind::File`]; its value is its body, its children are its
//! header lines and its file name. Multipart is where parsers differ most, and every difference is an evasion, so this
//! one reads on where a lenient server would and notes each deviation: the faults `Multipart…` carry what
//! ModSecurity's variables `MULTIPART_…` say. Delimiters are found with one substring search; a boundary holds no line
//! feed, so candidates never overlap and the cost is linear.

use std::collections::HashSet;

use memchr::memmem::{self, Finder};

mod boundary;
mod head;

use self::boundary::boundary;
use self::head::Head;
use crate::builder::{Builder, Stop, saturated};
use crate::encoding::is_space;
use crate::fault::FaultKind;
use crate::kind::Kind;
use crate::limits::Limit;
use crate::tree::{NameSpan, Span};

pub(crate) fn decode(content_type: &[u8], out: &mut Builder<'_, '_>) -> Result<(), Stop> {
    let Some(boundary) = boundary(content_type, out) else {
        return Err(out.stop(FaultKind::MultipartNoBoundary, 0));
    };
    out.within(Limit::MultipartBoundaryLength, saturated(boundary.len()), 0)?;
    let needle = [b"\n--", &*boundary].concat();
    let is_form = content_type.get(..19).is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/form-data"));
    let source = out.source;
    Parser {
        source,
        finder: Finder::new(&needle),
        delimiter: needle.get(1..).unwrap_or_default(),
        is_form,
        files: 0,
        out,
    }
    .body()
}

struct Parser<'p, 'a, 'l> {
    source: &'a [u8],
    /// Searches a line feed and the delimiter
    finder: Finder<'p>,
    /// `--` and the boundary
    delimiter: &'p [u8],
    is_form: bool,
    files: u32,
    out: &'p mut Builder<'a, 'l>,
}

/// A delimiter line of the source.
#[derive(Clone, Copy)]
struct Delimiter {
    start: usize,
    end: usize,
    is_final: bool,
}

impl<'a> Parser<'_, 'a, '_> {
    fn body(&mut self) -> Result<(), Stop> {
        let Some(first) = self.first_delimiter() else {
            return Err(self.out.stop(FaultKind::MultipartNoFinalBoundary, 0));
        };
        if first.start > 0 {
            self.out.fault(FaultKind::MultipartDataBefore, 0);
        }
        self.note_dashes(0, first.start, FaultKind::MultipartDelimiterInside);
        let mut delimiter = first;
        let mut count = 0;
        while !delimiter.is_final {
            count += 1;
            self.out.within(Limit::MultipartPartCount, count, delimiter.start)?;
            let Some(next) = self.part(delimiter.end)? else {
                self.note_dashes(delimiter.end, self.source.len(), FaultKind::MultipartUnmatchedBoundary);
                return Err(self.out.stop(FaultKind::MultipartNoFinalBoundary, self.source.len()));
            };
            self.note_dashes(delimiter.end, next.start, FaultKind::MultipartDelimiterInside);
            delimiter = next;
        }
        if delimiter.end < self.source.len() {
            self.out.fault(FaultKind::MultipartDataAfter, delimiter.end);
            self.note_dashes(delimiter.end, self.source.len(), FaultKind::MultipartUnmatchedBoundary);
        }
        Ok(())
    }

    fn first_delimiter(&mut self) -> Option<Delimiter> {
        self.delimiter_at(0).or_else(|| self.find_delimiter(0))
    }

    /// The next delimiter line that begins after a line feed at or after `from`.
    fn find_delimiter(&mut self, from: usize) -> Option<Delimiter> {
        let mut from = from;
        loop {
            let at = self.finder.find(self.source.get(from..)?)?;
            from += at + 1;
            if let Some(delimiter) = self.delimiter_at(from) {
                return Some(delimiter);
            }
        }
    }

    /// The delimiter line that begins here, if it is one.
    fn delimiter_at(&mut self, start: usize) -> Option<Delimiter> {
        let after = self.source.get(start..)?.strip_prefix(self.delimiter)?;
        let (is_final, mut rest) = match after {
            [b'-', b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        if let [b' ' | b'\t', ..] = rest {
            // Transport padding: RFC 2046 tells receivers to accept it, many do not.
            self.out.fault(FaultKind::MultipartBadBoundary, start);
            while let [b' ' | b'\t', after @ ..] = rest {
                rest = after;
            }
        }
        let end = self.source.len() - rest.len();
        let ending = match rest {
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] => 1,
            [] if is_final => 0,
            _ => {
                self.out.fault(FaultKind::MultipartBadBoundary, start);
                return None;
            }
        };
        self.note_line_ending(ending, start);
        Some(Delimiter { start, end: end + ending, is_final })
    }

    fn note_line_ending(&mut self, length: usize, at: usize) {
        let kind = match length {
            1 => FaultKind::MultipartLfLine,
            2 => FaultKind::MultipartCrlfLine,
            _ => return,
        };
        if !self.out.has(kind) {
            self.out.fault(kind, at);
        }
    }

    /// Notes a line between two delimiters that looks like one.
    fn note_dashes(&mut self, start: usize, end: usize, kind: FaultKind) {
        let Some(region) = self.source.get(start..end) else { return };
        let at = match region {
            [b'-', b'-', ..] => Some(0),
            _ => memmem::find(region, b"\n--").or_else(|| memmem::find(region, self.delimiter)),
        };
        if let Some(at) = at {
            self.out.fault(kind, start + at);
        }
    }

    /// One part from the end of its delimiter line; returns the next delimiter.
    fn part(&mut self, start: usize) -> Result<Option<Delimiter>, Stop> {
        let at = Span::source(start, start);
        let id = self.out.open(Kind::Field, NameSpan::None, at, at)?;
        let (head, delimiter) = self.head(start)?;
        let (body_start, delimiter) = match (head.body, delimiter) {
            // The line feed that ended the header lines may begin the next delimiter.
            (Some(body), None) => (body, self.delimiter_at(body).or_else(|| self.find_delimiter(body))),
            (_, delimiter) => (delimiter.map_or(self.source.len(), |delimiter| delimiter.start), delimiter),
        };
        let mut body =
            self.source.get(body_start..delimiter.map_or(self.source.len(), |next| next.start)).unwrap_or_default();
        if delimiter.is_some() {
            body = body.strip_suffix(b"\n").map_or(body, |body| body.strip_suffix(b"\r").unwrap_or(body));
        }
        let value = Span::source(body_start, body_start + body.len());
        if head.filename.is_some() {
            self.files += 1;
            self.out.within(Limit::MultipartFileCount, self.files, start)?;
        } else {
            self.out.within(Limit::MultipartFieldLength, value.len, body_start)?;
        }
        if head.name.is_none_or(|name| name.len == 0) && self.is_form {
            self.out.fault(FaultKind::MultipartInvalidPart, start);
        }
        if let Some(node) = self.out.node_mut(id) {
            node.kind = if head.filename.is_some() { Kind::File } else { Kind::Field };
            node.name = head.name.map_or(NameSpan::None, NameSpan::Bytes);
            node.value = value;
        }
        self.out.close(body_start + body.len());
        Ok(delimiter)
    }

    // Header lines

    /// The header lines of a part; with the delimiter that cut them off, if one did.
    fn head(&mut self, start: usize) -> Result<(Head, Option<Delimiter>), Stop> {
        let mut head = Head::default();
        let mut names = HashSet::new();
        let mut count = 0;
        let mut at = start;
        while let Some(line) = self.line(at) {
            if line.content.is_empty() {
                self.note_line_ending(line.next - at, at);
                head.body = Some(line.next);
                break;
            }
            if let Some(delimiter) = self.delimiter_at(at) {
                self.out.fault(FaultKind::MultipartBadHeader, at);
                return Ok((head, Some(delimiter)));
            }
            let (next, is_folded) = self.header_end(line);
            count += 1;
            self.out.within(Limit::MultipartPartHeaderCount, count, at)?;
            self.out.within(Limit::MultipartPartHeaderLength, saturated(next - start), at)?;
            let name = head.read(self.out, (at, next), is_folded)?.to_ascii_lowercase();
            if !names.insert(name) {
                self.out.fault(FaultKind::MultipartDuplicateHeader, at);
            }
            at = next;
        }
        if head.body.is_some() && self.is_form && !head.has_disposition {
            self.out.fault(FaultKind::MultipartBadDisposition, start);
        }
        Ok((head, None))
    }

    /// The line that begins here, without its ending; `None` if nothing ends it.
    fn line(&self, at: usize) -> Option<Line<'a>> {
        let rest = self.source.get(at..)?;
        let (content, _) = rest.split_at_checked(memchr::memchr(b'\n', rest)?)?;
        let next = at + content.len() + 1;
        Some(Line { content: content.strip_suffix(b"\r").unwrap_or(content), next })
    }

    /// Where the header line ends whose first line this is: at the first line that is no continuation.
    fn header_end(&mut self, first: Line<'_>) -> (usize, bool) {
        let mut next = first.next;
        let is_cr = self.source.get(next - 2) == Some(&b'\r');
        self.note_line_ending(if is_cr { 2 } else { 1 }, next - 1);
        let mut is_folded = false;
        while let Some(Line { content: [first, ..], next: after }) = self.line(next)
            && is_space(*first)
        {
            let is_invalid = !matches!(first, b' ' | b'\t');
            is_folded = true;
            self.out.fault(FaultKind::MultipartHeaderFolding, next);
            if is_invalid {
                self.out.fault(FaultKind::MultipartInvalidHeaderFolding, next);
            }
            next = after;
        }
        (next, is_folded)
    }
}

/// A line of the source without its ending.
#[derive(Clone, Copy)]
struct Line<'s> {
    content: &'s [u8],
    next: usize,
}
