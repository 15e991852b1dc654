//! Properties over whole exchanges.

use std::sync::{Arc, LazyLock};

use bartizan_engine::{Counters, Engine, Inputs, Plans, Snapshot, fuzz, judge};
use bartizan_model::{Connection, Exchange, HttpVersion, Request, Response, Scheme, Source, Timestamp};
use proptest::prelude::*;

use crate::document;
use crate::host::{self, ID};

const CONFIG: &str = "
trusted_proxies: [10.0.0.0/8]
apis:
  - { name: default, upstream: origin, body_bytes_max: 40, streaming: [/upload/**] }
  - { name: shop, hosts: [shop.example], path_prefix: /v1, upstream: origin, body_bytes_max: 30 }
policies:
  - { name: seen, mode: observe, limits: { body_bytes_max: 10 } }
  - { name: seen-again, mode: observe, limits: { body_bytes_max: 20, target_bytes_max: 12 } }
  - { name: stopped, mode: enforce, scope: { methods: [POST] }, limits: { body_bytes_max: 20 } }
  - { name: inside, mode: enforce, scope: { paths: [/admin/**] }, addresses: { allow: [10.0.0.0/8] } }
  - { name: methods, mode: observe, methods: { allow: [GET, POST] } }
";

static SNAPSHOT: LazyLock<Arc<Snapshot>> =
    LazyLock::new(|| host::snapshot(CONFIG, "GET shop.example /v1/{id}\nPOST shop.example /v1/items"));

/// Attack rules and threat limits, observed and enforced.
const INSPECTED: &str = "
apis: [{ name: default, upstream: origin, streaming: [/upload/**] }]
policies:
  - { name: limits, mode: observe, content: { body_bytes_max: 1024, limits: { json_container_depth: 3 } } }
  - { name: rules-seen, mode: observe, threats: { own_rules: false, files: [plain.conf], body_bytes_max: 1024 } }
  - { name: rules, mode: enforce, threats: { own_rules: false, files: [plain.conf], responses: true } }
";

static INSPECTED_SNAPSHOT: LazyLock<Arc<Snapshot>> = LazyLock::new(|| host::snapshot(INSPECTED, ""));

prop_compose! {
    /// Requests that rules and limits have something to say about.
    fn inspected()(
        path in prop::sample::select(vec!["/a", "/a?q=odd", "/a?q=attack", "/upload/a"]),
        media_type in prop::sample::select(vec!["application/json", "application/x-www-form-urlencoded", "text/plain"]),
        parts in proptest::collection::vec(prop::sample::select(vec![
            "{\"a\":", "[", "]", "\"attack\"", "}", "a=odd&", "b=attacker", "\\u0061ttack", "%61ttack", "x", ",", "1",
        ]), 0..200),
        response in prop::sample::select(vec!["", "a stack trace", "fine"]),
    ) -> Exchange {
        let body = parts.concat().into_bytes();
        let request = format!("POST {path} HTTP/1.1\nHost: a.example\nContent-Type: {media_type}\nContent-Length: {}", body.len());
        let response = format!("HTTP/1.1 200 OK\nContent-Type: text/plain\n\n{response}");
        let mut exchange = document::exchange(&request, Some(&response));
        exchange.request.body = Some(body);
        exchange
    }
}

prop_compose! {
    fn exchange()(
        method in prop::sample::select(vec!["GET", "POST", "PUT", "get"]),
        target in prop::sample::select(vec![
            "/", "/v1/items", "/v1/7?id=1&q=a%20b", "/upload/x", "/upload/../x", "/admin", "/%61dmin/x", "/a/jane@example.com",
        ]),
        host in prop::sample::select(vec!["shop.example", "Shop.Example:80", "a.example", "", "a,b"]),
        version in prop::sample::select(vec![HttpVersion::Http10, HttpVersion::Http11, HttpVersion::Http2]),
        body in proptest::collection::vec(any::<u8>(), 0..60),
        framing in 0..3,
        client in prop::option::of(prop::sample::select(vec!["10.0.0.1", "192.0.2.7", "2001:db8::7"])),
        extra in proptest::collection::vec((
            prop::sample::select(vec!["X-Forwarded-For", "Forwarded", "Cookie", "Authorization", "X-Other", "X-API-Key"]),
            "[ -~]{0,40}",
        ), 0..5),
        response in prop::option::of(proptest::collection::vec(any::<u8>(), 0..30)),
    ) -> Exchange {
        let mut headers: Vec<(Vec<u8>, Vec<u8>)> = vec![(b"Host".to_vec(), host.into())];
        headers.extend(extra.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.trim().into())));
        match framing {
            0 => headers.push((b"content-length".to_vec(), body.len().to_string().into())),
            1 => headers.push((b"transfer-encoding".to_vec(), b"chunked".to_vec())),
            _ => {}
        }
        Exchange {
            time: Some(Timestamp::from_millis(1_767_225_600_000)),
            client: client.map(|client| client.parse().unwrap()),
            request: Request {
                method: method.into(),
                scheme: Scheme::Http,
                authority: host.into(),
                target: target.into(),
                version,
                headers,
                body: Some(body),
                body_bytes: None,
            },
            response: Some(Response {
                status: 200,
                headers: vec![(b"Content-Type".to_vec(), b"text/plain".to_vec())],
                body: Some(response.unwrap_or_default()),
                body_bytes: None,
            }),
            duration_us: Some(7),
            label: None,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_rules_find_does_not_depend_on_how_a_body_is_cut(exchange in inspected(), chunk in 1usize..2000) {
        let whole = host::pass(&INSPECTED_SNAPSHOT, &exchange, Source::Exchanges, 1 << 20);
        let cut = host::pass(&INSPECTED_SNAPSHOT, &exchange, Source::Exchanges, chunk);
        prop_assert_eq!(&whole.event, &cut.event);
        prop_assert_eq!(whole.forwarded, cut.forwarded);
        let replayed = judge(&INSPECTED_SNAPSHOT, &exchange, Source::Exchanges, ID, Timestamp::default()).event;
        prop_assert_eq!(&whole.event, &replayed);
    }

    #[test]
    fn any_chunking_gives_the_event_of_the_recording(exchange in exchange(), chunk in 1usize..70) {
        let replayed = judge(&SNAPSHOT, &exchange, Source::Exchanges, ID, Timestamp::default()).event;
        for chunk in [chunk, 1, 1000] {
            let passed = host::pass(&SNAPSHOT, &exchange, Source::Exchanges, chunk);
            prop_assert_eq!(&passed.event, &replayed, "chunks of {}", chunk);
        }
    }

    #[test]
    fn no_byte_of_a_refused_body_of_unknown_length_is_forwarded(exchange in exchange(), chunk in 1usize..70) {
        let passed = host::pass(&SNAPSHOT, &exchange, Source::Gateway, chunk);
        let is_chunked = exchange.request.headers.iter().any(|(name, _)| name == b"transfer-encoding");
        let is_streaming = exchange.request.target.starts_with(b"/upload/x");
        if passed.event.decision.is_stop() && is_chunked && !is_streaming {
            prop_assert_eq!(passed.forwarded, 0);
        }
        if !passed.event.decision.is_stop() && passed.event.api.is_some() {
            prop_assert_eq!(passed.forwarded, exchange.request.body.as_ref().unwrap().len());
        }
    }

    #[test]
    fn arbitrary_head_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzz::request_head(&SNAPSHOT, &bytes);
        fuzz::forwarded_header(&bytes);
        fuzz::path_readings(&bytes);
    }

    #[test]
    fn heads_of_telling_bytes_never_panic(text in "[\u{0}-\u{7}](GET|POST|x)?\n[/%.;\\\\#?a-f2eE0=&@-]{0,40}\n[a-z.:\\[\\]@]{0,12}\n((host|cookie|forwarded|x-forwarded-for|content-length|authorization):[ -~]{0,30}\n){0,4}\n.{0,20}") {
        fuzz::request_head(&SNAPSHOT, text.as_bytes());
    }
}

#[test]
fn a_recording_without_an_address_or_time_is_marked_and_not_refused() {
    let snapshot =
        host::snapshot("policies: [{ name: inside, mode: enforce, addresses: { allow: [10.0.0.0/8] } }]", "");
    let mut exchange = document::exchange("from nowhere\nGET / HTTP/1.1\nHost: a.example", None);
    exchange.time = None;
    let read_at = Timestamp::from_millis(5);
    let event = judge(&snapshot, &exchange, Source::Har, ID, read_at).event;
    assert!(!event.decision.is_stop() && event.missing.client && event.missing.time && event.missing.response);
    assert_eq!(event.time, read_at);
}

#[test]
fn an_access_log_lacks_fields_and_bodies_and_keeps_what_happened() {
    let snapshot = host::snapshot("apis: [{ name: shop, hosts: [shop.example], upstream: origin }]", "");
    let mut exchange = document::exchange("GET /v1/items HTTP/1.1\nUser-Agent: curl/8.5", Some("HTTP/1.1 200 OK\n\n"));
    exchange.request.authority.clear();
    exchange.request.body = None;
    exchange.response.as_mut().unwrap().body = None;
    exchange.response.as_mut().unwrap().body_bytes = Some(512);
    let event = judge(&snapshot, &exchange, Source::AccessLog, ID, Timestamp::default()).event;
    assert_eq!((event.status, event.response_bytes), (200, 512));
    assert!(!event.decision.is_stop(), "absent fields prove nothing: {:?}", event.findings);
    let missing: Vec<_> = event.missing.words().collect();
    assert_eq!(missing, ["headers", "request_body", "response_body"]);
}

#[test]
fn a_known_size_without_bytes_is_judged() {
    let mut exchange = document::exchange("POST / HTTP/2\nHost: a.example", Some("HTTP/1.1 200 OK\n\n"));
    exchange.request.body = None;
    exchange.request.body_bytes = Some(41);
    let event = judge(&SNAPSHOT, &exchange, Source::Exchanges, ID, Timestamp::default()).event;
    assert!(event.decision.is_stop() && event.missing.request_body);
    assert_eq!((event.status, event.request_bytes), (413, 41));
}

#[test]
fn the_trace_tells_each_stages_findings() {
    let exchange = document::exchange("PUT /v1/items/and/more HTTP/1.1\nHost: shop.example", None);
    let judged = judge(&SNAPSHOT, &exchange, Source::Exchanges, ID, Timestamp::default());
    let trace: Vec<_> = judged
        .trace
        .iter()
        .map(|stage| (stage.stage, stage.findings.iter().map(|finding| finding.check.to_string()).collect::<Vec<_>>()))
        .collect();
    let none = Vec::new;
    let wanted = [
        ("identify", none()),
        ("route", none()),
        ("access", vec!["ACC-101".into()]),
        ("authenticate", none()),
        ("continuity", none()),
        ("authorize", none()),
        ("limit", vec!["LIM-101".into()]),
        ("content", none()),
        ("threat", none()),
    ];
    assert_eq!(trace, wanted);
    assert_eq!(judged.route.map(|route| route.api.to_string()).as_deref(), Some("shop"));
}

#[test]
fn an_inspection_finishes_on_the_snapshot_it_began_with() {
    let strict = "policies: [{ name: read-only, mode: enforce, methods: { allow: [GET] } }]";
    let plans = Plans::new();
    let counters = Counters::default();
    let inputs = |generation| Inputs { generation, endpoints: &[], plans: &plans, counters: &counters, key: [7; 32] };
    let engine = Engine::new(Snapshot::compile(&document::config(strict), inputs(1)));
    let connection = Connection { peer: None, local: None, tls: None };
    let exchange = document::exchange("POST / HTTP/1.1\nHost: a.example", None);
    let head = bartizan_model::RequestHead {
        method: &exchange.request.method,
        target: b"/",
        scheme: Scheme::Http,
        authority: b"a.example",
        version: HttpVersion::Http11,
        headers: &[],
    };
    let mut before = engine.begin(&connection, ID, Timestamp::default());
    engine.publish(Arc::new(Snapshot::compile(&document::config(""), inputs(2))));
    let mut after = engine.begin(&connection, ID, Timestamp::default());
    assert!(matches!(before.request_head(&head), bartizan_engine::Step::Stop(_)));
    assert_eq!(after.request_head(&head), bartizan_engine::Step::Continue);
    assert_eq!(engine.snapshot().generation(), 2);
}

#[test]
fn a_reload_forgives_nobody_and_a_new_engine_knows_nobody() {
    let config = "policies: [{ name: rules, mode: enforce, threats: { own_rules: false, files: [counting.conf] } }]";
    let failed = document::exchange("POST /login HTTP/1.1\nHost: a.example", Some("HTTP/1.1 401 -\n\n"));
    let status = |snapshot: &Arc<Snapshot>| {
        judge(snapshot, &failed, Source::Exchanges, ID, Timestamp::default()).event.decision.status
    };
    let first = host::snapshot(config, "");
    assert_eq!([0; 3].map(|_: i32| status(&first)), [0; 3]);
    let reloaded = || Arc::into_inner(host::snapshot(config, "")).unwrap();
    let taught = Arc::new(reloaded().following(&first).with_endpoints(2, &[]));
    assert_eq!((status(&taught), status(&first), status(&Arc::new(reloaded()))), (429, 429, 0));
    assert_eq!(first.kept_by_rules().records, 1);
}

#[test]
fn new_endpoints_leave_the_policies_alone() {
    let taught = SNAPSHOT.with_endpoints(9, &document::endpoints("PUT shop.example /v1/{x}"));
    assert_eq!((taught.generation(), taught.endpoint_count()), (9, 1));
    let exchange = document::exchange("PUT /v1/7 HTTP/1.1\nHost: shop.example", None);
    let event = judge(&Arc::new(taught), &exchange, Source::Exchanges, ID, Timestamp::default()).event;
    assert_eq!(event.endpoint.map(|endpoint| endpoint.template.to_string()).as_deref(), Some("/v1/{x}"));
    assert_eq!(event.decision.policy.as_deref(), Some("methods"));
}

/// An exchange whose form body has an attack after `bytes` of honest text.
fn attack_after(bytes: usize) -> Exchange {
    let body = format!("a={}&b=attack", "x".repeat(bytes)).into_bytes();
    let request = format!(
        "POST /a HTTP/1.1\nHost: a.example\nContent-Type: application/x-www-form-urlencoded\nContent-Length: {}",
        body.len()
    );
    let mut exchange = document::exchange(&request, None);
    exchange.request.body = Some(body);
    exchange
}

#[test]
fn what_lies_beyond_the_first_bytes_is_told_and_not_judged() {
    let config = "policies: [{ name: rules, mode: enforce, threats: { own_rules: false, files: [plain.conf], body_bytes_max: 1024 } }]";
    let snapshot = host::snapshot(config, "");
    let checks = |bytes| {
        let event = judge(&snapshot, &attack_after(bytes), Source::Exchanges, ID, Timestamp::default()).event;
        event.findings.iter().map(|finding| finding.check.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(checks(900), ["WAF-1002"]);
    assert_eq!(checks(2000), ["ENG-104"]);
    let more = host::snapshot(&config.replace("1024", "4096"), "");
    let event = judge(&more, &attack_after(2000), Source::Exchanges, ID, Timestamp::default()).event;
    assert!(event.decision.is_stop());
}

#[test]
fn threat_limits_tell_what_they_did_not_look_at_and_let_malformed_bodies_pass_when_told_to() {
    let config =
        "policies: [{ name: limits, mode: enforce, content: { body_bytes_max: 1024, refuse_malformed: true } }]";
    let judged = |config: &str, body: &str| {
        let request = "POST /a HTTP/1.1\nHost: a.example\nContent-Type: application/json\nTransfer-Encoding: chunked";
        let mut exchange = document::exchange(request, None);
        exchange.request.body = Some(body.as_bytes().to_vec());
        judge(&host::snapshot(config, ""), &exchange, Source::Exchanges, ID, Timestamp::default()).event
    };
    let long = judged(config, &format!("[\"{}\"]", "x".repeat(2000)));
    assert!(!long.decision.is_stop(), "what we cut off is not malformed: {:?}", long.findings);
    assert_eq!(long.findings.first().map(|finding| finding.check.as_str()), Some("ENG-104"));
    assert_eq!(judged(config, "[1,").decision.status, 400);
    let lenient = judged(&config.replace("true", "false"), "[1,");
    assert!(!lenient.decision.is_stop());
    assert_eq!(lenient.findings.first().map(|finding| finding.check.as_str()), Some("CON-109"));
}
