//! Directives that set one value: each does what it says here, or loading it says that it does nothing.

use std::path::Path;

use bartizan_model::DiagnosticSeverity;
use bartizan_waf::{Gates, Sources, parse};

use super::{FORM, JSON, XML, get, plan_of, post, seen};

const COUNT: &str = r#"
SecRequestBodyAccess On
SecRule &ARGS "@ge 0" "id:1,phase:2,pass,log,logdata:'%{MATCHED_VAR}'"
SecRule REQBODY_ERROR "@eq 1" "id:2,phase:2,pass,log"
"#;

#[test]
fn arguments_beyond_the_limit_are_left_out_for_query_and_body_together() {
    let rules = format!("{COUNT}SecArgumentsLimit 3\n");
    let cut = |part: &str| format!("{part}: more arguments than `SecArgumentsLimit 3` allows; rules saw the first");
    let query = seen(&rules, get("/?a=1&b=2&c=3&d=4"));
    assert_eq!((query.data(), query.cuts()), (vec!["3".to_owned()], vec![cut("query")]));
    let form = seen(&rules, super::Sent { target: "/?x=1&y=2", ..post(FORM, "a=1&b=2") });
    assert_eq!((form.data(), form.cuts()), (vec!["3".to_owned()], vec![cut("body")]));
    assert_eq!(seen(&rules, get("/?a=1&b=2&c=3")).cuts(), [""; 0]);
}

#[test]
fn a_json_body_of_more_arguments_than_the_limit_is_broken_as_for_modsecurity() {
    let rules = format!("{COUNT}SecArgumentsLimit 3\n");
    assert_eq!(seen(&rules, post(JSON, "[1,2,3,4]")).rules(), [1, 2]);
    assert_eq!(seen(&rules, post(JSON, "[1,2,3]")).rules(), [1]);
}

#[test]
fn multipart_bodies_know_no_limit_of_arguments_as_for_modsecurity() {
    const MULTIPART: &[(&str, &str)] = &[("Content-Type", "multipart/form-data; boundary=x")];
    let part = |name: &str| format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n1\r\n");
    let body = format!("{}{}{}--x--\r\n", part("a"), part("b"), part("c"));
    assert_eq!(seen(&format!("{COUNT}SecArgumentsLimit 2\n"), post(MULTIPART, &body)).data(), ["3"]);
}

#[test]
fn the_separator_of_arguments_can_be_another() {
    const LAST: &str =
        r#"SecRule ARGS "@unconditionalMatch" "id:1,phase:2,pass,log,logdata:'%{MATCHED_VAR_NAME}=%{MATCHED_VAR}'""#;
    let rules = format!("{LAST}\nSecArgumentSeparator ;\n");
    assert_eq!(seen(&rules, get("/?a=1;b=2&c")).data(), ["ARGS:b=2&c"]);
    assert_eq!(seen(LAST, get("/?a=1;b=2")).data(), ["ARGS:a=1;b=2"]);
}

#[test]
fn the_texts_of_xml_become_arguments_when_they_are_to() {
    const RULES: &str = r#"
SecRequestBodyAccess On
SecRule XML:/*|ARGS "@contains bad" "id:1,phase:2,pass,log,logdata:'%{MATCHED_VAR_NAME}'"
SecRule ARGS:xml.r.b "@streq b & c" "id:2,phase:2,pass,log"
"#;
    let body = "<r><a>bad</a><b>b &amp; <!-- x -->c</b><c x='1'/></r>";
    for (setting, data) in [("Off", "XML:/*"), ("On", "ARGS:xml.r.a"), ("OnlyArgs", "ARGS:xml.r.a")] {
        let seen = seen(&format!("{RULES}SecParseXmlIntoArgs {setting}\n"), post(XML, body));
        assert_eq!(seen.data()[0], data, "{setting}");
        assert_eq!(seen.rules().contains(&2), setting != "Off", "{setting}");
    }
    let only = r#"SecRule XML:/* "@contains bad" "id:3,phase:2,pass,log""#;
    assert_eq!(seen(&format!("{RULES}SecParseXmlIntoArgs OnlyArgs\n{only}\n"), post(XML, body)).rules(), [1, 2]);
}

#[test]
fn rule_sets_say_who_they_are() {
    let plan = plan_of("SecComponentSignature \"One/1.0\"\nSecComponentSignature Two/2.0\n", Gates::All, false);
    assert_eq!(plan.components(), ["One/1.0", "Two/2.0"]);
}

#[test]
fn request_bodies_are_only_read_when_they_are_to_be() {
    let read = |setting: &str| {
        let rules = format!("SecRequestBodyAccess {setting}\nSecRule ARGS \"@streq bad\" \"id:1,phase:2,pass,log\"\n");
        seen(&rules, post(JSON, r#"{"a":"bad"}"#)).rules()
    };
    assert_eq!((read("On"), read("Off")), (vec![1], vec![]));
}

#[test]
fn the_engine_can_be_off() {
    let rule = r#"SecRule ARGS "@streq bad" "id:1,phase:2,deny,log""#;
    assert_eq!(seen(&format!("SecRuleEngine Off\n{rule}"), get("/?a=bad")).rules(), [0; 0]);
    assert_eq!(seen(&format!("SecRuleEngine DetectionOnly\n{rule}"), get("/?a=bad")).rules(), [1]);
}

#[test]
fn media_types_of_responses_add_up() {
    use bartizan_model::HeaderField;
    use bartizan_waf::{Response, Transaction};
    let wants = |settings: &str, media_type: &str| {
        let plan = plan_of(&format!("SecResponseBodyAccess On\n{settings}"), Gates::All, false);
        let mut transaction = Transaction::new(plan);
        let headers = [HeaderField { name: b"content-type", value: media_type.as_bytes() }];
        transaction.response_head(&Response { status: 200, protocol: b"HTTP/1.1", headers: &headers });
        transaction.wants_response_body()
    };
    assert!(wants("", "text/html; charset=utf-8"));
    assert!(!wants("SecResponseBodyMimeType a/b\n", "text/html"));
    assert!(wants("SecResponseBodyMimeType a/b\nSecResponseBodyMimeType c/d\n", "A/B"));
    assert!(!wants("SecResponseBodyMimeType a/b\nSecResponseBodyMimeTypesClear\n", "a/b"));
    assert!(!wants("SecResponseBodyAccess Off\n", "text/html"));
}

#[test]
fn what_has_no_effect_says_so() {
    for directive in [
        "SecAuditLog /var/log/a",
        "SecAuditLogDir /var/log/a",
        "SecAuditLogDirMode 0700",
        "SecAuditLogFileMode 0600",
        "SecAuditLogPrefix a",
        "SecAuditLogStorageDir /var/log/a",
        "SecAuditLogType Serial",
        "SecCacheTransformations On",
        "SecChrootDir /a",
        "SecConnEngine On",
        "SecConnReadStateLimit 5",
        "SecConnWriteStateLimit 5",
        "SecCookieFormat 1",
        "SecDataDir /a",
        "SecDebugLog /a",
        "SecDebugLogLevel 3",
        "SecDisableBackendCompression On",
        "SecGeoLookupDb /a",
        "SecGuardianLog /a",
        "SecInterceptOnError On",
        "SecPcreMatchLimit 1",
        "SecPcreMatchLimitRecursion 1",
        "SecReadStateLimit 5",
        "SecRequestBodyInMemoryLimit 1",
        "SecRequestBodyLimit 1",
        "SecRequestBodyLimitAction Reject",
        "SecRequestBodyNoFilesLimit 1",
        "SecResponseBodyLimit 1",
        "SecResponseBodyLimitAction ProcessPartial",
        "SecRuleInheritance On",
        "SecRulePerfTime 1",
        "SecRxPreFilter On",
        "SecSensorId a",
        "SecServerSignature a",
        "SecStatusEngine On",
        "SecStreamInBodyInspection On",
        "SecStreamOutBodyInspection On",
        "SecTmpDir /a",
        "SecTmpSaveUploadedFiles On",
        "SecUnicodeCodePage 1",
        "SecUnicodeMapFile a 20127",
        "SecUploadDir /a",
        "SecUploadFileLimit 1",
        "SecUploadFileMode 0600",
        "SecUploadKeepFiles On",
        "SecWebAppId a",
        "SecWriteStateLimit 5",
        "SecXmlExternalEntity Off",
    ] {
        let read = |_: &Path| Ok(directive.as_bytes().to_vec());
        let glob = |_: &Path| Ok(Vec::new());
        let told = parse(&["test.conf".into()], &Sources { read: &read, glob: &glob }).diagnostics;
        let [told] = told.as_slice() else { panic!("{directive}: {told:?}") };
        assert_eq!((told.severity, told.code.as_str()), (DiagnosticSeverity::Warning, "SEC-101"), "{directive}");
    }
}
