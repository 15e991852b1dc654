//! Patterns over values that have only plain bytes.
//!
//! Most values are words, numbers, names, short texts. What a pattern can match in such a value is much less than what
//! it can match at all: evasions, separators and brackets drop out, and with them whole rules. So for a few alphabets
//! every pattern is cut down to what is left of it over that alphabet: exact when every byte of the value is in it.

use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, HirKind, Repetition};

use crate::transform::ByteSet;

/// Numbers, times, addresses, UUIDs, hashes
const NUMBER: ByteSet = ByteSet::of(b".:-").with_range(b'0', b'9').with_range(b'a', b'f').with_range(b'A', b'F');
const WORD: ByteSet = ByteSet::of(b"_.-").with_range(b'a', b'z').with_range(b'A', b'Z').with_range(b'0', b'9');
const WORDS: ByteSet = WORD.with(ByteSet::of(b" :"));
const NAMES: ByteSet = WORDS.with(ByteSet::of(b",/@"));
const TEXT: ByteSet = NAMES.with(ByteSet::of(b"'\"!?()\n\r"));
const SYNTAX: ByteSet = NAMES.with(ByteSet::of(b"=;*+&%?"));

/// From the smallest to the largest; a value is taken to the first that holds all its bytes.
pub(crate) const ALPHABETS: [ByteSet; 6] = [NUMBER, WORD, WORDS, NAMES, TEXT, SYNTAX];

/// What is left of a pattern over an alphabet; a pattern that never matches when nothing is.
///
/// Recurses as deep as the pattern, whose depth its parser bounds.
pub(crate) fn restrict(hir: &Hir, alphabet: &ByteSet) -> Hir {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => hir.clone(),
        HirKind::Literal(literal) => {
            if literal.0.iter().all(|byte| alphabet.contains(*byte)) {
                hir.clone()
            } else {
                Hir::fail()
            }
        }
        HirKind::Class(class) => match byte_class(class) {
            Some(bytes) => restrict_class(&bytes, alphabet),
            None => hir.clone(),
        },
        HirKind::Repetition(repetition) => {
            let sub = restrict(&repetition.sub, alphabet);
            match (is_never(&sub), repetition.min) {
                (true, 0) => Hir::empty(),
                (true, _) => Hir::fail(),
                (false, _) => Hir::repetition(Repetition { sub: Box::new(sub), ..repetition.clone() }),
            }
        }
        HirKind::Capture(capture) => restrict(&capture.sub, alphabet),
        HirKind::Concat(parts) => {
            let parts: Vec<Hir> = parts.iter().map(|part| restrict(part, alphabet)).collect();
            if parts.iter().any(is_never) { Hir::fail() } else { Hir::concat(parts) }
        }
        HirKind::Alternation(parts) => {
            let parts: Vec<Hir> =
                parts.iter().map(|part| restrict(part, alphabet)).filter(|part| !is_never(part)).collect();
            if parts.is_empty() { Hir::fail() } else { Hir::alternation(parts) }
        }
    }
}

/// A class as bytes. Letters that stand side by side in an alternation become a class of characters; those of ASCII are
/// bytes all the same.
pub(crate) fn byte_class(class: &Class) -> Option<ClassBytes> {
    match class {
        Class::Bytes(bytes) => Some(bytes.clone()),
        Class::Unicode(characters) => characters.to_byte_class(),
    }
}

fn restrict_class(bytes: &ClassBytes, alphabet: &ByteSet) -> Hir {
    let all = bytes.ranges().iter().flat_map(|range| range.start()..=range.end());
    let left = all.filter(|byte| alphabet.contains(*byte)).map(|byte| ClassBytesRange::new(byte, byte));
    Hir::class(Class::Bytes(ClassBytes::new(left)))
}

/// Whether a pattern is the one that never matches.
pub(crate) fn is_never(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Class(Class::Bytes(bytes)) if bytes.ranges().is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex_automata::meta::Regex;

    use super::*;

    fn regex(hir: &Hir) -> Regex {
        Regex::builder().build_from_hir(hir).unwrap()
    }

    proptest! {
        #[test]
        fn over_its_alphabet_a_restricted_pattern_matches_what_the_whole_one_matches(
            text in "[a-z0-9_. :,/@-]{0,12}",
            pattern in proptest::sample::select(vec![
                "(?i)a[;|]*b", "[^a-z]c", "(?:x|;y|z+)$", "^a{2,}[<>]?b", "\\bon[a-z]{2,}\\b", "(a;)*b+", "[;<]", "a|<b>",
                "(?:^|[;])\\s*[a-c]+", ".\\d{2}.", "[\\x00-\\x20]a",
            ]),
        ) {
            let hir = crate::operator::hir(pattern.as_bytes()).unwrap();
            let restricted = restrict(&hir, &NAMES);
            prop_assert_eq!(regex(&restricted).is_match(text.as_bytes()), regex(&hir).is_match(text.as_bytes()));
        }
    }

    #[test]
    fn patterns_that_need_other_bytes_are_left_out() {
        for (pattern, is_left) in [("<script", false), ("on[a-z]+=", false), ("select|<b", true), ("(?:;)?a", true)] {
            let hir = crate::operator::hir(pattern.as_bytes()).unwrap();
            assert_eq!(!is_never(&restrict(&hir, &NAMES)), is_left, "{pattern}");
        }
    }
}
