//! Policies of attack rules: which files, which exclusions.

use bartizan_model::excerpt;

use super::Checker;
use crate::config::{ExcludedMember, ExcludedRules, Exclusion, Threats};
use crate::defaults;
use crate::document;
use crate::path::SettingPath;
use crate::report;

/// The meaning of `threats`.
pub(super) fn threats(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Threats) -> Threats {
    if !written.own_rules && written.core_rule_set.is_none() && written.files.is_empty() {
        let help = "write `own_rules: true`, or name a `core_rule_set` or `files`";
        checker.error(at, report::EMPTY, "`threats` runs no rules".to_owned(), help);
    }
    let exclusions_at = at.key("exclusions");
    let exclusions = written.exclusions.iter().enumerate();
    Threats {
        core_rule_set: written.core_rule_set.as_ref().map(|folder| checker.base_dir.join(folder)),
        files: written.files.iter().map(|file| checker.base_dir.join(file)).collect(),
        own_rules: written.own_rules,
        paranoia: written.paranoia,
        anomaly_threshold: written.anomaly_threshold,
        responses: written.responses,
        body_bytes_max: checker.size(&at.key("body_bytes_max"), &written.body_bytes_max, defaults::THREAT_BODY_BYTES),
        exclusions: exclusions
            .filter_map(|(index, exclusion)| self::exclusion(checker, &exclusions_at.index(index), exclusion))
            .collect(),
    }
}

fn exclusion(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Exclusion) -> Option<Exclusion> {
    let rules = rules(checker, &at.key("rule"), &written.rule)?;
    let member = match (&written.parameter, &written.header, &written.cookie) {
        (None, None, None) => None,
        (Some(parameter), None, None) => Some(ExcludedMember::Parameter(parameter.clone())),
        (None, Some(header), None) => Some(ExcludedMember::Header(checker.header_name(&at.key("header"), header))),
        (None, None, Some(cookie)) => Some(ExcludedMember::Cookie(cookie.clone())),
        _ => {
            let message = "an exclusion names one member of a request".to_owned();
            let help = "write an exclusion for each of `parameter`, `header` and `cookie`";
            checker.error(at, report::CONTRADICTION, message, help);
            return None;
        }
    };
    Some(Exclusion { rules, member })
}

fn rules(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::RuleName) -> Option<ExcludedRules> {
    let text = match written {
        document::RuleName::Id(id) => id.to_string(),
        document::RuleName::Text(text) => text.trim().to_owned(),
    };
    let (first, last) = text.split_once('-').unwrap_or((&text, &text));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number(first.trim()) && is_number(last.trim()) {
        if let (Ok(first @ 1..), Ok(last)) = (first.trim().parse(), last.trim().parse())
            && first <= last
        {
            return Some(ExcludedRules::Ids { first, last });
        }
        let message = format!("`{}` is no rule id and no range of ids", excerpt(&text));
        checker.error(at, report::OUT_OF_RANGE, message, "write the smaller id first, such as `942000-942999`");
        return None;
    }
    let is_tag = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_tag) {
        return Some(ExcludedRules::Tag(text));
    }
    let message = format!("`{}` is no rule id, no range of ids and no tag", excerpt(&text));
    checker.error(
        at,
        report::MALFORMED_NAME,
        message,
        "write `942100`, `942000-942999` or a tag such as `attack-sqli`",
    );
    None
}
