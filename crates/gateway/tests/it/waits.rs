//! How long a client may take, and how many there may be: idle connections, heads and bodies that trickle, the cap.

use std::time::{Duration, Instant};

use bartizan_model::{Ending, Event};
use bytes::Bytes;

use crate::http2::Http2;
use crate::support::{Client, Gate, Origin, config, get};

fn reason(event: &Event) -> &str {
    assert_eq!(event.ending, Ending::Malformed, "{event:?}");
    &event.findings[0].evidence
}

/// Idle connections end after 300 ms; all else takes long.
async fn idle_gate() -> (Origin, Gate) {
    gate_with_idle(300).await
}

async fn gate_with_idle(ms: u64) -> (Origin, Gate) {
    let origin = Origin::echo().await;
    let mut config = config(&[origin.port]);
    config.limits.keepalive_timeout_ms = ms;
    let gate = Gate::start(&config);
    (origin, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_silent_after_a_request_is_closed_without_an_event() {
    let (_origin, mut gate) = idle_gate().await;
    let mut client = Client::connect(gate.address).await;
    for _ in 0..2 {
        client.send(get("/")).await;
        assert_eq!(client.response().await.status, 200);
        assert_eq!(gate.event().await.ending, Ending::Answered);
    }
    assert!(client.try_response().await.is_none());
    gate.stats_once(|stats| stats.connections_open == 0).await;
    assert!(gate.further_events().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_never_says_anything_is_closed_after_one_wait() {
    let (_origin, mut gate) = gate_with_idle(1500).await;
    let begun = Instant::now();
    let mut client = Client::connect(gate.address).await;
    assert!(client.try_response().await.is_none());
    assert!((1500..2800).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    gate.stats_once(|stats| stats.connections_open == 0).await;
    assert!(gate.further_events().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http2_connection_without_requests_is_closed() {
    let (_origin, gate) = idle_gate().await;
    let mut http2 = Http2::connect(gate.address).await;
    let get = http::Request::get("http://a.example/").body(()).unwrap();
    assert_eq!(http2.exchange(get, Vec::new()).await.0.status(), 200);
    gate.stats_once(|stats| stats.connections_total == 1 && stats.connections_open == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_beginning_of_a_head_in_a_pipeline_is_answered_408() {
    let origin = Origin::echo().await;
    let mut config = config(&[origin.port]);
    config.limits.header_timeout_ms = 300;
    let mut gate = Gate::start(&config);
    for first in [get("/"), "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned()] {
        let mut client = Client::connect(gate.address).await;
        client.send([&first, "GET /af"].concat()).await;
        assert_eq!(client.response().await.status, 200);
        assert_eq!(gate.event().await.ending, Ending::Answered);
        assert_eq!(client.response().await.status, 408);
        assert_eq!(reason(&gate.event().await), "header_timeout");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_in_a_pipeline_has_the_same_limit_of_size() {
    let origin = Origin::echo().await;
    let mut config = config(&[origin.port]);
    config.limits.header_bytes_max = 2000;
    let mut gate = Gate::start(&config);
    let mut client = Client::connect(gate.address).await;
    let large = format!("GET /af HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "x".repeat(3000));
    client.send([get("/"), large].concat()).await;
    for status in [200, 431] {
        assert_eq!(client.response().await.status, status);
    }
    gate.event().await;
    assert_eq!(reason(&gate.event().await), "header_too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_pipeline_with_bodies_is_answered_in_order() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&config(&[origin.port]));
    let mut client = Client::connect(gate.address).await;
    let mut bytes = Vec::new();
    for number in 0..200 {
        let body = "x".repeat(number * 7 % 300);
        bytes.extend(match number % 3 {
            0 => get(&format!("/{number}")),
            1 => format!("POST /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
            _ => format!(
                "POST /{number} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nT: 1\r\n\r\n"
            ),
        }
        .into_bytes());
    }
    client.send(bytes).await;
    for number in 0..200 {
        let response = client.response().await;
        let expected = match number % 3 {
            0 => 0,
            1 => number * 7 % 300,
            _ => 3,
        };
        assert_eq!((response.status, response.body.len()), (200, expected), "{number}");
    }
    assert_eq!(origin.seen().len(), 200);
}

/// Bodies have 400 ms beside their size.
async fn slow_body_gate() -> (Origin, Gate) {
    let origin = Origin::echo().await;
    let mut config = config(&[origin.port]);
    config.limits.body_timeout_ms = 400;
    config.apis[0].streaming = vec![bartizan_config::PathPattern("/stream/**".into())];
    let gate = Gate::start(&config);
    (origin, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_is_answered_408() {
    let (_origin, mut gate) = slow_body_gate().await;
    for head in ["Content-Length: 1000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"] {
        let mut client = Client::connect(gate.address).await;
        client.send(format!("POST /a HTTP/1.1\r\nHost: a.example\r\n{head}")).await;
        let piece = if head.starts_with('C') { "x" } else { "1\r\nx\r\n" };
        let (status, event) = tokio::join!(
            async {
                let trickle = async {
                    loop {
                        client.io.writable().await.unwrap();
                        let _ = client.io.try_write(piece.as_bytes());
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                };
                let _ = tokio::time::timeout(Duration::from_millis(1500), trickle).await;
                client.response().await.status
            },
            gate.event()
        );
        assert_eq!((status, reason(&event), event.status), (408, "body_timeout", 408), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http2_body_that_trickles_is_answered_408_and_one_of_a_streaming_path_is_not() {
    let (_origin, mut gate) = slow_body_gate().await;
    for (path, expected) in [("/a", 408), ("/stream/a", 200)] {
        let mut http2 = Http2::connect(gate.address).await;
        let (response, mut body) = http2.open(http::Request::post(format!("http://a.example{path}")).body(()).unwrap());
        let trickle = async move {
            for _ in 0..40 {
                if body.send_data(Bytes::from_static(b"x"), false).is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let _ = body.send_data(Bytes::new(), true);
        };
        let (response, ()) = tokio::join!(response, trickle);
        assert_eq!(response.unwrap().status(), expected, "{path}");
        let event = gate.event().await;
        assert_eq!(event.status, expected, "{path}: {event:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http2_head_that_never_ends_is_given_up_and_told() {
    let origin = Origin::echo().await;
    let mut config = config(&[origin.port]);
    config.limits.header_timeout_ms = 300;
    let mut gate = Gate::start(&config);
    let preface: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    for begun in [&b"\0\0\x05\x01\0\0\0\0\x01\x82\x86\x84\x41\x00"[..], b"\0\0\x08\x06"] {
        let mut client = Client::connect(gate.address).await;
        client.send([preface, settings, begun].concat()).await;
        while client.chunk_or_bytes().await {}
        gate.stats_once(|stats| stats.connections_open == 0).await;
        let told = gate.further_events();
        let told: Vec<_> = told.iter().map(|event| (reason(event), event.status)).collect();
        assert!(told.contains(&("header_timeout", 0)), "{told:?}");
    }
}

/// One client may have two connections, and three requests under way.
async fn crowded_gate() -> (Origin, Gate) {
    let origin = Origin::echo().await;
    let mut config = config(&[origin.port]);
    config.limits.connections_per_client_max = 2;
    config.limits.requests_per_client_max = 3;
    config.limits.body_timeout_ms = 60_000;
    let gate = Gate::start(&config);
    (origin, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_has_as_many_connections_as_it_may() {
    let (_origin, mut gate) = crowded_gate().await;
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut client = Client::connect(gate.address).await;
        client.send(get("/")).await;
        assert_eq!(client.response().await.status, 200);
        gate.event().await;
        kept.push(client);
    }
    for _ in 0..3 {
        assert!(Client::connect(gate.address).await.try_response().await.is_none());
    }
    let other = tokio::net::TcpSocket::new_v4().unwrap();
    other.bind(([127, 0, 0, 2], 0).into()).unwrap();
    let mut other = Client::over(other.connect(gate.address).await.unwrap());
    other.send(get("/")).await;
    assert_eq!(other.response().await.status, 200);
    assert_eq!(gate.handle.stats().client_connections_refused_total, 3);
    drop(kept);
    gate.stats_once(|stats| stats.connections_open == 1).await;
    let told = gate.further_events().into_iter().filter(|event| event.ending == Ending::Stopped);
    let told: Vec<String> = told.map(|event| event.findings[0].evidence.to_string()).collect();
    assert_eq!(told, ["too_many_connections", "too_many_connections", "too_many_connections"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_has_as_many_requests_under_way_as_it_may() {
    let (_origin, mut gate) = crowded_gate().await;
    let mut http2 = Http2::connect(gate.address).await;
    let post = || http::Request::post("http://a.example/").body(()).unwrap();
    let mut open: Vec<_> = (0..3).map(|_| http2.open(post())).collect();
    gate.stats_once(|stats| stats.exchanges_open == 3).await;
    let mut second = Client::connect(gate.address).await;
    second.send(get("/")).await;
    assert_eq!(second.response().await.status, 429);
    let event = gate.event().await;
    assert_eq!((event.ending, event.status), (Ending::Stopped, 429));
    assert_eq!((event.findings[0].check.as_str(), &*event.findings[0].evidence), ("ENG-110", "too_many_requests"));
    let (response, mut body) = open.pop().unwrap();
    body.send_data(Bytes::new(), true).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
    gate.event().await;
    gate.stats_once(|stats| stats.exchanges_open == 2).await;
    second.send(get("/")).await;
    assert_eq!(second.response().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_brings_the_connections_of_many() {
    let origin = Origin::echo().await;
    let mut config = config(&[origin.port]);
    config.limits.connections_per_client_max = 1;
    config.limits.requests_per_client_max = 1;
    config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let gate = Gate::start(&config);
    let mut kept = Vec::new();
    for _ in 0..5 {
        let mut client = Client::connect(gate.address).await;
        client.send(get("/")).await;
        assert_eq!(client.response().await.status, 200);
        kept.push(client);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_cap_new_connections_are_closed_and_counted() {
    let origin = Origin::echo().await;
    let mut config = config(&[origin.port]);
    config.limits.connections_max = 2;
    let gate = Gate::start(&config);
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut client = Client::connect(gate.address).await;
        client.send(get("/")).await;
        assert_eq!(client.response().await.status, 200);
        kept.push(client);
    }
    let mut third = Client::connect(gate.address).await;
    assert!(third.try_response().await.is_none());
    let stats = gate.handle.stats();
    assert_eq!((stats.connections_open, stats.connections_total, stats.connections_refused_total), (2, 2, 1));
    drop(kept.pop());
    gate.stats_once(|stats| stats.connections_open == 1).await;
    let mut fourth = Client::connect(gate.address).await;
    fourth.send(get("/")).await;
    assert_eq!(fourth.response().await.status, 200);
}
