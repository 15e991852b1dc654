//! Settings of the configuration file, each with a value that makes a difference.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bartizan_testkit::{Bartizan, Origin};
use serde_json::json;

use crate::admin;

/// A gateway before `upstream`, with these settings of the upstream and of the document.
fn gateway(upstream: u16, of_upstream: &str, of_document: &str) -> Result<Bartizan> {
    Bartizan::start(&configuration(upstream, of_upstream, of_document))
}

fn configuration(upstream: u16, of_upstream: &str, of_document: &str) -> String {
    format!(
        "listeners:
  - address: 127.0.0.1:{{port}}
upstreams:
  - name: origin
    health: {{enabled: false}}
    retries: 0
    targets:
      - address: 127.0.0.1:{upstream}
    {of_upstream}
{of_document}
"
    )
}

const CONSOLE: &str = "console: {address: \"127.0.0.1:{console}\"";

#[test]
fn a_target_that_answers_no_syn_is_given_up_after_the_connect_timeout() -> Result<()> {
    let deaf = TcpListener::bind("127.0.0.1:0")?;
    let address = deaf.local_addr()?;
    let mut waiting = Vec::new();
    // The kernel answers for a program that does not accept, until its queue is full.
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
        anyhow::ensure!(waiting.len() < 20_000, "the queue of {address} is never full");
    }
    let gateway = gateway(address.port(), "timeouts: {connect: 300ms, handshake: 20s}", "console: {enabled: false}")?;
    let begun = Instant::now();
    let answer = ureq::get(gateway.url("/a")).config().http_status_as_error(false).build().call()?;
    assert_eq!(answer.status(), 504);
    assert!((300..3000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    Ok(())
}

#[test]
fn a_target_that_takes_nothing_is_given_up_after_the_write_timeout() -> Result<()> {
    let idle = TcpListener::bind("127.0.0.1:0")?;
    let gateway = gateway(
        idle.local_addr()?.port(),
        "timeouts: {write: 300ms, read: 1s}",
        "console: {enabled: false}\napis: [{name: a, upstream: origin, streaming: [/**]}]",
    )?;
    let mut client = TcpStream::connect(("127.0.0.1", gateway.port))?;
    client.set_write_timeout(Some(Duration::from_secs(5)))?;
    client.write_all(b"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n")?;
    let begun = Instant::now();
    let piece = vec![b'x'; 1 << 20];
    while begun.elapsed() < Duration::from_secs(15) && client.write_all(&piece).is_ok() {}
    // A target that has stopped reading may have answered before: that is waited for too. By default 90 s in all.
    gateway.wait_for_count("SELECT count(*) FROM events WHERE ending = 'upstream_timeout'", 1)?;
    Ok(())
}

#[test]
fn a_connection_to_a_target_is_kept_for_the_idle_timeout() -> Result<()> {
    for (idle, connections) in [("200ms", 2), ("30s", 1)] {
        let origin = Origin::start(Duration::ZERO)?;
        let gateway = gateway(origin.port, &format!("timeouts: {{idle: {idle}}}"), "console: {enabled: false}")?;
        for _ in 0..2 {
            ureq::get(gateway.url("/a")).call()?;
            std::thread::sleep(Duration::from_millis(900));
        }
        assert_eq!(origin.connections(), connections, "{idle}");
    }
    Ok(())
}

#[test]
fn a_name_is_resolved_again_after_the_resolve_interval() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    // No name changes its address here; a name that is unknown at the start and at every try is told of each time.
    let text = configuration(origin.port, "resolve_interval: 1s", "console: {enabled: false}");
    let known = format!("      - address: 127.0.0.1:{}", origin.port);
    let gateway =
        Bartizan::start(&text.replace(&known, &format!("{known}\n      - address: no-such-name.invalid:80")))?;
    let told = || gateway.printed().matches("no-such-name.invalid").count();
    let begun = Instant::now();
    while told() < 3 {
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(20), "told {} times: {}", told(), gateway.printed());
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// The token of the set-up link, which is printed a moment after the console listens.
fn set_up_token(gateway: &Bartizan) -> Result<String> {
    let begun = std::time::Instant::now();
    loop {
        let printed = gateway.printed();
        if let Some((token, _)) =
            printed.split_once("#token=").and_then(|(_, rest)| rest.split_once(char::is_whitespace))
        {
            return Ok(token.to_owned());
        }
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(20), "no set-up link: {printed}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn cookies_are_marked_secure_when_they_are_to_be() -> Result<()> {
    for is_secure in [true, false] {
        let gateway = gateway(9, "", &format!("{CONSOLE}, secure_cookies: {is_secure}}}"))?;
        let body = json!({"token": set_up_token(&gateway)?, "name": "ann", "password": "correct horse battery"});
        let url = format!("http://127.0.0.1:{}/api/v1/setup", gateway.console_port);
        let answer = ureq::post(url).content_type("application/json").send(body.to_string())?;
        let cookie = answer.headers().get("set-cookie").context("a cookie")?.to_str()?;
        assert_eq!(cookie.contains("; Secure"), is_secure, "{cookie}");
    }
    Ok(())
}

#[test]
fn the_event_queue_is_as_long_as_it_is_told() -> Result<()> {
    let gateway = gateway(9, "", &format!("data: {{queue_events: 2048}}\n{CONSOLE}}}"))?;
    assert_eq!(admin::overview(&gateway)?["events"]["queue_max"], 2048);
    Ok(())
}

#[test]
fn events_go_after_the_retention_age() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let mut gateway = gateway(origin.port, "", "data: {retention_age: 3h}\nconsole: {enabled: false}")?;
    ureq::get(gateway.url("/a")).call()?;
    gateway.wait_for_count("SELECT count(*) FROM events", 1)?;
    gateway.stop()?;
    let segment = crate::bad_input::segments(&gateway.data().join("events"))?.pop().context("a segment")?;
    let name = segment.file_name().and_then(|name| name.to_str()).context("a name")?;
    let mut parts: Vec<String> = name.split('_').map(str::to_owned).collect();
    let written = u64::from_str_radix(&parts[3], 16)? - 2 * 3600 * 1_000_000; // as if two hours ago
    parts[3] = format!("{written:016x}");
    let old = segment.with_file_name(parts.join("_"));
    std::fs::rename(&segment, &old)?;

    gateway.start_again()?;
    std::thread::sleep(Duration::from_secs(6)); // maintenance comes by every 5 s
    assert!(old.exists(), "two hours are less than three");
    gateway.stop()?;
    gateway.write_configuration(&configuration(
        origin.port,
        "",
        "data: {retention_age: 1h}\nconsole: {enabled: false}",
    ))?;
    gateway.start_again()?;
    let begun = Instant::now();
    while old.exists() {
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(20), "{} is still there", old.display());
        std::thread::sleep(Duration::from_millis(200));
    }
    gateway.stop()
}

#[test]
fn connections_and_waits_of_clients_are_as_limited_as_they_are_told() -> Result<()> {
    let origin = Origin::start(Duration::ZERO)?;
    let limits =
        "limits: {connections_max: 3, keepalive_timeout: 300ms, body_timeout: 500ms}\nconsole: {enabled: false}";
    let gateway = gateway(origin.port, "", limits)?;
    let address = SocketAddr::from(([127, 0, 0, 1], gateway.port));
    let mut slow = TcpStream::connect(address)?;
    slow.write_all(b"POST /slow HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n")?;
    while slow.write_all(b"x").is_ok() {
        std::thread::sleep(Duration::from_millis(50));
        slow.set_nonblocking(true)?;
        let mut answer = [0; 12];
        let read = slow.read(&mut answer);
        slow.set_nonblocking(false)?;
        if let Ok(read @ 1..) = read {
            assert_eq!(std::str::from_utf8(&answer[..read])?, "HTTP/1.1 408");
            break;
        }
    }
    drop(slow);
    std::thread::sleep(Duration::from_secs(3)); // the gateway lingers for 2 s after such an answer
    let kept: Vec<_> = (0..3).map(|_| TcpStream::connect(address)).collect::<std::io::Result<_>>()?;
    std::thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    for (number, mut stream) in [TcpStream::connect(address)?].into_iter().chain(kept).enumerate() {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let read = stream.read(&mut [0; 1]);
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        let is_refused = begun.elapsed() < Duration::from_millis(150);
        assert_eq!(is_refused, number == 0, "connection {number} after {:?}", begun.elapsed());
    }
    Ok(())
}
