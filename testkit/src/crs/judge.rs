//! What was expected against what was seen, as go-ftw compares them.

use regex::RegexBuilder;

use super::suite::Expected;
use super::{Exchange, Logged};

/// What became of an exchange.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    pub logged: Vec<Logged>,
    /// Status of the answer that the client sees
    pub status: u16,
}

/// What the client sees: a strict server's refusal, else the engine's intervention, else the backend's answer.
pub fn status(is_refused: bool, intervention: Option<u16>, exchange: &Exchange) -> u16 {
    if is_refused { 400 } else { intervention.unwrap_or(exchange.reply.status) }
}

/// Every expectation that does not hold, in words.
pub fn faults(expected: &Expected, observed: &Observed) -> Vec<String> {
    let mut faults = Vec::new();
    let is_logged = |id: &u32| observed.logged.iter().any(|logged| logged.rule == *id);
    if let Some(status) = expected.status.filter(|status| *status != observed.status) {
        faults.push(format!("status {} instead of {status}", observed.status));
    }
    for id in expected.ids.iter().filter(|id| !is_logged(id)) {
        faults.push(format!("{id} is missing"));
    }
    for id in expected.absent_ids.iter().filter(|id| is_logged(id)) {
        faults.push(format!("{id} is logged"));
    }
    if let Some(pattern) = expected.pattern.as_ref().filter(|pattern| !is_seen(pattern, observed)) {
        faults.push(format!("no line matches `{pattern}`"));
    }
    if let Some(pattern) = expected.absent_pattern.as_ref().filter(|pattern| is_seen(pattern, observed)) {
        faults.push(format!("a line matches `{pattern}`"));
    }
    let mut rules: Vec<u32> = observed.logged.iter().map(|logged| logged.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    if expected.is_isolated && rules.len() != 1 {
        faults.push(format!("{} rules are logged instead of one", rules.len()));
    }
    faults
}

/// Whether a line of the log matches. A pattern that does not compile is matched by nothing and so shows up as a fault.
fn is_seen(pattern: &str, observed: &Observed) -> bool {
    let pattern = RegexBuilder::new(pattern).build();
    pattern.is_ok_and(|pattern| observed.logged.iter().any(|logged| pattern.is_match(&logged.line)))
}

/// A rule's match as a line of an error log, in the form that CRS's patterns look for.
pub fn line(rule: u32, variable: &[u8], message: &[u8], data: &[u8]) -> String {
    let (variable, message, data) = (escape(variable), escape(message), escape(data));
    format!("Matched at {variable}. [id \"{rule}\"] [msg \"{message}\"] [data \"{data}\"]")
}

/// Bytes that do not print, quotes and backslashes as `\xhh`, as logs have them.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expectation_that_does_not_hold_is_told() {
        let logged = vec![Logged { rule: 1, line: line(1, b"ARGS:a", b"m", b"found within ARGS:a: \"") }];
        let observed = Observed { logged, status: 200 };
        let expected = Expected {
            status: Some(400),
            ids: vec![1, 2],
            absent_ids: vec![1, 3],
            pattern: Some("within ARGS:b".into()),
            absent_pattern: Some(r#"\[id "\d+"\]"#.into()),
            is_isolated: true,
        };
        let faults = faults(&expected, &observed);
        assert_eq!(faults.len(), 5, "{faults:?}");
        let expected = Expected { pattern: Some("within ARGS:a".into()), ids: vec![1], ..Expected::default() };
        assert_eq!(super::faults(&expected, &observed), [""; 0]);
    }
}
