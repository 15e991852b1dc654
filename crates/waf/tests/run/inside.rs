//! Values inside of values, wherever a request has them, and the part that a rule found.

use bartizan_waf::Options;

use super::{FORM, GET, JSON, Sent, XML, get, plan_with, post, run, seen, seen_by};

/// Looks for `bad` in everything, and tells where.
const RULES: &str = r#"
SecRequestBodyAccess On
SecParseXmlIntoArgs On
SecRule ARGS|REQUEST_COOKIES|REQUEST_HEADERS "@streq bad one" "id:1,phase:2,pass,log,logdata:'%{MATCHED_VAR_NAME}'"
"#;

#[track_caller]
fn check(sent: Sent<'_>, expected: &str) {
    assert_eq!(seen_by(RULES, sent, true).data(), [expected]);
    assert_eq!(seen(RULES, sent).rules(), [0; 0], "nothing is opened unless it is asked for");
}

const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJiYWQgb25lIn0.c2lnbmF0dXJl";
const BASE64: &str = "YmFkIG9uZQ==";

#[test]
fn values_are_opened_in_every_part_of_a_request() {
    check(get("/?a=YmFkIG9uZQ%3D%3D"), "ARGS:a.base64");
    check(get("/?a=bad%2520one"), "ARGS:a.url");
    check(get("/?a=%7B%22b%22:%22bad%20one%22%7D"), "ARGS:a.json.b");
    check(post(FORM, "a=YmFkIG9uZQ"), "ARGS:a.base64");
    check(post(JSON, &format!(r#"{{"a":["{BASE64}"]}}"#)), "ARGS:json.a.0.base64");
    check(post(JSON, r#"{"a":"{\"b\":[\"bad one\"]}"}"#), "ARGS:json.a.json.b.0");
    check(post(XML, &format!("<r><a>{BASE64}</a></r>")), "ARGS:xml.r.a.base64");
    let bearer = format!("Bearer {TOKEN}");
    check(Sent { headers: &[("Authorization", &bearer)], ..GET }, "REQUEST_HEADERS:Authorization.jwt.payload.sub");
    check(Sent { headers: &[("X-Context", BASE64)], ..GET }, "REQUEST_HEADERS:X-Context.base64");
    let cookie = format!("lang=en; auth={TOKEN}");
    check(Sent { headers: &[("Cookie", &cookie)], ..GET }, "REQUEST_COOKIES:auth.jwt.payload.sub");
    check(Sent { headers: &[("Cookie", "a=bad%20one")], ..GET }, "REQUEST_COOKIES:a.url");
}

#[test]
fn wrappings_inside_each_other_are_opened() {
    // `{"b":"YmFkIG9uZQ=="}` in Base64
    check(get("/?a=eyJiIjoiWW1Ga0lHOXVaUT09In0="), "ARGS:a.base64.json.b.base64");
}

#[test]
fn what_was_opened_is_not_counted_as_sent() {
    const COUNT: &str = r#"
SecRule &ARGS "@ge 0" "id:1,phase:2,pass,log,logdata:'%{MATCHED_VAR}'"
SecRule ARGS_COMBINED_SIZE "@ge 0" "id:2,phase:2,pass,log,logdata:'%{MATCHED_VAR}'"
"#;
    let sent = get("/?a=%7B%22b%22:1,%22c%22:2%7D");
    assert_eq!(seen_by(COUNT, sent, true).data(), seen(COUNT, sent).data());
}

#[test]
fn exclusions_can_name_what_was_opened() {
    let named = RULES.replace("ARGS|", "ARGS|!ARGS:a.base64|");
    assert_eq!(seen_by(&named, get("/?a=YmFkIG9uZQ"), true).rules(), [0; 0]);
    assert_eq!(seen_by(&named, get("/?b=YmFkIG9uZQ"), true).rules(), [1]);
    let with_value = RULES.replace("ARGS|", "ARGS|!ARGS:/^a(?:\\.(?:base64|json|jwt|url)(?:\\..*)?)?$/|");
    assert_eq!(seen_by(&with_value, get("/?a=YmFkIG9uZQ"), true).rules(), [0; 0]);
}

#[test]
fn a_document_of_very_many_values_is_opened_in_part() {
    let body = format!(r#"{{"a":"[{}\"bad one\"]"}}"#, "1,".repeat(3_000));
    let seen = seen_by(RULES, post(JSON, &body), true);
    assert_eq!(seen.rules(), [0; 0]);
    assert_eq!(seen.cuts(), ["body: more values inside of values than are opened; rules saw the first"]);
}

#[test]
fn elements_of_arrays_can_be_named_as_modsecurity_names_them() {
    let rules = |selector: &str| {
        format!("SecRequestBodyAccess On\nSecRule ARGS:{selector} \"@streq bad\" \"id:1,phase:2,pass,log\"")
    };
    let body = r#"{"a":["x",{"b":["bad"]}]}"#;
    for selector in ["json.a.1.b.0", "json.a.array_1.b.array_0"] {
        assert_eq!(seen(&rules(selector), post(JSON, body)).rules(), [1], "{selector}");
    }
    assert_eq!(seen(&rules("json.a.array_1.b"), post(JSON, body)).rules(), [0; 0]);
}

#[test]
fn an_array_has_a_name_and_no_value() {
    const NAMES: &str = r#"
SecRequestBodyAccess On
SecRule ARGS_NAMES "@endsWith __in" "id:1,phase:2,pass,log"
SecRule ARGS "@rx ^$" "id:2,phase:2,pass,log"
SecRule ARGS "!@rx ^[a-z]+$" "id:3,phase:2,pass,log"
SecRule &ARGS "!@eq 2" "id:4,phase:2,pass,log"
"#;
    let sent = post(JSON, r#"{"id__in":["a","b"]}"#);
    for opens_values in [false, true] {
        assert_eq!(seen_by(NAMES, sent, opens_values).rules(), [1]);
    }
    let like_libmodsecurity = Options { detect_bodies: true, hides_arrays: true, ..Options::default() };
    assert_eq!(run(plan_with(NAMES, &like_libmodsecurity), sent).rules(), [0; 0]);
}

#[track_caller]
fn check_part(rule: &str, target: &str, expected: &str) {
    let seen = seen(rule, get(target));
    let parts: Vec<_> = seen.matches.iter().map(|found| String::from_utf8_lossy(&found.matched)).collect();
    assert_eq!(parts, [expected], "{rule}");
}

#[test]
fn a_match_tells_the_part_that_was_found() {
    check_part(r#"SecRule ARGS "@rx b.d" "id:1,phase:2,pass,log""#, "/?a=not+bad+at+all", "bad");
    check_part(r#"SecRule ARGS "@rx b.d" "id:1,phase:2,pass,log,t:lowercase""#, "/?a=not+BAD", "bad");
    check_part(r#"SecRule ARGS "@pm good bad" "id:1,phase:2,pass,log""#, "/?a=not+bad", "bad");
    check_part(r#"SecRule ARGS "@contains bad" "id:1,phase:2,pass,log""#, "/?a=not+bad", "not bad");
    check_part(r#"SecRule ARGS "@detectSQLi" "id:1,phase:2,pass,log""#, "/?a=1'+or+'1'='1", "1' or '1'='1");
    check_part(r#"SecRule ARGS "!@rx ^x" "id:1,phase:2,pass,log""#, "/?a=not+bad", "not bad");
    check_part(r#"SecRule &ARGS "@eq 1" "id:1,phase:2,pass,log""#, "/?a=not+bad", "");
    let chain = "SecRule ARGS \"@rx b.d\" \"id:1,phase:2,pass,log,chain\"\n SecRule MATCHED_VARS \"!@rx ^x\"";
    check_part(chain, "/?a=not+bad", "bad");
    let long = format!("/?a={}", "x".repeat(1_000));
    check_part(r#"SecRule ARGS "@rx x+" "id:1,phase:2,pass,log""#, &long, &"x".repeat(256));
}

#[test]
fn a_name_that_a_list_has_is_told_and_not_the_last_one_that_was_sent() {
    const RULES: &str = r#"
SecRule REQUEST_HEADERS_NAMES "@rx ^.*$" "id:1,phase:1,pass,log,capture,t:lowercase,setvar:'tx.name_%{tx.0}=/%{tx.0}/',chain"
  SecRule TX:/^name_/ "@within /proxy/ /range/"
"#;
    // `X-Proxy` only looks like one of them: what the gates let through is more than what they keep.
    let headers = [("Proxy", "a"), ("X-Proxy", "b"), ("X-Other", "c")];
    let seen = seen(RULES, super::Sent { headers: &headers, ..super::GET });
    let parts: Vec<_> = seen.matches.iter().map(|found| found.matched.as_slice()).collect();
    assert_eq!(parts, [b"/proxy/"]);
}
