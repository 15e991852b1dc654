//! What the console is given: everything it shows or starts belongs to somebody else.
//!
//! The binary fills [`Parts`] from its store, catalog, gateway and loader; the tests fill it from a real store, a real
//! catalog and closures of their own. Closures rather than a trait: each is one question, and there is one asker.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bartizan_config::Config;
use bartizan_model::{CheckInfo, Diagnostic, EndpointId, Event, Secret, Timestamp};
use bartizan_store::{ApiKeyRecord, KeyQuota, Store};
use tokio::sync::broadcast;

use crate::{CatalogView, SetupToken, TokenHash};

/// The clock, given so that tests can move it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// An answer that takes a while.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What the console is given by its host.
pub struct Parts {
    /// Events and state
    pub store: Store,
    /// The catalog as it is now; called once per request, so it should hand out a shared copy
    pub catalog: Arc<dyn Fn() -> Arc<CatalogView> + Send + Sync>,
    /// Every event, as it happens
    pub live: broadcast::Sender<Arc<Event>>,
    /// What can be asked of the running product
    pub control: Control,
    /// Who makes and takes back API keys
    pub keys: KeyDesk,
    /// Every check there is
    pub checks: &'static [&'static CheckInfo],
    /// The clock
    pub clock: Clock,
    /// The one-time set-up token; `None` once a user exists. See [`SetupToken::generate`]
    pub setup: Option<SetupToken>,
    /// Settings
    pub options: Options,
}

/// Settings of the console.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address it was told to listen on
    pub address: SocketAddr,
    /// Further names that may stand in `Host`, lower case, without port
    pub names: Vec<String>,
    /// Mark the session cookie `Secure`
    pub secure_cookies: bool,
    /// Hash of the token in `<data>/admin-token`; `None` when there is none
    pub admin_token: Option<TokenHash>,
    /// The product's version
    pub version: &'static str,
    /// When the process started
    pub started_at: Timestamp,
    /// Where events and state are kept
    pub data_directory: PathBuf,
}

/// Finds a rule by the id of its check.
pub type RuleNotes = Arc<dyn Fn(&str) -> Option<RuleNote> + Send + Sync>;

/// What can be asked of the running product.
#[derive(Clone)]
pub struct Control {
    /// Reads the configuration file again and applies it if it is valid; the argument names who asked
    pub reload: Arc<dyn Fn(String) -> Pending<Reloaded> + Send + Sync>,
    /// Validates a document that has not been saved
    pub check: Arc<dyn Fn(String) -> Vec<Diagnostic> + Send + Sync>,
    /// What runs now
    pub running: Arc<dyn Fn() -> Arc<RunningConfig> + Send + Sync>,
    /// Takes back the merge of the path segment at a position (from 0) of an endpoint; the error is for the operator
    pub unmerge: Arc<dyn Fn(EndpointId, usize) -> Result<(), String> + Send + Sync>,
    /// What an attack rule that runs says about itself, by the id of its check (`WAF-942100`)
    pub rule: RuleNotes,
    /// Health of every target of every upstream
    pub upstreams: Arc<dyn Fn() -> Vec<UpstreamState> + Send + Sync>,
    /// Forgets kept answers; returns how many
    pub purge: Arc<dyn Fn(CachePurge) -> u64 + Send + Sync>,
    /// Where events come from
    pub sources: Arc<dyn Fn() -> Vec<SourceState> + Send + Sync>,
    /// How full the counts of rate limits are. It may look at every key, so it is called off the runtime
    pub limits: Arc<dyn Fn() -> Vec<LimitState> + Send + Sync>,
    /// The files of address data that run
    pub address_data: Arc<dyn Fn() -> Vec<AddressDataState> + Send + Sync>,
    /// The event queue's counters
    pub queue: Arc<dyn Fn() -> QueueCounters + Send + Sync>,
}

/// Which kept answers are forgotten; what is `None` does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CachePurge {
    /// Of this policy
    pub policy: Option<String>,
    /// Of this API
    pub api: Option<String>,
    /// To requests whose path begins with this
    pub path_prefix: Option<String>,
}

/// An API key to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewKey {
    /// The application it is given to
    pub application: String,
    /// Who answers for it
    pub owner: Option<String>,
    /// Name of its plan
    pub plan: Option<String>,
    /// What it may do
    pub scopes: Vec<String>,
    /// What it is
    pub roles: Vec<String>,
    /// How often it may be used
    pub quota: Option<KeyQuota>,
    /// When it ends
    pub expires: Option<Timestamp>,
}

/// An API key that was just made: its text is shown once.
#[derive(Clone, Debug)]
pub struct MadeKey {
    /// What is kept of it
    pub record: ApiKeyRecord,
    /// The whole key
    pub text: Secret<String>,
}

/// Why a key was not made or changed; each with words for whoever asked, but the last, which is for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRefused {
    /// What was asked for makes no sense
    Bad(String),
    /// There is no such key
    Missing(String),
    /// The keys that there are do not allow it
    Conflict(String),
    /// Disk, database or random numbers failed
    Failed(String),
}

/// Makes a key, for a user.
pub type CreateKey = Arc<dyn Fn(NewKey, String) -> Pending<Result<MadeKey, KeyRefused>> + Send + Sync>;
/// Rotates the key of an id, which works for so many milliseconds more, for a user.
pub type RotateKey = Arc<dyn Fn(String, u64, String) -> Pending<Result<MadeKey, KeyRefused>> + Send + Sync>;
/// Revokes the key of an id, for a user.
pub type RevokeKey = Arc<dyn Fn(String, String) -> Pending<Result<ApiKeyRecord, KeyRefused>> + Send + Sync>;

/// Changes of API keys; a gateway in this process takes them at once.
#[derive(Clone)]
pub struct KeyDesk {
    /// Makes a key
    pub create: CreateKey,
    /// Makes a key in the place of another
    pub rotate: RotateKey,
    /// Takes a key back
    pub revoke: RevokeKey,
}

/// An attack rule, in short.
#[derive(Clone, Debug)]
pub struct RuleNote {
    /// Its number
    pub id: u32,
    /// Its own words
    pub message: String,
    /// Its tags
    pub tags: Vec<String>,
    /// How bad its findings are
    pub severity: bartizan_model::Severity,
}

/// The configuration that runs.
#[derive(Clone, Debug)]
pub struct RunningConfig {
    /// Its revision in the history
    pub revision: u64,
    /// Generation of the engine's snapshot: rises with every reload and every lesson of the catalog
    pub generation: u64,
    /// When this revision was applied
    pub applied_at: Timestamp,
    /// The file as the operator named it
    pub file: String,
    /// The document as it was read
    pub yaml: String,
    /// What it means
    pub config: Arc<Config>,
    /// Settings that are in the document but wait for a restart
    pub restart_needed: Vec<String>,
}

/// What came of a reload.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// Applied, rejected or unchanged
    pub outcome: ReloadOutcome,
    /// The revision that was recorded, or that runs on
    pub revision: u64,
    /// What is wrong with the document, or worth knowing
    pub diagnostics: Vec<Diagnostic>,
    /// Settings that wait for a restart
    pub restart_needed: Vec<String>,
}

/// How a reload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReloadOutcome {
    /// The new configuration runs
    Applied,
    /// The document is faulty; the old configuration runs on
    Rejected,
    /// The document is what runs already
    Unchanged,
}

/// Health of an upstream.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct UpstreamState {
    /// Its name in the configuration
    pub name: String,
    /// Its targets
    pub targets: Vec<TargetState>,
}

/// Health of one target.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct TargetState {
    /// Host and port, or the address it resolved to
    pub address: String,
    /// Whether requests are sent there
    pub healthy: bool,
    /// Why not, or what is known
    pub detail: String,
}

/// Networks change hands, and makers of databases publish a new one every week or month: a file that was made more days
/// ago is old.
pub const ADDRESS_DATA_OLD_DAYS: u64 = 90;

/// A file that says where addresses are, or on which list.
#[derive(Clone, Debug)]
pub struct AddressDataState {
    /// Its name in the configuration
    pub name: String,
    /// What it says it is, or `CSV`
    pub kind: String,
    /// Networks in it, as far as it says
    pub networks: Option<u64>,
    /// When it was made, as far as it says
    pub built: Option<Timestamp>,
}

/// One place that events come from.
#[derive(Clone, Debug)]
pub struct SourceState {
    /// Name, unique
    pub name: String,
    /// `gateway`, `access_log`, …
    pub kind: String,
    /// How it does
    pub state: SourceHealth,
    /// Time of the newest event
    pub last_event: Option<Timestamp>,
    /// Events since the start
    pub events: u64,
    /// Why it is in error, or what is known
    pub detail: String,
}

/// How a source of events does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SourceHealth {
    /// Events arrive
    Ok,
    /// Nothing for a while
    Idle,
    /// It cannot be read, or cannot listen
    Error,
}

/// Counters of the bounded queue between the gateway and the store, since the start.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, utoipa::ToSchema)]
pub struct QueueCounters {
    /// Events written to the store
    pub written: u64,
    /// Events dropped because the queue was full
    pub dropped: u64,
    /// Events that wait now
    pub queued: u64,
    /// Events that may wait
    pub queue_max: u64,
}

/// How full one limit's counts are now.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct LimitState {
    /// The policy
    #[serde(skip)]
    pub policy: String,
    /// Which of its limits
    #[serde(skip)]
    pub kind: String,
    /// Keys of which something is counted
    pub keys: u64,
    /// Those of them that have at most a tenth of the limit left
    pub near: u64,
    /// Those that have nothing left: their next request is refused, or would be
    pub spent: u64,
    /// Bytes that the counts take
    pub bytes: u64,
    /// How often a new key found no room and shared a count with others, since the limit began
    pub overflowed_total: u64,
}
