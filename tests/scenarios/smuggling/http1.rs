//! Odd HTTP/1 requests, class by class: everything but the framing of bodies that RFC
//! 9112 §11.2 and the published smuggling techniques turn on.
//!
//! Sources: RFC 9112 §2.2, §3.2, §5, §6, §7; Linhart et al. 2005; Kettle 2019 ("HTTP desync attacks") and 2021; Jabiyev
//! et al. 2021 (T-Reqs); CVE-2022-32213 to 32215, CVE-2023-25690, CVE-2024-1135, CVE-2025-22871, CVE-2026-2833, -2835.
//! The lists are our own.

use super::mutation::{Mutation, SMUGGLED};

/// Bytes that parsers disagree about: controls, white space of every kind, separators, the upper half.
pub(super) const ODD: &[u8] = b"\0\x01\x08\t\n\x0b\x0c\r\x1f \"',;\x7f\x80\x85\xa0\xff";

/// Everything.
pub(super) fn all() -> Vec<Mutation> {
    [line_ends, folds, field_names, hosts, targets, upgrades, versions, expectations, pipelines, methods, connections]
        .into_iter()
        .flat_map(|class| class())
        .collect()
}

/// A `POST` with these field lines (each with its line end) and this body.
pub(super) fn post(fields: &[u8], body: &[u8]) -> Vec<u8> {
    let head = b"POST /m/NNNN HTTP/1.1\r\nHost: origin.example\r\nX-Marker: NNNN\r\n";
    [&head[..], fields, b"\r\n", body].concat()
}

/// A request with this first line and these field lines, and no body.
fn bare(line: &[u8], fields: &[u8]) -> Vec<u8> {
    [line, b"\r\n", fields, b"X-Marker: NNNN\r\n\r\n"].concat()
}

/// A chunked body that holds `data` in one chunk.
pub(super) fn chunked(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n0\r\n\r\n", data.len())
}

/// Line ends other than CR LF at each place where a line ends (RFC 9112 §2.2).
fn line_ends() -> Vec<Mutation> {
    let ends = ["\n", "\r", "\n\r", "\r\r\n", "\r\n\n", "\n\n", "\r\r", "\u{b}\r\n", "\0\r\n", " \r\n", "\u{85}", ""];
    let mut all = Vec::new();
    for end in ends {
        for place in 0..7 {
            let at = |here: usize| if place == here { end } else { "\r\n" };
            let bytes = format!(
                "POST /m/NNNN HTTP/1.1{}Host: origin.example{}X-Marker: NNNN{}Transfer-Encoding: chunked{}{}5{}hello{}0\r\n\r\n{SMUGGLED}",
                at(0),
                at(1),
                at(2),
                at(3),
                at(4),
                at(5),
                at(6)
            );
            all.push(Mutation::http1("line ends", bytes));
        }
        let everywhere = format!(
            "POST /m/NNNN HTTP/1.1{end}Host: origin.example{end}X-Marker: NNNN{end}Content-Length: 5{end}{end}hello{SMUGGLED}"
        );
        all.push(Mutation::http1("line ends", everywhere));
    }
    for lead in ["\r\n", "\n", "\r", "\r\n\r\n\r\n", " \r\n", "\0", "\u{feff}", "\t", " "] {
        all.push(Mutation::http1("line ends", format!("{lead}GET /m/NNNN HTTP/1.1\r\nHost: origin.example\r\n\r\n")));
    }
    all
}

/// Lines that go on, or seem to (obs-fold, RFC 9112 §5.2).
fn folds() -> Vec<Mutation> {
    let length = SMUGGLED.len();
    let lines = [
        "X: a\r\n b".to_owned(),
        "X: a\r\n\tb".to_owned(),
        "X: a\r\n \r\n b".to_owned(),
        "X: a\n b".to_owned(),
        "X:\r\n b".to_owned(),
        format!("X: a\r\n Content-Length: {length}"),
        format!("X: a\r\n\tContent-Length: {length}"),
        format!("Content-Length:\r\n {length}"),
        format!("Content-Length: {length}\r\n 0"),
        format!("Content-Length: 0\r\n {length}"),
        "X: a\r\n Transfer-Encoding: chunked".to_owned(),
        "Transfer-Encoding:\r\n chunked".to_owned(),
        "Transfer-Encoding: chunked\r\n x".to_owned(),
        "Transfer-Encoding:\n\tchunked".to_owned(),
        "Host:\r\n other.example".to_owned(),
        "X: a\r\n Host: other.example".to_owned(),
        "Connection:\r\n keep-alive".to_owned(),
    ];
    let mut all = Vec::new();
    for line in lines {
        all.push(Mutation::http1("folded lines", post(format!("{line}\r\n").as_bytes(), SMUGGLED.as_bytes())));
        let first = format!(
            "POST /m/NNNN HTTP/1.1\r\n {line}\r\nHost: origin.example\r\nContent-Length: {length}\r\n\r\n{SMUGGLED}"
        );
        all.push(Mutation::http1("folded lines", first));
    }
    all
}

/// Names with white space or bytes that no name has (RFC 9112 §5.1), of fields that decide.
fn field_names() -> Vec<Mutation> {
    let mut all = Vec::new();
    for odd in ODD.iter().chain(b"()/<=>?@[]{}\\").map(std::slice::from_ref) {
        for name in ["Host", "X-Marker", "Connection", "Expect"] {
            let value: &[u8] = match name {
                "Connection" => b"close",
                "Expect" => b"100-continue",
                _ => b"other.example",
            };
            for line in [
                [name.as_bytes(), odd, b": ", value].concat(),
                [odd, name.as_bytes(), b": ", value].concat(),
                [name.as_bytes(), b": ", value, odd, value].concat(),
            ] {
                let fields = [&line[..], b"\r\nContent-Length: 5\r\n"].concat();
                all.push(Mutation::http1("field names and values", post(&fields, b"hello")));
            }
        }
    }
    for line in ["nonsense", ":", ": x", "X", " X: y", "X y", "=: z", "X: y: z", "GET /smuggled/NNNN HTTP/1.1"] {
        let fields = format!("{line}\r\nContent-Length: 5\r\n");
        all.push(Mutation::http1("field names and values", post(fields.as_bytes(), b"hello")));
    }
    all
}

/// Who is meant: no host, several, or another than the target's (RFC 9112 §3.2).
fn hosts() -> Vec<Mutation> {
    let mut all = Vec::new();
    let targets = [
        "/m/NNNN",
        "http://origin.example/m/NNNN",
        "http://other.example/m/NNNN",
        "http://origin.example:80/m/NNNN",
        "http://user@origin.example/m/NNNN",
        "http://origin.example@other.example/m/NNNN",
        "https://origin.example/m/NNNN",
        "http:///m/NNNN",
    ];
    let fields = [
        "",
        "Host: origin.example\r\n",
        "Host: other.example\r\n",
        "Host:\r\n",
        "Host: origin.example\r\nHost: origin.example\r\n",
        "Host: origin.example\r\nHost: other.example\r\n",
        "Host: other.example\r\nHost: origin.example\r\n",
        "Host: origin.example, other.example\r\n",
        "Host: origin.example other.example\r\n",
        "Host: origin.example:80@other.example\r\n",
        "Host: user@origin.example\r\n",
        "Host: origin.example/m\r\n",
        "Host: origin.example:\r\n",
        "Host: origin.example:x\r\n",
        "Host: origin.example:99999\r\n",
        "Host : origin.example\r\n",
        "Host: origin.example\r\n other.example\r\n",
        "Host: [::1]:80\r\n",
        "Host: origin.example\\@other.example\r\n",
        "hOST: origin.example\r\nHost: other.example\r\n",
    ];
    for target in targets {
        for fields in fields {
            let line = format!("GET {target} HTTP/1.1");
            all.push(Mutation::http1("host and authority", bare(line.as_bytes(), fields.as_bytes())));
        }
    }
    all
}

/// Targets.
const TARGETS: &[&str] = &[
    "*",
    "m",
    "?a",
    "//m/NNNN",
    "///m",
    "/m/NNNN#x",
    "/m/NNNN#/smuggled",
    "/m/../smuggled/NNNN",
    "/m/NNNN?a=b#c",
    "/m/%2e%2e/NNNN",
    "/m/%00NNNN",
    "/m/%0d%0aNNNN",
    "/m\\NNNN",
    "/m/NNNN;a=b",
    "/m/NNNN?a b",
    "/m/ NNNN",
    "/m/NNNN HTTP/1.1",
    "/m/NNNN HTTP/1.0",
    "/m/NNNN  HTTP/1.1",
    "/m/NNNN\tHTTP/1.1",
    "/m/\tNNNN",
    "/m/\u{b}NNNN",
    "/m/\0NNNN",
    "/m/é/NNNN",
    "/m/\u{85}NNNN",
    "/m/NNNN\"",
    "/m/<NNNN>",
    "/m/{NNNN}",
    "/m/|NNNN",
    "/m/^NNNN",
    "/m/`NNNN",
    "/m/%zzNNNN",
    "/m/%NNNN",
    "http:/m/NNNN",
    "http:m/NNNN",
    "HTTP://origin.example/m/NNNN",
    "ftp://origin.example/m/NNNN",
    "ws://origin.example/m/NNNN",
    "file:///m/NNNN",
    "http://origin.example",
    "http://origin.example?a=NNNN",
    "http://origin.example/m/NNNN#x",
    "http://[::1]/m/NNNN",
    "http://origin.example\\m\\NNNN",
    "http://origin.example:0/m",
    "origin.example:80",
    "origin.example",
    "/http://other.example/NNNN",
    "/m/NNNN\r",
    "\"/m/NNNN\"",
    "/m/NNNN/.",
    "/m/NNNN/..;/x",
    "/%2f%2fm/NNNN",
    "/m/NNNN?\u{7f}",
    "",
];

/// Targets that mean several things, or that a recipient would have to mend (RFC 9112 §3).
fn targets() -> Vec<Mutation> {
    let mut all = Vec::new();
    for target in TARGETS {
        for method in ["GET", "OPTIONS"] {
            let line = format!("{method} {target} HTTP/1.1");
            all.push(Mutation::http1("targets", bare(line.as_bytes(), b"Host: origin.example\r\n")));
        }
    }
    all
}

/// Another protocol is asked for, and its bytes, or a request, come before the answer (CVE-2026-2833).
fn upgrades() -> Vec<Mutation> {
    let mut all = Vec::new();
    for upgrade in ["websocket", "h2c", "TLS/1.0", "foo", "websocket, h2c", "WebSocket\r\nUpgrade: h2c", ""] {
        for connection in ["Upgrade", "upgrade, HTTP2-Settings", "keep-alive, Upgrade", "close"] {
            let keys = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
            let fields = format!("Connection: {connection}\r\nUpgrade: {upgrade}\r\n{keys}");
            let head = format!("GET /m/NNNN HTTP/1.1\r\nHost: origin.example\r\n{fields}");
            all.push(Mutation::http1("upgrade", format!("{head}\r\n{SMUGGLED}")));
            all.push(Mutation::http1("upgrade", format!("{head}Content-Length: {}\r\n\r\n{SMUGGLED}", SMUGGLED.len())));
            all.push(Mutation::http1("upgrade", format!("{head}Content-Length: 5\r\n\r\nhello{SMUGGLED}")));
            let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
            all.push(Mutation::http1("upgrade", format!("{head}\r\n{preface}")));
        }
    }
    all
}

/// Versions: older ones that know no `chunked` (CVE-2026-2835), ones that nobody knows, none.
fn versions() -> Vec<Mutation> {
    let mut all = Vec::new();
    let versions = [
        "HTTP/1.0",
        "HTTP/1.1",
        "HTTP/0.9",
        "HTTP/1.2",
        "HTTP/1.9",
        "HTTP/2.0",
        "HTTP/2",
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/11",
        "HTTP/1.10",
        "HTTP/01.1",
        "HTTP/1.1.1",
        "http/1.1",
        "Http/1.1",
        "HTTP /1.1",
        "HTTP/ 1.1",
        "HTTP/1,1",
        "HTTPS/1.1",
        "XTTP/1.1",
        "HTTP/-1.1",
        "HTTP/1.1 ",
        "HTTP/1.1\t",
        "HTTP/1.1 x",
        "HTTP/１.1",
        "ICY/1.1",
        "",
    ];
    for version in versions {
        for (fields, body) in [
            ("Transfer-Encoding: chunked\r\n".to_owned(), format!("5\r\nhello\r\n0\r\n\r\n{SMUGGLED}")),
            ("Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n".to_owned(), format!("0\r\n\r\n{SMUGGLED}")),
            (format!("Content-Length: {}\r\nConnection: keep-alive\r\n", SMUGGLED.len()), SMUGGLED.to_owned()),
            (String::new(), SMUGGLED.to_owned()),
        ] {
            let head =
                format!("POST /m/NNNN {version}\r\nHost: origin.example\r\nX-Marker: NNNN\r\n{fields}\r\n{body}");
            all.push(Mutation::http1("versions", head));
        }
    }
    all.push(Mutation::http1("versions", "GET /m/NNNN\r\n"));
    all.push(Mutation::http1("versions", "GET /m/NNNN\n\n"));
    all
}

/// `Expect`, with the body before, behind and without the permission (RFC 9110 §10.1.1; CVE-2022-31813).
fn expectations() -> Vec<Mutation> {
    let mut all = Vec::new();
    for value in [
        "100-continue",
        "100-Continue",
        "100-continue, 100-continue",
        "100-continue\r\nExpect: 100-continue",
        "100-continue\r\nExpect: x",
        "x 100-continue",
        "100",
        "y",
        "",
        "\r\n 100-continue",
        "100-continue;a",
    ] {
        for (fields, body) in [
            ("Content-Length: 5\r\n", "hello"),
            ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
            ("Content-Length: 0\r\n", ""),
            ("", ""),
        ] {
            let head = post(format!("Expect: {value}\r\n{fields}").as_bytes(), b"");
            let rest = format!("{body}{SMUGGLED}").into_bytes();
            all.push(Mutation::http1("expect", [&head[..], &rest].concat()));
            all.push(Mutation::http1_in("expect", vec![head, rest]));
        }
    }
    all
}

/// Requests behind each other, with bodies where none are usual, cut into pieces.
fn pipelines() -> Vec<Mutation> {
    let mut all = Vec::new();
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "POST", "PUT"] {
        for (fields, body) in [
            ("", String::new()),
            ("Content-Length: 0\r\n", String::new()),
            ("Content-Length: 5\r\n", "hello".to_owned()),
            ("Transfer-Encoding: chunked\r\n", chunked("hello")),
            ("Content-Length: 5\r\nConnection: close\r\n", "hello".to_owned()),
            ("Content-Length: 9\r\n", "hello".to_owned()),
        ] {
            let first =
                format!("{method} /m/NNNN HTTP/1.1\r\nHost: origin.example\r\nX-Marker: NNNN\r\n{fields}\r\n{body}");
            let both = format!("{first}{SMUGGLED}").into_bytes();
            for cut in [1, first.len() - 2, first.len(), first.len() + 3, both.len() - 1] {
                let (before, after) = both.split_at(cut);
                all.push(Mutation::http1_in("pipelines", vec![before.to_vec(), after.to_vec()]));
            }
            all.push(Mutation::http1("pipelines", both));
        }
    }
    all.push(Mutation::http1("pipelines", SMUGGLED.repeat(20)));
    all.push(Mutation::http1("pipelines", format!("{SMUGGLED}\r\n\r\n{SMUGGLED}nonsense\r\n\r\n{SMUGGLED}")));
    all.push(Mutation::http1("pipelines", "\x16\x03\x01\0\x05hello"));
    all
}

/// Methods that are none, or that ask for something else than they seem to.
fn methods() -> Vec<Mutation> {
    let mut all = Vec::new();
    for method in [
        "get",
        "Get",
        "GET\t",
        "\tGET",
        "G ET",
        "GET,",
        "G=T",
        "G@T",
        "G/T",
        "GE\0T",
        "G\u{e9}T",
        "\"GET\"",
        "GET:",
        "CONNECT",
        "PRI",
        "FOO",
        "M-SEARCH",
        "PROPFIND",
        "X",
        "_",
        "!#$%&'*+-.^_`|~",
        "GET\u{b}",
        "GPOST",
        "0",
        "",
        "SMUGGLED",
    ] {
        for fields in ["", "Content-Length: 5\r\n", "X-HTTP-Method-Override: DELETE\r\n"] {
            let body = if fields.starts_with('C') { "hello" } else { "" };
            let head = format!("{method} /m/NNNN HTTP/1.1\r\nHost: origin.example\r\n{fields}\r\n{body}{SMUGGLED}");
            all.push(Mutation::http1("methods", head));
        }
    }
    all.push(Mutation::http1(
        "methods",
        format!("{} /m/NNNN HTTP/1.1\r\nHost: origin.example\r\n\r\n", "A".repeat(5000)),
    ));
    all
}

/// `Connection` names fields that the next hop must not see: framing, host, what tells who is calling.
fn connections() -> Vec<Mutation> {
    let mut all = Vec::new();
    for named in [
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "X-Marker",
        "X-Request-Id",
        "X-Forwarded-For",
        "Authorization",
        "Cookie",
        "close, Content-Length",
        "keep-alive, Host",
        "Content-Length, Transfer-Encoding",
        "TE",
        "Trailer",
        "Expect",
        ":path",
        "\"Host\"",
        "Content-Type",
        "Upgrade",
        "proxy-connection",
        "",
        ",,,",
        "a,b,c,d,e,f,g,h,i,j,k,l",
    ] {
        for (fields, body) in [
            ("Content-Length: 5\r\n", "hello"),
            ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
            ("TE: trailers\r\nContent-Length: 5\r\nProxy-Connection: keep-alive\r\nKeep-Alive: 5\r\n", "hello"),
        ] {
            let fields = format!("Connection: {named}\r\n{fields}");
            all.push(Mutation::http1("connection", post(fields.as_bytes(), format!("{body}{SMUGGLED}").as_bytes())));
        }
    }
    all
}
