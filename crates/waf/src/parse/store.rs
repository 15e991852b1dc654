//! Actions that write to collections: `setvar:`, `initcol:` and its like, `expirevar:`, `deprecatevar:`.

use super::action::Written;
use super::operator::is_integer;
use super::report::{Fault, USELESS_END, excerpt, suggestion};
use super::text;
use crate::ast::{Action, Change, SetVar, Text};

/// Collections that rules may write to.
const COLLECTIONS: [&str; 6] = ["tx", "ip", "global", "session", "user", "resource"];

/// `setvar:tx.a=1`, `setvar:'tx.a=+%{tx.b}'`, `setvar:!tx.a`.
pub(super) fn set_var(written: &Written<'_>, faults: &mut Vec<Fault>) -> Option<Action> {
    const HELP: &str = "write `setvar:tx.name=value`, `=+value`, `=-value` or `setvar:!tx.name`";
    let whole = written.some_value(HELP, faults)?;
    let (is_unset, target) = match whole.strip_prefix('!') {
        Some(target) => (true, target),
        None => (false, whole),
    };
    let (target, value) = match outside_macros(target, &['=']) {
        Some((target, value)) => (target, Some(value)),
        None => (target, None),
    };
    let (collection, name) = member(written, target, HELP, faults)?;
    let value_at = value.map_or(0, |value| written.value_at + whole.len() - value.len());
    let change = match value {
        Some(_) if is_unset => {
            let message = format!("`setvar:{}` both removes and sets", excerpt(whole));
            faults.push(written.malformed(message, HELP));
            return None;
        }
        None if is_unset => Change::Unset,
        None => Change::Set(text::text(b"1", 0, faults)),
        Some(value) => {
            if let Some(amount) = value.strip_prefix('+') {
                Change::Add(amount_of(written, amount, value_at, faults))
            } else if let Some(amount) = value.strip_prefix('-') {
                Change::Subtract(amount_of(written, amount, value_at, faults))
            } else {
                Change::Set(text::text(value.as_bytes(), value_at, faults))
            }
        }
    };
    Some(Action::SetVar(SetVar { collection, name, change }))
}

/// What is added, subtracted or waited for: a number, or text with macros.
fn amount_of(written: &Written<'_>, amount: &str, at: usize, faults: &mut Vec<Fault>) -> Text {
    let amount = amount.trim_ascii();
    let text = text::text(amount.as_bytes(), at, faults);
    if text.literal().is_some_and(|literal| !is_integer(literal)) {
        let message = format!("`{}` is not a number", excerpt(amount));
        faults.push(Fault { at, ..written.malformed(message, "write digits, or a macro such as `%{tx.score}`") });
    }
    text
}

/// `initcol:ip=%{remote_addr}`.
pub(super) fn init_collection(written: &Written<'_>, faults: &mut Vec<Fault>) -> Option<Action> {
    const HELP: &str = "write a collection and its key, such as `initcol:ip=%{REMOTE_ADDR}`";
    let whole = written.some_value(HELP, faults)?;
    let Some((name, key)) = whole.split_once('=').filter(|(_, key)| !key.trim_ascii().is_empty()) else {
        faults.push(written.malformed(format!("`initcol:{}` has no key", excerpt(whole)), HELP));
        return None;
    };
    let collection = collection(written, name, faults)?;
    if collection == "tx" {
        let message = "`tx` lives as long as one exchange and takes no key";
        faults.push(written.malformed(message, "take it out, or name another collection"));
        return None;
    }
    let at = written.value_at + whole.len() - key.len();
    Some(Action::InitCollection(collection, text::text(key.trim_ascii().as_bytes(), at, faults)))
}

/// `expirevar:ip.name=60`.
pub(super) fn expire_var(written: &Written<'_>, faults: &mut Vec<Fault>) -> Option<Action> {
    const HELP: &str = "write a member and its seconds, such as `expirevar:ip.blocked=60`";
    let whole = written.some_value(HELP, faults)?;
    let parts = outside_macros(whole, &['=']).filter(|(_, seconds)| !seconds.trim_ascii().is_empty());
    let Some((target, seconds)) = parts else {
        faults.push(written.malformed(format!("`expirevar:{}` has no seconds", excerpt(whole)), HELP));
        return None;
    };
    let (collection, name) = lasting_member(written, target, HELP, faults)?;
    let at = written.value_at + whole.len() - seconds.len();
    let seconds = amount_of(written, seconds, at, faults);
    Some(Action::ExpireVar(collection, name, seconds))
}

/// `deprecatevar:ip.score=60/300`.
pub(super) fn deprecate_var(written: &Written<'_>, faults: &mut Vec<Fault>) -> Option<Action> {
    const HELP: &str =
        "write a member, how much it loses and in how many seconds, such as `deprecatevar:ip.score=60/300`";
    let whole = written.some_value(HELP, faults)?;
    let parts = outside_macros(whole, &['=']).and_then(|(target, rate)| {
        let (amount, seconds) = outside_macros(rate, &['/'])?;
        let is_whole = !amount.trim_ascii().is_empty() && !seconds.trim_ascii().is_empty();
        is_whole.then_some((target, amount, seconds))
    });
    let Some((target, amount, seconds)) = parts else {
        faults.push(written.malformed(format!("`deprecatevar:{}` has no amount or no seconds", excerpt(whole)), HELP));
        return None;
    };
    let (collection, name) = lasting_member(written, target, HELP, faults)?;
    let end = written.value_at + whole.len();
    let amount = amount_of(written, amount, end - seconds.len() - 1 - amount.len(), faults);
    let seconds = amount_of(written, seconds, end - seconds.len(), faults);
    Some(Action::DeprecateVar(collection, name, amount, seconds))
}

/// `setsid:%{REQUEST_COOKIES.sid}`.
pub(super) fn set_session(written: &Written<'_>, faults: &mut Vec<Fault>) -> Option<Action> {
    set_key("session", written, faults)
}

/// `setuid:%{ARGS.username}`.
pub(super) fn set_user(written: &Written<'_>, faults: &mut Vec<Fault>) -> Option<Action> {
    set_key("user", written, faults)
}

/// `setrsc:%{REQUEST_FILENAME}`.
pub(super) fn set_resource(written: &Written<'_>, faults: &mut Vec<Fault>) -> Option<Action> {
    set_key("resource", written, faults)
}

fn set_key(collection: &str, written: &Written<'_>, faults: &mut Vec<Fault>) -> Option<Action> {
    let key = written.some_value("write the key, such as `%{REQUEST_COOKIES.sid}`", faults)?;
    Some(Action::SetKey(collection.to_owned(), text::text(key.as_bytes(), written.value_at, faults)))
}

/// As [`member`]; one of `tx`, which does not outlive the exchange, is worth a warning.
fn lasting_member(written: &Written<'_>, target: &str, help: &str, faults: &mut Vec<Fault>) -> Option<(String, Text)> {
    let (collection, name) = member(written, target, help, faults)?;
    if collection == "tx" {
        let message = format!("`{}:{}` does nothing: `tx` ends with the exchange", written.name, excerpt(target));
        faults.push(Fault::new(USELESS_END, written.at, message, "take it out, or name another collection"));
    }
    Some((collection, name))
}

/// `tx.name`: the collection in lower case, and the name, which may hold macros.
fn member(written: &Written<'_>, target: &str, help: &str, faults: &mut Vec<Fault>) -> Option<(String, Text)> {
    let parts = outside_macros(target, &['.', ':']).filter(|(_, name)| !name.trim_ascii().is_empty());
    let Some((collection_name, name)) = parts else {
        let message = format!("`{}` names no member of a collection", excerpt(target));
        faults.push(written.malformed(message, help));
        return None;
    };
    let collection = collection(written, collection_name, faults)?;
    Some((collection, text::text(name.trim_ascii().as_bytes(), written.value_at, faults)))
}

fn collection(written: &Written<'_>, name: &str, faults: &mut Vec<Fault>) -> Option<String> {
    let name = name.trim_ascii();
    let known = COLLECTIONS.iter().find(|known| known.eq_ignore_ascii_case(name));
    if known.is_none() {
        let help = suggestion(name, COLLECTIONS, "the collections are tx, ip, global, session, user and resource");
        faults.push(written.malformed(format!("no rule can write to collection `{}`", excerpt(name)), help));
    }
    known.map(|known| (*known).to_owned())
}

/// What is before and after the first of `marks` that is not inside `%{…}`.
fn outside_macros<'t>(text: &'t str, marks: &[char]) -> Option<(&'t str, &'t str)> {
    let mut is_inside = false;
    let mut last = ' ';
    let found = text.find(|c| {
        is_inside = (is_inside || last == '%' && c == '{') && c != '}';
        last = c;
        !is_inside && marks.contains(&c)
    })?;
    Some((text.get(..found)?, text.get(found + 1..)?))
}
