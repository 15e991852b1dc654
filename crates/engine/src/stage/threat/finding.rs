//! A rule's match as a finding: where, how bad, and the rule's own words with what matched, masked.
//!
//! Words are those of the rule's author; what a macro in them stands for is kept only when it is a number. What matched
//! is shown by its shape. Both come from the client, and events carry no payload.

use bartizan_model::{CheckId, Confidence, Finding, Location, Part, RequestHead, Severity};
use bartizan_waf::{Match, RuleInfo};

use crate::redact;

/// LIMIT: characters of the masked part that a finding keeps.
const EXCERPT_CHARS_MAX: usize = 48;
/// LIMIT: bytes of a rule's message that a finding keeps.
const MESSAGE_BYTES_MAX: usize = 200;

/// What tells a parameter of the query from one of the body.
#[derive(Debug, Default)]
pub(crate) struct Names {
    query: Option<Box<[u8]>>,
}

impl Names {
    /// Keeps the query.
    pub(crate) fn of(head: &RequestHead<'_>) -> Self {
        Self { query: head.query().map(Box::from) }
    }

    /// Where a variable is, named as `ARGS:id`; `None` for those that are nowhere, such as `TX:score`.
    pub(crate) fn location(&self, variable: &[u8]) -> Option<Location> {
        // A link that looks at what the links before it matched names that.
        let mut variable = variable;
        while let Some(matched) = variable.strip_prefix(b"MATCHED_VARS:") {
            variable = matched;
        }
        let mut parts = variable.splitn(2, |byte| *byte == b':');
        let (collection, member) = (parts.next()?, parts.next().unwrap_or_default());
        let collection = std::str::from_utf8(collection).ok()?;
        let part = match collection {
            "ARGS_GET" | "ARGS_GET_NAMES" => Part::Query,
            "ARGS_POST" | "ARGS_POST_NAMES" => Part::Body,
            "ARGS" | "ARGS_NAMES" if self.has_in_query(member) => Part::Query,
            "ARGS" | "ARGS_NAMES" => Part::Body,
            "QUERY_STRING" => Part::Query,
            "REQUEST_HEADERS" | "REQUEST_HEADERS_NAMES" | "AUTH_TYPE" | "SERVER_NAME" => Part::Header,
            "REQUEST_COOKIES" | "REQUEST_COOKIES_NAMES" => Part::Cookie,
            "REQUEST_METHOD" => Part::Method,
            "REQUEST_PROTOCOL" | "REMOTE_ADDR" | "REMOTE_PORT" | "SERVER_ADDR" | "SERVER_PORT" => Part::Connection,
            "PATH_INFO" | "REQUEST_LINE" => Part::Path,
            "REQUEST_BODY" | "REQUEST_BODY_LENGTH" | "XML" => Part::Body,
            "ARGS_COMBINED_SIZE" => return None,
            name if name.starts_with("RESPONSE_") || name == "STATUS_LINE" => Part::Response,
            name if name.starts_with("REQUEST_URI") || name.starts_with("REQUEST_") => Part::Path,
            name if name.starts_with("FILES") || name.starts_with("MULTIPART_") || name.starts_with("REQBODY") => {
                Part::Body
            }
            _ => return None,
        };
        let member = if collection == "XML" { b"" } else { member }; // its members are expressions
        Some(Location { part, name: redact::member(part, member) })
    }

    /// Whether the query has a parameter of this name.
    fn has_in_query(&self, member: &[u8]) -> bool {
        let Some(query) = &self.query else { return false };
        query.split(|byte| *byte == b'&').any(|pair| {
            let written = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
            let mut decoded = Vec::with_capacity(written.len());
            redact::decode_onto(&mut decoded, written, true);
            let inside = member.strip_prefix(decoded.as_slice()).filter(|_| !decoded.is_empty());
            decoded == member || inside.is_some_and(is_inside)
        })
    }
}

/// Whether this is the end of the name of something that was opened inside of a value, as `.base64`.
fn is_inside(end: &[u8]) -> bool {
    let mut steps = end.split(|byte| *byte == b'.');
    steps.next() == Some(b"") && matches!(steps.next(), Some(b"base64" | b"json" | b"jwt" | b"url"))
}

/// The finding of a match, or of a rule that stops without logging.
pub(crate) fn of(info: &RuleInfo, found: Option<&Match>, location: Location, is_stopping: bool) -> Finding {
    let mut evidence = words(&info.message, found.map(|found| found.message.as_slice()).unwrap_or_default());
    if let Some(part) = found.and_then(shown_part) {
        evidence.push_str(": `");
        evidence.push_str(&redact::shape(part, EXCERPT_CHARS_MAX));
        evidence.push('`');
    }
    Finding {
        check: CheckId::imported(format!("WAF-{}", info.id)),
        severity: severity(found.map_or(info.severity, |found| found.severity), is_stopping),
        confidence: if is_stopping { Confidence::High } else { Confidence::Medium },
        location,
        evidence: evidence.into(),
        policy: None,
    }
}

/// SecLang counts from 0, emergency, to 7, debug. What attack rules are (critical, 2) is high here: one match is a
/// sign, not a loss. A rule that stops without saying how bad it is counts as the attack that it stops.
pub(crate) const fn severity(severity: Option<u8>, is_stopping: bool) -> Severity {
    match severity {
        Some(0 | 1) => Severity::Critical,
        Some(2) => Severity::High,
        Some(3) => Severity::Medium,
        Some(4) => Severity::Low,
        None if is_stopping => Severity::High,
        Some(_) | None => Severity::Info,
    }
}

/// A rule's message, with what its macros stand for where that is a number, and `…` where it is not.
fn words(written: &str, expanded: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = expanded;
    let mut pieces = written.split("%{");
    let first = pieces.next().unwrap_or_default();
    text.push_str(first);
    rest = rest.strip_prefix(first.as_bytes()).unwrap_or_default();
    for piece in pieces {
        let literal = piece.split_once('}').map_or("", |(_, literal)| literal);
        let end = if literal.is_empty() { Some(rest.len()) } else { memchr::memmem::find(rest, literal.as_bytes()) };
        let (value, after) = end.and_then(|end| rest.split_at_checked(end)).unwrap_or_default();
        match std::str::from_utf8(value) {
            Ok(number) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.push_str(number);
            }
            _ => text.push('…'),
        }
        text.push_str(literal);
        rest = after.strip_prefix(literal.as_bytes()).unwrap_or_default();
    }
    if text.is_empty() {
        text.push_str("a rule without a message matched");
    }
    text.truncate(text.floor_char_boundary(MESSAGE_BYTES_MAX));
    text
}

/// What matched, as the rule says it, else as the engine of the rules does.
fn shown_part(found: &Match) -> Option<&[u8]> {
    let matched = Some(found.matched.as_slice()).filter(|matched| !matched.is_empty());
    matched_part(&found.data, &found.variable).or(matched)
}

/// What matched, out of `logdata` as the Core Rule Set writes it (`Matched Data: … found within ARGS:id: …`), and as
/// ours do (`… in ARGS:id`).
fn matched_part<'d>(data: &'d [u8], variable: &[u8]) -> Option<&'d [u8]> {
    let part = match data.strip_prefix(b"Matched Data: ") {
        Some(rest) => rest.get(..memchr::memmem::rfind(rest, b" found within ")?)?,
        None => data.strip_suffix(variable)?.strip_suffix(b" in ")?,
    };
    Some(part).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(query: &str, variable: &str) -> String {
        let names = Names { query: Some(query.as_bytes().into()) };
        names.location(variable.as_bytes()).map_or_else(|| "nowhere".to_owned(), |location| location.to_string())
    }

    #[test]
    fn a_variable_is_told_as_a_place_in_the_request() {
        for (query, variable, place) in [
            ("id=1", "ARGS:id", "query.id"),
            ("a%5B0%5D=1", "ARGS:a[0]", "query.a[0]"),
            ("", "ARGS:id", "body.id"),
            ("id=1", "ARGS:id.json.a", "query.id.json.a"),
            ("id=1", "ARGS:id.a", "body.id.a"),
            ("", "ARGS:json.items.0.sku", "body.items.0.sku"),
            ("", "REQUEST_HEADERS:User-Agent", "header.user-agent"),
            ("", "REQUEST_COOKIES:sid", "cookie.sid"),
            ("", "REQUEST_FILENAME", "path"),
            ("", "XML:/*", "body"),
            ("", "FILES:upload", "body.upload"),
            ("", "TX:score", "nowhere"),
            ("", "ARGS:jane@example.com", "body.{email}"),
            ("", "ARGS:1' OR '1", "body.0' aa '0"),
            ("", "RESPONSE_BODY", "response"),
            ("id=1", "MATCHED_VARS:MATCHED_VARS:ARGS:id", "query.id"),
        ] {
            assert_eq!(located(query, variable), place, "{variable}");
        }
    }

    #[test]
    fn numbers_in_a_message_are_kept_and_text_is_not() {
        assert_eq!(words("Score (Total: %{tx.score})", b"Score (Total: 15)"), "Score (Total: 15)");
        assert_eq!(words("Bad %{MATCHED_VAR} here", b"Bad hunter2 here"), "Bad … here");
        assert_eq!(words("Plain", b"Plain"), "Plain");
        assert_eq!(words("%{a}%{b}", b"12"), "12…");
        assert_eq!(words("", b""), "a rule without a message matched");
    }

    #[test]
    fn the_matched_part_is_what_the_rule_found() {
        let part = |data: &'static str| matched_part(data.as_bytes(), b"ARGS:id");
        assert_eq!(part("Matched Data: ' OR found within ARGS:id: 1' OR 2"), Some(&b"' OR"[..]));
        assert_eq!(part("' OR in ARGS:id"), Some(&b"' OR"[..]));
        assert_eq!(part("something else"), None);
    }
}
