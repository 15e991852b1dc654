//! What all connections share: the running generation, the sinks, the counters.
//!
//! A generation is a Snapshot together with the upstreams and limits of the same configuration. It is swapped whole
//! (arc-swap) and every exchange pins the one it began on, so a reload never mixes two configurations.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;
use bartizan_config::{Config, Limits};
use bartizan_engine::{Inspection, Snapshot};
use bartizan_model::{Connection, HttpVersion, Outcome, Source};
use ipnet::IpNet;

use crate::cache::{self, Caches};
use crate::clients::Clients;
use crate::gateway::{Desk, GatewayStats, Sinks};
use crate::ids;
use crate::link::Link;
use crate::refusal::Refusal;
use crate::upstream::Upstreams;

/// One configuration, running.
pub(crate) struct Generation {
    /// What the engine reads
    pub(crate) snapshot: Arc<Snapshot>,
    /// Where requests go
    pub(crate) upstreams: Arc<Upstreams>,
    /// Listener-side limits
    pub(crate) limits: Limits,
    /// Whose forwarding headers are believed
    pub(crate) trusted_proxies: Arc<[IpNet]>,
    /// Answers that are kept
    pub(crate) caches: Arc<Caches>,
}

impl Generation {
    /// The generation of a configuration whose upstreams and Snapshot are made, and which follows on `before`.
    pub(crate) fn new(
        config: &Config,
        snapshot: Arc<Snapshot>,
        upstreams: Arc<Upstreams>,
        before: Option<&Self>,
    ) -> Self {
        let trusted_proxies = config.trusted_proxies.as_slice().into();
        let caches = Arc::new(Caches::new(config, before.map(|before| &*before.caches)));
        Self { snapshot, upstreams, limits: config.limits, trusted_proxies, caches }
    }
}

/// Counters; each is read on its own, so relaxed order is enough.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) connections_open: AtomicU64,
    pub(crate) connections_total: AtomicU64,
    pub(crate) connections_refused_total: AtomicU64,
    pub(crate) client_connections_refused_total: AtomicU64,
    pub(crate) http2_floods_total: AtomicU64,
    pub(crate) exchanges_open: AtomicU64,
    pub(crate) exchanges_total: AtomicU64,
    pub(crate) proxy_header_failures_total: AtomicU64,
    pub(crate) handshake_failures_total: AtomicU64,
    pub(crate) client_certificates_refused_total: AtomicU64,
    pub(crate) internal_faults_total: AtomicU64,
    pub(crate) upstream_connections_total: AtomicU64,
    pub(crate) upstream_retries_total: AtomicU64,
}

impl Counters {
    /// All counters now.
    pub(crate) fn read(&self) -> GatewayStats {
        GatewayStats {
            connections_open: self.connections_open.load(Relaxed),
            connections_total: self.connections_total.load(Relaxed),
            connections_refused_total: self.connections_refused_total.load(Relaxed),
            client_connections_refused_total: self.client_connections_refused_total.load(Relaxed),
            http2_floods_total: self.http2_floods_total.load(Relaxed),
            exchanges_open: self.exchanges_open.load(Relaxed),
            exchanges_total: self.exchanges_total.load(Relaxed),
            proxy_header_failures_total: self.proxy_header_failures_total.load(Relaxed),
            handshake_failures_total: self.handshake_failures_total.load(Relaxed),
            client_certificates_refused_total: self.client_certificates_refused_total.load(Relaxed),
            internal_faults_total: self.internal_faults_total.load(Relaxed),
            upstream_connections_total: self.upstream_connections_total.load(Relaxed),
            upstream_retries_total: self.upstream_retries_total.load(Relaxed),
        }
    }
}

/// What all connections share.
pub(crate) struct Shared {
    /// The running generation
    pub(crate) current: ArcSwap<Generation>,
    /// Serializes writers of `current`; never taken on the request path
    pub(crate) writer: Mutex<()>,
    /// Where events and exchanges go
    pub(crate) sinks: Sinks,
    /// Who answers the engine's questions
    pub(crate) desk: Option<Desk>,
    /// Counters
    pub(crate) counters: Counters,
    /// What became of requests that answers are kept for
    pub(crate) cache_counters: cache::Counters,
    /// What each client holds
    pub(crate) clients: Arc<Clients>,
    /// Client connections that the system's limit of open files leaves room for
    pub(crate) connections_room: u64,
    /// No new connections are accepted; those that are open end with their next answer
    pub(crate) is_closing: AtomicBool,
}

impl Shared {
    /// Counts a fault of ours.
    pub(crate) fn count_internal_fault(&self) {
        self.counters.internal_faults_total.fetch_add(1, Relaxed);
    }

    /// The inspection of a request that never became an exchange; finish it with [`Refusal::ending`].
    pub(crate) fn refused(&self, link: &Link, refusal: Refusal) -> Box<Inspection> {
        self.refused_times(&link.connection, link.version(), refusal, NonZeroU64::MIN)
    }

    fn refused_times(
        &self,
        connection: &Connection,
        version: HttpVersion,
        refusal: Refusal,
        times: NonZeroU64,
    ) -> Box<Inspection> {
        let now = ids::now();
        let snapshot = self.current.load().snapshot.clone();
        let mut inspection = Inspection::new(snapshot, connection, ids::request_id(now), Source::Gateway, now);
        refusal.tell(&mut inspection, version, times);
        inspection
    }

    /// One event for so many refusals that nobody is answered.
    pub(crate) fn tell_refused(
        &self,
        connection: &Connection,
        version: HttpVersion,
        refusal: Refusal,
        times: NonZeroU64,
    ) {
        let outcome = Outcome { ending: refusal.ending(), ..Outcome::default() };
        (self.sinks.events)(self.refused_times(connection, version, refusal, times).finish(outcome, ids::now()));
    }
}
