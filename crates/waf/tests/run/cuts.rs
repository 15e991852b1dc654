//! What rules could not look at is told, apart from `REQBODY_ERROR`.

use super::{FORM, GET, JSON, Sent, XML, get, post, seen, seen_by};

/// Tells the state of the body, and all arguments that are `bad`.
const RULES: &str = r#"
SecRequestBodyAccess On
SecRule REQBODY_ERROR "@eq 1" "id:1,phase:2,pass,log,logdata:'%{REQBODY_ERROR_MSG}'"
SecRule ARGS "@streq bad" "id:2,phase:2,pass,log"
"#;

#[track_caller]
fn check(rules: &str, sent: Sent<'_>, matches: &[u32], cuts: &[&str]) {
    let seen = seen(rules, sent);
    assert_eq!((seen.rules().as_slice(), seen.cuts()), (matches, cuts.iter().map(|cut| (*cut).to_owned()).collect()));
}

#[test]
fn an_ordinary_request_is_seen_whole() {
    check(RULES, get("/?a=1&b=bad"), &[2], &[]);
    check(RULES, post(JSON, r#"{"a":["bad"]}"#), &[2], &[]);
}

#[test]
fn members_beyond_those_that_a_collection_takes_are_told() {
    let query = format!("/?{}c=bad", "a=1&".repeat(100_000));
    let cut = "query: more than 100000 members of one collection; rules saw the first";
    check(RULES, get(&query), &[], &[cut]);
    check(RULES, get(&query["/?a=1&".len()..]), &[], &[]);
}

#[test]
fn a_limit_of_a_decoder_is_told_and_is_no_fault_of_the_body() {
    let deep = format!("{}{}", "<a>".repeat(65), "</a>".repeat(65));
    check(RULES, post(XML, &deep), &[], &["body: decoding stopped at `xml_node_depth`; rules saw what came before"]);
    let many = format!("[{}1]", "1,".repeat(140_000));
    check(
        RULES,
        post(JSON, &many),
        &[],
        &[
            "body: more than 100000 members of one collection; rules saw the first",
            "body: decoding stopped at `nodes`; rules saw what came before",
        ],
    );
}

#[test]
fn json_that_is_too_deep_is_broken_as_for_modsecurity_and_told() {
    let rules = format!("{RULES}SecRequestBodyJsonDepthLimit 3\n");
    let cut = "body: decoding stopped at `json_container_depth`; rules saw what came before";
    check(&rules, post(JSON, "[[[[1]]]]"), &[1], &[cut]);
    check(&rules, post(JSON, "[[[1]]]"), &[], &[]);
}

#[test]
fn a_body_that_was_cut_is_not_broken() {
    let cut = |content_type, body| Sent { is_body_cut: true, ..post(content_type, body) };
    for body in [r#"{"a":["bad","#, r#"{"a":"bad","b":"x\u00"#, r#"{"a":"bad","b":tr"#, "{\"a\":\"bad\",\"b\":1."] {
        assert_eq!(seen(RULES, cut(JSON, body)).rules(), [2], "{body}");
        assert_eq!(seen(RULES, post(JSON, body)).rules(), [1, 2], "{body}");
    }
    for body in ["<a>text", "<a b='1", "<a><b>text</"] {
        assert_eq!(seen(RULES, cut(XML, body)).rules(), [0; 0], "{body}");
        assert_eq!(seen(RULES, post(XML, body)).rules(), [1], "{body}");
    }
    const MULTIPART: &[(&str, &str)] = &[("Content-Type", "multipart/form-data; boundary=x")];
    let body = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nbad\r\n--x\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\nte";
    assert_eq!(seen(RULES, cut(MULTIPART, body)).rules(), [2]);
    assert_eq!(seen(RULES, post(MULTIPART, body)).rules(), [1, 2]);
}

#[test]
fn what_is_there_of_a_value_that_was_cut_is_looked_at() {
    const RULES: &str = r#"
SecRequestBodyAccess On
SecRule ARGS|ARGS_NAMES|XML:/* "@contains bad" "id:2,phase:2,pass,log"
"#;
    const MULTIPART: &[(&str, &str)] = &[("Content-Type", "multipart/form-data; boundary=x")];
    for (content_type, body) in [
        (JSON, r#"{"a":["bad and long"#),
        (JSON, r#"{"a":"\u0062ad and long\u00"#),
        (JSON, r#"{"bad and long"#),
        (FORM, "a=bad+and+long"),
        (XML, "<a>bad and long"),
        (XML, "<a><![CDATA[bad and long"),
        (XML, "<a b='bad and long"),
        (MULTIPART, "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nbad and long"),
    ] {
        let cut = Sent { is_body_cut: true, ..post(content_type, body) };
        assert_eq!(seen(RULES, cut).rules(), [2], "{body}");
    }
}

#[test]
fn a_body_that_was_cut_may_be_broken_before_its_end() {
    let body = format!("{{\"a\":}}{}", " ".repeat(100));
    let cut = Sent { is_body_cut: true, ..post(JSON, &body) };
    assert_eq!(seen(RULES, cut).data(), ["JSON parsing error: unexpected_byte"]);
}

#[test]
fn paths_of_deep_documents_do_not_fill_the_memory() {
    let depth = 4_000;
    let name = "n".repeat(60);
    let body = format!("{}[{}\"bad\"]{}", format!("{{\"{name}\":").repeat(depth), "1,".repeat(200), "}".repeat(depth));
    let seen = seen(RULES, post(JSON, &body));
    assert_eq!(seen.rules(), [2]);
    assert_eq!(seen.cuts(), ["body: paths of more than 16 MiB together; of the rest, rules saw the ends"]);
}

#[test]
fn wrappings_inside_each_other_beyond_those_that_are_opened_are_told() {
    let twice = |text: &str| text.replace('%', "%25");
    let bad = "%62ad".to_owned();
    let third = twice(&twice(&twice(&bad))); // one more is taken off as a query
    assert_eq!(seen_by(RULES, get(&format!("/?a={third}")), true).rules(), [2]);
    let seen = seen_by(RULES, get(&format!("/?a={}", twice(&third))), true);
    assert_eq!(seen.rules(), [0; 0]);
    assert_eq!(seen.cuts(), ["query: more values inside of values than are opened; rules saw the first"]);
}

#[test]
fn a_value_cannot_hide_behind_many_others_that_match() {
    const CHAIN: &str = r#"
SecRule ARGS "@rx bad" "id:2,phase:2,pass,log,chain"
  SecRule MATCHED_VARS "!@rx ^but"
"#;
    let decoys = "a=but+bad&".repeat(5_000);
    assert_eq!(seen(CHAIN, Sent { headers: FORM, body: format!("{decoys}a=bad").as_bytes(), ..GET }).rules(), [2]);
    assert_eq!(seen(CHAIN, Sent { headers: FORM, body: decoys.as_bytes(), ..GET }).rules(), [0; 0]);
}

#[test]
fn members_of_tx_beyond_those_that_are_kept_are_told() {
    const COUNTERS: &str = r#"
SecRule ARGS_NAMES "@rx ." "id:1,phase:2,pass,nolog,setvar:'tx.count_%{MATCHED_VAR_NAME}=+1'"
SecRule TX:/^count_/ "@gt 1" "id:2,phase:2,pass,log"
"#;
    let names = |count: usize| (0..count).map(|name| format!("{name}=1&")).collect::<String>();
    assert_eq!(seen(COUNTERS, get(&format!("/?{}a=1&a=2", names(10)))).rules(), [2]);
    let many = seen(COUNTERS, get(&format!("/?{}a=1&a=2", names(5_000))));
    assert_eq!(many.rules(), [0; 0]);
    assert_eq!(many.cuts(), ["body: more members of `TX` made from names than are kept; rules saw the first"]);
}
