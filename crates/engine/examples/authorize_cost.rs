//! What authorization costs: the head of a request of a known caller, with rules, an object, a condition and Cedar policies
//! in turn, beside the same request without them. `cargo run --release -p bartizan-engine --example authorize_cost [rounds]`

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bartizan_config::{KeySource, PolicyRule};
use bartizan_engine::{
    AccessState, CedarFile, CedarPlan, CedarPlans, Counters, Inputs, Inspection, Plans, Snapshot, Step,
};
use bartizan_model::{
    Connection, HeaderField, HttpVersion, Outcome, RequestHead, RequestId, Scheme, Source, Timestamp,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;

const NOW: i64 = 1_767_225_600;
const CALLERS: &str = "
policies:
  - name: callers
    mode: enforce
    authenticate: { methods: [{ jwt: { issuer: \"https://login.example\", audiences: [\"https://api.example\"], jwks_file: keys.jwks } }] }
";

/// An `authorize` policy with `count` operations besides the one that is asked for.
fn policy(count: usize, rest: &str) -> String {
    let mut text = "  - name: bank\n    mode: enforce\n    authorize:\n      operations:\n".to_owned();
    for number in 0..count {
        text.push_str(&format!(
            "        - {{ id: op{number}, methods: [GET], path: \"/v1/things{number}/{{id}}\" }}\n"
        ));
    }
    text.push_str("        - { id: readAccount, methods: [GET], path: \"/accounts/{accountId}\" }\n");
    text + rest
}

/// `count` policies for other operations' roles, and one that permits.
fn cedar(count: usize) -> String {
    let mut text = "permit (principal, action == Action::\"readAccount\", resource)\nwhen { principal.claims has accounts && principal.claims.accounts.contains(resource.path.accountId) };\n".to_owned();
    for number in 1..count {
        text.push_str(&format!("permit (principal in Role::\"role{number}\", action == Action::\"op0\", resource) when {{ principal in Group::\"g{number}\" }};\n"));
    }
    text
}

fn snapshot(policies: &str, cedar: &str, access: &Arc<AccessState>) -> Arc<Snapshot> {
    let text = format!(
        "listeners: [{{ address: \"127.0.0.1:1\" }}]\nupstreams: [{{ name: a, targets: [{{ address: \"127.0.0.1:2\" }}] }}]\n{CALLERS}{policies}"
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
    let inputs =
        Inputs { generation: 1, endpoints: &[], plans: &Plans::new(), counters: &Counters::default(), key: [7; 32] };
    Arc::new(Snapshot::compile(&config, inputs).with_access(Arc::clone(access)).with_cedar(Arc::new(plans)))
}

/// Nanoseconds for one exchange, the best of several rounds.
fn cost(snapshot: &Arc<Snapshot>, headers: &[HeaderField<'_>], count: u32) -> f64 {
    let connection = Connection { peer: Some("192.0.2.1:1".parse().unwrap()), local: None, tls: None };
    let head = RequestHead {
        method: b"GET",
        target: b"/accounts/7",
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
        "exp": NOW + 600, "iat": NOW, "client_id": "bank-app", "scope": "accounts:read accounts:write profile email",
        "tenant": "acme", "roles": ["customer", "beta"], "accounts": ["5", "6", "7", "8"], "groups": ["a", "b"],
    });
    let header = json!({ "alg": "EdDSA", "kid": "one", "typ": "at+jwt" });
    let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let value = format!("Bearer {signed}.{}", encode(pair.sign(signed.as_bytes()).as_ref()));
    let headers = [
        HeaderField { name: b"host", value: b"api.example" },
        HeaderField { name: b"user-agent", value: b"cost/1" },
        HeaderField { name: b"accept", value: b"application/json" },
        HeaderField { name: b"authorization", value: value.as_bytes() },
    ];
    let rule =
        |require: &str| format!("      rules: [{{ name: a, operations: [readAccount], require: {{ {require} }} }}]\n");
    let settings = "      cedar: { files: [bank.cedar], claims: [{ name: accounts, type: strings }] }\n";
    let scopes = "scopes: { all: [\"accounts:read\"] }, roles: { any: [customer] }";
    let object = format!("{scopes}, objects: [\"path.accountId in principal.claims.accounts\"]");
    let when = "when: \"principal.strength == 'bearer' && 'customer' in principal.roles && request.method == 'GET'\"";
    let rows = [
        ("scopes and roles, 1 operation", policy(0, &rule(scopes)), String::new()),
        ("the same, 100 operations", policy(100, &rule(scopes)), String::new()),
        ("the same, 900 operations", policy(900, &rule(scopes)), String::new()),
        ("scopes, roles and an object", policy(0, &rule(&object)), String::new()),
        ("a condition in CEL", policy(0, &rule(when)), String::new()),
        ("Cedar, 1 policy", policy(1, settings), cedar(1)),
        ("Cedar, 10 policies", policy(1, settings), cedar(10)),
        ("Cedar, 100 policies", policy(1, settings), cedar(100)),
    ];
    let base = cost(&snapshot("", "", &access), &headers, count);
    println!("a known caller without `authorize`: {base:.0} ns; on top of it");
    for (name, policy, cedar) in rows {
        let with = cost(&snapshot(&policy, &cedar, &access), &headers, count);
        println!("{name:<32} {:+8.0} ns", with - base);
    }
}
