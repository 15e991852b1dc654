//! Nobody gets the answer of another.

use super::{BY_CALLER, Case, KEYS, PUBLIC, case, check, configuration, get, number, origin, with_keys};
use crate::support::{Gate, request};

fn key(text: &str) -> String {
    format!("X-API-Key: {text}\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_caller_gets_ones_own_answer_and_nobody_gets_neither() {
    let origin = origin("200 OK", PUBLIC).await;
    let config = configuration(origin.port, "enforce", BY_CALLER, KEYS);
    let (snapshot, keys) = with_keys(&config, &["read", "read"]);
    let gate = Gate::start_on(&config, snapshot);
    let [ann, ben] = [key(&keys[0]), key(&keys[1])];
    for (who, expected) in
        [(&ann, "answer 1"), (&ben, "answer 2"), (&String::new(), "answer 3"), (&ann, "answer 1"), (&ben, "answer 2")]
    {
        assert_eq!(number(&request(gate.address, get("/me", who)).await), expected, "{who}");
    }
    assert_eq!(number(&request(gate.address, get("/me", "")).await), "answer 3");
    assert_eq!(gate.handle.cache_stats().answers, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_of_a_group_share_answers_only_where_the_key_says_so() {
    for (cache, expected) in [
        ("{ key: [principal] }", ["answer 1", "answer 2", "answer 3", "answer 4"]),
        ("{ key: [application] }", ["answer 1", "answer 1", "answer 2", "answer 2"]),
        ("{ key: [scopes] }", ["answer 1", "answer 2", "answer 1", "answer 3"]),
        ("{ key: [roles] }", ["answer 1", "answer 2", "answer 1", "answer 3"]),
        ("{ key: [application, scopes] }", ["answer 1", "answer 2", "answer 3", "answer 4"]),
        ("{ key: [anonymous], shared: true }", ["answer 1", "answer 1", "answer 1", "answer 1"]),
    ] {
        let origin = origin("200 OK", PUBLIC).await;
        let config = configuration(origin.port, "enforce", cache, KEYS);
        let (snapshot, keys) = with_keys(&config, &["read", "write", "read", "admin"]);
        let gate = Gate::start_on(&config, snapshot);
        for (who, expected) in keys.iter().zip(expected) {
            assert_eq!(number(&request(gate.address, get("/", &key(who))).await), expected, "{cache}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_caller_is_kept_only_where_the_answer_allows_it() {
    for (fields, cache, is_kept) in [
        ("Cache-Control: max-age=60\r\n", BY_CALLER, false),
        ("Cache-Control: s-maxage=60\r\n", BY_CALLER, true),
        (PUBLIC, BY_CALLER, true),
        ("Cache-Control: private, max-age=60\r\n", BY_CALLER, false),
        ("", "{ key: [principal], respect_cache_control: false, ttl: { default: 1m } }", true),
    ] {
        let origin = origin("200 OK", fields).await;
        let config = configuration(origin.port, "enforce", cache, KEYS);
        let (snapshot, keys) = with_keys(&config, &["read"]);
        let gate = Gate::start_on(&config, snapshot);
        for _ in 0..2 {
            request(gate.address, get("/", &key(&keys[0]))).await;
        }
        assert_eq!(origin.seen().len(), if is_kept { 1 } else { 2 }, "{fields}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_credential_that_nobody_here_verified_passes_the_cache_by() {
    let origin = origin("200 OK", PUBLIC).await;
    let config = configuration(origin.port, "enforce", BY_CALLER, KEYS);
    let (snapshot, keys) = with_keys(&config, &["read"]);
    let gate = Gate::start_on(&config, snapshot);
    // Two people behind one application's key: the upstream tells them apart.
    for (second, expected) in [
        ("Authorization: Bearer ann\r\n", "answer 1"),
        ("Authorization: Bearer ben\r\n", "answer 2"),
        ("Cookie: session=ann\r\n", "answer 3"),
        ("Cookie: session=ben\r\n", "answer 4"),
        ("Proxy-Authorization: Basic x\r\n", "answer 5"),
    ] {
        let fields = key(&keys[0]) + second;
        assert_eq!(number(&request(gate.address, get("/me", &fields)).await), expected, "{second}");
    }
    assert_eq!(gate.handle.cache_stats().answers, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_shows_a_credential_that_nobody_checks_gets_the_upstreams_own_answer() {
    let with = |field: &str| get("/me", field);
    let plain = get("/me", "");
    for credential in [
        "Authorization: Bearer eyJhbGciOiJub25lIn0.e30.\r\n",
        "Authorization: Basic YTpi\r\n",
        "Cookie: session=1\r\n",
        "Cookie: theme=dark\r\n",
        "X-API-Key: 1\r\n",
        "X-Auth-Token: 1\r\n",
    ] {
        check(case("then it is shown", &plain, &with(credential), false)).await;
        check(case("then it is not shown", &with(credential), &plain, false)).await;
        check(case("twice", &with(credential), &with(credential), false)).await;
    }
    let in_query = get("/me?api_key=1234567890abcdef1234567890abcdef", "");
    check(case("in the query", &in_query, &in_query, false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_given_only_to_requests_that_it_varies_for() {
    const BY_TENANT: &str = "{ key: [anonymous, { header: x-tenant }] }";
    let tenant = |name: &str| get("/", &format!("X-Tenant: {name}\r\n"));
    let varying = "Cache-Control: public, max-age=60\r\nVary: X-Tenant, Accept-Encoding\r\n";
    let cases: [Case; 4] = [
        case("the same tenant", &tenant("a"), &tenant("a"), true),
        case("another tenant", &tenant("a"), &tenant("b"), false),
        case("no tenant", &tenant("a"), &get("/", ""), false),
        case("two tenants", &tenant("a"), &get("/", "X-Tenant: a\r\nX-Tenant: b\r\n"), false),
    ];
    for case in cases {
        check(case.under(BY_TENANT).answered(varying)).await;
    }
    // What it varies by is not in the key: the answer was made without it, and those that have it are not given it.
    check(case("unkeyed", &get("/", ""), &tenant("a"), false).answered(varying)).await;
    check(case("unkeyed twice", &get("/", ""), &get("/", ""), true).answered(varying)).await;
    let by_agent = "Cache-Control: public, max-age=60\r\nVary: User-Agent\r\n";
    check(case("by agent", &get("/", "User-Agent: x\r\n"), &get("/", "User-Agent: x\r\n"), false).answered(by_agent))
        .await;
    let keyed = case("by agent, keyed", &get("/", "User-Agent: x\r\n"), &get("/", "User-Agent: x\r\n"), true);
    check(keyed.answered(by_agent).under("{ key: [anonymous, { header: user-agent }] }")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_with_a_new_token_gets_what_varies_by_it_anew() {
    let varying = "Cache-Control: public, max-age=60\r\nVary: X-API-Key\r\n";
    let origin = origin("200 OK", varying).await;
    let config = configuration(origin.port, "enforce", "{ key: [application] }", KEYS);
    let (snapshot, keys) = with_keys(&config, &["read", "read"]);
    let gate = Gate::start_on(&config, snapshot);
    for (who, expected) in [(0, "answer 1"), (1, "answer 2"), (0, "answer 1"), (1, "answer 2")] {
        assert_eq!(number(&request(gate.address, get("/", &key(&keys[who]))).await), expected);
    }
}
