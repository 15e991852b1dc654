//! `bartizan explain` against the running gateway: what it says of a request is what happens to that request.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use bartizan_testkit::{Bartizan, Origin};
use serde_json::Value;

const CONFIGURATION: &str = "
listeners:
  - address: 127.0.0.1:{port}
limits:
  header_count_max: 16
  header_bytes_max: 4KiB
policies:
  - name: reading-only
    mode: enforce
    methods:
      allow: [GET, HEAD, OPTIONS]
  - name: watched
    mode: observe
    addresses:
      deny: [127.0.0.0/8]
upstreams:
  - name: origin
    targets:
      - address: 127.0.0.1:";

/// A request, and what becomes of it.
struct Case {
    method: &'static str,
    target: &'static str,
    fields: Vec<String>,
    status: u16,
    check: Option<&'static str>,
}

fn case(method: &'static str, target: &'static str, fields: &[&str], status: u16, check: Option<&'static str>) -> Case {
    Case { method, target, fields: fields.iter().map(|field| (*field).to_owned()).collect(), status, check }
}

fn cases() -> Vec<Case> {
    let mut many = case("GET", "/many", &[], 431, Some("ENG-101"));
    many.fields = (0..20).map(|number| format!("x-{number}: 1")).collect();
    let mut long = case("GET", "/long", &[], 431, Some("ENG-101"));
    long.fields = vec![format!("x-long: {}", "a".repeat(5000))];
    vec![
        case("GET", "/orders/7?expand=lines", &[], 200, None),
        case("DELETE", "/orders/7", &[], 405, Some("ACC-101")),
        case("CONNECT", "/orders", &[], 501, Some("ENG-101")),
        case("G@T", "/orders", &[], 400, Some("ENG-101")),
        case("GET", "/orders#top", &[], 400, Some("ENG-101")),
        case("GET", "/orders", &["content-length: +1"], 400, Some("ENG-101")),
        case("GET", "/orders", &["transfer-encoding: gzip, chunked"], 400, Some("ENG-101")),
        case("GET", "/orders", &["host: other.example"], 400, Some("ENG-101")),
        case("GET", "/orders", &["na me: value"], 400, Some("ENG-101")),
        case("GET", "/orders", &["connection: authorization", "authorization: Bearer a"], 400, Some("ENG-101")),
        case("GET", "/orders", &["connection: x-api-key", "x-api-key: a"], 200, None),
        many,
        long,
    ]
}

/// Status and check as `bartizan explain` tells them; 200 when nothing is denied.
fn explained(gateway: &Bartizan, case: &Case) -> Result<(u16, Option<String>)> {
    let url = format!("http://a.example{}", case.target);
    let file = gateway.folder().join("bartizan.yaml");
    let mut arguments = vec!["explain", "--json", "--client", "127.0.0.1", "--config"];
    arguments.push(file.to_str().context("a path")?);
    arguments.extend([case.method, &url]);
    for field in &case.fields {
        arguments.extend(["-H", field]);
    }
    let output = Bartizan::command(&arguments)?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let decision = &serde_json::from_slice::<Value>(&output.stdout)?["decision"];
    if decision["action"] == "allow" || decision["applied"] == false {
        return Ok((200, None));
    }
    let status = decision["status"].as_u64().and_then(|status| u16::try_from(status).ok()).context("a status")?;
    Ok((status, decision["check"].as_str().map(str::to_owned)))
}

/// Status and check as the gateway answers.
fn answered(gateway: &Bartizan, case: &Case) -> Result<(u16, Option<String>)> {
    let mut stream = TcpStream::connect(("127.0.0.1", gateway.port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut head = format!("{} {} HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n", case.method, case.target);
    for field in &case.fields {
        head.push_str(field);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    let _ = stream.write_all(head.as_bytes()); // it may answer and close before it has read everything
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).to_lowercase();
    let status = answer.split(' ').nth(1).context("a status line")?.parse()?;
    let check = answer.lines().find_map(|line| line.strip_prefix("x-bartizan-check: "));
    Ok((status, check.map(str::to_uppercase)))
}

#[test]
fn what_explain_says_is_what_the_gateway_does() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let gateway = Bartizan::start(&format!("{CONFIGURATION}{}\n", origin.port))?;
    for case in cases() {
        let name = format!("{} {} {:.80}", case.method, case.target, format!("{:?}", case.fields));
        let expected = (case.status, case.check.map(str::to_owned));
        assert_eq!(explained(&gateway, &case)?, expected, "explain {name}");
        assert_eq!(answered(&gateway, &case)?, expected, "gateway {name}");
    }
    Ok(())
}
