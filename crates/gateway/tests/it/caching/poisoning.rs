//! What one client sends does not come back to others; what is one's own is not laid where others find it.

use super::{ANYBODY, PUBLIC, case, check, configuration, get, number, origin};
use crate::support::{Gate, request};

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_the_key_does_not_hold_pass_the_cache_by() {
    let plain = get("/", "");
    for field in [
        "X-Host: evil.example\r\n",
        "X-HTTP-Method-Override: POST\r\n",
        "X-Original-Host: evil.example\r\n",
        "X-Custom-IP-Authorization: 127.0.0.1\r\n",
        "X-Wap-Profile: http://evil.example\r\n",
        "Content-Type: application/json\r\n",
        "Accept-Charset: <script>\r\n",
    ] {
        check(case(field, &get("/", field), &plain, false)).await;
        check(case(field, &plain, &get("/", field), false)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_stranger_says_of_the_way_reaches_a_kept_answer() {
    for field in [
        "X-Forwarded-Host: evil.example\r\n",
        "X-Forwarded-Scheme: evil\r\n",
        "X_Forwarded_Host: evil.example\r\n",
        "X-Forwarded-Prefix: /evil\r\n",
        "X-Original-URL: /evil\r\n",
        "X-Rewrite-URL: /evil\r\n",
        "Forwarded: host=evil.example\r\n",
        "User-Agent: evil\r\n",
        "Referer: https://evil.example/\r\n",
        "Sec-Fetch-Site: evil\r\n",
        "Sec-CH-UA: \"evil\"\r\n",
        "Traceparent: evil\r\n",
        "Tracestate: evil\r\n",
        "X-Request-Id: evil\r\n",
    ] {
        let origin = origin("200 OK", PUBLIC).await;
        let gate = Gate::start(&configuration(origin.port, "enforce", ANYBODY, ""));
        let first = request(gate.address, get("/", field)).await;
        assert!(!first.text().contains("evil"), "{field}: {}", first.text());
        let second = request(gate.address, get("/", "")).await;
        assert_eq!((number(&second), origin.seen().len()), ("answer 1", 1), "{field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_trusted_proxy_passes_on_tells_answers_apart() {
    let origin = origin("200 OK", PUBLIC).await;
    let mut config = configuration(origin.port, "enforce", ANYBODY, "");
    config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let gate = Gate::start(&config);
    for (fields, expected) in [
        ("X-Forwarded-Host: evil.example\r\n", "answer 1"),
        ("", "answer 2"),
        ("X-Forwarded-For: 192.0.2.1\r\n", "answer 2"),
        ("X-Forwarded-Proto: https\r\n", "answer 3"),
        ("X-Forwarded-Port: 8443\r\n", "answer 4"),
        ("X-Forwarded-Host: evil.example\r\n", "answer 1"),
        ("X-Original-URL: /evil\r\n", "answer 5"),
        ("X-Original-URL: /evil\r\n", "answer 6"),
        ("Forwarded: host=evil.example\r\n", "answer 7"),
        ("", "answer 2"),
    ] {
        assert_eq!(number(&request(gate.address, get("/", fields)).await), expected, "{fields}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_servers_read_differently_pass_the_cache_by() {
    for path in [
        "/me;.css",
        "/me;a=b/x.css",
        "/me%2f..%2fx.css",
        "/static/../me",
        "/static/%2e%2e/me",
        "/static/..%2fme",
        "/me%00.css",
        "/me%0a.css",
        "/me%23.css",
        "/me%3f.css",
        "/me\\x.css",
        "//me",
        "/%6de",
        "/me%20",
    ] {
        let twice = get(path, "");
        check(case(path, &twice, &twice, false)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_loosens_only_for_the_paths_that_it_names() {
    let origin = origin("200 OK", PUBLIC).await;
    let mut config = configuration(origin.port, "enforce", ANYBODY, "");
    config.policies[0].scope.paths = vec![bartizan_config::PathPattern("/static/**".into())];
    let gate = Gate::start(&config);
    for (path, is_kept) in [
        ("/static/a.css", true),
        ("/STATIC/a.css", false),
        ("/static;/a", false),
        ("/me/static/a.css", false),
        ("/me", false),
    ] {
        let before = origin.seen().len();
        for _ in 0..2 {
            request(gate.address, get(path, "")).await;
        }
        assert_eq!(origin.seen().len() - before, if is_kept { 1 } else { 2 }, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_the_key_does_not_name_pass_the_cache_by() {
    const BY_PAGE: &str = "{ key: [anonymous, { parameter: page }] }";
    let page = |query: &str| get(&format!("/{query}"), "");
    for (first, second, is_hit) in [
        ("?page=1", "?page=1", true),
        ("", "", true),
        ("?page=1", "?page=2", false),
        ("?page=1", "?page=1&utm=evil", false),
        ("?page=1&utm=evil", "?page=1", false),
        ("?page=1;utm=evil", "?page=1;utm=evil", false),
        ("?x", "?x", false),
    ] {
        check(case("by page", &page(first), &page(second), is_hit).under(BY_PAGE)).await;
    }
    check(case("no query in the key", &page("?a"), &page("?a"), false).under("{ key: [anonymous] }")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_a_check_noticed_is_not_kept() {
    let origin = origin("200 OK", PUBLIC).await;
    let noticing = "  - { name: names, mode: observe, methods: { allow: [POST] } }\n";
    let gate = Gate::start(&configuration(origin.port, "enforce", ANYBODY, noticing));
    for expected in ["answer 1", "answer 2"] {
        assert_eq!(number(&request(gate.address, get("/", "")).await), expected);
    }
    assert_eq!(gate.handle.cache_stats().stored_total, 0);
}
