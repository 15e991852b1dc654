//! Starts and stops a gateway.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bartizan_config::{
    Api, Balance, Config, Data, HostHeader, Limits, Listener, Policy, PolicyRule, Scope, Target, Timeouts, Upstream,
    UpstreamProtocol,
};
use bartizan_engine::{Inputs, Snapshot};
use bartizan_gateway::{Error, Gateway, GatewayHandle, GatewayOptions, GatewayStats, Sinks, Stop};
use bartizan_model::{Event, Exchange, Mode};
use tokio::sync::mpsc;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running gateway.
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    pub(crate) handle: GatewayHandle,
    events: mpsc::UnboundedReceiver<Event>,
    pub(crate) exchanges: Arc<Mutex<Vec<Exchange>>>,
    thread: Option<JoinHandle<Result<Stop, Error>>>,
}

impl Gate {
    pub(crate) fn start(config: &Config) -> Self {
        Self::start_on(config, snapshot(config, 1))
    }

    /// With a Snapshot of the test's own.
    pub(crate) fn start_on(config: &Config, snapshot: Arc<Snapshot>) -> Self {
        let (send, events) = mpsc::unbounded_channel();
        let exchanges = Arc::new(Mutex::new(Vec::new()));
        let recorded = exchanges.clone();
        let sinks = Sinks {
            events: Arc::new(move |event| drop(send.send(event))),
            exchanges: Some(Arc::new(move |exchange| recorded.lock().unwrap().push(exchange))),
        };
        let options = GatewayOptions { signals: false, ..GatewayOptions::default() };
        let gateway = Gateway::new(config, snapshot, sinks, options).unwrap();
        let address = gateway.addresses()[0];
        let handle = gateway.handle();
        let thread = Some(std::thread::spawn(move || gateway.run()));
        Self { address, handle, events, exchanges, thread }
    }

    /// The next event; there must be one.
    pub(crate) async fn event(&mut self) -> Event {
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
        event.expect("an event within 20 s").expect("a running gateway")
    }

    /// Events that came and were not asked for.
    pub(crate) fn further_events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    /// The counters once they are as expected: some are counted after the client has seen the end.
    pub(crate) async fn stats_once(&self, is_expected: impl Fn(&GatewayStats) -> bool) -> GatewayStats {
        let expected = async {
            loop {
                let stats = self.handle.stats();
                if is_expected(&stats) {
                    return stats;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let stats = tokio::time::timeout(PATIENCE, expected).await;
        stats.unwrap_or_else(|_| panic!("after 20 s: {:?}", self.handle.stats()))
    }

    /// Stops it, waits for its end, and says how it ended.
    pub(crate) async fn stop(&mut self, stop: Stop) -> Stop {
        self.handle.stop(stop);
        let thread = self.thread.take().unwrap();
        tokio::task::spawn_blocking(move || thread.join().unwrap().unwrap()).await.unwrap()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.handle.stop(Stop::Fast);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn snapshot(config: &Config, generation: u64) -> Arc<Snapshot> {
    Arc::new(Snapshot::compile(
        config,
        Inputs {
            generation,
            endpoints: &[],
            plans: &bartizan_engine::Plans::new(),
            counters: &bartizan_engine::Counters::default(),
            key: [7; 32],
        },
    ))
}

pub(crate) fn upstream(ports: &[u16]) -> Upstream {
    let target = |port: &u16| Target { host: "127.0.0.1".into(), port: *port, weight: NonZeroU32::MIN };
    Upstream {
        name: "origin".into(),
        targets: ports.iter().map(target).collect(),
        balance: Balance::RoundRobin,
        tls: None,
        protocol: UpstreamProtocol::Http1,
        timeouts: Timeouts { connect_ms: 2000, handshake_ms: 3000, read_ms: 10_000, write_ms: 10_000, idle_ms: 10_000 },
        health: None,
        retries_max: 1,
        resolve_interval_ms: 30_000,
    }
}

/// One clear listener, one upstream, one API for everything.
pub(crate) fn config(ports: &[u16]) -> Config {
    Config {
        listeners: vec![Listener {
            address: ([127, 0, 0, 1], 0).into(),
            tls: None,
            http2: true,
            proxy_protocol: false,
        }],
        upstreams: vec![upstream(ports)],
        apis: vec![Api {
            name: "default".into(),
            hosts: Vec::new(),
            path_prefix: "/".into(),
            upstream: "origin".into(),
            host_header: HostHeader::Keep,
            body_bytes_max: 16 << 20,
            streaming: Vec::new(),
        }],
        plans: Vec::new(),
        policies: Vec::new(),
        trusted_proxies: Vec::new(),
        address_data: Vec::new(),
        limits: Limits {
            header_bytes_max: 64 << 10,
            header_count_max: 100,
            header_timeout_ms: 10_000,
            client_read_timeout_ms: 10_000,
            keepalive_timeout_ms: 60_000,
            body_timeout_ms: 60_000,
            connections_max: 1000,
            connections_per_client_max: 1000,
            requests_per_client_max: 1000,
        },
        data: Data {
            directory: "unused".into(),
            retention_secs: 1,
            retention_bytes_max: 1,
            queue_events_max: NonZeroUsize::MIN,
        },
        audit_logs: Vec::new(),
        redis: None,
        metrics: None,
        console: None,
        threads: NonZeroUsize::new(2),
        shutdown_grace_ms: 10_000,
    }
}

/// As [`config`], with short waits for tests of timeouts.
pub(crate) fn quick_config(ports: &[u16]) -> Config {
    let mut config = config(ports);
    config.limits.header_timeout_ms = 300;
    config.limits.client_read_timeout_ms = 300;
    config.upstreams[0].timeouts.read_ms = 300;
    config
}

pub(crate) fn policy(name: &str, mode: Mode, rule: PolicyRule) -> Policy {
    Policy { name: name.into(), mode, scope: Scope::default(), rule }
}
