//! Bytes, percent-encoding and UTF-8 validated.

#![cfg(test)]
//! What bytes should be.

use super::*;

#[test]
fn bytes_outside_of_the_ranges_are_found() {
    check(OperatorKind::ValidateByteRange, b"1-255", &[(b"", false), (b"a\xff", false), (b"a\0", true), (b"\0", true)]);
    check(
        OperatorKind::ValidateByteRange,
        b" 9, 10,13,32-126 ",
        &[(b"a b\r\n\t", false), (b"\x7f", true), (b"\x80", true), (b"~", false), (b"\x1f", true), (b"abc\0", true)],
    );
    check(OperatorKind::ValidateByteRange, b"0-255", &[(b"\0\xff", false)]);
}

#[test]
fn what_is_no_range_of_bytes_is_a_fault() {
    for argument in ["", ",", "a", "256", "1-256", "-1", "5-1", "1-", "1--2", "1,,2", "1-2-3", "0x10"] {
        assert!(fault(OperatorKind::ValidateByteRange, argument.as_bytes()).message.contains("byte"), "{argument}");
    }
}

#[test]
fn percent_signs_need_two_digits() {
    check(
        OperatorKind::ValidateUrlEncoding,
        b"",
        &[
            (b"", false),
            (b"a", false),
            (b"%41", false),
            (b"%aF%00", false),
            (b"%", true),
            (b"%4", true),
            (b"%4g", true),
            (b"%g4", true),
            (b"%41%", true),
            (b"%%41", true),
            (b"%u0041", true),
            (b"\0%\xff1", true),
        ],
    );
}

#[test]
fn utf8_is_that_of_rfc_3629() {
    check(
        OperatorKind::ValidateUtf8Encoding,
        b"",
        &[
            (b"", false),
            (b"a\0", false),
            (b"\xc3\xa9", false),
            (b"\xe2\x82\xac", false),
            (b"\xf0\x9f\x98\x80", false),
            (b"\xf4\x8f\xbf\xbf", false),
            (b"\xc3", true),
            (b"\xc3a", true),
            (b"\xe2\x82", true),
            (b"\x80", true),
            (b"\xff", true),
            (b"\xc0\xaf", true),
            (b"\xe0\x80\xaf", true),
            (b"\xf0\x80\x80\xaf", true),
            (b"\xed\xa0\x80", true),
            (b"\xf4\x90\x80\x80", true),
            (b"\xf5\x80\x80\x80", true),
        ],
    );
}
