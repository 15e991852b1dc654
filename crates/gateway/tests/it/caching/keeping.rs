//! Which answers are kept, and which requests get them.

use bartizan_config::PolicyRule;
use bartizan_model::{Ending, Mode};

use super::{ANYBODY, PUBLIC, case, check, configuration, get, head, number, origin};
use crate::support::{Client, Gate, Origin, header, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_request_for_the_same_is_answered_from_what_was_kept() {
    let origin =
        origin("200 OK", "Cache-Control: max-age=60\r\nETag: \"1\"\r\nConnection: x-hop\r\nX-Hop: 1\r\n").await;
    let mut gate = Gate::start(&configuration(origin.port, "enforce", ANYBODY, ""));
    let first = request(gate.address, get("/a?x=1", "")).await;
    let second = request(gate.address, get("/a?x=1", "")).await;
    assert_eq!((number(&first), number(&second)), ("answer 1", "answer 1"));
    assert_eq!(second.header("etag"), Some("\"1\""));
    assert_eq!(second.header("age"), Some("0"));
    assert_eq!(second.header("x-hop"), None, "fields of one connection are not kept");
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"), "each exchange has its own id");
    let (first, second) = (gate.event().await, gate.event().await);
    assert_eq!((first.ending, second.ending), (Ending::Answered, Ending::Answered));
    assert_eq!(first.upstream.as_deref(), Some("origin"));
    assert_eq!((second.upstream.as_deref(), second.upstream_us), (None, None), "no upstream took part");
    assert_eq!(second.response_bytes, first.response_bytes);
    assert_eq!(second.missing.words().count(), 0, "{:?}", second.missing);
    let recorded = gate.exchanges.lock().unwrap().pop().unwrap();
    assert!(recorded.response.unwrap().body.unwrap().starts_with(b"answer 1"));
    let stats = gate.handle.cache_stats();
    assert_eq!((stats.hits_total, stats.misses_total, stats.stored_total, stats.answers), (1, 1, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_policy_nothing_is_kept() {
    let origin = origin("200 OK", PUBLIC).await;
    let gate = Gate::start(&configuration(origin.port, "off", ANYBODY, ""));
    for expected in ["answer 1", "answer 2"] {
        assert_eq!(number(&request(gate.address, get("/", "User-Agent: x\r\n")).await), expected);
    }
    assert!(origin.last().header("user-agent").is_some(), "nothing is withheld");
    assert_eq!(gate.handle.cache_stats(), bartizan_gateway::CacheStats::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_kept_as_its_own_fields_say() {
    let plain = get("/", "");
    for (name, fields, is_hit) in [
        ("public", PUBLIC, true),
        ("for a minute", "Cache-Control: max-age=60\r\n", true),
        ("says nothing", "", false),
        ("no-store", "Cache-Control: no-store, max-age=60\r\n", false),
        ("private", "Cache-Control: private, max-age=60\r\n", false),
        ("private, in another field", "Cache-Control: max-age=60\r\nCACHE-CONTROL: PRIVATE\r\n", false),
        ("no-cache", "Cache-Control: no-cache, max-age=60\r\n", false),
        ("old", "Cache-Control: max-age=60\r\nAge: 61\r\n", false),
        ("a cookie", "Cache-Control: public, max-age=60\r\nSet-Cookie: session=of-the-first\r\n", false),
        ("varies by everything", "Cache-Control: max-age=60\r\nVary: *\r\n", false),
        ("expired", "Expires: 0\r\n", false),
    ] {
        check(case(name, &plain, &plain, is_hit).answered(fields)).await;
    }
    let kept = "{ key: [anonymous], ttl: { default: 1m } }";
    check(case("says nothing, and the policy does", &plain, &plain, true).answered("").under(kept)).await;
    let own = "{ key: [anonymous], ttl: { default: 1m }, respect_cache_control: false }";
    check(case("the policy's own time", &plain, &plain, true).answered("Cache-Control: max-age=0\r\n").under(own))
        .await;
    check(case("private all the same", &plain, &plain, false).answered("Cache-Control: private\r\n").under(own)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_get_for_the_same_gets_it() {
    let plain = get("/a", "");
    let post = "POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n";
    for (name, first, second, is_hit) in [
        ("the same", plain.clone(), plain.clone(), true),
        ("another path", plain.clone(), get("/b", ""), false),
        ("another case", plain.clone(), get("/A", ""), false),
        ("a slash more", plain.clone(), get("/a/", ""), false),
        ("a query", plain.clone(), get("/a?x", ""), false),
        ("an empty query", plain.clone(), get("/a?", ""), false),
        ("another order", get("/a?x=1&y=2", ""), get("/a?y=2&x=1", ""), false),
        ("another host", plain.clone(), plain.replace("a.example", "b.example"), false),
        ("another port", plain.clone(), plain.replace("a.example", "a.example:81"), false),
        ("POST, then GET", post.to_owned(), plain.clone(), false),
        ("GET, then POST", plain.clone(), post.to_owned(), false),
        ("a part", plain.clone(), get("/a", "Range: bytes=0-1\r\n"), false),
        ("a part first", get("/a", "Range: bytes=0-1\r\n"), plain.clone(), false),
        ("if the part is as it was", plain.clone(), get("/a", "If-Range: \"1\"\r\n"), false),
        ("under a condition for the upstream", plain.clone(), get("/a", "If-Match: \"1\"\r\n"), false),
        ("the client wants it fresh", plain.clone(), get("/a", "Cache-Control: no-cache\r\n"), false),
        ("the client wants nothing kept", get("/a", "Cache-Control: no-store\r\n"), plain.clone(), false),
        ("an upgrade", plain.clone(), get("/a", "Connection: upgrade\r\nUpgrade: x\r\n"), false),
        ("another language", plain.clone(), get("/a", "Accept-Language: fr\r\n"), false),
        ("another media type", get("/a", "Accept: text/html\r\n"), get("/a", "Accept: */*\r\n"), false),
        (
            "another origin",
            get("/a", "Origin: https://a.example\r\n"),
            get("/a", "Origin: https://b.example\r\n"),
            false,
        ),
    ] {
        check(case(name, &first, &second, is_hit)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_with_a_body_passes_the_cache_by() {
    let fat = "GET /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\n{}";
    let chunked = "GET /a HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    for body in [fat, chunked] {
        check(case("a body first", body, &get("/a", ""), false)).await;
        check(case("a body then", &get("/a", ""), body, false)).await;
    }
    // The connection goes on after a hit, and the next request is read from where it begins.
    let origin = origin("200 OK", PUBLIC).await;
    let gate = Gate::start(&configuration(origin.port, "enforce", ANYBODY, ""));
    let mut client = Client::connect(gate.address).await;
    client.send([get("/a", ""), get("/a", ""), fat.to_owned(), get("/a", "")].concat()).await;
    let mut numbers = Vec::new();
    for _ in 0..4 {
        numbers.push(number(&client.response().await).to_owned());
    }
    assert_eq!(numbers, ["answer 1", "answer 1", "answer 2", "answer 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_is_answered_from_a_get_and_keeps_nothing() {
    let origin = origin("200 OK", PUBLIC).await;
    let gate = Gate::start(&configuration(origin.port, "enforce", ANYBODY, ""));
    assert!(header(&head(&gate, "/a", "").await, "age").is_none());
    assert!(origin.last().line().starts_with("HEAD "), "the origin is asked what the client asked");
    let whole = request(gate.address, get("/a", "")).await;
    assert_eq!(number(&whole), "answer 2", "the answer to a HEAD was not kept");
    let kept = head(&gate, "/a", "").await;
    assert!(kept.starts_with("HTTP/1.1 200"), "{kept}");
    assert_eq!(header(&kept, "content-length"), Some(whole.body.len().to_string().as_str()));
    assert_eq!(header(&kept, "age"), Some("0"));
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_the_answer_is_told_that_nothing_has_changed() {
    let dated = "Cache-Control: max-age=60\r\nETag: \"v1\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let origin = origin("200 OK", dated).await;
    let gate = Gate::start(&configuration(origin.port, "enforce", ANYBODY, ""));
    request(gate.address, get("/", "")).await;
    for (condition, status) in [
        ("If-None-Match: \"v1\"\r\n", 304),
        ("If-None-Match: W/\"v1\", \"v0\"\r\n", 304),
        ("If-None-Match: \"v2\"\r\n", 200),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 304),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 200),
        ("If-None-Match: \"v2\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 200),
    ] {
        let mut client = Client::connect(gate.address).await;
        client.send([get("/", condition), get("/", "")].concat()).await;
        let response = client.response().await;
        assert_eq!(response.status, status, "{condition}");
        assert_eq!(response.header("etag"), Some("\"v1\""));
        assert_eq!(number(&client.response().await), "answer 1", "the connection goes on after {condition}");
    }
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_whole_answers_of_the_listed_statuses_are_kept() {
    for (status, is_kept) in [
        ("200 OK", true),
        ("203 x", true),
        ("301 x", true),
        ("404 x", true),
        ("206 x", false),
        ("302 x", false),
        ("401 x", false),
        ("500 x", false),
        ("503 x", false),
    ] {
        let origin = origin(status, "Cache-Control: public, max-age=60\r\nLocation: /\r\n").await;
        let gate = Gate::start(&configuration(origin.port, "enforce", ANYBODY, ""));
        for _ in 0..2 {
            let _ = head_of_any(&gate).await;
        }
        assert_eq!(origin.seen().len(), if is_kept { 1 } else { 2 }, "{status}");
    }
}

/// Sends a GET and reads the head alone.
async fn head_of_any(gate: &Gate) -> String {
    let mut client = Client::connect(gate.address).await;
    client.send(get("/", "Connection: close\r\n")).await;
    let head = client.head().await.unwrap();
    while client.chunk_or_bytes().await {}
    head
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_body_is_kept_too() {
    let origin = Origin::start(|mut conn| async move {
        while conn.request().await.is_some() {
            conn.send(b"HTTP/1.1 301 x\r\nCache-Control: max-age=60\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n")
                .await;
        }
    })
    .await;
    let gate = Gate::start(&configuration(origin.port, "enforce", ANYBODY, ""));
    for _ in 0..2 {
        let response = request(gate.address, get("/a", "")).await;
        assert_eq!((response.status, response.header("location"), response.text()), (301, Some("/b"), ""));
        super::cache_stats_once(&gate, |stats| stats.stored_total == 1).await;
    }
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_or_has_no_end_is_not_kept() {
    for answer in [
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n\r\nabc",
    ] {
        let origin = Origin::start(move |mut conn| async move {
            conn.request().await;
            conn.send(answer.as_bytes()).await;
        })
        .await;
        let gate = Gate::start(&configuration(origin.port, "enforce", ANYBODY, ""));
        for _ in 0..2 {
            head_of_any(&gate).await;
        }
        assert_eq!(origin.seen().len(), 2, "{answer}");
        assert_eq!(gate.handle.cache_stats().stored_total, 0, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_chunks_is_kept_whole_and_given_with_its_length() {
    let origin = Origin::start(|mut conn| async move {
        while conn.request().await.is_some() {
            let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n";
            conn.send(format!("{head}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").as_bytes()).await;
        }
    })
    .await;
    let gate = Gate::start(&configuration(origin.port, "enforce", ANYBODY, ""));
    assert_eq!(request(gate.address, get("/", "")).await.text(), "abcde");
    let kept = request(gate.address, get("/", "")).await;
    assert_eq!((kept.text(), kept.header("content-length")), ("abcde", Some("5")));
    assert_eq!(kept.header("transfer-encoding"), None);
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_the_limit_passes_whole_and_is_not_kept() {
    let small = "{ key: [anonymous], body_bytes_max: 4KiB }";
    for framing in ["Content-Length: 5000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n1388\r\n"] {
        let origin = Origin::start(move |mut conn| async move {
            while conn.request().await.is_some() {
                let end = if framing.starts_with('T') { "\r\n0\r\n\r\n" } else { "" };
                let head = format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n{framing}");
                conn.send(format!("{head}{}{end}", "x".repeat(5000)).as_bytes()).await;
            }
        })
        .await;
        let gate = Gate::start(&configuration(origin.port, "enforce", small, ""));
        for _ in 0..2 {
            assert_eq!(request(gate.address, get("/", "")).await.body.len(), 5000);
        }
        assert_eq!((origin.seen().len(), gate.handle.cache_stats().stored_total), (2, 0), "{framing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_policy_looks_at_requests_that_are_answered_from_what_was_kept() {
    let origin = origin("200 OK", "Cache-Control: max-age=60\r\nServer: secret/1\r\n").await;
    let mut config = configuration(
        origin.port,
        "enforce",
        ANYBODY,
        "  - { name: pace, mode: enforce, rate: { key: [global], quota: { requests: 2, per: 1h }, announce: true } }
  - { name: answers, mode: enforce, response_headers: {} }
",
    );
    let gate = Gate::start(&config);
    for _ in 0..2 {
        let response = request(gate.address, get("/", "")).await;
        assert_eq!(number(&response), "answer 1");
        assert_eq!((response.header("server"), response.header("x-content-type-options")), (None, Some("nosniff")));
        assert!(response.header("ratelimit").is_some());
    }
    assert_eq!(request(gate.address, get("/", "")).await.status, 429, "a hit counts as a request");
    assert_eq!(origin.seen().len(), 1);

    config.policies.retain(|policy| policy.name == "kept");
    let gate = Gate::start(&config);
    request(gate.address, get("/", "")).await;
    let rule = PolicyRule::Addresses { allow: Vec::new(), deny: vec!["127.0.0.0/8".parse().unwrap()] };
    config.policies.push(crate::support::policy("addresses", Mode::Enforce, rule));
    gate.handle.reload(&config, crate::support::snapshot(&config, 2)).unwrap();
    assert_eq!(request(gate.address, get("/", "")).await.status, 403, "the decision comes first");
    assert_eq!(gate.handle.cache_stats().answers, 1, "and what was kept is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_answer_that_policies_refuse_is_refused_as_the_upstreams_would_be() {
    let origin = origin("200 OK", PUBLIC).await;
    let kept = configuration(origin.port, "enforce", ANYBODY, "");
    let small = "  - { name: small, mode: enforce, rate: { key: [global], response_bytes_max: 64B } }\n";
    let strict = configuration(origin.port, "enforce", ANYBODY, small);
    let mut gate = Gate::start(&kept);
    let first = request(gate.address, get("/", "")).await;
    assert!(first.body.len() > 64);
    gate.event().await;
    gate.handle.reload(&strict, crate::support::snapshot(&strict, 2)).unwrap();
    let mut client = Client::connect(gate.address).await;
    for _ in 0..2 {
        client.send(get("/", "")).await;
        let refused = client.response().await;
        assert_eq!((refused.status, refused.header("content-type")), (502, Some("application/problem+json")));
        assert!(!refused.text().contains("answer 1"), "nothing of the answer goes out");
        let event = gate.event().await;
        assert_eq!((event.ending, event.status), (Ending::Stopped, 502));
    }
    assert_eq!((origin.seen().len(), gate.handle.cache_stats().hits_total), (1, 2));
}
