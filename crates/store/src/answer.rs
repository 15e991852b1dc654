//! What the store answers: rows, pages, histograms and aggregates, in the shapes of the console's API.

use std::collections::BTreeMap;
use std::sync::Arc;

use bartizan_model::{AuthKinds, Event, Timestamp};
use serde::{Deserialize, Serialize};

/// One event, flat: a row of the console's event list. Field names are the column names of table `events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRow {
    /// Request id, 32 hexadecimal digits
    pub id: String,
    /// When the request's head was complete
    pub time: Timestamp,
    /// Where it was seen
    pub source: String,
    /// Client address
    pub client_ip: Option<String>,
    /// What the actor was recognized by
    pub actor_kind: String,
    /// Whom it is charged to
    pub actor: String,
    /// `http` or `https`
    pub scheme: String,
    /// `HTTP/1.1`, `HTTP/2`, …
    pub version: String,
    /// Host
    pub host: String,
    /// Method
    pub method: String,
    /// Path without query
    pub path: String,
    /// API
    pub api: Option<String>,
    /// Endpoint's id, 16 hexadecimal digits
    pub endpoint_id: Option<String>,
    /// Endpoint's path template
    pub template: Option<String>,
    /// Kinds of credentials seen
    pub auth: Vec<String>,
    /// User agent
    pub user_agent: Option<String>,
    /// Media type of the request
    pub request_type: Option<String>,
    /// Media type of the response
    pub response_type: Option<String>,
    /// How it ended
    pub ending: String,
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
    /// Upstream
    pub upstream: Option<String>,
    /// `allow` or `deny`
    pub decision: String,
    /// Whether the decision was applied
    pub applied: bool,
    /// Status that the deny answers with; 0 for an allow
    pub decision_status: u16,
    /// The check that decided
    pub check: Option<String>,
    /// The policy that gave the check its say
    pub policy: Option<String>,
    /// How many findings there are
    pub findings_count: u32,
    /// What was not seen
    pub missing: Vec<String>,
    /// The application that called, when a policy verified it
    #[serde(default)]
    pub application: Option<String>,
    /// Id of the credential that was verified, where it has one: an API key's
    #[serde(default)]
    pub credential_id: Option<String>,
    /// What a policy that keeps answers did for it
    #[serde(default)]
    pub cache_status: Option<String>,
}

impl EventRow {
    /// The row of an event, as [`crate::Store::search`] would give it.
    pub fn of(event: &Event) -> Self {
        let owned = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        let shared = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        Self {
            id: event.id.to_string(),
            time: event.time,
            source: event.source.as_str().to_owned(),
            client_ip: event.client.ip.map(|ip| ip.to_string()),
            actor_kind: event.actor.kind.as_str().to_owned(),
            actor: event.actor.id.to_string(),
            scheme: event.scheme.as_str().to_owned(),
            version: event.version.as_str().to_owned(),
            host: event.host.to_string(),
            method: event.method.to_string(),
            path: event.path.to_string(),
            api: shared(&event.api),
            endpoint_id: event.endpoint.as_ref().map(|endpoint| endpoint.id.to_string()),
            template: event.endpoint.as_ref().map(|endpoint| endpoint.template.to_string()),
            auth: auth_words(event.auth),
            user_agent: owned(&event.user_agent),
            request_type: owned(&event.request_type),
            response_type: owned(&event.response_type),
            ending: event.ending.as_str().to_owned(),
            status: event.status,
            request_bytes: event.request_bytes,
            response_bytes: event.response_bytes,
            duration_us: event.duration_us,
            upstream_us: event.upstream_us,
            upstream: shared(&event.upstream),
            decision: event.decision.action.as_str().to_owned(),
            applied: event.decision.applied,
            decision_status: event.decision.status,
            check: event.decision.check.as_ref().map(|check| check.as_str().to_owned()),
            policy: shared(&event.decision.policy),
            findings_count: u32::try_from(event.findings.len()).unwrap_or(u32::MAX),
            missing: event.missing.words().map(str::to_owned).collect(),
            application: event.principal.as_ref().and_then(|principal| owned(&principal.application)),
            credential_id: event.principal.as_ref().and_then(|principal| owned(&principal.credential_id)),
            cache_status: event.cache_status.map(|status| status.as_str().to_owned()),
        }
    }
}

fn auth_words(auth: AuthKinds) -> Vec<String> {
    auth.iter().map(|kind| kind.as_str().to_owned()).collect()
}

/// What to search for. `q` is the console's query language: see [`crate::Filter`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventQuery {
    /// Earliest time, inclusive
    pub from: Timestamp,
    /// Latest time, exclusive
    pub to: Timestamp,
    /// Terms that must all hold; empty for everything
    pub q: String,
    /// Most rows to give; at most 1,000 are given
    pub limit: usize,
    /// [`EventPage::next`] of the page before
    pub cursor: Option<String>,
}

/// A page of events, newest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventPage {
    /// The rows
    pub items: Vec<EventRow>,
    /// Cursor of the page after; `None` when there is nothing older in the range
    pub next: Option<String>,
}

/// Counts of one span of time, by what became of the requests. The four partition the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Beginning of the span
    pub time: Timestamp,
    /// The rest
    pub allowed: u64,
    /// A deny that was not applied
    pub observed: u64,
    /// A deny that was applied
    pub denied: u64,
    /// Not denied; ended otherwise than answered or stopped, or with a status of 500 and above
    pub errors: u64,
}

/// Counts over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Histogram {
    /// Width of a bucket in seconds
    pub step_s: u64,
    /// One for each step of the range, empty ones too
    pub buckets: Vec<Bucket>,
}

/// One value of a field and how often it occurs. `value` is a string, a number or a bool.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FacetValue {
    /// The value; `null` for events that have none
    pub value: serde_json::Value,
    /// Events with it
    pub count: u64,
}

/// Most frequent values by field.
pub type Facets = BTreeMap<String, Vec<FacetValue>>;

/// Bounds of one SQL query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqlLimits {
    /// Most rows to give, at most a million; the rest is cut and [`Table::truncated`] set
    pub rows_max: usize,
    /// Longest run time
    pub timeout_ms: u64,
}

impl Default for SqlLimits {
    fn default() -> Self {
        Self { rows_max: 1000, timeout_ms: 30_000 }
    }
}

/// One column of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name
    pub name: String,
    /// `text`, `integer`, `number`, `boolean`, `time`, `list` or the engine's own name for anything else
    #[serde(rename = "type")]
    pub kind: String,
}

/// The result of an SQL query.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// Columns, in order
    pub columns: Vec<Column>,
    /// Rows of one value a column
    pub rows: Vec<Vec<serde_json::Value>>,
    /// How long it took
    pub elapsed_ms: u64,
    /// Whether there were more rows than the limit
    pub truncated: bool,
}

/// Counts of a window of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Requests
    pub requests: u64,
    /// Neither denied nor in error
    pub allowed: u64,
    /// A deny that was not applied
    pub observed: u64,
    /// A deny that was applied
    pub denied: u64,
    /// Errors: see [`Bucket::errors`]
    pub errors: u64,
    /// Distinct client addresses, about 1 % exact
    pub clients: u64,
}

/// Latency quantiles of one span of time, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Beginning of the span
    pub time: Timestamp,
    /// Median
    pub p50_us: u64,
    /// 95th percentile
    pub p95_us: u64,
    /// 99th percentile
    pub p99_us: u64,
}

/// One of the busiest endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopEndpoint {
    /// Endpoint's id
    pub id: String,
    /// Method
    pub method: String,
    /// Host
    pub host: String,
    /// Path template
    pub template: String,
    /// Requests
    pub requests: u64,
    /// Applied denies
    pub denied: u64,
    /// Errors
    pub errors: u64,
    /// 95th percentile of the duration, in microseconds
    pub p95_us: u64,
}

/// A check and how many events it noticed something in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckCount {
    /// Check's id
    pub check: String,
    /// Events
    pub count: u64,
}

/// What a source of events has delivered in a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceCount {
    /// `gateway`, `har`, …
    pub source: String,
    /// Events
    pub events: u64,
    /// The newest event's time
    pub last_event: Timestamp,
}

/// Aggregates of a window of time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Overview {
    /// Beginning, inclusive
    pub from: Timestamp,
    /// End, exclusive
    pub to: Timestamp,
    /// Width of a step of the series, in seconds
    pub step_s: u64,
    /// Counts of the window
    pub totals: Totals,
    /// Counts of the window of the same length before it
    pub previous: Totals,
    /// Counts over time, one for each step
    pub series: Vec<Bucket>,
    /// Latency over time, of answered exchanges; steps without any are left out
    pub latency: Vec<Latency>,
    /// Busiest endpoints, at most 10
    pub top_endpoints: Vec<TopEndpoint>,
    /// Most frequent checks, at most 10
    pub top_checks: Vec<CheckCount>,
    /// Sources that delivered
    pub sources: Vec<SourceCount>,
}

/// Statuses of one step of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StatusBucket {
    /// Beginning of the span
    pub time: Timestamp,
    /// Statuses 200–299
    #[serde(rename = "2xx")]
    pub success: u64,
    /// Statuses 300–399
    #[serde(rename = "3xx")]
    pub redirect: u64,
    /// Statuses 400–499
    #[serde(rename = "4xx")]
    pub client_error: u64,
    /// Statuses 500–599
    #[serde(rename = "5xx")]
    pub server_error: u64,
    /// Applied denies, which the statuses count too
    pub denied: u64,
}

/// One endpoint over time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EndpointSeries {
    /// Width of a step in seconds
    pub step_s: u64,
    /// One for each step
    pub series: Vec<StatusBucket>,
    /// Latency, steps without events left out
    pub latency: Vec<Latency>,
}

/// What a policy did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyCount {
    /// Policy's name
    pub policy: String,
    /// Denies that were applied
    pub denied: u64,
    /// Denies that were not applied
    pub observed: u64,
}

/// What a credential that has an id was used for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CredentialCount {
    /// Its id, such as an API key's
    pub credential_id: String,
    /// Requests
    pub requests: u64,
    /// Denies that were applied
    pub denied: u64,
}

/// Whether the store does its work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// It does
    #[default]
    Ok,
    /// Events are being dropped: see the detail
    Error,
}

/// A segment that could not be read and was put aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// File name within the data directory
    pub name: String,
    /// Why
    pub reason: String,
}

/// How the event log is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoreHealth {
    /// Whether it does its work
    pub state: HealthState,
    /// What is wrong; empty when nothing is
    pub detail: String,
    /// Bytes of the live segments
    pub bytes: u64,
    /// Live segments
    pub segments: u64,
    /// Segments put aside
    pub quarantined: Vec<Quarantined>,
    /// Events written to disk since the store was opened
    pub written: u64,
    /// Events dropped since the store was opened, because they could not be written
    pub dropped: u64,
    /// Events in memory that are not on disk yet
    pub buffered: u64,
}
