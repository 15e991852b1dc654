//! `ctl:ruleRemoveMatchedById`: the very values that matched are taken away from other rules, and nothing else.

use bartizan_waf::{Gates, Options, Parsed, Plan, Sources, parse};

use super::{FORM, GET, JSON, Sent, XML, get, plan_of, post, run, seen, seen_by};

/// Rule 1 takes values that begin with `text` from rules 10 to 19; rule 10 looks for `bad`, rule 20 too.
const RULES: &str = r#"
SecRequestBodyAccess On
SecRule ARGS|XML:/* "@rx ^text" "id:1,phase:2,pass,nolog,ctl:ruleRemoveMatchedById=10-19"
SecRule ARGS|XML:/*|REQUEST_HEADERS:X-Note "@rx bad" "id:10,phase:2,pass,log,logdata:'%{MATCHED_VAR_NAME}'"
SecRule ARGS "@contains bad" "id:20,phase:2,pass,log,logdata:'%{MATCHED_VAR_NAME}'"
"#;

#[track_caller]
fn check(target: &str, expected: &[u32]) {
    assert_eq!(seen(RULES, get(target)).rules(), expected, "{target}");
}

#[test]
fn a_value_that_matched_is_taken_from_the_rules_named_and_from_no_others() {
    check("/?a=text+bad", &[20]);
    check("/?a=bad", &[10, 20]);
    check("/?a=text&b=bad", &[10, 20]);
    check("/?a=bad&b=text", &[10, 20]);
}

#[test]
fn of_two_arguments_of_one_name_only_the_one_that_matched_is_taken_away() {
    check("/?a=text&a=bad", &[10, 20]);
    check("/?a=bad&a=text+bad", &[10, 20]);
    check("/?a=text+bad&a=text+bad", &[20]);
}

#[test]
fn two_arguments_of_equal_values_are_both_taken_away() {
    check("/?a=text+bad&b=text+bad", &[20]);
}

#[test]
fn arguments_of_bodies_are_told_apart_too() {
    assert_eq!(seen(RULES, post(JSON, r#"{"a":["text bad","x"]}"#)).rules(), [20]);
    assert_eq!(seen(RULES, post(JSON, r#"{"a":["text bad","bad"]}"#)).rules(), [10, 20]);
    assert_eq!(seen(RULES, post(FORM, "a=text&a=bad")).rules(), [10, 20]);
}

#[test]
fn the_text_of_xml_is_one_value_and_so_are_its_arguments() {
    assert_eq!(seen(RULES, post(XML, "<a>text bad</a>")).rules(), [0; 0]);
    let with_arguments = format!("{RULES}SecParseXmlIntoArgs On\n");
    let body = "<r><a>text</a><a>bad</a></r>";
    assert_eq!(seen(RULES, post(XML, body)).rules(), [0; 0]);
    let seen = seen(&with_arguments, post(XML, body));
    assert_eq!(seen.data(), ["ARGS:xml.r.a", "ARGS:xml.r.a"]);
}

#[test]
fn what_is_inside_of_a_value_is_another_value() {
    let target = "/?a=text%20%25%36%32ad"; // `text %62ad`
    assert_eq!(seen(RULES, get(target)).rules(), [0; 0]);
    let inside = seen_by(RULES, get("/?a=%7B%22n%22:%22text%22,%22b%22:%22bad%22%7D"), true);
    assert_eq!(inside.data(), ["ARGS:a.json.b", "ARGS:a.json.b"]);
    assert_eq!(seen_by(RULES, get(target), true).rules(), [20], "`a.url` begins with `text`, too");
}

#[test]
fn a_header_or_name_is_not_taken_away_with_an_argument() {
    let sent = super::Sent { headers: &[("X-Note", "text bad")], ..get("/?a=text+bad") };
    assert_eq!(seen(RULES, sent).data(), ["REQUEST_HEADERS:X-Note", "ARGS:a"]);
}

#[test]
fn in_a_chain_the_values_of_the_link_it_stands_on_are_taken_away_when_all_of_it_matched() {
    const CHAIN: &str = r#"
SecRule ARGS "@rx ^text" "id:1,phase:2,pass,nolog,chain"
  SecRule MATCHED_VARS "@rx safe$" "ctl:ruleRemoveMatchedById=10"
SecRule ARGS "@rx bad" "id:10,phase:2,pass,log,logdata:'%{MATCHED_VAR_NAME}'"
"#;
    assert_eq!(seen(CHAIN, get("/?a=text+bad+safe&b=text+bad")).data(), ["ARGS:b"]);
    assert_eq!(seen(CHAIN, get("/?a=text+bad")).data(), ["ARGS:a"]);
}

#[test]
fn a_negated_operator_takes_away_what_it_does_not_find() {
    const NEGATED: &str = r#"
SecRule ARGS "!@rx [<>]" "id:1,phase:2,pass,nolog,ctl:ruleRemoveMatchedByTag=markup"
SecRule ARGS "@rx bad" "id:10,phase:2,pass,log,tag:'markup',logdata:'%{MATCHED_VAR_NAME}'"
"#;
    assert_eq!(seen(NEGATED, get("/?a=bad&b=<bad")).data(), ["ARGS:b"]);
}

#[test]
fn a_value_that_no_other_rule_looks_for_still_counts_in_the_chain_that_takes_another_away() {
    // `b` is of no interest to rule 10, and yet it is what the second link matches.
    const FIRST: &str = r#"
SecRule ARGS "@rx text" "id:1,phase:2,pass,nolog,ctl:ruleRemoveMatchedById=10,chain"
  SecRule MATCHED_VARS "@rx safe$"
SecRule ARGS "@rx bad" "id:10,phase:2,pass,log,logdata:'%{MATCHED_VAR_NAME}'"
"#;
    assert_eq!(seen(FIRST, get("/?a=text+bad&b=text+safe")).rules(), [0; 0]);
    assert_eq!(seen(FIRST, get("/?a=text+bad")).data(), ["ARGS:a"]);
    const COUNTED: &str = r#"
SecRule ARGS "@rx text" "id:1,phase:2,pass,nolog,ctl:ruleRemoveMatchedById=10"
SecRule &ARGS "@eq 1" "id:10,phase:2,pass,log"
"#;
    assert_eq!(seen(COUNTED, get("/?a=text&b=2")).rules(), [10]);
    assert_eq!(seen(COUNTED, get("/?a=1&b=2")).rules(), [0; 0]);
    const TOLD: &str = r#"
SecRule ARGS "@rx text" "id:1,phase:2,pass,nolog,setvar:tx.is_text=1,ctl:ruleRemoveMatchedById=10"
SecRule ARGS "@rx bad" "id:10,phase:2,pass,log"
SecRule TX:is_text "@eq 1" "id:11,phase:2,pass,log"
"#;
    assert_eq!(seen(TOLD, get("/?a=text")).rules(), [11]);
}

#[test]
fn what_is_left_out_of_a_rule_is_no_reason_to_ask_about_it() {
    const UPDATED: &str = r#"
SecRule ARGS "@rx text" "id:1,phase:2,pass,nolog,ctl:ruleRemoveMatchedById=10"
SecRule ARGS|ARGS_NAMES|REQUEST_FILENAME "@rx bad" "id:10,phase:2,pass,log,logdata:'%{MATCHED_VAR_NAME}'"
SecRuleUpdateTargetById 10 "!ARGS,!REQUEST_FILENAME"
"#;
    assert_eq!(seen(UPDATED, get("/bad?a=bad&b=text+bad")).rules(), [0; 0]);
    assert_eq!(seen(UPDATED, get("/bad?bad=text")).data(), ["ARGS_NAMES:bad"]);
}

#[test]
fn levels_are_left_out_at_load_though_an_update_of_targets_reaches_their_skips() {
    const LEVELS: &str = r#"
SecAction "id:1,phase:1,pass,nolog,setvar:tx.level=1"
SecRule TX:level "@lt 2" "id:2,phase:2,pass,nolog,skipAfter:END"
SecRule ARGS "@rx bad" "id:3,phase:2,pass,log"
SecMarker END
SecRule ARGS "@rx bad" "id:4,phase:2,pass,log"
SecRuleUpdateTargetById 1-9 "!ARGS_NAMES"
"#;
    assert_eq!(seen(LEVELS, get("/?a=bad")).rules(), [4]);
    let summary = plan_of(LEVELS, Gates::All, false).summary();
    assert!(summary.contains("phase 2: 1 rules, 1 gated"), "{summary}");
}

#[test]
fn names_are_values_of_their_own() {
    const NAMES: &str = r#"
SecRule ARGS_NAMES "@rx ^text" "id:1,phase:2,pass,nolog,ctl:ruleRemoveMatchedByMsg=^looks"
SecRule ARGS|ARGS_NAMES "@rx bad" "id:10,phase:2,pass,log,msg:'looks bad',logdata:'%{MATCHED_VAR_NAME}'"
"#;
    assert_eq!(seen(NAMES, get("/?text_bad=1")).rules(), [0; 0]);
    assert_eq!(seen(NAMES, get("/?text_bad=bad")).data(), ["ARGS:text_bad"]);
}

#[test]
fn a_scalar_can_be_taken_away() {
    const SCALAR: &str = r#"
SecRule REQUEST_FILENAME "@beginsWith /text" "id:1,phase:1,pass,nolog,ctl:ruleRemoveMatchedById=10"
SecRule REQUEST_FILENAME|QUERY_STRING "@rx bad" "id:10,phase:2,pass,log,logdata:'%{MATCHED_VAR_NAME}'"
"#;
    assert_eq!(seen(SCALAR, get("/text/bad")).rules(), [0; 0]);
    assert_eq!(seen(SCALAR, get("/text/bad?bad")).data(), ["QUERY_STRING"]);
}

#[test]
fn a_rule_that_matches_nothing_of_the_client_can_take_nothing_away() {
    for rule in [
        r#"SecAction "id:1,phase:1,pass,ctl:ruleRemoveMatchedById=10""#,
        r#"SecRule TX:score "@gt 1" "id:1,phase:1,pass,ctl:ruleRemoveMatchedById=10""#,
        r#"SecRule &ARGS "@gt 1" "id:1,phase:1,pass,ctl:ruleRemoveMatchedById=10""#,
    ] {
        let read = |_: &std::path::Path| Ok(rule.as_bytes().to_vec());
        let glob = |_: &std::path::Path| Ok(Vec::new());
        let Parsed { document, .. } = parse(&["test.conf".into()], &Sources { read: &read, glob: &glob });
        let faults = Plan::compile(&document, &Options::default()).unwrap_err();
        assert!(faults[0].message.contains("matches nothing of what the client sent"), "{rule}: {faults:?}");
    }
}

#[test]
fn sixty_four_groups_of_rules_can_be_named_and_the_next_is_refused() {
    let text = |groups: u32| {
        let removal = |at: u32| {
            let (id, removed) = (1000 + at, 2000 + at);
            format!(
                "SecRule ARGS \"@streq text{at}\" \"id:{id},phase:2,pass,nolog,ctl:ruleRemoveMatchedById={removed}\"\n\
                 SecRule ARGS \"@rx ^text\" \"id:{removed},phase:2,pass,log\"\n"
            )
        };
        (0..groups).map(removal).collect::<String>()
    };
    let plan = plan_of(&text(64), Gates::All, false);
    for left_out in [0, 31, 32, 63] {
        let target = format!("/?a=text{left_out}");
        let sent = Sent { target: &target, ..GET };
        let expected: Vec<u32> = (2000..2064).filter(|id| *id != 2000 + left_out).collect();
        assert_eq!(run(plan.clone(), sent).rules(), expected, "{target}");
    }
    let read = |_: &std::path::Path| Ok(text(65).into_bytes());
    let glob = |_: &std::path::Path| Ok(Vec::new());
    let Parsed { document, .. } = parse(&["test.conf".into()], &Sources { read: &read, glob: &glob });
    let faults = Plan::compile(&document, &Options::default()).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].message.contains("more than 64 `ctl:ruleRemoveMatched…`"), "{faults:?}");
}

#[test]
fn what_is_remembered_of_a_value_brings_no_removal_and_takes_none_away() {
    const RULES: &str = r#"
SecRule REQUEST_HEADERS:X-Kind "@streq prose" "id:1,phase:1,pass,nolog,chain"
  SecRule REQUEST_HEADERS:X-Note "@rx bad" "ctl:ruleRemoveMatchedById=10"
SecRule REQUEST_HEADERS:X-Note "@rx bad" "id:10,phase:1,pass,log"
"#;
    let plan = plan_of(RULES, Gates::All, false);
    // A value is kept when it comes for the second time, and used from the third on.
    for round in 0..4 {
        for (kind, expected) in [("prose", &[][..]), ("code", &[10])] {
            let sent = Sent { headers: &[("X-Kind", kind), ("X-Note", "bad")], ..GET };
            assert_eq!(run(plan.clone(), sent).rules(), expected, "{kind} in round {round}");
        }
    }
}

#[test]
fn names_that_a_list_is_searched_for_are_all_taken_away() {
    const RULES: &str = r#"
SecRule REQUEST_HEADERS_NAMES "@rx ^.*$" "id:1,phase:1,pass,log,capture,t:lowercase,setvar:'tx.name_%{tx.0}=/%{tx.0}/',ctl:ruleRemoveMatchedById=10,chain"
  SecRule TX:/^name_/ "@within /proxy/ /range/"
SecRule REQUEST_HEADERS_NAMES "@rx (?i)^x-" "id:10,phase:1,pass,log"
"#;
    for (headers, expected) in [([("Proxy", "a"), ("X-A", "b")], [1]), ([("Accept", "a"), ("X-A", "b")], [10])] {
        assert_eq!(seen(RULES, Sent { headers: &headers, ..GET }).rules(), expected, "{headers:?}");
    }
}
