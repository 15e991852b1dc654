//! What people write: the configuration document. The doc comments are the reference; defaults and bounds come from
//! `defaults.rs`; the JSON Schema is generated from these types.
//!
//! Shapes only: what a name refers to, whether an address is one, and what contradicts what is checked in `meaning`.

mod audit_log;
mod authenticate;
mod authorize;
mod browsers;
mod cache;
mod content;
mod continuity;
mod hours;
mod networks;
mod plans;
mod rate;
mod redis;
mod ssrf;
mod threats;

pub use self::audit_log::{AuditLog, AuditLogFormat};
pub use self::authenticate::{
    Authenticate, AuthenticationMethod, Basic, ClaimRule, External, IdentityHeader, IdentityValue, Introspection, Jwt,
    JwtAlgorithm, Mtls, Signature, SubjectForm,
};
pub use self::authorize::{AuthorizationRule, Authorize, Cedar, ClaimType, Operation, Requirement, Unmatched, Words};
pub use self::browsers::{Cors, Csrf, ExistingHeader, ReferrerPolicy, ResponseHeaders};
pub use self::cache::{Cache, CacheKey};
pub use self::content::{Content, Pattern, PatternPart};
pub use self::continuity::{Continuity, ContinuityKey, WithoutStepUp};
pub use self::hours::{Day, Hours, HoursWindow};
pub use self::networks::{AddressData, AddressDataKind, Networks};
pub use self::plans::Plan;
pub(crate) use self::rate::MONTH;
pub use self::rate::{Attempts, FailureMode, Login, Quota, QuotaWindow, Rate, RateCount, RateKey, RateSharing};
pub use self::redis::{Redis, RedisTls};
pub use self::ssrf::Ssrf;
pub use self::threats::{Exclusion, RuleName, Threats};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::defaults::{self, Range};
use crate::units;

/// A length of time: digits and `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Duration(pub(crate) String);

/// A number of bytes: digits and `B`, `KiB`, `MiB`, `GiB` or `TiB`; digits alone are bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Size {
    /// Plain bytes
    Bytes(u64),
    /// Digits and a unit
    Text(String),
}

impl Duration {
    fn default_of(range: Range) -> Self {
        Self(units::duration_text(range.default))
    }
}

impl Size {
    fn default_of(range: Range) -> Self {
        Self::Text(units::size_text(range.default))
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "duration",
            "description": "A length of time: digits and `ms`, `s`, `m`, `h` or `d`, such as `30s`.",
            "type": "string",
            "pattern": units::DURATION_PATTERN,
        })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "size",
            "description": "A number of bytes: digits and `B`, `KiB`, `MiB`, `GiB` or `TiB`, such as `64KiB`; digits alone are bytes.",
            "type": ["string", "integer"],
            "pattern": units::SIZE_PATTERN,
            "minimum": 0,
            "maximum": 1_u64 << 50,
        })
    }
}

/// Bounds of a duration, for the reference.
fn duration_bounds(range: Range) -> String {
    format!("{} to {}", units::duration_text(range.min), units::duration_text(range.max))
}

/// Bounds of a size, for the reference.
fn size_bounds(range: Range) -> String {
    format!("{} to {}", units::size_text(range.min), units::size_text(range.max))
}

/// The configuration of Bartizan: one YAML file. Unknown keys are refused.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Where the gateway listens; at least one.
    #[schemars(length(min = 1))]
    pub listeners: Vec<Listener>,
    /// Where requests go: pools of servers that answer alike; at least one.
    #[schemars(length(min = 1))]
    pub upstreams: Vec<Upstream>,
    /// What is behind which host and path. Without any, a lone upstream gets the API `default`: every host, every path.
    #[serde(default)]
    pub apis: Vec<Api>,
    /// What must hold. Every policy that fits a request is asked, in the order written; the first that denies decides.
    #[serde(default)]
    pub policies: Vec<Policy>,
    /// Plans that API keys are sold under: limits by name. What a plan allows can change; its keys stay.
    #[serde(default)]
    pub plans: Vec<Plan>,
    /// Networks whose `X-Forwarded-*`, `Forwarded` and PROXY headers are believed. Nobody else's are.
    #[serde(default)]
    #[schemars(example = vec!["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"])]
    pub trusted_proxies: Vec<String>,
    /// Files that say where addresses are (country, network operator), or on which list. Of two that know it the first is
    /// believed.
    #[serde(default)]
    pub address_data: Vec<AddressData>,
    /// Hard limits on what a client may send, before any policy is asked.
    #[serde(default)]
    pub limits: Limits,
    /// Where events and state are kept, and for how long.
    #[serde(default)]
    pub data: Data,
    /// Files with a line of JSON for each exchange that attack rules or policies spoke against.
    #[serde(default)]
    pub audit_logs: Vec<AuditLog>,
    /// Redis, for rate limits that several gateways count together. Without it, each gateway counts for itself.
    #[serde(default)]
    pub redis: Option<Redis>,
    /// The console and its admin API.
    #[serde(default)]
    pub console: Console,
    /// Metrics and health checks, on a port of their own. Without it, there are none.
    #[serde(default)]
    pub metrics: Option<Metrics>,
    /// Worker threads of the gateway. Without it, one for each core.
    #[schemars(range(min = 1, max = defaults::THREADS_MAX), example = 4)]
    pub threads: Option<u64>,
    /// How long requests in flight may take after a stop was asked for (SIGTERM).
    #[serde(default = "shutdown_grace")]
    #[schemars(extend("x-bounds" = duration_bounds(defaults::SHUTDOWN_GRACE)))]
    pub shutdown_grace: Duration,
}

/// One listening socket.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Address and port. `0.0.0.0` and `[::]` listen on every interface.
    #[schemars(extend("title" = "address and port"), example = &"0.0.0.0:8443", example = &"[::1]:8080")]
    pub address: String,
    /// TLS. Without it the listener speaks clear text.
    pub tls: Option<ListenerTls>,
    /// Offer HTTP/2: by ALPN under TLS, with prior knowledge (h2c) in the clear.
    #[serde(default = "yes")]
    pub http2: bool,
    /// Expect a PROXY protocol header (v1 or v2) first; believed only from `trusted_proxies`.
    #[serde(default)]
    pub proxy_protocol: bool,
}

/// TLS of a listener.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerTls {
    /// Certificates; chosen by the name that the client asks for (SNI). The first serves clients that name none.
    #[schemars(length(min = 1))]
    pub certificates: Vec<Certificate>,
    /// Lowest version accepted.
    #[serde(default)]
    pub version_min: TlsVersion,
    /// Ask clients for a certificate (mutual TLS), whichever of `certificates` they come for.
    pub client_certificates: Option<ClientCertificates>,
}

/// Which certificates of clients are accepted, and whether a client must show one. Who the certificate belongs to is
/// judged by policies, with the method `mtls`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificates {
    /// PEM file with the authorities that vouch for clients, and no others than those; relative to this document's
    /// folder. Read again when it changes, within a minute.
    #[schemars(length(min = 1), extend("title" = "file name"), example = &"tls/clients-ca.pem")]
    pub authorities: String,
    /// Whether a client must show one.
    #[serde(default)]
    pub demand: ClientDemand,
    /// Files with revocation lists (RFC 5280 §5, PEM or DER); relative to this document's folder. With any, every
    /// certificate of a chain needs the list of its issuer, not beyond its next update: what cannot be looked up is
    /// refused. Read again when they change, within a minute.
    #[serde(default)]
    #[schemars(length(max = defaults::REVOCATION_LISTS_MAX), inner(length(min = 1)), extend("title" = "file names"), example = vec!["tls/clients.crl"])]
    pub revocation_lists: Vec<String>,
}

/// Whether clients must show a certificate.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientDemand {
    /// A handshake without one fails.
    #[default]
    Required,
    /// Without one a client is nobody; one that is shown must still be good.
    Optional,
}

/// A certificate chain with its key. Its names come from the certificate itself.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// PEM file with the chain, leaf first; relative to this document's folder.
    #[schemars(length(min = 1), extend("title" = "file name"), example = &"tls/shop.example.crt")]
    pub certificate: String,
    /// PEM file with the private key; relative to this document's folder.
    #[schemars(length(min = 1), extend("title" = "file name"), example = &"tls/shop.example.key")]
    pub key: String,
    /// File with the authority's OCSP response for this certificate (DER), stapled to each handshake (RFC 6066 §8) and
    /// read again at each reload; relative to this document's folder.
    #[schemars(length(min = 1), extend("title" = "file name"), example = &"tls/shop.example.ocsp")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ocsp_response: Option<String>,
    /// Ask clients that come for this certificate's names for one of theirs, instead of what the listener says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificates: Option<ClientCertificates>,
}

/// A version of TLS. Older ones are not offered (RFC 8996).
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2 and later (RFC 5246).
    #[default]
    #[serde(rename = "TLSv1.2")]
    Tls12,
    /// TLS 1.3 only (RFC 8446).
    #[serde(rename = "TLSv1.3")]
    Tls13,
}

/// A pool of servers that answer alike.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Name, unique among upstreams: letters, digits, `-`, `_` and `.`.
    #[schemars(length(min = 1, max = defaults::NAME_CHARS_MAX), example = &"shop")]
    pub name: String,
    /// The servers; at least one.
    #[schemars(length(min = 1))]
    pub targets: Vec<Target>,
    /// How a target is chosen among the healthy.
    #[serde(default)]
    pub balance: Balance,
    /// TLS towards the targets; `tls: {}` takes the defaults. Without it the gateway speaks clear text to them.
    pub tls: Option<UpstreamTls>,
    /// HTTP version towards the targets. gRPC needs `http2`.
    #[serde(default)]
    pub protocol: Protocol,
    /// How long each step may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Active health check of each target.
    #[serde(default)]
    pub health: Health,
    /// Further targets tried when nothing was sent, or when the method is idempotent and nothing was answered.
    #[serde(default = "retries")]
    #[schemars(range(min = defaults::RETRIES.min, max = defaults::RETRIES.max))]
    pub retries: u32,
    /// How often host names are resolved again.
    #[serde(default = "resolve_interval")]
    #[schemars(extend("x-bounds" = duration_bounds(defaults::RESOLVE_INTERVAL)))]
    pub resolve_interval: Duration,
}

/// One server of an upstream.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Host name or address, and port.
    #[schemars(extend("title" = "host and port"), example = &"127.0.0.1:9000", example = &"shop.internal:8080")]
    pub address: String,
    /// Share of requests relative to its siblings.
    #[serde(default = "weight")]
    #[schemars(range(min = defaults::WEIGHT.min, max = defaults::WEIGHT.max))]
    pub weight: u32,
}

/// How a target is chosen.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// In turn, by weight.
    #[default]
    RoundRobin,
    /// At random, by weight.
    Random,
    /// The same key goes to the same target.
    ConsistentHash(HashOver),
}

/// What a consistent hash is taken over.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HashOver {
    /// The client's address.
    ClientAddress,
    /// The path, without the query.
    Path,
    /// A header; requests without it fall back to the client's address.
    Header(#[schemars(length(min = 1), example = &"x-session")] String),
}

/// TLS towards an upstream.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamTls {
    /// Name asked for (SNI) and checked in the certificate. Without it, the target's host.
    #[schemars(length(min = 1), example = &"shop.internal")]
    pub server_name: Option<String>,
    /// Check the certificate and its name. `false` lets anyone on the way read and change everything.
    pub verify: bool,
    /// PEM file of the authorities to trust instead of the system's; relative to this document's folder.
    #[schemars(length(min = 1), extend("title" = "file name"), example = &"tls/internal-ca.pem")]
    pub authorities: Option<String>,
}

/// HTTP version towards an upstream.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2: by ALPN under TLS, with prior knowledge in the clear.
    Http2,
}

/// Timeouts towards an upstream; every one is always set.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// TCP connection.
    #[schemars(extend("x-bounds" = duration_bounds(defaults::CONNECT_TIMEOUT)))]
    pub connect: Duration,
    /// TCP connection and TLS handshake together; at least `connect`.
    #[schemars(extend("x-bounds" = duration_bounds(defaults::HANDSHAKE_TIMEOUT)))]
    pub handshake: Duration,
    /// Between two reads; the wait for the response head counts as one. Beyond it the answer is 504.
    #[schemars(extend("x-bounds" = duration_bounds(defaults::READ_TIMEOUT)))]
    pub read: Duration,
    /// Between two writes.
    #[schemars(extend("x-bounds" = duration_bounds(defaults::WRITE_TIMEOUT)))]
    pub write: Duration,
    /// How long an idle connection is kept for reuse.
    #[schemars(extend("x-bounds" = duration_bounds(defaults::IDLE_TIMEOUT)))]
    pub idle: Duration,
}

/// Active health check: a TCP connection, or `GET path` when there is a path.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Health {
    /// Whether targets are checked at all. When not, each counts as healthy.
    pub enabled: bool,
    /// Path and query to ask for; healthy when the status is between 200 and 399. Without it, connecting is enough.
    #[schemars(extend("title" = "path"), example = &"/healthz")]
    pub path: Option<String>,
    /// Host header of that request. Without it, the target's own host and port.
    #[schemars(length(min = 1), example = &"shop.example")]
    pub host: Option<String>,
    /// Time between two checks.
    #[schemars(extend("x-bounds" = duration_bounds(defaults::HEALTH_INTERVAL)))]
    pub interval: Duration,
    /// Longest wait for an answer; at most `interval`.
    #[schemars(extend("x-bounds" = duration_bounds(defaults::HEALTH_TIMEOUT)))]
    pub timeout: Duration,
    /// Failures in a row until a target gets no more requests.
    #[schemars(range(min = defaults::UNHEALTHY_AFTER.min, max = defaults::UNHEALTHY_AFTER.max))]
    pub unhealthy_after: u32,
    /// Successes in a row until it gets requests again.
    #[schemars(range(min = defaults::HEALTHY_AFTER.min, max = defaults::HEALTHY_AFTER.max))]
    pub healthy_after: u32,
}

/// A set of endpoints with one purpose, found by host and path prefix.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// Name, unique among APIs: letters, digits, `-`, `_` and `.`.
    #[schemars(length(min = 1, max = defaults::NAME_CHARS_MAX), example = &"shop")]
    pub name: String,
    /// Hosts, without port; `*.example.com` stands for every name below `example.com`. Without any, every host. The
    /// most specific match wins: a name, then the longest wildcard, then every host.
    #[serde(default)]
    #[schemars(example = vec!["shop.example", "*.shop.example"])]
    pub hosts: Vec<String>,
    /// Beginning of the path, in whole segments: `/v1` takes `/v1` and `/v1/users`, not `/v10`. The longest wins.
    #[serde(default = "path_prefix")]
    #[schemars(extend("title" = "path"), example = &"/v1")]
    pub path_prefix: String,
    /// Name of the upstream that answers.
    #[schemars(example = &"shop")]
    pub upstream: String,
    /// Host header towards the upstream. Without it, the client's own.
    #[schemars(length(min = 1), example = &"shop.internal")]
    pub host_header: Option<String>,
    /// Largest request body; beyond it the answer is 413.
    #[serde(default = "body_bytes_max")]
    #[schemars(extend("x-bounds" = size_bounds(defaults::BODY_BYTES)))]
    pub body_bytes_max: Size,
    /// Paths whose bodies stream through uninspected and without a size limit (uploads, gRPC streams). `*` stands for
    /// one segment, a final `**` for any rest.
    #[serde(default)]
    #[schemars(example = vec!["/uploads/**", "/v1/*/image"])]
    pub streaming: Vec<String>,
}

/// What must hold for a part of the traffic: exactly one of `methods`, `addresses`, `networks`, `cors`, `csrf`, `response_headers`, `cache`,
/// `ssrf`, `limits`, `threats`, `content`, `rate`, `authenticate`, `continuity` and `authorize`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Name, unique among policies: letters, digits, `-`, `_` and `.`.
    #[schemars(length(min = 1, max = defaults::NAME_CHARS_MAX), example = &"read-only-catalog")]
    pub name: String,
    /// How far it may go. A new policy observes until someone writes `enforce`: look at what it would stop first.
    #[serde(default)]
    pub mode: PolicyMode,
    /// Which requests it is asked about. Without it, all.
    #[serde(default)]
    pub scope: Scope,
    /// Only these methods; others are answered 405 with `Allow`.
    pub methods: Option<Methods>,
    /// Client addresses; the denied are answered 403.
    pub addresses: Option<Addresses>,
    /// Where clients may call from, by country, network operator or list; others are answered 403.
    pub networks: Option<Networks>,
    /// Which web pages may call (CORS); others are answered 403.
    pub cors: Option<Cors>,
    /// Changes only from pages of the API itself; others are answered 403. `csrf: {}` takes the defaults.
    pub csrf: Option<Csrf>,
    /// Header fields of answers. `response_headers: {}` takes the defaults.
    pub response_headers: Option<ResponseHeaders>,
    /// Answers that are kept and given again. Nothing is refused; every other policy looks at each request first.
    pub cache: Option<Cache>,
    /// Where parameters that carry URLs may lead; others are answered 403. `ssrf: {}` looks at every value.
    pub ssrf: Option<Ssrf>,
    /// Sizes; larger requests are answered 414, 431 or 413.
    pub limits: Option<PolicyLimits>,
    /// Attack rules; what they refuse is answered 403. `threats: {}` runs our own.
    pub threats: Option<Threats>,
    /// Threat limits on what requests hold; what goes beyond them is answered 422.
    pub content: Option<Content>,
    /// Rate limits: how often, how many at once; what goes beyond them is answered 429.
    pub rate: Option<Rate>,
    /// Who may call; others are answered 401, and those who may not do this 403.
    pub authenticate: Option<Authenticate>,
    /// Continuous verification: a known caller that is in two places at once is answered 401 until it proves again who it is.
    /// `continuity: {}` asks for one country in an hour.
    pub continuity: Option<Continuity>,
    /// What callers may do; others are answered 403, or 401 when nobody is known.
    pub authorize: Option<Authorize>,
}

/// How far a policy may go.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyMode {
    /// Notice and act.
    Enforce,
    /// Notice only; the event says what would have been done.
    #[default]
    Observe,
    /// Do not run.
    Off,
}

/// Which requests a policy is asked about; what is not written does not narrow.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// Names of APIs.
    #[schemars(example = vec!["shop"])]
    pub apis: Vec<String>,
    /// Methods.
    #[schemars(example = vec!["POST", "PUT"])]
    pub methods: Vec<String>,
    /// Path patterns: `*` stands for one segment, a final `**` for any rest.
    #[schemars(example = vec!["/admin/**"])]
    pub paths: Vec<String>,
    /// Hours of the day. Without it, always.
    pub hours: Option<Hours>,
}

/// A list of allowed methods.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Methods {
    /// The allowed methods, upper case; at least one.
    #[schemars(length(min = 1), example = vec!["GET", "HEAD", "POST"])]
    pub allow: Vec<String>,
    /// What becomes of a request that names another method beside its own: in `X-HTTP-Method-Override` and its kin, or in
    /// `_method` of the query, of a form or of JSON.
    pub overrides: MethodOverrides,
}

/// What becomes of a request that names another method beside its own.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MethodOverrides {
    /// It is answered 400. Forms and JSON of a `POST` are held until they are known to name none.
    #[default]
    Refuse,
    /// The other method must be allowed too.
    Check,
    /// It is not looked at.
    Ignore,
}

/// Client addresses. A listed deny wins; without `allow`, all the rest is allowed.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Addresses {
    /// Networks that may call; all others may not.
    #[schemars(example = vec!["10.0.0.0/8"])]
    pub allow: Vec<String>,
    /// Networks that may not call.
    #[schemars(example = vec!["203.0.113.0/24"])]
    pub deny: Vec<String>,
}

/// Largest sizes; at least one.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyLimits {
    /// Path and query together; beyond it 414.
    #[schemars(extend("x-bounds" = policy_size_bounds()), example = &"4KiB")]
    pub target_bytes_max: Option<Size>,
    /// Header section: names, values and four bytes a field; beyond it 431.
    #[schemars(extend("x-bounds" = policy_size_bounds()), example = &"16KiB")]
    pub header_bytes_max: Option<Size>,
    /// Header fields; beyond it 431.
    #[schemars(range(min = 1, max = defaults::HEADER_COUNT.max), example = 60)]
    pub header_count_max: Option<u32>,
    /// Request body; beyond it 413.
    #[schemars(extend("x-bounds" = policy_size_bounds()), example = &"64KiB")]
    pub body_bytes_max: Option<Size>,
}

/// Hard limits of the listeners.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Request line and header fields together; beyond it 431.
    #[schemars(extend("x-bounds" = size_bounds(defaults::HEADER_BYTES)))]
    pub header_bytes_max: Size,
    /// Header fields; beyond it 431.
    #[schemars(range(min = defaults::HEADER_COUNT.min, max = defaults::HEADER_COUNT.max))]
    pub header_count_max: u32,
    /// Longest wait for a complete request head; beyond it 408.
    #[schemars(extend("x-bounds" = duration_bounds(defaults::HEADER_TIMEOUT)))]
    pub header_timeout: Duration,
    /// Longest wait between two reads from a client.
    #[schemars(extend("x-bounds" = duration_bounds(defaults::CLIENT_READ_TIMEOUT)))]
    pub client_read_timeout: Duration,
    /// Longest wait for the next request on an open connection, or for the first; then the connection is closed. On
    /// HTTP/2 a change needs a restart.
    #[schemars(extend("x-bounds" = duration_bounds(defaults::KEEPALIVE_TIMEOUT)))]
    pub keepalive_timeout: Duration,
    /// Longest time from a request's head to the end of its body, to which one second is added for each 16 KiB that
    /// arrived; beyond it 408. Bodies of `streaming` paths take as long as they like.
    #[schemars(extend("x-bounds" = duration_bounds(defaults::BODY_TIMEOUT)))]
    pub body_timeout: Duration,
    /// Open connections of clients; beyond it a new one is closed at once and counted. Fewer are taken when the system
    /// allows the process fewer than twice as many open files.
    #[schemars(range(min = defaults::CONNECTIONS.min, max = defaults::CONNECTIONS.max))]
    pub connections_max: u32,
    /// Open connections of one client address (of one /64 for IPv6); beyond it a new one is closed at once and told.
    /// Not for `trusted_proxies`, which bring the connections of many.
    #[schemars(range(min = defaults::CONNECTIONS_PER_CLIENT.min, max = defaults::CONNECTIONS_PER_CLIENT.max))]
    pub connections_per_client_max: u32,
    /// Requests of one client address under way at once, over all its connections; beyond it 429. Not for
    /// `trusted_proxies`.
    #[schemars(range(min = defaults::REQUESTS_PER_CLIENT.min, max = defaults::REQUESTS_PER_CLIENT.max))]
    pub requests_per_client_max: u32,
}

/// Where events and state are kept.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// Directory, made when missing; relative to this document's folder.
    #[schemars(length(min = 1), extend("title" = "directory"), example = &"/var/lib/bartizan")]
    pub directory: String,
    /// Events older than this are deleted.
    #[schemars(extend("x-bounds" = duration_bounds(defaults::RETENTION_AGE)))]
    pub retention_age: Duration,
    /// Beyond this much disk the oldest events are deleted.
    #[schemars(extend("x-bounds" = size_bounds(defaults::RETENTION_SIZE)))]
    pub retention_size: Size,
    /// Events that may wait to be written; beyond it they are dropped and counted, and traffic goes on.
    #[schemars(range(min = defaults::QUEUE_EVENTS.min, max = defaults::QUEUE_EVENTS.max))]
    pub queue_events: u64,
}

/// Metrics and health checks over HTTP, without a password: they tell names of policies and upstreams, and counts, but
/// nothing of requests. A change needs a restart.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Address and port for `GET /metrics`, `/healthz` and `/readyz`. Who reaches it may read it: loopback, or a network of
    /// your monitoring.
    #[schemars(extend("title" = "address and port"), example = &"127.0.0.1:9600")]
    pub address: String,
}

/// The console and its admin API.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Console {
    /// Whether there is one.
    pub enabled: bool,
    /// Address and port; loopback unless written otherwise.
    #[schemars(extend("title" = "address and port"), example = &"127.0.0.1:8600")]
    pub address: String,
    /// Mark session cookies `Secure`. Write `true` when the console is reached over TLS.
    pub secure_cookies: bool,
    /// Names that the console is reached by, besides its address and `localhost`; requests for any other name are
    /// refused (DNS rebinding).
    #[schemars(inner(length(min = 1, max = 253)))]
    pub names: Vec<String>,
}

impl Default for Methods {
    fn default() -> Self {
        let ordinary = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        Self { allow: ordinary.map(str::to_owned).to_vec(), overrides: MethodOverrides::default() }
    }
}

impl Default for UpstreamTls {
    fn default() -> Self {
        Self { server_name: None, verify: true, authorities: None }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::default_of(defaults::CONNECT_TIMEOUT),
            handshake: Duration::default_of(defaults::HANDSHAKE_TIMEOUT),
            read: Duration::default_of(defaults::READ_TIMEOUT),
            write: Duration::default_of(defaults::WRITE_TIMEOUT),
            idle: Duration::default_of(defaults::IDLE_TIMEOUT),
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self {
            enabled: true,
            path: None,
            host: None,
            interval: Duration::default_of(defaults::HEALTH_INTERVAL),
            timeout: Duration::default_of(defaults::HEALTH_TIMEOUT),
            unhealthy_after: small(defaults::UNHEALTHY_AFTER),
            healthy_after: small(defaults::HEALTHY_AFTER),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes_max: Size::default_of(defaults::HEADER_BYTES),
            header_count_max: small(defaults::HEADER_COUNT),
            header_timeout: Duration::default_of(defaults::HEADER_TIMEOUT),
            client_read_timeout: Duration::default_of(defaults::CLIENT_READ_TIMEOUT),
            keepalive_timeout: Duration::default_of(defaults::KEEPALIVE_TIMEOUT),
            body_timeout: Duration::default_of(defaults::BODY_TIMEOUT),
            connections_max: small(defaults::CONNECTIONS),
            connections_per_client_max: small(defaults::CONNECTIONS_PER_CLIENT),
            requests_per_client_max: small(defaults::REQUESTS_PER_CLIENT),
        }
    }
}

impl Default for Data {
    fn default() -> Self {
        Self {
            directory: defaults::DATA_DIRECTORY.to_owned(),
            retention_age: Duration::default_of(defaults::RETENTION_AGE),
            retention_size: Size::default_of(defaults::RETENTION_SIZE),
            queue_events: defaults::QUEUE_EVENTS.default,
        }
    }
}

impl Default for Console {
    fn default() -> Self {
        Self { enabled: true, address: defaults::CONSOLE_ADDRESS.to_owned(), secure_cookies: false, names: Vec::new() }
    }
}

fn small(range: Range) -> u32 {
    u32::try_from(range.default).unwrap_or(u32::MAX)
}

const fn yes() -> bool {
    true
}

fn retries() -> u32 {
    small(defaults::RETRIES)
}

fn weight() -> u32 {
    small(defaults::WEIGHT)
}

fn resolve_interval() -> Duration {
    Duration::default_of(defaults::RESOLVE_INTERVAL)
}

fn shutdown_grace() -> Duration {
    Duration::default_of(defaults::SHUTDOWN_GRACE)
}

fn path_prefix() -> String {
    "/".to_owned()
}

fn body_bytes_max() -> Size {
    Size::default_of(defaults::BODY_BYTES)
}

fn policy_size_bounds() -> String {
    format!("1B to {}", units::size_text(defaults::POLICY_BYTES_MAX))
}
