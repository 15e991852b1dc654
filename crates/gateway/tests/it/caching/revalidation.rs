//! Old answers that the upstream is asked to confirm.

use bartizan_gateway::Purge;
use bartizan_model::{CacheStatus, Ending, Event};

use super::{cache_stats_once, configuration, get, number};
use crate::support::{Client, Gate, Origin, Response, header, request};

/// Old at once, nearly.
const SHORT: &str = "{ key: [anonymous], ttl: { default: 20ms } }";

/// Answers with `fields`; a request that asks about one of the validators in them gets a 304 with `confirming`.
async fn origin(fields: &'static str, confirming: &'static str) -> Origin {
    Origin::start(move |mut conn| async move {
        while let Some(seen) = conn.request().await {
            let told = |name: &str| header(&format!("x\r\n{fields}\r\n"), name).map(str::to_owned);
            let asked = |condition: &str, name: &str| {
                seen.header(condition).is_some_and(|value| Some(value) == told(name).as_deref())
            };
            if asked("if-none-match", "etag") || asked("if-modified-since", "last-modified") {
                conn.send(format!("HTTP/1.1 304 x\r\n{confirming}\r\n").as_bytes()).await;
                continue;
            }
            let body = format!("whole\n{}", seen.head);
            conn.send(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
                .await;
        }
    })
    .await
}

/// The first answer that the origin had a part in again, and its event; those before it were hits.
async fn renewed(gate: &mut Gate, origin: &Origin, fields: &str) -> (Response, Event) {
    let before = origin.seen().len();
    loop {
        let response = request(gate.address, get("/", fields)).await;
        let event = gate.event().await;
        if origin.seen().len() > before {
            return (response, event);
        }
        assert_eq!(event.cache_status, Some(CacheStatus::Hit));
    }
}

async fn kept(origin: &Origin, cache: &str) -> Gate {
    let mut gate = Gate::start(&configuration(origin.port, "enforce", cache, ""));
    assert_eq!(number(&request(gate.address, get("/", "")).await), "whole");
    let event = gate.event().await;
    assert_eq!((event.cache_status, event.upstream.as_deref()), (Some(CacheStatus::Miss), Some("origin")));
    gate
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_answer_that_the_upstream_confirms_is_given_and_is_young_again() {
    const DATED: &str = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    for (fields, condition) in [
        ("ETag: \"1\"\r\nX-State: old\r\n", ("if-none-match", "\"1\"")),
        ("ETag: W/\"1\"\r\nX-State: old\r\n", ("if-none-match", "W/\"1\"")),
        (DATED, ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")),
    ] {
        let origin = origin(fields, "Cache-Control: max-age=60\r\nX-State: new\r\nETag: \"other\"\r\n").await;
        let mut gate = kept(&origin, SHORT).await;
        let (response, event) = renewed(&mut gate, &origin, "").await;
        assert_eq!((response.status, number(&response), response.header("x-state")), (200, "whole", Some("new")));
        assert_eq!(origin.last().header(condition.0), Some(condition.1));
        assert_ne!(response.header("etag"), Some("\"other\""), "the validator stays the one that was confirmed");
        assert_eq!((event.cache_status, event.status), (Some(CacheStatus::Revalidated), 200));
        assert_eq!((event.ending, event.upstream.as_deref()), (Ending::Answered, Some("origin")));
        assert!(event.upstream_us.is_some());
        let asked = origin.seen().len();
        for _ in 0..3 {
            let response = request(gate.address, get("/", "")).await;
            assert_eq!((number(&response), response.header("x-state")), ("whole", Some("new")));
            assert_eq!(gate.event().await.cache_status, Some(CacheStatus::Hit));
        }
        let stats = gate.handle.cache_stats();
        assert_eq!((origin.seen().len(), stats.revalidated_total, stats.answers), (asked, 1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_validator_and_one_that_has_changed_are_fetched_whole() {
    for (fields, condition) in [("", None), ("ETag: \"1\"\r\n", Some("\"1\""))] {
        let origin = Origin::start(move |mut conn| async move {
            while conn.request().await.is_some() {
                conn.send(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 5\r\n\r\nwhole").as_bytes()).await;
            }
        })
        .await;
        let mut gate = kept(&origin, SHORT).await;
        let (response, event) = renewed(&mut gate, &origin, "").await;
        assert_eq!((response.status, response.text()), (200, "whole"));
        assert_eq!(origin.last().header("if-none-match"), condition);
        let expected = if condition.is_some() { CacheStatus::Stale } else { CacheStatus::Miss };
        assert_eq!(event.cache_status, Some(expected));
        let stats = gate.handle.cache_stats();
        assert_eq!((stats.revalidated_total, stats.stored_total, stats.answers), (0, 2, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_client_asks_of_its_own_answer_is_answered_from_the_confirmed_one() {
    for (condition, status) in [
        ("If-None-Match: \"1\"\r\n", 304),
        ("If-None-Match: \"0\"\r\n", 200),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 200),
    ] {
        let origin = origin("ETag: \"1\"\r\n", "").await;
        let mut gate = kept(&origin, SHORT).await;
        let before = origin.seen().len();
        // While the answer is young, the condition is answered without the origin.
        let (response, event) = loop {
            let mut client = Client::connect(gate.address).await;
            client.send(get("/", condition)).await;
            let response = client.response().await;
            let event = gate.event().await;
            if origin.seen().len() > before {
                break (response, event);
            }
        };
        assert_eq!(origin.last().header("if-none-match"), Some("\"1\""), "the kept answer's, not the client's");
        assert_eq!(origin.last().header("if-modified-since"), None);
        assert_eq!((response.status, event.status), (status, status), "{condition}");
        assert_eq!(event.cache_status, Some(CacheStatus::Revalidated));
        assert_eq!(response.text().is_empty(), status == 304);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_that_forbids_keeping_is_the_last_that_is_given_of_an_answer() {
    for confirming in [
        "Cache-Control: private\r\n",
        "Cache-Control: no-store\r\n",
        "Set-Cookie: session=of-the-first\r\n",
        "Vary: *\r\n",
        "Expires: 0\r\n",
    ] {
        let origin = origin("ETag: \"1\"\r\n", confirming).await;
        let mut gate = kept(&origin, SHORT).await;
        let (response, event) = renewed(&mut gate, &origin, "").await;
        assert_eq!((response.status, number(&response)), (200, "whole"), "{confirming}");
        assert_eq!(event.cache_status, Some(CacheStatus::Revalidated));
        assert_eq!(gate.handle.cache_stats().answers, 0, "{confirming}");
        let next = request(gate.address, get("/", "")).await;
        assert_eq!((next.status, next.header("set-cookie")), (200, None), "{confirming}");
        assert_eq!(origin.last().header("if-none-match"), None, "there is nothing to confirm");
        assert_eq!(gate.event().await.cache_status, Some(CacheStatus::Miss));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_get_the_answer_that_is_confirmed_for_one() {
    let permits = std::sync::Arc::new(tokio::sync::Semaphore::new(1));
    let given = permits.clone();
    let origin = Origin::start(move |mut conn| {
        let permits = permits.clone();
        async move {
            while let Some(seen) = conn.request().await {
                permits.acquire().await.unwrap().forget();
                let confirms = seen.header("if-none-match").is_some();
                conn.send(match confirms {
                    true => b"HTTP/1.1 304 x\r\nCache-Control: max-age=60\r\n\r\n".as_slice(),
                    false => b"HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 5\r\n\r\nwhole",
                })
                .await;
            }
        }
    })
    .await;
    let mut gate = kept(&origin, "{ key: [anonymous], ttl: { default: 20ms }, wait: 20s }").await;
    // The first request after the answer has grown old asks, and waits for the origin.
    let mut asking = loop {
        let before = gate.handle.cache_stats();
        let mut client = Client::connect(gate.address).await;
        client.send(get("/", "")).await;
        let told = before.hits_total + before.misses_total;
        let after = cache_stats_once(&gate, |stats| stats.hits_total + stats.misses_total > told).await;
        if after.misses_total > before.misses_total {
            break client;
        }
        client.response().await;
        gate.event().await;
    };
    let mut waiting = Client::connect(gate.address).await;
    waiting.send(get("/", "")).await;
    cache_stats_once(&gate, |stats| stats.waits_total == 1).await;
    given.add_permits(1);
    assert_eq!((asking.response().await.text(), waiting.response().await.text()), ("whole", "whole"));
    assert_eq!((origin.seen().len(), gate.handle.cache_stats().revalidated_total), (2, 1));
    let statuses = [gate.event().await.cache_status, gate.event().await.cache_status];
    assert!(statuses.contains(&Some(CacheStatus::Revalidated)) && statuses.contains(&Some(CacheStatus::Hit)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_purged_is_not_asked_about() {
    let origin = origin("ETag: \"1\"\r\nCache-Control: max-age=60\r\n", "").await;
    let mut gate = kept(&origin, SHORT).await;
    assert_eq!(gate.handle.purge_cache(&Purge::default()), 1);
    let response = request(gate.address, get("/", "")).await;
    assert_eq!((number(&response), origin.last().header("if-none-match")), ("whole", None));
    assert_eq!(gate.event().await.cache_status, Some(CacheStatus::Miss));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_answer_that_policies_refuse_is_refused() {
    let origin = origin("ETag: \"1\"\r\n", "").await;
    let mut gate = kept(&origin, "{ key: [anonymous], ttl: { default: 20ms } }").await;
    let small = "  - { name: small, mode: enforce, rate: { key: [global], response_bytes_max: 8B } }\n";
    let strict = configuration(origin.port, "enforce", SHORT, small);
    gate.handle.reload(&strict, crate::support::snapshot(&strict, 2)).unwrap();
    let before = origin.seen().len();
    while origin.seen().len() == before {
        let refused = request(gate.address, get("/", "")).await;
        assert_eq!((refused.status, refused.text().contains("whole")), (502, false));
        assert_eq!(gate.event().await.ending, Ending::Stopped);
    }
    assert_eq!(origin.last().header("if-none-match"), Some("\"1\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_say_what_the_cache_did() {
    let fields = "Cache-Control: max-age=60\r\n";
    for (mode, requests) in [
        (
            "enforce",
            &[("", CacheStatus::Miss), ("", CacheStatus::Hit), ("Range: bytes=0-\r\n", CacheStatus::Bypass)][..],
        ),
        ("observe", &[("", CacheStatus::Miss), ("", CacheStatus::WouldHit)]),
    ] {
        let origin = origin(fields, "").await;
        let mut gate = Gate::start(&configuration(origin.port, mode, SHORT, ""));
        for (fields, expected) in requests {
            request(gate.address, get("/", fields)).await;
            assert_eq!(gate.event().await.cache_status, Some(*expected), "{mode} {fields}");
        }
    }
    let origin = origin(fields, "").await;
    let mut gate = Gate::start(&configuration(origin.port, "off", SHORT, ""));
    request(gate.address, get("/", "")).await;
    assert_eq!(gate.event().await.cache_status, None, "no policy keeps answers");
}
