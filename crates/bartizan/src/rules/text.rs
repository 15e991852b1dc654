//! What we say to the rules in their own language: an API's defaults, the policy's settings, its exclusions.
//!
//! Rule ids 9,900,000 to 9,900,999 are for these.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use bartizan_config::{ExcludedMember, ExcludedRules, Exclusion, Threats};

/// Before the Core Rule Set's set-up, which may say otherwise.
pub(super) const BEFORE: &str = "bartizan:api-defaults";
/// After the set-up: the policy has the last word on its own settings.
pub(super) const SETTINGS: &str = "bartizan:settings";
/// After our own rules, before the evaluation: version 3 of the Core Rule Set adds its scores up under another name.
pub(super) const BRIDGE: &str = "bartizan:bridge";
/// After everything: the policy's mode decides, whatever a file says, and its exclusions find every rule.
pub(super) const AFTER: &str = "bartizan:exclusions";

/// Which methods an API takes is for a `methods` policy to say; these are RFC 9110's and WebDAV's but TRACE and
/// CONNECT. Media types are those of APIs; the second rule adds any of `+json` and `+xml`. `text/plain` is left out:
/// servers that read JSON from it are how its rules are gone around. `Content-Range` (RFC 9110 §14.4) is how uploads
/// go on, `If` and `Lock-Token` are WebDAV's (RFC 4918); fields that override the method stay refused. Bodies are
/// unpacked before rules see them, so that Content-Encoding hides nothing, and Expect is the gateway's business.
const API_DEFAULTS: &str = r#"SecRuleEngine On
SecRequestBodyAccess On
SecResponseBodyMimeType text/plain text/html text/xml application/json
SecAction "id:9900000,phase:1,pass,nolog,t:none,\
  setvar:'tx.allowed_methods=GET HEAD POST PUT PATCH DELETE OPTIONS QUERY PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK REPORT SEARCH',\
  setvar:'tx.allowed_request_content_type=|application/x-www-form-urlencoded| |multipart/form-data| |multipart/related| |multipart/mixed| |text/xml| |application/xml| |application/json| |application/graphql| |application/x-ndjson| |application/grpc| |application/grpc-web| |application/grpc-web-text| |application/x-protobuf| |application/protobuf| |application/octet-stream| |application/cbor| |application/msgpack| |application/x-msgpack| |application/pdf| |application/zip| |application/gzip| |text/csv| |application/jwt| |application/jose| |application/csp-report| |application/offset+octet-stream|',\
  setvar:'tx.restricted_headers_basic=/proxy/ /x-http-method-override/ /x-http-method/ /x-method-override/ /x-middleware-subrequest/'"
SecRule REQUEST_HEADERS:Content-Type "@rx ^(?:application/[^;,\s]+\+(?:json|xml|proto)|(?:image|audio|video)/[^;,\s]+)" \
  "id:9900001,phase:1,pass,nolog,capture,t:none,t:lowercase,\
  setvar:'tx.allowed_request_content_type=%{tx.allowed_request_content_type} |%{tx.0}|'"
"#;

const BRIDGE_TEXT: &str = "SecAction \"id:9900020,phase:2,pass,nolog,t:none,\
setvar:'tx.anomaly_score_pl1=+%{tx.inbound_anomaly_score_pl1}'\"\n";

/// The files that we make, by the names that the rest knows them by.
pub(super) fn of(threats: &Threats) -> BTreeMap<PathBuf, String> {
    let files = [
        (BEFORE, API_DEFAULTS.to_owned()),
        (SETTINGS, settings(threats)),
        (BRIDGE, BRIDGE_TEXT.to_owned()),
        (AFTER, after(threats)),
    ];
    files.into_iter().map(|(name, text)| (PathBuf::from(name), text)).collect()
}

fn settings(threats: &Threats) -> String {
    let mut text = String::new();
    if let Some(level) = threats.paranoia {
        // Version 3 of the Core Rule Set has one level.
        text.push_str(&format!(
            "SecAction \"id:9900010,phase:1,pass,nolog,t:none,setvar:tx.blocking_paranoia_level={level},\
             setvar:tx.detection_paranoia_level={level},setvar:tx.paranoia_level={level}\"\n"
        ));
    }
    if let Some(score) = threats.anomaly_threshold {
        text.push_str(&format!(
            "SecAction \"id:9900011,phase:1,pass,nolog,t:none,setvar:tx.inbound_anomaly_score_threshold={score}\"\n"
        ));
    }
    text
}

fn after(threats: &Threats) -> String {
    let responses = if threats.responses { "On" } else { "Off" };
    let mut text = format!("SecRuleEngine On\nSecRequestBodyAccess On\nSecResponseBodyAccess {responses}\n");
    for exclusion in &threats.exclusions {
        text.push_str(&excluded(exclusion));
    }
    text
}

fn excluded(exclusion: &Exclusion) -> String {
    let targets = exclusion.member.as_ref().map(targets);
    match (&exclusion.rules, targets) {
        (ExcludedRules::Ids { .. }, None) => format!("SecRuleRemoveById {}\n", rules_named(&exclusion.rules)),
        (ExcludedRules::Ids { .. }, Some(targets)) => {
            format!("SecRuleUpdateTargetById {} \"{targets}\"\n", rules_named(&exclusion.rules))
        }
        (ExcludedRules::Tag(tag), None) => format!("SecRuleRemoveByTag \"^{}$\"\n", literal(tag)),
        (ExcludedRules::Tag(tag), Some(targets)) => {
            format!("SecRuleUpdateTargetByTag \"^{}$\" \"{targets}\"\n", literal(tag))
        }
    }
}

/// The rules as people write them.
pub(super) fn rules_named(rules: &ExcludedRules) -> String {
    match rules {
        ExcludedRules::Ids { first, last } if first == last => first.to_string(),
        ExcludedRules::Ids { first, last } => format!("{first}-{last}"),
        ExcludedRules::Tag(tag) => tag.clone(),
    }
}

/// The end of the name of what was opened inside of a value.
const INSIDE: &str = "(?:\\.(?:base64|json|jwt|url)(?:\\..*)?)?";

/// Members are written as patterns: whatever a name is made of, nothing of it speaks SecLang.
fn targets(member: &ExcludedMember) -> String {
    match member {
        // Rules know the leaves of JSON as `json.items.0.note`, of XML as `xml.order.note`, and what is inside of a value as
        // `note.base64`: it is excluded with the value.
        ExcludedMember::Parameter(name) => {
            let path: Vec<String> = name.split('.').map(segment).collect();
            let pattern = format!("/^(?:(?:json|xml)\\.)?{}{INSIDE}$/", path.join("\\."));
            format!("!ARGS:{pattern}|!ARGS_GET:{pattern}|!ARGS_POST:{pattern}")
        }
        ExcludedMember::Header(name) => format!("!REQUEST_HEADERS:/(?i)^{}{INSIDE}$/", literal(name)),
        ExcludedMember::Cookie(name) => format!("!REQUEST_COOKIES:/^{}{INSIDE}$/", literal(name)),
    }
}

fn segment(name: &str) -> String {
    if name == "*" { "[^.]+".to_owned() } else { literal(name) }
}

/// A pattern for exactly these bytes.
fn literal(text: &str) -> String {
    text.bytes().fold(String::new(), |mut pattern, byte| {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            pattern.push(char::from(byte));
        } else {
            let _ = write!(pattern, "\\x{byte:02x}"); // a String takes everything
        }
        pattern
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exclusion(rules: ExcludedRules, member: Option<ExcludedMember>) -> String {
        excluded(&Exclusion { rules, member })
    }

    #[test]
    fn exclusions_become_directives_of_the_rules_own_language() {
        let one = || ExcludedRules::Ids { first: 942_100, last: 942_100 };
        assert_eq!(exclusion(one(), None), "SecRuleRemoveById 942100\n");
        assert_eq!(
            exclusion(ExcludedRules::Ids { first: 1, last: 9 }, Some(ExcludedMember::Header("x-a".into()))),
            "SecRuleUpdateTargetById 1-9 \"!REQUEST_HEADERS:/(?i)^x\\x2da(?:\\.(?:base64|json|jwt|url)(?:\\..*)?)?$/\"\n"
        );
        assert_eq!(
            exclusion(ExcludedRules::Tag("attack-sqli".into()), None),
            "SecRuleRemoveByTag \"^attack\\x2dsqli$\"\n"
        );
        assert!(
            exclusion(one(), Some(ExcludedMember::Parameter("items.*.note".into()))).contains(
                "!ARGS:/^(?:(?:json|xml)\\.)?items\\.[^.]+\\.note(?:\\.(?:base64|json|jwt|url)(?:\\..*)?)?$/|"
            )
        );
    }

    #[test]
    fn a_name_cannot_end_the_directive_that_it_stands_in() {
        let text =
            exclusion(ExcludedRules::Ids { first: 1, last: 1 }, Some(ExcludedMember::Cookie("a\"\n/|!ARGS\\".into())));
        assert_eq!(
            text,
            "SecRuleUpdateTargetById 1 \"!REQUEST_COOKIES:/^a\\x22\\x0a\\x2f\\x7c\\x21ARGS\\x5c(?:\\.(?:base64|json|jwt|url)(?:\\..*)?)?$/\"\n"
        );
    }
}
