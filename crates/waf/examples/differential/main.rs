//! Our engine beside libmodsecurity: the same rules, the same exchanges, the logged rules compared.
//!
//! `cargo run --release -p bartizan-waf --example differential -- suite` runs CRS's regression tests with libmodsecurity,
//! which shows that the harness builds and judges them rightly; `-- corpus [COUNT [SEED]]` compares both engines on
//! generated exchanges and prints a record (`-- list …` every difference); `-- gates [COUNT [SEED]]` compares our engine with itself without gates. Needs
//! a Core Rule Set and, but for the last, Debian's `g++ libmodsecurity-dev`.

#[path = "../../tests/crs/engine.rs"]
mod engine;

mod causes;
mod compare;
mod corpus;
mod counterfactual;
mod mutate;
mod oracle;
mod report;
mod shrink;
mod words;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use bartizan_testkit::crs as harness;

use crate::harness::judge::{self, Observed};
use crate::harness::summary::Summary;
use crate::harness::{http, request, rules, suite};

/// libmodsecurity fills REQUEST_BODY even if the body was taken apart as JSON, XML or multipart; ModSecurity 2 and CRS's
/// tests want it empty then (CRS overrides 28 tests of 944xxx for nginx). For the comparison ours fills it, too.
const BODY_VARIABLE: &str = "\nSecAction \"id:900006,phase:1,pass,nolog,ctl:forceRequestBodyVariable=On\"\n";
/// Share of exchanges whose rules are the same, but for differences that are understood.
const EXPLAINED_MIN: f64 = 0.995;
/// LIMIT: exchanges of a run; more would take hours.
const COUNT_MAX: usize = 1_000_000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rule_set = harness::rule_set_folder().context("no Core Rule Set at `BARTIZAN_CRS` or `../shared/crs`")?;
    let folder = std::env::temp_dir().join("bartizan-waf");
    let verb = arguments.first().map_or("", String::as_str);
    let further = if matches!(verb, "corpus" | "list") { BODY_VARIABLE } else { "" };
    let config = rules::config_with("regression.conf", further, &rule_set, &folder)?;
    let number = |at: usize, default: u64| arguments.get(at).map_or(Ok(default), |text| text.parse());
    let result = match verb {
        "suite" => run_suite(&rule_set, &oracle::build(&folder)?, &config),
        "gates" => {
            compare::gates(&suite::load(&rule_set)?, &config, usize::try_from(number(1, 20_000)?)?, number(2, 1)?)
        }
        "corpus" | "list" => {
            let (count, seed, program) = (number(1, 20_000)?, number(2, 1)?, oracle::build(&folder)?);
            let count = usize::try_from(count)?.min(COUNT_MAX);
            let run = compare::Run { count, seed, program, config: config.clone(), folder };
            run_corpus(&suite::load(&rule_set)?, &run, verb == "list")
        }
        _ => bail!("say `suite`, `corpus [COUNT [SEED]]`, `list [COUNT [SEED]]` or `gates [COUNT [SEED]]`"),
    };
    std::fs::remove_file(config)?;
    result
}

/// Both engines on a generated corpus: a record, or every difference.
fn run_corpus(tests: &[suite::Test], run: &compare::Run, is_list: bool) -> Result<()> {
    let mut engines = compare::Engines::start(run)?;
    let compared = compare::run(tests, run, &mut engines)?;
    if is_list {
        compare::list(&compared);
        return Ok(());
    }
    let (text, share) = report::text(run, &compared, &mut engines)?;
    print!("{text}");
    ensure!(share >= EXPLAINED_MIN, "only {:.2} % of the exchanges are logged alike or explained", share * 100.0);
    Ok(())
}

/// The regression tests with libmodsecurity as the engine.
fn run_suite(rule_set: &Path, program: &Path, config: &Path) -> Result<()> {
    let mut oracle = oracle::Oracle::start(program, config)?;
    let mut summary = Summary::default();
    for test in suite::load(rule_set)? {
        let mut observed = Vec::new();
        for stage in &test.stages {
            let raw = request::raw(&stage.input);
            let exchange = http::exchange(&raw);
            let (logged, intervention) = oracle.ask(&exchange)?;
            let status = judge::status(http::is_refused(&raw), intervention, &exchange);
            observed.push(Observed { logged, status });
        }
        summary.add(&test, &observed, None);
    }
    print!("{}", summary.text(&BTreeMap::new()));
    Ok(())
}
