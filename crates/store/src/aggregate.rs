//! Aggregates over events: histogram, facets, overview, one endpoint over time, policies.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use bartizan_model::{EndpointId, Timestamp};
use datafusion::functions_aggregate::expr_fn::{approx_distinct, approx_percentile_cont, count, max, sum};
use datafusion::logical_expr::{Expr, SortExpr, col, lit, when};
use datafusion::prelude::{DataFrame, cast};

use crate::Error;
use crate::answer::{
    Bucket, CheckCount, CredentialCount, EndpointSeries, FacetValue, Facets, Histogram, Latency, Overview, PolicyCount,
    SourceCount, StatusBucket, TopEndpoint, Totals,
};
use crate::filter::{Filter, field_named};
use crate::json;
use crate::query::Queries;
use crate::search::in_range;

/// LIMIT: values of a facet.
const FACET_VALUES_MAX: usize = 20;
/// LIMIT: fields of one request for facets.
const FACET_FIELDS_MAX: usize = 16;
/// Rows of the overview's lists.
const TOP_MAX: usize = 10;
/// LIMIT: steps of a series.
const STEPS_MAX: u64 = 120;
/// Widths of a step that people read easily, in seconds; beyond them whole days.
const STEPS_S: [u64; 17] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200];
const DAY_S: u64 = 86_400;

/// What becomes of a request: the four outcomes partition the requests.
const ALLOWED: i64 = 0;
const OBSERVED: i64 = 1;
const DENIED: i64 = 2;
const ERRORS: i64 = 3;

/// A window of time cut into steps, aligned to the clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    pub(crate) step_s: u64,
    first: i64,
    pub(crate) count: usize,
}

impl Steps {
    fn of(from: Timestamp, to: Timestamp) -> Result<Self, Error> {
        Self::at_most(STEPS_MAX, from, to)
    }

    /// As few as `most` steps; one more when the window does not begin with one.
    pub(crate) fn at_most(most: u64, from: Timestamp, to: Timestamp) -> Result<Self, Error> {
        if from >= to {
            return Err(Error::Query(format!("the time range from {from} to {to} is empty")));
        }
        let seconds = to.micros_since(from).div_ceil(1_000_000);
        let wanted = seconds.div_ceil(most);
        let days = wanted.div_ceil(DAY_S).max(1) * DAY_S;
        let step_s = STEPS_S.into_iter().find(|step| *step >= wanted).unwrap_or(days);
        let step = Self::micros(step_s);
        let first = from.as_micros().div_euclid(step);
        let last = to.as_micros().saturating_sub(1).div_euclid(step);
        let count = usize::try_from(last - first + 1).unwrap_or_default();
        Ok(Self { step_s, first, count })
    }

    fn micros(step_s: u64) -> i64 {
        i64::try_from(step_s).unwrap_or(i64::MAX).saturating_mul(1_000_000)
    }

    /// The beginning of step `at`.
    pub(crate) fn time(&self, at: usize) -> Timestamp {
        let step = self.first.saturating_add(i64::try_from(at).unwrap_or(i64::MAX));
        Timestamp::from_micros(step.saturating_mul(Self::micros(self.step_s)))
    }

    /// Number of an event's step, counted from the epoch, as column `step`.
    pub(crate) fn column(&self) -> Expr {
        let micros = cast(col("time"), DataType::Int64);
        let step = lit(Self::micros(self.step_s));
        // division rounds towards zero; before 1970 it must round down
        let floor = when(micros.clone().lt(lit(0_i64)), (micros.clone() + lit(1_i64)) / step.clone() - lit(1_i64))
            .otherwise(micros.clone() / step.clone());
        floor.unwrap_or(micros / step).alias("step")
    }

    /// Which step a value of that column is.
    pub(crate) fn index(&self, step: i64) -> Option<usize> {
        usize::try_from(step.checked_sub(self.first)?).ok().filter(|at| *at < self.count)
    }
}

/// See [`crate::Store::histogram`].
pub(crate) async fn histogram(queries: Queries, from: Timestamp, to: Timestamp, q: String) -> Result<Histogram, Error> {
    let steps = Steps::of(from, to)?;
    let buckets = outcome_series(&queries, &steps, wanted(from, to, &q)?).await?;
    Ok(Histogram { step_s: steps.step_s, buckets })
}

/// See [`crate::Store::facets`].
pub(crate) async fn facets(
    queries: Queries,
    from: Timestamp,
    to: Timestamp,
    q: String,
    fields: Vec<String>,
) -> Result<Facets, Error> {
    let filter = wanted(from, to, &q)?;
    let mut facets = BTreeMap::new();
    for field in fields.iter().take(FACET_FIELDS_MAX) {
        let Some(column) = field_named(field) else {
            return Err(Error::Query(format!("there is no field `{field}`")));
        };
        let value = || col(format!("\"{}\"", column.name)).alias("value");
        let rows = grouped(&queries, &filter, vec![value()], vec![count(lit(1)).alias("count")], |frame| {
            top(frame, "count", "value", FACET_VALUES_MAX)
        });
        let mut values = Vec::new();
        for batch in rows.await? {
            for row in 0..batch.num_rows() {
                values.push(FacetValue {
                    value: json::value(batch.column(0), row)?,
                    count: number(&batch, "count", row),
                });
            }
        }
        facets.insert(field.clone(), values);
    }
    Ok(facets)
}

/// See [`crate::Store::overview`].
pub(crate) async fn overview(queries: Queries, from: Timestamp, to: Timestamp) -> Result<Overview, Error> {
    let steps = Steps::of(from, to)?;
    let window = i64::try_from(to.micros_since(from)).unwrap_or(i64::MAX);
    let before = from.plus_micros(window.saturating_neg());
    let filter = in_range(from, to);
    Ok(Overview {
        from,
        to,
        step_s: steps.step_s,
        totals: totals(&queries, filter.clone()).await?,
        previous: totals(&queries, in_range(before, from)).await?,
        series: outcome_series(&queries, &steps, filter.clone()).await?,
        latency: latency(&queries, &steps, filter.clone()).await?,
        top_endpoints: top_endpoints(&queries, &filter).await?,
        top_checks: top_checks(&queries, &filter).await?,
        sources: sources(&queries, &filter).await?,
    })
}

/// See [`crate::Store::endpoint_series`].
pub(crate) async fn endpoint_series(
    queries: Queries,
    id: EndpointId,
    from: Timestamp,
    to: Timestamp,
) -> Result<EndpointSeries, Error> {
    let steps = Steps::of(from, to)?;
    let filter = in_range(from, to).and(col("endpoint_id").eq(lit(id.to_string())));
    let class = (col("status") / lit(100)).alias("class");
    let denied = sum(flag(outcome().eq(lit(DENIED)))).alias("denied");
    let counts = vec![count(lit(1)).alias("count"), denied];
    let batches = grouped(&queries, &filter, vec![steps.column(), class], counts, Ok).await?;
    let empty = |at| StatusBucket {
        time: steps.time(at),
        success: 0,
        redirect: 0,
        client_error: 0,
        server_error: 0,
        denied: 0,
    };
    let mut series: Vec<StatusBucket> = (0..steps.count).map(empty).collect();
    for (batch, row) in rows_of(&batches) {
        let Some(bucket) = steps.index(signed(batch, "step", row)).and_then(|at| series.get_mut(at)) else { continue };
        let count = number(batch, "count", row);
        bucket.denied += number(batch, "denied", row);
        match signed(batch, "class", row) {
            2 => bucket.success += count,
            3 => bucket.redirect += count,
            4 => bucket.client_error += count,
            5 => bucket.server_error += count,
            _ => {} // 0: nothing was sent
        }
    }
    let latency = latency(&queries, &steps, filter).await?;
    Ok(EndpointSeries { step_s: steps.step_s, series, latency })
}

/// See [`crate::Store::policy_counts`].
pub(crate) async fn policy_counts(queries: Queries, since: Timestamp) -> Result<Vec<PolicyCount>, Error> {
    let filter = col("time").gt_eq(crate::filter::time(since.as_micros())).and(col("policy").is_not_null());
    let by_name = |frame: DataFrame| frame.sort(vec![col("policy").sort(true, false)]);
    let counts = denied_and_observed().to_vec();
    let batches = grouped(&queries, &filter, vec![col("policy")], counts, by_name).await?;
    let row = |(batch, row)| PolicyCount {
        policy: text(batch, "policy", row),
        denied: number(batch, "denied", row),
        observed: number(batch, "observed", row),
    };
    Ok(rows_of(&batches).map(row).collect())
}

/// See [`crate::Store::credential_counts`].
pub(crate) async fn credential_counts(queries: Queries, since: Timestamp) -> Result<Vec<CredentialCount>, Error> {
    let filter = col("time").gt_eq(crate::filter::time(since.as_micros())).and(col("credential_id").is_not_null());
    let denied = sum(flag(outcome().eq(lit(DENIED)))).alias("denied");
    let counts = vec![count(lit(1)).alias("requests"), denied];
    let by_id = |frame: DataFrame| frame.sort(vec![col("credential_id").sort(true, false)]);
    let batches = grouped(&queries, &filter, vec![col("credential_id")], counts, by_id).await?;
    let row = |(batch, row)| CredentialCount {
        credential_id: text(batch, "credential_id", row),
        requests: number(batch, "requests", row),
        denied: number(batch, "denied", row),
    };
    Ok(rows_of(&batches).map(row).collect())
}

async fn totals(queries: &Queries, filter: Expr) -> Result<Totals, Error> {
    let clients = approx_distinct(col("client_ip")).alias("clients");
    let batches = grouped(queries, &filter, vec![], vec![clients], Ok).await?;
    let mut totals = Totals::default();
    if let Some((batch, row)) = rows_of(&batches).next() {
        totals.clients = number(batch, "clients", row);
    }
    let count = vec![count(lit(1)).alias("count")];
    let batches = grouped(queries, &filter, vec![outcome().alias("outcome")], count, Ok).await?;
    for (batch, row) in rows_of(&batches) {
        let count = number(batch, "count", row);
        totals.requests += count;
        match signed(batch, "outcome", row) {
            OBSERVED => totals.observed += count,
            DENIED => totals.denied += count,
            ERRORS => totals.errors += count,
            _ => totals.allowed += count,
        }
    }
    Ok(totals)
}

async fn outcome_series(queries: &Queries, steps: &Steps, filter: Expr) -> Result<Vec<Bucket>, Error> {
    let keys = vec![steps.column(), outcome().alias("outcome")];
    let batches = grouped(queries, &filter, keys, vec![count(lit(1)).alias("count")], Ok).await?;
    let empty = |at| Bucket { time: steps.time(at), allowed: 0, observed: 0, denied: 0, errors: 0 };
    let mut series: Vec<Bucket> = (0..steps.count).map(empty).collect();
    for (batch, row) in rows_of(&batches) {
        let Some(bucket) = steps.index(signed(batch, "step", row)).and_then(|at| series.get_mut(at)) else { continue };
        let count = number(batch, "count", row);
        match signed(batch, "outcome", row) {
            OBSERVED => bucket.observed += count,
            DENIED => bucket.denied += count,
            ERRORS => bucket.errors += count,
            _ => bucket.allowed += count,
        }
    }
    Ok(series)
}

async fn latency(queries: &Queries, steps: &Steps, filter: Expr) -> Result<Vec<Latency>, Error> {
    let filter = filter.and(col("ending").eq(lit("answered")));
    let quantiles = vec![quantile(0.5, "p50"), quantile(0.95, "p95"), quantile(0.99, "p99")];
    let by_step = |frame: DataFrame| frame.sort(vec![col("step").sort(true, false)]);
    let batches = grouped(queries, &filter, vec![steps.column()], quantiles, by_step).await?;
    let row = |(batch, row)| {
        let at = steps.index(signed(batch, "step", row))?;
        let quantile = |name| number(batch, name, row);
        Some(Latency {
            time: steps.time(at),
            p50_us: quantile("p50"),
            p95_us: quantile("p95"),
            p99_us: quantile("p99"),
        })
    };
    Ok(rows_of(&batches).filter_map(row).collect())
}

async fn top_endpoints(queries: &Queries, filter: &Expr) -> Result<Vec<TopEndpoint>, Error> {
    let filter = filter.clone().and(col("endpoint_id").is_not_null());
    let keys = vec![col("endpoint_id"), col("method"), col("host")];
    let is = |code: i64, name: &str| sum(flag(outcome().eq(lit(code)))).alias(name);
    let counts = vec![
        count(lit(1)).alias("requests"),
        max(col("template")).alias("template"), // its parameters' names may have changed; its id has not
        is(DENIED, "denied"),
        is(ERRORS, "errors"),
        quantile(0.95, "p95"),
    ];
    let busiest = |frame| top(frame, "requests", "endpoint_id", TOP_MAX);
    let batches = grouped(queries, &filter, keys, counts, busiest).await?;
    let row = |(batch, row)| TopEndpoint {
        id: text(batch, "endpoint_id", row),
        method: text(batch, "method", row),
        host: text(batch, "host", row),
        template: text(batch, "template", row),
        requests: number(batch, "requests", row),
        denied: number(batch, "denied", row),
        errors: number(batch, "errors", row),
        p95_us: number(batch, "p95", row),
    };
    Ok(rows_of(&batches).map(row).collect())
}

/// Few combinations of checks occur, so they are counted as they stand and taken apart here.
async fn top_checks(queries: &Queries, filter: &Expr) -> Result<Vec<CheckCount>, Error> {
    let filter = filter.clone().and(col("findings_count").gt(lit(0)));
    let batches = grouped(queries, &filter, vec![col("checks")], vec![count(lit(1)).alias("count")], Ok).await?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (batch, row) in rows_of(&batches) {
        for check in text(batch, "checks", row).split(',').filter(|check| !check.is_empty()) {
            *counts.entry(check.to_owned()).or_default() += number(batch, "count", row);
        }
    }
    let mut checks: Vec<CheckCount> = counts.into_iter().map(|(check, count)| CheckCount { check, count }).collect();
    checks.sort_by_key(|check| std::cmp::Reverse(check.count));
    checks.truncate(TOP_MAX);
    Ok(checks)
}

async fn sources(queries: &Queries, filter: &Expr) -> Result<Vec<SourceCount>, Error> {
    let counts = vec![count(lit(1)).alias("events"), max(col("time")).alias("newest_time")];
    let batches = grouped(queries, filter, vec![col("source")], counts, |frame| {
        let newest = cast(col("newest_time"), DataType::Int64).alias("newest");
        frame.select(vec![col("source"), col("events"), newest])?.sort(vec![col("source").sort(true, false)])
    })
    .await?;
    let row = |(batch, row)| SourceCount {
        source: text(batch, "source", row),
        events: number(batch, "events", row),
        last_event: Timestamp::from_micros(signed(batch, "newest", row)),
    };
    Ok(rows_of(&batches).map(row).collect())
}

/// Groups the events that pass `filter`.
pub(crate) async fn grouped(
    queries: &Queries,
    filter: &Expr,
    keys: Vec<Expr>,
    aggregates: Vec<Expr>,
    then: impl Fn(DataFrame) -> Result<DataFrame, datafusion::common::DataFusionError>,
) -> Result<Vec<RecordBatch>, Error> {
    let build = |events: DataFrame| then(events.filter(filter.clone())?.aggregate(keys.clone(), aggregates.clone())?);
    queries.collect(build).await
}

fn wanted(from: Timestamp, to: Timestamp, q: &str) -> Result<Expr, Error> {
    let range = in_range(from, to);
    Ok(match Filter::parse(q)?.expression() {
        Some(more) => range.and(more),
        None => range,
    })
}

/// Which of the four outcomes an event had.
fn outcome() -> Expr {
    let denied = col("decision").eq(lit("deny"));
    let unfinished = col("ending").in_list(vec![lit("answered"), lit("stopped")], true);
    let failed = unfinished.or(col("status").gt_eq(lit(500)));
    let code = when(denied.clone().and(col("applied")), lit(DENIED))
        .when(denied, lit(OBSERVED))
        .when(failed, lit(ERRORS))
        .otherwise(lit(ALLOWED));
    code.unwrap_or_else(|_| lit(ALLOWED)) // all branches are numbers
}

/// How often policies denied, and would have: columns `denied` and `observed`.
pub(crate) fn denied_and_observed() -> [Expr; 2] {
    [(DENIED, "denied"), (OBSERVED, "observed")].map(|(code, name)| sum(flag(outcome().eq(lit(code)))).alias(name))
}

pub(crate) fn flag(condition: Expr) -> Expr {
    cast(condition, DataType::Int64)
}

fn quantile(share: f64, name: &str) -> Expr {
    let ascending = SortExpr::new(col("duration_us"), true, false);
    approx_percentile_cont(ascending, lit(share), None).alias(name)
}

/// The rows with the highest `count`; equal ones by `name`, so that the answer is always the same.
pub(crate) fn top(
    frame: DataFrame,
    count: &str,
    name: &str,
    limit: usize,
) -> Result<DataFrame, datafusion::common::DataFusionError> {
    frame.sort(vec![col(count).sort(false, false), col(name).sort(true, false)])?.limit(0, Some(limit))
}

pub(crate) fn rows_of(batches: &[RecordBatch]) -> impl Iterator<Item = (&RecordBatch, usize)> {
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)))
}

pub(crate) fn text(batch: &RecordBatch, column: &str, row: usize) -> String {
    let column = batch.column_by_name(column);
    let value = column.and_then(|column| json::value(column, row).ok());
    value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A count or a quantile; NULL is 0.
pub(crate) fn number(batch: &RecordBatch, column: &str, row: usize) -> u64 {
    u64::try_from(signed(batch, column, row)).unwrap_or_default()
}

pub(crate) fn signed(batch: &RecordBatch, column: &str, row: usize) -> i64 {
    let Some(column) = batch.column_by_name(column).filter(|column| !column.is_null(row)) else { return 0 };
    if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
        return numbers.value(row);
    }
    if let Some(numbers) = column.as_primitive_opt::<UInt64Type>() {
        return i64::try_from(numbers.value(row)).unwrap_or(i64::MAX);
    }
    if let Some(numbers) = column.as_primitive_opt::<arrow::datatypes::Int32Type>() {
        return i64::from(numbers.value(row));
    }
    #[expect(clippy::cast_possible_truncation, reason = "a quantile of whole numbers; `as` saturates")]
    column.as_primitive_opt::<Float64Type>().map_or(0, |numbers| numbers.value(row).round() as i64)
}
