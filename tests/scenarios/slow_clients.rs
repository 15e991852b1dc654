//! Clients that take their time are closed, each told; meanwhile good clients are served.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bartizan_testkit::{Bartizan, Slow, SlowHttp2};

/// Slow connections at a time; `cargo xtask bench slow` has a thousand.
const CONNECTIONS: usize = 150;

/// A response that no kernel buffer takes whole.
const LARGE_BYTES: usize = 16 << 20;

/// Waits of a second, so that a test of several kinds of slowness ends soon; a head that never ends is given up before the
/// connection counts as idle.
const CONFIGURATION: &str = "listeners:
  - address: 127.0.0.1:{port}
upstreams:
  - name: origin
    health: {enabled: false}
    targets:
      - address: 127.0.0.1:{origin}
limits: {header_timeout: 1s, client_read_timeout: 2s, keepalive_timeout: 4s, body_timeout: 1s}
console: {enabled: false}
";

/// An origin: `/large` has [`LARGE_BYTES`], all else a word, and a `POST` waits for its body. It closes each connection,
/// and lives as long as the process.
fn origin() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    Ok(port)
}

fn answer(mut stream: TcpStream) -> Result<()> {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut chunk)?;
        ensure!(read > 0, "no head");
        head.extend_from_slice(&chunk[..read]);
    }
    if head.starts_with(b"POST") {
        // No body of these tests comes to its end; the gateway gives it up.
        while stream.read(&mut chunk)? > 0 {}
        return Ok(());
    }
    let body = vec![b'x'; if head.starts_with(b"GET /large") { LARGE_BYTES } else { 4 }];
    write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len())?;
    Ok(stream.write_all(&body)?)
}

/// Asks for a small answer again and again while `attack` goes on; returns what that returns, and how often it was given.
fn served_during<T>(gateway: &Bartizan, attack: impl FnOnce() -> Result<T>) -> Result<(T, u64)> {
    let (is_over, served) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let good = scope.spawn(|| -> Result<()> {
            while !is_over.load(Ordering::Relaxed) {
                let answer = ureq::get(gateway.url("/good")).call().context("a good client's request")?;
                ensure!(answer.status() == 200, "a good client got {}", answer.status());
                served.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(())
        });
        let result = attack();
        is_over.store(true, Ordering::Relaxed);
        good.join().expect("a client that does not panic")?;
        Ok((result?, served.load(Ordering::Relaxed)))
    })
}

fn start() -> Result<Bartizan> {
    Bartizan::start(&CONFIGURATION.replace("{origin}", &origin()?.to_string()))
}

/// slowhttptest in a mode of its, for ten seconds at most; fails when one of its connections is still open.
fn slowhttptest(gateway: &Bartizan, mode: &[&str], path: &str) -> Result<()> {
    let output = Command::new("slowhttptest")
        .args(["-c", &CONNECTIONS.to_string(), "-r", &CONNECTIONS.to_string(), "-l", "10", "-p", "2"])
        .args(mode)
        .args(["-u", &gateway.url(path)])
        .output()
        .context("slowhttptest; `cargo xtask check --only system` installs it")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    // A reader whose window is closed does not hear of the reset (RFC 9293 §3.10.7.4): for it alone the connection seems
    // open. Its exchanges are told as ended, which the caller looks for.
    let is_deaf = mode.contains(&"-X");
    ensure!(is_deaf || said.contains("No open connections left"), "connections are still open:\n{said}");
    Ok(())
}

#[test]
fn slow_heads_bodies_and_readers_of_http1_are_closed_while_others_are_served() -> Result<()> {
    let cases: [(&str, &[&str], &str, &str); 3] = [
        ("heads", &["-H", "-i", "1", "-x", "10"], "/slow", "findings LIKE '%header_timeout%'"),
        ("bodies", &["-B", "-i", "1", "-x", "2", "-s", "8192"], "/slow", "findings LIKE '%body_timeout%'"),
        ("readers", &["-X", "-w", "512", "-y", "1024", "-n", "1", "-z", "8", "-k", "1"], "/large", "path = '/large'"),
    ];
    for (what, mode, path, told) in cases {
        let gateway = start()?;
        let ((), served) = served_during(&gateway, || slowhttptest(&gateway, mode, path))?;
        assert!(served > 20, "{what}: {served} good requests");
        let sql = format!("SELECT count(*) FROM events WHERE {told}");
        gateway.wait_for_count(&sql, CONNECTIONS as u64).context(what)?;
    }
    Ok(())
}

#[test]
fn slow_heads_bodies_and_readers_of_http2_are_ended_while_others_are_served() -> Result<()> {
    for (slow, path, told) in [
        // The HTTP/2 library counts the pieces of a head; whichever bound comes first.
        (Slow::Head, "/slow", "(findings LIKE '%header_timeout%' OR findings LIKE '%http2_flood%')"),
        (Slow::Body, "/slow", "findings LIKE '%body_timeout%'"),
        (Slow::Read, "/large", "path = '/large'"),
    ] {
        let gateway = start()?;
        let attack = || -> Result<()> {
            let clients = (0..CONNECTIONS).map(|_| SlowHttp2::begin(gateway.port, slow, path));
            let mut clients = clients.collect::<Result<Vec<_>>>()?;
            let begun = Instant::now();
            while !clients.is_empty() {
                clients.retain_mut(SlowHttp2::go_on);
                ensure!(begun.elapsed() < Duration::from_secs(15), "{slow:?}: {} are still open", clients.len());
                std::thread::sleep(Duration::from_millis(200));
            }
            Ok(())
        };
        let ((), served) = served_during(&gateway, attack)?;
        assert!(served > 20, "{slow:?}: {served} good requests");
        let sql = format!("SELECT count(*) FROM events WHERE version = 'HTTP/2' AND {told}");
        gateway.wait_for_count(&sql, CONNECTIONS as u64).with_context(|| format!("{slow:?}"))?;
    }
    Ok(())
}

#[test]
fn one_address_cannot_take_every_connection() -> Result<()> {
    let limits = "connections_per_client_max: 20, requests_per_client_max: 10, header_timeout: 1s";
    let gateway = Bartizan::start(
        &CONFIGURATION.replace("{origin}", &origin()?.to_string()).replace("header_timeout: 1s", limits),
    )?;
    let mut open: Vec<TcpStream> = Vec::new();
    for _ in 0..50 {
        open.push(TcpStream::connect(("127.0.0.1", gateway.port))?);
    }
    let other = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    other.bind(&std::net::SocketAddr::from(([127, 0, 0, 9], 0)).into())?;
    other.connect(&std::net::SocketAddr::from(([127, 0, 0, 1], gateway.port)).into())?;
    let mut other: TcpStream = other.into();
    other.write_all(b"GET /good HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    other.read_to_string(&mut answer)?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(open);
    // 30 are refused; one more when the test waited for the port would be one too few, not too many.
    let told = "SELECT count(*) FROM events WHERE findings LIKE '%too_many_connections%' AND client_ip = '127.0.0.1'";
    gateway.wait_for_count(told, 2)?;
    Ok(())
}
