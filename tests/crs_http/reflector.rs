//! The backend behind the gateway: answers as albedo would, over sockets.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::Result;
use bartizan_testkit::crs::{Exchange, Reply, http};

/// A server on the loopback address. Its threads end with the process.
pub struct Reflector {
    /// Port it listens on
    pub port: u16,
}

impl Reflector {
    /// Begins to listen.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let _ = serve(stream);
                });
            }
        });
        Ok(Self { port })
    }
}

/// One exchange, then the connection ends.
fn serve(mut stream: TcpStream) -> Result<()> {
    let mut received = Vec::new();
    let mut piece = [0; 16 << 10];
    while !is_complete(&received) {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            length => received.extend_from_slice(&piece[..length]),
        }
    }
    let exchange = http::exchange(&received);
    stream.write_all(&response(&exchange))?;
    Ok(())
}

/// Whether the request is there as its framing says; the gateway sends one framing and sends it rightly.
fn is_complete(received: &[u8]) -> bool {
    let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
    let body = &received[end + 4..];
    if head.contains("\r\ntransfer-encoding: chunked") {
        return body.ends_with(b"0\r\n\r\n");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    body.len() >= length.unwrap_or(0)
}

fn response(exchange: &Exchange) -> Vec<u8> {
    let Reply { status, headers, body } = &exchange.reply;
    let mut bytes = format!("HTTP/1.1 {status} Reflected\r\nConnection: close\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend([name, b": ".as_slice(), value, b"\r\n"].concat());
    }
    let has_length = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"content-length"));
    if !has_length {
        bytes.extend_from_slice(b"Content-Length: 0\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    if exchange.method != b"HEAD" {
        bytes.extend_from_slice(body);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backend_answers_over_a_socket_as_it_is_told() -> Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", Reflector::start()?.port))?;
        let body = r#"{"status":404,"headers":{"X-A":"b"},"body":"none"}"#;
        write!(stream, "POST /reflect HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        assert!(text.starts_with("HTTP/1.1 404 ") && text.contains("X-A: b\r\n") && text.ends_with("\r\n\r\nnone"));
        Ok(())
    }
}
