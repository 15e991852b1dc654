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

/// LIMIT: faulty macros that are told of one text, since looking for near names takes its time.
const MACRO_FAULTS_MAX: usize = 20;

/// LIMIT: ranges in one list of rule ids; the longest lists of exclusions have some dozens.
const ID_RANGES_MAX: usize = 10_000;

/// Text with its macros. What only looks like one, such as `%{2}`, stays text; one of an unknown variable is a fault.
pub(super) fn text(bytes: &[u8], at: usize, faults: &mut Vec<Fault>) -> Text {
    let (text, refused) = assemble(bytes, at);
    faults.extend(refused.into_iter().take(MACRO_FAULTS_MAX).map(Refused::into_fault));
    text
}

/// The text of a pattern: what names no variable belongs to the pattern.
pub(super) fn pattern_text(bytes: &[u8]) -> Text {
    assemble(bytes, 0).0
}

/// The text with macros that name a variable, and those that do not, which are left in it as they are.
fn assemble(bytes: &[u8], at: usize) -> (Text, Vec<Refused<'_>>) {
    let mut text = Text::default();
    let mut refused = Vec::new();
    let mut literal = Vec::new();
    for piece in (Pieces { rest: bytes, at }) {
        let (inside, at) = match piece {
            Piece::Literal(bytes) => {
                literal.extend_from_slice(bytes);
                continue;
            }
            Piece::Macro(inside, at) => (inside, at),
        };
        match expansion(inside) {
            Ok((variable, member)) => {
                if !literal.is_empty() {
                    text.parts.push(TextPart::Literal(std::mem::take(&mut literal)));
                }
                text.parts.push(TextPart::Macro(variable, member));
            }
            Err(why) => {
                literal.extend_from_slice(b"%{");
                literal.extend_from_slice(inside);
                literal.push(b'}');
                refused.push(Refused { inside, at, why });
            }
        }
    }
    if !literal.is_empty() {
        text.parts.push(TextPart::Literal(literal));
    }
    (text, refused)
}

/// Text in which macros are not expanded. One that names a variable is a fault: it would never be what was meant.
pub(super) fn literal(bytes: &[u8], at: usize, place: &str, faults: &mut Vec<Fault>) -> Text {
    let macros = Pieces { rest: bytes, at }.filter_map(|piece| match piece {
        Piece::Macro(inside, at) if expansion(inside).is_ok() => Some((inside, at)),
        Piece::Macro(..) | Piece::Literal(_) => None,
    });
    faults.extend(macros.take(MACRO_FAULTS_MAX).map(|(inside, at)| {
        let message = format!("macro `%{{{}}}` in {place}, where macros are not expanded", excerpt(inside));
        let help = "compare with an operator that expands macros, such as `@streq`, `@contains` or `@within`";
        Fault::new(MACRO_NOT_EXPANDED, at, message, help)
    }));
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

/// What has the form of a macro and is none. Told only where that is a fault, since patterns may be full of them.
struct Refused<'t> {
    inside: &'t [u8],
    at: usize,
    why: Why,
}

enum Why {
    NoVariable,
    /// The variable has no member of this name, or none at all
    NoMember(Variable),
}

/// What `%{inside}` names.
fn expansion(inside: &[u8]) -> Result<(Variable, Option<String>), Why> {
    let inside = std::str::from_utf8(inside).map_err(|_| Why::NoVariable)?;
    let (name, member) = member_of(inside);
    let variable = Variable::of_name(name).ok_or(Why::NoVariable)?;
    if member.is_some_and(|member| member.is_empty() || !variable.is_collection()) {
        return Err(Why::NoMember(variable));
    }
    Ok((variable, member.map(str::to_owned)))
}

/// `COLLECTION.member`; ModSecurity 3 takes a colon too.
fn member_of(inside: &str) -> (&str, Option<&str>) {
    match inside.split_once(['.', ':']) {
        Some((name, member)) => (name, Some(member)),
        None => (inside, None),
    }
}

impl Refused<'_> {
    fn into_fault(self) -> Fault {
        let shown = excerpt(self.inside);
        let help = "write `%{VARIABLE}` or `%{COLLECTION.member}`";
        match (self.why, std::str::from_utf8(self.inside)) {
            (Why::NoMember(variable), _) => {
                let message = format!("macro `%{{{shown}}}`: `{}` has no such member", variable.name());
                Fault::new(NO_MEMBERS, self.at, message, help)
            }
            (Why::NoVariable, Ok(inside)) => no_variable(member_of(inside).0, self.at),
            (Why::NoVariable, Err(_)) => {
                Fault::new(UNKNOWN_VARIABLE, self.at, format!("macro `%{{{shown}}}` names no variable"), help)
            }
        }
    }
}

/// The variable of this name.
pub(super) fn variable(name: &str, at: usize) -> Result<Variable, Fault> {
    Variable::of_name(name).ok_or_else(|| no_variable(name, at))
}

fn no_variable(name: &str, at: usize) -> Fault {
    let shown = excerpt(name);
    if let Some((_, help)) = UNSUPPORTED_VARIABLES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return Fault::new(UNSUPPORTED_VARIABLE, at, format!("variable `{shown}` is not supported"), *help);
    }
    let known = Variable::ALL.iter().map(|variable| variable.name());
    let help = suggestion(name, known, "variables are listed in the ModSecurity reference manual");
    Fault::new(UNKNOWN_VARIABLE, at, format!("unknown variable `{shown}`"), help)
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
    let words = text.split(|c: char| c.is_ascii_whitespace() || c == ',');
    for (count, word) in words.enumerate() {
        let at = next;
        next += word.len() + 1;
        if count >= ID_RANGES_MAX {
            let message = format!("more than {ID_RANGES_MAX} rule ids in one list");
            faults.push(Fault::new(TOO_LARGE, at, message, "write ranges, or several directives"));
            break;
        }
        match id_range(word) {
            _ if word.is_empty() => {}
            Some(range) => ranges.push(range),
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
