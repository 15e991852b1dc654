//! Gated is ungated: libinjection behind its gates and without them.

#![cfg(test)]
//! The gates against the forms without them.

use std::collections::BTreeSet;

use libinjectionrs::sqli::sqli_data::SQL_KEYWORDS;
use proptest::prelude::*;

use super::*;

/// A small, fast, reproducible source of numbers (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) as usize % bound
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// How many strings each test makes: `BARTIZAN_STRINGS`, for long runs of an optimized build.
fn strings(default: usize) -> usize {
    std::env::var("BARTIZAN_STRINGS").ok().and_then(|count| count.parse().ok()).unwrap_or(default)
}

/// The gated form says what the ungated form says.
fn check_sqli(input: &[u8]) {
    assert_eq!(sqli(input), sqli_ungated(input), "{:?}", input.escape_ascii().to_string());
}

fn check_xss(input: &[u8]) {
    assert_eq!(is_xss(input), is_xss_ungated(input), "{:?}", input.escape_ascii().to_string());
}

#[test]
fn no_fingerprint_consists_of_the_kinds_that_the_gate_lets_through() {
    let fingerprints: Vec<_> =
        SQL_KEYWORDS.iter().filter(|keyword| keyword.token_type == b'F').map(|keyword| &keyword.word[1..]).collect();
    assert!(fingerprints.len() > 8_000);
    for kinds in ["N1O,:.;{}?", "N1V,.{}?", "N1().;{}?"] {
        let found = fingerprints.iter().find(|fingerprint| fingerprint.chars().all(|kind| kinds.contains(kind)));
        assert_eq!(found, None, "{kinds}");
    }
}

#[test]
fn keywords_of_several_words_are_of_letters_and_start_with_a_known_pair() {
    let words: BTreeSet<_> =
        SQL_KEYWORDS.iter().filter(|keyword| keyword.token_type != b'F').map(|keyword| keyword.word).collect();
    for word in words.iter().filter(|word| word.contains(' ')) {
        assert!(
            word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ' || byte == b'_'),
            "{word}"
        );
    }
    for word in words.iter().filter(|word| word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_'))
    {
        assert!(word.len() < 32, "{word}");
    }
}

#[test]
fn values_of_apis_need_no_tokenizer() {
    for value in [
        "",
        "1",
        "widget",
        "2026-11-22T06:30:00Z",
        "550e8400-e29b-41d4-a716-446655440000",
        "https://example.com/a/b?page=2",
        "joe@example.com",
        "Hello world (draft)",
        "name, city, zip",
        "3.14",
        "application/json; q=0.9",
        "1e5",
        "0x1f",
        "group",
        "order 17",
        "user.password",
        "Grüße aus Köln",
    ] {
        assert!(sqli_gate::is_harmless(value.as_bytes()), "{value}");
        check_sqli(value.as_bytes());
    }
}

#[test]
fn injections_pass_the_gate() {
    for value in [
        "1' or '1'='1",
        "1 union select 1",
        "1union select 1",
        "1.e2union select 1",
        "1e+dunion select 2",
        "3--",
        "1/**/or 1",
        "a;drop table b",
        "1 group by 1,2",
        "user(1)or 2",
        "1||2",
        "1&&1",
        "\\Nunion select 1",
        "x@y,(select 1)",
        "$a$or",
        "sleep(5)",
        "1 or 1",
        "#",
        "`a`",
    ] {
        assert!(!sqli_gate::is_harmless(value.as_bytes()), "{value}");
        check_sqli(value.as_bytes());
    }
}

#[test]
fn gated_sqli_is_ungated_sqli_on_strings_of_sql_words() {
    let keywords = SQL_KEYWORDS.iter().filter(|keyword| keyword.token_type != b'F').map(|keyword| keyword.word);
    let (phrases, mut words): (Vec<&str>, Vec<&str>) = keywords.partition(|word| word.contains(' '));
    words.extend(phrases.iter().flat_map(|phrase| phrase.split(' ')));
    const MARKS: &[&str] = &[
        " ", " ", " ", ",", ".", ":", "::", "/", "-", "+", "=", "(", ")", ";", "@", "@@", "{", "}", "?", "]", "[", "*",
        "%", "<", ">", "!", "^", "~", "_", "\n", "\u{e9}", "e", "d", "f", "E+", "e-", "0x", "0b", "u", "x", "b", "n",
        "q",
    ];
    const NUMBERS: &[&str] = &["1", "0", "12", "1.", ".5", "1e5", "1e", "1.e", "2d", "3f", "0x1f", "0xg", "1fu", "1du"];
    const NAMES: &[&str] = &["a", "foo", "user", "password", "order", "group", "by", "x1", "id"];
    const WILD: &[&str] =
        &["'", "\"", "--", "/*", "*/", "#", "`", "\\", "\\N", "$", "$$", "&", "|", "||", "\0", "\u{a0}"];
    let mut numbers = Numbers(3);
    let mut harmless = 0;
    for _ in 0..strings(60_000) {
        let mut value = Vec::new();
        for _ in 0..=numbers.below(9) {
            let part = match numbers.below(24) {
                0..3 => numbers.pick(&words),
                3..5 => numbers.pick(&phrases),
                5..9 => numbers.pick(NUMBERS),
                9..12 => numbers.pick(NAMES),
                12..23 => numbers.pick(MARKS),
                _ => numbers.pick(WILD),
            };
            match numbers.below(4) {
                0 => value.extend(part.to_ascii_lowercase().bytes()),
                _ => value.extend(part.bytes()),
            }
        }
        harmless += usize::from(sqli_gate::is_harmless(&value));
        check_sqli(&value);
    }
    assert!(harmless > 0);
}

#[test]
fn gated_sqli_is_ungated_sqli_on_short_strings_of_marks() {
    const BYTES: &[u8] = b"1a. ,:;-/+=<>!%^*~@(){}?]_eEdDfFxXbBuUnNqQ0ORor\t\xe9\xa0";
    let mut numbers = Numbers(4);
    for _ in 0..strings(100_000) {
        let value: Vec<u8> = (0..=numbers.below(10)).map(|_| BYTES[numbers.below(BYTES.len())]).collect();
        check_sqli(&value);
    }
}

#[test]
fn gated_xss_is_ungated_xss_on_strings_of_html() {
    const PARTS: &[&str] = &[
        "<",
        ">",
        "=",
        "/",
        "script",
        "img",
        "src",
        "onerror",
        "onload",
        "style",
        "href",
        "javascript:",
        "svg",
        "xmlns",
        " ",
        "\t",
        "'",
        "\"",
        "`",
        "!",
        "--",
        "-->",
        "[CDATA[",
        "DOCTYPE",
        "?",
        "%",
        "&#x3c;",
        "a",
        "1",
        "\0",
        "import",
        "x:",
        "attributename",
    ];
    let mut numbers = Numbers(5);
    for _ in 0..strings(60_000) {
        let value: String = (0..=numbers.below(9)).map(|_| numbers.pick(PARTS)).collect();
        check_xss(value.as_bytes());
    }
}

#[test]
fn gated_is_ungated_on_the_payloads_of_the_core_rule_set() {
    let Some(lines) = crate::operator::tests::regression_lines() else { return };
    let mut numbers = Numbers(6);
    for line in &lines {
        let value = line.trim_ascii();
        let value = value.split_once_after(b": ");
        check_sqli(value);
        check_xss(value);
        // The same, percent-decoded, and with one byte changed or gone.
        let mut decoded = Vec::new();
        if crate::Transform::UrlDecodeUni.apply(value, &mut decoded) {
            check_sqli(&decoded);
            check_xss(&decoded);
        }
        let mut mutated = value.to_vec();
        if !mutated.is_empty() {
            let index = numbers.below(mutated.len());
            match numbers.below(3) {
                0 => drop(mutated.remove(index)),
                1 => mutated[index] = b" a1.,:-/('\""[numbers.below(11)],
                _ => mutated.truncate(index),
            }
        }
        check_sqli(&mutated);
        check_xss(&mutated);
    }
}

trait SplitOnceAfter {
    fn split_once_after(&self, separator: &[u8]) -> &[u8];
}

impl SplitOnceAfter for [u8] {
    /// What follows the first `separator`, or all of it.
    fn split_once_after(&self, separator: &[u8]) -> &[u8] {
        memchr::memmem::find(self, separator).map_or(self, |at| &self[at + separator.len()..])
    }
}

#[test]
fn long_values_take_linear_time() {
    let of = |part: &str| part.repeat((1 << 18) / part.len());
    for part in [
        "a.", "1a.", "or.", "a`", "$a.", "1 ", "1,", "(", "'", "\\'", "\"", "<", "</", "<a ", "=", "a=", "<!--",
        "<!-- -", "%", "--", "/*", "/**/", "@", "$", "$$", "$a$",
    ] {
        let value = of(part);
        let _ = (sqli(value.as_bytes()), is_xss(value.as_bytes()));
    }
}

#[test]
fn a_long_dotted_word_hides_no_injection() {
    let value = format!("1 or 1=1 union select {}", "a.".repeat(1 << 16));
    assert!(sqli(value.as_bytes()).is_some());
}

proptest! {
    #[test]
    fn gated_is_ungated_on_any_bytes(value in prop::collection::vec(any::<u8>(), 0..40)) {
        check_sqli(&value);
        check_xss(&value);
    }

    #[test]
    fn gated_is_ungated_on_any_text(value in "\\PC{0,40}") {
        check_sqli(value.as_bytes());
        check_xss(value.as_bytes());
    }
}
