//! The running configuration, its history, a check of a draft, and the reload.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use bartizan_config::{
    Api, Balance, Config, HostPattern, Listener, Plan, Policy, PolicyRule, Scope, Upstream, UpstreamProtocol,
};
use bartizan_model::{Diagnostic, Mode};
use bartizan_store::{PolicyCount, Revision, RevisionDetail};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::Console;
use crate::parts::ReloadOutcome;
use crate::problem::{Problem, ProblemBody};
use crate::range::Time;
use crate::request::Body;
use crate::schema;
use crate::security::Caller;

/// LIMIT: lines of the history that are given; older ones stay in the database.
const REVISIONS_MAX: u32 = 500;
/// The window of a policy's hits: 24 hours, in microseconds.
const DAY_US: i64 = 86_400 * 1_000_000;

/// The configuration that runs.
#[derive(Serialize, ToSchema)]
pub(crate) struct RunningBody {
    /// Its number in the history
    revision: u64,
    /// Generation of the engine's snapshot
    generation: u64,
    applied_at: Time,
    /// The file as the operator named it
    file: String,
    /// The document as it was read
    yaml: String,
    policies: Vec<PolicyBody>,
    /// What API keys are sold under
    plans: Vec<PlanBody>,
    apis: Vec<ApiBody>,
    upstreams: Vec<UpstreamBody>,
    listeners: Vec<ListenerBody>,
    /// Settings that wait for a restart
    restart_needed: Vec<String>,
}

/// A plan of API keys.
#[derive(Serialize, ToSchema)]
struct PlanBody {
    name: String,
    /// What an application with it may use, in words; empty when nothing is limited
    summary: String,
}

/// A policy, and what it did in the last 24 hours.
#[derive(Serialize, ToSchema)]
struct PolicyBody {
    name: String,
    /// `methods`, `addresses` or `limits`
    kind: &'static str,
    #[schema(value_type = schema::Mode)]
    mode: Mode,
    scope: ScopeBody,
    /// What it demands, in words
    summary: String,
    denied_24h: u64,
    observed_24h: u64,
}

/// Which requests a policy applies to; an empty list does not narrow.
#[derive(Serialize, ToSchema)]
pub(crate) struct ScopeBody {
    apis: Vec<String>,
    methods: Vec<String>,
    paths: Vec<String>,
}

/// An API: what is behind which host and path.
#[derive(Serialize, ToSchema)]
struct ApiBody {
    name: String,
    /// Empty for every host
    hosts: Vec<String>,
    path_prefix: String,
    upstream: String,
    body_bytes_max: u64,
    /// Paths whose bodies stream through uninspected
    streaming: Vec<String>,
}

/// A pool of servers.
#[derive(Serialize, ToSchema)]
struct UpstreamBody {
    name: String,
    targets: Vec<TargetBody>,
    /// `round_robin`, `random` or `consistent_hash`
    balance: &'static str,
    /// `http1` or `http2`
    protocol: &'static str,
    tls: bool,
    /// Whether an active health check runs
    health_check: bool,
}

/// One server of a pool.
#[derive(Serialize, ToSchema)]
struct TargetBody {
    /// Host and port
    address: String,
    weight: u32,
}

/// One listening socket.
#[derive(Serialize, ToSchema)]
struct ListenerBody {
    address: String,
    tls: bool,
    http2: bool,
}

/// A document to check.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft {
    yaml: String,
}

/// What a check found.
#[derive(Serialize, ToSchema)]
pub(crate) struct CheckedBody {
    /// Empty when the document is right
    #[schema(value_type = Vec<schema::Diagnostic>)]
    diagnostics: Vec<Diagnostic>,
}

/// What came of a reload.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReloadBody {
    outcome: ReloadOutcome,
    /// The revision that was recorded, or that runs on
    revision: u64,
    #[schema(value_type = Vec<schema::Diagnostic>)]
    diagnostics: Vec<Diagnostic>,
    /// Settings that wait for a restart
    restart_needed: Vec<String>,
}

/// The configuration that runs, and what its policies did.
#[utoipa::path(get, path = "/config", tag = "config", responses((status = 200, body = RunningBody)))]
pub(crate) async fn show(State(console): State<Arc<Console>>) -> Result<Json<RunningBody>, Problem> {
    let since = console.now().plus_micros(-DAY_US);
    let counts = console.parts.store.policy_counts(since).await?;
    let running = (console.parts.control.running)();
    let Config { listeners, upstreams, apis, policies, plans, .. } = &*running.config;
    let plan = |plan: &Plan| PlanBody { name: plan.name.clone(), summary: plan.limits.summary() };
    Ok(Json(RunningBody {
        revision: running.revision,
        generation: running.generation,
        applied_at: Time(running.applied_at),
        file: running.file.clone(),
        yaml: running.yaml.clone(),
        policies: policies.iter().map(|policy| PolicyBody::of(policy, &counts)).collect(),
        plans: plans.iter().map(plan).collect(),
        apis: apis.iter().map(ApiBody::from).collect(),
        upstreams: upstreams.iter().map(UpstreamBody::from).collect(),
        listeners: listeners.iter().map(ListenerBody::from).collect(),
        restart_needed: running.restart_needed.clone(),
    }))
}

/// Every configuration that was read, newest first.
#[utoipa::path(get, path = "/config/revisions", tag = "config", responses((status = 200, body = Vec<schema::Revision>)))]
pub(crate) async fn revisions(State(console): State<Arc<Console>>) -> Result<Json<Vec<Revision>>, Problem> {
    Ok(Json(console.parts.store.revisions(REVISIONS_MAX).await?))
}

/// One of them in full.
#[utoipa::path(get, path = "/config/revisions/{revision}", tag = "config", params(("revision" = u64, Path)), responses(
    (status = 200, body = schema::RevisionDetail),
    (status = 404, description = "no such revision", body = ProblemBody),
))]
pub(crate) async fn revision(
    State(console): State<Arc<Console>>,
    Path(number): Path<String>,
) -> Result<Json<RevisionDetail>, Problem> {
    let missing = || Problem::Missing("there is no such revision".to_owned());
    let number: u64 = number.parse().map_err(|_| missing())?;
    console.parts.store.revision(number).await?.map(Json).ok_or_else(missing)
}

/// Check a document without applying it.
#[utoipa::path(post, path = "/config/check", tag = "config", request_body = Draft,
    responses((status = 200, body = CheckedBody)))]
pub(crate) async fn check(
    State(console): State<Arc<Console>>,
    Body(draft): Body<Draft>,
) -> Result<Json<CheckedBody>, Problem> {
    let check = Arc::clone(&console.parts.control.check);
    let diagnostics = tokio::task::spawn_blocking(move || check(draft.yaml)).await.map_err(|_| Problem::Fault)?;
    Ok(Json(CheckedBody { diagnostics }))
}

/// Read the configuration file again, and apply it if it is right.
#[utoipa::path(post, path = "/config/reload", tag = "config", responses((status = 200, body = ReloadBody)))]
pub(crate) async fn reload(
    State(console): State<Arc<Console>>,
    Extension(caller): Extension<Caller>,
) -> Json<ReloadBody> {
    let done = (console.parts.control.reload)(caller.name).await;
    Json(ReloadBody {
        outcome: done.outcome,
        revision: done.revision,
        diagnostics: done.diagnostics,
        restart_needed: done.restart_needed,
    })
}

impl PolicyBody {
    fn of(policy: &Policy, counts: &[PolicyCount]) -> Self {
        let count = counts.iter().find(|count| count.policy == policy.name);
        Self {
            name: policy.name.clone(),
            kind: policy.rule.kind(),
            mode: policy.mode,
            scope: ScopeBody::from(&policy.scope),
            summary: summary(&policy.rule),
            denied_24h: count.map_or(0, |count| count.denied),
            observed_24h: count.map_or(0, |count| count.observed),
        }
    }
}

impl From<&Scope> for ScopeBody {
    fn from(scope: &Scope) -> Self {
        Self {
            apis: scope.apis.clone(),
            methods: scope.methods.clone(),
            paths: scope.paths.iter().map(|path| path.0.clone()).collect(),
        }
    }
}

/// What a rule demands, in one line.
pub(crate) fn summary(rule: &PolicyRule) -> String {
    let list = |networks: &[ipnet::IpNet]| networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match rule {
        PolicyRule::Methods { allow, .. } => format!("only {}", allow.join(", ")),
        PolicyRule::Addresses { allow, deny } => match (allow.is_empty(), deny.is_empty()) {
            (true, true) => "every address".to_owned(),
            (true, false) => format!("not from {}", list(deny)),
            (false, true) => format!("only from {}", list(allow)),
            (false, false) => format!("only from {}, and not from {}", list(allow), list(deny)),
        },
        PolicyRule::Networks(networks) => networks.summary(),
        PolicyRule::Cors(cors) => cors.summary(),
        PolicyRule::Csrf(csrf) => csrf.summary(),
        PolicyRule::ResponseHeaders(headers) => headers.summary(),
        PolicyRule::Cache(cache) => cache.summary(),
        PolicyRule::Ssrf(ssrf) => ssrf.summary(),
        PolicyRule::Limits { target_bytes_max, header_bytes_max, header_count_max, body_bytes_max } => {
            let mut parts = Vec::new();
            parts.extend(target_bytes_max.map(|bytes| format!("target at most {bytes} B")));
            parts.extend(header_bytes_max.map(|bytes| format!("header at most {bytes} B")));
            parts.extend(header_count_max.map(|count| format!("at most {count} header fields")));
            parts.extend(body_bytes_max.map(|bytes| format!("body at most {bytes} B")));
            parts.join(", ")
        }
        PolicyRule::Threats(threats) => {
            let mut parts = Vec::new();
            parts.extend(threats.own_rules.then(|| "own rules".to_owned()));
            parts.extend(threats.core_rule_set.is_some().then(|| "Core Rule Set".to_owned()));
            parts.extend((!threats.files.is_empty()).then(|| format!("{} rule files", threats.files.len())));
            parts.extend(threats.paranoia.map(|level| format!("paranoia {level}")));
            parts.extend(threats.anomaly_threshold.map(|score| format!("from score {score}")));
            parts.extend((!threats.exclusions.is_empty()).then(|| format!("{} exclusions", threats.exclusions.len())));
            parts.join(", ")
        }
        PolicyRule::Authenticate(authenticate) => {
            let mut parts: Vec<String> = authenticate.methods.iter().map(|method| method.kind().to_owned()).collect();
            parts.extend(authenticate.anonymous.then(|| "or nobody".to_owned()));
            if !authenticate.required_scopes.is_empty() {
                parts.push(format!("scopes {}", authenticate.required_scopes.join(" ")));
            }
            parts.join(", ")
        }
        PolicyRule::Authorize(authorize) => {
            let mut parts = Vec::new();
            let count =
                |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
            if !authorize.operations.is_empty() {
                parts.push(count(authorize.operations.len(), "operation", "operations"));
            }
            if !authorize.rules.is_empty() {
                parts.push(count(authorize.rules.len(), "rule", "rules"));
            }
            parts.extend(authorize.cedar.as_ref().map(|cedar| count(cedar.files.len(), "Cedar file", "Cedar files")));
            parts.extend(authorize.is_unmatched_allowed.then(|| "other requests pass".to_owned()));
            parts.join(", ")
        }
        PolicyRule::Content(content) => {
            let mut parts = vec!["threat limits".to_owned()];
            parts.extend(content.refuse_malformed.then(|| "well-formed bodies".to_owned()));
            parts.extend((!content.patterns.is_empty()).then(|| format!("{} patterns", content.patterns.len())));
            parts.join(", ")
        }
        PolicyRule::Rate(rate) => rate.summary(),
        PolicyRule::Continuity(continuity) => continuity.summary(),
    }
}

impl From<&Api> for ApiBody {
    fn from(api: &Api) -> Self {
        Self {
            name: api.name.clone(),
            hosts: api.hosts.iter().map(HostPattern::words).collect(),
            path_prefix: api.path_prefix.clone(),
            upstream: api.upstream.clone(),
            body_bytes_max: api.body_bytes_max,
            streaming: api.streaming.iter().map(|path| path.0.clone()).collect(),
        }
    }
}

impl From<&Upstream> for UpstreamBody {
    fn from(upstream: &Upstream) -> Self {
        let targets = upstream.targets.iter();
        Self {
            name: upstream.name.clone(),
            targets: targets
                .map(|target| TargetBody {
                    address: format!("{}:{}", target.host, target.port),
                    weight: target.weight.get(),
                })
                .collect(),
            balance: match upstream.balance {
                Balance::RoundRobin => "round_robin",
                Balance::Random => "random",
                Balance::ConsistentHash(_) => "consistent_hash",
            },
            protocol: match upstream.protocol {
                UpstreamProtocol::Http1 => "http1",
                UpstreamProtocol::Http2 => "http2",
            },
            tls: upstream.tls.is_some(),
            health_check: upstream.health.is_some(),
        }
    }
}

impl From<&Listener> for ListenerBody {
    fn from(listener: &Listener) -> Self {
        Self { address: listener.address.to_string(), tls: listener.tls.is_some(), http2: listener.http2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_reads_as_a_sentence() {
        let network = |text: &str| text.parse().unwrap();
        let both = PolicyRule::Addresses { allow: vec![network("10.0.0.0/8")], deny: vec![network("10.9.0.0/16")] };
        assert_eq!(summary(&both), "only from 10.0.0.0/8, and not from 10.9.0.0/16");
        let methods = PolicyRule::Methods {
            allow: vec!["GET".to_owned(), "POST".to_owned()],
            overrides: bartizan_config::MethodOverrides::Refuse,
        };
        assert_eq!(summary(&methods), "only GET, POST");
        let limits = PolicyRule::Limits {
            target_bytes_max: Some(2048),
            header_bytes_max: None,
            header_count_max: Some(64),
            body_bytes_max: None,
        };
        assert_eq!(summary(&limits), "target at most 2048 B, at most 64 header fields");
    }
}
