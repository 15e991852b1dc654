//! Web pages that call, through the real gateway, byte for byte: preflights, forged requests, fields of answers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use bartizan_testkit::{Bartizan, Origin};

/// An answer: status, and its fields in lower case as sent.
pub struct Answer {
    pub status: u16,
    fields: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// The values of a field, joined; empty when there is none.
    pub fn field(&self, name: &str) -> String {
        let values = self.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        values.collect::<Vec<_>>().join(", ")
    }

    /// The check that refused.
    pub fn check(&self) -> String {
        self.field("x-bartizan-check")
    }
}

/// Sends one request as it stands and reads the answer to its end.
pub fn send(port: u16, lines: &[&str], body: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let head = lines.join("\r\n");
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    write!(stream, "{head}\r\nHost: shop.example\r\nConnection: close\r\n{length}\r\n{body}")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("no head in `{text}`"))?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("a status")?.parse()?;
    let fields = lines.filter_map(|line| line.split_once(':'));
    let fields = fields.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
    Ok(Answer { status, fields, body: body.to_owned() })
}

fn configuration(origin: u16) -> String {
    format!(
        "listeners: [{{ address: \"127.0.0.1:{{port}}\" }}]
upstreams: [{{ name: origin, targets: [{{ address: \"127.0.0.1:{origin}\" }}] }}]
policies:
  - name: pages
    mode: enforce
    cors: {{ origins: [\"https://www.shop.example\", \"https://*.partner.example\"], methods: [GET, POST, PUT], credentials: true, exposed_headers: [etag] }}
  - name: changes
    mode: enforce
    csrf: {{ origins: [\"https://www.shop.example\"] }}
  - name: answers
    mode: enforce
    response_headers: {{ set: [{{ name: x-frame-options, value: DENY }}], remove: [content-language] }}
  - name: callers
    mode: enforce
    scope: {{ paths: [/private/**] }}
    authenticate: {{ methods: [{{ api_key: {{}} }}] }}
console: {{ address: \"127.0.0.1:{{console}}\" }}
"
    )
}

#[test]
fn a_preflight_is_answered_by_the_gateway_and_never_reaches_the_upstream() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let mut gateway = Bartizan::start(&configuration(origin.port))?;
    let preflight = send(
        gateway.port,
        &[
            "OPTIONS /private/orders HTTP/1.1",
            "Origin: https://www.shop.example",
            "Access-Control-Request-Method: PUT",
            "Access-Control-Request-Headers: content-type",
        ],
        "",
    )?;
    assert_eq!((preflight.status, preflight.body.as_str()), (204, ""));
    assert_eq!(preflight.field("content-length"), "", "RFC 9110 §8.6");
    assert_eq!(preflight.field("access-control-allow-origin"), "https://www.shop.example");
    assert_eq!(preflight.field("access-control-allow-methods"), "GET, POST, PUT");
    assert_eq!(preflight.field("access-control-allow-credentials"), "true");
    assert_eq!(preflight.field("access-control-max-age"), "600");
    let vary = preflight.field("vary");
    assert!(vary.contains("origin") && vary.contains("access-control-request-headers"), "{vary}");

    let stranger = send(
        gateway.port,
        &["OPTIONS / HTTP/1.1", "Origin: https://evil.example", "Access-Control-Request-Method: GET"],
        "",
    )?;
    assert_eq!((stranger.status, stranger.check().as_str()), (403, "ACC-110"));
    assert_eq!(stranger.field("access-control-allow-origin"), "");
    assert_eq!(origin.seen().len(), 0, "the upstream sees no preflight");

    // The call itself needs its credential, and the page can read why it was refused.
    let refused = send(gateway.port, &["GET /private/orders HTTP/1.1", "Origin: https://a.partner.example"], "")?;
    assert_eq!((refused.status, refused.check().as_str()), (401, "ACC-201"));
    assert_eq!(refused.field("access-control-allow-origin"), "https://a.partner.example");
    let called = send(gateway.port, &["GET /orders HTTP/1.1", "Origin: https://a.partner.example"], "")?;
    assert_eq!(called.status, 200);
    assert_eq!(called.field("access-control-expose-headers"), "etag");
    assert_eq!(origin.seen().len(), 1);

    let counted = "select count(*) as n from events where ending = 'answered' and status = 204 and method = 'OPTIONS'";
    assert_eq!(gateway.wait_for_count(counted, 1)?, 1, "a preflight is an event like others");
    gateway.stop()
}

#[test]
fn forged_requests_are_refused_and_every_answer_tells_browsers_what_they_may() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let mut gateway = Bartizan::start(&configuration(origin.port))?;
    let form = "amount=100&to=mallory";
    let forged = send(
        gateway.port,
        &[
            "POST /transfers HTTP/1.1",
            "Cookie: session=1",
            "Sec-Fetch-Site: cross-site",
            "Content-Type: application/x-www-form-urlencoded",
        ],
        form,
    )?;
    assert_eq!((forged.status, forged.check().as_str()), (403, "ACC-120"));
    let silent = send(gateway.port, &["POST /transfers HTTP/1.1", "Cookie: session=1"], form)?;
    assert_eq!((silent.status, silent.check().as_str()), (403, "ACC-121"));
    assert_eq!(origin.seen().len(), 0);
    let own = send(
        gateway.port,
        &[
            "POST /transfers HTTP/1.1",
            "Cookie: session=1",
            "Sec-Fetch-Site: same-origin",
            "Origin: http://shop.example",
        ],
        form,
    )?;
    assert_eq!(own.status, 200);
    assert_eq!(origin.seen().len(), 1);
    for answer in [&forged, &silent, &own] {
        assert_eq!(answer.field("x-content-type-options"), "nosniff");
        assert_eq!(answer.field("content-security-policy"), "frame-ancestors 'none'");
        assert_eq!(answer.field("x-frame-options"), "DENY");
        assert_eq!(answer.field("cache-control"), "no-store");
        assert_eq!(answer.field("strict-transport-security"), "", "this is clear text");
    }
    gateway.stop()
}
