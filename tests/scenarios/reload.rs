//! A thousand reloads under load: no request fails, and each reload takes effect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use bartizan_testkit::{Bartizan, Origin};
use rustix::process::Signal;

use crate::admin;

const RELOADS: u32 = 1000;

fn configuration(origin: u16, policy: &str) -> String {
    format!(
        "listeners:
  - address: 127.0.0.1:{{port}}
upstreams:
  - name: origin
    targets:
      - address: 127.0.0.1:{origin}
policies:
  - name: {policy}
    mode: enforce
    methods:
      allow: [GET, POST]
console:
  address: 127.0.0.1:{{console}}
"
    )
}

#[test]
fn a_thousand_reloads_under_load_fail_no_request() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let mut gateway = Bartizan::start(&configuration(origin.port, "policy-0"))?;
    let (stop, good, bad) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (stop, good, bad, url) = (Arc::clone(&stop), Arc::clone(&good), Arc::clone(&bad), gateway.url("/a"));
            std::thread::spawn(move || {
                let agent = ureq::Agent::new_with_defaults();
                while !stop.load(Ordering::Relaxed) {
                    let answer = if thread % 2 == 0 { agent.get(&url).call() } else { agent.post(&url).send("x=1") };
                    let counter = if answer.is_ok() { &good } else { &bad };
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut applied = 0;
    for reload in 1..=RELOADS {
        gateway.write_configuration(&configuration(origin.port, &format!("policy-{reload}")))?;
        // Saving the file reloads it too; whichever comes first applies it, and the other finds nothing changed.
        let outcome = admin::post(&gateway, "/config/reload")?;
        assert!(matches!(outcome["outcome"].as_str(), Some("applied" | "unchanged")), "{outcome}");
        applied += u32::from(outcome["outcome"] == "applied");
    }
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| drop(thread.join()));

    let running = admin::get(&gateway, "/config")?;
    assert_eq!(running["policies"][0]["name"], format!("policy-{RELOADS}"));
    assert!(applied > RELOADS / 2, "only {applied} reloads were applied by the admin API");
    assert_eq!(bad.load(Ordering::Relaxed), 0, "{} requests were answered", good.load(Ordering::Relaxed));
    assert!(good.load(Ordering::Relaxed) > 1000);
    gateway.stop()
}

#[test]
fn an_upgrade_refuses_no_connection_and_loses_no_event() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let mut gateway = Bartizan::start(&configuration(origin.port, "policy"))?;
    let (stop, good, bad) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (stop, good, bad, url) = (Arc::clone(&stop), Arc::clone(&good), Arc::clone(&bad), gateway.url("/a"));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    // A fresh agent each time, so that every request is a new connection.
                    match ureq::get(&url).call() {
                        Ok(_) => good.fetch_add(1, Ordering::Relaxed),
                        Err(error) => {
                            eprintln!("a request failed: {error:?}");
                            bad.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                }
            })
        })
        .collect();
    for _ in 0..3 {
        gateway.upgrade()?;
    }
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| drop(thread.join()));

    assert_eq!(bad.load(Ordering::Relaxed), 0, "{} requests were answered", good.load(Ordering::Relaxed));
    let answered = good.load(Ordering::Relaxed);
    let stored = gateway.wait_for_count("SELECT count(*) FROM events", answered)?;
    assert_eq!(stored, answered);
    gateway.stop()
}

#[test]
fn a_signal_reloads_and_a_faulty_file_changes_nothing() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let mut gateway = Bartizan::start(&configuration(origin.port, "first"))?;
    let agent = crate::agent();

    gateway.write_configuration(&configuration(origin.port, "second").replace("[GET, POST]", "[POST]"))?;
    gateway.program().signal(Signal::HUP)?;
    wait_for_outcome(&gateway, "applied", 2)?;
    let denied = agent.get(gateway.url("/a")).call()?;
    assert_eq!(denied.status(), 405);
    assert_eq!(denied.headers().get("x-bartizan-check").map(|id| id.as_bytes()), Some(&b"ACC-101"[..]));

    gateway.write_configuration("listeners: nowhere\n")?;
    gateway.program().signal(Signal::HUP)?;
    wait_for_outcome(&gateway, "rejected", 1)?;
    assert_eq!(agent.get(gateway.url("/a")).call()?.status(), 405, "the configuration before goes on running");
    gateway.stop()
}

#[test]
fn a_reload_reads_the_certificates_again_though_the_text_is_the_same() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let folder = tempfile::tempdir()?;
    let (certificate, key) = (folder.path().join("tls.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, certified.cert.pem())?;
    std::fs::write(&key, certified.signing_key.serialize_pem())?;
    let tls = format!(
        "  - address: 127.0.0.1:{}\n    tls:\n      certificates:\n        - certificate: {}\n          key: {}\nupstreams:",
        bartizan_testkit::free_port(),
        certificate.display(),
        key.display()
    );
    let mut gateway = Bartizan::start(&configuration(origin.port, "policy").replacen("upstreams:", &tls, 1))?;
    assert_eq!(admin::post(&gateway, "/config/reload")?["outcome"], "unchanged");

    std::fs::write(&certificate, "not a certificate")?;
    let refused = admin::post(&gateway, "/config/reload")?;
    assert_eq!(refused["outcome"], "rejected");
    assert!(refused["diagnostics"].to_string().contains("tls.pem"), "{refused}");

    std::fs::write(&certificate, certified.cert.pem())?;
    assert_eq!(admin::post(&gateway, "/config/reload")?["outcome"], "unchanged");
    gateway.stop()
}

#[test]
fn what_waits_for_a_restart_is_remembered_and_no_pipe_is_read_for_ever() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let mut gateway = Bartizan::start(&configuration(origin.port, "policy"))?;
    let other = |policy: &str, grace: &str| format!("{}shutdown_grace: {grace}\n", configuration(origin.port, policy));

    gateway.write_configuration(&other("policy", "7s"))?;
    assert_eq!(settled(&gateway)?["restart_needed"].to_string(), r#"["`shutdown_grace` changed"]"#);
    gateway.write_configuration(&other("another", "7s"))?;
    assert_eq!(settled(&gateway)?["restart_needed"].to_string(), r#"["`shutdown_grace` changed"]"#);
    gateway.write_configuration(&configuration(origin.port, "another"))?;
    assert_eq!(settled(&gateway)?["restart_needed"].to_string(), "[]");

    let file = gateway.folder().join("bartizan.yaml");
    std::fs::remove_file(&file)?;
    std::fs::create_dir(&file)?;
    assert_eq!(admin::post(&gateway, "/config/reload")?["outcome"], "rejected");
    assert_eq!(ureq::get(gateway.url("/a")).call()?.status(), 200);
    gateway.stop()
}

/// Reloads; the file watch may have been first, so that the answer is what runs then.
fn settled(gateway: &Bartizan) -> Result<serde_json::Value> {
    admin::post(gateway, "/config/reload")?;
    admin::get(gateway, "/config")
}

/// Waits until the history has so many revisions with this outcome.
fn wait_for_outcome(gateway: &Bartizan, outcome: &str, count: usize) -> Result<()> {
    for _ in 0..500 {
        let revisions = admin::get(gateway, "/config/revisions")?;
        let found = revisions.as_array().into_iter().flatten().filter(|revision| revision["outcome"] == outcome);
        if found.count() >= count {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    anyhow::bail!("no {count} revisions were {outcome}:\n{}", gateway.printed())
}
