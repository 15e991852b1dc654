//! One event per exchange, with the right ending; recorded exchanges.

use bartizan_config::PolicyRule;
use bartizan_model::{Action, Ending, Mode};
use tokio::net::TcpListener;

use crate::support::{Client, Gate, Origin, config, get, policy, quick_config, request};

/// A port where nobody listens.
async fn dead_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answered_exchange_is_told_with_its_figures() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    let mut client = Client::connect(gate.address).await;
    for _ in 0..3 {
        client.send("POST /a?x=1 HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello").await;
        assert_eq!(client.response().await.text(), "hello");
        let event = gate.event().await;
        assert_eq!((event.ending, event.status), (Ending::Answered, 200));
        assert_eq!((event.request_bytes, event.response_bytes), (5, 5));
        assert_eq!((&*event.method, &*event.path, &*event.host), ("POST", "/a", "a.example"));
        assert!(event.upstream_us.unwrap() <= event.duration_us);
        assert_eq!(event.missing.words().count(), 0, "{:?}", event.missing);
    }
    let stats = gate.handle.stats();
    assert_eq!((stats.exchanges_total, stats.exchanges_open, stats.connections_total), (3, 0, 1));
    assert_eq!(stats.upstream_connections_total, 1, "connections to upstreams are reused");
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_upstream_is_502_and_a_slow_one_504() {
    let mut gate = Gate::start(&config(&[dead_port().await]));
    let response = request(gate.address, get("/")).await;
    assert_eq!(response.status, 502);
    assert!(response.text().contains("\"title\":\"Bad Gateway\""), "{}", response.text());
    let event = gate.event().await;
    assert_eq!((event.ending, event.status), (Ending::UpstreamUnreachable, 502));

    let slow = Origin::start(|mut conn| async move { drop(conn.rest().await) }).await;
    let mut gate = Gate::start(&quick_config(&[slow.port]));
    assert_eq!(request(gate.address, get("/")).await.status, 504);
    let event = gate.event().await;
    assert_eq!((event.ending, event.status), (Ending::UpstreamTimeout, 504));
    assert_eq!(slow.accepted(), 1, "a slow request is not sent twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_speaks_nonsense_is_502() {
    let origin = Origin::start(|mut conn| async move {
        conn.request().await;
        conn.send(b"nonsense\r\n\r\n").await;
    })
    .await;
    let mut gate = Gate::start(&config(&[origin.port]));
    assert_eq!(request(gate.address, "POST / HTTP/1.1\r\nHost: a.example\r\n\r\n").await.status, 502);
    let event = gate.event().await;
    assert_eq!((event.ending, event.status), (Ending::UpstreamFailed, 502));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_without_an_api_is_404() {
    let origin = Origin::echo().await;
    let mut config = config(&[origin.port]);
    config.apis[0].path_prefix = "/api".into();
    let mut gate = Gate::start(&config);
    let response = request(gate.address, get("/other")).await;
    assert_eq!((response.status, response.header("content-type")), (404, Some("application/problem+json")));
    assert_eq!(gate.event().await.ending, Ending::NoRoute);
    let mut client = Client::connect(gate.address).await;
    client.send("HEAD /other HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(client.head().await.unwrap().starts_with("HTTP/1.1 404"));
    client.send(get("/other")).await;
    assert_eq!(client.response().await.status, 404, "the connection goes on");
    assert_eq!(origin.accepted(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_stops_a_call_only_when_it_enforces() {
    let origin = Origin::echo().await;
    for (mode, status, ending) in [
        (Mode::Enforce, 403, Ending::Stopped),
        (Mode::Observe, 200, Ending::Answered),
        (Mode::Off, 200, Ending::Answered),
    ] {
        let mut config = config(&[origin.port]);
        let rule = PolicyRule::Addresses { allow: Vec::new(), deny: vec!["127.0.0.0/8".parse().unwrap()] };
        config.policies = vec![policy("addresses", mode, rule)];
        let mut gate = Gate::start(&config);
        let response = request(gate.address, get("/")).await;
        assert_eq!(response.status, status);
        let event = gate.event().await;
        assert_eq!((event.ending, event.status), (ending, status));
        assert_eq!(event.decision.action == Action::Deny, mode != Mode::Off);
        assert_eq!(event.decision.applied && event.decision.action == Action::Deny, mode == Mode::Enforce);
        assert_eq!(response.header("x-bartizan-check").is_some(), mode == Mode::Enforce);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_exchanges_are_recorded_and_large_bodies_only_by_size() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    request(gate.address, "PUT /r%2F?q=1 HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello").await;
    gate.event().await;
    let recorded = gate.exchanges.lock().unwrap().pop().unwrap();
    assert_eq!(recorded.request.target, b"/r%2F?q=1");
    assert_eq!(recorded.request.body.as_deref(), Some(&b"hello"[..]));
    let response = recorded.response.unwrap();
    assert_eq!((response.status, response.body.as_deref()), (200, Some(&b"hello"[..])));
    assert_eq!(recorded.client, Some([127, 0, 0, 1].into()));

    let large = vec![b'x'; (1 << 20) + 1];
    let head = format!("PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n", large.len());
    request(gate.address, [head.as_bytes(), &large].concat()).await;
    gate.event().await;
    let recorded = gate.exchanges.lock().unwrap().pop().unwrap();
    assert_eq!((recorded.request.body, recorded.request.body_bytes), (None, Some(large.len() as u64)));
    let response = recorded.response.unwrap();
    assert_eq!((response.body, response.body_bytes), (None, Some(large.len() as u64)));
}
