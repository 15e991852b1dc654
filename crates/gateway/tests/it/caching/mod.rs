//! Kept answers from outside: who gets which, what is never kept, what becomes of old ones.

mod keeping;
mod life;
mod poisoning;
mod revalidation;
mod sharing;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bartizan_config::Config;
use bartizan_engine::{API_KEY_RANDOM_BYTES, AccessState, ApiKeyGrant, ApiKeys, Inputs, Snapshot};
use bartizan_gateway::CacheStats;
use bartizan_model::Timestamp;

use crate::support::{Client, Gate, Origin, Response, request};

const PATIENCE: Duration = Duration::from_secs(20);

/// Whoever asks gets it, whatever the query; for what says how long it lives.
const ANYBODY: &str = "{ key: [anonymous, query] }";

/// Callers by API key, and what they are given kept for them alone.
const BY_CALLER: &str = "{ key: [principal, query] }";

/// An answer that every cache may keep.
const PUBLIC: &str = "Cache-Control: public, max-age=60\r\n";

/// One policy `kept` over everything with this `cache`, and further policies.
fn configuration(port: u16, mode: &str, cache: &str, more: &str) -> Config {
    let text = format!(
        "listeners: [{{ address: \"127.0.0.1:0\" }}]
upstreams: [{{ name: origin, targets: [{{ address: \"127.0.0.1:{port}\" }}], health: {{ enabled: false }}, retries: 0 }}]
threads: 2
policies:
{more}  - {{ name: kept, mode: {mode}, cache: {cache} }}
"
    );
    let parsed = bartizan_config::parse(&text, "cache.yaml", "/".as_ref());
    let told: Vec<String> = parsed.diagnostics.iter().map(ToString::to_string).collect();
    parsed.config.unwrap_or_else(|| panic!("{text}\n{}", told.join("\n")))
}

/// Callers may show an API key.
const KEYS: &str =
    "  - name: callers\n    mode: enforce\n    authenticate: { methods: [{ api_key: {} }], anonymous: true }\n";

const PEPPER: [u8; 32] = [5; 32];

/// The Snapshot of a configuration, and an API key for each of these scopes, which are roles too; the first two are of one
/// application.
fn with_keys(config: &Config, scopes: &[&str]) -> (Arc<Snapshot>, Vec<String>) {
    let made = (1..).zip(scopes).map(|(number, scope)| {
        let grant = ApiKeyGrant {
            application: if number < 3 { "shop".into() } else { "bank".into() },
            owner: None,
            plan: None,
            quota: None,
            scopes: vec![(*scope).into()],
            roles: vec![(*scope).into()],
            expires_at: None,
        };
        let none = ApiKeys::new(PEPPER, []);
        none.create(grant, &[number; API_KEY_RANDOM_BYTES], Timestamp::default()).unwrap()
    });
    let made: Vec<_> = made.collect();
    let access = Arc::new(AccessState::default());
    access.publish_api_keys(ApiKeys::new(PEPPER, made.iter().map(|made| made.key.clone())));
    let inputs = Inputs {
        generation: 1,
        endpoints: &[],
        plans: &bartizan_engine::Plans::new(),
        counters: &bartizan_engine::Counters::default(),
        key: [7; 32],
    };
    let snapshot = Snapshot::compile(config, inputs).with_access(access);
    (Arc::new(snapshot), made.iter().map(|made| made.text.expose().clone()).collect())
}

/// Answers each request with this status line and these fields; the body says which request it was, and repeats its head.
async fn origin(status: &'static str, fields: &'static str) -> Origin {
    let count = Arc::new(AtomicUsize::new(0));
    Origin::start(move |mut conn| {
        let count = count.clone();
        async move {
            while let Some(seen) = conn.request().await {
                let body = format!("answer {}\n{}", count.fetch_add(1, SeqCst) + 1, seen.head);
                let is_head = seen.head.starts_with("HEAD ");
                let shown = if is_head { "" } else { &body };
                let length = body.len();
                conn.send(format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n{shown}").as_bytes())
                    .await;
            }
        }
    })
    .await
}

/// A `GET` with these fields, each with its line end.
fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n")
}

/// Which of the origin's answers this is.
fn number(response: &Response) -> &str {
    response.text().lines().next().unwrap()
}

/// Two requests and whether the second gets what the first was answered, which the origin must bear out.
struct Case {
    name: &'static str,
    cache: &'static str,
    fields: &'static str,
    first: String,
    second: String,
    is_hit: bool,
}

fn case(name: &'static str, first: &str, second: &str, is_hit: bool) -> Case {
    Case { name, cache: ANYBODY, fields: PUBLIC, first: first.to_owned(), second: second.to_owned(), is_hit }
}

impl Case {
    fn answered(self, fields: &'static str) -> Self {
        Self { fields, ..self }
    }

    fn under(self, cache: &'static str) -> Self {
        Self { cache, ..self }
    }
}

async fn check(case: Case) {
    let origin = origin("200 OK", case.fields).await;
    let gate = Gate::start(&configuration(origin.port, "enforce", case.cache, ""));
    let first = request(gate.address, &case.first).await;
    let second = request(gate.address, &case.second).await;
    assert_eq!(first.status, 200, "{}: {}", case.name, first.head);
    let name = case.name;
    let is_same = first.body == second.body;
    assert_eq!(is_same, case.is_hit, "{name}: the second was answered\n{}{}", second.head, second.text());
    assert_eq!(origin.seen().len(), if case.is_hit { 1 } else { 2 }, "{name}");
    assert!(!case.is_hit || second.header("age").is_some(), "{name}: {}", second.head);
    assert_eq!(gate.handle.cache_stats().hits_total, u64::from(case.is_hit), "{name}");
}

/// The figures once they are as expected.
async fn cache_stats_once(gate: &Gate, is_expected: impl Fn(&CacheStats) -> bool) -> CacheStats {
    let expected = async {
        loop {
            let stats = gate.handle.cache_stats();
            if is_expected(&stats) {
                return stats;
            }
            tokio::task::yield_now().await;
        }
    };
    let stats = tokio::time::timeout(PATIENCE, expected).await;
    stats.unwrap_or_else(|_| panic!("after 20 s: {:?}", gate.handle.cache_stats()))
}

/// The head of the answer to a `HEAD`.
async fn head(gate: &Gate, target: &str, fields: &str) -> String {
    let mut client = Client::connect(gate.address).await;
    client.send(format!("HEAD {target} HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n")).await;
    client.head().await.unwrap()
}
