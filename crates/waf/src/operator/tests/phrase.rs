//! Lists of phrases.

#![cfg(test)]
//! Lists of phrases.

use super::*;

fn phrases(matcher: &Matcher) -> Vec<String> {
    let Matcher::Phrases(phrases) = matcher else { panic!("{matcher:?}") };
    phrases.phrases().map(|phrase| phrase.escape_ascii().to_string()).collect()
}

#[test]
fn phrases_are_found_in_any_case() {
    check(
        OperatorKind::Pm,
        b"select UNION",
        &[
            (b"a SELECT b", true),
            (b"union", true),
            (b"uni on", false),
            (b"", false),
            (b"\0select\xff", true),
            (b"selec", false),
        ],
    );
    check(OperatorKind::Pm, "\u{e9}".as_bytes(), &["\u{e9}", "\u{c9}"].map(|text| (text.as_bytes(), text == "\u{e9}")));
}

#[test]
fn the_phrase_that_ends_first_is_captured_as_it_is_written() {
    let matcher = matcher(OperatorKind::Pm, b"abcd Bc c");
    assert_eq!(captured(&matcher, b"xABCD"), Some(vec!["0=Bc".to_owned()]));
    assert_eq!(captured(&matcher, b"xab"), None);
}

#[test]
fn lists_may_write_bytes_in_hexadecimal() {
    for (list, expected) in [
        (&b"a b"[..], &["a", "b"][..]),
        (b"  a\tb  ", &["a", "b"]),
        (b"a|41 42|c d", &["aABc", "d"]),
        (b"|00|", &["\\x00"]),
        (b"\"a b\"", &["a", "b"]),
        (br"a\:b\;c\\d", &["a:b;c\\\\d"]),
        (br"a\|b", &["a|b"]),
        // Not of that form: taken as it stands.
        (b"a|4", &["a|4"]),
        (b"|4g|", &["|4g|"]),
        (br"a\b", &[r"a\\b"]),
        (b"a\\", &["a\\\\"]),
        (b"\"a", &["\\\"a"]),
    ] {
        assert_eq!(phrases(&matcher(OperatorKind::Pm, list)), expected, "{}", list.escape_ascii());
    }
}

#[test]
fn files_have_a_phrase_on_each_line() {
    let file = b"# comment\n\nfirst\r\n in query expression\n#second\n\t\nthird # not a comment";
    let matcher = compile(&operator(OperatorKind::PmFromFile, b"a.data b.data", &[file, b"fourth\n"])).unwrap();
    assert_eq!(phrases(&matcher), ["first", " in query expression", "third # not a comment", "fourth"]);
    assert!(matcher.is_match(b"x IN QUERY EXPRESSION", None));
    assert!(!matcher.is_match(b"in query expression", None));
}

#[test]
fn an_empty_list_is_a_fault() {
    for list in ["", "  ", "\"\""] {
        assert!(fault(OperatorKind::Pm, list.as_bytes()).message.contains("phrase"), "{list:?}");
    }
    assert!(compile(&operator(OperatorKind::PmFromFile, b"a", &[b"# nothing\n"])).is_err());
}

#[test]
fn every_list_of_the_core_rule_set_compiles() {
    let Some(crs) = crs() else { return };
    let files = files(&crs.join("rules"), "data");
    assert!(files.len() > 15);
    for file in files {
        let data = std::fs::read(&file).unwrap();
        let matcher = compile(&operator(OperatorKind::PmFromFile, b"x", &[&data])).unwrap();
        for phrase in phrases(&matcher).iter().filter(|phrase| phrase.is_ascii() && !phrase.contains('\\')) {
            assert!(matcher.is_match(phrase.to_uppercase().as_bytes(), None), "{phrase}");
        }
    }
}
