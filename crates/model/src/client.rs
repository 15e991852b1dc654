//! Who is at the other end: the connection we see, the client behind it, and the actor that behavior is charged to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Scheme;

/// One transport connection as the host (gateway, replay) sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The other end of the socket, or the address a PROXY header gave; `None` when recorded traffic does not say
    pub peer: Option<SocketAddr>,
    /// Our end
    pub local: Option<SocketAddr>,
    /// TLS as negotiated with us; `None` in the clear
    pub tls: Option<TlsInfo>,
}

impl Connection {
    /// The scheme this connection speaks.
    pub fn scheme(&self) -> Scheme {
        if self.tls.is_some() { Scheme::Https } else { Scheme::Http }
    }
}

/// What the TLS handshake settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`
    pub version: String,
    /// Cipher suite by its IANA name
    pub cipher: String,
    /// Server name the client asked for (SNI)
    pub server_name: Option<String>,
    /// Whether the client proved a certificate
    pub client_certificate: bool,
    /// The chain that the client proved and the listener's authorities vouch for: DER, leaf first; empty when the host
    /// does not pass it on
    #[serde(skip)]
    pub client_chain: Vec<Arc<[u8]>>,
}

/// Where a request came from: the nearest address that is not a trusted proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Client address; `None` when a recording does not say
    pub ip: Option<IpAddr>,
    /// Address of the socket's other end when it differs: the trusted proxy
    pub via: Option<IpAddr>,
    /// TLS version towards us, `None` in the clear
    pub tls_version: Option<Box<str>>,
}

/// What an [`Actor`] was recognized by, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A verified principal, by keyed hash
    Principal,
    /// A credential in the request (token, key, Basic user), by keyed hash
    Credential,
    /// A session cookie, by keyed hash
    Session,
    /// The client's network: IPv4 address or IPv6 /64
    Network,
    /// Nothing is known (recorded traffic without an address)
    Unknown,
}

impl ActorKind {
    /// The word in events and queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::Credential => "credential",
            Self::Session => "session",
            Self::Network => "network",
            Self::Unknown => "unknown",
        }
    }
}

/// Whom behavior is charged to. The id is a keyed hash or a network, never the credential itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// What it was recognized by
    pub kind: ActorKind,
    /// Stable id within one installation
    pub id: Box<str>,
}
