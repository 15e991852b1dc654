//! What the documents mean: validated, defaults filled in, names resolved. The engine and the gateway read this.
//!
//! Written → meant → running: `document.rs` is what people write, this is what it means, `engine::Snapshot` is what
//! runs. Every field here changes behavior and has a test for that.

mod browsers;
mod cache;
mod continuity;
mod hours;
mod networks;
mod plans;
mod rate;
mod redis;
mod ssrf;

pub use browsers::*;
pub use cache::*;
pub use continuity::*;
pub use hours::*;
pub use networks::*;
pub use plans::*;
pub use rate::*;
pub use redis::*;
pub use ssrf::*;

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use bartizan_model::Mode;
use ipnet::IpNet;

use crate::authentication::Authenticate;
use crate::authorization::Authorize;

/// A whole, valid configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the gateway listens; at least one
    pub listeners: Vec<Listener>,
    /// Where requests go; at least one, names unique
    pub upstreams: Vec<Upstream>,
    /// What is behind which host and path; at least one (a lone upstream gets the API `default` on every host)
    pub apis: Vec<Api>,
    /// What must hold; in the order written
    pub policies: Vec<Policy>,
    /// What API keys are sold under; names unique
    pub plans: Vec<Plan>,
    /// Addresses whose forwarding headers and PROXY headers are believed
    pub trusted_proxies: Vec<IpNet>,
    /// Where addresses are, and on which lists; names unique
    pub address_data: Vec<AddressData>,
    /// Hard limits of the listener side
    pub limits: Limits,
    /// Where events and state are kept, and for how long
    pub data: Data,
    /// Files with a line for each exchange, each of its own path
    pub audit_logs: Vec<AuditLog>,
    /// Counts for several gateways; `None` when each counts for itself
    pub redis: Option<Redis>,
    /// The console and admin API; `None` when switched off
    pub console: Option<Console>,
    /// Where metrics and health are told; `None` = nowhere
    pub metrics: Option<SocketAddr>,
    /// Gateway worker threads; `None` = one per core
    pub threads: Option<NonZeroUsize>,
    /// How long requests in flight may take after a stop was asked for, in milliseconds
    pub shutdown_grace_ms: u64,
}

/// One listening socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Address and port
    pub address: SocketAddr,
    /// TLS; `None` listens in the clear
    pub tls: Option<ListenerTls>,
    /// Offer HTTP/2: by ALPN under TLS, with prior knowledge (h2c) in the clear
    pub http2: bool,
    /// Expect a PROXY protocol header (v1 or v2) first; believed only from `trusted_proxies`
    pub proxy_protocol: bool,
}

/// TLS of a listener. The certificate is chosen by SNI; the first one serves clients that name none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// At least one
    pub certificates: Vec<Certificate>,
    /// Lowest version accepted
    pub version_min: TlsVersion,
    /// What clients must show, unless the certificate that they come for says otherwise; `None` asks for nothing
    pub client_certificates: Option<ClientCertificates>,
}

/// Which certificates of clients are accepted (mutual TLS).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// The authorities (PEM)
    pub authorities: PathBuf,
    /// Whether a client must show one
    pub demand: ClientDemand,
    /// Revocation lists (PEM or DER); empty = nothing is looked up
    pub revocation_lists: Vec<PathBuf>,
}

/// Whether clients must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientDemand {
    /// A handshake without one fails
    Required,
    /// One that is shown must be good; without one the client is nobody
    Optional,
}

/// A certificate chain with its key, both PEM files. Its names come from the certificate itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Chain, leaf first
    pub certificate: PathBuf,
    /// Private key
    pub key: PathBuf,
    /// OCSP response to staple (DER)
    pub ocsp_response: Option<PathBuf>,
    /// What clients that come for it must show; `None` = what the listener says
    pub client_certificates: Option<ClientCertificates>,
}

impl ListenerTls {
    /// What is demanded of clients that come for `certificate`.
    pub fn demanded_for<'a>(&'a self, certificate: &'a Certificate) -> Option<&'a ClientCertificates> {
        certificate.client_certificates.as_ref().or(self.client_certificates.as_ref())
    }
}

/// TLS versions that can be a minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246
    Tls12,
    /// RFC 8446
    Tls13,
}

/// A pool of servers that answer alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Name, unique
    pub name: String,
    /// At least one
    pub targets: Vec<Target>,
    /// How a target is chosen
    pub balance: Balance,
    /// TLS towards the targets; `None` in the clear
    pub tls: Option<UpstreamTls>,
    /// HTTP version towards the targets
    pub protocol: UpstreamProtocol,
    /// Every timeout, always set
    pub timeouts: Timeouts,
    /// Active health check; `None` when switched off
    pub health: Option<HealthCheck>,
    /// Further targets tried when nothing was sent, or the method is idempotent and nothing was answered
    pub retries_max: u32,
    /// How often host names are resolved again, in milliseconds
    pub resolve_interval_ms: u64,
}

/// One server of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Host name or address literal
    pub host: String,
    /// Port
    pub port: u16,
    /// Share of requests relative to its siblings
    pub weight: NonZeroU32,
}

/// How a target is chosen among the healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// In turn, by weight
    RoundRobin,
    /// At random, by weight
    Random,
    /// The same key goes to the same target (Ketama)
    ConsistentHash(HashKey),
}

/// What a consistent hash is taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// Client address
    ClientAddress,
    /// Path without query
    Path,
    /// Value of a header; requests without it fall back to the client address
    Header(String),
}

/// TLS towards an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Name sent as SNI and checked in the certificate; `None` takes the target's host
    pub server_name: Option<String>,
    /// Check certificate and name
    pub verify: bool,
    /// PEM file of the authorities to trust instead of the system's
    pub authorities: Option<PathBuf>,
}

/// HTTP version towards an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1
    Http1,
    /// HTTP/2: by ALPN under TLS, with prior knowledge in the clear (needed for gRPC)
    Http2,
}

/// Timeouts towards an upstream, in milliseconds, all greater than zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP connect
    pub connect_ms: u64,
    /// TCP and TLS together
    pub handshake_ms: u64,
    /// Between two reads; the wait for the response head counts as one
    pub read_ms: u64,
    /// Between two writes
    pub write_ms: u64,
    /// How long an idle connection is kept for reuse
    pub idle_ms: u64,
}

/// Active health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked
    pub probe: HealthProbe,
    /// Between two checks
    pub interval_ms: u64,
    /// Longest wait for an answer
    pub timeout_ms: u64,
    /// Failures in a row until a target is taken out
    pub unhealthy_after: NonZeroU32,
    /// Successes in a row until it is taken back
    pub healthy_after: NonZeroU32,
}

/// What a health check asks of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthProbe {
    /// A TCP connection
    Tcp,
    /// `GET path`; healthy when the status is between 200 and 399
    Http {
        /// Path and query
        path: String,
        /// Host header; `None` sends the target's own
        host: Option<String>,
    },
}

/// A set of endpoints with one purpose, found by host and path prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Name, unique
    pub name: String,
    /// Hosts; empty = every host. The most specific match wins: exact, then wildcard, then every host
    pub hosts: Vec<HostPattern>,
    /// Path prefix, whole segments, begins with `/`; the longest wins
    pub path_prefix: String,
    /// Name of an upstream that exists
    pub upstream: String,
    /// Host header towards the upstream
    pub host_header: HostHeader,
    /// Largest request body in bytes; beyond it the answer is 413
    pub body_bytes_max: u64,
    /// Paths whose bodies stream through uninspected (uploads, gRPC streams); the size limit does not apply there
    pub streaming: Vec<PathPattern>,
}

/// A host name or a wildcard for one or more leftmost labels. Lower case, no port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// `api.example.com`
    Exact(String),
    /// `*.example.com`: holds what follows `*`, so `.example.com`
    Wildcard(String),
}

impl HostPattern {
    /// As it is written: `*.example.com`.
    pub fn words(&self) -> String {
        match self {
            Self::Exact(host) => host.clone(),
            Self::Wildcard(suffix) => format!("*{suffix}"),
        }
    }
}

/// Host header towards an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostHeader {
    /// As the client sent it
    Keep,
    /// This one
    Replace(String),
}

/// A path pattern: segments; `*` stands for any one segment, a final `**` for any rest (also none).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathPattern(pub String);

/// What must hold for a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Name, unique
    pub name: String,
    /// Enforce, observe or off
    pub mode: Mode,
    /// Which requests it applies to
    pub scope: Scope,
    /// What must hold
    pub rule: PolicyRule,
}

/// Which requests a policy applies to; an empty list does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Names of APIs that exist
    pub apis: Vec<String>,
    /// Methods, as sent
    pub methods: Vec<String>,
    /// Paths
    pub paths: Vec<PathPattern>,
    /// Hours; `None` = always
    pub hours: Option<Hours>,
}

/// What a policy demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyRule {
    /// Only these methods; others are answered 405 with `Allow`
    Methods {
        /// Allowed methods, upper case
        allow: Vec<String>,
        /// What becomes of a request that names another method
        overrides: MethodOverrides,
    },
    /// Client addresses; others are answered 403. A listed deny wins; an empty allow list allows all the rest
    Addresses {
        /// Allowed networks
        allow: Vec<IpNet>,
        /// Denied networks
        deny: Vec<IpNet>,
    },
    /// Where clients may call from; others are answered 403
    Networks(Box<Networks>),
    /// Which web pages may call; others are answered 403
    Cors(Box<Cors>),
    /// Where changes must come from; others are answered 403
    Csrf(Box<Csrf>),
    /// Fields of answers
    ResponseHeaders(Box<ResponseHeaders>),
    /// Answers that are kept; nothing is refused
    Cache(Box<Cache>),
    /// Where URLs in parameters may lead; others are answered 403
    Ssrf(Box<Ssrf>),
    /// Sizes; exceeding them is answered 414, 431 or 413
    Limits {
        /// Path and query together
        target_bytes_max: Option<u64>,
        /// Header section: names, values and four bytes a field
        header_bytes_max: Option<u64>,
        /// Header fields
        header_count_max: Option<u32>,
        /// Request body
        body_bytes_max: Option<u64>,
    },
    /// Attack rules in SecLang
    Threats(Threats),
    /// Threat limits on what requests hold
    Content(Box<Content>),
    /// Rate limits
    Rate(Box<Rate>),
    /// Who may call; others are answered 401 or 403
    Authenticate(Box<Authenticate>),
    /// Where a known caller calls from; others are answered 401 or 403
    Continuity(Box<Continuity>),
    /// What callers may do; others are answered 403, or 401 when nobody is known
    Authorize(Box<Authorize>),
}

/// What becomes of a request that names another method beside its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MethodOverrides {
    /// It is refused
    #[default]
    Refuse,
    /// The other method must be allowed too
    Check,
    /// Nothing
    Ignore,
}

/// Threat limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Bytes of a body that are looked at
    pub body_bytes_max: u64,
    /// How deep, how many, how long
    pub limits: bartizan_content::Limits,
    /// Bodies that break their grammar are refused, not only noted
    pub refuse_malformed: bool,
    /// Extensions of uploaded files, lower case, without the point; empty = all
    pub file_extensions: Vec<String>,
    /// Media types of uploaded files, lower case; empty = all
    pub file_types: Vec<String>,
    /// What must match nowhere
    pub patterns: Vec<Pattern>,
}

/// A regular expression that must not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Name, unique in its policy
    pub name: String,
    /// Which part it looks at
    pub part: PatternPart,
    /// Which member of it, headers in lower case, JSON as a path with `*`; `None` = every one
    pub member: Option<String>,
    /// The expression
    pub pattern: String,
}

/// A part of a request that a pattern looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternPart {
    /// The path
    Path,
    /// Values of the query's parameters
    Query,
    /// Values of header fields
    Header,
    /// Values of cookies
    Cookie,
    /// Values of a form's fields
    Form,
    /// Values in a JSON body
    Json,
    /// Texts and attributes of an XML body
    Xml,
}

impl Pattern {
    /// The expression, compiled; in a valid configuration that succeeds.
    ///
    /// # Errors
    /// Why it cannot be, in words.
    pub fn compile(&self) -> Result<regex::bytes::Regex, String> {
        /// LIMIT: memory of one compiled expression; repetitions of repetitions grow without it.
        const COMPILED_BYTES_MAX: usize = 1 << 20;
        let compiled = regex::bytes::RegexBuilder::new(&self.pattern).size_limit(COMPILED_BYTES_MAX).build();
        compiled.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "the expression is too large".to_owned(),
            error => {
                // The last line says why, the lines before it draw where.
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                format!("not an expression: {reason}")
            }
        })
    }
}

/// Attack rules, and what they look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threats {
    /// Folder of the OWASP Core Rule Set
    pub core_rule_set: Option<PathBuf>,
    /// Further rule files, after it
    pub files: Vec<PathBuf>,
    /// The rules that come with Bartizan
    pub own_rules: bool,
    /// Paranoia level, 1 to 4; `None` leaves it to the rules' own set-up
    pub paranoia: Option<u32>,
    /// Score from which a request is refused; `None` leaves it to the rules' own set-up
    pub anomaly_threshold: Option<u32>,
    /// Rules over responses run too
    pub responses: bool,
    /// Bytes of a body that rules look at
    pub body_bytes_max: u64,
    /// What rules shall not look at
    pub exclusions: Vec<Exclusion>,
}

/// Rules that do not run, or do not look at one member of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exclusion {
    /// Which rules
    pub rules: ExcludedRules,
    /// What they do not look at; `None` = they do not run
    pub member: Option<ExcludedMember>,
}

/// Rules by what they have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExcludedRules {
    /// Ids, both ends included
    Ids {
        /// Smallest
        first: u32,
        /// Greatest
        last: u32,
    },
    /// A tag, whole
    Tag(String),
}

/// One member of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExcludedMember {
    /// In query, form or JSON; `*` stands for one name or index of a path
    Parameter(String),
    /// A header field, lower case
    Header(String),
    /// A cookie
    Cookie(String),
}

impl PolicyRule {
    /// The word for it in documents and the console.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Methods { .. } => "methods",
            Self::Addresses { .. } => "addresses",
            Self::Networks(_) => "networks",
            Self::Cors(_) => "cors",
            Self::Csrf(_) => "csrf",
            Self::ResponseHeaders(_) => "response_headers",
            Self::Cache(_) => "cache",
            Self::Ssrf(_) => "ssrf",
            Self::Limits { .. } => "limits",
            Self::Threats(_) => "threats",
            Self::Content(_) => "content",
            Self::Rate(_) => "rate",
            Self::Authenticate(_) => "authenticate",
            Self::Continuity(_) => "continuity",
            Self::Authorize(_) => "authorize",
        }
    }
}

/// Hard limits of the listener side, before any policy is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request head (request line and fields)
    pub header_bytes_max: u64,
    /// Header fields
    pub header_count_max: u32,
    /// Longest wait for a complete request head, in milliseconds
    pub header_timeout_ms: u64,
    /// Longest wait between two reads from a client, in milliseconds
    pub client_read_timeout_ms: u64,
    /// Longest wait for the next request on an open connection, or for the first, in milliseconds
    pub keepalive_timeout_ms: u64,
    /// Longest time for a request body beside what its size gives it, in milliseconds
    pub body_timeout_ms: u64,
    /// Open connections of clients
    pub connections_max: u32,
    /// Open connections of one client address
    pub connections_per_client_max: u32,
    /// Requests of one client address under way at once
    pub requests_per_client_max: u32,
}

/// Where events and state are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// Directory; made when missing
    pub directory: PathBuf,
    /// Events older than this are deleted, in seconds
    pub retention_secs: u64,
    /// Oldest events are deleted beyond this many bytes on disk
    pub retention_bytes_max: u64,
    /// Events that may wait to be written; beyond it they are dropped and counted
    pub queue_events_max: NonZeroUsize,
}

/// A file with a line of JSON for each exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLog {
    /// The file
    pub file: PathBuf,
    /// Form of a line
    pub format: AuditLogFormat,
    /// Exchanges that nothing spoke against are left out
    pub only_relevant: bool,
    /// Bytes beyond which the file is renamed and another begun
    pub bytes_max: u64,
    /// Renamed files that are kept, at least one
    pub files_kept: u32,
}

/// Form of an audit log's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditLogFormat {
    /// Our own
    Json,
    /// OCSF, HTTP Activity
    Ocsf,
}

/// The console and admin API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    /// Address and port; loopback by default
    pub address: SocketAddr,
    /// Mark session cookies `Secure`: set when the console is reached over TLS
    pub secure_cookies: bool,
    /// Further names that the console answers to, lower case
    pub names: Vec<String>,
}
