//! Why the two engines log different rules: what is known of libmodsecurity 3.0.9, each cause with its own test.
//!
//! A difference that no cause claims is a bug until it is understood. A cause is a decision about a behavior, not a way
//! to hide a rule: it looks at the exchange and at what was logged, and claims no more than it explains.

use crate::compare::Difference;
use crate::harness::{Exchange, Logged};

/// Logged when the body could not be taken apart (`bench/waf/regression.conf`).
const BODY_ERROR: u32 = 200_002;
/// Content types that are not allowed, and more than one of them.
const CONTENT_TYPE: u32 = 920_420;
const REPEATED_CONTENT_TYPE: u32 = 920_620;
/// Rules that follow from the score of all others.
const SCORES: &[u32] = &[949_110, 949_111, 959_100, 959_101];

/// One rule that one engine alone logs.
pub struct Case<'a> {
    pub rule: u32,
    pub is_ours: bool,
    pub difference: &'a Difference,
}

/// A reason for differences.
pub struct Cause {
    pub name: &'static str,
    /// What each engine does
    pub why: &'static str,
    /// Which specification, or which behavior of ModSecurity 2, is right
    pub reference: &'static str,
    is_it: fn(&Case<'_>) -> bool,
}

/// Rules with many phrases in which shorter ones are part of longer ones.
const PHRASES: &[u32] = &[930_120, 930_130];
/// Rules with `t:base64Decode`.
const BASE64: &[u32] = &[934_100, 934_101, 934_160];
/// Rules with a link that must not match, or takes the first match, with `^` in its pattern.
const ANCHORED: &[u32] = &[942_200, 942_440, 942_521];
/// Rules that ask libinjection.
const INJECTION: &[u32] = &[941_100, 941_101, 942_100, 942_101];

/// What is known, the narrowest first.
pub const CAUSES: &[Cause] = &[
    Cause {
        name: "chain head logged",
        why: "libmodsecurity logs the head of some chains, without message, although a later link does not match (CRS \
              overrides 942131-3, -5 and -7 for it)",
        reference: "",
        is_it: |case| !case.is_ours && case.line().contains("[msg \"\"] [data \"\"]"),
    },
    Cause {
        name: "part header with CRLF",
        why: "libmodsecurity leaves CR LF at the end of the header fields of multipart parts, so that patterns anchored \
              at the end behave otherwise (nine tests of 922110 fail with it)",
        reference: "",
        is_it: |case| (922_100..=922_150).contains(&case.rule) && is_of(&case.difference.exchange, b"multipart/"),
    },
    Cause {
        name: "unreadable body",
        why: "a body that is not well-formed: libmodsecurity keeps nothing of it, our engine inspects what could be \
              read before and after the fault; both say so (REQBODY_ERROR)",
        reference: "",
        is_it: |case| case.is_ours && has(&case.difference.theirs, BODY_ERROR) && case.is_about_body(),
    },
    Cause {
        name: "empty XML body",
        why: "libmodsecurity calls an empty body of type XML an error, our engine does not ask a parser about nothing",
        reference: "",
        is_it: |case| !case.is_ours && case.rule == BODY_ERROR && case.difference.exchange.body.is_empty(),
    },
    Cause {
        name: "XML that libxml2 refuses",
        why: "libxml2 calls more of a document a fault (names, instructions, characters) than our reader, which goes on \
              behind it and inspects the rest",
        reference: "",
        is_it: |case| !case.is_ours && case.rule == BODY_ERROR && is_xml(&case.difference.exchange),
    },
    Cause {
        name: "line ends in XML attributes",
        why: "libxml2 makes blanks of the line ends in an attribute's value (XML 1.0 §3.3.3), our engine keeps them, so that \
              patterns about lines match",
        reference: "",
        is_it: |case| {
            case.is_ours && is_xml(&case.difference.exchange) && case.line().starts_with("Matched at XML://@*")
        },
    },
    Cause {
        name: "multipart with an empty name",
        why: "libmodsecurity calls a part with an empty name or file name a fault of the body",
        reference: "",
        is_it: |case| !case.is_ours && case.rule == BODY_ERROR && is_in(&case.difference.exchange, b"name=\"\""),
    },
    Cause {
        name: "repeated Content-Type",
        why: "the rule judges the field that comes last, and libmodsecurity keeps fields of one name in no order; both log \
              the repetition (920620)",
        reference: "",
        is_it: |case| {
            case.rule == CONTENT_TYPE
                && [&case.difference.ours, &case.difference.theirs]
                    .iter()
                    .all(|logged| has(logged, REPEATED_CONTENT_TYPE))
        },
    },
    Cause {
        name: "JSON that is not UTF-8",
        why: "RFC 8259 §8.1 wants UTF-8: our engine reports other bytes as an error of the body (and inspects it all the \
              same), libmodsecurity does not",
        reference: "",
        is_it: |case| case.is_ours && case.rule == BODY_ERROR && is_json_of_other_bytes(&case.difference.exchange),
    },
    Cause {
        name: "NUL made by decoding",
        why: "libmodsecurity cuts a value at a NUL that one transformation makes before the next one runs (`%2500`)",
        reference: "",
        is_it: |case| case.is_ours && is_in(&case.difference.exchange, b"%2500"),
    },
    Cause {
        name: "base64 with other bytes in it",
        why: "libmodsecurity decodes all of a value or nothing; ModSecurity 2 and our engine decode up to the first byte \
              that is not of base64",
        reference: "",
        is_it: |case| case.is_ours && BASE64.contains(&case.rule),
    },
    Cause {
        name: "line ends in multipart values",
        why: "libmodsecurity 3.0.9 drops CR and LF from the values of multipart parts, so that patterns about lines see \
              one line, and words that were apart stand together",
        reference: "",
        is_it: |case| is_of(&case.difference.exchange, b"multipart/") && has_lines_in_parts(&case.difference.exchange),
    },
    Cause {
        name: "encoded question mark",
        why: "libmodsecurity decodes the target before it looks for the query, so a `%3f` in the path hides the rest of \
              the path from REQUEST_FILENAME",
        reference: "",
        is_it: |case| case.is_ours && is_encoded_question_mark(&case.difference.exchange) && case.is_about_path(),
    },
    Cause {
        name: "fragment",
        why: "libmodsecurity cuts the target at `#` before it reads the query; a server that takes such a target at all \
              may not, and our engine inspects the rest",
        reference: "",
        is_it: |case| case.is_ours && case.difference.exchange.target.contains(&b'#'),
    },
    Cause {
        name: "phrases that begin alike",
        why: "libmodsecurity's phrase search misses a phrase that begins inside of another one that is not completed \
              (`.env` in `/.a0proj/secrets.env`)",
        reference: "",
        is_it: |case| case.is_ours && PHRASES.contains(&case.rule),
    },
    Cause {
        name: "libinjection",
        why: "libmodsecurity 3.0.9 carries libinjection 3.9.2, ours is the port of another version",
        reference: "",
        is_it: |case| INJECTION.contains(&case.rule),
    },
    Cause {
        name: "lines",
        why: "libmodsecurity compiles patterns with `^` and `$` meaning the ends of lines; CRS is written for the ends of \
              the value (ModSecurity 2, Coraza), as our engine has it",
        reference: "",
        is_it: |case| {
            let is_pattern =
                if case.is_ours { ANCHORED.contains(&case.rule) } else { case.line().contains("Operator `Rx'") };
            is_pattern && case.is_about_lines()
        },
    },
];

impl Case<'_> {
    /// The log line of the rule.
    pub fn line(&self) -> &str {
        let logged = if self.is_ours { &self.difference.ours } else { &self.difference.theirs };
        logged.iter().find(|logged| logged.rule == self.rule).map_or("", |logged| &logged.line)
    }

    /// Whether the rule only follows from others.
    pub fn is_score(&self) -> bool {
        SCORES.contains(&self.rule)
    }

    /// The first cause that claims this difference.
    pub fn cause(&self) -> Option<&'static Cause> {
        CAUSES.iter().find(|cause| (cause.is_it)(self))
    }

    /// Whether our engine matched something that only a body can hold.
    fn is_about_body(&self) -> bool {
        ["ARGS", "XML", "FILES", "MULTIPART", "REQUEST_BODY", "MATCHED_VAR", "TX:"]
            .iter()
            .any(|variable| self.line().starts_with(&format!("Matched at {variable}")))
    }

    /// Whether our engine matched in the path.
    fn is_about_path(&self) -> bool {
        ["REQUEST_FILENAME", "REQUEST_BASENAME", "MATCHED_VAR", "TX:"]
            .iter()
            .any(|variable| self.line().starts_with(&format!("Matched at {variable}")))
    }

    /// Whether the value has more than one line. A log line shows the first hundred bytes of a value; where it is cut,
    /// the exchange tells.
    fn is_about_lines(&self) -> bool {
        let value = self.line().split_once("(Value: `").map_or(self.line(), |(_, value)| value);
        let is_cut = value.contains("characters omitted")
            || self.line().contains("`TX:1'")
            || self.line().starts_with("Matched at TX:1.");
        value.contains("\\x0a") || (is_cut && has_line_end(&self.difference.exchange))
    }
}

fn has(logged: &[Logged], rule: u32) -> bool {
    logged.iter().any(|logged| logged.rule == rule)
}

fn is_of(exchange: &Exchange, media_type: &[u8]) -> bool {
    let found = crate::harness::field(&exchange.headers, "Content-Type").unwrap_or_default().to_ascii_lowercase();
    found.starts_with(media_type)
}

/// As `bench/waf/regression.conf` has it.
fn is_xml(exchange: &Exchange) -> bool {
    [b"text/xml".as_slice(), b"text/soap+xml", b"application/xml", b"application/soap+xml"]
        .iter()
        .any(|media_type| is_of(exchange, media_type))
}

fn is_encoded_question_mark(exchange: &Exchange) -> bool {
    let path = exchange.target.split(|byte| *byte == b'?').next().unwrap_or_default();
    memchr::memmem::find(&path.to_ascii_lowercase(), b"%3f").is_some()
}

/// A line end anywhere, as it is or written in one of the usual ways.
fn has_line_end(exchange: &Exchange) -> bool {
    let forms = ["\n", "%0a", "%0A", "\\n", "\\u000a", "\\u000A", "&#10;"];
    forms.iter().any(|form| is_in(exchange, form.as_bytes()))
}

fn is_in(exchange: &Exchange, form: &[u8]) -> bool {
    [&exchange.target, &exchange.body].iter().any(|bytes| memchr::memmem::find(bytes, form).is_some())
}

fn is_json_of_other_bytes(exchange: &Exchange) -> bool {
    is_of(exchange, b"application/json") && std::str::from_utf8(&exchange.body).is_err()
}

/// Whether a part's value has line ends of its own.
fn has_lines_in_parts(exchange: &Exchange) -> bool {
    let body = exchange.body.as_slice();
    let values = memchr::memmem::find_iter(body, b"\r\n\r\n").map(|at| &body[at + 4..]);
    let mut lines = values.map(|value| value.split(|byte| *byte == b'\n').take(2).collect::<Vec<_>>());
    // The line after the first one of a value must be a boundary.
    lines.any(|lines| lines.get(1).is_some_and(|line| !line.starts_with(b"--")))
}
