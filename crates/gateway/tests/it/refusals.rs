//! Requests that Pingora would refuse by itself, or wait for: an answer of ours and one event each.

use bartizan_model::{Ending, Event, HttpVersion};
use tokio::io::AsyncWriteExt;

use crate::http2::Http2;
use crate::support::{Client, Gate, Origin, config, get, quick_config, request};

fn reason(event: &Event) -> &str {
    assert_eq!(event.ending, Ending::Malformed, "{event:?}");
    &event.findings[0].evidence
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_http_is_answered_by_us_and_told_once() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    for (bytes, status, expected) in [
        (&b"GET\r\n\r\n"[..], 400, "bad_request_line"),
        (b"\0\x01\x02\r\n\r\n", 400, "bad_request_line"),
        (b"GET / HTTP/7.1\r\nHost: a\r\n\r\n", 505, "bad_version"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA B: c\r\n\r\n", 400, "bad_header_field"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400, "bad_header_field"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, "bad_framing"),
        (b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_framing"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400, "bad_framing"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_authority"),
        (b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 400, "bad_authority"),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501, "connect_method"),
    ] {
        let response = request(gate.address, bytes).await;
        let shown = bytes.escape_ascii().to_string();
        assert_eq!(response.status, status, "{shown}");
        assert_eq!(response.header("content-type"), Some("application/problem+json"), "{shown}");
        let event = gate.event().await;
        assert_eq!(reason(&event), expected, "{shown}");
        assert_eq!(event.status, status, "{shown}");
        let id = event.id.to_string();
        assert!(response.text().contains(&id) && response.header("x-request-id") == Some(&id), "{shown}");
        assert_eq!(event.client.ip, Some([127, 0, 0, 1].into()));
    }
    assert!(gate.further_events().is_empty());
    assert_eq!(origin.accepted(), 0);
}

/// Each is answered with this status and told with this reason, and none reaches the origin.
async fn check_refused(status: u16, expected: &str, requests: &[&str]) {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    for bytes in requests {
        let response = request(gate.address, bytes).await;
        let shown = bytes.escape_debug().to_string();
        assert_eq!(response.status, status, "{shown}");
        let event = gate.event().await;
        assert_eq!((reason(&event), event.status), (expected, status), "{shown}");
    }
    assert!(gate.further_events().is_empty());
    assert_eq!(origin.accepted(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_only_a_proxy_or_nobody_understands_is_refused() {
    let line = |line: &str| format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
    let requests =
        ["GET foo:/adm", "GET foo://a/adm", "GET adm", "GET ?a", "GET *", "GET a/../adm", "GET ws://a/adm"].map(line);
    check_refused(400, "bad_request_line", &requests.each_ref().map(String::as_str)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_asterisk_of_options_reaches_the_origin() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&config(&[origin.port]));
    assert_eq!(request(gate.address, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").await.status, 200);
    assert_eq!(origin.last().line(), "OPTIONS * HTTP/1.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_line_that_would_have_to_be_mended_is_refused() {
    let line = |line: &str| format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
    let long = format!("GET /{}\u{1}", "a".repeat(5000));
    let lines = [
        "GET  /adm",
        "GET /adm ",
        "GET /a dm",
        "GET /adm\t",
        "GET /a\u{1}dm",
        "GET /a\rdm",
        "GET /a#/adm",
        "GET #",
        &long,
    ];
    let requests = lines.map(line);
    check_refused(400, "bad_request_line", &requests.each_ref().map(String::as_str)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_line_in_two_packets_is_refused_too() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    for (first, second) in
        [("GET  /adm HTTP/1.1\r", "\nHost: a\r\n\r\n"), ("GET /a", "\u{1} HTTP/1.1\r\nHost: a\r\n\r\n")]
    {
        let mut client = Client::connect(gate.address).await;
        client.send(first).await;
        tokio::task::yield_now().await;
        client.send(second).await;
        assert_eq!(client.response().await.status, 400, "{first:?}");
        assert_eq!(reason(&gate.event().await), "bad_request_line", "{first:?}");
    }
    assert_eq!(origin.accepted(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_in_a_pipeline_is_refused_as_the_first_is() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    let chunked = "POST /good HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n";
    for first in [&get("/good"), &format!("{}\r\n", framed("Content-Length: 7")), chunked] {
        for line in ["/a\u{1}b", " /adm", "/a b"] {
            let mut client = Client::connect(gate.address).await;
            client.send([first, get(line).as_str(), get("/never").as_str()].concat()).await;
            for status in [200, 400] {
                assert_eq!(client.response().await.status, status, "{line:?}");
            }
            assert!(client.try_response().await.is_none(), "the connection is closed");
            assert_eq!(gate.event().await.ending, Ending::Answered);
            assert_eq!(reason(&gate.event().await), "bad_request_line", "{line:?}");
        }
    }
    assert!(origin.seen().iter().all(|seen| !seen.line().contains("never")));
}

fn framed(fields: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\nabcde")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_field_cannot_take_away_what_was_inspected() {
    let requests = [
        "Content-Length: 5\r\nConnection: Content-Length",
        "Transfer-Encoding: chunked\r\nConnection: close, transfer-encoding",
        "Content-Length: 5\r\nContent-Type: a/b\r\nConnection: keep-alive, Content-Type",
        "Content-Length: 5\r\nConnection: Host",
        "Content-Length: 5\r\nConnection: Authorization",
        "Content-Length: 5\r\nConnection: X-Forwarded-For",
        "Content-Length: 5\r\nConnection: :path",
        "Content-Length: 5\r\nConnection: a,b,c,d,e,f,g,h,i,j",
    ];
    let requests = requests.map(framed);
    check_refused(400, "bad_framing", &requests.each_ref().map(String::as_str)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_length_that_is_not_one_run_of_digits_is_refused() {
    let requests = [
        "Content-Length: 5, 5",
        "Content-Length: 5,5",
        "Content-Length: +5",
        "Content-Length: 0005",
        "Content-Length: 5\r\nContent-Length: 5",
    ];
    let requests = requests.map(framed);
    check_refused(400, "bad_framing", &requests.each_ref().map(String::as_str)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_coding_other_than_chunked_alone_is_refused() {
    let requests = [
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: ,chunked",
    ];
    let requests = requests.map(framed);
    check_refused(400, "bad_framing", &requests.each_ref().map(String::as_str)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_framed_twice_is_refused() {
    let requests = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "transfer-encoding:Chunked\r\nCONTENT-LENGTH:0",
        "Transfer-Encoding: chunked\r\nContent_Length: 5",
        "Content-Length: 5\r\nTransfer_Encoding: chunked",
    ];
    let requests = requests.map(framed);
    check_refused(400, "bad_framing", &requests.each_ref().map(String::as_str)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_ends_in_a_bare_line_feed_is_refused() {
    let requests = [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\nContent-Length: 5\r\n\r\nhello",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
    ];
    check_refused(400, "bare_line_feed", &requests).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expectation_that_is_not_the_usual_one_is_refused() {
    let requests = ["Expect: x", "Expect: 100-continue, x", "Expect: 100-continue\r\nExpect: 100-continue", "Expect:"];
    let requests = requests.map(|field| framed(&format!("Content-Length: 5\r\n{field}")));
    check_refused(417, "bad_expectation", &requests.each_ref().map(String::as_str)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_breaks_the_grammar_is_refused() {
    let mut origin_saw_the_end = false;
    for body in [
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5;\r\nhello\r\n0\r\n\r\n",
        "5;a=\"b\r\nhello\r\n0\r\n\r\n",
        "5;a\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "\r\n5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5\r\nhello\r\n0\r\nA: b\n\r\n",
        "5\r\nhello\r\n0\r\n folded\r\n\r\n",
    ] {
        let origin = Origin::echo().await;
        let mut gate = Gate::start(&config(&[origin.port]));
        let next = get("/smuggled");
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let response = request(gate.address, [head, body, &next].concat()).await;
        assert_eq!(response.status, 400, "{body:?}");
        let event = gate.event().await;
        assert_eq!((reason(&event), event.status), ("bad_body", 400), "{body:?}");
        assert!(gate.further_events().is_empty(), "{body:?}");
        origin_saw_the_end |= !origin.seen().is_empty();
    }
    assert!(!origin_saw_the_end);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_after_a_good_one_on_the_same_connection_is_told_too() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    let mut client = Client::connect(gate.address).await;
    for separately in [true, false] {
        if separately {
            client.send(get("/good")).await;
            assert_eq!(client.response().await.status, 200);
            assert_eq!(gate.event().await.ending, Ending::Answered);
            client.send("NONSENSE\r\n\r\n").await;
        } else {
            client.send([&get("/good"), "NONSENSE\r\n\r\n"].concat()).await;
            assert_eq!(client.response().await.status, 200);
            assert_eq!(gate.event().await.ending, Ending::Answered);
        }
        assert_eq!(client.response().await.status, 400);
        assert_eq!(reason(&gate.event().await), "bad_request_line");
        assert!(client.try_response().await.is_none(), "the connection is closed");
        client = Client::connect(gate.address).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_host_is_stopped_by_the_engine() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    assert_eq!(request(gate.address, "GET / HTTP/1.1\r\n\r\n").await.status, 400);
    let event = gate.event().await;
    assert_eq!((event.ending, event.findings[0].check.as_str()), (Ending::Stopped, "ENG-103"));
    assert_eq!(origin.accepted(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_beyond_the_limits_are_answered_431() {
    let origin = Origin::echo().await;
    let mut config = config(&[origin.port]);
    config.limits.header_bytes_max = 8000;
    config.limits.header_count_max = 20;
    let mut gate = Gate::start(&config);
    let with = |fields: &str| format!("GET / HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n");
    let long = |bytes: usize| with(&format!("X: {}\r\n", "x".repeat(bytes)));
    assert_eq!(request(gate.address, long(7000)).await.status, 200);
    gate.event().await;
    for (bytes, expected) in [
        (long(8000), "header_too_large"),
        (long(500_000), "header_too_large"),
        (with(&"X: y\r\n".repeat(20)), "too_many_header_fields"),
        (with(&"X: y\r\n".repeat(300)), "too_many_header_fields"),
        (with(&"X: a longer value\r\n".repeat(300)), "too_many_header_fields"),
    ] {
        let response = request(gate.address, &bytes).await;
        assert_eq!(response.status, 431, "{} bytes", bytes.len());
        let event = gate.event().await;
        assert_eq!((reason(&event), event.status), (expected, 431), "{} bytes", bytes.len());
    }
    let mut http2 = Http2::connect(gate.address).await;
    let large = http::Request::get("http://a.example/").header("x", "x".repeat(9000)).body(()).unwrap();
    assert_eq!(http2.exchange(large, Vec::new()).await.0.status(), 431);
    let event = gate.event().await;
    assert_eq!((reason(&event), event.version), ("header_too_large", HttpVersion::Http2));
    assert!(gate.further_events().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_end_in_time_is_answered_408() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&quick_config(&[origin.port]));
    let mut client = Client::connect(gate.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a.exa").await;
    let response = client.response().await; // sent by the deadline, not by anything that this test does
    assert_eq!(response.status, 408);
    let event = gate.event().await;
    assert_eq!((reason(&event), event.status), ("header_timeout", 408));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_breaks_off_is_told_and_a_silent_connection_is_not() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    drop(Client::connect(gate.address).await);
    let mut client = Client::connect(gate.address).await;
    client.send("GET / HT").await;
    client.io.shutdown().await.unwrap();
    let event = gate.event().await;
    assert_eq!((reason(&event), event.status), ("incomplete_head", 0));
    assert!(gate.further_events().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_coming_is_given_up() {
    let origin = Origin::echo().await;
    let mut config = quick_config(&[origin.port]);
    config.upstreams[0].timeouts.read_ms = 10_000; // the client gives up first
    let mut gate = Gate::start(&config);
    for head in ["Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
        let mut client = Client::connect(gate.address).await;
        client.send(format!("POST / HTTP/1.1\r\nHost: a.example\r\n{head}")).await;
        assert_eq!(client.response().await.status, 408, "{head}");
        assert_eq!(reason(&gate.event().await), "body_timeout", "{head}");
    }
}
