//! What the examples that measure access control share: callers with tokens whose signatures are remembered, Snapshots
//! with every input in memory, and one exchange as a host drives it.

// Each example is a crate of its own and uses a part.
#![allow(dead_code, reason = "shared by several examples")]

#[path = "../../tests/it/mmdb.rs"]
mod mmdb;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bartizan_config::{KeySource, PolicyRule};
use bartizan_engine::{
    AccessState, AddressData, AddressFile, CedarFile, CedarPlan, CedarPlans, Counters, Inputs, Inspection, Plans,
    Snapshot, Step,
};
use bartizan_model::{
    Connection, HeaderField, HttpVersion, Outcome, RequestHead, RequestId, ResponseHead, Scheme, Source, Timestamp,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;

/// When every exchange happens, in seconds.
pub const NOW: i64 = 1_767_225_600;

/// The policy that knows the callers.
pub const CALLERS: &str = "
  - name: callers
    mode: enforce
    authenticate: { required_scopes: [\"accounts:read\"], methods: [{ jwt: { issuer: \"https://login.example\", audiences: [\"https://api.example\"], jwks_file: keys.jwks } }] }
";

/// An authorization server's key, and the tokens that it signs.
pub struct Desk {
    pair: Ed25519KeyPair,
    pub access: Arc<AccessState>,
}

impl Desk {
    pub fn new() -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let document = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "one", "x": x }] }).to_string();
        let access = Arc::new(AccessState::default());
        let source = KeySource::File("keys.jwks".into());
        access.publish_keys(&source, document.as_bytes(), Timestamp::from_millis(NOW * 1000)).unwrap();
        Self { pair, access }
    }

    /// `Authorization` of a caller who owns four accounts, some 700 bytes.
    pub fn authorization(&self, caller: usize) -> String {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let accounts: Vec<String> = accounts(caller).map(|account| account.to_string()).collect();
        let claims = json!({
            "iss": "https://login.example", "aud": "https://api.example", "exp": NOW + 600, "iat": NOW,
            "sub": format!("5f1c0c8e-8d1c-4f0e-9a53-3c1b7a0e{caller:04x}"), "client_id": "bank-app", "tenant": "acme",
            "scope": "accounts:read accounts:write profile email", "roles": ["customer", "beta"],
            "accounts": accounts, "groups": ["retail", "munich"],
        });
        let header = json!({ "alg": "EdDSA", "kid": "one", "typ": "at+jwt" });
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        format!("Bearer {signed}.{}", encode(self.pair.sign(signed.as_bytes()).as_ref()))
    }

    /// A Snapshot of these policies.
    pub fn snapshot(&self, policies: &str, cedar: &str) -> Arc<Snapshot> {
        let text = format!(
            "listeners: [{{ address: \"127.0.0.1:1\" }}]\nupstreams: [{{ name: a, targets: [{{ address: \"127.0.0.1:2\" }}] }}]\n\
             address_data: [{{ name: networks, file: networks.mmdb }}, {{ name: lists, file: lists.csv, holds: labels }}]\n\
             policies:\n{policies}"
        );
        let parsed = bartizan_config::parse(&text, "cost.yaml", Path::new(""));
        let config = parsed.config.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics));
        let mut plans = CedarPlans::new();
        for policy in &config.policies {
            if let PolicyRule::Authorize(authorize) = &policy.rule
                && authorize.cedar.is_some()
            {
                let file = CedarFile { name: "bank.cedar".into(), text: cedar.to_owned() };
                let (plan, _) = CedarPlan::compile(authorize, &[file]).unwrap_or_else(|faults| panic!("{faults:?}"));
                plans.insert(policy.name.clone(), Arc::new(plan));
            }
        }
        let counters = Counters::default();
        let inputs = Inputs { generation: 1, endpoints: &[], plans: &Plans::new(), counters: &counters, key: [7; 32] };
        let files = config.address_data.iter().map(|data| {
            AddressFile::read(&data.name, data.kind, if data.name == "lists" { lists() } else { networks() }).unwrap()
        });
        let data = Arc::new(AddressData::new(files.collect()));
        let snapshot = Snapshot::compile(&config, inputs).with_access(Arc::clone(&self.access));
        Arc::new(snapshot.with_cedar(Arc::new(plans)).with_address_data(data))
    }
}

/// The accounts of a caller.
pub fn accounts(caller: usize) -> std::ops::Range<usize> {
    caller * 4..caller * 4 + 4
}

/// 4,096 networks of a database, among them that of the client.
fn networks() -> Vec<u8> {
    let names: Vec<String> = (0..4096).map(|n| format!("{}.{}.0.0", 192 - n / 256, n % 256)).collect();
    let networks: Vec<(&str, u32, &str, u32)> = names.iter().map(|name| (name.as_str(), 16, "DE", 64500)).collect();
    mmdb::database(&networks, NOW as u64)
}

/// 20,000 networks of hosting companies, none of them the client's.
fn lists() -> Vec<u8> {
    (0..20_000).map(|n| format!("11.{}.{}.0/24,hosting\n", n / 256, n % 256)).collect::<String>().into_bytes()
}

/// A request without its header fields.
pub fn head<'a>(target: &'a str, headers: &'a [HeaderField<'a>]) -> RequestHead<'a> {
    RequestHead {
        method: b"GET",
        target: target.as_bytes(),
        scheme: Scheme::Https,
        authority: b"api.example",
        version: HttpVersion::Http11,
        headers,
    }
}

/// The client's connection.
pub fn connection() -> Connection {
    Connection { peer: Some("192.0.2.1:1".parse().unwrap()), local: None, tls: None }
}

/// One exchange, as a host drives it.
pub fn exchange(snapshot: &Arc<Snapshot>, connection: &Connection, head: &RequestHead<'_>, now: Timestamp) {
    let mut inspection = begin(snapshot, connection, now);
    request_head(&mut inspection, head);
    request_end(&mut inspection);
    response_head(&mut inspection);
    response_changes(&mut inspection);
    assert_eq!(inspection.response_end(), Step::Continue);
    finish(inspection, now);
}

#[inline(never)]
fn begin(snapshot: &Arc<Snapshot>, connection: &Connection, now: Timestamp) -> Box<Inspection> {
    Inspection::new(Arc::clone(snapshot), connection, RequestId::from_bits(1), Source::Gateway, now)
}

#[inline(never)]
fn request_head(inspection: &mut Inspection, head: &RequestHead<'_>) {
    assert_eq!(inspection.request_head(head), Step::Continue, "{:?}", inspection.findings());
}

#[inline(never)]
fn request_end(inspection: &mut Inspection) {
    assert_eq!(inspection.request_end(), Step::Continue);
}

#[inline(never)]
fn response_head(inspection: &mut Inspection) {
    let headers = [
        HeaderField { name: b"server", value: b"nginx/1.26" },
        HeaderField { name: b"content-type", value: b"application/json" },
        HeaderField { name: b"content-length", value: b"512" },
        HeaderField { name: b"cache-control", value: b"private" },
    ];
    assert_eq!(inspection.response_head(&ResponseHead { status: 200, headers: &headers }), Step::Continue);
}

#[inline(never)]
fn response_changes(inspection: &mut Inspection) {
    std::hint::black_box((inspection.response_fields(), inspection.response_edits()));
}

#[inline(never)]
fn finish(inspection: Box<Inspection>, now: Timestamp) {
    let outcome = Outcome { status: 200, response_bytes: 512, ..Outcome::default() };
    std::hint::black_box(inspection.finish(outcome, now));
}

/// Nanoseconds of one exchange: for each Snapshot the median of the rounds, in which they take turns.
pub fn nanoseconds(snapshots: &[Arc<Snapshot>], heads: &[RequestHead<'_>], count: usize, rounds: usize) -> Vec<f64> {
    let connection = connection();
    let mut taken = vec![Vec::with_capacity(rounds); snapshots.len()];
    for round in 0..=rounds {
        for (snapshot, taken) in snapshots.iter().zip(&mut taken) {
            let begun = Instant::now();
            for (number, head) in (0..count).zip(heads.iter().cycle()) {
                let now = Timestamp::from_millis(NOW * 1000 + (round * count + number) as i64 / 100);
                exchange(snapshot, &connection, head, now);
            }
            if round > 0 {
                taken.push(begun.elapsed().as_nanos() as f64 / count as f64); // the first one warms up
            }
        }
    }
    let median = |mut taken: Vec<f64>| {
        taken.sort_by(f64::total_cmp);
        taken[taken.len() / 2]
    };
    taken.into_iter().map(median).collect()
}
