//! What the origin gets: path bytes, host, forwarding fields.

use bartizan_config::HostHeader;
use bartizan_model::Ending;

use crate::support::{Client, Gate, Origin, config, get, request};

#[tokio::test(flavor = "multi_thread")]
async fn path_bytes_reach_the_origin_unchanged() {
    let origin = Origin::echo().await;
    let gate = Gate::start(&config(&[origin.port]));
    for path in [
        "/",
        "/a%2Fb/c",
        "/a%20b+c",
        "/a/./b/../c/..",
        "//double//slash/",
        "/%2e%2E/%41",
        "/a;v=1,2/b=c",
        "/?q=%2F+%20&&x=&=y?z",
        "/~!$&'()*+,;=:@",
        "/a%00b%0d%0a%zz",
        "/a%E2%82%AC",
        "/a\"b",
        "/a\u{20ac}",
    ] {
        let response = request(gate.address, get(path)).await;
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(origin.last().line(), format!("GET {path} HTTP/1.1"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absolute_target_reaches_the_origin_in_origin_form() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    request(gate.address, "GET http://a.example?x=1 HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
    assert_eq!(origin.last().line(), "GET /?x=1 HTTP/1.1");
    assert_eq!(origin.last().header("host"), Some("a.example"));
    assert_eq!(&*gate.event().await.path, "/");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_is_kept_or_replaced() {
    let origin = Origin::echo().await;
    let mut config = config(&[origin.port]);
    let gate = Gate::start(&config);
    request(gate.address, get("/")).await;
    assert_eq!(origin.last().header("host"), Some("a.example"));
    config.apis[0].host_header = HostHeader::Replace("inner.example".into());
    let gate = Gate::start(&config);
    request(gate.address, get("/")).await;
    assert_eq!(origin.last().header("host"), Some("inner.example"));
    assert_eq!(origin.last().header("x-forwarded-host"), Some("a.example"));
}

const FORGED: &str = "GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\
    X-Forwarded-Host: b.example\r\nForwarded: for=192.0.2.7\r\nX-Request-Id: mine\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn forwarding_fields_of_strangers_are_dropped_and_written_anew() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    let response = request(gate.address, FORGED).await;
    let seen = origin.last();
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.header("x-forwarded-host"), Some("a.example"));
    assert_eq!(seen.header("forwarded"), Some("for=127.0.0.1;host=\"a.example\";proto=http"));
    let event = gate.event().await;
    assert_eq!(event.client.ip, Some([127, 0, 0, 1].into()));
    let id = event.id.to_string();
    assert_eq!(seen.header("x-request-id"), Some(id.as_str()));
    assert_eq!(response.header("x-request-id"), Some(id.as_str()));
}

/// Fields that only a proxy should send, as an upstream might read them.
const PROXY_FIELDS: &[&str] = &[
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-anything",
    "x-real-ip",
    "x-original-url",
    "x-rewrite-url",
    "x_forwarded_for",
    "x-forwarded_host",
    "x_real_ip",
    "X_Original-URL",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_field_that_only_a_proxy_should_send_passes_from_a_stranger() {
    let origin = Origin::echo().await;
    let mut config = config(&[origin.port]);
    let fields: String = PROXY_FIELDS.iter().map(|name| format!("{name}: forged\r\n")).collect();
    let forged = format!("GET / HTTP/1.1\r\nHost: a.example\r\n{fields}X-Real-Ipad: mine\r\n\r\n");
    let gate = Gate::start(&config);
    assert_eq!(request(gate.address, &forged).await.status, 200);
    let seen = origin.last();
    assert!(!seen.head.contains("forged"), "{}", seen.head);
    assert_eq!(seen.header("x-real-ipad"), Some("mine"));

    config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let gate = Gate::start(&config);
    assert_eq!(request(gate.address, &forged).await.status, 200);
    for name in PROXY_FIELDS {
        assert_eq!(origin.last().header(name), Some("forged"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarding_fields_of_trusted_proxies_are_kept_and_added_to() {
    let origin = Origin::echo().await;
    let mut config = config(&[origin.port]);
    config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let mut gate = Gate::start(&config);
    request(gate.address, FORGED).await;
    let seen = origin.last();
    assert_eq!(seen.header("x-forwarded-for"), Some("192.0.2.7, 127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("x-forwarded-host"), Some("b.example"));
    let forwarded = seen.header("forwarded").unwrap();
    assert!(forwarded.starts_with("for=192.0.2.7, for=127.0.0.1;"), "{forwarded}");
    assert_eq!(gate.event().await.client.ip, Some([192, 0, 2, 7].into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    let mut client = Client::connect(gate.address).await;
    client.send([get("/1"), get("/2"), get("/3")].concat()).await;
    for path in ["/1", "/2", "/3"] {
        assert_eq!(client.response().await.status, 200);
        let event = gate.event().await;
        assert_eq!((&*event.path, event.ending), (path, Ending::Answered));
    }
}

mod proxy_protocol {
    use super::*;

    fn listening(origin: &Origin, trusted: bool) -> Gate {
        let mut config = config(&[origin.port]);
        config.listeners[0].proxy_protocol = true;
        if trusted {
            config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        }
        Gate::start(&config)
    }

    const V1: &[u8] = b"PROXY TCP4 192.0.2.9 198.51.100.1 4711 443\r\n";
    const V2: &[u8] = &[
        0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, b'Q', b'U', b'I', b'T', 0x0a, 0x21, 0x11, 0, 12, 192, 0, 2, 9, 198, 51,
        100, 1, 0x12, 0x67, 1, 0xbb,
    ];

    #[tokio::test(flavor = "multi_thread")]
    async fn both_versions_name_the_client_wherever_they_are_cut() {
        let origin = Origin::echo().await;
        let mut gate = listening(&origin, true);
        for header in [V1, V2] {
            for cut in [0, 1, 12, 20, header.len()] {
                let mut client = Client::connect(gate.address).await;
                client.send(&header[..cut]).await;
                tokio::task::yield_now().await;
                client.send([&header[cut..], get("/").as_bytes()].concat()).await;
                assert_eq!(client.response().await.status, 200);
                assert_eq!(gate.event().await.client.ip, Some([192, 0, 2, 9].into()));
                assert_eq!(origin.last().header("x-forwarded-for"), Some("192.0.2.9"));
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn strangers_are_not_believed() {
        let origin = Origin::echo().await;
        let mut gate = listening(&origin, false);
        let response = request(gate.address, [V2, get("/").as_bytes()].concat()).await;
        assert_eq!(response.status, 200);
        assert_eq!(gate.event().await.client.ip, Some([127, 0, 0, 1].into()));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_connection_without_the_header_is_closed_and_counted() {
        let origin = Origin::echo().await;
        let gate = listening(&origin, true);
        let mut client = Client::connect(gate.address).await;
        client.send(get("/")).await;
        assert!(client.try_response().await.is_none());
        assert_eq!(gate.handle.stats().proxy_header_failures_total, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_connection_names_is_seen_by_nobody() {
    let origin = Origin::echo().await;
    let mut gate = Gate::start(&config(&[origin.port]));
    let head = "GET / HTTP/1.1\r\nHost: a.example\r\nX-Api-Key: secret\r\nUser-Agent: spy\r\nB: c\r\n";
    request(gate.address, format!("{head}Connection: keep-alive, X-Api-Key, user-agent\r\n\r\n")).await;
    let seen = origin.last();
    assert_eq!((seen.header("x-api-key"), seen.header("user-agent"), seen.header("b")), (None, None, Some("c")));
    let event = gate.event().await;
    assert_eq!((event.user_agent, event.auth), (None, bartizan_model::AuthKinds::NONE));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_http_1_0_gets_no_interim_response_and_switches_no_protocol() {
    let origin = Origin::start(|mut conn| async move {
        while let Some(seen) = conn.request().await {
            assert_eq!(seen.header("upgrade"), None);
            conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await;
            conn.send(&crate::support::answer(b"done")).await;
        }
    })
    .await;
    let mut config = config(&[origin.port]);
    config.policies = vec![crate::support::policy(
        "holds",
        bartizan_model::Mode::Enforce,
        bartizan_config::PolicyRule::Limits {
            target_bytes_max: None,
            header_bytes_max: None,
            header_count_max: None,
            body_bytes_max: Some(100),
        },
    )];
    let gate = Gate::start(&config);
    let head = "POST / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n";
    let bytes = format!("{head}Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx");
    let response = request(gate.address, bytes).await;
    assert_eq!((response.status, response.text()), (200, "done"), "{}", response.head);
    assert_eq!(request(gate.address, get("/")).await.status, 103, "HTTP/1.1 gets it");
}
