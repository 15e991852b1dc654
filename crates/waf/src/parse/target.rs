//! A list of variables: `ARGS|!ARGS:password|&REQUEST_HEADERS:Host|TX:/^score_/|XML:/*`.
//!
//! `|` parts items, and `,` does, as in ModSecurity 2. A selector in `'` may hold both. One in slashes is a regular
//! expression and goes to the first slash without a backslash; only for `XML` is a selector an XPath expression, in
//! which slashes are nothing special.

use super::report::{Fault, MALFORMED_TARGET, NO_MEMBERS, TOO_LARGE, excerpt};
use super::text;
use crate::Variable;
use crate::ast::{Selector, Target};

/// LIMIT: items of one list; rules with long exclusion lists have some dozens.
const TARGETS_MAX: usize = 1_024;

/// Reads a list that begins at offset `at`.
pub(super) fn targets(list: &str, at: usize, faults: &mut Vec<Fault>) -> Vec<Target> {
    let mut targets = Vec::new();
    let mut rest = list;
    let mut is_more = true;
    let mut count = 0_usize;
    while is_more {
        let at = at + list.len() - rest.len();
        if count >= TARGETS_MAX {
            let message = format!("more than {TARGETS_MAX} variables in one list");
            faults.push(Fault::new(TOO_LARGE, at, message, "share them out to several rules"));
            break;
        }
        count += 1;
        let item = item(rest);
        match target(&item, at) {
            Ok(target) => {
                let at = at + item.head.len() + 1;
                match &target.selector {
                    Selector::All => {}
                    Selector::Regex(pattern) => text::pattern(pattern, at, faults),
                    Selector::Name(name) => {
                        text::literal(name.as_bytes(), at, "the name of a member", faults);
                    }
                }
                targets.push(target);
            }
            Err(fault) => {
                faults.push(fault);
                if item.is_broken {
                    break; // what follows an open quote or pattern would only give faults that are none
                }
            }
        }
        is_more = item.is_followed;
        rest = item.rest;
    }
    targets
}

/// An item as written.
struct Item<'t> {
    /// With `!` and `&`, before the colon
    head: &'t str,
    /// After the colon, with its quotes
    selector: Option<Written<'t>>,
    /// After the separator
    rest: &'t str,
    /// Whether there was one
    is_followed: bool,
    /// An open quote or pattern, or text after its end
    is_broken: bool,
}

/// A selector as written.
enum Written<'t> {
    Plain(&'t str),
    /// In `'`
    Quoted(&'t str),
    /// In slashes
    Regex(&'t str),
}

fn item(text: &str) -> Item<'_> {
    let end = text.find(['|', ',', ':']).unwrap_or(text.len());
    let (head, tail) = split(text, end);
    let Some(selector) = tail.strip_prefix(':') else {
        return Item { head, selector: None, rest: skip_one(tail), is_followed: !tail.is_empty(), is_broken: false };
    };
    let is_xml = name_of(head).eq_ignore_ascii_case(Variable::Xml.name());
    let (written, tail) = if let Some(inside) = selector.strip_prefix('\'') {
        match closing(inside, '\'') {
            Some((inside, tail)) => (Written::Quoted(inside), tail),
            None => (Written::Plain(selector), "'"),
        }
    } else if let Some(inside) = selector.strip_prefix('/').filter(|_| !is_xml) {
        match closing(inside, '/') {
            Some((inside, tail)) if tail.is_empty() || tail.starts_with(['|', ',']) => (Written::Regex(inside), tail),
            _ => (Written::Plain(selector), "/"),
        }
    } else {
        // a comma is part of an XPath expression
        let end = selector.find(|c| c == '|' || c == ',' && !is_xml).unwrap_or(selector.len());
        let (inside, tail) = split(selector, end);
        (Written::Plain(inside), tail)
    };
    let is_followed = tail.starts_with(['|', ',']);
    let is_broken = !is_followed && !tail.is_empty();
    Item { head, selector: Some(written), rest: skip_one(tail), is_followed, is_broken }
}

/// What is before the first `mark` without a backslash, and what is after it.
fn closing(text: &str, mark: char) -> Option<(&str, &str)> {
    let mut is_escaped = false;
    let end = text.find(|c| {
        let is_end = c == mark && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    })?;
    let (inside, tail) = split(text, end);
    Some((inside, skip_one(tail)))
}

fn target(item: &Item<'_>, at: usize) -> Result<Target, Fault> {
    let written = item.head.trim_ascii();
    let is_excluded = written.starts_with('!');
    let is_count = written.starts_with('&');
    let name = name_of(written);
    if name.is_empty() {
        let help = "write variables apart by `|`, such as `ARGS|REQUEST_HEADERS:User-Agent`";
        return Err(Fault::new(MALFORMED_TARGET, at, "the name of a variable is missing", help));
    }
    if name.starts_with(['!', '&']) {
        let message = format!("`{}` has more than one of `!` and `&`", excerpt(written));
        return Err(Fault::new(MALFORMED_TARGET, at, message, "`!` excludes a member, `&` counts members: write one"));
    }
    let variable = text::variable(name, at)?;
    let selector = match &item.selector {
        None => Selector::All,
        Some(written) => {
            if item.is_broken {
                return Err(broken(item, at));
            }
            selector(written, variable)
        }
    };
    if selector == Selector::Name(String::new()) || selector == Selector::Regex(String::new()) {
        let message = format!("`{}:` names no member", excerpt(name));
        return Err(Fault::new(MALFORMED_TARGET, at, message, "name one, or leave the colon out to mean all"));
    }
    if selector != Selector::All && !variable.is_collection() {
        let message = format!("`{}` has no members", variable.name());
        return Err(Fault::new(NO_MEMBERS, at, message, "leave out the colon and what follows it"));
    }
    Ok(Target { variable, selector, is_count, is_excluded })
}

fn selector(written: &Written<'_>, variable: Variable) -> Selector {
    match written {
        Written::Plain(name) => Selector::Name(name.trim_ascii().to_owned()),
        Written::Regex(pattern) => Selector::Regex((*pattern).to_owned()),
        Written::Quoted(text) => {
            let text = text.replace("\\'", "'");
            let inside = text.strip_prefix('/').and_then(|text| text.strip_suffix('/'));
            match inside {
                Some(pattern) if variable != Variable::Xml => Selector::Regex(pattern.to_owned()),
                _ => Selector::Name(text),
            }
        }
    }
}

fn broken(item: &Item<'_>, at: usize) -> Fault {
    let head = excerpt(item.head);
    match &item.selector {
        Some(Written::Plain(selector)) => {
            let message = format!("the quote or pattern of `{head}:{}` does not end", excerpt(selector));
            let help = "close it before `|` or the end; a slash inside a pattern needs a backslash";
            Fault::new(MALFORMED_TARGET, at, message, help)
        }
        Some(Written::Quoted(_) | Written::Regex(_)) | None => {
            let message = format!("text follows the quoted member of `{head}`");
            Fault::new(MALFORMED_TARGET, at, message, "write `|` between variables")
        }
    }
}

/// The name without a sign in front.
fn name_of(head: &str) -> &str {
    let head = head.trim_ascii();
    head.strip_prefix(['!', '&']).unwrap_or(head).trim_ascii()
}

fn split(text: &str, at: usize) -> (&str, &str) {
    text.split_at_checked(at).unwrap_or((text, ""))
}

/// Without the first character, which is ASCII.
fn skip_one(text: &str) -> &str {
    text.get(1..).unwrap_or_default()
}
