//! Numbers with check digits.

#![cfg(test)]
//! Numbers with a check.

use super::*;

#[test]
fn cards_pass_luhn() {
    check(
        OperatorKind::VerifyCc,
        br"\d{13,16}",
        &[
            (b"4111111111111111", true),
            (b"x4111111111111111y", true),
            (b"14111111111111111", true),
            (b"411111111111", false),
            (b"4111111111111112 4111111111111111", true),
            (b"", false),
            (b"\0\xff", false),
        ],
    );
    check(OperatorKind::VerifyCc, br"^\d{16}$", &[(b"4111111111111111", true), (b"4111111111111112", false)]);
    check(
        OperatorKind::VerifyCc,
        br"\d{4}-\d{4}-\d{4}-\d{4}",
        &[(b"4111-1111-1111-1111", true), (b"4111-1111-1111-1112", false)],
    );
    assert_eq!(
        captured(&matcher(OperatorKind::VerifyCc, br"\d{13,16}"), b"a 14111111111111111"),
        Some(vec!["0=4111111111111111".to_owned()])
    );
}

#[test]
fn a_match_without_digits_is_no_card() {
    check(OperatorKind::VerifyCc, b"a*", &[(b"aaa", false), (b"", false)]);
}

#[test]
fn cpf_has_two_check_digits() {
    check(
        OperatorKind::VerifyCpf,
        br"(?:\d{3}\.?){3}-?\d{2}",
        &[
            (b"52998224725", true),
            (b"529.982.247-25", true),
            (b"52998224724", false),
            (b"11111111111", false),
            (b"01234567890", false),
            (b"1234567890", false),
            (b"", false),
        ],
    );
}

#[test]
fn ssn_has_no_empty_group() {
    check(
        OperatorKind::VerifySsn,
        br"\d{3}-?\d{2}-?\d{4}",
        &[
            (b"123-45-6788", true),
            (b"123456789", false),
            (b"111111111", false),
            (b"000-45-6788", false),
            (b"123-00-6788", false),
            (b"123-45-0000", false),
            (b"666-45-6788", false),
            (b"740-45-6788", false),
            (b"739-45-6788", true),
            (b"", false),
        ],
    );
}

#[test]
fn many_candidates_take_linear_time() {
    let matcher = matcher(OperatorKind::VerifyCc, br"\d+");
    assert!(!matcher.is_match("1".repeat(1 << 16).as_bytes(), None) || matcher.is_match(b"18", None));
    let _ = matcher.is_match("1 ".repeat(1 << 16).as_bytes(), None);
}

#[test]
fn a_bad_pattern_is_a_fault() {
    for kind in [OperatorKind::VerifyCc, OperatorKind::VerifyCpf, OperatorKind::VerifySsn] {
        assert!(fault(kind, b"").message.contains("pattern"));
        assert!(fault(kind, b"(").message.contains("pattern"));
    }
}
