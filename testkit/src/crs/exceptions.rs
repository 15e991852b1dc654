//! The tests that do not pass as they are written, each with its reason (`bench/quality/waf-crs-exceptions.yaml`).
//!
//! An exception may say what is seen instead; then that must hold. An exception whose test passes is a fault.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use super::suite::{self, Expected, list, member, text_of};

/// Why a test fails, and what is seen instead.
#[derive(Clone, Debug)]
pub struct Exception {
    pub reason: String,
    pub instead: Option<Expected>,
}

/// The exceptions by test.
pub fn load() -> Result<BTreeMap<String, Exception>> {
    let path = super::workspace().join("bench/quality/waf-crs-exceptions.yaml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    read(&text).with_context(|| format!("in `{}`", path.display()))
}

fn read(text: &str) -> Result<BTreeMap<String, Exception>> {
    let mut exceptions = BTreeMap::new();
    for document in suite::documents(text)? {
        for entry in list(member(&document, "exceptions")) {
            let reason = member(entry, "reason").and_then(text_of).unwrap_or_default().trim().to_owned();
            ensure!(!reason.is_empty(), "an exception has no `reason`");
            let instead = member(entry, "instead").map(suite::read_expected).transpose()?;
            for test in list(member(entry, "tests")) {
                let test = text_of(test).context("a test is written as `920100-4`")?.to_owned();
                let exception = Exception { reason: reason.clone(), instead: instead.clone() };
                ensure!(exceptions.insert(test.clone(), exception).is_none(), "`{test}` is listed twice");
            }
        }
    }
    Ok(exceptions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_has_a_reason_and_may_say_what_is_seen_instead() {
        let text = "exceptions:\n  - tests: [1-2, 1-3]\n    reason: why\n    instead: { status: 200 }\n";
        let exceptions = read(text).unwrap();
        assert_eq!(exceptions.len(), 2);
        assert_eq!(exceptions["1-3"].instead.as_ref().unwrap().status, Some(200));
        assert!(read("exceptions:\n  - tests: [1-2]\n").is_err());
    }
}
