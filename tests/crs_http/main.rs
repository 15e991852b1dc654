//! The regression tests of the OWASP Core Rule Set through the running gateway, over sockets, as go-ftw sends them.
//!
//! Which rules matched is read from the events, found by the request id in the answer. What differs from the run in
//! process (`cargo xtask test waf-crs`) has a cause that is told from what the gateway did with that very request
//! (`causes.rs`); a difference without one fails. Results by cause are in `bench/quality/waf-crs-http.md`, which
//! `BARTIZAN_BLESS=1` writes.
//!
//! The rule set is not part of this repository: `BARTIZAN_CRS` names its folder, else `shared/crs` beside the checkout is
//! taken, else the test says so loudly and passes.

mod causes;
mod client;
mod events;
mod reflector;
mod report;
mod run;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use bartizan_testkit::crs::{exceptions, rule_set_folder, suite, workspace};

use crate::report::Report;

/// The committed results.
const COMMITTED: &str = "bench/quality/waf-crs-http.md";

#[test]
fn the_core_rule_set_holds_through_the_gateway_but_for_what_http_explains() -> Result<()> {
    let Some(rule_set) = rule_set_folder() else {
        eprintln!("SKIPPED: no Core Rule Set at `BARTIZAN_CRS` or `../shared/crs`: its tests did NOT run over HTTP");
        return Ok(());
    };
    let tests = suite::load(&rule_set)?;
    let exceptions = exceptions::load()?;
    let seen = run::all(&rule_set, &tests)?;
    let mut report = Report::new(version(&rule_set)?);
    for (test, stages) in tests.iter().zip(&seen) {
        report.add(test, stages, exceptions.get(&test.id));
    }
    let text = report.text();
    let committed = workspace().join(COMMITTED);
    println!("{}", report.details());
    if std::env::var_os("BARTIZAN_BLESS").is_some() {
        std::fs::write(&committed, &text).with_context(|| committed.display().to_string())?;
    }
    println!("{}", report.closing_line());
    ensure!(report.failed() == 0, "{} tests fail for no known cause", report.failed());
    let known = std::fs::read_to_string(&committed).unwrap_or_default();
    ensure!(
        known == text || !known.contains(report.version()),
        "{COMMITTED} is out of date; to write it: BARTIZAN_BLESS=1 cargo xtask test waf-crs-http"
    );
    Ok(())
}

/// What the rule set says that it is.
fn version(rule_set: &Path) -> Result<String> {
    let text = std::fs::read_to_string(rule_set.join("crs-setup.conf.example"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("# OWASP CRS ver."));
    Ok(format!("OWASP CRS {}", line.context("the set-up names no version")?.trim()))
}
