//! Some thousands of calls of a bank and a shop, judged by the real engine and folded by the real catalog.

use std::net::IpAddr;
use std::sync::Arc;

use bartizan_catalog::{Catalog, CatalogLimits};
use bartizan_engine::{Inputs, Snapshot, judge};
use bartizan_model::{Event, Exchange, HttpVersion, Request, RequestId, Response, Scheme, Source, Timestamp};

/// 2026-01-31T12:00:00Z: the end of the traffic, and where the tests' clock starts.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_769_860_800_000_000);

pub(crate) const YAML: &str = "\
listeners:
  - address: 127.0.0.1:8080
upstreams:
  - name: bank
    targets:
      - address: 127.0.0.1:9001
  - name: shop
    targets:
      - address: 127.0.0.1:9002
apis:
  - name: bank
    hosts: [bank.example]
    upstream: bank
  - name: shop
    hosts: [shop.example]
    upstream: shop
policies:
  - name: no-deletes
    mode: enforce
    scope:
      apis: [bank]
    methods:
      allow: [GET, POST]
  - name: short-targets
    mode: observe
    limits:
      target_bytes_max: 100
  - name: few-orders
    mode: observe
    scope:
      apis: [shop]
      paths: [/orders/**]
    rate:
      key: [address]
      quota: { requests: 1000000, per: 1h }
";

/// What the traffic left behind.
pub(crate) struct Traffic {
    pub(crate) events: Vec<Event>,
    pub(crate) catalog: Catalog,
}

/// `count` calls, evenly over the hour before [`NOW`]: twice through the engine, the second time with the endpoints
/// that the catalog learned from the first, as a gateway that has run for a while does.
pub(crate) fn play(count: usize) -> Traffic {
    let parsed = bartizan_config::parse(YAML, "bartizan.yaml", std::path::Path::new(""));
    let config = parsed.config.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics));
    let exchanges: Vec<Exchange> = (0..count).map(|number| call(number, count)).collect();
    let snapshot = Arc::new(Snapshot::compile(
        &config,
        Inputs {
            generation: 1,
            endpoints: &[],
            plans: &bartizan_engine::Plans::new(),
            counters: &bartizan_engine::Counters::default(),
            key: [7; 32],
        },
    ));
    let mut teacher = Catalog::new(CatalogLimits::default());
    for event in judged(&exchanges, &snapshot) {
        teacher.observe(&event);
    }
    let snapshot = Arc::new(snapshot.with_endpoints(2, &teacher.learned()));
    let events = judged(&exchanges, &snapshot);
    let mut catalog = Catalog::new(CatalogLimits::default());
    for event in &events {
        catalog.observe(event);
    }
    Traffic { events, catalog }
}

fn judged(exchanges: &[Exchange], snapshot: &Arc<Snapshot>) -> Vec<Event> {
    let judged = |(number, exchange)| {
        let id = RequestId::from_bits(0x1000_0000 + number as u128);
        judge(snapshot, exchange, Source::Exchanges, id, NOW).event
    };
    exchanges.iter().enumerate().map(judged).collect()
}

/// Ten kinds of call in turn; the eighth is denied, the ninth observed, the tenth fails.
fn call(number: usize, count: usize) -> Exchange {
    let account = 1000 + number % 200;
    let (method, host, target, status) = match number % 10 {
        0 | 1 => ("GET", "bank.example", format!("/v1/accounts/{account}"), 200),
        2 => ("GET", "bank.example", format!("/v1/accounts/{account}/statements?month=2026-01"), 200),
        3 => ("POST", "bank.example", "/v1/payments".to_owned(), 201),
        4 | 5 => ("GET", "shop.example", "/products?page=2".to_owned(), 200),
        6 => (
            "GET",
            "shop.example",
            format!("/orders/{account}"),
            if (number / 10).is_multiple_of(2) { 404 } else { 200 },
        ),
        7 => ("DELETE", "bank.example", format!("/v1/accounts/{account}"), 204),
        8 => ("GET", "shop.example", format!("/products?q={}", "x".repeat(120)), 200),
        _ => ("POST", "shop.example", "/checkout".to_owned(), 503),
    };
    let header = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    let mut headers = vec![header("host", host), header("user-agent", "mobile/4.2")];
    if host == "bank.example" {
        headers.push(header("authorization", &format!("Bearer token-{}", number % 7)));
    }
    let step_us = 3600 * 1_000_000 / count as i64;
    let before_us = (count - number) as i64 * step_us;
    Exchange {
        time: Some(NOW.plus_micros(-before_us)),
        client: Some(IpAddr::from([192, 0, 2, (number % 50) as u8])),
        request: Request {
            method: method.as_bytes().to_vec(),
            scheme: Scheme::Https,
            authority: host.as_bytes().to_vec(),
            target: target.into_bytes(),
            version: HttpVersion::Http11,
            headers,
            body: Some(Vec::new()),
            body_bytes: None,
        },
        response: Some(Response {
            status,
            headers: vec![header("content-type", "application/json")],
            body: Some(b"{}".to_vec()),
            body_bytes: None,
        }),
        duration_us: Some(1_000 + (number % 100) as u64 * 100),
        label: None,
    }
}
