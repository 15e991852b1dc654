//! The operator of a rule: `@rx ^a`, `!@within %{tx.allowed_methods}`, or a bare pattern, which is `@rx`.

use std::sync::Arc;

use super::names::UNSUPPORTED_OPERATORS;
use super::report::{Fault, MALFORMED_OPERATOR, NOT_UTF8, UNKNOWN_OPERATOR, UNSUPPORTED_OPERATOR, excerpt, suggestion};
use super::text;
use crate::ast::{Operator, OperatorKind, Text};

/// Reads a file of phrases or addresses that a rule names; gives what is wrong when it cannot.
pub(super) type ReadFile<'a> = dyn FnMut(&str) -> Result<Arc<[u8]>, Fault> + 'a;

/// What an operator takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    /// A number, or a macro that gives one
    Number,
    /// Text with macros; may be empty
    Text,
    /// Text with macros; empty it would match everything
    SomeText,
    /// A pattern, in which only what names a variable is a macro
    Pattern,
    /// Text without macros, handed on as written
    Literal,
    /// Names of files apart by blanks
    Files,
}

const OPERATORS: &[(&str, OperatorKind, Takes)] = &[
    ("beginsWith", OperatorKind::BeginsWith, Takes::SomeText),
    ("contains", OperatorKind::Contains, Takes::SomeText),
    ("containsWord", OperatorKind::ContainsWord, Takes::SomeText),
    ("detectSQLi", OperatorKind::DetectSqli, Takes::Nothing),
    ("detectXSS", OperatorKind::DetectXss, Takes::Nothing),
    ("endsWith", OperatorKind::EndsWith, Takes::SomeText),
    ("eq", OperatorKind::Eq, Takes::Number),
    ("ge", OperatorKind::Ge, Takes::Number),
    ("gt", OperatorKind::Gt, Takes::Number),
    ("ipMatch", OperatorKind::IpMatch, Takes::Literal),
    ("ipMatchF", OperatorKind::IpMatchFromFile, Takes::Files),
    ("ipMatchFromFile", OperatorKind::IpMatchFromFile, Takes::Files),
    ("le", OperatorKind::Le, Takes::Number),
    ("lt", OperatorKind::Lt, Takes::Number),
    ("noMatch", OperatorKind::NoMatch, Takes::Nothing),
    ("pm", OperatorKind::Pm, Takes::Literal),
    ("pmf", OperatorKind::PmFromFile, Takes::Files),
    ("pmFromFile", OperatorKind::PmFromFile, Takes::Files),
    ("rx", OperatorKind::Rx, Takes::Pattern),
    ("strmatch", OperatorKind::StrMatch, Takes::SomeText),
    ("streq", OperatorKind::Streq, Takes::Text),
    ("unconditionalMatch", OperatorKind::UnconditionalMatch, Takes::Nothing),
    ("validateByteRange", OperatorKind::ValidateByteRange, Takes::Literal),
    ("validateUrlEncoding", OperatorKind::ValidateUrlEncoding, Takes::Nothing),
    ("validateUtf8Encoding", OperatorKind::ValidateUtf8Encoding, Takes::Nothing),
    ("verifyCC", OperatorKind::VerifyCc, Takes::Literal),
    ("verifyCPF", OperatorKind::VerifyCpf, Takes::Literal),
    ("verifySSN", OperatorKind::VerifySsn, Takes::Literal),
    ("within", OperatorKind::Within, Takes::SomeText),
];

/// An operator as written, before it is known.
struct Written<'t> {
    is_negated: bool,
    /// `None` for a bare pattern
    name: Option<&'t [u8]>,
    argument: &'t [u8],
    /// Where name and argument begin
    at: (usize, usize),
}

/// Reads the operator. `None` when a fault leaves none.
pub(super) fn operator(written: &[u8], read_file: &mut ReadFile<'_>, faults: &mut Vec<Fault>) -> Option<Operator> {
    let written = take_apart(written);
    let (name, kind, takes) = match written.name.map(|name| known(name, written.at.0)) {
        None => ("rx", OperatorKind::Rx, Takes::Pattern),
        Some(Ok(row)) => *row,
        Some(Err(fault)) => {
            faults.push(fault);
            return None;
        }
    };
    let faults_before = faults.len();
    let mut data = Vec::new();
    let argument = match takes {
        Takes::Nothing | Takes::Number => argument(&written, name, takes, faults),
        Takes::Text => text::text(written.argument, written.at.1, faults),
        Takes::SomeText | Takes::Pattern | Takes::Literal if written.argument.is_empty() => {
            missing(&written, name, faults)
        }
        Takes::SomeText => text::text(written.argument, written.at.1, faults),
        Takes::Pattern => text::pattern_text(written.argument),
        Takes::Literal => text::literal(written.argument, written.at.1, &format!("`@{name}`"), faults),
        Takes::Files => {
            data = files(&written, name, read_file, faults);
            text::literal(written.argument, written.at.1, "the name of a file", faults)
        }
    };
    (faults.len() == faults_before).then_some(Operator { is_negated: written.is_negated, kind, argument, data })
}

fn take_apart(written: &[u8]) -> Written<'_> {
    let offset = |rest: &[u8]| written.len() - rest.len();
    let trimmed = written.trim_ascii_start();
    let (is_negated, rest) = match trimmed.strip_prefix(b"!") {
        Some(rest) => (true, rest.trim_ascii_start()),
        None => (false, trimmed),
    };
    let Some(after) = rest.strip_prefix(b"@") else {
        // blanks before a bare pattern are a part of it
        let argument = if is_negated { rest } else { written };
        return Written { is_negated, name: None, argument, at: (offset(argument), offset(argument)) };
    };
    let end = after.iter().position(u8::is_ascii_whitespace).unwrap_or(after.len());
    let (name, argument) = after.split_at_checked(end).unwrap_or((after, b""));
    let argument = argument.trim_ascii_start();
    Written { is_negated, name: Some(name), argument, at: (offset(rest), offset(argument)) }
}

fn known(name: &[u8], at: usize) -> Result<&'static (&'static str, OperatorKind, Takes), Fault> {
    if let Some(row) = OPERATORS.iter().find(|(known, _, _)| known.as_bytes().eq_ignore_ascii_case(name)) {
        return Ok(row);
    }
    let shown = excerpt(name);
    if let Some((_, help)) = UNSUPPORTED_OPERATORS.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name))
    {
        return Err(Fault::new(UNSUPPORTED_OPERATOR, at, format!("operator `@{shown}` is not supported"), *help));
    }
    let known = OPERATORS.iter().map(|(known, _, _)| *known);
    let help = suggestion(&shown, known, "for a pattern that begins with `@`, write `@rx` and a blank before it");
    Err(Fault::new(UNKNOWN_OPERATOR, at, format!("unknown operator `@{shown}`"), help))
}

/// The argument of an operator that takes a number or nothing.
fn argument(written: &Written<'_>, name: &str, takes: Takes, faults: &mut Vec<Fault>) -> Text {
    let argument = written.argument.trim_ascii_end();
    if takes == Takes::Nothing {
        if !argument.is_empty() {
            let message = format!("`@{name}` takes no argument, yet `{}` follows", excerpt(argument));
            faults.push(Fault::new(MALFORMED_OPERATOR, written.at.1, message, "take it out"));
        }
        return Text::default();
    }
    if argument.is_empty() {
        return missing(written, name, faults);
    }
    let text = text::text(argument, written.at.1, faults);
    if text.literal().is_some_and(|literal| !is_integer(literal)) {
        let message = format!("`@{name} {}`: not a number", excerpt(argument));
        let help = "write digits, or a macro such as `%{tx.threshold}`";
        faults.push(Fault::new(MALFORMED_OPERATOR, written.at.1, message, help));
    }
    text
}

/// Digits, with a sign or without.
pub(super) fn is_integer(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

fn missing(written: &Written<'_>, name: &str, faults: &mut Vec<Fault>) -> Text {
    let message = format!("`@{name}` has no argument");
    let help = "write what to compare with; to match always, `@unconditionalMatch`";
    faults.push(Fault::new(MALFORMED_OPERATOR, written.at.0, message, help));
    Text::default()
}

fn files(written: &Written<'_>, name: &str, read_file: &mut ReadFile<'_>, faults: &mut Vec<Fault>) -> Vec<Arc<[u8]>> {
    let at = written.at.1;
    let Ok(names) = std::str::from_utf8(written.argument) else {
        faults.push(Fault::new(NOT_UTF8, at, "the name of a file is not UTF-8", "rename the file"));
        return Vec::new();
    };
    let mut data = Vec::new();
    for file in names.split_ascii_whitespace() {
        match read_file(file) {
            Ok(bytes) => data.push(bytes),
            Err(fault) => {
                faults.push(Fault { at, ..fault });
                return data;
            }
        }
    }
    if data.is_empty() {
        missing(written, name, faults);
    }
    data
}
