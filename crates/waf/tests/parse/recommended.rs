//! A file like the one that ModSecurity 3 recommends to begin with, in our own words.

use bartizan_waf::ast::{Directive, Setting};

use super::{has_error, parse_text};

const RECOMMENDED: &str = r#"
# engine
SecRuleEngine DetectionOnly
SecRequestBodyAccess On
SecRule REQUEST_HEADERS:Content-Type "^(?:application(?:/soap\+|/)|text/)xml" \
     "id:'200000',phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "^application/json" \
     "id:'200001',phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRequestBodyLimit 13107200
SecRequestBodyNoFilesLimit 131072
SecRequestBodyInMemoryLimit 131072
SecRequestBodyLimitAction Reject
SecRequestBodyJsonDepthLimit 512
SecArgumentsLimit 1000
SecRule &ARGS "@ge 1000" \
"id:'200007', phase:2,t:none,log,deny,status:400,msg:'More arguments than are read.',severity:2"
SecRule REQBODY_ERROR "!@eq 0" \
"id:'200002', phase:2,t:none,log,deny,status:400,msg:'The body could not be read.',logdata:'%{reqbody_error_msg}',severity:2"
SecRule MULTIPART_STRICT_ERROR "!@eq 0" \
"id:'200003',phase:2,t:none,log,deny,status:400, \
msg:'Multipart body is not strict: \
PE %{REQBODY_PROCESSOR_ERROR}, \
BQ %{MULTIPART_BOUNDARY_QUOTED}, \
BW %{MULTIPART_BOUNDARY_WHITESPACE}, \
DB %{MULTIPART_DATA_BEFORE}, \
DA %{MULTIPART_DATA_AFTER}, \
HF %{MULTIPART_HEADER_FOLDING}, \
LF %{MULTIPART_LF_LINE}, \
SM %{MULTIPART_MISSING_SEMICOLON}, \
IQ %{MULTIPART_INVALID_QUOTING}, \
IP %{MULTIPART_INVALID_PART}, \
IH %{MULTIPART_INVALID_HEADER_FOLDING}, \
FL %{MULTIPART_FILE_LIMIT_EXCEEDED}'"
SecRule MULTIPART_UNMATCHED_BOUNDARY "@eq 1" \
    "id:'200004',phase:2,t:none,log,deny,msg:'A boundary that nothing opened.'"
SecPcreMatchLimit 1000
SecPcreMatchLimitRecursion 1000
SecRule TX:/^MSC_/ "!@streq 0" \
        "id:'200005',phase:2,t:none,deny,msg:'Internal error: %{MATCHED_VAR_NAME}'"
SecResponseBodyAccess On
SecResponseBodyMimeType text/plain text/html text/xml
SecResponseBodyLimit 524288
SecResponseBodyLimitAction ProcessPartial
SecTmpDir /tmp/
SecDataDir /tmp/
SecTmpSaveUploadedFiles On
SecUploadDir /opt/modsecurity/var/upload/
SecUploadKeepFiles RelevantOnly
SecUploadFileMode 0600
SecUploadFileLimit 100
SecDebugLog /opt/modsecurity/var/log/debug.log
SecDebugLogLevel 3
SecAuditEngine RelevantOnly
SecAuditLogRelevantStatus "^(?:5|4(?!04))"
SecAuditLogParts ABIJDEFHZ
SecAuditLogType Serial
SecAuditLog /var/log/modsec_audit.log
SecAuditLogFormat JSON
SecAuditLogStorageDir /opt/modsecurity/var/audit/
SecArgumentSeparator &
SecCookieFormat 0
SecUnicodeMapFile unicode.mapping 20127
SecStatusEngine On
SecXmlExternalEntity Off
SecCollectionTimeout 600
SecComponentSignature "OWASP_CRS/4.28.0"
SecServerSignature "none"
SecWebAppId "shop"
SecSensorId "edge-1"
SecHttpBlKey abcdefghijkl
SecGsbLookupDb /path/to/gsb.dat
SecGeoLookupDb /path/to/geo.mmdb
SecRuleInheritance On
SecRulePerfTime 1000
SecStreamInBodyInspection On
SecHashEngine Off
"#;

#[test]
fn a_recommended_file_loads_and_says_what_has_no_meaning() {
    let parsed = parse_text(RECOMMENDED);
    assert!(!has_error(&parsed.diagnostics), "{:#?}", parsed.diagnostics);
    assert!(parsed.diagnostics.iter().all(|told| told.code == "SEC-101"), "{:#?}", parsed.diagnostics);
    let ignored: Vec<&str> = parsed.diagnostics.iter().map(|told| told.path.as_str()).collect();
    assert!(ignored.contains(&"SecAuditLog") && ignored.contains(&"SecAuditEngine"), "audit_logs says it: {ignored:?}");
    assert!(ignored.contains(&"SecPcreMatchLimit") && ignored.contains(&"SecUnicodeMapFile"), "{ignored:?}");
    assert!(ignored.contains(&"SecRequestBodyLimit") && !ignored.contains(&"SecHashEngine"), "{ignored:?}");
    assert!(!ignored.contains(&"SecArgumentsLimit"), "{ignored:?}");
}

#[test]
fn settings_keep_their_values_as_written() {
    let parsed = parse_text(RECOMMENDED);
    let value = |wanted: Setting| {
        let settings = parsed.document.directives.iter().filter_map(|(_, directive)| match directive {
            Directive::Setting(setting, value) => Some((*setting, value.as_str())),
            _ => None,
        });
        settings.filter(|(setting, _)| *setting == wanted).map(|(_, value)| value).collect::<Vec<_>>()
    };
    assert_eq!(value(Setting::RuleEngine), ["DetectionOnly"]);
    assert_eq!(value(Setting::ResponseBodyMimeType), ["text/plain text/html text/xml"]);
    assert_eq!(value(Setting::ArgumentSeparator), ["&"]);
    assert_eq!(value(Setting::CollectionTimeout), ["600"]);
    assert!(value(Setting::Ignored).contains(&"SecUnicodeMapFile unicode.mapping 20127"));
}
