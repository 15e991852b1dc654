//! The gateway as its owner sees it: built, run, reloaded, stopped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bartizan_config::Config;
use bartizan_engine::Snapshot;
use bartizan_model::{Event, Exchange};
use serde::Serialize;

use crate::Error;

/// Takes every event; must never block.
pub type EventSink = Arc<dyn Fn(Event) + Send + Sync>;

/// Takes whole exchanges, for `bartizan record`; must never block.
pub type ExchangeSink = Arc<dyn Fn(Exchange) + Send + Sync>;

/// Where the gateway puts what it saw.
#[derive(Clone)]
pub struct Sinks {
    /// One event per exchange
    pub events: EventSink,
    /// Whole exchanges with payload, when recording
    pub exchanges: Option<ExchangeSink>,
}

/// How the process wants the gateway to behave.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Take the listening sockets over from a running gateway that was sent SIGQUIT
    pub upgrade: bool,
    /// Unix socket for the hand-over; without it SIGQUIT stops gracefully
    pub upgrade_socket: Option<PathBuf>,
    /// Stop on SIGTERM (graceful), SIGINT (fast) and SIGQUIT (hand-over); off when the host handles signals itself
    pub signals: bool,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self { upgrade: false, upgrade_socket: None, signals: true }
    }
}

/// How the gateway was, or shall be, stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Requests in flight finish, up to the configured grace
    Graceful,
    /// At once
    Fast,
    /// The listening sockets went to another process; requests in flight finish
    HandOver,
}

/// Health of one upstream's targets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpstreamHealth {
    /// Name from the configuration
    pub name: String,
    /// Its targets, one per resolved address
    pub targets: Vec<TargetHealth>,
}

/// Health of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetHealth {
    /// `host:port`, with the resolved address when the host is a name
    pub address: String,
    /// Whether it gets requests
    pub healthy: bool,
    /// What was last heard of it
    pub detail: String,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GatewayStats {
    /// Connections open now
    pub connections_open: u64,
    /// Connections accepted
    pub connections_total: u64,
    /// Exchanges under way now
    pub exchanges_open: u64,
    /// Exchanges begun
    pub exchanges_total: u64,
    /// Connections refused for a missing or bad PROXY header
    pub proxy_header_failures_total: u64,
    /// TLS handshakes that failed
    pub handshake_failures_total: u64,
    /// Faults of ours (panics): the exchange failed closed
    pub internal_faults_total: u64,
    /// Connections to upstreams opened
    pub upstream_connections_total: u64,
    /// Further attempts after a failed one
    pub upstream_retries_total: u64,
}

/// Listeners, workers and upstreams, ready to run.
pub struct Gateway {
    handle: GatewayHandle,
}

/// Steers a gateway from elsewhere in the process.
#[derive(Clone)]
pub struct GatewayHandle {}

impl Gateway {
    /// Reads certificates, binds the listeners (or takes them over) and resolves upstreams. Nothing is served yet.
    ///
    /// # Errors
    /// A certificate or key that cannot be used, an address that cannot be bound: each names its place.
    pub fn new(
        config: &Config,
        snapshot: Arc<Snapshot>,
        sinks: Sinks,
        options: GatewayOptions,
    ) -> Result<Self, Error> {
        let _ = (config, snapshot, sinks, options);
        Ok(Self { handle: GatewayHandle {} })
    }

    /// The addresses really bound, in the order of the configuration: port 0 became a real port.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        Vec::new()
    }

    /// Steers this gateway from elsewhere.
    pub fn handle(&self) -> GatewayHandle {
        self.handle.clone()
    }

    /// Serves until stopped; returns how. Blocks the calling thread; call it outside any async runtime.
    ///
    /// # Errors
    /// The worker threads cannot be started.
    pub fn run(self) -> Result<Stop, Error> {
        Ok(Stop::Fast)
    }
}

impl GatewayHandle {
    /// New exchanges run on `snapshot`; those under way finish on theirs. Upstreams stay as they are.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        let _ = snapshot;
    }

    /// Runs a new configuration and the Snapshot compiled from it, swapped together. Unchanged upstreams keep what
    /// they know. Returns what needs a restart to take effect. May block while host names are resolved.
    ///
    /// # Errors
    /// A certificate or authority file that cannot be used; then nothing has changed.
    pub fn reload(&self, config: &Config, snapshot: Arc<Snapshot>) -> Result<Vec<String>, Error> {
        let _ = (config, snapshot);
        Ok(Vec::new())
    }

    /// Every upstream and the health of its targets.
    pub fn upstreams(&self) -> Vec<UpstreamHealth> {
        Vec::new()
    }

    /// Counters.
    pub fn stats(&self) -> GatewayStats {
        GatewayStats::default()
    }

    /// Stops the gateway: [`Gateway::run`] returns.
    pub fn stop(&self, stop: Stop) {
        let _ = stop;
    }
}
