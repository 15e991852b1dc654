//! A test's input → the bytes that go-ftw would send.
//!
//! go-ftw completes what the test leaves out (`ftwhttp/request.go`): the type of a body, the encoding of a form whose
//! data is written plainly, CRLF in multipart bodies, `Connection` and `Content-Length`.

use super::suite::{Input, Parts};
use super::{Field, field};

const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// The request as it goes over the wire.
pub fn raw(input: &Input) -> Vec<u8> {
    match input {
        Input::Raw(bytes) => bytes.clone(),
        Input::Parts(parts) => build(parts),
    }
}

fn build(parts: &Parts) -> Vec<u8> {
    let mut headers = parts.headers.clone();
    let mut data = parts.data.clone().unwrap_or_default();
    if !data.is_empty() && parts.is_completed {
        complete_field(&mut headers, "Content-Type", FORM);
        if has_value(&headers, "Content-Type", |value| value.eq_ignore_ascii_case(FORM)) {
            data = encode_form(data);
        }
    }
    let is_multipart =
        |value: &[u8]| memchr::memmem::find(&value.to_ascii_lowercase(), b"multipart/form-data;").is_some();
    if has_value(&headers, "Content-Type", is_multipart) {
        data = with_crlf(&data);
    }
    if parts.is_completed {
        complete_field(&mut headers, "Connection", b"close");
        if !data.is_empty() || has_body(&parts.method) {
            complete_field(&mut headers, "Content-Length", data.len().to_string().as_bytes());
        }
    }
    let mut raw = format!("{} {} {}\r\n", parts.method, parts.uri, parts.version).into_bytes();
    for (name, value) in &headers {
        raw.extend_from_slice(&[name, b": ".as_slice(), value, b"\r\n"].concat());
    }
    raw.extend_from_slice(b"\r\n");
    raw.extend_from_slice(&data);
    raw
}

fn complete_field(headers: &mut Vec<Field>, name: &str, value: &[u8]) {
    if field(headers, name).is_none() {
        headers.push((name.as_bytes().to_vec(), value.to_vec()));
    }
}

fn has_value(headers: &[Field], name: &str, is_it: impl Fn(&[u8]) -> bool) -> bool {
    headers.iter().any(|(other, value)| other.eq_ignore_ascii_case(name.as_bytes()) && is_it(value))
}

/// go-ftw's pattern is `^POST|PUT|PATCH|DELETE$`, alternatives anchored as they stand there.
fn has_body(method: &str) -> bool {
    method.starts_with("POST") || method.contains("PUT") || method.contains("PATCH") || method.ends_with("DELETE")
}

/// Each key and each value percent-encoded, unless decoding the whole would change it (or fail): then it is encoded.
fn encode_form(data: Vec<u8>) -> Vec<u8> {
    if data.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return data;
    }
    let data = data.strip_suffix(b"&").unwrap_or(&data);
    let pairs = data.split(|byte| *byte == b'&').map(|pair| {
        let mut halves = pair.splitn(2, |byte| *byte == b'=').map(query_escape);
        let name = halves.next().unwrap_or_default();
        halves.next().map_or(name.clone(), |value| [name.as_slice(), b"=", &value].concat())
    });
    pairs.collect::<Vec<_>>().join(&b'&')
}

/// Percent-encoding of forms: a blank becomes `+`.
pub fn query_escape(bytes: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(byte),
            b' ' => escaped.push(b'+'),
            _ => escaped.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    escaped
}

fn with_crlf(data: &[u8]) -> Vec<u8> {
    data.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(b"\r\n".as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(method: &str, headers: &[(&str, &str)], data: &str) -> String {
        let parts = Parts {
            method: method.into(),
            uri: "/".into(),
            version: "HTTP/1.1".into(),
            headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            data: (!data.is_empty()).then(|| data.into()),
            is_completed: true,
        };
        String::from_utf8(raw(&Input::Parts(parts))).unwrap()
    }

    #[test]
    fn a_plain_form_is_encoded_and_an_encoded_one_left_alone() {
        assert!(sent("POST", &[], "a b=<c>=d&e&").ends_with("Content-Length: 17\r\n\r\na+b=%3Cc%3E%3Dd&e"));
        assert!(sent("POST", &[], "a=%3c&b=<").ends_with("\r\n\r\na=%3c&b=<"));
        assert!(sent("POST", &[("content-type", "text/plain")], "a b").ends_with("\r\n\r\na b"));
    }

    #[test]
    fn what_a_client_would_add_is_added() {
        assert_eq!(sent("GET", &[], ""), "GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
        assert_eq!(sent("PUT", &[], ""), "PUT / HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        assert!(sent("GET", &[("Content-Type", "multipart/form-data; boundary=a")], "--a\nb").ends_with("--a\r\nb"));
    }
}
