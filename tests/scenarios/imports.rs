//! Recordings by real programs, imported: an access log by a real nginx, and our own recording.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bartizan_testkit::{Bartizan, Origin, Program, free_port};
use serde_json::Value;

const CONFIGURATION: &str = "listeners:
  - address: 127.0.0.1:8080
upstreams:
  - name: a
    targets:
      - address: 127.0.0.1:9000
policies:
  - name: no-deletes
    mode: enforce
    methods:
      allow: [GET, POST]
";

/// Replays `input` into a data directory; returns the summary.
fn replay(folder: &Path, input: &Path, more: &[&str]) -> Result<Value> {
    let config = folder.join("replay.yaml");
    std::fs::write(&config, CONFIGURATION)?;
    let data = folder.join("replayed");
    let mut command = Command::new(Bartizan::binary());
    command.args(["replay", "--json", "--config"]).arg(&config).arg("--input").arg(input);
    let output = command.arg("--data-dir").arg(&data).args(more).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// `METHOD /template` of every endpoint that a replay found.
fn endpoints(folder: &Path) -> Result<Vec<String>> {
    let data = folder.join("replayed");
    let output = Command::new(Bartizan::binary()).args(["catalog", "--json", "--data-dir"]).arg(data).output()?;
    let endpoints: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let shown = |endpoint: &Value| {
        format!("{} {}", endpoint["method"].as_str().unwrap_or("?"), endpoint["template"].as_str().unwrap_or("?"))
    };
    let mut found: Vec<String> = endpoints.iter().map(shown).collect();
    found.sort();
    Ok(found)
}

#[test]
fn an_access_log_that_nginx_wrote_gives_the_endpoints_that_were_called() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = free_port();
    let _nginx = nginx(folder.path(), port)?;
    let agent = crate::agent();
    for id in 1..=30 {
        agent.get(format!("http://127.0.0.1:{port}/v2/accounts/{id}?expand=owner")).call()?;
        agent.get(format!("http://127.0.0.1:{port}/v2/accounts/{id}/transfers")).call()?;
        agent.post(format!("http://127.0.0.1:{port}/v2/orders")).send("{}")?;
        agent.get(format!("http://127.0.0.1:{port}/missing/{id}")).call()?;
    }
    agent.delete(format!("http://127.0.0.1:{port}/v2/accounts/1")).call()?;

    let decisions = folder.path().join("decisions.ndjson");
    let log = folder.path().join("access.log");
    let summary = replay(folder.path(), &log, &["--decisions", &decisions.to_string_lossy()])?;

    assert_eq!(summary["exchanges"], 121, "{summary}");
    assert_eq!(summary["skipped"], 0, "{summary}");
    assert_eq!(summary["denied"], 1, "{summary}");
    let found = endpoints(folder.path())?;
    let expected = ["GET /v2/accounts/{accountId}", "GET /v2/accounts/{accountId}/transfers", "POST /v2/orders"];
    assert_eq!(found, expected);
    let decisions = std::fs::read_to_string(decisions)?;
    let last: Value = serde_json::from_str(decisions.lines().last().context("a decision")?)?;
    assert_eq!(last["check"], "ACC-101", "{last}");
    assert_eq!(last["line"], 121, "{last}");
    Ok(())
}

/// nginx on the loopback address, answering 200 below /v2/ and 404 elsewhere, with its ordinary combined log.
fn nginx(folder: &Path, port: u16) -> Result<Program> {
    let path = folder.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = temporary.iter().map(|kind| format!("{kind}_temp_path {path}/{kind};\n")).collect();
    let config = format!(
        "master_process off; worker_processes 1; pid {path}/nginx.pid; error_log {path}/error.log; daemon off;
events {{ worker_connections 128; }}
http {{
  {temporary}
  access_log {path}/access.log combined;
  server {{ listen 127.0.0.1:{port}; location /v2/ {{ return 200 '{{}}'; }} location / {{ return 404; }} }}
}}"
    );
    std::fs::write(folder.join("nginx.conf"), config)?;
    let system = Path::new("/usr/sbin/nginx");
    let mut command = Command::new(if system.exists() { system } else { Path::new("nginx") });
    command.arg("-c").arg(folder.join("nginx.conf"));
    let mut nginx = Program::start(&mut command, &folder.join("nginx.log"))?;
    nginx.wait_for_port(port)?;
    Ok(nginx)
}

#[test]
fn a_recording_of_the_gateway_replays_to_the_same_decisions_without_its_secrets() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let folder = tempfile::tempdir()?;
    let (port, recording) = (free_port(), folder.path().join("traffic.ndjson"));
    let config = folder.path().join("record.yaml");
    let text = CONFIGURATION.replace("8080", &port.to_string()).replace("9000", &origin.port.to_string());
    std::fs::write(&config, format!("{text}console:\n  enabled: false\n"))?;
    let mut command = Command::new(Bartizan::binary());
    command.arg("record").arg("--config").arg(&config).arg("--output").arg(&recording);
    command.arg("--data-dir").arg(folder.path().join("live"));
    let mut recorder = Program::start(&mut command, &folder.path().join("record.log"))?;
    recorder.wait_for_port(port)?;
    let agent = crate::agent();
    let body = r#"{"user":"jane","password":"hunter2-and-more"}"#;
    for id in 100..140 {
        let url = format!("http://127.0.0.1:{port}/accounts/{id}?api_key=k3y-0f-jane-77");
        agent.get(url).header("authorization", "Bearer s3cr3t-t0k3n-value").call()?;
        agent.post(format!("http://127.0.0.1:{port}/login")).content_type("application/json").send(body)?;
    }
    agent.delete(format!("http://127.0.0.1:{port}/accounts/100")).call()?;
    recorder.signal(rustix::process::Signal::TERM)?;
    ensure!(recorder.wait()?.success(), "{}", recorder.printed());

    let text = std::fs::read_to_string(&recording)?;
    for secret in ["hunter2", "s3cr3t-t0k3n", "k3y-0f-jane"] {
        assert!(!text.contains(secret), "the recording has `{secret}`");
    }
    let summary = replay(folder.path(), &recording, &["--format", "exchanges"])?;
    assert_eq!(summary["exchanges"], 81, "{summary}");
    assert_eq!(summary["denied"], 1, "{summary}");
    assert_eq!(endpoints(folder.path())?, ["GET /accounts/{accountId}", "POST /login"]);
    Ok(())
}

#[test]
fn a_truncated_line_is_named_skipped_and_told_by_the_exit_code() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (config, input) = (folder.path().join("c.yaml"), folder.path().join("in.ndjson"));
    std::fs::write(&config, CONFIGURATION)?;
    let good = r#"{"request":{"method":"GET","url":"https://a.example/x","http_version":"HTTP/1.1","headers":[]}}"#;
    std::fs::write(&input, format!("{good}\n{{\"request\":{{\"meth\n{good}\n"))?;
    let (config, input) = (config.to_string_lossy(), input.to_string_lossy());
    let output = Bartizan::command(&["replay", "--json", "--config", &config, "--input", &input])?;
    let summary: Value = serde_json::from_slice(&output.stdout)?;
    let said = String::from_utf8_lossy(&output.stderr);

    assert_eq!(output.status.code(), Some(3), "{said}");
    assert_eq!((summary["exchanges"].as_u64(), summary["skipped"].as_u64()), (Some(2), Some(1)));
    assert!(said.contains("line 2"), "{said}");

    let over_itself = ["replay", "--config", &config, "--input", &input, "--decisions", &input];
    assert_eq!(Bartizan::command(&over_itself)?.status.code(), Some(2), "decisions are never written over a file");
    assert!(std::fs::metadata(input.as_ref())?.len() > 0);
    Ok(())
}
