//! Policies of threat limits: which limits, which patterns.

use bartizan_content::{Limit, Limits};

use super::Checker;
use crate::config::{Content, Pattern, PatternPart};
use crate::defaults;
use crate::document;
use crate::path::SettingPath;
use crate::report;

/// The meaning of `content`.
pub(super) fn content(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Content) -> Content {
    let mut limits = Limits::default();
    for (name, number) in &written.limits.0 {
        // The schema has let through nothing else.
        if let Some(limit) = Limit::of_name(name) {
            *limits.of_mut(limit) = *number;
        }
    }
    let patterns_at = at.key("patterns");
    checker.names(&patterns_at, "pattern", written.patterns.iter().map(|pattern| pattern.name.as_str()));
    let patterns = written.patterns.iter().enumerate();
    Content {
        body_bytes_max: checker.size(&at.key("body_bytes_max"), &written.body_bytes_max, defaults::CONTENT_BODY_BYTES),
        limits,
        refuse_malformed: written.refuse_malformed,
        file_extensions: written
            .file_extensions
            .iter()
            .map(|extension| extension.trim_start_matches('.').to_ascii_lowercase())
            .collect(),
        file_types: written.file_types.iter().map(|media_type| media_type.to_ascii_lowercase()).collect(),
        patterns: patterns.map(|(index, written)| pattern(checker, &patterns_at.index(index), written)).collect(),
    }
}

fn pattern(checker: &mut Checker<'_, '_>, at: &SettingPath, written: &document::Pattern) -> Pattern {
    let part = match written.part {
        document::PatternPart::Path => PatternPart::Path,
        document::PatternPart::Query => PatternPart::Query,
        document::PatternPart::Header => PatternPart::Header,
        document::PatternPart::Cookie => PatternPart::Cookie,
        document::PatternPart::Form => PatternPart::Form,
        document::PatternPart::Json => PatternPart::Json,
        document::PatternPart::Xml => PatternPart::Xml,
    };
    if let (PatternPart::Path | PatternPart::Xml, Some(_)) = (part, &written.member) {
        let message = "a pattern over the path or XML looks at all of it".to_owned();
        checker.error(&at.key("member"), report::CONTRADICTION, message, "leave `member` out");
    }
    let member = match (part, &written.member) {
        (PatternPart::Header, Some(name)) => Some(checker.header_name(&at.key("member"), name)),
        (_, member) => member.clone(),
    };
    let pattern = Pattern { name: written.name.clone(), part, member, pattern: written.pattern.clone() };
    if let Err(fault) = pattern.compile() {
        let help = "write an expression that runs in linear time: no look-around and no back-references";
        checker.error(&at.key("pattern"), report::MALFORMED_PATTERN, fault, help);
    }
    pattern
}
