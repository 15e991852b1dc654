//! The list of a rule's actions: `id:1,phase:2,t:none,setvar:'tx.score=+%{tx.critical}'`.
//!
//! Commas part actions, blanks around them mean nothing. A value in `'` may hold commas; in it `\'` is a quote.

use std::borrow::Cow;

use super::control;
use super::names::UNSUPPORTED_ACTIONS;
use super::report::{
    Fault, MALFORMED_ACTION, REPEATED_ACTION, TEXT_AFTER_QUOTE, TOO_LARGE, UNCLOSED_QUOTE, UNKNOWN_ACTION,
    UNKNOWN_TRANSFORMATION, UNSUPPORTED_ACTION, excerpt, suggestion,
};
use super::store;
use super::text;
use crate::Transform;
use crate::ast::{Action, AllowScope, Disruptive, Text};

/// LIMIT: actions of one rule; the longest of the Core Rule Set have about 40.
const ACTIONS_MAX: usize = 1_024;

/// An action and where it is written.
pub(super) type Placed = (usize, Action);

/// An action as written.
pub(super) struct Written<'t> {
    /// Before the colon
    pub(super) name: &'t str,
    /// Where the name begins
    pub(super) at: usize,
    /// After the colon, without its quotes
    pub(super) value: Option<Cow<'t, str>>,
    /// Where the value begins
    pub(super) value_at: usize,
}

/// How an action's value is read.
enum Takes {
    Nothing(fn() -> Action),
    /// From, to
    Number(u32, u32, fn(u32) -> Action),
    Text(fn(Text) -> Action),
    Word(fn(String) -> Action),
    Own(fn(&Written<'_>, &mut Vec<Fault>) -> Option<Action>),
}

const ACTIONS: &[(&str, Takes)] = &[
    ("accuracy", Takes::Number(1, 9, |value| Action::Accuracy(small(value)))),
    ("allow", Takes::Own(allow)),
    ("auditlog", Takes::Nothing(|| Action::AuditLog(true))),
    ("block", Takes::Nothing(|| Action::Disruptive(Disruptive::Block))),
    ("capture", Takes::Nothing(|| Action::Capture)),
    ("chain", Takes::Nothing(|| Action::Chain)),
    ("ctl", Takes::Own(control::control)),
    ("deny", Takes::Nothing(|| Action::Disruptive(Disruptive::Deny))),
    ("deprecatevar", Takes::Own(store::deprecate_var)),
    ("drop", Takes::Nothing(|| Action::Disruptive(Disruptive::Drop))),
    ("expirevar", Takes::Own(store::expire_var)),
    ("id", Takes::Number(1, u32::MAX, Action::Id)),
    ("initcol", Takes::Own(store::init_collection)),
    ("log", Takes::Nothing(|| Action::Log(true))),
    ("logdata", Takes::Text(Action::LogData)),
    ("maturity", Takes::Number(1, 9, |value| Action::Maturity(small(value)))),
    ("msg", Takes::Text(Action::Message)),
    ("multiMatch", Takes::Nothing(|| Action::MultiMatch)),
    ("noauditlog", Takes::Nothing(|| Action::AuditLog(false))),
    ("nolog", Takes::Nothing(|| Action::Log(false))),
    ("pass", Takes::Nothing(|| Action::Disruptive(Disruptive::Pass))),
    ("phase", Takes::Own(phase)),
    ("redirect", Takes::Text(|to| Action::Disruptive(Disruptive::Redirect(to)))),
    ("rev", Takes::Word(Action::Revision)),
    ("sanitiseArg", Takes::Own(sanitise)),
    ("sanitiseMatched", Takes::Own(sanitise)),
    ("sanitiseRequestHeader", Takes::Own(sanitise)),
    ("sanitiseResponseHeader", Takes::Own(sanitise)),
    ("sanitizeArg", Takes::Own(sanitise)),
    ("sanitizeMatched", Takes::Own(sanitise)),
    ("sanitizeRequestHeader", Takes::Own(sanitise)),
    ("sanitizeResponseHeader", Takes::Own(sanitise)),
    ("setrsc", Takes::Own(store::set_resource)),
    ("setsid", Takes::Own(store::set_session)),
    ("setuid", Takes::Own(store::set_user)),
    ("setvar", Takes::Own(store::set_var)),
    ("severity", Takes::Own(severity)),
    ("skip", Takes::Number(1, u32::MAX, Action::Skip)),
    ("skipAfter", Takes::Word(Action::SkipAfter)),
    ("status", Takes::Number(100, 599, |value| Action::Status(u16::try_from(value).unwrap_or(u16::MAX)))),
    ("t", Takes::Own(transformation)),
    ("tag", Takes::Text(Action::Tag)),
    ("ver", Takes::Word(Action::Version)),
    ("xmlns", Takes::Own(xml_namespace)),
];

/// By number.
const SEVERITIES: [&str; 8] = ["EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"];

/// Reads a list of actions.
pub(super) fn actions(list: &str, faults: &mut Vec<Fault>) -> Vec<Placed> {
    let mut actions: Vec<Placed> = Vec::new();
    let mut offset = 0;
    let mut count = 0_usize;
    while let Some((written, end)) = next(list, offset) {
        offset = end;
        count += 1;
        if count > ACTIONS_MAX {
            let message = format!("more than {ACTIONS_MAX} actions in one rule");
            faults.push(Fault::new(TOO_LARGE, offset, message, "share them out to several rules"));
            break;
        }
        match written {
            Ok(written) => {
                if let Some(action) = action(&written, faults) {
                    actions.push((written.at, action));
                }
            }
            Err(fault) => faults.push(fault),
        }
    }
    last_of_each(actions, faults)
}

/// The action that begins at or after `start`, and where it ends.
fn next(list: &str, start: usize) -> Option<(Result<Written<'_>, Fault>, usize)> {
    let rest = list.get(start..)?;
    let trimmed = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
    if trimmed.is_empty() {
        return None;
    }
    let at = list.len() - trimmed.len();
    let name_end = trimmed.find([':', ',']).unwrap_or(trimmed.len());
    let (name, tail) = trimmed.split_at_checked(name_end)?;
    let name = name.trim_ascii();
    let Some(after) = tail.strip_prefix(':') else {
        return Some((Ok(Written { name, at, value: None, value_at: at }), at + name_end));
    };
    let value = after.trim_ascii_start();
    let value_at = list.len() - value.len();
    if let Some(inside) = value.strip_prefix('\'') {
        let (value, length) = match quoted(inside) {
            Ok(quoted) => quoted,
            Err(()) => {
                let message = format!("the quote of `{}` is not closed", excerpt(trimmed));
                let fault = Fault::new(UNCLOSED_QUOTE, value_at, message, "write `'` at the end of the value");
                return Some((Err(fault), list.len()));
            }
        };
        let value_at = value_at + 1;
        let end = value_at + length + 1;
        let behind = list.get(end..).unwrap_or_default();
        let behind = behind.get(..behind.find(',').unwrap_or(behind.len())).unwrap_or_default();
        if !behind.trim_ascii().is_empty() {
            let message = format!("text follows the closing quote of `{}`: `{}`", excerpt(name), excerpt(behind));
            let help = "write a backslash before a quote that belongs to the text, and a comma between actions";
            return Some((Err(Fault::new(TEXT_AFTER_QUOTE, end, message, help)), end + behind.len()));
        }
        return Some((Ok(Written { name, at, value: Some(value), value_at }), end + behind.len()));
    }
    let value_end = value.find(',').unwrap_or(value.len());
    let value = value.get(..value_end).unwrap_or_default().trim_ascii_end();
    Some((Ok(Written { name, at, value: Some(Cow::Borrowed(value)), value_at }), value_at + value_end))
}

/// The value before the closing quote, and how many bytes it has as written.
fn quoted(inside: &str) -> Result<(Cow<'_, str>, usize), ()> {
    let mut is_escaped = false;
    let end = inside.find(|c| {
        let is_end = c == '\'' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    });
    let value = end.and_then(|end| inside.get(..end)).ok_or(())?;
    let unescaped = if value.contains("\\'") { Cow::Owned(value.replace("\\'", "'")) } else { Cow::Borrowed(value) };
    Ok((unescaped, value.len()))
}

fn action(written: &Written<'_>, faults: &mut Vec<Fault>) -> Option<Action> {
    let Some((name, takes)) = ACTIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(written.name)) else {
        faults.push(unknown(written));
        return None;
    };
    let value = written.value.as_deref().unwrap_or_default();
    match takes {
        Takes::Nothing(make) if written.value.is_none() => return Some(make()),
        Takes::Nothing(_) => faults.push(written.malformed(format!("`{name}` takes no value"), "leave out the colon")),
        Takes::Own(read) => return read(written, faults),
        Takes::Number(..) | Takes::Text(_) | Takes::Word(_) if value.is_empty() => {
            faults.push(written.malformed(format!("`{name}` has no value"), "write it after a colon"));
        }
        Takes::Number(min, max, make) => match text::number(value) {
            Some(number) if (*min..=*max).contains(&number) => return Some(make(number)),
            _ => {
                let message = format!("`{name}:{}` is not a number from {min} to {max}", excerpt(value));
                faults.push(written.malformed(message, "write digits alone, and a comma after them"));
            }
        },
        Takes::Text(make) => return Some(make(text::text(value.as_bytes(), written.value_at, faults))),
        Takes::Word(make) => {
            text::literal(value.as_bytes(), written.value_at, &format!("`{name}`"), faults);
            return Some(make(value.to_owned()));
        }
    }
    None
}

fn unknown(written: &Written<'_>) -> Fault {
    let shown = excerpt(written.name);
    let is_unsupported = |(name, _): &&(&str, &str)| name.eq_ignore_ascii_case(written.name);
    if let Some((_, help)) = UNSUPPORTED_ACTIONS.iter().find(is_unsupported) {
        return Fault::new(UNSUPPORTED_ACTION, written.at, format!("action `{shown}` is not supported"), *help);
    }
    let help = if written.name.starts_with('#') {
        "a comment cannot stand inside a continued line; move it above the rule".to_owned()
    } else {
        let known = ACTIONS.iter().map(|(name, _)| *name);
        suggestion(written.name, known, "actions stand apart by commas; a value with commas needs `'` around it")
    };
    Fault::new(UNKNOWN_ACTION, written.at, format!("unknown action `{shown}`"), help)
}

impl Written<'_> {
    /// A fault of the value.
    pub(super) fn malformed(&self, message: impl Into<String>, help: impl Into<String>) -> Fault {
        Fault::new(MALFORMED_ACTION, self.value_at, message, help)
    }

    /// The value; without one, a fault with this help.
    pub(super) fn some_value(&self, help: &str, faults: &mut Vec<Fault>) -> Option<&str> {
        let value = self.value.as_deref().filter(|value| !value.is_empty());
        if value.is_none() {
            faults.push(self.malformed(format!("`{}` has no value", excerpt(self.name)), help));
        }
        value
    }
}

fn small(value: u32) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

fn allow(written: &Written<'_>, faults: &mut Vec<Fault>) -> Option<Action> {
    let scope = match written.value.as_deref() {
        None => AllowScope::All,
        Some(value) if value.eq_ignore_ascii_case("phase") => AllowScope::Phase,
        Some(value) if value.eq_ignore_ascii_case("request") => AllowScope::Request,
        Some(value) => {
            let message = format!("`allow:{}` is not known", excerpt(value));
            faults.push(written.malformed(message, "write `allow`, `allow:phase` or `allow:request`"));
            return None;
        }
    };
    Some(Action::Disruptive(Disruptive::Allow(scope)))
}

fn phase(written: &Written<'_>, faults: &mut Vec<Fault>) -> Option<Action> {
    const HELP: &str = "write 1 to 5, `request`, `response` or `logging`";
    let value = written.some_value(HELP, faults)?;
    let phase = match value.to_ascii_lowercase().as_str() {
        "request" => Some(2),
        "response" => Some(4),
        "logging" => Some(5),
        digits => text::number(digits).filter(|phase| (1..=5).contains(phase)),
    };
    if phase.is_none() {
        faults.push(written.malformed(format!("`phase:{}` is no phase", excerpt(value)), HELP));
    }
    phase.map(Action::Phase)
}

fn severity(written: &Written<'_>, faults: &mut Vec<Fault>) -> Option<Action> {
    let known = SEVERITIES.iter().copied();
    let value = written.some_value("write 0 to 7, or a word such as `CRITICAL`", faults)?;
    let named = SEVERITIES.iter().position(|name| name.eq_ignore_ascii_case(value));
    let number = named.or_else(|| text::number(value).filter(|number| *number < SEVERITIES.len()));
    if number.is_none() {
        let help = suggestion(value, known, "write 0 to 7, or a word from `EMERGENCY` to `DEBUG`");
        faults.push(written.malformed(format!("`severity:{}` is no severity", excerpt(value)), help));
    }
    number.and_then(|number| u8::try_from(number).ok()).map(Action::Severity)
}

fn transformation(written: &Written<'_>, faults: &mut Vec<Fault>) -> Option<Action> {
    let value = written.some_value("write the name of a transformation, such as `t:lowercase`", faults)?;
    if value.eq_ignore_ascii_case("none") {
        return Some(Action::TransformNone);
    }
    let transform = Transform::of_name(value);
    if transform.is_none() {
        let known = Transform::ALL.iter().map(|transform| transform.name());
        let help = suggestion(value, known, "transformations are listed in the ModSecurity reference manual");
        let message = format!("unknown transformation `t:{}`", excerpt(value));
        faults.push(Fault::new(UNKNOWN_TRANSFORMATION, written.value_at, message, help));
    }
    transform.map(Action::Transform)
}

/// `sanitiseArg:password` gives `sanitiseArg:password`, however its name was written.
fn sanitise(written: &Written<'_>, faults: &mut Vec<Fault>) -> Option<Action> {
    let name = written.name.to_ascii_lowercase().replace('z', "s");
    let name = ["sanitiseArg", "sanitiseRequestHeader", "sanitiseResponseHeader"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(&name));
    match (name, written.value.as_deref()) {
        (None, None) => Some(Action::Sanitise("sanitiseMatched".to_owned())),
        (None, Some(_)) => {
            faults.push(written.malformed("`sanitiseMatched` takes no value", "leave out the colon"));
            None
        }
        (Some(name), _) => {
            let value = written.some_value("name the argument or header that is to be masked", faults)?;
            Some(Action::Sanitise(format!("{name}:{value}")))
        }
    }
}

fn xml_namespace(written: &Written<'_>, faults: &mut Vec<Fault>) -> Option<Action> {
    const HELP: &str =
        "write a prefix and its namespace, such as `xmlns:soap=http://schemas.xmlsoap.org/soap/envelope/`";
    let value = written.some_value(HELP, faults)?;
    match value.split_once('=') {
        Some((prefix, namespace)) if !prefix.trim_ascii().is_empty() && !namespace.trim_ascii().is_empty() => {
            let namespace = namespace.trim_ascii().trim_matches('"').to_owned();
            Some(Action::XmlNamespace(prefix.trim_ascii().to_owned(), namespace))
        }
        _ => {
            faults.push(written.malformed(format!("`xmlns:{}` has no namespace", excerpt(value)), HELP));
            None
        }
    }
}

/// Of actions that a rule has once, the last: as in ModSecurity, and with a warning, since two of them are a mistake.
fn last_of_each(actions: Vec<Placed>, faults: &mut Vec<Fault>) -> Vec<Placed> {
    let mut seen = Vec::new();
    let mut kept: Vec<Placed> = Vec::with_capacity(actions.len());
    for (at, action) in actions.into_iter().rev() {
        let kind = std::mem::discriminant(&action);
        if is_single(&action) {
            if seen.contains(&kind) {
                let message = "an action of this kind follows, and only the last one counts";
                faults.push(Fault::new(REPEATED_ACTION, at, message, "take one of them out"));
                continue;
            }
            seen.push(kind);
        }
        kept.push((at, action));
    }
    kept.reverse();
    kept
}

fn is_single(action: &Action) -> bool {
    match action {
        Action::Id(_)
        | Action::Phase(_)
        | Action::Disruptive(_)
        | Action::Status(_)
        | Action::Log(_)
        | Action::AuditLog(_)
        | Action::Capture
        | Action::MultiMatch
        | Action::Chain
        | Action::Skip(_)
        | Action::SkipAfter(_)
        | Action::Message(_)
        | Action::LogData(_)
        | Action::Severity(_)
        | Action::Version(_)
        | Action::Revision(_)
        | Action::Maturity(_)
        | Action::Accuracy(_) => true,
        Action::Tag(_)
        | Action::Transform(_)
        | Action::TransformNone
        | Action::SetVar(_)
        | Action::InitCollection(..)
        | Action::SetKey(..)
        | Action::ExpireVar(..)
        | Action::DeprecateVar(..)
        | Action::Ctl(_)
        | Action::Sanitise(_)
        | Action::XmlNamespace(..) => false,
    }
}
