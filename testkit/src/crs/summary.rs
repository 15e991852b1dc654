//! The results of a run of the suite: counted, grouped, told.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::exceptions::Exception;
use super::judge::{self, Observed};
use super::suite::Test;

/// The results of a run.
#[derive(Debug, Default)]
pub struct Summary {
    /// Tests that hold as written, and all, by folder
    groups: BTreeMap<String, (usize, usize)>,
    passed: usize,
    /// The same for tests that expect something of the log
    log: (usize, usize),
    /// Test and what does not hold
    failed: Vec<(String, String)>,
    /// What is wrong with the list of exceptions
    faults: Vec<String>,
    excepted: usize,
}

impl Summary {
    /// Judges a test: one observation for each stage.
    pub fn add(&mut self, test: &Test, observed: &[Observed], exception: Option<&Exception>) {
        let stages = || test.stages.iter().zip(observed);
        let faults: Vec<String> = stages().flat_map(|(stage, seen)| judge::faults(&stage.expected, seen)).collect();
        let group = self.groups.entry(test.group.clone()).or_default();
        group.1 += 1;
        self.log.1 += usize::from(test.is_about_log());
        if faults.is_empty() {
            group.0 += 1;
            self.passed += 1;
            self.log.0 += usize::from(test.is_about_log());
            if exception.is_some() {
                self.faults.push(format!("{} passes: take it off the list of exceptions", test.id));
            }
            return;
        }
        self.failed.push((test.id.clone(), faults.join(", ")));
        self.excepted += usize::from(exception.is_some());
        if let Some(instead) = exception.and_then(|exception| exception.instead.as_ref()) {
            let faults = stages().flat_map(|(_, seen)| judge::faults(instead, seen));
            self.faults.extend(faults.map(|fault| format!("{}, an exception: {fault}", test.id)));
        }
    }

    /// Tests that hold as written.
    pub fn passed(&self) -> usize {
        self.passed
    }

    /// Tests that do not, exceptions among them.
    pub fn failed(&self) -> usize {
        self.failed.len()
    }

    /// The tests that expect something of the log: those that hold, and all.
    pub fn log_tests(&self) -> (usize, usize) {
        self.log
    }

    /// What is wrong with the list of exceptions.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// The whole result as text, `N passed, N failed` last.
    pub fn text(&self, exceptions: &BTreeMap<String, Exception>) -> String {
        let mut text = String::new();
        for (group, (passed, all)) in &self.groups {
            let _ = writeln!(text, "{group:<45} {passed:>5} of {all:>5}");
        }
        for (test, faults) in &self.failed {
            let reason = exceptions.get(test).map(|exception| format!(" (exception: {})", exception.reason));
            let _ = writeln!(text, "failed {test}: {faults}{}", reason.unwrap_or_default());
        }
        for fault in &self.faults {
            let _ = writeln!(text, "{fault}");
        }
        let (log_passed, log) = self.log;
        let _ = writeln!(text, "{log_passed} of {log} tests with log expectations hold; {} exceptions", self.excepted);
        let _ = writeln!(text, "{} passed, {} failed", self.passed, self.failed.len());
        text
    }
}
