//! The gateway as its owner sees it: built, run, reloaded, stopped.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use arc_swap::ArcSwap;
use bartizan_config::{Config, Listener};
use bartizan_engine::{Question, Reply, Snapshot};
use bartizan_model::{Event, Exchange};
use futures::future::BoxFuture;
use pingora::apps::{HttpServerApp, HttpServerOptions};
use pingora::protocols::http::v2::server::default_h2_options;
use pingora::proxy::HttpProxy;
use pingora::server::configuration::ServerConf;
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use crate::Error;
use crate::body::FRAME_BYTES_MAX;
use crate::cache::{self, CacheStats, Purge};
use crate::clients::Clients;
use crate::hand_over::{self, Inheritance};
use crate::listen::{self, Bound, Hall, serve};
use crate::proxy::Proxy;
use crate::shared::{Counters, Generation, Shared};
use crate::tls::CertificateStore;
use crate::upstream::Upstreams;

/// LIMIT: attempts of one request in all; each upstream's own number is lower.
const ATTEMPTS_MAX: usize = 64;

/// LIMIT: idle connections kept to upstreams, per worker thread.
const IDLE_UPSTREAM_CONNECTIONS_MAX: usize = 256;

/// LIMIT: concurrent requests on one HTTP/2 connection of a client.
const HTTP2_STREAMS_MAX: u32 = 128;

/// LIMIT: body bytes that a client may send ahead, per stream and per connection.
const HTTP2_STREAM_WINDOW: u32 = 256 * 1024;
const HTTP2_CONNECTION_WINDOW: u32 = 1024 * 1024;

/// LIMIT: smallest limit for decoded header lists; beyond it h2 itself answers 431. Ours is checked before.
const HTTP2_HEADER_BYTES: u32 = 64 * 1024;

/// How long tasks may take to end after the workers were told to stop.
const WORKERS_END: Duration = Duration::from_secs(1);

/// How often files of clients' authorities and revocation lists are looked at.
const TRUST_ROUND: Duration = Duration::from_secs(60);

/// How long open connections without a request are kept once no new ones are accepted.
const LINGER: Duration = Duration::from_millis(300);

/// Takes every event; must never block.
pub type EventSink = Arc<dyn Fn(Event) + Send + Sync>;

/// Takes whole exchanges, for `bartizan record`; must never block.
pub type ExchangeSink = Arc<dyn Fn(Exchange) + Send + Sync>;

/// Answers what an inspection asks (`Step::Ask`), in bounded time; a request waits for it.
pub type Desk = Arc<dyn Fn(Question) -> BoxFuture<'static, Reply> + Send + Sync>;

/// Where the gateway puts what it saw.
#[derive(Clone)]
pub struct Sinks {
    /// One event per exchange
    pub events: EventSink,
    /// Whole exchanges with payload, when recording
    pub exchanges: Option<ExchangeSink>,
}

/// How the process wants the gateway to behave.
#[derive(Clone)]
pub struct GatewayOptions {
    /// Take the listening sockets over from a running gateway that was sent SIGQUIT
    pub upgrade: bool,
    /// Unix socket for the hand-over; without it SIGQUIT stops gracefully
    pub upgrade_socket: Option<PathBuf>,
    /// Stop on SIGTERM (graceful), SIGINT (fast) and SIGQUIT (hand-over); off when the host handles signals itself
    pub signals: bool,
    /// Who answers the engine's questions; without it, what would have to be asked is refused
    pub desk: Option<Desk>,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self { upgrade: false, upgrade_socket: None, signals: true, desk: None }
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
    /// Connections closed at once because `limits.connections_max` were open
    pub connections_refused_total: u64,
    /// Connections closed at once because their client had `limits.connections_per_client_max` open
    pub client_connections_refused_total: u64,
    /// HTTP/2 connections given up because their client flooded them
    pub http2_floods_total: u64,
    /// Exchanges under way now
    pub exchanges_open: u64,
    /// Exchanges begun
    pub exchanges_total: u64,
    /// Connections refused for a missing or bad PROXY header
    pub proxy_header_failures_total: u64,
    /// TLS handshakes that failed
    pub handshake_failures_total: u64,
    /// Those of them that failed for the client's certificate; each is an event
    pub client_certificates_refused_total: u64,
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
    runtime: Option<Runtime>,
    listeners: Vec<Bound>,
    proxy: Arc<HttpProxy<Proxy>>,
    stops: mpsc::Receiver<Stop>,
    signals: Option<Signals>,
    options: GatewayOptions,
    grace: Duration,
    inheritance: Option<Inheritance>,
}

/// Steers a gateway from elsewhere in the process.
#[derive(Clone)]
pub struct GatewayHandle {
    shared: Arc<Shared>,
    runtime: tokio::runtime::Handle,
    stop: mpsc::Sender<Stop>,
    fixed: Arc<Fixed>,
}

/// The signals that stop a gateway.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }
}

/// What a reload cannot change.
struct Fixed {
    listeners: Vec<Listener>,
    certificates: Vec<Option<Arc<CertificateStore>>>,
    threads: usize,
    grace_ms: u64,
    keepalive_ms: u64,
}

impl Gateway {
    /// Reads certificates, binds the listeners (or takes them over) and resolves upstreams. Nothing is served yet.
    ///
    /// # Errors
    /// A certificate or key that cannot be used, an address that cannot be bound: each names its place.
    pub fn new(config: &Config, snapshot: Arc<Snapshot>, sinks: Sinks, options: GatewayOptions) -> Result<Self, Error> {
        let upstreams = Arc::new(Upstreams::new(config, None)?);
        let mut inheritance = match &options.upgrade_socket {
            Some(path) if options.upgrade => Some(Inheritance::receive(path)?),
            _ => None,
        };
        let mut listeners = Vec::with_capacity(config.listeners.len());
        for listener in &config.listeners {
            let inherited = inheritance.as_mut().and_then(|sockets| sockets.take(listener.address));
            listeners.push(Bound::new(listener, inherited)?);
        }
        let threads = worker_threads(config);
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("gateway")
            .enable_all()
            .build()
            .map_err(Error::Runtime)?;
        let generation = Generation::new(config, snapshot, upstreams, None);
        let shared = Arc::new(Shared {
            current: ArcSwap::from_pointee(generation),
            writer: Mutex::new(()),
            sinks,
            desk: options.desk.clone(),
            counters: Counters::default(),
            cache_counters: cache::Counters::default(),
            clients: Arc::new(Clients::new()),
            connections_room: listen::connections_room(config.limits.connections_max),
            is_closing: AtomicBool::new(false),
        });
        let proxy = Arc::new(proxy(config, threads, shared.clone())?);
        let fixed = Arc::new(Fixed {
            listeners: config.listeners.clone(),
            certificates: listeners.iter().map(|bound| bound.certificates.clone()).collect(),
            threads,
            grace_ms: config.shutdown_grace_ms,
            keepalive_ms: config.limits.keepalive_timeout_ms,
        });
        let (stop, stops) = mpsc::channel(4);
        let handle = GatewayHandle { shared, runtime: runtime.handle().clone(), stop, fixed };
        let grace = Duration::from_millis(config.shutdown_grace_ms);
        Ok(Self { handle, runtime: Some(runtime), listeners, proxy, stops, signals: None, options, grace, inheritance })
    }

    /// The addresses really bound, in the order of the configuration: port 0 became a real port.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(Bound::address).collect()
    }

    /// Steers this gateway from elsewhere.
    pub fn handle(&self) -> GatewayHandle {
        self.handle.clone()
    }

    /// Serves until stopped; returns how. Blocks the calling thread; call it outside any async runtime.
    ///
    /// # Errors
    /// The worker threads cannot be started, or the listening sockets were lost.
    pub fn run(mut self) -> Result<Stop, Error> {
        let Some(runtime) = self.runtime.take() else { return Ok(Stop::Fast) };
        let stop = runtime.block_on(self.serve())?;
        runtime.shutdown_timeout(if stop == Stop::Fast { Duration::ZERO } else { WORKERS_END });
        Ok(stop)
    }

    async fn serve(&mut self) -> Result<Stop, Error> {
        let (shutdown, watch) = watch::channel(false);
        let (closing, closed) = watch::channel(false);
        let hall = Arc::new(Hall {
            shared: self.handle.shared.clone(),
            proxy: self.proxy.clone(),
            shutdown: watch,
            closing: closed,
            drained: Notify::new(),
        });
        if self.options.signals {
            self.signals = Some(Signals::new().map_err(Error::Runtime)?);
        }
        self.handle.shared.current.load().upstreams.start(&self.handle.runtime);
        let renewal = tokio::spawn(keep_trust_fresh(self.handle.clone()));
        let sockets = self.sockets()?;
        let mut doors = JoinSet::new();
        for bound in self.listeners.drain(..) {
            doors.spawn(serve(bound, hall.clone()));
        }
        if let Some(inheritance) = self.inheritance.take() {
            inheritance.acknowledge();
        }
        let stop = loop {
            match self.next_stop().await {
                Stop::HandOver => {
                    let Some(path) = self.options.upgrade_socket.clone() else { break Stop::Graceful };
                    let sockets = sockets.iter().map(|(address, fd)| Ok((*address, fd.try_clone()?)));
                    let sockets = sockets.collect::<std::io::Result<Vec<_>>>().map_err(Error::Runtime)?;
                    match tokio::task::spawn_blocking(move || hand_over::send(&path, &sockets)).await {
                        Ok(Ok(())) => break Stop::HandOver,
                        Ok(Err(error)) => tracing::error!(%error, "not handed over; serving on"),
                        Err(error) => tracing::error!(%error, "not handed over; serving on"),
                    }
                }
                stop @ (Stop::Graceful | Stop::Fast) => break stop,
            }
        };
        drop(sockets);
        renewal.abort();
        if stop != Stop::Fast {
            let _ = shutdown.send(true);
            self.handle.shared.is_closing.store(true, Relaxed);
            while doors.join_next().await.is_some() {} // one of them may be accepting a connection at this moment
            // A connection that was just accepted may have its first request on the way: answer it, then close.
            if self.handle.shared.counters.connections_open.load(Relaxed) > 0 {
                tokio::time::sleep(LINGER.min(self.grace)).await;
            }
            let _ = closing.send(true);
            self.proxy.http_cleanup().await;
            self.drain(&hall).await;
        }
        Ok(stop)
    }

    /// Copies of the listening sockets, for a later hand-over.
    fn sockets(&self) -> Result<Vec<(SocketAddr, OwnedFd)>, Error> {
        let copies = self.listeners.iter().map(|bound| {
            let copy = bound.socket.try_clone().map_err(|source| Error::Bind { address: bound.address(), source })?;
            Ok((bound.config.address, OwnedFd::from(copy)))
        });
        copies.collect()
    }

    /// Waits for a signal or for the handle.
    async fn next_stop(&mut self) -> Stop {
        let Some(signals) = &mut self.signals else { return self.stops.recv().await.unwrap_or(Stop::Fast) };
        tokio::select! {
            stop = self.stops.recv() => stop.unwrap_or(Stop::Fast),
            _ = signals.terminate.recv() => Stop::Graceful,
            _ = signals.interrupt.recv() => Stop::Fast,
            _ = signals.quit.recv() => Stop::HandOver,
        }
    }

    /// Waits until every connection has ended, at most for the grace; a further stop ends the wait.
    async fn drain(&mut self, hall: &Hall) {
        let drained = async {
            loop {
                let last_left = hall.drained.notified();
                tokio::pin!(last_left);
                last_left.as_mut().enable();
                let open = hall.shared.counters.read();
                if open.connections_open == 0 && open.exchanges_open == 0 {
                    return;
                }
                // HTTP/2 exchanges may outlive their connection for a moment, hence the timeout.
                let _ = tokio::time::timeout(Duration::from_millis(50), last_left).await;
            }
        };
        let grace = self.grace;
        tokio::select! {
            () = drained => {}
            () = tokio::time::sleep(grace) => {
                let open = hall.shared.counters.read().exchanges_open;
                tracing::warn!(exchanges_open = open, "the grace is over; exchanges are cut off");
            }
            _ = self.next_stop() => {}
        }
    }
}

/// Certificates are taken back at any hour; nobody should have to ask for a reload then.
async fn keep_trust_fresh(handle: GatewayHandle) {
    if handle.fixed.certificates.iter().all(Option::is_none) {
        return;
    }
    loop {
        tokio::time::sleep(TRUST_ROUND).await;
        let handle = handle.clone();
        match tokio::task::spawn_blocking(move || handle.renew_trust()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(listeners)) => tracing::info!(listeners, "authorities and revocation lists of clients read again"),
            Ok(Err(error)) => tracing::error!(%error, "not read again; what was read before goes on"),
            Err(error) => tracing::error!(%error, "not read again; what was read before goes on"),
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background(); // never run
        }
    }
}

/// What `desk` replies; without one, what would have to be asked is refused.
pub(crate) async fn ask(desk: Option<&Desk>, question: Question) -> Reply {
    match desk {
        Some(desk) => desk(question).await,
        None => Reply::Unavailable,
    }
}

fn worker_threads(config: &Config) -> usize {
    config.threads.or_else(|| available_parallelism().ok()).map_or(1, std::num::NonZero::get)
}

/// Pingora's proxy with our callbacks.
fn proxy(config: &Config, threads: usize, shared: Arc<Shared>) -> Result<HttpProxy<Proxy>, Error> {
    let conf = ServerConf {
        threads,
        max_retries: ATTEMPTS_MAX,
        upstream_keepalive_pool_size: IDLE_UPSTREAM_CONNECTIONS_MAX,
        ..ServerConf::default()
    };
    // Pingora panics when it cannot read the system's certificate authorities.
    let made = catch_unwind(AssertUnwindSafe(|| HttpProxy::new(Proxy::new(shared), Arc::new(conf))));
    let mut proxy = made.map_err(|_| Error::Certificate {
        file: PathBuf::from("the system's certificate authorities"),
        fault: "cannot be read; mend the system's store, or name one in SSL_CERT_FILE".to_owned(),
    })?;
    proxy.handle_init_modules();
    let mut options = HttpServerOptions::default();
    options.h2c = true; // the door decides per listener
    options.allow_connect_method_proxying = true; // refused by us, with an event
    options.h2_idle_timeout = Some(Duration::from_millis(config.limits.keepalive_timeout_ms));
    proxy.server_options = Some(options);
    let header_bytes = u32::try_from(config.limits.header_bytes_max.saturating_mul(2)).unwrap_or(u32::MAX);
    let mut http2 = default_h2_options();
    http2
        .max_header_list_size(header_bytes.max(HTTP2_HEADER_BYTES))
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .initial_window_size(HTTP2_STREAM_WINDOW)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW);
    proxy.h2_options = Some(http2);
    Ok(proxy)
}

impl GatewayHandle {
    /// New exchanges run on `snapshot`; those under way finish on theirs. Upstreams stay as they are.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        let _writer = self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.shared.current.load();
        self.shared.current.store(Arc::new(Generation {
            snapshot,
            upstreams: now.upstreams.clone(),
            limits: now.limits,
            trusted_proxies: now.trusted_proxies.clone(),
            caches: now.caches.clone(),
        }));
    }

    /// Runs a new configuration and the Snapshot compiled from it, swapped together. Unchanged upstreams keep what
    /// they know; certificates of unchanged listeners are read again. Returns what needs a restart to take effect.
    /// May block while host names are resolved.
    ///
    /// # Errors
    /// A certificate or authority file that cannot be used; then nothing has changed.
    pub fn reload(&self, config: &Config, snapshot: Arc<Snapshot>) -> Result<Vec<String>, Error> {
        let _writer = self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let upstreams = Arc::new(Upstreams::new(config, Some(&self.shared.current.load().upstreams))?);
        let mut renewed = Vec::new();
        for (before, store) in self.fixed.listeners.iter().zip(&self.fixed.certificates) {
            let now = config.listeners.iter().find(|listener| listener.address == before.address);
            if let (Some(store), Some(tls)) = (store, now.and_then(|listener| listener.tls.as_ref())) {
                renewed.push((store, CertificateStore::load(tls, before.http2)?));
            }
        }
        upstreams.start(&self.runtime);
        renewed.iter().for_each(|(store, fresh)| store.replace_with(fresh));
        let before = self.shared.current.load();
        self.shared.current.store(Arc::new(Generation::new(config, snapshot, upstreams, Some(&before))));
        Ok(self.needs_restart(config))
    }

    /// Reads the files of clients' authorities and revocation lists again where they have changed; connections that are
    /// opened afterwards are judged by them. The gateway does so by itself every minute. Returns how many listeners have
    /// changed. Blocks.
    ///
    /// # Errors
    /// The first file that cannot be used. What was read before goes on for its listener; the others are renewed.
    pub fn renew_trust(&self) -> Result<usize, Error> {
        let _writer = self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let renewals = self.fixed.certificates.iter().flatten().map(|store| store.renew_trust());
        let renewals: Vec<_> = renewals.collect(); // a fault of one must not keep the next from being renewed
        renewals.into_iter().try_fold(0, |count, renewal| Ok(count + usize::from(renewal?)))
    }

    /// What `config` asks for that a running process cannot do.
    fn needs_restart(&self, config: &Config) -> Vec<String> {
        let mut needs = Vec::new();
        for before in &self.fixed.listeners {
            match config.listeners.iter().find(|listener| listener.address == before.address) {
                None => needs.push(format!("listener `{}` was removed", before.address)),
                Some(now) if !is_same_but_certificates(before, now) => {
                    needs.push(format!("settings of listener `{}` changed", before.address));
                }
                Some(_) => {}
            }
        }
        for now in &config.listeners {
            if self.fixed.listeners.iter().all(|before| before.address != now.address) {
                needs.push(format!("listener `{}` was added", now.address));
            }
        }
        if worker_threads(config) != self.fixed.threads {
            needs.push("`threads` changed".to_owned());
        }
        if config.shutdown_grace_ms != self.fixed.grace_ms {
            needs.push("`shutdown_grace` changed".to_owned());
        }
        if config.limits.keepalive_timeout_ms != self.fixed.keepalive_ms {
            needs.push("`limits.keepalive_timeout` changed (for HTTP/2)".to_owned());
        }
        needs
    }

    /// Every upstream and the health of its targets.
    pub fn upstreams(&self) -> Vec<UpstreamHealth> {
        self.shared.current.load().upstreams.health()
    }

    /// Counters.
    pub fn stats(&self) -> GatewayStats {
        self.shared.counters.read()
    }

    /// What became of requests that policies keep answers for, and what is kept.
    pub fn cache_stats(&self) -> CacheStats {
        self.shared.cache_counters.read(&self.shared.current.load().caches)
    }

    /// Forgets kept answers; returns how many. What is being fetched meanwhile is given to who asked, and not kept.
    pub fn purge_cache(&self, purge: &Purge) -> usize {
        self.shared.current.load().caches.purge(purge)
    }

    /// Whether it takes no new connections any more: a stop or an upgrade was asked for.
    pub fn is_stopping(&self) -> bool {
        self.shared.is_closing.load(Relaxed)
    }

    /// Stops the gateway: [`Gateway::run`] returns.
    pub fn stop(&self, stop: Stop) {
        let _ = self.stop.try_send(stop); // full: it is stopping
    }
}

/// Whether a running listener can become this one: certificates and versions of TLS are read anew.
fn is_same_but_certificates(before: &Listener, now: &Listener) -> bool {
    before.tls.is_some() == now.tls.is_some()
        && before.http2 == now.http2
        && before.proxy_protocol == now.proxy_protocol
}
