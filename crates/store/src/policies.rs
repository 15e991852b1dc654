//! What each policy did in a window of time: hits over time, where, by which checks, out of how many requests.
//!
//! A hit is an event that the policy decided; of several policies that speak against a request, one decides. So a policy
//! that observes would deny more than it decided: where another one that observes was stronger, the finding still names
//! both, and such events are counted beside. Where an enforced policy denied, nothing would change.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::DataType;
use bartizan_model::Timestamp;
use datafusion::functions_aggregate::expr_fn::{approx_distinct, count, max, sum};
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::prelude::{DataFrame, cast, contains};
use serde::Serialize;

use crate::aggregate::{Steps, denied_and_observed, flag, grouped, number, rows_of, signed, text, top};
use crate::answer::CheckCount;
use crate::filter::Filter;
use crate::query::Queries;
use crate::search::in_range;
use crate::{Error, Store};

/// LIMIT: policies that are counted; configurations of people have tens.
const POLICIES_MAX: usize = 256;
/// LIMIT: different scopes that requests are counted in: each is one more condition on every event of the window.
const SCOPES_MAX: usize = 32;
/// LIMIT: steps of a policy's series: what a small chart shows.
const STEPS_MAX: u64 = 48;
/// LIMIT: rows of policies by endpoint, and by check, the most frequent first.
const ROWS_MAX: usize = 4096;
/// Endpoints and checks that are given for each policy.
const TOP_MAX: usize = 5;

/// A policy that is asked about, and a query for the requests that it applies to; empty for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyScope {
    /// Its name
    pub policy: String,
    /// In the language of [`Filter`]
    pub q: String,
}

/// What policies did in a window of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyActivity {
    /// Width of a step of the series, in seconds
    pub step_s: u64,
    /// Those that were asked about, in that order, then others that decided something, by name
    pub policies: Vec<PolicyHits>,
}

/// What one policy did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PolicyHits {
    /// Its name
    pub policy: String,
    /// Requests that it applies to; `None` when nobody asked, or when the query for them is no query
    pub requests: Option<u64>,
    /// Denies that were applied
    pub denied: u64,
    /// Denies that were not applied
    pub observed: u64,
    /// Further requests that it would have denied, had not another policy that observes been stronger
    pub beside: u64,
    /// Distinct client addresses of the hits, about 1 % exact
    pub clients: u64,
    /// The newest hit
    pub last_hit: Option<Timestamp>,
    /// Hits over time, one for each step
    pub series: Vec<HitBucket>,
    /// Endpoints with the most hits, at most 5; requests without an endpoint are left out
    pub endpoints: Vec<EndpointHits>,
    /// Checks that decided, at most 5
    pub checks: Vec<CheckCount>,
}

/// Hits of one step of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HitBucket {
    /// Beginning of the span
    pub time: Timestamp,
    /// Denies that were applied
    pub denied: u64,
    /// Denies that were not applied
    pub observed: u64,
}

/// Hits at one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointHits {
    /// Endpoint's id
    pub id: String,
    /// Method
    pub method: String,
    /// Host
    pub host: String,
    /// Path template
    pub template: String,
    /// Hits
    pub hits: u64,
}

impl Store {
    /// What policies did in a window of time.
    ///
    /// # Errors
    /// The range is bad, or the disk fails.
    pub async fn policy_activity(
        &self,
        from: Timestamp,
        to: Timestamp,
        asked: Vec<PolicyScope>,
    ) -> Result<PolicyActivity, Error> {
        let queries = &self.inner.queries;
        queries.on_runtime(policy_activity(queries.clone(), from, to, asked)).await
    }
}

async fn policy_activity(
    queries: Queries,
    from: Timestamp,
    to: Timestamp,
    mut asked: Vec<PolicyScope>,
) -> Result<PolicyActivity, Error> {
    asked.truncate(POLICIES_MAX);
    let steps = Steps::at_most(STEPS_MAX, from, to)?;
    let window = in_range(from, to);
    let hits = window.clone().and(col("policy").is_not_null());
    let mut found = counted(&queries, &hits, &steps).await?;
    add_series(&queries, &hits, &steps, &mut found).await?;
    add_checks(&queries, &hits, &mut found).await?;
    add_endpoints(&queries, &hits, &mut found).await?;
    let requests = requests(&queries, &window, &asked).await?;
    let beside = beside(&queries, &window, &asked).await?;
    let mut policies = Vec::new();
    for ((scope, requests), beside) in asked.into_iter().zip(requests).zip(beside) {
        let hits = found.remove(&scope.policy).unwrap_or_else(|| empty(scope.policy, &steps));
        policies.push(PolicyHits { requests, beside, ..hits });
    }
    policies.extend(found.into_values());
    Ok(PolicyActivity { step_s: steps.step_s, policies })
}

fn empty(policy: String, steps: &Steps) -> PolicyHits {
    let bucket = |at| HitBucket { time: steps.time(at), denied: 0, observed: 0 };
    PolicyHits { policy, series: (0..steps.count).map(bucket).collect(), ..PolicyHits::default() }
}

/// Hits by policy.
async fn counted(queries: &Queries, hits: &Expr, steps: &Steps) -> Result<BTreeMap<String, PolicyHits>, Error> {
    let mut counts = vec![
        count(lit(1)).alias("hits"),
        approx_distinct(col("client_ip")).alias("clients"),
        max(cast(col("time"), DataType::Int64)).alias("newest"),
    ];
    counts.extend(denied_and_observed());
    let most = |frame: DataFrame| top(frame, "hits", "policy", POLICIES_MAX);
    let batches = grouped(queries, hits, vec![col("policy")], counts, most).await?;
    let row = |(batch, row)| {
        let policy = text(batch, "policy", row);
        let hits = PolicyHits {
            denied: number(batch, "denied", row),
            observed: number(batch, "observed", row),
            clients: number(batch, "clients", row),
            last_hit: Some(Timestamp::from_micros(signed(batch, "newest", row))),
            ..empty(policy.clone(), steps)
        };
        (policy, hits)
    };
    Ok(rows_of(&batches).map(row).collect())
}

async fn add_series(
    queries: &Queries,
    hits: &Expr,
    steps: &Steps,
    found: &mut BTreeMap<String, PolicyHits>,
) -> Result<(), Error> {
    let keys = vec![col("policy"), steps.column()];
    let batches = grouped(queries, hits, keys, denied_and_observed().to_vec(), Ok).await?;
    for (batch, row) in rows_of(&batches) {
        let Some(policy) = found.get_mut(&text(batch, "policy", row)) else { continue };
        let at = steps.index(signed(batch, "step", row));
        if let Some(bucket) = at.and_then(|at| policy.series.get_mut(at)) {
            bucket.denied += number(batch, "denied", row);
            bucket.observed += number(batch, "observed", row);
        }
    }
    Ok(())
}

async fn add_checks(queries: &Queries, hits: &Expr, found: &mut BTreeMap<String, PolicyHits>) -> Result<(), Error> {
    let keys = vec![col("policy"), col("\"check\"").alias("decided_by")];
    let most = |frame: DataFrame| top(frame, "count", "decided_by", ROWS_MAX);
    let batches = grouped(queries, hits, keys, vec![count(lit(1)).alias("count")], most).await?;
    for (batch, row) in rows_of(&batches) {
        let Some(policy) = found.get_mut(&text(batch, "policy", row)) else { continue };
        let check = text(batch, "decided_by", row);
        if policy.checks.len() < TOP_MAX && !check.is_empty() {
            policy.checks.push(CheckCount { check, count: number(batch, "count", row) });
        }
    }
    Ok(())
}

async fn add_endpoints(queries: &Queries, hits: &Expr, found: &mut BTreeMap<String, PolicyHits>) -> Result<(), Error> {
    let known = hits.clone().and(col("endpoint_id").is_not_null());
    let keys = vec![col("policy"), col("endpoint_id"), col("method"), col("host")];
    let counts = vec![count(lit(1)).alias("hits"), max(col("template")).alias("template")];
    let most = |frame: DataFrame| top(frame, "hits", "endpoint_id", ROWS_MAX);
    let batches = grouped(queries, &known, keys, counts, most).await?;
    for (batch, row) in rows_of(&batches) {
        let Some(policy) = found.get_mut(&text(batch, "policy", row)) else { continue };
        if policy.endpoints.len() < TOP_MAX {
            policy.endpoints.push(EndpointHits {
                id: text(batch, "endpoint_id", row),
                method: text(batch, "method", row),
                host: text(batch, "host", row),
                template: text(batch, "template", row),
                hits: number(batch, "hits", row),
            });
        }
    }
    Ok(())
}

/// Requests in each scope, all scopes in one pass.
async fn requests(queries: &Queries, window: &Expr, asked: &[PolicyScope]) -> Result<Vec<Option<u64>>, Error> {
    let scopes: BTreeSet<&str> = asked.iter().map(|scope| scope.q.as_str()).collect();
    let readable = |q: &str| Some((q.to_owned(), Filter::parse(q).ok()?));
    let scopes: Vec<(String, Filter)> = scopes.into_iter().filter_map(readable).take(SCOPES_MAX).collect();
    let conditions = scopes.iter().enumerate().map(|(at, (_, filter))| {
        let condition = filter.expression().unwrap_or_else(|| lit(true));
        sum(flag(condition)).alias(format!("scope{at}"))
    });
    let conditions: Vec<Expr> = conditions.collect();
    if conditions.is_empty() {
        return Ok(vec![None; asked.len()]);
    }
    let batches = grouped(queries, window, vec![], conditions, Ok).await?;
    let Some((batch, row)) = rows_of(&batches).next() else { return Ok(vec![None; asked.len()]) };
    let of = |scope: &PolicyScope| {
        let at = scopes.iter().position(|(q, _)| *q == scope.q)?;
        Some(number(batch, &format!("scope{at}"), row))
    };
    Ok(asked.iter().map(of).collect())
}

/// Events that went through though a policy spoke against them that did not decide.
async fn beside(queries: &Queries, window: &Expr, asked: &[PolicyScope]) -> Result<Vec<u64>, Error> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let undecided = col("decision").eq(lit("deny")).and(col("applied").is_not_true());
    let several = window.clone().and(undecided).and(col("findings_count").gt(lit(1)));
    let spoke = |(at, scope): (usize, &PolicyScope)| {
        // A quotation mark within a string is escaped in JSON, so only the member itself reads like this.
        let name = serde_json::to_string(&scope.policy).unwrap_or_default();
        let named = contains(col("findings"), lit(format!("\"policy\":{{\"name\":{name},")));
        sum(flag(named.and(col("policy").not_eq(lit(scope.policy.clone()))))).alias(format!("policy{at}"))
    };
    let counts = asked.iter().enumerate().map(spoke).collect();
    let batches = grouped(queries, &several, vec![], counts, Ok).await?;
    let Some((batch, row)) = rows_of(&batches).next() else { return Ok(vec![0; asked.len()]) };
    Ok((0..asked.len()).map(|at| number(batch, &format!("policy{at}"), row)).collect())
}
