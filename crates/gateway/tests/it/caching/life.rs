//! What becomes of kept answers: waiting for one another, growing old, making room, being purged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use bartizan_gateway::Purge;
use bartizan_model::Ending;
use tokio::sync::Semaphore;

use super::{ANYBODY, PUBLIC, cache_stats_once, configuration, get, number, origin};
use crate::support::{Client, Gate, Origin, request, snapshot};

/// An origin that answers as often as permits are given, with these fields.
async fn held(fields: &'static str) -> (Origin, Arc<Semaphore>) {
    let permits = Arc::new(Semaphore::new(0));
    let given = permits.clone();
    let origin = Origin::start(move |mut conn| {
        let permits = permits.clone();
        async move {
            while conn.request().await.is_some() {
                permits.acquire().await.unwrap().forget();
                conn.send(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 1\r\n\r\nx").as_bytes()).await;
            }
        }
    })
    .await;
    (origin, given)
}

/// So many requests for the same at once.
async fn crowd(gate: &Gate, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = Client::connect(gate.address).await;
        client.send(get("/", "")).await;
        clients.push(client);
    }
    clients
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_the_same_wait_for_the_one_that_fetches_it() {
    let (origin, permits) = held(PUBLIC).await;
    let gate = Gate::start(&configuration(origin.port, "enforce", "{ key: [anonymous], wait: 20s }", ""));
    let clients = crowd(&gate, 8).await;
    cache_stats_once(&gate, |stats| stats.waits_total == 7).await;
    permits.add_permits(1);
    for mut client in clients {
        assert_eq!(client.response().await.text(), "x");
    }
    assert_eq!(origin.seen().len(), 1);
    let stats = gate.handle.cache_stats();
    assert_eq!((stats.hits_total, stats.misses_total), (7, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_go_on_their_own_when_the_answer_may_not_be_kept() {
    let (origin, permits) = held("Cache-Control: no-store\r\n").await;
    let gate = Gate::start(&configuration(origin.port, "enforce", "{ key: [anonymous], wait: 20s }", ""));
    let clients = crowd(&gate, 4).await;
    cache_stats_once(&gate, |stats| stats.waits_total == 3).await;
    permits.add_permits(8);
    for mut client in clients {
        assert_eq!(client.response().await.text(), "x");
    }
    assert_eq!(origin.seen().len(), 4, "each has an answer of its own");
    // From now on nobody waits for it.
    for mut client in crowd(&gate, 4).await {
        assert_eq!(client.response().await.text(), "x");
    }
    assert_eq!(gate.handle.cache_stats().waits_total, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_too_long_go_on_their_own() {
    let (origin, permits) = held(PUBLIC).await;
    let gate = Gate::start(&configuration(origin.port, "enforce", "{ key: [anonymous], wait: 50ms }", ""));
    let clients = crowd(&gate, 3).await;
    cache_stats_once(&gate, |stats| stats.misses_total == 3).await;
    permits.add_permits(3);
    for mut client in clients {
        assert_eq!(client.response().await.text(), "x");
    }
    assert_eq!(origin.seen().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_go_on_when_the_fetching_client_goes_away() {
    let (origin, permits) = held(PUBLIC).await;
    let gate = Gate::start(&configuration(origin.port, "enforce", "{ key: [anonymous], wait: 20s }", ""));
    let mut first = Client::connect(gate.address).await;
    first.send(get("/", "")).await;
    cache_stats_once(&gate, |stats| stats.misses_total == 1).await;
    let mut second = Client::connect(gate.address).await;
    second.send(get("/", "")).await;
    cache_stats_once(&gate, |stats| stats.waits_total == 1).await;
    drop(first);
    permits.add_permits(2);
    assert_eq!(second.response().await.text(), "x");
    assert!(origin.seen().len() <= 2);
}

/// An origin that answers until it is told to fail.
async fn failing(fields: &'static str, failure: &'static str) -> (Origin, Arc<AtomicBool>) {
    let fails = Arc::new(AtomicBool::new(false));
    let told = fails.clone();
    let origin = Origin::start(move |mut conn| {
        let fails = fails.clone();
        async move {
            while conn.request().await.is_some() {
                if fails.load(SeqCst) {
                    conn.send(failure.as_bytes()).await;
                    return;
                }
                conn.send(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 4\r\n\r\ngood").as_bytes()).await;
            }
        }
    })
    .await;
    (origin, told)
}

const UNAVAILABLE: &str = "HTTP/1.1 503 x\r\nContent-Length: 3\r\n\r\nbad";

#[tokio::test(flavor = "multi_thread")]
async fn an_old_answer_stands_in_for_an_upstream_that_fails_where_the_policy_says_so() {
    for (failure, cache, fields, is_given) in [
        (UNAVAILABLE, "{ key: [anonymous], ttl: { default: 20ms }, stale_if_error: 1h }", "", true),
        ("", "{ key: [anonymous], ttl: { default: 20ms }, stale_if_error: 1h }", "", true),
        ("nonsense\r\n\r\n", "{ key: [anonymous], ttl: { default: 20ms }, stale_if_error: 1h }", "", true),
        (UNAVAILABLE, "{ key: [anonymous], ttl: { default: 20ms } }", "", false),
        (
            UNAVAILABLE,
            "{ key: [anonymous], ttl: { default: 20ms }, stale_if_error: 1h }",
            "Cache-Control: must-revalidate\r\n",
            false,
        ),
    ] {
        let (origin, fails) = failing(fields, failure).await;
        let mut gate = Gate::start(&configuration(origin.port, "enforce", cache, ""));
        assert_eq!(request(gate.address, get("/", "")).await.text(), "good");
        fails.store(true, SeqCst);
        let asked = origin.seen().len();
        gate.event().await;
        // While the answer is fresh, the origin is not asked.
        let last = loop {
            let response = request(gate.address, get("/", "")).await;
            let event = gate.event().await;
            if origin.seen().len() > asked {
                break (response, event);
            }
        };
        let (response, event) = last;
        match is_given {
            true => {
                assert_eq!((response.status, response.text()), (200, "good"), "{failure}");
                assert!(response.header("age").is_some());
                assert_eq!((event.ending, event.status, event.upstream), (Ending::Answered, 200, None));
                assert_eq!(gate.handle.cache_stats().stale_hits_total, 1);
            }
            false => assert!(response.status >= 500, "{fields}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_request_renews_an_old_answer_others_get_it() {
    let (origin, permits) = held("").await;
    let cache = "{ key: [anonymous], ttl: { default: 20ms }, stale_while_revalidate: 1h, wait: 20s }";
    let gate = Gate::start(&configuration(origin.port, "enforce", cache, ""));
    permits.add_permits(1);
    assert_eq!(request(gate.address, get("/", "")).await.text(), "x");
    // The first request after the answer has grown old fetches, and waits for the origin.
    let mut renewing = loop {
        let before = gate.handle.cache_stats();
        let mut client = Client::connect(gate.address).await;
        client.send(get("/", "")).await;
        let told = before.hits_total + before.misses_total;
        let after = cache_stats_once(&gate, |stats| stats.hits_total + stats.misses_total > told).await;
        if after.misses_total > before.misses_total {
            break client;
        }
        client.response().await;
    };
    for _ in 0..3 {
        assert_eq!(request(gate.address, get("/", "")).await.text(), "x");
    }
    assert!(gate.handle.cache_stats().stale_hits_total >= 3);
    permits.add_permits(1);
    assert_eq!(renewing.response().await.text(), "x");
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_and_what_nobody_asks_for_goes_first() {
    let origin = Origin::start(|mut conn| async move {
        while conn.request().await.is_some() {
            let body = "x".repeat(60_000);
            conn.send(format!("HTTP/1.1 200 OK\r\n{PUBLIC}Content-Length: 60000\r\n\r\n{body}").as_bytes()).await;
        }
    })
    .await;
    let cache = "{ key: [anonymous, query], bytes_max: 1MiB, body_bytes_max: 64KiB }";
    let gate = Gate::start(&configuration(origin.port, "enforce", cache, ""));
    let mut client = Client::connect(gate.address).await;
    for number in 0..100 {
        client.send(get(&format!("/?{number}"), "")).await;
        assert_eq!(client.response().await.body.len(), 60_000);
        let stats = gate.handle.cache_stats();
        assert!(stats.bytes <= 1 << 20, "{stats:?}");
    }
    let stats = cache_stats_once(&gate, |stats| stats.stored_total == 100).await;
    assert!((10..=17).contains(&stats.answers), "{stats:?}");
    assert_eq!(stats.evicted_total, 100 - stats.answers);
    client.send(get("/?99", "")).await;
    client.response().await;
    assert_eq!(gate.handle.cache_stats().hits_total, 1, "the last one is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observing_policy_counts_what_it_would_have_given_and_changes_nothing() {
    let origin = origin("200 OK", PUBLIC).await;
    let gate = Gate::start(&configuration(origin.port, "observe", ANYBODY, ""));
    for expected in ["answer 1", "answer 2", "answer 3"] {
        let response = request(gate.address, get("/", "User-Agent: x\r\n")).await;
        assert_eq!((number(&response), response.header("age")), (expected, None));
        assert_eq!(origin.last().header("user-agent"), Some("x"), "nothing is withheld");
    }
    let stats = gate.handle.cache_stats();
    assert_eq!((stats.would_hits_total, stats.misses_total, stats.hits_total), (2, 1, 0));
    assert!(stats.bytes < 4096, "no body is kept: {stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_purged_is_fetched_anew() {
    let origin = origin("200 OK", PUBLIC).await;
    let gate = Gate::start(&configuration(origin.port, "enforce", ANYBODY, ""));
    let paths = ["/a/1", "/a/2", "/b"];
    let purge = |policy: Option<&str>, api: Option<&str>, path: Option<&str>| Purge {
        policy: policy.map(str::to_owned),
        api: api.map(str::to_owned),
        path_prefix: path.map(str::to_owned),
    };
    for (purge, purged) in [
        (purge(None, None, None), 3),
        (purge(Some("kept"), Some("default"), Some("/a/")), 2),
        (purge(Some("other"), None, None), 0),
        (purge(None, Some("other"), None), 0),
        (purge(None, None, Some("/b")), 1),
    ] {
        for path in paths {
            request(gate.address, get(path, "")).await;
        }
        let before = origin.seen().len();
        assert_eq!(gate.handle.purge_cache(&purge), purged, "{purge:?}");
        assert_eq!(gate.handle.cache_stats().answers, 3 - purged as u64);
        for path in paths {
            request(gate.address, get(path, "")).await;
        }
        assert_eq!(origin.seen().len() - before, purged, "{purge:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_fetched_during_a_purge_is_not_kept() {
    let (origin, permits) = held(PUBLIC).await;
    let gate = Gate::start(&configuration(origin.port, "enforce", ANYBODY, ""));
    let mut client = crowd(&gate, 1).await.remove(0);
    cache_stats_once(&gate, |stats| stats.misses_total == 1).await;
    gate.handle.purge_cache(&Purge::default());
    permits.add_permits(2);
    assert_eq!(client.response().await.text(), "x");
    assert_eq!(request(gate.address, get("/", "")).await.text(), "x");
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_empties_what_it_concerns_and_nothing_else() {
    let origin = origin("200 OK", PUBLIC).await;
    let config = configuration(origin.port, "enforce", ANYBODY, "");
    let gate = Gate::start(&config);
    let mut changed = config.clone();
    changed.policies[0].scope.methods = vec!["GET".into()];
    let mut rerouted = changed.clone();
    rerouted.apis[0].host_header = bartizan_config::HostHeader::Replace("inner.example".into());
    let mut slower = rerouted.clone();
    slower.limits.body_timeout_ms += 1;
    request(gate.address, get("/", "")).await;
    for (generation, config, answers) in [(2, &config, 1), (3, &changed, 0), (4, &rerouted, 0), (5, &slower, 1)] {
        gate.handle.reload(config, snapshot(config, generation)).unwrap();
        assert_eq!(gate.handle.cache_stats().answers, answers, "{generation}");
        request(gate.address, get("/", "")).await;
    }
    gate.handle.publish(snapshot(&slower, 6));
    assert_eq!(gate.handle.cache_stats().answers, 1, "endpoints were learned");
}
