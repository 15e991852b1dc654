//! JSON: the corners of RFC 8259, and limits.

use bartizan_content::{FaultKind, Format, Kind, Limits, decode};

use crate::{faults, leaves, outline};

fn check(document: impl AsRef<[u8]>, expected: &[&str]) {
    let limits = Limits::default();
    let document = document.as_ref();
    let content = decode(Format::Json, document, &limits);
    assert_eq!(faults(&content), expected, "{}", document.escape_ascii());
}

fn check_value(document: &str, value: &[u8]) {
    let limits = Limits::default();
    let content = decode(Format::Json, document.as_bytes(), &limits);
    let leaf = content.leaves().next().unwrap();
    assert_eq!(leaf.value(), value, "{document}");
}

#[test]
fn a_document_becomes_a_tree_in_document_order() {
    let limits = Limits::default();
    let content = decode(Format::Json, br#" {"a" : [1, {"b": null}, []], "c": {"d": true}} "#, &limits);
    assert!(content.faults().is_empty());
    assert_eq!(
        outline(&content),
        "\
Object
  Array a
    Number 0 = 1
    Object 1
      Null b = null
    Array 2
  Object c
    Bool d = true
"
    );
    assert_eq!(leaves(&content), "json.a.0 = 1\njson.a.1.b = null\njson.c.d = true\n");
    let root = content.roots().next().unwrap();
    assert_eq!(
        root.children().map(|child| child.raw()).collect::<Vec<_>>(),
        [&br#"[1, {"b": null}, []]"#[..], br#"{"d": true}"#]
    );
    assert_eq!(root.child(b"c").unwrap().descendants().count(), 1);
}

#[test]
fn valid_documents_have_no_faults() {
    for document in [
        "0",
        "-0",
        "-0.0e-0",
        "1E+2",
        "123456789012345678",
        "18446744073709551615",
        "-9223372036854775808",
        "0.1e1",
        "\"\"",
        "true",
        "false",
        "null",
        "[]",
        "{}",
        " \t\r\n[ ] ",
        "[[[]]]",
        r#"{"":0}"#,
        r#""\"\\\/\b\f\n\r\t""#,
        r#""\ud83d\ude00""#,
        "\"\u{7f}\u{80}\u{2028}\u{10ffff}\"",
        r#"[1,"a",{"b":[{}]}]"#,
        "1.7976931348623157e308",
    ] {
        check(document, &[]);
    }
}

#[test]
fn numbers_outside_the_grammar_are_refused() {
    for document in ["-", "01", "-01", "00", "1.", "1.e1", "1e", "1e+", "-a", "1.a"] {
        check(document, &["bad_number"]);
    }
    for document in ["+1", ".5", "NaN", "Infinity", "0x1", "1a", "1 2", "--1", "1.2.3", "1e5.5"] {
        let limits = Limits::default();
        let content = decode(Format::Json, document.as_bytes(), &limits);
        assert!(content.stopped().is_some() && !content.is_well_formed(), "{document}");
    }
}

#[test]
fn numbers_that_no_machine_number_holds_are_noted() {
    for document in
        ["18446744073709551616", "-9223372036854775809", "1e309", "-1e400", "123456789012345678901234567890"]
    {
        check(document, &["big_number"]);
    }
}

#[test]
fn broken_structure_stops_decoding() {
    for document in [
        "[1,]",
        "[,1]",
        "[1 2]",
        "{,}",
        "{\"a\"}",
        "{\"a\" 1}",
        "{\"a\":}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1,}",
        "[1}",
        "{\"a\":1]",
        "tru]",
        "nulx",
        "[1,,2]",
        "{1:2}",
        "/**/1",
        "#",
        "]",
        "}",
        ",",
        ":",
        "\u{a0}1",
        "\u{c}1",
    ] {
        check(document, &["unexpected_byte"]);
    }
    for document in [
        "[",
        "{",
        "[1",
        "[1,",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "\"",
        "\"abc",
        "\"a\\",
        "tru",
        "n",
        "[[[",
        "[\"a\\n",
    ] {
        check(document, &["unexpected_end"]);
    }
    for document in ["1 2", "{}{}", "[] x", "\"a\"\"b\"", "null\0", "1,"] {
        check(document, &["trailing_data"]);
    }
    for document in ["", " ", "\n\t\r "] {
        check(document, &["empty_document"]);
    }
    check("\0", &["unexpected_byte"]);
}

#[test]
fn escapes_are_decoded() {
    check_value(r#""a\u0062\"\\\/\b\f\n\r\tc""#, b"ab\"\\/\x08\x0c\n\r\tc");
    check_value(r#""\u00e9\u20AC\uD83D\uDE00""#, "é€😀".as_bytes());
    check_value(
        r#""a long run before the escape\u0021 and a long run after it""#,
        b"a long run before the escape! and a long run after it",
    );
    check_value(r#""\\u0041""#, b"\\u0041");
    for document in [r#""\x41""#, r#""\'""#, r#""\u12g4""#, r#""\u12""#, r#""\U0041""#, "\"\\\n\"", r#""\0""#] {
        check(document, &["bad_escape"]);
    }
}

#[test]
fn lone_surrogates_become_replacement_characters_with_a_fault() {
    for (document, value) in [
        (r#""a\ud800b""#, "a\u{fffd}b"),
        (r#""\udc00""#, "\u{fffd}"),
        (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
        (r#""\ud83d\u0041""#, "\u{fffd}A"),
        (r#""\ud83d\n""#, "\u{fffd}\n"),
    ] {
        check_value(document, value.as_bytes());
        let limits = Limits::default();
        assert!(decode(Format::Json, document.as_bytes(), &limits).has(FaultKind::LoneSurrogate), "{document}");
    }
}

#[test]
fn bad_bytes_in_strings_are_kept_with_a_fault() {
    check(b"\"\xff\"", &["bad_utf8"]);
    check(b"\"\xc0\x80\"", &["bad_utf8"]);
    check(b"\"\xed\xa0\x80\"", &["bad_utf8"]);
    check(b"\"\xe2\x82\"", &["bad_utf8"]);
    check(b"\"\xf4\x90\x80\x80\\n\"", &["bad_utf8"]);
    check(b"{\"\xff\":1}", &["bad_utf8"]);
    check("\"a\tb\"", &["control_character"]);
    check("\"a\nb\\n\"", &["control_character", "control_character"]);
    check("\"a\0b\"", &["control_character"]);
    check(r#""a\u0000b""#, &["escaped_nul"]);
    check(b"\xff", &["unexpected_byte"]);
}

#[test]
fn byte_order_marks_are_noted() {
    check(b"\xef\xbb\xbf[1]", &["byte_order_mark"]);
    check(b"\xfe\xff\0[\0]", &["unsupported_encoding"]);
    check(b"\xff\xfe[\0]\0", &["unsupported_encoding"]);
    check(b"\xef\xbb[1]", &["unexpected_byte"]);
}

#[test]
fn duplicate_keys_are_noted_and_both_values_stay() {
    let limits = Limits::default();
    let content = decode(Format::Json, br#"{"a":1,"b":2,"\u0061":3}"#, &limits);
    assert_eq!(faults(&content), ["duplicate_key"]);
    assert_eq!(leaves(&content), "json.a = 1\njson.b = 2\njson.a = 3\n");
    check(r#"{"a":{"a":1},"b":{"a":1}}"#, &[]);
    check(r#"[{"a":1},{"a":1}]"#, &[]);
    check(r#"{"abcdefgh1ijklmnop":1,"abcdefgh2ijklmnop":1}"#, &[]);
    check(r#"{"abcdefgh1ijklmnop":1,"abcdefgh1ijklmnop":1}"#, &["duplicate_key"]);
    check(r#"{"":1,"":2}"#, &["duplicate_key"]);
    for count in [15, 16, 17, 18, 400] {
        let members: Vec<_> = (0..count).map(|key| format!("\"key{key}\":{key}")).collect();
        check(format!("{{{}}}", members.join(",")), &[]);
        check(format!("{{{},\"key3\":{{\"key4\":1}}}}", members.join(",")), &["duplicate_key"]);
    }
}

#[test]
fn every_limit_stops_decoding_and_says_where() {
    #[track_caller]
    fn check(document: &str, set: impl Fn(&mut Limits), name: &str, offset: u32, nodes: usize) {
        let mut limits = Limits::default();
        set(&mut limits);
        let content = decode(Format::Json, document.as_bytes(), &limits);
        let fault = content.stopped().unwrap();
        assert_eq!((fault.name(), fault.offset, content.len()), (name, offset, nodes), "{document}");
        assert!(content.has_reached(fault.limit.unwrap()));
    }
    check("[[[1]]]", |limits| limits.json_container_depth = 2, "json_container_depth", 2, 2);
    check("[1,2,3]", |limits| limits.json_array_element_count = 2, "json_array_element_count", 5, 3);
    check(r#"{"a":1,"b":2}"#, |limits| limits.json_object_entry_count = 1, "json_object_entry_count", 7, 2);
    check(r#"{"abc":1}"#, |limits| limits.json_object_entry_name_length = 2, "json_object_entry_name_length", 2, 1);
    check(r#"["abc"]"#, |limits| limits.json_string_value_length = 2, "json_string_value_length", 2, 1);
    check(r#"["a\nbc"]"#, |limits| limits.json_string_value_length = 3, "json_string_value_length", 5, 1);
    check("[12345]", |limits| limits.json_number_length = 4, "json_number_length", 1, 1);
    check("[1,2,3]", |limits| limits.nodes = 3, "nodes", 5, 3);
    check(r#"["\n\n\n\n"]"#, |limits| limits.decoded_bytes = 6, "decoded_bytes", 8, 1);
}

#[test]
fn depth_bombs_cost_no_stack() {
    let limits = Limits::unlimited();
    let document = "[".repeat(60_000) + &"]".repeat(60_000);
    let content = decode(Format::Json, document.as_bytes(), &limits);
    assert!(content.faults().is_empty());
    assert_eq!(content.len(), 60_000);
    let deeper = "[".repeat(200_000);
    assert_eq!(faults(&decode(Format::Json, deeper.as_bytes(), &limits)), ["nodes"]);
    assert_eq!(content.of_kind(Kind::Array).next_back().unwrap().children().count(), 0);
    let limits = Limits::default();
    assert_eq!(decode(Format::Json, document.as_bytes(), &limits).len(), 64);
}

#[test]
fn blanks_that_lenient_readers_skip_are_faults_that_hide_nothing() {
    let limits = Limits::default();
    let content = decode(Format::Json, b"{\x0b\"a\"\x0c:\x0b1}", &limits);
    assert_eq!(faults(&content), ["unexpected_byte"; 3]);
    assert_eq!(leaves(&content), "json.a = 1\n");
}

#[test]
fn what_is_there_of_a_string_that_the_end_cuts_stays() {
    for (document, kept) in [
        (r#"{"a":"text"#, "json.a = text\n"),
        (r#"{"a":["x","te\u0078t\u00"#, "json.a.0 = x\njson.a.1 = text\n"),
        (r#"["te\nxt\"#, "json.0 = te\\nxt\n"),
        (r#"{"a":1,"long"#, "json.a = 1\njson.long = \n"),
        (r#""text"#, "json = text\n"),
    ] {
        let limits = Limits::default();
        let content = decode(Format::Json, document.as_bytes(), &limits);
        assert_eq!((leaves(&content).as_str(), faults(&content)), (kept, vec!["unexpected_end"]), "{document}");
    }
    check(r#"{"a":"\x"#, &["bad_escape"]);
}
