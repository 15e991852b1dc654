//! Bad input and a failing world: each gives a clear answer and a counted event, and traffic goes on.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use bartizan_testkit::{Bartizan, Origin, Program, free_port};
use serde_json::Value;

use crate::admin;

fn configuration(upstream: u16, more: &str) -> String {
    format!(
        "listeners:
  - address: 127.0.0.1:{{port}}
upstreams:
  - name: origin
    timeouts:
      read: 300ms
    targets:
      - address: 127.0.0.1:{upstream}
console:
  address: 127.0.0.1:{{console}}
{more}"
    )
}

/// Sends bytes as they are, and returns all that comes back until the connection is closed or quiet for 3 s.
fn raw(port: u16, request: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(3)))?;
    let _ = stream.write_all(request); // the gateway may answer and close before it has read everything
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..count]);
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// What `bartizan` says on standard error, and its exit code.
fn refused(arguments: &[&str]) -> Result<(String, Option<i32>)> {
    let output = Bartizan::command(arguments)?;
    Ok((String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code()))
}

#[test]
fn a_faulty_configuration_is_explained_with_its_place_and_not_run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("bad.yaml");
    let file = path.to_str().context("a path")?;
    for (text, said) in [
        ("listeners: [", "bad.yaml:"),
        ("listeners:\n  - adress: 127.0.0.1:1\nupstreams: []\n", "bad.yaml:2:5: error"),
        ("\u{0}\u{1}", "bad.yaml"),
    ] {
        std::fs::write(&path, text)?;
        for verb in [["check", file].as_slice(), &["run", "--config", file]] {
            let (message, code) = refused(verb)?;
            assert_eq!(code, Some(1), "{verb:?}: {message}");
            assert!(message.contains(said), "{verb:?}: {message}");
        }
    }
    let (message, code) = refused(&["check", "none-such.yaml"])?;
    assert_eq!(code, Some(2), "{message}");
    assert!(message.contains("none-such.yaml"), "{message}");
    Ok(())
}

#[test]
fn a_port_in_use_and_a_bad_certificate_are_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?;
    let path = folder.path().join("bartizan.yaml");
    let file = path.to_str().context("a path")?;
    let data = folder.path().join("data");
    let run = ["run", "--config", file, "--data-dir", data.to_str().context("a path")?];
    let upstream = "upstreams:\n  - name: a\n    targets:\n      - address: 127.0.0.1:9\nconsole:\n  enabled: false\n";

    std::fs::write(&path, format!("listeners:\n  - address: {address}\n{upstream}"))?;
    let (message, code) = refused(&run)?;
    assert_eq!(code, Some(2), "{message}");
    assert!(message.contains(&address.to_string()), "{message}");

    std::fs::write(folder.path().join("cert.pem"), "not a certificate")?;
    let tls = "    tls:\n      certificates:\n        - certificate: cert.pem\n          key: cert.pem\n";
    std::fs::write(&path, format!("listeners:\n  - address: 127.0.0.1:{}\n{tls}{upstream}", free_port()))?;
    let (message, code) = refused(&run)?;
    assert!(matches!(code, Some(1 | 2)), "{message}");
    assert!(message.contains("cert.pem"), "{message}");
    Ok(())
}

#[test]
fn a_dead_upstream_is_502_and_a_slow_one_504() -> Result<()> {
    let dead = Bartizan::start(&configuration(free_port(), ""))?;
    let answer = raw(dead.port, b"GET /a HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n")?;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    dead.wait_for_count("SELECT count(*) FROM events WHERE ending = 'upstream_unreachable' AND status = 502", 1)?;

    let origin = Origin::start(Duration::from_secs(5))?;
    let slow = Bartizan::start(&configuration(origin.port, ""))?;
    let answer = raw(slow.port, b"GET /a HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n")?;
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
    slow.wait_for_count("SELECT count(*) FROM events WHERE ending = 'upstream_timeout' AND status = 504", 1)?;
    Ok(())
}

#[test]
fn oversize_and_malformed_requests_are_refused_and_counted() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let limits =
        "limits:\n  header_bytes_max: 8KiB\napis:\n  - name: all\n    upstream: origin\n    body_bytes_max: 1KiB\n";
    let gateway = Bartizan::start(&configuration(origin.port, limits))?;
    let long = format!("GET / HTTP/1.1\r\nhost: a.example\r\nx-long: {}\r\n\r\n", "a".repeat(20_000));
    let chunk = format!("400\r\n{}\r\n", "b".repeat(1024));
    let chunked =
        format!("POST /c HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n");
    let cases: [(&str, &[u8], &str); 7] = [
        ("431", long.as_bytes(), "status = 431"),
        (
            "413",
            b"POST /b HTTP/1.1\r\nhost: a.example\r\ncontent-length: 2000\r\n\r\n",
            "check = 'LIM-104' AND path = '/b'",
        ),
        ("413", chunked.as_bytes(), "check = 'LIM-104' AND path = '/c'"),
        ("400", b"GET / HTTP/1.1\r\nhost : a.example\r\n\r\n", "ending = 'malformed'"),
        ("400", b"NOT HTTP AT ALL\r\n\r\n", "ending = 'malformed'"),
        ("505", b"GET / HTTP/7.1\r\n\r\n", "ending = 'malformed'"),
        ("400", b"GET / HTTP/1.1\r\n\r\n", "status = 400"),
    ];
    for (status, request, condition) in cases {
        let before = count(&gateway, condition)?;
        let answer = raw(gateway.port, request)?;
        let shown = String::from_utf8_lossy(request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{:.60} → {answer}", shown);
        gateway.wait_for_count(&format!("SELECT count(*) FROM events WHERE {condition}"), before + 1)?;
    }
    assert!(origin.seen().is_empty(), "nothing of it may reach the origin: {:?}", origin.seen());
    Ok(())
}

fn count(gateway: &Bartizan, condition: &str) -> Result<u64> {
    let rows = gateway.query(&format!("SELECT count(*) AS n FROM events WHERE {condition}"))?;
    Ok(rows.first().and_then(|row| row["n"].as_u64()).unwrap_or(0))
}

#[test]
fn a_full_disk_costs_events_but_no_request_and_the_console_says_so() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let folder = tempfile::tempdir()?;
    let (port, console) = (free_port(), free_port());
    let text = configuration(origin.port, "").replace("{port}", &port.to_string());
    std::fs::write(folder.path().join("bartizan.yaml"), text.replace("{console}", &console.to_string()))?;
    let mount = folder.path().join("small");
    std::fs::create_dir(&mount)?;
    // A file system of 2 MiB that only this process sees; filled up once the gateway runs.
    let script = format!(
        "mount -t tmpfs -o size=2m none {0} && exec {1} run --config {2}/bartizan.yaml --data-dir {0}/data",
        mount.display(),
        Bartizan::binary().display(),
        folder.path().display()
    );
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
    let mut program = Program::start(&mut command, &folder.path().join("log"))?;
    program.wait_for_port(port)?;
    program.wait_for_port(console)?;
    let inside = Path::new("/proc").join(program.id().to_string()).join("root").join(mount.strip_prefix("/")?);
    let token = std::fs::read_to_string(inside.join("data/admin-token"))?;
    let agent = ureq::Agent::new_with_defaults();
    let overview = || -> Result<Value> {
        let url = format!("http://127.0.0.1:{console}/api/v1/overview");
        let mut answer = agent.get(url).header("authorization", format!("Bearer {}", token.trim())).call()?;
        Ok(serde_json::from_str(&answer.body_mut().read_to_string()?)?)
    };
    let url = format!("http://127.0.0.1:{port}/a");
    agent.get(&url).call()?;
    assert_eq!(overview()?["store"]["state"], "ok");

    let filler = inside.join("filler");
    let _ = std::fs::write(&filler, vec![0; 4 << 20]); // fails when the file system is full: that is its purpose
    let mut is_said = false;
    for _ in 0..100 {
        agent.get(&url).call().context("traffic goes on while the disk is full")?;
        is_said = overview()?["store"]["state"] == "error";
        if is_said {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(is_said, "{}", overview()?["store"]);

    std::fs::remove_file(&filler)?;
    let mut has_recovered = false;
    for _ in 0..100 {
        agent.get(&url).call()?;
        has_recovered = overview()?["store"]["state"] == "ok";
        if has_recovered {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(has_recovered, "{}", overview()?["store"]);
    Ok(())
}

#[test]
fn a_corrupt_segment_is_set_aside_and_named() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let mut gateway = Bartizan::start(&configuration(origin.port, ""))?;
    ureq::get(gateway.url("/a")).call()?;
    gateway.wait_for_count("SELECT count(*) FROM events", 1)?;
    gateway.stop()?;
    let segment = segments(&gateway.data().join("events"))?.pop().context("a segment")?;
    std::fs::write(&segment, b"PAR1 this is no longer a segment PAR1")?;

    gateway.start_again()?;
    ureq::get(gateway.url("/b")).call()?;
    gateway.wait_for_count("SELECT count(*) FROM events WHERE path = '/b'", 1)?;

    assert_eq!(admin::segments_quarantined(&gateway)?, 1);
    let name = segment.file_name().context("a file name")?.to_string_lossy().into_owned();
    let overview = admin::overview(&gateway)?.to_string();
    let is_named = overview.contains(&name) || gateway.printed().contains(&name);
    assert!(is_named, "neither the console nor the log names {name}");
    gateway.stop()
}

/// Every segment file below a folder.
pub(crate) fn segments(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                found.push(path);
            }
        }
    }
    Ok(found)
}
