//! What rate limits cost: `cargo run --release -p bartizan-engine --example limits [keys]`.
//!
//! Prints, for each kind of limit, nanoseconds that it adds to an inspection (median of rounds, with and without the
//! policy in turns) over that many clients in random order, and bytes a key once all of them are live.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bartizan_engine::{Counters, Inputs, Inspection, Plans, Snapshot};
use bartizan_model::{
    Connection, HeaderField, HttpVersion, Outcome, RequestHead, RequestId, Scheme, Source, Timestamp,
};

/// Inspections of one round.
const ROUND: u64 = 200_000;
/// Rounds; the median counts.
const ROUNDS: usize = 5;

const KINDS: [(&str, &str); 6] = [
    ("spike arrest", "spike_arrest: { requests: 1, per: 1d, burst: 1000 }"),
    ("quota, rolling, 50", "quota: { requests: 50, per: 30d }"),
    ("quota, rolling, 10,000", "quota: { requests: 10000, per: 30d }"),
    ("quota, rolling, 1,000,000", "quota: { requests: 1000000, per: 30d }"),
    ("quota, calendar", "quota: { requests: 1000000, per: month }"),
    (
        "spike arrest and quota",
        "spike_arrest: { requests: 1, per: 1d, burst: 1000 }\n      quota: { requests: 10000, per: 30d }",
    ),
];

fn main() {
    let keys: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let plain = snapshot("", &Counters::default());
    println!("{:<28} {:>10} {:>12} {:>10} {:>10}", "limit", "ns more", "bytes a key", "keys", "overflowed");
    for (name, rate) in KINDS {
        let counters = Counters::default();
        let text =
            format!("policies:\n  - name: p\n    mode: enforce\n    rate:\n      keys_max: {keys}\n      {rate}\n");
        let limited = snapshot(&text, &counters);
        let mut clock = 1_767_225_600_000_000;
        (0..keys).for_each(|client| inspect(&limited, client, &mut clock));
        let mut more: Vec<f64> = (0..ROUNDS)
            .map(|round| {
                let without = time(&plain, keys, round as u64, &mut clock);
                time(&limited, keys, round as u64, &mut clock) - without
            })
            .collect();
        more.sort_by(f64::total_cmp);
        let stats = counters.stats();
        let live: u64 = stats.iter().map(|table| table.keys).max().unwrap_or_default();
        let bytes: u64 = stats.iter().map(|table| table.bytes).sum();
        let overflowed: u64 = stats.iter().map(|table| table.overflowed_total).sum();
        let per_key = bytes as f64 / live as f64;
        println!("{name:<28} {:>10.0} {per_key:>12.1} {live:>10} {overflowed:>10}", more[ROUNDS / 2]);
    }
}

/// Nanoseconds an inspection, over random clients.
fn time(snapshot: &Arc<Snapshot>, keys: u64, seed: u64, clock: &mut i64) -> f64 {
    let mut state = seed + 1;
    let begun = Instant::now();
    for _ in 0..ROUND {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        inspect(snapshot, (state >> 33) % keys, clock);
    }
    begun.elapsed().as_nanos() as f64 / ROUND as f64
}

fn inspect(snapshot: &Arc<Snapshot>, client: u64, clock: &mut i64) {
    *clock += 10;
    let now = Timestamp::from_micros(*clock);
    let address = IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 + client as u32));
    let connection = Connection { peer: Some(SocketAddr::new(address, 1)), local: None, tls: None };
    let headers = [
        HeaderField { name: b"host", value: b"shop.example" },
        HeaderField { name: b"accept", value: b"*/*" },
        HeaderField { name: b"authorization", value: b"Bearer 0123456789abcdef0123456789abcdef" },
    ];
    let head = RequestHead {
        method: b"GET",
        target: b"/v1/items?page=2",
        scheme: Scheme::Https,
        authority: b"shop.example",
        version: HttpVersion::Http11,
        headers: &headers,
    };
    let id = RequestId::from_bits(1);
    let mut inspection = Inspection::new(Arc::clone(snapshot), &connection, id, Source::Gateway, now);
    let _ = inspection.request_head(&head);
    let _ = inspection.request_end();
    std::hint::black_box(inspection.finish(Outcome { status: 200, ..Outcome::default() }, now));
}

fn snapshot(policies: &str, counters: &Counters) -> Arc<Snapshot> {
    let text = format!(
        "listeners: [{{ address: \"127.0.0.1:1\" }}]\nupstreams: [{{ name: a, targets: [{{ address: \"127.0.0.1:2\" }}] }}]\n{policies}"
    );
    let parsed = bartizan_config::parse(&text, "limits.yaml", Path::new(""));
    let Some(config) = parsed.config else { panic!("{:?}", parsed.diagnostics) };
    let plans = Plans::new();
    let inputs = Inputs { generation: 1, endpoints: &[], plans: &plans, counters, key: [7; 32] };
    Arc::new(Snapshot::compile(&config, inputs))
}
