//! The program and its terminal: exit codes, what goes where, and readers that go away.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use bartizan_testkit::{Bartizan, Origin};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const CONFIGURATION: &str = "listeners:
  - address: 127.0.0.1:{port}
upstreams:
  - name: origin
    targets:
      - address: 127.0.0.1:";

fn gateway(upstream: u16) -> Result<Bartizan> {
    Bartizan::start(&format!("{CONFIGURATION}{upstream}\nconsole: {{enabled: false}}\n"))
}

#[test]
fn a_question_is_answered_without_a_segment_that_cannot_be_read_and_says_so() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let mut gateway = gateway(origin.port)?;
    for (path, count) in [("/a", 1), ("/b", 2)] {
        ureq::get(gateway.url(path)).call()?;
        gateway.wait_for_count("SELECT count(*) FROM events", count)?; // a segment each
    }
    gateway.stop()?;
    let mut segments = crate::bad_input::segments(&gateway.data().join("events"))?;
    segments.sort();
    let bytes = std::fs::read(&segments[0])?;
    std::fs::write(&segments[0], &bytes[..bytes.len() / 2])?;
    let name = segments[0].file_name().and_then(|name| name.to_str()).context("a name")?;

    let data = gateway.data();
    let data = data.to_str().context("a path")?;
    let ask = |json: &[&str]| {
        let more = ["--data-dir", data, "SELECT count(*) AS n, min(path) AS path FROM events"];
        Bartizan::command(&[&["query"], json, &more].concat())
    };
    let plain = ask(&[])?;
    let said = String::from_utf8(plain.stderr)?;
    assert_eq!(plain.status.code(), Some(3), "{said}");
    assert!(said.starts_with("warning: segment `") && said.contains(name), "{said}");
    let json = ask(&["--json"])?;
    assert_eq!(json.status.code(), Some(3));
    assert_eq!(serde_json::from_slice::<Value>(&json.stdout)?, serde_json::json!({"n": 1, "path": "/b"}));
    let warning: Value = serde_json::from_slice(&json.stderr)?;
    assert!(warning["segment"].as_str().is_some_and(|segment| segment.ends_with(name)), "{warning}");
    assert!(segments[0].exists(), "a reader changes nothing");
    Ok(())
}

#[test]
fn nobody_reading_its_log_does_not_end_the_gateway() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let mut first = gateway(origin.port)?;
    ureq::get(first.url("/")).call()?; // from then on it takes signals
    first.stop()?; // it has made the files
    let mut command = Command::new(Bartizan::binary());
    command.arg("run").arg("--config").arg(first.folder().join("bartizan.yaml"));
    command.arg("--data-dir").arg(first.data()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    drop(child.stderr.take());
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process id")?;
    bartizan_testkit::wait_for_port(first.port)?;
    for path in ["/a", "/b"] {
        assert_eq!(ureq::get(first.url(path)).call()?.status(), 200);
        kill_process(pid, Signal::HUP)?; // which it would tell of
        std::thread::sleep(Duration::from_millis(300));
    }
    kill_process(pid, Signal::TERM)?;
    assert!(child.wait()?.success());
    Ok(())
}

#[test]
fn a_verb_whose_readers_went_away_ends_with_its_own_exit_code() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bad.yaml");
    std::fs::write(&file, "listeners: []\n")?;
    for (arguments, code) in [(["check", file.to_str().context("a path")?], 1), (["checks", "NO-1"], 2)] {
        let mut command = Command::new(Bartizan::binary());
        let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        drop((child.stdout.take(), child.stderr.take()));
        assert_eq!(child.wait()?.code(), Some(code), "{arguments:?}");
    }
    Ok(())
}

#[test]
fn certificates_and_keys_are_checked_where_they_are_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let names = vec!["a.example".to_owned()];
    let [one, other] = [0, 1].map(|_| rcgen::generate_simple_self_signed(names.clone()));
    let (one, other) = (one?, other?);
    std::fs::write(folder.path().join("one.crt"), one.cert.pem())?;
    std::fs::write(folder.path().join("other.key"), other.signing_key.serialize_pem())?;
    std::fs::write(folder.path().join("text.pem"), "not a certificate")?;
    let file = folder.path().join("bartizan.yaml");
    let text = "listeners:
  - address: 127.0.0.1:8443
    tls:
      certificates:
        - {certificate: one.crt, key: other.key}
        - {certificate: none.crt, key: other.key}
upstreams:
  - name: a
    tls:
      authorities: text.pem
    targets:
      - address: 127.0.0.1:9
";
    std::fs::write(&file, text)?;
    let output = Bartizan::command(&["check", file.to_str().context("a path")?])?;
    let said = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(1), "{said}");
    for (place, name) in [(":5:39: error", "other.key"), (":6:25: error", "none.crt"), (":10:20: error", "text.pem")] {
        assert!(said.lines().any(|line| line.contains(place) && line.contains(name)), "{place} {name}: {said}");
    }
    assert!(said.ends_with("3 errors\n"), "{said}");
    Ok(())
}

#[test]
fn a_state_database_that_is_none_is_named_with_what_to_do() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let mut gateway = gateway(origin.port)?;
    ureq::get(gateway.url("/")).call()?;
    gateway.stop()?;
    let state = gateway.data().join("state.db");
    std::fs::write(&state, "this is no database, and it is long enough to be taken for one ".repeat(20))?;
    for of_it in ["state.db-wal", "state.db-shm"] {
        let _ = std::fs::remove_file(gateway.data().join(of_it)); // the last pages would be read from there
    }
    let data = gateway.data();
    let output = Bartizan::command(&["catalog", "--data-dir", data.to_str().context("a path")?])?;
    let said = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(2), "{said}");
    let expected = format!("bartizan: state database `{}` cannot be used: file is not a database; ", state.display());
    assert!(said.starts_with(&expected) && said.lines().count() == 1, "{said}");
    Ok(())
}
