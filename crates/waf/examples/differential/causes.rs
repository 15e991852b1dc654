//! Why the two engines log different rules: what is known of libmodsecurity 3.0.9, each cause with its own test.
//!
//! A difference that no cause claims is a bug until it is understood. A cause is a decision about a behavior, not a way
//! to hide a rule: it claims no more than it explains. Where our engine can be made to behave as libmodsecurity does
//! ([`Counterfactual`](crate::counterfactual::Counterfactual)), the difference must go away with it.

use crate::compare::Difference;
use crate::counterfactual::Ids;
use crate::harness::{Exchange, Logged, field, rule_set_folder};

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
const PHRASES: &[(u32, &str)] = &[(930_120, "lfi-os-files.data"), (930_130, "restricted-files.data")];
/// Rules with `t:base64Decode`.
const BASE64: &[u32] = &[934_100, 934_101, 934_160];
/// Chains whose second link looks at what the first one has captured.
const CAPTURED: &[u32] = &[942_521];
/// Files of rules, by the thousands of their ids, that decode CSS.
const CSS_DECODED: &[u32] = &[941];
/// Rules that ask libinjection.
const INJECTION: &[u32] = &[941_100, 941_101, 942_100, 942_101];

/// What is known, the narrowest first.
pub const CAUSES: &[Cause] = &[
    Cause {
        name: "chain head logged",
        why: "libmodsecurity logs a rule with `multiMatch` at each match, and so the head of a chain, without message, \
              when a later link does not match. Bartizan logs chains that have matched.",
        reference: "ModSecurity 2 Reference Manual, `chain`: all rules of a chain must match. CRS overrides 942131-3, -5 and \
                    -7 for nginx because of these lines.",
        is_it: |case| !case.is_ours && case.line().contains("[msg \"\"] [data \"\"]"),
    },
    Cause {
        name: "part header with CRLF",
        why: "libmodsecurity leaves CR LF at the end of the header fields of multipart parts, so that patterns anchored \
              at the end, or about the bytes of a field, behave otherwise. Bartizan removes them.",
        reference: "RFC 2046 §5.1 and RFC 5322 §2.2: CR LF ends a header field and is no part of it. Nine of CRS's own tests \
                    of 922110 fail with libmodsecurity 3.0.9.",
        is_it: |case| (922_100..=922_150).contains(&case.rule) && is_of(case.exchange(), b"multipart/"),
    },
    Cause {
        name: "repeated Content-Type",
        why: "The rule judges the field that comes last, and libmodsecurity keeps fields of one name in no order. Both \
              engines log the repetition (920620).",
        reference: "RFC 9110 §5.3: the order of fields of one name is significant.",
        is_it: |case| {
            let logged = [&case.difference.ours, &case.difference.theirs];
            case.rule == CONTENT_TYPE && logged.iter().all(|logged| has(logged, REPEATED_CONTENT_TYPE))
        },
    },
    Cause {
        name: "JSON that is not UTF-8",
        why: "libmodsecurity takes overlong forms and surrogates in UTF-8 for characters. Bartizan reports them as an error \
              of the body (REQBODY_ERROR), and inspects it all the same.",
        reference: "RFC 8259 §8.1 wants UTF-8; RFC 3629 §3 and §10: overlong forms and surrogates are none, and attacks.",
        is_it: |case| case.is_ours && case.rule == BODY_ERROR && is_json_of_other_bytes(case.exchange()),
    },
    Cause {
        name: "JSON with other blanks",
        why: "libmodsecurity takes vertical tabs and form feeds between values for white space. Bartizan, too, but reports \
              them as an error of the body (REQBODY_ERROR).",
        reference: "RFC 8259 §2: white space is space, tab, line feed and carriage return.",
        is_it: |case| {
            let body = &case.exchange().body;
            let has_blank = memchr::memchr2(0x0b, 0x0c, body).is_some();
            case.is_ours && case.rule == BODY_ERROR && has_blank && is_of(case.exchange(), b"application/json")
        },
    },
    Cause {
        name: "odd cookies",
        why: "libmodsecurity drops a cookie without a name (`=value`), and keeps the blank before the `;` in a value. Bartizan \
              inspects the one and trims the other, as browsers and servers do.",
        reference: "RFC 6265bis §5.6: a cookie may have an empty name; white space around names and values is removed.",
        is_it: |case| {
            let cookie = field(&case.exchange().headers, "Cookie").unwrap_or_default();
            let is_odd = cookie
                .split(|byte| *byte == b';')
                .any(|pair| pair.trim_ascii().starts_with(b"=") || pair.trim_ascii_end().len() < pair.len());
            case.is_ours && is_odd && case.line().contains("REQUEST_COOKIES")
        },
    },
    Cause {
        name: "empty XML body",
        why: "libmodsecurity calls an empty body of type XML an error. Bartizan does not ask a parser about nothing.",
        reference: "RFC 9110 §6.4: there is no content to be parsed. ModSecurity 2 starts a parser with a body's first byte, \
                    and so agrees with Bartizan.",
        is_it: |case| {
            !case.is_ours && case.rule == BODY_ERROR && case.exchange().body.is_empty() && is_xml(case.exchange())
        },
    },
    Cause {
        name: "case in Content-Disposition",
        why: "libmodsecurity compares `form-data`, `name` and `filename` with their case, and calls a body that has them \
              otherwise an error. Bartizan reads them as servers do, and inspects the part.",
        reference: "RFC 2045 §5.1 and RFC 2183 §2: types and parameter names are matched without case.",
        is_it: |case| !case.is_ours && case.rule == BODY_ERROR && has_disposition_of_other_case(case.exchange()),
    },
    Cause {
        name: "behind a fault of the body",
        why: "A body that is not well-formed: both engines say so (REQBODY_ERROR); libmodsecurity keeps what it read before \
              the fault, Bartizan also inspects what can be read at and behind it. Without the body Bartizan does not log \
              the rule either.",
        reference: "No specification says what to do with the rest, and ModSecurity 2 stops, too. Lenient servers read on, and \
                    CRS itself does not stop a request for REQBODY_ERROR, so what stands there has to be seen; Bartizan \
                    only ever logs more.",
        is_it: |case| {
            case.is_ours && has(&case.difference.theirs, BODY_ERROR) && case.goes_with(|other| &other.without_body)
        },
    },
    Cause {
        name: "line ends in multipart values",
        why: "libmodsecurity 3.0.9 drops CR and LF from the values of multipart parts, so that patterns about lines see \
              one line, and words that were apart stand together. With such values Bartizan logs what libmodsecurity does.",
        reference: "RFC 2046 §5.1.1: only the line end before a delimiter is not of the part. ModSecurity 2 keeps the others.",
        is_it: |case| is_of(case.exchange(), b"multipart/") && case.goes_with(|other| &other.with_joined_parts),
    },
    Cause {
        name: "encoded question mark",
        why: "libmodsecurity decodes the target before it looks for the query, so that a `%3f` in the path hides the rest \
              of the path from REQUEST_FILENAME. With such a path Bartizan does not log the rule either.",
        reference: "RFC 3986 §2.2 and §3.4: an encoded `?` is data of the path and begins no query.",
        is_it: |case| case.is_ours && case.goes_with(|other| &other.with_cut_path),
    },
    Cause {
        name: "fragment",
        why: "libmodsecurity cuts the target at `#`. A server that takes such a target at all may not, so Bartizan inspects \
              the rest; with the shorter target it does not log the rule either.",
        reference: "RFC 9112 §3.2: a target has no fragment, so nothing says that the rest is not the path's.",
        is_it: |case| case.is_ours && case.goes_with(|other| &other.with_cut_target),
    },
    Cause {
        name: "absolute target without a path",
        why: "Of a target such as `http://localhost` libmodsecurity takes all as REQUEST_FILENAME; of one with a path it takes \
              the path. Bartizan takes the path, which is `/` here.",
        reference: "RFC 9110 §4.2.3 and RFC 9112 §3.2.2: an empty path of an http URI is the path `/`.",
        is_it: |case| {
            !case.is_ours
                && is_absolute_without_path(&case.exchange().target)
                && case.line().contains("`REQUEST_FILENAME'")
        },
    },
    Cause {
        name: "lines",
        why: "libmodsecurity compiles patterns so that `^` and `$` are the ends of lines. Bartizan has them as the ends of \
              the value; compiled as libmodsecurity does, its rules log what libmodsecurity's do.",
        reference: "CRS is written for the ends of the value: ModSecurity 2 compiles with DOTALL and DOLLAR_ENDONLY, without \
                    MULTILINE, and Coraza took MULTILINE back for CRS's sake.",
        is_it: |case| case.goes_with(|other| &other.with_lines),
    },
    Cause {
        name: "order of values",
        why: "When several values match a rule with `capture`, the next link of its chain sees what the last of them left in \
              TX:1. libmodsecurity keeps arguments in the order of their hashes, Bartizan in that of the request; with \
              the query reversed, or without the body, Bartizan judges as libmodsecurity does.",
        reference: "ModSecurity 2 keeps arguments in a table in the order of the request.",
        is_it: |case| {
            CAPTURED.contains(&case.rule)
                && (case.goes_with(|other| &other.with_reversed_query) || case.goes_with(|other| &other.without_body))
        },
    },
    Cause {
        name: "NUL before cssDecode",
        why: "libmodsecurity's `cssDecode` ends a value at the first NUL (`%2500` in an argument). Bartizan decodes all of it; \
              with values that end there it does not log the rule either.",
        reference: "ModSecurity 2 decodes by length; a `removeNulls` behind `cssDecode`, as CRS has it, would have no meaning \
                    otherwise.",
        is_it: |case| {
            case.is_ours && CSS_DECODED.contains(&(case.rule / 1_000)) && case.goes_with(|other| &other.with_cut_values)
        },
    },
    Cause {
        name: "base64 with other bytes in it",
        why: "libmodsecurity decodes all of a value or, when one byte is not of base64, nothing. Bartizan decodes up to the first byte that is not of base64.",
        reference: "ModSecurity 2 decodes up to the first such byte.",
        is_it: |case| case.is_ours && BASE64.contains(&case.rule),
    },
    Cause {
        name: "phrases that begin alike",
        why: "libmodsecurity's phrase search misses a phrase that begins inside of another one that is not completed \
              (`.env` in `/.a0proj/secrets.env`). Bartizan finds every phrase; what it found is in the rule's list.",
        reference: "ModSecurity 2 Reference Manual, `@pm`: a rule matches when any of the phrases is in the value.",
        is_it: |case| {
            let list = PHRASES.iter().find(|(rule, _)| *rule == case.rule);
            case.is_ours && list.is_some_and(|(_, file)| case.found_phrase_of(file))
        },
    },
    Cause {
        name: "libinjection",
        why: "libmodsecurity 3.0.9 carries libinjection 3.9.2, for which every attribute that begins with `on` is an event \
              handler (`oner%72or=`, `onccllicck=`). Bartizan has the port of a later version, which knows the events by \
              name and more elements and attributes than the old one.",
        reference: "The port agrees with the C library of its version on libinjection's own corpus; \
                    `bench/quality/waf.md` measures what is found.",
        is_it: |case| INJECTION.contains(&case.rule),
    },
    Cause {
        name: "XML that libxml2 refuses",
        why: "libxml2 calls more of a document a fault than Bartizan's reader, which goes on behind it and inspects the rest.",
        reference: "XML 1.0.",
        is_it: |case| !case.is_ours && case.rule == BODY_ERROR && is_xml(case.exchange()),
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

    /// Whether the log line shows a phrase of this list.
    fn found_phrase_of(&self, file: &str) -> bool {
        let found = self.line().split_once("Matched Data: ").and_then(|(_, rest)| rest.split_once(" found within"));
        let folder = rule_set_folder().unwrap_or_default();
        let list = std::fs::read_to_string(folder.join("rules").join(file)).unwrap_or_default();
        found.is_some_and(|(found, _)| list.lines().any(|phrase| phrase.eq_ignore_ascii_case(found)))
    }

    fn exchange(&self) -> &Exchange {
        &self.difference.exchange
    }

    /// Whether our engine judges the rule as libmodsecurity does once it behaves like it in this respect.
    fn goes_with(&self, respect: fn(&crate::counterfactual::Counterfactual) -> &Ids) -> bool {
        respect(&self.difference.counterfactual).contains(&self.rule) != self.is_ours
    }
}

fn has(logged: &[Logged], rule: u32) -> bool {
    logged.iter().any(|logged| logged.rule == rule)
}

fn is_of(exchange: &Exchange, media_type: &[u8]) -> bool {
    let found = field(&exchange.headers, "Content-Type").unwrap_or_default().to_ascii_lowercase();
    found.starts_with(media_type)
}

/// As `bench/waf/regression.conf` has it.
fn is_xml(exchange: &Exchange) -> bool {
    [b"text/xml".as_slice(), b"text/soap+xml", b"application/xml", b"application/soap+xml"]
        .iter()
        .any(|media_type| is_of(exchange, media_type))
}

fn is_absolute_without_path(target: &[u8]) -> bool {
    let authority = memchr::memmem::find(target, b"://").map(|at| &target[at + 3..]).unwrap_or(b"/");
    !target.starts_with(b"/") && !authority.split(|byte| *byte == b'?').next().is_some_and(|path| path.contains(&b'/'))
}

fn is_json_of_other_bytes(exchange: &Exchange) -> bool {
    is_of(exchange, b"application/json") && std::str::from_utf8(&exchange.body).is_err()
}

/// Whether a part's Content-Disposition has a word in capitals that libmodsecurity looks for.
fn has_disposition_of_other_case(exchange: &Exchange) -> bool {
    let is_of_other_case = |line: &[u8], word: &[u8]| {
        let lower = line.to_ascii_lowercase();
        memchr::memmem::find_iter(&lower, word).any(|at| line.get(at..at + word.len()) != Some(word))
    };
    is_of(exchange, b"multipart/")
        && exchange
            .body
            .split(|byte| *byte == b'\n')
            .filter(|line| line.to_ascii_lowercase().starts_with(b"content-disposition:"))
            .any(|line| [b"form-data".as_slice(), b"name="].iter().any(|word| is_of_other_case(line, word)))
}
