//! What one event costs the catalog once its endpoint is known: `cargo run --release -p bartizan-catalog --example observe_cost`.
//!
//! 64 endpoints with ids in their paths, three query parameters each, 500 callers: the traffic of an ordinary API.

use std::hint::black_box;
use std::time::Instant;

use bartizan_catalog::{Catalog, CatalogLimits};
use bartizan_model::{
    Actor, ActorKind, AuthKind, Client, Decision, Ending, Event, HttpVersion, Missing, Parameter, ParameterPlace,
    RequestId, Scheme, Source, Timestamp, ValueKind,
};

const NOUNS: [&str; 8] = ["users", "orders", "products", "invoices", "carts", "payments", "sessions", "reports"];

fn event(number: usize) -> Event {
    let (first, second) = (NOUNS[number % 8], NOUNS[number / 8 % 8]);
    let parameter =
        |name: &str| Parameter { place: ParameterPlace::Query, name: name.into(), kind: ValueKind::Integer };
    Event {
        id: RequestId::from_bits(number as u128),
        time: Timestamp::from_millis(number as i64),
        source: Source::Gateway,
        client: Client { ip: None, via: None, tls_version: None },
        actor: Actor { kind: ActorKind::Credential, id: format!("caller {}", number * 7 % 500).into() },
        scheme: Scheme::Https,
        version: HttpVersion::Http2,
        host: "api.example".into(),
        method: if number.is_multiple_of(5) { "POST" } else { "GET" }.into(),
        path: format!("/api/v1/{first}/{}/{second}/{}", number * 31 % 10_000, number * 17 % 5_000).into(),
        api: Some("shop".into()),
        endpoint: None,
        parameters: vec![parameter("limit"), parameter("offset"), parameter("sort")],
        auth: [AuthKind::Jwt].into_iter().collect(),
        principal: None,
        cache_status: None,
        user_agent: None,
        request_type: None,
        response_type: Some("application/json".into()),
        ending: Ending::Answered,
        status: 200,
        request_bytes: 0,
        response_bytes: 100,
        duration_us: 900,
        upstream_us: None,
        upstream: None,
        findings: Vec::new(),
        decision: Decision::default(),
        missing: Missing::default(),
    }
}

fn main() {
    let events: Vec<Event> = (0..20_000).map(event).collect();
    let mut catalog = Catalog::new(CatalogLimits::default());
    events.iter().for_each(|event| drop(catalog.observe(event)));
    println!("{:?}", catalog.stats());
    let mut best = f64::MAX;
    for _ in 0..10 {
        let start = Instant::now();
        for event in &events {
            black_box(catalog.observe(black_box(event)));
        }
        best = best.min(start.elapsed().as_nanos() as f64 / events.len() as f64);
    }
    println!("{best:.0} ns an event (best of 10 rounds of {})", events.len());
}
