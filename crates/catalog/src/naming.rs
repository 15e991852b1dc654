//! Names of path parameters: `/users/{userId}`, `/countries/{country}`, `/on/{date}`, unique in their template.
//!
//! The name comes from the literal before the segment, made singular, with `Id` when the values are identifiers. A
//! second value after the same noun is numbered. Names are for people: an endpoint's id does not depend on them.

use bartizan_model::{PathTemplate, Segment, ValueKind};

use crate::form::{CERTAIN, Form};
use crate::trie::is_by;

/// LIMIT: bytes of a parameter's name.
const NAME_BYTES_MAX: usize = 40;

/// A segment of a template before its parameters have names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// A literal
    Literal(&'a str),
    /// A variable whose first value was of this kind
    Variable(ValueKind),
}

/// The template of these segments, with its parameters named.
pub(crate) fn template(parts: &[Part<'_>]) -> Option<PathTemplate> {
    let mut names: Vec<String> = Vec::new();
    let mut segments = Vec::with_capacity(parts.len());
    let mut noun = "";
    for part in parts {
        match *part {
            Part::Literal(literal) => {
                segments.push(Segment::Literal(literal.into()));
                if !literal.is_empty() {
                    noun = literal;
                }
            }
            Part::Variable(kind) => {
                let name = unique(name(noun, kind), &names);
                segments.push(Segment::Parameter(name.as_str().into()));
                names.push(name);
            }
        }
    }
    PathTemplate::new(segments).ok()
}

fn name(noun: &str, kind: ValueKind) -> String {
    match kind {
        ValueKind::Date | ValueKind::DateTime => return "date".into(),
        ValueKind::Email => return "email".into(),
        ValueKind::Ip => return "ip".into(),
        ValueKind::Jwt => return "token".into(),
        ValueKind::Empty
        | ValueKind::Boolean
        | ValueKind::Integer
        | ValueKind::Decimal
        | ValueKind::Uuid
        | ValueKind::Url
        | ValueKind::Hex
        | ValueKind::Token
        | ValueKind::Code
        | ValueKind::Word
        | ValueKind::Text => {}
    }
    let is_name = matches!(kind, ValueKind::Word | ValueKind::Text | ValueKind::Boolean);
    if is_by(noun) {
        let what = camel(noun.get(2..).unwrap_or_default());
        return if what.is_empty() { "key".into() } else { what };
    }
    let stem = singular(&camel(noun));
    match (stem.as_str(), is_name) {
        ("" | "api" | "rest", true) => "name".into(),
        ("" | "api" | "rest", false) => "id".into(),
        (_, true) => stem,
        (_, false) => stem + "Id",
    }
}

/// The words of a literal as one camel-case word; empty for a version, for a number and for what is not ASCII.
fn camel(literal: &str) -> String {
    let literal = literal.split('.').next().unwrap_or_default();
    if !literal.is_ascii() || literal.contains('%') || Form::of(literal, ValueKind::Word, 9) == Form::Open(CERTAIN) {
        return String::new();
    }
    let mut name = String::new();
    for word in literal.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let mut letters = word.chars();
        if let Some(first) = letters.next() {
            name.push(if name.is_empty() { first.to_ascii_lowercase() } else { first.to_ascii_uppercase() });
        }
        if word.bytes().any(|byte| byte.is_ascii_lowercase()) {
            name.extend(letters);
        } else {
            name.extend(letters.map(|c| c.to_ascii_lowercase()));
        }
    }
    name.truncate(NAME_BYTES_MAX);
    if name.starts_with(|c: char| c.is_ascii_digit()) { String::new() } else { name }
}

/// English singular, by rules good enough for a label.
fn singular(word: &str) -> String {
    const KEPT: [&str; 8] = ["status", "news", "series", "analytics", "dns", "sms", "address", "always"];
    const ODD: [(&str, &str); 6] = [
        ("people", "person"),
        ("children", "child"),
        ("indices", "index"),
        ("statuses", "status"),
        ("addresses", "address"),
        ("movies", "movie"),
    ];
    let lower = word.to_ascii_lowercase();
    if let Some((plural, single)) = ODD.iter().find(|(plural, _)| lower.ends_with(plural)) {
        let stem = word.get(..word.len() - plural.len()).unwrap_or_default();
        return if stem.is_empty() { (*single).into() } else { stem.to_owned() + &capital(single) };
    }
    if KEPT.iter().any(|kept| lower.ends_with(kept)) || !crate::form::is_plural(word) {
        return word.into();
    }
    for (plural, single) in [("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("s", "")] {
        if let Some(stem) = word.strip_suffix(plural) {
            return stem.to_owned() + single;
        }
    }
    word.into()
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

fn unique(name: String, taken: &[String]) -> String {
    if !taken.contains(&name) {
        return name;
    }
    (2..).map(|number| format!("{name}{number}")).find(|name| !taken.contains(name)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cases: &[(&str, ValueKind, &str)]) {
        for (noun, kind, expected) in cases {
            assert_eq!(name(noun, *kind), *expected, "{noun}");
        }
    }

    #[test]
    fn a_name_comes_from_the_noun_before() {
        check(&[
            ("users", ValueKind::Integer, "userId"),
            ("Users", ValueKind::Uuid, "userId"),
            ("countries", ValueKind::Word, "country"),
            ("order-items", ValueKind::Integer, "orderItemId"),
            ("addresses", ValueKind::Integer, "addressId"),
            ("shipping_addresses", ValueKind::Integer, "shippingAddressId"),
            ("status", ValueKind::Integer, "statusId"),
            ("people", ValueKind::Hex, "personId"),
            ("boxes", ValueKind::Integer, "boxId"),
            ("reports", ValueKind::Date, "date"),
            ("by-email", ValueKind::Word, "email"),
            ("byName", ValueKind::Word, "name"),
            ("by", ValueKind::Word, "key"),
            ("v1", ValueKind::Integer, "id"),
            ("", ValueKind::Word, "name"),
            ("%C3%BCber", ValueKind::Integer, "id"),
            ("users.json", ValueKind::Integer, "userId"),
            ("2fa", ValueKind::Integer, "id"),
        ]);
    }

    #[test]
    fn names_are_unique_in_a_template() {
        let parts = [
            Part::Literal("repos"),
            Part::Variable(ValueKind::Word),
            Part::Variable(ValueKind::Word),
            Part::Literal("repos"),
            Part::Variable(ValueKind::Word),
        ];
        assert_eq!(template(&parts).unwrap().to_string(), "/repos/{repo}/{repo2}/repos/{repo3}");
    }
}
