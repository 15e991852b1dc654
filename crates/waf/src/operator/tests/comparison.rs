//! Numbers and texts compared.

#![cfg(test)]
//! Texts, numbers and addresses.

use super::*;
use crate::operator::integer;

#[test]
fn texts_are_compared_byte_for_byte() {
    check(
        OperatorKind::Streq,
        b"ab",
        &[(b"ab", true), (b"AB", false), (b"ab\0", false), (b"", false), (b"abc", false)],
    );
    check(
        OperatorKind::BeginsWith,
        b"ab",
        &[(b"ab", true), (b"abc", true), (b"a", false), (b"", false), (b"\0ab", false)],
    );
    check(
        OperatorKind::EndsWith,
        b"ab",
        &[(b"ab", true), (b"cab", true), (b"b", false), (b"", false), (b"ab\0", false)],
    );
    check(
        OperatorKind::Contains,
        b"ab",
        &[(b"cabc", true), (b"a\0b", false), (b"", false), (b"\0ab\xff", true), (b"AB", false)],
    );
    check(OperatorKind::StrMatch, b"ab", &[(b"cabc", true), (b"ba", false), (b"", false)]);
}

#[test]
fn an_empty_argument_is_in_every_text() {
    for kind in [OperatorKind::BeginsWith, OperatorKind::EndsWith, OperatorKind::Contains, OperatorKind::ContainsWord] {
        check(kind, b"", &[(b"", true), (b"a", true)]);
    }
    check(OperatorKind::Streq, b"", &[(b"", true), (b"a", false)]);
}

#[test]
fn within_looks_for_the_value_in_the_argument() {
    check(
        OperatorKind::Within,
        b"GET HEAD",
        &[(b"GET", true), (b"ET H", true), (b"", true), (b"PUT", false), (b"GET HEAD POST", false), (b"get", false)],
    );
    check(OperatorKind::Within, b"", &[(b"", true), (b"a", false)]);
}

#[test]
fn words_are_bounded_by_anything_but_letters() {
    check(
        OperatorKind::ContainsWord,
        b"ab",
        &[
            (b"ab", true),
            (b"x ab y", true),
            (b"1ab2", true),
            (b"_ab_", true),
            (b"ab\xff", true),
            (b"abc", false),
            (b"cab", false),
            (b"cab ab", true),
            (b"", false),
            (b"AB", false),
        ],
    );
    // The second occurrence overlaps the first.
    check(OperatorKind::ContainsWord, b"a a", &[(b"xa a a", true), (b"xa ax", false)]);
}

#[test]
fn an_expanded_argument_takes_the_place_of_the_written_one() {
    for (kind, input, yes, no) in [
        (OperatorKind::Streq, &b"5"[..], &b"5"[..], &b"6"[..]),
        (OperatorKind::Within, b"GET", b"GET POST", b"PUT"),
        (OperatorKind::Contains, b"abc", b"b", b"x"),
        (OperatorKind::BeginsWith, b"abc", b"a", b"b"),
        (OperatorKind::EndsWith, b"abc", b"c", b"b"),
        (OperatorKind::ContainsWord, b"a b", b"b", b"c"),
        (OperatorKind::StrMatch, b"abc", b"b", b"x"),
        (OperatorKind::Eq, b"5", b"5", b"6"),
        (OperatorKind::Ge, b"5", b"5", b"6"),
        (OperatorKind::Gt, b"5", b"4", b"5"),
        (OperatorKind::Le, b"5", b"5", b"4"),
        (OperatorKind::Lt, b"5", b"6", b"5"),
        (OperatorKind::Rx, b"abc", b"^a.c$", b"^b"),
    ] {
        let matcher = compile(&with_macro(kind)).unwrap();
        assert!(matcher.is_match(input, Some(yes)), "{kind:?}");
        assert!(!matcher.is_match(input, Some(no)), "{kind:?}");
        assert!(matcher.is_match(input, Some(yes)), "{kind:?}");
    }
}

#[test]
fn numbers_are_read_as_c_reads_them() {
    for (text, expected) in [
        (&b""[..], 0),
        (b"0", 0),
        (b"12", 12),
        (b"-12", -12),
        (b"+12", 12),
        (b" \t\n12", 12),
        (b"12abc", 12),
        (b"abc", 0),
        (b"- 1", 0),
        (b"--1", 0),
        (b"0x10", 0),
        (b"1.9", 1),
        (b"1\x002", 1),
        (b"9223372036854775807", i64::MAX),
        (b"99999999999999999999", i64::MAX),
        (b"-9223372036854775808", i64::MIN),
        (b"-99999999999999999999", i64::MIN),
        (b"\xff1", 0),
    ] {
        assert_eq!(integer(text), expected, "{}", text.escape_ascii());
    }
}

#[test]
fn numbers_are_compared() {
    check(OperatorKind::Eq, b"5", &[(b"5", true), (b"05", true), (b"4", false), (b"", false), (b"5x", true)]);
    check(OperatorKind::Ge, b"5", &[(b"5", true), (b"6", true), (b"4", false), (b"-6", false), (b"", false)]);
    check(OperatorKind::Gt, b"5", &[(b"5", false), (b"6", true), (b"99999999999999999999", true)]);
    check(OperatorKind::Le, b"5", &[(b"5", true), (b"6", false), (b"", true), (b"-1", true)]);
    check(OperatorKind::Lt, b"5", &[(b"5", false), (b"4", true), (b"x", true)]);
    check(OperatorKind::Eq, b"0", &[(b"", true), (b"x", true), (b"1", false)]);
}

#[test]
fn addresses_are_found_in_networks() {
    check(
        OperatorKind::IpMatch,
        b"192.0.2.0/24, 198.51.100.7,2001:db8::/32,10.1.2.3/8",
        &[
            (b"192.0.2.1", true),
            (b"192.0.3.1", false),
            (b"198.51.100.7", true),
            (b"198.51.100.8", false),
            (b"10.255.0.1", true),
            (b"2001:db8::1", true),
            (b"2001:db9::1", false),
            (b"::ffff:192.0.2.1", true),
            (b" 192.0.2.1 ", true),
            (b"192.0.2.1\0", false),
            (b"192.0.2", false),
            (b"", false),
            (b"\xff", false),
        ],
    );
    check(OperatorKind::IpMatch, b"0.0.0.0/0", &[(b"255.255.255.255", true), (b"0.0.0.0", true), (b"::1", false)]);
    check(OperatorKind::IpMatch, b"::/0", &[(b"::1", true), (b"10.0.0.1", false)]);
    check(
        OperatorKind::IpMatch,
        b"10.0.0.0/8,10.1.0.0/16,9.0.0.0/8",
        &[(b"10.200.0.1", true), (b"9.1.1.1", true), (b"11.0.0.0", false)],
    );
}

#[test]
fn files_of_addresses_have_comments_and_blank_lines() {
    let file = b"# proxies\n192.0.2.1 # first\n\n  2001:db8::/32\r\n";
    let matcher = compile(&operator(OperatorKind::IpMatchFromFile, b"a.txt b.txt", &[file, b"10.0.0.1"])).unwrap();
    for (address, expected) in [("192.0.2.1", true), ("2001:db8::5", true), ("10.0.0.1", true), ("10.0.0.2", false)] {
        assert_eq!(matcher.is_match(address.as_bytes(), None), expected, "{address}");
    }
}

#[test]
fn what_is_no_address_is_a_fault() {
    for list in ["", ",", "x", "192.0.2.256", "192.0.2.0/33", "192.0.2.0/24/8", "2001:db8::/129", "192.0.2.1 192.0.2.2"]
    {
        let fault = fault(OperatorKind::IpMatch, list.as_bytes());
        assert!(fault.message.contains("address"), "{list}: {}", fault.message);
    }
}
