//! Which target gets a request, health checks, retries, names.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use bartizan_config::{Balance, Config, HashKey, HealthCheck, HealthProbe};
use tokio::net::TcpListener;

use crate::support::{Client, Gate, Origin, answer, config, get, request};

async fn origins<const N: usize>() -> [Origin; N] {
    let mut all = Vec::new();
    for name in ["0", "1", "2", "3"].into_iter().take(N) {
        all.push(Origin::saying(name).await);
    }
    all.try_into().unwrap_or_else(|_| panic!("four names"))
}

fn ports(origins: &[Origin]) -> Vec<u16> {
    origins.iter().map(|origin| origin.port).collect()
}

async fn counts(gate: &Gate, requests: usize, path: impl Fn(usize) -> String) -> [usize; 4] {
    let mut counts = [0; 4];
    let mut client = Client::connect(gate.address).await;
    for index in 0..requests {
        client.send(path(index)).await;
        let response = client.response().await;
        assert_eq!(response.status, 200);
        counts[response.text().parse::<usize>().unwrap()] += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn round_robin_keeps_the_weights_exactly() {
    let origins = origins::<3>().await;
    let mut config = config(&ports(&origins));
    config.upstreams[0].targets[0].weight = NonZeroU32::new(3).unwrap();
    let gate = Gate::start(&config);
    assert_eq!(counts(&gate, 50, |_| get("/")).await, [30, 10, 10, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_keeps_the_weights_roughly() {
    let origins = origins::<2>().await;
    let mut config = config(&ports(&origins));
    config.upstreams[0].balance = Balance::Random;
    config.upstreams[0].targets[0].weight = NonZeroU32::new(3).unwrap();
    let gate = Gate::start(&config);
    let [first, second, ..] = counts(&gate, 400, |_| get("/")).await;
    // 300 expected, deviation 8.7: seven deviations on either side
    assert!((240..=360).contains(&first) && first + second == 400, "{first} and {second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consistent_hash_sends_a_key_to_one_target_and_keys_to_all() {
    let origins = origins::<4>().await;
    let by = |key| {
        let mut config = config(&ports(&origins));
        config.upstreams[0].balance = Balance::ConsistentHash(key);
        Gate::start(&config)
    };
    let tenant = |name: usize| format!("GET /p{name} HTTP/1.1\r\nHost: a\r\nX-Tenant: {name}\r\n\r\n");
    for key in [HashKey::Path, HashKey::Header("x-tenant".into())] {
        let gate = by(key.clone());
        assert!(counts(&gate, 200, tenant).await.iter().all(|count| *count > 10), "{key:?} spreads");
        let same = counts(&gate, 20, |_| tenant(7)).await;
        assert!(same.contains(&20), "{key:?} stays: {same:?}");
    }
    let gate = by(HashKey::ClientAddress);
    assert!(counts(&gate, 20, tenant).await.contains(&20), "one client stays");
    let gate = by(HashKey::Header("x-absent".into()));
    assert!(counts(&gate, 20, tenant).await.contains(&20), "without the header the client counts");
}

/// An origin whose `/health` says what the flag says.
async fn moody(healthy: Arc<AtomicBool>, name: &'static str) -> Origin {
    Origin::start(move |mut conn| {
        let healthy = healthy.clone();
        async move {
            while let Some(seen) = conn.request().await {
                if seen.line().contains("/health") && !healthy.load(SeqCst) {
                    conn.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
                } else {
                    conn.send(&answer(name.as_bytes())).await;
                }
            }
        }
    })
    .await
}

fn checked(ports: &[u16], probe: HealthProbe) -> Config {
    let mut config = config(ports);
    config.upstreams[0].health = Some(HealthCheck {
        probe,
        interval_ms: 10,
        timeout_ms: 1000,
        unhealthy_after: NonZeroU32::new(2).unwrap(),
        healthy_after: NonZeroU32::new(2).unwrap(),
    });
    config
}

/// Waits until the health of the targets is this.
async fn health(gate: &Gate, expected: &[bool]) {
    let reached = async {
        loop {
            let upstreams = gate.handle.upstreams();
            let now: Vec<bool> = upstreams[0].targets.iter().map(|target| target.healthy).collect();
            if now == expected {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), reached).await.expect("the health changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sick_target_is_taken_out_and_back() {
    let healthy = Arc::new(AtomicBool::new(true));
    let (first, second) = (moody(healthy.clone(), "0").await, moody(Arc::new(true.into()), "1").await);
    let probe = HealthProbe::Http { path: "/health?deep=1".into(), host: Some("check.example".into()) };
    let gate = Gate::start(&checked(&[first.port, second.port], probe));
    healthy.store(false, SeqCst);
    health(&gate, &[false, true]).await;
    assert_eq!(gate.handle.upstreams()[0].targets[0].detail, "answered with status 503");
    assert_eq!(counts(&gate, 20, |_| get("/")).await, [0, 20, 0, 0]);
    healthy.store(true, SeqCst);
    health(&gate, &[true, true]).await;
    assert_eq!(counts(&gate, 20, |_| get("/")).await, [10, 10, 0, 0]);
    let asked = first.seen().into_iter().find(|seen| seen.line() == "GET /health?deep=1 HTTP/1.1").unwrap();
    assert_eq!(asked.header("host"), Some("check.example"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_target_is_taken_out_by_a_tcp_check_and_all_dead_is_502() {
    let (first, second) = (Origin::saying("0").await, Origin::saying("1").await);
    let gate = Gate::start(&checked(&[first.port, second.port], HealthProbe::Tcp));
    drop(first);
    health(&gate, &[false, true]).await;
    assert_eq!(counts(&gate, 10, |_| get("/")).await, [0, 10, 0, 0]);
    drop(second);
    health(&gate, &[false, false]).await;
    assert_eq!(request(gate.address, get("/")).await.status, 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_be_reached_is_passed_over_whatever_the_method() {
    let live = Origin::echo().await;
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mut config = config(&[dead, live.port]);
    let gate = Gate::start(&config);
    let post = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabc";
    for _ in 0..4 {
        assert_eq!(request(gate.address, post).await.text(), "abc");
    }
    assert_eq!(gate.handle.stats().upstream_retries_total, 2);
    config.upstreams[0].retries_max = 0;
    let gate = Gate::start(&config);
    let mut statuses = [request(gate.address, post).await.status, request(gate.address, post).await.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 502]);
}

/// Breaks every connection off after a request, without an answer, `failures` times; then answers.
async fn breaking(failures: usize) -> (Origin, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = requests.clone();
    let origin = Origin::start(move |mut conn| {
        let counted = counted.clone();
        async move {
            while let Some(seen) = conn.request().await {
                if counted.fetch_add(1, SeqCst) < failures {
                    return;
                }
                conn.send(&answer(&seen.body)).await;
            }
        }
    })
    .await;
    (origin, requests)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_idempotent_requests_that_got_no_answer_are_sent_again() {
    for (method, failures, status, sent) in
        [("GET", 1, 200, 2), ("PUT", 1, 200, 2), ("POST", 1, 502, 1), ("PATCH", 1, 502, 1), ("GET", 5, 502, 2)]
    {
        let (origin, requests) = breaking(failures).await;
        let gate = Gate::start(&config(&[origin.port]));
        let body = "x".repeat(20_000);
        let framed = format!("{method} / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 20000\r\n\r\n{body}");
        let response = request(gate.address, framed).await;
        assert_eq!((response.status, requests.load(SeqCst)), (status, sent), "{method}, {failures} failures");
        if status == 200 {
            assert!(response.body == body.as_bytes(), "{method}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_body_is_sent_again_whole() {
    let (origin, _) = breaking(1).await;
    let mut gate = Gate::start(&config(&[origin.port]));
    let body = "y".repeat(50_000);
    let chunked =
        format!("PUT / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\nc350\r\n{body}\r\n0\r\n\r\n");
    let response = request(gate.address, chunked).await;
    assert!(response.status == 200 && response.body == body.as_bytes(), "{}", response.status);
    assert_eq!(gate.event().await.request_bytes, 50_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_that_cannot_be_sent_again_is_not_sent_in_part() {
    let (origin, requests) = breaking(1).await;
    let gate = Gate::start(&config(&[origin.port]));
    let body = "z".repeat(200_000);
    let framed = format!("PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 200000\r\n\r\n{body}");
    assert_eq!(request(gate.address, framed).await.status, 502);
    assert_eq!(requests.load(SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_resolved_and_an_unknown_one_is_told() {
    let origin = Origin::saying("named").await;
    let mut config = config(&[origin.port]);
    config.upstreams[0].targets[0].host = "localhost".into();
    config.upstreams[0].retries_max = 2; // localhost may be ::1 first
    let gate = Gate::start(&config);
    assert_eq!(request(gate.address, get("/")).await.text(), "named");
    config.upstreams[0].targets[0].host = "nowhere.invalid".into();
    let gate = Gate::start(&config);
    assert_eq!(request(gate.address, get("/")).await.status, 502);
    assert_eq!(gate.handle.upstreams()[0].targets[0].detail, "the name could not be resolved");
}
