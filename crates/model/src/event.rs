//! The durable, redacted record of one exchange: what the store keeps and what catalog and detection fold.
//!
//! An Event carries shapes, labels and masked excerpts, never raw payload: no query values, no header values but
//! the user agent, no cookies, no bodies; path segments that look like secrets are masked. What was not seen is
//! flagged in [`Missing`]: no body means "unknown", never "clean". Follows OCSF's HTTP Activity in spirit.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    Actor, AuthKinds, Client, Decision, EndpointRef, EventPrincipal, Finding, HttpVersion, Parameter, Scheme, Timestamp,
};

/// Names one exchange towards clients, logs and the console: 128 bits, 32 hexadecimal digits. The host makes it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(u128);

impl RequestId {
    /// From 128 bits: a time in the upper 48 (milliseconds) and random bits below keep ids sortable and unguessable.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The 128 bits.
    pub const fn as_bits(self) -> u128 {
        self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RequestId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where the exchange was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Inline, by our own gateway
    Gateway,
    /// Replayed from a file in our interchange format
    Exchanges,
    /// Replayed from a HAR file
    Har,
    /// Read from another server's access log
    AccessLog,
}

impl Source {
    /// The word in events and queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Exchanges => "exchanges",
            Self::Har => "har",
            Self::AccessLog => "access_log",
        }
    }
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The upstream's answer reached the client
    #[default]
    Answered,
    /// We answered in the upstream's place, as decided
    Stopped,
    /// The client went away first
    ClientClosed,
    /// The request could not be parsed; we answered 400
    Malformed,
    /// No route leads anywhere; we answered 404
    NoRoute,
    /// No upstream could be reached; we answered 502
    UpstreamUnreachable,
    /// The upstream did not answer in time; we answered 504
    UpstreamTimeout,
    /// The upstream broke off or spoke nonsense; we answered 502 or cut the response
    UpstreamFailed,
    /// A fault of ours; we answered 500
    InternalFault,
}

impl Ending {
    /// The word in events and queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Stopped => "stopped",
            Self::ClientClosed => "client_closed",
            Self::Malformed => "malformed",
            Self::NoRoute => "no_route",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamFailed => "upstream_failed",
            Self::InternalFault => "internal_fault",
        }
    }
}

/// What a policy that keeps answers did for a request: RFC 9211's words where it has one (`fwd` reasons for those that
/// went on to the upstream), told in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheStatus {
    /// Answered with what was kept: `hit`
    Hit,
    /// Answered with what was kept, and older than it should be: `hit` with a negative `ttl`
    StaleHit,
    /// The upstream confirmed what was kept, and that was given: `fwd=stale; fwd-status=304`
    Revalidated,
    /// What was kept was too old, and the upstream answered anew: `fwd=stale`
    Stale,
    /// Nothing was kept for it: `fwd=miss`
    Miss,
    /// It passed the cache by: `fwd=bypass`, or `fwd=request` where the client wanted that
    Bypass,
    /// An observing policy would have answered it
    WouldHit,
}

impl CacheStatus {
    /// Each of them.
    pub const ALL: [Self; 7] =
        [Self::Hit, Self::StaleHit, Self::Revalidated, Self::Stale, Self::Miss, Self::Bypass, Self::WouldHit];

    /// The word in events and queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::StaleHit => "stale_hit",
            Self::Revalidated => "revalidated",
            Self::Stale => "stale",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
            Self::WouldHit => "would_hit",
        }
    }
}

/// What the host knows at the end of an exchange and the engine cannot: passed to `Inspection::finish`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended
    pub ending: Ending,
    /// Status that went to the client; 0 when none did
    pub status: u16,
    /// Body bytes received from the client
    pub request_bytes: u64,
    /// Body bytes sent to the client
    pub response_bytes: u64,
    /// From the request's head to the upstream's response head, in microseconds
    pub upstream_us: Option<u64>,
    /// What a policy that keeps answers did for it; `None` where none concerns it
    pub cache_status: Option<CacheStatus>,
    /// From the request's head to the end; `None` lets the engine measure from `begin` to `finish`
    pub duration_us: Option<u64>,
}

/// What was not seen of an exchange. Absent evidence is unknown, never clean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Missing {
    /// The recording has no time; the time of reading stands in
    pub time: bool,
    /// No client address
    pub client: bool,
    /// The recording has no header fields, or only some
    pub headers: bool,
    /// A request body existed, or may have, but was not seen
    pub request_body: bool,
    /// No response was recorded
    pub response: bool,
    /// A response body existed, or may have, but was not seen
    pub response_body: bool,
}

impl Missing {
    /// The words for what is missing, in order.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        [
            (self.time, "time"),
            (self.client, "client"),
            (self.headers, "headers"),
            (self.request_body, "request_body"),
            (self.response, "response"),
            (self.response_body, "response_body"),
        ]
        .into_iter()
        .filter_map(|(missing, word)| missing.then_some(word))
    }
}

/// The record of one exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Names the exchange
    pub id: RequestId,
    /// When the request's head was complete
    pub time: Timestamp,
    /// Where it was seen
    pub source: Source,
    /// Where it came from
    pub client: Client,
    /// Whom it is charged to
    pub actor: Actor,
    /// Clear text or TLS towards us
    pub scheme: Scheme,
    /// HTTP version towards us
    pub version: HttpVersion,
    /// Host in lower case without default port, at most 255 bytes; empty when none was sent
    pub host: Box<str>,
    /// Method as sent, at most 32 bytes
    pub method: Box<str>,
    /// Path without query, undecoded, at most 2,048 bytes; segments that look like secrets are masked
    pub path: Box<str>,
    /// API the route belongs to
    pub api: Option<Arc<str>>,
    /// Endpoint, once the catalog has learned it
    pub endpoint: Option<EndpointRef>,
    /// Parameters seen, at most 64: names and kinds, no values
    pub parameters: Vec<Parameter>,
    /// Credentials seen, not verified
    pub auth: AuthKinds,
    /// As whom the request acted, when an `authenticate` policy verified it
    #[serde(default)]
    pub principal: Option<Arc<EventPrincipal>>,
    /// User agent, at most 256 bytes
    pub user_agent: Option<Box<str>>,
    /// Media type of the request body, without parameters
    pub request_type: Option<Box<str>>,
    /// Media type of the response body, without parameters
    pub response_type: Option<Box<str>>,
    /// How it ended
    pub ending: Ending,
    /// Status that went to the client; 0 when none did
    pub status: u16,
    /// Body bytes received
    pub request_bytes: u64,
    /// Body bytes sent
    pub response_bytes: u64,
    /// From the head to the end, in microseconds
    pub duration_us: u64,
    /// Until the upstream's response head, in microseconds
    pub upstream_us: Option<u64>,
    /// Upstream it was routed to
    pub upstream: Option<Arc<str>>,
    /// What the checks noticed, at most 32
    pub findings: Vec<Finding>,
    /// What was decided, and whether it was applied
    pub decision: Decision,
    /// What was not seen
    pub missing: Missing,
    /// What a policy that keeps answers did for it; `None` where none concerns it
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_status: Option<CacheStatus>,
}
