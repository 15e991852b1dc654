//! Each kind of fault: its code, its place and the words it is about.

use super::{parse_text, told};

/// A text that has these faults and no other: `line:column code words`.
fn check(text: &str, expected: &[&str]) {
    let parsed = parse_text(text);
    let found = told(&parsed.diagnostics);
    assert_eq!(found.len(), expected.len(), "{text}\n{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        let (start, words) = expected.split_once(" `").unwrap_or((expected, ""));
        let words = if words.is_empty() { String::new() } else { format!("`{words}") };
        assert!(
            found.starts_with(&format!("main.conf:{start} ")) && found.contains(&words),
            "{text}\n{expected}\n{found}"
        );
    }
    for diagnostic in &parsed.diagnostics {
        assert!(!diagnostic.help.is_empty() && !diagnostic.message.ends_with('.'), "{diagnostic}");
    }
}

#[test]
fn unknown_names_are_told_with_what_is_near() {
    check("SecRul ARGS \"@rx a\"", &["1:1 SEC-010 `SecRul`"]);
    check("SecRule ARG \"@rx a\" \"id:1\"", &["1:9 SEC-020 `ARG`"]);
    check("SecRule ARGS|NAMES|TX:a \"@rx a\" \"id:1\"", &["1:14 SEC-020 `NAMES`"]);
    check("SecRule ARGS \"@contain a\" \"id:1\"", &["1:15 SEC-030 `@contain`"]);
    check("SecRule ARGS \"!@foo@bar\" \"id:1\"", &["1:16 SEC-030 `@foo@bar`"]);
    check("SecRule ARGS \"@rx a\" \"id:1,denny\"", &["1:28 SEC-040 `denny`"]);
    check("SecRule ARGS \"@rx a\" \"id:1,t:lowercas\"", &["1:30 SEC-043 `t:lowercas`"]);
    check("SecRule ARGS \"@rx a\" \"id:1,ctl:ruleEngin=Off\"", &["1:32 SEC-044 `ctl:ruleEngin`"]);
    check("SecAction \"id:1,msg:'%{MATCHD_VAR}'\"", &["1:24 SEC-020 `MATCHD_VAR`"]);
    let parsed = parse_text("SecRuleEngin On");
    assert_eq!(parsed.diagnostics[0].help, "did you mean `SecRuleEngine`?");
    assert_eq!(parse_text("SecRule ARGZ \"a\" \"id:1\"").diagnostics[0].help, "did you mean `ARGS`?");
}

#[test]
fn what_other_engines_know_is_told_with_what_to_do() {
    check("SecRuleScript a.lua", &["1:1 SEC-011 `SecRuleScript`"]);
    check("SecRemoteRules key https://example.com/a", &["1:1 SEC-011 `SecRemoteRules`"]);
    check("SecHashEngine On", &["1:1 SEC-011 `SecHashEngine`"]);
    check("SecHashEngine Off", &[]);
    check("<IfModule mod_security2.c>\n</IfModule>", &["1:1 SEC-012 `<IfModule`", "2:1 SEC-012 `</IfModule>`"]);
    check("SecRule GEO:COUNTRY_CODE \"@streq DE\" \"id:1\"", &["1:9 SEC-021 `GEO`"]);
    for operator in ["inspectFile /a.sh", "fuzzyHash /a 1", "geoLookup", "gsbLookup", "rbl example.com", "rsub s/a/b/"]
    {
        let name = operator.split(' ').next().unwrap_or_default();
        check(&format!("SecRule ARGS \"@{operator}\" \"id:1\""), &[&format!("1:15 SEC-031 `@{name}`")]);
    }
    for action in ["exec:/a.sh", "append:x", "proxy:http://a/", "setenv:a=1", "pause:10"] {
        let name = action.split(':').next().unwrap_or_default();
        check(&format!("SecAction \"id:1,{action}\""), &[&format!("1:17 SEC-041 `{name}`")]);
    }
    check("SecAction \"id:1,ctl:hashEngine=On\"", &["1:21 SEC-045 `ctl:hashEngine`"]);
}

#[test]
fn faults_of_quotes_are_told_where_the_quote_is() {
    check("SecRule ARGS \"@rx a", &["1:14 SEC-013"]);
    check("SecRule ARGS \"@rx a\\\" \"id:1\"", &["1:24 SEC-014"]);
    check("SecRule ARGS \"@rx a\"\"id:1\"", &["1:21 SEC-014"]);
    check("SecAction \"id:1,msg:'a\"", &["1:21 SEC-013"]);
    check("SecAction \"id:1,msg:'a' b,pass\"", &["1:24 SEC-014 `msg`"]);
    check("SecAction \"id:1,msg:'it's'\"", &["1:25 SEC-014 `msg`"]);
}

#[test]
fn a_wrong_number_of_arguments_is_told() {
    check("SecRule ARGS", &["1:1 SEC-015 `SecRule`"]);
    check("SecRule ARGS @rx a \"id:1\"", &["1:1 SEC-015 `SecRule`"]);
    check("SecAction", &["1:1 SEC-015"]);
    check("SecMarker A B", &["1:1 SEC-015"]);
    check("SecRuleRemoveById", &["1:1 SEC-015"]);
    check("SecRuleUpdateTargetById 1 \"!ARGS:a\" ARGS", &["1:1 SEC-015"]);
    check("SecRuleEngine", &["1:1 SEC-015"]);
    check("SecResponseBodyMimeType", &["1:1 SEC-015"]);
    check("Include", &["1:1 SEC-015"]);
}

#[test]
fn values_of_settings_are_checked_for_their_form() {
    check("SecRuleEngine Maybe", &["1:15 SEC-016 `SecRuleEngine Maybe`"]);
    check("SecRequestBodyAccess DetectionOnly", &["1:22 SEC-016"]);
    check("SecRequestBodyLimit 10MB", &["1:21 SEC-016"]);
    check("SecRequestBodyLimit -1", &["1:21 SEC-016"]);
    check("SecRequestBodyLimit 99999999999999999999", &["1:21 SEC-016"]);
    check("SecRequestBodyLimitAction Drop", &["1:27 SEC-016"]);
    check("SecArgumentSeparator &&", &["1:22 SEC-016"]);
    check("SecCookieFormat 2", &["1:17 SEC-016"]);
    check("SecAuditLogParts ABX", &["1:18 SEC-016"]);
    check("SecUploadFileMode 0999", &["1:19 SEC-016"]);
    check("SecResponseBodyMimeType text/html html", &["1:35 SEC-016"]);
    check("SecDebugLogLevel 10", &["1:18 SEC-016"]);
    check("SecMarker \"\"", &["1:12 SEC-016"]);
}

#[test]
fn faults_of_variables_are_told() {
    check("SecRule \"\" \"@rx a\" \"id:1\"", &["1:10 SEC-022"]);
    check("SecRule ARGS||TX:a \"@rx a\" \"id:1\"", &["1:14 SEC-022"]);
    check("SecRule ARGS: \"@rx a\" \"id:1\"", &["1:9 SEC-022 `ARGS:`"]);
    check("SecRule !&ARGS:a|TX:b \"@rx a\" \"id:1\"", &["1:9 SEC-022 `!&ARGS`"]);
    check("SecRule ARGS:/a \"@rx a\" \"id:1\"", &["1:9 SEC-022 `ARGS:/a`"]);
    check("SecRule ARGS:/a/b/ \"@rx a\" \"id:1\"", &["1:9 SEC-022"]);
    check("SecRule ARGS:'a \"@rx a\" \"id:1\"", &["1:9 SEC-022"]);
    check("SecRule ARGS:'a'b \"@rx a\" \"id:1\"", &["1:9 SEC-022"]);
    check("SecRule ARGS:/a(/ \"@rx a\" \"id:1\"", &["1:14 SEC-025 `a(`"]);
    check("SecRule ARGS:/a(?!b)/ \"@rx a\" \"id:1\"", &["1:14 SEC-025"]);
    check("SecRule REQUEST_URI:a \"@rx a\" \"id:1\"", &["1:9 SEC-023 `REQUEST_URI`"]);
    check("SecRule TX:%{tx.name} \"@rx a\" \"id:1\"", &["1:14 SEC-024 `%{tx.name}`"]);
    check("SecRule !ARGS:a \"@rx a\" \"id:1\"", &["1:1 SEC-104"]);
    check("SecRuleRemoveByTag \"a(\"", &["1:21 SEC-025"]);
    let many = vec!["ARGS"; 1_025].join("|");
    check(&format!("SecRule {many} \"@rx a\" \"id:1\""), &["1:5129 SEC-002"]);
}

#[test]
fn faults_of_operators_are_told() {
    check("SecRule ARGS \"@eq\" \"id:1\"", &["1:15 SEC-032 `@eq`"]);
    check("SecRule ARGS \"@eq ten\" \"id:1\"", &["1:19 SEC-032 `@eq ten`"]);
    check("SecRule ARGS \"@rx \" \"id:1\"", &["1:15 SEC-032 `@rx`"]);
    check("SecRule ARGS \"\" \"id:1\"", &["1:15 SEC-032"]);
    check("SecRule ARGS \"@detectSQLi a\" \"id:1\"", &["1:27 SEC-032 `@detectSQLi`"]);
    check("SecRule ARGS \"@pm %{tx.words}\" \"id:1\"", &["1:21 SEC-024 `%{tx.words}`"]);
    check("SecRule ARGS \"@streq %{REMOTE_ADDR.x}\" \"id:1\"", &["1:24 SEC-023 `%{REMOTE_ADDR.x}`"]);
    check("SecRule ARGS \"@pmFromFile https://example.com/a\" \"id:1\"", &["1:27 SEC-006"]);
    check("SecRule ARGS \"@pmFromFile a.data\" \"id:1\"", &["1:27 SEC-001 `a.data`"]);
    check("SecRule ARGS \"@ipMatchFromFile\" \"id:1\"", &["1:15 SEC-032 `@ipMatchFromFile`"]);
}

#[test]
fn faults_of_actions_are_told() {
    check("SecAction \"id:a\"", &["1:15 SEC-042 `id:a`"]);
    check("SecAction \"id:0\"", &["1:15 SEC-042"]);
    check("SecAction \"id:1,phase:6\"", &["1:23 SEC-042 `phase:6`"]);
    check("SecAction \"id:1,phase\"", &["1:17 SEC-042 `phase`"]);
    check("SecAction \"id:1,status:44\"", &["1:24 SEC-042"]);
    check("SecAction \"id:1,severity:HIGH\"", &["1:26 SEC-042"]);
    check("SecAction \"id:1,deny:403\"", &["1:22 SEC-042 `deny`"]);
    check("SecAction \"id:1,msg:\"", &["1:21 SEC-042 `msg`"]);
    check("SecAction \"id:1,allow:all\"", &["1:23 SEC-042"]);
    check("SecAction \"id:1,setvar:tx\"", &["1:24 SEC-042 `tx`"]);
    check("SecAction \"id:1,setvar:env.a=1\"", &["1:24 SEC-042 `env`"]);
    check("SecAction \"id:1,setvar:!tx.a=1\"", &["1:24 SEC-042"]);
    check("SecAction \"id:1,setvar:tx.a=+b\"", &["1:29 SEC-042 `b`"]);
    check("SecAction \"id:1,setvar:'tx.a=%{tx.b'\"", &[]);
    check("SecAction \"id:1,initcol:ip\"", &["1:25 SEC-042"]);
    check("SecAction \"id:1,initcol:tx=a\"", &["1:25 SEC-042"]);
    check("SecAction \"id:1,expirevar:ip.a\"", &["1:27 SEC-042"]);
    check("SecAction \"id:1,expirevar:tx.a=60\"", &["1:17 SEC-106 `expirevar:tx.a`"]);
    check("SecAction \"id:1,deprecatevar:ip.a=60\"", &["1:30 SEC-042"]);
    check("SecAction \"id:1,deprecatevar:ip.a=60/\"", &["1:30 SEC-042"]);
    check("SecAction \"id:1,initcol:ip=a,deprecatevar:ip.a=x/10\"", &["1:48 SEC-042 `x`"]);
    check("SecAction \"id:1,initcol:ip=a,deprecatevar:ip.a=10/x\"", &["1:51 SEC-042 `x`"]);
    check("SecAction \"id:1,setsid\"", &["1:17 SEC-042"]);
    check("SecAction \"id:1,ctl:ruleEngine=Maybe\"", &["1:32 SEC-042"]);
    check("SecAction \"id:1,ctl:ruleEngine\"", &["1:21 SEC-042"]);
    check("SecAction \"id:1,ctl:auditLogParts=+Y\"", &["1:35 SEC-042"]);
    check("SecAction \"id:1,ctl:ruleRemoveById=a\"", &["1:36 SEC-054 `a`"]);
    check("SecAction \"id:1,ctl:ruleRemoveTargetById=1\"", &["1:42 SEC-042"]);
    check("SecAction \"id:1,ctl:ruleRemoveTargetById=1;ARGZ\"", &["1:44 SEC-020 `ARGZ`"]);
    check("SecAction \"id:1,ctl:ruleRemoveTargetById=1;ARGS|TX\"", &["1:44 SEC-042"]);
    check("SecAction \"id:1,ctl:ruleRemoveByTag=a(\"", &["1:37 SEC-025"]);
    check("SecAction \"id:1,sanitiseArg\"", &["1:17 SEC-042"]);
    check("SecAction \"id:1,xmlns:a\"", &["1:23 SEC-042"]);
    check("SecAction \"id:1,pass,deny\"", &["1:17 SEC-103"]);
    check("SecAction \"id:1,id:2\"", &["1:12 SEC-103"]);
    let many = vec!["capture"; 1_025].join(",");
    let parsed = parse_text(&format!("SecAction \"id:1,{many}\""));
    assert!(parsed.diagnostics.iter().any(|told| told.code == "SEC-002"), "{:?}", parsed.diagnostics.last());
}

#[test]
fn places_are_exact_after_escapes_continuations_and_other_scripts() {
    check("SecRule ARGS \"@rx \\\"\\\"\" \"id:1,denny\"", &["1:31 SEC-040"]);
    check("SecRule ARGS \\\n  \"@rx a\" \\\r\n  \"id:1,\\\n    denny\"", &["4:5 SEC-040"]);
    check("SecAction \"id:1,msg:'é',denny\"", &["1:25 SEC-040"]);
    check("\n# a\n\n  SecRuleEngine Maybe", &["4:17 SEC-016"]);
    check("SecRule ARGS \"@rx a\" \"id:1,msg:'a\\\"\\\"',denny\"", &["1:40 SEC-040"]);
}

#[test]
fn rules_are_checked_one_after_the_other() {
    check("SecRule ARGS \"@rx a\"", &["1:1 SEC-050"]);
    check("SecAction \"pass\"", &["1:1 SEC-050"]);
    check("SecAction \"id:1\"\nSecAction \"id:1\"", &["2:12 SEC-051 `1`"]);
    check("SecAction \"id:1,chain\"", &["1:1 SEC-053"]);
    check("SecRule ARGS a \"id:1,chain\"\nSecRule ARGS b \"id:2\"", &["2:17 SEC-052"]);
    check("SecRule ARGS a \"id:1,chain\"\nSecRule ARGS b \"deny,phase:2\"", &["2:17 SEC-052", "2:22 SEC-052"]);
    check("SecRule ARGS a \"id:1,chain\"\nSecRule ARGS b \"msg:a\"", &["2:17 SEC-105"]);
    check("SecRule ARGS a \"id:1,chain\"\nSecRule ARGS b \"t:none\"\nSecRule ARGS c", &["3:1 SEC-050"]);
}

#[test]
fn one_fault_does_not_bring_others_after_it() {
    check("SecRule ARGS \"@rx a \"id:1,chain\"\nSecRule ARGS b \"t:none\"", &["1:22 SEC-014"]);
    check("SecRule ARGS a \"id:1,chian\"\nSecRule ARGS b", &["1:22 SEC-040"]);
    check("SecRule ARGS a \"id:one\"", &["1:20 SEC-042"]);
    check("SecRule ARGZ a \"id:1,chain\"\nSecRule ARGS b", &["1:9 SEC-020"]);
    check("SecDefaultAction \"phase:9,pass\"", &["1:25 SEC-042"]);
}

#[test]
fn default_actions_and_updates_are_checked() {
    check("SecDefaultAction \"phase:2\"", &["1:19 SEC-047"]);
    check("SecDefaultAction \"pass\"", &["1:19 SEC-047"]);
    check("SecDefaultAction \"phase:2,block\"", &["1:27 SEC-046"]);
    check("SecDefaultAction \"phase:2,pass,id:1,tag:a,chain\"", &["1:32 SEC-046", "1:37 SEC-046", "1:43 SEC-046"]);
    check("SecRuleUpdateActionById 1 \"id:2\"", &["1:28 SEC-046"]);
    check("SecRuleUpdateActionById a \"pass\"", &["1:25 SEC-054"]);
    check("SecRuleUpdateTargetById 1-a \"!ARGS:b\"", &["1:25 SEC-054 `1-a`"]);
    check("SecRuleUpdateTargetById \"\" \"!ARGS:b\"", &["1:26 SEC-054"]);
    check("SecRuleRemoveById 1 9-2", &["1:21 SEC-054 `9-2`"]);
}

#[test]
fn comments_that_end_with_a_backslash_before_a_directive_are_told() {
    check("# SecRule ARGS a \\\n  \"id:1\"\nSecAction \"id:2\"", &["1:1 SEC-017"]);
    check("# SecRule ARGS a \\\n#  \"id:1\"\nSecAction \"id:2\"", &[]);
    check("# a \\\n\nSecAction \"id:2\"", &[]);
    check("SecAction \"id:1,\\\n# why\n,pass\"", &["1:11 SEC-013", "3:1 SEC-010"]);
    check("SecAction \"id:1,\\\n# why\\\n,pass\"", &["2:1 SEC-040 `# why`"]);
}

#[test]
fn every_fault_of_a_text_is_told() {
    let text = "SecRuleEngine Maybe\nSecRule ARGZ \"@foo\" \"id:1,phase:9,denny\"\nSecFoo";
    check(text, &["1:15 SEC-016", "2:9 SEC-020", "2:15 SEC-030", "2:33 SEC-042", "2:35 SEC-040", "3:1 SEC-010"]);
}

#[test]
fn too_many_faults_end_with_a_fault_of_their_own() {
    let parsed = parse_text(&"SecTmpDir /tmp\n".repeat(5_000));
    assert_eq!(parsed.diagnostics.len(), 1_001);
    assert_eq!(parsed.diagnostics.last().map(|told| told.code.as_str()), Some("SEC-002"));
    assert!(super::has_error(&parsed.diagnostics));
}

#[test]
fn lines_full_of_faults_are_told_in_bounded_time() {
    let unit = 1 << 18;
    for text in [
        format!("SecRule {} \"@rx a\" \"id:1\"", "A|".repeat(unit)),
        format!("SecRule ARGS \"@rx {}\" \"id:1\"", "%{a}".repeat(unit / 2)),
        format!("SecAction \"id:1,{}\"", "a,".repeat(unit)),
        format!("SecAction \"id:1,{}\"", "msg:%{a}%{a}%{a}%{a}%{a}%{a}%{a}%{a},".repeat(unit / 16)),
        format!("SecRuleRemoveById {}", "a ".repeat(unit)),
        format!("SecRuleRemoveById \"{}\"", "a ".repeat(unit)),
        format!("SecRule ARGS:{} \"@rx a\" \"id:1\"", "/a\\".repeat(unit)),
        format!("SecAction \"id:1,msg:{}\"", "'a".repeat(unit)),
        "a\n".repeat(unit),
        "#\\\n".repeat(unit),
        "SecRule ARGS a \"id:1,chain\"\n".repeat(unit / 16),
    ] {
        assert!(parse_text(&text).diagnostics.len() <= 1_001);
    }
}

#[test]
fn a_collection_that_no_rule_opens_is_told_once() {
    check("SecAction \"id:1,initcol:ip=a,setvar:ip.a=1\"", &[]);
    check("SecAction \"id:1,setsid:a\"\nSecRule SESSION:a \"@eq 1\" \"id:2\"", &[]);
    check("SecAction \"id:1,setvar:ip.a=1\"\nSecAction \"id:2,setvar:ip.a=1\"", &["1:1 SEC-107 `IP`"]);
    check("SecRule &GLOBAL:a \"@eq 1\" \"id:1,initcol:ip=a\"", &["1:1 SEC-107 `GLOBAL`"]);
    check("SecAction \"id:1,expirevar:user.a=60\"", &["1:1 SEC-107 `USER`"]);
    check("SecAction \"id:1,deprecatevar:resource.a=1/60\"", &["1:1 SEC-107 `RESOURCE`"]);
}
