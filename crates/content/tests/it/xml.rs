//! XML: trees, texts, what is refused, and limits.

use bartizan_content::{Format, Kind, Limits, decode};

use crate::{faults, leaves, outline};

#[track_caller]
fn check(document: impl AsRef<[u8]>, expected: &[&str]) {
    let limits = Limits::default();
    let document = document.as_ref();
    let content = decode(Format::Xml, document, &limits);
    assert_eq!(faults(&content), expected, "{}", document.escape_ascii());
}

#[test]
fn a_document_becomes_a_tree() {
    let document = r#"<?xml version="1.0"?>
<!-- c --><o:order xmlns:o="urn:o" id="1 &lt; 2"><item sku='a"b'>x &amp; <![CDATA[<y>]]>&#x7a;</item> <e/><?go now?></o:order>"#;
    let limits = Limits::default();
    let content = decode(Format::Xml, document.as_bytes(), &limits);
    assert!(content.faults().is_empty(), "{:?}", content.faults());
    assert_eq!(
        outline(&content),
        r#"Comment =  c
Element o:order
  Namespace xmlns:o = urn:o
  Attribute id = 1 < 2
  Element item
    Attribute sku = a\"b
    Text = x & <y>z
  Space
  Element e
  Instruction go = now
"#
    );
    assert_eq!(
        leaves(&content),
        "xml.o:order.@id = 1 < 2\nxml.o:order.item.@sku = a\\\"b\nxml.o:order.item = x & <y>z\n"
    );
    let mut text = Vec::new();
    content.append_text(&mut text);
    assert_eq!(text, b"x & <y>z ");
    let item = content.of_kind(Kind::Element).nth(1).unwrap();
    assert_eq!(item.raw(), br#"<item sku='a"b'>x &amp; <![CDATA[<y>]]>&#x7a;</item>"#);
    assert_eq!(content.of_kind(Kind::Text).next().unwrap().raw(), b"x &amp; <![CDATA[<y>]]>&#x7a;");
}

#[test]
fn well_formed_documents_have_no_faults() {
    for document in [
        "<a/>",
        "<a></a>",
        "<a b='' c=\"\"/>",
        " <a>\u{e9}</a> ",
        "<a>&#65;&lt;&gt;&amp;&apos;&quot;</a>",
        "<?xml version='1.0' encoding='ISO-8859-1'?><a/>",
        "<a>]]</a>",
        "<a:b xmlns:a='x'/>",
    ] {
        check(document, &[]);
    }
}

#[test]
fn documents_that_are_not_well_formed_are_faulty() {
    check("", &["empty_document"]);
    check("<!-- -->", &["empty_document"]);
    check("text", &["trailing_data"]);
    check("<a/>text", &["trailing_data"]);
    check("<a/><b/>", &["trailing_data"]);
    check("<a>", &["unexpected_end"]);
    check("<a", &["unexpected_end"]);
    check("<a><b></a></b>", &["xml_mismatched_tag"]);
    check("</a>", &["xml_mismatched_tag"]);
    check("<a b/>", &["xml_syntax"]);
    check("<a b=c/>", &["xml_syntax"]);
    check("<a b='1' b='2'/>", &["duplicate_key"]);
    check("<a>&#0;&#xD800;&#x110000;</a>", &["xml_bad_character", "xml_bad_character", "xml_bad_character"]);
    check(b"<a>\xff</a>", &["bad_utf8"]);
    check(b"\xef\xbb\xbf<a/>", &["byte_order_mark"]);
    check(b"\xff\xfe<\0a\0/\0>\0", &["unsupported_encoding"]);
    check("<?xml version='1.0' encoding='utf-7'?><a/>", &["unsupported_encoding"]);
    check("<a>x<!-- c", &["unexpected_end"]);
    check("<a>x & y</a>", &["xml_syntax"]);
    check("<a>x & y; z</a>", &["xml_syntax"]);
    check("<a b='x & y'/>", &["xml_syntax"]);
    check("<a b='x & y; z'/>", &["xml_syntax"]);
    check("<a b='&&lt;&;'/>", &["xml_syntax", "xml_syntax"]);
    check("<a b='&#;&#x;&#x41'/>", &["xml_bad_character", "xml_bad_character", "xml_syntax"]);
}

/// As libxml2 judges them: what it calls well formed is, and what it refuses is not.
#[test]
fn names_characters_and_declarations_are_those_of_the_standard() {
    for document in [
        "<a.b-c_d/>",
        "<\u{e9} \u{3b1}='1'/>",
        "<x:a/>",
        "<:a/>",
        "<a\n>x</a\n>",
        "<a b = '1'/>",
        "<a b='1' B='2'/>",
        "<a x:b='1' y:b='1' xmlns:x='u' xmlns:y='u'/>",
        "<?php echo 1 ?><a><?php?></a>",
        "<?xml version='1.1'?><a/>",
        "<!-- x --><a/><?x y?><!---->",
        "<a>\u{fffd}%</a>",
    ] {
        check(document, &[]);
    }
    check(b"<?xml version='1.0' encoding='iso-8859-1'?><caf\xe9 \xe9='\xff'>\xff</caf\xe9>", &[]);
    for document in [
        "<a$/>",
        "<1a/>",
        "<a><b@c/></a>",
        "<a b@='1'/>",
        "<a b='1'c='2'/>",
        "<a\u{d7}b/>",
        "<a \u{b7}='1'/>",
        "<?x@ y?><a/>",
        "<?php/x?><a/>",
        "<a><?XML x?></a>",
        "<a><?xml version='1.0'?></a>",
        "<?xml version='2.0'?><a/>",
        "<?xml encoding='utf-8'?><a/>",
        "<!-- -- --><a/>",
        "<a><!--x---></a>",
    ] {
        check(document, &["xml_syntax"]);
    }
    check("<a>\u{fffe}</a>", &["xml_bad_character"]);
    check("<a><!--\u{1}--></a>", &["xml_bad_character"]);
    check("<a xmlns='x' xmlns='y'/>", &["duplicate_key"]);
    check(b"<?xml version='1.0' encoding='utf-8'?><a>\xff</a>", &["bad_utf8"]);
}

#[test]
fn document_types_and_entities_are_refused_by_default() {
    const BOMB: &str = "<!DOCTYPE a [<!ENTITY x 'xxxxxxxx'><!ENTITY y '&x;&x;'>]><a>&y;</a>";
    check(BOMB, &["xml_dtd_count"]);
    check("<a>&nbsp;</a>", &["xml_entity_count"]);
    check("<a b='&nbsp;'/>", &["xml_entity_count"]);
    let limits = Limits { xml_dtd_count: 1, ..Limits::default() };
    assert_eq!(faults(&decode(Format::Xml, BOMB.as_bytes(), &limits)), ["xml_entity_count"]);
    let limits = Limits { xml_dtd_count: 1, xml_entity_count: 3, ..Limits::default() };
    let content = decode(Format::Xml, BOMB.as_bytes(), &limits);
    assert_eq!(faults(&content), ["xml_unknown_entity"]);
    assert_eq!(leaves(&content), "xml.a = &y;\n");
}

#[test]
fn every_limit_stops_decoding() {
    #[track_caller]
    fn check(set: impl Fn(&mut Limits), name: &str) {
        let document = "<?pi data?><root xmlns:p='uri' xmlns:q='uri' a='12' b='3'><!--ab--><!--cd-->text<e><f/></e></root><?pi 2?>";
        let mut limits = Limits::default();
        assert_eq!(decode(Format::Xml, document.as_bytes(), &limits).faults(), []);
        set(&mut limits);
        let content = decode(Format::Xml, document.as_bytes(), &limits);
        assert_eq!(content.stopped().map(|fault| fault.name()), Some(name));
    }
    check(|limits| limits.xml_element_count = 2, "xml_element_count");
    check(|limits| limits.xml_node_depth = 2, "xml_node_depth");
    check(|limits| limits.xml_child_count = 2, "xml_child_count");
    check(|limits| limits.xml_attribute_count_per_element = 1, "xml_attribute_count_per_element");
    check(|limits| limits.xml_namespace_count_per_element = 1, "xml_namespace_count_per_element");
    check(|limits| limits.xml_element_name_length = 3, "xml_element_name_length");
    check(|limits| limits.xml_attribute_name_length = 0, "xml_attribute_name_length");
    check(|limits| limits.xml_namespace_prefix_length = 0, "xml_namespace_prefix_length");
    check(|limits| limits.xml_instruction_target_length = 1, "xml_instruction_target_length");
    check(|limits| limits.xml_text_length = 3, "xml_text_length");
    check(|limits| limits.xml_attribute_length = 1, "xml_attribute_length");
    check(|limits| limits.xml_namespace_uri_length = 2, "xml_namespace_uri_length");
    check(|limits| limits.xml_comment_length = 1, "xml_comment_length");
    check(|limits| limits.xml_instruction_data_length = 3, "xml_instruction_data_length");
    check(|limits| limits.xml_comment_count = 1, "xml_comment_count");
    check(|limits| limits.xml_instruction_count = 1, "xml_instruction_count");
}

#[test]
fn line_ends_of_texts_are_line_feeds_and_those_of_attributes_spaces() {
    let limits = Limits::default();
    let document = b"<a b='1\r\n2\r3\n4&#13;'>1\r\n2\r3\n4&#13;<![CDATA[\r\n]]></a>";
    let content = decode(Format::Xml, document, &limits);
    assert_eq!(leaves(&content), "xml.a.@b = 1 2 3 4\\r\nxml.a = 1\\n2\\n3\\n4\\r\\n\n");
    let text = content.of_kind(Kind::Text).next().unwrap();
    assert!(document.ends_with(&[text.raw(), b"</a>"].concat()), "{}", text.raw().escape_ascii());
}

#[test]
fn what_is_there_of_a_value_that_the_end_cuts_stays_as_text() {
    for (document, kept) in [
        ("<a b='evil", "evil"),
        ("<a><b c='d' e=\"evil", "d' e=\"evil"),
        ("<a>x<![CDATA[evil", "xevil"),
        ("<a>x<!-- comment", "x"),
        ("<a>x</a", "x"),
        ("<a>x<b", "x"),
    ] {
        let limits = Limits::default();
        let content = decode(Format::Xml, document.as_bytes(), &limits);
        let mut text = Vec::new();
        content.append_text(&mut text);
        assert_eq!((text.as_slice(), faults(&content)), (kept.as_bytes(), vec!["unexpected_end"]), "{document}");
    }
}
