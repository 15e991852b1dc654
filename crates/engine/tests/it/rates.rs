//! Rate limits across inspections: what is in flight, what survives a reload, what an attacker's flood leaves alone.

use std::sync::Arc;

use bartizan_engine::{Counters, Inputs, Plans, Snapshot, judge};
use bartizan_model::{Ending, Event, Outcome, Source, Timestamp};

use crate::document;
use crate::host::{self, ID};

fn compiled(config: &str, counters: &Counters) -> Arc<Snapshot> {
    let plans = Plans::new();
    let inputs = Inputs { generation: 1, endpoints: &[], plans: &plans, counters, key: [7; 32] };
    Arc::new(Snapshot::compile(&document::config(config), inputs))
}

fn passed(snapshot: &Arc<Snapshot>, request: &str) -> Event {
    let exchange = document::exchange(request, Some("HTTP/1.1 200 OK\n\n"));
    host::pass(snapshot, &exchange, Source::Gateway, 1 << 20).event
}

fn is_admitted(snapshot: &Arc<Snapshot>, request: &str) -> bool {
    !passed(snapshot, request).decision.is_stop()
}

const GET: &str = "GET / HTTP/1.1\nHost: a.example";

#[test]
fn a_place_in_flight_is_let_go_once_on_every_path() {
    let config = "
policies:
  - { name: rules, mode: enforce, scope: { paths: [/late] }, limits: { body_bytes_max: 3 } }
  - { name: slow, mode: enforce, rate: { concurrency: 2 } }
  - { name: plan, mode: enforce, scope: { paths: [/plan] }, rate: { key: [global], quota: { requests: 1, per: 1h } } }
";
    let snapshot = compiled(config, &Counters::default());
    let get = document::exchange(GET, None);
    let held = host::open(&snapshot, &get); // one of the two places, for the whole test
    let places = || {
        let open: Vec<_> = (0..3).map(|_| host::open(&snapshot, &get)).collect();
        open.iter().filter(|inspection| !inspection.decision().is_stop()).count()
    };
    assert_eq!(places(), 1);
    for ending in [Ending::Answered, Ending::ClientClosed, Ending::UpstreamFailed, Ending::InternalFault] {
        let inspection = host::open(&snapshot, &get);
        assert_eq!(places(), 0, "it is taken");
        inspection.finish(Outcome { ending, ..Outcome::default() }, Timestamp::default());
        assert_eq!(places(), 1, "finished as {ending:?}");
    }
    drop(host::open(&snapshot, &get));
    assert_eq!(places(), 1, "dropped without an end");
    assert!(is_admitted(&snapshot, "GET /plan HTTP/1.1\nHost: a.example"));
    assert!(!is_admitted(&snapshot, "GET /plan HTTP/1.1\nHost: a.example"));
    assert_eq!(places(), 1, "refused by another limit");
    let late = "POST /late HTTP/1.1\nHost: a.example\nTransfer-Encoding: chunked\n\n12345";
    assert!(!is_admitted(&snapshot, late));
    assert_eq!(places(), 1, "refused at its body");
    drop(held);
    assert_eq!(places(), 2);
}

#[test]
fn a_request_that_another_limit_refuses_gives_its_place_back_at_once() {
    let config = "
policies:
  - { name: slow, mode: enforce, rate: { concurrency: 1 } }
  - { name: plan, mode: enforce, scope: { paths: [/plan] }, rate: { quota: { requests: 1, per: 1h } } }
";
    let snapshot = compiled(config, &Counters::default());
    let plan = "GET /plan HTTP/1.1\nHost: a.example";
    assert!(is_admitted(&snapshot, plan));
    let refused = host::open(&snapshot, &document::exchange(plan, None));
    assert!(refused.decision().is_stop());
    assert!(is_admitted(&snapshot, GET), "the refused one is not in flight, though it has not ended");
}

#[test]
fn counts_go_on_after_a_reload_unless_the_limit_is_another() {
    let counters = Counters::default();
    let config = |requests| {
        format!("policies: [{{ name: plan, mode: enforce, rate: {{ quota: {{ requests: {requests}, per: 1h }} }} }}]")
    };
    let before = compiled(&config(2), &counters);
    assert!(is_admitted(&before, GET) && is_admitted(&before, GET) && !is_admitted(&before, GET));
    let after = compiled(&config(2).replace("]", ", { name: more, methods: { allow: [GET] } }]"), &counters);
    drop(before);
    assert!(!is_admitted(&after, GET), "the same limit");
    assert_eq!(counters.stats().len(), 1);
    assert!(is_admitted(&compiled(&config(3), &counters), GET), "another number is another limit");
    assert!(is_admitted(&compiled(&config(2), &Counters::default()), GET), "a replay has counts of its own");
}

#[test]
fn new_endpoints_leave_the_counts_alone() {
    let snapshot = compiled(
        "policies: [{ name: plan, mode: enforce, rate: { quota: { requests: 1, per: 1h } } }]",
        &Counters::default(),
    );
    assert!(is_admitted(&snapshot, GET));
    assert!(!is_admitted(&Arc::new(snapshot.with_endpoints(2, &[])), GET));
}

#[test]
fn no_value_of_a_key_is_in_the_event() {
    let config = "policies: [{ name: plan, mode: enforce, rate: { key: [api_key, { header: x-tenant }], quota: { requests: 1, per: 1h } } }]";
    let snapshot = compiled(config, &Counters::default());
    let request = "GET / HTTP/1.1\nHost: a.example\nX-API-Key: s3cr3t-key-value\nX-Tenant: s3cr3t-tenant";
    passed(&snapshot, request);
    let event = passed(&snapshot, request);
    assert!(event.decision.is_stop());
    let finding = &event.findings[0];
    assert_eq!(&*finding.evidence, "more than 1 requests in 1h by api_key and header:x-tenant");
    assert!(!serde_json::to_string(&event).unwrap().contains("s3cr3t"));
}

#[test]
fn a_recording_without_an_address_is_not_counted_with_others_like_it() {
    let snapshot = compiled(
        "policies: [{ name: plan, mode: enforce, rate: { quota: { requests: 1, per: 1h } } }]",
        &Counters::default(),
    );
    let exchange = document::exchange(&format!("from nowhere\n{GET}"), Some("HTTP/1.1 200 OK\n\n"));
    for _ in 0..5 {
        let event = judge(&snapshot, &exchange, Source::Har, ID, Timestamp::default()).event;
        assert!(!event.decision.is_stop());
    }
}

#[test]
fn an_attempt_that_no_upstream_answered_has_not_failed() {
    let config = "policies: [{ name: login, mode: enforce, rate: { login: { account: user, per_account: { attempts: 1, per: 1h } } } }]";
    let snapshot = compiled(config, &Counters::default());
    let exchange = document::exchange(
        "POST / HTTP/1.1\nHost: a.example\nContent-Type: application/json\nTransfer-Encoding: chunked\n\n{\"user\":\"jane\"}",
        None,
    );
    for ending in [Ending::UpstreamUnreachable, Ending::UpstreamTimeout, Ending::InternalFault] {
        let inspection = host::open(&snapshot, &exchange);
        assert!(!inspection.decision().is_stop(), "{ending:?}");
        inspection.finish(Outcome { ending, ..Outcome::default() }, Timestamp::default());
    }
    let inspection = host::open(&snapshot, &exchange);
    inspection.finish(Outcome { ending: Ending::ClientClosed, ..Outcome::default() }, Timestamp::default());
    assert!(host::open(&snapshot, &exchange).decision().is_stop(), "going away is no way around it");
}

#[test]
fn a_login_body_is_held_until_its_account_is_known() {
    let config = "policies: [{ name: login, mode: enforce, rate: { login: { account: user } } }]";
    let request = "POST / HTTP/1.1\nHost: a.example\nContent-Length: 15\n\n{\"user\":\"jane\"}";
    let exchange = document::exchange(request, Some("HTTP/1.1 200 OK\n\n"));
    let passed = host::pass(&compiled(config, &Counters::default()), &exchange, Source::Gateway, 5);
    assert_eq!(passed.steps, ["hold", "hold", "hold", "hold", "continue"]);
    assert_eq!(passed.forwarded, 15);
}

#[test]
fn bytes_of_responses_count_when_the_exchange_ends() {
    let config = "policies: [{ name: volume, mode: enforce, rate: { bandwidth: { bytes: 1KiB, per: 1m } } }]";
    let snapshot = compiled(config, &Counters::default());
    let exchange = document::exchange(GET, None);
    let outcome = Outcome { response_bytes: 2000, ..Outcome::default() };
    let (first, second) = (host::open(&snapshot, &exchange), host::open(&snapshot, &exchange));
    assert!(!second.decision().is_stop(), "nothing is known of the first yet");
    first.finish(outcome, exchange.time.unwrap());
    assert!(host::open(&snapshot, &exchange).decision().is_stop());
}

#[test]
fn threads_that_meet_never_share_a_place() {
    let snapshot = compiled(
        "policies: [{ name: plan, mode: enforce, rate: { quota: { requests: 1000, per: 1h } } }]",
        &Counters::default(),
    );
    let admitted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let get = document::exchange(GET, None);
                    (0..500).filter(|_| !host::open(&snapshot, &get).decision().is_stop()).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(admitted, 1000);
}

#[test]
fn counting_holds_no_body_back() {
    let config = "policies: [{ name: all, mode: enforce, rate: { spike_arrest: { requests: 9, burst: 9 }, quota: { requests: 9, per: 1h }, concurrency: 9, bandwidth: { bytes: 1MiB, per: 1h } } }]";
    let exchange = document::exchange("POST / HTTP/1.1\nHost: a.example\nContent-Length: 4\n\nbody", None);
    let inspection = host::open(&compiled(config, &Counters::default()), &exchange);
    assert_eq!(inspection.response_fields().len(), 2);
    let passed = host::pass(&compiled(config, &Counters::default()), &exchange, Source::Gateway, 1);
    assert!(passed.steps.iter().all(|step| *step == "continue"), "{:?}", passed.steps);
}
