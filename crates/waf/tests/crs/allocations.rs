//! What a request may allocate: counts are the same on every machine, so they guard speed where times cannot.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::Result;
use bartizan_waf::{Options, Plan, Transaction};
use fastrand::Rng;

use crate::workload::{WORKLOADS, Workload};
use crate::{engine, rule_set, rules};

/// Requests before the count, which fill buffers and caches.
const WARM: usize = 300;
/// Requests that are counted.
const COUNTED: usize = 100;

/// Allocations for each request of the bench at paranoia level 1, on average. To be lowered with the engine, never raised.
/// The host of `get-simple` is an address, which a rule logs: six are its id's texts, with the part that matched among them.
const ALLOCATIONS_MAX: &[(&str, f64)] =
    &[("get-simple", 6.0), ("get-api", 3.0), ("post-json-240B", 9.0), ("post-json-5KB", 13.0), ("sqli", 40.0)];

#[test]
fn a_request_allocates_no_more_than_its_budget() -> Result<()> {
    let Some((folder, _)) = rule_set()? else { return Ok(()) };
    let config = rules::config("pl1.conf", &folder, std::path::Path::new(env!("CARGO_TARGET_TMPDIR")))?;
    let as_written = Options::default();
    let as_served = Options { detect_bodies: true, opens_values: true, requests_only: true, ..as_written };
    let mut faults = Vec::new();
    for options in [as_written, as_served] {
        let plan = engine::plan_with(&config, &options)?;
        for (workload, (name, max)) in WORKLOADS.iter().zip(ALLOCATIONS_MAX) {
            assert_eq!(workload.name, *name);
            let average = average(&plan, workload);
            println!("{name}: {average:.1} allocations with {options:?}");
            if average > *max {
                faults.push(format!("`{name}` allocates {average:.1} times, {max} is the budget; {options:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    Ok(())
}

/// Allocations for each request, when buffers and caches are full.
fn average(plan: &Arc<Plan>, workload: &Workload) -> f64 {
    let mut rng = Rng::with_seed(7);
    let exchanges: Vec<_> = (0..WARM + COUNTED).map(|_| (workload.build)(&mut rng)).collect();
    let headers: Vec<_> = exchanges.iter().map(|exchange| engine::fields(&exchange.headers)).collect();
    let mut requests = exchanges.iter().zip(&headers);
    let mut run = |count: usize| {
        for (exchange, headers) in requests.by_ref().take(count) {
            black_box(engine::request(&mut Transaction::new(Arc::clone(plan)), exchange, headers));
        }
    };
    run(WARM);
    allocation_counter::measure(|| run(COUNTED)).count_total as f64 / COUNTED as f64
}
