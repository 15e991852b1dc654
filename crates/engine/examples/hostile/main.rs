//! What hostile requests cost: each goes through whole inspections, and time and memory must stay within bounds.
//!
//! `cargo run --release -p bartizan-engine --example hostile` prints the table of `bench/record/` and fails when a bound
//! is crossed (`cargo xtask bench bombs --record` writes it). Three gateways: threat limits alone, enforced, which is how
//! bombs are meant to end; rules alone, enforced, with their own bound on the body; and both observed with bodies looked
//! at whole, so that nothing ends early. Rules: our own, and the Core Rule Set where there is one (`BARTIZAN_CRS`, else
//! `../shared/crs`).

mod cases;
mod gateways;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use bartizan_engine::{Engine, Inspection, Step};
use bartizan_model::{
    Connection, Ending, HeaderField, HttpVersion, Outcome, RequestHead, RequestId, Scheme, Timestamp,
};

use cases::Case;
use gateways::Gateway;

/// Runs of a case, of which the fastest counts: the others had a neighbour.
const RUNS: usize = 3;
/// How much slower the bounds are for a build that is not optimized, which only tries the example.
const SLOWER: f64 = if cfg!(debug_assertions) { 60.0 } else { 1.0 };
/// Bytes of a piece of a body, as a socket gives them.
const PIECE_BYTES: usize = 16 << 10;
const MIB: f64 = 1024.0 * 1024.0;

/// What one inspection costs and says.
struct Cost {
    millis: f64,
    /// Most memory held at a time, beyond what was held before
    peak_mib: f64,
    /// Status and deciding check, or the checks that noticed something
    said: String,
}

fn main() -> ExitCode {
    let gateways = gateways::all();
    println!(
        "One inspection each, on one thread: milliseconds, most memory held at a time (MiB, beside the request's own\n\
         bytes), and what was said. Rules: {}. Bounds:\n",
        gateways::rules()
    );
    for Gateway { name, what, millis_max, peak_mib_max, .. } in &gateways {
        println!("- **{name}**: {what}; at most {millis_max} ms and {peak_mib_max} MiB");
    }
    let heads: String = gateways.iter().map(|gateway| format!(" {} ms | MiB | said |", gateway.name)).collect();
    println!("\n| request | KiB sent |{heads}\n| --- | ---: |{}", " ---: | ---: | --- |".repeat(gateways.len()));
    let mut crossed = Vec::new();
    for case in cases::all() {
        let costs = gateways.iter().map(|gateway| (gateway, cost(&gateway.engine, &case)));
        let mut row = format!("| {} | {:.1} |", case.name, case.bytes() as f64 / 1024.0);
        for (gateway, cost) in costs {
            row += &format!(" {:.2} | {:.2} | {} |", cost.millis, cost.peak_mib, cost.said);
            if cost.millis > gateway.millis_max * SLOWER || cost.peak_mib > gateway.peak_mib_max {
                crossed
                    .push(format!("{}, {}: {:.1} ms, {:.1} MiB", case.name, gateway.name, cost.millis, cost.peak_mib));
            }
        }
        println!("{row}");
    }
    println!("\n{}", growth(&gateways));
    println!("\nMost memory that the process had: {} MiB.", peak_resident_kib() / 1024);
    crossed.iter().for_each(|case| eprintln!("over its bound: {case}"));
    if crossed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One long value of growing length: what a byte costs must stay the same.
fn growth(gateways: &[Gateway]) -> String {
    let Some(gateway) = gateways.last() else { return String::new() };
    let mut text = format!(
        "One JSON text of growing length, {}: ns per byte.\n\n| KiB | ns per byte |\n| ---: | ---: |",
        gateway.name
    );
    for kib in [64, 128, 256, 512, 1024] {
        let case = cases::one_value(kib << 10);
        let cost = cost(&gateway.engine, &case);
        text += &format!("\n| {kib} | {:.0} |", cost.millis * 1e6 / case.bytes() as f64);
    }
    text
}

fn cost(engine: &Engine, case: &Case) -> Cost {
    let mut said = inspect(engine, case); // fills what is kept between exchanges
    let mut millis = f64::INFINITY;
    let mut peak = 0;
    for _ in 0..RUNS {
        let info = allocation_counter::measure(|| {
            let begun = Instant::now();
            said = black_box(inspect(engine, case));
            millis = millis.min(begun.elapsed().as_secs_f64() * 1e3);
        });
        peak = peak.max(info.bytes_max);
    }
    Cost { millis, peak_mib: peak as f64 / MIB, said }
}

/// A whole exchange, its body in pieces.
fn inspect(engine: &Engine, case: &Case) -> String {
    let headers: Vec<HeaderField<'_>> =
        case.headers.iter().map(|(name, value)| HeaderField { name: name.as_bytes(), value }).collect();
    let head = RequestHead {
        method: case.method.as_bytes(),
        target: &case.target,
        scheme: Scheme::Http,
        authority: b"api.example.com",
        version: HttpVersion::Http11,
        headers: &headers,
    };
    let connection = Connection { peer: Some(([192, 0, 2, 1], 7).into()), local: None, tls: None };
    let mut inspection = engine.begin(&connection, RequestId::from_bits(1), Timestamp::default());
    let mut step = inspection.request_head(&head);
    for piece in case.body.chunks(PIECE_BYTES) {
        if matches!(step, Step::Stop(_)) {
            break;
        }
        step = inspection.request_body(piece);
    }
    if !matches!(step, Step::Stop(_)) {
        step = inspection.request_end();
    }
    said(inspection, &step)
}

fn said(inspection: Box<Inspection>, step: &Step) -> String {
    let ending = if matches!(step, Step::Stop(_)) { Ending::Stopped } else { Ending::Answered };
    let event = inspection.finish(Outcome { ending, ..Outcome::default() }, Timestamp::default());
    let mut checks: Vec<&str> = Vec::new();
    for finding in &event.findings {
        if !checks.contains(&finding.check.as_str()) {
            checks.push(finding.check.as_str());
        }
    }
    match (step, event.decision.check) {
        (Step::Stop(decision), Some(check)) => format!("{} {check}", decision.status),
        _ if checks.is_empty() => "passes".to_owned(),
        _ => format!("passes, {}", shortened(&checks)),
    }
}

/// LIMIT: checks that are named in a cell of the table.
const CHECKS_SHOWN: usize = 3;

fn shortened(checks: &[&str]) -> String {
    let shown = checks.iter().take(CHECKS_SHOWN).copied().collect::<Vec<_>>().join(" ");
    match checks.len().saturating_sub(CHECKS_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn peak_resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or(0)
}
