//! What rules mean: one case for each form of SecLang.

use bartizan_waf::ast::{
    Action, AllowScope, BodyProcessor, Change, Ctl, Directive, Disruptive, EngineMode, IdRange, OperatorKind, Rule,
    Selector, SetVar, Setting, Target, Text, TextPart,
};
use bartizan_waf::{Transform, Variable};

use super::directives;

fn rule(text: &str) -> Rule {
    match directives(text).into_iter().next() {
        Some(Directive::Rule(rule)) => rule,
        other => panic!("{text}: {other:?}"),
    }
}

fn literal(text: &str) -> Text {
    Text { parts: vec![TextPart::Literal(text.as_bytes().to_vec())] }
}

fn expanded(variable: Variable, member: &str) -> TextPart {
    TextPart::Macro(variable, (!member.is_empty()).then(|| member.to_owned()))
}

fn range(first: u32, last: u32) -> IdRange {
    IdRange { first, last }
}

fn check_targets(list: &str, expected: &[(Variable, &str, &str)]) {
    let targets = rule(&format!("SecRule {list} \"@rx a\" \"id:1\"")).targets;
    let shown: Vec<(Variable, &str, &str)> = targets
        .iter()
        .map(|target| {
            let sign = match (target.is_count, target.is_excluded) {
                (true, false) => "&",
                (false, true) => "!",
                _ => "",
            };
            match &target.selector {
                Selector::All => (target.variable, sign, ""),
                Selector::Name(name) => (target.variable, sign, name.as_str()),
                Selector::Regex(pattern) => (target.variable, "/", pattern.as_str()),
            }
        })
        .collect();
    assert_eq!(shown, expected, "{list}");
}

#[test]
fn variables_are_read_in_every_form() {
    check_targets("ARGS", &[(Variable::Args, "", "")]);
    check_targets(
        "args|Request_Headers:User-Agent",
        &[(Variable::Args, "", ""), (Variable::RequestHeaders, "", "User-Agent")],
    );
    check_targets(
        "ARGS|!ARGS:a,&TX:b",
        &[(Variable::Args, "", ""), (Variable::Args, "!", "a"), (Variable::Tx, "&", "b")],
    );
    check_targets("&ARGS", &[(Variable::Args, "&", "")]);
    check_targets("ARGS:/^a|b\\/c$/|TX:d", &[(Variable::Args, "/", "^a|b\\/c$"), (Variable::Tx, "", "d")]);
    check_targets("ARGS:'/^a|b/'|TX:d", &[(Variable::Args, "/", "^a|b"), (Variable::Tx, "", "d")]);
    check_targets("ARGS:'a|\\'b'", &[(Variable::Args, "", "a|'b")]);
    check_targets("\"ARGS | TX:d\"", &[(Variable::Args, "", ""), (Variable::Tx, "", "d")]);
    check_targets("ARGS:json.a.b:c", &[(Variable::Args, "", "json.a.b:c")]);
}

#[test]
fn selectors_of_xml_are_paths_and_no_patterns() {
    check_targets("XML:/*|XML://@*", &[(Variable::Xml, "", "/*"), (Variable::Xml, "", "//@*")]);
    check_targets("xml:/a/b/|XML", &[(Variable::Xml, "", "/a/b/"), (Variable::Xml, "", "")]);
    check_targets("XML://a[contains(.,1)]|TX:b", &[(Variable::Xml, "", "//a[contains(.,1)]"), (Variable::Tx, "", "b")]);
    check_targets("XML:'//a|//b/'", &[(Variable::Xml, "", "//a|//b/")]);
}

#[test]
fn operators_are_read_in_every_form() {
    let check = |written: &str, is_negated: bool, kind: OperatorKind, argument: &str| {
        let operator = rule(&format!("SecRule ARGS {written} \"id:1\"")).operator;
        let found = (operator.is_negated, operator.kind, operator.argument.literal().map(String::from_utf8_lossy));
        assert_eq!(found, (is_negated, kind, Some(argument.into())), "{written}");
    };
    check(r#""@rx  ^a b ""#, false, OperatorKind::Rx, "^a b ");
    check(r#""^a""#, false, OperatorKind::Rx, "^a");
    check(r#"" a""#, false, OperatorKind::Rx, " a");
    check(r#""!^a""#, true, OperatorKind::Rx, "^a");
    check(r#""! @within GET POST""#, true, OperatorKind::Within, "GET POST");
    check(r#""@STREQ a@b""#, false, OperatorKind::Streq, "a@b");
    check(r#""@streq""#, false, OperatorKind::Streq, "");
    check(r#""@eq  10 ""#, false, OperatorKind::Eq, "10");
    check(r#""@lt -1""#, false, OperatorKind::Lt, "-1");
    check(r#""@pm a|41 42|b""#, false, OperatorKind::Pm, "a|41 42|b");
    check(r#""@ipMatch 10.0.0.0/8,::1""#, false, OperatorKind::IpMatch, "10.0.0.0/8,::1");
    check(r#""@detectXSS""#, false, OperatorKind::DetectXss, "");
    check("@unconditionalMatch", false, OperatorKind::UnconditionalMatch, "");
    check("'@rx it\\'s \"'", false, OperatorKind::Rx, "it's \"");
}

#[test]
fn only_the_backslash_before_a_quote_is_dropped_from_a_pattern() {
    let check = |written: &str, pattern: &str| {
        let found = rule(&format!("SecRule ARGS \"@rx {written}\" \"id:1\"")).operator.argument;
        assert_eq!(found, literal(pattern), "{written}");
    };
    check(r#"[\"'`]\s\x5c\\d"#, r#"["'`]\s\x5c\\d"#);
    check(r#"a\\\"b"#, r#"a\\"b"#);
    check(r"100%{2} %{} %{x", "100%{2} %{} %{x");
    check(r"%{nothing} \%{2,3}", r"%{nothing} \%{2,3}");
}

#[test]
fn macros_are_found_in_text_and_in_patterns() {
    let check = |operator: &str, parts: &[TextPart]| {
        assert_eq!(rule(&format!("SecRule ARGS \"{operator}\" \"id:1\"")).operator.argument.parts, parts, "{operator}");
    };
    let bytes = |text: &str| TextPart::Literal(text.as_bytes().to_vec());
    check("@within %{tx.allowed_methods}", &[expanded(Variable::Tx, "allowed_methods")]);
    check("@streq %{ARGS._method}", &[expanded(Variable::Args, "_method")]);
    check("@endsWith a%{request_headers.Host}b", &[bytes("a"), expanded(Variable::RequestHeaders, "Host"), bytes("b")]);
    check("@contains %{MATCHED_VAR}%{tx:1}", &[expanded(Variable::MatchedVar, ""), expanded(Variable::Tx, "1")]);
    check("@ge %{tx.threshold}", &[expanded(Variable::Tx, "threshold")]);
    check("@contains 50% %{2} %{", &[bytes("50% %{2} %{")]);
    check("@rx ^%{tx.name}$", &[bytes("^"), expanded(Variable::Tx, "name"), bytes("$")]);
}

#[test]
fn actions_are_read_in_every_form() {
    let check = |written: &str, expected: Action| {
        let opened = "SecAction \"id:2,initcol:ip=a\"";
        let found = match directives(&format!("{opened}\nSecAction \"id:1 , {written} ,\"")).pop() {
            Some(Directive::Action(actions)) => actions,
            other => panic!("{other:?}"),
        };
        assert_eq!(found, [Action::Id(1), expected], "{written}");
    };
    check("phase:1", Action::Phase(1));
    check("PHASE:'request'", Action::Phase(2));
    check("phase:response", Action::Phase(4));
    check("phase:logging", Action::Phase(5));
    check("deny", Action::Disruptive(Disruptive::Deny));
    check("allow", Action::Disruptive(Disruptive::Allow(AllowScope::All)));
    check("allow:phase", Action::Disruptive(Disruptive::Allow(AllowScope::Phase)));
    check("allow:request", Action::Disruptive(Disruptive::Allow(AllowScope::Request)));
    check(
        "redirect:'https://example.com/?a=1,2'",
        Action::Disruptive(Disruptive::Redirect(literal("https://example.com/?a=1,2"))),
    );
    check("status:'403'", Action::Status(403));
    check("noauditlog", Action::AuditLog(false));
    check("multimatch", Action::MultiMatch);
    check("skip:2", Action::Skip(2));
    check("skipAfter:END-A", Action::SkipAfter("END-A".to_owned()));
    check("msg: 'it\\'s, \\\"well\\\"'", Action::Message(literal("it's, \"well\"")));
    check("msg:a b: c", Action::Message(literal("a b: c")));
    check("logdata:'\\d'", Action::LogData(literal("\\d")));
    check("severity:'CRITICAL'", Action::Severity(2));
    check("severity:7", Action::Severity(7));
    check("severity:emergency", Action::Severity(0));
    check("ver:'OWASP_CRS/4.28.0'", Action::Version("OWASP_CRS/4.28.0".to_owned()));
    check("rev:2", Action::Revision("2".to_owned()));
    check("maturity:9", Action::Maturity(9));
    check("accuracy:8", Action::Accuracy(8));
    check("t:urldecodeuni", Action::Transform(Transform::UrlDecodeUni));
    check("t:none", Action::TransformNone);
    check("sanitiseMatched", Action::Sanitise("sanitiseMatched".to_owned()));
    check("sanitizeArg:password", Action::Sanitise("sanitiseArg:password".to_owned()));
    check(
        "xmlns:soap=\\\"http://example.com/\\\"",
        Action::XmlNamespace("soap".to_owned(), "http://example.com/".to_owned()),
    );
    let key = Text { parts: vec![expanded(Variable::RemoteAddr, ""), TextPart::Literal(b"_a".to_vec())] };
    check("initcol:IP=%{remote_addr}_a", Action::InitCollection("ip".to_owned(), key));
    check("expirevar:ip.blocked=60", Action::ExpireVar("ip".to_owned(), literal("blocked"), literal("60")));
    let (name, amount, seconds) = (literal("score"), literal("60"), literal("300"));
    check("deprecatevar:'ip.score=60/ 300'", Action::DeprecateVar("ip".to_owned(), name, amount, seconds));
    let cookie = || Text { parts: vec![expanded(Variable::RequestCookies, "sid")] };
    check("setsid:%{REQUEST_COOKIES.sid}", Action::SetKey("session".to_owned(), cookie()));
    check("setuid:'%{REQUEST_COOKIES.sid}'", Action::SetKey("user".to_owned(), cookie()));
    check("setrsc:a", Action::SetKey("resource".to_owned(), literal("a")));
}

#[test]
fn variables_are_set_in_every_form() {
    let check = |written: &str, name: Text, change: Change| {
        let found = rule(&format!("SecRule ARGS a \"id:1,setvar:{written}\"")).actions.pop();
        assert_eq!(found, Some(Action::SetVar(SetVar { collection: "tx".to_owned(), name, change })), "{written}");
    };
    let plain = || literal("a");
    let of_tx = |member: &str| Text { parts: vec![expanded(Variable::Tx, member)] };
    check("tx.a=1", plain(), Change::Set(literal("1")));
    check("TX.a", plain(), Change::Set(literal("1")));
    check("'tx.a=+%{tx.b}'", plain(), Change::Add(of_tx("b")));
    check("tx.a=-1", plain(), Change::Subtract(literal("1")));
    check("!tx.a", plain(), Change::Unset);
    check("tx.a=", plain(), Change::Set(Text::default()));
    check("'tx.a=b=c, d.e'", plain(), Change::Set(literal("b=c, d.e")));
    check("tx.a=%{MATCHED_VAR}", plain(), Change::Set(Text { parts: vec![expanded(Variable::MatchedVar, "")] }));
    let name = Text { parts: vec![TextPart::Literal(b"score_".to_vec()), expanded(Variable::Rule, "id")] };
    check("'tx.score_%{rule.id}=1'", name, Change::Set(literal("1")));
}

#[test]
fn controls_are_read_in_every_form() {
    let check = |written: &str, expected: Ctl| {
        let found = rule(&format!("SecRule ARGS a \"id:1,ctl:{written}\"")).actions.pop();
        assert_eq!(found, Some(Action::Ctl(expected)), "{written}");
    };
    let target =
        |variable: Variable, selector: Selector| Target { variable, selector, is_count: false, is_excluded: false };
    check("ruleEngine=detectionOnly", Ctl::RuleEngine(EngineMode::DetectionOnly));
    check("RequestBodyAccess=Off", Ctl::RequestBodyAccess(false));
    check("responseBodyAccess=On", Ctl::ResponseBodyAccess(true));
    check("forceRequestBodyVariable=On", Ctl::ForceRequestBodyVariable(true));
    check("requestBodyProcessor=URLENCODED", Ctl::RequestBodyProcessor(BodyProcessor::UrlEncoded));
    check("requestBodyProcessor=json", Ctl::RequestBodyProcessor(BodyProcessor::Json));
    check("auditEngine=Off", Ctl::Audit("auditEngine=Off".to_owned()));
    check("auditLogParts=+E", Ctl::Audit("auditLogParts=+E".to_owned()));
    check("ruleRemoveById=1-5", Ctl::RemoveById(vec![range(1, 5)]));
    check("ruleRemoveByTag=attack-.*", Ctl::RemoveByTag("attack-.*".to_owned()));
    check("ruleRemoveByMsg=a", Ctl::RemoveByMessage("a".to_owned()));
    let named = target(Variable::Args, Selector::Name("b".to_owned()));
    check("ruleRemoveTargetById=7;ARGS:b", Ctl::RemoveTargetById(vec![range(7, 7)], named.clone()));
    check("ruleRemoveTargetByMsg=a;ARGS:b", Ctl::RemoveTargetByMessage("a".to_owned(), named));
    let whole = target(Variable::RequestFilename, Selector::All);
    check("ruleRemoveTargetByTag=xss;REQUEST_FILENAME", Ctl::RemoveTargetByTag("xss".to_owned(), whole));
    let pattern = target(Variable::Args, Selector::Regex("^a{1,2}$".to_owned()));
    check("'ruleRemoveTargetById=7;ARGS:/^a{1,2}$/'", Ctl::RemoveTargetById(vec![range(7, 7)], pattern));
}

#[test]
fn removals_and_updates_are_read() {
    let excluded = Target {
        variable: Variable::Args,
        selector: Selector::Name("a".to_owned()),
        is_count: false,
        is_excluded: true,
    };
    let check = |text: &str, expected: Directive| assert_eq!(directives(text), [expected], "{text}");
    check("SecRuleRemoveById 1 \"5-7,9\"", Directive::RemoveById(vec![range(1, 1), range(5, 7), range(9, 9)]));
    check("secruleremovebytag \"a.b\"", Directive::RemoveByTag("a.b".to_owned()));
    check("SecRuleRemoveByMsg 'a b'", Directive::RemoveByMessage("a b".to_owned()));
    check(
        "SecRuleUpdateTargetById 1,3-4 \"!ARGS:a\"",
        Directive::UpdateTargetById(vec![range(1, 1), range(3, 4)], vec![excluded.clone()]),
    );
    check("SecRuleUpdateTargetByTag t !ARGS:a", Directive::UpdateTargetByTag("t".to_owned(), vec![excluded.clone()]));
    check("SecRuleUpdateTargetByMsg m !ARGS:a", Directive::UpdateTargetByMessage("m".to_owned(), vec![excluded]));
    check(
        "SecRuleUpdateActionById 7:1 \"pass\"",
        Directive::UpdateActionById(7, 1, vec![Action::Disruptive(Disruptive::Pass)]),
    );
    check("SecMarker END-A", Directive::Marker("END-A".to_owned()));
    check("SecResponseBodyMimeTypesClear", Directive::Setting(Setting::ResponseBodyMimeType, String::new()));
    check(
        "SecResponseBodyMimeType \"a/b c/d\" e/f",
        Directive::Setting(Setting::ResponseBodyMimeType, "a/b c/d e/f".to_owned()),
    );
    let default = vec![Action::Phase(2), Action::Log(true), Action::Disruptive(Disruptive::Pass)];
    check("SecDefaultAction \"phase:2,log,pass\"", Directive::DefaultAction(default));
}

#[test]
fn a_chain_goes_on_with_the_next_rule_whatever_stands_between() {
    let found = directives(
        "SecRule ARGS a \"id:1,chain\"\nSecMarker m\nSecRule ARGS b \"chain\"\nSecAction \"t:none\"\nSecAction \"id:2\"",
    );
    assert_eq!(found.len(), 5);
}
