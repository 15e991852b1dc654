//! Metrics and health over HTTP: scraped and read by Prometheus' own parser.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bartizan_testkit::{Bartizan, Origin, free_port, python};

use crate::script;

/// Samples by name and labels, as the parser gives them: `name{label=value,…}`.
type Samples = BTreeMap<String, f64>;

fn get(port: u16, path: &str) -> Result<(u16, String, String)> {
    let agent = crate::agent();
    let mut response = agent.get(format!("http://127.0.0.1:{port}{path}")).call()?;
    let media_type = response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.to_owned();
    Ok((response.status().as_u16(), media_type, response.body_mut().read_to_string()?))
}

/// A scrape, parsed.
fn scrape(port: u16) -> Result<Samples> {
    use std::io::Write as _;
    let (status, media_type, text) = get(port, "/metrics")?;
    ensure!(status == 200 && media_type.starts_with("application/openmetrics-text"), "{status} {media_type}");
    let mut command = Command::new(python());
    let mut parser = command.arg(script("openmetrics.py")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    parser.stdin.take().context("the parser's input")?.write_all(text.as_bytes())?;
    let output = parser.wait_with_output()?;
    ensure!(output.status.success(), "the parser refuses this:\n{text}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn configuration(origin: u16, metrics: u16) -> String {
    format!(
        "listeners: [{{ address: \"127.0.0.1:{{port}}\" }}]
upstreams:
  - {{ name: shop, targets: [{{ address: \"127.0.0.1:{origin}\" }}] }}
  - {{ name: gone, targets: [{{ address: \"127.0.0.1:1\" }}], health: {{ enabled: false }}, retries: 0 }}
apis:
  - {{ name: shop, upstream: shop }}
  - {{ name: gone, path_prefix: /gone, upstream: gone }}
policies:
  - {{ name: reading, mode: enforce, methods: {{ allow: [GET, HEAD] }} }}
  - {{ name: short, mode: observe, limits: {{ target_bytes_max: 20 }} }}
  - {{ name: pace, mode: enforce, rate: {{ quota: {{ requests: 1000, per: 1h }} }} }}
metrics: {{ address: \"127.0.0.1:{metrics}\" }}
console: {{ address: \"127.0.0.1:{{console}}\" }}
"
    )
}

#[test]
fn a_scrape_tells_what_was_decided_and_nothing_of_what_was_sent() -> Result<()> {
    let (origin, metrics) = (Origin::start(Duration::ZERO)?, free_port());
    let mut gateway = Bartizan::start(&configuration(origin.port, metrics))?;
    assert_eq!(get(metrics, "/healthz")?.0, 200);
    let (status, _, words) = get(metrics, "/readyz")?;
    assert_eq!((status, words.as_str()), (200, "ready\n"));
    assert_eq!(get(metrics, "/other")?.0, 404);

    let agent = crate::agent();
    for _ in 0..3 {
        agent.get(gateway.url("/a")).call()?;
    }
    agent.delete(gateway.url("/a")).call()?;
    agent.get(gateway.url("/a-path-of-a-client?secret=value")).call()?;
    agent.get(gateway.url("/gone/a")).call()?;

    let begun = Instant::now();
    let samples = loop {
        let samples = scrape(metrics)?;
        let written = samples.get("bartizan_events_written_total{}").copied().unwrap_or_default();
        if written >= 6.0 {
            break samples;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{samples:#?}");
        std::thread::sleep(Duration::from_millis(50));
    };
    let value = |name: &str| samples.get(name).copied().with_context(|| format!("{name} is missing: {samples:#?}"));
    assert_eq!(value("bartizan_requests_total{decision=allow,status_class=2xx}")?, 3.0);
    assert_eq!(value("bartizan_requests_total{decision=allow,status_class=5xx}")?, 1.0);
    assert_eq!(value("bartizan_requests_total{decision=deny,status_class=4xx}")?, 1.0);
    assert_eq!(value("bartizan_requests_total{decision=would_deny,status_class=2xx}")?, 1.0);
    assert_eq!(value("bartizan_policy_decisions_total{decision=deny,policy=reading}")?, 1.0);
    assert_eq!(value("bartizan_policy_decisions_total{decision=would_deny,policy=short}")?, 1.0);
    assert_eq!(value("bartizan_upstream_errors_total{error=unreachable,upstream=gone}")?, 1.0);
    assert_eq!(value("bartizan_upstream_response_seconds_count{upstream=shop}")?, 4.0);
    assert_eq!(value("bartizan_request_duration_seconds_bucket{le=+Inf}")?, 6.0);
    assert_eq!(value("bartizan_exchanges_ended_total{ending=stopped}")?, 1.0);
    assert_eq!(value("bartizan_store_up{}")?, 1.0);
    assert_eq!(value("bartizan_rate_limit_keys{}")?, 1.0);
    assert_eq!(value("bartizan_rate_limit_requests_total{outcome=allowed,policy=pace}")?, 5.0, "all but the denied");
    assert_eq!(value("bartizan_rate_limit_requests_total{outcome=limited,policy=pace}")?, 0.0);
    assert!(value("bartizan_config_generation{}")? >= 1.0 && value("process_resident_memory_bytes{}")? > 1e6);
    assert!(!samples.contains_key("bartizan_redis_up{}"), "there is no Redis");
    let text = format!("{samples:?}");
    assert!(!text.contains("a-path-of-a-client") && !text.contains("secret"), "{text}");
    gateway.stop()?;
    assert!(get(metrics, "/healthz").is_err(), "the port ends with the process");
    Ok(())
}

#[test]
fn metrics_are_told_nowhere_unless_written() -> Result<()> {
    let (origin, metrics) = (Origin::start(Duration::ZERO)?, free_port());
    let text = configuration(origin.port, metrics);
    let without: String =
        text.lines().filter(|line| !line.starts_with("metrics:")).map(|line| format!("{line}\n")).collect();
    let _gateway = Bartizan::start(&without)?;
    assert!(get(metrics, "/metrics").is_err());
    Ok(())
}
