//! The examples in `docs/examples` are valid without a warning, and mean what their snapshots say.

use std::path::Path;

use bartizan_config::{AuditLogFormat, Config, FailureMode, PolicyRule, RateSharing, parse};

fn read(text: &str, file: &str) -> Config {
    let parsed = parse(text, file, Path::new("/etc/bartizan"));
    let told: Vec<String> = parsed.diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(told, [""; 0]);
    parsed.config.unwrap()
}

#[test]
fn six_lines_are_a_configuration_with_every_default_set() {
    let text = include_str!("../../../../docs/examples/minimal.yaml");
    assert_eq!(text.lines().count(), 6);
    insta::assert_debug_snapshot!(read(text, "minimal.yaml"));
}

#[test]
fn the_full_example_sets_everything() {
    let text = include_str!("../../../../docs/examples/bartizan.yaml");
    insta::assert_debug_snapshot!(read(text, "bartizan.yaml"));
}

/// Each number is another one.
const NUMBERS: &str = "listeners:
  - address: 127.0.0.1:1
upstreams:
  - name: a
    targets:
      - {address: \"127.0.0.1:2\", weight: 7}
    timeouts: {connect: 11ms, handshake: 12s, read: 13s, write: 14m, idle: 15h}
    health: {interval: 16s, timeout: 17ms, unhealthy_after: 18, healthy_after: 19}
    retries: 2
    resolve_interval: 21s
limits:
  header_bytes_max: 22KiB
  header_count_max: 23
  header_timeout: 24s
  client_read_timeout: 25s
  keepalive_timeout: 26s
  body_timeout: 27s
  connections_max: 28
  connections_per_client_max: 35
  requests_per_client_max: 36
data: {directory: d, retention_age: 29d, retention_size: 300MiB, queue_events: 3100}
audit_logs: [{file: a.json, format: ocsf, only_relevant: false, bytes_max: 35MiB, files_kept: 36}, {file: /b}]
redis:
  address: Redis.internal:6379
  gateways: 37
  tls: {authorities: ca.pem, certificate: c.pem, key: /k.pem}
  user: ann
  password_file: p
  database: 38
  key_prefix: eu
  key_file: /secret
  key_quotas: {shared: strict, failure_mode: open}
  timeout: 39ms
plans: [{name: gold, spike_arrest: {requests: 41, per: 42s, burst: 43}, quota: {requests: 44, per: 45m}, concurrency: 46, bandwidth: {bytes: 47KiB, per: 48h}, shared: strict, failure_mode: closed}]
console: {address: \"127.0.0.1:32\", secure_cookies: true}
metrics: {address: \"127.0.0.1:40\"}
threads: 33
shutdown_grace: 34s
";

#[test]
fn every_number_that_is_written_is_the_one_that_is_meant() {
    let config = read(NUMBERS, "numbers.yaml");
    let upstream = &config.upstreams[0];
    let timeouts = upstream.timeouts;
    let written = [timeouts.connect_ms, timeouts.handshake_ms, timeouts.read_ms, timeouts.write_ms, timeouts.idle_ms];
    assert_eq!(written, [11, 12_000, 13_000, 14 * 60_000, 15 * 3_600_000]);
    let health = upstream.health.as_ref().unwrap();
    let counts = [upstream.targets[0].weight, health.unhealthy_after, health.healthy_after].map(u32::from);
    assert_eq!((health.interval_ms, health.timeout_ms, counts), (16_000, 17, [7, 18, 19]));
    assert_eq!((upstream.retries_max, upstream.resolve_interval_ms), (2, 21_000));
    let limits = config.limits;
    assert_eq!((limits.header_bytes_max, limits.header_count_max, limits.connections_max), (22 << 10, 23, 28));
    assert_eq!((limits.connections_per_client_max, limits.requests_per_client_max), (35, 36));
    let waits = [limits.header_timeout_ms, limits.client_read_timeout_ms, limits.keepalive_timeout_ms];
    assert_eq!((waits, limits.body_timeout_ms), ([24_000, 25_000, 26_000], 27_000));
    let data = &config.data;
    assert_eq!((data.retention_secs, data.retention_bytes_max), (29 * 86_400, 300 << 20));
    assert_eq!((data.queue_events_max.get(), config.threads.unwrap().get()), (3100, 33));
    let [log, plain] = &config.audit_logs[..] else { panic!("{:?}", config.audit_logs) };
    assert_eq!((log.file.to_str(), log.format), (Some("/etc/bartizan/a.json"), AuditLogFormat::Ocsf));
    assert_eq!((log.only_relevant, log.bytes_max, log.files_kept), (false, 35 << 20, 36));
    assert_eq!((plain.format, plain.only_relevant), (AuditLogFormat::Json, true));
    let redis = config.redis.unwrap();
    assert_eq!((redis.host.as_str(), redis.port, redis.gateways, redis.database), ("redis.internal", 6379, 37, 38));
    assert_eq!((redis.user.as_deref(), redis.key_prefix.as_str(), redis.timeout_ms), (Some("ann"), "eu", 39));
    let files = [redis.password_file.unwrap(), redis.key_file.unwrap()];
    assert_eq!(files.map(|file| file.display().to_string()), ["/etc/bartizan/p", "/secret"]);
    assert_eq!(redis.key_quotas, RateSharing::Strict(FailureMode::Open));
    let [plan] = &config.plans[..] else { panic!("{:?}", config.plans) };
    let summary =
        "41 in 42s, 43 at once, 44 in 45m, 46 in flight, 48128 B in 2d by application, counted by all gateways";
    assert_eq!((plan.name.as_str(), plan.limits.summary().as_str()), ("gold", summary));
    assert_eq!(plan.limits.sharing, RateSharing::Strict(FailureMode::Closed));
    let tls = redis.tls.unwrap();
    assert_eq!(tls.authorities.unwrap().to_str(), Some("/etc/bartizan/ca.pem"));
    assert_eq!(tls.client.unwrap(), ("/etc/bartizan/c.pem".into(), "/k.pem".into()));
    assert_eq!(config.metrics.unwrap().port(), 40);
    let console = config.console.unwrap();
    assert_eq!((console.address.port(), console.secure_cookies, config.shutdown_grace_ms), (32, true, 34_000));
}

#[test]
fn counts_are_shared_when_there_is_a_redis_unless_somebody_wrote_otherwise() {
    let sharing = |redis: &str, rate: &str| {
        let text = format!(
            "listeners: [{{ address: \"127.0.0.1:1\" }}]
upstreams: [{{ name: a, targets: [{{ address: \"127.0.0.1:2\" }}] }}]
policies: [{{ name: p, rate: {{ {rate} }} }}]
{redis}"
        );
        match read(&text, "sharing.yaml").policies.remove(0).rule {
            PolicyRule::Rate(rate) => rate.sharing,
            other => panic!("{other:?}"),
        }
    };
    let redis = "redis: { address: \"127.0.0.1:6379\", gateways: 2, key_file: redis.key }";
    let quota = "quota: { requests: 10, per: 1m }";
    assert_eq!(sharing("", quota), RateSharing::Local);
    assert_eq!(sharing(redis, quota), RateSharing::Leased(FailureMode::Share));
    assert_eq!(sharing(redis, &format!("{quota}, count: all")), RateSharing::Local);
    assert_eq!(sharing(redis, "concurrency: 4"), RateSharing::Local);
    let written = |words: &str| sharing(redis, &format!("{quota}, {words}"));
    assert_eq!(sharing(redis, "login: { account: user }"), RateSharing::Leased(FailureMode::Share));
    assert_eq!(written("shared: local"), RateSharing::Local);
    assert_eq!(written("shared: leased, failure_mode: open"), RateSharing::Leased(FailureMode::Open));
    assert_eq!(written("shared: strict, failure_mode: closed"), RateSharing::Strict(FailureMode::Closed));
}

#[test]
fn a_host_is_told_where_every_key_comes_from() {
    let text = "listeners: [{ address: \"127.0.0.1:1\" }]
upstreams: [{ name: a, targets: [{ address: \"127.0.0.1:2\" }] }]
policies:
  - name: several
    authenticate:
      methods:
        - jwt: { issuer: a, audiences: [a], jwks_url: \"https://a.example/keys\" }
        - jwt: { issuer: \"https://b.example\", audiences: [a], discovery: true }
        - api_key: {}
        - signature: { jwks_file: partners.jwks }
  - name: again
    authenticate: { methods: [{ jwt: { issuer: a, audiences: [b], jwks_url: \"https://a.example/keys\" } }] }
  - name: later
    mode: off
    authenticate: { methods: [{ jwt: { issuer: a, audiences: [b], jwks_url: \"https://c.example/keys\" } }] }
";
    let config = read(text, "keys.yaml");
    let sources: Vec<String> = config.key_sources().into_iter().map(ToString::to_string).collect();
    let file = "/etc/bartizan/partners.jwks";
    assert_eq!(sources, [file, "https://a.example/keys", "https://b.example (discovery)"]);
}
