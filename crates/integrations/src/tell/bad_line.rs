//! A line that did not become an exchange: why, and what it looked like without what it said.
//!
//! A bad line may hold anything, secrets included, so the excerpt keeps only its shape and the words of the formats
//! themselves: `{"time":"0000-00-00T00:00`. The line's number finds the rest.

use std::fmt;

/// LIMIT: bytes of a line shown in an excerpt; enough to see which format it was meant to be.
const EXCERPT_BYTES_MAX: usize = 72;

/// Words that may stand in an excerpt: the formats' own, never the traffic's.
const KNOWN_WORDS: &[&str] = &[
    "BADREQ", "CONNECT", "DELETE", "GET", "HEAD", "HTTP", "NOSRV", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", "body",
    "client", "entries", "false", "haproxy", "headers", "http", "https", "ip", "label", "log", "method", "null",
    "request", "response", "status", "time", "true", "url", "version",
];

/// Why a line was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Longer than the limit
    TooLong,
    /// Ends in the middle
    Truncated,
    /// Not in this format
    Syntax,
    /// In this format, but a member is missing or makes no sense
    Content,
    /// The input could not be read further
    Unreadable,
    /// A sound record of something that is not an HTTP exchange over the network: a `data:` URL, an answer from the
    /// browser's cache, a connection that never sent a request
    NotTraffic,
}

impl Reason {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Truncated => "truncated",
            Self::Syntax => "syntax",
            Self::Content => "content",
            Self::Unreadable => "unreadable",
            Self::NotTraffic => "not_traffic",
        }
    }

    /// Whether something is wrong with the file; `false` for a sound record of something else.
    pub const fn is_fault(self) -> bool {
        match self {
            Self::TooLong | Self::Truncated | Self::Syntax | Self::Content | Self::Unreadable => true,
            Self::NotTraffic => false,
        }
    }
}

/// A line that was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Why
    pub reason: Reason,
    /// What exactly, in words; holds nothing from the line
    pub detail: String,
    /// The beginning of the line: its shape only, letters as `a`, digits as `0`
    pub excerpt: String,
}

impl BadLine {
    /// For `line`, of which only the shape of its beginning is kept.
    pub(crate) fn new(reason: Reason, detail: impl Into<String>, line: &[u8]) -> Self {
        Self { reason, detail: detail.into(), excerpt: excerpt(line) }
    }
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)?;
        if self.excerpt.is_empty() { Ok(()) } else { write!(f, " (looks like `{}`)", self.excerpt) }
    }
}

/// What went wrong, before it is known which line it was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
}

impl Fault {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    pub(crate) fn content(detail: impl Into<String>) -> Self {
        Self::new(Reason::Content, detail)
    }

    pub(crate) fn at(self, line: &[u8]) -> BadLine {
        BadLine::new(self.reason, self.detail, line)
    }

    /// A JSON fault without the values that serde's messages quote.
    pub(crate) fn json(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let said = text.split(" at line ").next().unwrap_or_default();
        let column = error.column();
        match error.classify() {
            serde_json::error::Category::Eof => Self::new(Reason::Truncated, "the JSON ends in the middle"),
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
                Self::new(Reason::Syntax, format!("the JSON is wrong from column {column} on"))
            }
            serde_json::error::Category::Data
                if said.starts_with("missing field") || said.starts_with("duplicate field") =>
            {
                Self::content(said)
            }
            serde_json::error::Category::Data => match said.rsplit_once(", expected ") {
                Some((_, expected)) => Self::content(format!("expected {expected} at column {column}")),
                None => Self::content(format!("unexpected JSON at column {column}")),
            },
        }
    }
}

/// The shape of the beginning of `line`: known words stay, other letters become `a`, digits `0`, the rest of the
/// printable ASCII stays, anything else becomes `?`.
fn excerpt(line: &[u8]) -> String {
    let cut = line.get(..EXCERPT_BYTES_MAX).unwrap_or(line);
    let mut shown = String::with_capacity(cut.len() + 3);
    for run in cut.chunk_by(|a, b| a.is_ascii_alphabetic() && b.is_ascii_alphabetic()) {
        match std::str::from_utf8(run) {
            Ok(word) if KNOWN_WORDS.contains(&word) => shown.push_str(word),
            _ => shown.extend(run.iter().map(|&byte| shape(byte))),
        }
    }
    if cut.len() < line.len() {
        shown.push('…');
    }
    shown
}

fn shape(byte: u8) -> char {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' => 'a',
        b'0'..=b'9' => '0',
        b' '..=b'~' => char::from(byte),
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_shows_the_shape_and_not_the_words() {
        let line = br#"{"request":{"method":"POST","url":"https://a.example/?pin=1234"#;
        assert_eq!(excerpt(line), r#"{"request":{"method":"POST","url":"https://a.aaaaaaa/?aaa=0000"#);
        assert_eq!(excerpt("é\n".as_bytes()), "???");
        assert!(excerpt(&[b'x'; 500]).ends_with("a…"));
    }

    #[test]
    fn a_json_fault_does_not_quote_the_value() {
        let error = serde_json::from_str::<u16>(r#""hunter2""#).unwrap_err();
        let fault = Fault::json(&error);
        assert_eq!(fault.reason, Reason::Content);
        assert!(fault.detail.starts_with("expected u16"), "{}", fault.detail);
        assert!(!fault.detail.contains("hunter2"));
    }
}
