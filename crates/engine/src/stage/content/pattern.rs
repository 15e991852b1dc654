//! A policy's regular expression, compiled, and what it looks at. Linear time: the crate has no other kind.

use bartizan_config::{Pattern, PatternPart};
use regex::bytes::Regex;

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct CompiledPattern {
    name: Box<str>,
    looked: Looked,
    /// Segments of the member's path, `*` for any; a member of anything but JSON is one segment
    member: Option<Box<[Box<[u8]>]>>,
    regex: Regex,
}

/// What a pattern looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looked {
    Path,
    Query,
    Header,
    Cookie,
    Form,
    Json,
    Xml,
}

impl CompiledPattern {
    /// Compiles a pattern of a valid configuration.
    pub(crate) fn new(pattern: &Pattern) -> Option<Self> {
        let regex = pattern.compile();
        debug_assert!(regex.is_ok(), "the configuration has compiled it before");
        let looked = match pattern.part {
            PatternPart::Path => Looked::Path,
            PatternPart::Query => Looked::Query,
            PatternPart::Header => Looked::Header,
            PatternPart::Cookie => Looked::Cookie,
            PatternPart::Form => Looked::Form,
            PatternPart::Json => Looked::Json,
            PatternPart::Xml => Looked::Xml,
        };
        let member = pattern.member.as_ref().map(|member| match looked {
            Looked::Json => member.split('.').map(|segment| segment.as_bytes().into()).collect(),
            _ => [member.as_bytes().into()].into(),
        });
        Some(Self { name: pattern.name.as_str().into(), looked, member, regex: regex.ok()? })
    }

    /// The name in the policy.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it looks at this part.
    pub(crate) fn looks_at(&self, looked: Looked) -> bool {
        self.looked == looked
    }

    /// Whether it looks at this member; JSON's is a path that begins with `json`.
    pub(crate) fn is_meant(&self, member: &[u8]) -> bool {
        let Some(wanted) = &self.member else { return true };
        if self.looked != Looked::Json {
            let is_header = self.looked == Looked::Header;
            return wanted.iter().any(
                |name| {
                    if is_header { name.eq_ignore_ascii_case(member) } else { **name == *member }
                },
            );
        }
        let mut path = member.split(|byte| *byte == b'.').skip(1);
        wanted.iter().all(|segment| path.next().is_some_and(|part| **segment == *b"*" || **segment == *part))
            && path.next().is_none()
    }

    /// Whether it matches.
    pub(crate) fn is_match(&self, value: &[u8]) -> bool {
        self.regex.is_match(value)
    }

    /// The part of `value` that it matches; all of it when it matches something else made from it.
    pub(crate) fn part_of<'v>(&self, value: &'v [u8]) -> &'v [u8] {
        self.regex.find(value).map_or(value, |found| found.as_bytes())
    }
}
