//! Fuzz targets: plain functions over bytes. `fuzz/` explores them, ordinary tests replay the corpus.

use std::net::IpAddr;
use std::sync::Arc;

use bartizan_config::KeySource;
use bartizan_model::{
    Connection, Ending, Endpoint, HeaderField, HttpVersion, Outcome, RequestHead, RequestId, Scheme, Source, Timestamp,
};

use crate::address::AddressSet;
use crate::forwarded::{List, nearest_untrusted};
use crate::path::Readings;
use crate::stage::access::jose::{self, Compact};
use crate::stage::access::jwks::{Keys, Lookup, Origin};
use crate::stage::access::ssrf::url::{self, Expectation, Reading, Target};
use crate::{AccessState, Inputs, Inspection, Snapshot, Step};

/// A Snapshot with something of everything, for targets that need one.
pub fn snapshot() -> Arc<Snapshot> {
    let text = "
listeners: [{ address: \"127.0.0.1:8080\" }]
upstreams: [{ name: origin, targets: [{ address: \"127.0.0.1:9000\" }] }]
trusted_proxies: [10.0.0.0/8]
apis:
  - { name: any, upstream: origin, streaming: [/upload/**], body_bytes_max: 64 }
  - { name: shop, hosts: [shop.example, \"*.shop.example\"], path_prefix: /v1, upstream: origin }
policies:
  - { name: methods, mode: observe, methods: { allow: [GET, POST] } }
  - { name: inside, mode: enforce, scope: { apis: [shop], paths: [/v1/admin/**] }, addresses: { allow: [10.0.0.0/8] } }
  - { name: pages, mode: enforce, scope: { apis: [shop] }, cors: { origins: [\"https://*.shop.example\"], credentials: true } }
  - { name: changes, mode: observe, csrf: { token: { cookie: csrf } } }
  - { name: answers, mode: enforce, response_headers: {} }
  - { name: urls, mode: observe, ssrf: {} }
  - { name: hooks, mode: enforce, scope: { apis: [shop] }, ssrf: { parameters: [url, \"items.*.href\"], body_bytes_max: 1KiB } }
  - { name: sizes, mode: enforce, limits: { target_bytes_max: 200, header_bytes_max: 400, body_bytes_max: 32 } }
  - { name: payloads, mode: enforce, scope: { paths: [/v1/**] }, content: { limits: { json_container_depth: 2, form_field_count: 4 } } }
  - name: often
    mode: enforce
    rate:
      key: [principal, { header: x-tenant }, { cookie: session }, { query: q }, endpoint]
      weight_header: x-cost
      spike_arrest: { requests: 5, per: 1s, burst: 3 }
      quota: { requests: 10, per: 1m }
      concurrency: 2
      page_size_max: 50
      login: { account: user, per_account: { attempts: 3, per: 1m }, per_source: { attempts: 5, per: 1m } }
  - name: callers
    mode: observe
    authenticate:
      required_scopes: [\"a\"]
      identity_headers: [{ name: x-user, value: subject }]
      methods:
        - jwt: { issuer: joe, audiences: [a], jwks_file: fuzz.jwks }
        - api_key: { query: key }
        - mtls: {}
        - signature: { jwks_file: fuzz.jwks, components: [\"@method\"] }
        - basic: { users: [{ name: a, password_hash: \"$argon2id$v=19$m=7168,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$zecR4s9LqouMGq9nNM+Wp04OpIsAQoAsyZvtxhV+Tn4\" }] }
";
    let parsed = bartizan_config::parse(text, "fuzz.yaml", std::path::Path::new(""));
    let Some(config) = parsed.config else { panic!("the configuration is valid: {:?}", parsed.diagnostics) };
    let endpoints: Vec<Endpoint> = ["/v1/{id}", "/v1/items", "/v1/{id}/cards"]
        .into_iter()
        .filter_map(|text| text.parse().ok())
        .map(|template| Endpoint { method: "GET".into(), host: "shop.example".into(), template })
        .collect();
    let counters = crate::Counters::default();
    let inputs =
        Inputs { generation: 1, endpoints: &endpoints, plans: &crate::Plans::new(), counters: &counters, key: [7; 32] };
    let access = AccessState::default();
    let keys =
        br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let published = access.publish_keys(&KeySource::File("fuzz.jwks".into()), keys, Timestamp::default());
    assert!(published.is_ok(), "the keys can be used");
    Arc::new(Snapshot::compile(&config, inputs).with_access(Arc::new(access)))
}

/// A request head from lines: method, target, authority, then `name:value` fields; the rest is the body. Runs it
/// through a whole inspection on `snapshot`.
pub fn request_head(snapshot: &Arc<Snapshot>, bytes: &[u8]) {
    let (flags, bytes) = bytes.split_first().unwrap_or((&0, b""));
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (method, target, authority) = (line(), line(), line());
    let headers: Vec<HeaderField<'_>> = lines
        .by_ref()
        .take_while(|line| !line.is_empty())
        .map(|line| {
            let at = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
            HeaderField { name: line.get(..at).unwrap_or(line), value: line.get(at + 1..).unwrap_or_default() }
        })
        .collect();
    let head = RequestHead {
        method,
        target,
        scheme: if flags & 1 == 0 { Scheme::Http } else { Scheme::Https },
        authority,
        version: if flags & 2 == 0 { HttpVersion::Http11 } else { HttpVersion::Http2 },
        headers: &headers,
    };
    let peer = (flags & 4 == 0).then(|| (IpAddr::from([10, 0, 0, 1]), 1).into());
    let connection = Connection { peer, local: None, tls: None };
    let id = RequestId::from_bits(1);
    let now = Timestamp::default();
    let mut inspection = Inspection::new(Arc::clone(snapshot), &connection, id, Source::Gateway, now);
    let mut step = inspection.request_head(&head);
    for chunk in lines {
        step = inspection.request_body(chunk);
    }
    if !matches!(step, Step::Stop(_)) {
        step = inspection.request_end();
    }
    let ending = if let Step::Stop(decision) = &step {
        assert_eq!(inspection.answer().status, decision.status, "the answer carries the decision's status");
        Ending::Stopped
    } else {
        assert_ne!(step, Step::Hold, "a complete request is not held");
        Ending::Answered
    };
    let event = inspection.finish(Outcome { ending, ..Outcome::default() }, now);
    assert!(event.path.len() <= 2048 && event.method.len() <= 32 && event.host.len() <= 255, "text is bounded");
    assert!(event.parameters.len() <= 64 && event.findings.len() <= 32, "lists are bounded");
}

/// Bytes as the value of both forwarding lists.
pub fn forwarded_header(bytes: &[u8]) {
    let trusted = AddressSet::new(&["10.0.0.0/8".parse(), "::1/128".parse()].into_iter().flatten().collect::<Vec<_>>());
    let peer = IpAddr::from([10, 0, 0, 1]);
    for (list, name) in [(List::XForwardedFor, &b"x-forwarded-for"[..]), (List::Forwarded, b"forwarded")] {
        let headers = [HeaderField { name, value: bytes }];
        let client = nearest_untrusted(&headers, list, &trusted, peer);
        assert_eq!(client, client.to_canonical(), "an address has one form");
        // What a trusted proxy appends is believed, whatever stands to its left.
        let appended = [bytes, if list == List::Forwarded { b",for=192.0.2.7" } else { b",192.0.2.7" }].concat();
        let headers = [HeaderField { name, value: &appended }];
        assert_eq!(nearest_untrusted(&headers, list, &trusted, peer), IpAddr::from([192, 0, 2, 7]));
    }
}

/// Bytes as a path in its readings.
pub fn path_readings(bytes: &[u8]) {
    let readings = Readings::of(bytes);
    for path in [readings.normal(), readings.lax()].into_iter().chain(readings.others()) {
        assert!(path.len() <= bytes.len() + 1, "a reading is no longer than the path and a slash");
    }
    if readings.is_ambiguous() {
        let climbs = |path: &[u8]| path.split(|&byte| byte == b'/').any(|segment| segment == b"..");
        assert!(!climbs(readings.normal()) && !climbs(readings.lax()), "dot segments are resolved");
        assert!(!readings.others().any(climbs), "in every mixture");
    }
}

/// Bytes as a signed token under a key set (JSON, as in a file): its payload, when the signature is valid. Every
/// algorithm is accepted; no claim is looked at. For vectors of signatures alone.
pub fn verified_payload(key_set: &[u8], token: &[u8]) -> Option<Vec<u8>> {
    let (keys, _) = Keys::parse(key_set, Origin::File)?;
    let token = Compact::parse(token).ok()?;
    if token.header.contains_key("crit") {
        return None;
    }
    let algorithm = jose::algorithm(token.header_text("alg").ok()??)?;
    let Lookup::Found(key) = keys.find(token.key_id().ok()?, algorithm) else { return None };
    key.verifies(algorithm, token.signed, &token.signature).then_some(token.payload)
}

/// Bytes as the value of a parameter that carries a URL: the host that they lead to is plain.
pub fn url_parameter(bytes: &[u8]) {
    for expectation in [Expectation::Url, Expectation::Anything] {
        let Reading::Leads(lead) = url::read(bytes, expectation) else { continue };
        if let Ok(Target::Name(name)) = &lead.host {
            let is_clean = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
            assert!(name.bytes().all(is_clean), "a name has no other letters");
            assert!(name.split('.').all(|label| !label.is_empty()), "nor empty labels");
            assert!(name.parse::<IpAddr>().is_err(), "an address is no name");
        }
    }
}

/// Bytes as a token, and as a key set that it is checked with.
pub fn json_web_token(bytes: &[u8]) {
    let at = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
    let (token, set) = bytes.split_at_checked(at).unwrap_or((bytes, b""));
    if let Ok(compact) = Compact::parse(token) {
        assert!(token.len() <= jose::TOKEN_BYTES_MAX, "a token is bounded");
        assert_eq!(memchr::memchr_iter(b'.', compact.signed).count(), 1, "header and payload are signed");
    }
    if let Some((keys, left_out)) = Keys::parse(set, Origin::Network) {
        assert!(keys.len() + left_out <= set.len(), "keys are not made of nothing");
    }
    if let Some(payload) = verified_payload(set, token) {
        assert!(payload.len() < token.len(), "a payload is part of its token");
    }
}
