//! What a path segment looks like by itself: certainly a value, certainly a name, or leaning to one side.
//!
//! Odds are logarithmic, in hundredths: 0 is even, positive speaks for a literal, negative for a value. Integers, so
//! that every machine decides the same. The weights were tuned on the development half of the benchmark that
//! `examples/templating_quality.rs` describes.

use bartizan_model::ValueKind;

use crate::limits::LITERAL_BYTES_MAX;
use crate::vocabulary::Knowledge;

/// Log odds in hundredths.
pub(crate) type Odds = i32;

/// The odds of a segment that no evidence can make a value, such as `v2`.
pub(crate) const CERTAIN: Odds = 100_000;

/// What a segment's own bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A value, whatever its neighbors are
    Value,
    /// Perhaps a literal, with these odds
    Open(Odds),
}

/// Kind of a path segment's value; a masked segment (`{jwt}`) is of the kind that it names.
pub(crate) fn kind_of(segment: &str) -> ValueKind {
    match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some("jwt") => ValueKind::Jwt,
        Some("email") => ValueKind::Email,
        Some("uuid") => ValueKind::Uuid,
        Some("hex") => ValueKind::Hex,
        Some("card") => ValueKind::Integer,
        Some(_) => ValueKind::Token,
        None => ValueKind::of(segment.as_bytes()),
    }
}

impl Form {
    /// Judges a segment that stands at `position` (from 0).
    pub(crate) fn of(segment: &str, kind: ValueKind, position: usize) -> Self {
        if segment.is_empty() || is_version(segment) {
            return Self::Open(CERTAIN);
        }
        if segment.len() > LITERAL_BYTES_MAX || segment.contains(['{', '}']) {
            return Self::Value;
        }
        match kind {
            // `/2.0/users`, `/2010-04-01/Accounts`: versions stand in front
            ValueKind::Decimal if position <= 1 && segment.len() <= 4 => Self::Open(200),
            ValueKind::Date if position == 0 => Self::Open(100),
            ValueKind::Token | ValueKind::Hex if is_made_of_words(segment) => Self::Open(100),
            _ if kind.is_identifier() || is_scrambled(segment) => Self::Value,
            _ => stemmed(segment, kind),
        }
    }
}

/// `v1`, `v2.1`, `V3`, `v1beta2`, `v1alpha`: `v`, digits, then nothing but digits, points and a stage.
fn is_version(segment: &str) -> bool {
    let Some(rest) = segment.strip_prefix(['v', 'V']) else { return false };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '_');
    let stage = rest.trim_end_matches(|c: char| c.is_ascii_digit());
    segment.as_bytes().get(1).is_some_and(u8::is_ascii_digit)
        && ["", "alpha", "beta", "rc", "preview", "p"].contains(&stage.trim_start_matches('-'))
}

/// A long name with a digit in it (`getOAuth2AuthorizationServer`) is still a name.
fn is_made_of_words(segment: &str) -> bool {
    let knowledge = Knowledge::of(segment);
    knowledge.known >= 2 && knowledge.known_letters * 10 >= knowledge.letters * 7
}

/// Random letters in both cases, such as `IgjEXPDIJJSYGEOZoChSU`: an id in base 62 or 64 that happens to have few digits.
fn is_scrambled(segment: &str) -> bool {
    let letters = segment.as_bytes();
    let rises = letters.windows(2).filter(|pair| matches!(pair, [b'a'..=b'z' | b'0'..=b'9', b'A'..=b'Z'])).count();
    if segment.len() < 9 || rises * 6 < segment.len() {
        return false;
    }
    let knowledge = Knowledge::of(segment);
    knowledge.known_letters * 2 < knowledge.letters
}

/// File extensions of APIs and their documents; the name before them is what is judged.
const EXTENSIONS: [&str; 12] = ["json", "xml", "csv", "html", "pdf", "txt", "yaml", "png", "jpg", "svg", "php", "aspx"];

/// Judges what stands before a file extension: `42.json` is a value, `users.json` a name.
fn stemmed(segment: &str, kind: ValueKind) -> Form {
    let Some((stem, extension)) = segment.rsplit_once('.') else { return Form::Open(lean(segment, kind)) };
    if stem.is_empty() || !EXTENSIONS.contains(&extension) {
        return Form::Open(lean(segment, kind));
    }
    let kind = ValueKind::of(stem.as_bytes());
    if kind.is_identifier() && !is_made_of_words(stem) { Form::Value } else { Form::Open(lean(stem, kind)) }
}

/// The odds of a segment that is not a value by its form.
fn lean(segment: &str, kind: ValueKind) -> Odds {
    let knowledge = Knowledge::of(segment);
    let words = word_odds(knowledge);
    match kind {
        ValueKind::Boolean => -100,
        ValueKind::Code => {
            let digits = segment.bytes().filter(u8::is_ascii_digit).count();
            words
                - if knowledge.is_segment {
                    0
                } else if digits * 3 >= segment.len() {
                    250
                } else {
                    100
                }
        }
        ValueKind::Word => {
            words + plural_odds(segment) - slug_penalty(knowledge) - capitals_penalty(segment, knowledge)
        }
        _ if segment.starts_with(['$', '@', '_', '~', '.']) => words + 100,
        _ => words - 150,
    }
}

fn word_odds(knowledge: Knowledge) -> Odds {
    if knowledge.is_segment {
        350
    } else if knowledge.pieces == 0 {
        -50
    } else if knowledge.known == knowledge.pieces {
        150 + 25 * i32::from(knowledge.pieces.min(3))
    } else if knowledge.known > 0 {
        50
    } else {
        -50
    }
}

/// Resources are named in the plural, values hardly ever are.
fn plural_odds(segment: &str) -> Odds {
    if is_plural(segment) { 75 } else { 0 }
}

/// Four words and more make a title, not a name.
fn slug_penalty(knowledge: Knowledge) -> Odds {
    50 * (i32::from(knowledge.pieces) - 3).clamp(0, 4)
}

/// Short and all in capitals: a country, a currency, a stock.
fn capitals_penalty(segment: &str, knowledge: Knowledge) -> Odds {
    let is_code = segment.len() <= 5 && segment.bytes().all(|byte| byte.is_ascii_uppercase());
    if is_code && !knowledge.is_segment { 150 } else { 0 }
}

/// Whether an English plural: `users`, not `status`, `address`, `analysis`.
pub(crate) fn is_plural(segment: &str) -> bool {
    let lower = segment.len() > 3 && segment.is_ascii() && (segment.ends_with('s') || segment.ends_with('S'));
    let tail = segment.get(segment.len().saturating_sub(2)..).unwrap_or_default().to_ascii_lowercase();
    lower && !["ss", "us", "is"].contains(&tail.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(segment: &str) -> Form {
        Form::of(segment, kind_of(segment), 2)
    }

    #[test]
    fn identifiers_are_values() {
        for segment in
            ["42", "550e8400-e29b-41d4-a716-446655440000", "2026-01-31", "jane@example.com", "{jwt}", "42.json", "a{b"]
        {
            assert_eq!(form(segment), Form::Value, "{segment}");
        }
        assert_eq!(form(&"a".repeat(97)), Form::Value);
    }

    #[test]
    fn versions_are_never_values() {
        for segment in ["v1", "v2.1", "V3", "v1beta2", "v1.0-rc", "v10", ""] {
            assert_eq!(form(segment), Form::Open(CERTAIN), "{segment}");
        }
        for segment in ["vine", "v1x9z", "v"] {
            assert_ne!(form(segment), Form::Open(CERTAIN), "{segment}");
        }
    }

    #[test]
    fn names_lean_to_literals_and_odd_words_do_not() {
        let odds = |segment| match form(segment) {
            Form::Open(odds) => odds,
            Form::Value => -CERTAIN,
        };
        for name in
            ["users", "onboardingStatus", "settings", "users.json", "getOAuth2AuthorizationServer1", "$metadata"]
        {
            assert!(odds(name) > 0, "{name}: {}", odds(name));
        }
        for value in ["mueller", "AB-1234", "true", "%C3%BCber", "New%20York"] {
            assert!(odds(value) <= 0, "{value}: {}", odds(value));
        }
    }
}
