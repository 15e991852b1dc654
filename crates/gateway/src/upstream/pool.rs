//! One upstream: its members, how they are reached, and the background work that keeps both fresh.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use bartizan_config::{Balance, HashKey, Target, Upstream, UpstreamProtocol, UpstreamTls};
use pingora::protocols::ALPN;
use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::{WrappedX509, parse_x509};
use rustls::pki_types::CertificateDer;
use tokio::task::AbortHandle;

use crate::gateway::TargetHealth;
use crate::upstream::balance::Balancer;
use crate::upstream::health::{Health, Prober};
use crate::{Error, tls};

/// LIMIT: addresses of one host name that are used.
const ADDRESSES_MAX: usize = 64;

/// LIMIT: concurrent requests on one HTTP/2 connection to an upstream.
const STREAMS_MAX: usize = 100;

/// LIMIT: idle time after which an HTTP/2 connection to an upstream is asked whether it lives.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// One address that requests go to.
pub(crate) struct Member {
    /// Which target of the configuration it belongs to
    target: usize,
    /// Where it is
    pub(crate) address: SocketAddr,
    /// How it is reached, ready to be cloned
    pub(crate) peer: HttpPeer,
    health: Arc<Health>,
}

/// The members at one time.
struct Members {
    list: Vec<Arc<Member>>,
    balancer: Balancer,
}

/// One upstream.
pub(crate) struct Pool {
    config: Upstream,
    authorities: Option<Arc<CaType>>,
    members: ArcSwap<Members>,
    tasks: OnceLock<[AbortHandle; 2]>,
    last_good: Mutex<Vec<Vec<SocketAddr>>>, // by target; only the resolver takes it
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.tasks.get().into_iter().flatten().for_each(AbortHandle::abort);
    }
}

impl Pool {
    /// Reads the authorities, resolves the names once.
    pub(super) fn new(config: &Upstream) -> Result<Self, Error> {
        let authorities = read_authorities(config)?.map(|list| {
            list.iter().map(|certificate| WrappedX509::new(certificate.to_vec(), parse_x509)).collect::<Arc<CaType>>()
        });
        let pool = Self {
            config: config.clone(),
            authorities,
            members: ArcSwap::from_pointee(Members { list: Vec::new(), balancer: Balancer::round_robin(&[]) }),
            tasks: OnceLock::new(),
            last_good: Mutex::new(vec![Vec::new(); config.targets.len()]),
        };
        pool.resolve();
        Ok(pool)
    }

    /// Whether this pool is what `upstream` asks for, down to the content of its authorities' file.
    pub(super) fn is_of(&self, upstream: &Upstream) -> Result<bool, Error> {
        if self.config != *upstream {
            return Ok(false);
        }
        let now = read_authorities(upstream)?;
        let now = now.iter().flatten().map(|certificate| certificate.as_ref());
        let own = self.authorities.iter().flat_map(|list| list.iter()).map(|own| own.borrow_raw_cert().as_slice());
        Ok(now.eq(own))
    }

    /// The configuration it was made from.
    pub(crate) fn config(&self) -> &Upstream {
        &self.config
    }

    /// What the hash of this pool's balancer is taken over, if it has one.
    pub(crate) fn hash_key(&self) -> Option<&HashKey> {
        match &self.config.balance {
            Balance::ConsistentHash(key) => Some(key),
            Balance::RoundRobin | Balance::Random => None,
        }
    }

    /// The member that gets a request: healthy, and not among `tried` when another can be had.
    pub(crate) fn pick(&self, key: &[u8], tried: &[SocketAddr]) -> Option<Arc<Member>> {
        let members = self.members.load();
        let list = &members.list;
        let is_healthy = |index: usize| list.get(index).is_some_and(|member| member.health.is_healthy());
        let is_untried = |index: usize| list.get(index).is_some_and(|member| !tried.contains(&member.address));
        let picked = members.balancer.pick(key, tried.is_empty(), |index| is_healthy(index) && is_untried(index));
        let picked = picked.or_else(|| members.balancer.pick(key, false, is_healthy).filter(|_| !tried.is_empty()))?;
        list.get(picked).cloned()
    }

    /// Every target's health.
    pub(super) fn health(&self) -> Vec<TargetHealth> {
        let members = self.members.load();
        let mut targets = Vec::with_capacity(members.list.len());
        for (index, target) in self.config.targets.iter().enumerate() {
            let name = authority(target);
            let mut known = members.list.iter().filter(|member| member.target == index).peekable();
            if known.peek().is_none() {
                let detail = "the name could not be resolved".to_owned();
                targets.push(TargetHealth { address: name.clone(), healthy: false, detail });
            }
            targets.extend(known.map(|member| {
                let address = member.address.to_string();
                TargetHealth {
                    address: if address == name { address } else { format!("{name} ({address})") },
                    healthy: member.health.is_healthy(),
                    detail: member.health.detail(),
                }
            }));
        }
        targets
    }

    /// Starts resolving and checking, once.
    pub(super) fn start(self: &Arc<Self>, runtime: &tokio::runtime::Handle) {
        self.tasks.get_or_init(|| {
            let pool = Arc::downgrade(self);
            let resolver = runtime.spawn(keep_resolving(pool.clone(), self.config.resolve_interval_ms));
            let checker = runtime.spawn(keep_checking(pool, self.config.clone()));
            [resolver.abort_handle(), checker.abort_handle()]
        });
    }

    /// Resolves every name; one that fails keeps its last good answer. Blocks.
    fn resolve(&self) {
        let mut last_good = self.last_good.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut is_changed = false;
        for (target, known) in self.config.targets.iter().zip(last_good.iter_mut()) {
            match lookup(target) {
                Ok(found) if found != *known => {
                    *known = found;
                    is_changed = true;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(upstream = %self.config.name, host = %target.host, %error, "name not resolved");
                }
            }
        }
        if is_changed {
            self.rebuild(&last_good);
        }
    }

    fn rebuild(&self, addresses: &[Vec<SocketAddr>]) {
        let before = self.members.load();
        let mut list = Vec::new();
        let mut weights = Vec::new();
        for (index, (target, known)) in self.config.targets.iter().zip(addresses).enumerate() {
            for address in known.iter().copied() {
                let same = before.list.iter().find(|member| member.target == index && member.address == address);
                let health = match same {
                    Some(member) => member.health.clone(),
                    None => Arc::new(Health::new(self.config.health.is_some())),
                };
                list.push(Arc::new(Member { target: index, address, peer: self.peer(target, address), health }));
                // Addresses of one name share its weight.
                weights.push(u64::from(target.weight.get()) * 1000 / known.len() as u64);
            }
        }
        let balancer = match self.config.balance {
            Balance::RoundRobin => Balancer::round_robin(&weights),
            Balance::Random => Balancer::random(&weights),
            Balance::ConsistentHash(_) => {
                let addresses: Vec<_> = list.iter().map(|member| member.address).collect();
                Balancer::hash(&addresses, &weights)
            }
        };
        self.members.store(Arc::new(Members { list, balancer }));
    }

    /// How `target` is reached at `address`: every timeout set, certificate checked as configured.
    fn peer(&self, target: &Target, address: SocketAddr) -> HttpPeer {
        let tls = self.config.tls.as_ref();
        // Pingora switches verification off for an empty server name, so there always is one.
        let server_name = tls.map(|tls| tls.server_name.clone().unwrap_or_else(|| target.host.clone()));
        let mut peer = HttpPeer::new(address, tls.is_some(), server_name.unwrap_or_default());
        peer.group_key = self.group_key();
        let timeouts = &self.config.timeouts;
        let options = &mut peer.options;
        options.connection_timeout = Some(Duration::from_millis(timeouts.connect_ms));
        options.total_connection_timeout = Some(Duration::from_millis(timeouts.handshake_ms));
        options.read_timeout = Some(Duration::from_millis(timeouts.read_ms));
        options.write_timeout = Some(Duration::from_millis(timeouts.write_ms));
        options.idle_timeout = Some(Duration::from_millis(timeouts.idle_ms));
        if let Some(UpstreamTls { verify, .. }) = tls {
            options.verify_cert = *verify;
            options.verify_hostname = *verify;
            options.ca = self.authorities.clone();
        }
        match self.config.protocol {
            UpstreamProtocol::Http1 => options.alpn = ALPN::H1,
            UpstreamProtocol::Http2 => {
                options.alpn = ALPN::H2;
                options.max_h2_streams = STREAMS_MAX;
                options.h2_ping_interval = Some(PING_INTERVAL);
            }
        }
        peer
    }

    /// Keeps connections of differently configured upstreams apart: Pingora's pool does not look at authorities.
    fn group_key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.config.name.hash(&mut hasher);
        if let Some(tls) = &self.config.tls {
            (&tls.server_name, tls.verify, &tls.authorities).hash(&mut hasher);
        }
        for authority in self.authorities.iter().flat_map(|list| list.iter()) {
            authority.borrow_raw_cert().hash(&mut hasher);
        }
        hasher.finish()
    }
}

fn read_authorities(config: &Upstream) -> Result<Option<Vec<CertificateDer<'static>>>, Error> {
    let file = config.tls.as_ref().and_then(|tls| tls.authorities.as_deref());
    file.map(tls::load_certificates).transpose()
}

/// `host:port`, with brackets around an IPv6 address.
fn authority(target: &Target) -> String {
    match target.host.contains(':') {
        true => format!("[{}]:{}", target.host.trim_matches(['[', ']']), target.port),
        false => format!("{}:{}", target.host, target.port),
    }
}

fn lookup(target: &Target) -> io::Result<Vec<SocketAddr>> {
    let host = target.host.trim_matches(['[', ']']);
    let mut found: Vec<_> = (host, target.port).to_socket_addrs()?.take(ADDRESSES_MAX).collect();
    found.sort_unstable();
    found.dedup();
    match found.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
        false => Ok(found),
    }
}

async fn keep_resolving(pool: Weak<Pool>, interval_ms: u64) {
    loop {
        tokio::time::sleep(Duration::from_millis(interval_ms)).await;
        let Some(pool) = pool.upgrade() else { return };
        if pool.config.targets.iter().all(|target| is_address(&target.host)) {
            return; // nothing to resolve, ever
        }
        let _ = tokio::task::spawn_blocking(move || pool.resolve()).await;
    }
}

fn is_address(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok()
}

async fn keep_checking(pool: Weak<Pool>, config: Upstream) {
    let Some(check) = &config.health else { return };
    let mut probers: Vec<Option<Prober>> = Vec::new();
    loop {
        {
            let Some(pool) = pool.upgrade() else { return };
            let members = pool.members.load_full();
            if probers.is_empty() && !members.list.is_empty() {
                probers = config
                    .targets
                    .iter()
                    .map(|target| Prober::new(check, &pool.peer(target, members.list[0].address), &authority(target)))
                    .collect();
            }
            let probes = members.list.iter().map(|member| probe(&config, check, &probers, member));
            futures::future::join_all(probes).await;
        }
        tokio::time::sleep(Duration::from_millis(check.interval_ms)).await;
    }
}

async fn probe(config: &Upstream, check: &bartizan_config::HealthCheck, probers: &[Option<Prober>], member: &Member) {
    let Some(Some(prober)) = probers.get(member.target) else { return };
    let outcome = prober.probe(member.address, check).await;
    if !member.health.observe(check, &outcome) {
        return;
    }
    let (upstream, address) = (&config.name, member.address);
    match outcome {
        Ok(()) => tracing::info!(%upstream, %address, "target is healthy again"),
        Err(error) => tracing::warn!(%upstream, %address, %error, "target taken out"),
    }
}
