//! Transformations by table and by property.

#![cfg(test)]
//! What holds for every transformation, and a table of cases for each.

mod cases;

use proptest::prelude::*;

use super::{ByteSet, Trigger};
use crate::Transform;

/// The value, transformed.
fn apply(transform: Transform, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    if transform.apply(input, &mut out) { out } else { input.to_vec() }
}

/// Each input gives its output, and `apply` says rightly whether it changed.
fn check(transform: Transform, cases: &[(&[u8], &[u8])]) {
    for &(input, expected) in cases {
        let mut out = b"before".to_vec();
        let is_changed = transform.apply(input, &mut out);
        let shown = input.escape_ascii();
        assert_eq!(is_changed, input != expected, "{transform:?} of `{shown}`");
        let appended = out.strip_prefix(b"before").unwrap();
        let got = if is_changed { appended } else { input };
        assert_eq!(got.escape_ascii().to_string(), expected.escape_ascii().to_string(), "{transform:?} of `{shown}`");
        assert!(is_changed || appended.is_empty(), "{transform:?} of `{shown}`");
    }
}

#[test]
fn names_are_known_in_any_case_and_by_their_aliases() {
    for &transform in Transform::ALL {
        assert_eq!(Transform::of_name(transform.name()), Some(transform));
        assert_eq!(Transform::of_name(&transform.name().to_uppercase()), Some(transform));
    }
    assert_eq!(Transform::of_name("normalisePath"), Some(Transform::NormalizePath));
    assert_eq!(Transform::of_name("normalisePathWin"), Some(Transform::NormalizePathWin));
    assert_eq!(Transform::of_name("cmd_line"), Some(Transform::CmdLine));
    for unknown in ["", "none", "t:lowercase", "lower", "lowercase "] {
        assert_eq!(Transform::of_name(unknown), None, "{unknown}");
    }
}

#[test]
fn a_byte_set_holds_what_was_put_into_it() {
    let set = ByteSet::of(b"\0a\xff").with_range(b'0', b'9');
    assert_eq!(set.iter().collect::<Vec<_>>(), b"\x000123456789a\xff");
    assert_eq!(set.complement().iter().count(), 256 - 13);
    assert!(set.with(set.complement()).contains(b'z'));
    assert_eq!(set.find_in(b"xyz7"), Some(3));
    assert_eq!(set.find_in(b"xyz"), None);
    assert_eq!(set, set.iter().collect());
}

#[test]
fn single_bytes_outside_of_the_trigger_stay_as_they_are() {
    for &transform in Transform::ALL {
        let Trigger::Bytes(set) = *transform.trigger() else { continue };
        for byte in set.complement().iter() {
            assert_eq!(apply(transform, &[byte]), [byte], "{transform:?}");
        }
    }
}

#[test]
fn runs_of_marks_take_linear_time() {
    for &transform in Transform::ALL {
        for part in [
            "/", "/.", "../", "a/", "\\", "%", "%u", "&", "&#", "&l", "<!--", "/*", "-", "\"", " ", "\0", "0x",
            "\u{e0}", "\\1", "a", "`", " `", "`a` ", " `a ", " ``a` ",
        ] {
            let input = part.repeat((1 << 16) / part.len());
            let _ = apply(transform, input.as_bytes());
        }
    }
}

#[test]
fn short_cuts_change_nothing_in_any_short_value() {
    const PATHS: &[Transform] = &[Transform::NormalizePath, Transform::NormalizePathWin, Transform::ReplaceComments];
    const COMMANDS: &[Transform] = &[Transform::CmdLine, Transform::CompressWhitespace, Transform::Trim];
    for (alphabet, transforms) in [(b"/.a\\*", PATHS), (b" a(/\t", COMMANDS)] {
        let mut values: Vec<Vec<u8>> = vec![Vec::new()];
        for _ in 0..6 {
            values = values.iter().flat_map(|value| alphabet.map(|byte| [&value[..], &[byte]].concat())).collect();
            for (value, &transform) in
                values.iter().flat_map(|value| transforms.iter().map(move |transform| (value, transform)))
            {
                let mut whole = Vec::new();
                transform.append(value, &mut whole);
                assert_eq!(apply(transform, value), whole, "{transform:?} of `{}`", value.escape_ascii());
            }
        }
    }
}

/// Bytes with the marks that decoders look for.
fn marked() -> impl Strategy<Value = Vec<u8>> {
    let mark = prop::sample::select(vec![
        "%", "%u", "%uff", "+", "&", "&#", "&#x", "&lt", ";", "\\", "\\u", "\\x", "0x", "/", "..", "/../", "/*", "*/",
        "<!--", "-->", "--", "#", " ", "\t", "=", "A", "z", "0", "41", "7", "\0", " `", "` ", "```", " word ",
    ]);
    let part =
        prop_oneof![4 => mark.prop_map(|mark| mark.as_bytes().to_vec()), 1 => any::<u8>().prop_map(|byte| vec![byte])];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

fn any_transform() -> impl Strategy<Value = Transform> {
    prop::sample::select(Transform::ALL)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn apply_tells_whether_the_value_changed(transform in any_transform(), input in marked()) {
        let mut out = vec![7];
        let is_changed = transform.apply(&input, &mut out);
        prop_assert_eq!(out[0], 7);
        if is_changed {
            prop_assert_ne!(&out[1..], &input[..]);
        } else {
            prop_assert_eq!(out.len(), 1);
            // Exactly what the whole value gives without any short cut.
            let mut whole = Vec::new();
            transform.append(&input, &mut whole);
            prop_assert_eq!(whole, input);
        }
    }

    #[test]
    fn short_cuts_change_nothing(transform in any_transform(), input in marked()) {
        let mut whole = Vec::new();
        transform.append(&input, &mut whole);
        prop_assert_eq!(apply(transform, &input), whole);
    }

    #[test]
    fn values_without_a_trigger_stay_as_they_are(transform in any_transform(), input in marked()) {
        if let Trigger::Bytes(set) = *transform.trigger() {
            let input: Vec<u8> = input.into_iter().filter(|&byte| !set.contains(byte)).collect();
            let mut whole = Vec::new();
            transform.append(&input, &mut whole);
            prop_assert_eq!(whole, input);
        }
    }

    #[test]
    fn output_is_bounded(transform in any_transform(), input in marked()) {
        prop_assert!(apply(transform, &input).len() <= Transform::output_len_max(input.len()));
    }

    #[test]
    fn decoding_undoes_encoding(input in prop::collection::vec(any::<u8>(), 0..40)) {
        for (encode, decode) in [
            (Transform::UrlEncode, Transform::UrlDecode),
            (Transform::UrlEncode, Transform::UrlDecodeUni),
            (Transform::HexEncode, Transform::HexDecode),
            (Transform::Base64Encode, Transform::Base64Decode),
            (Transform::Base64Encode, Transform::Base64DecodeExt),
        ] {
            prop_assert_eq!(&apply(decode, &apply(encode, &input)), &input);
        }
    }
}
