//! No origin parses a request that the gateway did not inspect.
//!
//! Every mutation goes through the real gateway to real origins, each over a connection of its own. Each origin writes
//! down every request that it parses; the gateway's events and its recording say what was inspected. What an origin has
//! must be there, with the same method, target and body, once; what the gateway refused must be an event, and each answer
//! that a client got must be the answer to one. `bench/quality/smuggling.md` has the result (`BARTIZAN_BLESS=1` writes it).

mod framing;
mod http1;
mod http2;
mod mutation;
mod origins;
mod report;
mod verdict;
mod wire;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use bartizan_testkit::Bartizan;

use origins::{Kind, Origin};
use report::Row;

/// Origins at a time; a machine of two cores does no more.
const AT_ONCE: usize = 2;

/// Short waits, so that whatever a mutation leaves open ends soon. Bodies of what lies below `/h/`, half of the mutations,
/// are judged whole before the origin hears of them; the others pass while they come.
const CONFIGURATION: &str = "listeners:
  - address: 127.0.0.1:{port}
upstreams:
  - name: origin
    protocol: http1
    retries: 0
    timeouts: {connect: 2s, read: 2s, write: 2s, idle: 1s}
    health: {enabled: false}
    targets:
      - address: 127.0.0.1:{origin}
policies:
  - name: held
    mode: enforce
    scope: {paths: [/h/**]}
    content: {}
limits: {header_timeout: 500ms, client_read_timeout: 500ms, keepalive_timeout: 250ms, body_timeout: 500ms}
console: {enabled: false}
";

#[test]
fn no_origin_parses_a_request_that_was_not_inspected() -> Result<()> {
    let mutations = mutation::all();
    ensure!(mutations.len() >= 1500, "only {} mutations", mutations.len());
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    while let Some(kind) = Kind::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let row = prove(*kind, &mutations).with_context(|| kind.name())?;
                        rows.lock().expect("no worker panics").push(row);
                    }
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker that does not panic"))
    })?;
    let mut rows = rows.into_inner()?;
    rows.sort_by_key(|row| Kind::ALL.iter().position(|kind| *kind == row.kind));
    report::check(&mutations, &rows)
}

/// Sends every mutation through a gateway to one origin, and judges what was seen.
fn prove(kind: Kind, mutations: &[mutation::Mutation]) -> Result<Row> {
    let folder = tempfile::tempdir()?;
    let mut origin = Origin::start(kind, folder.path())?;
    let configuration = CONFIGURATION.replace("{origin}", &origin.port.to_string());
    let mut gateway = Bartizan::record(&configuration)?;
    let answers = wire::send_all(mutations, gateway.port)?;
    gateway.stop()?;
    ensure!(!gateway.printed().contains("not recorded"), "the recording is not whole:\n{}", gateway.printed());
    let events = gateway.query("SELECT id, client_ip, method, path, version, ending, status FROM events")?;
    let recording = std::fs::read_to_string(gateway.recording())?;
    let log = origin.log()?;
    let seen = verdict::Seen { mutations, answers: &answers, events: &events, recording: &recording, log };
    if let Some(kept) = std::env::var_os("BARTIZAN_KEEP") {
        keep(kind, Path::new(&kept), &seen)?;
    }
    let (faults, tally) = seen.judge()?;
    let told: Vec<_> = faults.iter().take(20).map(|fault| fault.chars().take(500).collect::<String>()).collect();
    ensure!(faults.is_empty(), "{} faults, the first:\n{}", faults.len(), told.join("\n"));
    Ok(Row { kind, tally })
}

/// Writes everything down for a person to look at.
fn keep(kind: Kind, folder: &Path, seen: &verdict::Seen<'_>) -> Result<()> {
    use std::fmt::Write as _;
    let mut text = String::new();
    for (number, (mutation, answer)) in seen.mutations.iter().zip(seen.answers).enumerate() {
        writeln!(text, "{number} {}", mutation.class)?;
        for piece in &mutation.pieces {
            writeln!(text, "  > {}", piece.escape_ascii())?;
        }
        writeln!(text, "  < {}", answer.escape_ascii())?;
        let address = wire::address_of(number).to_string();
        for event in seen.events.iter().filter(|event| event["client_ip"] == address.as_str()) {
            writeln!(text, "  e {event}")?;
        }
        for parsed in seen.log.parsed.iter().filter(|parsed| parsed.client.as_deref() == Some(&address)) {
            writeln!(text, "  o {parsed:?}")?;
        }
    }
    for refused in &seen.log.refused {
        writeln!(text, "refused {refused}")?;
    }
    Ok(std::fs::write(folder.join(kind.name()), text)?)
}
