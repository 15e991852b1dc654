//! What a call may reach, through the real gateway: second methods, URLs in parameters, networks by files that change.

use std::time::Duration;

use anyhow::Result;
use bartizan_testkit::{Bartizan, Origin};

use crate::browsers::send;

#[path = "../../crates/engine/tests/it/mmdb.rs"]
pub(crate) mod mmdb;

/// Lines of a head, a body, and the status and the check that refuse them.
type Case<'a> = (&'a [&'a str], &'a str, u16, &'a str);

fn configuration(origin: u16, policies: &str) -> String {
    format!(
        "listeners: [{{ address: \"127.0.0.1:{{port}}\" }}]
upstreams: [{{ name: origin, targets: [{{ address: \"127.0.0.1:{origin}\" }}] }}]
trusted_proxies: [127.0.0.1]
{policies}
console: {{ address: \"127.0.0.1:{{console}}\" }}
"
    )
}

#[test]
fn a_second_method_and_a_url_that_leads_inside_stop_at_the_gateway() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let policies = "policies:
  - { name: ordinary, mode: enforce, methods: {} }
  - { name: urls, mode: enforce, ssrf: { parameters: [callback] } }";
    let mut gateway = Bartizan::start(&configuration(origin.port, policies))?;
    let (form, json) = ("Content-Type: application/x-www-form-urlencoded", "Content-Type: application/json");
    let cases: [Case<'_>; 9] = [
        (&["TRACE / HTTP/1.1"], "", 405, "ACC-101"),
        (&["POST /items HTTP/1.1", "X-HTTP-Method-Override: DELETE"], "", 400, "ACC-104"),
        (&["GET /items?_method=DELETE HTTP/1.1"], "", 400, "ACC-104"),
        (&["POST /items HTTP/1.1", form], "a=b&_method=delete", 400, "ACC-104"),
        (&["POST /items HTTP/1.1", json], r#"{"a": 1, "_method": "PUT"}"#, 400, "ACC-104"),
        (&["GET /fetch?callback=http%3A%2F%2F169.254.169.254%2F HTTP/1.1"], "", 403, "ACC-131"),
        (&["POST /hooks HTTP/1.1", json], r#"{"callback": "http://0x7f.1/"}"#, 403, "ACC-131"),
        (&["PUT /hooks HTTP/1.1", json], r#"{"callback": "http://a@b.example/"}"#, 403, "ACC-132"),
        (&["POST /hooks HTTP/1.1", form], "callback=file:///etc/passwd", 403, "ACC-130"),
    ];
    for (lines, body, status, check) in cases {
        let answer = send(gateway.port, lines, body)?;
        assert_eq!((answer.status, answer.check().as_str()), (status, check), "{lines:?} {body}");
    }
    assert_eq!(origin.seen().len(), 0, "nothing of them reached the upstream");
    let body = r#"{"callback": "https://hooks.partner.example/in", "method": "DELETE"}"#;
    assert_eq!(send(gateway.port, &["POST /hooks HTTP/1.1", json], body)?.status, 200);
    assert_eq!(origin.seen()[0].body, body.as_bytes(), "what passes is whole");
    gateway.stop()
}

#[test]
fn networks_are_those_of_files_that_are_read_again() -> Result<()> {
    let files = tempfile::tempdir()?;
    let (database, lists) = (files.path().join("places.mmdb"), files.path().join("lists.csv"));
    std::fs::write(
        &database,
        mmdb::database(&[("203.0.113.0", 25, "DE", 64496), ("203.0.113.128", 25, "US", 64497)], 1_000_000_000),
    )?;
    std::fs::write(&lists, "203.0.113.64/26,hosting\n")?;
    let policies = format!(
        "address_data:
  - {{ name: places, file: {} }}
  - {{ name: lists, file: {}, holds: labels }}
policies:
  - {{ name: here, mode: enforce, networks: {{ countries: {{ allow: [DE] }}, labels: {{ deny: [hosting] }} }} }}
  - {{ name: pace, mode: enforce, scope: {{ paths: [/slow] }}, rate: {{ key: [asn], quota: {{ requests: 1, per: 1h }} }} }}",
        database.display(),
        lists.display()
    );
    let origin = Origin::start(Duration::ZERO)?;
    let mut gateway = Bartizan::start(&configuration(origin.port, &policies))?;
    let from = |gateway: &Bartizan, path: &str, address: &str| -> Result<(u16, String)> {
        let (line, field) = (format!("GET {path} HTTP/1.1"), format!("X-Forwarded-For: {address}"));
        let answer = send(gateway.port, &[&line, &field], "")?;
        Ok((answer.status, answer.check()))
    };
    assert_eq!(from(&gateway, "/", "203.0.113.7")?.0, 200);
    assert_eq!(from(&gateway, "/", "203.0.113.200")?, (403, "ACC-106".to_owned()));
    assert_eq!(from(&gateway, "/", "9.9.9.9")?, (403, "ACC-106".to_owned()));
    assert_eq!(from(&gateway, "/", "203.0.113.70")?, (403, "ACC-105".to_owned()));
    assert_eq!(from(&gateway, "/slow", "203.0.113.7")?.0, 200);
    assert_eq!(from(&gateway, "/slow", "203.0.113.8")?, (429, "LIM-202".to_owned()), "one operator, one count");

    let checked = Bartizan::command(&["check", &gateway.folder().join("bartizan.yaml").display().to_string()])?;
    let (told, warned) = (String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
    assert!(told.contains("address data `places`: Test-Country-ASN, built 2001-09-09 ("), "{told}");
    assert!(told.contains("address data `lists`: CSV, 1 networks"), "{told}");
    assert!(warned.contains("CFG-114"), "old data is told: {warned}");

    // Another file under the same name takes effect at a reload; a broken one changes nothing.
    std::fs::write(&lists, "203.0.113.64/26,partners\n")?;
    reload(&gateway)?;
    wait(|| Ok(from(&gateway, "/", "203.0.113.70")?.0 == 200))?;
    std::fs::write(&lists, "nonsense\n")?;
    reload(&gateway)?;
    wait(|| Ok(gateway.printed().contains("configuration refused")))?;
    assert_eq!(from(&gateway, "/", "203.0.113.70")?.0, 200);
    gateway.stop()
}

fn reload(gateway: &Bartizan) -> Result<()> {
    let reloaded = Bartizan::command(&["reload", "--data-dir", &gateway.data().display().to_string()])?;
    anyhow::ensure!(reloaded.status.success(), "{}", String::from_utf8_lossy(&reloaded.stderr));
    Ok(())
}

fn wait(is_true: impl Fn() -> Result<bool>) -> Result<()> {
    let begun = std::time::Instant::now();
    while !is_true()? {
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(20), "it did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
