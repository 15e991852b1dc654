//! Directives that set one value for all rules, the forms of their values, and those that have no meaning here.

use bartizan_model::listed;

use super::arguments::Argument;
use super::report::{Fault, IGNORED_DIRECTIVE, MALFORMED_SETTING, NOT_UTF8, excerpt};
use super::text;
use crate::ast::{Directive, Setting};

/// Which values a directive takes.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// One of these words, ASCII case ignored
    Words(&'static [&'static str]),
    /// Digits, at most this
    Number(u64),
    /// One byte that is no blank
    OneByte,
    /// Letters of the parts of an audit log
    AuditParts,
    /// Octal digits, or `default`
    FileMode,
    /// Media types
    MediaTypes,
    /// Anything, in so many arguments
    Any(usize, usize),
}

/// One directive.
pub(super) struct Row {
    pub(super) name: &'static str,
    setting: Setting,
    form: Form,
    /// For one without meaning here: why
    ignored: &'static str,
}

const fn row(name: &'static str, setting: Setting, form: Form) -> Row {
    Row { name, setting, form, ignored: "" }
}

const fn ignored(name: &'static str, form: Form, why: &'static str) -> Row {
    Row { name, setting: Setting::Ignored, form, ignored: why }
}

const SWITCH: Form = Form::Words(&["On", "Off"]);
const ENGINE: Form = Form::Words(&["On", "Off", "DetectionOnly"]);
const RELEVANT: Form = Form::Words(&["On", "Off", "RelevantOnly"]);
const AT_LIMIT: Form = Form::Words(&["Reject", "ProcessPartial"]);
const ANY: Form = Form::Any(1, 1);
/// LIMIT: what a number of bytes, things or seconds may be at most; more is a slip of the pen.
const NUMBER: Form = Form::Number(u32::MAX as u64);

const NO_FILES: &str = "nothing of an exchange is written to temporary files";
const NO_DEBUG_LOG: &str = "the log is set in the configuration";
const AUDIT_ELSEWHERE: &str = "what is logged where is set in the configuration: `audit_logs`";
const LINEAR: &str = "matching is linear and needs no limit";
const CONNECTIONS: &str = "limits of connections are set in the configuration";
const BODY_LIMIT: &str =
    "how much of a body rules see is the policy's `body_bytes_max`; a longer one is told (ENG-104)";
const NO_LOOKUP: &str = "rules look nothing up";
const NO_SIGNATURE: &str = "headers are not changed by rules";

/// Every directive that sets one value.
pub(super) const SETTINGS: &[Row] = &[
    row("SecArgumentSeparator", Setting::ArgumentSeparator, Form::OneByte),
    row("SecArgumentsLimit", Setting::ArgumentsLimit, NUMBER),
    row("SecCollectionTimeout", Setting::CollectionTimeout, NUMBER),
    row("SecComponentSignature", Setting::ComponentSignature, ANY),
    row("SecParseXmlIntoArgs", Setting::ParseXmlIntoArgs, Form::Words(&["On", "Off", "OnlyArgs"])),
    row("SecRequestBodyAccess", Setting::RequestBodyAccess, SWITCH),
    row("SecRequestBodyJsonDepthLimit", Setting::RequestBodyJsonDepthLimit, NUMBER),
    row("SecResponseBodyAccess", Setting::ResponseBodyAccess, SWITCH),
    row("SecResponseBodyMimeType", Setting::ResponseBodyMimeType, Form::MediaTypes),
    row("SecResponseBodyMimeTypesClear", Setting::ResponseBodyMimeType, Form::Any(0, 0)),
    row("SecRuleEngine", Setting::RuleEngine, ENGINE),
    ignored("SecAuditEngine", RELEVANT, AUDIT_ELSEWHERE),
    ignored("SecAuditLog", ANY, AUDIT_ELSEWHERE),
    ignored("SecAuditLog2", ANY, AUDIT_ELSEWHERE),
    ignored("SecAuditLogDir", ANY, AUDIT_ELSEWHERE),
    ignored("SecAuditLogDirMode", Form::FileMode, AUDIT_ELSEWHERE),
    ignored("SecAuditLogFileMode", Form::FileMode, AUDIT_ELSEWHERE),
    ignored("SecAuditLogFormat", Form::Words(&["JSON", "Native"]), AUDIT_ELSEWHERE),
    ignored("SecAuditLogParts", Form::AuditParts, AUDIT_ELSEWHERE),
    ignored("SecAuditLogPrefix", ANY, AUDIT_ELSEWHERE),
    ignored("SecAuditLogRelevantStatus", ANY, AUDIT_ELSEWHERE),
    ignored("SecAuditLogStorageDir", ANY, AUDIT_ELSEWHERE),
    ignored("SecAuditLogType", Form::Words(&["Serial", "Concurrent", "Parallel", "HTTPS"]), AUDIT_ELSEWHERE),
    ignored("SecCacheTransformations", Form::Any(1, 2), "transformed values are always kept"),
    ignored("SecChrootDir", ANY, "it concerns a server's process"),
    ignored("SecConnEngine", ENGINE, CONNECTIONS),
    ignored("SecConnReadStateLimit", Form::Any(1, 2), CONNECTIONS),
    ignored("SecConnWriteStateLimit", Form::Any(1, 2), CONNECTIONS),
    ignored("SecCookieFormat", Form::Words(&["0", "1"]), "cookies are read as RFC 6265 has them, which is format 0"),
    ignored("SecDataDir", ANY, NO_FILES),
    ignored("SecDebugLog", ANY, NO_DEBUG_LOG),
    ignored("SecDebugLogLevel", Form::Number(9), NO_DEBUG_LOG),
    ignored("SecDisableBackendCompression", SWITCH, "compressed bodies are decoded for inspection"),
    ignored("SecGeoLookupDb", Form::Any(1, 2), NO_LOOKUP),
    ignored("SecGsbLookupDb", ANY, NO_LOOKUP),
    ignored("SecGuardianLog", Form::Any(1, 2), AUDIT_ELSEWHERE),
    ignored("SecHttpBlKey", ANY, NO_LOOKUP),
    ignored("SecInterceptOnError", SWITCH, "a rule that does not load stops the load"),
    ignored("SecPcreMatchLimit", NUMBER, LINEAR),
    ignored("SecPcreMatchLimitRecursion", NUMBER, LINEAR),
    ignored("SecReadStateLimit", Form::Any(1, 2), CONNECTIONS),
    ignored("SecRemoteRulesFailAction", Form::Words(&["Abort", "Warn"]), "rules are only read from disk"),
    ignored("SecRequestBodyInMemoryLimit", NUMBER, NO_FILES),
    ignored("SecRequestBodyLimit", NUMBER, BODY_LIMIT),
    ignored("SecRequestBodyLimitAction", AT_LIMIT, BODY_LIMIT),
    ignored("SecRequestBodyNoFilesLimit", NUMBER, BODY_LIMIT),
    ignored("SecResponseBodyLimit", NUMBER, BODY_LIMIT),
    ignored("SecResponseBodyLimitAction", AT_LIMIT, BODY_LIMIT),
    ignored("SecRuleInheritance", SWITCH, "there are no nested scopes of rules"),
    ignored("SecRulePerfTime", NUMBER, "what rules cost is told by the metrics"),
    ignored("SecRxPreFilter", SWITCH, "patterns are always filtered by literals first"),
    ignored("SecSensorId", ANY, "events carry the gateway's own name"),
    ignored("SecServerSignature", ANY, NO_SIGNATURE),
    ignored("SecStatusEngine", SWITCH, "nothing is reported to others"),
    ignored("SecStreamInBodyInspection", SWITCH, "bodies are in REQUEST_BODY"),
    ignored("SecStreamOutBodyInspection", SWITCH, "bodies are in RESPONSE_BODY"),
    ignored("SecTmpDir", ANY, NO_FILES),
    ignored("SecTmpSaveUploadedFiles", SWITCH, NO_FILES),
    ignored("SecUnicodeCodePage", NUMBER, "`t:urlDecodeUni` uses its own best-fit mapping"),
    ignored("SecUnicodeMapFile", Form::Any(1, 2), "`t:urlDecodeUni` uses its own best-fit mapping"),
    ignored("SecUploadDir", ANY, NO_FILES),
    ignored("SecUploadFileLimit", NUMBER, "the number of parts is limited by the policy"),
    ignored("SecUploadFileMode", Form::FileMode, NO_FILES),
    ignored("SecUploadKeepFiles", RELEVANT, NO_FILES),
    ignored("SecWebAppId", ANY, "APIs are named in the configuration; WEBAPPID is empty"),
    ignored("SecWriteStateLimit", Form::Any(1, 2), CONNECTIONS),
    ignored("SecXmlExternalEntity", SWITCH, "external entities are never fetched"),
];

impl Row {
    /// How many arguments it takes.
    pub(super) fn count(&self) -> (usize, usize) {
        match self.form {
            Form::MediaTypes => (1, usize::MAX),
            Form::Any(min, max) => (min, max),
            Form::Words(_) | Form::Number(_) | Form::OneByte | Form::AuditParts | Form::FileMode => (1, 1),
        }
    }

    /// Reads its arguments, whose number is right.
    pub(super) fn read(&self, at: usize, arguments: &[Argument], faults: &mut Vec<Fault>) -> Option<Directive> {
        let mut words = Vec::new();
        for argument in arguments {
            let at = argument.offset_in_line(0);
            let Some(word) = argument.as_str() else {
                let message = format!("the value of `{}` is not UTF-8", self.name);
                faults.push(Fault::new(NOT_UTF8, at, message, "save the file as UTF-8"));
                return None;
            };
            if let Some(help) = self.form.help_unless(word) {
                let message = format!("`{} {}`: not a value it can have", self.name, excerpt(word));
                faults.push(Fault::new(MALFORMED_SETTING, at, message, help));
                return None;
            }
            words.push(word);
        }
        let value = words.join(" ");
        if self.setting != Setting::Ignored {
            return Some(Directive::Setting(self.setting, value));
        }
        let message = format!("`{}` has no meaning here: {}", self.name, self.ignored);
        faults.push(Fault::new(IGNORED_DIRECTIVE, at, message, "nothing to do; you may take it out"));
        Some(Directive::Setting(Setting::Ignored, format!("{} {value}", self.name)))
    }
}

impl Form {
    /// What to write, when `value` is not of this form.
    fn help_unless(self, value: &str) -> Option<String> {
        match self {
            Self::Words(words) => {
                let is_known = words.iter().any(|word| word.eq_ignore_ascii_case(value));
                (!is_known).then(|| format!("write {}", listed(words.iter().copied())))
            }
            Self::Number(max) => {
                let is_number = text::number::<u64>(value).is_some_and(|number| number <= max);
                (!is_number).then(|| format!("write a number of digits alone, at most {max}"))
            }
            Self::OneByte => {
                let is_one = value.len() == 1 && value.bytes().all(|byte| byte.is_ascii_graphic());
                (!is_one).then(|| "write one character such as `&`".to_owned())
            }
            Self::AuditParts => (!is_audit_parts(value)).then(|| "write letters from A to K, and Z".to_owned()),
            Self::FileMode => {
                let is_octal = (1..=5).contains(&value.len()) && value.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
                let is_mode = is_octal || value.eq_ignore_ascii_case("default");
                (!is_mode).then(|| "write an octal mode such as `0600`, or `default`".to_owned())
            }
            Self::MediaTypes => {
                let is_type = value.eq_ignore_ascii_case("(null)")
                    || value
                        .split_ascii_whitespace()
                        .all(|word| word.split('/').filter(|part| !part.is_empty()).count() == 2);
                (!is_type).then(|| "write media types such as `text/html`, apart by blanks".to_owned())
            }
            Self::Any(..) => None,
        }
    }
}

/// Whether these are letters of parts of an audit log.
pub(super) fn is_audit_parts(letters: &str) -> bool {
    !letters.is_empty() && letters.bytes().all(|letter| matches!(letter.to_ascii_uppercase(), b'A'..=b'K' | b'Z'))
}
