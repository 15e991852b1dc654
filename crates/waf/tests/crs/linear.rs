//! No input makes matching super-linear: four times the bytes take about four times the CPU.
//!
//! CPU time of this thread is measured, not the clock's, and the fastest of some runs counts; a quadratic rule would take
//! sixteen times as long.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bartizan_waf::{Options, Plan, Transaction};
use rustix::time::{ClockId, clock_gettime};

use crate::harness::{self, Exchange};
use crate::{engine, rule_set, rules};

/// Bytes of the smaller input; the larger has four times as many.
const BYTES: usize = 8 << 10;
const TIMES: usize = 4;
/// How much longer the larger may take: halfway between linear and quadratic, in orders of growth.
const GROWTH_MAX: f64 = 8.0;
/// Runs, of which the fastest counts.
const RUNS: usize = 3;

/// Beginnings of what rules look for, which patterns with two loops would try from every place.
const PIECES: &[&str] = &[
    "a", " ", "\n", "'", "\"", "(", "<", "%", "\\", "/", "../", "<a ", "/*", "--", "${", "{{", "select ", "' or ",
    "1 or 1=", "x=x;", "$(a", "`a", "data:", "on a=", "&#", "\\u00", "%25", "a.b(", "|a ", ";a ", "=a,", "http://",
    "é", "\u{0}", "AAAA", "0x41", "a'b", "[a]",
];

#[test]
fn four_times_the_bytes_take_about_four_times_the_time_over_the_core_rule_set() -> Result<()> {
    let Some((folder, _)) = rule_set()? else { return Ok(()) };
    check(&rules::config("pl1.conf", &folder, Path::new(env!("CARGO_TARGET_TMPDIR")))?)
}

#[test]
fn four_times_the_bytes_take_about_four_times_the_time_over_our_own_rules() -> Result<()> {
    let own = harness::workspace().join("rules/*.conf");
    let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join("own-rules.conf");
    std::fs::write(&config, format!("SecRequestBodyAccess On\nInclude {}\n", own.display()))?;
    check(&config)
}

fn check(config: &Path) -> Result<()> {
    let plan = engine::plan_with(config, &Options { detect_bodies: true, opens_values: true, ..Options::default() })?;
    let mut faults = Vec::new();
    for piece in PIECES {
        let growth = growth(&plan, piece);
        // A second look, for a neighbour that disturbed the first.
        if growth > GROWTH_MAX && self::growth(&plan, piece) > GROWTH_MAX {
            faults.push(format!("{piece:?}: {TIMES} times the bytes take {growth:.1} times as long"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    Ok(())
}

fn growth(plan: &Arc<Plan>, piece: &str) -> f64 {
    let [small, large] = [BYTES, BYTES * TIMES].map(|bytes| fastest(plan, &exchange(piece, bytes)).as_secs_f64());
    large / small
}

/// A JSON document with one value of that many bytes.
fn exchange(piece: &str, bytes: usize) -> Exchange {
    let value: String = piece.chars().cycle().take(bytes / piece.len() * piece.chars().count()).collect();
    let body = serde_json::json!({ "a": value }).to_string().into_bytes();
    let field = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    Exchange {
        method: b"POST".to_vec(),
        target: b"/".to_vec(),
        protocol: b"HTTP/1.1".to_vec(),
        headers: vec![field("Host", "api.example.com"), field("Content-Type", "application/json")],
        body,
        ..Exchange::default()
    }
}

fn fastest(plan: &Arc<Plan>, exchange: &Exchange) -> Duration {
    let headers = engine::fields(&exchange.headers);
    let once = || {
        let begun = cpu();
        black_box(engine::request(&mut Transaction::new(Arc::clone(plan)), exchange, &headers));
        cpu().saturating_sub(begun)
    };
    (0..RUNS).map(|_| once()).min().unwrap_or_default()
}

/// CPU time that this thread has had.
fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}
