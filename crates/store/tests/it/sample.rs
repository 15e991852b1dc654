//! Events and stores for the tests.

use std::net::Ipv4Addr;
use std::path::Path;

use bartizan_model::{
    Action, Actor, ActorKind, AuthKind, CheckId, Client, Confidence, Decision, Ending, EndpointRef, Event, Finding,
    HttpVersion, Location, Missing, Parameter, ParameterPlace, Part, PathTemplate, RequestId, Scheme, Severity, Source,
    Timestamp, ValueKind,
};
use bartizan_store::{EventQuery, Store, StoreOptions};

/// 2026-01-01T00:00:00Z.
pub const START: i64 = 1_767_225_600_000_000;
pub const SECOND: i64 = 1_000_000;
pub const HOUR: i64 = 3600 * SECOND;

/// An allowed GET, `number` microseconds after the start, with an id made of its time and number.
pub fn event(number: u64) -> Event {
    at(START + i64::try_from(number).unwrap(), number)
}

/// An allowed GET at a time.
pub fn at(time: i64, number: u64) -> Event {
    let template: PathTemplate = "/users/{id}".parse().unwrap();
    let millis = u128::try_from(time / 1000).unwrap_or_default();
    Event {
        id: RequestId::from_bits((millis << 80) | u128::from(number)),
        time: Timestamp::from_micros(time),
        source: Source::Gateway,
        client: Client { ip: Some(Ipv4Addr::new(192, 0, 2, 1).into()), via: None, tls_version: None },
        actor: Actor { kind: ActorKind::Network, id: "192.0.2.1".into() },
        scheme: Scheme::Http,
        version: HttpVersion::Http11,
        host: "api.example".into(),
        method: "GET".into(),
        path: format!("/users/{number}").into(),
        api: Some("users".into()),
        endpoint: Some(EndpointRef {
            id: bartizan_model::EndpointId::of("GET", "api.example", &template),
            template: template.to_string().into(),
        }),
        parameters: vec![Parameter { place: ParameterPlace::Path, name: "id".into(), kind: ValueKind::Integer }],
        auth: [AuthKind::Jwt].into_iter().collect(),
        principal: None,
        user_agent: Some("curl/8.0".into()),
        request_type: None,
        response_type: Some("application/json".into()),
        ending: Ending::Answered,
        status: 200,
        request_bytes: 0,
        response_bytes: 100,
        duration_us: 1000 + number,
        upstream_us: Some(900),
        upstream: Some("backend".into()),
        findings: vec![],
        decision: Decision::default(),
        missing: Missing::default(),
        cache_status: None,
    }
}

/// The same, denied by a check; applied or only observed.
pub fn denied(mut event: Event, applied: bool) -> Event {
    event.findings = vec![finding("ACC-101"), finding("ACC-101"), finding("LIM-101")];
    event.decision = Decision {
        action: Action::Deny,
        applied,
        status: 403,
        check: Some(CheckId::new("ACC-101")),
        policy: Some("methods".into()),
    };
    if applied {
        event.ending = Ending::Stopped;
        event.status = 403;
    }
    event
}

pub fn finding(check: &'static str) -> Finding {
    Finding {
        check: CheckId::new(check),
        severity: Severity::High,
        confidence: Confidence::High,
        location: Location::named(Part::Query, "id"),
        evidence: "method `DELETE` is not allowed".into(),
        policy: None,
    }
}

/// A store that flushes only when told to.
pub fn open(directory: &Path) -> Store {
    Store::open(directory, StoreOptions { flush_interval_ms: 3_600_000, ..StoreOptions::default() }).unwrap()
}

/// A search over all time.
pub fn query(q: &str) -> EventQuery {
    EventQuery {
        from: Timestamp::from_micros(i64::MIN),
        to: Timestamp::from_micros(i64::MAX),
        q: q.to_owned(),
        limit: 1000,
        cursor: None,
    }
}

/// Paths of the segments, in name order, relative to nothing.
pub fn segments(directory: &Path) -> Vec<std::path::PathBuf> {
    files(directory).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "parquet")).collect()
}

/// Every file of the event log.
pub fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.join("events")];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// How many events there are.
pub fn count(store: &Store) -> u64 {
    let table = store.block_on(store.sql("SELECT count(*) FROM events", bartizan_store::SqlLimits::default())).unwrap();
    table.rows[0][0].as_u64().unwrap()
}
