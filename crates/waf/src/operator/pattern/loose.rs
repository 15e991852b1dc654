//! A pattern without its long bounds: `[^<]*` for `[^<]{0,200}`.
//!
//! A bound costs an automaton a state for each step up to it: a pattern for tokens of up to 4000 characters becomes one of
//! thousands of states, too many for the fast engines. Without such bounds it matches whatever the whole pattern does and perhaps
//! more, so what it does not match the whole one does not either. In a value too short to go beyond any of the bounds both match
//! alike, down to the groups: every repetition counted takes at least so many bytes, and the order in which ways to match are
//! preferred is the same.

use regex_syntax::hir::{Capture, Hir, HirKind, Repetition};

/// Bounds that are left out; below, a pattern gains less than it says about fewer values.
const BOUND_MIN: u32 = 32;

/// A pattern without its long bounds.
#[derive(Debug)]
pub(super) struct Loose {
    pub(super) hir: Hir,
    /// It matches values of up to so many bytes as the whole pattern does
    pub(super) exact_bytes_max: usize,
}

impl Loose {
    /// `None` when the pattern has no long bounds.
    pub(super) fn of(hir: &Hir) -> Option<Self> {
        let mut exact_bytes_max = usize::MAX;
        let loose = without_bounds(hir, &mut exact_bytes_max);
        (exact_bytes_max != usize::MAX).then_some(Self { hir: loose, exact_bytes_max })
    }
}

/// The pattern without long bounds; `bytes_max` becomes the length of the longest value that is too short for the least of them.
///
/// Recurses as deep as the pattern, whose depth its parser bounds.
fn without_bounds(hir: &Hir, bytes_max: &mut usize) -> Hir {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Literal(_) | HirKind::Class(_) => hir.clone(),
        HirKind::Repetition(repetition) => {
            let sub = Box::new(without_bounds(&repetition.sub, bytes_max));
            Hir::repetition(Repetition { max: without_bound(repetition, bytes_max), sub, ..*repetition })
        }
        HirKind::Capture(capture) => {
            let sub = Box::new(without_bounds(&capture.sub, bytes_max));
            Hir::capture(Capture { index: capture.index, name: capture.name.clone(), sub })
        }
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(|part| without_bounds(part, bytes_max)).collect()),
        HirKind::Alternation(parts) => {
            let loose = Hir::alternation(parts.iter().map(|part| without_bounds(part, bytes_max)).collect());
            // What has become the same at the beginning of all is taken out of them, and of `.{0,40}a|.{0,50}b` another match
            // would be the first.
            let is_same = matches!(loose.kind(), HirKind::Alternation(left) if left.len() == parts.len());
            if is_same { loose } else { hir.clone() }
        }
    }
}

/// The bound that a repetition keeps. One that may take no bytes keeps its own: nothing says how often it is counted.
fn without_bound(repetition: &Repetition, bytes_max: &mut usize) -> Option<u32> {
    let least = repetition.sub.properties().minimum_len().unwrap_or(0);
    let bound = repetition.max.filter(|max| *max >= BOUND_MIN && *max > repetition.min && least > 0);
    let Some(bound) = bound else { return repetition.max };
    *bytes_max = (*bytes_max).min((bound as usize + 1).saturating_mul(least) - 1);
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::operator::pattern::{AUTOMATON_BYTES_MAX, Pattern};
    use crate::operator::{CAPTURES_MAX, Captures, hir};

    /// What is found of a pattern in a text: whether it matches, and what `TX.0` and on are when so many are asked for.
    fn found(pattern: &Pattern, text: &[u8]) -> [(bool, bool, Captures); 2] {
        [1, CAPTURES_MAX].map(|count| {
            let mut captures = Captures::default();
            captures.ask_for(count);
            (pattern.is_match(text), pattern.find(text, &mut captures), captures)
        })
    }

    proptest! {
        #[test]
        fn without_bounds_a_pattern_finds_what_it_finds_with_them(
            runs in proptest::collection::vec(("[ab<>/. e]", 1_usize..40), 0..7),
            pattern in proptest::sample::select(vec![
                "^(e[ab]{8,33})", "a{0,32}(b|<)", "[ab]{0,40}b|[ab]{0,50}<", "<[^>]{0,35}(>|$)", "(a|b){2,34}?<",
                "(?:ab?){1,36}<", "(?:a*){0,40}b{0,34}<", "(a{0,32}b){0,33}(<)", "\\ba{1,32}\\b", ".{0,40}(a)",
                "^(?:[ab]{0,33}<)?([ab]{32,40})", "(?:[ab]{3}){0,32}<", "(?i)(A{3,35}?)(.{0,33})e",
            ]),
        ) {
            let text = runs.iter().map(|(piece, times)| piece.repeat(*times)).collect::<String>().into_bytes();
            let hir = hir(pattern.as_bytes()).unwrap();
            let with_bounds = Pattern::with_limit(&hir, AUTOMATON_BYTES_MAX).unwrap();
            let pattern = Pattern::of_hir(&hir).unwrap();
            prop_assert!(pattern.loose.is_some() && with_bounds.loose.is_none());
            prop_assert_eq!(found(&pattern, &text), found(&with_bounds, &text));
            for start in 0..=text.len() {
                prop_assert_eq!(pattern.find_from(&text, start), with_bounds.find_from(&text, start));
            }
        }
    }

    #[test]
    fn a_pattern_is_exact_up_to_its_least_bound() {
        for (pattern, expected) in [
            ("a{0,200}b{3,60}", Some(60)),
            ("(?:abc){1,32}", Some(98)),
            ("(?:a{0,40}b){0,99}", Some(40)),
            ("a{0,31}", None),
            ("a{64}", None),
            ("a{64,}", None),
            ("(?:a*){0,40}", None),
        ] {
            let hir = hir(pattern.as_bytes()).unwrap();
            assert_eq!(Loose::of(&hir).map(|loose| loose.exact_bytes_max), expected, "{pattern}");
        }
    }

    #[test]
    fn a_value_beyond_a_bound_is_told_from_one_within() {
        let pattern = Pattern::of_hir(&hir(b"^a{0,40}b").unwrap()).unwrap();
        for (count, expected) in [(39, true), (40, true), (41, false), (400, false)] {
            let text = format!("{}b", "a".repeat(count));
            assert_eq!(pattern.is_match(text.as_bytes()), expected, "{count}");
        }
    }
}
