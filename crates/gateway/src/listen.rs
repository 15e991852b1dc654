//! Listeners: bound before anything runs, then one accept loop each, one task per connection.
//!
//! Pingora's own listening service cannot report a port in use, nor the port that 0 became, nor speak TLS 1.3 only, nor
//! read a PROXY header in the clear; its documentation names an accept loop of one's own around `HttpProxy` as the way
//! to go, and that is what this is. Each connection: PROXY header, TLS, [`Door`], Pingora.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bartizan_config::Listener;
use bartizan_model::{Connection, HttpVersion};
use bytes::Bytes;
use pingora::apps::ServerApp;
use pingora::protocols::IO;
use pingora::proxy::HttpProxy;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

use crate::Error;
use crate::clients::{Full, Seat};
use crate::door::Door;
use crate::link::Link;
use crate::proxy::Proxy;
use crate::proxy_header;
use crate::refusal::Refusal;
use crate::sealed::{self, Failed};
use crate::shared::Shared;
use crate::tls::CertificateStore;
use crate::wire::Wire;

/// LIMIT: connections that may wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// LIMIT: longest TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Pause after an accept that failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Files that are open beside connections: the store, the console, libraries. Generous.
const OTHER_FILES: u64 = 256;

/// LIMIT: how often the log tells of the same trouble with connections.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(10);

/// A listener whose socket is open and whose certificates are good.
pub(crate) struct Bound {
    pub(crate) config: Listener,
    pub(crate) socket: StdListener,
    pub(crate) certificates: Option<Arc<CertificateStore>>,
}

impl Bound {
    /// Reads the certificates, then opens the socket, or takes over the one that is given.
    pub(crate) fn new(config: &Listener, inherited: Option<StdListener>) -> Result<Self, Error> {
        let certificates = match &config.tls {
            Some(tls) => Some(Arc::new(CertificateStore::load(tls, config.http2)?)),
            None => None,
        };
        let socket = match inherited {
            Some(socket) => socket,
            None => bind(config.address).map_err(|source| Error::Bind { address: config.address, source })?,
        };
        Ok(Self { config: config.clone(), socket, certificates })
    }

    /// The address really bound.
    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap_or(self.config.address)
    }
}

fn bind(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// What every connection needs.
pub(crate) struct Hall {
    pub(crate) shared: Arc<Shared>,
    pub(crate) proxy: Arc<HttpProxy<Proxy>>,
    /// Turns true when no more connections are accepted
    pub(crate) shutdown: watch::Receiver<bool>,
    /// Turns true a moment later, when connections without a request are closed
    pub(crate) closing: watch::Receiver<bool>,
    /// Told when the last connection ends
    pub(crate) drained: Notify,
}

impl Hall {
    /// Whether no further connection may be opened.
    fn is_full(&self) -> bool {
        let limit = u64::from(self.shared.current.load().limits.connections_max);
        self.shared.counters.connections_open.load(Relaxed) >= limit.min(self.shared.connections_room)
    }
}

/// How many client connections the system's limit of open files leaves room for: each may need a second file for its
/// upstream. Raises this process's limit first, as far as it may, when `connections_max` needs that.
pub(crate) fn connections_room(connections_max: u32) -> u64 {
    let files = u64::from(connections_max) * 2 + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    let mut allowed = limit.current.unwrap_or(u64::MAX);
    if allowed < files {
        let raised = limit.maximum.map_or(files, |maximum| maximum.min(files));
        if setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum }).is_ok() {
            allowed = raised;
        }
    }
    let room = allowed.saturating_sub(OTHER_FILES).max(2) / 2;
    if room < u64::from(connections_max) {
        tracing::info!(
            connections_max,
            room,
            "the limit of open files (`ulimit -n`) leaves room for fewer connections"
        );
    }
    room
}

/// A message that traffic can cause: told at once, then at most once in [`COMPLAINT_PAUSE`], with how often meanwhile.
#[derive(Default)]
struct Complaint {
    told: Option<Instant>,
    times: u64,
}

impl Complaint {
    /// It happened again. Returns how often since it was told, when it is to be told now.
    fn again(&mut self) -> Option<u64> {
        self.times += 1;
        if self.told.is_some_and(|told| told.elapsed() < COMPLAINT_PAUSE) {
            return None;
        }
        self.told = Some(Instant::now());
        Some(std::mem::take(&mut self.times))
    }
}

/// Counts a connection as open while it lives.
struct Visit(Arc<Hall>);

impl Visit {
    fn new(hall: Arc<Hall>) -> Self {
        hall.shared.counters.connections_total.fetch_add(1, Relaxed);
        hall.shared.counters.connections_open.fetch_add(1, Relaxed);
        Self(hall)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if self.0.shared.counters.connections_open.fetch_sub(1, Relaxed) == 1 {
            self.0.drained.notify_waiters();
        }
    }
}

/// Accepts connections until the gateway stops.
pub(crate) async fn serve(bound: Bound, hall: Arc<Hall>) {
    let listener = match TcpListener::from_std(bound.socket) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(address = %bound.config.address, %error, "listener lost");
            return;
        }
    };
    let entrance = Arc::new(Entrance { config: bound.config, certificates: bound.certificates });
    let mut shutdown = hall.shutdown.clone();
    let (mut failed, mut full) = (Complaint::default(), Complaint::default());
    loop {
        let accepted = tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(_) if hall.is_full() => {
                hall.shared.counters.connections_refused_total.fetch_add(1, Relaxed);
                if let Some(times) = full.again() {
                    tracing::warn!(
                        times,
                        "new connection closed: as many are open as may be (`limits.connections_max`)"
                    );
                }
            }
            Ok((tcp, peer)) => {
                let visit = Visit::new(hall.clone());
                tokio::spawn(receive(tcp, peer, entrance.clone(), visit));
            }
            Err(error) => {
                if let Some(times) = failed.again() {
                    tracing::warn!(%error, times, "connection not accepted");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

struct Entrance {
    config: Listener,
    certificates: Option<Arc<CertificateStore>>,
}

/// One connection from its first byte to its last.
async fn receive(mut tcp: TcpStream, peer: SocketAddr, entrance: Arc<Entrance>, visit: Visit) {
    let _ = tcp.set_nodelay(true);
    let hall = &visit.0;
    let mut connection = Connection { peer: Some(peer), local: tcp.local_addr().ok(), tls: None };
    let mut put_back = Bytes::new();
    if entrance.config.proxy_protocol {
        match read_proxy_header(&mut tcp, &mut connection, hall).await {
            Some(rest) => put_back = rest,
            None => {
                hall.shared.counters.proxy_header_failures_total.fetch_add(1, Relaxed);
                tracing::debug!(%peer, "no PROXY header");
                return;
            }
        }
    }
    let Ok(seat) = admit(&connection, hall) else { return };
    let is_abandoned = Arc::new(AtomicBool::new(false));
    let wire = Wire::new(tcp, connection.peer.unwrap_or(peer), put_back, is_abandoned.clone());
    let link = |connection| Link::new(connection, seat, is_abandoned);
    let Some(certificates) = &entrance.certificates else {
        return enter(wire, Arc::new(link(connection)), entrance.config.http2, hall).await;
    };
    let offer = certificates.offer();
    let accepted = tokio::time::timeout(HANDSHAKE, sealed::accept(wire, &offer)).await;
    match accepted.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into())) {
        Ok(accepted) => {
            connection.tls = Some(accepted.info);
            let link = link(connection).on_terms(offer, accepted.terms);
            enter(accepted.stream, Arc::new(link), false, hall).await;
        }
        Err(Failed { error, certificate }) => {
            hall.shared.counters.handshake_failures_total.fetch_add(1, Relaxed);
            if let Some(fault) = certificate {
                hall.shared.counters.client_certificates_refused_total.fetch_add(1, Relaxed);
                let refusal = Refusal::ClientCertificate(fault);
                hall.shared.tell_refused(&connection, HttpVersion::Http11, refusal, NonZeroU64::MIN);
            }
            tracing::debug!(%peer, %error, "TLS handshake failed");
        }
    }
}

/// Counts a connection among its client's, or tells that they are too many. What a trusted proxy brings is not counted:
/// the connections of many come from its one address.
fn admit(connection: &Connection, hall: &Hall) -> Result<Option<Seat>, Full> {
    let Some(peer) = connection.peer else { return Ok(None) };
    let generation = hall.shared.current.load();
    let address = peer.ip().to_canonical();
    if generation.trusted_proxies.iter().any(|net| net.contains(&address)) {
        return Ok(None);
    }
    let limit = generation.limits.connections_per_client_max;
    hall.shared.clients.admit(address, limit).map(Some).inspect_err(|full| {
        hall.shared.counters.client_connections_refused_total.fetch_add(1, Relaxed);
        if let Some(times) = full.told {
            hall.shared.tell_refused(connection, HttpVersion::Http11, Refusal::TooManyConnections, times);
        }
    })
}

/// Reads the PROXY header; what it says counts only from a trusted proxy.
async fn read_proxy_header(tcp: &mut TcpStream, connection: &mut Connection, hall: &Hall) -> Option<Bytes> {
    let generation = hall.shared.current.load_full();
    let timeout = Duration::from_millis(generation.limits.header_timeout_ms);
    let header = tokio::time::timeout(timeout, proxy_header::read(tcp)).await.ok()??;
    let peer = connection.peer?.ip().to_canonical();
    if let Some((source, destination)) = header.addresses
        && generation.trusted_proxies.iter().any(|net| net.contains(&peer))
    {
        connection.peer = Some(source);
        connection.local = Some(destination);
    }
    Some(header.rest)
}

async fn enter<T: IO + 'static>(io: T, link: Arc<Link>, offers_h2c: bool, hall: &Hall) {
    let door = Door::new(io, link.clone(), hall.shared.clone(), offers_h2c, hall.closing.clone());
    hall.proxy.process_new(Box::new(door), &hall.shutdown).await;
    if let Some(times) = link.seat.as_ref().and_then(Seat::leave) {
        hall.shared.tell_refused(&link.connection, HttpVersion::Http11, Refusal::TooManyConnections, times);
    }
}
