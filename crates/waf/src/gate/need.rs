//! What a value must contain for an operator to match it.
//!
//! From a pattern the walker takes sets of literals of which every match contains one. It works bottom up: a part has
//! either few texts that it can match at all, which are multiplied along concatenations, or a set that it requires. Of
//! all the sets that a concatenation offers, the one that occurs most rarely in traffic is taken.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use crate::operator::{Matcher, Relation};
use crate::transform::ByteSet;

use super::alphabet::{ALPHABETS, byte_class, is_never, restrict};
use super::automaton::LITERAL_BYTES_MAX;

/// LIMIT: texts in a set while it is multiplied.
const EXACT_MAX: usize = 128;

/// LIMIT: texts of an alternation; the longest lists of commands have some hundreds.
const REQUIRED_MAX: usize = 4096;

/// LIMIT: bytes of a text while it grows.
const TEXT_BYTES_MAX: usize = 32;

/// LIMIT: bytes of a class that is taken as texts of one byte each.
const CLASS_MAX: usize = 10;

/// What a match requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing that could be looked for
    Nothing,
    /// One of these texts, in lower case, each at most [`LITERAL_BYTES_MAX`] bytes
    Literals(Vec<Vec<u8>>),
    /// A byte of this set
    Byte(ByteSet),
    /// That libinjection may find SQL in it
    NoProofAgainstSqli,
}

impl Need {
    /// Whether the automaton looks for it, which has no regard to case.
    pub(crate) const fn is_searched(&self) -> bool {
        match self {
            Self::Nothing | Self::Literals(_) => true,
            Self::Byte(_) | Self::NoProofAgainstSqli => false,
        }
    }
}

/// What a match requires, of any value and of values over each alphabet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) general: Need,
    /// `None`: over this alphabet there is no match
    pub(crate) over: [Option<Need>; ALPHABETS.len()],
    /// No match is shorter
    pub(crate) length_min: usize,
    /// No match is longer; holds for the value that the operator is given, not for the one before transformations
    pub(crate) length_max: usize,
}

impl Needs {
    /// Nothing is required.
    pub(crate) const NOTHING: Self = Self {
        general: Need::Nothing,
        over: [const { Some(Need::Nothing) }; ALPHABETS.len()],
        length_min: 0,
        length_max: usize::MAX,
    };
}

/// What an operator requires of a value; `pattern` is its argument.
pub(crate) fn of_matcher(matcher: &Matcher, pattern: Option<&[u8]>) -> Needs {
    let byte = |set: ByteSet| Needs {
        general: Need::Byte(set),
        over: ALPHABETS.map(|alphabet| {
            let left: ByteSet = (0..=u8::MAX).filter(|byte| set.contains(*byte) && alphabet.contains(*byte)).collect();
            (left != ByteSet::EMPTY).then_some(Need::Byte(set))
        }),
        length_min: 1,
        length_max: usize::MAX,
    };
    match matcher {
        Matcher::Pattern(_) => match pattern.and_then(|pattern| crate::operator::hir(pattern).ok()) {
            Some(hir) => of_pattern(&hir),
            None => Needs::NOTHING,
        },
        Matcher::Phrases(phrases) => of_phrases(phrases.phrases().map(<[u8]>::to_ascii_lowercase).collect()),
        Matcher::ByteRange(allowed) => byte(allowed.complement()),
        Matcher::UrlEncoding => byte(ByteSet::of(b"%")),
        Matcher::Utf8Encoding => byte(ByteSet::EMPTY.with_range(0x80, 0xff)),
        Matcher::Sqli => Needs {
            general: Need::NoProofAgainstSqli,
            over: [const { Some(Need::NoProofAgainstSqli) }; ALPHABETS.len()],
            ..Needs::NOTHING
        },
        Matcher::Xss => byte(ByteSet::of(b"<=")),
        Matcher::Text(relation, text) => of_text(*relation, text),
        Matcher::ExpandedPattern(_)
        | Matcher::Number(..)
        | Matcher::Networks(_)
        | Matcher::Checked(_)
        | Matcher::Always
        | Matcher::Never => Needs::NOTHING,
    }
}

fn of_pattern(hir: &Hir) -> Needs {
    let over = ALPHABETS.map(|alphabet| {
        let left = restrict(hir, &alphabet);
        (!is_never(&left)).then(|| of_hir(&left))
    });
    let properties = hir.properties();
    let is_whole =
        properties.look_set_prefix().contains(Look::Start) && properties.look_set_suffix().contains(Look::End);
    let length_max = properties.maximum_len().filter(|_| is_whole).unwrap_or(usize::MAX);
    Needs { general: of_hir(hir), over, length_min: properties.minimum_len().unwrap_or(0), length_max }
}

/// The argument of a comparison without macros.
fn of_text(relation: Relation, text: &[u8]) -> Needs {
    let is_in = of_phrases(vec![text.to_ascii_lowercase()]);
    match relation {
        Relation::BeginsWith | Relation::Contains | Relation::ContainsWord | Relation::EndsWith => is_in,
        Relation::Equals => Needs { length_max: text.len(), ..is_in },
        Relation::Within => Needs { length_max: text.len(), ..Needs::NOTHING },
    }
}

/// What one of these texts being in a value requires.
pub(super) fn of_phrases(phrases: Vec<Vec<u8>>) -> Needs {
    let over = ALPHABETS.map(|alphabet| {
        let is_in = |phrase: &Vec<u8>| {
            phrase.iter().all(|byte| alphabet.contains(*byte) || alphabet.contains(byte.to_ascii_uppercase()))
        };
        let left: Vec<_> = phrases.iter().filter(|phrase| is_in(phrase)).cloned().collect();
        (!left.is_empty()).then(|| literals(left))
    });
    let length_min = phrases.iter().map(Vec::len).min().unwrap_or(0);
    Needs { general: literals(phrases), over, length_min, length_max: usize::MAX }
}

/// What a pattern requires.
pub(crate) fn of_hir(hir: &Hir) -> Need {
    match walk(hir).best() {
        Some(texts) => literals(texts),
        None => Need::Nothing,
    }
}

/// What every match begins with at the beginning of a value, in lower case; empty when that may be anything.
pub(crate) fn beginning(hir: &Hir) -> Vec<u8> {
    let mut text = Vec::new();
    let HirKind::Concat(parts) = hir.kind() else { return text };
    let [first, rest @ ..] = parts.as_slice() else { return text };
    if !matches!(first.kind(), HirKind::Look(Look::Start)) {
        return text;
    }
    for part in rest {
        match walk(part).exact.as_deref() {
            Some([only]) if !only.is_empty() => text.extend_from_slice(only),
            _ => break,
        }
    }
    text
}

/// The texts cut to their rarest parts; nothing, when one of them is empty.
fn literals(texts: Vec<Vec<u8>>) -> Need {
    if texts.is_empty() || texts.iter().any(Vec::is_empty) {
        return Need::Nothing;
    }
    let mut cut: Vec<Vec<u8>> = texts.iter().map(|text| rarest_part(text)).collect();
    cut.sort_unstable();
    cut.dedup();
    Need::Literals(cut)
}

fn rarest_part(text: &[u8]) -> Vec<u8> {
    let parts = text.windows(LITERAL_BYTES_MAX.min(text.len()));
    parts.min_by(|a, b| frequency(a).total_cmp(&frequency(b))).unwrap_or(text).to_vec()
}

/// What is known of a part of a pattern.
#[derive(Clone, Debug)]
struct Part {
    /// All the texts that it matches, in lower case, when they are few
    exact: Option<Vec<Vec<u8>>>,
    /// Texts of which every match contains one
    required: Option<Vec<Vec<u8>>>,
}

impl Part {
    const UNKNOWN: Self = Self { exact: None, required: None };

    fn exactly(texts: Vec<Vec<u8>>) -> Self {
        Self { exact: Some(texts), required: None }
    }

    /// The rarest set that every match contains one of.
    fn best(self) -> Option<Vec<Vec<u8>>> {
        rarer(self.exact.filter(|texts| is_useful(texts)), self.required)
    }
}

/// The part's knowledge. The depth of a pattern is bounded by its parser.
fn walk(hir: &Hir) -> Part {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Part::exactly(vec![Vec::new()]),
        HirKind::Literal(literal) => Part::exactly(vec![literal.0.to_ascii_lowercase()]),
        HirKind::Class(class) => of_class(class),
        HirKind::Capture(capture) => walk(&capture.sub),
        HirKind::Repetition(repetition) => {
            let part = walk(&repetition.sub);
            match (repetition.min, repetition.max) {
                (0, Some(1)) => match part.exact {
                    Some(mut texts) => {
                        texts.push(Vec::new());
                        Part::exactly(texts)
                    }
                    None => Part::UNKNOWN,
                },
                (0, _) => Part::UNKNOWN,
                (1, Some(1)) => part,
                _ => Part { exact: None, required: part.best() },
            }
        }
        HirKind::Concat(parts) => of_concatenation(parts),
        HirKind::Alternation(parts) => of_alternation(parts),
    }
}

fn of_class(class: &Class) -> Part {
    let Some(bytes) = byte_class(class) else { return Part::UNKNOWN };
    let mut texts = Vec::new();
    for range in bytes.ranges() {
        for byte in range.start()..=range.end() {
            let text = vec![byte.to_ascii_lowercase()];
            if !texts.contains(&text) {
                texts.push(text);
            }
            if texts.len() > CLASS_MAX {
                return Part::UNKNOWN;
            }
        }
    }
    // A class without bytes never matches; that nothing is known is on the safe side.
    if texts.is_empty() { Part::UNKNOWN } else { Part::exactly(texts) }
}

fn of_concatenation(parts: &[Hir]) -> Part {
    let mut run: Option<Vec<Vec<u8>>> = Some(vec![Vec::new()]);
    let mut is_whole = true;
    let mut best = None;
    for hir in parts {
        let part = walk(hir);
        best = rarer(best, part.required.clone());
        let grown = match (&run, &part.exact) {
            (Some(run), Some(texts)) => product(run, texts),
            _ => None,
        };
        run = match grown {
            Some(grown) => Some(grown),
            None => {
                // The run ends here; what it holds is required, and a new one may begin with this part.
                is_whole = false;
                best = rarer(best, run.filter(|texts| is_useful(texts)));
                Some(part.exact.unwrap_or_else(|| vec![Vec::new()]))
            }
        };
    }
    match (is_whole, run) {
        (true, Some(texts)) => Part { exact: Some(texts), required: best },
        (_, run) => Part { exact: None, required: rarer(best, run.filter(|texts| is_useful(texts))) },
    }
}

fn of_alternation(parts: &[Hir]) -> Part {
    let parts: Vec<Part> = parts.iter().map(walk).collect();
    let exact: Option<Vec<Vec<u8>>> = parts
        .iter()
        .map(|part| part.exact.clone())
        .collect::<Option<Vec<_>>>()
        .map(|texts| texts.concat())
        .filter(|texts| texts.len() <= EXACT_MAX);
    let required = parts.into_iter().map(Part::best).collect::<Option<Vec<_>>>().map(|texts| texts.concat());
    Part { exact, required: required.filter(|texts| texts.len() <= REQUIRED_MAX) }
}

/// Every text of one set followed by every one of another, when that stays small.
fn product(first: &[Vec<u8>], second: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    if first.len().saturating_mul(second.len()) > EXACT_MAX {
        return None;
    }
    let mut all = Vec::with_capacity(first.len() * second.len());
    for head in first {
        for tail in second {
            if head.len() + tail.len() > TEXT_BYTES_MAX {
                return None;
            }
            all.push([head.as_slice(), tail.as_slice()].concat());
        }
    }
    Some(all)
}

fn is_useful(texts: &[Vec<u8>]) -> bool {
    !texts.is_empty() && texts.iter().all(|text| !text.is_empty())
}

/// The set that occurs more rarely.
fn rarer(one: Option<Vec<Vec<u8>>>, other: Option<Vec<Vec<u8>>>) -> Option<Vec<Vec<u8>>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if cost(&other) < cost(&one) { other } else { one }),
        (one, other) => one.or(other),
    }
}

/// How often one of the texts is to be expected, and what they cost to look for.
fn cost(texts: &[Vec<u8>]) -> f64 {
    texts.iter().map(|text| frequency(&rarest_part(text)) + 1e-7).sum()
}

/// How often a text is to be expected at a place: the product of its bytes' shares in API traffic, roughly.
fn frequency(text: &[u8]) -> f64 {
    text.iter().map(|byte| share(*byte)).product()
}

fn share(byte: u8) -> f64 {
    match byte {
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 0.06,
        b'a'..=b'z' => 0.03,
        b'0'..=b'9' | b' ' | b'-' | b'.' | b'/' => 0.03,
        b'_' | b':' | b',' | b'=' | b'&' | b'%' | b'+' => 0.01,
        b'"' | b'\'' | b'(' | b')' | b';' | b'?' | b'@' | b'#' | b'*' => 0.005,
        b'{' | b'}' | b'[' | b']' | b'<' | b'>' | b'|' | b'$' | b'!' | b'\n' | b'\r' => 0.002,
        _ => 0.001,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, expected: &[&str]) {
        let hir = crate::operator::hir(pattern.as_bytes()).unwrap();
        let need = of_hir(&hir);
        if expected.is_empty() {
            assert_eq!(need, Need::Nothing, "{pattern}");
        } else {
            let mut expected: Vec<_> = expected.iter().map(|text| text.as_bytes().to_vec()).collect();
            expected.sort();
            assert_eq!(need, Need::Literals(expected), "{pattern}");
        }
    }

    #[test]
    fn the_rarest_required_texts_are_taken() {
        check("(?i)select", &["select"]);
        check("(?i)union.*select", &["select"]);
        check("a(?:b|c)d", &["abd", "acd"]);
        check("(?:foo|bar)+[0-9]*", &["bar", "foo"]);
        check("[<>]x", &["<x", ">x"]);
        check("x?yz", &["xyz", "yz"]);
    }

    #[test]
    fn nothing_is_required_where_a_match_may_be_anything() {
        for pattern in ["", "a*", ".*", "[a-z]+", "a|", "(?:abc)?", "^$", "\\b"] {
            check(pattern, &[]);
        }
    }
}
