//! Clocks and counters around the request phases.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use allocation_counter::AllocationInfo;
use bartizan_waf::{Plan, Transaction};
use rustix::time::{ClockId, clock_gettime};

use crate::engine;
use crate::harness::Exchange;

/// Batches of a loop figure, of which the median counts.
const BATCHES: usize = 15;
/// How long a batch is meant to take, in µs: long beside the clock's own cost.
const BATCH_MICROS: f64 = 25_000.0;
/// Requests of a batch at most: they are all built before it runs.
const BATCH_MAX: usize = 5_000;
/// Requests of a cold figure.
const COLD_REQUESTS: usize = 301;
/// Memory touched between two requests of a cold figure: more than the second-level cache and this process's share of
/// the third.
const COLD_BYTES: usize = 16 << 20;

/// Of single requests.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub mean: f64,
    pub median: f64,
    pub p99: f64,
}

/// Per request.
#[derive(Clone, Copy, Debug)]
pub struct Allocations {
    pub count: f64,
    pub bytes: f64,
}

/// Whether the rules stop this request.
pub fn is_stopped(plan: &Arc<Plan>, exchange: &Exchange) -> bool {
    let headers = engine::fields(&exchange.headers);
    engine::request(&mut Transaction::new(Arc::clone(plan)), exchange, &headers).is_some()
}

/// CPU time of a request in µs, one after the other.
pub fn loop_micros(plan: &Arc<Plan>, next: &mut dyn FnMut() -> Exchange) -> f64 {
    let first = batch(plan, 20, next).max(batch(plan, 20, next));
    let count = ((BATCH_MICROS / first) as usize).clamp(20, BATCH_MAX);
    let mut batches: Vec<f64> = (0..BATCHES).map(|_| batch(plan, count, next)).collect();
    median(&mut batches)
}

fn batch(plan: &Arc<Plan>, count: usize, next: &mut dyn FnMut() -> Exchange) -> f64 {
    let exchanges: Vec<Exchange> = (0..count).map(|_| next()).collect();
    let headers: Vec<_> = exchanges.iter().map(|exchange| engine::fields(&exchange.headers)).collect();
    let start = cpu_micros();
    for (exchange, headers) in exchanges.iter().zip(&headers) {
        black_box(engine::request(&mut Transaction::new(Arc::clone(plan)), exchange, headers));
    }
    (cpu_micros() - start) / count as f64
}

/// Wall time of a request in µs when the caches hold something else.
pub fn cold_micros(plan: &Arc<Plan>, next: &mut dyn FnMut() -> Exchange) -> f64 {
    let mut other = vec![0_u8; COLD_BYTES];
    let mut times = Vec::with_capacity(COLD_REQUESTS);
    for _ in 0..COLD_REQUESTS {
        let exchange = next();
        let headers = engine::fields(&exchange.headers);
        other.iter_mut().step_by(64).for_each(|byte| *byte = byte.wrapping_add(1));
        black_box(&other);
        let start = Instant::now();
        black_box(engine::request(&mut Transaction::new(Arc::clone(plan)), &exchange, &headers));
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    median(&mut times)
}

/// Wall time of each of these requests in µs, after one pass over them that is not counted.
pub fn each_micros(plan: &Arc<Plan>, exchanges: &[Exchange]) -> Spread {
    let mut times: Vec<f64> = Vec::with_capacity(exchanges.len());
    for is_counted in [false, true] {
        for exchange in exchanges {
            let headers = engine::fields(&exchange.headers);
            let start = Instant::now();
            black_box(engine::request(&mut Transaction::new(Arc::clone(plan)), exchange, &headers));
            if is_counted {
                times.push(start.elapsed().as_secs_f64() * 1e6);
            }
        }
    }
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    let median = median(&mut times);
    Spread { mean, median, p99: times[(times.len() * 99 / 100).min(times.len() - 1)] }
}

/// What a request allocates.
pub fn allocations(plan: &Arc<Plan>, next: &mut dyn FnMut() -> Exchange) -> Allocations {
    let exchanges: Vec<Exchange> = (0..200).map(|_| next()).collect();
    let headers: Vec<_> = exchanges.iter().map(|exchange| engine::fields(&exchange.headers)).collect();
    let info: AllocationInfo = allocation_counter::measure(|| {
        for (exchange, headers) in exchanges.iter().zip(&headers) {
            black_box(engine::request(&mut Transaction::new(Arc::clone(plan)), exchange, headers));
        }
    });
    let all = exchanges.len() as f64;
    Allocations { count: info.count_total as f64 / all, bytes: info.bytes_total as f64 / all }
}

/// CPU time of this thread, so that a busy machine does not count.
fn cpu_micros() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e6 + now.tv_nsec as f64 / 1e3
}

/// The middle value; sorts.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
