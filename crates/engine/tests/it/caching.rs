//! Keys of kept answers: what tells requests apart, and what keeps them from the cache.

use std::sync::{Arc, LazyLock};

use bartizan_engine::{
    API_KEY_RANDOM_BYTES, AccessState, ApiKeyGrant, ApiKeys, CacheBypass, Caching, Inputs, Inspection, Snapshot, Step,
};
use bartizan_model::{
    Connection, HeaderField, HttpVersion, Mode, RequestHead, RequestId, ResponseHead, Scheme, Source, Timestamp,
};
use proptest::prelude::*;

/// A Snapshot with these policies.
fn snapshot(policies: &str) -> Arc<Snapshot> {
    let text = format!(
        "listeners: [{{ address: \"127.0.0.1:1\" }}]\nupstreams: [{{ name: a, targets: [{{ address: \"127.0.0.1:2\" }}] }}]\n\
         apis: [{{ name: shop, upstream: a, streaming: [/stream] }}]\npolicies:\n{policies}"
    );
    let parsed = bartizan_config::parse(&text, "a.yaml", "/".as_ref());
    let config = parsed.config.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics));
    let (plans, counters) = Default::default();
    let inputs = Inputs { generation: 1, endpoints: &[], plans: &plans, counters: &counters, key: [0; 32] };
    Arc::new(Snapshot::compile(&config, inputs))
}

/// What the policies say of a request; names in lower case, as hosts pass them.
fn caching(snapshot: &Arc<Snapshot>, method: &str, target: &str, headers: &[(&str, &str)]) -> Caching {
    let connection = Connection { peer: Some("192.0.2.1:4711".parse().unwrap()), local: None, tls: None };
    let (id, now) = (RequestId::from_bits(1), Timestamp::default());
    let mut inspection = Inspection::new(snapshot.clone(), &connection, id, Source::Gateway, now);
    let headers: Vec<HeaderField<'_>> =
        headers.iter().map(|(name, value)| HeaderField { name: name.as_bytes(), value: value.as_bytes() }).collect();
    let head = RequestHead {
        method: method.as_bytes(),
        target: target.as_bytes(),
        scheme: Scheme::Http,
        authority: b"a.example",
        version: HttpVersion::Http11,
        headers: &headers,
    };
    let step = inspection.request_head(&head);
    assert!(!matches!(step, Step::Stop(_)), "{step:?}");
    inspection.caching(&head)
}

fn key(snapshot: &Arc<Snapshot>, target: &str, headers: &[(&str, &str)]) -> Box<[u8]> {
    match caching(snapshot, "GET", target, headers) {
        Caching::Keyed(request) => request.key,
        other => panic!("{target} {headers:?}: {other:?}"),
    }
}

const ANYBODY: &str = "  - { name: kept, mode: enforce, cache: { key: [anonymous, query, { header: x-tenant }] } }\n";

#[test]
fn a_request_that_no_policy_concerns_is_not_asked_for() {
    let scoped = snapshot("  - { name: kept, scope: { paths: [/a/**] }, cache: { key: [anonymous] } }\n");
    assert_eq!(caching(&scoped, "GET", "/b", &[]), Caching::Unasked);
    assert_eq!(caching(&scoped, "GET", "/A/b", &[]), Caching::Unasked, "what loosens concerns a path as it stands");
    assert_eq!(caching(&scoped, "POST", "/a/b", &[]), Caching::Unasked);
    assert_eq!(caching(&scoped, "get", "/a/b", &[]), Caching::Unasked);
    assert!(matches!(caching(&scoped, "GET", "/a/b", &[]), Caching::Keyed(request) if request.mode == Mode::Observe));
    assert_eq!(caching(&snapshot("  []"), "GET", "/a/b", &[]), Caching::Unasked);
}

#[test]
fn the_first_policy_that_gives_answers_goes_before_those_that_only_count() {
    let both = snapshot(
        "  - { name: counts, mode: observe, cache: { key: [anonymous] } }\n  - { name: gives, mode: enforce, cache: { key: [anonymous] } }\n",
    );
    assert!(matches!(caching(&both, "GET", "/", &[]), Caching::Keyed(request) if &*request.policy == "gives"));
}

#[test]
fn whatever_the_key_does_not_hold_keeps_a_request_from_the_cache() {
    use CacheBypass::{Body, Client, Credential, Field, Partial, Path, Streaming};
    let snapshot = snapshot(ANYBODY);
    for (target, headers, expected) in [
        ("/stream", &[][..], Streaming),
        ("/a", &[("content-length", "1")], Body),
        ("/a", &[("content-length", "00")], Body),
        ("/a", &[("transfer-encoding", "chunked")], Body),
        ("/a", &[("content-type", "text/plain")], Body),
        ("/a", &[("expect", "100-continue")], Body),
        ("/a", &[("range", "bytes=0-")], Partial),
        ("/a", &[("if-match", "*")], Partial),
        ("/a", &[("cache-control", "max-age=9, No-Cache")], Client),
        ("/a", &[("pragma", "no-cache")], Client),
        ("/a;b", &[], Path),
        ("/a%2fb", &[], Path),
        ("/a", &[("authorization", "Bearer x")], Credential),
        ("/a", &[("cookie", "a=b")], Credential),
        ("/a?access_token=eyJhbGciOiJub25lIn0.e30.x", &[], Credential),
        ("/a", &[("upgrade", "websocket")], Field),
        ("/a", &[("x-anything", "1")], Field),
        ("/a", &[("x-user-agent", "1")], Field),
        ("/a", &[("accept-charset", "utf-8")], Field),
    ] {
        assert_eq!(caching(&snapshot, "GET", target, headers), Caching::Bypass(expected), "{target} {headers:?}");
    }
    let long = "x".repeat(20_000);
    assert_eq!(caching(&snapshot, "GET", &format!("/?{long}"), &[]), Caching::Bypass(CacheBypass::Length));
}

#[test]
fn what_belongs_to_the_connection_or_is_taken_out_tells_no_answers_apart() {
    let snapshot = snapshot(ANYBODY);
    let plain = key(&snapshot, "/a", &[]);
    for header in [
        ("host", "a.example"),
        ("connection", "keep-alive"),
        ("if-none-match", "\"1\""),
        ("content-length", "0"),
        ("user-agent", "x"),
        ("referer", "x"),
        ("sec-fetch-mode", "cors"),
        ("x-request-id", "x"),
        ("x-forwarded-for", "192.0.2.9"),
        ("x-forwarded-host", "evil.example"),
        ("cache-control", "max-age=9"),
    ] {
        assert_eq!(key(&snapshot, "/a", &[header]), plain, "{header:?}");
    }
}

#[test]
fn a_field_is_withheld_unless_the_key_holds_it() {
    let keyed = snapshot("  - { name: kept, cache: { key: [anonymous, { header: User-Agent }] } }\n");
    let Caching::Keyed(by_agent) = caching(&keyed, "GET", "/", &[("user-agent", "x")]) else { panic!("a key") };
    let Caching::Keyed(other) = caching(&snapshot(ANYBODY), "GET", "/", &[]) else { panic!("a key") };
    assert!(!by_agent.withholds("user-agent") && by_agent.withholds("referer"));
    assert!(other.withholds("user-agent") && other.withholds("sec-ch-ua") && !other.withholds("accept"));
}

#[test]
fn an_answer_whose_body_an_observed_rule_noticed_is_given_and_not_kept() {
    let threats = |mode: &str| {
        format!(
            "  - {{ name: attacks, mode: {mode}, threats: {{ files: [plain.conf], own_rules: false, responses: true }} }}\n"
        )
    };
    for (mode, body, may_be_kept, is_given) in [
        ("observe", "all is well", true, true),
        ("observe", "a stack trace", false, true),
        ("enforce", "all is well", true, true),
        ("enforce", "a stack trace", false, false),
    ] {
        let policies = threats(mode) + "  - { name: kept, mode: enforce, cache: { key: [anonymous] } }\n";
        let snapshot = crate::host::snapshot(&format!("policies:\n{policies}"), "");
        let get = crate::document::exchange("GET / HTTP/1.1\nHost: a.example", None);
        let mut inspection = crate::host::open(&snapshot, &get);
        let length = body.len().to_string();
        let headers = [("content-type", "text/plain"), ("content-length", length.as_str())];
        let headers = headers.map(|(name, value)| HeaderField { name: name.as_bytes(), value: value.as_bytes() });
        inspection.response_head(&ResponseHead { status: 200, headers: &headers });
        assert!(inspection.may_be_kept(), "{mode}: nothing of the body was seen yet");
        let (first, rest) = body.split_at(5);
        inspection.response_body(first.as_bytes());
        inspection.response_body(rest.as_bytes());
        let step = inspection.response_end();
        assert_eq!(inspection.may_be_kept(), may_be_kept, "{mode}: {body}");
        assert_eq!(!matches!(step, Step::Stop(_)), is_given, "{mode}: {body}");
    }
}

/// The Snapshot of `policies` and two plans, and a key for each application and plan.
fn with_keys<const N: usize>(policies: &str, keys: [(&str, Option<&str>); N]) -> (Arc<Snapshot>, [String; N]) {
    let mut number = 0;
    let made = keys.map(|(application, plan)| {
        number += 1;
        let grant = ApiKeyGrant {
            application: application.into(),
            owner: None,
            plan: plan.map(Into::into),
            quota: None,
            scopes: Vec::new(),
            roles: Vec::new(),
            expires_at: None,
        };
        ApiKeys::new([5; 32], []).create(grant, &[number; API_KEY_RANDOM_BYTES], Timestamp::default()).unwrap()
    });
    let access = Arc::new(AccessState::default());
    access.publish_api_keys(ApiKeys::new([5; 32], made.iter().map(|made| made.key.clone())));
    let policies = format!("{policies}plans: [{{ name: gold }}, {{ name: free }}]\n");
    let snapshot = Snapshot::with_endpoints(&snapshot(&policies), 2, &[]).with_access(access);
    (Arc::new(snapshot), made.map(|made| made.text.expose().clone()))
}

#[test]
fn a_key_beside_the_one_that_the_caller_is_known_by_keeps_a_request_from_the_cache() {
    const KEPT: &str = "  - { name: kept, mode: enforce, cache: { key: [principal, query] } }\n";
    let methods = |header: &str| format!("{{ api_key: {{ header: {header}, query: {header} }} }}");
    let policy = |name: &str, more: &str, methods: &str| {
        format!(
            "  - {{ name: {name}, mode: enforce, {more}authenticate: {{ methods: [{methods}], anonymous: true }} }}\n"
        )
    };
    let both = policy("callers", "", &[methods("x-a-key"), methods("x-b-key")].join(", "));
    let elsewhere = policy("callers", "", &methods("x-a-key"))
        + &policy("others", "scope: { paths: [/other/**] }, ", &methods("x-b-key"));
    let apart = policy("callers", "", &methods("x-a-key")) + &policy("others", "", &methods("x-b-key"));
    let forwarded = both.replace("anonymous: true", "anonymous: true, strip: false");
    for (name, policies) in [("both", both), ("elsewhere", elsewhere), ("forwarded", forwarded)] {
        let (snapshot, [ann, ben]) = with_keys(&(policies + KEPT), [("ann", None), ("ben", None)]);
        let answer = |target: &str, headers: &[(&str, &str)]| caching(&snapshot, "GET", target, headers);
        let alone = answer("/a", &[("x-a-key", &ann)]);
        assert!(matches!(alone, Caching::Keyed(_)), "{name}: {alone:?}");
        for (target, headers) in [
            ("/a", &[("x-a-key", ann.as_str()), ("x-b-key", ben.as_str())][..]),
            ("/a", &[("x-b-key", &ben), ("x-a-key", &ann)]),
            ("/a", &[("x-a-key", &ann), ("x-b-key", "whatever the upstream may know")]),
            (&format!("/a?x-a-key={ann}"), &[("x-b-key", &ben)]),
        ] {
            let bypassed = answer(target, headers);
            assert_eq!(bypassed, Caching::Bypass(CacheBypass::Field), "{name}: {target} {headers:?}");
        }
    }
    // A policy of its own takes the second key out: the upstream knows of the first one alone.
    let (snapshot, [ann, ben]) = with_keys(&(apart + KEPT), [("ann", None), ("ben", None)]);
    let both = [("x-a-key", ann.as_str()), ("x-b-key", ben.as_str())];
    assert_eq!(key(&snapshot, "/a", &both), key(&snapshot, "/a", &both[..1]));
    assert_ne!(key(&snapshot, "/a", &both), key(&snapshot, "/a", &both[1..]));
}

#[test]
fn the_plan_of_a_key_tells_answers_to_one_application_apart() {
    for (part, is_apart) in [("application", true), ("principal", true), ("scopes", false)] {
        let policies = format!(
            "  - {{ name: callers, mode: enforce, authenticate: {{ methods: [{{ api_key: {{}} }}] }} }}\n  \
             - {{ name: kept, mode: enforce, cache: {{ key: [{part}] }} }}\n"
        );
        let keys = [("shop", Some("gold")), ("shop", Some("free")), ("shop", None)];
        let (snapshot, [gold, free, none]) = with_keys(&policies, keys);
        let of = |text: &str| key(&snapshot, "/a", &[("x-api-key", text)]);
        assert_eq!(of(&gold) != of(&free), is_apart, "{part}");
        assert_eq!(of(&gold) != of(&none), is_apart, "{part}");
    }
    let policies = "  - { name: callers, mode: enforce, authenticate: { methods: [{ api_key: {} }] } }\n  \
                    - { name: kept, mode: enforce, cache: { key: [application] } }\n";
    let (snapshot, [old, new]) = with_keys(policies, [("shop", Some("gold")), ("shop", Some("gold"))]);
    let of = |text: &str| key(&snapshot, "/a", &[("x-api-key", text)]);
    assert_eq!(of(&old), of(&new), "two keys of one plan share answers");
}

/// What a key is made of, here.
type Parts = (String, Option<String>, Option<String>, Option<String>);

fn parts() -> impl Strategy<Value = Parts> {
    let word = "[a-c]{0,3}";
    ("/[a-c]{1,3}", proptest::option::of(word), proptest::option::of(word), proptest::option::of(word))
}

static SNAPSHOT: LazyLock<Arc<Snapshot>> = LazyLock::new(|| snapshot(ANYBODY));

proptest! {
    #[test]
    fn two_requests_have_one_key_exactly_when_all_that_it_is_made_of_is_the_same(one in parts(), other in parts()) {
        let made = |(path, query, accept, tenant): &Parts| {
            let target = query.as_ref().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
            let accept = accept.as_deref().map(|accept| ("accept", accept));
            let tenant = tenant.as_deref().map(|tenant| ("x-tenant", tenant));
            let headers: Vec<_> = accept.into_iter().chain(tenant).collect();
            key(&SNAPSHOT, &target, &headers)
        };
        prop_assert_eq!(made(&one) == made(&other), one == other);
    }
}
