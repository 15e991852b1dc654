//! Small forms that many places share: text with macros, patterns, lists of rule ids, words of a table.

use super::names::UNSUPPORTED_VARIABLES;
use super::report::{
    Fault, MACRO_NOT_EXPANDED, MALFORMED_IDS, MALFORMED_PATTERN, NO_MEMBERS, TOO_LARGE, UNKNOWN_VARIABLE,
    UNSUPPORTED_VARIABLE, excerpt, suggestion,
};
use crate::ast::{IdRange, Text, TextPart};
use crate::{Variable, operator};

/// LIMIT: bytes between `%{` and `}`; text in which no brace follows so soon holds no macro.
const MACRO_BYTES_MAX: usize = 256;

/// LIMIT: ranges in one list of rule ids; the longest lists of exclusions have some dozens.
const ID_RANGES_MAX: usize = 10_000;

/// Text with its macros. What only looks like one, such as `%{2}`, stays text; one of an unknown variable is a fault.
pub(super) fn text(bytes: &[u8], at: usize, faults: &mut Vec<Fault>) -> Text {
    assemble(bytes, at, &mut |fault| faults.push(fault))
}

/// The text of a pattern: what names no variable belongs to the pattern.
pub(super) fn pattern_text(bytes: &[u8]) -> Text {
    assemble(bytes, 0, &mut |_| ())
}

fn assemble(bytes: &[u8], at: usize, refuse: &mut dyn FnMut(Fault)) -> Text {
    let mut text = Text::default();
    let mut literal = Vec::new();
    for piece in (Pieces { rest: bytes, at }) {
        let (inside, at) = match piece {
            Piece::Literal(bytes) => {
                literal.extend_from_slice(bytes);
                continue;
            }
            Piece::Macro(inside, at) => (inside, at),
        };
        match expansion(inside, at) {
            Ok((variable, member)) => {
                if !literal.is_empty() {
                    text.parts.push(TextPart::Literal(std::mem::take(&mut literal)));
                }
                text.parts.push(TextPart::Macro(variable, member));
            }
            Err(fault) => {
                literal.extend_from_slice(b"%{");
                literal.extend_from_slice(inside);
                literal.push(b'}');
                refuse(fault);
            }
        }
    }
    if !literal.is_empty() {
        text.parts.push(TextPart::Literal(literal));
    }
    text
}

/// Text in which macros are not expanded. One that names a variable is a fault: it would never be what was meant.
pub(super) fn literal(bytes: &[u8], at: usize, where_: &str, faults: &mut Vec<Fault>) -> Text {
    for piece in (Pieces { rest: bytes, at }) {
        let Piece::Macro(inside, at) = piece else { continue };
        if expansion(inside, at).is_ok() {
            let message = format!("macro `%{{{}}}` in {where_}, where macros are not expanded", excerpt(inside));
            let help = "compare with an operator that expands macros, such as `@streq`, `@contains` or `@within`";
            faults.push(Fault::new(MACRO_NOT_EXPANDED, at, message, help));
        }
    }
    if bytes.is_empty() { Text::default() } else { Text { parts: vec![TextPart::Literal(bytes.to_vec())] } }
}

enum Piece<'t> {
    Literal(&'t [u8]),
    /// What is between the braces, and where
    Macro(&'t [u8], usize),
}

/// Text, taken apart at what has the form of a macro.
struct Pieces<'t> {
    rest: &'t [u8],
    at: usize,
}

impl<'t> Iterator for Pieces<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        if self.rest.is_empty() {
            return None;
        }
        if let Some(inside) = macro_at_start(self.rest) {
            let at = self.at + 2;
            self.advance(inside.len() + 3);
            return Some(Piece::Macro(inside, at));
        }
        // to the next percent sign, the first byte left aside: it begins no macro
        let later = self.rest.get(1..).unwrap_or_default();
        let end = memchr::memchr(b'%', later).map_or(self.rest.len(), |found| found + 1);
        let literal = self.rest.get(..end).unwrap_or_default();
        self.advance(end);
        Some(Piece::Literal(literal))
    }
}

impl Pieces<'_> {
    fn advance(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
        self.at += count;
    }
}

fn macro_at_start(text: &[u8]) -> Option<&[u8]> {
    let after = text.strip_prefix(b"%{")?;
    if !after.first()?.is_ascii_alphabetic() {
        return None;
    }
    let window = after.get(..MACRO_BYTES_MAX).unwrap_or(after);
    window.get(..memchr::memchr(b'}', window)?)
}

/// What `%{inside}` names.
fn expansion(inside: &[u8], at: usize) -> Result<(Variable, Option<String>), Fault> {
    let shown = excerpt(inside);
    let help = "write `%{VARIABLE}` or `%{COLLECTION.member}`";
    let Ok(inside) = std::str::from_utf8(inside) else {
        return Err(Fault::new(UNKNOWN_VARIABLE, at, format!("macro `%{{{shown}}}` names no variable"), help));
    };
    let (name, member) = match inside.split_once(['.', ':']) {
        Some((name, member)) => (name, Some(member)),
        None => (inside, None),
    };
    let variable = variable(name, at)?;
    if member.is_some_and(str::is_empty) || member.is_some() && !variable.is_collection() {
        let message = format!("macro `%{{{shown}}}`: `{}` has no such member", variable.name());
        return Err(Fault::new(NO_MEMBERS, at, message, help));
    }
    Ok((variable, member.map(str::to_owned)))
}

/// The variable of this name.
pub(super) fn variable(name: &str, at: usize) -> Result<Variable, Fault> {
    if let Some(variable) = Variable::of_name(name) {
        return Ok(variable);
    }
    let shown = excerpt(name);
    if let Some((_, help)) = UNSUPPORTED_VARIABLES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return Err(Fault::new(UNSUPPORTED_VARIABLE, at, format!("variable `{shown}` is not supported"), *help));
    }
    let known = Variable::ALL.iter().map(|variable| variable.name());
    let help = suggestion(name, known, "variables are listed in the ModSecurity reference manual");
    Err(Fault::new(UNKNOWN_VARIABLE, at, format!("unknown variable `{shown}`"), help))
}

/// Checks a regular expression that selects names, tags or messages.
pub(super) fn pattern(pattern: &str, at: usize, faults: &mut Vec<Fault>) {
    if let Err(fault) = operator::hir(pattern.as_bytes()) {
        let message = format!("pattern `{}`: {}", excerpt(pattern), fault.message);
        faults.push(Fault::new(MALFORMED_PATTERN, at, message, fault.help));
    }
}

/// Rule ids and ranges of them, apart by blanks or commas: `1,5-9 12`.
pub(super) fn id_ranges(text: &str, at: usize, faults: &mut Vec<Fault>) -> Vec<IdRange> {
    let mut ranges = Vec::new();
    let mut next = at;
    for word in text.split(|c: char| c.is_ascii_whitespace() || c == ',') {
        let at = next;
        next += word.len() + 1;
        match id_range(word) {
            _ if word.is_empty() => {}
            Some(range) if ranges.len() < ID_RANGES_MAX => ranges.push(range),
            Some(_) => {
                let message = format!("more than {ID_RANGES_MAX} rule ids in one list");
                faults.push(Fault::new(TOO_LARGE, at, message, "write ranges, or several directives"));
                break;
            }
            None => {
                let message = format!("`{}` is neither a rule id nor a range of them", excerpt(word));
                faults.push(Fault::new(MALFORMED_IDS, at, message, "write ids such as `942100` or `942100-942199`"));
            }
        }
    }
    if text.bytes().all(|byte| byte.is_ascii_whitespace() || byte == b',') {
        faults.push(Fault::new(MALFORMED_IDS, at, "a rule id is missing", "write an id such as `942100`"));
    }
    ranges
}

fn id_range(word: &str) -> Option<IdRange> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let range = IdRange { first: number(first)?, last: number(last)? };
    (range.first <= range.last).then_some(range)
}

/// A number of digits alone; `str::parse` would take a sign.
pub(super) fn number<N: std::str::FromStr>(digits: &str) -> Option<N> {
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}
