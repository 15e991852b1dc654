//! Web pages that call, in a real Chromium: what an allowed page can read, what others cannot, and whose forms move money
//! (story 12). What the browser makes of the answers is what counts here; their bytes are looked at in `browsers.rs`.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use bartizan_testkit::{Bartizan, Origin, free_port};

use crate::{npm_packages, script};

fn configuration(origin: u16, pages: u16) -> String {
    format!(
        "listeners: [{{ address: \"127.0.0.1:{{port}}\" }}]
upstreams: [{{ name: origin, targets: [{{ address: \"127.0.0.1:{origin}\" }}] }}]
apis: [{{ name: bank, hosts: [bank.localhost, bank.example], upstream: origin }}]
policies:
  - name: pages
    mode: enforce
    scope: {{ paths: [/orders, /private/**] }}
    cors: {{ origins: [\"http://app.bank.localhost:{pages}\"], methods: [GET, PUT], headers: [content-type, x-trace], exposed_headers: [x-shown], credentials: true }}
  - name: moves
    mode: enforce
    scope: {{ paths: [/move] }}
    csrf: {{ safe_methods: [] }}
  - name: answers
    mode: enforce
    response_headers: {{ set: [{{ name: x-shown, value: \"1\" }}, {{ name: x-hidden, value: \"1\" }}] }}
  - name: callers
    mode: enforce
    scope: {{ paths: [/private/**] }}
    authenticate: {{ methods: [{{ api_key: {{}} }}] }}
console: {{ enabled: false }}
"
    )
}

/// What each page got; `TypeError` is all that a script learns of an answer that it may not read.
const EXPECTED: [&str; 21] = [
    "friend reads: 200 {\"ok\":true} x-shown",
    "friend reads with cookies: 200 {\"ok\":true} x-shown",
    "friend reads without cookies: 200 {\"ok\":true} x-shown",
    "friend changes: 200 {\"ok\":true} x-shown",
    "friend sends another field: TypeError",
    "friend uses another method: TypeError",
    "friend reads why: 401 {\"type\":\"ab x-shown",
    "stranger reads: TypeError",
    "stranger reads with cookies: TypeError",
    "stranger changes: TypeError",
    "stranger sends blindly: 0",
    "stranger shows an image: nothing",
    "stranger sandboxes a form: 403 ACC-120",
    "stranger sends a form: 403 ACC-120",
    "neighbor sends a form: 403 ACC-120",
    "stranger links: 200 -",
    "bank moves: 200 {\"ok\":true} x-shown x-hidden",
    "bank sends a form: 200 -",
    "stranger without fetch metadata shows an image: nothing",
    "stranger without fetch metadata sends a form: 403 ACC-120",
    "bank without fetch metadata sends a form: 200 -",
];

#[test]
fn a_real_browser_lets_friends_read_and_moves_money_only_for_the_banks_own_pages() -> Result<()> {
    let (origin, pages) = (Origin::start(Duration::ZERO)?, free_port());
    let mut gateway = Bartizan::start(&configuration(origin.port, pages))?;
    let mut command = Command::new("node");
    command.arg(script("web_pages.mjs")).args([gateway.port, pages].map(|port| port.to_string()));
    let output = command.env("BARTIZAN_NPM", npm_packages()).output()?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines, EXPECTED, "{}", gateway.printed());

    let seen = origin.seen();
    let reached: Vec<_> = seen
        .iter()
        .map(|seen| seen.line.trim_end_matches(" HTTP/1.1"))
        .filter(|line| !line.contains("favicon"))
        .collect();
    let expected = [
        "GET /orders",
        "GET /orders?with",
        "GET /orders?without",
        "PUT /orders?changed",
        "GET /orders?linked",
        "GET /orders?own",
        "POST /move",
        "POST /move",
        "GET /orders?plain",
        "POST /move",
    ];
    assert_eq!(reached, expected, "nothing that was refused reached the bank");
    let has_cookie = |target: &str| {
        let seen = seen.iter().find(|seen| seen.line.contains(target));
        seen.is_some_and(|seen| seen.headers.iter().any(|line| line.to_lowercase().starts_with("cookie:")))
    };
    assert!(has_cookie("?with ") && !has_cookie("?without"), "credentials are sent as the page said");
    assert!(has_cookie("/move"), "the bank's own page is known by its cookie");

    gateway.stop()?;
    let forged = gateway.query("SELECT method, findings FROM events WHERE path = '/move' AND status = 403")?;
    assert_eq!(forged.len(), 6, "{forged:?}");
    assert!(forged.iter().all(|event| event["findings"].to_string().contains("ACC-120")), "{forged:?}");
    Ok(())
}
