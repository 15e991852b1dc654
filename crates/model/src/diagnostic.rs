//! A fault in a document that a person wrote: where, what, and what to do about it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Line and column, both from 1; a column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Line, from 1
    pub line: u32,
    /// Column in characters, from 1
    pub column: u32,
}

/// Whether the document can still be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiagnosticSeverity {
    /// It can be used; look at this all the same
    Warning,
    /// It cannot be used
    Error,
}

/// One fault: lower case, no final stop, the user's words in backticks, then what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Error or warning
    pub severity: DiagnosticSeverity,
    /// Stable code, such as `CFG-003`
    pub code: String,
    /// File as the user named it
    pub file: String,
    /// Where in the file; `None` when the fault is in no one place
    pub position: Option<Position>,
    /// Path of the setting, such as `upstreams[0].targets`
    pub path: String,
    /// What is wrong
    pub message: String,
    /// What to do
    pub help: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(position) = self.position {
            write!(f, ":{}:{}", position.line, position.column)?;
        }
        let severity = match self.severity {
            DiagnosticSeverity::Warning => "warning",
            DiagnosticSeverity::Error => "error",
        };
        write!(f, ": {severity}[{}]: {}", self.code, self.message)?;
        if !self.help.is_empty() {
            write!(f, "\n  help: {}", self.help)?;
        }
        Ok(())
    }
}
