//! One client connection: what is known about it, and where it stands.
//!
//! A [`Link`] is made once per connection and shared by the stream wrapper ([`crate::door::Door`]) and every exchange on
//! the connection. Pingora hands it through untouched, as the user data of the stream's proxy digest: the one slot that
//! reaches HTTP/1 and HTTP/2 sessions alike.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bartizan_engine::host_name;
use bartizan_model::{Connection, HttpVersion};
use http::HeaderValue;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::raw_connect::ProxyDigest;

use crate::clients::Seat;
use crate::tls::Offer;

/// What a connection carries right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// HTTP/1, a new request may begin; nothing of it has been read
    Fresh = 0,
    /// HTTP/1, a request head is being read
    Head = 1,
    /// HTTP/1, an exchange is under way
    Exchange = 2,
    /// HTTP/1, another protocol after a `101`
    Tunnel = 3,
    /// HTTP/2 frames
    Http2 = 4,
}

/// One client connection.
#[derive(Debug)]
pub(crate) struct Link {
    /// What the engine is told
    pub(crate) connection: Connection,
    /// The peer's address as forwarding fields carry it
    pub(crate) peer_value: Option<HeaderValue>,
    /// Its place among the client's connections; none for a trusted proxy, which brings those of many
    pub(crate) seat: Option<Seat>,
    /// The terms that its handshake went by, where other names have others
    terms: Option<(Arc<Offer>, usize)>,
    /// Host of the connection's first request, and the `Forwarded` element made from it
    forwarded: OnceLock<(HeaderValue, HeaderValue)>,
    phase: AtomicU8,
    begun: AtomicU64,
    /// Of the body of the exchange under way, as `message.rs` has it; HTTP/1 only
    framing: AtomicU64,
    lingering: AtomicBool,
    is_body_broken: AtomicBool,
    /// Shared with the TCP stream
    is_abandoned: Arc<AtomicBool>,
}

impl Link {
    /// The facts of a new connection.
    pub(crate) fn new(connection: Connection, seat: Option<Seat>, is_abandoned: Arc<AtomicBool>) -> Self {
        let peer_value = connection.peer.and_then(|peer| HeaderValue::try_from(peer.ip().to_string()).ok());
        Self {
            connection,
            peer_value,
            seat,
            terms: None,
            forwarded: OnceLock::new(),
            phase: AtomicU8::new(Phase::Fresh as u8),
            begun: AtomicU64::new(0),
            framing: AtomicU64::new(0),
            lingering: AtomicBool::new(false),
            is_body_broken: AtomicBool::new(false),
            is_abandoned,
        }
    }

    /// The same link, of a connection whose handshake went by these terms of the offer.
    #[must_use]
    pub(crate) fn on_terms(self, offer: Arc<Offer>, terms: usize) -> Self {
        Self { terms: offer.has_choice().then_some((offer, terms)), ..self }
    }

    /// Whether the handshake could have gone by other terms.
    pub(crate) const fn has_choice(&self) -> bool {
        self.terms.is_some()
    }

    /// Whether the handshake would have gone by other terms, had the client asked for this host: then what it has shown
    /// was not demanded for it (RFC 9110 §7.4).
    pub(crate) fn is_for_other_than(&self, authority: &[u8]) -> bool {
        let Some((offer, terms)) = &self.terms else { return false };
        // A host that cannot be told is refused by the engine.
        host_name(authority).is_some_and(|name| offer.terms_for(Some(&name)) != *terms)
    }

    /// The other end's address.
    pub(crate) fn peer_ip(&self) -> Option<IpAddr> {
        self.connection.peer.map(|peer| peer.ip())
    }

    /// The `Forwarded` element for this host: made once when, as usual, all requests of a connection name the same.
    pub(crate) fn forwarded(&self, host: &HeaderValue, make: impl Fn() -> HeaderValue) -> HeaderValue {
        let (first, element) = self.forwarded.get_or_init(|| (host.clone(), make()));
        if first == host { element.clone() } else { make() }
    }

    /// Where the connection stands.
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Fresh,
            1 => Phase::Head,
            2 => Phase::Exchange,
            3 => Phase::Tunnel,
            _ => Phase::Http2,
        }
    }

    /// Moves on.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// A session for the next HTTP/1 request was made on this connection.
    pub(crate) fn renew(&self) {
        if self.phase() != Phase::Http2 {
            self.enter(Phase::Fresh);
        }
    }

    /// A request head is complete: an exchange begins, with a body framed like this.
    pub(crate) fn begin_exchange(&self, framing: u64) {
        self.begun.fetch_add(1, Ordering::Relaxed);
        if self.phase() != Phase::Http2 {
            self.framing.store(framing, Ordering::Relaxed);
            self.enter(Phase::Exchange);
        }
    }

    /// Framing of the body of the exchange under way.
    pub(crate) fn framing(&self) -> u64 {
        self.framing.load(Ordering::Relaxed)
    }

    /// The upstream answered `101`: what follows is no HTTP.
    pub(crate) fn switch_protocol(&self) {
        if self.phase() == Phase::Exchange {
            self.enter(Phase::Tunnel);
        }
    }

    /// What the connection speaks, as far as it is known.
    pub(crate) fn version(&self) -> HttpVersion {
        if self.phase() == Phase::Http2 { HttpVersion::Http2 } else { HttpVersion::Http11 }
    }

    /// Exchanges begun on this connection.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// The framing of the body under way breaks the grammar; nothing more is read.
    pub(crate) fn break_body(&self) {
        self.is_body_broken.store(true, Ordering::Relaxed);
    }

    /// Whether [`Link::break_body`] was said.
    pub(crate) fn is_body_broken(&self) -> bool {
        self.is_body_broken.load(Ordering::Relaxed)
    }

    /// The client does not read: when the connection ends, what was not sent goes with it.
    pub(crate) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
    }

    /// Whether [`Link::abandon`] was said.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::Relaxed)
    }

    /// The client may still be sending what nobody will read: read on for a moment after our answer, or the kernel's
    /// reset destroys the answer on its way (RFC 9112 §9.6).
    pub(crate) fn linger(&self) {
        self.lingering.store(true, Ordering::Relaxed);
    }

    /// Whether [`Link::linger`] was asked for.
    pub(crate) fn lingers(&self) -> bool {
        self.lingering.load(Ordering::Relaxed)
    }
}

/// Wraps a link so that Pingora carries it.
pub(crate) fn digest_of(link: Arc<Link>) -> Option<Arc<ProxyDigest>> {
    let response = Box::new(ResponseHeader::build_no_case(200, Some(0)).ok()?);
    Some(Arc::new(ProxyDigest::new(response, Some(Box::new(link)))))
}

/// The link of the connection that a session is on.
pub(crate) fn link_of(session: &ServerSession) -> Option<Arc<Link>> {
    let digest = session.digest()?.proxy_digest.as_ref()?;
    digest.user_data.as_ref()?.downcast_ref::<Arc<Link>>().cloned()
}
