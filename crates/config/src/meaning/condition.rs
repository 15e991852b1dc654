//! Conditions in CEL: whether they parse, keep the bounds, and name only what there is.
//!
//! CEL has no loops but its macros (`all`, `exists`, `map`, …), so a condition's cost is its length times the lists that
//! it goes through. Its length, its depth, the number of macros and their nesting are bounded here; lists are bounded
//! where they come from (a token's claims, a query's parameters). Functions are an allowlist: the interpreter would
//! compile a regular expression anew for each request, so there is none.
//! Source: the CEL language definition, github.com/google/cel-spec.

use bartizan_model::{did_you_mean, excerpt, listed};
use cel::IdedExpr;
use cel::common::ast::{Expr, SourceInfo};
use cel::parser::Parser;

use super::Checker;
use crate::path::SettingPath;
use crate::report;

/// LIMIT: expressions within each other. The parser counts too, but builds without optimization overflow the stack of a
/// thread before it has counted to thirty, so that brackets and chains are counted before it sees them.
const DEPTH_MAX: u16 = 32;
/// LIMIT: brackets within each other; people lose count before.
const BRACKETS_MAX: usize = 5;
/// LIMIT: steps of one chain (`a.b.c + d < e`): each is a level of the parser's tree.
const STEPS_MAX: usize = 10;
/// LIMIT: choices (`a ? b : c`), each of which may stand in the other.
const CHOICES_MAX: usize = 4;
/// LIMIT: macros over lists in one condition.
const MACROS_MAX: usize = 4;
/// LIMIT: nodes of one condition, macros expanded.
const NODES_MAX: usize = 400;

/// What a condition is over, with the members of each; `None` = whatever there is.
const VARIABLES: [(&str, &[&str]); 4] = [
    ("request", &["method", "path", "host", "scheme", "time", "hour", "minute", "weekday"]),
    (
        "principal",
        &["authority", "subject", "application", "scopes", "roles", "groups", "claims", "credential", "strength"],
    ),
    ("client", &["address"]),
    ("parameters", &["path", "query"]),
];
/// What may be called, operators and the parts of macros included.
const FUNCTIONS: [&str; 25] = [
    "_&&_",
    "_||_",
    "!_",
    "_?_:_",
    "_==_",
    "_!=_",
    "_<_",
    "_<=_",
    "_>_",
    "_>=_",
    "_+_",
    "_-_",
    "_*_",
    "_/_",
    "_%_",
    "-_",
    "_[_]",
    "@in",
    "@not_strictly_false",
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "int",
    "inNetwork",
];
/// Those that people write by name.
const NAMED_FUNCTIONS: [&str; 6] = ["size", "contains", "startsWith", "endsWith", "int", "inNetwork"];

/// A node still to look at.
struct Open<'e> {
    node: &'e IdedExpr,
    /// What a macro around it binds
    bound: Option<[&'e str; 2]>,
}

/// Reports what is wrong with the condition at `at`.
pub(super) fn check(checker: &mut Checker<'_, '_>, at: &SettingPath, text: &str) {
    if let Some((message, help)) = shape_fault(text) {
        checker.error(at, report::MALFORMED_PATTERN, message.to_owned(), help);
        return;
    }
    let (root, source) = match Parser::new().max_recursion_depth(DEPTH_MAX).parse_with_source_info(text) {
        Ok(parsed) => parsed,
        Err(errors) => {
            for error in errors.errors.iter().take(3) {
                let (line, column) = error.pos;
                let place = if line > 1 { format!("line {line}, ") } else { String::new() };
                let message =
                    format!("the condition does not parse at its {place}character {column}: {}", excerpt(&error.msg));
                checker.error(at, report::MALFORMED_PATTERN, message, "mend it; conditions are written in CEL");
            }
            return;
        }
    };
    if let Some((message, help)) = fault(&root, &source) {
        checker.error(at, report::MALFORMED_PATTERN, message, help);
    }
}

/// What the parser must not see: what is nested too deep, and what would hide that from us.
fn shape_fault(text: &str) -> Option<(&'static str, &'static str)> {
    const DEEP: (&str, &str) =
        ("the condition is nested too deep, or has too long a chain", "split it over `&&`, or over several rules");
    const PLAIN: (&str, &str) = (
        "the condition has a comment or a string with a prefix or three quotes",
        "write plain strings: `'a'` or `\"a\"`",
    );
    let is_in = |word: &&str| *word == "in";
    if text.split(|letter: char| !letter.is_alphanumeric()).filter(is_in).count() > STEPS_MAX {
        return Some(DEEP);
    }
    let mut chains = [0; BRACKETS_MAX + 1]; // steps of the chain at each depth of brackets
    let (mut depth, mut choices): (usize, usize) = (0, 0);
    let (mut quote, mut last) = (None, ' ');
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if let Some(end) = quote {
            match letter {
                '\\' => _ = letters.next(),
                _ if letter == end => quote = None,
                _ => {}
            }
            last = letter;
            continue;
        }
        let Some(steps) = chains.get_mut(depth) else { return Some(DEEP) };
        match letter {
            '\'' | '"' if last == letter || last.is_alphanumeric() || last == '_' => return Some(PLAIN),
            '/' if last == '/' => return Some(PLAIN),
            '\'' | '"' => quote = Some(letter),
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '&' | '|' | ',' | ':' => *steps = 0,
            '?' => {
                *steps = 0;
                choices += 1;
            }
            '.' | '+' | '-' | '*' | '/' | '%' | '<' | '>' | '=' | '!' => *steps += 1,
            '(' | '[' | '{' => {
                *steps += 1;
                depth += 1;
                chains.iter_mut().skip(depth).for_each(|steps| *steps = 0);
            }
            _ => {}
        }
        if choices > CHOICES_MAX || chains.get(depth).is_none_or(|steps| *steps > STEPS_MAX) {
            return Some(DEEP);
        }
        last = letter;
    }
    None
}

/// What is wrong with a condition that parses, and what to do.
fn fault(root: &IdedExpr, source: &SourceInfo) -> Option<(String, String)> {
    let mut open = vec![Open { node: root, bound: None }];
    let (mut nodes, mut macros) = (0, 0);
    while let Some(Open { node, bound }) = open.pop() {
        nodes += 1;
        if nodes > NODES_MAX {
            return Some((
                "the condition is too long to be computed for each request".to_owned(),
                "split it over several rules".to_owned(),
            ));
        }
        let place = source.offset_for(node.id).map_or(String::new(), |(at, _)| format!(" (character {})", at + 1));
        let mut add = |node| open.push(Open { node, bound });
        match &node.expr {
            Expr::Literal(_) => {}
            Expr::Ident(name) => {
                let is_bound = bound.is_some_and(|bound| bound.contains(&name.as_str()));
                if !is_bound && !VARIABLES.iter().any(|(known, _)| known == name) {
                    return Some(unknown("variable", name, &place, VARIABLES.map(|(known, _)| known)));
                }
            }
            Expr::Select(select) => {
                if let Expr::Ident(name) = &select.operand.expr
                    && let Some((_, members)) = VARIABLES.iter().find(|(known, _)| known == name)
                    && !members.contains(&select.field.as_str())
                {
                    let what = format!("member of `{name}`");
                    return Some(unknown(&what, &select.field, &place, members.iter().copied()));
                }
                add(&*select.operand);
            }
            Expr::Call(call) => {
                if !FUNCTIONS.contains(&call.func_name.as_str()) {
                    return Some(unknown("function", &call.func_name, &place, NAMED_FUNCTIONS));
                }
                call.target.iter().for_each(|target| add(&**target));
                call.args.iter().for_each(add);
            }
            Expr::List(list) => list.elements.iter().for_each(add),
            Expr::Comprehension(over) => {
                macros += 1;
                if macros > MACROS_MAX || bound.is_some() {
                    let message = format!("too many macros over lists, or one within another{place}");
                    return Some((message, format!("write at most {MACROS_MAX}, one after another")));
                }
                add(&over.iter_range);
                add(&over.accu_init);
                let bound = Some([over.iter_var.as_str(), over.accu_var.as_str()]);
                for node in [&over.loop_cond, &over.loop_step, &over.result] {
                    open.push(Open { node, bound });
                }
            }
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                let message = format!("maps and messages are of no use here{place}");
                return Some((message, "compare values with `==` or `in`".to_owned()));
            }
        }
    }
    None
}

fn unknown<'k>(
    what: &str,
    name: &str,
    place: &str,
    known: impl IntoIterator<Item = &'k str> + Clone,
) -> (String, String) {
    let help = did_you_mean(name, known.clone()).unwrap_or_else(|| format!("known: {}", listed(known)));
    (format!("there is no {what} `{}`{place}", excerpt(name)), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_let_through_to_the_parser_does_not_overflow_a_small_stack() {
        let step = ".a".repeat(STEPS_MAX - 1);
        let mut text = format!("request{step}");
        for _ in 0..BRACKETS_MAX {
            text = format!("({text}){step}");
        }
        let chosen = format!("a ? b : {}{text}", "a ? b : ".repeat(CHOICES_MAX - 1));
        let long = vec!["a.b == c.d"; 60].join(" && ");
        for text in [text, chosen, long] {
            assert_eq!(shape_fault(&text), None, "{text}");
            // what threads have by default; builds without optimization need several times what others do
            let parse = move || Parser::new().max_recursion_depth(DEPTH_MAX).parse(&text).is_ok();
            let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(parse).unwrap();
            thread.join().unwrap();
        }
    }

    #[test]
    fn what_is_deep_or_hides_depth_is_not_parsed() {
        for text in [
            "(".repeat(BRACKETS_MAX + 1).as_str(),
            &"[".repeat(500),
            &"!".repeat(100),
            &"a.".repeat(STEPS_MAX + 1),
            &"f(1).".repeat(STEPS_MAX),
            &"a in ".repeat(STEPS_MAX + 1),
            &"a ? b : ".repeat(CHOICES_MAX + 1),
            "r'\\' + 1",
            "b'a'",
            "''' ' '''",
            "a // '",
        ] {
            assert!(shape_fault(text).is_some(), "{text}");
        }
        for text in ["a == '(((((((((((((((((((('", "a == \"it's\" && b == 'x\\'y'", "'a' in [1, 2]", "!(a) && !(b)"] {
            assert_eq!(shape_fault(text), None, "{text}");
        }
    }
}
