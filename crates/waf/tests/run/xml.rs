//! XML as libmodsecurity reads it: what breaks it, and what attributes are.

use super::{XML, post, seen};

const RULES: &str = r#"
SecRequestBodyAccess On
SecRule REQBODY_ERROR "@eq 1" "id:1,phase:2,pass,log"
SecRule XML:/* "@unconditionalMatch" "id:2,phase:2,pass,log,logdata:'%{MATCHED_VAR}'"
SecRule XML://@* "@unconditionalMatch" "id:3,phase:2,pass,log,logdata:'%{MATCHED_VAR}'"
"#;

/// Each of these is an error for libmodsecurity 3.0.9, as observed.
#[test]
fn what_is_not_well_formed_is_an_error_of_the_body() {
    for body in [
        "<a>un",
        "<a>&foo;</a>",
        "<a x=1>q</a>",
        "<a><b>x</a>",
        "no",
        "<a/><b/>",
        "<a>\u{1}</a>",
        "<a>a & b</a>",
        "<a x=\"<\">q</a>",
        "<a x=\"1\" x=\"2\">q</a>",
        "<1a>q</1a>",
        "  <?xml version=\"1.0\"?><a>x</a>",
        "<a>a ]]> b</a>",
        "<a><!-- a -- b --></a>",
        "<a>x</a>tail",
        "<?xml version=\"1.0\" encoding=\"foo\"?><a>x</a>",
        "<?xml version=\"1.0\" encoding=\"utf-16\"?><a>x</a>",
        "<a>&#1;</a>",
        "<a>&#xZ;</a>",
    ] {
        assert!(seen(RULES, post(XML, body)).rules().contains(&1), "{body}");
    }
}

#[test]
fn what_is_well_formed_is_none() {
    for body in [
        "<a p:x=\"1\">q</a>",
        "<!DOCTYPE a [<!ENTITY foo \"bar\">]><a>&foo;</a>",
        "<?xml version=\"1.0\"?>\n<a>]] > &#9;&lt;</a>\n",
        "<a x='&lt;' y='2'><![CDATA[<b> & ]]]]></a>",
        "<a><!-- a - b --></a>",
    ] {
        assert!(!seen(RULES, post(XML, body)).rules().contains(&1), "{body}");
    }
}

#[test]
fn all_texts_of_a_document_are_one_value() {
    let body = "<a x='1'><b y='2'>one</b>two<![CDATA[three]]><c/> <d>four</d></a>";
    assert_eq!(seen(RULES, post(XML, body)).data(), ["onetwothree four", "2"]);
}

#[test]
fn attributes_are_normalized() {
    let value = |attribute: &str| {
        let body = format!("<a x=\"{attribute}\"/>");
        seen(RULES, post(XML, &body)).data().pop().unwrap_or_default()
    };
    assert_eq!(value("l1\nl2\tt"), "l1 l2 t");
    assert_eq!(value("l1\r\nl2\rl3"), "l1 l2 l3");
    assert_eq!(value("&#10;&#x9;&lt;  q "), "\n\t<  q ");
    assert_eq!(value("union\n&#115;elect"), "union select");
}
