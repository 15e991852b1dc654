//! The OpenAPI schemas of shapes that other crates own (store, model): written down here, because those crates know
//! nothing of OpenAPI. The integration tests validate every real answer against them, so they cannot drift.

#![expect(dead_code, reason = "these types describe; only their derived schemas are used")]

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::range::Time;

/// What a user may do: everything, or look
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Admin,
    Viewer,
}

impl From<Role> for bartizan_store::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Admin => Self::Admin,
            Role::Viewer => Self::Viewer,
        }
    }
}

/// How bad it is when a check fires
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

/// How sure the catalog is of an endpoint
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EndpointState {
    Candidate,
    Discovered,
}

/// How far a policy may go
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    Enforce,
    Observe,
    Off,
}

/// What a check says about itself
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckInfo {
    /// `FAMILY-number`
    id: String,
    /// A few words
    title: String,
    severity: Severity,
    /// OWASP API Security risk, such as `API8:2023`
    owasp: String,
    /// Common Weakness Enumeration numbers
    cwe: Vec<u32>,
    /// First version that has it
    since: String,
    /// What goes wrong without it
    why: String,
    /// What the developer or operator should do when it fires
    fix: String,
}

/// One event, flat: a row of the event list. The names are the columns of the table `events`
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventRow {
    /// Request id, 32 hexadecimal digits
    id: String,
    /// When the request's head was complete
    time: Time,
    /// `gateway`, `exchanges`, `har` or `access_log`
    source: String,
    client_ip: Option<String>,
    /// `credential`, `session`, `network` or `unknown`
    actor_kind: String,
    /// Whom it is charged to
    actor: String,
    scheme: String,
    version: String,
    host: String,
    method: String,
    /// Without query; segments that look like secrets are masked
    path: String,
    api: Option<String>,
    endpoint_id: Option<String>,
    template: Option<String>,
    /// Kinds of credentials seen, not verified
    auth: Vec<String>,
    user_agent: Option<String>,
    /// Media type
    request_type: Option<String>,
    /// Media type
    response_type: Option<String>,
    /// How it ended
    ending: String,
    /// 0 when no answer reached the client
    status: u16,
    /// Of the body
    request_bytes: u64,
    /// Of the body
    response_bytes: u64,
    /// From the head to the end
    duration_us: u64,
    /// Until the upstream's response head
    upstream_us: Option<u64>,
    upstream: Option<String>,
    /// `allow` or `deny`
    decision: String,
    /// `false` for a deny that was only observed
    applied: bool,
    /// Status that the deny answers with; 0 for an allow
    decision_status: u16,
    /// The check that decided
    check: Option<String>,
    /// The policy that gave the check its say
    policy: Option<String>,
    findings_count: u32,
    /// What was not seen of the exchange
    missing: Vec<String>,
    /// The application that called, when a policy verified it
    application: Option<String>,
    /// Id of the credential that was verified, where it has one: an API key's
    credential_id: Option<String>,
    /// What a policy that keeps answers did for it: `hit`, `stale_hit`, `revalidated`, `stale`, `miss`, `bypass` or
    /// `would_hit`
    cache_status: Option<String>,
}

/// A page of events, newest first
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventPage {
    items: Vec<EventRow>,
    /// Cursor of the page after; `null` when there is nothing older in the window
    next: Option<String>,
}

/// Counts of one span of time; the four partition the requests
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bucket {
    /// Beginning of the span
    time: Time,
    /// The rest
    allowed: u64,
    /// A deny that was not applied
    observed: u64,
    /// A deny that was applied
    denied: u64,
    /// Ended without an answer, or with a status of 500 and above
    errors: u64,
}

/// Counts over time
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Histogram {
    /// Width of a bucket
    step_s: u64,
    /// Empty ones too
    buckets: Vec<Bucket>,
}

/// A value and how often it occurs
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FacetValue {
    /// A string, a number, a bool, or `null` for events that have none
    value: serde_json::Value,
    count: u64,
}

/// One column of a result
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Column {
    name: String,
    /// `text`, `integer`, `number`, `boolean`, `time`, `list`, or the engine's own word
    #[serde(rename = "type")]
    kind: String,
}

/// The result of a query
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    columns: Vec<Column>,
    /// One value a column
    rows: Vec<Vec<serde_json::Value>>,
    elapsed_ms: u64,
    /// Whether there were more rows than the limit
    truncated: bool,
}

/// Counts of a window of time
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Totals {
    requests: u64,
    /// The rest
    allowed: u64,
    /// A deny that was not applied
    observed: u64,
    /// A deny that was applied
    denied: u64,
    /// Ended without an answer, or with a status of 500 and above
    errors: u64,
    /// Distinct client addresses, about 1 % exact
    clients: u64,
}

/// Latency of one span of time, in microseconds
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Latency {
    /// Beginning of the span
    time: Time,
    p50_us: u64,
    p95_us: u64,
    p99_us: u64,
}

/// One of the busiest endpoints
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopEndpoint {
    id: String,
    method: String,
    host: String,
    template: String,
    requests: u64,
    denied: u64,
    errors: u64,
    p95_us: u64,
}

/// Statuses of one span of time
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatusBucket {
    /// Beginning of the span
    time: Time,
    #[serde(rename = "2xx")]
    success: u64,
    #[serde(rename = "3xx")]
    redirect: u64,
    #[serde(rename = "4xx")]
    client_error: u64,
    #[serde(rename = "5xx")]
    server_error: u64,
    /// Applied denies, which the statuses count too
    denied: u64,
}

/// One endpoint over time
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointSeries {
    /// Width of a step
    step_s: u64,
    /// One for each step
    series: Vec<StatusBucket>,
    /// Steps without events left out
    latency: Vec<Latency>,
}

/// Whether the event log does its work
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoreState {
    Ok,
    Error,
}

/// A segment that could not be read and was put aside
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quarantined {
    /// File within the data directory
    name: String,
    reason: String,
}

/// What made a configuration be read
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RevisionCause {
    Start,
    Signal,
    File,
    Console,
}

/// What became of it
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RevisionOutcome {
    Applied,
    Rejected,
}

/// One line of the configuration's history
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revision {
    /// Number, from 1
    revision: u64,
    time: Time,
    /// Console user, or `system`
    author: String,
    cause: RevisionCause,
    outcome: RevisionOutcome,
    /// One line for people
    message: String,
    /// SHA-256 of the document, hexadecimal
    yaml_sha256: String,
}

/// A revision in full
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevisionDetail {
    /// Number, from 1
    revision: u64,
    time: Time,
    /// Console user, or `system`
    author: String,
    cause: RevisionCause,
    outcome: RevisionOutcome,
    /// One line for people
    message: String,
    /// SHA-256 of the document, hexadecimal
    yaml_sha256: String,
    /// The document as read
    yaml: String,
    diagnostics: Vec<Diagnostic>,
}

/// Whether the document can still be used
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DiagnosticSeverity {
    Warning,
    Error,
}

/// Line and column, both from 1
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    line: u32,
    /// In characters
    column: u32,
}

/// A fault in a document
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Diagnostic {
    severity: DiagnosticSeverity,
    /// Stable code, such as `CFG-003`
    code: String,
    file: String,
    position: Option<Position>,
    /// Path of the setting
    path: String,
    /// What is wrong
    message: String,
    /// What to do
    help: String,
}

/// Where a request came from
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Client {
    ip: Option<String>,
    /// The trusted proxy it came through
    via: Option<String>,
    /// `null` in the clear
    tls_version: Option<String>,
}

/// Whom an exchange is charged to
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Actor {
    /// `credential`, `session`, `network` or `unknown`
    kind: String,
    /// A keyed hash or a network
    id: String,
}

/// As whom a request acted, as a policy verified it
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventPrincipal {
    /// A keyed hash, unless a policy keeps it as it is
    subject: String,
    /// The OAuth client or the owner of a key
    application: Option<String>,
    /// Id of an API key; left out where the credential has none
    #[serde(skip_serializing_if = "Option::is_none")]
    credential_id: Option<String>,
    scopes: Vec<String>,
    roles: Vec<String>,
    /// `api_key`, `jwt`, `introspected_token`, `basic`, `certificate` or `signature`
    credential: String,
    /// `shared`, `bearer` or `proof_of_possession`
    strength: String,
}

/// The endpoint an event belongs to
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointRef {
    id: String,
    template: String,
}

/// A parameter as it was seen: no value
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameter {
    /// `path`, `query`, `header` or `cookie`
    place: String,
    name: String,
    /// What its value looks like
    kind: String,
}

/// Where in the exchange
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Location {
    part: String,
    name: Option<String>,
}

/// A check noticed something
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Finding {
    check: String,
    severity: Severity,
    /// `low`, `medium` or `high`
    confidence: String,
    location: Location,
    /// In words, masked
    evidence: String,
    /// The policy that asked; absent when the finding is only noted, or the engine demands it of every request
    #[schema(nullable = false)]
    policy: Option<FindingPolicy>,
}

/// Under which policy a finding was made
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FindingPolicy {
    name: String,
    /// Its mode when the finding was made
    mode: Mode,
}

/// What was decided, and whether it was done
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    /// `allow` or `deny`
    action: String,
    applied: bool,
    /// Status that the deny answers with; 0 for an allow
    status: u16,
    check: Option<String>,
    policy: Option<String>,
}

/// What was not seen: unknown, never clean
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Missing {
    time: bool,
    client: bool,
    headers: bool,
    request_body: bool,
    response: bool,
    response_body: bool,
}

/// The record of one exchange: shapes, labels and masked excerpts, never raw payload
#[derive(Serialize, ToSchema)]
pub(crate) struct Event {
    /// Request id, 32 hexadecimal digits
    id: String,
    time: Time,
    source: String,
    client: Client,
    actor: Actor,
    scheme: String,
    version: String,
    host: String,
    method: String,
    path: String,
    api: Option<String>,
    endpoint: Option<EndpointRef>,
    parameters: Vec<Parameter>,
    auth: Vec<String>,
    /// `null` when no policy verified a caller
    principal: Option<EventPrincipal>,
    user_agent: Option<String>,
    request_type: Option<String>,
    response_type: Option<String>,
    ending: String,
    status: u16,
    request_bytes: u64,
    response_bytes: u64,
    duration_us: u64,
    upstream_us: Option<u64>,
    upstream: Option<String>,
    findings: Vec<Finding>,
    decision: Decision,
    missing: Missing,
    /// What a policy that keeps answers did for it; absent where none concerns it
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_status: Option<String>,
}
