//! Collections that outlive an exchange: what rules that people write keep in them, and the bounds that hold.

mod bounds;
mod meaning;
mod rule_files;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bartizan_model::{HeaderField, RequestId, Timestamp};
use bartizan_waf::{
    CollectionLimits, Collections, Gates, Intervention, Options, Parsed, Plan, Request, Response, Sources, Transaction,
    parse,
};

/// Rules, a store, and a clock that stands still until it is moved.
struct Site {
    plan: Arc<Plan>,
    store: Arc<Collections>,
    now: Timestamp,
}

/// What became of a request.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// Status of the rule that stopped it; 0 when none did
    stopped: u16,
    /// Messages of the rules that logged, in order
    said: Vec<String>,
}

fn plan(rules: &str, gates: Gates) -> Arc<Plan> {
    let read = |_: &Path| Ok(rules.as_bytes().to_vec());
    let glob = |_: &Path| Err("no patterns here".to_owned());
    let Parsed { document, diagnostics } = parse(&[PathBuf::from("a.conf")], &Sources { read: &read, glob: &glob });
    assert_eq!(diagnostics, [], "{rules}");
    Arc::new(Plan::compile(&document, &Options { gates, ..Options::default() }).unwrap())
}

fn store(limits: CollectionLimits) -> Arc<Collections> {
    Arc::new(Collections::new([7; 16], limits))
}

impl Site {
    fn new(rules: &str) -> Self {
        Self::gated(rules, Gates::All)
    }

    fn gated(rules: &str, gates: Gates) -> Self {
        let now = Timestamp::from_millis(1_767_225_600_000);
        Self { plan: plan(rules, gates), store: store(CollectionLimits::default()), now }
    }

    /// Moves the clock.
    fn wait(&mut self, seconds: i64) {
        self.now = self.now.plus_micros(seconds * 1_000_000);
    }

    /// A request from an address, answered with `status` by the upstream, all phases.
    fn ask(&self, address: &str, target: &str, status: u16) -> Outcome {
        let mut transaction = Transaction::new(Arc::clone(&self.plan));
        if self.plan.keeps_collections() {
            transaction.keep_in(Arc::clone(&self.store), b"policy");
        }
        let stopped = phases(&mut transaction, address, target, status, self.now);
        let status = stopped.as_ref().map_or(status, |stopped| stopped.status);
        transaction.answered(status);
        transaction.finish();
        let said = transaction.matches().iter().map(|found| String::from_utf8_lossy(&found.message).into_owned());
        Outcome { stopped: stopped.map_or(0, |stopped| stopped.status), said: said.collect() }
    }

    /// What the last rule that logged says, for a request from one address.
    fn say(&self, target: &str) -> String {
        self.ask("192.0.2.1", target, 200).said.pop().unwrap_or_default()
    }
}

fn head(transaction: &mut Transaction, address: &str, target: &str, now: Timestamp) -> Option<Intervention> {
    transaction.request_head(&Request {
        method: b"POST",
        target: target.as_bytes(),
        protocol: b"HTTP/1.1",
        headers: &[HeaderField { name: b"host", value: b"a.example" }],
        client: Some(SocketAddr::new(address.parse::<IpAddr>().unwrap(), 1)),
        server: None,
        id: RequestId::from_bits(1),
        now,
    })
}

fn phases(
    transaction: &mut Transaction,
    address: &str,
    target: &str,
    status: u16,
    now: Timestamp,
) -> Option<Intervention> {
    let response = Response { status, protocol: b"HTTP/1.1", headers: &[] };
    head(transaction, address, target, now)
        .or_else(|| transaction.request_body(b""))
        .or_else(|| transaction.response_head(&response))
        .or_else(|| transaction.response_body(b""))
}
