//! A check noticed something. Noticing is not acting: `engine::decide` turns findings into a decision.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{CheckId, CheckInfo, Mode, Severity};

/// How sure a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// A hint
    Low,
    /// Likely
    Medium,
    /// As good as certain
    High,
}

/// The part of an exchange a finding points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The transport: address, TLS
    Connection,
    /// The request method
    Method,
    /// The path, or one of its parameters
    Path,
    /// The query string, or one parameter
    Query,
    /// The request's header section, or one field
    Header,
    /// One cookie
    Cookie,
    /// The request body
    Body,
    /// The response
    Response,
}

impl Part {
    /// The word in a location: `query` in `query.id`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Method => "method",
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Body => "body",
            Self::Response => "response",
        }
    }
}

/// Where in the exchange: a part, and the name within it. As text: `query.id`, `header.user-agent`, `body`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    /// Which part
    pub part: Part,
    /// Name of the parameter or field within the part; `None` for the whole part
    pub name: Option<Box<str>>,
}

impl Location {
    /// A whole part.
    pub const fn part(part: Part) -> Self {
        Self { part, name: None }
    }

    /// A named member of a part.
    pub fn named(part: Part, name: &str) -> Self {
        Self { part, name: Some(name.into()) }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.part.as_str())?;
        match &self.name {
            Some(name) => write!(f, ".{name}"),
            None => Ok(()),
        }
    }
}

/// A check noticed something, with masked evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which check
    pub check: CheckId,
    /// How bad
    pub severity: Severity,
    /// How sure
    pub confidence: Confidence,
    /// Where
    pub location: Location,
    /// What was seen, in words, masked: never a raw value from the message
    pub evidence: Box<str>,
    /// The policy that asked, when the finding speaks against the exchange; filled in by `engine::decide`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<FindingPolicy>,
}

/// Under which policy a finding was made, and how far that policy might go at the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingPolicy {
    /// Its name
    pub name: Arc<str>,
    /// Its mode when the finding was made
    pub mode: Mode,
}

impl CheckInfo {
    /// A finding of this check at its default severity, with high confidence.
    pub fn finding(&self, location: Location, evidence: impl Into<Box<str>>) -> Finding {
        Finding {
            check: self.check_id(),
            severity: self.severity,
            confidence: Confidence::High,
            location,
            evidence: evidence.into(),
            policy: None,
        }
    }
}
