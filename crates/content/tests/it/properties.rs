//! What holds for any bytes: the fuzz targets over nasty and random inputs, and JSON as serde_json reads it.

use std::fmt::Write;

use bartizan_content::{FaultClass, Format, Kind, Limits, Name, NodeRef, decode, fuzz};
use proptest::prelude::*;
use serde_json::Value;

/// Inputs that break parsers, for whichever target.
#[expect(clippy::too_many_lines, reason = "a table")]
fn nasty() -> Vec<Vec<u8>> {
    let texts = [
        "",
        "\0",
        "\n",
        "{",
        "[",
        "\"",
        "\\",
        "{\"a\":",
        "\"\\u",
        "\"\\ud800\\",
        "\"\\ud83d\\ude",
        "[1e",
        "-",
        "nul",
        "&",
        "=",
        "&=&",
        "%",
        "%4",
        "a=%u0041&b=%%",
        ";",
        "a=;=;",
        "<",
        "<a",
        "<a ",
        "<a b",
        "<a b=",
        "<a b='",
        "<a>&",
        "<a>&#",
        "<a>&#x;",
        "<![CDATA[",
        "<!--",
        "<?",
        "<?xml",
        "<!DOCTYPE a [",
        "<a>]]></a>",
        "<a>&amp;&lt;x&#65;<![CDATA[y]]>z</a>",
        "{a(b:\"\"\"",
        "{...",
        "{a(b:[{c:[",
        "query(",
        "fragment a on b{...a}",
        "{...a}fragment a on b{...b}fragment b on b{...a}",
        "--B",
        "--B\r\n",
        "--B--",
        "--B\r\n\r\n--B--",
        "--B\r\nContent-Disposition: form-data; name=\"",
        "--B\r\nContent-Disposition: form-data; filename*=x; name*=;;\r\n\r\n\r\n--B",
        "multipart/form-data; boundary=\n\n--\n",
        "multipart/x; boundary=\"\n--\"",
        "--B\r\n a: b\r\n\tc\r\n\r\n\n--B\n\n--B--",
        "\u{feff}{}",
        "{\"\u{fffd}\":\"\u{10ffff}\"}",
    ];
    let mut all: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    all.extend([
        b"\xff\xfe".to_vec(),
        b"\"\xc0\x80\xf8\"".to_vec(),
        b"\x0a\x7f".to_vec(),
        b"\x0a\x02\x0a\x00\x0a\x04\x0a\x02\x0a\x00".to_vec(),
        b"\x00\x00\x00\x00\x00\x80\xff\xff\xff\xff".to_vec(),
        b"[".repeat(70_000),
        b"{\"a\":".repeat(5_000),
        b"<a>".repeat(5_000),
        b"{a".repeat(5_000),
        b"{a(b:[".repeat(10).to_vec(),
        b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80".to_vec(),
        b"a=1&".repeat(5_000),
        b"%".repeat(5_000),
        b"--B\r\n".repeat(2_000),
        b"\n--B".repeat(2_000),
        b"&amp;".repeat(1_000),
    ]);
    let nested = (0..120).fold(Vec::new(), |inside: Vec<u8>, _| {
        [&[0x0a, u8::try_from(inside.len().min(127)).unwrap()][..], &inside].concat()
    });
    all.push(nested);
    all
}

#[test]
fn nasty_inputs_break_no_invariant_of_any_target() {
    for input in nasty() {
        for (_, target) in fuzz::TARGETS {
            target(&input);
        }
    }
}

#[test]
fn everything_is_linear_in_its_input() {
    /// Milliseconds that a mebibyte of the worst input may take, in an unoptimized build on a busy machine.
    const BUDGET_MS: u128 = 10_000;
    let limits = Limits::unlimited();
    let repeated = |piece: &str| piece.repeat((1 << 20) / piece.len());
    let keys: String = (0..60_000).fold(String::from("{"), |mut all, key| {
        let _ = write!(all, "\"samestart{key}sameend\":1,");
        all
    });
    for (format, input) in [
        (Format::Json, repeated("\"\\u0041")),
        (Format::Json, keys),
        (Format::Json, repeated("[")),
        (Format::Form, repeated("%zz&")),
        (Format::Xml, repeated("<a b='&#65;'>&amp;")),
        (Format::Xml, format!("<a {}/>", (0..50_000).map(|name| format!("a{name}='' ")).collect::<String>())),
        (Format::Graphql, repeated("{...a ")),
        (Format::Graphql, repeated("fragment a on b{...a}")),
        (Format::Multipart(b"multipart/form-data; boundary=----"), repeated("\n------")),
        (Format::Multipart(b"multipart/form-data; boundary=B"), repeated("--B\na: b\n")),
        (Format::Protobuf, repeated("\n\u{1}\n")),
        (Format::Protobuf, repeated("\n\u{7f}")),
    ] {
        let start = std::time::Instant::now();
        let content = decode(format, input.as_bytes(), &limits);
        let elapsed = start.elapsed().as_millis();
        assert!(elapsed < BUDGET_MS, "{format:?} took {elapsed} ms for {} nodes", content.len());
    }
}

// JSON as serde_json reads it

/// The tree as a JSON value; of two members with one name the last one counts, as in serde_json.
fn value(node: NodeRef<'_>) -> Value {
    let text = || String::from_utf8(node.value().to_vec()).unwrap();
    match node.kind() {
        Kind::Object => Value::Object(
            node.children().map(|child| (String::from_utf8(child.key().to_vec()).unwrap(), value(child))).collect(),
        ),
        Kind::Array => {
            for (child, index) in node.children().zip(0..) {
                assert_eq!(child.name(), Name::Index(index));
            }
            Value::Array(node.children().map(value).collect())
        }
        Kind::String => Value::String(text()),
        Kind::Number => serde_json::from_str(&text()).unwrap(),
        Kind::Bool => Value::Bool(node.value() == b"true"),
        Kind::Null => Value::Null,
        other => panic!("{other:?} in JSON"),
    }
}

/// serde_json and this crate take or refuse a document alike, and read the same.
fn check_against_serde(document: &[u8]) {
    let mut wide = Limits::unlimited();
    // serde_json's own depth limit is 128, and it counts one less.
    wide.json_container_depth = 127;
    let content = decode(Format::Json, document, &wide);
    let ours = content.faults().iter().all(|fault| fault.kind.class() == FaultClass::Oddity);
    // serde_json refuses a mark and takes no number beyond a double; both are oddities here.
    let tolerated = content.faults().iter().any(|fault| matches!(fault.name(), "byte_order_mark" | "big_number"));
    match serde_json::from_slice::<Value>(document) {
        Ok(theirs) => {
            assert!(ours, "serde_json takes {}: {:?}", document.escape_ascii(), content.faults());
            if !tolerated {
                assert_eq!(value(content.roots().next().unwrap()), theirs, "{}", document.escape_ascii());
            }
        }
        Err(error) => assert!(!ours || tolerated, "serde_json refuses {}: {error}", document.escape_ascii()),
    }
}

fn json() -> impl Strategy<Value = String> {
    let space = "[ \t\r\n]{0,2}";
    let string = r#""([a-z é😀]{0,12}|\\["\\/bfnrt]|\\u00[0-9a-f]{2}|\\u[dD][89ab][0-9a-f]{2}\\u[dD][c-f][0-9a-f]{2}|\\u[0-9a-fA-F]{4}){0,4}""#;
    let number = r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?";
    let leaf = prop_oneof![string.prop_map(String::from), number.prop_map(String::from), "true|false|null"];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        let padded = (space, inner, space).prop_map(|(before, value, after)| before + &value + &after);
        let member = (string, padded.clone()).prop_map(|(name, value)| name + ":" + &value);
        prop_oneof![
            prop::collection::vec(padded, 0..6).prop_map(|values| format!("[{}]", values.join(","))),
            prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn json_is_read_as_serde_json_reads_it(document in json()) {
        check_against_serde(document.as_bytes());
    }

    #[test]
    fn mutated_json_is_refused_as_serde_json_refuses_it(
        document in json(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), prop::sample::select(b"\"\\{}[],:0-.eE tfnu\xff\x00\t".to_vec())], 0..3_u8), 1..4),
    ) {
        let mut bytes = document.into_bytes();
        for (place, byte, edit) in edits {
            let place = place.index(bytes.len() + 1);
            match edit {
                0 => bytes.insert(place, byte),
                1 if place < bytes.len() => bytes[place] = byte,
                _ if place < bytes.len() => drop(bytes.remove(place)),
                _ => bytes.truncate(place),
            }
        }
        check_against_serde(&bytes);
    }

    #[test]
    fn random_bytes_break_no_invariant(data in prop::collection::vec(any::<u8>(), 0..200)) {
        for (_, target) in fuzz::TARGETS {
            target(&data);
        }
    }

    #[test]
    fn random_syntax_breaks_no_invariant(
        pieces in prop::collection::vec(prop::sample::select(nasty().into_iter().filter(|piece| piece.len() < 100).collect::<Vec<_>>()), 0..8),
    ) {
        let data = pieces.concat();
        for (_, target) in fuzz::TARGETS {
            target(&data);
        }
    }

    #[test]
    fn forms_give_back_what_was_encoded(pairs in prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 1..6)) {
        let encode = |bytes: &[u8]| bytes.iter().map(|byte| format!("%{byte:02x}")).collect::<String>();
        let form = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&");
        let limits = Limits::default();
        let content = decode(Format::Form, form.as_bytes(), &limits);
        let found: Vec<_> = content.leaves().map(|leaf| (leaf.key().to_vec(), leaf.value().to_vec())).collect();
        prop_assert_eq!(found, pairs);
    }

    #[test]
    fn multipart_gives_back_what_was_sent(fields in prop::collection::vec(("[a-z]{1,8}", any::<Vec<u8>>()), 0..5)) {
        let mut body = Vec::new();
        for (name, value) in &fields {
            body.extend_from_slice(format!("--boundary-x7\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").as_bytes());
            body.extend_from_slice(value);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--boundary-x7--\r\n");
        let limits = Limits::default();
        let content = decode(Format::Multipart(b"multipart/form-data; boundary=boundary-x7"), &body, &limits);
        let found: Vec<_> = content.roots().map(|part| (String::from_utf8(part.key().to_vec()).unwrap(), part.value().to_vec())).collect();
        prop_assert_eq!(found, fields);
    }
}
