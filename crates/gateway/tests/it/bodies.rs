//! Request bodies: whole at the origin, or refused.

use bartizan_config::PolicyRule;
use bartizan_model::{Ending, Mode};
use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::http2::Http2;
use crate::support::{Client, Gate, Origin, config, policy, request};

#[derive(Clone, Copy, Debug)]
enum Sending {
    ContentLength,
    Chunked { chunk: usize },
    Http2 { frame: usize, with_length: bool },
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes as u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn chunked(body: &[u8], chunk: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + body.len() / chunk * 8 + 64);
    for piece in body.chunks(chunk) {
        bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// Sends a body and says with which status it was answered, and what came back.
async fn send(gate: &Gate, sending: Sending, body: &[u8]) -> (u16, Vec<u8>) {
    let head = "POST /body HTTP/1.1\r\nHost: a.example\r\n";
    let bytes = match sending {
        Sending::ContentLength => [format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat(),
        Sending::Chunked { chunk } => {
            [format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes(), &chunked(body, chunk)].concat()
        }
        Sending::Http2 { frame, with_length } => {
            let mut http2 = Http2::connect(gate.address).await;
            let request = http::Request::post("http://a.example/body");
            let request = match with_length {
                true => request.header("content-length", body.len()),
                false => request,
            };
            let frames = body.chunks(frame).map(Bytes::copy_from_slice).collect();
            let (response, body, _) = http2.exchange(request.body(()).unwrap(), frames).await;
            return (response.status().as_u16(), body);
        }
    };
    let mut client = Client::connect(gate.address).await;
    let (mut reader, mut writer) = tokio::io::split(&mut client.io);
    let _ = (&mut reader, tokio::io::AsyncWriteExt::write_all(&mut writer, &bytes).await);
    let response = client.response().await;
    (response.status, response.body)
}

fn sendings() -> impl Strategy<Value = Sending> {
    prop_oneof![
        Just(Sending::ContentLength),
        prop_oneof![1000..70_000_usize, Just(65_536), Just(16_384)].prop_map(|chunk| Sending::Chunked { chunk }),
        (1000..40_000_usize, any::<bool>()).prop_map(|(frame, with_length)| Sending::Http2 { frame, with_length }),
    ]
}

fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![
        2 => 0..300_usize,
        4 => 60_000..70_000_usize,
        2 => 47_000..53_000_usize,
        2 => Just(65_536_usize),
        3 => 70_000..1_000_000_usize,
        1 => 1_000_000..10_485_761_usize,
    ]
}

/// The property, for 96 bodies on one gateway: equal at the origin.
#[tokio::test(flavor = "multi_thread")]
async fn every_body_is_equal_at_the_origin() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&config(&[origin.port]));
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        let mut runner = TestRunner::new(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() });
        let tested = runner.run(&(sendings(), sizes()), |(sending, size)| {
            let body = pattern(size);
            let (status, back) = runtime.block_on(send(&gate, sending, &body));
            prop_assert_eq!(status, 200);
            prop_assert_eq!(origin.last().body.len(), size);
            prop_assert!(origin.last().body == body && back == body, "{:?} bytes changed", size);
            Ok(())
        });
        tested.unwrap();
    });
}

/// The same with a policy that refuses more than 300,000 bytes: equal or refused, nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn every_body_is_equal_at_the_origin_or_refused() {
    const MAX: usize = 300_000;
    let origin = Origin::echo().await;
    let mut config = config(&[origin.port]);
    let limits = PolicyRule::Limits {
        target_bytes_max: None,
        header_bytes_max: None,
        header_count_max: None,
        body_bytes_max: Some(MAX as u64),
    };
    config.policies = vec![policy("sizes", Mode::Enforce, limits)];
    let gate = Gate::start(&config);
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        let mut runner = TestRunner::new(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() });
        let tested = runner.run(&(sendings(), sizes()), |(sending, size)| {
            let before = origin.seen().len();
            let body = pattern(size);
            let (status, back) = runtime.block_on(send(&gate, sending, &body));
            if size <= MAX {
                prop_assert_eq!(status, 200);
                prop_assert!(origin.last().body == body && back == body);
            } else {
                prop_assert_eq!(status, 413);
                prop_assert_eq!(origin.seen().len(), before, "nothing whole arrives");
            }
            Ok(())
        });
        tested.unwrap();
    });
}

fn small_bodies(max: u64) -> PolicyRule {
    PolicyRule::Limits {
        target_bytes_max: None,
        header_bytes_max: None,
        header_count_max: None,
        body_bytes_max: Some(max),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_body_of_up_to_64_kib_opens_no_upstream_connection() {
    let origin = Origin::echo().await;
    let mut config = config(&[origin.port]);
    config.policies = vec![policy("sizes", Mode::Enforce, small_bodies(1000))];
    let mut gate = Gate::start(&config);
    for size in [1001, 30_000, 65_536] {
        for sending in [
            Sending::ContentLength,
            Sending::Chunked { chunk: 900 },
            Sending::Chunked { chunk: 65_536 },
            Sending::Http2 { frame: 900, with_length: false },
            Sending::Http2 { frame: 16_384, with_length: true },
        ] {
            let (status, body) = send(&gate, sending, &pattern(size)).await;
            assert_eq!(status, 413, "{sending:?} {size}");
            assert!(body.starts_with(b"{\"type\":\"about:blank\""), "{sending:?} {size}");
            let event = gate.event().await;
            assert_eq!((event.ending, event.status), (Ending::Stopped, 413));
            assert!(event.decision.applied);
        }
    }
    assert_eq!(origin.accepted(), 0);
    assert!(gate.further_events().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_a_held_body_goes_out_before_the_decision() {
    let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let origin = Origin::start(move |mut conn| {
        let heard = heard.clone();
        async move {
            let head = conn.head().await;
            heard.send((head, conn.rest().await)).unwrap();
        }
    })
    .await;
    let mut config = config(&[origin.port]);
    config.policies = vec![policy("sizes", Mode::Enforce, small_bodies(200_000))];
    let gate = Gate::start(&config);
    let (status, _) = send(&gate, Sending::Chunked { chunk: 10_000 }, &pattern(250_000)).await;
    assert_eq!(status, 413);
    let (head, rest) = hears.recv().await.unwrap();
    assert!(head.is_none_or(|head| head.starts_with("POST /body")));
    assert_eq!(rest, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_100_continue_gets_it_when_the_body_is_read_early() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&config(&[origin.port]));
    let mut client = Client::connect(gate.address).await;
    client
        .send("POST / HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    assert_eq!(client.response().await.status, 100);
    assert_eq!(origin.accepted(), 0, "nothing is sent before the body is there");
    client.send("3\r\nabc\r\n0\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!((response.status, response.text()), (200, "abc"));
    assert_eq!(origin.last().header("expect"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_100_continue_gets_the_origins_when_the_body_passes_through() {
    let origin = Origin::start(|mut conn| async move {
        let head = conn.head().await.unwrap();
        assert!(head.to_ascii_lowercase().contains("expect: 100-continue"), "{head}");
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n").await;
        let body = conn.take(3).await.unwrap();
        conn.send(&crate::support::answer(&body)).await;
        conn.rest().await;
    })
    .await;
    let gate = Gate::start(&config(&[origin.port]));
    let mut client = Client::connect(gate.address).await;
    client.send("POST / HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n").await;
    assert_eq!(client.response().await.status, 100);
    client.send("abc").await;
    assert_eq!(client.response().await.text(), "abc");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_request_is_answered_without_100_continue() {
    let origin = Origin::echo().await;
    let mut config = config(&[origin.port]);
    let rule = PolicyRule::Methods { allow: vec!["GET".into()], overrides: Default::default() };
    config.policies = vec![policy("methods", Mode::Enforce, rule)];
    let gate = Gate::start(&config);
    let mut client = Client::connect(gate.address).await;
    client.send("POST / HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!((response.status, response.header("allow")), (405, Some("GET")));
    assert_eq!(origin.accepted(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_denied_upload_gets_its_answer_and_not_a_reset() {
    let origin = Origin::echo().await;
    let mut config = config(&[origin.port]);
    config.policies = vec![policy("sizes", Mode::Enforce, small_bodies(1000))];
    let gate = Gate::start(&config);
    for sending in [Sending::ContentLength, Sending::Chunked { chunk: 20_000 }] {
        assert_eq!(send(&gate, sending, &pattern(5_000_000)).await.0, 413, "{sending:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streaming_route_passes_bodies_as_they_come_and_beyond_the_limit() {
    let origin = Origin::start(|mut conn| async move {
        conn.head().await.unwrap();
        assert_eq!(conn.take(5).await.unwrap(), b"first");
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        conn.rest().await;
    })
    .await;
    let mut config = config(&[origin.port]);
    config.apis[0].body_bytes_max = 3;
    config.apis[0].streaming = vec![bartizan_config::PathPattern("/upload/**".into())];
    let mut gate = Gate::start(&config);
    let mut client = Client::connect(gate.address).await;
    client.send("POST /upload/a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000\r\n\r\nfirst").await;
    let response = client.response().await; // while the rest of the body is still to come
    assert_eq!(response.text(), "ok");
    drop(client);
    assert!(gate.event().await.missing.request_body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_is_not_passed_off_as_whole() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    let mut client = Client::connect(gate.address).await;
    client.send("POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab").await;
    tokio::io::AsyncWriteExt::shutdown(&mut client.io).await.unwrap();
    let event = gate.event().await;
    assert_eq!(event.ending, Ending::ClientClosed);
    assert!(origin.seen().is_empty());
    let response =
        request(gate.address, "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n").await;
    assert_eq!(response.status, 400);
    assert_eq!(gate.event().await.ending, Ending::Malformed);
}
