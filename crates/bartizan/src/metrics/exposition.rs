//! The metrics as OpenMetrics text: every metric of the table, with its values of this moment.

use std::fmt;

use bartizan_console::RunningConfig;
use bartizan_engine::{LimitOutcomes, TableStats};
use bartizan_gateway::{CacheStats, GatewayHandle, GatewayStats, UpstreamHealth};
use bartizan_model::Timestamp;
use bartizan_store::{HealthState, StoreHealth};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::process::{self, Process};
use super::table::{METRICS, Metric, MetricInfo};
use super::traffic::{DECISIONS, ENDINGS, Latencies, STATUS_CLASSES, Traffic, UPSTREAM_ERRORS};
use super::{Sources, read};
use crate::shared_counts::SharedCounts;

/// What the answer says it is.
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One value with its labels.
struct Sample {
    labels: Vec<(&'static str, String)>,
    value: Value,
}

enum Value {
    Whole(u64),
    Real(f64),
    /// Sum, count, buckets
    Times(f64, u64, Vec<(f64, u64)>),
}

/// The text of a scrape.
pub(super) fn text(sources: &Sources) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape(Moment::of(sources))));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

/// What is read once a scrape.
struct Moment {
    sources: Sources,
    gateway: Option<GatewayStats>,
    cache: Option<CacheStats>,
    process: Option<Process>,
}

impl Moment {
    fn of(sources: &Sources) -> Self {
        let gateway = sources.gateway.get();
        let (gateway, cache) = (gateway.map(GatewayHandle::stats), gateway.map(GatewayHandle::cache_stats));
        Self { sources: sources.clone(), gateway, cache, process: process::read() }
    }
}

struct Scrape(Moment);

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrape")
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for info in METRICS {
            let samples = samples(info.metric, &self.0);
            if samples.is_empty() {
                continue; // nothing to tell: not configured, or not yet there
            }
            let mut metric = encoder.encode_descriptor(info.name, info.meaning, None, info.kind)?;
            for Sample { labels, value } in &samples {
                let is_as_told = labels.iter().map(|(name, _)| name).eq(info.labels.iter().map(|(name, _)| name));
                debug_assert!(is_as_told, "`{}` has other labels than its documentation says", info.name);
                if labels.is_empty() {
                    write(info, value, &mut metric)?;
                } else {
                    write(info, value, &mut metric.encode_family(labels)?)?;
                }
            }
        }
        Ok(())
    }
}

fn write(info: &MetricInfo, value: &Value, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
    match (info.kind, value) {
        (MetricType::Counter, Value::Whole(value)) => encoder.encode_counter::<NoLabelSet, u64, f64>(value, None),
        (MetricType::Counter, Value::Real(value)) => encoder.encode_counter::<NoLabelSet, f64, f64>(value, None),
        (_, Value::Whole(value)) => encoder.encode_gauge(value),
        (_, Value::Real(value)) => encoder.encode_gauge(value),
        (_, Value::Times(sum, count, buckets)) => encoder.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None),
    }
}

fn whole(value: u64) -> Vec<Sample> {
    vec![Sample { labels: Vec::new(), value: Value::Whole(value) }]
}

fn real(value: f64) -> Vec<Sample> {
    vec![Sample { labels: Vec::new(), value: Value::Real(value) }]
}

fn labeled<const N: usize>(labels: [(&'static str, &str); N], value: Value) -> Sample {
    Sample { labels: labels.map(|(name, value)| (name, value.to_owned())).to_vec(), value }
}

/// A value of each part of the program; none while it is not there.
impl Moment {
    fn of_gateway(&self, value: fn(&GatewayStats) -> u64) -> Option<Vec<Sample>> {
        self.gateway.as_ref().map(|stats| whole(value(stats)))
    }

    fn of_cache(&self, value: fn(&CacheStats) -> u64) -> Option<Vec<Sample>> {
        self.cache.as_ref().map(|stats| whole(value(stats)))
    }

    fn of_store(&self, value: fn(StoreHealth) -> u64) -> Option<Vec<Sample>> {
        self.sources.store.get().map(|store| whole(value(store.health())))
    }

    fn of_tables(&self, value: fn(&TableStats) -> u64) -> Option<Vec<Sample>> {
        let tables = self.sources.control.get()?.counters().stats();
        Some(whole(tables.iter().map(value).sum()))
    }

    fn of_watch(&self, value: fn((u64, u64)) -> u64) -> Option<Vec<Sample>> {
        Some(whole(value(self.sources.control.get()?.desk().state().watched_callers())))
    }

    fn of_redis(&self, value: fn(&SharedCounts) -> u64) -> Option<Vec<Sample>> {
        self.sources.shared.as_ref().map(|shared| whole(value(shared)))
    }

    fn of_config(&self, value: fn(&RunningConfig) -> u64) -> Option<Vec<Sample>> {
        self.sources.control.get().map(|control| whole(value(&control.running())))
    }

    fn of_process(&self, value: fn(&Process) -> Vec<Sample>) -> Option<Vec<Sample>> {
        self.process.as_ref().map(value)
    }
}

/// The values of one metric; none when it is not configured, or not yet there.
fn samples(metric: Metric, moment: &Moment) -> Vec<Sample> {
    let Moment { sources, gateway, cache, .. } = moment;
    let traffic = &sources.traffic;
    let queue = sources.queue.counters();
    let samples = match metric {
        Metric::BuildInfo => Some(vec![labeled([("version", env!("CARGO_PKG_VERSION"))], Value::Whole(1))]),
        Metric::Requests => Some(requests(traffic)),
        Metric::RequestDuration => Some(vec![Sample { labels: Vec::new(), value: times(&traffic.durations) }]),
        Metric::ExchangesEnded => Some(endings(traffic)),
        Metric::ExchangesOpen => moment.of_gateway(|stats| stats.exchanges_open),
        Metric::PolicyDecisions => Some(policies(traffic)),
        Metric::UpstreamResponse => Some(responses(traffic)),
        Metric::UpstreamErrors => Some(upstream_errors(traffic)),
        Metric::UpstreamTargets => sources.gateway.get().map(targets),
        Metric::UpstreamConnections => moment.of_gateway(|stats| stats.upstream_connections_total),
        Metric::UpstreamRetries => moment.of_gateway(|stats| stats.upstream_retries_total),
        Metric::CacheRequests => cache.as_ref().map(cache_requests),
        Metric::CacheStored => moment.of_cache(|stats| stats.stored_total),
        Metric::CacheEvicted => moment.of_cache(|stats| stats.evicted_total),
        Metric::CacheAnswers => moment.of_cache(|stats| stats.answers),
        Metric::CacheBytes => moment.of_cache(|stats| stats.bytes),
        Metric::ConnectionsOpen => moment.of_gateway(|stats| stats.connections_open),
        Metric::Connections => moment.of_gateway(|stats| stats.connections_total),
        Metric::ConnectionsRefused => gateway.as_ref().map(refused),
        Metric::InternalFaults => moment.of_gateway(|stats| stats.internal_faults_total),
        Metric::QueueEvents => Some(whole(queue.queued)),
        Metric::QueueEventsMax => Some(whole(queue.queue_max)),
        Metric::EventsWritten => Some(whole(queue.written)),
        Metric::EventsDropped => {
            let failed = sources.store.get().map_or(0, |store| store.health().dropped);
            Some(dropped(queue.dropped, failed))
        }
        Metric::StoreUp => moment.of_store(|health| u64::from(health.state == HealthState::Ok)),
        Metric::StoreBytes => moment.of_store(|health| health.bytes),
        Metric::StoreSegments => moment.of_store(|health| health.segments),
        Metric::StoreSegmentsQuarantined => moment.of_store(|health| health.quarantined.len() as u64),
        Metric::RateLimitRequests => sources.control.get().map(|control| limited(&control.counters().limit_outcomes())),
        Metric::RateLimitKeys => moment.of_tables(|table| table.keys),
        Metric::RateLimitBytes => moment.of_tables(|table| table.bytes),
        Metric::RateLimitOverflowed => moment.of_tables(|table| table.overflowed_total),
        Metric::WatchedCallers => moment.of_watch(|(callers, _)| callers),
        Metric::UnwatchedCalls => moment.of_watch(|(_, unwatched)| unwatched),
        Metric::SharedLimitLeases => moment.of_redis(|shared| shared.leases()),
        Metric::RedisUp => moment.of_redis(|shared| u64::from(shared.health().is_up())),
        Metric::RedisConnects => moment.of_redis(|shared| read(&shared.health().connects)),
        Metric::RedisCommands => moment.of_redis(|shared| read(&shared.health().commands)),
        Metric::RedisFailures => moment.of_redis(|shared| read(&shared.health().failures)),
        Metric::RedisUnanswered => moment.of_redis(|shared| read(&shared.health().unanswered)),
        Metric::RedisErrandsDropped => moment.of_redis(SharedCounts::errands_dropped),
        Metric::ConfigGeneration => moment.of_config(|running| running.generation),
        Metric::ConfigRevision => moment.of_config(|running| running.revision),
        Metric::ConfigApplied => sources.control.get().map(|control| real(seconds(control.running().applied_at))),
        Metric::ConfigRestartNeeded => moment.of_config(|running| running.restart_needed.len() as u64),
        Metric::ProcessCpu => moment.of_process(|process| real(process.cpu_seconds)),
        Metric::ProcessMemory => moment.of_process(|process| whole(process.resident_bytes)),
        Metric::ProcessFiles => moment.of_process(|process| whole(process.open_files)),
        Metric::ProcessStart => Some(real(seconds(sources.started_at))),
    };
    samples.unwrap_or_default()
}

fn seconds(time: Timestamp) -> f64 {
    time.as_micros() as f64 / 1e6
}

fn times(latencies: &Latencies) -> Value {
    let (sum, count, buckets) = latencies.read();
    Value::Times(sum, count, buckets)
}

fn requests(traffic: &Traffic) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (decision, counts) in DECISIONS.iter().zip(&traffic.requests) {
        for (class, count) in STATUS_CLASSES.iter().zip(counts) {
            samples.push(labeled([("decision", decision), ("status_class", class)], Value::Whole(read(count))));
        }
    }
    samples
}

fn endings(traffic: &Traffic) -> Vec<Sample> {
    let counts = ENDINGS.iter().zip(&traffic.endings);
    counts.map(|(ending, count)| labeled([("ending", ending.as_str())], Value::Whole(read(count)))).collect()
}

fn policies(traffic: &Traffic) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (policy, counts) in traffic.policies.load().iter() {
        for (decision, count) in DECISIONS.iter().skip(1).zip(&counts.0) {
            samples.push(labeled([("policy", policy), ("decision", decision)], Value::Whole(read(count))));
        }
    }
    samples
}

fn limited(outcomes: &[LimitOutcomes]) -> Vec<Sample> {
    let count = |of: &LimitOutcomes| {
        [("allowed", of.allowed), ("limited", of.limited)]
            .map(|(outcome, count)| labeled([("policy", &of.policy), ("outcome", outcome)], Value::Whole(count)))
    };
    outcomes.iter().flat_map(count).collect()
}

fn responses(traffic: &Traffic) -> Vec<Sample> {
    let upstreams = traffic.upstreams.load();
    upstreams.iter().map(|(name, counts)| labeled([("upstream", name)], times(&counts.response))).collect()
}

fn upstream_errors(traffic: &Traffic) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (name, counts) in traffic.upstreams.load().iter() {
        for (error, count) in UPSTREAM_ERRORS.iter().zip(&counts.errors) {
            samples.push(labeled([("upstream", name), ("error", error)], Value::Whole(read(count))));
        }
    }
    samples
}

fn targets(gateway: &GatewayHandle) -> Vec<Sample> {
    let count = |upstream: UpstreamHealth| {
        let healthy = upstream.targets.iter().filter(|target| target.healthy).count();
        [("healthy", healthy), ("unhealthy", upstream.targets.len() - healthy)].map(|(health, count)| {
            labeled([("upstream", &upstream.name), ("health", health)], Value::Whole(count as u64))
        })
    };
    gateway.upstreams().into_iter().flat_map(count).collect()
}

fn refused(stats: &GatewayStats) -> Vec<Sample> {
    [
        ("limit", stats.connections_refused_total),
        ("client_limit", stats.client_connections_refused_total),
        ("proxy_header", stats.proxy_header_failures_total),
        ("tls_handshake", stats.handshake_failures_total),
        ("http2_flood", stats.http2_floods_total),
    ]
    .map(|(reason, count)| labeled([("reason", reason)], Value::Whole(count)))
    .into()
}

fn cache_requests(stats: &CacheStats) -> Vec<Sample> {
    [
        ("hit", stats.hits_total.saturating_sub(stats.stale_hits_total)),
        ("stale_hit", stats.stale_hits_total),
        ("would_hit", stats.would_hits_total),
        ("miss", stats.misses_total.saturating_sub(stats.revalidated_total)),
        ("revalidated", stats.revalidated_total),
        ("bypass", stats.bypasses_total),
    ]
    .map(|(outcome, count)| labeled([("outcome", outcome)], Value::Whole(count)))
    .into()
}

fn dropped(queue_full: u64, store_failed: u64) -> Vec<Sample> {
    [("queue_full", queue_full), ("store_failed", store_failed)]
        .map(|(cause, count)| labeled([("cause", cause)], Value::Whole(count)))
        .into()
}
