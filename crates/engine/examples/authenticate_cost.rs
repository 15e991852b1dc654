//! What a known caller costs: the head of a request with a JSON Web Token whose signature is remembered, with and without
//! the policy, and with one that watches where it calls from. `cargo run --release -p bartizan-engine --example authenticate_cost [rounds]`

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bartizan_config::{AddressFileKind, KeySource};
use bartizan_engine::{AccessState, AddressData, AddressFile, Counters, Inputs, Inspection, Plans, Snapshot, Step};
use bartizan_model::{
    Connection, HeaderField, HttpVersion, Outcome, RequestHead, RequestId, Scheme, Source, Timestamp,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;

const NOW: i64 = 1_767_225_600;

fn snapshot(policies: &str, access: &Arc<AccessState>) -> Arc<Snapshot> {
    let text = format!(
        "listeners: [{{ address: \"127.0.0.1:1\" }}]\nupstreams: [{{ name: a, targets: [{{ address: \"127.0.0.1:2\" }}] }}]\n{policies}"
    );
    let parsed = bartizan_config::parse(&text, "cost.yaml", Path::new(""));
    let config = parsed.config.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics));
    let inputs =
        Inputs { generation: 1, endpoints: &[], plans: &Plans::new(), counters: &Counters::default(), key: [7; 32] };
    let file = AddressFile::read("countries", AddressFileKind::Countries, b"192.0.2.0/24,DE".to_vec()).unwrap();
    let data = Arc::new(AddressData::new(vec![file]));
    Arc::new(Snapshot::compile(&config, inputs).with_access(Arc::clone(access)).with_address_data(data))
}

/// Nanoseconds for one exchange, the best of several rounds.
fn cost(snapshot: &Arc<Snapshot>, headers: &[HeaderField<'_>], count: u32) -> f64 {
    let connection = Connection { peer: Some("192.0.2.1:1".parse().unwrap()), local: None, tls: None };
    let head = RequestHead {
        method: b"GET",
        target: b"/orders/1",
        scheme: Scheme::Http,
        authority: b"api.example",
        version: HttpVersion::Http11,
        headers,
    };
    let now = Timestamp::from_millis(NOW * 1000);
    let round = || {
        let begun = Instant::now();
        for _ in 0..count {
            let id = RequestId::from_bits(1);
            let mut inspection = Inspection::new(Arc::clone(snapshot), &connection, id, Source::Gateway, now);
            assert_eq!(inspection.request_head(&head), Step::Continue);
            std::hint::black_box(inspection.finish(Outcome::default(), now));
        }
        begun.elapsed().as_nanos() as f64 / f64::from(count)
    };
    (0..7).map(|_| round()).fold(f64::INFINITY, f64::min)
}

fn main() {
    let count = std::env::args().nth(1).map_or(20_000, |text| text.parse().unwrap());
    let pair = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "one", "x": encode(pair.public_key().as_ref()) });
    let access = Arc::new(AccessState::default());
    let document = json!({ "keys": [key] }).to_string();
    let source = KeySource::File("keys.jwks".into());
    access.publish_keys(&source, document.as_bytes(), Timestamp::from_millis(NOW * 1000)).unwrap();
    let claims = json!({
        "iss": "https://login.example", "aud": "https://api.example", "sub": "5f1c0c8e-8d1c-4f0e-9a53-3c1b7a0e2f11",
        "exp": NOW + 600, "iat": NOW, "client_id": "shop-app", "scope": "orders:read orders:write profile email",
        "tenant": "acme", "roles": ["customer", "beta"], "jti": "0f6b9a52-6b1e-4f57-9df2-8f0f7c2d1a44", "pad": "x".repeat(300),
    });
    let header = json!({ "alg": "EdDSA", "kid": "one", "typ": "at+jwt" });
    let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let token = format!("{signed}.{}", encode(pair.sign(signed.as_bytes()).as_ref()));
    let value = format!("Bearer {token}");
    let headers = [
        HeaderField { name: b"host", value: b"api.example" },
        HeaderField { name: b"user-agent", value: b"cost/1" },
        HeaderField { name: b"accept", value: b"application/json" },
        HeaderField { name: b"authorization", value: value.as_bytes() },
    ];
    let policy = "policies: [{ name: callers, mode: enforce, authenticate: { required_scopes: [\"orders:read\"], methods: [{ jwt: { issuer: \"https://login.example\", audiences: [\"https://api.example\"], jwks_file: keys.jwks } }] } }]";
    let watched = format!(
        "address_data: [{{ name: countries, file: a.csv, holds: countries }}]\n{}",
        policy.replace("} }] } }]", "} }] } }, { name: home, mode: enforce, continuity: {} }]")
    );
    let without = cost(&snapshot("", &access), &headers, count);
    let with = cost(&snapshot(policy, &access), &headers, count);
    let watched = cost(&snapshot(&watched, &access), &headers, count);
    println!(
        "token {} bytes; exchange without the policy {without:.0} ns, with it {with:.0} ns: {:+.0} ns; watched too {:+.0} ns",
        token.len(),
        with - without,
        watched - with
    );
}
