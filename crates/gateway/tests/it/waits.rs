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
