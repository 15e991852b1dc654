//! Gathers the faults of rule files; the table of codes is here.
//!
//! A code is `SEC-` and three digits, never reused: below 100 errors, from 100 warnings.

use std::sync::Arc;

use bartizan_model::{Diagnostic, DiagnosticSeverity, EXCERPT_CHARS_MAX, Position, did_you_mean};

/// A kind of fault in a rule file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// `SEC-010`
    pub id: &'static str,
    /// Whether the rules can still be used
    pub severity: DiagnosticSeverity,
    /// What it means, one sentence
    #[allow(dead_code, reason = "read by the documentation, once the crate's root names the table")]
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($name:ident $id:literal $severity:ident $meaning:literal,)*) => {
        $(pub(super) const $name: Code = Code { id: $id, severity: DiagnosticSeverity::$severity, meaning: $meaning };)*

        /// Every kind of fault that parsing tells, by number.
        #[allow(dead_code, reason = "read by the documentation, once the crate's root names it")]
        pub const CODES: &[Code] = &[$($name,)*];
    };
}

codes! {
    FILE_UNREADABLE "SEC-001" Error "A file that is named cannot be read.",
    TOO_LARGE "SEC-002" Error "A file, a line, a list or the whole is larger than its limit.",
    NOT_UTF8 "SEC-003" Error "Text outside of an operator is not UTF-8.",
    INCLUDE_CYCLE "SEC-004" Error "A file includes itself, or includes go too deep.",
    NO_FILES "SEC-005" Error "The pattern of an `Include` names no file.",
    REMOTE_FILE "SEC-006" Error "A file is to be fetched from elsewhere; rules are only read from disk.",
    UNKNOWN_DIRECTIVE "SEC-010" Error "No directive has this name.",
    UNSUPPORTED_DIRECTIVE "SEC-011" Error "ModSecurity or Coraza know the directive, Bartizan does not.",
    APACHE_SECTION "SEC-012" Error "Apache's sections and conditions have no meaning here.",
    UNCLOSED_QUOTE "SEC-013" Error "A quote is opened and not closed.",
    TEXT_AFTER_QUOTE "SEC-014" Error "Text follows a closing quote without a blank or comma.",
    ARGUMENT_COUNT "SEC-015" Error "A directive has too few or too many arguments.",
    MALFORMED_SETTING "SEC-016" Error "The value of a directive has not the form it must have.",
    CONTINUED_COMMENT "SEC-017" Error "A comment ends with a backslash and text follows: engines disagree whether the text is comment.",
    UNKNOWN_VARIABLE "SEC-020" Error "No variable has this name.",
    UNSUPPORTED_VARIABLE "SEC-021" Error "ModSecurity or Coraza know the variable, Bartizan does not.",
    MALFORMED_TARGET "SEC-022" Error "An item of a rule's list of variables cannot be read.",
    NO_MEMBERS "SEC-023" Error "A member is asked of a variable that has none.",
    MACRO_NOT_EXPANDED "SEC-024" Error "A macro stands where macros are not expanded.",
    MALFORMED_PATTERN "SEC-025" Error "A regular expression cannot be read, or needs more than linear time.",
    UNKNOWN_OPERATOR "SEC-030" Error "No operator has this name.",
    UNSUPPORTED_OPERATOR "SEC-031" Error "ModSecurity or Coraza know the operator, Bartizan does not.",
    MALFORMED_OPERATOR "SEC-032" Error "The argument of an operator is missing, superfluous or of the wrong form.",
    UNKNOWN_ACTION "SEC-040" Error "No action has this name.",
    UNSUPPORTED_ACTION "SEC-041" Error "ModSecurity or Coraza know the action, Bartizan does not.",
    MALFORMED_ACTION "SEC-042" Error "The value of an action is missing, superfluous or of the wrong form.",
    UNKNOWN_TRANSFORMATION "SEC-043" Error "No transformation has this name.",
    UNKNOWN_CONTROL "SEC-044" Error "`ctl:` knows nothing of this name.",
    UNSUPPORTED_CONTROL "SEC-045" Error "ModSecurity or Coraza know this `ctl:`, Bartizan does not.",
    MISPLACED_ACTION "SEC-046" Error "The action may not stand in this directive.",
    MISSING_ACTION "SEC-047" Error "The directive needs an action that is not there.",
    MISSING_ID "SEC-050" Error "A rule that does not belong to a chain before it has no id.",
    DUPLICATE_ID "SEC-051" Error "Two rules have one id.",
    LINK_ACTION "SEC-052" Error "A later rule of a chain has what only the chain's first rule may have.",
    UNFINISHED_CHAIN "SEC-053" Error "A rule says `chain` and no rule follows.",
    MALFORMED_IDS "SEC-054" Error "A list of rule ids cannot be read.",
    IGNORED_DIRECTIVE "SEC-101" Warning "The directive is known and has no meaning here.",
    OPTIONAL_FILE "SEC-102" Warning "A file named by `IncludeOptional` cannot be read.",
    REPEATED_ACTION "SEC-103" Warning "An action that a rule can have once is given again; the last one counts.",
    ONLY_EXCLUSIONS "SEC-104" Warning "A rule has exclusions and nothing to exclude from, so that it never matches.",
    LINK_METADATA "SEC-105" Warning "A later rule of a chain describes itself; reports show what the first rule says.",
    USELESS_END "SEC-106" Warning "A member of `tx` is to end later; `tx` ends with the exchange.",
    UNOPENED_COLLECTION "SEC-107" Warning "Rules use a collection that no rule opens, so that it stays empty.",
}

/// LIMIT: diagnostics of one load; nobody mends more in one go, and parsing stops there.
pub(super) const DIAGNOSTICS_MAX: usize = 1_000;

/// A fault before its place in the file is known.
#[derive(Debug)]
pub(super) struct Fault {
    /// Row of the table above
    pub(super) code: Code,
    /// Offset of the words it is about, in the text that was being read
    pub(super) at: usize,
    /// What is wrong
    pub(super) message: String,
    /// What to do
    pub(super) help: String,
}

impl Fault {
    /// A fault at an offset.
    pub(super) fn new(code: Code, at: usize, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, at, message: message.into(), help: help.into() }
    }
}

/// Diagnostics of one load, in the order in which they were found.
#[derive(Default)]
pub(super) struct Report {
    found: Vec<Diagnostic>,
}

impl Report {
    /// Takes one more fault.
    pub(super) fn push(&mut self, file: &Arc<str>, position: Option<Position>, directive: &str, fault: Fault) {
        if self.is_full() {
            return;
        }
        self.found.push(Diagnostic {
            severity: fault.code.severity,
            code: fault.code.id.to_owned(),
            file: file.to_string(),
            position,
            path: directive.to_owned(),
            message: fault.message,
            help: fault.help,
        });
    }

    /// Whether there are so many that reading on helps nobody.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= DIAGNOSTICS_MAX
    }

    /// All that was found. What was not read because of too many faults is a fault itself: it must not be lost.
    pub(super) fn finish(mut self, file: &str) -> Vec<Diagnostic> {
        if self.is_full() {
            self.found.push(Diagnostic {
                severity: TOO_LARGE.severity,
                code: TOO_LARGE.id.to_owned(),
                file: file.to_owned(),
                position: None,
                path: String::new(),
                message: format!("more than {DIAGNOSTICS_MAX} faults; what follows them was not read"),
                help: "mend these first".to_owned(),
            });
        }
        self.found
    }
}

/// The user's words, short and printable.
pub(super) fn excerpt(words: impl AsRef<[u8]>) -> String {
    // four bytes a character at most; a character cut in two shows as a replacement mark and is then dropped
    let words = words.as_ref().iter().take(EXCERPT_CHARS_MAX * 4 + 4).copied().collect::<Vec<u8>>();
    bartizan_model::excerpt(&String::from_utf8_lossy(&words))
}

/// "did you mean `ARGS`?", when one of `known` is near to `word`; `otherwise` when none is.
pub(super) fn suggestion<'k>(word: &str, known: impl IntoIterator<Item = &'k str>, otherwise: &str) -> String {
    did_you_mean(word, known).unwrap_or_else(|| otherwise.to_owned())
}
