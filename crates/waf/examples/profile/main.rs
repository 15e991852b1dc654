//! Runs one request of the bench over and over, for a profiler, and prints what it cost: `profile NAME [SECONDS]`, or
//! `profile NAME 2000x` for so many requests, as counting instructions needs it. `BARTIZAN_RULES` names a file of rules to
//! take in place of the Core Rule Set; it is run as the gateway runs rules, with values inside of values.
//!
//! `profile all 300x` runs so many of each after as many to warm up, for callgrind to tell apart:
//! `--collect-atstart=no --toggle-collect='profile::once*' --dump-before='profile::mark*'`. Without a number it prints what each
//! takes and allocates.

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
use bartizan_model::HeaderField;
use bartizan_testkit::crs as harness;
use bartizan_waf::{Gates, Options, Plan, Transaction};
use fastrand::Rng;

use crate::harness::Exchange;

/// Requests that are built before the clock runs.
const BATCH: usize = 1000;

fn main() -> Result<()> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let amount = std::env::args().nth(2).unwrap_or_default();
    let plan = plan()?;
    println!("{}", plan.summary());
    let chosen: Vec<_> = workload::WORKLOADS.iter().filter(|workload| name == "all" || workload.name == name).collect();
    if chosen.is_empty() {
        workload::WORKLOADS.iter().for_each(|workload| println!("{}", workload.name));
    }
    for workload in chosen {
        let mut rng = Rng::with_seed(7);
        let exchanges: Vec<_> = (0..BATCH).map(|_| (workload.build)(&mut rng)).collect();
        let headers: Vec<_> = exchanges.iter().map(|exchange| engine::fields(&exchange.headers)).collect();
        let requests = || exchanges.iter().zip(&headers).cycle();
        match amount.strip_suffix('x').and_then(|text| text.parse().ok()) {
            Some(count) => {
                requests().take(count).for_each(|(exchange, headers)| run(&plan, exchange, headers));
                requests().skip(count).take(count).for_each(|(exchange, headers)| once(&plan, exchange, headers));
                mark();
            }
            None => time(workload.name, Duration::from_secs(amount.parse().unwrap_or(5)), || {
                requests().take(BATCH).for_each(|(exchange, headers)| once(&plan, exchange, headers));
            }),
        }
    }
    Ok(())
}

fn plan() -> Result<Arc<Plan>> {
    let rule_set = harness::rule_set_folder().context("no Core Rule Set at `BARTIZAN_CRS` or `../shared/crs`")?;
    match std::env::var_os("BARTIZAN_RULES") {
        Some(rules) => {
            let options =
                Options { detect_bodies: true, opens_values: true, requests_only: true, ..Options::default() };
            engine::plan_with(Path::new(&rules), &options)
        }
        None => {
            let folder = std::env::temp_dir().join("bartizan-waf");
            engine::plan(&harness::rules::config("pl1.conf", &rule_set, &folder)?, Gates::All)
        }
    }
}

/// Runs batches for so long, and prints what the fastest took, a request, and what the last allocated.
fn time(name: &str, time: Duration, batch: impl Fn()) {
    let begun = Instant::now();
    let mut fastest = Duration::MAX;
    while begun.elapsed() < time {
        let begun = Instant::now();
        batch();
        fastest = fastest.min(begun.elapsed());
    }
    let allocations = allocation_counter::measure(batch).count_total as f64 / BATCH as f64;
    println!("{name}: {:.2} µs, {allocations:.1} allocations", fastest.as_secs_f64() * 1e6 / BATCH as f64);
}

fn run(plan: &Arc<Plan>, exchange: &Exchange, headers: &[HeaderField<'_>]) {
    black_box(engine::request(&mut Transaction::new(Arc::clone(plan)), exchange, headers));
}

/// One request under a name of its own: what a profiler is told to count.
#[inline(never)]
fn once(plan: &Arc<Plan>, exchange: &Exchange, headers: &[HeaderField<'_>]) {
    run(plan, exchange, headers);
}

/// Where one kind of request ends.
#[inline(never)]
fn mark() {
    black_box(());
}
