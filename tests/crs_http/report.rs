//! The results of a run: counted by folder and by cause, as the committed page and as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bartizan_testkit::crs::exceptions::Exception;
use bartizan_testkit::crs::judge::{self, Observed};
use bartizan_testkit::crs::suite::{Expected, Test};

use crate::causes;
use crate::run::Seen;

/// A test that fails in process fails here, too, and for the same reason.
const AS_IN_PROCESS: &str = "as in process";

/// Tests of one folder.
#[derive(Default)]
struct Group {
    all: usize,
    passed_in_process: usize,
    passed: usize,
    explained: usize,
}

/// The results of a run.
pub struct Report {
    version: String,
    groups: BTreeMap<String, Group>,
    /// Tests by cause
    explained: BTreeMap<&'static str, Vec<String>>,
    /// Tests that fail in process and hold here
    mended: Vec<String>,
    /// Test and what does not hold
    failed: Vec<(String, String)>,
}

impl Report {
    /// Nothing yet.
    pub fn new(version: String) -> Self {
        let (groups, explained) = (BTreeMap::new(), BTreeMap::new());
        Self { version, groups, explained, mended: Vec::new(), failed: Vec::new() }
    }

    /// Judges a test: what was seen of each of its stages.
    pub fn add(&mut self, test: &Test, seen: &[Seen], exception: Option<&Exception>) {
        let group = self.groups.entry(test.group.clone()).or_default();
        group.all += 1;
        group.passed_in_process += usize::from(exception.is_none());
        let stages = || test.stages.iter().map(|stage| &stage.expected).zip(seen);
        let failing: Vec<(&Expected, &Seen)> =
            stages().filter(|(expected, seen)| !judge::faults(expected, &observed(seen)).is_empty()).collect();
        if failing.is_empty() {
            group.passed += 1;
            self.mended.extend(exception.map(|_| test.id.clone()));
            return;
        }
        let instead = exception.and_then(|exception| exception.instead.as_ref());
        let is_as_in_process =
            instead.is_some_and(|instead| stages().all(|(_, seen)| judge::faults(instead, &observed(seen)).is_empty()));
        let causes: Vec<Option<&'static str>> = if is_as_in_process {
            vec![Some(AS_IN_PROCESS)]
        } else {
            failing.iter().map(|(expected, seen)| causes::of(expected, seen).map(|cause| cause.name)).collect()
        };
        match causes.iter().all(Option::is_some).then(|| causes.into_iter().flatten().next()).flatten() {
            Some(cause) => {
                group.explained += 1;
                self.explained.entry(cause).or_default().push(test.id.clone());
            }
            None => self.failed.push((test.id.clone(), shown(&failing))),
        }
    }

    /// Tests that fail for no known cause.
    pub fn failed(&self) -> usize {
        self.failed.len()
    }

    /// The rule set.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// `N passed, N failed, N explained`
    pub fn closing_line(&self) -> String {
        let passed: usize = self.groups.values().map(|group| group.passed).sum();
        let explained: usize = self.groups.values().map(|group| group.explained).sum();
        format!("{passed} passed, {} failed, {explained} explained", self.failed.len())
    }

    /// What failed, for whoever runs it.
    pub fn details(&self) -> String {
        let mut text = String::new();
        for (name, tests) in &self.explained {
            let _ = writeln!(text, "explained, {name}: {}", tests.join(", "));
        }
        for (test, faults) in &self.failed {
            let _ = writeln!(text, "failed {test}: {faults}");
        }
        text
    }

    /// The committed page.
    pub fn text(&self) -> String {
        let mut text = format!(
            "# The Core Rule Set's regression tests through the gateway\n\n\
             {}, paranoia level 4, observed; every stage as go-ftw sends it, over a connection of its own, the real\n\
             program in between. Which rules matched is read from the events. Written and checked by\n\
             `cargo xtask test waf-crs-http`.\n\n**{}**\n\n\
             | tests | number | hold in process | hold through the gateway | explained | fail |\n\
             | --- | ---: | ---: | ---: | ---: | ---: |\n",
            self.version,
            self.closing_line(),
        );
        for (name, Group { all, passed_in_process, passed, explained }) in &self.groups {
            let failed = all - passed - explained;
            let _ = writeln!(text, "| {name} | {all} | {passed_in_process} | {passed} | {explained} | {failed} |");
        }
        text.push_str("\n## What HTTP explains\n\n");
        for (name, tests) in &self.explained {
            let cause = causes::CAUSES.iter().find(|cause| cause.name == *name);
            let why = cause.map_or("listed in `waf-crs-exceptions.yaml`, with the reason", |cause| cause.why);
            let _ = writeln!(text, "### {name}: {}\n\n{why}.\n\n{}\n", tests.len(), wrapped(tests));
        }
        if !self.mended.is_empty() {
            let _ = writeln!(text, "## What holds only here\n\n{}\n", wrapped(&self.mended));
        }
        if !self.failed.is_empty() {
            text.push_str("## What fails\n\n");
            for (test, faults) in &self.failed {
                let _ = writeln!(text, "- {test}: {faults}");
            }
        }
        format!("{}\n", text.trim_end())
    }
}

fn observed(seen: &Seen) -> Observed {
    Observed {
        logged: seen.event.as_ref().map(|event| event.logged.clone()).unwrap_or_default(),
        status: seen.answer.as_ref().map_or(0, |answer| answer.status),
    }
}

/// What does not hold, and what was seen of the exchange.
fn shown(failing: &[(&Expected, &Seen)]) -> String {
    let stages = failing.iter().map(|(expected, seen)| {
        let faults = judge::faults(expected, &observed(seen)).join(", ");
        let status = seen.answer.as_ref().map_or_else(|| "no answer".to_owned(), |answer| answer.status.to_string());
        let event = seen.event.as_ref().map_or_else(
            || "no event".to_owned(),
            |event| {
                let rules: Vec<String> = event.logged.iter().map(|logged| logged.rule.to_string()).collect();
                format!("{} {:?} {} findings: {}", event.ending, event.checks, event.findings, rules.join(" "))
            },
        );
        let line = [&seen.exchange.method, b" ".as_slice(), &seen.exchange.target].concat();
        let line: String = line.escape_ascii().to_string().chars().take(100).collect();
        format!("{faults} [{status}, {event}] {line}")
    });
    stages.collect::<Vec<_>>().join("; ")
}

/// A list in lines of a readable length.
fn wrapped(tests: &[String]) -> String {
    const LINE_CHARS: usize = 120;
    let mut text = String::new();
    let mut length = 0;
    for (at, test) in tests.iter().enumerate() {
        let word = if at + 1 == tests.len() { test.clone() } else { format!("{test},") };
        if length > 0 && length + word.len() >= LINE_CHARS {
            text.push('\n');
            length = 0;
        } else if length > 0 {
            text.push(' ');
            length += 1;
        }
        length += word.len();
        text.push_str(&word);
    }
    text
}

#[cfg(test)]
mod tests {
    use bartizan_testkit::crs::http;
    use bartizan_testkit::crs::suite::{Input, Stage};

    use super::*;
    use crate::client::Answer;
    use crate::events::Event;

    fn test(id: &str, rule: u32) -> Test {
        let expected = Expected { ids: vec![rule], ..Expected::default() };
        let stages = vec![Stage { input: Input::Raw(Vec::new()), expected }];
        Test { id: id.into(), group: "group".into(), stages }
    }

    fn refused(evidence: &str) -> Vec<Seen> {
        let checks = vec![("ENG-101".to_owned(), evidence.to_owned())];
        let event = Event { ending: "malformed".into(), checks, findings: 1, ..Event::default() };
        let answer = Some(Answer { status: 400, request_id: None });
        vec![Seen { exchange: http::exchange(b"GET / HTTP/1.1\r\n\r\n"), answer, event: Some(event) }]
    }

    #[test]
    fn a_difference_is_explained_by_a_known_refusal_and_fails_otherwise() {
        let mut report = Report::new("OWASP CRS 4".into());
        report.add(&test("1-1", 1), &refused("bad_authority"), None);
        report.add(&test("1-2", 1), &refused("of another kind"), None);
        assert_eq!(report.closing_line(), "0 passed, 1 failed, 1 explained");
        assert!(report.text().contains("### refused: host: 1") && report.details().contains("failed 1-2"));
    }
}
