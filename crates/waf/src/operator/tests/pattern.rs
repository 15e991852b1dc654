//! Patterns as PCRE means them, in linear time.

#![cfg(test)]
//! Patterns: what PCRE means by them.

use super::*;
use crate::operator::hir;

fn check_pattern(pattern: &[u8], matching: &[&[u8]], others: &[&[u8]]) {
    let cases: Vec<_> =
        matching.iter().map(|&input| (input, true)).chain(others.iter().map(|&input| (input, false))).collect();
    check(OperatorKind::Rx, pattern, &cases);
}

#[test]
fn bytes_are_bytes() {
    check_pattern(br"\x{e9}", &[b"\xe9"], &["\u{e9}".as_bytes(), b"e9"]);
    check_pattern(br"^\x{41}$", &[b"A"], &[b"a"]);
    check_pattern(br"[\x{80}-\x{ff}]", &[b"\x80", b"\xff"], &[b"a"]);
    check_pattern(br"[^\x{00}-\x{7f}]", &[b"\x80", b"\xff"], &[b"a", b"\0"]);
    check_pattern("^[\u{e9}]$".as_bytes(), &[b"\xc3", b"\xa9"], &["\u{e9}".as_bytes()]);
    check_pattern(b"^\xff+$", &[b"\xff\xff"], &[b"a"]);
    check_pattern(br"^\\x{3}$", &[br"\xxx"], &[b"A"]);
    check_pattern(br"^\x4$", &[b"\x04"], &[b"4"]);
    check_pattern(br"^\x$", &[b"\0"], &[b"x"]);
    check_pattern(br"^\0\012$", &[b"\0\n"], &[b"0"]);
}

#[test]
fn a_dot_is_any_byte_and_a_dollar_the_very_end() {
    check_pattern(b"^a.b$", &[b"a\nb", b"a\xffb", b"a\0b"], &[b"a\nb\n", b"x\nacb", b"ab"]);
    check_pattern(b"(?m)^b$", &[b"a\nb\nc"], &[b"ab"]);
}

#[test]
fn case_is_ascii_case() {
    check_pattern(b"(?i)k\xe9", &[b"K\xe9"], &[b"K\xc9", "\u{212a}\u{e9}".as_bytes()]);
}

#[test]
fn escaped_angle_brackets_are_characters() {
    check_pattern(br"\<a\>", &[b"<a>"], &[b"a", b" a "]);
    check_pattern(br"[\<\>]", &[b"<", b">"], &[b"a"]);
}

#[test]
fn braces_that_repeat_nothing_are_characters() {
    check_pattern(br"^\${a}$", &[b"${a}"], &[b"$a"]);
    check_pattern(b"^a{,2}$", &[b"a{,2}"], &[b"aa"]);
    check_pattern(b"^a{2}b{1,}c{1,2}$", &[b"aabbcc"], &[b"abc", b"aabccc"]);
    check_pattern(b"^{$", &[b"{"], &[b""]);
}

#[test]
fn classes_have_no_operations() {
    check_pattern(b"^[a[b]$", &[b"a", b"[", b"b"], &[b"]"]);
    check_pattern(b"^[a&&b]$", &[b"a", b"&", b"b"], &[b""]);
    check_pattern(b"^[a~~b]$", &[b"a", b"~", b"b"], &[b""]);
    check_pattern(b"^[]a]$", &[b"]", b"a"], &[b"["]);
    check_pattern(b"^[^]a]$", &[b"b"], &[b"]", b"a"]);
    check_pattern(b"^[[:alpha:][:^digit:]_]$", &[b"a", b"_"], &[b"1"]);
    check_pattern(br"^[\w-.]$", &[b"a", b"-", b"."], &[b"+"]);
    check_pattern(br"^[\b]$", &[b"\x08"], &[b"b"]);
    check_pattern(br"^[\h]\h$", &[b" \t", b"\xa0 "], &[b"\n\n"]);
    check_pattern(br"^[a-]$", &[b"a", b"-"], &[b"b"]);
    check_pattern(br"^[-a]$", &[b"a", b"-"], &[b"b"]);
}

#[test]
fn other_escapes_mean_what_they_do_in_pcre() {
    check_pattern(br"^\e\/\-\#\_?$", &[b"\x1b/-#_", b"\x1b/-#"], &[b"e/-#"]);
    check_pattern(b"a(?#comment)b", &[b"ab"], &[b"acb"]);
    check_pattern(br"\bfoo\b", &[b"a foo b", b"\xe9foo\xe9"], &[b"afoo"]);
    check_pattern(br"\Afoo\z", &[b"foo"], &[b"foo\n"]);
}

#[test]
fn an_empty_pattern_matches_everything() {
    check_pattern(b"", &[b"", b"a", b"\xff"], &[]);
    check_pattern(b"^$", &[b""], &[b"a", b"\n"]);
}

#[test]
fn groups_are_captured_up_to_the_ninth() {
    let groups = matcher(OperatorKind::Rx, b"(a)(b)?(c)");
    assert_eq!(captured(&groups, b"xac"), Some(vec!["0=ac".to_owned(), "1=a".to_owned(), "3=c".to_owned()]));
    let twelve = matcher(OperatorKind::Rx, b"(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)");
    let found = captured(&twelve, b"abcdefghijkl").unwrap();
    assert_eq!((found.len(), found.last().unwrap().as_str()), (10, "9=i"));
    assert_eq!(
        captured(&matcher(OperatorKind::Rx, b"(?P<n>\xff)"), b"a\xff"),
        Some(vec!["0=\\xff".to_owned(), "1=\\xff".to_owned()])
    );
    assert_eq!(captured(&matcher(OperatorKind::Rx, b"x*"), b""), Some(vec!["0=".to_owned()]));
}

#[test]
fn what_linear_time_or_bytes_do_not_have_is_a_fault() {
    for pattern in [
        r"a(?=b)",
        r"(?<!a)b",
        r"(a)\1",
        r"(?>a)",
        r"(?R)",
        r"\x{100}",
        r"\p{L}",
        "a\\",
        "[a",
        "(a",
        "a)",
        "*a",
        "[--a]",
        r"\K",
        r"\Z",
        "a{2,1}",
        "[z-a]",
        "(?:a{1000}){1000}",
    ] {
        let fault = fault(OperatorKind::Rx, pattern.as_bytes());
        assert!(fault.message.contains("pattern") && !fault.help.is_empty(), "{pattern}: {fault:?}");
    }
    assert!(compile(&operator(OperatorKind::Rx, "(".repeat(100_000).as_bytes(), &[])).is_err());
}

#[test]
fn an_expanded_pattern_that_is_none_matches_nothing() {
    let matcher = compile(&with_macro(OperatorKind::Rx)).unwrap();
    assert!(matcher.is_match(b"abc", Some(b"^a")));
    assert!(!matcher.is_match(b"abc", Some(b"(")));
    assert!(!matcher.is_match(b"abc", Some(b"(?:a{1000}){1000}")));
    assert!(matcher.is_match(b"abc", Some(b"^a")));
    let mut captures = Captures::default();
    assert!(matcher.find(b"abc", Some(b"(b)"), &mut captures));
    assert_eq!(captures.iter(b"abc").count(), 2);
}

/// The patterns of `@rx` and `!@rx` in the Core Rule Set's files.
fn core_rule_set_patterns() -> Option<Vec<Vec<u8>>> {
    let mut patterns = Vec::new();
    for file in files(&crs()?.join("rules"), "conf") {
        let text = std::fs::read_to_string(file).unwrap().replace("\\\n", " ");
        for line in text.lines().filter(|line| line.trim_start().starts_with("SecRule ")) {
            let Some((_, rest)) = line.split_once("\"@rx ").or_else(|| line.split_once("\"!@rx ")) else { continue };
            let mut pattern = Vec::new();
            let mut bytes = rest.bytes();
            while let Some(byte) = bytes.next() {
                match byte {
                    b'"' => break,
                    b'\\' => match bytes.next().unwrap() {
                        b'"' => pattern.push(b'"'),
                        escaped => pattern.extend([b'\\', escaped]),
                    },
                    _ => pattern.push(byte),
                }
            }
            patterns.push(pattern);
        }
    }
    Some(patterns)
}

#[test]
fn every_pattern_of_the_core_rule_set_compiles() {
    let Some(patterns) = core_rule_set_patterns() else { return };
    assert!(patterns.len() >= 318, "{}", patterns.len());
    for pattern in patterns {
        let shown = pattern.escape_ascii();
        hir(&pattern).unwrap_or_else(|fault| panic!("{shown}: {fault:?}"));
        let matcher = compile(&operator(OperatorKind::Rx, &pattern, &[])).unwrap();
        let _ = matcher.is_match(b"\xff\0", None);
    }
}
