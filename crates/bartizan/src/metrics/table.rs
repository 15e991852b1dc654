//! Every metric: its name, its labels, what it means. The exposition and `docs/metrics.md` are made of this table.
//!
//! Label values come from closed sets: words of this program, and names of the configuration that runs. Nothing of a
//! request is one.

use prometheus_client::metrics::MetricType;

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    BuildInfo,
    Requests,
    RequestDuration,
    ExchangesEnded,
    ExchangesOpen,
    PolicyDecisions,
    UpstreamResponse,
    UpstreamErrors,
    UpstreamTargets,
    UpstreamConnections,
    UpstreamRetries,
    CacheRequests,
    CacheStored,
    CacheEvicted,
    CacheAnswers,
    CacheBytes,
    ConnectionsOpen,
    Connections,
    ConnectionsRefused,
    InternalFaults,
    QueueEvents,
    QueueEventsMax,
    EventsWritten,
    EventsDropped,
    StoreUp,
    StoreBytes,
    StoreSegments,
    StoreSegmentsQuarantined,
    RateLimitRequests,
    RateLimitKeys,
    RateLimitBytes,
    RateLimitOverflowed,
    WatchedCallers,
    UnwatchedCalls,
    SharedLimitLeases,
    RedisUp,
    RedisConnects,
    RedisCommands,
    RedisFailures,
    RedisUnanswered,
    RedisErrandsDropped,
    ConfigGeneration,
    ConfigRevision,
    ConfigApplied,
    ConfigRestartNeeded,
    ProcessCpu,
    ProcessMemory,
    ProcessFiles,
    ProcessStart,
}

/// What is told of a metric.
pub(super) struct MetricInfo {
    pub(super) metric: Metric,
    /// Without the `_total` that counters end with
    pub(super) name: &'static str,
    pub(super) kind: MetricType,
    /// Label names, each with its values
    pub(super) labels: &'static [(&'static str, &'static str)],
    pub(super) meaning: &'static str,
}

const POLICY: &str = "name of a policy";
const UPSTREAM: &str = "name of an upstream";
const DECISION: &str = "`allow`, `deny`, `would_deny` (a policy in `observe`)";

/// Every metric, in the order of the exposition.
pub(super) const METRICS: &[MetricInfo] = {
    use Metric as M;
    use MetricType::{Counter, Gauge, Histogram};
    const fn info(
        metric: Metric,
        name: &'static str,
        kind: MetricType,
        labels: &'static [(&'static str, &'static str)],
        meaning: &'static str,
    ) -> MetricInfo {
        MetricInfo { metric, name, kind, labels, meaning }
    }
    &[
        info(M::BuildInfo, "bartizan_build_info", Gauge, &[("version", "of the program")], "Always 1"),
        info(
            M::Requests,
            "bartizan_requests",
            Counter,
            &[("decision", DECISION), ("status_class", "`1xx` to `5xx`, `none` when nothing was answered")],
            "Requests by what was decided and what the client got",
        ),
        info(
            M::RequestDuration,
            "bartizan_request_duration_seconds",
            Histogram,
            &[],
            "Time from a request's head to the end of its exchange",
        ),
        info(
            M::ExchangesEnded,
            "bartizan_exchanges_ended",
            Counter,
            &[("ending", "word of the event: `answered`, `stopped`, `client_closed`, `malformed`, `no_route`, …")],
            "Exchanges by how they ended",
        ),
        info(M::ExchangesOpen, "bartizan_exchanges_open", Gauge, &[], "Exchanges under way"),
        info(
            M::PolicyDecisions,
            "bartizan_policy_decisions",
            Counter,
            &[("policy", POLICY), ("decision", "`deny`, `would_deny`")],
            "Requests that a policy denied, or would have denied in `enforce`",
        ),
        info(
            M::UpstreamResponse,
            "bartizan_upstream_response_seconds",
            Histogram,
            &[("upstream", UPSTREAM)],
            "Time from a request's head to the upstream's response head",
        ),
        info(
            M::UpstreamErrors,
            "bartizan_upstream_errors",
            Counter,
            &[("upstream", UPSTREAM), ("error", "`unreachable`, `timeout`, `failed`")],
            "Exchanges that an upstream did not answer",
        ),
        info(
            M::UpstreamTargets,
            "bartizan_upstream_targets",
            Gauge,
            &[("upstream", UPSTREAM), ("health", "`healthy`, `unhealthy`")],
            "Targets of an upstream, one for each resolved address",
        ),
        info(M::UpstreamConnections, "bartizan_upstream_connections", Counter, &[], "Connections to upstreams opened"),
        info(M::UpstreamRetries, "bartizan_upstream_retries", Counter, &[], "Further attempts after a failed one"),
        info(
            M::CacheRequests,
            "bartizan_cache_requests",
            Counter,
            &[("outcome", "`hit`, `stale_hit`, `would_hit` (a policy in `observe`), `miss`, `revalidated`, `bypass`")],
            "Requests that a policy keeps answers for, by what became of them",
        ),
        info(M::CacheStored, "bartizan_cache_stored", Counter, &[], "Answers that were kept"),
        info(M::CacheEvicted, "bartizan_cache_evicted", Counter, &[], "Kept answers that went to make room"),
        info(M::CacheAnswers, "bartizan_cache_answers", Gauge, &[], "Answers that are kept"),
        info(M::CacheBytes, "bartizan_cache_bytes", Gauge, &[], "Memory of kept answers"),
        info(M::ConnectionsOpen, "bartizan_connections_open", Gauge, &[], "Connections of clients"),
        info(M::Connections, "bartizan_connections", Counter, &[], "Connections of clients accepted"),
        info(
            M::ConnectionsRefused,
            "bartizan_connections_refused",
            Counter,
            &[("reason", "`limit`, `client_limit`, `proxy_header`, `tls_handshake`, `http2_flood`")],
            "Connections given up before or without a request",
        ),
        info(M::InternalFaults, "bartizan_internal_faults", Counter, &[], "Faults of ours; the exchange failed closed"),
        info(M::QueueEvents, "bartizan_event_queue_events", Gauge, &[], "Events that wait to be analyzed and written"),
        info(
            M::QueueEventsMax,
            "bartizan_event_queue_events_max",
            Gauge,
            &[],
            "Events that may wait: `data.queue_events`",
        ),
        info(M::EventsWritten, "bartizan_events_written", Counter, &[], "Events analyzed and given to the store"),
        info(
            M::EventsDropped,
            "bartizan_events_dropped",
            Counter,
            &[("cause", "`queue_full`, `store_failed`")],
            "Events lost; traffic goes on",
        ),
        info(M::StoreUp, "bartizan_store_up", Gauge, &[], "1 while the store writes events, 0 while it cannot"),
        info(M::StoreBytes, "bartizan_store_bytes", Gauge, &[], "Bytes of the event log"),
        info(M::StoreSegments, "bartizan_store_segments", Gauge, &[], "Files of the event log"),
        info(
            M::StoreSegmentsQuarantined,
            "bartizan_store_segments_quarantined",
            Gauge,
            &[],
            "Files of the event log that were put aside because they cannot be read",
        ),
        info(
            M::RateLimitRequests,
            "bartizan_rate_limit_requests",
            Counter,
            &[
                (
                    "policy",
                    "name of a policy with `rate`, `plan:` and the name of a plan, or `key:api-key` for the quotas of keys",
                ),
                ("outcome", "`allowed`, `limited` (in `observe` too)"),
            ],
            "Requests, and attempts to log in, by what rate limits answered",
        ),
        info(M::RateLimitKeys, "bartizan_rate_limit_keys", Gauge, &[], "Keys that rate limits count here"),
        info(M::RateLimitBytes, "bartizan_rate_limit_bytes", Gauge, &[], "Memory of these counts"),
        info(
            M::RateLimitOverflowed,
            "bartizan_rate_limit_overflowed",
            Counter,
            &[],
            "Requests of new keys that shared one count because `keys_max` was reached",
        ),
        info(
            M::WatchedCallers,
            "bartizan_watched_callers",
            Gauge,
            &[],
            "Callers that `continuity` policies keep in mind",
        ),
        info(
            M::UnwatchedCalls,
            "bartizan_unwatched_calls",
            Counter,
            &[],
            "Calls of new callers that `continuity` let pass because too many were in mind",
        ),
        info(M::SharedLimitLeases, "bartizan_shared_limit_leases", Gauge, &[], "Keys that hold leased tokens here"),
        info(M::RedisUp, "bartizan_redis_up", Gauge, &[], "1 while Redis answers; absent without `redis`"),
        info(M::RedisConnects, "bartizan_redis_connects", Counter, &[], "Connections to Redis opened"),
        info(M::RedisCommands, "bartizan_redis_commands", Counter, &[], "Counts, leases and returns sent to Redis"),
        info(M::RedisFailures, "bartizan_redis_failures", Counter, &[], "Commands and connections that failed"),
        info(
            M::RedisUnanswered,
            "bartizan_redis_unanswered",
            Counter,
            &[],
            "Counts that a `failure_mode` decided, because Redis did not answer in time",
        ),
        info(
            M::RedisErrandsDropped,
            "bartizan_redis_errands_dropped",
            Counter,
            &[],
            "Returns and reports that were not sent because too many waited",
        ),
        info(
            M::ConfigGeneration,
            "bartizan_config_generation",
            Gauge,
            &[],
            "Snapshots since the start, lessons included",
        ),
        info(
            M::ConfigRevision,
            "bartizan_config_revision",
            Gauge,
            &[],
            "Number of the running configuration's revision",
        ),
        info(
            M::ConfigApplied,
            "bartizan_config_applied_timestamp_seconds",
            Gauge,
            &[],
            "When the running configuration was applied",
        ),
        info(
            M::ConfigRestartNeeded,
            "bartizan_config_restart_needed",
            Gauge,
            &[],
            "Settings of the file that wait for a restart",
        ),
        info(M::ProcessCpu, "process_cpu_seconds", Counter, &[], "Processor time, user and system"),
        info(M::ProcessMemory, "process_resident_memory_bytes", Gauge, &[], "Memory in use"),
        info(M::ProcessFiles, "process_open_fds", Gauge, &[], "Open files and sockets"),
        info(M::ProcessStart, "process_start_time_seconds", Gauge, &[], "When the process started"),
    ]
};

#[cfg(test)]
impl MetricInfo {
    /// The name as it is asked for.
    pub(super) fn full_name(&self) -> String {
        match self.kind {
            MetricType::Counter => format!("{}_total", self.name),
            MetricType::Gauge | MetricType::Histogram | MetricType::Info | MetricType::Unknown => self.name.to_owned(),
        }
    }
}

/// The page of all metrics.
#[cfg(test)]
fn markdown() -> String {
    use std::fmt::Write as _;
    let mut text = include_str!("head.md").to_owned();
    for info in METRICS {
        let labels: Vec<String> = info.labels.iter().map(|(name, values)| format!("`{name}`: {values}")).collect();
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join("<br>") };
        let kind = info.kind.as_str();
        let _ = writeln!(text, "| `{}` | {kind} | {labels} | {} |", info.full_name(), info.meaning);
    }
    text
}

#[cfg(test)]
mod documents {
    use super::*;

    /// `BARTIZAN_BLESS=1` (`cargo xtask bless`) rewrites it.
    #[test]
    fn the_committed_list_of_metrics_is_the_generated_one() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
        if std::env::var_os("BARTIZAN_BLESS").is_some() {
            std::fs::write(&path, markdown()).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == markdown(), "docs/metrics.md is not what the code says; regenerate with `cargo xtask bless`");
    }

    #[test]
    fn names_are_those_that_prometheus_asks_for() {
        for info in METRICS {
            let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(info.name.bytes().all(is_word), "{}", info.name);
            assert!(info.name.starts_with("bartizan_") || info.name.starts_with("process_"), "{}", info.name);
            assert!(!info.name.ends_with("_total"), "{}", info.name);
            assert_eq!(METRICS.iter().filter(|other| other.name == info.name).count(), 1, "{}", info.name);
        }
    }
}
