//! Gathers diagnostics; the table of codes is here.
//!
//! A code is `CFG-` and three digits, never reused: below 100 errors, from 100 warnings. 100 and 110 to 119 are the
//! binary's: what it finds in the files that a configuration names.

use bartizan_model::{Diagnostic, DiagnosticSeverity, Position, excerpt};

use crate::NamedFile;
use crate::path::SettingPath;
use crate::yaml::Node;

pub(crate) const TOO_LARGE: &str = "CFG-001";
pub(crate) const NOT_YAML: &str = "CFG-002";
pub(crate) const DUPLICATE_KEY: &str = "CFG-003";
pub(crate) const TOO_COMPLEX: &str = "CFG-004";
pub(crate) const NOT_ONE_MAPPING: &str = "CFG-005";
pub(crate) const UNKNOWN_KEY: &str = "CFG-010";
pub(crate) const MISSING_KEY: &str = "CFG-011";
pub(crate) const WRONG_TYPE: &str = "CFG-012";
pub(crate) const UNKNOWN_WORD: &str = "CFG-013";
pub(crate) const OUT_OF_RANGE: &str = "CFG-014";
pub(crate) const MALFORMED_UNIT: &str = "CFG-015";
pub(crate) const EMPTY: &str = "CFG-016";
pub(crate) const MALFORMED_ADDRESS: &str = "CFG-020";
pub(crate) const MALFORMED_NETWORK: &str = "CFG-021";
pub(crate) const MALFORMED_HOST: &str = "CFG-022";
pub(crate) const MALFORMED_PATH: &str = "CFG-023";
pub(crate) const MALFORMED_TOKEN: &str = "CFG-024";
pub(crate) const MALFORMED_NAME: &str = "CFG-025";
pub(crate) const MALFORMED_PATTERN: &str = "CFG-026";
pub(crate) const MALFORMED_TIME: &str = "CFG-027";
pub(crate) const MALFORMED_URL: &str = "CFG-028";
pub(crate) const MALFORMED_SECRET: &str = "CFG-029";
pub(crate) const NOT_UNIQUE: &str = "CFG-030";
pub(crate) const UNKNOWN_NAME: &str = "CFG-031";
pub(crate) const CONTRADICTION: &str = "CFG-032";
pub(crate) const NOT_ONE_RULE: &str = "CFG-033";
pub(crate) const SCHEMA_DISAGREES: &str = "CFG-099";
pub(crate) const NO_EFFECT: &str = "CFG-101";
pub(crate) const UNUSED: &str = "CFG-102";
pub(crate) const WEAK: &str = "CFG-103";

/// LIMIT: diagnostics of one document; nobody mends more in one go.
const DIAGNOSTICS_MAX: usize = 200;

/// Diagnostics of one document.
pub(crate) struct Report<'a> {
    file: &'a str,
    found: Vec<Diagnostic>,
    left_out: usize,
    errors: usize,
    pub(crate) files: Vec<NamedFile>,
}

/// A fault before it has a place.
pub(crate) struct Fault {
    /// Code from the table above
    pub(crate) code: &'static str,
    /// What is wrong
    pub(crate) message: String,
    /// What to do
    pub(crate) help: String,
}

impl Fault {
    /// A fault with its code, message and help.
    pub(crate) fn new(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: help.into() }
    }
}

impl<'a> Report<'a> {
    /// Nothing found yet in `file`.
    pub(crate) const fn new(file: &'a str) -> Self {
        Self { file, found: Vec::new(), left_out: 0, errors: 0, files: Vec::new() }
    }

    /// Whether the document cannot be used.
    pub(crate) const fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Errors so far.
    pub(crate) const fn errors(&self) -> usize {
        self.errors
    }

    /// An error at a known position.
    pub(crate) fn error(&mut self, position: Option<Position>, path: &SettingPath, fault: Fault) {
        self.push(DiagnosticSeverity::Error, position, path, fault);
    }

    /// An error at the value of `path` in `tree`.
    pub(crate) fn error_at(&mut self, tree: &Node, path: &SettingPath, fault: Fault) {
        self.push(DiagnosticSeverity::Error, Some(tree.position_of(path)), &tree.written_path(path), fault);
    }

    /// A warning at the value of `path` in `tree`.
    pub(crate) fn warning_at(&mut self, tree: &Node, path: &SettingPath, fault: Fault) {
        self.push(DiagnosticSeverity::Warning, Some(tree.position_of(path)), &tree.written_path(path), fault);
    }

    /// The schema let through what the types refuse: our fault, told instead of panicking.
    pub(crate) fn schema_disagrees(&mut self, error: &serde_json::Error) {
        debug_assert!(false, "schema and document types disagree: {error}");
        let message = format!("this document confuses bartizan: {}", excerpt(&error.to_string()));
        self.error(
            None,
            &SettingPath::root(),
            Fault::new(SCHEMA_DISAGREES, message, "this is a bug; please report it"),
        );
    }

    /// All that was found, in the order of the document.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|found| found.position);
        if self.left_out > 0 {
            let message = format!("{} more faults are not shown", self.left_out);
            let fault = Fault::new(TOO_COMPLEX, message, "mend these first");
            let severity = if self.errors > 0 { DiagnosticSeverity::Error } else { DiagnosticSeverity::Warning };
            self.found.push(self.diagnostic(severity, None, &SettingPath::root(), fault));
        }
        self.found
    }

    fn push(&mut self, severity: DiagnosticSeverity, position: Option<Position>, path: &SettingPath, fault: Fault) {
        self.errors += usize::from(severity == DiagnosticSeverity::Error);
        if self.found.len() >= DIAGNOSTICS_MAX {
            self.left_out += 1;
            return;
        }
        let diagnostic = self.diagnostic(severity, position, path, fault);
        if !self.found.contains(&diagnostic) {
            self.found.push(diagnostic);
        }
    }

    fn diagnostic(
        &self,
        severity: DiagnosticSeverity,
        position: Option<Position>,
        path: &SettingPath,
        fault: Fault,
    ) -> Diagnostic {
        Diagnostic {
            severity,
            code: fault.code.to_owned(),
            file: self.file.to_owned(),
            position,
            path: path.to_string(),
            message: fault.message,
            help: fault.help,
        }
    }
}
