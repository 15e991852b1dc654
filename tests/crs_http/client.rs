//! A client that sends bytes as they are and reads one answer to its end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};

/// LIMIT: longer than the gateway waits for a request that does not come whole.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub request_id: Option<String>,
}

/// Sends a request over a connection of its own and reads the answer whole, so that the exchange ends as it should.
pub fn exchange(port: u16, request: &[u8]) -> Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let _ = stream.write_all(request); // refused early, the answer is there all the same
    let mut received = Vec::new();
    let mut piece = [0; 16 << 10];
    while !is_complete(&received, request.starts_with(b"HEAD ")) {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(length) => received.extend_from_slice(&piece[..length]),
        }
    }
    read(&received).with_context(|| format!("no answer: {}", received.escape_ascii()))
}

fn head_of(received: &[u8]) -> Option<(String, &[u8])> {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((String::from_utf8_lossy(&received[..end]).into_owned(), &received[end + 4..]))
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let found = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    found.into_iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn is_complete(received: &[u8], is_head: bool) -> bool {
    let Some((head, body)) = head_of(received) else { return false };
    let length = field(&head, "content-length").and_then(|length| length.parse().ok());
    match length {
        _ if is_head || status_of(&head).is_some_and(|status| matches!(status, 204 | 304)) => true,
        Some(length) => body.len() >= length,
        None if field(&head, "transfer-encoding").is_some() => body.ends_with(b"0\r\n\r\n"),
        None => false, // it ends with the connection
    }
}

fn status_of(head: &str) -> Option<u16> {
    head.split(' ').nth(1)?.parse().ok()
}

fn read(received: &[u8]) -> Option<Answer> {
    let (head, _) = head_of(received)?;
    Some(Answer { status: status_of(&head)?, request_id: field(&head, "x-request-id").map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_framing_says() {
        assert!(!is_complete(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na", false));
        assert!(is_complete(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", false));
        assert!(is_complete(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", true));
        assert!(is_complete(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", false));
        assert!(!is_complete(b"HTTP/1.1 200 OK\r\n\r\nabc", false));
    }

    #[test]
    fn status_and_request_id_are_read() {
        let answer = read(b"HTTP/1.1 400 Bad Request\r\nX-Request-Id: 01AB\r\n\r\n").unwrap();
        assert_eq!((answer.status, answer.request_id.as_deref()), (400, Some("01AB")));
    }
}
