//! Runs one request of the bench over and over, for a profiler, and prints what it cost: `profile NAME [SECONDS]`, or
//! `profile NAME 2000x` for so many requests, as counting instructions needs it. `BARTIZAN_RULES` names a file of rules to
//! take in place of the Core Rule Set; it is run as the gateway runs rules, with values inside of values.

#[path = "../../tests/crs/engine.rs"]
mod engine;
#[path = "../differential/words.rs"]
#[allow(dead_code, reason = "the bench uses more of it")]
mod words;
#[path = "../bench/workload.rs"]
#[allow(dead_code, reason = "the bench uses more of it")]
mod workload;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bartizan_testkit::crs as harness;
use bartizan_waf::{Gates, Options, Transaction};
use fastrand::Rng;

/// Requests that are built before the clock runs.
const BATCH: usize = 1000;

fn main() -> Result<()> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let amount = std::env::args().nth(2).unwrap_or_default();
    let requests: Option<u32> = amount.strip_suffix('x').and_then(|text| text.parse().ok());
    let seconds = if requests.is_some() { u64::MAX } else { amount.parse().unwrap_or(5) };
    let rule_set = harness::rule_set_folder().context("no Core Rule Set at `BARTIZAN_CRS` or `../shared/crs`")?;
    let plan = match std::env::var_os("BARTIZAN_RULES") {
        Some(rules) => {
            let options =
                Options { detect_bodies: true, opens_values: true, requests_only: true, ..Options::default() };
            engine::plan_with(Path::new(&rules), &options)?
        }
        None => {
            let folder = std::env::temp_dir().join("bartizan-waf");
            engine::plan(&harness::rules::config("pl1.conf", &rule_set, &folder)?, Gates::All)?
        }
    };
    println!("{}", plan.summary());
    let found = workload::WORKLOADS.iter().find(|workload| workload.name == name);
    let Some(workload) = found else {
        workload::WORKLOADS.iter().for_each(|workload| println!("{}", workload.name));
        return Ok(());
    };
    let mut rng = Rng::with_seed(7);
    let exchanges: Vec<_> = (0..BATCH).map(|_| (workload.build)(&mut rng)).collect();
    let headers: Vec<_> = exchanges.iter().map(|exchange| engine::fields(&exchange.headers)).collect();
    let begun = Instant::now();
    let mut count = 0u32;
    'all: while begun.elapsed() < Duration::from_secs(seconds) {
        for (exchange, headers) in exchanges.iter().zip(&headers) {
            if requests == Some(count) {
                break 'all;
            }
            black_box(engine::request(&mut Transaction::new(Arc::clone(&plan)), exchange, headers));
            count += 1;
        }
    }
    println!("{name}: {:.2} µs", begun.elapsed().as_secs_f64() * 1e6 / f64::from(count));
    Ok(())
}
