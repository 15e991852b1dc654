//! Real software through the gateway in enforce mode gives what it gives directly.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use bartizan_testkit::{Bartizan, Program, free_port, python};

use crate::{npm_packages, script};

/// Every policy on and enforced, with the upstream at `port`.
fn enforcing(port: u16, upstream: &str) -> String {
    format!(
        "listeners:
  - address: 127.0.0.1:{{port}}
upstreams:
  - name: real
    {upstream}
    targets:
      - address: 127.0.0.1:{port}
policies:
  - name: methods
    mode: enforce
    methods:
      allow: [GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS]
  - name: blocklist
    mode: enforce
    addresses:
      deny: [192.0.2.0/24]
  - name: sizes
    mode: enforce
    limits:
      target_bytes_max: 8KiB
      header_bytes_max: 32KiB
console:
  address: 127.0.0.1:{{console}}
"
    )
}

/// What a client script prints, run to its end.
fn said(name: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(python()).arg(script(name)).args(arguments).output()?;
    ensure!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn serve(name: &str, port: u16, folder: &Path) -> Result<Program> {
    let mut command = Command::new(python());
    command.arg(script(name)).arg(port.to_string());
    let mut program = Program::start(&mut command, &folder.join(name).with_extension("log"))?;
    program.wait_for_port(port)?;
    Ok(program)
}

#[test]
fn httpbin_answers_requests_and_curl_as_it_does_directly() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = free_port();
    let mut command = Command::new(python());
    command.args(["-m", "gunicorn", "--threads", "4", "--bind", &format!("127.0.0.1:{port}"), "httpbin:app"]);
    let mut httpbin = Program::start(&mut command, &folder.path().join("httpbin.log"))?;
    httpbin.wait_for_port(port)?;
    let gateway = Bartizan::start(&enforcing(port, "protocol: http1"))?;

    let direct = said("http_client.py", &[&format!("http://127.0.0.1:{port}")])?;
    let through = said("http_client.py", &[&gateway.url("")])?;

    assert!(direct.lines().count() > 40, "{direct}");
    for (direct, through) in direct.lines().zip(through.lines()) {
        assert_eq!(direct, through);
    }
    assert_eq!(direct.lines().count(), through.lines().count());
    gateway.wait_for_count("SELECT count(*) FROM events", through.lines().count() as u64)?;
    let denied = gateway.query("SELECT * FROM events WHERE applied")?;
    assert!(denied.is_empty(), "innocent requests were denied: {denied:?}");
    Ok(())
}

#[test]
fn grpc_health_checks_pass_with_trailers_errors_and_streams() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = free_port();
    let _server = serve("grpc_server.py", port, folder.path())?;
    let gateway = Bartizan::start(&enforcing(port, "protocol: http2"))?;

    let direct = said("grpc_client.py", &[&format!("127.0.0.1:{port}")])?;
    let through = said("grpc_client.py", &[&format!("127.0.0.1:{}", gateway.port)])?;

    assert_eq!(direct.lines().count(), 5, "{direct}");
    assert_eq!(direct, through);
    Ok(())
}

#[test]
fn websocket_messages_of_two_megabytes_and_close_codes_pass() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = free_port();
    let _server = serve("websocket_server.py", port, folder.path())?;
    let gateway = Bartizan::start(&enforcing(port, "protocol: http1"))?;

    let direct = said("websocket_client.py", &[&format!("ws://127.0.0.1:{port}/echo")])?;
    let through = said("websocket_client.py", &[&format!("ws://127.0.0.1:{}/echo", gateway.port)])?;

    assert_eq!(direct.lines().count(), 10, "{direct}");
    assert!(!direct.contains("false"), "{direct}");
    assert_eq!(direct, through);
    gateway.wait_for_count("SELECT count(*) FROM events WHERE status = 101", 4)?;
    Ok(())
}

#[test]
fn server_sent_events_arrive_one_by_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = free_port();
    let _server = serve("sse_server.py", port, folder.path())?;
    let gateway = Bartizan::start(&enforcing(port, "protocol: http1"))?;

    let count = said("sse_client.py", &[&gateway.url(""), &format!("http://127.0.0.1:{port}")])?;

    assert_eq!(count.trim(), "10");
    Ok(())
}

#[test]
fn npm_publishes_to_and_installs_from_a_registry() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = free_port();
    let _registry = verdaccio(port, folder.path())?;
    let gateway = Bartizan::start(&enforcing(port, "protocol: http1"))?;
    let package = folder.path().join("package");
    std::fs::create_dir(&package)?;
    std::fs::write(package.join("package.json"), r#"{"name":"@bartizan/sample","version":"1.2.3","main":"index.js"}"#)?;
    let content: String = (0..20_000).map(|line| format!("exports.v{line} = {line};\n")).collect();
    std::fs::write(package.join("index.js"), &content)?;

    npm(&package, gateway.port, &["publish", "--access", "public"])?;
    let versions = npm(&package, gateway.port, &["view", "@bartizan/sample", "versions", "--json"])?;
    let consumer = folder.path().join("consumer");
    std::fs::create_dir(&consumer)?;
    std::fs::write(consumer.join("package.json"), r#"{"name":"consumer","version":"1.0.0"}"#)?;
    npm(&consumer, gateway.port, &["install", "@bartizan/sample"])?;

    assert!(versions.contains("1.2.3"), "{versions}");
    assert_eq!(std::fs::read_to_string(consumer.join("node_modules/@bartizan/sample/index.js"))?, content);
    Ok(())
}

/// A registry without any registry behind it, open to everybody on the loopback address.
fn verdaccio(port: u16, folder: &Path) -> Result<Program> {
    let config = format!(
        "storage: {0}/storage
auth:
  htpasswd:
    file: {0}/htpasswd
packages:
  '**':
    access: $all
    publish: $anonymous
log: {{ type: stdout, format: pretty, level: warn }}
",
        folder.display()
    );
    std::fs::write(folder.join("verdaccio.yaml"), config)?;
    let mut command = Command::new(npm_packages().join("node_modules/.bin/verdaccio"));
    command.arg("--config").arg(folder.join("verdaccio.yaml")).args(["--listen", &format!("127.0.0.1:{port}")]);
    let mut registry = Program::start(&mut command, &folder.join("verdaccio.log"))?;
    registry.wait_for_port(port)?;
    Ok(registry)
}

/// npm with a registry and a home folder of its own.
fn npm(folder: &Path, port: u16, arguments: &[&str]) -> Result<String> {
    let home = folder.join(".home");
    std::fs::create_dir_all(&home)?;
    let settings =
        format!("registry=http://127.0.0.1:{port}/\n//127.0.0.1:{port}/:_authToken=anybody\naudit=false\nfund=false\n");
    std::fs::write(home.join(".npmrc"), settings)?;
    let mut command = Command::new("npm");
    for (name, _) in std::env::vars().filter(|(name, _)| name.to_ascii_lowercase().starts_with("npm_config_")) {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(folder).env("HOME", &home).env("npm_config_userconfig", home.join(".npmrc"));
    let output = command.env("npm_config_cache", home.join("cache")).output()?;
    ensure!(output.status.success(), "npm {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
