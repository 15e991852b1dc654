//! Whose object it is: a parameter of the request against what is known of the caller.
//!
//! Every value that a server could take for the parameter must agree: all of several, under every spelling of the name
//! that some server takes for it. A parameter that is not there, a claim that is not there and a value of another type
//! do not agree. Types: path, query, headers, cookies and forms carry text, which equals a number when it is that number
//! in decimal; JSON's text equals text only, its numbers whole numbers only, `true` and `false` booleans only.
//! Source: OWASP API1:2023, CWE-639; RFC 8259 §4 on names that differ in case or stand twice.

use bartizan_config::{Attribute, Comparison, ObjectPlace, ObjectRule};
use bartizan_model::{ClaimValue, Location, Part, Principal};

use super::Request;
use super::checks;
use super::operation::Match;
use super::requirement::Fault;
use crate::edits::is_same_field;
use crate::parameters::{self, cookie_pairs, folded, is_named, plain_name, query_pairs};
use crate::redact;

/// A rule over an object, compiled.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) rule: ObjectRule,
    /// Its name as it is compared
    name: Box<[u8]>,
}

/// A parameter's value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Given<'a> {
    /// Text of a place that has no types
    Untyped(&'a [u8]),
    /// Text in JSON
    Text(&'a [u8]),
    /// A number in JSON, as written
    Number(&'a [u8]),
    /// A boolean in JSON
    Boolean(bool),
    /// Nothing that can be compared
    Other,
}

/// What is known of a caller.
enum Known<'a> {
    Missing,
    Text(&'a str),
    Number(i64),
    Boolean(bool),
    Texts(&'a [Box<str>]),
    Numbers(&'a [i64]),
    /// Groups in one text
    Words(Vec<&'a str>),
}

impl Object {
    pub(crate) fn new(rule: &ObjectRule) -> Self {
        let name = match rule.place {
            ObjectPlace::Query | ObjectPlace::Cookie => plain_name(rule.name.as_bytes()).as_slice().into(),
            ObjectPlace::Path | ObjectPlace::Header => rule.name.as_bytes().into(),
            ObjectPlace::Body => folded(rule.name.as_bytes()).into(),
        };
        Self { rule: rule.clone(), name }
    }

    /// What the head has against it.
    pub(crate) fn head_fault(&self, request: &Request<'_>, one: &Match<'_>) -> Option<Fault> {
        let principal = request.caller()?;
        let known = self.known(principal, request);
        let mut tally = Tally::default();
        let mut take = |value: &[u8]| tally.take(self.agrees(Given::Untyped(value), &known));
        match self.rule.place {
            ObjectPlace::Path => one.value(&self.rule.name).into_iter().for_each(take),
            ObjectPlace::Query => {
                let pairs = query_pairs(request.head.query().unwrap_or_default());
                for (_, value) in pairs.filter(|(name, _)| is_named(name, &self.name)) {
                    take(&parameters::decode(value));
                }
            }
            ObjectPlace::Header => {
                let fields = request.head.headers.iter().filter(|field| is_same_field(field.name, &self.name));
                fields.for_each(|field| take(field.value.trim_ascii()));
            }
            ObjectPlace::Cookie => {
                let fields = request.head.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(b"cookie"));
                let pairs = fields.flat_map(|field| cookie_pairs(field.value));
                pairs.filter(|(name, _)| is_named(name, &self.name)).for_each(|(_, value)| take(value));
            }
            ObjectPlace::Body => return None,
        }
        self.fault(&known, tally)
    }

    /// What values of the body have against it.
    pub(crate) fn body_fault<'a>(
        &self,
        principal: &Principal,
        groups_claim: &str,
        values: impl Iterator<Item = Given<'a>>,
    ) -> Option<Fault> {
        let known = self.known_of(principal, groups_claim);
        let mut tally = Tally::default();
        values.for_each(|value| tally.take(self.agrees(value, &known)));
        self.fault(&known, tally)
    }

    /// The name as it is compared.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    fn fault(&self, known: &Known<'_>, tally: Tally) -> Option<Fault> {
        let attribute = &self.rule.attribute;
        let words = if matches!(known, Known::Missing) {
            format!("`{attribute}` is missing")
        } else if tally.values == 0 {
            "the parameter is missing".to_owned()
        } else if tally.strangers > 0 {
            format!("{} of {} values is not in `{attribute}`", tally.strangers, tally.values)
        } else {
            return None;
        };
        let part = match self.rule.place {
            ObjectPlace::Path => Part::Path,
            ObjectPlace::Query => Part::Query,
            ObjectPlace::Header => Part::Header,
            ObjectPlace::Cookie => Part::Cookie,
            ObjectPlace::Body => Part::Body,
        };
        let location = Location { part, name: redact::member(part, self.rule.name.as_bytes()) };
        Some(Fault { info: &checks::OBJECT, words, location })
    }

    fn known<'p>(&self, principal: &'p Principal, request: &Request<'_>) -> Known<'p> {
        self.known_of(principal, request.groups_claim)
    }

    fn known_of<'p>(&self, principal: &'p Principal, groups_claim: &str) -> Known<'p> {
        match &self.rule.attribute {
            Attribute::Subject => Known::Text(&principal.subject),
            Attribute::Application => principal.application.as_deref().map_or(Known::Missing, Known::Text),
            Attribute::Scopes => Known::Texts(&principal.scopes),
            Attribute::Roles => Known::Texts(&principal.roles),
            Attribute::Groups => match principal.claim(groups_claim) {
                Some(ClaimValue::Text(text)) => Known::Words(text.split(' ').collect()),
                Some(ClaimValue::List(items)) => Known::Texts(items),
                Some(ClaimValue::Number(_) | ClaimValue::Boolean(_) | ClaimValue::Numbers(_)) | None => Known::Missing,
            },
            Attribute::Claim(name) => match principal.claim(name) {
                None => Known::Missing,
                Some(ClaimValue::Text(text)) => Known::Text(text),
                Some(ClaimValue::Number(number)) => Known::Number(*number),
                Some(ClaimValue::Boolean(boolean)) => Known::Boolean(*boolean),
                Some(ClaimValue::List(items)) => Known::Texts(items),
                Some(ClaimValue::Numbers(items)) => Known::Numbers(items),
            },
        }
    }

    /// Whether one value agrees. A single claim is a list of one; a list is not one value.
    fn agrees(&self, given: Given<'_>, known: &Known<'_>) -> bool {
        let is_list_asked = self.rule.comparison == Comparison::In;
        match known {
            Known::Missing => false,
            Known::Text(text) => is_text(given, text),
            Known::Number(number) => is_number(given, *number),
            Known::Boolean(boolean) => matches!(given, Given::Boolean(given) if given == *boolean),
            Known::Texts(items) => is_list_asked && items.iter().any(|item| is_text(given, item)),
            Known::Numbers(items) => is_list_asked && items.iter().any(|item| is_number(given, *item)),
            Known::Words(items) => is_list_asked && items.iter().any(|item| is_text(given, item)),
        }
    }
}

/// How many values there were, and how many did not agree.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    values: usize,
    strangers: usize,
}

impl Tally {
    fn take(&mut self, agrees: bool) {
        self.values += 1;
        self.strangers += usize::from(!agrees);
    }
}

/// An empty text is nobody's: it stands for "not known" on either side.
fn is_text(given: Given<'_>, text: &str) -> bool {
    match given {
        Given::Untyped(bytes) | Given::Text(bytes) => !text.is_empty() && bytes == text.as_bytes(),
        Given::Number(_) | Given::Boolean(_) | Given::Other => false,
    }
}

fn is_number(given: Given<'_>, number: i64) -> bool {
    match given {
        Given::Untyped(bytes) | Given::Number(bytes) => decimal(bytes) == Some(number),
        Given::Text(_) | Given::Boolean(_) | Given::Other => false,
    }
}

/// A whole number in the one way it is written in decimal: `007`, `+7`, `7.0` and `-0` are read differently by servers.
fn decimal(bytes: &[u8]) -> Option<i64> {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let is_plain = digits.iter().all(u8::is_ascii_digit) && (digits == b"0" || !digits.starts_with(b"0"));
    if !is_plain || bytes == b"-0" {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_way_to_write_a_number_is_the_number() {
        assert_eq!(decimal(b"42"), Some(42));
        assert_eq!(decimal(b"-7"), Some(-7));
        assert_eq!(decimal(b"0"), Some(0));
        for other in ["", "-", "042", "+42", "42.0", "4e1", "-0", " 42", "0x2a", "42\0", "99999999999999999999"] {
            assert_eq!(decimal(other.as_bytes()), None, "{other}");
        }
    }
}
