//! Policies that are asked at some hours only, through the real program: by its clock while it runs, and by the recorded
//! time in a replay.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use bartizan_testkit::{Bartizan, Origin};
use serde_json::{Value, json};

use crate::browsers::send;

const DAYS: [&str; 7] = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"]; // 1970-01-01 was a Thursday
const DAY_MINUTES: u64 = 24 * 60;

/// Minutes since 1970-01-01T00:00Z.
fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 60)
}

/// The time of day, as a window has it.
fn clock(minutes: u64) -> String {
    let minutes = minutes % DAY_MINUTES;
    format!("\"{:02}:{:02}\"", minutes / 60, minutes % 60)
}

fn day(minutes: u64) -> &'static str {
    DAYS[usize::try_from(minutes / DAY_MINUTES % 7).unwrap_or_default()]
}

/// A policy that lets nobody in at its hours.
fn closed(name: &str, hours: &str) -> String {
    format!(
        "  - {{ name: {name}, mode: enforce, scope: {{ paths: [/{name}], hours: {hours} }}, addresses: {{ deny: [0.0.0.0/0] }} }}\n"
    )
}

fn configuration(origin: u16, policies: &str) -> String {
    format!(
        "listeners: [{{ address: \"127.0.0.1:{{port}}\" }}]
upstreams: [{{ name: origin, targets: [{{ address: \"127.0.0.1:{origin}\" }}] }}]
policies:
{policies}console: {{ enabled: false }}
"
    )
}

#[test]
fn a_policy_is_asked_in_its_hours_by_the_clock_of_its_zone() -> Result<()> {
    const HOUR: u64 = 60;
    let now = now()?;
    let window = |from: u64, to: u64| format!("{{ from: {}, to: {} }}", clock(from), clock(to));
    let around = window(now + DAY_MINUTES - 2 * HOUR, now + 2 * HOUR);
    let later = window(now + 4 * HOUR, now + 6 * HOUR);
    // The same hour where the clock is half a day and more ahead.
    let ahead = 12 * HOUR + 45;
    let there = window(now + DAY_MINUTES + ahead - 2 * HOUR, now + ahead + 2 * HOUR);
    // From the day before yesterday for three days, and none of these days.
    let some: Vec<_> = (1..=3).map(|before| day(now + 2 * DAY_MINUTES - before * DAY_MINUTES)).collect();
    let others: Vec<_> = (2..=4).map(|after| day(now + after * DAY_MINUTES)).collect();
    let whole = |days: &[&str]| format!("{{ days: [{}], from: \"00:00\", to: \"24:00\" }}", days.join(", "));
    let cases = [
        ("now", format!("{{ windows: [{around}] }}"), 403),
        ("later", format!("{{ windows: [{later}] }}"), 200),
        ("both", format!("{{ windows: [{later}, {around}] }}"), 403),
        ("outside-of-now", format!("{{ windows: [{around}], outside: true }}"), 200),
        ("outside-of-later", format!("{{ windows: [{later}], outside: true }}"), 403),
        ("ahead", format!("{{ zone: \"+12:45\", windows: [{there}] }}"), 403),
        ("ahead-in-utc", format!("{{ windows: [{there}] }}"), 200),
        ("these-days", format!("{{ windows: [{}] }}", whole(&some)), 403),
        ("other-days", format!("{{ windows: [{}] }}", whole(&others)), 200),
    ];
    let policies: String = cases.iter().map(|(name, hours, _)| closed(name, hours)).collect();
    let origin = Origin::start(Duration::ZERO)?;
    let mut gateway = Bartizan::start(&configuration(origin.port, &policies))?;
    for (name, hours, status) in &cases {
        let answer = send(gateway.port, &[&format!("GET /{name} HTTP/1.1")], "")?;
        assert_eq!(answer.status, *status, "{name}: {hours}");
    }
    gateway.stop()
}

#[test]
fn a_replay_goes_by_the_recorded_time_in_summer_and_in_winter() -> Result<()> {
    let hours = "{ zone: Europe/Berlin, windows: [{ days: [mon, tue, wed, thu, fri], from: \"08:00\", to: \"18:00\" }], outside: true }";
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let text = configuration(1, &closed("admin", hours)).replace("{port}", "1");
    std::fs::write(path("bartizan.yaml"), text)?;
    // Friday in January (+01:00) and in July (+02:00), Saturday in July
    let cases = [
        ("2026-01-16T06:59:59Z", true),
        ("2026-01-16T07:00:00Z", false),
        ("2026-01-16T16:59:59Z", false),
        ("2026-01-16T17:00:00Z", true),
        ("2026-07-17T05:59:59Z", true),
        ("2026-07-17T06:00:00Z", false),
        ("2026-07-17T16:00:00Z", true),
        ("2026-07-18T10:00:00Z", true),
    ];
    for (time, is_denied) in cases {
        let request = json!({"method": "GET", "url": "http://a.example/admin"});
        let exchange =
            json!({"time": time, "client": {"ip": "192.0.2.1"}, "request": request, "response": {"status": 200}});
        std::fs::write(path("traffic.ndjson"), format!("{exchange}\n"))?;
        let (config, input) = (path("bartizan.yaml"), path("traffic.ndjson"));
        let output = Bartizan::command(&["replay", "--json", "--config", &config, "--input", &input])?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let summary: Value = serde_json::from_slice(&output.stdout)?;
        assert_eq!(summary["denied"].as_u64(), Some(u64::from(is_denied)), "{time}: {summary}");
    }
    Ok(())
}
