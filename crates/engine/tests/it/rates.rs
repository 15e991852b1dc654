//! Rate limits across inspections: what is in flight, what survives a reload, what an attacker's flood leaves alone.

use std::sync::Arc;

use bartizan_engine::lease::Grant;
use bartizan_engine::shared::{CountWish, Counted, CountedAt, ErrandKind};
use bartizan_engine::{Counters, Inputs, Inspection, Plans, Question, Reply, Snapshot, Step, judge};
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

const SECRET: [u8; 32] = [9; 32];
const KEYED: &str = "GET / HTTP/1.1\nHost: a.example\nX-Api-Key: a-key-that-nobody-else-learns";

fn shared_quota(shared: &str) -> String {
    format!(
        "
redis: {{ address: \"127.0.0.1:6379\", gateways: 2 }}
policies: [{{ name: plan, mode: enforce, rate: {{ key: [api_key], quota: {{ requests: 10, per: 1h }}, {shared} }} }}]
"
    )
}

/// A gateway of an installation of its own.
fn gateway(config: &str, installation: u8, counters: &Counters) -> Arc<Snapshot> {
    let plans = Plans::new();
    let inputs = Inputs { generation: 1, endpoints: &[], plans: &plans, counters, key: [installation; 32] };
    Arc::new(Snapshot::compile(&document::config(config), inputs))
}

/// Shows the head; answers what is asked with what `store` says.
fn step(snapshot: &Arc<Snapshot>, request: &str, store: impl Fn(&CountWish) -> Option<Counted>) -> (Step, Vec<String>) {
    let exchange = document::exchange(request, None);
    let begun = exchange.time.unwrap();
    let connection = host::connection(&exchange);
    let mut inspection = Inspection::new(Arc::clone(snapshot), &connection, ID, Source::Gateway, begun);
    inspection.can_ask();
    let mut asked = Vec::new();
    let step = host::head(&mut inspection, &exchange, |question| match question {
        Question::Count(wishes) => {
            asked.extend(wishes.iter().map(|wish| format!("{} {}", wish.limit.name(), wish.key.digits())));
            Reply::Counted(wishes.iter().map(&store).collect())
        }
        other => panic!("{other:?}"),
    });
    (step, asked)
}

fn says(is_admitted: bool) -> impl Fn(&CountWish) -> Option<Counted> {
    let place = CountedAt::Store(7);
    move |_| Some(Counted { is_admitted, remaining: 0, wait_us: 5_000_000, place })
}

#[test]
fn a_strict_limit_asks_the_store_each_time_and_obeys_it() {
    let counters = Counters::shared(&SECRET, 2);
    let snapshot = gateway(&shared_quota("shared: strict"), 7, &counters);
    let (admitted, asked) = step(&snapshot, KEYED, says(true));
    assert_eq!((admitted, asked.len()), (Step::Continue, 1));
    let (refused, asked) = step(&snapshot, KEYED, says(false));
    let Step::Stop(decision) = refused else { panic!("{refused:?}") };
    assert_eq!((decision.status, asked.len()), (429, 1));
}

#[test]
fn gateways_of_different_installations_count_for_the_same_key_and_never_show_it() {
    let asked_by = |installation, secret: [u8; 32]| {
        let counters = Counters::shared(&secret, 2);
        let snapshot = gateway(&shared_quota("shared: strict"), installation, &counters);
        step(&snapshot, KEYED, says(true)).1
    };
    assert_eq!(asked_by(7, SECRET), asked_by(8, SECRET));
    let (ours, others) = (asked_by(7, SECRET).join(" "), asked_by(7, [10; 32]).join(" "));
    assert!(ours.split(' ').zip(others.split(' ')).all(|(one, other)| one != other), "{ours} / {others}");
    assert_eq!(ours.len(), 65, "two hashes of 128 bits: {ours}");
}

#[test]
fn a_leased_limit_asks_once_and_then_spends_what_it_was_granted() {
    let counters = Counters::shared(&SECRET, 2);
    let snapshot = gateway(&shared_quota("shared: leased"), 7, &counters);
    let grant = Grant { tokens: 3, granted_at: 7, lease_us: 60_000_000, wait_us: 0, remaining: 4 };
    let lease = |wish: &CountWish| {
        let asked_at = 1_767_225_600_000_000; // before any exchange of these tests
        wish.limit.granted(wish.key, asked_at, Grant { lease_us: 1 << 50, ..grant });
        wish.limit.spend(wish.key, asked_at, wish.amount)
    };
    let asked: Vec<usize> = (0..3).map(|_| step(&snapshot, KEYED, lease).1.len()).collect();
    assert_eq!(asked, [1, 0, 0]);
    let (_, asked) = step(&snapshot, KEYED, says(true));
    assert_eq!(asked.len(), 1, "what was granted is spent");
}

#[test]
fn without_the_store_the_failure_mode_decides_and_the_store_is_told_later() {
    let admitted = |mode: &str| {
        let counters = Counters::shared(&SECRET, 2);
        let snapshot = gateway(&shared_quota(&format!("shared: strict, failure_mode: {mode}")), 7, &counters);
        let admitted = (0..30).filter(|_| step(&snapshot, KEYED, |_| None).0 == Step::Continue).count();
        let told = counters.errands().unwrap().take().into_iter();
        let told = told.filter(|errand| matches!(errand.kind, ErrandKind::Report(1))).count();
        assert_eq!(told, admitted);
        admitted
    };
    assert_eq!(["open", "closed", "share"].map(admitted), [30, 0, 5]);
}

#[test]
fn what_another_limit_refuses_goes_back_to_the_store() {
    let config = "
redis: { address: \"127.0.0.1:6379\", gateways: 2 }
policies:
  - { name: plan, mode: enforce, rate: { quota: { requests: 10, per: 1h }, shared: strict } }
  - { name: one, mode: enforce, rate: { quota: { requests: 1, per: 1h }, shared: local } }
";
    let counters = Counters::shared(&SECRET, 2);
    let snapshot = gateway(config, 7, &counters);
    assert_eq!(step(&snapshot, GET, says(true)).0, Step::Continue);
    assert!(matches!(step(&snapshot, GET, says(true)).0, Step::Stop(_)));
    let errands = counters.errands().unwrap().take();
    assert_eq!(errands.len(), 1);
    assert!(matches!(errands[0].kind, ErrandKind::GiveBack(unspent) if (unspent.granted_at, unspent.tokens) == (7, 1)));
}

#[test]
fn what_waits_for_a_body_is_told_once_though_a_limit_had_to_ask() {
    let config = "
redis: { address: \"127.0.0.1:6379\", gateways: 2 }
apis: [{ name: default, upstream: origin, streaming: [/upload/**] }]
policies:
  - { name: urls, mode: observe, ssrf: { parameters: [url] } }
  - { name: ordinary, mode: observe, methods: {} }
  - { name: plan, mode: enforce, rate: { quota: { requests: 10, per: 1h }, shared: strict } }
";
    let body = br#"{"url":"http://10.0.0.1/","_method":"DELETE"}"#;
    let told = |path: &str| {
        let counters = Counters::shared(&SECRET, 2);
        let snapshot = gateway(config, 7, &counters);
        let request = format!(
            "POST {path} HTTP/1.1\nHost: a.example\nContent-Type: application/json\nContent-Length: {}",
            body.len()
        );
        let exchange = document::exchange(&request, None);
        let begun = exchange.time.unwrap();
        let connection = host::connection(&exchange);
        let mut inspection = Inspection::new(snapshot, &connection, ID, Source::Gateway, begun);
        inspection.can_ask();
        let mut questions = 0;
        host::head(&mut inspection, &exchange, |question| match question {
            Question::Count(wishes) => {
                questions += 1;
                Reply::Counted(wishes.iter().map(says(true)).collect())
            }
            other => panic!("{other:?}"),
        });
        inspection.request_body(body);
        inspection.request_end();
        let event = inspection.finish(Outcome::default(), begun);
        let checks: Vec<String> = event.findings.iter().map(|finding| finding.check.to_string()).collect();
        (questions, checks.join(" "))
    };
    assert_eq!(told("/a"), (1, "ACC-131 ACC-104".to_owned()));
    assert_eq!(told("/upload/a"), (1, "ACC-133 ENG-104".to_owned()));
}

#[test]
fn a_replay_counts_for_itself() {
    let snapshot = compiled(&shared_quota("shared: strict"), &Counters::default());
    let admitted = (0..20).filter(|_| is_admitted(&snapshot, KEYED)).count();
    assert_eq!(admitted, 10);
}

fn shared_login(failure_mode: &str) -> String {
    format!(
        "
redis: {{ address: \"127.0.0.1:6379\", gateways: 2 }}
policies: [{{ name: login, mode: enforce, rate: {{ login: {{ account: user, per_account: {{ attempts: 3, per: 1h }} }}, shared: strict, failure_mode: {failure_mode} }} }}]
"
    )
}

/// Sends an attempt at the account `jane`, which is answered with `status`; the check that refused it, and the counts that
/// the store was asked for.
fn attempt(
    snapshot: &Arc<Snapshot>,
    status: u16,
    store: impl Fn(&CountWish) -> Option<Counted>,
) -> (Option<String>, Vec<String>) {
    let text = "POST / HTTP/1.1\nHost: a.example\nContent-Type: application/json\nTransfer-Encoding: chunked";
    let exchange = document::exchange(text, None);
    let begun = exchange.time.unwrap();
    let connection = host::connection(&exchange);
    let mut inspection = Inspection::new(Arc::clone(snapshot), &connection, ID, Source::Gateway, begun);
    inspection.can_ask();
    let held = host::head(&mut inspection, &exchange, |question| panic!("the head asks {question:?}"));
    assert_eq!(held, Step::Hold, "the body waits for its judgment");
    inspection.request_body(b"{\"user\":\"Jane\"}");
    let mut asked = Vec::new();
    let mut step = inspection.request_end();
    if let Step::Ask(Question::Count(wishes)) = &step {
        asked.extend(wishes.iter().map(|wish| format!("{} {}", wish.limit.name(), wish.key.digits())));
        let reply = Reply::Counted(wishes.iter().map(&store).collect());
        step = inspection.reply_at_end(reply);
    }
    let mut outcome = Outcome { ending: Ending::Stopped, ..Outcome::default() };
    if !matches!(step, Step::Stop(_)) {
        inspection.response_head(&bartizan_model::ResponseHead { status, headers: &[] });
        outcome = Outcome { status, ..Outcome::default() };
    }
    let event = inspection.finish(outcome, begun);
    (event.decision.check.map(|check| check.to_string()), asked)
}

#[test]
fn shared_attempts_to_log_in_are_counted_in_the_store_and_given_back_when_they_succeed() {
    let counters = Counters::shared(&SECRET, 2);
    let snapshot = gateway(&shared_login("closed"), 7, &counters);
    let returned = || {
        let errands = counters.errands().unwrap().take();
        errands.iter().filter(|errand| matches!(errand.kind, ErrandKind::GiveBack(_))).count()
    };
    let (check, asked) = attempt(&snapshot, 401, says(true));
    assert_eq!((check, asked.len()), (None, 2), "the account and the network, with one question");
    assert_eq!(returned(), 0, "what failed stays counted");
    assert_eq!((attempt(&snapshot, 200, says(true)).0, returned()), (None, 2));
    let one_too_many = |wish: &CountWish| says(wish.limit.terms().limit != 3)(wish);
    assert_eq!(attempt(&snapshot, 401, one_too_many).0.as_deref(), Some("LIM-207"));
    assert_eq!(returned(), 1, "a refused attempt uses up nothing of its network");
    let elsewhere = gateway(&shared_login("closed"), 8, &Counters::shared(&SECRET, 2));
    assert_eq!(attempt(&elsewhere, 401, says(true)).1, asked, "another installation asks for the same counts");
}

#[test]
fn without_the_store_attempts_to_log_in_go_by_the_failure_mode() {
    let admitted = |mode: &str, status: u16| {
        let counters = Counters::shared(&SECRET, 2);
        let snapshot = gateway(&shared_login(mode), 7, &counters);
        let admitted = (0..10).filter(|_| attempt(&snapshot, status, |_| None).0.is_none()).count();
        let told = counters.errands().unwrap().take();
        (admitted, told.iter().filter(|errand| matches!(errand.kind, ErrandKind::Report(1))).count())
    };
    assert_eq!(["open", "closed"].map(|mode| admitted(mode, 401)), [(10, 20), (0, 0)]);
    assert_eq!(admitted("share", 401), (1, 2), "a share of three between two is one");
    assert_eq!(admitted("share", 200), (10, 0), "who logs in is not locked out, and nothing is told of it");
}

#[test]
fn attempts_to_log_in_whose_bodies_stream_by_count_for_their_source_once() {
    let config = "
apis: [{ name: default, upstream: origin, streaming: [/login] }]
policies: [{ name: login, mode: enforce, rate: { login: { account: user, per_account: { attempts: 1, per: 1h }, per_source: { attempts: 2, per: 1h } } } }]
";
    let counters = Counters::default();
    let snapshot = compiled(config, &counters);
    let text = "POST /login HTTP/1.1\nHost: a.example\nContent-Type: application/json\nTransfer-Encoding: chunked";
    let exchange = document::exchange(text, None);
    let attempt = |status: u16, is_told_of_its_end: bool| {
        let connection = host::connection(&exchange);
        let begun = exchange.time.unwrap();
        let mut inspection = Inspection::new(Arc::clone(&snapshot), &connection, ID, Source::Gateway, begun);
        let step = host::head(&mut inspection, &exchange, |question| panic!("{question:?}"));
        assert_ne!(step, Step::Hold, "nothing of it is held");
        if matches!(step, Step::Stop(_)) {
            return inspection.decision().check.as_ref().map(ToString::to_string);
        }
        if is_told_of_its_end {
            inspection.request_end();
        }
        inspection.response_head(&bartizan_model::ResponseHead { status, headers: &[] });
        inspection.finish(Outcome { status, ..Outcome::default() }, begun);
        None
    };
    assert_eq!([attempt(200, false), attempt(200, true), attempt(401, true), attempt(401, false)], [const { None }; 4]);
    assert_eq!(attempt(401, false).as_deref(), Some("LIM-207"), "though nobody said that the requests had ended");
    let outcomes = counters.limit_outcomes();
    assert_eq!((outcomes[0].allowed, outcomes[0].limited), (4, 1));
}
