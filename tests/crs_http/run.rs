//! The suite, sent: a gateway with the rules, a backend behind it, every stage over a connection of its own.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use bartizan_testkit::Bartizan;
use bartizan_testkit::crs::suite::Test;
use bartizan_testkit::crs::{Exchange, http, request};

use crate::client::{self, Answer};
use crate::events::{self, Event};
use crate::reflector::Reflector;

/// Connections at a time: the gateway answers in order of arrival, and two keep both ends busy.
const CONNECTIONS: usize = 4;

/// What became of one stage.
#[derive(Debug)]
pub struct Seen {
    /// The request as the harness reads it, which is as the rules in process see it
    pub exchange: Exchange,
    /// What the client got; `None` when the connection ended without an answer
    pub answer: Option<Answer>,
    /// What the gateway told of it
    pub event: Option<Event>,
}

/// How CRS wants to be set up for its tests (rule 900005 of its instructions), at its own defaults where the gateway's
/// are those of an API: methods, media types and header fields.
const SET_UP: &str = r#"
SecAction "id:900005,phase:1,nolog,pass,t:none,\
    ctl:ruleEngine=DetectionOnly,\
    setvar:!tx.allowed_methods,\
    setvar:!tx.allowed_request_content_type,\
    setvar:!tx.restricted_headers_basic,\
    setvar:tx.blocking_paranoia_level=4,\
    setvar:tx.crs_validate_utf8_encoding=1,\
    setvar:tx.arg_name_length=100,\
    setvar:tx.arg_length=400,\
    setvar:tx.total_arg_length=64000,\
    setvar:tx.max_num_args=255,\
    setvar:tx.max_file_size=64100,\
    setvar:tx.combined_file_sizes=65535"
"#;

/// Sends every stage of every test; what was seen, in their order.
pub fn all(rule_set: &Path, tests: &[Test]) -> Result<Vec<Vec<Seen>>> {
    let folder = tempfile::tempdir()?;
    let set_up = std::fs::read_to_string(rule_set.join("crs-setup.conf.example"))?;
    std::fs::write(folder.path().join("crs-setup.conf"), set_up + SET_UP)?;
    symlink(rule_set.join("rules"), folder.path().join("rules"))?;
    let reflector = Reflector::start()?;
    let mut gateway = Bartizan::start(&configuration(reflector.port, folder.path()))?;
    let requests: Vec<Vec<u8>> =
        tests.iter().flat_map(|test| &test.stages).map(|stage| request::raw(&stage.input)).collect();
    let answers = send(&requests, gateway.port);
    let answered = answers.iter().flatten().count();
    gateway.wait_for_count("SELECT count(*) FROM events", answered as u64)?;
    let mut events = events::by_request(&gateway)?;
    let mut seen = requests.iter().zip(answers).map(|(raw, answer)| {
        let event = answer.as_ref().and_then(|answer| events.remove(answer.request_id.as_deref()?));
        Seen { exchange: http::exchange(raw), answer, event }
    });
    let stages = tests.iter().map(|test| seen.by_ref().take(test.stages.len()).collect()).collect();
    drop(seen);
    gateway.stop().context("stopping the gateway")?;
    Ok(stages)
}

fn configuration(origin: u16, rule_set: &Path) -> String {
    format!(
        "listeners:
  - address: 127.0.0.1:{{port}}
limits:
  header_timeout: 2s
  body_timeout: 2s
upstreams:
  - name: origin
    targets:
      - address: 127.0.0.1:{origin}
policies:
  - name: exploits
    mode: observe
    threats:
      core_rule_set: {}
      own_rules: false
      responses: true
      body_bytes_max: 1MiB
",
        rule_set.display()
    )
}

/// Several connections at a time; the answers in the order of the requests.
fn send(requests: &[Vec<u8>], port: u16) -> Vec<Option<Answer>> {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(raw) = requests.get(at) else { break };
                    let answer = client::exchange(port, raw).ok();
                    answers.lock().unwrap_or_else(PoisonError::into_inner).insert(at, answer);
                }
            });
        }
    });
    answers.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}
