//! What is known of an endpoint.

use bartizan_catalog::{EndpointState, ParameterType};
use bartizan_model::{
    AuthKind, Decision, Ending, Event, Missing, Parameter, ParameterPlace, Source, Timestamp, ValueKind,
};

use crate::build::{answered, catalog, event, learned};

fn parameter(place: ParameterPlace, name: &str, kind: ValueKind) -> Parameter {
    Parameter { place, name: name.into(), kind }
}

#[test]
fn a_record_holds_what_the_events_said() {
    let mut catalog = catalog();
    catalog.observe(&Event {
        time: Timestamp::from_millis(5_000),
        auth: [AuthKind::Jwt].into_iter().collect(),
        request_type: Some("application/json".into()),
        response_type: Some("application/json".into()),
        parameters: vec![
            parameter(ParameterPlace::Query, "limit", ValueKind::Integer),
            parameter(ParameterPlace::Header, "x-tenant", ValueKind::Word),
        ],
        ..answered("GET", "/orders/7", "ann", 200)
    });
    catalog.observe(&Event {
        time: Timestamp::from_millis(3_000),
        parameters: vec![parameter(ParameterPlace::Query, "limit", ValueKind::Decimal)],
        ..answered("GET", "/orders/550e8400-e29b-41d4-a716-446655440000", "bob", 500)
    });
    catalog.observe(&Event { time: Timestamp::from_millis(9_000), ..answered("GET", "/orders/8", "bob", 404) });
    let records = catalog.endpoints();
    let [record] = &records[..] else { panic!("{records:#?}") };
    assert_eq!(record.template.to_string(), "/orders/{orderId}");
    assert_eq!(record.id, record.endpoint().id());
    assert_eq!((record.requests, record.errors, record.denied), (3, 1, 0));
    assert_eq!(record.first_seen, Timestamp::from_millis(3_000));
    assert_eq!(record.last_seen, Timestamp::from_millis(9_000));
    assert_eq!(record.statuses.iter().map(|s| (s.status, s.count)).collect::<Vec<_>>(), [(200, 1), (404, 1), (500, 1)]);
    assert_eq!(
        record.auth.iter().map(|a| (a.kind, a.count)).collect::<Vec<_>>(),
        [(None, 2), (Some(AuthKind::Jwt), 1)]
    );
    assert_eq!(record.callers.iter().map(|c| (&*c.id, c.count)).collect::<Vec<_>>(), [("bob", 2), ("ann", 1)]);
    assert_eq!(record.callers_distinct, 2);
    assert_eq!(record.api.as_deref(), Some("shop"));
    assert_eq!(record.request_types[0].value.as_ref(), "application/json");
    assert_eq!(record.paths_sample, ["/orders/7".into()]);
    // a failed request teaches no parameters
    let shown: Vec<_> = record.parameters.iter().map(|p| (&*p.name, p.data_type, p.seen)).collect();
    assert_eq!(
        shown,
        [
            ("orderId", ParameterType::Integer, 3),
            ("limit", ParameterType::Integer, 1),
            ("x-tenant", ParameterType::String, 1)
        ]
    );
}

#[test]
fn types_widen_as_little_as_they_must() {
    use ValueKind::{Date, Decimal, Empty, Integer, Uuid, Word};
    let cases = [
        (vec![Integer, Integer], ParameterType::Integer),
        (vec![Integer, Empty], ParameterType::Integer),
        (vec![Integer, Decimal], ParameterType::Number),
        (vec![Uuid], ParameterType::Uuid),
        (vec![Uuid, Integer], ParameterType::String),
        (vec![Date, Word], ParameterType::String),
        (vec![Empty], ParameterType::String),
    ];
    for (kinds, expected) in cases {
        let mut catalog = catalog();
        for kind in &kinds {
            let parameters = vec![parameter(ParameterPlace::Query, "q", *kind)];
            catalog.observe(&Event { parameters, ..event("/search") });
        }
        assert_eq!(catalog.endpoints()[0].parameters[0].data_type, expected, "{kinds:?}");
    }
}

#[test]
fn a_denied_request_counts_for_the_endpoint_it_aimed_at() {
    let mut catalog = catalog();
    catalog.observe(&event("/orders/7"));
    let decision = r#"{"action":"deny","applied":true,"status":403,"check":null,"policy":null}"#;
    let decision: Decision = serde_json::from_str(decision).unwrap();
    catalog.observe(&Event { ending: Ending::Stopped, decision, ..answered("GET", "/orders/8", "eve", 403) });
    let record = catalog.endpoints().remove(0);
    assert_eq!((record.requests, record.denied, record.errors), (2, 1, 0));
}

#[test]
fn a_candidate_keeps_its_history_when_it_is_promoted() {
    let mut catalog = catalog();
    for actor in ["a", "b"] {
        assert_eq!(catalog.observe(&answered("GET", "/vault/1", actor, 401)), None);
    }
    let waiting = catalog.endpoints();
    assert_eq!((waiting[0].state, waiting[0].requests), (EndpointState::Candidate, 2));
    assert_eq!(waiting[0].template.to_string(), "/vault/{vaultId}");
    assert!(catalog.learned().is_empty());
    assert!(catalog.observe(&answered("GET", "/vault/2", "c", 200)).is_some());
    let records = catalog.endpoints();
    assert_eq!((records.len(), records[0].state, records[0].requests), (1, EndpointState::Discovered, 3));
    assert_eq!(records[0].id, waiting[0].id);
}

#[test]
fn three_actors_promote_a_candidate_once_each() {
    let mut catalog = catalog();
    for (actor, expected) in [("a", false), ("a", false), ("b", false), ("b", false), ("c", true)] {
        assert_eq!(catalog.observe(&answered("GET", "/vault", actor, 403)).is_some(), expected);
    }
    assert_eq!(catalog.endpoints()[0].requests, 5);
}

#[test]
fn a_recording_without_responses_still_shows_its_endpoints() {
    let mut catalog = catalog();
    let missing = Missing { response: true, ..Missing::default() };
    catalog.observe(&Event { source: Source::Exchanges, missing, ..answered("GET", "/users/7", "a", 0) });
    catalog.observe(&Event { source: Source::Gateway, missing, ..answered("GET", "/nothing", "a", 0) });
    assert_eq!(learned(&catalog), ["GET /users/{userId}"]);
}

#[test]
fn records_survive_json() {
    let mut catalog = catalog();
    catalog.observe(&event("/orders/7"));
    let json = serde_json::to_string(&catalog.endpoints()).unwrap();
    assert_eq!(serde_json::from_str::<Vec<bartizan_catalog::EndpointRecord>>(&json).unwrap(), catalog.endpoints());
}
