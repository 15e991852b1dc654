//! The five requests of `shared/peers/modsec-bench.cc`, with other ids, words and numbers each time, of the same sizes.

use fastrand::Rng;
use serde_json::{Value, json};

use crate::harness::{Exchange, Reply};

/// A request that is measured.
pub struct Workload {
    pub name: &'static str,
    /// Whether the rules must stop it
    pub is_attack: bool,
    pub build: fn(&mut Rng) -> Exchange,
}

/// The requests in the order of the record.
pub const WORKLOADS: &[Workload] = &[
    Workload { name: "get-simple", is_attack: false, build: get_simple },
    Workload { name: "get-api", is_attack: false, build: get_api },
    Workload { name: "post-json-240B", is_attack: false, build: post_small },
    Workload { name: "post-json-5KB", is_attack: false, build: post_large },
    Workload { name: "sqli", is_attack: true, build: injection },
];

fn get_simple(rng: &mut Rng) -> Exchange {
    let target = format!("/api/users/{}?x={}", rng.u8(1..=9), rng.u8(1..=9));
    exchange("GET", target, vec![("Host", format!("127.0.0.1:{}", rng.u16(9000..10_000)))], Vec::new())
}

fn get_api(rng: &mut Rng) -> Exchange {
    let (status, sort, color) = (word(rng, 4), word(rng, 7), word(rng, 4));
    let (verb, noun, page) = (word(rng, 7), word(rng, 5), rng.u8(1..=9));
    let target = format!("/v1/orders?status={status}&page={page}&sort=-{sort}&q={color}%20{verb}%20{noun}");
    exchange("GET", target, headers(rng), Vec::new())
}

fn post_small(rng: &mut Rng) -> Exchange {
    let name = word(rng, 4);
    let body = json!({
        "name": format!("{name} {}", word(rng, 3)),
        "email": format!("{name}@example.com"),
        "address": {
            "street": format!("{} {} St", rng.u8(1..=9), word(rng, 4)),
            "city": word(rng, 11),
            "zip": rng.u32(10_000..100_000).to_string(),
        },
        "items": [item(rng), item(rng)],
        "note": format!("{} {} at the {}, {}", word(rng, 6), word(rng, 5), word(rng, 4), word(rng, 6)),
    });
    json_post(rng, "/v1/orders", &body)
}

fn item(rng: &mut Rng) -> Value {
    json!({ "sku": format!("{}-{}", word(rng, 2).to_uppercase(), rng.u16(100..1000)), "qty": rng.u8(1..=9) })
}

fn post_large(rng: &mut Rng) -> Exchange {
    rows_of(rng, 60, "/v1/orders/bulk")
}

fn injection(rng: &mut Rng) -> Exchange {
    let (number, column, table) = (rng.u8(1..=9), word(rng, 8), word(rng, 5));
    let target = format!(
        "/v1/users?id={number}%27%20OR%20%27{number}%27%3D%27{number}%20UNION%20SELECT%20{column}%20FROM%20{table}--"
    );
    exchange("GET", target, headers(rng), Vec::new())
}

/// A JSON body of about so many bytes with many members.
pub fn rows(rng: &mut Rng, bytes: usize) -> Exchange {
    let one = rows_of(rng, 10, "/v1/orders/bulk").body.len() / 10;
    rows_of(rng, bytes / one, "/v1/orders/bulk")
}

/// A JSON body of about so many bytes with one long text.
pub fn text(rng: &mut Rng, bytes: usize) -> Exchange {
    let mut text = String::with_capacity(bytes);
    while text.len() < bytes {
        let length = rng.usize(2..9);
        text.push_str(&word(rng, length));
        text.push(' ');
    }
    json_post(rng, "/v1/notes", &json!({ "text": text }))
}

fn rows_of(rng: &mut Rng, count: usize, target: &str) -> Exchange {
    let rows: Vec<Value> = (0..count)
        .map(|id| {
            let title = format!("{} number {id} for the {} {}", word(rng, 5), word(rng, 6), word(rng, 4));
            json!({ "id": id, "title": title, "price": price(rng), "tags": [word(rng, 3), word(rng, 4)] })
        })
        .collect();
    json_post(rng, target, &json!({ "rows": rows }))
}

fn price(rng: &mut Rng) -> f64 {
    f64::from(rng.u16(1000..10_000)) / 100.0
}

fn json_post(rng: &mut Rng, target: &str, body: &Value) -> Exchange {
    let body = body.to_string().into_bytes();
    let mut headers = headers(rng);
    headers.push(("Content-Type", "application/json".into()));
    headers.push(("Content-Length", body.len().to_string()));
    exchange("POST", target.into(), headers, body)
}

fn headers(rng: &mut Rng) -> Vec<(&'static str, String)> {
    let token = format!("Bearer eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.{}.{}", token(rng, 55), token(rng, 48));
    let id = format!("{:032x}", rng.u128(..));
    let id = format!("{}-{}-4{}-8{}-{}", &id[..8], &id[8..12], &id[13..16], &id[17..20], &id[20..]);
    vec![
        ("Host", "api.example.com".into()),
        ("User-Agent", format!("okhttp/4.{}.{}", rng.u8(10..100), rng.u8(0..10))),
        ("Accept", "application/json".into()),
        ("Accept-Encoding", "gzip".into()),
        ("Authorization", token),
        ("X-Request-Id", id),
    ]
}

fn exchange(method: &str, target: String, headers: Vec<(&str, String)>, body: Vec<u8>) -> Exchange {
    Exchange {
        method: method.into(),
        target: target.into_bytes(),
        protocol: b"HTTP/1.1".to_vec(),
        headers: headers.into_iter().map(|(name, value)| (name.into(), value.into_bytes())).collect(),
        body,
        reply: Reply::default(),
    }
}

/// A word that can be spoken and is in no rule's list: every other letter a vowel, no `e`.
fn word(rng: &mut Rng, length: usize) -> String {
    let letters: [&[u8]; 2] = [b"bdfgklmnprtvz", b"aiou"];
    (0..length).map(|at| char::from(letters[at % 2][rng.usize(0..letters[at % 2].len())])).collect()
}

fn token(rng: &mut Rng, length: usize) -> String {
    (0..length).map(|_| rng.alphanumeric()).collect()
}
