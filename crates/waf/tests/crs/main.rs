//! The regression tests of the OWASP Core Rule Set in process: every test is built as go-ftw builds it, run through all
//! phases and judged.
//!
//! The rule set is not part of this repository: `BARTIZAN_CRS` names its folder, else `shared/crs` beside the workspace
//! is taken, else the tests say so loudly and pass.

mod allocations;
mod engine;
mod linear;
#[path = "../../examples/bench/workload.rs"]
#[allow(dead_code, reason = "the bench uses more of it")]
mod workload;

use std::path::{Path, PathBuf};

use anyhow::Result;
use bartizan_testkit::crs as harness;
use bartizan_waf::{Gates, Memory, Options};

use crate::harness::judge::{self, Observed};
use crate::harness::suite::Test;
use crate::harness::summary::Summary;
use crate::harness::{exceptions, http, request, rule_set_folder, rules, suite};

/// Tests that must hold. To be raised with the engine, never lowered.
const PASSED_MIN: usize = 4_998;

/// A rule set with its tests, or `None` after saying that there is none.
fn rule_set() -> Result<Option<(PathBuf, Vec<Test>)>> {
    let Some(folder) = rule_set_folder() else {
        eprintln!("SKIPPED: no Core Rule Set at `BARTIZAN_CRS` or `../shared/crs`: its regression tests did NOT run");
        return Ok(None);
    };
    let tests = suite::load(&folder)?;
    Ok(Some((folder, tests)))
}

fn config(rule_set: &Path) -> Result<PathBuf> {
    rules::config("regression.conf", rule_set, Path::new(env!("CARGO_TARGET_TMPDIR")))
}

#[test]
fn the_core_rule_set_passes_its_own_regression_tests() -> Result<()> {
    let Some((folder, tests)) = rule_set()? else { return Ok(()) };
    let plan = engine::plan(&config(&folder)?, Gates::All)?;
    let exceptions = exceptions::load()?;
    let mut summary = Summary::default();
    for test in &tests {
        let observed = test.stages.iter().map(|stage| {
            let raw = request::raw(&stage.input);
            let exchange = http::exchange(&raw);
            let (logged, intervention) = engine::run(&plan, &exchange);
            Observed { logged, status: judge::status(http::is_refused(&raw), intervention, &exchange) }
        });
        summary.add(test, &observed.collect::<Vec<_>>(), exceptions.get(&test.id));
    }
    for missing in exceptions.keys().filter(|id| tests.iter().all(|test| test.id != **id)) {
        println!("exception {missing} is of another version of the rule set");
    }
    println!("{}", summary.text(&exceptions));
    assert!(summary.passed() >= PASSED_MIN, "{} tests hold, {PASSED_MIN} did", summary.passed());
    assert!(summary.faults().is_empty(), "the list of exceptions is wrong: {:#?}", summary.faults());
    Ok(())
}

#[test]
fn gates_change_nothing_on_the_regression_tests() -> Result<()> {
    let Some((folder, tests)) = rule_set()? else { return Ok(()) };
    let config = config(&folder)?;
    let gated = engine::plan(&config, Gates::All)?;
    let naive = engine::plan(&config, Gates::None)?;
    for test in &tests {
        for stage in &test.stages {
            let exchange = http::exchange(&request::raw(&stage.input));
            assert_eq!(engine::run(&gated, &exchange), engine::run(&naive, &exchange), "in test {}", test.id);
        }
    }
    Ok(())
}

#[test]
fn what_is_remembered_changes_nothing_on_the_regression_tests() -> Result<()> {
    let Some((folder, tests)) = rule_set()? else { return Ok(()) };
    let config = config(&folder)?;
    let [remembering, forgetful] =
        [Memory::On, Memory::Off].map(|memory| engine::plan_with(&config, &Options { memory, ..Options::default() }));
    let (remembering, forgetful) = (remembering?, forgetful?);
    for test in &tests {
        for stage in &test.stages {
            let exchange = http::exchange(&request::raw(&stage.input));
            let expected = engine::run(&forgetful, &exchange);
            // A value is kept when it comes for the second time, and used from the third on.
            for _ in 0..3 {
                assert_eq!(engine::run(&remembering, &exchange), expected, "in test {}", test.id);
            }
        }
    }
    Ok(())
}

#[test]
fn responses_are_judged_alike_without_a_gate_of_their_own() -> Result<()> {
    let Some((folder, tests)) = rule_set()? else { return Ok(()) };
    let config = config(&folder)?;
    let gated = engine::plan(&config, Gates::All)?;
    let ungated = engine::plan_with(&config, &Options { requests_only: true, ..Options::default() })?;
    let mut count = 0;
    for test in tests.iter().filter(|test| test.id.starts_with("95")) {
        for stage in &test.stages {
            let exchange = http::exchange(&request::raw(&stage.input));
            assert_eq!(engine::run(&ungated, &exchange), engine::run(&gated, &exchange), "in test {}", test.id);
            count += 1;
        }
    }
    assert!(count > 0, "the rule set has no tests of responses");
    Ok(())
}
