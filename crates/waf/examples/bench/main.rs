//! What a request costs: CRS at paranoia level 1, request phases, one thread, beside libmodsecurity and beside our own
//! engine without gates.
//!
//! `cargo run --release -p bartizan-waf --example bench` (pin it: `taskset -c 0`). Every request has values of its own: what
//! is remembered from one to the next helps with names, methods and the few header values that stay, and the figures
//! without it stand beside. The cold figures have 16 MB of other memory touched before each request. Needs a Core Rule Set
//! and, for the peer's column, Debian's `g++ libmodsecurity-dev`.

#[path = "../differential/corpus.rs"]
mod corpus;
#[path = "../../tests/crs/engine.rs"]
mod engine;
mod measure;
#[path = "../differential/mutate.rs"]
mod mutate;
#[path = "../differential/oracle.rs"]
mod oracle;
#[path = "../differential/words.rs"]
mod words;
mod workload;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bartizan_testkit::crs as harness;
use bartizan_waf::{Gates, Memory, Options, Plan};
use fastrand::Rng;

use crate::corpus::Corpus;
use crate::harness::{Exchange, rules, suite};
use crate::workload::{WORKLOADS, Workload};

/// Requests that libmodsecurity gets, each of them different.
const PEER_REQUESTS: usize = 500;
/// How long libmodsecurity is measured, per workload.
const PEER_SECONDS: f64 = 1.5;
/// Requests of each kind of mixed traffic.
const MIXED_REQUESTS: usize = 3_000;

/// Both forms of our engine.
struct Plans {
    gated: Arc<Plan>,
    /// That keeps nothing from one request to the next
    forgetful: Arc<Plan>,
    naive: Arc<Plan>,
}

fn main() -> Result<()> {
    let rule_set = harness::rule_set_folder().context("no Core Rule Set at `BARTIZAN_CRS` or `../shared/crs`")?;
    let folder = std::env::temp_dir().join("bartizan-waf");
    let config = rules::config("pl1.conf", &rule_set, &folder)?;
    let plans = Plans {
        gated: engine::plan(&config, Gates::All)?,
        forgetful: engine::plan_with(&config, &Options { memory: Memory::Off, ..Options::default() })?,
        naive: engine::plan(&config, Gates::None)?,
    };
    println!(
        "CRS at paranoia level 1, request phases, one thread; rule set: `{}`\n",
        rule_set.file_name().unwrap_or_default().display()
    );
    let peer = oracle::build(&folder).inspect_err(|error| eprintln!("no peer: {error:#}")).ok();
    loops(&plans, peer.as_deref(), &config)?;
    mixed(&plans, &Corpus::new(&suite::load(&rule_set)?, 1));
    linear(&plans.gated);
    std::fs::remove_file(config)?;
    Ok(())
}

/// The five requests over and over, with other values each time.
fn loops(plans: &Plans, peer: Option<&Path>, config: &Path) -> Result<()> {
    println!("CPU µs per request, median of batches; cold: median with 16 MB touched before each request\n");
    println!(
        "| request | engine | without memory | without gates | engine, cold | cold, without memory | allocations | bytes \
         allocated | libmodsecurity 3.0.9 |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for workload in WORKLOADS {
        let mut rng = Rng::with_seed(7);
        let mut next = || (workload.build)(&mut rng);
        check(plans, workload, &(0..100).map(|_| next()).collect::<Vec<_>>())?;
        let engine = measure::loop_micros(&plans.gated, &mut next);
        let forgetful = measure::loop_micros(&plans.forgetful, &mut next);
        let naive = measure::loop_micros(&plans.naive, &mut next);
        let cold = measure::cold_micros(&plans.gated, &mut next);
        let cold_forgetful = measure::cold_micros(&plans.forgetful, &mut next);
        let allocated = measure::allocations(&plans.gated, &mut next);
        let peer = peer.map(|program| peer_micros(program, config, workload, &mut next)).transpose()?;
        let peer = peer.map_or("-".to_owned(), |micros| format!("{micros:.0}"));
        let measure::Allocations { count, bytes } = allocated;
        println!(
            "| {} | {engine:.2} | {forgetful:.2} | {naive:.1} | {cold:.1} | {cold_forgetful:.1} | {count:.1} | {bytes:.0} | \
             {peer} |",
            workload.name
        );
    }
    Ok(())
}

/// The rules fire where they must and nowhere else: a bench of an engine that looks away is none.
fn check(plans: &Plans, workload: &Workload, exchanges: &[Exchange]) -> Result<()> {
    for exchange in exchanges {
        for plan in [&plans.gated, &plans.forgetful, &plans.naive] {
            let is_stopped = measure::is_stopped(plan, exchange);
            ensure!(is_stopped == workload.is_attack, "`{}` is stopped: {is_stopped}: {exchange:?}", workload.name);
        }
    }
    Ok(())
}

fn peer_micros(program: &Path, config: &Path, workload: &Workload, next: &mut dyn FnMut() -> Exchange) -> Result<f64> {
    let exchanges: Vec<Exchange> = (0..PEER_REQUESTS).map(|_| next()).collect();
    let timing = oracle::time(program, config, &exchanges, PEER_SECONDS)?;
    ensure!(timing.is_stopped == workload.is_attack, "libmodsecurity judges `{}` otherwise", workload.name);
    Ok(timing.micros)
}

/// Traffic in which no request is like the one before.
fn mixed(plans: &Plans, corpus: &Corpus) {
    println!("\nmixed traffic, every request of another kind: µs per request\n");
    println!(
        "| traffic | requests | engine, mean | p50 | p99 | without memory, mean | p99 | without gates, mean | p99 |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (name, is_attack) in [("innocent", false), ("attacks", true)] {
        let mut corpus = corpus.clone();
        let mut next = || if is_attack { corpus.attack() } else { corpus.innocent() };
        let exchanges: Vec<Exchange> = (0..MIXED_REQUESTS).map(|_| next()).collect();
        let engine = measure::each_micros(&plans.gated, &exchanges);
        let forgetful = measure::each_micros(&plans.forgetful, &exchanges);
        let naive = measure::each_micros(&plans.naive, &exchanges);
        println!(
            "| {name} | {MIXED_REQUESTS} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} |",
            engine.mean, engine.median, engine.p99, forgetful.mean, forgetful.p99, naive.mean, naive.p99
        );
    }
}

/// JSON bodies of growing size: the cost of a byte must stay the same.
fn linear(plan: &Arc<Plan>) {
    println!("\nJSON bodies of growing size: µs per request, ns per byte\n");
    println!("| bytes | many members, µs | ns per byte | one text, µs | ns per byte |");
    println!("| --- | --- | --- | --- | --- |");
    let mut rng = Rng::with_seed(11);
    for kilobytes in [1, 4, 16, 64, 256, 1024] {
        let mut figures = [0.0; 4];
        for (at, build) in [workload::rows, workload::text].into_iter().enumerate() {
            let exchanges: Vec<Exchange> = (0..9).map(|_| build(&mut rng, kilobytes * 1024)).collect();
            let micros = measure::each_micros(plan, &exchanges).median;
            figures[at * 2] = micros;
            figures[at * 2 + 1] = micros * 1000.0 / exchanges[0].body.len() as f64;
        }
        let [rows, per_rows, text, per_text] = figures;
        println!("| {} K | {rows:.0} | {per_rows:.1} | {text:.0} | {per_text:.1} |", kilobytes);
    }
}
