//! What every check says about itself, once, in one `static INFO: CheckInfo` beside its code.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad it is when a check fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing
    Info,
    /// Mend when convenient
    Low,
    /// Mend soon
    Medium,
    /// Mend now
    High,
    /// Somebody is losing data
    Critical,
}

impl Severity {
    /// The word in events and queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// A check's id: `FAMILY-number` (`ACC-102`), never reused. Imported rules keep their number (`WAF-942100`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckId(Cow<'static, str>);

impl CheckId {
    /// A built-in check's id.
    pub const fn new(id: &'static str) -> Self {
        Self(Cow::Borrowed(id))
    }

    /// An imported rule's id.
    pub fn imported(id: String) -> Self {
        Self(Cow::Owned(id))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A check's description, from which documentation, schema and console are generated.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct CheckInfo {
    /// `FAMILY-number`
    pub id: &'static str,
    /// A few words, lower case, no final stop
    pub title: &'static str,
    /// Default severity of its findings
    pub severity: Severity,
    /// OWASP API Security risk, such as `API8:2023`
    pub owasp: &'static str,
    /// Common Weakness Enumeration numbers
    pub cwe: &'static [u32],
    /// First version that has it
    pub since: &'static str,
    /// What goes wrong without it
    pub why: &'static str,
    /// What the developer or operator should do when it fires
    pub fix: &'static str,
}

impl CheckInfo {
    /// The id as carried by findings.
    pub const fn check_id(&self) -> CheckId {
        CheckId::new(self.id)
    }
}
