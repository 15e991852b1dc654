//! kill -9 under load: the store opens again, every segment can be read, and at most one second of events is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use bartizan_testkit::{Bartizan, Origin};

use crate::admin::segments_quarantined;

const ROUNDS: usize = 20;
/// What may be lost.
const LOSS: Duration = Duration::from_secs(1);

#[test]
fn a_kill_loses_at_most_one_second_and_leaves_no_unreadable_segment() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let mut gateway = Bartizan::start(&format!(
        "listeners:
  - address: 127.0.0.1:{{port}}
upstreams:
  - name: origin
    targets:
      - address: 127.0.0.1:{}
console:
  address: 127.0.0.1:{{console}}
",
        origin.port
    ))?;
    let mut must_be_stored = 0;
    for round in 0..ROUNDS {
        let answered = load_then_kill(&mut gateway)?;
        must_be_stored += answered;
        gateway.start_again()?;
        let stored = gateway.query("SELECT count(*) AS events FROM events")?;
        let stored = stored.first().and_then(|row| row["events"].as_u64()).unwrap_or(0);
        assert!(stored >= must_be_stored, "round {round}: {stored} stored of at least {must_be_stored}");
        must_be_stored = stored; // what is there now must stay there
    }
    assert_eq!(segments_quarantined(&gateway)?, 0);
    gateway.stop()
}

/// Calls from several threads, then a kill in the middle of it. Returns how many calls were answered more than
/// [`LOSS`] before the kill.
fn load_then_kill(gateway: &mut Bartizan) -> Result<u64> {
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(Mutex::new(Vec::new()));
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (stop, answered, url) = (Arc::clone(&stop), Arc::clone(&answered), gateway.url("/accounts"));
            std::thread::spawn(move || {
                let agent = ureq::Agent::new_with_defaults();
                let mut number = thread;
                while !stop.load(Ordering::Relaxed) {
                    number += 4;
                    if agent.get(format!("{url}/{number}")).call().is_ok() {
                        answered.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
                    }
                }
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(1700));
    let killed = Instant::now();
    gateway.kill()?;
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        let _ = thread.join();
    }
    let answered = answered.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(answered.iter().filter(|at| killed.saturating_duration_since(**at) > LOSS).count() as u64)
}

#[test]
fn a_kill_soon_after_the_first_requests_leaves_their_endpoints_in_the_catalog() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let mut gateway = Bartizan::start(&format!(
        "listeners:
  - address: 127.0.0.1:{{port}}
upstreams:
  - name: origin
    targets:
      - address: 127.0.0.1:{}
console: {{enabled: false}}
",
        origin.port
    ))?;
    ureq::get(gateway.url("/orders")).call()?;
    std::thread::sleep(Duration::from_millis(2500));
    gateway.kill()?;
    let catalog = gateway.catalog()?;
    assert!(catalog.iter().any(|endpoint| endpoint["template"] == "/orders"), "{catalog:?}");
    Ok(())
}
