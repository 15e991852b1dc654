//! Files: includes, lists of phrases, what cannot be read, bytes that are no text.

use std::path::{Path, PathBuf};

use bartizan_waf::ast::Directive;
use bartizan_waf::{Sources, parse};

use super::{has_error, parse_files, told};

/// Files that have these faults and no other.
fn check(files: &[(&str, &str)], expected: &[&str]) {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
    let found = told(&parse_files(&files).diagnostics);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(&format!("{expected} ")), "{expected}\n{found}");
    }
}

/// `file:line` of each directive.
fn places(files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
    let parsed = parse_files(&files);
    assert_eq!(told(&parsed.diagnostics), [""; 0]);
    parsed.document.directives.iter().map(|(place, _)| place.to_string()).collect()
}

#[test]
fn included_files_stand_where_they_are_included() {
    let main = "SecMarker a\nInclude sub/one.conf\nIncludeOptional none/*.data\ninclude \"b.conf\"\nSecMarker z";
    let files = [
        ("main.conf", main),
        ("sub/one.conf", "SecMarker b\nInclude two.conf\nSecMarker d"),
        ("sub/two.conf", "SecMarker c"),
        ("b.conf", "\nSecMarker y"),
    ];
    assert_eq!(
        places(&files),
        ["main.conf:1", "sub/one.conf:1", "sub/two.conf:1", "sub/one.conf:3", "b.conf:2", "main.conf:5"]
    );
}

#[test]
fn a_pattern_includes_files_in_their_order() {
    let files = [
        ("main.conf", "Include rules/*.conf"),
        ("rules/b.conf", "SecMarker b"),
        ("rules/a.conf", "SecMarker a"),
        ("rules/c.data", "x"),
    ];
    assert_eq!(places(&files), ["rules/a.conf:1", "rules/b.conf:1"]);
}

#[test]
fn one_file_may_be_included_twice_and_a_chain_may_span_files() {
    let chain = "SecRule ARGS a \"id:1,chain\"\nInclude link.conf\nInclude empty.conf\nInclude empty.conf";
    let files = [("main.conf", chain), ("link.conf", "SecMarker between\nSecRule ARGS b"), ("empty.conf", "")];
    assert_eq!(places(&files), ["main.conf:1", "link.conf:1", "link.conf:2"]);
}

#[test]
fn files_that_are_not_there_are_told_where_they_are_named() {
    check(&[("other.conf", "")], &["main.conf SEC-001"]);
    check(&[("main.conf", "Include a.conf")], &["main.conf:1:9 SEC-001"]);
    check(&[("main.conf", "Include b/*.conf")], &["main.conf:1:9 SEC-005"]);
    check(&[("main.conf", "IncludeOptional b/*.conf")], &[]);
    check(&[("main.conf", "IncludeOptional b.conf")], &["main.conf:1:17 SEC-102"]);
    check(&[("main.conf", "Include https://example.com/a.conf")], &["main.conf:1:9 SEC-006"]);
}

#[test]
fn includes_that_do_not_end_are_told() {
    check(&[("main.conf", "Include main.conf")], &["main.conf:1:9 SEC-004"]);
    check(&[("main.conf", "Include a.conf"), ("a.conf", "Include ./b/../main.conf")], &["a.conf:1:9 SEC-004"]);
    let read = |path: &Path| {
        let depth: u32 = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).unwrap_or_default();
        Ok(format!("Include {}.conf\nInclude {}.conf", depth + 1, depth + 1).into_bytes())
    };
    let glob = |_: &Path| Ok(Vec::new());
    let parsed = parse(&[PathBuf::from("0.conf")], &Sources { read: &read, glob: &glob });
    assert!(parsed.diagnostics.len() <= 1_001 && has_error(&parsed.diagnostics));
}

#[test]
fn lists_of_phrases_are_read_beside_the_rule() {
    let files: &[(&str, &[u8])] = &[
        ("main.conf", b"Include rules/a.conf"),
        (
            "rules/a.conf",
            b"SecRule ARGS \"@pmFromFile one.data sub/two.data\" \"id:1\"\nSecRule ARGS \"!@pmf one.data\" \"id:2\"",
        ),
        ("rules/one.data", b"one\n\xff"),
        ("rules/sub/two.data", b"two"),
    ];
    let parsed = parse_files(files);
    assert_eq!(told(&parsed.diagnostics), [""; 0]);
    let data: Vec<Vec<&[u8]>> = parsed
        .document
        .directives
        .iter()
        .map(|(_, directive)| match directive {
            Directive::Rule(rule) => rule.operator.data.iter().map(|data| &**data).collect(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(data, [vec![b"one\n\xff".as_slice(), b"two"], vec![b"one\n\xff"]]);
}

#[test]
fn operators_may_hold_any_bytes_and_other_text_only_utf8() {
    let parsed = parse_files(&[("main.conf", b"# \xff\nSecRule ARGS \"@rx \xff\\xfe\" \"id:1\"")]);
    assert_eq!(told(&parsed.diagnostics), [""; 0]);
    let Some((_, Directive::Rule(rule))) = parsed.document.directives.first() else { panic!("no rule") };
    assert_eq!(rule.operator.argument.literal(), Some(b"\xff\\xfe".as_slice()));
    for text in [
        b"SecAction \"id:1,msg:'\xff'\"".as_slice(),
        b"SecRule ARGS:\xff a \"id:1\"",
        b"SecMarker \xff",
        b"SecTmpDir \xff",
    ] {
        let found = told(&parse_files(&[("main.conf", text)]).diagnostics);
        assert!(found[0].contains("SEC-003"), "{found:?}");
    }
}

#[test]
fn a_byte_order_mark_and_carriage_returns_are_no_text() {
    let parsed = parse_files(&[(
        "main.conf",
        b"\xef\xbb\xbfSecMarker a\r\nSecRule ARGS \\\r\n \"@rx a\" \\  \r\n \"id:1\"\r\n",
    )]);
    assert_eq!(told(&parsed.diagnostics), [""; 0]);
    assert_eq!(parsed.document.directives.len(), 2);
}

#[test]
fn files_and_lines_of_too_many_bytes_are_refused() {
    let long = format!("SecAction \"id:1,msg:'{}'\"", "a".repeat(1 << 20));
    check(
        &[("main.conf", &format!("SecMarker a\n{long}\nSecFoo"))],
        &["main.conf:2:1 SEC-002", "main.conf:3:1 SEC-010"],
    );
    check(&[("main.conf", &"#".repeat((16 << 20) + 1))], &["main.conf SEC-002"]);
    check(&[("main.conf", &"SecMarker a\n".repeat(100_001))], &["main.conf:100001:1 SEC-002"]);
}
