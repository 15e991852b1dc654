//! What operators hold for, and what they capture.

#![cfg(test)]
//! Every operator, its edges, and the patterns of the Core Rule Set.

use std::path::{Path, PathBuf};

/// Where the Core Rule Set is: `BARTIZAN_CRS`, else beside the checkout. `None`, said aloud, when it is not there.
fn crs() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/crs");
    let path = std::env::var_os("BARTIZAN_CRS").map_or(beside, PathBuf::from);
    let path = path.is_dir().then_some(path);
    if path.is_none() {
        eprintln!("SKIPPED: no Core Rule Set; name its directory in BARTIZAN_CRS");
    }
    path
}

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The lines of the Core Rule Set's regression tests, as raw material.
pub(super) fn regression_lines() -> Option<Vec<Vec<u8>>> {
    let files = files(&crs()?.join("tests"), "yaml");
    assert!(!files.is_empty());
    Some(
        files
            .iter()
            .flat_map(|file| {
                std::fs::read(file).unwrap().split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>()
            })
            .collect(),
    )
}

mod checksum;
mod comparison;
mod encoding;
mod pattern;
mod phrase;

use std::sync::Arc;

use super::{Captures, Fault, Matcher, compile};
use crate::Variable;
use crate::ast::{Operator, OperatorKind, Text, TextPart};

/// The operator with this argument and these files.
fn operator(kind: OperatorKind, argument: &[u8], files: &[&[u8]]) -> Operator {
    let argument = Text { parts: vec![TextPart::Literal(argument.to_vec())] };
    Operator { is_negated: false, kind, argument, data: files.iter().map(|&file| Arc::from(file)).collect() }
}

fn matcher(kind: OperatorKind, argument: &[u8]) -> Matcher {
    compile(&operator(kind, argument, &[])).unwrap()
}

fn fault(kind: OperatorKind, argument: &[u8]) -> Fault {
    compile(&operator(kind, argument, &[])).unwrap_err()
}

/// Each value matches or not, the same with captures as without.
fn check(kind: OperatorKind, argument: &[u8], cases: &[(&[u8], bool)]) {
    let matcher = matcher(kind, argument);
    for &(input, expected) in cases {
        let shown = input.escape_ascii();
        assert_eq!(matcher.is_match(input, None), expected, "{kind:?} `{}` of `{shown}`", argument.escape_ascii());
        let mut captures = Captures::default();
        assert_eq!(
            matcher.find(input, None, &mut captures),
            expected,
            "{kind:?} `{}` of `{shown}`",
            argument.escape_ascii()
        );
        assert!(expected || captures == Captures::default(), "{kind:?} of `{shown}`");
    }
}

/// What is captured, as `number=text`; `None` without a match.
fn captured(matcher: &Matcher, input: &[u8]) -> Option<Vec<String>> {
    let mut captures = Captures::default();
    let is_match = matcher.find(input, None, &mut captures);
    is_match.then(|| captures.iter(input).map(|(number, text)| format!("{number}={}", text.escape_ascii())).collect())
}

/// An operator whose argument is `%{tx.x}`.
fn with_macro(kind: OperatorKind) -> Operator {
    let argument = Text { parts: vec![TextPart::Macro(Variable::Tx, Some("x".to_owned()))] };
    Operator { is_negated: false, kind, argument, data: Vec::new() }
}

#[test]
fn unconditional_match_always_holds_and_no_match_never() {
    check(OperatorKind::UnconditionalMatch, b"", &[(b"", true), (b"a", true), (b"\0\xff", true)]);
    check(OperatorKind::NoMatch, b"", &[(b"", false), (b"a", false), (b"\0\xff", false)]);
}

#[test]
fn operators_that_are_compiled_once_refuse_macros() {
    for kind in [
        OperatorKind::Pm,
        OperatorKind::IpMatch,
        OperatorKind::ValidateByteRange,
        OperatorKind::VerifyCc,
        OperatorKind::VerifyCpf,
        OperatorKind::VerifySsn,
    ] {
        assert!(compile(&with_macro(kind)).unwrap_err().message.contains("macro"), "{kind:?}");
    }
}

#[test]
fn captures_are_replaced_by_a_match_and_left_alone_without_one() {
    let mut captures = Captures::default();
    let rx = matcher(OperatorKind::Rx, b"(a)(b)?");
    assert!(rx.find(b"xa", None, &mut captures));
    assert_eq!(captures.iter(b"xa").collect::<Vec<_>>(), [(0, &b"a"[..]), (1, b"a")]);
    assert!(!rx.find(b"x", None, &mut captures));
    assert_eq!(captures.iter(b"xa").count(), 2);
    assert!(matcher(OperatorKind::Contains, b"x").find(b"x", None, &mut captures));
    assert_eq!(captures.iter(b"x").count(), 0);
}

#[test]
fn detect_sqli_captures_the_fingerprint_and_detect_xss_the_value() {
    let sqli = matcher(OperatorKind::DetectSqli, b"");
    assert_eq!(captured(&sqli, b"1' or '1'='1"), Some(vec!["0=s&sos".to_owned()]));
    assert_eq!(captured(&sqli, b""), None);
    assert_eq!(captured(&sqli, b"hello"), None);
    assert_eq!(captured(&sqli, b"\0\xff"), None);
    let xss = matcher(OperatorKind::DetectXss, b"");
    assert_eq!(captured(&xss, b"<script>"), Some(vec!["0=<script>".to_owned()]));
    assert_eq!(captured(&xss, b""), None);
    assert_eq!(captured(&xss, b"1 < 2"), None);
}
