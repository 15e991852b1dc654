//! What each policy did in a window of time: what one looks at before a policy may enforce.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bartizan_config::{Policy, Scope};
use bartizan_model::{Mode, Severity};
use bartizan_store::{CheckCount, EndpointHits, HitBucket, PolicyActivity, PolicyHits, PolicyScope};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Console;
use crate::config::{ScopeBody, summary};
use crate::problem::{Problem, ProblemBody};
use crate::range::{Time, WindowParams};
use crate::request::Query;
use crate::schema;

/// What policies did in a window of time.
#[derive(Serialize, ToSchema)]
pub(crate) struct PoliciesBody {
    from: Time,
    to: Time,
    /// Width of a step of the series
    step_s: u64,
    /// Those that run or are off, in the order of the configuration
    policies: Vec<PolicyReport>,
    /// Those that decided something in the window and are in the configuration no longer
    former: Vec<HitsBody>,
}

/// A policy, and what it did.
#[derive(Serialize, ToSchema)]
pub(crate) struct PolicyReport {
    name: String,
    /// `methods`, `addresses`, `limits`, `rate`, `authenticate`, `content` or `threats`, …
    kind: &'static str,
    #[schema(value_type = schema::Mode)]
    mode: Mode,
    scope: ScopeBody,
    /// The query that finds the requests it applies to; empty for all. A `*` in a path pattern stands for any run of
    /// characters there, so it may find some more
    scope_query: String,
    /// What it demands, in words
    summary: String,
    /// Requests that it applies to, by that query; null when too many scopes differ
    requests: Option<u64>,
    #[serde(flatten)]
    hits: HitsBody,
}

/// What a policy decided.
#[derive(Serialize, ToSchema)]
pub(crate) struct HitsBody {
    /// Its name
    policy: String,
    /// Requests that were denied
    denied: u64,
    /// Requests that went through because the policy, or its mode at the time, only observes
    observed: u64,
    /// Further requests that went through and would not under this policy alone: another policy that observes decided
    beside: u64,
    /// Distinct client addresses that were denied or would have been, about 1 % exact
    clients: u64,
    last_hit: Option<Time>,
    series: Vec<HitBody>,
    /// With the most hits, at most 5
    endpoints: Vec<EndpointHitsBody>,
    /// Those that decided, at most 5
    checks: Vec<CheckHitsBody>,
}

/// Hits of one step of time.
#[derive(Serialize, ToSchema)]
struct HitBody {
    time: Time,
    denied: u64,
    observed: u64,
}

/// Hits at an endpoint.
#[derive(Serialize, ToSchema)]
struct EndpointHitsBody {
    id: String,
    method: String,
    host: String,
    template: String,
    hits: u64,
}

/// Hits of a check.
#[derive(Serialize, ToSchema)]
struct CheckHitsBody {
    check: String,
    title: String,
    #[schema(value_type = schema::Severity)]
    severity: Severity,
    count: u64,
}

/// Each policy with what it denied or would have denied, and out of how many requests.
#[utoipa::path(get, path = "/policies", tag = "config", params(WindowParams), responses(
    (status = 200, body = PoliciesBody),
    (status = 400, description = "a bad window", body = ProblemBody),
))]
pub(crate) async fn list(
    State(console): State<Arc<Console>>,
    Query(window): Query<WindowParams>,
) -> Result<Json<PoliciesBody>, Problem> {
    let window = window.at(console.now())?;
    let config = Arc::clone(&(console.parts.control.running)().config);
    let asked = config.policies.iter().map(asked).collect();
    let PolicyActivity { step_s, policies: mut hits } =
        console.parts.store.policy_activity(window.from, window.to, asked).await?;
    let former = hits.split_off(config.policies.len().min(hits.len()));
    let report = |(policy, hits)| PolicyReport::of(&console, policy, hits);
    Ok(Json(PoliciesBody {
        from: Time(window.from),
        to: Time(window.to),
        step_s,
        policies: config.policies.iter().zip(hits).map(report).collect(),
        former: former.into_iter().map(|hits| HitsBody::of(&console, hits)).collect(),
    }))
}

/// A policy as the store is asked about it.
pub(crate) fn asked(policy: &Policy) -> PolicyScope {
    PolicyScope { policy: policy.name.clone(), q: query(&policy.scope) }
}

impl PolicyReport {
    pub(crate) fn of(console: &Console, policy: &Policy, hits: PolicyHits) -> Self {
        Self {
            name: policy.name.clone(),
            kind: policy.rule.kind(),
            mode: policy.mode,
            scope: ScopeBody::from(&policy.scope),
            scope_query: query(&policy.scope),
            summary: summary(&policy.rule),
            requests: hits.requests,
            hits: HitsBody::of(console, hits),
        }
    }
}

impl HitsBody {
    fn of(console: &Console, hits: PolicyHits) -> Self {
        let PolicyHits { policy, denied, observed, beside, clients, last_hit, series, endpoints, checks, .. } = hits;
        let bucket =
            |bucket: HitBucket| HitBody { time: Time(bucket.time), denied: bucket.denied, observed: bucket.observed };
        let endpoint =
            |EndpointHits { id, method, host, template, hits }| EndpointHitsBody { id, method, host, template, hits };
        let check = |CheckCount { check, count }| {
            let info = console.check(&check);
            CheckHitsBody {
                severity: info.as_ref().map_or(Severity::Info, |info| info.severity),
                title: info.map_or_else(|| check.clone(), |info| info.title),
                check,
                count,
            }
        };
        Self {
            policy,
            denied,
            observed,
            beside,
            clients,
            last_hit: last_hit.map(Time),
            series: series.into_iter().map(bucket).collect(),
            endpoints: endpoints.into_iter().map(endpoint).collect(),
            checks: checks.into_iter().map(check).collect(),
        }
    }
}

/// The requests of a scope in the query language of events.
fn query(scope: &Scope) -> String {
    let Scope { apis, methods, paths, hours: _ } = scope; // the query language has no hours: more requests, not fewer
    let values = |values: &[String]| values.iter().map(|value| written(value)).collect::<Vec<_>>().join(",");
    let patterns = paths.iter().map(|path| pattern(&path.0)).collect::<Vec<_>>().join(",");
    let terms = [("api", values(apis)), ("method", values(methods)), ("path", patterns)];
    let terms = terms.into_iter().filter(|(_, values)| !values.is_empty());
    terms.map(|(field, values)| format!("{field}:{values}")).collect::<Vec<_>>().join(" ")
}

/// Text taken literally. Quotation marks take away every other character's meaning; one of its own cannot be written,
/// so a star stands for it.
fn written(text: &str) -> String {
    let needs_marks = |character: char| character.is_whitespace() || ",\"*".contains(character);
    if text.contains(needs_marks) { format!("\"{}\"", text.replace('"', "\"*\"")) } else { text.to_owned() }
}

/// A path pattern: `/v1/*/items/**`. The rest that `**` stands for may be none, without the slash before it.
fn pattern(path: &str) -> String {
    let (path, has_rest) = path.strip_suffix("/**").map_or((path, false), |path| (path, true));
    let pieces: Vec<String> =
        path.split('*').map(|piece| if piece.is_empty() { String::new() } else { written(piece) }).collect();
    let all = pieces.join("*");
    match (has_rest, all.is_empty()) {
        (false, _) => all,
        (true, true) => "*".to_owned(),
        (true, false) => format!("{all},{all}/*"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_config::PathPattern;

    #[test]
    fn a_scope_reads_as_a_query() {
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let check = |apis: &[&str], methods: &[&str], paths: &[&str], wanted: &str| {
            let paths = paths.iter().map(|path| PathPattern((*path).to_owned())).collect();
            let q = query(&Scope { apis: list(apis), methods: list(methods), paths, hours: None });
            assert_eq!(q, wanted);
            assert!(bartizan_store::Filter::parse(&q).is_ok(), "{q}");
        };
        check(&[], &[], &[], "");
        check(&["bank", "shop"], &["GET", "POST"], &[], "api:bank,shop method:GET,POST");
        check(&[], &[], &["/login", "/v1/*/items"], "path:/login,/v1/*/items");
        check(&[], &[], &["/v1/**", "/**"], "path:/v1,/v1/*,*");
        check(&["our api"], &[], &["/a,b/c-d"], "api:\"our api\" path:\"/a,b/c-d\"");
        check(&["a\"b"], &[], &[], "api:\"a\"*\"b\"");
    }
}
