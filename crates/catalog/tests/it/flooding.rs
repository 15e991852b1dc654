//! Random paths, hosts, parameters and callers: memory stays bounded, and the real endpoints stay known.

use bartizan_catalog::{Catalog, CatalogLimits, EndpointState};
use bartizan_model::{Ending, Event, Parameter, ParameterPlace, ValueKind};

use crate::build::{answered, catalog, event, learned};

/// A small deterministic generator (xorshift64*), so that a failure repeats.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn word(&mut self) -> String {
        (0..3 + self.next() % 8).map(|_| char::from(b'a' + u8::try_from(self.next() % 26).unwrap())).collect()
    }

    fn path(&mut self) -> String {
        (0..1 + self.next() % 5).map(|_| format!("/{}", self.word())).collect()
    }
}

#[test]
fn a_million_paths_that_are_not_found_leave_nothing() {
    let (mut catalog, mut noise) = (catalog(), Noise(7));
    catalog.observe(&answered("GET", "/users/1", "a", 200));
    let before = catalog.stats().nodes;
    for status in [404, 400, 405] {
        for _ in 0..333_334 {
            catalog.observe(&answered("GET", &noise.path(), "scanner", status));
        }
    }
    assert_eq!(catalog.stats().nodes, before);
    assert_eq!(catalog.stats().candidates, 0);
    assert_eq!(learned(&catalog), ["GET /users/{userId}"]);
    assert_eq!(catalog.stats().unplaced, 1_000_002);
}

#[test]
fn paths_behind_a_gate_stay_candidates_and_bounded() {
    let (mut catalog, mut noise) = (catalog(), Noise(8));
    for number in 0..50_000 {
        catalog.observe(&answered("GET", &noise.path(), &format!("{}", number % 50), 401));
    }
    let stats = catalog.stats();
    assert!(stats.candidates <= CatalogLimits::default().candidates_max, "{stats:?}");
    assert!(stats.endpoints < 200, "{stats:?}"); // short words are asked for by three actors now and then
    assert!(catalog.endpoints().iter().any(|record| record.state == EndpointState::Candidate));
}

#[test]
fn a_host_that_answers_everything_is_bounded() {
    let limits = CatalogLimits { nodes_max: 2_000, endpoints_max: 1_000, ..CatalogLimits::default() };
    let (mut catalog, mut noise) = (Catalog::new(limits.clone()), Noise(9));
    for number in 0..100_000 {
        catalog.observe(&answered("GET", &noise.path(), &format!("{}", number % 500), 200));
    }
    let stats = catalog.stats();
    assert!(stats.nodes <= limits.nodes_max && stats.endpoints <= limits.endpoints_max, "{stats:?}");
    assert!(catalog.observe(&answered("GET", "/a/b", "x", 200)).is_some() || stats.over_limit > 0);
}

#[test]
fn known_words_in_any_order_are_bounded_by_the_literals_limit() {
    let limits = CatalogLimits { literals_max: 20, ..CatalogLimits::default() };
    let (mut catalog, mut noise) = (Catalog::new(limits), Noise(10));
    for _ in 0..2_000 {
        let (a, b) = (noise.next() % 9, noise.next() % 9);
        let word = ["user", "order", "list", "find", "get", "report", "status", "item", "data"];
        let path = format!("/{}-{}-{}", word[a as usize], word[b as usize], word[(noise.next() % 9) as usize]);
        catalog.observe(&answered("GET", &path, "a", 200));
    }
    assert!(learned(&catalog).len() <= 21, "{:?}", learned(&catalog));
}

#[test]
fn invented_hosts_make_way_for_a_real_one() {
    let limits = CatalogLimits { hosts_max: 8, ..CatalogLimits::default() };
    let mut catalog = Catalog::new(limits);
    for number in 0..1_000 {
        catalog.observe(&Event { host: format!("h{number}.example").into(), ..answered("GET", "/", "a", 404) });
    }
    assert_eq!(catalog.stats().hosts, 0);
    for number in 0..100 {
        catalog.observe(&Event { host: format!("h{number}.example").into(), ..event("/") });
    }
    for _ in 0..20 {
        assert!(catalog.observe(&event("/users/1")).is_some());
    }
    for number in 100..200 {
        catalog.observe(&Event { host: format!("h{number}.example").into(), ..event("/") });
    }
    assert_eq!(catalog.stats().hosts, 8);
    assert!(catalog.resolve("GET", "api.example", "/users/1").is_some());
}

#[test]
fn what_was_stopped_or_malformed_proves_nothing() {
    let mut catalog = catalog();
    for ending in [Ending::Stopped, Ending::Malformed, Ending::NoRoute, Ending::UpstreamTimeout, Ending::InternalFault]
    {
        for actor in ["a", "b", "c", "d"] {
            catalog.observe(&Event { ending, ..answered("GET", "/admin", actor, 403) });
            catalog.observe(&Event { ending, ..answered("GET", "/admin", actor, 200) });
        }
    }
    assert_eq!(catalog.stats().nodes, 0);
    assert_eq!(catalog.stats().hosts, 0);
}

#[test]
fn parameters_and_callers_of_an_endpoint_are_bounded() {
    let (mut catalog, mut noise) = (catalog(), Noise(11));
    for number in 0..20_000 {
        let mut parameters = vec![named("page")];
        parameters.push(named(&noise.word()));
        let event = answered("GET", "/search", &format!("actor {number}"), 200);
        let request_type = Some(noise.word().into());
        catalog.observe(&Event { parameters, request_type, ..event });
    }
    let record = catalog.endpoints().remove(0);
    let limits = CatalogLimits::default();
    assert!(record.parameters.len() <= limits.parameters_max);
    assert!(record.callers.len() <= limits.callers_max);
    assert!(record.request_types.len() <= 17);
    assert!(record.callers_distinct.abs_diff(20_000) < 2_000, "{}", record.callers_distinct);
    let page = record.parameters.iter().find(|parameter| &*parameter.name == "page").unwrap();
    assert_eq!(page.seen, 20_000);
}

fn named(name: &str) -> Parameter {
    Parameter { place: ParameterPlace::Query, name: name.into(), kind: ValueKind::Integer }
}

#[test]
fn methods_of_a_path_are_bounded() {
    let (mut catalog, mut noise) = (catalog(), Noise(12));
    for _ in 0..1_000 {
        catalog.observe(&answered(&noise.word().to_uppercase(), "/a", "a", 200));
    }
    assert_eq!(learned(&catalog).len(), 16);
    assert!(catalog.stats().over_limit > 900);
}
