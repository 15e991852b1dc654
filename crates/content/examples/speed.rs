//! How long decoding takes: `cargo run --release -p bartizan-content --example speed`.
//!
//! Prints the best and the median of many rounds in microseconds, with buffers used again and with fresh ones. Several
//! variants of each body take turns, so that branch predictors do not learn one by heart.

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use bartizan_content::{Format, Limits, Scratch, decode_in};

const VARIANTS: u64 = 16;

/// A small generator: the values need to differ, not to be good.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// An order of `items` items: 7 leaves each.
fn order(seed: u64, items: usize) -> String {
    let mut state = seed;
    let mut body = format!("{{\"customer\":\"c-{:08x}\",\"express\":true,\"items\":[", next(&mut state));
    for item in 0..items {
        let comma = if item > 0 { "," } else { "" };
        let (sku, quantity, price) = (next(&mut state) % 100_000, next(&mut state) % 9 + 1, next(&mut state) % 10_000);
        let note = ["left at door", "gift", "call first", "the caf\u{e9} is closed"][(sku % 4) as usize];
        let _ = write!(
            body,
            "{comma}{{\"sku\":\"SKU-{sku:05}\",\"quantity\":{quantity},\"price\":{}.{:02},\"note\":\"{note}\",\
             \"gift\":false,\"tax\":null,\"tags\":\"a,b\"}}",
            price / 100,
            price % 100,
        );
    }
    body + "]}"
}

/// A login-like document of 216 bytes.
fn small(seed: u64) -> String {
    let mut state = seed;
    let (id, device) = (next(&mut state), next(&mut state));
    let body = format!(
        "{{\"username\":\"user{:06}\",\"password\":\"correct horse {:08x}\",\"remember\":true,\"device\":{{\"id\":\"{device:08x}\",\
         \"os\":\"linux\",\"version\":6.1}},\"locale\":\"en-GB\",\"attempt\":{},\"note\":\"",
        id % 1_000_000,
        id,
        id % 10,
    );
    let rest = 216 - body.len() - 2;
    body + &"signing in from the office and again".repeat(3)[..rest] + "\"}"
}

fn measure(what: &str, format: Format<'_>, bodies: &[String], rounds: usize) {
    let limits = Limits::unlimited();
    for is_reused in [true, false] {
        let mut scratch = Scratch::default();
        let mut times = Vec::with_capacity(rounds);
        let mut nodes = 0;
        for _ in 0..rounds {
            let start = Instant::now();
            for body in bodies {
                let content = decode_in(scratch, format, black_box(body.as_bytes()), &limits);
                nodes = black_box(&content).len();
                scratch = if is_reused { content.into_scratch() } else { Scratch::default() };
            }
            times.push(start.elapsed().as_secs_f64() * 1e6 / bodies.len() as f64);
        }
        times.sort_by(f64::total_cmp);
        let bytes = bodies.iter().map(String::len).sum::<usize>() / bodies.len();
        let buffers = if is_reused { "reused" } else { "fresh" };
        let (best, median) = (times[0], times[times.len() / 2]);
        println!("{what:<22} {bytes:>8} B {nodes:>7} nodes  {buffers:<6} best {best:>9.3} µs  median {median:>9.3} µs");
    }
}

fn main() {
    let json = |items: usize| (1..=VARIANTS).map(|seed| order(seed, items)).collect::<Vec<_>>();
    if let Some(name) = std::env::args().nth(1) {
        // For profilers: only the middle document, many times.
        return measure(&name, Format::Json, &json(48), 40_000);
    }
    measure("json 216 B", Format::Json, &(1..=VARIANTS).map(small).collect::<Vec<_>>(), 20_000);
    measure("json 5.5 KB", Format::Json, &json(48), 2_000);
    measure("json 1 MB", Format::Json, &json(9_300)[..2], 40);
    let strings = vec![format!("[\"{}\"]", "a long text without escapes ".repeat(37_000))];
    measure("json 1 MB one string", Format::Json, &strings, 200);
    let escapes = vec![format!("[\"{}\"]", r"\u0041\n".repeat(128_000))];
    measure("json 1 MB escapes", Format::Json, &escapes, 50);
    let form: String = (0..40).map(|pair| format!("field{pair}=value+{pair}%21&")).collect();
    measure("form 40 pairs", Format::Form, &[form], 2_000);
    let soap: String = (0..100).map(|item| format!("<item id='{item}'><sku>SKU-{item}</sku></item>")).collect();
    measure("xml 100 items", Format::Xml, &[format!("<order>{soap}</order>")], 1_000);
    let fields: String = (0..20)
        .map(|part| format!("--B\r\nContent-Disposition: form-data; name=\"f{part}\"\r\n\r\nvalue\r\n"))
        .collect();
    measure(
        "multipart 20 parts",
        Format::Multipart(b"multipart/form-data; boundary=B"),
        &[fields + "--B--\r\n"],
        1_000,
    );
    let query = "query Q($id: ID!) { user(id: $id) { name email ...F friends(first: 10) { id name } } } fragment F on User { id }";
    measure("graphql", Format::Graphql, &[query.to_string()], 5_000);
}
