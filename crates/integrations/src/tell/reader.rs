//! The one reader: any format, one item at a time.

use std::io::{self, BufRead, Cursor, Read};

use bartizan_model::{Exchange, Scheme};

use super::access_log::Parser;
use super::bad_line::{BadLine, Fault, Reason};
use super::exchanges;
use super::format::{AccessLog, Format, detect};
use super::har::Entries;
use super::lines::{Line, Lines};

/// LIMIT: bytes of one line or HAR entry, unless the options say otherwise: a body of 8 MiB fits, in base64 too.
const LINE_BYTES_MAX: usize = 16 << 20;

/// LIMIT: what is read ahead to tell an access log; a log may open with a few lines that are no requests.
const LINES_TRIED_MAX: usize = 16;
const BEGINNING_BYTES_MAX: usize = 64 << 10;

/// What to assume where a format does not say, and how much to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// LIMIT: bytes of one line, or of one HAR entry; a longer one is reported and skipped without being held
    pub line_bytes_max: usize,
    /// Host of requests in logs that do not record it; `None` leaves it empty
    pub host: Option<String>,
    /// Scheme of requests in logs that do not record it
    pub scheme: Scheme,
    /// Offset from UTC, in minutes, of times in logs that do not record theirs
    pub utc_offset_minutes: i16,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { line_bytes_max: LINE_BYTES_MAX, host: None, scheme: Scheme::Http, utc_offset_minutes: 0 }
    }
}

/// One line of the input, or one entry of a HAR file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The line's number, from 1; in a HAR file, which may well be one line, the entry's
    pub line: u64,
    /// The exchange, or why there is none
    pub exchange: Result<Exchange, BadLine>,
}

/// Yields the exchanges of a recording. Blank lines are passed over; an input that fails is reported once and ends.
pub struct Reader {
    kind: Kind,
}

enum Kind {
    Exchanges(Lines),
    AccessLog(Lines, Box<Parser>),
    Har(Box<Entries>),
    Ended,
}

impl Reader {
    /// Reads `input` as `format`. [`AccessLog::Auto`] reads the first lines ahead, and takes combined when they say
    /// nothing.
    pub fn open(format: Format, options: ReadOptions, mut input: Box<dyn BufRead + Send>) -> Self {
        let limit = options.line_bytes_max;
        let kind = match format {
            Format::Exchanges => Kind::Exchanges(Lines::new(input, limit)),
            Format::Har => Kind::Har(Box::new(Entries::new(input, limit))),
            Format::AccessLog(log) => {
                let log = match log {
                    AccessLog::Auto => {
                        let (log, whole) = detect_log(input);
                        input = whole;
                        log
                    }
                    AccessLog::Combined
                    | AccessLog::NginxJson
                    | AccessLog::Haproxy
                    | AccessLog::Envoy
                    | AccessLog::AwsApiGateway
                    | AccessLog::Fields(_) => log,
                };
                Kind::AccessLog(Lines::new(input, limit), Box::new(Parser::new(log, options)))
            }
        };
        Self { kind }
    }
}

/// Which access log `input` is, from as few lines as say so; and `input` with those lines before it again.
fn detect_log(mut input: Box<dyn BufRead + Send>) -> (AccessLog, Box<dyn BufRead + Send>) {
    let mut beginning = Vec::new();
    let mut found = AccessLog::Combined;
    for _ in 0..LINES_TRIED_MAX {
        let room = BEGINNING_BYTES_MAX.saturating_sub(beginning.len());
        let room = u64::try_from(room).unwrap_or_default();
        // A failure to read shows again, and is reported, at the line it befalls.
        let read = input.by_ref().take(room).read_until(b'\n', &mut beginning).unwrap_or_default();
        if let Some(Format::AccessLog(log)) = detect(&beginning) {
            found = log;
            break;
        }
        if read == 0 {
            break;
        }
    }
    (found, Box::new(Cursor::new(beginning).chain(input)))
}

impl Iterator for Reader {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let item = match &mut self.kind {
            Kind::Exchanges(lines) => next_in(lines, exchanges::read),
            Kind::AccessLog(lines, parser) => next_in(lines, |line| parser.parse(line)),
            Kind::Har(entries) => entries.next(),
            Kind::Ended => None,
        };
        let is_over = match &item {
            Some(item) => matches!(&item.exchange, Err(bad) if bad.reason == Reason::Unreadable),
            None => true,
        };
        if is_over {
            self.kind = Kind::Ended;
        }
        item
    }
}

/// The next line that is not blank, parsed.
fn next_in(lines: &mut Lines, parse: impl Fn(&[u8]) -> Result<Exchange, Fault>) -> Option<Item> {
    loop {
        let exchange = match lines.next_line() {
            Ok(None) => return None,
            Ok(Some(Line::Whole(line))) if line.trim_ascii().is_empty() => continue,
            Ok(Some(Line::Whole(line))) => parse(line).map_err(|fault| fault.at(line)),
            Ok(Some(Line::TooLong(line))) => Err(too_long(line)),
            Err(error) => Err(unreadable(&error)),
        };
        return Some(Item { line: lines.number(), exchange });
    }
}

/// A line or entry over the limit, of which `held` bytes were kept: as many as the limit says.
pub(crate) fn too_long(held: &[u8]) -> BadLine {
    BadLine::new(Reason::TooLong, format!("longer than {} bytes", held.len()), held)
}

/// The world failed in the middle of the input.
pub(crate) fn unreadable(error: &io::Error) -> BadLine {
    BadLine::new(Reason::Unreadable, format!("cannot read further: {error}"), b"")
}
