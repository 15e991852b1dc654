//! The bytes of a request → its parts, leniently; and, apart from that, whether a strict server would refuse them.
//!
//! In process nothing refuses a request, so the reader takes every request line and every field as it stands. Only the
//! framing is a server's: a body is as long as `Content-Length` or the chunks say (RFC 9112 §6.3), and without either
//! there is none, since the rules only ever see what a server would read.

use super::{Exchange, Field, backend, field};

/// Reads the request and asks the backend.
pub fn exchange(raw: &[u8]) -> Exchange {
    let (head, rest) = split_once(raw, b"\r\n\r\n").unwrap_or((raw, b""));
    let (line, fields) = split_once(head, b"\r\n").unwrap_or((head, b""));
    let (method, target, protocol) = request_line(line);
    let headers: Vec<Field> = lines(fields).map(read_field).collect();
    let body = body(&headers, rest);
    let mut exchange = Exchange { method, target, protocol, headers, body, ..Exchange::default() };
    exchange.reply = backend::answer(&exchange);
    exchange
}

/// Blanks before the method belong to it, blanks in the target to the target. A line without a version is HTTP/0.9
/// (RFC 1945 §4.1).
fn request_line(line: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let start = line.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let method_end = line[start..].iter().position(|byte| *byte == b' ').map_or(line.len(), |at| start + at);
    let after = line.get(method_end + 1..).unwrap_or_default();
    let (target, protocol) = match after.iter().rposition(|byte| *byte == b' ') {
        Some(at) => (&after[..at], &after[at + 1..]),
        None => (after, b"".as_slice()),
    };
    let protocol = if protocol.is_empty() { b"HTTP/0.9" } else { protocol };
    (line[..method_end].to_vec(), target.to_vec(), protocol.to_vec())
}

fn lines(fields: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(fields).filter(|fields| !fields.is_empty());
    std::iter::from_fn(move || {
        let all = rest?;
        let (line, after) = split_once(all, b"\r\n").map_or((all, None), |(line, after)| (line, Some(after)));
        rest = after;
        Some(line)
    })
}

fn read_field(line: &[u8]) -> Field {
    let (name, value) = split_once(line, b":").unwrap_or((line, b""));
    (name.to_vec(), value.trim_ascii().to_vec())
}

fn body(headers: &[Field], rest: &[u8]) -> Vec<u8> {
    if field(headers, "Transfer-Encoding").is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked")) {
        return dechunk(rest);
    }
    match field(headers, "Content-Length").map(length) {
        // A strict server refuses such a length; a lenient one is left to read on.
        Some(None) => rest.to_vec(),
        Some(Some(length)) => rest[..rest.len().min(length)].to_vec(),
        None => Vec::new(),
    }
}

fn length(value: &[u8]) -> Option<usize> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| is_number)?.parse().ok()
}

/// The content of chunks (RFC 9112 §7.1), as far as they can be read.
fn dechunk(mut rest: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some((size, after)) = split_once(rest, b"\r\n") {
        let digits = size.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let size = std::str::from_utf8(digits).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let Some(size) = size.filter(|size| *size > 0) else { break };
        let (chunk, after) = after.split_at(size.min(after.len()));
        content.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n").unwrap_or(after);
    }
    content
}

/// Whether a server that takes RFC 9112 and RFC 9110 at their word answers 400 before any rule is asked.
pub fn is_refused(raw: &[u8]) -> bool {
    let head = split_once(raw, b"\r\n\r\n").map_or(raw, |(head, _)| head);
    let (line, fields) = split_once(head, b"\r\n").unwrap_or((head, b""));
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(protocol), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return true;
    };
    let headers: Vec<Field> = lines(fields).map(read_field).collect();
    let hosts = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"Host")).count();
    // An http URI with an empty host is invalid (RFC 9110 §4.2.1), and the target's URI is built with it.
    let is_host = hosts == 1 && field(&headers, "Host") != Some(b"") || hosts == 0 && protocol == b"HTTP/1.0";
    let is_length = field(&headers, "Content-Length").is_none_or(|value| length(value).is_some());
    let is_field =
        |(name, value): &Field| is_token(name) && !value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'));
    !(is_token(method)
        && is_target(method, target)
        && matches!(protocol, b"HTTP/1.1" | b"HTTP/1.0")
        && is_host
        && is_length
        && headers.iter().all(is_field))
}

fn is_token(bytes: &[u8]) -> bool {
    let is_symbol = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(is_symbol)
}

/// RFC 9112 §3.2: a fragment is never sent; `CONNECT`, and nothing else, has a host and a port.
fn is_target(method: &[u8], target: &[u8]) -> bool {
    let is_clean = target.iter().all(|byte| (byte.is_ascii_graphic() && *byte != b'#') || !byte.is_ascii());
    let is_form = match method {
        b"CONNECT" => split_once(target, b":").is_some_and(|(_, port)| length(port).is_some()),
        b"OPTIONS" if target == b"*" => true,
        _ => target.starts_with(b"/") || split_once(target, b"://").is_some(),
    };
    is_clean && is_form
}

fn split_once<'a>(bytes: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memchr::memmem::find(bytes, separator)?;
    Some((&bytes[..at], &bytes[at + separator.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_request_lines_are_taken_as_they_stand() {
        let line = |text: &str| {
            let exchange = exchange(format!("{text}\r\n\r\n").as_bytes());
            [exchange.method, exchange.target, exchange.protocol].map(|part| String::from_utf8(part).unwrap())
        };
        assert_eq!(line("\tGET /a b HTTP\\1.0"), ["\tGET", "/a b", "HTTP\\1.0"]);
        assert_eq!(line("GET / "), ["GET", "/", "HTTP/0.9"]);
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        let body = |text: &str| String::from_utf8(exchange(text.as_bytes()).body).unwrap();
        assert_eq!(body("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabc"), "ab");
        assert_eq!(
            body("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"),
            "abcd"
        );
        assert_eq!(body("POST / HTTP/1.1\r\nHost: a\r\n\r\nabc"), "");
    }

    #[test]
    fn a_strict_server_refuses_what_the_standard_does_not_have() {
        assert!(!is_refused(b"GET /?a=b HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(!is_refused(b"GET / HTTP/1.0\r\n\r\n"));
        assert!(is_refused(b"GET / HTTP/1.1\r\n\r\n"));
        assert!(is_refused(b"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(is_refused(b"GET / JUNK/1.0\r\nHost: a\r\n\r\n"));
        assert!(is_refused(b"GET / HTTP/1.1\r\nHost: a\r\nB: c\rd\r\n\r\n"));
    }
}
