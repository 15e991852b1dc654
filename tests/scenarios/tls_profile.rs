//! TLS as a scanner sees it: the default profile, certificates renewed while running, stapled OCSP responses.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bartizan_testkit::{Bartizan, Origin, python};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::script;

const NAME: &str = "a.example";

/// What a script prints, run to its end.
fn run(name: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(python()).arg(script(name)).args(arguments).output()?;
    ensure!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Writes a certificate with its key and its OCSP response into `folder`, over those that are there.
fn issue(folder: &Path) -> Result<()> {
    run("tls_material.py", &[&folder.display().to_string(), NAME]).map(drop)
}

/// What sslyze says; its `issues` are what breaks Mozilla's "intermediate" configuration.
fn scan(port: u16, folder: &Path) -> Result<Value> {
    let authority = folder.join("ca.pem").display().to_string();
    Ok(serde_json::from_str(&run("tls_scan.py", &["scan", &port.to_string(), NAME, &authority])?)?)
}

fn configuration(folder: &Path, tls: &str) -> Result<(Origin, String)> {
    let origin = Origin::start(Duration::ZERO)?;
    let configuration = format!(
        "listeners:
  - address: 127.0.0.1:{{port}}
    tls:
      certificates:
        - {{certificate: {0}/leaf.pem, key: {0}/leaf.key{tls}}}
upstreams:
  - name: origin
    targets:
      - address: 127.0.0.1:{1}
console: {{enabled: false}}
",
        folder.display(),
        origin.port
    );
    Ok((origin, configuration))
}

#[test]
fn the_default_profile_has_nothing_that_a_scanner_minds() -> Result<()> {
    let folder = tempfile::tempdir()?;
    issue(folder.path())?;
    let (_origin, configuration) = configuration(folder.path(), "")?;
    let gateway = Bartizan::start(&configuration)?;

    let scan = scan(gateway.port, folder.path())?;

    for finding in ["early_data", "compression", "renegotiation"] {
        assert_eq!(scan[finding], false, "{finding}");
    }
    assert_eq!((&scan["issues"], &scan["stapled"]), (&json!({}), &json!([])));
    let log = gateway.printed();
    assert!(!log.contains("SNI") && !log.contains("alert"), "clients fill the log:\n{log}");
    Ok(())
}

#[test]
fn a_hangup_serves_the_renewed_certificate_with_its_stapled_response() -> Result<()> {
    let folder = tempfile::tempdir()?;
    issue(folder.path())?;
    let ocsp = format!(", ocsp_response: {}/leaf.ocsp", folder.path().display());
    let (_origin, configuration) = configuration(folder.path(), &ocsp)?;
    let mut gateway = Bartizan::start(&configuration)?;
    let port = gateway.port.to_string();
    let serial = || run("tls_scan.py", &["serial", &port, NAME]);
    let before = serial()?;

    issue(folder.path())?;
    assert_eq!(serial()?, before, "nobody was asked to read it");
    gateway.program().signal(Signal::HUP)?;
    let begun = Instant::now();
    while serial()? == before {
        ensure!(begun.elapsed() < Duration::from_secs(20), "not renewed:\n{}", gateway.printed());
        std::thread::sleep(Duration::from_millis(50));
    }

    let scan = scan(gateway.port, folder.path())?;
    let stapled = scan["stapled"].as_array().is_some_and(|stapled| !stapled.is_empty());
    assert!(stapled && scan["stapled"].as_array().into_iter().flatten().all(|status| status == "GOOD"), "{scan}");
    assert_eq!(scan["issues"], json!({}), "{scan}");
    assert_ne!(scan["serials"], json!([before]));
    Ok(())
}

#[test]
fn a_file_that_is_no_ocsp_response_is_named_before_it_is_used() -> Result<()> {
    let folder = tempfile::tempdir()?;
    issue(folder.path())?;
    std::fs::write(folder.path().join("leaf.ocsp"), b"0\x03\x0a\x01\x06")?; // unauthorized (RFC 6960 §2.3)
    let ocsp = format!(", ocsp_response: {}/leaf.ocsp", folder.path().display());
    let (_origin, configuration) = configuration(folder.path(), &ocsp)?;
    let file = folder.path().join("bartizan.yaml");
    std::fs::write(&file, configuration.replace("{port}", "1"))?;

    let checked = Bartizan::command(&["check", &file.display().to_string()])?;

    let said = String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
    assert!(!checked.status.success() && said.contains("OCSP response that says `6`"), "{said}");
    Ok(())
}
