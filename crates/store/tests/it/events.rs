//! Events in, events out: round trips, searches, aggregates.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use bartizan_model::{
    Action, Actor, ActorKind, AuthKind, CacheStatus, CheckId, Client, Confidence, CredentialKind, Decision, Ending,
    EndpointId, EndpointRef, Event, EventPrincipal, Finding, FindingPolicy, HttpVersion, Location, Missing, Mode,
    Parameter, ParameterPlace, Part, RequestId, Scheme, Severity, Source, Strength, Timestamp, ValueKind,
};
use bartizan_store::{EventQuery, EventRow, Filter, PolicyScope, Store};
use proptest::prelude::*;

use crate::sample::{HOUR, SECOND, START, at, denied, event, open, query, segments};

fn search(store: &Store, q: &str) -> Vec<EventRow> {
    store.block_on(store.search(query(q))).unwrap().items
}

fn paths(rows: &[EventRow]) -> Vec<&str> {
    rows.iter().map(|row| row.path.as_str()).collect()
}

#[test]
fn an_event_is_seen_at_once_and_still_after_flush_and_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let wanted = denied(event(7), true);
    store.append(&[event(6), wanted.clone(), event(8)]);
    let find = |store: &Store| store.block_on(store.event(wanted.id)).unwrap();
    assert_eq!(find(&store), Some(wanted.clone()));
    assert_eq!(segments(directory.path()).len(), 0);
    store.flush().unwrap();
    assert_eq!(segments(directory.path()).len(), 1);
    assert_eq!(find(&store), Some(wanted.clone()));
    assert_eq!(search(&store, "").len(), 3, "an event is seen once, on disk or in memory");
    drop(store);
    let store = open(directory.path());
    assert_eq!(find(&store), Some(wanted.clone()));
    assert_eq!(store.block_on(store.event(RequestId::from_bits(1))).unwrap(), None);
}

#[test]
fn closing_writes_what_is_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.append(&[event(1)]);
    drop(store);
    assert_eq!(search(&open(directory.path()), "").len(), 1);
}

#[test]
fn a_search_gives_the_newest_first_page_by_page_across_hours_and_memory() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for hour in [3, 1, 2, 0] {
        store.append(
            &(0..25).map(|n| at(START + hour * HOUR + n / 2, n as u64 + 100 * hour as u64)).collect::<Vec<_>>(),
        );
        if hour != 0 {
            store.flush().unwrap();
        }
    }
    let whole = search(&store, "");
    assert_eq!(whole.len(), 100);
    assert!(whole.is_sorted_by(|one, other| (one.time, &one.id) > (other.time, &other.id)));
    let (mut paged, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.block_on(store.search(EventQuery { limit: 7, cursor, ..query("") })).unwrap();
        assert!(page.items.len() <= 7);
        paged.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(paged, whole);
}

#[test]
fn a_search_keeps_to_its_range_whose_end_is_excluded() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.append(&(0..10).map(event).collect::<Vec<_>>());
    let range =
        EventQuery { from: Timestamp::from_micros(START + 3), to: Timestamp::from_micros(START + 5), ..query("") };
    let page = store.block_on(store.search(range)).unwrap();
    assert_eq!(paths(&page.items), ["/users/4", "/users/3"]);
    assert_eq!(page.next, None);
}

#[test]
fn a_bad_query_or_cursor_is_the_askers_fault() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for bad in [query("colour:red"), EventQuery { cursor: Some("x".to_owned()), ..query("") }] {
        let error = store.block_on(store.search(bad)).unwrap_err();
        assert!(error.is_query_fault(), "{error}");
    }
}

#[test]
fn every_kind_of_term_finds_what_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut other = event(2);
    other.method = "POST".into();
    other.api = None;
    other.status = 503;
    other.auth = bartizan_model::AuthKinds::NONE;
    other.path = "/100%_sure\\".into();
    other.user_agent = Some("Mozilla Firefox".into());
    other.missing = Missing { response: true, ..Missing::default() };
    store.append(&[event(1), other, denied(event(3), false)]);
    store.flush().unwrap();
    let check = |q: &str, numbers: &[usize]| {
        let found: Vec<usize> =
            search(&store, q).iter().map(|row| usize::try_from(row.time.as_micros() - START).unwrap()).collect();
        assert_eq!(found, numbers, "{q}");
    };
    check("", &[3, 2, 1]);
    check("method:GET", &[3, 1]);
    check("method:GET,POST", &[3, 2, 1]);
    check("-method:GET", &[2]);
    check("status:>=500", &[2]);
    check("status:2xx", &[3, 1]);
    check("status:<500 status:>100", &[3, 1]);
    check("path:/users/*", &[3, 1]);
    check("path:/100%_*", &[2]);
    check("path:/1*%_sur*e\\", &[2]);
    check("path:/user%", &[]);
    check("-path:/users/*", &[2]);
    check("firefox", &[2]);
    check("\"zilla fire\"", &[2]);
    check("user_agent:\"Mozilla Firefox\"", &[2]);
    check("-firefox", &[3, 1]);
    check("api:\"\"", &[2]);
    check("-api:users", &[2]);
    check("api:*", &[3, 1]);
    check("auth:none", &[2]);
    check("auth:jwt", &[3, 1]);
    check("missing:response", &[2]);
    check("missing:response_body", &[]);
    check("decision:deny applied:false", &[3]);
    check("check:ACC-101", &[3]);
    check("-check:ACC-101", &[2, 1]);
    check("findings_count:>0", &[3]);
    check("time:<2026-01-01T00:00:00.000002Z", &[1]);
    check("status:200 host:api.example firefox", &[]);
}

#[test]
fn an_overview_partitions_the_requests_and_compares_with_the_window_before() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut failed = event(4);
    failed.ending = Ending::UpstreamTimeout;
    failed.status = 504;
    store.append(&[event(1), denied(event(2), true), denied(event(3), false), failed, at(START - SECOND, 9)]);
    let (from, to) = (Timestamp::from_micros(START), Timestamp::from_micros(START + 60 * SECOND));
    let overview = store.block_on(store.overview(from, to)).unwrap();
    let totals = overview.totals;
    assert_eq!((totals.requests, totals.allowed, totals.observed, totals.denied, totals.errors), (4, 1, 1, 1, 1));
    assert_eq!((totals.clients, overview.previous.requests, overview.previous.allowed), (1, 1, 1));
    assert_eq!((overview.step_s, overview.series.len()), (1, 60));
    let first = overview.series[0];
    assert_eq!((first.time, first.allowed, first.observed, first.denied, first.errors), (from, 1, 1, 1, 1));
    assert!(overview.series[1..].iter().all(|bucket| bucket.allowed + bucket.denied == 0));
    assert_eq!(overview.latency.len(), 1);
    assert_eq!(overview.latency[0].p50_us, 1002, "of the two that were answered: 1001 and 1003");
    let top = &overview.top_endpoints[0];
    assert_eq!((top.template.as_str(), top.requests, top.denied, top.errors), ("/users/{id}", 4, 1, 1));
    let checks: Vec<_> = overview.top_checks.iter().map(|check| (check.check.as_str(), check.count)).collect();
    assert_eq!(checks, [("ACC-101", 2), ("LIM-101", 2)]);
    assert_eq!(overview.sources[0].events, 4);
    assert_eq!(overview.sources[0].last_event.as_micros(), START + 4);
    let policies = store.block_on(store.policy_counts(from)).unwrap();
    assert_eq!((policies[0].policy.as_str(), policies[0].denied, policies[0].observed), ("methods", 1, 1));
}

#[test]
fn what_a_policy_did_is_counted_in_its_scope_over_time_by_endpoint_and_check() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut elsewhere = denied(at(START + 40 * SECOND, 5), false);
    elsewhere.client.ip = Some(Ipv4Addr::new(192, 0, 2, 9).into());
    let observing = |name: &str| Some(FindingPolicy { name: name.into(), mode: Mode::Observe });
    elsewhere.findings[1].policy = observing("methods");
    elsewhere.findings[2].policy = observing("quo\"ted");
    let mut other = event(6);
    other.api = Some("shop".into());
    store.append(&[event(1), denied(event(2), true), denied(event(3), false), elsewhere, other]);
    store.append(&[denied(at(START - SECOND, 7), true)]); // before the window
    store.flush().unwrap();
    let (from, to) = (Timestamp::from_micros(START), Timestamp::from_micros(START + 48 * SECOND));
    let scope = |policy: &str, q: &str| PolicyScope { policy: policy.into(), q: q.into() };
    let asked = vec![scope("quo\"ted", ""), scope("methods", "api:users method:GET"), scope("off", "api:\"")];
    let activity = store.block_on(store.policy_activity(from, to, asked)).unwrap();
    let [quoted, methods, off] = activity.policies.try_into().unwrap();
    assert_eq!((quoted.requests, quoted.denied, quoted.observed, quoted.beside), (Some(5), 0, 0, 1));
    assert_eq!((methods.requests, methods.denied, methods.observed, methods.beside), (Some(4), 1, 2, 0));
    assert_eq!((off.requests, off.last_hit, off.series.len()), (None, None, 48), "its query is none");
    assert_eq!((methods.clients, methods.last_hit.unwrap().as_micros()), (2, START + 40 * SECOND));
    let hits: Vec<_> = methods.series.iter().map(|bucket| (bucket.denied, bucket.observed)).collect();
    assert_eq!((activity.step_s, hits[0], hits[40]), (1, (1, 1), (0, 1)));
    assert_eq!(hits.iter().map(|(denied, observed)| denied + observed).sum::<u64>(), 3);
    let [endpoint] = methods.endpoints.try_into().unwrap();
    assert_eq!((endpoint.method.as_str(), endpoint.template.as_str(), endpoint.hits), ("GET", "/users/{id}", 3));
    assert_eq!((methods.checks[0].check.as_str(), methods.checks[0].count), ("ACC-101", 3));

    let former = store.block_on(store.policy_activity(from, to, Vec::new())).unwrap().policies;
    assert_eq!((former[0].policy.as_str(), former[0].requests, former[0].observed), ("methods", None, 2));
    assert!(store.block_on(store.policy_activity(to, from, Vec::new())).unwrap_err().is_query_fault());
}

#[test]
fn a_histogram_facets_and_an_endpoints_series_follow_the_query() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut post = at(START + 90 * 60 * SECOND, 2);
    post.method = "POST".into();
    post.status = 404;
    store.append(&[event(1), event(3), post.clone()]);
    store.flush().unwrap();
    let (from, to) = (Timestamp::from_micros(START + 1), Timestamp::from_micros(START + 2 * HOUR));
    let histogram = store.block_on(store.histogram(from, to, "method:POST")).unwrap();
    assert_eq!((histogram.step_s, histogram.buckets.len()), (60, 120));
    assert_eq!(histogram.buckets.iter().map(|bucket| bucket.allowed).sum::<u64>(), 1);
    assert_eq!(histogram.buckets[90].allowed, 1);
    let facets = store.block_on(store.facets(from, to, "", &["method", "status", "api"])).unwrap();
    let methods = serde_json::to_value(&facets["method"]).unwrap();
    assert_eq!(methods, serde_json::json!([{"value": "GET", "count": 2}, {"value": "POST", "count": 1}]));
    assert_eq!(facets["status"][0].value, 200);
    assert!(store.block_on(store.facets(from, to, "", &["parameters"])).unwrap_err().is_query_fault());
    let id = post.endpoint.unwrap().id;
    let series = store.block_on(store.endpoint_series(id, from, to)).unwrap();
    assert_eq!((series.series[0].success, series.series[90].client_error), (2, 1));
    assert!(store.block_on(store.histogram(to, from, "")).unwrap_err().is_query_fault());
}

#[test]
fn events_of_1970_and_9999_and_beyond_are_kept_and_found() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let times = [i64::MIN, -1, 0, START, 253_402_300_799_000_000, i64::MAX - 1];
    let events: Vec<Event> = times.iter().enumerate().map(|(number, time)| at(*time, number as u64)).collect();
    store.append(&events);
    store.flush().unwrap();
    assert_eq!(segments(directory.path()).len(), times.len());
    drop(store);
    let store = open(directory.path());
    let found: Vec<i64> = search(&store, "").iter().rev().map(|row| row.time.as_micros()).collect();
    assert_eq!(found, times);
    for event in events {
        assert_eq!(store.block_on(store.event(event.id)).unwrap(), Some(event));
    }
    let epoch = Timestamp::from_micros(-SECOND);
    let series = store.block_on(store.histogram(epoch, Timestamp::from_micros(SECOND), "")).unwrap();
    assert_eq!(series.buckets.iter().map(|bucket| bucket.allowed).collect::<Vec<_>>(), [1, 1]);
    let whole = store.block_on(store.overview(Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX)));
    assert_eq!(whole.unwrap().totals.requests, times.len() as u64);
}

#[test]
fn who_called_is_kept_found_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let principal = |key: &str| EventPrincipal {
        subject: "0123456789abcdef".into(),
        application: Some("shop".into()),
        credential_id: Some(key.into()),
        scopes: vec!["orders:read".into()],
        roles: vec![],
        credential: CredentialKind::ApiKey,
        strength: Strength::Shared,
    };
    let by = |event: Event, key: &str| Event { principal: Some(Arc::new(principal(key))), ..event };
    let known = by(event(1), "k1");
    store.append(&[known.clone(), by(denied(event(2), true), "k1"), by(event(3), "k2"), event(4)]);
    for _ in ["in memory", "on disk"] {
        assert_eq!(store.block_on(store.event(known.id)).unwrap(), Some(known.clone()));
        assert_eq!(search(&store, "application:shop").len(), 3);
        let found = search(&store, "credential_id:k2");
        assert_eq!(paths(&found), ["/users/3"]);
        assert_eq!((found[0].application.as_deref(), found[0].credential_id.as_deref()), (Some("shop"), Some("k2")));
        let counts = store.block_on(store.credential_counts(Timestamp::from_micros(START))).unwrap();
        let counts: Vec<_> =
            counts.iter().map(|count| (count.credential_id.as_str(), count.requests, count.denied)).collect();
        assert_eq!(counts, [("k1", 2, 1), ("k2", 1, 0)]);
        store.flush().unwrap();
    }
}

#[test]
fn a_recording_of_a_thousand_hours_makes_a_bounded_number_of_segments() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let events: Vec<Event> = (0..1000).map(|hour| at(START + hour * HOUR, hour as u64)).collect();
    store.append(&events);
    store.flush().unwrap();
    assert_eq!(segments(directory.path()).len(), 64);
    let found = search(&store, "");
    assert_eq!(found.len(), 1000);
    assert!(found.is_sorted_by(|one, other| one.time > other.time));
    let one_hour = EventQuery {
        from: Timestamp::from_micros(START + 500 * HOUR),
        to: Timestamp::from_micros(START + 501 * HOUR),
        ..query("")
    };
    assert_eq!(store.block_on(store.search(one_hour)).unwrap().items.len(), 1);
}

fn text() -> impl Strategy<Value = Box<str>> {
    prop_oneof!["[a-z]{0,6}", "\\PC{0,12}", Just("a\"b\\c\u{1}*%_,".to_owned())].prop_map(Into::into)
}

fn word<T: Clone + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    prop::sample::select(all)
}

fn client() -> impl Strategy<Value = Client> {
    let ip = || {
        prop::option::of(prop_oneof![
            any::<u32>().prop_map(|bits| IpAddr::from(Ipv4Addr::from_bits(bits))),
            any::<u128>().prop_map(|bits| IpAddr::from(Ipv6Addr::from_bits(bits))),
        ])
    };
    (ip(), ip(), prop::option::of(text())).prop_map(|(ip, via, tls_version)| Client { ip, via, tls_version })
}

fn parameters() -> impl Strategy<Value = Vec<Parameter>> {
    let places = &[ParameterPlace::Path, ParameterPlace::Query, ParameterPlace::Header, ParameterPlace::Cookie];
    let kinds = &[ValueKind::Integer, ValueKind::Uuid, ValueKind::DateTime, ValueKind::Text];
    let one = (word(places), text(), word(kinds)).prop_map(|(place, name, kind)| Parameter { place, name, kind });
    prop::collection::vec(one, 0..4)
}

fn findings() -> impl Strategy<Value = Vec<Finding>> {
    let severities = &[Severity::Info, Severity::Critical];
    let one = (text(), word(severities), prop::option::of(text()), text());
    let one = one.prop_map(|(check, severity, name, evidence)| Finding {
        check: CheckId::imported(check.into()),
        severity,
        confidence: Confidence::Medium,
        location: Location { part: Part::Cookie, name },
        policy: (evidence.len() % 2 == 1).then(|| FindingPolicy { name: (&*evidence).into(), mode: Mode::Observe }),
        evidence,
    });
    prop::collection::vec(one, 0..3)
}

fn principal() -> impl Strategy<Value = Option<Arc<EventPrincipal>>> {
    let credentials = &[CredentialKind::ApiKey, CredentialKind::Jwt, CredentialKind::Certificate];
    let strengths = &[Strength::Shared, Strength::ProofOfPossession];
    let words = || prop::collection::vec(text(), 0..3);
    let names = (text(), prop::option::of(text()), prop::option::of(text()));
    let one = (names, words(), words(), word(credentials), word(strengths));
    let one = one.prop_map(|((subject, application, credential_id), scopes, roles, credential, strength)| {
        Arc::new(EventPrincipal { subject, application, credential_id, scopes, roles, credential, strength })
    });
    prop::option::of(one)
}

fn any_event() -> impl Strategy<Value = Event> {
    let request = (
        (any::<u128>(), any::<i64>(), client(), text()),
        (text(), text(), text(), parameters(), prop::option::of(text())),
        prop::option::of((any::<u64>(), text())),
        prop::collection::vec(word(&AuthKind::ALL), 0..4),
    );
    let endings = &[Ending::Answered, Ending::Stopped, Ending::ClientClosed, Ending::NoRoute, Ending::InternalFault];
    let cache = prop::option::of(word(&CacheStatus::ALL));
    let outcome =
        ((word(endings), cache), any::<u16>(), any::<u32>(), prop::option::of(any::<u32>()), prop::option::of(text()));
    let judgement = (findings(), any::<bool>(), any::<bool>(), prop::option::of(text()), any::<[bool; 6]>());
    (request, outcome, judgement, principal()).prop_map(|(request, outcome, judgement, principal)| {
        let ((id, time, client, actor), (host, method, path, parameters, user_agent), endpoint, auth) = request;
        let ((ending, cache_status), status, bytes, upstream_us, upstream) = outcome;
        let (findings, denies, applied, policy, missing) = judgement;
        let [time_missing, client_missing, headers, request_body, response, response_body] = missing;
        Event {
            id: RequestId::from_bits(id),
            time: Timestamp::from_micros(time),
            source: Source::AccessLog,
            client,
            actor: Actor { kind: ActorKind::Credential, id: actor },
            scheme: Scheme::Https,
            version: HttpVersion::Http2,
            host,
            method,
            path,
            api: policy.as_deref().map(Into::into),
            endpoint: endpoint.map(|(id, template)| EndpointRef {
                id: format!("{id:x}").parse::<EndpointId>().unwrap(),
                template: template.into(),
            }),
            parameters,
            auth: auth.into_iter().collect(),
            principal,
            user_agent: user_agent.clone(),
            request_type: user_agent,
            response_type: None,
            ending,
            status,
            request_bytes: bytes.into(),
            response_bytes: u64::from(bytes) << 20,
            duration_us: bytes.into(),
            upstream_us: upstream_us.map(Into::into),
            upstream: upstream.as_deref().map(Into::into),
            findings,
            decision: Decision {
                action: if denies { Action::Deny } else { Action::Allow },
                applied,
                status,
                check: policy.as_deref().map(|id| CheckId::imported(id.to_owned())),
                policy: policy.as_deref().map(Into::into),
            },
            missing: Missing {
                time: time_missing,
                client: client_missing,
                headers,
                request_body,
                response,
                response_body,
            },
            cache_status,
        }
    })
}

const TERMS: [&str; 26] = [
    "cache_status:hit,stale_hit",
    "-cache_status:\"\"",
    "a",
    "-a",
    "\"b\\c\"",
    "method:a*",
    "-method:*b*",
    "path:\"\"",
    "api:\"\"",
    "-api:\"\"",
    "user_agent:*",
    "-user_agent:*%*",
    "path:*_,\"*\"%*",
    "auth:jwt,basic",
    "auth:none",
    "-auth:key_query",
    "missing:response",
    "-missing:response_body,time",
    "status:>=30000",
    "status:2xx,4xx,<100",
    "-upstream_us:<1000000000",
    "applied:true",
    "decision:deny -applied:true",
    "ending:answered,no_route",
    "findings_count:>1",
    "time:>=2026-01-01T00:00:00Z",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    #[test]
    fn any_event_is_read_back_as_it_was_appended_and_every_term_agrees_with_the_live_view(
        events in prop::collection::vec(any_event(), 1..16),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let (early, late) = events.split_at(events.len() / 2);
        store.append(early);
        store.flush().unwrap();
        store.append(late);
        for event in &events {
            let found = store.block_on(store.event(event.id)).unwrap();
            prop_assert_eq!(found.as_ref(), Some(event));
        }
        let end_of_time = events.iter().filter(|event| event.time.as_micros() == i64::MAX).count();
        let mut expected: Vec<EventRow> = events.iter().map(EventRow::of).collect();
        expected.sort_by(|one, other| (other.time, &other.id).cmp(&(one.time, &one.id)));
        prop_assert_eq!(search(&store, "").len(), expected.len() - end_of_time);
        for term in TERMS {
            let filter = Filter::parse(term).unwrap();
            let fitting: Vec<&EventRow> = expected.iter().filter(|row| filter.is_match(row)).collect();
            let found = search(&store, term);
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), fitting, "{}", term);
        }
    }
}
